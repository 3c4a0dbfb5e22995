# SPDX-License-Identifier: BSD-3-Clause
"""Clusters that are significant by their size, of volumes, surfaces and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import special

import groupglm
from groupglm.cli import main
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.p_values import cluster_p
from groupglm.inference.random_fields.smoothness import Smoothness

SHAPE = (20, 24, 18)
Nifti1Image: Any = nib.Nifti1Image
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
MASK = Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
SMOOTH = Smoothness.of_box(SHAPE, fwhm=9.0, voxel_size=3.0, df=30.0, n_images=31)
FORMING_Z = -float(special.ndtri(0.001 / 2))


def least_size(alpha: float) -> float:
    """Find the smallest whole number of voxels that is significant, from the p-values."""
    sizes = np.arange(1, 400)
    p, _ = cluster_p(sizes, FORMING_Z, "t", 30.0, SMOOTH, on_z_scale=True)
    return float(sizes[p <= alpha][0])


def two_clusters() -> tuple[Any, int]:
    """Return a map with a cluster that is just large enough, and one of the same number less one.

    Both are rows of voxels of z = 4, of opposite signs.
    """
    n = int(least_size(0.025))
    z = np.full(SHAPE, 0.5)
    z.ravel()[:n] = 4.0  # rows of 18 voxels side by side are one cluster
    z[10:].ravel()[: n - 1] = -4.0
    return Nifti1Image(z, AFFINE), n


def test_a_cluster_is_kept_from_the_size_of_its_p_value_on() -> None:
    image, n = two_clusters()
    kept, threshold = groupglm.threshold_stats_img(
        image, MASK, alpha=0.05, height_control="cluster-rft", smoothness=SMOOTH
    )
    assert threshold == pytest.approx(FORMING_Z)
    assert kept is not None
    found: Any = kept.get_fdata()
    assert np.count_nonzero(found == 4.0) == np.count_nonzero(found) == n


def test_a_stricter_height_takes_smaller_clusters() -> None:
    image, _ = two_clusters()
    kept, threshold = groupglm.threshold_stats_img(
        image,
        MASK,
        alpha=0.05,
        height_control="cluster-rft",
        smoothness=SMOOTH,
        cluster_forming_p=0.0001,
    )
    assert threshold == pytest.approx(-special.ndtri(0.0001 / 2))
    assert (kept.get_fdata() == -4.0).any()  # type: ignore[union-attr]


def test_one_tail_has_all_of_the_error() -> None:
    z = np.full(SHAPE, 0.5)
    height = -float(special.ndtri(0.001))
    sizes = np.arange(1, 400)
    p, _ = cluster_p(sizes, height, "t", 30.0, SMOOTH, on_z_scale=True)
    n = int(sizes[p <= 0.05][0])
    z.ravel()[:n] = 4.0
    options: Any = {"alpha": 0.05, "height_control": "cluster-rft", "smoothness": SMOOTH}
    kept, threshold = groupglm.threshold_stats_img(
        Nifti1Image(z, AFFINE), MASK, two_sided=False, **options
    )
    assert threshold == pytest.approx(height)
    assert np.count_nonzero(kept.get_fdata()) == n  # type: ignore[union-attr]
    z.ravel()[n - 1] = 0.5
    with pytest.warns(UserWarning, match=f"largest cluster has {n - 1} voxels, and one is signifi"):
        groupglm.threshold_stats_img(Nifti1Image(z, AFFINE), MASK, two_sided=False, **options)


def test_what_has_no_effect_or_no_meaning_is_told() -> None:
    image, _ = two_clusters()
    options: Any = {"alpha": 0.05, "height_control": "cluster-rft", "smoothness": SMOOTH}
    with pytest.raises(ArgumentError, match=r"'cluster_forming_p' must be at most 0\.126"):
        groupglm.threshold_stats_img(image, MASK, **options, cluster_forming_p=0.2)
    with pytest.raises(ArgumentError, match=r"cluster_forming_p=1\.5 is not a level"):
        groupglm.threshold_stats_img(image, MASK, **options, cluster_forming_p=1.5)
    with pytest.warns(UserWarning, match="only height_control='cluster-rft' uses it"):
        groupglm.threshold_stats_img(image, MASK, cluster_forming_p=0.001)
    with pytest.raises(ArgumentError, match="needs the smoothness of the noise"):
        groupglm.threshold_stats_img(image, MASK, height_control="cluster-rft")
    with pytest.raises(ArgumentError, match="'stat_img' cannot be None"):
        groupglm.threshold_stats_img(height_control="cluster-rft")


def test_clusters_of_a_surface_count_square_millimetres(tmp_path: Path) -> None:
    study = groupglm.datasets.simulate_surface_study(tmp_path / "cortex", n_subjects=16)
    model = groupglm.SecondLevelModel(surfaces=study.surfaces, smoothing_fwhm=12.0)
    model.fit(study.paths, design_matrix=study.design_matrix)
    z_map = model.compute_contrast("age", output_type="z_score")
    smooth = model.smoothness_
    assert [part.unit for part in smooth.parts] == ["mm2", "mm2"]
    kept, height = groupglm.threshold_stats_img(
        z_map,
        alpha=0.05,
        height_control="cluster-rft",
        smoothness=smooth,
        surfaces=study.surfaces,
        cluster_forming_p=0.002,
    )
    table = groupglm.get_clusters_table(
        z_map, float(height), two_sided=True, surfaces=study.surfaces
    )
    column = next(name for name in table.columns if name.startswith("Cluster Size"))
    table = table[table[column] != ""]  # without subpeaks
    sizes = table[column].to_numpy(np.float64)
    p, _ = cluster_p(sizes, float(height), "t", smooth.df, smooth, on_z_scale=True)
    assert kept is not None
    kept_table = groupglm.get_clusters_table(
        kept, float(height), two_sided=True, surfaces=study.surfaces
    )
    assert 0 < np.count_nonzero(p <= 0.025) < len(p)
    assert set(kept_table[column]) - {""} == set(sizes[p <= 0.025])


def test_from_the_shell_with_sizes_in_the_sidecar(tmp_path: Path) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    for subject in range(12):
        noise: Any = gaussian_filter(rng.standard_normal(SHAPE), 1.5)
        noise = 10 * noise.astype(np.float32)
        noise[6:15, 6:15, 4:13] += 4
        nib.save(Nifti1Image(noise, AFFINE), tmp_path / f"sub-{subject:02d}_map.nii.gz")
    nib.save(MASK, tmp_path / "mask.nii.gz")
    rows = ["participant_id", *(f"sub-{k:02d}" for k in range(12))]
    (tmp_path / "participants.tsv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    command = ["fit", f"{tmp_path}/sub-*_map.nii.gz", "--formula", "~ 1", "--contrast", "Intercept"]
    command += ["--participants", f"{tmp_path}/participants.tsv", "--output", str(out)]
    command += ["--mask", f"{tmp_path}/mask.nii.gz", "--correct", "cluster-rft:p<0.001,0.05"]
    main(command, standalone_mode=False)
    path = next(out.glob("*desc-clusterrftp0p001a0p05_statmap.json"))
    facts = json.loads(path.read_text())
    assert facts["Correction"]["ClusterFormingP"] == 0.001
    assert facts["Threshold"] == pytest.approx(FORMING_Z)
    of_z = json.loads(next(out.glob("*stat-z_statmap.json")).read_text())
    smooth = Smoothness.of_facts(of_z["Smoothness"])
    size = facts["ClusterSizes"]["volume"]
    p, _ = cluster_p([size], FORMING_Z, "t", 11.0, smooth, on_z_scale=True)
    assert p[0] == pytest.approx(0.025, rel=1e-6)
    z_map = next(out.glob("*stat-z_statmap.nii.gz"))
    other = tmp_path / "kept.nii.gz"
    command = ["threshold", str(z_map), "--mask", f"{tmp_path}/mask.nii.gz", "--output", str(other)]
    main([*command, "--correct", "cluster-rft:p=0.001,0.05"], standalone_mode=False)
    kept: Any = nib.load(other)
    own: Any = nib.load(next(out.glob("*desc-clusterrftp0p001a0p05_statmap.nii.gz")))
    assert kept.get_fdata().any()
    np.testing.assert_array_equal(kept.get_fdata(), own.get_fdata())
    again = json.loads((tmp_path / "kept.json").read_text())
    assert again["ClusterSizes"] == facts["ClusterSizes"]


@pytest.mark.parametrize(
    "given", ["cluster-rft:0.05,p<0.001,", "cluster-rft:p<2,0.05", "cluster-rft:", "rft:0.1,0.05"]
)
def test_a_rule_that_is_not_understood_is_shown_one_that_is(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import click

    with pytest.raises(click.BadParameter, match="such as"):
        main(["threshold", "z.nii.gz", "--correct", given, "--output", "o"], standalone_mode=False)
