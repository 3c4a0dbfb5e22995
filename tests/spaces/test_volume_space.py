# SPDX-License-Identifier: BSD-3-Clause
"""Rows of values and images are the same thing seen from two sides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nilearn.masking import apply_mask, load_mask_img, unmask

from groupglm import _core
from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.volume import Grid, open_image, open_images
from groupglm.spaces.volume.space import VolumeSpace

pytestmark = pytest.mark.quick

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

nib: Any = nibabel  # typed only in part

SHAPE = (5, 6, 7)
AFFINE = np.array([[-2.0, 0.1, 0, 90], [0, 2.5, 0, -126], [0.2, 0, 3, -72], [0, 0, 0, 1]])
GRID = Grid(SHAPE, AFFINE)
DATA = np.random.default_rng(3).normal(size=SHAPE)
INSIDE = DATA > 0.2


def mask_image(values: Any, affine: NDArray[np.float64] = AFFINE) -> Any:
    return nib.Nifti1Image(np.asarray(values, dtype="f4"), affine)


def test_a_volume_space_is_a_space() -> None:
    space: Space = VolumeSpace(GRID)
    assert space.n_values == 210


@pytest.mark.parametrize("value", [1, -2.5, 255])
@pytest.mark.parametrize("outside", [0, np.nan])
def test_a_mask_is_nonzero_inside(value: float, outside: float) -> None:
    space = VolumeSpace.from_mask(mask_image(np.where(INSIDE, value, outside)), GRID)
    np.testing.assert_array_equal(space.mask, INSIDE)
    assert space.n_values == INSIDE.sum()
    np.testing.assert_array_equal(space.indices, np.flatnonzero(INSIDE.ravel(order="F")))


def test_a_mask_may_be_everything() -> None:
    space = VolumeSpace.from_mask(mask_image(np.ones(SHAPE)))
    assert space.mask.all()
    assert space.mask.shape == SHAPE


def test_a_mask_file_gives_the_images_affine(tmp_path: Path) -> None:
    nearly = AFFINE + np.array([[0, 0, 0, 2e-4]] + [[0] * 4] * 3)
    nib.save(mask_image(INSIDE, nearly), tmp_path / "mask.nii.gz")
    space = VolumeSpace.from_mask(tmp_path / "mask.nii.gz", GRID)
    np.testing.assert_array_equal(space.grid.affine, AFFINE)
    np.testing.assert_array_equal(space.mask, INSIDE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(SHAPE), "the mask is empty"),
        (np.full(SHAPE, np.nan), "the mask is empty"),
        (INSIDE * 1 + (DATA > 1), "values from 1 to 2 besides zero; threshold"),
        (DATA, "one other value inside"),
        (INSIDE + 1.0, "values from 1 to 2 besides zero"),
    ],
)
def test_what_is_no_mask(values: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ValueError, match=f"^mask_img: .*{message}"):
        VolumeSpace.from_mask(mask_image(values), GRID)
    with pytest.raises(ValueError, match="mask"):  # the oracle refuses the same ones
        load_mask_img(mask_image(np.nan_to_num(values)))


def test_a_mask_on_another_grid() -> None:
    moved = AFFINE.copy()
    moved[2, 3] += 0.5
    with pytest.raises(GridMismatchError, match=r"mask_img: .*up to 0\.5 mm; resample"):
        VolumeSpace.from_mask(mask_image(INSIDE, moved), GRID)
    with pytest.raises(GridMismatchError, match=r"\(5, 6, 6\), not \(5, 6, 7\)"):
        VolumeSpace.from_mask(mask_image(INSIDE[..., :6]), GRID)
    with pytest.raises(ImageError, match="mask_img: holds 2 volumes"):
        VolumeSpace.from_mask(mask_image(np.stack([INSIDE, INSIDE], -1)), GRID)
    with pytest.raises(TypeError, match="mask_img must be a file name"):
        VolumeSpace.from_mask(INSIDE, GRID)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([], "the mask is empty"),
        ([3, 2], "must increase"),
        ([2, 2], "must increase"),
        ([-1, 2], "must increase"),
        ([0, 210], "at most 209"),
        ([[1, 2]], "the mask"),
    ],
)
def test_indices_are_checked(indices: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VolumeSpace(GRID, np.array(indices, dtype=int))


@settings(deadline=None, max_examples=50)
@given(
    mask=hnp.arrays(bool, SHAPE).filter(lambda mask: mask.any()),
    n_rows=st.one_of(st.none(), st.integers(1, 3)),
    dtype=st.sampled_from(["f4", "f8"]),
    seed=st.integers(0, 1000),
)
def test_rows_to_images_and_back(
    mask: NDArray[np.bool_], n_rows: int | None, dtype: str, seed: int
) -> None:
    space = VolumeSpace(GRID).restrict(mask.ravel(order="F"))
    shape = (space.n_values,) if n_rows is None else (n_rows, space.n_values)
    values = np.random.default_rng(seed).normal(size=shape)
    made: Any = space.to_image(values, dtype=dtype)
    assert made.shape == (SHAPE if n_rows is None else (*SHAPE, n_rows))
    assert made.get_data_dtype() == dtype
    data = np.asarray(made.dataobj)
    assert not data[~mask].any()
    sources = [open_image(made)] if n_rows in {None, 1} else open_images(made)
    back = np.empty((len(sources), space.n_values), dtype)
    for source, out in zip(sources, back, strict=True):
        space.read_row(source, out)
    np.testing.assert_array_equal(back, np.atleast_2d(values).astype(dtype))
    # The oracle's row has another order; its image must be the same.
    oracle_mask = space.mask_image()
    np.testing.assert_array_equal(
        np.asarray(unmask(apply_mask(made, oracle_mask), oracle_mask).dataobj), data
    )


def test_the_whole_grid() -> None:
    space = VolumeSpace(GRID)
    out = np.empty(space.n_values)
    space.read_row(open_image(nib.Nifti1Image(DATA, AFFINE)), out)
    np.testing.assert_array_equal(out, DATA.ravel(order="F"))
    np.testing.assert_array_equal(space.to_image(out, dtype="f8").get_fdata(), DATA)
    assert space.mask.all()


def test_restrict_twice() -> None:
    once = VolumeSpace(GRID).restrict(INSIDE.ravel(order="F"))
    row = DATA.ravel(order="F")[once.indices]
    twice = once.restrict(row > 1)
    np.testing.assert_array_equal(twice.mask, DATA > 1)
    with pytest.raises(ValueError, match="the mask is empty"):
        once.restrict(np.zeros(once.n_values, bool))
    with pytest.raises(ValueError, match="keep must be bool of shape"):
        once.restrict(INSIDE.ravel())
    with pytest.raises(ValueError, match=r"keep must be bool .* but is int64"):
        once.restrict(np.zeros(once.n_values, np.int64))


def test_the_header_of_an_image() -> None:
    space = VolumeSpace(GRID).restrict(INSIDE.ravel(order="F"))
    made: Any = space.to_image(np.ones(space.n_values), "z of a contrast")
    np.testing.assert_array_equal(made.affine, AFFINE)
    assert made.header.get_xyzt_units()[0] == "mm"
    assert made.header["descrip"] == b"z of a contrast"
    assert made.get_data_dtype() == np.float32
    long = space.to_image(np.ones(space.n_values), "x" * 200)
    assert long.header["descrip"] == b"x" * 79
    mask: Any = space.mask_image()
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(mask.dataobj), INSIDE)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 1, 210)])
def test_values_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"values must have the shape \(210,\) or \(k, 210\)"):
        VolumeSpace(GRID).to_image(np.ones(shape))


def test_nan_stays_nan_inside() -> None:
    space = VolumeSpace(GRID)
    values = np.where(INSIDE, np.nan, 1.0).ravel(order="F")
    np.testing.assert_array_equal(np.isnan(space.to_image(values).get_fdata()), INSIDE)


def test_an_image_without_a_finite_value_inside() -> None:
    space = VolumeSpace(GRID).restrict(INSIDE.ravel(order="F"))
    out = np.empty(space.n_values)
    for outside, inside in [(1.0, np.nan), (1.0, np.inf)]:
        made = nib.Nifti1Image(np.where(INSIDE, inside, outside), AFFINE)
        message = f"^image in memory: all {space.n_values} values inside the mask are NaN"
        with pytest.raises(ImageError, match=message):
            space.read_row(open_image(made), out)
    one_value = np.where(INSIDE, np.nan, 0)
    one_value.ravel(order="K")[np.flatnonzero(INSIDE)[-1]] = 4
    space.read_row(open_image(nib.Nifti1Image(one_value, AFFINE)), out)
    assert np.nansum(out) == 4


def test_an_image_of_another_shape() -> None:
    space = VolumeSpace(GRID)
    with pytest.raises(GridMismatchError, match=r"image in memory: .*\(5, 6, 6\), not"):
        space.read_row(open_image(nib.Nifti1Image(DATA[..., :6], AFFINE)), np.empty(210))


@pytest.mark.parametrize("places", [[3, 1, 5], [1, 7, 6], [2, 2, 4], [-1, 2, 3], [1, 2, 8]])
def test_places_out_of_order_are_refused(places: list[int]) -> None:
    volume = np.zeros(8, np.float32)
    with pytest.raises(ValueError, match="places"):
        _core.scatter(np.ones(3), np.array(places, np.int64), volume)
    np.testing.assert_array_equal(volume, 0)


def test_places_are_where_nibabel_has_them() -> None:
    space = VolumeSpace(GRID).restrict(INSIDE.ravel(order="F"))
    voxels = np.array(np.unravel_index(np.flatnonzero(INSIDE.ravel("F")), SHAPE, order="F")).T
    expected = nibabel.affines.apply_affine(AFFINE, voxels)  # type: ignore[no-untyped-call]
    # Three products and three sums of numbers below 200: some ten roundings of 2e-14.
    np.testing.assert_allclose(space.coordinates(), expected, rtol=0, atol=3e-13)
    some = np.array([4, 0, 9])
    np.testing.assert_array_equal(space.coordinates(some), space.coordinates()[some])
    # A voxel reaches to half an index from its centre.
    rng = np.random.default_rng(0)
    moved = voxels + rng.uniform(-0.49, 0.49, voxels.shape)
    inside = nibabel.affines.apply_affine(AFFINE, moved)  # type: ignore[no-untyped-call]
    assert [space.place_at(position) for position in inside] == list(range(space.n_values))


@pytest.mark.parametrize(
    "voxel", [(-0.6, 0, 0), (0, 5.6, 0), (1e300, 0, 0), (np.inf, 0, 0), (np.nan, 0, 0)]
)
def test_beyond_the_grid_is_no_place(voxel: tuple[float, float, float]) -> None:
    space = VolumeSpace(Grid(SHAPE, np.diag([2.0, 2, 2, 1])))
    x, y, z = voxel
    assert space.place_at((2 * x, 2 * y, 2 * z)) is None
    assert space.place_at((0, 0, 0)) == 0
    assert space.restrict(np.arange(space.n_values) > 0).place_at((0, 0, 0)) is None


def test_a_space_names_its_places() -> None:
    space = VolumeSpace(Grid((4, 5, 6), np.diag([3.0, 3, 3, 1]))).restrict(np.arange(120) > 20)
    first = space.place_at((6.4, 1.6, 2.0))
    assert first == 26 - 21  # 2 + 4 * (1 + 5 * 1) = 26 in the grid
    assert space.describe_place(first) == "(6, 3, 3) mm"
    assert space.name_places(np.array([first])) == "voxels (2, 1, 1)"
    assert space.name_places(np.arange(6)).endswith("(1, 1, 1), ...")
    assert space.measure(np.arange(4)) == 4 * 27.0
    assert (space.weights(), space.unit, space.measure_unit) == (None, "voxels", "mm3")
    (part,) = space.parts
    assert (part.n_values, part.unit, part.tfce_powers) == (99, "voxels", (0.5, 2.0))
