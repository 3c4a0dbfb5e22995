# SPDX-License-Identifier: BSD-3-Clause
"""What fit_weighted refuses, and places and sizes that are special."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm import fit_weighted
from groupglm.errors import ArgumentError, NotEstimableError, RankDeficientWarning
from groupglm.models.weighted import Weighted

pytestmark = pytest.mark.quick

N, V = 9, 5
X = np.column_stack([np.ones(N), np.arange(N, dtype=np.float64)])
_RNG = np.random.default_rng(2)
Y = _RNG.normal(size=(N, V))
W = _RNG.uniform(0.5, 2, (N, V))
Z = _RNG.normal(size=(1, N, V))


def changed(values: Any, place: Any, value: float) -> Any:
    own = values.copy()
    own[place] = value
    return own


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ({"W": W[:-1]}, "W", r"W has shape \(8, 5\); .*\(9, 5\).* or \(9,\)"),
        ({"W": W[0]}, "W", r"W has shape \(5,\)"),
        ({"W": changed(W, (2, 3), -1.0)}, "W", r"1 negative weight .*-1\.0 \(W\[2, 3\]\)"),
        ({"W": 0 * W}, "W", "no weight above 0"),
        ({"W": changed(W, (4, slice(2)), np.inf)}, "W", r"2 infinite values in row 5 \(W\[4\]\)"),
        ({"Z": Z[0]}, "Z", r"Z has shape \(9, 5\).*Z\[None\]"),
        ({"Z": Z[:0]}, "Z", r"Z has shape \(0, 9, 5\)"),
        ({"Z": changed(Z, (0, 7, 1), -np.inf)}, "Z", r"1 infinite value in row 8 \(Z\[0\]\[7\]\)"),
        ({"Y": changed(Y, (1, 0), np.inf)}, "Y", r"1 infinite value in row 2 \(Y\[1\]\)"),
        ({"Y": Y[:4], "W": W[:4]}, "Y", "4 rows, but X has 9"),
        ({"X": changed(X, (1, 1), np.nan)}, "X", "nan in row 2"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], argument: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as raised:
        fit_weighted(**({"X": X, "Y": Y} | arguments))
    assert raised.value.argument == argument


def test_covariates_take_degrees_of_freedom() -> None:
    with pytest.raises(ValueError, match=r"freedom: 9 images .* 7 voxelwise"):
        fit_weighted(X, Y, Z=_RNG.normal(size=(7, N, V)))


def test_a_covariate_has_a_name_of_its_own() -> None:
    fit = fit_weighted(pd.DataFrame(X, columns=["one", "z0"]), Y, Z=Z)
    assert fit.column_names == ("one", "z0", "z_0")
    with pytest.raises(ArgumentError, match="'age', which is the name of another column"):
        Weighted(covariates=("age",)).prepare(X, ("one", "age"))
    with pytest.raises(ArgumentError, match="'age', which is the name of another column"):
        Weighted(covariates=("age", "age")).prepare(X, ("one", "two"))


def test_a_covariate_that_is_constant_at_a_voxel_estimates_nothing_there() -> None:
    own = Z.copy()
    own[0, :, 2] = 3.0
    own[0, :, 3] = 0.0
    fit = fit_weighted(X, Y, W, own)
    np.testing.assert_array_equal(fit.rank, [3, 3, 2, 2, 3])
    np.testing.assert_array_equal(fit.df_residual, [6, 6, 7, 7, 6])
    constant = np.array([False, False, True, True, False])
    for stat_type in ("t", "F"):
        result = fit.contrast([0, 0, 1], stat_type=stat_type)
        np.testing.assert_array_equal(np.isnan(result.stat), constant)
        np.testing.assert_array_equal(np.isnan(result.p_value), constant)
    slope = fit.contrast([0, 1, 0])
    without = fit_weighted(X, Y, W).contrast([0, 1])
    np.testing.assert_allclose(slope.stat[constant], without.stat[constant], rtol=1e-12)
    own[...] = 3.0
    with pytest.raises(NotEstimableError, match=r"'z0'.* is the same in all images"):
        fit_weighted(X, Y, W, own).contrast([0, 0, 1])
    # The mean is not told from the covariate: it is named, not the design.
    with pytest.raises(NotEstimableError, match=r"'z0'.* is the same in all images"):
        fit_weighted(X, Y, W, own).contrast([1, 0, 0])
    twice = X[:, [0, 1, 1]]
    with pytest.warns(RankDeficientWarning):
        confounded = fit_weighted(twice, Y, W, Z)
    with pytest.raises(NotEstimableError, match="cannot tell apart the columns '1' and '2'"):
        confounded.contrast([0, 1, 0, 0])


def test_a_column_of_zeros_and_dependent_columns() -> None:
    zeros = np.column_stack([X, np.zeros(N)])
    with pytest.warns(RankDeficientWarning, match="column '2' is zero throughout"):
        fit = fit_weighted(zeros, Y, W)
    wanted = fit_weighted(X, Y, W)
    np.testing.assert_allclose(fit.contrast([0, 1, 0]).stat, wanted.contrast([0, 1]).stat)
    np.testing.assert_allclose(fit.r_square, wanted.r_square)
    assert fit.rank == 2
    assert fit.df_residual == 7
    with pytest.raises(NotEstimableError):
        fit.contrast([0, 0, 1])
    halves = np.repeat([[1.0, 0.0], [0.0, 1.0]], [4, 5], axis=0)
    with pytest.warns(RankDeficientWarning):
        fit = fit_weighted(np.column_stack([np.ones(N), halves]), Y, W)
    wanted = fit_weighted(halves, Y, W)
    own, same = fit.contrast([0, 1, -1]), wanted.contrast([1, -1])
    np.testing.assert_allclose(own.stat, same.stat, rtol=1e-11)
    np.testing.assert_allclose(own.effect_variance, same.effect_variance, rtol=1e-11)
    both, again = fit.contrast([[1, 1, 0], [1, 0, 1]]), wanted.contrast(np.eye(2))
    np.testing.assert_allclose(both.stat, again.stat, rtol=1e-11)
    with pytest.raises(NotEstimableError, match="'0', '1' and '2'"):
        fit.contrast([1, 0, 0])


def test_a_group_that_a_voxel_lacks() -> None:
    halves = np.repeat([[1.0, 0.0], [0.0, 1.0]], [4, 5], axis=0)
    holes = Y.copy()
    holes[:4, 1] = np.nan
    holes[:, 4] = np.nan
    fit = fit_weighted(halves, holes, W)
    np.testing.assert_array_equal(fit.n_observations, [9, 5, 9, 9, 0])
    np.testing.assert_array_equal(fit.rank, [2, 1, 2, 2, 0])
    difference, second = fit.contrast([-1, 1]), fit.contrast([0, 1])
    np.testing.assert_array_equal(np.isnan(difference.stat), [0, 1, 0, 0, 1])
    np.testing.assert_array_equal(np.isnan(second.stat), [0, 0, 0, 0, 1])
    alone = fit_weighted(np.ones((5, 1)), Y[4:, 1:2], W[4:, 1:2]).contrast([1])
    np.testing.assert_allclose(second.stat[1], alone.stat[0], rtol=1e-12)
    assert np.isnan(fit.beta[:, 4]).all()
    assert np.isnan(fit.mean[4])


@pytest.mark.parametrize("n_voxels", [0, 1, 31, 33])
def test_any_number_of_voxels_in_any_layout(n_voxels: int) -> None:
    rng = np.random.default_rng(9)
    data, weights = rng.normal(size=(N, n_voxels)), rng.uniform(0.5, 2, (N, n_voxels))
    covariates = rng.normal(size=(2, N, n_voxels))
    plain = fit_weighted(X, data, weights, covariates)
    laid_out = fit_weighted(
        X, np.asfortranarray(data), weights[::-1, ::-1].copy()[::-1, ::-1],
        np.asfortranarray(covariates),
    )  # fmt: skip
    assert plain.beta.shape == (4, n_voxels)
    np.testing.assert_array_equal(plain.beta, laid_out.beta)
    c = [0, 1, 0, -1]
    np.testing.assert_array_equal(plain.contrast(c).stat, laid_out.contrast(c).stat)
    for threads in (1, 3):
        fit = fit_weighted(X, data, weights, covariates, n_threads=threads)
        np.testing.assert_array_equal(fit.contrast(c).z_score, plain.contrast(c).z_score)


def test_types_that_differ_are_brought_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupglm.models.weighted_arrays._BATCH_BYTES", 200)  # a row at a time
    single = Y.astype(np.float32)
    fit = fit_weighted(X, single, W, Z.astype(">f8"))
    wanted = fit_weighted(X, single.astype(np.float64), W, Z)
    np.testing.assert_allclose(fit.beta, wanted.beta, rtol=1e-13)
    np.testing.assert_allclose(fit.X, wanted.X)
    with pytest.raises(ArgumentError, match=r"in row 8 \(W\[7\]\)"):
        fit_weighted(X, single, changed(W, (7, 0), np.inf))


def test_a_constant_voxel_has_no_effect_beyond_its_mean() -> None:
    data = np.full((N, 2), 0.1)
    data[:, 1] = 0.0
    fit = fit_weighted(X, data, W[:, :2])
    np.testing.assert_array_equal(fit.rss, 0.0)
    np.testing.assert_array_equal(fit.contrast([0, 1]).stat, 0.0)
    np.testing.assert_array_equal(fit.contrast([0, 1], stat_type="F").stat, 0.0)
    np.testing.assert_array_equal(fit.contrast([1, 0]).stat, [np.inf, 0.0])
    assert np.isnan(fit.r_square).all()


@pytest.mark.parametrize("unit", [1e-170, 1e-130, 1e130, 1e170])
def test_units_whose_squares_no_double_holds_give_no_test(unit: float) -> None:
    with np.errstate(over="ignore"):
        fit = fit_weighted(X, unit * Y, W)
    plain = fit_weighted(X, Y, W)
    np.testing.assert_allclose(fit.beta / unit, plain.beta, rtol=1e-12)
    for contrast in ([0, 1], np.eye(2)):
        if 1e-140 < unit < 1e140:
            found, wanted = fit.contrast(contrast).stat, plain.contrast(contrast).stat
            np.testing.assert_allclose(found, wanted, rtol=1e-11)
        else:
            with pytest.raises(ArgumentError, match="beyond double precision"):
                fit.contrast(contrast)


def test_masked_values_and_data_frames() -> None:
    labels = [f"sub-{number}" for number in range(N)]
    frame = pd.DataFrame(Y, index=labels)
    weights = pd.DataFrame(W, index=labels)
    shuffled: Any = frame.iloc[::-1]
    fit = fit_weighted(pd.DataFrame(X, index=labels), shuffled, weights)
    np.testing.assert_allclose(fit.beta, fit_weighted(X, Y, W).beta, rtol=1e-12)
    masked = np.ma.array(Y, mask=np.eye(N, V, dtype=bool))
    holes = np.where(np.eye(N, V, dtype=bool), np.nan, Y)
    np.testing.assert_array_equal(fit_weighted(X, masked, W).beta, fit_weighted(X, holes, W).beta)


def test_a_fit_travels() -> None:
    fit = fit_weighted(X, Y, W, Z)
    again = pickle.loads(pickle.dumps(fit))  # noqa: S301 - ours
    c = [0, 1, 1]
    np.testing.assert_array_equal(again.contrast(c).stat, fit.contrast(c).stat)
    assert again.column_names == fit.column_names
    assert again.model == Weighted(weights=True, covariates=("z0",))
    assert repr(fit) == (
        "WeightedFit(9 weighted images: 5 voxels, 6 degrees of freedom, columns 0, 1, z0)"
    )
