# SPDX-License-Identifier: BSD-3-Clause
"""Rules for every model; another model is another entry of `CASES`."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from contract.fake_models import KnownVariance
from contract.fake_repeated import KeptMeanOfSubjects, MeanOfSubjects
from groupglm import _core
from groupglm.engine.reading import Reading
from groupglm.engine.reduce import accumulate, reading_order
from groupglm.errors import ImageError
from groupglm.estimator.model_file import pack_fit, read_archive, unpack_fit, write_archive
from groupglm.group.fitted_group import FittedGroup
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import Accumulator, Fit, Model, Plan, Spreads, Weighs, fill
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.fixed import FixedEffects
from groupglm.models.kinds import MODELS
from groupglm.models.mixed import MixedEffects
from groupglm.models.ols import OLS
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.robust import Robust
from groupglm.models.unequal import UnequalVariances
from groupglm.models.weighted import Weighted
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace

N_IMAGES, SHAPE = 70, (4, 3, 2)
N_VALUES = 24
_RNG = np.random.default_rng(0)
ONES = np.ones((N_IMAGES, 1))
GROUP = np.arange(N_IMAGES)[:, None] % 3 == 0
AGE = np.random.default_rng(3).normal(size=(N_IMAGES, 1))
SUBJECTS = [f"s{number % 24}" for number in range(N_IMAGES)]  # visit by visit; none ends at 64
SIZES = [*[1, 2, 3, 4] * 6, 1, 3, 2, 4]
UNEVEN = _RNG.permutation(np.repeat([f"s{number}" for number in range(len(SIZES))], SIZES))
BETWEEN_SUBJECTS = ("subject_variance", "intraclass_correlation")
CASES: dict[str, tuple[Model, NDArray[np.float64]]] = {
    "ols mean": (OLS, ONES),
    "ols": (OLS, np.column_stack([ONES, _RNG.normal(size=(N_IMAGES, 2))])),
    "ols without a constant": (OLS, _RNG.normal(size=(N_IMAGES, 2))),
    "weights": (Weighted(weights=True), np.column_stack([ONES, _RNG.normal(size=(N_IMAGES, 2))])),
    "weights without a constant": (Weighted(weights=True), _RNG.normal(size=(N_IMAGES, 2))),
    "covariate": (Weighted(covariates=("own",)), ONES),
    "weights and covariates": (Weighted(weights=True, covariates=("own", "other")), ONES),
    "fixed effects": (FixedEffects(), np.column_stack([ONES, _RNG.normal(size=(N_IMAGES, 2))])),
    "mixed effects": (MixedEffects(), np.column_stack([ONES, _RNG.normal(size=(N_IMAGES, 2))])),
    "mixed effects by the method of moments": (MixedEffects("dersimonian-laird", "z"), ONES),
    "mixed effects with the weights of fixed effects": (MixedEffects(0), ONES),
    "mixed effects of two groups": (
        MixedEffects("paule-mandel", "knapp-hartung-conservative", GROUP.ravel()),
        np.hstack([ONES * GROUP, ONES * ~GROUP]),
    ),
    "known variance": (KnownVariance(), ONES),
    "mean of subjects": (MeanOfSubjects(SUBJECTS), ONES),
    "mean of subjects of kept rows": (KeptMeanOfSubjects(SUBJECTS), ONES),
    "robust": (Robust(), np.hstack([ONES, ONES * GROUP, AGE])),
    "robust with Huber's weights": (Robust("huber", 2.0), ONES),
    "robust without a constant": (Robust(), AGE),
    "sandwich": (
        RepeatedMeasures("sandwich", subjects=SUBJECTS),
        np.column_stack([ONES, _RNG.normal(size=(N_IMAGES, 2))]),
    ),
    "sandwich by the first approximation": (
        RepeatedMeasures("sandwich", "approximate-1", adjustment=3, subjects=SUBJECTS),
        ONES,
    ),
    "homogeneous sandwich of two groups": (
        RepeatedMeasures(
            "sandwich",
            subjects=SUBJECTS,
            visits=[number // 24 for number in range(N_IMAGES)],
            groups=[number % 24 % 3 == 0 for number in range(N_IMAGES)],
        ),
        np.hstack([ONES * GROUP, ONES * ~GROUP]),
    ),
    "unequal variances": (UnequalVariances(), np.hstack([ONES * GROUP, ONES * ~GROUP])),
    "unequal variances and covariates": (
        UnequalVariances(GROUP.ravel()),
        np.hstack([ONES, ONES * GROUP, AGE * GROUP]),
    ),
    "random intercept": (RepeatedMeasures(subjects=UNEVEN), np.hstack([ONES, ONES * GROUP, AGE])),
    "random intercept visit by visit": (
        RepeatedMeasures(subjects=SUBJECTS),
        np.hstack([ONES, AGE]),
    ),
    "random intercept without a constant": (
        RepeatedMeasures(df="satterthwaite", subjects=UNEVEN),
        AGE,
    ),
}

each_model = pytest.mark.parametrize("case", CASES)


def plan_of(case: str) -> Plan:
    model, X = CASES[case]
    return model.prepare(X, tuple(f"c{column}" for column in range(X.shape[1])))


def rows_of(case: str, dtype: type = np.float64, *, missing: bool = True) -> NDArray[Any]:
    """Values about a mean far from zero and, for a model that takes them, what lies beside them."""
    rng = np.random.default_rng(1)
    k = CASES[case][0].rows_per_image
    rows = rng.normal(50, 1, (k * N_IMAGES, N_VALUES))
    for role in range(1, k):
        rows[role::k] = rng.uniform(0.5, 2, (N_IMAGES, N_VALUES))
    if missing:
        rows[5, ::3] = np.nan
        rows[-1, 4] = np.nan
    return rows.astype(dtype)


def finished(plan: Plan, seen: Accumulator, rows: NDArray[Any], n_threads: int = 1) -> Fit:
    """The fit; a model that needs the rows once more gets them."""
    return plan.finish(seen, n_threads, ArrayRows(rows) if plan.model.keeps_rows else None)


def whole(case: str, rows: NDArray[Any]) -> Fit:
    plan = plan_of(case)
    return finished(plan, fill(plan, ArrayRows(as_read(plan, rows)), n_threads=1), rows)


def as_read(plan: Plan, rows: NDArray[Any]) -> NDArray[Any]:
    """The rows in the order in which the engine reads them."""
    order = reading_order(plan)
    return rows if order is None else rows[order]


def end_near(plan: Plan, n_images: int) -> int:
    """The number of images, near this one, after which an accumulator may end."""
    if plan.ends is None:
        return n_images
    return int(plan.ends[np.argmin(np.abs(plan.ends - n_images))])


def filled(plan: Plan, rows: NDArray[Any], first: int, last: int) -> Accumulator:
    """The accumulator of some images in the order of reading, filled as by a worker."""
    k = plan.model.rows_per_image
    own = plan.part(first, last - first).accumulator(rows.shape[1])
    own.update(0, as_read(plan, rows)[k * first : k * last], 1)
    return own


def numbers(fit: Fit) -> dict[str, Any]:
    found = {
        name: getattr(fit, name)
        for name in ("n_observations", "df_residual", "beta", "mean", "residual_sd")
    }
    found |= {name: compute() for name, compute in fit.maps().items()}
    for stat_type in ("t", "F"):
        result = fit.contrast(np.eye(fit.X.shape[1])[0], stat_type=stat_type)
        for name in ("effect_size", "effect_variance", "stat", "p_value", "z_score"):
            found[f"{stat_type} {name}"] = getattr(result, name)
    return found


def assert_same(found: Fit, expected: Fit, *, rtol: float = 0.0) -> None:
    """Compare two fits: to the bit, or with a tolerance if one is given."""
    wanted = numbers(expected)
    for name, values in numbers(found).items():
        # p of a large statistic multiplies the error of the statistic.
        own = 3000 * rtol if "p_value" in name else rtol
        # A coefficient of data of size 1 may happen to be near zero. A variance between subjects is
        # known to the digits of that within them.
        near = rtol if name in BETWEEN_SUBJECTS else 1e-4 * rtol
        np.testing.assert_allclose(values, wanted[name], rtol=own, atol=near, err_msg=name)


def first_column(fit: Fit) -> ContrastResult:
    return fit.contrast(np.eye(fit.X.shape[1])[0])


@each_model
def test_places_of_zeros_are_added_to_the_bit(case: str) -> None:
    plan = plan_of(case)
    seen = plan.accumulator(N_VALUES)
    if not isinstance(seen, Spreads):
        pytest.skip("its places of zeros are read")
    rows, places = rows_of(case), np.arange(3, 2 * N_VALUES + 3, 2)
    whole_rows = np.zeros((len(rows), 2 * N_VALUES + 5))
    whole_rows[:, places] = rows
    seen.update(0, as_read(plan, rows), 1)
    spread: Any = seen.spread(places, whole_rows.shape[1])
    wanted: Any = fill(plan, ArrayRows(as_read(plan, whole_rows)), n_threads=1)
    assert spread.n_missing == wanted.n_missing
    for found, expected in zip(plan.mean(spread, 1), plan.mean(wanted, 1), strict=True):
        np.testing.assert_array_equal(found, expected)
    one, other = (finished(plan, each, whole_rows) for each in (spread, wanted))
    for name in ("n_observations", "df_residual", "beta", "mean", "residual_sd"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    if isinstance(one, Weighs) and isinstance(other, Weighs):
        for name, counts in one.counts().items():
            np.testing.assert_array_equal(counts, other.counts()[name], err_msg=name)


@each_model
@pytest.mark.parametrize("n_images", [1, 7, 64])
def test_streamed_is_in_memory(case: str, n_images: int) -> None:
    plan, rows = plan_of(case), rows_of(case)
    batches = ArrayRows(as_read(plan, rows), batch_rows=n_images * plan.model.rows_per_image)
    streamed = finished(plan, fill(plan, batches, n_threads=2), rows, 2)
    assert_same(streamed, whole(case, rows), rtol=1e-10)


@each_model
@given(splits=st.lists(st.integers(1, N_IMAGES - 1), min_size=1, max_size=5, unique=True))
def test_parts_merge_in_any_split(case: str, splits: list[int]) -> None:
    plan, rows = plan_of(case), rows_of(case)
    ends = sorted({0, *(end_near(plan, split) for split in splits), N_IMAGES})
    total, *others = (filled(plan, rows, *ends[i : i + 2]) for i in range(len(ends) - 1))
    for other in others:
        total.merge(other, 1)
    expected = whole(case, rows)
    assert_same(finished(plan, total, rows), expected, rtol=1e-10)
    assert total.n_missing == np.count_nonzero(
        np.broadcast_to(expected.n_observations, N_VALUES) < N_IMAGES
    )


@each_model
def test_plans_and_accumulators_travel(case: str) -> None:
    plan, rows = plan_of(case), rows_of(case)
    first, last = end_near(plan, 10), end_near(plan, 40)
    there = pickle.loads(pickle.dumps(plan.part(first, last - first)))  # noqa: S301
    k = plan.model.rows_per_image
    own = there.accumulator(N_VALUES)
    own.update(0, as_read(plan, rows)[first * k : last * k], 1)
    back = pickle.loads(pickle.dumps(own))  # noqa: S301
    for middle in (own, back):
        total = filled(plan, rows, 0, first)
        total.merge(middle, 1)
        total.merge(filled(plan, rows, last, N_IMAGES), 1)
        fit = finished(plan, total, rows)
        if middle is own:
            expected = fit
    assert_same(fit, expected)


@each_model
def test_some_places_are_those_of_all(case: str) -> None:
    plan, rows = plan_of(case), rows_of(case)
    places = np.array([0, 3, 4, 17], dtype=np.int64)
    some = fill(plan, ArrayRows(as_read(plan, rows)), n_threads=1).select(places)
    chosen = finished(plan, some, rows[:, places])
    expected = numbers(whole(case, rows))
    for name, values in numbers(chosen).items():
        wanted = np.asarray(expected[name])
        np.testing.assert_array_equal(
            values, wanted[..., places] if wanted.ndim else wanted, err_msg=name
        )
    direct = whole(case, np.ascontiguousarray(rows[:, places]))
    assert_same(chosen, direct, rtol=1e-12)


@each_model
def test_a_fit_at_places_in_another_order_has_the_same_numbers(case: str) -> None:
    fit = whole(case, rows_of(case))
    places = np.random.default_rng(2).permutation(N_VALUES)[:20]
    expected = numbers(fit)
    for name, values in numbers(fit.select(places)).items():
        wanted = np.asarray(expected[name])
        np.testing.assert_array_equal(
            values, wanted[..., places] if wanted.ndim else wanted, err_msg=name
        )


@each_model
def test_a_contrast_is_what_it_is_however_it_is_written(case: str) -> None:
    fit = whole(case, rows_of(case))
    weights = np.arange(1.0, fit.X.shape[1] + 1)
    one, scaled, turned = (fit.contrast(scale * weights) for scale in (1.0, 4.0, -1.0))
    np.testing.assert_allclose(scaled.effect_size, 4 * one.effect_size, rtol=1e-12)
    np.testing.assert_allclose(scaled.effect_variance, 16 * one.effect_variance, rtol=1e-12)
    np.testing.assert_allclose(scaled.stat, one.stat, rtol=1e-12)
    np.testing.assert_allclose(turned.stat, -one.stat, rtol=1e-12)
    np.testing.assert_allclose(turned.z_score, -one.z_score, rtol=1e-12)
    squared = fit.contrast(weights, stat_type="F")
    np.testing.assert_allclose(squared.stat, one.stat**2, rtol=1e-10)
    both_tails = 2 * np.minimum(one.p_value, turned.p_value)
    np.testing.assert_allclose(squared.p_value, both_tails, rtol=1e-8)
    np.testing.assert_array_equal(fit.contrast(weights[np.newaxis], stat_type="t").stat, one.stat)
    with pytest.raises(ValueError, match="contrast has shape"):
        fit.contrast([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="Contrast is null"):
        fit.contrast(0 * weights)


@each_model
def test_units_of_the_data_do_not_matter(case: str) -> None:
    k = CASES[case][0].rows_per_image
    rows = rows_of(case)
    factors = [8.0, 64.0, 2.0, 2.0][:k]  # of a variance, squared
    units = rows * np.tile(factors, N_IMAGES)[:, np.newaxis]
    one, other = (first_column(whole(case, each)) for each in (rows, units))
    np.testing.assert_allclose(other.effect_size, 8 * one.effect_size, rtol=1e-12)
    np.testing.assert_allclose(other.effect_variance, 64 * one.effect_variance, rtol=1e-12)
    np.testing.assert_allclose(other.stat, one.stat, rtol=1e-10)


@each_model
def test_degrees_of_freedom_are_real_numbers(case: str) -> None:
    k = CASES[case][0].rows_per_image
    fit = whole(case, rows_of(case) - np.tile([50.0, 0.0, 0.0, 0.0][:k], N_IMAGES)[:, np.newaxis])
    weights = np.eye(fit.X.shape[1])[0]
    for result in (fit.contrast(weights), fit.contrast(weights, stat_type="F")):
        assert result.df_numerator == 1
        residual: Any = result.df[1] if isinstance(result.df, tuple) else result.df
        df = np.broadcast_to(np.asarray(residual, dtype=np.float64), N_VALUES)
        assert (df > 0).all()
        z = np.abs(result.stat) if result.stat_type == "t" else np.sqrt(result.stat)
        # The tails of F with one numerator are those of t, and with no end of freedom the normal's.
        tail = stats.norm.sf(z) if np.isinf(df).all() else stats.t.sf(z, df)
        expected = (
            2 * tail if result.stat_type == "F" else np.where(result.stat < 0, 1 - tail, tail)
        )
        np.testing.assert_allclose(result.p_value, expected, rtol=1e-9)
        letter = "z" if result.stat_type == "t" and np.isinf(df).all() else f"{result.stat_type}("
        assert result.degrees.startswith(letter)


@each_model
def test_predictions_and_residuals_are_of_the_design(case: str) -> None:
    rows = rows_of(case)
    fit = whole(case, rows)
    values = rows[:: CASES[case][0].rows_per_image]
    fitted = fit.predicted()
    np.testing.assert_allclose(fitted, fit.X @ fit.beta, rtol=1e-12)
    np.testing.assert_allclose(fit.residuals(None, values), values - fitted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fit.predicted(fit.X[:2]), fitted[:2], rtol=1e-12)


class _Input:
    """A row in memory."""

    nbytes_in_memory = 0.0

    def __init__(self, values: NDArray[Any], name: str) -> None:
        self.values = values
        self.name = name
        self.dtype = values.dtype


class _Reader:
    n_values = N_VALUES

    def read_row(self, source: _Input, out: NDArray[Any]) -> None:
        out[...] = source.values

    def reader_of(self, role: str) -> Any:
        return self

    def name_of(self, source: _Input, inside: NDArray[np.bool_]) -> str:
        return source.name


@each_model
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_engine_gives_the_same_bits_for_any_number_of_threads(case: str, dtype: type) -> None:
    plan, rows = plan_of(case), rows_of(case, dtype)
    inputs = [_Input(row, f"row {number}") for number, row in enumerate(rows)]
    read = [
        # A batch has 7 rows, but the two rows of an image stay together.
        finished(
            plan,
            accumulate(
                inputs, _Reader(), plan, Reading(n_threads=n, batch_bytes=7 * rows[0].nbytes)
            ),
            rows,
            n,
        )
        for n in (1, 3)
    ]
    assert_same(read[1], read[0])
    assert_same(read[0], whole(case, rows), rtol=1e-10)


@each_model
def test_an_infinite_value_is_named(case: str) -> None:
    plan, rows = plan_of(case), rows_of(case)
    rows[66, [2, 3]] = np.inf
    inputs = [_Input(row, f"row {number}") for number, row in enumerate(rows)]
    with pytest.raises(ImageError, match="row 66: 2 infinite values"):
        accumulate(inputs, _Reader(), plan, Reading(n_threads=2))
    with pytest.raises(_core.InfiniteValueError):
        whole(case, rows)


@each_model
@pytest.mark.parametrize("missing", [False, True])
def test_the_memory_that_is_stated_is_enough(case: str, missing: bool) -> None:
    fit = whole(case, rows_of(case, missing=missing))
    held = sum(array.nbytes for array in fit.arrays().values())
    n_missing = int(np.count_nonzero(np.broadcast_to(fit.n_observations, N_VALUES) < N_IMAGES))
    assert (n_missing > 0) == missing
    shared = 8 * (fit.X.shape[1] + 1) ** 2  # of all places: one factor
    slots = 4 * N_VALUES if missing else 0  # which of the factors a place has
    assert 2 * (held - shared - slots) <= plan_of(case).bytes(N_VALUES, n_missing)


@each_model
def test_saved_and_loaded(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = CASES[case]
    monkeypatch.setitem(MODELS, model.kind, type(model))
    rows = rows_of(case)
    space = VolumeSpace(Grid(SHAPE, np.eye(4)))
    inputs: Any = tuple(_Input(row, f"row {number}") for number, row in enumerate(rows))
    zeros = np.zeros(N_VALUES, np.int32)
    group = FittedGroup(space, whole(case, rows), inputs, "omit", zeros)
    facts, arrays = pack_fit("0", group)
    parameters: dict[str, Any] = {
        "target_affine": None, "target_shape": None, "smoothing_fwhm": None, "verbose": 0,
        "n_jobs": 1, "minimize_memory": True, "missing": "omit", "zero_is_missing": False,
    }  # fmt: skip
    file = write_archive(
        tmp_path / "m.groupglm",
        {
            "parameters": parameters,
            "mask_was_given": False,
            "current": 0,
            "fits": [{"kind": None, "labels": None, **facts}],
        },
        arrays,
    )
    read, members = read_archive(file)
    own = read["fits"][0]
    assert own["model"]["kind"] == model.kind
    assert own["model"].get("settings", {}) == group.result.model.settings()
    _, loaded, n_zeros = unpack_fit("0", own, members, file, 1)
    assert loaded.model == model
    assert_same(loaded, group.result)
    np.testing.assert_array_equal(n_zeros, zeros)
    monkeypatch.delitem(MODELS, model.kind)
    with pytest.raises(ValueError, match=f"saved by a later version: model '{model.kind}'"):
        read_archive(file)


@each_model
def test_what_a_file_holds_is_not_taken_on_trust(case: str) -> None:
    model, X = CASES[case]
    fit = whole(case, rows_of(case))
    arrays = fit.arrays()

    def load(**changed: Any) -> Fit:
        own = {name: array for name, array in {**arrays, **changed}.items() if array is not None}
        return model.load(X, fit.column_names, own, n_values=N_VALUES, n_threads=1)

    assert_same(load(), fit)
    for name, array in arrays.items():
        for wrong in (None, array.astype(np.complex128), array[..., :-1], array[np.newaxis]):
            with pytest.raises((KeyError, ValueError)):
                load(**{name: wrong})


@each_model
def test_a_report_has_words_and_their_sources(case: str) -> None:
    words = whole(case, rows_of(case)).words()
    assert words.plain.startswith("fitted by ")
    cited = re.findall(r"(\w+), (\d{4})", words.cited)
    assert cited
    for author, year in cited:
        assert any(one.startswith(author) and year in one for one in words.references)


def test_the_mean_of_known_variance_is_the_weighted_one() -> None:
    """From the definition, so that the suite also runs over a second model that is right."""
    rows = rows_of("known variance", missing=False) - np.tile([50.0, 0.0], N_IMAGES)[:, np.newaxis]
    result = whole("known variance", rows).contrast([1.0])
    y, w = rows[::2], 1 / rows[1::2]
    np.testing.assert_allclose(result.effect_size, np.average(y, axis=0, weights=w), rtol=1e-9)
    z = np.average(y, axis=0, weights=w) * np.sqrt(w.sum(axis=0))
    np.testing.assert_allclose(result.z_score, z, rtol=1e-9)
    np.testing.assert_allclose(result.p_value, stats.norm.sf(z), rtol=1e-9)
