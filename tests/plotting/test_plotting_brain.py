# SPDX-License-Identifier: BSD-3-Clause
"""Without a template, maps lie on a brain that the package makes: it fits MNI space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.datasets import simulate_one_sample_study
from groupglm.plotting import plot_glass_brain, plot_stat_map
from groupglm.plotting.volume import template
from groupglm.plotting.volume.brain import simulated_brain
from groupglm.plotting.volume.template import MNI, find_background
from groupglm.plotting.volume.volumes import Volume
from reference.pages import Page


@pytest.fixture
def no_template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("socket.socket.connect", None)  # a machine without a network


def _mni_mask() -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    from nilearn.datasets import load_mni152_brain_mask

    image = load_mni152_brain_mask(resolution=2)
    return np.asarray(image.dataobj) > 0, image.affine


def _inside(shape: tuple[int, ...], affine: Any) -> NDArray[np.bool_]:
    """Tell which voxels of a grid lie in the simulated brain."""
    voxels = np.indices(shape).reshape(3, -1).T
    x, y, z = (voxels @ affine[:3, :3].T + affine[:3, 3]).T
    found: NDArray[np.bool_] = simulated_brain().nearest(x, y, z).reshape(shape) > 0
    return found


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_the_simulated_brain_fits_the_mni_brain() -> None:
    mask, affine = _mni_mask()
    assert _dice(_inside(mask.shape, affine), mask) > 0.93
    # And in each slab of 24 mm, from the cerebellum upwards.
    k = (np.arange(mask.shape[2]) * affine[2, 2] + affine[2, 3])[np.newaxis, np.newaxis, :]
    for low in range(-48, 72, 24):
        slab = (k >= low) & (k < low + 24) & np.ones(mask.shape, np.bool_)
        found = _dice(_inside(mask.shape, affine) & slab, mask & slab)
        assert found > 0.85, (low, found)
    bounds = simulated_brain().bounds()
    ours = np.array([bounds.low, bounds.high])
    theirs = Volume(mask.astype(np.uint8), affine).bounds()
    np.testing.assert_allclose(ours, [theirs.low, theirs.high], atol=6.0)


def test_its_hemispheres_fissure_and_ventricles_are_seen() -> None:
    brain = simulated_brain()
    assert brain.data.min() == 0
    assert brain.data.max() <= 1
    np.testing.assert_array_equal(brain.data, brain.data[::-1])  # left and right are alike
    white = brain.at((-26.0, -20.0, 30.0))
    assert brain.at((10.0, -2.0, 17.0)) < 0.5 * white  # a lateral ventricle
    assert brain.at((0.0, -60.0, 40.0)) < 0.75 * white  # between the hemispheres
    assert brain.at((0.0, -33.0, -60.0)) > 0  # the stem
    assert brain.at((0.0, 40.0, -60.0)) == 0
    # The cortex is folded: light and dark take turns along a line 8 mm below the surface.
    line = brain.nearest(np.full(80, 40.0), np.linspace(-80, 40, 80), np.full(80, 44.0))
    turns = np.diff(np.sign(np.diff(line[line > 0])))
    assert np.count_nonzero(turns) >= 6


@pytest.mark.usefixtures("no_template")
def test_a_map_in_mni_space_lies_on_the_simulated_brain() -> None:
    mask, affine = _mni_mask()
    background = find_background(MNI, Volume(mask.astype(np.uint8), affine))
    assert background is not None
    assert not background.is_outline
    assert "simulated brain" in background.description
    assert find_background(MNI, None) is not None


@pytest.mark.usefixtures("no_template")
@pytest.mark.parametrize("shift", [(0.0, 0.0, 90.0), (90.0, 90.0, 0.0)])
def test_a_mask_in_another_space_gets_its_outline(shift: tuple[float, float, float]) -> None:
    mask, affine = _mni_mask()
    moved = affine.copy()
    moved[:3, 3] += shift
    background = find_background(MNI, Volume(mask.astype(np.uint8), moved))
    assert background is not None
    assert background.is_outline
    assert "of the mask lies outside a brain in MNI space" in background.description


@pytest.mark.parametrize("where", ["templateflow", "nilearn"])
def test_a_template_is_not_drawn_behind_a_mask_elsewhere(
    where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rule is that of the simulated brain: a fifth of the mask outside is too much."""
    if where == "templateflow":
        monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path))
        path = tmp_path / template._TEMPLATEFLOW.format(res="02")
        path.parent.mkdir(parents=True)
        brain = simulated_brain()
        nib.Nifti1Image(brain.data, brain.affine).to_filename(path)  # type: ignore[no-untyped-call]
    else:
        monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "none"))
    mask, affine = _mni_mask()
    inside = find_background(MNI, Volume(mask.astype(np.uint8), affine))
    assert inside is not None
    assert not inside.is_outline
    assert inside.description.startswith("The background is the ")
    moved = affine.copy()
    moved[:3, 3] += (90.0, 90.0, 0.0)
    outline = find_background(MNI, Volume(mask.astype(np.uint8), moved))
    assert outline is not None
    assert outline.is_outline
    assert outline.description.startswith("The background is not the ")
    assert "of the mask lies outside a brain in MNI space" in outline.description


def _shades(figure: Any, ax: Any) -> NDArray[Any]:
    """Return the grey values of a view's pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(int)  # type: ignore[no-untyped-call]
    (left, bottom), (right, top) = ax.get_window_extent().get_points().round().astype(int)
    inside: NDArray[Any] = pixels[bottom:top, left:right]
    return inside


@pytest.mark.usefixtures("no_template")
@pytest.mark.parametrize(
    ("draw", "mode"),
    [
        (plot_stat_map, "ortho"),
        (plot_stat_map, "z"),
        (plot_stat_map, "yz"),
        (plot_glass_brain, "ortho"),
        (plot_glass_brain, "lyrz"),
    ],
)
def test_every_view_has_a_brain_with_its_sides_named(draw: Any, mode: str) -> None:
    values = np.zeros((61, 73, 61), np.float32)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -90, -126, -72
    values[40, 40, 40] = 5.0
    figure = draw(nib.Nifti1Image(values, affine), display_mode=mode)  # type: ignore[no-untyped-call]
    views = [ax for ax in figure.axes if ax.get_label() != ""]
    assert len(views) >= 2
    for ax in views:
        if ax.get_label() == "" or not ax.texts:
            continue
        shades = _shades(figure, ax)
        ground = shades[0, 0]
        is_brain = (np.abs(shades - ground).max(axis=-1) > 8) & (np.ptp(shades, axis=-1) < 8)
        assert 0.05 < is_brain.mean() < 0.9, ax.get_label()
        places = {text.get_text(): text.get_position()[0] for text in ax.texts}
        if str(ax.get_label())[0] in "xls" or ax.get_label() == "right":
            assert {"L", "R"}.isdisjoint(places)
        else:
            assert places["L"] < 0.5 < places["R"]


@pytest.mark.usefixtures("no_template")
def test_a_page_on_a_bare_machine_shows_the_simulated_brain(tmp_path: Path) -> None:
    study = simulate_one_sample_study(tmp_path, n_subjects=8, voxel_size=8.0)
    model = SecondLevelModel(mask_img=study.mask_img).fit(
        study.paths, design_matrix=study.design_matrix
    )
    page = Page(model.generate_report("intercept").get_standalone())
    assert "the background is a simulated brain" in page.text
    # The mean of a group is one column, of which no image has more than another.
    assert "The design has one column." in page.text
    assert "Every image has the same leverage, 0.125." in page.text
