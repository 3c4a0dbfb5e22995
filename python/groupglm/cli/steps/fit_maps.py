# SPDX-License-Identifier: BSD-3-Clause
"""The maps of a whole fit that say how much subjects differ: tau2, I2, H2, Q and its p."""

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
}


def write_fit_maps(outputs: Outputs, model: GroupModel, journal: Journal) -> None:
    """Write the maps that the model has; remove those that an earlier fit left."""
    from groupglm.estimator.group_model import fitted_group
    from groupglm.spaces.statistic import Statistic

    group = fitted_group(model)
    maps = group.result.maps()
    rows = {}
    for path in outputs.maps_of_other_groups:
        outputs.remove(path)
    for name, path in outputs.fit_maps.items():
        if name not in maps:
            outputs.remove(path)
            continue
        kind, meaning = next(own for start, own in _MEANING.items() if name.startswith(start))
        rows[name] = maps[name]()
        image = group.space.to_image(rows[name], kind, statistic=Statistic(kind))
        said: dict[str, Any] = {"Description": meaning, "Values": kind}
        of_group = {f"{start}_{label}": label for label in outputs.groups for start in OF_GROUPS}
        if name in of_group:
            said["VarianceGroup"] = of_group[name]
        outputs.write_image(image, path, said)
    _say(rows, outputs, group.space.place_words[1], journal)


def _say(
    rows: Mapping[str, NDArray[np.float64]], outputs: Outputs, many: str, journal: Journal
) -> None:
    """Say at how many places subjects do not differ, and how much they do at the median place."""
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
