# SPDX-License-Identifier: BSD-3-Clause
"""Familywise error of the permutation tests on data without any effect.

As a script, the whole simulation: ``python -m reference.familywise --datasets 1000`` in ``tests``,
which prints a table of rates and the range that they should be in.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, stats

from groupglm import _core
from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.cluster_families import TfceOptions, cluster_families
from groupglm.inference.permutation.exchange import make_exchange
from groupglm.inference.permutation.kernels import make_ols_kernel
from groupglm.inference.permutation.options import PermutationOptions
from groupglm.inference.permutation.partition import partition
from groupglm.inference.permutation.testing import permutation_test
from groupglm.models.ols import OLS, fit_ols
from groupglm.models.repeated import RepeatedMeasures
from groupglm.runtime.progress import Progress
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ALPHA", "STUDIES", "bounds", "rate_of_v", "rates"]

ALPHA = 0.05
SHAPE = (9, 9, 9)
N_PERM = 99  # with which 0.05 is an exact level: five of a hundred


@dataclass(frozen=True)
class Study:
    """A design, a contrast of it, and how noisy each image is."""

    name: str
    X: Floats
    contrast: Floats
    noise: Floats
    groups: Any = None
    has_holes: bool = False
    subjects: Any = None  # whose images resemble each other
    blocks: Any = None
    covariance: str | None = None  # of RepeatedMeasures


def _studies() -> tuple[Study, ...]:
    rng = np.random.default_rng(0)
    age = rng.normal(size=18)
    score = 0.8 * age + 0.6 * rng.normal(size=18)  # the nuisance is correlated with what is tested
    three = (np.arange(18) % 3 == np.arange(3)[:, None]).T.astype(float)
    group = np.repeat([0, 1], [6, 18])
    unequal = np.column_stack([group == 0, group == 1]).astype(float)
    # Flips of residuals are exact but for the nuisance that is estimated: not with six images.
    larger = np.repeat([0, 1], [10, 20])
    loud = np.where(larger == 0, 4.0, 1.0)
    means = np.column_stack([larger == 0, larger == 1]).astype(float)
    difference = np.array([1.0, -1.0])
    regression = np.column_stack([score, age, np.ones(18)])
    slope = np.array([1.0, 0, 0])
    subject = np.repeat(np.arange(12), [3, 2] * 6)
    visit = np.tile([-1.0, 0, 1, -0.5, 0.5], 6)
    grouped = (np.arange(12) // 2 % 2).astype(float)[subject]
    longitudinal = np.column_stack([visit, grouped, np.ones(30)])
    silent = np.ones(30)
    family, sibling = np.divmod(np.arange(24), 2)
    siblings = np.column_stack([np.ones(24, int), 1 + family, 1 + sibling])
    trait = rng.normal(size=12)[family] + rng.normal(size=24)
    return (
        Study("one-sample", np.ones((14, 1)), np.array([1.0]), np.ones(14)),
        Study("two-sample, 6 and 18", unequal, difference, np.ones(24)),
        Study("regression, correlated nuisance", regression, slope, np.ones(18)),
        Study(
            "F of three groups, covariate",
            np.column_stack([three, age]),
            np.array([[1.0, -1, 0, 0], [0, 1, -1, 0]]),
            np.ones(18),
        ),
        Study(
            "missing values, one-sample", np.ones((14, 1)), np.array([1.0]), np.ones(14), None, True
        ),
        Study("missing values, 6 and 18", unequal, difference, np.ones(24), None, True),
        Study("missing values, regression", regression, slope, np.ones(18), None, True),
        Study("unequal variances, ignored", means, difference, loud),
        Study("unequal variances, variance_groups", means, difference, loud, larger),
        Study(
            "siblings in families",
            np.column_stack([trait, np.ones(24)]),
            np.array([1.0, 0]),
            np.ones(24),
            subjects=family,
            blocks=siblings,
        ),
        Study(
            "random intercept, within subjects",
            longitudinal,
            slope,
            silent,
            subjects=subject,
            covariance="random intercept",
        ),
        Study(
            "random intercept, between subjects",
            longitudinal,
            np.array([0, 1.0, 0]),
            silent,
            subjects=subject,
            covariance="random intercept",
        ),
        Study(
            "sandwich, wild bootstrap, within subjects",
            longitudinal,
            slope,
            silent,
            subjects=subject,
            covariance="sandwich",
        ),
    )


STUDIES = {study.name: study for study in _studies()}


def noise_of(study: Study, fwhm: float, rng: np.random.Generator) -> Floats:
    """Draw data (n_images, n_voxels) without any effect."""
    volumes = rng.normal(size=(len(study.X), *SHAPE))
    if study.subjects is not None:
        own = rng.normal(size=(study.subjects.max() + 1, *SHAPE))
        volumes = (volumes + own[study.subjects]) / np.sqrt(2)
    if fwhm:
        volumes = ndimage.gaussian_filter(volumes, (0, *[fwhm / 2.355] * 3), mode="wrap")
        volumes /= volumes.std()
    if study.has_holes:
        # Images end at heights of their own, by which those of a group may differ; and some voxels
        # are lost anywhere.
        ends = rng.integers(0, 4, len(study.X)) + (study.X[:, 0] > 0.5)
        volumes[np.arange(SHAPE[0]) < ends[:, None]] = np.nan
        volumes[rng.random(volumes.shape) < 0.02] = np.nan
    rows = volumes.reshape(len(study.X), -1, order="A")
    return np.ascontiguousarray(rows * study.noise[:, None])


def rates(
    study: Study, fwhm: float, n_datasets: int, advance: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Return the share of data sets in which anything is significant, by each correction."""
    space = VolumeSpace(Grid(SHAPE, np.eye(4)))
    families = cluster_families(space, 6)
    found: dict[str, int] = {}
    # Voxels with too few images are named each time.
    warnings.filterwarnings("ignore", ".* voxels lack values and are not tested")
    for i in range(n_datasets):
        rng = np.random.default_rng([i, len(study.name)])
        Y = noise_of(study, fwhm, rng)
        options = PermutationOptions(
            n_perm=N_PERM,
            two_sided=True,
            seed=i,
            n_threads=1,
            progress=Progress(0),
            threshold=0.01,
            tfce=TfceOptions(),
            variance_groups=study.groups,
            exchangeability_blocks=study.blocks,
        )
        model: Any = OLS
        if study.covariance is not None:
            model = RepeatedMeasures(study.covariance, subjects=study.subjects)
        fit = fit_ols(study.X, Y, n_threads=1)
        result = permutation_test(
            study.X,
            study.contrast,
            ArraySource(Y),
            fit.contrast(study.contrast).stat,
            fit.df_residual,
            options,
            model=model,
            families=lambda: families,
        )
        for name, p in result.p_value.items():
            found[name] = found.get(name, 0) + bool(np.nanmin(p) <= ALPHA + 1e-12)
        advance()
    return {name: count / n_datasets for name, count in found.items()}


def rate_of_v(sizes: tuple[int, int], n_datasets: int, *, nuisance_known: bool) -> float:
    """Return the share of rough data sets in which Welch's statistic is significant by flips.

    Of two groups, the first with four times the standard deviation; flipped are residuals of the
    overall mean, or, as if that were known, the errors themselves.
    """
    groups = np.repeat([0, 1], sizes)
    X = np.column_stack([groups == 0, groups == 1]).astype(float)
    study = Study("", X, np.array([1.0, -1.0]), np.where(groups == 0, 4.0, 1.0))
    parts = partition(X, study.contrast[None])
    design = np.concatenate([parts.effect, parts.nuisance])
    inside = groups == np.arange(2)[:, None]
    by_group = inside[:, None, :] * design
    exchange = make_exchange(len(X), None, "within", flips=True)
    basis = np.empty((0, len(X))) if nuisance_known else parts.nuisance
    found = 0
    for i in range(n_datasets):
        Y = noise_of(study, 0.0, np.random.default_rng([i, 5]))
        _, signs = exchange.draw((i,), 0, N_PERM + 1)
        signs[0] = 1
        best = _core.permuted_g_statistics(
            Y,
            basis,
            by_group * signs[:, None, None, :],
            np.repeat(inside[None], len(signs), axis=0).astype(float),
            np.ascontiguousarray(by_group @ design.T),
            inside @ (1 - np.sum(design**2, axis=0)),
            inside.sum(axis=1).astype(float),
            1,
            True,
            None,
            None,
            1,
        )
        reached = int(np.sum(best[1:] >= best[0] * (1 - 1e-8)))
        found += (1 + reached) / len(best) <= ALPHA
    return found / n_datasets


def rate_of_heavy_tails(n_datasets: int, *, n_nuisance: int) -> float:
    """Return the share of single voxels of 12 images significant by Freedman and Lane's method.

    Errors and nuisance are Cauchy's, and what is tested is lognormal: a few images decide all.
    """
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [
            np.exp(2 * rng.standard_normal(12)),
            rng.standard_cauchy((12, n_nuisance)),
            np.ones(12),
        ]
    )
    Y = rng.standard_cauchy((12, n_datasets))
    contrast = np.eye(1, X.shape[1])
    parts = partition(X, contrast)
    exchange = make_exchange(12, None, "within", flips=False)
    kernel = make_ols_kernel(parts, exchange, "freedman-lane", two_sided=True)
    observed = np.abs(fit_ols(X, Y).contrast(contrast[0]).stat)
    maps = np.empty((999, n_datasets))  # the same for all, and so many that this is no matter
    kernel.statistics(Y, *exchange.draw((1,), 0, 999), maps, 1)
    reached = np.sum(np.abs(maps) >= observed * (1 - 1e-9), axis=0)
    return float(np.mean((1 + reached) / 1000 <= ALPHA))


def bounds(n_datasets: int, confidence: float) -> tuple[float, float]:
    """Return the range of the rate of a test at its level."""
    low, high = stats.binom.interval(confidence, n_datasets, ALPHA)
    return low / n_datasets, high / n_datasets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=1000)
    n_datasets = parser.parse_args().datasets
    low, high = bounds(n_datasets, 0.99)
    print(
        f"{n_datasets} data sets; at the level of 5%, 99% of rates are in {low:.3f} to {high:.3f}"
    )
    for study in STUDIES.values():
        for fwhm in (0.0, 3.0):
            shown = rates(study, fwhm, n_datasets)
            told = "  ".join(f"{name} {rate:.3f}" for name, rate in shown.items())
            print(f"{study.name}, {'smooth' if fwhm else 'rough'}: {told}", flush=True)
    for n_nuisance in (0, 1, 3, 6):
        rate = rate_of_heavy_tails(10 * n_datasets, n_nuisance=n_nuisance)
        print(f"heavy tails, 12 images, {n_nuisance} nuisance columns: {rate:.3f}", flush=True)
    for sizes in ((4, 12), (6, 18), (10, 20)):
        for known in (False, True):
            rate = rate_of_v(sizes, n_datasets, nuisance_known=known)
            flipped = "errors, the mean known" if known else "residuals"
            print(f"v of groups {sizes}, flips of {flipped}: {rate:.3f}", flush=True)


if __name__ == "__main__":
    main()
