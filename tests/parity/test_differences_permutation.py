# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm on the same input, where they differ on purpose: permutation.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.second_level import SecondLevelModel as NilearnModel
from nilearn.glm.second_level import non_parametric_inference as nilearn_inference
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols as nilearn_permuted
from scipy import stats

from groupglm import SecondLevelModel, non_parametric_inference, permuted_ols
from groupglm.errors import ArgumentError
from reference import clusters, ols
from reference.oracle import (
    FLOAT32,
    MAP_NAME,
    N_IMAGES,
    SHAPE,
    brain,
    image,
    map_table,
    mask_image,
    quietly,
    save,
    volumes,
)


def both(inside: Any, tfce: Any, n_perm: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One-sample tests of smooth data in a mask, by us and by nilearn."""
    rng = np.random.default_rng(4)
    Y = rng.normal(0.4, 1, (N_IMAGES, *SHAPE))[:, inside]
    masker = NiftiMasker(mask_img=mask_image(inside), standardize=None)
    options: dict[str, Any] = {
        "two_sided_test": False, "random_state": 0, "n_perm": n_perm, "model_intercept": False,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masker.fit(image(np.zeros(SHAPE)))
        theirs = nilearn_permuted(np.ones(N_IMAGES), Y, masker=masker, tfce=True, **options)
    ours = permuted_ols(np.ones(N_IMAGES), Y, masker=masker, tfce=tfce, **options)
    np.testing.assert_allclose(ours["t"], theirs["t"], rtol=1e-8)
    return ours, theirs


def test_scale_of_tfce() -> None:
    # Voxels without a neighbour, of extent 1: the integral of h^2 is t^3 / 3, and nilearn's sum is
    # that of (k max / 100)^2 over the heights up to t. At the largest t the sum of k^2 is 338350.
    apart = brain() & (np.indices(SHAPE).sum(axis=0) % 2 == 0)
    ours, theirs = both(apart, True, 30)
    t = ours["t"][0]
    np.testing.assert_allclose(ours["tfce"][0], np.maximum(t, 0) ** 3 / 3, rtol=1e-9)
    step = t.max() / 100
    heights = step * np.arange(1, 101)
    reached = heights[:, None] <= t * (1 + 1e-12)
    np.testing.assert_allclose(
        theirs["tfce"][0], (heights[:, None] ** 2 * reached).sum(axis=0), rtol=1e-6
    )
    # Each permutation has steps of its own: the sums grow with the square of the largest t.
    np.testing.assert_allclose(ours["h0_max_tfce"], ours["h0_max_t"] ** 3 / 3, rtol=1e-9)
    np.testing.assert_allclose(theirs["h0_max_tfce"], 33.835 * theirs["h0_max_t"] ** 2, rtol=1e-6)
    # What the pages say: 100 / max times the integral, here more by the 1.5 % of 100 steps.
    np.testing.assert_allclose(
        theirs["tfce"].max() * t.max() / 100, 1.01505 * ours["tfce"].max(), rtol=1e-6
    )

    # With neighbours: ours is the integral level by level, and "steps" is nilearn's sum.
    ours, theirs = both(brain(), True, 0)
    volume = np.full(SHAPE, np.nan)
    volume[brain()] = ours["t"][0]
    exact = clusters.tfce(volume, 6, 0.5, 2.0, two_sided=False)[brain()]
    np.testing.assert_allclose(ours["tfce"][0], exact, rtol=1e-9)
    steps, _ = both(brain(), "steps", 0)
    np.testing.assert_allclose(steps["tfce"][0], theirs["tfce"][0], rtol=2 * FLOAT32)
    ratio = theirs["tfce"][0, exact.argmax()] / exact.max() * np.nanmax(volume) / 100
    assert 0.9 < ratio < 1.1  # a sum of rectangles


def images() -> tuple[Any, Any, pd.DataFrame, dict[str, Any]]:
    """Images of noise, their values (n_images, n_voxels), a design, and the options of a test."""
    rng = np.random.default_rng(11)
    data = np.where(brain(), rng.normal(size=(N_IMAGES, *SHAPE)), 0.0)
    design = pd.DataFrame(rng.normal(size=(N_IMAGES, 2)), columns=["a", "b"])
    options = {"mask": mask_image(), "n_perm": 20, "random_state": 0, "threshold": 0.01}
    return [image(one) for one in data], data[:, brain()], design.assign(intercept=1.0), options


def t_of(result: Any) -> Any:
    return result["t"].get_fdata()[brain()]


def test_contrast_of_several_columns() -> None:
    imgs, values, design, options = images()
    given: dict[str, Any] = {**options, "design_matrix": design, "second_level_contrast": "a - b"}
    wanted = ols.contrast(ols.fit(design.to_numpy(), values), np.array([1.0, -1.0, 0.0])).stat
    np.testing.assert_allclose(t_of(non_parametric_inference(imgs, **given)), wanted, rtol=1e-5)
    difference = np.column_stack([design["a"] - design["b"], np.ones(N_IMAGES)])
    other = ols.contrast(ols.fit(difference, values), np.array([1.0, 0.0])).stat
    theirs = t_of(quietly(nilearn_inference, imgs, **given))
    np.testing.assert_allclose(theirs, other, rtol=1e-5)
    assert np.abs(theirs - wanted).max() > 0.1


def test_f_contrast_permuted() -> None:
    imgs, values, design, options = images()
    C = np.eye(2, 3)
    given: dict[str, Any] = {**options, "design_matrix": design, "second_level_contrast": C}
    wanted = ols.contrast(ols.fit(design.to_numpy(), values), C).stat
    found: Any = non_parametric_inference(imgs, **given)
    np.testing.assert_allclose(found["F"].get_fdata()[brain()], wanted, rtol=1e-5)
    with pytest.raises(ValueError, match="truth value of an array"):
        quietly(nilearn_inference, imgs, **given)


def test_constant_among_the_confounds() -> None:
    rng = np.random.default_rng(0)
    group, Y = np.repeat([0.0, 1.0], [2, 4]), rng.normal(size=(6, 1))
    options: dict[str, Any] = {"n_perm": 14, "random_state": 0, "two_sided_test": False}
    pairs = list(itertools.combinations(range(6), 2))
    relabelled = [stats.ttest_ind(np.delete(Y, pair), Y[list(pair), 0]).statistic for pair in pairs]

    def share(maxima: Any) -> float:
        """How many of the maxima are the t of some two images against the others."""
        return float(np.isclose(maxima.ravel()[:, None], relabelled).any(axis=1).mean())

    for confounds in (None, np.ones((6, 1))):
        assert share(permuted_ols(group, Y, confounds, **options)["h0_max_t"]) == 1
    assert share(nilearn_permuted(group, Y, None, **options)["h0_max_t"]) == 1
    # Of 64 flips two, of all signs and of none, are such a t.
    assert share(nilearn_permuted(group, Y, np.ones((6, 1)), **options)["h0_max_t"]) < 0.5


def test_degrees_of_freedom_of_several_variables() -> None:
    rng = np.random.default_rng(5)
    n, variables = 10, 6
    tested, Y = rng.normal(size=(n, variables)), rng.normal(size=(n, brain().sum()))
    masker = NiftiMasker(mask_img=mask_image(), standardize=None)
    options: dict[str, Any] = {
        "n_perm": 20, "random_state": 0, "two_sided_test": False, "threshold": 0.05,
        "masker": masker,
    }  # fmt: skip
    quietly(masker.fit, image(np.zeros(SHAPE)))
    ours = permuted_ols(tested, Y, **options)
    theirs = quietly(nilearn_permuted, tested, Y, **options)
    np.testing.assert_allclose(ours["t"], theirs["t"], rtol=1e-8)
    own, of_all = (stats.t.isf(0.05, df) for df in (n - 2, n - 1 - variables))
    np.testing.assert_array_equal(ours["size"] > 0, ours["t"] > own)
    np.testing.assert_array_equal(theirs["size"] > 0, theirs["t"] > of_all)
    assert ((ours["size"] > 0) != (theirs["size"] > 0)).any()


def test_fewer_permutations_than_asked() -> None:
    group, Y = np.repeat([0.0, 1.0], [2, 4]), np.random.default_rng(0).normal(size=(6, 1))
    options: dict[str, Any] = {"n_perm": 200, "random_state": 0, "two_sided_test": False}
    with pytest.warns(UserWarning, match="all 15 different permutations of this design are used"):
        ours = permuted_ols(group, Y, **options)
    theirs = nilearn_permuted(group, Y, **options)
    assert len(np.unique(ours["h0_max_t"].round(9))) == ours["h0_max_t"].size == 14
    assert len(np.unique(theirs["h0_max_t"].round(9))) <= 15 < theirs["h0_max_t"].size
    pairs = itertools.combinations(range(6), 2)
    as_large = [Y[list(pair)].mean() <= Y[:2].mean() + 1e-12 for pair in pairs]
    assert 10 ** -ours["logp_max_t"][0, 0] == pytest.approx(np.mean(as_large), rel=1e-12)


def test_cluster_threshold_above_one() -> None:
    imgs, _, design, options = images()
    given: dict[str, Any] = {**options, "design_matrix": design, "second_level_contrast": "a"}
    given |= {"threshold": 3.0}
    for two_sided in (True, False):
        with pytest.raises(ArgumentError, match="cluster_threshold_scale='z'"):
            non_parametric_inference(imgs, two_sided_test=two_sided, **given)
        theirs = quietly(nilearn_inference, imgs, two_sided_test=two_sided, **given)
        assert not theirs["size"].get_fdata().any()
    found: Any = non_parametric_inference(imgs, cluster_threshold_scale="z", **given)
    assert "size" in found


def test_missing_values_permuted() -> None:
    imgs, values, design, options = images()
    hole = tuple(int(i) for i in np.argwhere(brain())[40])
    column = int(np.flatnonzero((np.argwhere(brain()) == hole).all(axis=1))[0])
    imgs[0].dataobj[hole] = np.nan
    given: dict[str, Any] = {**options, "design_matrix": design, "second_level_contrast": "a"}
    X, c = design.to_numpy(), np.array([1.0, 0.0, 0.0])
    without = ols.contrast(ols.fit(X[1:], values[1:, [column]]), c).stat
    as_zero = ols.contrast(ols.fit(X, np.append(0, values[1:, column])[:, None]), c).stat
    assert t_of(non_parametric_inference(imgs, **given))[column] == pytest.approx(without, rel=1e-5)
    theirs = t_of(quietly(nilearn_inference, imgs, **given))
    assert theirs[column] == pytest.approx(as_zero, rel=1e-5)
    # In arrays, of three voxels: all images, all images but one, and no image of one group.
    group, Y = np.repeat([0.0, 1.0], N_IMAGES // 2), values[:, :3].copy()
    Y[0, 1] = Y[: N_IMAGES // 2, 2] = np.nan
    with pytest.warns(UserWarning, match="1 of 3 voxels lack values and are not tested"):
        ours = permuted_ols(group, Y, n_perm=20, random_state=0)
    assert np.isnan(ours["t"][0]).tolist() == [False, False, True]
    assert np.isnan(ours["logp_max_t"][0]).tolist() == [False, False, True]
    in_arrays = nilearn_permuted(group, Y, n_perm=20, random_state=0)
    assert np.isnan(in_arrays["t"][0]).tolist() == [False, True, True]
    assert in_arrays["logp_max_t"][0, 1:].tolist() == [0, 0]


def test_resampling_before_a_permutation() -> None:
    imgs, _, design, options = images()
    target: dict[str, Any] = {"target_affine": np.diag([4.0, 4.0, 4.0])}
    given: dict[str, Any] = {**options, "design_matrix": design, "second_level_contrast": "a"}
    found: Any = quietly(non_parametric_inference, imgs, **given, **target)
    model: Any = SecondLevelModel(mask_img=given["mask"], **target)
    wanted = quietly(model.fit, imgs, design_matrix=design).compute_contrast(
        "a", output_type="stat"
    )
    np.testing.assert_allclose(found["t"].get_fdata(), wanted.get_fdata(), rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match="target_affine"):
        quietly(nilearn_inference, imgs, **given, **target)


def test_places_in_no_cluster() -> None:
    imgs, _, design, options = images()
    given: dict[str, Any] = {**options, "design_matrix": design, "second_level_contrast": "a"}
    given |= {"n_perm": 100}
    ours: Any = non_parametric_inference(imgs, **given)
    theirs = quietly(nilearn_inference, imgs, **given)
    nowhere = brain() & (ours["size"].get_fdata() == 0)
    assert nowhere.sum() > 0.9 * brain().sum()
    for name in ("logp_max_size", "logp_max_mass"):
        assert (ours[name].get_fdata()[nowhere] == 0).all()
        np.testing.assert_allclose(theirs[name].get_fdata()[nowhere], -np.log10(0.99), rtol=1e-6)


def test_legacy_output() -> None:
    rng = np.random.default_rng(0)
    tested, data = rng.standard_normal((12, 1)), rng.standard_normal((12, 5))
    given: dict[str, Any] = {"tested_vars": tested, "target_vars": data, "n_perm": 0}
    with pytest.raises(ValueError, match="out\\['logp_max_t'\\], out\\['t'\\]"):
        permuted_ols(**given, output_type="legacy")  # type: ignore[arg-type]
    with pytest.warns(FutureWarning, match="will be removed in version 0.15"):
        _, scores, _ = nilearn_permuted(**given, output_type="legacy")
    np.testing.assert_allclose(permuted_ols(**given)["t"], scores, rtol=1e-10)


def test_table_permuted_without_a_design(tmp_path: Path) -> None:
    table = map_table(save([image(each) for each in volumes()], tmp_path))
    options: dict[str, Any] = {"mask": mask_image(), "n_perm": 20, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(TypeError, match="design_matrix can only be"):
            nilearn_inference(table, first_level_contrast=MAP_NAME, **options)
        model = NilearnModel(mask_img=mask_image()).fit(table)
        t = model.compute_contrast(first_level_contrast=MAP_NAME, output_type="stat")
    design = pd.DataFrame({"intercept": np.ones(N_IMAGES)})
    found: Any = non_parametric_inference(table, first_level_contrast=MAP_NAME, **options)
    given: Any = non_parametric_inference(
        table, first_level_contrast=MAP_NAME, design_matrix=design, **options
    )
    np.testing.assert_array_equal(found.get_fdata(), given.get_fdata())
    ours = SecondLevelModel(mask_img=mask_image()).fit(table)
    same = ours.compute_contrast(first_level_contrast=MAP_NAME, output_type="stat")
    np.testing.assert_allclose(same.get_fdata(), t.get_fdata(), rtol=1e-6)
