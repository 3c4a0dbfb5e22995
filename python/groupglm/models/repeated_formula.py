# SPDX-License-Identifier: BSD-3-Clause
"""A design and a model of several images a subject, from one formula: `repeated_from_formula`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.design.formula.building import check_table, fixed_design, random_part
from groupglm.design.formula.grouping import grouping_labels, rows_by_name
from groupglm.errors import ArgumentError, shown
from groupglm.models.repeated import COVARIANCES, RepeatedMeasures
from groupglm.runtime.arguments import check_choice, check_text
from groupglm.tabular.labels import LABEL

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.design.formula.random_part import RandomPart

__all__ = ["covariance_of", "repeated_from_formula"]


def repeated_from_formula(
    formula: str,
    table: pd.DataFrame,
    *,
    covariance: str | None = None,
    df: str | None = None,
    adjustment: int | str = "C2",
    visits: str | None = None,
    groups: str | None = None,
) -> tuple[pd.DataFrame, RepeatedMeasures]:
    """Make a design and a model of several images a subject from a formula.

    Parameters
    ----------
    formula : str
        As for `design_from_formula`, with a random part: ``"~ group * time + (1 | subject)"``, or
        ``"~ group * time + (1 | family/subject)"`` for subjects within families (or sites).
    table : pandas.DataFrame
        One row for each image, in the order of the images. The random part names the columns that
        hold subjects and families. ``subject`` may also stand for a column ``subject_label`` or
        ``participant_id``, or for an index of labels.
    covariance : str, optional
        As in `RepeatedMeasures`; by default "random intercept", or "nested" if the random part
        names families.
    df : str, optional
        As in `RepeatedMeasures`.
    adjustment : int or str, default="C2"
        As in `RepeatedMeasures`; for the sandwich only.
    visits : str, optional
        The column that holds the visit of each image.
    groups : str, optional
        The column that holds the group of each subject; for the sandwich only.

    Returns
    -------
    design : pandas.DataFrame
        float64, shape (n_images, n_columns): the fixed part. Its index has the subjects.
    model : RepeatedMeasures
        The model, with the labels of the images.

    Raises
    ------
    ValueError
        If the formula has no random part, or another than these; if it has crossed random effects
        or random slopes; if the table lacks a column or a value; or as `design_from_formula` and
        `RepeatedMeasures` do.

    Notes
    -----
    The notation of the random part is that of lme4 [1]_. Nothing in a formula is executed.

    References
    ----------
    .. [1] Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. Journal of Statistical Software, 67(1).

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm import repeated_from_formula
    >>> table = pd.DataFrame({"subject": ["01", "01", "02", "02", "03"], "time": [0, 1, 0, 1, 0]})
    >>> design, model = repeated_from_formula("~ time + (1 | subject)", table)
    >>> list(design), design.index.tolist(), design["time"].tolist()
    (['Intercept', 'time'], ['01', '01', '02', '02', '03'], [0.0, 1.0, 0.0, 1.0, 0.0])
    >>> model.covariance, model.df, model.subjects
    ('random intercept', 'kenward-roger', ['01', '01', '02', '02', '03'])
    """
    import pandas as pd

    check_text("formula", formula, optional=False)
    check_text("visits", visits)
    check_text("groups", groups)
    check_table(table)
    part = random_part(formula)
    if part is None:
        raise ArgumentError.about(
            "formula",
            f"formula {shown(formula)} has no random part",
            "add one, such as '+ (1 | subject)', or make a design alone by design_from_formula",
        )
    covariance = covariance_of(part, covariance)
    if covariance == "nested" and part.family is None:
        raise ArgumentError(
            "covariance",
            f"'nested', and the random part {part} names no families",
            remedy=f"write (1 | family/{part.subject}) with their column",
        )
    rows = rows_by_name(table)
    named = {"subjects": part.subject, "families": part.family, "visits": visits, "groups": groups}
    labels = {
        name: grouping_labels(rows, column, _what(part, name))
        for name, column in named.items()
        if column is not None
    }
    model = RepeatedMeasures(covariance, df, adjustment=adjustment, **labels)
    design = fixed_design(formula, rows)
    return design.set_axis(pd.Index(labels["subjects"], name=LABEL), axis="index"), model


def _what(part: RandomPart, name: str) -> str:
    """Return, for messages, what names a column of labels."""
    if name == "subjects":
        return f"the column of subjects in the random part {part}"
    if name == "families":
        return f"the column of families in the random part {part}"
    return f"the column of {name}"


def covariance_of(part: RandomPart, given: str | None) -> str:
    """Return the covariance that a random part means, beside the one that is given."""
    if given is not None:
        check_choice("covariance", given, tuple(COVARIANCES))
    if part.family is None:
        return "random intercept" if given is None else given
    if given not in (None, "nested"):
        raise ArgumentError(
            "covariance",
            f"{given!r} beside the random part {part}, which names families",
            "'nested'",
            f"write (1 | {part.subject}), or leave covariance out",
        )
    return "nested"
