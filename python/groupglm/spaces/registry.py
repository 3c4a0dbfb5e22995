# SPDX-License-Identifier: BSD-3-Clause
"""The registered kinds of data, found by a user's input or by the tag in a saved model.

A kind of data is a folder beside this module. Its module ``kind`` has the members of
`groupglm.spaces.kinds.Kind`, and is listed here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groupglm.spaces.base import Source
    from groupglm.spaces.kinds import Kind

__all__ = [
    "grouped",
    "kind_of",
    "kind_of_tag",
    "kinds",
    "open_inputs",
    "parts_of",
    "register",
]

_REGISTERED: list[Kind] = []  # the kind registered last comes first


def register(kind: Kind) -> None:
    """Add a kind of data; it is tried before the kinds registered earlier."""
    _REGISTERED.insert(0, kind)


def kinds() -> tuple[Kind, ...]:
    """Return all kinds; the last one accepts, or refuses in its own words, what no other holds."""
    from groupglm.spaces.cifti.kind import OF_GRAYORDINATES, OF_PARCELS
    from groupglm.spaces.surface import kind as surface
    from groupglm.spaces.table import kind as table
    from groupglm.spaces.volume import kind as volume

    return (*_REGISTERED, OF_GRAYORDINATES, OF_PARCELS, surface, table, volume)


def kind_of(given: object) -> Kind:
    """Return the kind of data of an input, or of the first of several inputs."""
    known = kinds()
    itself = next((kind for kind in known[:-1] if kind.holds(given)), None)
    if itself is not None:
        return itself
    first: Any = given
    # An array and a Series exist only if their caller has imported what makes them.
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    is_array = numpy is not None and isinstance(given, numpy.ndarray) and given.ndim == 1
    if (isinstance(given, list | tuple) or is_array) and len(first):
        first = first[0]
    elif pandas is not None and isinstance(given, pandas.Series) and len(given):
        first = given.iloc[0]
    return next((kind for kind in known[:-1] if kind.holds(first)), known[-1])


def kind_of_tag(tag: object) -> Kind:
    """Return the kind of data that a saved model names; ValueError if there is none."""
    for kind in kinds():
        if kind.tag == tag:
            return kind
    known = ", ".join(repr(kind.tag) for kind in kinds())
    raise ValueError(f"space {tag!r}; this groupglm knows {known}")


def grouped(given: Any, argument: str) -> Any:
    """Bring the parts of each image together, if the kind of data has images of several parts.

    A user may give the hemispheres of all images in one flat list, or in two lists.
    """
    group = getattr(kind_of(given), "grouped", None)
    return given if group is None else group(given, argument)


def parts_of(given: Any) -> list[Any]:
    """Return the files or images that one image is made of; itself if it is one.

    A kind of data whose images are in several files, such as one for each hemisphere, has a
    function of this name.
    """
    parts = getattr(kind_of(given), "parts_of", None)
    return [given] if parts is None else list(parts(given))


def open_inputs(
    given: Any,
    *,
    argument: str = "second_level_input",
    same_placement: bool = True,
    at_least: int = 2,
) -> list[Source]:
    """Open the inputs of a model, of any kind of data."""
    return kind_of(given).open_inputs(
        given, argument=argument, same_placement=same_placement, at_least=at_least
    )
