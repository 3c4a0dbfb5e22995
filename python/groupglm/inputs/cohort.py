# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of input of a model, behind one protocol: `Cohort`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, shown, warn_caller
from groupglm.inputs.aligning import AlignedDesign, align_design, align_to_names
from groupglm.inputs.beside import COLUMNS, Beside, labels_of, missing_maps
from groupglm.inputs.first_level import (
    FirstLevelCohort,
    are_first_level_models,
    kind_of_model,
    plain_contrast,
)
from groupglm.inputs.opening_beside import open_beside, refuse_other_kind
from groupglm.inputs.partial import leave_out
from groupglm.inputs.region_cohort import RegionCohort, are_regions, leave_out_rows
from groupglm.inputs.same_file import refuse_shared_files, report_shared_files
from groupglm.inputs.table import MapTable
from groupglm.inputs.visits import (
    refuse_other_visits,
    visits_in_names,
    visits_in_table,
    without_visits,
)
from groupglm.messages import argument
from groupglm.runtime.arguments import check_truth
from groupglm.spaces.registry import grouped, kind_of, open_inputs
from groupglm.tabular.labels import LABEL, label_in_path, match_rows, plain_label, row_labels

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

    from groupglm.spaces.base import Source
    from groupglm.spaces.kinds import Kind

__all__ = [
    "Cohort",
    "LabelledCohort",
    "align_to_images",
    "kind_of_data",
    "make_cohort",
    "maps_of_one_kind",
]


class Cohort(Protocol):
    """Maps of one kind or several, and the design of each kind.

    Attributes
    ----------
    given
        The input, as it is kept for the user.
    first_design : pandas.DataFrame
        The design of the only kind of maps, or of the first.
    has_one_kind : bool
        Whether there is only one kind of maps, so that ``first_level_contrast`` chooses nothing.
    has_one_design : bool
        Whether all kinds of maps have the same rows, so that they can be checked before any is
        asked for.
    """

    @property
    def given(self) -> Any: ...  # noqa: D102
    @property
    def first_design(self) -> pd.DataFrame: ...  # noqa: D102
    @property
    def has_one_kind(self) -> bool: ...  # noqa: D102
    @property
    def has_one_design(self) -> bool: ...  # noqa: D102

    def kind(self, first_level_contrast: Any) -> Hashable:
        """Check a first-level contrast, and return the kind of maps that it stands for."""
        ...

    def open(self, first_level_contrast: Any, *, same_grid: bool) -> list[Source]:
        """Open the maps of a kind."""
        ...

    def open_beside(
        self, first_level_contrast: Any, images: Sequence[Source], *, same_grid: bool
    ) -> list[list[Source]]:
        """Open what is beside the opened maps of a kind, one list for each row beside a map."""
        ...

    def design(self, first_level_contrast: Any) -> pd.DataFrame:
        """Return the design of a kind: one row a map."""
        ...


class LabelledCohort(Cohort, Protocol):
    """A cohort whose maps have the labels of subjects, if the user gives labels."""

    def aligned(self, first_level_contrast: Any) -> AlignedDesign:
        """Return the design of a kind, with the subjects of its rows if they are known."""
        ...


def make_cohort(
    second_level_input: Any,
    confounds: Any,
    design_matrix: Any,
    *,
    has_blocks: bool = False,
    has_visits: bool = False,
    allow_partial: bool = False,
    beside: Beside | None = None,
) -> LabelledCohort:
    """Check the input of a model; images are not opened yet.

    Subjects may have several images if the design has columns for the subjects, if exchangeability
    blocks say which belong together (`has_blocks`), or if the model takes visits of subjects
    (`has_visits`).
    """
    import pandas as pd

    regions = are_regions(second_level_input)
    second_level_input = grouped(second_level_input, "second_level_input")
    labelled = isinstance(second_level_input, pd.DataFrame) and not regions
    models = are_first_level_models(second_level_input)
    if confounds is not None and design_matrix is not None and (labelled or models or regions):
        warn_caller(
            "confounds have no effect beside a design_matrix; put them into it, or leave it out"
        )
    if check_truth("allow_partial", allow_partial) and regions:
        second_level_input, confounds, design_matrix, beside = leave_out_rows(
            second_level_input, confounds, design_matrix, beside
        )
    elif allow_partial:
        second_level_input, confounds, design_matrix, beside = leave_out(
            second_level_input, _subjects(second_level_input), confounds, design_matrix, beside
        )
    may_repeat = has_blocks or has_visits
    if regions:
        return RegionCohort(
            second_level_input, confounds, design_matrix, beside, may_repeat=may_repeat
        )
    if labelled:
        return TableCohort(
            second_level_input, confounds, design_matrix, beside, may_repeat=may_repeat
        )
    if models:
        return FirstLevelCohort(
            second_level_input, confounds, design_matrix, beside, may_repeat=may_repeat
        )
    return ImageCohort(
        second_level_input,
        confounds,
        design_matrix,
        beside,
        may_repeat=may_repeat,
        has_visits=has_visits,
    )


def kind_of_data(second_level_input: Any) -> Kind:
    """Return the kind of data of an input; volumes, if the input does not show it."""
    import pandas as pd

    if isinstance(second_level_input, pd.DataFrame) and not are_regions(second_level_input):
        return kind_of(list(second_level_input.get("effects_map_path", ())))
    if are_first_level_models(second_level_input):
        return kind_of_model(second_level_input[0])
    return kind_of(second_level_input)


def _subjects(given: Any) -> list[str | None]:
    """Return the subjects of the rows, models or images, if they are known."""
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        MapTable.from_frame(given)  # refuses a table that is not one of maps
        return list(given[LABEL])
    if are_first_level_models(given):
        labels = [model.subject_label for model in given]
        return [None if label is None else str(label) for label in labels]
    return _subjects_of(given, _names_of(given))


class ImageCohort:
    """A list of images, or one 4-D image: one kind of maps."""

    has_one_kind = has_one_design = True

    def __init__(
        self,
        images: Any,
        confounds: Any,
        design_matrix: Any,
        beside: Beside | None = None,
        *,
        may_repeat: bool = False,
        has_visits: bool = False,
    ) -> None:
        if confounds is not None or design_matrix is None:
            # What is wrong with the images themselves is said first.
            open_inputs(images, same_placement=False)
        if confounds is not None:
            raise ArgumentError.about(
                "confounds",
                "confounds are matched by subject label, which a list of images does not have",
                "put them into design_matrix, or give a table of maps as second_level_input",
            )
        if design_matrix is None:
            raise ArgumentError.about(
                "design_matrix",
                "images as second_level_input require a design matrix to be provided",
                "for a one-sample test give "
                "pandas.DataFrame({'intercept': 1.0}, index=range(n_images))",
            )
        self.given = images
        self._beside = beside or Beside()
        names = _names_of(images)
        if names:  # several images
            report_shared_files(images, refuse=has_visits)
        frame, row_visits = without_visits(load_design_matrix(design_matrix))
        subjects = self._subjects = _subjects_of(images, names, frame)
        aligned = align_to_names(frame, subjects)
        # An index of labels may mean anything, unless it has the name of subject labels.
        known = any(subjects) or frame.index.name == LABEL
        in_names = visits_in_names(names, subjects)
        visits = row_visits if aligned.in_order else None
        if visits is not None and in_names is not None:
            refuse_other_visits(visits, in_names)
        self._design = replace(
            aligned, are_subjects=known, visits=visits or in_names, files=names or None
        )
        if known and not may_repeat:
            refuse_repeated_subjects(self._design.labels, self._design.frame)
        self.first_design = self._design.frame

    def kind(self, first_level_contrast: Any) -> None:
        """Warn of a contrast: there is nothing to choose."""
        if first_level_contrast is not None:
            chosen = plain_contrast(first_level_contrast)  # refuses a value that is not a contrast
            warn_caller(
                argument("first_level_contrast", shown=shown(chosen))
                + " has no effect: the model was fitted to images"
            )

    def open(self, first_level_contrast: Any, *, same_grid: bool) -> list[Source]:
        """Open the images."""
        del first_level_contrast
        return open_inputs(self.given, same_placement=same_grid)

    def open_beside(
        self, first_level_contrast: Any, images: Sequence[Source], *, same_grid: bool
    ) -> list[list[Source]]:
        """Open what was given beside the images."""
        del first_level_contrast
        kind = kind_of(self.given)
        return [
            open_beside(
                name, role, self._in_order(given, name), images, kind=kind, same_grid=same_grid
            )
            for role, name, given in self._beside.arguments()
        ]

    def _in_order(self, given: Any, name: str) -> Any:
        """Return images in the order of the model's images, by label if both have labels."""
        if given is None:
            raise ArgumentError(
                name,
                "None, but the model takes one image of them for each image",
                remedy="give a list of images or one 4-D image, in the order of the images, or "
                + argument("model", "ols"),
            )
        if given is self.given:
            raise ArgumentError(
                name, "second_level_input itself", remedy="give the images that belong to them"
            )
        refuse_other_kind(name, given, kind_of(self.given))
        wanted = [subject for subject in self._subjects if subject is not None]
        labels = labels_of(given, wanted, name)
        if labels is None or len(wanted) < len(self._subjects) or not wanted:
            return given
        found = [plain_label(label) for label in labels]
        return given.iloc[match_rows(found, wanted, name, may_have_more=True)].tolist()

    def design(self, first_level_contrast: Any) -> pd.DataFrame:
        """Return the design."""
        del first_level_contrast
        return self.first_design

    def aligned(self, first_level_contrast: Any) -> AlignedDesign:
        """Return the design."""
        del first_level_contrast
        return self._design


def align_to_images(frame: pd.DataFrame, images: Any) -> AlignedDesign:
    """Match a design matrix with a list of images, by label if the images have labels."""
    return align_to_names(frame, _subjects_of(images, _names_of(images), frame))


def _names_of(images: Any) -> list[str | None]:
    """Return the file of each image of a list, None for an image without one; [] for one image."""
    import pandas as pd

    kind = kind_of(images)
    if kind.holds(images):
        return []
    is_array = isinstance(images, np.ndarray) and images.ndim > 0
    if not (is_array or isinstance(images, list | tuple | pd.Series)):
        return []  # refused when it is opened
    return [kind.file_of(item) for item in images]


def _subjects_of(
    images: Any, names: list[str | None], design: pd.DataFrame | None = None
) -> list[str | None]:
    """Return the subjects of a list of images, by the labels of a Series or the file names."""
    import pandas as pd

    if isinstance(images, pd.Series):
        rows = None if design is None else row_labels(design.index, None, "design_matrix")
        labels = row_labels(images.index, rows, "second_level_input", all_maps=True)
        if labels is not None:
            return [plain_label(label) for label in labels]
    found = [None if name is None else label_in_path(PurePath(name)) for name in names]
    # A folder above all images, such as sub-project, is not a subject.
    return found if len(set(found)) > 1 else [None] * len(found)


class TableCohort:
    """A table of maps: one kind of maps for each map name."""

    def __init__(
        self,
        frame: pd.DataFrame,
        confounds: Any,
        design_matrix: Any,
        beside: Beside | None = None,
        *,
        may_repeat: bool = False,
    ) -> None:
        self._table = MapTable.from_frame(frame)
        self._beside = beside or Beside()
        self._designs: dict[str, AlignedDesign] = {}
        for name in self._table.map_names:
            maps = self._table.select(name)
            labels = maps[LABEL].tolist()
            paths = maps["effects_map_path"].tolist()
            visits = visits_in_table(maps, labels) or visits_in_names(paths, labels)
            refuse_shared_files(labels, paths, "second_level_input")
            aligned = align_design(
                design_matrix,
                confounds,
                labels,
                was_sorted=self._table.was_sorted(name),
                given=self._table.given_order(name),
                visits=visits,
                may_repeat=may_repeat,
            )
            self._designs[name] = replace(aligned, files=paths)
            check_design_matrix(self._designs[name].frame, len(maps))
            if not may_repeat:
                refuse_repeated_subjects(labels, self._designs[name].frame)
        self.given = self._table.frame
        self.first_design = self._designs[self._table.map_names[0]].frame
        self.has_one_kind = self.has_one_design = len(self._designs) == 1

    def kind(self, first_level_contrast: Any) -> str:
        """Return the map name."""
        return str(self._table.select(first_level_contrast)["map_name"].iloc[0])

    def open(self, first_level_contrast: Any, *, same_grid: bool) -> list[Source]:
        """Open the files of that map name."""
        chosen = self._table.select(first_level_contrast)
        return open_inputs(chosen["effects_map_path"].tolist(), same_placement=same_grid)

    def open_beside(
        self, first_level_contrast: Any, images: Sequence[Source], *, same_grid: bool
    ) -> list[list[Source]]:
        """Open the files of the column of each role, or what was given beside the table."""
        aligned, chosen = (
            self.aligned(first_level_contrast),
            self._table.select(first_level_contrast),
        )
        return [
            open_beside(
                name,
                role,
                self._paths(role, name, given, aligned, chosen),
                images,
                kind=kind_of(chosen["effects_map_path"].tolist()),
                same_grid=same_grid,
            )
            for role, name, given in self._beside.arguments()
        ]

    def _paths(
        self, role: str, name: str, given: Any, aligned: AlignedDesign, chosen: pd.DataFrame
    ) -> Any:
        column = COLUMNS.get(role, "")
        if column in chosen.columns:
            if given is not None:
                raise ArgumentError(
                    name,
                    f"given, but the column {column} of second_level_input has them too",
                    remedy="leave one of them out",
                )
            paths = chosen[column].tolist()
            missing_maps(paths, chosen[LABEL].tolist(), column)
            return paths
        if given is None:
            raise ArgumentError(
                name,
                f"None, and second_level_input has no column {column}, but the model takes one "
                "image of them for each map",
                remedy="add the column, or give " + argument("model", "ols"),
            )
        return aligned.align(given, name)

    def design(self, first_level_contrast: Any) -> pd.DataFrame:
        """Return the rows of the subjects that have the map."""
        return self.aligned(first_level_contrast).frame

    def aligned(self, first_level_contrast: Any) -> AlignedDesign:
        """Return these rows with their subjects."""
        return self._designs[self.kind(first_level_contrast)]


def maps_of_one_kind(table: pd.DataFrame) -> pd.DataFrame | list[Any]:
    """Return the files of a table of maps that has one map name, sorted by subject.

    A table of regions holds the values themselves, and is returned as it is.
    """
    if are_regions(table):
        return table
    paths: list[Any] = MapTable.from_frame(table).select(None)["effects_map_path"].tolist()
    return paths
