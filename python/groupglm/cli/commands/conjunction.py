# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm conjunction``: the smallest z of several maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.common import as_json, overwrite
from groupglm.cli.options.geometry import (
    MAP,
    MASK,
    SidePair,
    geometry_options,
    mesh_facts,
    mesh_files,
)
from groupglm.cli.options.paths import TO_FILE
from groupglm.cli.results.derived_files import Made, contrast_of
from groupglm.cli.results.provenance import fingerprint
from groupglm.spaces.map_files import MapFiles

__all__ = ["conjunction"]


@click.command(short_help="Make the map of the smallest z of several contrasts.")
@click.argument("z_maps", type=MAP, nargs=-1, required=True, metavar="Z_MAP Z_MAP...")
@click.option(
    "--mask", type=MASK, help="Voxels (places) of the result; found from the maps by default."
)
@geometry_options
@click.option(
    "--two-sided/--one-sided",
    default=False,
    help="Effects of both signs, where all maps agree, or positive effects only, the default.",
)
@click.option("--output", type=TO_FILE, required=True)
@as_json
@overwrite
def conjunction(
    *,
    z_maps: tuple[Path, ...],
    mask: MapFiles | None,
    surfaces: SidePair | None,
    areas: SidePair | None,
    two_sided: bool,
    output: Path,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Make the map of the smallest z of several maps, and write it with a JSON sidecar.

    Where the smallest z exceeds a threshold, every map does. "groupglm threshold" and "groupglm
    clusters" take the result as they take the z of one contrast, and then test the conjunction null
    hypothesis, that at least one of the effects is absent (Nichols and others 2005). Maps of F are
    refused, because F does not tell the direction of an effect.

    \b
    Examples
      groupglm conjunction results/contrast-faces_stat-z_statmap.nii.gz \\
          results/contrast-houses_stat-z_statmap.nii.gz --mask results/mask.nii.gz \\
          --output both.nii.gz
      groupglm threshold both.nii.gz --mask results/mask.nii.gz --one-sided \\
          --correct fdr:0.05 --output both_fdr.nii.gz

    Writes the map to --output, and a paragraph on methods with its references to NAME_methods.md
    and NAME_methods.bib. Each has a .json beside it: the maps, the options, and its hash. If they
    are there already, from the same maps and options, they are skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    options = {
        "Mask": None if mask is None else fingerprint(mask),
        **mesh_facts(surfaces, areas),
        "TwoSided": two_sided,
    }
    made = Made(output, z_maps[0], options, z_maps[1:], has_methods=True)
    journal = Journal(as_json=as_json)
    read = [*(() if mask is None else mask.paths), *mesh_files(surfaces, areas)]
    with journal.listening(), made.claimed(suffixes=made.map_endings, read=read):
        found = made.found(overwrite=overwrite)
        if found is not None:
            journal.say(made.skipped())
        else:
            _make(made, z_maps, mask, surfaces, areas, two_sided=two_sided)
            journal.say(f"The smallest z of {len(z_maps)} maps, written to {output}")
    journal.summary(
        {
            "inputs": [str(path) for path in z_maps],
            "mask": None if mask is None else str(mask),
            "two_sided": two_sided,
            "status": "written" if found is None else "skipped",
            "output": str(output),
        }
    )


def _make(
    made: Made,
    z_maps: tuple[Path, ...],
    mask: MapFiles | None,
    surfaces: Any,
    areas: Any,
    *,
    two_sided: bool,
) -> None:
    from groupglm.cli.options.geometry import geometry_of
    from groupglm.inference.conjunction import conjunction_img
    from groupglm.report.derived_words import methods_of_conjunction
    from groupglm.spaces.registry import kind_of

    geometry = geometry_of(surfaces, areas)
    image = conjunction_img(
        z_maps,
        None if mask is None else mask.as_path,
        two_sided,
        surfaces=geometry.surfaces,
        areas=geometry.areas,
    )
    methods = methods_of_conjunction([*map(contrast_of, z_maps)], two_sided=two_sided)
    facts = {
        "Description": f"Smallest z of {len(z_maps)} contrasts: their conjunction",
        "Values": "z",
        "TwoSided": two_sided,
    }
    with made.writing(facts) as draft:
        kind_of(image).save(image, draft)
    made.write_methods(methods)
