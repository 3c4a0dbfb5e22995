# SPDX-License-Identifier: BSD-3-Clause
"""What is said of a difference from nilearn, and of the differences of an area."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """A deliberate difference: on what input, what each package does, and why ours does."""

    name: str
    given: str
    nilearn: str
    groupglm: str
    why: str


class Area(NamedTuple):
    """The differences of one area, under the heading that they have in the page."""

    heading: str
    differences: tuple[Difference, ...]
