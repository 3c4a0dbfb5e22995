# SPDX-License-Identifier: BSD-3-Clause
"""A mesh's areas, neighbours and distances, beside the Workbench's and slow ones of our own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm.errors import ImageError
from groupglm.spaces.surface.mesh import Mesh
from reference.meshes import areas_of, folded, graph_of, icosphere, sphere

pytestmark = pytest.mark.quick

_ORACLE = Path(__file__).parents[1] / "oracles" / "workbench" / "geometry.npz"
EPS32 = float(np.finfo(np.float32).eps)


def stored_mesh() -> Mesh:
    """The mesh of the stored values, whose file held single precision."""
    points, faces = folded(3)
    return Mesh("folded", points.astype(np.float32), faces)


def slow_distances(mesh: Mesh, start: int) -> Any:
    """Every edge is tried until no path becomes shorter."""
    ends = np.concatenate([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    ends = np.concatenate([ends, ends[:, ::-1]])
    lengths = np.linalg.norm(np.subtract(*mesh.coordinates[ends.T]), axis=1)
    found = np.full(mesh.n_vertices, np.inf)
    found[start] = 0
    for _ in range(mesh.n_vertices):
        before = found.copy()
        np.minimum.at(found, ends[:, 1], before[ends[:, 0]] + lengths)
        if np.array_equal(before, found):
            return found
    raise AssertionError("a path passes a vertex twice")


def test_areas_are_those_of_the_workbench() -> None:
    # The Workbench adds up in single precision, some 20 roundings a vertex.
    stored = np.load(_ORACLE)["areas"]
    np.testing.assert_allclose(stored_mesh().areas, stored, rtol=20 * EPS32)


def test_areas_are_thirds_of_the_triangles_and_sum_to_the_surface() -> None:
    points, faces = sphere(300)
    mesh = Mesh("sphere", points, faces)
    np.testing.assert_allclose(mesh.areas, areas_of(points, faces), rtol=1e-12)
    unit, triangles = icosphere(5)
    # By Legendre's theorem a spherical triangle of sides a is a^2 / 8 larger than the flat one of
    # the same sides, and chords are a^2 / 24 shorter than their arcs.
    ball = Mesh("unit", unit, triangles)
    missing = 1 - ball.areas.sum() / (4 * np.pi)
    assert 0 < missing <= 5 / 24 * ball.edges().data.max() ** 2
    corners = [[0, 0, 0], [3, 0, 0], [0, 4, 0], [9, 9, 9]]
    np.testing.assert_allclose(Mesh("triangle", corners, [[0, 1, 2]]).areas, [2, 2, 2, 0])


def test_distances_along_edges_are_the_shortest() -> None:
    mesh, stored = stored_mesh(), np.load(_ORACLE)
    for start in (0, 17, 400):
        found = mesh.distances(start)
        np.testing.assert_allclose(found, slow_distances(mesh, start), rtol=1e-13)
        # A sum of at most 40 edges in single precision.
        np.testing.assert_allclose(found, stored[f"edges_from_{start}"], rtol=40 * EPS32)


def test_paths_over_triangles_are_at_most_as_much_shorter_as_the_largest_angle_lets_them() -> None:
    mesh, stored = stored_mesh(), np.load(_ORACLE)
    corners = mesh.coordinates[mesh.faces]
    sides = np.roll(corners, -1, axis=1) - corners
    sides /= np.linalg.norm(sides, axis=2, keepdims=True)
    largest = np.arccos(-np.einsum("ijk,ijk->ij", sides, np.roll(sides, 1, axis=1))).max()
    for start in (0, 17, 400):
        others = np.arange(mesh.n_vertices) != start
        ratio = mesh.distances(start)[others] / stored[f"triangles_from_{start}"][others]
        assert ratio.min() >= 1 - 40 * EPS32
        assert ratio.max() <= 1 / np.cos(largest / 2)


def test_distances_on_a_plane_of_even_triangles_are_within_the_stated_bound() -> None:
    i, j = np.indices((21, 21)).reshape(2, -1)
    plane = np.stack([i + j / 2, j * 3**0.5 / 2, 0 * i], axis=1)
    first = np.arange(441).reshape(21, 21)[:-1, :-1].ravel()
    faces = np.concatenate(
        [
            np.stack([first, first + 21, first + 1], 1),
            np.stack([first + 1, first + 21, first + 22], 1),
        ]
    )
    along = Mesh("plane", plane, faces).distances(220)
    straight = np.linalg.norm(plane - plane[220], axis=1)
    # From the middle no shortest path is cut off by the rim.
    assert np.all(along >= straight - 1e-12)
    ratio = along[straight > 0] / straight[straight > 0]
    assert ratio.max() == pytest.approx(2 / 3**0.5, rel=1e-12)


def test_distances_stop_at_the_limit() -> None:
    mesh = stored_mesh()
    whole, cut = mesh.distances(5), mesh.distances(5, limit=30.0)
    np.testing.assert_array_equal(cut, np.where(whole <= 30, whole, np.inf))
    assert 0 < np.isinf(cut).sum() < mesh.n_vertices


def test_neighbours_share_an_edge() -> None:
    points, faces = sphere(300)
    mesh = Mesh("sphere", points, faces)
    starts, places = mesh.neighbours().adjacency()
    graph = graph_of(faces, 300)
    graph.sort_indices()
    np.testing.assert_array_equal(starts, graph.indptr)
    np.testing.assert_array_equal(places, graph.indices)
    lengths = np.linalg.norm(
        points[np.repeat(range(300), np.diff(starts))] - points[places], axis=1
    )
    np.testing.assert_allclose(mesh.edges().data, lengths, rtol=1e-14)
    some = np.flatnonzero(np.arange(300) % 3)
    starts, places = mesh.restricted(some).adjacency()
    graph = graph[some][:, some]
    graph.sort_indices()
    np.testing.assert_array_equal(starts, graph.indptr)
    np.testing.assert_array_equal(places, graph.indices)
    whole = np.diff(mesh.neighbours().adjacency()[0])
    np.testing.assert_array_equal(mesh.degrees(some), whole[some])


def test_a_pickle_holds_the_mesh_alone() -> None:
    mesh = stored_mesh()
    before = len(pickle.dumps(mesh))
    mesh.distances(0), mesh.neighbours(), mesh.areas, mesh.digest
    assert len(pickle.dumps(mesh)) == before
    again = pickle.loads(pickle.dumps(mesh))  # noqa: S301
    assert again.digest == mesh.digest
    np.testing.assert_array_equal(again.areas, mesh.areas)
    moved = mesh.coordinates.copy()
    moved[7, 1] = np.nextafter(moved[7, 1], 99)
    assert Mesh("moved", moved, mesh.faces).digest != mesh.digest
    assert Mesh("turned", mesh.coordinates, mesh.faces[:, [1, 2, 0]]).digest != mesh.digest


@pytest.mark.parametrize(
    ("points", "faces", "message"),
    [
        (np.zeros((3, 2)), [[0, 1, 2]], r"m: its coordinates are float64 of shape \(3, 2\)"),
        (np.zeros((3, 3), "U1"), [[0, 1, 2]], "m: its coordinates are <U1"),
        ([[0, 0, 0], [1, np.nan, 0], [0, 1, 0]], [[0, 1, 2]], "1 vertex are not finite .*vertex 1"),
        ([[0, 0, 0], [1, np.inf, 0], [0, 1, 0]], [[0, 1, 2]], "vertex 1"),
        # A signalling NaN, as damaged bytes may be.
        (np.full((3, 3), 0x7F800001, np.uint32).view(np.float32), [[0, 1, 2]], "3 vertices are"),
        (np.eye(3), [[0, 1, 3]], r"face 0 has the vertices \[0, 1, 3\], but .* 0 to 2"),
        (np.eye(3), [[0, 1, 2], [-1, 1, 0]], "face 1 has the vertices"),
        (np.eye(3), [[0, 1, 2], [2, 1, 2]], r"face 1 has the vertices \[2, 1, 2\], one of them"),
        (np.eye(3), [[0.0, 1.0, 2.0]], "its faces are float64"),
        (np.eye(3), [[0, 1]], r"its faces are int64 of shape \(1, 2\)"),
        (np.eye(3), np.zeros((0, 3), int), r"its faces are int64 of shape \(0, 3\)"),
        (np.eye(3), [[2**32, 2**32 + 1, 2**32 + 2]], "face 0 has the vertices"),
    ],
)
def test_what_is_no_mesh_is_refused(points: Any, faces: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Mesh("m", np.asarray(points), np.asarray(faces))


def test_a_mesh_does_not_change_with_the_caller_s_arrays() -> None:
    points, faces = folded(2)
    mesh = Mesh("mesh", points, faces)
    before = mesh.coordinates.copy()
    points += 1
    faces[:] = 0
    np.testing.assert_array_equal(mesh.coordinates, before)
    with pytest.raises(ValueError, match="read-only"):
        mesh.coordinates[0] = 0
    assert mesh.areas.min() > 0


def test_surfaces_without_folds_look_unreal() -> None:
    points, faces = folded(4)
    assert Mesh("folded", points, faces).looks_unreal() is None
    ball, faces = icosphere(4)
    assert Mesh("sphere", ball * 100 + [3, 4, 5], faces).looks_unreal() == "a sphere"
    assert Mesh("long", ball * [28, 62, 45], faces).looks_unreal() == "inflated"
    assert Mesh("flat", points * [1, 1, 0], faces).looks_unreal() == "flat"
    # What a file declares comes first.
    assert Mesh("smooth brain", ball * [28, 62, 45], faces, "Anatomical").looks_unreal() is None
    assert Mesh("folded", points, faces, "VeryInflated").looks_unreal() == "inflated"
    assert Mesh("folded", points, faces, "VERY_INFLATED").looks_unreal() == "inflated"


@pytest.mark.parametrize(
    ("file", "word"),
    [("pial", None), ("white", None), ("infl", "inflated"), ("sphere", "a sphere")],
)
def test_fsaverage_looks_as_it_is(file: str, word: str | None) -> None:
    nilearn = pytest.importorskip("nilearn")
    import nibabel as nib

    folder = Path(nilearn.__file__).parent / "datasets" / "data" / "fsaverage5"
    image: Any = nib.load(folder / f"{file}_left.gii.gz")
    assert Mesh(file, image.agg_data("pointset"), image.agg_data("triangle")).looks_unreal() == word
