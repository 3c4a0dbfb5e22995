# SPDX-License-Identifier: BSD-3-Clause
"""Results of R's lme4, lmerTest, pbkrtest and nlme, stored in tables with what made them.

The tables are in `tests/oracles/lme4`, with the scripts that make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from reference.ols import FloatArray

FOLDER = Path(__file__).resolve().parents[1] / "oracles" / "lme4"
# Studies of unequal numbers of visits, 200 voxels each; of the fourth most voxels have no variance
# of the subjects, of the sixth most lack images.
UNBALANCED = (
    "two_groups",
    "covariates",
    "conditions",
    "boundary",
    "three_groups",
    "missing",
)
NESTED = ("families", "sites")  # visits in subjects in families
# aov(Error(subject)): conditions within subjects, and two groups beside them.
BALANCED = ("one_way", "mixed")
# Columns of the design, of sum contrasts, by effect.
BALANCED_EFFECTS: dict[str, dict[str, tuple[int, ...]]] = {
    "one_way": {"time": (1, 2, 3)},
    "mixed": {"group": (1,), "time": (2, 3), "interaction": (4, 5)},
}
PUBLISHED = ("dyestuff", "dyestuff2", "pastes", "sleepstudy")


@dataclass(frozen=True)
class Study:
    """Voxels that share a design, and what R found there."""

    subjects: npt.NDArray[Any]  # (n_images,)
    families: npt.NDArray[Any] | None
    X: FloatArray  # (n_images, n_columns)
    Y: FloatArray  # (n_images, n_voxels), NaN where an image lacks a voxel
    results: pd.DataFrame  # a row a voxel; the columns of fit_problems.R

    def each(self, name: str) -> FloatArray:
        """Return a number of each column of the design, (n_columns, n_voxels)."""
        names = [f"{name}{j}" for j in range(self.X.shape[1])]
        return np.ascontiguousarray(self.results[names].to_numpy(dtype=np.float64).T)

    def of(self, name: str) -> FloatArray:
        """Return a number of the model, (n_voxels,)."""
        return self.results[name].to_numpy(dtype=np.float64)

    def some(self, places: npt.NDArray[np.int64]) -> Study:
        """Return some of the voxels."""
        results = self.results.iloc[places].reset_index(drop=True)
        return Study(self.subjects, self.families, self.X, self.Y[:, places], results)


def study(name: str) -> Study:
    """Read the two tables of a study."""
    images = pd.read_csv(FOLDER / f"{name}_images.csv.gz", dtype={"subject": str, "family": str})
    results = pd.read_csv(FOLDER / f"{name}_results.csv.gz")
    X = images.filter(regex=r"^x\d+$").to_numpy(dtype=np.float64)
    Y = images.filter(regex=r"^y\d+$").to_numpy(dtype=np.float64)
    families = images["family"].to_numpy() if "family" in images else None
    return Study(images["subject"].to_numpy(), families, X, Y, results)
