# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds and permutation tests of regions, against statsmodels and by brute force."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from groupglm import (
    SecondLevelModel,
    cluster_level_inference,
    get_clusters_table,
    get_results_table,
    non_parametric_inference,
    ptfce,
    threshold_stats_img,
    true_discovery_bounds,
)
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.smoothness import Smoothness

N, K = 10, 14


@pytest.fixture
def table() -> pd.DataFrame:
    means = np.where(np.arange(K) < 4, 1.5, 0.0)
    values = np.random.default_rng(8).normal(means, 1.0, (N, K))
    return pd.DataFrame(values, columns=[f"region {place}" for place in range(K)])


@pytest.fixture
def design() -> pd.DataFrame:
    return pd.DataFrame({"mean": np.ones(N)})


@pytest.mark.parametrize(("control", "method"), [("fdr", "fdr_bh"), ("bonferroni", "bonferroni")])
@pytest.mark.parametrize("two_sided", [True, False])
def test_corrections_are_those_of_statsmodels(
    table: pd.DataFrame, design: pd.DataFrame, control: Any, method: str, *, two_sided: bool
) -> None:
    z = SecondLevelModel().fit(table, design_matrix=design).compute_contrast("mean")
    kept: Any
    kept, threshold = threshold_stats_img(
        z, alpha=0.05, height_control=control, two_sided=two_sided
    )
    p = 2 * scipy.stats.norm.sf(np.abs(z)) if two_sided else scipy.stats.norm.sf(z)
    rejected, *_ = multipletests(p, 0.05, method)
    assert 0 < rejected.sum() < K
    expected = z.where(rejected, 0.0)
    pd.testing.assert_series_equal(kept, expected, check_names=False)
    assert kept.name.startswith("thresholded at ")
    assert np.abs(z[rejected]).min() >= threshold > z[~rejected].max()


def test_the_largest_statistic_is_that_of_all_sign_flips(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    table.iloc[3, 2] = np.nan  # a region that lacks a subject is tested with the others
    complete = table.drop(columns="region 2")
    with pytest.warns(UserWarning, match="all 1024 different sign flips"):
        logp: Any = non_parametric_inference(
            complete, design_matrix=design, second_level_contrast="mean", n_perm=5000
        )
    y = complete.to_numpy()
    flips = np.array(list(itertools.product([1.0, -1.0], repeat=N)))
    flipped = flips[:, :, np.newaxis] * y
    t = flipped.mean(axis=1) / (flipped.std(axis=1, ddof=1) / np.sqrt(N))
    p = (t.max(axis=1)[:, np.newaxis] >= t[0] - 1e-9).mean(axis=0)
    np.testing.assert_allclose(10.0**-logp, p, rtol=1e-9)
    assert isinstance(logp, pd.Series)
    with pytest.warns(UserWarning, match="all 1024 different sign flips"):
        whole: Any = non_parametric_inference(
            table, design_matrix=design, second_level_contrast="mean", n_perm=5000
        )
    assert np.isfinite(whole["region 2"])


def test_clusters_of_regions_are_refused(table: pd.DataFrame, design: pd.DataFrame) -> None:
    z = SecondLevelModel().fit(table, design_matrix=design).compute_contrast("mean")
    message = r"regions have no neighbours, .*max-t"
    with pytest.raises(ValueError, match=f"cluster_threshold is 5, but {message}"):
        threshold_stats_img(z, cluster_threshold=5)
    with pytest.raises(ValueError, match=f"stat_img is a map of regions, but {message}"):
        get_clusters_table(z, 3.0)
    with pytest.raises(ValueError, match=f"stat_img is a map of regions, but {message}"):
        cluster_level_inference(z, threshold=3.0)
    asked: list[dict[str, Any]] = [{"threshold": 0.01}, {"tfce": True}]
    for option in asked:
        with pytest.raises(ValueError, match=f"{next(iter(option))} is .*, but {message}"):
            non_parametric_inference(
                table, design_matrix=design, second_level_contrast="mean", n_perm=10, **option
            )


@pytest.mark.parametrize("given", [None, Smoothness.of_box((9, 9, 9), fwhm=4.0, df=9.0)])
def test_random_fields_of_regions_are_refused_whatever_the_smoothness(
    table: pd.DataFrame, design: pd.DataFrame, given: Smoothness | None
) -> None:
    model = SecondLevelModel().fit(table, design_matrix=design)
    z = model.compute_contrast("mean")
    fields: dict[str, Any] = {"smoothness": given}
    calls: list[Callable[[], Any]] = [
        lambda: threshold_stats_img(z, height_control="rft", **fields),
        lambda: threshold_stats_img(z, height_control="cluster-rft", **fields),
        lambda: get_results_table(z, 2.0, correction="rft", **fields),
        lambda: get_results_table((model, "mean"), 2.0, correction="rft", **fields),
        lambda: ptfce(z, **fields),
    ]
    for call in calls:
        with pytest.raises(ArgumentError, match=r"regions have no neighbours, .*permutation"):
            call()


def test_true_discoveries_are_bounded_in_groups_of_regions(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    z = SecondLevelModel().fit(table, design_matrix=design).compute_contrast("mean")
    lobes = pd.Series(np.where(np.arange(K) < 4, 1, 2), z.index)
    bounds = true_discovery_bounds(z, lobes)
    assert bounds.iloc[:, 1].tolist() == [4, K - 4]
    assert bounds["True Discoveries"].tolist()[0] > bounds["True Discoveries"].tolist()[1] == 0


def test_a_table_of_maps_is_no_map(table: pd.DataFrame, design: pd.DataFrame) -> None:
    model = SecondLevelModel().fit(table, design_matrix=design)
    maps = model.compute_contrast("mean", output_type="all")
    with pytest.raises(TypeError, match=r"give one column of it, such as maps\['z_score'\]"):
        threshold_stats_img(maps)
    kept, _ = threshold_stats_img(maps["z_score"], alpha=0.01)
    with pytest.warns(UserWarning, match="t statistics with 9 degrees of freedom.*converted"):
        of_t, _ = threshold_stats_img(
            model.compute_contrast("mean", output_type="stat"), alpha=0.01
        )
    np.testing.assert_allclose(np.asarray(of_t), np.asarray(kept), rtol=1e-12)
    with pytest.raises(ValueError, match="map of p-values"):
        threshold_stats_img(maps["p_value"])
