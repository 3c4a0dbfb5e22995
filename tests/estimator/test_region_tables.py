# SPDX-License-Identifier: BSD-3-Clause
"""Tables of regions: the numbers of each region against statsmodels, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from groupglm import SecondLevelModel

N, REGIONS = 30, [*(f"region {place}" for place in range(12)), "NA"]
SUBJECTS = [f"sub-{number:02d}" for number in range(1, N + 1)]


@pytest.fixture
def table() -> pd.DataFrame:
    values = np.random.default_rng(3).normal(0.3, 1.0, (N, len(REGIONS)))
    return pd.DataFrame(values, pd.Index(SUBJECTS, name="participant_id"), REGIONS)


@pytest.fixture
def design() -> pd.DataFrame:
    """The rows are in another order than those of the table."""
    rng = np.random.default_rng(4)
    columns = {"intercept": np.ones(N), "age": rng.normal(size=N), "group": rng.integers(0, 2, N)}
    return pd.DataFrame(columns, [label.removeprefix("sub-") for label in SUBJECTS]).iloc[::-1]


def ols_of(table: pd.DataFrame, design: pd.DataFrame, region: str) -> Any:
    y = table[region].to_numpy()
    X = design.iloc[::-1].to_numpy(float)
    return sm.OLS(y, X, missing="drop").fit()


def test_each_region_is_fitted_as_statsmodels_fits_it(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    table.iloc[[2, 5], 3] = np.nan
    table.iloc[7, 12] = np.nan
    model = SecondLevelModel().fit(table, design_matrix=design)
    maps = model.compute_contrast("age", output_type="all")
    assert maps.index.tolist() == REGIONS
    for region in REGIONS:
        expected = ols_of(table, design, region)
        found = maps.loc[region]
        # Two solutions of a well-conditioned problem in double.
        np.testing.assert_allclose(found["effect_size"], expected.params[1], rtol=1e-11)
        np.testing.assert_allclose(found["stat"], expected.tvalues[1], rtol=1e-11)
        np.testing.assert_allclose(found["effect_variance"], expected.bse[1] ** 2, rtol=1e-11)
        two_sided = 2 * min(found["p_value"], 1 - found["p_value"])
        np.testing.assert_allclose(two_sided, expected.pvalues[1], rtol=1e-10)
    z = model.compute_contrast("age")
    assert isinstance(z, pd.Series)
    np.testing.assert_array_equal(z.to_numpy(), maps["z_score"].to_numpy())
    counts: Any = model.n_observations_
    assert counts[["region 0", "region 3", "NA"]].tolist() == [N, N - 2, N - 1]


def test_an_f_contrast_is_that_of_statsmodels(table: pd.DataFrame, design: pd.DataFrame) -> None:
    model = SecondLevelModel().fit(table, design_matrix=design)
    maps = model.compute_contrast(["age", "group"], output_type="all")
    for region in REGIONS:
        expected = ols_of(table, design, region)
        test = expected.f_test(np.eye(3)[1:])
        np.testing.assert_allclose(maps.loc[region, "stat"], test.fvalue, rtol=1e-10)
        np.testing.assert_allclose(maps.loc[region, "p_value"], test.pvalue, rtol=1e-9)
        effects = maps.loc[region, ["effect_size_0", "effect_size_1"]].to_numpy(float)
        np.testing.assert_allclose(effects, expected.params[1:], rtol=1e-10)


@pytest.mark.parametrize("ending", [".tsv", ".csv"])
def test_a_table_in_a_file_is_that_in_memory(
    table: pd.DataFrame, design: pd.DataFrame, tmp_path: Path, ending: str
) -> None:
    table.iloc[4, 2] = np.nan
    path = tmp_path / f"regions{ending}"
    table.to_csv(path, sep="\t" if ending == ".tsv" else ",", na_rep="n/a")
    spread = tmp_path / "spread.csv"
    (table**2).to_csv(spread)
    of_file = SecondLevelModel().fit(path, design_matrix=design).compute_contrast("group")
    of_memory = SecondLevelModel().fit(table, design_matrix=design).compute_contrast("group")
    pd.testing.assert_series_equal(of_file, of_memory)
    model = SecondLevelModel(minimize_memory=False).fit(path, design_matrix=design, weights=spread)
    for own in (path, spread):
        with pytest.raises(ValueError, match="which is an input of this model"):
            model.save(own)
        with pytest.raises(ValueError, match="which is an input of this model"):
            model.residuals(out=own)
    path.write_text(path.read_text().replace("n/a", "low"))
    with pytest.raises(ValueError, match=rf"^'.*regions\{ending}': the column 'region 2' .* 'low'"):
        SecondLevelModel().fit(path, design_matrix=design)


def test_confounds_and_the_mean_need_no_design(table: pd.DataFrame, design: pd.DataFrame) -> None:
    confounds = design[["age"]].rename_axis("subject_label").reset_index()
    model = SecondLevelModel().fit(table, confounds=confounds)
    t = model.compute_contrast("intercept", output_type="stat")
    expected = ols_of(table, design[["intercept", "age"]], "region 1").tvalues[0]
    assert t["region 1"] == pytest.approx(expected, rel=1e-11)
    assert SecondLevelModel().fit(table).design_matrix_.columns.tolist() == ["intercept"]


def test_a_mask_is_a_list_of_regions(
    table: pd.DataFrame, design: pd.DataFrame, tmp_path: Path
) -> None:
    whole = SecondLevelModel().fit(table, design_matrix=design).compute_contrast("age")
    model = SecondLevelModel(["NA", "region 4"]).fit(table, design_matrix=design)
    z = model.compute_contrast("age")
    pd.testing.assert_series_equal(z, whole[["region 4", "NA"]])
    again = SecondLevelModel(model.mask_img_).fit(table, design_matrix=design)
    pd.testing.assert_series_equal(again.compute_contrast("age"), z)
    (tmp_path / "mask.tsv").write_text("region\nNA\nregion 4\n")
    listed = SecondLevelModel(tmp_path / "mask.tsv").fit(table, design_matrix=design)
    pd.testing.assert_series_equal(listed.compute_contrast("age"), z)
    with pytest.raises(ValueError, match="lacks the region region 4; give a table of the same"):
        model.transform(table.drop(columns="region 4"))
    with pytest.raises(ValueError, match=r"'regoin 4'; give names .* near 'region 4'"):
        SecondLevelModel(["regoin 4"]).fit(table, design_matrix=design)
    with pytest.raises(ValueError, match="'NA' more than once; name each"):
        SecondLevelModel(["NA", "NA"]).fit(table, design_matrix=design)


def test_a_region_without_values_is_left_out_and_named(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    table["region 2"] = np.nan
    table.iloc[3:, 5] = np.nan
    message = r"left out 2 regions with a value in fewer than 4 of 30 subjects: region 2, region 5;"
    with pytest.warns(UserWarning, match=message):
        model = SecondLevelModel().fit(table, design_matrix=design)
    assert [*model.compute_contrast("age").index] == [
        name for name in REGIONS if name not in ("region 2", "region 5")
    ]


def _nested(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    table["region 1"] = [*table["region 1"][:-1], "missing?"]
    return table


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_nested, r"column 'region 1' .* 'missing\?' \(subject 'sub-30'\); write a number"),
        (lambda t: t.assign(sex="f"), "column 'sex' .* if 'sex' is no region, leave the column"),
        (
            lambda t: t.rename_axis("Measure:volume").reset_index(),
            "column 'Measure:volume' .*; if 'Measure:volume' holds the subjects, call it 'partici",
        ),
        (lambda t: t.astype(str), "'region 0' of second_level_input holds no numbers.*to_numeric"),
        (
            lambda t: t.assign(path="sub.nii.gz"),
            "column 'path' .*holds no numbers.*; a table of maps names its files in the column "
            "'effects_map_path', beside 'subject_label' and 'map_name'",
        ),
        (
            lambda t: t.assign(huge=[10**400, *[1] * 29]),
            "infinite in 1 cell: subject 'sub-01', region huge",
        ),
        (lambda t: t.assign(flag=True), "column 'flag' of second_level_input holds no numbers"),
        (lambda t: t.replace(t.iloc[3, 2], np.inf), "infinite in 1 cell: subject 'sub-04', region"),
        (lambda t: t.set_axis(["a", *REGIONS[:-2], "a"], axis=1), "region 'a' more than once"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "has several rows for 01|subject '01' has 2"),
        (lambda t: t.iloc[:, :0], "has no column of a region.*'effects_map_path'"),
        (lambda t: t.iloc[:0], "has 0 rows; a model needs at least 2, one a subject"),
        (lambda t: t.iloc[:1], "has 1 row; a model needs at least 2, one a subject"),
        (lambda t: t.assign(age=1.0), "column 'age', which the design has too"),
        (
            lambda t: t.rename({"sub-03": "sub-99"}),
            "has no row for 99; has rows for subjects .* 03",
        ),
        (
            lambda t: t.drop(index="sub-05").reindex(SUBJECTS),
            "subject 'sub-05': all 13 values are missing",
        ),
    ],
)
def test_a_table_that_cannot_be_used(
    table: pd.DataFrame, design: pd.DataFrame, spoil: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SecondLevelModel().fit(spoil(table), design_matrix=design)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_affine": np.eye(4)}, "target_affine is given, but regions have no place"),
        ({"target_shape": (3, 3, 3)}, "target_shape is given, but regions have no place"),
        ({"smoothing_fwhm": 6.0}, "smoothing_fwhm is given, but regions have no neighbours"),
        ({"mask_img": 3}, "the mask of regions is a int; give a list of names"),
        (
            {"mask_img": ["V9"]},
            "mask_img has regions that the data have not: 'V9'; give names of re",
        ),
        ({"mask_img": []}, "the mask is empty: no region is inside"),
    ],
)
def test_options_that_regions_do_not_have(
    table: pd.DataFrame, design: pd.DataFrame, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SecondLevelModel(**options).fit(table, design_matrix=design)


def test_a_row_that_the_design_lacks_may_be_left_out(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    with pytest.warns(UserWarning, match="left out subjects without a row in design_matrix: 03"):
        model = SecondLevelModel().fit(
            table, design_matrix=design.drop(index="03"), allow_partial=True
        )
    expected = ols_of(table.drop(index="sub-03"), design.drop(index="03"), "region 6")
    t = model.compute_contrast("age", output_type="stat")["region 6"]
    assert t == pytest.approx(expected.tvalues[1], rel=1e-11)


def test_residuals_are_rows_of_the_table(table: pd.DataFrame, design: pd.DataFrame) -> None:
    model = SecondLevelModel(minimize_memory=False).fit(table, design_matrix=design)
    expected = ols_of(table, design, "NA").resid
    residuals: Any = model.residuals_
    np.testing.assert_allclose(residuals["NA"], expected, atol=1e-13)
    np.testing.assert_array_equal(model.transform(table), table.to_numpy())


def test_residuals_and_fitted_values_are_by_subject(
    table: pd.DataFrame, design: pd.DataFrame, tmp_path: Path
) -> None:
    model = SecondLevelModel(minimize_memory=False).fit(table, design_matrix=design)
    residuals, predicted = model.residuals_, model.predicted_
    assert residuals.index.tolist() == predicted.index.tolist() == SUBJECTS
    expected = ols_of(table, design, REGIONS[2]).resid
    np.testing.assert_allclose(residuals[REGIONS[2]], expected, atol=1e-12)
    assert model.residuals()[0].index.tolist() == SUBJECTS
    for name, rows in (("residuals", residuals), ("predicted", predicted)):
        (returned,) = getattr(model, name)(out=tmp_path / f"{name}.tsv")
        pd.testing.assert_frame_equal(returned, rows)
        written = pd.read_table(tmp_path / f"{name}.tsv", dtype={"subject_label": str})
        pd.testing.assert_frame_equal(
            written.set_index("subject_label"), rows, check_names=False, check_exact=True
        )


def test_weights_of_a_region_are_asked_for_by_its_name(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    variances = table.abs() + 0.5
    model = SecondLevelModel(model="fixed effects")
    model.fit(table, design_matrix=design, variances=variances)
    own = 1 / variances[REGIONS[4]].to_numpy()
    found = model.weights_at(REGIONS[4])
    np.testing.assert_allclose(found.to_numpy(), 100 * own / own.sum(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"'nowhere'.*must be a region in the mask"):
        model.weights_at("nowhere")
    with pytest.raises(ValueError, match="regions have no position"):
        model.weights_at((0, 0, 0))
