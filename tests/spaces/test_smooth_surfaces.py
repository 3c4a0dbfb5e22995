# SPDX-License-Identifier: BSD-3-Clause
"""`smooth_img` on surfaces: every form of images, alone and together."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.gifti.gifti import GiftiImage
from numpy.typing import NDArray

import groupglm
from groupglm.errors import ArgumentError, ArgumentTypeError, ImageError
from groupglm.spaces.surface.mesh import Mesh
from groupglm.spaces.surface.smoothing import iterations_of
from reference.meshes import folded, graph_of, icosphere, write_metric, write_surface
from reference.smoothing import neighbour_means

pytestmark = pytest.mark.quick

smooth_img: Any = groupglm.smooth_img
SIDES = ("left", "right")
N, FWHM = 642, 25.0
MESHES: dict[str, Any] = {side: folded(3, side) for side in SIDES}


class SurfaceImage:
    """What nilearn's has: the values and the meshes of hemispheres."""

    def __init__(self, mesh: Any, data: Any) -> None:
        self.mesh, self.data = mesh, data


class PolyData:
    def __init__(self, **parts: NDArray[Any]) -> None:
        self.parts = parts


POLY_MESH = SimpleNamespace(
    parts={
        side: SimpleNamespace(coordinates=points, faces=faces)
        for side, (points, faces) in MESHES.items()
    }
)


def values(seed: int, *columns: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    found = {side: rng.standard_normal((N, *columns)).astype(np.float32) for side in SIDES}
    found["left"][5] = np.nan
    return found


def image(seed: int, *columns: int) -> SurfaceImage:
    return SurfaceImage(POLY_MESH, PolyData(**values(seed, *columns)))


def expected(own: NDArray[Any], side: str, fwhm: float = FWHM) -> NDArray[np.float64]:
    points, faces = MESHES[side]
    n = iterations_of(fwhm, Mesh(side, points, faces))
    return neighbour_means(own, graph_of(faces.astype(np.intp), N), n)


def close(found: Any, wanted: Any) -> None:
    """Values of some three at most are smoothed in double, and rounded to float32 once."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=4 * float(np.finfo(np.float32).eps))


def test_an_image_is_smoothed_and_keeps_its_type() -> None:
    before = values(1)
    found = smooth_img(image(1), FWHM)
    assert type(found) is SurfaceImage
    assert type(found.data) is PolyData
    assert found.mesh is POLY_MESH
    for side in SIDES:
        assert found.data.parts[side].dtype == np.float32
        close(found.data.parts[side], expected(before[side], side))


@pytest.mark.parametrize("columns", [(1,), (3,)])
def test_each_map_of_an_image_is_smoothed_by_itself(columns: tuple[int]) -> None:
    found = smooth_img(image(2, *columns), FWHM)
    for side, own in values(2, *columns).items():
        assert found.data.parts[side].shape == own.shape
        for number, column in enumerate(own.T):
            close(found.data.parts[side][:, number], expected(column, side))


def test_many_images_have_the_bits_of_one() -> None:
    many = [image(seed) for seed in range(70)]
    found = smooth_img(many, FWHM)
    assert len(found) == 70
    for place in (0, 1, 63, 64, 69):
        alone = smooth_img(many[place], FWHM)
        for side in SIDES:
            np.testing.assert_array_equal(found[place].data.parts[side], alone.data.parts[side])


def test_images_of_several_maps_in_a_list() -> None:
    given = [image(1), image(2, 3), image(3)]
    found = smooth_img(given, FWHM)
    for one, alone in zip(found, given, strict=True):
        for side in SIDES:
            np.testing.assert_array_equal(
                one.data.parts[side], smooth_img(alone, FWHM).data.parts[side]
            )


@pytest.fixture
def files(tmp_path: Path) -> Any:
    surfaces = tuple(write_surface(tmp_path / f"{s}.surf.gii", *MESHES[s], side=s) for s in SIDES)
    pairs = [
        tuple(
            write_metric(tmp_path / f"sub-{seed}_hemi-{side[0].upper()}.func.gii", own)
            for side, own in values(seed).items()
        )
        for seed in (1, 2)
    ]
    return surfaces, pairs


def test_files_are_smoothed_on_surfaces_that_are_given(files: Any) -> None:
    surfaces, pairs = files
    flat = [path for pair in pairs for path in pair]
    lists = {side: [pair[place] for pair in pairs] for place, side in enumerate(SIDES)}
    for given in (pairs, flat, lists):
        found = smooth_img(given, FWHM, surfaces=surfaces)
        assert len(found) == 2
        for seed, one in enumerate(found, start=1):
            for side, own in values(seed).items():
                close(getattr(one, side).darrays[0].data, expected(own, side))
    one = smooth_img(pairs[0], FWHM, surfaces=surfaces)
    close(one.right.darrays[0].data, expected(values(1)["right"], "right"))
    alone: Any = smooth_img(pairs[0][1], FWHM, surfaces=surfaces[1])
    assert isinstance(alone, GiftiImage)
    close(alone.darrays[0].data, expected(values(1)["right"], "right"))


def test_areas_that_are_given_say_how_often(files: Any) -> None:
    surfaces, pairs = files
    mesh = Mesh("left", *MESHES["left"])
    areas = [np.full(N, mesh.areas.mean() * 2)] * 2
    found = smooth_img(pairs[0], FWHM, surfaces=surfaces, areas=areas)
    n = iterations_of(FWHM, mesh, areas[0])
    assert 0 < n < iterations_of(FWHM, mesh)
    wanted = neighbour_means(values(1)["left"], graph_of(MESHES["left"][1].astype(np.intp), N), n)
    close(found.left.darrays[0].data, wanted)


def test_the_width_on_an_inflated_mesh_is_reported() -> None:
    points, faces = icosphere(3)
    ball = SimpleNamespace(coordinates=50 * points, faces=faces)
    parts = {"left": ball, "right": POLY_MESH.parts["right"]}
    inflated = SurfaceImage(SimpleNamespace(parts=parts), image(1).data)
    with pytest.warns(UserWarning, match="the left surface of .* is a sphere: clusters in mm2, TF"):
        smooth_img(inflated, FWHM)


def test_nothing_to_smooth_changes_nothing() -> None:
    for fwhm in (None, 0):
        if fwhm == 0:
            with pytest.warns(UserWarning, match="fwhm is specified as 0"):
                found = smooth_img(image(1), fwhm)
        else:
            found = smooth_img(image(1), fwhm)
        for side, own in values(1).items():
            np.testing.assert_array_equal(found.data.parts[side], own)


def test_what_cannot_be_smoothed_is_refused(files: Any) -> None:
    surfaces, pairs = files
    with pytest.raises(ArgumentError, match="smoothing on a surface need its mesh; give surfaces"):
        smooth_img(pairs[0], FWHM)
    with pytest.raises(ArgumentTypeError, match=r"fwhm is .* one number on a surface"):
        smooth_img(image(1), (4.0, 4.0, 4.0))
    with pytest.raises(ArgumentError, match="fwhm is 900 mm"):
        smooth_img(image(1), 900.0)
    spoilt = image(1)
    spoilt.data.parts["right"][3] = -np.inf
    with pytest.raises(ImageError, match="image 2 in memory, right: 1 infinite value, which"):
        smooth_img([image(2), spoilt], FWHM)
    import pandas as pd

    with pytest.raises(ArgumentError, match="regions have no neighbours"):
        smooth_img(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}), FWHM)
    volume: Any = nib.Nifti1Image(np.ones((3, 3, 3), np.float32), np.eye(4))  # type: ignore[no-untyped-call]
    with pytest.warns(UserWarning, match="surfaces has no effect on volumes"):
        smooth_img(volume, 2.0, surfaces=surfaces)
