# SPDX-License-Identifier: BSD-3-Clause
"""Effect sizes of a contrast with their intervals, and Bayes factors: rows of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from groupglm import _core
from groupglm.errors import ArgumentError
from groupglm.models.effect_size_rules import Standardises, refuse_undefined, rules_of
from groupglm.models.null_value import against
from groupglm.runtime.arguments import real_number

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Fit
    from groupglm.models.contrast_result import ContrastResult

    Floats = NDArray[np.float64]

__all__ = [
    "EFFECT_SIZES",
    "PRIOR_SCALES",
    "EffectSizes",
    "at_places",
    "check_confidence",
    "check_prior_scale",
    "hedges_correction",
]

FAMILIES = ("cohen_d", "hedges_g", "partial_r", "partial_r2")

EFFECT_SIZES = (
    "ci_low",
    "ci_high",
    *(name + end for name in FAMILIES for end in ("", "_ci_low", "_ci_high")),
    "log_bayes_factor",
)
"""The names of the maps."""

PRIOR_SCALES = {"t": 0.5 * 2**0.5, "F": 0.25 * 2**0.5}
"""The default scales of the priors of Bayes factors: of d for t, of regression for F."""


@dataclass(frozen=True, eq=False)
class EffectSizes:
    r"""The effect sizes of a contrast at every place, computed as they are asked for.

    Parameters
    ----------
    fit : Fit
        The fit.
    contrast : array, shape (n_columns,) or (n_rows, n_columns)
        The contrast.
    result : ContrastResult
        The test of this contrast by the fit.
    confidence : float, default=0.95
        Level of the intervals, whose tails are equal.
    prior_scale : float, optional
        Scale of the prior of Bayes factors, by default that of `PRIOR_SCALES`.

    Notes
    -----
    With the effect :math:`c'b`, its variance v, the residual standard deviation s and the residual
    degrees of freedom :math:`\nu`:

    - Cohen's :math:`d = c'b / s` (Cohen 1988): the scale of the contrast matters, and weights of
      1 and -1 compare two groups as the textbook does. s is pooled over the groups; with unequal
      variances it is the root of the mean of the variances of the contrast's groups (Bonett 2008;
      Delacre et al. 2021); with mixed effects the root of tau2 plus the typical variance of an
      image (Higgins & Thompson 2002); with repeated measures that of one image, variances of
      subjects and images together (Hedges 2007; Westfall et al. 2014).
    - Hedges' :math:`g = J(\nu) d`,
      :math:`J(\nu) = \Gamma(\nu/2) / (\sqrt{\nu/2}\,\Gamma((\nu-1)/2))` (Hedges 1981). NaN where
      :math:`\nu \le 1`: d has no expectation then.
    - Partial :math:`r = t / \sqrt{t^2 + \nu}`, and its square
      :math:`qF / (qF + \nu)` of q rows, partial eta squared (Cohen 1988; of repeated measures
      Edwards et al. 2008).

    Intervals invert the noncentral t and F (Steiger 2004): the noncentrality of t is
    :math:`d s / \sqrt{v}`. They are exact for ordinary least squares, and otherwise as good as the
    degrees of freedom of the test. Those of the effect itself are :math:`c'b \pm
    t_{\nu} \sqrt{v}`.

    The Bayes factor compares an effect with none (JZS). For t, d has a Cauchy prior of scale r,
    and :math:`N = s^2 / v` stands for the number of observations (Rouder et al. 2009). For F it is
    that of regression, with the residual degrees of freedom of the contrast's own design (Rouder &
    Morey 2012), and it does not depend on the units of covariates.

    Values are NaN where the residuals are all zero, or there are no degrees of freedom.
    """

    fit: Fit
    contrast: Floats
    result: ContrastResult
    confidence: float = 0.95
    prior_scale: float | None = None

    def row(self, name: str) -> Floats:
        """Return one map, of those in `EFFECT_SIZES`, shape (n_values,).

        Raises
        ------
        ArgumentError
            If the model, or the statistic, does not define it.
        """
        self.check(name)
        if name == "log_bayes_factor":
            return self.log_bayes_factor
        if name in ("ci_low", "ci_high"):
            return self.interval[name == "ci_high"]
        family, _, end = name.partition("_ci_")
        found: Floats = getattr(self, f"_{family}_interval")[end == "high"] if end else (
            getattr(self, f"_{family}")
        )  # fmt: skip
        return found

    def check(self, name: str) -> None:
        """Refuse a map that the model, or the statistic, does not define."""
        of_f = self.result.stat_type == "F"
        if of_f and name not in ("partial_r2", "partial_r2_ci_low", "partial_r2_ci_high",
                                 "log_bayes_factor"):  # fmt: skip
            raise ArgumentError.about(
                "output_type",
                f"{name!r} is not defined for an F contrast, which has no sign",
                "take 'partial_r2', or a contrast of one row for t",
            )
        refuse_undefined(self.fit.model, name)

    @cached_property
    def interval(self) -> tuple[Floats, Floats]:
        """The interval of the effect, in its units; by the normal distribution if the test is z."""
        degrees = np.asarray(self.df, dtype=np.float64)
        known = np.where(degrees > 0, degrees, np.nan)
        level = 0.5 + 0.5 * self.confidence
        quantile = np.where(np.isinf(known), special.ndtri(level), special.stdtrit(known, level))
        half = quantile * np.where(self.varies, self._error, np.nan)
        return self.result.effect_size - half, self.result.effect_size + half

    @cached_property
    def _cohen_d(self) -> Floats:
        return self.difference / self._sd

    @property
    def _cohen_d_interval(self) -> tuple[Floats, Floats]:
        low, high = self._noncentralities
        return low * self._unit, high * self._unit

    @property
    def _hedges_g(self) -> Floats:
        return hedges_correction(self.df) * self._cohen_d

    @property
    def _hedges_g_interval(self) -> tuple[Floats, Floats]:
        correction, (low, high) = hedges_correction(self.df), self._cohen_d_interval
        return correction * low, correction * high

    @property
    def _partial_r(self) -> Floats:
        return self._share(self._stat)

    @property
    def _partial_r_interval(self) -> tuple[Floats, Floats]:
        low, high = self._noncentralities
        return self._share(low), self._share(high)

    @property
    def _partial_r2(self) -> Floats:
        total = self.result.df_numerator * self._f
        share: Floats = total / (total + self.df)
        return share

    @property
    def _partial_r2_interval(self) -> tuple[Floats, Floats]:
        rank, threads = float(self.result.df_numerator), self.fit.n_threads
        low, high = _core.f_noncentralities(self._f, rank, self.df, self.confidence, threads)
        return low / (low + self.df), high / (high + self.df)

    @cached_property
    def log_bayes_factor(self) -> Floats:
        """Natural logarithm of the Bayes factor of an effect against none."""
        scale = PRIOR_SCALES[self.result.stat_type] if self.prior_scale is None else (
            self.prior_scale
        )  # fmt: skip
        rank = float(self.result.df_numerator)
        is_t = self.result.stat_type == "t"
        n: Any = self.fit.n_observations
        with np.errstate(divide="ignore"):
            n = 1.0 / np.square(self._unit) if is_t else np.asarray(n, dtype=np.float64)
        own: Any = np.ascontiguousarray(scale**2 * n)
        if not isinstance(self.df, np.ndarray):
            # Without missing values the unit is the same everywhere but for rounding.
            finite = np.isfinite(own)
            known = own[finite]
            if known.size and (np.abs(known - known[0]) < 1e-9 * known[0]).all():
                own = float(known[0])
        f = np.where(np.isnan(self._unit), np.nan, self._f) if is_t else self._f
        return _core.log_bayes_factors(f, rank, self.df, own, self.fit.n_threads)

    def tail(self, d: float) -> Floats:
        """Return P(T <= t) of a noncentral T if d is the true one, shape (n_values,)."""
        return _core.noncentral_t_cdf(self._stat, self.df, d / self._unit, self.fit.n_threads)

    @cached_property
    def df(self) -> Any:
        """Residual degrees of freedom, one number or one a place, as the core takes them."""
        df = self.result.df[1] if isinstance(self.result.df, tuple) else self.result.df
        return np.ascontiguousarray(df, np.float64) if isinstance(df, np.ndarray) else float(df)

    @cached_property
    def _stat(self) -> Floats:
        """The statistic; NaN where nothing varies, so that there is no evidence."""
        stat = self.result.stat
        return np.where(np.isfinite(stat) & (self._residual_sd > 0), stat, np.nan)

    @cached_property
    def _f(self) -> Floats:
        """The F of the contrast."""
        with np.errstate(over="ignore"):
            return self._stat if self.result.stat_type == "F" else self._stat**2

    @cached_property
    def _residual_sd(self) -> Floats:
        return self.fit.residual_sd

    @property
    def difference(self) -> Floats:
        """The effect less its value under the null hypothesis."""
        return self.result.effect_size - self.result.null_value

    @cached_property
    def _error(self) -> Floats:
        """The standard error of the effect, also where a double does not hold its square."""
        stat, effect = self.result.stat, self.difference
        usable = np.isfinite(stat) & (stat != 0)
        ratio = effect / np.where(usable, stat, np.nan)
        return np.where(usable, ratio, np.sqrt(self.result.effect_variance))

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Where the effect has an error, shape (n_values,); elsewhere data say nothing of it."""
        return self._error > 0

    @cached_property
    def _sd(self) -> Floats:
        """The standard deviation that d divides by."""
        own = self.fit
        sd = own.standardiser(self.contrast) if isinstance(own, Standardises) else self._residual_sd
        return np.where(sd > 0, sd, np.nan)

    @cached_property
    def _unit(self) -> Floats:
        """The standard error of the effect over the standard deviation: d over t."""
        return self._error / self._sd

    @cached_property
    def _noncentralities(self) -> tuple[Floats, Floats]:
        return _core.t_noncentralities(self._stat, self.df, self.confidence, self.fit.n_threads)

    def _share(self, t: Floats) -> Floats:
        share: Floats = t / np.hypot(t, np.sqrt(self.df))
        return share


def hedges_correction(df: ArrayLike) -> Floats:
    """Return what Cohen's d of these degrees of freedom is multiplied by; NaN of at most 1.

    Examples
    --------
    >>> hedges_correction([1.0, 19.0, 1e6]).round(4).tolist()
    [nan, 0.9599, 1.0]
    """
    whole = np.asarray(df, dtype=np.float64)
    known = np.where(whole > 1, whole, np.nan)
    half = 0.5 * known
    exact = np.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / np.sqrt(half)
    # The logarithms of large degrees of freedom lose digits in their difference.
    series = 1 - (0.75 + (0.21875 + 0.0703125 / known) / known) / known
    return np.where(whole > 1000, series, exact)


def at_places(
    fit: Fit,
    contrast: ArrayLike,
    places: NDArray[np.integer],
    *,
    confidence: float = 0.95,
    null_value: float = 0.0,
) -> pd.DataFrame:
    """Return the effect of a t contrast, and Cohen's d, with their intervals at some places.

    Parameters
    ----------
    fit : Fit
        The fit.
    contrast : array_like, shape (n_columns,) or (1, n_columns)
        The contrast.
    places : array of int, shape (n,)
        Numbers of places.
    confidence : float, default=0.95
        Level of the intervals.
    null_value : float, default=0
        The constant that the contrast is compared with, from which Cohen's d is the distance.

    Returns
    -------
    pandas.DataFrame
        A row a place: effect, effect_ci_low, effect_ci_high, and cohen_d, cohen_d_ci_low and
        cohen_d_ci_high, without the last three if the model does not define d.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm import fit_ols
    >>> fit = fit_ols(np.ones((4, 1)), np.array([[1.0], [2.0], [3.0], [4.0]]))
    >>> at_places(fit, [1], np.array([0])).round(3).iloc[0].tolist()
    [2.5, 0.446, 4.554, 1.936, 0.146, 3.672]
    """
    import pandas as pd

    own = fit.select(np.asarray(places, dtype=np.int64))
    values = np.asarray(contrast, dtype=np.float64)
    tested = against(own.contrast(values, stat_type="t"), null_value, own.n_threads)
    sizes = EffectSizes(own, values, tested, confidence)
    columns = {"effect": sizes.result.effect_size}
    columns |= {f"effect_{end}": sizes.row(end) for end in ("ci_low", "ci_high")}
    if not rules_of(fit.model).cohen_d:
        names = ("cohen_d", "cohen_d_ci_low", "cohen_d_ci_high")
        columns |= {name: sizes.row(name) for name in names}
    return pd.DataFrame(columns)


def check_confidence(confidence: object) -> float:
    """Return the level of intervals, above 0 and below 1."""
    level = real_number("confidence", confidence)
    if not 0 < level < 1:
        remedy = f"give {level / 100:g}" if 1 < level < 100 else "give 0.95 for 95 percent"
        raise ArgumentError("confidence", f"{level:g}", "above 0 and below 1", remedy)
    return level


def check_prior_scale(prior_scale: object) -> float | None:
    """Return the scale of a prior, above 0; None for the default."""
    if prior_scale is None:
        return None
    scale = real_number("prior_scale", prior_scale)
    if not 0 < scale < 1e6:
        raise ArgumentError(
            "prior_scale", f"{scale:g}", "above 0 and below 1e6", "leave it out for the default"
        )
    return scale
