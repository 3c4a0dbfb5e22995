# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm neurovault``: what NeuroVault asks about maps, from their sidecars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.common import as_json, overwrite
from groupglm.cli.options.geometry import MAP
from groupglm.cli.options.paths import TO_FILE
from groupglm.cli.results.derived_files import Made
from groupglm.runtime.json_facts import is_number, is_whole
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["neurovault"]

_MODALITIES = (
    "fMRI-BOLD", "fMRI-CBF", "fMRI-CBV", "Diffusion MRI", "Structural MRI", "PET FDG",
    "PET [15O]-water", "PET other", "MEG", "EEG", "Other",
)  # fmt: skip
# NeuroVault's types of maps, by the kinds of values.
_TYPES = {
    "t": "T map",
    "F": "F map",
    "z": "Z map",
    "p": "P map (given null hypothesis)",
    "effect": "univariate-beta map",
    "variance": "variance",
    "label": "ROI/mask",
}
_COLUMNS = {
    "file": "Name of the map's file, to upload",
    "name": "Name of the map",
    "map_type": "Type of values, in NeuroVault's words",
    "modality": "How the images were acquired",
    "analysis_level": "Level of the analysis",
    "number_of_subjects": "Number of subjects in the analysis",
    "statistic_parameters": "Degrees of freedom: of t one number, of F that of the numerator first",
    "smoothness_fwhm": "Mean estimated smoothness of the noise over the axes, FWHM in mm",
    "contrast_definition": "The contrast as an expression over the columns of the design",
    "is_thresholded": "Whether values below a threshold are zero",
    "description": "Description, and the software",
}


@click.command(short_help="Tabulate what NeuroVault asks about maps.")
@click.argument("maps", type=MAP, nargs=-1, required=True, metavar="MAP [MAP...]")
@click.option(
    "--modality",
    type=click.Choice(_MODALITIES),
    required=True,
    help="How the images were acquired; no map tells it.",
)
@click.option("--output", type=TO_FILE, required=True, help="A .tsv file to write.")
@as_json
@overwrite
def neurovault(
    *, maps: tuple[Path, ...], modality: str, output: Path, as_json: bool, overwrite: bool
) -> None:
    """Write a table of what NeuroVault asks about maps that you upload there.

    A row for each map: type, modality, number of subjects, degrees of freedom, smoothness, the
    contrast, and whether it is thresholded, in the fields and words of NeuroVault. They are read
    from the sidecars of the maps. Nothing is uploaded. The smoothness is known if "groupglm fit"
    had --correct rft:0.05.

    \b
    Examples
      groupglm neurovault results/contrast-age_stat-t_statmap.nii.gz --modality fMRI-BOLD \\
          --output neurovault.tsv

    Writes the table to --output, and OUTPUT.json beside it: the maps, and the meaning of the
    columns. If the table is there already, of the same maps and options, it is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    made = Made(output, maps[0], {"Modality": modality}, maps[1:])
    journal = Journal(as_json=as_json)
    with journal.listening(), made.claimed(suffixes=(".tsv",)):
        found = made.found(overwrite=overwrite)
        if found is not None:
            journal.say(made.skipped())
        else:
            from groupglm.cli.results.names import write_table

            table = _table(maps, modality)
            about = "What NeuroVault asks about these maps"
            columns = {name: {"Description": words} for name, words in _COLUMNS.items()}
            with made.writing({**columns, "Description": about}) as draft:
                write_table(draft, table)
            journal.say(f"{counted(len(maps), 'map', 'maps')}: {output}")
    journal.summary(
        {
            "inputs": [str(path) for path in maps],
            "status": "written" if found is None else "skipped",
            "output": str(output),
        }
    )


def _table(maps: tuple[Path, ...], modality: str) -> pd.DataFrame:
    import pandas as pd

    from groupglm.runtime.sidecars import read_json
    from groupglm.spaces.files import sidecar
    from groupglm.spaces.registry import kind_of

    rows = []
    for path in maps:
        if kind_of(path).tag != "volume":
            raise ValueError(
                f"'{path}' is no volume, and NeuroVault takes NIfTI volumes; leave it out"
            )
        facts = read_json(sidecar(path))
        if facts is None or not isinstance(facts.get("Values"), str):
            raise ValueError(
                f"'{path}' has no sidecar {sidecar(path).name} that tells what it holds; give maps "
                "that groupglm wrote, with their .json"
            )
        rows.append({"file": path.name, "modality": modality, **_fields(path, facts)})
    return pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object)


def _fields(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a sidecar tells; None of what it does not."""
    contrast = facts.get("Contrast")
    contrast = contrast if isinstance(contrast, dict) else {}
    software = facts.get("SoftwareVersions")
    version = software.get("groupglm") if isinstance(software, dict) else None
    about = str(facts.get("Description", ""))
    is_thresholded = isinstance(facts.get("Correction"), dict) or "Threshold" in facts
    name = contrast.get("Name")
    kind = str(facts["Values"])
    n_subjects = facts.get("NumberOfSubjects")
    return {
        "name": _line(path.name.split(".")[0] if name is None else f"{name}: {about}"),
        "map_type": _TYPES.get(kind, "other"),
        "analysis_level": "group",
        "number_of_subjects": n_subjects if is_whole(n_subjects) else None,
        "statistic_parameters": _parameters(kind, facts.get("DegreesOfFreedom")),
        "smoothness_fwhm": _smoothness(facts.get("Smoothness")),
        "contrast_definition": _line(contrast.get("Expression")),
        "is_thresholded": is_thresholded,
        "description": _line(f"{about}. groupglm {version}" if version else about),
    }


def _line(text: Any) -> str | None:
    """Return a text of a sidecar as one cell: tabs and line breaks would make others."""
    return None if text is None else " ".join(str(text).split())


def _parameters(kind: str, degrees: Any) -> str | None:
    """Return the degrees of freedom of t and F, where they are the same at all voxels."""
    if kind not in ("t", "F") or not isinstance(degrees, dict):
        return None
    wanted = ("Residual",) if kind == "t" else ("Numerator", "Residual")
    numbers = [degrees.get(name) for name in wanted]
    if not all(map(is_number, numbers)):
        return None
    return ", ".join(f"{own:g}" for own in numbers)


def _smoothness(facts: Any) -> str | None:
    """Return the mean FWHM over the axes of a volume, in mm."""
    parts = facts.get("Parts") if isinstance(facts, dict) else None
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], dict):
        return None
    widths = parts[0].get("FWHM")
    if not isinstance(widths, list) or not widths:
        return None
    if not all(map(is_number, widths)):
        return None
    return f"{sum(widths) / len(widths):.3g}"
