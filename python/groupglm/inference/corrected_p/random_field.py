# SPDX-License-Identifier: BSD-3-Clause
"""p-values of peaks, clusters and their set by random field theory, of one tail or of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from groupglm.inference.corrected_p.fdr import q_at, q_values
from groupglm.inference.corrected_p.names import (
    CLUSTER_FDR,
    CLUSTER_FWE,
    CLUSTER_P,
    PEAK_FDR,
    PEAK_FWE,
)
from groupglm.inference.random_fields.expected import Field
from groupglm.inference.random_fields.p_values import (
    checked_threshold,
    cluster_p,
    cluster_tail,
    peak_p,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.random_fields.map_field import MapField

    Floats = NDArray[np.float64]

__all__ = ["cluster_columns", "p_of_set", "peak_columns"]


def peak_columns(
    heights: Floats, maxima: Floats, threshold: float, field: MapField, n_tails: int
) -> dict[str, Floats]:
    """Return the columns of peaks, by random field theory.

    Parameters
    ----------
    heights : array, shape (n,)
        The z of the peaks of a table, without their signs.
    maxima : array, shape (m,)
        The z of all peaks above the threshold, in the table or not, without their signs.
    threshold : float
        The z above which places form clusters.
    field : MapField
        The statistic, its degrees of freedom, and the smoothness.
    n_tails : int
        1, or 2 if negative values were tested too.

    Returns
    -------
    dict of str to array, shape (n,)
        Familywise p, and q of the false discovery rate of peaks. A peak above the threshold u has
        the p-value E(z) / E(u), where E is the expected number of clusters above a height: the
        topological false discovery rate of Chumbley, Worsley, Flandin and Friston (2010).
    """
    kind, df, smooth = field.stat_type, field.df, field.smoothness
    own = Field.of(kind, df, on_z_scale=True)
    height = checked_threshold(threshold, own, smooth)
    above = own.expected(np.array([height]), smooth.parts)[0]

    def of_one_peak(values: Floats) -> Floats:
        expected = own.expected(np.maximum(values, height), smooth.parts)
        return np.minimum(expected / above, 1.0) if above > 0 else np.ones(len(values))

    return {
        PEAK_FWE: np.minimum(n_tails * peak_p(heights, kind, df, smooth, on_z_scale=True), 1.0),
        PEAK_FDR: q_at(of_one_peak(heights), of_one_peak(maxima)),
    }


def cluster_columns(
    sizes: Floats,
    parts: NDArray[np.intp],
    threshold: float,
    field: MapField,
    n_tails: int,
) -> dict[str, Floats]:
    """Return the columns of clusters, by random field theory.

    Parameters
    ----------
    sizes : array, shape (k,)
        The sizes of all clusters above the threshold, in the unit of their part.
    parts : array of int, shape (k,)
        The number of each cluster's part of the smoothness.
    threshold, field, n_tails
        As of `peak_columns`.

    Returns
    -------
    dict of str to array, shape (k,)
        Familywise p; q of the false discovery rate over all clusters, of Chumbley and Friston
        (2009); p of one cluster.
    """
    kind, df, smooth = field.stat_type, field.df, field.smoothness
    fwe, uncorrected = cluster_p(sizes, threshold, kind, df, smooth, parts=parts, on_z_scale=True)
    return {
        CLUSTER_FWE: np.minimum(n_tails * fwe, 1.0),
        CLUSTER_FDR: q_values(uncorrected),
        CLUSTER_P: uncorrected,
    }


def p_of_set(
    n_clusters: int,
    least: float | Mapping[str, float],
    threshold: float,
    field: MapField,
    n_tails: int,
) -> float:
    """Return the p of a set: that noise has as many clusters of at least some size.

    The size is one, in the unit of each part, or one of each part by its name. As
    `set_p` of random fields, of one tail or of both, whose numbers of clusters add up.
    """
    kind, df, smooth = field.stat_type, field.df, field.smoothness
    if n_clusters == 0:
        return 1.0
    own = Field.of(kind, df, on_z_scale=True)
    height = checked_threshold(threshold, own, smooth)
    rate = 0.0
    for part in smooth.parts:
        size = least.get(part.name, 0.0) if isinstance(least, Mapping) else least
        number = float(own.expected(np.array([height]), [part])[0])
        rate += n_tails * number * float(cluster_tail(np.array([size]), height, own, part)[0])
    return float(special.pdtrc(n_clusters - 1, rate))  # P(N > n - 1)
