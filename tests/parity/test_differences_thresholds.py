# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm on the same input, where they differ on purpose: thresholds.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

import warnings
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.glm import cluster_level_inference
from nilearn.glm import threshold_stats_img as nilearn_threshold
from nilearn.glm.second_level import SecondLevelModel as NilearnModel
from nilearn.image import smooth_img as nilearn_smooth
from nilearn.reporting import get_clusters_table as nilearn_table
from scipy import stats

import groupglm
from groupglm import SecondLevelModel
from groupglm.errors import DimensionError, GridMismatchError
from reference.oracle import quietly

nib: Any = nibabel  # typed only in part
threshold_stats_img: Any = groupglm.threshold_stats_img
SHAPE = (9, 10, 11)
MASK = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))


def fitted() -> SecondLevelModel:
    """A model of noise, with 4 residual degrees of freedom."""
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.normal(size=SHAPE), np.eye(4)) for _ in range(6)]
    design = pd.DataFrame({"one": np.ones(6), "age": np.arange(6.0)})
    return SecondLevelModel(mask_img=MASK).fit(images, design_matrix=design)


def by_nilearn(stat: Any, alpha: float) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults to come
        kept, _ = nilearn_threshold(stat, MASK, alpha, height_control="fpr", two_sided=True)
    return kept.get_fdata()


def test_statistic_taken_for_z() -> None:
    model = fitted()
    t = model.compute_contrast("age", output_type="stat")
    assert np.count_nonzero(by_nilearn(t, 0.05)) > 0.1 * t.get_fdata().size  # 0.05 were right
    with pytest.warns(UserWarning, match="t statistics with 4 degrees of freedom"):
        kept, _ = threshold_stats_img(t, MASK, 0.05)
    wanted = np.abs(t.get_fdata()) >= stats.t.isf(0.025, 4)
    np.testing.assert_array_equal(kept.get_fdata() != 0, wanted)
    for kind in ("p_value", "effect_size", "effect_variance"):
        with pytest.raises(ValueError, match="z-scores are needed"):
            threshold_stats_img(model.compute_contrast("age", output_type=kind), MASK, 0.05)


def test_several_volumes() -> None:
    rng = np.random.default_rng(1)
    images = [nib.Nifti1Image(rng.normal(size=SHAPE), np.eye(4)) for _ in range(6)]
    masks = np.ones((*SHAPE, 2), np.uint8)
    masks[:5, ..., 1] = 0
    two_masks = nib.Nifti1Image(masks, np.eye(4))
    design = pd.DataFrame({"one": np.ones(6)})
    theirs = NilearnModel(mask_img=two_masks).fit(images, design_matrix=design)
    used = theirs.masker_.mask_img_.get_fdata()
    assert any(np.array_equal(used, masks[..., volume]) for volume in (0, 1))
    assert cluster_level_inference(images[0], two_masks, threshold=1.0).shape == SHAPE
    small, large = rng.normal(size=(2, *SHAPE)) * [[[[1.0]]], [[[9.0]]]]
    both = nib.Nifti1Image(np.stack([small, large], axis=-1), np.eye(4))
    options = {"alpha": 0.1, "height_control": "fdr", "two_sided": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults to come
        threshold = nilearn_threshold(both, **options)[1]
        alone = nilearn_threshold(nib.Nifti1Image(small, np.eye(4)), **options)[1]
    assert threshold < alone
    for call in (
        lambda: SecondLevelModel(mask_img=two_masks).fit(images, design_matrix=design),
        lambda: groupglm.cluster_level_inference(images[0], two_masks, threshold=1.0),
        lambda: threshold_stats_img(both, **options),
    ):
        with pytest.raises(DimensionError, match="holds 2 volumes"):
            call()


def test_z_of_an_f_contrast() -> None:
    z = fitted().compute_contrast(["one", "age"])
    assert by_nilearn(z, 0.05).min() < -1.95
    with pytest.warns(UserWarning, match="one tail"):
        kept, threshold = threshold_stats_img(z, MASK, 0.05)
    assert kept.get_fdata().min() == 0
    assert threshold == pytest.approx(stats.norm.isf(0.05), rel=1e-12)


def test_missing_values_of_a_map() -> None:
    z = np.random.default_rng(0).normal(size=SHAPE)
    z[4:6, 4:6, 4:6], z[2, 2, 2] = np.nan, 9.0
    img = nib.Nifti1Image(z, np.eye(4))
    options: dict[str, Any] = {"alpha": 0.5, "height_control": "bonferroni", "two_sided": False}
    with pytest.warns(UserWarning, match="8 voxels inside the mask are NaN"):
        kept, threshold = threshold_stats_img(img, MASK, **options)
    theirs, their_threshold = quietly(nilearn_threshold, img, MASK, **options)
    assert threshold == pytest.approx(stats.norm.isf(0.5 / (z.size - 8)), rel=1e-13)
    assert their_threshold == pytest.approx(stats.norm.isf(0.5 / z.size), rel=1e-13)
    assert np.isnan(kept.get_fdata()[4:6, 4:6, 4:6]).all()
    assert (theirs.get_fdata()[4:6, 4:6, 4:6] == 0).all()


def test_p_values_taken_for_z() -> None:
    p = nib.Nifti1Image(np.random.default_rng(0).uniform(size=SHAPE), np.eye(4))
    options: dict[str, Any] = {"alpha": 0.4, "height_control": "fpr", "two_sided": False}
    with pytest.warns(UserWarning, match="between 0 and 1, as p-values do"):
        kept, _ = threshold_stats_img(p, MASK, **options)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        theirs, _ = nilearn_threshold(p, MASK, **options)
    assert not any("p-value" in str(warning.message) for warning in told)
    np.testing.assert_array_equal(kept.get_fdata(), theirs.get_fdata())


def test_p_value_as_threshold() -> None:
    z = nib.Nifti1Image(np.random.default_rng(0).normal(size=SHAPE), np.eye(4))
    options: dict[str, Any] = {"threshold": 0.001, "height_control": None}
    with pytest.warns(UserWarning, match="if it is a p-value, the z of that"):
        kept, _ = threshold_stats_img(z, MASK, **options)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        theirs, _ = nilearn_threshold(z, MASK, **options)
    assert not any("p-value" in str(warning.message) for warning in told)
    np.testing.assert_array_equal(kept.get_fdata(), theirs.get_fdata())
    assert np.count_nonzero(theirs.get_fdata()) > 0.99 * z.get_fdata().size


def test_mask_of_a_map_on_another_grid() -> None:
    z = np.random.default_rng(0).normal(size=(8, 8, 8))
    coarse = np.zeros((4, 4, 4), np.uint8)
    coarse[:2] = 1
    mask = nib.Nifti1Image(coarse, np.diag([2.0, 2, 2, 1]))
    img = nib.Nifti1Image(z, np.eye(4))
    options: dict[str, Any] = {"threshold": 1.0, "height_control": None}
    with pytest.raises(GridMismatchError, match="its shape is"):
        threshold_stats_img(img, mask, **options)
    theirs, _ = quietly(nilearn_threshold, img, mask, **options)
    assert theirs.shape == img.shape
    assert np.any(theirs.get_fdata()[:3])
    assert not np.any(theirs.get_fdata()[5:])


def test_proportion_of_true_discoveries() -> None:
    values = np.full(SHAPE, 50.0) + np.random.default_rng(5).normal(size=SHAPE)
    z = nib.Nifti1Image(values, np.eye(4))
    n = int(np.prod(SHAPE))
    ours: Any = groupglm.cluster_level_inference(z, MASK)
    assert ours.get_fdata().max() == 1
    theirs = quietly(cluster_level_inference, z, MASK).get_fdata().max()
    assert theirs == pytest.approx((n + 1) / n, rel=1e-6)


def test_values_at_the_limits() -> None:
    values = np.zeros(SHAPE)
    values[2, 2, 2], values[6, 6, 4:7] = 4.0, (5.0, 3.5, 4.0)
    stat = nib.Nifti1Image(values, np.eye(4))

    def rows(table: Any, **options: Any) -> int:
        return len(table(stat, 3.0, two_sided=False, **options))

    assert rows(nilearn_table, cluster_threshold=-1) == rows(nilearn_table) == 2
    with pytest.raises(TypeError, match="cluster_threshold"):
        rows(nilearn_table, cluster_threshold=1.5)
    with pytest.raises(ValueError, match="'min_distance' must be positive"):
        rows(nilearn_table, min_distance=0)
    assert rows(nilearn_table, min_distance=np.nan) == 2
    assert rows(groupglm.get_clusters_table, cluster_threshold=1.5) == 1
    assert rows(groupglm.get_clusters_table, min_distance=0) == 3  # both peaks of one cluster
    for name, value in {"cluster_threshold": -1, "min_distance": np.nan}.items():
        with pytest.raises(ValueError, match=name):
            rows(groupglm.get_clusters_table, **{name: value})

    for width in (-2.0, np.nan):
        np.testing.assert_array_equal(nilearn_smooth(stat, width).get_fdata(), values)
        with pytest.raises(ValueError, match=r"fwhm is .*not negative"):
            groupglm.smooth_img(stat, width)
