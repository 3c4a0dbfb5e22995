# SPDX-License-Identifier: BSD-3-Clause
"""p-values from a null distribution: by counting, or by a curve fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["TAILS", "Tail", "TailFit", "check_enough", "corrected_p", "fit_tail"]

Tail = Literal["gpd", "gamma"]
TAILS: tuple[Tail, ...] = ("gpd", "gamma")

_TIE = 1e-8  # relative; equal statistics of different rearrangements differ by rounding
_FEWEST = 25  # values that a tail is fitted to
_BOOTSTRAPS = 199


def corrected_p(observed: Floats, null: Floats) -> Floats:
    """Count the maxima that reach each observed statistic.

    Parameters
    ----------
    observed : array
        Statistics; NaN where there is none.
    null : array, shape (n_perm,)
        Maxima of the rearranged data.

    Returns
    -------
    array
        (1 + count) / (1 + n_perm), never zero: the data as they are count as one rearrangement
        (Phipson and Smyth 2010). One where the statistic is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> corrected_p(np.array([5.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    array([0.25, 0.75])
    """
    ordered = np.sort(null)
    reached = observed - _TIE * np.abs(observed)
    below = np.searchsorted(ordered, np.where(np.isnan(reached), -np.inf, reached), side="left")
    p = (1.0 + len(null) - below) / (1.0 + len(null))
    return np.where(np.isnan(reached), 1.0, p).astype(np.float64)


@dataclass(frozen=True)
class TailFit:
    """A curve fitted to a null distribution.

    Parameters
    ----------
    kind : {"gpd", "gamma"}
        Generalised Pareto for what exceeds `threshold`, or gamma (Pearson type III) for all.
    parameters : dict
        "gpd": shape and scale; "gamma": mean, standard deviation and skewness.
    threshold : float
        p-values of statistics above it are the curve's, others are counted.
    n_fitted : int
        Number of values it was fitted to.
    distance : float
        Anderson-Darling's statistic of the fit.
    p_fit : float
        Its p-value by a parametric bootstrap: small if the curve does not fit.
    """

    kind: Tail
    parameters: dict[str, float]
    threshold: float
    n_fitted: int
    distance: float
    p_fit: float

    def p(self, observed: Floats, null: Floats) -> Floats:
        """Return p-values, as `corrected_p` does, with the curve in place of counts."""
        counted = corrected_p(observed, null)
        if self.kind == "gamma":
            curve = _gamma(self.parameters).sf(observed)
        else:
            share = self.n_fitted / len(null)
            curve = share * _gpd(self.parameters).sf(observed - self.threshold)
        # Far outside, the gamma curve underflows: the smallest number that is not zero stays.
        curve = np.maximum(curve, np.finfo(np.float64).tiny)
        return np.where(observed > self.threshold, curve, counted)


def check_enough(n_perm: int) -> None:
    """Refuse to fit a tail to too few rearrangements."""
    if n_perm < 4 * _FEWEST:
        raise ValueError(
            f"a tail cannot be fitted to {n_perm} rearrangements: at least {4 * _FEWEST} are "
            "needed; raise n_perm if there are more, or give tail=None"
        )


def fit_tail(null: Floats, kind: Tail) -> TailFit:
    """Fit a curve to a null distribution of maxima.

    Parameters
    ----------
    null : array, shape (n_perm,)
        Maxima of the rearranged data.
    kind : {"gpd", "gamma"}
        Generalised Pareto for the upper tail, which begins at the lowest of the 75th, 80th, ...,
        95th percentiles from which on it fits; or gamma, by three moments, for few rearrangements.

    Returns
    -------
    TailFit
        The curve and how well it fits.

    Raises
    ------
    ValueError
        If there are too few values, or they do not vary.

    Notes
    -----
    Winkler et al. (2016), NeuroImage 141, 502-516. Both by the method of moments; for the Pareto
    tail those of Hosking and Wallis (1987), and a shape below zero is taken for zero: such a tail
    would end at a point beyond which p-values are zero, which no permutation test can give. That
    errs on the side of larger p-values.
    """
    check_enough(len(null))
    if np.ptp(null) == 0:
        raise ValueError(
            f"a tail cannot be fitted: all {len(null)} maxima are {null[0]:g}; give tail=None"
        )
    if kind == "gamma":
        parameters = {
            "mean": float(null.mean()),
            "sd": float(null.std()),
            "skewness": float(stats.skew(null)),
        }
        p_of_values = _gamma(parameters).cdf(np.sort(null))
        simulated = _gamma(parameters).rvs((_BOOTSTRAPS, len(null)), random_state=0)
        simulated.sort(axis=1)
        refitted = stats.pearson3(
            stats.skew(simulated, axis=1)[:, None],
            simulated.mean(axis=1)[:, None],
            simulated.std(axis=1)[:, None],
        )
        distance, p_fit = _judge(p_of_values, refitted.cdf(simulated))
        return TailFit("gamma", parameters, -np.inf, len(null), distance, p_fit)
    fits = []
    for percentile in (75, 80, 85, 90, 95):
        threshold = float(np.percentile(null, percentile))
        excess = np.sort(null[null > threshold]) - threshold
        if len(excess) < _FEWEST:
            break
        fits.append(_fit_gpd(excess, threshold))
        if fits[-1].p_fit > 0.05:
            return fits[-1]
    if not fits:
        raise ValueError(
            f"a tail cannot be fitted: too many of the {len(null)} maxima are equal; give tail=None"
        )
    return max(fits, key=lambda fit: fit.p_fit)


def _fit_gpd(excess: Floats, threshold: float) -> TailFit:
    shape, scale = _gpd_moments(excess[None])
    parameters = {"shape": float(shape.item()), "scale": float(scale.item())}
    uniform = np.random.default_rng(0).random((_BOOTSTRAPS, len(excess)))
    simulated = np.sort(_gpd(parameters).ppf(uniform), axis=1)
    again = _gpd_moments(simulated)
    p_simulated = stats.genpareto(again[0], 0, again[1]).cdf(simulated)
    distance, p_fit = _judge(_gpd(parameters).cdf(excess), p_simulated)
    return TailFit("gpd", parameters, threshold, len(excess), distance, p_fit)


def _gpd_moments(excess: Floats) -> tuple[Floats, Floats]:
    mean = excess.mean(axis=1, keepdims=True)
    ratio = mean**2 / np.maximum(excess.var(axis=1, keepdims=True), 1e-300)
    shape = np.maximum((1 - ratio) / 2, 0.0)
    return shape, mean * (1 - shape)


def _gpd(parameters: dict[str, float]) -> Any:
    return stats.genpareto(parameters["shape"], 0, parameters["scale"])


def _gamma(parameters: dict[str, float]) -> Any:
    return stats.pearson3(parameters["skewness"], parameters["mean"], parameters["sd"])


def _judge(p_of_values: Floats, p_simulated: Floats) -> tuple[float, float]:
    distance = float(_anderson_darling(p_of_values[None]).item())
    beyond = np.count_nonzero(_anderson_darling(p_simulated) >= distance)
    return distance, (1 + beyond) / (1 + len(p_simulated))


def _anderson_darling(p: Floats) -> Floats:
    """Distance of sorted probabilities (k, n) from uniform ones."""
    n = p.shape[1]
    p = np.clip(p, 1e-300, 1 - 1e-16)
    weights = 2 * np.arange(1, n + 1) - 1
    return np.asarray(-n - np.mean(weights * (np.log(p) + np.log1p(-p[:, ::-1])), axis=1))
