# SPDX-License-Identifier: BSD-3-Clause
"""Facts about all images that a fit needs before it reads rows: their mean, range and mask."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import joblib
import numpy as np

from groupglm.engine.reading import RangesToo, Reading
from groupglm.engine.reduce import accumulate_occupied, union, value_range
from groupglm.errors import warn_caller
from groupglm.group.fit_options import FitOptions, batch_bytes, room_for_values
from groupglm.models.ols import OLS
from groupglm.spaces.zeros import ZeroTally

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Accumulator, Plan
    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.kinds import Masking

    # A mean of images, and the number of images that have each place.
    Mean: TypeAlias = tuple[NDArray[np.float64], NDArray[Any]]

__all__ = [
    "background",
    "holds_negative",
    "lost_places",
    "mean_once",
    "range_and_mean_once",
    "range_once",
    "report_left_out",
    "zero_only_outside",
]


def mean_once(sources: Sequence[Source], options: FitOptions) -> Mean:
    """Return the mean of the images as they are; from the cache if it is there."""
    rows = _mean_rows(sources, options)
    _fill_once(rows, sources, options, lambda: _mean_image(sources, options))
    mean, n_observations = rows.values()
    return mean, n_observations


def range_and_mean_once(
    sources: Sequence[Source], options: FitOptions
) -> tuple[tuple[float, float], Mean]:
    """Return the range and the mean; workers read each image once for both."""
    both, rows = np.empty(2), _mean_rows(sources, options)

    def compute() -> list[ArrayLike]:
        stored = options.masking.as_stored(sources)
        found: list[tuple[float, float]] = []
        room = room_for_values(sources, (stored,), _mean_plan(sources), options)
        ranges = RangesToo(partial(_kept, options.masking, room), found)
        mean = _mean_image(sources, options, ranges)
        return [union(found), *mean]

    _fill_once({("range",): both, **rows}, sources, options, compute)
    lowest, highest = both.tolist()
    mean, n_observations = rows.values()
    return (lowest, highest), (mean, n_observations)


def _kept(masking: Masking, room: float, chunk: Sequence[Any]) -> Sequence[Any]:
    """On a worker, replace a chunk's images by images that keep their values in memory."""
    return masking.read_once(chunk, room)[0]


def _mean_rows(
    sources: Sequence[Source], options: FitOptions
) -> dict[tuple[Hashable, ...], NDArray[np.float64]]:
    """Return empty rows for the mean and the numbers of observations, by their cache names."""
    n_values = options.masking.as_stored(sources).n_values
    about = (options.missing, options.masking.zero_is_missing)
    names = (("mean", *about), ("n_observations", *about))
    return {name: np.empty(n_values) for name in names}


def range_once(sources: Sequence[Source], options: FitOptions) -> tuple[float, float]:
    """Return the range of all finite values and zero; from the cache if it is there."""
    both = np.empty(2)
    _fill_once(
        {("range",): both}, sources, options, lambda: [value_range(sources, options.n_threads)]
    )
    lowest, highest = both.tolist()
    return lowest, highest


def _fill_once(
    rows: Mapping[tuple[Hashable, ...], NDArray[np.float64]],
    sources: Sequence[Source],
    options: FitOptions,
    compute: Callable[[], Sequence[ArrayLike]],
) -> None:
    """Fill named rows about all images: from the cache, or else by computing them."""
    folder, fingerprints = None, ""
    if options.cache is not None:
        found = [source.fingerprint() for source in sources]
        fingerprints = str(joblib.hash(found))
        folder = None if None in found else options.cache
    if folder and all(folder.read((fingerprints, *name), row)[0] for name, row in rows.items()):
        return
    for (name, row), values in zip(rows.items(), compute(), strict=True):
        row[:] = values
        if folder:
            folder.write((fingerprints, *name), row)


def _mean_plan(sources: Sequence[Source]) -> Plan:
    return OLS.prepare(np.ones((len(sources), 1)), ("constant",))


def _mean_image(
    sources: Sequence[Source], options: FitOptions, ranges: RangesToo | None = None
) -> Mean:
    """Return the mean over the whole grid, and the number of images that have each voxel."""
    space, constant = options.masking.as_stored(sources), _mean_plan(sources)
    reading = Reading(
        n_threads=options.n_threads,
        fill=options.fill,
        batch_bytes=batch_bytes(sources, space, constant, options),
        ranges=ranges,
        tally=ZeroTally(0) if space.only_zeros_are_outside else None,
    )
    seen, occupied = accumulate_occupied(sources, space, constant, reading)
    mean, n_observations = constant.mean(seen, options.n_threads)
    if reading.tally is not None:
        mean = zero_only_outside(mean, n_observations, reading.tally.counts, space)
    return occupied.spread(mean), occupied.spread(n_observations, len(sources))


def zero_only_outside(
    mean: NDArray[np.float64],
    n_observations: NDArray[Any],
    n_zeros: NDArray[Any],
    space: Space,
) -> NDArray[np.float64]:
    """Return a mean that is zero only where all values are zero, if such places are outside.

    Values may have a mean of exactly zero by chance, which is no sign of a place outside.

    Shapes: all (n_values,).
    """
    if not space.only_zeros_are_outside:
        return mean
    n_zero_values = 0 if space.zero_is_missing else n_zeros
    return np.where((mean == 0) & (n_zero_values < n_observations), np.inf, mean)


def holds_negative(accumulator: Accumulator) -> bool:
    """Return whether variances or weights are negative beside a value: no fit may go on."""
    return isinstance(accumulator, _CountsKinds) and bool(
        accumulator.counts_of_kinds()["negative"].any()
    )


@runtime_checkable
class _CountsKinds(Protocol):
    """An accumulator that counts values which no fit can use, as `Weighs.counts` does."""

    def counts_of_kinds(self) -> dict[str, NDArray[np.int64]]: ...


def lost_places(
    accumulator: Accumulator, n_observations: NDArray[Any], rank: int, *, weighs: bool = False
) -> NDArray[np.bool_]:
    """Return where negative variances or weights leave too few images, and so no part of a mask.

    If no place has enough images, those are returned where variances that are 0 or NaN leave too
    few, or all if images have weights (`weighs`), which may be 0. A fit of these places alone is
    refused for what is wrong with them, image by image.
    """
    few: NDArray[np.bool_] = n_observations <= rank
    if not isinstance(accumulator, _CountsKinds):
        return np.zeros_like(few)
    counts = accumulator.counts_of_kinds()
    lost = few & (counts["negative"] > 0)
    if lost.any() or not few.all():
        return lost
    return few if weighs else few & (counts["unusable"] > 0)


def report_left_out(
    accumulator: Accumulator, left_out: NDArray[np.bool_], role: str, words: tuple[str, str]
) -> None:
    """Warn of places that a mask leaves out because variances or weights cannot be used there."""
    if not isinstance(accumulator, _CountsKinds):
        return
    n_places = np.count_nonzero(left_out & (accumulator.counts_of_kinds()["unusable"] > 0))
    if n_places:
        what = "NaN or 0" if role == "variance" else "NaN"
        of = words[0] if n_places == 1 else words[1]
        warn_caller(
            f"at {n_places:,} {of}, {role}s are {what} beside a value in so many images that too "
            f"few are left: the mask leaves {'this' if n_places == 1 else 'these'} {of} out"
        )


def background(
    masking: Masking,
    space: Space,
    mean: NDArray[np.float64],
    n_observations: NDArray[Any],
    n_images: int,
    rank: int,
) -> NDArray[np.bool_]:
    """Find the places that are not background, and leave a residual degree of freedom."""
    return masking.find(space, mean, n_observations, n_images=n_images, min_observations=rank + 1)
