# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm threshold``: the significant voxels of a map."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.atlases import (
    small_volume_facts,
    small_volume_given,
    small_volume_option,
)
from groupglm.cli.options.common import as_json, overwrite, tails
from groupglm.cli.options.common import cluster_threshold as cluster_threshold_option
from groupglm.cli.options.corrections import CORRECTION, Correction
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
from groupglm.runtime.naming import counted
from groupglm.runtime.rounding import statistic
from groupglm.spaces.map_files import MapFiles

if TYPE_CHECKING:
    from groupglm.spaces.base import Space
    from groupglm.spaces.images import Image

__all__ = ["threshold"]


@click.command(short_help="Keep the significant voxels (places) of a map of z.")
@click.argument("z_map", type=MAP)
@click.option(
    "--correct",
    type=CORRECTION,
    help="fdr:0.05, bonferroni:0.05, rft:0.05, cluster-rft:p<0.001,0.05 (of a map of groupglm fit "
    "--correct rft:0.05), or fpr:0.001 (not corrected).",
)
@click.option("--at", type=float, help="A threshold on the map's own scale instead.")
@click.option(
    "--mask", type=MASK, help="Voxels (places) that are tested; found from the map by default."
)
@small_volume_option
@geometry_options
@tails
@cluster_threshold_option
@click.option("--output", type=TO_FILE, required=True)
@as_json
@overwrite
def threshold(
    *,
    z_map: Path,
    correct: Correction | None,
    at: float | None,
    mask: MapFiles | None,
    small_volume: Any,
    surfaces: SidePair | None,
    areas: SidePair | None,
    two_sided: bool | None,
    cluster_threshold: int,
    output: Path,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Keep the significant voxels (places) of a map of z values, and write it with a JSON sidecar.

    \b
    Examples
      groupglm threshold results/contrast-age_stat-z_statmap.nii.gz \\
          --mask results/mask.nii.gz --correct fdr:0.05 --output age_fdr.nii.gz
      groupglm threshold z.nii.gz --at 3.1 --cluster-threshold 10 --output z_3p1.nii.gz

    Writes the map to --output, with 0 where a voxel is not kept, and a .json beside it: threshold,
    correction, number of voxels, and the hash of the map. If the map is there already, from the
    same input and options, it is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    if (correct is None) == (at is None):
        raise click.UsageError("Give either --correct HOW:ALPHA or --at THRESHOLD.")
    options = {
        "Correct": None if correct is None else str(correct),
        "At": at,
        "Mask": None if mask is None else fingerprint(mask),
        **({} if small_volume is None else {"SmallVolume": small_volume_facts(small_volume)}),
        **mesh_facts(surfaces, areas),
        "TwoSided": two_sided,
        "ClusterThreshold": cluster_threshold,
    }
    made = Made(output, z_map, options)
    journal = Journal(as_json=as_json)
    masks = [own for own in (mask, small_volume) if isinstance(own, MapFiles)]
    read = [*(path for own in masks for path in own.paths), *mesh_files(surfaces, areas)]
    with journal.listening(), made.claimed(suffixes=made.map_endings, read=read):
        if half := note_half(z_map):
            journal.warn(half)
        said = made.found(overwrite=overwrite)
        status = "written" if said is None else "skipped"
        if said is not None:
            journal.say(made.skipped())
        else:
            from groupglm.cli.steps.corrections import sizes_in_words
            from groupglm.inference.map_scale import has_one_tail
            from groupglm.inference.thresholded_map import threshold_map
            from groupglm.spaces.registry import kind_of

            # The sidecar was checked when the place of the result was claimed.
            both = two_sided or (two_sided is None and not has_one_tail(z_map, described=True))
            kept = threshold_map(
                z_map,
                None if mask is None else mask.as_path,
                alpha=0.001 if correct is None else correct.alpha,
                threshold=at,
                height_control=None if correct is None else correct.control,
                cluster_threshold=cluster_threshold,
                two_sided=both,
                geometry=geometry_of(surfaces, areas),
                described=True,
                small_volume=small_volume_given(small_volume),
                cluster_forming_p=None if correct is None else correct.forming_p,
            )
            image, limit = kept.image, kept.threshold
            assert image is not None  # noqa: S101  (a map was given)
            holds, _ = kind_of(image).said_by_map(image)
            n_voxels, space = _count(image)
            one, many = space.place_words
            said = {
                "Description": "Values of the map beyond the threshold",
                **({} if holds is None else {"Values": holds.kind}),
                "TwoSided": both,
                "Correction": None if correct is None else correct.facts(two_sided=both),
                "Threshold": limit if math.isfinite(limit) else None,
                **({"ClusterSizes": kept.cluster_sizes} if kept.cluster_sizes else {}),
                "NumberOfVoxels": n_voxels,
            }
            _write(image, made, said)
            letter = "z" if holds is None or correct is not None else holds.kind
            sign = "<=" if limit < 0 else ">="
            beyond = f"{letter} {sign}" if not both else f"|{letter}| {sign}"
            found = f"{beyond} {statistic(limit)}{sizes_in_words(kept)}"
            found += "" if correct is None else correct.caution(many)
            if math.isinf(limit):
                found = f"no {one} survives {correct}" if at is None else f"{letter} is infinite"
            journal.say(f"{found}: {counted(n_voxels, one, many)}, written to {output}")
    journal.summary(
        {
            "input": str(z_map),
            "mask": None if mask is None else str(mask),
            "correction": options["Correct"],
            "threshold": said.get("Threshold"),
            "two_sided": said.get("TwoSided"),
            "cluster_threshold": cluster_threshold,
            "n_voxels": said.get("NumberOfVoxels"),
            "status": status,
            "output": str(output),
        }
    )


def _count(image: Image) -> tuple[int, Space]:
    """Count the places of a map that are neither zero nor NaN, and return all of them."""
    import numpy as np

    from groupglm.spaces.registry import kind_of

    source, space = kind_of(image).open_map(image, "output")
    row = np.empty(space.n_values, source.dtype)
    space.read_stored(source, row)
    return int(np.count_nonzero(np.nan_to_num(row))), space


def _write(image: Image, made: Made, facts: dict[str, Any]) -> None:
    from groupglm.spaces.registry import kind_of

    with made.writing(facts) as draft:
        kind_of(image).save(image, draft)
