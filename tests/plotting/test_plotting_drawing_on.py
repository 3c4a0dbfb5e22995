# SPDX-License-Identifier: BSD-3-Clause
"""More is drawn on a plot of a map, and it is saved whole or not at all."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pytest
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from groupglm import plotting
from groupglm.errors import ArgumentError
from reference.smooth_map import AFFINE, MAP, PLACES, SHAPE, VALUES, image

PLOTS = ("plot_stat_map", "plot_glass_brain")


@pytest.mark.parametrize("name", PLOTS)
def test_pyplot_knows_the_figure(name: str, tmp_path: Path) -> None:
    display: Any = getattr(plotting, name)(MAP, output_file=tmp_path / "new" / "one.png")
    assert isinstance(plt.gcf(), Figure)
    assert plt.get_fignums() == [display.number]
    assert (tmp_path / "new" / "one.png").stat().st_size > 1000
    plt.savefig(tmp_path / "two.png")
    display.savefig(tmp_path / "other" / "three.pdf")
    display.savefig(str(tmp_path / "four.png"), 50)
    display.savefig(io.BytesIO(), format="svg")
    with pytest.raises(ValueError, match="You must provide an output file"):
        display.savefig(None)
    display.close()
    assert plt.get_fignums() == []
    again = pickle.loads(pickle.dumps(display))  # noqa: S301 (made one line above)
    assert again.cut_coords == display.cut_coords


def test_two_maps_lie_on_one_background() -> None:
    positive, negative = image(np.maximum(VALUES, 0)), image(np.maximum(-VALUES, 0))
    display = plotting.plot_stat_map(
        positive, cut_coords=PLACES, threshold=2, colorbar=False, cmap="Reds"
    )
    display.add_overlay(negative, threshold=2, cmap="Blues", colorbar=True, vmax=7)
    for plane in "xyz":
        ax = display.axes[plane].ax
        first, second = [one for one in ax.images if one.get_zorder() == 2]
        assert (first.cmap.name, second.cmap.name) == ("Reds", "Blues")
        shown = ~np.ma.getmaskarray(first.get_array()), ~np.ma.getmaskarray(second.get_array())
        assert shown[0].any() or shown[1].any()
        assert not (shown[0] & shown[1]).any()
        assert second.get_clim()[1] == 7.0
    bars = [ax for ax in display.axes if ax.get_xlabel()]
    assert [bar.get_xlim()[1] for bar in bars] == [7.0]
    with pytest.raises(ValueError, match="already has an overlay with a colorbar"):
        display.add_overlay(negative, colorbar=True)
    with pytest.raises(ValueError, match="Threshold should be a non-negative number!"):
        display.add_overlay(negative, threshold=-1)


def test_the_bar_of_an_overlay_says_what_its_map_holds(tmp_path: Path) -> None:
    path = tmp_path / "a_stat-z_statmap.nii.gz"
    nib.save(image(VALUES), path)
    labels = []
    for own in (path, image(VALUES)):
        display = plotting.plot_stat_map(MAP, cut_coords=PLACES, colorbar=False)
        display.add_overlay(own, threshold=2, colorbar=True)
        labels += [ax.get_xlabel() for ax in display.axes if ax.get_xlabel()]
        display.close()
    named, unnamed = labels
    assert "z" in named
    assert "z" not in unnamed


@pytest.mark.parametrize("name", PLOTS)
def test_contours_are_at_their_level(name: str) -> None:
    ball = np.sqrt(((np.indices(SHAPE).T * 4.0 + AFFINE[:3, 3] - PLACES) ** 2).sum(axis=-1)).T
    inside = image(ball < 14.0)
    options = {"cut_coords": PLACES} if name == "plot_stat_map" else {}
    display = getattr(plotting, name)(MAP, threshold=3, **options)
    display.add_contours(inside, levels=[0.5], colors="r")
    display.add_contours(inside, filled=True, levels=[0.5], colors="b", transparency=0.3)
    for view in display.axes.values():
        plane = [number for number in range(3) if number != "xyz".index(view.panel.axis)]
        line = next(one for one in view.ax.collections if len(one.get_paths()[0].vertices))
        vertices = line.get_paths()[0].vertices
        radii = np.hypot(*(vertices - np.array(PLACES)[plane]).T)
        # Half way to the next voxel, of 4 mm, of a ball drawn by its voxels.
        assert (np.abs(radii - 14.0) < 4.0).all()
    with pytest.warns(UserWarning, match="'linewidths' is not supported for filled contours"):
        display.add_contours(inside, filled=True, levels=[0.5], linewidths=3)


def _n_markers(view: Any, place: int) -> int:
    return len(view.ax.collections[place].get_offsets())


def test_markers_are_seen_from_their_side_and_near_their_slice() -> None:
    display = plotting.plot_glass_brain(None, display_mode="lyrz")
    display.add_markers([[-20, 20, 20], [-10, 10, 10], [5, 5, 5]], marker_color=["r", "b", "k"])
    counts = {key: _n_markers(view, 0) for key, view in display.axes.items()}
    assert counts == {"l": 2, "y": 3, "r": 1, "z": 3}
    cut = plotting.plot_stat_map(MAP, None, PLACES)
    cut.add_markers([(-19.0, 0.0, 12.0)])
    counts = {key: _n_markers(view, -1) for key, view in cut.axes.items()}
    assert counts == {"y": 0, "x": 1, "z": 1}


def test_titles_notes_and_crosses_can_be_changed() -> None:
    display: Any = plotting.plot_stat_map(MAP, None, PLACES, title="one", draw_cross=False)
    display.title("two", size=9, color="r")
    assert [text.get_text() for text in display.texts] == ["two"]
    display.annotate(left_right=False, decimals=1, size=8)
    assert [text.get_text() for text in display.axes["x"].ax.texts] == ["x = -20.0"]
    assert [text.get_text() for text in display.axes["z"].ax.texts] == ["z = 12.0"]
    assert not display.axes["z"].ax.lines
    display.draw_cross(color="r")
    lines: dict[Any, list[float]] = {}
    for plane, view in display.axes.items():
        ends = [np.array(line.get_data(), dtype=float) for line in view.ax.lines]
        # Across, and up: the number that is the same at both ends.
        lines[plane] = sorted(x[0] if x[0] == x[1] else y[0] for x, y in ends)
    assert lines == {"y": [-20.0, 12.0], "x": [12.0, 16.0], "z": [-20.0, 16.0]}
    bare = plotting.plot_stat_map(MAP, None, PLACES, annotate=False)
    assert not any(view.ax.texts for view in bare.axes.values())
    assert all(len(view.ax.lines) == 2 for view in bare.axes.values())
    display.annotate(scalebar=True, scale_size=2, scale_units="mm")
    with pytest.raises(ValueError, match="scale_units"):
        display.annotate(scalebar=True, scale_units="inch")


def _displays(name: str) -> list[Any]:
    """Return a display that is a figure, and one in axes of a caller's."""
    plot = getattr(plotting, name)
    return [plot(MAP), plot(MAP, axes=plt.subplots()[1])]


@pytest.mark.parametrize("name", PLOTS)
def test_an_interrupted_picture_leaves_the_file_before_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user presses Ctrl-C when matplotlib has written a part of the picture."""
    displays = _displays(name)

    def interrupted(self: Any, target: Any, **options: Any) -> None:
        if isinstance(target, io.BytesIO):
            target.write(b"half")
        else:
            Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    before, new = tmp_path / "before.png", tmp_path / "new.png"
    before.write_bytes(b"whole")
    for display in displays:
        for path in (before, new, str(new)):
            with pytest.raises(KeyboardInterrupt):
                display.savefig(path)
    with pytest.raises(KeyboardInterrupt):
        getattr(plotting, name)(MAP, output_file=new)
    assert [one.name for one in tmp_path.iterdir()] == ["before.png"]
    assert before.read_bytes() == b"whole"


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_is_that_of_matplotlib_in_each_kind_of_file(name: str, tmp_path: Path) -> None:
    for number, display in enumerate(_displays(name)):
        figure = display.figure
        folder = tmp_path / str(number)
        wanted = io.BytesIO()
        Figure.savefig(figure, wanted, format="png", dpi=figure.dpi)
        display.savefig(folder / "ending.PNG")
        display.savefig(str(folder / "none"))  # the usual ending of matplotlib is added
        display.savefig(folder / "another.map", format="png")
        with (folder / "open.png").open("wb") as file:
            display.savefig(file)
        names = {"ending.PNG", "none.png", "another.map", "open.png"}
        assert {one.name: one.read_bytes() for one in folder.iterdir()} == dict.fromkeys(
            names, wanted.getvalue()
        )
        with PdfPages(folder / "pages.pdf") as pages:
            pages.savefig(figure)
        assert (folder / "pages.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", PLOTS)
def test_a_place_where_no_picture_can_be_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for display in _displays(name):
        for wrong in ("folder.png", "a.docx", "", ".."):
            given = str(tmp_path / wrong) if wrong else wrong
            with pytest.raises(ArgumentError) as caught:
                display.savefig(given)
            assert caught.value.argument == "filename"
        with pytest.raises(ValueError, match="Format 'docx' is not supported"):
            display.savefig(tmp_path / "a.png", format="docx")
    assert [one.name for one in tmp_path.iterdir()] == ["folder.png"]
