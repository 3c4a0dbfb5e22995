# SPDX-License-Identifier: BSD-3-Clause
"""The words of a report about robust regression, and the tuning of its weights."""

from __future__ import annotations

from groupglm.models.words import Words

__all__ = ["TUNING", "words_of_robust"]

TUNING = {"bisquare": 4.685, "huber": 1.345}
"""The weights, with the tuning that makes them 95% as efficient as least squares for normal data.

Holland and Welsch (1977).
"""

_HOLLAND = (
    "Holland PW, Welsch RE. Robust regression using iteratively reweighted least-squares. "
    "Communications in Statistics - Theory and Methods. 1977;6(9):813-827."
)
_DUMOUCHEL = (
    "DuMouchel WH, O'Brien FL. Integrating a robust option into a multiple regression computing "
    "environment. In: Computer Science and Statistics: Proceedings of the 21st Symposium on the "
    "Interface. Alexandria: American Statistical Association; 1989. p. 297-302."
)
_STREET = (
    "Street JO, Carroll RJ, Ruppert D. A note on computing robust regression estimates via "
    "iteratively reweighted least squares. The American Statistician. 1988;42(2):152-154."
)
_WAGER = (
    "Wager TD, Keller MC, Lacey SC, Jonides J. Increased sensitivity in neuroimaging analyses "
    "using robust regression. NeuroImage. 2005;26(1):99-113."
)
_NAMES = {"bisquare": "Tukey's bisquare", "huber": "Huber's"}


def words_of_robust(weights: str, tuning: float) -> Words:
    """Return how a report speaks of robust regression with these weights."""
    plain = (
        "fitted by robust regression, which gives images with large residuals a smaller weight at "
        "each place"
    )
    return Words(
        plain=plain,
        cited=(
            f"{plain} (Holland, 1977; Wager, 2005): iteratively reweighted least squares with "
            f"{_NAMES[weights]} weights (tuning {tuning:g}) of residuals adjusted for leverage and "
            "scaled by their median absolute deviation (Street, 1988); variances have the scale of "
            "DuMouchel and O'Brien (DuMouchel, 1989), and t and F have n - p degrees of freedom"
        ),
        references=tuple(sorted({_HOLLAND, _DUMOUCHEL, _STREET, _WAGER})),
    )
