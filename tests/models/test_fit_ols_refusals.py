# SPDX-License-Identifier: BSD-3-Clause
"""What fit_ols and its contrasts refuse, and that they say why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import (
    SecondLevelModel,
    fit_ols,
    make_second_level_design_matrix,
    non_parametric_inference,
    permuted_ols,
)
from groupglm.errors import NotEstimableError, RankDeficientWarning
from reference import designs

X = designs.two_sample().X
Y = designs.simulate(designs.two_sample(), 11)


def test_rows_that_do_not_match() -> None:
    with pytest.raises(ValueError, match=r"21.*22|22.*21"):
        fit_ols(X, Y[:-1])


@pytest.mark.parametrize(
    ("bad_X", "bad_Y"),
    [
        (X[:, 0], Y),
        (X[None], Y),
        (X[:, :0], Y),
        (X[:0], Y[:0]),
        (X, Y[:, 0]),
        (X, Y[:, :, None]),
        (np.float64(3.0), Y),
        (X, np.float64(3.0)),
    ],
)
def test_wrong_shapes_name_what_was_found(bad_X: Any, bad_Y: Any) -> None:
    with pytest.raises(ValueError, match=r"[XY]") as refused:
        fit_ols(bad_X, bad_Y)
    shapes = [str(np.shape(a)) for a in (bad_X, bad_Y)]
    assert any(shape in str(refused.value) for shape in shapes), str(refused.value)


def test_no_voxels_is_an_empty_answer() -> None:
    fit = fit_ols(X, Y[:, :0])
    assert fit.beta.shape == (3, 0)
    assert fit.contrast([1.0, -1.0, 0.0]).stat.shape == (0,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_design_must_be_finite(value: float) -> None:
    bad = X.copy()
    bad[5, 2] = value
    with pytest.raises(ValueError, match=r"X.*5|5.*X"):
        fit_ols(bad, Y)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint8, np.bool_, np.float16, ">f8"])
def test_other_number_types_are_converted(dtype: Any) -> None:
    other = (10 * Y).astype(dtype)
    found = fit_ols(X, other)
    np.testing.assert_array_equal(found.beta, fit_ols(X, other.astype(np.float64)).beta)


@pytest.mark.parametrize("bad", [Y.astype(object), Y.astype(complex), Y.astype(str)])
def test_what_is_no_real_number_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"Y is an array of .*; it must hold real numbers"):
        fit_ols(X, bad)
    with pytest.raises(TypeError, match=r"X is an array of .*; it must hold real numbers"):
        fit_ols(X.astype(bad.dtype), Y)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_residual_degrees_of_freedom(n: int) -> None:
    with pytest.raises(ValueError, match=r"degrees? of freedom"):
        fit_ols(np.eye(3)[:n] + np.eye(3, k=1)[:n], np.ones((n, 4)))


@pytest.mark.parametrize("n_threads", [-1, 0])
def test_a_number_of_threads_below_one(n_threads: int) -> None:
    with pytest.raises(ValueError, match=rf"n_threads.*{n_threads}"):
        fit_ols(X, Y, n_threads=n_threads)


@pytest.mark.parametrize(
    "bad", [[1.0], [1.0, -1.0], [1.0, -1.0, 0.0, 0.0], [[1.0, 0.0]], np.ones((1, 1, 3)), [], [[]]]
)
def test_contrast_of_the_wrong_shape(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"contrast has shape .*; it must be \(3,\) or"):
        fit_ols(X, Y).contrast(bad)


@pytest.mark.parametrize("bad", [[0.0, 0.0, 0.0], [[0.0, 0.0, 0.0]], np.zeros((2, 3))])
def test_contrast_of_zeros(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"(?i)zero"):
        fit_ols(X, Y).contrast(bad)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_contrast_that_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match=r"(?i)finite|nan|inf"):
        fit_ols(X, Y).contrast([1.0, value, 0.0])


def test_unknown_stat_type() -> None:
    fit: Any = fit_ols(X, Y)
    with pytest.raises(ValueError, match=r"stat_type.*'z'"):
        fit.contrast([1.0, 0.0, 0.0], stat_type="z")
    with pytest.raises(ValueError, match=r"(?s)2.*row|row.*2"):
        fit.contrast([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], stat_type="t")


def test_a_deficient_design_warns_and_refuses_what_it_cannot_estimate() -> None:
    design = designs.overparametrised()
    data = designs.simulate(design, 5)
    with pytest.warns(RankDeficientWarning, match=r"rank 4.*5|4 of 5|rank.*4"):
        fit = fit_ols(design.X, data)
    for bad in ([1.0, 0, 0, 0, 0], [0.0, 1, 0, 0, 0], [[0.0, 1, -1, 0, 0], [0.0, 1, 0, 0, 0]]):
        with pytest.raises(NotEstimableError, match=r"contrast '.*' is not estimable"):
            fit.contrast(bad)
    assert issubclass(NotEstimableError, ValueError)


def test_units_do_not_decide_the_rank() -> None:
    """Columns of size 1e-9 and 1e9 are independent all the same, and so are their contrasts."""
    rng = np.random.default_rng(0)
    plain = np.column_stack([np.ones(20), rng.normal(size=(20, 2))])
    units = np.array([1.0, 1e-9, 1e9])
    data = rng.normal(size=(20, 6))
    found, wanted = fit_ols(plain * units, data), fit_ols(plain, data)
    assert found.rank == wanted.rank == 3
    for c in np.eye(3):
        np.testing.assert_allclose(found.contrast(c).stat, wanted.contrast(c).stat, rtol=1e-10)


@pytest.mark.parametrize("rank", [1, 3])
def test_many_more_columns_than_images_are_refused_at_once(rank: int) -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(3, rank)) @ rng.normal(size=(rank, 6000))
    data, labels = np.ones((3, 5)), list("abc")
    frame = pd.DataFrame(wide, columns=[f"c{i}" for i in range(6000)])
    images: Any = [nib.Nifti1Image(np.full((3, 3, 3), i, "f4"), np.eye(4)) for i in range(3)]  # type: ignore[no-untyped-call]
    doors: list[Callable[[], Any]] = [
        lambda: fit_ols(wide, data),
        lambda: fit_ols(frame, data),
        lambda: permuted_ols(wide[:, 0], data, wide, n_perm=5),
        lambda: SecondLevelModel().fit(images, design_matrix=frame),
        lambda: non_parametric_inference(
            images, design_matrix=frame, second_level_contrast="c0", n_perm=5
        ),
        lambda: make_second_level_design_matrix(labels, frame.assign(subject_label=labels)),
    ]
    for door in doors:
        with pytest.raises(ValueError, match=r"60.. columns for 3 images; at most 106 are allowed"):
            door()
    # Codings with a column for every level stay below.
    with pytest.warns(RankDeficientWarning):
        fit_ols(np.ones((4, 108)), np.arange(8.0).reshape(4, 2))
