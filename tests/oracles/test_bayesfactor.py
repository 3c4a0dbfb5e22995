# SPDX-License-Identifier: BSD-3-Clause
"""Bayes factors against R's BayesFactor; `bayesfactor/make_tables.R` made the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike, NDArray

from groupglm import _core, fit_ols
from groupglm.models.effect_sizes import EffectSizes

FOLDER = Path(__file__).parent / "bayesfactor"
LOG = 1e-6


def test_t_tests_are_those_of_bayesfactor() -> None:
    table = pd.read_csv(FOLDER / "tests.csv")
    n1, n2, t = (table[name].to_numpy(np.float64) for name in ("n1", "n2", "t"))
    n = np.where(n2 > 0, n1 * n2 / (n1 + n2), n1)
    df = np.where(n2 > 0, n1 + n2 - 2, n1 - 1)
    found = _core.log_bayes_factors(t**2, 1.0, df, table["scale"].to_numpy() ** 2 * n, 1)
    # R's `integrate` stops early where two degrees of freedom meet a large t, and says so.
    early = (df == 2) & (t == 15)
    assert early.sum() == 3
    np.testing.assert_allclose(found[~early], table["log"][~early], atol=LOG, rtol=LOG)
    assert (np.abs(found - table["log"])[early] < 2 * table["error"][early]).all()


def test_regressions_are_those_of_bayesfactor() -> None:
    table = pd.read_csv(FOLDER / "regressions.csv")
    groups: Any = table.groupby("p")
    for p, own in groups:
        n, r2 = own["N"].to_numpy(np.float64), own["r2"].to_numpy(np.float64)
        df = n - p - 1
        f = r2 / (1 - r2) * df / p
        found = _core.log_bayes_factors(f, float(p), df, own["scale"].to_numpy() ** 2 * n, 1)
        np.testing.assert_allclose(found, own["log"], atol=LOG, rtol=LOG)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "data.csv")


def log_of(data: pd.DataFrame, columns: ArrayLike, contrast: ArrayLike) -> NDArray[np.float64]:
    Y = data.filter(regex="^y").to_numpy(np.float64)
    fit = fit_ols(np.asarray(columns, dtype=np.float64), Y)
    values = np.asarray(contrast, dtype=np.float64)
    return EffectSizes(fit, values, fit.contrast(values)).row("log_bayes_factor")


def test_defaults_are_those_of_bayesfactor(data: pd.DataFrame) -> None:
    table = pd.read_csv(FOLDER / "from_data.csv")
    one, group = np.ones(24), data["group"]
    found = {
        "mean": log_of(data, np.c_[one], [1]),
        "meta": log_of(data, np.c_[one], [1]),
        "groups": log_of(data, np.c_[group, 1 - group], [1, -1]),
        "both": log_of(data, np.c_[one, data["age"], data["score"]], [[0, 1, 0], [0, 0, 1]]),
        "age": log_of(data, np.c_[one, data["age"]], [[0, 1]]),
    }
    for name, own in found.items():
        np.testing.assert_allclose(own, table[name], atol=LOG, rtol=LOG, err_msg=name)


def test_coding_of_two_groups_does_not_matter(data: pd.DataFrame) -> None:
    one, group = np.ones(24), data["group"]
    cells = log_of(data, np.c_[group, 1 - group], [1, -1])
    np.testing.assert_allclose(log_of(data, np.c_[one, group], [0, 1]), cells, rtol=1e-12)
