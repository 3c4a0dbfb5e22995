# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression: images far from the others count less, place by place."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, ArgumentTypeError, shown, warn_caller
from groupglm.messages import argument
from groupglm.models.base import AsGiven
from groupglm.models.effect_size_rules import OF_ROBUST, EffectSizeRules
from groupglm.models.ols import OLS, OlsPlan, checked_design
from groupglm.models.robust_fit import RobustFit, tuning_of
from groupglm.models.robust_places import RobustPlaces, load_places
from groupglm.models.robust_words import TUNING
from groupglm.models.second_pass import TILE_BYTES, tiles_bytes
from groupglm.models.state_assembly import StateAssembly
from groupglm.runtime.arguments import check_choice
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.models.base import Rows
    from groupglm.models.ols import OlsAccumulator

__all__ = ["Robust", "RobustPlan"]

_FEW_DEGREES = 4
"""Fewer residual degrees of freedom leave too few residuals to see which of them are large."""


@dataclass(frozen=True)
class Robust:
    r"""Robust regression: images with large residuals have a smaller weight, place by place.

    The fit starts from ordinary least squares, and is repeated with weights of the residuals until
    the coefficients no longer change. It is the algorithm of MATLAB's ``robustfit``.

    Parameters
    ----------
    weights : {"bisquare", "huber"}, default="bisquare"
        - "bisquare": :math:`w = (1 - u^2)^2` where :math:`|u| < 1`, else 0. An image that is far
          off does not count at all.
        - "huber": :math:`w = 1 / \max(1, |u|)`. Every image counts; the result depends less on
          where the iterations start.
    tuning : float, optional
        How far off a residual may be, in standard deviations: 4.685 for "bisquare" and 1.345 for
        "huber" by default, with which estimates of normal data are 95% as efficient as least
        squares. Smaller values give smaller weights.

    Raises
    ------
    ValueError
        If `weights` is none of these, or `tuning` is not a finite number above 0.
    TypeError
        If `tuning` is not a number.

    See Also
    --------
    fit_robust : The same model for arrays.

    Notes
    -----
    With n images, p the rank of the design, h the leverages (at most 0.9999) and the residuals
    :math:`e = y - Xb`, an iteration computes

    .. math::
        a_i = e_i / \sqrt{1 - h_i}, \quad s = \mathrm{med} / 0.6745, \quad
        u_i = a_i / (s \cdot \mathrm{tuning}), \quad b = (X'WX)^{-1}X'Wy,

    where med is the median of the largest n - p + 1 of :math:`|a|`, and s is at least
    :math:`10^{-6}` standard deviations of y. Iterations end when no coefficient changes by
    more than :math:`1.5 \cdot 10^{-8}` of itself, or after 50.

    The variance of a contrast c is :math:`\sigma^2 c'(X'X)^{-1}c`, with the scale of DuMouchel and
    O'Brien (1989): with :math:`\psi(u) = u w(u)`, m1 the mean of :math:`\psi'(u)` and m2 the sum of
    :math:`(1 - h)\psi(u)^2` over n - p,

    .. math::
        r = \left(1 + \frac{p}{n} \frac{1 - m_1}{m_1}\right)
            \frac{\sqrt{m_2}\, s \cdot \mathrm{tuning}}{m_1}, \quad
        \sigma = \max\left(r, \sqrt{\frac{p^2 \sigma_{ols}^2 + n r^2}{p^2 + n}}\right).

    t and F have n - p degrees of freedom. The derivative of :math:`\psi` is exact, where MATLAB
    takes a difference over 0.0002.

    Where the weights leave too few images to estimate the coefficients, such as of a group of two
    images that differ much, a place keeps the coefficients before that, and has not converged.

    Examples
    --------
    >>> from groupglm import Robust
    >>> Robust()
    Robust(weights='bisquare', tuning=4.685)
    >>> Robust("huber").tuning
    1.345
    """

    weights: str = "bisquare"
    tuning: float | None = None
    kind: ClassVar[str] = "robust"
    beside: ClassVar[tuple[str, ...]] = ()
    rows_per_image: ClassVar[int] = 1
    keeps_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("weights", self.weights, tuple(TUNING))
        given: Any = self.tuning
        if given is None:
            object.__setattr__(self, "tuning", TUNING[self.weights])
            return
        if not isinstance(given, Real) or isinstance(given, bool | np.bool_):
            raise ArgumentTypeError(
                "tuning", f"a {type(given).__name__}", "a number above 0, or None for the default"
            )
        try:
            value = float(given)
        except OverflowError:  # a whole number beyond double
            value = np.inf
        # Beyond these, u^2 leaves the range of double.
        if not 1e-100 < value < 1e100:
            raise ArgumentError(
                "tuning",
                shown(given),
                f"a finite number above 0, such as {TUNING[self.weights]} (the default)",
            )
        object.__setattr__(self, "tuning", value)

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        return OF_ROBUST

    def settings(self) -> dict[str, Any]:
        """Return the settings by name.

        Returns
        -------
        dict
            "weights" and "tuning".
        """
        return {"weights": self.weights, "tuning": self.tuning}

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> RobustPlan:
        """Factorise a design, and refuse or report what cannot be fitted well.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.

        Returns
        -------
        RobustPlan
            Ready for rows of values.

        Raises
        ------
        ValueError
            If no residual degree of freedom is left.

        Warns
        -----
        groupglm.errors.RankDeficientWarning
            If columns are linearly dependent.
        UserWarning
            If fewer than four residual degrees of freedom are left.
        """
        design = checked_design(X, column_names)
        df = len(X) - design.rank
        if df < _FEW_DEGREES:
            warn_caller(
                f"{counted(df, 'residual degree')} of freedom ({len(X)} images, a design of rank "
                f"{design.rank}): with fewer than {_FEW_DEGREES}, robust regression cannot tell "
                "which images are far off; add images, drop columns, or take "
                + argument("model", "ols"),
                UserWarning,
            )
        return RobustPlan(self, OlsPlan(X, column_names, design))

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> RobustFit:
        """Make a fit of its arrays, which a file held.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.
        arrays : mapping of str to array
            As `RobustFit.arrays` returned them.
        n_values : int
            Number of places.
        n_threads : int
            Number of threads; 0 means all.

        Returns
        -------
        RobustFit
            Equal to the one that was saved.

        Raises
        ------
        KeyError
            If an array is lacking.
        ValueError
            If the arrays do not fit each other or the design.
        """
        ols = OLS.load(X, column_names, arrays, n_values=n_values, n_threads=n_threads)
        places, totals = load_places(arrays, len(X), n_values)
        return RobustFit(self, ols, places, totals)


@dataclass(frozen=True, eq=False)
class RobustPlan(AsGiven):
    """A factorised design; it accumulates least squares, and fits the rows once they are all there.

    Parameters
    ----------
    model : Robust
        The model.
    ols : OlsPlan
        The plan of least squares.
    """

    model: Robust
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

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of three states, of what is beside them, and of tiles.

        A place has 27 bytes beside its state. There are two tiles of rows, of which one is read
        ahead, and one of the values that least squares takes in their stead, in double precision;
        where the rows take several tiles, the state is put together from those of the tiles.
        """
        state = self.ols.bytes(n_values, n_missing) // 2
        tile = tiles_bytes(len(self.X), n_values)
        return 3 * state + 2 * RobustPlaces.BYTES * n_values + 2 * tile

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> RobustFit:
        """Return the fit to the rows of all images, which are read once more."""
        if rows is None:
            raise ValueError("the rows are needed once more")
        least_squares = self.ols.finish(accumulator, n_threads)
        design = self.ols.design
        places = RobustPlaces.empty(least_squares.mean)
        totals = np.zeros((3, len(self.X)), dtype=np.int64)
        assembly = StateAssembly(design, places.n_places)
        for at, tile in rows.tiles(TILE_BYTES):
            pseudo, _, scale, mean_weight, iterations, status, own = _core.robust_fit(
                design, tile, self.model.weights, tuning_of(self.model), False, n_threads
            )
            state = _core.OlsState(design.n_working, len(at))
            state.update(design, 0, pseudo, n_threads)
            assembly.put(np.asarray(at), state)
            places.scale[at], places.mean_weight[at] = scale, mean_weight
            places.iterations[at], places.status[at] = iterations, status
            totals += own
        fit = self.ols.finish(_State(assembly.state()), n_threads)
        _warn_of_equal_values(places)
        return RobustFit(self.model, fit, places, totals)


@dataclass(frozen=True)
class _State:
    """A state where least squares expects an accumulator."""

    state: _core.OlsState


def _warn_of_equal_values(places: RobustPlaces) -> None:
    n = int(np.count_nonzero(places.is_floored))
    if n:
        warn_caller(
            f"at {n:,} of {places.n_places:,} places at least half of the residuals are zero, "
            "such as where more than half of the images have the same value: the median absolute "
            "deviation is 0 there, and all other images have no weight. Check these images, or "
            "take " + argument("model", "ols"),
            UserWarning,
        )
