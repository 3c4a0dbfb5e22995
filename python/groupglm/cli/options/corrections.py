# SPDX-License-Identifier: BSD-3-Clause
"""The option that chooses how maps are thresholded, and the parsing of its text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["BY_FIELDS", "CORRECTION", "Correction", "correct"]

CONTROLS = ("fpr", "fdr", "bonferroni", "rft", "cluster-rft")
BY_FIELDS = ("rft", "cluster-rft")
"""Those that need the smoothness of the noise."""

_FAMILYWISE = ("fwe", "fwer", "familywise")
_FORMING_P = 0.001


@dataclass(frozen=True)
class Correction:
    """The way in which a map is thresholded: ``fdr:0.05``, or ``cluster-rft:p<0.001,0.05``.

    Parameters
    ----------
    control : str
        The error rate.
    alpha : float
        Its level.
    forming_p : float, optional
        The p at which places form clusters, whose sizes are tested.
    """

    control: Any
    alpha: float
    forming_p: float | None = None

    def __str__(self) -> str:
        forming = "" if self.forming_p is None else f"p<{self.forming_p!r},"
        return f"{self.control}:{forming}{self.alpha!r}"  # the shortest text of these numbers

    @property
    def label(self) -> str:
        """The correction in file names, in letters and digits only: ``fdr0p05``."""
        forming = "" if self.forming_p is None else f"p{self.forming_p!r}a"
        text = f"{self.control.replace('-', '')}{forming}{self.alpha!r}"
        return text.replace(".", "p").replace("-", "m")

    def caution(self, places: str) -> str:
        """Return the end of a line about the threshold, if many places pass it by chance."""
        return f" (not corrected for the number of {places})" if self.control == "fpr" else ""

    def facts(self, *, two_sided: bool) -> dict[str, Any]:
        """Return the facts of the correction for sidecars."""
        forming = {} if self.forming_p is None else {"ClusterFormingP": self.forming_p}
        return {
            "HeightControl": self.control,
            "Alpha": self.alpha,
            **forming,
            "TwoSided": two_sided,
        }

    @classmethod
    def of_facts(cls, facts: Any) -> Correction:
        """Make it of what `facts` returned, which was checked when it was read."""
        return cls(facts["HeightControl"], facts["Alpha"], facts.get("ClusterFormingP"))


class _Correction(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The text of the option; newer click makes the type generic."""

    name = "HOW:ALPHA"

    def convert(self, value: Any, param: Any, ctx: Any) -> Correction:
        if isinstance(value, Correction):
            return value
        control, _, rest = value.partition(":")
        control = control.strip().lower()
        if control in _FAMILYWISE:
            self.fail(
                f"{value!r}: familywise error is controlled by permutation, which is not a "
                "threshold of z: give --permute N to groupglm fit, or groupglm permute; "
                "bonferroni:0.05 controls it too, with less power",
                param,
                ctx,
            )
        forming, comma, number = rest.rpartition(",")
        alpha, forming_p = _level(number), None
        if control == "cluster-rft":
            forming_p = _level(_without_p(forming)) if comma else _FORMING_P
            if not (0 < alpha < 1 and 0 < forming_p < 1):
                self.fail(
                    f"{value!r} must be cluster-rft, a colon, the p at which voxels (places) form "
                    "clusters, a comma, and a level, such as cluster-rft:p<0.001,0.05 (in quotes, "
                    "because < means something to a shell)",
                    param,
                    ctx,
                )
        elif comma or control not in CONTROLS or not 0 < alpha < 1:
            self.fail(
                f"{value!r} must be one of {', '.join(CONTROLS)}, a colon, and a level between 0 "
                "and 1, such as fdr:0.05",
                param,
                ctx,
            )
        return Correction(control, alpha, forming_p)


def _level(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _without_p(text: str) -> str:
    """Return the number of ``p<0.001``, ``p=0.001`` or ``0.001``."""
    text = text.strip().lower()
    return text[1:].lstrip().lstrip("<=") if text.startswith("p") else text


CORRECTION = _Correction()

correct = click.option(
    "--correct",
    "corrections",
    type=CORRECTION,
    multiple=True,
    help="Threshold: fdr:0.05, bonferroni:0.05, rft:0.05 (random field theory), 'cluster-rft:p<"
    "0.001,0.05' (its sizes of clusters), or fpr:0.001 (not corrected). Repeatable.",
)
