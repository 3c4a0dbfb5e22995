# SPDX-License-Identifier: BSD-3-Clause
"""Replacements for names that nilearn has in a module of the same path and groupglm lacks.

A script written for nilearn asks for such names once its imports say groupglm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import NoReturn

__all__ = ["NO_FIRST_LEVEL", "NO_GLM_TO_BIDS", "absent_names"]

# What nilearn has in two modules.
NO_FIRST_LEVEL = (
    "fit in nilearn, and give the fitted FirstLevelModel objects or the maps of their contrasts to "
    "groupglm.SecondLevelModel.fit"
)
NO_GLM_TO_BIDS = (
    "`groupglm bids` writes a derivative data set, and model.save, model.compute_contrast and "
    "model.generate_report make the parts of it"
)


def absent_names(module: str, advice: Mapping[str, str]) -> Callable[[str], NoReturn]:
    """Return the ``__getattr__`` of a module, which refuses a name and says what to use instead.

    `advice` is by name, where ``*`` stands for any letters; ``{name}`` in it is the name. The error
    of such a name is an ImportError, because ``from module import name`` hides the words of an
    AttributeError.

    Examples
    --------
    >>> absent = absent_names("groupglm.image", {"mean_*": "use nilearn.image.{name}"})
    >>> absent("mean_img")
    Traceback (most recent call last):
    ImportError: groupglm.image has no mean_img: use nilearn.image.mean_img
    >>> absent("mean")
    Traceback (most recent call last):
    AttributeError: module 'groupglm.image' has no attribute 'mean'
    """

    def absent(name: str) -> NoReturn:
        for pattern, remedy in advice.items():
            if fnmatchcase(name, pattern):
                raise ImportError(
                    f"{module} has no {name}: {remedy.format(name=name)}", name=module
                )
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return absent
