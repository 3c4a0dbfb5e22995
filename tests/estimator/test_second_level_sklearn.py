# SPDX-License-Identifier: BSD-3-Clause
"""The estimator as scikit-learn knows estimators, and its masker."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from groupglm import SecondLevelModel
from groupglm.engine.row_store import RowStore
from groupglm.errors import GridMismatchError, ImageError

SHAPE = (6, 6, 7)
N = 9


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


@pytest.fixture
def images() -> list[Any]:
    rng = np.random.default_rng(0)
    return [image(rng.normal(3, 1, SHAPE).astype(np.float32)) for _ in range(N)]


@pytest.fixture
def mask() -> Any:
    inside = np.zeros(SHAPE, np.uint8)
    inside[1:4, 2:5, 3:6] = 1
    return image(inside)


DESIGN = pd.DataFrame({"intercept": np.ones(N), "dose": np.linspace(-1, 1, N)})


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("options", [{}, {"smoothing_fwhm": 3}])
def test_fit_transform_is_the_transform_of_the_fit(
    images: list[Any], options: dict[str, Any], in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr(
            "groupglm.group.fit_group.RowStore",
            lambda *arguments, memory_budget, **own: RowStore(*arguments, memory_budget=0, **own),
        )
    images[3].dataobj[1, 2, 3] = np.nan
    for missing in ("omit", "zero", "intersect"):
        model = SecondLevelModel(missing=missing, **options)
        rows = model.fit_transform(images, design_matrix=DESIGN)
        np.testing.assert_array_equal(rows, model.transform(images))
        statistic = model.compute_contrast("dose", output_type="stat").get_fdata()
        rows[...] = 0  # which is the caller's: the fit does not change
        again = model.compute_contrast("dose", output_type="stat").get_fdata()
        np.testing.assert_array_equal(statistic, again)


def test_transform_gives_the_values_inside_the_mask(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(mask_img=mask)
    matrix = model.fit_transform(images, design_matrix=DESIGN)
    inside = mask.get_fdata().astype(bool)
    wanted = np.stack([img.get_fdata()[inside] for img in images])
    np.testing.assert_array_equal(matrix, wanted)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(model.transform(images[:2]), wanted[:2])
    np.testing.assert_array_equal(model.transform(images[:1]), wanted[:1])
    np.testing.assert_array_equal(model.transform(images[4]), wanted[4:5])
    with pytest.raises(ValueError, match="X must hold an image, but holds 0"):
        model.transform([])
    back = model.masker_.inverse_transform(wanted).get_fdata()
    np.testing.assert_array_equal(back[inside].T, wanted)
    assert not back[~inside].any()
    np.testing.assert_array_equal(model.masker_.mask_img_.get_fdata(), mask.get_fdata())


def test_set_output_names_columns_by_voxel(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(mask_img=mask).set_output(transform="pandas")
    frame = model.fit_transform(images, design_matrix=DESIGN)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns[:2].tolist() == ["voxel_1_2_3", "voxel_1_2_4"]
    np.testing.assert_array_equal(frame["voxel_3_4_5"], [img.dataobj[3, 4, 5] for img in images])
    assert isinstance(model.fit(images, design_matrix=DESIGN).transform(images), pd.DataFrame)


def test_set_output_polars(images: list[Any], mask: Any) -> None:
    polars = pytest.importorskip("polars")
    model = SecondLevelModel(mask_img=mask).set_output(transform="polars")
    frame = model.fit_transform(images, design_matrix=DESIGN)
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns[0] == "voxel_1_2_3"
    assert frame.shape == (N, 27)


def test_transform_refuses_another_grid(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=DESIGN)
    moved = nib.Nifti1Image(np.ones(SHAPE, np.float32), np.diag([2.0, 2, 2, 1]))  # type: ignore[no-untyped-call]
    with pytest.raises(GridMismatchError, match="not on the grid of the fit"):
        model.transform([moved, moved])


def test_before_the_fit(images: list[Any]) -> None:
    model = SecondLevelModel()
    for ask in (
        lambda: model.compute_contrast("dose"),
        lambda: model.transform(images),
        lambda: model.results_,
        lambda: model.masker_,
    ):
        with pytest.raises(NotFittedError):
            ask()


def test_a_clone_is_not_fitted_and_has_every_parameter(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(mask_img=mask, missing="intersect", n_jobs=2)
    copy = clone(model.fit(images, design_matrix=DESIGN))
    assert not copy.__sklearn_is_fitted__()
    assert copy.missing == "intersect"
    assert copy.n_jobs == 2
    assert set(copy.get_params()) >= {"mask_img", "smoothing_fwhm", "memory_level", "missing"}
    assert copy.set_params(verbose=1).verbose == 1


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_a_stored_model_answers_the_same(
    images: list[Any], mask: Any, way: str, tmp_path: Path
) -> None:
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=DESIGN)
    if way == "pickle":
        again = pickle.loads(pickle.dumps(model))  # noqa: S301
    else:
        joblib.dump(model, tmp_path / "model.joblib")
        again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(
        again.compute_contrast("dose").get_fdata(), model.compute_contrast("dose").get_fdata()
    )


def test_reprs_show_the_parameters(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(missing="zero").fit(images, design_matrix=DESIGN)
    assert "missing='zero'" in repr(model)
    assert "SecondLevelModel" in model._repr_html_()


def test_no_image_is_read_to_show_a_model(images: list[Any], mask: Any, tmp_path: Path) -> None:
    paths = []
    for number, image in enumerate(images):
        paths.append(tmp_path / f"{number}.nii.gz")
        nib.save(image, paths[-1])
    model = SecondLevelModel(mask_img=mask, minimize_memory=False)
    model.fit(paths, design_matrix=DESIGN)
    for path in paths:
        path.unlink()
    assert "27 voxels" in model._repr_html_()
    assert "mask_img_" in dir(model)
    with pytest.raises(ImageError, match=r"0\.nii\.gz"):
        model.residuals_  # noqa: B018 - which would be read


def test_the_repr_of_a_fitted_model_says_what_was_fitted(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(mask_img="mask.nii", missing="zero")
    parameters = "SecondLevelModel(mask_img='mask.nii', missing='zero')"
    assert repr(model) == parameters
    model.set_params(mask_img=mask, missing="omit").fit(images, design_matrix=DESIGN)
    facts = " fitted to 9 images: 27 voxels, 7 degrees of freedom, columns intercept, dose"
    assert repr(model).endswith(facts)
    assert "fitted" not in repr(clone(model))
    assert "27 voxels" in model._repr_html_()
    assert "27 voxels" not in repr(make_pipeline(model))  # which shows parameters of its steps
    assert (
        repr(model.results_)
        == "OlsFit(9 images: 27 voxels, 7 degrees of freedom, columns intercept, dose)"
    )
    result = model.results_.contrast(np.eye(2))
    assert repr(result) == "ContrastResult(F(2, 7) at 27 voxels)"


def test_the_repr_tells_degrees_of_freedom_that_differ(images: list[Any], mask: Any) -> None:
    gaps = images[0].get_fdata()
    gaps[2, 3, 4] = np.nan
    model = SecondLevelModel(mask_img=mask).fit([image(gaps), *images[1:]], design_matrix=DESIGN)
    assert "6 to 7 degrees of freedom" in repr(model)
    assert repr(model.results_.contrast([0, 1])) == "ContrastResult(t(6 to 7) at 27 voxels)"


def test_the_repr_of_a_model_breaks_lines_as_scikit_learn_does(mask: Any) -> None:
    options: dict[str, Any] = {
        "mask_img": "a_rather_long_name_of_a_mask.nii.gz",
        "smoothing_fwhm": 6.0,
        "memory": "a_folder_with_a_long_name",
        "verbose": 1,
    }
    model = SecondLevelModel(**options)

    class Plain(SecondLevelModel):
        __repr__ = BaseEstimator.__repr__

    Plain.__name__ = "SecondLevelModel"
    assert repr(model) == repr(Plain(**options))
    assert max(len(line) for line in repr(model).splitlines()) <= 80


def test_a_columns_name_is_text_in_the_html(images: list[Any], mask: Any) -> None:
    design = DESIGN.rename(columns={"dose": "<script>alert(1)</script>"})
    html = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)._repr_html_()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert(1)" not in html
