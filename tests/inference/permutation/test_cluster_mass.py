# SPDX-License-Identifier: BSD-3-Clause
"""Size and mass of clusters in a permutation test, by their definition."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, optimize, stats

from groupglm import non_parametric_inference

nib: Any = nibabel  # typed only in part


def image_of(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))


@pytest.mark.parametrize("z", [3.1, 9.0, 30.0])
def test_a_threshold_of_f_is_exact_far_out_in_its_tail(z: float) -> None:
    # By a search for the F with the upper tail of z, because 1 - p has no digits of a small p.
    shape, n, k = (6, 5, 4), 80, 2
    rng = np.random.default_rng(2)
    design = np.column_stack([rng.standard_normal((n, k)), np.ones(n)])
    df = n - k - 1
    p = stats.norm.sf(z)
    limit = optimize.brentq(lambda f: stats.f.logsf(f, k, df) - np.log(p), 1.0, 1e9, xtol=1e-9)
    images = rng.standard_normal((n, *shape))
    images[:, 1:3, 1:3, 1:3] += 4 * np.sqrt(limit / n) * design[:, 0][:, None, None, None]
    maps = non_parametric_inference(
        [image_of(one) for one in images],
        design_matrix=pd.DataFrame(design, columns=["a", "b", "intercept"]),
        second_level_contrast=["a", "b"], mask=image_of(np.ones(shape, np.uint8)),
        n_perm=20, threshold=z, cluster_threshold_scale="z", random_state=0,
    )  # fmt: skip
    assert isinstance(maps, dict)
    f = np.asarray(maps["F"].dataobj, dtype=np.float64)
    inside = f > limit
    assert inside[1:3, 1:3, 1:3].all()
    mass = np.asarray(maps["mass"].dataobj, dtype=np.float64)
    np.testing.assert_array_equal(mass > 0, inside)
    own = np.zeros(shape, bool)
    own[1:3, 1:3, 1:3] = True
    expected = (f[own] - limit).sum()
    # float32 maps: 6e-8 of each F; and of the limit, by the search, 1e-9.
    np.testing.assert_allclose(mass[own], expected, rtol=0, atol=8 * 1e-7 * f[own].max())


@pytest.mark.parametrize("two_sided", [False, True])
def test_the_mass_of_a_cluster_is_the_sum_of_what_is_beyond_the_threshold(two_sided: bool) -> None:
    # By its definition: scipy's labels and quantile of t.
    rng = np.random.default_rng(4)
    shape, n, p = (9, 10, 8), 14, 0.05
    group = np.arange(n) % 2.0
    images = rng.standard_normal((n, *shape))
    images[:, 2:5, 2:5, 2:5] += 1.5 * group[:, None, None, None]
    images[:, 6:8, 6:8, 4:6] -= 2.0 * group[:, None, None, None]
    maps = non_parametric_inference(
        [image_of(one) for one in images],
        design_matrix=pd.DataFrame({"group": group, "intercept": 1.0}),
        second_level_contrast="group", mask=image_of(np.ones(shape, np.uint8)),
        n_perm=20, threshold=p, two_sided_test=two_sided, random_state=0,
    )  # fmt: skip
    assert isinstance(maps, dict)
    t = np.asarray(maps["t"].dataobj, dtype=np.float64)
    limit = stats.t.isf(p / 2 if two_sided else p, n - 2)
    mass, size = np.zeros(shape), np.zeros(shape)
    for sign in (1, -1)[: 1 + two_sided]:
        labels, count = ndimage.label(sign * t > limit)
        for number in range(1, count + 1):
            own = labels == number
            mass[own], size[own] = (np.abs(t[own]) - limit).sum(), own.sum()
    assert size.max() > 10
    np.testing.assert_array_equal(np.asarray(maps["size"].dataobj), size)
    # Maps are float32: a relative 6e-8 of each |t| up to 10, summed over some 30 voxels.
    np.testing.assert_allclose(np.asarray(maps["mass"].dataobj), mass, rtol=0, atol=4e-5)
