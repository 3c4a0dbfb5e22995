# SPDX-License-Identifier: BSD-3-Clause
"""The naive and the approximate degrees of freedom of the sandwich against a dense reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm.models.repeated import RepeatedMeasures
from reference.sandwich import Place
from reference.sandwich_df import approximate, naive, parts_of
from reference.sandwich_study import Study, fitted, freedom

# Of the delta method by differences; all others are of rounding alone.
RTOL = {"naive": 1e-12, "approximate-1": 1e-9, "approximate-2": 1e-8, "approximate-3": 1e-7}
HOMOGENEOUS = ("naive", "approximate-1", "approximate-2", "approximate-3")
OF_SUBJECTS = ("naive", "approximate-1")
N_PLACES = 6

# Columns for each group of its own make two parts of the design, which one column for both joins.
DESIGNS = ("one part", "two parts")


def study_of(design: str) -> tuple[Study, NDArray[Any]]:
    """A study, some of whose images lack, and rows of a contrast."""
    study = Study(N_PLACES, seed=3)
    if design == "one part":
        return study, np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    group = study.number % 2
    own = np.column_stack([group == 0, group == 1]).astype(float)
    study.X = np.column_stack([own, own * study.visit[:, None]])
    return study, np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(
    ("homogeneous", "rule"),
    [*((True, rule) for rule in HOMOGENEOUS), *((False, rule) for rule in OF_SUBJECTS)],
)
def test_degrees_of_freedom_are_those_of_dense_formulas(
    design: str, homogeneous: bool, rule: str
) -> None:
    study, rows = study_of(design)
    labels: dict[str, Any] = {"subjects": study.subjects}
    if homogeneous:
        labels |= {"groups": study.groups, "visits": study.visit.tolist()}
    fit = fitted(RepeatedMeasures("sandwich", rule, **labels), study.X, study.Y)
    compared = 0
    for contrast in (rows[0], rows[1], rows):
        q = len(np.atleast_2d(contrast))
        found = freedom(fit.contrast(contrast))
        for voxel in range(N_PLACES):
            place: Place = study.place(voxel, "C2", homogeneous=homogeneous)
            if rule == "naive":
                wanted = naive(place, contrast)
            else:
                wanted = approximate(place, contrast, int(rule[-1]))
            if wanted <= q - 1:
                wanted = np.nan  # F has none
            np.testing.assert_allclose(found[voxel], wanted - q + 1, rtol=RTOL[rule])
            compared += int(np.isfinite(wanted))
    assert compared > 2 * N_PLACES
    assert len(parts_of(study.place(0, "C2"))) == 1 + (design == "two parts")


def test_an_effect_in_one_part_has_the_subjects_of_that_part() -> None:
    study, rows = study_of("two parts")
    study.Y = np.nan_to_num(study.Y, nan=50.0)
    fit = fitted(RepeatedMeasures("sandwich", "naive", subjects=study.subjects), study.X, study.Y)
    # Eight subjects are controls; their mean alone is constant within each.
    assert freedom(fit.contrast(rows[1])).tolist() == [8 - 1] * N_PLACES
    assert freedom(fit.contrast(rows[0])).tolist() == [15 - 2] * N_PLACES
