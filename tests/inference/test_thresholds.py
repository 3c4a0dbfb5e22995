# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of z-maps: against nilearn and statsmodels, and what is said of bad input."""

import warnings
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm import threshold_stats_img as oracle_threshold
from numpy.typing import NDArray
from scipy import ndimage, stats
from statsmodels.stats.multitest import multipletests

import groupglm
from groupglm.errors import GridMismatchError, ImageError
from groupglm.inference.error_rates import threshold_of
from groupglm.inference.thresholds import threshold_stats_img

pytestmark = pytest.mark.quick

nib: Any = nibabel  # typed only in part

SHAPE = (14, 15, 16)


def image(values: NDArray[Any], affine: NDArray[Any] | None = None) -> Any:
    return nib.Nifti1Image(values, np.diag([3.0, 3.0, 4.0, 1.0]) if affine is None else affine)


def noise(seed: int = 0, *, smooth: float = 0.0, signal: float = 0.0) -> NDArray[np.float64]:
    """A z-map of noise, with a ball of signal of either sign."""
    z = np.random.default_rng(seed).normal(size=SHAPE)
    if smooth:
        z = ndimage.gaussian_filter(z, smooth)
        z /= z.std()
    z[3:7, 3:8, 3:8] += signal
    z[8:12, 8:12, 9:13] -= signal
    return z


def in_brain(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero near the faces of the box, as outside a brain."""
    z = z.copy()
    inside = np.zeros(z.shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    z[~inside] = 0
    return z


def inner_mask() -> Any:
    inside = np.zeros(SHAPE, np.uint8)
    inside[1:12, 2:13, 2:14] = 1
    return image(inside)


def by_nilearn(*args: Any, **kwargs: Any) -> tuple[Any, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own: defaults to come, thresholds without survivors
        found, threshold = oracle_threshold(*args, **kwargs)
    return found, float(threshold)


def data(img: Any) -> NDArray[Any]:
    return np.asarray(img.dataobj)


@pytest.mark.parametrize("smooth", [0.0, 1.2])
@pytest.mark.parametrize("masked", ["mask_img", "background", "none"])
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("control", ["fpr", "fdr", "bonferroni", None])
@pytest.mark.parametrize("cluster_threshold", [0, 1, 6, 40])
def test_the_same_map_and_threshold_as_nilearn(
    smooth: float, masked: str, two_sided: bool, control: Any, cluster_threshold: int
) -> None:
    z = noise(1, smooth=smooth, signal=6.0)
    arguments: dict[str, Any] = {
        "mask_img": inner_mask() if masked == "mask_img" else None,
        "alpha": 0.02,
        "height_control": control,
        "threshold": 2.2 if control is None else None,
        "cluster_threshold": cluster_threshold,
        "two_sided": two_sided,
    }
    stat_img = image(in_brain(z) if masked == "background" else z)
    ours, threshold = threshold_stats_img(stat_img, **arguments)
    theirs, wanted = by_nilearn(stat_img, **arguments)
    # The same quantile from two libraries: a few units in the last place (2e-16), and nilearn
    # takes 1e-12 off its FDR threshold.
    assert threshold == pytest.approx(wanted, rel=1e-14, abs=2e-12)
    np.testing.assert_array_equal(data(ours), data(theirs))
    assert np.count_nonzero(data(ours)) > 40, "the map must keep something to compare"


def test_float32_maps_keep_their_type_and_values() -> None:
    z = noise(2, signal=3.0).astype(np.float32)
    ours, threshold = threshold_stats_img(image(z), height_control="fdr", alpha=0.05)
    theirs, wanted = by_nilearn(image(z), height_control="fdr", alpha=0.05)
    assert ours is not None
    assert threshold == pytest.approx(wanted, abs=2e-12)
    assert data(ours).dtype == np.float32
    np.testing.assert_array_equal(data(ours), data(theirs))


@pytest.mark.parametrize("threshold", [-2.0, 0.0, 2.0])
def test_one_sided_thresholds_of_either_sign_are_nilearns(threshold: float) -> None:
    z = noise(3, signal=2.0)
    arguments: dict[str, Any] = {
        "height_control": None, "threshold": threshold, "two_sided": False, "cluster_threshold": 5,
    }  # fmt: skip
    ours, used = threshold_stats_img(image(z), **arguments)
    theirs, _ = by_nilearn(image(z), **arguments)
    assert used == threshold
    np.testing.assert_array_equal(data(ours), data(theirs))
    kept = data(ours)[data(ours) != 0]
    assert (kept <= threshold if threshold < 0 else kept >= threshold).all()


z_values = st.lists(st.floats(-9, 9), min_size=1, max_size=60)


@given(z=z_values, alpha=st.sampled_from([0.001, 0.05, 0.3]), two_sided=st.booleans())
@settings(max_examples=200, deadline=None)
def test_fdr_finds_what_statsmodels_finds(z: list[float], alpha: float, two_sided: bool) -> None:
    values = np.array(z)
    p = 2 * stats.norm.sf(np.abs(values)) if two_sided else stats.norm.sf(values)
    wanted = multipletests(p, alpha, method="fdr_bh")[0]
    threshold = threshold_of(values, alpha, "fdr", two_sided=two_sided)
    found = (np.abs(values) if two_sided else values) >= threshold
    np.testing.assert_array_equal(found, wanted)


@given(z=z_values, alpha=st.sampled_from([0.001, 0.05, 0.3]), two_sided=st.booleans())
@settings(max_examples=100, deadline=None)
def test_bonferroni_finds_what_statsmodels_finds(
    z: list[float], alpha: float, two_sided: bool
) -> None:
    values = np.array(z)
    p = 2 * stats.norm.sf(np.abs(values)) if two_sided else stats.norm.sf(values)
    threshold = threshold_of(values, alpha, "bonferroni", two_sided=two_sided)
    found = (np.abs(values) if two_sided else values) >= threshold
    np.testing.assert_array_equal(found, multipletests(p, alpha, method="bonferroni")[0])


def test_fdr_at_a_million_tests_with_p_below_the_smallest_double() -> None:
    z = np.random.default_rng(0).normal(size=1_000_000)
    z[:1000] += 50.0  # p-values of zero in double precision
    threshold = threshold_of(z, 1e-6, "fdr", two_sided=False)
    assert np.count_nonzero(z >= threshold) == 1000


def test_without_a_map_the_threshold_alone() -> None:
    found, threshold = threshold_stats_img(None, alpha=0.001)
    assert found is None
    assert threshold == pytest.approx(stats.norm.isf(0.0005), rel=1e-14)
    assert threshold_stats_img(alpha=0.001, two_sided=False)[1] == pytest.approx(
        stats.norm.isf(0.001), rel=1e-14
    )
    assert threshold_stats_img(height_control=None) == (None, 3.0)
    assert threshold_stats_img(threshold=2, height_control=None) == (None, 2.0)
    for control in ("fdr", "bonferroni"):
        with pytest.raises(ValueError, match=r"stat_img is None.*give stat_img"):
            threshold_stats_img(None, height_control=control)


def test_it_is_a_name_of_the_package() -> None:
    assert groupglm.threshold_stats_img is threshold_stats_img


def test_a_threshold_beside_a_height_control_is_ignored_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"threshold=5 is ignored.*height_control=None"):
        _, threshold = threshold_stats_img(threshold=5.0, alpha=0.001)
    assert threshold == pytest.approx(stats.norm.isf(0.0005))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alpha": 3.0}, ValueError, "alpha=3 is not a level.*threshold=3, height_control=None"),
        ({"alpha": 0.0}, ValueError, "between 0 and 1"),
        ({"alpha": -0.05}, ValueError, "between 0 and 1"),
        ({"alpha": np.nan}, ValueError, "finite"),
        ({"alpha": "0.05"}, TypeError, "alpha is .*; 'alpha' must be of type int or float"),
        ({"alpha": True}, TypeError, "alpha is .*; 'alpha' must be of type int or float"),
        ({"alpha": [0.05]}, TypeError, "alpha is .*; 'alpha' must be of type int or float"),
        (
            {"height_control": "FWE"},
            ValueError,
            "'rft', 'cluster-rft' or None",
        ),
        ({"height_control": None, "threshold": np.nan}, ValueError, "finite"),
        ({"height_control": None, "threshold": -3.0}, ValueError, "two_sided=False"),
        ({"cluster_threshold": -1}, ValueError, "number of voxels"),
    ],
)
def test_arguments_out_of_range_are_refused_before_the_map_is_read(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        threshold_stats_img("/no/such/file.nii", **arguments)


@pytest.mark.parametrize("control", ["fpr", "fdr", "bonferroni"])
def test_a_map_whose_values_are_as_p_values_is_reported(control: Any) -> None:
    # Not refused: the z-values of a small region may all lie between 0 and 1.
    p = stats.norm.sf(noise(4))
    with pytest.warns(UserWarning, match=r"between 0 and 1, as p-values do.*map of z-scores"):
        found, _ = threshold_stats_img(image(p), height_control=control)
    assert found is not None
    assert not data(found).any()


def test_a_p_value_in_place_of_a_threshold_is_reported() -> None:
    with pytest.warns(
        UserWarning, match=r"if it is a p-value, the z of that \(one-sided\) is 3.09"
    ):
        threshold_stats_img(image(noise(5)), threshold=0.001, height_control=None)
    with pytest.warns(UserWarning, match="what is \\*not\\* significant"):
        threshold_stats_img(image(stats.norm.sf(noise(5))), threshold=0.05, height_control=None)


def test_when_nothing_survives_it_says_so_and_gives_zeros() -> None:
    z = np.clip(noise(6), -2, 2)
    for arguments, message in [
        ({"alpha": 0.001}, "the threshold is 3.291, and the largest absolute value is 2 of 3360"),
        ({"height_control": "fdr"}, "no voxel is a discovery"),
        ({"height_control": "bonferroni", "two_sided": False}, "the largest value is 2"),
        (
            {"height_control": None, "threshold": -4.0, "two_sided": False},
            "the smallest value is -2",
        ),
    ]:
        with pytest.warns(UserWarning, match=message):
            found, _ = threshold_stats_img(image(z), **arguments)  # type: ignore[arg-type]
        assert found is not None
        assert not data(found).any()
    with pytest.warns(UserWarning, match=r"largest cluster has \d+ voxels, fewer than"):
        found, _ = threshold_stats_img(
            image(z), height_control=None, threshold=1.9, cluster_threshold=500
        )
    assert found is not None
    assert not data(found).any()


def test_it_is_not_asked_whether_a_models_own_map_is_of_z() -> None:
    rng = np.random.default_rng(3)
    images = [image(rng.normal(size=SHAPE).astype(np.float32)) for _ in range(6)]
    mask = image(np.ones(SHAPE, np.uint8))
    model = groupglm.SecondLevelModel(mask_img=mask).fit(
        images, design_matrix=pd.DataFrame({"intercept": np.ones(6)})
    )
    z_map = model.compute_contrast("intercept")
    with pytest.warns(UserWarning, match="There is no evidence at this level") as told:
        threshold_stats_img(z_map, mask, height_control="bonferroni", alpha=1e-9)
    assert "Check that the map is of z-values" not in str(told[0].message)
    with pytest.warns(
        UserWarning, match="Check that the map is of z-values; if it is, there is no"
    ):
        threshold_stats_img(image(data(z_map)), mask, height_control="bonferroni", alpha=1e-9)


def test_voxels_without_a_value_are_not_tests_and_not_zero() -> None:
    z = in_brain(noise(7, signal=3.0))
    lost = np.zeros(SHAPE, bool)
    lost[6:8, 6:9, 6:9] = True
    z[lost] = np.nan
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:-2, 2:-2, 2:-2] = 1
    for mask_img in (None, image(mask)):
        with pytest.warns(UserWarning, match=r"18 voxels inside the mask are NaN"):
            found, threshold = threshold_stats_img(
                image(z), mask_img, height_control="bonferroni", alpha=0.05
            )
        n_tests = int(mask.sum()) - 18
        assert threshold == pytest.approx(stats.norm.isf(0.025 / n_tests), rel=1e-13)
        assert found is not None
        np.testing.assert_array_equal(np.isnan(data(found)), lost)
        assert np.count_nonzero(np.nan_to_num(data(found))) > 0


def test_nan_outside_the_brain_is_background() -> None:
    z = in_brain(noise(8, signal=3.0))
    as_nan = np.where(z == 0, np.nan, z)
    wanted, wanted_threshold = threshold_stats_img(image(z), height_control="fdr", alpha=0.05)
    found, threshold = threshold_stats_img(image(as_nan), height_control="fdr", alpha=0.05)
    assert threshold == wanted_threshold
    np.testing.assert_array_equal(data(found), data(wanted))


def test_maps_and_masks_that_hold_nothing_to_test_are_refused() -> None:
    z = noise(9)
    with pytest.raises(ImageError, match="all 3360 values are NaN"):
        threshold_stats_img(image(np.full(SHAPE, np.nan)))
    with pytest.raises(ValueError, match="the map is 3 at every voxel"):
        threshold_stats_img(image(np.full(SHAPE, 3.0)))
    with pytest.raises(ValueError, match="mask is empty"):
        threshold_stats_img(image(z), image(np.zeros(SHAPE, np.uint8)))
    z[:3] = np.nan
    mask = np.zeros(SHAPE, np.uint8)
    mask[1] = 1
    with pytest.raises(ImageError, match=r"inside the mask are NaN.*mask belongs to the map"):
        threshold_stats_img(image(z), image(mask))


def test_a_mask_on_another_grid_is_refused_not_resampled() -> None:
    mask = np.ones(SHAPE, np.uint8)
    moved = np.diag([3.0, 3.0, 4.0, 1.0])
    moved[0, 3] = 1.5
    with pytest.raises(GridMismatchError, match=r"displaces voxels by up to 1.5 mm"):
        threshold_stats_img(image(noise()), image(mask, moved))
    with pytest.raises(GridMismatchError, match="its shape is"):
        threshold_stats_img(image(noise()), image(mask[1:]))


def test_a_four_dimensional_map_is_refused() -> None:
    with pytest.raises(ImageError, match="holds 2 volumes"):
        threshold_stats_img(image(np.zeros((*SHAPE, 2))))


@given(seed=st.integers(0, 1000), two_sided=st.booleans(), n=st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_no_small_cluster_stays_and_no_large_one_goes(seed: int, two_sided: bool, n: int) -> None:
    z = noise(seed, smooth=0.8)
    arguments: dict[str, Any] = {"height_control": None, "threshold": 1.0, "two_sided": two_sided}
    whole = data(threshold_stats_img(image(z), **arguments)[0])
    kept = data(threshold_stats_img(image(z), **arguments, cluster_threshold=n)[0])
    for sign in (1, -1) if two_sided else (1,):
        labels, k = ndimage.label(whole * sign > 0)
        for label in range(1, k + 1):
            cluster = labels == label
            wanted = whole[cluster] if cluster.sum() >= n else 0
            np.testing.assert_array_equal(kept[cluster], wanted)
    np.testing.assert_array_equal(kept[whole == 0], 0)


def test_thresholds_are_numpy_s_numbers_of_python_s_kind() -> None:
    z = np.random.default_rng(0).normal(size=(6, 6, 6)) * 3
    found = [
        *(
            groupglm.threshold_stats_img(nib.Nifti1Image(z, np.eye(4)), height_control=control)[1]
            for control in ("fpr", "fdr", "bonferroni", None)
        ),
        groupglm.threshold_stats_img(height_control="fpr")[1],
        groupglm.fdr_threshold(z, 0.05),
        groupglm.fdr_threshold([0.0], 0.05),  # no discovery: infinite
    ]
    for threshold in found:
        assert isinstance(threshold, float)
        assert threshold.round(2) == round(float(threshold), 2)  # nilearn's has this method
