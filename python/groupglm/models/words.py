# SPDX-License-Identifier: BSD-3-Clause
"""The words of a report about a model: `Words`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Words"]


@dataclass(frozen=True)
class Words:
    """The words of a report about a model.

    Parameters
    ----------
    plain : str
        The method in plain words, as "fitted by ...".
    cited : str
        The same for a paper, with sources as (author, year).
    references : tuple of str
        The sources.
    """

    plain: str
    cited: str
    references: tuple[str, ...]
