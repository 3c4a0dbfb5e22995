# SPDX-License-Identifier: BSD-3-Clause
"""A statistical map, read once: its values, and which of its voxels are tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ImageError, warn_caller
from groupglm.inference.map_scale import MapScale, known_scale, z_of_statistic
from groupglm.inference.small_volume import inside_small_volume
from groupglm.messages import argument
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.naming import counted
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.statistic import Statistic

__all__ = ["StatMap", "read_nonzero_map", "read_stat_map"]

# That many z-values are all between 0 and 1 by chance with the probability 0.34**20 = 5e-10.
_FEWEST_TO_TELL = 20


@dataclass(frozen=True, eq=False)
class StatMap:
    """The values of a statistical map inside a mask.

    Attributes
    ----------
    name : str
        The file's name, or ``stat_img``.
    space : Space
        The places inside the mask.
    values : array of float64, shape (n_values,)
        The statistic; NaN where it has none.
    tested : array of bool, shape (n_values,)
        True where the value is not NaN: a voxel without a statistic is not a test. An infinite
        statistic is the strongest one; its effect has no residual variance.
    dtype : numpy.dtype
        Type of the values in the file, and of images made from them.
    everywhere : Space
        All places of the map, inside the mask or not.
    inside : array of bool, shape (everywhere.n_values,)
        Which of them are inside the mask.
    scale : MapScale or None
        The kind of the values; None if neither sidecar, header nor name says it.
    """

    name: str
    space: Space
    values: NDArray[np.float64]
    tested: NDArray[np.bool_]
    dtype: np.dtype[Any]
    everywhere: Space
    inside: NDArray[np.bool_]
    scale: MapScale | None = None

    @cached_property
    def tests(self) -> NDArray[np.float64]:
        """The values that are tests, shape (n_tested,)."""
        return self.values if self.tested.all() else self.values[self.tested]

    @property
    def n_tested(self) -> int:
        """Number of voxels that are tested."""
        return len(self.tests)

    @cached_property
    def largest(self) -> float:
        """The largest absolute value."""
        return float(max(self.tests.max(), -self.tests.min()))

    @cached_property
    def n_distinct(self) -> int:
        """Number of distinct values."""
        return len(np.unique(self.tests))

    @cached_property
    def looks_like_p(self) -> bool:
        """Whether all values lie between 0 and 1, and are too many for z-values.

        False if a sidecar, a header or a name says what the map holds: then nothing is guessed.
        """
        tests = self.tests
        return (
            self.scale is None
            and len(tests) >= _FEWEST_TO_TELL
            and bool(tests.min() >= 0 and 0 < tests.max() <= 1)
        )

    def as_z(self) -> StatMap:
        """Return the map of z-scores; a map of unknown kind is taken for one."""
        if self.scale is None:
            return self
        values, statistic = z_of_statistic(self.name, self.values, self.scale, self.space)
        if values is self.values:
            return self
        return replace(self, values=values, scale=replace(self.scale, statistic=statistic))

    def refuse_p(self) -> None:
        """Refuse a map of p-values, because its large values are the uninteresting ones."""
        if self.scale is not None and self.scale.statistic.kind in ("p", "Qp"):
            raise ImageError(
                f"{self.name}: this is {self.scale.words}: what is beyond a threshold would be "
                "what is not significant; give the map of z-scores, or of -log10 of p"
            )

    def has_two_tails(self, *, two_sided: bool) -> bool:
        """Return whether both tails are tested; never where a kind of map has only one."""
        both = check_truth("two_sided", two_sided)
        statistic = None if self.scale is None else self.scale.statistic
        if both and statistic is not None and statistic.of_f:
            warn_caller(
                f"{self.name}: "
                + argument("two_sided", True)
                + " has no effect on the z-scores of an F test, which have one tail: a large "
                "negative one is an F near zero, no evidence of an effect; "
                "give " + argument("two_sided", False)
            )
        # Of a map that is never negative, the other tail is empty, which is no news.
        return both and not (statistic is not None and statistic.has_one_tail)

    def image(
        self, row: NDArray[np.float64], descrip: str, statistic: Statistic | None = None
    ) -> Any:
        """Make an image of a row; NaN where nothing was tested, zero outside the mask."""
        if not self.tested.all():
            row = np.where(self.tested, row, np.nan)
        if statistic is None and self.scale is not None:
            statistic = self.scale.statistic
        return self.space.to_image(row, descrip, dtype=self.dtype, statistic=statistic)


def read_stat_map(
    stat_img: Any,
    mask_img: Any = None,
    *,
    geometry: Geometry = NO_GEOMETRY,
    whole_grid: bool = False,
    described: bool = False,
    small_volume: Any = None,
    onto: Callable[[Source], Space] | None = None,
    inside: NDArray[np.bool_] | None = None,
) -> StatMap:
    """Read a statistical map, where it is inside the mask and the small volume.

    Of several maps, `onto` checks the opened map before its values are read, and returns the places
    of the first; `inside` says which of these are in the mask, in the place of `mask_img`.
    """
    kind = kind_of(stat_img)
    source, everywhere = kind.open_map(stat_img, "stat_img", geometry)
    everywhere = everywhere if onto is None else onto(source)
    scale = known_scale(stat_img, described=described)
    if inside is None:  # refuses a wrong mask before the map is read
        inside = kind.inside_mask(everywhere, mask_img)
    whole = np.empty(everywhere.n_values)
    everywhere.read_stored(source, whole)
    missing = np.isnan(whole)
    if missing.all():
        raise ImageError(
            f"{source.name}: all {whole.size} values are NaN, so there is nothing to test; check "
            "how the map was made"
        )
    if inside is None and not whole[~missing].any():
        # What thresholding leaves where nothing survives: no background is to be told apart.
        inside = ~missing
    elif inside is None:
        _refuse_constant(source.name, whole[~missing], everywhere)
        inside = kind.differs_from_background(everywhere, whole)
    if small_volume is not None:
        inside = inside_small_volume(small_volume, everywhere, inside, stat_img, source.name)
    n_lost = int((inside & missing).sum())
    if whole_grid:
        inside = np.ones_like(inside)
    space = everywhere if inside.all() else everywhere.restrict(inside)
    values = whole[inside]
    tested = ~np.isnan(values)
    _report_untested(source.name, n_lost, tested, space)
    return StatMap(source.name, space, values, tested, source.dtype, everywhere, inside, scale)


def read_nonzero_map(image: Any, name: str) -> StatMap:
    """Read a statistical map where it is neither zero nor NaN, as pictures show it.

    A map of zeros, in which nothing survives, is read where it is zero, with a warning.
    """
    source, everywhere = kind_of(image).open_map(image, name)
    scale = known_scale(image)
    whole = np.empty(everywhere.n_values)
    everywhere.read_stored(source, whole)
    present = ~np.isnan(whole)
    if not present.any():
        raise ArgumentError(
            name, "no value but NaN", remedy="give the z scores of a map", verb="holds"
        )
    shown = present & (whole != 0)
    if not shown.any():
        warn_caller(f"{source.name}: nothing survives: every value is zero; the picture is empty")
        shown = present
    tested = np.ones(np.count_nonzero(shown), bool)
    space = everywhere.restrict(shown)
    return StatMap(source.name, space, whole[shown], tested, source.dtype, everywhere, shown, scale)


def _refuse_constant(name: str, values: NDArray[np.float64], space: Space) -> None:
    if values.min() == values.max():
        one, _ = space.place_words
        raise ImageError(
            f"{name}: the map is {values[0]:g} at every {one}, so there is nothing to test; "
            "check how it was made"
        )


def _report_untested(name: str, n_lost: int, tested: NDArray[np.bool_], space: Space) -> None:
    one, many = space.place_words
    if not tested.any():
        raise ImageError(
            f"{name}: all {tested.size} values inside the mask are NaN, so there is nothing to "
            "test; check that the mask belongs to the map"
        )
    if n_lost:
        warn_caller(
            f"{name}: Non-finite values detected: {counted(n_lost, one, many)} inside the mask "
            f"{'is' if n_lost == 1 else 'are'} NaN, and so not tested: such {many} do not count "
            "among the tests, belong to no cluster, and are NaN in images made from the map; leave "
            "them out of the mask to be rid of this warning"
        )
