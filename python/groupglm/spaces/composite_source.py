# SPDX-License-Identifier: BSD-3-Clause
"""An input of parts side by side, one for each member of a composite space: `CompositeSource`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable

    from groupglm.spaces.source import Source

__all__ = ["CompositeSource"]


@dataclass(frozen=True, eq=False)
class CompositeSource:
    """One input for each member of a composite space.

    Parameters
    ----------
    name : str
        What messages call it.
    members : mapping of str to Source
        By the names of the space's members.
    """

    name: str
    members: Mapping[str, Source]

    @property
    def extent(self) -> str:
        """The extent of each member, in words."""
        return " and ".join(source.extent for source in self.members.values())

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds the values of all members exactly."""
        return np.result_type(*{source.dtype for source in self.members.values()})

    @property
    def is_quantised(self) -> bool:
        """Whether some member's values are scaled integers."""
        return any(source.is_quantised for source in self.members.values())

    @property
    def is_readable(self) -> bool:
        """Whether the values of all members can be read."""
        return all(source.is_readable for source in self.members.values())

    @property
    def saved_in(self) -> str | None:
        """The saved model that names the input."""
        return next(iter(self.members.values())).saved_in

    @property
    def nbytes_in_memory(self) -> float:
        """Bytes to send when the input goes to another process."""
        return sum(source.nbytes_in_memory for source in self.members.values())

    def fingerprint(self) -> Hashable:
        """Identify the values of all members; None where one is not known."""
        prints = {name: source.fingerprint() for name, source in self.members.items()}
        return None if None in prints.values() else tuple(prints.items())

    def file_state(self) -> Hashable:
        """Return what changes when a file of a member is written to."""
        return tuple(source.file_state() for source in self.members.values())

    def difference(self, other: Any) -> str | None:
        """Say which member is elsewhere than in another source, or in a space, and how."""
        if list(self.members) != list(other.members):
            return f"it has {', '.join(self.members)}, not {', '.join(other.members)}"
        for name, source in self.members.items():
            difference = source.difference(other.members[name])
            if difference is not None:
                return f"{name}: {difference}"
        return None

    def value_range(self) -> tuple[float, float]:
        """Read all members, and return the range of their finite values and zero."""
        lows, highs = zip(*(each.value_range() for each in self.members.values()), strict=True)
        return min(lows), max(highs)
