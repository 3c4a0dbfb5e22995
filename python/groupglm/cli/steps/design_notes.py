# SPDX-License-Identifier: BSD-3-Clause
"""Notes in the preview on what a design may mean against its author's intention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.results.names import Contrast

__all__ = ["notes_on"]

_MAX_CODES = 10  # most codes of groups; a column with more whole numbers is a covariate


def notes_on(design: pd.DataFrame, contrasts: Sequence[Contrast]) -> list[str]:
    """Return notes on a design and its contrasts.

    Shapes: `design` (n_subjects, n_columns).
    """
    slopes = {
        str(name): design[name].to_numpy(dtype=np.float64)
        for name in design.columns
        if not set(str(name)) & set("[(:") and design[name].nunique() > 2
    }  # with two values, a slope is the same test
    notes = []
    for name, values in slopes.items():
        codes, counts = np.unique(values, return_counts=True)
        if len(codes) <= _MAX_CODES and counts.min() > 1 and (codes == np.round(codes)).all():
            shown = ", ".join(f"{code:g}" for code in codes)
            notes.append(
                f"{name} is a slope over the numbers {shown}; if they are codes of groups, write "
                f"C({name}) in the formula"
            )
    for contrast in contrasts:
        for name in _far_from_zero(contrast, slopes):
            low, high = slopes[name].min(), slopes[name].max()
            notes.append(
                f"{contrast.name} is tested at {name} 0, and {name} is {low:g} to {high:g}; for "
                f"the mean {name}, write center({name}) in the formula"
            )
    return notes


def _far_from_zero(contrast: Contrast, slopes: dict[str, np.ndarray]) -> Iterator[str]:
    """Name the covariates whose range lacks zero, if a contrast tests the intercept at zero."""
    rows = np.atleast_2d(np.asarray(contrast.weights, dtype=np.float64))
    at = {name: place for place, name in enumerate(contrast.columns)}
    intercept = next((name for name in at if name.lower() == "intercept"), None)
    if intercept is None:
        return
    for name, values in slopes.items():
        alone = rows[:, at[intercept]].any() and not rows[:, at[name]].any()
        if alone and (values.min() > 0 or values.max() < 0):
            yield name
