# SPDX-License-Identifier: BSD-3-Clause
"""Ordinary least squares one voxel at a time: slow, obvious, and independent of groupglm.

Nothing is shared between voxels, so a missing value needs no special case: the model of a voxel
is the model of the rows that voxel has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import mpmath
import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
StatType = Literal["t", "F"]

# Where a p-value nears the smallest double the tail is taken in arbitrary precision instead.
SMALLEST_PLAIN_P = 1e-290


@dataclass(frozen=True)
class VoxelModel:
    """The model of one voxel: what its own rows of the design can say."""

    beta: FloatArray  # (n_columns,) minimum norm
    covariance: FloatArray  # (n_columns, n_columns) pinv(X'X), to be multiplied by the variance
    row_space: FloatArray  # (n_columns, rank) orthonormal basis, columns of X scaled to norm 1
    scale: FloatArray  # (n_columns,) the norms of the columns
    rss: float
    r_square: float
    rank: int
    n_observations: int


@dataclass(frozen=True)
class ReferenceFit:
    """Everything a fit yields, an entry a voxel."""

    beta: FloatArray
    residual_variance: FloatArray
    rss: FloatArray
    r_square: FloatArray
    df_residual: IntArray
    rank: IntArray
    n_observations: IntArray
    voxels: tuple[VoxelModel, ...]


@dataclass(frozen=True)
class ReferenceContrast:
    """Everything a contrast yields, an entry a voxel."""

    effect_size: FloatArray
    effect_variance: FloatArray
    stat: FloatArray
    p_value: FloatArray
    z_score: FloatArray


def fit_voxel(X: FloatArray, y: FloatArray) -> VoxelModel:
    """Fit one voxel on the rows it has."""
    present = np.isfinite(y)
    X, y = X[present], y[present]
    n, p = X.shape
    scale = np.linalg.norm(X, axis=0) if n else np.zeros(p)
    scale[scale == 0.0] = 1.0
    if n == 0:
        empty = np.zeros((p, 0))
        return VoxelModel(np.full(p, np.nan), np.zeros((p, p)), empty, scale, 0.0, np.nan, 0, 0)
    left, _, right = np.linalg.svd(X / scale, full_matrices=False)
    rank = int(np.linalg.matrix_rank(X / scale))
    Q = left[:, :rank]
    # The mean goes first, and the projection is taken twice: the residual then loses nothing to
    # cancellation however large the mean. Both are exact in exact arithmetic.
    ones = np.ones(n)
    has_intercept = np.linalg.norm(ones - Q @ (Q.T @ ones)) < 1e-8 * np.sqrt(n)
    centred = y - y.mean()
    residual = centred if has_intercept else y
    for _ in range(2):
        residual = residual - Q @ (Q.T @ residual)
    total = float(np.sum((centred if has_intercept else y) ** 2))
    rss = float(np.sum(residual**2))
    pinv = np.linalg.pinv(X)
    if rank == p:
        pinv = np.linalg.pinv(X / scale) / scale[:, None]
    return VoxelModel(
        beta=pinv @ y,
        covariance=pinv @ pinv.T,
        row_space=right[:rank].T,
        scale=scale,
        rss=rss,
        r_square=1.0 - rss / total if total > 0 else np.nan,
        rank=rank,
        n_observations=n,
    )


def fit(X: npt.ArrayLike, Y: npt.ArrayLike) -> ReferenceFit:
    """Fit every column of Y, one by one; NaN marks a missing row."""
    X64, Y64 = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    voxels = tuple(fit_voxel(X64, y) for y in Y64.T)
    rank = np.array([v.rank for v in voxels])
    n = np.array([v.n_observations for v in voxels])
    rss = np.array([v.rss for v in voxels])
    df = n - rank
    variance = np.full(len(voxels), np.nan)
    np.divide(rss, df, out=variance, where=df > 0)
    return ReferenceFit(
        beta=np.array([v.beta for v in voxels]).T,
        residual_variance=variance,
        rss=rss,
        r_square=np.array([v.r_square for v in voxels]),
        df_residual=df,
        rank=rank,
        n_observations=n,
        voxels=voxels,
    )


def is_estimable(voxel: VoxelModel, C: FloatArray) -> bool:
    """Every row of C lies in the row space of the voxel's own design."""
    scaled = C / voxel.scale
    outside = scaled - (scaled @ voxel.row_space) @ voxel.row_space.T
    return bool(np.all(np.abs(outside) <= 1e-8 * np.abs(scaled).max(axis=1, keepdims=True)))


def contrast(
    fitted: ReferenceFit, c: npt.ArrayLike, stat_type: StatType | None = None
) -> ReferenceContrast:
    """Test a contrast voxel by voxel; NaN where the voxel's rows cannot estimate it."""
    array = np.asarray(c, dtype=np.float64)
    kind: StatType = stat_type or ("t" if array.ndim == 1 else "F")
    C = np.atleast_2d(array)
    n_voxels = len(fitted.voxels)
    effect = np.full((C.shape[0], n_voxels), np.nan)
    variance, stat, p, z = (np.full(n_voxels, np.nan) for _ in range(4))
    for v, voxel in enumerate(fitted.voxels):
        df = int(fitted.df_residual[v])
        if df <= 0 or not is_estimable(voxel, C):
            continue
        effect[:, v] = C @ voxel.beta
        unscaled = C @ voxel.covariance @ C.T
        sigma2 = fitted.residual_variance[v]
        if kind == "t":
            variance[v] = sigma2 * unscaled[0, 0]
            stat[v] = effect[0, v] / np.sqrt(variance[v])
            p[v], z[v] = t_tail(stat[v], df)
        else:
            variance[v] = sigma2
            k = int(np.linalg.matrix_rank(C))
            # Rows in units of quite different size: brought to one before anything is inverted.
            unit = np.sqrt(np.diag(unscaled))
            scaled = effect[:, v] / unit
            inverse = np.linalg.pinv(unscaled / np.outer(unit, unit), rcond=1e-10)
            stat[v] = scaled @ inverse @ scaled / k / sigma2
            p[v], z[v] = f_tail(stat[v], k, df)
    return ReferenceContrast(effect[0] if kind == "t" else effect, variance, stat, p, z)


def t_tail(t: float, df: float) -> tuple[float, float]:
    """Upper tail of Student's t, and the normal deviate with the same upper tail."""
    lower = float(stats.t.sf(abs(t), df))
    # scipy loses a |t| below 1e-8 beside df.
    if lower > SMALLEST_PLAIN_P and abs(t) > 1e-3:
        z = float(stats.norm.isf(lower))
        p = lower if t >= 0 else float(stats.t.sf(t, df))
        return p, z if t >= 0 else -z
    p_exact, z_exact = exact_t_tail(t, df)
    return p_exact, z_exact


def f_tail(f: float, k: float, df: float) -> tuple[float, float]:
    """Upper tail of Fisher's F, and the normal deviate with the same upper tail."""
    upper, lower = float(stats.f.sf(f, k, df)), float(stats.f.cdf(f, k, df))
    if upper > 0.5:
        return upper, float(stats.norm.ppf(lower))
    if upper > SMALLEST_PLAIN_P:
        return upper, float(stats.norm.isf(upper))
    return exact_f_tail(f, k, df)


def exact_t_tail(t: float, df: float) -> tuple[float, float]:
    """`t_tail` in arbitrary precision: half the incomplete beta function at df / (df + t^2)."""
    rough = float(stats.t.sf(abs(t), df))
    with mpmath.workdps(80):
        t2, nu = mpmath.mpf(t) ** 2, mpmath.mpf(df)
        tail = beta_tail(nu / 2, mpmath.mpf(1) / 2, nu / (nu + t2), t2 / (nu + t2), rough) / 2
        z = exact_normal_isf(tail)
        return (float(tail), float(z)) if t >= 0 else (float(1 - tail), -float(z))


def exact_f_tail(f: float, k: float, df: float) -> tuple[float, float]:
    """`f_tail` in arbitrary precision."""
    rough = float(stats.f.sf(f, k, df))
    with mpmath.workdps(80):
        kf, nu = mpmath.mpf(k) * mpmath.mpf(f), mpmath.mpf(df)
        tail = beta_tail(nu / 2, mpmath.mpf(k) / 2, nu / (nu + kf), kf / (nu + kf), rough)
        return float(tail), float(exact_normal_isf(tail))


def beta_tail(a: Any, b: Any, x: Any, y: Any, rough: float) -> Any:
    """Regularised incomplete beta I_x(a, b), y = 1 - x, by its series of positive terms.

    DLMF 8.17.8. Near x = 1 the series of the complement converges faster; unless the result is
    tiny, taking that from one loses fewer digits than there are to spare.
    """
    if x > 0.9 and rough > 1e-30:
        return 1 - beta_series(b, a, y, x)
    return beta_series(a, b, x, y)


def beta_series(a: Any, b: Any, x: Any, y: Any) -> Any:
    if x == 0:
        return mpmath.mpf(0)
    term, total, k = mpmath.mpf(1), mpmath.mpf(1), 0
    while term > total * mpmath.eps:
        term *= (a + b + k) / (a + 1 + k) * x
        total += term
        k += 1
    return x**a * y**b / (a * mpmath.beta(a, b)) * total


def exact_normal_isf(p: Any) -> Any:
    """Solve erfc(z / sqrt 2) / 2 = p for z, on the log scale so that any p has a root."""
    target = mpmath.log(p)
    if p > 0.25:
        start = mpmath.mpf(float(stats.norm.isf(float(p))))
    else:
        # The leading term of the tail, log p = -z^2/2 - log(z sqrt(2 pi)).
        start = mpmath.sqrt(-2 * target)
        for _ in range(3):
            start = mpmath.sqrt(
                -2 * target - 2 * mpmath.log(max(start, 1) * mpmath.sqrt(2 * mpmath.pi))
            )
            start = start if mpmath.im(start) == 0 else mpmath.mpf(1)
    return mpmath.findroot(
        lambda z: mpmath.log(mpmath.erfc(z / mpmath.sqrt(2)) / 2) - target, (start, start + 0.01)
    )
