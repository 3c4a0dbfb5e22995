# SPDX-License-Identifier: BSD-3-Clause
"""No point of a dense grid is likelier than the estimated tau2; the reference checks 100,000."""

from __future__ import annotations

import pytest

from reference.likelihood_maxima import check


@pytest.mark.parametrize("restricted", [True, False], ids=["reml", "ml"])
def test_no_point_of_a_grid_is_likelier(restricted: bool) -> None:
    found = check(1_500, restricted=restricted)
    # Else the test would say nothing of a search that ends at the first maximum.
    assert found.n_two_maxima >= 5
    assert found.n_at_zero >= 100
    # The sums of 500 logarithms and squares, of numbers up to 1e3, are known to 1e5 eps = 2e-11.
    assert found.worst <= 1e-10
