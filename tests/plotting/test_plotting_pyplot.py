# SPDX-License-Identifier: BSD-3-Clause
"""pyplot knows the figures that a user draws, and none of a page's or a command's."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nilearn.plotting
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from groupglm import plotting
from groupglm.datasets import simulate_one_sample_study
from groupglm.errors import ArgumentError

DESIGN = pd.DataFrame({"age": [-2.0, 0.0, 4.0, 1.0], "group": [0.0, 1, 1, 0], "one": 1.0})

CHARTS = {
    "plot_design_matrix": lambda **rest: plotting.plot_design_matrix(DESIGN, **rest),
    "plot_contrast_matrix": lambda **rest: plotting.plot_contrast_matrix("age", DESIGN, **rest),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_has_the_parameters_of_nilearn_in_their_order(name: str) -> None:
    theirs = inspect.signature(getattr(nilearn.plotting, name)).parameters
    ours = inspect.signature(getattr(plotting, name)).parameters
    assert [(one, ours[one].default) for one in list(ours)[: len(theirs)]] == [
        (one, theirs[one].default) for one in theirs
    ]
    # What is ours besides has a name only.
    assert all(one.kind is one.KEYWORD_ONLY for one in list(ours.values())[len(theirs) :])


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_gives_axes_that_pyplot_knows(name: str) -> None:
    ax = CHARTS[name]()
    assert isinstance(ax, Axes)
    assert ax.figure is plt.gcf()
    assert plt.get_fignums() == [1]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn_in_axes_that_are_given(name: str) -> None:
    figure, (left, right) = plt.subplots(1, 2)
    assert CHARTS[name](axes=right) is right
    assert plt.get_fignums() == [figure.number]
    assert len(right.images) == 1
    assert not left.images
    with pytest.raises(
        TypeError, match="axes is a Figure; 'axes' must be a matplotlib Axes or None"
    ):
        CHARTS[name](axes=figure)


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("ending", ["png", "pdf", "SVG"])
def test_a_chart_is_saved_where_it_is_said(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"chart.{ending}"
    CHARTS[name](output_file=path)
    assert path.stat().st_size > 500
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    with pytest.raises(ValueError, match=r"output_file is 'chart\.docx'; matplotlib writes "):
        CHARTS[name](output_file=tmp_path / "chart.docx")
    assert len(plt.get_fignums()) == 1  # what is refused leaves no figure


@pytest.mark.parametrize("name", CHARTS)
def test_a_place_that_no_picture_can_take_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    for place in (tmp_path / "folder.png", tmp_path / "gone.png", Path("/"), Path("..")):
        with pytest.raises(ArgumentError) as caught:
            CHARTS[name](output_file=place)
        assert caught.value.argument == "output_file"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder.png", "gone.png"]
    assert not plt.get_fignums()


def test_columns_keep_their_values_if_they_are_not_rescaled() -> None:
    ax = plotting.plot_design_matrix(DESIGN, rescale=False)
    picture: Any = ax.images[0].get_array()
    np.testing.assert_array_equal(picture, DESIGN)
    assert ax.images[0].get_clim() == (-4.0, 4.0)
    theirs = nilearn.plotting.plot_design_matrix(DESIGN, rescale=False)
    np.testing.assert_array_equal(theirs.images[0].get_array(), picture)


def test_weights_have_the_values_and_the_limits_of_nilearn() -> None:
    for contrast in (np.array([1.0, -2.0, 0.0]), np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]])):
        ours = plotting.plot_contrast_matrix(contrast, DESIGN).images[0]
        theirs = nilearn.plotting.plot_contrast_matrix(contrast, DESIGN).images[0]
        np.testing.assert_array_equal(ours.get_array(), theirs.get_array())
        assert ours.get_clim() == theirs.get_clim()


def test_a_colour_map_is_found_by_name() -> None:
    assert plotting.plot_design_matrix(DESIGN, cmap="viridis").images[0].cmap.name == "viridis"
    with pytest.raises(ValueError, match="cmap is 'none'; 'cmap' must be a colour map"):
        plotting.plot_design_matrix(DESIGN, cmap="none")
    with pytest.raises(TypeError, match="cmap is a float"):
        plotting.plot_design_matrix(DESIGN, cmap=3.5)  # type: ignore[arg-type]


def test_what_fails_while_it_is_drawn_leaves_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupglm.plotting.histogram.legend_below", None)
    with pytest.raises(TypeError):
        plotting.plot_histogram(np.arange(9.0))
    assert plt.get_fignums() == []


def test_showing_without_windows_says_so() -> None:
    with pytest.warns(UserWarning, match="matplotlib backend that is non-interactive"):
        plotting.show()


def test_showing_shows_by_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("matplotlib.get_backend", lambda: "qtagg")
    monkeypatch.setattr(plt, "show", lambda: calls.append("shown"))
    plotting.show()
    assert calls == ["shown"]


def test_pages_and_commands_draw_without_pyplot(tmp_path: Path) -> None:
    """Of a page with every picture, pyplot is not even loaded: no figure is left open in it."""
    program = """
import sys
from groupglm import SecondLevelModel
from groupglm.cli import main
from groupglm.datasets import simulate_one_sample_study
study = simulate_one_sample_study("study", n_subjects=8, voxel_size=8.0)
model = SecondLevelModel(mask_img=study.mask_img).fit(
    study.paths, design_matrix=study.design_matrix
)
for plot_type in ("slice", "glass"):
    model.generate_report("intercept", plot_type=plot_type)
model.save("model.groupglm")
arguments = "report model.groupglm --contrast intercept --output page.html"
main(arguments.split(), standalone_mode=False)
assert "matplotlib.figure" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run(  # noqa: S603 - this interpreter, our words
        [sys.executable, "-W", "error", "-c", program], check=True, cwd=tmp_path, timeout=300
    )
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_pages_draw_beside_twenty_open_figures(tmp_path: Path) -> None:
    """Warnings are errors: pyplot warns of more than twenty figures, of which none is a page's."""
    from groupglm import SecondLevelModel

    study = simulate_one_sample_study(tmp_path, n_subjects=8, voxel_size=8.0)
    model = SecondLevelModel(mask_img=study.mask_img).fit(
        study.paths, design_matrix=study.design_matrix
    )
    for _ in range(20):
        plt.figure(figsize=(1, 1))
    for mode in ("z", "tiled", "mosaic"):
        model.generate_report("intercept", display_mode=mode)
    assert len(plt.get_fignums()) == 20
    assert isinstance(plt.gcf(), Figure)


def test_a_script_may_ask_for_a_tight_layout() -> None:
    ax = plotting.plot_design_matrix(pd.DataFrame({"age": [20.0, 30.0, 40.0], "intercept": 1.0}))
    assert len(ax.figure.axes) == 2  # with a colour bar, beside which matplotlib would refuse it
    plt.tight_layout()
    plt.close(ax.figure)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "draw",
    [
        plotting.plot_design_matrix,
        lambda design: plotting.plot_design_matrix(design, rescale=False),
        lambda design: plotting.plot_contrast_matrix("age", design),
        plotting.plot_design_correlation,
    ],
)
def test_a_script_lays_out_a_chart_with_a_colour_bar(draw: Any) -> None:
    design = pd.DataFrame({"age": [1.0, 2, 4, 3], "dose": [3.0, 1, 2, 5], "intercept": 1.0})
    draw(design)
    figure = plt.gcf()
    assert len(figure.axes) == 2  # the matrix and the bar
    plt.tight_layout()  # matplotlib may refuse it, or warn
    figure.canvas.draw()
    inside = figure.get_tightbbox()
    assert min(inside.x0, inside.y0) >= 0
    assert (inside.x1, inside.y1) <= tuple(figure.get_size_inches())
    plt.close(figure)


@pytest.mark.parametrize("name", ["cold_hot", "cold_white_hot", "cold_hot_r"])
def test_nilearns_colours_are_there_without_it(name: str) -> None:
    code = (
        "import sys; from groupglm.plotting.colors import colour_map, is_diverging;"
        f"cmap = colour_map({name!r}); assert 'nilearn' not in sys.modules;"
        "assert is_diverging(cmap) and cmap.name == sys.argv[1];"
        "print(cmap([0, 0.2, 0.4, 0.6, 0.8, 1]).tolist())"
    )
    printed = subprocess.run(  # noqa: S603 - this interpreter, our words
        [sys.executable, "-c", code, name], capture_output=True, text=True, check=True
    )
    wanted = plt.get_cmap(name)([0, 0.2, 0.4, 0.6, 0.8, 1])  # nilearn.plotting makes it known
    # A channel of "hot" rises from 0 to 1 in 0.365 of its 128 colours: neighbours differ by that.
    np.testing.assert_allclose(json.loads(printed.stdout), wanted, atol=1 / (0.365 * 127))
