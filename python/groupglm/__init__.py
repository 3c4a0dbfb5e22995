# SPDX-License-Identifier: BSD-3-Clause
"""Fast, honest group-level general linear models for brain imaging.

The names below load when first used, so that ``import groupglm`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groupglm._core import build_info
    from groupglm.atlases.atlas import Atlas, load_atlas
    from groupglm.atlases.finding import find_atlas
    from groupglm.atlases.sphere import Sphere
    from groupglm.design.confounds import make_second_level_design_matrix
    from groupglm.design.contrast_files import load_contrasts
    from groupglm.design.formula.building import design_from_formula
    from groupglm.estimator.results_table import get_results_table
    from groupglm.estimator.second_level import SecondLevelModel
    from groupglm.extraction.values import extract_values
    from groupglm.inference.all_resolution import cluster_level_inference, true_discovery_bounds
    from groupglm.inference.cluster_table import get_clusters_table
    from groupglm.inference.conjunction import conjunction_img
    from groupglm.inference.permutation.arrays import permuted_ols
    from groupglm.inference.permutation.images import non_parametric_inference
    from groupglm.inference.random_fields.images import estimate_smoothness
    from groupglm.inference.random_fields.ptfce import ptfce
    from groupglm.inference.thresholds import fdr_threshold, threshold_stats_img
    from groupglm.models.fixed import FixedEffects
    from groupglm.models.mixed import MixedEffects
    from groupglm.models.mixed_arrays import fit_mixed
    from groupglm.models.ols import fit_ols
    from groupglm.models.repeated import RepeatedMeasures
    from groupglm.models.repeated_arrays import fit_repeated
    from groupglm.models.repeated_formula import repeated_from_formula
    from groupglm.models.robust import Robust
    from groupglm.models.robust_arrays import fit_robust
    from groupglm.models.unequal import UnequalVariances
    from groupglm.models.weighted_arrays import fit_weighted
    from groupglm.report.view import view_map
    from groupglm.spaces.smoothing import smooth_img
    from groupglm.spaces.surface.maps import SurfaceMaps
    from groupglm.spaces.volume.arithmetic import math_img
    from groupglm.spaces.volume.regridding import resample_img, resample_to, resample_to_img

__version__ = "0.1.0"

__all__ = [
    "Atlas",
    "FixedEffects",
    "MixedEffects",
    "RepeatedMeasures",
    "Robust",
    "SecondLevelModel",
    "Sphere",
    "SurfaceMaps",
    "UnequalVariances",
    "__version__",
    "build_info",
    "cluster_level_inference",
    "conjunction_img",
    "design_from_formula",
    "estimate_smoothness",
    "extract_values",
    "fdr_threshold",
    "find_atlas",
    "fit_mixed",
    "fit_ols",
    "fit_repeated",
    "fit_robust",
    "fit_weighted",
    "get_clusters_table",
    "get_results_table",
    "load_atlas",
    "load_contrasts",
    "make_second_level_design_matrix",
    "math_img",
    "non_parametric_inference",
    "permuted_ols",
    "ptfce",
    "repeated_from_formula",
    "resample_img",
    "resample_to",
    "resample_to_img",
    "smooth_img",
    "threshold_stats_img",
    "true_discovery_bounds",
    "view_map",
]

_HOME = {
    "Atlas": "groupglm.atlases.atlas",
    "FixedEffects": "groupglm.models.fixed",
    "MixedEffects": "groupglm.models.mixed",
    "RepeatedMeasures": "groupglm.models.repeated",
    "Robust": "groupglm.models.robust",
    "SecondLevelModel": "groupglm.estimator.second_level",
    "Sphere": "groupglm.atlases.sphere",
    "SurfaceMaps": "groupglm.spaces.surface.maps",
    "UnequalVariances": "groupglm.models.unequal",
    "build_info": "groupglm._core",
    "cluster_level_inference": "groupglm.inference.all_resolution",
    "conjunction_img": "groupglm.inference.conjunction",
    "design_from_formula": "groupglm.design.formula.building",
    "estimate_smoothness": "groupglm.inference.random_fields.images",
    "extract_values": "groupglm.extraction.values",
    "fdr_threshold": "groupglm.inference.thresholds",
    "find_atlas": "groupglm.atlases.finding",
    "fit_mixed": "groupglm.models.mixed_arrays",
    "fit_ols": "groupglm.models.ols",
    "fit_repeated": "groupglm.models.repeated_arrays",
    "fit_robust": "groupglm.models.robust_arrays",
    "fit_weighted": "groupglm.models.weighted_arrays",
    "get_clusters_table": "groupglm.inference.cluster_table",
    "get_results_table": "groupglm.estimator.results_table",
    "load_atlas": "groupglm.atlases.atlas",
    "load_contrasts": "groupglm.design.contrast_files",
    "make_second_level_design_matrix": "groupglm.design.confounds",
    "math_img": "groupglm.spaces.volume.arithmetic",
    "non_parametric_inference": "groupglm.inference.permutation.images",
    "permuted_ols": "groupglm.inference.permutation.arrays",
    "ptfce": "groupglm.inference.random_fields.ptfce",
    "repeated_from_formula": "groupglm.models.repeated_formula",
    "resample_img": "groupglm.spaces.volume.regridding",
    "resample_to": "groupglm.spaces.volume.regridding",
    "resample_to_img": "groupglm.spaces.volume.regridding",
    "smooth_img": "groupglm.spaces.smoothing",
    "threshold_stats_img": "groupglm.inference.thresholds",
    "true_discovery_bounds": "groupglm.inference.all_resolution",
    "view_map": "groupglm.report.view",
}


# Public packages and modules that completion shows, and that need no import of their own.
_PACKAGES = ("bids", "datasets", "errors", "plotting")


def _refuse_subinterpreters() -> None:
    """Refuse a subinterpreter: the compiled core and numpy would wait for ever in it."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # of Python 3.13, and of earlier ones
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        if interpreters.get_current() != interpreters.get_main():
            raise ImportError(
                "groupglm cannot be used in a subinterpreter: its compiled core and numpy serve "
                "the main interpreter only; import it there, or start another process"
            )
        return


_refuse_subinterpreters()


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"groupglm.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'groupglm' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES]
