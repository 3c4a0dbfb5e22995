# SPDX-License-Identifier: BSD-3-Clause
"""The effects of a contrast at peaks, from the maps of a fit that lie beside its map of z or t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.cli.results.names import read_json, sidecar
from groupglm.cli.results.provenance import fingerprint
from groupglm.cli.results.records import check_described
from groupglm.cli.results.sameness import made_by, study_difference
from groupglm.spaces.map_files import files_of_map
from groupglm.spaces.statistic import OUTPUTS, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.spaces.base import Space

    Floats = NDArray[np.float64]

__all__ = ["EffectsBeside"]

_OF_D = ("cohen_d", "cohen_d_ci_low", "cohen_d_ci_high")


@dataclass(frozen=True)
class EffectsBeside:
    """The maps of a t contrast's effect beside its map of z or t.

    Parameters
    ----------
    stat_map : pathlib.Path
        The map of z or t.
    facts : mapping
        The facts of its sidecar.
    maps : mapping of str to pathlib.Path
        The maps of "effect" and "variance", and those of Cohen's d where they are there.
    """

    stat_map: Path
    facts: Mapping[str, Any]
    maps: Mapping[str, Path]

    @classmethod
    def of(cls, stat_map: Path) -> EffectsBeside | None:
        """Find the maps; None unless they are of the same contrast and fit, by their sidecars."""
        facts = read_json(sidecar(stat_map)) or {}
        if facts.get("StatType") != "t" or facts.get("Values") not in ("z", "t"):
            return None
        maps = {
            name: path
            for name in ("effect", "variance")
            if (path := _beside(stat_map, name, facts)) is not None
        }
        if len(maps) < 2:
            return None
        of_d = {name: _beside(stat_map, OUTPUTS[name], facts) for name in _OF_D}
        if all(of_d.values()):
            maps |= {name: path for name, path in of_d.items() if path is not None}
        return cls(stat_map, facts, maps)

    @property
    def has_cohen_d(self) -> bool:
        """Whether maps of Cohen's d are there."""
        return _OF_D[0] in self.maps

    @property
    def files(self) -> list[Path]:
        """The files of all maps."""
        return [own for path in self.maps.values() for own in files_of_map(path)]

    def hashes(self) -> dict[str, Any]:
        """Return name and hash of each map."""
        return {name: fingerprint(path) for name, path in self.maps.items()}

    def add_to(self, found: FoundClusters) -> FoundClusters:
        """Add the columns of effects to a table of clusters, or of places."""
        from groupglm.inference.column_meanings import EFFECT_COLUMNS
        from groupglm.inference.effect_columns import with_effects

        rows = {name: _values(path, found.space)[found.places] for name, path in self.maps.items()}
        half = self._half_widths(rows.pop("variance"), found)
        effect = rows.pop("effect")
        columns = {
            "effect": effect,
            "effect_ci_low": effect - half,
            "effect_ci_high": effect + half,
            **rows,
        }
        return with_effects(found, {EFFECT_COLUMNS[name]: own for name, own in columns.items()})

    def _half_widths(self, variance: Floats, found: FoundClusters) -> Floats:
        """Return half of the width of the interval of each effect; NaN where nothing varies."""
        import numpy as np
        from scipy import special

        from groupglm.inference.effect_columns import CONFIDENCE
        from groupglm.inference.map_scale import DegreesMap

        degrees = self.facts.get("DegreesOfFreedom")
        given = degrees.get("Residual") if isinstance(degrees, dict) else None
        of_places = DegreesMap.of_sidecar(self.stat_map, "t", self.facts)
        df: Any = np.inf if given == "inf" else number_of(given)
        if of_places is not None:
            df = of_places.read(found.space)[found.places]
        elif isinstance(degrees, dict) and "ResidualMinimum" in degrees:
            df = np.nan  # they differ by place, and their map is gone
        level = 0.5 + 0.5 * CONFIDENCE
        known = np.where(np.asarray(df) > 0, df, np.nan)
        quantile = np.where(np.isinf(known), special.ndtri(level), special.stdtrit(known, level))
        half: Floats = quantile * np.sqrt(np.where(variance > 0, variance, np.nan))
        return half


def _beside(stat_map: Path, kind: str, facts: Mapping[str, Any]) -> Path | None:
    """Return the map of a kind of the same contrast and fit; None if it is not there."""
    head, stat, rest = stat_map.name.partition("_stat-")
    _, named, ending = rest.partition("_statmap")
    if not (stat and named):
        return None
    path = stat_map.with_name(f"{head}{stat}{kind}{named}{ending}")
    own = read_json(sidecar(path)) or {}
    same = (
        made_by(own) is not None
        and own.get("Values") == kind
        and own.get("Contrast") == facts.get("Contrast")
        and own.get("FirstLevel") == facts.get("FirstLevel")
        and study_difference(own, facts) is None
    )
    if not same or not all(file.is_file() for file in files_of_map(path)):
        return None
    check_described(path)
    return path


def _values(path: Path, space: Space) -> Floats:
    """Return the values of a map at the places of a space, shape (n_values,)."""
    import numpy as np

    from groupglm.spaces.registry import kind_of

    source, _ = kind_of(path).open_map(path, path.name)
    difference = source.difference(space)
    if difference is not None:
        raise ValueError(
            f"'{path}' is not on the {space.placement_word} of the map of z beside it: "
            f"{difference}; write both anew"
        )
    row = np.empty(space.n_values)
    space.read_stored(source, row)
    return row
