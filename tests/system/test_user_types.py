# SPDX-License-Identifier: BSD-3-Clause
"""A user's strictly typed program is checked against the types that the package ships."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import numpy as np
from groupglm import SecondLevelModel, build_info, fit_ols, threshold_stats_img

X = np.column_stack([np.ones(20), np.arange(20.0)])
fit = fit_ols(X, np.zeros((20, 5)), n_threads=2)
reveal_type(fit)
result = fit.contrast([0, 1])
reveal_type(result.p_value)
reveal_type(fit.df_residual)
reveal_type(build_info())
model = SecondLevelModel(smoothing_fwhm=8.0, n_jobs=2)
reveal_type(model.fit(["a.nii.gz"]))
"""
_MISTAKES = """
from groupglm import SecondLevelModel, build_info, fit_ols

SecondLevelModel(smoothing=8.0)
fit_ols("X", n_threads=2)
build_info().levle
"""


def _check(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run mypy on a program, in a folder that knows nothing of this repository's settings."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    options = ["--strict", "--config-file=", "--cache-dir", str(folder.parent / "cache")]
    return subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-m", "mypy", *options, "program.py"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "MYPYPATH"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_a_users_program(tmp_path: Path) -> None:
    (tmp_path / "right").mkdir()
    right = _check(tmp_path / "right", _PROGRAM)
    assert right.returncode == 0, right.stdout + right.stderr
    revealed = re.findall(r'Revealed type is "(.*)"', right.stdout)
    assert revealed[0] == "groupglm.models.results.OlsFit"
    assert revealed[1].startswith("numpy.ndarray[")
    assert revealed[1].endswith("numpy.float64]]")
    assert "int" in revealed[2]
    assert "'level': str" in revealed[3]
    assert revealed[4:] == ["groupglm.estimator.second_level.SecondLevelModel"]

    (tmp_path / "wrong").mkdir()
    wrong = _check(tmp_path / "wrong", _MISTAKES)
    found = re.findall(r"program\.py:(\d+): error: .*\[([\w-]+)\]", wrong.stdout)
    assert found == [("4", "call-arg"), ("5", "call-arg"), ("6", "attr-defined")]
