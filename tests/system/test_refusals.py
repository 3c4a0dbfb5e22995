# SPDX-License-Identifier: BSD-3-Clause
"""Every error about an argument says which, by the name it has in the function that was called.

The first tests read the source: no refusal is a plain ValueError but in the modules that are
listed, with the reason; and every name that an error has is a parameter of a public function.
"""

from __future__ import annotations

import ast
import inspect
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import SecondLevelModel, bids, datasets, fit_ols, permuted_ols, plotting
from groupglm.cli.wording import as_options
from groupglm.errors import ArgumentError, ArgumentTypeError, renamed
from groupglm.inference.random_fields import p_values
from groupglm.messages import argument
from groupglm.models.results import OlsFit
from groupglm.plotting.volume.display_figure import DisplayFigure
from groupglm.report import PermutationTest

PACKAGE = Path(groupglm.__file__).parent

# Modules that raise plain errors, and why these are about no argument.
NO_ARGUMENT = {
    "cli/": "the command line: the message names an option or a file of results",
    "bids/": "what a file of a data set says; read_stats_model makes it an error about `model`",
    "design/expressions.py": "a part of a text; who reads the whole names the argument",
    "design/formula/": "a part of a formula; `building` makes it an error about `formula`",
    "estimator/model_file": "a part of a saved model; `damaged` makes it an error about `path`",
    "inference/random_fields/smoothness.py": "facts of a sidecar, as in a JSON file",
    "inference/permutation/resuming.py": "a part of a state; it becomes a ResumeError",
    "models/": "a part of a saved model, as above",
    "runtime/array_archives.py": "a part of an archive, as above",
    "runtime/json_facts.py": "a part of a JSON file, as above",
    "runtime/naming.py": "the name of a file of results, which a command makes up",
    "runtime/workers.py": "the machine of a worker",
    "spaces/": "how a space is made: below the doors, of stored facts, or of a header",
}
# Names that only an option of a command has, or an entity of a file's name in BIDS.
OF_COMMANDS = {"atlas_labels", "dpi", "outlines", "overlay", "peaks", "subject_pattern"}


def _calls(names: set[str]) -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name), attr="about")
                ) if name in names:
                    yield path.relative_to(PACKAGE).as_posix(), node


def test_plain_errors_are_about_no_argument() -> None:
    used = set()
    for module, call in _calls({"ValueError", "TypeError"}):
        reasons = [part for part in NO_ARGUMENT if module.startswith(part)]
        assert reasons, f"{module}:{call.lineno}: raise an ArgumentError, or list the module"
        used.update(reasons)
    assert used == set(NO_ARGUMENT)


def _public_parameters() -> set[str]:
    owners: list[Any] = [groupglm, plotting, datasets, bids, groupglm.report]
    functions: list[Any] = [getattr(owner, name) for owner in owners for name in owner.__all__]
    functions += [getattr(p_values, name) for name in p_values.__all__]
    for kind in (SecondLevelModel, OlsFit, DisplayFigure):
        functions += [each for _, each in inspect.getmembers(kind, callable)]
    names = set()
    for function in functions:
        try:
            names |= set(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # no function, or one of C
            continue
    return names


def test_the_names_of_errors_are_parameters_of_public_functions() -> None:
    public = _public_parameters() | OF_COMMANDS
    for module, call in _calls({"ArgumentError", "ArgumentTypeError"}):
        name = call.args[0]
        if isinstance(name, ast.Constant) and not module.startswith("cli/"):
            assert name.value in public, f"{module}:{call.lineno}"
    for module, call in _calls({"renamed"}):
        for keyword in call.keywords:
            if isinstance(keyword.value, ast.Constant):
                assert keyword.value.value in public, f"{module}:{call.lineno}"


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


N = 8
RNG = np.random.default_rng(5)
X = np.column_stack([np.ones(N), np.arange(N) % 2.0])
Y = RNG.normal(size=(N, 30))
DESIGN = pd.DataFrame(X, columns=["intercept", "group"])
IMAGES = [image(RNG.normal(1, 1, (5, 5, 5))) for _ in range(N)]
HALVES = [RNG.normal(1, 1, (5, 5, 5)) for _ in range(N)]
for number, half in enumerate(HALVES):
    half[:, :, 2 * (number % 2) : 3 + 2 * (number % 2)] = np.nan
LACKING = [image(half) for half in HALVES]
MASK = image(np.ones((5, 5, 5), np.uint8))
EMPTY = image(np.zeros((5, 5, 5), np.uint8))
Z = image(RNG.normal(0, 3, (5, 5, 5)))
ALIASED = DESIGN.assign(copy=1.0)
TABLE = pd.DataFrame({"age": np.arange(8.0), "sex": list("mfmfmfmf")}, index=list("abcdefgh"))
CONFOUNDS = pd.DataFrame({"subject_label": list("abcdefgh"), "age": np.arange(8.0)})


def fit(*, images: Any = IMAGES, model: dict[str, Any] | None = None, **given: Any) -> Any:
    given = {"design_matrix": DESIGN, **given}
    return SecondLevelModel(**{"mask_img": MASK, **(model or {})}).fit(images, **given)


def contrast(value: Any) -> Any:
    return fit().compute_contrast(value)


def report(**given: Any) -> Any:
    return fit().generate_report(**{"contrasts": "group", "bg_img": None, **given})


def permutation(**given: Any) -> Any:
    options: dict[str, Any] = {
        "second_level_input": IMAGES, "design_matrix": DESIGN, "second_level_contrast": "group",
        "mask": MASK, "n_perm": 5, "random_state": 1,
    }  # fmt: skip
    return groupglm.non_parametric_inference(**{**options, **given})


def permuted(**given: Any) -> Any:
    options: dict[str, Any] = {"tested_vars": X[:, 1], "target_vars": Y, "n_perm": 5}
    return permuted_ols(**{**options, **given})


def confounded(table: Any) -> Any:
    return groupglm.make_second_level_design_matrix(list("abcdefgh"), table)


formula = partial(groupglm.design_from_formula, table=TABLE)
threshold = partial(groupglm.threshold_stats_img, Z, mask_img=MASK)
TWICE = CONFOUNDS.iloc[[0, 0, *range(2, 8)]]
PLAIN_CONTRASTS: list[Any] = [
    None, "nonsense", "group +", "group ** 2", "group + 1", "x" * 30_000, [1.0], [0.0, 0.0],
    {"group": 1}, [[0, 1], "nonsense"], [float("nan"), 1], [],
    pd.Series([1.0, 0.0], index=["group", "intercept"]),
]  # fmt: skip
MODELS = pd.DataFrame(
    {"subject_label": list("ab") * 2, "map_name": list("xxyy"), "effects_map_path": IMAGES[:4]}
)
FIVE: Any = 5
LABELLED = pd.DataFrame(
    {"subject_label": list("abcdefgh"), "map_name": "x", "effects_map_path": IMAGES}
)
REFUSALS: list[tuple[str, Callable[[], Any]]] = [
    *(("second_level_contrast", partial(contrast, value)) for value in PLAIN_CONTRASTS),
    *(
        ("second_level_contrast", partial(permutation, second_level_contrast=value))
        for value in PLAIN_CONTRASTS[:2]
    ),
    *(("contrasts", partial(report, contrasts=value)) for value in PLAIN_CONTRASTS[1:3]),
    ("second_level_contrast", lambda: fit(design_matrix=ALIASED).compute_contrast("copy")),
    ("second_level_contrast", lambda: permutation(
        design_matrix=ALIASED, second_level_contrast="copy")),
    ("second_level_stat_type", lambda: fit().compute_contrast(
        np.eye(2), second_level_stat_type="t")),
    ("contrasts", lambda: fit(design_matrix=ALIASED).generate_report("copy", bg_img=None)),
    ("contrast", lambda: fit_ols(X, Y).contrast([0.0, 0.0])),
    ("contrast", lambda: fit_ols(ALIASED, Y).contrast([0.0, 0.0, 1.0])),
    ("contrast_def", lambda: plotting.plot_contrast_matrix("nonsense", DESIGN)),
    ("contrast_def", lambda: plotting.plot_peak(Y[:, 0], DESIGN, "nonsense")),
    ("stat_type", lambda: fit_ols(X, Y).contrast(np.eye(2), stat_type="t")),
    # Designs.
    ("design_matrix", lambda: fit(design_matrix=5)),
    ("design_matrix", lambda: fit(design_matrix="design.xlsx")),
    ("design_matrix", lambda: fit(design_matrix=DESIGN[:4])),
    ("design_matrix", lambda: fit(design_matrix=DESIGN.assign(site=list("abcdefgh")))),
    ("design_matrix", lambda: fit(design_matrix=DESIGN.assign(age=np.inf))),
    ("design_matrix", lambda: fit(design_matrix=DESIGN[[]])),
    ("design_matrix", lambda: fit(design_matrix=DESIGN.iloc[:, [0, 0]])),
    ("design_matrix", lambda: fit(design_matrix=pd.DataFrame(np.eye(N)))),
    ("design_matrix", lambda: fit(design_matrix=pd.DataFrame(np.ones((N, 999))))),
    ("design_matrix", lambda: fit(
        design_matrix=DESIGN.set_axis(list("zbcdefgh")), images=LABELLED)),
    ("design_matrix", lambda: fit(design_matrix=None)),
    ("confounds", lambda: fit(confounds=CONFOUNDS)),
    ("X", lambda: fit_ols(np.eye(3), Y[:3])),
    ("X", lambda: fit_ols(np.ones((3, 999)), Y[:3])),
    ("X", lambda: fit_ols(X.ravel(), Y)),
    ("X", lambda: fit_ols(DESIGN.assign(site="a"), Y)),
    ("X", lambda: fit_ols(X, Y).predicted(X[:, :1])),
    ("Y", lambda: fit_ols(X, Y[0])),
    ("Y", lambda: fit_ols(X, Y[:3])),
    ("Y", lambda: fit_ols(X, np.full_like(Y, np.inf))),
    ("Y", lambda: fit_ols(X, Y).residuals(X, Y[:, :3])),
    ("subjects_label", lambda: groupglm.make_second_level_design_matrix("ab")),
    ("subjects_label", lambda: groupglm.make_second_level_design_matrix([])),
    *(
        ("confounds", partial(confounded, table))
        for table in (
            CONFOUNDS.to_dict(), CONFOUNDS[["age"]], CONFOUNDS[["subject_label"]], CONFOUNDS[:3],
            TWICE, CONFOUNDS.replace(3.0, np.nan), CONFOUNDS.assign(sex="m"),
            CONFOUNDS.assign(sex=list("stuvwxyz")), CONFOUNDS.assign(intercept=1.0),
            CONFOUNDS.assign(sex=list("mfmfmfmM")), CONFOUNDS.assign(day=pd.Timestamp(2020, 1, 2)),
            CONFOUNDS.assign(size=[*"1234567", "8,5"]), CONFOUNDS.assign(size=list("12345678")),
        )
    ),
    *(
        ("formula", partial(formula, text))
        for text in ("~ (age", "~ 0", "~ log(age - 3)", "~ wrong", "~ age / 'a'", "~ poly(age, 99)")
    ),
    ("table", lambda: formula("~ age", table=[1])),  # type: ignore[arg-type]
    ("table", lambda: formula("~ age", table=pd.concat([TABLE, TABLE], axis=1))),
    ("table", lambda: formula("~ age", table=TABLE.replace(3.0, np.nan))),
    ("table", lambda: formula("~ sex", table=TABLE.assign(sex="m"))),
    ("table", lambda: formula("~ sex", table=TABLE.assign(sex=list("mfmfmfmM")))),
    # Inputs.
    ("second_level_input", lambda: fit(images=5)),
    ("second_level_input", lambda: fit(images=[5] * N)),
    ("second_level_input", lambda: fit(images=["a.nii", *IMAGES[1:]])),
    ("second_level_input", lambda: fit(images=MODELS[["map_name"]])),
    ("second_level_input", lambda: fit(images=MODELS[:1], design_matrix=None)),
    ("second_level_input", lambda: fit(images=MODELS[:2].assign(map_name=None))),
    ("second_level_input", lambda: fit(images=MODELS[:2].assign(subject_label=[1, 2]))),
    ("second_level_input", lambda: fit(
        images=MODELS[:2].assign(subject_label="a"), design_matrix=None)),
    ("X", lambda: SecondLevelModel(MASK).fit_transform(5, design_matrix=DESIGN)),
    ("first_level_contrast", lambda: fit(
        images=MODELS, design_matrix=None).compute_contrast("intercept")),
    ("imgs", lambda: groupglm.smooth_img(FIVE, 2.0)),
    ("imgs", lambda: groupglm.smooth_img([Z, FIVE], 2.0)),
    # Masks, places and what is missing.
    ("missing", lambda: fit(images=LACKING, model={"missing": "raise"})),
    ("missing", lambda: fit(images=LACKING, model={"missing": "intersect"})),
    ("missing", lambda: permutation(second_level_input=LACKING, missing="raise")),
    ("missing", lambda: permuted(target_vars=np.full_like(Y, np.nan), missing="intersect")),
    ("zero_is_missing", lambda: fit(model={"zero_is_missing": True, "missing": "zero"})),
    ("mask_img", lambda: fit(images=[EMPTY] * N, model={"mask_img": None})),
    ("mask", lambda: permutation(second_level_input=[EMPTY] * N, mask=None)),
    ("memory_budget", lambda: fit(model={"memory_budget": 100})),
    ("target_affine", lambda: groupglm.resample_img(Z, np.eye(2))),
    ("target_affine", lambda: groupglm.resample_img(Z, np.ones((4, 4)))),
    # Inference.
    ("threshold", lambda: groupglm.cluster_level_inference(Z, mask_img=MASK, threshold=-3.0)),
    ("threshold", lambda: threshold(threshold=-3.0, height_control=None)),
    ("alpha", lambda: threshold(alpha=2.0)),
    ("cluster_threshold", lambda: threshold(cluster_threshold=-1)),
    ("stat_threshold", lambda: groupglm.get_clusters_table(Z, -3.0, two_sided=True)),
    ("min_distance", lambda: groupglm.get_clusters_table(Z, 2.5, min_distance=-1.0)),
    ("stat_img", lambda: groupglm.threshold_stats_img(None, height_control="fdr")),
    ("regions", lambda: groupglm.true_discovery_bounds(Z, regions=[], mask_img=MASK)),
    # Permutation.
    ("block_permutation", lambda: permuted(block_permutation="whole")),
    ("sign_flip", lambda: permutation(
        design_matrix=DESIGN[["intercept"]], second_level_contrast="intercept", sign_flip=False)),
    ("variance_groups", lambda: permuted(variance_groups=X[:, 1], sign_flip=False)),
    ("exchangeability_blocks", lambda: permuted(exchangeability_blocks=X[:, 1], sign_flip=False)),
    ("variance_groups", lambda: permuted(variance_groups=[0] * 7 + [1])),
    ("tail", lambda: permuted(tail="gamma", n_perm=20)),
    ("masker", lambda: permuted(threshold=0.01)),
    ("target_vars", lambda: permuted(target_vars=np.ones_like(Y))),
    ("resume", lambda: permuted(tested_vars=X + RNG.normal(size=X.shape), resume="null.npz")),
    ("resume", lambda: permuted(resume=Path(__file__))),
    ("resume", lambda: permuted(resume="/dev/null")),
    # Reports, plots and files.
    ("permutations", lambda: report(permutations={"other": PermutationTest({"logp_max_t": Z}, 5)})),
    ("confidence_sets", lambda: report(confidence_sets={"group": Z})),
    ("cluster_forming_p", lambda: report(height_control="cluster-rft", cluster_forming_p=2)),
    ("height_control", lambda: report(height_control=["fpr", "fpr"], alpha=0.01)),
    ("position", lambda: plotting.plot_forest(
        IMAGES, IMAGES, DESIGN, "group", position=(99, 0, 0), model="fixed effects")),
    ("position", lambda: plotting.plot_peak(IMAGES, DESIGN, "group", position=(99, 0, 0))),
    ("path", lambda: SecondLevelModel.load(__file__)),
    ("path", lambda: fit().save("/dev/null")),
    ("path", lambda: bids.read_participants("participants.xlsx")),
    ("model", lambda: bids.read_stats_model({})),
    ("shape", lambda: datasets.simulate_group_study("nowhere/at/all", shape=(5, 5, 5))),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("name", "call"), REFUSALS)
def test_a_refusal_carries_its_argument(name: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    error = caught.value
    assert error.argument == name
    assert all(part in str(error) for part in (error.found, error.wanted, error.remedy))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (made one line above)
    assert (str(again), type(again), again.argument) == (str(error), type(error), name)


def test_another_function_calls_an_argument_otherwise() -> None:
    with pytest.raises(ArgumentTypeError) as caught, renamed(mask_img="mask"):
        raise ArgumentTypeError(
            "mask_img", "5", remedy="give an image as " + argument("mask_img"), verb="is"
        )
    error = caught.value
    assert str(error) == "mask is 5; give an image as mask"
    assert (error.argument, error.remedy) == ("mask", "give an image as mask")
    with pytest.raises(ArgumentError) as other, renamed(mask="other"):
        raise ArgumentError("mask_img", "no place", verb="has")
    assert as_options(other.value, "fit") == "--mask has no place"
