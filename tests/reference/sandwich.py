# SPDX-License-Identifier: BSD-3-Clause
"""Sandwich estimators at one place, dense and slow: every matrix of the formulas is formed.

Classic: Liang and Zeger (1986), Bell and McCaffrey (2002), Tipton and Pustejovsky (2015).
Homogeneous: Guillaume et al. (2014); its degrees of freedom: Guillaume (2015).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass
class Place:
    """The images that are present at one place: design, data, subjects (and groups, visits)."""

    X: Floats
    y: Floats
    subjects: npt.NDArray[Any]
    adjustment: int | str = "C2"
    groups: npt.NDArray[Any] | None = None
    visits: npt.NDArray[Any] | None = None
    P: Floats = field(init=False)
    residual_projection: Floats = field(init=False)

    def __post_init__(self) -> None:
        here = ~np.isnan(self.y)
        self.X, self.y, self.subjects = self.X[here], self.y[here], np.asarray(self.subjects)[here]
        if self.groups is not None and self.visits is not None:
            self.groups, self.visits = (
                np.asarray(self.groups)[here],
                np.asarray(self.visits)[here],
            )
        self.P = np.asarray(np.linalg.pinv(self.X), dtype=np.float64)
        self.residual_projection = np.eye(len(self.y)) - self.X @ self.P

    @property
    def own(self) -> list[npt.NDArray[np.int64]]:
        return [np.flatnonzero(self.subjects == s) for s in dict.fromkeys(self.subjects)]

    def adjusted(self) -> Floats:
        """The matrix A, block by block, that adjusts the residuals."""
        n, rank = len(self.y), int(np.linalg.matrix_rank(self.X))
        A = np.zeros((n, n))
        for own in self.own:
            block = self.residual_projection[np.ix_(own, own)]
            A[np.ix_(own, own)] = self._of_block(block, n / (n - rank))
        return A

    def _of_block(self, block: Floats, share: float) -> Floats:
        rule = str(self.adjustment)
        if rule in ("0", "1"):
            return np.eye(len(block)) * (np.sqrt(share) if rule == "1" else 1.0)
        if rule in ("2", "3"):
            return np.diag(np.diag(block) ** (-0.5 if rule == "2" else -1.0))
        values, vectors = np.linalg.eigh(block)
        inverse = np.array([1 / v if v > 1e-12 else 0.0 for v in values])
        power = np.sqrt(inverse) if rule == "C2" else inverse
        return np.asarray(vectors @ np.diag(power) @ vectors.T)

    def residuals(self) -> Floats:
        return self.adjusted() @ self.residual_projection @ self.y

    def visit_covariances(self) -> tuple[dict[Any, tuple[list[Any], Floats]], bool]:
        """By group its visits and their covariance; and whether one had a negative eigenvalue."""
        assert self.groups is not None
        assert self.visits is not None
        e = self.residuals()
        found = {}
        projected = False
        for group in dict.fromkeys(self.groups):
            of_group = self.groups == group
            visits = list(dict.fromkeys(self.visits[of_group]))
            value = {
                (s, v): e[i]
                for i, (s, v) in enumerate(zip(self.subjects, self.visits, strict=True))
                if of_group[i]
            }
            subjects = list(dict.fromkeys(self.subjects[of_group]))
            V = np.zeros((len(visits), len(visits)))
            for k, visit in enumerate(visits):
                V[k, k] = np.mean([value[s, visit] ** 2 for s in subjects if (s, visit) in value])
            for k, m in itertools.combinations(range(len(visits)), 2):
                one, other = visits[k], visits[m]
                both = [s for s in subjects if (s, one) in value and (s, other) in value]
                x = np.array([value[s, one] for s in both])
                z = np.array([value[s, other] for s in both])
                if both:
                    correlation = (x @ z) / np.sqrt((x @ x) * (z @ z))
                    V[k, m] = V[m, k] = correlation * np.sqrt(V[k, k] * V[m, m])
            values, vectors = np.linalg.eigh(V)
            if values[0] < 0:
                projected |= values[0] < -1e-12 * values[-1]
                V = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
            found[group] = (visits, V)
        return found, projected

    def covariance(self, C: Floats) -> Floats:
        """The covariance of C b."""
        a = np.atleast_2d(C) @ self.P
        total = np.zeros((len(a), len(a)))
        if self.groups is not None:
            for share in self.shares(C).values():
                total += share
            return total
        e = self.residuals()
        for own in self.own:
            u = a[:, own] @ e[own]
            total += np.outer(u, u)
        return total

    def shares(self, C: Floats) -> dict[Any, Floats]:
        """The part of each group in the covariance of C b; classic: of each subject."""
        a = np.atleast_2d(C) @ self.P
        if self.groups is None:
            e = self.residuals()
            units = [a[:, own] @ e[own] for own in self.own]
            return {s: np.outer(u, u) for s, u in enumerate(units)}
        assert self.visits is not None
        found, _ = self.visit_covariances()
        shares = {group: np.zeros((len(a), len(a))) for group in found}
        for own in self.own:
            group = self.groups[own[0]]
            visits, V = found[group]
            at = [visits.index(v) for v in self.visits[own]]
            shares[group] += a[:, own] @ V[np.ix_(at, at)] @ a[:, own].T
        return shares

    def satterthwaite(self, C: Floats) -> float:
        """Degrees of freedom with independent images of one variance: the trace formulas."""
        a = np.atleast_2d(C) @ self.P
        q = len(a)
        left, A = self.residual_projection, self.adjusted()
        g = np.stack([[left[:, own] @ A[np.ix_(own, own)] @ row[own] for row in a]
                      for own in self.own])  # fmt: skip
        products = np.einsum("isn,jtn->ijst", g, g)
        expected = np.einsum("iist->st", products)
        values, vectors = np.linalg.eigh(expected)
        white = vectors @ np.diag(values**-0.5) @ vectors.T
        E = np.einsum("as,ijst,tb->ijab", white, products, white)
        total = np.einsum("ijss,ijtt->", E, E) + np.einsum("ijst,ijts->", E, E)
        return float(q * (q + 1) / total)

    def degrees_of_subjects(self) -> tuple[int, int]:
        """Numbers of subjects, and of dimensions of the design constant within each subject."""
        means = np.zeros((len(self.y), len(self.y)))
        for own in self.own:
            means[np.ix_(own, own)] = 1 / len(own)
        within = (np.eye(len(self.y)) - means) @ self.X
        return len(self.own), int(
            np.linalg.matrix_rank(self.X) - np.linalg.matrix_rank(within, tol=1e-8)
        )

    def naive(self) -> float:
        n, between = self.degrees_of_subjects()
        return float(n - between)

    def approximate_1(self, C: Floats) -> float:
        """One number for a design of one part."""
        n, between = self.degrees_of_subjects()
        own = 1 - between / n
        V = self.covariance(C)
        L = np.linalg.inv(np.linalg.cholesky(V))
        total = 0.0
        for group, share in self.shares(C).items():
            count = 1 if self.groups is None else len(set(self.subjects[self.groups == group]))
            D = L @ share @ L.T
            total += (np.trace(D) ** 2 + np.trace(D @ D)) / (count * own)
        q = len(V)
        return q * (q + 1) / total
