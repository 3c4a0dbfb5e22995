# SPDX-License-Identifier: BSD-3-Clause
"""Peaks of factors and interactions: every group by its name, with the fit of statsmodels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.typing import NDArray

from groupglm import design_from_formula, make_second_level_design_matrix
from groupglm.design.origins import origins_of
from groupglm.plotting import plot_peak
from groupglm.plotting.adjusted import adjust
from groupglm.plotting.reading_terms import read_terms
from groupglm.plotting.terms import Terms
from groupglm.tabular.levels import levels_of

N = 60


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(20)
    return pd.DataFrame(
        {
            "age": rng.uniform(20, 70, N).round(),
            "iq": rng.normal(100, 15, N).round(),
            "sex": np.array(["F", "M"])[rng.integers(0, 2, N)],
            "site": np.array(["Bonn", "Lyon", "Oslo"])[np.arange(N) % 3],
            "patient": np.arange(N) % 2.0,
        }
    )


@pytest.fixture
def y(table: pd.DataFrame) -> NDArray[np.float64]:
    rng = np.random.default_rng(21)
    slope = 0.05 * table["age"] * (table["sex"] == "M") + 1.5 * (table["site"] == "Oslo")
    return np.array(slope + table["patient"] + rng.standard_normal(N), dtype=np.float64)


def terms_of(design: pd.DataFrame) -> Terms:
    names = [str(name) for name in design.columns]
    return read_terms(design.to_numpy(float), names, levels_of(design), origins_of(design))


def _adjust(y: Any, design: pd.DataFrame, contrast: Any) -> Any:
    names = [str(name) for name in design.columns]
    weights = np.atleast_2d(np.zeros(len(names)))
    if isinstance(contrast, list):
        weights = np.stack([np.array(names) == name for name in contrast]).astype(float)
    else:
        weights = (np.array(names) == contrast).astype(float)
    return adjust(y, terms_of(design), weights, 0.95)


def _check_groups(data: Any, fit: Any, cells: dict[str, dict[str, Any]], design: Any) -> None:
    """Compare with predictions at each cell, other columns at their means over the images."""
    assert [group.name for group in data.groups] == list(cells)
    for group, changed in zip(data.groups, cells.values(), strict=True):
        at = design.mean()
        for name, value in changed.items():
            at[name] = value
        expected = fit.get_prediction(np.atleast_2d(at.to_numpy())).summary_frame(alpha=0.05)
        assert group.fitted == pytest.approx(expected["mean"].iloc[0], rel=1e-9)
        half = (expected["mean_ci_upper"] - expected["mean_ci_lower"]).iloc[0] / 2
        assert group.half_width == pytest.approx(half, rel=1e-9)


def _fit(y: Any, design: pd.DataFrame) -> Any:
    import statsmodels.api as sm

    return sm.OLS(y, design.to_numpy()).fit()


@pytest.mark.parametrize("made_by", ["formula", "C", "confounds"])
def test_a_factor_shows_every_level_with_the_reference(
    table: pd.DataFrame, y: Any, made_by: str
) -> None:
    factor = "site"
    if made_by == "confounds":
        labels = [f"s{row:02d}" for row in range(N)]
        confounds = table[["age", "sex", "site"]].assign(subject_label=labels)
        design = make_second_level_design_matrix(labels, confounds)
    else:
        factor = "C(site)" if made_by == "C" else "site"
        design = design_from_formula(f"~ age + sex + {factor}", table)
    columns = [f"{factor}[T.Lyon]", f"{factor}[T.Oslo]"]
    off = dict.fromkeys(columns, 0.0)
    cells = {
        "Bonn": off,
        "Lyon": {**off, columns[0]: 1.0},
        "Oslo": {**off, columns[1]: 1.0},
    }
    fit = _fit(y, design)
    for contrast in (columns, columns[1]):
        data = _adjust(y, design, contrast)
        assert (data.kind, data.label) == ("groups", "site")
        _check_groups(data, fit, cells, design)
        assert [len(group.y) for group in data.groups] == [20, 20, 20]
        # Residuals of a group add up to zero, so that the points lie around what is fitted.
        assert [group.y.mean() for group in data.groups] == pytest.approx(
            [group.fitted for group in data.groups]
        )
    # What is tested is what is seen.
    by_name = {group.name: group.fitted for group in data.groups}
    weight = fit.params[list(design.columns).index(columns[1])]
    assert by_name["Oslo"] - by_name["Bonn"] == pytest.approx(weight)


def test_an_interaction_with_a_number_shows_a_line_for_each_group(
    table: pd.DataFrame, y: Any
) -> None:
    design = design_from_formula("~ age * sex + iq", table)
    data = _adjust(y, design, "age:sex[T.M]")
    assert (data.kind, data.label) == ("lines", "age")
    assert [line.name for line in data.lines] == ["F", "M"]
    oracle = smf.ols("y ~ age * sex + iq", table.assign(y=y)).fit()
    for line in data.lines:
        members = table["sex"] == line.name
        np.testing.assert_array_equal(line.x, table["age"][members])
        places, fitted, half = line.line
        assert (places[0], places[-1]) == (line.x.min(), line.x.max())  # nothing is extrapolated
        at = pd.DataFrame({"age": places, "sex": line.name, "iq": table["iq"].mean()})
        expected = oracle.get_prediction(at).summary_frame(alpha=0.05)
        np.testing.assert_allclose(fitted, expected["mean"], rtol=1e-9)
        np.testing.assert_allclose(fitted - half, expected["mean_ci_lower"], rtol=1e-8)
        residual = line.y - np.interp(line.x, places, fitted)
        np.testing.assert_allclose(residual, oracle.resid[members], atol=1e-9)


def test_an_interaction_made_by_hand_is_found_by_its_values(table: pd.DataFrame, y: Any) -> None:
    centred = table["age"] - table["age"].mean()
    design = pd.DataFrame(
        {
            "age": centred,
            "patient": table["patient"],
            "both": centred * table["patient"],
            "one": 1.0,
        }
    )
    data = _adjust(y, design, "both")
    assert (data.kind, data.label) == ("lines", "age")
    assert [line.name for line in data.lines] == ["patient = 0", "patient = 1"]
    slopes = [np.diff(line.line[1])[0] / np.diff(line.line[0])[0] for line in data.lines]
    assert slopes[1] - slopes[0] == pytest.approx(_fit(y, design).params[2])


@pytest.mark.parametrize("by_hand", [False, True])
def test_slopes_of_their_own_are_lines_over_the_same_number(
    table: pd.DataFrame, y: Any, by_hand: bool
) -> None:
    names, label = ["F", "M"], "age"
    design = design_from_formula("~ 0 + sex + sex:age", table)
    if by_hand:
        names, label = ["women", "men"], "age_women / age_men"
        design.columns = pd.Index([*names, "age_women", "age_men"])
    weights = np.array([0.0, 0, -1, 1])
    data = adjust(y, terms_of(design), weights, 0.95)
    assert (data.kind, data.label) == ("lines", label)
    assert [line.name for line in data.lines] == names
    params = _fit(y, design).params
    slopes = [np.diff(line.line[1])[0] / np.diff(line.line[0])[0] for line in data.lines]
    assert slopes == pytest.approx([params[2], params[3]])


def test_an_interaction_of_factors_shows_its_cells(table: pd.DataFrame, y: Any) -> None:
    design = design_from_formula("~ sex * site + age", table)
    columns = ["sex[T.M]:site[T.Lyon]", "sex[T.M]:site[T.Oslo]"]
    data = _adjust(y, design, columns)
    assert (data.kind, data.label) == ("groups", "sex, site")
    oracle = smf.ols("y ~ sex * site + age", table.assign(y=y)).fit()
    names = [f"{sex}, {site}" for sex in "FM" for site in ("Bonn", "Lyon", "Oslo")]
    assert [group.name for group in data.groups] == names
    for group in data.groups:
        sex, site = group.name.split(", ")
        at = pd.DataFrame({"sex": [sex], "site": [site], "age": [table["age"].mean()]})
        expected = oracle.get_prediction(at).summary_frame(alpha=0.05)
        assert group.fitted == pytest.approx(expected["mean"].iloc[0], rel=1e-9)
        half = (expected["mean_ci_upper"] - expected["mean_ci_lower"]).iloc[0] / 2
        assert group.half_width == pytest.approx(half, rel=1e-9)
        assert len(group.y) == ((table["sex"] == sex) & (table["site"] == site)).sum()


def test_dummies_made_by_hand_show_the_group_that_has_none(table: pd.DataFrame, y: Any) -> None:
    design = pd.DataFrame(
        {"lyon": table["site"] == "Lyon", "oslo": table["site"] == "Oslo", "one": 1}
    ).astype(float)
    data = _adjust(y, design, ["lyon", "oslo"])
    assert [group.name for group in data.groups] == ["none of them", "lyon", "oslo"]
    means = [y[table["site"] == site].mean() for site in ("Bonn", "Lyon", "Oslo")]
    assert [group.fitted for group in data.groups] == pytest.approx(means)


def test_levels_that_are_not_known_are_named_by_what_they_are_not(
    table: pd.DataFrame, y: Any
) -> None:
    design = pd.DataFrame(design_from_formula("~ sex", table).to_numpy(), columns=["i", "sex[T.M]"])
    data = _adjust(y, design, "sex[T.M]")
    assert ([group.name for group in data.groups], data.label) == (["not M", "M"], "sex")
    numbers = design_from_formula("~ C(patient)", table)
    data = _adjust(y, numbers, "C(patient)[T.1.0]")
    assert [group.name for group in data.groups] == ["patient = 0", "patient = 1"]


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("~ C(site, Sum())", ["Bonn", "Lyon", "Oslo"]),
        ("~ C(site, Treatment('Oslo'))", ["Bonn", "Lyon", "Oslo"]),
        ("~ 0 + site", ["Bonn", "Lyon", "Oslo"]),
    ],
)
def test_every_coding_shows_the_same_means(
    table: pd.DataFrame, y: Any, formula: str, names: list[str]
) -> None:
    design = design_from_formula(formula, table)
    columns = [name for name in design.columns if "site" in name]
    data = _adjust(y, design, columns)
    assert [group.name for group in data.groups] == names
    means = [y[table["site"] == site].mean() for site in names]
    assert [group.fitted for group in data.groups] == pytest.approx(means)


@pytest.mark.parametrize(
    ("formula", "columns", "kind"),
    [
        ("~ age * iq", ["iq"], "regressor"),
        ("~ age * sex", ["age"], "regressor"),
        ("~ age + sex", ["age", "sex[T.M]"], "fitted"),
    ],
)
def test_what_has_no_groups_is_shown_as_before(
    table: pd.DataFrame, y: Any, formula: str, columns: list[str] | None, kind: str
) -> None:
    design = design_from_formula(formula, table)
    wanted = columns or [str(name) for name in design.columns[1:]]
    contrast: Any = wanted if len(wanted) > 1 else wanted[0]
    assert _adjust(y, design, contrast).kind == kind


def test_a_group_without_an_image_is_left_out(table: pd.DataFrame, y: Any) -> None:
    y[table["site"] == "Bonn"] = np.nan
    design = design_from_formula("~ 0 + site", table)
    data = _adjust(y, design, ["site[Lyon]", "site[Oslo]"])
    assert [group.name for group in data.groups] == ["Lyon", "Oslo"]
    design = design_from_formula("~ age * sex", table)
    y[(table["sex"] == "F").to_numpy()] = np.nan
    lines = _adjust(y, design, "age:sex[T.M]").lines
    assert [line.name for line in lines] == ["M"]


def test_levels_go_with_the_design_and_the_saved_model(table: pd.DataFrame, tmp_path: Path) -> None:
    import nibabel as nib

    from groupglm import SecondLevelModel

    rng = np.random.default_rng(3)
    images = [
        nib.Nifti1Image(rng.standard_normal((4, 4, 4)).astype(np.float32), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(N)
    ]
    mask = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    design = design_from_formula("~ sex", table)
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    wanted = {"sex": ["F", "M"]}
    assert levels_of(model.design_matrix_) == wanted
    assert levels_of(SecondLevelModel.load(model.save(tmp_path / "a")).design_matrix_) == wanted


def test_the_picture_has_a_line_and_a_name_for_each_group(table: pd.DataFrame, y: Any) -> None:
    design = design_from_formula("~ age * sex", table)
    figure = plot_peak(y, design, "age:sex[T.M]")
    (ax,) = figure.axes
    assert ax.get_xlabel() == "age"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["F", "M"]
    assert len(ax.lines) == 2
    assert len({line.get_color() for line in ax.lines}) == 2
    assert len(ax.collections) == 4  # points and a band each
