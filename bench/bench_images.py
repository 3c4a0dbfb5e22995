# SPDX-License-Identifier: BSD-3-Clause
"""The whole job, from 100 files to maps: fit, three t contrasts and an F contrast, all outputs.

Both sides run in this process one after the other; the peak memory of each is taken in a process
of its own, above nothing but what Python and the package need.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from make_maps import FULL, QUICK, default_folder, make_maps
from measure import HEAD, N_THREADS, Row, clock, compare

CONTRASTS: tuple[Any, ...] = ("intercept", "age", "score - age", np.eye(3)[1:])
ONE_MORE = "intercept + score"
MEMORY_TARGET = 400.0  # MB
JOB_TARGET = 100.0
CONTRAST_TARGET = 300.0


def design(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    age = rng.normal(size=n)
    return pd.DataFrame({"intercept": np.ones(n), "age": age, "score": rng.normal(size=n)})


def our_job(paths: list[str], mask: str | None) -> Any:
    from groupglm import SecondLevelModel

    model = SecondLevelModel(mask_img=mask, n_jobs=-1)
    model.fit(paths, design_matrix=design(len(paths)))
    for contrast in CONTRASTS:
        model.compute_contrast(contrast, output_type="all")
    return model


def their_job(paths: list[str], mask: str | None) -> Any:
    with warnings.catch_warnings():
        # nilearn warns where matplotlib is absent and when it recomputes a mask.
        warnings.simplefilter("ignore")
        from nilearn.glm.second_level import SecondLevelModel

        model = SecondLevelModel(mask_img=mask, n_jobs=N_THREADS)
        model.fit(paths, design_matrix=design(len(paths)))
        for contrast in CONTRASTS:
            model.compute_contrast(contrast, output_type="all")
    return model


JOBS = {"groupglm": our_job, "nilearn": their_job}


def peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the parent's memory too, as it was when this process was forked.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # macOS counts bytes, Linux KiB


def peak_of(side: str, folder: Path, *, quick: bool) -> float:
    """Run a side's job, mask not given, in a fresh interpreter; return its peak memory in MB."""
    command = [sys.executable, __file__, "--peak", side, "--dir", str(folder)]
    output = subprocess.run(
        [*command, *(["--quick"] if quick else [])], capture_output=True, text=True, check=True
    )
    return float(output.stdout.splitlines()[-1])


def bench(folder: Path, *, quick: bool) -> list[Row]:
    maps, mask = make_maps(folder, QUICK if quick else FULL)
    paths = [str(path) for path in maps]
    name = f"{len(paths)} maps: fit, 3 t, 1 F, all outputs"
    rows = []
    for label, mask_img in (("mask given", str(mask)), ("mask found", None)):
        ours = clock(partial(our_job, paths, mask_img), repeat=5, warm_up=1)
        theirs = clock(partial(their_job, paths, mask_img), repeat=1)
        rows.append(compare(f"{name}, {label}", ours, theirs, target=JOB_TARGET))
    rows.append(one_more_contrast(paths, str(mask)))
    ours_peak = peak_of("groupglm", folder, quick=quick)
    theirs_peak = peak_of("nilearn", folder, quick=quick)
    rows.append(
        Row(
            f"{name}: peak memory",
            f"{ours_peak:.0f} MB",
            f"{theirs_peak:.0f} MB",
            f"{theirs_peak / ours_peak:.1f}x",
            f"under {MEMORY_TARGET:.0f} MB",
            ours_peak < MEMORY_TARGET,
        )
    )
    return rows


def one_more_contrast(paths: list[str], mask: str) -> Row:
    """What a further question costs once the model is fitted."""
    ours, theirs = our_job(paths, mask), their_job(paths, mask)

    def ask_nilearn() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.compute_contrast(ONE_MORE, output_type="all")

    check_same_answer(ours, theirs)
    return compare(
        "one more contrast, every output",
        clock(lambda: ours.compute_contrast(ONE_MORE, output_type="all"), repeat=15, warm_up=1),
        clock(ask_nilearn, repeat=2),
        target=CONTRAST_TARGET,
    )


def check_same_answer(ours: Any, theirs: Any) -> None:
    """A fast wrong answer is no answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = theirs.compute_contrast(ONE_MORE, output_type="stat").get_fdata()
    found = ours.compute_contrast(ONE_MORE, output_type="stat").get_fdata()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    parser.add_argument("--peak", choices=JOBS, help="print the peak memory of one side, in MB")
    options = parser.parse_args()
    if options.peak:
        maps, _ = make_maps(options.dir, QUICK if options.quick else FULL)
        JOBS[options.peak]([str(path) for path in maps], None)
        print(peak_megabytes())
        return
    print(HEAD)
    for row in bench(options.dir, quick=options.quick):
        print(row)


if __name__ == "__main__":
    main()
