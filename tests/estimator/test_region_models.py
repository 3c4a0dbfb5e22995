# SPDX-License-Identifier: BSD-3-Clause
"""Every model on a table of regions, region by region against statsmodels and scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats
import statsmodels.api as sm

from groupglm import MixedEffects, SecondLevelModel, UnequalVariances

N, REGIONS = 20, ["hippocampus", "amygdala", "V1"]
LABELS = [f"sub-{number:02d}" for number in range(1, N + 1)]


@pytest.fixture
def table() -> pd.DataFrame:
    values = np.random.default_rng(11).normal([0.8, 0.0, -0.4], 1.0, (N, 3))
    return pd.DataFrame(values, LABELS, REGIONS)


@pytest.fixture
def beside() -> pd.DataFrame:
    """Numbers in another order of subjects and of regions."""
    values = np.random.default_rng(12).uniform(0.2, 1.5, (N, 3))
    return pd.DataFrame(values, LABELS, REGIONS).iloc[::-1, ::-1]


@pytest.fixture
def design() -> pd.DataFrame:
    age = np.random.default_rng(13).normal(size=N)
    return pd.DataFrame({"mean": np.ones(N), "age": age}, LABELS)


def paule_mandel(y: Any, v: Any) -> float:
    """Return the variance between subjects at which Q is its expectation, n - 1."""

    def excess(tau2: float) -> float:
        mean = np.average(y, weights=1 / (v + tau2))
        return float(((y - mean) ** 2 / (v + tau2)).sum()) - (len(y) - 1)

    return 0.0 if excess(0.0) <= 0 else scipy.optimize.brentq(excess, 0.0, 100.0, xtol=1e-13)


def test_mixed_effects_are_those_of_a_meta_analysis(
    table: pd.DataFrame, beside: pd.DataFrame
) -> None:
    mean = pd.DataFrame({"mean": np.ones(N)}, LABELS)
    model = SecondLevelModel(model=MixedEffects(tau2="paule-mandel", test="z"))
    model.fit(table, design_matrix=mean, variances=beside)
    maps = model.compute_contrast("mean", output_type="all")
    tau2: Any = model.tau2_
    fixed = SecondLevelModel(model="fixed effects")
    fixed.fit(table, design_matrix=mean, variances=beside)
    common = fixed.compute_contrast("mean", output_type="effect_size")
    for region in REGIONS:
        variances = beside.loc[LABELS, region].to_numpy()
        y = table[region].to_numpy()
        expected = paule_mandel(y, variances)
        assert tau2[region] == pytest.approx(expected, abs=1e-9)
        weights = 1 / (variances + expected)
        mean_effect = np.average(y, weights=weights)
        assert maps.loc[region, "effect_size"] == pytest.approx(mean_effect, rel=1e-7)
        assert maps.loc[region, "effect_variance"] == pytest.approx(1 / weights.sum(), rel=1e-7)
        weighted = np.average(table[region], weights=1 / variances)
        assert common[region] == pytest.approx(weighted, rel=1e-12)


def test_weights_and_covariates_are_matched_by_subject_and_region(
    table: pd.DataFrame, beside: pd.DataFrame, design: pd.DataFrame
) -> None:
    weighted = SecondLevelModel().fit(table, design_matrix=design, weights=beside)
    t = weighted.compute_contrast("age", output_type="stat")
    own = SecondLevelModel().fit(table, design_matrix=design, covariates={"volume": beside})
    t_of_volume = own.compute_contrast("volume", output_type="stat")
    for region in REGIONS:
        y, other = table[region].to_numpy(), beside.loc[LABELS, region].to_numpy()
        X = design.to_numpy()
        assert t[region] == pytest.approx(sm.WLS(y, X, other).fit().tvalues[1], rel=1e-10)
        with_volume = sm.OLS(y, np.column_stack([X, other])).fit()
        assert t_of_volume[region] == pytest.approx(with_volume.tvalues[2], rel=1e-10)


def test_groups_of_unequal_variance_are_those_of_welch(table: pd.DataFrame) -> None:
    group = np.arange(N) % 3 == 0
    table = table.mul(np.where(group, 1.0, 3.0), axis=0)
    design = pd.DataFrame({"a": group * 1.0, "b": ~group * 1.0}, LABELS)
    model = SecondLevelModel(model=UnequalVariances(pd.Series(np.where(group, "a", "b"), LABELS)))
    model.fit(table, design_matrix=design)
    t = model.compute_contrast("a - b", output_type="stat")
    expected = scipy.stats.ttest_ind(table[group], table[~group], equal_var=False)
    np.testing.assert_allclose(t, expected.statistic, rtol=1e-11)


def test_several_rows_of_a_subject_have_a_random_intercept(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    rng = np.random.default_rng(14)
    visits = [table + rng.normal(0.3 * time, 0.5, table.shape) for time in (0, 1, 2)]
    long = pd.concat([own.assign(visit=f"v{time}") for time, own in enumerate(visits)]).rename_axis(
        "participant_id"
    )
    rows = pd.concat(
        [design.assign(time=float(time), visit_label=f"v{time}") for time in (0, 1, 2)]
    ).rename_axis("participant_id")
    order = rng.permutation(len(rows))
    model = SecondLevelModel(model="repeated measures")
    model.fit(long.reset_index(), design_matrix=rows.iloc[order])
    effects = model.compute_contrast("time", output_type="effect_size")
    icc: Any = model.intraclass_correlation_
    for region in REGIONS:
        fit = sm.MixedLM(long[region].to_numpy(), rows[["mean", "age", "time"]], long.index).fit()
        assert effects[region] == pytest.approx(fit.fe_params["time"], rel=1e-6)
        between = float(np.asarray(fit.cov_re)[0, 0])
        # statsmodels maximises numerically, to some 1e-6 of the criterion.
        assert icc[region] == pytest.approx(between / (between + fit.scale), abs=2e-3)
    with pytest.raises(ValueError, match="repeated measures"):
        SecondLevelModel().fit(long.reset_index(), design_matrix=rows)


def test_a_saved_model_gives_the_same(
    table: pd.DataFrame, beside: pd.DataFrame, design: pd.DataFrame, tmp_path: Path
) -> None:
    model = SecondLevelModel(["V1", "amygdala"], model="mixed effects")
    model.fit(table, design_matrix=design, variances=beside)
    loaded = SecondLevelModel.load(model.save(tmp_path / "regions.groupglm"))
    for output in ("all", "z_score"):
        one: Any = model.compute_contrast("age", output_type=output)
        other: Any = loaded.compute_contrast("age", output_type=output)
        assert one.index.tolist() == ["amygdala", "V1"]
        assert one.equals(other)
    assert loaded.mask_img_.to_dict() == {"hippocampus": 0, "amygdala": 1, "V1": 1}


def test_tables_of_other_regions_or_subjects_are_refused(
    table: pd.DataFrame, beside: pd.DataFrame, design: pd.DataFrame
) -> None:
    model = SecondLevelModel(model="mixed effects")
    for spoilt, message in (
        (beside.drop(columns="V1"), "variances has other regions .* it lacks the region V1"),
        (beside.rename(columns={"V1": "V2"}), "lacks the region V1, and has V2, which is not"),
        (beside.rename({"sub-04": "sub-44"}), "variances has no row for 04"),
        (-beside, "variances are negative in 20 of 20 rows: .*; give variances, the squares"),
        (beside.assign(V1="high"), "column 'V1' of variances holds no numbers"),
        (table, "variances is second_level_input itself"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(table, design_matrix=design, variances=spoilt)
