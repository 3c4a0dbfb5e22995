# SPDX-License-Identifier: BSD-3-Clause
"""p-values corrected for all places, from the maxima of all places or of each family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import warn_caller
from groupglm.inference.permutation.tails import Tail, TailFit, corrected_p, fit_tail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from groupglm.inference.permutation.null_distribution import Corrections

    Floats = NDArray[np.float64]

__all__ = ["corrected_p_values", "p_of_families"]


def corrected_p_values(
    maps: Mapping[str, Floats],
    least: Mapping[str, Floats],
    null: Mapping[str, Floats],
    corrections: Corrections,
    tail: Tail | None,
) -> tuple[dict[str, Floats], dict[str, TailFit]]:
    """Return the corrected p-values of observed maps, from the maxima of rearranged data.

    Shapes: `maps`, `least` (n_voxels,), `null` (n_perm,); returns `p_value` (n_voxels,).
    """
    p_value: dict[str, Floats] = {}
    tail_fit: dict[str, TailFit] = {}
    if not null:
        return p_value, tail_fit
    for name, observed in least.items():
        names = (name,) if name == corrections.letter else corrections.names_of(name)
        if len(names) > 1:
            nulls = [null[each] for each in names]
            p_value[name] = _of_families(maps[name], observed, nulls, corrections)
            if tail is not None:
                warn_caller(
                    f"tail={tail!r} is not fitted to the maxima of {name}, which are of "
                    f"{' and of '.join(family.name for family in corrections.families)} apart: "
                    "its p-values are counted"
                )
        elif tail is None or _is_infinite(name, null[name], tail):
            p_value[name] = corrected_p(observed, null[name])
        else:
            tail_fit[name] = fit_tail(null[name], tail)
            p_value[name] = tail_fit[name].p(observed, null[name])
        if name in ("size", "mass"):
            p_value[name][least["size"] == 0] = 1.0
    return p_value, tail_fit


def _is_infinite(name: str, null: Floats, tail: Tail) -> bool:
    n_infinite = int(np.count_nonzero(np.isinf(null)))
    if n_infinite:
        warn_caller(
            f"tail={tail!r} cannot be fitted to the maxima of {name}, of which {n_infinite} of "
            f"{len(null)} are infinite: its p-values are counted"
        )
    return n_infinite > 0


def _of_families(
    observed: Floats, least: Floats, nulls: Sequence[Floats], corrections: Corrections
) -> Floats:
    """Return the p-values of all families as one row."""
    places = [family.places for family in corrections.families]
    values = [least[where] for where in places]
    tied = [
        _tied(null, observed[where], own)
        for null, where, own in zip(nulls, places, values, strict=True)
    ]
    out = np.ones(len(least))
    for where, p in zip(places, p_of_families(values, tied), strict=True):
        out[where] = p
    return out


def _tied(null: Floats, observed: Floats, least: Floats) -> Floats:
    """Replace maxima that tie with the observed maximum by the least value that ties with it.

    They then rank as ties. Rounding may have moved a maximum up or down, by the same amount at
    most.
    """
    lowest = np.fmax.reduce(least, initial=-np.inf)
    highest = 2 * np.fmax.reduce(np.abs(observed), initial=0.0) - lowest
    return np.where((null >= lowest) & (null <= highest), lowest, null)


def p_of_families(least: Sequence[Floats], nulls: Sequence[Floats]) -> list[Floats]:
    r"""Correct p-values for several families whose maxima cannot be compared with each other.

    Shapes: `nulls` (n_perm,).

    Notes
    -----
    The method is the smallest p (Westfall and Young 1993, *Resampling-Based Multiple Testing*). Let
    :math:`m_{kb}` be the maximum of family k in rearrangement b = 0 .. n, of which the first is the
    identity. Then

    .. math:: p_k(s) = \#\{b : m_{kb} \geq s\} / (n + 1), \quad
        p(s) = \#\{b : \min_j p_j(m_{jb}) \leq p_k(s)\} / (n + 1)

    is the corrected p-value of a statistic s in family k. All families have the same weight: their
    units and numbers of places do not matter.

    Examples
    --------
    >>> import numpy as np
    >>> one, other = np.array([1.0, 2.0, 3.0]), np.array([300.0, 100.0, 200.0])
    >>> p_of_families([np.array([5.0]), np.array([50.0, 250.0])], [one, other])
    [array([0.5]), array([1.  , 0.75])]
    """
    ranks = []
    for values, null in zip(least, nulls, strict=True):
        largest = np.fmax.reduce(values, initial=-np.inf)
        maxima = np.sort(np.append(null, largest))
        first = np.searchsorted(maxima, np.append(largest, null), side="left")
        ranks.append(len(maxima) - first)
    smallest = np.sort(np.minimum.reduce(ranks))
    n = len(smallest)
    found = []
    for values, null in zip(least, nulls, strict=True):
        # A whole number of rearrangements, except for the rounding of the division.
        count = np.rint(corrected_p(values, null) * n)
        found.append(np.searchsorted(smallest, count, side="right") / n)
    return found
