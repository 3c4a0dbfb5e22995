# SPDX-License-Identifier: BSD-3-Clause
"""Rows of values at every public door have nilearn's order, that of ``image[mask]`` in numpy."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import NiftiMasker
from nilearn.masking import apply_mask, unmask
from numpy.typing import NDArray

from groupglm import SecondLevelModel, fit_ols, non_parametric_inference, permuted_ols
from groupglm.inference.permutation.arrays import PermutationOutputs

SHAPE = (6, 7, 5)
N = 10
DESIGN = pd.DataFrame({"intercept": np.ones(N), "age": np.linspace(-1, 1, N) ** 3 - 0.1})
AFFINES = {
    "flips": np.array([[-2.0, 0, 0, 9], [0, 3, 0, -8], [0, 0, -4, 7], [0, 0, 0, 1]]),
    "axes exchanged": np.array([[0, 0, 2.0, 1], [-3, 0, 0, 2], [0, 4, 0, 3], [0, 0, 0, 1]]),
}


@dataclass(frozen=True)
class Study:
    """Images whose values are all different, and a mask that no flip or turn leaves as it is."""

    images: list[Any]
    mask: Any
    inside: NDArray[np.bool_]

    @property
    def rows(self) -> NDArray[np.float32]:
        """The values as nilearn gathers them, (n_images, n_voxels); numpy's own as well."""
        found = np.asarray(apply_mask(self.images, self.mask))
        own = np.stack([np.asarray(image.dataobj)[self.inside] for image in self.images])
        np.testing.assert_array_equal(found, own)
        return own

    @property
    def masker(self) -> Any:
        masker = NiftiMasker(mask_img=self.mask, standardize=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of plotting packages that are absent
            return masker.fit()


def image(values: Any, affine: Any) -> Any:
    return nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


@pytest.fixture(params=[(name, order) for name in AFFINES for order in "CF"], ids=" ".join)
def study(request: pytest.FixtureRequest) -> Study:
    name, order = request.param
    rng = np.random.default_rng(0)
    inside = rng.random(SHAPE) < 0.5
    affine = AFFINES[name]
    images = []
    for _ in range(N):
        values = rng.normal(3, 1, SHAPE).astype(np.float32)
        values[1] += 2  # a slab, for clusters
        images.append(image(np.asarray(values, order=order), affine))
    return Study(images, image(np.asarray(inside, np.uint8, order=order), affine), inside)


def fitted(study: Study, **options: Any) -> SecondLevelModel:
    return SecondLevelModel(**{"mask_img": study.mask, **options}).fit(
        study.images, design_matrix=DESIGN
    )


def test_images_to_rows(study: Study, tmp_path: Path) -> None:
    ours, theirs = fitted(study).masker_, study.masker
    assert ours.n_elements_ == theirs.n_elements_ == study.inside.sum()
    np.testing.assert_array_equal(ours.transform(study.images), study.rows)
    np.testing.assert_array_equal(ours.fit_transform(study.images), study.rows)
    series = image(np.stack([i.dataobj for i in study.images], axis=-1), study.mask.affine)
    path = tmp_path / "one.nii.gz"
    study.images[4].to_filename(path)
    one = study.images[4]
    single = one.slicer[..., None] if one.ndim == 4 else image(one.dataobj[..., None], one.affine)
    for given in (series, one, str(path), [str(path)], [one], single, study.images[:3]):
        wanted, found = theirs.transform(given), ours.transform(given)
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(ours.fit_transform(given), wanted)
    np.testing.assert_array_equal(ours.transform(path), study.rows[4])  # nilearn wants a text
    np.testing.assert_array_equal(ours.transform(pd.Series([str(path)])), study.rows[[4]])


def test_rows_to_images(study: Study) -> None:
    ours, theirs = fitted(study).masker_, study.masker
    for values in (study.rows, study.rows[2], study.rows[[2]]):
        wanted, found = theirs.inverse_transform(values), ours.inverse_transform(values)
        np.testing.assert_array_equal(found.get_fdata(), wanted.get_fdata())
        np.testing.assert_array_equal(found.get_fdata(), unmask(values, study.mask).get_fdata())
        np.testing.assert_array_equal(found.affine, wanted.affine)
    for shape in ((3,), (2, 3), (ours.n_elements_, 1), (1, 1, ours.n_elements_), ()):
        with pytest.raises(ValueError, match="Input to 'inverse_transform' has wrong shape"):
            ours.inverse_transform(np.zeros(shape))
    with pytest.raises(ValueError, match="Input to 'inverse_transform' has wrong shape"):
        theirs.inverse_transform(np.zeros((2, 3)))


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_models_own_transform_names_its_columns(
    study: Study, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        from groupglm.engine.row_store import RowStore

        monkeypatch.setattr(
            "groupglm.group.fit_group.RowStore",
            lambda *arguments, memory_budget, **own: RowStore(*arguments, memory_budget=0, **own),
        )
    model = SecondLevelModel(study.mask)
    np.testing.assert_array_equal(
        model.fit_transform(study.images, design_matrix=DESIGN), study.rows
    )
    np.testing.assert_array_equal(model.transform(study.images), study.rows)
    np.testing.assert_array_equal(model.transform(study.images[1]), study.rows[[1]])
    names = [f"voxel_{i}_{j}_{k}" for i, j, k in np.argwhere(study.inside)]
    assert model.get_feature_names_out().tolist() == names
    frame = model.set_output(transform="pandas").transform(study.images)
    assert frame.columns.tolist() == names
    np.testing.assert_array_equal(
        model.masker_.inverse_transform(frame).get_fdata(),
        study.masker.inverse_transform(frame).get_fdata(),
    )


@pytest.mark.parametrize("holes", [False, True])
def test_the_fits_own_numbers(study: Study, holes: bool, tmp_path: Path) -> None:
    if holes:
        places = np.argwhere(study.inside)
        study.images[3].dataobj[tuple(places[4])] = np.nan
        study.images[3].dataobj[tuple(places[9])] = np.nan
        study.images[5].dataobj[tuple(places[9])] = np.nan
    model = fitted(study)
    Y = np.stack([np.asarray(each.dataobj)[study.inside] for each in study.images])
    wanted = fit_ols(DESIGN, Y)  # of the rows as they are gathered here
    loaded = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
    travelled = pickle.loads(pickle.dumps(model.results_))  # noqa: S301 - our own bytes
    for found in (model.results_, loaded.results_, travelled):
        for name in (
            "beta", "mean", "rss", "residual_variance", "residual_sd", "r_square",
            "n_observations", "rank", "df_residual",
        ):  # fmt: skip
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), name)
        np.testing.assert_array_equal(found.predicted(), wanted.predicted())
        np.testing.assert_array_equal(found.residuals(None, Y), wanted.residuals(None, Y))
        np.testing.assert_array_equal(found.maps()["r_square"](), wanted.r_square)
        for contrast in ([0.0, 1.0], np.eye(2)):
            theirs, ours = wanted.contrast(contrast), found.contrast(contrast)
            for name in ("effect_size", "effect_variance", "stat", "p_value", "z_score"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), name)
    # The maps are of the same voxels.
    stat = model.compute_contrast("age", output_type="stat")
    np.testing.assert_array_equal(
        np.asarray(stat.dataobj)[study.inside],
        np.float32(model.results_.contrast([0.0, 1.0]).stat),
    )
    np.testing.assert_array_equal(loaded.masker_.transform(study.images), Y)


def test_the_mask_of_a_masker_and_one_that_is_found(study: Study) -> None:
    given = fitted(study, mask_img=study.masker)
    np.testing.assert_array_equal(given.masker_.transform(study.images), study.rows)
    again = fitted(study, mask_img=given.masker_)
    np.testing.assert_array_equal(again.masker_.transform(study.images), study.rows)
    brain = np.pad(study.inside, 3)
    shown = [
        image(np.pad(np.where(study.inside, each.dataobj, 0), 3), each.affine)
        for each in study.images
    ]
    found = SecondLevelModel().fit(shown, design_matrix=DESIGN)
    np.testing.assert_array_equal(found.mask_img_.get_fdata() > 0, brain)
    np.testing.assert_array_equal(found.masker_.transform(shown), study.rows)
    np.testing.assert_array_equal(found.results_.beta, fit_ols(DESIGN, study.rows).beta)


def test_images_that_are_prepared(study: Study) -> None:
    options: dict[str, Any] = {"smoothing_fwhm": 5.0}
    model = fitted(study, **options)
    masker = NiftiMasker(mask_img=study.mask, standardize=None, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = masker.fit_transform(study.images)
    assert model.masker_.smoothing_fwhm == masker.smoothing_fwhm == 5.0
    # Smoothing of float32 in another order of the sums.
    np.testing.assert_allclose(model.masker_.transform(study.images), wanted, rtol=1e-5)
    affine = study.mask.affine @ np.diag([1.5, 1.5, 1.5, 1.0])
    target = {"target_affine": affine, "target_shape": (4, 4, 3)}
    moved = fitted(study, **target)
    np.testing.assert_array_equal(moved.masker_.target_affine, affine)
    assert moved.masker_.target_shape == (4, 4, 3)
    masker = NiftiMasker(mask_img=study.mask, standardize=None, **target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = masker.fit_transform(study.images)
    np.testing.assert_array_equal(moved.mask_img_.get_fdata(), masker.mask_img_.get_fdata())
    np.testing.assert_allclose(moved.masker_.transform(study.images), wanted, rtol=1e-4)
    # A model that is given the masker does what the first one did.
    with pytest.warns(UserWarning, match="Parameter target_affine"):
        again = fitted(study, mask_img=moved.masker_)
    np.testing.assert_array_equal(again.results_.beta, moved.results_.beta)
    assert fitted(study).masker_.smoothing_fwhm is None
    assert fitted(study).masker_.target_affine is None
    assert fitted(study).masker_.target_shape is None


def test_what_permutations_say_of_voxels(study: Study) -> None:
    place = tuple(np.argwhere(study.inside)[7])
    for each in study.images[: N - 2]:
        each.dataobj[place] = np.nan
    with pytest.warns(UserWarning, match="1 of .* voxels lack values and are not tested"):
        out = non_parametric_inference(
            study.images, design_matrix=DESIGN, second_level_contrast="age", mask=study.mask,
            n_perm=60, threshold=0.3, tfce=True, random_state=0,
        )  # fmt: skip
    assert isinstance(out, PermutationOutputs)
    (result,) = out.results
    assert result.untested is not None
    assert np.flatnonzero(result.untested).tolist() == [7]
    for name in ("t", "size", "mass", "tfce"):
        np.testing.assert_array_equal(
            np.float32(result.observed[name]), np.asarray(out[name].dataobj)[study.inside]
        )
        np.testing.assert_array_equal(
            np.float32(result.logp(name)), np.asarray(out[f"logp_max_{name}"].dataobj)[study.inside]
        )


def test_permutations_of_rows_know_where_voxels_lie(study: Study) -> None:
    options: dict[str, Any] = {
        "n_perm": 30, "threshold": 0.2, "tfce": True, "random_state": 0, "two_sided_test": False,
    }  # fmt: skip
    age = DESIGN["age"].to_numpy()
    ours = permuted_ols(age, study.rows, masker=fitted(study).masker_, **options)
    theirs = permuted_ols(age, study.rows, masker=study.masker, **options)
    of_images = non_parametric_inference(
        study.images, design_matrix=DESIGN, second_level_contrast="age", mask=study.mask, **options
    )
    assert isinstance(of_images, PermutationOutputs)
    assert len(np.unique(ours["size"])) > 2
    for name in ("t", "size", "mass", "tfce"):
        np.testing.assert_array_equal(ours[name], theirs[name])
        # From the images, rows are in another order inside: only sums may differ by rounding.
        found = np.asarray(of_images[name].dataobj)[study.inside]
        np.testing.assert_allclose(found, ours[name][0], rtol=1e-5, atol=1e-6)
    resumed = permuted_ols(
        age, study.rows, masker=study.masker, resume=ours, **{**options, "n_perm": 60}
    )
    whole = permuted_ols(age, study.rows, masker=study.masker, **{**options, "n_perm": 60})
    np.testing.assert_array_equal(resumed["h0_max_size"], whole["h0_max_size"])
