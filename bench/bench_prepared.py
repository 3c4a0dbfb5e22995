# SPDX-License-Identifier: BSD-3-Clause
"""Smoothing and resampling within the model: fit and one contrast on 30 maps at 2 mm."""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_images import design
from make_maps import FULL, QUICK, default_folder, make_maps
from measure import HEAD, N_THREADS, Row, clock, compare

N_MAPS = 30
TARGET = 15.0
CASES: dict[str, dict[str, Any]] = {
    "smoothing_fwhm=8": {"smoothing_fwhm": 8.0},
    "target_affine 3 mm": {"target_affine": np.diag([3.0, 3.0, 3.0])},
    "both": {"smoothing_fwhm": 8.0, "target_affine": np.diag([3.0, 3.0, 3.0])},
}


def our_job(paths: list[str], mask: str, options: dict[str, Any]) -> Any:
    from groupglm import SecondLevelModel

    model = SecondLevelModel(mask_img=mask, n_jobs=-1, **options)
    return model.fit(paths, design_matrix=design(len(paths))).compute_contrast("age")


def their_job(paths: list[str], mask: str, options: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nilearn.glm.second_level import SecondLevelModel

        model = SecondLevelModel(mask_img=mask, n_jobs=N_THREADS, **options)
        return model.fit(paths, design_matrix=design(len(paths))).compute_contrast("age")


def bench(folder: Path, *, quick: bool) -> list[Row]:
    maps, mask = make_maps(folder, QUICK if quick else FULL)
    paths = [str(path) for path in maps[:N_MAPS]]
    rows = []
    for name, options in CASES.items():
        ours = clock(partial(our_job, paths, str(mask), options), repeat=5, warm_up=1)
        theirs = clock(partial(their_job, paths, str(mask), options), repeat=1)
        check_same_answer(paths, str(mask), options)
        rows.append(
            compare(f"{len(paths)} maps, fit and one contrast, {name}", ours, theirs, target=TARGET)
        )
    return rows


def check_same_answer(paths: list[str], mask: str, options: dict[str, Any]) -> None:
    """A fast wrong answer is no answer."""
    few = paths[:8]
    found = our_job(few, mask, options).get_fdata()
    wanted = their_job(few, mask, options).get_fdata()
    np.testing.assert_allclose(found, wanted, atol=0.01)


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
