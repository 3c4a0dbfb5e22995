# SPDX-License-Identifier: BSD-3-Clause
"""`smooth_img` and `sigma_voxels`: against nilearn and SciPy, and what they refuse."""

from __future__ import annotations

import gzip
import warnings
import zlib
from pathlib import Path
from typing import Any

import nibabel
import nilearn.image
import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

import groupglm
from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.volume import Grid, save_image
from groupglm.spaces.volume.smoothing import sigma_voxels
from reference.data import data_dir
from reference.smoothing import gaussian_of_present

nib: Any = nibabel  # typed only in part

SHAPE = (17, 15, 13)
FLIPPED = np.diag([-2.0, 2.0, 2.0, 1.0])
ANISOTROPIC = np.array([[3.0, 0, 0, 5], [0, 0, 4.5, 7], [0, -1.2, 0, 0], [0, 0, 0, 1]])
OBLIQUE = np.array([[1.9, 0.5, 0.1, -3], [-0.6, 1.7, 0.4, 8], [0.2, -0.3, 2.4, 0], [0, 0, 0, 1]])
AFFINES = {"flipped": FLIPPED, "anisotropic": ANISOTROPIC, "oblique": OBLIQUE}

# Both sides round to float32 after each axis at most: six times half an eps of the largest value.
RTOL = 3 * float(np.finfo(np.float32).eps)


def image(
    dtype: Any = np.float32, shape: tuple[int, ...] = SHAPE, affine: Any = FLIPPED, seed: int = 0
) -> Any:
    values = np.random.default_rng(seed).normal(scale=50, size=shape).astype(dtype)
    return nib.Nifti1Image(values, affine)


def values_of(img: Any) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.asanyarray(img.dataobj).astype(np.float64)
    return values


def assert_same(got: Any, expected: Any) -> None:
    assert got.get_data_dtype() == np.float32
    assert np.asanyarray(got.dataobj).dtype == np.float32
    assert got.shape == expected.shape
    # Headers of files store affines in float32.
    np.testing.assert_allclose(got.affine, expected.affine, rtol=RTOL)
    values = values_of(expected)
    atol = RTOL * np.abs(values).max()
    np.testing.assert_allclose(values_of(got), values, rtol=RTOL, atol=atol)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("fwhm", [8, 5.5, np.float32(4), (8.0, 4, None), [0, 6, 3], [3.0, 0, 0]])
def test_is_nilearn(affine: NDArray[np.float64], fwhm: Any) -> None:
    img = image(affine=affine)
    assert_same(groupglm.smooth_img(img, fwhm), nilearn.image.smooth_img(img, fwhm))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64, ">f4"])
def test_any_type_is_nilearns(dtype: Any) -> None:
    img = image(dtype)
    assert_same(groupglm.smooth_img(img, 6), nilearn.image.smooth_img(img, 6))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 2), (3, 2, 1), (2, 3, 30)])
def test_volumes_shorter_than_the_kernel(shape: tuple[int, ...]) -> None:
    img = image(shape=shape)
    fwhm = 8.0 if max(shape) > 1 else 5.0
    assert_same(groupglm.smooth_img(img, fwhm), nilearn.image.smooth_img(img, fwhm))


def test_four_dimensions() -> None:
    img = image(shape=(*SHAPE, 4))
    got = groupglm.smooth_img(img, 6)
    assert_same(got, nilearn.image.smooth_img(img, 6))
    one = nib.Nifti1Image(np.asanyarray(img.dataobj)[..., 2], FLIPPED)
    np.testing.assert_array_equal(
        np.asanyarray(got.dataobj)[..., 2], np.asanyarray(groupglm.smooth_img(one, 6).dataobj)
    )


def test_lists_and_files(tmp_path: Path) -> None:
    images = [
        image(seed=0),
        image(seed=1, affine=OBLIQUE, shape=(5, 6, 7)),
        image(np.int16, seed=2),
    ]
    expected = nilearn.image.smooth_img(images, 7)
    paths = [tmp_path / name for name in ("a.nii", "b.nii.gz", "c.nii.gz")]
    for path, img in zip(paths, images, strict=True):
        nib.save(img, path)
    for imgs in (images, tuple(images), iter(images), paths, [str(path) for path in paths]):
        got = groupglm.smooth_img(imgs, 7)
        assert isinstance(got, list)
        assert len(got) == 3
        for a, b in zip(got, expected, strict=True):
            assert_same(a, b)
    single = groupglm.smooth_img(paths[1], 7)
    assert_same(single, expected[1])
    save_image(single, tmp_path / "out.nii.gz")
    assert_same(nib.load(tmp_path / "out.nii.gz"), expected[1])


def test_the_files_of_a_pattern_are_one_image(tmp_path: Path) -> None:
    for name, seed in (("sub-2.nii", 2), ("sub-1.nii.gz", 1), ("other.nii", 3)):
        nib.save(image(seed=seed), tmp_path / name)
    pattern = str(tmp_path / "sub-*.nii*")
    got = groupglm.smooth_img(pattern, 7)
    assert_same(got, nilearn.image.smooth_img(pattern, 7))
    assert got.shape == (*image(seed=1).shape, 2)
    with pytest.raises(ValueError, match="No files matching the entered niimg expression"):
        groupglm.smooth_img(str(tmp_path / "sub-9*.nii"), 7)
    nib.save(image(seed=1, shape=(5, 6, 7)), tmp_path / "sub-3.nii")
    with pytest.raises(GridMismatchError):
        groupglm.smooth_img(pattern, 7)


def test_scaled_integers(tmp_path: Path) -> None:
    img = image(np.int16)
    img.header.set_slope_inter(0.25, 100.0)
    path = tmp_path / "scaled.nii"
    nib.save(img, path)
    assert_same(groupglm.smooth_img(path, 6), nilearn.image.smooth_img(path, 6))


@pytest.mark.parametrize("fwhm", [None, 0, 0.0, (0, None, 0.0)])
def test_no_smoothing(fwhm: Any) -> None:
    img = image(np.int16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a width of zero
        got, theirs = groupglm.smooth_img(img, fwhm), nilearn.image.smooth_img(img, fwhm)
    np.testing.assert_array_equal(values_of(got), values_of(img))
    assert got.get_data_dtype() == np.float32
    assert_same(got, theirs)


def test_a_width_of_zero_is_warned_of_once_for_all_images() -> None:
    for smooth in (groupglm.smooth_img, nilearn.image.smooth_img):
        with pytest.warns(UserWarning, match=r"specified as 0\.0\. Setting it to None"):
            smooth(image(np.int16), 0.0)
    with pytest.warns(UserWarning, match="specified as 0") as caught:
        groupglm.smooth_img([image(np.int16)] * 3, 0)
    assert len(caught) == 1


def test_the_input_is_left_alone() -> None:
    img = image()
    before = values_of(img).copy()
    got = groupglm.smooth_img(img, 6)
    np.testing.assert_array_equal(values_of(img), before)
    assert not np.shares_memory(np.asanyarray(img.dataobj), np.asanyarray(got.dataobj))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_values(dtype: Any) -> None:
    img = image(dtype, affine=ANISOTROPIC)
    data = np.asanyarray(img.dataobj)
    data[np.random.default_rng(3).random(SHAPE) < 0.3] = np.nan
    sigma = sigma_voxels(Grid(SHAPE, ANISOTROPIC), 6.0)
    expected = gaussian_of_present(data, sigma)
    got = values_of(groupglm.smooth_img(img, 6.0))
    largest = np.nanmax(np.abs(data))
    np.testing.assert_allclose(got, expected, rtol=0, atol=2 * RTOL * largest)


def test_real_maps_are_scipys() -> None:
    paths = sorted(data_dir("ds003338").glob("*_effect_size.nii.gz"))[:2]
    for got, path in zip(groupglm.smooth_img(paths, 8.0), paths, strict=True):
        img = nib.load(path)
        data = np.asanyarray(img.dataobj).astype(np.float64)
        sizes = nib.affines.voxel_sizes(img.affine)
        sigma = 8.0 / np.sqrt(8.0 * np.log(2.0)) / sizes
        assert np.isfinite(data).all()
        expected = scipy.ndimage.gaussian_filter(data, sigma)
        np.testing.assert_allclose(values_of(got), expected, rtol=0, atol=RTOL * np.abs(data).max())


def test_the_width_is_the_one_asked_for() -> None:
    # A point becomes a Gaussian whose value halves at half the width: here two voxels away.
    data = np.zeros((41, 41, 41))
    data[20, 20, 20] = 1.0
    smooth = groupglm.smooth_img(nib.Nifti1Image(data, ANISOTROPIC), (12.0, 4.8, 18.0))
    profile = values_of(smooth)
    for step in ((2, 0, 0), (0, 2, 0), (0, 0, 2)):
        half = profile[20 + step[0], 20 + step[1], 20 + step[2]] / profile[20, 20, 20]
        assert half == pytest.approx(0.5, rel=RTOL)


def test_the_header_keeps_space_and_time(tmp_path: Path) -> None:
    img = image(shape=(*SHAPE, 3))
    img.header.set_zooms((2.0, 2.0, 2.0, 1.7))
    img.header.set_xyzt_units("mm", "msec")
    img.header["toffset"] = 0.5
    img.header.set_intent("t test", (10,))
    img.header["cal_max"] = 7
    img.set_sform(FLIPPED, "mni")
    path = tmp_path / "series.nii.gz"
    nib.save(img, path)
    for source in (img, path):
        header: Any = groupglm.smooth_img(source, 6).header
        assert header.get_xyzt_units() == ("mm", "msec")
        assert header.get_zooms()[3] == pytest.approx(1.7)
        assert float(header["toffset"]) == 0.5
        assert int(header["sform_code"]) == 4
        # What is not true any more is not kept.
        assert header.get_intent()[0] == "none"
        assert float(header["cal_max"]) == 0.0
        assert bytes(header["descrip"].item()) == b"smoothed, FWHM 6 mm"


@pytest.mark.parametrize(
    ("klass", "result"),
    [
        (nib.Nifti2Image, nib.Nifti2Image),
        (nib.Nifti1Pair, nib.Nifti1Image),
        (nib.MGHImage, nib.Nifti1Image),
    ],
)
def test_other_formats(klass: Any, result: Any) -> None:
    img = klass(np.asanyarray(image().dataobj), FLIPPED)
    got = groupglm.smooth_img(img, 6)
    assert type(got) is result
    assert_same(got, nilearn.image.smooth_img(image(), 6))


def test_a_nifti_file_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "map.dat"
    path.write_bytes(image().to_bytes())
    assert_same(groupglm.smooth_img(path, 6), nilearn.image.smooth_img(image(), 6))


def test_sigma_is_in_voxels_of_the_grid() -> None:
    grid = Grid(SHAPE, OBLIQUE)
    sizes = np.linalg.norm(OBLIQUE[:3, :3], axis=0)
    expected = 5.0 / 2.3548200450309493 / sizes
    np.testing.assert_allclose(sigma_voxels(grid, 5), expected, rtol=1e-15)
    assert sigma_voxels(grid, None) == (0.0, 0.0, 0.0)
    for triple in ((None, 5, 0), [None, 5.0, 0], np.array([0.0, 5.0, 0.0])):
        x, y, z = sigma_voxels(grid, triple)  # type: ignore[arg-type]
        assert (x, z) == (0.0, 0.0)
        assert y == pytest.approx(expected[1], rel=1e-15)
    assert sigma_voxels(grid, np.array(5.0)) == sigma_voxels(grid, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fwhm", "message"),
    [
        ("fast", r"fwhm is 'fast', but must be a width in mm; .* give a number"),
        ("8", "fwhm is '8', but must be a width in mm"),
        (-1, "fwhm is -1, but a width must be a finite number of mm that is not negative"),
        (np.nan, "fwhm is nan, but"),
        (np.inf, "fwhm is inf, but"),
        (True, "fwhm is True, but"),
        (1j, "fwhm is 1j, but"),
        ({8.0}, r"fwhm is \{8.0\}, but"),
        ([8, -2, 8], r"fwhm is \[8, -2, 8\], but"),
        ([8, "x", 8], r"fwhm is \[8, 'x', 8\], but"),
        ([8, np.nan, None], r"fwhm is \[8, nan, None\], but"),
        ([[8, 8, 8]], r"fwhm is \[\[8, 8, 8\]\], but"),
        ([], r"fwhm is \[\], which has 0 values; give one number in mm for all axes, or three"),
        ([8], r"which has 1 values"),
        ((8, 8), r"fwhm is \(8, 8\), which has 2 values"),
        (np.ones(4), "which has 4 values"),
        (1e9, r"fwhm is 1000000000.0 mm, but the longest edge of the image is 34 mm"),
        ((0, 0, 341), "longest edge of the image is 34 mm"),
    ],
)
def test_widths_that_are_refused(fwhm: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groupglm.smooth_img(image(), fwhm)


def test_the_widest_kernel_leaves_the_mean() -> None:
    img = image(np.float64)
    got = values_of(groupglm.smooth_img(img, 340.0))
    np.testing.assert_allclose(got, values_of(img).mean(), rtol=0, atol=0.05 * values_of(img).std())


@pytest.mark.parametrize("imgs", [5, None, [5], [image(), None], [[image()]]])
def test_what_is_not_an_image_is_refused(imgs: Any) -> None:
    with pytest.raises(TypeError, match=r"must be (an image|a file name)"):
        groupglm.smooth_img(imgs, 6)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValueError, match="imgs is empty"):
        groupglm.smooth_img([], 6)


def test_a_file_that_is_missing_or_damaged_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="File not found"):
        groupglm.smooth_img([image(), tmp_path / "none.nii"], 6)
    whole = image().to_bytes()
    (tmp_path / "short.nii").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="truncated"):
        groupglm.smooth_img(tmp_path / "short.nii", 6)


@pytest.mark.parametrize("place", [300, 900, -8])
def test_a_damaged_gzip_is_refused_by_name(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.nii.gz"
    damaged = bytearray(gzip.compress(image().to_bytes(), mtime=0))
    damaged[place] ^= 16
    path.write_bytes(damaged)
    with pytest.raises(ImageError, match=r"a\.nii\.gz: .*(damaged|header)"):
        groupglm.smooth_img(path, 6)


def test_a_file_that_nibabel_cannot_read_any_more_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii.gz"
    nib.save(image(), path)

    def damaged(_: Any) -> Any:
        raise zlib.error("invalid distance")

    monkeypatch.setattr(nib, "load", damaged)  # as if written to after its values were read
    with pytest.raises(ImageError, match=r"a\.nii\.gz: .* invalid distance"):
        groupglm.smooth_img(path, 6)


def test_infinite_values_are_refused() -> None:
    img = image(shape=(*SHAPE, 2))
    img.dataobj[0, 1, 2, 1] = -np.inf
    with pytest.raises(ImageError, match=r"volume 2: 1 infinite value, .* set to NaN"):
        groupglm.smooth_img(img, 6)
