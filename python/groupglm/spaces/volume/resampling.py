# SPDX-License-Identifier: BSD-3-Clause
"""From one grid onto another: `target_grid` and `Resampler`."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, cast

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, ArgumentTypeError, GridMismatchError, shown
from groupglm.messages import argument, arguments, either
from groupglm.runtime.arguments import check_choice, real_array, whole_number
from groupglm.spaces.volume.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "INTERPOLATIONS",
    "AffineShapeError",
    "Interpolation",
    "Resampler",
    "check_interpolation",
    "clip_finite",
    "target_grid",
]

Interpolation: TypeAlias = Literal["continuous", "linear", "nearest"]
INTERPOLATIONS = ("continuous", "linear", "nearest")

_MATRIX = "of type numpy.ndarray, list or tuple, a matrix of numbers"

# A typing error in an affine (voxels of 0.2 mm for 2 mm) must not fill the memory.
_MOST_VOXELS = 2**31
_MANY_VOXELS = 2**29
_MOST_GROWTH = 100
_MOST_LENGTHS = 100  # that are looked at, of what may have no end
_LONGEST_AXIS = 2**15 - 1  # what NIfTI-1 can say


class AffineShapeError(ArgumentError, np.linalg.LinAlgError):
    """An affine of an impossible shape, which numpy and nilearn tell by an error of their own."""


def check_interpolation(interpolation: object) -> Interpolation:
    """Return the kind of interpolation, or say what is wrong with it."""
    return cast("Interpolation", check_choice("interpolation", interpolation, INTERPOLATIONS))


def target_grid(
    grid: Grid, target_affine: ArrayLike | None = None, target_shape: ArrayLike | None = None
) -> Grid:
    """Find the grid that a target affine and shape stand for.

    Shapes: `target_affine` (3, 3).

    Notes
    -----
    The bounding box is that of the voxels' centres, as in nilearn, whose arithmetic is kept to the
    last bit: rounding decides whether a further voxel is needed to cover the box.

    Examples
    --------
    >>> import numpy as np
    >>> grid = Grid((91, 109, 91), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> target_grid(grid, np.diag([3.0, 3.0, 3.0])).shape
    (61, 73, 61)
    """
    shape = None if target_shape is None else _check_shape(target_shape)
    if target_affine is None:
        if shape is not None:
            raise ArgumentError(
                "target_shape",
                f"{shape}: if target_shape is specified, target_affine should be specified too",
                remedy="give the 4 x 4 affine of the grid",
            )
        return grid
    affine = _check_affine(target_affine)
    has_origin = affine.shape == (4, 4)
    if shape is not None and not has_origin:
        raise ArgumentError(
            "target_shape",
            f"{shape}, but "
            + argument("target_affine")
            + " is 3 x 3, so it is unknown where the grid begins. Given target shape without "
            "anchor vector: 'target_affine' shape should be (4, 4) and not (3, 3)",
            remedy="give a 4 x 4 affine, or leave " + argument("target_shape") + " out",
        )
    full = np.eye(4)
    full[: len(affine), : len(affine)] = affine
    low, high = _bounds(grid, full)
    if not np.isfinite([low, high]).all():
        raise ArgumentError.about(
            "target_affine",
            "the target grid's voxels are beyond reach of the images': check "
            + argument("target_affine")
            + ", in mm",
        )
    if not has_origin:
        full[:3, 3] = full[:3, :3].dot(low)
        low, high = np.zeros(3), high - low
    if shape is None:
        # A box that ends before the first voxel is refused below.
        lengths = [max(math.ceil(end) + 1, 1) for end in high]
        shape = (lengths[0], lengths[1], lengths[2])
    _check_size(shape, grid, "target_affine" if target_shape is None else "target_shape")
    slack = np.array(Grid(shape, full).same_place_voxels())
    if (high < -slack).any() or (low > np.array(shape) - 1 + slack).any():
        raise GridMismatchError(
            "The field of view given by the target affine does not contain any of the data: in its "
            f"voxels, the images reach from {np.round(low, 1).tolist()} to "
            f"{np.round(high, 1).tolist()}, but its shape is {shape}; check "
            + arguments(target_affine=None, target_shape=None)
            + ", of the affine above all the last column, in mm"
        )
    return Grid(shape, full)


def _check_affine(target_affine: ArrayLike) -> NDArray[np.float64]:
    try:
        affine = np.array(real_array("target_affine", target_affine), dtype=np.float64)
    except ArgumentTypeError as error:
        raise ArgumentTypeError("target_affine", error.found, _MATRIX) from error
    if affine.ndim == 0:
        size = f"{affine:g}" if affine > 0 else "3"
        raise ArgumentTypeError(
            "target_affine",
            shown(target_affine),
            _MATRIX,
            f"for voxels of {size} mm give numpy.diag([{size}, {size}, {size}])",
        )
    if affine.shape not in ((3, 3), (4, 4)):
        raise AffineShapeError.about(
            "target_affine",
            argument("target_affine")
            + f" must be a 3 x 3 or 4 x 4 matrix, but has the shape {affine.shape}",
            "for voxels of 3 mm give numpy.diag([3, 3, 3])",
        )
    if not np.isfinite(affine).all():
        raise ArgumentError(
            "target_affine",
            "NaN or infinity",
            remedy="give a matrix of finite numbers",
            verb="holds",
        )
    if affine.shape == (4, 4) and not affine[3, :3].any() and not affine[:3, 3].any():
        affine[3, 3] = affine[3, 3] and 1.0  # 2 * numpy.eye(4) stands for axes of 2 mm
    if affine.shape == (4, 4) and not np.array_equal(affine[3], [0, 0, 0, 1]):
        raise ArgumentError.about(
            "target_affine",
            "the last row of " + argument("target_affine") + f" is {affine[3].tolist()}",
            wanted="[0, 0, 0, 1]",
        )
    # Of affines that are huge or tiny the inverse overflows.
    with np.errstate(all="ignore"):
        singular = np.linalg.matrix_rank(affine[:3, :3]) < 3
        singular = singular or not np.isfinite(np.linalg.inv(affine)).all()
    if singular:
        raise ArgumentError(
            "target_affine",
            "singular, so that voxels would lie at the same place",
            remedy="give three axes that are not in one plane",
        )
    return affine


def _check_shape(target_shape: ArrayLike) -> tuple[int, int, int]:
    try:
        values = itertools.islice(cast("Any", target_shape), _MOST_LENGTHS)
        shape = tuple(whole_number("target_shape", length) for length in values)
    except Exception as error:  # an object's own iteration may raise anything
        if isinstance(error, ArgumentError) and not isinstance(error, ArgumentTypeError):
            raise
        raise ArgumentTypeError(
            "target_shape",
            shown(target_shape),
            "of type tuple, list or numpy.ndarray, three positive integers",
        ) from error
    if len(shape) != 3:
        raise ArgumentError(
            "target_shape",
            f"{shape}, of length {len(shape)}",
            remedy="the shape should be that of a 3D grid, and thus of length 3",
        )
    if min(shape) < 1:
        raise ArgumentError("target_shape", shown(shape), remedy="every length must be at least 1")
    return shape[0], shape[1], shape[2]


def _bounds(grid: Grid, affine: NDArray[np.float64]) -> tuple[Any, Any]:
    """Return the corner voxels' lowest and highest coordinates in voxels of an affine."""
    subsets = (axes for count in range(4) for axes in itertools.combinations(range(3), count))
    corners = np.ones((8, 4))
    for place, axes in enumerate(subsets):
        corners[place, :3] = [grid.shape[axis] - 1 if axis in axes else 0 for axis in range(3)]
    with np.errstate(all="ignore"):
        box = np.dot(np.linalg.inv(affine).dot(grid.affine), corners.T)[:3]
    return box.min(axis=-1), box.max(axis=-1)


def _check_size(shape: tuple[int, int, int], grid: Grid, name: str) -> None:
    if max(shape) > _LONGEST_AXIS:
        longest = shown(max(shape))
        problem = f"an axis of {longest} voxels, and a NIfTI file can have {_LONGEST_AXIS}"
        _refuse_size(name, shape, problem)
    n_voxels = math.prod(shape)
    growth = n_voxels / grid.n_voxels
    if n_voxels > _MOST_VOXELS or (growth > _MOST_GROWTH and n_voxels > _MANY_VOXELS):
        problem = f"{n_voxels:.3g} voxels, {growth:.3g} times as many as the images"
        _refuse_size(name, shape, problem)


def _refuse_size(name: str, shape: tuple[int, int, int], problem: str) -> NoReturn:
    raise ArgumentError.about(
        name,
        f"the target grid would have the shape {shown(shape)}: {problem}",
        "check the voxel sizes of "
        + argument("target_affine")
        + either(", in mm, and target_shape", ", in mm"),
    )


def clip_finite(values: NDArray[Any], lowest: float, highest: float) -> None:
    """Clip the finite values to a range, in place; infinity stays."""
    if values.dtype.kind != "f":
        lowest, highest = int(lowest), int(highest)
    np.clip(values, lowest, highest, out=values, where=np.isfinite(values))


@dataclass(frozen=True)
class Resampler:
    """Brings volumes of one grid onto another.

    Parameters
    ----------
    source_grid, target_grid : Grid
        From where to where. Where their voxels lie at the same places (`Grid.difference`), values
        are copied.
    interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        The cubic spline through all voxels, the trilinear interpolation of the eight around, or the
        nearest voxel.
    clip : bool, default=True
        Whether values are kept within the range of the volume's finite values and zero, which a
        spline may overshoot.
    fill_value : float, default=0.0
        The value of target voxels outside the source grid, whose outermost voxels' centres are its
        bounds. NaN calls them missing. A voxel beyond a bound by no more than what counts as the
        same place (`groupglm.spaces.volume.grid.SAME_PLACE_MM`) is on it: the rounding of an
        affine does not empty a face.

    Raises
    ------
    ValueError
        If `interpolation` is another.

    Notes
    -----
    NaN and infinite values stay what they are by nearest neighbour, and the values around them do
    not feel them: the finite values next to them are extrapolated into them before interpolating.
    (nilearn does the same, but turns infinity into NaN.)

    Arithmetic is in double for every type of values.

    References
    ----------
    M. Unser, A. Aldroubi, M. Eden, "Fast B-spline transforms for continuous image representation
    and interpolation", IEEE Transactions on Pattern Analysis and Machine Intelligence 13(3), 1991.

    Examples
    --------
    >>> import numpy as np
    >>> here = Grid((5, 1, 1), np.eye(4))
    >>> resample = Resampler(here, target_grid(here, np.diag([0.5, 1.0, 1.0])), "linear")
    >>> resample(np.arange(5.0).reshape(5, 1, 1))[:, 0, 0]
    array([0. , 0.5, 1. , 1.5, 2. , 2.5, 3. , 3.5, 4. ])
    """

    source_grid: Grid
    target_grid: Grid
    interpolation: Interpolation = "continuous"
    clip: bool = True
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        check_interpolation(self.interpolation)

    @cached_property
    def copies(self) -> bool:
        """Whether the grids are the same, so that values are copied."""
        return self.target_grid.difference(self.source_grid) is None

    @cached_property
    def voxel_map(self) -> NDArray[np.float64]:
        """Target voxel to source voxel, shape (3, 4)."""
        if np.array_equal(self.source_grid.affine, self.target_grid.affine):
            return np.eye(4)[:3]
        from scipy import linalg

        # nilearn's operations: whether a voxel is outside may hang on the last bit.
        to_source = np.dot(linalg.inv(self.source_grid.affine), self.target_grid.affine)
        return np.ascontiguousarray(to_source[:3])

    @cached_property
    def slack(self) -> tuple[float, float, float]:
        """How far outside the source grid a voxel may be to count as on its face, in its voxels."""
        return self.source_grid.same_place_voxels()

    def __call__(self, volume: NDArray[Any], n_threads: int = 1) -> NDArray[Any]:
        """Resample a volume."""
        out, lowest, highest = self.unclipped(volume, n_threads)
        if self.clip and self.may_leave_range:
            clip_finite(out, lowest, highest)
        return out

    @property
    def may_leave_range(self) -> bool:
        """Whether a result may be outside the range of the values and zero."""
        overshoots = self.interpolation == "continuous" and not self.copies
        return overshoots or self.fill_value != 0

    def unclipped(
        self, volume: NDArray[Any], n_threads: int = 1
    ) -> tuple[NDArray[Any], float, float]:
        """Resample a volume, and tell the range to clip it to instead of clipping."""
        if volume.shape != self.source_grid.shape:
            raise ValueError(
                f"the volume has the shape {volume.shape}, but the source grid "
                f"{self.source_grid.shape}"
            )
        values = np.asfortranarray(volume)
        if values.dtype.kind in "iu" and self.interpolation == "nearest":
            return self._nearest_integers(values, n_threads), 0.0, 0.0
        if values.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise TypeError(
                f"the volume holds {values.dtype}; it must hold float32 or float64 (or integers, "
                "for the nearest neighbour)"
            )
        if self.copies:
            finite = values[np.isfinite(values)]
            low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
            return values.copy(order="F"), low, high
        return _core.resample_volume(
            values,
            self.voxel_map,
            self.target_grid.shape,
            self.interpolation,
            self.fill_value,
            n_threads,
            self.slack,
        )

    def _nearest_integers(self, values: NDArray[Any], n_threads: int) -> NDArray[Any]:
        if self.fill_value != 0:
            raise ValueError(
                f"fill_value is {self.fill_value}, but integers are filled with 0 only; "
                "give a volume of floats"
            )
        if self.copies:
            return values.copy(order="F")
        items = values.view(np.dtype(f"u{values.itemsize}"))
        shape = self.target_grid.shape
        out = _core.resample_nearest(items, self.voxel_map, shape, n_threads, self.slack)
        return out.view(values.dtype)
