# SPDX-License-Identifier: BSD-3-Clause
"""The maps of a whole fit that say how much subjects differ: tau2, I2, H2, Q and its p."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.cli.results.names import FIT_MAPS

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.results.study_results import Outputs
    from groupglm.estimator.group_model import GroupModel

__all__ = ["write_fit_maps"]

_MEANING = {
    "tau2": "Variance between subjects, in squared units of the maps",
    "i_squared": "Percentage of the variance of a map that is between subjects",
    "h_squared": "Total variance of a typical map, as a multiple of its sampling variance",
    "q": "Cochran's Q: weighted squares of residuals about the fixed effects",
    "q_p_value": "p value of Q, not corrected: that subjects differ beyond their variances",
}


def write_fit_maps(outputs: Outputs, model: GroupModel, journal: Journal) -> None:
    """Write the maps that the model has; remove those that an earlier fit left."""
    from groupglm.estimator.group_model import fitted_group
    from groupglm.spaces.statistic import Statistic

    group = fitted_group(model)
    maps = group.result.maps()
    rows = {}
    for name, path in outputs.fit_maps.items():
        if name not in maps:
            outputs.remove(path)
            continue
        kind = FIT_MAPS[name]
        rows[name] = maps[name]()
        image = group.space.to_image(rows[name], kind, statistic=Statistic(kind))
        outputs.write_image(image, path, {"Description": _MEANING[name], "Values": kind})
    _, many = group.space.place_words
    if "tau2" in rows:
        known = rows["tau2"][~np.isnan(rows["tau2"])]
        journal.say(
            f"Variance between subjects (tau2): 0 at {np.count_nonzero(known == 0):,} of "
            f"{known.size:,} {many} ({outputs.fit_maps['tau2'].name})."
        )
    if "i_squared" in rows and not np.isnan(rows["i_squared"]).all():
        journal.say(
            f"Of the variance of a map, {np.nanmedian(rows['i_squared']):.0f}% is between "
            f"subjects (I2, median over {many}; {outputs.fit_maps['i_squared'].name})."
        )
