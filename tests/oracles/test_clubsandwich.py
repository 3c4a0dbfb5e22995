# SPDX-License-Identifier: BSD-3-Clause
"""The sandwich estimator against clubSandwich, R's package of cluster-robust variances.

``clubsandwich/make_tables.py`` made the table. clubSandwich's model of independent images of one
variance, which `lm` implies, is that of the degrees of freedom here.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.repeated import RepeatedMeasures

TABLE = Path(__file__).parent / "clubsandwich" / "six_designs.npz"
TYPES = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")
RTOL = 1e-8  # clubSandwich inverts X'X: some digits less than double has


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    with np.load(TABLE) as arrays:
        return {name: arrays[name] for name in arrays.files}


def scale_of(kind: str, n: NDArray[Any], n_subjects: NDArray[Any], p: int) -> NDArray[Any]:
    """What clubSandwich multiplies CR0 by."""
    n, m = n.astype(float), n_subjects.astype(float)
    scales: dict[str, NDArray[Any]] = {
        "CR1": m / (m - 1),
        "CR1p": m / np.where(m > p, m - p, np.nan),
        "CR1S": m * (n - 1) / ((m - 1) * (n - p)),
    }
    return scales.get(kind, np.ones(len(n)))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("number", range(6))
def test_variances_and_degrees_of_freedom_are_those_of_clubsandwich(
    table: dict[str, Any], number: int, kind: str
) -> None:
    X, Y = table[f"X{number}"], table[f"Y{number}"]
    subjects = [f"s{subject}" for subject in table[f"subject{number}"]]
    p = X.shape[1]
    adjustment = {"CR2": "C2", "CR3": "C3"}.get(kind, 0)
    model = RepeatedMeasures("sandwich", adjustment=adjustment, subjects=subjects)
    plan = model.prepare(X, tuple(f"x{j}" for j in range(p)))
    rows = ArrayRows(Y)
    fit: Any = plan.finish(fill(plan, rows, n_threads=1), 1, rows)
    n = np.broadcast_to(fit.n_observations, Y.shape[1])
    scale = scale_of(kind, n, fit.n_subjects, p)
    at = TYPES.index(kind)
    compared = 0
    # Of a column for each subject the subject's residuals say nothing: there is no test here.
    tested = range(p - 2, p) if number == 4 else range(p)
    for j in tested:
        variance = table["variance"][number, :, at, j]
        known = ~np.isnan(variance)
        if not known.any():
            assert number == 4
            assert kind in ("CR1p", "CR3")
            continue
        found = fit.contrast(np.eye(p)[j])
        np.testing.assert_allclose((found.effect_variance * scale)[known], variance[known], RTOL)
        np.testing.assert_allclose(found.df[known], table["df"][number, :, at, j][known], RTOL)
        compared += int(known.sum())
    statistic, df = table["F"][number, :, at], table["df_F"][number, :, at]
    usable = ~np.isnan(statistic) & (df > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of places with too few degrees of freedom
        both = fit.contrast(np.eye(p)[p - 2 :])
    np.testing.assert_allclose((both.stat / scale)[usable], statistic[usable], RTOL)
    np.testing.assert_allclose(both.df[1][usable], df[usable], RTOL)
    assert compared == (0 if not np.isfinite(table["variance"][number, :, at, p - 1]).any()
                        else len(tested) * Y.shape[1])  # fmt: skip
