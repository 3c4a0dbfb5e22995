# SPDX-License-Identifier: BSD-3-Clause
"""Meshes whose arrays are written column by column, as SPM writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from groupglm.spaces.surface.reading.surface_file import open_mesh
from reference.meshes import sphere

nib: Any = nibabel  # typed only in part


@pytest.mark.parametrize("order", ["RowMajorOrder", "ColumnMajorOrder"])
def test_both_orders_of_a_mesh(tmp_path: Path, order: str) -> None:
    points, faces = sphere(20)
    arrays = [
        nib.gifti.GiftiDataArray(
            values, intent=intent, datatype=values.dtype, ordering=order, encoding="ASCII"
        )
        for values, intent in (
            (points.astype("f4"), "NIFTI_INTENT_POINTSET"),
            (faces.astype("i4"), "NIFTI_INTENT_TRIANGLE"),
        )
    ]
    # nibabel writes the values in the order of memory, whatever it says of them.
    data = [array.data for array in arrays]
    text = nib.GiftiImage(darrays=arrays).to_xml().decode()
    if order == "ColumnMajorOrder":
        text = _by_columns(text, data)
    assert f'ArrayIndexingOrder="{order}"' in text
    path = tmp_path / "lh.mesh.surf.gii"
    path.write_text(text)
    mesh = open_mesh(path, "mesh").mesh
    np.testing.assert_allclose(mesh.coordinates, points, rtol=1e-5)
    np.testing.assert_array_equal(mesh.faces, faces)


def _by_columns(text: str, data: list[Any]) -> str:
    """Write the values of each array column by column."""
    pieces = text.split("<Data>")
    for number, values in enumerate(data, start=1):
        rest = pieces[number].partition("</Data>")[2]
        words = " ".join(map(repr, values.ravel(order="F").tolist()))
        pieces[number] = f"{words}</Data>{rest}"
    return "<Data>".join(pieces)
