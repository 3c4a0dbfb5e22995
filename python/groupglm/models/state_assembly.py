# SPDX-License-Identifier: BSD-3-Clause
"""A state of least squares at all places, put together from those of some places each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StateAssembly"]

_COMPLETE = -1
"""The slot of a place that every image has; others below 0 are places that no image has."""


class StateAssembly:
    """States of the same images at some of the places each, which become one.

    Parameters
    ----------
    design : groupglm._core.Design
        The design of the images.
    n_places : int
        Number of all places.
    """

    def __init__(self, design: _core.Design, n_places: int) -> None:
        self._design = design
        self._n_places = n_places
        self._whole: _core.OlsState | None = None
        self._states: list[tuple[NDArray[np.int64], tuple[Any, ...]]] = []

    def put(self, places: NDArray[np.int64], state: _core.OlsState) -> None:
        """Add the state of some places."""
        if (
            len(places) == self._n_places
            and (places == np.arange(self._n_places, dtype=np.int64)).all()
        ):
            self._whole = state
        else:
            self._states.append((places, state.__getstate__()))

    def state(self) -> _core.OlsState:
        """Return the state of all places."""
        q = self._design.n_working
        if self._whole is not None:
            return self._whole
        if not self._states:  # no places, of all rows nevertheless
            none = _core.OlsState(q, self._n_places)
            none.update(self._design, 0, np.empty((self._design.n_rows, self._n_places)), 1)
            return none
        n_rows, r = self._states[0][1][:2]
        w = np.zeros((q, self._n_places))
        rss = np.zeros(self._n_places)
        slot = np.full(self._n_places, _COMPLETE, dtype=np.int32)
        exponent = np.zeros(self._n_places, dtype=np.int16)
        factors, rows = [np.empty(0)], [np.empty(0, dtype=np.int32)]
        n_slots = 0
        for places, (_, _, own_w, own_rss, own_slot, own_factors, own_rows, own) in self._states:
            w[:, places], rss[places] = own_w, own_rss
            if len(own):
                exponent[places] = own
            if len(own_slot):
                slot[places] = np.where(own_slot >= 0, own_slot + n_slots, own_slot)
                factors.append(own_factors)
                rows.append(own_rows)
                n_slots += len(own_rows)
        has_missing = (slot != _COMPLETE).any()
        whole = _core.OlsState.__new__(_core.OlsState)
        whole.__setstate__(
            (
                n_rows,
                r,
                w,
                rss,
                slot if has_missing else slot[:0],
                np.concatenate(factors),
                np.concatenate(rows),
                exponent if exponent.any() else exponent[:0],
            )
        )
        return whole
