# SPDX-License-Identifier: BSD-3-Clause
"""Fitted first-level models as input: nilearn's own for real, and any by protocol."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from contract.fake_models import KnownVariance
from groupglm import SecondLevelModel
from groupglm.errors import GridMismatchError, ImageError

SHAPE = (7, 8, 9)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
N_SCANS = 24
LABELS = ["03", "01", "02"]
OUTPUTS = ("z_score", "stat", "p_value", "effect_size", "effect_variance")


def image(values: Any, affine: Any = AFFINE) -> Any:
    return nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


@pytest.fixture(autouse=True)
def _quiet_nilearn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(Generation of a mask|matplotlib).*")
        yield


def first_level(label: str | None, seed: int, **options: Any) -> Any:
    """Fit nilearn's first-level model to a short series with two conditions."""
    from nilearn.glm.first_level import FirstLevelModel

    rng = np.random.default_rng(seed)
    design = pd.DataFrame(
        {"faces": np.arange(N_SCANS) % 2, "houses": rng.normal(size=N_SCANS), "constant": 1.0}
    )
    series = 100 + rng.normal(size=(*SHAPE, N_SCANS)) + 3 * design["faces"].to_numpy()
    mask = options.pop("mask", image(np.ones(SHAPE, np.uint8)))
    model = FirstLevelModel(mask_img=mask, subject_label=label, noise_model="ols", **options)
    return model.fit(image(series.astype(np.float32)), design_matrices=[design])


@pytest.fixture(scope="module")
def models() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [first_level(label, seed) for seed, label in enumerate(LABELS)]


@pytest.fixture
def mask() -> Any:
    return image(np.ones(SHAPE, np.uint8))


def test_variances_are_those_of_the_models_effects(models: list[Any], mask: Any) -> None:
    """With nilearn's models for real: the maps that their users would save."""
    model = SecondLevelModel(mask, model=KnownVariance()).fit(models)
    found = model.compute_contrast("intercept", "faces - houses", output_type="all")
    y, v = (
        np.stack(
            [own.compute_contrast("faces - houses", output_type=kind).get_fdata() for own in models]
        )
        for kind in ("effect_size", "effect_variance")
    )
    assert (v > 0).all()
    variance = 1 / (1 / v).sum(axis=0)
    # Maps are float32: 6e-8 of the value.
    np.testing.assert_allclose(found["effect_variance"].get_fdata(), variance, rtol=2e-7)
    effect = variance * (y / v).sum(axis=0)
    np.testing.assert_allclose(found["effect_size"].get_fdata(), effect, rtol=2e-7)


class Counted:
    """The smallest possible first-level model: a label and maps. It counts its calls."""

    def __init__(self, label: str | None, seed: int, affine: Any = AFFINE) -> None:
        self.subject_label = label
        self.asked: list[Any] = []
        self._seed = seed
        self._affine = affine

    def compute_contrast(self, contrast_def: Any, *, output_type: str) -> Any:
        assert output_type == "effect_size"
        if isinstance(contrast_def, str) and contrast_def == "unknown":
            raise KeyError("no such condition")
        self.asked.append(contrast_def)
        salt = len(str(contrast_def))
        rng = np.random.default_rng([self._seed, salt])
        return image(rng.normal(2, 1, SHAPE).astype(np.float32), self._affine)


def counted(n: int = 5) -> list[Any]:
    return [Counted(f"{place:02d}", place) for place in range(n)]


@pytest.mark.parametrize(
    "first_level_contrast",
    ["faces", "faces - houses", np.array([0.0, 1.0, 0.0]), [np.array([1.0, -1.0, 0.0])]],
    ids=["name", "expression", "vector", "list"],
)
def test_real_models_equal_nilearn(models: list[Any], mask: Any, first_level_contrast: Any) -> None:
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    ours = SecondLevelModel(mask_img=mask).fit(models)
    theirs = Theirs(mask_img=mask).fit(models)
    found = ours.compute_contrast("intercept", first_level_contrast, output_type="all")
    wanted = theirs.compute_contrast("intercept", first_level_contrast, output_type="all")
    for name in OUTPUTS:
        # float32 maps of float32 effects: a few units in the last place, of a statistic on 2 df.
        np.testing.assert_allclose(
            found[name].get_fdata(), wanted[name].get_fdata(), rtol=2e-5, atol=1e-6, err_msg=name
        )
    assert ours.second_level_input_ is models


def test_confounds_are_matched_by_the_models_labels(models: list[Any], mask: Any) -> None:
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    confounds = pd.DataFrame({"subject_label": ["01", "02", "03"], "age": [-1.0, 0.2, 1.1]})
    ours = SecondLevelModel(mask_img=mask).fit(models, confounds=confounds)
    theirs = Theirs(mask_img=mask).fit(models, confounds=confounds)
    assert ours.design_matrix_["age"].tolist() == [1.1, -1.0, 0.2]
    np.testing.assert_allclose(
        ours.compute_contrast("age", "faces", output_type="stat").get_fdata(),
        theirs.compute_contrast("age", "faces", output_type="stat").get_fdata(),
        rtol=2e-4,  # one residual degree of freedom: the variance is one number's square
        atol=1e-5,
    )
    np.testing.assert_array_equal(ours.confounds_, confounds)


def test_a_labelled_design_is_aligned_with_the_models(mask: Any) -> None:
    models = counted()
    design = pd.DataFrame({"intercept": 1.0, "dose": [1.0, 2.0, 4.0, 3.0, 0.0]})
    plain = SecondLevelModel(mask_img=mask).fit(models, design_matrix=design)
    wanted = plain.compute_contrast("dose", "a").get_fdata()
    labelled = design.assign(subject_label=[m.subject_label for m in models])
    for frame in (labelled.iloc[::-1], labelled.iloc[::-1].set_index("subject_label")):
        model = SecondLevelModel(mask_img=mask).fit(models, design_matrix=frame)
        np.testing.assert_array_equal(model.compute_contrast("dose", "a").get_fdata(), wanted)


def test_each_first_level_contrast_is_computed_once_and_kept(mask: Any) -> None:
    models = counted()
    design = pd.DataFrame({"intercept": 1.0, "dose": np.arange(5.0)})
    model = SecondLevelModel(mask_img=mask, n_jobs=2).fit(models, design_matrix=design)
    assert [m.asked for m in models] == [[]] * 5
    model.compute_contrast("dose", "a")
    model.compute_contrast("intercept", "a")
    model.compute_contrast("dose", np.array([1.0, 2.0]))
    model.compute_contrast("intercept", [1.0, 2.0])
    model.compute_contrast("dose - intercept", "a", output_type="all")
    for first in models:
        assert len(first.asked) == 2
        assert first.asked[0] == "a"


def test_residuals_compute_the_maps_again(mask: Any) -> None:
    models = counted()
    model = SecondLevelModel(mask_img=mask, minimize_memory=False).fit(models)
    effect = model.compute_contrast(None, "a", output_type="effect_size").get_fdata()
    maps = np.stack(
        [m.compute_contrast("a", output_type="effect_size").get_fdata() for m in models]
    )
    np.testing.assert_allclose(
        np.moveaxis(model.residuals_.get_fdata(), -1, 0), maps - effect, atol=1e-6
    )


def test_models_without_labels_keep_their_order(mask: Any) -> None:
    models = [Counted(None, place) for place in range(4)]
    model = SecondLevelModel(mask_img=mask).fit(models)
    assert model.design_matrix_.columns.tolist() == ["intercept"]
    assert model.compute_contrast(first_level_contrast="a").shape == SHAPE
    with pytest.raises(ValueError, match=r"no subject_label to match.*model.subject_label = '01'"):
        SecondLevelModel().fit(
            models,
            design_matrix=pd.DataFrame({"intercept": 1.0, "subject_label": list("abcd")}),
        )


def test_the_fit_of_models_can_be_stored(mask: Any) -> None:
    model = SecondLevelModel(mask_img=mask).fit(counted())
    stat = model.compute_contrast(None, "a").get_fdata()
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(again.compute_contrast(None, "a").get_fdata(), stat)


def test_the_first_level_contrast_is_mandatory(models: list[Any], mask: Any) -> None:
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    for theirs_or_ours in (SecondLevelModel, Theirs):
        model = theirs_or_ours(mask_img=mask).fit(models)
        with pytest.raises(ValueError, match="first_level_contrast is mandatory"):
            model.compute_contrast("intercept")
    with pytest.raises(AttributeError, match="several kinds of maps, and none has been fitted"):
        _ = SecondLevelModel(mask_img=mask).fit(models).masker_


def test_models_are_refused_with_the_words_of_nilearn(models: list[Any]) -> None:
    from nilearn.glm.first_level import FirstLevelModel
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    larger = first_level("04", 9, mask=image(np.ones(SHAPE, np.uint8)))
    larger.masker_.mask_img_ = image(np.ones((5, 5, 5), np.uint8))
    moved = first_level("04", 9)
    moved.masker_.mask_img_ = image(np.ones(SHAPE, np.uint8), np.diag([2.0, 2, 2, 1]))
    confounds = pd.DataFrame({"subject_label": ["01", "02", "03"], "age": [1.0, 2.0, 4.0]})
    cases: list[tuple[list[Any], Any, str, bool]] = [
        ([*models, FirstLevelModel(subject_label="9")], None, "odel 9.*has not been fit", True),
        ([models[0], first_level(None, 1)], confounds, "attribute 'subject_label' to match", True),
        ([models[0]], None, "at least two first level models", True),
        ([models[0], "a.nii"], None, "must be of the same type", True),
        # nilearn compares the masks that were given; ours those that were used.
        ([*models, larger], None, "first level models must have the same shape", False),
        ([*models, moved], None, "first level models must have the same affine", False),
    ]
    for given, these, message, theirs_too in cases:
        for model in (SecondLevelModel(), Theirs()) if theirs_too else (SecondLevelModel(),):
            with pytest.raises((ValueError, TypeError), match=message):
                model.fit(given, confounds=these)


def test_what_a_model_cannot_compute_says_whose(mask: Any) -> None:
    model = SecondLevelModel(mask_img=mask).fit(counted())
    with pytest.raises(ImageError, match=r"model 1 \(subject_label '00'\).*'unknown'.*no such"):
        model.compute_contrast(None, "unknown")
    with pytest.raises(TypeError, match="first_level_contrast is a dict"):
        model.compute_contrast(None, {"a": 1})


def test_maps_on_another_grid_are_refused(mask: Any) -> None:
    models = [*counted(), Counted("99", 9, np.diag([2.0, 2.0, 2.0, 1.0]))]
    model = SecondLevelModel(mask_img=mask).fit(models)
    with pytest.raises(GridMismatchError, match=r"model 6 \(subject_label '99'\).*not on the grid"):
        model.compute_contrast(None, "a")
