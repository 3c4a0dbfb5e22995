# SPDX-License-Identifier: BSD-3-Clause
"""Says what to use in the place of ``nilearn.masking``, which has no name here."""

from typing import TYPE_CHECKING

from groupglm.runtime.elsewhere import absent_names

__all__: list[str] = []

if not TYPE_CHECKING:  # a type checker would accept every name
    _BESIDE = "use nilearn.masking.{name} beside groupglm: its values have the same order"
    __getattr__ = absent_names(__name__, {"*_mask": _BESIDE, "*_masks": _BESIDE, "unmask": _BESIDE})
