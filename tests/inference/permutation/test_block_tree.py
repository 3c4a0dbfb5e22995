# SPDX-License-Identifier: BSD-3-Clause
"""Exchangeability blocks of several levels, against all orders of images that keep the tree."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groupglm import permuted_ols
from groupglm.inference.permutation.exchange import DRAWN_TOGETHER, make_exchange
from reference.permutation import rearranged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Order = tuple[int, ...]

WITHIN = [[-1, 1], [-1, 1], [-1, 2], [-1, 2], [-1, 3], [-1, 3]]
WHOLE = [[1, 1], [1, 1], [1, 2], [1, 2], [1, 3], [1, 3]]
BOTH = [[1, 1, 1], [1, 1, 2], [1, 2, 1], [1, 2, 2], [1, 3, 1], [1, 3, 2]]
TREES = {
    "free": [[1, i] for i in range(1, 7)],
    "within": WITHIN,
    "whole": WHOLE,
    "whole, signs written": [[1, -b, row] for b in (1, 2, 3) for row in (1, 2)],
    "within, rows written": [[-1, b, row] for b in (1, 2, 3) for row in (1, 2)],
    "whole and within": BOTH,
    "rows in any order": [BOTH[i] for i in (3, 0, 5, 1, 4, 2)],
    "families of two kinds": [[-1, 1, 1, 1], [-1, 1, 1, 2], [-1, 1, 2, 1], [-1, 1, 2, 2],
                              [-1, 2, 1, 1], [-1, 2, 1, 2], [-1, 2, 1, 3]],
    "twins and a sibling": [[1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 2, 1],
                            [1, 2, 2, 1], [1, 2, 1, 1], [1, 2, 1, 2]],
    "twins, fixed beside a sibling": [[1, -1, 1, 1], [1, -1, 1, 2], [1, -1, 2, 1],
                                      [1, -2, 7, 1], [1, -2, 9, 1], [1, -2, 7, 2]],
    "one pair and two single ones": [[1, 1, 1, 1], [1, 1, 1, 2], [1, 2, 1, 1], [1, 2, 2, 1]],
    "of other sizes": [[1, 1], [1, 2], [1, 2], [1, 3], [1, 3], [1, 4]],
    "visits by number": [[1, -1, 1], [1, -1, 2], [1, -2, 2], [1, -2, 1], [1, -3, 1], [1, -3, 2]],
    "fixed": [[-1, -1, 1], [-1, -1, 2], [-1, 2, 1], [-1, 2, 2]],
}  # fmt: skip


class Reference:
    """A table with its omitted last column written out, asked row by row."""

    def __init__(self, table: Iterable[Iterable[int]]) -> None:
        rows = [list(row) for row in table]
        own = [tuple(row) for row in rows]
        if len(set(own)) < len(own):
            for i, row in enumerate(rows):
                # Rows that share the last number are exchanged only if their block is not.
                shuffled = row[-1] > 0 and (len(row) == 1 or row[-2] < 0)
                row[-1] = abs(row[-1]) * (1 if shuffled else -1)
                row.append(1 + own[:i].count(own[i]))
        self.rows = rows
        self.paths = [[tuple(map(abs, row[: j + 1])) for j in range(len(row))] for row in rows]
        self.sign = {
            path[j]: row[j] > 0
            for row, path in zip(rows, self.paths, strict=True)
            for j in range(len(row) - 1)
        }

    def children(self, block: Order) -> list[Order]:
        depth = len(block)
        return sorted({p[depth] for p in self.paths if p[depth - 1] == block})

    def shape(self, block: Order) -> Any:
        if len(block) == len(self.rows[0]):
            return ()
        inner = self.children(block)
        return (self.sign[block] and len(inner) > 1, tuple(sorted(map(self.shape, inner), key=str)))

    def rank(self, block: Order) -> int:
        alike = [c for c in self.children(block[:-1]) if self.shape(c) == self.shape(block)]
        return alike.index(block)

    def keeps(self, order: Order) -> bool:
        """Whether an order maps blocks to blocks of their shape, and exchanges what it may."""
        depth = len(self.rows[0])
        to: dict[Order, Order] = {}
        for place, row in enumerate(order):
            for j in range(depth):
                if to.setdefault(self.paths[place][j], self.paths[row][j]) != self.paths[row][j]:
                    return False
        if any(self.shape(a) != self.shape(b) for a, b in to.items()):
            return False
        return all(
            len(a) == 1 or self.sign[a[:-1]] or self.rank(a) == self.rank(b) for a, b in to.items()
        )

    def orders(self) -> list[Order]:
        return [o for o in itertools.permutations(range(len(self.rows))) if self.keeps(o)]

    def flips(self) -> set[Order]:
        """Signs that are equal in what a block of the outermost positive number holds."""
        units: list[Any] = []
        for row, path in enumerate(self.paths):
            positive = [j for j in range(len(path) - 1) if self.sign[path[j]]]
            units.append(path[positive[0] + 1] if positive else row)
        names = list(dict.fromkeys(units))
        return {
            tuple(signs[names.index(unit)] for unit in units)
            for signs in itertools.product((1, -1), repeat=len(names))
        }


def made(rows: Floats, order: Integers) -> list[bytes]:
    return [(rows[:, o] + 0.0).tobytes() for o in order]


def check(table: list[list[int]], rows: Floats) -> None:
    exchange = make_exchange(len(table), np.array(table), "within", flips=False)
    allowed = Reference(table).orders()
    wanted = set(made(rows, np.array(allowed)))
    assert exchange.count(rows) == len(wanted)
    order, signs = exchange.every(rows)
    assert (signs == 1).all()
    assert set(map(tuple, order.tolist())) <= set(allowed)
    found = made(rows, order)
    assert len(found) == len(set(found)) == len(wanted) - 1
    assert set(found) == wanted - {(rows + 0.0).tobytes()}
    drawn, _ = exchange.draw((1,), 0, 300)
    assert set(map(tuple, drawn.tolist())) <= set(allowed)
    # Which rows can take each other's place, and how many orders there are of whole rows.
    reach = np.zeros((len(table), len(table)), dtype=bool)
    for each in allowed:
        reach[np.arange(len(table)), each] = True
    orbits = exchange.orbits()
    np.testing.assert_array_equal(orbits[:, None] == orbits, reach)
    complete = np.ones((1, len(table)), dtype=bool)
    np.testing.assert_allclose(exchange.log_counts(rows, complete), np.log(len(wanted)), atol=1e-12)


@pytest.mark.parametrize("name", TREES)
def test_all_orders_that_keep_the_tree(name: str) -> None:
    table = TREES[name]
    check(table, np.arange(len(table), dtype=float)[None])
    check(table, np.arange(len(table), dtype=float)[None] % 2)
    check(table, np.array([[0.0, 0, 0, 1, 1, 2, 2]])[:, : len(table)])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[int]], Floats]:
    n, levels = draw(st.integers(2, 6)), draw(st.integers(2, 4))
    signs: dict[tuple[int, ...], int] = {}
    table = []
    for _ in range(n):
        path = (1, *draw(st.tuples(*[st.integers(1, 2)] * (levels - 1))))
        for depth in range(1, levels + 1):
            if path[:depth] not in signs:
                signs[path[:depth]] = draw(st.sampled_from([1, -1]))
        table.append([path[d] * signs[path[: d + 1]] for d in range(levels)])
    values = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return table, np.array([values], dtype=float)


@settings(deadline=None, max_examples=200)
@given(tables())
def test_all_orders_that_keep_any_tree(case: tuple[list[list[int]], Floats]) -> None:
    table, rows = case
    sizes = [len({tuple(map(abs, row[: j + 1])) for row in table}) for j in range(len(table[0]))]
    if len(set(sizes)) < len(sizes):  # a column divides nothing
        with pytest.raises(ValueError, match="divides no block of column"):
            make_exchange(len(table), table, "within", flips=False)
        return
    check(table, rows)
    check(table, np.arange(len(table), dtype=float)[None])
    flips = make_exchange(len(table), table, "within", flips=True)
    ones = np.ones((1, len(table)))
    _, signs = flips.every(ones)
    wanted = Reference(table).flips()
    assert flips.count(ones) == len(wanted)
    assert {tuple(map(int, s)) for s in signs} == wanted - {(1,) * len(table)}


def test_counts_of_designs_with_known_counts() -> None:
    """Three families of two: by arithmetic."""
    rows = np.arange(6.0)[None]
    for table, orders, flips in (
        (WITHIN, 2**3, 2**6),
        (WHOLE, math.factorial(3), 2**3),
        (BOTH, math.factorial(3) * 2**3, 2**3),
        (TREES["free"], math.factorial(6), 2**6),
    ):
        assert make_exchange(6, table, "within", flips=False).count(rows) == orders
        assert make_exchange(6, table, "within", flips=True).count(1 + rows) == flips
    # 40 families of three siblings: far too many to list.
    family, sibling = np.divmod(np.arange(120), 3)
    large = np.column_stack([np.ones(120, int), family + 1, sibling + 1])
    many = make_exchange(120, large, "within", flips=False).count(np.arange(120.0)[None])
    assert many == math.factorial(40) * 6**40


def test_drawing_is_fair() -> None:
    n_drawn = 24 * DRAWN_TOGETHER
    for name in ("whole and within", "twins and a sibling", "families of two kinds"):
        table = TREES[name]
        order, _ = make_exchange(len(table), table, "within", flips=False).draw((0,), 0, n_drawn)
        kinds, counts = np.unique(order, axis=0, return_counts=True)
        assert len(kinds) == len(Reference(table).orders())
        assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("flips", [False, True])
def test_a_table_of_one_level_is_the_option_of_blocks(flips: bool) -> None:
    blocks = np.repeat([1, 2, 3], 2)
    within = make_exchange(6, blocks, "within", flips=flips)
    whole = make_exchange(6, blocks, "whole", flips=flips)
    rows = np.arange(1.0, 7.0)[None]
    for table, expected in ((WITHIN, within), (WHOLE, whole)):
        exchange = make_exchange(6, table, "within", flips=flips)
        assert exchange.count(rows) == expected.count(rows)
        found, wanted = exchange.every(rows), expected.every(rows)
        assert made(rows * 1.0, found[0]) == made(rows * 1.0, wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])
    column = make_exchange(6, pd.DataFrame({"family": list("aabbcc")}), "whole", flips=flips)
    np.testing.assert_array_equal(column.draw((1,), 0, 9)[0], whole.draw((1,), 0, 9)[0])


def test_images_of_other_variance_take_no_place() -> None:
    kinds = np.array([0, 1, 1, 0, 0, 1])
    exchange = make_exchange(6, BOTH, "within", flips=False, kinds=kinds)
    allowed = [o for o in Reference(BOTH).orders() if (kinds[list(o)] == kinds).all()]
    # Within a family no image may take the other's place; families are sorted by their variance.
    order, _ = exchange.every(np.arange(6.0)[None])
    assert set(map(tuple, order.tolist())) == set(allowed) - {tuple(range(6))}


@pytest.mark.filterwarnings("ignore:all 48 different permutations")
@pytest.mark.parametrize("two_sided", [False, True])
def test_p_values_are_those_of_every_order(two_sided: bool) -> None:
    rng = np.random.default_rng(3)
    x, data = rng.standard_normal(6), rng.standard_normal((6, 5))
    out = permuted_ols(
        x, data, n_perm=1000, exchangeability_blocks=BOTH, two_sided_test=two_sided, random_state=0
    )
    X, C = np.column_stack([x, np.ones(6)]), np.array([[1.0, 0]])
    stat = np.array(
        [
            rearranged(X, C, data, np.array(order), np.ones(6), "freedman-lane")
            for order in Reference(BOTH).orders()
        ]
    )
    stat = np.abs(stat) if two_sided else stat
    observed = stat[0]
    expected = np.mean(stat.max(axis=1)[:, None] >= observed * (1 - 1e-9) - 1e-12, axis=0)
    np.testing.assert_allclose(10 ** -out["logp_max_t"][0], expected, rtol=1e-12)


def test_threads_change_no_bit_and_labels_match_rows() -> None:
    rng = np.random.default_rng(4)
    names = [f"sub-{i:02d}" for i in range(24)]
    family, sibling = np.divmod(np.arange(24), 3)
    table = pd.DataFrame({"all": 1, "family": family + 1, "sibling": sibling + 1}, index=names)
    x = pd.Series(rng.standard_normal(24), index=names)
    data = pd.DataFrame(rng.standard_normal((24, 40)), index=names)
    given: dict[str, Any] = {"n_perm": 300, "random_state": 5}
    out = permuted_ols(x, data, exchangeability_blocks=table, **given)
    for n_jobs in (2, 3):
        again = permuted_ols(x, data, exchangeability_blocks=table, n_jobs=n_jobs, **given)
        np.testing.assert_array_equal(again["h0_max_t"], out["h0_max_t"])
    shuffled = permuted_ols(x, data, exchangeability_blocks=table.iloc[::-1], **given)
    np.testing.assert_array_equal(shuffled["h0_max_t"], out["h0_max_t"])
    with pytest.raises(ValueError, match="another test: exchangeability blocks differs"):
        permuted_ols(x, data, exchangeability_blocks=table * [1, -1, 1], resume=out, n_perm=400)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1, 1], [1, 1], [2, 2], [2, 2]], r"1 in row 1 and 2 in row 3 of column 1.*put a column"),
        ([[1, 0], [1, 1], [1, 2], [1, 2]], "0 in row 1, column 2.*whole number that is not 0"),
        ([[1, 1.5], [1, 1], [1, 2], [1, 2]], "1.5 in row 1, column 2"),
        ([[1, np.nan], [1, 1], [1, 2], [1, 2]], "nan in row 1, column 2"),
        ([[1, True], [1, 1], [1, 2], [1, 2]], "True in row 1, column 2"),
        ([["a", "x"], ["a", "x"], ["a", "y"], ["a", "y"]], "'a' in row 1, column 1"),
        ([[1, 1], [1, -1], [1, 2], [1, 2]], "1 in row 1 and -1 in row 2 of column 2, for the same"),
        ([[1, 5], [1, 5], [1, 5], [1, 5]], "column 2 .* divides no block of column 1"),
        ([[1, 1, 1], [1, 2, 1], [1, 3, 2], [1, 4, 2]], "column 3 .* divides no block of column 2"),
        ([[1, 1], [1, 2]], r"has shape \(2, 2\); it must be \(4,\), or \(4, n_levels\)"),
        (np.zeros((4, 2, 2)), r"has shape \(4, 2, 2\)"),
        ([[-1, -1, 1], [-1, -1, 2], [-1, -2, 1], [-1, -2, 2]], "the same in all 1 orders"),
    ],
)
def test_tables_that_are_no_tree_are_refused(table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        permuted_ols(np.arange(4.0), np.eye(4), n_perm=5, exchangeability_blocks=table)


def test_the_option_of_whole_blocks_is_refused_beside_a_table() -> None:
    with pytest.raises(ValueError, match="block_permutation='whole' is for one label an image"):
        make_exchange(6, BOTH, "whole", flips=False)


def test_images_that_never_move_are_named() -> None:
    table = [*BOTH, [1, 4, 1]]
    with (
        pytest.warns(UserWarning, match=r"1 of 7 images keep their place.*\(row 7\)"),
        pytest.warns(UserWarning, match="all 48 different permutations"),
    ):
        permuted_ols(np.arange(7.0), np.eye(7), n_perm=99, exchangeability_blocks=table)
