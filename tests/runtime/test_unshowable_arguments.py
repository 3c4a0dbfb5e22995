# SPDX-License-Identifier: BSD-3-Clause
"""The gate names an argument whatever its value: one without text, without end, or huge."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from groupglm import permuted_ols, resample_img
from groupglm.errors import ArgumentError, shown
from groupglm.runtime.arguments import (
    check_choice,
    check_truth,
    real_array,
    real_number,
    whole_number,
)
from groupglm.runtime.paths import given_path
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.smoothing import sigma_voxels


class _Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __array__(self, *_: object, **__: object) -> Any:
        raise RuntimeError("no array")


class _UnshowableNumber(int):
    __repr__ = _Unshowable.__repr__
    __str__ = _Unshowable.__repr__

    def __lt__(self, other: object) -> bool:
        raise RuntimeError("no order")


TRUTH, CHOICE = check_truth, partial(check_choice, choices=("omit", None))
WHOLE, NUMBER = partial(whole_number, least=2), real_number
LONG = ["a long list"] * 100_000


@pytest.mark.parametrize(
    ("gate", "value"),
    [
        *itertools.product((TRUTH, CHOICE, WHOLE, NUMBER), (_Unshowable(), LONG, "x" * 10**6)),
        *itertools.product((TRUTH, CHOICE, NUMBER), (10**5000, Fraction(-(10**5000), 3))),
        (WHOLE, -(10**5000)),
        (WHOLE, _UnshowableNumber(-3)),
        (real_array, _Unshowable()),
    ],
    ids=lambda given: type(given).__name__,  # pytest cannot show these numbers either
)
def test_a_value_that_cannot_be_shown_does_not_hide_its_argument(
    gate: Callable[[str, Any], Any], value: Any
) -> None:
    with pytest.raises(ArgumentError, match=r"^n_perm is ") as caught:
        gate("n_perm", value)
    assert caught.value.argument == "n_perm"
    assert len(str(caught.value)) < 400


def test_a_value_is_shown_at_no_length() -> None:
    assert shown("omitt") == "'omitt'"
    assert len(shown(LONG)) < 210
    assert shown(_Unshowable()) == "an object of type _Unshowable"


@pytest.mark.parametrize("width", [10**400, [2, 10**400, 2]])
def test_a_width_beyond_double_is_no_width(width: Any) -> None:
    with pytest.raises(ArgumentError, match="must be a finite number of mm"):
        sigma_voxels(Grid((4, 4, 4), np.eye(4)), width)


def test_a_shape_without_an_end_is_no_shape() -> None:
    image: Any = nib.Nifti1Image(np.ones((4, 4, 4)), np.eye(4))  # type: ignore[no-untyped-call]
    endless: Any = itertools.repeat(4)
    with pytest.raises(ArgumentError, match="target_shape"):
        resample_img(image, np.eye(4), endless)


def test_half_of_a_character_names_no_file() -> None:
    with pytest.raises(ArgumentError, match=r"^resume is .*half of a character"):
        given_path("resume", "state\ud800.npz")
    # Bytes of a name that are not UTF-8 are such halves too, in Python's own way.
    assert given_path("resume", "state\udcff.npz").name == "state\udcff.npz"


@pytest.mark.parametrize("name", ["exchangeability_blocks", "variance_groups"])
@pytest.mark.parametrize(
    "labels", [[[1, 2], [3]], np.zeros(6, [("a", "f8")])], ids=["ragged", "two"]
)
def test_labels_that_are_no_list_name_the_argument(name: str, labels: Any) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match=f"^{name} "):
        permuted_ols(np.arange(6.0), rng.normal(size=(6, 4)), n_perm=5, **{name: labels})
