# SPDX-License-Identifier: BSD-3-Clause
"""The fit of a study, computed when it is first needed, and the files about all of the fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.cli.options.common import target_grid
from groupglm.cli.options.geometry import geometry_of, mesh_facts
from groupglm.cli.options.volumes import images_of
from groupglm.cli.results.names import Contrast
from groupglm.cli.results.provenance import file_facts, map_facts
from groupglm.cli.results.study_results import Outputs
from groupglm.cli.steps.fit_maps import write_fit_maps

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.cli.journal import Journal
    from groupglm.cli.options.study import RunOptions
    from groupglm.cli.steps.study_design import Study
    from groupglm.estimator.group_model import GroupModel
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.permutation.group_test import ImageData
    from groupglm.spaces.base import Space

__all__ = ["Estimate", "Reading", "write_common"]


@dataclass(frozen=True, eq=False)
class Reading:
    """How the maps of a study are read: all that changes the fit's numbers except the design.

    Parameters
    ----------
    options : RunOptions
        Formula, mask, smoothing, threads.
    missing : str
        The treatment of NaN.
    target_affine : tuple or pathlib.Path, optional
        The grid to resample to.
    zero_is_missing : bool
        Whether exact zeros are missing values.
    """

    options: RunOptions
    missing: Any
    target_affine: Any
    zero_is_missing: bool

    def model(self, study: Study) -> GroupModel:
        """Return the model of a study with the command's options, not yet fitted."""
        from groupglm.estimator.group_model import GroupModel

        target, shape = target_grid(self.target_affine)
        geometry = geometry_of(self.options.surfaces, self.options.areas)
        return GroupModel(
            mask_img=None if self.options.mask is None else self.options.mask.as_path,
            target_affine=target,
            target_shape=shape,
            smoothing_fwhm=self.options.fwhm,
            surfaces=geometry.surfaces,
            areas=geometry.areas,
            missing=self.missing,
            zero_is_missing=self.zero_is_missing,
            n_jobs=self.options.n_jobs,
            verbose=1,
            model=self.options.group_model.model(study.groups, study.labels),
        )

    def facts(self) -> dict[str, Any]:
        """Return the facts of the reading for sidecars; equal if the options mean the same."""
        target = self.target_affine
        return {
            **self.options.design_facts,
            "Mask": None if self.options.mask is None else map_facts(self.options.mask),
            **mesh_facts(self.options.surfaces, self.options.areas),
            "SmoothingFWHM": _width(self.options.fwhm),
            "TargetGrid": file_facts(target) if isinstance(target, Path) else target,
            "Missing": self.missing,
            "ZeroIsMissing": self.zero_is_missing,
            **self.options.group_model.facts(),
        }

    @property
    def read(self) -> list[Path]:
        """The files that are read besides the maps."""
        target = self.target_affine
        return [*self.options.read, *([target] if isinstance(target, Path) else [])]

    def outputs(self, study: Study) -> Outputs:
        """Return the results of a study that is read so; its sidecars share these facts."""
        facts = {**study.facts_of_sidecars(), "Settings": self.facts()}
        groups = tuple(dict.fromkeys((study.groups or {}).values()))
        geometry = geometry_of(self.options.surfaces, self.options.areas)
        return Outputs(self.options.output, facts, study.names, groups, geometry)


def _width(fwhm: float | tuple[float, ...] | None) -> float | tuple[float, ...] | None:
    """Return one width if all axes have the same, and None for 0."""
    widths = fwhm if isinstance(fwhm, tuple) else (fwhm,)
    return fwhm if len(set(widths)) > 1 else widths[0] or None


class Estimate:
    """The fit of a study; made when it is first needed, and never if all results exist.

    Parameters
    ----------
    study : Study
        Maps and design.
    reading : Reading
        How the maps are read.
    keeps_rows : bool
        Whether later steps need the maps' values, so that the fit keeps them.
    smoothness : bool, default=False
        Whether sidecars tell the smoothness of the noise, for which the maps are read once more.
    check_space : callable, optional
        Called with the places of the maps before these are read; it may raise.
    """

    def __init__(
        self,
        study: Study,
        reading: Reading,
        *,
        keeps_rows: bool,
        smoothness: bool = False,
        check_space: Callable[[Space], None] | None = None,
    ) -> None:
        self._check_space = check_space
        self._tells_smoothness = smoothness
        self._study = study
        self._reading = reading
        self._keeps_rows = keeps_rows

    @cached_property
    def model(self) -> GroupModel:
        """The fitted model."""
        from groupglm.estimator.group_model import fit_images

        images = images_of(self._study.maps)
        design = self._study.design.reset_index(drop=True)
        model = self._reading.model(self._study)
        beside = self._study.beside.arguments()
        fit_images(
            model,
            images,
            design,
            keep_rows=self._keeps_rows,
            check_space=self._check_space,
            has_blocks=self._study.blocks is not None,
            **beside,
        )
        return model

    @property
    def group(self) -> FittedGroup:
        """The fit, for code that uses its space and rows."""
        from groupglm.estimator.group_model import fitted_group

        return fitted_group(self.model)

    @cached_property
    def data(self) -> ImageData:
        """The maps' values, for the permutations of all contrasts."""
        from groupglm.inference.permutation.group_test import ImageData

        return ImageData(self.group.rows)

    def facts(self, contrast: Contrast) -> dict[str, Any]:
        """Return the facts for the sidecars of a contrast's maps."""
        from groupglm.group.resampling import preparation_facts

        residual, numerator, is_own = self._degrees(contrast)
        known = residual[residual > 0]  # elsewhere there is no statistic
        degrees: dict[str, Any] = {"Residual": known.max().item() if known.size else 0}
        if residual.ndim:
            degrees["ResidualMinimum"] = known.min().item() if known.size else 0
            own = self._reading.outputs(self._study).degrees_path(contrast).name
            degrees["ResidualMap"] = own if is_own else self._study.names.df_residual
        if contrast.stat_type == "F":
            degrees["Numerator"] = numerator
        return {
            "Contrast": contrast.facts(),
            "StatType": contrast.stat_type,
            "DegreesOfFreedom": degrees,
            "Zeros": zero_facts(self.model),
            **preparation_facts(self.group),
            **({"Smoothness": self.model.smoothness_.facts()} if self._tells_smoothness else {}),
        }

    def write_degrees(self, contrast: Contrast, outputs: Outputs) -> None:
        """Write the map of a contrast's degrees of freedom, if they are not those of the fit."""
        path = outputs.degrees_path(contrast)
        residual, _, is_own = self._degrees(contrast)
        if not is_own:
            outputs.remove(path)
            return
        space = self.group.space
        one, _ = space.place_words
        said = {
            "Description": f"Residual degrees of freedom of the {contrast.stat_type} at a {one}",
            "Values": "dof",
            "Contrast": contrast.facts(),
        }
        image = space.to_image(residual, "residual degrees of freedom")
        outputs.write_image(image, path, said)

    def _degrees(self, contrast: Contrast) -> tuple[NDArray[Any], int, bool]:
        """Return a contrast's residual and numerator degrees of freedom.

        The third is whether the residual ones differ from place to place, and are not those of the
        fit: they depend on the variances of groups, for instance.
        """
        fit = self.group.result
        whole = np.asarray(fit.df_residual)
        if fit.model.kind == "ols" and contrast.stat_type == "t":
            return whole, 1, False
        tested = fit.contrast(np.array(contrast.weights), stat_type=contrast.stat_type)
        df: Any = tested.df[1] if isinstance(tested.df, tuple) else tested.df
        residual = np.asarray(df)
        known = ~np.isnan(residual)
        if residual.ndim and (residual == whole)[known].all():
            return whole, tested.df_numerator, False
        return residual, tested.df_numerator, residual.ndim > 0


def zero_facts(model: GroupModel) -> dict[str, Any]:
    """Return the facts about voxels that are exactly zero in some maps only, for sidecars."""
    zeros = model.zeros_
    return {
        "VoxelsZeroInSomeSubjects": zeros.n_partial,
        "VoxelsWithOneSubject": zeros.n_single,
        "TreatedAs": "missing" if zeros.are_missing else "values",
    }


def write_common(study: Study, outputs: Outputs, model: GroupModel, journal: Journal) -> None:
    """Write the files of the whole fit: design, mask, and counts if values are missing."""
    from groupglm.estimator.group_model import fitted_group

    folder, names = outputs.folder, outputs.names
    group = fitted_group(model)
    one, many = group.space.place_words
    table, said = _design_table(study)
    outputs.write_table(table, folder / names.design, said, index=True)
    said = {"Description": f"{many.capitalize()} of the group model", "Type": "Brain"}
    outputs.write_image(model.mask_img_, outputs.mask, said, keep=True)
    counts, degrees = folder / names.n_observations, folder / names.df_residual
    n_observations = np.asarray(group.result.n_observations)
    if n_observations.min() < len(study.design):
        said = {"Description": f"Number of {study.noun}s that have a value at a {one}"}
        outputs.write_image(model.n_observations_, counts, said)
        said = {"Description": f"Residual degrees of freedom of the group model at a {one}"}
        outputs.write_image(model.df_residual_, degrees, said)
        journal.say(
            f"Values are missing: {n_observations.min()} to {n_observations.max()} of "
            f"{len(study.design)} {study.noun}s at a {one} ({counts.name}; {degrees.name})."
        )
    else:
        for path in (counts, degrees):  # left by an earlier fit
            outputs.remove(path)
    _write_zeros(study, outputs, model, journal)
    write_fit_maps(outputs, model, journal)
    journal.say(f"Mask: {model.n_elements_} {many}.")


def _design_table(study: Study) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the design with the labels of subjects, and what its sidecar says of it."""
    facts: dict[str, Any] = {
        "Description": f"Design matrix of the group model, a row a {study.noun}",
        "subject_label": {"Description": "Label of the subject"},
    }
    if study.visits is None:
        return study.design, facts
    subjects = [visit.subject for visit in study.visits.values()]
    table = study.design.set_axis(subjects, axis="index").rename_axis("subject_label")
    return table, {**facts, "Rows": list(study.visits)}


def _write_zeros(study: Study, outputs: Outputs, model: GroupModel, journal: Journal) -> None:
    """Write the number of maps that are zero at each voxel, if some voxels have such maps."""
    path, zeros = outputs.folder / outputs.names.n_zeros, model.zeros_
    if not zeros.n_partial:
        outputs.remove(path)  # left by an earlier fit
        return
    one, _ = model.masker_.space.place_words
    whose = "subjects whose map is" if study.visits is None else "maps that are"
    said = {"Description": f"Number of {whose} exactly zero at a {one}"}
    outputs.write_image(model.n_zeros_, path, {**said, "Zeros": zero_facts(model)})
    treated = "they are missing values" if zeros.are_missing else "they count as values"
    journal.say(f"Zeros: {zeros.sentence(f'{study.noun}s')}; {treated} ({path.name}).")
