# SPDX-License-Identifier: BSD-3-Clause
"""Rows read only where some input is not zero give the bits of a fit that holds every place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray

from contract.fake_repeated import MeanOfSubjects
from groupglm import SecondLevelModel, non_parametric_inference
from groupglm.engine.occupied import Occupied
from groupglm.engine.occupied_rows import OccupiedRows
from groupglm.engine.reading import Reading
from groupglm.engine.reduce import accumulate, accumulate_occupied, reading_order
from groupglm.engine.row_store import RowStore
from groupglm.errors import ImageError
from groupglm.models.ols import OLS
from groupglm.spaces.zeros import ZeroTally


@dataclass(frozen=True, eq=False)
class Image:
    """A row of values in memory."""

    row: NDArray[Any]
    name: ClassVar[str] = "an image"

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.row.dtype


@dataclass(frozen=True)
class Places:
    """Reads such images, by the values themselves or by a copy in the room that it is given."""

    n_values: int
    copies: bool
    zero_is_missing: bool = False

    def read_row(self, source: Image, out: NDArray[Any]) -> None:
        out[...] = source.row

    def reader_of(self, role: str) -> Places:
        return self

    def name_of(self, source: Any, inside: NDArray[np.bool_]) -> str:
        del inside
        return str(source.name)

    def read_values(self, source: Image, room: NDArray[Any]) -> NDArray[Any]:
        if not self.copies:
            return source.row
        self.read_row(source, room)
        return room


def bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).view(np.uint8)


def an_image(values: NDArray[Any]) -> Any:
    return Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


def images_of(n: int, n_values: int, dtype: type, seed: int, growing: float) -> list[Image]:
    """Make images of zeros around a middle, which some images leave; with NaN, -0 and extremes."""
    rng = np.random.default_rng(seed)
    low, high = n_values // 3, n_values // 2
    images = []
    for _ in range(n):
        values: NDArray[Any] = np.zeros(n_values, dtype)
        first, last = low, high
        if rng.random() < growing:
            first, last = sorted(rng.integers(0, n_values + 1, 2))
        values[first:last] = rng.normal(size=last - first)
        special = [np.nan, -0.0, 0.0, 1e300 if dtype is np.float64 else 1e30, 1e-300]
        chosen = rng.random(last - first) < 0.05
        values[first:last][chosen] = rng.choice(special, size=chosen.sum()).astype(dtype)
        images.append(Image(values))
    return images


@given(
    n=st.integers(4, 140),
    n_values=st.integers(20, 300),
    dtype=st.sampled_from([np.float32, np.float64]),
    n_rows=st.integers(1, 80),
    n_threads=st.integers(1, 3),
    copies=st.booleans(),
    growing=st.sampled_from([0.0, 0.02, 0.5]),
    fill=st.sampled_from([None, 0.0]),
    room=st.sampled_from([np.inf, 0.0]),
    visits=st.sampled_from([0, 3, 90]),
    seed=st.integers(0, 2**31),
)
def test_the_bits_are_those_of_all_places(
    n: int,
    n_values: int,
    dtype: type,
    n_rows: int,
    n_threads: int,
    copies: bool,
    growing: float,
    fill: float | None,
    room: float,
    visits: int,
    seed: int,
) -> None:
    images, space = images_of(n, n_values, dtype, seed, growing), Places(n_values, copies)
    X = np.column_stack([np.ones(n), np.random.default_rng(seed).normal(size=n)])
    plan: Any = OLS.prepare(X, ("intercept", "age"))
    if visits:  # subject by subject, and chunks end with them
        plan = by_subject(n, visits, seed)

    def how(tally: ZeroTally) -> dict[str, Any]:
        order = reading_order(plan)
        keep = RowStore(n, n_values, np.dtype(dtype), memory_budget=room, order=order)
        batch_bytes = n_rows * n_values * np.dtype(dtype).itemsize
        return {"n_threads": n_threads, "fill": fill, "batch_bytes": batch_bytes, "tally": tally,
                "keep": keep}  # fmt: skip

    expected, found = how(ZeroTally(n_values)), how(ZeroTally(0))
    whole: Any = accumulate(images, space, plan, Reading(**expected))
    seen: Any
    seen, occupied = accumulate_occupied(images, space, plan, Reading(**found))  # type: ignore[arg-type]
    if growing == 0.0 and n_values > 100:
        assert occupied.n_places < n_values / 2
    if occupied.n_places < n_values:
        places = np.flatnonzero(occupied.mask)
        seen = seen.spread(places, n_values)
        found["keep"].spread(places, n_values, n)
        found["tally"].spread(places, n_values)
    # Two states are equal if their voxels are, in whatever order their factors were made.
    fits = [plan.finish(each, 1) for each in (whole, seen)]
    for name in ("beta", "mean", "n_observations", "residual_sd"):
        expected_bits, found_bits = (bits(np.asarray(getattr(fit, name))) for fit in fits)
        assert np.array_equal(expected_bits, found_bits), name
    if not visits:
        one, other = (each.state.__getstate__() for each in (whole, seen))
        for part in (0, 1, 2, 3, 7):
            assert np.array_equal(bits(np.asarray(one[part])), bits(np.asarray(other[part])))
    assert np.array_equal(expected["tally"].counts, found["tally"].counts)
    assert expected["tally"].all_whole == found["tally"].all_whole
    assert np.array_equal(bits(expected["keep"].array()), bits(found["keep"].array()))
    rows = np.stack([image.row for image in images])
    if fill is not None:
        rows = np.where(np.isnan(rows), rows.dtype.type(fill), rows)
    assert np.array_equal(bits(found["keep"].array()), bits(rows))  # in the order of the images


def by_subject(n: int, visits: int, seed: int) -> Any:
    """The plan of a model that must read subjects whole: of images in any order."""
    numbers = np.arange(n) // min(visits, n - 1)
    shuffled = np.random.default_rng(seed).permutation(numbers)
    return MeanOfSubjects(shuffled.tolist()).prepare(np.ones((n, 1)), ("one",))


def test_the_rows_of_an_image_are_in_one_batch() -> None:
    rows = OccupiedRows(
        images_of(70, 100, np.float32, 0, 0.0),  # type: ignore[arg-type]
        Places(100, copies=False),  # type: ignore[arg-type]
        Reading(n_threads=2, batch_bytes=7 * 100 * 4),
        beside=("variance",),
    )
    lengths = [len(batch) for _, batch in rows.batches()]
    assert sum(lengths) == 70
    assert max(lengths) == 6
    assert all(length % 2 == 0 for length in lengths)


def test_an_infinite_value_is_counted_and_named() -> None:
    images = images_of(20, 100, np.float32, 0, 0.0)
    images[17].row[[2, 40]] = np.inf
    plan = OLS.prepare(np.ones((20, 1)), ("intercept",))
    with pytest.raises(ImageError, match="an image: 2 infinite values"):
        accumulate_occupied(images, Places(100, copies=False), plan, Reading(n_threads=2))  # type: ignore[arg-type]


def test_blocks() -> None:
    row = np.zeros(100, np.float32)
    row[[20, 99]] = [-0.0, np.nan]
    occupied = Occupied.of(row)
    assert occupied.runs.tolist() == [[16, 16], [96, 4]]
    out = np.empty(20, np.float32)
    assert occupied.gather(row, out)
    assert np.array_equal(bits(occupied.spread(out)), bits(row))
    assert not occupied.gather(np.ones(100, np.float32), out)
    everything = occupied.with_values(np.repeat([1.0, 0.0], 50))
    assert everything.n_places == 100  # where half would be left out, nothing is
    assert occupied.within(everything).tolist() == [*range(16, 32), *range(96, 100)]


@pytest.mark.filterwarnings("ignore::groupglm.errors.ZeroValuesWarning")  # as it should be
@pytest.mark.parametrize("outside", [0.0, 5.0])
@pytest.mark.parametrize("first_is_empty", [False, True])
def test_a_mask_that_is_found_gives_what_it_gives_when_it_is_given(
    outside: float, first_is_empty: bool
) -> None:
    """The background is zero or another value; voxels that are zero in all images may be brain."""
    rng = np.random.default_rng(4)
    shape = (40, 30, 30)
    inside = np.zeros(shape, bool)
    inside[10:20, 8:14, 9:13] = True
    frame = np.ones(shape, bool)
    frame[:, 2:-2, 2:-2] = False  # most of what is near the faces, less than half of the box
    volumes = []
    for number in range(12):
        volume = np.where(frame, outside, 0.0).astype(np.float32)
        if number or not first_is_empty:
            volume[inside] = rng.normal(size=inside.sum())
        volumes.append(volume)
    images = [an_image(volume) for volume in volumes]
    X = pd.DataFrame({"intercept": 1.0, "age": rng.normal(size=12)})
    mask = inside if outside == 0.0 else ~frame
    mask_img = an_image(mask.astype(np.uint8))
    found, given_mask = (
        SecondLevelModel(mask_img=each, n_jobs=1).fit(images, design_matrix=X)
        for each in (None, mask_img)
    )
    assert np.array_equal(found.masker_.mask_img_.get_fdata() > 0, mask)
    for name in ("effect_size", "effect_variance", "stat"):
        maps = [model.compute_contrast("age", output_type=name) for model in (found, given_mask)]
        np.testing.assert_array_equal(*(each.get_fdata() for each in maps))
    assert np.array_equal(found.n_zeros_.get_fdata(), given_mask.n_zeros_.get_fdata())
    p_maps: list[Any] = [
        non_parametric_inference(
            images, design_matrix=X, second_level_contrast="age", mask=each, n_perm=20,
            random_state=1, n_jobs=1, verbose=0,
        )
        for each in (None, mask_img)
    ]  # fmt: skip
    np.testing.assert_array_equal(*(each.get_fdata() for each in p_maps))
