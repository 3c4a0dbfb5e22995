# SPDX-License-Identifier: BSD-3-Clause
"""Effect sizes and their intervals against R's effectsize; `effectsize/make_tables.R` made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm import UnequalVariances, _core, fit_ols
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import Fit, fill
from groupglm.models.effect_sizes import EffectSizes

FOLDER = Path(__file__).parent / "effectsize"
# The values themselves are in the table to 15 digits. R searches bounds by the simplex method,
# whose tolerance, sqrt(1.5e-8) of probability, is some 1e-6 of a noncentrality.
EXACT, SEARCHED = 1e-11, 5e-6


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "images.csv")


def fit_of(case: str, images: pd.DataFrame) -> tuple[Fit, NDArray[np.float64]]:
    Y = images.filter(regex="^y").to_numpy(np.float64)
    a = (images["group"] == "a").to_numpy(np.float64)
    if case == "one":
        return fit_ols(np.ones((len(Y), 1)), Y), np.array([1.0])
    X, contrast = np.column_stack([a, 1 - a]), np.array([1.0, -1.0])
    if case == "pooled":
        return fit_ols(X, Y), contrast
    plan = UnequalVariances().prepare(X, ("a", "b"))
    return plan.finish(fill(plan, ArrayRows(Y), n_threads=1), 1), contrast


@pytest.mark.parametrize("level", [0.95, 0.8])
@pytest.mark.parametrize("case", ["one", "pooled", "welch"])
def test_d_and_g_are_those_of_effectsize(images: pd.DataFrame, case: str, level: float) -> None:
    table = pd.read_csv(FOLDER / "differences.csv").query("case == @case and level == @level")
    fit, contrast = fit_of(case, images)
    sizes = EffectSizes(fit, contrast, fit.contrast(contrast), level)
    assert len(table) == 8
    for name, short in (("cohen_d", "d"), ("hedges_g", "g")):
        np.testing.assert_allclose(sizes.row(name), table[short], rtol=EXACT)
        for end in ("low", "high"):
            found = sizes.row(f"{name}_ci_{end}")
            np.testing.assert_allclose(found, table[f"{short}_{end}"], atol=SEARCHED, rtol=SEARCHED)


def test_r_and_partial_eta_squared_are_those_of_effectsize() -> None:
    table = pd.read_csv(FOLDER / "statistics.csv")
    n_early = 0
    groups: Any = table.groupby(["statistic", "df1", "df2"])
    for (kind, df1, df2), own in groups:
        value = own["value"].to_numpy(np.float64)
        if kind == "t":
            low, high = _core.t_noncentralities(value, float(df2), 0.95, 1)
            shares = [each / np.sqrt(each**2 + df2) for each in (value, low, high)]
        else:
            low, high = _core.f_noncentralities(value, float(df1), float(df2), 0.95, 1)
            shares = [each / (each + df2) for each in (df1 * value, low, high)]
        np.testing.assert_allclose(shares[0], own["size"], rtol=EXACT, atol=EXACT)
        np.testing.assert_allclose(shares[1], own["low"], atol=SEARCHED)
        # A search of R that ended early has another probability at its end.
        ended = own["high"].to_numpy()
        early = np.zeros(len(value), bool)
        if kind == "F":
            found = stats.ncf.cdf(value, df1, df2, df2 * ended / (1 - ended))
            early = (ended > 0) & (np.abs(found - 0.025) > 1e-6)
        n_early += early.sum()
        np.testing.assert_allclose(shares[2][~early], ended[~early], atol=SEARCHED)
    assert n_early <= 5
