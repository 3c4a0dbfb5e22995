# SPDX-License-Identifier: BSD-3-Clause
"""Grayordinates are smoothed on the mesh and in the volume, each within what the file has."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.errors import ImageError
from groupglm.spaces.surface.mesh import Mesh
from groupglm.spaces.surface.smoothing import iterations_of
from reference.meshes import folded, graph_of
from reference.smoothing import gaussian_of_present, neighbour_means

cifti2: Any = nibabel.cifti2
SHAPE, FWHM, N = (7, 6, 5), 6.0, 5
LARGE, FACES = folded(2)
POINTS = LARGE / 10  # so that some millimetres are several iterations


@pytest.fixture
def inside() -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    rng = np.random.default_rng(8)
    vertices = np.flatnonzero(rng.random(len(POINTS)) < 0.8)
    return vertices, rng.random(SHAPE) < 0.7


@pytest.fixture
def images(inside: tuple[NDArray[np.intp], NDArray[np.bool_]]) -> list[Any]:
    vertices, voxels = inside
    models = cifti2.BrainModelAxis
    axis = models.from_surface(vertices, len(POINTS), "CORTEX_LEFT")
    # Two structures side by side, in one volume.
    first = voxels.copy()
    first[4:] = False
    for name, own in (("thalamus_left", first), ("caudate_left", voxels & ~first)):
        axis = axis + models.from_mask(own, name, np.diag([2.0, 2, 2, 1]))
    rng = np.random.default_rng(9)
    rows = rng.standard_normal((N, 1, len(axis)))
    rows[2, 0, [3, len(vertices) + 5]] = np.nan  # one image lacks a vertex and a voxel
    return [cifti2.Cifti2Image(row, header=(cifti2.ScalarAxis(["a"]), axis)) for row in rows]


def test_each_part_is_smoothed_where_it_lies(
    images: list[Any], inside: tuple[NDArray[np.intp], NDArray[np.bool_]]
) -> None:
    vertices, _ = inside
    mesh = Mesh("folded", POINTS, FACES, "anatomical")
    design = pd.DataFrame({"one": np.ones(N)})
    model = SecondLevelModel(smoothing_fwhm=FWHM, surfaces=mesh, minimize_memory=False)
    model = model.fit(images, design_matrix=design)
    found = model.compute_contrast("one", output_type="effect_size").get_fdata()[0]
    n_iterations = iterations_of(FWHM, mesh)
    assert n_iterations > 0
    graph = graph_of(FACES.astype(np.intp), len(POINTS))
    axis = images[0].header.get_axis(1)
    ijk = tuple(axis.voxel[axis.name != "CIFTI_STRUCTURE_CORTEX_LEFT"].T)
    sigma = FWHM / 2 / np.sqrt(8 * np.log(2))  # in voxels of 2 mm
    smoothed = []
    for image in images:
        row = image.get_fdata()[0]
        cortex, volume = np.full(len(POINTS), np.nan), np.full(SHAPE, np.nan)
        cortex[vertices], volume[ijk] = row[: len(vertices)], row[len(vertices) :]
        cortex = neighbour_means(cortex, graph, n_iterations)
        volume = gaussian_of_present(volume, [sigma] * 3)
        smoothed.append(np.concatenate([cortex[vertices], volume[ijk]]))
    # Float64 images are smoothed in double; the mean is rounded to float32.
    np.testing.assert_allclose(found, np.nanmean(smoothed, axis=0), rtol=1e-6, atol=1e-7)
    assert model.masker_.smoothing_fwhm == FWHM
    counts = model.n_observations_.get_fdata()[0]
    assert (counts == N - 1).sum() == 2


def test_an_image_is_read_once_to_find_the_mask_and_to_be_smoothed(
    images: list[Any], inside: tuple[NDArray[np.intp], NDArray[np.bool_]], tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    files = [tmp_path / f"sub-{number}.dscalar.nii" for number in range(N)]
    for image, file in zip(images, files, strict=True):
        image.to_filename(file)
    from groupglm.spaces.cifti.source import MapsOfFile

    counts: list[str] = []
    read = MapsOfFile.values

    def counting(self: MapsOfFile, number: int) -> NDArray[Any]:
        counts.append(self.header.path)
        return read(self, number)

    monkeypatch.setattr(MapsOfFile, "values", counting)
    mesh = Mesh("folded", POINTS, FACES, "anatomical")
    design = pd.DataFrame({"one": np.ones(N)})
    effects = [
        SecondLevelModel(smoothing_fwhm=FWHM, surfaces=mesh, memory_budget=budget)
        .fit(files, design_matrix=design)
        .compute_contrast("one", output_type="effect_size")
        .get_fdata()
        for budget in (None, 1e6)
    ]
    assert sorted(counts) == sorted([*map(str, files), *map(str, files)])
    np.testing.assert_array_equal(*effects)


def test_missing_values_count_as_zero_but_not_places_without_any(
    images: list[Any], inside: tuple[NDArray[np.intp], NDArray[np.bool_]]
) -> None:
    vertices, _ = inside
    mesh = Mesh("folded", POINTS, FACES, "anatomical")
    model = SecondLevelModel(smoothing_fwhm=FWHM, surfaces=mesh, missing="zero")
    model = model.fit(images, design_matrix=pd.DataFrame({"one": np.ones(N)}))
    found = model.compute_contrast("one", output_type="effect_size").get_fdata()[0]
    graph = graph_of(FACES.astype(np.intp), len(POINTS))
    axis = images[0].header.get_axis(1)
    ijk = tuple(axis.voxel[axis.name != "CIFTI_STRUCTURE_CORTEX_LEFT"].T)
    sigma = FWHM / 2 / np.sqrt(8 * np.log(2))  # in voxels of 2 mm
    smoothed = []
    for image in images:
        row = np.nan_to_num(image.get_fdata()[0])
        cortex, volume = np.full(len(POINTS), np.nan), np.full(SHAPE, np.nan)
        cortex[vertices], volume[ijk] = row[: len(vertices)], row[len(vertices) :]
        cortex = neighbour_means(cortex, graph, iterations_of(FWHM, mesh))
        volume = gaussian_of_present(volume, [sigma] * 3)
        smoothed.append(np.concatenate([cortex[vertices], volume[ijk]]))
    # Float64 images are smoothed in double; the mean is rounded to float32.
    np.testing.assert_allclose(found, np.mean(smoothed, axis=0), rtol=1e-6, atol=1e-7)
    assert (np.asarray(model.n_observations_.get_fdata()) == N).all()


@pytest.mark.parametrize("part", ["vertices", "voxels"])
def test_an_image_may_lack_all_vertices_or_all_voxels(
    images: list[Any], inside: tuple[NDArray[np.intp], NDArray[np.bool_]], part: str
) -> None:
    own = slice(len(inside[0])) if part == "vertices" else slice(len(inside[0]), None)
    images[1].dataobj[0, own] = np.nan
    mesh = Mesh("folded", POINTS, FACES, "anatomical")
    model = SecondLevelModel(smoothing_fwhm=FWHM, surfaces=mesh)
    model.fit(images, design_matrix=pd.DataFrame({"one": np.ones(N)}))
    counts = model.n_observations_.get_fdata()[0]
    assert (counts[own] <= N - 1).all()
    assert counts.max() == N
    images[1].dataobj[0] = np.nan
    with pytest.raises(ImageError, match=r"image 2 in memory: all .* are NaN or infinite"):
        model.fit(images, design_matrix=pd.DataFrame({"one": np.ones(N)}))
