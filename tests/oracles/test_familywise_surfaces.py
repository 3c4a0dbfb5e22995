# SPDX-License-Identifier: BSD-3-Clause
"""Familywise error over cortex and voxels; the whole simulation is that of the reference."""

from __future__ import annotations

from reference.familywise import bounds
from reference.familywise_surfaces import rates_and_shares

N = 200


def test_cortex_and_voxels_together_are_at_the_level() -> None:
    rates, _ = rates_and_shares(N)
    assert set(rates) == {"t", "size", "mass", "tfce"}
    low, high = bounds(N, 0.9999)
    for name, rate in rates.items():
        assert rate <= high, name
        if name != "size":  # sizes of voxels are whole and tie: their rate may be lower
            assert rate >= low, name
