# SPDX-License-Identifier: BSD-3-Clause
"""Clusters, peaks and their table on surfaces, beside slow ones of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import (
    cluster_level_inference,
    get_clusters_table,
    non_parametric_inference,
    threshold_stats_img,
)
from groupglm.inference.arguments import refuse_clusters
from groupglm.inference.cluster_table import tabulate
from groupglm.inference.peaks import find_clusters
from groupglm.inference.survivors import survivors
from groupglm.spaces.composite import CompositeSpace
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.mesh import Mesh
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.clusters import graph_labels
from reference.meshes import areas_of, folded, graph_of, icosphere, write_surface
from reference.surface_files import gifti_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

pytestmark = pytest.mark.quick

SIDES = ("left", "right")
FULL = [
    "Cluster ID", "Structure", "Vertex", "X", "Y", "Z", "Peak Stat", "Cluster Size (mm2)",
    "Vertices",
]  # fmt: skip


def hemisphere(side: str) -> HemisphereSpace:
    mesh = Mesh(side, *folded(3, side))
    return HemisphereSpace(side, mesh.n_vertices, mesh=mesh)


def pair() -> CompositeSpace:
    return CompositeSpace({side: hemisphere(side) for side in SIDES})


def smooth(side: str, seed: int, n_rounds: int = 3) -> Floats:
    points, faces = folded(3, side)
    graph = graph_of(faces, len(points))
    row = np.random.default_rng([seed, SIDES.index(side)]).standard_normal(len(points))
    for _ in range(n_rounds):
        row = (row + graph @ row) / (1 + np.diff(graph.indptr))
    return np.asarray(2 * row / row.std())


def write_maps(folder: Path, rows: dict[str, Floats]) -> tuple[Any, Any]:
    """Write a map of each side and its surface, as (maps, surfaces)."""
    maps, surfaces = [], []
    for side, row in rows.items():
        letter = side[0].upper()
        gifti: Any = nib.gifti
        image: Any = gifti.GiftiImage(
            darrays=[gifti.GiftiDataArray(row.astype(np.float32), "NIFTI_INTENT_ZSCORE")]
        )
        image.meta["AnatomicalStructurePrimary"] = f"Cortex{side.capitalize()}"
        maps.append(folder / f"hemi-{letter}_stat-z.func.gii")
        nib.save(image, maps[-1])
        surface = folder / f"hemi-{letter}_white.surf.gii"
        surfaces.append(write_surface(surface, *folded(3, side), side=side))
    return tuple(maps), tuple(surfaces)


def test_areas_and_numbers_of_vertices_are_those_of_the_graph() -> None:
    rows = {side: smooth(side, 0) for side in SIDES}
    found = tabulate(pair(), np.concatenate(list(rows.values())), 1.5, two_sided=True)
    assert list(found.table) == FULL
    heads = found.table[found.table["Vertices"] != ""]
    n_found = 0
    for side, row in rows.items():
        points, faces = folded(3, side)
        areas, graph = areas_of(points, faces), graph_of(faces, len(points))
        for sign in (1, -1):
            labels = graph_labels(graph, sign * row > 1.5)
            own = heads[(heads["Structure"] == side) & (sign * heads["Peak Stat"] > 0)]
            n_found += len(own)
            assert len(own) == labels.max()
            for _, line in own.iterrows():
                inside = labels == labels[line["Vertex"]]
                assert line["Peak Stat"] == row[line["Vertex"]] == sign * (sign * row)[inside].max()
                assert line["Vertices"] == inside.sum()
                assert line["Cluster Size (mm2)"] == pytest.approx(areas[inside].sum(), rel=1e-12)
                assert line[["X", "Y", "Z"]].tolist() == points[line["Vertex"]].tolist()
    assert n_found == len(heads) > 10


def test_subpeaks_are_apart_along_the_edges() -> None:
    space = hemisphere("left")
    mesh = space.mesh
    assert mesh is not None
    row = smooth("left", 1, n_rounds=1)
    lengths = np.stack([mesh.distances(vertex) for vertex in range(mesh.n_vertices)])
    straight = np.linalg.norm(mesh.coordinates[:, None] - mesh.coordinates, axis=2)
    n_between = 0
    for distance in (8.0, 25.0, 60.0):
        found = find_clusters(space, row, 0.5, min_distance=distance, most=4)
        every = find_clusters(space, row, 0.5, min_distance=0.0, most=10_000)
        for peaks, others in zip(found.peaks, every.peaks, strict=True):
            kept = [int(others.places[0])]
            for place in others.places[1:].tolist():
                if len(kept) < 4 and lengths[kept[-1], place] > distance:
                    n_between += int(straight[kept[-1], place] <= distance)
                    kept.append(place)
            assert peaks.places.tolist() == kept
    assert n_between > 0  # nearer than that through the air: the choice shows it


def test_a_peak_is_exceeded_by_none_of_its_one_ring() -> None:
    space, row = hemisphere("left"), smooth("left", 2, n_rounds=1)
    points, faces = folded(3, "left")
    graph = graph_of(faces, len(points))
    found = find_clusters(space, row, 0.5, min_distance=0.0, most=10_000)
    peaks = {place for own in found.peaks for place in own.places.tolist()}
    beside = [graph[[vertex]].indices for vertex in range(len(points))]
    wanted = {v for v in range(len(points)) if row[v] > 0.5 and row[v] > row[beside[v]].max()}
    assert peaks == wanted


def test_the_peak_of_equal_values_is_in_their_middle() -> None:
    space = hemisphere("left")
    mesh = space.mesh
    assert mesh is not None
    inside = np.flatnonzero(mesh.distances(100, 40.0) < 40)
    row = np.zeros(space.n_values)
    row[inside] = 5.0
    (peaks,) = find_clusters(space, row, 1.0, min_distance=8.0, most=4).peaks
    at = mesh.coordinates[inside]
    nearest = inside[np.argmin(np.linalg.norm(at - at.mean(axis=0), axis=1))]
    assert peaks.places.tolist() == [nearest]


def test_clusters_smaller_than_one_mm2_can_be_too_small() -> None:
    points, faces = folded(3, "left")
    mesh = Mesh("small", points / 100, faces)
    space = HemisphereSpace("left", mesh.n_vertices, mesh=mesh)
    row = smooth("left", 0)
    every = tabulate(space, row, 1.5, two_sided=False).table
    sizes = every["Cluster Size (mm2)"][every["Vertices"] != ""].astype(float).sort_values()
    assert sizes.iloc[-1] < 1
    limit = float(sizes.iloc[-2:].mean())
    kept = tabulate(space, row, 1.5, two_sided=False, cluster_threshold=limit).table
    assert (kept["Vertices"] != "").sum() == 1
    labels = graph_labels(graph_of(faces, len(points)), row >= 1.5)
    largest = np.bincount(labels, mesh.areas)[labels] >= limit
    found = survivors(space, row, 1.5, limit, two_sided=False)
    np.testing.assert_array_equal(found.row, np.where((labels > 0) & largest, row, 0))


def test_vertices_and_voxels_in_one_table() -> None:
    volume = VolumeSpace(Grid((6, 5, 4), np.diag([3.0, 3, 3, 1])))
    space = CompositeSpace({"left": hemisphere("left"), "subcortex": volume})
    voxels = np.zeros((6, 5, 4))
    voxels[2:4, 1, 1], voxels[5, 4, 3] = (9.0, 8.0), -9.5
    row = np.concatenate([smooth("left", 0), voxels.ravel(order="F")])
    table = tabulate(space, row, 4.0, two_sided=True).table
    assert list(table) == [*FULL[:7], "Cluster Size", "Unit", "Vertices"]
    own = table[table["Structure"] == "subcortex"]
    assert own["Cluster Size"].tolist() == [2, 1]
    assert own["Unit"].tolist() == ["voxels", "voxels"]
    assert own["Vertex"].tolist() == own["Vertices"].tolist() == ["", ""]
    assert own[["X", "Y", "Z"]].to_numpy().tolist() == [[6, 3, 3], [15, 12, 9]]
    cortex = table[table["Structure"] == "left"]
    assert len(cortex) > 0
    assert set(cortex["Unit"]) <= {"mm2", ""}
    assert (cortex["Vertex"] != "").all()


def test_files_with_their_surfaces(tmp_path: Path) -> None:
    rows = {side: smooth(side, 3).astype(np.float32).astype(float) for side in SIDES}
    maps, surfaces = write_maps(tmp_path, rows)
    table, (labels,) = get_clusters_table(maps, 1.5, return_label_maps=True, surfaces=surfaces)
    assert list(table) == FULL
    meshes = {
        side: Mesh(side, folded(3, side)[0].astype(np.float32), folded(3, side)[1])
        for side in SIDES
    }
    members = {
        side: HemisphereSpace(side, mesh.n_vertices, mesh=mesh) for side, mesh in meshes.items()
    }
    found = tabulate(CompositeSpace(members), np.concatenate(list(rows.values())), 1.5,
                     two_sided=False)  # fmt: skip
    pd.testing.assert_frame_equal(table, found.table, check_dtype=False)
    numbers = np.concatenate([labels.left.darrays[0].data, labels.right.darrays[0].data])
    np.testing.assert_array_equal(numbers, found.labels[0])
    # Areas of one's own count instead of the mesh's.
    areas = tuple(np.full(len(row), 2.0) for row in rows.values())
    doubled = get_clusters_table(maps, 1.5, surfaces=surfaces, areas=areas)
    own = doubled["Vertices"] != ""
    assert (doubled["Cluster Size (mm2)"][own] == 2.0 * doubled["Vertices"][own]).all()
    size = float(np.median(doubled["Cluster Size (mm2)"][own].astype(float)))
    kept, _ = threshold_stats_img(
        maps, threshold=1.5, height_control=None, cluster_threshold=size, two_sided=False,
        surfaces=surfaces, areas=areas,
    )  # fmt: skip
    shown: Any = kept
    counts = np.concatenate([shown.left.darrays[0].data, shown.right.darrays[0].data])
    wanted = np.bincount(numbers)[numbers] * 2.0 >= size
    np.testing.assert_array_equal(counts != 0, wanted & (numbers > 0))


def test_what_needs_neighbours_says_so(tmp_path: Path) -> None:
    maps, surfaces = write_maps(tmp_path, {side: smooth(side, 3) for side in SIDES})
    wanted = r"need its mesh; give surfaces=\(left, right\), a pair of .surf.gii files of 642"
    # Also where nothing passes the threshold.
    with pytest.raises(ValueError, match=wanted):
        get_clusters_table(maps, 100.0)
    with pytest.raises(ValueError, match=wanted):
        cluster_level_inference(maps, threshold=100.0)
    with pytest.raises(ValueError, match=wanted):
        threshold_stats_img(maps, cluster_threshold=5)
    threshold_stats_img(maps)
    with pytest.warns(UserWarning, match="areas has no effect on proportions"):
        cluster_level_inference(maps, surfaces=surfaces, areas=(np.ones(642), np.ones(642)))


def test_regions_have_no_clusters() -> None:
    regions = pd.Series(np.random.default_rng(0).normal(size=30), [f"r{i}" for i in range(30)])
    for refused in (
        lambda: get_clusters_table(regions, 100.0),
        lambda: cluster_level_inference(regions, threshold=100.0),
        lambda: threshold_stats_img(regions, cluster_threshold=5),
    ):
        with pytest.raises(ValueError, match="regions have no neighbours, and so no clusters"):
            refused()


def test_an_area_of_zero_is_named() -> None:
    areas = np.ones(642)
    areas[7] = 0
    space = HemisphereSpace("left", 642, mesh=hemisphere("left").mesh, areas=areas)
    refuse_clusters(space, "stat_img", "is a map")
    with pytest.raises(
        ValueError, match=r"the area of vertex 7, left, .* mm is 0 mm2, but every vertex"
    ):
        tabulate(space, smooth("left", 0), 1.0, two_sided=False, cluster_threshold=1)
    outside = np.arange(642) != 7
    assert space.restrict(outside).weights() is not None


@pytest.mark.parametrize("asked", [{"threshold": 0.01}, {"tfce": True}])
def test_a_permutation_test_refuses_clusters_before_it_reads(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    design = pd.DataFrame({"one": np.ones(4)})
    files = [tmp_path / f"sub-{number}_hemi-L.func.gii" for number in range(4)]
    for file in files:
        # What the header says is right, and reading the values would fail.
        file.write_text(gifti_text(np.ones(30, np.float32), data="no numbers"))
    with pytest.raises(ValueError, match="need its mesh; give surfaces"):
        non_parametric_inference(files, design_matrix=design, n_perm=10, **asked)
    table = pd.DataFrame(np.ones((4, 3)), columns=list("abc"))
    read = {"n": 0}

    def reading(*_: Any) -> None:
        read["n"] += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("groupglm.spaces.table.space.RegionSpace.read_row", reading)
        with pytest.raises(ValueError, match="have no neighbours"):
            non_parametric_inference(table, design_matrix=design, n_perm=10, **asked)
    assert read["n"] == 0


def test_areas_that_are_no_cortex_s_are_told_once(tmp_path: Path) -> None:
    """Not once a cluster, as each asks for the areas; and it is one warning of both hemispheres."""
    cifti: Any = nib.cifti2  # has no types
    points, faces = icosphere(3)
    balls = [
        write_surface(tmp_path / f"hemi-{side[0].upper()}_ball.surf.gii", points, faces, side=side)
        for side in ("left", "right")
    ]
    axes = [
        cifti.BrainModelAxis.from_surface(np.arange(len(points)), len(points), f"Cortex{side}")
        for side in ("Left", "Right")
    ]
    row = np.random.default_rng(0).standard_normal((1, 2 * len(points)))
    image = cifti.Cifti2Image(row, (cifti.ScalarAxis(["z"]), axes[0] + axes[1]))
    with pytest.warns(UserWarning, match=r"L_ball\S* is a sphere and \S*R_ball") as caught:
        table = get_clusters_table(image, 1.5, surfaces=balls)
    assert len(table) > 20
    assert sum("sphere" in str(one.message) for one in caught) == 1
