# SPDX-License-Identifier: BSD-3-Clause
"""How a group of inputs is read into the accumulator of a model: `Reading`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.engine.rows import BATCH_BYTES

if TYPE_CHECKING:
    from groupglm.engine.row_store import RowStore
    from groupglm.models.base import Values
    from groupglm.spaces.zeros import ZeroTally

__all__ = ["RangesToo", "Reading"]


@dataclass(frozen=True, eq=False)
class RangesToo:
    """Lets workers also return the range of the values, without another reading of the inputs.

    Parameters
    ----------
    keep : callable
        Replaces inputs by inputs that keep the values of the first reading.
    found : list of tuple of float
        Receives the ranges.
    """

    keep: Callable[[Sequence[Any]], Sequence[Any]]
    found: list[tuple[float, float]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """How inputs are read, and who looks at their rows on the way.

    Parameters
    ----------
    n_threads : int
        Threads that read.
    fill : float, optional
        Put in the place of missing values.
    advance : callable, optional
        Called after each input that was read, with their number.
    batch_bytes : int
        Of a batch of rows.
    tally : ZeroTally, optional
        Counts zeros.
    check_missing : callable
        Called after each chunk, with the number of places that some row has lacked so far.
    keep : RowStore, optional
        Empty; keeps the rows.
    ranges : RangesToo, optional
        What workers find besides.
    look : callable, optional
        Called with the first row's number and the rows of each batch; not for what workers read.
    """

    n_threads: int
    fill: float | None = None
    advance: Callable[[int], object] | None = None
    batch_bytes: int = BATCH_BYTES
    tally: ZeroTally | None = None
    check_missing: Callable[[int], None] = lambda _: None
    keep: RowStore | None = None
    ranges: RangesToo | None = None
    look: Callable[[int, Values], object] | None = None
