# SPDX-License-Identifier: BSD-3-Clause
"""pTFCE: against a slow version of the published algorithm, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats

import groupglm
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.smoothness import Smoothness
from reference.ptfce import ptfce_evidence

SHAPE = (16, 14, 12)
Nifti1Image: Any = nib.Nifti1Image
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
FWHM = 5.0  # mm
SMOOTH = Smoothness.of_box(SHAPE, fwhm=FWHM, voxel_size=2.0, df=20.0)


def noise(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Any:
    """Noise of the width of the smoothness, with one place of an effect."""
    sigma = FWHM / 2 / math.sqrt(8 * math.log(2))
    z = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    z /= z.std()
    z[3:8, 3:8, 3:8] += 2.0
    return z


def mask_of_a_ball() -> Any:
    steps = np.indices(SHAPE) - np.array(SHAPE)[:, None, None, None] / 2
    return np.sqrt((steps**2).sum(axis=0)) < 7.5


def image(values: Any) -> Any:
    return Nifti1Image(values.astype(np.float64), AFFINE)


@pytest.mark.parametrize("n_thresholds", [30, 100])
def test_is_the_published_algorithm(n_thresholds: int) -> None:
    z, mask = noise(), mask_of_a_ball()
    enhanced: Any = groupglm.ptfce(
        image(z), SMOOTH, image(mask), two_sided=False, n_thresholds=n_thresholds
    ).get_fdata()
    assert not enhanced[~mask].any()
    expected = ptfce_evidence(z, mask, (2 / FWHM) ** 3, n_thresholds)
    # Both integrate to some 1e-9; a voxel at a height may fall on either side of it.
    found = -stats.norm.logsf(enhanced[mask])
    plain = -stats.norm.logsf(z[mask])
    levels = np.linspace(0, plain.max(), n_thresholds)
    high = plain > levels[levels > -stats.norm.logsf(1.3)][0]
    assert 30 < np.count_nonzero(high) < 600
    np.testing.assert_allclose(found[high], expected[high], rtol=1e-6)
    # Where no size counts, sums of steps would only round p.
    np.testing.assert_allclose(found[~high], plain[~high], rtol=1e-12)
    assert np.abs(found[~high] - expected[~high]).max() < 1.5 * levels[1]


def test_each_sign_is_enhanced_by_itself() -> None:
    z = noise(1)
    mask = image(np.ones(SHAPE))
    both: Any = groupglm.ptfce(image(z), SMOOTH, mask).get_fdata()
    up: Any = groupglm.ptfce(image(z), SMOOTH, mask, two_sided=False).get_fdata()
    down: Any = groupglm.ptfce(image(-z), SMOOTH, mask, two_sided=False).get_fdata()
    np.testing.assert_array_equal(both, np.where(z < 0, -down, up))


def test_a_large_cluster_gains_and_a_lone_voxel_loses() -> None:
    z = np.full(SHAPE, -0.2)
    z[2:8, 2:8, 2:8] = 2.5
    z[13, 11, 9] = 2.5
    enhanced: Any = groupglm.ptfce(image(z), SMOOTH, image(np.ones(SHAPE))).get_fdata()
    assert enhanced[4, 4, 4] > 3.0
    assert enhanced[13, 11, 9] < 2.5


def test_extreme_values_stay_what_they_are() -> None:
    z = noise(2)
    z[0, 0, 0], z[1, 0, 0], z[10, 10, 10] = np.inf, 38.0, np.nan
    with pytest.warns(UserWarning, match="1 voxel inside the mask is NaN"):
        found: Any = groupglm.ptfce(image(z), SMOOTH, image(np.ones(SHAPE))).get_fdata()
    assert np.isposinf(found[0, 0, 0])
    assert np.isnan(found[10, 10, 10])
    assert np.count_nonzero(~np.isfinite(found)) == 2
    weak: Any = groupglm.ptfce(image(np.clip(z, -1, 1.2)), SMOOTH, image(z == z)).get_fdata()
    assert np.abs(weak).max() < 1.4


def test_noise_is_not_enhanced_beyond_its_error() -> None:
    # A z of 3.09 (p = 0.001) is passed by no more than a few voxels of noise in a thousand.
    shape = (30, 30, 30)
    smooth = Smoothness.of_box(shape, fwhm=FWHM, voxel_size=2.0)
    mask = image(np.ones(shape))
    share = []
    for seed in range(6):
        sigma = FWHM / 2 / math.sqrt(8 * math.log(2))
        z = ndimage.gaussian_filter(
            np.random.default_rng(seed).standard_normal(shape), sigma, mode="wrap"
        )
        enhanced: Any = groupglm.ptfce(image(z / z.std()), smooth, mask, two_sided=False)
        share.append(np.mean(enhanced.get_fdata() > 3.09))
    assert np.mean(share) < 0.003


def test_what_it_cannot_enhance_is_refused() -> None:
    z = image(noise())
    with pytest.raises(ArgumentError, match=r"give smoothness=model\.smoothness_"):
        groupglm.ptfce(z)
    with pytest.raises(TypeError, match="smoothness is a float"):
        groupglm.ptfce(z, 8.0)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="n_thresholds"):
        groupglm.ptfce(z, SMOOTH, n_thresholds=10)
    with pytest.raises(ArgumentError, match="at most 10000"):
        groupglm.ptfce(z, SMOOTH, n_thresholds=20_000)
    with pytest.raises(TypeError, match="two_sided"):
        groupglm.ptfce(z, SMOOTH, two_sided=3)  # type: ignore[arg-type]
    named = image(stats.norm.sf(noise()))
    named.header["descrip"] = "p_value of contrast age"
    with pytest.raises(ValueError, match="p-values"):
        groupglm.ptfce(named, SMOOTH, image(np.ones(SHAPE)))


def test_maps_of_surfaces_and_regions_are_refused_by_name(tmp_path: Path) -> None:
    study = groupglm.datasets.simulate_surface_study(tmp_path / "cortex", n_subjects=6)
    model = groupglm.SecondLevelModel(surfaces=study.surfaces)
    model.fit(study.paths, design_matrix=pd.DataFrame({"intercept": np.ones(6)}))
    with pytest.raises(ArgumentError, match="pTFCE is for maps of voxels, and this one is of vert"):
        groupglm.ptfce(model.compute_contrast("intercept"), SMOOTH)
    model.fit(study.dscalars, design_matrix=pd.DataFrame({"intercept": np.ones(6)}))
    with pytest.raises(ArgumentError, match="pTFCE is for maps of voxels"):  # not: give surfaces
        groupglm.ptfce(model.compute_contrast("intercept"), SMOOTH)
