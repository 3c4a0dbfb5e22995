# SPDX-License-Identifier: BSD-3-Clause
"""A file that a command makes from another file: its sidecar tells whether it exists already."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.results.claims import claimed
from groupglm.cli.results.names import OF_CONTRAST, plain
from groupglm.cli.results.provenance import fingerprint, software_versions
from groupglm.cli.results.records import Target, check_described, publishing
from groupglm.cli.results.sameness import made_by
from groupglm.runtime.sidecars import read_json
from groupglm.runtime.writing import write_whole
from groupglm.spaces.files import sidecar
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from groupglm.report.methods import Methods

__all__ = ["Made", "contrast_of"]

_CARRIED = (
    *OF_CONTRAST, "DesignHash", "InputListHash", "VarianceListHash", "WeightListHash",
    "CovariateListHash", "NumberOfSubjects", "FirstLevel", "Settings",
    "Permutation", "NumberOfPermutations",
)  # fmt: skip


def contrast_of(path: Path) -> str:
    """Return the name of the contrast of a map, by its sidecar; else the name of the file."""
    own = (read_json(sidecar(path)) or {}).get("Contrast")
    return str(own["Name"]) if isinstance(own, dict) and own.get("Name") else path.name


@dataclass(frozen=True, eq=False)
class Made:
    """A file that is made from another file, and the facts in its sidecar.

    Parameters
    ----------
    output : pathlib.Path
        The file.
    source : pathlib.Path
        The file that it is made from.
    options : mapping
        The options that change it.
    others : tuple of pathlib.Path
        Further files that it is made from. Its sidecar then has the facts that all of them share.
    has_methods : bool
        Whether a paragraph on methods and its references lie beside it: ``NAME_methods.md`` and
        ``NAME_methods.bib``.
    """

    output: Path
    source: Path
    options: Mapping[str, Any]
    others: tuple[Path, ...] = ()
    has_methods: bool = False

    @property
    def methods(self) -> tuple[Target, ...]:
        """The files of the paragraph on methods, and of its references; none without one."""
        if not self.has_methods:
            return ()
        endings = sorted(self.map_endings, key=len, reverse=True)
        name = self.output.name
        ending = next((own for own in endings if name.lower().endswith(own)), "")
        stem = name[: len(name) - len(ending)]
        return tuple(
            Target.of(self.output.with_name(f"{stem}_methods.{own}")) for own in ("md", "bib")
        )

    @property
    def target(self) -> Target:
        """The file and its sidecar; a table's or page's has another name than a map's."""
        if self._is_map:
            return Target.of(self.output)
        return Target(self.output, self.output.with_name(f"{self.output.name}.json"))

    @property
    def map_endings(self) -> tuple[str, ...]:
        """Endings that the name of a map made from the source may have."""
        return tuple(sorted(kind_of(self.source).endings))

    @property
    def _is_map(self) -> bool:
        return self.output.name.lower().endswith(self.map_endings)

    @cached_property
    def _inputs(self) -> list[dict[str, str]]:
        """Name and hash of each source, which is read for them only once."""
        return [fingerprint(source) for source in (self.source, *self.others)]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts that identify this file, and those of its source."""
        known = [read_json(sidecar(source)) or {} for source in (self.source, *self.others)]
        first = known[0]
        shared = [key for key in first if all(own.get(key) == first[key] for own in known)]
        return {
            **{key: first[key] for key in _CARRIED if key in shared},
            "Input": self._inputs if self.others else self._inputs[0],
            "Options": dict(self.options),
            "SoftwareVersions": software_versions(),
        }

    @contextmanager
    def claimed(self, *, suffixes: tuple[str, ...], read: Collection[Path] = ()) -> Iterator[None]:
        """Hold the place of the file, before the long work."""
        if not self.output.name.lower().endswith(suffixes):
            raise ValueError(f"--output '{self.output}' must end in {' or '.join(suffixes)}")
        with claimed(
            self.output.parent,
            [self.target, *self.methods],
            [self.source, *self.others, *read],
            lock=self.output.name,
            option="--output",
            named=self.output,
        ):
            for source, own in zip((self.source, *self.others), self._inputs, strict=True):
                check_described(source, digest=own["Hash"])
            yield

    def found(self, *, overwrite: bool) -> dict[str, Any] | None:
        """Return the facts of the file if it exists already, from the same input and options."""
        if not self.target.there:
            return None
        found = self.target.found()
        if self._is_map and found is not None and "Options" not in found:
            raise ValueError(
                f"--output '{self.output}' is a map of a fit, which nothing made of a map may "
                "replace, also with --overwrite; give another name"
            )
        if overwrite:
            return None
        wanted = plain(self.facts)
        same = found is not None and all(found.get(k) == wanted[k] for k in ("Input", "Options"))
        if found is None or not same or made_by(found) != made_by(wanted):
            raise ValueError(
                f"--output '{self.output}' exists already; add --overwrite to replace it"
            )
        return found if all(own.found() for own in self.methods) else None

    def writing(self, facts: Mapping[str, Any]) -> AbstractContextManager[Path]:
        """Write the file as a draft, then publish it with its sidecar."""
        return publishing(self.target, {**facts, **self.facts})

    def write_methods(self, methods: Methods) -> None:
        """Write the paragraph on methods and its references beside the file."""
        told = ("Paragraph on methods, for a paper", "Its references, as BibTeX")
        texts = (methods.markdown, methods.bibtex)
        for target, about, text in zip(self.methods, told, texts, strict=True):
            with publishing(target, {"Description": about, **self.facts}) as draft:
                write_whole(draft, text.encode())

    def skipped(self) -> str:
        """Return a line that says that there is nothing to do."""
        return (
            f"{self.output}: skipped, it is there already, made of the same with the same options "
            "(--overwrite redoes it)"
        )
