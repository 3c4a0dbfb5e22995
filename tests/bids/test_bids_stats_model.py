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
