# SPDX-License-Identifier: BSD-3-Clause
"""What the estimator costs above the engine it orchestrates, and images above the copies they are.

The engine alone: open the files, read them into a state inside a mask, compute the contrasts' rows.
The estimator does that too, and checks what it was given and makes images. The two alternate, so
that both see the same machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bench_images import CONTRASTS, design, our_job
from make_maps import FULL, QUICK, default_folder, make_maps
from measure import HEAD, N_THREADS, Row, Timing, show

OVERHEAD_TARGET = 0.10


def engine_alone(paths: list[str], mask: str) -> None:
    from groupglm.design.contrasts import contrast_matrix
    from groupglm.engine.reading import Reading
    from groupglm.engine.reduce import accumulate
    from groupglm.models.ols import OLS
    from groupglm.spaces.volume import open_images
    from groupglm.spaces.volume.space import VolumeSpace

    sources = open_images(paths)
    space = VolumeSpace.from_mask(mask, sources[0].grid)
    frame = design(len(paths))
    X = np.ascontiguousarray(frame.to_numpy(dtype=np.float64))
    names = tuple(frame.columns)
    plan = OLS.prepare(X, names)
    fit = plan.finish(accumulate(sources, space, plan, Reading(n_threads=N_THREADS)), N_THREADS)
    for contrast in CONTRASTS:
        fit.contrast(contrast_matrix(contrast, list(names)))


def alternate(
    first: Callable[[], object], second: Callable[[], object], *, repeat: int
) -> tuple[Timing, Timing]:
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeat + 1):
        for work, seconds in zip((first, second), times, strict=True):
            start = time.perf_counter()
            work()
            if turn > 0:  # the first turn warms up
                seconds.append(time.perf_counter() - start)
    a, b = (Timing(statistics.median(seconds), min(seconds)) for seconds in times)
    return a, b


def overhead(paths: list[str], mask: str) -> Row:
    estimator, engine = alternate(
        partial(our_job, paths, mask), partial(engine_alone, paths, mask), repeat=9
    )
    extra = estimator.best / engine.best - 1
    return Row(
        f"{len(paths)} maps: the estimator above the engine alone ({show(engine)})",
        show(estimator),
        "",
        f"{100 * extra:.1f} %",
        f"under {100 * OVERHEAD_TARGET:.0f} %",
        extra < OVERHEAD_TARGET,
    )


def five_images(mask: str) -> Row:
    from groupglm.spaces.volume.space import VolumeSpace

    space = VolumeSpace.from_mask(mask)
    rows = np.random.default_rng(0).normal(size=(5, space.n_values))
    volume = np.ones(space.grid.shape, np.float32, order="F")
    images, copies = alternate(
        lambda: [space.to_image(row) for row in rows],
        lambda: [volume.copy(order="F") for _ in rows],
        repeat=30,
    )
    nbytes = sum(np.asarray(space.to_image(row).dataobj).nbytes for row in rows)
    return Row(
        f"five output images, against five copies of a float32 volume ({show(copies)})",
        f"{show(images)}, {nbytes / volume.nbytes:.0f} volumes",
        "",
        f"{images.best / copies.best:.1f}x the time",
        "five volumes",
        nbytes == 5 * volume.nbytes,
    )


def bench(folder: Path, *, quick: bool) -> list[Row]:
    maps, mask = make_maps(folder, QUICK if quick else FULL)
    return [overhead([str(path) for path in maps], str(mask)), five_images(str(mask))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    options = parser.parse_args()
    print(HEAD)
    for row in bench(options.dir, quick=options.quick):
        print(row)


if __name__ == "__main__":
    main()
