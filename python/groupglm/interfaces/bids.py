# SPDX-License-Identifier: BSD-3-Clause
"""Says what to use in the place of ``nilearn.interfaces.bids``, which has no name here."""

from typing import TYPE_CHECKING

from groupglm.runtime.elsewhere import NO_GLM_TO_BIDS, absent_names

__all__: list[str] = []

if not TYPE_CHECKING:  # a type checker would accept every name
    _BESIDE = "use nilearn.interfaces.bids.{name} beside groupglm"
    __getattr__ = absent_names(
        __name__,
        {
            "get_bids_files": _BESIDE,
            "parse_bids_filename": _BESIDE,
            "save_glm_to_bids": NO_GLM_TO_BIDS,
        },
    )
