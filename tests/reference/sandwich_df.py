# SPDX-License-Identifier: BSD-3-Clause
"""Degrees of freedom of the sandwich estimator at one place, dense and slow.

Guillaume et al. (2014), "naive" and the first approximation; Guillaume (2015), the second and the
third. What the sources give in closed form is solved or differentiated here:

- d_s = 1 - p / n of a subject, in a part of the design with n subjects and p dimensions that are
  constant within subjects: residuals have so much of a subject's degree of freedom.
- A mean of the products of two visits' residuals over the subjects A, and one over B, have the
  covariance D(A, B) (s_xz s_yw + s_xw s_yz) if residuals are normal, where D(A, B) is the sum of
  1 / d_s over the subjects of both, divided by the sizes of A and B.
- II takes each covariance of visits for such a mean. The expectations of v_kl v_ab, v_ka v_lb and
  v_kb v_la are then three equations in the unknown products of true covariances: they are solved.
- III takes it for what it is with missing visits, p_kl sqrt(v_kk v_ll / (q_k q_l)) with p and q
  over the subjects that have both visits: the delta method, with the gradient by differences.

F of several rows: rows are whitened by the covariance V of the estimates, and degrees of freedom
are those of a Wishart matrix with the same total variance of its entries.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from reference.sandwich import Place

Floats = npt.NDArray[np.float64]
Subjects = frozenset[Any]

__all__ = ["approximate", "naive", "parts_of"]


def parts_of(place: Place) -> list[set[Any]]:
    """Sets of subjects that share no column of the design."""
    columns = {s: set(np.flatnonzero(place.X[place.subjects == s].any(axis=0)).tolist())
               for s in place.subjects.tolist()}  # fmt: skip
    parts: list[tuple[set[Any], set[int]]] = []
    for subject, own in columns.items():
        touched = [part for part in parts if part[1] & own]
        parts = [part for part in parts if not part[1] & own]
        parts.append((set.union({subject}, *(part[0] for part in touched)),
                      set.union(own, *(part[1] for part in touched))))  # fmt: skip
    return [subjects for subjects, _ in parts]


def sizes(place: Place, part: set[Any]) -> tuple[int, int]:
    """Numbers of subjects, and of dimensions that are constant within each."""
    X = place.X[[s in part for s in place.subjects.tolist()]]
    own = place.subjects[[s in part for s in place.subjects.tolist()]]
    same = (own[:, None] == own[None]).astype(float)
    within = X - same / same.sum(axis=1, keepdims=True) @ X
    return len(part), int(np.linalg.matrix_rank(X) - np.linalg.matrix_rank(within, tol=1e-8))


def shares_of_subjects(place: Place) -> dict[Any, float]:
    """d_s of each subject."""
    found: dict[Any, float] = {}
    for part in parts_of(place):
        n, p = sizes(place, part)
        found |= dict.fromkeys(part, 1 - p / n)
    return found


def naive(place: Place, C: Floats) -> float:
    """Of each part on whose images the contrast depends: subjects less constant dimensions."""
    a = np.atleast_2d(C) @ place.P
    total = 0
    for part in parts_of(place):
        if np.abs(a[:, [s in part for s in place.subjects.tolist()]]).max() > 1e-10:
            n, p = sizes(place, part)
            total += n - p
    return float(total)


def approximate(place: Place, C: Floats, rule: int) -> float:
    """The first, second or third approximation; NaN where it leaves none."""
    V = place.covariance(C)
    whitened = np.linalg.solve(np.linalg.cholesky(V), np.atleast_2d(C))
    q = len(V)
    if rule == 1:
        return q * (q + 1) / _first(place, whitened)
    total = _total_variance(place, whitened, second_product if rule == 2 else third_product)
    if rule == 3:
        return q * (q + 1) / total if total > 0 else np.nan
    return _of_unbiased(total, q)


def _first(place: Place, C: Floats) -> float:
    d = shares_of_subjects(place)
    total = 0.0
    if place.groups is None:
        for subject, D in zip(dict.fromkeys(place.subjects.tolist()), place.shares(C).values(),
                              strict=True):  # fmt: skip
            total += (np.trace(D) ** 2 + np.trace(D @ D)) / d[subject]
        return total
    for group, D in place.shares(C).items():
        own = set(place.subjects[place.groups == group].tolist())
        effective = len(own) ** 2 / sum(1 / d[s] for s in own)
        total += (np.trace(D) ** 2 + np.trace(D @ D)) / effective
    return total


Product = Callable[[Floats, Callable[[Any, Any], Subjects], Callable[..., float], Any], float]


def _total_variance(place: Place, C: Floats, product: Product) -> float:
    """The sum of the variances of the entries of the covariance of C b."""
    assert place.groups is not None
    assert place.visits is not None
    d = shares_of_subjects(place)
    a = C @ place.P
    total = 0.0
    for group, (visits, V) in place.visit_covariances()[0].items():
        at = {visit: number for number, visit in enumerate(visits)}
        of_group = place.groups == group
        rows = np.flatnonzero(of_group)
        held: dict[int, set[Any]] = {k: set() for k in range(len(visits))}
        for row in rows:
            held[at[place.visits[row]]].add(place.subjects[row])

        @cache
        def both(k: int, m: int, held: Any = held) -> Subjects:
            return frozenset(held[k] & held[m])

        @cache
        def D(A: Subjects, B: Subjects) -> float:  # noqa: N802 - as in the formulas
            common = A & B
            return sum(1 / d[s] for s in common) / (len(A) * len(B)) if common else 0.0

        # G: entry (r, t) of the covariance of C b over entry (k, m) of V, all orders.
        n = len(visits)
        G = np.zeros((len(a), len(a), n, n))
        for s in {*place.subjects[rows].tolist()}:
            for i, j in itertools.product(rows[place.subjects[rows] == s], repeat=2):
                G[:, :, at[place.visits[i]], at[place.visits[j]]] += np.outer(a[:, i], a[:, j])
        for k, m, b, c in itertools.product(range(n), repeat=4):
            weight = float(np.sum(G[:, :, k, m] * G[:, :, b, c]))
            if weight:
                total += weight * product(V, both, D, (k, m, b, c))
    return total


def second_product(V: Floats, both: Any, D: Any, of: tuple[int, int, int, int]) -> float:
    """The estimate II of the covariance of v_km and v_bc."""
    k, m, b, c = of
    ways = [((k, m), (b, c)), ((k, b), (m, c)), ((k, c), (m, b))]
    shares = [D(both(*one), both(*other)) for one, other in ways]
    # The mean of v_km v_bc is x + D (y + z), and so on for the others.
    equations = [[1.0 if i == j else shares[i] for j in range(3)] for i in range(3)]
    seen = [V[one] * V[other] for one, other in ways]
    x = np.linalg.solve(np.array(equations), np.array(seen))
    return float(shares[0] * (x[1] + x[2]))


def third_product(V: Floats, both: Any, D: Any, of: tuple[int, int, int, int]) -> float:
    """The estimate III of the covariance of v_km and v_bc."""
    one, other = (_moments(V, both, pair) for pair in (of[:2], of[2:]))
    covariance = np.array([
        [D(A, B) * (V[x, z] * V[y, w] + V[x, w] * V[y, z]) for (z, w), B in other[0]]
        for (x, y), A in one[0]
    ])  # fmt: skip
    return float(one[1] @ covariance @ other[1])


def _moments(V: Floats, both: Any, pair: tuple[int, int]) -> tuple[Any, Floats]:
    """Means of products of which an estimated covariance is made, and its gradient over them."""
    k, m = pair
    if k == m:
        return [((k, k), both(k, k))], np.ones(1)
    means = [((k, m), both(k, m)), ((k, k), both(k, m)), ((m, m), both(k, m)),
             ((k, k), both(k, k)), ((m, m), both(m, m))]  # fmt: skip

    def estimate(p: Floats) -> Any:
        return p[0] / np.sqrt(p[1] * p[2]) * np.sqrt(p[3] * p[4])

    at = np.array([V[pair] for pair, _ in means])
    # Central differences: wrong by some 1e-10, of rounding and of the third derivative.
    steps = 1e-5 * np.abs(at).max() * np.eye(5)
    slopes = [(estimate(at + step) - estimate(at - step)) / (2 * step.max()) for step in steps]
    return means, np.array(slopes)


def _of_unbiased(total: float, q: int) -> float:
    """The degrees of freedom with which II of a Wishart matrix, whitened by itself, is `total`."""

    def excess(df: float) -> float:
        d = 1 / df
        # Entries (r, t) of the identity by the equations of II, with one D for all.
        equations = np.array([[1, d, d], [d, 1, d], [d, d, 1]])
        own = d * np.linalg.solve(equations, np.ones(3))[1:].sum()  # q entries on the diagonal
        beside = d * np.linalg.solve(equations, np.array([0.0, 1.0, 0.0]))[1:].sum()
        return float(q * own + q * (q - 1) * beside - total)

    low = 1 + 1e-9 if q > 1 else 1e-9
    if not total > 0 or excess(low) < 0:
        return np.nan
    return float(brentq(excess, low, 1e9, xtol=1e-13, rtol=1e-14))
