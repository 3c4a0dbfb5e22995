# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids`` that is killed, interrupted or terminated, and runs again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groupglm.inference.permutation.resuming import load_state
from reference.killing import assert_whole, ended_between_steps, environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
LIMIT = 120.0  # s; generous, for a machine that is busy


def bids_of(raw: Path, *more: str) -> list[str]:
    """A command of two first-level contrasts, without the folder of its results."""
    return [
        "bids", str(raw / "derivatives" / "fitlins"), "--filter", "node=subjectLevel",
        "--contrast", "facesGtHouses", "--contrast", "housesGtFaces", "--formula", "~ age",
        "--second-level-contrast", "age", "--mask", str(raw / "mask.nii.gz"), *more,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "step", "more"),
    [
        (signal.SIGKILL, 5, ()),
        (
            signal.SIGKILL,
            47,
            ("--save-model", "--report", "--correct", "fpr:0.01", "--permute", "9"),
        ),
        (signal.SIGINT, 23, ("--save-model", "--report")),
        (signal.SIGTERM, 31, ("--correct", "fpr:0.01", "--permute", "9")),
    ],
)
def test_an_end_between_the_steps(
    raw: Path, tmp_path: Path, number: signal.Signals, step: int, more: tuple[str, ...]
) -> None:
    """After an end at any step, the same command succeeds, with the bits of an undisturbed run."""
    ends = ended_between_steps(bids_of(raw, *more), tmp_path, number, step=step)
    assert len(ends) > 4
    assert_whole(ends, tmp_path)


def test_a_kill_while_another_study_is_replaced(raw: Path, tmp_path: Path) -> None:
    before, out = tmp_path / "before", tmp_path / "after"
    other = [sys.executable, "-m", "groupglm.cli", *bids_of(raw, "--fwhm", "20"), str(before)]
    subprocess.run(other, check=True, capture_output=True, env=environment())  # noqa: S603
    command = bids_of(raw, "--overwrite")
    ends = ended_between_steps(command, out, signal.SIGKILL, step=31, before=before)
    assert len(ends) > 4
    assert_whole(ends, out)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, 143)],
)
def test_an_end_while_it_permutes(
    raw: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "groupglm.cli", *bids_of(raw, "--permute", "10000000")]
    with subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
        [*command, str(out)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    ) as child:
        try:
            until = time.monotonic() + LIMIT
            # The map of z is the last but one that is written before permutations begin.
            while not list(out.glob("*facesGtHouses*_stat-p_statmap.nii.gz")):
                assert child.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(0.2)
            child.send_signal(number)
            assert child.stdout is not None
            told = child.stdout.read().decode()
            assert child.wait(LIMIT) == code
        finally:
            child.kill()
    assert "Traceback" not in told
    assert not list(out.glob("*maxT*"))
    if number != signal.SIGKILL:
        assert "and the same command goes on from there" in told
        assert not list(out.glob(".groupglm-*"))
    kept = max((load_state(path).n_done for path in out.glob("*_permutations.npz")), default=0)
    fresh = tmp_path / "fresh"
    for place in (out, fresh):
        more = bids_of(raw, "--permute", str(kept + 10))
        again = [sys.executable, "-m", "groupglm.cli", *more, str(place)]
        subprocess.run(again, check=True, capture_output=True, env=environment())  # noqa: S603
    assert not list(out.glob(".groupglm-*"))
    assert {path.name for path in out.iterdir()} == {path.name for path in fresh.iterdir()}
    for path in fresh.glob("*_statmap.nii.gz"):
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
