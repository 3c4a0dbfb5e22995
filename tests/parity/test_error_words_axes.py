# SPDX-License-Identifier: BSD-3-Clause
"""An image with too many or too few axes is nilearn's kind of error in its words, at every door."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel

from groupglm import SecondLevelModel
from groupglm.errors import DimensionError, ImageError
from reference.oracle import N_IMAGES, SHAPE, image, map_table, mask_image, quiet, save, volumes

nib: Any = nibabel  # typed only in part
DESIGN = pd.DataFrame({"intercept": np.ones(N_IMAGES)})
Z = volumes()[0]


def _call(module: str, name: str, **first: Any) -> Callable[[str, Any], Any]:
    """Return the call of a function of either package whose first argument has the wrong axes."""
    return lambda package, wrong: getattr(importlib.import_module(package + module), name)(
        wrong, **first
    )


def _beside(module: str, name: str, argument: str, **more: Any) -> Callable[[str, Any], Any]:
    """The same for another argument, beside a good map."""
    return lambda package, wrong: getattr(importlib.import_module(package + module), name)(
        image(Z), **{argument: wrong}, **more
    )


def _model(package: str) -> Any:
    return importlib.import_module(f"{package}.glm.second_level").SecondLevelModel(mask_image())


def _fitted(package: str) -> Any:
    return _model(package).fit([image(each) for each in volumes()], design_matrix=DESIGN)


DOORS: dict[str, Callable[[str, Any], Any]] = {
    "plot": _call(".plotting", "plot_stat_map", bg_img=None),
    "background": _beside(".plotting", "plot_stat_map", "bg_img"),
    "transparency": _beside(".plotting", "plot_stat_map", "transparency", bg_img=None),
    "glass brain": _call(".plotting", "plot_glass_brain"),
    "overlay": lambda package, wrong: (
        importlib.import_module(f"{package}.plotting")
        .plot_stat_map(image(Z), bg_img=None)
        .add_overlay(wrong)
    ),
    "table": _call(".reporting", "get_clusters_table", stat_threshold=3.0),
    "clusters": _call(".glm", "cluster_level_inference", threshold=3.0),
    "mask of a threshold": _beside(".glm", "threshold_stats_img", "mask_img"),
    "report": lambda package, wrong: _fitted(package).generate_report("intercept", bg_img=wrong),
}
WORDS = "Input data has incompatible dimensionality: Expected dimension is 3D and you provided a "


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize("package", ["groupglm", "nilearn"])
@pytest.mark.parametrize("call", DOORS.values(), ids=DOORS)
def test_a_4d_image_is_a_type_error_in_the_same_words(
    package: str, call: Callable[[str, Any], Any]
) -> None:
    wrong = image(np.stack([mask_image().get_fdata()] * 2, axis=-1))
    with quiet(), pytest.raises(TypeError, match=f"{WORDS}4D image") as caught:
        call(package, wrong)
    if package == "groupglm":
        assert isinstance(caught.value, ImageError)  # and with it a ValueError
        assert "holds 2 volumes" in str(caught.value)


@pytest.mark.parametrize("package", ["groupglm", "nilearn"])
@pytest.mark.parametrize("shape", [SHAPE[:2], (*SHAPE, 2, 2)])
@pytest.mark.parametrize("door", ["plot", "background", "table", "clusters"])
def test_other_numbers_of_axes_too(package: str, door: str, shape: tuple[int, ...]) -> None:
    wrong = nib.Nifti1Image(np.ones(shape, np.float32), np.eye(4))
    with quiet(), pytest.raises(TypeError, match=f"{WORDS}{len(shape)}D image"):
        DOORS[door](package, wrong)


def _save(folder: Path) -> Any:
    paths = save([image(np.stack([each, each], axis=-1)) for each in volumes()], folder)
    return map_table(paths)


@pytest.mark.parametrize("package", ["groupglm", "nilearn"])
def test_maps_of_a_table_too(package: str, tmp_path: Path) -> None:
    with quiet(), pytest.raises(TypeError, match=f"{WORDS}4D image"):
        _model(package).fit(_save(tmp_path), design_matrix=DESIGN).compute_contrast(
            "intercept", first_level_contrast="faces"
        )


@pytest.mark.parametrize("package", ["groupglm", "nilearn"])
def test_effects_of_an_f_contrast_of_first_level_models_too(package: str) -> None:
    rng = np.random.default_rng(0)
    runs = [nib.Nifti1Image(rng.normal(100, 1, (4, 4, 4, 12)), np.eye(4)) for _ in range(3)]
    mask = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    design = pd.DataFrame(rng.normal(size=(12, 3)), columns=["a", "b", "mean"])
    models = [
        FirstLevelModel(mask_img=mask, subject_label=f"{i}", noise_model="ols") for i in range(3)
    ]
    with quiet():
        for first, run in zip(models, runs, strict=True):
            first.fit(run, design_matrices=design)
    model = importlib.import_module(f"{package}.glm.second_level").SecondLevelModel()
    with quiet(), pytest.raises(TypeError, match=f"{WORDS}4D image"):
        model.fit(models).compute_contrast(first_level_contrast=np.eye(2, 3))


def test_what_says_where_an_image_is_in_a_list_keeps_the_kind(tmp_path: Path) -> None:
    paths = list(_save(tmp_path)["effects_map_path"])
    with pytest.raises(DimensionError, match=r"map00.*item 1 of the list"):
        SecondLevelModel().fit(paths, design_matrix=DESIGN)
