# SPDX-License-Identifier: BSD-3-Clause
"""The compiled core, in the build for this processor.

A package holds an extension module with all of the core for two levels of the x86-64 instruction
set, ``baseline`` and ``v3``. A third module has, for ``v4``, the inner loops of fits, permutations
and smoothing, which gain most from it. The highest level that the processor runs is taken; the
environment variable ``GROUPGLM_CPU_LEVEL`` (``baseline``, ``v3`` or ``v4``) forces a lower one.
"""

import importlib
import os
from types import ModuleType

_LEVELS = ("baseline", "v3", "v4")


def _choose_level() -> str:
    supported: str = importlib.import_module("groupglm._core_baseline").supported_level()
    wanted = os.environ.get("GROUPGLM_CPU_LEVEL", supported)
    if wanted not in _LEVELS:
        raise ImportError(
            f"GROUPGLM_CPU_LEVEL is {wanted!r}; it must be one of {', '.join(_LEVELS)}"
        )
    if _LEVELS.index(wanted) > _LEVELS.index(supported):
        raise ImportError(
            f"GROUPGLM_CPU_LEVEL is {wanted!r}, but this processor runs {supported!r} at most"
        )
    return wanted


def _load(level: str) -> ModuleType:
    if level != "v4":
        return importlib.import_module(f"groupglm._core_{level}")
    module = importlib.import_module("groupglm._core_v3")
    module.use_inner_loops(importlib.import_module("groupglm._core_v4").inner_loops)
    return module


_module = _load(_choose_level())
globals().update({name: item for name, item in vars(_module).items() if not name.startswith("__")})
