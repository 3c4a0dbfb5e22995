# SPDX-License-Identifier: BSD-3-Clause
"""True discoveries: Hommel's value and the bounds by definition, nilearn's maps, coverage."""

import itertools
import warnings
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm import cluster_level_inference as oracle_inference
from nilearn.glm.thresholding import _compute_hommel_value as oracle_hommel
from numpy.typing import NDArray
from scipy import ndimage, stats

import groupglm
from groupglm import SecondLevelModel
from groupglm.errors import GridMismatchError, ZeroValuesWarning
from groupglm.inference.all_resolution import cluster_level_inference, true_discovery_bounds
from groupglm.inference.discoveries import Discoveries, hommel_value
from reference.data import data_dir

nib: Any = nibabel  # typed only in part

SHAPE = (12, 13, 14)
COUNTS = ["Voxels", "True Discoveries"]


def image(values: NDArray[Any], affine: NDArray[Any] | None = None) -> Any:
    return nib.Nifti1Image(values, np.diag([3.0, 3.0, 4.0, 1.0]) if affine is None else affine)


def data(img: Any) -> NDArray[Any]:
    return np.asarray(img.dataobj)


def noise(seed: int, *, smooth: float = 0.0, signal: float = 0.0) -> NDArray[np.float64]:
    z = np.random.default_rng(seed).normal(size=SHAPE)
    if smooth:
        z = ndimage.gaussian_filter(z, smooth)
        z /= z.std()
    z[2:6, 3:8, 3:8] += signal
    z[8:11, 8:12, 9:13] -= signal
    return z


def by_nilearn(*args: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own: defaults to come
        return oracle_inference(*args, **kwargs)


def hommel_by_definition(p: NDArray[np.float64], alpha: float) -> int:
    ordered = np.sort(p)
    n = len(p)
    for h in range(n, 0, -1):
        if all(h * ordered[n - h + j - 1] > j * alpha for j in range(1, h + 1)):
            return h
    return 0


def simes_rejects(p: NDArray[np.float64], alpha: float) -> bool:
    return bool((len(p) * np.sort(p) <= np.arange(1, len(p) + 1) * alpha).any())


def bound_by_closed_testing(p: NDArray[np.float64], members: set[int], alpha: float) -> int:
    """Return |S| less the largest subset of S that closed testing does not reject."""
    tests = range(len(p))
    kept: list[set[int]] = [
        set(subset)
        for size in range(1, len(p) + 1)
        for subset in itertools.combinations(tests, size)
        if not simes_rejects(p[list(subset)], alpha)
    ]
    # Not rejected by closed testing: some set around it is not rejected by Simes' test.
    return len(members) - max((len(members & around) for around in kept), default=0)


# Whole multiples of 1/512 make ties with j alpha / h, exactly representable.
p_lists = st.lists(
    st.one_of(st.floats(0, 1), st.integers(0, 512).map(lambda i: i / 512)), min_size=1, max_size=40
)
levels = st.sampled_from([0.01, 0.05, 0.125, 0.25, 0.5])


@given(p=p_lists, alpha=levels)
@settings(max_examples=500, deadline=None)
def test_hommels_value_by_its_definition(p: list[float], alpha: float) -> None:
    values = np.array(p)
    assert hommel_value(values, alpha) == hommel_by_definition(values, alpha)


@given(
    p=st.lists(
        st.one_of(st.floats(0, 1), st.integers(0, 64).map(lambda i: i / 512)),
        min_size=1,
        max_size=7,
    ),
    alpha=levels,
    chosen=st.sets(st.integers(0, 6), min_size=1),
)
@settings(max_examples=200, deadline=None)
def test_bounds_are_those_of_closed_testing(p: list[float], alpha: float, chosen: set[int]) -> None:
    values = np.array(p)
    members = {place for place in chosen if place < len(values)}
    bound = Discoveries.of(values, alpha).bound(np.array(sorted(members), np.intp))
    assert bound == bound_by_closed_testing(values, members, alpha)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_hommels_value_is_nilearns_on_random_values(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=3000) + shift * (rng.random(3000) < 0.2)
    for alpha in (0.01, 0.05, 0.3):
        assert hommel_value(stats.norm.sf(z), alpha) == oracle_hommel(z, alpha)


def test_hommels_value_at_the_ends() -> None:
    assert hommel_value(np.array([0.6]), 0.05) == 1
    assert hommel_value(np.array([0.01]), 0.05) == 0
    assert hommel_value(np.full(1000, 1e-3), 0.05) == 0
    assert hommel_value(np.full(1000, 0.4), 0.05) == 1000
    assert hommel_value(np.array([0.0] * 10 + [1.0]), 0.05) == 1


def test_many_sets_at_once_are_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    found = Discoveries.of(stats.norm.sf(rng.normal(1.5, 1.5, 2000)), 0.05)
    labels = rng.integers(0, 40, 2000)
    members = np.flatnonzero(labels)
    at_once = found.bounds(members, labels[members], 41)
    one_by_one = [found.bound(np.flatnonzero(labels == label)) for label in range(1, 42)]
    assert at_once.tolist() == one_by_one
    assert max(one_by_one) > 0
    assert one_by_one[-1] == 0  # of an empty set


@pytest.mark.parametrize("smooth", [0.0, 1.2])
@pytest.mark.parametrize("signal", [1.5, 4.0])
@pytest.mark.parametrize("threshold", [1.0, 2.5, [2.0, 3.5, 3.0]])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_map_as_nilearn(
    smooth: float, signal: float, threshold: Any, masked: bool, dtype: Any
) -> None:
    z = noise(3, smooth=smooth, signal=signal).astype(dtype)
    inside = np.zeros(SHAPE, np.uint8)
    inside[1:-1, 1:-1, 1:-1] = 1
    mask = image(inside) if masked else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "stat_img: no ")  # true of some of these
        ours = cluster_level_inference(image(z), mask, threshold)
    theirs = by_nilearn(image(z), mask, threshold)
    # Ratios of the same whole numbers, rounded to the type of the map.
    np.testing.assert_allclose(
        data(ours), data(theirs), rtol=2e-7 if dtype == np.float32 else 1e-15
    )
    assert data(ours).dtype == dtype
    if signal == 4.0:
        assert data(ours).max() > 0.1


def test_the_same_map_as_nilearn_on_real_data() -> None:
    folder = data_dir("ds003338")
    files = [str(path) for path in sorted(folder.glob("*_effect_size.nii.gz"))]
    design = pd.DataFrame({"intercept": np.ones(len(files))})
    with pytest.warns(ZeroValuesWarning, match="18,544 of 77,278 voxels"):
        model = SecondLevelModel().fit(files, design_matrix=design)
    z = model.compute_contrast("intercept")
    ours = data(cluster_level_inference(z, threshold=[2.5, 3.5]))
    assert 0.3 < ours.max() <= 1
    np.testing.assert_allclose(ours, data(by_nilearn(z, threshold=[2.5, 3.5])), rtol=2e-7)


def test_both_tails_are_the_same_as_each_in_turn_with_two_sided_p() -> None:
    z = noise(4, signal=4.0)
    both = data(cluster_level_inference(image(z), threshold=2.5, two_sided=True))
    found = Discoveries.of(2 * stats.norm.sf(np.abs(z.ravel())), 0.05)
    wanted = np.zeros(z.size)
    for sign in (1, -1):
        labels, k = ndimage.label(sign * z > 2.5)
        for label in range(1, k + 1):
            members = np.flatnonzero(labels.ravel() == label)
            wanted[members] = found.bound(members) / len(members)
    np.testing.assert_array_equal(both.ravel(), wanted)
    assert both[z < 0].max() > 0.2
    mirrored = data(cluster_level_inference(image(-z), threshold=2.5, two_sided=True))
    np.testing.assert_array_equal(mirrored, both)


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_all_bounds_hold_at_once_as_often_as_promised(smooth: float) -> None:
    """Clusters at many thresholds, chosen after looking: too many discoveries in few of 200 maps.

    The chance of any wrong bound is at most alpha = 0.1, so 200 maps have 20 such on average at
    most; 35 or more have a probability below 0.001 (binomial). Bounds that are always zero would
    hold as well: some must not be.
    """
    assert stats.binom.sf(34, 200, 0.1) < 0.001
    active = np.zeros(SHAPE, bool)
    active[3:7, 3:7, 3:7] = True
    rng = np.random.default_rng(1)
    n_wrong = n_found = 0
    for _ in range(200):
        z = rng.normal(size=SHAPE)
        if smooth:
            z = ndimage.gaussian_filter(z, smooth, mode="wrap")
            z /= np.sqrt(_variance_after_smoothing(smooth))
        z[active] += 3.0
        found = Discoveries.of(stats.norm.sf(z.ravel()), 0.1)
        wrong = False
        for threshold in (0.5, 1.0, 2.0, 3.0):
            labels, k = ndimage.label(z > threshold)
            members = np.flatnonzero(labels)
            bounds = found.bounds(members, labels.ravel()[members], k)
            truth = np.bincount(labels[active], minlength=k + 1)[1:]
            wrong |= bool((bounds > truth).any())
            n_found += int(bounds.max())
        n_wrong += wrong
    assert n_wrong < 35
    assert n_found > 200 * 4 * 5


def _variance_after_smoothing(sigma: float) -> float:
    impulse = np.zeros(SHAPE)
    impulse[6, 6, 6] = 1
    return float((ndimage.gaussian_filter(impulse, sigma, mode="wrap") ** 2).sum())


def test_bounds_of_regions_from_an_atlas_and_from_masks() -> None:
    z = noise(6, signal=3.0)
    atlas = np.zeros(SHAPE, np.int16)
    atlas[2:6, 3:8, 3:8] = 7
    atlas[8:11, 8:12, 9:13] = 2
    atlas[0] = -1
    table = true_discovery_bounds(image(z), image(atlas))
    found = Discoveries.of(stats.norm.sf(z.ravel()), 0.05)
    wanted = [found.bound(np.flatnonzero(atlas.ravel() == label)) for label in (-1, 2, 7)]
    assert table["Region"].tolist() == [-1, 2, 7]
    assert table["Voxels"].tolist() == [13 * 14, 48, 100]
    assert table["True Discoveries"].tolist() == wanted
    assert wanted[2] > 15
    np.testing.assert_array_equal(
        table["True Discovery Proportion"], np.array(wanted) / table["Voxels"]
    )
    masks = [image((atlas == label).astype(np.uint8)) for label in (-1, 2, 7)]
    by_place = true_discovery_bounds(image(z), masks)
    assert by_place["Region"].tolist() == [0, 1, 2]
    by_name = true_discovery_bounds(image(z), dict(zip("abc", masks, strict=True)))
    assert by_name["Region"].tolist() == ["a", "b", "c"]
    for other in (by_place, by_name):
        pd.testing.assert_frame_equal(other[COUNTS], table[COUNTS])


def test_a_cluster_as_region_has_the_proportion_of_the_cluster() -> None:
    z = noise(7, signal=4.0)
    labels, _ = ndimage.label(z > 3.0)
    ours = data(cluster_level_inference(image(z), threshold=3.0))
    table = true_discovery_bounds(image(z), image(labels.astype(np.int32)))
    at = [int(np.flatnonzero(labels.ravel() == label)[0]) for label in table["Region"]]
    np.testing.assert_array_equal(ours.ravel()[at], table["True Discovery Proportion"])


def test_both_tails_of_a_region() -> None:
    z = noise(7, signal=4.0)
    region = np.zeros(SHAPE, np.uint8)
    region[8:11, 8:12, 9:13] = 1
    upper = true_discovery_bounds(image(z), image(region))
    both = true_discovery_bounds(image(z), image(region), two_sided=True)
    assert upper["True Discoveries"].tolist() == [0]
    assert both["True Discoveries"][0] > 15


def test_voxels_without_a_value_are_not_tests_and_not_zero() -> None:
    z = noise(8, signal=4.0)
    lost = np.zeros(SHAPE, bool)
    lost[4, 4:6, 5] = True
    z[lost] = np.nan
    mask = np.ones(SHAPE, np.uint8)
    with pytest.warns(UserWarning, match="2 voxels inside the mask are NaN"):
        ours = data(cluster_level_inference(image(z), image(mask), 2.5))
    np.testing.assert_array_equal(np.isnan(ours), lost)
    # The same as with a mask without them.
    mask[lost] = 0
    wanted = data(cluster_level_inference(image(z), image(mask), 2.5))
    np.testing.assert_array_equal(np.nan_to_num(ours), wanted)
    region = np.zeros(SHAPE, np.uint8)
    region[4, 3:6, 5] = 1
    with pytest.warns(UserWarning, match=r"1 region has voxels.*: 1 \(2 of 3\)"):
        table = true_discovery_bounds(image(z), image(region), image(mask))
    assert table["Voxels"].tolist() == [1]


def test_regions_outside_the_mask_are_told() -> None:
    z = noise(9, signal=4.0)
    mask = np.zeros(SHAPE, np.uint8)
    mask[:6] = 1
    atlas = np.zeros(SHAPE, np.uint8)
    atlas[4] = 1
    atlas[8] = 2
    with pytest.warns(UserWarning, match="1 region has no tested voxel.*: 2"):
        table = true_discovery_bounds(image(z), image(atlas), image(mask))
    assert table["Voxels"].tolist() == [13 * 14, 0]
    assert np.isnan(table["True Discovery Proportion"][1])
    atlas[4] = 0
    with pytest.raises(ValueError, match="no region has a tested voxel"):
        true_discovery_bounds(image(z), image(atlas), image(mask))


def test_regions_that_are_none_are_refused() -> None:
    z = image(noise(10))
    moved = np.diag([3.0, 3.0, 4.0, 1.0])
    moved[2, 3] = 4.0
    ones = np.ones(SHAPE, np.float32)
    with pytest.raises(GridMismatchError, match="the region is not on the grid of stat_img"):
        true_discovery_bounds(z, image(ones, moved))
    with pytest.raises(ValueError, match="regions is an empty list"):
        true_discovery_bounds(z, [])
    with pytest.raises(ValueError, match=r"values such as 0.5.*whole number"):
        true_discovery_bounds(z, image(0.5 * ones))
    with pytest.raises(TypeError, match=r"regions\[0\] must be a file name or a nibabel image"):
        true_discovery_bounds(z, [3])


def test_bad_input_is_refused_with_what_to_do() -> None:
    z = noise(11)
    with pytest.raises(ValueError, match="alpha=3 is not a level"):
        cluster_level_inference("/no/such/file.nii", alpha=3.0)
    with pytest.raises(ValueError, match=r"threshold=-3 is negative.*two_sided=True"):
        cluster_level_inference("/no/such/file.nii", threshold=[2.0, -3.0])
    with pytest.raises(ValueError, match="empty list"):
        cluster_level_inference("/no/such/file.nii", threshold=[])
    with pytest.warns(UserWarning, match="as p-values do"), pytest.warns(match="no voxel"):
        cluster_level_inference(image(stats.norm.sf(z)))
    with pytest.warns(UserWarning, match="as p-values do"):
        true_discovery_bounds(image(stats.norm.sf(z)), image(np.ones(SHAPE, np.uint8)))
    with pytest.raises(ValueError, match="mask is empty"):
        cluster_level_inference(image(z), image(np.zeros(SHAPE, np.uint8)))
    with pytest.warns(UserWarning, match=r"threshold=0.001.*p-value.*threshold=3.09"):
        cluster_level_inference(image(noise(11, signal=5.0)), threshold=0.001)
    with pytest.warns(UserWarning, match=r"no voxel is beyond threshold=9.*lower threshold"):
        assert not data(cluster_level_inference(image(z), threshold=9.0)).any()
    with pytest.warns(UserWarning, match="no cluster has a true discovery"):
        assert not data(cluster_level_inference(image(z), threshold=1.0)).any()


def test_verbose_tells_hommels_value(capsys: pytest.CaptureFixture[str]) -> None:
    z = noise(12, signal=4.0)
    cluster_level_inference(image(z), threshold=[2.0, 3.0], verbose=1)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("Hommel's value: ")
    assert len(printed) == 3
    assert printed[1].startswith("clusters beyond 2: ")


def test_they_are_names_of_the_package() -> None:
    assert groupglm.cluster_level_inference is cluster_level_inference
    assert groupglm.true_discovery_bounds is true_discovery_bounds
