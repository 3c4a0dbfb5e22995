# SPDX-License-Identifier: BSD-3-Clause
"""Sheets of several maps: one scale; outlines, peaks and overlays are where the values are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba

from groupglm.errors import ArgumentError
from groupglm.plotting.sheet.asked import OVERLAY_COLOURS, Asked, Outline, Peaks
from groupglm.plotting.sheet.drawing import check_sheet, draw_sheet
from groupglm.plotting.sheet.saving import save_sheet
from reference.meshes import folded, metric_image, write_surface

nib: Any = nibabel

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def _map(
    folder: Path, name: str, places: dict[tuple[int, int, int], float], kind: str = "z"
) -> Path:
    values = np.zeros((12, 12, 12), np.float32)
    for place, value in places.items():
        values[place] = value
    path = folder / f"{name}_stat-{kind}_statmap.nii.gz"
    nib.save(nib.Nifti1Image(values, AFFINE), path)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two maps of z that share one voxel, (5, 5, 5)."""
    first = _map(tmp_path, "first", {(5, 5, 5): 4.0, (7, 5, 5): -6.0, (2, 5, 5): 1.0})
    second = _map(tmp_path, "second", {(5, 5, 5): 5.0, (9, 5, 5): 8.0})
    return first, second


def _asked(*maps: Path, **options: Any) -> Asked:
    names = tuple(path.name.split("_")[0] for path in maps)
    given = {"display_mode": "z", "cut_coords": (20.0,), **options}
    return check_sheet(Asked(maps, names, **given))


def _of_overlay(view: Any) -> Any:
    """Return the picture of an overlay."""
    return next(one for one in view.images if one.get_cmap().name == "groupglm_overlay")


def _views(figure: Any) -> list[Any]:
    return [ax for ax in figure.axes if ax.get_label().startswith("z =")]


def _colour_at(ax: Any, x: float, y: float) -> Any:
    """Return the colour of the map at a place in mm; None where it is transparent."""
    image = ax.images[-1]
    left, right, bottom, top = image.get_extent()
    data = image.get_array()
    row = int((y - bottom) / (top - bottom) * data.shape[0])
    column = int((x - left) / (right - left) * data.shape[1])
    if np.ma.getmaskarray(data)[row, column]:
        return None
    return tuple(np.round(image.cmap(image.norm(data[row, column])), 4))


def test_all_maps_have_one_scale(pair: tuple[Path, Path]) -> None:
    figure = draw_sheet(_asked(*pair, threshold=2.0))
    first, second = _views(figure)
    ends = {(ax.images[-1].norm.vmin, ax.images[-1].norm.vmax) for ax in (first, second)}
    assert ends == {(-8.0, 8.0)}  # the largest size of both
    assert _colour_at(first, 8, 20) is None  # 1 is not beyond 2
    assert _colour_at(first, 20, 20) is not None
    assert _colour_at(second, 28, 20) is None
    assert _colour_at(second, 36, 20) != _colour_at(second, 20, 20)
    words = [text.get_text() for text in figure.texts]
    assert words == ["first", "second"]


def test_a_percentage_is_one_threshold_for_all_maps(pair: tuple[Path, Path]) -> None:
    # Of 2 x 1728 values, the five largest sizes are 8, 6, 5, 4, 1; 99.9 % are under the fourth.
    figure = draw_sheet(_asked(*pair, threshold="99.9%"))
    first, second = _views(figure)
    assert _colour_at(first, 20, 20) is None  # 4, not beyond 4
    assert _colour_at(first, 28, 20) is not None
    assert _colour_at(second, 20, 20) is not None


def test_a_map_of_which_nothing_is_drawn_is_told(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="^first: no value is beyond the threshold") as told:
        draw_sheet(_asked(*pair, threshold=7.0))  # the second reaches 8
    assert len(told) == 1
    surfaces, first, _ = _surfaces(tmp_path)
    asked = Asked(({"left": first},), ("low",), "surface", 5.0, surfaces=surfaces)
    with pytest.warns(UserWarning, match="low: no value is beyond the threshold"):
        draw_sheet(check_sheet(asked))


def test_an_overlay_has_one_colour_for_each_map_and_one_for_both(pair: tuple[Path, Path]) -> None:
    for picture in ("slices", "glass"):
        cuts = (20.0,) if picture == "slices" else None
        asked = _asked(*pair, threshold=2.0, overlay=True, picture=picture, cut_coords=cuts)
        figure = draw_sheet(asked)
        (view,) = [ax for ax in figure.axes if ax.get_label() in ("z = 20", "top")]
        image = _of_overlay(view)
        data = image.get_array()
        left, right, bottom, top = image.get_extent()
        found = []
        for x in (28, 36, 20):
            row = int((20 - bottom) / (top - bottom) * data.shape[0])
            column = int((x - left) / (right - left) * data.shape[1])
            found.append(image.cmap(image.norm(data[row, column])))
        assert found == [to_rgba(colour) for colour in OVERLAY_COLOURS]
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert texts[:2] == ["first", "second"]
        assert figure.legends[0].get_title().get_text() == "|z| > 2"  # of either sign
        assert ("line of sight" in texts[2]) == (picture == "glass")


def test_maps_under_each_other_in_a_glass_brain_are_both(tmp_path: Path) -> None:
    low = _map(tmp_path, "low", {(5, 5, 2): 4.0})
    high = _map(tmp_path, "high", {(5, 5, 9): 4.0})
    figure = draw_sheet(_asked(low, high, overlay=True, picture="glass", cut_coords=None))
    (view,) = [ax for ax in figure.axes if ax.get_label() == "top"]
    image = _of_overlay(view)
    codes = np.unique(np.ma.compressed(image.get_array()))
    np.testing.assert_array_equal(codes, [3])


def test_an_outline_follows_the_edges_of_voxels(pair: tuple[Path, Path], tmp_path: Path) -> None:
    mask = _map(tmp_path, "mask", {(4, 4, 5): 1.0, (5, 4, 5): 1.0})
    figure = draw_sheet(_asked(pair[0], outlines=(Outline(mask, "_mask $x$"),)))
    (view,) = _views(figure)
    lines = [one for one in view.collections if not isinstance(one, PathCollection)]
    points = np.concatenate([path.vertices for path in lines[-1].get_paths() if len(path.vertices)])
    # Voxels 4 and 5 of 4 mm: from 14 to 22, and 14 to 18, within half a sample of 1 mm.
    np.testing.assert_allclose(points.min(axis=0), [14, 14], atol=0.51)
    np.testing.assert_allclose(points.max(axis=0), [22, 18], atol=0.51)
    (text,) = figure.legends[0].get_texts()
    assert text.get_text().strip("\u200a") == r"_mask \$x\$"  # drawn as it is written
    whole = draw_sheet(_asked(pair[0], outlines=(Outline(mask, "m"),), outline_threshold=1.0))
    assert len(_views(whole)[0].collections) == len(view.collections) - 1  # nothing beyond 1


def _peaks(**columns: Any) -> Peaks:
    table = pd.DataFrame({"Cluster ID": ["1", "1a"], "X": [20, 36], "Y": [20, 20], **columns})
    return Peaks.of_table(table, "the table")


def test_a_slice_marks_the_peaks_near_it(pair: tuple[Path, Path]) -> None:
    figure = draw_sheet(_asked(pair[0], peaks=_peaks(Z=[21.9, 22.1])))
    (view,) = _views(figure)
    rings = [one for one in view.collections if isinstance(one, PathCollection)]
    np.testing.assert_array_equal(rings[-1].get_offsets(), [[20, 20]])
    assert [text.get_text() for text in view.texts if text.get_gid() is None] == ["1"]


def test_cuts_go_through_the_peaks(pair: tuple[Path, Path]) -> None:
    peaks = _peaks(Z=[8, 32])
    across = draw_sheet(_asked(pair[0], peaks=peaks, cut_coords=None))
    assert [ax.get_label() for ax in _views(across)] == ["z = 8", "z = 32"]
    ortho = draw_sheet(_asked(pair[0], peaks=peaks, cut_coords=None, display_mode="ortho"))
    labels = [ax.get_label() for ax in ortho.axes[:3]]
    assert labels == ["y = 20", "x = 20", "z = 8"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"X": [1], "Y": [2]}, "has no column Z"),
        ({"X": ["a"], "Y": [2], "Z": [3]}, "has other entries than numbers"),
        ({"X": [np.nan], "Y": [2], "Z": [3]}, "without a place in mm"),
    ],
)
def test_a_table_without_places_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Peaks.of_table(pd.DataFrame(table), "the table")


def test_what_cannot_be_drawn_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    z, _ = pair
    of_t = _map(tmp_path, "other", {(5, 5, 5): 4.0}, "t")
    with pytest.raises(ArgumentError, match="different kinds of values: z, t"):
        draw_sheet(_asked(z, of_t))
    with pytest.raises(ArgumentError, match="1 given"):
        _asked(z, overlay=True)
    with pytest.raises(ArgumentError, match="not cut"):
        _asked(z, picture="glass")
    with pytest.raises(ArgumentError, match="a mosaic chooses its cuts"):
        _asked(z, display_mode="mosaic")
    with pytest.raises(ArgumentError, match="is of voxels, and surfaces are to be drawn"):
        _asked(z, picture="surface", cut_coords=None)
    with pytest.raises(ArgumentError, match="at most 4"):
        _asked(z, outlines=(Outline(z, "z"),) * 5)
    with pytest.raises(ArgumentError, match="million pixels"):
        draw_sheet(_asked(z, dpi=6000.0))
    shifted = tmp_path / "shifted_stat-z_statmap.nii.gz"
    image = nib.load(z)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.diag([3.0, 3, 3, 1])), shifted)
    with pytest.raises(ArgumentError, match="on different grids"):
        draw_sheet(_asked(z, shifted, overlay=True))


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_a_file_has_the_same_bytes_each_time(
    pair: tuple[Path, Path], tmp_path: Path, ending: str
) -> None:
    title = '--><script>alert("$x$")</script>\x1b'
    for name in ("one", "two"):
        save_sheet(draw_sheet(_asked(*pair, title=title)), tmp_path / f"{name}{ending}")
    one, two = ((tmp_path / f"{name}{ending}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b"<script" not in one


def _surfaces(folder: Path) -> tuple[dict[str, Path], Path, Path]:
    points, faces = folded(3)
    mesh = write_surface(folder / "hemi-L_midthickness.surf.gii", points, faces, side="left")
    values = np.where(points[:, 2] > 20, 4.0, 0.5)
    for name, own in (("first", values), ("mask", (points[:, 2] > 0).astype(float))):
        path = folder / f"hemi-L_{name}_stat-z_statmap.func.gii"
        metric_image(own).to_filename(path)
    return {"left": mesh}, folder / "hemi-L_first_stat-z_statmap.func.gii", path


def test_a_surface_has_outlines_and_the_peaks_that_a_view_shows(tmp_path: Path) -> None:
    surfaces, first, mask = _surfaces(tmp_path)
    points, _ = folded(3)
    left_most, right_most = int(points[:, 0].argmin()), int(points[:, 0].argmax())
    table = pd.DataFrame(
        {
            "Cluster ID": ["1", "2"], "Structure": ["left", "CORTEX_LEFT"],
            "Vertex": [left_most, right_most], "X": [0.0, 0], "Y": [0.0, 0], "Z": [0.0, 0],
        }
    )  # fmt: skip
    asked = Asked(
        ({"left": first},), ("first",), "surface", 2.0, surfaces=surfaces, dpi=60.0,
        outlines=(Outline({"left": mask}, "mask"),), peaks=Peaks.of_table(table, "the table"),
    )  # fmt: skip
    lateral, medial = cast("Any", draw_sheet(check_sheet(asked)).axes[:2])
    for view, vertex in ((lateral, left_most), (medial, right_most)):
        (ring,) = [one for one in view.collections if isinstance(one, PathCollection)]
        # The axes are in the world's mm: y across, z up.
        offsets: Any = ring.get_offsets()
        np.testing.assert_allclose(offsets, points[[vertex], 1:], rtol=1e-5)
        line = view.images[-1].get_array()
        rows, _ = np.nonzero(line[..., 3] > 128)
        bottom, top = view.images[-1].get_extent()[2:]
        heights = bottom + (rows + 0.5) / line.shape[0] * (top - bottom)
        # The line lies along z = 0, as near as the edges between vertices, some 16 mm long.
        assert len(rows) > 0
        assert np.abs(heights).max() < 16


def test_voxels_of_grayordinates_are_told_to_be_left_out(tmp_path: Path) -> None:
    surfaces, _, _ = _surfaces(tmp_path)
    n, axes = len(folded(3)[0]), nib.cifti2
    places = axes.BrainModelAxis.from_mask(np.ones(n, bool), name="CortexLeft")
    places += axes.BrainModelAxis.from_mask(np.ones((2, 1, 2), bool), "ThalamusLeft", AFFINE)
    row = np.concatenate([np.linspace(-3, 3, n), [0.5, np.nan, -7.25, 1]]).astype(np.float32)
    path = tmp_path / "whole_stat-z_statmap.dscalar.nii"
    nib.Cifti2Image(row[np.newaxis], (axes.ScalarAxis(["z"]), places)).to_filename(path)
    told = "whole: surfaces show the cortex only; its 4 other places, .* size is 7.25, are not"
    with pytest.warns(UserWarning, match=told):
        draw_sheet(check_sheet(Asked((path,), ("whole",), "surface", 2.0, surfaces=surfaces)))


def test_peaks_of_voxels_are_not_marked_on_surfaces(tmp_path: Path) -> None:
    surfaces, first, _ = _surfaces(tmp_path)
    peaks = _peaks(Z=[1, 2])
    with pytest.raises(ArgumentError, match="its peaks are voxels"):
        check_sheet(Asked(({"left": first},), ("a",), "surface", surfaces=surfaces, peaks=peaks))
