# SPDX-License-Identifier: BSD-3-Clause
"""Functions refuse and warn in nilearn's words, as the model does in `test_error_words`."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reference.oracle import N_IMAGES, image, quiet

DESIGN = pd.DataFrame({"intercept": 1.0, "age": np.linspace(-1, 1, N_IMAGES) ** 3})


@dataclass
class Functions:
    """The functions of one of the two packages, and a map to call them with."""

    package: str
    z: Any

    def __getattr__(self, name: str) -> Any:
        module = "groupglm" if self.package == "groupglm" else HOME[name]
        return getattr(importlib.import_module(module), name)


HOME = {
    "SecondLevelModel": "nilearn.glm.second_level",
    "cluster_level_inference": "nilearn.glm",
    "get_clusters_table": "nilearn.reporting",
    "make_second_level_design_matrix": "nilearn.glm.second_level",
    "non_parametric_inference": "nilearn.glm.second_level",
    "permuted_ols": "nilearn.mass_univariate",
    "smooth_img": "nilearn.image",
    "threshold_stats_img": "nilearn.glm",
}
X, Y = np.linspace(-1, 1, 12), np.random.default_rng(0).normal(size=(12, 4))

# Of functions: what is called wrongly, the words, and the kind of error or warning.
CALLS: dict[str, tuple[Callable[[Functions], Any], str, type[Exception]]] = {
    "level": (
        lambda f: f.cluster_level_inference(f.z, threshold=2.5, alpha=2),
        "alpha should be between 0 and 1",
        ValueError,
    ),
    "negative threshold of clusters": (
        lambda f: f.cluster_level_inference(f.z, threshold=[-1, 2.5]),
        "'threshold' cannot be negative or contain negative values",
        ValueError,
    ),
    "negative threshold of both tails": (
        lambda f: f.threshold_stats_img(f.z, height_control=None, threshold=-2),
        '"threshold" should not be a negative value when two_sided=True',
        ValueError,
    ),
    "negative threshold of a table of both tails": (
        lambda f: f.get_clusters_table(f.z, -2, two_sided=True),
        '"threshold" should not be a negative value when two_sided=True',
        ValueError,
    ),
    "height control": (
        lambda f: f.threshold_stats_img(f.z, height_control="plop"),
        "'height_control' must be one of",
        ValueError,
    ),
    "size of a cluster": (
        lambda f: f.threshold_stats_img(f.z, cluster_threshold=-1),
        "'cluster_threshold' must be > 0",
        ValueError,
    ),
    "no map": (
        lambda f: f.threshold_stats_img(None, height_control="fdr"),
        "'stat_img' cannot be None for height_control='fdr'",
        ValueError,
    ),
    "threshold without effect": (
        lambda f: f.threshold_stats_img(f.z, threshold=2),
        "is not used with .*height_control='fpr'",
        UserWarning,
    ),
    "distance of peaks": (
        lambda f: f.get_clusters_table(f.z, 2.5, min_distance=-1),
        "'min_distance' must be positive",
        ValueError,
    ),
    "no cluster": (lambda f: f.get_clusters_table(f.z, 5, 99), "No clusters found", UserWarning),
    "high threshold of a table": (
        lambda f: f.get_clusters_table(f.z, 1000),
        "But, you have given threshold=1000",
        UserWarning,
    ),
    "number of permutations": (
        lambda f: f.permuted_ols(X, Y, n_perm=0.5),
        "'n_perm' must be of type",
        TypeError,
    ),
    "number of jobs": (
        lambda f: f.permuted_ols(X, Y, n_jobs=0),
        "'n_jobs == 0' is not a valid choice",
        ValueError,
    ),
    "tails of a test": (
        lambda f: f.permuted_ols(X, Y, two_sided_test="yes"),
        "'two_sided_test' must be of type",
        TypeError,
    ),
    "one voxel": (
        lambda f: f.permuted_ols(X, Y[:, 0], n_perm=0),
        "'target_vars' should be a 2D array",
        ValueError,
    ),
    "text to test": (
        lambda f: f.permuted_ols(np.repeat(["a", "b"], 6), Y, n_perm=0),
        "'tested_vars' must contain numerical or boolean values",
        TypeError,
    ),
    "enhancement without places": (
        lambda f: f.permuted_ols(X, Y, tfce=True),
        "masker must be provided",
        ValueError,
    ),
    "clusters without places": (
        lambda f: f.permuted_ols(X, Y, threshold=0.01),
        "If 'threshold' is not None, masker must be defined as well",
        ValueError,
    ),
    "threads without work": (
        lambda f: f.permuted_ols(X, Y, n_perm=1, n_jobs=2),
        "perform more permutations",
        UserWarning,
    ),
    "only zeros": (
        lambda f: f.permuted_ols(X, Y * [0, 1, 1, 1], n_perm=50),
        "have zeros across all samples",
        UserWarning,
    ),
    "two constants": (
        lambda f: f.permuted_ols(X, Y, np.ones((12, 2)), n_perm=0),
        "Multiple columns across",
        UserWarning,
    ),
    "no images to permute": (
        lambda f: f.non_parametric_inference(None, second_level_contrast="a"),
        "'second_level_input' must be either",
        TypeError,
    ),
    "one image to permute": (
        lambda f: f.non_parametric_inference([f.z]),
        "at least two",
        TypeError,
    ),
    "missing image to permute": (
        lambda f: f.non_parametric_inference("/no/a.nii"),
        "File not found: ",
        ValueError,
    ),
    "no design to permute with": (
        lambda f: f.non_parametric_inference([f.z] * 4),
        "require a design matrix",
        ValueError,
    ),
    "no contrast to permute": (
        lambda f: f.non_parametric_inference([f.z] * 16, design_matrix=DESIGN),
        "No second-level contrast is specified",
        ValueError,
    ),
    "null contrast to permute": (
        lambda f: f.non_parametric_inference(
            [f.z] * 16, design_matrix=DESIGN, second_level_contrast=[0, 0]
        ),
        "Second_level_contrast must be a valid",
        ValueError,
    ),
    "no width": (
        lambda f: f.smooth_img(f.z, 0.0),
        r"specified as 0\.0\. Setting it to None",
        UserWarning,
    ),
    "missing image to smooth": (
        lambda f: f.smooth_img("/no/a.nii", 4.0),
        "File not found: ",
        ValueError,
    ),
    "dependent confounds": (
        lambda f: f.make_second_level_design_matrix(
            ["01", "02", "03"],
            pd.DataFrame({"subject_label": ["01", "02", "03"], "a": [0.0, 0, 1], "b": [0.0, 0, 2]}),
        ),
        "Design matrix is singular",
        UserWarning,
    ),
    "confounds of a design": (
        lambda f: f.make_second_level_design_matrix(
            ["01", "02"], pd.DataFrame({"subject_label": ["01", "02"], "age": [1.0, np.nan]})
        ),
        "Confounds contain NaN values",
        ValueError,
    ),
}


@pytest.mark.parametrize("package", ["groupglm", "nilearn"])
@pytest.mark.parametrize(("call", "words", "kind"), CALLS.values(), ids=CALLS)
def test_functions_refuse_and_warn_in_the_same_words(
    package: str, call: Callable[[Functions], Any], words: str, kind: type[Exception]
) -> None:
    values = np.zeros((9, 9, 9))
    values[3:5, 3:5, 3:5] = [[[4.0, 5.0], [5.0, 6.0]]] * 2
    functions = Functions(package, image(values, np.eye(4)))
    pattern = f"(?s){words}"
    if not issubclass(kind, Warning):
        with quiet(), pytest.raises(kind, match=pattern):
            call(functions)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(functions)
    told = [str(each.message) for each in caught if issubclass(each.category, kind)]
    assert any(re.search(pattern, text) for text in told), told


def _fit(**options: Any) -> Callable[[Functions], Any]:
    return lambda f: f.SecondLevelModel(**options).fit([f.z] * 16, design_matrix=DESIGN)


WRONG: Any = {"a": 1}
# A value of another type, for every argument whose type both packages check.
OF_ANOTHER_TYPE: dict[str, tuple[str, Callable[[Functions], Any]]] = {
    **{
        f"SecondLevelModel({name}={value})": (name, _fit(**{name: value}))
        for name, value in [
            *((name, WRONG) for name in ("memory", "smoothing_fwhm", "n_jobs", "verbose")),
            *((name, WRONG) for name in ("memory_level", "target_affine", "target_shape")),
            ("smoothing_fwhm", "wide"),
            ("target_affine", 3.5),
            ("target_shape", 3.5),
        ]
    },
    **{
        f"permuted_ols({name})": (
            name,
            lambda f, name=name: f.permuted_ols(X, Y, **{"n_perm": 9, name: WRONG}),  # type: ignore[misc]
        )
        for name in ("n_perm", "n_jobs", "random_state", "two_sided_test", "verbose", "tfce")
    },
    "get_clusters_table": (
        "cluster_threshold",
        lambda f: f.get_clusters_table(f.z, 2.0, cluster_threshold=WRONG),
    ),
    "threshold_stats_img": (
        "cluster_threshold",
        lambda f: f.threshold_stats_img(f.z, cluster_threshold=WRONG),
    ),
}


@pytest.mark.parametrize("package", ["groupglm", "nilearn"])
@pytest.mark.parametrize(("name", "call"), OF_ANOTHER_TYPE.values(), ids=OF_ANOTHER_TYPE)
def test_a_value_of_another_type_is_a_type_error_in_the_same_words(
    package: str, name: str, call: Callable[[Functions], Any]
) -> None:
    z = image(np.random.default_rng(0).normal(size=(9, 9, 9)), np.eye(4))
    with quiet(), pytest.raises(TypeError, match=f"'{name}' must be of type"):
        call(Functions(package, z))
