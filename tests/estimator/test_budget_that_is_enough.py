# SPDX-License-Identifier: BSD-3-Clause
"""The budget that an error says is enough for the voxels that lack values."""

from __future__ import annotations

import re
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.errors import ArgumentError


@pytest.mark.parametrize("keeps_rows", [False, True])
def test_the_budget_that_an_error_names_is_enough(keeps_rows: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(12, 40, 40, 40)).astype(np.float32)
    values[1::2][rng.random((6, 40, 40, 40)) < 0.1] = np.nan
    images: Any = [nib.Nifti1Image(one, np.eye(4)) for one in values]  # type: ignore[no-untyped-call]
    mask: Any = nib.Nifti1Image(np.ones((40,) * 3, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"intercept": np.ones(12), "age": np.arange(12.0)})

    def fit(budget: float) -> None:
        model = SecondLevelModel(mask_img=mask, memory_budget=budget, n_jobs=1)
        (model.fit_transform if keeps_rows else model.fit)(images, design_matrix=design)

    with pytest.raises(ArgumentError, match="lack values in some image") as caught:
        fit(10e6)
    found = re.search(r"with them the fit takes (\d+) MB", str(caught.value))
    assert found is not None
    fit(float(found[1]) * 1e6)
