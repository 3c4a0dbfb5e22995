# SPDX-License-Identifier: BSD-3-Clause
"""Every array and option of every public function goes through the gate; none is forgotten.

What an argument is follows from its annotation; what is annotated with `Any` is listed here, and a
new one fails until it is. Masks, imaginary parts, fractions and text are refused, never dropped.
"""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import SecondLevelModel, bids, datasets, fit_ols, permuted_ols, plotting
from groupglm.cli.wording import as_options
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.smoothness import Smoothness
from groupglm.messages import argument
from groupglm.models.results import OlsFit
from groupglm.runtime.arguments import (
    check_choice,
    check_truth,
    check_verbose,
    real_array,
    real_number,
    whole_number,
)
from reference.meshes import folded, metric_image, surface_image

Call = Callable[..., Any]


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


N = 8
RNG = np.random.default_rng(5)
X = np.column_stack([np.ones(N), np.arange(N) % 2.0])
Y = RNG.normal(size=(N, 30))
DESIGN = pd.DataFrame(X, columns=["intercept", "group"])
SHAPE = (5, 5, 5)
IMAGES = [image(RNG.normal(1, 1, SHAPE)) for _ in range(N)]
MASK = image(np.ones(SHAPE, np.uint8))
Z = image(RNG.normal(0, 3, SHAPE))
SURFACE = folded(1)
SMOOTH = Smoothness.of_box(SHAPE, fwhm=3.0, df=6.0)
CONFOUNDS = pd.DataFrame({"subject_label": list("abcdefgh"), "age": np.arange(8.0)})


def estimator(**options: Any) -> Any:
    """Fit and use a model by the options of its constructor."""
    model = SecondLevelModel(**{"mask_img": MASK, **options}).fit(IMAGES, design_matrix=DESIGN)
    return model.residuals() if "minimize_memory" in options else model


def fitted() -> SecondLevelModel:
    return SecondLevelModel(MASK).fit(IMAGES, design_matrix=DESIGN)


def robust() -> SecondLevelModel:
    return SecondLevelModel(MASK, model="robust").fit(IMAGES, design_matrix=DESIGN)


def calls() -> dict[str, Call]:
    """Return a call of each public function that has what it needs."""
    fit = fit_ols(X, Y)
    maps: dict[str, Any] = {"stat_img": Z, "mask_img": MASK}
    permuted: dict[str, Any] = {
        "tested_vars": X[:, 1],
        "target_vars": Y,
        "n_perm": 5,
        "random_state": 1,
    }
    tested: dict[str, Any] = {"second_level_input": IMAGES, "design_matrix": DESIGN, "n_perm": 5}
    tested |= {"second_level_contrast": "group", "mask": MASK, "random_state": 1}
    drawn: dict[str, Any] = {"stat_map_img": Z, "bg_img": None}
    return {
        "SecondLevelModel": estimator,
        "SecondLevelModel.fit": partial(
            SecondLevelModel(MASK).fit, second_level_input=IMAGES, design_matrix=DESIGN
        ),
        "SecondLevelModel.compute_contrast": lambda **given: fitted().compute_contrast(
            **{"second_level_contrast": "group", **given}
        ),
        "SecondLevelModel.compute_equivalence": lambda **given: fitted().compute_equivalence(
            **{"second_level_contrast": "group", "bounds": (-1.0, 1.0), **given}
        ),
        "SecondLevelModel.compute_confidence_sets": lambda **given: (
            fitted().compute_confidence_sets(
                **{"second_level_contrast": "group", "level": 0.1, **given}
            )
        ),
        "SecondLevelModel.generate_report": lambda **given: fitted().generate_report(
            **{"contrasts": "group", "bg_img": None, **given}
        ),
        "RepeatedMeasures": groupglm.RepeatedMeasures,
        "Robust": groupglm.Robust,
        "SecondLevelModel.weights_at": lambda **given: fitted().weights_at(
            **{"position": (2.0, 2.0, 2.0), **given}
        ),
        "SecondLevelModel.weights_image": lambda **given: robust().weights_image(
            **{"subject": "image 1 in memory", **given}
        ),
        "UnequalVariances": groupglm.UnequalVariances,
        "cluster_level_inference": partial(groupglm.cluster_level_inference, **maps),
        "conjunction_img": partial(groupglm.conjunction_img, stat_imgs=[Z, Z], mask_img=MASK),
        "design_from_formula": partial(
            groupglm.design_from_formula, formula="~ group", table=DESIGN
        ),
        "estimate_smoothness": partial(
            groupglm.estimate_smoothness, images=IMAGES, mask_img=MASK, df=6.0
        ),
        "extract_values": partial(groupglm.extract_values, model_or_images=IMAGES, regions=MASK),
        "fdr_threshold": partial(groupglm.fdr_threshold, z_vals=np.arange(4.0), alpha=0.05),
        "FixedEffects": groupglm.FixedEffects,
        "MixedEffects": groupglm.MixedEffects,
        "fit_repeated": partial(groupglm.fit_repeated, X=X, Y=Y, subjects=np.arange(N) // 2),
        "fit_robust": partial(groupglm.fit_robust, X=X, Y=Y),
        "fit_mixed": partial(groupglm.fit_mixed, X=X, Y=Y, V=np.ones((N, 30))),
        "fit_ols": partial(fit_ols, X=X, Y=Y),
        "fit_weighted": partial(
            groupglm.fit_weighted, X=X, Y=Y, W=np.ones(N), Z=RNG.normal(size=(1, N, 30))
        ),
        "OlsFit.contrast": partial(fit.contrast, contrast=[0, 1]),
        "OlsFit.predicted": partial(fit.predicted, X=X),
        "OlsFit.residuals": partial(fit.residuals, X=X, Y=Y),
        "get_clusters_table": partial(groupglm.get_clusters_table, stat_img=Z, stat_threshold=2.5),
        "get_results_table": partial(
            groupglm.get_results_table,
            stat_img=Z,
            stat_threshold=2.0,
            mask_img=MASK,
            correction="bonferroni",
        ),
        "load_atlas": partial(groupglm.load_atlas, image=MASK),
        "make_second_level_design_matrix": partial(
            groupglm.make_second_level_design_matrix,
            subjects_label=list("abcdefgh"),
            confounds=CONFOUNDS,
        ),
        "math_img": partial(groupglm.math_img, formula="a + 1", a=Z),
        "non_parametric_inference": partial(groupglm.non_parametric_inference, **tested),
        "permuted_ols": partial(permuted_ols, **permuted),
        "ptfce": partial(groupglm.ptfce, z_img=Z, mask_img=MASK, smoothness=SMOOTH),
        "repeated_from_formula": partial(
            groupglm.repeated_from_formula,
            formula="~ group + (1 | subject)",
            table=DESIGN.assign(subject=np.arange(N) // 2),
        ),
        "resample_img": partial(groupglm.resample_img, img=Z),
        "resample_to": partial(groupglm.resample_to, img=Z, reference=MASK),
        "resample_to_img": partial(groupglm.resample_to_img, source_img=Z, target_img=MASK),
        "smooth_img": partial(groupglm.smooth_img, imgs=Z, fwhm=2.0),
        "Sphere": partial(groupglm.Sphere, center=(0.0, 0.0, 0.0), radius=6.0),
        "threshold_stats_img": partial(groupglm.threshold_stats_img, **maps),
        "true_discovery_bounds": partial(groupglm.true_discovery_bounds, regions=MASK, **maps),
        "view_map": partial(groupglm.view_map, stat_map_img=Z, bg_img=None),
        "plotting.plot_contrast_matrix": partial(
            plotting.plot_contrast_matrix, contrast_def="group", design_matrix=DESIGN
        ),
        "plotting.plot_design_correlation": partial(
            plotting.plot_design_correlation, design_matrix=DESIGN.assign(age=np.arange(N))
        ),
        "plotting.plot_design_matrix": partial(plotting.plot_design_matrix, design_matrix=DESIGN),
        "plotting.plot_forest": partial(
            plotting.plot_forest,
            effects=Y[:, 0],
            variances=np.ones(N),
            design_matrix=DESIGN,
            contrast_def="group",
            model="fixed effects",
        ),
        "plotting.plot_glass_brain": partial(plotting.plot_glass_brain, **drawn),
        "plotting.plot_histogram": partial(plotting.plot_histogram, z=Y[0]),
        "plotting.plot_peak": partial(
            plotting.plot_peak, values=Y[:, 0], design_matrix=DESIGN, contrast_def="group"
        ),
        "plotting.plot_regions": partial(
            plotting.plot_regions,
            maps=pd.DataFrame(
                np.ones((2, 3)), columns=["effect_size", "effect_variance", "z_score"]
            ),
            df=12.0,
        ),
        "plotting.plot_spaghetti": partial(
            plotting.plot_spaghetti,
            values=Y[:, 0],
            subjects=np.arange(N) // 2,
            design_matrix=DESIGN,
            contrast_def="group",
        ),
        "plotting.plot_stat_map": partial(plotting.plot_stat_map, **drawn),
        "plotting.plot_surf_stat_map": partial(
            plotting.plot_surf_stat_map,
            stat_map_img={"left": metric_image(SURFACE[0][:, 2])},
            surfaces={"left": surface_image(*SURFACE)},
            bg_map=None,
        ),
        **{
            f"datasets.{name}": partial(getattr(datasets, name), directory="nowhere/at/all")
            for name in datasets.__all__
            if name.startswith("simulate_")
        },
        "bids.collect_maps": partial(bids.collect_maps, derivatives="nowhere/at/all"),
    }


# Functions without arrays or options, and results, whose parts nobody gives.
WITHOUT = {
    "Atlas", "find_atlas", "load_contrasts",
    "__version__", "build_info", "bids.ModelContrast", "bids.StatsModel", "bids.find_participants",
    "bids.read_participants", "bids.read_stats_model", "datasets.BidsStudy", "datasets.GroupStudy",
    "datasets.LongitudinalStudy", "datasets.PairedStudy", "datasets.SimulatedEffect",
    "datasets.SurfaceEffect", "datasets.SurfaceStudy", "datasets.VarianceStudy", "plotting.show",
    "SurfaceMaps",
}  # fmt: skip
METHODS_WITHOUT = {
    "fit_transform", "get_feature_names_out", "get_metadata_routing", "get_params", "predicted",
    "r_square", "residuals", "save", "set_fit_request", "set_output", "set_params", "transform",
    "arrays", "described", "from_parts", "maps", "select", "state_parts", "words",
}  # fmt: skip

# What arguments are whose annotation does not tell.
KINDS = {
    "imgs": "other",
    "images": "other",
    "areas": "other",
    "adjustment": "choice",
    "alpha": "number",
    "axes": "other",
    "bg_img": "other",
    "bg_map": "other",
    "black_bg": "choice",
    "atlas": "other",
    "small_volume": "other",
    "smoothness": "other",
    "bounds": "array",
    "confidence": "number",
    "prior_scale": "number",
    "units": "choice",
    "center": "array",
    "columns": "other",
    "connectivity": "choice",
    "contrast": "contrast",
    "contrast_def": "contrast",
    "contrasts": "contrast",
    "correction": "choice",
    "cluster_forming_p": "number",
    "cmap": "choice",
    "covariance": "choice",
    "covariates": "other",
    "cut_coords": "array",
    "df": "choice",
    "dim": "number",
    "effects": "array",
    "exchangeability_blocks": "labels",
    "families": "labels",
    "figure": "other",
    "groups": "labels",
    "first_level_contrast": "other",  # images have none
    "fwhm": "array",
    "height_control": "choice",
    "interpolation": "choice",
    "labels": "other",
    "mask": "other",
    "mask_img": "other",
    "masker": "other",
    "memory": "other",
    "method": "choice",
    "missing": "choice",
    "model": "choice",
    "model_or_images": "other",
    "order": "choice",
    "output_file": "other",
    "output_type": "choice",
    "confidence_sets": "other",
    "permutations": "other",
    "plot_type": "choice",
    "position": "other",  # of images, with which it is tested
    "random_state": "whole",
    "regions": "other",
    "report_dims": "other",
    "resample": "choice",
    "resampling_interpolation": "choice",
    "resume": "other",
    "cluster_threshold_scale": "choice",
    "block_permutation": "choice",
    "second_level_contrast": "contrast",
    "second_level_input": "other",
    "second_level_stat_type": "choice",
    "shape": "other",
    "smoothing_fwhm": "array",
    "stat_type": "choice",
    "stat_imgs": "other",
    "stat_map_img": "other",
    "statistic": "choice",
    "subjects": "labels",
    "surfaces": "other",
    "symmetric_cbar": "choice",
    "tail": "choice",
    "tau2": "number",
    "test": "choice",
    "target_affine": "array",
    "target_shape": "other",
    "tfce": "choice",
    "tfce_powers": "array",
    "transparency": "other",
    "transparency_range": "other",  # without an image of transparency
    "threshold": "number",
    "values": "array",
    "variance_groups": "labels",
    "variances": "other",
    "tuning": "number",
    "verbose": "level",
    "views": "choice",
    "visits": "labels",
    "weights": "other",
}
PLAIN = {"bool": "truth", "int": "whole", "float": "number", "str": "text"}
NAMED = {
    "contrast_def": "contrast", "contrasts": "contrast", "second_level_contrast": "contrast",
    "smoothing_fwhm": "fwhm", "session": "ses",
}  # fmt: skip
# Their missing values are left out; what is masked is missing.
MAY_MISS = {("fdr_threshold", "z_vals"), ("fit_ols", "Y"), ("OlsFit.residuals", "Y"),
            ("fit_repeated", "Y"), ("fit_robust", "Y"), ("fit_mixed", "Y"), ("fit_mixed", "V"),
            ("fit_weighted", "Y"), ("fit_weighted", "W"), ("fit_weighted", "Z"),
            ("permuted_ols", "target_vars"), ("plotting.plot_histogram", "z"),
            ("plotting.plot_peak", "values"), ("plotting.plot_spaghetti", "values"),
            ("plotting.plot_forest", "effects")}  # fmt: skip
FILES = {"directory", "derivatives", "out", "path", "formula", "display_mode", "bg_img"}

BAD: dict[str, list[Any]] = {
    "truth": ["no", 1, 0.0, np.ones(2)],
    "whole": ["3", 2.5, True, 3j],
    "level": ["3", 2.5, 3j],
    "number": ["3", True, 3j],
    "choice": ["nonsense", 5, True + 1, np.ones(2)],
    "text": [3.5, ["a"]],
    "array": [np.full(3, 1j), np.array(["a", "b", "c"])],
    "contrast": [np.full(2, 1 + 1j), np.ma.masked_array([1.0, 2.0], [False, True])],
    "labels": [np.ma.masked_array(np.arange(N) // 2, np.arange(N) == 3)],
}


def kind_of(name: str, annotation: str) -> str:
    if annotation == "Sequence[float]":
        return "array"
    if name == "df" and "float" in annotation:  # a number, which is a choice elsewhere
        return "other"
    if name in KINDS:
        return KINDS[name]
    plain = annotation.removesuffix(" | None").replace("str | int", "str")
    if plain in PLAIN:
        return PLAIN[plain]
    if "ArrayLike" in plain or "NDArray" in plain:
        return "array"
    if "DataFrame" in plain or "ImageLike" in plain or "PathLike" in plain or "Iterable" in plain:
        return "other"
    raise AssertionError(f"{name}: {annotation}: say in KINDS what it is")


def parameters(called: str) -> list[inspect.Parameter]:
    module, _, name = called.rpartition(".")
    home: Any = {"": groupglm, "plotting": plotting, "datasets": datasets, "bids": bids}.get(module)
    if home is None:
        home = {"OlsFit": OlsFit, "SecondLevelModel": SecondLevelModel}[module]
    return [
        parameter
        for parameter in inspect.signature(getattr(home, name)).parameters.values()
        if parameter.name not in ("self", *FILES) and parameter.kind is not parameter.VAR_KEYWORD
    ]


def arguments() -> list[tuple[str, str, str]]:
    return [
        (called, parameter.name, kind)
        for called in calls()
        for parameter in parameters(called)
        if (kind := kind_of(parameter.name, str(parameter.annotation))) != "other"
    ]


def test_every_public_function_is_tried() -> None:
    public = set(groupglm.__all__)
    for module in (plotting, datasets, bids):
        public |= {f"{module.__name__.rpartition('.')[2]}.{name}" for name in module.__all__}
    for owner in (SecondLevelModel, OlsFit):
        public |= {
            f"{owner.__name__}.{name}"
            for name, _ in inspect.getmembers(owner, inspect.isfunction)
            if not name.startswith("_") and name not in METHODS_WITHOUT
        }
    public |= {"OlsFit.predicted", "OlsFit.residuals"}
    assert public - WITHOUT == set(calls())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("called", "name", "kind"), arguments())
def test_what_is_not_of_its_kind_is_refused_by_name(called: str, name: str, kind: str) -> None:
    call = calls()[called]
    for bad in BAD[kind]:
        with pytest.raises((TypeError, ValueError), match=NAMED.get(name, re.escape(name))):
            call(**{name: bad})


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("called", "name", "kind"), arguments())
def test_an_error_carries_the_argument_that_it_is_about(called: str, name: str, kind: str) -> None:
    """And its parts, so that nobody needs to search a message for them."""
    call = calls()[called]
    for bad in BAD[kind]:
        with pytest.raises(ArgumentError) as caught:
            call(**{name: bad})
        error = caught.value
        assert error.argument in {parameter.name for parameter in parameters(called)}
        assert error.argument == name
        assert error.found in str(error)
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 (made one line above)
        assert (str(again), type(again), again.argument) == (str(error), type(error), name)
        named = as_options(error, "fit")
        # A remedy may name other arguments.
        remedied = str(error).removesuffix(error.remedy) + as_options(error.remedy, "fit")
        in_shell = remedied.replace(f"'{name}' must ", "it must ")
        assert named == in_shell.replace(name, as_options(argument(name), "fit"), 1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("called", "name"), [(called, name) for called, name, kind in arguments() if kind == "array"]
)
def test_a_mask_is_nan_or_refused(called: str, name: str) -> None:
    values = {"X": X, "Y": Y, "target_vars": Y, "tested_vars": X[:, 1], "values": Y[:, 0]}
    values |= {"W": np.abs(Y), "V": np.abs(Y), "Z": Y[np.newaxis], "effects": Y[:, 0]}
    given = np.array(values.get(name, [1.0, 1.0, 1.0]))
    masked = np.ma.masked_array(given, np.arange(given.size).reshape(given.shape) == 1)
    for array in (masked, list(masked) if masked.ndim == 2 else masked):
        if (called, name) in MAY_MISS:
            calls()[called](**{name: array})
        else:
            with pytest.raises(ValueError, match="masked"):
                calls()[called](**{name: array})


SCALARS = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("called", [name for name in calls() if not name.startswith("datasets")])
def test_scalars_of_numpy_are_as_good_as_python_s(called: str) -> None:
    given = {
        parameter.name: SCALARS[type(parameter.default)](parameter.default)
        for parameter in parameters(called)
        if type(parameter.default) in SCALARS
        and parameter.name not in ("n_perm", "bg_img", "formula")
        and (called, parameter.name) != ("SecondLevelModel", "minimize_memory")
    }
    if called == "bids.collect_maps":
        with pytest.raises(FileNotFoundError, match="nowhere"):
            calls()[called](**given)
    else:
        calls()[called](**given)


def test_the_gate_itself() -> None:
    assert check_truth("x", np.True_) is True
    assert (check_verbose(True), check_verbose(np.int8(2))) == (1, 2)
    assert whole_number("x", np.uint8(3), least=3) == 3
    with pytest.raises(ValueError, match="x is 2; 'x' must be a whole number, at least 3"):
        whole_number("x", 2, least=3)
    assert real_number("x", np.float32(0.5)) == 0.5
    assert check_choice("x", np.int64(6), (6, 18)) == 6
    with pytest.raises(ValueError, match=r"x is 1; 'x' must be one of True, False or None"):
        check_choice("x", 1, (True, False, None))
    with pytest.raises(ValueError, match=r"'zero' or True$"):
        check_choice("x", 1, ("zero", True))
    with pytest.raises(ValueError, match="x is no array of numbers"):
        real_array("x", [[1.0], [1.0, 2.0]])
    unmasked = np.ma.masked_array([1, 2], False)
    assert real_array("x", unmasked).tolist() == [1, 2]
    assert type(real_array("x", unmasked)) is np.ndarray
