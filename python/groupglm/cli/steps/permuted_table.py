# SPDX-License-Identifier: BSD-3-Clause
"""The table of a permutation test: clusters and peaks with their corrected p."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.cli.results.names import read_json, sidecar
from groupglm.inference.column_meanings import described
from groupglm.runtime.rounding import rounded
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from groupglm.atlases.atlas import Atlas
    from groupglm.cli.results.names import Contrast
    from groupglm.cli.results.study_results import Outputs
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.spaces.base import Space

__all__ = ["NO_MESH", "has_table", "is_tabulated", "table_path", "write_permuted_table"]

NO_MESH = "not tabulated: which places are neighbours is not known"

_ALPHA = 0.05
_MIN_DISTANCE = 8.0  # mm


def table_path(outputs: Outputs, contrast: Contrast) -> Path:
    """Return the file of the table of clusters, or of regions."""
    is_of_regions = kind_of(outputs.image_path(contrast, "z")).unit == "regions"
    what = "regions" if is_of_regions else "clusters"
    return outputs.permutation_tables(contrast.label)[what]


def has_table(paths: Iterable[Path]) -> bool:
    """Return whether a test whose maps are in files has a table too, as far as they say."""
    return all((read_json(sidecar(path)) or {}).get("Clusters") != NO_MESH for path in paths)


def is_tabulated(space: Space) -> bool:
    """Return whether a space has clusters, or regions, that a table can be of."""
    return space.has_neighbours or space.measure_unit == "regions"


def write_permuted_table(
    group: FittedGroup,
    contrast: Contrast,
    images: Mapping[str, Any],
    outputs: Outputs,
    said: Mapping[str, Any],
    *,
    two_sided: bool,
    atlas: Atlas | None,
    intervals: bool,
) -> Path:
    """Write the table of the clusters that the test formed, or of places with p < 0.05.

    `intervals`: whether the model knows the error of an effect, rather than the test alone.
    """
    from groupglm.inference.cluster_regions import with_regions
    from groupglm.inference.corrected_p.methods import PermutedMaxima
    from groupglm.inference.corrected_p.permuted import PermutedMaps
    from groupglm.inference.effect_columns import effects_of_fit, with_effects
    from groupglm.inference.results_rows import Limits, TestedRow, find_results, public_rows
    from groupglm.models.null_value import against
    from groupglm.spaces.narrowing import narrowed

    space = group.space
    fit = group.result
    result = fit.contrast(np.array(contrast.weights, dtype=np.float64))
    result = against(result, contrast.null_value, fit.n_threads)
    row = TestedRow(
        f"the map of {contrast.name}",
        space,
        narrowed(result.z_score).astype(np.float64),
        two_sided and result.stat_type == "t",
        (result.stat_type, result.stat),
    )
    permuted = PermutedMaps.read(images, space)
    method = PermutedMaxima(permuted.logp)
    members = permuted.members
    about = "Clusters that the permutation test formed, with their peaks"
    if members is None:
        members = permuted.places_below(_ALPHA)
        about = f"Clusters of places with a corrected p below {_ALPHA:g}, with their peaks"
    found = find_results(row, Limits(None, 0, _MIN_DISTANCE), method, permuted, members)
    if contrast.stat_type == "t":
        null_value = contrast.null_value
        columns = effects_of_fit(
            group.result, contrast.weights, found.places, null_value=null_value, intervals=intervals
        )
        found = with_effects(found, columns)
    if atlas is not None and space.has_neighbours:
        found = with_regions(found, atlas, row.name)
    table, path = public_rows(found), table_path(outputs, contrast)
    if not space.has_neighbours:
        one, many = space.place_words
        about = f"{many.capitalize()} with a corrected p below {_ALPHA:g}, the strongest first"
        name = {one.capitalize(): {"Description": f"Name of the {one}"}}
        facts = {**described(table.iloc[:, 1:], method.sources), **name}
    else:
        facts = described(table, method.sources)
    outputs.write_table(rounded(table), path, {"Description": about, **facts, **said})
    return path
