# SPDX-License-Identifier: BSD-3-Clause
"""permuted_ols against exact tests, nilearn, and itself on other threads and machines."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import nibabel as nib
import numpy as np
import pytest
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols as nilearn_permuted_ols
from scipy import ndimage, stats

from groupglm import permuted_ols
from groupglm.group.fitted_masker import FittedMasker
from groupglm.inference.permutation.tails import corrected_p
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

exact_test: Any = stats.permutation_test  # its types refuse what its documentation allows

FEWER = pytest.mark.filterwarnings("ignore:all .* different .* of this design are used")


@FEWER
@pytest.mark.parametrize("two_sided", [True, False])
def test_two_samples_exactly(two_sided: bool) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], [4, 5])
    Y = rng.normal(size=(9, 6)) + 0.8 * group[:, None]
    out = permuted_ols(group, Y, two_sided_test=two_sided)
    assert out["h0_max_t"].shape == (1, 125)  # 9! / (4! 5!) - 1
    assert out.results[0].exhaustive

    def t(a: Floats, b: Floats, axis: int) -> Any:
        values = stats.ttest_ind(b, a, axis=axis).statistic
        return np.abs(values) if two_sided else values

    for voxel in range(6):
        alone = permuted_ols(group, Y[:, [voxel]], two_sided_test=two_sided)
        expected = exact_test(
            (Y[group == 0, voxel], Y[group == 1, voxel]),
            t,
            vectorized=True,
            n_resamples=np.inf,
            alternative="greater",
        )
        np.testing.assert_allclose(10 ** -alone["logp_max_t"].item(), expected.pvalue, rtol=1e-12)
        np.testing.assert_allclose(
            np.sort(np.append(alone["h0_max_t"], abs(alone["t"]) if two_sided else alone["t"])),
            np.sort(expected.null_distribution),
            rtol=1e-9,
        )


@FEWER
def test_one_sample_exactly() -> None:
    y = np.random.default_rng(1).normal(0.5, 1, size=8)
    out = permuted_ols(np.ones(8), y[:, None], two_sided_test=False)
    expected = exact_test(
        (y,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="greater"
    )
    np.testing.assert_allclose(10 ** -out["logp_max_t"].item(), expected.pvalue, rtol=1e-12)
    assert out.results[0].sign_flip


@FEWER
def test_correlation_exactly() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 6))
    out = permuted_ols(x, y[:, None])
    expected = exact_test(
        (x,),
        lambda x: abs(stats.pearsonr(x, y).statistic),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert out["h0_max_t"].shape == (1, 719)
    np.testing.assert_allclose(10 ** -out["logp_max_t"].item(), expected.pvalue, rtol=1e-12)


@FEWER
def test_paired_samples_exactly() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=(2, 7)) + np.array([[0.0], [0.9]])
    subject = np.tile(np.arange(7), 2)
    condition = np.repeat([0.0, 1.0], 7)
    out = permuted_ols(
        condition,
        np.append(before, after)[:, None],
        np.eye(7)[subject][:, 1:],
        exchangeability_blocks=subject,
        two_sided_test=False,
    )
    expected = exact_test(
        (after, before),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert out["h0_max_t"].shape == (1, 2**7 - 1)
    np.testing.assert_allclose(10 ** -out["logp_max_t"].item(), expected.pvalue, rtol=1e-12)


@FEWER
def test_whole_blocks_exactly() -> None:
    rng = np.random.default_rng(4)
    family = np.repeat(np.arange(6), 2)
    treated = np.repeat([0.0, 0, 0, 1, 1, 1], 2)
    y = rng.normal(size=12) + rng.normal(size=6)[family]
    out = permuted_ols(
        treated, y[:, None], exchangeability_blocks=family, block_permutation="whole"
    )
    means = y.reshape(6, 2)

    def t(order: Any) -> float:
        both = means[list(order)].ravel()
        return float(abs(stats.ttest_ind(both[:6], both[6:]).statistic))

    null = np.array([t(order) for order in itertools.permutations(range(6))])
    expected = np.mean(null >= t(range(6)) * (1 - 1e-10))
    assert out["h0_max_t"].shape == (1, 19)
    np.testing.assert_allclose(10 ** -out["logp_max_t"].item(), expected, rtol=1e-12)


def smooth_data(n: int, seed: int = 0) -> tuple[Floats, Any]:
    """Rows inside a mask in nilearn's order, and nilearn's masker."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((11, 10, 9), np.uint8)
    mask[2:-2, 2:-1, 1:-2] = 1
    mask[4, 5, :] = 0
    image = nib.Nifti1Image(mask, np.eye(4))  # type: ignore[no-untyped-call]
    masker = NiftiMasker(mask_img=image, standardize=None).fit()
    volumes = [ndimage.gaussian_filter(rng.normal(size=mask.shape), 0.9) for _ in range(n)]
    return np.stack([volume[mask != 0] for volume in volumes]), masker


@pytest.mark.filterwarnings("ignore:Data array used to create:UserWarning")  # nilearn's own
@pytest.mark.parametrize(
    ("case", "two_sided"),
    [
        ("one-sample", False),
        ("one-sample", True),
        ("regression", True),
        ("two tested", False),
        ("confounds, no const", True),
    ],
)
def test_nilearns_null_in_law(case: str, two_sided: bool) -> None:
    rng = np.random.default_rng(5)
    Y, masker = smooth_data(18)
    tested: Any = {
        "one-sample": np.ones(18),
        "regression": rng.normal(size=18),
        "two tested": rng.normal(size=(18, 2)),
        "confounds, no const": rng.normal(size=18),
    }[case]
    confounds = None if case == "one-sample" else rng.normal(size=(18, 2))
    options: Any = {
        "n_perm": 100,
        "two_sided_test": two_sided,
        "model_intercept": case != "confounds, no const",
        "masker": masker,
        # nilearn uses the number of all tested variables for the degrees of freedom of each.
        "threshold": None if case == "two tested" else 0.05,
        "random_state": 0,
    }
    ours = permuted_ols(tested, Y, confounds, tfce="steps", **options)
    theirs = nilearn_permuted_ols(tested, Y, confounds, tfce=True, **options)
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        if name.startswith("h0"):
            # Other permutations of the same law: neither may be beyond 1 in 10,000.
            for a, b in zip(ours[name], expected, strict=True):
                assert stats.ks_2samp(a, b).pvalue > 1e-4, name
        elif not name.startswith("logp"):
            np.testing.assert_allclose(ours[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)
        else:
            # Counts of 100 of the same law: 6 standard deviations of a difference, at p = 0.5.
            a, b = 10.0 ** -ours[name], 10.0**-expected
            assert np.abs(a - b).max() < 6 * (2 * 0.25 / 100) ** 0.5, name


def test_the_same_bits_for_any_number_of_threads_and_parts() -> None:
    rng = np.random.default_rng(6)
    Y, masker = smooth_data(16)
    x = rng.normal(size=16)
    options: Any = {"masker": masker, "threshold": 0.01, "tfce": True, "random_state": 3}
    whole = permuted_ols(x, Y, n_perm=700, n_jobs=1, **options)
    threads = permuted_ols(x, Y, n_perm=700, n_jobs=3, **options)
    first = permuted_ols(x, Y, n_perm=300, n_jobs=2, **options)
    resumed = permuted_ols(x, Y, n_perm=700, resume=first, n_jobs=2, **options)
    for name, expected in whole.items():
        np.testing.assert_array_equal(threads[name], expected)
        np.testing.assert_array_equal(resumed[name], expected)
    other = permuted_ols(x, Y, n_perm=700, **{**options, "random_state": 4})
    assert (other["h0_max_t"] != whole["h0_max_t"]).mean() > 0.9
    alone = permuted_ols(x, Y, n_perm=700, random_state=3)
    # Without maps the largest statistic is found before the square root, not after it.
    np.testing.assert_allclose(alone["h0_max_t"], whole["h0_max_t"], rtol=1e-12)


def test_order_of_the_maskers() -> None:
    Y, masker = smooth_data(12)
    mask = masker.mask_img_.get_fdata() != 0
    space = VolumeSpace(Grid(mask.shape, np.eye(4)), np.flatnonzero(mask.ravel(order="F")))
    options: Any = {"n_perm": 50, "threshold": 0.05, "tfce": True, "random_state": 0}
    theirs = permuted_ols(np.ones(12), Y, masker=masker, **options)
    ours = permuted_ols(np.ones(12), Y, masker=FittedMasker(space, 1), **options)
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)
    wide = permuted_ols(np.ones(12), Y, masker=masker, connectivity=26, **options)
    assert (wide["size"] >= theirs["size"]).all()
    assert (wide["size"] > theirs["size"]).any()


def test_clusters_and_enhancement_of_the_observed_map() -> None:
    Y, masker = smooth_data(14, seed=2)
    out = permuted_ols(
        np.ones(14), Y, n_perm=99, threshold=2.0, cluster_threshold_scale="z", masker=masker,
        tfce=True, tfce_powers=(1.0, 1.0), random_state=0,
    )  # fmt: skip
    threshold = stats.t.isf(stats.norm.sf(2.0), 13)
    in_cluster = np.abs(out["t"]) > threshold
    np.testing.assert_array_equal(out["size"] > 0, in_cluster)
    np.testing.assert_array_equal(out["mass"] > 0, in_cluster)
    for name in ("size", "mass"):
        null = out[f"h0_max_{name}"][0]
        expected = (1 + (null >= out[name].reshape(-1, 1) - 1e-9).sum(axis=1)) / 100
        expected[~in_cluster.ravel()] = 1
        np.testing.assert_allclose(10.0 ** -out[f"logp_max_{name}"][0], expected, rtol=1e-12)
    assert (np.sign(out["tfce"]) == np.sign(out["t"])).all()


def test_resume_by_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    Y, x = rng.normal(size=(15, 30)), rng.normal(size=15)
    path = tmp_path / "null.npz"
    whole = permuted_ols(x, Y, n_perm=600, random_state=5)
    permuted_ols(x, Y, n_perm=100, random_state=5, resume=path)
    assert [file.name for file in tmp_path.iterdir()] == ["null.npz"]
    again = permuted_ols(x, Y, n_perm=600, resume=str(path))
    np.testing.assert_array_equal(again["h0_max_t"], whole["h0_max_t"])
    with pytest.raises(ValueError, match="already, more than n_perm=50"):
        permuted_ols(x, Y, n_perm=50, resume=path)
    with pytest.raises(ValueError, match="random_state is 6, but resume was made with 5"):
        permuted_ols(x, Y, n_perm=700, random_state=6, resume=path)
    with pytest.raises(ValueError, match="another test: number of tails differs"):
        permuted_ols(x, Y, n_perm=700, two_sided_test=False, resume=path)
    with pytest.raises(ValueError, match="another test: data differs"):
        permuted_ols(x, Y + rng.normal(size=Y.shape), n_perm=700, resume=path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"null\.npz: this is not the state"):
        permuted_ols(x, Y, n_perm=700, resume=path)


def test_interrupt_returns_within_a_second_and_keeps_what_was_done(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    Y = rng.standard_normal((20, 100_000), dtype=np.float32)
    path = tmp_path / "null.npz"
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        permuted_ols(np.ones(20), Y, n_perm=1_000_000, random_state=0, n_jobs=1, resume=path)
    assert time.perf_counter() - start < 2.0
    done = np.load(path)["null_t"]
    assert len(done) > 10
    again = permuted_ols(np.ones(20), Y, n_perm=len(done), random_state=0)
    np.testing.assert_array_equal(again["h0_max_t"][0], done)


def test_on_a_cluster_the_same_bits() -> None:
    distributed = pytest.importorskip("distributed")
    Y, masker = smooth_data(16, seed=3)
    options: Any = {"masker": masker, "threshold": 0.01, "tfce": True, "random_state": 3}
    here = permuted_ols(np.ones(16), Y, n_perm=600, **options)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        there = permuted_ols(np.ones(16), Y, n_perm=600, **options)
        with pytest.raises(ValueError, match="save the images to files"):
            permuted_ols(np.ones(16), np.ones((16, 2**20)), n_perm=600)
    for name, expected in here.items():
        np.testing.assert_array_equal(there[name], expected)


def test_p_is_never_zero_and_counts_ties() -> None:
    null = np.array([1.0, 2.0, 2.0, 3.0])
    p = corrected_p(np.array([9.0, 3.0, 2.0, 0.5, np.nan]), null)
    np.testing.assert_allclose(p, [0.2, 0.4, 0.8, 1.0, 1.0])


def test_voxels_that_do_not_vary_have_no_statistic() -> None:
    rng = np.random.default_rng(9)
    Y = rng.normal(size=(12, 40))
    clean = permuted_ols(np.repeat([0, 1], 6), Y, n_perm=200, random_state=0)
    Y = np.insert(Y, 7, 3.25, axis=1)
    Y = np.insert(Y, 20, 0.0, axis=1)
    with pytest.warns(UserWarning, match="1 of 42 voxels have zeros across all samples"):
        out = permuted_ols(np.repeat([0, 1], 6), Y, n_perm=200, random_state=0)
    assert np.flatnonzero(out["t"][0] == 0).tolist() == [7, 20]
    assert (out["logp_max_t"][0, [7, 20]] == 0).all()
    np.testing.assert_array_equal(out["h0_max_t"], clean["h0_max_t"])


def test_of_several_constants_the_first_is_the_intercept() -> None:
    rng = np.random.default_rng(11)
    x, Y, ones = rng.normal(size=(12, 1)), rng.normal(size=(12, 5)), np.ones((12, 1))
    alone = permuted_ols(x, Y, n_perm=0)["t"]
    with pytest.warns(UserWarning, match=r"Multiple columns across .* are constant: 2 columns"):
        several = permuted_ols(x, Y, np.hstack([ones, 2 * ones]), n_perm=0)["t"]
    np.testing.assert_allclose(several, alone, rtol=1e-12)
    # A constant that is tested is the intercept itself: the t of one sample.
    with pytest.warns(UserWarning, match=r"Multiple columns across .* are constant: 2 columns"):
        tested = permuted_ols(ones, Y, 3 * ones, n_perm=0)["t"]
    np.testing.assert_allclose(tested[0], stats.ttest_1samp(Y, 0).statistic, rtol=1e-12)


def test_threads_without_a_permutation_are_told() -> None:
    rng = np.random.default_rng(12)
    x, Y = rng.normal(size=12), rng.normal(size=(12, 5))
    with pytest.warns(UserWarning, match="perform more permutations to make use of 2 threads"):
        permuted_ols(x, Y, n_perm=1, n_jobs=2)
    with pytest.warns(UserWarning, match="ask for more$"):
        permuted_ols(x, Y, n_perm=1, n_jobs=1)


def test_missing_values() -> None:
    rng = np.random.default_rng(10)
    Y = rng.normal(size=(10, 6))
    Y[2, 4] = Y[3, 1] = np.nan
    x = rng.normal(size=10)
    with pytest.raises(ValueError, match=r"2 of 6 voxels lack .* \(columns 1, 4\)"):
        permuted_ols(x, Y, n_perm=30, missing="raise")
    out = permuted_ols(x, Y, n_perm=30, missing="intersect", random_state=0)
    kept = permuted_ols(x, Y[:, [0, 2, 3, 5]], n_perm=30, random_state=0)
    np.testing.assert_array_equal(out["h0_max_t"], kept["h0_max_t"])
    assert (out["t"][0, [1, 4]] == 0).all()
    assert (out["logp_max_t"][0, [1, 4]] == 0).all()
    zero = permuted_ols(x, Y, n_perm=30, missing="zero", random_state=0)
    filled = permuted_ols(x, np.nan_to_num(Y), n_perm=30, random_state=0)
    np.testing.assert_array_equal(zero["logp_max_t"], filled["logp_max_t"])


def test_no_permutations() -> None:
    Y, masker = smooth_data(10)
    out = permuted_ols(np.ones(10), Y, n_perm=0, masker=masker, tfce=True)
    assert set(out) == {"t", "tfce"}


@pytest.mark.parametrize("name", ["tested_vars", "confounding_vars"])
def test_a_variable_without_a_value_is_named(name: str) -> None:
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {"tested_vars": rng.normal(size=(9, 2))}
    given |= {"confounding_vars": rng.normal(size=(9, 2))}
    given[name][4, 1] = np.nan
    with pytest.raises(ValueError, match=f"{name} holds nan for image 5, in column 2; it must be"):
        permuted_ols(target_vars=rng.normal(size=(9, 4)), n_perm=5, **given)
