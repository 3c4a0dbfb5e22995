# SPDX-License-Identifier: BSD-3-Clause
"""The smoothing kernel: against its definition and SciPy, at every level of the processor."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from groupglm import _core
from reference.smoothing import gaussian, gaussian_of_present

LEVELS = ("baseline", "v3")  # the next one has no smoothing of its own
SUPPORTED = LEVELS[: 1 if _core.supported_level() == "baseline" else 2]
BY_LEVEL = pytest.mark.parametrize(
    "core", [importlib.import_module(f"groupglm._core_{level}") for level in SUPPORTED]
)
BY_DTYPE = pytest.mark.parametrize("dtype", [np.float32, np.float64])

SHAPES = [(7, 6, 5), (1, 1, 1), (1, 2, 3), (3, 2, 1), (2, 3, 40), (33, 4, 2), (70, 9, 8)]
SIGMAS = [(1.7, 1.7, 1.7), (0.0, 0.9, 2.5), (3.0, 0.0, 0.0), (0.0, 0.0, 1.2), (12.0, 5.0, 7.0)]

Volume = NDArray[Any]


def tolerance(dtype: Any, sigma: tuple[float, ...], largest: float = 1.0) -> float:
    """How far averages of values of at most `largest` may differ between two computations.

    Ours rounds to `dtype` after the second and the third axis, SciPy after each, by half an eps:
    five times in all. The weights and sums are double: r + 1 roundings an axis each side, with
    r = 4 sigma.
    """
    eps = float(np.finfo(dtype).eps)
    taps = sum(4.0 * width + 4.0 for width in sigma)
    return largest * (2.5 * eps + 2.0 * taps * float(np.finfo(np.float64).eps))


def smoothed(
    volume: Volume, sigma: tuple[float, ...], n_threads: int = 1, core: Any = _core
) -> Volume:
    """Smooth a copy."""
    row = volume.ravel(order="F").copy()
    assert core.smooth_volume(row, volume.shape, sigma, n_threads) is None
    return row.reshape(volume.shape, order="F")


def random_volume(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Volume:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(dtype)


def with_missing(volume: Volume, share: float = 0.2, seed: int = 1) -> Volume:
    out = volume.copy()
    out[np.random.default_rng(seed).random(volume.shape) < share] = np.nan
    return out


@BY_LEVEL
@BY_DTYPE
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_is_scipy_and_the_definition(
    core: Any, dtype: Any, shape: tuple[int, ...], sigma: tuple[float, ...]
) -> None:
    volume = random_volume(shape, dtype)
    got = smoothed(volume, sigma, core=core)
    assert got.dtype == dtype
    atol = tolerance(dtype, sigma)
    by_scipy = scipy.ndimage.gaussian_filter(volume, sigma, mode="reflect", truncate=4.0)
    np.testing.assert_allclose(got, by_scipy, rtol=0, atol=atol)
    np.testing.assert_allclose(got, gaussian(volume, sigma), rtol=0, atol=atol)


def test_a_whole_head_is_scipy() -> None:
    sigma = (8.0 / np.sqrt(8.0 * np.log(2.0)) / 2.0,) * 3
    volume = random_volume((91, 109, 91), np.float32) + np.float32(1e4)
    by_scipy = scipy.ndimage.gaussian_filter(volume, sigma)
    atol = tolerance(np.float32, sigma, largest=1e4 + 1)
    np.testing.assert_allclose(smoothed(volume, sigma, 2), by_scipy, rtol=0, atol=atol)


@BY_LEVEL
@BY_DTYPE
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_missing_values_stay_and_do_not_spread(
    core: Any, dtype: Any, shape: tuple[int, ...], sigma: tuple[float, ...]
) -> None:
    volume = with_missing(random_volume(shape, dtype))
    volume[0, 0, 0] = np.nan
    got = smoothed(volume, sigma, core=core)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(volume))
    # The errors of a sum of weights are relative to it, those of a sum of values to the sum of
    # the weights of what is present: the quotient has twice the error of either, and its own.
    atol = 3 * tolerance(dtype, sigma)
    np.testing.assert_allclose(got, gaussian_of_present(volume, sigma), rtol=0, atol=atol)


@BY_DTYPE
def test_a_missing_voxel_changes_nothing_out_of_reach(dtype: Any) -> None:
    volume = random_volume((30, 30, 30), dtype)
    holed = volume.copy()
    holed[15, 15, 15] = np.nan
    sigma = (1.0, 1.0, 1.0)  # a radius of four voxels
    near = np.zeros(volume.shape, np.bool_)
    near[11:20, 11:20, 11:20] = True
    whole, got = smoothed(volume, sigma), smoothed(holed, sigma)
    atol = 2 * tolerance(dtype, sigma)
    np.testing.assert_allclose(got[~near], whole[~near], rtol=0, atol=atol)
    assert np.isnan(got[15, 15, 15])
    # Beside it the weight that is left out, e^-0.5 / (2 pi)^1.5, is far above the rounding.
    for neighbour in ((14, 15, 15), (15, 16, 15), (15, 15, 16)):
        assert abs(float(got[neighbour] - whole[neighbour])) > 1e-4


@BY_DTYPE
def test_values_are_not_pulled_towards_zero_beside_missing_ones(dtype: Any) -> None:
    volume = np.full((12, 10, 8), 5.0, dtype)
    volume[:6] = np.nan
    got = smoothed(volume, (2.0, 2.0, 2.0))
    assert np.isnan(got[:6]).all()
    np.testing.assert_allclose(got[6:], 5.0, rtol=3 * tolerance(dtype, (2.0, 2.0, 2.0)))


def test_all_missing_stays_missing() -> None:
    assert np.isnan(smoothed(np.full((4, 5, 6), np.nan), (1.0, 1.0, 1.0))).all()


@BY_LEVEL
@BY_DTYPE
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_threads_change_no_bit(core: Any, dtype: Any, share: float) -> None:
    volume = with_missing(random_volume((41, 37, 29), dtype), share)
    assert volume.size > 1 << 14  # smaller ones are smoothed by one thread
    one = smoothed(volume, (1.7, 1.1, 2.3), 1, core)
    for n_threads in (2, 3, 8, 0):
        np.testing.assert_array_equal(smoothed(volume, (1.7, 1.1, 2.3), n_threads, core), one)


def test_an_axis_is_smoothed_like_the_others() -> None:
    volume = random_volume((20, 21, 22), np.float64)
    straight = smoothed(volume, (1.0, 2.0, 3.0))
    turned = smoothed(volume.transpose(2, 0, 1), (3.0, 1.0, 2.0))
    atol = tolerance(np.float64, (1.0, 2.0, 3.0))
    np.testing.assert_allclose(turned, straight.transpose(2, 0, 1), rtol=0, atol=atol)


shapes = st.tuples(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
widths = st.floats(0.0, 30.0)
sigmas = st.tuples(widths, widths, widths)


@settings(max_examples=60, deadline=None)
@given(shapes, sigmas, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]))
def test_any_shape_and_width(
    shape: tuple[int, ...], sigma: tuple[float, ...], seed: int, share: float
) -> None:
    volume = with_missing(random_volume(shape, np.float64, seed), share, seed)
    got = smoothed(volume, sigma)
    expected = gaussian_of_present(volume, sigma)
    np.testing.assert_allclose(got, expected, rtol=0, atol=3 * tolerance(np.float64, sigma))
    if share == 0.0:
        # Every voxel gives as much as it gets: the kernel is symmetric, and so is the mirror.
        atol = volume.size * tolerance(np.float64, sigma)
        np.testing.assert_allclose(got.sum(), volume.sum(), rtol=0, atol=atol)
    present = ~np.isnan(volume)
    if present.any():
        slack = 3 * tolerance(np.float64, sigma)
        assert got[present].min() >= volume[present].min() - slack
        assert got[present].max() <= volume[present].max() + slack


@settings(max_examples=40, deadline=None)
@given(shapes, sigmas, st.floats(-1e30, 1e30))
def test_a_constant_is_kept(shape: tuple[int, ...], sigma: tuple[float, ...], value: float) -> None:
    for dtype in (np.float32, np.float64):
        volume = np.full(shape, value, dtype)
        got = smoothed(volume, sigma)
        np.testing.assert_allclose(got, volume, rtol=tolerance(dtype, sigma), atol=1e-300)


def test_the_largest_floats_do_not_overflow() -> None:
    largest = float(np.finfo(np.float32).max)
    got = smoothed(np.full((9, 9, 9), largest / 1.001, np.float32), (2.0, 2.0, 2.0))
    np.testing.assert_allclose(got.astype(np.float64), largest / 1.001, rtol=1e-6)


def test_an_infinite_value_does_no_harm_out_of_reach() -> None:
    volume = np.ones((20, 3, 3))
    volume[0, 0, 0] = np.inf
    got = smoothed(volume, (1.0, 0.0, 0.0))
    assert np.isposinf(got[:5, 0, 0]).all()
    assert np.isfinite(got[5:]).all()


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf, 2e6])
def test_a_width_that_no_kernel_has_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma must be from 0 to 1e6 voxels, but is"):
        _core.smooth_volume(np.zeros(8), (2, 2, 2), (1.0, sigma, 1.0), 1)


@pytest.mark.parametrize(
    ("size", "shape"),
    [(8, (2, 2, 3)), (8, (2, 2, 1)), (0, (0, 1, 1)), (8, (-2, -2, 2)), (8, (2**40, 2**40, 2))],
)
def test_a_shape_that_is_not_the_volumes_is_refused(size: int, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="as many values as its shape has voxels"):
        _core.smooth_volume(np.zeros(size), shape, (1.0, 1.0, 1.0), 1)


def test_arrays_that_would_need_a_copy_are_refused() -> None:
    volumes: list[Any] = [np.zeros(16)[::2], np.zeros(8, np.int16), np.zeros(8, ">f8")]
    for volume in volumes:
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _core.smooth_volume(volume, (2, 2, 2), (1.0, 1.0, 1.0), 1)
    with pytest.raises(ValueError, match="one run of"):
        _core.smooth_volume(np.zeros((2, 2, 2)), (2, 2, 2), (1.0, 1.0, 1.0), 1)
    read_only = np.zeros(8)
    read_only.setflags(write=False)
    with pytest.raises(ValueError, match="not writeable"):
        _core.smooth_volume(read_only, (2, 2, 2), (1.0, 1.0, 1.0), 1)
