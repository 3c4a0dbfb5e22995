# SPDX-License-Identifier: BSD-3-Clause
"""The simulated surface study: its meshes are closed, and the truth is in its maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.datasets import SurfaceStudy, simulate_surface_study

FloatArray = NDArray[np.float64]


def _values(pair: tuple[Path, Path]) -> FloatArray:
    """Return the values of both hemispheres, shape (2, n_vertices)."""
    images: list[Any] = [nib.load(path) for path in pair]
    return np.stack([image.darrays[0].data for image in images]).astype(np.float64)


def _mesh(path: Path) -> tuple[FloatArray, NDArray[np.int32]]:
    image: Any = nib.load(path)
    return image.agg_data("pointset").astype(np.float64), image.agg_data("triangle")


@pytest.mark.parametrize("n_divisions", [2, 4])
def test_the_meshes_are_closed_and_mirror_each_other(n_divisions: int, tmp_path: Path) -> None:
    study = simulate_surface_study(tmp_path, n_subjects=4, n_divisions=n_divisions)
    assert study.n_vertices == 10 * 4**n_divisions + 2
    left, faces = _mesh(study.surfaces[0])
    right, mirrored = _mesh(study.surfaces[1])
    np.testing.assert_array_equal(right, left * [-1, 1, 1])
    for places, triangles in ((left, faces), (right, mirrored)):
        assert len(places) == study.n_vertices
        sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        # Each side of a triangle is that of one other one, which goes along it the other way.
        assert len(np.unique(sides, axis=0)) == len(sides)
        assert {tuple(side) for side in sides} == {tuple(side) for side in sides[:, ::-1]}
        assert len(places) - len(sides) / 2 + len(triangles) == 2  # Euler: a sphere
        a, b, c = (places[triangles[:, k]] for k in range(3))
        normals = np.cross(b - a, c - a)
        assert np.linalg.norm(normals, axis=1).min() > 1  # mm2: no triangle is a line
        outwards = np.einsum("ij,ij->i", normals, (a + b + c) / 3 - places.mean(axis=0))
        assert outwards.min() > 0
    for path, structure in zip(study.surfaces, ("CortexLeft", "CortexRight"), strict=True):
        image: Any = nib.load(path)
        assert image.meta["AnatomicalStructurePrimary"] == structure
        assert image.darrays[0].meta["AnatomicalStructurePrimary"] == structure


def _standardised_errors(study: SurfaceStudy) -> FloatArray:
    """Return least-squares estimates less the truth, in standard errors, on the cortex."""
    X = study.design_matrix.to_numpy()
    inside = _values(study.mask) > 0
    maps = np.stack([_values(pair)[inside] for pair in study.paths])
    estimates = np.linalg.lstsq(X, maps, rcond=None)[0]
    truth = np.stack([np.stack([*own.values()])[inside] for own in study.truth.values()])
    unit = np.sqrt(np.diag(np.linalg.inv(X.T @ X)))[:, None]
    errors: FloatArray = (estimates - truth) / unit
    return errors


def test_the_surface_study_holds_its_truth(tmp_path: Path) -> None:
    study = simulate_surface_study(tmp_path, n_divisions=4, noise_fwhm=0.5)
    errors = _standardised_errors(study)
    # The kernel ends 0.6 mm from a vertex, before its neighbours: all values are independent.
    n = errors.shape[1]
    assert np.abs(errors.mean(axis=1)).max() < 5 / np.sqrt(n)
    assert np.abs(errors.var(axis=1) - 1).max() < 5 * np.sqrt(2 / n)
    assert np.abs(errors).max() < 6.5
    for name, effect in study.effects.items():
        own = study.truth[name]
        other = "right" if effect.hemisphere == "left" else "left"
        assert own[effect.hemisphere][effect.vertex] == own[effect.hemisphere].max()
        assert own[effect.hemisphere].max() == effect.height
        assert not own[other].any()
        places, _ = _mesh(study.surfaces[("left", "right").index(effect.hemisphere)])
        np.testing.assert_allclose(places[effect.vertex], effect.peak, rtol=1e-6)
        # At half of the full width from the peak the effect has half of its height.
        away = np.linalg.norm(places - effect.peak, axis=1)
        wanted = effect.height * 0.5 ** ((away / (effect.fwhm / 2)) ** 2)
        cortex = _values(study.mask)[("left", "right").index(effect.hemisphere)] > 0
        np.testing.assert_allclose(
            own[effect.hemisphere][cortex], wanted[cortex], rtol=1e-4, atol=1e-9
        )


def test_smooth_noise_has_unit_variance_and_the_smoothness_asked_for(tmp_path: Path) -> None:
    fwhm, n = 20.0, 400
    study = simulate_surface_study(tmp_path, n_subjects=n, n_divisions=2, noise_fwhm=fwhm)
    inside = _values(study.mask)[0] > 0
    truth = np.stack([own["left"][inside] for own in study.truth.values()])
    maps = np.stack([_values(pair)[0][inside] for pair in study.paths])
    noise = maps - study.design_matrix.to_numpy() @ truth
    # Mean squares of n standard normal values: five standard deviations.
    assert np.abs((noise**2).mean(axis=0) - 1).max() < 5 * np.sqrt(2 / n)
    places = _mesh(study.surfaces[0])[0][inside]
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    found = noise.T @ noise / n
    # Two Gaussians of one width overlap by exp(-d^2 / (4 sigma^2)), on an even lattice; vertices
    # are 12 to 20 mm apart here and uneven, so sums over them differ from integrals.
    sigma = fwhm / np.sqrt(8 * np.log(2))
    assert np.abs(found - np.exp(-(distance**2) / (4 * sigma**2))).max() < 0.3
    other = np.stack([_values(pair)[1][inside] for pair in study.paths])
    other = other - study.design_matrix.to_numpy() @ np.stack(
        [own["right"][inside] for own in study.truth.values()]
    )
    assert np.abs(noise.T @ other / n).max() < 6 / np.sqrt(n)  # hemispheres are independent


def test_the_dscalars_hold_the_same_maps_without_the_medial_walls(tmp_path: Path) -> None:
    study = simulate_surface_study(tmp_path, n_subjects=5, n_divisions=2)
    inside = _values(study.mask) > 0
    for pair, path in zip(study.paths, study.dscalars, strict=True):
        image: Any = nib.load(path)
        assert image.nifti_header.get_intent()[0] == "ConnDenseScalar"
        np.testing.assert_array_equal(image.get_fdata()[0], _values(pair)[inside])
        models = list(image.header.get_axis(1).iter_structures())
        names = ["CIFTI_STRUCTURE_CORTEX_LEFT", "CIFTI_STRUCTURE_CORTEX_RIGHT"]
        assert [name for name, *_ in models] == names
        for (_, _, model), own in zip(models, inside, strict=True):
            np.testing.assert_array_equal(model.vertex, np.flatnonzero(own))
    fits = [
        SecondLevelModel(surfaces=study.surfaces).fit(given, design_matrix=study.design_matrix)
        for given in (study.paths, study.dscalars)
    ]
    on_surfaces, on_axes = (fit.compute_contrast("group", output_type="stat") for fit in fits)
    halves = [on_surfaces.left, on_surfaces.right]
    wanted = np.concatenate([half.darrays[0].data for half in halves])[inside.ravel()]
    np.testing.assert_array_equal(on_axes.get_fdata()[0], wanted)
    again = simulate_surface_study(tmp_path, n_subjects=5, n_divisions=2)  # replaces its own
    assert again.dscalars == study.dscalars


def test_the_same_seed_gives_the_same_maps_and_the_medial_wall_is_zero(tmp_path: Path) -> None:
    first, again, other = (
        simulate_surface_study(tmp_path / name, n_subjects=4, n_divisions=2, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    names = sorted(path.name for path in first.directory.iterdir())
    assert len(names) == 2 * (4 + 2) + 4
    assert all(
        (first.directory / name).read_bytes() == (again.directory / name).read_bytes()
        for name in names
    )
    inside = _values(first.mask) > 0
    assert 0.9 < inside.mean() < 1
    for mine, theirs in zip(first.paths, other.paths, strict=True):
        assert np.all(_values(mine)[~inside] == 0)
        assert np.all(_values(mine)[inside] != _values(theirs)[inside])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 3}, "n_subjects is 3"),
        ({"n_divisions": 1}, "n_divisions is 1.*from 2 to 6"),
        ({"n_divisions": 7}, "n_divisions is 7.*from 2 to 6"),
        ({"noise_fwhm": 0.0}, r"noise_fwhm is 0\.0"),
        ({"n_divisions": 6, "noise_fwhm": 500.0}, r"noise_fwhm is 500\.0 mm, which takes"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_surface_study(tmp_path / "study", **arguments)
    assert not (tmp_path / "study").exists()
