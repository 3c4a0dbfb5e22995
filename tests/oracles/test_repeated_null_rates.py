# SPDX-License-Identifier: BSD-3-Clause
"""Type I error of repeated measures over 40,000 places: 20 subjects with 1 to 4 visits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reference.repeated_null_rates import CORRELATIONS, design, lines, rates, rates_of_runs


def test_the_visits_are_unbalanced() -> None:
    _, subjects = design()
    _, sizes = np.unique(subjects, return_counts=True)
    assert np.bincount(sizes).tolist() == [0, 5, 5, 5, 5]


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_the_level_is_kept_between_and_within_subjects(correlation: float) -> None:
    found = rates(correlation)
    ours, sandwich = found["random intercept, Kenward-Roger"], found["sandwich, C2"]
    for effect in ("visit", "group by visit"):
        assert 0.04 <= ours[effect] <= 0.06, effect
        assert 0.04 <= sandwich[effect] <= 0.06, effect
    assert 0.04 <= sandwich["group"] <= 0.06
    # Several rows of the sandwich have few degrees of freedom, and its F is scaled down for them.
    assert 0.02 <= sandwich["all three (F)"] <= 0.06
    for effect in ("group", "all three (F)"):
        # Without any variance of the subjects, estimates of it are still above 0 at many places:
        # pbkrtest's formulas, which these are, then find less than their level.
        assert (0.04 if correlation > 0 else 0.02) <= ours[effect] <= 0.06, effect


def test_least_squares_takes_visits_for_subjects() -> None:
    """What the guide says: groups seem to differ, and changes within subjects are missed."""
    found = rates(0.8)["OLS"]
    assert found["group"] > 0.15
    assert found["visit"] < 0.04


def test_runs_of_sessions_are_more_alike_than_a_random_intercept_takes_them_to_be() -> None:
    """What the guide says: 0.15, and 0.05 with means of sessions or the sandwich."""
    found = rates_of_runs()
    assert round(found["runs"], 2) == 0.15
    assert round(found["runs, sandwich"], 2) == 0.05
    assert round(found["means of sessions"], 2) == 0.05


def test_the_guide_has_these_rates() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide" / "repeated-measures.md"
    text = guide.read_text(encoding="utf-8")
    # The table of the guide, without its head.
    for line in list(lines())[2:]:
        assert line in text
