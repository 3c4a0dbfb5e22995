# SPDX-License-Identifier: BSD-3-Clause
"""A contrast's map of z, thresholded, and the table of its clusters."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from groupglm.cli.clusters import COLUMNS
from groupglm.cli.outputs import Contrast, Outputs, read_json, sidecar
from groupglm.naming import counted

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.options import Correction

__all__ = ["correct_contrast"]


def correct_contrast(
    contrast: Contrast,
    correction: Correction,
    outputs: Outputs,
    journal: Journal,
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Threshold a contrast's map of z, which has been written, inside the mask of the fit.

    Parameters
    ----------
    contrast : Contrast
        Which.
    correction : Correction
        How.
    outputs : Outputs
        Where the map is, and the results go.
    journal : Journal
        Tells the user.
    overwrite : bool
        Whether to redo what is there.

    Returns
    -------
    dict
        What was found, for a program.
    """
    from groupglm import threshold_stats_img
    from groupglm.inference.cluster_table import n_clusters, tabulate_clusters

    path = outputs.image_path(contrast, f"z_desc-{correction.label}")
    table_path = outputs.contrast_path(contrast, f"stat-z_desc-{correction.label}_clusters.tsv")
    two_sided = contrast.stat_type == "t"
    said: dict[str, Any] = {
        "Correction": correction.facts(two_sided=two_sided),
        "Contrast": contrast.facts(),
    }
    files = {"map": str(path), "clusters": str(table_path)}
    if not overwrite and outputs.state_of(path, said) == "done" and table_path.is_file():
        found = read_json(sidecar(path)) or {}
        journal.say(f"{contrast.name}: {correction} skipped, it is there already")
        return {"threshold": found.get("Threshold"), "status": "skipped", "files": files}
    z_map = outputs.image_path(contrast, "z")
    image, threshold = threshold_stats_img(
        z_map,
        mask_img=outputs.mask,
        alpha=correction.alpha,
        height_control=correction.control,
        two_sided=two_sided,
    )
    assert image is not None  # noqa: S101  (a map was given)
    finite = threshold if math.isfinite(threshold) else None
    with warnings.catch_warnings():
        # The threshold is not the user's, and the line below tells what survives.
        warnings.filterwarnings("ignore", ".*: no cluster", UserWarning)
        table = tabulate_clusters(z_map, threshold, two_sided=two_sided).table
    said = {**said, **outputs.said(contrast), "Threshold": finite}
    about = f"Clusters of z scores that survive {correction}, with their peaks"
    outputs.write_table(table, table_path, {"Description": about, **COLUMNS, **said})
    about = f"z score where it survives {correction}"
    outputs.write_image(image, path, {"Description": about, "Values": "z", **said})
    count = n_clusters(table)
    shown = (
        "no voxel survives"
        if finite is None
        else f"{'|z|' if two_sided else 'z'} >= {threshold:.3f}"
    )
    journal.say(f"{contrast.name}: {correction}: {shown}, {counted(count, 'cluster')}")
    return {"threshold": finite, "n_clusters": count, "status": "written", "files": files}
