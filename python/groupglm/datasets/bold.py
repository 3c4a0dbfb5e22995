# SPDX-License-Identifier: BSD-3-Clause
"""The time course of a simulated BOLD signal: blocks of stimuli, the response, drifts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REPETITION_TIME", "block_events", "regressor", "slow_drifts"]

FloatArray = NDArray[np.float64]

REPETITION_TIME = 2.0  # s
_BLOCK = 12.0  # s; the rest after a block is as long
_STEP = 0.1  # s, of the response
_RESPONSE_LENGTH = 32.0  # s
_N_DRIFTS = 2


def block_events(kinds: tuple[str, ...], n_scans: int) -> pd.DataFrame:
    """Return blocks of each kind in turn, as an events table of BIDS."""
    import pandas as pd

    onset = np.arange(0.0, n_scans * REPETITION_TIME - 2 * _BLOCK + 1e-9, 2 * _BLOCK)
    kind = [kinds[i % len(kinds)] for i in range(len(onset))]
    return pd.DataFrame({"onset": onset, "duration": _BLOCK, "trial_type": kind})


def regressor(events: pd.DataFrame, n_scans: int) -> FloatArray:
    """Return the response to events at the time of each scan; a lasting stimulus gives 1.

    Returns (n_scans,).
    """
    from scipy.stats import gamma

    every = round(REPETITION_TIME / _STEP)
    time = _STEP * np.arange(n_scans * every)
    stimulus = np.zeros(len(time))
    for onset, duration in zip(events["onset"], events["duration"], strict=True):
        stimulus[(time >= onset - _STEP / 2) & (time < onset + duration - _STEP / 2)] = 1.0
    lag = np.arange(0.0, _RESPONSE_LENGTH, _STEP)
    response = gamma.pdf(lag, 6.0) - gamma.pdf(lag, 16.0) / 6.0
    convolved: FloatArray = np.convolve(stimulus, response / response.sum())[: len(time)]
    return convolved[::every]


def slow_drifts(n_scans: int) -> FloatArray:
    """Return the slowest cosines, of half a period and of one, shape (n_scans, n_drifts)."""
    scan = np.arange(n_scans) + 0.5
    periods = np.arange(1, _N_DRIFTS + 1)
    drifts: FloatArray = np.cos(np.pi * np.outer(scan / n_scans, periods))
    return drifts
