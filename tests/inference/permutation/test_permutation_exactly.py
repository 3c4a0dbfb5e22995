# SPDX-License-Identifier: BSD-3-Clause
"""Corrected p-values of integer data, against enumeration in rational numbers: ties, zeros,
near-perfect and perfect fits, where rounding would decide otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.kernels import METHODS, Method
from groupglm.inference.permutation.options import check_options
from groupglm.inference.permutation.testing import permutation_test
from groupglm.models.ols import fit_ols
from reference.rational import corrected_p, every_flip, every_order, permuted_odds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

FEWER = pytest.mark.filterwarnings("ignore:.* different .* of this design are used")
FEW = pytest.mark.filterwarnings("ignore:.*no p-value")

GROUP = np.repeat([0, 1], 3)
LINE = np.arange(6)
AGE = np.array([3, 1, 4, 1, 5, 9])
DESIGNS = {  # the columns, and how many of them are tested
    "two groups": (np.column_stack([GROUP, np.ones(6, int)]), 1),
    "correlation": (np.column_stack([LINE, np.ones(6, int)]), 1),
    "covariate": (np.column_stack([GROUP, AGE, np.ones(6, int)]), 1),
    "covariate, F": (np.column_stack([GROUP, LINE % 3, AGE, np.ones(6, int)]), 2),
    "F": (np.column_stack([LINE, LINE**2, np.ones(6, int)]), 2),
    "mean": (np.ones((6, 1), int), 1),
    "mean, covariate": (np.column_stack([np.ones(6, int), AGE - 4]), 1),
}


def p_of(
    X: Integers, n_effect: int, Y: Floats, *, method: Method, two_sided: bool, flips: bool
) -> Floats:
    """Of one contrast: the first columns of the design."""
    contrast = np.eye(n_effect, X.shape[1])
    options = check_options(
        n_perm=10_000, two_sided=two_sided, random_state=0, threshold=None,
        cluster_threshold_scale="p", tfce=False, tfce_powers=(0.5, 2.0), method=method,
        sign_flip=flips, tail=None, connectivity=6, missing="omit", n_jobs=1, verbose=0,
    )  # fmt: skip
    fit = fit_ols(X.astype(float), Y)
    values = contrast[0] if n_effect == 1 else contrast
    result = permutation_test(
        X.astype(float), values, ArraySource(Y), fit.contrast(values).stat, fit.df_residual, options
    )  # fmt: skip
    assert result.exhaustive
    (p,) = result.p_value.values()
    return p


def data_of(name: str) -> Integers:
    rng = np.random.default_rng(0)
    X, n_effect = DESIGNS[name]
    tested = X[:, :n_effect] @ np.arange(1, n_effect + 1)
    return np.column_stack(
        [
            rng.integers(0, 4, size=(6, 2)),
            [1, 0, 0, 0, 0, 1],  # t is 0 in some designs
            rng.integers(0, 2, size=(6, 2)),  # lesions
            1000 + rng.integers(0, 3, size=6),
            tested,  # an infinite statistic
            10**7 + rng.integers(0, 3, size=6),
            tested * 2**33 + rng.integers(-1, 2, size=6),  # t of 1e9 and more
        ]
    )


@FEWER
@FEW
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", DESIGNS)
def test_p_is_that_of_enumeration(name: str, method: Method) -> None:
    X, n_effect = DESIGNS[name]
    flips = name.startswith("mean")
    Y = data_of(name)
    rearrangements = every_flip(6) if flips else every_order(6)
    observed, null = permuted_odds(X, n_effect, Y, rearrangements, method)
    # The residuals of the last two are known only to 1e-9 and 1e-6, because their data are so
    # large. Ties within their own statistics are found, but not ties with other voxels.
    together = list(range(7))
    for voxels in [together, *[[v] for v in range(9)]]:
        if all(odds == 0 for odds in (observed[v] for v in voxels)):
            continue
        for two_sided in (True, False) if n_effect == 1 else (False,):
            found = p_of(
                X, n_effect, Y[:, voxels].astype(float), method=method, two_sided=two_sided,
                flips=flips,
            )  # fmt: skip
            expected = corrected_p(observed, null, voxels, two_sided=two_sided)
            np.testing.assert_allclose(found, [float(p) for p in expected], rtol=1e-12)
