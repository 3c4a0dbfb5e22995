# SPDX-License-Identifier: BSD-3-Clause
"""The simulated study: what it claims about itself holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm.datasets import (
    GroupStudy,
    simulate_bids_study,
    simulate_group_study,
    simulate_paired_study,
)


def _read(path: Path) -> NDArray[np.float32]:
    image: Any = nib.load(path)
    return np.asanyarray(image.dataobj)


def _values(image: Any) -> NDArray[np.float64]:
    return np.asarray(image.dataobj, dtype=np.float64)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> GroupStudy:
    return simulate_group_study(tmp_path_factory.mktemp("study"), n_subjects=12, voxel_size=6.0)


def test_files_design_and_participants_belong_together(study: GroupStudy) -> None:
    labels = [path.name.removesuffix("_effect.nii.gz") for path in study.paths]
    assert labels == study.participants["participant_id"].tolist()
    assert sorted(study.directory.iterdir()) == study.paths
    assert list(study.design_matrix) == ["group", "age", "intercept"]
    assert list(study.truth) == list(study.effects) == list(study.design_matrix)
    patients = study.participants["group"] == "patient"
    assert study.design_matrix["group"].eq(1.0).tolist() == patients.tolist()
    assert patients.sum() == 6
    # The ages are centred in double precision: 12 numbers of at most 70.
    assert abs(study.design_matrix["age"].sum()) < 12 * 70 * np.finfo(float).eps
    age = study.design_matrix["age"] + study.participants["age"].mean()
    np.testing.assert_allclose(age, study.participants["age"], rtol=1e-14)


def test_images_are_float32_in_millimetres_and_zero_outside_the_mask(study: GroupStudy) -> None:
    outside = _values(study.mask_img) == 0
    for path in study.paths:
        image: Any = nib.load(path)
        assert image.get_data_dtype() == np.float32
        assert image.header.get_xyzt_units()[0] == "mm"
        assert int(image.header["sform_code"]) == 4  # the code of MNI space
        np.testing.assert_array_equal(image.affine, study.mask_img.affine)
        values = _read(path)
        assert np.all(values[outside] == 0)
        assert np.all(values[~outside] != 0)


def test_the_default_grid_is_the_common_3_mm_one(tmp_path: Path) -> None:
    study = simulate_group_study(tmp_path, n_subjects=4)
    assert study.mask_img.shape == (61, 73, 61)
    np.testing.assert_array_equal(study.mask_img.affine @ [30, 36, 30, 1], [0, -18, 18, 1])
    assert int(_values(study.mask_img).sum()) == 64_005
    for name, effect in study.effects.items():
        values = _values(study.truth[name])
        peak = np.unravel_index(values.argmax(), values.shape)
        np.testing.assert_array_equal(study.mask_img.affine @ [*peak, 1], [*effect.peak, 1])
        assert values.max() == np.float32(effect.height)


def test_an_effect_falls_to_half_at_half_its_width(tmp_path: Path) -> None:
    study = simulate_group_study(tmp_path, n_subjects=4)
    effect = study.effects["group"]
    assert effect.fwhm == 18.0  # three voxels of 3 mm to either side of the peak
    i, j, k = np.rint((np.array(effect.peak) - study.mask_img.affine[:3, 3]) / 3).astype(int)
    values = _values(study.truth["group"])
    np.testing.assert_allclose(values[i, j + 3, k], effect.height / 2, rtol=1e-6)
    np.testing.assert_allclose(values[i, j, k - 3], effect.height / 2, rtol=1e-6)


def test_noise_has_unit_standard_deviation_and_no_mean(tmp_path: Path) -> None:
    study = simulate_group_study(tmp_path, n_subjects=48, voxel_size=6.0, noise_fwhm=3.0)
    inside = _values(study.mask_img) > 0
    Y = np.stack([_read(path)[inside] for path in study.paths]).astype(float)
    truth = np.stack([_values(image)[inside] for image in study.truth.values()])
    noise = Y - study.design_matrix.to_numpy() @ truth
    # With a FWHM of half a voxel neighbours hardly depend on each other (correlation below 0.01),
    # so the sample has some N = 48 * 7983 independent values: five standard errors.
    n = noise.size
    assert abs(noise.mean()) < 5 / np.sqrt(n)
    assert abs(noise.var() - 1) < 5 * np.sqrt(2 / n)
    # In each voxel, as in the whole: the border of the brain is as noisy as its middle.
    spread = noise.var(axis=0)
    assert np.abs(spread - 1).max() < 6.5 * np.sqrt(2 / 48)


def test_the_noise_is_smooth_as_stated(tmp_path: Path) -> None:
    study = simulate_group_study(tmp_path, n_subjects=12, voxel_size=3.0, noise_fwhm=9.0)
    truth = np.stack([_values(image) for image in study.truth.values()])
    inside = _values(study.mask_img) > 0
    pairs = inside[1:] & inside[:-1]
    products = []
    for path, row in zip(study.paths, study.design_matrix.to_numpy(), strict=True):
        noise = _read(path) - np.tensordot(row, truth, axes=1)
        products.append(np.mean((noise[1:] * noise[:-1])[pairs]))
    # White noise smoothed with sigma has correlation exp(-d^2 / (4 sigma^2)) at distance d.
    sigma = 9.0 / np.sqrt(8 * np.log(2))
    expected = np.exp(-(3.0**2) / (4 * sigma**2))
    error = np.std(products, ddof=1) / np.sqrt(len(products))
    assert abs(np.mean(products) - expected) < 5 * error
    assert error < 0.05


def test_the_same_seed_gives_the_same_study(tmp_path: Path) -> None:
    first = simulate_group_study(tmp_path / "a", n_subjects=4, voxel_size=12.0, seed=3)
    again = simulate_group_study(tmp_path / "b", n_subjects=4, voxel_size=12.0, seed=3)
    other = simulate_group_study(tmp_path / "c", n_subjects=4, voxel_size=12.0, seed=4)
    assert first.design_matrix.equals(again.design_matrix)
    assert not first.design_matrix.equals(other.design_matrix)
    for path, same, different in zip(first.paths, again.paths, other.paths, strict=True):
        np.testing.assert_array_equal(_read(path), _read(same))
        assert not np.array_equal(_read(path), _read(different))


def test_subjects_differ(study: GroupStudy) -> None:
    inside = _values(study.mask_img) > 0
    rows = np.stack([_read(path)[inside] for path in study.paths])
    assert len(np.unique(rows[:, 0])) == len(rows)


def test_a_study_of_more_than_99_subjects_still_sorts_by_name(tmp_path: Path) -> None:
    study = simulate_group_study(tmp_path, n_subjects=100, voxel_size=12.0)
    assert [study.paths[0].name, study.paths[-1].name] == [
        "sub-001_effect.nii.gz",
        "sub-100_effect.nii.gz",
    ]
    assert sorted(study.paths) == study.paths


def test_a_study_is_frozen(study: GroupStudy) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        study.paths = []  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 3}, "n_subjects is 3"),
        ({"voxel_size": 0.0}, r"voxel_size is 0\.0"),
        ({"noise_fwhm": float("nan")}, "noise_fwhm is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"shape": (10, 10, 10)}, r"shape \(10, 10, 10\) .* leaves out the peak of the effect of"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_group_study(tmp_path / "study", **arguments)
    assert not (tmp_path / "study").exists()


def test_a_study_is_printed_in_one_line(study: GroupStudy, tmp_path: Path) -> None:
    paired = simulate_paired_study(tmp_path / "paired", n_subjects=4, voxel_size=12.0)
    bids = simulate_bids_study(tmp_path / "bids", n_subjects=4, n_scans=40, voxel_size=12.0)
    for made in (study, paired, bids):
        assert str(made.directory) in repr(made)
        assert len(repr(made)) < 120 + len(str(made.directory))
        assert "\n" not in repr(made)
    assert f"{len(study.paths)} maps" in repr(study)
    assert "8 maps" in repr(paired)
    assert "4 subjects" in repr(bids)
