# SPDX-License-Identifier: BSD-3-Clause
"""Small files of meshes, and what must hold when any bytes are read as one.

A *case* is bytes, as those of `fuzz.image_files`: the first says how the rest is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.freesurfer import io as freesurfer

from fuzz.surface_files import check_refusal
from groupglm.errors import ImageError
from groupglm.spaces.surface.reading.surface_file import open_mesh
from reference.meshes import folded, write_surface

_NAMES = ("lh.surf.gii", "lh.white", "lh.surf.gii.gz")


def cases() -> Iterator[bytes]:
    """Make a sound case of every kind."""
    points, faces = folded(0)
    with tempfile.TemporaryDirectory() as name:
        gifti = write_surface(Path(name, "a.surf.gii"), points, faces, side="left").read_bytes()
        write_geometry: Any = freesurfer.write_geometry
        write_geometry(Path(name, "lh.white"), points, faces)
        yield bytes([0]) + gifti
        yield bytes([1]) + Path(name, "lh.white").read_bytes()
        yield (
            bytes([2])
            + write_surface(Path(name, "b.surf.gii.gz"), points, faces, side="left").read_bytes()
        )


def check(case: bytes, folder: Path) -> str:
    """Read a case as a mesh; whatever it is, nothing may go wrong but in one way.

    Returns and raises as `fuzz.image_files.check`.
    """
    path = folder / _NAMES[case[0] % len(_NAMES)]
    path.write_bytes(case[1:])
    try:
        mesh = open_mesh(path, "surface").mesh
    except ImageError as error:
        check_refusal(error, folder)
        return "refused"
    assert np.isfinite(mesh.coordinates).all()
    assert 0 <= mesh.faces.min() <= mesh.faces.max() < mesh.n_vertices
    with np.errstate(all="ignore"):  # coordinates may be as large as single precision allows
        assert (mesh.areas >= 0).all() or np.isnan(mesh.areas).any()
        mesh.looks_unreal()
        assert mesh.distances(0, 10.0)[0] == 0
    assert mesh.neighbours().n_places == mesh.n_vertices
    return "ours"
