# SPDX-License-Identifier: BSD-3-Clause
"""Covariates that are not what they seem: a stray entry, twin levels, empty levels; every door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm import design_from_formula, make_second_level_design_matrix
from groupglm.bids.stats_model import StatsModel
from groupglm.covariates import level_counts

pytestmark = pytest.mark.quick

AGES = [30, 27, 26, 23, 23, 20, 20, 20, 22, 29, 27, 30]
N = len(AGES)
LABELS = [f"{i:02d}" for i in range(N)]
SEX = ["m", "f"] * 6


def people(**columns: Any) -> pd.DataFrame:
    ages = [str(age) for age in AGES]
    return pd.DataFrame({"age": ages, "sex": SEX, **columns}, index=pd.Index(LABELS, name="id"))


def by_formula(table: pd.DataFrame) -> pd.DataFrame:
    return design_from_formula("~ age + sex", table)


def by_confounds(table: pd.DataFrame) -> pd.DataFrame:
    confounds = table.assign(subject_label=LABELS)[["subject_label", "age", "sex"]]
    return make_second_level_design_matrix(LABELS, confounds)


def node(x: tuple[str, ...], *instructions: dict[str, Any], formula: str | None = None) -> Any:
    return StatsModel("m", "n", None, {}, True, x, formula, instructions, (), None, None)


FACTOR = {"Name": "Factor", "Input": ["sex"], "Output": []}


def by_model(table: pd.DataFrame) -> pd.DataFrame:
    design: pd.DataFrame = node(("intercept", "age", "sex.f"), FACTOR).design_matrix(table)
    return design


def by_demeaned_model(table: pd.DataFrame) -> pd.DataFrame:
    demean = {"Name": "Demean", "Input": ["age"], "Output": []}
    design: pd.DataFrame = node(("intercept", "age"), demean, FACTOR).design_matrix(table)
    return design


def by_model_formula(table: pd.DataFrame) -> pd.DataFrame:
    design: pd.DataFrame = node((), formula="~ 1 + age + sex").design_matrix(table)
    return design


DOORS: list[Callable[[pd.DataFrame], pd.DataFrame]] = [
    by_formula, by_confounds, by_model, by_demeaned_model, by_model_formula
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "entry", ["26,5", "89+", ".", "?", "unknown", "26.5 y", "26.5.", "-", "o6"]
)
def test_one_stray_entry_makes_no_category_of_numbers(door: Any, entry: str) -> None:
    table = people()
    table.loc["02", "age"] = entry
    with pytest.raises(ValueError, match=r"column 'age' of .* holds numbers, but ") as caught:
        door(table)
    said = str(caught.value)
    assert f"{entry!r} for subject 02, so that it would be a category of 7 levels" in said
    assert ("write a decimal point (26.5 for 26,5)" in said) == (entry == "26,5")


@pytest.mark.parametrize("door", DOORS)
def test_numbers_with_decimal_commas_are_called_so(door: Any) -> None:
    table = people(age=[f"{age},5" for age in AGES])
    with pytest.raises(ValueError, match=r"write a decimal point \(30\.5 for 30,5\)"):
        door(table)
    mostly_missing = people(age=["30", "27", "25", "26", *["unknown"] * 8])
    with pytest.raises(ValueError, match=r"'unknown' for subject 04.* of 5 levels"):
        door(mostly_missing)


@pytest.mark.parametrize("door", DOORS[:2])
def test_numbers_as_text_are_refused_and_numbers_as_objects_are_numbers(door: Any) -> None:
    with pytest.raises(ValueError, match=r"'age' of .* numbers written as text, such as '30'"):
        door(people())
    objects = people(age=pd.Series(AGES, index=LABELS, dtype=object))
    np.testing.assert_array_equal(door(objects)["age"], AGES)
    mixed = people(age=pd.Series([*AGES[:-1], "x"], index=LABELS, dtype=object))
    with pytest.raises(ValueError, match="'x' for subject 11"):
        door(mixed)


def test_what_is_declared_a_category_is_one() -> None:
    table = people(site=[*"1231231231", "2b", "2b"])
    with pytest.raises(ValueError, match=r"'2b' for subject 10, '2b' for .* by C\(site\)"):
        design_from_formula("~ site", table)
    design = design_from_formula("~ C(site)", table)
    assert list(design.columns) == ["Intercept", *(f"C(site)[T.{x}]" for x in ("2", "2b", "3"))]
    with pytest.raises(ValueError, match="'2b' for subject 10"):
        design_from_formula("~ C(site) + site", table)
    declared = table.assign(site=table["site"].astype("category"))
    assert design_from_formula("~ site", declared).shape == (N, 4)
    names = list(by_confounds(declared.assign(age=declared["site"])).columns)
    assert names == ["age[T.2]", "age[T.2b]", "age[T.3]", "sex[T.m]", "intercept"]
    # Words are categories, also with a number among them.
    words = people(age=AGES, sex=["a", "b", "1"] * 4)
    assert by_formula(words).shape == (N, 4)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("twin", ["M", "m ", " m", "M "])
def test_levels_that_differ_in_case_or_blanks_are_refused(door: Any, twin: str) -> None:
    table = people(age=AGES)
    table.loc["06", "sex"] = twin
    with pytest.raises(ValueError, match="levels that differ in case or blanks") as caught:
        door(table)
    told = f"'m' (subjects 00, 02, 04, 08, 10) and {twin!r} (subject 06); write them alike"
    assert told in str(caught.value)


@pytest.mark.parametrize("door", DOORS)
def test_blanks_are_no_level(door: Any) -> None:
    table = people(age=AGES)
    table.loc["06", "sex"] = "  "
    with pytest.raises(ValueError, match=r"(no value|NaN values).*0?6"):
        door(table)


@pytest.mark.parametrize("door", [by_formula, by_confounds, by_model_formula])
def test_unused_levels_give_no_column(door: Any) -> None:
    sex = pd.Categorical(SEX, categories=["x", "m", "f", "other"])
    design = door(people(age=AGES, sex=sex))
    assert sorted(str(name).lower() for name in design.columns) == ["age", "intercept", "sex[t.f]"]
    assert np.linalg.matrix_rank(design.to_numpy()) == 3
    with pytest.raises(ValueError, match=r"('m' for every|one level, 'm')"):
        door(people(age=AGES, sex=pd.Categorical(["m"] * N, categories=["m", "f"])))


def test_levels_are_counted() -> None:
    assert level_counts(pd.Series(["b", "a", "b", None])) == {"a": 1, "b": 2}
    declared = pd.Series(pd.Categorical(["b", "a", "b"], categories=["c", "b", "a"]))
    assert list(level_counts(declared).items()) == [("b", 2), ("a", 1)]
    assert level_counts(pd.Series([2, 10, 2])) == {"2": 2, "10": 1}
