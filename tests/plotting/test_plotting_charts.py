# SPDX-License-Identifier: BSD-3-Clause
"""Charts show the numbers they say, checked against statsmodels and NumPy."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

import groupglm.plotting
from groupglm.plotting import (
    plot_design_correlation,
    plot_design_matrix,
    plot_glass_brain,
    plot_histogram,
    plot_peak,
    plot_stat_map,
)
from groupglm.plotting.adjusted import adjust
from groupglm.plotting.contrast import draw_weights
from groupglm.plotting.reading_terms import read_terms
from groupglm.plotting.scale import Scale
from groupglm.plotting.volume.panels import choose_cuts
from groupglm.plotting.volume.volumes import Volume

N = 24


@pytest.fixture
def design() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    patient = np.arange(N) % 3 == 0
    return pd.DataFrame(
        {
            "patient": patient.astype(float),
            "control": (~patient).astype(float),
            "age": rng.normal(40, 12, N),
            "iq": rng.normal(100, 15, N),
        }
    )


@pytest.fixture
def values(design: pd.DataFrame) -> NDArray[np.float64]:
    rng = np.random.default_rng(4)
    y = 2 * design["patient"] + 0.05 * design["age"] + rng.standard_normal(N)
    return np.array(y, dtype=np.float64)


def _adjust(values: Any, design: pd.DataFrame, contrast: Any, level: float = 0.95) -> Any:
    names = [str(name) for name in design.columns]
    terms = read_terms(design.to_numpy(float), names)
    return adjust(np.asarray(values, float), terms, np.asarray(contrast, float), level)


def test_groups_have_statsmodels_means_and_intervals(
    design: pd.DataFrame, values: NDArray[np.float64]
) -> None:
    data = _adjust(values, design, [1, -1, 0, 0], level=0.9)
    fit = sm.OLS(values, design).fit()
    for number, group in enumerate(data.groups):
        at = [1.0 - number, float(number), design["age"].mean(), design["iq"].mean()]
        expected = fit.get_prediction([at]).summary_frame(alpha=0.1)
        assert group.fitted == pytest.approx(expected["mean"][0], rel=1e-9)
        half = (expected["mean_ci_upper"] - expected["mean_ci_lower"])[0] / 2
        assert group.half_width == pytest.approx(half, rel=1e-9)
        # Least squares with the group's own column: residuals of a group add up to zero.
        assert group.y.mean() == pytest.approx(group.fitted, rel=1e-9)
    assert [group.name for group in data.groups] == ["patient", "control"]
    assert [len(group.y) for group in data.groups] == [8, 16]


def test_a_slope_has_statsmodels_line_and_band(
    design: pd.DataFrame, values: NDArray[np.float64]
) -> None:
    data = _adjust(values, design, [0, 0, 1, 0])
    fit = sm.OLS(values, design).fit()
    at = pd.concat([design.mean().to_frame().T] * len(data.line[0]), ignore_index=True)
    at["age"] = data.line[0]
    expected = fit.get_prediction(at).summary_frame(alpha=0.05)
    np.testing.assert_allclose(data.line[1], expected["mean"], rtol=1e-9)
    np.testing.assert_allclose(data.line[1] - data.line[2], expected["mean_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(data.x, design["age"])
    # Distances from the line are the residuals of the whole model.
    line = np.interp(data.x, data.line[0], data.line[1])
    np.testing.assert_allclose(data.y - line, fit.resid, atol=1e-9)


def test_the_regressor_of_a_contrast_has_its_effect_as_slope(
    design: pd.DataFrame, values: NDArray[np.float64]
) -> None:
    contrast = np.array([0.0, 0.0, 1.0, -0.5])
    data = _adjust(values, design, contrast)
    fit = sm.OLS(values, design).fit()
    slope = np.diff(data.line[1][[0, -1]])[0] / np.diff(data.line[0][[0, -1]])[0]
    assert slope == pytest.approx(float(contrast @ fit.params), rel=1e-8)
    line = np.interp(data.x, data.line[0], data.line[1])
    np.testing.assert_allclose(data.y - line, fit.resid, atol=1e-9)
    # A place on the line is the mean row moved along the contrast's regressor.
    gain = np.linalg.inv(design.T @ design) @ contrast
    x = design.to_numpy() @ gain / (contrast @ gain)
    np.testing.assert_allclose(data.x, x, rtol=1e-9)


def test_a_one_sample_mean_is_at_zero_of_the_other_columns() -> None:
    rng = np.random.default_rng(5)
    design = pd.DataFrame({"intercept": 1.0, "age": rng.normal(5, 2, N)})
    y = 3 + 0.4 * design["age"].to_numpy() + rng.standard_normal(N)
    data = _adjust(y, design, [1, 0])
    fit = sm.OLS(y, design).fit()
    assert data.groups[0].fitted == pytest.approx(fit.params["intercept"], rel=1e-9)
    assert data.groups[0].y.mean() == pytest.approx(fit.params["intercept"], rel=1e-9)


def test_a_difference_column_shows_both_its_groups() -> None:
    design = pd.DataFrame({"group": np.arange(N) % 2.0, "intercept": 1.0})
    y = np.arange(N, dtype=float)
    data = _adjust(y, design, [1, 0])
    assert [group.name for group in data.groups] == ["group = 0", "group = 1"]
    assert [group.fitted for group in data.groups] == pytest.approx([11.0, 12.0])


def test_a_group_of_its_own_shows_its_images_only(design: pd.DataFrame) -> None:
    data = _adjust(np.arange(N, dtype=float), design, [1, 0, 0, 0])
    assert [(group.name, len(group.y)) for group in data.groups] == [("patient", 8)]


def test_an_f_contrast_is_shown_against_its_fit(
    design: pd.DataFrame, values: NDArray[np.float64]
) -> None:
    data = _adjust(values, design, [[0, 0, 1, 0], [0, 0, 0, 1]])
    fit = sm.OLS(values, design).fit()
    assert data.kind == "fitted"
    np.testing.assert_allclose(data.y - data.x, fit.resid, atol=1e-9)


def test_missing_values_are_left_out(design: pd.DataFrame, values: NDArray[np.float64]) -> None:
    values[[2, 9]] = np.nan
    data = _adjust(values, design, [0, 0, 1, 0])
    keep = np.isfinite(values)
    fit = sm.OLS(values[keep], design[keep]).fit()
    slope = np.diff(data.line[1][[0, -1]])[0] / np.diff(data.line[0][[0, -1]])[0]
    assert slope == pytest.approx(fit.params["age"], rel=1e-9)
    assert len(data.y) == N - 2


def test_a_peak_is_read_from_images_at_its_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])
    data = rng.standard_normal((6, 5, 5, 5)).astype(np.float32)
    paths = []
    for number, volume in enumerate(data):
        paths.append(tmp_path / f"{number}.nii.gz")
        nib.Nifti1Image(volume, affine).to_filename(paths[-1])  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"intercept": np.ones(6)})
    figure = plot_peak(paths, design, position=(-6.4, 3.9, 8.0), title="A $peak$")
    points = np.asarray(figure.axes[0].collections[0].get_offsets())
    np.testing.assert_array_equal(points[:, 1], data[:, 3, 1, 2].astype(float))
    with pytest.raises(ValueError, match=r"position \(6\.0, 0\.0, 0\.0\) is outside the images"):
        plot_peak(paths, design, position=(6.0, 0.0, 0.0))


def test_labels_of_slices_can_be_read_over_a_map() -> None:
    values = np.full((9, 9, 9), 5.0, np.float32)  # as light as the labels are
    image = nib.Nifti1Image(values, np.diag([20.0, 20.0, 20.0, 1.0]))  # type: ignore[no-untyped-call]
    figure: Any = plot_stat_map(
        image, bg_img=None, display_mode="z", cut_coords=[80.0], black_bg=True
    )
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3]  # upwards, as the boxes below
    label = next(text for text in figure.axes[0].texts if text.get_text() == "z = 80")
    left, bottom, right, top = (int(edge) for edge in label.get_window_extent().extents)
    found = pixels[bottom:top, left:right].reshape(-1, 3)
    assert (found.max(axis=1) < 40).sum() > 100  # a dark rim
    assert (found.min(axis=1) > 230).sum() > 30  # about light letters


@pytest.mark.parametrize("vmax", [0.004, 0.75, 6.0, 12345.0, 3.2e-7])
@pytest.mark.parametrize("signed", [False, True])
def test_numbers_of_the_colour_bar_stay_apart(vmax: float, signed: bool) -> None:
    values = np.zeros((9, 9, 9), np.float32)
    values[4, 4, 4] = vmax
    values[2, 2, 2] = -vmax / 2 if signed else 0
    image = nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]
    figure: Any = plot_stat_map(image, bg_img=None)
    figure.canvas.draw()
    bar = figure.axes[-1]
    boxes = [label.get_window_extent() for label in bar.get_xticklabels() if label.get_text()]
    low, high = bar.get_window_extent().intervalx
    shown = [box for box in boxes if low - 1 <= (box.x0 + box.x1) / 2 <= high + 1]
    assert len(shown) >= 3
    assert not any(a.overlaps(b) for a, b in itertools.combinations(shown, 2))


def test_groups_of_a_column_with_a_long_name_stay_apart() -> None:
    name = "patients_minus_controls_at_the_first_visit"
    design = pd.DataFrame({name: [0.0, 1, 0, 1], "intercept": 1.0})
    figure = plot_peak([1.0, 3, 2, 5], design, name)
    figure.canvas.draw()
    (ax,) = figure.axes
    # The middle of a long name is left out: names differ at their ends.
    shown = [label.get_text() for label in ax.get_xticklabels()]
    assert shown == ["patients_minus_con…visit = 0", "patients_minus_con…visit = 1"]
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert boxes[0].x1 - boxes[0].x0 < figure.bbox.width / 2


def test_long_names_of_groups_stay_apart() -> None:
    names = [f"a_group_of_patients_of_the_{site}_hospital" for site in ("first", "second")]
    design = pd.DataFrame(np.kron(np.eye(2), np.ones((2, 1))), columns=names)
    figure = plot_peak([1.0, 3, 2, 5], design, np.eye(2))
    figure.canvas.draw()
    labels = figure.axes[0].get_xticklabels()
    assert all(len(label.get_text()) <= 28 for label in labels)
    # Texts with the same slant do not meet if their ends are more than a height apart across it.
    left, right = (label.get_transform().transform(label.get_position())[0] for label in labels)
    slant = np.deg2rad(labels[0].get_rotation())
    assert (right - left) * np.sin(slant) > float(labels[0].get_fontsize()) * figure.dpi / 72


def test_the_design_is_drawn_as_it_is(design: pd.DataFrame) -> None:
    picture: Any = plot_design_matrix(design).images[0].get_array()
    np.testing.assert_allclose(picture, design / design.abs().max())
    figure = plot_design_correlation(design.assign(constant=1.0))
    shown: Any = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, design.corr(), atol=1e-12)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["patient", "control", "age", "iq"]


def test_one_column_has_no_correlation() -> None:
    with pytest.raises(ValueError, match="has 1 columns that vary; a correlation needs two"):
        plot_design_correlation(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 1.0]}))


def test_a_contrast_has_a_row_of_bars_for_each_of_its_rows(design: pd.DataFrame) -> None:
    figure = draw_weights(["patient - control", "0.5*age"], design)
    bars: list[list[Any]] = [list(ax.patches) for ax in figure.axes]
    heights = [[bar.get_height() for bar in row] for row in bars]
    assert heights == [[1, -1, 0, 0], [0, 0, 0.5, 0]]
    many = draw_weights(np.tile(np.eye(4), (3, 1)), design)
    assert len(many.axes) == 8
    assert many.axes[0].get_title(loc="left") == "rows 1 to 8 of 12"


def test_the_histogram_is_a_density() -> None:
    z = np.random.default_rng(7).standard_normal(5000)
    figure = plot_histogram(np.append(z, [np.nan, np.inf]), threshold=3.1)
    ax = figure.axes[0]
    outline = ax.patches[0].get_path().vertices
    density, _ = np.histogram(z, bins=80, range=(-4.5, 4.5), density=True)
    assert np.asarray(outline)[:, 1].max() == pytest.approx(density.max())
    lines = [line.get_xdata() for line in ax.lines]
    assert [list(line) for line in lines[1:]] == [[3.1, 3.1], [-3.1, -3.1]]  # type: ignore[arg-type]
    curve = np.asarray(ax.lines[0].get_ydata())
    assert curve.max() == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-3)
    assert plot_histogram(z, threshold=8.0).axes[0].get_xlim()[1] > 8.0
    with pytest.raises(ValueError, match="z holds no finite value"):
        plot_histogram([np.nan])


def test_a_scale_hides_what_is_not_above_the_threshold() -> None:
    scale = Scale.of(np.array([-5.0, 2.0, 4.0]), 3.0, None, dark=True)
    opacity = scale.rgba(np.array([[-5.0, -3.0, 2.0, 3.0, 3.01, 0.0]]))[0, :, 3]
    assert opacity.tolist() == [255, 0, 0, 0, 255, 0]
    assert (scale.vmax, scale.signed) == (5.0, True)
    assert not Scale.of(np.array([0.0, 4.0]), None, None, dark=True).signed


def test_the_bar_states_scale_and_threshold() -> None:
    values = np.zeros((9, 9, 9))
    values[4, 4, 4], values[2, 2, 2] = 5.0, -4.0
    image = nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]
    figure = plot_stat_map(image, bg_img=None, threshold=3.2, label="t")
    bar = figure.axes[-1]
    assert bar.get_xlim() == (-5.0, 5.0)
    marks = sorted(float(np.asarray(line.get_xdata())[0]) for line in bar.lines)
    assert marks == [-3.2, 3.2]
    assert bar.get_xlabel() == "t; grey: not shown, up to 3.20"


def test_cuts_pass_through_the_highest_peak() -> None:
    values = np.zeros((40, 40, 40))
    values[30, 10, 33] = 8.0
    values[5:9, 5:9, 5:9] = 4.0
    volume = Volume(values, np.diag([2.0, 2.0, 2.0, 1.0]))
    bounds = Volume(np.ones_like(values), volume.affine).bounds()
    cuts = [panel.coordinate for panel in choose_cuts("z", 5, volume, bounds)]
    assert len(cuts) == 5
    assert 66.0 in cuts
    assert any(10 <= cut <= 16 for cut in cuts if cut is not None)
    assert cuts == sorted(cuts)  # type: ignore[type-var]
    ortho = {panel.view: panel.coordinate for panel in choose_cuts("ortho", None, volume, bounds)}
    assert ortho == {"x": 60.0, "y": 20.0, "z": 66.0}


@pytest.mark.parametrize(
    ("mode", "cuts", "message"),
    [
        ("w", None, "display_mode is 'w'; 'display_mode' must be one of ortho"),
        ("lr", None, "views of a hemisphere need a glass brain"),
        ("ortho", [1, 2], "cut_coords has 2 numbers; display_mode='ortho' needs 3: x, y, z in mm"),
        ("xz", {"x": 3}, "cut_coords has no place for z"),
        ("z", 0, "give 1 to 60 cuts, or places"),
        ("z", True, "give 1 to 60 cuts, or places"),
        ("z", [np.nan], "must hold finite places"),
        ("z", [], "must hold finite places"),
        ("z", range(100), "has 100 places; 60 are the most"),
    ],
)
def test_places_to_cut_that_make_no_sense_are_refused(mode: str, cuts: Any, message: str) -> None:
    image = nib.Nifti1Image(np.ones((4, 4, 4)), np.eye(4))  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        plot_stat_map(image, bg_img=None, display_mode=mode, cut_coords=cuts)


def test_places_to_cut_of_another_type_are_refused() -> None:
    image = nib.Nifti1Image(np.ones((4, 4, 4)), np.eye(4))  # type: ignore[no-untyped-call]
    with pytest.raises(TypeError, match=r"3\.5; 'cut_coords' must be None, a number of cuts"):
        plot_stat_map(image, bg_img=None, display_mode="z", cut_coords=3.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -1.0}, "threshold is -1.0; 'threshold' must be a size"),
        ({"threshold": np.nan}, "threshold is nan; 'threshold' must be a finite number"),
        (
            {"threshold": 3.0, "vmax": 2.0},
            "2.0; 'vmax' must be finite and above the threshold",
        ),
    ],
)
def test_scales_that_make_no_sense_are_refused(options: dict[str, float], message: str) -> None:
    image = nib.Nifti1Image(np.ones((4, 4, 4)), np.eye(4))  # type: ignore[no-untyped-call]
    for draw in (plot_stat_map, plot_glass_brain):
        with pytest.raises(ValueError, match=message):
            draw(image, bg_img=None, **options)  # type: ignore[arg-type]


def test_empty_and_odd_maps_are_drawn() -> None:
    for values in (np.zeros((4, 4, 4)), np.full((4, 4, 4), np.nan), np.ones((1, 1, 1))):
        image = nib.Nifti1Image(values, np.diag([3.0, 3, 3, 1]))  # type: ignore[no-untyped-call]
        for draw in (plot_stat_map, plot_glass_brain):
            figure = draw(image, bg_img=None, threshold=3.0)
            assert isinstance(figure, Figure)
            figure.canvas.draw()


def test_huge_voxels_take_no_more_memory_than_small_ones() -> None:
    values = np.zeros((5, 5, 5))
    values[2, 2, 2] = 4.0
    image = nib.Nifti1Image(values, np.diag([1e6, 1e6, 1e6, 1]))  # type: ignore[no-untyped-call]
    assert plot_stat_map(image, bg_img=None, display_mode="z", cut_coords=2).axes
    assert plot_glass_brain(image, bg_img=None).axes


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((3, 2)), r"values has shape \(3, 2\); give one number for each image"),
        ([1.0, np.inf, 2.0], "values holds infinite numbers"),
    ],
)
def test_values_that_are_none_are_refused(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_peak(values, pd.DataFrame({"a": np.ones(3)}))
    with pytest.raises(ValueError, match="level is 95; 'level' must be between 0 and 1"):
        plot_peak([1.0, 2, 3], pd.DataFrame({"a": np.ones(3)}), level=95)


@pytest.mark.parametrize("dpi", [60, 80, 100, 150])
def test_legends_are_inside_the_figure(
    dpi: int, values: NDArray[np.float64], design: pd.DataFrame
) -> None:
    for figure in (
        plot_peak(values, design, "age"),
        plot_peak(values, design, "patient - control"),
        plot_histogram(np.random.default_rng(0).standard_normal(123_456), threshold=4.1234),
    ):
        figure.set_dpi(dpi)
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width


def test_the_module_loads_without_pyplot() -> None:
    import subprocess

    code = (
        "import sys, groupglm.plotting as p\n"
        "for name in p.__all__: getattr(p, name)\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'nilearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)  # noqa: S603


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'groupglm\.plotting' has no attribute 'x'"):
        _ = groupglm.plotting.x
    assert dir(groupglm.plotting) == sorted(groupglm.plotting.__all__)
