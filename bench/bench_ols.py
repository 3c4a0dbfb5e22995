# SPDX-License-Identifier: BSD-3-Clause
"""fit_ols against nilearn's run_glm on the same float32 matrix, and against reading it once."""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from measure import HEAD, N_THREADS, Row, Timing, clock, compare, pretty, show

from groupglm import fit_ols

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A size of problem and its targets."""

    n: int
    n_voxels: int
    p: int
    times_nilearn: float
    reads: float | None  # at most so many times one parallel read of Y


FULL = (Case(100, 235_375, 3, 12.0, 3.0), Case(1000, 235_375, 8, 15.0, None))
QUICK = (Case(40, 5_000, 3, 12.0, 3.0), Case(80, 5_000, 8, 15.0, None))


def problem(case: Case) -> tuple[npt.NDArray[np.float64], Matrix]:
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(case.n), rng.normal(size=(case.n, case.p - 1))])
    return X, rng.standard_normal((case.n, case.n_voxels), dtype=np.float32)


def one_read(Y: Matrix) -> Timing:
    """Time one read of the matrix by all threads, each folding its own run of rows.

    The maximum is the cheapest fold that numpy vectorises: it shows memory, not arithmetic.
    """
    parts = np.array_split(Y, N_THREADS)
    with ThreadPoolExecutor(N_THREADS) as pool:
        return clock(lambda: list(pool.map(np.max, parts)), repeat=15, warm_up=2)


def bench_case(case: Case) -> list[Row]:
    with warnings.catch_warnings():
        # nilearn warns at import where matplotlib is absent; nothing is drawn here.
        warnings.simplefilter("ignore")
        from nilearn.glm.first_level import run_glm

    X, Y = problem(case)
    work = f"OLS {case.n} x {case.n_voxels:,}, p = {case.p}, float32"
    ours = clock(lambda: fit_ols(X, Y, n_threads=N_THREADS), repeat=25, warm_up=2)
    # A float32 design is what nilearn is fastest with: with float64 it converts all of Y.
    X32 = X.astype(np.float32)
    theirs = clock(
        lambda: run_glm(Y, X32, noise_model="ols", n_jobs=N_THREADS), repeat=3, warm_up=1
    )
    check_same_answer(X, Y[:, :500])
    rows = [compare(work, ours, theirs, target=case.times_nilearn)]
    if case.reads is not None:
        read = one_read(Y)
        ratio = ours.best / read.best
        rows.append(
            Row(
                f"{work}: in parallel reads of Y ({pretty(read.best)})",
                show(ours),
                "",
                f"{ratio:.1f} reads",
                f"at most {case.reads:g} reads",
                ratio <= case.reads,
            )
        )
    return rows


def check_same_answer(X: npt.NDArray[np.float64], Y: Matrix) -> None:
    """A fast wrong answer is no answer."""
    beta = np.linalg.lstsq(X, Y.astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(fit_ols(X, Y).beta, beta, rtol=1e-8, atol=1e-10)


def bench(*, quick: bool) -> list[Row]:
    return [row for case in (QUICK if quick else FULL) for row in bench_case(case)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small matrices")
    print(HEAD)
    for row in bench(quick=parser.parse_args().quick):
        print(row)


if __name__ == "__main__":
    main()
