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
from groupglm.distribute import check_jobs

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
