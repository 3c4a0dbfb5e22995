# SPDX-License-Identifier: BSD-3-Clause
"""The options of a table of results: what they need, and which columns there can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from groupglm.errors import ArgumentError, ArgumentTypeError
from groupglm.inference.column_meanings import EFFECT_COLUMNS
from groupglm.inference.corrected_p.names import (
    CLUSTER_FDR,
    CLUSTER_FWE,
    CLUSTER_MASS,
    CLUSTER_P,
    P_COLUMNS,
    PEAK_FDR,
    PEAK_FWE,
    PEAK_TFCE,
    PLACE_FDR,
    SET_P,
)
from groupglm.inference.random_fields.map_field import check_smoothness
from groupglm.inference.results_rows import CORRECTIONS, Correction
from groupglm.runtime.arguments import check_choice
from groupglm.runtime.paths import given_path

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["check_correction", "checked_columns", "chosen_columns", "refuse_given", "tsv_path"]

_REMEDIES = {
    SET_P: "correction='rft' has it",
    CLUSTER_FWE: "correction='rft' has it, which needs the smoothness of the noise, and "
    "correction='permutation' with a test of clusters (threshold=...)",
    CLUSTER_MASS: "correction='permutation' with a test of clusters (threshold=...) has it",
    CLUSTER_FDR: "correction='rft' has it, which needs the smoothness of the noise",
    CLUSTER_P: "correction='rft' has it, which needs the smoothness of the noise",
    PEAK_FWE: "correction='bonferroni', 'rft' and 'permutation' have it",
    PEAK_TFCE: "correction='permutation' with a test of TFCE (tfce=True) has it",
    PEAK_FDR: "correction='rft' has it, which needs the smoothness of the noise",
    PLACE_FDR: "correction='fdr' has it",
    **dict.fromkeys(
        EFFECT_COLUMNS.values(),
        "a fitted model and a t contrast, given as (model, contrast), have effects, and Cohen's d "
        "where the model defines it",
    ),
    **dict.fromkeys(("Region", "Regions of Cluster"), "give an atlas"),
}


def check_correction(correction: Correction, *, permutations: Any, smoothness: Any) -> None:
    """Refuse a correction without what it needs, and what it does not use."""
    check_choice("correction", correction, CORRECTIONS)
    check_smoothness(smoothness)
    if (permutations is None) == (correction == "permutation"):
        problem = "needs" if permutations is None else "does not use"
        raise ArgumentError.about(
            "permutations",
            f"correction={correction!r} {problem} permutations",
            "give what non_parametric_inference returned, and correction='permutation'",
        )
    if smoothness is not None and correction != "rft":
        raise ArgumentError.about(
            "smoothness",
            f"correction={correction!r} does not use smoothness",
            "give correction='rft', or leave it out",
        )


def refuse_given(remedy: str, **given: Any) -> None:
    """Refuse arguments that have no place beside the others."""
    for name, own in given.items():
        if own is not None:
            raise ArgumentError(name, "given", remedy=remedy)


def tsv_path(output: Any) -> Path | None:
    """Return the .tsv file to be written."""
    if output is None:
        return None
    path = given_path("output", output)
    if path.suffix.lower() != ".tsv":
        raise ArgumentError("output", f"{str(path)!r}", "a .tsv file", "give it that ending")
    return path


def checked_columns(columns: Any) -> list[str] | None:
    """Return the names of columns that a caller wants."""
    if columns is None:
        return None
    if isinstance(columns, str) or not isinstance(columns, Sequence):
        raise ArgumentTypeError(
            "columns", f"a {type(columns).__name__}", "a list of names of columns", "give a list"
        )
    return [str(name) for name in columns]


def chosen_columns(table: pd.DataFrame, wanted: list[str] | None, correction: str) -> pd.DataFrame:
    """Return the columns that were asked for; refuse those that there are none of."""
    if wanted is None:
        return table
    for name in wanted:
        if name in table.columns:
            continue
        if name in _REMEDIES:
            method = f" with correction={correction!r}" if name in P_COLUMNS else ""
            raise ArgumentError.about(
                "columns", f"there is no column {name!r}{method}", _REMEDIES[name]
            )
        raise ArgumentError(
            "columns",
            f"{name!r}, which is no column",
            f"some of {', '.join(map(repr, table.columns))}",
            "give names of the table's columns",
            verb="has",
        )
    return table[wanted]
