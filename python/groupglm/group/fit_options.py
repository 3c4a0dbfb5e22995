# SPDX-License-Identifier: BSD-3-Clause
"""The options of a group's fit, and how the memory budget is divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from groupglm.engine.row_cache import RowFolder
from groupglm.engine.rows import BATCH_BYTES, CHUNK, row_dtype
from groupglm.runtime.budget import batch_bytes_within, fit_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import joblib

    from groupglm.group.fitted_group import Missing
    from groupglm.models.base import Plan
    from groupglm.runtime.progress import Progress
    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.kinds import Masking

__all__ = ["FitOptions", "batch_bytes", "room_for_values"]


@dataclass(frozen=True, eq=False)
class FitOptions:
    """How a group is fitted.

    Parameters
    ----------
    masking : Masking
        The mask, the grid and the smoothing.
    missing : {"omit", "zero", "raise", "intersect"}
        The treatment of missing values.
    n_threads : int
        Number of threads.
    memory : joblib.Memory
        Stores masked rows, if it has a location.
    progress : Progress
        Reports to the user.
    memory_budget : int
        Bytes that reading may take.
    keep_rows : bool, default=False
        Whether the fit keeps the images' rows for later uses; not on a cluster.
    cache : RowFolder, optional
        The folder of `memory`, if it has one.
    check_space : callable, optional
        Called with the space of the images before they are read; it may raise.
    """

    masking: Masking
    missing: Missing
    n_threads: int
    memory: joblib.Memory
    progress: Progress
    memory_budget: int
    keep_rows: bool = False
    cache: RowFolder | None = None
    check_space: Callable[[Space], None] | None = None

    def __post_init__(self) -> None:
        if self.cache is None and self.memory.location is not None:
            object.__setattr__(self, "cache", RowFolder(self.memory))

    @property
    def fill(self) -> float | None:
        """The value that replaces missing values; None to leave them missing."""
        return 0.0 if self.missing == "zero" else None


def room_for_values(
    sources: Sequence[Source], spaces: Sequence[Space], plan: Plan, options: FitOptions
) -> float:
    """Return how many bytes stored values may take, beside the fit in the largest of the spaces."""
    space = max(spaces, key=lambda each: each.n_values)
    needed = fit_bytes(
        space.n_values,
        batch_bytes(sources, space, plan, options),
        options.n_threads,
        spaces[0].bytes_to_read(sources[0]),
        model_bytes=plan.bytes(space.n_values),
    )
    return max(0, options.memory_budget - needed) // 2


def batch_bytes(
    sources: Sequence[Source],
    space: Space,
    plan: Plan,
    options: FitOptions,
) -> int:
    """Return the bytes of a batch of rows; refuse a budget without room for one row."""
    row_bytes = row_dtype(sources).itemsize * space.n_values * plan.model.rows_per_image
    return batch_bytes_within(
        options.memory_budget,
        # No batch has more rows: what it does not take stays for places that lack values.
        min(BATCH_BYTES, row_bytes * min(CHUNK, len(plan.X))),
        n_values=space.n_values,
        places=space.place_words[1],
        n_columns=plan.X.shape[1],
        row_bytes=row_bytes,
        n_threads=options.n_threads,
        image_bytes=space.bytes_to_read(sources[0]),
        model_bytes=plan.bytes(space.n_values),
    )
