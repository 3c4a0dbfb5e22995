# SPDX-License-Identifier: BSD-3-Clause
"""No argument of a public function is accepted and then ignored, whatever it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import NiftiMasker

from groupglm import (
    SecondLevelModel,
    cluster_level_inference,
    design_from_formula,
    estimate_smoothness,
    fit_ols,
    get_clusters_table,
    get_results_table,
    make_second_level_design_matrix,
    non_parametric_inference,
    permuted_ols,
    plotting,
    ptfce,
    resample_img,
    resample_to,
    resample_to_img,
    smooth_img,
    threshold_stats_img,
)
from groupglm.inference.random_fields.smoothness import Smoothness
from reference.meshes import folded, metric_image, surface_image

N = 6
RNG = np.random.default_rng(0)
DESIGN = pd.DataFrame({"intercept": np.ones(N), "age": np.arange(float(N))})
IMAGES: Any = [
    nib.Nifti1Image(np.pad(RNG.normal(1, 1, size=(4, 4, 4)), 3), np.eye(4))  # type: ignore[no-untyped-call]
    for _ in range(N)
]
MASK: Any = nib.Nifti1Image(np.pad(np.ones((4, 4, 4), np.uint8), 3), np.eye(4))  # type: ignore[no-untyped-call]
Y = RNG.normal(size=(N, 4))
SURFACE = folded(1)
MODEL = SecondLevelModel(minimize_memory=False).fit(IMAGES, design_matrix=DESIGN)


class Nonsense:
    """A value of a type that no argument takes."""


def _fit(**given: Any) -> Any:
    return SecondLevelModel().fit(**given)


def _model(**given: Any) -> Any:
    return SecondLevelModel(**given).fit(IMAGES, design_matrix=DESIGN)


CALLS: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "permuted_ols": (
        permuted_ols,
        permuted_ols,
        {"tested_vars": DESIGN[["age"]].to_numpy(), "target_vars": Y, "n_perm": 5},
    ),
    "non_parametric_inference": (
        non_parametric_inference,
        non_parametric_inference,
        {
            "second_level_input": IMAGES,
            "design_matrix": DESIGN,
            "second_level_contrast": "age",
            "n_perm": 5,
        },
    ),
    "threshold_stats_img": (
        threshold_stats_img,
        threshold_stats_img,
        {"stat_img": IMAGES[0], "alpha": 0.5},
    ),
    "get_clusters_table": (
        get_clusters_table,
        get_clusters_table,
        {"stat_img": IMAGES[0], "stat_threshold": 1.0},
    ),
    "get_results_table": (
        get_results_table,
        get_results_table,
        {"stat_img": IMAGES[0], "stat_threshold": 1.0, "correction": "fpr"},
    ),
    "cluster_level_inference": (
        cluster_level_inference,
        cluster_level_inference,
        {"stat_img": IMAGES[0]},
    ),
    "ptfce": (
        ptfce,
        ptfce,
        {"z_img": IMAGES[0], "smoothness": Smoothness.of_box((4, 4, 4), fwhm=3.0)},
    ),
    "estimate_smoothness": (estimate_smoothness, estimate_smoothness, {"images": IMAGES}),
    "smooth_img": (smooth_img, smooth_img, {"imgs": IMAGES[0], "fwhm": 2}),
    "resample_img": (
        resample_img,
        resample_img,
        {"img": IMAGES[0], "target_affine": 2 * np.eye(3)},
    ),
    "resample_to": (resample_to, resample_to, {"img": IMAGES[0], "reference": IMAGES[0]}),
    "resample_to_img": (
        resample_to_img,
        resample_to_img,
        {"source_img": IMAGES[0], "target_img": IMAGES[0]},
    ),
    "fit_ols": (fit_ols, fit_ols, {"X": DESIGN, "Y": Y}),
    "make_second_level_design_matrix": (
        make_second_level_design_matrix,
        make_second_level_design_matrix,
        {"subjects_label": list("abcdef")},
    ),
    "design_from_formula": (
        design_from_formula,
        design_from_formula,
        {"formula": "~ age", "table": DESIGN},
    ),
    "fit": (SecondLevelModel.fit, _fit, {"second_level_input": IMAGES, "design_matrix": DESIGN}),
    "SecondLevelModel": (SecondLevelModel.__init__, _model, {}),
    "compute_contrast": (
        SecondLevelModel.compute_contrast,
        MODEL.compute_contrast,
        {"second_level_contrast": "age"},
    ),
    "compute_equivalence": (
        SecondLevelModel.compute_equivalence,
        MODEL.compute_equivalence,
        {"second_level_contrast": "age", "bounds": (-1.0, 1.0)},
    ),
    "compute_confidence_sets": (
        SecondLevelModel.compute_confidence_sets,
        MODEL.compute_confidence_sets,
        {"second_level_contrast": "age", "level": 0.1, "n_bootstraps": 100},
    ),
    "generate_report": (
        SecondLevelModel.generate_report,
        MODEL.generate_report,
        {"contrasts": "age"},
    ),
    "plot_stat_map": (
        plotting.plot_stat_map,
        plotting.plot_stat_map,
        {"stat_map_img": IMAGES[0], "bg_img": None},
    ),
    "plot_glass_brain": (
        plotting.plot_glass_brain,
        plotting.plot_glass_brain,
        {"stat_map_img": IMAGES[0], "bg_img": None},
    ),
    "plot_surf_stat_map": (
        plotting.plot_surf_stat_map,
        plotting.plot_surf_stat_map,
        {
            "stat_map_img": {"left": metric_image(SURFACE[0][:, 2])},
            "surfaces": {"left": surface_image(*SURFACE)},
            "views": "lateral",
        },
    ),
    "plot_design_matrix": (
        plotting.plot_design_matrix,
        plotting.plot_design_matrix,
        {"design_matrix": DESIGN},
    ),
}
ARGUMENTS = [
    (name, argument)
    for name, (function, _, _) in CALLS.items()
    for argument in inspect.signature(function).parameters
    if argument != "self"
]


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of the data; an ignored argument may not warn
def test_an_object_of_no_kind_is_refused(name: str, argument: str) -> None:
    _, call, given = CALLS[name]
    with pytest.raises((TypeError, ValueError)):
        call(**{**given, argument: Nonsense()})


def test_a_masker_that_nothing_needs_is_still_one() -> None:
    """Only clusters need it; it is checked in the same way without them."""
    tested = DESIGN[["age"]].to_numpy()
    with pytest.raises(TypeError, match=r"masker is a str without mask_img_; give a fitted"):
        permuted_ols(tested, Y, n_perm=5, masker="x")
    masker = NiftiMasker(mask_img=MASK, standardize=None).fit()
    with pytest.raises(ValueError, match=r"target_vars has 4 columns, .* masker has 64 voxels"):
        permuted_ols(tested, Y, n_perm=5, masker=masker)
    data = RNG.normal(size=(N, 64))
    options: Any = {"n_perm": 50, "random_state": 0}
    np.testing.assert_array_equal(
        permuted_ols(tested, data, masker=masker, **options)["logp_max_t"],
        permuted_ols(tested, data, **options)["logp_max_t"],
    )


def test_what_chooses_nothing_is_told_by_a_permutation_test_too() -> None:
    with pytest.warns(UserWarning, match=r"first_level_contrast='a' has no effect: the model was"):
        non_parametric_inference(
            IMAGES,
            design_matrix=DESIGN,
            second_level_contrast="age",
            first_level_contrast="a",
            n_perm=50,
            random_state=0,
        )


def test_a_file_is_no_folder_for_a_cache(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(ValueError, match=r"memory is '.*cache', which is a file; give .* a folder"):
        _model(memory=tmp_path / "cache")
