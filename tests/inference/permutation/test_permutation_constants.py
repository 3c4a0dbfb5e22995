# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests against a constant: those of data from which it was subtracted by hand."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import MixedEffects, RepeatedMeasures, non_parametric_inference

nib: Any = nibabel  # typed only in part

SHAPE = (4, 4, 2)
N = 14
RNG = np.random.default_rng(11)
VALUES = RNG.normal(0.4, 1.0, size=(N, *SHAPE))
MASK = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))
AGE = RNG.normal(size=N)
DESIGN = pd.DataFrame({"intercept": np.ones(N), "age": AGE, "group": [0.0, 1.0] * (N // 2)})


def _images(values: Any) -> list[Any]:
    return [nib.Nifti1Image(each, np.eye(4)) for each in values]


def _test(values: Any, contrast: Any, **more: Any) -> Any:
    options = {"n_perm": 60, "random_state": 1, "mask": MASK, "threshold": 0.2, **more}
    return non_parametric_inference(
        _images(values),
        **{"design_matrix": DESIGN, **options},
        second_level_contrast=contrast,
    )


def _same(found: Any, wanted: Any) -> None:
    assert set(found) == set(wanted)
    for name in wanted:
        # The shares are subtracted in another order: a few units in the last place.
        np.testing.assert_allclose(
            found[name].get_fdata(), wanted[name].get_fdata(), rtol=1e-9, atol=1e-9, err_msg=name
        )


def _without(shares: Any) -> Any:
    return VALUES - np.asarray(shares)[:, None, None, None]


@pytest.mark.parametrize("method", ["freedman-lane", "ter-braak", "smith"])
@pytest.mark.parametrize(
    ("contrast", "plain", "shares"),
    [
        ("age = 0.5", "age", 0.5 * AGE),
        ("2*age = -1", "2*age", -0.5 * AGE),
        # Any coefficients with the difference of 0.3 do: here all of it is the group's.
        ("group - age = 0.3", "group - age", 0.3 * DESIGN["group"]),
    ],
)
def test_it_is_the_test_of_data_without_the_constant(
    method: Any, contrast: str, plain: str, shares: Any
) -> None:
    found = _test(VALUES, contrast, method=method, two_sided_test=True)
    _same(found, _test(_without(shares), plain, method=method, two_sided_test=True))
    assert np.abs(found["t"].get_fdata() - _test(VALUES, plain)["t"].get_fdata()).max() > 0.1


def test_signs_are_flipped_about_the_constant() -> None:
    mean = pd.DataFrame({"intercept": np.ones(N)})
    found = _test(VALUES, "intercept = 0.4", design_matrix=mean)
    assert found.results[0].sign_flip
    _same(found, _test(VALUES - 0.4, "intercept", design_matrix=mean))


def test_every_sign_flip_by_hand() -> None:
    """With 6 images all 64 flips of y - 1 are done; p by counting."""
    values, mean = VALUES[:6], pd.DataFrame({"intercept": np.ones(6)})
    with pytest.warns(UserWarning, match="64"):
        found = _test(
            values, "intercept = 1", design_matrix=mean, n_perm=1000, threshold=None, n_jobs=2
        )
    signs = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1).T
    flipped = signs[:, :, None] * (values - 1).reshape(1, 6, -1)
    t = flipped.mean(axis=1) / (flipped.std(axis=1, ddof=1) / np.sqrt(6))
    observed = ((values - 1).mean(axis=0) / ((values - 1).std(axis=0, ddof=1) / np.sqrt(6))).ravel()
    counts = (t.max(axis=1)[:, None] >= observed - 1e-9).sum(axis=0)
    p = 10.0 ** -found.get_fdata().ravel()
    # p is (1 + count) / (1 + n) of the other 63 flips.
    np.testing.assert_allclose(p, counts / 64, rtol=1e-6)


def test_the_level_is_kept_where_the_constant_is_true() -> None:
    """200 sets of noise about a slope of 2: rejected at 0.05 as often as a binomial allows."""
    rng = np.random.default_rng(5)
    design = DESIGN[["intercept", "age"]]
    few = nib.Nifti1Image(np.ones((2, 1, 1), np.uint8), np.eye(4))
    rejected = 0
    for seed in range(200):
        values = 2 * AGE[:, None] + rng.normal(size=(N, 2))
        logp = _test(
            values.reshape(N, 2, 1, 1),
            "age = 2",
            design_matrix=design,
            mask=few,
            threshold=None,
            n_perm=99,
            random_state=seed,
        )
        rejected += logp.get_fdata().max() >= -np.log10(0.05) - 1e-9
    assert 1 <= rejected <= 21  # of 200 at 0.05: 99.9 % of a binomial are in here


def test_missing_values_and_places_without_data() -> None:
    values = VALUES.copy()
    values[3, 0, 0, 0] = np.nan
    values[:, 1, 1, 1], values[:, 1, 1, 0] = 0.0, 0.7
    found = _test(values, "age = 0.5", threshold=None, n_perm=99, two_sided_test=True)
    by_hand = values - (0.5 * AGE)[:, None, None, None]
    by_hand[:, 1, 1] = values[:, 1, 1]
    wanted = _test(by_hand, "age", threshold=None, n_perm=99, two_sided_test=True)
    np.testing.assert_allclose(found.get_fdata(), wanted.get_fdata(), rtol=1e-9)
    assert (found.get_fdata()[1, 1] == 0).all()


def test_variances_stay_with_their_images() -> None:
    variances = RNG.uniform(0.5, 1.5, size=VALUES.shape)
    more = {"variances": _images(variances), "model": MixedEffects(), "n_perm": 30}
    _same(_test(VALUES, "age = 0.5", **more), _test(_without(0.5 * AGE), "age", **more))


def test_several_images_of_a_subject() -> None:
    subjects = np.repeat(np.arange(N // 2), 2)
    design = pd.DataFrame({"intercept": np.ones(N), "time": [0.0, 1.0] * (N // 2)})
    more: dict[str, Any] = {"subjects": subjects, "model": RepeatedMeasures(), "n_perm": 30}
    more |= {"design_matrix": design, "threshold": None}
    found = _test(VALUES, "time = 0.5", **more)
    wanted = _test(_without(0.5 * design["time"]), "time", **more)
    np.testing.assert_allclose(found.get_fdata(), wanted.get_fdata(), rtol=1e-7)


def test_a_test_goes_on_only_with_the_same_constant(tmp_path: Any) -> None:
    state = tmp_path / "state.npz"
    first = _test(VALUES, "age = 0.5", n_perm=30, resume=state)
    _same(
        _test(VALUES, "age = 0.5", n_perm=60, resume=state), _test(VALUES, "age = 0.5", n_perm=60)
    )
    assert first.results[0].n_perm == 30
    with pytest.raises(ValueError, match="resume"):
        _test(VALUES, "age = 0.6", n_perm=90, resume=state)


@pytest.mark.parametrize(
    ("contrast", "told"),
    [
        (["age = 0.5", "group"], "test each row by itself"),
        ("age = nan", "compared with nan"),
        ("local = 0.5", "a covariate that differs by place"),
    ],
)
def test_what_has_no_test_is_refused(contrast: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _test(VALUES, contrast, covariates={"local": _images(RNG.normal(size=VALUES.shape))})
