# SPDX-License-Identifier: BSD-3-Clause
"""Which of nilearn's test modules are run, and which names in them become ours."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import groupglm
import groupglm.plotting


@dataclass(frozen=True)
class Area:
    """One of nilearn's test modules, and the public names in it that we replace."""

    name: str
    module: str
    replaced: tuple[str, ...]


AREAS = (
    Area("second level", "nilearn.glm.tests.test_second_level", ("SecondLevelModel",)),
    Area(
        "design matrix",
        "nilearn.glm.tests.test_design_matrix",
        ("make_second_level_design_matrix",),
    ),
    Area(
        "thresholds",
        "nilearn.glm.tests.test_thresholding",
        ("cluster_level_inference", "fdr_threshold", "threshold_stats_img"),
    ),
    Area(
        "cluster tables", "nilearn.reporting.tests.test_get_clusters_table", ("get_clusters_table",)
    ),
    Area(
        "permutation, images",
        "nilearn.glm.tests.test_non_parametric_inference",
        ("non_parametric_inference", "get_clusters_table", "smooth_img"),
    ),
    Area(
        "permutation, arrays",
        "nilearn.mass_univariate.tests.test_permuted_least_squares",
        ("permuted_ols",),
    ),
    Area("smoothing", "nilearn.image.tests.test_image", ("smooth_img",)),
    Area(
        "resampling",
        "nilearn.image.tests.test_resampling",
        ("resample_img", "resample_to_img"),
    ),
    Area(
        "slices",
        "nilearn.plotting.image.tests.test_plot_stat_map",
        ("plot_stat_map",),
    ),
    Area(
        "glass brain", "nilearn.plotting.image.tests.test_plot_glass_brain", ("plot_glass_brain",)
    ),
    Area(
        "matrices",
        "nilearn.plotting.matrix.tests.test_matrix_plotting",
        ("plot_contrast_matrix", "plot_design_matrix"),
    ),
)

# Whoever catches one of nilearn's own classes catches what it is derived from, which is what we can
# raise without nilearn.
CLASSES = {"DimensionError": TypeError, "BoundingBoxError": ValueError}


def ours(area: Area) -> dict[str, Any]:
    """Return what we have of the names of an area."""
    homes = (groupglm, groupglm.plotting)
    return {
        name: next(getattr(home, name) for home in homes if name in home.__all__)
        for name in area.replaced
        if any(name in home.__all__ for home in homes)
    }


def load(area: Area) -> ModuleType:
    """Import a test module and put our functions into it; what else nilearn calls stays its own."""
    module = importlib.import_module(area.module)
    for name, value in (ours(area) | CLASSES).items():
        if hasattr(module, name):
            setattr(module, name, value)
    return module


def words_of(test: Callable[..., Any], module: ModuleType) -> set[str]:
    """Return every name that a test speaks of, and the functions of its module that it calls."""
    found: set[str] = set()
    queue: list[Any] = [test]
    while queue:
        function = queue.pop()
        # A fixture is a function in a wrapper.
        function = getattr(function, "__wrapped__", None) or getattr(
            function, "_fixture_function", function
        )
        if not isinstance(function, FunctionType):
            continue
        codes = [function.__code__]
        while codes:
            code = codes.pop()
            names = {*code.co_names, *code.co_varnames} - found
            found |= names
            codes += [const for const in code.co_consts if hasattr(const, "co_names")]
            queue += [value for value in map(vars(module).get, names) if _of(module, value)]
    return found


def _of(module: ModuleType, value: object) -> bool:
    return getattr(value, "__module__", "") == module.__name__
