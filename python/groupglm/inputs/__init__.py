# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of a model: maps, and the rows of the design that belong to them."""

from groupglm.inputs.cohort import (
    Cohort,
    LabelledCohort,
    kind_of_data,
    make_cohort,
    maps_of_one_kind,
)

__all__ = ["Cohort", "LabelledCohort", "kind_of_data", "make_cohort", "maps_of_one_kind"]
