# SPDX-License-Identifier: BSD-3-Clause
"""Smoothness of images: simulated noise of a known width, on grids and on a mesh."""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import groupglm
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.edge_sums import EdgeSums
from groupglm.inference.random_fields.estimation import expected_correlation
from groupglm.inference.random_fields.images import smoothness_of_rows
from groupglm.models.robust_fit import weights_of
from groupglm.spaces.cells import lattice_of
from groupglm.spaces.part import Part
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.mesh import Mesh

SIGMA = 1 / math.sqrt(8 * math.log(2))
SHAPE = (34, 30, 26)
Nifti1Image: Any = nib.Nifti1Image
AFFINE = np.diag([2.0, 2.0, 2.5, 1.0])


def noise(fwhm: float, n: int, seed: int = 0) -> NDArray[np.float64]:
    """Gaussian noise of a width in voxels, shape (n, *SHAPE), without what a border does."""
    rng = np.random.default_rng(seed)
    pad = math.ceil(2 * fwhm)
    wide = rng.standard_normal((n, *(length + 2 * pad for length in SHAPE)))
    smooth = [gaussian_filter(one, fwhm * SIGMA, truncate=6) for one in wide]
    inner = (slice(pad, -pad),) * 3
    return np.stack([one[inner] for one in smooth])


def images(values: NDArray[Any]) -> list[Any]:
    return [Nifti1Image(one.astype(np.float32), AFFINE) for one in values]


MASK = Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)


@pytest.mark.parametrize(("fwhm", "n", "repeats"), [(3.0, 20, 1), (4.0, 7, 4), (6.0, 30, 3)])
def test_noise_of_a_known_width_is_estimated_within_three_percent(
    fwhm: float, n: int, repeats: int
) -> None:
    # The standard error is below 1%: some 26,520 / fwhm^3 independent places, 3 axes, n images.
    found = []
    for seed in range(repeats):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the noise is only", UserWarning)  # of 3 voxels
            smooth = groupglm.estimate_smoothness(images(noise(fwhm, n, seed)), MASK)
        assert smooth.df == n - 1
        assert smooth.fwhm_mm == pytest.approx(np.multiply(smooth.fwhm_voxels, (2.0, 2.0, 2.5)))
        found.append(np.mean(smooth.fwhm_voxels))
    assert np.mean(found) == pytest.approx(fwhm, rel=0.03)


def test_resels_of_a_box_are_those_of_its_width() -> None:
    smooth = groupglm.estimate_smoothness(images(noise(4.0, 12)), MASK)
    x, y, z = ((n - 1) / w for n, w in zip(SHAPE, smooth.fwhm_voxels, strict=True))
    assert smooth.resels == pytest.approx((1, x + y + z, x * y + x * z + y * z, x * y * z))
    assert smooth.parts[0].resels_per_unit == pytest.approx(1 / math.prod(smooth.fwhm_voxels))


def counted_by_hand(mask: NDArray[np.bool_]) -> list[int]:
    """Count points, edges, faces and cubes one by one."""
    inside = {tuple(place) for place in np.argwhere(mask).tolist()}
    corners = [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)]
    found = [len(inside)]
    for extent in corners:
        steps = [
            d for d in np.ndindex(2, 2, 2) if all(a <= b for a, b in zip(d, extent, strict=True))
        ]
        found.append(
            sum(
                all(tuple(np.add(place, step).tolist()) in inside for step in steps)
                for place in inside
            )
        )
    return found


def test_cells_of_a_mask_with_holes() -> None:
    mask = np.random.default_rng(3).random((5, 6, 7)) < 0.8
    cells = lattice_of(mask, (1, 1, 1), Part("volume", 0, int(mask.sum()), "voxels", (0.5, 2)))
    x, y, z = (edges.shape[1] for edges in cells.edges)
    xy, xz, yz = cells.n_faces
    assert [mask.sum(), x, y, z, xy, xz, yz, cells.n_cubes] == counted_by_hand(mask)


def test_expected_correlation_is_that_of_samples() -> None:
    rng = np.random.default_rng(0)
    for rho, df in ((0.85, 5), (0.3, 12)):
        one, other = rng.standard_normal((2, df, 200_000))
        other = rho * one + math.sqrt(1 - rho**2) * other
        norms = np.sqrt((one**2).sum(0) * (other**2).sum(0))
        r = (one * other).sum(0) / norms
        error = r.std() / math.sqrt(r.size)
        assert expected_correlation(rho, df) == pytest.approx(r.mean(), abs=4 * error)
    # Kiebel et al. (1999): near neighbours have (df - 1) / (df - 2).
    assert (1 - expected_correlation(1 - 1e-8, 9.0)) / 1e-8 == pytest.approx(8 / 7, rel=1e-4)


def test_model_images_and_residuals_agree() -> None:
    values = noise(4.0, 14)
    age = np.linspace(-1, 1, 14)
    design = pd.DataFrame({"intercept": np.ones(14), "age": age})
    model = groupglm.SecondLevelModel(mask_img=MASK, minimize_memory=False)
    model.fit(images(values + 1e3 + 5 * age[:, None, None, None]), design_matrix=design)
    residuals = groupglm.estimate_smoothness(model.residuals_, MASK, df=12)
    # Residuals in float32 of values near 1e3 are good to some 1e-4 of their size.
    assert model.smoothness_.fwhm_mm == pytest.approx(residuals.fwhm_mm, rel=1e-4)
    assert model.smoothness_.df == 12
    assert model.smoothness_ is model.smoothness_
    # An offset changes nothing, whatever its size; float64 images hold it.
    far = [Nifti1Image(one + 1e6, AFFINE) for one in values.astype(np.float64)]
    at_zero = [Nifti1Image(one, AFFINE) for one in values.astype(np.float64)]
    offset, plain = (groupglm.estimate_smoothness(own, MASK) for own in (far, at_zero))
    assert offset.fwhm_mm == pytest.approx(plain.fwhm_mm, rel=1e-7)


def test_threads_give_the_same_bits_and_a_mask_is_found() -> None:
    values = noise(4.0, 10)
    values[:, :5] = 0
    one, many = (groupglm.estimate_smoothness(images(values), n_jobs=n) for n in (1, 3))
    assert one == many
    assert one.n_places == 29 * 30 * 26
    inside = np.ones(SHAPE, np.uint8)
    inside[:5] = 0
    assert one == groupglm.estimate_smoothness(images(values), Nifti1Image(inside, AFFINE))


def test_missing_values_leave_the_estimate_alone() -> None:
    values = noise(5.0, 16)
    whole = groupglm.estimate_smoothness(images(values), MASK)
    lesion = values.copy()
    lesion[:6, 5:15, 5:15, 5:15] = np.nan
    found = groupglm.estimate_smoothness(images(lesion), MASK)
    assert found.fwhm_mm == pytest.approx(whole.fwhm_mm, rel=0.02)
    model = groupglm.SecondLevelModel(mask_img=MASK).fit(
        images(lesion), design_matrix=pd.DataFrame({"intercept": np.ones(16)})
    )
    assert model.smoothness_.fwhm_mm == pytest.approx(found.fwhm_mm, rel=1e-5)
    # Edges between places of different images are not compared.
    edge_sums = EdgeSums(np.array([[0, 1], [1, 2]], np.int32), 3)
    edge_sums.add(np.array([[1.0, 2.0, 4.0], [3.0, 5.0, np.nan], [-1.0, 1.0, 2.0]]))
    assert np.isnan(edge_sums.correlations()).tolist() == [False, True]


def test_saved_models_keep_what_is_known(tmp_path: Path) -> None:
    model = groupglm.SecondLevelModel(mask_img=MASK).fit(
        images(noise(4.0, 8)), design_matrix=pd.DataFrame({"intercept": np.ones(8)})
    )
    unknown = groupglm.SecondLevelModel.load(model.save(tmp_path / "a.groupglm"))
    with pytest.raises(groupglm.errors.ImageError):  # the images are needed
        _ = unknown.smoothness_
    smooth = model.smoothness_
    path = model.save(tmp_path / "b.groupglm")
    assert groupglm.SecondLevelModel.load(path).smoothness_ == smooth
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("model.json"))["fits"][0]["smoothness"] == smooth.facts()


def flat_square(n: int) -> HemisphereSpace:
    """A square of n x n vertices, 1 mm apart."""
    y, x = np.divmod(np.arange(n * n), n)
    corners = np.arange(n * n).reshape(n, n)
    low, right, up, far = (
        part.ravel()
        for part in (corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:])
    )
    faces = np.concatenate([np.stack([low, right, far], 1), np.stack([low, far, up], 1)])
    mesh = Mesh("square", np.stack([x, y, 0 * x], 1).astype(float), faces.astype(np.int32))
    return HemisphereSpace("left", n * n, mesh=mesh)


@pytest.mark.parametrize("n", [8, 30])
def test_a_mesh_of_noise_of_a_known_width(n: int) -> None:
    rng, side, fwhm = np.random.default_rng(5), 80, 5.0
    wide = rng.standard_normal((n, side + 20, side + 20))
    rows = [gaussian_filter(one, fwhm * SIGMA, truncate=6)[10:-10, 10:-10].ravel() for one in wide]
    rows -= np.mean(rows, axis=0)
    smooth = smoothness_of_rows(iter(rows), flat_square(side), n - 1.0)
    (part,) = smooth.parts
    assert (part.n_dimensions, part.unit, smooth.resels[3]) == (2, "mm2", 0.0)
    # 250 resels and n - 1 images: a standard error of 2% of few images, and 1% of many.
    assert part.fwhm_mm[0] == pytest.approx(fwhm, rel=0.05 if n == 8 else 0.03)
    resels = (side - 1) / fwhm
    expected = (1.0, 2 * resels, resels**2)
    assert smooth.resels[:3] == pytest.approx(expected, rel=0.08 if n == 8 else 0.05)
    assert part.resels_per_unit == pytest.approx(part.fwhm_mm[0] ** -2)
    # Half of the vertices: half of the resels, and the same width.
    keep = np.zeros(side**2, np.bool_)
    keep[: side**2 // 2] = True
    half = smoothness_of_rows(
        iter([row[keep] for row in rows]), flat_square(side).restrict(keep), n - 1.0
    )
    assert half.resels[2] == pytest.approx(smooth.resels[2] * 39 / 79, rel=0.1)


def test_maps_of_both_hemispheres(tmp_path: Path) -> None:
    study = groupglm.datasets.simulate_surface_study(tmp_path, n_subjects=10, seed=0)
    with pytest.warns(UserWarning, match="edges of the mesh wide"):  # a coarse one
        smooth = groupglm.estimate_smoothness(study.paths, study.mask, surfaces=study.surfaces)
    left, right = smooth.parts
    assert (left.name, right.name, left.n_dimensions, left.unit) == ("left", "right", 2, "mm2")
    assert smooth.resels == pytest.approx(np.add(left.resels, right.resels))
    model = groupglm.SecondLevelModel(mask_img=study.mask, surfaces=study.surfaces)
    model.fit(study.paths, design_matrix=pd.DataFrame({"intercept": np.ones(10)}))
    with pytest.warns(UserWarning, match="edges of the mesh wide"):
        assert model.smoothness_.resels == pytest.approx(smooth.resels, rel=1e-6)


def test_noise_that_is_too_rough_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="random field theory needs at least 3"):
        smooth = groupglm.estimate_smoothness(images(noise(2.5, 10)), MASK)
    assert np.mean(smooth.fwhm_voxels) == pytest.approx(2.5, rel=0.03)
    white = np.random.default_rng(0).standard_normal((9, *SHAPE))
    with pytest.warns(UserWarning, match="only 0.4"):
        groupglm.estimate_smoothness(images(white), MASK)


def test_a_mask_of_crumbs_is_warned_of() -> None:
    crumbs = np.zeros(SHAPE, np.uint8)
    crumbs[::3] = 1  # sheets of one voxel
    crumbs[1::3, ::4] = 1
    with pytest.warns(UserWarning, match="mask consists of crumbs"):
        groupglm.estimate_smoothness(images(noise(4.0, 8)), Nifti1Image(crumbs, AFFINE))


@pytest.mark.parametrize(("width", "is_crumbs"), [(2, True), (8, False)])
def test_a_mask_of_crumbs_of_a_mesh_is_warned_of(width: int, is_crumbs: bool) -> None:
    rng, side = np.random.default_rng(3), 60
    rows = [gaussian_filter(own, 6 * SIGMA).ravel() for own in rng.normal(size=(12, side, side))]
    x, y = np.indices((side, side)) % (width + 1)
    keep = ((x < width) & (y < width)).ravel()  # squares of so many vertices
    space = flat_square(side).restrict(keep)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        smoothness_of_rows(iter([row[keep] for row in rows]), space, 11.0)
    assert any("mask consists of crumbs (left)" in str(own.message) for own in caught) is is_crumbs


@pytest.mark.parametrize("step", [2, 100])
def test_a_mask_without_neighbours_is_refused(step: int) -> None:
    apart = np.zeros(SHAPE, np.uint8)
    apart[::step, ::step, ::step] = 1  # every other voxel, or one alone
    with pytest.raises(ArgumentError, match="are neighbours") as caught:
        groupglm.estimate_smoothness(images(noise(4.0, 8)), Nifti1Image(apart, AFFINE))
    assert caught.value.argument == "mask_img"


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ArgumentError, match="have no neighbours"):
        groupglm.estimate_smoothness(pd.DataFrame(np.eye(9), columns=list("abcdefghi")))
    with pytest.raises(ArgumentError, match="at least 4"):
        groupglm.estimate_smoothness(images(noise(4.0, 4)), MASK)
    with pytest.raises(ArgumentError, match="number of images, 8"):
        groupglm.estimate_smoothness(images(noise(4.0, 8)), MASK, df=9)
    flat = np.repeat(np.random.default_rng(0).standard_normal(8), math.prod(SHAPE))
    with pytest.raises(ArgumentError, match="are equal"):
        groupglm.estimate_smoothness(images(flat.reshape(8, *SHAPE)), MASK)


@pytest.mark.parametrize("weights", ["bisquare", "huber"])
def test_an_image_that_a_robust_fit_does_not_count_does_not_smooth_the_noise(weights: Any) -> None:
    rng = np.random.default_rng(2)
    shape, n = (16, 16, 16), 20
    fields = [gaussian_filter(rng.standard_normal(shape), 1.5) for _ in range(n)]
    unit = np.std(fields)
    values = [own / unit + 30.0 * (k == 3) for k, own in enumerate(fields)]
    given = [Nifti1Image(own, np.eye(4)) for own in values]
    mask = Nifti1Image(np.ones(shape, np.uint8), np.eye(4))
    design = pd.DataFrame({"mean": np.ones(n)})
    clean = groupglm.SecondLevelModel(mask).fit(given[:3] + given[4:], design_matrix=design[1:])
    plain = groupglm.SecondLevelModel(mask).fit(given, design_matrix=design)
    how = groupglm.Robust(weights=weights)
    robust = groupglm.SecondLevelModel(mask, model=how).fit(given, design_matrix=design)
    wanted = clean.smoothness_.fwhm_voxels
    # The weights differ from place to place, which makes noise a little rougher.
    np.testing.assert_allclose(robust.smoothness_.fwhm_voxels, wanted, rtol=0.1)
    assert min(plain.smoothness_.fwhm_voxels) > 3 * max(wanted)
    # Residuals times weights are those of the fit's own weights.
    rows = np.stack([own.ravel() for own in values])
    fit = groupglm.fit_robust(np.ones((n, 1)), rows, weights=weights)
    own = rows - fit.predicted(None)
    found = np.stack([fit.weighted_residuals(k, own[k]) for k in range(n)])
    np.testing.assert_allclose(found, own * weights_of(fit, rows), rtol=1e-4, atol=1e-4)
