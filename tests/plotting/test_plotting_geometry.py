# SPDX-License-Identifier: BSD-3-Clause
"""A voxel is drawn at its millimetres, on any grid and in every view: measured in the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from groupglm.plotting import plot_glass_brain, plot_stat_map
from groupglm.plotting.volume.panels import GLASS_MODES, SLICE_MODES, Panel
from groupglm.plotting.volume.volumes import IN_PLANE, Volume

SHAPE = (30, 36, 28)
VOXEL = (21, 8, 17)


def _affine(edges: tuple[float, float, float], degrees: float = 0.0, axis: int = 2) -> Any:
    """Return an affine of these edges (negative: flipped), turned about an axis of the world."""
    turn = np.eye(3)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [other for other in range(3) if other != axis]
    turn[first, first], turn[second, second] = c, c
    turn[first, second], turn[second, first] = -s, s
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(edges)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(SHAPE) / 2)  # the world's origin amid the grid
    return affine


_PERMUTED = np.array([[0, 0, 3.0, -40], [-3.0, 0, 0, 45], [0, 3.0, 0, -50], [0, 0, 0, 1]])

AFFINES = {
    "upright": _affine((3.0, 3.0, 3.0)),
    "flipped": _affine((-3.0, 3.0, -3.0)),
    "permuted": _PERMUTED,
    "anisotropic": _affine((2.0, 3.0, 6.5)),
    "oblique": _affine((3.0, 3.0, 3.0), 25.0),
    "oblique, flipped and anisotropic": _affine((-2.0, 3.0, 5.0), 35.0, axis=0),
}


@dataclass
class Planted:
    image: Any
    mask: Any
    place: NDArray[np.float64]
    reach: NDArray[np.float64]  # how far the voxel reaches from its centre along each world axis


@pytest.fixture(params=AFFINES, ids=str)
def planted(request: pytest.FixtureRequest) -> Planted:
    """Return a map that is zero but for one voxel, and a mask of the whole grid."""
    affine = AFFINES[request.param]
    values = np.zeros(SHAPE)
    values[VOXEL] = 9.0
    return Planted(
        nib.Nifti1Image(values, affine),  # type: ignore[no-untyped-call]
        nib.Nifti1Image(np.ones(SHAPE, np.uint8), affine),  # type: ignore[no-untyped-call]
        (affine @ [*VOXEL, 1])[:3],
        np.abs(affine[:3, :3]).sum(axis=1) / 2,
    )


def _coloured(figure: Any, ax: Axes) -> NDArray[np.float64]:
    """Return the places in mm, shape (n, 2), of the coloured pixels of a view."""
    figure.set_dpi(150)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels: Any = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    pixels = np.asarray(pixels)[..., :3].astype(int)
    rows, columns = np.nonzero(np.ptp(pixels, axis=-1) > 60)  # neither grey nor a letter
    places = np.column_stack([columns + 0.5, len(pixels) - rows - 0.5])
    box = ax.get_window_extent()
    inside = (places >= box.min).all(axis=1) & (places <= box.max).all(axis=1)
    found: NDArray[np.float64] = ax.transData.inverted().transform(places[inside])
    return found


def _check(found: NDArray[np.float64], view: str, planted: Planted, slack: float) -> None:
    """Compare the coloured pixels' extent with the voxel's.

    ``slack`` is the edge of a sample, in mm: a picture's edges are those of its samples. One more
    tenth of a millimetre is for the pixels of the screen (over 2.5 a millimetre at 150 dpi).
    """
    axes = list(IN_PLANE["x" if view in "lr" else view])
    low, high = found.min(axis=0), found.max(axis=0)
    place, reach = planted.place[axes], planted.reach[axes]
    assert (low >= place - reach - slack - 0.4).all(), (view, low, place)
    assert (high <= place + reach + slack + 0.4).all(), (view, high, place)
    # The voxel itself is covered: its centre lies between the coloured pixels.
    assert (low <= place + 0.4).all(), (view, low, place)
    assert (high >= place - 0.4).all(), (view, high, place)


@pytest.mark.parametrize("mode", SLICE_MODES)
def test_a_peak_is_drawn_at_its_place_in_slices(mode: str, planted: Planted) -> None:
    figure = plot_stat_map(
        planted.image, bg_img=None, mask_img=planted.mask, display_mode=mode, colorbar=False
    )
    views: dict[str, int] = {}
    for ax in figure.axes:
        axis, coordinate = str(ax.get_label()).split(" = ")
        found = _coloured(figure, ax)
        if len(found):
            views[axis] = views.get(axis, 0) + 1
            _check(found, axis, planted, slack=1.0)
            number = "xyz".index(axis)
            # A cut shows the voxel only where it passes through it; labels are whole mm.
            distance = abs(float(coordinate) - planted.place[number])
            assert distance <= planted.reach[number] + 0.5
    assert set(views) == set("xyz" if len(mode) > 2 else mode)


@pytest.mark.parametrize("mode", GLASS_MODES)
def test_a_peak_is_drawn_at_its_place_in_a_glass_brain(mode: str, planted: Planted) -> None:
    figure = plot_glass_brain(
        planted.image, bg_img=None, mask_img=planted.mask, display_mode=mode, colorbar=False
    )
    names = {"left": "l", "right": "r", "side": "x", "front": "y", "top": "z"}
    wanted = set("xyz" if mode == "ortho" else mode)
    hidden = {"l"} if planted.place[0] > 0 else {"r"}
    seen = set()
    for ax in figure.axes:
        view = names[str(ax.get_label())]
        found = _coloured(figure, ax)
        if len(found):
            seen.add(view)
            # Samples are half the smallest edge; of an oblique grid the box is drawn by samples.
            _check(found, view, planted, slack=1.6)
    assert seen == wanted - hidden


def test_the_left_hemisphere_looks_left_and_the_right_one_right() -> None:
    values = np.zeros(SHAPE)
    values[5, 30, 14], values[25, 30, 14] = 5.0, 5.0  # in front of the middle, one on each side
    image = nib.Nifti1Image(values, AFFINES["upright"])  # type: ignore[no-untyped-call]
    mask = nib.Nifti1Image(np.ones(SHAPE), AFFINES["upright"])  # type: ignore[no-untyped-call]
    figure = plot_glass_brain(image, bg_img=None, mask_img=mask, display_mode="lr", colorbar=False)
    sides = []
    for ax in figure.axes:
        found = ax.transData.transform(_coloured(figure, ax)).mean(axis=0)
        box = ax.get_window_extent()
        sides.append("left" if found[0] < (box.x0 + box.x1) / 2 else "right")
    assert sides == ["left", "right"]


def test_sides_are_named_after_the_world() -> None:
    values = np.zeros(SHAPE)
    values[3, 18, 14] = 5.0  # to the right in the world: the grid is flipped
    image = nib.Nifti1Image(values, AFFINES["flipped"])  # type: ignore[no-untyped-call]
    figure = plot_stat_map(image, bg_img=None, display_mode="z", cut_coords=[0.0], colorbar=False)
    ax = figure.axes[0]
    places = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert _coloured(figure, ax)[:, 0].mean() > 0
    assert places["L"] < 0.5 < places["R"]


@pytest.mark.parametrize("name", AFFINES)
def test_looking_up_a_plane_is_looking_up_each_of_its_places(name: str) -> None:
    rng = np.random.default_rng(0)
    volume = Volume(rng.standard_normal(SHAPE), AFFINES[name])
    bounds = volume.bounds()
    inverse = np.linalg.inv(AFFINES[name])
    for axis, (first, second) in IN_PLANE.items():
        picture, extent = volume.plane(axis, 7.3, bounds)
        n_v, n_u = picture.shape
        us = extent[0] + (np.arange(n_u) + 0.5) * (extent[1] - extent[0]) / n_u
        vs = extent[2] + (np.arange(n_v) + 0.5) * (extent[3] - extent[2]) / n_v
        for row, column in rng.integers(0, [n_v, n_u], (200, 2)):
            place = np.full(4, 7.3)
            place[first], place[second], place[3] = us[column], vs[row], 1.0
            exact = (inverse @ place)[:3]
            if np.abs(exact - np.floor(exact) - 0.5).min() < 1e-6:
                continue  # between two voxels: either is right
            voxel = np.round(exact).astype(int)
            inside = (voxel >= 0).all() and (voxel < SHAPE).all()
            assert picture[row, column] == (volume.data[tuple(voxel)] if inside else 0)


@pytest.mark.parametrize("name", AFFINES)
def test_no_voxel_is_lost_in_a_glass_brain(name: str) -> None:
    rng = np.random.default_rng(1)
    values = np.zeros(SHAPE)
    voxels = rng.integers(0, SHAPE, (40, 3))
    values[tuple(voxels.T)] = np.arange(1.0, 41.0)
    volume = Volume(values, AFFINES[name])
    coarse = volume.upright(volume.bounds(), 2.0)
    assert set(np.unique(values)) <= set(np.unique(coarse.data))
    # A view of samples coarser than the voxels keeps the largest of each sample.
    assert volume.upright(volume.bounds(), 15.0).data.max() == 40.0


def test_bounds_hold_the_voxels_that_are_not_zero() -> None:
    values = np.zeros(SHAPE)
    values[4:9, 10:12, 3] = 1.0
    bounds = Volume(values, AFFINES["flipped"]).bounds()
    corners = AFFINES["flipped"] @ np.array([[3.5, 9.5, 2.5, 1], [8.5, 11.5, 3.5, 1]]).T
    np.testing.assert_allclose(bounds.low, corners[:3].min(axis=1))
    np.testing.assert_allclose(bounds.high, corners[:3].max(axis=1))


def test_a_cut_beside_zero_has_no_minus_sign() -> None:
    assert [Panel("x", mm).label for mm in (-0.4, 0.0, 0.4, -0.6)] == [
        "x = 0", "x = 0", "x = 0", "x = -1",
    ]  # fmt: skip


def test_a_title_ends_within_a_narrow_figure() -> None:
    """Of one slice: the letters of a long title are smaller than those of a short one."""
    affine = np.diag([20.0, 20.0, 20.0, 1.0])
    image = nib.Nifti1Image(np.ones((6, 7, 5), np.float32), affine)  # type: ignore[no-untyped-call]
    sizes = []
    for title in ("t", "change\nof all groups", "patients before the treatment, and controls"):
        figure: Any = plot_stat_map(
            image, bg_img=None, display_mode="z", cut_coords=[0.0], title=title
        )
        written = next(text for text in figure.texts if text.get_text() == title)
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        box = written.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1, title
        sizes.append(written.get_fontsize())
    assert sizes[0] == sizes[1] > sizes[2] > 6
