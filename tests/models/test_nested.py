# SPDX-License-Identifier: BSD-3-Clause
"""Levels of subjects and families: against the dense reference, and by what must not matter."""

import pickle
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from groupglm import RepeatedMeasures, fit_repeated
from groupglm.errors import ArgumentError, NotEstimableError
from groupglm.models.nested_fit import NestedFit
from reference import repeated as reference

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """Families of one to four subjects with one to four images each."""

    X: Floats
    Y: Floats
    subjects: npt.NDArray[np.int64]
    families: npt.NDArray[np.int64]

    def fit(self, *, df: str = "kenward-roger", n_threads: int | None = None) -> NestedFit:
        fit = fit_repeated(
            self.X,
            self.Y,
            self.subjects,
            families=self.families,
            covariance="nested",
            df=df,
            n_threads=n_threads,
        )
        assert isinstance(fit, NestedFit)
        return fit

    def rows(self, keep: npt.NDArray[np.bool_], place: int) -> "Study":
        return Study(
            self.X[keep], self.Y[keep][:, [place]], self.subjects[keep], self.families[keep]
        )


def study(n_families: int, n_places: int, *, seed: int, missing: float = 0.0) -> Study:
    rng = np.random.default_rng(seed)
    families: list[int] = []
    subjects: list[int] = []
    subject = 0
    for number in range(n_families):
        for _ in range(rng.integers(1, 5)):
            n_images = rng.integers(1, 5)
            families += [number] * n_images
            subjects += [subject] * n_images
            subject += 1
    family, own = np.array(families), np.array(subjects)
    n = len(own)
    group, time = rng.integers(0, 2, subject)[own], rng.normal(size=n)
    X = np.column_stack([np.ones(n), group, time, group * time])
    spread = rng.choice([0.0, 0.5, 1.5], size=(2, n_places))
    Y = (
        rng.normal(size=(n_families, n_places))[family] * spread[0]
        + rng.normal(size=(subject, n_places))[own] * spread[1]
        + rng.normal(size=(n, n_places))
        + 3.0
    )
    Y[rng.random(Y.shape) < missing] = np.nan
    return Study(X, Y, own, family)


TIME = [0.0, 0.0, 1.0, 0.0]
SLOPES = [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


@pytest.fixture(scope="module")
def compared() -> tuple[Study, reference.ReferenceRepeated]:
    own = study(7, 4, seed=5, missing=0.1)
    return own, reference.fit(own.X, own.Y, own.subjects, families=own.families)


def test_variances_and_the_criterion_are_those_of_dense_matrices(
    compared: tuple[Study, reference.ReferenceRepeated],
) -> None:
    own, wanted = compared
    fit = own.fit()
    np.testing.assert_allclose(fit.residual_variance, wanted.residual_variance, rtol=1e-9)
    np.testing.assert_allclose(fit.subject_variance, wanted.subject_variance, atol=1e-9)
    np.testing.assert_allclose(fit.family_variance, wanted.family_variance, atol=1e-9)
    np.testing.assert_allclose(fit.beta, wanted.beta, rtol=1e-9, atol=1e-9)
    # Of the rows present the criterion has another det X'X than that of all rows.
    complete = np.isfinite(own.Y).all(axis=0)
    for place in np.flatnonzero(~complete):
        keep = np.isfinite(own.Y[:, place])
        alone = own.rows(keep, int(place)).fit()
        np.testing.assert_allclose(alone.reml_criterion, wanted.criterion[place], atol=1e-9)


@pytest.mark.parametrize("df", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("contrast", [TIME, SLOPES], ids=["t", "F"])
def test_tests_are_those_of_dense_matrices(
    compared: tuple[Study, reference.ReferenceRepeated], contrast: list[float], df: str
) -> None:
    own, fitted = compared
    wanted = reference.contrast(fitted, np.asarray(contrast), df)
    result = own.fit(df=df).contrast(contrast)
    degrees = result.df[1] if isinstance(result.df, tuple) else result.df
    np.testing.assert_allclose(degrees, wanted.df, rtol=1e-8)
    np.testing.assert_allclose(result.stat, wanted.stat, rtol=1e-8)
    np.testing.assert_allclose(result.p_value, wanted.p_value, rtol=1e-7)


def test_a_missing_image_is_an_image_that_is_left_out() -> None:
    own = study(25, 12, seed=1, missing=0.15)
    fit = own.fit()
    result = fit.contrast(SLOPES)
    for place in range(own.Y.shape[1]):
        alone = own.rows(np.isfinite(own.Y[:, place]), place).fit()
        tested = alone.contrast(SLOPES)
        # The search ends within 1e-13 of the criterion, which is flat at its minimum.
        np.testing.assert_allclose(fit.beta[:, place], alone.beta[:, 0], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(result.stat[place], tested.stat[0], rtol=1e-8)
        assert fit.n_subjects[place] == alone.n_subjects[0]


def test_threads_and_other_places_do_not_change_a_bit() -> None:
    own = study(20, 70, seed=2, missing=0.01)
    fit = own.fit(n_threads=1)
    again = own.fit(n_threads=3)
    for name, array in fit.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    some = np.array([3, 64, 17])
    few = Study(own.X, own.Y[:, some], own.subjects, own.families).fit()
    np.testing.assert_array_equal(few.contrast(TIME).stat, fit.select(some).contrast(TIME).stat)


@pytest.mark.parametrize("scale", [1e-140, 1e4, 1e120])
def test_units_of_the_data_change_nothing_but_units(scale: float) -> None:
    own = study(20, 8, seed=3, missing=0.02)
    fit, scaled = own.fit(), Study(own.X, own.Y * scale, own.subjects, own.families).fit()
    np.testing.assert_allclose(scaled.intraclass_correlation, fit.intraclass_correlation, atol=1e-7)
    np.testing.assert_allclose(scaled.beta, scale * fit.beta, rtol=1e-7)
    np.testing.assert_allclose(scaled.contrast(TIME).stat, fit.contrast(TIME).stat, rtol=1e-7)


def test_units_of_the_columns_change_nothing_but_units() -> None:
    own = study(20, 4, seed=15)
    result = own.fit().contrast(SLOPES)
    for scale in (1e-200, 1e200):
        scaled = Study(own.X * [1, 1, scale, 1], own.Y, own.subjects, own.families).fit()
        again = scaled.contrast(SLOPES)
        np.testing.assert_allclose(again.stat, result.stat, rtol=1e-7)
        np.testing.assert_allclose(again.effect_size[0] * scale, result.effect_size[0], rtol=1e-7)


def test_images_of_a_subject_that_do_not_differ_have_no_maximum() -> None:
    own = study(20, 3, seed=16)
    first = np.unique(own.subjects, return_index=True)[1]
    own.Y[:, 1] = own.Y[first, 1][own.subjects]
    fit = own.fit()
    assert np.isnan(fit.contrast(TIME).stat).tolist() == [False, True, False]
    assert np.isnan(fit.intraclass_correlation[1])


def test_a_large_mean_costs_no_digits() -> None:
    own = study(20, 8, seed=4)
    far = Study(own.X, own.Y + 1e4, own.subjects, own.families)
    # 1e4 has 12 digits more than these numbers need.
    np.testing.assert_allclose(
        far.fit().contrast(TIME).stat, own.fit().contrast(TIME).stat, rtol=1e-8
    )


def test_the_order_of_the_images_does_not_matter() -> None:
    own = study(20, 8, seed=6)
    order = np.random.default_rng(0).permutation(len(own.X))
    mixed = Study(own.X[order], own.Y[order], own.subjects[order], own.families[order])
    np.testing.assert_allclose(
        mixed.fit().contrast(SLOPES).stat, own.fit().contrast(SLOPES).stat, rtol=1e-8
    )


def test_no_pair_of_ratios_of_a_grid_is_likelier() -> None:
    own = study(9, 150, seed=7)
    fit = own.fit()
    same_subject = own.subjects[:, None] == own.subjects
    same_family = own.families[:, None] == own.families
    left = np.linalg.svd(own.X)[0][:, own.X.shape[1] :]
    y = left.T @ own.Y
    lowest = np.full(own.Y.shape[1], np.inf)
    # Of error contrasts the criterion is that of the columns, but for log det X'X.
    ratios = [0.0, *np.geomspace(1e-3, 1e3, 40)]
    for subject in ratios:
        for family in ratios:
            V = left.T @ (np.eye(len(own.X)) + subject * same_subject + family * same_family) @ left
            root = np.linalg.cholesky(V)
            scatter = (np.linalg.solve(root, y) ** 2).sum(axis=0)
            n = len(V)
            own_criterion = n * (1 + np.log(2 * np.pi * scatter / n))
            lowest = np.minimum(lowest, own_criterion + 2 * np.log(np.diag(root)).sum())
    size = np.linalg.slogdet(own.X.T @ own.X)[1]
    assert (fit.reml_criterion - size <= lowest + 1e-8).all()


def test_a_place_that_lacks_a_column_tests_what_is_left() -> None:
    own = study(20, 3, seed=8)
    own.Y[own.X[:, 1] == 1, 1] = np.nan  # nobody of the group is left at place 1
    result = own.fit().contrast([0.0, 1.0, 0.0, 0.0])
    assert np.isnan(result.stat[1])
    assert np.isfinite(result.stat[[0, 2]]).all()
    keep = own.X[:, 1] == 0
    alone = fit_repeated(
        own.X[keep][:, [0, 2]],
        own.Y[keep][:, [1]],
        own.subjects[keep],
        families=own.families[keep],
        covariance="nested",
    )
    np.testing.assert_allclose(
        own.fit().contrast(TIME).stat[1], alone.contrast([0.0, 1.0]).stat[0], rtol=1e-8
    )


def test_places_that_tell_no_variances_apart_have_no_test() -> None:
    own = study(20, 3, seed=9)
    first = np.unique(own.subjects, return_index=True)[1]
    once = np.ones(len(own.X), dtype=bool)
    once[first] = False
    own.Y[once, 0] = np.nan  # one image a subject
    own.Y[:, 1] = np.nan
    fit = own.fit()
    assert np.isnan(fit.contrast(TIME).stat[:2]).all()
    assert fit.n_subjects.tolist() == [len(first), 0, len(first)]
    assert np.isfinite(fit.contrast(TIME).stat[2])


def test_images_without_variance() -> None:
    own = study(20, 2, seed=10)
    own.Y[:, 0] = 2.0
    own.Y[:, 1] = own.X @ [1.0, 0.0, 3.0, 0.0]
    result = own.fit().contrast(TIME)
    assert result.stat[0] == 0.0
    assert result.stat[1] == np.inf


def test_a_fit_is_made_again_from_its_arrays() -> None:
    own = study(20, 5, seed=11, missing=0.05)
    fit = own.fit()
    again = pickle.loads(pickle.dumps(fit))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.contrast(SLOPES).stat, fit.contrast(SLOPES).stat)
    assert again.described("voxels") == fit.described("voxels")
    np.testing.assert_array_equal(again.at_boundary, fit.at_boundary)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nested_numbers", np.full((1, 5), 1.0)),
        ("nested_numbers", "negative"),
        ("nested_counts", "many"),
        ("nested_places", np.array([7])),
        ("nested_mean", np.zeros(4)),
    ],
)
def test_damaged_arrays_are_refused(name: str, value: object) -> None:
    fit = study(20, 5, seed=12).fit()
    arrays = fit.arrays()
    if isinstance(value, str):
        value = arrays[name].copy()
        value[0] = -1 if name == "nested_numbers" else 10_000
    arrays[name] = np.asarray(value)
    with pytest.raises(ValueError, match="nested"):
        fit.model.load(fit.X, fit.column_names, arrays, n_values=5, n_threads=1)


def test_what_tells_no_variance_is_refused_in_words() -> None:
    own = study(12, 2, seed=13)
    with pytest.raises(ArgumentError, match=r"each of the .* families has one subject"):
        Study(own.X, own.Y, own.subjects, own.subjects).fit()
    with pytest.raises(ArgumentError, match="one family"):
        Study(own.X, own.Y, own.subjects, np.zeros_like(own.subjects)).fit()
    by_family = np.equal.outer(own.families, np.unique(own.families)).astype(float)
    with pytest.raises(ArgumentError, match=r"^the design matrix has a column for each family"):
        Study(by_family, own.Y, own.subjects, own.families).fit()
    by_subject = np.equal.outer(own.subjects, np.unique(own.subjects)).astype(float)
    with pytest.raises(ArgumentError, match=r"^the design matrix has a column for each family"):
        Study(by_subject, own.Y, own.subjects, own.families).fit()


def test_a_contrast_that_columns_confound_is_refused_by_name() -> None:
    own = study(20, 2, seed=14)
    X = np.column_stack([own.X, own.X[:, 1]])
    with pytest.warns(UserWarning, match="rank"):
        fit = Study(X, own.Y, own.subjects, own.families).fit()
    with pytest.raises(NotEstimableError, match="columns"):
        fit.contrast([0, 1, 0, 0, 0])
    wanted = own.fit().contrast(TIME)
    np.testing.assert_allclose(fit.contrast([*TIME, 0]).stat, wanted.stat, rtol=1e-8)


def test_families_are_for_nested_covariance_only() -> None:
    with pytest.raises(ArgumentError, match="families"):
        RepeatedMeasures(families=["a", "b"])
