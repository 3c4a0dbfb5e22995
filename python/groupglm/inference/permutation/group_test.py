# SPDX-License-Identifier: BSD-3-Clause
"""A permutation test of a contrast of a fitted group: `permute_group`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import warn_caller
from groupglm.group.fitted_group import statistic_of
from groupglm.inference.arguments import refuse_clusters
from groupglm.inference.permutation.arrays import PermutationOutputs
from groupglm.inference.permutation.assumptions import assumption_of
from groupglm.inference.permutation.cluster_families import cluster_families
from groupglm.inference.permutation.planning import choose_exchange
from groupglm.inference.permutation.rearranged_model import rearranged_model
from groupglm.inference.permutation.resuming import digest_of
from groupglm.inference.permutation.shifted_data import ShiftedData, shares_of
from groupglm.inference.permutation.testing import PermutationResult, permutation_test
from groupglm.messages import argument
from groupglm.models.null_value import against, has_no_evidence
from groupglm.spaces.public_rows import to_public
from groupglm.spaces.statistic import Statistic

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from groupglm.engine.group_rows import GroupRows
    from groupglm.engine.row_store import RowStore
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.permutation.null_distribution import DataSource
    from groupglm.inference.permutation.options import PermutationOptions
    from groupglm.inference.permutation.resuming import PermutationState
    from groupglm.models.base import Fit
    from groupglm.spaces.base import Space
    from groupglm.spaces.images import Image

    Floats = NDArray[np.float64]

__all__ = ["ImageData", "permute_group", "rearrangement_of", "refuse_without_neighbours"]


@dataclass(eq=False)
class ImageData:
    """The values of a group of images; this process reads them once, and so does each worker."""

    rows: GroupRows
    _digest: str | None = None

    def load(self, n_threads: int) -> RowStore:
        """Return the rows, which are read now if the fit has kept none."""
        if self.rows.kept is None:
            self.rows.n_threads = n_threads
        return self.rows.keep()

    def digest(self, n_threads: int) -> str:
        """Return a hash of the data."""
        if self._digest is None:
            self._digest = digest_of(self.load(n_threads).array(), n_threads)
        return self._digest

    @property
    def place_words(self) -> tuple[str, str]:
        """The words for one place and for several."""
        return self.rows.space.place_words

    def name_places(self, columns: NDArray[np.int64]) -> str:
        """Name the first places among some columns of the data."""
        return self.rows.space.name_places(columns)


def refuse_without_neighbours(space: Space, options: PermutationOptions) -> None:
    """Refuse the options of clusters and TFCE where the neighbours of places are not known."""
    if options.threshold is not None:
        refuse_clusters(space, "threshold", f"is {options.threshold:g}")
    if options.tfce is not None:
        refuse_clusters(space, "tfce", "is given")


def permute_group(
    group: FittedGroup,
    data: ImageData,
    contrast: Floats,
    options: PermutationOptions,
    *,
    label: object,
    resume: PermutationState | Path | None = None,
    null_value: float = 0.0,
) -> Image | PermutationOutputs:
    """Test a contrast of a fitted group by permutation, against a constant.

    Shapes: `contrast` (n_columns,).
    """
    if contrast.ndim == 2 and options.two_sided:
        warn_caller(
            argument("two_sided_test") + " has no effect on an F contrast, which has one tail"
        )
    refuse_without_neighbours(group.space, options)
    parametric = group.result.contrast(contrast)
    tested: DataSource = data
    if null_value:
        beside = tuple(group.result.model.beside)
        shares = shares_of(group.result.X, contrast, null_value, beside.count("covariate"))
        tested = ShiftedData(data, shares, ~has_no_evidence(parametric), beside)
        parametric = against(parametric, null_value, options.n_threads)
    result = permutation_test(
        group.result.X,
        contrast,
        tested,
        parametric.stat,
        group.result.df_residual,
        options,
        model=group.result.model,
        column_names=group.result.column_names,
        families=lambda: cluster_families(group.space, options.connectivity),
        resume=resume,
    )
    # Welch's statistic, and G, have degrees of freedom of their own at each voxel.
    statistic = (
        Statistic(result.letter)
        if options.variance_groups is not None
        else statistic_of(parametric, "stat")
    )
    return _images(result, group.space, options, statistic, f"of contrast {label}")


def rearrangement_of(
    fit: Fit, contrast: Floats, options: PermutationOptions
) -> tuple[bool, bool, str]:
    """Return whether a test flips signs, is a wild bootstrap, and what it assumes, in words.

    Shapes: `contrast` (n_columns,).
    """
    tested = rearranged_model(fit.model, fit.X, contrast, fit.column_names, options)
    exchange = choose_exchange(tested, options)
    assumption = assumption_of(tested, options.method, exchange)
    return exchange.flips, tested.is_bootstrapped, assumption


def _images(
    result: PermutationResult,
    space: Space,
    options: PermutationOptions,
    statistic: Statistic,
    of_contrast: str,
) -> Image | PermutationOutputs:
    def logp_image(name: str) -> Image:
        descrip = f"-log10 p corrected, max {name} {of_contrast}"
        image: Image = space.to_image(result.logp(name), descrip, statistic=Statistic("logp"))
        return image

    letter = result.letter
    if not options.need_neighbours and letter in result.p_value:
        return logp_image(letter)
    images = {}
    for name, values in result.observed.items():
        kind = statistic if name == letter else Statistic(name)
        images[name] = space.to_image(values, f"{name} {of_contrast}", statistic=kind)
        if name in result.p_value:
            images[f"logp_max_{name}"] = logp_image(name)
    return PermutationOutputs(images, (_as_seen(result, space),))


def _as_seen(result: PermutationResult, space: Space) -> PermutationResult:
    """Return a result whose arrays over voxels have the order that users see."""
    untested = result.untested
    return replace(
        result,
        observed={name: to_public(space, values) for name, values in result.observed.items()},
        p_value={name: to_public(space, values) for name, values in result.p_value.items()},
        untested=None if untested is None else to_public(space, untested),
    )
