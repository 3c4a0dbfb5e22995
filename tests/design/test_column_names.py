# SPDX-License-Identifier: BSD-3-Clause
"""Columns of a formula's design in contrasts: as the user wrote them, and whole factors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from groupglm.bids.stats_model import ModelContrast
from groupglm.design.column_names import ColumnNames
from groupglm.design.contrasts import contrast_matrix, term_columns
from groupglm.design.formula.building import design_from_formula
from reference.shell import basic, make_study, run_fit

pytestmark = pytest.mark.quick

TABLE = pd.DataFrame(
    {
        "age": [20.0, 31, 25, 40, 33, 28, 22, 39],
        "group": list("abababab"),
        "site": [1, 2, 3, 1, 2, 3, 1, 2],
        "dose (mg)": [1.0, 2, 4, 8, 16, 32, 3, 9],
        "who": ["it's", 'a "b"', "c: d", "it's", 'a "b"', "c: d", "it's", 'a "b"'],
    }
)


@pytest.mark.parametrize(
    ("formula", "written", "column"),
    [
        ("~ age + I(age**2)", "I(age**2)", "I(age ** 2)"),
        ("~ age + I(age**2)", "I( age ** 2 )", "I(age ** 2)"),
        ("~ age + I((age)**2)", "I((age)**2)", "I(age ** 2)"),
        ("~ I(1e3*age)", "I(1e3*age)", "I(1000.0 * age)"),
        (
            '~ C(group, Treatment("b"))',
            'C(group, Treatment("b"))[T.a]',
            "C(group, Treatment('b'))[T.a]",
        ),
        (
            '~ C(group,Treatment("b"))',
            "C(group,Treatment('b'))[T.a]",
            "C(group, Treatment('b'))[T.a]",
        ),
        ('~ C(group,Treatment("b"))', "group[T.a]", "C(group, Treatment('b'))[T.a]"),
        ("~ poly(age,2)", "poly(age,2)[2]", "poly(age, 2)[2]"),
        ("~ bs(age,df=4)", "bs(age,df=4)[1]", "bs(age, df=4)[1]"),
        ("~ np.log(age+1)", "np.log(age+1)", "np.log(age + 1)"),
        ("~ np.log(`dose (mg)`)", "np.log(`dose (mg)`)", "np.log(`dose (mg)`)"),
        ("~ `dose (mg)`:group", "`dose (mg)`:group[a]", "dose (mg):group[a]"),
        ("~ age*group", "group[T.b]:age", "age:group[T.b]"),
        ("~ C(site)*C(group)", "group[T.b]:site[T.3]", "C(site)[T.3]:C(group)[T.b]"),
        ("~ C(site)*C(group)", "C(group)[T.b] : site[T.3]", "C(site)[T.3]:C(group)[T.b]"),
        ("~ C(site)", "C(site)[T.2]", "C(site)[T.2]"),
        ("~ C(site)", "site[T.2]", "C(site)[T.2]"),
        ("~ who", "who[T.it's]", "who[T.it's]"),
        ("~ who", "who[T.c: d]", "who[T.c: d]"),
        ("~ age", "intercept", "Intercept"),
        ("~ age", "Intercept", "Intercept"),
    ],
)
def test_a_column_is_named_as_the_formula_was_written(
    formula: str, written: str, column: str
) -> None:
    columns = [str(name) for name in design_from_formula(formula, TABLE)]
    place = columns.index(column)
    unit = np.eye(len(columns))[place]
    np.testing.assert_array_equal(contrast_matrix(written, columns), unit)
    np.testing.assert_array_equal(contrast_matrix(f"{written} = 0", columns), unit)
    other = columns[0] if place else columns[1]
    expression = f"(2*{written} - 3 * {written})/4 + `{other}`"
    wanted = -unit / 4 + np.eye(len(columns))[columns.index(other)]
    np.testing.assert_array_equal(contrast_matrix(expression, columns), wanted)
    in_model = ModelContrast("c", (written,), ((1.0,),), "t")
    np.testing.assert_array_equal(in_model.over(columns), unit)


@pytest.mark.parametrize(
    ("formula", "term", "n_columns"),
    [
        ("~ age + C(site)", "site", 2),
        ("~ age + C(site)", "C(site)", 2),
        ("~ age + C(site)", "C( site )", 2),
        ("~ age + C(site)", "site = 0", 2),
        ("~ 0 + C(site) + age", "site", 3),
        ("~ age*C(site)", "age:site", 2),
        ("~ age*C(site)", "C(site):age", 2),
        ("~ age + C(site)*group", "group:site", 2),
        ("~ poly(age,2)", "poly(age,2)", 2),
        ("~ bs(age,df=4) + group", "bs(age,df=4)", 4),
    ],
)
def test_a_factor_is_the_f_over_its_columns(formula: str, term: str, n_columns: int) -> None:
    """The rows are those of the columns that are absent from the design without the term."""
    design = design_from_formula(formula, TABLE)
    columns = [str(name) for name in design]
    found = contrast_matrix(term, columns)
    assert found.shape == (n_columns, len(columns))
    assert ((found == 0) | (found == 1)).all()
    assert (found.sum(axis=1) == 1).all()
    chosen = [columns[int(np.argmax(row))] for row in found]
    assert chosen == term_columns(term, columns)
    other = next(name for name in columns if name not in chosen)
    assert len(contrast_matrix([term, other], columns)) == n_columns + 1


def test_a_factor_of_two_levels_is_its_one_column() -> None:
    columns = list(design_from_formula("~ age + group", TABLE))
    np.testing.assert_array_equal(contrast_matrix("group", columns), [[0, 0, 1]])


def test_a_factor_within_an_expression_names_its_columns() -> None:
    columns = list(design_from_formula("~ age + C(site)", TABLE))
    with pytest.raises(ValueError, match=r"'site' is a factor; .*'C\(site\)\[T.2\]' and 'C"):
        contrast_matrix("site - age", columns)


@pytest.mark.parametrize(
    ("contrast", "words"),
    [
        (0, "not numbered: for column 0 write 'Intercept'"),
        (1, "not numbered: for column 1 write 'age'"),
        ("0", "not numbered: for column 0 write 'Intercept'"),
        ("1", "not numbered: for column 1 write 'age'"),
        ("age = 5", "is not valid"),
        ("age = site", "is not valid"),
        ("[0, 1]", r"shape \(2,\) does not fit the 3 columns"),
        ("[0, 0, 0]", "Contrast is null"),
        ("[0, age, 0]", "'age' in a list is not a number"),
    ],
)
def test_what_is_not_a_contrast_says_what_to_write(contrast: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        contrast_matrix(contrast, ["Intercept", "age", "group[T.b]"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[0, 0, 1]", [0, 0, 1]),
        ("(0, -1/2, 1e0)", [0, -0.5, 1]),
        ("[[0, 1, 0], [0, 0, 1]]", [[0, 1, 0], [0, 0, 1]]),
    ],
)
def test_numbers_as_text(text: str, wanted: list[object]) -> None:
    np.testing.assert_array_equal(contrast_matrix(text, ["a", "b", "c"]), wanted)


def test_an_expression_is_never_taken_for_the_column_that_looks_like_it() -> None:
    np.testing.assert_array_equal(contrast_matrix("a - b", ["a", "b", "a-b"]), [1, -1, 0])
    np.testing.assert_array_equal(contrast_matrix("a-b", ["a", "b", "a-b"]), [0, 0, 1])
    np.testing.assert_array_equal(contrast_matrix("`a-b` + a", ["a", "b", "a-b"]), [1, 0, 1])


def test_a_short_name_that_two_columns_could_have_is_none() -> None:
    columns = ["C(group)[T.b]", "C(group, contr.sum())[T.b]", "C(a)[T.1]", "a[T.1]"]
    names = ColumnNames(columns)
    assert names.column("group[T.b]") is None
    assert names.column("C(group)[T.b]") == "C(group)[T.b]"
    assert names.column("a[T.1]") == "a[T.1]"
    assert ColumnNames(["Intercept", "intercept"]).column("INTERCEPT") is None


@pytest.mark.parametrize("intercept", ["intercept", "Intercept"])
def test_the_intercept_is_one_in_every_door(intercept: str) -> None:
    for columns in (["age", "intercept"], ["age", "Intercept"]):
        np.testing.assert_array_equal(contrast_matrix(intercept, columns), [0, 1])
        np.testing.assert_array_equal(contrast_matrix(f"age - {intercept}", columns), [1, -1])
        found = ModelContrast("c", (intercept,), ((2.0,),), "t").over(columns)
        np.testing.assert_array_equal(found, [0, 2])


def test_the_command_takes_them_too(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    for formula, contrast, words in (
        ("~ age + I(age**2)", "I(age**2)", "I(age**2): t of I(age**2)"),
        ("~ age*group", "group[T.patient]:age", "t of group[T.patient]:age"),
        ("~ poly(age,2)", "poly(age,2)", "F of poly(age, 2)[1]; poly(age, 2)[2]"),
        ("~ age + group", "group", "t of group[T.patient]"),
        ("~ age + group", "group = 0", "t of group[T.patient]"),
        ("~ age + group", "[0, 0, 1]", "t of [0, 0, 1]"),
        ("~ age + group", "both=age; group", "both: F of age; group[T.patient]"),
        ("~ age", "INTERCEPT", "t of INTERCEPT"),
    ):
        arguments = basic(study, tmp_path / "out", "--dry-run")
        place = arguments.index("--contrast")
        arguments[arguments.index("--formula") + 1] = formula
        arguments[place + 1 : place + 4] = [contrast]
        done = run_fit(*arguments)
        assert done.exit_code == 0, done.output
        assert words in " ".join(done.output.split())
