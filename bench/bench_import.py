# SPDX-License-Identifier: BSD-3-Clause
"""How long `import groupglm` takes, by Python's own account, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from measure import HEAD, Row, Timing, pretty, show

TARGET = 0.3  # seconds


def import_seconds(module: str, *, repeat: int = 5) -> Timing:
    """Add up what `-X importtime` reports for the module and all that it pulls in."""
    command = [sys.executable, "-W", "ignore", "-X", "importtime", "-c", f"import {module}"]
    seconds = []
    for _ in range(repeat):
        report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        # Lines read "import time: self | cumulative | name", in microseconds.
        lines = [line.split("|") for line in report.splitlines()]
        last = next(line for line in reversed(lines) if line[-1].strip() == module)
        seconds.append(int(last[1]) * 1e-6)
    return Timing(median(seconds), min(seconds))


def bench(*, quick: bool) -> list[Row]:
    ours = import_seconds("groupglm", repeat=2 if quick else 5)
    theirs = import_seconds("nilearn.glm.second_level", repeat=1 if quick else 3)
    return [
        Row(
            "import",
            show(ours),
            show(theirs),
            f"{theirs.median / ours.median:.0f}x",
            f"under {pretty(TARGET)}",
            ours.median < TARGET,
        )
    ]


if __name__ == "__main__":
    print(HEAD)
    for line in bench(quick=False):
        print(line)
