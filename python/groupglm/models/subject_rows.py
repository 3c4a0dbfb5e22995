# SPDX-License-Identifier: BSD-3-Clause
"""Whose image each image is: labels of subjects, families and visits, checked: `SubjectRows`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, in_quotes
from groupglm.messages import argument as named
from groupglm.runtime.naming import listed
from groupglm.tabular.group_labels import label_texts
from groupglm.tabular.labels import refuse_twin_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = ["SubjectRows", "numbered", "refuse_same_visit", "subject_rows"]


@dataclass(frozen=True, eq=False)
class SubjectRows:
    """The subject of each image, and what else is said of images in groups.

    Parameters
    ----------
    subjects : tuple of str, length n_images
        The subject of each image.
    families : tuple of str, length n_images, optional
        What the subject of each image lies in: a family, a site.
    visits : tuple of str, length n_images, optional
        The visit of each image; no subject has two images of one visit.
    groups : tuple of str, length n_images, optional
        The group of each image's subject.
    """

    subjects: tuple[str, ...]
    families: tuple[str, ...] | None = None
    visits: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Labels of the subjects, in the order of their first images."""
        return tuple(dict.fromkeys(self.subjects))

    @cached_property
    def number(self) -> Integers:
        """The number of each image's subject among `names`, shape (n_images,)."""
        return numbered(self.subjects)

    @cached_property
    def order(self) -> Integers:
        """The images, subject by subject, and each subject's in their order, shape (n_images,)."""
        return np.argsort(self.number, kind="stable").astype(np.int64)

    @cached_property
    def sizes(self) -> Integers:
        """Number of images of each subject, shape (n_subjects,)."""
        return np.bincount(self.number).astype(np.int64)

    @cached_property
    def ends(self) -> Integers:
        """How many images, in `order`, there are up to each subject's end, (n_subjects,)."""
        return np.cumsum(self.sizes)

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.names)


def numbered(labels: Sequence[str]) -> Integers:
    """Replace labels by numbers from 0, in the order in which they first appear.

    Examples
    --------
    >>> numbered(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.array([numbers[label] for label in labels], dtype=np.int64)


def subject_rows(
    n_images: int,
    subjects: Any,
    *,
    families: Any = None,
    visits: Any = None,
    groups: Any = None,
) -> SubjectRows:
    """Check labels, one an image.

    Raises
    ------
    ArgumentError
        If there are not as many labels as images, a label is missing, two labels are spellings of
        the same subject, no subject has two images, a subject is in two families or two groups, or
        has two images of one visit.

    Examples
    --------
    >>> rows = subject_rows(4, ["b", "a", "b", "a"], visits=[1, 1, 2, 2])
    >>> rows.order.tolist(), rows.sizes.tolist(), rows.ends.tolist(), rows.names
    ([0, 2, 1, 3], [2, 2], [2, 4], ('b', 'a'))
    """
    texts = label_texts(subjects, n_images, "subjects")
    refuse_twin_labels(texts, "subjects")
    rows = SubjectRows(
        texts,
        *(
            None if labels is None else label_texts(labels, n_images, name)
            for name, labels in (("families", families), ("visits", visits), ("groups", groups))
        ),
    )
    if n_images and rows.n_subjects == n_images:
        raise ArgumentError.about(
            "subjects",
            f"each of the {n_images} subjects has one image: no subject has two",
            "give several images a subject, or take a model of independent images, such as "
            + named("model", "ols"),
        )
    if rows.families is not None:
        _refuse_two(texts, rows.families, "families", "family", "families")
    if rows.groups is not None:
        _refuse_two(texts, rows.groups, "groups", "group", "groups")
    if rows.visits is not None:
        refuse_same_visit(texts, rows.visits)
    return rows


def _refuse_two(
    subjects: Sequence[str], labels: Sequence[str], name: str, one: str, several: str
) -> None:
    """Refuse a subject whose images have different labels."""
    found: dict[str, list[str]] = {}
    for subject, label in dict.fromkeys(zip(subjects, labels, strict=True)):
        found.setdefault(subject, []).append(label)
    torn = {subject: own for subject, own in found.items() if len(own) > 1}
    if not torn:
        return
    said = listed(
        [
            f"{in_quotes(subject)} ({' and '.join(map(in_quotes, own[:3]))})"
            for subject, own in torn.items()
        ]
    )
    remedy = f"give all images of a subject the same {one}"
    if name == "families" and len(torn) == len(found) > 1:
        remedy += (
            "; subjects lie in families, (1 | family/subject), and levels of visits within "
            "subjects, (1 | subject/visit), are not supported"
        )
    raise ArgumentError.about(
        name,
        f"{'a subject is' if len(torn) == 1 else f'{len(torn)} subjects are'} in two {several}: "
        + said,
        remedy,
    )


def refuse_same_visit(subjects: Sequence[str], visits: Sequence[str]) -> None:
    """Refuse two images of one visit of a subject."""
    counts = Counter(zip(subjects, visits, strict=True))
    twice = [key for key, count in counts.items() if count > 1]
    if not twice:
        return
    said = listed([f"{in_quotes(subject)} at {in_quotes(visit)}" for subject, visit in twice])
    raise ArgumentError.about(
        "visits",
        f"a subject has several images of the same visit: {said}",
        "give each image of a subject a visit of its own, or leave an image out",
    )
