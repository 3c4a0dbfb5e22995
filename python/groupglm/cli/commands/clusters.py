# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm clusters``: the clusters of a map and their peaks, as a table."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.atlases import AtlasChoice, atlas_options
from groupglm.cli.options.common import as_json, overwrite, tails
from groupglm.cli.options.common import cluster_threshold as cluster_threshold_option
from groupglm.cli.options.geometry import (
    MAP,
    MASK,
    SidePair,
    geometry_of,
    geometry_options,
    mesh_facts,
    mesh_files,
    note_half,
)
from groupglm.cli.options.paths import TO_FILE
from groupglm.cli.results.derived_files import Made
from groupglm.cli.results.provenance import fingerprint
from groupglm.cli.results.records import check_described
from groupglm.inference.column_meanings import described
from groupglm.runtime.rounding import rounded

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.steps.effects_beside import EffectsBeside
    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.spaces.geometry import Geometry
    from groupglm.spaces.map_files import MapFiles

__all__ = ["clusters"]

_TEXTS = ("Cluster ID", "Part", "Parcel", "Structure", "Unit", "Region", "Regions of Cluster")
_METHODS = ("fpr", "fdr", "bonferroni", "rft")
_COUNTS = (
    "Cluster Size",
    "Vert",
)  # beginnings of the names of columns of numbers that may be whole


@click.command(short_help="Tabulate the clusters of a map with their peaks.")
@click.argument("stat_map", type=MAP)
@click.option("--threshold", type=float, required=True, help="On the scale of the map.")
@cluster_threshold_option
@tails
@click.option(
    "--min-distance",
    type=click.FloatRange(min=0),
    default=8.0,
    show_default=True,
    help="Between a peak and the next subpeak, in mm.",
)
@click.option(
    "--p-values",
    "method",
    type=click.Choice(_METHODS),
    help="Add p-values of peaks and clusters: of single places (fpr), the false discovery rate "
    "(fdr), familywise error (bonferroni), or random field theory (rft), which needs the "
    "smoothness in the map's sidecar. The threshold is then a z.",
)
@click.option(
    "--mask",
    type=MASK,
    help="With --p-values: where the map was tested; by default where it differs from its "
    "background.",
)
@geometry_options
@atlas_options
@click.option("--output", type=TO_FILE, help="A .tsv file to write.")
@as_json
@overwrite
def clusters(
    *,
    stat_map: Path,
    threshold: float,
    cluster_threshold: int,
    two_sided: bool | None,
    min_distance: float,
    method: Any,
    mask: MapFiles | None,
    surfaces: SidePair | None,
    areas: SidePair | None,
    output: Path | None,
    as_json: bool,
    overwrite: bool,
    **of_atlas: Any,
) -> None:
    """Tabulate the clusters of a statistical map, with their peaks in mm and sizes in mm3.

    On surfaces sizes are areas in mm2, of the meshes that --surfaces gives. Give a map of two
    hemispheres by the name of its files without hemi-L_ and hemi-R_.

    The threshold is used without a correction: neither voxels nor clusters are corrected for their
    number. "groupglm fit --correct" and "groupglm permute" correct. With --p-values, the table has
    the columns of p that a method defines, over all places of the mask.

    \b
    Examples
      groupglm clusters results/contrast-age_stat-z_statmap.nii.gz --threshold 3.1
      groupglm clusters z.nii.gz --threshold 2.3 --one-sided --cluster-threshold 20 \\
          --output clusters.tsv
      groupglm clusters results/contrast-age_stat-z_statmap.nii.gz --threshold 3.1 \\
          --p-values bonferroni --mask results/mask.nii.gz
      groupglm clusters z.nii.gz --threshold 3.1 --atlas atlas.nii.gz --atlas-labels atlas.tsv

    With --atlas, the table has the region of each peak, and the percentage of each cluster that is
    in each region.

    Where the map is a z or t that "groupglm fit" wrote, and its maps of effect and variance lie
    beside it, the table has the effect at each peak with its 95% interval, and Cohen's d if the fit
    had --effect-sizes cohen_d. Of a map alone they are not known.

    Writes the table to --output, if given, and OUTPUT.json beside it: the input, the meaning of the
    columns, and the hash of the table. If the table is there already, from the same input and
    options, it is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    from groupglm.cli.steps.effects_beside import EffectsBeside

    if mask is not None and method is None:
        raise click.UsageError("--mask has no effect without --p-values.")
    chosen = AtlasChoice.taken_from(of_atlas)
    effects = EffectsBeside.of(stat_map)
    options = {
        "Threshold": threshold,
        "ClusterThreshold": cluster_threshold,
        "TwoSided": two_sided,
        "MinDistance": min_distance,
        **mesh_facts(surfaces, areas),
        **({} if method is None else {"PValues": method}),
        **({} if mask is None else {"Mask": fingerprint(mask)}),
        **({} if chosen is None else {"Atlas": chosen.facts()}),
        **({} if effects is None else {"Effects": effects.hashes()}),
    }
    read = [*mesh_files(surfaces, areas), *(() if mask is None else mask.paths)]
    read += [] if chosen is None else chosen.files
    read += [] if effects is None else effects.files
    made = None if output is None else Made(output, stat_map, options)
    journal = Journal(as_json=as_json)
    place = nullcontext() if made is None else made.claimed(suffixes=(".tsv",), read=read)
    with journal.listening(), place:
        if half := note_half(stat_map):
            journal.warn(half)
        said = None if made is None else made.found(overwrite=overwrite)
        if made is not None and said is not None:
            journal.say(made.skipped())
            table = _read(made.output)
        else:
            from groupglm.inference.map_scale import has_one_tail

            if made is None:  # if there was one, it was checked as the source
                check_described(stat_map)
            both = two_sided or (two_sided is None and not has_one_tail(stat_map, described=True))
            table = _tabulated(
                stat_map,
                threshold,
                method,
                mask,
                geometry_of(surfaces, areas),
                cluster_threshold=cluster_threshold,
                two_sided=both,
                min_distance=min_distance,
                atlas=None if chosen is None else chosen.load(),
                effects=effects,
            )
            if made is not None:
                _write(table, made, method)
        journal.say(table.to_string(index=False) if len(table) else "No cluster.")
        journal.say(_as_given(stat_map, method))
        if len(table) and (lacking := _lacking(stat_map, effects)):
            journal.say(lacking)
    summary = {"input": str(stat_map), "threshold": threshold, "clusters": _numbers(table)}
    if output is not None:
        status = "written" if said is None else "skipped"
        summary |= {"status": status, "output": str(output)}
    journal.summary(summary)


def _tabulated(
    stat_map: Path,
    threshold: float,
    method: Any,
    mask: MapFiles | None,
    geometry: Geometry,
    *,
    effects: EffectsBeside | None,
    **options: Any,
) -> pd.DataFrame:
    """Return the table, rounded for reading."""
    from groupglm.inference.results_rows import public_rows

    found: FoundClusters
    if method is None:
        from groupglm.inference.cluster_table import tabulate_clusters

        found = tabulate_clusters(stat_map, threshold, geometry=geometry, described=True, **options)
    else:
        from groupglm.inference.map_results import results_of_map

        found = results_of_map(
            stat_map,
            threshold,
            correction=method,
            mask_img=None if mask is None else mask.as_path,
            geometry=geometry,
            **options,
        )
    if effects is not None and len(found.places):
        found = effects.add_to(found)
    return rounded(found.table if method is None else public_rows(found))


def _lacking(stat_map: Path, effects: EffectsBeside | None) -> str:
    """Return a line that says which columns of effects there are not, and why."""
    from groupglm.inference.map_scale import has_one_tail

    if effects is None:
        if has_one_tail(stat_map, described=True):
            return ""
        return (
            f"Effects are not known of {stat_map.name} alone; of a map of groupglm fit they are, "
            "with the maps of effect and variance beside it."
        )
    if not effects.has_cohen_d:
        return "Cohen's d is not known: groupglm fit --effect-sizes cohen_d writes its maps."
    return ""


def _as_given(stat_map: Path, method: str | None) -> str:
    from groupglm.spaces.registry import kind_of

    if method is not None:
        return f"The threshold is as given; the columns of p and q are those of {method}."
    _, space = kind_of(stat_map).open_map(stat_map, str(stat_map))
    return (
        f"The threshold is as given: neither {space.place_words[1]} nor clusters are corrected for "
        "their number here."
    )


def _read(path: Path) -> pd.DataFrame:
    """Read a table of clusters as it was written."""
    import pandas as pd

    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def _numbers(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows for a program, with numbers as in the table; subpeaks have no size."""
    return [
        {name: _value(name, text) for name, text in zip(table.columns, row, strict=True)}
        for row in table.itertuples(index=False, name=None)
    ]


def _value(name: str, text: str) -> str | float | None:
    if name in _TEXTS or not text:
        return text
    if text == "n/a":
        return None
    if name.startswith(_COUNTS) and text.isdecimal():
        return int(text)
    number = float(text)
    return None if math.isnan(number) else number  # without a position in mm


def _write(table: pd.DataFrame, made: Made, method: str | None) -> None:
    from groupglm.cli.results.names import write_table
    from groupglm.inference.corrected_p.of_thresholded import sources_of_control

    sources = None if method is None else sources_of_control(method)
    about = "Clusters of a map beyond a threshold, with their peaks"
    with made.writing({"Description": about, **described(table, sources)}) as draft:
        write_table(draft, table)
