# SPDX-License-Identifier: BSD-3-Clause
"""Kernels: from rearrangements to statistics, by the compiled core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from groupglm.inference.permutation.exchange import Exchange
    from groupglm.inference.permutation.partition import Partition
    from groupglm.models.base import HeldRows, Rows

    Floats = NDArray[np.float64]
    Data = NDArray[np.float32] | NDArray[np.float64]

__all__ = [
    "METHODS",
    "TILE_BYTES",
    "GroupedKernel",
    "Kernel",
    "Method",
    "Observed",
    "OlsKernel",
    "make_ols_kernel",
]

TILE_BYTES = 64 * 2**20
"""All images at some voxels: enough that threads share the work, and little beside the maps."""

Method = Literal["freedman-lane", "ter-braak", "smith"]
METHODS: tuple[Method, ...] = ("freedman-lane", "ter-braak", "smith")


@dataclass(frozen=True, eq=False)
class Observed:
    """The statistic without rearrangement, shape (n_voxels,); NaN where there is none.

    Parameters
    ----------
    reported : array
        The statistic that the user gets.
    compared : array
        The statistic on the scale of `Kernel.statistics`.
    least : array
        The least statistic that ties with `compared` (with its absolute value if the test is
        two-sided). Its angle between data and nuisance is smaller by what rounding can do.
    """

    reported: Floats
    compared: Floats
    least: Floats


class Kernel(Protocol):
    """Computes a statistic for rearranged data."""

    @property
    def n_products(self) -> int:
        """Rows of the matrix product for one rearrangement."""
        ...

    @property
    def letter(self) -> Literal["t", "F"]:
        """The letter of the statistic."""
        ...

    def observe(self, rows: HeldRows, statistic: Floats, n_threads: int) -> Observed:
        """Return the statistic of the data as they are, by tiles.

        Shapes: `statistic` (n_voxels,).
        """
        ...

    def statistics(
        self,
        data: Data,
        order: NDArray[np.int64],
        signs: Floats,
        maps: Floats | None,
        n_threads: int,
    ) -> Floats:
        """Compute the statistic of rearrangements at every voxel.

        Shapes: `data` (n_images, n_voxels), `order`, `signs` (n_rearrangements, n_images), `maps`
        (n_rearrangements, n_voxels); returns (n_rearrangements,).
        """
        ...


@dataclass(frozen=True, eq=False)
class OlsKernel:
    """The t or F statistic of ordinary least squares.

    Parameters
    ----------
    basis : array, shape (m, n_images)
        Orthonormal rows that are removed from the data before they are rearranged.
    effect : array, shape (k, n_images)
        Orthonormal basis of the tested effect.
    moving : array, shape (q, n_images)
        Orthonormal basis of the nuisance, without the part that no rearrangement changes.
    nuisance : array, shape (m3, n_images)
        Orthonormal basis of all of the nuisance, for the observed statistic.
    fixed : array, shape (m2, n_images)
        Nuisance that is fitted together with the rearranged effect (Smith's method). The other
        methods have no rows here.
    df : int
        Residual degrees of freedom.
    two_sided : bool
        Whether a t statistic is tested in both tails.
    """

    basis: Floats
    effect: Floats
    moving: Floats
    nuisance: Floats
    fixed: Floats
    df: int
    two_sided: bool

    @property
    def n_products(self) -> int:
        """Rows of the matrix product for one rearrangement."""
        return len(self.effect) + len(self.moving)

    @property
    def letter(self) -> Literal["t", "F"]:
        """The letter of the statistic."""
        return "t" if len(self.effect) == 1 else "F"

    def observe(self, rows: HeldRows, statistic: Floats, n_threads: int) -> Observed:
        """Return the statistic of the data as they are; see `Kernel`."""

        def observe(tile: Data, maps: Floats, least: Floats) -> None:
            self._statistics(tile, self.nuisance, self.effect[None], maps, least, n_threads)

        return _observed(statistic, *_by_tiles(rows, observe))

    def statistics(
        self,
        data: Data,
        order: NDArray[np.int64],
        signs: Floats,
        maps: Floats | None,
        n_threads: int,
    ) -> Floats:
        """Compute the statistic of rearrangements at every voxel; see `Kernel`."""
        return self._statistics(data, self.basis, self._rows(order, signs), maps, None, n_threads)

    def _statistics(
        self,
        data: Data,
        basis: Floats,
        rows: Floats,
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        return _core.permuted_statistics(
            data,
            basis,
            rows,
            len(self.effect),
            float(self.df),
            self.two_sided,
            maps,
            least,
            n_threads,
        )

    def _rows(self, order: NDArray[np.int64], signs: Floats) -> Floats:
        basis = np.concatenate([self.effect, self.moving])
        rows = np.moveaxis(basis[:, order], 0, 1) * signs[:, None, :]
        if not len(self.fixed):
            return np.ascontiguousarray(rows)
        rows = rows - (rows @ self.fixed.T) @ self.fixed
        if len(self.effect) == 1:
            length = np.linalg.norm(rows, axis=2, keepdims=True)
            # If the rearranged effect falls inside the nuisance, it cannot be tested: its statistic
            # is zero.
            return np.where(
                length > _core.ESTIMABLE_TOLERANCE, rows / np.maximum(length, 1e-300), 0.0
            )
        _, size, right = np.linalg.svd(rows, full_matrices=False)
        return np.where(size[:, :, None] > _core.ESTIMABLE_TOLERANCE, right, 0.0)


def make_ols_kernel(
    parts: Partition, exchange: Exchange, method: Method, *, two_sided: bool
) -> OlsKernel:
    """Make the kernel for a method of rearrangement."""
    none = np.empty((0, parts.n_images))
    smith = method == "smith"
    full = np.concatenate([parts.nuisance, parts.effect])
    return OlsKernel(
        basis=np.ascontiguousarray(full) if method == "ter-braak" else parts.nuisance,
        effect=parts.effect,
        moving=none if smith else exchange.varying(parts.nuisance),
        nuisance=parts.nuisance,
        fixed=parts.nuisance if smith else none,
        df=parts.df_residual,
        two_sided=two_sided,
    )


@dataclass(frozen=True, eq=False)
class GroupedKernel:
    """The G statistic of Winkler et al. (2014), for groups of unequal variance.

    Parameters
    ----------
    parts : Partition
        The design, split into effect and nuisance.
    groups : array of int, shape (n_images,)
        The group of variance of each image, from 0.
    two_sided : bool
        Whether a t statistic is tested in both tails.
    """

    parts: Partition
    groups: NDArray[np.int64]
    two_sided: bool

    @property
    def n_products(self) -> int:
        """Rows of the matrix product for one rearrangement."""
        rank = len(self.parts.effect) + len(self.parts.nuisance)
        return int(self.groups.max() + 1) * (rank + 1)

    @property
    def letter(self) -> Literal["t", "F"]:
        """The letter of the statistic: t for v (Welch's t for two groups), F for G."""
        return "t" if len(self.parts.effect) == 1 else "F"

    def observe(self, rows: HeldRows, statistic: Floats, n_threads: int) -> Observed:
        """Return the statistic of the data as they are, not the parametric one; see `Kernel`."""
        del statistic
        order, signs = np.arange(rows.n_inputs)[None], np.ones((1, rows.n_inputs))

        def observe(tile: Data, maps: Floats, least: Floats) -> None:
            self._statistics(tile, order, signs, maps, least, n_threads)

        statistic, least = _by_tiles(rows, observe)
        return _observed(statistic, statistic, least)

    def statistics(
        self,
        data: Data,
        order: NDArray[np.int64],
        signs: Floats,
        maps: Floats | None,
        n_threads: int,
    ) -> Floats:
        """Compute the statistic of rearrangements at every voxel; see `Kernel`."""
        return self._statistics(data, order, signs, maps, None, n_threads)

    def _statistics(
        self,
        data: Data,
        order: NDArray[np.int64],
        signs: Floats,
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        design = np.concatenate([self.parts.effect, self.parts.nuisance])
        inside = self.groups == np.arange(self.groups.max() + 1)[:, None]  # (groups, n)
        by_group = inside[:, None, :] * design  # (groups, rank, n)
        rows = np.moveaxis(by_group[:, :, order], 2, 0) * signs[:, None, None, :]
        members = np.moveaxis(inside[:, order], 1, 0).astype(np.float64)
        leverage = np.sum(design**2, axis=0)
        return _core.permuted_g_statistics(
            data,
            self.parts.nuisance,
            np.ascontiguousarray(rows),
            np.ascontiguousarray(members),
            np.ascontiguousarray(by_group @ design.T),
            inside @ (1 - leverage),
            inside.sum(axis=1).astype(np.float64),
            len(self.parts.effect),
            self.two_sided,
            maps,
            least,
            n_threads,
        )


def _by_tiles(rows: Rows, observe: Callable[[Data, Floats, Floats], None]) -> tuple[Floats, Floats]:
    """Return a statistic and the least that ties with it, shape (n_voxels,), tile by tile."""
    statistic, least = np.empty((2, rows.n_values))
    for places, values in rows.tiles(TILE_BYTES):
        own = np.empty((2, 1, len(places)))
        observe(values, own[0], own[1])
        statistic[places], least[places] = own[:, 0]
    return statistic, least


def _observed(reported: Floats, compared: Floats, least: Floats) -> Observed:
    """Set the voxels that do not vary to NaN; the core marks them by NaN in `least`."""
    live = ~np.isnan(least)
    return Observed(np.where(live, reported, np.nan), np.where(live, compared, np.nan), least)
