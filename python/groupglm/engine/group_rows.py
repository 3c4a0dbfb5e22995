# SPDX-License-Identifier: BSD-3-Clause
"""The rows of a group of inputs: stored during the fit, or read when they are needed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Generator, Hashable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from groupglm.engine.row_store import RowStore
from groupglm.engine.rows import BATCH_BYTES, read_rows, row_dtype
from groupglm.errors import ImageError
from groupglm.runtime.budget import check_memory_budget

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space

__all__ = ["GroupRows"]


@dataclass(eq=False)
class GroupRows:
    """Rows of a group.

    Stored values are not sent to workers. A worker reads the inputs for its first task that needs
    the rows, and keeps the rows for its next tasks, until a task needs rows of another group.

    Parameters
    ----------
    sources : tuple of Source
        The inputs.
    space : Space
        The places of a row.
    fill : float, optional
        The value that replaces missing values.
    n_threads : int, default=1
        Threads that read.
    kept : RowStore, optional
        All rows, if the fit has stored them.
    file_states : tuple, optional
        The `file_state` of each input when the fit read it.
    beside : tuple of str, default=()
        Roles of the inputs that follow each image.
    """

    sources: tuple[Source, ...]
    space: Space
    fill: float | None
    n_threads: int = 1
    kept: RowStore | None = None
    file_states: tuple[Hashable, ...] = ()
    beside: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rows_of_worker, (self.token, self.sources, self.space, self.fill, self.beside)

    @property
    def n_inputs(self) -> int:
        """Number of rows."""
        return len(self.sources)

    @property
    def n_values(self) -> int:
        """Length of a row."""
        return self.space.n_values

    def batches(
        self, max_bytes: int = BATCH_BYTES
    ) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yield the number of a first row and some rows, as `RowStore.batches` does."""
        if self.kept is not None:
            return self.kept.batches(max_bytes)
        self._refuse_changed_files()
        return read_rows(
            self.sources,
            self.space,
            n_threads=self.n_threads,
            fill=self.fill,
            batch_bytes=max_bytes,
            beside=self.beside,
        )

    def _refuse_changed_files(self) -> None:
        for source, before in zip(self.sources, self.file_states, strict=False):
            now = source.file_state()
            if now != before and now is not None:
                raise ImageError(
                    f"{source.name}: the file was changed after the model was fitted to it; "
                    "fit the model again"
                )

    def tiles(
        self, max_bytes: int
    ) -> Generator[tuple[NDArray[np.int64], NDArray[Any]], None, None]:
        """Yield places and all inputs' values there, as `RowStore.tiles` does."""
        return self.keep().tiles(max_bytes)

    def keep(self) -> RowStore:
        """Return the store of all rows; if the fit stored none, read them into it now."""
        with self._lock:  # a worker's threads share the rows
            if self.kept is None:
                self.kept = self._read()
            return self.kept

    def _read(self) -> RowStore:
        store = RowStore(
            self.n_inputs,
            self.n_values,
            row_dtype(self.sources),
            memory_budget=check_memory_budget(None),
        )
        # Closed explicitly: after an error, its traceback would keep the reading threads alive.
        with closing(store.keeping(self.batches())) as batches:
            for _ in batches:
                pass
        return store


_last: list[GroupRows] = []  # of this process, if it is a worker
_last_lock = threading.Lock()


def _rows_of_worker(
    token: str,
    sources: tuple[Source, ...],
    space: Space,
    fill: float | None,
    beside: tuple[str, ...],
) -> GroupRows:
    """Return the rows of this process's last task if the token is the same, else new rows."""
    with _last_lock:
        if not _last or _last[0].token != token:
            _last[:] = [GroupRows(sources, space, fill, beside=beside, token=token)]
        return _last[0]
