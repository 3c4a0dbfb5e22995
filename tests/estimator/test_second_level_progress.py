# SPDX-License-Identifier: BSD-3-Clause
"""What a fit says while it runs, and how many threads it takes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import Any

import joblib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.runtime.progress import Progress, plain_lines
from groupglm.runtime.workers import check_jobs

N = 6
DESIGN = pd.DataFrame({"intercept": np.ones(N)})


@pytest.fixture
def images() -> list[Any]:
    rng = np.random.default_rng(0)
    box = np.pad(np.ones((4, 4, 4)), 3)
    return [
        nib.Nifti1Image(box * rng.normal(3, 1, box.shape), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(N)
    ]


def told(images: list[Any], verbose: int, capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    SecondLevelModel(verbose=verbose).fit(images, design_matrix=DESIGN)
    out, err = capfd.readouterr()
    return out, err


def test_levels(images: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    assert told(images, 0, capfd) == ("", "")
    out, err = told(images, 1, capfd)
    assert err == ""
    line = r"Computation of second level model done: 6 images at 64 voxels in \d+\.\d\d s\.\n"
    assert re.fullmatch(line, out)
    out, err = told(images, 2, capfd)
    assert err == ""
    assert out.splitlines()[:-1] == [
        "Reading 6 images of (10, 10, 10) voxels.",
        "The mask has 64 voxels.",
    ]


SCRIPT = """
import nibabel as nib, numpy as np, pandas as pd
from groupglm import SecondLevelModel
rng = np.random.default_rng(0)
images = [nib.Nifti1Image(rng.normal(3, 1, (9, 9, 9)), np.eye(4)) for _ in range(6)]
mask = nib.Nifti1Image(np.ones((9, 9, 9), np.uint8), np.eye(4))
design = pd.DataFrame({"i": [1.0] * 6})
SecondLevelModel(mask_img=mask, verbose=%d).fit(images, design_matrix=design)
"""


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_terminal_sees_a_bar(verbose: int) -> None:
    """A real terminal, of which the error output is one end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    try:
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", SCRIPT % verbose], check=True, stderr=theirs, timeout=120
        )
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed, and all is read
                break
            if not piece:
                break
            seen += piece
    finally:
        os.close(ours)
    if verbose:
        assert b"0/6" in seen  # so few images are done before the bar is drawn again
        assert b"images" in seen
    else:
        assert seen == b""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(seconds: list[float], steps: int, verbose: int = 1) -> list[str]:
    """The lines of work in pieces of `steps` steps, which are done after these seconds."""
    clock, lines = Clock(), list[str]()
    begun = clock.now
    progress = Progress(verbose)
    with (
        plain_lines(lines.append, clock),
        progress.bar(steps * len(seconds), "permutations") as advance,
    ):
        for second in seconds:
            clock.now = begun + second
            advance(steps)
    return lines


@pytest.mark.parametrize(
    ("seconds", "lines"),
    [
        ([1, 9.9, 11], []),  # nothing is left to wait for
        ([5, 10, 20], ["permutations: 200 of 300, less than 10 s left"]),
        ([4, 11, 20, 22, 50], ["200 of 500, about 20 s left", "400 of 500, less than 10 s left"]),
        ([300, 600, 605, 629, 640, 700], ["100 of 600, about 25 min", "200 of 600, about 20 min",
                                          "500 of 600, about 2 min"]),
        ([7200, 7210, 10000], ["100 of 300, about 4.0 h left"]),
    ],
)  # fmt: skip
def test_a_log_has_lines_not_too_many(seconds: list[float], lines: list[str]) -> None:
    told = lines_of(seconds, 100)
    assert len(told) == len(lines)
    assert all(wanted in line for wanted, line in zip(lines, told, strict=True)), told
    assert lines_of(seconds, 100, verbose=0) == []


def test_python_has_no_lines_without_asking(
    images: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    hours = iter(range(0, 10**6, 3600))
    with plain_lines(lines.append, lambda: float(next(hours))):
        told(images, 1, capfd)
    assert len(lines) == N - 1
    told(images, 1, capfd)
    assert len(lines) == N - 1


def test_number_of_threads() -> None:
    assert check_jobs(3) == 3
    assert check_jobs(-1) == joblib.cpu_count()
    assert check_jobs(None) == 1
    with joblib.parallel_config(n_jobs=2):
        assert check_jobs(None) == 2
        assert check_jobs(1) == 1
        model = SecondLevelModel(n_jobs=None)
        rng = np.random.default_rng(0)
        images = [nib.Nifti1Image(rng.normal(size=(9, 9, 9)), np.eye(4)) for _ in range(N)]  # type: ignore[no-untyped-call]
        mask = nib.Nifti1Image(np.ones((9, 9, 9), np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
        model.set_params(mask_img=mask).fit(images, design_matrix=DESIGN)
    assert model.masker_.n_threads == 2
    for bad, error in ((0, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="n_jobs is"):
            check_jobs(bad)  # type: ignore[arg-type]
