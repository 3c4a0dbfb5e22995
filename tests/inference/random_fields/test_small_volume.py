# SPDX-License-Identifier: BSD-3-Clause
"""Random fields in small volumes: spheres, masks, parts of a mesh, against formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import optimize, stats

import groupglm
from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.inference.random_fields.search_volume import mesh_resels
from groupglm.inference.random_fields.smoothness import PartSmoothness, Smoothness
from groupglm.spaces.cells import triangulation_of
from groupglm.spaces.part import Part
from reference.meshes import icosphere

# Bonferroni's threshold may be lower in few places, and noise may survive nowhere.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*has more power here:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*nothing survives:UserWarning"),
]

SHAPE = (30, 30, 30)
Nifti1Image: Any = nib.Nifti1Image
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
MASK = Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
FWHM = (8.0, 9.0, 10.0)
SMOOTH = Smoothness.of_box(SHAPE, fwhm=FWHM, voxel_size=2.0, df=25.0, n_images=26)


def z_map() -> Any:
    z = np.random.default_rng(0).standard_normal(SHAPE)
    z[15, 15, 15] = 6.0
    return Nifti1Image(z, AFFINE)


def by_hand(resels: tuple[float, ...], alpha: float, df: float) -> float:
    """Worsley et al. (1996): the t of a familywise error in some resels, as a z."""
    a = 4 * math.log(2)

    def expected(t: float) -> float:
        bell = (1 + t**2 / df) ** (-(df - 1) / 2)
        ratio = math.gamma((df + 1) / 2) / (math.gamma(df / 2) * math.sqrt(df / 2))
        densities = (
            stats.t.sf(t, df),
            a**0.5 / (2 * math.pi) * bell,
            a / (2 * math.pi) ** 1.5 * ratio * t * bell,
            a**1.5 / (2 * math.pi) ** 2 * bell * ((df - 1) / df * t**2 - 1),
        )
        return float(np.dot(resels, densities))

    t = optimize.brentq(lambda t: 1 - math.exp(-expected(t)) - alpha, 2.0, 60)
    return float(-stats.norm.ppf(stats.t.sf(t, df)))


def threshold(small_volume: Any, mask: Any = MASK) -> float:
    _, z = groupglm.threshold_stats_img(
        z_map(),
        mask,
        alpha=0.05,
        height_control="rft",
        smoothness=SMOOTH,
        small_volume=small_volume,
        two_sided=False,
    )
    return float(z)


def test_a_sphere_has_the_resels_of_a_ball() -> None:
    radius = 20.0 / math.prod(FWHM) ** (1 / 3)
    ball = (1.0, 4 * radius, 2 * math.pi * radius**2, 4 / 3 * math.pi * radius**3)
    expected = by_hand(ball, 0.05, 25.0)
    assert threshold((30.0, 30.0, 30.0, 20.0)) == pytest.approx(expected, abs=1e-6)
    assert expected < threshold(MASK)


def test_a_box_has_its_own_resels_with_their_boundaries() -> None:
    inside = np.zeros(SHAPE, np.uint8)
    inside[5:15, 3:17, 8:20] = 1
    x, y, z = (9 * 2 / 8, 13 * 2 / 9, 11 * 2 / 10)
    resels = (1.0, x + y + z, x * y + x * z + y * z, x * y * z)
    found = threshold(Nifti1Image(inside, AFFINE))
    assert found == pytest.approx(by_hand(resels, 0.05, 25.0), abs=1e-6)


def test_a_sphere_that_the_mask_cuts_is_counted_by_its_voxels() -> None:
    half = np.ones(SHAPE, np.uint8)
    half[16:] = 0
    sphere = (30.0, 30.0, 30.0, 20.0)
    steps = np.indices(SHAPE) * 2.0 - 30.0
    ball = (np.sqrt((steps**2).sum(axis=0)) <= 20.0).astype(np.uint8)
    counted = threshold(Nifti1Image(ball * half, AFFINE))
    assert threshold(sphere, Nifti1Image(half, AFFINE)) == pytest.approx(counted, abs=1e-12)
    # Counted by cells, a ball ends at the centres of its outermost voxels, at most one voxel short
    # of its radius, and its boundary along the axes of the grid is half as long again.
    width = math.prod(FWHM) ** (1 / 3)
    small, large = 18.0 / width, 20.0 / width
    least = (1.0, 4 * small, 2 * math.pi * small**2, 4 / 3 * math.pi * small**3)
    most = (1.0, 6 * large, 3 * math.pi * large**2, 4 / 3 * math.pi * large**3)
    found = threshold(Nifti1Image(ball, AFFINE))
    assert by_hand(least, 0.05, 25.0) < found < by_hand(most, 0.05, 25.0)
    # Also of one that the edge of the grid cuts.
    corner = (steps + 30.0) / 1.0
    ball = (np.sqrt((corner**2).sum(axis=0)) <= 20.0).astype(np.uint8)
    assert threshold((0.0, 0.0, 0.0, 20.0)) == pytest.approx(
        threshold(Nifti1Image(ball, AFFINE)), abs=1e-12
    )


def test_clusters_of_a_small_volume_may_be_smaller() -> None:
    z = np.full(SHAPE, 0.5)
    z[15, 14:17, 10:20] = 4.0
    options: Any = {"alpha": 0.05, "height_control": "cluster-rft", "smoothness": SMOOTH}
    image = Nifti1Image(z, AFFINE)
    with pytest.warns(UserWarning, match="nothing survives"):
        groupglm.threshold_stats_img(image, MASK, **options)
    kept, _ = groupglm.threshold_stats_img(
        image, MASK, **options, small_volume=(30.0, 30.0, 30.0, 14.0)
    )
    assert np.count_nonzero(kept.get_fdata()) == 30  # type: ignore[union-attr]


def test_half_a_sphere_of_triangles_has_its_area_and_half_its_boundary() -> None:
    points, faces = icosphere(5)
    radius = 50.0
    vertices = np.flatnonzero(points[:, 2] >= -1e-9)
    part = Part("left", 0, len(vertices), "mm2", (1.0, 2.0))
    cells = triangulation_of(faces.astype(np.int32), radius * points, vertices, part)
    euler, length, area, volume = mesh_resels(cells, 10.0)
    assert (euler, volume) == (1.0, 0.0)
    # Chords of a mesh of 10,242 vertices: 0.1 % short; the equator is a zigzag of edges.
    assert area == pytest.approx(2 * math.pi * radius**2 / 100, rel=0.02)
    assert math.pi * radius / 10 < length < 1.2 * math.pi * radius / 10
    # Areas of subjects' own surfaces, four times as large, have edges twice as long.
    scale = np.full(len(points), 4.0)
    wide = triangulation_of(faces.astype(np.int32), radius * points, vertices, part, scale)
    assert mesh_resels(wide, 10.0) == pytest.approx((1.0, 2 * length, 4 * area, 0.0))


def test_a_disc_of_a_surface(tmp_path: Path) -> None:
    study = groupglm.datasets.simulate_surface_study(tmp_path / "cortex", n_subjects=12)
    model = groupglm.SecondLevelModel(surfaces=study.surfaces, smoothing_fwhm=12.0)
    model.fit(study.paths, design_matrix=study.design_matrix)
    z = model.compute_contrast("age", output_type="z_score")
    options: Any = {"alpha": 0.05, "height_control": "rft", "surfaces": study.surfaces}
    options |= {"smoothness": model.smoothness_}
    _, whole = groupglm.threshold_stats_img(z, **options)
    left = nib.load(study.surfaces[0]).agg_data("pointset")  # type: ignore[attr-defined]
    x, y, w = left[1000].astype(float).tolist()
    _, small = groupglm.threshold_stats_img(z, **options, small_volume=(x, y, w, 15.0))
    assert 2.5 < small < whole - 0.3


def test_a_small_volume_on_another_grid_is_called_by_its_name() -> None:
    other = Nifti1Image(np.ones((30, 30, 29), np.uint8), AFFINE)
    with pytest.raises(GridMismatchError, match=r"^small_volume: the mask is not on the grid"):
        groupglm.threshold_stats_img(
            z_map(), MASK, height_control="rft", smoothness=SMOOTH, small_volume=other
        )


def test_a_smoothness_without_the_part_is_refused() -> None:
    part = SMOOTH.parts[0]
    other = Smoothness((PartSmoothness(**{**vars(part), "name": "left"}),), 25.0, 26)
    with pytest.raises(ArgumentError, match="has no part 'volume', only 'left'"):
        groupglm.threshold_stats_img(
            z_map(),
            MASK,
            height_control="rft",
            smoothness=other,
            small_volume=(30.0, 30.0, 30.0, 14.0),
        )
