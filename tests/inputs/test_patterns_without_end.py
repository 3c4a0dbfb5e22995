# SPDX-License-Identifier: BSD-3-Clause
"""A subject pattern that backtracks without end is refused, and Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groupglm.inputs.matching import label_paths
from groupglm.inputs.time_limit import time_limit

NAME = "a" * 60 + "!.nii.gz"  # the pattern below tries 2**60 ways
PATTERN = "(a+)+$"
LIMIT = 120.0  # s; generous, for a machine that is busy
HAS_TIMER = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="has no timer")

CHILD = """
import sys, threading
from pathlib import Path
import groupglm.inputs.matching as matching
matching._SECONDS = float(sys.argv[3])
print("begun", flush=True)
try:
    matching.label_paths([Path(sys.argv[1])], sys.argv[2])
except ValueError as error:
    print(error, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@HAS_TIMER
def test_it_ends_by_itself() -> None:
    command = [sys.executable, "-c", CHILD, NAME, PATTERN, "0.5"]
    found = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=LIMIT, check=True
    )
    assert "pattern '(a+)+$' takes more than 0.5 s to be searched for in 1 names" in found.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGINT of that kind")
def test_ctrl_c_ends_it() -> None:
    command = [sys.executable, "-c", CHILD, NAME, PATTERN, "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            out, _ = child.communicate(timeout=LIMIT)
        finally:
            child.kill()
    assert out == "interrupted\n"


@HAS_TIMER
def test_the_timer_of_others_is_as_it_was() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert label_paths([Path("sub-01_a.nii")]) == {"01": Path("sub-01_a.nii")}
    with pytest.raises(TimeoutError), time_limit(0.01):
        time.sleep(5)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("pattern", ["(" * 5000, "a{99999999999}", "(?P<a>"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        label_paths([Path("sub-01_a.nii")], pattern)
