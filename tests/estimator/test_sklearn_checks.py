# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's own checks of an estimator, on the model and on images made of their arrays."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from groupglm import SecondLevelModel


def image(row: Any) -> Any:
    return nib.Nifti1Image(np.asarray(row).reshape(-1, 1, 1), np.eye(4))  # type: ignore[no-untyped-call]


class ArrayModel(SecondLevelModel):
    """The model with scikit-learn's signature: each row of `X` becomes an image of one line.

    The checks hand over arrays and call ``fit(X, y)``, where the documented signature has
    confounds. What they look at (what is stored when, what is left alone, what is pickled) is the
    model's own.
    """

    def fit(self, X: Any, y: Any = None) -> Any:  # type: ignore[override]
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2:
            raise ValueError("Reshape your data")
        self.mask_img = self.mask_img or image(np.ones(X.shape[1], np.uint8))
        super().fit(self.images(X), design_matrix=pd.DataFrame({"intercept": np.ones(len(X))}))
        self.mask_img = None
        return self

    def transform(self, X: Any) -> Any:
        sklearn.utils.validation.check_is_fitted(self)
        X = np.asarray(X, dtype=np.float64)
        return super().transform(self.images(X))

    def images(self, X: Any) -> list[Any]:
        return [image(row) for row in X]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


SPARSE = "the model never sees arrays, sparse or not: images are its input"
EXPECTED = {
    "check_estimator_sparse_tag": SPARSE,
    "check_estimator_sparse_array": SPARSE,
    "check_estimator_sparse_matrix": SPARSE,
    "check_fit2d_1sample": "the message speaks of images, as users do, not of samples",
}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [ArrayModel()], expected_failed_checks=lambda estimator: EXPECTED
)
def test_with_data(estimator: Any, check: Any) -> None:
    check(estimator)


WITHOUT_DATA = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_without_data(name: str) -> None:
    check = getattr(estimator_checks, name)
    check("SecondLevelModel", SecondLevelModel())


def test_metadata_routing() -> None:
    model = SecondLevelModel()
    with sklearn.config_context(enable_metadata_routing=True):
        assert model.set_fit_request(confounds=True, design_matrix="design") is model
        requests = model.get_metadata_routing().fit.requests
    assert requests["confounds"] is True
    assert requests["design_matrix"] == "design"


def test_tags() -> None:
    tags = SecondLevelModel().__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.allow_nan
    assert not SecondLevelModel(missing="raise").__sklearn_tags__().input_tags.allow_nan
    assert tags.requires_fit


def test_a_pipeline_routes_the_design_to_the_model() -> None:
    from sklearn.pipeline import Pipeline

    rng = np.random.default_rng(0)
    images = [image(rng.normal(size=5)) for _ in range(6)]
    design = pd.DataFrame({"intercept": np.ones(6), "dose": np.arange(6.0)})
    with sklearn.config_context(enable_metadata_routing=True):
        model = SecondLevelModel(mask_img=image(np.ones(5, np.uint8)))
        pipeline = Pipeline([("glm", model.set_fit_request(design_matrix=True))])
        pipeline.fit(images, design_matrix=design)
    assert pipeline["glm"].design_matrix_.columns.tolist() == ["intercept", "dose"]
