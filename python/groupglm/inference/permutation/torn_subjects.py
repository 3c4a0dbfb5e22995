# SPDX-License-Identifier: BSD-3-Clause
"""Refuse rearrangements that take the images of one subject apart."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ArgumentError, in_quotes
from groupglm.messages import argument
from groupglm.models.subject_rows import numbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.inference.permutation.exchange import Exchange

    Integers = NDArray[np.int64]

__all__ = ["refuse_torn"]


def refuse_torn(exchange: Exchange, labels: Sequence[str]) -> None:
    """Refuse rearrangements that take images of one subject to several, or flip some of them.

    Images of a subject resemble each other, and what is rearranged must keep that.

    Parameters
    ----------
    exchange : Exchange
        The rearrangements.
    labels : sequence of str
        The subject of each image.

    Raises
    ------
    ArgumentError
        About ``exchangeability_blocks``.
    """
    subjects = numbered(labels)
    torn = _flipped_apart(exchange, subjects) if exchange.flips else _mixed(exchange, subjects)
    if not torn:
        return
    names = [in_quotes(name) for name in dict.fromkeys(labels)]
    whose = " and ".join(names[subject] for subject in torn)
    raise ArgumentError.about(
        "exchangeability_blocks",
        argument("exchangeability_blocks")
        + (
            f" flip some images of a subject, but not all (of {whose}, for one)"
            if exchange.flips
            else f" mix the images of several subjects (those of {whose}, for one)"
        )
        + ", whose errors resemble each other",
        "give blocks that hold all images of their subjects, with "
        + argument("block_permutation", "whole")
        + ", or blocks of images of one subject each",
    )


def _flipped_apart(exchange: Exchange, subjects: Integers) -> list[int]:
    """Return a subject whose images lie in several units; empty without any."""
    unit = np.empty(exchange.n, dtype=np.int64)
    for number, rows in enumerate(unit for units in exchange.groups for unit in units):
        unit[rows] = number
    own, _ = np.unique([subjects, unit], axis=1)
    torn = np.flatnonzero(np.bincount(own) > 1)
    return [int(torn[0])] if len(torn) else []


def _mixed(exchange: Exchange, subjects: Integers) -> list[int]:
    """Return two subjects whose images an exchange of two units mixes; empty without any.

    Exchanges of units side by side make all others.
    """
    sizes = np.bincount(subjects)
    for units in exchange.groups:
        for one, other in itertools.pairwise(units):
            pairs = np.stack(
                [
                    np.concatenate([subjects[one], subjects[other]]),
                    np.concatenate([subjects[other], subjects[one]]),
                ]
            )
            (source, target), counts = np.unique(pairs, axis=1, return_counts=True)
            # All images of a subject go to one other, or each stays with its own.
            torn = (source != target) & (counts < sizes[source])
            if torn.any():
                first = int(np.flatnonzero(torn)[0])
                return [int(source[first]), int(target[first])]
    return []
