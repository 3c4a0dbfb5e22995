# SPDX-License-Identifier: BSD-3-Clause
"""Groups of which one varies little or not at all, as controls without lesions: Welch's t and F."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import mpmath
import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import non_parametric_inference, permuted_ols

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

nib: Any = nibabel  # typed only in part

pytestmark = [
    pytest.mark.filterwarnings("ignore:variance_groups. signs of residuals are flipped"),
    pytest.mark.filterwarnings("ignore:n_perm=1 gives no p-value"),
]

GROUP = np.repeat([0, 1], [3, 5])


def exactly(values: Any) -> tuple[Fraction, Fraction]:
    """Return the mean of some values, and its variance."""
    numbers = [Fraction(value) for value in values]
    n = len(numbers)
    mean = sum(numbers, Fraction(0)) / n
    return mean, sum(((x - mean) ** 2 for x in numbers), Fraction(0)) / (n * (n - 1))


def welch(values: Any) -> Any:
    """Return the signed square of Welch's t in rational numbers; infinite without variance."""
    means, variances = zip(*(exactly(np.asarray(values)[g == GROUP]) for g in (0, 1)), strict=True)
    difference, variance = means[1] - means[0], variances[0] + variances[1]
    if variance == 0:
        return np.sign(float(difference)) * np.inf if difference else Fraction(0)
    return difference * abs(difference) / variance


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4, 1e-6, 1e-8, 0.0])
@pytest.mark.parametrize("base", [0.0, 2.0])
def test_welchs_t_where_one_group_varies_little(size: float, base: float) -> None:
    values = np.array([0.0, 0.0, 1.0, 0, 1, 3, 1, 0])
    values[:3] = base + size * values[:3]
    out = permuted_ols(GROUP, values[:, None], n_perm=0, variance_groups=GROUP)
    square = float(welch(values.tolist()))
    wanted = np.copysign(np.sqrt(abs(square)), square)
    np.testing.assert_allclose(out["t"].item(), wanted, rtol=1e-11)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9])
def test_both_groups_vary_little(size: float) -> None:
    values = GROUP + size * np.array([0.0, 1, -1, 2, 0, 1, 0, -1])
    out = permuted_ols(GROUP, values[:, None], n_perm=0, variance_groups=GROUP)
    # Residuals of `size` of data near 1 that are right to 2e-16.
    np.testing.assert_allclose(
        out["t"].item(), float(welch(values.tolist())) ** 0.5, rtol=1e-12 + 4e-15 / size
    )


@pytest.mark.filterwarnings("ignore:target_vars. 1 of 12 voxels have zeros across all samples")
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_p_of_lesion_maps_is_that_of_enumeration(*, seed: int, two_sided: bool) -> None:
    """By every flip of the nuisance's residuals, in rational numbers."""
    rng = np.random.default_rng(seed)
    data = (rng.random((8, 12)) < 0.4).astype(int)
    data[GROUP == 0, :4] = 0
    data[:, 0] = GROUP
    data[:, 1] = 1 - GROUP
    out = permuted_ols(
        GROUP, data, n_perm=255, variance_groups=GROUP, two_sided_test=two_sided, random_state=0
    )
    residuals = 8 * data - data.sum(axis=0)  # eight times those of the mean
    varies = np.flatnonzero(np.any(residuals, axis=0))

    def counted(values: Any) -> list[Any]:
        squares = [welch(column.tolist()) for column in values.T]
        return [abs(square) if two_sided else square for square in squares]

    observed = counted(residuals[:, varies])
    assert np.inf in observed
    largest = [
        max(counted(residuals[:, varies] * np.array(signs)[:, None]))
        for signs in itertools.product((1, -1), repeat=8)
    ]
    wanted = np.ones(12)
    wanted[varies] = [np.mean([peak >= own for peak in largest]) for own in observed]
    np.testing.assert_allclose(10 ** -out["logp_max_t"][0], wanted, rtol=1e-12)
    signed = [float(welch(column.tolist())) for column in residuals[:, varies].T]
    np.testing.assert_allclose(
        out["t"][0, varies], np.sign(signed) * np.sqrt(np.abs(signed)), rtol=1e-12
    )


def welchs_f(groups: list[Floats]) -> float:
    """Welch (1951), Biometrika 38, 330-336, with 50 digits; a variance of 0 is taken for 1e-40."""
    with mpmath.workdps(50):
        numbers = [[mpmath.mpf(x) for x in group.tolist()] for group in groups]
        means = [mpmath.fsum(x) / len(x) for x in numbers]
        weights = []
        for x, mean in zip(numbers, means, strict=True):
            variance = mpmath.fsum((value - mean) ** 2 for value in x) / (len(x) - 1)
            weights.append(len(x) / max(variance, mpmath.mpf(10) ** -40))
        total, k = mpmath.fsum(weights), len(groups)
        middle = mpmath.fsum(w * m for w, m in zip(weights, means, strict=True)) / total
        between = mpmath.fsum(w * (m - middle) ** 2 for w, m in zip(weights, means, strict=True))
        spread = mpmath.fsum(
            (1 - w / total) ** 2 / (len(x) - 1) for w, x in zip(weights, numbers, strict=True)
        )
        return float(between / (k - 1) / (1 + mpmath.mpf(2 * (k - 2)) / (k**2 - 1) * spread))


def test_welchs_f_of_three_groups() -> None:
    group = np.repeat([0, 1, 2], [4, 5, 6])
    rng = np.random.default_rng(0)
    data = rng.standard_normal((15, 8))
    data[group == 0, 1] = 1.5
    data[group == 1, 2] = 1.5 + 1e-5 * rng.standard_normal(5)
    data[group != 2, 3] = 0.5
    data[:, 4] = np.where(group == 2, data[:, 4], 1 + group)  # two without variance that differ
    data[:, 5] = 1 + group
    data[:, 6] = np.where(group == 1, 1e-4, 1e3) * rng.standard_normal(15)
    design = pd.get_dummies(group, dtype=float).rename(columns=str)
    out = non_parametric_inference(
        [nib.Nifti1Image(row.reshape(2, 2, 2), np.eye(4)) for row in data],
        design_matrix=design.set_axis(["a", "b", "c"], axis=1),
        second_level_contrast=["a - b", "b - c"],
        mask=nib.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)),
        variance_groups=group,
        n_perm=1,
        random_state=0,
        threshold=0.05,
    )
    assert isinstance(out, dict)
    found = np.asarray(out["F"].dataobj).ravel()
    wanted = [welchs_f([column[group == g] for g in range(3)]) for column in data.T]
    endless = np.array([4, 5])
    assert np.isinf(found[endless]).all()
    assert min(np.array(wanted)[endless]) > 1e30
    rest = np.setdiff1d(np.arange(8), endless)
    np.testing.assert_allclose(found[rest], np.array(wanted)[rest], rtol=1e-7)  # of float32
