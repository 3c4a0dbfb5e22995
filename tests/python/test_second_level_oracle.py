# SPDX-License-Identifier: BSD-3-Clause
"""SecondLevelModel voxel by voxel against nilearn's, on made-up images and on a real study."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from groupglm import SecondLevelModel, make_second_level_design_matrix
from reference import ols

# nibabel is not typed throughout.
Image: Any = nib.Nifti1Image
concat: Any = nib.funcs.concat_images
load: Any = nib.load

SHAPE = (9, 10, 8)
AFFINE = np.array([[3.0, 0, 0, -12], [0, 3.0, 0, -15], [0, 0, 3.0, -9], [0, 0, 0, 1]])
N_IMAGES = 15
OUTPUTS = ("z_score", "stat", "p_value", "effect_size", "effect_variance")

# Our maps are float32: 2^-24 relative is theirs to lose. A z-score or a log p-value inherits the
# error of the statistic multiplied by about |z|, here below 40.
FLOAT32 = 2.0**-24

Kind = Literal["memory", "paths", "4D"]


def brain() -> npt.NDArray[np.bool_]:
    """An ellipsoid that leaves a margin."""
    where = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    inside: npt.NDArray[np.bool_] = (where**2).sum(axis=0) < 14.0
    return inside


def images(dtype: type[np.floating[Any]]) -> list[Any]:
    """Draw one map an image: an effect that fades along x, noise, zero outside the brain."""
    rng = np.random.default_rng(20)
    effect = np.linspace(-1.5, 3.0, SHAPE[0])[:, None, None]
    return [
        Image(np.where(brain(), 5.0 + effect + rng.normal(size=SHAPE), 0.0).astype(dtype), AFFINE)
        for _ in range(N_IMAGES)
    ]


def hand_over(imgs: list[Any], kind: Kind, folder: Path) -> Any:
    if kind == "memory":
        return imgs
    if kind == "4D":
        return concat(imgs)
    paths = [folder / f"map{i:02d}.nii.gz" for i in range(len(imgs))]
    for img, path in zip(imgs, paths, strict=True):
        nib.save(img, path)
    return [str(path) for path in paths]


def design_matrices() -> dict[str, tuple[pd.DataFrame, list[Any]]]:
    """Designs, each with contrasts as names, expressions, vectors and matrices."""
    rng = np.random.default_rng(21)
    group = np.arange(N_IMAGES) % 3
    age = rng.uniform(20.0, 70.0, N_IMAGES)
    cells = {name: (group == g).astype(float) for g, name in enumerate(("ctrl", "drug", "sham"))}
    return {
        "one-sample": (pd.DataFrame({"intercept": np.ones(N_IMAGES)}), ["intercept", [1.0], None]),
        "regression": (
            pd.DataFrame({"age": age, "score": rng.normal(size=N_IMAGES), "intercept": 1.0}),
            ["age", "intercept - 2*score", [0.0, 1.0, 0.0], np.eye(3)[:2]],
        ),
        "groups": (
            pd.DataFrame({**cells, "age": age}),
            ["drug - ctrl", "ctrl + drug - 2*sham", [[1, -1, 0, 0], [0, 1, -1, 0]]],
        ),
    }


def nilearn_fit(given: Any, design: pd.DataFrame | None, **options: Any) -> Any:
    """Fit with nilearn, whose remarks about plotting and masks say nothing about the numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nilearn.glm.second_level import SecondLevelModel as Theirs

        return Theirs(**options).fit(given, design_matrix=design)


def nilearn_contrast(model: Any, contrast: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.compute_contrast(contrast, **options)


def in_mask(mask_img: Any) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = mask_img.get_fdata() > 0
    return mask


def assert_same_map(
    found: Any,
    wanted: Any,
    mask: npt.NDArray[np.bool_],
    name: str,
    *,
    rtol: float,
) -> None:
    """Compare inside the mask; outside both are zero."""
    np.testing.assert_array_equal(found.affine, wanted.affine)
    ours, theirs = (np.squeeze(img.get_fdata()) for img in (found, wanted))
    assert ours.shape == theirs.shape
    assert not np.any(ours[~mask])
    a, b = ours[mask], theirs[mask]
    if name == "p_value":
        # d log p = z dz: the error of the statistic, as many times as there are nepers.
        steps = 1.0 - np.log(np.maximum(b, 1e-300))
        representable = b > 1e-37  # below that float32 has fewer bits
        error = np.abs(a / np.where(b == 0, 1, b) - 1)[representable]
        assert np.all(error <= (2 * rtol * steps + FLOAT32)[representable]), error.max()
        assert np.all(a[~representable] <= 1.01e-37)
        return
    if name == "z_score":
        unclipped = np.abs(b) < 37.0  # where nilearn's own limit at p = 1e-300 does not bite
        a, b = a[unclipped], b[unclipped]
    np.testing.assert_allclose(a, b, rtol=rtol + FLOAT32, atol=rtol * np.median(np.abs(b)))


@pytest.mark.parametrize("kind", ["memory", "paths", "4D"])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-8)])
def test_every_output_of_every_contrast(
    kind: Kind, dtype: type[np.floating[Any]], rtol: float, tmp_path: Path
) -> None:
    given = hand_over(images(dtype), kind, tmp_path)
    mask_img = Image(brain().astype(np.uint8), AFFINE)
    for design, contrasts in design_matrices().values():
        ours: Any = SecondLevelModel(mask_img=mask_img).fit(given, design_matrix=design)
        theirs = nilearn_fit(given, design, mask_img=mask_img)
        for contrast in contrasts:
            found = ours.compute_contrast(contrast, output_type="all")
            wanted = nilearn_contrast(theirs, contrast, output_type="all")
            assert set(found) == set(OUTPUTS)
            for name in OUTPUTS:
                if name == "effect_size" and np.ndim(contrast) == 2:
                    continue  # ours are the rows' own effects on purpose, tested below
                assert_same_map(found[name], wanted[name], brain(), name, rtol=rtol)
                alone = ours.compute_contrast(contrast, output_type=name)
                np.testing.assert_array_equal(alone.get_fdata(), found[name].get_fdata())


@pytest.mark.parametrize("as_path", [False, True])
def test_masks_given_and_found(as_path: bool, tmp_path: Path) -> None:
    given = hand_over(images(np.float64), "memory", tmp_path)
    design, _ = design_matrices()["groups"]
    half = brain()
    half[:4] = False
    half_img = Image(half.astype(np.uint8), AFFINE)
    nib.save(half_img, tmp_path / "half.nii.gz")
    for mask_img in (str(tmp_path / "half.nii.gz") if as_path else half_img, None):
        ours: Any = SecondLevelModel(mask_img=mask_img).fit(given, design_matrix=design)
        theirs = nilearn_fit(given, design, mask_img=mask_img)
        np.testing.assert_array_equal(in_mask(ours.mask_img_), in_mask(theirs.masker_.mask_img_))
        found, wanted = (
            ours.compute_contrast("drug - ctrl", output_type="stat"),
            nilearn_contrast(theirs, "drug - ctrl", output_type="stat"),
        )
        assert_same_map(found, wanted, in_mask(theirs.masker_.mask_img_), "stat", rtol=1e-8)


def test_stat_type_overrides_the_shape() -> None:
    given, (design, _) = images(np.float64), design_matrices()["regression"]
    mask_img = Image(brain().astype(np.uint8), AFFINE)
    ours: Any = SecondLevelModel(mask_img=mask_img).fit(given, design_matrix=design)
    theirs = nilearn_fit(given, design, mask_img=mask_img)
    found = ours.compute_contrast("age", second_level_stat_type="F", output_type="all")
    wanted = nilearn_contrast(theirs, "age", second_level_stat_type="F", output_type="all")
    for name in ("stat", "p_value", "z_score", "effect_variance"):
        assert_same_map(found[name], wanted[name], brain(), name, rtol=1e-8)


def test_effect_size_of_f_is_the_rows_own_effects() -> None:
    """Where we differ on purpose: C beta, as it is, one volume a row."""
    design, _ = design_matrices()["groups"]
    imgs = images(np.float64)
    C = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0]])
    mask_img = Image(brain().astype(np.uint8), AFFINE)
    model: Any = SecondLevelModel(mask_img=mask_img).fit(imgs, design_matrix=design)
    effect = model.compute_contrast(C, output_type="effect_size").get_fdata()
    assert effect.shape == (*SHAPE, 2)
    Y = np.array([img.get_fdata()[brain()] for img in imgs])
    wanted = C @ ols.fit(design.to_numpy(), Y).beta
    np.testing.assert_allclose(effect[brain()].T, wanted, rtol=FLOAT32, atol=1e-8)


def test_design_matrix_made_from_confounds() -> None:
    """The rows follow the subjects asked for, as nilearn's do."""
    labels = [f"sub-{i:02d}" for i in range(6)]
    rng = np.random.default_rng(24)
    confounds = pd.DataFrame(
        {"subject_label": labels[::-1], "age": rng.normal(size=6), "iq": rng.normal(size=6)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nilearn.glm.second_level import make_second_level_design_matrix as theirs

        wanted = theirs(labels, confounds)
    found = make_second_level_design_matrix(labels, confounds)
    assert list(found.columns) == list(wanted.columns)
    np.testing.assert_array_equal(found.to_numpy(), wanted.to_numpy())


def study() -> list[str]:
    """Find the effect maps of the 20 subjects of ds003338, or skip."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("GROUPGLM_TEST_DATA", default)) / "ds003338"
    paths = sorted(str(path) for path in folder.glob("sub-*_effect_size.nii.gz"))
    if not paths:
        pytest.skip(f"no effect maps in {folder}; set GROUPGLM_TEST_DATA to the test data")
    return paths


@pytest.mark.parametrize("given_mask", [False, True])
def test_a_real_study(given_mask: bool) -> None:
    """Twenty subjects, float64 maps: the mask and every output, voxel by voxel."""
    paths = study()
    first = load(paths[0])
    mask_img = None
    if given_mask:
        present = np.all([load(path).get_fdata() != 0 for path in paths], axis=0)
        mask_img = Image(present.astype(np.uint8), first.affine)
    age = np.random.default_rng(22).uniform(20.0, 60.0, len(paths))
    design = pd.DataFrame({"intercept": 1.0, "age": age - age.mean()})
    ours: Any = SecondLevelModel(mask_img=mask_img).fit(paths, design_matrix=design)
    theirs = nilearn_fit(paths, design, mask_img=mask_img)
    mask = in_mask(theirs.masker_.mask_img_)
    np.testing.assert_array_equal(in_mask(ours.mask_img_), mask)
    assert mask.sum() > 50_000
    for contrast in ("intercept", "age"):
        found = ours.compute_contrast(contrast, output_type="all")
        wanted = nilearn_contrast(theirs, contrast, output_type="all")
        for name in OUTPUTS:
            assert_same_map(found[name], wanted[name], mask, name, rtol=1e-8)
