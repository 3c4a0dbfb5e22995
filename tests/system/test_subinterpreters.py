# SPDX-License-Identifier: BSD-3-Clause
"""In a subinterpreter the package says that it is not supported; it does not wait for ever."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

MODULE = next(
    (name for name in ("_interpreters", "_xxsubinterpreters") if importlib.util.find_spec(name)),
    None,
)

JOB = """
import {module} as interpreters
new = interpreters.create()
code = '''
try:
    import {imported}
except ImportError as error:
    print(error, flush=True)
'''
run = getattr(interpreters, "run_string", None) or interpreters.exec
run(new, code)
"""


@pytest.mark.skipif(MODULE is None, reason="this Python makes no subinterpreters")
@pytest.mark.parametrize("imported", ["groupglm", "groupglm._core", "groupglm.models.ols"])
def test_a_subinterpreter_is_refused(imported: str) -> None:
    job = JOB.format(module=MODULE, imported=imported)
    found = subprocess.run(  # noqa: S603
        [sys.executable, "-c", job], capture_output=True, text=True, timeout=60, check=True
    )
    assert "groupglm cannot be used in a subinterpreter" in found.stdout
    assert "start another process" in found.stdout
