# SPDX-License-Identifier: BSD-3-Clause
"""XML of unknown origin, parsed with bounds: `parse_xml`.

The standard library's parser expands entities, and ElementTree nests as deep as the text says. Here
a document type, which alone can declare entities, is refused before anything of it is used; depth
and number of elements have limits. Nothing is fetched, and no name in the text is looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Element", "XmlError", "parse_xml"]

_DEEPEST = 32
_MOST_ELEMENTS = 200_000  # some 100 MB of objects
_BLOCK = 1 << 20  # bytes; text comes in pieces of at most this size


class XmlError(ValueError):
    """A text that is no XML, or XML that is not parsed here; the message says why."""


@dataclass(eq=False)
class Element:
    """An element of a document.

    Attributes
    ----------
    name : str
        Its name, without the markup.
    attributes : dict of str to str
        By name.
    children : list of Element
        Those right inside it.
    pieces : list of str
        Its own text, in pieces.
    """

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text, without that of its children."""
        return "".join(self.pieces)

    def named(self, name: str) -> Iterator[Element]:
        """Yield the children of a name."""
        return (child for child in self.children if child.name == name)

    def first(self, name: str) -> Element | None:
        """Return the first child of a name; None if there is none."""
        return next(self.named(name), None)


def parse_xml(data: bytes, skipped: frozenset[str] = frozenset()) -> Element:
    """Parse a document in UTF-8; nothing is kept of elements of the names in `skipped`.

    Examples
    --------
    >>> root = parse_xml(b"<a x='1'><b>two</b><c>three</c></a>", frozenset({"c"}))
    >>> root.attributes, [child.text for child in root.children]
    ({'x': '1'}, ['two'])
    >>> parse_xml(b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>")
    Traceback (most recent call last):
    groupglm.runtime.xml_elements.XmlError: it declares a document type, which may define entities
    """
    builder = _Builder(skipped)
    # The encoding that the text declares is not used, because Python would look for its codec.
    parser = expat.ParserCreate(encoding="UTF-8")
    parser.buffer_text = True
    parser.buffer_size = _BLOCK
    parser.StartDoctypeDeclHandler = builder.refuse_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlError(f"{error}") from error
    if builder.root is None:
        raise XmlError("it holds no element")
    return builder.root


class _Builder:
    """Makes elements of the parser's events."""

    def __init__(self, skipped: frozenset[str]) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._skipped = skipped
        self._skipped_depth = 0  # inside a skipped element
        self._n_elements = 0

    def refuse_doctype(self, *_: object) -> None:
        raise XmlError("it declares a document type, which may define entities")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) + self._skipped_depth >= _DEEPEST:
            raise XmlError(f"its elements are nested more than {_DEEPEST} deep")
        if self._skipped_depth or name in self._skipped:
            self._skipped_depth += 1
            return
        self._n_elements += 1
        if self._n_elements > _MOST_ELEMENTS:
            raise XmlError(f"it has more than {_MOST_ELEMENTS} elements")
        element = Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        del name
        if self._skipped_depth:
            self._skipped_depth -= 1
        else:
            self._open.pop()

    def text(self, text: str) -> None:
        if not self._skipped_depth and self._open:
            self._open[-1].pieces.append(text)
