# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression at one place, as MATLAB's robustfit describes it: slow and plain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TUNING = {"bisquare": 4.685, "huber": 1.345}
EPS = np.finfo(float).eps


@dataclass
class RobustPlace:
    """The fit of one place; weights are NaN where an image is missing."""

    beta: Floats
    sigma: float
    scale: float
    weights: Floats
    iterations: int
    converged: bool
    df: int
    inverse: Floats  # (X'X)^-1

    def t(self, c: Floats) -> float:
        return float(c @ self.beta / (self.sigma * np.sqrt(c @ self.inverse @ c)))


def weight(u: Floats, kind: str) -> Floats:
    u = np.abs(u)
    if kind == "huber":
        return np.array([1.0 if each <= 1 else 1 / each for each in u])
    return np.array([(1 - each**2) ** 2 if each < 1 else 0.0 for each in u])


def slope(u: Floats, kind: str) -> Floats:
    """The derivative of u w(u)."""
    u = np.abs(u)
    if kind == "huber":
        return np.array([1.0 if each < 1 else 0.0 for each in u])
    return np.array([(1 - each**2) * (1 - 5 * each**2) if each < 1 else 0.0 for each in u])


def mad(adjusted: Floats, p: int) -> float:
    largest = np.sort(np.abs(adjusted))[max(p, 1) - 1 :]
    return float(np.median(largest)) / 0.6745


def robust_place(
    X: Floats, y: Floats, kind: str = "bisquare", tuning: float | None = None
) -> RobustPlace:
    """Fit the images that are not NaN; their design has full rank."""
    here = ~np.isnan(y)
    everyone = y
    X, y = X[here], y[here]
    n, p = X.shape
    c = TUNING[kind] if tuning is None else tuning
    inverse: Floats = np.asarray(np.linalg.inv(X.T @ X), dtype=np.float64)
    h: Floats = np.minimum(0.9999, np.sum((X @ inverse) * X, axis=1))
    b: Floats = np.asarray(np.linalg.lstsq(X, y, rcond=None)[0], dtype=np.float64)
    ols = np.sqrt(np.sum((y - X @ b) ** 2) / (n - p))
    least = max(1e-6 * float(np.std(y, ddof=1)), float(EPS * np.linalg.norm(y)))
    iterations, converged = 0, False
    while iterations < 50 and not converged:
        adjusted = (y - X @ b) / np.sqrt(1 - h)
        w = weight(adjusted / (max(mad(adjusted, p), least) * c), kind)
        root = np.sqrt(w)[:, np.newaxis]
        if np.linalg.matrix_rank(root * X, tol=1e-6 * np.linalg.norm(X)) < p:
            break  # nothing left to estimate from
        before = b
        b = np.asarray(np.linalg.lstsq(root * X, root[:, 0] * y, rcond=None)[0], np.float64)
        iterations += 1
        most = np.maximum(np.abs(b), np.abs(before))
        converged = bool((np.abs(b - before) <= np.sqrt(EPS) * most).all())
    e = y - X @ b
    adjusted = e / np.sqrt(1 - h)
    s = max(mad(adjusted, p), least)
    u = adjusted / (s * c)
    w = weight(u, kind)
    whole = w > 1 - np.sqrt(EPS)
    if (whole | (w < np.sqrt(EPS))).all():
        r = np.sqrt(np.sum(e[whole] ** 2) / (whole.sum() - p)) if whole.sum() > p else 0.0
    else:
        m1 = np.mean(slope(u, kind))
        m2 = np.sum((1 - h) * (u * w) ** 2) / (n - p)
        r = (1 + p / n * (1 - m1) / m1) * np.sqrt(m2) * s * c / m1
    sigma = max(r, np.sqrt((ols**2 * p**2 + r**2 * n) / (p**2 + n)))
    weights = np.full(len(everyone), np.nan)
    weights[here] = w
    return RobustPlace(b, float(sigma), s, weights, iterations, converged, n - p, inverse)
