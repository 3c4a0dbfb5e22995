# SPDX-License-Identifier: BSD-3-Clause
"""The columns of p-values in tables of peaks and clusters: names, meanings, sources."""

from __future__ import annotations

__all__ = [
    "CLUSTER_COLUMNS",
    "CLUSTER_FDR",
    "CLUSTER_FWE",
    "CLUSTER_MASS",
    "CLUSTER_P",
    "MEANINGS",
    "PEAK_FDR",
    "PEAK_FWE",
    "PEAK_TFCE",
    "PLACE_FDR",
    "PLACE_P",
    "PREFIX",
    "P_COLUMNS",
    "SET_P",
]

PREFIX = "logp_max_"
"""The beginning of the names of a permutation test's maps of corrected p."""

SET_P = "Set p"
CLUSTER_FWE = "Cluster p (FWE)"
CLUSTER_MASS = "Cluster p (FWE, mass)"
CLUSTER_FDR = "Cluster q (FDR)"
CLUSTER_P = "Cluster p (uncorrected)"
PEAK_FWE = "Peak p (FWE)"
PEAK_TFCE = "Peak p (FWE, TFCE)"
PEAK_FDR = "Peak q (FDR)"
PLACE_FDR = "q (FDR)"
PLACE_P = "p (uncorrected)"

CLUSTER_COLUMNS = (SET_P, CLUSTER_FWE, CLUSTER_MASS, CLUSTER_FDR, CLUSTER_P)
"""Columns of clusters, which are empty in the rows of further peaks."""

P_COLUMNS = (*CLUSTER_COLUMNS, PEAK_FWE, PEAK_TFCE, PEAK_FDR, PLACE_FDR, PLACE_P)
"""All columns of p-values, in their order in a table."""

MEANINGS = {
    SET_P: "Probability that noise has as many clusters of at least the least size in the table",
    CLUSTER_FWE: "Probability that noise has any cluster as large, anywhere in the search volume",
    CLUSTER_MASS: "Probability that noise has any cluster of as large a mass, anywhere in the "
    "search volume",
    CLUSTER_FDR: "Smallest false discovery rate, over clusters, at which the cluster is a "
    "discovery",
    CLUSTER_P: "Probability that one cluster of noise is as large",
    PEAK_FWE: "Probability that noise has any place as extreme, anywhere in the search volume",
    PEAK_TFCE: "Probability that noise has any place with as large an enhanced statistic, anywhere "
    "in the search volume",
    PEAK_FDR: "Smallest false discovery rate, over peaks above the threshold that forms clusters, "
    "at which the peak is a discovery",
    PLACE_FDR: "Smallest false discovery rate, over all tested places, at which the place of the "
    "peak is a discovery",
    PLACE_P: "Probability that noise is as extreme at this place, not corrected for the number of "
    "places",
}
"""What each column is."""
