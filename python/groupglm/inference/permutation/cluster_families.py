# SPDX-License-Identifier: BSD-3-Clause
"""Places whose clusters are compared with each other: `ClusterFamily`.

A size in mm2 cannot be compared with a size in voxels. The parts of a row therefore make families,
one for each unit and rule of TFCE: two hemispheres are one family, cortex and subcortex are two.
Each family has its own maxima.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm._core import Neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.spaces.base import Part, Space

    Floats = NDArray[np.float64]
    Places = slice | NDArray[np.int64]

__all__ = ["ClusterFamily", "TfceOptions", "cluster_families"]

# The relative difference within which sums of the same terms in another order are equal: the
# enhanced statistics of a map and their maximum, and sizes of clusters with weights.
SUMMED = 1e-9


@dataclass(frozen=True)
class TfceOptions:
    """Threshold-free cluster enhancement.

    Parameters
    ----------
    powers : pair of float, optional
        E of the extent and H of the height; by default those of each family.
    n_steps : int
        0 for the exact integral; else the number of heights of a sum, as in fslmaths.
    """

    powers: tuple[float, float] | None = None
    n_steps: int = 0


@dataclass(frozen=True, eq=False)
class ClusterFamily:
    """Places whose clusters are compared with each other.

    Parameters
    ----------
    name : str
        Their unit, such as ``voxels`` or ``mm2``.
    places : slice or array of int, shape (n,)
        The positions of the places in a row.
    neighbours : Neighbours
        The neighbours of these places, in their order.
    weights : array, shape (n,), or None
        The weight of each place in the size and the mass of a cluster; None if each counts one.
    tfce_powers : pair of float
        E of the extent and H of the height, if the user gives none.
    """

    name: str
    places: Places
    neighbours: Neighbours
    weights: Floats | None = None
    tfce_powers: tuple[float, float] = (0.5, 2.0)

    def __reduce__(self) -> tuple[Any, ...]:
        # The neighbours are sent as arrays: a worker's processor may use the core of another level.
        lists = self.neighbours.adjacency()
        return _restore, (self.name, self.places, lists, self.weights, self.tfce_powers)

    def cluster_maxima(
        self, maps: Floats, threshold: float, n_threads: int, *, two_sided: bool
    ) -> tuple[Floats, Floats]:
        """Return the largest size and the largest mass in each of several maps (n_maps, n_all)."""
        sizes, masses = _core.cluster_maxima(
            self._rows(maps), self.neighbours, threshold, two_sided, n_threads, self.weights
        )
        return sizes.astype(np.float64), masses

    def tfce_maxima(
        self, maps: Floats, options: TfceOptions, n_threads: int, *, two_sided: bool
    ) -> Floats:
        """Return the largest enhanced statistic in each of several maps (n_maps, n_all)."""
        return _core.tfce_maxima(
            self._rows(maps),
            self.neighbours,
            *(options.powers or self.tfce_powers),
            two_sided,
            options.n_steps,
            n_threads,
            self.weights,
        )

    def _rows(self, maps: Floats) -> Floats:
        """Return the maps at the family's places; the values of each row are side by side."""
        if isinstance(self.places, slice):
            return maps[:, self.places]
        return np.take(maps, self.places, axis=1)

    def clusters(
        self, statistic: Floats, least: Floats, threshold: float, *, two_sided: bool
    ) -> dict[str, tuple[Floats, Floats]]:
        """Return each place's cluster size and mass, and the least values that tie with them.

        Shapes: `statistic`, `least` (n_all,); returns (n,).
        """
        values, lowest = statistic[self.places], least[self.places]
        labels, found, masses, _ = _core.label_clusters(
            values, self.neighbours, threshold, two_sided, self.weights
        )
        above = np.where(labels > 0, lowest - threshold, 0.0)
        if self.weights is not None:
            above *= self.weights
        sizes = np.append(0.0, found)[labels]
        return {
            "size": (sizes, sizes if self.weights is None else sizes * (1 - SUMMED)),
            "mass": (
                np.append(0.0, masses)[labels],
                np.bincount(labels, weights=above).astype(np.float64)[labels],
            ),
        }

    def enhanced(
        self, statistic: Floats, least: Floats, options: TfceOptions, *, two_sided: bool
    ) -> tuple[Floats, Floats]:
        """Return the enhanced statistic, shape (n,), and the least value that ties with it.

        Shapes: `statistic`, `least` (n_all,).
        """

        def enhance(values: Floats) -> Floats:
            return _core.tfce(
                values,
                self.neighbours,
                *(options.powers or self.tfce_powers),
                two_sided,
                options.n_steps,
                self.weights,
            )

        values = statistic[self.places]
        found = enhance(values)
        if options.n_steps == 0:
            lower = np.maximum(least[self.places], 0.0)
            raised = np.abs(enhance(np.copysign(lower, values)))
        else:  # steps depend on the largest value: no rounding decides whether one more is reached
            raised = np.abs(found)
        return found, raised * (1 - SUMMED)


def _restore(name: str, places: Places, lists: Any, *others: Any) -> ClusterFamily:
    return ClusterFamily(name, places, Neighbours.of_adjacency(*lists), *others)


def cluster_families(space: Space, connectivity: int) -> tuple[ClusterFamily, ...]:
    """Divide the places of a space into families whose clusters can be compared."""
    groups: dict[tuple[str, tuple[float, float]], list[Part]] = {}
    for part in space.parts:
        groups.setdefault((part.unit, part.tfce_powers), []).append(part)
    neighbours, weights = space.neighbours(connectivity), space.weights()
    units = [unit for unit, _ in groups]
    families = []
    for (unit, powers), parts in groups.items():
        alone = units.count(unit) == 1
        name = unit if alone else f"{unit} of {', '.join(part.name for part in parts)}"
        where = _places_of(parts)
        own = None if weights is None else weights[where]
        if own is not None and (own == 1).all():
            own = None
        graph = neighbours if len(groups) == 1 else _graph_of(neighbours, parts)
        families.append(ClusterFamily(name, where, graph, own, powers))
    return tuple(families)


def _places_of(parts: Sequence[Part]) -> Places:
    places = np.concatenate([np.arange(part.first, part.end) for part in parts])
    first, end = parts[0].first, parts[-1].end
    return slice(first, end) if len(places) == end - first else places


def _graph_of(neighbours: Neighbours, parts: Sequence[Part]) -> Neighbours:
    """Return the neighbours of some parts only; no neighbour of their places is outside of them."""
    starts, lists = neighbours.adjacency()
    graphs = []
    for part in parts:
        own = starts[part.first : part.end + 1]
        graphs.append(
            Neighbours.of_adjacency(own - own[0], lists[own[0] : own[-1]] - np.int32(part.first))
        )
    return Neighbours.joined(graphs)
