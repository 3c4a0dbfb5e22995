# SPDX-License-Identifier: BSD-3-Clause
"""Fits of several images a subject from files: read once, memory that does not grow, same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import RepeatedMeasures, SecondLevelModel, fit_repeated
from groupglm.group import fit_options
from reference.readings import count_readings

SHAPE = (7, 6, 5)
# Visit by visit, subjects with 1 to 4 visits, and one with 90.
SIZES = [4, 1, 3, 2, 4, 90, 2, 1, 3, 4]
WHO = np.array([who for visit in range(90) for who, n in enumerate(SIZES) if visit < n])
N = len(WHO)
RNG = np.random.default_rng(4)
DESIGN = pd.DataFrame({"one": 1.0, "time": RNG.normal(size=N), "group": (WHO % 2).astype(float)})
SUBJECTS = [f"s{number}" for number in WHO]


def image_of(values: NDArray[Any]) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def values() -> NDArray[Any]:
    level = RNG.normal(0, 1, (len(SIZES), *SHAPE))
    found = 100 + level[WHO] + RNG.normal(0, 1, (N, *SHAPE))
    found[:, :2] = found[:, -2:] = 0
    found[3, 3, 3] = np.nan
    return np.asarray(found)


@pytest.fixture(scope="module")
def files(values: NDArray[Any], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("maps")
    names = [str(folder / f"map{number}.nii") for number in range(N)]
    for image, name in zip(values, names, strict=True):
        nib.save(image_of(image), name)
    return names


COVARIANCES = ("random intercept", "sandwich")


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize(("n_jobs", "n_rows"), [(1, 64), (3, 64), (2, 7)])
@pytest.mark.parametrize("mask_given", [True, False])
def test_the_numbers_are_those_of_the_arrays(
    values: NDArray[Any],
    files: list[str],
    covariance: str,
    n_jobs: int,
    n_rows: int,
    mask_given: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = (values != 0).all(axis=0)
    mask = image_of(inside.astype(np.uint8)) if mask_given else None
    counts = count_readings(monkeypatch)
    # Batches end within subjects too.
    monkeypatch.setattr(fit_options, "BATCH_BYTES", 8 * n_rows * np.count_nonzero(inside))
    model = SecondLevelModel(mask, model=RepeatedMeasures(covariance), n_jobs=n_jobs)
    model.fit(files, design_matrix=DESIGN, subjects=SUBJECTS)
    assert {counts[name] for name in files} == {1}
    np.testing.assert_array_equal(model.mask_img_.get_fdata() > 0, inside)
    arrays = fit_repeated(DESIGN, values[:, inside], SUBJECTS, covariance=covariance)
    for column in DESIGN:
        weights = (DESIGN.columns == column).astype(float)
        found, expected = model.results_.contrast(weights), arrays.contrast(weights)
        for name in ("effect_size", "effect_variance", "stat", "p_value"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(expected, name), rtol=1e-8, err_msg=name
            )
        np.testing.assert_allclose(np.asarray(found.df), np.asarray(expected.df), rtol=1e-8)


def test_threads_give_the_same_bits(files: list[str]) -> None:
    one, other = (
        SecondLevelModel(model="repeated measures", n_jobs=n)
        .fit(files, design_matrix=DESIGN, subjects=SUBJECTS)
        .results_
        for n in (1, 3)
    )
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], array, err_msg=name)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_maps_and_files_of_a_fit(
    values: NDArray[Any], files: list[str], covariance: str, tmp_path: Path
) -> None:
    inside = (values != 0).all(axis=0)
    model = SecondLevelModel(model=RepeatedMeasures(covariance), minimize_memory=False)
    model.fit(files, design_matrix=DESIGN, subjects=SUBJECTS)
    again = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    for column in DESIGN:
        maps, found = (each.compute_contrast(column, output_type="all") for each in (model, again))
        for name, image in maps.items():
            np.testing.assert_array_equal(found[name].get_fdata(), image.get_fdata())
    left, predicted = model.residuals_.get_fdata(), model.predicted_.get_fdata()
    expected = np.moveaxis(values, 0, -1)[inside]
    np.testing.assert_allclose(left[inside] + predicted[inside], expected, atol=2e-5)
    beta = model.results_.beta
    np.testing.assert_allclose(predicted[inside], (DESIGN.to_numpy() @ beta).T, rtol=1e-6)
    names = ("intraclass_correlation_", "subject_variance_", "residual_variance_")
    if covariance == "sandwich":
        for name in (*names, "boundary_share_", "family_variance_"):
            with pytest.raises(AttributeError, match="model 'repeated measures' has no"):
                getattr(model, name)
        return
    icc, subject, residual = (getattr(model, name).get_fdata()[inside] for name in names)
    np.testing.assert_allclose(icc, subject / (subject + residual), rtol=1e-6)
    for name in names:
        np.testing.assert_array_equal(
            getattr(again, name).get_fdata(), getattr(model, name).get_fdata()
        )
    assert again.boundary_share_ == model.boundary_share_ == np.mean(subject == 0)


JOB = """
import sys, numpy as np, pandas as pd, nibabel as nib, shutil, os
from groupglm import SecondLevelModel

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

n, side, visits, folder = int(sys.argv[1]), 40, int(sys.argv[2]), sys.argv[3]
paths = [os.path.join(folder, f"m{i}.nii") for i in range(n)]
mask = nib.Nifti1Image(np.ones((side,) * 3, np.uint8), np.eye(4))
tiny = nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.eye(4))
few = [nib.Nifti1Image(np.random.rand(5, 5, 5), np.eye(4)) for _ in range(6)]
model = SecondLevelModel(mask_img=tiny, model="repeated measures")
model.fit(few, design_matrix=pd.DataFrame({"i": np.ones(6)}), subjects=[1, 1, 2, 2, 3, 3])
who = np.arange(n) % 100
if visits > 4:  # and one subject with many of them
    who[:visits] = 0
who = np.random.default_rng(0).permutation(who)
design = pd.DataFrame({"time": np.random.default_rng(1).normal(size=n), "intercept": 1.0})
before = peak()
model = SecondLevelModel(mask_img=mask, n_jobs=2, model="repeated measures", memory_budget=1e9)
model.fit(paths, design_matrix=design, subjects=who)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_is_flat_in_images_and_visits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first = [tmp_path / f"m{number}.nii" for number in range(8)]
    for path in first:
        nib.save(image_of(rng.normal(size=(40,) * 3).astype(np.float32)), path)
    for number in range(8, 1000):  # other names of a few files' values
        (tmp_path / f"m{number}.nii").write_bytes(first[number % 8].read_bytes())

    def peak(n: int, visits: int) -> int:
        command = [sys.executable, "-c", JOB, str(n), str(visits), str(tmp_path)]
        output = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, timeout=600
        )
        return int(output.stdout)

    few, many, long = peak(200, 2), peak(1000, 2), peak(1000, 500)
    assert many <= 1.1 * few + 6e6
    # A subject with 500 visits is read in batches too; its number of images makes one class more.
    assert long <= 1.6 * few + 6e6


@pytest.mark.parametrize("covariance", ["random intercept", "nested"])
def test_places_that_tell_no_variances_apart_are_counted(covariance: str) -> None:
    """One second visit is left there, and a column differs within subjects."""
    subjects = np.repeat(np.arange(12), 2)
    visit = np.tile([0.0, 1.0], 12)
    values = 5 + np.random.default_rng(0).normal(size=(24, *SHAPE))
    values[(visit == 1) & (subjects > 0), :3] = np.nan
    design = pd.DataFrame({"one": 1.0, "time": visit})
    labels: dict[str, Any] = {"subjects": subjects}
    if covariance == "nested":
        labels["families"] = subjects // 2
    n, few = int(np.prod(SHAPE)), 3 * SHAPE[1] * SHAPE[2]
    model = SecondLevelModel(image_of(np.ones(SHAPE)), model=RepeatedMeasures(covariance))
    with pytest.warns(UserWarning, match=f"^at {few} of {n} voxels the images cannot tell the var"):
        model.fit([image_of(image) for image in values], design_matrix=design, **labels)
    z = np.asarray(model.compute_contrast("time").dataobj)
    assert np.count_nonzero(np.isnan(z)) == few
