# SPDX-License-Identifier: BSD-3-Clause
"""The contents of a results folder for a page: model, contrasts, corrections, permutations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from groupglm.cli.options.corrections import Correction
from groupglm.cli.results.names import Contrast, read_json, sidecar
from groupglm.cli.results.records import check_described
from groupglm.cli.results.sameness import made_by, study_difference
from groupglm.cli.steps.further_results import further_in_sidecars
from groupglm.cli.steps.permutation_tests import test_on_page
from groupglm.inference.corrected_p.names import PREFIX
from groupglm.runtime.naming import slug
from groupglm.spaces.files import map_of
from groupglm.spaces.map_files import files_of_map

if TYPE_CHECKING:
    from groupglm.inference.confidence_sets.sets import ConfidenceSets
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.report import PermutationTest
    from groupglm.report.further_results import FurtherResults

__all__ = ["ModelFolder", "find_model"]

_ENDING = "_statmap.json"
_T = TypeVar("_T", int, bool)


def find_model(place: Path) -> Path:
    """Return the saved model in a folder of results."""
    if not place.is_dir():
        return place
    found = sorted(place.glob("*.groupglm"))
    if not found:
        raise ValueError(
            f"folder '{place}' holds no saved model (*.groupglm); fit it with --save-model, or "
            "give the file of a model"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"folder '{place}' holds several models: {names}; give one of the files")
    return found[0]


@dataclass(eq=False)
class ModelFolder:
    """The results beside a model, according to their sidecars.

    Parameters
    ----------
    contrasts : list of Contrast
        The contrasts, in the order of their names of files.
    corrections : list of Correction
        The corrections of the contrasts.
    permutations : dict of str to PermutationTest
        Permutation tests by the contrast's name.
    extents : dict of int to str
        Sizes of the smallest kept clusters in voxels, each with the first sidecar that has it.
    tails : dict of bool to str
        Whether both tails of t were tested, with the first sidecar that says so.
    read : list of pathlib.Path
        The maps of these results.
    smoothness : Smoothness or None
        The smoothness of the noise, if a sidecar tells it.
    sets : dict of str to tuple of ConfidenceSets
        Confidence sets by the contrast's name.
    further : FurtherResults or None
        What else is in the folder, for the paragraph on methods.
    """

    contrasts: list[Contrast] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    permutations: dict[str, PermutationTest] = field(default_factory=dict)
    extents: dict[int, str] = field(default_factory=dict)
    tails: dict[bool, str] = field(default_factory=dict)
    read: list[Path] = field(default_factory=list)
    smoothness: Smoothness | None = None
    sets: dict[str, tuple[ConfidenceSets, ...]] = field(default_factory=dict)
    further: FurtherResults | None = None

    @classmethod
    def of(cls, model: Path) -> ModelFolder:
        """Read the sidecars beside a model; sidecars of another study are left out."""
        from groupglm.inference.random_fields.map_field import smoothness_of_facts

        folder, every = cls(), []
        check_described(model)
        known = _facts_of(sidecar(model))
        if known is None:
            return folder
        tests: dict[str, dict[str, Any]] = {}
        sets: dict[tuple[str, str], dict[Path, dict[str, Any]]] = {}
        for path, facts in _records(model, known):
            every.append(facts)
            contrast = _contrast(facts["Contrast"])
            name = contrast.name
            if name not in [own.name for own in folder.contrasts]:
                folder.contrasts.append(contrast)
            if folder.smoothness is None:
                folder.smoothness = smoothness_of_facts(facts, path.name)
            folder._add_correction(contrast, facts.get("Correction"), path.name)
            if isinstance(facts.get("ConfidenceSet"), dict):
                sets.setdefault((name, str(facts["ConfidenceSet"])), {})[path] = facts
            kind = _permuted_kind(path)
            if kind and "Permutation" in facts and "NumberOfPermutations" in facts:
                own = tests.setdefault(name, {"facts": facts, "files": {}})
                own["files"][kind] = map_of(path)
                folder.read.append(map_of(path))
        folder._add_sets(sets)
        folder.further = further_in_sidecars(every)
        for name, own in tests.items():
            n_done, facts = own["facts"]["NumberOfPermutations"], own["facts"]["Permutation"]
            folder.permutations[name] = test_on_page(
                facts,
                n_done,
                own["files"],
                sign_flips=own["facts"].get("SignFlips"),
                assumption=own["facts"].get("Assumption"),
                is_bootstrap=bool(own["facts"].get("WildBootstrap")),
            )
        return folder

    def _add_correction(self, contrast: Contrast, found: Any, name: str) -> None:
        """Add the correction of a map; a page is about the whole mask, not about a small volume."""
        if not isinstance(found, dict) or found.get("SmallVolume"):
            return
        correction = Correction.of_facts(found)
        if correction not in self.corrections:
            self.corrections.append(correction)
        self.extents.setdefault(int(found.get("ClusterThreshold", 0)), name)
        if contrast.stat_type == "t":  # F has one tail, whatever was asked for
            self.tails.setdefault(bool(found.get("TwoSided", True)), name)

    def _add_sets(self, found: Mapping[tuple[str, str], Mapping[Path, dict[str, Any]]]) -> None:
        """Add the confidence sets of contrasts, whose sidecars are given by contrast and level."""
        for (name, _), of_files in found.items():
            made = _confidence_sets(of_files)
            if made is not None:
                self.sets[name] = (*self.sets.get(name, ()), made)
                self.read += map(map_of, of_files)

    def extent(self, given: int | None) -> int:
        """Return the voxels of the smallest cluster: as the user gave, else as in the folder."""
        return _agreed(given, self.extents, 0, "cluster threshold", "--cluster-threshold")

    def two_sided(self, given: bool | None) -> bool:
        """Return whether both tails are tested: as the user gave, else as in the folder."""
        return _agreed(given, self.tails, True, "two-sided", "--two-sided or --one-sided")

    def facts(self) -> dict[str, Any]:
        """Return the facts about the results beside the model, for the page's sidecar."""
        counts = {name: test.n_permutations for name, test in self.permutations.items()}
        return {
            "Contrasts": [contrast.facts() for contrast in self.contrasts],
            "Correct": [str(correction) for correction in self.corrections],
            "NumberOfPermutations": counts,
            **({"ConfidenceSets": self._facts_of_sets()} if self.sets else {}),
        }

    def _facts_of_sets(self) -> dict[str, Any]:
        return {name: [own.facts() for own in several] for name, several in self.sets.items()}


def _records(model: Path, known: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the sidecars of maps of the same study that are complete."""
    for path in sorted(model.parent.glob(f"*contrast-*{_ENDING}")):
        facts = _facts_of(path)
        if facts is None or made_by(facts) is None or not _is_there(map_of(path)):
            continue
        same_maps = facts.get("FirstLevel") == known.get("FirstLevel")
        if same_maps and "Contrast" in facts and study_difference(facts, known) is None:
            check_described(map_of(path))
            yield path, facts


def _confidence_sets(of_files: Mapping[Path, dict[str, Any]]) -> ConfidenceSets | None:
    """Return the confidence sets of a contrast and a level from their sidecars; None if any lacks.

    `of_files` has the facts of each file.
    """
    from groupglm.inference.confidence_sets.sets import SET_NAMES, ConfidenceSets, SetOptions

    files: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for path, facts in of_files.items():
        what = path.name.rpartition("_desc-")[2]
        name = next((own for own in SET_NAMES if what.startswith(own)), None)
        if name is not None:
            files[name], counts[name] = map_of(path), int(facts["NumberOfPlaces"])
    if set(files) != set(SET_NAMES):
        return None
    facts = next(iter(of_files.values()))
    own = facts["ConfidenceSet"]
    options = SetOptions.checked(
        own["Level"], own["Units"], own["Alpha"], own["NumberOfBootstraps"], own["Seed"]
    )
    return ConfidenceSets(
        files, float(facts["CriticalValue"]), options, int(facts["NumberOfBoundaryPoints"]), counts
    )


def _is_there(path: Path) -> bool:
    return files_of_map(path)[0].exists()


def _facts_of(record: Path) -> dict[str, Any] | None:
    """Return a sidecar's facts, or None without one; refuse a damaged one."""
    facts = read_json(record)
    if facts is None and record.exists():
        raise ValueError(
            f"the sidecar '{record}' is damaged, and what it is about would be left out of the "
            "page; move it away with its file, and fit again"
        )
    return facts


def _agreed(given: _T | None, found: Mapping[_T, str], default: _T, what: str, option: str) -> _T:
    """Return the user's value, else the one that all results share, else the default."""
    if given is not None:
        return given
    if len(found) > 1:
        said = "; ".join(f"{value} in {name}" for value, name in found.items())
        raise ValueError(
            f"the folder's results were thresholded in different ways ({what}: {said}), and a page "
            f"has one; give {option}"
        )
    return next(iter(found), default)


def _contrast(facts: Mapping[str, Any]) -> Contrast:
    name = str(facts["Name"])
    columns = [str(column) for column in facts["Columns"]]
    expression, null_value = str(facts["Expression"]), facts.get("NullValue", 0.0)
    return Contrast(name, expression, facts["Weights"], columns, slug(name), float(null_value))


def _permuted_kind(path: Path) -> str:
    """Return the kind of a map of corrected p: ``logp_max_size``; empty for another map."""
    _, found, kind = path.name.removesuffix(_ENDING).rpartition("_stat-logp_desc-max")
    if not found:
        return ""
    return PREFIX + (kind if kind == "F" else kind[:1].lower() + kind[1:])
