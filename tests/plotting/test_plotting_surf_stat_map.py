# SPDX-License-Identifier: BSD-3-Clause
"""`plot_surf_stat_map` of every kind of map with hemispheres: its pictures and its refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from nibabel.cifti2.cifti2 import Cifti2Image
from nibabel.cifti2.cifti2_axes import BrainModelAxis, ScalarAxis
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.datasets import simulate_surface_study
from groupglm.errors import ImageError
from groupglm.plotting import plot_glass_brain, plot_stat_map, plot_surf_stat_map
from reference.meshes import folded, write_metric, write_surface
from reference.surface_study import SIDES, surface_study

LEVEL = 2
MESHES = {side: folded(LEVEL, side) for side in SIDES}
N = len(MESHES["left"][0])
SHOWN = ["left lateral", "right lateral", "left medial", "right medial"]


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a map that is 5 on the outside of the left and -4 on that of the right, in files."""
    folder = tmp_path_factory.mktemp("maps")
    found: dict[str, Any] = {"values": {}, "maps": [], "surfaces": []}
    for side, value in zip(SIDES, (5.0, -4.0), strict=True):
        points, faces = MESHES[side]
        outside = np.abs(points[:, 0]) > np.percentile(np.abs(points[:, 0]), 80)
        found["values"][side] = np.where(outside, value, 0.5).astype(np.float32)
        letter = side[0].upper()
        name = folder / f"hemi-{letter}_stat-z.func.gii"
        found["maps"].append(write_metric(name, found["values"][side]))
        file = folder / f"hemi-{letter}_pial.surf.gii"
        found["surfaces"].append(write_surface(file, points, faces, side=side))
    return found


def _pixels(figure: Any) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Return the pixels of a figure, and those of each axes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    buffer: Any = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    whole = np.asarray(buffer)[..., :3].astype(np.int64)
    parts = []
    for ax in figure.axes:
        (x0, y0), (x1, y1) = np.round(ax.get_window_extent().get_points()).astype(int)
        parts.append(whole[len(whole) - y1 : len(whole) - y0, x0:x1])
    return whole, parts


def _signs(part: NDArray[np.int64]) -> tuple[bool, bool]:
    """Tell whether there are red and blue pixels."""
    warm = part[..., 0] - part[..., 2]
    return bool((warm > 60).sum() > 20), bool((warm < -60).sum() > 20)


def _cifti(values: dict[str, NDArray[Any]]) -> Any:
    """Return a dscalar of the cortex and four voxels."""
    model: Any = BrainModelAxis
    scalars: Any = ScalarAxis
    image: Any = Cifti2Image
    axis = model.from_mask(np.ones(N, np.bool_), name="CortexLeft")
    axis += model.from_mask(np.ones(N, np.bool_), name="CortexRight")
    box = np.zeros((4, 4, 4), np.bool_)
    box[1, 1] = True
    axis += model.from_mask(box, affine=np.diag([4.0, 4, 4, 1]), name="ThalamusLeft")
    row = np.concatenate([*values.values(), np.full(4, 99.0)]).astype(np.float32)
    return image(row[np.newaxis], (scalars(["z"]), axis))


@pytest.mark.parametrize("kind", ["pair", "mapping", "surface image", "maps", "cifti"])
def test_each_kind_of_map_is_drawn(kind: str, files: dict[str, Any], tmp_path: Path) -> None:
    surfaces: Any = tuple(files["surfaces"])
    given: Any = tuple(files["maps"])
    if kind == "mapping":
        given = dict(zip(SIDES, given, strict=True))
        surfaces = dict(zip(SIDES, surfaces, strict=True))
    elif kind == "surface image":  # brings its mesh
        meshes = {side: InMemoryMesh(*MESHES[side]) for side in SIDES}
        given, surfaces = SurfaceImage(PolyMesh(**meshes), files["values"]), None
    elif kind == "maps":  # of a model, which bring their mesh
        study = surface_study(tmp_path, LEVEL, 12)
        model = SecondLevelModel(surfaces=study.surfaces)
        given = model.fit(study.images, design_matrix=study.design).compute_contrast("group")
        surfaces = None
    elif kind == "cifti":
        given = _cifti(files["values"])
    # Of the model's z, 324 vertices of noise: 0.2 are expected beyond 3.5.
    figure = plot_surf_stat_map(given, surfaces, threshold=3.5)
    assert [ax.get_label() for ax in figure.axes[:4]] == SHOWN
    assert figure.number in plt.get_fignums()
    assert len(figure.axes) == 5  # and the colour bar
    _, parts = _pixels(figure)
    assert [_signs(part) for part in parts[:2]] == [(True, False), (False, True)]
    if kind == "cifti":  # voxels have no part in the scale
        assert figure.axes[4].get_xlim()[1] == 5


def test_one_hemisphere_and_one_view(files: dict[str, Any]) -> None:
    figure = plot_surf_stat_map(
        files["maps"][1], files["surfaces"][1], views="lateral", colorbar=False, annotate=False
    )
    (ax,) = figure.axes
    assert ax.get_label() == "right lateral"
    assert not ax.texts
    assert _signs(_pixels(figure)[1][0])[1]


def test_the_threshold_the_limits_and_the_label_are_those_of_slices(files: dict[str, Any]) -> None:
    given: dict[str, Any] = {"surfaces": tuple(files["surfaces"]), "views": ["lateral"]}
    figure = plot_surf_stat_map(tuple(files["maps"]), **given, threshold=4.5, title="$x$ and <y>")
    _, parts = _pixels(figure)
    assert [_signs(part) for part in parts[:2]] == [(True, False), (False, False)]
    bar = figure.axes[2]
    assert bar.get_xlim() == (-5.625, 5.625)  # the bar shows the threshold
    assert bar.get_xlabel() == "z; grey: not shown, up to 4.50"  # by its name
    figure = plot_surf_stat_map(tuple(files["maps"]), **given, vmax=8, label="t of group")
    assert figure.axes[2].get_xlim() == (-8, 8)
    assert figure.axes[2].get_xlabel() == "t of group"
    figure = plot_surf_stat_map(tuple(files["maps"]), **given, vmin=0, black_bg=True)
    whole, parts = _pixels(figure)
    assert whole[0, 0].tolist() == [0, 0, 0]
    assert [_signs(part) for part in parts[:2]] == [(True, False), (False, False)]


def test_it_draws_in_a_figure_and_in_axes_and_saves(files: dict[str, Any], tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "stat_map_img": tuple(files["maps"]),
        "surfaces": tuple(files["surfaces"]),
    }
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
    assert plot_surf_stat_map(**given, axes=axes[1], threshold=2) is figure
    own = figure.axes[2:]
    assert [ax.get_label() for ax in own[:4]] == SHOWN
    figure.canvas.draw()
    outer = axes[1].get_position()
    for ax in own:
        box = ax.get_position()
        assert outer.x0 - 1e-9 <= box.x0 < box.x1 <= outer.x1 + 1e-9
        assert outer.y0 - 1e-9 <= box.y0 < box.y1 <= outer.y1 + 1e-9
    other = plt.figure()
    file = tmp_path / "pictures" / "z.png"
    assert plot_surf_stat_map(**given, figure=other, output_file=file) is other
    assert file.read_bytes()[1:4] == b"PNG"


def test_the_shades_are_none_curvature_or_a_map(files: dict[str, Any], tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "stat_map_img": files["maps"][0], "surfaces": files["surfaces"][0], "views": ["dorsal"],
        "colorbar": False, "annotate": False, "threshold": 9,
    }  # fmt: skip
    pictures = []
    ramp = write_metric(tmp_path / "lh.sulc.gii", MESHES["left"][0][:, 1].astype(np.float32))
    for bg_map in (None, "auto", str(ramp)):
        (part,) = _pixels(plot_surf_stat_map(**given, bg_map=bg_map))[1]
        pictures.append(part[..., 0])
    flat, curved, ramped = pictures
    inside = flat < 255
    assert (curved != flat)[inside].mean() > 0.8
    rows = np.nonzero(inside)[0]
    # The front of the brain, at the top, has the larger values of the map, which are dark.
    relative = (ramped / np.maximum(flat, 1))[inside]
    assert np.corrcoef(rows, relative)[0, 1] > 0.8


def test_what_cannot_be_drawn_is_refused_by_name(files: dict[str, Any], tmp_path: Path) -> None:
    maps, surfaces = tuple(files["maps"]), tuple(files["surfaces"])
    volume = nib.Nifti1Image(np.ones((3, 3, 3)), np.eye(4))  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match=r"stat_map_img has no hemisphere: .* plot_stat_map"):
        plot_surf_stat_map(volume)
    with pytest.raises(ValueError, match=r"needs their mesh.*left and right.*surfaces=\(left, rig"):
        plot_surf_stat_map(maps)
    few = write_surface(tmp_path / "lh.few.surf.gii", *folded(1, "left"), side="left")
    with pytest.raises((ValueError, ImageError), match="42 vertices"):
        plot_surf_stat_map(maps, (few, surfaces[1]))
    short = write_metric(tmp_path / "lh.short.shape.gii", np.ones(42, np.float32))
    with pytest.raises(ValueError, match=r"bg_map has 42 vertices for the left hemisphere.*162"):
        plot_surf_stat_map(maps[0], surfaces[0], bg_map=short)
    wrong: list[tuple[Any, Any]] = [
        ("inside", ValueError), (["lateral", "lateral"], ValueError), ([], ValueError),
        (3, TypeError), (["lateral", None], ValueError),
    ]  # fmt: skip
    for views, error in wrong:
        with pytest.raises(error, match="views"):
            plot_surf_stat_map(maps, surfaces, views=views)
    p = [
        write_metric(tmp_path / f"hemi-{letter}_stat-p.func.gii", np.full(N, 0.5, np.float32))
        for letter in "LR"
    ]
    with pytest.raises(ValueError, match=r"threshold=0\.4 would leave only"):
        plot_surf_stat_map(tuple(p), surfaces, threshold=0.4)
    with pytest.raises(ValueError, match="cmap"):
        plot_surf_stat_map(maps, surfaces, cmap="no such colours")
    assert not plt.get_fignums()


def test_nan_zero_and_infinity_are_three_things(files: dict[str, Any], tmp_path: Path) -> None:
    points = MESHES["left"][0]
    values = np.zeros(N, np.float32)
    values[points[:, 2] > 0] = np.nan
    values[points[:, 2].argmax()] = np.inf
    file = write_metric(tmp_path / "lh.z.func.gii", values)
    figure = plot_surf_stat_map(file, files["surfaces"][0], views=["dorsal"], threshold=3)
    part = _pixels(figure)[1][0]
    assert _signs(part)[0]  # the infinite one, in the last colour
    coloured = (part[..., 0] - part[..., 2]) > 60
    assert coloured.sum() < 0.1 * (part.max(axis=-1) < 250).sum()
    assert "infinite: last colour" in figure.axes[1].get_xlabel()


@pytest.mark.parametrize("kind", ["pair", "dscalar"])
@pytest.mark.parametrize("draw", [plot_stat_map, plot_glass_brain])
def test_pictures_of_voxels_name_the_function_for_surfaces(
    kind: str, draw: Any, tmp_path: Path
) -> None:
    study = simulate_surface_study(tmp_path, n_subjects=4, n_divisions=2)
    given = study.paths[0] if kind == "pair" else study.dscalars[0]
    with pytest.raises(TypeError, match=r"stat_map_img holds vertices .*plot_surf_stat_map"):
        draw(given)
    fitted = SecondLevelModel().fit(
        study.paths if kind == "pair" else study.dscalars,
        design_matrix=pd.DataFrame({"mean": np.ones(4)}),
    )
    with pytest.raises(TypeError, match="plot_surf_stat_map"):
        draw(fitted.compute_contrast("mean"))
