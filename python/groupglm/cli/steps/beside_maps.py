# SPDX-License-Identifier: BSD-3-Clause
"""The maps that a model takes beside the effects: variances, weights, voxelwise covariates."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.volumes import are_volumes, images_of
from groupglm.cli.results.provenance import input_list_hash, text_hash
from groupglm.runtime.naming import counted, listed, slug
from groupglm.spaces.map_files import MapFiles
from groupglm.tabular.table_names import no_column_of

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.options.group_model import GroupModelOptions

__all__ = ["BesideMaps", "collect_beside_maps", "groups_of", "match_beside"]

_FOR_ALL = "complete them, or add --allow-partial"


@dataclass(frozen=True, eq=False)
class BesideMaps:
    """The maps beside the effects, each by subject.

    Parameters
    ----------
    variances, weights : dict of str to MapFiles, or None
        The map of each subject; None without any.
    covariates : dict of str to dict of str to MapFiles
        The maps of each covariate, by its name.
    """

    variances: Mapping[str, MapFiles] | None = None
    weights: Mapping[str, MapFiles] | None = None
    covariates: Mapping[str, Mapping[str, MapFiles]] = field(default_factory=dict)

    def named(self) -> Iterator[tuple[str, Mapping[str, MapFiles]]]:
        """Yield what the maps are, in words, with the maps."""
        if self.variances is not None:
            yield "variance", self.variances
        if self.weights is not None:
            yield "weight", self.weights
        for name, files in self.covariates.items():
            yield f"covariate {name!r}", files

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [path for _, maps in self.named() for own in maps.values() for path in own.paths]

    def of(self, labels: list[str]) -> BesideMaps:
        """Return the maps of some subjects, in their order."""

        def chosen(files: Mapping[str, MapFiles]) -> dict[str, MapFiles]:
            return {label: files[label] for label in labels}

        return BesideMaps(
            None if self.variances is None else chosen(self.variances),
            None if self.weights is None else chosen(self.weights),
            {name: chosen(files) for name, files in self.covariates.items()},
        )

    def facts_of_sidecars(self) -> dict[str, str]:
        """Return hashes of the lists of maps; a list of another kind is absent."""
        facts = {}
        if self.variances is not None:
            facts["VarianceListHash"] = input_list_hash(self.variances)
        if self.weights is not None:
            facts["WeightListHash"] = input_list_hash(self.weights)
        if self.covariates:
            hashes = {name: input_list_hash(files) for name, files in self.covariates.items()}
            facts["CovariateListHash"] = text_hash(json.dumps(hashes))
        return facts

    def facts(self) -> dict[str, Any]:
        """Return the maps for a program."""
        facts: dict[str, Any] = {}
        if self.variances is not None:
            facts["variances"] = _named(self.variances)
        if self.weights is not None:
            facts["weights"] = _named(self.weights)
        if self.covariates:
            facts["covariates"] = {name: _named(own) for name, own in self.covariates.items()}
        return facts

    def arguments(self) -> dict[str, Any]:
        """Return the maps as the fit of a model takes them."""
        arguments: dict[str, Any] = {}
        if self.variances is not None:
            arguments["variances"] = images_of(self.variances)
        if self.weights is not None:
            arguments["weights"] = images_of(self.weights)
        if self.covariates:
            arguments["covariates"] = {n: images_of(own) for n, own in self.covariates.items()}
        return arguments

    def pairs(self, maps: Mapping[str, MapFiles]) -> str:
        """Return, a line a subject, which maps belong together; empty if there are none beside."""
        columns = {"map": maps, **dict(self.named())}
        if len(columns) == 1:
            return ""
        names = _distinct([path for files in columns.values() for path in files.values()])
        lines = ["Maps that belong together:"]
        for label in maps:
            own = [f"{what} {names[files[label]]}" for what, files in columns.items()]
            lines.append(f"  {label}: {', '.join(own)}")
        return "\n".join(lines) + "\n"


def _named(files: Mapping[str, MapFiles]) -> dict[str, str | tuple[str, ...]]:
    return {label: own.named for label, own in files.items()}


def _distinct(maps: list[MapFiles]) -> dict[MapFiles, str]:
    """Return the names of files, or whole paths if two files have one name."""
    names = [files.name for files in maps]
    whole = len(set(names)) < len(names)
    return {files: str(files) if whole else files.name for files in maps}


def collect_beside_maps(
    options: GroupModelOptions,
    maps: tuple[str, ...],
    pattern: str | None,
    map_name: str | None,
    *,
    output: Path,
    by_visit: bool,
    warn: Callable[[str], object],
) -> BesideMaps:
    """Find the maps that the options name, or that columns of a table of maps name."""
    from groupglm.cli.options.maps import collect_beside, has_column, maps_of_column, table_of
    from groupglm.inputs.beside import COLUMNS

    def found(given: tuple[str, ...], option: str) -> dict[str, MapFiles]:
        return collect_beside(given, option, pattern, output=output, by_visit=by_visit, warn=warn)

    table = table_of(maps)
    chosen = f"{options.option} {options.model_name}"
    columns = {role: table is not None and has_column(table, COLUMNS[role]) for role in COLUMNS}
    for role, given in (("variance", options.variances), ("weight", options.weights)):
        if columns[role] and given:
            raise ValueError(
                f"the table of maps '{table}' has a column {COLUMNS[role]}, and --{role}s is given "
                "too; give one of the two"
            )
    if options.needs_variances and not (columns["variance"] or options.variances):
        raise ValueError(
            f"{chosen} weights each map by its variance; give "
            "the variance maps by --variances 'maps/*_variance*'"
            + (f", or in the table's column {COLUMNS['variance']}" if table else "")
        )
    if columns["variance"] and not options.needs_variances:
        warn(
            f"the column {COLUMNS['variance']} of the table of maps '{table}' has no effect: "
            f"{chosen} takes no variances; give {options.option} mixed (or fixed), or leave the "
            "column out"
        )
    if columns["weight"] and options.model_name != "ols":
        raise ValueError(
            f"the table of maps '{table}' has a column {COLUMNS['weight']}, but {chosen} weights "
            f"the maps itself; leave the column out, or give {options.option} ols"
        )

    def of(role: str, given: tuple[str, ...]) -> dict[str, MapFiles]:
        if table is not None and columns[role]:
            return maps_of_column(table, map_name, COLUMNS[role], by_visit=by_visit)
        return found(given, f"--{role}s")

    return BesideMaps(
        of("variance", options.variances) if options.needs_variances else None,
        of("weight", options.weights) if columns["weight"] or options.weights else None,
        {name: found((glob,), f"--covariate {name}") for name, glob in options.covariates},
    )


def match_beside(
    maps: dict[str, MapFiles], beside: BesideMaps, *, allow_partial: bool
) -> tuple[dict[str, MapFiles], tuple[str, ...]]:
    """Return the maps that have all maps beside them, and what was left out, in words."""
    from groupglm.inputs.opening_beside import refuse_other_maps
    from groupglm.runtime.paths import file_identity
    from groupglm.tabular.labels import near_labels, near_words

    told = []
    kept = dict(maps)
    effects = {file_identity(path): label for label, own in maps.items() for path in own.paths}
    for what, files in beside.named():
        for label, path in ((label, path) for label, own in files.items() for path in own.paths):
            if file_identity(path) in effects:
                raise ValueError(
                    f"'{path}' is given as the {what} map of subject {label} and as the map of "
                    f"subject {effects[file_identity(path)]}; give two files"
                )
        _check_alike(maps, files, what)
        without, alone = sorted(set(maps) - set(files)), sorted(set(files) - set(maps))
        near = near_words(near_labels(without, alone))
        if len(without) == len(maps):
            raise ValueError(
                f"no {what} map belongs to a map: maps are of subjects {listed(without)}; {what} "
                f"maps are of {listed(alone)}; check the labels, or give --subject-pattern{near}"
            )
        own = []
        if without:
            own.append(f"{counted(len(without), 'map')} without a {what} map: {listed(without)}")
        if alone:
            own.append(f"{counted(len(alone), f'{what} map')} without a map: {listed(alone)}")
        if own and not allow_partial:
            raise ValueError(f"{'; '.join(own)}; {_FOR_ALL}{near}")
        told += own
        kept = {label: path for label, path in kept.items() if label in files}
    if beside.variances is not None:  # before the long work, and in a dry run
        variances = [*beside.variances.values()]
        names = [[*map(os.fspath, each.paths)] for each in variances]
        refuse_other_maps(names, [each.as_path for each in variances])
    if not kept:
        raise ValueError(f"no subject has all of its maps: {'; '.join(told)}; complete them")
    return kept, tuple(told)


def _check_alike(maps: Mapping[str, MapFiles], files: Mapping[str, MapFiles], what: str) -> None:
    """Refuse volumes beside files of subjects, unless a table has named the volumes' subjects."""
    if are_volumes(files) != are_volumes(maps) and not set(files) & set(maps):
        one, other = ("maps", f"{what} maps") if are_volumes(maps) else (f"{what} maps", "maps")
        raise ValueError(
            f"the {one} are the volumes of one image, and the {other} are files of subjects; "
            "give both as one image, or both as files"
        )


def groups_of(column: str | None, participants: pd.DataFrame) -> dict[str, str] | None:
    """Return the variance group of each subject; None without a column of groups."""
    if column is None:
        return None
    if column not in participants.columns:
        known = ", ".join(repr(str(name)) for name in participants.columns)
        raise ValueError(
            f"--variance-groups {column!r} is {no_column_of(participants)}"
            + (f"; its columns are {known}" if known else ": give the table by --participants")
        )
    values = participants[column]
    absent = [str(label) for label in values.index[values.isna()]]
    if absent:
        raise ValueError(
            f"--variance-groups {column!r} has no value for {listed(absent)}; {_FOR_ALL}"
        )
    groups = {str(label): str(value) for label, value in values.items()}
    _check_group_labels(column, sorted(set(groups.values())))
    return groups


def _check_group_labels(column: str, labels: list[str]) -> None:
    """Refuse groups whose maps would have the same names of files, or none."""
    named: dict[str, str] = {}
    for label in labels:
        name = slug(label).lower()
        if not name:
            raise ValueError(
                f"--variance-groups {column!r} has the group {label!r}, which has no letter or "
                "digit to name its maps by; rename it"
            )
        if name in named:
            raise ValueError(
                f"--variance-groups {column!r}: the maps of the groups {named[name]!r} and "
                f"{label!r} would be written to the same files; rename one of them"
            )
        named[name] = label
