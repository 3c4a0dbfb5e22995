# SPDX-License-Identifier: BSD-3-Clause
"""The smallest model that there is: a mean of images whose variances are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupglm import _core
from groupglm.models.arguments import check_contrast, check_rows, choose_stat_type
from groupglm.models.base import COUNTS, AsGiven, Rows, Values
from groupglm.models.results import ContrastResult, StatType
from groupglm.models.words import Words
from groupglm.runtime.array_archives import check_type

Floats = NDArray[np.float64]

SUMS = ("n", "y", "w", "wy")  # over the images of a place: one, the value, its weight, both


@dataclass(frozen=True)
class KnownVariance:
    """Each image is a row of values and one of their variances; the weights are 1 / variance."""

    kind: ClassVar[str] = "known variance"
    beside: ClassVar[tuple[str, ...]] = ("variance",)
    rows_per_image: ClassVar[int] = 2
    keeps_rows: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        return {}

    def prepare(self, X: Floats, column_names: tuple[str, ...]) -> KnownVariancePlan:
        if X.shape[1] != 1 or (X != 1).any():
            raise ValueError("the design must be one column of ones")
        return KnownVariancePlan(X, column_names)

    def load(
        self,
        X: Floats,
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> KnownVarianceFit:
        self.prepare(X, column_names)
        sums = arrays["sums"]
        check_type("sums", sums, "float64", 2)
        if sums.shape != (len(SUMS), n_values):
            raise ValueError(f"its sums do not fit {n_values} places")
        counts = {name: np.zeros(n_values, np.int64) for name in COUNTS}
        named = dict(zip(SUMS, sums, strict=True))
        return KnownVarianceFit(X, column_names, n_threads, named, counts)


class Sums:
    """The accumulator."""

    def __init__(self, sums: Floats) -> None:
        self.sums = sums
        self.counts = {name: np.zeros(sums.shape[1], np.int64) for name in COUNTS}
        self.largest = np.zeros((2, sums.shape[1]))  # weight, and its image
        self.least = np.full(sums.shape[1], np.inf)
        self.n_images = 0

    @property
    def n_missing(self) -> int:
        return int(np.count_nonzero(self.sums[0] < self.n_images))

    def update(self, first: int, rows: Values, n_threads: int) -> None:
        for number, row in enumerate(rows):
            if n_infinite := np.count_nonzero(np.isinf(row)):
                raise _core.InfiniteValueError(number, n_infinite)
        y, v = rows[::2].astype(np.float64), rows[1::2].astype(np.float64)
        outside, finite = (y == 0) & (v == 0), ~np.isnan(y)
        unusable = finite & ~outside & (np.isnan(v) | (v == 0))
        present = finite & ~outside & ~unusable
        for name, where in zip(COUNTS, (outside, unusable, present & (v < 0)), strict=True):
            self.counts[name] += where.sum(axis=0)
        y, w = np.where(present, y, 0), np.where(present, 1 / np.where(present, v, 1), 0)
        self._follow(w.max(axis=0), w.argmax(axis=0), np.where(w > 0, w, np.inf).min(axis=0))
        self.sums += [each.sum(axis=0) for each in (present, y, w, w * y)]
        self.n_images += len(y)

    def _follow(self, w: Floats, image: NDArray[Any], least: Floats) -> None:
        larger = w > self.largest[0]
        self.largest[:, larger] = np.stack([w, image + self.n_images])[:, larger]
        self.least = np.minimum(self.least, least)

    def merge(self, other: Sums, n_threads: int) -> None:
        self._follow(other.largest[0], other.largest[1], other.least)
        self.sums += other.sums
        for name, counts in other.counts.items():
            self.counts[name] += counts
        self.n_images += other.n_images

    def select(self, places: NDArray[np.int64]) -> Sums:
        chosen = Sums(self.sums[:, places])
        chosen.counts = {name: counts[places] for name, counts in self.counts.items()}
        chosen.largest, chosen.least = self.largest[:, places], self.least[places]
        chosen.n_images = self.n_images
        return chosen


@dataclass(frozen=True, eq=False)
class KnownVariancePlan(AsGiven):
    X: Floats
    column_names: tuple[str, ...]
    model: ClassVar[KnownVariance] = KnownVariance()
    rank: ClassVar[int] = 1

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        return 2 * 8 * len(SUMS) * n_values

    def part(self, first: int, count: int) -> KnownVariancePlan:
        return KnownVariancePlan(self.X[first : first + count], self.column_names)

    def accumulator(self, n_values: int) -> Sums:
        return Sums(np.zeros((len(SUMS), n_values)))

    def mean(self, accumulator: Any, n_threads: int) -> tuple[Floats, NDArray[np.int64]]:
        n, y = accumulator.sums[0], accumulator.sums[1]
        outside = accumulator.counts["outside"]
        with np.errstate(invalid="ignore"):
            return y / (n + outside), n.astype(np.int64)

    def finish(
        self, accumulator: Any, n_threads: int, rows: Rows | None = None
    ) -> KnownVarianceFit:
        sums = dict(zip(SUMS, accumulator.sums, strict=True))
        sums["largest"], sums["image"] = accumulator.largest
        sums["least"] = accumulator.least
        return KnownVarianceFit(self.X, self.column_names, n_threads, sums, accumulator.counts)


@dataclass(frozen=True, eq=False)
class KnownVarianceFit:
    X: Floats
    column_names: tuple[str, ...]
    n_threads: int
    sums: dict[str, Floats]
    own_counts: dict[str, NDArray[np.int64]]
    model: ClassVar[KnownVariance] = KnownVariance()
    df_residual: ClassVar[float] = np.inf

    def described(self, places: str) -> str:
        return f"{len(self.X)} images of known variance"

    @property
    def n_observations(self) -> NDArray[np.int64]:
        return self.sums["n"].astype(np.int64)

    @property
    def beta(self) -> Floats:
        return (self.sums["wy"] / self.sums["w"])[np.newaxis]

    @property
    def mean(self) -> Floats:
        return self.sums["y"] / self.sums["n"]

    @property
    def residual_sd(self) -> Floats:
        return np.sqrt(self.sums["n"] / self.sums["w"])

    def select(self, places: NDArray[np.int64]) -> KnownVarianceFit:
        chosen = {name: own[places] for name, own in self.own_counts.items()}
        return replace(
            self, sums={name: own[places] for name, own in self.sums.items()}, own_counts=chosen
        )

    def contrast(self, contrast: ArrayLike, *, stat_type: StatType | None = None) -> ContrastResult:
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        weights = np.atleast_2d(values)[:, :1]
        effect, variance = weights * self.beta, 1 / self.sums["w"]
        if chosen == "t":
            variance = weights[0] ** 2 * variance
            found = _core.t_statistics(effect[0], variance, np.inf, self.n_threads)
            return ContrastResult(effect[0], variance, *found, "t", np.inf)
        squares = self.beta[0] ** 2
        found = _core.f_statistics(squares, variance, 1.0, np.inf, self.n_threads)
        return ContrastResult(effect, variance, *found, "F", (1, np.inf))

    def predicted(self, X: ArrayLike | None = None) -> Floats:
        return (self.X if X is None else check_rows(X, self.column_names)) @ self.beta

    def residuals(self, X: ArrayLike | None, Y: Values) -> Values:
        left: Any = np.asarray(Y - self.predicted(X), dtype=Y.dtype)
        return left  # type: ignore[no-any-return]

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        return {"weight": lambda: self.sums["w"]}

    def counts(self) -> dict[str, NDArray[np.int64]]:
        return self.own_counts

    def dominance(self) -> tuple[Floats, NDArray[np.int64]]:
        return self.sums["largest"] / self.sums["w"], self.sums["image"].astype(np.int64)

    @property
    def variance_ratio(self) -> Floats:
        return self.sums["largest"] / self.sums["least"]

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"sums": np.stack([self.sums[name] for name in SUMS])}

    def words(self) -> Words:
        plain = "fitted by weights that are known"
        return Words(plain, f"{plain} (Fisher, 1925)", ("Fisher RA. Statistical Methods. 1925.",))


@dataclass(frozen=True)
class KeptVariance(KnownVariance):
    """The same model, computed from all rows at the end, as a model with a second pass does it."""

    kind: ClassVar[str] = "kept variance"
    keeps_rows: ClassVar[bool] = True

    def prepare(self, X: Floats, column_names: tuple[str, ...]) -> KeptVariancePlan:
        return KeptVariancePlan(X, column_names)


@dataclass(frozen=True, eq=False)
class KeptVariancePlan(KnownVariancePlan):
    model: ClassVar[KnownVariance] = KeptVariance()

    def finish(
        self, accumulator: Any, n_threads: int, rows: Rows | None = None
    ) -> KnownVarianceFit:
        assert rows is not None
        assert rows.n_inputs == 2 * len(self.X)
        own = self.accumulator(rows.n_values)
        places = []
        for at, values in rows.tiles(3000):
            tile = self.accumulator(len(at))
            tile.update(0, values, n_threads)
            own.sums[:, at] = tile.sums
            places.append(at)
        assert np.array_equal(np.concatenate(places), np.arange(rows.n_values))
        own.n_images, own.counts = len(self.X), accumulator.counts
        own.largest, own.least = accumulator.largest, accumulator.least
        return KnownVariancePlan.finish(self, own, n_threads)
