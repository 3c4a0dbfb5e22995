# SPDX-License-Identifier: BSD-3-Clause
"""Curves fitted to null distributions, against the laws that the values were drawn from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from scipy import stats

from groupglm import permuted_ols
from groupglm.inference.permutation.tails import Tail, corrected_p, fit_tail

nib: Any = nibabel  # typed only in part

pytestmark = pytest.mark.quick


def test_pareto_tail_of_maxima() -> None:
    rng = np.random.default_rng(0)
    law = stats.gumbel_r(4, 0.4)  # what maxima of many values tend to; its tail is exponential
    null = law.rvs(2000, random_state=rng)
    fit = fit_tail(null, "gpd")
    assert fit.p_fit > 0.05
    assert fit.n_fitted == np.count_nonzero(null > fit.threshold)
    far = law.isf([1e-2, 1e-3, 1e-5])
    found = fit.p(far, null)
    # The logarithm of a tail of 500 values: its scale and its beginning are known to some 5%.
    np.testing.assert_allclose(np.log10(found), [-2, -3, -5], rtol=0.12)
    low = law.isf([0.5, 0.3])
    np.testing.assert_array_equal(fit.p(low, null), corrected_p(low, null))


def test_moments_of_a_pareto() -> None:
    rng = np.random.default_rng(1)
    null = stats.genpareto(0.15, 0, 2.0).rvs(40_000, random_state=rng)
    fit = fit_tail(null, "gpd")
    # What exceeds u has the same shape, and the scale 2 + 0.15 u.
    np.testing.assert_allclose(fit.parameters["shape"], 0.15, atol=0.04)
    np.testing.assert_allclose(fit.parameters["scale"], 2 + 0.15 * fit.threshold, rtol=0.05)
    assert fit.p_fit > 0.05


def test_gamma_of_few_permutations() -> None:
    rng = np.random.default_rng(2)
    law = stats.gamma(9, 1.0, 0.3)
    null = law.rvs(3000, random_state=rng)
    fit = fit_tail(null, "gamma")
    assert fit.p_fit > 0.01
    np.testing.assert_allclose(fit.parameters["mean"], law.mean(), rtol=0.02)
    np.testing.assert_allclose(fit.parameters["skewness"], 2 / 3, rtol=0.15)
    x = law.isf([0.5, 0.05, 1e-4])
    np.testing.assert_allclose(np.log10(fit.p(x, null)), np.log10([0.5, 0.05, 1e-4]), rtol=0.1)


def test_a_curve_that_does_not_fit_says_so() -> None:
    rng = np.random.default_rng(3)
    two_humps = np.concatenate([rng.normal(0, 0.1, 500), rng.normal(9, 0.1, 500)])
    assert fit_tail(two_humps, "gamma").p_fit <= 0.01


def test_a_short_tail_is_taken_for_an_exponential_one() -> None:
    null = np.random.default_rng(4).uniform(size=1000)
    fit = fit_tail(null, "gpd")
    assert fit.parameters["shape"] == 0
    assert (fit.p(np.array([2.0, 50.0, 1e6]), null) > 0).all()


@pytest.mark.parametrize("kind", ["gpd", "gamma"])
def test_too_few_or_equal_values(kind: str) -> None:
    with pytest.raises(ValueError, match="cannot be fitted to 99 rearrangements"):
        fit_tail(np.random.default_rng(5).normal(size=99), kind)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="all 500 maxima are 1"):
        fit_tail(np.ones(500), kind)  # type: ignore[arg-type]


def test_many_equal_values() -> None:
    null = np.append(np.ones(980), np.arange(20.0) + 2)
    with pytest.raises(ValueError, match="too many of the 1000 maxima are equal"):
        fit_tail(null, "gpd")


@pytest.mark.parametrize("kind", ["gpd", "gamma"])
def test_few_permutations_with_a_tail_are_like_many(kind: str) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=20)
    Y = rng.normal(size=(20, 200))
    Y[:, :3] += x[:, None]
    many = permuted_ols(x, Y, n_perm=20_000, random_state=0)
    few = permuted_ols(x, Y, n_perm=500, random_state=1, tail=kind)  # type: ignore[arg-type]
    fit = few.results[0].tail_fit["t"]
    assert fit.kind == kind
    significant = many["logp_max_t"] > 1
    assert significant.sum() >= 2
    # At p = 1e-3, 500 permutations see next to nothing; the curve is right to a third of a decade.
    np.testing.assert_allclose(
        np.minimum(few["logp_max_t"], 4)[significant],
        np.minimum(many["logp_max_t"], 4)[significant],
        atol=0.6,
    )


@pytest.mark.parametrize("kind", ["gpd", "gamma"])
@pytest.mark.parametrize("n_perm", [100, 1000])
def test_a_tail_is_no_shorter_than_many_permutations_tell(kind: str, n_perm: int) -> None:
    # One voxel: t of 18 degrees of freedom, of which a sample may be skewed to the left. The effect
    # is what 1 in 3,000 permutations reaches.
    rng = np.random.default_rng(5)
    group = np.repeat([0.0, 1.0], 10)
    Y = rng.standard_normal((20, 1)) + 2.2 * group[:, None]
    many = permuted_ols(group, Y, n_perm=100_000, two_sided_test=False, random_state=5)
    expected = 10 ** -many["logp_max_t"].item()
    assert 1e-4 < expected < 1e-3
    for seed in range(5):
        few = permuted_ols(
            group, Y, n_perm=n_perm, two_sided_test=False, random_state=seed,
            tail=kind,  # type: ignore[arg-type]
        )  # fmt: skip
        fit = few.results[0].tail_fit["t"]
        found = 10 ** -few["logp_max_t"].item()
        assert min(fit.parameters["skewness" if kind == "gamma" else "shape"], 0) == 0
        assert found >= fit.smallest * (1 - 1e-12)
        # A gamma curve has too light a tail for t, a Pareto one too heavy: by less than a decade.
        assert expected / 10 < found < 30 * expected


def test_how_far_a_tail_is_trusted() -> None:
    law = stats.gumbel_r(4, 0.4)
    for kind, factor in (("gpd", 100), ("gamma", 10)):
        smallest = []
        for n in (100, 1000, 5000):
            null = law.rvs(n, random_state=np.random.default_rng(7))
            fit = fit_tail(null, kind)  # type: ignore[arg-type]
            smallest.append(fit.smallest)
            assert 1 / (factor * (1 + n)) * (1 - 1e-12) <= fit.smallest <= 1 / (1 + n)
            assert (fit.p(np.array([1e3, np.inf]), null) == fit.smallest).all()
        assert smallest == sorted(smallest, reverse=True)
        # With few, the refits decide; with many, the form of the tail.
        np.testing.assert_allclose(smallest[-1], 1 / (factor * 5001))
    # Half a decade, one standard deviation, of tails refitted to other samples of the law.
    fits = [fit_tail(law.rvs(200, random_state=seed), "gpd") for seed in range(60)]
    far = fits[0].smallest
    x = np.array([law.isf(far)])
    found = []
    for fit in fits:
        curve = stats.genpareto(fit.parameters["shape"], 0, fit.parameters["scale"])
        found.append(np.log10(fit.n_fitted / 200 * curve.sf(x - fit.threshold)))
    assert 0.2 < np.std(found) < 1.0


def test_infinite_maxima_are_counted() -> None:
    group = np.repeat([0.0, 1.0], 5)
    lesion = group.copy()
    with pytest.warns(UserWarning, match="of 240 are infinite: its p-values are counted"):
        out = permuted_ols(group, lesion[:, None], n_perm=240, random_state=1, tail="gpd")
    infinite = np.isinf(out["h0_max_t"]).sum()
    np.testing.assert_allclose(10 ** -out["logp_max_t"].item(), (1 + infinite) / 241)


@pytest.mark.parametrize("tail", ["gamma", "gpd"])
def test_a_voxel_in_no_cluster_has_no_evidence_whatever_the_curve(tail: Tail) -> None:
    rng = np.random.default_rng(0)
    mask = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    masker = SimpleNamespace(mask_img_=mask)
    out = permuted_ols(
        np.repeat([0.0, 1.0], 8),
        rng.standard_normal((16, 64)),
        n_perm=400,
        random_state=0,
        masker=masker,
        threshold=0.05,
        tail=tail,
    )
    outside = out["size"][0] == 0
    assert outside.any()
    for name in ("size", "mass"):
        np.testing.assert_array_equal(out[f"logp_max_{name}"][0, outside], 0)
