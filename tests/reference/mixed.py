# SPDX-License-Identifier: BSD-3-Clause
"""Fixed and mixed effects one place at a time: slow, obvious, and independent of groupglm.

The model is y = X b + u + e with e_i of the known variance v_i and u of the variance tau2, so that
W = diag(1 / (v + tau2)) and P = W - W X (X'WX)^-1 X'W. Where tau2 comes from:

- REML, ML: the global maximum of the (restricted) log likelihood over tau2 >= 0 (Harville 1977,
  J Am Stat Assoc 72:320, equations 3.8 and 2.5): a dense grid, and the root of the score in
  every cell where its sign turns.
- DL: moments of Q with the weights 1/v (DerSimonian and Laird 1986, Controlled Clin Trials 7:177;
  with moderators Thompson and Sharp 1999, Stat Med 18:2693).
- PM: sum of w e^2 equal to its expectation n - p (Paule and Mandel 1982, J Res NBS 87:377).
- HE: moments of the unweighted residual sum of squares (Hedges and Olkin 1985, section 9.3).

Tests: Wald z and chi2; Wald on n - p degrees of freedom; Knapp and Hartung (2003, Stat Med
22:2693), and the same with a scale of at least one. I2 and H2: Higgins and Thompson 2002 (Stat Med
21:1539).
A missing value needs no special case: the model of a place is that of the rows it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from reference.ols import FloatArray, IntArray, exact_normal_isf, f_tail, t_tail

Estimator = Literal["reml", "ml", "dersimonian-laird", "paule-mandel", "hedges"]
Test = Literal["knapp-hartung", "knapp-hartung-conservative", "t", "z"]
ESTIMATORS: tuple[Estimator, ...] = ("reml", "ml", "dersimonian-laird", "paule-mandel", "hedges")
TESTS: tuple[Test, ...] = ("knapp-hartung", "knapp-hartung-conservative", "t", "z")

N_GRID = 400


@dataclass(frozen=True)
class Basis:
    """An orthonormal basis U of the columns of X, X / scale = U diag(size) right'."""

    U: FloatArray  # (n, rank)
    size: FloatArray  # (rank,)
    right: FloatArray  # (n_columns, rank)
    scale: FloatArray  # (n_columns,)


@dataclass(frozen=True)
class PlaceModel:
    """The model of one place, on the rows that it has."""

    basis: Basis
    coefficients: FloatArray  # (rank,) of the basis
    covariance: FloatArray  # (rank, rank) (U'WU)^-1
    weights: FloatArray  # (n,) 1 / (v + tau2)
    residual: FloatArray  # (n,)
    rows: npt.NDArray[np.bool_]  # of the images, which are there
    df: int
    tau2: FloatArray  # a value a variance group
    q: float
    i_squared: float
    h_squared: float

    @property
    def scale(self) -> float:
        """Return Knapp and Hartung's scale, sum(w e^2) / (n - rank)."""
        return float(np.sum(self.weights * self.residual**2)) / self.df


@dataclass(frozen=True)
class ReferenceMixed:
    """Everything a fit yields, an entry a place; NaN where nothing can be estimated."""

    beta: FloatArray  # (n_columns, n_places), NaN where the rows of a place lose rank
    tau2: FloatArray  # (n_places,), or (n_groups, n_places) with variance groups
    i_squared: FloatArray
    h_squared: FloatArray
    q: FloatArray
    q_p_value: FloatArray
    df_residual: IntArray
    n_observations: IntArray
    places: tuple[PlaceModel | None, ...]


@dataclass(frozen=True)
class ReferenceMixedContrast:
    """Everything a contrast yields, an entry a place."""

    effect_size: FloatArray  # (n_places,), or (n_rows, n_places) of an F test
    covariance: FloatArray  # (n_rows, n_rows, n_places)
    stat: FloatArray
    p_value: FloatArray
    z_score: FloatArray


def basis_of(X: FloatArray) -> Basis:
    """Take the columns apart, each scaled to norm one, so that units do not decide on rank."""
    scale = np.linalg.norm(X, axis=0)
    scale[scale == 0.0] = 1.0
    left, size, right = np.linalg.svd(X / scale, full_matrices=False)
    rank = int(np.linalg.matrix_rank(X / scale))
    return Basis(left[:, :rank], size[:rank], right[:rank].T, scale)


def centred(U: FloatArray, y: FloatArray) -> FloatArray:
    """Return the unweighted residual: P annihilates U, and nothing is lost to a large mean."""
    for _ in range(2):
        y = y - U @ (U.T @ y)
    return y


def projection(U: FloatArray, v: FloatArray, tau2: float) -> FloatArray:
    """P = W - W U (U'WU)^-1 U'W, as a whole matrix."""
    w = 1.0 / (v + tau2)
    WU = w[:, None] * U
    P: FloatArray = np.diag(w) - WU @ np.linalg.solve(U.T @ WU, WU.T)
    return P


def weighted_fits(
    U: FloatArray, y: FloatArray, v: FloatArray, tau2: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weights (n_points, n), U'WU (n_points, rank, rank), residuals (n_points, n)."""
    w = 1.0 / (v + np.atleast_1d(np.asarray(tau2, dtype=np.float64))[:, None])
    y = centred(U, y)
    A = np.einsum("gi,ij,ik->gjk", w, U, U)
    b = np.linalg.solve(A, np.einsum("gi,ij,i->gj", w, U, y)[:, :, None])[:, :, 0]
    return w, A, y - b @ U.T


def log_likelihood(
    U: FloatArray, y: FloatArray, v: FloatArray, tau2: npt.ArrayLike, *, restricted: bool
) -> FloatArray:
    """Evaluate the log likelihood at every tau2 of an array, up to what tau2 does not change."""
    w, A, residual = weighted_fits(U, y, v, tau2)
    twice = np.sum(w * residual**2 - np.log(w), axis=1)
    if restricted:
        twice = twice + np.linalg.slogdet(A)[1]
    result: FloatArray = -0.5 * twice
    return result


def score(
    U: FloatArray, y: FloatArray, v: FloatArray, tau2: npt.ArrayLike, *, restricted: bool
) -> FloatArray:
    """Evaluate the derivative of the log likelihood: (y'PPy - tr P) / 2; ML has tr W for tr P."""
    w, A, residual = weighted_fits(U, y, v, tau2)
    trace = w.sum(axis=1)
    if restricted:
        second = np.einsum("gi,ij,ik->gjk", w**2, U, U)
        trace = trace - np.trace(np.linalg.solve(A, second), axis1=1, axis2=2)
    result: FloatArray = 0.5 * (np.sum((w * residual) ** 2, axis=1) - trace)
    return result


def upper_bound(U: FloatArray, y: FloatArray, v: FloatArray) -> float:
    """Return a tau2 beyond which the score is negative.

    With s = RSS / (n - p): y'PPy <= RSS / (t + min v)^2 and tr P >= (n - p) / (t + max v), so that
    the score is negative where s (t + max v) < (t + min v)^2, which t >= s + max v implies.
    """
    rss = float(np.sum(centred(U, y) ** 2))
    bound: float = rss / (len(y) - U.shape[1]) + float(v.max())
    return bound


def likelihood_maxima(
    U: FloatArray, y: FloatArray, v: FloatArray, *, restricted: bool, n_grid: int = N_GRID
) -> list[tuple[float, float]]:
    """Return (tau2, log likelihood) of every local maximum that a dense grid shows, best first.

    The sign of the score tells a maximum: the likelihood itself is flat to half the digits there.
    """

    def slope(t: float) -> float:
        return float(score(U, y, v, t, restricted=restricted)[0])

    top = upper_bound(U, y, v)
    grid = np.concatenate([[0.0], np.geomspace(1e-8 * v.min(), top, n_grid)])
    slopes = score(U, y, v, grid, restricted=restricted)
    turns = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
    maxima = [0.0] if slopes[0] <= 0 else []
    maxima += [root(slope, float(grid[i]), float(grid[i + 1])) for i in turns]
    values = log_likelihood(U, y, v, maxima, restricted=restricted)
    return sorted(zip(maxima, values.tolist(), strict=True), key=lambda pair: -pair[1])


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find the sign change to the last digit."""
    found: float = optimize.brentq(function, low, high, xtol=1e-300, rtol=1e-15)
    return found


def estimate_tau2(X: npt.ArrayLike, y: npt.ArrayLike, v: npt.ArrayLike, method: str) -> float:
    """Estimate tau2 at one place that lacks no row."""
    y, v = np.asarray(y, dtype=np.float64), np.asarray(v, dtype=np.float64)
    U = basis_of(np.asarray(X, dtype=np.float64)).U
    y = centred(U, y)
    df = len(y) - U.shape[1]
    if method in {"reml", "ml"}:
        return likelihood_maxima(U, y, v, restricted=method == "reml")[0][0]
    if method == "dersimonian-laird":
        P = projection(U, v, 0.0)
        return max(0.0, float((y @ P @ y - df) / np.trace(P)))
    if method == "hedges":
        leverage = np.sum(U**2, axis=1)
        return max(0.0, float((y @ y - np.sum((1.0 - leverage) * v)) / df))
    if method == "paule-mandel":

        def excess(t: float) -> float:
            value: float = float(y @ projection(U, v, t) @ y) - df
            return value

        if excess(0.0) <= 0:
            return 0.0
        # y'Py <= RSS / (t + min v): no excess at RSS / (n - p).
        top = float(y @ y) / df
        return root(excess, 0.0, top * (1 + 1e-9))
    raise ValueError(f"no estimator {method!r}")


def present_rows(y: FloatArray, v: FloatArray) -> npt.NDArray[np.bool_]:
    """A row is there if its effect is a number, and its variance a positive one."""
    return np.isfinite(y) & np.isfinite(v) & (np.nan_to_num(v) > 0)


def fit_place(
    X: FloatArray,
    y: FloatArray,
    v: FloatArray,
    tau2: str | float,
    groups: npt.NDArray[Any] | None,
) -> PlaceModel | None:
    """Fit one place on the rows it has; None where they leave no residual degree of freedom."""
    rows = present_rows(y, v)
    X, y, v = X[rows], y[rows], v[rows]
    if not rows.any():
        return None
    basis = basis_of(X)
    U, df = basis.U, len(y) - basis.U.shape[1]
    if df <= 0:
        return None
    labels = np.zeros(len(y), dtype=int) if groups is None else groups[rows]
    names = [0] if groups is None else list(dict.fromkeys(groups.tolist()))
    found, by_row = np.full(len(names), np.nan), np.zeros(len(y))
    for k, name in enumerate(names):
        own = labels == name
        if isinstance(tau2, str):
            found[k] = estimate_tau2(X[own], y[own], v[own], tau2)
        else:
            found[k] = tau2
        by_row[own] = found[k]
    w = 1.0 / (v + by_row)
    start = U.T @ y
    rest = y - U @ start  # the fit of the rest loses no digits to a large mean
    covariance = np.asarray(np.linalg.inv(U.T @ (w[:, None] * U)), dtype=np.float64)
    step = covariance @ (U.T @ (w * rest))
    P0 = projection(U, v, 0.0)
    q = float(centred(U, y) @ P0 @ centred(U, y))
    typical = df / float(np.trace(P0))
    return PlaceModel(
        basis=basis,
        coefficients=start + step,
        covariance=covariance,
        weights=w,
        residual=rest - U @ step,
        rows=rows,
        df=df,
        tau2=found,
        q=q,
        i_squared=100.0 * found[0] / (found[0] + typical),
        h_squared=found[0] / typical + 1.0,
    )


def fit(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    V: npt.ArrayLike,
    *,
    tau2: str | float = "reml",
    variance_groups: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> ReferenceMixed:
    """Fit every column of Y with the variances in the same column of V, one by one.

    I2 and H2 are those of one tau2; with variance groups those of the first group's mean nothing.
    """
    X64 = np.asarray(X, dtype=np.float64)
    Y64, V64 = np.asarray(Y, dtype=np.float64), np.asarray(V, dtype=np.float64)
    groups = None if variance_groups is None else np.asarray(variance_groups)
    n_groups = 1 if groups is None else len(dict.fromkeys(groups.tolist()))
    places = tuple(fit_place(X64, y, v, tau2, groups) for y, v in zip(Y64.T, V64.T, strict=True))

    def each(name: str) -> FloatArray:
        return np.array([np.nan if m is None else getattr(m, name) for m in places], dtype=float)

    tau2s = np.full((n_groups, len(places)), np.nan)
    beta = np.full((X64.shape[1], len(places)), np.nan)
    for k, model in enumerate(places):
        if model is None:
            continue
        tau2s[:, k] = model.tau2
        basis = model.basis
        if basis.right.shape[1] == X64.shape[1]:
            beta[:, k] = basis.right @ (model.coefficients / basis.size) / basis.scale
    q, df = each("q"), np.array([0 if m is None else m.df for m in places], dtype=np.int64)
    return ReferenceMixed(
        beta=beta,
        tau2=tau2s[0] if groups is None else tau2s,
        i_squared=each("i_squared"),
        h_squared=each("h_squared"),
        q=q,
        q_p_value=np.asarray(stats.chi2.sf(q, np.where(df > 0, df, np.nan))),
        df_residual=df,
        n_observations=np.sum([present_rows(y, v) for y, v in zip(Y64.T, V64.T, strict=True)], 1),
        places=places,
    )


def contrast(
    fitted: ReferenceMixed, c: npt.ArrayLike, test: str = "knapp-hartung"
) -> ReferenceMixedContrast:
    """Test a contrast place by place: t or z of a vector, F or chi2 over its rows of a matrix."""
    array = np.asarray(c, dtype=np.float64)
    C = np.atleast_2d(array)
    m, n_places = len(C), len(fitted.places)
    effect, covariance = np.full((m, n_places), np.nan), np.full((m, m, n_places), np.nan)
    stat, p, z = (np.full(n_places, np.nan) for _ in range(3))
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
        scale = {"knapp-hartung": model.scale, "knapp-hartung-conservative": max(1.0, model.scale)}
        effect[:, k] = L @ model.coefficients
        covariance[:, :, k] = scale.get(test, 1.0) * (L @ model.covariance @ L.T)
        if array.ndim == 1:
            stat[k] = effect[0, k] / np.sqrt(covariance[0, 0, k])
            p[k], z[k] = normal_tail(stat[k]) if test == "z" else t_tail(stat[k], model.df)
            continue
        rank = int(np.linalg.matrix_rank(C))
        unit = np.sqrt(np.diag(covariance[:, :, k]))
        inverse = np.linalg.pinv(covariance[:, :, k] / np.outer(unit, unit), rcond=1e-10)
        chi2 = float((effect[:, k] / unit) @ inverse @ (effect[:, k] / unit))
        stat[k] = chi2 / rank
        p[k], z[k] = chi2_tail(chi2, rank) if test == "z" else f_tail(stat[k], rank, model.df)
    return ReferenceMixedContrast(effect[0] if array.ndim == 1 else effect, covariance, stat, p, z)


def normal_tail(z: float) -> tuple[float, float]:
    """Upper tail of the normal distribution, and z itself."""
    return float(stats.norm.sf(z)), z


def chi2_tail(x: float, m: int) -> tuple[float, float]:
    """Upper tail of chi2 with m degrees of freedom, and the normal deviate with the same tail."""
    upper, lower = float(stats.chi2.sf(x, m)), float(stats.chi2.cdf(x, m))
    if upper > 0.5:
        return upper, float(stats.norm.ppf(lower))
    if upper > 1e-290:
        return upper, float(stats.norm.isf(upper))
    import mpmath

    with mpmath.workdps(80):
        tail = mpmath.gammainc(mpmath.mpf(m) / 2, mpmath.mpf(x) / 2, regularized=True)
        return float(tail), float(exact_normal_isf(tail))
