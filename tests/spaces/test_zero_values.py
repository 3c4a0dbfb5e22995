# SPDX-License-Identifier: BSD-3-Clause
"""Exact zeros in some images only: counted, reported, and missing values on request."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, non_parametric_inference
from groupglm.errors import ImageError, ZeroValuesWarning
from groupglm.spaces.zeros import Zeros, ZeroTally
from reference.data import data_dir

# Some voxels have a value in one image only, once zeros are missing values.
pytestmark = pytest.mark.filterwarnings("ignore:.*no residual degrees of freedom:UserWarning")
SHAPE = (11, 12, 10)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
N = 9
DESIGN = pd.DataFrame({"intercept": np.ones(N), "dose": np.linspace(-1, 1, N)})
WORDS = r"voxels are exactly zero in some images but not in others"


def image(values: Any, affine: Any = AFFINE) -> Any:
    return nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


BRAIN = np.zeros(SHAPE, np.uint8)
BRAIN[2:9, 2:10, 2:8] = 1
MASK = image(BRAIN)


@pytest.fixture
def data() -> Any:
    """Volumes that are zero outside the brain of each subject, which differs."""
    rng = np.random.default_rng(0)
    values = rng.normal(1, 1, (N, *SHAPE)).astype(np.float32) * BRAIN
    for subject in range(N):
        values[subject, 2 : 2 + subject // 2, 2:6] = 0
    values[1:, 8, 9, 7] = 0  # one subject's voxel
    return values


def with_nan(values: Any) -> Any:
    return np.where(values == 0, np.float32(np.nan), values)


def fitted(values: Any, **options: Any) -> SecondLevelModel:
    images = [image(volume) for volume in values]
    return SecondLevelModel(**options).fit(images, design_matrix=DESIGN)


def quietly(values: Any, **options: Any) -> SecondLevelModel:
    """Fit where the warning is not what the test is about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroValuesWarning)
        return fitted(values, **options)


def maps(model: SecondLevelModel) -> list[Any]:
    out = model.compute_contrast("dose", output_type="all")
    images = [*out.values(), model.n_observations_, model.df_residual_, model.mask_img_]
    return [np.asarray(img.dataobj) for img in images]


def assert_same_maps(one: SecondLevelModel, other: SecondLevelModel) -> None:
    for first, second in zip(maps(one), maps(other), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mask", [MASK, None])
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_zeros_are_counted_and_told_of(data: Any, dtype: Any, mask: Any, n_jobs: int) -> None:
    n_zero = (data == 0).sum(axis=0)
    partial = (n_zero > 0) & (n_zero < N) & (BRAIN > 0)
    single = (n_zero == N - 1) & (BRAIN > 0)
    with pytest.warns(ZeroValuesWarning, match=WORDS) as caught:
        model = fitted(data.astype(dtype), mask_img=mask, n_jobs=n_jobs)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(
        f"{partial.sum()} of {BRAIN.sum()} voxels are exactly zero in some images but not in "
        f"others, {single.sum()} of them in all images but one"
    )
    assert single.sum() > 0
    np.testing.assert_array_equal(model.n_zeros_.get_fdata(), n_zero * BRAIN)
    assert np.asanyarray(model.n_zeros_.dataobj).dtype == np.int32
    zeros = model.zeros_
    assert (zeros.n_voxels, zeros.n_partial, zeros.n_single, zeros.are_missing) == (
        BRAIN.sum(), partial.sum(), single.sum(), False,
    )  # fmt: skip


def test_more_images_than_a_byte_counts() -> None:
    tally = ZeroTally(3)
    for number in range(600):
        tally.add(Zeros.of(np.array([0.0, 1.5, float(number % 2)])))
    np.testing.assert_array_equal(tally.counts, [600, 0, 300])
    tally.merge(np.array([1, 2, 3], np.int32), all_whole=True)
    np.testing.assert_array_equal(tally.counts, [601, 2, 303])
    assert not tally.all_whole


_PREPARED: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"smoothing_fwhm": 4.0},
    "one axis": {"smoothing_fwhm": [0, None, 5.0]},
    "no smoothing": {"smoothing_fwhm": [0, None, 0.0]},
    "resampled": {"target_affine": np.diag([3.0, 3.0, 3.0])},
    "both": {"target_affine": np.diag([3.0, 3.0, 3.0]), "smoothing_fwhm": 4.0},
}


@pytest.mark.parametrize("missing", ["omit", "intersect"])
@pytest.mark.parametrize("mask", [MASK, None])
@pytest.mark.parametrize("how", _PREPARED)
def test_zero_is_missing_is_nan_in_the_files(data: Any, how: str, mask: Any, missing: Any) -> None:
    # Whatever follows, the fit must be that of files in which the user has put NaN for zero.
    data[:, 8, 9, 7] = np.where(data[:, 8, 9, 7] == 0, 0.5, data[:, 8, 9, 7])
    options = {**_PREPARED[how], "mask_img": mask, "missing": missing}
    assert_same_maps(
        fitted(data, zero_is_missing=True, **options), quietly(with_nan(data), **options)
    )


@pytest.mark.parametrize("how", _PREPARED)
def test_zeros_are_counted_as_they_are_stored(data: Any, how: str) -> None:
    model = quietly(data, mask_img=MASK, **_PREPARED[how])
    n_zero = (data == 0).sum(axis=0)
    if "target_affine" in _PREPARED[how]:
        # By another implementation, for the nearest voxel.
        from scipy import ndimage

        wanted = model.mask_img_
        to_voxels = np.linalg.inv(AFFINE) @ wanted.affine
        where = np.moveaxis(np.indices(wanted.shape), 0, -1) @ to_voxels[:3, :3].T
        where = np.floor(where + to_voxels[:3, 3] + 0.5)
        n_zero = ndimage.map_coordinates(n_zero, np.moveaxis(where, -1, 0), order=0)
    inside = model.mask_img_.get_fdata() > 0
    np.testing.assert_array_equal(model.n_zeros_.get_fdata()[inside], n_zero[inside])
    missing = fitted(data, mask_img=MASK, zero_is_missing=True, **_PREPARED[how])
    np.testing.assert_array_equal(missing.n_zeros_.get_fdata()[inside], n_zero[inside])
    assert missing.zeros_.are_missing


@pytest.mark.parametrize("how", ["plain", "smoothed"])
@pytest.mark.parametrize("zero_is_missing", [False, True])
def test_a_cache_keeps_zeros_apart(
    data: Any, tmp_path: Path, how: str, zero_is_missing: bool
) -> None:
    paths = [str(tmp_path / f"map{subject}.nii.gz") for subject in range(N)]
    for path, volume in zip(paths, data, strict=True):
        nib.save(image(volume), path)
    for wants_missing in (not zero_is_missing, zero_is_missing, zero_is_missing):
        options = {**_PREPARED[how], "mask_img": MASK, "zero_is_missing": wants_missing}
        plain = quietly(data, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZeroValuesWarning)
            model = SecondLevelModel(memory=tmp_path / "cache", **options)
            model.fit(paths, design_matrix=DESIGN)
        assert_same_maps(model, plain)
        assert model.zeros_ == plain.zeros_
        np.testing.assert_array_equal(model.n_zeros_.get_fdata(), plain.n_zeros_.get_fdata())
    found = SecondLevelModel(memory=tmp_path / "cache", zero_is_missing=True)
    assert_same_maps(found.fit(paths, design_matrix=DESIGN), fitted(data, zero_is_missing=True))


def test_workers_count_too(data: Any, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    import joblib

    many = np.concatenate([data] * 9)  # more than a chunk
    paths = [str(tmp_path / f"map{number}.nii.gz") for number in range(len(many))]
    for path, volume in zip(paths, many, strict=True):
        nib.save(image(volume), path)
    design = pd.DataFrame({"intercept": np.ones(len(many)), "dose": np.tile(DESIGN["dose"], 9)})
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        for zero_is_missing in (False, True):
            options: dict[str, Any] = {"mask_img": MASK, "zero_is_missing": zero_is_missing}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ZeroValuesWarning)
                here = SecondLevelModel(**options).fit(paths, design_matrix=design)
                with joblib.parallel_config(backend="dask"):
                    there = SecondLevelModel(n_jobs=1, **options).fit(paths, design_matrix=design)
            assert_same_maps(there, here)
            assert there.zeros_ == here.zeros_
            np.testing.assert_array_equal(there.n_zeros_.get_fdata(), here.n_zeros_.get_fdata())


# ---- when a warning would be wrong --------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("fwhm", [None, 4.0])
def test_whole_numbers_may_be_zero(dtype: Any, fwhm: Any) -> None:
    lesions = (np.random.default_rng(0).uniform(size=(N, *SHAPE)) < 0.4).astype(dtype)
    model = fitted(lesions, mask_img=MASK, smoothing_fwhm=fwhm)
    n_zero = (lesions == 0).sum(axis=0)
    np.testing.assert_array_equal(model.n_zeros_.get_fdata(), n_zero * BRAIN)
    assert model.zeros_.n_partial == ((n_zero > 0) & (n_zero < N) & (BRAIN > 0)).sum()


def test_zeros_that_all_images_have_are_no_news(data: Any) -> None:
    data[data == 0] = 0.25
    data[:, 4, 4] = 0
    model = fitted(data, mask_img=MASK)
    assert model.zeros_.n_partial == 0
    assert (model.n_zeros_.get_fdata()[4, 4] == N * BRAIN[4, 4]).all()


def test_one_zero_among_fractions_is_told_of(data: Any) -> None:
    data[data == 0] = 0.25
    data[3, 5, 5, 5] = 0
    with pytest.warns(ZeroValuesWarning, match="1 of 336 voxels is exactly zero in some images"):
        fitted(data, mask_img=MASK)


def test_missing_zero_says_that_zeros_are_meant(data: Any) -> None:
    data[2, 5, 5, 5] = np.nan
    model = fitted(data, mask_img=MASK, missing="zero")
    assert model.n_zeros_.get_fdata()[5, 5, 5] == 1 + (data[:, 5, 5, 5] == 0).sum()


def test_scaled_integers_round_to_zero(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inside = np.ones(SHAPE, np.uint8)

    def fit(share: float) -> SecondLevelModel:
        paths = []
        for subject in range(N):
            stored = rng.integers(1, 1000, SHAPE).astype(np.int16)
            stored[rng.uniform(size=SHAPE) < share] = 0
            img = image(stored)
            img.header.set_slope_inter(0.01, 0)
            paths.append(tmp_path / f"map{subject}.nii")
            nib.save(img, paths[-1])
        model = SecondLevelModel(mask_img=image(inside))
        return model.fit([str(path) for path in paths], design_matrix=DESIGN)

    assert 0 < fit(0.0005).zeros_.n_partial <= 0.01 * inside.size
    with pytest.warns(ZeroValuesWarning, match=WORDS):
        fit(0.01)


# ---- with the other options ---------------------------------------------------------------------


def test_missing_zero_contradicts(data: Any) -> None:
    message = r"zero_is_missing=True takes zeros for missing values, and missing='zero'"
    with pytest.raises(ValueError, match=message):
        fitted(data, zero_is_missing=True, missing="zero")
    with pytest.raises(ValueError, match=message):
        non_parametric_inference(
            [], design_matrix=DESIGN, zero_is_missing=True, missing="zero", n_perm=9
        )
    with pytest.raises(TypeError, match="'yes'; 'zero_is_missing' must be of type bool"):
        fitted(data, zero_is_missing="yes")


def test_missing_raise_counts_zeros(data: Any) -> None:
    lacking = ((data == 0).any(axis=0) & (BRAIN > 0)).sum()
    message = f"{lacking} of {BRAIN.sum()} voxels lack a value other than zero in some image"
    with pytest.raises(ValueError, match=message):
        fitted(data, mask_img=MASK, zero_is_missing=True, missing="raise")


def test_an_image_of_zeros_is_named(data: Any) -> None:
    data[4] = 0
    message = r"all \d+ values inside the mask are NaN, infinite or zero, which zero_is_missing"
    with pytest.raises(ImageError, match=message):
        fitted(data, mask_img=MASK, zero_is_missing=True)


def test_a_saved_model_remembers(data: Any, tmp_path: Path) -> None:
    for zero_is_missing in (False, True):
        model = quietly(data, mask_img=MASK, zero_is_missing=zero_is_missing)
        again = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
        assert again.zero_is_missing is zero_is_missing
        assert again.zeros_ == model.zeros_
        np.testing.assert_array_equal(again.n_zeros_.get_fdata(), model.n_zeros_.get_fdata())
        images = [image(volume) for volume in data]
        np.testing.assert_array_equal(again.transform(images), model.transform(images))


def test_transform_and_residuals_know(data: Any) -> None:
    model = fitted(data, mask_img=MASK, zero_is_missing=True, minimize_memory=False)
    rows = model.transform([image(volume) for volume in data])
    wanted = np.stack([volume[BRAIN > 0] for volume in with_nan(data)])
    np.testing.assert_array_equal(rows, wanted)
    residuals = model.residuals_.get_fdata()
    np.testing.assert_array_equal(np.isnan(residuals[BRAIN > 0].T), np.isnan(wanted))


def test_permutation_takes_zeros_for_missing(data: Any) -> None:
    options: dict[str, Any] = {
        "design_matrix": DESIGN, "second_level_contrast": "dose", "mask": MASK, "n_perm": 50,
        "random_state": 1,
    }  # fmt: skip
    test: Any = non_parametric_inference
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # voxels that few images have are not tested
        logp, wanted, plain = (
            test([image(v) for v in values], **options, **more).get_fdata()
            for values, more in (
                (data, {"zero_is_missing": True}), (with_nan(data), {}), (data, {}),
            )
        )  # fmt: skip
    np.testing.assert_array_equal(logp, wanted)
    assert not np.array_equal(logp, plain, equal_nan=True)


def test_zeros_of_real_maps() -> None:
    paths = sorted(str(p) for p in data_dir("ds003338").glob("*effect_size.nii.gz"))
    design = pd.DataFrame({"intercept": np.ones(len(paths))})
    with pytest.warns(ZeroValuesWarning, match=r"^18,544 of 77,278 .*, 2,456 of them in all"):
        model = SecondLevelModel().fit(paths, design_matrix=design)
    volumes = np.stack([nib.load(path).get_fdata() for path in paths])  # type: ignore[attr-defined]
    inside = model.mask_img_.get_fdata() > 0
    n_zero = (volumes == 0).sum(axis=0)
    np.testing.assert_array_equal(model.n_zeros_.get_fdata(), np.where(inside, n_zero, 0))
    assert ((n_zero > 0) & (n_zero < len(paths)) & inside).sum() == 18_544
    t = model.compute_contrast(output_type="stat").get_fdata()
    single = (n_zero == len(paths) - 1) & inside
    np.testing.assert_allclose(np.abs(t[single]), 1, rtol=1e-6)  # one subject's sign, no more
    missing = SecondLevelModel(zero_is_missing=True).fit(paths, design_matrix=design)
    covered = (n_zero <= len(paths) - 2) & (n_zero < len(paths))
    np.testing.assert_array_equal(missing.mask_img_.get_fdata() > 0, covered)
    np.testing.assert_array_equal(
        missing.n_observations_.get_fdata()[covered], len(paths) - n_zero[covered]
    )
