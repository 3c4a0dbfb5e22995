# SPDX-License-Identifier: BSD-3-Clause
"""Random field theory: the smoothness of residual maps beside reading them, and pTFCE.

Ratios are of processor time, of all threads together, so that a busy machine gives the same.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from bench_inference import z_map
from make_maps import FULL, QUICK, default_folder, make_maps
from measure import HEAD, N_THREADS, Row, Timing, clock, pretty, show

N_MAPS = 100
TARGET = 1.3  # times as long as reading


def read(paths: list[str], mask: str) -> None:
    """Read maps inside a mask, and do nothing with them."""
    from groupglm.engine.rows import read_rows
    from groupglm.spaces.geometry import NO_GEOMETRY
    from groupglm.spaces.registry import kind_of

    kind = kind_of(paths)
    sources = kind.open_inputs(paths, argument="images", same_placement=True, at_least=2)
    masking = kind.masking(mask, None, None, None, zero_is_missing=False, geometry=NO_GEOMETRY)
    everywhere = masking.everywhere(sources, clip=None, fill=None, n_threads=N_THREADS)
    inside = masking.inside(everywhere)
    assert inside is not None  # the mask is given
    for _ in read_rows(sources, inside, n_threads=N_THREADS):
        pass


def estimate(paths: list[str], mask: str) -> None:
    import groupglm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        groupglm.estimate_smoothness(paths, mask, df=len(paths) - 2.0, n_jobs=N_THREADS)


def busy(timing: Timing) -> str:
    return f"{show(timing)}, busy {pretty(timing.processor)}"


def bench(folder: Path, *, quick: bool) -> list[Row]:
    import groupglm
    from groupglm.inference.random_fields.smoothness import Smoothness

    size = QUICK if quick else FULL
    maps, mask = make_maps(folder, size)
    paths = [str(maps[k % len(maps)]) for k in range(N_MAPS if not quick else 10)]
    repeat = 1 if quick else 5
    ours = clock(partial(estimate, paths, str(mask)), repeat=repeat, warm_up=1)
    theirs = clock(partial(read, paths, str(mask)), repeat=repeat, warm_up=1)
    ratio = ours.processor / theirs.processor
    image, inside = z_map(size)
    smooth = Smoothness.of_box(np.shape(image.dataobj), fwhm=3.5, df=60.0)
    enhanced = clock(
        partial(groupglm.ptfce, image, smooth, inside), repeat=1 if quick else 3, warm_up=1
    )
    return [
        Row(
            f"smoothness of {len(paths)} residual maps, beside reading them",
            busy(ours),
            busy(theirs),
            f"{ratio:.2f} times",
            f"{TARGET:g} times",
            ratio <= TARGET,
        ),
        Row("z-map: pTFCE, both tails, 100 heights", busy(enhanced), "", "", "", None),
    ]


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
