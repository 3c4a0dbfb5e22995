# SPDX-License-Identifier: BSD-3-Clause
"""The distribution of maxima under the null hypothesis: here, in threads, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from groupglm.runtime.workers import is_remote, run_remotely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.cluster_families import ClusterFamily, TfceOptions
    from groupglm.inference.permutation.exchange import Rearrangements
    from groupglm.inference.permutation.kernels import Kernel
    from groupglm.models.base import HeldRows

    Floats = NDArray[np.float64]
    Data = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["Corrections", "DataSource", "NullTask", "null_distribution"]

# Work between two looks for Ctrl-C: about a quarter of a second of one core's arithmetic.
_PRODUCTS = 1_000_000_000
_MAP_VALUES = 2_000_000
_TASK_REARRANGEMENTS = 256  # sent to a worker together, so that sending the data pays


@dataclass(frozen=True, eq=False)
class Corrections:
    """The maxima of a test besides those of the statistic itself.

    Parameters
    ----------
    letter : {"t", "F"}
        Name of the statistic.
    two_sided : bool
        Whether negative values count as positive ones do.
    threshold : float, optional
        Cluster-forming threshold of the statistic.
    tfce : TfceOptions, optional
        The options of the enhancement.
    families : tuple of ClusterFamily
        Needed for clusters and enhancement: each family has maxima of its own.
    """

    letter: str
    two_sided: bool
    threshold: float | None = None
    tfce: TfceOptions | None = None
    families: tuple[ClusterFamily, ...] = ()

    @property
    def need_maps(self) -> bool:
        """Whether whole maps are needed, and not only their largest values."""
        return self.threshold is not None or self.tfce is not None

    def names(self) -> tuple[str, ...]:
        """Return the names of the maxima."""
        clusters = ("size", "mass") if self.threshold is not None else ()
        measures = (*clusters, *(("tfce",) if self.tfce is not None else ()))
        return (self.letter, *(name for each in measures for name in self.names_of(each)))

    def names_of(self, measure: str) -> tuple[str, ...]:
        """Return a measure's names of maxima: ``size``, or one a family (``size_mm2``)."""
        if len(self.families) == 1:
            return (measure,)
        return tuple(f"{measure}_{family.name}" for family in self.families)

    def maxima(self, maps: Floats, n_threads: int) -> dict[str, Floats]:
        """Return the maxima of maps (n_maps, n_voxels), except those of the statistic itself."""
        found: dict[str, list[Floats]] = {}
        for family in self.families:
            if self.threshold is not None:
                sizes, masses = family.cluster_maxima(
                    maps, self.threshold, n_threads, two_sided=self.two_sided
                )
                found.setdefault("size", []).append(sizes)
                found.setdefault("mass", []).append(masses)
            if self.tfce is not None:
                largest = family.tfce_maxima(maps, self.tfce, n_threads, two_sided=self.two_sided)
                found.setdefault("tfce", []).append(largest)
        return {
            name: maxima
            for measure, each in found.items()
            for name, maxima in zip(self.names_of(measure), each, strict=True)
        }


class DataSource(Protocol):
    """The source of the data: an array, or images that each worker reads for itself."""

    def load(self, n_threads: int) -> HeldRows:
        """Return the data, a row an image; NaN where a value is missing."""
        ...

    def digest(self, n_threads: int) -> str:
        """Return a hash of all the data."""
        ...

    @property
    def place_words(self) -> tuple[str, str]:
        """The words for one place and for several."""
        ...

    def name_places(self, columns: NDArray[np.int64]) -> str:
        """Name the first of some places in the user's words."""
        ...


@dataclass(frozen=True, eq=False)
class NullTask:
    """A task for a worker: the maxima of some rearrangements.

    Parameters
    ----------
    source : DataSource
        The data.
    kernel : Kernel
        Computes the statistic.
    corrections : Corrections
        The maxima to compute.
    rearrangements : Rearrangements
        All rearrangements of the test.
    first, last : int
        The rearrangements of this task.
    floor : float
        The least value of the statistic's maxima: 0 if a tested voxel has nothing left to be
        rearranged, so that all its statistics are 0; else -infinity.
    """

    source: DataSource
    kernel: Kernel
    corrections: Corrections
    rearrangements: Rearrangements
    first: int
    last: int
    floor: float = -np.inf

    def __call__(self) -> dict[str, Floats]:
        """Return all the maxima at once, each array of shape (last - first,)."""
        return _join(list(self.parts(n_threads=1)), self.corrections.names())

    def parts(self, n_threads: int) -> Iterator[dict[str, Floats]]:
        """Yield the maxima in order; each part takes a fraction of a second."""
        # The whole, and no tiles: a rearrangement needs all places, clusters and TFCE those of its
        # own map, and each further one needs them again. Of a scratch file the system keeps as much
        # as there is room for, and all threads read the rest at once.
        data = self.source.load(n_threads).array()
        step = self._step(data.shape, n_threads)
        buffer = np.empty((step, data.shape[1])) if self.corrections.need_maps else None
        for first in range(self.first, self.last, step):
            last = min(first + step, self.last)
            order, signs = self.rearrangements.take(first, last)
            maps = None if buffer is None else buffer[: last - first]
            best = self.kernel.statistics(data, order, signs, maps, n_threads)
            best = np.maximum(best, self.floor)
            found = {} if maps is None else self.corrections.maxima(maps, n_threads)
            yield {self.corrections.letter: best, **found}

    def _step(self, shape: tuple[int, ...], n_threads: int) -> int:
        n_images, n_voxels = shape
        products = n_images * n_voxels * self.kernel.n_products
        step = _PRODUCTS * max(1, n_threads) // max(1, products)
        if self.corrections.need_maps:
            # At least one map a thread; with fewer, threads would be idle.
            step = min(step, max(n_threads, _MAP_VALUES // n_voxels))
        return int(np.clip(step, 1, 8192))


def null_distribution(
    task: NullTask, n_threads: int, advance: Callable[[int], object]
) -> Iterator[dict[str, Floats]]:
    """Yield the maxima of a task's rearrangements in order, some at a time."""
    parts = task.parts(n_threads)
    if is_remote():
        starts = range(task.first, task.last, _TASK_REARRANGEMENTS)
        parts = run_remotely(
            replace(task, first=first, last=min(first + _TASK_REARRANGEMENTS, task.last))
            for first in starts
        )
    for part in parts:
        advance(len(part[task.corrections.letter]))
        yield part


def _join(parts: list[dict[str, Floats]], names: tuple[str, ...]) -> dict[str, Floats]:
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
