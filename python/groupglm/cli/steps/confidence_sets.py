# SPDX-License-Identifier: BSD-3-Clause
"""The confidence sets of contrasts, and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.cli.results.claims import claimed_study
from groupglm.cli.results.names import Contrast, name_contrast, read_json, sidecar
from groupglm.cli.results.records import Target
from groupglm.cli.results.removal import contradicting, remove
from groupglm.cli.steps.estimation import Estimate, Reading, write_common
from groupglm.runtime.naming import counted
from groupglm.runtime.rounding import statistic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from groupglm.cli.journal import Journal
    from groupglm.cli.options.confidence_sets import Level, SetsOptions
    from groupglm.cli.results.study_results import Outputs
    from groupglm.cli.steps.study_design import Study

__all__ = ["run_confidence_sets"]

_MEANING = {
    "upper": "where the effect is at least the level",
    "estimate": "where the estimate of the effect is at least the level",
    "lower": "where the effect may be at least the level; outside it is smaller",
}


def run_confidence_sets(
    study: Study, reading: Reading, how: SetsOptions, journal: Journal
) -> list[dict[str, Any]]:
    """Write the confidence sets of all contrasts of a study."""
    _check(study.contrasts)
    outputs = reading.outputs(study)
    targets = [Target.of(path) for path in outputs.shared_paths]
    targets += [
        Target.of(path)
        for contrast in study.contrasts
        for level in how.levels
        for path in _paths(outputs, contrast, level).values()
    ]
    overwrite = reading.options.overwrite
    with claimed_study(study, outputs, targets, reading.read, None, overwrite=overwrite):
        fitted = Estimate(study, reading, keeps_rows=True)
        if overwrite or not outputs.is_done(outputs.mask, {}):
            model = fitted.model  # if the fit fails, existing results stay
            if overwrite:
                remove(contradicting(study, outputs, [*reading.read, *study.files], None), journal)
            write_common(study, outputs, model, journal)
        return [
            {
                "name": contrast.name,
                "levels": [
                    _write(fitted, contrast, level, how, outputs, journal, overwrite=overwrite)
                    for level in how.levels
                ],
            }
            for contrast in study.contrasts
        ]


def _check(contrasts: Sequence[Contrast]) -> None:
    """Refuse, before the long work, contrasts that have no confidence sets."""
    for contrast in contrasts:
        if contrast.stat_type == "F":
            raise ValueError(
                f"contrast {contrast.name!r} is an F test, whose effects are several; give each of "
                "its rows as a contrast of its own"
            )
        if contrast.null_value:
            raise ValueError(
                f"contrast {contrast.name!r} is compared with {contrast.null_value:g}, but it is "
                "--level that a confidence set compares it with; give it without the constant"
            )


def _paths(outputs: Outputs, contrast: Contrast, level: Level) -> dict[str, Path]:
    """Return the files of the sets, by their names."""
    return {
        name: outputs.image_path(contrast, f"confidenceSet_desc-{name}{level.label}")
        for name in _MEANING
    }


def _write(
    fitted: Estimate,
    contrast: Contrast,
    level: Level,
    how: SetsOptions,
    outputs: Outputs,
    journal: Journal,
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Write the sets of a contrast and a level, unless they are there."""
    paths = _paths(outputs, contrast, level)
    said = {"Contrast": contrast.facts(), "ConfidenceSet": how.facts(level)}
    done = {"level": level.value, "units": level.units, "alpha": how.alpha}
    files = {name: str(path) for name, path in paths.items()}
    what = f"confidence sets of {contrast.name!r}"
    if outputs.are_done(what, paths.values(), said, overwrite=overwrite):
        journal.say(f"{contrast.name}: confidence sets skipped, they are there already")
        found = read_json(sidecar(paths["upper"])) or {}
        return {
            **done,
            "status": "skipped",
            "critical_value": found.get("CriticalValue"),
            "files": files,
        }
    sets = fitted.model.compute_confidence_sets(
        contrast.weights,
        level=level.value,
        units=level.units,
        alpha=how.alpha,
        n_bootstraps=how.n_bootstraps,
        random_state=how.seed,
    )
    own = fitted.facts(contrast)
    for name, path in paths.items():
        name_contrast(sets[name], contrast)
        facts = {
            "Description": f"{name.capitalize()} confidence set: {_MEANING[name]}",
            "Values": "confidenceSet",
            **own,
            **said,
            "CriticalValue": sets.critical_value,
            "NumberOfBoundaryPoints": sets.n_boundary_points,
            "NumberOfPlaces": sets.n_places[name],
        }
        outputs.write_image(sets[name], path, facts)
    counts = sets.n_places
    journal.say(
        f"{contrast.name}: at least {level.words} at "
        f"{counted(counts['upper'], *fitted.group.space.place_words)}, and perhaps at "
        f"{counts['lower']:,}, with a confidence of {1 - how.alpha:g} (estimate "
        f"{counts['estimate']:,}; critical value {statistic(sets.critical_value)})"
    )
    return {
        **done,
        "status": "written",
        "critical_value": sets.critical_value,
        "n_places": counts,
        "files": files,
    }
