# SPDX-License-Identifier: BSD-3-Clause
"""Formulas: the design they give, what they refuse, and that they execute nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from groupglm.contrasts import contrast_matrix
from groupglm.inputs.formula import design_from_formula

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
    """statsmodels, through patsy where it is there, is asked for its own design."""
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
        "import sys, groupglm, groupglm.cli, groupglm.second_level, groupglm.inputs.formula;"
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
