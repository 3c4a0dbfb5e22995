# SPDX-License-Identifier: BSD-3-Clause
"""Surfaces: fit and contrasts, reading CIFTI, table of clusters, TFCE, permutations, the page.

TFCE is timed beside the Connectome Workbench, if ``wb_command`` is there: many columns, less the
time of one column, which its start takes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from bench_images import peak_megabytes
from bench_mixed import promise
from bench_surface_smoothing import images
from make_dscalars import FULL, QUICK, make_dscalars
from make_maps import default_folder
from measure import HEAD, N_THREADS, Row, Timing, clock, compare, pretty, show
from nibabel.gifti.gifti import GiftiDataArray, GiftiImage

N_IMAGES, N_PERMUTED = 100, 20
CONTRASTS = ("age", "group", "intercept", "age - group")
FIT_TARGET, CONTRAST_TARGET, TABLE_TARGET, TFCE_TARGET = 40.0, 200.0, 10.0, 3.0
READING_TARGET = 30.0
PERMUTATION_SECONDS, REPORT_SECONDS, REPORT_MB = 0.010, 3.0, 4.0
MEMORY_TARGET = 3.0
N_COLUMNS = 20
_SIDES = ("left", "right")
_ALONE = {"OMP_NUM_THREADS": "1", "PATH": "/usr/bin"}


def divisions(*, quick: bool) -> int:
    return 3 if quick else 6  # 40,962 vertices a hemisphere


def design(n_images: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    group = (np.arange(n_images) % 2).astype(float)
    return pd.DataFrame({"intercept": 1.0, "age": rng.standard_normal(n_images), "group": group})


def fitted(given: list[Any], kind: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**options).fit(given, design_matrix=design(len(given)))


def job(given: list[Any], kind: Any, **options: Any) -> None:
    """Fit and compute all maps of four contrasts."""
    model = fitted(given, kind, **options)
    for name in CONTRASTS:
        contrast(model, name)


def contrast(model: Any, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.compute_contrast(name, output_type="all")


def kinds() -> dict[str, tuple[Any, dict[str, Any]]]:
    from nilearn.glm.second_level import SecondLevelModel as NilearnModel

    from groupglm import SecondLevelModel

    return {
        "groupglm": (SecondLevelModel, {"n_jobs": N_THREADS}),
        "nilearn": (NilearnModel, {"n_jobs": N_THREADS}),
    }


def bench_fit(*, quick: bool) -> list[Row]:
    n = 12 if quick else N_IMAGES
    given = images(n, divisions(quick=quick))
    (ours, ours_with), (theirs, theirs_with) = kinds().values()
    work = f"{n} SurfaceImages: fit, four contrasts, all maps"
    rows = [
        compare(
            work,
            clock(partial(job, given, ours, **ours_with), repeat=1 if quick else 5, warm_up=1),
            clock(partial(job, given, theirs, **theirs_with), repeat=1),
            target=FIT_TARGET,
        )
    ]
    model, reference = fitted(given, ours, **ours_with), fitted(given, theirs, **theirs_with)
    rows.append(
        compare(
            "surfaces: one more contrast, all maps",
            clock(partial(contrast, model, "age"), repeat=5, warm_up=1),
            clock(partial(contrast, reference, "age"), repeat=1, warm_up=1),
            target=CONTRAST_TARGET,
        )
    )
    before, peaks = zip(*(peak(name, quick=quick) for name in ("groupglm", "nilearn")), strict=True)
    # The images are nilearn's, so both processes hold nilearn and the maps before they begin.
    added = [after - start for start, after in zip(before, peaks, strict=True)]
    ratio = added[1] / max(added[0], 1.0)
    own, other = (f"{more:.0f} MB" for more in added)
    what = f"{work}: peak memory beyond imports and maps ({before[0]:.0f} MB)"
    target = f"{MEMORY_TARGET:g}x"
    rows.append(Row(what, own, other, f"{ratio:.1f}x", target, ratio >= MEMORY_TARGET))
    own, other = (f"{megabytes:.0f} MB" for megabytes in peaks)
    rows.append(Row(f"{work}: peak memory", own, other, f"{peaks[1] / peaks[0]:.1f}x", ""))
    return rows


def peak(name: str, *, quick: bool) -> tuple[float, float]:
    """Return the memory of a process, in MB, before a fit with its contrasts, and its peak."""
    command = [sys.executable, __file__, "--one", name, *(["--quick"] if quick else [])]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    before, after = map(float, output.split()[-2:])
    return before, after


def one(name: str, *, quick: bool) -> None:
    """Print the peak memory, in MB, before one fit with its contrasts, and after it."""
    given = images(12 if quick else N_IMAGES, divisions(quick=quick))
    kind, options = kinds()[name]
    before = peak_megabytes()
    job(given, kind, **options)
    print(before, peak_megabytes())


def bench_reading(folder: Path, *, quick: bool) -> Row:
    """Time CIFTI files from their paths to arrays of values."""
    from groupglm.spaces.registry import open_inputs

    files = [str(path) for path in make_dscalars(folder, QUICK if quick else FULL)]

    def our_values() -> list[Any]:
        opened: list[Any] = open_inputs(files)
        return [source.read() for source in opened]

    def their_values() -> list[Any]:
        opened: list[Any] = [nib.load(path) for path in files]
        return [np.asarray(image.dataobj)[0] for image in opened]

    own, theirs = our_values(), their_values()
    n_values = len(theirs[0])
    for one, other in zip(own, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(one), other)  # a fast wrong answer is no answer
    return compare(
        f"{len(files)} dscalars of {n_values:,} grayordinates: opened and read, beside nibabel",
        clock(our_values, repeat=5, warm_up=1),
        clock(their_values, repeat=2, warm_up=1),
        target=READING_TARGET,
    )


def smooth_map(n_divisions: int) -> Any:
    """Return a map of noise, smoothed to some hundred clusters, of variance one."""
    from groupglm import smooth_img

    (image,) = images(1, n_divisions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = smooth_img(image, 8.0)
    for side in _SIDES:
        image.data.parts[side][:] /= image.data.parts[side].std()
    return image


def bench_table(*, quick: bool) -> Row:
    from nilearn.reporting import get_clusters_table as their_table

    from groupglm import get_clusters_table

    given = smooth_map(divisions(quick=quick))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = clock(lambda: get_clusters_table(given, 2.0, two_sided=True), repeat=5, warm_up=1)
        theirs = clock(lambda: their_table(given, 2.0, two_sided=True), repeat=2, warm_up=1)
    return compare("a map of two hemispheres: table of clusters", ours, theirs, target=TABLE_TARGET)


def bench_tfce(*, quick: bool) -> Row:
    """Time one thread on both sides."""
    from groupglm import _core
    from groupglm.spaces.surface.mesh import Mesh

    given = smooth_map(divisions(quick=quick))
    part = given.mesh.parts["left"]
    mesh = Mesh("left", part.coordinates, part.faces)
    row = np.ascontiguousarray(given.data.parts["left"].ravel(), np.float64)
    neighbours = mesh.neighbours()
    ours = clock(
        lambda: _core.tfce(row, neighbours, 1.0, 2.0, True, 0, mesh.areas), repeat=9, warm_up=1
    )
    work = f"area TFCE of a map of {mesh.n_vertices:,} vertices, one thread, beside wb_command"
    if shutil.which("wb_command") is None:
        return Row(work, show(ours), "wb_command is not installed", "", "")
    theirs = workbench_seconds(mesh, row)
    ratio = theirs / ours.median
    return Row(
        work, show(ours), pretty(theirs), f"{ratio:.1f}x", f"{TFCE_TARGET:g}x", ratio >= TFCE_TARGET
    )


def workbench_seconds(mesh: Any, row: Any) -> float:
    """Return the seconds of one more column."""
    array: Any = GiftiDataArray
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        surface, metric, out = (
            Path(name, f"{part}.gii") for part in ("s.surf", "m.func", "o.func")
        )
        arrays = [
            array(mesh.coordinates.astype(np.float32), "NIFTI_INTENT_POINTSET"),
            array(mesh.faces, "NIFTI_INTENT_TRIANGLE"),
        ]
        save(arrays, surface)
        for n_columns in (1, N_COLUMNS + 1):
            save([array(row.astype(np.float32), "NIFTI_INTENT_NONE")] * n_columns, metric)
            command = ["wb_command", "-metric-tfce", *map(str, (surface, metric, out))]
            took = []
            for _ in range(3):
                start = time.perf_counter()
                subprocess.run(command, check=True, env=_ALONE)
                took.append(time.perf_counter() - start)
            seconds.append(min(took))
    return (seconds[1] - seconds[0]) / N_COLUMNS


def save(arrays: list[Any], path: Path) -> None:
    image: Any = GiftiImage
    made = image(darrays=arrays)
    made.darrays[0].meta["AnatomicalStructurePrimary"] = "CortexLeft"
    made.meta["AnatomicalStructurePrimary"] = "CortexLeft"
    nib.save(made, path)


def bench_permutation(*, quick: bool) -> Row:
    """Time one more permutation, by the difference of two numbers of them."""
    from groupglm import non_parametric_inference

    given = images(N_PERMUTED, divisions(quick=quick))
    few, many = (5, 15) if quick else (50, 250)

    def run(n_perm: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            non_parametric_inference(
                given, design_matrix=design(N_PERMUTED), second_level_contrast="age",
                n_perm=n_perm, tfce=True, random_state=0, n_jobs=N_THREADS,
            )  # fmt: skip

    base = clock(partial(run, few), repeat=3, warm_up=1)
    more = clock(partial(run, many), repeat=3)
    pairs = (
        (more.median, base.median),
        (more.best, base.best),
        (more.processor, base.processor),
    )
    each = [(later - sooner) / (many - few) for later, sooner in pairs]
    work = f"TFCE on two hemispheres, a permutation of {N_PERMUTED} images"
    return promise(work, Timing(*each), PERMUTATION_SECONDS)


def bench_report(*, quick: bool) -> list[Row]:
    from groupglm import SecondLevelModel

    model = fitted(images(12 if quick else 20, divisions(quick=quick)), SecondLevelModel)
    pages: list[Any] = []

    def make() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pages[:] = [model.generate_report(contrasts=["age", "group"])]

    took = clock(make, repeat=1 if quick else 3, warm_up=1)
    megabytes = len(str(pages[0]).encode()) / 1e6
    size = Row(
        "report of surfaces, two contrasts: size", f"{megabytes:.1f} MB", "", "",
        f"under {REPORT_MB:g} MB", megabytes < REPORT_MB,
    )  # fmt: skip
    return [promise("report of surfaces, two contrasts", took, REPORT_SECONDS), size]


def bench(folder: Path, *, quick: bool) -> list[Row]:
    return [
        *bench_fit(quick=quick),
        bench_reading(folder, quick=quick),
        bench_table(quick=quick),
        bench_tfce(quick=quick),
        bench_permutation(quick=quick),
        *bench_report(quick=quick),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep files")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    parser.add_argument("--one", help="print the peak memory of a package's fit")
    options = parser.parse_args()
    if options.one:
        one(options.one, quick=options.quick)
        return
    print(HEAD)
    for row in bench(options.dir, quick=options.quick):
        print(row)


if __name__ == "__main__":
    main()
