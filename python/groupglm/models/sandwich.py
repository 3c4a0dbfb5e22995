# SPDX-License-Identifier: BSD-3-Clause
"""The sandwich estimator for several images of a subject: `SandwichPlan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, in_quotes, warn_caller
from groupglm.messages import argument, either
from groupglm.models.base import AsGiven
from groupglm.models.ols import OLS, OlsPlan, checked_design
from groupglm.models.sandwich_blocks import SandwichBlocks, blocks_of, numbers_present
from groupglm.models.sandwich_fit import SandwichFit, fits_exactly
from groupglm.models.sandwich_sums import SandwichSums
from groupglm.models.second_pass import TILE_BYTES, tiles_bytes
from groupglm.runtime.array_archives import check_type
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.models.base import Rows
    from groupglm.models.ols import OlsAccumulator
    from groupglm.models.repeated import RepeatedMeasures
    from groupglm.models.results import OlsFit
    from groupglm.models.subject_rows import SubjectRows

__all__ = ["SandwichPlan", "load", "prepare"]

_FEW_SUBJECTS = 10
"""Fewer subjects estimate a variance so badly that the user is warned."""

_ORTHONORMAL = 1e-8
"""How far the basis of a saved fit may be from orthonormal, and from the design's columns."""


def prepare(
    model: RepeatedMeasures,
    rows: SubjectRows,
    X: NDArray[np.float64],
    column_names: tuple[str, ...],
) -> SandwichPlan:
    """Factorise a design, and refuse or report what cannot be fitted well.

    Raises
    ------
    ValueError
        If no residual degree of freedom is left, there is one subject, or no subjects of a group
        share a visit.

    Warns
    -----
    groupglm.errors.RankDeficientWarning
        If columns are linearly dependent.
    UserWarning
        If there are fewer than ten subjects.
    """
    design = checked_design(X, column_names)
    if rows.n_subjects == 1:
        raise ArgumentError.about(
            "subjects",
            f"all {len(X)} images are of one subject, {in_quotes(rows.names[0])}: the sandwich "
            "estimates variances from how subjects differ",
            "give images of several subjects",
        )
    _refuse_visits_of_one(rows)
    if rows.n_subjects < _FEW_SUBJECTS:
        warn_caller(
            f"{counted(rows.n_subjects, 'subject')}: with fewer than {_FEW_SUBJECTS}, the sandwich "
            "estimates variances from too few numbers, so that tests have little power and may "
            "find too much; " + argument("covariance", "random intercept") + " needs fewer",
            UserWarning,
        )
    return SandwichPlan(model, rows, OlsPlan(X, column_names, design))


def _refuse_visits_of_one(rows: SubjectRows) -> None:
    """Refuse groups whose subjects share no visit: each would have covariances of its own."""
    if rows.groups is None or rows.visits is None:
        return
    for group in dict.fromkeys(rows.groups):
        own = [visit for visit, label in zip(rows.visits, rows.groups, strict=True)
               if label == group]  # fmt: skip
        if len(set(own)) == len(own) > 1:
            raise ArgumentError(
                "visits",
                f"{counted(len(own), 'label')} for the {len(own)} images of the group "
                f"{in_quotes(group)}, so that no two of its subjects share a visit",
                "labels of visits that subjects have in common",
                "name visits alike, such as 'baseline', or leave "
                + either("groups", argument("sandwich_groups"))
                + " out",
                verb="has",
            )


@dataclass(frozen=True, eq=False)
class SandwichPlan(AsGiven):
    """A factorised design and whose image each image is; it accumulates least squares."""

    model: RepeatedMeasures
    subjects: SubjectRows
    ols: OlsPlan

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802 - a matrix
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

    def part(self, first: int, count: int) -> OlsPlan:
        """Return the plan of some of the images, to fill an accumulator in another process."""
        return self.ols.part(first, count)

    def accumulator(self, n_values: int) -> OlsAccumulator:
        """Return an empty one."""
        return self.ols.accumulator(n_values)

    def mean(
        self, accumulator: Any, n_threads: int
    ) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
        """Return the mean of the images, and how many have each voxel."""
        return self.ols.mean(accumulator, n_threads)

    @property
    def blocks(self) -> SandwichBlocks:
        """The images by subject."""
        return blocks_of(self.subjects, self.X, self.ols.design.basis())

    @property
    def _with_fourth(self) -> bool:
        return self.model.df == "approximate-1" and self.subjects.groups is None

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of the states, the sums of the second pass, and two tiles of rows.

        A place has rank (rank + 1) / 2 sums, or one for each pair of visits of a group; and
        rank (rank + 1) (rank + 2) (rank + 3) / 24 more if degrees of freedom are those of
        "approximate-1" without groups. A place that some image lacks has a bit for each image,
        three times while they are sorted.
        """
        blocks = self.blocks
        own = blocks.n_sums + (blocks.n_fourth if self._with_fourth else 0)
        n = len(self.X)
        tile = tiles_bytes(n, n_values) + 8 * own * min(n_values, TILE_BYTES // (4 * n))
        missing = 3 * n_missing * (blocks.n_bytes + 8)
        return self.ols.bytes(n_values, n_missing) + (8 * own + 5) * n_values + tile + missing

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> SandwichFit:
        """Return the fit to the rows of all images, which are read once more."""
        if rows is None:
            raise ValueError("the rows are needed once more")
        ols = self.ols.finish(accumulator, n_threads)
        blocks = self.blocks
        sums = self._second_pass(ols, blocks, rows)
        return SandwichFit(self.model, self.subjects, ols, blocks, sums)

    def _second_pass(self, ols: OlsFit, blocks: SandwichBlocks, rows: Rows) -> SandwichSums:
        n = ols.n_voxels
        exponent = ols.state_parts()[-1]
        own = np.empty((blocks.n_sums, n))
        fourth = np.empty((blocks.n_fourth if self._with_fourth else 0, n))
        projected = np.zeros(n if len(blocks.group) else 0, dtype=np.uint8)
        incomplete = [np.empty(0, dtype=np.int64)]
        missing = [np.empty((0, blocks.n_bytes), dtype=np.uint8)]
        for at, tile in rows.tiles(TILE_BYTES):
            found = _core.sandwich_sums(
                blocks.basis,
                blocks.subject,
                blocks.part,
                blocks.group,
                blocks.visit,
                str(self.model.adjustment),
                tile,
                exponent[at] if len(exponent) else exponent,
                self._with_fourth,
                ols.n_threads,
            )
            own[:, at], fourth[:, at] = found[0], found[1]
            if len(projected):
                projected[at] = found[3]
            lacking = found[2].any(axis=1)
            incomplete.append(np.asarray(at)[lacking])
            missing.append(found[2][lacking])
        # What is rounding in the residuals of data that fit exactly is no variance.
        exact = fits_exactly(ols)
        own[:, exact] = 0.0
        fourth[:, exact] = 0.0
        patterns, numbers = np.unique(np.concatenate(missing), axis=0, return_inverse=True)
        pattern = np.full(n, -1, dtype=np.int32)
        pattern[np.concatenate(incomplete)] = numbers.reshape(-1)
        return SandwichSums(own, fourth, pattern, np.ascontiguousarray(patterns), projected)


def load(
    model: RepeatedMeasures,
    rows: SubjectRows,
    X: NDArray[np.float64],
    column_names: tuple[str, ...],
    arrays: Mapping[str, NDArray[Any]],
    *,
    n_values: int,
    n_threads: int,
) -> SandwichFit:
    """Make a fit of its arrays, which a file held; ValueError if they do not fit."""
    ols = OLS.load(X, column_names, arrays, n_values=n_values, n_threads=n_threads)
    basis = arrays["basis"]
    check_type("basis", basis, "float64", 2)
    _check_basis(basis, X, _core.Design(np.ascontiguousarray(X)).rank)
    blocks = blocks_of(rows, X, basis)
    found = {name: arrays[name] for name in ("sums", "pattern", "patterns")}
    with_fourth = model.df == "approximate-1" and rows.groups is None
    found["fourth"] = arrays["fourth"] if with_fourth else np.empty((0, n_values))
    found["projected"] = arrays["projected"] if len(blocks.group) else np.empty(0, dtype=np.uint8)
    for name, (kind, n_dimensions) in SandwichSums.TYPES.items():
        check_type(name, found[name], kind, n_dimensions)
    shapes = {
        "sums": (blocks.n_sums, n_values),
        "fourth": (blocks.n_fourth if with_fourth else 0, n_values),
        "pattern": (n_values,),
        "patterns": (len(found["patterns"]), blocks.n_bytes),
        "projected": (n_values if len(blocks.group) else 0,),
    }
    for name, shape in shapes.items():
        if found[name].shape != shape:
            raise ValueError(f"{name} has the shape {found[name].shape}, not {shape}")
    sums = SandwichSums(**found)
    if (sums.sums[blocks.diagonals] < 0).any():
        raise ValueError("a variance is negative at some places")
    if ((sums.pattern < -1) | (sums.pattern >= len(sums.patterns))).any():
        raise ValueError("a place has a pattern of missing images that is not there")
    present, _ = numbers_present(sums.patterns, rows)
    n_present = np.append(present, len(X))[sums.pattern]
    if (n_present != ols.n_observations).any():
        raise ValueError("the patterns of missing images do not fit the numbers of images")
    return SandwichFit(model, rows, ols, blocks, sums)


def _check_basis(basis: NDArray[np.float64], X: NDArray[np.float64], rank: int) -> None:
    if basis.shape != (len(X), rank):
        raise ValueError(f"basis has the shape {basis.shape}, not {(len(X), rank)}")
    length = np.abs(X).max(axis=0)
    columns = X / np.where(length > 0, length, 1.0)
    apart = np.abs(basis.T @ basis - np.eye(rank)).max()
    beside = np.abs(columns - basis @ (basis.T @ columns)).max()
    if not (apart < _ORTHONORMAL and beside < _ORTHONORMAL * np.sqrt(len(X))):
        raise ValueError("basis is not an orthonormal basis of the design")
