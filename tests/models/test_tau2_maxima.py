# SPDX-License-Identifier: BSD-3-Clause
"""The highest maximum of the likelihood where it has several, beside a grid of points.

`reference.likelihood_maxima` draws places as they may be; these are made to have several maxima:
images of three levels of precision, about three means that their variances do not explain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from groupglm import _core
from reference.ols import FloatArray

N_GRID, N_PLACES, N_DESIGNS = 800, 40, 20


def likelihoods(
    Q: FloatArray, y: FloatArray, v: FloatArray, at: FloatArray, *, restricted: bool
) -> FloatArray:
    """Log likelihoods at tau2 (n_places, n_points), up to what tau2 does not change."""
    w = 1 / (v[:, np.newaxis] + at[:, :, np.newaxis])
    A = np.einsum("mki,ij,il->mkjl", w, Q, Q)
    c = np.einsum("mki,ij,mi->mkj", w, Q, y)
    b = np.linalg.solve(A, c[..., np.newaxis])[..., 0]
    e = y[:, np.newaxis] - b @ Q.T
    found: FloatArray = -0.5 * ((w * e**2).sum(axis=-1) - np.log(w).sum(axis=-1))
    return found - 0.5 * np.linalg.slogdet(A)[1] if restricted else found


def hard_places(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    n = int(rng.integers(4, 14))
    p = int(rng.integers(1, min(4, n - 2) + 1))
    Q: Any = np.linalg.qr(rng.normal(size=(n, p)) + (np.arange(p) == 0))[0]
    kind = rng.integers(0, 3, (N_PLACES, n))
    levels = 10 ** rng.uniform(-4, 4, (N_PLACES, 3))
    v = np.take_along_axis(levels, kind, 1) * np.exp(0.3 * rng.normal(size=kind.shape))
    means = 10 ** rng.uniform(-3, 3, (N_PLACES, 3)) * rng.normal(size=(N_PLACES, 3))
    own = np.take_along_axis(means, rng.integers(0, 3, kind.shape), 1)
    return np.ascontiguousarray(Q), own + rng.normal(size=kind.shape) * np.sqrt(v), v


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_no_point_of_a_grid_is_higher(method: str) -> None:
    rng = np.random.default_rng(0)
    n_several = 0
    for _ in range(N_DESIGNS):
        Q, y, v = hard_places(rng)
        restricted = method == "reml"
        tau2, _ = _core.estimate_tau2(
            Q, np.ascontiguousarray(y.T), np.ascontiguousarray(v.T), method, 0.0, 1
        )
        y = y - (y @ Q) @ Q.T  # what the design explains has no part, and costs digits
        top = (y**2).sum(axis=1) + v.max(axis=1)
        steps = np.linspace(np.log(1e-3 * v.min(axis=1)), np.log(top), N_GRID, axis=1)
        at = np.column_stack([np.zeros(N_PLACES), np.exp(steps), tau2])
        values = likelihoods(Q, y, v, at, restricted=restricted)
        grid, ours = values[:, :-1], values[:, -1]
        # Rounding of sums of squares over variances, which are up to their largest.
        size = (y**2 / v).sum(axis=1)
        assert (grid.max(axis=1) - ours <= 1e-10 + 1e-14 * size).all()
        rises = np.diff(grid, axis=1) > 1e-9
        n_several += int(np.count_nonzero(rises[:, 1:] & ~rises[:, :-1]))
    # Or the places would not be what they are for: a rise after a fall is a second maximum.
    assert n_several > 5


def test_a_lower_maximum_at_zero_and_a_higher_beyond() -> None:
    """Two images of a small variance agree and are near 0; two others do not."""
    v = np.array([[1e-4], [1e-4], [1.0], [1.0]])
    basis = np.full((4, 1), 0.5)
    at = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 4000)])[np.newaxis]
    heights = []
    for distance in (1.0, 6.0):
        y = np.array([[0.0], [1e-4], [distance], [-distance]])
        values = likelihoods(basis, y.T, v.T, at, restricted=True)[0]
        rises = np.diff(values) > 0
        assert np.count_nonzero(rises[1:] & ~rises[:-1]) + (not rises[0]) >= 1
        tau2 = _core.estimate_tau2(basis, y, v, "reml", 0.0, 1)[0][0]
        best = at[0, np.argmax(values)]
        heights.append(best)
        # The grid has its points at 0.5 percent of each other.
        assert tau2 == pytest.approx(best, rel=0.01)
    assert heights[0] == 0.0 < heights[1]
