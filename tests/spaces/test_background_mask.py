# SPDX-License-Identifier: BSD-3-Clause
"""The mask found without a mask: the oracle's where nothing is missing, and sound where it is."""

from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.image import concat_imgs
from nilearn.masking import compute_background_mask
from numpy.typing import NDArray

from groupglm.spaces.volume import open_images
from groupglm.spaces.volume.background import background_mask
from reference.data import data_dir

nib: Any = nibabel  # typed only in part

SHAPE = (10, 11, 12)


def brain(shape: tuple[int, ...] = SHAPE, radius: float = 0.6) -> NDArray[np.bool_]:
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside: NDArray[np.bool_] = np.sum(np.square(axes), axis=0) < radius**2
    return inside


def images(background: float, n_images: int = 6, seed: int = 0) -> NDArray[np.float64]:
    """Shape (n_images, *SHAPE)."""
    noise = np.random.default_rng(seed).normal(size=(n_images, *SHAPE))
    return np.where(brain(), noise, background)


def ours(stack: NDArray[np.float64], min_observations: int | None = None) -> NDArray[np.bool_]:
    n_observations = (~np.isnan(stack)).sum(axis=0)
    total = np.nansum(stack, axis=0)
    mean = np.full(total.shape, np.nan)
    np.divide(total, n_observations, out=mean, where=n_observations > 0)
    n_images = len(stack)
    return background_mask(
        mean,
        n_observations,
        n_images=n_images,
        min_observations=n_images if min_observations is None else min_observations,
    )


def oracle(stack: NDArray[np.float64]) -> NDArray[np.bool_]:
    image = nib.Nifti1Image(np.moveaxis(stack, 0, -1), np.eye(4))
    mask: NDArray[np.bool_] = np.asarray(compute_background_mask(image).dataobj).astype(bool)
    return mask


@pytest.mark.parametrize("background", [0.0, 7.5, -1.0, np.nan])
def test_the_brain_is_what_differs_from_the_background(background: float) -> None:
    stack = images(background)
    np.testing.assert_array_equal(ours(stack), brain())
    np.testing.assert_array_equal(ours(stack), oracle(stack))


@settings(deadline=None, max_examples=100)
@given(
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    seed=st.integers(0, 10_000),
    levels=st.integers(2, 5),
    nan=st.sampled_from([0.0, 0.02, 0.5]),
)
def test_the_oracle_agrees_whenever_no_image_is_partly_missing(
    shape: tuple[int, ...], seed: int, levels: int, nan: float
) -> None:
    rng = np.random.default_rng(seed)
    # One image of few whole numbers: the median is often met, and edges count as the oracle counts.
    stack = rng.integers(0, levels, size=(1, *shape)).astype(float)
    stack[:, rng.random(shape) < nan] = np.nan
    border = np.ones(shape, bool)
    border[2:-2, 2:-2, 2:-2] = False
    finite = stack[0][~np.isnan(stack[0])]
    if finite.size == 0:
        with pytest.raises(ValueError, match="no voxel is observed"):
            ours(stack)
    elif not np.isnan(stack[0][border]).any() and len(np.unique(finite)) == 1:
        with pytest.raises(ValueError, match="cannot be told apart"):
            ours(stack)
    else:
        np.testing.assert_array_equal(ours(stack), oracle(stack))


def test_nan_on_the_border_of_one_image_only() -> None:
    stack = images(0.0)
    stack[2][~brain()] = np.nan  # one image marks the outside with NaN, the others with zero
    np.testing.assert_array_equal(ours(stack, 4), brain())


@pytest.mark.parametrize("background", [0.0, np.nan])
def test_a_voxel_needs_enough_images(background: float) -> None:
    stack = images(background)
    stack[0, 5, 5, 5] = np.nan
    stack[:3, 4, 5, 5] = np.nan
    for min_observations, missing in [
        (6, [(5, 5, 5), (4, 5, 5)]),
        (5, [(4, 5, 5)]),
        (4, [(4, 5, 5)]),
        (3, []),
    ]:
        expected = brain().copy()
        for voxel in missing:
            expected[voxel] = False
        np.testing.assert_array_equal(ours(stack, min_observations), expected)


@pytest.mark.parametrize("n_missing", [0, 3])
def test_nothing_but_background(n_missing: int) -> None:
    stack = np.full((4, *SHAPE), 3.0)
    stack[:n_missing, 5, 5, 5] = np.nan
    with pytest.raises(
        ValueError, match=r"mean of the 4 images is 3 at every voxel.*give mask_img"
    ):
        ours(stack)


def test_no_voxel_with_enough_images() -> None:
    stack = np.full((4, *SHAPE), np.nan)
    stack[:2, :5] = 1.0
    stack[2:, 5:] = 1.0
    with pytest.raises(ValueError, match=r"observed in 3 of the 4 images \(the most is 2\)"):
        ours(stack, 3)
    with pytest.raises(ValueError, match="observed in 1 of the 4 images"):
        ours(np.full((4, *SHAPE), np.nan), 0)


def test_real_images() -> None:
    paths = sorted(data_dir("ds003338").glob("*_effect_size.nii.gz"))
    sources = open_images(paths)
    stack = np.empty((len(paths), sources[0].grid.n_voxels))
    for source, out in zip(sources, stack, strict=True):
        source.read_into(out)
    stack = np.stack([row.reshape(sources[0].grid.shape, order="F") for row in stack])
    mask = ours(stack)
    expected = np.asarray(compute_background_mask(concat_imgs(paths)).dataobj).astype(bool)
    np.testing.assert_array_equal(mask, expected)
    assert mask.sum() == 77_278  # non-zero in any image, as the data's own notes say
