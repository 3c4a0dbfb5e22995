# SPDX-License-Identifier: BSD-3-Clause
"""The options of `resample_img` and `resample_to_img`, and what they take, beside nilearn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nilearn import image as oracle
from numpy.typing import NDArray

import groupglm
from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.spaces.volume.resampling import INTERPOLATIONS

_Nifti1Image: Any = nib.Nifti1Image
_AFFINE = np.array([[2.0, 0, 0, -10], [0, 2, 0, -24], [0, 0, 2, -14], [0, 0, 0, 1]])
# Reaches beyond the image on two sides, and no voxel lies on a face, where rounding decides.
_TARGET = np.array([[1.7, 0, 0, -14.3], [0, 2.3, 0, -20.1], [0, 0, 2.5, -11.2], [0, 0, 0, 1]])
_SHAPE = (9, 8, 7)
_KINDS: tuple[Any, ...] = INTERPOLATIONS


def _image(dtype: Any = np.float32, *axes: int, affine: Any = _AFFINE) -> Any:
    values = np.random.default_rng(5).normal(0, 40, (*_SHAPE, *axes))
    img = _Nifti1Image(values.astype(dtype), affine)
    img.set_sform(affine, 4)  # the space of MNI's template
    img.header.set_xyzt_units("mm", "sec")
    img.header["pixdim"][4:6] = 2.5, 1.25
    img.header["descrip"] = b"a map of something"
    return img


def _data(img: Any) -> NDArray[Any]:
    return np.asanyarray(img.dataobj)


def _both(*arguments: Any, **options: Any) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn's, of types that it casts
        theirs = oracle.resample_img(*arguments, **options)
    return groupglm.resample_img(*arguments, **options), theirs


def _check_equal(ours: Any, theirs: Any, unit: float = 200) -> None:
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    assert _data(ours).dtype == _data(theirs).dtype
    # float32: one rounding of a result; float64: some 100 operations on both sides.
    tolerance = {"f4": 1e-7, "f8": 1e-13}.get(_data(ours).dtype.str[1:], 0) * unit
    np.testing.assert_allclose(_data(ours), _data(theirs), rtol=0, atol=tolerance)


@pytest.mark.parametrize("axes", [(1,), (4,), (2, 3), (1, 2), (2, 1), (2, 1, 3)])
def test_an_image_keeps_its_axes(axes: tuple[int, ...], tmp_path: Path) -> None:
    img = _image(np.float32, *axes)
    for name in ("map.nii", "map.nii.gz"):
        img.to_filename(tmp_path / name)
    ours, theirs = _both(img, _TARGET)
    assert theirs.shape[3:] == axes
    _check_equal(ours, theirs)
    for other in (tmp_path / "map.nii", tmp_path / "map.nii.gz", _image(">f4", *axes)):
        _check_equal(groupglm.resample_img(other, _TARGET), theirs)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("fill", [-3.75, 500.0, 7, np.nan])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_lies_outside_has_the_fill_value(
    dtype: Any, fill: float, clip: bool, kind: Any
) -> None:
    # The positions of all arguments are nilearn's.
    ours, theirs = _both(_image(dtype), _TARGET, (12, 9, 5), kind, True, "F", clip, fill)
    _check_equal(ours, theirs, 500)
    highest = _data(_image(dtype)).max()
    assert highest < 500
    outside = min(fill, highest) if clip else fill
    np.testing.assert_equal(_data(ours)[0, 0, 0], _data(ours).dtype.type(outside))


@pytest.mark.parametrize("clip", [True, False])
def test_integers_are_filled_as_far_as_their_type_goes(clip: bool) -> None:
    ours, theirs = _both(_image(np.int16), _TARGET, None, "nearest", clip=clip, fill_value=-300)
    _check_equal(ours, theirs)
    assert _data(ours)[0, 0, 0] == (_data(_image(np.int16)).min() if clip else -300)
    for fill in (0.5, 4e4, np.nan):  # nilearn writes a number that int16 has
        as_float = groupglm.resample_img(
            _image(np.int16), _TARGET, None, "nearest", clip=False, fill_value=fill
        )
        assert _data(as_float).dtype == np.float32
        np.testing.assert_equal(_data(as_float)[0, 0, 0], np.float32(fill))


@pytest.mark.parametrize("kind", _KINDS)
def test_a_shift_by_whole_voxels_copies_values(kind: Any) -> None:
    moved = _AFFINE.copy()
    moved[:3, 3] += [4, -6, 2]
    img = _image(np.float64)
    for force in (True, False):
        ours, theirs = _both(img, moved, (12, 9, 5), kind, force_resample=force)
        np.testing.assert_array_equal(_data(ours)[:7, 3:, :5], _data(img)[2:, :6, 1:6])
        if force:  # nilearn's other way puts the values of the cut image elsewhere
            _check_equal(ours, theirs)
        whole = groupglm.resample_img(_image(np.int16), moved, None, kind, force_resample=force)
        assert _data(whole).dtype == (np.int16 if kind == "nearest" else np.float32)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes", [(), (3,), (2, 3)])
def test_the_order_in_memory(axes: tuple[int, ...], order: Any) -> None:
    ours, theirs = _both(_image(np.float32, *axes), _TARGET, order=order)
    _check_equal(ours, theirs)
    flags = _data(ours).flags
    assert flags.c_contiguous if order == "C" else flags.f_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize("target", [None, _AFFINE])
def test_an_image_that_is_there_already_is_copied_or_not(target: Any, dtype: Any) -> None:
    img = _image(dtype, 2)
    shape = None if target is None else _SHAPE
    ours, theirs = _both(img, target, shape)
    _check_equal(ours, theirs)
    assert not np.may_share_memory(_data(ours), _data(img))
    assert ours.header["pixdim"][4] == 2.5
    assert groupglm.resample_img(img, target, shape, copy=False) is img
    other = groupglm.resample_img(img, _TARGET, copy=False)
    assert not np.may_share_memory(_data(other), _data(img))


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair])
def test_the_header_is_kept(kind: Any, tmp_path: Path) -> None:
    source = _image(np.float32, 3)
    img = kind(_data(source), _AFFINE, header=source.header)
    img.set_sform(_AFFINE, 4)
    ours, theirs = _both(img, _TARGET)
    assert type(ours) is (nib.Nifti2Image if kind is nib.Nifti2Image else nib.Nifti1Image)
    fields = set(ours.header) - {"scl_slope", "scl_inter"}  # NaN
    changed = {field for field in fields if np.any(ours.header[field] != img.header[field])}
    # nilearn says of the new affine that it leads to some space, no longer to the template's.
    assert changed - {"magic", "vox_offset"} == {
        *("dim", "pixdim", "srow_x", "srow_y", "srow_z", "cal_max", "cal_min"),
        *({"qoffset_x", "qoffset_y", "qoffset_z", "quatern_b", "quatern_c", "quatern_d"} & changed),
    }
    for field in ("pixdim", "descrip", "xyzt_units", "cal_max", "cal_min", "srow_x", "dim"):
        np.testing.assert_array_equal(ours.header[field], theirs.header[field])
    ours.to_filename(tmp_path / "map.nii")
    saved: Any = nib.load(tmp_path / "map.nii")
    assert saved.header["pixdim"][4] == 2.5  # the repetition time
    bare = groupglm.resample_img(img, _TARGET, copy_header=False)
    assert bare.header["pixdim"][4] != 2.5
    assert b"something" not in bare.header["descrip"].item()


def test_a_series_on_the_grid_of_a_map_keeps_its_repetition_time() -> None:
    # The positions of all arguments are nilearn's.
    target = _Nifti1Image(np.zeros((12, 9, 5, 2, 2)), _TARGET)
    arguments: Any = (_image(np.float32, 3), target, "linear", True, "C", True, -5.0, True, True)
    ours, theirs = groupglm.resample_to_img(*arguments), oracle.resample_to_img(*arguments)
    _check_equal(ours, theirs)
    for img in (ours, theirs):
        np.testing.assert_allclose(img.header["pixdim"][1:5], (1.7, 2.3, 2.5, 2.5))


def test_a_list_and_a_pattern_are_one_image(tmp_path: Path) -> None:
    images = [_image(), _Nifti1Image(_data(_image()) * 2, _AFFINE)]
    paths = [tmp_path / f"sub-{number}.nii" for number in (1, 2)]
    for img, path in zip(images, paths, strict=True):
        img.to_filename(path)
    _, theirs = _both(images, _TARGET)
    for given in (images, tuple(images), paths, tmp_path / "sub-*.nii", str(tmp_path / "*.nii")):
        ours = groupglm.resample_img(given, _TARGET)
        assert ours.shape[3:] == (2,)
        _check_equal(ours, theirs)
    one = groupglm.resample_img(tmp_path / "*1.nii", _TARGET)
    assert one.shape == oracle.resample_img(tmp_path / "*1.nii", _TARGET).shape
    with pytest.raises(ArgumentError, match="No files matching the entered niimg expression"):
        groupglm.resample_img(tmp_path / "sub-*.nii.gz", _TARGET)
    elsewhere = [_image(), _image(affine=_TARGET)]
    with pytest.raises(GridMismatchError, match="image 2 of img is not on the grid of image 1"):
        groupglm.resample_img(elsewhere, _TARGET)
    (tmp_path / "[1].nii").write_bytes(paths[0].read_bytes())  # a name, not a pattern
    _check_equal(groupglm.resample_img(tmp_path / "[1].nii", _TARGET), _both(images[0], _TARGET)[1])


def test_a_mask_that_would_be_blurred_is_said() -> None:
    mask = _Nifti1Image((_data(_image()) > 0).astype(np.uint8), _AFFINE)
    for kind in _KINDS[:2]:
        with pytest.warns(UserWarning, match="Resampling binary images with continuous or linear"):
            groupglm.resample_img(mask, _TARGET, None, kind)
    groupglm.resample_img(mask, _TARGET, None, "nearest")
    groupglm.resample_img(mask, _AFFINE, _SHAPE)
    full = _Nifti1Image(np.ones(_SHAPE, np.float32), _AFFINE)
    groupglm.resample_img(full, _TARGET)


def test_a_guessed_place_is_said() -> None:
    img = _image()
    img.header["sform_code"] = img.header["qform_code"] = 0
    with pytest.warns(UserWarning, match="The provided image has no sform"):
        groupglm.resample_img(img, _TARGET)
    img.header["qform_code"] = 1  # says it as well
    groupglm.resample_img(img, _TARGET)


def test_a_multiple_of_the_unit_matrix_gives_the_axes() -> None:
    img = _image(affine=np.eye(4))
    ours, theirs = _both(img, 2 * np.eye(4))
    np.testing.assert_allclose(_data(ours), _data(theirs), rtol=0, atol=2e-5)
    axes = groupglm.resample_img(img, np.diag([2.0, 2, 2, 1]))
    np.testing.assert_array_equal(_data(ours), _data(axes))
    target = _Nifti1Image(np.zeros((3, 3, 3)), 2 * np.eye(4))  # as nibabel takes it too
    with pytest.raises(ValueError, match="the last row"):
        groupglm.resample_img(img, np.diag([2.0, 2, 2, 0]))
    np.testing.assert_array_equal(
        _data(groupglm.resample_to_img(img, target)),
        _data(groupglm.resample_img(img, np.diag([2.0, 2, 2, 1]), (3, 3, 3), clip=False)),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "A"}, "order"),
        ({"copy": 1}, "copy is 1; .* True or False"),
        ({"force_resample": None}, "force_resample"),
        ({"copy_header": "no"}, "copy_header"),
        ({"fill_value": "0"}, "fill_value"),
        ({"fill_value": None}, "fill_value"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groupglm.resample_img(_image(), _TARGET, **options)
