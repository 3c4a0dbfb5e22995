# SPDX-License-Identifier: BSD-3-Clause
"""Levels of subjects and of the families that they are in: the plan of a nested fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError
from groupglm.models.known_variances import n_varying, of_no_residual
from groupglm.models.nested_fit import NestedFit, NestedNumbers, load_numbers
from groupglm.models.ols import OLS, OlsAccumulator, OlsPlan, design_of_parts
from groupglm.models.second_pass import TILE_BYTES, tiles_bytes
from groupglm.models.subject_rows import numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from groupglm.models.base import Rows, Values
    from groupglm.models.repeated import RepeatedMeasures
    from groupglm.models.subject_rows import SubjectRows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["NestedPlan", "load", "prepare"]


def prepare(
    model: RepeatedMeasures,
    subjects: SubjectRows,
    X: Floats,
    column_names: tuple[str, ...],
) -> NestedPlan:
    """Factorise a design, and refuse one that leaves a variance without information."""
    plan = OLS.prepare(X, column_names)
    _refuse_unknown_variances(plan, subjects)
    return NestedPlan(model, subjects, plan)


def load(
    model: RepeatedMeasures,
    subjects: SubjectRows,
    X: Floats,
    column_names: tuple[str, ...],
    arrays: Mapping[str, NDArray[Any]],
    *,
    n_values: int,
    n_threads: int,
) -> NestedFit:
    """Make a fit of the arrays of `NestedFit.arrays`."""
    design = _core.Design(X)
    numbers = load_numbers(arrays, n_values, rank=design.rank, n_images=len(X))
    return NestedFit(X, column_names, n_threads, model, subjects, numbers, design)


@dataclass(frozen=True, eq=False)
class NestedPlan:
    """A factorised design, and whose image each image is.

    The first reading fills the state of least squares, which finds the mask and the missing values.
    The fit takes all rows, tile by tile.
    """

    model: RepeatedMeasures
    subjects: SubjectRows
    ols: OlsPlan
    order: ClassVar[None] = None
    ends: ClassVar[None] = None

    @property
    def X(self) -> Floats:  # noqa: N802 - a matrix
        """The design matrix, shape (n_images, n_columns)."""
        return self.ols.X

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns of the design."""
        return self.ols.column_names

    @property
    def rank(self) -> int:
        """Rank of the design."""
        return self.ols.rank

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of two states, of the fit, and of tiles of rows."""
        r = self.ols.rank
        own = 8 * (16 + r + 2 * r * (r + 1)) + 40
        tiles = tiles_bytes(len(self.X), n_values)
        return self.ols.bytes(n_values, n_missing) + own * n_values + tiles

    def part(self, first: int, count: int) -> OlsPlan:
        """Return the plan of some of the images, to fill an accumulator."""
        return self.ols.part(first, count)

    def accumulator(self, n_values: int) -> OlsAccumulator:
        """Return an empty one."""
        return self.ols.accumulator(n_values)

    def mean(self, accumulator: Any, n_threads: int) -> tuple[Floats, NDArray[np.integer]]:
        """Return the mean of the images, and how many have each voxel."""
        return self.ols.mean(accumulator, n_threads)

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> NestedFit:
        """Return the fit to the rows of all images, which are read once more."""
        if rows is None:
            raise ValueError("the rows are needed once more")
        return self.finish_tiles(accumulator, n_threads, rows.tiles(TILE_BYTES))

    def finish_tiles(
        self,
        accumulator: OlsAccumulator,
        n_threads: int,
        tiles: Iterable[tuple[NDArray[np.int64] | slice, Values]],
    ) -> NestedFit:
        """Return the fit, from tiles of all images."""
        subject, family = self._tree()
        n_values = accumulator.state.n_voxels
        mean = self.ols.mean(accumulator, n_threads)[0]
        basis = self.ols.design.basis()
        found = NestedNumbers.empty(n_values, rank=self.rank, mean=mean)
        deficient = []
        for at, y in tiles:
            numbers, counts, voxels, projectors = _core.fit_nested(
                basis, subject, family, y, n_threads
            )
            found.numbers[:, at], found.counts[:, at] = numbers, counts
            places = np.arange(n_values)[at]
            deficient.append((places[voxels], projectors))
        return NestedFit(
            self.X,
            self.column_names,
            n_threads,
            self.model,
            self.subjects,
            found.with_deficient(deficient),
            self.ols.design,
        )

    def _tree(self) -> tuple[Integers, Integers]:
        """Return the subject of each image, and the family of each subject, as numbers."""
        subject = self.subjects.number
        family = np.empty(self.subjects.n_subjects, dtype=np.int64)
        family[subject] = numbered(self.subjects.families or ())
        return subject, family

    def __reduce__(self) -> tuple[Any, ...]:
        # As arrays: a worker's processor may run the compiled core of another level.
        design = self.ols.design.__getstate__()
        return _plan_of, (self.model, self.subjects, self.X, self.column_names, design)


def _plan_of(
    model: RepeatedMeasures,
    subjects: SubjectRows,
    X: Floats,
    column_names: tuple[str, ...],
    design: tuple[Any, ...],
) -> NestedPlan:
    return NestedPlan(model, subjects, OlsPlan(X, column_names, design_of_parts(design)))


def _refuse_unknown_variances(plan: OlsPlan, subjects: SubjectRows) -> None:
    """Refuse labels and a design from which no data could tell one of the variances."""
    families = numbered(subjects.families or ())
    n_families = int(families.max()) + 1
    if n_families == subjects.n_subjects:
        raise ArgumentError.about(
            "families",
            f"each of the {n_families} families has one subject, whose variance would also be the "
            "family's",
            "give the family of several subjects, or take the covariance 'random intercept'",
        )
    if n_families == 1:
        raise ArgumentError.about(
            "families",
            "all images are of one family: a variance over families needs several",
            "take the covariance 'random intercept'",
        )
    basis = plan.design.basis()
    with_families = n_families + n_varying(basis, families)
    with_subjects = subjects.n_subjects + n_varying(basis, subjects.number)
    if with_families == plan.rank:
        raise _of_columns("families", "family")
    if with_subjects == with_families:
        raise _of_columns("subjects", "subject")
    if with_subjects == len(plan.X):
        raise of_no_residual(plan.X, subjects.number, plan.column_names)


def _of_columns(name: str, one: str) -> ArgumentError:
    return ArgumentError.about(
        "design_matrix",
        f"the design matrix has a column for each {one}, or columns that stand for all {name}: no "
        f"variance over {name} is left to estimate",
        f"drop these columns: the model gives each {one} a level of its own",
    )
