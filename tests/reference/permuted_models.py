# SPDX-License-Identifier: BSD-3-Clause
"""Rearranged statistics of models with variances, weights or covariates by place: slow, one fit a
rearrangement and place, by the references of these models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from reference import mixed, repeated
from reference.permutation import hat, null_space, statistic

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ModelFacts:
    """As much of a model as a permutation test asks for."""

    kind: str = "mixed effects"
    beside: tuple[str, ...] = ("variance",)
    own: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        return self.own


def facts(
    kind: str = "mixed effects",
    beside: tuple[str, ...] = ("variance",),
    own: dict[str, Any] | None = None,
) -> Any:
    """As much of a model as a permutation test asks for, in the place of the model."""
    return ModelFacts(kind, beside, {} if own is None else own)


def interleaved(*rows: FloatArray) -> FloatArray:
    """Rows of images (n, n_voxels), each followed by its rows in the other arrays."""
    return np.ascontiguousarray(np.stack(rows, axis=1).reshape(-1, rows[0].shape[1]))


def contracted(order: IntArray, present: npt.NDArray[np.bool_]) -> IntArray:
    """The permutation of the rows present; the other rows are taken out of its cycles."""
    places = np.flatnonzero(present)
    found = []
    for place in places:
        j = order[place]
        while not present[j]:
            j = order[j]
        found.append(int(np.flatnonzero(places == j)[0]))
    return np.array(found)


def flipped_mixed(
    X: FloatArray, C: FloatArray, y: FloatArray, v: FloatArray, signs: FloatArray,
    tau2: str | float, test: str, groups: npt.NDArray[Any] | None = None,
) -> float:  # fmt: skip
    """Signs of what the nuisance's own fit leaves are flipped, and the whole model is fitted."""
    here = ~np.isnan(y + v)
    X, y, v, signs = X[here], y[here], v[here], signs[here]
    groups = None if groups is None else groups[here]
    Z = X @ null_space(C)
    if Z.shape[1]:
        (place,) = mixed.fit(Z, y[:, None], v[:, None], tau2=tau2, variance_groups=groups).places
        assert place is not None
        y = place.residual
    return _stat(X, C, signs * y, v, tau2, test, groups)


def permuted_mixed(
    X: FloatArray, C: FloatArray, y: FloatArray, v: FloatArray, order: IntArray,
    tau2: str | float, test: str, groups: npt.NDArray[Any] | None = None,
) -> float:  # fmt: skip
    """What the nuisance leaves of the tested columns is permuted; image i gets row order[i]."""
    here = ~np.isnan(y + v)
    order = contracted(order, here)
    X, y, v = X[here], y[here], v[here]
    groups = None if groups is None else groups[here]
    Z = X @ null_space(C)
    gain = X @ np.linalg.pinv(X.T @ X) @ C.T
    effect = gain - (hat(Z) @ gain if Z.shape[1] else 0.0)
    design = np.column_stack([effect[order], Z])
    k = effect.shape[1]
    contrast = np.eye(k, design.shape[1])
    return _stat(design, contrast, y, v, tau2, test, groups)


def _stat(
    X: FloatArray, C: FloatArray, y: FloatArray, v: FloatArray, tau2: str | float, test: str,
    groups: npt.NDArray[Any] | None,
) -> float:  # fmt: skip
    fitted = mixed.fit(X, y[:, None], v[:, None], tau2=tau2, variance_groups=groups)
    found = mixed.contrast(fitted, C[0] if len(C) == 1 else C, test)
    return float(found.stat[0])


def rearranged_voxelwise(
    X: FloatArray, C: FloatArray, y: FloatArray, w: FloatArray | None, z: list[FloatArray],
    order: IntArray, signs: FloatArray,
) -> float:  # fmt: skip
    """Whitened residuals of a place's own nuisance; image i takes the place order[i]."""
    w = np.ones(len(y)) if w is None else w
    here = ~np.isnan(np.sum([y, w, *z], axis=0)) & (w > 0)
    order, signs = contracted(order, here), signs[here]
    root = np.sqrt(w[here])[:, None]
    design = root * np.column_stack([X, *z])[here]
    nuisance = design @ null_space(C)
    left = root[:, 0] * y[here]
    if nuisance.shape[1]:
        left = left - hat(nuisance) @ left
    shuffled = np.empty(len(left))
    shuffled[order] = signs * left
    return float(statistic(design, C, shuffled[:, None])[0])


def rearranged_repeated(
    X: FloatArray,
    C: FloatArray,
    y: FloatArray,
    subjects: IntArray,
    order: IntArray,
    signs: FloatArray,
) -> float:
    """t or F of a random intercept: the null model's residuals moved, and everything fitted again.

    The residual of row i meets row order[i] of the design; absent rows (NaN) are taken out of the
    cycles.
    """
    here = np.flatnonzero(~np.isnan(y))
    X, y, signs, own = X[here], y[here], signs[here], subjects[here]
    whole = np.zeros(len(order), dtype=bool)
    whole[here] = True
    to = contracted(order, whole)
    Z = X @ null_space(C)
    residual = y
    if Z.shape[1]:
        residual = y - Z @ repeated.fit(Z, y[:, None], own).beta[:, 0]
    moved = np.empty(len(y))
    moved[to] = signs * residual
    fitted = repeated.fit(X, moved[:, None], own)
    return float(repeated.contrast(fitted, C[0] if len(C) == 1 else C, "satterthwaite").stat[0])


def flipped_sandwich(
    X: FloatArray,
    C: FloatArray,
    y: FloatArray,
    subjects: IntArray,
    signs: FloatArray | None,
    adjustment: int | str,
) -> float:
    """t or F of a sandwich, dense: of the data, or of adjusted residuals with signs."""
    here = ~np.isnan(y)
    X, y, own = X[here], y[here], subjects[here]
    if signs is not None:
        Z = X @ null_space(C)
        project = hat(Z) if Z.shape[1] else np.zeros((len(y), len(y)))
        y = signs[here] * (adjuster(project, own, adjustment) @ (y - project @ y))
    weights = C @ np.linalg.pinv(X)
    project = hat(X)
    scores = weights * (adjuster(project, own, adjustment) @ (y - project @ y))
    g = np.stack([scores[:, own == s].sum(axis=1) for s in np.unique(own)])
    V, effect = g.T @ g, weights @ y
    if len(C) == 1:
        return float(effect[0] / np.sqrt(V[0, 0]))
    return float(effect @ np.linalg.solve(V, effect) / len(C))


def adjuster(project: FloatArray, subjects: IntArray, adjustment: int | str) -> FloatArray:
    """What residuals are multiplied by, given the projection on the design."""
    n = len(project)
    left = np.eye(n) - project
    if adjustment == 0:
        return np.eye(n)
    if adjustment == 1:
        return np.asarray(np.eye(n) * np.sqrt(n / np.trace(left)))
    power = {2: -0.5, "C2": -0.5}.get(adjustment, -1.0)
    if adjustment in (2, 3):
        alone: FloatArray = np.diag(np.diag(left) ** power)
        return alone
    out = np.zeros((n, n))
    for s in np.unique(subjects):
        inside = np.flatnonzero(subjects == s)
        values, vectors = np.linalg.eigh(left[np.ix_(inside, inside)])
        scale = np.where(values > 1e-12, values, np.inf) ** power
        out[np.ix_(inside, inside)] = vectors * scale @ vectors.T
    return out
