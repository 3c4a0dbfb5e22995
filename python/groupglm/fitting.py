# SPDX-License-Identifier: BSD-3-Clause
"""Fit one group of images: find the mask, read once, decide what missing values mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.budget import batch_bytes_within
from groupglm.caching import CachedSpace
from groupglm.engine import BATCH_BYTES, fit_state, row_dtype, value_range
from groupglm.fitted import FittedGroup, Missing
from groupglm.results import OlsFit
from groupglm.spaces.background import background_mask
from groupglm.spaces.preparing import Preparation
from groupglm.spaces.volume import VolumeSpace

if TYPE_CHECKING:
    from collections.abc import Hashable

    import joblib
    from numpy.typing import NDArray

    from groupglm.images import Grid, VolumeSource
    from groupglm.progress import Progress
    from groupglm.spaces.masking import Masking

__all__ = ["FitOptions", "fit_group"]

_MASK_REMEDY = (
    "resample it to their grid with resample_to, or bring the images to its grid by target_affine "
    "and target_shape of the mask"
)


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
    """

    masking: Masking
    missing: Missing
    n_threads: int
    memory: joblib.Memory
    progress: Progress
    memory_budget: int

    @property
    def fill(self) -> float | None:
        """What takes the place of missing values."""
        return 0.0 if self.missing == "zero" else None


def fit_group(
    sources: Sequence[VolumeSource],
    design: _core.Design,
    X: NDArray[np.float64],
    names: tuple[str, ...],
    options: FitOptions,
) -> FittedGroup:
    """Read every image once and fit the model at every voxel.

    Parameters
    ----------
    sources : sequence of VolumeSource
        The images, in the order of the design's rows.
    design : _core.Design
        The factorised design.
    X : array, shape (n_images, n_columns)
        The design matrix.
    names : tuple of str
        Its columns.
    options : FitOptions
        How.

    Returns
    -------
    FittedGroup
        The fit at the mask's voxels.

    Raises
    ------
    groupglm.errors.ImageError
        If an image cannot be read.
    ValueError
        If the mask is empty, or values are missing and that is not allowed.
    """
    masking, fill = options.masking, options.fill
    grid = masking.grid(sources[0].grid)
    n_inside = max(1, options.n_threads // len(sources))
    # As nilearn, which resamples all images as one: a spline may not leave their common range.
    clip = value_range(sources, options.n_threads) if masking.resamples else None
    preparation = masking.preparation(grid, clip, fill, n_inside)
    options.progress.stage(f"Reading {len(sources)} images of {sources[0].grid.shape} voxels.")
    if masking.mask is not None:
        space = VolumeSpace.from_mask(masking.mask, grid, preparation, remedy=_MASK_REMEDY)
        state = _read(sources, space, design, options)
    elif preparation is not None or options.memory.location is not None:
        # The mask comes first: it is that of the images as they are, and rows are kept inside it.
        space = _find_mask_once(sources, design.rank, options).moved_to(grid, preparation)
        state = _read(sources, space, design, options)
    else:
        whole = VolumeSpace(grid)
        everywhere = _read(sources, whole, design, options)
        mean = _mean_of(everywhere, design, options.n_threads)
        keep = _background(grid, *mean, len(sources), design.rank)
        space, state = _restrict(whole, everywhere, keep)
    options.progress.stage(f"The mask has {space.n_values} voxels.")
    if state.has_missing and options.missing in ("raise", "intersect"):
        space, state = _complete_voxels(space, state, design, options)
    result = OlsFit(
        X=X, column_names=names, n_threads=options.n_threads, _state=state, _design=design
    )
    return FittedGroup(space, result, tuple(sources), options.missing)


def _read(
    sources: Sequence[VolumeSource],
    space: VolumeSpace,
    design: _core.Design,
    options: FitOptions,
) -> _core.OlsState:
    """Take up every image, from the cache where it has it."""
    cached = options.memory.location is not None
    with options.progress.bar(len(sources), "images") as advance:
        return fit_state(
            sources,
            CachedSpace(space, options.memory) if cached else space,
            design,
            n_threads=options.n_threads,
            fill=options.fill,
            advance=advance,
            batch_bytes=_batch_bytes(sources, space, design, options),
        )


def _batch_bytes(
    sources: Sequence[VolumeSource],
    space: VolumeSpace,
    design: _core.Design,
    options: FitOptions,
) -> int:
    """Return how large a batch of rows may be; refuse a budget that has no room for one row."""
    image_bytes = 8 * sources[0].grid.n_voxels
    if space.preparation is not None:
        image_bytes += 16 * (sources[0].grid.n_voxels + space.grid.n_voxels)
    return batch_bytes_within(
        options.memory_budget,
        BATCH_BYTES,
        n_values=space.n_values,
        n_columns=design.n_columns,
        row_bytes=row_dtype(sources).itemsize * space.n_values,
        n_threads=options.n_threads,
        image_bytes=image_bytes,
    )


def _find_mask_once(sources: Sequence[VolumeSource], rank: int, options: FitOptions) -> VolumeSpace:
    """Find the mask of the images as they are; their mean comes from the cache if it is there."""
    mean = mean_image
    fingerprints = [source.fingerprint() for source in sources]
    if None not in fingerprints:
        mean = options.memory.cache(mean_image, ignore=["sources", "options"])
    values, n_observations = mean((fingerprints, options.missing), sources, options)
    grid = sources[0].grid
    keep = _background(grid, values, n_observations, len(sources), rank)
    return VolumeSpace(grid).restrict(keep)


def mean_image(
    identity: Hashable, sources: Sequence[VolumeSource], options: FitOptions
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean of the images over the whole grid, and how many have each voxel.

    Parameters
    ----------
    identity : hashable
        Of the images; a cache knows by it whether it has the answer.
    sources : sequence of VolumeSource
        The images.
    options : FitOptions
        How.

    Returns
    -------
    mean, n_observations : arrays, shape (n_voxels,)
        In file order.
    """
    del identity
    constant = _core.Design(np.ones((len(sources), 1)))
    # Images on several grids are brought to the first one's.
    space = VolumeSpace(sources[0].grid, preparation=Preparation(resamples=True))
    if all(source.grid.difference(space.grid) is None for source in sources):
        space = VolumeSpace(sources[0].grid)
    state = fit_state(
        sources,
        space,
        constant,
        n_threads=options.n_threads,
        fill=options.fill,
        batch_bytes=_batch_bytes(sources, space, constant, options),
    )
    return _mean_of(state, constant, options.n_threads)


def _mean_of(
    state: _core.OlsState, design: _core.Design, n_threads: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    n_observations, _ = _core.observations_and_rank(state, design, n_threads)
    return _core.mean(state, design, n_threads), n_observations


def _background(
    grid: Grid,
    mean: NDArray[np.float64],
    n_observations: NDArray[np.int64],
    n_images: int,
    rank: int,
) -> NDArray[np.bool_]:
    """Find the voxels that are not background; a row of truth values in file order."""
    mask = background_mask(
        mean.reshape(grid.shape, order="F"),
        n_observations.reshape(grid.shape, order="F"),
        n_images=n_images,
        min_observations=rank + 1,
    )
    return mask.ravel(order="F")


def _complete_voxels(
    space: VolumeSpace, state: _core.OlsState, design: _core.Design, options: FitOptions
) -> tuple[VolumeSpace, _core.OlsState]:
    """Refuse, or leave out, the voxels that some image lacks."""
    n_observations, _ = _core.observations_and_rank(state, design, options.n_threads)
    complete = n_observations == state.n_rows
    if options.missing == "raise" and not complete.all():
        raise ValueError(
            f"missing='raise', and {np.count_nonzero(~complete)} of {space.n_values} voxels "
            "lack a value in some image; give missing='omit' to leave the values out voxel by "
            "voxel, or missing='intersect' to leave the voxels out"
        )
    if not complete.any():
        raise ValueError(
            "missing='intersect' leaves no voxel: none has a value in every image; give "
            "missing='omit', or leave out images that cover little"
        )
    return _restrict(space, state, complete)


def _restrict(
    space: VolumeSpace, state: _core.OlsState, keep: NDArray[Any]
) -> tuple[VolumeSpace, _core.OlsState]:
    return space.restrict(keep), state.select(np.flatnonzero(keep).astype(np.int64))
