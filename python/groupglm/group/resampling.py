# SPDX-License-Identifier: BSD-3-Clause
"""How images, and what is beside them, were brought to the grid of a fit: `resampling_in_words`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groupglm.group.fitted_group import FittedGroup

__all__ = ["preparation_facts", "resampling_in_words"]

_FACT, _HOW = "Resampling", "Interpolation"


def preparation_facts(group: FittedGroup) -> dict[str, dict[str, Any]]:
    """Return what became of the preparation, for sidecars, of what is beside the images too."""
    facts = {name: dict(own) for name, own in group.space.preparation_facts.items()}
    facts.pop(_FACT, None)
    if how := _interpolations(group):
        facts[_FACT] = {f"{name.capitalize()}s": own for name, own in how.items()}
    return facts


def resampling_in_words(group: FittedGroup) -> str:
    """Say how images and what is beside them were resampled; empty if they were not.

    Returns
    -------
    str
        A sentence.
    """
    how = _interpolations(group)
    if not how:
        return ""
    splines = [f"{name}s" for name, own in how.items() if own == how["image"]]
    linear = [f"{name}s" for name, own in how.items() if own != how["image"]]
    text = f"{' and '.join(splines)} were resampled to the grid of the fit by a {how['image']}"
    if linear:
        text += f", and {' and '.join(linear)} linearly, because a spline may make them negative"
    return f"{text[:1].upper()}{text[1:]}."


def _interpolations(group: FittedGroup) -> dict[str, str]:
    """Return the interpolation of images and of each role beside them; none if none was needed."""
    space = group.space
    if not space.resamples:
        return {}
    # A model from a file does not know where its images were.
    if group.has_images and all(own.difference(space) is None for own in group.sources):
        return {}
    readers = {"image": space}
    readers |= {role: space.reader_of(role) for role in group.result.model.beside}
    return {name: own.preparation_facts[_FACT][_HOW] for name, own in readers.items()}
