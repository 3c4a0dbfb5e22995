# SPDX-License-Identifier: BSD-3-Clause
"""Voxels of a grid, inside a mask: `VolumeSpace`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import joblib
import numpy as np
from nibabel.nifti1 import Nifti1Image

from groupglm._core import Neighbours
from groupglm.errors import ArgumentError, GridMismatchError, ImageError
from groupglm.runtime.rounding import place as position_words
from groupglm.spaces.base import Space
from groupglm.spaces.cells import Lattice, lattice_of
from groupglm.spaces.checks import checked_keep, checked_rows
from groupglm.spaces.statistic import Statistic
from groupglm.spaces.volume.background import background_mask
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.images import image_of_rows, series_image
from groupglm.spaces.volume.locating import (
    ball,
    box_of,
    coordinates,
    degrees,
    place_at,
    public_order,
    voxel_mm3,
    voxels_of,
)
from groupglm.spaces.volume.mask_file import read_mask
from groupglm.spaces.volume.preparation import Preparation
from groupglm.spaces.volume.reading.absent import AbsentVolume
from groupglm.spaces.volume.reading.opening import ImageLike, open_image
from groupglm.spaces.volume.resampling import Resampler
from groupglm.spaces.volume.runs import places_in, runs_of
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.base import RowStream
    from groupglm.spaces.volume.reading.source import VolumeSource

__all__ = ["VolumeSpace", "volume_space"]


@dataclass(frozen=True, eq=False)
class VolumeSpace(Space):
    """The voxels of a grid that are inside a mask, or all of them.

    A row holds the voxels in file order: the first axis of the image varies fastest. Users see them
    in the order of ``image[mask]`` in numpy: the last axis varies fastest (`public_order`).

    Parameters
    ----------
    grid : Grid
        Where the voxels lie.
    indices : array of int, shape (n_values,), optional
        The mask: places in file order, increasing. The whole grid by default, as long as no mask
        is known.
    preparation : Preparation, optional
        What is done to a volume before its row is gathered. Nothing by default.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.spaces.volume.grid import Grid
    >>> space = VolumeSpace(Grid((2, 2, 2), np.eye(4)))
    >>> space.n_values
    8
    >>> inside = space.restrict(np.arange(8) > 5)
    >>> inside.to_image(np.array([1.0, 2.0])).get_fdata()[:, 1, 1]
    array([1., 2.])
    """

    tag: ClassVar[str] = "volume"
    unit: ClassVar[str] = "voxels"
    place_words: ClassVar[tuple[str, str]] = ("voxel", "voxels")
    placement_word: ClassVar[str] = "grid"
    measure_unit: ClassVar[str] = "mm3"

    grid: Grid
    indices: NDArray[np.int64] | None = None
    preparation: Preparation | None = None

    def __post_init__(self) -> None:
        if self.indices is None:
            return
        indices = np.array(self.indices, dtype=np.int64)
        if indices.ndim != 1 or indices.size == 0:
            raise ArgumentError.about(
                "mask_img", "the mask is empty: no voxel is inside", "give one that has voxels"
            )
        if indices[0] < 0 or indices[-1] >= self.grid.n_voxels or (np.diff(indices) <= 0).any():
            raise ValueError(
                f"the mask's indices must increase from 0 to at most {self.grid.n_voxels - 1}"
            )
        indices.setflags(write=False)
        object.__setattr__(self, "indices", indices)

    def __reduce__(self) -> tuple[Any, ...]:
        # A mask is made of runs along the first axis, which take a fraction of its size to send.
        if self.indices is None:
            return type(self), (self.grid, None, self.preparation)
        return VolumeSpace.from_runs, (self.grid, self.runs, self.preparation)

    @cached_property
    def runs(self) -> NDArray[np.int64]:
        """The mask as runs (first place and length), shape (n_runs, 2)."""
        if self.indices is None:
            return np.array([[0, self.grid.n_voxels]], dtype=np.int64)
        return runs_of(self.indices)

    @classmethod
    def from_runs(
        cls, grid: Grid, runs: NDArray[np.int64], preparation: Preparation | None = None
    ) -> VolumeSpace:
        """Make the space of the voxels in runs, as `runs` returns them; ValueError if it cannot."""
        return cls(grid, places_in(runs, grid.n_voxels), preparation)

    @classmethod
    def from_mask(
        cls,
        mask: ImageLike,
        grid: Grid | None = None,
        preparation: Preparation | None = None,
        *,
        remedy: str = "resample it to their grid",
    ) -> VolumeSpace:
        """Make the space of the voxels inside a mask image."""
        source = open_image(mask, name="mask_img")
        resamples = preparation is not None and preparation.resamples
        difference = None if grid is None else source.grid.difference(grid)
        if difference is not None and not resamples:
            raise GridMismatchError(
                f"{source.name}: the mask is not on the grid of the images: {difference}; " + remedy
            )
        # Results get the affine of the images, not that of the mask, which is only nearly equal.
        space = cls(source.grid, read_mask(source))
        return space.moved_to(source.grid if grid is None else grid, preparation)

    def onto(self, other: VolumeSpace) -> VolumeSpace:
        """Return the space of those voxels of another space whose nearest voxel here is inside."""
        return self.moved_to(other.grid, other.preparation)

    def moved_to(self, grid: Grid, preparation: Preparation | None) -> VolumeSpace:
        """Return the space of the voxels of another grid whose nearest voxel here is inside."""
        if self.grid.difference(grid) is None:
            return VolumeSpace(grid, self.indices, preparation)
        inside = Resampler(self.grid, grid, "nearest")(self.mask.astype(np.uint8, order="F"))
        return VolumeSpace(grid, np.flatnonzero(inside.reshape(-1, order="F")), preparation)

    @property
    def n_values(self) -> int:
        """Number of voxels inside the mask: the length of a row."""
        return self.grid.n_voxels if self.indices is None else len(self.indices)

    def read_stored(
        self, source: VolumeSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> None:
        """Read an image on this grid into a row, as it is stored; it may be NaN everywhere."""
        source.read_into(out, self.indices, self.runs)

    def bytes_to_read(self, source: VolumeSource) -> int:
        """Return the bytes that one image takes while it is read and prepared."""
        n_bytes = 8 * source.grid.n_voxels
        if self.mixes_places:
            n_bytes += 16 * (source.grid.n_voxels + self.grid.n_voxels)
        return n_bytes

    def background(
        self,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the voxels of the whole grid that are not background, as `background_mask` does."""
        mask = background_mask(
            mean.reshape(self.grid.shape, order="F"),
            n_observations.reshape(self.grid.shape, order="F"),
            n_images=n_images,
            min_observations=min_observations,
        )
        return mask.ravel(order="F")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask as an array, of the grid's shape."""
        inside = np.zeros(self.grid.n_voxels, dtype=np.bool_)
        inside[slice(None) if self.indices is None else self.indices] = True
        return inside.reshape(self.grid.shape, order="F")

    def restrict(self, keep: NDArray[np.bool_]) -> VolumeSpace:
        """Return the space of some of this space's voxels, in the order of a row."""
        keep = checked_keep(keep, self.n_values)
        kept = np.flatnonzero(keep)
        indices = kept if self.indices is None else self.indices[kept]
        return VolumeSpace(self.grid, indices, self.preparation)

    @cached_property
    def _box(self) -> tuple[Grid, NDArray[np.int64] | None]:
        """The grid on which volumes are prepared, and the mask's places there.

        Images are resampled only to the box of the mask, with one voxel around it, because the rest
        is not used. nilearn smooths them there too.
        """
        if self.indices is None or not self.resamples:
            return self.grid, self.indices
        return box_of(self.grid, self.indices)

    def reader_of(self, role: str) -> VolumeSpace:
        """Return the space of the same voxels that reads variances, weights or covariates."""
        if self.preparation is None:
            return self
        return replace(self, preparation=self.preparation.of_role(role))

    def read_row(
        self, source: VolumeSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Read an image into a row, as `groupglm.spaces.base.Space.read_row` says.

        The image has this grid's shape (`open_images` has compared the affines), or any if the
        space resamples; GridMismatchError if not.
        """
        preparation, zeros = self.preparation, None
        self._check_grid(source)
        if preparation is not None and preparation.mixes_voxels:
            grid, places = self._box
            values, zeros = preparation.volume(source, grid, out.dtype)
            if places is None:
                out[...] = values
            else:
                # "raise" would make numpy gather into a buffer first; all places are within the
                # volume.
                np.take(values, places, out=out, mode="clip")
            zeros = zeros.at(places)
        else:
            source.read_into(out, self.indices, self.runs)
            if self.zero_is_missing:
                zeros = Zeros.of(out)
                out[zeros.places] = np.nan
        self._check_any_finite(source, out)
        return zeros

    def read_values(
        self, source: VolumeSource, room: NDArray[np.float32] | NDArray[np.float64]
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Return the row of an image, as it was inflated where nothing is to be done to it."""
        if self.indices is not None or self.mixes_places or self.zero_is_missing:
            self.read_row(source, room)
            return room
        self._check_grid(source)
        values = source.read_values(room)
        self._check_any_finite(source, values)
        return values

    def _check_grid(self, source: VolumeSource) -> None:
        if source.grid.shape != self.grid.shape and not self.resamples:
            raise GridMismatchError(
                f"{source.name}: the image is not on the grid of the mask: its shape is "
                f"{source.grid.shape}, not {self.grid.shape}; resample it to that grid"
            )

    def _check_any_finite(self, source: VolumeSource, row: NDArray[Any]) -> None:
        # Nearly every image begins with a finite value; then no search is needed.
        if not np.isfinite(row[0]) and not np.isfinite(row).any():
            where = "of the image" if self.indices is None else "inside the mask"
            what = "NaN or infinite"
            if self.zero_is_missing:
                what = "NaN, infinite or zero, which zero_is_missing=True takes for missing"
            raise ImageError(
                f"{source.name}: all {self.n_values} values {where} are {what}; leave the "
                "image out or give another mask"
            )

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> Nifti1Image:
        """Turn results into an image: one row into a 3-D image, `k` rows into a 4-D one.

        Zero outside the mask. The values are float32 by default, or float64 where a finite value
        would leave the range of float32, to infinity or to zero. The header keeps the first 79
        bytes of `descrip`.
        """
        values = checked_rows(values, self.n_values)
        return image_of_rows(self.grid, self.indices, values, descrip, dtype, statistic)

    @property
    def zero_is_missing(self) -> bool:
        """Whether exact zeros of an image are missing values."""
        return self.preparation is not None and self.preparation.zero_is_missing

    @property
    def resamples(self) -> bool:
        """Whether images may be on another grid, from which they are resampled."""
        return self.preparation is not None and self.preparation.resamples

    @cached_property
    def public_order(self) -> NDArray[np.intp]:
        """The place in a row of each voxel, in the order of ``image[mask]``."""
        return public_order(self.grid, self.indices)

    @property
    def preparation_options(self) -> dict[str, Any]:
        """The target grid, if images are resampled, and the smoothing."""
        done = self.preparation
        if done is None:
            return {}
        options: dict[str, Any] = {"smoothing_fwhm": done.smoothing_fwhm}
        if done.resamples:
            options |= {"target_affine": self.grid.affine, "target_shape": self.grid.shape}
        return options

    @property
    def preparation_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """How images are resampled, if they are."""
        if self.preparation is None or not self.preparation.resamples:
            return {}
        is_spline = self.preparation.interpolation == "continuous"
        return {"Resampling": {"Interpolation": "cubic spline" if is_spline else "linear"}}

    @property
    def mixes_places(self) -> bool:
        """Whether a voxel's value may come from others, by resampling or smoothing."""
        return self.preparation is not None and self.preparation.mixes_voxels

    @cached_property
    def _voxel_mm3(self) -> float:
        return voxel_mm3(self.grid)

    def measure(self, places: NDArray[np.integer]) -> float:
        """Return the volume of some voxels, in mm3."""
        return len(places) * self._voxel_mm3

    def coordinates(self, places: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Return the centres of some voxels, or of all, in mm, shape (n, 3)."""
        return coordinates(self.grid, self.indices, places)

    def layout(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the indices of some voxels in the grid, shape (n, 3)."""
        return voxels_of(self.grid, self.indices, places)

    def degrees(self, connectivity: int, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return some voxels' numbers of neighbours in the grid; the mask does not matter."""
        return degrees(self.grid, self.indices, connectivity, places)

    def place_at(self, position: Sequence[float]) -> int | None:
        """Return the voxel that holds a position in mm; None outside the mask."""
        return place_at(self.grid, self.indices, position)

    def ball(self, centre: Sequence[float], radius: float) -> tuple[NDArray[np.intp], float]:
        """Return the voxels within a distance of a position in mm, and how far the nearest is."""
        return ball(self.grid, self.indices, centre, radius)

    def describe_placement(self) -> str:
        """Say how many voxels the grid has, and their size."""
        return self.grid.describe()

    def describe_place(self, place: int) -> str:
        """Return a voxel's centre in words: ``(-45, -24, 48) mm``."""
        x, y, z = self.coordinates(np.array([place]))[0].tolist()
        return position_words((x, y, z))

    def name_places(self, places: NDArray[np.integer]) -> str:
        """Name the first five of several voxels by their indices in the grid."""
        voxels = voxels_of(self.grid, self.indices, places[:5]).tolist()
        listed = ", ".join(str(tuple(voxel)) for voxel in voxels)
        return f"voxels {listed}{', ...' if len(places) > 5 else ''}"

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> Nifti1Image:
        """Turn rows that come one by one into a 4-D image, in memory or in a file."""
        return series_image(self.grid, self.indices, make_rows, n_rows, descrip, out)

    def places(self, members: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the flat indices, in file order, of some values of a row, shape (n,)."""
        return members if self.indices is None else self.indices[members]

    def neighbours(self, connectivity: int) -> Neighbours:
        """Return which voxels of the mask are neighbours, for clusters.

        The lists are made anew at each call and need 4 bytes a neighbour (24 MB for 26 neighbours
        of 235,000 voxels), so keep them for as long as they serve.

        Examples
        --------
        >>> import numpy as np
        >>> from groupglm.spaces.volume.grid import Grid
        >>> space = VolumeSpace(Grid((3, 1, 1), np.eye(4)))
        >>> starts, places = space.neighbours(6).adjacency()
        >>> places[starts[1] : starts[2]]  # of the voxel in the middle
        array([0, 2], dtype=int32)
        """
        indices = np.arange(self.grid.n_voxels) if self.indices is None else self.indices
        return Neighbours.of_volume(
            self.grid.shape, indices.astype(np.int64, copy=False), connectivity
        )

    def cells(self) -> tuple[Lattice]:
        """Return the cells between the centres of the voxels."""
        mask = self.mask.ravel(order="F").reshape(self.grid.shape[::-1])
        x, y, z = np.linalg.norm(self.grid.affine[:3, :3], axis=0).tolist()
        return (lattice_of(mask, (x, y, z), self.parts[0]),)

    def identity(self) -> str:
        """Return a text that is equal for spaces that read equal rows from an image."""
        parts = (self.grid.shape, self.grid.affine, self.indices, repr(self.preparation))
        return str(joblib.hash(parts))

    def absent_source(self, name: str, saved_in: str) -> VolumeSource:
        """Return an image of which only the name is known."""
        return AbsentVolume(name, self.grid, saved_in)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the space in a form to store; the mask is stored as runs."""
        preparation = None if self.preparation is None else asdict(self.preparation)
        facts = {"shape": list(self.grid.shape), "preparation": preparation}
        return facts, {"runs": self.runs, "affine": self.grid.affine}

    def value_names(self) -> NDArray[np.object_]:
        """Name each voxel by its place in the grid, ``voxel_i_j_k``, in the order of a row."""
        voxels = voxels_of(self.grid, self.indices).tolist()
        return np.array([f"voxel_{i}_{j}_{k}" for i, j, k in voxels], object)


def volume_space(space: Space) -> VolumeSpace:
    """Return a space that must have voxels, for code that shows volumes; else TypeError."""
    if isinstance(space, VolumeSpace):
        return space
    raise TypeError(f"only volumes can be shown here, but the data are of kind {space.tag!r}")
