# SPDX-License-Identifier: BSD-3-Clause
"""Several images of a subject: `RepeatedMeasures`."""

from __future__ import annotations

import importlib
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm.errors import ArgumentError, shown
from groupglm.messages import argument
from groupglm.models.effect_size_rules import OF_REPEATED, OF_SANDWICH, EffectSizeRules
from groupglm.models.subject_rows import SubjectRows, subject_rows
from groupglm.runtime.arguments import check_choice
from groupglm.runtime.naming import counted
from groupglm.tabular.group_labels import label_texts, refuse_no_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Fit, Plan

__all__ = ["ADJUSTMENTS", "COVARIANCES", "RepeatedMeasures"]

_VARIANCES = ("kenward-roger", "satterthwaite")
_SANDWICH = ("satterthwaite", "naive", "approximate-1", "approximate-2", "approximate-3")
_OF_SUBJECTS = ("satterthwaite", "naive", "approximate-1")
_OF_GROUPS = ("approximate-3", "approximate-2", "approximate-1", "naive")

COVARIANCES: dict[str, tuple[str, ...]] = {
    "random intercept": _VARIANCES,
    "nested": _VARIANCES,
    "sandwich": _SANDWICH,
}
"""By covariance, the methods for degrees of freedom; the first is the default."""

ADJUSTMENTS: tuple[int | str, ...] = (0, 1, 2, 3, "C2", "C3")
"""How residuals are adjusted for their leverage, with the covariance "sandwich"."""

_LABELS = ("subjects", "families", "visits", "groups")

_HOMES = {
    "random intercept": "groupglm.models.random_intercept",
    "nested": "groupglm.models.nested",
    "sandwich": "groupglm.models.sandwich",
}
"""Modules with `prepare(model, rows, X, column_names)`, and `load`, which takes arrays too."""


@dataclass(frozen=True, eq=False, repr=False)
class RepeatedMeasures:
    r"""Several images of a subject, which resemble each other.

    Parameters
    ----------
    covariance : {"random intercept", "nested", "sandwich"}, default="random intercept"
        - "random intercept": each subject has a level of its own, with a variance over subjects.
          Any two images of a subject have the same covariance, and the variance is the same for
          all images.
        - "nested": subjects lie in `families` (or sites), which have levels too.
        - "sandwich": any covariance of the images of a subject, estimated from the residuals; for
          many subjects.
    df : str, optional
        How the degrees of freedom of t and F are found. "kenward-roger" (default) or
        "satterthwaite" with a random intercept and nested; "satterthwaite" (default), "naive" or
        "approximate-1" with the sandwich; "approximate-3" (default), "approximate-2",
        "approximate-1" or "naive" with the sandwich and `groups`.
    adjustment : {0, 1, 2, 3, "C2", "C3"}, default="C2"
        How the residuals are adjusted for their leverage; for the sandwich only.
    groups : array_like of labels, shape (n_images,), or pandas.Series, optional
        The group of each image's subject; for the sandwich only. The subjects of a group then have
        the same covariance between `visits`.
    subjects : array_like of labels, shape (n_images,), or pandas.Series, optional
        The subject of each image.
    families : array_like of labels, shape (n_images,), or pandas.Series, optional
        The family, or site, of each image's subject; for nested covariance only.
    visits : array_like of labels, shape (n_images,), or pandas.Series, optional
        The visit of each image. A subject with two images of one visit is refused.

    Raises
    ------
    ValueError
        If an option is not one of these, or has no effect with the covariance.

    See Also
    --------
    fit_repeated : The same models on arrays.
    MixedEffects : Images with variances of their own, of independent subjects.

    Notes
    -----
    With a random intercept, image j of subject i is :math:`y_{ij} = x_{ij}'b + u_i + e_{ij}` at
    every place, with variances :math:`\sigma_u^2` of the subjects' levels and :math:`\sigma^2` of
    an image about them (Laird and Ware 1982). The intraclass correlation is
    :math:`\sigma_u^2 / (\sigma_u^2 + \sigma^2)`.

    - With :math:`\lambda = \sigma_u^2 / \sigma^2`, :math:`V_0 = I + \lambda ZZ'` (Z the subjects'
      indicators) and
      :math:`P = V_0^{-1} - V_0^{-1}X(X'V_0^{-1}X)^-X'V_0^{-1}`, restricted maximum likelihood takes
      the :math:`\lambda \ge 0` with the least
      :math:`(n-p)\log y'Py + \log|V_0| + \log|X'V_0^{-1}X|`; of several minima the lowest
      (Harville 1977). :math:`\hat\sigma^2 = y'Py / (n-p)`. Coefficients are those of generalised
      least squares.
    - "kenward-roger": the covariance of the coefficients is adjusted for :math:`\lambda` being
      estimated, F is scaled, and its degrees of freedom match the first two moments (Kenward and
      Roger 1997). In a balanced design these are the F and degrees of freedom of
      repeated-measures analysis of variance.
    - "satterthwaite": t has :math:`2v^2/\mathrm{var}(v)` degrees of freedom, with v the variance of
      the contrast and var(v) from the curvature of the likelihood; F of several rows as Fai and
      Cornelius (1996).
    - Where :math:`\hat\lambda = 0`, at its boundary, coefficients and variances are those of
      ordinary least squares. "kenward-roger" uses the same formulas there, as pbkrtest in R does;
      "satterthwaite" has n - p degrees of freedom, as lmerTest does. How many places that is, a
      fit says: nothing else changes.

    Missing values are left out place by place: the numbers are those of the images that are there.
    A place has none (NaN) if they cannot tell the two variances apart, which are all places with
    the same images alike: if the design leaves nothing of what differs between subjects, or if the
    design and the levels of the subjects leave no residual degree of freedom (a second visit of one
    subject and a column for time). Nor has it any if images of a subject do not differ beside the
    design (:math:`\lambda > 10^9`), so that the likelihood has no maximum. The estimator warns of
    the number of such places.

    With "sandwich", coefficients b are those of ordinary least squares, with residuals e. An
    estimate :math:`c'b` weighs the images of subject s by :math:`a_s`; its variance is

    .. math:: \sum_s (a_s' A_s e_s)^2 \quad \text{or, with groups,} \quad \sum_s a_s' V_{g(s)} a_s

    (Liang and Zeger 1986; Guillaume et al. 2014). The covariance V of the visits of a group is that
    of the adjusted residuals A e of all its subjects: the variance of each visit, and the
    correlation of two visits over the subjects that have both. Negative eigenvalues become 0; such
    voxels are counted as at the boundary. With :math:`H = X(X'X)^-X'`, leverages h on its diagonal,
    and its block :math:`H_{ss}` of a subject, A is

    - 0: 1; 1: :math:`\sqrt{n / (n - p)}`; 2: :math:`(1 - h)^{-1/2}`; 3: :math:`(1 - h)^{-1}`;
    - "C2": :math:`(I - H_{ss})^{-1/2}`, unbiased if images are independent, and "C3":
      :math:`(I - H_{ss})^{-1}` (Bell and McCaffrey 2002). They are powers of a generalised inverse
      where eigenvalues are below 1e-12.

    The degrees of freedom of the sandwich are

    - "satterthwaite": those of Bell and McCaffrey (2002) for the images present, and of several
      rows those of Hotelling's T2 (Tipton and Pustejovsky 2015); the rule that keeps the level with
      few subjects;
    - "naive": the number of subjects less the dimensions of the design that are constant within
      subjects, which is too many for unbalanced designs;
    - "approximate-1": from the share of each group in the variance. Without groups, each subject is
      one, which leaves far too few degrees of freedom: the test is very conservative;
    - "approximate-2": from an unbiased estimate of how V varies, and "approximate-3": from a plain
      one that knows what missing visits change (Guillaume 2015).

    F of q rows is Hotelling's, on q and df - q + 1. Where a contrast depends on a combination of
    coefficients that the images of one subject alone estimate, there is no test.

    Examples
    --------
    >>> from groupglm import RepeatedMeasures
    >>> RepeatedMeasures(df="satterthwaite")
    RepeatedMeasures(covariance='random intercept', df='satterthwaite')
    """

    covariance: str = "random intercept"
    df: str | None = None
    _: KW_ONLY
    adjustment: int | str = "C2"
    groups: ArrayLike | None = None
    subjects: ArrayLike | None = None
    families: ArrayLike | None = None
    visits: ArrayLike | None = None
    kind: ClassVar[str] = "repeated measures"
    beside: ClassVar[tuple[str, ...]] = ()
    rows_per_image: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_choice("covariance", self.covariance, tuple(COVARIANCES))
        methods = COVARIANCES[self.covariance]
        if self.covariance == "sandwich":
            methods = _OF_GROUPS if self.groups is not None else _OF_SUBJECTS
        if self.df is None:
            object.__setattr__(self, "df", methods[0])
        if not isinstance(self.df, str) or self.df not in methods:
            self._refuse_df(methods)
        adjustment = check_choice("adjustment", self.adjustment, ADJUSTMENTS)
        if isinstance(adjustment, np.integer):
            object.__setattr__(self, "adjustment", int(adjustment))
        for name in _LABELS:
            refuse_no_labels(getattr(self, name), name)
        self._refuse_without_effect()

    def _refuse_df(self, methods: tuple[str, ...]) -> None:
        wanted = " or ".join(map(repr, methods))
        beside = ""
        if self.covariance == "sandwich":
            beside = " and groups are given" if self.groups is not None else " without groups"
        raise ArgumentError("df", shown(self.df), f"{wanted} if {self._said}{beside}")

    @property
    def _said(self) -> str:
        return f"covariance is {self.covariance!r}"

    def _refuse_without_effect(self) -> None:
        given = {
            "adjustment": (self.adjustment != "C2", "sandwich"),
            "groups": (self.groups is not None, "sandwich"),
            "families": (self.families is not None, "nested"),
        }
        for name, (is_given, covariance) in given.items():
            if is_given and self.covariance != covariance:
                raise ArgumentError(
                    name,
                    f"given, but it has no effect if {self._said}",
                    remedy=f"leave {name} out, or give " + argument("covariance", covariance),
                )

    def __repr__(self) -> str:
        said = f"covariance={self.covariance!r}, df={self.df!r}"
        if self.covariance == "sandwich":
            said += f", adjustment={self.adjustment!r}"
        for name in _LABELS:
            labels: Any = getattr(self, name)
            if labels is not None:
                texts = label_texts(labels, len(labels), name)
                said += f", {name}=<{counted(len(set(texts)), 'label')} of {len(texts)} images>"
        return f"RepeatedMeasures({said})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RepeatedMeasures) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash(str(self.settings()))

    @property
    def keeps_rows(self) -> bool:
        """Whether the rows are needed once more, because the states do not say enough."""
        return self.covariance != "random intercept"

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        return OF_SANDWICH if self.covariance == "sandwich" else OF_REPEATED

    def settings(self) -> dict[str, Any]:
        """Return the settings by name.

        Returns
        -------
        dict
            The options as given, and labels as lists of one text an image, or None.
        """
        labels: dict[str, Any] = {}
        for name in _LABELS:
            given: Any = getattr(self, name)
            labels[name] = None if given is None else list(label_texts(given, len(given), name))
        return {
            "covariance": self.covariance,
            "df": self.df,
            "adjustment": self.adjustment,
        } | labels

    def for_images(self, align: Callable[[Any, str], Any]) -> RepeatedMeasures:
        """Return the model with one label for each image.

        Parameters
        ----------
        align : callable
            Takes labels and the argument's name; returns labels in the order of the images.

        Returns
        -------
        RepeatedMeasures
            The model itself if it has no labels.
        """
        given = {name: getattr(self, name) for name in _LABELS}
        own = {name: align(labels, name) for name, labels in given.items() if labels is not None}
        return replace(self, **own) if own else self

    def rows(self, n_images: int) -> SubjectRows:
        """Return the checked labels of so many images.

        Parameters
        ----------
        n_images : int
            Number of images.

        Returns
        -------
        SubjectRows
            Whose image each image is.

        Raises
        ------
        ValueError
            If labels that the covariance needs are not given, or `subject_rows` refuses them.
        """
        if self.subjects is None:
            raise ArgumentError(
                "subjects",
                "None",
                "labels, one for each image",
                "give the subject of each image, as an argument or as a column 'subject_label' of "
                "the table of maps or of the design",
            )
        if self.covariance == "nested" and self.families is None:
            raise ArgumentError("families", "None", f"labels, one for each image, if {self._said}")
        if self.groups is not None and self.visits is None:
            raise ArgumentError(
                "visits",
                "None, but groups are given",
                "labels, one for each image: the covariance of a group is between visits",
            )
        return subject_rows(
            n_images,
            self.subjects,
            families=self.families,
            visits=self.visits,
            groups=self.groups,
        )

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> Plan:
        """Check a design and the labels of its images.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix, C-ordered and finite.
        column_names : tuple of str
            Names of its columns.

        Returns
        -------
        Plan
            The plan of a fit with this covariance.

        Raises
        ------
        ValueError
            If labels do not fit, no residual degree of freedom is left, or the images cannot tell
            the variances apart.

        Warns
        -----
        groupglm.errors.RankDeficientWarning
            If columns are linearly dependent.
        """
        rows = self.rows(len(X))
        plan: Plan = _home(self.covariance).prepare(self.with_texts(rows), rows, X, column_names)
        return plan

    def with_texts(self, rows: SubjectRows) -> RepeatedMeasures:
        """Return the model whose labels are texts, as checked.

        Parameters
        ----------
        rows : SubjectRows
            The checked labels.

        Returns
        -------
        RepeatedMeasures
            A copy.
        """
        return replace(self, **{name: getattr(rows, name) for name in _LABELS})

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> Fit:
        """Make a fit of its arrays, which a file held.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.
        arrays : mapping of str to array
            What ``arrays`` of the fit returned.
        n_values : int
            Number of places.
        n_threads : int
            Number of threads; 0 means all.

        Returns
        -------
        Fit
            Equal to the one that was saved.

        Raises
        ------
        KeyError
            If an array is lacking.
        ValueError
            If the arrays do not fit each other, the labels or the design.
        """
        rows = self.rows(len(X))
        fit: Fit = _home(self.covariance).load(
            self.with_texts(rows), rows, X, column_names, arrays,
            n_values=n_values, n_threads=n_threads,
        )  # fmt: skip
        return fit


def _home(covariance: str) -> Any:
    """Return the module of a covariance; loaded when first used."""
    try:
        return importlib.import_module(_HOMES[covariance])
    except ModuleNotFoundError as error:
        if error.name != _HOMES[covariance]:
            raise
        ready = [name for name in COVARIANCES if name != covariance]
        raise ArgumentError(
            "covariance", repr(covariance), " or ".join(map(repr, ready)), "it is not there yet"
        ) from None
