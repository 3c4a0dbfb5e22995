# SPDX-License-Identifier: BSD-3-Clause
"""BIDS derivatives in and out: maps found by their entities, Stats Models, names of results."""

from groupglm.bids.collecting import collect_maps
from groupglm.bids.participants import find_participants
from groupglm.bids.reading import read_stats_model
from groupglm.bids.stats_model import ModelContrast, StatsModel
from groupglm.inputs.matching import read_participants

__all__ = [
    "ModelContrast",
    "StatsModel",
    "collect_maps",
    "find_participants",
    "read_participants",
    "read_stats_model",
]
