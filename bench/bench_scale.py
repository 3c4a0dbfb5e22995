# SPDX-License-Identifier: BSD-3-Clause
"""Ever more images: peak memory, time, and throughput against reading and inflating alone.

The same 100 files are listed over and over, by names of further subjects. Each size runs in a fresh
process; what is inflated alone goes through the same threads and the same library.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from bench_images import peak_megabytes
from make_maps import FULL, QUICK, default_folder, make_maps
from measure import HEAD, N_THREADS, Row, pretty

SIZES = (100, 1000, 10_000)
PEAK_TARGET = 700.0  # MB
FLAT_TARGET = 1.15
THROUGHPUT_TARGET = 1.3
ROUNDS = 5  # of each side in turn, up to 1,000 maps; a longer run is its own average


def listed(paths: list[str], n: int) -> list[str]:
    """List n files: those of "sub-000" and so on, and then their links, named for more subjects."""
    again = Path(paths[0]).parent / "again"
    again.mkdir(exist_ok=True)
    found = list(paths[:n])
    for i in range(len(paths), n):
        path = Path(paths[i % len(paths)])
        link = again / f"sub-{i:05d}{path.name.removeprefix('sub-')[3:]}"
        if not link.exists():
            link.hardlink_to(path)
        found.append(str(link))
    return found


def fit(paths: list[str], mask: str, n_jobs: int = N_THREADS) -> float:
    from groupglm import SecondLevelModel

    rng = np.random.default_rng(0)
    design = pd.DataFrame({"intercept": 1.0, "age": rng.normal(size=len(paths))})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same file by several names
        start = time.perf_counter()
        SecondLevelModel(mask_img=mask, n_jobs=n_jobs).fit(paths, design_matrix=design)
        return time.perf_counter() - start


def inflate_alone(paths: list[str]) -> float:
    """Read and inflate every file, and do nothing with it."""
    import deflate

    def one(path: str) -> None:
        data = Path(path).read_bytes()
        size = int.from_bytes(data[-4:], "little")  # what the gzip trailer says
        deflate.gzip_decompress(data, size)

    start = time.perf_counter()
    with ThreadPoolExecutor(N_THREADS) as pool:
        list(pool.map(one, paths))
    return time.perf_counter() - start


def measure(folder: Path, n: int, *, quick: bool) -> tuple[float, float, float]:
    """Return seconds of the fit, seconds of inflating alone, and the fit's peak memory in MB."""
    command = [sys.executable, __file__, "--one", str(n), "--dir", str(folder)]
    output = subprocess.run(
        [*command, *(["--quick"] if quick else [])], capture_output=True, text=True, check=True
    )
    seconds, alone, peak = map(float, output.stdout.split()[-3:])
    return seconds, alone, peak


def bench(folder: Path, *, quick: bool) -> list[Row]:
    sizes = (10, 40) if quick else SIZES
    rows, first = [], None
    for n in sizes:
        seconds, alone, peak = measure(folder, n, quick=quick)
        first = first or peak
        ratio = seconds / alone
        rows.append(
            Row(
                f"{n:,} maps: fit, {n / seconds:.0f} maps/s (inflating alone {n / alone:.0f})",
                pretty(seconds),
                "",
                f"{ratio:.2f}x inflating",
                f"at most {THROUGHPUT_TARGET}x",
                ratio <= THROUGHPUT_TARGET,
            )
        )
        rows.append(
            Row(
                f"{n:,} maps: peak memory",
                f"{peak:.0f} MB",
                "",
                f"{peak / first:.2f}x the first",
                f"under {PEAK_TARGET:.0f} MB, flat within 15 %",
                peak < PEAK_TARGET and peak <= FLAT_TARGET * first,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    parser.add_argument("--one", type=int, help="fit so many maps, print times and peak memory")
    options = parser.parse_args()
    if options.one:
        maps, mask = make_maps(options.dir, QUICK if options.quick else FULL)
        paths = listed([str(path) for path in maps], options.one)
        inflate_alone([str(path) for path in maps])  # the files' pages
        fit(paths[:4], str(mask))  # imports
        times = [
            (fit(paths, str(mask)), inflate_alone(paths))
            for _ in range(ROUNDS if len(paths) <= 1000 else 1)
        ]
        seconds, alone = map(statistics.median, zip(*times, strict=True))
        print(seconds, alone, peak_megabytes())
        return
    print(HEAD)
    for row in bench(options.dir, quick=options.quick):
        print(row)


if __name__ == "__main__":
    main()
