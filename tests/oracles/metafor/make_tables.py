# SPDX-License-Identifier: BSD-3-Clause
"""Make the tables beside this file anew, by R and metafor.

``python tests/oracles/metafor/make_tables.py`` needs Rscript with the package metafor, and the
public maps (`reference.data`). Of the maps a table holds the voxels' numbers and metafor's results,
never values. It takes some minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from reference.metafor import STUDIES, Problem, study_values  # noqa: E402
from reference.mixed import ESTIMATORS, TESTS  # noqa: E402

N_RANDOM, N_VOXELS, N_PARTIAL = 200, 500, 100


def rows_of(problems: list[Problem]) -> pd.DataFrame:
    """Write problems one below the other; a column that a problem lacks is missing."""
    n_columns = max(problem.X.shape[1] for problem in problems)
    parts = []
    for number, problem in enumerate(problems):
        n, p = problem.X.shape
        X = np.full((n, n_columns), np.nan)
        X[:, :p] = problem.X
        parts.append(np.column_stack([np.full(n, number), problem.y, problem.v, X]))
    names = ["problem", "y", "v", *(f"x{i}" for i in range(n_columns))]
    return pd.DataFrame(np.concatenate(parts), columns=names)


def run_metafor(rows: pd.DataFrame) -> dict[str, Any]:
    """Fit every problem; return the fields of `reference.metafor.Results`."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "problems.csv"), Path(folder, "results.csv")
        rows.to_csv(given, index=False, float_format="%.17g", na_rep="NA")
        done = subprocess.run(  # noqa: S603 - our script, our files
            ["Rscript", str(HERE / "fit_problems.R"), str(given), str(found)],  # noqa: S607
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        table = pd.read_csv(found).sort_values(["problem", "estimator", "test"], kind="stable")
    shape = (-1, len(ESTIMATORS), len(TESTS))
    p = sum(name.startswith("x") for name in rows.columns)

    def each(name: str) -> np.ndarray:
        return table[name].to_numpy(dtype=float).reshape(shape)

    def of_columns(name: str) -> np.ndarray:
        return np.stack([each(f"{name}{i}") for i in range(p)], axis=-1)

    print(f"{int(each('lower')[:, :, 0].sum())} default starts ended at a lower maximum")
    return {
        "versions": np.array(done.stdout.strip()),
        "tau2": each("tau2")[:, :, 0],
        "i_squared": each("i_squared")[:, :, 0],
        "h_squared": each("h_squared")[:, :, 0],
        "lower": each("lower")[:, :, 0] > 0,
        "q": each("q")[:, 0, 0],
        "q_p": each("q_p")[:, 0, 0],
        "b": of_columns("b")[:, :, 0],
        "se": of_columns("se"),
        "p": of_columns("p"),
        "joint": each("joint"),
        "joint_p": each("joint_p"),
    }


def random_problems() -> list[Problem]:
    """Draw regressions of one to three moderators, of all kinds: see the comments."""
    rng = np.random.default_rng(20)
    problems = []
    for number in range(N_RANDOM):
        p = 2 + number % 3
        n = int(rng.integers(p + 3, 26))
        X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
        if number % 4 == 1:  # two groups
            X[:, 1] = np.arange(n) % 2
        if number % 7 == 3:  # covariates in units of their own, far from zero
            X[:, 1:] = 1000.0 + 30.0 * X[:, 1:]
        # Variances of ratios from 1 to 10,000, and no, some or much heterogeneity.
        v = np.exp(rng.uniform(0.0, np.log(10.0) * (number % 5), size=n))
        tau = (0.0, 0.5, 1.0, 3.0)[rng.integers(4)] * np.sqrt(np.median(v))
        y = 2.0 * (number % 2) + rng.normal(size=n) * np.sqrt(v + tau**2)
        unit = 10.0 ** rng.integers(-3, 4)
        y, v = unit * y, unit**2 * v
        if number % 6 == 5:  # a missing effect and a missing variance
            y[0], v[1] = np.nan, np.nan
        problems.append(Problem(X, y, v))
    return problems


def study_problems(name: str) -> tuple[np.ndarray, np.ndarray, list[Problem]]:
    """Choose voxels, some of which lack images; the design has an order for its moderator."""
    effects, variances = study_values(name)
    n = len(effects)
    outside = (effects == 0) & (variances == 0)
    usable = np.all(outside | (variances > 0), axis=0) & np.all(np.isfinite(effects), axis=0)
    count = n - outside.sum(axis=0)
    rng = np.random.default_rng(21)
    full = np.flatnonzero(usable & (count == n))
    partial = np.flatnonzero(usable & (count < n) & (count >= 6))
    some = rng.choice(partial, min(N_PARTIAL, len(partial)), replace=False)
    voxels = np.sort(np.concatenate([some, rng.choice(full, N_VOXELS - len(some), replace=False)]))
    X = np.column_stack([np.ones(n), np.cos(np.arange(n))])
    problems = [
        Problem(
            X,
            np.where(outside[:, k], np.nan, effects[:, k]),
            np.where(outside[:, k], np.nan, variances[:, k]),
        )
        for k in voxels
    ]
    return voxels, X, problems


def main() -> None:
    rows = rows_of(random_problems())
    np.savez_compressed(HERE / "random.npz", rows=rows.to_numpy(), **run_metafor(rows))
    for name in STUDIES:
        voxels, X, problems = study_problems(name)
        found = run_metafor(rows_of(problems))
        # Of two columns, all but the first is one, whose t the table has.
        found |= {"joint": np.empty(0), "joint_p": np.empty(0)}
        np.savez_compressed(HERE / f"{name}.npz", voxels=voxels, X=X, **found)


if __name__ == "__main__":
    main()
