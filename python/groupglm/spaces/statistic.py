# SPDX-License-Identifier: BSD-3-Clause
"""The kind of values of a map, by its description, its name and its sidecar: `Statistic`.

The header of a file is a matter of its format, in the folder of a kind of data.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "ONE_SIDED_Z", "OUTPUTS", "Statistic", "number_of", "valid_df"]

KINDS = {
    "z": "z-scores",
    "t": "t statistics",
    "F": "F statistics",
    "p": "p-values",
    "logp": "-log10 of p-values",
    "effect": "effects",
    "variance": "variances of effects",
    "label": "labels",
    "stat": "statistics (t or F)",
    "size": "sizes of clusters",
    "mass": "masses of clusters",
    "tfce": "statistics enhanced by TFCE",
    "estimate": "estimates",
    "tau2": "variances between subjects (tau2)",
    "I2": "percentages of variance between subjects (I2)",
    "H2": "ratios of total to sampling variance (H2)",
    "Q": "Q statistics of heterogeneity",
    "Qp": "p-values of Q",
    "ICC": "intraclass correlations (ICC)",
    "subjectVariance": "variances between subjects",
    "residualVariance": "variances of the images of a subject",
    "familyVariance": "variances between families",
    "converged": "where iterations converged (1) or did not (0)",
    "iterations": "numbers of iterations",
    "meanWeight": "mean weights of the images",
    "dof": "degrees of freedom",
    "rpv": "resels per voxel",
    "effectLow": "lower bounds of effects",
    "effectHigh": "upper bounds of effects",
    "cohenD": "Cohen's d",
    "cohenDLow": "lower bounds of Cohen's d",
    "cohenDHigh": "upper bounds of Cohen's d",
    "hedgesG": "Hedges' g",
    "hedgesGLow": "lower bounds of Hedges' g",
    "hedgesGHigh": "upper bounds of Hedges' g",
    "partialR": "partial correlations",
    "partialRLow": "lower bounds of partial correlations",
    "partialRHigh": "upper bounds of partial correlations",
    "partialR2": "partial shares of variance",
    "partialR2Low": "lower bounds of partial shares of variance",
    "partialR2High": "upper bounds of partial shares of variance",
    "logBF10": "natural logarithms of Bayes factors",
    "decision": "decisions: 1 an effect, -1 equivalent, 2 both, 0 not enough data",
    "confidenceSet": "confidence sets (1 inside, 0 outside)",
}
"""The kinds of values, by their short names in files and sidecars."""

# The descriptions of maps of a whole fit.
_OF_FITS = (
    *("tau2", "I2", "H2", "Q", "Qp"),
    *("ICC", "subjectVariance", "residualVariance", "familyVariance"),
    *("converged", "iterations", "meanWeight", "rpv"),
)
_NEVER_NEGATIVE = (
    *("F", "logp", "variance", "tau2", "I2", "H2", "Q", "dof"),
    *("ICC", "subjectVariance", "residualVariance", "familyVariance"),
    *("converged", "iterations", "meanWeight", "rpv"),
    *("partialR2", "partialR2Low", "partialR2High"),
)

_GENERAL = {  # the kinds that each may mean
    "stat": ("t", "F"),
    "estimate": ("effect", "variance", *_OF_FITS, "dof"),
}

OUTPUTS = {
    "z_score": "z", "p_value": "p", "effect_size": "effect", "effect_variance": "variance",
    "stat": "stat", "ci_low": "effectLow", "ci_high": "effectHigh",
    "cohen_d": "cohenD", "cohen_d_ci_low": "cohenDLow", "cohen_d_ci_high": "cohenDHigh",
    "hedges_g": "hedgesG", "hedges_g_ci_low": "hedgesGLow", "hedges_g_ci_high": "hedgesGHigh",
    "partial_r": "partialR", "partial_r_ci_low": "partialRLow", "partial_r_ci_high": "partialRHigh",
    "partial_r2": "partialR2", "partial_r2_ci_low": "partialR2Low",
    "partial_r2_ci_high": "partialR2High", "log_bayes_factor": "logBF10", "decision": "decision",
}  # fmt: skip
"""The kinds of the maps of a contrast, by the names that users give."""
_OF_CONTRAST = re.compile(rf"(?:([tF]) )?({'|'.join(OUTPUTS)}) of contrast")  # nilearn's too
_STAT_OF_CONTRAST = re.compile(r"([tF]|size|mass|tfce) of contrast")  # of permutation tests
_OF_SPM = re.compile(r"SPM\{([TF])_\[(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?\]\}")
ONE_SIDED_Z = "one-sided z_score"
"""The beginning of the description of a z of which only large values are evidence."""

_OURS = {
    ONE_SIDED_Z: "z",
    "-log10 p corrected": "logp",
    "number of images": "numbers of images",
    "residual degrees of freedom": "dof",
    "cluster labels": "label",
    "mask": "label",
    "confidence set": "confidenceSet",
}
_BIDS_NAME = re.compile(r"(?:^|_)stat-([A-Za-z0-9]+)(?=[_.])")
_FSL_NAME = re.compile(r"(?:^|_)(zf|z|t|f)stat\d+(?=[_.])|(?:^|_)(var)?cope\d+(?=[_.])")


@dataclass(frozen=True)
class Statistic:
    """What the values of a map are.

    Parameters
    ----------
    kind : str
        A key of `KINDS`, or in words what else they are.
    df : tuple of float
        Degrees of freedom: of t one number, of F those of numerator and denominator. Empty where
        they are not known, differ between voxels, or there are none.
    of_f : bool
        Whether it is the z of an F statistic, which has one tail: an F near zero has a large
        negative z, and speaks for the null hypothesis.
    one_tail : bool
        Whether it is another z of which only large values are evidence, as of a one-sided
        conjunction: a negative one says that some map is negative, not that all are.

    Examples
    --------
    >>> Statistic("t", (20.0,)).words
    't statistics with 20 degrees of freedom'
    """

    kind: str
    df: tuple[float, ...] = ()
    of_f: bool = False
    one_tail: bool = field(default=False, repr=False)

    @property
    def words(self) -> str:
        """The kind of map, in words."""
        what = KINDS.get(self.kind, self.kind)
        if self.of_f and self.kind == "z":
            what += " of an F test"
        return f"{what} with {_degrees(self.df)} degrees of freedom" if self.df else what

    @property
    def has_one_tail(self) -> bool:
        """Whether only large values are of interest: no map of this kind has a negative tail."""
        return self.of_f or self.one_tail or self.kind in _NEVER_NEGATIVE

    def agrees(self, other: Statistic) -> bool:
        """Return whether both can be true of one map; one may say more than the other."""
        return (
            self.kind == other.kind
            or other.kind in _GENERAL.get(self.kind, ())
            or self.kind in _GENERAL.get(other.kind, ())
        )

    @classmethod
    def of_description(cls, descrip: str) -> Statistic | None:
        """Read what a header's description says: ours, nilearn's or SPM's.

        Examples
        --------
        >>> Statistic.of_description("F z_score of contrast age")
        Statistic(kind='z', df=(), of_f=True)
        >>> Statistic.of_description("SPM{F_[2.0,18.0]} - contrast 3: age")
        Statistic(kind='F', df=(2.0, 18.0), of_f=False)
        """
        if found := _OF_CONTRAST.match(descrip):
            letter, output = found.groups()
            kind = letter if letter and output == "stat" else OUTPUTS[output]
            return cls(kind, of_f=kind == "z" and letter == "F")
        if found := _STAT_OF_CONTRAST.match(descrip):
            return cls(found[1])
        if found := _OF_SPM.match(descrip):
            letter, *numbers = found.groups()
            kind = {"T": "t", "F": "F"}[letter]
            return cls(kind, valid_df(kind, [float(number or 0) for number in numbers]))
        if descrip in _OF_FITS:
            return cls(descrip)
        for beginning, kind in _OURS.items():
            if descrip.startswith(beginning):
                return cls(kind, one_tail=beginning == ONE_SIDED_Z)
        return None

    @classmethod
    def of_name(cls, name: str) -> Statistic | None:
        """Read what a file's name says: in BIDS ``stat-z``, or as FSL names its maps.

        Examples
        --------
        >>> Statistic.of_name("contrast-age_stat-t_statmap.nii.gz")
        Statistic(kind='t', df=(), of_f=False)
        >>> Statistic.of_name("zfstat1.nii.gz")
        Statistic(kind='z', df=(), of_f=True)
        """
        if found := _BIDS_NAME.search(name):
            label = found[1]
            known = {kind.lower(): kind for kind in KINDS}
            return cls(known.get(label.lower(), f"{label} (as its name has it)"))
        if found := _FSL_NAME.search(name):
            letters, variance = found.groups()
            if letters is None:
                return cls("variance" if variance else "effect")
            return cls({"f": "F", "zf": "z"}.get(letters, letters), of_f=letters == "zf")
        return None

    @classmethod
    def of_sidecar(cls, facts: Mapping[str, Any]) -> Statistic | None:
        """Read what a sidecar says about its map; None if it has no such fact."""
        kind = facts.get("Values")
        if not isinstance(kind, str) or not kind:
            return None
        kind = kind[:40]
        degrees = facts.get("DegreesOfFreedom")
        numbers: list[float] = []
        if isinstance(degrees, dict) and "ResidualMinimum" not in degrees:
            keys = ("Residual",) if kind == "t" else ("Numerator", "Residual")
            numbers = [number_of(degrees.get(key)) for key in keys]
        of_f = kind == "z" and facts.get("StatType") == "F"
        one_tail = kind == "z" and facts.get("TwoSided") is False
        return cls(kind, valid_df(kind, numbers), of_f, one_tail)


def valid_df(kind: str, numbers: list[float]) -> tuple[float, ...]:
    """Return the degrees of freedom of a kind of statistic; none if one of them is impossible."""
    wanted = {"t": 1, "F": 2}.get(kind, 0)
    df = tuple(numbers[:wanted])
    whole = len(df) == wanted and all(math.isfinite(number) and number > 0 for number in df)
    return df if whole else ()


def _degrees(df: tuple[float, ...]) -> str:
    return " and ".join(f"{number:g}" for number in df)


def number_of(value: Any) -> float:
    """Return a number from a sidecar; NaN if the value is not a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer too large for double
        return math.nan
