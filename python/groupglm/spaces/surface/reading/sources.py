# SPDX-License-Identifier: BSD-3-Clause
"""The values of a hemisphere in a file, or in memory: `Hemisphere` and what reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from groupglm.errors import ImageError
from groupglm.runtime.arguments import real_array
from groupglm.spaces.surface.hemisphere_source import HemisphereSource
from groupglm.spaces.surface.reading.annotation import read_annotation
from groupglm.spaces.surface.reading.freesurfer import (
    MghFile,
    curvature_values,
    is_curvature_name,
    mgh_values,
    open_curvature,
    open_mgh,
)
from groupglm.spaces.surface.reading.gifti import GiftiFile, read_gifti, read_values
from groupglm.spaces.surface.reading.pairing import side_in_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ArraySource", "Hemisphere", "open_file", "open_image_in_memory"]

_GEOMETRY = {
    "NIFTI_INTENT_POINTSET": "the positions of vertices",
    "NIFTI_INTENT_TRIANGLE": "the triangles of a mesh",
}
_NOT_MEASURED = {
    "NIFTI_INTENT_NODE_INDEX": "values of some vertices only, by their numbers (NODE_INDEX)",
    "NIFTI_INTENT_RGB_VECTOR": "colours",
    "NIFTI_INTENT_RGBA_VECTOR": "colours",
    "NIFTI_INTENT_VECTOR": "vectors",
}


@dataclass(frozen=True, eq=False)
class Hemisphere:
    """What is known of the values of one hemisphere before they are read.

    Parameters
    ----------
    name : str
        The file's name, or the image's place in the input.
    n_vertices, n_maps : int
        Numbers of vertices, and of maps.
    told_side : str or None
        The hemisphere that the metadata tell.
    form : str
        "gifti", "mgh" or "surface_image": what images of results are.
    source : callable
        Makes the source of a map, of its side, its number and its name.
    labels : mapping of int to str
        The names of labels that the file gives.
    """

    name: str
    n_vertices: int
    n_maps: int
    told_side: str | None
    form: str
    source: Callable[[str, int, str], HemisphereSource]
    labels: Mapping[int, str] = field(default_factory=dict)


class ArraySource(HemisphereSource):
    """Values in memory, which are not copied.

    Parameters
    ----------
    name, side
        As of every hemisphere.
    values : array, shape (n_vertices,)
        The values.
    mesh : optional
        The mesh of the image, with ``coordinates`` and ``faces``.
    """

    def __init__(self, name: str, side: str, values: NDArray[Any], mesh: Any = None) -> None:
        super().__init__(name, side, len(values), values.dtype)
        self._values, self._mesh = values, mesh
        self.nbytes_in_memory = float(values.nbytes)

    @property
    def faces(self) -> Any:
        """The triangles of the image's mesh, if it has one."""
        return None if self._mesh is None else self._mesh.faces

    def read(self) -> NDArray[Any]:
        """Return the values."""
        return self._values

    def fingerprint(self) -> Hashable:
        """Identify the values themselves."""
        return str(joblib.hash(self._values))


class GiftiSource(HemisphereSource):
    """One array of a GIFTI file."""

    def __init__(self, name: str, side: str, file: GiftiFile, number: int) -> None:
        array = file.arrays[number]
        super().__init__(name, side, array.shape[0], array.dtype)
        self._path, self._array, self._number = file.path, array, number
        self._files = (file.path, *file.external_files)

    def files(self) -> Sequence[str]:
        """Return the file, and those beside it that hold values."""
        return self._files

    def read(self) -> NDArray[Any]:
        """Read the values."""
        return read_values(self._path, self._number, self._array).reshape(-1)

    def fingerprint(self) -> Hashable:
        """Identify the values by the state of the files, and the number of the array."""
        state = self.file_state()
        return None if state is None else (state, self._number)


class MghSource(HemisphereSource):
    """One map of a FreeSurfer file."""

    def __init__(self, name: str, side: str, file: MghFile, number: int) -> None:
        super().__init__(name, side, file.n_vertices, file.dtype)
        self._file, self._number = file, number

    def files(self) -> Sequence[str]:
        """Return the file."""
        return (self._file.path,)

    def read(self) -> NDArray[Any]:
        """Read the values."""
        return mgh_values(self._file, self._number)

    def fingerprint(self) -> Hashable:
        """Identify the values by the state of the file and the number of the map."""
        state = self.file_state()
        return None if state is None else (state, self._number)


class CurvatureSource(HemisphereSource):
    """A FreeSurfer file of values at vertices that has no ending."""

    def __init__(self, name: str, side: str, path: str, n_vertices: int) -> None:
        super().__init__(name, side, n_vertices, np.dtype(np.float32))
        self._path = path

    def files(self) -> Sequence[str]:
        """Return the file."""
        return (self._path,)

    def read(self) -> NDArray[Any]:
        """Read the values."""
        return curvature_values(self._path, self.n_vertices)


def open_file(path: str, *, labels: bool = False, packed: bool = False) -> Hemisphere:
    """Open a file of one hemisphere; with `labels`, one of labels too, as a mask may be.

    With `packed`, also a .gii.gz, as packages bring them.

    Raises
    ------
    groupglm.errors.ImageError
        If it cannot be read, or holds no values at vertices.
    """
    lower = path.lower()
    if lower.endswith((".mgh", ".mgz")):
        mgh = open_mgh(path)
        return Hemisphere(
            path, mgh.n_vertices, mgh.n_maps, None, "mgh",
            lambda side, number, name: MghSource(name, side, mgh, number),
        )  # fmt: skip
    if labels and lower.endswith(".annot"):
        row, names = read_annotation(path)
        return Hemisphere(
            path, len(row), 1, None, "mgh",
            lambda side, _, name: ArraySource(name, side, row),
            names,
        )  # fmt: skip
    if is_curvature_name(path):
        n_found = open_curvature(path)
        return Hemisphere(
            path, n_found, 1, None, "mgh",
            lambda side, _, name: CurvatureSource(name, side, path, n_found),
        )  # fmt: skip
    if lower.endswith(".gii.gz") and not packed:
        raise ImageError(f"{path}: is compressed as a whole; give the .gii file that is inside it")
    if not lower.endswith((".gii", ".gii.gz")):
        raise ImageError(
            f"{path}: is no file of a surface by its name (.func.gii, .shape.gii, .mgh, .mgz or "
            "lh.thickness); give images and masks of one kind"
        )
    file = read_gifti(path)
    _check_arrays(path, [(array.intent, array.shape) for array in file.arrays], labels=labels)
    return Hemisphere(
        path,
        file.arrays[0].shape[0],
        len(file.arrays),
        side_in_facts(file.facts, *(array.facts for array in file.arrays)),
        "gifti",
        lambda side, number, name: GiftiSource(name, side, file, number),
        file.labels,
    )


def open_image_in_memory(image: Any, name: str, *, labels: bool = False) -> Hemisphere:
    """Open nibabel's image of one hemisphere: GIFTI or FreeSurfer's."""
    file = image.get_filename()
    name = file or name
    if hasattr(image, "darrays"):
        from nibabel.nifti1 import intent_codes

        intents = [str(intent_codes.niistring[array.intent]) for array in image.darrays]
        arrays = [np.asanyarray(array.data) for array in image.darrays]
        if not arrays:
            raise ImageError(f"{name}: has no array of values; check how it was made")
        shapes = [array.shape for array in arrays]
        _check_arrays(name, list(zip(intents, shapes, strict=True)), labels=labels)
        values = [real_array(name, array, missing=True).reshape(-1) for array in arrays]
        told = side_in_facts(dict(image.meta), *(dict(array.meta) for array in image.darrays))
        return Hemisphere(
            name, len(values[0]), len(values), told, "gifti",
            lambda side, number, own: ArraySource(own, side, values[number]),
            _labels_in_memory(image),
        )  # fmt: skip
    if file is not None and not isinstance(image.dataobj, np.ndarray):
        return open_file(file)  # the values are read when they are needed
    data = real_array(name, np.asanyarray(image.dataobj), missing=True)
    rows = data.reshape(len(data), -1).T
    return Hemisphere(
        name, len(data), len(rows), None, "mgh",
        lambda side, number, own: ArraySource(own, side, rows[number]),
    )  # fmt: skip


def _labels_in_memory(image: Any) -> dict[int, str]:
    """Return the names in the label table of nibabel's image."""
    table = getattr(image, "labeltable", None)
    return {int(one.key): str(one.label or "") for one in getattr(table, "labels", ())}


def _check_arrays(
    name: str, arrays: Sequence[tuple[str, tuple[int, ...]]], *, labels: bool
) -> None:
    """Refuse arrays that are no values at vertices, or have different numbers of them."""
    for intent, _ in arrays:
        if intent in _GEOMETRY:
            raise ImageError(
                f"{name}: is a surface: it holds {_GEOMETRY[intent]}, not values at them; give it "
                "as surfaces, and files of values (.func.gii, .shape.gii) as images"
            )
        if intent == "NIFTI_INTENT_LABEL" and not labels:
            raise ImageError(
                f"{name}: holds labels, whose numbers name regions and are no measurements; give "
                "it as a mask, and files of values (.func.gii, .shape.gii) as images"
            )
        if intent in _NOT_MEASURED:
            raise ImageError(
                f"{name}: holds {_NOT_MEASURED[intent]}, not one value for each vertex"
            )
    shapes = [shape for _, shape in arrays]
    for shape in shapes:
        if not shape or shape[0] < 1 or any(n != 1 for n in shape[1:]):
            raise ImageError(
                f"{name}: an array has the dimensions {shape}, not one value for each vertex; "
                "split it into one array for each map"
            )
    if len({shape[0] for shape in shapes}) > 1:
        counts = sorted({shape[0] for shape in shapes})
        raise ImageError(f"{name}: its maps have {counts} vertices, so that no mesh has them all")
