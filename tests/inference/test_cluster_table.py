# SPDX-License-Identifier: BSD-3-Clause
"""Tables of clusters: nilearn's, row by row."""

import functools
import importlib
import inspect
import types
import warnings
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.reporting import get_clusters_table as oracle_table
from numpy.typing import NDArray
from scipy import ndimage, stats
from scipy.spatial.transform import Rotation

import groupglm
from groupglm import SecondLevelModel
from groupglm.errors import ImageError, ZeroValuesWarning
from groupglm.inference.cluster_table import get_clusters_table
from reference.data import data_dir
from reference.oracle import quietly

nib: Any = nibabel  # typed only in part

SHAPE = (18, 21, 19)
PLAIN = np.diag([2.0, 2.0, 2.0, 1.0])
# Axes swapped, turned and flipped, unequal voxels, an offset: every entry of the affine matters.
OBLIQUE = nib.affines.from_matvec(
    Rotation.from_euler("xyz", [100, -15, 20], degrees=True).as_matrix() * [2.9, -2.1, 3.4],
    [-40.0, 55.5, -12.25],
)


def image(values: NDArray[Any], affine: NDArray[Any] = PLAIN) -> Any:
    return nib.Nifti1Image(values, affine)


def noise(seed: int, smooth: float, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float64]:
    z = np.random.default_rng(seed).normal(size=shape)
    if smooth:
        z = ndimage.gaussian_filter(z, smooth)
        z /= z.std()
    return z


def assert_same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Compare the tables: the same up to the rounding of millimetres (1e-13 of 100 mm)."""
    pd.testing.assert_frame_equal(
        ours, numbered_through(theirs), rtol=0, atol=1e-11, check_column_type=False
    )


def numbered_through(theirs: pd.DataFrame) -> pd.DataFrame:
    """Number nilearn's clusters through both tails: its negative ones count subpeaks too."""
    given = [str(label) for label in theirs["Cluster ID"]]
    number = 0
    labels: list[Any] = []
    for label in given:
        number += label.isdigit()
        labels.append(number if label.isdigit() else f"{number}{label[-1]}")
    return theirs.assign(**{"Cluster ID": pd.Series(labels, dtype=theirs["Cluster ID"].dtype)})


@pytest.mark.parametrize("smooth", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("cluster_threshold", [0, 1, 4])
@pytest.mark.parametrize("affine", [PLAIN, OBLIQUE], ids=["plain", "oblique"])
@pytest.mark.parametrize("threshold", [0.3, 1.4])
def test_the_same_table_and_maps_as_nilearn(
    smooth: float,
    two_sided: bool,
    cluster_threshold: int,
    affine: NDArray[Any],
    threshold: float,
) -> None:
    stat_img = image(noise(3, smooth), affine)
    arguments: dict[str, Any] = {
        "stat_threshold": threshold,
        "cluster_threshold": cluster_threshold,
        "two_sided": two_sided,
        "return_label_maps": True,
    }
    ours, maps = get_clusters_table(stat_img, **arguments)
    theirs, their_maps = quietly(oracle_table, stat_img, **arguments)
    assert len(ours) > 1
    assert_same(ours, theirs)
    assert len(maps) == len(their_maps)
    n_before = 0
    for our_map, their_map in zip(maps, their_maps, strict=True):
        labels = np.asarray(their_map.dataobj)
        np.testing.assert_array_equal(our_map.dataobj, np.where(labels > 0, labels + n_before, 0))
        n_before += int(labels.max())
        assert our_map.get_data_dtype() == np.int32


@given(
    seed=st.integers(0, 10_000),
    smooth=st.sampled_from([0.0, 0.7, 1.5]),
    threshold=st.floats(0.0, 2.5),
    min_distance=st.floats(0.5, 30.0),
    float32=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_same_table_for_any_threshold_and_distance(
    seed: int, smooth: float, threshold: float, min_distance: float, float32: bool
) -> None:
    z = noise(seed, smooth, (9, 11, 10))
    stat_img = image(z.astype(np.float32) if float32 else z, OBLIQUE)
    arguments = {"two_sided": True, "min_distance": min_distance}
    ours = quietly(get_clusters_table, stat_img, threshold, **arguments)
    assert_same(ours, quietly(oracle_table, stat_img, threshold, **arguments))


@functools.cache
def oracle_with_stable_sorts() -> Any:
    """Make nilearn's function with stable sorts, which settle the order of equal peaks."""
    module = importlib.import_module("nilearn.reporting.get_clusters_table")
    source = inspect.getsource(module)
    assert source.count(".argsort()") == 3
    stable = types.ModuleType("stable")
    exec(source.replace(".argsort()", ".argsort(kind='stable')"), stable.__dict__)  # noqa: S102
    return stable.__dict__["get_clusters_table"]


@given(
    seed=st.integers(0, 10_000),
    levels=st.integers(1, 3),
    min_distance=st.sampled_from([0.1, 4.0, 8.0]),
    shape=st.sampled_from([(8, 7, 9), (1, 9, 8), (9, 1, 1), (4, 3, 12)]),
)
@settings(max_examples=80, deadline=None)
def test_plateaus_have_the_same_peaks(
    seed: int, levels: int, min_distance: float, shape: tuple[int, ...]
) -> None:
    """Few distinct values: flat clusters, plateaus in the middle of others, rings, the border."""
    z = np.rint(noise(seed, 0.9, shape) * levels)
    z.ravel()[0] = 0  # nilearn loses a cluster that fills the grid, and we refuse a constant map
    z.ravel()[1] = 1
    arguments: dict[str, Any] = {"two_sided": True, "min_distance": min_distance}
    ours = quietly(get_clusters_table, image(z), 0.5, **arguments)
    assert_same(ours, quietly(oracle_with_stable_sorts(), image(z), 0.5, **arguments))


def test_single_plateaus_are_placed_as_nilearn_places_them() -> None:
    """A ring (its middle is outside), an even bar, a block whose inside is no peak, a corner."""
    z = np.zeros(SHAPE)
    z[2:7, 2:7, 2] = 4.0
    z[3:6, 3:6, 2] = 0.0
    z[10, 3:7, 3] = 3.5
    z[9:16, 10:17, 9:16] = 3.0
    z[10:15, 11:16, 10:15] = 5.0
    z[16:, 19:, 17:] = 2.5
    for affine in (PLAIN, OBLIQUE):
        ours, maps = get_clusters_table(image(z, affine), 2.0, return_label_maps=True)
        theirs, their_maps = quietly(oracle_table, image(z, affine), 2.0, return_label_maps=True)
        assert_same(ours, theirs)
        np.testing.assert_array_equal(maps[0].dataobj, their_maps[0].dataobj)


def test_touching_by_a_corner_clusters_keep_their_own_peaks() -> None:
    z = np.zeros(SHAPE)
    z[4:6, 4, 4] = 3.0, 4.0
    z[6, 5, 5] = 9.0  # a neighbour of 4.0 by its corner, but of another cluster
    ours = get_clusters_table(image(z), 2.0)
    assert ours["Peak Stat"].tolist() == [9.0, 4.0]
    assert_same(ours, quietly(oracle_table, image(z), 2.0))


@pytest.mark.parametrize("two_sided", [True, False])
def test_values_equal_to_the_threshold_are_in_no_cluster(two_sided: bool) -> None:
    z = np.zeros(SHAPE)
    z[5, 5, 3:9] = 2.0, 3.0, 2.0, 3.0, 3.5, 2.0
    arguments: dict[str, Any] = {"cluster_threshold": 5, "two_sided": two_sided}
    ours = quietly(get_clusters_table, image(z), 2.0, **arguments)
    assert ours["Cluster Size (mm3)"].tolist() == [16, 8]
    assert_same(ours, quietly(oracle_table, image(z), 2.0, **arguments))


def test_millimetres_and_sizes_by_hand() -> None:
    z = np.zeros(SHAPE)
    z[4, 5, 6:8] = 3.0, 4.0
    table = get_clusters_table(image(z, OBLIQUE), 2.5)
    wanted = OBLIQUE @ [4, 5, 7, 1]
    np.testing.assert_allclose(table[["X", "Y", "Z"]].to_numpy()[0], wanted[:3], rtol=1e-14)
    assert table["Cluster Size (mm3)"].tolist() == [int(2 * 2.9 * 2.1 * 3.4)]


def test_the_negative_tail_alone_keeps_its_sign_and_begins_with_the_strongest() -> None:
    """nilearn 0.14.1 gives positive values, the weakest first."""
    z = noise(5, 1.0)
    ours, maps = get_clusters_table(image(z), -1.5, return_label_maps=True)
    flipped, flipped_maps = get_clusters_table(image(-z), 1.5, return_label_maps=True)
    flipped["Peak Stat"] *= -1
    assert_same(ours, flipped)
    np.testing.assert_array_equal(maps[0].dataobj, flipped_maps[0].dataobj)
    theirs = quietly(oracle_table, image(z), -1.5)
    np.testing.assert_array_equal(
        np.sort(ours["Peak Stat"].to_numpy()), np.sort(-theirs["Peak Stat"].to_numpy())
    )


@pytest.fixture(scope="module")
def real_map() -> Any:
    folder = data_dir("ds003338")
    files = [str(path) for path in sorted(folder.glob("*_effect_size.nii.gz"))]
    design = pd.DataFrame({"intercept": np.ones(len(files))})
    with pytest.warns(ZeroValuesWarning, match="18,544 of 77,278 voxels"):
        model = SecondLevelModel().fit(files, design_matrix=design)
    return model.compute_contrast("intercept")


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("cluster_threshold", [0, 10])
def test_the_same_table_for_a_real_map(
    real_map: Any, two_sided: bool, cluster_threshold: int
) -> None:
    arguments: dict[str, Any] = {
        "cluster_threshold": cluster_threshold,
        "two_sided": two_sided,
    }
    ours = get_clusters_table(real_map, 3.0, **arguments)
    assert len(ours) > 10
    assert_same(ours, quietly(oracle_table, real_map, 3.0, **arguments))


def test_it_is_a_name_of_the_package() -> None:
    assert groupglm.get_clusters_table is get_clusters_table


@pytest.mark.parametrize("threshold", [50.0, np.inf])
def test_a_filter_of_nilearns_warning_still_works(threshold: float) -> None:
    image = nib.Nifti1Image(np.eye(9, dtype=np.float32).reshape(9, 3, 3) * 4, np.eye(4))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No clusters found")  # at its beginning
        assert len(get_clusters_table(image, threshold)) == 0


def test_a_tail_without_a_cluster_is_told_and_its_map_is_empty() -> None:
    z = np.clip(noise(6, 0.0), -1.0, None)
    with pytest.warns(UserWarning, match=r"no cluster below -2: the most extreme value is -1"):
        table, maps = get_clusters_table(image(z), 2.0, two_sided=True, return_label_maps=True)
    assert (table["Peak Stat"] > 2).all()
    assert np.any(maps[0].dataobj)
    assert not np.any(maps[1].dataobj)
    with pytest.warns(UserWarning, match=r"no cluster of 50 voxels or more above 2"):
        table = get_clusters_table(image(z), 2.0, 50)
    assert table.empty
    assert table.columns.tolist() == quietly(oracle_table, image(z), 2.0, 50).columns.tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"stat_threshold": "3"},
            TypeError,
            "'stat_threshold' must be of type int",
        ),
        ({"stat_threshold": np.nan}, ValueError, "finite"),
        ({"stat_threshold": -3.0, "two_sided": True}, ValueError, "give stat_threshold=3"),
        ({"stat_threshold": 3.0, "cluster_threshold": -2}, ValueError, "number of voxels"),
        ({"stat_threshold": 3.0, "min_distance": -1}, ValueError, "zero or more"),
        ({"stat_threshold": 3.0, "min_distance": np.inf}, ValueError, "finite"),
    ],
)
def test_arguments_out_of_range_are_refused_before_the_map_is_read(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        get_clusters_table("/no/such/file.nii", **arguments)


def test_p_values_as_map_or_as_threshold_are_reported() -> None:
    z = noise(7, 0.0)
    p = stats.norm.sf(z)
    with pytest.warns(UserWarning, match=r"p-value.*stat_threshold=3.09"):
        get_clusters_table(image(z), 0.001)
    with pytest.warns(UserWarning, match=r"p-value.*stat_threshold=-3.09"):
        get_clusters_table(image(z), -0.001)
    with pytest.warns(UserWarning, match="what is \\*not\\* significant"):
        get_clusters_table(image(p), 0.05)
    with pytest.warns(UserWarning, match=r"between 0 and 1, as p-values do"):
        assert get_clusters_table(image(p), 3.0).empty


def test_voxels_without_a_value_are_in_no_cluster() -> None:
    z = np.zeros(SHAPE)
    z[5, 5, 3:9] = 3.0, 4.0, np.nan, 5.0, np.nan, 3.0
    with pytest.warns(UserWarning, match="2 voxels inside the mask are NaN"):
        table = get_clusters_table(image(z), 2.0)
    assert table["Peak Stat"].tolist() == [5.0, 4.0, 3.0]
    with pytest.raises(ImageError, match="all 7182 values are NaN"):
        get_clusters_table(image(np.full(SHAPE, np.nan)), 2.0)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of tails without a cluster
@pytest.mark.parametrize("cluster_threshold", [0, 2, 3])
@pytest.mark.parametrize(("threshold", "two_sided"), [(4.0, True), (4.0, False), (-4.0, False)])
def test_values_at_the_threshold_itself(
    threshold: float, two_sided: bool, cluster_threshold: int
) -> None:
    """Of whole numbers, many of which are the threshold: as in nilearn, they are in no cluster."""
    values = np.random.default_rng(5).integers(-5, 6, size=(9, 9, 9)).astype(np.float64)
    image: Any = nibabel.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0]))  # type: ignore[no-untyped-call]
    options: Any = {"cluster_threshold": cluster_threshold, "two_sided": two_sided}

    def sizes(function: Any) -> list[int]:
        table = function(image, threshold, **options)
        return sorted(int(size) for size in table["Cluster Size (mm3)"] if size != "")

    assert sizes(get_clusters_table) == sizes(oracle_table)
    if cluster_threshold == 0:
        beyond = np.abs(values) if two_sided else values * np.sign(threshold)
        assert sum(sizes(get_clusters_table)) == 8 * np.count_nonzero(beyond > 4)
        assert np.count_nonzero(beyond == 4) > 20
