# SPDX-License-Identifier: BSD-3-Clause
"""The maps of a whole fit: how much subjects differ (tau2, I2, ICC, variances), and resels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.cli.results.names import OF_GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.cli.journal import Journal
    from groupglm.cli.results.study_results import Outputs
    from groupglm.estimator.group_model import GroupModel

__all__ = ["write_fit_maps"]

# The beginning of a map's name: its kind in sidecars, and what it is.
_MEANING = {
    "tau2": ("tau2", "Variance between subjects, in squared units of the maps"),
    "i_squared": ("I2", "Percentage of the variance of a map that is between subjects"),
    "h_squared": ("H2", "Total variance of a typical map, as a multiple of its sampling variance"),
    "q_p_value": ("Qp", "p value of Q, not corrected: that subjects differ beyond their variances"),
    "q": ("Q", "Cochran's Q: weighted squares of residuals about the fixed effects"),
    "intraclass_correlation": (
        "ICC",
        "Intraclass correlation: the share of the variance of a map that its subject's maps share",
    ),
    "subject_variance": (
        "subjectVariance",
        "Variance of the subjects' levels, in squared units of the maps",
    ),
    "family_variance": (
        "familyVariance",
        "Variance of the families' levels, in squared units of the maps",
    ),
    "residual_variance": (
        "residualVariance",
        "Variance of a map about its subject's level, in squared units of the maps",
    ),
    "converged": ("converged", "1 where iterations converged, 0 where they did not"),
    "iterations": ("iterations", "Number of weighted fits"),
    "mean_weight": ("meanWeight", "Mean of the weights of the maps, from 0 to 1"),
    "resels": ("rpv", "Resels per voxel, or per vertex: how rough the noise is there"),
    "n_subjects": ("nSubjects", "Number of subjects that have a map with a value"),
}


def write_fit_maps(outputs: Outputs, model: GroupModel, journal: Journal) -> None:
    """Write the maps that the model has; remove those that an earlier fit left."""
    from groupglm.estimator.group_model import fitted_group, local_resels
    from groupglm.spaces.statistic import Statistic

    group = fitted_group(model)
    maps: dict[str, Any] = {**group.result.maps()}
    resels = local_resels(model)
    if resels is not None:
        maps["resels"] = lambda: resels
    rows = {}
    for path in outputs.maps_of_other_groups:
        outputs.remove(path)
    for name, path in outputs.fit_maps.items():
        values = maps[name]() if name in maps else None
        if values is None or (name == "n_subjects" and values.min() == values.max()):
            outputs.remove(path)  # a number of subjects is told if it differs
            continue
        kind, meaning = next(own for start, own in _MEANING.items() if name.startswith(start))
        rows[name] = values
        image = group.space.to_image(rows[name], kind, statistic=Statistic(kind))
        said: dict[str, Any] = {"Description": meaning, "Values": kind}
        of_group = {f"{start}_{label}": label for label in outputs.groups for start in OF_GROUPS}
        if name in of_group:
            said["VarianceGroup"] = of_group[name]
        if kind == "tau2" and not np.isnan(values).all():
            said["ShareAtZero"] = float(np.mean(values[~np.isnan(values)] == 0))
        outputs.write_image(image, path, said)
    _say(rows, outputs, group.space.place_words[1], journal)


def _say_of_subjects(rows: Mapping[str, NDArray[np.float64]], outputs: Outputs, many: str) -> str:
    """Return, in words, how much the maps of a subject share; empty of another model."""
    shared = rows.get("intraclass_correlation")
    if shared is None or np.isnan(shared).all():
        return ""
    known = shared[~np.isnan(shared)]
    return (
        f"Of the variance of a map, {100 * np.median(known):.0f}% is between subjects (intraclass "
        f"correlation, median over {many}); 0 at {np.count_nonzero(known == 0):,} of "
        f"{known.size:,} {many} ({outputs.fit_maps['intraclass_correlation'].name})."
    )


def _say(
    rows: Mapping[str, NDArray[np.float64]], outputs: Outputs, many: str, journal: Journal
) -> None:
    """Say at how many places subjects do not differ, and how much they do at the median place."""
    if of_subjects := _say_of_subjects(rows, outputs, many):
        journal.say(of_subjects)
    for label in ("", *outputs.groups):
        end, of_group = (f"_{label}", f" of group {label}") if label else ("", "")
        tau2, percent = rows.get(f"tau2{end}"), rows.get(f"i_squared{end}")
        if tau2 is not None:
            known = tau2[~np.isnan(tau2)]
            journal.say(
                f"Variance between subjects (tau2){of_group}: 0 at "
                f"{np.count_nonzero(known == 0):,} of {known.size:,} {many} "
                f"({outputs.fit_maps[f'tau2{end}'].name})."
            )
        if percent is not None and not np.isnan(percent).all():
            journal.say(
                f"Of the variance of a map{of_group}, {np.nanmedian(percent):.0f}% is between "
                f"subjects (I2, median over {many}; {outputs.fit_maps[f'i_squared{end}'].name})."
            )
