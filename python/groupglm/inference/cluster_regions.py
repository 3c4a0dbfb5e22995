# SPDX-License-Identifier: BSD-3-Clause
"""The regions of an atlas that peaks and clusters are in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array

from groupglm.errors import in_quotes, warn_caller
from groupglm.inference.cluster_columns import REGION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.atlases.atlas import Atlas
    from groupglm.inference.found_clusters import FoundClusters

__all__ = ["shares_in_regions", "with_regions"]

_MOST_NAMED = 10
_SMALLEST = 0.0005  # a share that is shown as 0.1%


def with_regions(found: FoundClusters, atlas: Atlas, name: str = "the map") -> FoundClusters:
    """Add to a table of clusters the region of each peak, and the regions of each cluster.

    With an atlas of probabilities, the region of a peak has its probability after it.

    Parameters
    ----------
    found : FoundClusters
        The clusters.
    atlas : Atlas
        The regions.
    name : str
        The map's name in messages.

    Returns
    -------
    FoundClusters
        The same clusters; their table has two more columns.

    Raises
    ------
    groupglm.errors.GridMismatchError
        If the atlas lies elsewhere.

    Warns
    -----
    UserWarning
        If no place of the map has a label.
    """
    regions = atlas.at(found.space, name)
    if not regions.any():
        one, _ = found.space.place_words
        warn_caller(
            f"no {one} of {name} is in a region of the atlas {in_quotes(atlas.name)}; check that "
            "both are in the same space"
        )
    weights = found.space.weights()
    texts: dict[int, str] = {}
    for labels in found.labels:
        for cluster, shares in shares_in_regions(labels, regions, weights).items():
            texts[cluster] = _words([(atlas.name_of(n), share) for n, share in shares])
    at_peaks = regions[found.places].tolist()
    peaks = [atlas.name_of(number) for number in at_peaks]
    probabilities = atlas.probabilities_at(found.space, name)
    if probabilities is not None:
        peaks = [
            f"{own} {_percent(share)}" if number else own
            for own, number, share in zip(
                peaks, at_peaks, probabilities[found.places].tolist(), strict=True
            )
        ]
    # Those of further peaks have a letter, and no size either.
    ids = [str(own) for own in found.table["Cluster ID"]]
    table = found.table.copy()
    table[REGION_COLUMNS[0]] = np.array(peaks, object)
    table[REGION_COLUMNS[1]] = np.array(
        [texts.get(int(own), "") if own.isdigit() else "" for own in ids], object
    )
    return replace(found, table=table)


def shares_in_regions(
    clusters: NDArray[np.int32],
    regions: NDArray[np.int32],
    weights: NDArray[np.float64] | None = None,
) -> dict[int, list[tuple[int, float]]]:
    """Return the share of each cluster that is in each region, the largest first.

    Parameters
    ----------
    clusters, regions : arrays of int, shape (n_values,)
        The cluster, and the region, of each place; zero in none.
    weights : array, shape (n_values,), optional
        What each place counts, such as its area; by default one.

    Returns
    -------
    dict of int to list of (int, float)
        For each cluster its regions, zero too, and their shares, which add up to one.

    Examples
    --------
    >>> import numpy as np
    >>> shares_in_regions(np.array([0, 1, 1, 1, 1]), np.array([5, 5, 0, 5, 5]))
    {1: [(5, 0.75), (0, 0.25)]}
    """
    members = np.flatnonzero(clusters)
    if not members.size:
        return {}
    numbers, at = np.unique(regions[members], return_inverse=True)
    own = clusters[members].astype(np.int64)
    amounts = np.ones(len(members)) if weights is None else weights[members]
    # Conversion to rows adds up what is in one cluster and one region, in linear time.
    shape = (int(own.max()) + 1, len(numbers))
    table = coo_array((amounts, (own, at.ravel())), shape=shape).tocsr()
    found: dict[int, list[tuple[int, float]]] = {}
    for cluster in np.unique(own).tolist():
        part = slice(table.indptr[cluster], table.indptr[cluster + 1])
        sums, which = table.data[part], numbers[table.indices[part]]
        total = sums.sum()  # zero if all its vertices have no area
        shares = sums / total if total > 0 else np.full(len(sums), 1 / len(sums))
        order = np.lexsort((which, -shares))
        found[cluster] = list(zip(which[order].tolist(), shares[order].tolist(), strict=True))
    return found


def _words(shares: Sequence[tuple[str, float]]) -> str:
    """Return shares in words: ``Amygdala 62.5%; no label 37.5%``."""
    texts = [f"{name} {_percent(share)}" for name, share in shares[:_MOST_NAMED]]
    rest = shares[_MOST_NAMED:]
    if rest:
        texts.append(f"{len(rest)} others {_percent(sum(share for _, share in rest))}")
    return "; ".join(texts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if share >= _SMALLEST else "<0.1%"
