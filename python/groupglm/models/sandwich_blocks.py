# SPDX-License-Identifier: BSD-3-Clause
"""The images of a design by subject, as the compiled sandwich estimator takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from groupglm.models.subject_rows import numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.subject_rows import SubjectRows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["SandwichBlocks", "blocks_of", "numbers_present"]

_NONE = np.empty(0, dtype=np.int64)

_BLOCK_BITS = 2**24
"""Bits of patterns that are looked at together, as a byte each."""


@dataclass(frozen=True, eq=False)
class SandwichBlocks:
    """The images of a design by subject.

    Parameters
    ----------
    basis : array, shape (n_images, rank)
        An orthonormal basis of the design. What a fit keeps has coordinates in it.
    subject : array of int, shape (n_images,)
        Number of the subject of each image.
    part : array of int, shape (n_subjects,)
        Number of the part of the design that a subject belongs to; parts share neither a column
        nor a subject.
    group : array of int, shape (n_subjects,), or empty
        Number of the group within which covariances are the same; empty for the classic estimator.
    visit : array of int, shape (n_images,), or empty
        Number of the visit within its group.
    """

    basis: Floats
    subject: Integers
    part: Integers
    group: Integers
    visit: Integers

    @property
    def rank(self) -> int:
        """Rank of the design."""
        return int(self.basis.shape[1])

    @property
    def n_bytes(self) -> int:
        """Bytes of the bits that say which images are missing."""
        return (len(self.basis) + 7) // 8

    @property
    def visits_of_groups(self) -> Integers:
        """Number of visits of each group, shape (n_groups,); empty for the classic estimator."""
        if not len(self.group):
            return _NONE
        counts = np.zeros(self.group.max() + 1, dtype=np.int64)
        np.maximum.at(counts, self.group[self.subject], self.visit + 1)
        return counts

    @property
    def n_sums(self) -> int:
        """Numbers that are kept of a place."""
        counts = self.visits_of_groups if len(self.group) else np.array([self.rank])
        return int((counts * (counts + 1) // 2).sum())

    @property
    def diagonals(self) -> Integers:
        """Which of these numbers are variances."""
        counts = self.visits_of_groups if len(self.group) else np.array([self.rank])
        found: list[int] = []
        first = 0
        for count in counts.tolist():
            found += [first + j * (j + 3) // 2 for j in range(count)]
            first += count * (count + 1) // 2
        return np.array(found, dtype=np.int64)

    @property
    def n_fourth(self) -> int:
        """Numbers of the sums of fourth powers of a place."""
        r = self.rank
        return r * (r + 1) * (r + 2) * (r + 3) // 24


def blocks_of(rows: SubjectRows, X: Floats, basis: Floats) -> SandwichBlocks:
    """Return the images of a design by subject; homogeneous if they have groups."""
    group, visit = _NONE, _NONE
    if rows.groups is not None and rows.visits is not None:
        of_image = numbered(rows.groups)
        group = of_image[np.unique(rows.number, return_index=True)[1]]
        visit = np.empty(len(X), dtype=np.int64)
        for number in range(of_image.max() + 1):
            own = np.flatnonzero(of_image == number)
            visit[own] = numbered([rows.visits[i] for i in own.tolist()])
    return SandwichBlocks(np.ascontiguousarray(basis), rows.number, _parts(rows, X), group, visit)


def _parts(rows: SubjectRows, X: Floats) -> Integers:
    """Return the part of each subject, (n_subjects,): parts share neither a column nor a subject.

    Each group of subjects has a part if the design has columns for each group of its own.
    """
    n, p = X.shape
    image, column = np.nonzero(X)
    one = np.concatenate([np.arange(n), image])
    other = np.concatenate([n + rows.number, n + rows.n_subjects + column])
    size = n + rows.n_subjects + p
    links = coo_array((np.ones(len(one)), (one, other)), shape=(size, size))
    found = connected_components(links, directed=False)[1]
    return numbered(found[n : n + rows.n_subjects].tolist())


def numbers_present(missing: NDArray[np.uint8], rows: SubjectRows) -> tuple[Integers, Integers]:
    """Return the numbers of images and of subjects present, from bits of the images missing.

    Shapes: `missing` (n_patterns, n_bytes); returns (n_patterns,) each.
    """
    n = len(rows.order)
    starts = rows.ends - rows.sizes
    images, subjects = np.empty((2, len(missing)), dtype=np.int64)
    step = max(1, _BLOCK_BITS // n)
    for first in range(0, len(missing), step):
        block = slice(first, first + step)
        bits = np.unpackbits(missing[block], axis=1, count=n, bitorder="little")
        present = bits[:, rows.order] == 0
        images[block] = present.sum(axis=1)
        subjects[block] = np.logical_or.reduceat(present, starts, axis=1).sum(axis=1)
    return images, subjects
