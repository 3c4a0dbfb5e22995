# SPDX-License-Identifier: BSD-3-Clause
"""The dataset-level node of a BIDS Stats Model: what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm.bids import read_stats_model
from reference.bids import write_json
from reference.stats_models import PEOPLE, transformed, whole, with_x


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


def _made(*instructions: Any, x: tuple[Any, ...], people: pd.DataFrame = PEOPLE) -> Any:
    return with_x(*x, Transformations=transformed(*instructions)).design_matrix(people).to_numpy()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [0, 0.5, 0, 2, 3, 0]),
        ({"Threshold": 2}, [0, 0, 0, 2, 3, 0]),
        ({"Threshold": 2.0, "Binarize": True}, [0, 0, 0, 1, 1, 0]),
        ({"Above": False}, [-3, 0, -1, 0, 0, 0]),
        ({"Above": False, "Binarize": True}, [1, 0, 1, 0, 0, 1]),
        ({"Threshold": -2, "Signed": False}, [3, 0, 0, 2, 3, 0]),
        ({"Threshold": 1, "Signed": False, "Above": False}, [0, 0.5, 1, 0, 0, 0]),
    ],
)
def test_threshold(options: dict[str, Any], wanted: list[float]) -> None:
    """As pybids: a value at the cut-off is kept; without a sign, sizes are kept."""
    people = PEOPLE.assign(score=[-3.0, 0.5, -1, 2, 3, 0])
    given = {"Name": "Threshold", "Input": ["score"], **options}
    np.testing.assert_array_equal(_made(given, x=("score",), people=people)[:, 0], wanted)


def test_threshold_leaves_missing_values_missing() -> None:
    people = PEOPLE.assign(score=[1.0, np.nan, -1, 2, 3, 0])
    with pytest.raises(ValueError, match=r"'score'.*02"):
        _made({"Name": "Threshold", "Input": ["score"]}, x=("score",), people=people)


def test_replace_text_and_numbers() -> None:
    age = PEOPLE["age"].to_numpy()
    first = f"{PEOPLE['age'].iloc[0]:g}"
    made = _made(
        {"Name": "Replace", "Input": "sex", "Output": "male", "Replace": {"f": 0, "m": 1}},
        {"Name": "Replace", "Input": ["age"], "Replace": {first: 99}},
        {"Name": "Replace", "Input": ["site"], "Replace": {"1": "a", "2": "b", "3": "a"}},
        {"Name": "Factor", "Input": ["site"]},
        x=("male", "age", "site.a", "site.b"),
    )
    at_a = np.isin(PEOPLE["site"], (1, 3))
    male = (PEOPLE["sex"] == "m").to_numpy()
    wanted = np.column_stack([male, np.where(age == age[0], 99, age), at_a, ~at_a])
    np.testing.assert_array_equal(made, wanted.astype(float))
    assert set(PEOPLE["site"]) == {1, 2, 3}


def test_replace_of_what_is_not_there_is_said() -> None:
    given = {"Name": "Replace", "Input": ["sex"], "Output": ["s"], "Replace": {"F": 0}}
    with pytest.warns(UserWarning, match="Replace changes nothing in column 'sex'.*no 'F'"):
        _made(given, x=("age",))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Input": ["site"], "Replace": {"one": 1}}, "names 'one', but column 'site' .* numbers"),
        (
            {"Input": ["site"], "Replace": {"1": "a"}},
            "'site' .* would have text and numbers",
        ),
        ({"Input": ["nose"], "Replace": {"1": 2}}, "names 'nose', which the participants table"),
    ],
)
def test_replacements_that_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _made({"Name": "Replace", **given}, x=("age",))


def test_split_gives_each_level_a_slope() -> None:
    """The names are those of pybids."""
    made = _made(
        {"Name": "Split", "Input": ["age"], "By": ["sex"]},
        {"Name": "Split", "Input": ["motion_1"], "By": ["sex", "smoker"]},
        x=("age.sex[f]", "age.sex[m]", "motion_1.sex[f].smoker[True]", "age"),
    )
    age, female = PEOPLE["age"].to_numpy(), (PEOPLE["sex"] == "f").to_numpy()
    smoking = female & PEOPLE["smoker"].to_numpy()
    wanted = [age * female, age * ~female, PEOPLE["motion_1"].to_numpy() * smoking, age]
    np.testing.assert_array_equal(made, np.column_stack(wanted))


@pytest.mark.parametrize(
    ("people", "given", "told"),
    [
        (PEOPLE, {"Input": ["sex"], "By": "site"}, "Split needs numbers, but column 'sex'"),
        (PEOPLE, {"Input": ["age"], "By": "nose"}, "names 'nose', which the participants table"),
        (PEOPLE, {"Input": ["motion_1"], "By": "age"}, "each subject has another value"),
        (
            PEOPLE.assign(sex=PEOPLE["sex"].where(PEOPLE["age"] != PEOPLE["age"].iloc[1])),
            {"Input": ["age"], "By": "sex"},
            "cannot split by column 'sex' .* has no value for 02",
        ),
    ],
)
def test_splits_that_are_refused(people: pd.DataFrame, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _made({"Name": "Split", **given}, x=("age",), people=people)


def test_what_transformations_read_is_known_before_the_maps() -> None:
    model = with_x(
        "age.sex[f]", Transformations=transformed({"Name": "Split", "Input": "age", "By": "sex"})
    )
    assert model.inputs() == ["age", "sex"]
    assert model.columns_used(["sex", "age", "site"]) == ["age", "sex"]
    assert model.levels(PEOPLE) == {"sex": {"f": 3, "m": 3}}


def test_groups_and_the_mask_of_a_node() -> None:
    node = {"Model": {"X": [1], "Type": "glm", "Options": {"Mask": {"desc": "brain"}}}}
    model = read_stats_model(whole(GroupBy=["contrast", "sex"], **node))
    assert (model.group_by_contrast, model.group_by) == (True, ("sex",))
    assert model.mask == {"desc": ("brain",)}
    assert read_stats_model(whole()).mask is None
