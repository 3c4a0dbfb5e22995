# SPDX-License-Identifier: BSD-3-Clause
"""The kind of a given map, and its z-scores; the kind is never guessed from the values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.errors import GridMismatchError, ImageError, in_quotes, warn_caller
from groupglm.messages import arguments, either
from groupglm.runtime.naming import counted
from groupglm.runtime.sidecars import describes, read_json
from groupglm.spaces.files import sidecar
from groupglm.spaces.map_files import files_of_map
from groupglm.spaces.registry import kind_of, kind_of_tag
from groupglm.spaces.statistic import Statistic, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["DegreesMap", "MapScale", "has_one_tail", "known_scale", "z_of_statistic"]


@dataclass(frozen=True)
class DegreesMap:
    """Degrees of freedom of a t or F statistic that differ between voxels.

    Parameters
    ----------
    path : pathlib.Path
        The map of the residual degrees of freedom.
    numerator : float or None
        Numerator degrees of freedom of F; None for t.
    """

    path: Path
    numerator: float | None

    @classmethod
    def of_sidecar(cls, path: Path, kind: str, facts: Mapping[str, Any]) -> DegreesMap | None:
        """Find the map that a sidecar names beside its own map; None if it names none."""
        degrees = facts.get("DegreesOfFreedom")
        degrees = degrees if isinstance(degrees, dict) else {}
        name = degrees.get("ResidualMap")
        # A file name, not a path to another place.
        if not isinstance(name, str) or not name.endswith(kind_of(path).endings):
            return None
        if "/" in name or "\\" in name or kind not in ("t", "F"):
            return None
        numerator = None if kind == "t" else number_of(degrees.get("Numerator"))
        if numerator is not None and not (math.isfinite(numerator) and numerator > 0):
            return None
        return cls(path.with_name(name), numerator) if _is_there(path.with_name(name)) else None

    def read(self, space: Space) -> NDArray[np.float64]:
        """Read the residual degrees of freedom at the voxels of a space, shape (n_values,)."""
        source, _ = kind_of(self.path).open_map(self.path, self.path.name)
        difference = source.difference(space)
        if difference is not None:
            raise GridMismatchError(
                f"{self.path.name}: the degrees of freedom are not on the {space.placement_word} "
                f"of the map: {difference}; write both anew"
            )
        values = np.empty(space.n_values, source.dtype)
        space.read_stored(source, values)
        return values.astype(np.float64)

    def z_scores(self, name: str, values: NDArray[np.float64], space: Space) -> NDArray[np.float64]:
        """Return the z-scores of a map's values, each by the degrees of freedom of its voxel."""
        degrees = self.read(space)
        tested = ~np.isnan(values)
        wrong = int(np.count_nonzero(~(degrees[tested] > 0)))
        if wrong:
            raise ImageError(
                f"{name}: {counted(wrong, *space.place_words)} with a statistic "
                f"{'has' if wrong == 1 else 'have'} no degrees of freedom in {self.path.name}; "
                "write both anew"
            )
        return _z_scores(values, self.numerator, degrees)


@dataclass(frozen=True)
class MapScale:
    """The kind of a map, and the source of this fact.

    Parameters
    ----------
    statistic : Statistic
        The kind of values.
    source : str
        The source: ``its sidecar age.json``, ``its header``, ``its name``.
    conflict : str or None
        The statement of another source that disagrees; None if they agree.
    beside : str or None
        The file of the same contrast's z-scores, if there is one.
    contrast : str or None
        The contrast's name, if the header has it.
    degrees : DegreesMap or None
        The map of degrees of freedom that differ between voxels.
    thresholded_by : str or None
        The sidecar, if it says that only what survives a threshold is left of the map.
    """

    statistic: Statistic
    source: str
    conflict: str | None = None
    beside: str | None = None
    contrast: str | None = None
    degrees: DegreesMap | None = None
    thresholded_by: str | None = None

    @property
    def words(self) -> str:
        """The map's kind and the source of this fact, in words."""
        return f"a map of {self.statistic.words} ({self.source} says so)"

    def refuse(self, name: str, remedy: str) -> ImageError:
        """Return the error for a map that cannot be converted to z-scores."""
        z_map = (
            f"give the map of z-scores beside it, {self.beside}"
            if self.beside
            else "give the map of z-scores" + either(" (output_type='z_score')", "")
        )
        return ImageError(
            f"{name}: this is {self.words}, but z-scores are needed; " + remedy + z_map
        )


def known_scale(image: Any, *, described: bool = False) -> MapScale | None:
    """Return what a map holds according to its sidecar, its header or its name, in this order."""
    kind_of_data = kind_of(image)
    file = kind_of_data.file_of(image)
    path = None if file is None else Path(file)
    of_header, contrast = kind_of_data.said_by_map(image)
    facts = None if path is None else read_json(sidecar(path))
    if path and facts is not None and not described and describes(facts, path) is False:
        warn_caller(
            f"{in_quotes(path)} is not the file that its sidecar {sidecar(path).name} describes "
            "(changed "
            "since, or damaged); the sidecar is not used: remove it"
        )
        facts = None
    said: list[tuple[str, Statistic]] = []
    if path is not None and facts is not None:
        of_sidecar = Statistic.of_sidecar(facts)
        said += [] if of_sidecar is None else [(f"its sidecar {sidecar(path).name}", of_sidecar)]
    said += [] if of_header is None else [("its header", of_header)]
    of_name = None if path is None else Statistic.of_name(path.name)
    said += [] if of_name is None else [("its name", of_name)]
    if not said:
        return None
    scale = _joined(said, facts or {}, None if path is None else _z_map_beside(path))
    kind = scale.statistic.kind
    degrees = None if path is None else DegreesMap.of_sidecar(path, kind, facts or {})
    is_thresholded = facts is not None and (
        "Threshold" in facts or isinstance(facts.get("Correction"), dict)
    )
    by = sidecar(path).name if path is not None and is_thresholded else None
    return replace(scale, contrast=contrast, degrees=degrees, thresholded_by=by)


def has_one_tail(image: Any, *, described: bool = False) -> bool:
    """Return whether a map is known to be of F or of the z of F: only large values are evidence."""
    scale = known_scale(image, described=described)
    return scale is not None and (scale.statistic.has_one_tail)


def _joined(
    said: list[tuple[str, Statistic]], facts: dict[str, Any], beside: str | None
) -> MapScale:
    """Join the facts about one map."""
    source, first = said[0]
    others = [(where, other) for where, other in said if not first.agrees(other)]
    conflict = f"{others[0][0]} says {others[0][1].words}" if others else None
    same = [other for _, other in said if first.agrees(other)]
    specific = next((other for other in same if other.kind not in ("stat", "estimate")), first)
    df = next((other.df for other in same if other.df and other.kind == specific.kind), ())
    degrees = facts.get("DegreesOfFreedom")
    if isinstance(degrees, dict) and "ResidualMinimum" in degrees:
        df = ()
    of_f = any(other.of_f for other in same) or facts.get("StatType") == "F"
    is_z, one_tail = specific.kind == "z", any(other.one_tail for other in same)
    found = Statistic(specific.kind, df, of_f and is_z, one_tail and is_z)
    return MapScale(found, source, conflict, beside)


def z_of_statistic(
    name: str, values: NDArray[np.float64], scale: MapScale, space: Space
) -> tuple[NDArray[np.float64], Statistic]:
    """Return the z-scores of a map's values.

    Shapes: `values` (n_values,); returns `z` (n_values,).
    """
    statistic = scale.statistic
    if scale.conflict is not None:
        how = kind_of_tag(space.tag).how_to_mark("z")
        raise ImageError(
            f"{name}: {scale.source} says that this is a map of {statistic.words}, but "
            f"{scale.conflict}; correct the one that is wrong"
            + (f" (a header {how})" if how else "")
        )
    if statistic.kind == "z":
        return values, statistic
    if statistic.kind in ("t", "F"):
        return _converted(name, values, scale, space)
    remedy = ""
    if statistic.kind == "logp":
        remedy = (
            "to keep where p is at most 0.05 give "
            + arguments(threshold="1.301", height_control="None")
            + ", and to threshold by an error rate "
        )
    raise scale.refuse(name, remedy)


def _converted(
    name: str, values: NDArray[np.float64], scale: MapScale, space: Space
) -> tuple[NDArray[np.float64], Statistic]:
    letter, df = scale.statistic.kind, scale.statistic.df
    if scale.degrees is not None:
        z = scale.degrees.z_scores(name, values, space)
    elif df:
        z = _z_scores(values, df[0] if letter == "F" else None, df[-1])
    else:
        one, _ = space.place_words
        how = kind_of_tag(space.tag).how_to_mark(letter)
        raise scale.refuse(
            name,
            "its degrees of freedom are said neither by its sidecar nor by its header, or differ "
            f"from {one} to {one} without a map of them beside it; "
            + (f"write them {how}, or " if how else ""),
        )
    by_map = (
        "" if scale.degrees is None else f" by the degrees of freedom of {scale.degrees.path.name}"
    )
    warn_caller(
        f"{name}: this is {scale.words}; it was converted to z-scores{by_map}"
        + (", which have one tail" if letter == "F" else "")
    )
    return z, Statistic("z", of_f=letter == "F")


def _z_scores(
    values: NDArray[np.float64], numerator: float | None, df: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the z-scores of t, or of F if it has a numerator; df is one number or one a value."""
    row = np.ascontiguousarray(values, dtype=np.float64)
    if numerator is None:
        return _core.t_z_scores(row, df, 1)
    return _core.f_z_scores(row, numerator, df, 1)


def _z_map_beside(path: Path) -> str | None:
    """Return the name of the map of z-scores of the same contrast, if it is there."""
    head, stat, rest = path.name.partition("_stat-")
    tail = rest[len(rest.split("_", 1)[0]) :]
    name = f"{head}{stat}z{tail}"
    return name if stat and name != path.name and _is_there(path.with_name(name)) else None


def _is_there(path: Path) -> bool:
    return files_of_map(path)[0].is_file()
