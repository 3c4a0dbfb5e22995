# SPDX-License-Identifier: BSD-3-Clause
"""Kinds of data that no package has: links of a chain, and a pair of chains side by side.

`ChainSpace` shows how little a space needs. The other classes are the rest of a kind of data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from groupglm._core import Neighbours
from groupglm.errors import ImageError
from groupglm.spaces.base import Part, Space
from groupglm.spaces.composite import CompositeSpace, load_composite
from groupglm.spaces.composite_source import CompositeSource

ENDING = ".chain"


@dataclass(frozen=True, eq=False)
class Chain:
    """An image: a value for each link."""

    data: NDArray[Any]


def write_chain(image: Chain, path: Path) -> Path:
    if not path.name.endswith(ENDING):
        raise ValueError(f"the name of a chain must end in {ENDING}, but {path.name!r} does not")
    with path.open("wb") as file:
        np.save(file, image.data)
    return path


def read_chain(path: Path) -> Chain:
    with path.open("rb") as file:
        return Chain(np.load(file))


class ChainSpace(Space):
    """Some links of a chain, whose neighbours are the links beside them."""

    tag: ClassVar[str] = "chain"
    unit = "links"
    place_words = ("link", "links")

    def __init__(self, length: int, links: NDArray[np.int64]) -> None:
        self.length, self.links = length, links

    @property
    def n_values(self) -> int:
        return len(self.links)

    def read_row(self, source: Any, out: NDArray[Any]) -> None:
        out[...] = source.read()[self.links]

    def restrict(self, keep: NDArray[np.bool_]) -> ChainSpace:
        return type(self)(self.length, self.links[keep])

    def onto(self, other: Any) -> ChainSpace:
        return type(self)(self.length, np.intersect1d(self.links, other.links))

    def background(self, mean: NDArray[Any], n_observations: Any, **_: Any) -> NDArray[np.bool_]:
        return np.asarray((mean != 0) & (n_observations > 1))

    def to_image(
        self, values: Any, descrip: str = "", *, dtype: Any = None, statistic: Any = None
    ) -> Chain:
        whole = np.zeros((*values.shape[:-1], self.length), dtype or np.float64)
        whole[..., self.links] = values
        return Chain(whole)

    def series_image(self, make_rows: Any, n_rows: int, descrip: str, out: Any) -> Chain:
        image = self.to_image(np.stack(list(make_rows())))
        return image if out is None else read_chain(write_chain(image, out))

    def neighbours(self, connectivity: int) -> Neighbours:
        follows = np.diff(self.links, prepend=-9, append=-9) == 1  # has a link before it
        beside = np.stack([follows[:-1], follows[1:]], axis=1)
        starts = np.concatenate([[0], np.cumsum(beside.sum(axis=1))]).astype(np.int64)
        numbers = np.arange(self.n_values)[:, None] + [-1, 1]
        return Neighbours.of_adjacency(starts, numbers[beside].astype(np.int32))

    def describe_place(self, place: int) -> str:
        return f"link {self.links[place]}"

    def identity(self) -> str:
        return f"{self.tag} {self.links.tolist()}"

    def absent_source(self, name: str, saved_in: str) -> ChainSource:
        return ChainSource(name, None, saved_in)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {"length": self.length}, {"links": self.links}


class HeavyChainSpace(ChainSpace):
    """A chain with a weight for each link and another rule for TFCE, like a surface."""

    tag: ClassVar[str] = "heavy chain"
    unit = "grams"

    def weights(self) -> NDArray[np.float64]:
        return np.asarray(1.0 + self.links % 3)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part("heavy", 0, self.n_values, "grams", (1.0, 2.0)),)


@dataclass(frozen=True, eq=False)
class ChainSource:
    """An opened chain."""

    name: str
    values: NDArray[Any] | None
    saved_in: str | None = None
    is_quantised: ClassVar[bool] = False
    nbytes_in_memory: ClassVar[float] = 0.0
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float64)

    def read(self) -> NDArray[Any]:
        if self.values is None:
            raise ImageError(f"{self.name}: its values are not in '{self.saved_in}'")
        return self.values

    @property
    def is_readable(self) -> bool:
        return self.values is not None

    @property
    def extent(self) -> str:
        return f"{len(self.read())} links"

    def fingerprint(self) -> None:
        return None

    def file_state(self) -> None:
        return None

    def difference(self, other: Any) -> str | None:
        length = other.length if isinstance(other, ChainSpace) else len(other.read())
        own = len(self.read())
        return None if own == length else f"it has {own} links, not {length}"

    def value_range(self) -> tuple[float, float]:
        values = self.read()[np.isfinite(self.read())]
        return float(values.min(initial=0)), float(values.max(initial=0))


@dataclass(frozen=True)
class FakeMasking:
    """A mask; no other option applies to chains."""

    mask: Any
    kind: Any
    zero_is_missing: bool = False
    resamples: ClassVar[bool] = False
    smooths: ClassVar[bool] = False

    def everywhere(self, sources: Sequence[Any], **_: Any) -> Space:
        space: Space = self.kind.whole(sources[0])
        return space

    def as_stored(self, sources: Sequence[Any]) -> Space:
        return self.everywhere(sources)

    def inside(self, everywhere: Space) -> Space | None:
        if self.mask is None:
            return None
        row = np.empty(everywhere.n_values)
        everywhere.read_row(self.kind.open_one(self.mask, "mask"), row)
        return everywhere.restrict(row != 0)

    def find(self, space: Space, *mean: Any, **how: Any) -> NDArray[np.bool_]:
        return space.background(*mean, **how)

    def read_once(self, sources: Sequence[Any], memory_budget: float) -> tuple[Any, int]:
        return sources, 0


class FakeKind:
    """The parts that both kinds share."""

    endings = (ENDING,)

    def is_one(self, given: object) -> bool:
        return not isinstance(given, list)

    def file_of(self, given: object) -> str | None:
        return os.fspath(given) if isinstance(given, str | os.PathLike) else None

    def open_one(self, given: Any, name: str) -> Any:
        raise NotImplementedError

    def whole(self, source: Any) -> Any:
        raise NotImplementedError

    def open_inputs(self, given: Any, *, argument: str, same_placement: bool, at_least: int) -> Any:
        sources = [self.open_one(item, f"image {place}") for place, item in enumerate(given, 1)]
        for source in sources:
            difference = source.difference(sources[0])
            if difference is not None:
                raise ValueError(f"{source.name} of {argument}: {difference}")
        return sources

    def masking(
        self, mask_img: Any, *preparation: Any, zero_is_missing: bool, **_: Any
    ) -> FakeMasking:
        assert all(option is None for option in preparation)
        return FakeMasking(mask_img, self, zero_is_missing)

    def smooth_images(self, given: Any, fwhm: Any, geometry: Any) -> Any:
        raise ValueError("chains are not smoothed")

    def target_of(self, given: Any, name: str) -> tuple[Any, Any]:
        raise ValueError(f"{name}: chains stay as they lie; leave it out")

    def computed(self, name: str, compute: Callable[[], object], like: Any) -> Any:
        return self.open_one(compute(), name)

    def open_map(self, given: Any, name: str, geometry: Any = None) -> tuple[Any, Any]:
        source = self.open_one(given, name)
        return source, self.whole(source)

    def inside_mask(self, everywhere: Any, mask: Any) -> NDArray[np.bool_] | None:
        if mask is None:
            return None
        row = np.empty(everywhere.n_values)
        everywhere.read_stored(self.open_one(mask, "mask"), row)
        return np.asarray(row != 0)

    def differs_from_background(self, everywhere: Any, values: Any) -> NDArray[np.bool_]:
        return np.asarray(values != 0)

    def said_by_map(self, given: Any) -> tuple[None, None]:
        return None, None

    def how_to_mark(self, statistic: str) -> str:
        return ""


class ChainKind(FakeKind):
    def __init__(self, space: type[ChainSpace]) -> None:
        self._space, self.tag, self.unit = space, space.tag, space.unit

    def holds(self, given: object) -> bool:
        is_file = isinstance(given, str | os.PathLike) and os.fspath(given).endswith(ENDING)
        return (isinstance(given, Chain) or is_file) and self._space is ChainSpace

    def open_one(self, given: Any, name: str) -> ChainSource:
        if not isinstance(given, Chain):
            given, name = read_chain(Path(given)), str(given)
        return ChainSource(name, np.asarray(given.data, np.float64))

    def save(self, image: Chain, path: Path) -> Path:
        return write_chain(image, path)

    def as_saved(self, image: Chain, path: Path) -> Chain:
        return image

    def rename_contrast(self, image: Chain, name: str) -> None:
        pass

    def whole(self, source: ChainSource) -> ChainSpace:
        length = len(source.read())
        return self._space(length, np.arange(length))

    def load_space(self, facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> ChainSpace:
        return self._space(int(facts["length"]), arrays["links"])


class PairSpace(CompositeSpace):
    """Two chains side by side, the second one heavy."""

    tag: ClassVar[str] = "pair"


class PairKind(FakeKind):
    """An image is a dict of two chains."""

    tag, unit = PairSpace.tag, "places"
    _members: ClassVar[Mapping[str, ChainKind]] = {
        "light": ChainKind(ChainSpace),
        "heavy": ChainKind(HeavyChainSpace),
    }

    def holds(self, given: object) -> bool:
        return isinstance(given, dict) and set(given) == set(self._members)

    def open_one(self, given: Any, name: str) -> CompositeSource:
        members = {own: kind.open_one(given[own], name) for own, kind in self._members.items()}
        return CompositeSource(name, members)

    def whole(self, source: CompositeSource) -> PairSpace:
        members: dict[str, Any] = dict(source.members)
        return PairSpace({own: kind.whole(members[own]) for own, kind in self._members.items()})

    def load_space(self, facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> PairSpace:
        loaders = {kind.tag: kind.load_space for kind in self._members.values()}
        return replace(PairSpace({}), members=load_composite(facts, arrays, loaders))


CHAIN, HEAVY, PAIR = ChainKind(ChainSpace), ChainKind(HeavyChainSpace), PairKind()
