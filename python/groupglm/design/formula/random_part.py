# SPDX-License-Identifier: BSD-3-Clause
"""The random part of a formula: ``(1 | subject)`` or ``(1 | family/subject)``, in lme4's notation.

The notation: Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear
mixed-effects models using lme4. Journal of Statistical Software, 67(1), table 2. It knows many more
forms than one random intercept a subject; each of them is refused by its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groupglm.design.formula.tokens import Token

__all__ = [
    "FORMS",
    "RandomPart",
    "RandomPartError",
    "joined_parts",
    "parted_place",
    "read_random_part",
]

FORMS = "(1 | subject) or (1 | family/subject)"
"""The forms that are known, for messages."""

_MAX_SHOWN = 40


class RandomPartError(ValueError):
    """A random part that is not supported, with what to write in its place."""


@dataclass(frozen=True)
class RandomPart:
    """A random intercept for each subject, and perhaps for what the subjects lie in.

    Parameters
    ----------
    subject : str
        The column that holds the subjects.
    family : str or None
        The column that holds families, sites or the like; None without these.
    """

    subject: str
    family: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named: subjects, then families."""
        return (self.subject,) if self.family is None else (self.subject, self.family)

    def __str__(self) -> str:
        family = "" if self.family is None else f"{_written(self.family)}/"
        return f"(1 | {family}{_written(self.subject)})"


def _written(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def parted_place(tokens: Sequence[Token], start: int) -> int | None:
    """Return the end of the parenthesis at `start`, if it is a random part; None if it is not."""
    depth, parted = 0, False
    for place in range(start, len(tokens)):
        token = tokens[place]
        if token.kind != "operator":
            continue
        depth += (token.text == "(") - (token.text == ")")
        parted |= token.text == "|" and depth == 1
        if depth == 0:
            return place if parted else None
    return None


def read_random_part(tokens: Sequence[Token]) -> RandomPart:
    """Read what is between the parentheses of a random part."""
    at = next(i for i, token in enumerate(tokens) if _is(token, "|"))
    effects, groups = tokens[:at], tokens[at + 1 :]
    shown = f"'({_text(tokens)})'"
    if groups and _is(groups[0], "|"):
        raise RandomPartError(
            f"{shown} has '||', uncorrelated random effects, which are not supported; write {FORMS}"
            "."
        )
    if [token.text for token in effects] != ["1"]:
        raise _of_effects(effects, shown)
    names = groups[::2]
    between = groups[1::2]
    if any(_is(token, "|") for token in groups):
        raise RandomPartError(f"{shown} has several '|'; write {FORMS}.")
    if any(_is(token, ":") for token in groups):
        raise RandomPartError(
            f"{shown} groups by an interaction, which is not supported; subjects within families "
            "are (1 | family/subject)."
        )
    if any(token.kind == "code" for token in groups):
        raise RandomPartError(
            f"{shown} groups by an expression; give the name of a column of the participants table."
        )
    is_nested = len(between) == len(names) - 1 and all(_is(token, "/") for token in between)
    if not (names and is_nested and all(token.kind == "name" for token in names)):
        raise RandomPartError(f"{shown} is a random part that is not known; write {FORMS}.")
    if len(names) > 2:
        raise RandomPartError(
            f"{shown} has {len(names)} levels of groups, more than two, which is not supported; "
            f"write {FORMS}."
        )
    found = RandomPart(names[-1].text, names[0].text if len(names) == 2 else None)
    if found.subject == found.family:
        raise RandomPartError(f"{shown} names {found.subject!r} twice; write {FORMS}.")
    return found


def _of_effects(effects: Sequence[Token], shown: str) -> RandomPartError:
    """Return the refusal of what is left of the bar, if that is not 1."""
    names = [token.text for token in effects if token.kind in ("name", "code")]
    if not effects:
        return RandomPartError(f"{shown} has nothing before '|'; write {FORMS}.")
    if names:
        slopes = ", ".join(repr(name[:_MAX_SHOWN]) for name in names)
        return RandomPartError(
            f"{shown} has a random slope of {slopes}, which is not supported; write {FORMS}, a "
            "random intercept; if slopes may differ between subjects, the covariance 'sandwich' "
            "allows any covariance within a subject."
        )
    if any(token.text == "0" for token in effects):
        return RandomPartError(
            f"{shown} has no random intercept, so that there is no random effect; write {FORMS}."
        )
    return RandomPartError(f"{shown} is a random part that is not known; write {FORMS}.")


def joined_parts(parts: Sequence[RandomPart]) -> RandomPart | None:
    """Return the only random part, None if there is none; refuse several."""
    if len(parts) < 2:
        return parts[0] if parts else None
    first, second = parts[:2]
    if first == second:
        raise RandomPartError(f"it has the random part {first} twice; write it once.")
    raise RandomPartError(
        f"it has crossed random effects, {' + '.join(map(str, parts))[:200]}, which are not "
        f"supported; write one random part, {FORMS}."
    )


def _is(token: Token, text: str) -> bool:
    return token.kind == "operator" and token.text == text


def _text(tokens: Sequence[Token]) -> str:
    """Return tokens as text, for messages."""
    text = " ".join(token.text for token in tokens).replace("| |", "||")
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
