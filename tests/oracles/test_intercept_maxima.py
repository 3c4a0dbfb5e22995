# SPDX-License-Identifier: BSD-3-Clause
"""No point of a dense grid is likelier than our random intercept; the reference checks 100,000."""

from __future__ import annotations

from reference.intercept_maxima import check


def test_no_point_of_a_grid_is_likelier() -> None:
    found = check(1_000)
    # Else the test would say nothing of a search that ends at the first maximum.
    assert found.n_two_maxima >= 5
    assert found.n_at_zero >= 100
    # y'P0y is a difference of sums of up to 600 squares, beside them known to 600 eps = 1e-13, and
    # its logarithm is multiplied by up to 600 degrees of freedom.
    assert found.worst <= 1e-10
