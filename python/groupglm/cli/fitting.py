# SPDX-License-Identifier: BSD-3-Clause
"""Fit a prepared study, write its maps, and skip what is there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.cli.corrected import correct_contrast
from groupglm.cli.estimating import Estimate, Reading, write_common
from groupglm.cli.outputs import Contrast, Outputs, sidecar
from groupglm.cli.permuted import (
    Permutations,
    check_permutable,
    permute_contrast,
)
from groupglm.cli.report import write_report

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.study import Study
    from groupglm.cli.study_options import FitOptions, RunOptions
    from groupglm.second_level import SecondLevelModel

__all__ = ["Settings", "run"]


@dataclass(frozen=True, eq=False)
class Settings:
    """How a study is fitted, as the options of the command say."""

    options: RunOptions
    how: FitOptions

    @property
    def reading(self) -> Reading:
        """How the maps are read."""
        return Reading(self.options, self.how.missing, self.how.target_affine)


def run(study: Study, settings: Settings, journal: Journal) -> dict[str, Any]:
    """Fit a study and write its results.

    Parameters
    ----------
    study : Study
        Maps, design and contrasts.
    settings : Settings
        How to fit, and where to write.
    journal : Journal
        Tells the user.

    Returns
    -------
    dict
        What was done, for a program.

    Raises
    ------
    ValueError
        If the images cannot be fitted, or the folder holds results of other input.
    OSError
        If something cannot be read or written.
    """
    output = settings.options.output
    if settings.how.permute is not None:
        check_permutable(study.contrasts)
    outputs = settings.reading.outputs(study)
    if not settings.options.overwrite:
        outputs.check_same_study()
    todo = _what_to_do(study, outputs, settings)
    output.mkdir(parents=True, exist_ok=True)
    fitted = Estimate(study, settings.reading)
    if todo or not _has_common(outputs, settings):
        write_common(study, outputs, fitted.model, journal)
        if settings.how.save_model:
            _save_model(outputs, fitted.model)
    done = [_contrast(c, c in todo, outputs, fitted, journal) for c in study.contrasts]
    if settings.how.correct is not None:
        for facts, contrast in zip(done, study.contrasts, strict=True):
            facts["corrected"] = correct_contrast(
                contrast,
                settings.how.correct,
                outputs,
                journal,
                overwrite=settings.options.overwrite,
            )
    if settings.how.permute is not None:
        for facts, contrast in zip(done, study.contrasts, strict=True):
            facts["permuted"] = _permute(study, contrast, settings, outputs, journal)
    summary: dict[str, Any] = {"contrasts": done}
    if settings.how.report:
        summary["report"] = _report(study, outputs, fitted, settings, journal, redo=bool(todo))
    return summary


def _permute(
    study: Study, contrast: Contrast, settings: Settings, outputs: Outputs, journal: Journal
) -> dict[str, Any]:
    """Test by permutation what was fitted, in the mask of the fit."""
    how = Permutations(
        n_perm=settings.how.permute or 0,
        tfce=settings.how.tfce,
        cluster_p=None,
        two_sided=False,
        seed=0,
        missing=settings.how.missing,
        target_affine=settings.how.target_affine,
    )
    options = replace(settings.options, mask=outputs.mask)
    return permute_contrast(study, contrast, how, outputs, options, outputs.said, journal)


def _report(
    study: Study,
    outputs: Outputs,
    fitted: Estimate,
    settings: Settings,
    journal: Journal,
    *,
    redo: bool,
) -> str:
    """Write the page, unless it is there and no contrast is newer."""
    path = outputs.folder / outputs.names.report
    if redo or not path.is_file():
        weights = {contrast.name: contrast.weights for contrast in study.contrasts}
        write_report(fitted.model, weights, settings.how.correct, None, path)
        journal.say(f"Report: {path}")
    else:
        journal.say(f"Report: skipped, it is there already: {path}")
    return str(path)


def _what_to_do(study: Study, outputs: Outputs, settings: Settings) -> list[Contrast]:
    if settings.options.overwrite:
        return list(study.contrasts)
    states = {contrast.name: outputs.state(contrast) for contrast in study.contrasts}
    other = [name for name, state in states.items() if state == "other"]
    if other:
        raise ValueError(
            f"--output '{outputs.folder}' holds results of {', '.join(map(repr, other))} made with "
            "other settings, or by another version; add --overwrite to "
            "replace them, or give another folder"
        )
    return [contrast for contrast in study.contrasts if states[contrast.name] != "done"]


def _has_common(outputs: Outputs, settings: Settings) -> bool:
    names = outputs.names
    wanted = [names.design, names.mask, *([names.model] if settings.how.save_model else [])]
    paths = [outputs.folder / name for name in wanted]
    return all(path.is_file() and sidecar(path).is_file() for path in paths)


def _save_model(outputs: Outputs, model: SecondLevelModel) -> None:
    path = outputs.folder / outputs.names.model
    said = {"Description": "The fitted model, as SecondLevelModel.load reads it"}
    with outputs.described(path, said):
        model.save(path)


def _contrast(
    contrast: Contrast, needed: bool, outputs: Outputs, fitted: Estimate, journal: Journal
) -> dict[str, Any]:
    """Write a contrast's maps unless they are there, and tell of its peak."""
    if needed:
        maps = fitted.model.compute_contrast(
            contrast.weights, second_level_stat_type=contrast.stat_type, output_type="all"
        )
        outputs.write(contrast, maps, fitted.facts(contrast))
    paths = outputs.paths(contrast)
    peak = _peak(paths["z"], outputs.mask)
    told = "" if peak is None else f"largest z {peak['z']:.2f} at {tuple(peak['mm'])} mm"
    status = "written" if needed else "skipped"
    done = "" if needed else " skipped, it is there already (--overwrite redoes it);"
    journal.say(f"{contrast.name}:{done} {told}")
    return {
        "name": contrast.name,
        "expression": contrast.expression,
        "stat_type": contrast.stat_type,
        "status": status,
        "peak": peak,
        "files": {kind: str(path) for kind, path in paths.items()},
    }


def _peak(path: Path, mask: Path) -> dict[str, Any] | None:
    import nibabel as nib

    image: Any = nib.load(path)
    inside: Any = nib.load(mask)
    values = np.asanyarray(image.dataobj)
    finite = np.isfinite(values) & (np.asanyarray(inside.dataobj) > 0)
    if not finite.any():
        return None
    voxel = np.unravel_index(np.argmax(np.where(finite, values, -np.inf)), values.shape)
    place = (image.affine @ [*voxel, 1])[:3]
    return {"z": float(values[voxel]), "mm": [round(float(mm), 3) for mm in place]}
