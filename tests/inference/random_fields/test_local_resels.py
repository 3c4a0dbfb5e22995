# SPDX-License-Identifier: BSD-3-Clause
"""Resels of each place: a slow reference, noise whose width differs, and the door of a model."""

from __future__ import annotations

import math
import warnings
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from groupglm import SecondLevelModel
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.images import resels_of_rows
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.mesh import Mesh
from reference.meshes import icosphere

Nifti1Image: Any = nib.Nifti1Image
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SIGMA = 1 / math.sqrt(8 * math.log(2))


def fit_to(values: Any, inside: Any) -> Any:
    images = [Nifti1Image(own.astype(np.float32), AFFINE) for own in values]
    mask = Nifti1Image(np.asarray(inside, np.uint8), AFFINE)
    design = pd.DataFrame({"intercept": np.ones(len(values))})
    return SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)


def by_hand(values: Any, inside: Any) -> Any:
    """The product over axes of the root of the mean of 1 - r over a voxel's edges, one by one."""
    residuals = values - values.mean(axis=0)
    unit = residuals / np.sqrt((residuals**2).sum(axis=0))
    shape = inside.shape
    rough = np.full((3, *shape), np.nan)
    every: list[list[float]] = [[], [], []]
    for place in np.argwhere(inside).tolist():
        for axis in range(3):
            own = []
            for step in (-1, 1):
                other = list(place)
                other[axis] += step
                if 0 <= other[axis] < shape[axis] and inside[tuple(other)]:
                    own.append(1 - unit[(slice(None), *place)] @ unit[(slice(None), *other)])
            if own:
                rough[(axis, *place)] = np.mean(own)
                every[axis].append(rough[(axis, *place)])
    found = np.ones(shape)
    for axis in range(3):
        mean = np.mean(every[axis])
        found *= np.sqrt(np.where(np.isnan(rough[axis]), mean, rough[axis]))
    found[np.isnan(rough).all(axis=0)] = np.nan
    found[~inside] = np.nan
    return found


def test_a_slow_reference_agrees() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([gaussian_filter(rng.standard_normal((7, 8, 6)), 1.6) for _ in range(9)])
    inside = rng.random((7, 8, 6)) < 0.85
    inside[0, 0, :] = False
    inside[1, 0, 0] = inside[0, 1, 0] = False
    inside[0, 0, 0] = True  # a voxel by itself
    model = fit_to(values, inside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of narrow noise and crumbs
        image = model.rpv_img_
        smooth = model.smoothness_
    found = np.where(inside, image.get_fdata(), np.nan)
    wanted = by_hand(values.astype(np.float32).astype(float), inside)
    per_voxel = smooth.parts[0].resels_per_unit
    assert np.isnan(found[0, 0, 0])
    assert np.nanmean(found) == pytest.approx(per_voxel, rel=1e-6)
    np.testing.assert_allclose(found, wanted * per_voxel / np.nanmean(wanted), rtol=2e-6)


def test_rough_noise_has_more_resels() -> None:
    """Half of the noise is 3 voxels wide, and half of it 6: resels are as (1 - r)^(3/2)."""
    rng = np.random.default_rng(1)
    shape = (40, 24, 24)
    values = []
    for _ in range(150):
        white = rng.standard_normal(shape)
        rough, wide = (gaussian_filter(white, fwhm * SIGMA) for fwhm in (3.0, 6.0))
        values.append(np.concatenate([rough[:20] / rough.std(), wide[20:] / wide.std()]))
    model = fit_to(np.stack(values), np.ones(shape))
    found = model.rpv_img_.get_fdata()
    inner = found[:, 6:-6, 6:-6]
    ratio = inner[3:14].mean() / inner[26:37].mean()
    correlations = [math.exp(-2 * math.log(2) / fwhm**2) for fwhm in (3.0, 6.0)]
    wanted = ((1 - correlations[0]) / (1 - correlations[1])) ** 1.5
    # Wide noise has 7 resels in 150 images: 1 - r of an axis has a standard error of 4 percent, and
    # the product of the roots of three one of 4 percent.
    assert ratio == pytest.approx(wanted, rel=0.12)


def test_vertices_share_the_resels_of_a_mesh() -> None:
    coordinates, faces = icosphere(4)
    mesh = Mesh("sphere", coordinates * 100.0, faces)
    space = HemisphereSpace("left", len(coordinates), mesh=mesh)
    rng = np.random.default_rng(2)
    white = rng.standard_normal((20, len(coordinates)))
    adjacency = np.zeros((len(coordinates),) * 2, np.float32)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        adjacency[faces[:, one], faces[:, other]] = adjacency[faces[:, other], faces[:, one]] = 1
    np.fill_diagonal(adjacency, 1)
    adjacency /= adjacency.sum(axis=1, keepdims=True)
    rows = white
    for _ in range(10):
        rows = rows @ adjacency.T
    upper = coordinates[:, 2] > 0
    smoother = rows
    for _ in range(30):
        smoother = smoother @ adjacency.T
    rows = np.where(upper, smoother / smoother.std(), rows / rows.std())
    rows -= rows.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of narrow noise
        smooth, resels = resels_of_rows(iter(rows), space, 19.0)
    assert resels.shape == (len(coordinates),)
    assert resels.sum() == pytest.approx(smooth.resels[2], rel=1e-12)
    apart = np.abs(coordinates[:, 2]) > 0.3
    assert resels[~upper & apart].mean() > 2 * resels[upper & apart].mean()
    # Of one vertex by hand: a third of the areas around it, scaled like all.
    unit = rows / np.sqrt((rows**2).sum(axis=0))
    areas = np.zeros(len(coordinates))
    for corners in faces.tolist():
        p, q, r = unit[:, corners].T
        e, f = q - p, r - p
        area = math.sqrt(max((e @ e) * (f @ f) - (e @ f) ** 2, 0.0)) / 2
        areas[corners] += area / 3
    np.testing.assert_allclose(resels, areas * smooth.resels[2] / areas.sum(), rtol=1e-6)


def test_regions_have_no_resels() -> None:
    table = pd.DataFrame(np.random.default_rng(0).standard_normal((8, 3)), columns=["a", "b", "c"])
    design = pd.DataFrame({"one": np.ones(8)})
    model = SecondLevelModel().fit(table, design_matrix=design)
    with pytest.raises(ArgumentError, match="regions have no neighbours"):
        _ = model.rpv_img_
