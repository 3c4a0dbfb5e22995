# SPDX-License-Identifier: BSD-3-Clause
"""Mixed effects: images weighted by their own variances and by how much they differ besides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.models.effect_size_rules import OF_MIXED, OF_Z, EffectSizeRules
from groupglm.models.fixed import FixedFit, FixedPlan
from groupglm.models.mixed_fit import Heterogeneity, MixedFit, check_heterogeneity
from groupglm.models.mixed_words import ESTIMATORS, TESTS
from groupglm.models.number_range import refuse_beyond_double
from groupglm.models.ols import checked_design
from groupglm.models.second_pass import TILE_BYTES, SecondPass, tiles_bytes
from groupglm.models.variance_groups import GroupDesign, group_designs
from groupglm.models.weighted import load_state
from groupglm.runtime.arguments import check_choice
from groupglm.runtime.array_archives import check_type
from groupglm.tabular.group_labels import label_texts, refuse_no_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Rows
    from groupglm.models.second_pass import Tile

__all__ = ["MixedEffects", "MixedPlan"]


@dataclass(frozen=True, eq=False, repr=False)
class MixedEffects:
    r"""Mixed effects: each image has a variance of its own, and images differ besides.

    At every place, image i is :math:`y_i = x_i'b + u_i + e_i`, where :math:`e_i` has the variance
    :math:`v_i` that the image's own analysis found, and :math:`u_i` the variance :math:`\tau^2`,
    which is estimated. The weight of an image is :math:`w_i = 1 / (v_i + \tau^2)`.

    Parameters
    ----------
    tau2 : {"reml", "ml", "dersimonian-laird", "paule-mandel", "hedges"} or float, default="reml"
        How :math:`\tau^2` is estimated, or its value, in squared units of the images; 0 gives the
        weights of fixed effects.
    test : str, default="knapp-hartung"
        - "knapp-hartung": the variance of a contrast is multiplied by
          :math:`\sum w_i e_i^2 / (n - p)`, with the residuals e; t and F have n - p degrees of
          freedom.
        - "knapp-hartung-conservative": the same, but the factor is at least 1.
        - "t": Wald's test, t and F on n - p degrees of freedom; with "reml" this is FLAME 1 of FSL.
        - "z": Wald's test, normal, and chi-square over its degrees of freedom.
    variance_groups : array_like of labels, shape (n_images,), or pandas.Series, optional
        The group of each image. Each group then has a :math:`\tau^2` of its own, from its own rows
        and columns of the design: no coefficient may belong to two groups. A Series is matched by
        subject label.

    Raises
    ------
    ValueError
        If an option is not one of these, or `variance_groups` is given with a number as `tau2`.
    TypeError
        If `tau2` is neither a text nor a number.

    See Also
    --------
    FixedEffects : Without differences between images beside their variances.
    UnequalVariances : Groups of unequal variance, without variances of single images.

    Notes
    -----
    With :math:`W = \mathrm{diag}(w)` and :math:`P = W - WX(X'WX)^-X'W`:

    - "reml" and "ml" take the highest maximum of the (restricted) likelihood over
      :math:`\tau^2 \ge 0`, which may have several (Viechtbauer 2005).
    - "dersimonian-laird": :math:`(y'Py - (n-p)) / \mathrm{tr} P` with P at :math:`\tau^2 = 0`
      (DerSimonian and Laird 1986).
    - "paule-mandel": :math:`y'Py = n - p` (Paule and Mandel 1982).
    - "hedges": from the residual sum of squares of ordinary least squares (Hedges and Olkin 1985).

    An estimate below 0 is 0. Cochran's Q is :math:`y'Py` at :math:`\tau^2 = 0`, chi-square with
    n - p degrees of freedom if images do not differ beside their variances. With the typical
    variance :math:`s^2 = (n-p) / \mathrm{tr} P`, also at 0,
    :math:`I^2 = 100\,\tau^2 / (\tau^2 + s^2)` percent and :math:`H^2 = \tau^2 / s^2 + 1`
    (Higgins and Thompson 2002).

    Examples
    --------
    >>> from groupglm import MixedEffects
    >>> MixedEffects(tau2="paule-mandel", test="z")
    MixedEffects(tau2='paule-mandel', test='z')
    """

    tau2: str | float = "reml"
    test: str = "knapp-hartung"
    variance_groups: ArrayLike | None = None
    kind: ClassVar[str] = "mixed effects"
    beside: ClassVar[tuple[str, ...]] = ("variance",)
    rows_per_image: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_choice("test", self.test, tuple(TESTS))
        refuse_no_labels(self.variance_groups, "variance_groups")
        given: Any = self.tau2
        if isinstance(given, str):
            if given not in ESTIMATORS:
                known = ", ".join(map(repr, ESTIMATORS))
                raise ArgumentError("tau2", shown(given), f"{known}, or a number of at least 0")
            return
        if not isinstance(given, Real) or isinstance(given, bool | np.bool_):
            raise ArgumentTypeError(
                "tau2", f"a {type(given).__name__}", "the name of an estimator, or a number"
            )
        try:
            value = float(given)
        except OverflowError:  # a whole number beyond double
            value = np.inf
        if not 0 <= value < np.inf:
            raise ArgumentError("tau2", shown(given), "a finite number of at least 0")
        if self.variance_groups is not None:
            raise ArgumentError(
                "variance_groups",
                f"given, but tau2 is {given}, the same for all images",
                remedy="leave variance_groups out, or name an estimator of tau2",
            )
        object.__setattr__(self, "tau2", value)

    def __repr__(self) -> str:
        said = f"tau2={self.tau2!r}, test={self.test!r}"
        groups: Any = self.variance_groups
        if groups is not None:
            labels = groups.tolist() if hasattr(groups, "tolist") else groups
            said += f", variance_groups={labels!r}"
        return f"MixedEffects({said})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MixedEffects) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash(str(self.settings()))

    @property
    def keeps_rows(self) -> bool:
        """Whether the rows are needed once more, because the weights depend on all of them.

        Not with fixed effects' weights, `tau2` of 0.
        """
        return self.tau2 != 0

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        return OF_Z if self.test == "z" else OF_MIXED

    def settings(self) -> dict[str, Any]:
        """Return the settings by name.

        Returns
        -------
        dict
            "tau2" and "test" as given; "variance_groups": a list of one text an image, or None.
        """
        groups: Any = self.variance_groups
        if groups is not None:
            groups = list(label_texts(groups, len(np.asarray(groups)), "variance_groups"))
        return {"tau2": self.tau2, "test": self.test, "variance_groups": groups}

    def for_images(self, align: Callable[[Any, str], Any]) -> MixedEffects:
        """Return the model with one label for each image.

        Parameters
        ----------
        align : callable
            Takes the labels and the argument's name; returns labels in the order of the images.

        Returns
        -------
        MixedEffects
            The model itself if it has no labels.
        """
        if self.variance_groups is None:
            return self
        return replace(self, variance_groups=align(self.variance_groups, "variance_groups"))

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> MixedPlan:
        """Factorise a design, and refuse or report what cannot be fitted well.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.

        Returns
        -------
        MixedPlan
            Ready for rows of values and of variances.

        Raises
        ------
        ValueError
            If no residual degree of freedom is left, or the variance groups share columns or are
            too small.

        Warns
        -----
        groupglm.errors.RankDeficientWarning
            If columns are linearly dependent.
        """
        design = checked_design(X, column_names)
        model = self
        if self.variance_groups is not None:
            labels = label_texts(self.variance_groups, len(X), "variance_groups")
            model = replace(self, variance_groups=labels)
            model.groups(X, column_names)  # refuses what cannot be estimated
        return MixedPlan(X, column_names, design, model)

    def groups(
        self, X: NDArray[np.float64], column_names: tuple[str, ...]
    ) -> tuple[GroupDesign, ...]:
        """Return the variance groups, none if all images have the same tau2.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.

        Returns
        -------
        tuple of GroupDesign
            In the order of their first images.
        """
        if self.variance_groups is None:
            return ()
        return group_designs(self.variance_groups, X, column_names)

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> MixedFit:
        """Make a fit of the arrays of its state, which a file held.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.
        arrays : mapping of str to array
            As `MixedFit.arrays` returned them.
        n_values : int
            Number of places.
        n_threads : int
            Number of threads; 0 means all.

        Returns
        -------
        MixedFit
            Equal to the one that was saved.

        Raises
        ------
        KeyError
            If an array is lacking.
        ValueError
            If the arrays do not fit each other or the design.
        """
        own = load_state(X, column_names, arrays, n_values=n_values)
        groups = self.groups(own.X, column_names)
        found = {}
        for name, (dtype, n_dimensions) in Heterogeneity.TYPES.items():
            found[name] = array = arrays[name]
            check_type(name, array, dtype, n_dimensions)
            wanted = (max(1, len(groups)), n_values)[-n_dimensions:]
            if array.shape != wanted:
                raise ValueError(f"{name} has the shape {array.shape}, not {wanted}")
        check_heterogeneity(found, self.tau2, own.state.counts[0])
        return MixedFit(own.X, column_names, n_threads, self, own.state, own.design,
                        Heterogeneity(**found), groups)  # fmt: skip


class MixedPlan(FixedPlan):
    """A factorised design; its accumulators are those of fixed effects."""

    model: MixedEffects

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of three states, the results beside them, and a tile of rows.

        The second pass makes the state with the final weights, tile by tile, beside that of fixed
        effects. Each group has five numbers, and a count, which a tile has as well.
        """
        states = super().bytes(n_values, n_missing)
        n_groups = 1
        if self.model.variance_groups is not None:
            n_groups = len(set(np.asarray(self.model.variance_groups).tolist()))
        beside = 2 * (8 * (3 + 5 * n_groups) + 4 * n_groups) * n_values
        again = 0
        if self.model.keeps_rows:
            again = states // 2 + tiles_bytes(2 * len(self.X), n_values)
        return states + beside + again

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> MixedFit:
        """Return the fit to the rows of all images, which are read once more."""
        state = accumulator.state
        if not self.model.keeps_rows:
            return MixedFit(self.X, self.column_names, n_threads, self.model, state, self.design,
                            None)  # fmt: skip
        if rows is None:
            raise ValueError("the rows are needed once more")
        tiles = ((at, tile[::2], tile[1::2]) for at, tile in rows.tiles(TILE_BYTES))
        fixed = super().finish(accumulator, n_threads) if self.q_needs_all_groups else None
        return self.finish_tiles(tiles, state.n_voxels, n_threads, fixed)

    @property
    def q_needs_all_groups(self) -> bool:
        """Whether Q follows from fixed effects alone, not from the second reading by groups."""
        return self.model.variance_groups is not None

    def finish_tiles(
        self, tiles: Iterable[Tile], n_values: int, n_threads: int, fixed: FixedFit | None
    ) -> MixedFit:
        """Return the fit, from tiles of all images, and fixed effects of them if Q needs these."""
        groups = self.model.groups(self.X, self.column_names)
        second = SecondPass(self.design, groups, self.model.tau2, n_threads)
        state, found = second.run(tiles, n_values)
        n_present: NDArray[np.int32] = found.n_images.sum(axis=0, dtype=np.int32)
        q = found.q[0] if fixed is None else fixed.q
        refuse_beyond_double(q, n_present)
        q[np.isnan(found.tau2).any(axis=0)] = np.nan
        known = Heterogeneity(
            found.tau2, found.typical_variance, q, found.variance_ratio, n_present
        )
        return MixedFit(self.X, self.column_names, n_threads, self.model, state, self.design,
                        known, groups)  # fmt: skip
