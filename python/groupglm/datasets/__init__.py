# SPDX-License-Identifier: BSD-3-Clause
"""Simulated studies with a known truth, to try things on without any download.

All share one brain, of ellipsoids in the box of the common standard-space grid or of meshes of the
cortex, and one kind of noise: Gaussian, smooth in space. The same seed gives the same study, to the
bit.
"""

from typing import TYPE_CHECKING

from groupglm.datasets.bids_study import BidsStudy, simulate_bids_study
from groupglm.datasets.brain import SimulatedEffect
from groupglm.datasets.cortex import SurfaceEffect
from groupglm.datasets.covariate_study import simulate_covariate_study
from groupglm.datasets.grey_matter_study import simulate_grey_matter_study
from groupglm.datasets.group_study import simulate_group_study
from groupglm.datasets.longitudinal_study import LongitudinalStudy, simulate_longitudinal_study
from groupglm.datasets.one_sample_study import simulate_one_sample_study
from groupglm.datasets.paired_study import PairedStudy, simulate_paired_study
from groupglm.datasets.study import GroupStudy
from groupglm.datasets.surface_study import SurfaceStudy, simulate_surface_study
from groupglm.datasets.variance_study import VarianceStudy, simulate_variance_study
from groupglm.runtime.elsewhere import absent_names

__all__ = [
    "BidsStudy",
    "GroupStudy",
    "LongitudinalStudy",
    "PairedStudy",
    "SimulatedEffect",
    "SurfaceEffect",
    "SurfaceStudy",
    "VarianceStudy",
    "simulate_bids_study",
    "simulate_covariate_study",
    "simulate_grey_matter_study",
    "simulate_group_study",
    "simulate_longitudinal_study",
    "simulate_one_sample_study",
    "simulate_paired_study",
    "simulate_surface_study",
    "simulate_variance_study",
]

if not TYPE_CHECKING:  # a type checker would accept every name
    _DOWNLOAD = (
        "groupglm downloads nothing; get the data by nilearn.datasets.{name}, and give its files "
        "to groupglm"
    )
    __getattr__ = absent_names(
        __name__,
        {
            "fetch_*": _DOWNLOAD,
            "load_*": _DOWNLOAD,
            "patch_*": _DOWNLOAD,
            "get_data_dirs": _DOWNLOAD,
            "select_from_index": _DOWNLOAD,
            "*_FILE_PATH": _DOWNLOAD,
        },
    )
