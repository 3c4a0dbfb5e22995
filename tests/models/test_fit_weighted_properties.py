# SPDX-License-Identifier: BSD-3-Clause
"""Laws that hold for weighted fits of any design, data, weights and covariates."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm import FixedEffects, fit_weighted
from groupglm.models.weighted import Weighted

Floats = npt.NDArray[np.float64]
Problem = tuple[Floats, Floats, Floats, Floats]

# Columns of a voxel have a scaled condition number up to 1e3 (checked when drawn), and weights a
# ratio up to 1e2: about 1e3 * 1e2 * n * eps = 1e-9 of the size of the terms at worst.
RTOL = 1e-8

laws = settings(deadline=None, max_examples=50)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw a design, data with holes, weights, and covariates (none to two)."""
    p, k = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    n, n_voxels = draw(st.integers(p + k + 3, 25)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    while True:
        X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
        Z = rng.normal(size=(k, n, n_voxels))
        Y = rng.normal(size=(n, n_voxels)) + draw(st.sampled_from([0.0, 1.0, 100.0]))
        W = rng.uniform(0.1, 10.0, size=(n, n_voxels))
        holes = rng.random(n_voxels) < 0.5
        Y[rng.integers(n, size=n_voxels)[holes], np.flatnonzero(holes)] = np.nan
        voxels = (np.column_stack([X, Z[:, :, v].T])[~np.isnan(Y[:, v])] for v in range(n_voxels))
        if all(np.linalg.cond(A) < 1e3 for A in voxels):
            return X, Y, W, Z


def close(found: Any, wanted: Any) -> None:
    wanted = np.asarray(wanted)
    slack = RTOL * float(np.nanmax(np.abs(wanted), initial=0.0))
    np.testing.assert_allclose(found, wanted, rtol=RTOL, atol=slack)


def fit_and_last(X: Floats, Y: Floats, W: Floats, Z: Floats) -> Any:
    fit = fit_weighted(X, Y, W, Z if len(Z) else None)
    return fit, fit.contrast(np.eye(X.shape[1] + len(Z))[-1])


@laws
@given(problems(), st.integers(-40, 40), st.integers(-30, 30))
def test_units_of_data_and_weights(problem: Problem, of_data: int, of_weights: int) -> None:
    X, Y, W, Z = problem
    fit, plain = fit_and_last(X, Y, W, Z)
    scaled_fit, scaled = fit_and_last(X, 2.0**of_data * Y, 2.0**of_weights * W, Z)
    # Powers of two change no digit.
    np.testing.assert_array_equal(scaled.effect_size, 2.0**of_data * plain.effect_size)
    np.testing.assert_array_equal(scaled.effect_variance, 4.0**of_data * plain.effect_variance)
    np.testing.assert_array_equal(scaled.stat, plain.stat)
    np.testing.assert_array_equal(scaled_fit.r_square, fit.r_square)


@laws
@given(problems(), st.floats(1e-5, 1e5), st.floats(-5, 5))
def test_units_of_a_covariate(problem: Problem, factor: float, shift: float) -> None:
    X, Y, W, Z = problem
    if not len(Z):
        return
    _, plain = fit_and_last(X, Y, W, Z)
    changed = Z.copy()
    changed[-1] = factor * Z[-1]
    _, scaled = fit_and_last(X, Y, W, changed)
    close(scaled.stat, plain.stat)
    close(factor * scaled.effect_size, plain.effect_size)
    changed[-1] = Z[-1] + shift  # the design has a constant
    close(fit_and_last(X, Y, W, changed)[1].stat, plain.stat)


@laws
@given(problems(), st.randoms(use_true_random=False))
def test_order_of_rows(problem: Problem, random: Any) -> None:
    X, Y, W, Z = problem
    order = list(range(len(X)))
    random.shuffle(order)
    fit, plain = fit_and_last(X, Y, W, Z)
    shuffled_fit, shuffled = fit_and_last(X[order], Y[order], W[order], Z[:, order])
    close(shuffled_fit.beta, fit.beta)
    close(shuffled_fit.rss, fit.rss)
    close(shuffled_fit.r_square, fit.r_square)
    close(shuffled.stat, plain.stat)


@laws
@given(problems(), st.floats(1e-3, 1e3))
def test_variances_scaled_as_the_square_of_effects(problem: Problem, factor: float) -> None:
    X, Y, W, _ = problem
    plan = FixedEffects().prepare(X, tuple(map(str, range(X.shape[1]))))

    def contrast(scale: float) -> Any:
        seen = plan.accumulator(Y.shape[1])
        seen.update_apart(0, [scale * Y, scale**2 / W], 1)
        return plan.finish(seen, 1).contrast(np.eye(X.shape[1])[-1])

    plain, scaled = contrast(1.0), contrast(factor)
    close(scaled.z_score, plain.z_score)
    close(scaled.effect_size, factor * plain.effect_size)
    close(scaled.effect_variance, factor**2 * plain.effect_variance)


@laws
@given(problems(), st.data())
def test_parts_merge_in_any_split(problem: Problem, data: st.DataObject) -> None:
    X, Y, W, Z = problem
    n = len(X)
    ends = [0, *sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=4))), n]
    model = Weighted(weights=True, covariates=tuple(f"z{j}" for j in range(len(Z))))
    plan = model.prepare(X, tuple(map(str, range(X.shape[1]))))

    def part(first: int, end: int) -> Any:
        seen = plan.part(first, end - first).accumulator(Y.shape[1])
        seen.update_apart(0, [Y[first:end], W[first:end], *Z[:, first:end]], 1)
        return seen

    total, *others = (part(first, end) for first, end in itertools.pairwise(ends))
    for other in others:
        total.merge(other, 1)
    merged = plan.finish(total, 1)
    fit, plain = fit_and_last(X, Y, W, Z)
    close(merged.beta, fit.beta)
    close(merged.contrast(np.eye(X.shape[1] + len(Z))[-1]).stat, plain.stat)
    np.testing.assert_array_equal(merged.n_observations, fit.n_observations)
    np.testing.assert_array_equal(merged.dominance()[1], fit.dominance()[1])
    np.testing.assert_allclose(merged.X, fit.X, rtol=1e-12, atol=1e-12)
