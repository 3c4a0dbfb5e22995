# SPDX-License-Identifier: BSD-3-Clause
"""FreeSurfer's annotations (.annot): which region each vertex of a hemisphere is in.

All numbers are big-endian int32. The count of vertices is followed by a pair for each of them, its
number and a colour (red + 256 green + 65536 blue), and by a table of colours with the regions'
names (https://surfer.nmr.mgh.harvard.edu/fswiki/LabelsClutsAnnotationFiles).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ImageError
from groupglm.runtime.regular_files import check_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["read_annotation"]

_NOWHERE = ("unknown", "???", "background", "medial_wall", "freesurfer_defined_medial_wall")
"""What tables call their first entry if it is no region."""


def read_annotation(path: str) -> tuple[NDArray[np.int32], Mapping[int, str]]:
    """Return the label of each vertex, shape (n_vertices,), and the names of labels.

    A label is the number of the region's entry in the table. Zero is no region, also of vertices
    whose colour is not in the table: the first entry is mostly called "unknown". If it is a region,
    its label is the number after the last entry.

    Raises
    ------
    groupglm.errors.ImageError
        If it is no annotation, or a damaged one.
    """
    check_file(path, f"{path}:", ImageError)
    reader = _Numbers(path, Path(path).read_bytes())
    n_vertices = reader.number()
    if n_vertices < 1:
        raise reader.damaged(f"it has {n_vertices} vertices")
    pairs = reader.numbers(2 * n_vertices).reshape(-1, 2)
    at, colours = pairs.T
    if not np.array_equal(np.sort(at), np.arange(n_vertices)):
        raise reader.damaged("its vertices are not numbered from 0 on, each once")
    of_vertices = np.empty(n_vertices, np.int64)
    of_vertices[at] = colours
    if not reader.left or reader.number() == 0:
        raise ImageError(
            f"{path}: has no table of the names of its regions; give an annotation that has one"
        )
    table = _table(reader)
    order = np.argsort([colour for colour, _ in table.values()], kind="stable")
    numbers = np.array(list(table))[order]
    known = np.array([colour for colour, _ in table.values()])[order]
    place = np.minimum(np.searchsorted(known, of_vertices), len(known) - 1)
    labels = np.where(known[place] == of_vertices, numbers[place], 0)
    names = {number: name for number, (_, name) in table.items()}
    first = names.pop(0, "unknown")
    if not first.lower().startswith(_NOWHERE):
        new = max(table) + 1
        labels[(known[place] == of_vertices) & (numbers[place] == 0)] = new
        names[new] = first
    return labels.astype(np.int32), names


def _table(reader: _Numbers) -> dict[int, tuple[int, str]]:
    """Return colour and name of each entry, by its number."""
    count, is_new = reader.number(), False
    if count < 0:
        is_new, version = True, -count
        if version != 2:
            raise reader.damaged(f"its table of colours is of version {version}")
        reader.number()  # the largest number of an entry, plus one
    reader.text()  # the file that the table is from
    if is_new:
        count = reader.number()
    if not 1 <= count <= reader.left // 20 + 1:  # an entry has at least five numbers
        raise reader.damaged(f"its table of colours has {count} entries")
    table: dict[int, tuple[int, str]] = {}
    for entry in range(count):
        number = reader.number() if is_new else entry
        name = reader.text()
        red, green, blue, _ = reader.numbers(4).tolist()
        if not 0 <= number < 2**30 or number in table:
            raise reader.damaged(
                f"its table of colours has the entry {number} twice, or out of range"
            )
        table[number] = (red + (green << 8) + (blue << 16), name)
    return table


class _Numbers:
    """Takes numbers from the bytes of a file, one after the other."""

    def __init__(self, path: str, data: bytes) -> None:
        self._path, self._data, self._at = path, data, 0

    @property
    def left(self) -> int:
        """Bytes that have not been taken."""
        return len(self._data) - self._at

    def numbers(self, count: int) -> NDArray[np.int64]:
        if not 0 <= 4 * count <= self.left:
            raise self.damaged(f"it ends after {len(self._data)} bytes")
        found = np.frombuffer(self._data, ">i4", count, self._at)
        self._at += 4 * count
        return found.astype(np.int64)

    def number(self) -> int:
        return int(self.numbers(1)[0])

    def text(self) -> str:
        length = self.number()
        if not 0 <= length <= self.left:
            raise self.damaged(f"a name of {length} bytes does not fit into it")
        found = self._data[self._at : self._at + length]
        self._at += length
        return found.split(b"\0")[0].decode("utf-8", errors="replace").strip()

    def damaged(self, why: str) -> ImageError:
        return ImageError(
            f"{self._path}: is no annotation of FreeSurfer, or a damaged one: {why}; copy it again "
            "from its source"
        )
