# SPDX-License-Identifier: BSD-3-Clause
"""What a model is: the protocols between a model and the layers that read, test, save and report.

A `Model` and a design make a `Plan`. The plan makes an `Accumulator`, which is updated with rows of
values as they are read. From a full accumulator the plan makes a `Fit`, which tests contrasts. The
layers above know only these protocols. Another model is another file in this package, named in
`groupglm.models.kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.arguments import StatType
    from groupglm.models.contrast_result import ContrastResult
    from groupglm.models.words import Words

__all__ = [
    "COUNTS",
    "ROLES",
    "Accumulator",
    "AsGiven",
    "Fit",
    "HeldRows",
    "Model",
    "Plan",
    "Rows",
    "Spreads",
    "Values",
    "Weighs",
    "by_arrays",
    "fill",
]

Values: TypeAlias = "NDArray[np.float32] | NDArray[np.float64]"

ROLES = ("variance", "weight", "covariate")
"""What a row beside an image's own may be; in this order, and only covariates more than once."""

COUNTS = ("outside", "unusable", "negative")
"""Kinds of values that `Weighs.counts` counts.

"outside": an effect of 0 with a variance of 0. "unusable": a variance of 0 or NaN, or a weight of
NaN, beside another finite effect. "negative": a variance or weight below 0.
"""


class Rows(Protocol):
    """The values of all inputs at all places: rows are inputs, columns are places."""

    @property
    def n_inputs(self) -> int:
        """Number of rows."""
        ...

    @property
    def n_values(self) -> int:
        """Length of a row: number of places."""
        ...

    def batches(self) -> Generator[tuple[int, Values], None, None]:
        """Yield the number of the first row, and some rows; they are valid until the next."""
        ...

    def tiles(
        self, max_bytes: int
    ) -> Generator[tuple[NDArray[np.int64], NDArray[Any]], None, None]:
        """Yield some places and the values of all rows there, shape (n_inputs, n_places)."""
        ...


class HeldRows(Rows, Protocol):
    """Rows that are held: in memory, or in a scratch file."""

    def array(self) -> Values:
        """Return all rows, shape (n_inputs, n_values), not to be written to.

        What is in a scratch file the system reads as it is looked at.
        """
        ...


class Accumulator(Protocol):
    """What a model keeps of the rows so far. It can be sent to another process."""

    @property
    def n_missing(self) -> int:
        """Number of places that some row has lacked so far."""
        ...

    def update(self, first: int, rows: Values, n_threads: int) -> None:
        """Add rows; `first` is the number of the first of them.

        The rows beside an image follow its own row: with variances, image i has the rows 2 i and
        2 i + 1. No image is divided between two calls.

        Raises
        ------
        groupglm._core.InfiniteValueError
            If a value is infinite. The error has the number of the row among `rows`, and the number
            of the row's infinite values.
        """
        ...

    def merge(self, other: Self, n_threads: int) -> None:
        """Add the rows of another accumulator, which follow the rows of this one."""
        ...

    def select(self, places: NDArray[np.int64]) -> Self:
        """Return the accumulator of some of the places."""
        ...


@runtime_checkable
class Spreads(Protocol):
    """What some accumulators can besides: rows of zeros leave nothing in them but their number."""

    def spread(self, places: NDArray[np.int64], n_values: int) -> Accumulator:
        """Return the accumulator of more places, at which all rows added so far were +0.

        Its bits are those of an accumulator to which these rows were added.

        Parameters
        ----------
        places : array of int, shape (old n_values,)
            The positions of this accumulator's places among all places.
        n_values : int
            The number of all places.
        """
        ...


class Fit(Protocol):
    """A fitted model at every place."""

    @property
    def model(self) -> Model:
        """The model that was fitted."""
        ...

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802 - a matrix
        """The design matrix, shape (n_images, n_columns).

        The columns of covariates come last. They hold each image's mean of the covariate over the
        places that were read.
        """
        ...

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns of the design, covariates included."""
        ...

    @property
    def n_threads(self) -> int:
        """Number of threads for later computations; 0 means all."""
        ...

    def described(self, places: str) -> str:
        """Say what was fitted, in numbers, where places are called so."""
        ...

    @property
    def n_observations(self) -> int | NDArray[np.int64]:
        """Number of images with data, one for all places or one for each."""
        ...

    @property
    def df_residual(self) -> float | NDArray[Any]:
        """Residual degrees of freedom, one for all places or one for each."""
        ...

    @property
    def beta(self) -> NDArray[np.float64]:
        """Coefficients, shape (n_columns, n_values)."""
        ...

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the images that have a value at a place, shape (n_values,)."""
        ...

    @property
    def residual_sd(self) -> NDArray[np.float64]:
        """Standard deviation of an image about the fit, shape (n_values,)."""
        ...

    def select(self, places: NDArray[np.int64]) -> Self:
        """Return the fit at some of the places, in their order."""
        ...

    def contrast(self, contrast: ArrayLike, *, stat_type: StatType | None = None) -> ContrastResult:
        """Test a contrast of the coefficients at every place."""
        ...

    def predicted(self, X: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the fitted values of rows of a design, shape (n_rows, n_values)."""
        ...

    def residuals(self, X: ArrayLike | None, Y: Values) -> Values:
        """Return the data of rows less their fitted values, shape (n_rows, n_values)."""
        ...

    def maps(self) -> Mapping[str, Callable[[], NDArray[np.float64]]]:
        """Return, by name, functions that compute the maps of this model, shape (n_values,)."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays by name, from which `Model.load` makes the same fit."""
        ...

    def words(self) -> Words:
        """Return the report's words about the method."""
        ...


@runtime_checkable
class Weighs(Protocol):
    """What the fit of a model with rows beside the images says besides."""

    def counts(self) -> Mapping[str, NDArray[np.int64]]:
        """Return how many images of a place have values of a kind, by the names in `COUNTS`.

        Shapes: (n_values,) each.
        """
        ...

    def dominance(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the largest share of the weight that one image has, and which image has it.

        Shapes: (n_values,) each; a share of 0 and image 0 where no image has the place.
        """
        ...

    @property
    def variance_ratio(self) -> NDArray[np.float64]:
        """The largest over the smallest variance of the images of a place, shape (n_values,).

        Of weights, the largest over the smallest weight.
        """
        ...


class Plan(Protocol):
    """A model and a design: checked, and ready for rows. It can be sent to another process."""

    @property
    def model(self) -> Model:
        """The model of this plan."""
        ...

    @property
    def X(self) -> NDArray[np.float64]:  # noqa: N802 - a matrix
        """The design matrix without covariates, shape (n_images, n_columns)."""
        ...

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns of the design, and then of the covariates."""
        ...

    @property
    def rank(self) -> int:
        """Rank of the design: a place with no more images than that has nothing to test."""
        ...

    @property
    def order(self) -> NDArray[np.int64] | None:
        """The images in the order in which they must be read, shape (n_images,); None: as given.

        Only an accumulator sees this order, and so does `part`, whose numbers count in it. `X`, the
        fit, and the rows given to `finish` are in the order of the design.
        """
        ...

    @property
    def ends(self) -> NDArray[np.int64] | None:
        """Where accumulators may be merged: how many images, in `order`, come before, ascending.

        The last is the number of images. None: anywhere.
        """
        ...

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of the accumulators during a fit with `n_missing` incomplete places.

        There are two accumulators: the total, and that of the chunk that is read. A merge needs
        more bytes for the places that some image lacks.
        """
        ...

    def part(self, first: int, count: int) -> Plan:
        """Return the plan of some of the images, to fill an accumulator in another process."""
        ...

    def accumulator(self, n_values: int) -> Accumulator:
        """Return an empty one."""
        ...

    def mean(
        self, accumulator: Any, n_threads: int
    ) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
        """Return the unweighted mean of the images, and how many have each place: for the mask.

        An effect of 0 whose variance is 0 belongs to the mean, because the background of a mask
        consists of such zeros, but not to the number. Shapes: (n_values,) each.
        """
        ...

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> Fit:
        """Return the fit to the rows of all images, which the accumulator has seen.

        Parameters
        ----------
        accumulator : Accumulator
            Has seen the rows of all images, at some places or all.
        n_threads : int
            Number of threads; 0 means all.
        rows : Rows, optional
            The rows at these places, if ``model.keeps_rows``.
        """
        ...


@runtime_checkable
class Model(Protocol):
    """A kind of model, with its settings."""

    kind: ClassVar[str]
    """The model's name in saved files."""

    @property
    def beside(self) -> tuple[str, ...]:
        """The roles of the rows that follow each image's own row, of `ROLES`."""
        return ()

    @property
    def rows_per_image(self) -> int:
        """Number of rows of one image: its own, and those beside it."""
        return 1 + len(self.beside)

    @property
    def keeps_rows(self) -> bool:
        """Whether `Plan.finish` needs all rows once more."""
        return False

    def settings(self) -> dict[str, Any]:
        """Return the settings by name, as JSON holds them; the class takes them as keywords."""
        return {}

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> Plan:
        """Check a design, shape (n_images, n_columns), C-ordered and finite.

        Raises
        ------
        ValueError
            If no residual degree of freedom is left.

        Warns
        -----
        groupglm.errors.RankDeficientWarning
            If columns are linearly dependent.
        """
        ...

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> Fit:
        """Make a fit from what `Fit.arrays` returned, and a design.

        Raises
        ------
        KeyError
            If an array is lacking.
        ValueError
            If the arrays are of another type or size, or do not fit each other or the design. They
            come from a file that anybody may have written.
        """
        ...


class AsGiven:
    """A plan that takes images in any order, and accumulators of any of them."""

    order: ClassVar[None] = None
    ends: ClassVar[None] = None


def fill(plan: Plan, rows: Rows, *, n_threads: int) -> Accumulator:
    """Return the accumulator of a plan, filled with rows batch by batch."""
    accumulator = plan.accumulator(rows.n_values)
    for first, values in rows.batches():
        accumulator.update(first, values, n_threads)
    return accumulator


def by_arrays(fit: Fit, n_values: int) -> tuple[Any, ...]:
    """Return what pickle makes the same fit of, by its arrays.

    Compiled objects do not travel: a processor of another level has another compiled module.
    """
    return _loaded, (fit.model, fit.X, fit.column_names, fit.arrays(), n_values, fit.n_threads)


def _loaded(
    model: Model,
    X: NDArray[np.float64],
    column_names: tuple[str, ...],
    arrays: Mapping[str, NDArray[Any]],
    n_values: int,
    n_threads: int,
) -> Fit:
    return model.load(X, column_names, arrays, n_values=n_values, n_threads=n_threads)
