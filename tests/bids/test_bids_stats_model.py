# SPDX-License-Identifier: BSD-3-Clause
"""The dataset-level node of a BIDS Stats Model: what it means, and what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm.bids import StatsModel, read_stats_model
from reference.bids import write_json

PEOPLE = pd.DataFrame(
    {
        "age": [20.0, 31, 27, 45, 38, 29],
        "sex": ["f", "m", "f", "m", "m", "f"],
        "site": [1, 2, 3, 1, 2, 3],
        "motion_1": [0.1, 0.4, 0.2, 0.3, 0.9, 0.5],
        "motion_2": [1.0, 2, 5, 4, 3, 2],
        "smoker": [True, False, True, True, False, False],
    },
    index=pd.Index([f"{i:02d}" for i in range(1, 7)], name="subject_label"),
)


def whole(**changes: Any) -> dict[str, Any]:
    """Return the model of the specification's walkthrough with a changed dataset node."""
    node = {
        "Level": "Dataset",
        "Name": "one-sample_dataset",
        "GroupBy": ["contrast"],
        "Model": {"X": [1], "Type": "glm"},
        "DummyContrasts": {"Test": "t"},
    }
    run = {
        "Level": "Run",
        "Name": "run_level",
        "GroupBy": ["run", "subject"],
        "Model": {"X": [1, "incongruent", "congruent"], "Type": "glm", "HRF": {"Model": "Gamma"}},
        "Contrasts": [
            {
                "Name": "IvC",
                "ConditionList": ["incongruent", "congruent"],
                "Weights": [1, -1],
                "Test": "t",
            }
        ],
    }
    subject = {
        "Level": "Subject",
        "Name": "subject_level",
        "GroupBy": ["subject", "contrast"],
        "Model": {"X": [1], "Type": "meta"},
        "DummyContrasts": {"Test": "pass"},
    }
    return {
        "Name": "Simon IvC",
        "BIDSModelVersion": "1.0.0",
        "Input": {"subject": ["01", "02", "03"], "task": "simon"},
        "Nodes": [run, subject, {**node, **changes}],
    }


def with_x(*x: Any, **changes: Any) -> StatsModel:
    return read_stats_model(whole(Model={"X": list(x), "Type": "glm"}, **changes))


def transformed(*instructions: Any) -> dict[str, Any]:
    return {"Transformer": "pybids-transforms-v1", "Instructions": list(instructions)}


def test_the_model_of_the_walkthrough() -> None:
    model = read_stats_model(whole())
    assert (model.name, model.node, model.source) == (
        "Simon IvC",
        "one-sample_dataset",
        "subject_level",
    )
    assert model.filters == {"sub": ("01", "02", "03"), "task": ("simon",)}
    assert model.group_by_contrast
    design = model.design_matrix(PEOPLE)
    assert list(design.columns) == ["intercept"]
    assert (design.to_numpy() == 1).all()
    assert list(design.index) == list(PEOPLE.index)
    (mean,) = model.contrasts_of(list(design.columns))
    assert (mean.name, mean.test, mean.over(list(design.columns))) == ("intercept", "t", [1.0])


def test_a_file(tmp_path: Path) -> None:
    path = write_json(tmp_path / "model.json", whole())
    assert read_stats_model(path) == read_stats_model(whole())
    # Editors of some systems save a file with this mark.
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert read_stats_model(path) == read_stats_model(whole())


def test_without_participants_an_intercept_alone_is_a_design() -> None:
    design = read_stats_model(whole()).design_matrix(pd.DataFrame(index=["01", "02"]))
    assert design.shape == (2, 1)


def test_columns_in_the_order_of_x() -> None:
    design = with_x("motion_*", 1, "age").design_matrix(PEOPLE)
    assert list(design.columns) == ["motion_1", "motion_2", "intercept", "age"]
    expected = np.column_stack([PEOPLE["motion_1"], PEOPLE["motion_2"], np.ones(6), PEOPLE["age"]])
    np.testing.assert_array_equal(design, expected)


@pytest.mark.parametrize("column", ["intercept", "Intercept"])
@pytest.mark.parametrize("x", [1, "intercept", "Intercept", "*ntercept"])
def test_a_column_is_not_mistaken_for_the_intercept(column: str, x: Any) -> None:
    people = PEOPLE.assign(**{column: range(6)})
    with pytest.raises(ValueError, match=f"column '{column}', which would be mistaken for it"):
        with_x(x, "age").design_matrix(people)
    assert list(with_x("age").design_matrix(people)) == ["age"]


def test_no_intercept_unless_it_is_named() -> None:
    assert list(with_x("age", "smoker").design_matrix(PEOPLE).columns) == ["age", "smoker"]


def test_a_formula() -> None:
    model = read_stats_model(
        whole(Model={"Type": "glm", "X": ["age", "sex"], "Formula": "~ 1 + age * C(sex)"})
    )
    design = model.design_matrix(PEOPLE)
    male = (PEOPLE["sex"] == "m").to_numpy(float)
    expected = np.column_stack([np.ones(6), PEOPLE["age"], male, PEOPLE["age"] * male])
    assert list(design.columns) == ["Intercept", "age", "C(sex)[T.m]", "age:C(sex)[T.m]"]
    np.testing.assert_array_equal(design, expected)
    contrasts = model.contrasts_of([str(name) for name in design.columns])
    assert [c.over(list(design.columns)) for c in contrasts] == np.eye(4).tolist()


def test_factor_scale_demean_product_rename_copy() -> None:
    """Compared with a computation by hand; the standard deviation is the sample's, as in pybids."""
    model = with_x(
        "sex.f", "sex.m", "age", "z", "age_m", "motion",
        Transformations=transformed(
            {"Name": "Factor", "Input": ["sex"]},
            {"Name": "Copy", "Input": ["age"], "Output": ["z"]},
            {"Name": "Scale", "Input": "z"},
            {"Name": "Demean", "Input": ["age"]},
            {"Name": "Product", "Input": ["age", "sex.m"], "Output": ["age_m"]},
            {"Name": "Rename", "Input": ["motion_1"], "Output": ["motion"]},
        ),
    )  # fmt: skip
    age = PEOPLE["age"].to_numpy()
    male = (PEOPLE["sex"] == "m").to_numpy(float)
    centred = age - age.mean()
    z = centred / np.sqrt((centred**2).sum() / 5)
    expected = np.column_stack([1 - male, male, centred, z, centred * male, PEOPLE["motion_1"]])
    # Sums of six numbers of the same size: a few units in the last place.
    np.testing.assert_allclose(model.design_matrix(PEOPLE), expected, rtol=1e-14, atol=1e-14)
    assert "sex.f" not in PEOPLE.columns


def test_factor_may_leave_out_a_level_and_code_numbers() -> None:
    model = with_x(
        1,
        "site.*",
        Transformations=transformed(
            {"Name": "Factor", "Input": ["site"], "Constraint": "drop_one", "RefLevel": 2}
        ),
    )
    design = model.design_matrix(PEOPLE)
    assert list(design.columns) == ["intercept", "site.1", "site.3"]
    np.testing.assert_array_equal(design["site.3"], (PEOPLE["site"] == 3).astype(float))


def test_contrasts() -> None:
    model = with_x(
        1,
        "age",
        "motion_1",
        DummyContrasts={"Contrasts": [1, "age"], "Test": "t"},
        Contrasts=[
            {
                "Name": "half",
                "ConditionList": ["age", "motion_1"],
                "Weights": ["1/2", -0.5],
                "Test": "t",
            },
            {
                "Name": "any",
                "ConditionList": ["age", "motion_1"],
                "Weights": [[1, 0], [0, 1]],
                "Test": "F",
            },
            {"Name": "one", "ConditionList": [1], "Weights": [1], "Test": "F"},
            {"Name": "age", "ConditionList": ["age"], "Weights": [2], "Test": "t"},
        ],
    )
    columns = list(model.x)
    found = {c.name: (c.test, c.over(columns)) for c in model.contrasts_of(columns)}
    assert found == {
        "intercept": ("t", [1, 0, 0]),
        "half": ("t", [0, 0.5, -0.5]),
        "any": ("F", [[0, 1, 0], [0, 0, 1]]),
        "one": ("F", [[1, 0, 0]]),
        "age": ("t", [0, 2, 0]),  # stands for the dummy of its name
    }


def test_edges_choose_node_and_contrasts() -> None:
    facts = whole()
    facts["Nodes"].append({**facts["Nodes"][2], "Name": "other"})
    facts["Edges"] = [
        {"Source": "run_level", "Destination": "subject_level"},
        {"Source": "run_level", "Destination": "other", "Filter": {"contrast": ["IvC"]}},
        {"Source": "subject_level", "Destination": "one-sample_dataset"},
    ]
    with pytest.raises(ValueError, match=r"several nodes of level Dataset; choose one: .*'other'"):
        read_stats_model(facts)
    other = read_stats_model(facts, node="other")
    assert other.source == "run_level"
    assert other.filters["contrast"] == ("IvC",)
    assert read_stats_model(facts, node="one-sample_dataset").source == "subject_level"
    with pytest.raises(ValueError, match="no node of level Dataset is called 'run_level'"):
        read_stats_model(facts, node="run_level")


def _refused(**changes: Any) -> dict[str, Any]:
    return whole(**changes)


CONTRAST = {"Name": "c", "ConditionList": ["age"], "Weights": [1], "Test": "t"}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"Steps": []}, "it has 'Steps', as drafts of the specification had"),
        ({**whole(), "Estimator": 1}, "it has 'Estimator', which is not supported"),
        ({**whole(), "Name": 3}, "it has Name 3; it must be text"),
        ({**whole(), "Nodes": []}, "no node of level Dataset"),
        ({**whole(), "Nodes": {}}, r"it has Nodes \{\}; it must be a list"),
        ({**whole(), "Nodes": whole()["Nodes"][:2]}, r"nodes: 'run_level' \(Run\), 'subj"),
        ({**whole(), "Nodes": whole()["Nodes"] * 2}, "several nodes are called"),
        ({**whole(), "Nodes": [3]}, "a node is 3; it must be an object"),
        ({**whole(), "Input": {"task": {}}}, "Input has 'task': {}; it must be a list"),
        ({**whole(), "Edges": [{"Source": "x"}]}, "an edge has Source 'x', which is no node"),
        (whole(GroupBy=None), 'has no GroupBy; for group models write "GroupBy": ."contrast"'),
        (whole(GroupBy=["contrast", "sex"]), "GroupBy 'sex' is not supported, only 'contrast'"),
        (whole(GroupBy="contrast"), "GroupBy 'contrast'; it must be a list"),
        (whole(Model={"Type": "Meta", "X": [1]}), "Model.Type 'Meta' is not supported, only 'glm'"),
        (whole(Model=None), "Model is None; it must be an object"),
        (whole(Model={"Type": "glm"}), "Model has neither X nor Formula"),
        (whole(Model={"Type": "glm", "X": 1, "Formula": "1"}), "has X 1; it must be a list"),
        ({**whole(), "BIDSModelVersion": "2.0"}, "BIDSModelVersion is '2.0', which is not"),
        (whole(Model={"Type": "glm", "X": []}), "Model.X is empty"),
        (whole(Model={"Type": "glm", "X": [2]}), "Model.X has 2; it must be a list of names"),
        (whole(Model={"Type": "glm", "X": [True]}), "Model.X has True"),
        (whole(Model={"Type": "glm", "X": [1, "intercept"]}), "Model.X names a column twice"),
        (whole(Model={"Type": "glm", "X": ["a`b"]}), "Model.X has 'a`b'"),
        (whole(Model={"X": [1], "HRF": {}}), "Model has 'HRF', which is not supported"),
        (whole(Model={"X": [1], "VarianceComponents": []}), "'VarianceComponents', which is not"),
        (whole(Model={"X": [1], "Options": {"Mask": {}}}), "Model.Options .*'Mask'.* not supp"),
        (whole(Model={"X": ["a"], "Formula": "a"}), "must be text with a term 1 or 0"),
        (whole(Contrasts=[{**CONTRAST, "Test": "pass"}]), "Test is 'pass'; supported are 't' and"),
        (whole(Contrasts=[{**CONTRAST, "Type": "t"}]), "has 'Type', which is not supported"),
        (whole(Contrasts=[{**CONTRAST, "Weights": [1, 2]}]), r"Weights \[1, 2\] do not fit"),
        (whole(Contrasts=[{**CONTRAST, "Weights": []}]), r"Weights \[\] do not fit"),
        (whole(Contrasts=[{**CONTRAST, "Weights": [0]}]), "only zeros"),
        (whole(Contrasts=[{**CONTRAST, "Weights": ["1/0"]}]), "the weight '1/0' is no number"),
        (whole(Contrasts=[{**CONTRAST, "Weights": [float("nan")]}]), "the weight nan is no number"),
        (whole(Contrasts=[{**CONTRAST, "Weights": [True]}]), "the weight True is no number"),
        (whole(Contrasts=[{**CONTRAST, "Weights": [[1], [2]]}]), '2 rows of Weights need "Test"'),
        (whole(Contrasts=[CONTRAST] * 2), "several contrasts of the same name"),
        (whole(DummyContrasts=None), "has no contrast; add"),
        (whole(DummyContrasts={"Contrasts": ["a"]}), "DummyContrasts: Test is None"),
        (whole(DummyContrasts={"Conditions": [], "Test": "t"}), "has 'Conditions', which is not"),
        (whole(Transformations=[]), r"Transformations is \[\]; it must be an object"),
        (whole(Transformations={"Transformer": "x"}), "Transformer 'x' is not supported"),
        (
            whole(Transformations=transformed({"Name": "Convolve", "Input": ["age"]})),
            r"Instructions\[0\]: the instruction 'Convolve' is not supported; supported are Fac",
        ),
        (whole(Transformations=transformed("x")), "the instruction None is not supported"),
        (whole(Transformations=transformed({"Name": "Scale"})), "Scale has no Input"),
        (
            whole(Transformations=transformed({"Name": "Scale", "Input": ["a"], "ReplaceNA": "b"})),
            "Scale has 'ReplaceNA', which is not supported",
        ),
        (
            whole(Transformations=transformed({"Name": "Scale", "Input": ["a"], "Demean": "no"})),
            "Demean is 'no', which is not supported",
        ),
        (
            whole(Transformations=transformed({"Name": "Copy", "Input": ["a"]})),
            "Copy has 0 names in Output; it needs 1",
        ),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"Stats Model: .*{said}"):
        read_stats_model(facts)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00", "[" * 100_000, '{"Name": NaN'])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"model\.json"):
        read_stats_model(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not JSON that can be read"):
        read_stats_model(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_stats_model(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (with_x(1, "height"), "Model.X names 'height', which the participants table"),
        (with_x(1, "nose*"), r"Model\.X names 'nose\*', which the"),
        (with_x(1, "sex"), "'sex', which holds text; code it by the transformation .*Factor"),
        (
            with_x("z", Transformations=transformed({"Name": "Scale", "Input": ["sex"]})),
            "Scale needs numbers, but column 'sex'",
        ),
        (
            with_x(
                "z",
                Transformations=transformed(
                    {"Name": "Rename", "Input": ["age"], "Output": ["site"]}
                ),
            ),
            "would make a second column 'site'",
        ),
        (
            with_x("z", Transformations=transformed({"Name": "Demean", "Input": ["nose"]})),
            "Demean names 'nose', which the participants table does not have",
        ),
    ],
)
def test_what_the_table_cannot_give(model: StatsModel, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model.design_matrix(PEOPLE)


@pytest.mark.parametrize(
    ("instruction", "x", "said"),
    [
        (None, "age", "no value for 'age' of subject 03"),
        ({"Name": "Demean", "Input": ["age"]}, "age", "no value for 'age' of subject 03"),
        ({"Name": "Factor", "Input": ["sex"]}, "sex.m", "Factor cannot code column 'sex'.*for 02"),
    ],
)
def test_missing_values_are_refused_and_never_filled(instruction: Any, x: str, said: str) -> None:
    people = PEOPLE.copy()
    people.loc["03", "age"] = np.nan
    people.loc["02", "sex"] = None
    changes = {"Transformations": transformed(instruction)} if instruction else {}
    with pytest.raises(ValueError, match=said):
        with_x(1, x, **changes).design_matrix(people)


def test_a_constant_column_cannot_be_scaled() -> None:
    model = with_x(1, "k", Transformations=transformed({"Name": "Scale", "Input": ["k"]}))
    with pytest.raises(ValueError, match="it is the same for all subjects"):
        model.design_matrix(PEOPLE.assign(k=2.0))


def test_a_contrast_of_an_unknown_column() -> None:
    model = with_x(1, Contrasts=[CONTRAST])
    with pytest.raises(ValueError, match=r"ConditionList names 'age'.*columns are: 'intercept'"):
        model.contrasts_of(["intercept"])[-1].over(["intercept"])


def test_dummy_contrasts_of_an_unknown_column() -> None:
    model = with_x(1, DummyContrasts={"Test": "t", "Contrasts": ["age"]})
    with pytest.raises(ValueError, match=r"DummyContrasts\.Contrasts names 'age', .*'intercept'"):
        model.contrasts_of(["intercept"])


def test_a_formula_alone_is_the_design() -> None:
    model = read_stats_model(whole(Model={"Formula": "1 + age"}))
    assert (model.x, model.formula) == ((), "1 + age")
    assert list(model.design_matrix(PEOPLE).columns) == ["Intercept", "age"]


def test_a_formula_that_has_not_what_x_names() -> None:
    same = read_stats_model(whole(Model={"X": [1, "age", "motion_*"], "Formula": "1 + age"}))
    assert same.formula == "1 + age"  # no warning: warnings are errors here
    for formula in ("1 + age", "1 + iqs + age"):
        with pytest.warns(UserWarning, match=r"X names 'iq', .* the design is that of the form"):
            read_stats_model(whole(Model={"X": [1, "age", "iq"], "Formula": formula}))


def test_software_of_others_is_told() -> None:
    with pytest.warns(UserWarning, match=r"Model\.Software has no effect here"):
        read_stats_model(whole(Model={"X": [1], "Software": {"FitLins": {"x": 1}}}))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in items:
        found.append((*path, key))
        if isinstance(inner, dict | list):
            found += _places(inner, (*path, key))
    return found


_RICH = whole(
    Contrasts=[CONTRAST],
    Transformations=transformed({"Name": "Scale", "Input": ["age"], "Output": ["age"]}),
)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(_places(_RICH)), value=_JSON)
def test_whatever_stands_in_a_file_is_read_or_refused(place: tuple[Any, ...], value: Any) -> None:
    facts = copy.deepcopy(_RICH)
    inner: Any = facts
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    json.dumps(facts)
    try:
        model = read_stats_model(facts)
        model.design_matrix(PEOPLE)
    except ValueError as error:
        assert str(error)  # noqa: PT017  (any other exception fails)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '{"Name": "x"}'.encode("utf-16"),
            "not in UTF-8: byte 1 is 0xff; save it as text in UTF-8",
        ),
        (b'{"Name": "\xe4"}', "not in UTF-8: byte 11 is 0xe4; save it as text in UTF-8"),
        (b"[" * 100_000, "its brackets are nested too deep"),
    ],
)
def test_a_file_that_is_no_json_in_utf8_is_named(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"model.json.*{told}"):
        read_stats_model(path)
