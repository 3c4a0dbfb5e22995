# SPDX-License-Identifier: BSD-3-Clause
"""Groups of variance: which designs they split, and how a contrast is split among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import _core
from groupglm.errors import ArgumentError
from groupglm.models.variance_groups import design_groups, group_designs, split_contrast

N = 12
GROUP = np.repeat(["patient", "control", "other"], 4)[np.random.default_rng(0).permutation(N)]
DUMMIES = np.stack([name == GROUP for name in dict.fromkeys(GROUP)], axis=1).astype(np.float64)
AGE = np.random.default_rng(1).normal(40, 10, N)


def codings() -> dict[str, NDArray[np.float64]]:
    one = np.ones((N, 1))
    return {
        "a column for each group": DUMMIES,
        "an intercept and dummies": np.hstack([one, DUMMIES[:, 1:]]),
        "an intercept and a dummy for every group": np.hstack([one, DUMMIES]),
        "sums": np.hstack([one, DUMMIES[:, :2] - DUMMIES[:, 2:]]),
        "a covariate within each group": np.hstack([DUMMIES, DUMMIES * AGE[:, None]]),
        "an interaction": np.hstack(
            [one, DUMMIES[:, 1:], AGE[:, None], DUMMIES[:, 1:] * AGE[:, None]]
        ),
        "extreme units": np.hstack([1e9 * one, 1e-7 * DUMMIES[:, 1:]]),
    }


def names_of(X: NDArray[np.float64]) -> tuple[str, ...]:
    return tuple(f"c{column}" for column in range(X.shape[1]))


@pytest.mark.parametrize("coding", codings())
def test_a_design_is_split_however_it_is_coded(coding: str) -> None:
    X = codings()[coding]
    groups = group_designs(GROUP, X, names_of(X))
    assert [group.name for group in groups] == list(dict.fromkeys(GROUP))
    for group in groups:
        own = group.name == GROUP
        np.testing.assert_array_equal(group.rows, np.flatnonzero(own))
        np.testing.assert_array_equal(X[own][:, group.columns], group.X)
        assert not X[own][:, np.setdiff1d(np.arange(X.shape[1]), group.columns)].any()
        assert group.rank == np.linalg.matrix_rank(X[own] / np.abs(X).max(axis=0))
        assert group.df_residual == np.count_nonzero(own) - group.rank


@pytest.mark.parametrize("coding", codings())
def test_the_parts_of_a_contrast_are_estimated_by_their_groups_and_add_up(coding: str) -> None:
    X = codings()[coding]
    groups = group_designs(GROUP, X, names_of(X))
    y = np.random.default_rng(2).normal(size=N)
    # Differences of fitted values of some images are estimable, whatever the coding.
    weights = np.random.default_rng(3).normal(size=(2, N))
    contrast = weights @ X
    parts = split_contrast(groups, _core.Design(np.ascontiguousarray(X)).gains(contrast))
    total, effect = np.zeros_like(contrast), np.zeros(2)
    for group, part in zip(groups, parts, strict=True):
        assert part is not None
        total[:, group.columns] += part
        length = np.abs(X).max(axis=0)[group.columns]
        beta = np.linalg.lstsq(group.X / length, y[group.rows], rcond=None)[0] / length
        effect += part @ beta
    np.testing.assert_allclose(total, contrast, rtol=1e-10, atol=1e-12 * np.abs(contrast).max())
    fitted = X @ (np.linalg.pinv(X / np.abs(X).max(axis=0)) @ y / np.abs(X).max(axis=0))
    np.testing.assert_allclose(effect, weights @ fitted, rtol=1e-9)


def test_a_group_without_a_part_in_a_contrast_is_left_out() -> None:
    groups = group_designs(GROUP, DUMMIES, names_of(DUMMIES))
    design = _core.Design(np.ascontiguousarray(DUMMIES))
    one, none, other = split_contrast(groups, design.gains(np.array([[1.0, 0, -1]])))
    assert none is None
    assert one is not None
    assert other is not None
    np.testing.assert_allclose([one[0, 0], other[0, 0]], [1, -1], rtol=1e-14)


@pytest.mark.parametrize(
    "labels",
    [
        GROUP.tolist(),
        pd.Series(GROUP),
        pd.Categorical(GROUP),
        pd.factorize(GROUP)[0],
        pd.factorize(GROUP)[0].astype(str),
    ],
)
def test_labels_of_any_type_make_the_same_groups(labels: Any) -> None:
    groups = group_designs(labels, DUMMIES, names_of(DUMMIES))
    expected = group_designs(GROUP, DUMMIES, names_of(DUMMIES))
    for found, wanted in zip(groups, expected, strict=True):
        np.testing.assert_array_equal(found.rows, wanted.rows)


def test_a_number_and_its_text_are_the_same_label() -> None:
    mixed = [1, "1", 1, 2, "2", 2]
    X = np.repeat(np.eye(2), 3, axis=0)
    assert [group.name for group in group_designs(mixed, X, ("a", "b"))] == ["1", "2"]


@pytest.mark.parametrize(
    ("X", "names", "shared"),
    [
        (np.column_stack([DUMMIES, AGE]), ("a", "b", "c", "age"), "column 'age': its coefficient"),
        (
            np.column_stack([np.ones(N), DUMMIES[:, 1:], AGE]),
            ("intercept", "b", "c", "age"),
            "column 'age': its coefficient",
        ),
        (np.ones((N, 1)), ("intercept",), "column 'intercept': its coefficient"),
        (
            np.column_stack([DUMMIES, AGE, AGE**2]),
            ("a", "b", "c", "age", "age_2"),
            "columns 'age' and 'age_2': their coefficients",
        ),
        (
            np.column_stack([np.ones(N), DUMMIES[:, 1]]),
            ("intercept", "b"),
            "groups 'other', 'patient' and 'control' share the column 'intercept'",
        ),
    ],
)
def test_shared_columns_are_refused_by_name(
    X: NDArray[np.float64], names: tuple[str, ...], shared: str
) -> None:
    with pytest.raises(ArgumentError, match=shared) as caught:
        group_designs(GROUP, X, names)
    assert "one column for each group" in str(caught.value)


def test_small_groups_are_refused_with_their_counts() -> None:
    labels = ["a", "b", "b", "c", "c", "c"]
    X = np.zeros((6, 4))
    X[0, 0] = X[1:3, 1] = X[3:, 2] = 1
    X[1:3, 3] = [1, 2]
    with pytest.raises(ArgumentError) as caught:
        group_designs(labels, X, ("a", "b", "c", "age_b"), argument="groups")
    assert str(caught.value) == (
        "these groups are too small to estimate a variance of their own: 'a' (1 image and 1 "
        "coefficient of its own), 'b' (2 images and 2 coefficients of its own); join groups, add "
        "images, or drop columns that are particular to few images"
    )
    with pytest.raises(ArgumentError, match=r"a group is too small .* its own: 'a' \(1 image"):
        group_designs(["a", "b", "b", "b", "b", "b"], np.eye(2)[[0, 1, 1, 1, 1, 1]], ("a", "b"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * N, "has the label 'a' for all 12 images; it must be labels of two groups"),
        (["a", "b"], r"has shape \(2,\); it must be \(12,\), one label for each image"),
        ([None, *GROUP[1:]], "has a missing label in row 1"),
        ("abc", r"has shape \(\)"),
        (
            np.ma.masked_array(np.arange(N), [True] + [False] * (N - 1)),
            "has a missing label in row 1",
        ),
    ],
)
def test_wrong_labels_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"variance_groups {message}"):
        group_designs(labels, DUMMIES, names_of(DUMMIES))


def test_the_groups_of_a_design_are_those_that_no_column_joins() -> None:
    X = np.hstack([DUMMIES, DUMMIES[:, :1] * AGE[:, None]])
    first, second, third = dict.fromkeys(GROUP)
    names = (first, second, third, "age")
    label = {first: f"{first} and age", second: second, third: third}
    expected = tuple(label[name] for name in GROUP)
    assert design_groups(X, names, argument="groups") == expected


@pytest.mark.parametrize(
    ("X", "names", "joined"),
    [
        (np.column_stack([np.ones(N), DUMMIES[:, 1:]]), ("one", "b", "c"), "joined by 'one'"),
        (
            np.column_stack([np.arange(N) < 8, np.arange(N) > 4]).astype(float),
            ("early", "late"),
            "joined by columns they share",
        ),
    ],
)
def test_a_design_that_separates_nothing_is_refused(
    X: NDArray[np.float64], names: tuple[str, ...], joined: str
) -> None:
    with pytest.raises(ArgumentError, match=joined) as caught:
        design_groups(X, names, argument="groups")
    assert "UnequalVariances(groups=labels)" in str(caught.value)
