# SPDX-License-Identifier: BSD-3-Clause
"""Pictures find the kind of a map by the same rule as thresholds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, threshold_stats_img
from groupglm.plotting import plot_glass_brain, plot_histogram, plot_stat_map
from groupglm.plotting.scale import Scale

# A glass brain with the signs of its values.
DRAW = pytest.mark.parametrize("draw", [plot_stat_map, partial(plot_glass_brain, plot_abs=False)])


@pytest.fixture(scope="module")
def maps() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    mask = nib.Nifti1Image(np.ones((6, 6, 6), np.uint8), np.eye(4) * [4, 4, 4, 1])  # type: ignore[no-untyped-call]
    images = [
        nib.Nifti1Image(rng.standard_normal((6, 6, 6)) + 1, mask.affine)  # type: ignore[no-untyped-call]
        for _ in range(9)
    ]
    design = pd.DataFrame({"one": 1.0, "age": np.arange(9.0)})
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    found: dict[str, Any] = model.compute_contrast("one", output_type="all")
    found["F"] = model.compute_contrast(["one", "age"], output_type="stat")
    found["z of F"] = model.compute_contrast(["one", "age"])
    return found


def _label(figure: Any) -> str:
    return str(figure.axes[-1].get_xlabel()).split(";")[0]


@DRAW
def test_the_colour_bar_is_labelled_with_what_the_map_holds(
    draw: Any, maps: dict[str, Any]
) -> None:
    labels = {kind: _label(draw(image, bg_img=None)) for kind, image in maps.items()}
    assert labels["z_score"] == "z"
    assert labels["stat"] == "t"
    assert labels["F"] == "F"
    assert labels["z of F"] == "z (one tail: below 0 not shown)"
    assert labels["p_value"] == "p"
    assert "effect" in labels["effect_size"]
    assert "variance" in labels["effect_variance"]
    assert _label(draw(maps["stat"], bg_img=None, label="strength")) == "strength"


@DRAW
def test_an_unknown_map_is_no_map_of_z(draw: Any, tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((4, 4, 4), 3.0), np.eye(4))  # type: ignore[no-untyped-call]
    assert _label(draw(image, bg_img=None)) == "value"
    path = tmp_path / "contrast-age_stat-t_statmap.nii.gz"
    image.to_filename(path)
    assert _label(draw(path, bg_img=None)) == "t"


@DRAW
def test_a_threshold_of_p_values_is_refused(draw: Any, maps: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"map of p-values .* threshold=3.1 would leave only"):
        draw(maps["p_value"], bg_img=None, threshold=3.1)
    draw(maps["p_value"], bg_img=None)
    draw(maps["stat"], bg_img=None, threshold=3.1)


@DRAW
def test_contradictions_are_told(draw: Any, maps: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "contrast-age_stat-p_statmap.nii.gz"
    # A copy: an image remembers the name under which it is written.
    nib.Nifti1Image(maps["z_score"].dataobj, None, maps["z_score"].header).to_filename(path)  # type: ignore[no-untyped-call]
    with pytest.warns(UserWarning, match="its header says that this is a map of z"):
        assert _label(draw(path, bg_img=None)) == "value"


def _colours(figure: Any) -> Any:
    """Return the colours of the voxels that are drawn, shape (n, 3), of the axes but the bar."""
    drawn = [
        picture.to_rgba(picture.get_array(), bytes=True)
        for ax in figure.axes[:-1]
        for picture in ax.images
        if picture.get_zorder() == 2  # the brain is behind
    ]
    shown = [rgba[rgba[..., 3] > 0][:, :3] for rgba in drawn]
    return np.vstack(shown).astype(int)


@DRAW
@pytest.mark.parametrize("threshold", [None, 0.4])
def test_a_small_f_is_not_drawn_as_if_it_were_negative(
    draw: Any, threshold: float | None, maps: dict[str, Any]
) -> None:
    z_map = maps["z of F"]
    values = z_map.get_fdata()
    assert (values < -(threshold or 0)).any()  # F below its median
    figure = draw(z_map, bg_img=None, threshold=threshold)
    colours = _colours(figure)
    assert len(colours) > 0
    assert (colours[:, 0] >= colours[:, 2]).all()  # nothing is blue
    low, high = figure.axes[-1].get_xlim()
    assert (low, high) == (0, pytest.approx(values.max()))
    # The z of t has two tails, and both are drawn.
    both = _colours(draw(maps["z_score"], bg_img=None, vmax=9.0, threshold=None))
    assert (both[:, 0] < both[:, 2]).any() == (maps["z_score"].get_fdata() < 0).any()


def test_a_scale_of_one_tail_shows_large_values_only() -> None:
    values = np.array([-np.inf, -5.0, 0.0, 2.0, 4.0, np.inf, np.nan])
    scale = Scale.of(values[[1, 2, 3, 4]], 3.0, None, dark=True, one_tail=True)
    assert scale.shows(values).tolist() == [False, False, False, False, True, True, False]
    assert (scale.vmax, scale.signed) == (4.0, False)
    assert not Scale.of(values[:5], None, None, dark=True, one_tail=True).has_infinite
    both = Scale.of(values[1:5], 3.0, None, dark=True)
    assert both.shows(values).tolist() == [True, True, False, False, True, True, False]


def test_a_histogram_knows_what_its_map_holds(maps: dict[str, Any]) -> None:
    from scipy import stats

    def outline(figure: Any) -> Any:
        return np.asarray(figure.axes[0].patches[0].get_path().vertices)

    z = maps["z_score"].get_fdata()
    figure = plot_histogram(maps["z_score"], threshold=2.0)
    assert figure.axes[0].get_xlabel() == "z"
    np.testing.assert_array_equal(outline(figure), outline(plot_histogram(z)))
    with pytest.warns(UserWarning, match="it was converted to z-scores"):
        figure = plot_histogram(maps["stat"])
    # 9 images and 2 columns leave 7 degrees of freedom.
    own = stats.norm.isf(stats.t.sf(maps["stat"].get_fdata(), 7))
    np.testing.assert_allclose(outline(figure), outline(plot_histogram(own)), atol=1e-9)
    figure = plot_histogram(maps["z of F"], threshold=2.0)
    assert figure.axes[0].get_xlabel() == "z of F, one tail"
    assert len(figure.axes[0].lines) == 2  # the curve, and one threshold
    for kind in ("p_value", "effect_size"):
        with pytest.raises(ValueError, match="but z-scores are needed"):
            plot_histogram(maps[kind])
    absent = nib.Nifti1Image(np.full((3, 3, 3), np.nan), np.eye(4))  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match="z holds no value but NaN"):
        plot_histogram(absent)


def test_a_map_in_which_nothing_survives_has_an_empty_histogram(maps: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match="nothing survives"):
        kept, threshold = threshold_stats_img(maps["z_score"], alpha=1e-9, height_control="fdr")
    assert kept is not None
    assert np.isinf(threshold)
    with pytest.warns(UserWarning, match="nothing survives: every value is zero"):
        axes = plot_histogram(kept, threshold=threshold).axes[0]
    heights = np.asarray(axes.patches[0].get_path().vertices)[:, 1]
    assert not heights.any()
    assert axes.get_legend_handles_labels()[1] == ["0 voxels", "standard normal"]
    assert axes.get_xlim() == (-4.5, 4.5)
