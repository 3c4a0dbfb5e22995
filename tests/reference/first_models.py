# SPDX-License-Identifier: BSD-3-Clause
"""Saved models of format 1, which are kept so that they stay readable, and the data they are of.

``first.groupglm`` is as the first release wrote it, without numbers of zeros; ``counted.groupglm``
as the last one did before format 2. Both are fits of an age and a mean to the data below, with a
mask of all voxels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FIRST, COUNTED = (
    Path(__file__).parent / "models" / f"{name}.groupglm" for name in ("first", "counted")
)
SHAPE = (5, 4, 3)


def first_data() -> tuple[Any, pd.DataFrame]:
    """Return the data (n_images, n_voxels), in file order, and the design."""
    rng = np.random.default_rng(7)
    design = pd.DataFrame({"age": np.arange(8.0) ** 2, "mean": 1.0})
    data = rng.normal(3, 1, (8, 60)).astype(np.float32)
    data[2, 5] = np.nan
    return data, design
