# SPDX-License-Identifier: BSD-3-Clause
"""p-values from a null distribution: by counting, or by a curve fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.messages import argument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["TAILS", "Tail", "TailFit", "check_enough", "corrected_p", "fit_tail"]

Tail = Literal["gpd", "gamma"]
TAILS: tuple[Tail, ...] = ("gpd", "gamma")

_FEWEST = 25  # fewest values of a fitted tail
_BOOTSTRAPS = 199

# Limits of the trust in a fitted curve. Curves refitted to values drawn from it must give log10 p
# within 0.5, one standard deviation. This test does not see whether the tail has the curve's form.
# A Pareto tail, which is fitted to the tail, is therefore trusted down to a hundredth of the
# smallest p of counting; a gamma curve, which is fitted to all values, down to a tenth.
_LARGEST_SD = 0.5
_BEYOND_COUNTING: dict[Tail, float] = {"gpd": 100.0, "gamma": 10.0}
_GRID = 10.0 ** -np.arange(1.0, 10.0, 0.1)


def corrected_p(least: Floats, null: Floats) -> Floats:
    """Count the maxima that reach each observed statistic.

    Shapes: `null` (n_perm,).

    Examples
    --------
    >>> import numpy as np
    >>> corrected_p(np.array([5.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    array([0.25, 0.75])
    """
    ordered = np.sort(null)
    below = np.searchsorted(ordered, np.where(np.isnan(least), -np.inf, least), side="left")
    p = (1.0 + len(null) - below) / (1.0 + len(null))
    return np.where(np.isnan(least), 1.0, p).astype(np.float64)


@dataclass(frozen=True)
class TailFit:
    """A curve fitted to a null distribution.

    Parameters
    ----------
    kind : {"gpd", "gamma"}
        Generalised Pareto for values above `threshold`, or gamma (Pearson type III) for all values.
    parameters : dict
        "gpd": shape and scale; "gamma": mean, standard deviation and skewness; neither shape nor
        skewness is below zero.
    threshold : float
        The curve gives the p-values of statistics above it; others are counted.
    n_fitted : int
        Number of values that the curve was fitted to.
    distance : float
        Anderson-Darling's statistic of the fit.
    p_fit : float
        The p-value of `distance` by a parametric bootstrap. It is small if the curve does not fit.
    smallest : float
        The smallest p-value that the curve gives; statistics beyond have this p-value too.
    """

    kind: Tail
    parameters: dict[str, float]
    threshold: float
    n_fitted: int
    distance: float
    p_fit: float
    smallest: float

    def p(self, observed: Floats, null: Floats) -> Floats:
        """Return p-values, with the curve in place of counts beyond `threshold`.

        Parameters
        ----------
        observed : array, shape (n_voxels,)
            Statistics of the data as they are.
        null : array, shape (n_perm,)
            The maxima that the curve was fitted to.

        Returns
        -------
        array, shape (n_voxels,)
            Corrected p-values.
        """
        counted = corrected_p(observed, null)
        if self.kind == "gamma":
            curve = _gamma(self.parameters).sf(observed)
        else:
            share = self.n_fitted / len(null)
            curve = share * _gpd(self.parameters).sf(observed - self.threshold)
        curve = np.maximum(curve, self.smallest)
        return np.where(observed > self.threshold, curve, counted)


def check_enough(n_perm: int) -> None:
    """Refuse to fit a tail to too few rearrangements."""
    if n_perm < 4 * _FEWEST:
        raise ArgumentError.about(
            "tail",
            f"a tail cannot be fitted to {n_perm} rearrangements: at least {4 * _FEWEST} are "
            "needed",
            "raise " + argument("n_perm") + " if there are more, or give " + argument("tail", None),
        )


def fit_tail(null: Floats, kind: Tail) -> TailFit:
    """Fit a curve to a null distribution of maxima.

    Shapes: `null` (n_perm,).

    Notes
    -----
    Both curves are fitted by the method of moments (Winkler et al. 2016, NeuroImage 141, 502-516),
    the Pareto tail by that of Hosking and Wallis (1987). A shape (Pareto) or a skewness (gamma)
    below zero is replaced by zero. Otherwise the tail would end at a point beyond which p-values
    are zero, which no permutation test can give. The replacement makes p-values larger.

    The curve is trusted down to the p-value at which refits to values drawn from it differ by half
    a decade (one standard deviation), but never below a hundredth (Pareto) or a tenth (gamma) of
    1 / (1 + n_perm). With 100 permutations this is about 1e-3, and with 1000 of a Pareto tail 1e-5.
    Winkler et al. recommend the Pareto tail for p-values corrected for all voxels.
    """
    check_enough(len(null))
    if np.ptp(null) == 0:
        raise ArgumentError.about(
            "tail",
            f"a tail cannot be fitted: all {len(null)} maxima are {null[0]:g}",
            "give tail=None",
        )
    if kind == "gamma":
        return _fit_gamma(null)
    fits = []
    for percentile in (75, 80, 85, 90, 95):
        threshold = float(np.percentile(null, percentile))
        excess = np.sort(null[null > threshold]) - threshold
        if len(excess) < _FEWEST:
            break
        fits.append(_fit_gpd(excess, threshold, len(null)))
        if fits[-1].p_fit > 0.05:
            return fits[-1]
    if not fits:
        raise ArgumentError.about(
            "tail",
            f"a tail cannot be fitted: too many of the {len(null)} maxima are equal",
            "give tail=None",
        )
    return max(fits, key=lambda fit: fit.p_fit)


def _fit_gamma(null: Floats) -> TailFit:
    parameters = {name: float(value.item()) for name, value in _gamma_moments(null).items()}
    curve = _gamma(parameters)
    simulated = curve.rvs((_BOOTSTRAPS, len(null)), random_state=0)
    simulated.sort(axis=1)
    refitted = _gamma(_gamma_moments(simulated))
    distance, p_fit = _judge(curve.cdf(np.sort(null)), refitted.cdf(simulated))
    smallest = _smallest("gamma", _GRID, refitted.logsf(curve.isf(_GRID)), len(null))
    return TailFit("gamma", parameters, -np.inf, len(null), distance, p_fit, smallest)


def _gamma_moments(values: Floats) -> dict[str, Floats]:
    from scipy import stats

    return {
        "mean": values.mean(axis=-1, keepdims=True),
        "sd": values.std(axis=-1, keepdims=True),
        "skewness": np.maximum(stats.skew(values, axis=-1, keepdims=True), 0.0),
    }


def _fit_gpd(excess: Floats, threshold: float, n_perm: int) -> TailFit:
    shape, scale = _gpd_moments(excess[None])
    parameters = {"shape": float(shape.item()), "scale": float(scale.item())}
    curve, share = _gpd(parameters), len(excess) / n_perm
    uniform = np.random.default_rng(0).random((_BOOTSTRAPS, len(excess)))
    simulated = np.sort(curve.ppf(uniform), axis=1)
    again = _gpd_moments(simulated)
    refitted = _gpd({"shape": again[0], "scale": again[1]})
    distance, p_fit = _judge(curve.cdf(excess), refitted.cdf(simulated))
    p = _GRID[share > _GRID]
    smallest = _smallest("gpd", p, refitted.logsf(curve.isf(p / share)), n_perm)
    return TailFit("gpd", parameters, threshold, len(excess), distance, p_fit, smallest)


def _smallest(kind: Tail, p: Floats, refitted: Floats, n_perm: int) -> float:
    """Return the smallest p to trust; refits say log p (n_refits, n_p) where the curve says `p`."""
    sure = np.std(refitted, axis=0) <= _LARGEST_SD * np.log(10)
    surely = p[np.logical_and.accumulate(sure)]
    counting = 1 / (1 + n_perm)
    beyond = max(float(surely.min(initial=1.0)), counting / _BEYOND_COUNTING[kind])
    return min(beyond, counting)  # the smallest p that counting gives


def _gpd_moments(excess: Floats) -> tuple[Floats, Floats]:
    mean = excess.mean(axis=1, keepdims=True)
    ratio = mean**2 / np.maximum(excess.var(axis=1, keepdims=True), 1e-300)
    shape = np.maximum((1 - ratio) / 2, 0.0)
    return shape, mean * (1 - shape)


def _gpd(parameters: Mapping[str, float | Floats]) -> Any:
    from scipy import stats  # takes a quarter of a second to import

    return stats.genpareto(parameters["shape"], 0, parameters["scale"])


def _gamma(parameters: Mapping[str, float | Floats]) -> Any:
    from scipy import stats

    return stats.pearson3(parameters["skewness"], parameters["mean"], parameters["sd"])


def _judge(p_of_values: Floats, p_simulated: Floats) -> tuple[float, float]:
    distance = float(_anderson_darling(p_of_values[None]).item())
    beyond = np.count_nonzero(_anderson_darling(p_simulated) >= distance)
    return distance, (1 + beyond) / (1 + len(p_simulated))


def _anderson_darling(p: Floats) -> Floats:
    """Return the distance of sorted probabilities (k, n) from uniform ones."""
    n = p.shape[1]
    p = np.clip(p, 1e-300, 1 - 1e-16)
    weights = 2 * np.arange(1, n + 1) - 1
    return np.asarray(-n - np.mean(weights * (np.log(p) + np.log1p(-p[:, ::-1])), axis=1))
