# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of group models: maps, designs, contrasts and the data at a peak.

Each function makes a figure that pyplot knows, as pyplot's own do: ``plt.savefig``, `show` and a
notebook find it, and ``plt.close`` forgets it. Pages and commands draw without pyplot. Axes of maps
are in millimetres.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from groupglm.runtime.elsewhere import absent_names

if TYPE_CHECKING:
    from groupglm.plotting.contrast import plot_contrast_matrix
    from groupglm.plotting.design import plot_design_correlation, plot_design_matrix
    from groupglm.plotting.figure import show
    from groupglm.plotting.forest import plot_forest
    from groupglm.plotting.histogram import plot_histogram
    from groupglm.plotting.peak import plot_peak
    from groupglm.plotting.regions import plot_regions
    from groupglm.plotting.spaghetti import plot_spaghetti
    from groupglm.plotting.surface.stat_map import plot_surf_stat_map
    from groupglm.plotting.volume.glass import plot_glass_brain
    from groupglm.plotting.volume.stat_map import plot_stat_map

__all__ = [
    "plot_contrast_matrix",
    "plot_design_correlation",
    "plot_design_matrix",
    "plot_forest",
    "plot_glass_brain",
    "plot_histogram",
    "plot_peak",
    "plot_regions",
    "plot_spaghetti",
    "plot_stat_map",
    "plot_surf_stat_map",
    "show",
]

_HOME = {
    "plot_contrast_matrix": "contrast",
    "plot_design_correlation": "design",
    "plot_design_matrix": "design",
    "plot_forest": "forest",
    "plot_glass_brain": "volume.glass",
    "plot_histogram": "histogram",
    "plot_peak": "peak",
    "plot_regions": "regions",
    "plot_spaghetti": "spaghetti",
    "plot_stat_map": "volume.stat_map",
    "plot_surf_stat_map": "surface.stat_map",
    "show": "figure",
}

_BESIDE = "use nilearn.plotting.{name} beside groupglm: both take nibabel's images"
_absent = absent_names(
    __name__,
    {
        "plot_design_matrix_correlation": "groupglm.plotting.plot_design_correlation draws it",
        "plot_*": _BESIDE,
        "view_img": "groupglm.view_map shows volumes and surfaces",
        "view_surf": "groupglm.view_map shows volumes and surfaces",
        "view_img_on_surf": "groupglm.view_map shows maps of surfaces, and no volume on them",
        "view_*": _BESIDE,
        "find_*": _BESIDE,
        "cm": "every function takes a colour map of matplotlib",
    },
)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        _absent(name)
    return getattr(importlib.import_module(f"groupglm.plotting.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
