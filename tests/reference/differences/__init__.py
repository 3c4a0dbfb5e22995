# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: the one list of it, a module an area.

Each entry has a test of its name in tests/parity/test_differences_*.py, which shows both answers on
the same input, and a row in docs/coming-from-nilearn.md. In the folder tests,
`python -m reference.differences` prints the tables of that page, and `--write` puts them there.
"""

from __future__ import annotations

from reference.differences.data import DATA
from reference.differences.designs import DESIGNS
from reference.differences.entry import Area, Difference
from reference.differences.models import MODELS
from reference.differences.permutation import PERMUTATION
from reference.differences.plots import PLOTS
from reference.differences.resampling import RESAMPLING
from reference.differences.surfaces import SURFACES
from reference.differences.thresholds import THRESHOLDS

__all__ = ["AREAS", "DIFFERENCES", "Area", "Difference"]

AREAS = (
    Area("Images, masks and maskers", DATA),
    Area("Tables, designs and confounds", DESIGNS),
    Area("Smoothing and resampling", RESAMPLING),
    Area("Model and contrasts", MODELS),
    Area("Thresholds, tables and bounds", THRESHOLDS),
    Area("Permutation", PERMUTATION),
    Area("Surfaces", SURFACES),
    Area("Plots", PLOTS),
)
DIFFERENCES = tuple(difference for area in AREAS for difference in area.differences)
