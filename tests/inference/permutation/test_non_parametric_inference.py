# SPDX-License-Identifier: BSD-3-Clause
"""non_parametric_inference: the contrast that the estimator tests, on images of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.second_level import non_parametric_inference as nilearn_inference
from scipy import ndimage

from groupglm import SecondLevelModel, non_parametric_inference, permuted_ols
from groupglm.errors import GridMismatchError, NotEstimableError, ZeroValuesWarning
from reference.data import data_dir
from reference.designs import GroupDesign, all_designs, simulate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SHAPE = (9, 8, 7)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
INSIDE = np.zeros(SHAPE, bool)
INSIDE[2:-2, 1:-2, 2:-1] = True


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, AFFINE)  # type: ignore[no-untyped-call]


MASK = image(INSIDE.astype(np.uint8))


def images_of(rows: NDArray[Any]) -> list[Any]:
    """Images whose voxels inside the mask, in file order, are the rows."""
    found = []
    for row in rows:
        values = np.zeros(INSIDE.size, np.float32)
        values[INSIDE.ravel(order="F")] = row
        found.append(image(values.reshape(SHAPE, order="F")))
    return found


def inside(img: Any) -> Floats:
    return np.asarray(img.get_fdata().ravel(order="F")[INSIDE.ravel(order="F")])


def smooth_images(n: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    volumes = [ndimage.gaussian_filter(rng.normal(size=SHAPE), 0.8) * INSIDE for _ in range(n)]
    return [image(volume.astype(np.float32)) for volume in volumes]


def frame(design: GroupDesign) -> pd.DataFrame:
    return pd.DataFrame(design.X, columns=[f"x{j}" for j in range(design.X.shape[1])])


@pytest.mark.filterwarnings("ignore::groupglm.errors.RankDeficientWarning")
@pytest.mark.filterwarnings("ignore:all .* different")
@pytest.mark.parametrize("design", all_designs(), ids=lambda d: d.name)
def test_the_unpermuted_statistic_is_that_of_compute_contrast(design: GroupDesign) -> None:
    Y = simulate(design, int(INSIDE.sum()), seed=1, dtype=np.float32)
    imgs, table = images_of(Y), frame(design)
    model = SecondLevelModel(mask_img=MASK).fit(imgs, design_matrix=table)
    for contrast in design.contrasts:
        out: Any = non_parametric_inference(
            imgs,
            design_matrix=table,
            second_level_contrast=np.array(contrast),
            mask=MASK,
            model_intercept=False,
            n_perm=20,
            tfce=True,
            random_state=0,
        )
        expected = model.compute_contrast(np.array(contrast), output_type="stat")
        letter = "F" if np.ndim(contrast) == 2 and len(contrast) > 1 else "t"
        np.testing.assert_allclose(inside(out[letter]), inside(expected), rtol=1e-5, atol=1e-5)
        p = 10.0 ** -inside(out[f"logp_max_{letter}"])
        n = out.results[0].n_perm
        assert (p > 0.999 / (1 + n)).all()
        assert (p <= 1).all()
        # The p-values count the maxima that reach each voxel's statistic.
        null = out.results[0].state.null[letter]
        count = (null >= inside(out[letter])[:, None] * (1 - 1e-6)).sum(axis=1)
        positive = inside(out[letter]) > 0
        np.testing.assert_allclose(p[positive], ((1 + count) / (1 + n))[positive], rtol=1e-5)


@pytest.mark.parametrize("smoothing", [None, 3.0])
def test_maps_are_nilearns(smoothing: float | None) -> None:
    imgs = smooth_images(14)
    design = pd.DataFrame({"score": np.linspace(-1, 1, 14), "intercept": 1.0})
    options: Any = {
        "design_matrix": design,
        "second_level_contrast": "score",
        "mask": MASK,
        "smoothing_fwhm": smoothing,
        "n_perm": 60,
        "threshold": 0.05,
        "random_state": 0,
    }
    ours: Any = non_parametric_inference(imgs, tfce="steps", **options)
    with pytest.warns(UserWarning, match="64-bit ints"):  # nilearn's own
        theirs = nilearn_inference(imgs, tfce=True, **options)
    assert set(ours) == set(theirs)
    for name in ("t", "size", "mass", "tfce"):
        np.testing.assert_allclose(
            ours[name].get_fdata(), theirs[name].get_fdata(), rtol=1e-5, atol=1e-4, err_msg=name
        )
    alone: Any = non_parametric_inference(imgs, **{**options, "threshold": None})
    np.testing.assert_array_equal(alone.get_fdata(), ours["logp_max_t"].get_fdata())


def test_images_and_arrays_are_one_test() -> None:
    rng = np.random.default_rng(2)
    Y = rng.normal(size=(15, int(INSIDE.sum()))).astype(np.float32)
    x = rng.normal(size=15)
    design = pd.DataFrame({"x": x})  # the intercept is added
    options: Any = {"n_perm": 100, "random_state": 9, "two_sided_test": True}
    logp: Any = non_parametric_inference(images_of(Y), design_matrix=design, mask=MASK, **options)
    arrays = permuted_ols(x, Y, **options)
    np.testing.assert_allclose(inside(logp), arrays["logp_max_t"][0], rtol=1e-6)


def test_a_table_of_maps_with_blocks_by_subject(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    Y = rng.normal(size=(12, int(INSIDE.sum()))).astype(np.float32)
    subjects = [f"s{i:02d}" for i in range(12)]
    paths = []
    for subject, img in zip(subjects, images_of(Y), strict=True):
        paths.append(str(tmp_path / f"{subject}.nii"))
        nib.save(img, paths[-1])
    table = pd.DataFrame({"subject_label": subjects, "map_name": "a", "effects_map_path": paths})
    age = pd.DataFrame({"subject_label": subjects, "age": rng.normal(size=12)})
    site = pd.Series([0, 1] * 6, index=subjects)
    options: Any = {
        "confounds": age,
        "second_level_contrast": "age",
        "mask": MASK,
        "n_perm": 80,
        "random_state": 0,
    }
    plain: Any = non_parametric_inference(table, exchangeability_blocks=site, **options)
    upside_down = table.iloc[::-1]
    again: Any = non_parametric_inference(
        upside_down, exchangeability_blocks=site.iloc[::-1], **options
    )
    np.testing.assert_array_equal(again.get_fdata(), plain.get_fdata())
    with pytest.raises(ValueError, match="a pandas Series indexed by subject label"):
        non_parametric_inference(upside_down, exchangeability_blocks=site.tolist(), **options)
    there: Any
    with joblib.parallel_config(backend="threading", n_jobs=2):
        there = non_parametric_inference(table, exchangeability_blocks=site, **options)
    np.testing.assert_array_equal(there.get_fdata(), plain.get_fdata())


def test_missing_values() -> None:
    rng = np.random.default_rng(4)
    Y = rng.normal(size=(10, int(INSIDE.sum()))).astype(np.float32)
    Y[3, 5] = Y[4, 9] = np.nan
    design = pd.DataFrame({"intercept": np.ones(10)})
    options: Any = {"design_matrix": design, "mask": MASK, "n_perm": 50, "random_state": 0}
    flat = np.flatnonzero(INSIDE.ravel(order="F"))[5]
    place = tuple(int(i) for i in np.unravel_index(flat, SHAPE, order="F"))
    with pytest.raises(ValueError, match=r"2 of .* voxels lack") as error:
        non_parametric_inference(images_of(Y), missing="raise", **options)
    assert str(place) in str(error.value)
    out: Any = non_parametric_inference(images_of(Y), missing="intersect", tfce=True, **options)
    assert (inside(out["t"])[[5, 9]] == 0).all()
    zero: Any = non_parametric_inference(images_of(Y), missing="zero", **options)
    with pytest.warns(ZeroValuesWarning, match="2 of .* voxels are exactly zero in some"):
        filled: Any = non_parametric_inference(images_of(np.nan_to_num(Y)), **options)
    np.testing.assert_array_equal(zero.get_fdata(), filled.get_fdata())


@pytest.mark.parametrize("case", ["one-sample", "groups", "F"])
def test_missing_values_leave_the_statistic_that_of_compute_contrast(case: str) -> None:
    rng = np.random.default_rng(6)
    Y = rng.normal(size=(14, int(INSIDE.sum()))).astype(np.float32)
    Y[rng.random(Y.shape) < 0.05] = np.nan
    Y[4:, 17] = np.nan  # four images are left, of one group
    design = pd.DataFrame({"a": np.repeat([1.0, 0], 7), "b": np.repeat([0, 1.0], 7)})
    design["score"] = rng.normal(size=14)
    contrast: Any = np.array([1, -1, 0])
    if case == "one-sample":
        design, contrast = design[["a"]] * 0 + 1, "a"
    elif case == "F":
        contrast = np.array([[1, -1, 0], [0, 0, 1]])
    options: Any = {"n_perm": 60, "random_state": 0, "tfce": True, "threshold": 0.05}
    imgs, flat = images_of(Y), np.flatnonzero(INSIDE.ravel(order="F"))[17]
    place = tuple(int(i) for i in np.unravel_index(flat, SHAPE, order="F"))
    with pytest.warns(UserWarning, match="1 of 100 voxels lack values and are not") as caught:
        out: Any = non_parametric_inference(
            imgs, design_matrix=design, second_level_contrast=contrast, mask=MASK, **options
        )
    assert str(place) in str(caught[0].message)
    model = SecondLevelModel(mask_img=MASK).fit(imgs, design_matrix=design)
    expected = inside(model.compute_contrast(contrast, output_type="stat"))
    letter = "F" if case == "F" else "t"
    np.testing.assert_allclose(inside(out[letter]), expected, rtol=1e-5, atol=1e-5)
    p = 10.0 ** -inside(out[f"logp_max_{letter}"])
    assert np.flatnonzero(np.isnan(p)).tolist() == [17]
    # The corrected p-values are in the order of the voxels' own p-values.
    order = np.argsort(inside(model.compute_contrast(contrast, output_type="p_value")))
    assert (np.diff(p[order][~np.isnan(p[order])]) >= -1e-6).all()


@pytest.mark.filterwarnings("ignore:.* voxels lack values and are not tested")
@pytest.mark.filterwarnings("ignore:.* voxels have no residual degrees of freedom")
def test_real_images_that_each_end_elsewhere() -> None:
    # Zeros outside a subject's brain count as missing here: thousands of patterns.
    imgs = []
    for path in sorted(data_dir("ds003338").glob("*_effect_size.nii.gz")):
        loaded: Any = nib.load(path)
        values = loaded.get_fdata(dtype=np.float32)
        values[values == 0] = np.nan
        imgs.append(nib.Nifti1Image(values, loaded.affine))  # type: ignore[no-untyped-call]
    anyone = np.isfinite([img.get_fdata() for img in imgs]).any(axis=0)
    mask = nib.Nifti1Image(anyone.astype(np.uint8), imgs[0].affine)  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(0)
    design = pd.DataFrame({"x": rng.normal(size=len(imgs)), "intercept": 1.0})
    out: Any = non_parametric_inference(
        imgs, design_matrix=design, second_level_contrast="x", mask=mask, n_perm=50,
        two_sided_test=True, random_state=0, threshold=0.001,
    )  # fmt: skip
    model = SecondLevelModel(mask_img=mask).fit(imgs, design_matrix=design)
    expected = model.compute_contrast("x", output_type="stat").get_fdata()
    np.testing.assert_allclose(out["t"].get_fdata(), expected, rtol=1e-5, atol=1e-5)
    result = out.results[0]
    np.testing.assert_array_equal(np.isnan(result.p_value["t"]), result.untested)
    assert 0 < result.untested.sum() < 0.1 * len(result.untested)
    # Without an effect, voxels with few images are no likelier to be the largest of all.
    assert np.nanmin(result.p_value["t"]) > 0.05


def test_images_are_resampled_as_the_estimator_does() -> None:
    imgs = smooth_images(12)
    design = pd.DataFrame({"x": np.linspace(-1, 1, 12), "intercept": 1.0})
    target: Any = {"target_affine": np.diag([3.0, 3.0, 3.0]), "smoothing_fwhm": 3.0}
    model = SecondLevelModel(mask_img=MASK, **target).fit(imgs, design_matrix=design)
    out: Any = non_parametric_inference(
        imgs, design_matrix=design, second_level_contrast="x", mask=MASK, n_perm=30, tfce=True,
        random_state=0, **target,
    )  # fmt: skip
    expected = model.compute_contrast("x", output_type="stat")
    assert out["t"].shape == expected.shape != SHAPE
    np.testing.assert_allclose(out["t"].affine, expected.affine)
    np.testing.assert_allclose(out["t"].get_fdata(), expected.get_fdata(), rtol=1e-5, atol=1e-5)


def test_resume_from_a_result() -> None:
    imgs = smooth_images(12)
    options: Any = {
        "design_matrix": pd.DataFrame({"intercept": np.ones(12)}),
        "mask": MASK,
        "threshold": 0.05,
    }
    part: Any = non_parametric_inference(imgs, n_perm=40, random_state=1, **options)
    whole: Any = non_parametric_inference(imgs, n_perm=90, random_state=1, **options)
    again: Any = non_parametric_inference(imgs, n_perm=90, resume=part, **options)
    for name, img in whole.items():
        np.testing.assert_array_equal(again[name].get_fdata(), img.get_fdata())


def base(n: int = 12, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    design = pd.DataFrame({"x": rng.normal(size=n), "intercept": 1.0})
    return {
        "second_level_input": smooth_images(n),
        "design_matrix": design,
        "second_level_contrast": "x",
        "mask": MASK,
        "n_perm": 30,
        "random_state": 0,
        **changes,
    }


ONES = pd.DataFrame({"intercept": np.ones(12)})
GROUPS = pd.DataFrame({"a": np.repeat([1.0, 0], 6), "b": np.repeat([0, 1.0], 6)})
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"threshold": 3.0}, ValueError, "threshold is 3, but on the scale of p.*scale='z'"),
    ({"threshold": 0.0}, ValueError, "must lie between 0 and 1"),
    ({"threshold": -2.0, "cluster_threshold_scale": "z"}, ValueError, "must be above zero"),
    ({"threshold": 40.0, "cluster_threshold_scale": "z"}, ValueError, "is 40; .*below 38"),
    ({"threshold": "3"}, TypeError, "threshold is '3'; 'threshold' must be of type int or float"),
    ({"cluster_threshold_scale": "t"}, ValueError, "one of 'p' or 'z'"),
    ({"method": "manly"}, ValueError, "'freedman-lane', 'ter-braak' or 'smith'"),
    ({"n_perm": 1.5}, TypeError, "whole number"),
    ({"n_perm": -1}, ValueError, "from 0"),
    ({"random_state": "seed"}, TypeError, "random_state is 'seed'"),
    ({"random_state": -3}, ValueError, "at least 0"),
    ({"tail": "normal"}, ValueError, "'gpd' or 'gamma'"),
    ({"tfce": "fast"}, ValueError, "'exact' or 'steps'"),
    ({"tfce": True, "tfce_powers": (1, -1)}, ValueError, "at least zero"),
    ({"connectivity": 8}, ValueError, "6, 18 or 26"),
    ({"missing": "drop"}, ValueError, "one of 'omit', 'zero', 'raise' or 'intersect'"),
    ({"sign_flip": "both"}, ValueError, "True, False or None"),
    ({"exchangeability_blocks": [1, 2]}, ValueError, r"\(12,\), one label for each image"),
    ({"block_permutation": "whole"}, ValueError, "needs exchangeability_blocks"),
    (
        {"design_matrix": ONES, "second_level_contrast": None, "sign_flip": False},
        ValueError,
        "no permutation can test it; give sign_flip=True",
    ),
    (
        {
            "design_matrix": GROUPS,
            "second_level_contrast": "a - b",
            "exchangeability_blocks": np.repeat([0, 1], 6),
        },
        ValueError,
        "make the test impossible.*within any block; give block_permutation='whole'",
    ),
    (
        {
            "design_matrix": GROUPS,
            "second_level_contrast": "a - b",
            "exchangeability_blocks": np.tile(np.arange(6), 2),
            "block_permutation": "whole",
        },
        ValueError,
        "between blocks of the same size; give block_permutation='within'",
    ),
    ({"variance_groups": range(12)}, ValueError, "a group of 1 images .*join groups"),
    (
        {"variance_groups": np.repeat([0, 1], 6), "method": "smith"},
        ValueError,
        "need method='freedman-lane'",
    ),
    (
        {
            "design_matrix": GROUPS,
            "second_level_contrast": "a - b",
            "variance_groups": np.repeat([0, 1], 6),
            "sign_flip": False,
        },
        ValueError,
        "different variance_groups cannot .* sign_flip=True",
    ),
    ({"tail": "gpd", "n_perm": 60}, ValueError, "at least 100 .*raise n_perm"),
    ({"resume": 3}, TypeError, "resume is a int"),
    (
        {"mask": nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))},  # type: ignore[no-untyped-call]
        GridMismatchError,
        "mask",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD, ids=[b[2][:30] for b in BAD])
def test_bad_input(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        non_parametric_inference(**base(**changes))


@pytest.mark.filterwarnings("ignore::groupglm.errors.RankDeficientWarning")
def test_a_contrast_that_cannot_be_estimated() -> None:
    design = GROUPS.assign(intercept=1.0)
    with pytest.raises(NotEstimableError, match="columns 'a', 'b' and 'intercept'"):
        non_parametric_inference(**base(design_matrix=design, second_level_contrast="a"))


WARNED: list[tuple[dict[str, Any], str]] = [
    ({"threshold": 0.001, "cluster_threshold_scale": "z"}, "taken for a z-value"),
    ({"threshold": 0.7}, "taken for a p-value"),
    ({"second_level_contrast": np.eye(2), "two_sided_test": True}, "no effect on an F contrast"),
    (
        {
            "design_matrix": GROUPS,
            "second_level_contrast": "a - b",
            "variance_groups": np.repeat([0, 1], 6),
        },
        "the smallest group has 6 images; if these vary most",
    ),
    ({"n_perm": 10}, "n_perm=10 gives no p-value below 0.091"),
    ({"exchangeability_blocks": [0] * 2 + list(range(1, 11))}, "no p-value can be below 0.5.*larg"),
    (
        {"design_matrix": GROUPS, "second_level_contrast": "a - b", "n_perm": 1000},
        "all 924 different permutations",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WARNED, ids=[w[1][:30] for w in WARNED])
def test_warnings_that_say_what_to_do(changes: dict[str, Any], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        non_parametric_inference(**base(**changes))


def test_no_voxel_varies() -> None:
    constant = [image(INSIDE.astype(np.float32)) for _ in range(12)]
    with pytest.raises(ValueError, match="no voxel varies"):
        non_parametric_inference(**base(second_level_input=constant))


def test_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    non_parametric_inference(**base(verbose=2))
    assert "The mask has" in capsys.readouterr().out


def test_few_of_very_many_permutations() -> None:
    # 400! has no place in a float.
    n = 400
    x = np.arange(n, dtype=float)
    Y = np.random.default_rng(0).normal(size=(n, 3))
    with pytest.warns(UserWarning, match=r"n_perm=5 .* there are 1e\+300 different permutations"):
        permuted_ols(x, Y, n_perm=5)
    ones = np.ones(16)
    with pytest.warns(UserWarning, match=r"n_perm=5 .* there are 65,536 different sign flips"):
        permuted_ols(ones, Y[:16], n_perm=5, model_intercept=False)
