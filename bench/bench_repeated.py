# SPDX-License-Identifier: BSD-3-Clause
"""Repeated measures: arrays beside statsmodels and lme4, files to maps, ever more images.

statsmodels' MixedLM and R's lme4 fit one voxel after another; their seconds are those of some
voxels, times all voxels. lme4 does not derive what a check of its convergence needs (its `refit`
would be faster, and ends at other variances than `lmer`). Each uses one thread. Where a package is
not installed, its column is empty.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from bench_images import peak_megabytes
from bench_mixed import promise
from make_maps import FULL, QUICK, Size, default_folder, make_maps
from measure import HEAD, N_THREADS, Row, Timing, clock, package_version, pretty, show

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """Images of subjects with one to five visits, each of whom is in a family of up to five."""

    subjects: npt.NDArray[np.int64]  # (n_images,)
    families: npt.NDArray[np.int64]
    X: FloatArray  # (n_images, 4)


FINISHED_SECONDS = 0.300  # of the search and a contrast, at 900 images
TIMES_OLS = 1.4
TIMES_STATSMODELS, TIMES_LME4 = 50_000.0, 1_000.0
SANDWICH_SECONDS = 0.500
NESTED_SECONDS = 8.0
MEMORY_TARGET, FLAT_TARGET = 700.0, 1.15  # MB, and times what so many images need (see SIZES)
N_IMAGES, N_NESTED = 900, 1000
SIZES = (100, 1000, 10_000)
N_STATSMODELS, N_LME4 = 5, 50  # voxels that they fit
CONTRAST = np.array([0.0, 0.0, 0.0, 1.0])


def study(n_images: int) -> Study:
    """Draw who has how many visits; the design is groups, visits, and both together."""
    rng = np.random.default_rng(5)
    sizes = np.tile([1, 3, 2, 5, 4, 3], n_images)
    subjects = np.repeat(np.arange(len(sizes)), sizes)[:n_images]
    of_family = np.repeat(np.arange(len(sizes)), rng.integers(1, 6, size=len(sizes)))
    visit = np.arange(n_images) - np.searchsorted(subjects, subjects)
    group = subjects % 2
    X = np.column_stack([np.ones(n_images), group, visit, group * visit]).astype(float)
    return Study(subjects, of_family[subjects], X)


def values(given: Study, n_voxels: int) -> npt.NDArray[np.float32]:
    """Draw voxels, a fourth of which have no variance of the subjects."""
    rng = np.random.default_rng(6)
    Y = rng.standard_normal((len(given.X), n_voxels), dtype=np.float32)
    sd = np.sqrt(np.array([0.0, 0.3, 1.0, 3.0], dtype=np.float32))[np.arange(n_voxels) % 4]
    own = rng.standard_normal((given.subjects.max() + 1, n_voxels), dtype=np.float32) * sd
    for first in range(0, len(Y), 50):  # without a second array of that size
        Y[first : first + 50] += own[given.subjects[first : first + 50]]
    return Y


def our_fit(n_images: int, n_voxels: int) -> Callable[[], Any]:
    """Return what fits arrays and tests a contrast, for `ours.py` as well."""
    from groupglm import fit_repeated

    given = study(n_images)
    Y = values(given, n_voxels)

    def job() -> Any:
        fit = fit_repeated(given.X, Y, given.subjects, n_threads=N_THREADS)
        return fit.contrast(CONTRAST)

    return job


def finished(n_images: int, n_voxels: int) -> Callable[[], Any]:
    """Return what is done after all images are read: the search and one contrast."""
    from groupglm import RepeatedMeasures
    from groupglm.models.array_rows import ArrayRows
    from groupglm.models.base import fill

    given = study(n_images)
    names = tuple(f"x{j}" for j in range(given.X.shape[1]))
    plan = RepeatedMeasures(subjects=given.subjects).prepare(given.X, names)
    seen = fill(plan, ArrayRows(values(given, n_voxels)), n_threads=N_THREADS)
    return lambda: plan.finish(seen, N_THREADS).contrast(CONTRAST)


def bench_arrays(*, quick: bool) -> list[Row]:
    n, n_voxels = (60, 2000) if quick else (N_IMAGES, FULL.n_voxels)
    work = f"{n} images x {n_voxels:,} voxels, random intercept"
    after = clock(finished(n, n_voxels), repeat=7, warm_up=1)
    rows = [promise(f"{work}: search and one contrast, after reading", after, FINISHED_SECONDS)]
    job = our_fit(n, n_voxels)
    ours = clock(job, repeat=5, warm_up=1)
    found = job()
    for name, seconds, target in (
        ("statsmodels", statsmodels_seconds, TIMES_STATSMODELS),
        ("lme4", lme4_seconds, TIMES_LME4),
    ):
        theirs = seconds(n, n_voxels, found)
        label = f"{work}: fit and one contrast, beside {name}"
        if theirs is None:
            rows.append(Row(label, show(ours), f"{name} is not installed", "", ""))
            continue
        ratio = theirs.median / ours.median
        each = f"{show(theirs)}, a voxel {pretty(theirs.median / n_voxels)}"
        rows.append(
            Row(label, show(ours), each, f"{ratio:,.0f}x", f"{target:,.0f}x", ratio >= target)
        )
    return rows


def statsmodels_seconds(n: int, n_voxels: int, found: Any) -> Timing | None:
    """Time MixedLM on some voxels, as seconds for all, and compare its answers with ours."""
    if package_version("statsmodels").startswith("("):
        return None
    from statsmodels.regression.mixed_linear_model import MixedLM
    from threadpoolctl import threadpool_limits

    given = study(n)
    Y = values(given, n_voxels)[:, 1 : 1 + N_STATSMODELS].astype(float)
    fits: list[Any] = []

    def job() -> None:
        fits[:] = [MixedLM(y, given.X, groups=given.subjects).fit(reml=True) for y in Y.T]

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # of voxels at the boundary
        took = clock(job, repeat=3, warm_up=1)
    theirs = np.array([fit.fe_params[3] for fit in fits])
    check_same_answer(found, slice(1, 1 + N_STATSMODELS), theirs)
    return for_all(took, N_STATSMODELS, n_voxels)


LME4 = """
suppressMessages(library(lme4))
given <- commandArgs(trailingOnly = TRUE)
d <- read.csv(given[1])
voxels <- grep("^y", names(d), value = TRUE)
control <- lmerControl(calc.derivs = FALSE)
fit <- function(v) {
  d$y <- d[[v]]
  fixef(suppressMessages(lmer(y ~ x1 + x2 + x3 + (1 | subject), d, control = control)))[[4]]
}
invisible(fit("y0"))
took <- system.time(b <- sapply(voxels, fit))
cat(took[["elapsed"]], sprintf("%.12g", b))
"""


def lme4_seconds(n: int, n_voxels: int, found: Any) -> Timing | None:
    """Time lme4 on some voxels, as seconds for all, and compare its answers with ours."""
    if shutil.which("Rscript") is None:
        return None
    given = study(n)
    table = pd.DataFrame(given.X, columns=[f"x{j}" for j in range(4)])
    table["subject"] = given.subjects
    Y = values(given, n_voxels)[:, 1 : 1 + N_LME4]
    table = pd.concat([table, pd.DataFrame(Y, columns=[f"y{k}" for k in range(N_LME4)])], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        script, images = Path(folder, "fit.R"), Path(folder, "images.csv")
        script.write_text(LME4, encoding="utf-8")
        table.to_csv(images, index=False)
        done = subprocess.run(
            ["Rscript", str(script), str(images)], capture_output=True, text=True, check=False
        )
    if "there is no package" in done.stderr:
        return None
    seconds, *theirs = map(float, done.stdout.split())
    check_same_answer(found, slice(1, 1 + N_LME4), np.array(theirs))
    return for_all(Timing(seconds, seconds), N_LME4, n_voxels)


def for_all(took: Timing, n_fitted: int, n_voxels: int) -> Timing:
    times = n_voxels / n_fitted
    return Timing(times * took.median, times * took.best)


def check_same_answer(found: Any, voxels: slice, theirs: FloatArray) -> None:
    """A fast wrong answer is no answer; both of them stop at about 1e-4 of the variances.

    Where no variance of the subjects was drawn, statsmodels may stop anywhere, with a warning.
    """
    se = np.sqrt(found.effect_variance[voxels])
    near = np.abs(found.effect_size[voxels] - theirs) <= 0.02 * se
    drawn = np.arange(len(found.effect_size))[voxels] % 4 > 0
    assert drawn.any()
    assert near[drawn].all()


def bench_rows_kept(*, quick: bool) -> list[Row]:
    """Time the sandwich's contrast, and nested effects with one."""
    from groupglm import fit_repeated

    n, n_voxels = (60, 2000) if quick else (N_IMAGES, FULL.n_voxels)
    given = study(n)
    fit = fit_repeated(
        given.X, values(given, n_voxels), given.subjects, covariance="sandwich", n_threads=N_THREADS
    )
    took = clock(partial(fit.contrast, CONTRAST), repeat=5, warm_up=1)
    work = f"{n} images x {n_voxels:,} voxels, sandwich: one contrast"
    rows = [promise(work, took, SANDWICH_SECONDS)]
    del fit
    n = 60 if quick else N_NESTED
    given = study(n)
    Y = values(given, n_voxels)

    def nested() -> Any:
        fit = fit_repeated(
            given.X,
            Y,
            given.subjects,
            covariance="nested",
            families=given.families,
            n_threads=N_THREADS,
        )
        return fit.contrast(CONTRAST)

    work = f"{n:,} images x {n_voxels:,} voxels, nested, unbalanced: fit and one contrast"
    return [*rows, promise(work, clock(nested, repeat=1, warm_up=0), NESTED_SECONDS)]


@contextmanager
def files(folder: Path, size: Size, n: int) -> Iterator[tuple[list[str], str]]:
    """Copy the maps as often as it takes: subjects and visits cannot share a file."""
    maps, mask = make_maps(folder, size)
    with tempfile.TemporaryDirectory(dir=folder) as copies:
        paths = [str(Path(copies, f"map-{i:05d}.nii.gz")) for i in range(n)]
        for i, path in enumerate(paths):
            shutil.copyfile(maps[i % len(maps)], path)
        yield paths, str(mask)


def fit_files(paths: list[str], mask: str, *, repeated: bool) -> Any:
    """Fit maps and test a contrast: as repeated measures, or as if they were independent."""
    from groupglm import SecondLevelModel

    given = study(len(paths))
    design = pd.DataFrame(given.X, columns=["intercept", "group", "visit", "group_visit"])
    options: dict[str, Any] = {}
    labels: dict[str, Any] = {}
    if repeated:
        options = {"model": "repeated measures"}
        labels = {"subjects": [f"s{number}" for number in given.subjects]}
    model = SecondLevelModel(mask_img=mask, n_jobs=N_THREADS, **options)
    model.fit(paths, design_matrix=design, **labels)
    model.compute_contrast("group_visit", output_type="all")
    return model


def bench_files(folder: Path, *, quick: bool) -> Row:
    """Fit the same files by both models in turn."""
    size, n = (QUICK, 24) if quick else (FULL, N_IMAGES)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with files(folder, size, n) as (paths, mask):
        fit_files(paths[:12], mask, repeated=True)  # imports
        for _ in range(1 if quick else 5):
            for repeated in (False, True):
                start = time.perf_counter()
                fit_files(paths, mask, repeated=repeated)
                seconds[repeated].append(time.perf_counter() - start)
    ols, ours = (statistics.median(seconds[repeated]) for repeated in (False, True))
    return Row(
        f"{n} maps: random intercept and one contrast (OLS {pretty(ols)})",
        pretty(ours),
        "",
        f"{ours / ols:.2f}x OLS",
        f"at most {TIMES_OLS}x",
        ours / ols <= TIMES_OLS,
    )


def bench_memory(folder: Path, *, quick: bool) -> list[Row]:
    """Fit ever more maps, each number of them in a fresh process.

    The second number is where memory is flat from: all subjects' numbers of images occur, and no
    row of a batch is left free.
    """
    rows: list[Row] = []
    flat: float | None = None
    sizes = (12, 24, 48) if quick else SIZES
    for n in sizes:
        command = [sys.executable, __file__, "--one", str(n), "--dir", str(folder)]
        output = subprocess.run(
            [*command, *(["--quick"] if quick else [])], capture_output=True, text=True, check=True
        )
        seconds, peak = map(float, output.stdout.split()[-2:])
        if rows and flat is None:
            flat = peak
        rows.append(
            Row(
                f"{n:,} maps: random intercept, {n / seconds:.0f} maps/s, peak memory",
                f"{pretty(seconds)}, {peak:.0f} MB",
                "",
                "" if flat is None else f"{peak / flat:.2f}x that of {sizes[1]:,}",
                f"under {MEMORY_TARGET:.0f} MB, then flat within 15 %",
                peak < MEMORY_TARGET and (flat is None or peak <= FLAT_TARGET * flat),
            )
        )
    return rows


def one(n: int, folder: Path, *, quick: bool) -> None:
    """Print seconds and peak memory, in MB, of one fit with its contrast."""
    with files(folder, QUICK if quick else FULL, n) as (paths, mask):
        start = time.perf_counter()
        fit_files(paths, mask, repeated=True)
        print(time.perf_counter() - start, peak_megabytes())


def bench(folder: Path, *, quick: bool) -> list[Row]:
    return [
        *bench_arrays(quick=quick),
        *bench_rows_kept(quick=quick),
        bench_files(folder, quick=quick),
        *bench_memory(folder, quick=quick),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    parser.add_argument("--one", type=int, help="fit so many maps, print its time and memory")
    options = parser.parse_args()
    if options.one:
        one(options.one, options.dir, quick=options.quick)
        return
    print(HEAD)
    for row in bench(options.dir, quick=options.quick):
        print(row)


if __name__ == "__main__":
    main()
