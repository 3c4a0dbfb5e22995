# SPDX-License-Identifier: BSD-3-Clause
"""Data and designs whose squares leave double's range, against 50 digits, in every function."""

from __future__ import annotations

import pickle
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm import _core, fit_ols, permuted_ols

Floats = NDArray[np.float64]

N = 14
UNITS = (1e-300, 1e-170, 1e-150, 1.0, 1e150, 1e160, 1e300)

# Two chains of some n + q roundings each on well-conditioned designs: a thousand roundings.
RTOL = 1e3 * np.finfo(float).eps


def study() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(20)
    X = np.column_stack([np.ones(N), np.tile([0.0, 1], N // 2), rng.standard_normal(N)])
    return X, (1 + rng.standard_normal((N, len(UNITS)))) * np.array(UNITS)


def exact(X: Floats, y: Floats, C: Floats) -> dict[str, Any]:
    """The fit with 50 digits, of the images that are present; inverses in units near one."""
    present = ~np.isnan(y)
    with mp.workdps(50):
        unit = mp.mpf(float(np.abs(y[present]).max()))
        lengths = [mp.mpf(float(length)) for length in np.abs(X).max(axis=0)]
        design = mp.matrix([[mp.mpf(float(x)) / u for x, u in zip(row, lengths, strict=True)]
                            for row in X[present]])  # fmt: skip
        data = mp.matrix([mp.mpf(float(value)) / unit for value in y[present]])
        rows = mp.matrix([[mp.mpf(float(c)) / u for c, u in zip(row, lengths, strict=True)]
                          for row in C])  # fmt: skip
        sizes = [max(abs(rows[k, j]) for j in range(rows.cols)) for k in range(rows.rows)]
        rows = mp.diag([1 / size for size in sizes]) * rows
        inverse = (design.T * design) ** -1
        beta = inverse * (design.T * data)
        residual = data - design * beta
        df = int(present.sum()) - X.shape[1]
        rss = (residual.T * residual)[0]
        mean = mp.fsum(data) / len(data)
        centred = data - mean * mp.ones(len(data), 1)
        effect, gram = rows * beta, rows * inverse * rows.T
        F = (effect.T * gram**-1 * effect)[0] / len(C) / (rss / df)
        size = sizes[0] * unit
        return {
            "beta": [float(b * unit / u) for b, u in zip(beta, lengths, strict=True)],
            "effect": float(effect[0] * size),
            "variance": float(gram[0, 0] * rss / df * size**2),
            "t": float(mp.sign(effect[0]) * mp.sqrt(F)),
            "F": float(F),
            "r_square": float(1 - rss / (centred.T * centred)[0]),
            "mean": float(mean * unit),
            "fitted": [float(f) for f in design * beta],
            "residual": [float(r) for r in residual],
            "df": df,
        }


def mixed() -> tuple[Floats, Floats]:
    """Voxels of each unit side by side, and all of them again with missing values."""
    X, Y = study()
    lacking = Y.copy()
    lacking[[0, 5], :] = np.nan
    lacking[9, ::2] = np.nan
    return X, np.concatenate([Y, lacking], axis=1)


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_statistics_of_any_unit_of_data_and_design_beside_each_other(unit: float) -> None:
    X, Y = mixed()
    X = X * [1, 1, unit]
    questions = [np.array([[0.0, 1, 0]]), np.array([[0.0, 0, 1]]), np.eye(3)[1:]]
    fit = fit_ols(X, Y)
    for C in questions:
        t, F = (fit.contrast(C, stat_type=kind) if kind == "F" or len(C) == 1 else None
                for kind in ("t", "F"))  # fmt: skip
        assert F is not None
        for v, y in enumerate(Y.T):
            wanted = exact(X, y, C)
            np.testing.assert_allclose(F.stat[v], wanted["F"], rtol=RTOL)
            p = stats.f.sf(wanted["F"], len(C), wanted["df"])
            np.testing.assert_allclose(F.p_value[v], p, rtol=1e-10)
            assert np.isfinite(F.z_score[v])
            if t is None:
                continue
            np.testing.assert_allclose(t.stat[v], wanted["t"], rtol=RTOL)
            np.testing.assert_allclose(
                t.p_value[v], stats.t.sf(wanted["t"], wanted["df"]), rtol=1e-10
            )
            np.testing.assert_allclose(t.z_score[v], stats.norm.isf(t.p_value[v]), rtol=1e-9)
            # Where double holds them at all; what is next to nothing is so to a part of its unit.
            for found, number in ((t.effect_size[v], "effect"), (t.effect_variance[v], "variance")):
                np.testing.assert_allclose(found, wanted[number], rtol=RTOL, atol=1e-323)


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_coefficients_fit_and_residuals_of_any_unit(unit: float) -> None:
    X, Y = mixed()
    X = X * [1, 1, unit]
    fit = fit_ols(X, Y)
    predicted, residuals = fit.predicted(), fit.residuals(None, Y)
    for v, y in enumerate(Y.T):
        wanted = exact(X, y, np.eye(3))
        size = np.nanmax(abs(y))
        with np.errstate(over="ignore"):
            beta = np.array(wanted["beta"])
        np.testing.assert_allclose(fit.beta[:, v], beta, rtol=RTOL, atol=1e-323)
        np.testing.assert_allclose(fit.r_square[v], wanted["r_square"], rtol=RTOL)
        np.testing.assert_allclose(fit.mean[v], wanted["mean"], rtol=RTOL)
        present = ~np.isnan(y)
        if not (np.isfinite(beta).all() and abs(beta).min() > 1e-300):
            continue  # coefficients that double does not hold give no fitted values
        np.testing.assert_allclose(predicted[present, v] / size, wanted["fitted"], atol=RTOL)
        np.testing.assert_allclose(residuals[present, v] / size, wanted["residual"], atol=RTOL)


def in_batches(X: Floats, Y: Floats, sizes: list[int], pieces: int = 1) -> _core.OlsState:
    """A state of batches of rows, in so many states that are then merged."""
    design = _core.Design(np.ascontiguousarray(X))
    states, first = [], 0
    for batch in np.array_split(np.array(sizes), pieces):
        state = _core.OlsState(design.n_working, Y.shape[1])
        for size in batch.tolist():
            state.update(design, first, np.ascontiguousarray(Y[first : first + size]), 2)
            first += size
        states.append(state)
    for other in states[1:]:
        states[0].merge(other, 2)
    return states[0]


@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_a_unit_of_a_power_of_two_changes_no_bit_of_a_statistic(pieces: int) -> None:
    """The scale is exact: of whole fits, batches and merged states, with and without holes."""
    rng = np.random.default_rng(21)
    X = np.column_stack([np.ones(40), rng.standard_normal((40, 2))])
    Y = 3 + rng.standard_normal((40, 400))
    Y[7, ::5] = np.nan
    Y[20:, 11] = np.nan
    Y[:, 12] = np.nan
    Y[:, 13] = 0
    Y[:, 14] = 2.5
    powers = rng.integers(-1000, 1000, 400)
    design = _core.Design(X)
    c = np.array([[0.0, 1, -1]])
    plain, scaled = (in_batches(X, values, [10, 10, 5, 15], pieces)
                     for values in (Y, np.ldexp(Y, powers)))  # fmt: skip
    one, other = (_core.contrast(state, design, c, "t", 2) for state in (plain, scaled))
    for found, wanted in zip(other[2:5], one[2:5], strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(other[0], np.ldexp(one[0], powers))
    few = np.array([3, 12, 5, 399])
    chosen = _core.contrast(scaled.select(few), design, c, "t", 1)
    np.testing.assert_array_equal(chosen[2], one[2][few])
    again = _core.OlsState.__new__(_core.OlsState)
    again.__setstate__(scaled.__getstate__())
    np.testing.assert_array_equal(_core.contrast(again, design, c, "t", 2)[2], one[2])
    np.testing.assert_array_equal(_core.rss(plain, design, 1)[14], 0)


def test_images_of_very_different_size_in_one_voxel() -> None:
    """A voxel's scale follows the largest value, whichever image has it."""
    rng = np.random.default_rng(22)
    X = np.column_stack([np.ones(12), np.tile([0.0, 1], 6)])
    Y = np.empty((12, 4))
    sizes = [(1e-200, 1e-180, 1.0), (1.0, 1e-180, 1e-200), (1e200, 1.0, 1e-200), (1e-200, 0, 1e180)]
    for v, three in enumerate(sizes):
        Y[:, v] = np.repeat(three, 4) * rng.standard_normal(12)
    for pieces in (1, 3):
        state = in_batches(X, Y, [4, 4, 4], pieces)
        found = _core.contrast(state, _core.Design(X), np.array([[0.0, 1]]), "t", 1)
        for v, y in enumerate(Y.T):
            wanted = exact(X, y, np.array([[0.0, 1]]))
            np.testing.assert_allclose(found[2][v], wanted["t"], rtol=RTOL)
            np.testing.assert_allclose(found[0][0][v], wanted["effect"], rtol=RTOL)


def test_whole_numbers_of_float32_have_no_scale() -> None:
    """Their squares never leave the range, and nothing is held for them."""
    X, _ = study()
    Y = np.full((N, 3), 3e38, dtype=np.float32)
    Y[:, 1] = 1e-45
    Y[::3, :] = 0
    fit = fit_ols(X, Y)
    assert len(fit.state_parts()[-1]) == 0
    for v in range(3):
        wanted = exact(X, Y[:, v].astype(float), np.array([[0.0, 1, 0]]))
        np.testing.assert_allclose(fit.contrast([0, 1, 0]).stat[v], wanted["t"], rtol=RTOL)


def test_a_constant_that_is_tiny_and_values_that_are_the_largest() -> None:
    tiny = fit_ols(np.full((6, 1), 1e-310), np.arange(6.0)[:, None]).contrast([1.0])
    np.testing.assert_allclose(tiny.stat, stats.ttest_1samp(np.arange(6.0), 0).statistic, rtol=RTOL)
    largest = np.finfo(float).max
    fit = fit_ols(np.ones((5, 1)), np.array([[1.0, -1, 1, 1, 1]]).T * largest)
    wanted = stats.ttest_1samp([1.0, -1, 1, 1, 1], 0).statistic
    np.testing.assert_allclose(fit.contrast([1.0]).stat, wanted, rtol=RTOL)
    np.testing.assert_allclose(fit.mean / largest, 0.6, rtol=RTOL)


def test_an_f_of_nothing_is_told_from_a_constant_voxel_in_any_unit() -> None:
    """The z of a test without evidence is a large negative one; a voxel without a test has zero."""
    X = np.column_stack([np.ones(8), np.tile([1.0, -1], 4)])
    Y = np.column_stack([np.repeat([1.0, -1, 2, -2], 2), np.ones(8)])
    for unit in (1.0, 1e-200):
        found = fit_ols(X, unit * Y).contrast([[0, 1]])
        np.testing.assert_allclose(found.stat, 0, atol=1e-30)
        assert found.z_score[0] < -5
        assert found.z_score[1] == 0


@pytest.mark.parametrize("options", [
    {}, {"method": "ter-braak"}, {"method": "smith"}, {"variance_groups": np.arange(N) % 2},
])  # fmt: skip
@pytest.mark.parametrize("holes", [False, True])
def test_permutation_in_any_unit(options: dict[str, Any], holes: bool) -> None:
    if holes and "variance_groups" in options:
        pytest.skip("groups of variances take whole voxels only")
    X, _ = study()
    Y = np.random.default_rng(23).standard_normal((N, 80))
    Y[:, 0] += 9 * X[:, 1]
    if holes:
        Y[2, ::7] = np.nan
    powers = np.tile([-1000, -560, 0, 530, 1000], 16)
    plain, scaled = (
        permuted_ols(X[:, 1], values, X[:, 2:], n_perm=99, random_state=0, **options)
        for values in (Y, np.ldexp(Y, powers))
    )
    for name in plain:
        np.testing.assert_array_equal(scaled[name], plain[name])
    assert plain["logp_max_t"][0, 0] >= 1


def test_a_fit_travels_in_its_scale() -> None:
    X, Y = mixed()
    fit = fit_ols(X, Y)
    again = pickle.loads(pickle.dumps(fit))  # noqa: S301
    np.testing.assert_array_equal(again.contrast([0, 1, 0]).stat, fit.contrast([0, 1, 0]).stat)
    parts = fit.state_parts()
    for wrong in (np.zeros(3, np.int16), np.full(Y.shape[1], 20000, np.int16)):
        with pytest.raises(ValueError, match="not a pickled state"):
            type(fit).from_parts(X, fit.column_names, 1, (*parts[:-1], wrong))
