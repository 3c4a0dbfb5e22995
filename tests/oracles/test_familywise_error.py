# SPDX-License-Identifier: BSD-3-Clause
"""Familywise error on data without any effect; the whole simulation is that of the reference."""

from __future__ import annotations

import pytest

from reference.familywise import STUDIES, bounds, rate_of_v, rates

N = 80
# Seeded, so that a run cannot fail by chance; yet a change of the seeds may, with a probability of
# 1 in 10,000 for each of some thirty rates.
LOW, HIGH = bounds(N, 0.9999)
# The smallest p-value is a multiple of 0.01, but sizes are whole and tie: their rate may be lower.
CONSERVATIVE = ("size",)


@pytest.mark.parametrize("fwhm", [0.0, 3.0])
@pytest.mark.parametrize(
    "name", [name for name in STUDIES if "ignored" not in name], ids=lambda name: name[:12]
)
def test_rates_are_those_of_the_level(name: str, fwhm: float) -> None:
    found = rates(STUDIES[name], fwhm, N)
    assert set(found) in ({"t", "size", "mass", "tfce"}, {"F", "size", "mass", "tfce"})
    for correction, rate in found.items():
        assert rate <= HIGH, correction
        if correction not in CONSERVATIVE:
            assert rate >= LOW, correction


def test_residuals_of_small_groups_count_too_much() -> None:
    # What the docstring says of groups of 4 and 12: the statistic is right, its residuals are not.
    n = 200
    low, high = bounds(n, 0.9999)
    assert low <= rate_of_v((4, 12), n, nuisance_known=True) <= high
    assert rate_of_v((4, 12), n, nuisance_known=False) > high


def test_unequal_variances_need_variance_groups() -> None:
    ignored = rates(STUDIES["unequal variances, ignored"], 3.0, 40)
    told = rates(STUDIES["unequal variances, variance_groups"], 3.0, 40)
    for correction, rate in ignored.items():
        assert rate > 0.5, correction
        assert told[correction] <= bounds(40, 0.9999)[1], correction
