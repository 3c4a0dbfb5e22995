# SPDX-License-Identifier: BSD-3-Clause
"""Tables of results, as papers report them: `get_results_table`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from groupglm.atlases.finding import as_atlas
from groupglm.estimator.effect_maps import EffectMaps
from groupglm.estimator.results_options import (
    check_correction,
    checked_columns,
    chosen_columns,
    refuse_given,
    tsv_path,
)
from groupglm.inference.cluster_regions import with_regions
from groupglm.inference.column_meanings import described
from groupglm.inference.corrected_p.permuted import PermutedMaps
from groupglm.inference.effect_columns import effects_of_fit, with_effects
from groupglm.inference.map_results import checked_limits, results_of_row, tested_map
from groupglm.inference.random_fields.map_field import field_of_result, refuse_places_apart
from groupglm.inference.results_rows import Correction, Limits, TestedRow, public_rows
from groupglm.models.effect_sizes import check_confidence
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.rounding import rounded
from groupglm.runtime.writing import write_whole
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.narrowing import narrowed

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import pandas as pd

    from groupglm.estimator.effect_maps import ContrastMaps
    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.inference.random_fields.map_field import MapField
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.spaces.images import ImageLike

__all__ = ["get_results_table"]


def get_results_table(
    stat_img: ImageLike | tuple[Any, Any],
    stat_threshold: float | None = None,
    cluster_threshold: float = 0,
    two_sided: bool = False,
    min_distance: float = 8.0,
    *,
    correction: Correction,
    mask_img: Any = None,
    smoothness: Smoothness | None = None,
    permutations: Any = None,
    atlas: Any = None,
    columns: Sequence[str] | None = None,
    confidence: float = 0.95,
    first_level_contrast: Any = None,
    surfaces: Any = None,
    areas: Any = None,
    output: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Tabulate peaks and clusters with their p-values, as a paper reports them.

    Parameters
    ----------
    stat_img : image, path, pair of images, or pair (model, contrast)
        A map of z-values, or of t or F whose degrees of freedom are known, which is then converted
        to z. Or a fitted model and a contrast of it, as `SecondLevelModel.compute_contrast` takes
        it: the table then has effects with their intervals too.
    stat_threshold : float, optional
        The z beyond which places form clusters, and beyond which peaks are listed. A negative one,
        with ``two_sided=False``, is for the negative tail. It may be left out for
        ``correction="permutation"`` if the test formed clusters: they are taken as they are.
    cluster_threshold : float, default=0
        Leave out smaller clusters: of fewer voxels, or of fewer mm2 on a surface.
    two_sided : bool, default=False
        Whether both tails are tested: p-values are then of both.
    min_distance : float, default=8.0
        Least distance in mm of a subpeak from the one listed before it.
    correction : {"fpr", "fdr", "bonferroni", "rft", "permutation"}
        The method of the p-values. "fpr": p of each place by itself. "fdr": false discovery rate
        of places. "bonferroni": familywise error over places. "rft": random field theory, of
        peaks, clusters and their set. "permutation": familywise error from `permutations`.
    mask_img : image, path or masker, optional
        Of a map: the places that were tested, as `threshold_stats_img` takes it.
    smoothness : Smoothness, optional
        For "rft". By default that of the model, or the one in the sidecar of the map.
    permutations : mapping of str to image, or image, optional
        For "permutation": what `non_parametric_inference` returned for this contrast, whose tails
        the p-values are of.
    atlas : Atlas, str, os.PathLike, image or pair of images, optional
        Names the places, as in `get_clusters_table`.
    columns : sequence of str, optional
        The columns wanted, in their order. By default all that there are.
    confidence : float, default=0.95
        Level of the intervals of effects.
    first_level_contrast : str, array or list of them, optional
        Of a model: the kind of maps, as in `SecondLevelModel.compute_contrast`.
    surfaces, areas : optional
        Of a map of surfaces, as in `get_clusters_table`.
    output : str or os.PathLike, optional
        A .tsv file to write the table to, rounded for reading. A .json of the same name says what
        each column is and where its method is from, as BIDS has it.

    Returns
    -------
    pandas.DataFrame
        One row for each peak, clusters in the order of their highest peak, as in
        `get_clusters_table`. Columns that the correction does not define are absent:

        - ``Cluster ID``, ``Structure``, ``Vertex``, ``X``, ``Y``, ``Z`` (mm), and the sizes of
          clusters in each unit. A table of regions has their names in the place of clusters.
        - ``Peak Stat``: the z of the peak; ``t`` or ``F``: the statistic it was made from.
        - ``Set p``: of as many clusters of at least `cluster_threshold` ("rft").
        - ``Cluster p (FWE)``: of the cluster's size ("rft", "permutation");
          ``Cluster p (FWE, mass)``: of its mass ("permutation").
        - ``Cluster q (FDR)``, ``Cluster p (uncorrected)``: of the cluster's size ("rft").
        - ``Peak p (FWE)``: of the peak's height ("bonferroni", "rft", "permutation");
          ``Peak p (FWE, TFCE)``: of its enhanced statistic ("permutation").
        - ``Peak q (FDR)``: false discovery rate over peaks ("rft").
        - ``q (FDR)``: false discovery rate over places ("fdr").
        - ``p (uncorrected)``: of the place by itself.
        - ``Effect``, ``Effect CI Low``, ``Effect CI High``, ``Cohen's d``, ``Cohen's d CI Low``,
          ``Cohen's d CI High``: of a t contrast of a model.
        - ``Region``, ``Regions of Cluster``: with `atlas`.

        Columns of clusters are empty in the rows of further peaks.

    Raises
    ------
    ValueError
        If an argument is out of range or lacks what it needs; if a column is asked for that the
        correction does not define; if clusters are not those of the permutation test.
    groupglm.errors.ImageError
        If a map cannot be read, is not of z, t or F, or is thresholded already as its sidecar says.
    GridMismatchError
        If mask, atlas or permutations are on another grid.

    Warns
    -----
    UserWarning
        If a map of t or F was converted to z.

    Notes
    -----
    With both tails, p-values of random fields are twice those of one tail, as the thresholds of
    `threshold_stats_img` are of half of alpha, and clusters of both are counted in `Set p`.

    The false discovery rate of peaks is the topological one [2]_: a peak z above the threshold u
    has the p-value E(z) / E(u), where E is the expected number of clusters above a height, and
    Benjamini and Hochberg's procedure is over all peaks above u, in the table or not. That of
    clusters is over all clusters above u by the p-value of their size [1]_. Peaks were chosen for
    their height: their effects in new data will be smaller.

    References
    ----------
    .. [1] J. R. Chumbley and K. J. Friston, "False discovery rate revisited: FDR and topological
       inference using Gaussian random fields", NeuroImage 44 (2009), pp. 62-70.
    .. [2] J. Chumbley, K. Worsley, G. Flandin and K. Friston, "Topological FDR for neuroimaging",
       NeuroImage 49 (2010), pp. 3057-3064.

    Examples
    --------
    >>> import groupglm, nibabel, numpy as np
    >>> z = np.zeros((9, 9, 9))
    >>> z[2:7, 2:7, 2:7] = 1.0
    >>> z[4, 4, 3:6] = 3.5, 4.5, 3.2
    >>> image = nibabel.Nifti1Image(z, np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> table = groupglm.get_results_table(image, 3.0, correction="bonferroni")
    >>> table[["Cluster ID", "Peak Stat", "Peak p (FWE)"]].round(4)
       Cluster ID  Peak Stat  Peak p (FWE)
    0           1        4.5        0.0004
    """
    check_correction(correction, permutations=permutations, smoothness=smoothness)
    two_sided = check_truth("two_sided", two_sided)
    wanted, path = checked_columns(columns), tsv_path(output)
    level = check_confidence(confidence)
    maps = None
    if _is_model(stat_img):
        model, contrast = cast("tuple[Any, Any]", stat_img)
        refuse_given(
            "leave it out: the model has its own", mask_img=mask_img, surfaces=surfaces, areas=areas
        )
        maps = model._contrast_maps(contrast, first_level_contrast, None)
        tested = _of_model(model, maps, smoothness, two_sided=two_sided)
    else:
        refuse_given(
            "leave it out: a map is of one kind", first_level_contrast=first_level_contrast
        )
        geometry = Geometry(surfaces, areas)
        tested = tested_map(stat_img, mask_img, smoothness, geometry, two_sided=two_sided)
    given = None if maps is not None else stat_img
    limits = checked_limits(stat_threshold, cluster_threshold, min_distance, given, tested)
    permuted = None if permutations is None else PermutedMaps.read(permutations, tested.space)
    found, method = results_of_row(tested, limits, correction, permuted)
    if maps is not None:
        found = _with_effects(found, maps, level)
    if atlas is not None:
        found = with_regions(found, as_atlas(atlas), tested.name)
    table = chosen_columns(public_rows(found), wanted, correction)
    if path is not None:
        _write(table, path, method.sources, correction, limits, level, two_sided=tested.two_sided)
    return table


def _with_effects(found: FoundClusters, maps: ContrastMaps, confidence: float) -> FoundClusters:
    """Add the columns of effects of a t contrast to a table."""
    if maps.result.stat_type != "t":
        return found
    null_value = maps.result.null_value
    columns = effects_of_fit(
        maps.group.result, maps.values, found.places, null_value=null_value, confidence=confidence
    )
    return with_effects(found, columns)


def _is_model(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], EffectMaps)


def _of_model(
    model: Any, maps: ContrastMaps, smoothness: Smoothness | None, *, two_sided: bool
) -> TestedRow:
    """Return the z-scores of a contrast of a model, in the precision of its images."""
    result = maps.result

    def field() -> MapField:
        refuse_places_apart(maps.group.space)  # also of a smoothness that was given
        words = maps.group.space.place_words
        return field_of_result(result, smoothness or model.smoothness_, words)

    return TestedRow(
        f"the map of contrast {maps.label}",
        maps.group.space,
        narrowed(result.z_score).astype(np.float64),
        two_sided and result.stat_type == "t",
        (result.stat_type, result.stat),
        field,
    )


def _write(
    table: pd.DataFrame,
    path: Any,
    sources: Any,
    correction: str,
    limits: Limits,
    confidence: float,
    *,
    two_sided: bool,
) -> None:
    """Write a table and its sidecar, each whole or not at all."""
    facts = {
        "Description": "Peaks and clusters with their p-values",
        **described(table, sources, confidence),
        "Correction": correction,
        "ClusterFormingThreshold": limits.threshold,
        "ClusterThreshold": limits.cluster_threshold,
        "TwoSided": two_sided,
    }
    text = rounded(table).to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n")
    write_whole(path.with_suffix(".json"), (json.dumps(facts, indent=2) + "\n").encode())
    write_whole(path, text.encode())
