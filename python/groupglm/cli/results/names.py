# SPDX-License-Identifier: BSD-3-Clause
"""The names of a fitted study's files, and the format of sidecars and tables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from groupglm.runtime.naming import check_file_name, slug
from groupglm.runtime.regular_files import why_no_folder
from groupglm.runtime.rounding import for_json
from groupglm.runtime.sidecars import read_json
from groupglm.runtime.writing import write_whole
from groupglm.spaces.files import saved_endings, sidecar

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.spaces.images import Image

__all__ = [
    "OF_CONTRAST",
    "OF_GROUPS",
    "Contrast",
    "Names",
    "check_labels",
    "make_folder",
    "name_contrast",
    "plain",
    "read_json",
    "sidecar",
    "write_json",
    "write_table",
]

OF_CONTRAST = ("Contrast", "StatType", "DegreesOfFreedom", "Zeros")  # in all its sidecars
OF_GROUPS = {"tau2": "tau2", "i_squared": "I2", "h_squared": "H2"}
"""Maps of a whole fit, or of each of its variance groups, and their names in files."""

_ALL = {
    **OF_GROUPS,
    "q": "Q",
    "q_p_value": "Qp",
    "intraclass_correlation": "ICC",
    "subject_variance": "subjectVariance",
    "family_variance": "familyVariance",
    "residual_variance": "residualVariance",
    "n_subjects": "nSubjects",
    "converged": "converged",
    "iterations": "iterations",
    "mean_weight": "meanWeight",
    "resels": "rpv",
}

_MAX_LABEL = 120  # characters; a name of a file may have 255, and has other parts too
_LONGEST = "stat-z_desc-bonferroni0p0123456789_statmap"


@dataclass(frozen=True, eq=False)
class Contrast:
    """One contrast of a study.

    Parameters
    ----------
    name : str
        The user's name.
    expression : str
        The expression in one spelling; rows of an F contrast are separated by ``;``.
    weights : list
        A vector for t, a matrix for F, over the design's columns.
    columns : list of str
        The names of the design's columns.
    label : str
        The name within file names: letters and digits.
    null_value : float
        The constant that a t contrast is compared with, if it is not 0.
    """

    name: str
    expression: str
    weights: list[Any]
    columns: list[str] = field(repr=False)
    label: str
    null_value: float = 0.0

    @property
    def tested(self) -> str | list[Any]:
        """The contrast as a model takes it; only a text can compare it with a constant."""
        return self.expression if self.null_value else self.weights

    @property
    def stat_type(self) -> Literal["t", "F"]:
        """The statistic: t or F."""
        return "F" if isinstance(self.weights[0], list) else "t"

    def facts(self) -> dict[str, Any]:
        """Return the facts of the contrast for sidecars."""
        return {
            "Name": self.name,
            "Expression": self.expression,
            "Columns": self.columns,
            "Weights": self.weights,
            **({"NullValue": self.null_value} if self.null_value else {}),
        }


@dataclass(frozen=True)
class Names:
    """The names of the files of a study; those of its contrasts begin with `prefix`.

    Those of maps of the whole fit begin with `stem`. `ending` is that of all images, `option` the
    command's name for their folder.
    """

    ending: str
    mask: str
    n_observations: str
    n_zeros: str
    df_residual: str
    prefix: str = ""
    stem: str = ""
    design: str = "design_matrix.tsv"
    model: str = "model.groupglm"
    report: str = "report.html"
    option: str = "--output"

    @property
    def methods(self) -> tuple[str, str]:
        """The files of the page's paragraph on methods, and of its references."""
        stem = self.report.removesuffix("report.html")
        return f"{stem}methods.md", f"{stem}methods.bib"

    @property
    def pages(self) -> tuple[str, ...]:
        """All files that are written with the page."""
        return (self.report, *self.methods)

    @classmethod
    def plain(cls, ending: str) -> Names:
        """Return the names for a study that has a folder of its own."""
        images = ("mask", "n_observations", "n_zeros", "df_residual")
        return cls(ending, **{name: f"{name}{ending}" for name in images})

    def fit_maps(self, groups: Iterable[str] = ()) -> dict[str, str]:
        """Return the names of maps of the whole fit, as ``stat-tau2_statmap.nii.gz``.

        Some are of each variance group, if there are any: ``stat-tau2_desc-patient_statmap``.
        """
        files = {name: f"{self.stem}stat-{own}_statmap{self.ending}" for name, own in _ALL.items()}
        for label in groups:
            for name, own in OF_GROUPS.items():
                files[f"{name}_{label}"] = (
                    f"{self.stem}stat-{own}_desc-{slug(label)}_statmap{self.ending}"
                )
        return files


def name_contrast(image: Image, contrast: Contrast) -> None:
    """Write the user's name of the contrast into a map's header, in place of its weights."""
    from groupglm.spaces.registry import kind_of

    kind_of(image).rename_contrast(image, contrast.name)


def make_folder(folder: Path, option: str) -> None:
    """Make a folder for results, and test before the long work that it can be written to."""
    why = "you may not write there"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = why_no_folder(folder) or str(error.strerror)
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return
    raise ValueError(
        f"{option} '{folder}' cannot be a folder for results: {why}; give a folder that can be "
        "made or written to"
    )


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as they are after a round trip through JSON: a tuple becomes a list."""
    return dict(json.loads(json.dumps(for_json(facts))))


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    text = json.dumps(for_json(facts), indent=2, ensure_ascii=False, allow_nan=False)
    # A file name that is not UTF-8 has lone surrogates, which JSON can hold as escapes.
    write_whole(path, (text + "\n").encode(errors="backslashreplace"))


def write_table(path: Path, table: pd.DataFrame, *, index: bool = False) -> None:
    """Write a table with tabs; a missing value is ``n/a``, as in BIDS."""
    text: str = table.to_csv(sep="\t", index=index, na_rep="n/a", lineterminator="\n")
    write_whole(path, text.encode())


def _unique(labels: list[str]) -> Iterator[str]:
    for label in sorted(set(labels)):
        if labels.count(label) > 1:
            yield label


def check_labels(
    contrasts: list[Contrast],
    remedy: str = "name them apart: NAME=EXPRESSION",
    *,
    prefixes: Iterable[str] = ("",),
) -> None:
    """Refuse contrasts whose files would have the same names, none, or too long ones."""
    ending = max(saved_endings(), key=len)
    for contrast in contrasts:
        if not contrast.label:
            raise ValueError(
                f"contrast {contrast.name!r} has no letter or digit to name its files by; write "
                "NAME=EXPRESSION"
            )
        if len(contrast.label) > _MAX_LABEL:
            raise ValueError(
                f"contrast {contrast.name[:40]!r}... would name its files by {len(contrast.label)} "
                f"characters, more than {_MAX_LABEL}; write NAME=EXPRESSION"
            )
        for prefix in prefixes:
            check_file_name(
                f"{prefix}contrast-{contrast.label}_{_LONGEST}{ending}.json",
                f"a map of contrast {contrast.name[:40]!r}",
            )
    for label in _unique([contrast.label.lower() for contrast in contrasts]):
        names = [repr(c.name) for c in contrasts if c.label.lower() == label]
        raise ValueError(
            f"the contrasts {' and '.join(names)} would be written to the same files "
            f"(contrast-{label}_...); {remedy}"
        )
