# SPDX-License-Identifier: BSD-3-Clause
"""Our side of the benches alone, as JSON: the least seconds of each job; for compare.py.

Jobs that this version of groupglm cannot do are null, with the reason on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import bench_images
import bench_inference
import bench_mixed
import bench_ols
import bench_permutation
import bench_prepared
import bench_repeated
import bench_report
import bench_statistics
import numpy as np
from bench_import import import_seconds
from make_maps import FULL, QUICK, Size, make_maps
from measure import N_THREADS, clock

# What a job is: how often it is run, and what prepares it and returns it.
Job = tuple[int, Callable[[], Callable[[], object]]]


def jobs(folder: Path, *, quick: bool) -> Iterator[tuple[str, Job]]:
    size = QUICK if quick else FULL
    maps, mask_path = make_maps(folder, size)
    paths, mask = [str(path) for path in maps], str(mask_path)
    for label, given in (("mask given", mask), ("mask found", None)):
        job = partial(bench_images.our_job, paths, given)
        yield f"{len(paths)} maps: fit, 3 t, 1 F, {label}", (5, partial(partial, job))
    yield "one more contrast, every output", (15, partial(one_more_contrast, paths, mask))
    for case in bench_ols.QUICK if quick else bench_ols.FULL:
        name = f"OLS {case.n} x {case.n_voxels:,}, p = {case.p}"
        yield name, (15, partial(least_squares, case))
    for model in bench_mixed.CASES:
        n_voxels = 5000 if quick else FULL.n_voxels
        job = partial(bench_mixed.our_fit, model, n_voxels)
        yield f"{model.name}, {bench_mixed.N_IMAGES} x {n_voxels:,}", (9, job)
    n_images, n_voxels = (60, 2000) if quick else (bench_repeated.N_IMAGES, FULL.n_voxels)
    name = f"random intercept and one contrast, {n_images} x {n_voxels:,}"
    yield name, (3, partial(bench_repeated.our_fit, n_images, n_voxels))
    yield "pairs: fit by REML, 3 t, 1 F", (3, partial(pairs_of_files, folder, size))
    n_places = bench_statistics.N_QUICK if quick else bench_statistics.N_PLACES
    for kind in ("t", "F"):
        job = partial(bench_statistics.our_job, kind, n_places)
        yield f"{kind}, p and z of {n_places:,} places, each with df of its own", (9, job)
    for name, options in bench_prepared.CASES.items():
        few = paths[: bench_prepared.N_MAPS]
        job = partial(bench_prepared.our_job, few, mask, options)
        yield f"{len(few)} maps, fit and one contrast, {name}", (3, partial(partial, job))
    Y, masker = bench_permutation.problem(size)
    for work in bench_permutation.WORKS:
        yield f"{work.n_ours} permutations, {work.name}", (3, partial(permute, work, Y, masker))
    for name in ("threshold_stats_img", "get_clusters_table", "cluster_level_inference"):
        yield f"z-map: {name}", (7, partial(inference, name, quick=quick))
    yield "report", (3, partial(report, paths[: bench_report.N_MAPS], mask))


def one_more_contrast(paths: list[str], mask: str) -> Callable[[], object]:
    model = bench_images.our_job(paths, mask)
    return partial(model.compute_contrast, bench_images.ONE_MORE, output_type="all")


def least_squares(case: bench_ols.Case) -> Callable[[], object]:
    from groupglm import fit_ols

    X, Y = bench_ols.problem(case)
    return partial(fit_ols, X, Y, n_threads=N_THREADS)


def pairs_of_files(folder: Path, size: Size) -> Callable[[], object]:
    given = bench_mixed.pairs(folder, size, size.n_maps)
    return partial(bench_mixed.whole_job, given, n_jobs=N_THREADS)


def permute(work: bench_permutation.Work, Y: Any, masker: Any) -> Callable[[], object]:
    from groupglm import permuted_ols

    return partial(
        permuted_ols,
        np.ones(bench_permutation.N_MAPS),
        Y,
        masker=masker,
        n_perm=work.n_ours,
        n_jobs=N_THREADS,
        random_state=0,
        **work.options,
    )


def inference(name: str, *, quick: bool) -> Callable[[], object]:
    import groupglm

    image, mask = bench_inference.z_map(QUICK if quick else FULL)
    options = {
        "threshold_stats_img": {"mask_img": mask, "height_control": "fdr", "cluster_threshold": 10},
        "get_clusters_table": {"stat_threshold": 3.0, "cluster_threshold": 10, "two_sided": True},
        "cluster_level_inference": {"mask_img": mask, "threshold": [2.3, 3.1]},
    }
    return partial(getattr(groupglm, name), image, **options[name])


def report(paths: list[str], mask: str) -> Callable[[], object]:
    from groupglm import SecondLevelModel

    model = SecondLevelModel(mask_img=mask, n_jobs=-1)
    model.fit(paths, design_matrix=bench_images.design(len(paths)))

    def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            bench_report.our_report(model, Path(folder, "page.html"))

    return write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="small sizes, each job run twice")
    options = parser.parse_args()
    import groupglm

    seconds: dict[str, float | None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn's masker, and of few permutations
        for name, (repeat, prepare) in jobs(options.dir, quick=options.quick):
            try:
                job = prepare()
                once = clock(job, repeat=1, warm_up=1).best
                # Short jobs oftener: the least of a few is still a busy machine's.
                times = max(2 if options.quick else repeat, min(200, int(0.2 / once)))
                seconds[name] = min(once, clock(job, repeat=times).best)
            except Exception as error:  # another version may fail in any way
                seconds[name] = None
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        seconds["import"] = import_seconds("groupglm", repeat=2 if options.quick else 5).best
    print(json.dumps({"from": groupglm.__file__, "seconds": seconds}))


if __name__ == "__main__":
    main()
