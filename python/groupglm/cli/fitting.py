# SPDX-License-Identifier: BSD-3-Clause
"""Fit a prepared study, write its maps, and skip what is there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.cli.corrected import correct_contrast
from groupglm.cli.options import target_grid
from groupglm.cli.outputs import Contrast, Outputs, write_table
from groupglm.cli.permuted import (
    Permutations,
    check_permutable,
    permute_contrast,
    study_facts,
)
from groupglm.cli.provenance import file_facts, grid_facts
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

    def model(self) -> SecondLevelModel:
        """Return the estimator that the options ask for."""
        from groupglm import SecondLevelModel

        affine, shape = target_grid(self.how.target_affine)
        return SecondLevelModel(
            mask_img=self.options.mask,
            target_affine=affine,
            target_shape=shape,
            smoothing_fwhm=self.options.fwhm,
            missing=self.how.missing,
            n_jobs=self.options.n_jobs,
            verbose=1,
        )

    def facts(self) -> dict[str, Any]:
        """Return what sidecars say: all that changes the numbers."""
        return {
            "Formula": self.options.formula,
            "Mask": None if self.options.mask is None else file_facts(self.options.mask),
            "SmoothingFWHM": self.options.fwhm,
            "TargetGrid": grid_facts(self.how.target_affine),
            "Missing": self.how.missing,
        }


class _Fit:
    """The fit, made when it is first needed, and not at all if everything is there."""

    def __init__(self, study: Study, settings: Settings) -> None:
        self._study = study
        self._settings = settings

    @cached_property
    def model(self) -> SecondLevelModel:
        images = [str(path) for path in self._study.maps.values()]
        design = self._study.design.reset_index(drop=True)
        return self._settings.model().fit(images, design_matrix=design)

    def degrees_of_freedom(self, contrast: Contrast) -> dict[str, int]:
        residual = np.asarray(self.model.results_.df_residual)
        facts = {"Residual": int(residual.max())}
        if residual.ndim:
            facts["ResidualMinimum"] = int(residual.min())
        if contrast.stat_type == "F":
            facts["Numerator"] = int(np.linalg.matrix_rank(np.array(contrast.weights)))
        return facts


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
    facts = {**study.facts_of_sidecars(), "Settings": settings.facts()}
    outputs = Outputs(output, facts, study.names)
    if not settings.options.overwrite:
        outputs.check_same_study()
    todo = _what_to_do(study, outputs, settings)
    output.mkdir(parents=True, exist_ok=True)
    fitted = _Fit(study, settings)
    if todo or not _has_common(outputs, settings):
        _write_common(study, outputs, fitted.model, settings, journal)
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
            facts["permuted"] = _permute(study, contrast, settings, journal)
    summary: dict[str, Any] = {"contrasts": done}
    if settings.how.report:
        summary["report"] = _report(study, outputs, fitted, settings, journal, redo=bool(todo))
    return summary


def _permute(
    study: Study, contrast: Contrast, settings: Settings, journal: Journal
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
    # The mask is made by the fit, and the same whenever the fit is.
    facts = study_facts(study, settings.options)
    outputs = Outputs(settings.options.output, facts, study.names)
    options = replace(settings.options, mask=outputs.mask)
    return permute_contrast(study, contrast, how, outputs, options, journal)


def _report(
    study: Study,
    outputs: Outputs,
    fitted: _Fit,
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
    return all((outputs.folder / name).is_file() for name in wanted)


def _write_common(
    study: Study, outputs: Outputs, model: SecondLevelModel, settings: Settings, journal: Journal
) -> None:
    from groupglm.images.save import save_image

    folder, names = outputs.folder, outputs.names
    write_table(folder / names.design, study.design, index=True)
    save_image(model.mask_img_, outputs.mask)
    counts = folder / names.n_observations
    n_observations = model.results_.n_observations
    if isinstance(n_observations, np.ndarray):
        save_image(model.n_observations_, counts)
        journal.say(
            f"Values are missing: {n_observations.min()} to {n_observations.max()} of "
            f"{len(study.design)} subjects at a voxel ({counts.name})."
        )
    else:
        counts.unlink(missing_ok=True)  # of an earlier fit
    if settings.how.save_model:
        model.save(folder / names.model)
    journal.say(f"Mask: {model.n_elements_} voxels.")


def _contrast(
    contrast: Contrast, needed: bool, outputs: Outputs, fitted: _Fit, journal: Journal
) -> dict[str, Any]:
    """Write a contrast's maps unless they are there, and tell of its peak."""
    if needed:
        maps = fitted.model.compute_contrast(
            contrast.weights, second_level_stat_type=contrast.stat_type, output_type="all"
        )
        degrees = fitted.degrees_of_freedom(contrast)
        outputs.write(contrast, maps, {"StatType": contrast.stat_type, "DegreesOfFreedom": degrees})
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
