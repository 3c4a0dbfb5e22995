# SPDX-License-Identifier: BSD-3-Clause
"""Familywise error over null sets; `tests/reference/familywise_fields.py` runs 1,000 of them."""

from __future__ import annotations

from scipy import stats

from reference.familywise_fields import ALPHA, false_positives


def test_familywise_error_of_peaks_and_clusters() -> None:
    n_sets = 60
    peaks, clusters = false_positives(n_sets, 4.0, seed=1)
    # More would happen once in a thousand runs if the error were exactly 0.05.
    most = stats.binom.isf(0.001, n_sets, ALPHA)
    assert max(peaks, clusters) <= most
