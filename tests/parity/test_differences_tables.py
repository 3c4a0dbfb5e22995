# SPDX-License-Identifier: BSD-3-Clause
"""Deliberate differences from nilearn in thresholds and tables, each beside what nilearn does."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pytest
from nilearn.glm import threshold_stats_img as oracle_threshold
from nilearn.reporting import get_clusters_table as oracle_table

from groupglm import get_clusters_table, threshold_stats_img
from reference.oracle import quietly

nib: Any = nibabel  # typed only in part


def test_infinite_statistics() -> None:
    z = np.zeros((9, 9, 9))
    z[3:6, 3:6, 3:6] = 4.0
    z[4, 4, 4] = np.inf
    img = nib.Nifti1Image(z, np.eye(4))
    found, _ = threshold_stats_img(img, alpha=0.05, height_control="fdr")
    theirs, _ = quietly(oracle_threshold, img, alpha=0.05, height_control="fdr")
    assert found is not None
    assert np.asarray(found.dataobj)[4, 4, 4] == np.inf
    assert theirs.get_fdata()[4, 4, 4] == 0
    peak, their_peak = (
        table.iloc[0] for table in (get_clusters_table(img, 3.0), quietly(oracle_table, img, 3.0))
    )
    assert (peak["Peak Stat"], peak["Cluster Size (mm3)"]) == (np.inf, 27)
    assert (their_peak["Peak Stat"], their_peak["Cluster Size (mm3)"]) == (4.0, 26)


def test_numbers_of_negative_clusters() -> None:
    z = np.zeros((24, 12, 12), np.float32)
    z[2:5, 2:10, 4:7] = 3.5  # with a peak and a subpeak
    z[3, 3, 5], z[3, 8, 5] = 6, 5
    z[14:17, 3:6, 3:6], z[19:22, 3:6, 3:6] = -4, -3.5
    img = nib.Nifti1Image(z, np.diag([3.0, 3, 3, 1]))
    table, maps = get_clusters_table(img, 3.0, two_sided=True, return_label_maps=True)
    theirs, their_maps = quietly(oracle_table, img, 3.0, two_sided=True, return_label_maps=True)
    assert table["Cluster ID"].tolist() == [1, "1a", 2, 3]
    assert theirs["Cluster ID"].tolist() == [1, "1a", 3, 4]
    labels, their_labels = (
        [np.unique(np.asarray(image.dataobj)).tolist() for image in images]
        for images in (maps, their_maps)
    )
    assert labels == [[0, 1], [0, 2, 3]]
    assert their_labels == [[0, 1], [0, 1, 2]]
    for row in table.itertuples(index=False, name=None):  # each peak lies in its cluster
        voxel = tuple(int(mm / 3) for mm in row[1:4])
        number = int(str(row[0]).rstrip("a"))
        assert number == max(int(np.asarray(image.dataobj)[voxel]) for image in maps)


def test_nan_in_the_background() -> None:
    z = np.full((12, 12, 12), np.nan)
    z[3:9, 3:9, 3:9] = np.random.default_rng(0).uniform(-2, 2, (6, 6, 6))
    z[5:7, 5:7, 5] = 5.0
    img = nib.Nifti1Image(z.copy(), np.eye(4))
    with pytest.warns(UserWarning, match="Non-finite values detected"):
        theirs = oracle_table(img, 4.0)
    found = get_clusters_table(img, 4.0)  # a warning is an error
    assert found["Cluster Size (mm3)"].tolist() == theirs["Cluster Size (mm3)"].tolist() == [4]
    z = np.nan_to_num(z)
    z[6, 6, 5] = np.nan
    with pytest.warns(UserWarning, match="Non-finite values detected: 1 voxel inside"):
        found = get_clusters_table(nib.Nifti1Image(z, np.eye(4)), 4.0)
    assert found["Cluster Size (mm3)"].tolist() == [3]


def test_negative_threshold() -> None:
    z = np.zeros((9, 9, 9))
    z[2, 2, 2], z[6, 6, 6], z[2, 6, 6] = -3.5, -5.0, 4.0
    img = nib.Nifti1Image(z, np.eye(4))
    assert get_clusters_table(img, -3.0)["Peak Stat"].tolist() == [-5.0, -3.5]
    assert oracle_table(img, -3.0)["Peak Stat"].tolist() == [3.5, 5.0]


def test_label_map_of_a_tail_without_a_cluster() -> None:
    z = np.zeros((9, 9, 9))
    z[2:4, 2:4, 2:4] = 4.0
    options: dict[str, Any] = {"two_sided": True, "return_label_maps": True}
    img = nib.Nifti1Image(z, np.eye(4))
    with pytest.warns(UserWarning, match="no cluster below -3"):
        _, maps = get_clusters_table(img, 3.0, **options)
    _, theirs = quietly(oracle_table, img, 3.0, **options)
    assert [int(np.asarray(one.dataobj).max()) for one in maps] == [1, 0]
    assert [int(np.asarray(one.dataobj).max()) for one in theirs] == [1]


def test_volume_of_slanted_voxels() -> None:
    z = np.zeros((9, 9, 9))
    z[4, 5, 6] = 3.0
    slanted = np.diag([2.0, 3.0, 4.0, 1.0])
    slanted[1, 0] = 2.0
    img = nib.Nifti1Image(z, slanted)
    column = "Cluster Size (mm3)"
    assert get_clusters_table(img, 2.5)[column].tolist() == [24]
    assert oracle_table(img, 2.5)[column].tolist() == [33]  # 24 * sqrt(2) = 33.9


def test_clusters_with_equal_peaks() -> None:
    peaks = np.random.default_rng(0).integers(4, 7, 40).astype(float)
    z = np.zeros((82, 4, 4))
    z[1:81:2, 1, 1] = peaks
    img = nib.Nifti1Image(z, np.eye(4))
    first = get_clusters_table(img, 3.0)
    assert first["X"].tolist() == (1.0 + 2 * (-peaks).argsort(kind="stable")).tolist()
    # The default of numpy: which of two equal values comes first depends on the processor.
    theirs = oracle_table(img, 3.0)
    assert theirs["X"].tolist() == (1.0 + 2 * (-peaks).argsort()).tolist()
