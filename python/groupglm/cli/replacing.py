# SPDX-License-Identifier: BSD-3-Clause
"""What ``--overwrite`` removes: results in the folder that the new ones would contradict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.outputs import Outputs, plain, sidecar
from groupglm.cli.sameness import study_difference

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.permuted import Permutations
    from groupglm.cli.study import Study

__all__ = ["remove_others"]


def remove_others(
    study: Study,
    outputs: Outputs,
    files: Iterable[Path],
    permutations: Permutations | None,
    journal: Journal,
) -> None:
    """Remove results of another study, and other contrasts or permutations by the same names.

    A result goes before the sidecar that says what it is, and what the results share goes last:
    an interrupt leaves results of one study, which a later run knows for what they are. Only what
    a sidecar of this program tells of is removed.

    Parameters
    ----------
    study : Study
        Whose results are to be written.
    outputs : Outputs
        Where to.
    files : iterable of pathlib.Path
        What is read besides the study's maps; none of these is ever removed.
    permutations : Permutations or None
        How its contrasts are permuted; None if they are not.
    journal : Journal
        Is told what was removed.
    """
    kept = {path.resolve() for path in (*files, *study.maps.values())}
    said = {contrast.label: plain(contrast.facts()) for contrast in study.contrasts}
    permutation = None if permutations is None else permutations.facts()
    removed: list[Path] = []
    another = False
    for record, found in list(outputs.records()):
        other = study_difference(found, plain(outputs.facts)) is not None
        contrast = said.get(_label(record, outputs))
        if other or (contrast and _is_another(found, contrast, permutation)):
            another |= other
            removed += _remove(list(_files(record, found, outputs)), kept)
    if another:
        names = outputs.names
        counts = (names.n_observations, names.n_zeros, names.df_residual)
        shared = (*counts, names.mask, names.design)
        removed += _remove([outputs.folder / name for name in shared], kept)
    if removed:
        names_of = ", ".join(path.name for path in removed)
        journal.say(f"Removed what an earlier run made from something else: {names_of}")


def _remove(paths: list[Path], kept: Collection[Path]) -> list[Path]:
    """Remove files and their sidecars; return those that were there."""
    paths = [path for path in paths if path.resolve() not in kept]
    found = [path for path in paths if path.exists()]
    for path in paths:
        path.unlink(missing_ok=True)
    for path in paths:
        sidecar(path).unlink(missing_ok=True)
    return found


def _files(record: Path, found: Mapping[str, Any], outputs: Outputs) -> Iterator[Path]:
    """Return the files that a sidecar tells of."""
    for name in (outputs.names.model, outputs.names.report):
        if record == sidecar(outputs.folder / name):
            yield outputs.folder / name
            return
    stem = record.name.removesuffix("_statmap.json")
    if "Correction" in found:
        yield record.with_name(f"{stem}_clusters.tsv")
    if "Permutation" in found:
        beginning = f"{outputs.names.prefix}contrast-{_label(record, outputs)}"
        yield record.with_name(f"{beginning}_permutations.npz")
    yield record.with_name(f"{stem}_statmap.nii.gz")


def _label(record: Path, outputs: Outputs) -> str:
    beginning = f"{outputs.names.prefix}contrast-"
    return record.name.removeprefix(beginning).partition("_")[0]


def _is_another(
    found: Mapping[str, Any], contrast: Mapping[str, Any], permutation: Mapping[str, Any] | None
) -> bool:
    """Tell whether a map is of another contrast or permutation than is wanted by its label."""
    if "Contrast" not in found:  # the model, and the page that says itself what it is about
        return False
    if found["Contrast"] != contrast:
        return True
    return permutation is not None and found.get("Permutation", permutation) != permutation
