# SPDX-License-Identifier: BSD-3-Clause
"""Is the likelihood at the estimated tau2 the highest there is? Beside a grid of 4,000 points.

As a script, the whole check: ``python -m reference.likelihood_maxima --places 100000`` in
``tests``, which takes some minutes and prints how many places have two maxima.

The likelihood is that of one or two columns, by sums over the images and the closed form of a
determinant of two by two: neither the package's formula nor that of `reference.mixed`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from groupglm import fit_mixed
from reference.ols import FloatArray

__all__ = ["Outcome", "check", "studies"]

N_GRID = 4000
# Images, and their share of the places: few images have two maxima most easily.
SIZES = {5: 0.3, 7: 0.2, 10: 0.2, 20: 0.15, 50: 0.1, 150: 0.04, 500: 0.01}


@dataclass(frozen=True)
class Study:
    """Places that share a design."""

    X: FloatArray  # (n, 1 or 2)
    Y: FloatArray  # (n, n_places)
    V: FloatArray


@dataclass
class Outcome:
    """What was found over all places."""

    n_places: int = 0
    n_two_maxima: int = 0
    n_at_zero: int = 0
    worst: float = -np.inf  # of the grid's highest minus ours


def studies(n_places: int, seed: int = 0) -> Iterator[Study]:
    """Draw places of 5 to 500 images, of variance ratios from 1 to above 10,000.

    Two maxima arise where the precise images agree and the others differ by much more than their
    variances say. Half of the places are of that kind.
    """
    rng = np.random.default_rng(seed)
    for n, share in SIZES.items():
        for p in (1, 2):
            m = max(1, round(n_places * share / 2))
            X = np.column_stack([np.ones(n), rng.normal(size=n)])[:, :p]
            half = np.sqrt(10 ** rng.uniform(0, 4, size=m))
            V = half ** rng.uniform(-1, 1, size=(n, m))
            tau = rng.choice([0.0, 0.1, 1.0, 10.0], size=m)
            mixture = rng.random(m) < 0.5
            precise = rng.random((n, m)) < rng.uniform(0.2, 0.7, size=m)
            V = np.where(mixture & precise, V / half, V)
            tau = np.where(mixture & precise, 0.0, tau)
            Y = rng.normal(size=(n, m)) * np.sqrt(V + tau**2)
            yield Study(X, Y, V)


def log_likelihoods(
    X: FloatArray, y: FloatArray, v: FloatArray, at: FloatArray, *, restricted: bool
) -> FloatArray:
    """Evaluate at every point; X has one or two columns."""
    # A residual has no large mean, which the sums would lose digits to.
    y = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    total = v + at[:, None]
    w = 1.0 / total
    first = X[:, 0]
    yy, ay, aa = w @ (y * y), w @ (first * y), w @ (first * first)
    if X.shape[1] == 1:
        det, explained = aa, ay**2 / aa
    else:
        second = X[:, 1]
        by, ab, bb = w @ (second * y), w @ (first * second), w @ (second * second)
        det = aa * bb - ab**2
        explained = (bb * ay**2 - 2 * ab * ay * by + aa * by**2) / det
    twice = np.log(total).sum(axis=1) + yy - explained
    if restricted:
        twice = twice + np.log(det)
    result: FloatArray = -0.5 * twice
    return result


def check_study(study: Study, outcome: Outcome, *, restricted: bool) -> None:
    """Compare at every place of a study."""
    tau2 = fit_mixed(study.X, study.Y, study.V, tau2="reml" if restricted else "ml").tau2
    rss = np.sum(
        (study.Y - study.X @ np.linalg.lstsq(study.X, study.Y, rcond=None)[0]) ** 2, axis=0
    )
    df = len(study.X) - study.X.shape[1]
    for k, found in enumerate(np.asarray(tau2)):
        y, v = study.Y[:, k], study.V[:, k]
        # No maximum lies beyond: see `reference.mixed.upper_bound`.
        top = rss[k] / df + v.max()
        grid = np.concatenate([[0.0], np.geomspace(1e-4 * v.min(), top, N_GRID - 1)])
        values = log_likelihoods(study.X, y, v, np.append(grid, found), restricted=restricted)
        on_grid, ours = values[:-1], values[-1]
        outcome.n_places += 1
        # A second maximum is one behind a dip that is deeper than rounding.
        best = int(np.argmax(on_grid))
        sides = (on_grid[: best + 1], on_grid[best:][::-1])
        outcome.n_two_maxima += any(
            float(np.max(np.maximum.accumulate(side) - side)) > 1e-9 for side in sides
        )
        outcome.n_at_zero += found == 0.0
        outcome.worst = max(outcome.worst, float(on_grid.max() - ours))


def check(n_places: int, *, restricted: bool = True, seed: int = 0) -> Outcome:
    """Compare at about so many places."""
    outcome = Outcome()
    for study in studies(n_places, seed):
        check_study(study, outcome, restricted=restricted)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=100_000)
    options = parser.parse_args()
    for restricted in (True, False):
        print("REML" if restricted else "ML", check(options.places, restricted=restricted))


if __name__ == "__main__":
    main()
