# SPDX-License-Identifier: BSD-3-Clause
"""Images of a volume of probabilities for each region: `ProbableLabels`, `open_probabilities`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ImageError
from groupglm.spaces.geometry import NO_GEOMETRY
from groupglm.spaces.label_images import LabelImage, MovesLabels
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space

__all__ = ["ProbableLabels", "open_probabilities"]

_WHOLE = 100.0  # percent
_STEPS = 1000  # of a percent: what is kept is a whole number, as labels are


@dataclass(frozen=True, eq=False)
class ProbableLabels:
    """The most probable region of each place, and its probability.

    Attributes
    ----------
    labels : LabelImage
        The number of the region's volume, from 1; zero where no region is possible.
    """

    labels: LabelImage
    _steps: LabelImage

    def probabilities(
        self, space: Space, name: str, *, nearest: bool = False
    ) -> NDArray[np.float64]:
        """Return the probability of the label of each place of a space, shape (n_values,).

        Parameters and errors are those of `LabelImage.at`.
        """
        return self._steps.at(space, name, nearest=nearest) / (_STEPS * _WHOLE)


def open_probabilities(given: Any, name: str) -> ProbableLabels | None:
    """Read an image of several volumes, each of the probabilities of a region; None if it has one.

    Volumes are read one after the other, each once. Memory is that of four of them.

    Raises
    ------
    groupglm.errors.ImageError
        If it cannot be read, or holds other numbers than fractions or percentages.
    """
    kind = kind_of(given)
    if not isinstance(kind, MovesLabels) or kind.is_one(given):
        return None
    sources = kind.open_inputs(given, argument=name, same_placement=True, at_least=1)
    if len(sources) < 2:
        return None
    masking = kind.masking(None, None, None, None, zero_is_missing=False, geometry=NO_GEOMETRY)
    everywhere = masking.everywhere(sources, clip=None, fill=None, n_threads=1)
    labels, largest = _most_probable(sources, everywhere)
    called = sources[0].name.removesuffix(", volume 1")
    if not labels.any():
        raise ImageError(f"{called}: is zero everywhere, so that it names no region")
    percent = 1.0 if largest.max() > 1 else _WHOLE  # of fractions
    steps = np.rint(largest * percent * _STEPS).astype(np.int32)

    def kept(row: NDArray[np.int32]) -> LabelImage:
        image = everywhere.to_image(row, "labels", dtype=np.int32)
        return LabelImage(called, row, everywhere, kind.open_map(image, name)[0], {})

    return ProbableLabels(kept(labels), kept(steps))


def _most_probable(
    sources: Sequence[Source], everywhere: Space
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the number of the largest volume at each place, from 1, and its value.

    Of two that are as large, it is the first. Where all are zero, both are zero.
    """
    labels = np.zeros(everywhere.n_values, np.int32)
    largest, values = np.zeros(everywhere.n_values), np.empty(everywhere.n_values)
    for number, source in enumerate(sources, start=1):
        everywhere.read_stored(source, values)
        values[np.isnan(values)] = 0
        wrong = (values < 0) | (values > _WHOLE)
        if wrong.any():
            raise ImageError(
                f"{source.name}: has values such as {values[wrong][0]:g}, but an atlas of several "
                "volumes has the probabilities of a region in each, as fractions or as "
                "percentages; give one, or an image of labels, which has one volume"
            )
        above = values > largest
        labels[above], largest[above] = number, values[above]
    return labels, largest
