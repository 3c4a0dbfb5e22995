# SPDX-License-Identifier: BSD-3-Clause
"""Covariates that deceive: a wrong entry, twin levels, empty levels; in every function."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm import design_from_formula, make_second_level_design_matrix
from groupglm.bids.stats_model import StatsModel
from groupglm.tabular.covariates import level_counts

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


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "column",
    [
        pd.Series([Decimal(age) for age in AGES], dtype=object),
        pd.Series([*map(Decimal, AGES[:5]), *AGES[5:]], dtype=object),
        pd.Series(AGES, dtype="UInt8"),
        pd.Series(AGES, dtype="Float32"),
        pd.Series(AGES, dtype=np.float16),
    ],
    ids=["decimals", "some decimals", "UInt8", "Float32", "float16"],
)
def test_numbers_of_every_type_are_numbers(door: Any, column: pd.Series[Any]) -> None:
    table = people(age=column.set_axis(LABELS))
    plain = people(age=np.array(AGES, dtype=np.float64))
    pd.testing.assert_frame_equal(door(table), door(plain), check_exact=True)


def test_large_numbers_without_sign_stay_positive() -> None:
    ages = [2**63 + 2**20, *AGES[1:]]
    table = people(age=pd.Series(ages, index=LABELS, dtype="UInt64"))
    for door in (by_formula, by_confounds):
        np.testing.assert_array_equal(door(table)["age"], np.array(ages, dtype=np.float64))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime.date(2020, 1, 2), "of type date"),
        (26 + 0j, "of type complex"),
        ((26, 27), "of type tuple"),
        (b"26", "of type bytes"),
        (np.array([26]), "of type ndarray"),
        (True, "of type bool"),
        (10**400, "of type int"),
    ],
)
def test_what_is_neither_number_nor_text_is_refused(door: Any, value: Any, words: str) -> None:
    entries: Any = [*AGES[:2], value, *AGES[3:]]
    series = pd.Series([None] * N, index=LABELS, dtype=object)
    for label, entry in zip(LABELS, entries, strict=True):
        series.at[label] = entry  # noqa: PD008  (an array is one entry)
    with pytest.raises(ValueError, match=rf"'age' of .* holds .*\({words}\) for subject 02; make"):
        door(people(age=series))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("entry", ["n/a", " N/A ", "NaN", "<NA>", "NA", "\u00a0n/a"])
@pytest.mark.parametrize("dtype", [object, "str", "category"])
def test_the_words_of_files_for_missing_are_no_level(door: Any, entry: str, dtype: Any) -> None:
    sex = pd.Series([*SEX[:6], entry, *SEX[7:]], index=LABELS, dtype=dtype)
    with pytest.raises(ValueError, match=r"(no value|NaN values).*0?6"):
        door(people(age=AGES, sex=sex))


@pytest.mark.parametrize("backend", ["masked", "sparse"])
def test_nan_is_missing_where_pandas_does_not_say_so(backend: str) -> None:
    values = np.array([*AGES[:3], np.nan, *AGES[4:]], dtype=np.float64)
    column: Any = pd.arrays.SparseArray(values)
    if backend == "masked":
        column = pd.arrays.FloatingArray(values, np.zeros(N, dtype=bool))
    table = people(age=pd.Series(column, index=LABELS))
    for formula in ("~ age + sex", "~ C(age) + sex"):
        with pytest.raises(ValueError, match="no value for 'age' of subject 03"):
            design_from_formula(formula, table)
    with pytest.raises(ValueError, match="NaN values"):
        by_confounds(table)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("level", "twin"),
    [
        ("Mu\u0308ller", "M\u00fcller"),  # composed or not, as file systems differ
        ("m", "m\u200b"),  # a blank without width
        ("m", "\ufeffm"),  # a byte order mark within a table
        ("m", "\uff4d"),  # a letter of full width
        ("2", "2.0"),
        ("2", "02"),
        ("1000", "1e3"),
    ],
)
def test_levels_that_look_alike_are_refused(door: Any, level: str, twin: str) -> None:
    sex = [*["f", "g", "h"] * 3, level, level, twin]
    with pytest.raises(
        ValueError, match=r"levels that differ in .*\(subject 11\); write them alike"
    ):
        door(people(age=AGES, sex=sex))


def test_levels_that_float64_cannot_tell_apart_are_two() -> None:
    codes = ["12345678901234567890", "12345678901234567891", "1e999999999999999999999", "0"] * 3
    assert design_from_formula("~ C(sex)", people(sex=codes)).shape == (N, 4)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "mark", ["{}%", "{} %", "\N{MINUS SIGN}{}", "1,{}0,000", "1.{}0,5", "1 {}0"]
)
def test_numbers_with_marks_are_no_levels(door: Any, mark: str) -> None:
    with pytest.raises(ValueError, match=r"'age' of .* holds numbers, but "):
        door(people(age=[mark.format(age) for age in AGES]))
