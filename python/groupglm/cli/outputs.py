# SPDX-License-Identifier: BSD-3-Clause
"""The files of a fitted study: maps and their sidecars, whole or not there at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from groupglm.cli.sameness import difference, made_by, study_difference
from groupglm.naming import check_file_name
from groupglm.rounding import for_json
from groupglm.sidecars import read_json, sidecar
from groupglm.writing import write_whole

if TYPE_CHECKING:
    import pandas as pd
    from nibabel.nifti1 import Nifti1Image

State = Literal["done", "absent", "other"]

__all__ = [
    "OF_CONTRAST",
    "Contrast",
    "Names",
    "Outputs",
    "check_labels",
    "make_folder",
    "name_contrast",
    "plain",
    "read_json",
    "sidecar",
    "write_json",
    "write_table",
]

OF_CONTRAST = ("Contrast", "StatType", "DegreesOfFreedom", "Zeros")  # what all its sidecars say
_MAX_LABEL = 120  # characters; a file system takes names of 255, and there is more in them
_LONGEST_ENDING = "stat-z_desc-bonferroni0p0123456789_statmap.nii.gz.json"
_STATES: tuple[State, ...] = ("done", "absent", "other")  # the worst last
_KINDS = {"effect": "effect_size", "variance": "effect_variance", "z": "z_score", "p": "p_value"}
_MEANING = {
    "effect": "effect size, in the units of the maps",
    "variance": "variance of the effect, or for F the residual variance",
    "t": "t statistic",
    "F": "F statistic",
    "z": "z score with the same upper tail as the statistic",
    "p": "p value, not corrected; one-sided for t",
}


@dataclass(frozen=True, eq=False)
class Contrast:
    """One contrast of a study.

    Parameters
    ----------
    name : str
        The user's.
    expression : str
        As it was understood; rows of an F contrast are separated by ``;``.
    weights : list
        A vector for t, a matrix for F, over the design's columns.
    columns : list of str
        Their names.
    label : str
        The name within file names: letters and digits.
    """

    name: str
    expression: str
    weights: list[Any]
    columns: list[str] = field(repr=False)
    label: str

    @property
    def stat_type(self) -> Literal["t", "F"]:
        """Which statistic: t or F."""
        return "F" if isinstance(self.weights[0], list) else "t"

    def facts(self) -> dict[str, Any]:
        """Return what the sidecar says."""
        return {
            "Name": self.name,
            "Expression": self.expression,
            "Columns": self.columns,
            "Weights": self.weights,
        }


@dataclass(frozen=True)
class Names:
    """How the files of a study are called: those of its contrasts begin with `prefix`.

    `option` is how the command calls their folder.
    """

    prefix: str = ""
    design: str = "design_matrix.tsv"
    mask: str = "mask.nii.gz"
    n_observations: str = "n_observations.nii.gz"
    n_zeros: str = "n_zeros.nii.gz"
    df_residual: str = "df_residual.nii.gz"
    model: str = "model.groupglm"
    report: str = "report.html"
    option: str = "--output"


@dataclass(frozen=True, eq=False)
class Outputs:
    """The folder of a study's results.

    Parameters
    ----------
    folder : pathlib.Path
        Where they go.
    facts : mapping
        What all sidecars say of design, inputs, settings and software.
    names : Names
        How the files are called.
    """

    folder: Path
    facts: Mapping[str, Any]
    names: Names = field(default_factory=Names)

    @property
    def mask(self) -> Path:
        """The mask of the fit."""
        return self.folder / self.names.mask

    def contrast_path(self, contrast: Contrast, ending: str) -> Path:
        """Return a file of a contrast, such as the one that ends in ``stat-z_statmap.nii.gz``."""
        return self.folder / f"{self.names.prefix}contrast-{contrast.label}_{ending}"

    def image_path(self, contrast: Contrast, kind: str) -> Path:
        """Return the file of one map of a contrast."""
        return self.contrast_path(contrast, f"stat-{kind}_statmap.nii.gz")

    def paths(self, contrast: Contrast) -> dict[str, Path]:
        """Return the files of a contrast's maps by kind."""
        kinds = ("effect", "variance", contrast.stat_type, "z", "p")
        return {kind: self.image_path(contrast, kind) for kind in kinds}

    def records(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the sidecars of what this program has written of these maps, and what they say.

        Maps of other first-level contrasts have results, a mask and a design matrix of their own.
        """
        whole = [sidecar(self.folder / name) for name in (self.names.model, self.names.report)]
        maps = sorted(self.folder.glob(f"{self.names.prefix}contrast-*_statmap.json"))
        for path in (*maps, *whole):
            found = read_json(path) or {}
            if _is_ours(found) and found.get("FirstLevel") == plain(self.facts).get("FirstLevel"):
                yield path, found

    def check_same_study(self) -> None:
        """Refuse a folder with results of other maps, of another design or other settings.

        Raises
        ------
        ValueError
            If there are any: two studies in one folder would share mask and design matrix.
        """
        for path, found in self.records():
            told = study_difference(found, plain(self.facts))
            if told:
                raise ValueError(
                    f"{self.names.option} '{self.folder}' holds results made {told}: "
                    f"{path.name}; give another folder, or add --overwrite to replace them"
                )

    def state(self, contrast: Contrast) -> State:
        """Tell whether a contrast's maps are there."""
        said = {"Contrast": contrast.facts()}
        states = {self.state_of(path, said) for path in self.paths(contrast).values()}
        return max(states, key=_STATES.index)

    def refusal(self, what: str, paths: Mapping[str, Path], facts: Mapping[str, Any]) -> ValueError:
        """Return the error for images of which one is made from something else."""
        found = filter(None, (read_json(sidecar(path)) for path in paths.values()))
        told = (self._difference(one, facts) for one in found)
        return ValueError(
            f"{self.names.option} '{self.folder}' holds {what} made {next(filter(None, told))}; "
            "add --overwrite to replace them, or give another folder"
        )

    def _difference(self, found: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
        """Tell how a sidecar differs from what is wanted; None if it does not."""
        return difference(found, plain({**facts, **self.facts}))

    def state_of(self, path: Path, facts: Mapping[str, Any]) -> State:
        """Tell whether a file is there: made from the same, from something else, or not at all.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        facts : mapping
            What its sidecar would say besides what all say.

        Returns
        -------
        {"done", "absent", "other"}
            A file without a sidecar was interrupted, and is as good as absent.
        """
        found = read_json(sidecar(path))
        if found is None:
            return "absent"
        if self._difference(found, facts):
            return "other"
        return "done" if path.exists() else "absent"

    def write(
        self, contrast: Contrast, maps: Mapping[str, Nifti1Image], facts: Mapping[str, Any]
    ) -> dict[str, Path]:
        """Write a contrast's maps.

        Parameters
        ----------
        contrast : Contrast
            Which.
        maps : mapping of str to nibabel.nifti1.Nifti1Image
            As ``compute_contrast(..., output_type="all")`` returns them.
        facts : mapping
            What its sidecars say besides.

        Returns
        -------
        dict of str to pathlib.Path
            The files.
        """
        paths = self.paths(contrast)
        for kind, path in paths.items():
            image = maps[_KINDS.get(kind, "stat")]
            name_contrast(image, contrast)
            said = {"Description": _MEANING[kind], "Values": kind, **facts}
            self.write_image(image, path, said)
        return paths

    def said(self, contrast: Contrast) -> dict[str, Any]:
        """Return what the sidecar of a contrast's map of z, which has been written, says of it."""
        found = read_json(sidecar(self.image_path(contrast, "z"))) or {}
        return {key: found[key] for key in OF_CONTRAST if key in found}

    def write_image(self, image: Nifti1Image, path: Path, facts: Mapping[str, Any]) -> None:
        """Write an image and its sidecar."""
        from groupglm.images.save import save_image

        with self.described(path, facts):
            save_image(image, path)

    def write_table(
        self, table: pd.DataFrame, path: Path, facts: Mapping[str, Any], *, index: bool = False
    ) -> None:
        """Write a table and its sidecar, in which `facts` may describe columns, as in BIDS."""
        with self.described(path, facts):
            write_table(path, table, index=index)

    @contextmanager
    def described(self, path: Path, facts: Mapping[str, Any]) -> Iterator[None]:
        """Write a file's sidecar after the file, and thereby say that the file is complete."""
        sidecar(path).unlink(missing_ok=True)
        yield
        write_json(sidecar(path), {**facts, **self.facts})

    @staticmethod
    def remove(path: Path) -> None:
        """Remove a file and its sidecar, if they are there."""
        sidecar(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def name_contrast(image: Nifti1Image, contrast: Contrast) -> None:
    """Call the contrast in a map's header as the user does, not by its weights."""
    from groupglm.images import descrip_of

    described = bytes(image.header["descrip"].item()).decode(errors="ignore")
    what = described.partition(" of contrast ")[0]
    image.header["descrip"] = descrip_of(f"{what} of contrast {contrast.name}")


def make_folder(folder: Path, option: str) -> None:
    """Make a folder for results, and see that it can be written to, before the long work.

    Parameters
    ----------
    folder : pathlib.Path
        With those it is in.
    option : str
        How the command calls it.

    Raises
    ------
    ValueError
        If it cannot.
    """
    why = "you may not write there"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        files = [path for path in (folder, *folder.parents) if path.is_file()]
        why = f"'{files[0]}' is a file" if files else str(error.strerror)
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return
    raise ValueError(
        f"{option} '{folder}' cannot be a folder for results: {why}; give a folder that can be "
        "made or written to"
    )


def _is_ours(facts: Mapping[str, Any]) -> bool:
    return "DesignHash" in facts and made_by(facts) is not None


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is read back when facts are written as JSON, where a tuple is a list."""
    return dict(json.loads(json.dumps(for_json(facts))))


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    text = json.dumps(for_json(facts), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, (text + "\n").encode())


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
    """Refuse contrasts whose files would have the same names, none, or too long ones.

    Parameters
    ----------
    contrasts : list of Contrast
        All that are written to one folder.
    remedy : str
        What to do about two with the same names of files.
    prefixes : iterable of str
        How the names of files begin.

    Raises
    ------
    ValueError
        If there are any.
    """
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
                f"{prefix}contrast-{contrast.label}_{_LONGEST_ENDING}",
                f"a map of contrast {contrast.name[:40]!r}",
            )
    for label in _unique([contrast.label.lower() for contrast in contrasts]):
        names = [repr(c.name) for c in contrasts if c.label.lower() == label]
        raise ValueError(
            f"the contrasts {' and '.join(names)} would be written to the same files "
            f"(contrast-{label}_...); {remedy}"
        )
