# SPDX-License-Identifier: BSD-3-Clause
"""Removal by ``--overwrite``: results in the folder that would contradict the new ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.results.names import plain
from groupglm.cli.results.records import PermutationTarget, Target
from groupglm.cli.results.sameness import study_difference
from groupglm.spaces.files import map_of, sidecar

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.results.study_results import Outputs
    from groupglm.cli.steps.study_design import Study

__all__ = ["contradicting", "remove"]


def contradicting(
    study: Study, outputs: Outputs, read: Iterable[Path], permutation: Mapping[str, Any] | None
) -> list[Target]:
    """Find results of another study, and other contrasts or permutations by the same names.

    Only files that a sidecar of this program describes are found, and no file that is read.
    `permutation` are the facts of the permutations that are wanted.
    """
    said = {contrast.label: plain(contrast.facts()) for contrast in study.contrasts}
    found: list[Target] = []
    another = False
    for record, facts in list(outputs.records()):
        other = study_difference(facts, plain(outputs.facts)) is not None
        contrast = said.get(_label(record, outputs))
        if other or (contrast and _is_another(facts, contrast, permutation)):
            another |= other
            found += _targets(record, facts, outputs)
    if another:
        found += map(Target.of, reversed(outputs.shared_paths))
    kept = {os.path.realpath(path) for path in read}  # realpath also accepts a link to itself
    return [target for target in found if os.path.realpath(target.path) not in kept]


def remove(targets: Iterable[Target], journal: Journal) -> None:
    """Remove results, each before its sidecar.

    After an interruption the remaining results are of one study, and a later run recognises them.
    """
    removed = []
    for target in targets:
        if target.foreign() is not None:  # it appeared after the check
            continue
        removed += [path.name for path in target.there]
        target.remove()
    if removed:
        names = ", ".join(dict.fromkeys(removed))
        journal.say(f"Removed what an earlier run made from something else: {names}")


def _targets(record: Path, found: Mapping[str, Any], outputs: Outputs) -> Iterator[Target]:
    """Yield the files that a sidecar describes."""
    for name in (outputs.names.model, *outputs.names.pages):
        if record == sidecar(outputs.folder / name):
            yield Target.of(outputs.folder / name)
            return
    stem = record.name.removesuffix("_statmap.json")
    if "Correction" in found:
        for what in ("clusters", "regions"):
            yield Target.of(record.with_name(f"{stem}_{what}.tsv"))
    if "Permutation" in found:
        label = _label(record, outputs)
        yield from map(Target.of, outputs.permutation_tables(label).values())
        yield PermutationTarget.of(outputs.permutation_state(label))
    yield Target.of(map_of(record))


def _label(record: Path, outputs: Outputs) -> str:
    beginning = f"{outputs.names.prefix}contrast-"
    return record.name.removeprefix(beginning).partition("_")[0]


def _is_another(
    found: Mapping[str, Any], contrast: Mapping[str, Any], permutation: Mapping[str, Any] | None
) -> bool:
    """Return whether a map is of another contrast or permutation than its label's wanted one."""
    if "Contrast" not in found:  # the model, or the page, which names its own contrasts
        return False
    if found["Contrast"] != contrast:
        return True
    return permutation is not None and found.get("Permutation", permutation) != permutation
