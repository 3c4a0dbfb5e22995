# SPDX-License-Identifier: BSD-3-Clause
"""Atlases: images whose labels have names, `Atlas` and `load_atlas`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm.atlases.label_tables import label_table
from groupglm.errors import ArgumentError, in_quotes, warn_caller
from groupglm.runtime.arguments import check_choice
from groupglm.runtime.naming import counted, listed
from groupglm.spaces.label_images import LABEL_ENDINGS, LabelImage, open_labels
from groupglm.spaces.probability_images import ProbableLabels, open_probabilities
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space
    from groupglm.spaces.images import ImageLike

__all__ = ["NO_LABEL", "Atlas", "load_atlas"]

NO_LABEL = "no label"
"""What a place is called that is in no region."""

_BESIDE = (".tsv", ".csv", ".xml", ".txt")
_RESOLUTION = re.compile(r"_res-[0-9A-Za-z]+")
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False, repr=False)
class Atlas:
    """Regions by label and by name, as `load_atlas` makes them.

    Attributes
    ----------
    name : str
        The name of its file.
    names : mapping of int to str
        The name of each label in the image, by its number; zero is no label. No two are equal.
    """

    name: str
    names: Mapping[int, str]
    _image: LabelImage
    _nearest: bool = False
    _probable: ProbableLabels | None = None

    def __repr__(self) -> str:
        return f"Atlas({in_quotes(self.name)}, {counted(len(self.names), 'region')})"

    def at(self, space: Space, name: str = "the map") -> NDArray[np.int32]:
        """Return the label of each place of a space, shape (n_values,); zero where there is none.

        Parameters
        ----------
        space : Space
            The places of a map.
        name : str
            The map's name in messages.

        Returns
        -------
        array of int32, shape (n_values,)
            The labels.

        Raises
        ------
        groupglm.errors.GridMismatchError
            If they lie elsewhere than the atlas, and it was not loaded with ``resample="nearest"``.
        """
        return self._image.at(space, name, nearest=self._nearest)

    def probabilities_at(self, space: Space, name: str = "the map") -> NDArray[np.float64] | None:
        """Return the probability of the label of each place of a space, shape (n_values,).

        Parameters
        ----------
        space : Space
            The places of a map.
        name : str
            The map's name in messages.

        Returns
        -------
        array of float64, shape (n_values,), or None
            From 0 to 1; None of an atlas that has no probabilities.

        Raises
        ------
        groupglm.errors.GridMismatchError
            As `at`.
        """
        if self._probable is None:
            return None
        return self._probable.probabilities(space, name, nearest=self._nearest)

    def name_of(self, label: int) -> str:
        """Return the name of a label.

        Parameters
        ----------
        label : int
            The number in the image.

        Returns
        -------
        str
            The name; "no label" for zero, and for a number that the atlas does not have.
        """
        return self.names.get(label, NO_LABEL)


def load_atlas(
    image: ImageLike,
    labels: Any = None,
    *,
    resample: Literal["nearest"] | None = None,
) -> Atlas:
    """Load an atlas: an image of labels, and their names.

    Nothing is downloaded. `find_atlas` finds an atlas that is on this machine by its name.

    Parameters
    ----------
    image : str, os.PathLike, image or pair of images
        Whole numbers, one for each region, and zero outside of all: a 3-D image; of surfaces
        .label.gii, .annot or other files, or a pair of hemispheres; of grayordinates a .dlabel.nii.
        Or a 4-D image of probabilities, as fractions or percentages, a volume for each region.
    labels : str, os.PathLike, pandas.DataFrame or mapping of int to str, optional
        The names. A .tsv or .csv has the columns ``index`` and ``name``, as in BIDS. A .xml is
        FSL's, a .txt has lines as FreeSurfer's ``FreeSurferColorLUT.txt``. By default, the names
        are those in the image's file (GIFTI, CIFTI, .annot), or those of a table beside it that has
        its name. Without any, a region is called by its number.
    resample : {"nearest"}, optional
        Whether an atlas on another grid than the maps is brought to theirs, by the nearest voxel.
        By default, such an atlas is refused. Surfaces and grayordinates are never resampled.

    Returns
    -------
    Atlas
        The regions.

    Raises
    ------
    ValueError
        If the table names no labels, one number twice, or none of the labels in the image.
    groupglm.errors.ImageError
        If the image cannot be read, holds numbers that are not whole, or nothing but zero.

    Warns
    -----
    UserWarning
        If the table lacks labels of the image, which are then called by their numbers.

    Notes
    -----
    Of an atlas of probabilities, a place is in the region that is most probable there, however
    improbable, as in FSL's images called ``maxprob-thr0``; the regions have the numbers of their
    volumes, from 1. Tables of clusters say how probable the region of a peak is.

    Regions of one name have their number after it. FSL counts labels from 0, and the values in its
    images of the most probable label are larger by one; the .xml says for which kind of atlas.
    Where the files of both hemispheres have tables, a region of one hemisphere is another one than
    that of the other hemisphere with the same number.

    Examples
    --------
    >>> import groupglm, nibabel, numpy as np
    >>> labels = np.zeros((4, 4, 4), np.int16)
    >>> labels[:2], labels[3] = 1, 7
    >>> groupglm.load_atlas(nibabel.Nifti1Image(labels, np.eye(4)), {1: "one", 7: "seven"}).names
    {1: 'one', 7: 'seven'}
    """
    check_choice("resample", resample, (None, "nearest"))
    if labels is None:
        labels = _table_beside(image)
    probable = open_probabilities(image, "image")
    opened = (
        open_labels(image, "image", own_names=labels is None)
        if probable is None
        else probable.labels
    )
    known = dict(opened.names) if labels is None else label_table(labels)
    present = [int(number) for number in np.unique(opened.row) if number]
    names = {number: known.get(number, "") for number in present}
    unnamed = [str(number) for number, name in names.items() if not name]
    if known and len(unnamed) == len(names):
        raise ArgumentError.about(
            "labels",
            f"none of the {counted(len(known), 'label')} in the table is in {opened.name}, which "
            f"has {listed(unnamed, _MOST_NAMED)}",
            "give the table of this image",
        )
    if known and unnamed:
        warn_caller(
            f"{opened.name}: {counted(len(unnamed), 'label has', 'labels have')} no name in the "
            f"table, and {'is' if len(unnamed) == 1 else 'are'} called by number: "
            + listed(unnamed, _MOST_NAMED)
        )
    return Atlas(_short(opened.name), _distinct(names), opened, resample is not None, probable)


def _table_beside(image: Any) -> Path | None:
    """Return the table that lies beside an image and has its name, with or without ``res-``."""
    name = kind_of(image).file_of(image)
    if name is None:
        return None
    path = Path(name).expanduser()
    lower = path.name.lower()
    known = sorted((*LABEL_ENDINGS, *kind_of(image).endings), key=len, reverse=True)
    ending = next((own for own in known if lower.endswith(own)), "")
    stem = path.name[: len(path.name) - len(ending)]
    for own in dict.fromkeys((stem, _RESOLUTION.sub("", stem))):
        for kind in _BESIDE:
            table = path.with_name(own + kind)
            if table.is_file() and table.stat().st_size > 0:
                return table
    return None


def _distinct(names: Mapping[int, str]) -> dict[int, str]:
    """Return names that differ: a label without one is its number, and twins have theirs too."""
    called = Counter(names.values())
    return {
        number: (f"{name} ({number})" if called[name] > 1 else name) if name else str(number)
        for number, name in names.items()
    }


def _short(name: str) -> str:
    return os.path.basename(name) or name  # noqa: PTH119
