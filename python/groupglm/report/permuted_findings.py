# SPDX-License-Identifier: BSD-3-Clause
"""The findings of a contrast's permutation test: places with a small p, and their clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.cluster_regions import with_regions
from groupglm.inference.cluster_table import tabulate
from groupglm.inference.corrected_p.columns import with_p_values
from groupglm.inference.corrected_p.methods import PermutedMaxima, TestedMap
from groupglm.inference.corrected_p.permuted import read_permuted_row
from groupglm.inference.places_table import tabulate_places
from groupglm.report.findings import Finding, main_peaks, peak_at, with_places
from groupglm.spaces.narrowing import narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from groupglm.atlases.atlas import Atlas
    from groupglm.inference.corrected_p.methods import Method
    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.report.findings import Row
    from groupglm.report.permutation_test import PermutationTest
    from groupglm.spaces.base import Space

__all__ = ["PermutedFinding", "find_permuted"]


@dataclass(frozen=True, eq=False)
class PermutedFinding(Finding):
    """The findings of a permutation test; its peaks and clusters are those of z where p is small.

    Parameters
    ----------
    kind : {"voxel", "size", "mass", "tfce"}
        The tested quantity: the statistic of voxels, size or mass of clusters, or enhanced
        statistics.
    logp : array, shape (n_values,)
        -log10 of corrected p; 0 where a place was not tested.
    smallest_p : float
        The smallest corrected p; it is at `top`.
    test : PermutationTest
        Number of permutations, tails and level.
    """

    kind: str
    logp: Row
    smallest_p: float
    test: PermutationTest


def find_permuted(
    finding: Finding,
    test: PermutationTest,
    min_distance: float,
    atlas: Atlas | None = None,
) -> Iterator[PermutedFinding]:
    """Find where a permutation test's corrected p is below its level."""
    z, space = finding.z, finding.space
    for kind, image in test.maps.items():
        of = space.place_words[0] if kind == "voxel" else kind
        named = f"the permutation's map of {finding.name} ({of})"
        # 0 where a place was not tested.
        logp = np.nan_to_num(read_permuted_row(image, space, named), nan=0.0)
        # The z of F has one tail.
        two_sided = test.two_sided and finding.result.stat_type == "t"
        survives = (logp > -math.log10(test.alpha)) & ((z > 0) | ((z < 0) & two_sided))
        kept = np.where(survives, z, 0.0)
        method = PermutedMaxima({kind: logp})
        found = _clusters(space, kept, z, method, min_distance, two_sided=two_sided)
        if atlas is not None and space.has_neighbours:
            found = with_regions(found, atlas, named)
        top = int(np.lexsort((-np.abs(z), -logp))[0])  # of equal p, the strongest
        peak = peak_at(top, space, z)
        yield PermutedFinding(
            name=finding.name,
            expression=finding.expression,
            weights=finding.weights,
            result=finding.result,
            two_sided=two_sided,
            threshold=0.0,
            space=space,
            z=z,
            shown=finding.shown,
            survivors=narrowed(kept),
            table=with_places(found),
            places=found.places,
            extremes=finding.extremes,
            top=peak,
            peaks=main_peaks(found, z) or (peak,),
            cluster_threshold=0,
            top_size=0,
            cluster_sizes={},
            n_left_out=0,
            kind=kind,
            logp=narrowed(logp),
            smallest_p=float(10.0 ** -logp[top]),
            test=test,
        )


def _clusters(
    space: Space,
    kept: NDArray[np.float64],
    z: NDArray[np.float64],
    method: Method,
    min_distance: float,
    *,
    two_sided: bool,
) -> FoundClusters:
    """Find the clusters in the surviving values of z, with their corrected p."""
    limit = float(np.abs(kept[kept != 0]).min(initial=np.inf)) / 2
    if space.has_neighbours:
        found = tabulate(space, kept, limit, two_sided=two_sided, min_distance=min_distance)
    else:
        found = tabulate_places(space, kept, limit, two_sided=two_sided)
    tested = TestedMap(z[~np.isnan(z)], limit, two_sided)
    return with_p_values(found, tested, method).strongest_first()
