# SPDX-License-Identifier: BSD-3-Clause
"""The page about a fit: 20 maps at 2 mm, two contrasts; time and size, beside nilearn's page."""

from __future__ import annotations

import argparse
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from bench_images import design
from make_maps import FULL, QUICK, default_folder, make_maps
from measure import HEAD, Row, clock, show

N_MAPS = 20
CONTRASTS = ["intercept", "age"]
TIME_TARGET = 5.0  # s
SIZE_TARGET = 4.0  # MB


def our_report(model: Any, path: Path) -> None:
    model.generate_report(CONTRASTS).save_as_html(path)


def their_report(model: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.generate_report(CONTRASTS).save_as_html(path)


def their_model(paths: list[str], mask: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nilearn.glm.second_level import SecondLevelModel

        return SecondLevelModel(mask_img=mask).fit(paths, design_matrix=design(len(paths)))


def bench(folder: Path, *, quick: bool) -> list[Row]:
    from groupglm import SecondLevelModel

    maps, mask = make_maps(folder, QUICK if quick else FULL)
    paths = [str(path) for path in maps[:N_MAPS]]
    model = SecondLevelModel(mask_img=str(mask), n_jobs=-1)
    model.fit(paths, design_matrix=design(len(paths)))
    with tempfile.TemporaryDirectory() as temporary:
        page, theirs = Path(temporary, "ours.html"), Path(temporary, "theirs.html")
        our_time = clock(partial(our_report, model, page), repeat=3, warm_up=1)
        their_time = clock(
            partial(their_report, their_model(paths, str(mask)), theirs), repeat=1, warm_up=1
        )
        megabytes, their_megabytes = (path.stat().st_size / 1e6 for path in (page, theirs))
    name = f"report on {len(paths)} maps, two contrasts"
    return [
        Row(
            name,
            show(our_time),
            show(their_time),
            f"{their_time.median / our_time.median:.1f}x",
            f"under {TIME_TARGET:g} s",
            our_time.median < TIME_TARGET,
        ),
        Row(
            f"{name}: size",
            f"{megabytes:.1f} MB",
            f"{their_megabytes:.1f} MB",
            "",
            f"under {SIZE_TARGET:g} MB",
            megabytes < SIZE_TARGET,
        ),
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
