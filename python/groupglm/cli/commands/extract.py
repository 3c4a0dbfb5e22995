# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm extract``: the values of maps in regions, as a table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.atlases import AtlasChoice, atlas_options
from groupglm.cli.options.common import as_json, n_jobs, overwrite
from groupglm.cli.options.geometry import (
    MASK,
    SidePair,
    geometry_options,
    mesh_facts,
    mesh_files,
)
from groupglm.cli.options.paths import FILE, TO_FILE
from groupglm.cli.results.derived_files import Made
from groupglm.cli.results.provenance import fingerprint, input_list_hash
from groupglm.runtime.naming import counted
from groupglm.spaces.map_files import whole_of

if TYPE_CHECKING:
    from groupglm.cli.options.visits import VisitMaps
    from groupglm.spaces.map_files import MapFiles

__all__ = ["extract"]

_COLUMNS = {
    "subject": "Label of the subject, and of the visit if there are several",
    "region": "Name of the region",
    "n_places": "Number of the region's voxels or vertices that have a finite value in the map",
    "n_missing": "Number of the region's voxels or vertices without one, which are left out",
}


class _NamedSphere(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A sphere, perhaps with a name."""

    name = "[name=]x,y,z,radius"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, tuple[float, ...]]:
        if isinstance(value, tuple):
            return value
        name, _, numbers = value.rpartition("=")
        try:
            sphere = tuple(float(part) for part in numbers.split(","))
        except ValueError:
            sphere = ()
        if len(sphere) != 4 or not all(map(math.isfinite, sphere)) or sphere[3] <= 0:
            self.fail(
                f"{value!r} is not NAME=X,Y,Z,RADIUS in mm, with a positive radius", param, ctx
            )
        return name or value, sphere


@click.command(short_help="Extract the values of maps in regions, as a table.")
@click.argument("maps", nargs=-1, required=True, metavar="MAPS...")
@atlas_options
@click.option(
    "--sphere", "spheres", type=_NamedSphere(), multiple=True,
    help="A sphere in mm, such as amygdala=-22,-4,-18,6; a disc on surfaces. Repeatable.",
)  # fmt: skip
@click.option(
    "--region", "regions", type=MASK, multiple=True,
    help="A mask of a region, which is called by the name of the file. Repeatable.",
)  # fmt: skip
@click.option(
    "--statistic", type=click.Choice(["mean", "median"]), default="mean", show_default=True,
    help="Of the values of a map in a region.",
)  # fmt: skip
@click.option(
    "--design-matrix", type=FILE,
    help="Table (.tsv, .csv) of a row a map, such as design_matrix.tsv of a fit, added as columns.",
)  # fmt: skip
@click.option("--subject-pattern", help="Regular expression of the label in a file's name.")
@click.option("--map-name", help="Which maps of a table that has several kinds.")
@geometry_options
@click.option("--output", type=TO_FILE, required=True, help="A .tsv file to write.")
@n_jobs
@as_json
@overwrite
def extract(
    *,
    maps: tuple[str, ...],
    spheres: tuple[tuple[str, tuple[float, ...]], ...],
    regions: tuple[MapFiles, ...],
    statistic: Any,
    design_matrix: Path | None,
    subject_pattern: str | None,
    map_name: str | None,
    surfaces: SidePair | None,
    areas: SidePair | None,
    output: Path,
    n_jobs: int,
    as_json: bool,
    overwrite: bool,
    **of_atlas: Any,
) -> None:
    """Extract the mean or median of each map in regions: a row for each map and region.

    Regions are those of an atlas (or of an image of clusters), or spheres and masks. MAPS are as
    those of "groupglm fit", and are read as they are stored, each once.

    \b
    Examples
      groupglm extract 'maps/sub-*_effect.nii.gz' --atlas atlas.nii.gz --output regions.tsv
      groupglm extract 'maps/sub-*_effect.nii.gz' --sphere left=-22,-4,10,12 \\
          --sphere right=22,-4,10,12 --design-matrix results/design_matrix.tsv \\
          --output spheres.tsv

    Writes the table to --output, and OUTPUT.json beside it: the meaning of the columns, the hash of
    the list of maps and of the table. Missing values are left out and counted. If the table is
    there already, from the same input and options, it is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    chosen = AtlasChoice.taken_from(of_atlas)
    if (chosen is None) == (not spheres and not regions):
        raise click.UsageError("Give regions: either --atlas, or --sphere and --region.")
    named: dict[str, Any] = dict(spheres)
    named.update({_name_of(mask): mask.as_path for mask in regions})
    if len(named) < len(spheres) + len(regions):
        raise click.UsageError("Two regions have one name; name spheres by NAME=X,Y,Z,RADIUS.")
    if areas is not None:
        raise click.UsageError("--areas has no effect: every vertex counts the same.")
    journal = Journal(as_json=as_json)
    with journal.listening():
        found = _collected(maps, subject_pattern, map_name, output, journal)
        files = list(found.files.values())
        options = {
            "Maps": input_list_hash(found.files),
            "Statistic": statistic,
            "Spheres": {name: list(sphere) for name, sphere in spheres},
            "Regions": [fingerprint(mask) for mask in regions],
            "DesignMatrix": None if design_matrix is None else fingerprint(design_matrix),
            **({} if chosen is None else {"Atlas": chosen.facts()}),
            **mesh_facts(surfaces, areas),
        }
        made = Made(output, files[0].first, options)
        read = [path for own in files for path in own.paths]
        read += [path for mask in regions for path in mask.paths]
        read += [*mesh_files(surfaces, None), *filter(None, [design_matrix])]
        read += [] if chosen is None else chosen.files
        with made.claimed(suffixes=(".tsv",), read=read):
            said = made.found(overwrite=overwrite)
            if said is not None:
                journal.say(made.skipped())
            else:
                from groupglm.extraction.values import extract_values

                table = extract_values(
                    [own.as_path for own in files],
                    named if chosen is None else chosen.load(),
                    statistic,
                    design_matrix=None if design_matrix is None else str(design_matrix),
                    surfaces=None if surfaces is None else surfaces.given,
                    n_jobs=n_jobs,
                )
                n_regions = table["region"].nunique()
                table["subject"] = [label for label in found.files for _ in range(n_regions)]
                said = _facts(table, statistic, len(files))
                _write(table, made, said)
                journal.say(
                    f"{counted(len(files), 'map')}, {counted(n_regions, 'region')}, "
                    f"{said['NumberOfMissing']:,} missing values: written to {output}"
                )
    journal.summary({"output": str(output), "n_maps": len(files), "statistic": statistic})


def _collected(
    maps: tuple[str, ...], pattern: str | None, map_name: str | None, output: Path, journal: Journal
) -> VisitMaps:
    from groupglm.cli.options.maps import collect_maps

    return collect_maps(maps, pattern, map_name, output=output.parent, warn=journal.warn)


def _name_of(mask: MapFiles) -> str:
    """Return the name of a mask's file, or the common name of its files, without its ending."""
    whole = whole_of(mask.first) if len(mask.paths) > 1 else None
    return (whole or mask.first).name.partition(".")[0]


def _facts(table: Any, statistic: str, n_maps: int) -> dict[str, Any]:
    """Return what the sidecar says: the meanings of the columns."""
    columns = {**_COLUMNS, "value": f"{statistic.capitalize()} of the map in the region"}
    return {
        "Description": f"{statistic.capitalize()}s of maps in regions",
        **{
            name: {"Description": columns.get(name, "Column of the design matrix")}
            for name in table.columns
        },
        "NumberOfMaps": n_maps,
        "NumberOfMissing": int(table["n_missing"].sum()),
    }


def _write(table: Any, made: Made, facts: dict[str, Any]) -> None:
    from groupglm.cli.results.names import write_table

    with made.writing(facts) as draft:
        write_table(draft, table)
