# SPDX-License-Identifier: BSD-3-Clause
"""The fit with levels of subjects and families: `NestedFit`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.models.arguments import (
    check_contrast,
    choose_stat_type,
    refuse,
)
from groupglm.models.base import by_arrays
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.fitted_values import FittedValues
from groupglm.models.repeated_words import words_of_nested
from groupglm.runtime.array_archives import check_type
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.arguments import StatType
    from groupglm.models.repeated import RepeatedMeasures
    from groupglm.models.subject_rows import SubjectRows
    from groupglm.models.words import Words

    Floats = NDArray[np.float64]

__all__ = ["NestedFit", "NestedNumbers", "load_numbers"]

_TYPES = {
    "nested_numbers": ("float64", 2),
    "nested_counts": ("int32", 2),
    "nested_mean": ("float64", 1),
    "nested_places": ("int64", 1),
    "nested_projectors": ("float64", 3),
}


_ORDINARY = 200
"""Rows of a contrast whose sizes differ by less than two to this power keep their proportions."""


@dataclass(frozen=True, eq=False)
class NestedNumbers:
    """What the core keeps of each voxel; `cpp/include/groupglm/models/nested.hpp` names the rows.

    Parameters
    ----------
    numbers : array, shape (n_rows, n_voxels)
        Variances, coefficients and what their tests need, over a basis of the design.
    counts : array of int32, shape (5, n_voxels)
        Images, rank of the design, subjects, families, and the exponent of two of the numbers.
    mean : array, shape (n_voxels,)
        Mean of the images.
    places : array of int, shape (n_deficient,)
        Voxels whose images leave the design a lower rank.
    projectors : array, shape (n_deficient, rank, rank)
        Onto the coefficients that they can estimate.
    """

    numbers: Floats
    counts: NDArray[np.int32]
    mean: Floats
    places: NDArray[np.int64]
    projectors: Floats

    @classmethod
    def empty(cls, n_values: int, *, rank: int, mean: Floats) -> NestedNumbers:
        """Return room for the numbers of all voxels."""
        return cls(
            np.empty((_n_rows(rank), n_values)),
            np.empty((5, n_values), dtype=np.int32),
            mean,
            np.empty(0, dtype=np.int64),
            np.empty((0, rank, rank)),
        )

    def with_deficient(self, found: Sequence[tuple[NDArray[np.int64], Floats]]) -> NestedNumbers:
        """Return the same with the voxels whose images leave the design a lower rank."""
        if not found:
            return self
        places = np.concatenate([places for places, _ in found])
        return replace(self, places=places, projectors=np.concatenate([own for _, own in found]))

    def select(self, places: NDArray[np.int64]) -> NestedNumbers:
        """Return the numbers of some voxels."""
        row = np.full(self.counts.shape[1], -1, dtype=np.int64)
        row[self.places] = np.arange(len(self.places))
        own = row[places]
        kept = np.flatnonzero(own >= 0)
        return NestedNumbers(
            np.ascontiguousarray(self.numbers[:, places]),
            np.ascontiguousarray(self.counts[:, places]),
            self.mean[places],
            kept,
            np.ascontiguousarray(self.projectors[own[kept]]),
        )


def _n_rows(rank: int) -> int:
    return 16 + rank + 4 * (rank * (rank + 1) // 2)


def load_numbers(
    arrays: Mapping[str, NDArray[Any]], n_values: int, *, rank: int, n_images: int
) -> NestedNumbers:
    """Check the arrays of a file; ValueError if they do not fit."""
    own = {name: arrays[name] for name in _TYPES}
    for name, array in own.items():
        check_type(name, array, *_TYPES[name])
    places = own["nested_places"]
    wanted = {
        "nested_numbers": (_n_rows(rank), n_values),
        "nested_counts": (5, n_values),
        "nested_mean": (n_values,),
        "nested_projectors": (len(places), rank, rank),
    }
    for name, shape in wanted.items():
        if own[name].shape != shape:
            raise ValueError(f"{name} has the shape {own[name].shape}, not {shape}")
    if len(places) and not (places.min() >= 0 and places.max() < n_values):
        raise ValueError(f"nested_places names a voxel beyond {n_values}")
    if len(np.unique(places)) != len(places):
        raise ValueError("nested_places names a voxel twice")
    counts = own["nested_counts"]
    if (counts[:4] < 0).any() or (counts[:4] > n_images).any() or (abs(counts[4]) > 1100).any():
        raise ValueError(f"nested_counts has a number that is none of {n_images} images")
    if (own["nested_numbers"][:3] < 0).any():
        raise ValueError("nested_numbers has a variance below 0")
    return NestedNumbers(*(np.ascontiguousarray(own[name]) for name in _TYPES))


@dataclass(frozen=True, eq=False)
class NestedFit(FittedValues):
    """A fit with levels of subjects, and of families, at every voxel.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design matrix.
    column_names : tuple of str
        Names of its columns.
    n_threads : int
        Number of threads for what is computed later; 0 means all.
    model : RepeatedMeasures
        The model.
    subjects : SubjectRows
        Whose image each image is.
    """

    X: Floats = field(repr=False)
    column_names: tuple[str, ...]
    n_threads: int
    model: RepeatedMeasures
    subjects: SubjectRows = field(repr=False)
    _found: NestedNumbers = field(repr=False)
    _design: _core.Design = field(repr=False)

    def __repr__(self) -> str:
        return f"NestedFit({self.described('voxels')})"

    def __reduce__(self) -> tuple[Any, ...]:
        return by_arrays(self, self.n_voxels)

    def described(self, places: str) -> str:
        """Say what was fitted, in numbers.

        Parameters
        ----------
        places : str
            What places are called, such as ``"voxels"``.

        Returns
        -------
        str
            Numbers of images, subjects, families and places, and the columns.
        """
        names = self.column_names
        n_families = len(set(self.subjects.families or ()))
        return (
            f"{len(self.X):,} images of {self.subjects.n_subjects:,} subjects in {n_families:,} "
            f"families: {self.n_voxels:,} {places}, {span(self.df_residual)} degrees of freedom, "
            f"{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> NestedFit:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        NestedFit
            With copies of their numbers.
        """
        return replace(self, _found=self._found.select(places))

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return int(self._found.counts.shape[1])

    @property
    def n_observations(self) -> NDArray[np.int64]:
        """Number of images with a value, shape (n_voxels,)."""
        return np.asarray(self._found.counts[0], dtype=np.int64)

    @property
    def n_subjects(self) -> NDArray[np.int64]:
        """Number of subjects with a value, shape (n_voxels,)."""
        return np.asarray(self._found.counts[2], dtype=np.int64)

    @property
    def df_residual(self) -> NDArray[np.int64]:
        """Number of images less the rank of the design in them, shape (n_voxels,).

        The degrees of freedom of a contrast are its own.
        """
        return np.asarray(self.n_observations - self._found.counts[1])

    @property
    def mean(self) -> Floats:
        """Mean of the images that have the voxel, shape (n_voxels,)."""
        return self._found.mean

    @property
    def beta(self) -> Floats:
        """Coefficients, shape (n_columns, n_voxels); of minimum norm if columns are dependent.

        NaN where nothing could be estimated.
        """
        gains = self._design.gains(np.eye(self.X.shape[1]))
        effect = self._found.numbers[4 : 4 + self._design.rank]
        scale = np.ldexp(1.0, self._found.counts[4])
        return np.asarray((gains @ self._design.basis()) @ effect * scale)

    @property
    def residual_variance(self) -> Floats:
        """Variance between images of one subject, shape (n_voxels,)."""
        return np.asarray(np.ldexp(self._found.numbers[0], 2 * self._found.counts[4]))

    @property
    def subject_variance(self) -> Floats:
        """Variance between subjects of one family, shape (n_voxels,)."""
        return np.asarray(self._found.numbers[1] * self.residual_variance)

    @property
    def family_variance(self) -> Floats:
        """Variance between families, shape (n_voxels,)."""
        return np.asarray(self._found.numbers[2] * self.residual_variance)

    @property
    def intraclass_correlation(self) -> Floats:
        """Correlation of two images of a subject beyond the design, shape (n_voxels,)."""
        shared = self._found.numbers[1] + self._found.numbers[2]
        return np.asarray(shared / (1.0 + shared))

    @property
    def residual_sd(self) -> Floats:
        """Standard deviation of an image about the fit, shape (n_voxels,)."""
        total = 1.0 + self._found.numbers[1] + self._found.numbers[2]
        root = np.sqrt(self._found.numbers[0] * total)
        return np.asarray(np.ldexp(root, self._found.counts[4]))

    @property
    def at_boundary(self) -> NDArray[np.bool_]:
        """Whether the variance of subjects or of families is estimated as 0, (n_voxels,)."""
        numbers = self._found.numbers
        return np.asarray(~np.isnan(numbers[0]) & ((numbers[1] == 0) | (numbers[2] == 0)))

    @property
    def reml_criterion(self) -> Floats:
        """Minus twice the restricted log likelihood, with all constants, shape (n_voxels,)."""
        df = self.df_residual.astype(np.float64)
        own = self._found.numbers[3] + df * (1.0 + np.log(2.0 * np.pi / np.where(df > 0, df, 1)))
        # In the basis det X'X is 1; of the columns themselves it is this.
        size = np.linalg.svd(self.X, compute_uv=False)[: self._design.rank]
        scaled = own + 2.0 * np.log(2.0) * df * self._found.counts[4]
        return np.asarray(scaled + 2.0 * np.log(size).sum())

    def contrast(self, contrast: ArrayLike, *, stat_type: StatType | None = None) -> ContrastResult:
        """Test a contrast of the coefficients at every voxel.

        Parameters
        ----------
        contrast : array_like, shape (n_columns,) or (n_rows, n_columns)
            A vector gives a t statistic, and a matrix an F statistic of its rows together.
        stat_type : {"t", "F"}, optional
            The statistic, if it should be another one.

        Returns
        -------
        ContrastResult
            Each voxel has degrees of freedom of its own.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, or `stat_type` does not fit.
        groupglm.errors.NotEstimableError
            If the design cannot estimate it; the message names the columns it confounds.
        """
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        rows = np.ascontiguousarray(np.atleast_2d(values))
        try:
            rank = len(self._design.partition(rows)[0])
        except ValueError:
            raise refuse(self.X, self.column_names, rows) from None
        own = self._design.gains(rows) @ self._design.basis()
        # Powers of two keep extreme units of the columns within double: the same for all rows, on
        # whose proportions Satterthwaite's rule depends, unless these are extreme themselves.
        exponents = np.frexp(np.abs(own).max(axis=1))[1]
        if np.ptp(exponents) < _ORDINARY:
            exponents[:] = exponents.max()
        rows_of_basis = np.ldexp(own, -exponents[:, np.newaxis])
        length = np.linalg.norm(rows_of_basis, axis=1, keepdims=True)
        span_of_rows = np.ascontiguousarray(np.linalg.svd(rows_of_basis / length)[2][:rank].T)
        found = self._found
        effect, variance, stat, p_value, z_score, df = _core.nested_contrast(
            found.numbers,
            found.counts,
            found.places,
            found.projectors,
            np.ascontiguousarray(rows_of_basis),
            span_of_rows,
            chosen,
            str(self.model.df),
            self.n_threads,
        )
        effect = np.ldexp(effect, exponents[:, np.newaxis])
        if chosen == "t":
            variance = np.ldexp(variance, 2 * exponents[0])
        return ContrastResult(
            effect_size=effect[0] if chosen == "t" else effect,
            effect_variance=variance,
            stat=stat,
            p_value=p_value,
            z_score=z_score,
            stat_type=chosen,
            df=df if chosen == "t" else (rank, df),
        )

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "intraclass_correlation", "subject_variance", "family_variance", "residual_variance"
            and "n_subjects".
        """
        return {
            "intraclass_correlation": lambda: self.intraclass_correlation,
            "subject_variance": lambda: self.subject_variance,
            "family_variance": lambda: self.family_variance,
            "residual_variance": lambda: self.residual_variance,
            "n_subjects": lambda: self.n_subjects.astype(np.float64),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the numbers as arrays by name, for a file.

        Returns
        -------
        dict of array
            What `load_numbers` checks.
        """
        found = self._found
        own = (found.numbers, found.counts, found.mean, found.places, found.projectors)
        return dict(zip(_TYPES, own, strict=True))

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        n_families = len(set(self.subjects.families or ()))
        return words_of_nested(str(self.model.df), self.subjects.n_subjects, n_families)
