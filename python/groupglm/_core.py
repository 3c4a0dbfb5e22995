# SPDX-License-Identifier: BSD-3-Clause
"""The compiled core, in the build for this processor.

A package holds one extension module a level of the x86-64 instruction set. The highest one that the
processor runs is taken; the environment variable ``GROUPGLM_CPU_LEVEL`` (``baseline``, ``v3`` or
``v4``) forces a lower one.
"""

import importlib
import os

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


_module = importlib.import_module(f"groupglm._core_{_choose_level()}")
globals().update({name: item for name, item in vars(_module).items() if not name.startswith("__")})
