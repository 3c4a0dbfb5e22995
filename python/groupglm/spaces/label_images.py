# SPDX-License-Identifier: BSD-3-Clause
"""Images whose numbers name regions, of any kind of data: `LabelImage`, `open_labels`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from groupglm.errors import GridMismatchError, ImageError
from groupglm.messages import argument, either
from groupglm.spaces.registry import kind_of, kind_of_tag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space

__all__ = [
    "FLOW_ENDINGS",
    "LABEL_ENDINGS",
    "VOLUME_ENDING",
    "KnowsLabels",
    "LabelImage",
    "LabelsStructures",
    "MovesLabels",
    "NameTables",
    "open_labels",
]

NameTables: TypeAlias = Mapping[str, Mapping[int, str]]
"""Names of labels by the part of the data that they are of; by "" if they are of all parts."""

VOLUME_ENDING = ".nii.gz"
"""The ending of the volumes of labels that packages bring."""

FLOW_ENDINGS = (VOLUME_ENDING, ".label.gii", ".dlabel.nii")
"""The endings of images of labels in TemplateFlow."""

LABEL_ENDINGS = (*FLOW_ENDINGS, ".nii", ".annot")
"""The endings of images of labels, whose tables may lie beside them."""

_LARGEST = np.iinfo(np.int32).max


@runtime_checkable
class KnowsLabels(Protocol):
    """What a kind of data has besides the members of `Kind` if its files may name their labels."""

    def open_labels(self, given: Any, name: str) -> tuple[Source, Space, NameTables]:
        """Open an image of labels; return it with all of its places, and the names it gives."""
        ...


@runtime_checkable
class MovesLabels(Protocol):
    """What a kind of data has besides the members of `Kind` if labels can be moved to a space."""

    def nearest_labels(
        self, row: NDArray[np.int32], everywhere: Any, space: Any
    ) -> NDArray[np.int32]:
        """Return the label that the nearest of all places of an image has, shape (n_values,)."""
        ...


@runtime_checkable
class LabelsStructures(Protocol):
    """What a kind of data has besides the members of `Kind` if labels may be of some structures."""

    def labels_of_structures(
        self, row: NDArray[np.int32], everywhere: Any, space: Any
    ) -> NDArray[np.int32] | None:
        """Return the labels of a space's places, zero where there are none; None if elsewhere."""
        ...


@dataclass(frozen=True, eq=False)
class LabelImage:
    """An image of labels in memory.

    Attributes
    ----------
    name : str
        The file's name, or the argument's.
    row : array of int32, shape (everywhere.n_values,)
        The label of each place; zero where it has none.
    everywhere : Space
        All places of the image.
    source : Source
        The same labels, as an opened input.
    names : mapping of int to str
        The names that the file gives.
    """

    name: str
    row: NDArray[np.int32]
    everywhere: Space
    source: Source
    names: Mapping[int, str]

    def at(self, space: Space, name: str, *, nearest: bool = False) -> NDArray[np.int32]:
        """Return the label of each place of a space, shape (n_values,).

        Parameters
        ----------
        space : Space
            The places.
        name : str
            What lies there, in messages.
        nearest : bool, default=False
            Whether a place of another grid gets the label of the nearest place of the image.

        Raises
        ------
        groupglm.errors.GridMismatchError
            If the image lies elsewhere.
        """
        if space.tag != self.everywhere.tag:
            raise GridMismatchError(
                f"{self.name}: the labels are of {self.everywhere.describe_placement()}, but the "
                f"places of {name} are {space.describe_placement()}; give labels of that kind of "
                "data"
            )
        difference = self.source.difference(space)
        if difference is None:
            found = np.empty(space.n_values)
            space.read_stored(self.source, found)
            return found.astype(np.int32)
        kind = kind_of_tag(space.tag)
        if isinstance(kind, LabelsStructures):
            own = kind.labels_of_structures(self.row, self.everywhere, space)
            if own is not None:
                return own
        if nearest and isinstance(kind, MovesLabels):
            return kind.nearest_labels(self.row, self.everywhere, space)
        word = space.placement_word
        beginning = f"{self.name}: the labels are not on the {word} of {name}: {difference}; "
        if not isinstance(kind, MovesLabels):
            raise GridMismatchError(f"{beginning}give labels on that {word}")
        raise GridMismatchError(
            beginning
            + argument("resample", "nearest")
            + either(" of load_atlas", "")
            + f" gives each {space.place_words[0]} the label of the nearest one"
        )


def open_labels(given: Any, name: str, *, own_names: bool = True) -> LabelImage:
    """Read an image of labels, with the names that its file gives.

    A number that the tables of two parts (hemispheres) both use is a region of its own in each.
    Without `own_names` it is one region wherever it is, and no name is read.

    Raises
    ------
    groupglm.errors.ImageError
        If it cannot be read, or has values that are no whole numbers.
    """
    kind = kind_of(given)
    tables: NameTables = {}
    if isinstance(kind, KnowsLabels):
        source, everywhere, tables = kind.open_labels(given, name)
    else:
        source, everywhere = kind.open_map(given, name)
    values = np.empty(everywhere.n_values)
    everywhere.read_stored(source, values)
    row = _whole(source.name, values)
    names: Mapping[int, str] = {}
    if own_names:
        row, names = _joined(source.name, row, everywhere, tables)
    kept, _ = kind.open_map(everywhere.to_image(row, "labels", dtype=np.int32), name)
    return LabelImage(source.name, row, everywhere, kept, names)


def _whole(name: str, values: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the labels; zero where the image is NaN."""
    values[np.isnan(values)] = 0
    wrong = ~((values == np.rint(values)) & (np.abs(values) <= _LARGEST))
    if wrong.any():
        raise ImageError(
            f"{name}: has values such as {values[wrong][0]:g}, but labels are whole numbers, one a "
            "region, and zero outside; give the image of labels, not one of probabilities or of "
            "statistics"
        )
    if not values.any():
        raise ImageError(f"{name}: is zero everywhere, so that it names no region")
    return values.astype(np.int32)


def _joined(
    name: str, row: NDArray[np.int32], everywhere: Space, tables: NameTables
) -> tuple[NDArray[np.int32], Mapping[int, str]]:
    """Return labels that are unique over all parts, and their names."""
    if set(tables) <= {""}:
        return row, dict(tables.get("", {}))
    uses = Counter(number for own in tables.values() for number in own if number)
    shared = any(n_tables > 1 for n_tables in uses.values())
    said = Counter(name for own in tables.values() for name in set(own.values()))
    wide, names, shift = row.astype(np.int64), {}, 0
    for part in everywhere.parts:
        own = wide[part.places]  # a view
        table = {number: name for number, name in tables.get(part.name, {}).items() if number}
        own[own != 0] += shift
        for number, called in table.items():
            names[number + shift] = f"{part.name} {called}" if said[called] > 1 else called
        if shared:
            shift = max(shift, int(own.max(initial=0)), *names, 0) + 1
    if wide.max(initial=0) > _LARGEST:
        raise ImageError(f"{name}: has labels up to {row.max()}, which are too large")
    return wide.astype(np.int32), names
