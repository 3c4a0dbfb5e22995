# SPDX-License-Identifier: BSD-3-Clause
"""The labels of maps that a model of several maps a subject takes, and the refusal of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from groupglm.runtime.naming import listed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.cli.options.group_model import GroupModelOptions
    from groupglm.cli.options.visits import Visit

__all__ = ["check_subjects", "labels_of_maps"]


def labels_of_maps(
    group_model: GroupModelOptions, rows: pd.DataFrame, visits: Mapping[str, Visit] | None
) -> dict[str, list[str]]:
    """Return subjects, families, visits and groups of the maps; empty for another model.

    Shapes: `rows` has one row a map.
    """
    from groupglm.design.formula.grouping import grouping_labels
    from groupglm.inputs.visits import warn_of_runs

    if not group_model.is_repeated:
        return {}
    repeated = group_model.repeated
    labels = {
        name: grouping_labels(rows, column, repeated.what(name))
        for name, column in repeated.columns().items()
    }
    if visits is None:
        return {"subjects": [str(label) for label in rows.index], **labels}
    own = list(visits.values())
    if repeated.chosen != "sandwich" and "visits" not in labels:
        runs = [f"{visit.session} run {visit.run}" if visit.run else "" for visit in own]
        warn_of_runs([visit.subject for visit in own], runs)
    labels.setdefault("subjects", [visit.subject for visit in own])
    if all(visit.name for visit in own):
        labels.setdefault("visits", [visit.name for visit in own])
    return labels


def check_subjects(
    group_model: GroupModelOptions,
    visits: Mapping[str, Visit] | None,
    X: NDArray[np.float64],
    *,
    estimates: bool = True,
) -> None:
    """Refuse several maps a subject in a model that counts them as independent.

    `estimates` says whether p of the model itself are wanted, rather than of permutations alone.
    """
    from groupglm.design.repeated_subjects import have_levels

    if group_model.is_repeated or visits is None:
        return
    subjects = [visit.subject for visit in visits.values()]
    counts = Counter(subjects)
    if len(counts) == len(subjects) or have_levels(subjects, X):
        return
    most = counts.most_common(1)[0][0]
    own = [label for label, visit in visits.items() if visit.subject == most]
    raise ValueError(
        f"{sum(n > 1 for n in counts.values())} of {len(counts)} subjects have several maps, such "
        f"as {most}: {listed(own, 6)}; {group_model.option} {group_model.model_name} would count "
        "them as independent, and p-values would be wrong. Add '+ (1 | subject)' to --formula, "
        "which means --model repeated, or a column for each subject ('+ subject'), "
        + ("" if estimates else "say by --exchangeability-blocks which maps may be exchanged, ")
        + "or give one map a subject (a narrower glob)"
    )
