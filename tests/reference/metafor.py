# SPDX-License-Identifier: BSD-3-Clause
"""Results of R's metafor (`rma.uni`), stored in tables with what made them.

The tables are in `tests/oracles/metafor`, with the script that makes them. Of public maps a table
holds the voxels' numbers, the design and metafor's results; the values are read from where the
public data lie, or the test is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from reference.data import data_dir
from reference.mixed import Test
from reference.ols import FloatArray

FOLDER = Path(__file__).resolve().parents[1] / "oracles" / "metafor"
STUDIES = {
    "ds003338": ("sub-??_effect_size.nii.gz", "effect_size", "effect_variance"),
    "pain21": ("pain_??_beta.nii.gz", "beta", "varcope"),
}
# metafor's "z", "t", "knha" and "adhoc", in the order of the tables; estimators are in that of
# `reference.mixed`.
TESTS: tuple[Test, ...] = ("z", "t", "knapp-hartung", "knapp-hartung-conservative")


@dataclass(frozen=True)
class Results:
    """What metafor found."""

    versions: str
    tau2: FloatArray  # (n_problems, 5)
    i_squared: FloatArray
    h_squared: FloatArray
    lower: npt.NDArray[np.bool_]  # (n_problems, 5) metafor's own start ends at a lower maximum
    q: FloatArray  # (n_problems,)
    q_p: FloatArray
    b: FloatArray  # (n_problems, 5, n_columns)
    se: FloatArray  # (n_problems, 5, 4, n_columns)
    p: FloatArray  # (n_problems, 5, 4, n_columns) two-sided
    joint: FloatArray  # (n_problems, 5, 4) chi2 of test "z", else F, of all columns but the first
    joint_p: FloatArray


@dataclass(frozen=True)
class Problem:
    """One small regression; NaN marks a missing value."""

    X: FloatArray
    y: FloatArray
    v: FloatArray


def results(name: str) -> tuple[Results, dict[str, npt.NDArray[Any]]]:
    """Read a table: metafor's results, and all arrays that the file holds."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    fields = {key: arrays[key] for key in Results.__dataclass_fields__}
    fields["versions"] = str(fields["versions"])
    return Results(**fields), arrays


def random_problems(arrays: dict[str, npt.NDArray[Any]]) -> list[Problem]:
    """Take apart the rows of small problems: number, y, v, and the columns that it has."""
    rows = arrays["rows"]
    problems = []
    for number in range(int(rows[-1, 0]) + 1):
        own = rows[rows[:, 0] == number]
        X = own[:, 3:]
        problems.append(Problem(X[:, ~np.isnan(X[0])], own[:, 1], own[:, 2]))
    return problems


def study_paths(name: str) -> tuple[list[Path], list[Path]]:
    """Return the effects' and the variances' files of a public study, or skip."""
    pattern, effect, variance = STUDIES[name]
    effects = sorted(data_dir(name).glob(pattern))
    return effects, [path.with_name(path.name.replace(effect, variance)) for path in effects]


def study_values(name: str) -> tuple[FloatArray, FloatArray]:
    """Read effects and variances, (n_images, n_voxels); outside a brain both are 0."""

    def read(path: Path) -> FloatArray:
        image: Any = nib.load(path)
        values: FloatArray = image.get_fdata().ravel()
        return values

    effects, variances = study_paths(name)
    return np.array([read(path) for path in effects]), np.array([read(path) for path in variances])
