# SPDX-License-Identifier: BSD-3-Clause
"""Plots of maps take nilearn's arguments, draw its values at its places, and can be drawn on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nilearn.plotting
import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm import plotting
from groupglm.plotting.limits import Limits
from reference.smooth_map import AFFINE, MAP, PLACES, SHAPE, VALUES, image

PLOTS = ("plot_stat_map", "plot_glass_brain")


def _at(ax: Any, places: Any) -> Any:
    """Return the values of a map at places in mm of its axes, NaN where nothing is drawn."""
    picture = next(one for one in ax.images if one.get_zorder() == 2)  # the brain is behind
    values = np.ma.filled(np.ma.asarray(picture.get_array(), dtype=np.float64), np.nan)
    left, right, bottom, top = picture.get_extent()
    n_v, n_u = values.shape
    u = np.floor((places[:, 0] - left) / (right - left) * n_u).astype(int)
    v = np.floor((places[:, 1] - bottom) / (top - bottom) * n_v).astype(int)
    inside = (u >= 0) & (u < n_u) & (v >= 0) & (v < n_v)
    found: NDArray[Any] = np.full(len(places), np.nan)
    found[inside] = values[v[inside], u[inside]]
    return found


def _centres(axis: str) -> NDArray[Any]:
    """Return the centres of voxels, in mm, in a plane perpendicular to an axis."""
    first, second = [number for number in range(3) if number != "xyz".index(axis)]
    grid = np.indices((SHAPE[first], SHAPE[second])).reshape(2, -1).T
    places: NDArray[Any] = grid * 4.0 + AFFINE[[first, second], 3]
    return places


@pytest.mark.parametrize("threshold", [1e-6, 2.5, "95%", "auto"])
@pytest.mark.parametrize("mode", ["ortho", "tiled", "xz", "yx", "yz"])
def test_slices_show_the_values_of_nilearn(mode: str, threshold: Any) -> None:
    """At the centre of each voxel, where neither package can be between two."""
    planes = "xyz" if mode in ("ortho", "tiled") else "".join(sorted(mode))
    cuts = [PLACES["xyz".index(plane)] for plane in planes]
    options = {"bg_img": None, "display_mode": mode, "cut_coords": cuts, "threshold": threshold}
    ours = plotting.plot_stat_map(MAP, **options)
    theirs = nilearn.plotting.plot_stat_map(MAP, **options)
    assert tuple(ours.cut_coords) == tuple(theirs.cut_coords)
    for plane in planes:
        assert ours.axes[plane].coord == theirs.axes[plane].coord
        places = _centres(plane)
        # Their picture has a pixel for each voxel, squeezed between the outermost centres.
        pixels = np.ma.filled(theirs.axes[plane].ax.images[-1].get_array(), np.nan)
        wanted = np.rot90(pixels, -1).ravel()
        found = _at(ours.axes[plane].ax, places)
        np.testing.assert_array_equal(found, wanted)
        assert np.isnan(found).any() == (threshold != 1e-6)


@pytest.mark.parametrize("plot_abs", [True, False])
@pytest.mark.parametrize("mode", ["ortho", "lyrz"])
def test_a_glass_brain_has_the_largest_sizes_of_nilearn(mode: str, plot_abs: bool) -> None:
    ours = plotting.plot_glass_brain(MAP, display_mode=mode, threshold=2.5, plot_abs=plot_abs)
    values = np.abs(VALUES) if plot_abs else VALUES
    for view in ours.axes.values():
        number = "xyz".index(view.panel.axis)
        x = AFFINE[0, 3] + 4.0 * np.arange(SHAPE[0])
        keep = {"l": x <= 0, "r": x >= 0}.get(view.direction, np.ones(SHAPE[0], bool))
        shown = np.where(keep[:, None, None], values, 0).astype(np.float32)
        strongest = np.take_along_axis(
            shown, np.abs(shown).argmax(axis=number, keepdims=True), number
        ).squeeze(number)
        wanted = np.where(np.abs(strongest) > 2.5, strongest, np.nan).ravel()
        np.testing.assert_array_equal(_at(view.ax, _centres(view.panel.axis)), wanted)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vmax": 6.0},
        {"vmin": -3.0},
        {"vmin": 0.0, "vmax": 6.0},
        {"vmin": -6.0, "vmax": 6.0},
        {"symmetric_cbar": False},
        {"symmetric_cbar": False, "vmax": 5.0},
        {"symmetric_cbar": True},
        {"symmetric_cbar": True, "vmax": 6.0},
        {"symmetric_cbar": True, "vmin": -6.0},
    ],
)
@pytest.mark.parametrize("sign", ["both", "positive", "negative"])
def test_the_bar_goes_from_and_to_where_nilearn_s_does(sign: str, options: Any) -> None:
    from nilearn.plotting._utils import get_colorbar_and_data_ranges

    values = {"both": VALUES, "positive": np.abs(VALUES), "negative": -np.abs(VALUES)}[sign]
    if sign == "negative" and options in ({"vmax": 6.0}, {"symmetric_cbar": False, "vmax": 5.0}):
        options = {**options, "vmax": -1.0}
    values = np.where(np.abs(values) > 1, values, 0)
    theirs = get_colorbar_and_data_ranges(values, **{"symmetric_cbar": "auto", **options})
    low = theirs[2] if theirs[0] is None else theirs[0]
    high = theirs[3] if theirs[1] is None else theirs[1]
    asked = {"vmin": None, "vmax": None, "symmetric_cbar": "auto", **options}
    found = Limits.of(values, asked["vmin"], asked["vmax"], asked["symmetric_cbar"])
    assert [found.low, found.high] == pytest.approx([low, high])


def test_limits_that_are_not_symmetric_are_made_so_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="do not create a symmetric colorbar"):
        display = plotting.plot_stat_map(MAP, None, vmin=-2, vmax=6, symmetric_cbar=True)
    assert display.axes[-1].get_xlim() == (-6.0, 6.0)
    with pytest.warns(UserWarning, match="NaN is not permitted for the vmax and vmin arguments"):
        plotting.plot_stat_map(MAP, None, vmax=np.nan)


def test_negative_values_below_a_vmin_of_zero_are_not_drawn() -> None:
    display = plotting.plot_stat_map(MAP, None, PLACES, vmin=0, vmax=6, threshold=2.0)
    for plane in "xyz":
        found = _at(display.axes[plane].ax, _centres(plane))
        assert np.nanmin(found) > 2.0


def test_percentages_and_auto_are_those_of_nilearn() -> None:
    from nilearn._utils.extmath import fast_abs_percentile

    from groupglm.plotting.limits import size_of_threshold

    sparse = np.where(VALUES > 3, VALUES, 0)
    for values in (VALUES, sparse):
        assert size_of_threshold("93.5%", values) == fast_abs_percentile(values, 93.5)
        auto = float(fast_abs_percentile(values)) - 1e-5
        assert size_of_threshold("auto", values) == max(auto, 0)
    assert size_of_threshold("100%", VALUES) == np.abs(VALUES).max()
    for wrong in ("95", "x%", "101%", "-3%", "nan%"):
        with pytest.raises(ValueError, match="it should be a number followed by the percent sign"):
            plotting.plot_stat_map(MAP, None, threshold=wrong)


@pytest.mark.parametrize("name", PLOTS)
def test_an_infinite_threshold_leaves_the_brain_alone(name: str) -> None:
    with pytest.warns(UserWarning, match="threshold is infinite"):
        display = getattr(plotting, name)(MAP, threshold=np.inf)
    for view in display.axes.values():
        pictures = [one for one in view.ax.images if one.get_zorder() == 2]
        assert all(np.ma.getmaskarray(one.get_array()).all() for one in pictures)


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_stays_within_the_axes_or_the_figure_that_are_given(name: str) -> None:
    plot = getattr(plotting, name)
    figure, axes = plt.subplots(2, 2, figsize=(7, 6))
    displays = [plot(MAP, axes=ax, title="a", figure=figure) for ax in axes.ravel()]
    plt.tight_layout()
    figure.canvas.draw()
    for display, ax in zip(displays, axes.ravel(), strict=True):
        assert display.figure is figure
        assert display.frame_axes is ax
        outer = ax.get_position()
        for one in display.axes:
            box = one.get_position()
            assert outer.x0 - 1e-9 <= box.x0 < box.x1 <= outer.x1 + 1e-9
            assert outer.y0 - 1e-9 <= box.y0 < box.y1 <= outer.y1 + 1e-9
    plot(MAP, figure=figure, axes=(0.1, 0.2, 0.3, 0.4), black_bg=True)
    plot(MAP, figure=figure.number)
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="The axes passed are not in the figure"):
        plot(MAP, axes=axes[0, 0], figure=plt.figure())
    for wrong in ("full", (1, 2), (0, 0, 0, 1), np.nan):
        with pytest.raises(ValueError, match=r"axes is .*a matplotlib Axes, or"):
            plot(MAP, axes=wrong)
    with pytest.raises(TypeError, match="figure is a str; 'figure' must be a matplotlib"):
        plot(MAP, figure="1")


def test_views_are_found_by_name_and_axes_by_number() -> None:
    display = plotting.plot_stat_map(MAP, None, PLACES)
    assert [ax.get_label() for ax in display.axes[:3]] == ["y = 16", "x = -20", "z = 12"]
    assert list(display.axes.keys()) == ["y", "x", "z"]
    assert "x" in display.axes
    assert "w" not in display.axes
    assert display.axes[1] in display.axes
    assert display.axes["x"].ax is display.axes[1]
    around = display.frame_axes
    assert around.get_position().bounds == (0.0, 0.0, 1.0, 1.0)
    assert display.frame_axes is around


def test_radiologists_see_the_right_on_the_left() -> None:
    display = plotting.plot_stat_map(MAP, None, PLACES, radiological=True)
    for plane in "yz":
        ax = display.axes[plane].ax
        assert ax.get_xlim()[0] > ax.get_xlim()[1]
        sides = {text.get_text(): text.get_position()[0] for text in ax.texts}
        assert sides["R"] < 0.5 < sides["L"]
    assert display.axes["x"].ax.get_xlim()[0] < display.axes["x"].ax.get_xlim()[1]


@pytest.mark.parametrize(
    ("mode", "cuts", "wanted"),
    [
        ("z", 3, 3),
        ("x", None, 7),
        ("y", [8, 0, 8], [8.0, 0.0]),
        ("mosaic", 2, {"x": 2, "y": 2, "z": 2}),
        ("mosaic", None, {"x": 7, "y": 7, "z": 7}),
        ("mosaic", (1, 2, 3), {"x": 1, "y": 2, "z": 3}),
        ("mosaic", {"x": [0, 4], "y": [8], "z": [-4, 0, 4]}, {"x": 2, "y": 1, "z": 3}),
    ],
)
@pytest.mark.filterwarnings("ignore:Dropping duplicates cuts from")
def test_cuts_are_as_many_and_where_it_is_said(mode: str, cuts: Any, wanted: Any) -> None:
    display = plotting.plot_stat_map(MAP, None, cuts, display_mode=mode)
    found = display.cut_coords
    if mode == "mosaic":
        assert {axis: len(places) for axis, places in found.items()} == wanted
        assert set(display.axes.keys()) == {(a, place) for a in "xyz" for place in found[a]}
    else:
        assert found == wanted if isinstance(wanted, list) else len(found) == wanted
        assert list(display.axes.keys()) == found


def test_cuts_outside_the_image_are_refused_or_said() -> None:
    with pytest.raises(ValueError, match="out of the bounds of the image: z = 500"):
        plotting.plot_stat_map(MAP, None, [500], display_mode="z")
    with pytest.warns(UserWarning, match="seem to be out of the image bounds"):
        plotting.plot_stat_map(MAP, None, [500, 0], display_mode="z")
    with pytest.warns(UserWarning, match="Dropping duplicates cuts from"):
        plotting.plot_stat_map(MAP, None, [4, 4], display_mode="z")
    for mode, cuts in (("ortho", 2), ("tiled", (2, 2)), ("mosaic", (2, 2)), ("xz", 5)):
        with pytest.raises(ValueError, match="cut_coords passed does not match the display mode"):
            plotting.plot_stat_map(MAP, None, cuts, display_mode=mode)


def test_an_image_says_how_opaque_each_place_is() -> None:
    display = plotting.plot_stat_map(
        MAP, None, PLACES, transparency=image(VALUES), transparency_range=[1, 5]
    )
    for plane in "xyz":
        picture = next(one for one in display.axes[plane].ax.images if one.get_zorder() == 2)
        values = np.abs(np.ma.filled(picture.get_array(), 0.0))
        np.testing.assert_allclose(picture.get_alpha(), np.clip((values - 1) / 4, 0, 1), atol=1e-6)
    half = plotting.plot_stat_map(MAP, None, PLACES, transparency=0.5)
    assert half.axes["x"].ax.images[0].get_alpha() == 0.5
    with pytest.warns(UserWarning, match="'transparency' must be in the interval"):
        plotting.plot_glass_brain(MAP, transparency=3)
    with pytest.raises(ValueError, match="list or tuple of 2 non-negative numbers"):
        plotting.plot_stat_map(MAP, transparency=MAP, transparency_range=[3, 1])
    with pytest.raises(ValueError, match="it needs a transparency that is an image"):
        plotting.plot_stat_map(MAP, transparency=0.5, transparency_range=[1, 3])
    with pytest.raises(TypeError, match="a glass brain has no single place"):
        plotting.plot_glass_brain(MAP, transparency=MAP)


def test_the_ground_is_as_dark_as_the_picture_or_as_it_is_said() -> None:
    head = np.zeros(SHAPE)
    head[4:-4, 4:-4, 4:-4] = 100.0
    assert plotting.plot_stat_map(MAP, image(head)).black_bg
    assert not plotting.plot_stat_map(MAP, image(100.0 - head)).black_bg
    assert not plotting.plot_stat_map(MAP).black_bg
    dark: Any = plotting.plot_stat_map(MAP, black_bg=True)
    assert dark.get_facecolor()[:3] == (0.0, 0.0, 0.0)
    dimmed = plotting.plot_stat_map(MAP, image(head), PLACES, dim=1, black_bg=True)
    brain = next(one for one in dimmed.axes["x"].ax.images if one.get_zorder() == 1)
    assert brain.get_clim() == (0.0, 1.5)  # the middle and 1 + dim of half the range
    with pytest.raises(ValueError, match="dim' needs to be a float"):
        plotting.plot_stat_map(MAP, dim="-10")


def test_what_has_no_meaning_says_so() -> None:
    with pytest.warns(UserWarning, match="cut_coords has no effect: a glass brain is not cut"):
        plotting.plot_glass_brain(MAP, cut_coords=[0])
    with pytest.warns(UserWarning, match="vmin is negative but plot_abs is True"):
        plotting.plot_glass_brain(MAP, vmin=-2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'alpah'"):
        plotting.plot_stat_map(MAP, alpah=1)  # type: ignore[call-arg]
    with pytest.raises(
        ValueError, match="cbar_tick_format is '%s%s'; 'cbar_tick_format' must be a format"
    ):
        plotting.plot_stat_map(MAP, cbar_tick_format="%s%s")


def test_numbers_of_the_bar_are_written_as_it_is_said() -> None:
    display: Any = plotting.plot_stat_map(MAP, None, cbar_tick_format="%.3f")
    display.canvas.draw()
    labels = [tick.get_text() for tick in display.axes[-1].get_xticklabels()]
    assert all(len(label.split(".")[1]) == 3 for label in labels)


@pytest.mark.parametrize("name", PLOTS)
def test_what_is_refused_leaves_no_figure(name: str, tmp_path: Path) -> None:
    plot = getattr(plotting, name)
    for wrong in (
        {"threshold": -1},
        {"cmap": "nothing"},
        {"display_mode": "w"},
        {"output_file": tmp_path / "a.docx"},
        {"vmax": 1.0, "threshold": 3.0},
        {"title": 3},
    ):
        with pytest.raises((TypeError, ValueError)):
            plot(MAP, **wrong)
    assert plt.get_fignums() == []
    assert not list(tmp_path.iterdir())
