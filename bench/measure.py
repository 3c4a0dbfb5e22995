# SPDX-License-Identifier: BSD-3-Clause
"""Timing, and the rows of the table that the benches fill."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

N_THREADS = 2


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated runs."""

    median: float
    best: float
    processor: float = math.nan  # the median of what all threads were busy for, if it is measured


@dataclass(frozen=True)
class Row:
    """One line of the table: what was done, by both sides, and whether that is what we promise."""

    work: str
    ours: str
    theirs: str
    ratio: str
    target: str
    met: bool | None = None  # None where there is nothing to meet

    def __str__(self) -> str:
        met = {None: "", True: "yes", False: "**no**"}[self.met]
        return (
            f"| {self.work} | {self.ours} | {self.theirs} | {self.ratio} | {self.target} | {met} |"
        )


HEAD = "| work | groupglm | nilearn | ratio | target | met? |\n|---|---|---|---|---|---|"


def clock(work: Callable[[], object], *, repeat: int, warm_up: int = 0) -> Timing:
    """Run the work `repeat` times by the wall clock, after warm-up runs that are not counted."""
    for _ in range(warm_up):
        work()
    seconds, busy = [], []
    for _ in range(repeat):
        start, start_busy = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - start_busy)
    return Timing(statistics.median(seconds), min(seconds), statistics.median(busy))


def pretty(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def show(timing: Timing) -> str:
    return f"{pretty(timing.median)} (min {pretty(timing.best)})"


def compare(work: str, ours: Timing, theirs: Timing, *, target: float) -> Row:
    """Compare medians; the target is how many times faster ours must be."""
    ratio = theirs.median / ours.median
    return Row(work, show(ours), show(theirs), f"{ratio:.0f}x", f"{target:g}x", ratio >= target)


def machine() -> str:
    """One line: processor, cores, Python and the packages that matter."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = models[0] if models else model
    packages = ", ".join(f"{name} {package_version(name)}" for name in PACKAGES)
    return (
        f"{model}, {os.cpu_count()} cores, {N_THREADS} threads used; {platform.system()}, "
        f"Python {platform.python_version()}; {packages}"
    )


PACKAGES = ("groupglm", "nilearn", "numpy", "scipy", "nibabel")


def package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
