# SPDX-License-Identifier: BSD-3-Clause
"""The thresholded map of z of a contrast, and the table of its clusters."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.atlases import small_volume_facts, small_volume_given
from groupglm.cli.options.corrections import BY_FIELDS
from groupglm.cli.results.maps_read_back import values_of
from groupglm.cli.results.names import Contrast, read_json, sidecar
from groupglm.cli.steps.permuted_table import NO_MESH
from groupglm.inference.column_meanings import described
from groupglm.runtime.naming import counted
from groupglm.runtime.rounding import rounded, statistic
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from groupglm.cli.journal import Journal
    from groupglm.cli.options.atlases import AtlasChoice
    from groupglm.cli.options.corrections import Correction
    from groupglm.cli.results.study_results import Outputs
    from groupglm.cli.steps.estimation import Estimate
    from groupglm.inference.corrected_p.methods import Method
    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.inference.thresholded_map import ThresholdedMap
    from groupglm.spaces.images import Image

__all__ = ["Rule", "correct_contrast", "sizes_in_words"]


@dataclass(frozen=True)
class Rule:
    """The way in which a contrast is thresholded.

    Parameters
    ----------
    correction : Correction
        The error rate.
    cluster_threshold : int
        Clusters of fewer voxels are left out.
    two_sided : bool
        Whether both tails of t are tested.
    small_volume : MapFiles or tuple of 4 floats, optional
        The small volume to which the correction is restricted.
    atlas : AtlasChoice, optional
        The atlas that names the places of clusters.
    """

    correction: Correction
    cluster_threshold: int
    two_sided: bool
    small_volume: Any = None
    atlas: AtlasChoice | None = None

    def facts(self, contrast: Contrast) -> dict[str, Any]:
        """Return the facts of the correction for sidecars; F has one tail."""
        two_sided = self.two_sided and contrast.stat_type == "t"
        facts = self.correction.facts(two_sided=two_sided)
        if self.cluster_threshold:
            facts["ClusterThreshold"] = self.cluster_threshold
        if self.small_volume is not None:
            facts["SmallVolume"] = small_volume_facts(self.small_volume)
        return facts

    def paths(self, outputs: Outputs, contrast: Contrast) -> tuple[Path, Path]:
        """Return the files of the thresholded map and of the table of its clusters (or regions)."""
        kind = f"z_desc-{self.correction.label}"
        path = outputs.image_path(contrast, kind)
        what = "regions" if _is_of_regions(path) else "clusters"
        return path, outputs.contrast_path(contrast, f"stat-{kind}_{what}.tsv")


def _is_of_regions(path: Path) -> bool:
    """Return whether a map is of regions or parcels, which have no neighbours."""
    return kind_of(path).unit == "regions"


def correct_contrast(
    contrast: Contrast,
    rule: Rule,
    outputs: Outputs,
    fitted: Estimate,
    journal: Journal,
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Threshold a contrast's map of z, which is in a file already, inside the mask of the fit.

    The fit is made if it is not yet, where the table has effects.
    """
    from groupglm.inference.corrected_p.of_thresholded import method_of_control
    from groupglm.inference.found_clusters import n_clusters
    from groupglm.inference.thresholded_map import threshold_map

    correction = rule.correction
    path, table_path = rule.paths(outputs, contrast)
    two_sided = rule.two_sided and contrast.stat_type == "t"
    said: dict[str, Any] = {"Correction": rule.facts(contrast), "Contrast": contrast.facts()}
    of_regions = _is_of_regions(path)
    if rule.atlas is not None and not of_regions:
        said["Atlas"] = rule.atlas.facts()
    files = {"map": str(path), "regions" if of_regions else "clusters": str(table_path)}
    done = {"correction": str(correction), "files": files}
    what = f"{correction} of {contrast.name!r}"
    found = read_json(sidecar(path)) or {}
    wanted = (path,) if found.get("Clusters") == NO_MESH else (path, table_path)
    if outputs.are_done(what, wanted, said, overwrite=overwrite):
        journal.say(f"{contrast.name}: {correction} skipped, it is there already")
        return {**done, "threshold": found.get("Threshold"), "status": "skipped"}
    z_map = outputs.image(outputs.image_path(contrast, "z"))
    # The map was written just now, or its hash was compared when it was found.
    kept = threshold_map(
        z_map,
        outputs.image(outputs.mask),
        alpha=correction.alpha,
        height_control=correction.control,
        cluster_threshold=rule.cluster_threshold,
        two_sided=two_sided,
        geometry=outputs.geometry,
        described=True,
        small_volume=small_volume_given(rule.small_volume),
        cluster_forming_p=correction.forming_p,
        smoothness=_smoothness(contrast, correction, outputs, fitted),
    )
    image, threshold = kept.image, kept.threshold
    assert image is not None  # noqa: S101  (a map was given)
    if kept.cluster_sizes:
        said["ClusterSizes"] = kept.cluster_sizes
    finite = threshold if math.isfinite(threshold) else None
    if of_regions:
        said = {**said, **outputs.said(contrast), "Threshold": finite}
        return {**done, **_write_regions(contrast, rule, outputs, fitted, journal, kept, said)}
    _, space, _ = values_of(z_map, outputs.geometry)
    if not space.has_neighbours:
        image_said = {**said, **outputs.said(contrast), "Threshold": finite}
        return {**done, **_without_clusters(contrast, rule, outputs, journal, image, image_said)}
    method = method_of_control(correction.control, kept.field)
    clusters = _tabulated(contrast, rule, outputs, fitted, kept, method)
    table, (one, many) = clusters.table, clusters.space.place_words
    said = {**said, **outputs.said(contrast), "Threshold": finite}
    about = f"Clusters of z scores that survive {correction}, with their peaks"
    facts = {"Description": about, **described(table, method.sources), **said}
    outputs.write_table(rounded(table), table_path, facts)
    about = f"z score where it survives {correction}"
    outputs.write_image(image, path, {"Description": about, "Values": "z", **said})
    count = n_clusters(table)
    shown = (
        f"no {one} survives"
        if finite is None
        else f"{'|z|' if two_sided else 'z'} >= {statistic(threshold)}"
        f"{sizes_in_words(kept)}{correction.caution(many)}"
    )
    journal.say(f"{contrast.name}: {correction}: {shown}, {counted(count, 'cluster')}")
    return {**done, "threshold": finite, "n_clusters": count, "status": "written"}


def _smoothness(
    contrast: Contrast, correction: Correction, outputs: Outputs, fitted: Estimate
) -> Smoothness | None:
    """Return the smoothness of a fit that was made without; None if it is not needed, or known."""
    facts = read_json(sidecar(outputs.image_path(contrast, "z"))) or {}
    if correction.control not in BY_FIELDS or "Smoothness" in facts:
        return None
    return fitted.model.smoothness_


def _tabulated(
    contrast: Contrast,
    rule: Rule,
    outputs: Outputs,
    fitted: Estimate,
    kept: ThresholdedMap,
    method: Method,
) -> FoundClusters:
    """Return the clusters that survive, with their p-values, effects and regions."""
    from groupglm.inference.cluster_regions import with_regions
    from groupglm.inference.cluster_table import tabulate_clusters
    from groupglm.inference.corrected_p.of_thresholded import with_p_of_threshold
    from groupglm.inference.effect_columns import with_effects

    image = kept.image
    assert image is not None  # noqa: S101  (a map was given)
    two_sided = rule.two_sided and contrast.stat_type == "t"
    is_part = rule.small_volume is not None or (kept.field is not None and kept.field.n_left_out)
    with warnings.catch_warnings():
        # The user did not choose this threshold, and a line below says what survives.
        warnings.filterwarnings("ignore", ".*: no cluster", UserWarning)
        found = tabulate_clusters(
            # Which is zero outside of it, and where clusters are too small.
            image
            if kept.cluster_sizes or is_part
            else outputs.image(outputs.image_path(contrast, "z")),
            kept.threshold,
            cluster_threshold=rule.cluster_threshold,
            two_sided=two_sided,
            geometry=outputs.geometry,
            described=True,
        )
    extent = rule.cluster_threshold
    found = with_p_of_threshold(found, kept, method, two_sided=two_sided, cluster_threshold=extent)
    found = with_effects(found, _effects(contrast, found.places, outputs, fitted))
    if rule.atlas is None:
        return found
    path, _ = rule.paths(outputs, contrast)
    return with_regions(found, rule.atlas.load(), path.name)


def _effects(
    contrast: Contrast, places: NDArray[np.intp], outputs: Outputs, fitted: Estimate
) -> dict[str, NDArray[np.float64]]:
    """Return the columns of effects of a t contrast at some places of its map in a file.

    Shapes: `places` (n,); returns (n,) each.
    """
    import numpy as np

    from groupglm.inference.effect_columns import effects_of_fit

    if contrast.stat_type != "t":
        return {}
    _, _, inside = values_of(outputs.image(outputs.mask), outputs.geometry)
    number_in_fit = np.cumsum(inside > 0) - 1  # both have their places in the same order
    return effects_of_fit(
        fitted.group.result,
        contrast.weights,
        number_in_fit[places],
        null_value=contrast.null_value,
    )


def sizes_in_words(kept: ThresholdedMap) -> str:
    """Return the end of a line about a threshold: from which size on clusters are significant."""
    sizes = kept.cluster_sizes
    if not sizes or kept.field is None:
        return ""
    units = {part.name: part.unit for part in kept.field.smoothness.parts}
    several = len(sizes) > 1
    return " in clusters of at least " + ", ".join(
        f"{size:.4g} {units.get(name, 'places')}{f' ({name})' if several else ''}"
        for name, size in sizes.items()
    )


def _without_clusters(
    contrast: Contrast,
    rule: Rule,
    outputs: Outputs,
    journal: Journal,
    image: Image,
    said: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the map of what survives where places have no known neighbours, and no table."""
    import numpy as np

    path, _ = rule.paths(outputs, contrast)
    _, space, values = values_of(image)
    n = int(np.count_nonzero(np.nan_to_num(values)))
    survive = f"{counted(n, *space.place_words)} {'survives' if n == 1 else 'survive'}"
    about = f"z score where it survives {rule.correction}"
    facts = {"Description": about, "Values": "z", **said, "Clusters": NO_MESH}
    outputs.write_image(image, path, facts)
    journal.say(
        f"{contrast.name}: {rule.correction}: {survive}; a table of their clusters needs "
        "their mesh (--surfaces)"
    )
    return {"threshold": said["Threshold"], "status": "written"}


def _write_regions(
    contrast: Contrast,
    rule: Rule,
    outputs: Outputs,
    fitted: Estimate,
    journal: Journal,
    kept: ThresholdedMap,
    said: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the map of the regions that survive, and a table of them; return what was found."""
    import numpy as np
    import pandas as pd

    from groupglm.inference.corrected_p.of_thresholded import map_of_threshold, method_of_control
    from groupglm.inference.found_clusters import FoundClusters

    correction, (path, table_path) = rule.correction, rule.paths(outputs, contrast)
    image, method = kept.image, method_of_control(rule.correction.control)
    _, space, values = values_of(image)
    one, many = space.place_words
    places = np.flatnonzero(np.nan_to_num(values))
    places = places[np.argsort(-np.abs(values[places]), kind="stable")]
    names = [space.describe_place(place) for place in places.tolist()]
    two_sided = rule.two_sided and contrast.stat_type == "t"
    found = FoundClusters(space, pd.DataFrame(), places, [])
    columns: dict[str, Any] = dict(
        method.of_peaks(found, values[places], map_of_threshold(kept, two_sided=two_sided))
    )
    columns |= _effects(contrast, places, outputs, fitted)
    table = rounded(pd.DataFrame({one: names, "z": values[places], **columns}))
    outputs.write_table(
        table,
        table_path,
        {
            "Description": f"{many.capitalize()} that survive {correction}, the strongest first",
            one: {"Description": f"Name of the {one}"},
            "z": {"Description": "z score of the contrast"},
            **described(table[list(columns)], method.sources),
            **said,
        },
    )
    about = f"z score where it survives {correction}"
    outputs.write_image(image, path, {"Description": about, "Values": "z", **said})
    shown = "" if said["Threshold"] is None else f", from {statistic(said['Threshold'])} on"
    journal.say(
        f"{contrast.name}: {correction}: {counted(len(table), one, many)} of "
        f"{space.n_values:,}{shown}{correction.caution(many)}"
    )
    return {"threshold": said["Threshold"], "n_regions": len(table), "status": "written"}
