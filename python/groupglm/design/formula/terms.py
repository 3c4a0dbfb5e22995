# SPDX-License-Identifier: BSD-3-Clause
"""Wilkinson's notation: from the text of a formula to its terms, with R's precedence.

Nothing is computed here. The number of terms is limited, and so is the time.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from groupglm.design.expressions import canonical, nesting, parse
from groupglm.design.formula.code import check
from groupglm.design.formula.random_part import (
    FORMS,
    RandomPart,
    joined_parts,
    parted_place,
    read_random_part,
)
from groupglm.design.formula.tokens import Token, tokens_of

__all__ = ["Factor", "Formula", "read_formula"]

MAX_CHARACTERS = 5_000  # of a formula; far above any real one
MAX_CODE = 1_000  # characters of one name or function call
MAX_NESTING = 20
MAX_POWER = 20
MAX_TERMS = 1_000
MAX_FACTORS = 6  # of one term: its coding takes two to that power
_MAX_PRODUCTS = 20_000  # that all operators make together; this takes a tenth of a second


@dataclass(frozen=True)
class Factor:
    """A column of the table, or a call or expression in Python's notation.

    Parameters
    ----------
    name : str
        The column, or the expression in one spelling.
    tree : ast.expr or None
        The syntax tree of an expression; None for a column.
    """

    name: str
    tree: ast.expr | None = field(default=None, compare=False)
    is_code: bool = False


Term = tuple[Factor, ...]
# Keyed by the term's factors, because their order does not matter.
_Terms = dict[frozenset[Factor], Term]


@dataclass(frozen=True)
class Formula:
    """The parsed content of a formula.

    Parameters
    ----------
    terms : tuple of tuple of Factor
        Products of factors, in the order of the text; without the intercept.
    intercept : bool
        Whether there is an intercept.
    says_intercept : bool
        Whether the text has a term 0 or 1.
    factors : tuple of Factor
        All factors in the text, also those that are subtracted.
    idle_powers : tuple of str
        Powers of a single column, which are the column itself, in the form that `I` would need.
    random : RandomPart or None
        The random part, which is no part of the design.
    """

    terms: tuple[Term, ...]
    intercept: bool
    says_intercept: bool
    factors: tuple[Factor, ...]
    idle_powers: tuple[str, ...] = ()
    random: RandomPart | None = None


def read_formula(formula: str) -> Formula:
    """Read the right-hand side of a formula."""
    if len(formula) > MAX_CHARACTERS:
        raise ValueError(
            f"it has {len(formula)} characters, more than {MAX_CHARACTERS}; make a design matrix "
            "of your own."
        )
    if nesting(formula) > MAX_NESTING:
        raise ValueError(f"its brackets are nested more than {MAX_NESTING} deep.")
    tokens = list(tokens_of(formula))
    if tokens and tokens[0].text == "~":
        tokens = tokens[1:]
    if _has_several_parts(tokens):
        raise ValueError(
            "it has a left-hand side or several parts; the images are what is explained, so give "
            "only the right-hand side."
        )
    if not tokens:
        raise ValueError("it is empty; '~ 1' is the mean of all subjects.")
    _refuse_open_parenthesis(tokens)
    return _Reader(tokens, len(formula)).read()


def _has_several_parts(tokens: list[Token]) -> bool:
    """Return whether there is a tilde, or a bar that is in no parenthesis."""
    depth = 0
    for token in tokens:
        if token.kind == "operator":
            depth += (token.text == "(") - (token.text == ")")
            if token.text == "~" or (token.text == "|" and depth <= 0):
                return True
    return False


def _refuse_open_parenthesis(tokens: list[Token]) -> None:
    opened: list[int] = []
    for token in tokens:
        if token.kind == "operator" and token.text == "(":
            opened.append(token.place)
        elif token.kind == "operator" and token.text == ")" and opened:
            opened.pop()
    if opened:
        raise ValueError(f"the parenthesis at character {opened[-1]} is not closed; add ')'.")


class _Reader:
    """A recursive-descent parser: sums, products, nestings, interactions, powers, as in R."""

    def __init__(self, tokens: list[Token], n_characters: int) -> None:
        self._tokens = [*tokens, Token("end", "the end", n_characters + 1)]
        self._place = 0
        self._products = 0
        self._intercept = True
        self._says_intercept = False
        self._factors: dict[Factor, None] = {}
        self._idle_powers: dict[str, None] = {}
        self._random: list[RandomPart] = []

    def read(self) -> Formula:
        terms = self._sum(outermost=True)
        if self._next.kind != "end":
            raise self._misplaced()
        by_name: dict[str, Factor] = {}
        for factor in self._factors:
            other = by_name.setdefault(factor.name, factor)
            if other != factor:
                raise ValueError(
                    f"it has the column {factor.name!r} and the expression {factor.name!r}, which "
                    "would have one name in the design; rename the column."
                )
        same = [name for name in by_name if name == "1" or name.lower() == "intercept"]
        if self._intercept and same:
            raise ValueError(
                f"it names the column {same[0]!r}, which would be mistaken for the intercept; "
                "rename the column, or write '0 + ...'."
            )
        return Formula(
            tuple(terms.values()),
            self._intercept,
            self._says_intercept,
            tuple(self._factors),
            tuple(self._idle_powers),
            joined_parts(self._random),
        )

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self, *operators: str) -> str | None:
        """Return the next token and move past it, if it is one of these operators."""
        token = self._next
        if token.kind != "operator" or token.text not in operators:
            return None
        self._place += 1
        return token.text

    def _misplaced(self) -> ValueError:
        token = self._next
        before = self._tokens[self._place - 1].text if self._place else ""
        if token.kind == "operator" and token.text in "+-" and before in ("+", "-"):
            sign = "+" if before == token.text else "-"
            return ValueError(
                f"it has {before!r} and {token.text!r} in a row at character {token.place}; write "
                f"one {sign!r}."
            )
        if token.kind == "number":
            return ValueError(
                f"the number {token.text[:40]} at character {token.place} is not understood: 0 and "
                "1 are terms of their own, without or with an intercept, outside parentheses; a "
                "multiple of a column is I(2 * age)."
            )
        shown = token.text if token.kind == "end" else repr(token.text[:40])
        return ValueError(f"{shown} at character {token.place} is not expected there.")

    def _sum(self, *, outermost: bool = False) -> _Terms:
        terms: _Terms = {}
        sign = self._take("+", "-") or "+"
        while True:
            if not (outermost and (self._took_number(sign) or self._took_random(sign))):
                more = self._product()
                if sign == "+":
                    terms = _united(terms, more)
                else:
                    self._remove(terms, more)
            if len(terms) > MAX_TERMS:
                raise ValueError(f"it has more than {MAX_TERMS} terms; write fewer interactions.")
            taken = self._take("+", "-")
            if taken is None:
                return terms
            sign = taken

    def _took_number(self, sign: str) -> bool:
        """Read a term 0 or 1, which sets the intercept; return whether there was one."""
        token, after = self._next, self._tokens[min(self._place + 1, len(self._tokens) - 1)]
        alone = after.kind == "end" or after.text in ("+", "-")
        if token.kind != "number" or not alone or token.text not in ("0", "1"):
            return False
        if token.text == "0" and sign == "-":
            raise ValueError(f"it has '- 0' at character {token.place}; write '+ 1' or '+ 0'.")
        self._place += 1
        self._says_intercept = True
        self._intercept = token.text == "1" and sign == "+"
        return True

    def _took_random(self, sign: str) -> bool:
        """Read a random part; return whether there was one."""
        if self._next.text != "(":
            return False
        stop = parted_place(self._tokens, self._place)
        if stop is None:
            return False
        place, after = self._next.place, self._tokens[stop + 1]
        if sign == "-" or not (after.kind == "end" or after.text in ("+", "-")):
            raise _no_term(place)
        self._random.append(read_random_part(self._tokens[self._place + 1 : stop]))
        self._place = stop + 1
        return True

    def _remove(self, terms: _Terms, unwanted: _Terms) -> None:
        for key, term in unwanted.items():
            if key not in terms:
                raise ValueError(
                    f"it takes away {':'.join(factor.name for factor in term)!r}, which is not a "
                    "term before it."
                )
            del terms[key]

    def _product(self) -> _Terms:
        left = self._within()
        while True:
            operator = self._take("*", "/")
            if operator is None:
                return left
            right = self._within()
            parents = left if operator == "*" else _merged(left)
            main = left if operator == "/" else _united(left, right)
            left = _united(main, self._multiplied(parents, right))

    def _within(self) -> _Terms:
        left = self._interaction()
        while self._take("%in%"):
            left = self._multiplied(left, _merged(self._interaction()))
        return left

    def _interaction(self) -> _Terms:
        left = self._power()
        while self._take(":"):
            left = self._multiplied(left, self._power())
        return left

    def _power(self) -> _Terms:
        base = self._atom()
        if not self._take("**"):
            return base
        token = self._next
        # The text is compared first, so that no long number is computed.
        if token.kind != "number" or len(token.text) > 3 or not 1 <= int(token.text) <= MAX_POWER:
            raise ValueError(
                f"the power at character {token.place} is {token.text[:40]!r}; it must be a whole "
                f"number from 1 to {MAX_POWER} (of the values of a column: I(age**2))."
            )
        self._place += 1
        terms = base
        if [len(term) for term in base.values()] == [1] and int(token.text) > 1:
            ((factor,),) = base.values()
            self._idle_powers[f"{factor.name}**{token.text}"] = None
        for _ in range(int(token.text) - 1):
            grown = _united(terms, self._multiplied(terms, base))
            if len(grown) == len(terms):
                break
            terms = grown
        return terms

    def _atom(self) -> _Terms:
        token = self._next
        if token.text == "(" and parted_place(self._tokens, self._place) is not None:
            raise _no_term(token.place)
        if self._take("("):
            terms = self._sum()
            if not self._take(")"):
                raise self._misplaced()
            return terms
        if token.kind not in ("name", "code"):
            raise self._misplaced()
        self._place += 1
        factor = self._factor(token)
        self._factors[factor] = None
        return {frozenset((factor,)): (factor,)}

    def _factor(self, token: Token) -> Factor:
        if token.kind == "name" and len(token.text) <= MAX_CODE:
            return Factor(token.text)
        if len(token.text) > MAX_CODE:
            raise ValueError(
                f"{token.text[:40]!r}... has {len(token.text)} characters, more than {MAX_CODE}."
            )
        try:
            tree = parse(token.text)
        except ValueError as error:
            raise ValueError(f"{token.text[:40]!r} at character {token.place}: {error}") from error
        check(tree)
        return Factor(canonical(tree), tree, is_code=True)

    def _multiplied(self, left: _Terms, right: _Terms) -> _Terms:
        self._products += len(left) * len(right)
        if self._products > _MAX_PRODUCTS:
            raise ValueError(
                f"its operators make more than {_MAX_PRODUCTS} products of terms; write fewer "
                "interactions."
            )
        product: _Terms = {}
        for first in left.values():
            for second in right.values():
                term = tuple(dict.fromkeys((*first, *second)))
                if len(term) > MAX_FACTORS:
                    raise ValueError(
                        f"it has an interaction of {len(term)} factors, more than {MAX_FACTORS}; "
                        "write fewer interactions."
                    )
                product.setdefault(frozenset(term), term)
        return product


def _no_term(place: int) -> ValueError:
    return ValueError(
        f"the random part at character {place} must be a term of its own, added by '+' and not "
        f"within other parentheses: '~ group * time + (1 | subject)'. Its forms are {FORMS}."
    )


def _merged(terms: _Terms) -> _Terms:
    """Return one term with all factors of all terms."""
    term = tuple(dict.fromkeys(factor for each in terms.values() for factor in each))
    return {frozenset(term): term}


def _united(first: _Terms, second: _Terms) -> _Terms:
    return {**first, **{key: term for key, term in second.items() if key not in first}}
