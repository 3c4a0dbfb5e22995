# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm, where they differ on purpose: smoothing, resampling.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from nilearn.image import resample_img as nilearn_resample
from nilearn.image import smooth_img as nilearn_smooth
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

from groupglm import SecondLevelModel, resample_img, resample_to, smooth_img
from groupglm.errors import GridMismatchError, ImageError, ZeroValuesWarning
from reference.oracle import (
    AFFINE,
    N_IMAGES,
    SHAPE,
    image,
    mask_image,
    nilearn_fit,
    quiet,
    volumes,
)

DESIGN = pd.DataFrame({"intercept": np.ones(N_IMAGES)})
HOLE = (4, 5, 4)
BESIDE = (4, 5, 5)
EVERYWHERE = mask_image(np.ones(SHAPE, bool))


def images() -> list[Any]:
    return [image(volume) for volume in volumes()]


def spoilt(value: float) -> Any:
    """An image of tens, but for one voxel."""
    data = np.full(SHAPE, 10.0)
    data[HOLE] = value
    return image(data)


def test_missing_values_smoothed() -> None:
    ours: Any = smooth_img(spoilt(np.nan), 6.0)
    theirs = nilearn_smooth(spoilt(np.nan), 6.0)
    assert np.isnan(ours.get_fdata()[HOLE])
    # The mean of tens is ten; with one zero among them it is less.
    assert ours.get_fdata()[BESIDE] == pytest.approx(10.0, rel=1e-6)
    assert theirs.get_fdata()[BESIDE] < 9.6
    zero = nilearn_smooth(spoilt(0.0), 6.0).get_fdata()
    np.testing.assert_array_equal(theirs.get_fdata(), zero)


def test_infinite_values_smoothed() -> None:
    with pytest.raises(ImageError, match="infinite"):
        smooth_img(spoilt(np.inf), 6.0)
    zero = nilearn_smooth(spoilt(0.0), 6.0).get_fdata()
    np.testing.assert_array_equal(nilearn_smooth(spoilt(np.inf), 6.0).get_fdata(), zero)


def test_surfaces_smoothed() -> None:
    """On a plane of even triangles the mean square distance of a point that was smoothed."""
    i, j = np.indices((61, 61)).reshape(2, -1)
    plane = np.stack([i + j / 2, j * 3**0.5 / 2, 0 * i], axis=1)
    first = np.arange(61 * 61).reshape(61, 61)[:-1, :-1].ravel()
    corners = np.stack([[first, first + 61, first + 1], [first + 1, first + 61, first + 62]])
    faces = corners.transpose(0, 2, 1).reshape(-1, 3)
    mesh = PolyMesh(left=InMemoryMesh(plane, faces))
    middle = 30 * 61 + 30
    point = np.zeros(len(plane), np.float32)
    point[middle] = 1.0
    squares = ((plane - plane[middle]) ** 2).sum(axis=1)
    found = {}
    with quiet():
        for name, smooth in (("nilearn", nilearn_smooth), ("groupglm", smooth_img)):
            smoothed = smooth(SurfaceImage(mesh, {"left": point}), 8.0)
            found[name] = float(smoothed.data.parts["left"].astype(np.float64) @ squares)
    # A step goes 1 mm with 1/2, or with 6/7: 7/12 of the variance, 0.76 of the width.
    assert found["nilearn"] / found["groupglm"] == pytest.approx(7 / 12, rel=1e-5)
    n_iterations = found["groupglm"] * 7 / 6
    assert n_iterations == pytest.approx(found["nilearn"] * 2, rel=1e-5)
    assert n_iterations == pytest.approx(round(n_iterations), rel=1e-5)
    point[middle + 1] = np.nan
    with quiet():
        ours = smooth_img(SurfaceImage(mesh, {"left": point}), 8.0).data.parts["left"]
        theirs = nilearn_smooth(SurfaceImage(mesh, {"left": point}), 8.0).data.parts["left"]
    assert np.isnan(ours[middle + 1])
    assert theirs[middle + 1] > 0


def test_infinite_values_resampled() -> None:
    finer = AFFINE.copy()
    finer[:3, :3] /= 2
    ours: Any = resample_img(spoilt(np.inf), finer, interpolation="linear")
    with quiet():
        theirs = nilearn_resample(spoilt(np.inf), finer, interpolation="linear").get_fdata()
    assert np.isinf(ours.get_fdata()).any()
    assert not np.isinf(theirs).any()
    np.testing.assert_array_equal(np.isinf(ours.get_fdata()), np.isnan(theirs))


def test_missing_values_resampled() -> None:
    img = spoilt(np.nan)
    coarser = np.diag([3.0, 3.0, 3.0])
    ours: Any = resample_img(img, coarser, interpolation="nearest")  # a warning were an error
    with pytest.warns(RuntimeWarning, match="NaNs or infinite values are present"):
        theirs = nilearn_resample(img, coarser, interpolation="nearest")
    np.testing.assert_array_equal(ours.get_fdata(), theirs.get_fdata())


def test_integers_interpolated() -> None:
    finer = AFFINE.copy()
    finer[:3, :3] /= 2
    whole = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 7
    cases: Any = ((np.int16, "linear"), (np.uint8, "linear"), (np.uint8, "continuous"))
    for dtype, kind in cases:
        img = image(whole.astype(dtype))
        ours: Any = resample_img(img, finer, interpolation=kind)
        with quiet():
            theirs = nilearn_resample(img, finer, interpolation=kind)
            exact = nilearn_resample(image(whole.astype(float)), finer, interpolation=kind)
        assert (theirs.get_fdata() % 1 == 0).all()
        there = exact.get_fdata() != 0  # a face that rounding empties is another difference
        found = ours.get_fdata()[there] - exact.get_fdata()[there]
        np.testing.assert_allclose(found, 0, atol=1e-6)


def test_scaled_unit_matrix() -> None:
    values = np.arange(np.prod(SHAPE), dtype=np.float64).reshape(SHAPE)
    begins = np.diag([1.0, 1, 1, 1])
    begins[:3, 3] = 2
    img = image(values, affine=begins)
    ours: Any = resample_img(img, 2 * np.eye(4), interpolation="nearest")
    with quiet():
        theirs = nilearn_resample(img, 2 * np.eye(4), interpolation="nearest").get_fdata()
    assert ours.get_fdata()[1, 1, 1] == values[0, 0, 0]  # both at (2, 2, 2) mm
    assert theirs[2, 2, 2] == values[0, 0, 0]
    assert theirs[1, 1, 1] == 0


def test_fast_smoothing() -> None:
    with pytest.raises(ValueError, match=r"fwhm is 'fast', but must be a width in mm"):
        smooth_img(spoilt(20.0), "fast")  # type: ignore[arg-type]
    coarse = np.diag([*2 * np.diag(AFFINE)[:3], 1.0])
    one, two = (image(spoilt(20.0).get_fdata(), affine) for affine in (AFFINE, coarse))
    with quiet():
        same = [nilearn_smooth(img, "fast").get_fdata() for img in (one, two)]
    np.testing.assert_array_equal(same[0], same[1])  # in voxels, whatever their size


def test_width_of_each_axis() -> None:
    widths = [4.0, 6.0, 8.0]
    model = SecondLevelModel(mask_img=EVERYWHERE, smoothing_fwhm=widths)
    rows = model.fit(images(), design_matrix=DESIGN).transform(images())
    wanted = nilearn_smooth(images()[0], widths).get_fdata().ravel()  # as image[mask]
    # float32 kernels and values of about 10.
    np.testing.assert_allclose(rows[0], wanted, rtol=0, atol=1e-5)
    with pytest.raises(TypeError, match="smoothing_fwhm"):
        nilearn_fit(images(), DESIGN, mask_img=EVERYWHERE, smoothing_fwhm=widths)


def test_other_grids_with_a_target() -> None:
    finer = AFFINE.copy()
    finer[:3, :3] *= 0.75
    given: Any = [*images()[:-1], resample_img(images()[-1], finer)]
    target = np.diag([4.0, 4.0, 4.0])
    # The finer image is zero where its grid reaches beyond the coarse one.
    with pytest.warns(ZeroValuesWarning, match="exactly zero in some images"):
        ours: Any = SecondLevelModel(target_affine=target).fit(given, design_matrix=DESIGN)
    effect = ours.compute_contrast(output_type="effect_size").get_fdata()
    there = [resample_to(img, ours.mask_img_).get_fdata() for img in given]
    inside = ours.mask_img_.get_fdata() > 0
    # Away from the edges, where the model clips splines into the range of all images.
    clipped = np.any([(volume < 0.5) | (volume > 9) for volume in there], axis=0)
    assert (inside & ~clipped).sum() > 20
    mean = np.mean(there, axis=0)[inside & ~clipped]
    np.testing.assert_allclose(effect[inside & ~clipped], mean, rtol=1e-5)
    with pytest.raises(ValueError, match=r"do not have the same (affine|shape)"):
        nilearn_fit(given, DESIGN, target_affine=target)


def test_faces_that_rounding_empties() -> None:
    rounded = AFFINE.copy()
    rounded[:3, 3] += [1e-6, -1e-6, 1e-6]
    wide = AFFINE.copy()
    wide[:3, 3] -= AFFINE[:3, :3].sum(axis=1)
    shape = tuple(length + 2 for length in SHAPE)
    data = np.full(SHAPE, 10.0)
    ours: Any = resample_img(image(data, rounded), wide, shape, "linear")
    np.testing.assert_allclose(ours.get_fdata(), np.pad(data, 1))
    with quiet():
        theirs = nilearn_resample(image(data, rounded), wide, shape, "linear")
    faces = np.pad(data, 1) - theirs.get_fdata()
    # A face of each axis is gone.
    inner = tuple(length - 1 for length in SHAPE)
    assert (faces > 9).sum() == np.prod(SHAPE) - np.prod(inner)


def test_outside_the_field_of_view() -> None:
    wide = AFFINE.copy()
    wide[:3, 3] -= 2 * AFFINE[:3, 0]
    options: dict[str, Any] = {
        "mask_img": image(np.ones((SHAPE[0] + 2, *SHAPE[1:]), np.uint8), wide),
        "target_affine": wide,
        "target_shape": (SHAPE[0] + 2, *SHAPE[1:]),
    }
    ours: Any = SecondLevelModel(**options).fit(images(), design_matrix=DESIGN)
    n_images = ours.n_observations_.get_fdata()
    assert (n_images[:2] == 0).all()
    assert (n_images[2:] == N_IMAGES).all()
    with quiet():
        theirs = nilearn_fit(images(), DESIGN, **options)
        effect = theirs.compute_contrast(output_type="effect_size").get_fdata()
    assert (effect[:2] == 0).all()
    as_zero: Any = SecondLevelModel(missing="zero", **options)
    as_zero.fit(images(), design_matrix=DESIGN)
    found = as_zero.compute_contrast(output_type="effect_size").get_fdata()
    np.testing.assert_allclose(found, effect, rtol=1e-5, atol=1e-6)


def test_zeros_in_some_images() -> None:
    spoilt_images = [image(np.where(volume == 0, 0.25, volume)) for volume in volumes()]
    for img in spoilt_images[1:]:
        img.dataobj[HOLE] = 0
    only = float(spoilt_images[0].dataobj[HOLE])
    with pytest.warns(ZeroValuesWarning, match="1 of .* voxels is exactly zero in some images"):
        ours: Any = SecondLevelModel(EVERYWHERE).fit(spoilt_images, design_matrix=DESIGN)
    assert ours.n_zeros_.get_fdata()[HOLE] == N_IMAGES - 1
    theirs = nilearn_fit(spoilt_images, DESIGN, mask_img=EVERYWHERE)  # warnings are errors
    effect = theirs.compute_contrast(output_type="effect_size").get_fdata()
    np.testing.assert_allclose(effect[HOLE], only / N_IMAGES, rtol=1e-5)
    left: Any = SecondLevelModel(EVERYWHERE, zero_is_missing=True)
    with pytest.warns(UserWarning, match="1 of .* voxels have no residual degrees of freedom"):
        left.fit(spoilt_images, design_matrix=DESIGN)
    assert left.n_observations_.get_fdata()[HOLE] == 1


def test_integers_filled() -> None:
    wide = AFFINE.copy()
    wide[:3, 3] -= AFFINE[:3, :3].sum(axis=1)
    whole = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    for dtype, wanted in ((np.int16, np.float32), (np.int32, np.float64)):
        img = image(whole.astype(dtype))
        for fill in (0.5, np.nan):
            options: dict[str, Any] = {"interpolation": "nearest", "fill_value": fill}
            ours: Any = resample_img(img, wide, clip=False, **options)
            with quiet():
                theirs = nilearn_resample(img, wide, clip=False, **options)
            assert (ours.get_data_dtype(), theirs.get_data_dtype()) == (wanted, dtype)
            np.testing.assert_equal(ours.get_fdata()[0, 0, 0], fill)
            assert theirs.get_fdata()[0, 0, 0] % 1 == 0
            inner = (slice(1, None),) * 3
            np.testing.assert_array_equal(ours.get_fdata()[inner], theirs.get_fdata()[inner])


def test_target_beside_the_data() -> None:
    img = spoilt(20.0)
    for side in (-1, 1):
        beside = AFFINE.copy()
        beside[:3, 3] += side * 1000
        options: dict[str, Any] = {"interpolation": "nearest", "fill_value": 7}
        with pytest.raises(GridMismatchError, match="does not contain any of the data"):
            resample_img(img, beside, (3, 3, 3), **options)
        with quiet():
            if side > 0:
                with pytest.raises(Exception, match="does not contain any of the data"):
                    nilearn_resample(img, beside, (3, 3, 3), **options)
            else:
                theirs = nilearn_resample(img, beside, (3, 3, 3), **options)
                assert (theirs.get_fdata() == 7).all()
