# SPDX-License-Identifier: BSD-3-Clause
"""t and F whose degrees of freedom differ by voxel are converted by the map of them beside."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

import groupglm
from groupglm.cli import main
from groupglm.errors import GridMismatchError
from groupglm.group.fitted_group import statistic_of
from groupglm.spaces.volume import Statistic
from reference.shell import basic, make_study, run_fit, values_of

nib: Any = nibabel  # typed only in part
threshold_stats_img: Any = groupglm.threshold_stats_img


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study in which up to four subjects lack a voxel."""
    folder = make_study(tmp_path_factory.mktemp("study"))
    rng = np.random.default_rng(0)
    for path in sorted((folder / "maps").glob("*.nii.gz"))[:4]:
        image = nib.load(path)
        values = image.get_fdata(dtype=np.float32)
        values[rng.random(values.shape) < 0.3] = np.nan
        nib.save(nib.Nifti1Image(values, image.affine), path)
    out = folder / "out"
    result = run_fit(*basic(folder, out, "--contrast", "both=age; group[T.patient]"))
    assert result.exit_code == 0, result.output
    return out


def test_z_of_each_voxel_is_that_of_its_own_degrees(fitted: Path) -> None:
    mask, df = fitted / "mask.nii.gz", values_of(fitted / "df_residual.nii.gz")
    assert len(np.unique(df[values_of(mask) > 0])) >= 4
    for label, letter in (("age", "t"), ("both", "F")):
        path = fitted / f"contrast-{label}_stat-{letter}_statmap.nii.gz"
        statistic = values_of(path)
        tested = (values_of(mask) > 0) & np.isfinite(statistic)
        with pytest.warns(UserWarning, match=r"by the degrees of freedom of df_residual.nii.gz"):
            kept, _ = threshold_stats_img(
                path, mask, 0.9, height_control="fpr", two_sided=letter == "t"
            )
        if letter == "t":
            wanted = stats.norm.isf(stats.t.sf(np.abs(statistic), df)) * np.sign(statistic)
        else:
            wanted = stats.norm.isf(stats.f.sf(statistic, 2, df))
        found = np.asarray(kept.dataobj, dtype=np.float64)
        shown = tested & (found != 0)
        assert np.count_nonzero(shown) > 100
        # float32 statistics, whose last place is 6e-8 of them, to float32 z.
        np.testing.assert_allclose(found[shown], wanted[shown], rtol=2e-6)


def test_degrees_of_freedom_need_not_be_whole(fitted: Path, tmp_path: Path) -> None:
    for path in fitted.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    mask = values_of(tmp_path / "mask.nii.gz") > 0
    image = nib.load(tmp_path / "df_residual.nii.gz")
    df = np.where(mask, np.random.default_rng(1).uniform(0.6, 40, mask.shape), 0)
    nib.save(nib.Nifti1Image(df, image.affine, dtype="float64"), tmp_path / "df_residual.nii.gz")
    for label, letter in (("age", "t"), ("both", "F")):
        path = tmp_path / f"contrast-{label}_stat-{letter}_statmap.nii.gz"
        statistic = values_of(path)
        with pytest.warns(UserWarning, match=r"by the degrees of freedom of df_residual.nii.gz"):
            kept, _ = threshold_stats_img(
                path, tmp_path / "mask.nii.gz", 0.9, height_control="fpr", two_sided=letter == "t"
            )
        if letter == "t":
            wanted = stats.norm.isf(stats.t.sf(np.abs(statistic), df)) * np.sign(statistic)
        else:
            wanted = stats.norm.isf(stats.f.sf(statistic, 2, df))
        found = np.asarray(kept.dataobj, dtype=np.float64)
        shown = mask & np.isfinite(statistic) & (found != 0)
        assert np.count_nonzero(shown) > 100
        np.testing.assert_allclose(found[shown], wanted[shown], rtol=2e-6)


def test_images_of_a_model_whose_degrees_are_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.standard_normal((3, 3, 3)), np.eye(4)) for _ in range(6)]
    mask = nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4))
    model = groupglm.SecondLevelModel(mask).fit(
        images, design_matrix=pd.DataFrame({"one": [1] * 6})
    )
    result = model.results_.contrast([1])
    assert statistic_of(result, "stat") == Statistic("t", (5.0,))
    assert np.asarray(model.df_residual_.dataobj).dtype == np.int32
    real = rng.uniform(1, 5, 27)
    for df, header in ((4.25, (4.25,)), (real, ()), (np.inf, ()), (np.full(27, 4.25), (4.25,))):
        monkeypatch.setattr(type(model.results_), "df_residual", df)
        found = np.asarray(model.df_residual_.dataobj).ravel(order="F")
        np.testing.assert_array_equal(found, np.broadcast_to(np.float32(df), 27))
        assert statistic_of(dataclasses.replace(result, df=df), "stat") == Statistic("t", header)


def test_commands_and_functions_that_need_z(fitted: Path, tmp_path: Path) -> None:
    t, z = (fitted / f"contrast-age_stat-{kind}_statmap.nii.gz" for kind in "tz")
    mask = fitted / "mask.nii.gz"
    for path in (t, z):
        found = CliRunner().invoke(main, [
            "threshold", str(path), "--mask", str(mask), "--correct", "fpr:0.05",
            "--output", str(tmp_path / path.name),
        ])  # fmt: skip
        assert found.exit_code == 0, found.output
    one, other = (values_of(tmp_path / path.name) for path in (t, z))
    np.testing.assert_allclose(one, other, rtol=2e-6)
    assert np.count_nonzero(other) > 0
    with pytest.warns(UserWarning, match="converted to z-scores by the degrees"):
        bounds = groupglm.true_discovery_bounds(t, mask, mask)
    assert bounds.equals(groupglm.true_discovery_bounds(z, mask, mask))
    loaded = nib.load(t)
    with pytest.warns(UserWarning, match="converted to z-scores by the degrees"):
        threshold_stats_img(loaded, mask, 0.05)


def test_a_map_of_degrees_that_does_not_serve(fitted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(fitted, tmp_path / "copy")
    t, mask = folder / "contrast-age_stat-t_statmap.nii.gz", folder / "mask.nii.gz"
    record, degrees = folder / "contrast-age_stat-t_statmap.json", folder / "df_residual.nii.gz"
    facts = json.loads(record.read_text())
    for name in ("../df_residual.nii.gz", str(degrees), "..\\df.nii", 3, None, "other.nii.gz"):
        facts["DegreesOfFreedom"]["ResidualMap"] = name
        record.write_text(json.dumps(facts))
        with pytest.raises(ValueError, match="without a map of them beside it"):
            threshold_stats_img(t, mask, 0.05)
    facts["DegreesOfFreedom"]["ResidualMap"] = degrees.name
    record.write_text(json.dumps(facts))
    image = nib.load(degrees)
    values = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(values * 0, image.affine), degrees)
    with pytest.raises(ValueError, match=r"with a statistic have no degrees of freedom in df_res"):
        threshold_stats_img(t, mask, 0.05)
    nib.save(nib.Nifti1Image(values[1:], image.affine), degrees)
    with pytest.raises(GridMismatchError, match=r"df_residual.nii.gz.*not on the grid of the map"):
        threshold_stats_img(t, mask, 0.05)
