# SPDX-License-Identifier: BSD-3-Clause
"""Options of maskers that a user gives in the place of a mask, such as nilearn's.

nilearn is not imported: a masker is what has ``mask_img_`` or ``mask_img``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.messages import argument

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["options_of", "refuse_series"]

# What a masker for time series can do to its rows. Done to a row for each subject, it would remove
# the effects between subjects.
_SERIES = ("standardize", "detrend", "high_variance_confounds", "low_pass", "high_pass", "runs")


def options_of(
    masker: object, given: Mapping[str, Any], *, smoothing_overrides: bool
) -> dict[str, Any]:
    """Return the options that apply, with a warning where a masker and its user differ.

    Those of the masker, also where they are None; `given` has the names of all, and what the user
    gave. With `smoothing_overrides`, as for nilearn's functions, a smoothing that both have is the
    user's, and what the user did not give is no conflict.
    """
    own = {name: getattr(masker, name, None) for name in given}
    both_smooth = own["smoothing_fwhm"] is not None and given["smoothing_fwhm"] is not None
    if smoothing_overrides and both_smooth:
        warn_caller("Parameter 'smoothing_fwhm' of the masker overridden.")
        own["smoothing_fwhm"] = given["smoothing_fwhm"]
    conflicts = [
        f"Parameter {name} :\n    Masker parameter {own[name]} - overriding estimator parameter "
        f"{given[name]}"
        for name in sorted(given)
        if not np.array_equal(_plain(own[name]), _plain(given[name]))
        and not (smoothing_overrides and given[name] is None)
    ]
    if conflicts:
        warn_caller(
            "Overriding provided-default estimator parameters with provided masker parameters :\n"
            + "\n".join(conflicts)
        )
    return own


def _plain(value: Any) -> Any:
    """Return a value that can be compared with arrays, in place of None."""
    return "None" if value is None else np.asarray(value)


def refuse_series(masker: object) -> None:
    """Refuse a masker that treats the images as the time points of a series."""
    wanted = {name: getattr(masker, name, None) for name in _SERIES}
    active = [f"{name}={value!r}" for name, value in wanted.items() if value not in (None, False)]
    if active:
        raise ArgumentError.about(
            "mask_img",
            "the masker given as "
            + argument("mask_img")
            + f" has {', '.join(active)}, which would treat subjects as "
            "the time points of a series",
            "give a masker without it, or its mask image",
        )
