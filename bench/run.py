# SPDX-License-Identifier: BSD-3-Clause
"""Run every bench and print one table; with --write-readme, put it into the READMEs too."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bench_estimator
import bench_images
import bench_import
import bench_inference
import bench_mixed
import bench_ols
import bench_permutation
import bench_prepared
import bench_random_fields
import bench_repeated
import bench_report
import bench_robust
import bench_scale
import bench_statistics
import bench_surface_smoothing
import bench_surfaces
from make_maps import default_folder
from measure import HEAD, machine
from short_table import write_short_table

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table -->", "<!-- /table -->"


def write_readme(text: str) -> None:
    """Replace what stands between the two marks."""
    page = README.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where to keep the maps")
    parser.add_argument("--quick", action="store_true", help="smoke test: small sizes, no targets")
    parser.add_argument("--write-readme", action="store_true", help="update the READMEs")
    options = parser.parse_args()
    if options.quick and options.write_readme:
        parser.error("--write-readme records the full sizes; leave out --quick")
    rows = [
        *bench_images.bench(options.dir, quick=options.quick),
        *bench_estimator.bench(options.dir, quick=options.quick),
        *bench_ols.bench(quick=options.quick),
        *bench_statistics.bench(quick=options.quick),
        *bench_mixed.bench(options.dir, quick=options.quick),
        *bench_repeated.bench(options.dir, quick=options.quick),
        *bench_robust.bench(quick=options.quick),
        *bench_permutation.bench(quick=options.quick),
        *bench_prepared.bench(options.dir, quick=options.quick),
        *bench_surface_smoothing.bench(quick=options.quick),
        *bench_scale.bench(options.dir, quick=options.quick),
        *bench_inference.bench(quick=options.quick),
        *bench_random_fields.bench(options.dir, quick=options.quick),
        *bench_surfaces.bench(options.dir, quick=options.quick),
        *bench_report.bench(options.dir, quick=options.quick),
        *bench_import.bench(quick=options.quick),
    ]
    table = "\n".join([f"Machine: {machine()}.", "", HEAD, *map(str, rows)])
    print(table)
    if options.write_readme:
        write_readme(table)
        write_short_table()
    missed = [row.work for row in rows if row.met is False]
    # Small sizes measure overheads, so that only a full run can miss a target.
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
