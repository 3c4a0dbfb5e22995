# SPDX-License-Identifier: BSD-3-Clause
"""Masked arrays of numpy are missing values at every door, and are not changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, fit_ols, permuted_ols
from groupglm.spaces.volume import open_image

N = 8
RNG = np.random.default_rng(5)
X = np.column_stack([np.ones(N), np.arange(N) % 2.0])
DESIGN = pd.DataFrame(X, columns=["intercept", "group"])
SHAPE = (5, 5, 5)


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


MASK = image(np.ones(SHAPE, np.uint8))


def filled(masked: Any) -> Any:
    return masked.astype(np.float64).filled(np.nan)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_masked_data_are_missing_in_every_door(dtype: str, tmp_path: Path) -> None:
    raw = (10 * RNG.normal(size=(N, 6))).astype(dtype)
    data = np.ma.masked_array(raw, np.arange(raw.size).reshape(raw.shape) % 11 == 3)
    before = raw.copy()
    plain = filled(data)
    np.testing.assert_array_equal(fit_ols(X, data).rss, fit_ols(X, plain.astype("f8")).rss)
    rows: Any = list(data)
    np.testing.assert_array_equal(fit_ols(X, rows).n_observations, fit_ols(X, plain).n_observations)
    options: dict[str, Any] = {"n_perm": 20, "random_state": 0}
    for name, values in permuted_ols(X[:, 1], data, **options).items():
        np.testing.assert_array_equal(values, permuted_ols(X[:, 1], plain, **options)[name])
    if dtype != "i4":
        fit = fit_ols(X, data)
        np.testing.assert_array_equal(fit.residuals(X, data), fit.residuals(X, data.filled(np.nan)))
    np.testing.assert_array_equal(raw, before)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1"])
def test_a_masked_image_has_missing_voxels(dtype: str) -> None:
    data = np.ma.masked_array(np.arange(27).reshape(3, 3, 3).astype(dtype), False)
    data[1, 2, 0] = np.ma.masked
    source = open_image(image(data))
    row = np.empty(27, source.dtype)
    source.read_into(row)
    np.testing.assert_array_equal(row.reshape(3, 3, 3, order="F"), filled(data))


def test_a_masked_series_has_missing_voxels() -> None:
    data = np.ma.masked_array(RNG.normal(size=(*SHAPE, N)), False)
    data[2, 2, 2, 3] = data[1, 1, 1, :5] = np.ma.masked
    model = SecondLevelModel(MASK).fit(image(data), design_matrix=DESIGN)
    counts = np.asarray(model.n_observations_.dataobj)
    np.testing.assert_array_equal(counts, N - data.mask.sum(axis=-1))
