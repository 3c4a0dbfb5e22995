# SPDX-License-Identifier: BSD-3-Clause
"""The rounding of affines does not empty the outermost voxels of a grid."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from groupglm import SecondLevelModel, resample_img, resample_to
from groupglm.spaces.volume.grid import SAME_PLACE_MM, Grid
from groupglm.spaces.volume.resampling import INTERPOLATIONS, Resampler, target_grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.volumes import affine_of

SHAPE = (11, 11, 11)
VALUES: NDArray[Any] = np.random.default_rng(0).normal(5, 1, SHAPE)
_ROTATION = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]


AFFINES = {
    "straight": affine_of(np.diag([2.0, 2.0, 2.0]), [-9.7, 3.1, 0.3]),
    "flipped": affine_of(np.diag([-2.0, 1.5, 3.0]), [11.3, -7.7, 1.1]),
    "oblique": affine_of(2.0 * _ROTATION, [-3.3, 0.7, 9.1]),
    "sheared": affine_of([[2.0, 0.6, 0], [0, 2.0, 0.5], [0.3, 0, 2.0]], [1.7, -3.9, 0.1]),
}
# A spline through values of standard deviation one changes by less than ten a voxel.
SLOPE = 10.0


def image(values: Any, affine: Any) -> Any:
    return nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


def moved(affine: Any, voxels: Any, mm: Any = (0, 0, 0)) -> NDArray[np.float64]:
    """Begin a grid some voxels further, and some mm beside that."""
    origin = affine[:3, 3] + affine[:3, :3] @ np.asarray(voxels, float) + np.asarray(mm, float)
    return affine_of(affine[:3, :3], origin)


FACES = [(axis, sign) for axis in range(3) for sign in (-1, 1)]


@pytest.mark.parametrize("size", [1e-6, 0.99 * SAME_PLACE_MM])
@pytest.mark.parametrize(("axis", "sign"), FACES)
@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", AFFINES)
def test_a_rounding_empties_no_face(
    name: str, kind: Any, axis: int, sign: int, size: float
) -> None:
    affine = AFFINES[name]
    mm = sign * size * np.eye(3)[axis]
    tolerance = 2 * SLOPE * SAME_PLACE_MM if size > 1e-6 else 2 * SLOPE * 1e-6
    # The same voxels and one more around, which are empty.
    wide = Grid((13, 13, 13), moved(affine, (-1, -1, -1), mm))
    out = Resampler(Grid(SHAPE, affine), wide, kind)(VALUES)
    np.testing.assert_allclose(out, np.pad(VALUES, 1), rtol=0, atol=tolerance)
    # A part that reaches to the faces on one side, and on the other.
    for first in ((0, 0, 0), (3, 4, 5)):
        part = Grid((8, 7, 6), moved(affine, first, mm))
        out = Resampler(Grid(SHAPE, affine), part, kind)(VALUES)
        wanted = VALUES[first[0] : first[0] + 8, first[1] : first[1] + 7, first[2] : first[2] + 6]
        np.testing.assert_allclose(out, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", AFFINES)
def test_a_header_in_float32_empties_no_face(name: str, kind: Any) -> None:
    affine = AFFINES[name]
    rounded = affine.astype(np.float32).astype(np.float64)
    assert not np.array_equal(rounded, affine) or name == "straight"
    for source, target in ((affine, rounded), (rounded, affine)):
        img = image(VALUES, source)
        out: Any = resample_img(img, moved(target, (-1, 0, 0)), (12, 11, 11), interpolation=kind)
        wanted = np.pad(VALUES, ((1, 0), (0, 0), (0, 0)))
        np.testing.assert_allclose(out.get_fdata(), wanted, rtol=0, atol=SLOPE * 1e-5)
        like = image(np.zeros((11, 11, 10)), target)
        found: Any = resample_to(img, like, interpolation=kind)
        np.testing.assert_allclose(found.get_fdata(), VALUES[..., :10], rtol=0, atol=SLOPE * 1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize(("axis", "sign"), FACES)
def test_labels_keep_their_faces(dtype: Any, axis: int, sign: int) -> None:
    labels = np.random.default_rng(2).integers(1, 100, SHAPE).astype(dtype)
    affine = AFFINES["flipped"]
    wide = Grid((13, 13, 13), moved(affine, (-1, -1, -1), sign * 1e-6 * np.eye(3)[axis]))
    out = Resampler(Grid(SHAPE, affine), wide, "nearest")(labels)
    np.testing.assert_array_equal(out, np.pad(labels, 1))


@pytest.mark.parametrize("kind", INTERPOLATIONS)
def test_missing_values_on_a_face_stay(kind: Any) -> None:
    values = VALUES.copy()
    values[0, :4] = np.nan
    values[:, :, 10] = np.nan
    wide = Grid((13, 13, 13), moved(AFFINES["straight"], (-1, -1, -1), [-1e-6, 2e-6, 3e-6]))
    out = Resampler(Grid(SHAPE, AFFINES["straight"]), wide, kind)(values)
    np.testing.assert_array_equal(np.isnan(out), np.pad(np.isnan(values), 1))


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", AFFINES)
def test_further_away_is_outside_as_scipy_says(name: str, kind: Any) -> None:
    affine = AFFINES[name]
    # Twice the tolerance: no grid so far away counts as the same. (Half a voxel is in doubt.)
    target = moved(affine, (-1, -1, -1), 2 * SAME_PLACE_MM * affine[:3, 0] / 2.0)
    resampler = Resampler(Grid(SHAPE, affine), Grid((13, 13, 13), target), kind, clip=False)
    to_source = np.linalg.inv(affine) @ target
    affine_transform: Any = ndimage.affine_transform
    wanted = affine_transform(
        VALUES, to_source[:3, :3], to_source[:3, 3], (13, 13, 13),
        order={"nearest": 0, "linear": 1, "continuous": 3}[kind],
    )  # fmt: skip
    # The face that all voxels move away from is scipy's too; the others are at whole voxels, where
    # the last bit decides in scipy and nothing here.
    out = resampler(VALUES)
    assert (out[-2] == 0).all()
    assert (wanted[-2] == 0).all()
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(out[inner], wanted[inner], rtol=0, atol=1e-10)


def test_masks_keep_their_faces() -> None:
    mask = VolumeSpace.from_mask(image(np.ones(SHAPE, np.uint8), AFFINES["straight"]))
    target = Grid((13, 13, 13), moved(AFFINES["straight"], (-1, -1, -1), [1e-6, -1e-6, 1e-6]))
    assert mask.moved_to(target, None).n_values == 11**3


def test_a_fit_averages_no_face_with_zeros() -> None:
    affine = AFFINES["straight"]
    shifts = [(0, 0, 0), (1e-6, 1e-6, 1e-6), (-1e-6, 1e-6, -1e-6), (0, -1e-6, 0)]
    volumes = [VALUES + number for number in range(len(shifts))]
    images = [
        image(volume, moved(affine, (0, 0, 0), mm))
        for volume, mm in zip(volumes, shifts, strict=True)
    ]
    design = pd.DataFrame({"intercept": np.ones(len(images))})
    model = SecondLevelModel(
        mask_img=image(np.ones(SHAPE, np.uint8), affine),
        target_affine=moved(affine, (-1, -1, -1)),
        target_shape=(13, 13, 13),
    ).fit(images, design_matrix=design)
    assert model.n_elements_ == 11**3
    effect = model.compute_contrast(output_type="effect_size").get_fdata()
    wanted = np.pad(np.mean(volumes, axis=0), 1)
    np.testing.assert_allclose(effect, wanted, rtol=1e-6, atol=2 * SLOPE * 1e-6)


def test_a_slice_beside_the_image_by_a_rounding_is_no_other_field_of_view() -> None:
    affine = AFFINES["straight"]
    grid = target_grid(Grid(SHAPE, affine), moved(affine, (0, 0, 10), [0, 0, 1e-6]), (11, 11, 1))
    out = Resampler(Grid(SHAPE, affine), grid, "linear")(VALUES)
    np.testing.assert_allclose(out, VALUES[..., 10:], rtol=0, atol=2 * SLOPE * 1e-6)
