# SPDX-License-Identifier: BSD-3-Clause
"""Type I error of the tests of mixed effects, over places without any effect.

As a script, the whole simulation: ``python -m reference.null_rates`` in ``tests``, which prints a
table of rates at a level of 0.05, two-sided, for each test and number of images.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from groupglm import fit_mixed
from reference.mixed import TESTS
from reference.ols import FloatArray

__all__ = ["ALPHA", "CASES", "SIZES", "bounds", "rates"]

ALPHA = 0.05
N_PLACES = 10_000
SIZES = (5, 10, 20, 40)


@dataclass(frozen=True)
class Case:
    """What the images' variances are, and how much subjects differ beside them."""

    name: str
    ratio: float  # of the largest to the smallest first-level variance
    tau2: float  # in units of the median variance
    two_groups: bool = False


CASES = (
    Case("equal variances", 1.0, 1.0),
    Case("variances of a ratio up to 10", 10.0, 1.0),
    Case("variances of a ratio up to 100", 100.0, 1.0),
    Case("ratio up to 100, subjects do not differ", 100.0, 0.0),
    Case("ratio up to 100, difference of two groups", 100.0, 1.0, two_groups=True),
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
    rng = np.random.default_rng([seed, n])
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
    found: dict[str, float] = {}
    for test in TESTS:
        p = np.asarray(fit_mixed(X, Y, V, tau2=tau2, test=test).contrast(c).p_value)
        found[test] = float(np.mean((p < ALPHA / 2) | (p > 1 - ALPHA / 2)))
    return found


def lines(tau2: str) -> Iterator[str]:
    """Write the table: a line for each case and number of images."""
    yield f"| {tau2}: variances | images | " + " | ".join(TESTS) + " |"
    yield "|---|---|" + "---|" * len(TESTS)
    for case in CASES:
        for n in SIZES:
            cells = (f"{rate:.3f}" for rate in rates(case, n, tau2=tau2).values())
            yield f"| {case.name} | {n} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tau2", default="reml")
    options = parser.parse_args()
    for line in lines(options.tau2):
        print(line)


if __name__ == "__main__":
    main()
