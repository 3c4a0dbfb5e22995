# SPDX-License-Identifier: BSD-3-Clause
"""The gate names an argument whatever its value: one without text, without end, or huge."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import (
    SecondLevelModel,
    make_second_level_design_matrix,
    permuted_ols,
    resample_img,
    smooth_img,
)
from groupglm.design.contrasts import contrast_matrix
from groupglm.errors import ArgumentError, shown
from groupglm.plotting import plot_glass_brain, plot_stat_map
from groupglm.report.options import ReportOptions, check_corrections, named_contrasts
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
        (WHOLE, 10**5000),
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


class _Unsteppable:
    def __iter__(self) -> Any:
        raise RuntimeError("no steps")

    def __len__(self) -> int:
        raise RuntimeError("no length")


def _brain(length: int = 4) -> Any:
    values = np.ones((length,) * 3, np.float32)
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("mode", ["ortho", "tiled", "mosaic", "z", "xz"])
@pytest.mark.parametrize(
    "cuts",
    [
        itertools.count(),
        {"x": itertools.count(), "y": itertools.count(), "z": itertools.count()},
        {"x": "q", "y": "q", "z": "q"},
        _Unsteppable(),
    ],
    ids=["endless", "endless axes", "text", "unsteppable"],
)
def test_places_to_cut_without_an_end_are_no_places(mode: str, cuts: Any) -> None:
    with pytest.raises(ArgumentError) as caught:
        plot_stat_map(_brain(), bg_img=None, display_mode=mode, cut_coords=cuts)
    assert caught.value.argument == "cut_coords"


@pytest.mark.parametrize("plot", [plot_stat_map, plot_glass_brain])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("display_mode", np.zeros(3)),
        ("display_mode", _Unshowable()),
        ("figure", 10**5000),
        ("cbar_tick_format", "%1000000000d"),
        ("cbar_tick_format", "%.1000000000f"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_plots_name_an_argument_whatever_its_value(
    plot: Callable[..., Any], name: str, value: Any
) -> None:
    with pytest.raises(ArgumentError, match=f"^{name} is ") as caught:
        plot(_brain(), bg_img=None, **{name: value})
    assert caught.value.argument == name


def test_a_glass_brain_is_no_more_than_opaque() -> None:
    for alpha in (-0.1, 1.5):
        with pytest.raises(ArgumentError, match=r"^alpha is .* must be from 0 to 1"):
            plot_glass_brain(_brain(), bg_img=None, alpha=alpha)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"target_affine": np.eye(3) * 1e-300}, "target_affine"),
        ({"target_affine": np.eye(4), "target_shape": (10**400, 1, 1)}, "target_shape"),
        ({"target_affine": np.eye(4), "target_shape": (10**5000, 1, 1)}, "target_shape"),
        ({"target_affine": np.eye(4), "target_shape": (1000, 1000, 1000)}, "target_shape"),
        ({"target_affine": np.eye(4), "target_shape": _Unsteppable()}, "target_shape"),
    ],
)
def test_a_grid_beyond_every_size_names_the_argument_it_comes_from(
    options: dict[str, Any], name: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        resample_img(_brain(), **options)
    assert caught.value.argument == name
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("contrast", [10**5000, _Unshowable()], ids=["huge", "unshowable"])
def test_a_contrast_that_cannot_be_shown_names_the_argument(contrast: Any) -> None:
    with pytest.raises(ArgumentError, match="a vector or a matrix of numbers"):
        contrast_matrix(contrast, ["intercept"])
    with pytest.raises(ArgumentError, match="a vector or a matrix of numbers") as caught:
        named_contrasts(contrast, ["intercept"])
    assert caught.value.argument == "contrasts"


def test_a_correction_that_is_no_text_is_none() -> None:
    given = dict.fromkeys(ReportOptions.__annotations__)
    given |= {"height_control": [[]], "alpha": 0.05, "two_sided": True}
    with pytest.raises(ArgumentError, match=r"^height_control is ") as caught:
        check_corrections(given)
    assert caught.value.argument == "height_control"


def test_an_array_without_axes_is_no_list() -> None:
    alone: Any = np.array(3)
    with pytest.raises(ArgumentError, match=r"imgs must be .* but is a ndarray"):
        smooth_img(alone, 4.0)
    with pytest.raises(ArgumentError, match=r"'subjects_label' must be a list .* is a ndarray"):
        make_second_level_design_matrix(alone)


@pytest.mark.parametrize("method", ["residuals", "predicted"])
def test_a_place_that_no_map_can_take_is_refused_by_name(method: str, tmp_path: Path) -> None:
    images = [_brain(2) for _ in range(4)]
    design = pd.DataFrame({"intercept": np.ones(4)})
    model = SecondLevelModel(mask_img=images[0], minimize_memory=False)
    model.fit(images, design_matrix=design)
    (tmp_path / "folder.nii").mkdir()
    for place in (tmp_path / "folder.nii", tmp_path / "map.txt"):
        with pytest.raises(ArgumentError) as caught:
            getattr(model, method)(out=place)
        assert caught.value.argument == "out"


def test_the_argument_of_transform_is_named_as_the_method_names_it() -> None:
    rng = np.random.default_rng(0)
    images: Any = [
        nib.Nifti1Image(rng.normal(size=(2, 2, 2)), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(4)
    ]
    design = pd.DataFrame({"intercept": np.ones(4)})
    model = SecondLevelModel(mask_img=_brain(2)).fit(images, design_matrix=design)
    with pytest.raises(ArgumentError, match=r"^'X' must be either") as caught:
        model.transform(3)
    assert caught.value.argument == "X"
    with pytest.raises(ArgumentError, match=r"^'X' must be .* item 1 of X must be a file"):
        SecondLevelModel().fit_transform([3, 4], design_matrix=design)
    with pytest.warns(UserWarning, match=r"^first_level_contrast=an object of type int has no"):
        model.compute_contrast([1], first_level_contrast=10**5000)
