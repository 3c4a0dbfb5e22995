# SPDX-License-Identifier: BSD-3-Clause
"""A killed permutation test can be continued; a state that cannot be kept is refused at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from groupglm import non_parametric_inference, permuted_ols
from groupglm.cli import main
from groupglm.inference.permutation.resuming import load_state
from reference.shell import basic, make_study, values_of

RNG = np.random.default_rng(2)
GROUP = np.repeat([0.0, 1.0], 10)
DATA = RNG.normal(size=(20, 40))
LIMIT = 120.0  # s; generous, for a machine that is busy

# One permutation at a time, each of them kept.
SLOWLY = """
import sys
import groupglm.inference.permutation.null_distribution as null
import groupglm.inference.permutation.testing as testing
null._PRODUCTS = 1
testing.CHECKPOINT_S = 0.0
"""
IN_PYTHON = """
import numpy as np
from groupglm import permuted_ols
with np.load(sys.argv[1]) as data:
    permuted_ols(data["group"], data["data"], n_perm=10**7, random_state=3, resume=sys.argv[2])
"""
IN_SHELL = """
from groupglm.cli import main
main(sys.argv[1:])
"""


def killed(code: str, arguments: list[str], state: Callable[[], Path | None]) -> int:
    """Run a child until it has kept a few permutations, kill it, and return their number."""
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", SLOWLY + code, *arguments], stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + LIMIT
    try:
        while (path := state()) is None or load_state(path).n_done < 3:
            assert child.poll() is None, "it ended by itself"
            assert time.monotonic() < end, "nothing was kept"
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        assert child.wait(LIMIT) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
    return load_state(path).n_done


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="has no SIGKILL")
def test_a_killed_test_goes_on(tmp_path: Path) -> None:
    data, path = tmp_path / "data.npz", tmp_path / "null.npz"
    np.savez(data, group=GROUP, data=DATA)
    n_done = killed(IN_PYTHON, [str(data), str(path)], lambda: path if path.exists() else None)
    options: dict[str, Any] = {"n_perm": n_done + 30, "random_state": 3}
    resumed = permuted_ols(GROUP, DATA, resume=path, **options)
    once = permuted_ols(GROUP, DATA, **options)
    assert resumed.results[0].n_perm == n_done + 30
    for name, values in once.items():
        np.testing.assert_array_equal(resumed[name], values)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="has no SIGKILL")
def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    study, out, whole = make_study(tmp_path), tmp_path / "out", tmp_path / "whole"

    def command(output: Path, n_perm: int) -> list[str]:
        return ["permute", *map(str, basic(study, output, "--n-perm", str(n_perm)))]

    kept = out / "contrast-age_permutations.npz"
    n_done = killed(IN_SHELL, command(out, 10**7), lambda: kept if kept.exists() else None)
    for output in (out, whole):
        result = CliRunner().invoke(main, command(output, n_done + 10))
        assert result.exit_code == 0, result.output
    for path in sorted(whole.glob("*logp*.nii.gz")):
        np.testing.assert_array_equal(values_of(out / path.name), values_of(path))
    assert load_state(kept).n_done == n_done + 10


def never_read(*_: Any, **__: Any) -> Any:
    raise AssertionError("the data were read")


@pytest.mark.parametrize("door", ["arrays", "images"])
def test_a_place_that_cannot_keep_it_is_refused_first(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupglm.inference.permutation.arrays.fit_ols", never_read)
    monkeypatch.setattr("groupglm.inference.permutation.images.make_cohort", never_read)

    def run(resume: Any) -> None:
        if door == "arrays":
            permuted_ols(GROUP, DATA, n_perm=10, resume=resume)
        else:
            non_parametric_inference(["a.nii", "b.nii"], n_perm=10, resume=resume)

    with pytest.raises(ValueError, match=r"resume is .*there is no folder .*absent"):
        run(tmp_path / "absent" / "null.npz")
    with pytest.raises(ValueError, match=r"resume is .* is a folder, not a file"):
        run(tmp_path)
    damaged = tmp_path / "null.npz"
    damaged.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"null\.npz: this is not the state of a permutation test"):
        run(damaged)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ValueError, match=r"resume is .*its folder cannot be written"):
        run(str(tmp_path / "new.npz"))


def test_a_full_disk_takes_nothing_from_a_test_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device", "null.npz")

    once = permuted_ols(GROUP, DATA, n_perm=20, random_state=3)
    monkeypatch.setattr("groupglm.inference.permutation.resuming.whole_or_not", full)
    with pytest.warns(UserWarning, match=r"20 permutations could not be kept: .*null\.npz"):
        kept = permuted_ols(GROUP, DATA, n_perm=20, random_state=3, resume=tmp_path / "null.npz")
    np.testing.assert_array_equal(kept["h0_max_t"], once["h0_max_t"])
