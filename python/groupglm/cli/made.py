# SPDX-License-Identifier: BSD-3-Clause
"""A file that a command makes of another: its sidecar tells whether it is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from groupglm.cli.outputs import OF_CONTRAST, plain, read_json, sidecar, write_json
from groupglm.cli.provenance import fingerprint, software_versions
from groupglm.cli.sameness import made_by

__all__ = ["Made"]

_CARRIED = (
    *OF_CONTRAST, "DesignHash", "InputListHash", "NumberOfSubjects", "FirstLevel", "Settings",
    "Permutation", "NumberOfPermutations",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Made:
    """A file that is made of another, and what its sidecar says of that.

    Parameters
    ----------
    output : pathlib.Path
        The file.
    source : pathlib.Path
        What it is made of.
    options : mapping
        All that changes it.
    """

    output: Path
    source: Path
    options: Mapping[str, Any]

    @property
    def sidecar(self) -> Path:
        """The JSON file; that of a table or page does not take the place of a map's."""
        if self.output.name.lower().endswith((".nii", ".nii.gz")):
            return sidecar(self.output)
        return self.output.with_name(f"{self.output.name}.json")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What makes it this file and no other, and what is known of its source."""
        known = read_json(sidecar(self.source)) or {}
        return {
            **{key: known[key] for key in _CARRIED if key in known},
            "Input": fingerprint(self.source),
            "Options": dict(self.options),
            "SoftwareVersions": software_versions(),
        }

    def check(self, *, overwrite: bool, suffixes: tuple[str, ...]) -> dict[str, Any] | None:
        """Tell whether the file is there already, before anything long begins.

        Parameters
        ----------
        overwrite : bool
            Whether it is redone whatever is there.
        suffixes : tuple of str
            How its name may end.

        Returns
        -------
        dict or None
            Its sidecar, if it was made of the same with the same options; else it is to be made.

        Raises
        ------
        ValueError
            If it may not be written.
        """
        if not self.output.name.lower().endswith(suffixes):
            raise ValueError(f"--output '{self.output}' must end in {' or '.join(suffixes)}")
        if overwrite or not self.output.exists():
            return None
        found = read_json(self.sidecar)
        wanted = plain(self.facts)
        same = found is not None and all(found.get(k) == wanted[k] for k in ("Input", "Options"))
        if found is None or not same or made_by(found) != made_by(wanted):
            raise ValueError(
                f"--output '{self.output}' exists already; add --overwrite to replace it"
            )
        return found

    @contextmanager
    def writing(self, facts: Mapping[str, Any]) -> Iterator[None]:
        """Write its sidecar once it is written."""
        said = {**facts, **self.facts}  # now: the file may be written over its source
        self.sidecar.unlink(missing_ok=True)
        yield
        write_json(self.sidecar, said)

    def skipped(self) -> str:
        """Say that there is nothing to do."""
        return (
            f"{self.output}: skipped, it is there already, made of the same with the same options "
            "(--overwrite redoes it)"
        )
