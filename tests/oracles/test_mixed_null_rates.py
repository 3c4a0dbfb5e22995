# SPDX-License-Identifier: BSD-3-Clause
"""Type I error of mixed effects and unequal variances over 10,000 places.

The whole table is that of the reference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reference.null_rates import CASES, SIZES, TYPICAL, Case, bounds, group_rates, lines, rates


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name)
@pytest.mark.parametrize("n", [20, 40])
def test_knapp_hartung_keeps_its_level(case: Case, n: int) -> None:
    found = rates(case, n)
    assert 0.045 <= found["knapp-hartung"] <= 0.055
    # The scale of at least one can only widen an interval.
    assert found["knapp-hartung-conservative"] <= found["knapp-hartung"]


@pytest.mark.parametrize("n", SIZES)
def test_knapp_hartung_of_equal_variances_is_exact(n: int) -> None:
    """It is Student's t test there, whatever tau2: a rate misses these bounds once in 10,000."""
    low, high = bounds(0.9999)
    assert low <= rates(CASES[0], n)["knapp-hartung"] <= high


def test_even_knapp_hartung_errs_where_few_images_differ_much_in_variance() -> None:
    """What the guide and a warning say: few degrees of freedom, and variances of a ratio of 100."""
    few, many = (rates(CASES[4], n) for n in (5, 40))
    assert few["knapp-hartung"] > bounds(0.9999)[1]
    assert few["knapp-hartung-conservative"] < few["knapp-hartung"]
    assert many["knapp-hartung"] < 0.065


def test_wald_z_of_few_images_rejects_too_often() -> None:
    found = rates(TYPICAL, 10)
    assert found["z"] > 0.07
    assert found["t"] <= bounds(0.9999)[1]


@pytest.mark.parametrize("n", [20, 40])
def test_groups_of_unequal_variance_need_welch(n: int) -> None:
    found = group_rates(n)
    low, high = bounds(0.9999)
    assert low <= found["unequal variances"] <= high
    assert found["ols"] > 0.1


def test_the_guide_has_these_rates() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide" / "mixed-effects.md"
    text = guide.read_text(encoding="utf-8")
    # The table of the guide, without its head.
    for line in list(lines())[2:]:
        assert line in text
