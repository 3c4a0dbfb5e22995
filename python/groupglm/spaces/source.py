# SPDX-License-Identifier: BSD-3-Clause
"""An input of a model, opened and not read yet: the protocol `Source`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np

__all__ = ["Source"]


class Source(Protocol):
    """An opened input: one row of values, not read yet."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        ...

    @property
    def extent(self) -> str:
        """How much it holds, in words: ``(61, 73, 61) voxels``."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest of float32 and float64 that holds its values exactly."""
        ...

    @property
    def is_quantised(self) -> bool:
        """Whether its values are scaled integers: a measured value may then round to zero."""
        ...

    @property
    def is_readable(self) -> bool:
        """Whether the values can be read; False if only the name is known."""
        ...

    @property
    def saved_in(self) -> str | None:
        """The saved model that names the input, if its values cannot be read."""
        ...

    @property
    def nbytes_in_memory(self) -> float:
        """Bytes to send when it goes to another process."""
        ...

    def fingerprint(self) -> Hashable:
        """Identify the values that a reading gives now; None if they cannot be identified."""
        ...

    def file_state(self) -> Hashable:
        """Return what changes when its files are written to; None if they cannot be looked at.

        Of an input in memory always None.
        """
        ...

    def difference(self, other: Any) -> str | None:
        """Return, in words, how its placement differs from that of another source or a space.

        For example ``its shape is (5, 5, 6), not (5, 5, 5)``. None if both are at the same places;
        masks are not compared.
        """
        ...

    def value_range(self) -> tuple[float, float]:
        """Read it, and return the least and the largest of its finite values and zero."""
        ...
