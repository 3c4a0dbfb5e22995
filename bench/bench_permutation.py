# SPDX-License-Identifier: BSD-3-Clause
"""permuted_ols against nilearn's: what one more permutation costs, for each correction."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
from make_maps import AFFINE, FULL, QUICK, Size, brain
from measure import HEAD, N_THREADS, Row, Timing, clock, compare, package_version, pretty, show
from scipy import ndimage

from groupglm import _core, permuted_ols
from groupglm._core import Neighbours

Matrix = npt.NDArray[np.float32]
N_MAPS = 20


@dataclass(frozen=True)
class Work:
    """A correction, how much faster it must be, and how many permutations are timed."""

    name: str
    times_nilearn: float
    n_ours: int
    n_theirs: int
    options: dict[str, Any]


WORKS = (
    Work("max t", 30.0, 2000, 20, {}),
    Work("cluster size and mass", 20.0, 64, 6, {"threshold": 0.001}),
    Work("TFCE, 6-connectivity", 100.0, 32, 1, {"tfce": True}),
)


def problem(size: Size) -> tuple[Matrix, Any]:
    """Smooth noise in the columns of nilearn's order, and a masker of nilearn's."""
    from nilearn.maskers import NiftiMasker

    inside = brain(size)
    image: Any = nib.Nifti1Image  # nibabel is not typed throughout
    masker = NiftiMasker(mask_img=image(inside.astype(np.uint8), AFFINE), standardize=None).fit()
    rng = np.random.default_rng(0)
    rows = np.empty((N_MAPS, int(inside.sum())), np.float32)
    for row in rows:
        row[:] = ndimage.gaussian_filter(rng.standard_normal(size.shape, np.float32), 1.3)[inside]
    return rows / rows.std(), masker


def one_more(run: Callable[[int], object], n: int, *, repeat: int) -> Timing:
    """Time a permutation: what n + 1 take beyond one, so that what is done once is left out."""
    once = clock(lambda: run(1), repeat=repeat, warm_up=1)
    many = clock(lambda: run(1 + n), repeat=repeat)
    return Timing((many.median - once.median) / n, (many.best - once.best) / n)


def bench_work(work: Work, Y: Matrix, masker: Any, *, quick: bool) -> Row:
    from nilearn.mass_univariate import permuted_ols as theirs

    ones = np.ones(N_MAPS)
    options = {"masker": masker, "two_sided_test": True, "random_state": 0, **work.options}
    ours = one_more(
        lambda n: permuted_ols(ones, Y, n_perm=n, n_jobs=N_THREADS, **options),
        work.n_ours // (4 if quick else 1),
        repeat=5,
    )
    # One process: each of several would copy the data, and one does its t-maps in BLAS's threads.
    rival = one_more(
        lambda n: theirs(ones, Y, n_perm=n, n_jobs=1, **options), work.n_theirs, repeat=1
    )
    return compare(
        f"{work.name}, a permutation of {N_MAPS} maps (one process of nilearn's)",
        ours,
        rival,
        target=work.times_nilearn,
    )


def bench_whole(Y: Matrix, *, quick: bool) -> Row:
    n_perm = 1000 if quick else 10_000
    run = clock(
        lambda: permuted_ols(np.ones(N_MAPS), Y, n_perm=n_perm, n_jobs=N_THREADS, random_state=0),
        repeat=3,
    )
    limit = 10.0
    return Row(
        f"{n_perm:,} permutations of max t, {N_MAPS} maps",
        show(run),
        "",
        "",
        f"under {pretty(limit)}",
        run.median < limit,
    )


def bench_tfce(size: Size, connectivity: Literal[6, 26], *, quick: bool) -> Row:
    """One exact map, both tails, one thread, beside the compiled package of that name."""
    work = f"one exact TFCE map, both tails, one thread, {connectivity}-connectivity"
    try:
        from tfce import tfce as theirs
    except ImportError:
        return Row(work, "", "tfce is not installed", "", "1.5x")
    inside = brain(size)
    volume = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(size.shape), 1.3)
    volume = np.where(inside, 4 * volume / volume.std(), 0).astype(np.float32)
    places = np.flatnonzero(inside.ravel(order="F"))
    neighbours = Neighbours.of_volume(size.shape, places, connectivity)
    row = volume.ravel(order="F")[places].astype(np.float64)
    found = _core.tfce(row, neighbours, 0.5, 2.0, True, 0)
    expected = theirs(volume, connectivity=connectivity).ravel(order="F")[places]
    off = np.abs(found - expected).max() / np.abs(found).max()
    repeat = 3 if quick else 15
    ours = clock(lambda: _core.tfce(row, neighbours, 0.5, 2.0, True, 0), repeat=repeat, warm_up=1)
    rival = clock(lambda: theirs(volume, connectivity=connectivity), repeat=repeat, warm_up=1)
    ratio = rival.median / ours.median
    return Row(
        f"{work}, against tfce {package_version('tfce')}",
        show(ours),
        show(rival),
        f"{ratio:.1f}x, {off:.0e} apart",
        "1.5x, 1e-06 apart",
        ratio >= 1.5 and bool(off < 1e-6),
    )


def bench_missing(Y: Matrix, masker: Any, *, quick: bool) -> list[Row]:
    """The same work where images lack voxels: what it costs beside complete data."""
    rng = np.random.default_rng(1)
    n_voxels = Y.shape[1]
    patterns = rng.random((N_MAPS, 300 if quick else 3000)) < 0.2
    lacking = slice(n_voxels // 10)  # at one side, where neighbours lack the same images
    which = np.sort(rng.integers(patterns.shape[1], size=n_voxels // 10))
    holed = Y.copy()
    holed[:, lacking][patterns[:, which]] = np.nan
    rows = []
    for work in WORKS:

        def run(n: int, data: Matrix, options: dict[str, Any] = work.options) -> object:
            return permuted_ols(
                np.ones(N_MAPS), data, n_perm=n, masker=masker, random_state=0, n_jobs=N_THREADS,
                **options,
            )  # fmt: skip

        seconds = [
            one_more(partial(run, data=data), work.n_ours // 4, repeat=3) for data in (holed, Y)
        ]
        rows.append(
            Row(
                f"{work.name}, a permutation, {patterns.shape[1]} patterns of missing images in a "
                f"tenth of the voxels (complete: {show(seconds[1])})",
                show(seconds[0]),
                "",
                f"{seconds[0].median / seconds[1].median:.1f}x the time",
                "",
            )
        )
    return rows


def bench(*, quick: bool) -> list[Row]:
    with warnings.catch_warnings():
        # nilearn's own: matplotlib is absent, images of int64; and of so few permutations, ours.
        warnings.simplefilter("ignore")
        Y, masker = problem(QUICK if quick else FULL)
        rows = [bench_work(work, Y, masker, quick=quick) for work in WORKS]
        rows += [bench_whole(Y, quick=quick), *bench_missing(Y, masker, quick=quick)]
    size = QUICK if quick else FULL
    return [*rows, bench_tfce(size, 6, quick=quick), bench_tfce(size, 26, quick=quick)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small mask")
    print(HEAD)
    for row in bench(quick=parser.parse_args().quick):
        print(row)


if __name__ == "__main__":
    main()
