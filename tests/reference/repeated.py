# SPDX-License-Identifier: BSD-3-Clause
"""Repeated measures one place at a time: slow, obvious, dense, and independent of groupglm.

The model is y = X b + Z u + F f + e: an intercept of each subject (Z) and, if families are given,
one of each family or site (F). Its covariance is V = s2 V0, V0 = I + r1 ZZ' + r2 FF', with ratios
r >= 0 of the intercepts' variances to the residual one.

- REML is the likelihood of error contrasts: K'y, K an orthonormal basis of what X leaves
  (Patterson and Thompson 1971, Biometrika 58:545). Its maximum over the ratios is the global one:
  a dense grid, and the root of the derivative in every cell where its sign turns. `criterion` is
  minus twice the restricted log likelihood with the constants of R's lme4 (`REMLcrit`).
- Kenward and Roger 1997, Biometrics 53:983: the adjusted covariance, the scale and the degrees of
  freedom of F by the paper's matrices P_i, Q_ij (R_ij = 0, V being linear in the variances) and
  expected information. The same formulas where a variance is zero, as R's pbkrtest has them.
- Satterthwaite: the delta method on the inverse Hessian of the criterion, and of several rows as
  Fai and Cornelius 1996 (J Stat Comput Simul 54:363), as R's lmerTest has them. lmerTest derives
  by standard deviations, where nothing depends on one that is zero to first order: variances
  estimated at zero are left out, and if no other is left, df = n - rank.

A missing value needs no special case: the model of a place is that of the rows it has.

A place has no estimate unless rank X < rank [X F] < rank [X Z] < n: unless the design leaves
something of the families, of the subjects within them, and a residual within subjects. Without the
last the criterion is flat at large ratios: it tends to a constant as the residual variance tends to
zero, and has no maximum at many places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import linalg

from reference.mixed import Basis, basis_of, centred, root
from reference.ols import FloatArray, IntArray, f_tail, t_tail

Method = Literal["kenward-roger", "satterthwaite"]
METHODS: tuple[Method, ...] = ("kenward-roger", "satterthwaite")

N_GRID = 400
N_OUTER = 80  # points for the families' ratio
NO_EIGENVALUE = 1e-10  # of the largest


@dataclass(frozen=True)
class PlaceModel:
    """The model of one place, on the rows that it has."""

    basis: Basis
    rows: npt.NDArray[np.bool_]  # of the images, which are there
    y: FloatArray
    parts: tuple[FloatArray, ...]  # dV/d(variance): ZZ', FF' if there are families, I
    variances: FloatArray  # in the same order: subject, family, residual
    criterion: float
    maxima: tuple[tuple[FloatArray, float], ...]  # ratios and criterion of all, the best first
    coefficients: FloatArray  # (rank,) of the basis
    covariance: FloatArray  # (rank, rank) Phi = (U'V^-1 U)^-1
    adjusted: FloatArray  # (rank, rank) Kenward and Roger's
    P: tuple[FloatArray, ...]  # of their paper
    W: FloatArray  # the variances' covariance by expected information

    @property
    def df(self) -> int:
        return len(self.y) - len(self.coefficients)


@dataclass(frozen=True)
class ReferenceRepeated:
    """Everything a fit yields, an entry a place; NaN where nothing can be estimated."""

    beta: FloatArray  # (n_columns, n_places), NaN where the rows of a place lose rank
    subject_variance: FloatArray
    family_variance: FloatArray  # NaN without families
    residual_variance: FloatArray
    criterion: FloatArray
    n_observations: IntArray
    places: tuple[PlaceModel | None, ...]

    @property
    def ratio(self) -> FloatArray:
        """Return the subject's variance over the residual one."""
        return self.subject_variance / self.residual_variance


@dataclass(frozen=True)
class ReferenceRepeatedContrast:
    """Everything a contrast yields, an entry a place."""

    effect_size: FloatArray  # (n_places,), or (n_rows, n_places) of an F test
    covariance: FloatArray  # (n_rows, n_rows, n_places), adjusted if the method adjusts it
    scale: FloatArray  # of F; 1 of a t
    df: FloatArray
    stat: FloatArray
    p_value: FloatArray
    z_score: FloatArray


def same(labels: npt.ArrayLike) -> FloatArray:
    """ZZ': 1 where two images have the same label, else 0."""
    array = np.asarray(labels)
    return np.asarray(array[:, None] == array[None, :], dtype=np.float64)


@dataclass(frozen=True)
class Line:
    """The criterion along one ratio: K'V0K has the eigenvalues 1 + ratio d in a fixed basis."""

    d: FloatArray  # (n - rank,)
    squares: FloatArray  # of K'y in that basis

    def criterion(self, ratio: npt.ArrayLike) -> FloatArray:
        """(n - p) log y'P0y + log|K'V0K|, up to a constant."""
        size = 1.0 + np.multiply.outer(np.asarray(ratio, dtype=np.float64), self.d)
        value = len(self.d) * np.log(np.sum(self.squares / size, axis=-1))
        return np.asarray(value + np.sum(np.log(size), axis=-1))

    def slope(self, ratio: npt.ArrayLike) -> FloatArray:
        size = 1.0 + np.multiply.outer(np.asarray(ratio, dtype=np.float64), self.d)
        explained = np.sum(self.squares * self.d / size**2, axis=-1)
        explained = explained / np.sum(self.squares / size, axis=-1)
        return np.asarray(np.sum(self.d / size, axis=-1) - len(self.d) * explained)

    def top(self) -> float:
        """Return a ratio beyond which the slope is positive.

        With r eigenvalues above 0, the least of them d1, and a ratio t >= 1 / d1: the first sum of
        the slope is at least r / (2 t), and the second term at most (n - p) S / (t^2 R), S the sum
        of squares / d over these and R that of the squares of the others.
        """
        some = self.d > 0
        least = float(self.d[some].min())
        S = float(np.sum(self.squares[some] / self.d[some]))
        R = float(np.sum(self.squares[~some]))
        return max(1.0 / least, 2.0 * len(self.d) * S / (R * int(some.sum())))

    def minima(self) -> list[tuple[float, float]]:
        """Return (ratio, criterion) of every local minimum over ratio >= 0, the least first.

        The sign of the slope tells a minimum: the criterion is flat to half the digits there.
        """
        top = self.top()
        grid = np.concatenate([[0.0], np.geomspace(1e-8 * min(1.0, top), top, N_GRID)])
        found = minima_of(lambda t: float(self.slope(t)), grid, self.slope(grid))
        values = self.criterion(found).tolist()
        return sorted(zip(found, values, strict=True), key=lambda pair: pair[1])


def minima_of(slope: Callable[[float], float], grid: FloatArray, slopes: FloatArray) -> list[float]:
    """Return 0 if the slope rises there, and the roots where it turns from below to above 0."""
    turns = np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0))
    found = [0.0] if slopes[0] >= 0 else []
    return found + [root(slope, float(grid[i]), float(grid[i + 1])) for i in turns]


def line_of(u: FloatArray, A: FloatArray, G: FloatArray) -> tuple[Line, float]:
    """Return the line of V = A + ratio G in the space of error contrasts, and log|A|."""
    L = np.linalg.cholesky(A)
    half = linalg.solve_triangular(L, G, lower=True)
    d, Q = np.linalg.eigh(linalg.solve_triangular(L, half.T, lower=True))
    d = np.where(d > NO_EIGENVALUE * d.max(), d, 0.0)
    squares = (Q.T @ linalg.solve_triangular(L, u, lower=True)) ** 2
    return Line(d, squares), 2.0 * float(np.sum(np.log(np.diag(L))))


def ratio_minima(u: FloatArray, parts: Sequence[FloatArray]) -> list[tuple[FloatArray, float]]:
    """Return ratios and criterion of all minima; parts are K'ZZ'K and, with families, K'FF'K.

    With families: the least over the subjects' ratio at each of the families' is a function of the
    latter alone. Where another of the subjects' minima becomes the least, it has a kink that points
    up, which is no minimum.
    """
    unit = np.eye(len(u))
    if len(parts) == 1:
        return [(np.array([t]), value) for t, value in line_of(u, unit, parts[0])[0].minima()]
    G, F = parts

    def least(t: float) -> tuple[float, float]:
        line, log_det = line_of(u, unit + t * F, G)
        ratio, value = line.minima()[0]
        return ratio, value + log_det

    def slope(t: float) -> float:
        V = unit + t * F + least(t)[0] * G
        a = np.linalg.solve(V, u)
        explained = len(u) * float(a @ F @ a) / float(u @ a)
        return float(np.trace(np.linalg.solve(V, F))) - explained

    # Beside a subject's variance the families' may be larger than without: a thousand times.
    top = 1e3 * line_of(u, unit, F)[0].top()
    grid = np.concatenate([[0.0], np.geomspace(1e-6 * min(1.0, top), top, N_OUTER)])
    found = minima_of(slope, grid, np.array([slope(float(t)) for t in grid]))
    pairs = [(np.array([least(t)[0], t]), least(t)[1]) for t in found]
    return sorted(pairs, key=lambda pair: pair[1])


def fit_place(X: FloatArray, y: FloatArray, labels: Sequence[Any]) -> PlaceModel | None:
    """Fit one place on the rows it has; None where they cannot tell the variances apart."""
    rows = np.isfinite(y)
    if not rows.any():
        return None
    X, y = X[rows], y[rows]
    parts = (*(same(np.asarray(own)[rows]) for own in labels), np.eye(len(y)))
    basis = basis_of(X)
    U, rank, df = basis.U, basis.U.shape[1], len(y) - basis.U.shape[1]
    if df <= len(labels):
        return None
    ranks = [rank, *(rank_beside(U, np.asarray(own)[rows]) for own in reversed(labels)), len(y)]
    if not all(np.diff(ranks) > 0):
        return None
    K = linalg.null_space(U.T) if rank else np.eye(len(y))
    projected = [K.T @ part @ K for part in parts]
    u = K.T @ centred(U, y)
    within = line_of(u, np.eye(df), sum(projected[:-1], np.zeros((df, df))))[0]
    if not np.any(within.squares[within.d == 0] > 1e-25 * within.squares.sum()):
        return None  # no residual variance: the likelihood has no maximum
    log_det_X = 2.0 * float(np.sum(np.log(basis.size)))
    if rank == X.shape[1]:
        log_det_X += 2.0 * float(np.sum(np.log(basis.scale)))
    constant = df * (1.0 + np.log(2.0 * np.pi / df)) + log_det_X
    maxima = [(ratios, value + constant) for ratios, value in ratio_minima(u, projected[:-1])]
    ratios = np.append(maxima[0][0], 1.0)
    K0 = combined(ratios, projected)
    variances = ratios * float(u @ np.linalg.solve(K0, u)) / df
    V = combined(variances, parts)
    Phi = np.linalg.inv(U.T @ np.linalg.solve(V, U))
    start = U.T @ y
    step = Phi @ (U.T @ np.linalg.solve(V, y - U @ start))  # loses no digits to a large mean
    P, W, adjusted = kenward_roger_matrices(U, V, Phi, parts)
    return PlaceModel(
        basis=basis,
        rows=rows,
        y=y,
        parts=parts,
        variances=variances,
        criterion=maxima[0][1],
        maxima=tuple(maxima),
        coefficients=start + step,
        covariance=Phi,
        adjusted=adjusted,
        P=P,
        W=W,
    )


def rank_beside(U: FloatArray, labels: npt.NDArray[Any]) -> int:
    """Return the rank of a design, of orthonormal columns, beside the indicators of labels."""
    Z = np.equal.outer(labels, np.unique(labels)).astype(np.float64)
    left = U - Z @ (np.linalg.pinv(Z) @ U)
    return int(Z.shape[1] + np.linalg.matrix_rank(left, tol=1e-5))


def combined(factors: FloatArray, parts: Sequence[FloatArray]) -> FloatArray:
    """Return the sum of the parts times their factors."""
    return np.asarray(np.einsum("k,kij->ij", factors, np.array(parts)))


def kenward_roger_matrices(
    U: FloatArray, V: FloatArray, Phi: FloatArray, parts: Sequence[FloatArray]
) -> tuple[tuple[FloatArray, ...], FloatArray, FloatArray]:
    """Return P_i, W and the adjusted covariance Phi + 2 Phi sum W_ij (Q_ij - P_i Phi P_j) Phi."""
    inverse = np.linalg.inv(V)
    n = len(parts)
    P = tuple(-U.T @ inverse @ part @ inverse @ U for part in parts)
    Q = [[U.T @ inverse @ a @ inverse @ b @ inverse @ U for b in parts] for a in parts]
    information = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            trace = np.trace(inverse @ parts[i] @ inverse @ parts[j])
            left = np.trace(2 * Phi @ Q[i][j] - Phi @ P[i] @ Phi @ P[j])
            information[i, j] = 0.5 * (trace - left)
    W = np.asarray(np.linalg.inv(information), dtype=np.float64)
    terms = [W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i in range(n) for j in range(n)]
    return P, W, np.asarray(Phi + 2 * Phi @ np.sum(terms, axis=0) @ Phi)


def kenward_roger_f(place: PlaceModel, L: FloatArray) -> tuple[float, float]:
    """Return scale and degrees of freedom of F for independent rows L of the basis."""
    Phi, q = place.covariance, len(L)
    Theta = L.T @ np.linalg.solve(L @ Phi @ L.T, L)
    a1 = a2 = 0.0
    for i, first in enumerate(place.P):
        for j, second in enumerate(place.P):
            left, right = Theta @ Phi @ first @ Phi, Theta @ Phi @ second @ Phi
            a1 += place.W[i, j] * float(np.trace(left)) * float(np.trace(right))
            a2 += place.W[i, j] * float(np.trace(left @ right))
    B = (a1 + 6 * a2) / (2 * q)
    g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
    below = 3 * q + 2 * (1 - g)
    c1, c2, c3 = g / below, (q - g) / below, (q + 2 - g) / below
    expectation = 1 / (1 - a2 / q)
    variance = (2 / q) * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = variance / (2 * expectation**2)
    df = 4 + (q + 2) / (q * rho - 1)
    # pbkrtest's rule near 2, where the scale has a pole.
    scale = 1.0 if abs(df - 2) < 0.01 else df / (expectation * (df - 2))
    return scale, df


def satterthwaite_df(place: PlaceModel, L: FloatArray) -> float:
    """Return the degrees of freedom of rows L of the basis, as they are given.

    Those of several rows depend on more than their span: the rows are turned into the principal
    directions of the covariance of their effects.
    """
    variances = place.variances
    free = [i for i, s2 in enumerate(variances) if s2 > 0]
    V = combined(variances, place.parts)
    inverse = np.linalg.inv(V)
    U, Phi = place.basis.U, place.covariance
    projection = inverse - inverse @ U @ Phi @ U.T @ inverse
    a = projection @ centred(U, place.y)
    parts = [place.parts[i] for i in free]
    moved, n = [projection @ part for part in parts], len(parts)
    hessian = np.array(
        [
            # 2 y'P V_i P V_j P y - tr(P V_i P V_j)
            [2 * a @ parts[i] @ moved[j] @ a - np.trace(moved[i] @ moved[j]) for j in range(n)]
            for i in range(n)
        ]
    )
    covariance = 2 * np.linalg.inv(hessian)
    size, directions = np.linalg.eigh(L @ Phi @ L.T)
    found = []
    for k in np.flatnonzero(size > np.sqrt(np.finfo(float).eps) * size.max()):
        row = directions[:, k] @ L
        gradient = np.array([-row @ Phi @ place.P[i] @ Phi @ row for i in free])
        found.append(2 * size[k] ** 2 / (gradient @ covariance @ gradient))
    df = np.array(found)
    if len(df) == 1 or np.all(np.abs(np.diff(df)) < 1e-8):
        return float(df.mean())
    if np.any(df <= 2):
        return 2.0
    total = float(np.sum(df / (df - 2)))
    return 2 * total / (total - len(df))


def fit(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    subjects: Sequence[Any] | npt.NDArray[Any],
    *,
    families: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> ReferenceRepeated:
    """Fit every column of Y, one by one; NaN marks a missing row."""
    X64, Y64 = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    labels = [subjects] if families is None else [subjects, families]
    places = tuple(fit_place(X64, y, labels) for y in Y64.T)
    beta = np.full((X64.shape[1], len(places)), np.nan)
    variances = np.full((3, len(places)), np.nan)
    for k, model in enumerate(places):
        if model is None:
            continue
        variances[[0, 2] if families is None else [0, 1, 2], k] = model.variances
        basis = model.basis
        if basis.right.shape[1] == X64.shape[1]:
            beta[:, k] = basis.right @ (model.coefficients / basis.size) / basis.scale
    return ReferenceRepeated(
        beta=beta,
        subject_variance=variances[0],
        family_variance=variances[1],
        residual_variance=variances[2],
        criterion=np.array([np.nan if m is None else m.criterion for m in places]),
        n_observations=np.isfinite(Y64).sum(axis=0),
        places=places,
    )


def contrast(
    fitted: ReferenceRepeated, c: npt.ArrayLike, df: str = "kenward-roger"
) -> ReferenceRepeatedContrast:
    """Test a contrast place by place: t of a vector, F over the rows of a matrix."""
    array = np.asarray(c, dtype=np.float64)
    C = np.atleast_2d(array)
    m, n_places = len(C), len(fitted.places)
    effect, covariance = np.full((m, n_places), np.nan), np.full((m, m, n_places), np.nan)
    scale, dfs, stat, p, z = (np.full(n_places, np.nan) for _ in range(5))
    for k, model in enumerate(fitted.places):
        if model is None:
            continue
        basis = model.basis
        scaled = C / basis.scale
        inside = scaled @ basis.right
        left = np.abs(scaled - inside @ basis.right.T).max()
        if left > 1e-8 * np.abs(scaled).max():
            continue  # the rows of this place cannot estimate it
        L = inside / basis.size
        Phi = model.adjusted if df == "kenward-roger" else model.covariance
        effect[:, k] = L @ model.coefficients
        covariance[:, :, k] = L @ Phi @ L.T
        rows = independent(L)
        if df == "kenward-roger":
            scale[k], dfs[k] = kenward_roger_f(model, rows)
        else:
            scale[k], dfs[k] = 1.0, satterthwaite_df(model, L)
        if array.ndim == 1:
            stat[k] = effect[0, k] / np.sqrt(covariance[0, 0, k])
            p[k], z[k] = t_tail(stat[k], dfs[k])
            continue
        tested = rows @ model.coefficients
        wald = float(tested @ np.linalg.solve(rows @ Phi @ rows.T, tested))
        stat[k] = scale[k] * wald / len(rows)
        p[k], z[k] = f_tail(stat[k], len(rows), dfs[k])
    return ReferenceRepeatedContrast(
        effect[0] if array.ndim == 1 else effect, covariance, scale, dfs, stat, p, z
    )


def independent(L: FloatArray) -> FloatArray:
    """Return as many independent rows as L has, of the same span."""
    size = np.linalg.norm(L, axis=1, keepdims=True)
    _, strength, right = np.linalg.svd(L / np.where(size > 0, size, 1.0), full_matrices=False)
    return np.asarray(right[strength > 1e-10 * strength[0]])
