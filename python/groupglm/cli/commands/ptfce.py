# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm ptfce``: a map of z, enhanced by the sizes of its clusters at all heights."""

from __future__ import annotations

from pathlib import Path

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.common import as_json, overwrite
from groupglm.cli.options.geometry import MAP, MASK
from groupglm.cli.options.paths import TO_FILE
from groupglm.cli.results.derived_files import Made, contrast_of
from groupglm.cli.results.provenance import fingerprint
from groupglm.spaces.map_files import MapFiles

__all__ = ["ptfce"]


@click.command(short_help="Enhance a map of z by the sizes of its clusters (pTFCE).")
@click.argument("z_map", type=MAP)
@click.option("--mask", type=MASK, help="Voxels that are tested; found from the map by default.")
@click.option(
    "--two-sided/--one-sided",
    default=True,
    help="Both signs, each by itself, the default, or positive effects only.",
)
@click.option("--output", type=TO_FILE, required=True)
@as_json
@overwrite
def ptfce(
    *,
    z_map: Path,
    mask: MapFiles | None,
    two_sided: bool,
    output: Path,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Enhance a map of z of voxels by the sizes of its clusters at all heights, and write it.

    Probabilistic threshold-free cluster enhancement (Spisak and others 2019) needs no permutations.
    The map is one of "groupglm fit --correct rft:0.05", whose sidecar tells the smoothness of the
    noise. The result is a map of z, which "groupglm threshold" takes.

    \b
    Examples
      groupglm ptfce results/contrast-age_stat-z_statmap.nii.gz --mask results/mask.nii.gz \\
          --output enhanced.nii.gz
      groupglm threshold enhanced.nii.gz --mask results/mask.nii.gz --correct rft:0.05 \\
          --output enhanced_rft.nii.gz

    Writes the map to --output, and a paragraph on methods with its references to NAME_methods.md
    and NAME_methods.bib. Each has a .json beside it: the options, and its hash. If they are there
    already, from the same map and options, they are skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    options = {"Mask": None if mask is None else fingerprint(mask), "TwoSided": two_sided}
    made = Made(output, z_map, options, has_methods=True)
    journal = Journal(as_json=as_json)
    read = () if mask is None else mask.paths
    with journal.listening(), made.claimed(suffixes=made.map_endings, read=read):
        found = made.found(overwrite=overwrite)
        if found is not None:
            journal.say(made.skipped())
        else:
            _make(made, z_map, mask, two_sided=two_sided)
            journal.say(f"The map enhanced by pTFCE, written to {output}")
    journal.summary(
        {
            "input": str(z_map),
            "mask": None if mask is None else str(mask),
            "two_sided": two_sided,
            "status": "written" if found is None else "skipped",
            "output": str(output),
        }
    )


def _make(made: Made, z_map: Path, mask: MapFiles | None, *, two_sided: bool) -> None:
    from groupglm.inference.random_fields.map_field import smoothness_of_map
    from groupglm.inference.random_fields.ptfce import ptfce as enhance
    from groupglm.report.derived_words import methods_of_enhancement
    from groupglm.spaces.registry import kind_of

    image = enhance(z_map, mask_img=None if mask is None else mask.as_path, two_sided=two_sided)
    smoothness = smoothness_of_map(z_map, None, z_map.name)
    methods = methods_of_enhancement(contrast_of(z_map), smoothness, two_sided=two_sided)
    facts = {
        "Description": "z enhanced by the sizes of clusters at all heights (pTFCE)",
        "Values": "z",
        "TwoSided": two_sided,
        "Smoothness": smoothness.facts(),
    }
    with made.writing(facts) as draft:
        kind_of(image).save(image, draft)
    made.write_methods(methods)
