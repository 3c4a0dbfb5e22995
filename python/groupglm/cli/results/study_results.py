# SPDX-License-Identifier: BSD-3-Clause
"""The results of a study in their folder: maps, tables, page and model, each with its sidecar."""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.results.names import (
    OF_CONTRAST,
    OF_GROUPS,
    Contrast,
    Names,
    name_contrast,
    plain,
    write_table,
)
from groupglm.cli.results.records import Target, publishing
from groupglm.cli.results.sameness import difference, made_by, study_difference
from groupglm.runtime.sidecars import read_json
from groupglm.spaces.files import sidecar
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.spaces.images import Image

__all__ = ["Outputs", "is_of_study"]

_KINDS = {"effect": "effect_size", "variance": "effect_variance", "z": "z_score", "p": "p_value"}
_TABULATED = ("clusters", "regions")
_MEANING = {
    "effect": "effect size, in the units of the maps",
    "variance": "variance of the effect, or for F the residual variance",
    "t": "t statistic",
    "F": "F statistic",
    "z": "z score with the same upper tail as the statistic",
    "p": "p value, not corrected; one-sided for t",
}


def _map_of(maps: Any, name: str) -> Any:
    """Return a map; the effects of an F contrast of regions are a table with a column for each."""
    return maps[name] if name in maps else maps.filter(regex=rf"^{name}_\d+$")


@dataclass(frozen=True, eq=False)
class Outputs:
    """The folder of a study's results.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of the results.
    facts : mapping
        The facts about design, inputs, settings and software in all sidecars.
    names : Names
        The names of the files.
    groups : tuple of str
        The labels of groups that have variances of their own.
    geometry : Geometry
        The meshes of the maps.
    """

    folder: Path
    facts: Mapping[str, Any]
    names: Names
    groups: tuple[str, ...] = ()
    geometry: Geometry = NO_GEOMETRY
    _kept: dict[Path, Image] = field(default_factory=dict)

    def image(self, path: Path) -> Image | Path:
        """Return an image of this run as it is in the file, if it was kept; else its path."""
        return self._kept.get(path, path)

    @property
    def mask(self) -> Path:
        """The mask of the fit."""
        return self.folder / self.names.mask

    def contrast_path(self, contrast: Contrast, ending: str) -> Path:
        """Return a file of a contrast, such as the one that ends in ``_permutations.npz``."""
        return self._path(contrast.label, ending)

    def _path(self, label: str, ending: str) -> Path:
        return self.folder / f"{self.names.prefix}contrast-{label}_{ending}"

    def permutation_tables(self, label: str) -> dict[str, Path]:
        """Return the table of a permutation test by what it is of: clusters, or regions."""
        return {what: self._path(label, f"desc-permutation_{what}.tsv") for what in _TABULATED}

    def permutation_state(self, label: str) -> Path:
        """Return the file from which the permutations of a contrast continue."""
        return self._path(label, "permutations.npz")

    def image_path(self, contrast: Contrast, kind: str) -> Path:
        """Return the file of one map of a contrast."""
        return self.contrast_path(contrast, f"stat-{kind}_statmap{self.names.ending}")

    def degrees_path(self, contrast: Contrast) -> Path:
        """Return the file of a contrast's own degrees of freedom, which some models have."""
        return self.image_path(contrast, "dof")

    @property
    def shared_paths(self) -> list[Path]:
        """The files that all contrasts share; a study may lack some of them."""
        names = self.names
        counts = (names.df_residual, names.n_zeros, names.n_observations)
        shared = [self.folder / name for name in (names.design, names.mask, *counts)]
        return [*shared, *self.fit_maps.values(), *self.maps_of_other_groups]

    @property
    def fit_maps(self) -> dict[str, Path]:
        """The maps of the whole fit that some models have, by name."""
        return {name: self.folder / file for name, file in self.names.fit_maps(self.groups).items()}

    @property
    def maps_of_other_groups(self) -> list[Path]:
        """The maps of variance groups that an earlier fit left, and this one does not have."""
        wanted = set(self.fit_maps.values())
        stem, ending = glob.escape(self.names.stem), self.names.ending
        found = [
            path
            for own in OF_GROUPS.values()
            for path in sorted(self.folder.glob(f"{stem}stat-{own}_desc-*_statmap{ending}"))
        ]
        ours = (path for path in found if is_of_study(read_json(sidecar(path)) or {}))
        return [path for path in ours if path not in wanted]

    def paths(self, contrast: Contrast) -> dict[str, Path]:
        """Return the files of a contrast's maps by kind."""
        kinds = ("effect", "variance", contrast.stat_type, "z", "p")
        return {kind: self.image_path(contrast, kind) for kind in kinds}

    def records(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the sidecars of this program for these maps, with their content.

        Maps of other first-level contrasts have results, a mask and a design matrix of their own.
        """
        whole = [sidecar(self.folder / name) for name in (self.names.model, *self.names.pages)]
        maps = sorted(self.folder.glob(f"{self.names.prefix}contrast-*_statmap.json"))
        for path in (*maps, *whole):
            found = read_json(path) or {}
            if is_of_study(found) and found.get("FirstLevel") == plain(self.facts).get(
                "FirstLevel"
            ):
                yield path, found

    def check_same_study(self) -> None:
        """Refuse a folder with results of other maps, another design or other settings."""
        for path, found in self.records():
            told = study_difference(found, plain(self.facts))
            if told:
                raise ValueError(
                    f"{self.names.option} '{self.folder}' holds results made {told}: "
                    f"{path.name}; give another folder, or add --overwrite to replace them"
                )

    def are_done(
        self,
        what: str,
        paths: Collection[Path],
        facts: Mapping[str, Any],
        *,
        overwrite: bool = False,
    ) -> bool:
        """Return whether files exist and are made from the same input; other files are an error."""
        if overwrite:
            return False
        told = (self._told(path, facts) for path in paths)
        other = next(filter(None, told), None)
        if other:
            raise ValueError(
                f"{self.names.option} '{self.folder}' holds {what} made {other}; add --overwrite "
                "to replace them, or give another folder"
            )
        return all(self.is_done(path, facts) for path in paths)

    def is_done(self, path: Path, facts: Mapping[str, Any]) -> bool:
        """Return whether a file exists, is whole, and is made from the same input."""
        return Target.of(path).found() is not None and self._told(path, facts) is None

    def _told(self, path: Path, facts: Mapping[str, Any]) -> str | None:
        """Return how the sidecar's facts differ from the wanted ones, in words, or None."""
        found = read_json(sidecar(path))
        return None if found is None else difference(found, plain({**facts, **self.facts}))

    def write(
        self, contrast: Contrast, maps: Mapping[str, Image], facts: Mapping[str, Any]
    ) -> dict[str, Path]:
        """Write a contrast's maps."""
        paths = self.paths(contrast)
        for kind, path in paths.items():
            image = _map_of(maps, _KINDS.get(kind, "stat"))
            name_contrast(image, contrast)
            said = {"Description": _MEANING[kind], "Values": kind, **facts}
            self.write_image(image, path, said, keep=kind == "z")
        return paths

    def said(self, contrast: Contrast) -> dict[str, Any]:
        """Return the facts about a contrast in the sidecar of its z map."""
        found = read_json(sidecar(self.image_path(contrast, "z"))) or {}
        return {key: found[key] for key in OF_CONTRAST if key in found}

    def write_image(
        self, image: Image, path: Path, facts: Mapping[str, Any], *, keep: bool = False
    ) -> None:
        """Write an image and its sidecar; keep the image too, if `image` will be asked for it."""
        from groupglm.spaces.registry import kind_of

        kind = kind_of(image)
        with self.described(path, facts) as draft:
            kind.save(image, draft)
        if keep:
            self._kept[path] = kind.as_saved(image, path)

    def write_table(
        self, table: pd.DataFrame, path: Path, facts: Mapping[str, Any], *, index: bool = False
    ) -> None:
        """Write a table and its sidecar; `facts` may describe columns, as in BIDS."""
        with self.described(path, facts) as draft:
            write_table(draft, table, index=index)

    @contextmanager
    def described(self, path: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
        """Write a file as a draft, then publish it with its sidecar."""
        with publishing(Target.of(path), {**facts, **self.facts}) as draft:
            yield draft

    @staticmethod
    def remove(path: Path) -> None:
        """Remove a file and its sidecar, if they are there."""
        Target.of(path).remove()


def is_of_study(facts: Mapping[str, Any]) -> bool:
    """Return whether a sidecar is that of a result of a study."""
    return "DesignHash" in facts and made_by(facts) is not None
