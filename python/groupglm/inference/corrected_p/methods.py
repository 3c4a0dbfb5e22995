# SPDX-License-Identifier: BSD-3-Clause
"""Methods of p-values: which columns of peaks and of clusters each of them defines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError
from groupglm.inference.corrected_p.fdr import q_at
from groupglm.inference.corrected_p.names import (
    CLUSTER_FDR,
    CLUSTER_FWE,
    CLUSTER_MASS,
    CLUSTER_P,
    PEAK_FDR,
    PEAK_FWE,
    PEAK_TFCE,
    PLACE_FDR,
    PLACE_P,
    SET_P,
)
from groupglm.inference.corrected_p.random_field import cluster_columns, p_of_set, peak_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.found_clusters import FoundClusters
    from groupglm.inference.random_fields.map_field import MapField
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.spaces.base import Space

    Floats = NDArray[np.float64]

__all__ = [
    "PERMUTED_COLUMNS",
    "RANDOM_FIELD_SOURCES",
    "Bonferroni",
    "FalseDiscoveryRate",
    "Method",
    "PermutedMaxima",
    "RandomField",
    "TestedMap",
    "Uncorrected",
]


@dataclass(frozen=True, eq=False)
class TestedMap:
    """The z-scores that the clusters of a table are of.

    Attributes
    ----------
    tests : array, shape (n_tests,)
        The z of all tested places.
    threshold : float
        The z beyond which places form clusters; negative for the negative tail alone.
    two_sided : bool
        Whether both tails were tested.
    least : float, or mapping of str to float
        The least size of a cluster in the table, or that of each part by its name; 0 without a
        limit.
    """

    tests: Floats
    threshold: float
    two_sided: bool
    least: float | Mapping[str, float] = 0.0

    @property
    def n_tails(self) -> int:
        """Number of tails."""
        return 2 if self.two_sided else 1

    def evidence(self, z: Floats) -> Floats:
        """Return the size of z in the direction that was tested."""
        return np.abs(z) if self.two_sided else -z if self.threshold < 0 else z

    def p(self, z: Floats) -> Floats:
        """Return the p-values of z-scores, not corrected."""
        return np.asarray(self.n_tails * special.ndtr(-self.evidence(z)))

    @cached_property
    def all_p(self) -> Floats:
        """The p-values of all tests."""
        return self.p(self.tests)


class Method(Protocol):
    """A method of p-values."""

    @property
    def sources(self) -> Mapping[str, str]:
        """The columns that the method defines, and where the method of each is from."""
        ...

    def of_peaks(self, found: FoundClusters, z: Floats, tested: TestedMap) -> dict[str, Floats]:
        """Return the columns of peaks, a value for each row of the table, whose z are given."""
        ...

    def of_clusters(
        self, found: FoundClusters, places: NDArray[np.intp], tested: TestedMap
    ) -> dict[str, Floats]:
        """Return the columns of clusters, a value for each of the places, which are their peaks."""
        ...


_TAIL = "tail of the normal distribution"


@dataclass(frozen=True)
class Uncorrected:
    """The p-value of each place by itself."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Columns and their sources."""
        return {PLACE_P: _TAIL}

    def of_peaks(self, found: FoundClusters, z: Floats, tested: TestedMap) -> dict[str, Floats]:
        """Return the columns of peaks."""
        del found
        return {PLACE_P: tested.p(z)}

    def of_clusters(
        self, found: FoundClusters, places: NDArray[np.intp], tested: TestedMap
    ) -> dict[str, Floats]:
        """Return no column: no cluster is tested."""
        del found, places, tested
        return {}


@dataclass(frozen=True)
class Bonferroni(Uncorrected):
    """Bonferroni's correction for the number of tested places."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Columns and their sources."""
        return {PEAK_FWE: "Bonferroni correction (Dunn 1961)", **super().sources}

    def of_peaks(self, found: FoundClusters, z: Floats, tested: TestedMap) -> dict[str, Floats]:
        """Return the columns of peaks."""
        own = super().of_peaks(found, z, tested)
        return {PEAK_FWE: np.minimum(own[PLACE_P] * len(tested.tests), 1.0), **own}


@dataclass(frozen=True)
class FalseDiscoveryRate(Uncorrected):
    """The false discovery rate of places."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Columns and their sources."""
        return {PLACE_FDR: "Benjamini and Hochberg 1995", **super().sources}

    def of_peaks(self, found: FoundClusters, z: Floats, tested: TestedMap) -> dict[str, Floats]:
        """Return the columns of peaks."""
        own = super().of_peaks(found, z, tested)
        return {PLACE_FDR: q_at(own[PLACE_P], tested.all_p), **own}


RANDOM_FIELD_SOURCES = {
    SET_P: "random field theory (Friston et al. 1996)",
    CLUSTER_FWE: "random field theory (Friston et al. 1994)",
    CLUSTER_FDR: "topological false discovery rate (Chumbley and Friston 2009)",
    CLUSTER_P: "random field theory (Friston et al. 1994)",
    PEAK_FWE: "random field theory (Worsley et al. 1996)",
    PEAK_FDR: "topological false discovery rate (Chumbley et al. 2010)",
    PLACE_P: _TAIL,
}
"""Where the columns of random field theory are from."""


@dataclass(frozen=True)
class RandomField(Uncorrected):
    """Random field theory: of peaks, of clusters by their size, and of their set.

    Attributes
    ----------
    field : MapField
        The statistic, its degrees of freedom, and the smoothness of the noise.
    """

    field: MapField

    @property
    def sources(self) -> Mapping[str, str]:
        """Columns and their sources."""
        return RANDOM_FIELD_SOURCES

    def of_peaks(self, found: FoundClusters, z: Floats, tested: TestedMap) -> dict[str, Floats]:
        """Return the columns of peaks."""
        own = super().of_peaks(found, z, tested)
        if found.find_all is None or not len(z):  # of an infinite threshold too
            return {PEAK_FWE: np.ones(len(z)), PEAK_FDR: np.ones(len(z)), **own}
        limit = abs(tested.threshold)
        maxima = found.find_all().maxima
        heights = tested.evidence(z)
        return {**peak_columns(heights, maxima, limit, self.field, tested.n_tails), **own}

    def of_clusters(
        self, found: FoundClusters, places: NDArray[np.intp], tested: TestedMap
    ) -> dict[str, Floats]:
        """Return the columns of clusters."""
        if found.find_all is None or not len(places):
            return {name: np.ones(0) for name in (SET_P, CLUSTER_FWE, CLUSTER_FDR, CLUSTER_P)}
        every, limit = found.find_all(), abs(tested.threshold)
        parts = _part_numbers(every.places, found.space, self.field.smoothness)
        columns = cluster_columns(every.sizes, parts, limit, self.field, tested.n_tails)
        own = every.labels[places] - 1
        of_set = p_of_set(len(places), tested.least, limit, self.field, tested.n_tails)
        return {
            SET_P: np.full(len(places), of_set),
            **{name: values[own] for name, values in columns.items()},
        }


def _part_numbers(
    places: NDArray[np.intp], space: Space, smoothness: Smoothness
) -> NDArray[np.intp]:
    """Return the number of the part of the smoothness in which places are."""
    parts = space.parts
    numbers = np.searchsorted([part.end for part in parts], places, side="right")
    known = [part.name for part in smoothness.parts]
    unknown = [parts[n].name for n in np.unique(numbers).tolist() if parts[n].name not in known]
    if unknown and not len(parts) == len(known) == 1:
        raise ArgumentError(
            "smoothness",
            f"that of {', '.join(known)}, and clusters are in {', '.join(unknown)}",
            remedy="give the smoothness of the same places: model.smoothness_",
        )
    index = [known.index(part.name) if part.name in known else 0 for part in parts]
    return np.array(index, np.intp)[numbers]


PERMUTED_COLUMNS = {
    "voxel": PEAK_FWE,
    "size": CLUSTER_FWE,
    "mass": CLUSTER_MASS,
    "tfce": PEAK_TFCE,
}
"""The column of each quantity that a permutation test may test."""

_PERMUTED_SOURCES = {
    PEAK_FWE: "permutation, largest statistic (Nichols and Holmes 2002)",
    CLUSTER_FWE: "permutation, largest cluster size (Bullmore et al. 1999)",
    CLUSTER_MASS: "permutation, largest cluster mass (Bullmore et al. 1999)",
    PEAK_TFCE: "permutation, largest enhanced statistic (Smith and Nichols 2009)",
}


@dataclass(frozen=True, eq=False)
class PermutedMaxima(Uncorrected):
    """The largest values of each rearrangement of a permutation test.

    Attributes
    ----------
    logp : dict of str to array, shape (n_values,)
        -log10 of corrected p at each place, by the tested quantity: "voxel", "size", "mass",
        "tfce". NaN where a place was not tested.
    """

    logp: Mapping[str, Floats]

    @property
    def sources(self) -> Mapping[str, str]:
        """Columns and their sources."""
        own = [PERMUTED_COLUMNS[kind] for kind in self.logp]
        return {**{name: _PERMUTED_SOURCES[name] for name in own}, **super().sources}

    def of_peaks(self, found: FoundClusters, z: Floats, tested: TestedMap) -> dict[str, Floats]:
        """Return the columns of peaks."""
        return {
            **self._at(found.places, ("voxel", "tfce")),
            **super().of_peaks(found, z, tested),
        }

    def of_clusters(
        self, found: FoundClusters, places: NDArray[np.intp], tested: TestedMap
    ) -> dict[str, Floats]:
        """Return the columns of clusters."""
        del found, tested
        return self._at(places, ("size", "mass"))

    def _at(self, places: NDArray[np.intp], kinds: tuple[str, ...]) -> dict[str, Floats]:
        return {
            PERMUTED_COLUMNS[kind]: 10.0 ** -self.logp[kind][places]
            for kind in kinds
            if kind in self.logp
        }
