# SPDX-License-Identifier: BSD-3-Clause
"""What charts write: names that look like formulas or would drive a terminal, values of columns."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from groupglm.plotting import (
    plot_contrast_matrix,
    plot_design_correlation,
    plot_design_matrix,
    plot_glass_brain,
    plot_histogram,
    plot_peak,
    plot_stat_map,
)
from groupglm.plotting.design import draw_design_matrix
from groupglm.report.figures import chart


def test_names_that_look_like_formulas_are_text() -> None:
    image = nib.Nifti1Image(np.ones((4, 4, 4)), np.eye(4))  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"$\\frac{a}{$": [1.0, 2.0, 3.0], "cost in $": [1.0, 1.0, 1.0]})
    figures: tuple[Any, ...] = (
        plot_design_matrix(design, title="in $ and $").figure,
        plot_contrast_matrix([1, 0], design, title="$\\frac{$ and $").figure,
        plot_stat_map(image, bg_img=None, title="$\\frac{$ and $"),
        plot_glass_brain(image, bg_img=None, title="$\\frac{$ and $"),
        plot_peak([1.0, 2.0, 4.0], design, [1, 0]),
    )
    for figure in figures:
        figure.canvas.draw()


def test_names_with_control_characters_are_written_out() -> None:
    """Warnings are errors: matplotlib warns of a character that no font has a sign for."""
    name, seen = "age\x1b[2J\x07\t\n", r"age\x1b[2J\x07\t\n"
    design = pd.DataFrame({name: [1.0, 2.0, 4.0, 3.0], "\ud800$": [1.0, 0.0, 0.0, 2.0], "c": 1.0})
    image = nib.Nifti1Image(np.ones((4, 4, 4)), np.eye(4))  # type: ignore[no-untyped-call]
    drawn: list[Any] = [
        plot_design_matrix(design, title=name).figure,
        plot_design_correlation(design, title=name),
        plot_contrast_matrix([1, 0, 0], design, title=name).figure,
        plot_peak([1.0, 2.0, 4.0, 0.0], design, [1, 0, 0], label=name),
        plot_histogram(np.arange(9.0), title=name),
        plot_stat_map(image, bg_img=None, title=name, label=name),
        plot_glass_brain(image, bg_img=None, title=name, label=name),
    ]
    for figure in drawn:
        figure.savefig(io.BytesIO(), format="png")
    for figure in drawn[:3]:
        ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
        assert ticks[:2] == [seen, r"\ud800\$"]  # matplotlib draws an escaped dollar as a dollar
    assert drawn[3].axes[0].get_xlabel() == seen


def test_a_backslash_beside_a_dollar_is_drawn_once() -> None:
    design = pd.DataFrame({"age": [1.0, 2.0, 4.0]})
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure: Any = plot_design_matrix(design, title="$\\frac{ and \\$").figure
        figure.savefig(text, format="svg")
    assert ">$\\frac{ and \\$<" in text.getvalue()


def test_a_constant_column_is_grey_with_its_value() -> None:
    design = pd.DataFrame({"age": [-2.0, 0.0, 4.0], "intercept": 1.0, "other": -2.5})
    ax = plot_design_matrix(design)
    assert [text.get_text() for text in ax.texts] == ["1 in every image", "-2.5 in every image"]
    assert len(ax.figure.axes) == 2
    colours = [to_hex(patch.get_facecolor()) for patch in ax.patches]
    assert len(colours) == 2
    assert set(colours) == {"#d4d4d4"}
    assert [patch.get_extents().width > 0 for patch in ax.patches] == [True, True]
    alone = plot_design_matrix(design[["intercept"]]).figure
    assert len(alone.axes) == 1  # no bar for colours that nothing has


def test_a_page_passes_on_no_warning_of_signs_that_browsers_have() -> None:
    """Warnings are errors; the text of a page's chart stays text."""
    design = pd.DataFrame({"\u5e74\u9f62": [1.0, 2.0, 4.0]})
    assert ">\u5e74\u9f62<" in str(chart(draw_design_matrix(design), "").markup)
