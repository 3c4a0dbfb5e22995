# SPDX-License-Identifier: BSD-3-Clause
"""The dataset-level node of a BIDS Stats Model: what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm.bids import StatsModel, read_stats_model
from reference.stats_models import CONTRAST, PEOPLE, transformed, whole, with_x


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
        (whole(GroupBy=["contrast", "run"]), "GroupBy 'run' is not supported, only 'contrast' and"),
        (whole(GroupBy=["contrast", 1]), "GroupBy '1' is not supported"),
        (whole(GroupBy=["sex", "sex"]), "GroupBy names 'sex', 'sex', one of them twice"),
        (whole(GroupBy="contrast"), "GroupBy 'contrast'; it must be a list"),
        (
            whole(Model={"Type": "anova", "X": [1]}),
            "Model.Type 'anova' is not supported, only 'glm'",
        ),
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
        (whole(Model={"X": [1], "Options": {"Mask": {}}}), "Model.Options.Mask is empty; give ent"),
        (whole(Model={"X": [1], "Options": {"Mask": 1}}), "Model.Options.Mask is 1"),
        (whole(Model={"X": [1], "Options": ["a"]}), "Model.Options is"),
        (
            whole(Model={"X": [1], "Options": {"HighPassFilterCutoffHz": 0.01}}),
            "Model.Options 'HighPassFilterCutoffHz' are not supported, only 'Mask'",
        ),
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
def test_whatever_stands_in_a_file_is_read_orwhole(place: tuple[Any, ...], value: Any) -> None:
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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Name": "Replace", "Input": ["a"]}, "Replace has no Replace; add it"),
        (
            {"Name": "Replace", "Input": ["a"], "Replace": {"a": []}},
            "Replace is .* not supp",
        ),
        (
            {"Name": "Replace", "Input": ["a"], "Replace": {}, "Attribute": "onset"},
            "is not supp",
        ),
        ({"Name": "Split", "Input": ["a"]}, "Split has no By; add it"),
        ({"Name": "Split", "Input": ["a"], "By": []}, r"By is \[\]"),
        (
            {"Name": "Split", "Input": ["a"], "By": "b", "Output": ["c"]},
            "Split has Output, but",
        ),
        ({"Name": "Threshold", "Input": ["a"], "Threshold": "1"}, "Threshold is '1'"),
        (
            {"Name": "Threshold", "Input": ["a"], "Binarize": 1},
            "Binarize is 1",
        ),
        (
            {"Name": "Threshold", "Input": ["a"], "Below": True},
            "Threshold has 'Below'",
        ),
    ],
)
def test_instructions_that_are_not_whole_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_stats_model(whole(Transformations=transformed(given)))
