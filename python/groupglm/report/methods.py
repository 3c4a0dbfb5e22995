# SPDX-License-Identifier: BSD-3-Clause
"""The paragraph on methods with its references, as text and as BibTeX: `Methods`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Methods", "bibtex", "cited"]

# Vancouver style, in which every reference of this package is written.
_ARTICLE = re.compile(
    r"(?P<author>.+?)\. (?P<title>.+[.?!]) (?P<journal>[^.]+)\. (?P<year>\d{4})"
    r";(?P<volume>[^:;()]+)(?:\((?P<number>[^()]+)\))?:(?P<pages>[^:]+)\."
)
_BOOK = re.compile(
    r"(?P<author>.+?)\. (?P<title>.+[^.])\. (?:(?P<address>[^.:]+): )?(?P<publisher>[^.;]+); "
    r"(?P<year>\d{4})\."
)
_CHAPTER = re.compile(
    r"(?P<author>.+?)\. (?P<title>.+[.?!]) In: (?P<booktitle>.+)\. (?:(?P<address>[^.:]+): )?"
    r"(?P<publisher>[^.;]+); (?P<year>\d{4})\. p\. (?P<pages>[^.]+)\."
)
_PERSON = re.compile(r"(?P<family>.+) (?P<initials>[A-Z]{1,4})(?: (?P<suffix>Jr|Sr|II|III))?")
_STYLES = (("article", _ARTICLE), ("incollection", _CHAPTER), ("book", _BOOK))
_YEAR = re.compile(r"[.;] ((?:19|20)\d\d)(?=[;.])")
_SPECIAL = re.compile(r"([&%$#_{}])")


@dataclass(frozen=True)
class Methods:
    """What was done, in the words of a paper.

    Parameters
    ----------
    text : str
        The paragraph.
    references : tuple of str
        The sources that it cites, and others of the page, in Vancouver style.
    """

    text: str
    references: tuple[str, ...]

    @property
    def markdown(self) -> str:
        """The paragraph and the list of references as a document of Markdown."""
        sources = "".join(f"- {reference}\n" for reference in self.references)
        return f"# Methods\n\n{self.text}\n\n## References\n\n{sources}"

    @property
    def bibtex(self) -> str:
        """The references as BibTeX."""
        return bibtex(self.references)


def cited(references: Sequence[str]) -> str:
    """Return references in Vancouver style as a text cites them: first author and year.

    Examples
    --------
    >>> cited(["Nelder JA, Lee Y. A title. J Stat. 1998;57(1):289-300."])
    'Nelder, 1998'
    """
    found = []
    for reference in references:
        family = re.split(r",|\. ", reference, maxsplit=1)[0].rpartition(" ")[0]
        found.append(f"{family}, {_YEAR.findall(reference)[0]}")
    return "; ".join(found)


def bibtex(references: Sequence[str]) -> str:
    """Return references in Vancouver style as entries of BibTeX.

    The key of an entry is the first author's name and the year. A letter tells entries of the same
    key apart. What is in another style becomes the note of an entry.

    Examples
    --------
    >>> print(bibtex(["Nelder JA, Lee Y. A title. J Stat. 1998;57(1):289-300."]))
    @article{Nelder1998,
      author = {Nelder, J. A. and Lee, Y.},
      title = {{A title}},
      journal = {J Stat},
      year = {1998},
      volume = {57},
      number = {1},
      pages = {289--300},
    }
    <BLANKLINE>
    """
    entries: dict[str, str] = {}
    for reference in dict.fromkeys(references):
        kind, fields = _fields(reference)
        stem = _key(reference, fields.get("year", ""))
        letters = ("", *"bcdefghijklmnopqrstuvwxyz")
        key = next(stem + letter for letter in letters if stem + letter not in entries)
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        entries[key] = f"@{kind}{{{key},\n{lines}}}\n"
    return "\n".join(entries.values())


def _fields(reference: str) -> tuple[str, dict[str, str]]:
    """Return the kind of a reference, and its fields by name."""
    for kind, style in _STYLES:
        found = style.fullmatch(reference)
        if found:
            fields = {name: _SPECIAL.sub(r"\\\1", own) for name, own in found.groupdict("").items()}
            fields["author"] = _people(fields["author"])
            fields["title"] = (
                f"{{{fields['title'].removesuffix('.')}}}"  # its capitals are as they should be
            )
            if "pages" in fields:
                fields["pages"] = fields["pages"].replace("-", "--")
            return kind, {name: own for name, own in fields.items() if own}
    return "misc", {"note": _SPECIAL.sub(r"\\\1", reference)}


def _people(authors: str) -> str:
    """Return authors, such as ``Nelder JA, Lee Y``, as BibTeX separates them."""
    people = []
    for author in authors.split(", "):
        person = _PERSON.fullmatch(author)
        if person is None:
            people.append("others" if author == "et al" else f"{{{author}}}")
            continue
        initials = " ".join(f"{letter}." for letter in person["initials"])
        suffix = f"{person['suffix']}, " if person["suffix"] else ""
        people.append(f"{person['family']}, {suffix}{initials}")
    return " and ".join(people)


def _key(reference: str, year: str) -> str:
    """Return the first author's family name in plain letters, and the year."""
    family = re.split(r",|\. ", reference, maxsplit=1)[0].rpartition(" ")[0]
    return (re.sub(r"[^A-Za-z]", "", family) or "Reference") + year
