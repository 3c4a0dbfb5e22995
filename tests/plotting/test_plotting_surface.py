# SPDX-License-Identifier: BSD-3-Clause
"""A vertex is drawn at its millimetres, before what is behind it, in the colour of its value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from groupglm.plotting.colors import LIGHT
from groupglm.plotting.scale import Scale
from groupglm.plotting.surface import raster
from groupglm.plotting.surface.hemispheres import hemispheres_of
from groupglm.plotting.surface.painting import Sight
from groupglm.plotting.surface.raster import rasterise
from groupglm.plotting.surface.relief import Relief
from groupglm.plotting.surface.scene import Scene, Writing
from groupglm.plotting.surface.shading import Shading, shades_by_depth
from groupglm.plotting.surface.views import VIEWS, camera_of
from groupglm.spaces.composite import CompositeSpace
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.mesh import Mesh
from reference.meshes import folded, icosphere

DPI = 40
WRITING = Writing(LIGHT, None, "z", colorbar=False, annotate=False)


def _soup(seed: int, n: int = 60) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return triangles of any size at any place, many of them behind each other."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-4, 24, (3 * n, 3))
    places[: 3 * n // 2, :2] = rng.uniform(5, 9, (3 * n // 2, 2))
    return places, np.arange(3 * n, dtype=np.int32).reshape(n, 3)


def _slowly(
    places: NDArray[np.float64], faces: NDArray[np.int32], x: float, y: float
) -> tuple[int, float]:
    """Return the nearest triangle at a place, and how far its edges and its depth are from another.

    Each triangle is asked alone, by the areas of the three triangles that the place makes with its
    edges.
    """
    depths, margin = {}, math.inf
    for number, face in enumerate(faces):
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = places[face]
        areas = [
            (bx - x) * (cy - y) - (cx - x) * (by - y),
            (cx - x) * (ay - y) - (ax - x) * (cy - y),
            (ax - x) * (by - y) - (bx - x) * (ay - y),
        ]
        whole = sum(areas)
        margin = min(margin, *(abs(area / whole) for area in areas))
        if all(area / whole > 0 for area in areas):
            depths[number] = (areas[0] * az + areas[1] * bz + areas[2] * cz) / whole
    if not depths:
        return -1, margin
    first, *others = sorted(depths, key=lambda number: -depths[number])
    if others:
        margin = min(margin, depths[first] - depths[others[0]])
    return first, margin


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("at_once", [1, 97, 500_000])
def test_the_triangle_in_front_is_that_of_brute_force(
    seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster, "_AT_ONCE", at_once)
    places, faces = _soup(seed)
    corner, step, shape = (-1.3, 0.4), 0.71, (23, 29)
    found = rasterise(places, faces, corner, step, shape)
    n_compared = 0
    for row, column in np.ndindex(*shape):
        x, y = corner[0] + (column + 0.5) * step, corner[1] + (row + 0.5) * step
        expected, margin = _slowly(places, faces, x, y)
        if margin < 1e-9:  # on an edge, or two as near: rounding decides
            continue
        n_compared += 1
        face = found.faces[row, column]
        assert face == expected
        if face >= 0:  # the weights lead back to the middle of the pixel
            at = found.weights[row, column] @ places[faces[face]]
            np.testing.assert_allclose(at[:2], [x, y], atol=1e-9)
    assert n_compared > 0.99 * np.prod(shape)
    assert len(np.unique(found.faces)) > 10


def test_of_equally_near_triangles_the_last_is_drawn() -> None:
    places = np.array([[0.0, 0, 1], [9, 0, 1], [0, 9, 1]] * 3)
    faces = np.arange(9, dtype=np.int32).reshape(3, 3)
    found = rasterise(places, faces, (0.0, 0.0), 1.0, (8, 8)).faces
    assert set(np.unique(found)) == {-1, 2}


def test_no_pixel_falls_between_two_triangles() -> None:
    coordinates, faces = icosphere(3)
    found = rasterise(coordinates, faces, (-1.0, -1.0), 0.01, (200, 200)).faces
    y, x = np.mgrid[-0.995:1:0.01, -0.995:1:0.01]
    # Edges of an angle a < 0.2 lie inside the circle by at most r (1 - cos(a / 2)).
    inside = np.hypot(x, y) < 1 - 0.005
    assert (found[inside] >= 0).all()
    assert (found[np.hypot(x, y) > 1] == -1).all()


def test_triangles_seen_from_their_edge_and_those_beyond_the_picture_are_not_drawn() -> None:
    places = np.array([[0.0, 0, 0], [5, 0, 9], [9, 0, 3], [20, 20, 0], [25, 20, 0], [20, 25, 0]])
    faces = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    found = rasterise(places, faces, (-0.5, -0.5), 1.0, (10, 10))
    assert (found.faces == -1).all()
    assert not found.weights.any()


def test_large_triangles_behind_each_other_take_a_coarser_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places, faces = _soup(3)
    fine = rasterise(places, faces, (0.0, 0.0), 0.5, (41, 37))
    monkeypatch.setattr(raster, "_MOST", 2000)
    coarse = rasterise(places, faces, (0.0, 0.0), 0.5, (41, 37))
    assert coarse.faces.shape == fine.faces.shape
    blocks = coarse.faces[:40, :36].reshape(20, 2, 18, 2)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert 0.5 < (coarse.faces == fine.faces).mean() < 1


def _hemispheres(level: int = 2) -> Any:
    """Return both hemispheres, folded, of different shapes."""
    members = {
        side: HemisphereSpace(side, len(mesh[0]), None, Mesh(side, *mesh))
        for side, mesh in ((side, folded(level, side)) for side in ("left", "right"))
    }
    return hemispheres_of(CompositeSpace(members))


def _coloured(figure: Any, ax: Any) -> NDArray[np.float64]:
    """Return the places in mm, shape (n, 2), of the coloured pixels of a view."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    buffer: Any = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    pixels = np.asarray(buffer)[..., :3].astype(int)
    rows, columns = np.nonzero(np.ptp(pixels, axis=-1) > 60)
    places = np.column_stack([columns + 0.5, len(pixels) - rows - 0.5])
    box = ax.get_window_extent()
    inside = (places >= box.min).all(axis=1) & (places <= box.max).all(axis=1)
    found: NDArray[np.float64] = ax.transData.inverted().transform(places[inside])
    return found


def test_a_vertex_is_drawn_at_its_place_where_it_faces_the_viewer() -> None:
    hemispheres = _hemispheres()
    scene = Scene(hemispheres, [Shading.of(None).shades(one) for one in hemispheres], VIEWS, DPI)
    for number, own in enumerate(hemispheres):
        # The outermost vertex in each direction cannot be hidden.
        for axis in range(3) if number == 0 else (0,):
            for sign in (1, -1):
                vertex = int((sign * own.mesh.coordinates[:, axis]).argmax())
                values = [np.zeros(one.mesh.n_vertices) for one in hemispheres]
                values[number][vertex] = 9.0
                figure = scene.draw(values, Scale.of(values[number], None, None, dark=False),
                                    WRITING)  # fmt: skip
                seen = {str(ax.get_label()): _coloured(figure, ax) for ax in figure.axes}
                from_there = {
                    f"{own.side} {view}"
                    for view in VIEWS
                    if camera_of(view, own.side).toward == (axis, sign)
                }
                opposite = {
                    f"{own.side} {view}"
                    for view in VIEWS
                    if camera_of(view, own.side).toward == (axis, -sign)
                }
                assert from_there <= {name for name, found in seen.items() if len(found)}
                assert not any(len(seen[name]) for name in opposite)
                other = {"left": "right", "right": "left"}[own.side]
                assert not any(len(found) for name, found in seen.items() if other in name)
                _check_places(seen, own, vertex)


def _check_places(seen: dict[Any, Any], own: Any, vertex: int) -> None:
    """Compare the coloured pixels of every view with the vertex's part of its triangles."""
    faces = own.mesh.faces
    around = own.mesh.coordinates[np.unique(faces[(faces == vertex).any(axis=1)])]
    for name, found in seen.items():
        if not len(found):
            continue
        camera = camera_of(name.split()[1], own.side)
        axes = [camera.right[0], camera.up[0]]
        # Two thirds of the way to a neighbour is the farthest point nearest to a vertex, and a
        # pixel is under 0.02 of the size of the mesh.
        reach = np.abs(around - own.mesh.coordinates[vertex]).max(axis=0)[axes] * 2 / 3
        slack = 0.02 * np.ptp(own.mesh.coordinates)
        off = np.abs(found - own.mesh.coordinates[vertex][axes])
        assert (off <= reach + slack).all(), name


def test_the_views_are_those_of_a_subject() -> None:
    """From the left the front is on the left; from the front the subject's left is on the right."""
    front, top, left = np.eye(3)[[1]], np.eye(3)[[2]], -np.eye(3)[[0]]
    for view, side, right, up, near in [
        ("lateral", "left", -front, top, left),
        ("medial", "left", front, top, -left),
        ("lateral", "right", front, top, -left),
        ("medial", "right", -front, top, left),
        ("dorsal", "left", -left, front, top),
        ("ventral", "right", left, front, -top),
        ("anterior", "left", left, top, front),
        ("posterior", "right", -left, top, -front),
    ]:
        camera = camera_of(view, side)
        found = np.vstack([camera.project(one) for one in (right, up, near)])
        np.testing.assert_array_equal(found, np.eye(3))
        # No view is mirrored: right, up and toward the viewer are a right-handed system.
        assert np.linalg.det(np.vstack([right, up, near])) == pytest.approx(1)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_cut_off_and_all_views_have_one_scale(view: str) -> None:
    hemispheres = _hemispheres()
    scene = Scene(hemispheres, [Shading.of(None).shades(one) for one in hemispheres], [view], DPI)
    ones = [np.ones(one.mesh.n_vertices) for one in hemispheres]
    figure = scene.draw(ones, Scale.of(ones[0], None, None, dark=False), WRITING)
    per_mm = set()
    for ax, own in zip(figure.axes, hemispheres, strict=True):
        found = _coloured(figure, ax)
        camera = camera_of(view, own.side)
        places = own.mesh.coordinates[:, [camera.right[0], camera.up[0]]]
        pixel = 0.02 * np.ptp(places)
        np.testing.assert_allclose(found.min(axis=0), places.min(axis=0), atol=pixel)
        np.testing.assert_allclose(found.max(axis=0), places.max(axis=0), atol=pixel)
        inside = np.sort(np.array([ax.get_xlim(), ax.get_ylim()]), axis=1)
        assert (places.min(axis=0) > inside[:, 0]).all()
        assert (places.max(axis=0) < inside[:, 1]).all()
        box = ax.get_window_extent()
        per_mm |= {box.width / np.ptp(ax.get_xlim()), box.height / np.ptp(ax.get_ylim())}
    assert max(per_mm) / min(per_mm) < 1.02


def test_each_sample_has_the_colour_of_the_value_of_its_nearest_vertex() -> None:
    mesh = Mesh("sphere", *icosphere(2))
    values = np.linspace(-5, 5, mesh.n_vertices)
    values[::7] = np.nan
    values[3], values[5] = np.inf, -np.inf
    scale = Scale.of(np.nan_to_num(values, posinf=np.inf, neginf=-np.inf), 2.0, None, dark=True)
    camera = camera_of("dorsal", "left")
    shades = np.linspace(0.2, 0.8, mesh.n_vertices)
    sight = Sight.of(Relief(mesh), shades, camera, 0.02)
    picture = sight.paint(values, scale)
    left, _, bottom, _ = sight.box
    n_shown = n_grey = 0
    for row, column in np.ndindex(*picture.shape[:2]):
        x, y = left + (column + 0.5) * 0.02, bottom + (row + 0.5) * 0.02
        if np.hypot(x, y) > 0.9:
            continue
        # On a sphere, seen from above, the nearest vertex is that of the nearest place; where two
        # are about as near, the border of their parts of a flat triangle is elsewhere.
        place = np.array([x, y, math.sqrt(1 - x * x - y * y)])
        distances = np.sort(np.linalg.norm(mesh.coordinates - place, axis=1))
        if distances[1] - distances[0] < 0.1:
            continue
        value = values[np.linalg.norm(mesh.coordinates - place, axis=1).argmin()]
        colour = picture[row, column]
        assert colour[3] == 255
        if not abs(value) > 2:  # NaN too
            assert np.ptp(colour[:3].astype(int)) == 0
            n_grey += 1
            continue
        finite = np.clip(value, -scale.vmax, scale.vmax)
        expected = np.round(255 * np.array(scale.cmap((finite + scale.vmax) / (2 * scale.vmax))))
        np.testing.assert_allclose(colour[:3], expected[:3], atol=1)
        n_shown += 1
    assert n_shown > 300
    assert n_grey > 100


@pytest.mark.parametrize("turned", [False, True])
def test_the_curvature_of_a_sphere_is_one_by_its_radius(turned: bool) -> None:
    for level, tolerance in ((0, 1e-12), (4, 5e-3)):
        coordinates, faces = icosphere(level)
        mesh = Mesh("sphere", 40.0 * coordinates, faces[:, ::-1] if turned else faces)
        relief = Relief(mesh)
        # For a neighbour at a distance e on a sphere, d = e^2 / 2r is exact along its radius. A
        # vertex among uneven triangles has a normal that is off by up to 0.02, and neighbours whose
        # middle is to its side by up to a fifth of d.
        np.testing.assert_allclose(relief.curvature, 1 / 40, rtol=tolerance)
        np.testing.assert_allclose(relief.normals, coordinates, atol=0.02)


def test_the_curvature_is_positive_on_crowns_and_negative_in_sulci() -> None:
    coordinates, faces = icosphere(4)
    waves = np.sin(6 * coordinates[:, 0])
    mesh = Mesh("waves", 40 * coordinates * (1 + 0.1 * waves[:, np.newaxis]), faces)
    # By theory, of 1/40 mm: (1 - 3.6 (1 - x^2) + 1) / 2 about x = -0.26, a sulcus along a circle.
    around = np.abs(coordinates[:, 0]) < 0.5
    curvature = Relief(mesh).curvature
    assert curvature[around & (waves > 0.9)].min() > 0.02
    assert curvature[around & (waves < -0.9)].max() < 0


def test_only_what_faces_the_viewer_is_drawn_of_a_closed_mesh_and_nothing_is_lost() -> None:
    coordinates, faces = folded(3)
    closed = Relief(Mesh("closed", coordinates, faces))
    assert closed.is_closed
    for open_faces in (faces[1:], np.vstack([faces[:1, ::-1], faces[1:]])):
        relief = Relief(Mesh("open", coordinates, open_faces))
        assert not relief.is_closed
        np.testing.assert_array_equal(relief.facing((2, 1)), open_faces)
    camera = camera_of("lateral", "left")
    projected = camera.project(coordinates)
    facing = closed.facing(camera.toward)
    assert 0.3 * len(faces) < len(facing) < 0.7 * len(faces)
    low, size = projected.min(axis=0) - 0.01, np.ptp(projected, axis=0).max()
    given = ((low[0], low[1]), size / 120, (125, 125))
    whole = rasterise(projected, faces, *given).faces
    seen = rasterise(projected, facing, *given).faces
    inside = whole >= 0
    np.testing.assert_array_equal(seen >= 0, inside)
    np.testing.assert_array_equal(facing[seen[inside]], faces[whole[inside]])


def test_depth_is_dark_where_it_is_large_and_may_be_missing_or_constant() -> None:
    depth = np.array([-2.0, -1, 0, 1, 2, np.nan])
    shades = shades_by_depth(depth)
    assert (np.diff(shades[:5]) < 0).all()
    assert shades[5] == shades[2]
    assert ((shades > 0) & (shades < 1)).all()
    for constant in (np.zeros(4), np.full(4, np.nan)):
        assert np.ptp(shades_by_depth(constant)) == 0


def test_one_hemisphere_has_its_views_in_one_row() -> None:
    left = _hemispheres()[:1]
    scene = Scene(left, [Shading.of(None).shades(left[0])], ["lateral", "medial"], DPI)
    assert scene.rows == [[(0, "lateral"), (0, "medial")]]
    values = [np.ones(left[0].mesh.n_vertices)]
    figure = scene.draw(values, Scale.of(values[0], None, None, dark=False), WRITING)
    assert [ax.get_label() for ax in figure.axes] == ["left lateral", "left medial"]
    tops = {round(ax.get_position().y1, 6) for ax in figure.axes}
    assert len(tops) == 1
