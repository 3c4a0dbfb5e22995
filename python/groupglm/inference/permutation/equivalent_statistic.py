# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of different degrees of freedom on one scale: the scale of equal p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["equivalent_tables", "tables_of"]

_KNOTS = 1025  # with so many, the interpolated F* is right to 1e-8, relatively
_LOG_F = (-30.0, 39.0)  # beyond, as far as the core's statistics go, the tails are powers
_FAR_OFF = 1e-6  # relative, of log p; Newton's four steps square any smaller error
_SMALLEST_P = (1e-12, 1e-250)  # of the lower and of the upper tail


def equivalent_tables(df: NDArray[np.int64], df_wanted: int, k: int) -> tuple[Floats, Floats]:
    r"""Tabulate the F statistic that has the same p-value with other degrees of freedom.

    Shapes: `df` (n_tables,); returns `heads` (n_tables, 3), `values` (n_tables, n_knots, 2).

    Notes
    -----
    With :math:`S_d` the upper tail of F, :math:`S_w(F^*) = S_d(F)`, so that
    :math:`d\log F^*/d\log F = F s_d(F) / F^* s_w(F^*)` with the densities :math:`s`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> heads, values = equivalent_tables(np.array([5]), 20, 1)
    >>> df, first, step = heads[0]
    >>> f = np.exp(first + 600 * step)
    >>> same = f * np.exp(values[0, 600, 0])
    >>> bool(np.isclose(stats.f.sf(f, 1, 5), stats.f.sf(same, 1, 20), rtol=1e-9))
    True
    """
    heads, values = np.empty((len(df), 3)), np.empty((len(df), _KNOTS, 2))
    for i, degrees in enumerate(df.tolist()):
        x = np.linspace(*_LOG_F, _KNOTS)
        lower, upper = _tails(x, k, degrees)
        inside = x[(lower > _SMALLEST_P[0]) & (upper > _SMALLEST_P[1])]
        x = np.linspace(inside[0], inside[-1], _KNOTS)
        step = x[1] - x[0]
        same = _log_isf(*_tails(x, k, degrees), k, df_wanted)
        slope = np.exp(_log_density(x, k, degrees) - _log_density(same, k, df_wanted)) - 1
        heads[i] = degrees, x[0], step
        values[i] = np.column_stack([same - x, step * slope])
    return heads, values


def tables_of(
    df: NDArray[np.int64], df_wanted: float, k: int
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return the number of the table of each of several degrees of freedom, and the tables.

    A statistic with the wanted degrees of freedom stays as it is, to the last bit. If no finite
    degrees of freedom are wanted, all stay, because all are compared with the same distribution.

    Shapes: `df` (n,); returns `table` (n,), `heads` (n_tables, 3), `values` (n_tables, ...).
    """
    distinct, table = np.unique(df, return_inverse=True)
    heads, values = np.empty((len(distinct), 3)), np.zeros((len(distinct), _KNOTS, 2))
    heads[:] = np.column_stack([distinct, np.full((len(distinct), 2), [0.0, 1.0])])
    differ = np.isfinite(df_wanted) & (distinct != df_wanted)
    if differ.any():
        heads[differ], values[differ] = equivalent_tables(distinct[differ], int(df_wanted), k)
    return table.ravel().astype(np.int64), heads, values


def _shares(x: Floats, k: int, df: int) -> tuple[Floats, Floats]:
    """Return r2 and 1 - r2 for F = exp(x)."""
    f = k * np.exp(x)
    return f / (df + f), df / (df + f)


def _tails(x: Floats, k: int, df: int) -> tuple[Floats, Floats]:
    share, rest = _shares(x, k, df)
    return special.betainc(k / 2, df / 2, share), special.betainc(df / 2, k / 2, rest)


def _log_isf(lower: Floats, upper: Floats, k: int, df: int) -> Floats:
    """Return log F for given lower and upper tails; at each point the smaller tail is used."""
    small = upper < 0.5
    wanted = np.log(np.where(small, upper, lower))
    inverse = np.where(
        small,
        special.betaincinv(df / 2, k / 2, upper),
        special.betaincinv(k / 2, df / 2, lower),
    )
    odds = np.log(inverse) - np.log1p(-inverse)
    x: Floats = np.where(small, -odds, odds) + np.log(df / k)
    # scipy's inverse is far off at single points. These are interpolated from their neighbours, and
    # Newton's iteration corrects them: the logarithms of the tails are concave, which suits it.
    off = ~(np.abs(_log_tail(x, small, k, df) - wanted) < _FAR_OFF * (1 + np.abs(wanted)))
    place = np.arange(len(x))
    x[off] = np.interp(place[off], place[~off], x[~off])
    for _ in range(4):
        log_tail = _log_tail(x, small, k, df)
        slope = np.exp(_log_density(x, k, df) - log_tail) * np.where(small, -1, 1)
        x -= (log_tail - wanted) / slope
    return x


def _log_tail(x: Floats, small: NDArray[np.bool_], k: int, df: int) -> Floats:
    tails = _tails(x, k, df)
    return np.log(np.maximum(np.where(small, tails[1], tails[0]), np.finfo(np.float64).tiny))


def _log_density(x: Floats, k: int, df: int) -> Floats:
    """Return the log of the density of log F."""
    share, rest = _shares(x, k, df)
    logs: Floats = k / 2 * np.log(share) + df / 2 * np.log(rest) - special.betaln(k / 2, df / 2)
    return logs
