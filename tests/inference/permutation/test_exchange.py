# SPDX-License-Identifier: BSD-3-Clause
"""Which rearrangements there are, by listing them all; and that drawing is fair."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groupglm.inference.permutation import exchange
from groupglm.inference.permutation.exchange import DRAWN_TOGETHER, Exchange, make_exchange
from groupglm.inference.permutation.partition import partition
from reference.designs import all_designs
from reference.permutation import different_orders, hat, null_space, orders_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@st.composite
def small_rows(draw: st.DrawFn) -> tuple[Floats, list[int]]:
    n = draw(st.integers(2, 6))
    m = draw(st.integers(1, 2))
    values = draw(st.lists(st.integers(0, 2), min_size=n * m, max_size=n * m))
    labels = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return np.array(values, dtype=float).reshape(m, n), labels


def made(rows: Floats, order: NDArray[np.int64], signs: Floats) -> set[bytes]:
    return {(rows[:, o] * s + 0.0).tobytes() for o, s in zip(order, signs, strict=True)}


@settings(deadline=None)
@given(small_rows())
def test_all_permutations_within_blocks(case: tuple[Floats, list[int]]) -> None:
    rows, labels = case
    exchange = make_exchange(len(labels), labels, "within", flips=False)
    allowed = orders_within(labels)
    count = different_orders(rows, allowed)
    assert exchange.count(rows) == count
    order, signs = exchange.every(rows)
    assert len(order) == count - 1
    wanted = {(rows[:, list(o)] + 0.0).tobytes() for o in allowed} - {(rows + 0.0).tobytes()}
    assert made(rows, order, signs) == wanted


@settings(deadline=None)
@given(small_rows())
def test_all_permutations_of_whole_blocks(case: tuple[Floats, list[int]]) -> None:
    rows, labels = case
    exchange = make_exchange(len(labels), labels, "whole", flips=False)
    names = sorted(set(labels))
    members = {name: [i for i, label in enumerate(labels) if label == name] for name in names}
    allowed = []
    for shuffled in itertools.permutations(names):
        if all(len(members[a]) == len(members[b]) for a, b in zip(names, shuffled, strict=True)):
            place = [0] * len(labels)
            for a, b in zip(names, shuffled, strict=True):
                for to, come in zip(members[a], members[b], strict=True):
                    place[to] = come
            allowed.append(tuple(place))
    assert exchange.count(rows) == different_orders(rows, allowed)
    order, signs = exchange.every(rows)
    wanted = {(rows[:, list(o)] + 0.0).tobytes() for o in allowed} - {(rows + 0.0).tobytes()}
    assert made(rows, order, signs) == wanted
    assert len(order) == len(wanted)


@settings(deadline=None)
@given(small_rows(), st.booleans())
def test_all_sign_flips(case: tuple[Floats, list[int]], whole: bool) -> None:
    rows, labels = case
    n = len(labels)
    exchange = make_exchange(n, labels, "whole" if whole else "within", flips=True)
    units = sorted(set(labels)) if whole else range(n)
    allowed = set()
    for pattern in itertools.product((1.0, -1.0), repeat=len(units)):
        signs = np.array([pattern[units.index(labels[i] if whole else i)] for i in range(n)])
        allowed.add((rows * signs + 0.0).tobytes())
    assert exchange.count(rows) == len(allowed)
    order, signs = exchange.every(rows)
    assert made(rows, order, signs) == allowed - {(rows + 0.0).tobytes()}
    assert len(order) == len(allowed) - 1


def test_counts_of_well_known_designs() -> None:
    two = np.repeat([0.0, 1.0], [10, 10])[None]
    assert make_exchange(20, None, "within", flips=False).count(two) == math.comb(20, 10)
    assert make_exchange(20, None, "within", flips=True).count(np.ones((1, 20))) == 2**20
    pairs = np.tile([0.0, 1.0], 9)[None]
    assert make_exchange(18, np.repeat(np.arange(9), 2), "within", flips=False).count(pairs) == 2**9
    many = np.arange(200.0)[None] / 200
    assert make_exchange(200, None, "within", flips=False).count(many) == math.factorial(200)


@pytest.mark.parametrize("kind", ["plain", "within", "whole"])
@pytest.mark.parametrize("flips", [False, True])
def test_a_rearrangement_can_be_drawn_again_by_its_number(kind: str, flips: bool) -> None:
    blocks = None if kind == "plain" else np.repeat(list("abc"), 4)
    exchange = make_exchange(12, blocks, "whole" if kind == "whole" else "within", flips=flips)
    order, signs = exchange.draw((7, 1), 0, 700)
    for first, last in [(0, 1), (255, 257), (256, 512), (300, 700), (699, 700)]:
        again = exchange.draw((7, 1), first, last)
        np.testing.assert_array_equal(again[0], order[first:last])
        np.testing.assert_array_equal(again[1], signs[first:last])
    assert not np.array_equal(exchange.draw((8, 1), 0, 700)[int(flips)], (order, signs)[flips])
    if flips:
        np.testing.assert_array_equal(order, np.tile(np.arange(12), (700, 1)))
        assert set(np.unique(signs)) == {-1.0, 1.0}
    else:
        np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(12), (700, 1)))
        assert (signs == 1).all()
    if kind == "within" and not flips:
        np.testing.assert_array_equal(order // 4, np.tile(np.arange(12) // 4, (700, 1)))
    if kind == "whole":
        moved = signs if flips else order // 4
        assert (moved.reshape(700, 3, 4) == moved.reshape(700, 3, 4)[:, :, :1]).all()


def test_drawing_is_fair() -> None:
    n_drawn = 24 * DRAWN_TOGETHER
    order, _ = make_exchange(4, None, "within", flips=False).draw((0,), 0, n_drawn)
    _, counts = np.unique(order, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3
    _, signs = make_exchange(4, None, "within", flips=True).draw((0,), 0, n_drawn)
    _, counts = np.unique(signs, axis=0, return_counts=True)
    assert len(counts) == 16
    assert stats.chisquare(counts).pvalue > 1e-3


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from(["plain", "within", "whole"]))
def test_what_varies_and_what_does_not(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    blocks = None if kind == "plain" else np.repeat([0, 1, 2], 4)
    exchange: Exchange = make_exchange(
        12, blocks, "whole" if kind == "whole" else "within", flips=False
    )
    orbits = exchange.orbits()
    # Two columns of the span are the same in any order, two are not.
    columns = [np.ones(12), np.sin(orbits + 1.0), *rng.normal(size=(2, 12))]
    basis = np.linalg.qr(np.column_stack(columns))[0].T[:4]
    varying = exchange.varying(np.ascontiguousarray(basis))
    np.testing.assert_allclose(varying @ varying.T, np.eye(len(varying)), atol=1e-12)
    order, _ = exchange.draw((seed,), 0, 5)
    residual = rng.normal(size=12)
    residual -= basis.T @ (basis @ residual)
    for o in order:
        whole = np.sum((basis[:, o] @ residual) ** 2)
        np.testing.assert_allclose(np.sum((varying[:, o] @ residual) ** 2), whole, atol=1e-12)


@pytest.mark.parametrize("design", all_designs(), ids=lambda d: d.name)
def test_partition_is_that_of_projections(design: object) -> None:
    X = design.X  # type: ignore[attr-defined]
    for contrast in design.contrasts:  # type: ignore[attr-defined]
        C = np.atleast_2d(contrast).astype(float)
        parts = partition(X, C)
        Z = X @ null_space(C)
        np.testing.assert_allclose(
            parts.nuisance.T @ parts.nuisance, hat(Z) if Z.size else 0, atol=1e-9
        )
        both = np.concatenate([parts.effect, parts.nuisance])
        np.testing.assert_allclose(both @ both.T, np.eye(len(both)), atol=1e-12)
        np.testing.assert_allclose(both.T @ both, hat(X), atol=1e-9)
        if len(C) == 1:
            weights = C[0] @ np.linalg.pinv(X)
            np.testing.assert_allclose(
                parts.effect[0], weights / np.linalg.norm(weights), atol=1e-9
            )


def test_blocks_are_checked() -> None:
    with pytest.raises(ValueError, match=r"exchangeability_blocks has shape \(3,\).*\(4,\)"):
        make_exchange(4, [1, 2, 3], "within", flips=False)
    with pytest.raises(ValueError, match="missing label in row 2"):
        make_exchange(2, np.array(["a", None]), "within", flips=False)
    with pytest.raises(ValueError, match="must be 'within' or 'whole'"):
        make_exchange(2, [1, 1], "between", flips=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs exchangeability_blocks"):
        make_exchange(2, None, "whole", flips=False)


def test_what_is_rounding_is_said_in_one_place() -> None:
    """No module of the permutation tests compares with a tolerance of its own."""
    folder = Path(exchange.__file__).parent
    own = re.compile(r"[<>]=? *\(?\d*\.?\d*e-\d+")
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(folder.glob("*.py"))
        for line in path.read_text().splitlines()
        if own.search(line)
    ]
    assert found == []
