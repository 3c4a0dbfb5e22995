# SPDX-License-Identifier: BSD-3-Clause
"""Maps of effect sizes, Bayes factors and equivalence of a contrast, each with its sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.cli.results.names import name_contrast
from groupglm.models.effect_size_rules import refuse_undefined, refuse_units_of_d
from groupglm.models.effect_sizes import PRIOR_SCALES
from groupglm.spaces.statistic import KINDS, OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from groupglm.cli.journal import Journal
    from groupglm.cli.options.effect_sizes import EffectOptions
    from groupglm.cli.results.names import Contrast
    from groupglm.cli.results.study_results import Outputs
    from groupglm.cli.steps.estimation import Estimate
    from groupglm.models.base import Model

__all__ = ["check_effects", "effect_paths", "write_effects"]

_CONFIDENCE = 0.95
_PRIORS = {
    "t": "Cauchy of Cohen's d, by the number of images that stands for the contrast",
    "F": "g-prior of regression, by the number of images",
}


def effect_paths(outputs: Outputs, contrast: Contrast, options: EffectOptions) -> dict[str, Path]:
    """Return the files of a contrast's maps by their names."""
    paths = {
        name: outputs.image_path(contrast, OUTPUTS[name])
        for name in options.outputs_of(contrast.stat_type)
    }
    if options.tests_equivalence_of(contrast.stat_type):
        paths["p_value"] = outputs.image_path(contrast, "p_desc-equivalence")
        paths["decision"] = outputs.image_path(contrast, "decision_desc-equivalence")
    return paths


def check_effects(model: Model, contrasts: Sequence[Contrast], options: EffectOptions) -> None:
    """Refuse, before the long work, effect sizes that the model does not define."""
    bounds = options.equivalence
    for contrast in contrasts:
        for name in options.outputs_of(contrast.stat_type):
            refuse_undefined(model, name)
        is_tested = options.tests_equivalence_of(contrast.stat_type)
        if is_tested and bounds is not None and bounds.units == "cohen_d":
            refuse_units_of_d(model)


def write_effects(
    fitted: Estimate,
    contrast: Contrast,
    options: EffectOptions,
    outputs: Outputs,
    journal: Journal,
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Write the maps of a contrast that are not there yet; return their files and status."""
    paths = effect_paths(outputs, contrast, options)
    left_out = options.left_out_of(contrast.stat_type)
    if left_out:
        journal.say(f"{contrast.name}: an F contrast has no {', '.join(left_out)}")
    done = {"files": {name: str(path) for name, path in paths.items()}}
    if not paths:
        return {**done, "status": "skipped"}
    said = {name: _facts(name, contrast, options) for name in paths}
    whole = [
        outputs.are_done(
            f"{OUTPUTS[name]} of {contrast.name!r}", [path], said[name], overwrite=overwrite
        )
        for name, path in paths.items()
    ]
    if all(whole):
        journal.say(f"{contrast.name}: effect sizes skipped, they are there already")
        return {**done, "status": "skipped"}
    own = fitted.facts(contrast)
    tests = {}
    if options.equivalence is not None and "decision" in paths:
        bounds = options.equivalence
        tests = fitted.model.compute_equivalence(
            contrast.tested,
            bounds=(bounds.low, bounds.high),
            units=bounds.units,
            alpha=bounds.alpha,
        )
    for name, path in paths.items():
        if name in ("p_value", "decision"):
            image = tests[name]
        else:
            image = fitted.model.compute_contrast(
                contrast.tested, second_level_stat_type=contrast.stat_type, output_type=name
            )
        name_contrast(image, contrast)
        outputs.write_image(image, path, {**own, **said[name]})
    journal.say(f"{contrast.name}: {', '.join(OUTPUTS[name] for name in paths)} written")
    return {**done, "status": "written"}


def _facts(name: str, contrast: Contrast, options: EffectOptions) -> dict[str, Any]:
    """Return the facts of one map for its sidecar."""
    kind = OUTPUTS[name]
    facts: dict[str, Any] = {
        "Description": KINDS[kind],
        "Values": kind,
        "Contrast": contrast.facts(),
    }
    if name in ("p_value", "decision") and options.equivalence is not None:
        if name == "p_value":
            facts["Description"] = "larger p-value of two one-sided tests against the bounds"
        return {**facts, "Equivalence": options.equivalence.facts()}
    if "ci_" in name:
        facts["Confidence"] = _CONFIDENCE
    if name == "log_bayes_factor":
        facts["Prior"] = {
            "Scale": PRIOR_SCALES[contrast.stat_type],
            "Family": _PRIORS[contrast.stat_type],
        }
    return facts
