# SPDX-License-Identifier: BSD-3-Clause
"""Fixed and mixed effects: arrays beside PyMARE, files to maps, ever more images, sign flips.

PyMARE fits many voxels in one call, which is its fastest way; it uses one thread. Its seconds are
those of some voxels, times all voxels. Where the package is not installed, its column is empty.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from bench_images import CONTRASTS, design, peak_megabytes
from bench_scale import listed
from make_maps import FULL, QUICK, Size, default_folder, make_maps, make_variances
from measure import HEAD, N_THREADS, Row, Timing, clock, package_version, pretty, show

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A model of arrays: how it is called on both sides, and what is promised."""

    name: str
    options: dict[str, Any]
    theirs: str
    seconds: float
    times_pymare: float


CASES = (
    Case("fixed effects", {"tau2": 0.0, "test": "z"}, "WeightedLeastSquares", 0.060, 60.0),
    Case("DerSimonian-Laird", {"tau2": "dersimonian-laird"}, "DerSimonianLaird", 0.120, 70.0),
    Case("REML", {"tau2": "reml"}, "VarianceBasedLikelihoodEstimator", 0.400, 250.0),
)
N_IMAGES = 100
N_PYMARE = 2000  # voxels that PyMARE fits
PAIRS = {100: 1.3, 1000: 12.0}  # seconds for so many pairs of images
MEMORY_TARGET = 700.0  # MB at 1,000 pairs
STREAMED = (100, 1000, 10_000)
FLAT_TARGET = 1.15
FLIPS, FLIP_SECONDS = 1000, 30.0
FEW = Size((61, 73, 61), 58_734, 20)


def problem(n_voxels: int) -> tuple[npt.NDArray[np.float64], Matrix, Matrix]:
    """Effects and variances of voxels, a third of which have no heterogeneity."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(N_IMAGES), rng.normal(size=N_IMAGES)])
    V = np.exp(rng.standard_normal((N_IMAGES, n_voxels), dtype=np.float32))
    tau2 = rng.choice([0.0, 0.5, 4.0], size=n_voxels).astype(np.float32)
    Y = rng.standard_normal(V.shape, dtype=np.float32) * np.sqrt(V + tau2)
    return X, Y, V


def our_fit(case: Case, n_voxels: int) -> Callable[[], Any]:
    """Return what fits the arrays, for `ours.py` as well."""
    from groupglm import fit_mixed

    X, Y, V = problem(n_voxels)
    return partial(fit_mixed, X, Y, V, n_threads=N_THREADS, **case.options)


def pymare_seconds(case: Case, n_voxels: int) -> tuple[Timing, Any] | None:
    """Time PyMARE on some voxels, as seconds for all; None if it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves a file open while it loads
        try:
            from pymare import estimators
        except ImportError:
            return None
    from threadpoolctl import threadpool_limits

    X, Y, V = problem(n_voxels)
    few = slice(min(N_PYMARE, n_voxels))
    y, v = Y[:, few].astype(float), V[:, few].astype(float)
    options = {"method": "reml"} if case.name == "REML" else {}
    model = getattr(estimators, case.theirs)(**options)
    with threadpool_limits(1):
        took = clock(lambda: model.fit(y=y, v=v, X=X), repeat=3, warm_up=1)
    times = n_voxels / y.shape[1]
    return Timing(times * took.median, times * took.best), model.summary()


def bench_arrays(*, quick: bool) -> list[Row]:
    n_voxels = 5000 if quick else FULL.n_voxels
    rows = []
    for case in CASES:
        work = f"{case.name}, arrays, {N_IMAGES} x {n_voxels:,}, p = 2"
        job = our_fit(case, n_voxels)
        ours = clock(job, repeat=9, warm_up=1)
        rows.append(promise(work, ours, case.seconds))
        tested = job()
        contrast = clock(partial(tested.contrast, [0.0, 1.0]), repeat=9, warm_up=1)
        rows.append(Row(f"{case.name}: one contrast of it", with_processor(contrast), "", "", ""))
        found = pymare_seconds(case, n_voxels)
        work = f"{work}, beside PyMARE {package_version('PyMARE')}, one thread"
        if found is None:
            rows.append(Row(work, show(ours), "PyMARE is not installed", "", ""))
            continue
        theirs, summary = found
        check_same_answer(tested, summary)
        ratio = theirs.median / ours.median
        target = case.times_pymare
        rows.append(
            Row(work, show(ours), show(theirs), f"{ratio:.0f}x", f"{target:g}x", ratio >= target)
        )
    return rows


def check_same_answer(fit: Any, theirs: Any) -> None:
    """A fast wrong answer is no answer; PyMARE's search stops at about 1e-6."""
    wanted = theirs.get_fe_stats()["est"][1]
    found = fit.contrast([0.0, 1.0])
    se = np.sqrt(found.effect_variance[: len(wanted)])
    assert np.all(np.abs(found.effect_size[: len(wanted)] - wanted) <= 1e-3 * se)


def promise(work: str, ours: Timing, seconds: float) -> Row:
    """Show wall and processor time beside the seconds that are promised."""
    return Row(
        work, with_processor(ours), "", "", f"under {pretty(seconds)}", ours.median < seconds
    )


def with_processor(timing: Timing) -> str:
    return f"{show(timing)}, {pretty(timing.processor)} of processors"


def pairs(folder: Path, size: Size, n: int) -> tuple[list[str], list[str], str]:
    """List n effect maps and their variance maps, the same files over and over (`listed`)."""
    maps, mask = make_maps(folder, size)
    variances = make_variances(folder, size)
    return (
        listed([str(path) for path in maps], n),
        listed([str(path) for path in variances], n),
        str(mask),
    )


def fit_files(
    given: tuple[list[str], list[str], str], model: str, *, n_jobs: int | None = None
) -> Any:
    """Fit pairs of files."""
    from groupglm import SecondLevelModel

    effects, variances, mask = given
    options: dict[str, Any] = {} if n_jobs is None else {"n_jobs": n_jobs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same file by several names
        return SecondLevelModel(mask_img=mask, model=model, **options).fit(
            effects, design_matrix=design(len(effects)), variances=variances
        )


def whole_job(given: tuple[list[str], list[str], str], *, n_jobs: int | None = None) -> None:
    """Fit, and four contrasts with all maps."""
    model = fit_files(given, "mixed effects", n_jobs=n_jobs)
    for contrast in CONTRASTS:
        model.compute_contrast(contrast, output_type="all")


def bench_files(folder: Path, *, quick: bool) -> list[Row]:
    size = QUICK if quick else FULL
    rows = []
    for n, seconds in ({12: 1.3} if quick else PAIRS).items():
        given = pairs(folder, size, n)
        work = f"{n:,} pairs: fit by REML, 3 t, 1 F, all outputs"
        for label, n_jobs in (("n_jobs=-1", -1), ("default n_jobs", None)):
            repeat = 5 if n <= 100 else 1
            ours = clock(partial(whole_job, given, n_jobs=n_jobs), repeat=repeat, warm_up=n <= 100)
            rows.append(promise(f"{work}, {label}", ours, seconds))
        peak = in_a_fresh_process("mixed effects", n, folder, quick=quick)[1]
        rows.append(
            Row(
                f"{work}: peak memory",
                f"{peak:.0f} MB",
                "",
                "",
                f"under {MEMORY_TARGET:.0f} MB",
                peak < MEMORY_TARGET,
            )
        )
    return rows


def bench_streamed(folder: Path, *, quick: bool) -> list[Row]:
    """Fixed effects of ever more images: nothing grows with them."""
    rows, first = [], None
    for n in (12, 48) if quick else STREAMED:
        seconds, peak = in_a_fresh_process("fixed effects", n, folder, quick=quick)
        first = first or peak
        rows.append(
            Row(
                f"{n:,} pairs: fixed effects, {n / seconds:.0f} pairs/s, peak memory",
                f"{pretty(seconds)}, {peak:.0f} MB",
                "",
                f"{peak / first:.2f}x the first",
                f"under {MEMORY_TARGET:.0f} MB, flat within 15 %",
                peak < MEMORY_TARGET and peak <= FLAT_TARGET * first,
            )
        )
    return rows


def flips(folder: Path, size: Size, n_perm: int) -> Callable[[], Any]:
    """Return a one-sample test by sign flips, each of which fits tau2 anew."""
    from groupglm import non_parametric_inference

    effects, variances, mask = pairs(folder, size, size.n_maps)
    return partial(
        non_parametric_inference,
        effects,
        design_matrix=pd.DataFrame({"intercept": np.ones(len(effects))}),
        mask=mask,
        model="mixed effects",
        variances=variances,
        n_perm=n_perm,
        random_state=0,
        n_jobs=N_THREADS,
    )


def bench_flips(folder: Path, *, quick: bool) -> Row:
    size, n_perm = (QUICK, 100) if quick else (FEW, FLIPS)
    took = clock(flips(folder, size, n_perm), repeat=1, warm_up=0)
    work = f"{n_perm:,} sign flips with REML, {size.n_maps} subjects, {size.n_voxels:,} voxels"
    return promise(work, took, FLIP_SECONDS)


def in_a_fresh_process(model: str, n: int, folder: Path, *, quick: bool) -> tuple[float, float]:
    """Return seconds and peak memory, in MB, of one fit with its contrasts."""
    command = [sys.executable, __file__, "--one", model, str(n), "--dir", str(folder)]
    output = subprocess.run(
        [*command, *(["--quick"] if quick else [])], capture_output=True, text=True, check=True
    )
    seconds, peak = map(float, output.stdout.split()[-2:])
    return seconds, peak


def one(model: str, n: int, folder: Path, *, quick: bool) -> None:
    """Print what `in_a_fresh_process` asks for."""
    given = pairs(folder, QUICK if quick else FULL, n)
    start = time.perf_counter()
    fitted = fit_files(given, model, n_jobs=-1)
    seconds = time.perf_counter() - start
    for contrast in CONTRASTS:
        fitted.compute_contrast(contrast, output_type="all")
    print(seconds, peak_megabytes())


def bench(folder: Path, *, quick: bool) -> list[Row]:
    return [
        *bench_arrays(quick=quick),
        *bench_files(folder, quick=quick),
        *bench_streamed(folder, quick=quick),
        bench_flips(folder, quick=quick),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "N"), help="print its time and memory")
    options = parser.parse_args()
    if options.one:
        one(options.one[0], int(options.one[1]), options.dir, quick=options.quick)
        return
    print(HEAD)
    for row in bench(options.dir, quick=options.quick):
        print(row)


if __name__ == "__main__":
    main()
