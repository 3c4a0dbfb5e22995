# SPDX-License-Identifier: BSD-3-Clause
"""Mixed effects on arrays and on tiles of rows: what is refused, left out, and held in memory."""

from __future__ import annotations

import pickle
from collections.abc import Generator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import FixedEffects, MixedEffects, fit_mixed, fit_weighted
from groupglm.models import second_pass
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.mixed_fit import MixedFit
from reference import mixed

N, N_VOXELS = 15, 70
ESTIMATORS = mixed.ESTIMATORS
each_estimator = pytest.mark.parametrize("tau2", ESTIMATORS)


def study(seed: int = 0) -> tuple[Any, Any, Any]:
    """A mean, a covariate, and places of which half have images that differ."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(N), rng.normal(size=N)])
    V = np.exp(rng.normal(size=(N, N_VOXELS)))
    spread = np.where(np.arange(N_VOXELS) % 2, 2.0, 0.0)
    Y = 3.0 + rng.normal(size=V.shape) * np.sqrt(V + spread)
    return X, Y, V


def interleaved(Y: Any, V: Any) -> Any:
    rows = np.empty((2 * len(Y), Y.shape[1]), Y.dtype)
    rows[::2], rows[1::2] = Y, V
    return rows


def finished(model: MixedEffects, X: Any, rows: Any, *, n_threads: int = 1) -> MixedFit:
    plan = model.prepare(X, ("mean", "age")[: X.shape[1]])
    seen = fill(plan, ArrayRows(rows), n_threads=n_threads)
    return plan.finish(seen, n_threads, ArrayRows(rows))


def assert_same_bits(found: MixedFit, expected: MixedFit, c: Any) -> None:
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(array, expected.arrays()[name], err_msg=name)
    np.testing.assert_array_equal(found.contrast(c).stat, expected.contrast(c).stat)


@each_estimator
@pytest.mark.parametrize("bytes_of_a_tile", [1, 2 * N * 8 * 33])
def test_tiles_and_threads_change_no_bit(
    tau2: Any, bytes_of_a_tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Y, V = study()
    Y[2, ::5] = np.nan
    whole = fit_mixed(X, Y, V, tau2=tau2, n_threads=1)
    monkeypatch.setattr("groupglm.models.mixed.TILE_BYTES", bytes_of_a_tile)
    for n_threads in (1, 3):
        by_tiles = finished(MixedEffects(tau2), X, interleaved(Y, V), n_threads=n_threads)
        assert_same_bits(by_tiles, whole, [0.0, 1.0])


def test_the_second_pass_asks_for_tiles_of_bounded_size() -> None:
    X, Y, V = study()
    asked: list[int] = []

    class Watched(ArrayRows):
        def tiles(self, max_bytes: int) -> Generator[tuple[NDArray[np.int64], NDArray[Any]]]:
            asked.append(max_bytes)
            yield from super().tiles(max_bytes)

    rows = interleaved(Y, V)
    plan = MixedEffects().prepare(X, ("mean", "age"))
    seen = fill(plan, ArrayRows(rows), n_threads=1)
    plan.finish(seen, 1, Watched(rows))
    assert asked == [second_pass.TILE_BYTES]
    with pytest.raises(ValueError, match="rows are needed once more"):
        plan.finish(seen, 1)


def test_the_memory_that_is_stated_holds_three_states_and_two_tiles() -> None:
    """The state of fixed effects, that with the final weights as it grows, and its copy."""
    X, Y, V = study()
    for groups in (None, ["a", "b", "c"] * 5):
        # Columns of the groups' own.
        own = X if groups is None else (np.array(groups)[:, None] == ["a", "b", "c"]).astype(float)
        plan = MixedEffects(variance_groups=groups).prepare(own, tuple("abc")[: own.shape[1]])
        fit = fit_mixed(own, Y, V, variance_groups=groups)
        arrays = fit.arrays()
        state = sum(arrays[name].nbytes for name in ("slots", "sums", "counts"))
        beside = sum(array.nbytes for array in arrays.values()) - state
        tiles = second_pass.tiles_bytes(2 * len(X), N_VOXELS)
        stated = plan.bytes(N_VOXELS) - tiles
        assert 3 * state + beside <= stated <= 4 * (state + beside)
        # It grows with the places alone, not with the images.
        assert plan.bytes(2 * N_VOXELS) - plan.bytes(N_VOXELS) == stated + tiles
        many = 10**5  # the tiles are full
        more = plan.bytes(2 * many * N_VOXELS) - plan.bytes(many * N_VOXELS)
        assert more == many * stated


@each_estimator
def test_an_image_of_another_type_is_that_number(tau2: Any) -> None:
    X, Y, V = study()
    single = V.astype(np.float32)
    found = fit_mixed(X, Y, single, tau2=tau2)
    assert_same_bits(found, fit_mixed(X, Y, single.astype(np.float64), tau2=tau2), [1.0, 0.0])
    whole = fit_mixed(X, np.round(10 * Y).astype(int), np.ceil(10 * V).astype(int), tau2=tau2)
    again = fit_mixed(X, np.round(10 * Y), np.ceil(10 * V), tau2=tau2)
    assert_same_bits(whole, again, [1.0, 0.0])


def test_a_given_tau2_weighs_by_the_inverse_of_both_variances() -> None:
    X, Y, V = study()
    for given in (0, 0.75):
        found = fit_mixed(X, Y, V, tau2=given)
        assert (found.tau2 == given).all()
        wanted = fit_weighted(X, Y, 1 / (V + given))
        for c in ([0.0, 1.0], np.eye(2)):
            one, other = found.contrast(c), wanted.contrast(c)
            np.testing.assert_allclose(one.effect_size, other.effect_size, rtol=1e-11)
            np.testing.assert_allclose(one.stat, other.stat, rtol=1e-10)
    assert not MixedEffects(0).keeps_rows
    assert MixedEffects(0.75).keeps_rows


def test_maps_of_fixed_effects_are_their_formulas() -> None:
    X, Y, V = study()
    plan = FixedEffects().prepare(X, ("mean", "age"))
    fit = plan.finish(fill(plan, ArrayRows(interleaved(Y, V)), n_threads=1), 1)
    wanted = mixed.fit(X, Y, V, tau2=0.0)
    maps = {name: compute() for name, compute in fit.maps().items()}
    assert list(maps) == ["i_squared", "h_squared", "q", "q_p_value"]
    df = N - 2
    np.testing.assert_allclose(maps["q"], wanted.q, rtol=1e-11)
    np.testing.assert_allclose(maps["q_p_value"], wanted.q_p_value, rtol=1e-10)
    np.testing.assert_allclose(maps["h_squared"], wanted.q / df, rtol=1e-11)
    # What cancels in Q - df is less than either: 1e-11 of 100 percent.
    excess = 100 * np.maximum(0, wanted.q - df) / wanted.q
    np.testing.assert_allclose(maps["i_squared"], excess, rtol=1e-9, atol=1e-9)
    assert (maps["i_squared"] == 0).any()


@each_estimator
def test_weights_are_those_of_the_final_fit(tau2: Any) -> None:
    X, Y, V = study()
    V[4, 7] = np.nan
    Y[4, 8] = V[4, 8] = 0.0
    fit = fit_mixed(X, Y, V, tau2=tau2)
    places = np.array([7, 8, 30], dtype=np.int64)
    found = fit.select(places).weights(V[:, places])
    assert (found[4, :2] == 0).all()
    w = np.nan_to_num(1 / (np.where(V > 0, V, np.nan) + fit.tau2))[:, places]
    np.testing.assert_allclose(found, 100 * w / w.sum(axis=0), rtol=1e-13)
    share, image = fit.dominance()
    np.testing.assert_allclose(100 * share[places], found.max(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(image[places], found.argmax(axis=0))
    usable = np.where(V > 0, V, np.nan)
    wanted = np.nanmax(usable, axis=0) / np.nanmin(usable, axis=0)
    np.testing.assert_allclose(fit.variance_ratio, wanted, rtol=1e-14)
    with pytest.raises(ValueError, match=r"V has shape \(15, 3\)"):
        fit.weights(V[:, places])


def test_the_share_at_zero_counts_the_known() -> None:
    X, Y, V = study()
    Y[2:, 0] = np.nan  # two images, and two columns
    fit = fit_mixed(X, Y, V)
    assert np.isnan(fit.tau2[0])
    assert fit.share_at_zero == np.mean(fit.tau2[1:] == 0)
    assert 0.1 < fit.share_at_zero < 0.6
    result = fit.contrast([1.0, 0.0])
    for values in (fit.i_squared, fit.h_squared, fit.q, fit.q_p_value, result.stat, result.p_value):
        assert np.isnan(values[0])
        assert np.isfinite(values[1:]).all()
    assert np.asarray(fit.n_observations)[0] == 2
    np.testing.assert_array_equal(result.tau2, fit.tau2)


@each_estimator
@pytest.mark.parametrize("order", ["runs", "mixed"])
def test_groups_may_follow_each_other_or_not(tau2: Any, order: str) -> None:
    _, Y, V = study()
    group = np.array(["a"] * 6 + ["b"] * 9)
    if order == "mixed":
        group = np.random.default_rng(1).permutation(group)
    X = (group[:, None] == ["a", "b"]).astype(float)
    fit = fit_mixed(X, Y, V, tau2=tau2, variance_groups=pd.Series(group))
    names = [each.name for each in fit.groups]
    assert fit.tau2.shape == (2, N_VOXELS)
    wanted = mixed.fit(X, Y, V, tau2=tau2, variance_groups=group)
    np.testing.assert_allclose(fit.tau2, wanted.tau2, rtol=1e-8, atol=1e-12)
    for test in mixed.TESTS:
        own = fit_mixed(X, Y, V, tau2=tau2, test=test, variance_groups=group)
        found, expected = own.contrast([1.0, -1.0]), mixed.contrast(wanted, [1.0, -1.0], test)
        np.testing.assert_allclose(found.stat, expected.stat, rtol=1e-8, atol=1e-8)
    maps = fit.maps()
    for k, name in enumerate(names):
        rows = group == name
        alone = fit_mixed(np.ones((rows.sum(), 1)), Y[rows], V[rows], tau2=tau2)
        for map_name in ("tau2", "i_squared", "h_squared"):
            np.testing.assert_allclose(
                maps[f"{map_name}_{name}"](), alone.maps()[map_name](), rtol=1e-9, atol=1e-11
            )
        np.testing.assert_array_equal(maps[f"tau2_{name}"](), fit.tau2[k])
    np.testing.assert_allclose(fit.weights(V).sum(axis=0), 100.0, rtol=1e-13)


def test_a_group_without_an_estimate_at_a_place_takes_no_part_there() -> None:
    _, Y, V = study()
    group = np.array(["a"] * 6 + ["b"] * 9)
    X = (group[:, None] == ["a", "b"]).astype(float)
    Y[1:6, 3] = np.nan  # one image of a, and its own mean
    fit = fit_mixed(X, Y, V, variance_groups=group)
    assert np.isnan(fit.tau2[:, 3]).tolist() == [True, False]
    assert np.isnan(fit.contrast([1.0, 0.0]).stat[3])
    assert np.isnan(fit.contrast([1.0, -1.0]).stat[3])
    alone = fit_mixed(X[6:, 1:], Y[6:], V[6:])
    np.testing.assert_allclose(
        fit.contrast([0.0, 1.0]).stat[3], alone.contrast([1.0]).stat[3], rtol=1e-11
    )
    assert np.asarray(fit.n_observations)[3] == 10
    assert np.asarray(fit.df_residual)[3] == 8


def test_a_fit_travels() -> None:
    X, Y, V = study()
    for fit in (fit_mixed(X, Y, V, tau2="ml"), fit_mixed(X, Y, V, tau2=0, test="z")):
        again = pickle.loads(pickle.dumps(fit))  # noqa: S301
        assert again.model == fit.model
        assert_same_bits(again, fit, [0.0, 1.0])
        assert repr(again) == repr(fit)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"tau2": "dl"},
            ValueError,
            "tau2 is 'dl'; 'tau2' must be 'reml', 'ml', 'dersimonian-laird'",
        ),
        ({"tau2": -0.5}, ValueError, "tau2 is -0.5; 'tau2' must be a finite number of at least 0"),
        ({"tau2": float("nan")}, ValueError, "tau2 is nan"),
        ({"tau2": np.inf}, ValueError, "tau2 is inf"),
        ({"tau2": True}, TypeError, "tau2 is a bool"),
        ({"tau2": None}, TypeError, "tau2 is a NoneType"),
        ({"test": "wald"}, ValueError, "test is 'wald'"),
        (
            {"tau2": 1.0, "variance_groups": ["a", "b"]},
            ValueError,
            "variance_groups is given, but tau2 is 1.0, the same for all images",
        ),
    ],
)
def test_options_are_checked_before_anything_is_read(
    options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        MixedEffects(**options)


def test_settings_make_the_same_model() -> None:
    for model in (
        MixedEffects(),
        MixedEffects(float(np.float32(0.5)), "z"),
        MixedEffects(variance_groups=np.array([1, 1, 2, 2])),
    ):
        again = MixedEffects(**model.settings())
        assert again == model
        assert hash(again) == hash(model)
    assert MixedEffects("ml") != MixedEffects()
    assert MixedEffects() != FixedEffects()
    assert repr(MixedEffects(variance_groups=["a", "b"])).endswith("variance_groups=['a', 'b'])")


def test_variances_that_cannot_be_are_refused_or_left_out() -> None:
    X, Y, V = study()
    wrong = V.copy()
    wrong[3, :2], wrong[5, 7] = -1.0, -0.5
    with pytest.raises(ValueError, match=r"V holds 3 negative variances in 2 rows, such as -1\.0"):
        fit_mixed(X, Y, wrong)
    wrong[3, :2], wrong[5, 7] = 0.0, 0.0
    with pytest.warns(UserWarning, match=r"V is 0 beside 3 values of Y .* in 2 rows"):
        found = fit_mixed(X, Y, wrong)
    gone = Y.copy()
    gone[3, :2], gone[5, 7] = np.nan, np.nan
    np.testing.assert_array_equal(found.tau2, fit_mixed(X, gone, V).tau2)
    wrong[3, :2], wrong[5, 7] = np.inf, 1.0
    with pytest.raises(ValueError, match=r"V holds 2 infinite values in row 4 \(V\[3\]\)"):
        fit_mixed(X, Y, wrong)
    with pytest.raises(ValueError, match=r"V has shape \(15,\)"):
        fit_mixed(X, Y, V[:, 0])


def test_no_voxels_and_one() -> None:
    X, Y, V = study()
    none = fit_mixed(X, Y[:, :0], V[:, :0])
    assert none.tau2.shape == none.contrast([0.0, 1.0]).stat.shape == (0,)
    one, all_of_them = fit_mixed(X, Y[:, 4:5], V[:, 4:5]), fit_mixed(X, Y, V)
    assert one.tau2[0] == all_of_them.tau2[4]


@each_estimator
@pytest.mark.parametrize(("n", "first"), [(13, [1, 3, 8, 11]), (15, [1, 2, 4, 7, 9, 11])])
def test_a_place_that_lacks_a_group_is_the_other_group_alone(
    tau2: str, n: int, first: list[int]
) -> None:
    """A basis of both groups has rounding in place of zeros: no rank may come of that."""
    rng = np.random.default_rng(0)
    kept = np.isin(np.arange(n), first)
    X = np.column_stack([kept, ~kept]).astype(float)
    Y, V = 4 * rng.normal(size=(n, 1)), np.exp(rng.normal(size=(n, 1)))
    Y[~kept] = np.nan
    fit = fit_mixed(X, Y, V, tau2=tau2)
    own = mixed.fit(np.ones((kept.sum(), 1)), Y[kept], V[kept], tau2=tau2)
    np.testing.assert_allclose(fit.tau2, own.tau2, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fit.i_squared, own.i_squared, rtol=1e-6, atol=1e-9)
