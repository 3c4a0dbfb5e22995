# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about the design."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.matrix import describe_dependence, variance_inflation
from groupglm.plotting.design import (
    design_correlation,
    draw_design_correlation,
    draw_design_matrix,
)
from groupglm.report.data_quality import leverage
from groupglm.report.figures import chart
from groupglm.report.sample_table import sample_table
from groupglm.report.words import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup

__all__ = ["design_section"]

_LARGE_INFLATION = 10.0
_LARGE_LEVERAGE = 3.0  # times the mean leverage, a common rule of thumb


def design_section(group: FittedGroup, design: pd.DataFrame) -> dict[str, Any]:
    """Return pictures and tables of the design."""
    X, names = group.result.X, list(group.result.column_names)
    rank = round(float(leverage(X).sum()))
    one, many = group.space.input_words
    full = rank == X.shape[1]
    inflation = variance_inflation(X) if full else None
    pictures = [
        chart(
            draw_design_matrix(design),
            f"Heat map of the design matrix: {len(X)} {many} by {len(names)} columns.",
            f"Design matrix, a line for each {one}; each column over its largest size; grey: "
            "constant.",
        )
    ]
    varying, correlation = design_correlation(design)
    if len(varying) > 1:
        worst, pair = _strongest(varying, correlation)
        pictures.append(
            chart(
                draw_design_correlation(design),
                f"Correlations of the columns; the strongest is {worst:.2f}, of {listed(pair)}.",
                f"Correlation of columns; the strongest is {worst:.2f}, of {listed(pair)}.",
            )
        )
    return {
        "pictures": pictures,
        "columns": [
            [name, _short(column.min()), _short(column.max()), _short(_mean(column)), factor]
            for name, column, factor in zip(
                names, X.T, _factors(inflation, len(names)), strict=True
            )
        ],
        "sample": sample_table(group, design),
        "facts": [
            ("rank", f"{rank} of {len(names)} columns"),
            ("residual degrees of freedom", _freedom(group.result.df_residual)),
        ],
        "findings": [
            *_about_covariates(group),
            _about_dependence(X, names, full, inflation),
            _about_leverage(X, rank, group.space.input_words),
        ],
        "names": names,
        "rows": [[repr(float(value)) for value in row] for row in X],
    }


def _freedom(df: Any) -> str:
    known = bool(np.isinf(np.ravel(df)).all())
    return "infinite: the variances are taken as known" if known else span(df)


def _mean(column: Any) -> float:
    """Return the mean; zero if it differs from zero by rounding only."""
    mean = float(column.mean())
    return mean if abs(mean) > 1e-12 * float(np.abs(column).max()) else 0.0


def _short(value: float) -> str:
    return f"{float(value):.4g}"


def _factors(inflation: Any, n_columns: int) -> list[str]:
    if inflation is None:
        return ["not defined"] * n_columns
    return [f"{factor:.2f}" for factor in inflation]


def _strongest(names: list[str], correlation: Any) -> tuple[float, list[str]]:
    sizes = np.abs(np.triu(correlation, 1))
    row, column = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    return float(correlation[row, column]), [names[row], names[column]]


def _about_covariates(group: FittedGroup) -> list[str]:
    """Return a sentence on the columns whose values differ from place to place, if there are."""
    n_covariates = group.result.model.beside.count("covariate")
    if not n_covariates:
        return []
    names = list(group.result.column_names[-n_covariates:])
    one, many = group.space.place_words
    what = "is a covariate" if len(names) == 1 else "are covariates"
    return [
        f"{listed(names)} {what} of each {one}: the values differ between {many}. A column that is "
        f"shown here holds each image's mean over the {many}; variance inflation and leverage are "
        "those of the means."
    ]


def _about_dependence(X: Any, names: list[str], full: bool, inflation: Any) -> str:
    if not full:
        return (
            f"The design has not full rank: {describe_dependence(X, names)}. Contrasts of these "
            "columns may not be estimable."
        )
    large = [
        name for name, factor in zip(names, inflation, strict=True) if factor > _LARGE_INFLATION
    ]
    if large:
        return (
            f"Nearly determined by the other columns (variance inflation above "
            f"{_LARGE_INFLATION:g}): {listed(large)}."
        )
    if len(names) == 1:
        return "The design has one column."
    return (
        "No column is nearly determined by the others: the largest variance inflation is "
        f"{float(np.max(inflation)):.2f}."
    )


def _about_leverage(X: Any, rank: int, words: tuple[str, str]) -> str:
    values = leverage(X)
    mean = rank / len(X)
    high = [str(row + 1) for row in np.flatnonzero(values > _LARGE_LEVERAGE * mean)]
    if np.ptp(values) <= 1e-9 * mean:  # rounding
        return f"Every {words[0]} has the same leverage, {mean:.3f}."
    if not high:
        return (
            f"No {words[0]} has a leverage above three times the mean of {mean:.3f}; the largest "
            f"is {float(values.max()):.3f}, of {words[0]} {int(np.argmax(values)) + 1}."
        )
    return (
        f"The leverage of {words[len(high) > 1]} {listed(high)} is above three "
        f"times the mean of {mean:.3f}: the fit hangs on them."
    )
