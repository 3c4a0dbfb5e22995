# SPDX-License-Identifier: BSD-3-Clause
"""Whose image each image is, for models of several images a subject: `ImageLabels`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from groupglm.errors import ArgumentError, in_quotes
from groupglm.inputs.visits import warn_of_runs
from groupglm.messages import argument as named
from groupglm.models.kinds import DEFAULT_MODEL
from groupglm.models.subject_rows import refuse_same_visit
from groupglm.models.variance_groups import HasGroups
from groupglm.tabular.group_labels import label_texts
from groupglm.tabular.labels import label_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.inputs.aligning import AlignedDesign
    from groupglm.models.base import Model

__all__ = ["ImageLabels", "TakesSubjects", "with_labels_of", "without_labels"]


@runtime_checkable
class TakesSubjects(Protocol):
    """A model whose images belong to subjects, of whom some have several."""

    @property
    def subjects(self) -> Any:
        """The subject of each image, as the user gave them; None: as the input says."""
        ...

    @property
    def families(self) -> Any:
        """What the subject of each image lies in."""
        ...

    @property
    def visits(self) -> Any:
        """The visit of each image."""
        ...

    def for_images(self, align: Callable[[Any, str], Any]) -> Any:
        """Return the model with one label for each image, as `HasGroups` says."""
        ...


@dataclass(frozen=True, eq=False)
class ImageLabels:
    """Labels that a user gives to `fit`, one an image.

    Parameters
    ----------
    subjects, families, visits : array_like of labels, or pandas.Series matched by label, optional
        As `RepeatedMeasures` takes them.
    """

    subjects: Any = None
    families: Any = None
    visits: Any = None

    def with_model(self, model: Model) -> Model:
        """Return the model with these labels in the place of its own; refuse if it takes none."""
        given = {name: own for name, own in vars(self).items() if own is not None}
        if not given:
            return model
        if not isinstance(model, TakesSubjects):
            kind = DEFAULT_MODEL.kind if model.kind == "weighted" else model.kind
            raise ArgumentError(
                next(iter(given)),
                f"given, but the model {kind!r} takes none",
                remedy="leave them out, or give " + named("model", "repeated measures"),
            )
        own: Any = model
        labelled: Model = replace(own, **given)
        return labelled


def with_labels_of(model: Model, rows: AlignedDesign) -> Model:
    """Return a model with one label for each image, in the order of the rows of its design.

    Labels that are a Series are matched by subject. Subjects that the user does not give are those
    of the input, and so are visits if the model cannot do without.

    Raises
    ------
    ArgumentError
        If labels do not match the images, or contradict the subjects of the input, or if the input
        says that a visit of a subject is there twice.
    """
    if isinstance(model, HasGroups):
        model = model.for_images(rows.align)
    if not isinstance(model, TakesSubjects):
        return model
    found: dict[str, Any] = {}
    if model.subjects is None:
        found["subjects"] = rows.subjects
    elif rows.subjects is not None:
        _refuse_other_subjects(label_texts(model.subjects, len(rows.frame), "subjects"), rows)
    if model.visits is None and getattr(model, "groups", None) is not None:
        found["visits"] = rows.visits
    own: Any = model
    labelled: Any = replace(own, **found)
    if model.visits is None and labelled.subjects is not None:
        # Visits are those of the input's own subjects, which other labels may join.
        own = labelled.subjects if rows.subjects is None else rows.subjects
        subjects = label_texts(own, len(rows.frame), "subjects")
        if rows.visits is not None:
            refuse_same_visit(subjects, rows.visits)
            if getattr(model, "covariance", None) != "sandwich":
                warn_of_runs(subjects, rows.visits)
        _refuse_alike(subjects, rows)
    result: Model = labelled
    return result


def _refuse_alike(subjects: Sequence[str], rows: AlignedDesign) -> None:
    """Refuse two files of one name for a subject that have the same row of the design, too.

    Folders may tell conditions apart, but the design then does so as well.
    """
    matrix = rows.frame.to_numpy()
    seen: dict[tuple[Any, ...], int] = {}
    for place, path in enumerate(rows.files or []):
        if path is None:
            continue
        name = PurePath(str(path)).name
        first = seen.setdefault((subjects[place], name, *matrix[place].tolist()), place)
        if first != place:
            raise ArgumentError.about(
                "second_level_input",
                f"images {first + 1} and {place + 1} of second_level_input have the same name, "
                f"{in_quotes(name)}, are of the same subject, {in_quotes(subjects[place])}, and "
                "have the same row of design_matrix, as if one visit were there twice",
                "leave one of them out, or say by " + named("visits") + " which visits they are",
            )


def without_labels(model: Model) -> Model:
    """Return the model for other images: subjects, families and visits are those of its images."""
    if not isinstance(model, TakesSubjects):
        return model
    own: Any = model
    unlabelled: Model = replace(own, subjects=None, families=None, visits=None)
    return unlabelled


def _refuse_other_subjects(given: Sequence[str], rows: AlignedDesign) -> None:
    """Refuse subjects that are not those of the input.

    Labels of the same subjects must be the same for each image. Other labels, such as sites, may
    join subjects, but not divide one.
    """
    known = rows.subjects or []
    same_labels = {label_key(x) for x in given} == {label_key(x) for x in known}
    of_known: dict[str, tuple[str, int]] = {}
    for place, (own, other) in enumerate(zip(given, known, strict=True), start=1):
        if same_labels and label_key(own) != label_key(other):
            raise ArgumentError.about(
                "subjects",
                f"image {place} is of subject {other!r}, as second_level_input or design_matrix "
                f"says, but subjects has {own!r} there",
                "give the labels in the order of the images, or a Series indexed by "
                "subject label, or leave " + named("subjects") + " out",
            )
        before, first = of_known.setdefault(other, (own, place))
        if before != own:
            raise ArgumentError.about(
                "subjects",
                f"images {first} and {place} are of one subject, {other!r}, as second_level_input "
                f"or design_matrix says, but subjects has {before!r} and {own!r} for them",
                "give all images of a subject the same label, in the order of the images",
            )
