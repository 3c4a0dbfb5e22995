# SPDX-License-Identifier: BSD-3-Clause
"""Make the table beside this file anew, by R and clubSandwich.

``python tests/oracles/clubsandwich/make_tables.py`` needs Rscript with the package clubSandwich. It
takes a minute.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
N_PLACES, N_COLUMNS, N_TYPES = 12, 16, 6


def designs() -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Subjects and design of six unbalanced studies, images in any order."""
    made = []
    for number in range(6):
        rng = np.random.default_rng(number)
        n_subjects = (14, 20, 24, 30, 14, 18)[number]
        sizes = rng.integers(1, 5, n_subjects)
        if number == 4:
            sizes = np.maximum(sizes, 2)
        subject = np.repeat(np.arange(n_subjects), sizes)
        visit = np.concatenate([np.sort(rng.permutation(4)[:size]) for size in sizes])
        order = rng.permutation(len(subject))
        subject, visit = subject[order], visit[order]
        one = np.ones(len(subject))
        group = (subject % 3 == 0).astype(float)
        age = rng.normal(60, 10, n_subjects)[subject]
        time = visit + rng.normal(0, 0.2, len(subject))
        X = {
            0: [one, group],
            1: [one, group, time],
            2: [one, group, time, group * time],
            3: [one, group, age, time, time**2],
            4: [*(subject == np.arange(n_subjects)[:, None]).astype(float), time, group * time],
            5: [*(visit == np.arange(4)[:, None]).astype(float), age, group],
        }[number]
        made.append((subject, np.column_stack(X)))
    return made


def data_of(subject: NDArray[Any], number: int) -> NDArray[Any]:
    """Values of places, correlated within subjects; some are missing at a third of the places."""
    rng = np.random.default_rng(100 + number)
    n = len(subject)
    levels = rng.normal(0, 1.5, (subject.max() + 1, N_PLACES))
    Y: NDArray[Any] = (
        10 + levels[subject] + rng.normal(0, 1, (n, N_PLACES)) * rng.uniform(0.5, 2, (n, 1))
    )
    for place in range(0, N_PLACES, 3):
        # One image each of two subjects that have several: no design loses its rank.
        often = np.flatnonzero(np.bincount(subject)[subject] > 2)
        Y[rng.choice(often, 2, replace=False), place] = np.nan
    return Y


def main() -> None:
    table: dict[str, Any] = {}
    rows = []
    for number, (subject, X) in enumerate(designs()):
        Y = data_of(subject, number)
        table |= {f"subject{number}": subject, f"X{number}": X, f"Y{number}": Y}
        for place in range(N_PLACES):
            own = np.full((len(X), N_COLUMNS), np.nan)
            own[:, : X.shape[1]] = X
            problem = np.full(len(X), number * N_PLACES + place)
            rows.append(np.column_stack([problem, subject, Y[:, place], own]))
    names = ["problem", "subject", "y", *(f"x{j}" for j in range(N_COLUMNS))]
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "problems.csv"), Path(folder, "results.csv")
        problems = pd.DataFrame(np.concatenate(rows), columns=names)
        problems.to_csv(given, index=False, float_format="%.17g", na_rep="NA")
        done = subprocess.run(  # noqa: S603 - our script, our files
            ["Rscript", str(HERE / "fit_problems.R"), str(given), str(found)],  # noqa: S607
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        results = pd.read_csv(found)
    at = (results["problem"].to_numpy() // N_PLACES, results["problem"].to_numpy() % N_PLACES,
          results["type"].to_numpy())  # fmt: skip
    for name in ("F", "df_F"):
        table[name] = np.full((6, N_PLACES, N_TYPES), np.nan)
        table[name][at] = results[name]
    for name in ("variance", "df"):
        table[name] = np.full((6, N_PLACES, N_TYPES, N_COLUMNS), np.nan)
        table[name][at] = results[[f"{name}{j}" for j in range(N_COLUMNS)]]
    table["versions"] = np.array(done.stdout.strip())
    np.savez_compressed(HERE / "six_designs.npz", **table)


if __name__ == "__main__":
    main()
