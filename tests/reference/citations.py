# SPDX-License-Identifier: BSD-3-Clause
"""Citations of a paragraph that have no reference, or no entry of BibTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groupglm.report.methods import Methods

__all__ = ["uncited"]

# Such as "Dunn, 1961", "Chumbley and Friston, 2009" and "Worsley and others, 1996".
_CITATION = re.compile(r"([A-Z][\w'-]+)(?: and (?:others|[A-Z][\w'-]+))?, ((?:19|20)\d\d)(?=[;),])")


def uncited(methods: Methods) -> list[str]:
    """Return the citations of the text that have no reference of this author and year.

    An entry of BibTeX must be there as well.
    """
    lacking = []
    for author, year in _CITATION.findall(methods.text):
        of_text = any(own.startswith(author) and year in own for own in methods.references)
        key = re.sub(r"[^A-Za-z]", "", author) + year
        if not of_text or not re.search(rf"@\w+\{{{key}[b-z]?,", methods.bibtex):
            lacking.append(f"{author}, {year}")
    return lacking
