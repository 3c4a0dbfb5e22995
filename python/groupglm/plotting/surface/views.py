# SPDX-License-Identifier: BSD-3-Clause
"""From where a hemisphere is looked at: `Camera`, `camera_of`, `check_views`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.runtime.arguments import check_choice

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VIEWS", "Camera", "camera_of", "check_views"]

# Axes of the world, x to the subject's right, y to the front, z up, by their numbers and signs:
# what points to the right of the picture, what points up in it, and what points to the viewer.
_FROM = {
    "right": ((1, 1), (2, 1), (0, 1)),
    "left": ((1, -1), (2, 1), (0, -1)),
    "dorsal": ((0, 1), (1, 1), (2, 1)),
    "ventral": ((0, -1), (1, 1), (2, -1)),
    "anterior": ((0, -1), (2, 1), (1, 1)),
    "posterior": ((0, 1), (2, 1), (1, -1)),
}
_ACROSS = {"left": "right", "right": "left"}

VIEWS = ("lateral", "medial", "dorsal", "ventral", "anterior", "posterior")
"""The views of a hemisphere, by their names."""


@dataclass(frozen=True)
class Camera:
    """From where a hemisphere is looked at, in parallel projection.

    Parameters
    ----------
    right, up, toward : tuple of 2 ints
        The number of the world's axis, and 1 or -1 for its direction, that points to the right of
        the picture, up in it, and to the viewer.
    """

    right: tuple[int, int]
    up: tuple[int, int]
    toward: tuple[int, int]

    def project(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far to the right, how far up and how near places or directions are, (n, 3)."""
        return np.stack(
            [sign * places[:, axis] for axis, sign in (self.right, self.up, self.toward)], axis=1
        )


def camera_of(view: str, side: str) -> Camera:
    """Return the camera of a view of the left or the right hemisphere.

    Examples
    --------
    From the left, the front of the brain is on the left:

    >>> camera_of("lateral", "left") == camera_of("medial", "right")
    True
    >>> camera_of("lateral", "left").right  # the world's y, turned round
    (1, -1)
    """
    where = {"lateral": side, "medial": _ACROSS[side]}.get(view, view)
    return Camera(*_FROM[where])


def check_views(views: Any) -> tuple[str, ...]:
    """Return the names of views that a caller gave; one name is one view."""
    if isinstance(views, str):
        views = (views,)
    if not isinstance(views, tuple | list):
        wanted = "the name of a view, or a list of several"
        raise ArgumentTypeError("views", shown(views), f"{wanted}: {', '.join(VIEWS)}")
    if not views:
        raise ArgumentError("views", "empty", f"at least one of {', '.join(VIEWS)}")
    for view in views:
        check_choice("views", view, VIEWS)
    if len(set(views)) < len(views):
        raise ArgumentError("views", shown(list(views)), "each view once")
    return tuple(views)
