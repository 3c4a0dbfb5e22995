# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of several images of a subject, rearranged: `RepeatedKernel`, `SandwichKernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm import _core
from groupglm.inference.permutation.equivalent_statistic import tables_of
from groupglm.inference.permutation.pattern_kernel import PatternKernel
from groupglm.models.repeated import ADJUSTMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.missing_values import Presence
    from groupglm.inference.permutation.null_distribution import Data
    from groupglm.inference.permutation.partition import Partition
    from groupglm.inference.permutation.pattern_kernel import PatternArrays
    from groupglm.inference.permutation.rearranged_model import RearrangedModel

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["RepeatedKernel", "SandwichKernel", "make_repeated_kernel"]

_SEARCH = 60
"""The work of an estimate of the subjects' variance, in rows of a matrix product."""


@dataclass(frozen=True, eq=False)
class RepeatedKernel(PatternKernel):
    """The t or F statistic of a random intercept; its variance is estimated for each rearrangement.

    The residuals of the weighted fit of the nuisance are rearranged (Freedman and Lane 1983).

    Parameters
    ----------
    parts : Partition
        The partition of the design.
    subjects : array of int, shape (n_images,)
        The subject of each image, from 0.
    rows, two_sided, patterns, nuisance_rank, table, heads, values, untested
        As in `PatternKernel`.
    """

    parts: Partition
    subjects: Integers

    @property
    def n_products(self) -> int:
        """Rows of a matrix product that would be as much work as one rearrangement."""
        n_sizes = len(np.unique(np.bincount(self.subjects)))
        return _SEARCH + (1 + n_sizes) * (len(self.parts.effect) + len(self.parts.nuisance))

    @property
    def letter(self) -> Literal["t", "F"]:
        """The letter of the statistic."""
        return "t" if len(self.parts.effect) == 1 else "F"

    def _compiled(
        self,
        data: Data,
        part: PatternArrays,
        orders: tuple[Integers, Floats],
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        return _core.permuted_repeated_statistics(
            data,
            self.parts.effect,
            self.parts.nuisance,
            self.subjects,
            self.two_sided,
            part,
            (self.heads, self.values),
            orders,
            maps,
            least,
            n_threads,
        )


@dataclass(frozen=True, eq=False)
class SandwichKernel(RepeatedKernel):
    """The t or F statistic of a sandwich, which is computed for each choice of signs.

    The residuals of the nuisance are adjusted as those of the fit are (Guillaume and Nichols).

    Parameters
    ----------
    adjustment : int
        The place of the adjustment among `ADJUSTMENTS`, by which the core knows it.
    parts, subjects, rows, two_sided, patterns, nuisance_rank, table, heads, values, untested
        As in `RepeatedKernel`.
    """

    adjustment: int

    @property
    def n_products(self) -> int:
        """Rows of a matrix product that would be as much work as one rearrangement."""
        k = len(self.parts.effect)
        return (1 + k) * (k + len(self.parts.nuisance)) + k

    def _compiled(
        self,
        data: Data,
        part: PatternArrays,
        orders: tuple[Integers, Floats],
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        # Only the data as they are have least values; their statistic is that of the data.
        of_null = 0 if least is not None else self.adjustment
        return _core.bootstrapped_sandwich_statistics(
            data,
            self.parts.effect,
            self.parts.nuisance,
            self.subjects,
            (self.adjustment, of_null),
            self.two_sided,
            part,
            (self.heads, self.values),
            orders,
            maps,
            least,
            n_threads,
        )


def make_repeated_kernel(
    model: RearrangedModel, presence: Presence, *, two_sided: bool
) -> RepeatedKernel:
    """Make the kernel of a model of several images of a subject."""
    parts, present = model.parts, presence.patterns.present
    df = model.subject_degrees(present)
    table, heads, values = tables_of(df, model.df, len(parts.effect))
    rank = present.sum(axis=1) - presence.df_residual - len(parts.effect)
    given: dict[str, Any] = {
        "parts": parts,
        "subjects": model.subjects,
        "rows": model.rows,
        "two_sided": two_sided,
        "patterns": presence.patterns,
        "nuisance_rank": rank.astype(np.int64),
        "table": table,
        "heads": heads,
        "values": values,
        "untested": presence.untested,
    }
    if not model.is_bootstrapped:
        return RepeatedKernel(**given)
    return SandwichKernel(**given, adjustment=ADJUSTMENTS.index(model.settings["adjustment"]))
