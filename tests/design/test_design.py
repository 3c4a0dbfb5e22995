# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices: what is accepted, what is refused and in which words, and dependent columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm.design.collinearity import describe_contrast
from groupglm.design.matrix import (
    check_design_matrix,
    confounded_columns,
    describe_dependence,
    load_design_matrix,
    variance_inflation,
)

pytestmark = pytest.mark.quick


def _design() -> pd.DataFrame:
    return pd.DataFrame({"group": [0.0, 1.0, 0.0, 1.0], "age": [-1.5, 0.25, 2.0, 1e-3]})


class TestLoad:
    def test_a_table_is_returned_as_it_is(self) -> None:
        frame = _design()
        assert load_design_matrix(frame) is frame

    @pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
    @pytest.mark.parametrize("as_type", [str, Path])
    def test_a_file_is_read(
        self, tmp_path: Path, suffix: str, separator: str, as_type: Any
    ) -> None:
        path = tmp_path / f"design{suffix}"
        _design().to_csv(path, sep=separator, index=False)
        pd.testing.assert_frame_equal(load_design_matrix(as_type(path)), _design())

    @pytest.mark.parametrize("wrong", [None, 3, np.eye(2), {"a": [1]}])
    def test_another_type_is_refused(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match=r"must be a str, pathlib\.Path or a pandas\.DataFrame"):
            load_design_matrix(wrong)

    def test_another_suffix_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "design.xlsx"
        path.write_text("a\n1\n")
        with pytest.raises(ValueError, match=r"can only be TSV or CSV.*design\.xlsx"):
            load_design_matrix(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"nowhere\.tsv', and there is no such file"):
            load_design_matrix(tmp_path / "nowhere.tsv")

    def test_an_empty_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "design.csv"
        path.write_text("")
        with pytest.raises(ValueError, match=r"design\.csv' cannot be read as a table"):
            load_design_matrix(path)

    @pytest.mark.parametrize(
        ("suffix", "text", "words"),
        [
            (".csv", "age\tintercept\n31\t1\n24\t1\n", r"separated by tabs, but its suffix \.csv"),
            (".csv", "age\tintercept\n31,5\t1\n24,0\t1\n", "separated by tabs"),
            (".csv", "age;intercept\n31,5;1\n24,0;1\n", "separated by semicolons"),
            (".tsv", "age,intercept\n31,1\n24,1\n", r"separated by commas.*stands for tabs"),
        ],
    )
    def test_a_separator_that_the_suffix_does_not_promise(
        self, tmp_path: Path, suffix: str, text: str, words: str
    ) -> None:
        path = tmp_path / f"design{suffix}"
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            load_design_matrix(path)

    def test_one_column_may_have_any_name(self, tmp_path: Path) -> None:
        path = tmp_path / "design.tsv"
        path.write_text("dose, mg\n1\n2\n")
        assert load_design_matrix(path).columns.tolist() == ["dose, mg"]

    def test_a_saved_row_index_is_no_regressor(self, tmp_path: Path) -> None:
        path = tmp_path / "design.csv"
        _design().to_csv(path)
        with pytest.raises(ValueError, match=r"row index.*index=False"):
            load_design_matrix(path)


class TestCheck:
    def test_values_come_back_as_float64_in_c_order(self) -> None:
        frame = pd.DataFrame(
            {
                "flag": [True, False, True],
                "count": np.array([1, 2, 3], dtype=np.int8),
                "single": np.array([0.5, 1.5, 2.5], dtype=np.float32),
                "nullable": pd.array([1, 0, 1], dtype="Int64"),
                "object": pd.Series([1, 2.5, True], dtype=object),
            }
        )
        values = check_design_matrix(frame, 3)
        assert values.dtype == np.float64
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(
            values, [[1, 1, 0.5, 1, 1], [0, 2, 1.5, 0, 2.5], [1, 3, 2.5, 1, 1]]
        )

    def test_the_values_are_a_copy(self) -> None:
        frame = _design()
        check_design_matrix(frame, None)[:] = 7.0
        pd.testing.assert_frame_equal(frame, _design())

    def test_number_of_rows(self) -> None:
        with pytest.raises(
            ValueError,
            match=r"'design_matrix' does not match the number of maps considered\. "
            r"4 rows in design matrix do not match with 5 maps\.",
        ):
            check_design_matrix(_design(), 5)

    @pytest.mark.parametrize(
        "column",
        [
            ["a", "b", "a", "b"],
            pd.Categorical(["x", "y", "x", "y"]),
            pd.date_range("2020-01-01", periods=4),
            [1j, 2j, 0j, 1j],
            pd.Series([1.0, "2", 3.0, 4.0], dtype=object),
        ],
        ids=["text", "category", "date", "complex", "object"],
    )
    def test_non_numeric_columns_are_named(self, column: Any) -> None:
        frame = _design().assign(site=column)
        with pytest.raises(ValueError, match=r"non-numeric columns: 'site'.*get_dummies"):
            check_design_matrix(frame, 4)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_an_entry_that_is_not_finite_is_located(self, value: float) -> None:
        frame = _design()
        frame.index = pd.Index(["sub-1", "sub-2", "sub-3", "sub-4"])
        frame.loc["sub-3", "age"] = value
        with pytest.raises(ValueError, match=rf"{value} in column 'age', row 3 \(.*'sub-3'\)"):
            check_design_matrix(frame, 4)

    def test_a_row_number_is_shown_as_a_number(self) -> None:
        frame = pd.DataFrame({"a": [1.0, np.nan]}, index=np.array([5, 1]))
        with pytest.raises(ValueError, match=r"row 2 \(labelled 1\)"):
            check_design_matrix(frame)

    def test_a_missing_nullable_entry_is_located(self) -> None:
        frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
        with pytest.raises(ValueError, match=r"nan in column 'a', row 2"):
            check_design_matrix(frame, 2)

    def test_a_long_list_of_bad_entries_is_cut(self) -> None:
        frame = pd.DataFrame({"a": np.full(20, np.nan)})
        with pytest.raises(ValueError, match=r"and 12 more"):
            check_design_matrix(frame, 20)

    def test_repeated_names_are_refused(self) -> None:
        frame = pd.DataFrame(np.eye(3), columns=["a", "b", "a"])
        with pytest.raises(ValueError, match=r"more than one column named 'a'"):
            check_design_matrix(frame, 3)

    def test_no_columns_and_no_rows(self) -> None:
        with pytest.raises(ValueError, match="has no columns"):
            check_design_matrix(pd.DataFrame(index=range(3)), 3)
        with pytest.raises(ValueError, match="has no rows"):
            check_design_matrix(_design().iloc[:0], None)


TWO_GROUPS = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1]], dtype=float)
NAMES = ["a", "b", "intercept"]


class TestDescribeDependence:
    def test_two_groups_and_an_intercept(self) -> None:
        assert (
            describe_dependence(TWO_GROUPS, NAMES)
            == "columns 'a', 'b' and 'intercept' are linearly dependent"
        )

    def test_the_columns_outside_the_dependence_are_not_named(self) -> None:
        age = np.array([[1.0], [3.0], [-2.0], [5.0]])
        X = np.hstack([age, TWO_GROUPS])
        found = describe_dependence(X, ["age", *NAMES])
        assert found == "columns 'a', 'b' and 'intercept' are linearly dependent"

    def test_full_rank_is_an_empty_string(self) -> None:
        assert describe_dependence(TWO_GROUPS[:, :2], NAMES[:2]) == ""

    def test_units_do_not_matter(self) -> None:
        X = TWO_GROUPS * [1e-9, 1e9, 1.0]
        assert "'a', 'b' and 'intercept'" in describe_dependence(X, NAMES)
        # Nearly the same columns in wildly different units are still independent.
        assert describe_dependence(np.array([[1e12, 1.0], [0.0, 1e-6]]), ["x", "y"]) == ""

    def test_a_column_of_zeros(self) -> None:
        X = np.column_stack([np.zeros(4), TWO_GROUPS[:, 0]])
        assert describe_dependence(X, ["none", "a"]) == "column 'none' is zero throughout"

    def test_several_dependences(self) -> None:
        X = np.column_stack([TWO_GROUPS, 2 * TWO_GROUPS[:, 0]])
        found = describe_dependence(X, [*NAMES, "double"])
        assert "columns 'a', 'b' and 'intercept' are" in found
        assert "columns 'a' and 'double' are" in found

    def test_fewer_rows_than_columns(self) -> None:
        X = np.random.default_rng(0).normal(size=(2, 4))
        assert "fewer rows (2) than columns (4)" in describe_dependence(X, list("abcd"))

    def test_at_the_border_of_the_tolerance_something_is_still_named(self) -> None:
        # The last column's own part is 2e-12 long, so the largest pivots decide; the words must
        # not be missing when the rank does come out as 2.
        X = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 2e-12 * np.sqrt(2)]])
        assert describe_dependence(X, NAMES) == (
            "columns 'a', 'b' and 'intercept' are linearly dependent"
        )

    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 4))
    def test_a_named_set_is_dependent_and_as_small_as_can_be(self, seed: int, n_parts: int) -> None:
        generator = np.random.default_rng(seed)
        X = generator.normal(size=(20, 7))
        parts = generator.choice(6, size=n_parts, replace=False)
        X[:, 6] = X[:, parts] @ generator.uniform(1, 2, size=n_parts)
        order = generator.permutation(7)
        names = [f"c{k}" for k in order]
        expected = {f"c{k}" for k in (*parts, 6)}
        found = describe_dependence(X[:, order], names)
        assert {name for name in names if f"'{name}'" in found} == expected


class TestConfoundedColumns:
    @pytest.mark.parametrize("contrast", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, -1]])
    def test_not_estimable(self, contrast: list[float]) -> None:
        assert confounded_columns(TWO_GROUPS, NAMES, contrast) == ("a", "b", "intercept")

    @pytest.mark.parametrize("contrast", [[1, -1, 0], [1, 0, 1], [0.5, 0.5, 1]])
    def test_estimable(self, contrast: list[float]) -> None:
        assert confounded_columns(TWO_GROUPS, NAMES, contrast) == ()

    def test_only_the_dependence_in_the_way_is_named(self) -> None:
        age = np.array([1.0, 3.0, -2.0, 5.0])
        X = np.column_stack([TWO_GROUPS, age, 12 * age])
        names = [*NAMES, "years", "months"]
        assert confounded_columns(X, names, [0, 0, 0, 1, 0]) == ("years", "months")
        assert confounded_columns(X, names, [1, 0, 0, 0, 0]) == ("a", "b", "intercept")
        assert confounded_columns(X, names, [1, -1, 0, 0, 0]) == ()
        assert confounded_columns(X, names, [[1, -1, 0, 0, 0], [0, 0, 0, 0, 1]]) == (
            "years",
            "months",
        )

    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_agrees_with_the_row_space(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        X = generator.integers(-1, 2, size=(8, 5)).astype(float)
        X[:, 4] = X[:, 0] - X[:, 1]
        contrast = generator.integers(-1, 2, size=5).astype(float)
        distance = np.linalg.norm(contrast - contrast @ np.linalg.pinv(X) @ X)
        # Small whole numbers: the distance is 0 up to rounding, or of the order of 1.
        assert (distance > 1e-6) == bool(confounded_columns(X, list("abcde"), contrast))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1, 0, 0], "'a'"),
        ([-1, 0, 0.5], "'- a + 0.5 c'"),
        ([1, -1, 0], "'a - b'"),
        ([0, 1 / 3, -2], "'0.333333 b - 2 c'"),
    ],
)
def test_a_contrast_is_written_as_one_would_type_it(weights: list[float], expected: str) -> None:
    assert describe_contrast(weights, ["a", "b", "c"]) == expected


def test_a_contrast_of_many_columns_is_given_in_numbers() -> None:
    assert describe_contrast(np.ones(9), list("abcdefghi")) == str([1.0] * 9)


@pytest.mark.parametrize("intercept", [True, False])
def test_variance_inflation_equals_statsmodels(intercept: bool) -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    X = rng.normal([0, 5, 0], [1, 5, 1e-3], (30, 3))
    X = np.column_stack([X, X[:, 0] + 0.05 * rng.normal(size=30)])
    if intercept:
        X = np.column_stack([X, np.ones(30)])
    explained = [sm.OLS(X[:, j], np.delete(X, j, axis=1)).fit().rsquared for j in range(4)]
    wanted = 1 / (1 - np.array(explained))
    np.testing.assert_allclose(variance_inflation(X)[:4], wanted, rtol=1e-8)
    assert wanted.max() > 100  # the test sees collinear columns


def test_a_number_beyond_float64_is_refused_by_name() -> None:
    frame = pd.DataFrame({"size": pd.Series([10**400, 1], dtype=object)})
    with pytest.raises(ValueError, match="too large for float64 in column 'size'"):
        check_design_matrix(frame)
