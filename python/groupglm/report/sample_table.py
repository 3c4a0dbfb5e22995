# SPDX-License-Identifier: BSD-3-Clause
"""The table of who was studied: numbers of images in each group, and what their ages are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.origins import origins_of
from groupglm.plotting.factors import base_of
from groupglm.plotting.reading_terms import read_terms
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup

__all__ = ["sample_table"]

_MOST_LEVELS = 30  # a factor of more, such as the subject of each image, is no group to describe
_NONE = "n/a"


def sample_table(group: FittedGroup, design: pd.DataFrame) -> dict[str, Any] | None:
    """Return the columns and rows of the table; None for a design without groups and numbers.

    The first row is of all images. Each level of each factor follows.
    """
    fit: Any = group.result
    n_covariates = fit.model.beside.count("covariate")  # maps, of which a design has only means
    kept = len(fit.column_names) - n_covariates
    terms = read_terms(
        fit.X[:, :kept], fit.column_names[:kept], levels_of(design), origins_of(design)
    )
    factors = {
        name: factor for name, factor in terms.factors.items() if len(factor.names) <= _MOST_LEVELS
    }
    if not factors and not terms.numbers:
        return None
    everyone = np.ones(len(fit.X), np.bool_)
    groups: list[tuple[str, NDArray[np.bool_]]] = [("all", everyone)]
    for name, factor in factors.items():
        for code, level in enumerate(factor.names):
            members = np.asarray(factor.codes == code)
            if members.any():
                groups.append((_named(base_of(name), level), members))
    subjects = getattr(fit, "subjects", None)
    of_subjects = None if subjects is None else np.asarray(subjects.subjects)
    columns = ["group", group.space.input_words[1], *(() if subjects is None else ("subjects",))]
    for name in terms.numbers:
        columns += [f"{name}: mean (sd)", f"{name}: range"]
    rows = []
    for name, members in groups:
        row = [name, f"{int(members.sum()):,}"]
        if of_subjects is not None:
            row.append(f"{len(np.unique(of_subjects[members])):,}")
        for values in terms.numbers.values():
            row += _described(np.asarray(values)[members])
        rows.append(row)
    return {"columns": columns, "rows": rows}


def _named(factor: str, level: str) -> str:
    """Return the level, with its factor where the level does not name it."""
    return level if level.startswith(factor) else f"{factor}: {level}"


def _described(values: NDArray[np.float64]) -> list[str]:
    """Return mean (sd) and range; the standard deviation is that of a sample."""
    known = values[np.isfinite(values)]
    if not len(known):
        return [_NONE, _NONE]
    sd = f"{known.std(ddof=1):.3g}" if len(known) > 1 else _NONE
    mean = float(known.mean())
    if abs(mean) <= 1e-12 * float(np.abs(known).max()):  # but for rounding
        mean = 0.0
    return [f"{mean:.4g} ({sd})", f"{known.min():.4g} to {known.max():.4g}"]
