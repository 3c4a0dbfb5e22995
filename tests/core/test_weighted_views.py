# SPDX-License-Identifier: BSD-3-Clause
"""Sums and counts of a weighted state are views: nobody writes to them, and they stay valid."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from groupglm import _core

N, V = 6, 70


def fitted() -> _core.WeightedState:
    rng = np.random.default_rng(0)
    state = _core.WeightedState(1, 0, V)
    design = _core.Design(np.ones((N, 1)))
    weights = rng.uniform(0.5, 2.0, (N, V))
    state.update(design, 0, rng.standard_normal((N, V)), weights, [], False, None, 1)
    return state


def test_views_cannot_be_written_to() -> None:
    state = fitted()
    for view in (state.sums, state.counts):
        assert not view.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 1
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            view.setflags(write=True)


def test_views_outlive_the_state() -> None:
    state = fitted()
    *_, sums, counts = state.__getstate__()  # copies
    views = state.sums, state.counts
    del state
    gc.collect()
    taken = [np.full((9, V), 7.0) for _ in range(100)]  # what is freed would be used again
    np.testing.assert_array_equal(views[0], sums)
    np.testing.assert_array_equal(views[1], counts)
    assert len(taken) == 100
    assert (counts[0] == N).all()


def test_views_are_not_copies() -> None:
    state = fitted()
    assert np.shares_memory(state.counts, state.counts)
    before = state.sums
    state.update(
        _core.Design(np.ones((1, 1))), 0, np.ones((1, V)), np.ones((1, V)), [], False, None, 1
    )
    np.testing.assert_array_equal(before, state.sums)
    assert (state.counts[0] == N + 1).all()
