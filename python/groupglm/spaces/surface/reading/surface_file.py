# SPDX-License-Identifier: BSD-3-Clause
"""One mesh from a file or an object: `open_mesh`."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.nifti1 import intent_codes

from groupglm.errors import ArgumentTypeError, ImageError
from groupglm.runtime.paths import check_path
from groupglm.runtime.regular_files import check_file
from groupglm.spaces.surface.mesh import Mesh
from groupglm.spaces.surface.reading.gifti import read_gifti, read_values
from groupglm.spaces.surface.reading.pairing import side_in_facts, side_in_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["OpenedMesh", "open_mesh", "side_of_surface"]

_GIFTI = (".gii", ".gii.gz")
_TRIANGLES = b"\xff\xff\xfe"  # how a geometry file of FreeSurfer begins
_MORPHOMETRY = b"\xff\xff\xff"  # and one of values, such as curv
_POINTS, _FACES = "NIFTI_INTENT_POINTSET", "NIFTI_INTENT_TRIANGLE"
_WORD = re.compile(r"(?:^|(?<=[._-]))(left|right)(?=[._-])")
_WORDS = re.compile(r"very_?inflated|inflated|sphere|flat", re.IGNORECASE)
_ADVICE = "give a surface, such as .surf.gii or lh.white"


@dataclass(frozen=True, eq=False)
class OpenedMesh:
    """A mesh, and the hemisphere that its file or object names.

    Parameters
    ----------
    mesh : Mesh
        The mesh.
    side : str or None
        "left" or "right" by its metadata, or else by its file's name; None if neither says it.
    """

    mesh: Mesh
    side: str | None


def open_mesh(given: Any, name: str) -> OpenedMesh:
    """Open a surface: a file of GIFTI or FreeSurfer, nibabel's image, or an object with a mesh.

    Parameters
    ----------
    given : path, nibabel.gifti.GiftiImage, Mesh, or an object with `coordinates` and `faces`
        The surface.
    name : str
        Its name in messages if it is no file.

    Raises
    ------
    groupglm.errors.ImageError
        If it cannot be read, or is no surface of triangles.
    groupglm.errors.ArgumentTypeError
        If it is something else.
    """
    if isinstance(given, Mesh):
        return OpenedMesh(given, None)
    path = getattr(given, "file_path", given)  # a mesh that is read from its file when it is used
    if isinstance(path, str | os.PathLike):
        return _of_file(path)
    if hasattr(given, "darrays"):
        return _of_image(given, _filename(given) or name)
    if hasattr(given, "coordinates") and hasattr(given, "faces"):
        return OpenedMesh(Mesh(name, given.coordinates, given.faces), None)
    raise ArgumentTypeError.about(
        "surfaces",
        f"{name} is a {type(given).__name__}, which is no surface",
        "give surface files (.surf.gii, lh.white), or objects with coordinates and faces",
    )


def side_of_surface(path: str) -> str | None:
    """Return the hemisphere that the name of a surface file tells; None if it tells none.

    Examples
    --------
    >>> side_of_surface("S1.L.pial.32k_fs_LR.surf.gii"), side_of_surface("pial_right.gii.gz")
    ('left', 'right')
    """
    told = side_in_name(path)
    words = set(_WORD.findall(os.path.basename(path)))  # noqa: PTH119
    return words.pop() if told is None and len(words) == 1 else told


def _of_file(given: str | os.PathLike[str]) -> OpenedMesh:
    """Open a surface file of GIFTI, or of FreeSurfer's geometry format."""
    check_path("surfaces", os.fspath(given), ImageError)
    name = os.path.expanduser(os.fspath(given))  # noqa: PTH111
    if not os.path.exists(name) and not os.path.islink(name):  # noqa: PTH110, PTH114
        raise ImageError(f"{name}: File not found: check the name")
    check_file(name, f"{name}:", ImageError)
    if name.lower().endswith(_GIFTI):
        file = read_gifti(name)
        arrays = [
            (array.intent, array.facts, partial(read_values, name, number, array))
            for number, array in enumerate(file.arrays)
        ]
        return _of_arrays(name, file.facts, arrays)
    try:
        return _of_freesurfer(name)
    except OSError as error:
        raise ImageError(f"{name}: cannot be opened: {error.strerror or error}") from error


def _of_image(image: Any, name: str) -> OpenedMesh:
    """Take the mesh out of nibabel's image."""
    arrays = [
        (str(intent_codes.niistring[array.intent]), dict(array.meta or {}), partial(_data, array))
        for array in image.darrays
    ]
    return _of_arrays(name, dict(image.meta or {}), arrays)


def _data(array: Any) -> Any:
    return array.data


def _of_arrays(
    name: str,
    facts: Mapping[str, str],
    arrays: Sequence[tuple[str, Mapping[str, str], Callable[[], Any]]],
) -> OpenedMesh:
    """Make the mesh of the arrays of a GIFTI file: intent, metadata, and what reads the values."""
    found = {
        intent: [(own, read) for kind, own, read in arrays if kind == intent]
        for intent in (_POINTS, _FACES)
    }
    if any(len(each) != 1 for each in found.values()):
        held = ", ".join(sorted({intent for intent, _, _ in arrays}))
        raise ImageError(
            f"{name}: holds {held or 'nothing'}, but a surface holds one array of coordinates and "
            f"one of triangles ({_POINTS}, {_FACES}); {_ADVICE}"
        )
    ((own, read_points),), ((_, read_faces),) = found[_POINTS], found[_FACES]
    told = {**facts, **own}
    mesh = Mesh(name, read_points(), read_faces(), _declared(told.get("GeometricType", ""), name))
    return OpenedMesh(mesh, side_in_facts(told) or side_of_surface(name))


def _of_freesurfer(name: str) -> OpenedMesh:
    """Read a geometry file of triangles: a comment, two counts, and big-endian arrays."""
    with open(name, "rb") as file:  # noqa: PTH123
        begins = file.read(len(_TRIANGLES))
        content = begins + file.read() if begins == _TRIANGLES else begins
    if begins == _MORPHOMETRY:
        raise ImageError(f"{name}: holds one value for each vertex, not a surface; {_ADVICE}")
    if begins != _TRIANGLES:
        raise ImageError(
            f"{name}: is neither GIFTI (.surf.gii) nor a geometry file of triangles of FreeSurfer "
            f"(lh.white, lh.pial); {_ADVICE}, or convert it with mris_convert"
        )
    end = content.find(b"\n\n")  # of the comment
    start = end + 10
    counts = (-1, -1)
    if end > 0 and len(content) >= start:
        counts = struct.unpack_from(">ii", content, end + 2)
    n_vertices, n_faces = counts
    needed = start + 12 * (n_vertices + n_faces)
    if min(counts) < 0 or len(content) < needed:
        raise ImageError(
            f"{name}: is cut short or damaged: it has {len(content):,} bytes, which do not hold "
            "the vertices and faces that it counts; copy the file again from its source"
        )
    points = np.frombuffer(content, ">f4", 3 * n_vertices, start)
    faces = np.frombuffer(content, ">i4", 3 * n_faces, start + 12 * n_vertices)
    mesh = Mesh(name, points.reshape(-1, 3), faces.reshape(-1, 3), _declared("", name))
    return OpenedMesh(mesh, side_of_surface(name))


def _declared(kind: str, name: str) -> str:
    """Return what a file declares, or else a word in its name that tells it."""
    if kind and kind.lower() != "unknown":
        return kind
    word = _WORDS.search(os.path.basename(name))  # noqa: PTH119
    return word[0] if word else ""


def _filename(image: Any) -> str | None:
    get = getattr(image, "get_filename", None)
    found = get() if callable(get) else None
    return found if isinstance(found, str) else None
