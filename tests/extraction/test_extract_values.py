# SPDX-License-Identifier: BSD-3-Clause
"""Values in regions: nilearn's maskers, scipy's means, and counts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import NiftiLabelsMasker, NiftiSpheresMasker
from scipy import ndimage
from scipy.sparse.csgraph import dijkstra

import groupglm
from groupglm import SecondLevelModel, Sphere, extract_values, load_atlas
from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.spaces.surface.mesh import Mesh
from reference.meshes import folded, metric_image, surface_image
from reference.oracle import quietly

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

nib: Any = nibabel  # typed only in part
SHAPE, N = (11, 12, 13), 6
AFFINE = np.array([[-3.0, 0, 0, 15], [0, 3, 0, -15], [0, 0, 3, -18], [0, 0, 0, 1]])
NAMES = {1: "front", 2: "middle", 5: "back"}
DESIGN = pd.DataFrame({"age": np.arange(N) - 2.5, "intercept": 1.0})


def image(values: NDArray[Any]) -> Any:
    return nib.Nifti1Image(values, AFFINE)


def data(seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(N, *SHAPE)) + 100


def blocks() -> NDArray[np.int16]:
    labels = np.zeros(SHAPE, np.int16)
    labels[:, :4], labels[:, 4:6], labels[2:9, 8:11] = 1, 2, 5
    return labels


def wide(table: pd.DataFrame, column: str = "value") -> NDArray[np.float64]:
    """Images in rows, regions in columns, in the order of the table."""
    return table[column].to_numpy().reshape(table["subject"].nunique(), -1)


def test_means_in_an_atlas_are_those_of_nilearn_and_scipy() -> None:
    values, labels = data(), blocks()
    images = [image(own) for own in values]
    table = extract_values(images, load_atlas(image(labels), NAMES), design_matrix=DESIGN)
    assert list(table) == [
        "subject",
        "region",
        "value",
        "n_places",
        "n_missing",
        "age",
        "intercept",
    ]
    assert list(table["region"]) == list(NAMES.values()) * N
    masker = NiftiLabelsMasker(image(labels), standardize=False)
    theirs = quietly(lambda: np.stack([masker.fit_transform(own) for own in images]))
    ours = wide(table)
    # Sums of some 600 doubles about 100.
    np.testing.assert_allclose(ours, theirs.reshape(N, 3), rtol=1e-12)
    for own, row in zip(values, ours, strict=True):
        np.testing.assert_allclose(row, ndimage.mean(own, labels, list(NAMES)), rtol=1e-12)
    np.testing.assert_array_equal(table["age"], np.repeat(DESIGN["age"], 3))
    np.testing.assert_array_equal(
        wide(table, "n_places"), [[(labels == n).sum() for n in NAMES]] * N
    )
    medians = wide(extract_values(images, image(labels), "median"))
    for own, row in zip(values, medians, strict=True):
        np.testing.assert_allclose(row, ndimage.median(own, labels, list(NAMES)), rtol=1e-15)


def test_means_in_spheres_are_those_of_nilearn() -> None:
    values = data(1)
    images = [image(own) for own in values]
    centres = [(0.0, 0.0, 0.0), (-6.0, 3.0, 9.0), (10.1, -9.9, -11.0)]
    table = extract_values(images, [Sphere(centre, 7.0) for centre in centres])
    masker = NiftiSpheresMasker(centres, radius=7.0, standardize=False, allow_overlap=True)
    theirs = quietly(lambda: np.stack([masker.fit_transform(own) for own in images]))
    np.testing.assert_allclose(wide(table), theirs.reshape(N, 3), rtol=1e-12)
    assert table["region"].iloc[1] == "sphere of 7 mm at (-6, 3, 9) mm"
    # The voxel that holds the centre is in the smallest sphere.
    small = extract_values(images, (1.4, 0.0, 0.0, 0.1))
    np.testing.assert_array_equal(small["value"], values[:, 5, 5, 6])


def test_a_voxel_at_exactly_the_radius_is_in_the_sphere() -> None:
    table = extract_values([image(data()[0])], (0, 0, 0, 6.0))
    distances = np.linalg.norm(
        np.moveaxis(np.indices(SHAPE), 0, -1).reshape(-1, 3) @ AFFINE[:3, :3].T + AFFINE[:3, 3],
        axis=1,
    )
    assert table["n_places"].item() == np.count_nonzero(distances <= 6)


def test_missing_values_are_left_out_and_counted() -> None:
    values, labels = data(2), blocks()
    values[1][labels == 2] = np.nan
    values[2, 3, 0, 4], values[3, 3, 9, 4] = np.nan, np.inf
    images = [image(own) for own in values]
    for statistic, expected in (("mean", np.mean), ("median", np.median)):
        kind: Any = statistic
        table = extract_values(images, image(labels), kind)
        for n, (row, own) in enumerate(zip(wide(table), values, strict=True)):
            for found, label in zip(row, NAMES, strict=True):
                inside = own[labels == label]
                inside = inside[np.isfinite(inside)]
                assert np.isnan(found) if not len(inside) else True
                if len(inside):
                    np.testing.assert_allclose(found, expected(inside), rtol=1e-12)
            missing = [np.count_nonzero(~np.isfinite(own[labels == label])) for label in NAMES]
            np.testing.assert_array_equal(wide(table, "n_missing")[n], missing)


def test_a_model_is_read_in_its_mask_and_with_its_design(tmp_path: Path) -> None:
    values = data(3)
    values[0, 3, 1, 5] = np.nan
    paths = []
    for number, own in enumerate(values, start=1):
        paths.append(str(tmp_path / f"sub-{number:02d}_effect.nii.gz"))
        nib.save(image(own), paths[-1])
    inside = np.zeros(SHAPE, np.uint8)
    inside[:, :, 3:8] = 1
    design = DESIGN.assign(value=1.0 * np.arange(N) ** 2)
    model = SecondLevelModel(mask_img=image(inside)).fit(paths, design_matrix=design)
    labels = np.where(inside, blocks(), 0)
    labels[:, :, 0] = 7  # outside the mask
    with pytest.warns(UserWarning, match="1 region holds no voxel .*: 7"):
        table = extract_values(model, image(labels))
    labels[:, :, 0] = 0
    assert list(table["subject"].unique()) == [f"{n:02d}" for n in range(1, N + 1)]
    assert "design_value" in table
    for own, row in zip(values, wide(table), strict=True):
        flat = np.where(np.isfinite(own), own, 0)
        counts = ndimage.sum_labels(np.isfinite(own), labels, list(NAMES))
        np.testing.assert_allclose(
            row, ndimage.sum_labels(flat, labels, list(NAMES)) / counts, rtol=1e-12
        )
    assert table["n_missing"].sum() == 1
    saved = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
    with pytest.raises(ValueError, match="fit"):
        extract_values(saved, image(labels))
    with pytest.raises(ArgumentError, match="the model has its own"):
        extract_values(model, image(labels), design_matrix=DESIGN)


def test_clusters_of_a_table_are_regions() -> None:
    z = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 1.2) * 8
    _, maps = groupglm.get_clusters_table(image(z), 2.0, return_label_maps=True)
    (clusters,) = maps
    table = extract_values([image(z)], clusters)
    numbers: Any = np.asarray(clusters.dataobj)
    assert list(table["region"]) == [str(n) for n in range(1, numbers.max() + 1)]
    expected = ndimage.mean(z, numbers, np.arange(1, numbers.max() + 1))
    np.testing.assert_allclose(table["value"], expected, rtol=1e-12)


def test_discs_of_surfaces_are_geodesic() -> None:
    meshes = {side: folded(3, side) for side in ("left", "right")}
    rng = np.random.default_rng(0)
    rows = [
        {side: rng.normal(size=len(meshes[side][0])).astype(np.float32) for side in meshes}
        for _ in range(3)
    ]
    maps = [{side: metric_image(own) for side, own in row.items()} for row in rows]
    surfaces = {side: surface_image(*mesh) for side, mesh in meshes.items()}
    points = meshes["right"][0].astype(np.float32).astype(float)
    table = extract_values(maps, {"disc": (*points[40], 15.0)}, surfaces=surfaces)
    mesh = Mesh("right", points, meshes["right"][1])
    start: Any = 40
    inside = dijkstra(mesh.edges(), indices=start) <= 15
    assert 3 < np.count_nonzero(inside) < len(points) / 2
    expected = [row["right"][inside].mean(dtype=float) for row in rows]
    np.testing.assert_allclose(table["value"], expected, rtol=1e-12)
    with pytest.raises(ArgumentError, match="give surfaces"):
        extract_values(maps, (*points[40], 15.0))
    with pytest.raises(ArgumentError, match="holds no vertex"):
        extract_values(maps, (900, 0, 0, 15.0), surfaces=surfaces)


def test_a_sphere_beside_a_medial_wall_holds_voxels() -> None:
    axes: Any = nib.cifti2
    points, faces = folded(3, "left")
    surface = {"left": surface_image(points, faces)}
    points = points.astype(np.float32).astype(float)
    wall = int(points[:, 0].argmax())  # the vertex nearest to the middle of the head
    cortex = np.flatnonzero(np.linalg.norm(points - points[wall], axis=1) > 20)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = points[wall] - (3, 3, 3) + 0.9  # of a voxel centre 0.6 mm away: not nearest
    shape = (4, 4, 4)
    places = axes.BrainModelAxis.from_surface(cortex, len(points), "CortexLeft")
    places += axes.BrainModelAxis.from_mask(np.ones(shape), "ThalamusLeft", affine)
    values = np.random.default_rng(1).normal(size=(3, len(places))).astype(np.float32)
    maps = [nib.Cifti2Image(row[np.newaxis], (axes.ScalarAxis(["x"]), places)) for row in values]
    voxels = np.indices(shape).reshape(3, -1).T @ affine[:3, :3] + affine[:3, 3]
    inside = np.linalg.norm(voxels - points[wall], axis=1) <= 3
    assert 3 < inside.sum() < 64
    table = extract_values(maps, {"thalamus": (*points[wall], 3.0)}, surfaces=surface)
    expected = [row[len(cortex) :][inside].mean(dtype=float) for row in values]
    np.testing.assert_allclose(table["value"], expected, rtol=1e-12)
    assert set(table["n_places"]) == {inside.sum()}
    # Of a vertex in the row, it is the disc.
    own = cortex[np.linalg.norm(points[cortex] - points[wall], axis=1).argmin()]
    table = extract_values(maps, (*points[own], 1e-3), surfaces=surface)
    np.testing.assert_array_equal(table["value"], values[:, np.searchsorted(cortex, own)])


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ((0, 0, 900, 5), "the nearest one is 8"),
        ({}, "empty"),
        ([(0, 0, 0, 5), (0, 0, 0, 5.0)], "a sphere given twice"),
        ((0, 0, 0, -5), "radius is -5"),
        ((0, 0, np.nan, 5), "finite"),
    ],
)
def test_wrong_regions_are_refused(regions: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        extract_values([image(data()[0])], regions)


def test_regions_elsewhere_are_refused() -> None:
    images = [image(own) for own in data()]
    with pytest.raises(GridMismatchError, match="not on the grid"):
        extract_values(images, image(blocks()[:-1]))
    with pytest.raises(GridMismatchError, match="not on the grid"):
        extract_values(images, {"a": image(blocks()[:-1])})
    with pytest.raises(ArgumentError, match="5 rows for 6 images"):
        extract_values(images, image(blocks()), design_matrix=DESIGN[:-1])


def test_a_small_volume_is_the_same_correction_on_the_mask_of_both() -> None:
    z = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=SHAPE), 1) * 20
    mask, small = np.ones(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    mask[0], small[:6, 2:9] = 0, 1
    sphere = Sphere((0, 0, 0), 9.0)
    grid = np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    ball = (np.linalg.norm(grid, axis=-1) <= 9).astype(np.uint8)
    for given, own in ((image(small), small), (sphere, ball), ((0, 0, 0, 9), ball)):
        for control in ("fdr", "bonferroni"):
            kind: Any = control
            options: Any = {"alpha": 0.05, "height_control": kind, "cluster_threshold": 2}
            found, limit = groupglm.threshold_stats_img(
                image(z), image(mask), small_volume=given, **options
            )
            expected, wanted = groupglm.threshold_stats_img(image(z), image(mask * own), **options)
            assert limit == wanted
            assert found is not None
            assert expected is not None
            np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
    with pytest.raises(ArgumentError, match="no voxel of the small volume is inside the mask"):
        groupglm.threshold_stats_img(image(z), image(small), small_volume=image(1 - small))
    with pytest.raises(ArgumentError, match="holds no voxel"):
        groupglm.threshold_stats_img(image(z), small_volume=(0, 0, 500, 3))
    with pytest.raises(GridMismatchError, match="not on the grid"):
        groupglm.threshold_stats_img(image(z), small_volume=image(small[:-1]))
