# SPDX-License-Identifier: BSD-3-Clause
"""`resample_img`, `resample_to`, `Resampler` and `target_grid` beside nilearn."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn import image as oracle
from nilearn.image.resampling import BoundingBoxError
from numpy.typing import NDArray
from scipy import ndimage

import groupglm
from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.volume import Grid
from groupglm.spaces.volume.resampling import INTERPOLATIONS, Resampler, target_grid
from reference.volumes import affine_of

_Nifti1Image: Any = nib.Nifti1Image
_TWO_MM = np.array([[-2.0, 0, 0, 18], [0, 2, 0, -24], [0, 0, 2, -14], [0, 0, 0, 1]])
_ROTATION = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]


def _moved(affine: NDArray[np.float64], by: Any) -> NDArray[np.float64]:
    return affine_of(affine[:3, :3], affine[:3, 3] + by)


_OBLIQUE = affine_of(np.eye(3) * 3 + 0.4 * _ROTATION, [-15, -20, -12])
_SOURCES = {
    "2 mm": _TWO_MM,
    "anisotropic": affine_of(np.diag([1.5, 2.0, 3.7]), [-12, -20, -15]),
    "oblique": affine_of(2 * np.eye(3) + 0.3 * _ROTATION, [-16, -22, -12]),
}
_TARGETS: dict[str, tuple[Any, Any]] = {
    "3 mm": (np.diag([3.0, 3, 3]), None),
    "1 mm": (np.diag([1.0, 1, 1]), None),
    "0.7 mm": (np.diag([0.7, 1.3, 0.9]), None),
    "own voxels": (np.diag([-2.0, 2, 2]), None),
    "flips": (np.diag([-3.0, 2.5, -4]), None),
    "oblique 3 x 3": (3 * np.eye(3) + 0.4 * _ROTATION, None),
    "4 x 4": (affine_of(np.diag([3.0, 3, 3]), [-14, -20, -11]), None),
    "oblique 4 x 4": (_OBLIQUE, None),
    "4 x 4 and shape": (affine_of(np.diag([2.0, 2, 2.5]), [-30, -20, -11]), (20, 21, 9)),
    "oblique and shape": (_OBLIQUE, (9, 11, 10)),
    "integer shift": (_moved(_TWO_MM, [4, -6, 2]), (17, 19, 14)),
    "same": (_TWO_MM, (16, 18, 13)),
    "fine part": (affine_of(np.diag([-0.8, 0.9, 0.7]), [17, -23, -13]), (30, 31, 32)),
    "permuted": (affine_of([[0, 2, 0], [0, 0, 2], [2, 0, 0]], [-12, -24, -14]), (10, 10, 16)),
}


def _image(affine: Any = _TWO_MM, dtype: Any = np.float32, *shape: int) -> Any:
    rng = np.random.default_rng(5)
    shape = shape or (16, 18, 13)
    if np.dtype(dtype).kind in "iu":
        data = rng.integers(0, 100, shape).astype(dtype)
    else:
        data = rng.standard_normal(shape).astype(dtype)
    img = _Nifti1Image(data, affine)
    img.set_sform(affine, 1)  # without, nilearn warns
    return img


def _nilearn(function: str, *arguments: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of holes and binary data
        return getattr(oracle, function)(*arguments, **options)


def _data(img: Any) -> NDArray[Any]:
    return np.asanyarray(img.dataobj)


def _check_equal(ours: Any, theirs: Any, unit: float) -> None:
    """Same grid, type and holes, values within a few roundings of `unit`."""
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    assert ours.get_data_dtype() == _data(theirs).dtype
    # float32: one rounding of a result; float64: some 100 operations on both sides.
    tolerance = {"f4": 1e-7, "f8": 1e-13}.get(_data(ours).dtype.str[1:], 0) * unit
    np.testing.assert_allclose(_data(ours), _data(theirs), rtol=0, atol=tolerance)


def _with_faces(ours: Any, theirs: Any, img: Any, kind: str) -> Any:
    """Put scipy's values on the faces of the source in nilearn's result."""
    last = np.array(img.shape) - 1.0
    to_source = np.linalg.inv(img.affine) @ ours.affine
    points = np.moveaxis(np.indices(ours.shape[:3]), 0, -1) @ to_source[:3, :3].T + to_source[:3, 3]
    slack = np.array(Grid(img.shape, img.affine).same_place_voxels())
    off = np.maximum(-points, points - last)
    on_face = (off > 0).any(axis=-1) & (off <= slack).all(axis=-1) & (_data(theirs) == 0)
    values = _data(theirs).copy()
    if np.isnan(_data(img)).any():
        values[on_face] = _data(ours)[on_face]  # of holes scipy knows nothing
    else:
        source = _data(img).astype(np.float64)
        order = {"nearest": 0, "linear": 1, "continuous": 3}[kind]
        map_coordinates: Any = ndimage.map_coordinates
        found = map_coordinates(
            source, np.clip(points[on_face], 0, last).T, order=order, mode="mirror"
        )
        values[on_face] = np.clip(found, min(source.min(), 0), max(source.max(), 0))
    return _Nifti1Image(values, theirs.affine)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("target", _TARGETS)
@pytest.mark.parametrize("source", _SOURCES)
def test_resample_img_is_nilearns(source: str, target: str, kind: Any, dtype: Any) -> None:
    img = _image(_SOURCES[source], dtype)
    affine, shape = _TARGETS[target]
    ours = groupglm.resample_img(img, affine, shape, kind)
    theirs = _nilearn("resample_img", img, affine, shape, kind)
    assert (_data(ours) != 0).sum() > 50
    # A voxel on a face of the source that is outside by a rounding is zero in nilearn.
    _check_equal(ours, _with_faces(ours, theirs, img, kind), np.ptp(_data(img)))


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize(
    "target", ["4 x 4 and shape", "oblique and shape", "integer shift", "fine part"]
)
def test_resample_to_is_nilearns(target: str, kind: Any, tmp_path: Path) -> None:
    img, (affine, shape) = _image(), _TARGETS[target]
    img.to_filename(tmp_path / "map.nii.gz")
    reference = _Nifti1Image(np.zeros((*shape, 2), np.int16), affine)
    ours = groupglm.resample_to(tmp_path / "map.nii.gz", reference, kind)
    theirs = _nilearn("resample_to_img", img, reference, kind)
    _check_equal(ours, theirs, np.ptp(_data(img)))
    if (kind, target) == ("continuous", "fine part"):
        assert _data(ours).max() > _data(img).max() + 1e-3  # not clipped
        clipped = groupglm.resample_to(img, reference, kind, clip=True)
        _check_equal(clipped, _nilearn("resample_to_img", img, reference, kind, clip=True), 6)


@pytest.mark.parametrize("clip", [True, False])
def test_a_series_is_clipped_to_the_range_of_all_volumes(clip: bool) -> None:
    img = _image(_TWO_MM, np.float32, 9, 8, 7, 3)
    _data(img)[..., 1] *= 3
    ours = groupglm.resample_img(img, np.diag([1.0, 1, 1]), clip=clip)
    theirs = _nilearn("resample_img", img, np.diag([1.0, 1, 1]), clip=clip)
    assert ours.shape[3] == 3
    _check_equal(ours, theirs, np.ptp(_data(img)))
    one = _data(img)[..., 0].astype(float)
    assert (_data(ours)[..., 0].max() > one.max() + 1e-3) or not clip


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("target", ["3 mm", "0.7 mm", "oblique 4 x 4"])
def test_missing_regions_are_nilearns(target: str, kind: Any) -> None:
    img = _image()
    data = _data(img)
    data[:, 9:, :] = np.nan  # half of the volume
    data[3, 2, 5] = np.nan
    affine, shape = _TARGETS[target]
    ours = groupglm.resample_img(img, affine, shape, kind)
    theirs = _nilearn("resample_img", img, affine, shape, kind)
    assert np.isnan(_data(ours)).sum() > 50
    theirs = _with_faces(ours, theirs, img, kind)
    _check_equal(ours, theirs, np.nanmax(data) - np.nanmin(data))


def test_infinity_stays_infinite_and_clips_nothing() -> None:
    img, holes = _image(), _image()
    for hole, value in [((3, 2, 5), np.inf), ((9, 9, 9), -np.inf), ((12, 3, 4), np.nan)]:
        _data(img)[hole] = value
        _data(holes)[hole] = np.nan
    ours = _data(groupglm.resample_img(img, np.diag([1.0, 1, 1])))
    missing = _data(groupglm.resample_img(holes, np.diag([1.0, 1, 1])))
    assert (ours == np.inf).any()
    assert (ours == -np.inf).any()
    np.testing.assert_array_equal(np.where(np.isinf(ours), np.nan, ours), missing)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("target", ["3 mm", "oblique and shape", "same"])
def test_nearest_keeps_labels(target: str, dtype: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    labels = _Nifti1Image(rng.integers(0, 100, (16, 18, 13)).astype(dtype), _TWO_MM, dtype=dtype)
    labels.set_sform(_TWO_MM, 1)
    labels.to_filename(tmp_path / "labels.nii")
    affine, shape = _TARGETS[target]
    ours = groupglm.resample_img(tmp_path / "labels.nii", affine, shape, "nearest")
    theirs = _nilearn("resample_img", labels, affine, shape, "nearest")
    np.testing.assert_array_equal(_data(ours), _data(theirs))  # nilearn makes int64 an int32
    assert _data(ours).dtype == dtype


def test_integers_are_interpolated_as_floats() -> None:
    img = _image(_TWO_MM, np.int16)
    floats = _Nifti1Image(_data(img).astype(np.float32), _TWO_MM)
    kinds: tuple[Any, ...] = ("continuous", "linear")
    for kind in kinds:
        ours: Any = groupglm.resample_img(img, np.diag([3.0, 3, 3]), None, kind)
        assert ours.get_data_dtype() == np.float32
        same = groupglm.resample_img(floats, np.diag([3.0, 3, 3]), None, kind)
        np.testing.assert_array_equal(_data(ours), _data(same))


def test_scaled_integers_are_scaled_first(tmp_path: Path) -> None:
    img = _image()
    img.set_data_dtype(np.int16)
    img.to_filename(tmp_path / "scaled.nii")
    loaded = nib.load(tmp_path / "scaled.nii")
    kinds: tuple[Any, ...] = INTERPOLATIONS
    for kind in kinds:
        ours = groupglm.resample_img(tmp_path / "scaled.nii", np.diag([3.0, 3, 3]), None, kind)
        _check_equal(ours, _nilearn("resample_img", loaded, np.diag([3.0, 3, 3]), None, kind), 6)


def test_the_same_grid_copies_the_values() -> None:
    img = _image()
    _data(img)[2, 3, 4] = np.nan
    nudged = _moved(_TWO_MM, [1e-4, 0, 0])
    for other in (groupglm.resample_img(img), groupglm.resample_to(img, _image(nudged))):
        np.testing.assert_array_equal(_data(other), _data(img))
        assert not np.shares_memory(_data(other), _data(img))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    _image().to_filename(tmp_path / "map.nii.gz")
    whole = (tmp_path / "map.nii.gz").read_bytes()
    (tmp_path / "map.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"map\.nii\.gz"):
        groupglm.resample_img(tmp_path / "map.nii.gz", np.diag([3.0, 3, 3]))
    with pytest.raises(ImageError, match="File not found"):
        groupglm.resample_to(_image(), tmp_path / "none.nii")
    with pytest.raises(TypeError, match="img must be a file name"):
        groupglm.resample_img(np.zeros((3, 3, 3)))  # type: ignore[arg-type]


_ARGUMENT_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"target_shape": (2, 2, 2)}, "target_affine should be specified too"),
    ({"target_affine": np.eye(3), "target_shape": (2, 2, 2)}, r"should be \(4, 4\) and not"),
    ({"target_affine": np.eye(4), "target_shape": (2, 2)}, "thus of length 3"),
    ({"target_affine": np.eye(4), "target_shape": (2, -2, 2)}, "at least 1"),
    ({"target_affine": np.eye(4), "target_shape": (2, 2.5, 2)}, "three positive integers"),
    ({"target_affine": np.eye(4), "target_shape": 7}, "three positive integers"),
    ({"target_affine": np.eye(4), "target_shape": "abc"}, "three positive integers"),
    ({"target_affine": np.eye(4), "target_shape": (10**5, 1, 1)}, "an axis of 100000 voxels"),
    ({"target_affine": np.eye(4), "target_shape": (2000, 2000, 2000)}, "8e.09 voxels"),
    ({"target_affine": np.eye(4), "target_shape": (10**30,) * 3}, "target grid would"),
    ({"target_affine": np.diag([0.01, 0.01, 0.01])}, "times as many as the images"),
    ({"target_affine": np.diag([1e-9, 1, 1])}, "an axis of"),
    ({"target_affine": np.zeros((3, 3))}, "singular"),
    ({"target_affine": np.ones((4, 4))}, "last row"),
    ({"target_affine": np.diag([1e-320, 1, 1])}, "singular"),
    ({"target_affine": np.eye(3) * 1e-310}, "singular"),
    ({"target_affine": np.diag([1, np.nan, 1])}, "NaN or infinity"),
    ({"target_affine": np.eye(2)}, r"shape \(2, 2\)"),
    ({"target_affine": "abc"}, "matrix of numbers"),
    ({"target_affine": np.eye(3), "interpolation": "cubic"}, "interpolation is 'cubic'"),
    ({"target_affine": np.eye(3), "interpolation": 3}, "interpolation is 3"),
]


@pytest.mark.parametrize(("arguments", "message"), _ARGUMENT_ERRORS)
def test_impossible_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groupglm.resample_img(_image(), **arguments)


@pytest.mark.parametrize("origin", [[100, 0, 0], [-1000, 0, 0]])
def test_a_field_of_view_without_data_is_refused(origin: Any) -> None:
    affine = affine_of(np.eye(3) * 3, origin)
    with pytest.raises(GridMismatchError, match="does not contain any of the data"):
        groupglm.resample_img(_image(), affine, (10, 10, 10))


@given(
    zooms=st.tuples(*[st.floats(0.5, 5)] * 3),
    angle=st.floats(-3, 3),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    three=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_target_grids_are_nilearns(zooms: Any, angle: float, shape: Any, three: bool) -> None:
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    target: Any = turn * zooms if three else affine_of(turn * zooms, [-40, -50, -45])
    img = _image(_TWO_MM, np.float32, *shape)
    grid = Grid(shape, _TWO_MM)
    try:
        theirs = _nilearn("resample_img", img, target, interpolation="nearest")
    except BoundingBoxError:
        with pytest.raises(GridMismatchError):
            target_grid(grid, target)
        return
    ours = target_grid(grid, target)
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours.affine, theirs.affine)


def test_a_resampler_is_nilearn_on_one_volume_and_travels() -> None:
    img = _image()
    source = Grid((16, 18, 13), _TWO_MM)
    resampler = Resampler(source, target_grid(source, np.diag([3.0, 3, 3])))
    expected = _data(_nilearn("resample_img", img, np.diag([3.0, 3, 3])))
    volume = np.asfortranarray(_data(img))
    before = volume.copy()
    out = resampler(volume, n_threads=2)
    assert out.flags.f_contiguous
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-7 * np.ptp(volume))
    np.testing.assert_array_equal(volume, before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(resampler))(volume), out)  # noqa: S301


def test_a_resampler_refuses_other_volumes() -> None:
    grid = Grid((3, 4, 5), np.eye(4))
    other = target_grid(grid, np.diag([0.5, 1, 1]))
    with pytest.raises(ValueError, match=r"shape \(5, 4, 3\), but the source grid \(3, 4, 5\)"):
        Resampler(grid, other)(np.zeros((5, 4, 3)))
    with pytest.raises(TypeError, match="holds int16"):
        Resampler(grid, other)(np.zeros((3, 4, 5), np.int16))
    with pytest.raises(TypeError, match="holds complex128"):
        Resampler(grid, other, "nearest")(np.zeros((3, 4, 5), complex))
    with pytest.raises(ValueError, match="integers are filled with 0 only"):
        Resampler(grid, other, "nearest", fill_value=1)(np.zeros((3, 4, 5), np.int16))
    with pytest.raises(ValueError, match="interpolation is 'spline'"):
        Resampler(grid, other, "spline")  # type: ignore[arg-type]


def test_real_maps_are_nilearns() -> None:
    from reference.data import data_dir

    found = sorted(data_dir("").rglob("*.nii.gz"))
    assert found
    for path in found[:3]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = oracle.resample_img(path, np.diag([4.0, 4, 4]))
        ours = groupglm.resample_img(path, np.diag([4.0, 4, 4]))
        assert ours.shape == theirs.shape[:3]
        expected = theirs.get_fdata()
        np.testing.assert_allclose(
            ours.get_fdata(), expected, rtol=0, atol=1e-7 * np.ptp(np.nan_to_num(expected))
        )
