# SPDX-License-Identifier: BSD-3-Clause
"""Fit one group of images: find the mask, read, decide what missing values mean."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.engine.occupied import Occupied
from groupglm.engine.reading import Reading
from groupglm.engine.reduce import accumulate, accumulate_occupied, reading_order
from groupglm.engine.row_cache import CachedSpace
from groupglm.engine.row_store import RowStore
from groupglm.engine.rows import row_dtype
from groupglm.errors import ArgumentError, ZeroValuesWarning, warn_caller
from groupglm.group.first_pass import (
    background,
    holds_negative,
    lost_places,
    mean_once,
    range_and_mean_once,
    range_once,
    report_left_out,
    zero_only_outside,
)
from groupglm.group.fit_options import FitOptions, batch_bytes, room_for_values
from groupglm.group.fitted_group import FittedGroup
from groupglm.group.variance_sample import VarianceSample
from groupglm.messages import argument, either
from groupglm.runtime.budget import fit_bytes, refuse_missing
from groupglm.runtime.workers import is_remote, on_this_machine
from groupglm.spaces.zeros import ZeroTally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.base import Accumulator, Plan
    from groupglm.spaces.base import Source, Space

__all__ = ["fit_group"]

_MOST_KEPT = 512 * 2**20
"""Bytes of memory that the rows of a model may take that needs them all; more are in a file."""

_ROUNDED_TO_ZERO = 0.01
"""Share of the voxels that may be zero in some image because the values are scaled integers.

With 16 bits, one measured value in some ten thousand is rounded to zero; over a hundred images that
is one voxel in a hundred.
"""


def fit_group(sources: Sequence[Source], plan: Plan, options: FitOptions) -> FittedGroup:
    """Read every image and fit the model at every voxel.

    What is beside an image follows it in `sources`. A model that needs all rows at once has them
    read on this machine, whatever joblib's backend.

    Each image is read from its file once. Where its values are needed more than once (for the mask
    before images are smoothed, for the range of those that are resampled), they are kept meanwhile:
    in memory within the budget, else in a scratch file. A worker of a cluster keeps them only as
    long as its task: images are read once before their rows are, for the mask and the range alike.
    """
    with on_this_machine() if plan.model.keeps_rows else nullcontext():
        return _fit_group(sources, plan, options)


def _fit_group(sources: Sequence[Source], plan: Plan, options: FitOptions) -> FittedGroup:
    masking, given = options.masking, tuple(sources)
    file_states = tuple(source.file_state() for source in given)
    n_inside = max(1, options.n_threads // len(sources))
    everywhere = masking.everywhere(sources, clip=None, fill=options.fill, n_threads=n_inside)
    space = masking.inside(everywhere)
    if options.check_space is not None:
        options.check_space(everywhere if space is None else space)
    finds_mask_first = space is None and (
        everywhere.mixes_places or options.memory.location is not None
    )
    options.progress.stage(f"Reading {len(plan.X)} images of {sources[0].extent}.")
    if (finds_mask_first or masking.resamples) and not is_remote():
        sources, options = _read_once(sources, everywhere, plan, options)
    images = sources[:: plan.model.rows_per_image]  # without what belongs to them
    mean = None
    if masking.resamples:
        # As nilearn, which resamples all images as one: a spline may not leave their common range.
        if space is None and is_remote():
            clip, mean = range_and_mean_once(images, options)
        else:
            clip = range_once(images, options)
        everywhere = masking.everywhere(sources, clip=clip, fill=options.fill, n_threads=n_inside)
        space = None if space is None else space.onto(everywhere)
    if space is not None:
        fit, _ = _read(sources, space, plan, options)
    elif finds_mask_first:
        # The mask comes first: it is that of the images as they are, and rows are kept inside it.
        mean = mean or mean_once(images, options)
        stored = masking.as_stored(images)
        found = stored.restrict(background(masking, stored, *mean, len(images), plan.rank))
        fit, _ = _read(sources, found.onto(everywhere), plan, options)
        fit = _places_of_enough_images(fit, plan, options)
    else:
        fit = _read_and_find_mask(sources, everywhere, plan, options)
    options.progress.stage(f"The mask has {fit.space.n_values} {fit.space.place_words[1]}.")
    refuses = options.missing in ("raise", "intersect") and not holds_negative(fit.seen)
    if fit.seen.n_missing and refuses:
        fit = _complete_places(fit, plan, options)
    result = plan.finish(fit.seen, options.n_threads, fit.kept)
    kept = fit.kept if options.keep_rows else None
    group = FittedGroup(fit.space, result, given, options.missing, fit.n_zeros, kept, file_states)
    _report_zeros(group, all_whole=fit.all_whole)
    return group


def _read_once(
    sources: Sequence[Source], everywhere: Space, plan: Plan, options: FitOptions
) -> tuple[Sequence[Source], FitOptions]:
    """Return sources that keep what is read of them, and the options with what that leaves.

    The values take at most half of what the fit leaves of the budget: voxels that lack values may
    need the other half.
    """
    room = room_for_values(sources, (everywhere, options.masking.as_stored(sources)), plan, options)
    kept, n_bytes = options.masking.read_once(sources, room)
    return kept, replace(options, memory_budget=options.memory_budget - n_bytes)


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


def _places_of_enough_images(fit: _Read, plan: Plan, options: FitOptions) -> _Read:
    """Leave out the places of a mask that was found in the images, where too few have all rows."""
    if not plan.model.beside:
        return fit
    n_observations = plan.mean(fit.seen, options.n_threads)[1]
    lost = lost_places(fit.seen, n_observations, plan.rank)
    if lost.any():
        return fit.restrict(lost)
    enough = n_observations > plan.rank
    if enough.all() or not enough.any():
        return fit
    report_left_out(fit.seen, ~enough, plan.model.beside[0], fit.space.place_words)
    return fit.restrict(enough)


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
    mean, n_observations = plan.mean(fit.seen, options.n_threads)
    weighs = plan.model.beside[:1] == ("weight",)
    lost = lost_places(fit.seen, n_observations, plan.rank, weighs=weighs)
    lost &= fit.n_zeros < n_images
    if lost.any():
        keep = occupied.spread(lost)
        return fit.at(everywhere.restrict(keep), np.flatnonzero(lost))
    if plan.model.beside:
        few = (n_observations <= plan.rank) & (fit.n_zeros < n_images)
        report_left_out(fit.seen, few, plan.model.beside[0], everywhere.place_words)
        # What is zero in the images is background also where nobody has a weight.
        mean = np.where((n_observations == 0) & (fit.n_zeros > 0), 0.0, mean)
    mean = zero_only_outside(mean, n_observations, fit.n_zeros, everywhere)
    n_elsewhere = 0 if plan.model.beside[:1] in (("variance",), ("weight",)) else n_images
    whole = occupied.spread(mean), occupied.spread(n_observations, n_elsewhere)
    keep = background(options.masking, everywhere, *whole, n_images, plan.rank)
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
    tally = ZeroTally(0 if finds_mask else space.n_values)
    bytes_of_batch = batch_bytes(sources, space, plan, options)

    def needed(n_missing: int, batch: int = bytes_of_batch) -> int:
        return fit_bytes(
            space.n_values,
            batch,
            options.n_threads,
            space.bytes_to_read(sources[0]),
            model_bytes=plan.bytes(space.n_values, n_missing),
        )

    kept = None
    if (options.keep_rows or plan.model.keeps_rows) and not is_remote():
        room = max(0, options.memory_budget - needed(0)) // 2
        if plan.model.keeps_rows:
            room = min(room, _MOST_KEPT)
        kept = RowStore(
            len(sources),
            space.n_values,
            row_dtype(sources),
            memory_budget=room,
            order=reading_order(plan),
        )

    _, places = space.place_words

    def check_missing(n_missing: int) -> None:
        kept_bytes = 0 if kept is None else kept.bytes_in_memory
        if needed(n_missing) + kept_bytes <= options.memory_budget:
            return
        # With a larger budget batches are larger, and more rows are kept.
        largest = batch_bytes(sources, space, plan, replace(options, memory_budget=sys.maxsize))
        enough = needed(n_missing, largest)
        if kept is not None:
            enough += enough - needed(0, largest)
        refuse_missing(options.memory_budget, n_missing, places, enough=enough)

    with options.progress.bar(len(sources), "images") as advance:
        sample = VarianceSample() if plan.model.beside == ("variance",) else None
        reading = Reading(
            n_threads=options.n_threads,
            fill=options.fill,
            advance=advance,
            batch_bytes=bytes_of_batch,
            tally=tally,
            check_missing=check_missing,
            keep=kept,
            look=None if sample is None else sample.look,
        )
        if finds_mask:
            seen, occupied = accumulate_occupied(sources, space, plan, reading)
        else:
            reader = CachedSpace(space, options.cache) if options.cache is not None else space
            seen = accumulate(sources, reader, plan, reading)
            occupied = Occupied.everywhere(space.n_values)
    if sample is not None:
        sample.warn()
    return _Read(space, seen, tally.counts, tally.all_whole, kept), occupied


def _complete_places(fit: _Read, plan: Plan, options: FitOptions) -> _Read:
    """Refuse, or leave out, the places that some image lacks."""
    complete = np.broadcast_to(
        plan.mean(fit.seen, options.n_threads)[1] == len(plan.X), fit.space.n_values
    )
    one, many = fit.space.place_words
    if options.missing == "raise" and not complete.all():
        zeros = " other than zero" if options.masking.zero_is_missing else ""
        raise ArgumentError.about(
            "missing",
            argument("missing", "raise")
            + f", and {np.count_nonzero(~complete)} of {fit.space.n_values} {many} lack a value"
            + f"{zeros} in some image",
            "give "
            + argument("missing", "omit")
            + f" to leave the values out {one} by {one}, or "
            + argument("missing", "intersect")
            + f" to leave the {many} out",
        )
    if not complete.any():
        raise ArgumentError.about(
            "missing",
            argument("missing", "intersect") + f" leaves no {one}: none has a value in every image",
            "give " + argument("missing", "omit") + ", or leave out images that cover little",
        )
    return fit.restrict(complete)
