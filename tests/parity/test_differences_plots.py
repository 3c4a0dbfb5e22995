# SPDX-License-Identifier: BSD-3-Clause
"""Deliberate differences from nilearn in plots: both answers on the same input."""

from __future__ import annotations

from typing import Any

import nibabel
import nilearn.plotting as theirs
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm import plotting as ours

nib: Any = nibabel  # typed only in part
SHAPE = (9, 10, 11)
CUT = (4.0, 4.0, 4.0)


def _map(values: Any, affine: Any = None) -> Any:
    return nib.Nifti1Image(np.asarray(values, np.float32), np.eye(4) if affine is None else affine)


def _ramp() -> Any:
    """Values from 1 to 6, all positive."""
    return np.linspace(1, 6, int(np.prod(SHAPE))).reshape(SHAPE)


def _picture(display: Any, plane: str = "z") -> Any:
    """Return the picture of the map in a plane."""
    pictures = display.axes[plane].ax.images
    own = [picture for picture in pictures if picture.get_zorder() == 2]
    return (own or list(pictures))[-1]


def _is_blue(display: Any, value: float) -> bool:
    red, _, blue, _ = _picture(display).to_rgba(value)
    return bool(blue > red)


def test_colours_of_one_sign() -> None:
    img = _map(_ramp())
    assert _is_blue(theirs.plot_stat_map(img, None, CUT), 1.5)
    display = ours.plot_stat_map(img, None, CUT)
    assert not _is_blue(display, 1.5)
    assert display.axes[-1].get_xlim() == (0.0, 6.0)


def test_zero_in_plots() -> None:
    values = np.zeros(SHAPE)
    values[4, 4, 4] = 5.0
    shown = {
        package: int(
            np.ma.count(
                _picture(package.plot_stat_map(_map(values), None, CUT, threshold=None)).get_array()
            )
        )
        for package in (ours, theirs)
    }
    assert shown[theirs] == SHAPE[0] * SHAPE[1]
    assert shown[ours] == 1


@pytest.mark.filterwarnings("ignore:Non-finite values detected")  # of nilearn
def test_infinite_values_in_plots() -> None:
    values = np.zeros(SHAPE)
    values[4, 4, 4], values[2, 2, 4] = np.inf, 3.0
    counts = {}
    for package in (ours, theirs):
        picture = _picture(package.plot_stat_map(_map(values), None, CUT, threshold=2))
        counts[package] = int(np.ma.count(picture.get_array()))
    assert counts == {ours: 2, theirs: 1}


def test_threshold_of_p_values_in_plots() -> None:
    rng = np.random.default_rng(0)
    images = [_map(rng.normal(size=SHAPE)) for _ in range(6)]
    design = pd.DataFrame({"one": np.ones(6)})
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    p_map = model.compute_contrast("one", output_type="p_value")
    shown = _picture(theirs.plot_stat_map(p_map, None, CUT, threshold=0.05)).get_array()
    assert shown.min() > 0.05
    with pytest.raises(ValueError, match="which are no evidence"):
        ours.plot_stat_map(p_map, None, CUT, threshold=0.05)


def test_cuts_through_the_peak() -> None:
    values = np.zeros(SHAPE)
    values[1:6, 1:6, 1:6] = 4.0
    values[8, 8, 8] = 9.0
    assert theirs.plot_stat_map(_map(values), None).cut_coords == (3.0, 3.0, 3.0)
    assert ours.plot_stat_map(_map(values), None).cut_coords == (8.0, 8.0, 8.0)


def test_number_of_cuts() -> None:
    values = np.zeros((9, 10, 31))
    values[4, 4, 8], values[4, 4, 20] = 9.0, 8.0
    values[2:7, 2:7, 25:27] = 3.0
    options: dict[str, Any] = {"cut_coords": 2, "display_mode": "z", "threshold": 1}
    shown = theirs.plot_stat_map(_map(values), None, **options)
    assert list(shown.cut_coords) == [8.0, 20.0]
    assert list(ours.plot_stat_map(_map(values), None, **options).cut_coords) == [8.0, 25.0]


def test_values_between_voxels() -> None:
    turned = np.array([[1.0, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    values = np.where(np.indices(SHAPE).sum(axis=0) % 2, 2.0, 6.0)
    shown = {}
    for package in (ours, theirs):
        display = package.plot_stat_map(
            _map(values, turned), None, [4.0], display_mode="z", threshold=1
        )
        ax = next(iter(display.axes.values())).ax
        shown[package] = set(np.unique(np.ma.compressed(ax.images[0].get_array())).tolist())
    assert shown[ours] == {2.0, 6.0}
    assert len(shown[theirs]) > 2


def test_columns_of_a_drawn_design() -> None:
    design = pd.DataFrame({"age": [3.0, 4.0], "one": [1.0, 1.0]})
    drawn: Any = {
        package: package.plot_design_matrix(design).images[0].get_array()
        for package in (ours, theirs)
    }
    np.testing.assert_allclose(drawn[theirs][:, 0], [0.6, 0.8])
    np.testing.assert_allclose(drawn[ours][:, 0], [0.75, 1.0])


def test_options_for_matplotlib() -> None:
    img = _map(_ramp())
    with pytest.warns(UserWarning, match="Overriding with transparency"):
        theirs.plot_stat_map(img, None, CUT, alpha=0.5)
    options: dict[str, Any] = {"alpha": 0.5}
    with pytest.raises(TypeError, match="unexpected keyword argument 'alpha'"):
        ours.plot_stat_map(img, None, CUT, **options)
    display = ours.plot_stat_map(img, None, CUT)
    display.add_overlay(img, alpha=0.5)
    assert display.axes["z"].ax.images[-1].get_alpha() == 0.5


def test_transparency_of_a_glass_brain() -> None:
    img: Any = _map(_ramp())
    theirs.plot_glass_brain(img, transparency=img)
    with pytest.raises(TypeError, match="a glass brain has no single place"):
        ours.plot_glass_brain(img, transparency=img)


def test_edges_and_graphs() -> None:
    values = np.zeros(SHAPE)
    values[3:6, 3:6, 3:6] = 4.0
    displays = [package.plot_glass_brain(_map(values)) for package in (ours, theirs)]
    for name in ("add_edges", "add_graph"):
        assert [hasattr(display, name) for display in displays] == [False, True]


def test_maps_on_surfaces() -> None:
    """Of a vertex above the threshold nilearn draws nothing: triangles have means of corners."""
    from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

    from reference.meshes import folded

    meshes = {side: folded(2, side) for side in ("left", "right")}
    values = {side: np.zeros(len(mesh[0]), np.float32) for side, mesh in meshes.items()}
    outermost = int(meshes["left"][0][:, 0].argmin())
    values["left"][outermost] = 5.0
    parts = {side: InMemoryMesh(*mesh) for side, mesh in meshes.items()}
    image = SurfaceImage(PolyMesh(**parts), values)
    figure = theirs.plot_surf_stat_map(
        stat_map=image, hemi="left", threshold=4.0, colorbar=False, symmetric_cbar=True
    )
    faces = figure.axes[0].collections[0].get_facecolor()
    assert len(figure.axes) == 1
    assert np.ptp(faces[:, :3], axis=1).max() < 0.2  # all grey
    own = ours.plot_surf_stat_map(image, threshold=4.0, colorbar=False)
    assert len(own.axes) == 4
    drawn = np.asarray(own.axes[0].images[0].get_array()).astype(int)
    assert (drawn[..., 0] - drawn[..., 2] > 60).any()
    with pytest.raises(TypeError, match="hemi"):
        ours.plot_surf_stat_map(image, hemi="left")  # type: ignore[call-arg]
