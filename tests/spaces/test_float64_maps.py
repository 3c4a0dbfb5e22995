# SPDX-License-Identifier: BSD-3-Clause
"""Maps whose values leave float32's range are float64, at every door; others are float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner
from numpy.typing import NDArray

import groupglm
from groupglm import SecondLevelModel, fit_ols, smooth_img
from groupglm.cli import main
from groupglm.spaces.registry import kind_of
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.meshes import metric_image

nib: Any = nibabel  # typed only in part
non_parametric_inference: Any = groupglm.non_parametric_inference

SHAPE = (6, 7, 5)
N = 10
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
LARGEST, LEAST = np.finfo(np.float32).max, np.finfo(np.float32).tiny


def space(whole: bool) -> VolumeSpace:
    everything = VolumeSpace(Grid((3, 2, 2), AFFINE))
    return everything if whole else everything.restrict(np.arange(12) % 3 != 1)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1.5, np.float32),
        (float(LARGEST), np.float32),
        (float(LEAST), np.float32),
        (0.0, np.float32),
        (np.nan, np.float32),
        (-np.inf, np.float32),
        (4e38, np.float64),
        (-1e300, np.float64),
        (1e-38, np.float64),
        (-5e-324, np.float64),
    ],
)
def test_the_type_is_the_least_that_holds_the_values(
    whole: bool, value: float, wanted: type
) -> None:
    """Of one row or several; the value comes back to float32's precision, or exactly."""
    where = space(whole)
    row = np.linspace(1, 2, where.n_values)
    row[3] = value
    for values in (row, np.stack([np.ones_like(row), row])):
        image: Any = where.to_image(values)
        assert image.get_data_dtype() == wanted
        found = np.asarray(image.dataobj).reshape(where.grid.n_voxels, -1, order="F")[:, -1]
        found = found if where.indices is None else found[where.indices]
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(found, row.astype(wanted))
    with np.errstate(over="ignore"):
        narrow: Any = where.to_image(row.astype(np.float32))
    wide: Any = where.to_image(row, dtype=np.float64)
    assert (narrow.get_data_dtype(), wide.get_data_dtype()) == (np.float32, np.float64)


def study(folder: Path, unit: float, dtype: type = np.float64) -> tuple[list[str], pd.DataFrame]:
    """Images of one unit, as files."""
    rng = np.random.default_rng(7)
    folder.mkdir()
    names = []
    age = np.linspace(20, 60, N)
    for subject in range(N):
        values = rng.standard_normal(SHAPE) + 0.05 * age[subject]
        values[:, :, 0] += 0.2 * age[subject]
        image = nib.Nifti1Image((unit * values).astype(dtype), AFFINE)
        path = folder / f"sub-{subject + 1:02d}_effect.nii"
        nib.save(image, path)
        names.append(str(path))
    return names, pd.DataFrame({"one": np.ones(N), "age": age})


def read(image: Any) -> NDArray[np.float64]:
    loaded = nib.load(image) if isinstance(image, str | Path) else image
    return np.asarray(loaded.dataobj, dtype=np.float64)


UNITS = {1e-30: np.float32, 1e22: np.float32, 1e-170: np.float64, 1e150: np.float64}


@pytest.fixture(scope="module", params=UNITS)
def fitted(request: Any, tmp_path_factory: Any) -> dict[str, Any]:
    """A study in a unit, the same study in units of one, and the fit on its arrays."""
    unit = request.param
    folder = tmp_path_factory.mktemp("unit")
    paths, design = study(folder / "maps", unit, UNITS[unit])
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
    nib.save(mask, folder / "mask.nii")
    Y = np.stack([read(path).ravel(order="F") for path in paths])
    model = SecondLevelModel(mask_img=mask, minimize_memory=False).fit(paths, design_matrix=design)
    return {
        "unit": unit, "paths": paths, "design": design, "Y": Y, "model": model, "mask": mask,
        "fit": fit_ols(design.to_numpy(), Y), "folder": folder,
    }  # fmt: skip


def test_the_estimators_maps(fitted: dict[str, Any]) -> None:
    result = fitted["fit"].contrast([0, 1])
    maps = fitted["model"].compute_contrast("age", output_type="all")
    for kind, image in maps.items():
        values = getattr(result, kind)
        size = np.abs(values[values != 0])
        lost = (size > LARGEST).any() or (size < LEAST).any()
        assert image.get_data_dtype() == (np.float64 if lost else np.float32)
        # The estimator rounds a float32 to half its last place; its sums are in another order.
        np.testing.assert_allclose(read(image).ravel(order="F"), values, rtol=1e-6)
    if fitted["unit"] != 1e-170:  # where double cannot hold it
        assert maps["effect_variance"].get_data_dtype() == np.float64
        assert read(maps["effect_variance"]).min() > 0
    assert maps["stat"].get_data_dtype() == np.float32
    again = nib.Nifti1Image.from_bytes(maps["effect_variance"].to_bytes())
    np.testing.assert_array_equal(read(again), read(maps["effect_variance"]))


def test_predicted_and_residuals(fitted: dict[str, Any], tmp_path: Path) -> None:
    model, fit, unit = fitted["model"], fitted["fit"], fitted["unit"]
    wanted = {"predicted": fit.predicted(), "residuals": fit.residuals(None, fitted["Y"])}
    for name, rows in wanted.items():
        in_memory = getattr(model, f"{name}_")
        (in_file,) = getattr(model, name)(out=tmp_path / f"{name}.nii.gz")
        for image in (in_memory, in_file):
            found = read(image).reshape(-1, N, order="F").T
            np.testing.assert_allclose(found, rows, rtol=1e-6, atol=1e-6 * unit)
            if not 1e-37 < unit < 1e37:
                assert image.get_data_dtype() == np.float64
    np.testing.assert_allclose(read(model.r_square_).ravel(order="F"), fit.r_square, rtol=1e-6)


def test_the_maps_of_the_command(fitted: dict[str, Any], tmp_path: Path) -> None:
    people = tmp_path / "people.tsv"
    table = pd.DataFrame({"participant_id": [f"sub-{i + 1:02d}" for i in range(N)],
                          "age": fitted["design"]["age"]})  # fmt: skip
    table.to_csv(people, sep="\t", index=False)
    out = tmp_path / "results"
    found = CliRunner().invoke(main, [
        "fit", *fitted["paths"], "--participants", str(people), "--formula", "~ age",
        "--contrast", "age", "--mask", str(fitted["folder"] / "mask.nii"), "--output", str(out),
        "--save-model", "--report",
    ])  # fmt: skip
    assert found.exit_code == 0, found.output
    result = fitted["fit"].contrast([0, 1])
    for kind, values in {
        "effect": result.effect_size, "variance": result.effect_variance,
        "t": result.stat, "z": result.z_score,
    }.items():  # fmt: skip
        path = out / f"contrast-age_stat-{kind}_statmap.nii.gz"
        np.testing.assert_allclose(read(path).ravel(order="F"), values, rtol=1e-6)
    facts = json.loads((out / "contrast-age_stat-variance_statmap.json").read_text())
    assert facts["Values"] == "variance"
    model = SecondLevelModel.load(out / "model.groupglm")
    again = model.compute_contrast("age", output_type="effect_variance")
    np.testing.assert_array_equal(
        read(again), read(out / "contrast-age_stat-variance_statmap.nii.gz")
    )
    assert "nan" not in (out / "report.html").read_text().lower().split("<body", 1)[1][:20000]


def test_permutation_of_images(fitted: dict[str, Any], tmp_path: Path) -> None:
    """The same test as that of the images in units of one."""
    plain, design = study(tmp_path / "plain", 1.0, UNITS[fitted["unit"]])
    one, other = (
        non_parametric_inference(
            paths, design_matrix=design, second_level_contrast="age", mask=fitted["mask"],
            n_perm=50, random_state=0, threshold=0.01, tfce=True,
        )
        for paths in (plain, fitted["paths"])
    )  # fmt: skip
    for name, image in one.items():
        np.testing.assert_allclose(read(other[name]), read(image), rtol=1e-4, atol=1e-6)
    assert read(one["logp_max_t"]).max() > 1


@pytest.mark.parametrize("unit", [1e-170, 1e-40, 1.0, 1e170])
def test_smoothed_images(unit: float) -> None:
    values = np.random.default_rng(8).standard_normal((4, 5, 6, 2))
    plain = read(smooth_img(nib.Nifti1Image(values, AFFINE), 5.0))
    found = smooth_img(nib.Nifti1Image(unit * values, AFFINE), 5.0)
    assert found.get_data_dtype() == (np.float32 if unit == 1 else np.float64)
    np.testing.assert_allclose(read(found) / unit, plain, rtol=1e-6, atol=1e-6)
    single = smooth_img(nib.Nifti1Image(unit * values[..., 0], AFFINE), 5.0)
    np.testing.assert_array_equal(read(single), read(found)[..., 0])


def test_hemispheres_in_files(tmp_path: Path) -> None:
    """Small p-values of a strong effect: GIFTI's own types hold none below 1e-38."""
    rng = np.random.default_rng(2)
    Y = 3 + rng.normal(scale=1e-3, size=(40, 2, 30)).astype(np.float32)
    maps = [{"left": metric_image(left), "right": metric_image(right)} for left, right in Y]
    model = SecondLevelModel().fit(maps, design_matrix=pd.DataFrame({"mean": np.ones(40)}))
    image = model.compute_contrast("mean", output_type="p_value")
    image.to_filename(tmp_path / "p.func.gii")
    t = scipy.stats.ttest_1samp(Y.astype(np.float64), 0).statistic
    wanted = np.asarray(scipy.stats.t.sf(t, 39))
    assert 0 < wanted.max() < LEAST
    for side, own in zip("LR", wanted, strict=True):
        back: Any = nib.load(tmp_path / f"hemi-{side}_p.func.gii")
        # scipy's tail has some 1e-11 of relative error that far out; t itself is to the power -40.
        np.testing.assert_allclose(back.darrays[0].data, own, rtol=1e-6)
    source, space = kind_of(image).open_map(tmp_path / "p.func.gii", "p")
    row = np.empty(space.n_values)
    space.read_stored(source, row)
    np.testing.assert_allclose(row, wanted.ravel(), rtol=1e-6)
