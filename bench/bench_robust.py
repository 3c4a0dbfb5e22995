# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression and confidence sets: arrays, beside statsmodels' RLM a voxel.

RLM fits one voxel in a call. Its seconds are those of some voxels, times all voxels.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from bench_mixed import promise
from make_maps import FULL
from measure import HEAD, N_THREADS, Row, Timing, clock, package_version, show

N_IMAGES = 30
N_RLM = 60  # voxels that RLM fits
SECONDS, TIMES_RLM = 0.6, 700.0
N_POINTS, N_BOOTSTRAPS, SETS_SECONDS = 60_000, 5000, 1.0


def problem(n_voxels: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Normal data, of which every tenth value is far off."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(N_IMAGES), rng.normal(size=N_IMAGES)])
    Y = rng.standard_normal((N_IMAGES, n_voxels), dtype=np.float32)
    Y += 5 * (rng.random(Y.shape, dtype=np.float32) < 0.1)
    return X, Y


def rlm_seconds(X: npt.NDArray[Any], Y: npt.NDArray[Any], fit: Any) -> Timing:
    """Time RLM on some voxels, as seconds for all; its answer must be ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that it loads
        from statsmodels import api as sm
    from threadpoolctl import threadpool_limits

    few = Y[:, :N_RLM].astype(np.float64)

    def work() -> Any:
        norm = sm.robust.norms.TukeyBiweight(4.685)
        return [sm.RLM(y, X, M=norm).fit(tol=1e-8).params for y in few.T]

    with threadpool_limits(1):
        took = clock(work, repeat=3, warm_up=1)
    # Its scale knows no leverages: the same answer within a fraction of its standard error.
    error = np.sqrt(fit.contrast([0.0, 1.0]).effect_variance[:N_RLM])
    off = np.abs(np.array(work())[:, 1] - fit.beta[1, :N_RLM]) / error
    assert np.median(off) < 0.05, off
    times = Y.shape[1] / N_RLM
    return Timing(times * took.median, times * took.best)


def bench(*, quick: bool) -> list[Row]:
    """Return the rows of the table."""
    from groupglm import fit_robust

    n_voxels = 5000 if quick else FULL.n_voxels
    X, Y = problem(n_voxels)
    rows = []
    for weights in ("bisquare", "huber"):
        work = f"robust ({weights}), arrays, {N_IMAGES} x {n_voxels:,}, p = 2"
        job = partial(fit_robust, X, Y, weights=weights, n_threads=N_THREADS)
        ours = clock(job, repeat=5, warm_up=1)
        rows.append(promise(work, ours, SECONDS))
        if weights == "bisquare":
            theirs = rlm_seconds(X, Y, job())
            ratio = theirs.median / ours.median
            beside = f"{work}, beside RLM of statsmodels {package_version('statsmodels')}"
            rows.append(
                Row(
                    beside, show(ours), show(theirs), f"{ratio:.0f}x", f"{TIMES_RLM:g}x",
                    ratio >= TIMES_RLM,
                )
            )  # fmt: skip
    rows.append(bench_sets(quick=quick))
    return rows


def bench_sets(*, quick: bool) -> Row:
    """The critical value of confidence sets."""
    from groupglm.inference.confidence_sets.bootstrap import bootstrap_maxima
    from groupglm.inference.confidence_sets.boundary import boundary_of

    n_points = 1000 if quick else N_POINTS
    places = np.arange(n_points + 1)
    edges = np.stack([places[:-1], places[1:]]).astype(np.int32)
    boundary = boundary_of(np.where(places % 2, 1.0, -1.0), edges)
    rng = np.random.default_rng(0)
    residuals = rng.standard_normal((N_IMAGES, n_points + 1), dtype=np.float32)
    job = partial(bootstrap_maxima, residuals, boundary, N_BOOTSTRAPS, 0, N_THREADS)
    work = f"confidence sets, {N_BOOTSTRAPS:,} bootstraps of {N_IMAGES} images, {n_points:,} points"
    return promise(work, clock(job, repeat=5, warm_up=1), SETS_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smoke test: small sizes, no targets")
    options = parser.parse_args()
    print("\n".join([HEAD, *map(str, bench(quick=options.quick))]))


if __name__ == "__main__":
    main()
