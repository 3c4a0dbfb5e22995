# SPDX-License-Identifier: BSD-3-Clause
"""Make the tables beside this file anew, by R with lme4, lmerTest, pbkrtest and nlme.

``python tests/oracles/lme4/make_tables.py`` needs Rscript with these packages; it takes some ten
minutes. Of each study there are two tables: the images, and what R found at each voxel. The drawn
values have few decimals, so that text holds them as they are.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from reference.lme4 import BALANCED, NESTED, PUBLISHED, UNBALANCED  # noqa: E402
from reference.ols import FloatArray, IntArray  # noqa: E402

N_VOXELS, N_NESTED, N_BALANCED = 200, 60, 40
RATIOS = (0.0, 0.05, 0.5, 2.0, 10.0)  # of the subjects' variance to the residual one


def visits(rng: np.random.Generator, n_visits: IntArray) -> pd.DataFrame:
    """List the images of subjects with so many visits, in no order."""
    table = pd.DataFrame(
        {
            "number": np.repeat(np.arange(len(n_visits)), n_visits),
            "visit": np.concatenate([np.arange(m) for m in n_visits]),
        }
    )
    table.insert(0, "subject", [f"s{number:02d}" for number in table["number"]])
    return table.iloc[rng.permutation(len(table))].reset_index(drop=True)


def columns(table: pd.DataFrame, *values: FloatArray) -> pd.DataFrame:
    """Add the intercept and columns of the design, of few decimals."""
    added = {f"x{j + 1}": np.round(np.asarray(x, float), 4) for j, x in enumerate(values)}
    return table.assign(x0=1.0, **added)


def unbalanced(name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the images of a study, and its design."""
    few, many = (16, 1, 5), (22, 1, 7)
    n_subjects, low, high = many if name in {"covariates", "three_groups"} else few
    table = visits(rng, rng.integers(low, high, size=n_subjects))
    number, visit = table["number"].to_numpy(), table["visit"].to_numpy(dtype=float)
    noise = rng.normal(size=len(table))
    age = np.round(rng.normal(size=n_subjects), 2)[number]
    group = (number % 2).astype(float)
    if name == "two_groups":
        return columns(table, group, visit, group * visit)
    if name == "covariates":
        # Ages in years, far from zero, and hours between scans of one subject's own.
        return columns(table, group, 60 + 8 * age, visit + 0.2 * noise, 1000 + 50 * noise**2)
    if name == "conditions":
        # Three conditions, of which some subjects lack one or two: dummies.
        table = table[visit < 3].reset_index(drop=True)
        order = rng.permuted(np.tile(np.arange(3), (n_subjects, 1)), axis=1)
        condition = order[table["number"], table["visit"]]
        return columns(table, condition == 1, condition == 2)
    if name == "boundary":
        return columns(table, group, visit)
    if name == "three_groups":
        third = number % 3
        return columns(
            table, third == 1, third == 2, visit, (third == 1) * visit, (third == 2) * visit
        )
    if name == "missing":
        return columns(table, age, visit)
    raise ValueError(name)


def nested(name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw visits in subjects in families of one to four, or in few sites of many subjects."""
    sizes = rng.integers(1, 5, size=11) if name == "families" else np.array([6, 9, 4, 7, 5])
    table = visits(rng, rng.integers(1, 4, size=int(sizes.sum())))
    family = np.repeat(np.arange(len(sizes)), sizes)[table["number"]]
    table["family"] = [f"f{k:02d}" for k in family]
    visit = table["visit"].to_numpy(dtype=float)
    patient = (table["number"].to_numpy() % 2).astype(float)
    return columns(table, patient, visit, rng.normal(size=len(table)))


def balanced(name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Cross conditions with subjects; two groups of them in the second study. Sum contrasts."""
    n_subjects, n_times = (10, 4) if name == "one_way" else (16, 3)
    table = visits(rng, np.full(n_subjects, n_times))
    sums = np.vstack([np.eye(n_times - 1), -np.ones(n_times - 1)])[table["visit"]].T
    table["time"] = [f"t{k}" for k in table["visit"]]
    table["group"] = [f"g{k}" for k in table["number"] % 2]
    if name == "one_way":
        return columns(table, *sums)
    sign = 1.0 - 2.0 * (table["number"].to_numpy() % 2)
    return columns(table, sign, *sums, *(sign * sums))


def with_values(
    table: pd.DataFrame, rng: np.random.Generator, n_voxels: int, ratios: tuple[float, ...]
) -> pd.DataFrame:
    """Draw voxels, with some effect of each column at half of them."""
    X = table.filter(regex=r"^x\d+$").to_numpy()
    number = table["number"].to_numpy()
    slopes = rng.normal(size=(X.shape[1], n_voxels)) * (np.arange(n_voxels) % 2)
    centred = X - X.mean(axis=0)
    Y = 20.0 + 0.5 * (centred / np.maximum(centred.std(axis=0), 1e-12)) @ slopes
    Y += rng.normal(size=(len(table), n_voxels))
    chosen = np.sqrt(np.array(ratios)[np.arange(n_voxels) % len(ratios)])
    Y += (rng.normal(size=(number.max() + 1, n_voxels)) * chosen)[number]
    if "family" in table:
        family = table["family"].str[1:].astype(int).to_numpy()
        chosen = np.sqrt(np.array(ratios)[np.arange(n_voxels) // len(ratios) % len(ratios)])
        Y += (rng.normal(size=(family.max() + 1, n_voxels)) * chosen)[family]
    values = pd.DataFrame(np.round(Y, 3), columns=[f"y{k}" for k in range(n_voxels)])
    return pd.concat([table.drop(columns=["number", "visit"]), values], axis=1)


def lacking(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Take images from three of four voxels: single visits, and all visits of one subject."""
    values = table.filter(regex=r"^y\d+$").to_numpy(copy=True)
    for k in range(values.shape[1]):
        if k % 4 > 0:
            values[rng.choice(len(values), 2 * (k % 4), replace=False), k] = np.nan
        if k % 4 == 3:
            values[table["subject"] == table["subject"].iloc[k % len(table)], k] = np.nan
    return table.assign(**{f"y{k}": values[:, k] for k in range(values.shape[1])})


def run(script: str, images: pd.DataFrame, *arguments: str) -> tuple[pd.DataFrame, str]:
    """Run a script beside this file; return its table, and what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "images.csv"), Path(folder, "results.csv")
        images.to_csv(given, index=False, float_format="%.17g", na_rep="NA")
        done = subprocess.run(  # noqa: S603 - our script, our files
            ["Rscript", str(HERE / script), str(given), str(found), *arguments],  # noqa: S607
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return pd.read_csv(found, dtype=str), done.stdout.strip()


def write(name: str, table: pd.DataFrame) -> None:
    """Write compressed text: the same bytes from the same table."""
    text = table.to_csv(index=False, lineterminator="\n")
    (HERE / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main(names: list[str]) -> None:
    versions = ""
    for seed, name in enumerate((*UNBALANCED, *NESTED, *BALANCED, *PUBLISHED)):
        if names and name not in names:
            continue
        rng = np.random.default_rng([4, seed])
        script, random = "fit_problems.R", "subject"
        if name in UNBALANCED:
            ratios = (0.0, 0.0, 0.0, 0.02) if name == "boundary" else RATIOS
            images = with_values(unbalanced(name, rng), rng, N_VOXELS, ratios)
            if name == "missing":
                images = lacking(images, rng)
        elif name in NESTED:
            images = with_values(nested(name, rng), rng, N_NESTED, RATIOS)
            random = "family/subject"
        elif name in BALANCED:
            images = with_values(balanced(name, rng), rng, N_BALANCED, (2.0, 10.0))
            script = "fit_balanced.R"
        else:
            images, _ = run("published.R", pd.DataFrame({"name": [name]}))
            random = "family/subject" if "family" in images else "subject"
        results, versions = run(script, images, random)
        write(f"{name}_images", images)
        write(f"{name}_results", results)
        print(name, len(images), "images,", versions, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
