# SPDX-License-Identifier: BSD-3-Clause
"""Smoothing on a mesh: FreeSurfer's numbers of iterations, rows of a fit, missing values."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.errors import ArgumentError, ArgumentTypeError, ImageError
from groupglm.spaces.surface.mesh import Mesh
from groupglm.spaces.surface.smoothing import achieved_fwhm, check_fwhm, iterations_of
from reference.meshes import folded, graph_of, icosphere, write_metric, write_surface
from reference.smoothing import neighbour_means

pytestmark = pytest.mark.quick

SIDES = ("left", "right")
N = 642
FWHM = 25.0  # some iterations on so coarse a mesh


def mesh_of(side: str) -> Mesh:
    points, faces = folded(3, side)
    return Mesh(side, points.astype(np.float32), faces)


def images(n: int = 5, missing: bool = False) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(4)
    found = {side: rng.standard_normal((n, N)).astype(np.float32) for side in SIDES}
    if missing:
        for own in found.values():
            own[rng.random(own.shape) < 0.1] = np.nan
    return found


def written(folder: Path, values: dict[str, NDArray[np.float32]]) -> tuple[list[Any], Any]:
    """Files of each subject, and the surfaces."""
    files = [
        tuple(
            write_metric(folder / f"sub-{number}_hemi-{side[0].upper()}.shape.gii", own[number])
            for side, own in values.items()
        )
        for number in range(len(values["left"]))
    ]
    surfaces = tuple(
        write_surface(folder / f"{side}.surf.gii", *folded(3, side), side=side) for side in SIDES
    )
    return list(files), surfaces


def smoothed(values: NDArray[Any], side: str, fwhm: float = FWHM) -> NDArray[np.float64]:
    mesh = mesh_of(side)
    graph = graph_of(mesh.faces.astype(np.intp), N)
    return np.array([neighbour_means(row, graph, iterations_of(fwhm, mesh)) for row in values])


def test_iterations_are_those_of_freesurfer() -> None:
    """By the formula of MRISfwhm2niters and MRISniters2fwhm (utils/mrisutils.cpp)."""
    points, faces = icosphere(4)
    whole = Mesh("ball", points * 50, faces)
    for fwhm, mean in ((4.0, 0.7), (6.0, 2.5), (10.0, 2.5), (9.0, 12.0)):
        sigma = fwhm / math.sqrt(math.log(256.0))
        expected = math.floor(1.14 * 4 * math.pi * sigma**2 / (7 * mean) + 0.5)
        areas = np.full(whole.n_vertices, mean)
        assert iterations_of(fwhm, whole, areas) == expected
        # Half an iteration more or less.
        found = achieved_fwhm(expected, whole, areas)
        assert abs(found**2 - fwhm**2) <= 0.5 * achieved_fwhm(1, whole, areas) ** 2 + 1e-9
    own = iterations_of(10.0, whole)
    assert own == iterations_of(10.0, whole, whole.areas)


def test_the_achieved_width_is_that_of_a_point_that_was_smoothed() -> None:
    """On a plane of even triangles the mean square distance of a walk gives sigma."""
    i, j = np.indices((61, 61)).reshape(2, -1)
    side = 2.0
    plane = side * np.stack([i + j / 2, j * 3**0.5 / 2, 0 * i], axis=1)
    first = np.arange(61 * 61).reshape(61, 61)[:-1, :-1].ravel()
    faces = np.concatenate([
        np.stack([first, first + 61, first + 1], 1),
        np.stack([first + 1, first + 61, first + 62], 1),
    ])  # fmt: skip
    mesh, middle, n = Mesh("plane", plane, faces), 30 * 61 + 30, 12
    point = np.zeros((1, mesh.n_vertices))
    point[0, middle] = 1
    from groupglm import _core

    _core.smooth_on_mesh(point, mesh.neighbours(), n, 1)
    squares = ((plane - plane[middle]) ** 2).sum(axis=1)
    sigma = math.sqrt(float(point[0] @ squares) / 2)
    # Each step goes 2 mm with 6/7: sigma^2 = 12 * 4 * 6/7 / 2.
    assert sigma == pytest.approx(math.sqrt(n * side**2 * 6 / 7 / 2), rel=1e-12)
    inner = np.full(mesh.n_vertices, side**2 * 3**0.5 / 2)
    # FreeSurfer's rule counts 7 places and is fitted to real meshes: 14 % wider than this one is.
    found = achieved_fwhm(n, mesh, inner) / math.sqrt(math.log(256.0))
    assert found == pytest.approx(sigma, rel=0.03)


@pytest.mark.parametrize("missing", [False, True])
def test_a_fit_smooths_each_hemisphere_on_its_mesh(tmp_path: Path, missing: bool) -> None:
    values = images(missing=missing)
    files, surfaces = written(tmp_path, values)
    model = SecondLevelModel(smoothing_fwhm=FWHM, surfaces=surfaces, verbose=0)
    found = model.fit(files, design_matrix=design(5)).compute_contrast(output_type="effect_size")
    for side, own in values.items():
        expected = np.nanmean(smoothed(own, side), axis=0)
        # Images are float32, smoothed and averaged in double, and the map is float32 again.
        part = getattr(found, side).darrays[0].data
        np.testing.assert_allclose(part, expected, rtol=0, atol=4e-7)


def design(n: int) -> Any:
    import pandas as pd

    return pd.DataFrame({"intercept": np.ones(n)})


def test_zeros_that_are_missing_are_in_no_mean(tmp_path: Path) -> None:
    values = images()
    values["left"][:, ::9] = 0
    files, surfaces = written(tmp_path, values)
    model = SecondLevelModel(
        smoothing_fwhm=FWHM, surfaces=surfaces, zero_is_missing=True, verbose=0
    )
    found = model.fit(files, design_matrix=design(5)).compute_contrast(output_type="effect_size")
    gaps = values["left"].copy()
    gaps[gaps == 0] = np.nan
    expected = smoothed(gaps, "left").mean(axis=0)
    part: Any = found.left.darrays[0].data
    np.testing.assert_allclose(part, np.nan_to_num(expected), rtol=0, atol=4e-7)


def test_a_saved_model_smooths_again_and_other_widths_are_other_rows(tmp_path: Path) -> None:
    from groupglm.group.fitted_masker import FittedMasker

    files, surfaces = written(tmp_path, images())
    model = SecondLevelModel(smoothing_fwhm=FWHM, surfaces=surfaces, verbose=0)
    model.fit(files, design_matrix=design(5))
    masker: FittedMasker = model.masker_
    assert masker.smoothing_fwhm == FWHM
    facts = masker.space.preparation_facts["Smoothing"]
    for side in SIDES:
        n = iterations_of(FWHM, mesh_of(side))
        expected = achieved_fwhm(n, mesh_of(side))
        assert facts[side] == {"Iterations": n, "AchievedFWHM": round(expected, 4)}
    model.save(tmp_path / "model.groupglm")
    again = SecondLevelModel.load(tmp_path / "model.groupglm")
    np.testing.assert_array_equal(again.masker_.transform(files[0]), masker.transform(files[0]))
    assert again.masker_.space.identity() == masker.space.identity()
    other = SecondLevelModel(smoothing_fwhm=FWHM + 5, surfaces=surfaces, verbose=0)
    other.fit(files, design_matrix=design(5))
    assert other.masker_.space.identity() != masker.space.identity()


def test_what_cannot_be_smoothed_is_refused_before_any_image_is_read(tmp_path: Path) -> None:
    files, surfaces = written(tmp_path, images())

    def fit(fwhm: Any, given: Any = surfaces) -> None:
        SecondLevelModel(smoothing_fwhm=fwhm, surfaces=given, verbose=0).fit(
            files, design_matrix=design(5)
        )

    with pytest.raises(ArgumentError, match="smoothing on a surface need its mesh; give surfaces"):
        fit(6.0, None)
    with pytest.raises(ArgumentTypeError, match="one number on a surface, which has no axes"):
        fit((6.0, 6.0, 6.0))
    with pytest.raises(ArgumentTypeError, match="smoothing_fwhm is 'fast'"):
        fit("fast")
    with pytest.raises(ArgumentError, match="a finite width in mm that is not negative"):
        fit(-1.0)
    with pytest.raises(ArgumentError, match=r"smoothing_fwhm is 900 mm, but .*left\.surf\.gii is"):
        fit(900.0)
    with pytest.warns(UserWarning, match=r"smoothing_fwhm is 2 mm, but the vertices of .*lie too"):
        fit(2.0)
    assert check_fwhm(None) == check_fwhm(0) == 0.0


def test_infinite_values_are_refused(tmp_path: Path) -> None:
    values = images()
    values["right"][2, 7] = np.inf
    files, surfaces = written(tmp_path, values)
    ones = np.ones(N, np.float32)
    mask = tuple(write_metric(tmp_path / f"mask_hemi-{h}.shape.gii", ones) for h in "LR")
    model = SecondLevelModel(mask_img=mask, smoothing_fwhm=FWHM, surfaces=surfaces, verbose=0)
    with pytest.raises(ImageError, match=r"sub-2_hemi-R\.shape\.gii: 1 infinite value, which smoo"):
        model.fit(files, design_matrix=design(5))


@pytest.mark.parametrize("fwhm", [None, FWHM])
def test_each_file_is_read_once_whatever_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fwhm: float | None
) -> None:
    from groupglm.spaces.surface import kept
    from groupglm.spaces.surface.reading.sources import GiftiSource

    files, surfaces = written(tmp_path, images())
    counts: Counter[str] = Counter()
    read: Any = GiftiSource.read
    module: Any = kept
    scratch = module.ScratchFile

    def counted(source: GiftiSource) -> Any:
        counts[source.name] += 1
        return read(source)

    def made(*sizes: int) -> Any:
        counts["scratch"] += 1
        return scratch(*sizes)

    monkeypatch.setattr(GiftiSource, "read", counted)
    monkeypatch.setattr(kept, "ScratchFile", made)
    found = []
    for memory_budget in (2**29, 150_000):  # the values take 51 kB
        counts.clear()
        model = SecondLevelModel(
            smoothing_fwhm=fwhm, surfaces=surfaces, memory_budget=memory_budget, verbose=0
        )
        found.append(model.fit(files, design_matrix=design(5)).compute_contrast())
        in_scratch = counts.pop("scratch", 0)
        assert in_scratch == (fwhm is not None and memory_budget < 2**29)
        assert len(counts) == 10
        assert set(counts.values()) == {1}
    for side in SIDES:
        np.testing.assert_array_equal(*(getattr(image, side).darrays[0].data for image in found))


@pytest.mark.parametrize("how", ["smoothed", "from the cache", "zero_is_missing", "in one pass"])
def test_a_mean_of_zero_is_not_background(tmp_path: Path, how: str) -> None:
    values = images(4)
    values["left"][:, 7] = [1, -1, 2, -2]
    values["right"][:, 9] = 0
    if how == "zero_is_missing":
        values["left"][:, 7] = [0, 0, 0, 0]
        values["right"][:, 11] = [1, -1, 0, 0]
    files, surfaces = written(tmp_path, values)
    options: dict[str, Any] = {
        "smoothed": {"smoothing_fwhm": FWHM, "surfaces": surfaces},
        "from the cache": {"memory": str(tmp_path / "cache")},
        "zero_is_missing": {"zero_is_missing": True},
        "in one pass": {},
    }[how]
    for _ in range(2):
        model = SecondLevelModel(**options).fit(files, design_matrix=_ones(4))
        left, right = (own.agg_data() for own in model.masker_.mask_img_.parts.values())
        assert left[7] == (how != "zero_is_missing")
        assert right[11] == 1
        assert right[9] == 0


def _ones(n: int) -> Any:
    import pandas as pd

    return pd.DataFrame({"one": np.ones(n)})


def test_a_width_that_does_not_smooth_is_told_once(tmp_path: Path) -> None:
    files, surfaces = written(tmp_path, images(4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SecondLevelModel(smoothing_fwhm=1.0, surfaces=surfaces)
        model.fit(files, design_matrix=_ones(4)).compute_contrast("one")
    told = [str(one.message) for one in caught if "nothing is smoothed" in str(one.message)]
    assert len(told) == 2  # one for each hemisphere
