# SPDX-License-Identifier: BSD-3-Clause
"""Every kernel of the core gives the same at every instruction-set level that this machine has."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm import _core
from reference import core_doors, every_kernel

LEVELS = ("baseline", "v3", "v4")
SUPPORTED = LEVELS[: LEVELS.index(_core.supported_level()) + 1]
# Levels sum in another order and fuse products with sums: some n eps of the numbers' size, which a
# tail magnifies by up to its degrees of freedom (-d log p / d log t <= df, here at most 400); each
# special function is right to 1e-12.
TOLERANCE = 2e-12 + every_kernel.N * 400 * float(np.finfo(np.float64).eps)
TOLERANCE_FLOAT32 = 4 * float(np.finfo(np.float32).eps)


def results(level: str, folder: Path) -> tuple[str, dict[str, list[Any]]]:
    out = folder / f"{level}.pickle"
    program = Path(every_kernel.__file__)
    found = subprocess.run(  # noqa: S603 - this interpreter, our program
        [sys.executable, str(program), str(out)],
        env={**os.environ, "GROUPGLM_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    loaded: tuple[str, dict[str, list[Any]]] = pickle.loads(out.read_bytes())  # noqa: S301 - ours
    return loaded


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    level, found = results("baseline", tmp_path_factory.mktemp("levels"))
    assert level == "baseline"
    return found


def test_every_name_of_the_core_is_compared(baseline: dict[str, list[Any]]) -> None:
    compared = {name.partition(" ")[2] for name, values in baseline.items() if values}
    of_the_build = {"build_info", "max_threads", "supported_level", "use_inner_loops"}
    assert set(core_doors.calls()) - of_the_build <= compared


@pytest.mark.parametrize("level", SUPPORTED[1:])
def test_every_kernel_at_every_level(
    level: str, baseline: dict[str, list[Any]], tmp_path: Path
) -> None:
    said, found = results(level, tmp_path)
    assert said == level
    assert list(found) == list(baseline)
    n_equal = 0
    for name, values in found.items():
        assert len(values) == len(baseline[name]), name
        for value, expected in zip(values, baseline[name], strict=True):
            assert value.dtype == expected.dtype, name
            if value.dtype.kind != "f":
                np.testing.assert_array_equal(value, expected, err_msg=name)
                continue
            n_equal += np.array_equal(value, expected, equal_nan=True)
            tolerance = TOLERANCE if value.dtype == np.float64 else TOLERANCE_FLOAT32
            # The data are of size one: a sum of them that should be zero is rounding of one.
            size = np.max(np.abs(expected), initial=1.0, where=np.isfinite(expected))
            if name.endswith("sandwich_test"):
                # Its degrees of freedom are near those that F needs at least, which are taken off.
                tolerance *= 100
            if "noncentral" in name:
                # Roots, which are found to 1e-10 of themselves.
                tolerance *= 100
            np.testing.assert_allclose(
                value, expected, rtol=tolerance, atol=tolerance * size, err_msg=name
            )
    # The levels are really different programs.
    assert n_equal < sum(len(values) for values in found.values())
