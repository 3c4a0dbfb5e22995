# SPDX-License-Identifier: BSD-3-Clause
"""Groups of images, each with a variance of its own, and the design of each: `GroupDesign`.

A variance is a group's own if the group's images alone estimate it: with X_g the rows of group g,

    rank(X) = sum over g of rank(X_g).

The column space of X is then the direct sum of those of the groups, however the columns are coded:
one 0/1 column for each group, or an intercept and a 0/1 column. Each estimable contrast c is the
sum of contrasts c_g, one in the row space of each X_g, in one way only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from groupglm import _core
from groupglm.design.collinearity import quote_names
from groupglm.errors import ArgumentError
from groupglm.messages import argument as named
from groupglm.messages import either
from groupglm.tabular.group_labels import check_labels, label_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from groupglm.models.base import Model

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "GroupDesign",
    "HasGroups",
    "design_groups",
    "group_designs",
    "mean_of_groups",
    "split_contrast",
]

_NO_WEIGHT = 1e-12
"""A group has no part in a contrast below this share of the length of the images' weights."""


@runtime_checkable
class HasGroups(Protocol):
    """What some models are besides: their groups may be labels by subject, not by image."""

    def for_images(self, align: Callable[[Any, str], Any]) -> Model:
        """Return the model with one label for each image.

        Parameters
        ----------
        align : callable
            Takes the labels that the user gave, or None, and the argument's name. Returns the
            labels in the order of the images; a Series is matched by subject.
        """
        ...


@dataclass(frozen=True, eq=False)
class GroupDesign:
    """A group of images of one variance.

    Parameters
    ----------
    name : str
        The group's label.
    rows : array of int, shape (n_own,)
        Numbers of the group's images, in order.
    columns : array of int, shape (n_own_columns,)
        The columns of the design that are not zero in all of these rows; the first column, of
        zeros, if all are.
    X : array, shape (n_own, n_own_columns)
        The design's rows and columns of the group.
    rank : int
        Rank of `X`; columns of a group may depend on each other.
    """

    name: str
    rows: Integers
    columns: Integers
    X: Floats
    rank: int

    @property
    def df_residual(self) -> int:
        """Residual degrees of freedom of the group's images alone."""
        return len(self.rows) - self.rank


def group_designs(
    labels: Any, X: Floats, column_names: Sequence[str], *, argument: str = "variance_groups"
) -> tuple[GroupDesign, ...]:
    """Split a design by labels of groups, one for each image, in the order of their first images.

    Shapes: `labels` (n_images,), `X` (n_images, n_columns).

    Raises
    ------
    ArgumentError
        If the labels do not fit the images or name a single group, groups share a column of the
        design, or a group has no residual degree of freedom of its own. The message names groups
        and columns, and says how to code them.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 1], [1, 1], [1, 0], [1, 0], [1, 0]])
    >>> [(group.name, group.rows.tolist(), group.columns.tolist(), group.df_residual)
    ...  for group in group_designs(["a", "a", "b", "b", "b"], X, ("intercept", "a"))]
    [('a', [0, 1], [0, 1], 1), ('b', [2, 3, 4], [0], 2)]
    """
    texts = label_texts(labels, len(X), argument)
    numbers = check_labels(texts, len(X), argument)
    names = list(dict.fromkeys(texts))
    if len(names) == 1:
        raise ArgumentError(
            argument,
            f"the label {names[0]!r} for all {len(X)} images",
            "labels of two groups or more",
            "leave it out if all images have the same variance",
            verb="has",
        )
    groups = _groups_of(numbers, names, X)
    _refuse_shared_columns(groups, X, column_names, argument)
    _refuse_small(groups, argument)
    return groups


def design_groups(X: Floats, column_names: Sequence[str], *, argument: str) -> tuple[str, ...]:
    """Return a label for each image: the groups that no column of the design joins.

    Two images are in the same group if a column is not zero in both, directly or by way of others.
    The label consists of the names of the group's columns.

    Shapes: `X` (n_images, n_columns); returns n_images labels.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 3], [0, 1, 5]])
    >>> design_groups(X, ("a", "b", "age_b"), argument="groups")
    ('a', 'a', 'b and age_b', 'b and age_b')
    """
    n, p = X.shape
    row, column = np.nonzero(X)
    links = coo_array((np.ones(len(row)), (row, n + column)), shape=(n + p, n + p))
    found = connected_components(links, directed=False)[1]
    labels = {}
    for number in dict.fromkeys(found[:n].tolist()):
        own = [column_names[j] for j in np.flatnonzero(found[n:] == number).tolist()]
        labels[number] = " and ".join(own) if own else "no column"
    if len(set(labels.values())) == 1:
        joining = [name for name, column in zip(column_names, X.T, strict=True) if column.all()]
        joined = f"by {quote_names(joining)}" if joining else "by columns they share"
        raise ArgumentError.about(
            argument,
            f"the design matrix does not separate the images into groups: all {n} are joined "
            f"{joined}",
            either("give labels, one an image, by ", "name the column of groups by ")
            + named(argument)
            + either(", as UnequalVariances(groups=labels)", "")
            + ", or code the design by a 0/1 column for each group without an intercept",
        )
    return tuple(labels[number] for number in found[:n].tolist())


def split_contrast(groups: Sequence[GroupDesign], weights: Floats) -> tuple[Floats | None, ...]:
    """Split rows of a contrast into the part of each group, over the group's columns.

    The weights a of the images in the estimates of a contrast, `_core.Design.gains`, span the
    column space. Those of a group, a_g, therefore belong to the contrast c_g = X_g'a_g. None stands
    for a group that no row depends on.

    Shapes: `weights` (k, n_images); returns (k, n_own_columns) for each group.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 1], [1, 1], [1, 0], [1, 0], [1, 0]])
    >>> groups = group_designs(["a", "a", "b", "b", "b"], X, ("intercept", "a"))
    >>> one, other = split_contrast(groups, _core.Design(X).gains(np.array([[0.0, 1.0]])))
    >>> one.round(3) + 0.0, other.round(3)
    (array([[1., 1.]]), array([[-1.]]))
    """
    length = np.linalg.norm(weights, axis=1, keepdims=True)
    parts: list[Floats | None] = []
    for group in groups:
        own = weights[:, group.rows]
        none = np.linalg.norm(own, axis=1, keepdims=True) <= _NO_WEIGHT * length
        own = np.where(none, 0.0, own)
        parts.append(np.ascontiguousarray(own @ group.X) if own.any() else None)
    return tuple(parts)


def mean_of_groups(
    groups: Sequence[GroupDesign], design: _core.Design, contrast: Floats, values: Floats
) -> Floats:
    """Return the mean of what groups have, over the groups on which a contrast depends.

    Shapes: `contrast` (n_columns,) or (k, n_columns), `values` (n_groups, n_voxels); returns
    (n_voxels,). Without groups, the values are returned as they are.
    """
    if not groups:
        return values
    rows = np.ascontiguousarray(np.atleast_2d(contrast), dtype=np.float64)
    parts = split_contrast(groups, design.gains(rows))
    mean: Floats = values[[part is not None for part in parts]].mean(axis=0)
    return mean


def _groups_of(numbers: Integers, names: Sequence[str], X: Floats) -> tuple[GroupDesign, ...]:
    groups = []
    for number, name in enumerate(names):
        rows = np.flatnonzero(numbers == number)
        columns = np.flatnonzero(X[rows].any(axis=0))
        if not len(columns):
            columns = np.zeros(1, dtype=np.int64)  # a column of zeros: a design has a column
        own = np.ascontiguousarray(X[np.ix_(rows, columns)])
        groups.append(GroupDesign(name, rows, columns, own, _core.Design(own).rank))
    return tuple(groups)


def _refuse_shared_columns(
    groups: Sequence[GroupDesign], X: Floats, names: Sequence[str], argument: str
) -> None:
    """Refuse a design in which a coefficient is estimated from images of several groups."""
    design = _core.Design(np.ascontiguousarray(X))
    if design.rank == sum(group.rank for group in groups):
        return
    shared = _shared_columns(groups, X, design)
    several = len(shared) != 1
    columns = f"columns {quote_names([names[j] for j in shared])}"
    sharing = [group.name for group in groups if np.isin(shared, group.columns).any()]
    raise ArgumentError.about(
        argument,
        f"the groups {quote_names(sharing)} share the "
        f"{columns if several else columns.replace('columns', 'column', 1)}: "
        f"{'their coefficients are' if several else 'its coefficient is'} estimated from images "
        "of several groups, so that no group's variance can be estimated by itself",
        f"give {'each' if several else 'it'} one column for each group, which holds the values in "
        "the group's rows and 0 in the others (in a formula, C(group) * covariate), or join the "
        "groups",
    )


def _shared_columns(groups: Sequence[GroupDesign], X: Floats, design: _core.Design) -> list[int]:
    """Return the columns whose part within a group is outside the column space of the design."""
    basis = design.basis()
    columns: set[int] = set()
    for group in groups:
        for own, j in enumerate(group.columns.tolist()):
            largest = np.abs(group.X[:, own]).max()
            if largest == 0:
                continue
            part = np.zeros(len(X))
            part[group.rows] = group.X[:, own] / largest
            rest = part - basis @ (basis.T @ part)
            if np.linalg.norm(rest) > _core.ESTIMABLE_TOLERANCE * np.linalg.norm(part):
                columns.add(j)
    return sorted(columns) or list(range(X.shape[1]))


def _refuse_small(groups: Sequence[GroupDesign], argument: str) -> None:
    small = [group for group in groups if group.df_residual < 1]
    if not small:
        return
    counts = ", ".join(
        f"{group.name!r} ({len(group.rows)} {'image' if len(group.rows) == 1 else 'images'} and "
        f"{group.rank} {'coefficient' if group.rank == 1 else 'coefficients'} of its own)"
        for group in small[:8]
    )
    more = f" and {len(small) - 8} more" if len(small) > 8 else ""
    raise ArgumentError.about(
        argument,
        f"{'these groups are' if len(small) > 1 else 'a group is'} too small to estimate a "
        f"variance of {'their' if len(small) > 1 else 'its'} own: {counts}{more}",
        "join groups, add images, or drop columns that are particular to few images",
    )
