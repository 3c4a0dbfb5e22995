# SPDX-License-Identifier: BSD-3-Clause
"""Formulas: the design they give, what they refuse, and that they execute nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from groupglm.design.contrasts import contrast_matrix
from groupglm.design.formula.building import design_from_columns, design_from_formula
from groupglm.design.origins import origins_of, recorded_origins

pytestmark = pytest.mark.quick

TABLE = pd.DataFrame(
    {
        "age": [20.0, 31, 42, 25, 36, 58],
        "group": ["patient", "control", "patient", "control", "control", "patient"],
        "site": [1, 2, 3, 1, 2, 3],
        "dose (mg)": [1.0, 2, 4, 8, 16, 32],
        "hole": [1.0, np.nan, 3, 4, np.nan, 6],
        "code": ["a", "b", "c", "d", "e", "f"],
        "same": ["x"] * 6,
    },
    index=[f"{i:02d}" for i in range(1, 7)],
)


@pytest.mark.parametrize(
    "formula",
    [
        "~ age + C(group)",
        "~ age * group",
        "~ 0 + group + age",
        "~ C(site) + np.log(age)",
        "~ I(age ** 2) + age",
        "~ age:group",
    ],
)
def test_the_design_spans_what_patsys_does(formula: str) -> None:
    """statsmodels builds its own design, with patsy if that is installed."""
    pytest.importorskip("patsy")
    wanted = smf.ols(f"y {formula}", TABLE.assign(y=TABLE["age"])).exog
    found = design_from_formula(formula, TABLE).to_numpy()
    assert found.shape == wanted.shape
    # Columns may be in another order: each of ours is one of patsy's, both exactly representable
    # sums and products of the table's numbers (a logarithm may differ in the last bit).
    for column in found.T:
        assert np.isclose(wanted, column[:, None], rtol=1e-15, atol=0).all(axis=0).any()


def test_rows_keep_their_labels_and_numbers_their_values() -> None:
    design = design_from_formula("~ age + C(group)", TABLE)
    assert list(design) == ["Intercept", "age", "C(group)[T.patient]"]
    assert list(design.index) == list(TABLE.index)
    np.testing.assert_array_equal(design["age"], TABLE["age"])
    np.testing.assert_array_equal(design["C(group)[T.patient]"], TABLE["group"] == "patient")
    assert set(design.dtypes) == {np.dtype(np.float64)}


def test_a_name_that_is_no_identifier_goes_in_backticks() -> None:
    design = design_from_formula("~ `dose (mg)` + np.log(`dose (mg)`)", TABLE)
    np.testing.assert_allclose(design.iloc[:, 2], np.log(TABLE["dose (mg)"]), rtol=1e-15)


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("~ ages", r"names 'ages'.*Did you mean 'age'.*'age', 'group', 'site'"),
        ("~ poly(weight, 2)", r"names 'weight', which the participants table does not have"),
        ("~ hole", r"no value for 'hole' of subjects 02, 05"),
        ("~ np.log(hole)", r"no value for 'hole' of subjects 02, 05"),
        ("~ code", "each subject has another one"),
        ("~ same", "'x' for every subject"),
        ("~ C(same)", "'x' for every subject"),
        ("age ~ group", "left-hand side"),
        ("~ age | group", "several parts"),
        ("~ age +", "cannot be used"),
        ("~ (age", "cannot be used"),
        ("~ .", "cannot be used"),
        ("~ 0", "gives no column"),
        ("~ np.log(age - 20)", "gives -inf in column 'np.log.age - 20.' for subject 01"),
        ("~ " + "age + " * 1000 + "age", "characters"),
        ("~ age\x00", "cannot be used|does not have"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_what_cannot_be_a_design_is_refused(formula: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        design_from_formula(formula, TABLE)


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("~ poly(age, 5000000)", r"degree is 5000000; it must be a whole number from 1 to 20"),
        ("~ bs(age, degree=3000)", r"degree is 3000; it must be a whole number from 0 to 20"),
        ("~ bs(age, df=5000000)", r"df is 5000000; it must be a whole number from 1 to 50"),
        ("~ I(age ** 5000000)", "an exponent is a number up to 20"),
        ("~ (" + " + ".join(f"c{i}" for i in range(40)) + ")**20", "more than 20000 products"),
        ("~ " + " * ".join(f"c{i}" for i in range(40)), "interaction of 7 factors, more than 6"),
    ],
)
def test_a_bound_is_told(formula: str, told: str) -> None:
    columns = {f"c{i}": np.random.default_rng(i).normal(size=60) for i in range(40)}
    table = pd.DataFrame({"age": np.arange(60.0), **columns})
    with pytest.raises(ValueError, match=told):
        design_from_formula(formula, table)


def test_an_infinite_entry_of_the_table_is_to_be_corrected_there() -> None:
    table = pd.DataFrame({"age": [20.0, 30.0, np.inf]}, index=["01", "02", "03"])
    told = r"gives inf in column 'age' for subject 03; correct 'age' in the table, or write n/a"
    with pytest.raises(ValueError, match=told):
        design_from_formula("~ age", table)


ATTACKS = [
    "__import__('os').system('touch {path}')",
    "open('{path}', 'w')",
    "C(open('{path}', 'w'))",
    "np.save('{path}', age)",
    "np.log.__class__(age)",
    "age.to_csv('{path}')",
    "age.__class__",
    "(lambda: open('{path}', 'w'))()",
    "[open('{path}', 'w') for i in age][0]",
    "np.array(age)",
    "age.values",
    "exec('x')",
    "getattr(age, 'values')",
    "C(group, contr.custom(age))",
    "(age := 3)",
    "f'{{age}}'",
    "9 ** 9 ** 9",
    "age ** site",
    "log(age).tofile('{path}')",
    "`age`.__class__",
    "I(np)",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("wrapping", ["{}", "{{{}}}", "I({})", "age + C(group) + {{{}}}"])
def test_code_in_a_formula_is_refused_and_not_run(
    attack: str, wrapping: str, tmp_path: Path
) -> None:
    path = tmp_path / "touched"
    code = attack.format(path=path)
    with pytest.raises(ValueError, match="formula"):
        design_from_formula("~ " + wrapping.format(code), TABLE)
    assert not path.exists()


def test_transforms_learn_from_the_rows_given() -> None:
    part = TABLE.iloc[:4]
    found = design_from_formula("~ center(age)", part)["center(age)"]
    np.testing.assert_allclose(found, part["age"] - part["age"].mean(), rtol=0, atol=1e-14)


def test_the_formulas_names_need_no_backticks_in_the_estimators_contrasts() -> None:
    columns = ["age", "group[T.b]", "C(group, contr.treatment(base='x'))[T.c]", "np.log(age)"]
    expression = "age - 2*group[T.b] + C(group, contr.treatment(base='x'))[T.c] - np.log(age)/4"
    np.testing.assert_array_equal(contrast_matrix(expression, columns), [1, -2, 1, -0.25])
    # What can be read as an expression of plain names still is.
    np.testing.assert_array_equal(contrast_matrix("a - b", ["a", "b", "2*a - b"]), [1, -1, 0])
    np.testing.assert_array_equal(contrast_matrix("3*a-b", ["a", "b", "a-b"]), [3, -1, 0])


def test_formulaic_is_loaded_by_a_formula_only() -> None:
    code = (
        "import sys, groupglm, groupglm.cli, groupglm.estimator.second_level;"
        "import groupglm.design.formula.building;"
        "print('formulaic' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - this interpreter, our code
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "False\n"


def test_a_table_without_columns_names_none() -> None:
    table = pd.DataFrame(index=["01", "02"])
    assert design_from_formula("~ 1", table).shape == (2, 1)
    with pytest.raises(ValueError, match=r"names 'age', which .* Its columns are: none"):
        design_from_formula("~ age", table)


def test_nesting_by_in_is_the_interaction_alone() -> None:
    """As R's help page of ``formula`` has it: ``a + b %in% a`` expands to ``a + a:b``."""
    for formula in ("~ age %in% group", "~ age:group"):
        design = design_from_formula(formula, TABLE)
        assert list(design) == ["Intercept", "age:group[control]", "age:group[patient]"]
        patient = (TABLE["group"] == "patient").to_numpy()
        np.testing.assert_array_equal(design.iloc[:, 2], np.where(patient, TABLE["age"], 0))


@pytest.mark.filterwarnings("ignore:age..2 in a formula is age itself")
@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("~ 0 + (age + site + hot)**2", "age site hot age:site age:hot site:hot"),
        ("~ 0 + (age + site + hot)^3 - age:site:hot", "age site hot age:site age:hot site:hot"),
        ("~ 0 + age*site %in% hot", "age site:hot age:site:hot"),
        ("~ 0 + age*site:hot", "age site:hot age:site:hot"),
        ("~ 0 + age/site/hot", "age age:site age:site:hot"),
        ("~ 0 + (age + site)/hot", "age site age:site:hot"),
        ("~ age - 1", "age"),
        ("~ 0 + age + 1", "Intercept age"),
        ("~ 0 + site:age + age:site", "site:age"),
        ("~ 0 + age**2", "age"),
    ],
)
def test_terms_and_precedence_are_those_of_r(formula: str, columns: str) -> None:
    """As R's help pages of ``formula`` and ``Syntax`` say, by hand."""
    table = TABLE.assign(hot=[1.0, 3, 2, 5, 4, 7])
    design = design_from_formula(formula, table)
    assert list(design) == columns.split()
    for name in columns.split():
        product = np.prod([table.get(part, np.ones(6)) for part in name.split(":")], axis=0)
        np.testing.assert_array_equal(design[name], product)


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("~ `Intercept`", "column 'Intercept', which would be mistaken for the intercept"),
        ("~ `1`", "column '1', which would be mistaken for the intercept"),
        ("~ a:b + `a:b`", "3 columns, but only 2 different names"),
        ("~ I(a) + `I(a)`", "column 'I.a.' and the expression 'I.a.'"),
        ("~ hidden", "level '__x' begins with two underscores"),
        ("~ C(two) + 0", "2 columns, but only 1 different name|different names"),
        ("~ double", "2 columns that are called 'double'"),
        ("~ when", "holds datetime64"),
        ("~ wave", "holds complex128"),
        ("~ C(one)", "1 for every subject"),
        ("~ poly(few, 3)", "only 3 different values"),
        ("~ - a", "takes away 'a', which is not a term before it"),
        ("~ a - b", "takes away 'b'"),
        ("~ a + -1", r"'\+' and '-' in a row at character 7; write one '-'"),
        ("~ 2:a", "a multiple of a column is I"),
    ],
)
def test_no_column_is_dropped_or_made_in_silence(formula: str, told: str) -> None:
    table = pd.DataFrame(
        {
            "a": [1.0, 2, 3, 5, 8, 13],
            "b": [2.0, 3, 5, 7, 11, 13],
            "a:b": [3.0, 1, 4, 1, 5, 9],
            "I(a)": [3.0, 1, 4, 1, 5, 9],
            "1": [3.0, 1, 4, 1, 5, 9],
            "Intercept": [3.0, 1, 4, 1, 5, 9],
            "hidden": ["__x", "y", "y"] * 2,
            "two": pd.Series([1, "1", 1] * 2, dtype=object),
            "one": [1] * 6,
            "few": [1, 2, 3] * 2,
            "when": pd.to_datetime(["2020-01-01", "2020-01-02"] * 3),
            "wave": np.array([1j, 2, 3] * 2),
        }
    )
    table = pd.concat([table, table[["a", "b"]].set_axis(["double", "double"], axis=1)], axis=1)
    with pytest.raises(ValueError, match=told):
        design_from_formula(formula, table)
    assert design_from_formula("~ 0 + `Intercept` + `1`", table).shape == (6, 2)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("exp10(age / 20)", lambda age: 10.0 ** (age / 20)),
        ("I(age ** 2)", lambda age: age * age),
        ("I(-age + 2 * (age - 1) / 4)", lambda age: -age + (age - 1) / 2),
        ("{1 / age}", lambda age: 1 / age),
        ("I((age > 30) & ~(age >= 42) | (age == 20))", lambda age: [1, 1, 0, 0, 1, 0]),
        ("I(30 < age <= 42)", lambda age: [0, 1, 1, 0, 1, 0]),
        ("I(group == 'patient')", lambda age: [1, 0, 1, 0, 0, 1]),
        ("np.where(age > 30, np.log(age - 19), 0)", lambda a: np.where(a > 30, np.log(a - 19), 0)),
        ("np.clip(age, 25, 40)", lambda age: np.clip(age, 25, 40)),
        ("np.maximum(age, 10 * site)", lambda age: np.maximum(age, [10, 20, 30, 10, 20, 30])),
        ("scale(age)", lambda age: (age - age.mean()) / age.std(ddof=1)),
        ("standardize(age)", lambda age: (age - age.mean()) / age.std()),
        ("center(`dose (mg)`)", lambda age: np.array([1, 2, 4, 8, 16, 32]) - 10.5),
        ("I(site ** 20)", lambda age: np.array([1, 2, 3, 1, 2, 3.0]) ** 20),
    ],
)
def test_expressions_have_their_values(expression: str, values: Any) -> None:
    before = TABLE.copy(deep=True)
    found = design_from_formula(f"~ 0 + {expression}", TABLE).iloc[:, 0]
    wanted = np.asarray(values(TABLE["age"].to_numpy()), dtype=float)
    np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-14)
    pd.testing.assert_frame_equal(TABLE, before)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "string", "category"])
def test_columns_of_every_type_of_pandas(dtype: str) -> None:
    values: Any = [1, 0, 1, 0, 1, 1]
    words = ["no", "yes"]
    column: Any = pd.Series([words[value] for value in values] if dtype == "string" else values)
    table = pd.DataFrame({"x": column.astype(dtype)})
    found = design_from_formula("~ x", table).iloc[:, 1]
    np.testing.assert_array_equal(found, values)


def test_a_category_keeps_its_order_and_has_no_empty_column() -> None:
    dose = pd.Categorical(list("mhmhll"), categories=["h", "m", "l", "unused"])
    design = design_from_formula("~ dose", TABLE.assign(dose=dose))
    assert list(design) == ["Intercept", "dose[T.m]", "dose[T.l]"]


def test_a_product_with_zero_is_no_minus_zero() -> None:
    table = pd.DataFrame({"age": [-7.5, 2.5, 5.0], "sex": ["F", "M", "F"]})
    design = design_from_formula("~ age * sex", table).to_numpy()
    assert not np.signbit(design[design == 0]).any()


def test_columns_of_any_name_make_a_design() -> None:
    table = TABLE.rename(columns={"age": "a`b) + exit(", "site": "1"})
    design = design_from_columns(["a`b) + exit("], table, intercept=True)
    assert list(design) == ["Intercept", "a`b) + exit("]


def test_a_design_keeps_no_more_than_a_million_numbers_of_a_variable() -> None:
    ages = np.random.default_rng(0).normal(size=60_000)
    few, many = (
        design_from_formula("~ cr(age, df=20)", pd.DataFrame({"age": ages[:n]}))
        for n in (50_000, 50_001)
    )
    assert origins_of(few)["age"] == ages[:50_000].tolist()
    assert recorded_origins(many) == {}


@pytest.mark.parametrize("formula", ["~ age + age^2", "~ age**2", "~ group + (age)**2"])
def test_a_power_of_one_column_is_the_column_and_is_warned_of(formula: str) -> None:
    with pytest.warns(UserWarning, match=r"age\*\*2 in a formula is age itself.*I\(age\*\*2\)"):
        design = design_from_formula(formula, TABLE)
    np.testing.assert_array_equal(design["age"], TABLE["age"])
    squared = design_from_formula("~ age + I(age**2)", TABLE)  # as the warning says
    np.testing.assert_array_equal(squared.iloc[:, 2], TABLE["age"] ** 2)
    design_from_formula("~ (age + site)**2 + age**1", TABLE)  # without a warning
