# SPDX-License-Identifier: BSD-3-Clause
"""The lines of subjects at a place: each at its own values, and the mean of the fitted values."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from groupglm import fit_repeated
from groupglm.errors import ArgumentError
from groupglm.plotting import plot_spaghetti

SUBJECTS = ["a", "a", "a", "b", "b", "c", "c", "c", "d", "d", "e"]
TIME = [0.0, 1.0, 3.0, 0.0, 1.0, 0.0, 1.0, 3.0, 1.0, 3.0, 0.0]
PATIENT = [0.0] * 5 + [1.0] * 6
VALUES = [1.0, 2.5, 3.0, 2.0, 3.5, 5.0, 4.0, 6.5, 5.5, 7.0, 4.0]


def design() -> pd.DataFrame:
    return pd.DataFrame({"mean": 1.0, "patient": PATIENT, "time": TIME})


def points_of(axes: Axes) -> list[tuple[list[float], list[float]]]:
    return [
        (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in axes.lines
    ]


def test_each_subject_is_a_line_over_what_the_contrast_tests() -> None:
    axes = plot_spaghetti(VALUES, SUBJECTS, design(), "time").axes[0]
    drawn = points_of(axes)
    for subject in "abcde":
        own = [place for place, name in enumerate(SUBJECTS) if name == subject]
        assert ([TIME[k] for k in own], [VALUES[k] for k in own]) in drawn
    assert axes.get_xlabel() == "time"


def test_the_thick_lines_are_the_means_of_the_fitted_values_of_each_group() -> None:
    axes = plot_spaghetti(VALUES, SUBJECTS, design(), "time").axes[0]
    fit = fit_repeated(design(), np.array(VALUES)[:, None], SUBJECTS)
    fitted = fit.predicted()[:, 0]
    thick = {line.get_label(): line for line in axes.lines if line.get_linewidth() > 2}
    assert set(thick) == {"patient = 0: mean of the fit", "patient = 1: mean of the fit"}
    for label, group in (
        ("patient = 0: mean of the fit", 0.0),
        ("patient = 1: mean of the fit", 1.0),
    ):
        points = np.asarray(thick[label].get_xydata())
        for x, y in points:
            members = (np.array(PATIENT) == group) & (np.array(TIME) == x)
            assert y == pytest.approx(fitted[members].mean(), rel=1e-12)


def test_a_missing_value_is_no_point() -> None:
    values = list(VALUES)
    values[1] = np.nan
    drawn = points_of(plot_spaghetti(values, SUBJECTS, design(), "time").axes[0])
    assert ([0.0, 3.0], [1.0, 3.0]) in drawn


def test_without_a_variable_within_subjects_the_axis_is_the_visit() -> None:
    visits = ["10", "2", "9", "2", "9", "2", "9", "10", "9", "10", "2"]
    plain = design().drop(columns="time")
    axes = plot_spaghetti(VALUES, SUBJECTS, plain, "patient", visits=visits).axes[0]
    assert axes.get_xlabel() == "visit"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "9", "10"]
    axes = plot_spaghetti(VALUES, SUBJECTS, plain, "patient").axes[0]
    assert axes.get_xlabel() == "image of the subject"
    assert ([0.0, 1.0, 2.0], [1.0, 2.5, 3.0]) in points_of(axes)


def test_levels_within_subjects_are_ticks() -> None:
    task = pd.Categorical(["rest", "faces", "hands", "rest", "faces", "rest", "faces", "hands",
                           "faces", "hands", "rest"])  # fmt: skip
    frame = pd.get_dummies(task, dtype=float)
    axes = plot_spaghetti(VALUES, SUBJECTS, frame, "faces - rest").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["faces", "hands", "rest"]


def test_one_image_a_subject_and_no_values_are_refused() -> None:
    with pytest.raises(ArgumentError, match="no subject has two"):
        plot_spaghetti(VALUES, [str(k) for k in range(11)], design(), "time")
    with pytest.raises(ArgumentError, match="no number"):
        plot_spaghetti([np.nan] * 11, SUBJECTS, design(), "time")
