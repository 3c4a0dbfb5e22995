# SPDX-License-Identifier: BSD-3-Clause
"""Type I error of mixed effects and of unequal variances, over places without any effect.

As a script, the whole simulation: ``python -m reference.null_rates`` in ``tests``, which prints a
table of rates at a level of 0.05, two-sided, for each test and number of images.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from groupglm import UnequalVariances, fit_mixed, fit_ols
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.contrast_result import ContrastResult
from reference.mixed import TESTS
from reference.ols import FloatArray

__all__ = ["ALPHA", "CASES", "SIZES", "TYPICAL", "Case", "bounds", "group_rates", "lines", "rates"]

ALPHA = 0.05
N_PLACES = 10_000
SIZES = (5, 10, 20, 40)


@dataclass(frozen=True)
class Case:
    """What the images' variances are, log-uniform, and tau2 beside their median of one."""

    name: str
    ratio: float  # of the largest to the smallest first-level variance
    tau2: float
    two_groups: bool = False


# In a task study of 20 subjects (ds003338), the largest variance at a voxel is some ten times the
# smallest, and tau2 some eight times their median.
TYPICAL = Case("up to 10 times, τ² of 5", 10.0, 5.0)
CASES = (
    Case("equal, τ² of 1", 1.0, 1.0),
    TYPICAL,
    Case("the same, two groups", 10.0, 5.0, two_groups=True),
    Case("up to 10 times, τ² of 1", 10.0, 1.0),
    Case("up to 100 times, τ² of 1", 100.0, 1.0),
    Case("up to 100 times, τ² of 0", 100.0, 0.0),
)


def bounds(probability: float, n_places: int = N_PLACES) -> tuple[float, float]:
    """Return the range of a rate of 0.05 with a probability, places being independent."""
    from scipy import stats

    low, high = stats.binom.interval(probability, n_places, ALPHA)
    return float(low) / n_places, float(high) / n_places


def null_places(
    case: Case, n: int, n_places: int, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Draw a design, a contrast of it, and data without that effect."""
    rng = np.random.default_rng([seed, n, CASES.index(case)])
    half = 0.5 * np.log(case.ratio)
    V = np.exp(rng.uniform(-half, half, size=(n, n_places)))
    Y = rng.normal(size=V.shape) * np.sqrt(V + case.tau2)
    X, c = np.ones((n, 1)), np.array([1.0])
    if case.two_groups:
        X = np.column_stack([np.ones(n), np.arange(n) % 2])
        c = np.array([0.0, 1.0])
    return X, c, Y, V


def rates(
    case: Case, n: int, *, tau2: str = "reml", n_places: int = N_PLACES, seed: int = 0
) -> dict[str, float]:
    """Return the share of places where each test rejects, two-sided."""
    X, c, Y, V = null_places(case, n, n_places, seed)
    return {test: rejected(fit_mixed(X, Y, V, tau2=tau2, test=test).contrast(c)) for test in TESTS}


def rejected(result: ContrastResult) -> float:
    """Return the share of places where a t test rejects, two-sided."""
    p = result.p_value
    return float(np.mean((p < ALPHA / 2) | (p > 1 - ALPHA / 2)))


def group_rates(n: int, *, n_places: int = N_PLACES, seed: int = 0) -> dict[str, float]:
    """Compare two groups, of which the smaller one, a third, has three times the deviation."""
    rng = np.random.default_rng([seed, n])
    first = np.arange(n) < max(2, n // 3)
    X = np.column_stack([first, ~first]).astype(float)
    Y = rng.normal(size=(n, n_places)) * np.where(first, 3.0, 1.0)[:, None]
    plan = UnequalVariances().prepare(X, ("first", "second"))
    welch = plan.finish(fill(plan, ArrayRows(Y), n_threads=1), 1)
    return {
        "ols": rejected(fit_ols(X, Y).contrast([1.0, -1.0])),
        "unequal variances": rejected(welch.contrast([1.0, -1.0])),
    }


def lines(tau2: str = "reml") -> Iterator[str]:
    """Write the table: a line for each case and test, a column for each number of images."""
    yield "| variances | test | " + " | ".join(map(str, SIZES)) + " |"
    yield "|---|---|" + "---|" * len(SIZES)
    for case in CASES:
        found = [rates(case, n, tau2=tau2) for n in SIZES]
        for test in TESTS:
            cells = " | ".join(f"{of_size[test]:.3f}" for of_size in found)
            yield f'| {case.name} | `"{test}"` | {cells} |'


def group_lines() -> Iterator[str]:
    """Write the table of two groups of unequal variance."""
    yield "| images | ols | unequal variances |"
    yield "|---|---|---|"
    for n in SIZES:
        yield f"| {n} | " + " | ".join(f"{r:.3f}" for r in group_rates(n).values()) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tau2", default="reml")
    options = parser.parse_args()
    print(*lines(options.tau2), "", *group_lines(), sep="\n")


if __name__ == "__main__":
    main()
