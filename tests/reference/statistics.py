# SPDX-License-Identifier: BSD-3-Clause
"""Statistic, p and z of one place after the other, by mpmath: slow, and with 40 digits."""

from __future__ import annotations

import math

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

from reference.make_special_tables import Tails, chi_square_tails, f_tails, t_tails, tails

Floats = NDArray[np.float64]


def normal_tails(t: float) -> Tails:
    with mp.workdps(40):
        lower, upper = (mp.erfc(sign * mpf(t) / mp.sqrt(2)) / 2 for sign in (-1, 1))
        return tails(lower, upper)._replace(z=mpf(t))


def place(effect: float, variance: float, df: float, rank: int | None) -> tuple[float, ...]:
    """Return statistic, p and z: t of an effect, or F of a sum of squares if it has a rank."""
    if not df > 0 or not variance >= 0 or math.isnan(effect):
        return math.nan, math.nan, math.nan
    if variance == 0:
        if effect == 0:
            return 0.0, (0.5 if rank is None else 1.0), 0.0
        return math.copysign(math.inf, effect), float(effect < 0), math.copysign(math.inf, effect)
    if rank is None:
        stat = effect / math.sqrt(variance)
        both = normal_tails(stat) if math.isinf(df) else t_tails(df, stat)
    else:
        stat = effect / (variance * rank)
        if stat == 0:
            return 0.0, 1.0, -math.inf
        both = chi_square_tails(rank, stat) if math.isinf(df) else f_tails(rank, df, stat)
    return stat, float(both.p), float(both.z)


def statistics(effect: Floats, variance: Floats, df: Floats, rank: int | None = None) -> Floats:
    """Return statistics, p-values and z-scores, shape (3, n)."""
    found = [
        place(*numbers, rank)
        for numbers in zip(effect.tolist(), variance.tolist(), df.tolist(), strict=True)
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 3).T
