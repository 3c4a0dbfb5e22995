# SPDX-License-Identifier: BSD-3-Clause
"""Input that would otherwise give wrong numbers silently, or end the interpreter."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, fit_ols
from groupglm.design.matrix import load_design_matrix
from groupglm.errors import ImageError

N = 10
RNG = np.random.default_rng(0)
X = np.column_stack([np.ones(N), RNG.normal(size=N)])
Y = RNG.normal(3, 1, (N, 40))


def test_a_huge_number_of_threads_is_only_a_wish() -> None:
    np.testing.assert_array_equal(fit_ols(X, Y, n_threads=10**6).beta, fit_ols(X, Y).beta)


def fit_in_child(queue: Any) -> None:
    queue.put(fit_ols(X, np.tile(Y, 200), n_threads=2).rss.sum())


@pytest.mark.skipif(sys.platform != "linux", reason="fork is Linux's way of making processes")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_forked_child_fits_after_its_parent_did() -> None:
    parent = fit_ols(X, np.tile(Y, 200), n_threads=2).rss.sum()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=fit_in_child, args=(queue,), daemon=True)
    child.start()
    try:
        assert queue.get(timeout=60) == parent
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("group,intercept\nsub-1,0,1\nsub-2,1,1\n", "more values in a row than names"),
        ("a,a\n1,2\n3,4\n", "column 'a' more than once"),
    ],
)
def test_tables_that_pandas_would_read_its_own_way(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "design.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_design_matrix(path)


def test_a_fit_does_not_change_with_what_it_was_made_from() -> None:
    mine = X.copy()
    fit = fit_ols(mine, Y)
    predicted = fit.predicted()
    mine *= 0
    np.testing.assert_array_equal(fit.predicted(), predicted)

    images = [image(volume) for volume in Y.reshape(N, 2, 4, 5)]
    design = pd.DataFrame(X, columns=["intercept", "dose"])
    mask = image(np.ones((2, 4, 5), np.uint8))
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    before = model.compute_contrast("dose").get_fdata()
    design.columns = ["dose", "intercept"]
    np.testing.assert_array_equal(model.compute_contrast("dose").get_fdata(), before)


def image(values: Any, affine: Any = None) -> Any:
    return nib.Nifti1Image(values, np.eye(4) if affine is None else affine)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("missing", [False, True])
def test_fits_pickle_and_copy(missing: bool) -> None:
    data = Y.copy()
    if missing:
        data[:3, ::4] = np.nan
        data[:, 7] = np.nan
    fit = fit_ols(X, data)
    for again in (pickle.loads(pickle.dumps(fit)), copy.deepcopy(fit)):  # noqa: S301
        for name in ("beta", "rss", "r_square"):
            np.testing.assert_array_equal(getattr(again, name), getattr(fit, name))
        np.testing.assert_array_equal(again.contrast([0, 1]).stat, fit.contrast([0, 1]).stat)


def test_masks_and_imaginary_parts_are_not_dropped() -> None:
    masked = np.ma.masked_array(Y, mask=Y > 4)
    given, wanted = fit_ols(X, masked), fit_ols(X, masked.filled(np.nan))
    np.testing.assert_array_equal(given.beta, wanted.beta)
    np.testing.assert_array_equal(given.df_residual, wanted.df_residual)
    fit = fit_ols(X, Y)
    with pytest.raises(TypeError, match="contrast is an array of complex128"):
        fit.contrast(np.array([1 + 5j, 0]))
    with pytest.raises(TypeError, match="X is an array of complex128"):
        fit.predicted(1j * X)


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_the_size_of_a_contrast_does_not_matter(size: float) -> None:
    fit = fit_ols(X, Y)
    plain, sized = fit.contrast([0.3, 1]), fit.contrast(np.array([0.3, 1]) * size)
    np.testing.assert_allclose(sized.stat, plain.stat, rtol=1e-12)
    np.testing.assert_allclose(sized.effect_size, plain.effect_size * size, rtol=1e-12)
    f = fit.contrast(np.array([[0.3, 1]]) * size)
    np.testing.assert_allclose(f.stat, plain.stat**2, rtol=1e-12)


def test_a_singular_affine_is_refused_by_name() -> None:
    singular = np.eye(4)
    singular[:2, :2] = 1.0
    images = [image(np.ones((2, 2, 2)), singular) for _ in range(3)]
    with pytest.raises(ImageError, match=r"image 1.* affine is singular"):
        SecondLevelModel().fit(images, design_matrix=pd.DataFrame({"intercept": np.ones(3)}))


@pytest.mark.parametrize(
    ("n_jobs", "error", "message"),
    [
        (0, ValueError, "n_jobs is 0; give the number of threads, or -1"),
        (1.5, TypeError, "n_jobs is 1.5; 'n_jobs' must be of type int"),
        ("a", TypeError, "n_jobs is 'a'"),
        (True, TypeError, "n_jobs is True"),
    ],
)
def test_numbers_of_jobs(n_jobs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SecondLevelModel(n_jobs=n_jobs).fit([], design_matrix=pd.DataFrame())


def test_frames_of_mixed_columns_are_designs_for_arrays_too() -> None:
    frame = pd.DataFrame({"patient": [True, False] * 5, "score": pd.array(range(N), "Int64")})
    values = np.column_stack([[1.0, 0.0] * 5, np.arange(N)])
    np.testing.assert_array_equal(fit_ols(frame, Y).beta, fit_ols(values, Y).beta)
