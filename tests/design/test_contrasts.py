# SPDX-License-Identifier: BSD-3-Clause
"""Contrasts: against pandas and nilearn where they read the same, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.contrasts import expression_to_contrast_vector

from groupglm.design.contrasts import contrast_matrix

pytestmark = pytest.mark.quick

COLUMNS = ["group", "age", "intercept", "dose (mg)"]


@pytest.mark.parametrize(
    "expression",
    [
        "group",
        "dose (mg)",
        "group - age",
        "-group",
        "+age",
        " group - age ",
        "(group + age) / 2 - intercept",
        "2 * group - age * .5",
        "group - -age",
        "3 * (group - (age + 2 * intercept)) / 4",
        "`dose (mg)` - group",
        "1e-3 * `dose (mg)` + `group`",
        "group + group",
        "2 / 4 * age",
        "group + 1 - 1",
    ],
)
def test_an_expression_reads_as_in_nilearn(expression: str) -> None:
    found = contrast_matrix(expression, COLUMNS)
    assert found.dtype == np.float64
    # Both do the same few operations in double precision, one column at a time.
    np.testing.assert_array_max_ulp(found, expression_to_contrast_vector(expression, COLUMNS), 2)


_NAMES = ["a", "b2", "c d", "_e"]


def _expressions() -> st.SearchStrategy[str]:
    columns = st.sampled_from(["a", "b2", "`c d`", "_e"])
    numbers = st.integers(1, 9).map(str) | st.sampled_from(["0.5", "2.25", "1e2"])

    def combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return (
            st.builds("({} + {})".format, inner, inner)
            | st.builds("{} - ({})".format, inner, inner)
            | st.builds("{}*({})".format, numbers, inner)
            | st.builds("({}) / {}".format, inner, numbers)
            | st.builds("-({})".format, inner)
        )

    return st.recursive(columns, combine, max_leaves=8)


@settings(max_examples=100, deadline=None)
@given(expression=_expressions())
def test_any_linear_expression_reads_as_in_pandas(expression: str) -> None:
    frame = pd.DataFrame(np.eye(len(_NAMES)), columns=_NAMES)
    result: Any = frame.eval(expression, engine="python")
    expected = result.to_numpy()
    if not expected.any():
        with pytest.raises(ValueError, match="Contrast is null"):
            contrast_matrix(expression, _NAMES)
        return
    found = contrast_matrix(expression, _NAMES)
    # At most a few dozen operations on numbers below 1e2 ** 8 that may cancel.
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=64 * np.finfo(float).eps * scale)


@pytest.mark.parametrize(
    "expression",
    [
        "group * age",
        "group ** 2",
        "group / age",
        "1 / group",
        "group + 1",
        "group * age - group * age",
        "2",
        "group > age",
        "group & age",
        "not group",
        "group if age else 1",
        "group.sum()",
        "group.__class__",
        "sin(group)",
        "abs(group)",
        "[group, age]",
        "group, age",
        "True * group",
        "1j * group",
        "'group'",
        "group[0]",
        "lambda: group",
        "9 ** 9 ** 9 ** 9 * group",
        "group / 0",
        "1e999 * group",
        "(n := 2) * group",
        "__import__('os').system('false')",
    ],
)
def test_what_is_not_a_linear_combination_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="contrast expressions must be linear combinations"):
        contrast_matrix(expression, COLUMNS)


@pytest.mark.parametrize(
    "expression",
    ["", "group -", "@group", "group = age", "group;age", "a b", "gr\x00oup", "\ud800", "`group"],
)
def test_what_does_not_parse_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="is not valid"):
        contrast_matrix(expression, COLUMNS)


@pytest.mark.parametrize(
    "expression",
    ["-" * 10_000 + "group", "(" * 9_000 + "group" + ")" * 9_000, "9" * 6_000 + "*group"],
    ids=["signs", "parentheses", "digits"],
)
def test_an_expression_made_to_exhaust_the_parser_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="is not valid"):
        contrast_matrix(expression, COLUMNS)
    with pytest.raises(ValueError, match="more than 20000"):
        contrast_matrix(expression * 4, COLUMNS)


@pytest.mark.parametrize("expression", ["site:sex", "site:sex - age"])
def test_an_interaction_that_is_not_there_is_no_invalid_syntax(expression: str) -> None:
    with pytest.raises(ValueError, match="joins the factors of an interaction") as told:
        contrast_matrix(expression, ["Intercept", "C(site)[T.2]", "sex[T.m]", "age"])
    assert "invalid syntax" not in str(told.value)
    assert "Available matrix columns are" in str(told.value)


def test_a_long_sum_is_read() -> None:
    names = [f"s{i}" for i in range(1000)]
    np.testing.assert_array_equal(contrast_matrix(" + ".join(names), names), np.ones(1000))


def test_no_code_is_executed(capfd: pytest.CaptureFixture[str]) -> None:
    for expression in ("print('seen')", "[print('seen')]", "group * print('seen')", "@print('x')"):
        with pytest.raises(ValueError, match="is not valid"):
            contrast_matrix(expression, COLUMNS)
    assert capfd.readouterr().out == ""


def test_an_unknown_column_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(ValueError, match=r"'grup' is not defined\. Did you mean 'group'\?") as info:
        contrast_matrix("grup - age", COLUMNS)
    assert str(COLUMNS) in str(info.value)
    with pytest.raises(ValueError, match=r"Did you mean 'dose \(mg\)'"):
        contrast_matrix("dose mg", COLUMNS)
    with pytest.raises(ValueError, match=r"'zzz' is not defined\.\n"):
        contrast_matrix("zzz", COLUMNS)


def test_a_name_that_python_spells_another_way_is_found() -> None:
    # Python's parser turns the micro sign into a Greek letter, which is not the column's name.
    found = contrast_matrix("\u00b5_rate - group", ["group", "\u00b5_rate"])
    np.testing.assert_array_equal(found, [-1, 1])


def test_a_name_that_several_columns_have_is_refused() -> None:
    for expression in ("a", "a - b"):
        with pytest.raises(ValueError, match="2 columns have that name"):
            contrast_matrix(expression, ["a", "b", "a"])
    # The micro sign and the Greek letter are one identifier to Python, but two columns.
    micro, greek = "\u00b5", "\u03bc"
    with pytest.raises(ValueError, match="look the same"):
        contrast_matrix(f"{micro} - x", [greek, micro, "x"])
    found = contrast_matrix(f"`{micro}` - x", [greek, micro, "x"])
    np.testing.assert_array_equal(found, [0, 1, -1])


@pytest.mark.parametrize(
    "contrast",
    [[1, 0, -1], (1, 0, -1), np.array([1, 0, -1], dtype=np.int8), pd.Series([1, 0, -1])],
    ids=["list", "tuple", "array", "series"],
)
def test_a_vector_is_a_t_contrast(contrast: Any) -> None:
    found = contrast_matrix(contrast, ["a", "b", "c"])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [1.0, 0.0, -1.0])


def test_a_matrix_is_an_f_contrast() -> None:
    rows = [[1, 0, -1], [0, 1, 0]]
    np.testing.assert_array_equal(contrast_matrix(rows, ["a", "b", "c"]), rows)
    assert contrast_matrix([[1, 0, 0]], ["a", "b", "c"]).shape == (1, 3)


def test_a_list_of_expressions_is_an_f_contrast() -> None:
    rows: list[Any] = ["a - c", "b", [0, 0, 2]]
    found = contrast_matrix(rows, ["a", "b", "c"])
    np.testing.assert_array_equal(found, [[1, 0, -1], [0, 1, 0], [0, 0, 2]])
    assert contrast_matrix(["a"], ["a", "b"]).shape == (1, 2)
    with pytest.raises(ValueError, match="its row 'a - a'"):
        contrast_matrix(["a - a", "b"], ["a", "b"])


@pytest.mark.parametrize("contrast", [[0, 0, 0], [[0, 0, 0], [0, 0, 0]], [], "a - a"])
def test_a_null_contrast_is_refused_in_the_known_words(contrast: Any) -> None:
    with pytest.raises(ValueError, match=r"Contrast is null\."):
        contrast_matrix(contrast, ["a", "b", "c"])


@pytest.mark.parametrize("contrast", [[1, 0], [1, 0, 0, 0], [[1, 0]], [[[1, 0, 0]]], 1.0])
def test_a_wrong_length_gives_the_shape_and_the_columns(contrast: Any) -> None:
    shape = str(np.shape(contrast)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"shape {shape} .*3 columns.*'a', 'b' and 'c'"):
        contrast_matrix(contrast, ["a", "b", "c"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_contrast_must_be_finite(value: float) -> None:
    with pytest.raises(ValueError, match=rf"finite, but has {value} for 'b'"):
        contrast_matrix([1, value, 0], ["a", "b", "c"])


@pytest.mark.parametrize(
    "contrast", [[[1, 0, 0], [1]], [1, None, "x", {}], [1j, 0, 0], np.array([1j, 0, 0]), object()]
)
def test_what_is_no_number_is_refused(contrast: Any) -> None:
    with pytest.raises(
        ValueError, match=r"is not valid|must be a string, a vector or a matrix|fit"
    ):
        contrast_matrix(contrast, ["a", "b", "c"])


@pytest.mark.parametrize("contrast", [{"a": 1}, {1, 2}, b"a"])
def test_other_containers_are_refused(contrast: Any) -> None:
    with pytest.raises(TypeError, match="must be a string, a vector or a matrix, not"):
        contrast_matrix(contrast, ["a", "b"])


def test_labels_in_another_order_are_refused() -> None:
    contrast = pd.Series([1.0, 0.0], index=["b", "a"])
    with pytest.raises(ValueError, match="in another order"):
        contrast_matrix(contrast, ["a", "b"])
    found = contrast_matrix(contrast[["a", "b"]], ["a", "b"])
    np.testing.assert_array_equal(found, [0, 1])
    with pytest.raises(ValueError, match="in another order"):
        contrast_matrix(pd.DataFrame([[1.0, 0.0]], columns=["b", "a"]), ["a", "b"])


def test_none_needs_a_single_column() -> None:
    np.testing.assert_array_equal(contrast_matrix(None, ["intercept"]), [1.0])
    with pytest.raises(ValueError, match=r"No second-level contrast is specified\."):
        contrast_matrix(None, ["a", "b"])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("group[patient]", "Did you mean 'group[T.patient]'?"),
        ("group[Patient] - age", "Did you mean 'group[T.patient]'?"),
        ("site[2] - site[T.3]", "Did you mean 'C(site)[T.2]'?"),
        ("race['New York']", "Did you mean 'race[T.New York]'?"),
        ("race[New York]", "Did you mean 'race[T.New York]'?"),
        # The reference level has no column; another one would be the wrong suggestion.
        ("group[control]", "The columns of 'group' are 'group[T.patient]'."),
    ],
)
def test_a_level_without_the_mark_of_its_coding_is_told_its_column(written: str, told: str) -> None:
    columns = ["Intercept", "age", "group[T.patient]", "C(site)[T.2]", "C(site)[T.3]",
               "race[T.New York]"]  # fmt: skip
    with pytest.raises(ValueError, match=re.escape(told)):
        contrast_matrix(written, columns)


@pytest.mark.parametrize("text", ["\ud800", "age - \udcff", "age + 2 * \udfff"])
def test_half_a_character_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is half of a character, as of text that is not in UTF-8"):
        contrast_matrix(text, ["age", "b"])
