# SPDX-License-Identifier: BSD-3-Clause
"""The statistics of fixed and mixed effects for rearranged images: `MixedKernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from groupglm import _core
from groupglm.inference.permutation.equivalent_statistic import tables_of
from groupglm.inference.permutation.pattern_kernel import PatternKernel
from groupglm.tabular.group_labels import check_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.missing_values import Presence
    from groupglm.inference.permutation.null_distribution import Data
    from groupglm.inference.permutation.partition import Partition
    from groupglm.inference.permutation.pattern_kernel import PatternArrays
    from groupglm.inference.permutation.rearranged_model import RearrangedModel

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["MixedKernel", "make_mixed_kernel"]

# The numbers by which the core knows them.
_METHODS = ("reml", "ml", "dersimonian-laird", "paule-mandel", "hedges", "given")
_SCALES = {"z": 0, "t": 0, "knapp-hartung": 1, "knapp-hartung-conservative": 2}

_SEARCH = {"reml": 60, "ml": 60, "paule-mandel": 30}
"""The work of an estimate of tau2, in rows of a matrix product."""


@dataclass(frozen=True, eq=False)
class MixedKernel(PatternKernel):
    """The t or F statistic of effects with known variances, tau2 estimated for each rearrangement.

    Signs of the effects are flipped, or of their residuals if there is a nuisance; or the tested
    columns are permuted. The variances always stay with their effects.

    Parameters
    ----------
    parts : Partition
        The partition of the design.
    groups : array of int, shape (n_images,)
        The group of each image, from 0; each has a tau2 of its own.
    how : tuple
        Number of the estimator of tau2, tau2 if it is given, number of the scale, and whether signs
        are flipped.
    rows, two_sided, patterns, nuisance_rank, table, heads, values, untested
        As in `PatternKernel`.
    """

    parts: Partition
    groups: Integers
    how: tuple[int, float, int, bool]

    @property
    def n_products(self) -> int:
        """Rows of a matrix product that would be as much work as one rearrangement."""
        rank = len(self.parts.effect) + len(self.parts.nuisance)
        return _SEARCH.get(_METHODS[self.how[0]], 3) + 3 * rank

    @property
    def letter(self) -> Literal["t", "F"]:
        """The letter of the statistic; a z of "z" tests is called t too."""
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
        (variances,) = self.rows.of(data, "variance")
        return _core.permuted_mixed_statistics(
            self.rows.own(data),
            variances,
            self.parts.effect,
            self.parts.nuisance,
            self.groups,
            self.how,
            self.two_sided,
            part,
            (self.heads, self.values),
            orders,
            maps,
            least,
            n_threads,
        )


def make_mixed_kernel(
    model: RearrangedModel, presence: Presence, *, flips: bool, two_sided: bool
) -> MixedKernel:
    """Make the kernel of a model with variances."""
    parts, settings = model.parts, model.settings
    tau2 = settings.get("tau2", 0.0)
    test = settings.get("test", "z")
    given = 0.0 if isinstance(tau2, str) else float(tau2)
    method = _METHODS.index(tau2 if isinstance(tau2, str) else "given")
    groups = np.zeros(parts.n_images, dtype=np.int64)
    if model.groups is not None:
        groups = check_labels(model.groups, parts.n_images, model.groups_argument)
    table, heads, values = tables_of(presence.df_residual, model.df, len(parts.effect))
    rank = presence.patterns.present.sum(axis=1) - presence.df_residual - len(parts.effect)
    return MixedKernel(
        parts=parts,
        rows=model.rows,
        groups=groups,
        how=(method, given, _SCALES[test], flips),
        two_sided=two_sided,
        patterns=presence.patterns,
        nuisance_rank=rank.astype(np.int64),
        table=table,
        heads=heads,
        values=values,
        untested=presence.untested,
    )
