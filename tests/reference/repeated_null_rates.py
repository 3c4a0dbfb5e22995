# SPDX-License-Identifier: BSD-3-Clause
"""Type I error of repeated measures, over places without any effect.

As a script, the whole simulation: ``python -m reference.repeated_null_rates`` in ``tests``, which
prints a table of rates at a level of 0.05, two-sided, for each method and intraclass correlation.
There are 20 subjects in two groups, five of each number of visits from 1 to 4.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from groupglm import fit_ols, fit_repeated
from reference.null_rates import ALPHA, rejected
from reference.ols import FloatArray, IntArray

__all__ = ["CORRELATIONS", "EFFECTS", "METHODS", "design", "lines", "rates", "rates_of_runs"]

N_SUBJECTS = 20
# A rate of 0.05 of so many is known to a standard error of 0.0011.
N_PLACES = 40_000
CORRELATIONS = (0.0, 0.2, 0.5, 0.8)
# What is tested, by the columns of the design: the groups between subjects, the others within.
EFFECTS: dict[str, tuple[int, ...]] = {
    "group": (1,),
    "visit": (2,),
    "group by visit": (3,),
    "all three (F)": (1, 2, 3),
}
METHODS: dict[str, dict[str, Any] | None] = {
    "OLS": None,
    "random intercept, Kenward-Roger": {"df": "kenward-roger"},
    "random intercept, Satterthwaite": {"df": "satterthwaite"},
    "sandwich, C2": {"covariance": "sandwich"},
}


def design() -> tuple[FloatArray, IntArray]:
    """Return the design and each image's subject."""
    sizes = 1 + np.arange(N_SUBJECTS) % 4
    subjects = np.repeat(np.arange(N_SUBJECTS), sizes)
    group = subjects // (N_SUBJECTS // 2) - 0.5
    visit = np.concatenate([np.arange(m) for m in sizes]) - 1.0
    return np.column_stack([np.ones(len(subjects)), group, visit, group * visit]), subjects


def null_places(correlation: float, n_places: int, seed: int) -> FloatArray:
    """Draw images of a variance of one, those of a subject correlated."""
    _, subjects = design()
    rng = np.random.default_rng([seed, CORRELATIONS.index(correlation)])
    own = rng.normal(size=(N_SUBJECTS, n_places)) * np.sqrt(correlation)
    noise = rng.normal(size=(len(subjects), n_places)) * np.sqrt(1 - correlation)
    return np.asarray(own[subjects] + noise)


def rates(
    correlation: float, *, n_places: int = N_PLACES, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return the share of places where each method rejects each effect, which is nowhere."""
    X, subjects = design()
    Y = null_places(correlation, n_places, seed)
    found = {}
    for method, options in METHODS.items():
        fit: Any = fit_ols(X, Y) if options is None else fit_repeated(X, Y, subjects, **options)
        found[method] = {effect: rate(fit, columns) for effect, columns in EFFECTS.items()}
    return found


def rate(fit: Any, columns: tuple[int, ...]) -> float:
    """Return the share of places where a test rejects; of one column it is a t test."""
    rows = np.eye(4)[list(columns)]
    if len(rows) == 1:
        return rejected(fit.contrast(rows[0]))
    return float(np.mean(fit.contrast(rows).p_value < ALPHA))


def rates_of_runs(*, n_places: int = 20_000, seed: int = 0) -> dict[str, float]:
    """Return how often p of the session is below 0.05: 20 subjects, two sessions of two runs.

    Subjects, sessions and runs have equal variances, and no session has an effect.
    """
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(N_SUBJECTS), 4)
    session = np.tile([0, 0, 1, 1], N_SUBJECTS)
    levels = [rng.normal(size=(n, n_places)) for n in (N_SUBJECTS, 2 * N_SUBJECTS, len(subjects))]
    Y = levels[0][subjects] + levels[1][2 * subjects + session] + levels[2]
    X = np.column_stack([np.ones(len(subjects)), session])
    means = (Y[::2] + Y[1::2]) / 2
    fits: dict[str, Any] = {
        "runs": fit_repeated(X, Y, subjects),
        "runs, sandwich": fit_repeated(X, Y, subjects, covariance="sandwich"),
        "means of sessions": fit_repeated(X[::2], means, subjects[::2]),
    }
    return {name: rejected(fit.contrast([0.0, 1.0])) for name, fit in fits.items()}


def lines() -> Iterator[str]:
    """Write the table: a line for each correlation and method, a column for each effect."""
    yield "| intraclass correlation | method | " + " | ".join(EFFECTS) + " |"
    yield "|---|---|" + "---|" * len(EFFECTS)
    for correlation in CORRELATIONS:
        for method, found in rates(correlation).items():
            cells = " | ".join(f"{found[effect]:.3f}" for effect in EFFECTS)
            yield f"| {correlation} | {method} | {cells} |"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(*lines(), sep="\n")


if __name__ == "__main__":
    main()
