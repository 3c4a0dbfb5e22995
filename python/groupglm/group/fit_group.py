# SPDX-License-Identifier: BSD-3-Clause
"""Fit one group of images: find the mask, read, decide what missing values mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import joblib
import numpy as np

from groupglm.engine.occupied import Occupied
from groupglm.engine.reduce import (
    RangesToo,
    accumulate,
    accumulate_occupied,
    union,
    value_range,
)
from groupglm.engine.row_cache import CachedSpace, RowFolder
from groupglm.engine.row_store import RowStore
from groupglm.engine.rows import BATCH_BYTES, row_dtype
from groupglm.errors import ZeroValuesWarning, warn_caller
from groupglm.group.fitted_group import FittedGroup, Missing
from groupglm.messages import argument, either
from groupglm.models.ols import OLS
from groupglm.runtime.budget import batch_bytes_within, fit_bytes, refuse_missing_beyond
from groupglm.runtime.workers import is_remote
from groupglm.spaces.zeros import ZeroTally

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Accumulator, Fit, Plan
    from groupglm.runtime.progress import Progress
    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.kinds import Masking

    # A mean of images, and how many have each place.
    Mean: TypeAlias = tuple[NDArray[np.float64], NDArray[Any]]

__all__ = ["FitOptions", "fit_group"]

_ROUNDED_TO_ZERO = 0.01
"""Share of the voxels that may be zero in some image because values are scaled integers.

With 16 bits, one measured value in some ten thousand falls on zero; over a hundred images that is
one voxel in a hundred.
"""


@dataclass(frozen=True, eq=False)
class FitOptions:
    """How a group is fitted.

    Parameters
    ----------
    masking : Masking
        The mask, the grid and the smoothing.
    missing : {"omit", "zero", "raise", "intersect"}
        What to do about missing values.
    n_threads : int
        Number of threads.
    memory : joblib.Memory
        Keeps masked rows, if it has a location.
    progress : Progress
        Tells the user.
    memory_budget : int
        Bytes that reading may take.
    keep_rows : bool, default=False
        Whether the fit keeps the images' rows, for what needs them again; not on a cluster.
    """

    masking: Masking
    missing: Missing
    n_threads: int
    memory: joblib.Memory
    progress: Progress
    memory_budget: int
    keep_rows: bool = False

    @property
    def fill(self) -> float | None:
        """What takes the place of missing values."""
        return 0.0 if self.missing == "zero" else None


def fit_group(sources: Sequence[Source], plan: Plan, options: FitOptions) -> FittedGroup:
    """Read every image and fit the model at every voxel.

    Each image is read from its file once. Where its values are needed more than once (for the mask
    before images are smoothed, for the range of those that are resampled), they are kept meanwhile:
    in memory within the budget, else in a scratch file. A worker of a cluster keeps them only as
    long as its task: images are read once before their rows are, for the mask and the range alike.
    """
    masking, given = options.masking, tuple(sources)
    n_inside = max(1, options.n_threads // len(sources))
    everywhere = masking.everywhere(sources, clip=None, fill=options.fill, n_threads=n_inside)
    space = masking.inside(everywhere)
    finds_mask_first = space is None and (
        everywhere.mixes_places or options.memory.location is not None
    )
    options.progress.stage(f"Reading {len(sources)} images of {sources[0].extent}.")
    if (finds_mask_first or masking.resamples) and not is_remote():
        sources, options = _read_once(sources, everywhere, plan, options)
    mean = None
    if masking.resamples:
        # As nilearn, which resamples all images as one: a spline may not leave their common range.
        if space is None and is_remote():
            clip, mean = _range_and_mean_once(sources, options)
        else:
            clip = _range_once(sources, options)
        everywhere = masking.everywhere(sources, clip=clip, fill=options.fill, n_threads=n_inside)
        space = None if space is None else space.onto(everywhere)
    if space is not None:
        fit, _ = _read(sources, space, plan, options)
    elif finds_mask_first:
        # The mask comes first: it is that of the images as they are, and rows are kept inside it.
        mean = mean or _mean_once(sources, options)
        stored = masking.as_stored(sources)
        found = stored.restrict(_background(stored, *mean, len(sources), plan.rank))
        fit, _ = _read(sources, found.onto(everywhere), plan, options)
    else:
        fit = _read_and_find_mask(sources, everywhere, plan, options)
    options.progress.stage(f"The mask has {fit.space.n_values} {fit.space.place_words[1]}.")
    if fit.seen.n_missing and options.missing in ("raise", "intersect"):
        fit = _complete_places(fit, plan, options)
    result = plan.finish(fit.seen, options.n_threads)
    group = FittedGroup(fit.space, result, given, options.missing, fit.n_zeros, fit.kept)
    _report_zeros(group, all_whole=fit.all_whole)
    return group


def _read_once(
    sources: Sequence[Source], everywhere: Space, plan: Plan, options: FitOptions
) -> tuple[Sequence[Source], FitOptions]:
    """Return sources that keep what is read of them, and the options with what that leaves.

    The values take at most half of what the fit leaves of the budget: voxels that lack values may
    need the other half.
    """
    room = _room(sources, (everywhere, options.masking.as_stored(sources)), plan, options)
    kept, n_bytes = options.masking.read_once(sources, room)
    return kept, replace(options, memory_budget=options.memory_budget - n_bytes)


def _room(
    sources: Sequence[Source], spaces: Sequence[Space], plan: Plan, options: FitOptions
) -> float:
    """Return how many bytes kept values may take beside rows of the first space."""
    space = max(spaces, key=lambda each: each.n_values)
    needed = fit_bytes(
        space.n_values,
        _batch_bytes(sources, space, plan, options),
        options.n_threads,
        spaces[0].bytes_to_read(sources[0]),
        model_bytes=plan.bytes(space.n_values),
    )
    return max(0, options.memory_budget - needed) // 2


@dataclass(frozen=True, eq=False)
class _Read:
    """What reading the images gives: what the model keeps, and the number of zeros, by place."""

    space: Space
    seen: Accumulator
    n_zeros: NDArray[np.int32]
    all_whole: bool
    kept: RowStore | None

    def restrict(self, keep: NDArray[Any]) -> _Read:
        """Return what was read at some of the places."""
        return self.at(self.space.restrict(keep), np.flatnonzero(keep))

    def spread(self, places: NDArray[np.int64], n_values: int, n_images: int) -> _Read:
        """Return this with more places, at which all images are zero."""
        n_zeros = np.full(n_values, n_images, dtype=np.int32)
        n_zeros[places] = self.n_zeros
        if self.kept is not None:
            self.kept.spread(places, n_values, self.kept.n_inputs)
        own: Any = self.seen
        return replace(self, seen=own.spread(places, n_values), n_zeros=n_zeros)

    def at(self, space: Space, places: NDArray[np.int64]) -> _Read:
        """Return what was read at the places of a smaller space, which lie at `places` of a row."""
        if self.kept is not None:
            self.kept.select(places)
        return _Read(
            space, self.seen.select(places), self.n_zeros[places], self.all_whole, self.kept
        )


def _report_zeros(group: FittedGroup, *, all_whole: bool) -> None:
    """Warn of voxels that are zero in some images only, unless such zeros may be meant."""
    if all_whole or group.missing == "zero" or group.zero_is_missing:
        return
    zeros = group.zeros
    quantised = any(source.is_quantised for source in group.sources)
    if zeros.n_partial > (_ROUNDED_TO_ZERO * zeros.n_voxels if quantised else 0):
        warn_caller(
            f"{zeros.sentence()}: zeros outside a subject's brain count as values there. Give "
            + argument("zero_is_missing", True)
            + " to leave them out, or a mask that all images cover"
            + either("; n_zeros_ is the map of how many images are zero", "")
            + ". If zeros are meant, give "
            + argument("missing", "zero")
            + either(", or ignore groupglm.errors.ZeroValuesWarning", ""),
            ZeroValuesWarning,
        )


def _read_and_find_mask(
    sources: Sequence[Source], everywhere: Space, plan: Plan, options: FitOptions
) -> _Read:
    """Read every image where some image is not zero; then find the mask in their mean."""
    fit, occupied = _read(sources, everywhere, plan, options, finds_mask=True)
    n_images = len(plan.X)
    mean, n_observations = _mean_of(plan.finish(fit.seen, options.n_threads))
    whole = occupied.spread(mean), occupied.spread(n_observations, n_images)
    keep = _background(everywhere, *whole, n_images, plan.rank)
    wanted = occupied.with_values(keep.view(np.int8))
    if wanted.n_places > occupied.n_places:
        # The background is another value than zero.
        fit = fit.spread(occupied.within(wanted), wanted.n_places, n_images)
    return fit.at(everywhere.restrict(keep), np.flatnonzero(keep[wanted.mask]))


def _read(
    sources: Sequence[Source],
    space: Space,
    plan: Plan,
    options: FitOptions,
    *,
    finds_mask: bool = False,
) -> tuple[_Read, Occupied]:
    """Read every image, or take its row from the cache, and fill the accumulator.

    Returns what was read, and where: to find the mask, at the places where some image is not zero.
    """
    cached = options.memory.location is not None
    tally = ZeroTally(0 if finds_mask else space.n_values)
    batch_bytes = _batch_bytes(sources, space, plan, options)

    def needed(n_missing: int) -> int:
        return fit_bytes(
            space.n_values,
            batch_bytes,
            options.n_threads,
            space.bytes_to_read(sources[0]),
            model_bytes=plan.bytes(space.n_values, n_missing),
        )

    kept, kept_bytes = None, 0
    if options.keep_rows and not is_remote():
        room = max(0, options.memory_budget - needed(0)) // 2
        kept = RowStore(len(sources), space.n_values, row_dtype(sources), memory_budget=room)
        kept_bytes = kept.bytes_in_memory

    _, places = space.place_words

    def check_missing(n_missing: int) -> None:
        bytes_now = needed(n_missing) + kept_bytes
        refuse_missing_beyond(options.memory_budget, n_missing, places, needed=bytes_now)

    with options.progress.bar(len(sources), "images") as advance:
        how: dict[str, Any] = {
            "n_threads": options.n_threads,
            "fill": options.fill,
            "advance": advance,
            "batch_bytes": batch_bytes,
            "tally": tally,
            "check_missing": check_missing,
            "keep": kept,
        }
        if finds_mask:
            seen, occupied = accumulate_occupied(sources, space, plan, **how)
        else:
            read = CachedSpace(space, options.memory) if cached else space
            seen, occupied = (
                accumulate(sources, read, plan, **how),
                Occupied.everywhere(space.n_values),
            )
    return _Read(space, seen, tally.counts, tally.all_whole, kept), occupied


def _batch_bytes(
    sources: Sequence[Source],
    space: Space,
    plan: Plan,
    options: FitOptions,
) -> int:
    """Return how large a batch of rows may be; refuse a budget that has no room for one row."""
    return batch_bytes_within(
        options.memory_budget,
        BATCH_BYTES,
        n_values=space.n_values,
        places=space.place_words[1],
        n_columns=plan.X.shape[1],
        row_bytes=row_dtype(sources).itemsize * space.n_values * plan.model.rows_per_image,
        n_threads=options.n_threads,
        image_bytes=space.bytes_to_read(sources[0]),
        model_bytes=plan.bytes(space.n_values),
    )


def _mean_once(sources: Sequence[Source], options: FitOptions) -> Mean:
    """Return the mean of the images as they are, from the cache if it is there."""
    rows = _mean_rows(sources, options)
    _fill_once(rows, sources, options, lambda: _mean_image(sources, options))
    mean, n_observations = rows.values()
    return mean, n_observations


def _range_and_mean_once(
    sources: Sequence[Source], options: FitOptions
) -> tuple[tuple[float, float], Mean]:
    """Return the range and the mean, for which workers read the images once."""
    both, rows = np.empty(2), _mean_rows(sources, options)

    def compute() -> list[ArrayLike]:
        stored = options.masking.as_stored(sources)
        found: list[tuple[float, float]] = []
        room = _room(sources, (stored,), _mean_plan(sources), options)
        ranges = RangesToo(partial(_kept, options.masking, room), found)
        mean = _mean_image(sources, options, ranges)
        return [union(found), *mean]

    _fill_once({("range",): both, **rows}, sources, options, compute)
    lowest, highest = both.tolist()
    mean, n_observations = rows.values()
    return (lowest, highest), (mean, n_observations)


def _kept(masking: Masking, room: float, chunk: Sequence[Any]) -> Sequence[Any]:
    """Make of a chunk's images, on a worker, such as keep what is read of them."""
    return masking.read_once(chunk, room)[0]


def _mean_rows(
    sources: Sequence[Source], options: FitOptions
) -> dict[tuple[Hashable, ...], NDArray[np.float64]]:
    """Return room for the mean and the numbers of observations, by their names in the cache."""
    n_values = options.masking.as_stored(sources).n_values
    about = (options.missing, options.masking.zero_is_missing)
    names = (("mean", *about), ("n_observations", *about))
    return {name: np.empty(n_values) for name in names}


def _range_once(sources: Sequence[Source], options: FitOptions) -> tuple[float, float]:
    """Return the range of all images' finite values and zero, from the cache if it is there."""
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
    """Fill rows about all images, known by their names, from the cache or else by computing."""
    folder, fingerprints = None, ""
    if options.memory.location is not None:
        found = [source.fingerprint() for source in sources]
        fingerprints = str(joblib.hash(found))
        folder = None if None in found else RowFolder(options.memory)
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
    """Return the mean of the images over the whole grid, and how many have each voxel."""
    space, constant = options.masking.as_stored(sources), _mean_plan(sources)
    seen, occupied = accumulate_occupied(
        sources,
        space,
        constant,
        n_threads=options.n_threads,
        fill=options.fill,
        batch_bytes=_batch_bytes(sources, space, constant, options),
        ranges=ranges,
    )
    mean, n_observations = _mean_of(constant.finish(seen, options.n_threads))
    return occupied.spread(mean), occupied.spread(n_observations, len(sources))


def _mean_of(fit: Fit) -> Mean:
    mean = fit.mean
    return mean, np.broadcast_to(fit.n_observations, mean.shape)


def _background(
    space: Space,
    mean: NDArray[np.float64],
    n_observations: NDArray[Any],
    n_images: int,
    rank: int,
) -> NDArray[np.bool_]:
    """Find the places that are not background, and leave a residual degree of freedom."""
    return space.background(mean, n_observations, n_images=n_images, min_observations=rank + 1)


def _complete_places(fit: _Read, plan: Plan, options: FitOptions) -> _Read:
    """Refuse, or leave out, the places that some image lacks."""
    complete = np.broadcast_to(
        plan.finish(fit.seen, options.n_threads).n_observations == len(plan.X), fit.space.n_values
    )
    one, many = fit.space.place_words
    if options.missing == "raise" and not complete.all():
        zeros = " other than zero" if options.masking.zero_is_missing else ""
        raise ValueError(
            argument("missing", "raise")
            + f", and {np.count_nonzero(~complete)} of {fit.space.n_values} {many} lack a value"
            + f"{zeros} in some image; give "
            + argument("missing", "omit")
            + f" to leave the values out {one} by {one}, or "
            + argument("missing", "intersect")
            + f" to leave the {many} out"
        )
    if not complete.any():
        raise ValueError(
            argument("missing", "intersect")
            + f" leaves no {one}: none has a value in every image; give "
            + argument("missing", "omit")
            + ", or leave out images that cover little"
        )
    return fit.restrict(complete)
