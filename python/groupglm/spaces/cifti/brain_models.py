# SPDX-License-Identifier: BSD-3-Clause
"""Brain models of a file or of a nibabel image, checked and made one axis: `brain_axis`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import printable
from groupglm.runtime.budget import check_memory_budget
from groupglm.spaces.cifti.axes import BrainAxis, BrainModel
from groupglm.spaces.volume.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MOST_VERTICES", "STRUCTURE", "GivenModel", "GivenVolume", "brain_axis", "check_range",
    "grid_of", "numbers", "whole",
]  # fmt: skip

STRUCTURE = "CIFTI_STRUCTURE_"
"""What the name of a structure begins with in a file."""

MOST_VERTICES = 100_000_000
"""Of a surface; those that programs make have at most 164,000."""

_MM = -3  # the exponent of mm in metres
_LONGEST_NAME = 80


@dataclass(frozen=True)
class GivenVolume:
    """The volume of the voxels, as a file or an object declares it.

    Attributes
    ----------
    shape : sequence of int
        Voxels along each axis.
    affine : array, shape (16,) or (4, 4)
        Voxel indices to ``10**exponent`` metres.
    exponent : int
        -3 for mm.
    """

    shape: Sequence[int]
    affine: NDArray[np.float64]
    exponent: int


@dataclass(frozen=True)
class GivenModel:
    """One brain model, as a file or an object declares it.

    Attributes
    ----------
    structure : str
        With its prefix.
    is_surface : bool
        Whether it has vertices, not voxels.
    first, count : int
        Its stretch of the values.
    n_vertices : int
        Of its surface.
    indices : callable
        Returns its vertices (n,), its voxels (n, 3), or None if none are listed.
    """

    structure: str
    is_surface: bool
    first: int
    count: int
    n_vertices: int
    indices: Callable[[], NDArray[np.int64] | None]


def brain_axis(models: Iterable[GivenModel], volume: GivenVolume | None) -> BrainAxis:
    """Check brain models, and make an axis of them; ValueError says what is wrong."""
    in_order = sorted(models, key=lambda model: model.first)
    if not in_order:
        raise ValueError("it has no brain models")
    grid = None if volume is None else grid_of(volume)
    made: list[BrainModel] = []
    expected = 0
    for model in in_order:
        name = printable(model.structure)[:_LONGEST_NAME].removeprefix(STRUCTURE)
        if model.first != expected:
            what = "overlap" if model.first < expected else "leave a gap"
            raise ValueError(
                f"its brain models {what}: {name} begins at index {model.first} (IndexOffset), and "
                f"the one before it ends at {expected}"
            )
        if any(name == other.structure for other in made):
            raise ValueError(f"it has two brain models of {name}")
        made.append(_model(name, model, grid))
        expected += model.count
    _refuse_shared_voxels(made)
    return BrainAxis(tuple(made), grid)


def grid_of(volume: GivenVolume) -> Grid:
    """Return the grid of a volume; ValueError if it cannot be one."""
    shape = [int(length) for length in volume.shape]
    if len(shape) != 3 or min(shape) < 1 or max(shape) > 32767:
        raise ValueError(f"its volume has the dimensions {shape}, not three positive numbers")
    n_bytes, budget = 8 * shape[0] * shape[1] * shape[2], check_memory_budget(None)
    if n_bytes > budget:
        raise ValueError(
            f"its volume of {shape} voxels takes {n_bytes / 1e6:.0f} MB, more than half of the "
            f"free memory ({budget / 1e6:.0f} MB)"
        )
    if volume.affine.size != 16:
        raise ValueError(f"the affine of its volume has {volume.affine.size} numbers, not 16")
    if not -30 <= volume.exponent <= 30:
        raise ValueError(f"the affine of its volume has the MeterExponent {volume.exponent}")
    affine = np.array(volume.affine, np.float64).reshape(4, 4)
    affine[:3] *= 10.0 ** (volume.exponent - _MM)
    return Grid((shape[0], shape[1], shape[2]), affine)


def _model(name: str, model: GivenModel, grid: Grid | None) -> BrainModel:
    if model.count < 1:
        raise ValueError(f"its brain model {name} has {model.count} places (IndexCount)")
    given = model.indices()
    if model.is_surface:
        if not 0 < model.n_vertices <= MOST_VERTICES:
            raise ValueError(
                f"the surface of {name} has {model.n_vertices} vertices (SurfaceNumberOfVertices)"
            )
        if given is None and model.count == model.n_vertices:
            given = np.arange(model.n_vertices)
        if given is None or given.shape != (model.count,):
            raise ValueError(_wrong_count(name, model.count, given, "vertices"))
        check_range(name, given, model.n_vertices, "vertex")
        indices, n_vertices = given, model.n_vertices
    else:
        if grid is None:
            raise ValueError(f"its {name} has voxels, but it declares no volume for them")
        if given is None or given.shape != (model.count, 3):
            raise ValueError(_wrong_count(name, model.count, given, "voxels"))
        for axis, length in enumerate(grid.shape):
            check_range(name, given[:, axis], length, f"voxel index {'ijk'[axis]}")
        i, j, k = given.T
        indices, n_vertices = i + grid.shape[0] * (j + grid.shape[1] * k), None
    one = "voxel" if n_vertices is None else "vertex"
    repeated = _first_repeated(indices)
    if repeated is not None:
        place = model.first + repeated
        raise ValueError(f"its {name} has a {one} twice, the second time at index {place}")
    indices = np.array(indices, np.int64)
    indices.setflags(write=False)
    return BrainModel(name, model.first, indices, n_vertices)


def _wrong_count(name: str, count: int, given: NDArray[np.int64] | None, many: str) -> str:
    found = "lists none" if given is None else f"lists {len(given)}"
    return f"its brain model {name} declares {count} {many} (IndexCount), but {found}"


def check_range(name: str, indices: NDArray[np.int64], length: int, what: str) -> None:
    """Refuse indices below zero or beyond a length; `name` is their structure or parcel."""
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= length:
        wrong = low if low < 0 else high
        raise ValueError(f"its {name} has the {what} {wrong}, beyond 0 to {length - 1}")


def _first_repeated(indices: NDArray[np.int64]) -> int | None:
    order = np.argsort(indices, kind="stable")
    again = np.flatnonzero(np.diff(indices[order]) == 0)
    return int(order[again + 1].min()) if again.size else None


def _refuse_shared_voxels(models: Sequence[BrainModel]) -> None:
    own = [model for model in models if model.n_vertices is None]
    if len(own) < 2:
        return
    voxels = np.concatenate([model.indices for model in own])
    owners = np.repeat(np.arange(len(own)), [len(model.indices) for model in own])
    repeated = _first_repeated(voxels)
    if repeated is not None:
        first = own[int(owners[np.flatnonzero(voxels == voxels[repeated])[0]])]
        raise ValueError(
            f"its brain models overlap: {first.structure} and {own[owners[repeated]].structure} "
            "have a voxel in common"
        )


def numbers(text: str, what: str, dtype: type[np.generic] = np.int64) -> NDArray[Any]:
    r"""Return the numbers of a text, shape (n,); ValueError if it holds anything else.

    Examples
    --------
    >>> numbers(" 1 2\n30 ", "its vertices")
    array([ 1,  2, 30])
    """
    # A list of texts would take ten times the memory of the file.
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype, sep=" ") if text.strip() else np.empty(0, dtype)
        except (DeprecationWarning, ValueError):
            raise ValueError(f"{what} are not numbers only") from None


def whole(text: str | None, what: str) -> int:
    """Return a whole number that an attribute holds; ValueError if it does not."""
    try:
        number = int(text or "")
    except ValueError:
        found = "missing" if text is None else repr(printable(text[:20]))
        raise ValueError(f"{what} is {found}, not a whole number") from None
    if abs(number) >= 2**53:
        raise ValueError(f"{what} is {number}, which is too large")
    return number
