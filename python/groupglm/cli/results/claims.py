# SPDX-License-Identifier: BSD-3-Clause
"""The first step of a command, before it reads anything: `claimed`, `claimed_study`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.results.locks import held
from groupglm.cli.results.names import make_folder
from groupglm.cli.results.records import Target, check_not_read, check_ours
from groupglm.cli.results.removal import contradicting
from groupglm.runtime.naming import check_file_name
from groupglm.runtime.writing import clean_drafts

if TYPE_CHECKING:
    from groupglm.cli.results.study_results import Outputs
    from groupglm.cli.steps.study_design import Study

__all__ = ["claimed", "claimed_study"]


@contextmanager
def claimed(
    folder: Path,
    targets: Collection[Target],
    read: Collection[Path],
    *,
    lock: str,
    option: str,
    named: Path | None = None,
) -> Iterator[None]:
    """Hold a folder's lock; first remove drafts of killed runs, and refuse to lose any file."""
    where = f"{option} '{named or folder}'"
    for target in targets:
        for path in (*target.files, target.record):
            check_file_name(path.name, f"{option}: a result")
    make_folder(folder, option)
    files = {path.name for target in targets for path in (*target.files, target.record)}
    with held(folder, lock, where, files=files):
        for place in {folder, *(target.path.parent for target in targets)}:
            clean_drafts(place)
        check_not_read(targets, read, where)
        check_ours(targets, where)
        yield


@contextmanager
def claimed_study(
    study: Study,
    outputs: Outputs,
    targets: Collection[Target],
    read: Collection[Path],
    permutation: Mapping[str, Any] | None,
    *,
    overwrite: bool,
) -> Iterator[None]:
    """Lock the results of a study; only files that groupglm wrote will be replaced.

    `permutation` are the facts of the permutations that are wanted.
    """
    read = [*read, *study.files]
    option = outputs.names.option
    with claimed(outputs.folder, targets, read, lock=outputs.names.mask, option=option):
        if overwrite:
            others = contradicting(study, outputs, read, permutation)
            check_ours(others, f"{option} '{outputs.folder}'")
        else:
            outputs.check_same_study()
        yield
