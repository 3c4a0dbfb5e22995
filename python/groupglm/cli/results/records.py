# SPDX-License-Identifier: BSD-3-Clause
"""A file that a command writes, and the record of writing it: `Target`, `publishing`."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groupglm.cli.results.names import write_json
from groupglm.cli.results.sameness import made_by
from groupglm.runtime.paths import file_identity
from groupglm.runtime.sidecars import content_facts, describes, has_content, read_json
from groupglm.runtime.writing import draft_folder, sync_folder
from groupglm.spaces.files import sidecar
from groupglm.spaces.map_files import files_of_map, possible_files

__all__ = [
    "Member",
    "PermutationTarget",
    "Target",
    "check_described",
    "check_not_read",
    "check_ours",
    "publish",
    "publishing",
]

_SHOWN = 3  # most files that a message names
_STATE = {"seed.npy", "test.npy"}  # of a state of permutations; other archives have a seed too


@dataclass(frozen=True)
class Target:
    """A file that a command may write.

    Parameters
    ----------
    path : pathlib.Path
        The file; of a map in several files their common name.
    record : pathlib.Path
        Its sidecar.
    """

    path: Path
    record: Path

    @classmethod
    def of(cls, path: Path) -> Target:
        """Return the file of a study, with its sidecar."""
        return cls(path, sidecar(path))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that may be written, except the sidecar."""
        return possible_files(self.path)

    @property
    def there(self) -> list[Path]:
        """The files of these that exist."""
        return [path for path in self.files if os.path.lexists(path)]

    def remove(self) -> None:
        """Remove the file, and then its sidecar, if they are there."""
        for path in (*self.files, self.record):
            path.unlink(missing_ok=True)

    def foreign(self) -> str | None:
        """Return, in words, the file here that groupglm did not write; None if there is none."""
        there = self.there
        if not os.path.lexists(self.record):
            return f"'{there[0].name}', which has no sidecar {self.record.name}" if there else None
        facts = read_json(self.record)
        if facts is None or made_by(facts) is None:
            return f"'{self.record.name}', which is no sidecar of groupglm"
        own = {path.name for path in self.files}
        for other in _names(facts):
            beside = Path(other).name == other and other not in own
            if beside and os.path.lexists(self.path.with_name(other)):
                return f"'{self.record.name}', which is the sidecar of '{other}'"
        for path in there:
            if not _is_described(facts, path, self.path):
                return (
                    f"'{path.name}', which is not the file that its sidecar {self.record.name} "
                    "describes (changed since, or damaged)"
                )
        return None

    def found(self) -> dict[str, Any] | None:
        """Return the facts of the sidecar; None unless the file exists and is whole."""
        facts = read_json(self.record)
        if facts is None or made_by(facts) is None:
            return None
        return facts if describes(facts, self.path) else None


def _is_described(facts: Mapping[str, Any], path: Path, name: Path) -> bool:
    """Return whether a file is the one, or one of those, that a sidecar describes.

    `name` is the common name of several. A sidecar of an earlier version may have no hash.
    """
    if not path.is_file():
        return False
    if path == name:
        return describes(facts, path) is not False
    return any(part.get("Name") == path.name and has_content(path, part) for part in _parts(facts))


def _parts(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a sidecar says of the content of each of its files."""
    found = [facts.get("File")] if "File" in facts else facts.get("Files")
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _names(facts: Mapping[str, Any]) -> list[str]:
    """Return the names of the files that a sidecar describes."""
    return [name for part in _parts(facts) if (name := str(part.get("Name", "")))]


class Member(Target):
    """One of several files with one record, which lists them by paths below its own folder."""

    def foreign(self) -> str | None:
        """Return, in words, another file at this place; None if there is none."""
        facts = read_json(self.record)
        if os.path.lexists(self.record) and (facts is None or made_by(facts) is None):
            return f"'{self.record.name}', which is no record of groupglm"
        if not os.path.lexists(self.path):
            return None
        name = self.path.relative_to(self.record.parent).as_posix()
        files = (facts or {}).get("Files")
        if not isinstance(files, dict | list) or name not in files:
            return f"'{name}', which no {self.record.name} lists"
        # Earlier versions listed only the names.
        if isinstance(files, dict) and has_content(self.path, files[name]) is False:
            return (
                f"'{name}', which is not the file that {self.record.name} describes (changed "
                "since, or damaged)"
            )
        return None


class PermutationTarget(Target):
    """The state of permutations; it has no sidecar, because its members identify it."""

    @classmethod
    def of(cls, path: Path) -> PermutationTarget:
        """Return the file, which is its own record."""
        return cls(path, path)

    def foreign(self) -> str | None:
        """Return, in words, another file at this place; None if there is none."""
        if not os.path.lexists(self.path):
            return None
        try:
            with zipfile.ZipFile(self.path) if self.path.is_file() else nullcontext() as archive:
                ours = archive is not None and set(archive.namelist()) >= _STATE
        except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile):
            ours = False
        return None if ours else f"'{self.path.name}', which is not the state of a permutation test"


def check_ours(targets: Iterable[Target], where: str) -> None:
    """Refuse to replace files that groupglm did not write."""
    told = [why for target in targets if (why := target.foreign()) is not None]
    if told:
        more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise ValueError(
            f"{where} holds {'; '.join(told[:_SHOWN])}{more}; groupglm replaces only what it "
            "wrote, also with --overwrite: move that away, or give another place"
        )


def check_not_read(targets: Iterable[Target], read: Collection[Path], where: str) -> None:
    """Refuse to overwrite a file that is read, under any name or link."""
    inputs = {file_identity(path): path for path in read}
    inputs.pop(None, None)
    for target in targets:
        for path in (*target.files, target.record):
            same = inputs.get(file_identity(path))
            if same is not None:
                raise ValueError(
                    f"{where}: the result '{path.name}' would go over '{same}', which is read; "
                    "give another place"
                )


def check_described(path: Path, *, digest: str | None = None) -> None:
    """Refuse to read a file that is not the one that its sidecar describes."""
    record = sidecar(path)
    facts = read_json(record)
    if facts is not None and describes(facts, path, digest=digest) is False:
        raise ValueError(
            f"'{path}' is not the file that its sidecar {record.name} describes (changed since, "
            f"or damaged); remove {record.name} to use the file as it is"
        )


@contextmanager
def publishing(target: Target, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Write a file as a draft of the same name, then publish it with its sidecar.

    A map in several files has drafts of their names.
    """
    check_ours([target], f"'{target.path.parent}'")
    with draft_folder(target.path.parent) as drafts:
        draft = drafts / target.path.name
        try:
            yield draft
            check_ours([target], f"'{target.path.parent}'")
            files = files_of_map(draft)
            if files == (draft,):
                facts = {**facts, "File": content_facts(draft)}
            else:
                facts = {**facts, "Files": [content_facts(path) for path in files]}
            others = [path for path in target.there if path.name not in {own.name for own in files}]
            moved = {target.path.with_name(path.name): path for path in files}
            publish(moved, target.record, facts, drafts, replaced=others)
        except OSError as error:
            elsewhere = error.filename and Path(str(error.filename)).parent != drafts
            if error.errno is None or elsewhere:
                raise
            raise OSError(error.errno, error.strerror, str(target.path)) from error


def publish(
    drafts: Mapping[Path, Path],
    record: Path,
    facts: Mapping[str, Any],
    folder: Path,
    *,
    replaced: Iterable[Path] = (),
) -> None:
    """Give whole drafts their names, after writing their record.

    After any interruption, no file exists without a record that has its hash. `replaced` are files
    of other names, which the old record describes.
    """
    said = folder / ".json"  # written before an old file is removed, in case the disk is full
    write_json(said, facts)
    for path in (*drafts, *replaced):
        path.unlink(missing_ok=True)
    said.replace(record)
    for path, draft in drafts.items():
        draft.replace(path)
    for place in {path.parent for path in (record, *drafts)}:
        sync_folder(place)
