# SPDX-License-Identifier: BSD-3-Clause
"""The resampling kernel and `Resampler`: against the definition, and against scipy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from groupglm import _core
from groupglm.spaces.volume import Grid
from groupglm.spaces.volume.resampling import INTERPOLATIONS, Resampler
from reference import resampling as reference

# Both sides compute in double: what differs is the order of some 100 operations on values of
# size one, and the last rounding of a float32 result (6e-8).
TOLERANCE = {np.float64: 1e-13, np.float32: 1e-7}
_affine_transform: Any = ndimage.affine_transform
ORDERS: dict[str, int] = {"nearest": 0, "linear": 1, "continuous": 3}

_MAPS = {
    "identity": (np.eye(3), [0, 0, 0]),
    "shrink": (np.diag([1.5, 1.7, 2.25]), [0.3, -0.7, 0.1]),
    "grow": (np.diag([0.4, 0.6, 0.9]), [-0.2, 0.15, 0.4]),
    "flips": (np.diag([-1.0, 1.0, -1.5]), [6, -2, 7.4]),
    "crop": (np.eye(3), [2, -3, 1]),
    "anisotropic": (np.diag([3.0, 0.5, 1.0]), [0, 0.25, 0.5]),
    "oblique": (
        np.array([[0.9, 0.3, -0.1], [-0.2, 1.1, 0.25], [0.1, -0.3, 0.8]]),
        [0.513, 1.007, 0.219],
    ),
    "permuted": (np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0.0]]), [0, 6, 0]),
}


def _volume(shape: tuple[int, int, int], dtype: Any = np.float64) -> NDArray[Any]:
    values = np.random.default_rng(3).standard_normal(shape).astype(dtype)
    return np.asfortranarray(values)


def _map(name: str) -> NDArray[np.float64]:
    matrix, offset = _MAPS[name]
    return np.column_stack([matrix, np.asarray(offset, dtype=np.float64)])


def _scipy(volume: NDArray[Any], voxel_map: Any, shape: Any, kind: str) -> NDArray[Any]:
    matrix = voxel_map[:, :3]
    if np.array_equal(np.diag(np.diag(matrix)), matrix):
        matrix = np.diag(matrix)  # scipy's other arithmetic, which nilearn asks for
    out: NDArray[Any] = _affine_transform(
        volume, matrix, voxel_map[:, 3], shape, order=ORDERS[kind], output=volume.dtype
    )
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", _MAPS)
def test_against_the_definition_and_scipy(name: str, kind: str, dtype: Any) -> None:
    volume, shape = _volume((7, 8, 6), dtype), (6, 9, 7)
    out, lowest, highest = _core.resample_volume(volume, _map(name), shape, kind, 0.0, 1)
    assert out.dtype == dtype
    assert (out != 0).sum() > 20  # the maps do reach the volume
    assert (lowest, highest) == (volume.min(), volume.max())
    expected = reference.resample(volume.astype(np.float64), _map(name), shape, kind)
    np.testing.assert_allclose(out, expected, rtol=0, atol=TOLERANCE[dtype] * np.ptp(volume))
    np.testing.assert_allclose(
        out, _scipy(volume, _map(name), shape, kind), atol=TOLERANCE[dtype] * np.ptp(volume), rtol=0
    )


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", ["shrink", "grow", "oblique", "identity"])
@pytest.mark.parametrize("shape", [*itertools.product((1, 2, 3), repeat=3), (4, 1, 2), (1, 40, 4)])
def test_short_axes(shape: tuple[int, int, int], name: str, kind: str) -> None:
    # Begins at the first voxel's centre: an axis of length one has no other point inside.
    voxel_map = _map(name)
    voxel_map[:, 3] = 0
    volume, out_shape = _volume(shape), (4, 5, 6)
    out = _core.resample_volume(volume, voxel_map, out_shape, kind, 0.0, 1)[0]
    expected = reference.resample(volume, voxel_map, out_shape, kind)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)
    assert out[0, 0, 0] == pytest.approx(volume[0, 0, 0], abs=1e-14)


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", ["shrink", "oblique"])
def test_same_bits_for_any_number_of_threads(name: str, kind: str) -> None:
    volume = _volume((37, 41, 35), np.float32)
    volume[5:9, 3, 20:] = np.nan
    results = [
        _core.resample_volume(volume, _map(name), (33, 29, 31), kind, 0.0, threads)[0]
        for threads in (1, 2, 3, 8)
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("name", ["shrink", "oblique"])
def test_a_line_longer_than_the_filters_horizon(name: str) -> None:
    # Beyond 33 voxels the filter's start leaves out terms below the last bit.
    for n in (32, 33, 34, 35, 150):
        volume = _volume((n, 4, n))
        voxel_map = _map(name)
        voxel_map[:, 3] = 0
        out = _core.resample_volume(volume, voxel_map, (20, 3, 20), "continuous", 0.0, 1)[0]
        expected = _scipy(volume, voxel_map, (20, 3, 20), "continuous")
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", ["shrink", "oblique", "crop"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_holes_stay_what_they_are(name: str, kind: str, dtype: Any) -> None:
    volume, shape = _volume((9, 8, 10), dtype), (7, 6, 8)
    volume[4:, :3, :] = np.nan  # a region, much deeper than two voxels
    volume[2, 5, 3] = np.inf
    volume[6, 6, 6] = -np.inf
    volume[0, 0, 0] = np.nan
    out, lowest, highest = _core.resample_volume(volume, _map(name), shape, kind, 0.0, 2)
    expected = reference.resample(volume.astype(np.float64), _map(name), shape, kind)
    assert np.isnan(out).sum() > 5
    np.testing.assert_allclose(out, expected, rtol=0, atol=8 * TOLERANCE[dtype])
    finite = volume[np.isfinite(volume)]
    assert (lowest, highest) == (finite.min(), finite.max())


def test_a_volume_of_nan_only() -> None:
    volume = np.full((5, 6, 7), np.nan, np.float32, order="F")
    for kind in INTERPOLATIONS:
        out, *limits = _core.resample_volume(volume, _map("grow"), (5, 5, 5), kind, 0.0, 1)
        inside = reference.resample(np.ones((5, 6, 7)), _map("grow"), (5, 5, 5), "nearest") == 1
        np.testing.assert_array_equal(np.isnan(out), inside)
        assert limits == [0.0, 0.0]


@pytest.mark.parametrize("fill", [-2.5, np.nan, 1e300])
@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("name", ["flips", "oblique"])
def test_fill_is_the_value_outside(name: str, kind: str, fill: float) -> None:
    volume = _volume((7, 8, 6))
    zero = _core.resample_volume(volume, _map(name), (9, 9, 9), kind, 0.0, 1)[0]
    out = _core.resample_volume(volume, _map(name), (9, 9, 9), kind, fill, 1)[0]
    inside = _core.resample_volume(
        np.ones_like(volume, order="F"), _map(name), (9, 9, 9), "nearest", 0.0, 1
    )[0]
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(out, np.where(inside == 1, zero, fill))


@given(
    volume=arrays(
        np.float64,
        st.tuples(*[st.integers(1, 6)] * 3),
        elements=st.floats(-1e3, 1e3).map(lambda x: round(x, 3)),
    ),
    voxel_map=arrays(np.float64, (3, 4), elements=st.integers(-12, 12).map(lambda x: x / 4)),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    kind=st.sampled_from(INTERPOLATIONS),
    diagonal=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_any_map_gives_what_scipy_gives(
    volume: Any, voxel_map: Any, shape: Any, kind: str, diagonal: bool
) -> None:
    # Quarters: points on voxels, between two and on the outermost ones, singular maps too.
    if diagonal:
        scales = np.where(np.diag(voxel_map) == 0, 1.0, np.diag(voxel_map))
        voxel_map = np.column_stack([np.diag(scales), voxel_map[:, 3]])
    volume = np.asfortranarray(volume)
    out = _core.resample_volume(volume, voxel_map, shape, kind, 0.0, 2)[0]
    matrix = voxel_map[:, :3]
    expected = _affine_transform(
        volume,
        np.diag(matrix) if diagonal else matrix,
        voxel_map[:, 3],
        shape,
        order=ORDERS[kind],
    )
    # Coefficients are up to 3^3 times the values; both sides round them.
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-11)


@given(
    seed=st.integers(0, 2**32 - 1),
    angles=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    scale=st.floats(0.3, 3),
)
@settings(max_examples=60, deadline=None)
def test_random_affines_against_scipy(
    seed: int, angles: tuple[float, float, float], scale: float
) -> None:
    rng = np.random.default_rng(seed)
    volume = np.asfortranarray(rng.standard_normal((11, 9, 10)))
    matrix = scale * (
        np.eye(3) + np.array([[0, angles[0], 0], [0, 0, angles[1]], [angles[2], 0, 0]])
    )
    voxel_map = np.column_stack([matrix, rng.uniform(-3, 3, 3)])
    for kind in INTERPOLATIONS:
        out = _core.resample_volume(volume, voxel_map, (8, 9, 10), kind, 0.0, 1)[0]
        expected = _scipy(volume, voxel_map, (8, 9, 10), kind)
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", INTERPOLATIONS)
def test_extreme_maps_do_no_harm(kind: str) -> None:
    volume = _volume((4, 5, 6))
    for scale, offset in itertools.product((1e-320, 1e-30, 1e30, 1e308), (0.0, 1e300, -1e18, 1.5)):
        for off_diagonal in (0.0, 1e-200):
            voxel_map = np.column_stack([np.diag([scale] * 3), [offset] * 3])
            voxel_map[0, 1] = off_diagonal
            out = _core.resample_volume(volume, voxel_map, (3, 4, 5), kind, -9.0, 1)[0]
            assert np.isfinite(out).all()


def test_huge_and_tiny_values_are_interpolated() -> None:
    for scale in (1e-300, 1e300):
        volume = _volume((5, 6, 7)) * scale
        for kind in INTERPOLATIONS:
            out = _core.resample_volume(volume, _map("shrink"), (4, 4, 4), kind, 0.0, 1)[0]
            expected = reference.resample(volume, _map("shrink"), (4, 4, 4), kind)
            np.testing.assert_allclose(out / scale, expected / scale, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "dtype",
    [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64],
)
@pytest.mark.parametrize("name", ["flips", "oblique"])
def test_nearest_keeps_every_integer(name: str, dtype: Any) -> None:
    limits = np.iinfo(dtype)
    volume = np.random.default_rng(0).integers(
        limits.min, limits.max, (7, 8, 6), dtype=dtype, endpoint=True
    )
    grid = Grid((7, 8, 6), np.eye(4))
    target = Grid((6, 9, 7), np.vstack([_map(name), [0, 0, 0, 1]]))
    out = Resampler(grid, target, "nearest")(volume)
    assert out.dtype == dtype
    # Places instead of values: float64 would not hold the largest.
    places = np.arange(volume.size, dtype=np.float64).reshape(volume.shape)
    chosen = reference.resample(places, _map(name), (6, 9, 7), "nearest", -1).astype(int)
    np.testing.assert_array_equal(out, np.where(chosen < 0, 0, volume.ravel()[chosen]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volume": np.zeros((0, 2, 2), order="F")}, "three dimensions"),
        ({"volume": np.zeros((2, 2), order="F")}, "three dimensions"),
        ({"voxel_map": np.eye(4)}, "3 x 4"),
        ({"voxel_map": np.full((3, 4), np.nan)}, "finite"),
        ({"shape": (0, 1, 1)}, "shape"),
        ({"shape": (-1, 1, 1)}, "shape"),
        ({"shape": (2**31, 2**31, 2**31)}, "shape"),
        ({"interpolation": "cubic"}, "no interpolation cubic"),
    ],
)
def test_the_core_checks_its_arguments(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "volume": _volume((3, 3, 3)),
        "voxel_map": _map("identity"),
        "shape": (2, 2, 2),
        "interpolation": "linear",
        "fill": 0.0,
        "n_threads": 1,
    }
    with pytest.raises(ValueError, match=message):
        _core.resample_volume(**{**arguments, **change})
