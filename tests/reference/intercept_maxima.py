# SPDX-License-Identifier: BSD-3-Clause
"""Is the restricted likelihood of a random intercept the highest there is at our estimate?

As a script, the whole check: ``python -m reference.intercept_maxima --places 100000`` in ``tests``,
which compares with a grid of 4,000 points at each place, takes some minutes, and prints how many
places have two maxima.

The likelihood is that of one or two columns, by sums over each subject's m images (the inverse of
I + r 1 1' is I - r / (1 + m r) 1 1') and the closed form of a determinant of two by two: neither
the package's formula nor that of `reference.repeated`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from groupglm import fit_repeated
from reference.ols import FloatArray, IntArray

__all__ = ["Outcome", "check", "studies"]

N_GRID = 4000
# Above all ratios that are drawn; the likelihood falls from there.
TOP = 1e7
PLACES_OF_A_STUDY = 250


@dataclass(frozen=True)
class Study:
    """Places that share a design."""

    X: FloatArray  # (n, 1 or 2)
    subjects: IntArray  # (n,)
    Y: FloatArray  # (n, n_places)


@dataclass
class Outcome:
    """What was found over all places."""

    n_places: int = 0
    n_two_maxima: int = 0
    n_at_zero: int = 0
    worst: float = -np.inf  # of our criterion minus the grid's lowest


def studies(n_places: int, seed: int = 0) -> Iterator[Study]:
    """Draw places of 4 to 20 subjects with 1 to 6 visits, or some with 20 or 60.

    Two maxima arise where subjects of many visits agree, and those of few differ by more than the
    visits of one do. Two of three places are of that kind.
    """
    rng = np.random.default_rng(seed)
    number = 0
    while n_places > 0:
        n_subjects = int(rng.integers(4, 21))
        sizes = rng.integers(1, 7, size=n_subjects)
        often = rng.random(n_subjects) < rng.uniform(0.2, 0.6)
        if number % 4 > 0:
            sizes = np.where(often, (6, 20, 60)[number % 3], rng.choice([1, 1, 2], size=n_subjects))
        # Else there may be no residual within subjects, or visits that are not unbalanced.
        sizes[:2] = np.maximum(sizes[:2], (3, 2))
        sizes[1] += sizes[1] == sizes[0]
        subjects = np.repeat(np.arange(n_subjects), sizes)
        n, m = len(subjects), min(PLACES_OF_A_STUDY, n_places)
        covariate = rng.normal(size=n) if number % 2 else rng.normal(size=n_subjects)[subjects]
        X = np.column_stack([np.ones(n), covariate])[:, : 1 + (number // 2) % 2]
        mixture = rng.random(m) < 2 / 3
        sd = rng.choice([0.0, 0.3, 1.0, 3.0, 30.0], size=m)
        sd = np.where(mixture, rng.choice([1.0, 1.5, 2.0, 3.0], size=m), sd)
        intercepts = rng.normal(size=(n_subjects, m)) * sd
        intercepts = np.where(mixture & often[:, None], 0.02 * intercepts, intercepts)
        yield Study(X, subjects, intercepts[subjects] + rng.normal(size=(n, m)))
        n_places -= m
        number += 1


def criteria(study: Study, y: FloatArray, ratio: FloatArray) -> FloatArray:
    """Evaluate minus twice the restricted log likelihood, up to a constant, at every ratio."""
    X, subjects = study.X, study.subjects
    # A residual has no large mean, which the sums would lose digits to.
    y = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    sizes = np.bincount(subjects)
    taken = ratio[:, None] / (1.0 + ratio[:, None] * sizes)

    def sums(a: FloatArray, b: FloatArray) -> FloatArray:
        """Return a' V0^-1 b at every ratio."""
        of_subjects = np.bincount(subjects, a) * np.bincount(subjects, b)
        return np.asarray(a @ b - taken @ of_subjects)

    first = X[:, 0]
    yy, ay, aa = sums(y, y), sums(first, y), sums(first, first)
    if X.shape[1] == 1:
        det, explained = aa, ay**2 / aa
    else:
        second = X[:, 1]
        by, ab, bb = sums(second, y), sums(first, second), sums(second, second)
        det = aa * bb - ab**2
        explained = (bb * ay**2 - 2 * ab * ay * by + aa * by**2) / det
    df = len(y) - X.shape[1]
    log_det = np.log1p(ratio[:, None] * sizes).sum(axis=1) + np.log(det)
    return np.asarray(df * np.log(yy - explained) + log_det)


def check_study(study: Study, outcome: Outcome) -> None:
    """Compare at every place of a study."""
    fit = fit_repeated(study.X, study.Y, study.subjects)
    ratios = np.asarray(fit.subject_variance) / np.asarray(fit.residual_variance)
    grid = np.concatenate([[0.0], np.geomspace(1e-5, TOP, N_GRID - 1)])
    for k, found in enumerate(ratios):
        values = criteria(study, study.Y[:, k], np.append(grid, found))
        on_grid, ours = values[:-1], values[-1]
        outcome.n_places += 1
        # A second minimum is one behind a hill that is higher than rounding.
        best = int(np.argmin(on_grid))
        sides = (on_grid[: best + 1], on_grid[best:][::-1])
        outcome.n_two_maxima += any(
            float(np.max(side - np.minimum.accumulate(side))) > 1e-8 for side in sides
        )
        outcome.n_at_zero += found == 0.0
        outcome.worst = max(outcome.worst, float(ours - on_grid.min()))


def check(n_places: int, *, seed: int = 0) -> Outcome:
    """Compare at so many places."""
    outcome = Outcome()
    for study in studies(n_places, seed):
        check_study(study, outcome)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=100_000)
    print(check(parser.parse_args().places))


if __name__ == "__main__":
    main()
