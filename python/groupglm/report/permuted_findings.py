# SPDX-License-Identifier: BSD-3-Clause
"""What a permutation test of a contrast found: where p is small, in which clusters."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import GridMismatchError
from groupglm.inference.cluster_table import strongest_first, tabulate_clusters
from groupglm.plotting.volumes import Volume
from groupglm.report.findings import (
    Finding,
    Peak,
    empty_table,
    main_peaks,
    place_of,
    position_of,
)
from groupglm.spaces.volume import open_image
from groupglm.spaces.volume.space import volume_space

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.permutation_test import PermutationTest

__all__ = ["PermutedFinding", "find_permuted"]


@dataclass(frozen=True, eq=False)
class PermutedFinding(Finding):
    """What a permutation test found; peaks and clusters are those of z where p is small.

    Parameters
    ----------
    kind : {"voxel", "size", "mass", "tfce"}
        What was tested: the statistic of voxels, size or mass of clusters, or enhanced statistics.
    logp_map : Volume
        -log10 of corrected p; 0 outside the mask, and where a voxel was not tested.
    smallest_p : float
        The smallest of them; `top` is where it is.
    test : PermutationTest
        Number of permutations, tails and level.
    """

    kind: str
    logp_map: Volume
    smallest_p: float
    test: PermutationTest


def find_permuted(
    finding: Finding, test: PermutationTest, group: FittedGroup, min_distance: float
) -> Iterator[PermutedFinding]:
    """Find where a permutation test's corrected p is below its level.

    Parameters
    ----------
    finding : Finding
        The contrast, whatever its threshold.
    test : PermutationTest
        Its permutation test.
    group : FittedGroup
        The fit.
    min_distance : float
        Smallest distance of peaks within a cluster, in mm.

    Yields
    ------
    PermutedFinding
        One for each kind of statistic that was tested.

    Raises
    ------
    groupglm.errors.ImageError
        If a map cannot be read.
    groupglm.errors.GridMismatchError
        If a map is on another grid.
    """
    z = finding.z_row
    for kind, image in test.maps.items():
        logp = _logp(image, group, f"the permutation's map of {finding.name} ({kind})")
        # The z of F has one tail.
        two_sided = test.two_sided and finding.result.stat_type == "t"
        survives = (logp > -math.log10(test.alpha)) & ((z > 0) | ((z < 0) & two_sided))
        kept = np.where(survives, z, 0.0)
        table = _table(kept, logp, group, two_sided, min_distance)
        top = int(np.lexsort((-np.abs(z), -logp))[0])  # of equal p the strongest
        peak = Peak(position_of(group, top), float(z[top]), top, "")
        image_of_kept = group.space.to_image(kept, f"z of {finding.name}")
        yield PermutedFinding(
            name=finding.name,
            expression=finding.expression,
            weights=finding.weights,
            result=finding.result,
            two_sided=two_sided,
            threshold=0.0,
            thresholded=Volume.of(image_of_kept, "thresholded map"),
            z_map=finding.z_map,
            z_row=z,
            table=table,
            extremes=finding.extremes,
            top=peak,
            peaks=main_peaks(table, group, z) or (peak,),
            cluster_threshold=0,
            top_size=0,
            kind=kind,
            logp_map=Volume.of(group.space.to_image(logp, "-log10 p"), "map of p"),
            smallest_p=float(10.0 ** -logp[top]),
            test=test,
        )


def _logp(image: Any, group: FittedGroup, name: str) -> NDArray[np.float64]:
    """Return -log10 of corrected p in the space; 0 where a voxel was not tested."""
    space = volume_space(group.space)
    source = open_image(image, name=name)
    difference = source.difference(space)
    if difference is not None:
        raise GridMismatchError(
            f"{name} is not on the grid of the fit: {difference}; give the test of the same images"
        )
    logp = np.empty(space.n_values, dtype=np.float64)
    source.read_into(logp, space.indices)
    return np.nan_to_num(logp, nan=0.0)


def _table(
    kept: NDArray[np.float64],
    logp: NDArray[np.float64],
    group: FittedGroup,
    two_sided: bool,
    min_distance: float,
) -> pd.DataFrame:
    """List clusters of what is left of z, each peak with its corrected p."""
    sizes = np.abs(kept[kept != 0])
    if sizes.size == 0:
        return empty_table()
    image = group.space.to_image(kept, "z", dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one tail may have no cluster
        found = tabulate_clusters(
            image, float(sizes.min()) / 2, two_sided=two_sided, min_distance=min_distance
        )
    table = strongest_first(found.table)
    places = [
        place_of(group, position) for position in table[["X", "Y", "Z"]].to_numpy(float).tolist()
    ]
    p = [math.nan if place is None else 10.0 ** -logp[place] for place in places]
    table.insert(5, "p (corrected)", p)
    return table
