# SPDX-License-Identifier: BSD-3-Clause
"""Tables of regions as a kind of data: the functions that `groupglm.spaces.registry` needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.messages import argument
from groupglm.runtime.array_archives import check_type
from groupglm.runtime.json_facts import Check, check_entries, is_flag, is_text, list_of
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry, report_unused_geometry
from groupglm.spaces.table.masking import RegionMasking, regions_inside
from groupglm.spaces.table.reading import open_rows, open_series, series_of_file
from groupglm.spaces.table.saving import save_table
from groupglm.spaces.table.series import FILE, said_by_series
from groupglm.spaces.table.space import RegionSpace
from groupglm.tabular.region_tables import RegionNames, is_table_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source
    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.table.source import RegionSource

__all__ = [
    "as_saved",
    "computed",
    "differs_from_background",
    "endings",
    "file_of",
    "foreign_space",
    "holds",
    "how_to_mark",
    "inside_mask",
    "is_one",
    "load_space",
    "masking",
    "open_inputs",
    "open_map",
    "refuse_models_elsewhere",
    "rename_contrast",
    "said_by_map",
    "save",
    "smooth_images",
    "tag",
    "target_of",
    "unit",
]

tag = RegionSpace.tag
unit = RegionSpace.unit
endings = (".tsv", ".csv")

_FACTS: dict[str, Check] = {
    "regions": list_of(is_text, unique=True),
    "zero_is_missing": is_flag,
}
_PREPARATION = {
    "target_affine": "regions have no place to resample to",
    "target_shape": "regions have no place to resample to",
    "smoothing_fwhm": "regions have no neighbours to smooth over",
}


def holds(given: object) -> bool:
    """Return whether an object is a table of regions, a Series of numbers, or a table's file."""
    if is_table_file(given):
        return True
    pandas = sys.modules.get("pandas")  # a table exists only if its caller has imported pandas
    if pandas is None:
        return False
    if isinstance(given, pandas.DataFrame):
        return True
    return isinstance(given, pandas.Series) and bool(
        pandas.api.types.is_any_real_numeric_dtype(given.dtype)
    )


def is_one(given: Any) -> bool:
    """Tell whether what was given by itself is the map of one subject: a Series."""
    return holds(given) and getattr(given, "ndim", 0) == 1


def file_of(given: Any) -> str | None:
    """Return the name of a table's file; None if it has none."""
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    file = given.attrs.get(FILE) if hasattr(given, "attrs") else None
    return file if isinstance(file, str) else None


def open_inputs(given: Any, *, argument: str, same_placement: bool, at_least: int) -> list[Source]:
    """Open the rows of a table, one a subject."""
    del same_placement  # all rows of a table have its regions
    return list[Any](open_rows(given, argument, at_least))


def masking(
    mask_img: Any,
    target_affine: Any,
    target_shape: Any,
    smoothing_fwhm: Any,
    *,
    zero_is_missing: bool,
    smoothing_overrides: bool = False,
    geometry: Geometry = NO_GEOMETRY,
) -> RegionMasking:
    """Return the mask; refuse to resample and to smooth."""
    del smoothing_overrides
    report_unused_geometry(geometry, unit)
    given = (target_affine, target_shape, smoothing_fwhm)
    for (name, why), value in zip(_PREPARATION.items(), given, strict=True):
        if value is not None and np.any(value):
            raise ArgumentError.about(
                name, argument(name) + f" is given, but {why}", "leave it out"
            )
    return RegionMasking(mask_img, zero_is_missing)


def smooth_images(given: Any, fwhm: Any, geometry: Geometry) -> Any:
    """Refuse to smooth."""
    del given, fwhm, geometry
    raise ArgumentError.about(
        "imgs",
        "regions have no neighbours, and cannot be smoothed",
        "smooth the images before their regions are averaged",
    )


def target_of(given: Any, name: str) -> NoReturn:
    """Refuse: regions have no place to which inputs could be resampled."""
    del given
    raise ValueError(f"{name}: regions have no place to resample to; leave it out")


def load_space(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> RegionSpace:
    """Make a space from what `RegionSpace.stored` returned."""
    check_entries(facts, _FACTS, "space")
    places = arrays["places"]
    check_type("places", places, "int64", 1)
    return RegionSpace(RegionNames(tuple(facts["regions"])), places, facts["zero_is_missing"])


def computed(name: str, compute: Callable[[], object], like: Source | None) -> RegionSource:
    """Return a row that is computed now: it takes no more memory than what would compute it."""
    del like
    return open_series(compute(), name)


def open_map(
    given: Any, name: str, geometry: Geometry = NO_GEOMETRY
) -> tuple[RegionSource, RegionSpace]:
    """Open one map of regions, with all of its regions."""
    report_unused_geometry(geometry, unit)
    source = open_series(given, name)
    return source, RegionSpace(source.table)


def inside_mask(everywhere: RegionSpace, mask: Any) -> NDArray[np.bool_] | None:
    """Find which regions of a map are inside a mask; None if there is none."""
    return None if mask is None else regions_inside(everywhere.table, mask)


def differs_from_background(
    everywhere: RegionSpace, values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return all regions: a table has no background."""
    del everywhere
    return np.ones(len(values), np.bool_)


def said_by_map(given: Any) -> tuple[Statistic | None, str | None]:
    """Return what a map says that its values are, and the contrast that it names."""
    if is_table_file(given):
        try:
            given = series_of_file(Path(given), "stat_img")
        except ArgumentError:  # it is no map, which is refused where one is wanted
            return None, None
    return said_by_series(given) if is_one(given) else (None, None)


def how_to_mark(statistic: str) -> str:
    """Return how a user marks a Series as z, t or F."""
    df = {"z": "()", "t": "(df,)", "F": "(df_numerator, df_residual)"}[statistic]
    return f'by series.attrs["groupglm_statistic"] = {{"kind": "{statistic}", "df": {df}}}'


def save(image: Any, path: Path) -> Path:
    """Save a map as a table, whole or not at all."""
    return save_table(image, path)


def as_saved(image: Any, path: Path) -> Any:
    """Return a saved map, which knows its file."""
    copied = image.copy()
    copied.attrs[FILE] = str(path)
    return copied


def rename_contrast(image: Any, name: str) -> None:
    """Change the name of the contrast in a map's name; a table of several maps has none."""
    if image.ndim > 1:
        return
    image.name = f"{str(image.name).partition(' of contrast ')[0]} of contrast {name}"


def foreign_space(mask: Any) -> RegionSpace:
    """Return the regions inside a map of a mask."""
    source = open_series(mask, "mask_img")
    return RegionSpace(source.table).restrict(regions_inside(source.table, mask))


def refuse_models_elsewhere(labels: Sequence[object], masks: Sequence[Any]) -> None:
    """Compare the regions of first-level models' masks."""
    sources = [None if mask is None else open_series(mask, "mask_img") for mask in masks]
    for label, source in zip(labels, sources, strict=True):
        if source is None or sources[0] is None:
            continue
        difference = source.difference(sources[0])
        if difference is not None:
            raise ArgumentError.about(
                "second_level_input",
                f"all first-level models must have the same regions, but model {label}: "
                f"{difference}",
                "fit them to the same regions",
            )
