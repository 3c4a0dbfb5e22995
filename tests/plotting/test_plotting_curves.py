# SPDX-License-Identifier: BSD-3-Clause
"""Peaks over polynomials, pairs of numbers and other codings: predictions of statsmodels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from groupglm import design_from_formula
from groupglm.design.origins import origins_of
from groupglm.plotting import plot_peak
from groupglm.plotting.adjusted import Adjusted, adjust
from groupglm.plotting.polynomials import polynomials
from groupglm.plotting.reading_terms import read_terms
from groupglm.tabular.levels import levels_of

N = 60
SEX = np.array(["F", "M"])
SITES = np.array(["Bonn", "Lyon", "Oslo"])


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(30)
    return pd.DataFrame(
        {
            "age": rng.uniform(20, 70, N).round(),
            "iq": rng.normal(100, 15, N).round(),
            "sex": SEX[rng.integers(0, 2, N)],
            "site": SITES[np.arange(N) % 3],
        }
    )


@pytest.fixture
def y(table: pd.DataFrame) -> NDArray[np.float64]:
    rng = np.random.default_rng(31)
    age, iq = (table["age"] - 45) / 10, (table["iq"] - 100) / 15
    bent = age**2 + age * iq + 0.5 * iq + (table["site"] == "Oslo") * age
    return np.array(bent + rng.standard_normal(N), dtype=np.float64)


def _shown(y: Any, design: pd.DataFrame, columns: list[str] | None = None) -> Adjusted:
    names = [str(name) for name in design.columns]
    wanted = columns or [name for name in names if name != "Intercept"]
    weights = np.stack([np.array(names) == name for name in wanted]).astype(float)
    terms = read_terms(design.to_numpy(float), names, levels_of(design), origins_of(design))
    return adjust(y, terms, weights[0] if len(weights) == 1 else weights, 0.95)


def _check_line(line: NDArray[np.float64], oracle: Any, at: pd.DataFrame) -> None:
    expected = oracle.get_prediction(at).summary_frame(alpha=0.05)
    # 60 rows, columns up to 5,000 (age squared): 1e-16 times a condition of some 1e5.
    np.testing.assert_allclose(line[1], expected["mean"], rtol=1e-8)
    np.testing.assert_allclose(line[1] - line[2], expected["mean_ci_lower"], rtol=1e-7)


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("~ age + I(age**2) + iq", ["age", "I(age ** 2)"]),
        ("~ age + I(age**2) + iq", ["I(age ** 2)"]),
        ("~ age + I(age**2) + iq", ["age"]),
        ("~ poly(age, 2) + iq", ["poly(age, 2)[1]", "poly(age, 2)[2]"]),
        ("~ poly(age, 2) + iq", ["poly(age, 2)[2]"]),
        ("~ scale(age) + I(scale(age)**2) + iq", ["I(scale(age) ** 2)"]),
    ],
)
def test_a_polynomial_is_a_curve_over_the_number(
    table: pd.DataFrame, y: Any, formula: str, columns: list[str]
) -> None:
    data = _shown(y, design_from_formula(formula, table), columns)
    assert (data.kind, data.label, len(data.lines)) == ("lines", "age", 1)
    (curve,) = data.lines
    np.testing.assert_array_equal(curve.x, table["age"])
    oracle = smf.ols("y ~ age + I(age**2) + iq", table.assign(y=y)).fit()
    places = curve.line[0]
    assert (places[0], places[-1]) == (table["age"].min(), table["age"].max())
    _check_line(curve.line, oracle, pd.DataFrame({"age": places, "iq": table["iq"].mean()}))
    # Each image lies as far from the curve as its residual.
    at = pd.DataFrame({"age": curve.x, "iq": table["iq"].mean()})
    np.testing.assert_allclose(curve.y - oracle.predict(at), oracle.resid, atol=1e-8)


def test_powers_made_by_hand_are_found_by_their_values(table: pd.DataFrame, y: Any) -> None:
    centred = table["age"] - table["age"].mean()
    design = pd.DataFrame(
        {"years": table["age"], "bent": centred**2, "iq": table["iq"], "one": 1.0}
    )
    data = _shown(y, design, ["years", "bent"])
    assert (data.kind, data.label) == ("lines", "years")
    oracle = smf.ols("y ~ age + I(age**2) + iq", table.assign(y=y)).fit()
    places = data.lines[0].line[0]
    _check_line(data.lines[0].line, oracle, pd.DataFrame({"age": places, "iq": table["iq"].mean()}))
    # A column that is only called so is no function of another.
    named = pd.DataFrame({"age": table["age"], "age (onset)": table["iq"], "one": 1.0})
    assert _shown(y, named, ["age (onset)"]).kind == "regressor"


def test_another_function_is_followed_from_image_to_image(table: pd.DataFrame, y: Any) -> None:
    data = _shown(y, design_from_formula("~ age + np.log(age) + iq", table), ["np.log(age)"])
    places = data.lines[0].line[0]
    np.testing.assert_array_equal(places, np.unique(table["age"]))
    oracle = smf.ols("y ~ age + np.log(age) + iq", table.assign(y=y)).fit()
    _check_line(data.lines[0].line, oracle, pd.DataFrame({"age": places, "iq": table["iq"].mean()}))


def test_a_straight_line_stays_one_over_its_column(table: pd.DataFrame, y: Any) -> None:
    for formula, column in (("~ age + iq", "age"), ("~ scale(age) + iq", "scale(age)")):
        data = _shown(y, design_from_formula(formula, table), [column])
        assert (data.kind, data.label) == ("regressor", column)


@pytest.mark.parametrize("by_hand", [False, True])
def test_two_numbers_are_lines_at_three_values_of_one(
    table: pd.DataFrame, y: Any, by_hand: bool
) -> None:
    design = design_from_formula("~ age * iq + sex", table)
    if by_hand:
        design = design.rename(columns={"age:iq": "product"})
    data = _shown(y, design, [str(design.columns[-1])])
    assert (data.kind, data.label) == ("lines", "age")
    mean, deviation = table["iq"].mean(), table["iq"].std()
    values = [mean - deviation, mean, mean + deviation]
    notes = ["mean \N{MINUS SIGN} 1 SD", "mean", "mean + 1 SD"]
    assert [line.name for line in data.lines] == [
        f"iq = {value:.4g} ({note})" for value, note in zip(values, notes, strict=True)
    ]
    share = (table["sex"] == "M").mean()
    oracle = smf.ols("y ~ age * iq + male", table.assign(y=y, male=table["sex"] == "M").astype(
        {"male": float})).fit()  # fmt: skip
    for line, value in zip(data.lines, values, strict=True):
        at = pd.DataFrame({"age": line.line[0], "iq": value, "male": share})
        _check_line(line.line, oracle, at)
    # Every image is a point once, with the line whose value is nearest to its own.
    assert sum(len(line.x) for line in data.lines) == N
    nearest = np.abs(np.subtract.outer(table["iq"].to_numpy(), values)).argmin(axis=1)
    for place, line in enumerate(data.lines):
        np.testing.assert_array_equal(line.x, table["age"][nearest == place])


def test_a_curve_for_each_group(table: pd.DataFrame, y: Any) -> None:
    design = design_from_formula("~ poly(age, 2) * sex", table)
    data = _shown(y, design, [name for name in map(str, design.columns) if ":" in name])
    assert (data.kind, data.label) == ("lines", "age")
    assert [line.name for line in data.lines] == ["F", "M"]
    oracle = smf.ols("y ~ (age + I(age**2)) * sex", table.assign(y=y)).fit()
    for line in data.lines:
        _check_line(line.line, oracle, pd.DataFrame({"age": line.line[0], "sex": line.name}))


@pytest.mark.parametrize("coding", ["Helmert()", "Sum()", "Diff()", "Poly()", "Treatment('Lyon')"])
@pytest.mark.parametrize("known", [True, False])
def test_every_coding_shows_groups_by_name_with_adjusted_means(
    table: pd.DataFrame, y: Any, coding: str, known: bool
) -> None:
    design = design_from_formula(f"~ C(site, {coding}) + age", table)
    names = list(SITES)
    if not known:  # as from a file: names and values are all that there is
        design.attrs.clear()
        if coding in ("Diff()", "Poly()"):
            return  # their columns do not tell which level a row has
        names = ["reference", "Lyon", "Oslo"]
        if coding == "Sum()":
            names = ["reference", "Bonn", "Lyon"]
        elif coding == "Treatment('Lyon')":
            names = ["reference", "Bonn", "Oslo"]
    columns = [name for name in map(str, design.columns) if "site" in name]
    data = _shown(y, design, columns)
    assert (data.kind, data.label, [group.name for group in data.groups]) == (
        "groups", "site", names,
    )  # fmt: skip
    oracle = smf.ols("y ~ site + age", table.assign(y=y)).fit()
    shown = {group.name: group for group in data.groups}
    (rest,) = set(SITES) - set(names) or {""}
    for site in SITES:
        group = shown["reference" if site == rest else site]
        at = pd.DataFrame({"site": [site], "age": [table["age"].mean()]})
        expected = oracle.get_prediction(at).summary_frame(alpha=0.05)
        assert group.fitted == pytest.approx(expected["mean"].iloc[0], rel=1e-9)
        half = (expected["mean_ci_upper"] - expected["mean_ci_lower"]).iloc[0] / 2
        assert group.half_width == pytest.approx(half, rel=1e-8)
        assert len(group.y) == (table["site"] == site).sum()


def test_lines_of_groups_in_any_coding(table: pd.DataFrame, y: Any) -> None:
    design = design_from_formula("~ C(site, Helmert()) * age", table)
    data = _shown(y, design, [name for name in map(str, design.columns) if ":" in name])
    assert [line.name for line in data.lines] == list(SITES)
    oracle = smf.ols("y ~ site * age", table.assign(y=y)).fit()
    for line in data.lines:
        _check_line(line.line, oracle, pd.DataFrame({"age": line.line[0], "site": line.name}))


def test_origins_follow_the_rows_and_the_saved_model(table: pd.DataFrame, tmp_path: Path) -> None:
    import nibabel as nib

    from groupglm import SecondLevelModel

    design = design_from_formula("~ poly(age, 2) + C(site, Helmert())", table)
    wanted = {"age": table["age"].tolist(), "site": table["site"].tolist()}
    assert origins_of(design) == wanted
    order = np.random.default_rng(0).permutation(N)
    shuffled = design.iloc[order].reset_index(drop=True)
    assert origins_of(shuffled)["age"] == table["age"].iloc[order].tolist()
    assert origins_of(design * 2) == {}  # other columns than those that were made
    rng = np.random.default_rng(3)
    images = [
        nib.Nifti1Image(rng.standard_normal((4, 4, 4)).astype(np.float32), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(N)
    ]
    mask = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    assert origins_of(model.design_matrix_) == wanted
    assert origins_of(SecondLevelModel.load(model.save(tmp_path / "a")).design_matrix_) == wanted
    # A page has them too: over age, with the sites' names.
    contrast = {"age": design.columns[1:3].tolist(), "site": design.columns[3:].tolist()}
    text = model.generate_report(contrast).get_standalone()
    assert " through " in text  # where the curve turns
    assert " over age." in text
    assert "Fitted: Bonn: " in text


def test_missing_values_leave_rows_out_of_the_curve(table: pd.DataFrame, y: Any) -> None:
    y[[3, 11]] = np.nan
    data = _shown(y, design_from_formula("~ poly(age, 2)", table))
    keep = np.isfinite(y)
    oracle = smf.ols("y ~ age + I(age**2)", table[keep].assign(y=y[keep])).fit()
    np.testing.assert_array_equal(data.lines[0].x, table["age"][keep])
    _check_line(data.lines[0].line, oracle, pd.DataFrame({"age": data.lines[0].line[0]}))


def test_too_few_values_are_no_proof_of_a_polynomial() -> None:
    x = np.array([0.0, 1.0, 2.0])
    assert polynomials(np.array([[1.0], [0.0], [1.0]]), [x]) is None
    line = polynomials(np.array([[1.0], [2.0], [3.0]]), [x])
    assert line is not None
    assert line([np.array([0.5])])[0, 0] == pytest.approx(1.5)
    assert polynomials(np.random.default_rng(0).standard_normal((40, 1)), [np.arange(40.0)]) is None


def test_pictures_name_the_lines_and_the_axis(table: pd.DataFrame, y: Any) -> None:
    figure = plot_peak(y, design_from_formula("~ age * iq", table), "age:iq")
    (ax,) = figure.axes
    assert ax.get_xlabel() == "age"
    assert len(ax.lines) == 3
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert all(text.startswith("iq = ") for text in texts)
    assert sum("SD" in text for text in texts) == 2
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    legend = figure.legends[0].get_window_extent()
    assert 0 <= legend.x0 < legend.x1 <= figure.bbox.x1
    figure = plot_peak(y, design_from_formula("~ age + I(age**2)", table), "I(age ** 2)")
    assert figure.axes[0].get_xlabel() == "age"
    assert len(figure.axes[0].lines) == 1


def test_two_numbers_and_a_factor_are_lines_in_a_panel_for_each_group(
    table: pd.DataFrame, y: Any
) -> None:
    design = design_from_formula("~ age * iq * sex + site", table)
    (column,) = [name for name in design.columns if name.count(":") == 2]
    data = _shown(y, design, [column])
    assert (data.kind, data.label) == ("lines", "age")
    assert [line.panel for line in data.lines] == ["F"] * 3 + ["M"] * 3
    sites = {name: (table["site"] == name).astype(float) for name in ("Lyon", "Oslo")}
    oracle = smf.ols("y ~ age * iq * sex + Lyon + Oslo", table.assign(y=y, **sites)).fit()
    mean, deviation = table["iq"].mean(), table["iq"].std()
    values = [mean - deviation, mean, mean + deviation]
    nearest = np.abs(np.subtract.outer(table["iq"].to_numpy(), values)).argmin(axis=1)
    shares = {name: own.mean() for name, own in sites.items()}
    for place, line in enumerate(data.lines):
        group = (table["sex"] == line.panel).to_numpy()
        places = line.line[0]
        assert (places[0], places[-1]) == (table["age"][group].min(), table["age"][group].max())
        np.testing.assert_array_equal(line.x, table["age"][group & (nearest == place % 3)])
        at = pd.DataFrame({"age": places, "iq": values[place % 3], "sex": line.panel, **shares})
        expected = oracle.get_prediction(at).summary_frame(alpha=0.05)
        # Columns up to 9,000 (age times iq): 1e-16 times a condition of some 1e6, near zero too.
        size = np.abs(expected["mean"]).max()
        np.testing.assert_allclose(line.line[1], expected["mean"], rtol=0, atol=1e-8 * size)
        low = line.line[1] - line.line[2]
        np.testing.assert_allclose(low, expected["mean_ci_lower"], rtol=0, atol=1e-7 * size)


def test_panels_share_their_axes_and_the_lines_names(table: pd.DataFrame, y: Any) -> None:
    design = design_from_formula("~ age * iq * sex", table)
    (column,) = [name for name in design.columns if name.count(":") == 2]
    figure = plot_peak(y, design, column, title="peak")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["F", "M"]
    assert {ax.get_xlabel() for ax in figure.axes} == {"age"}
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(texts) == 3
    assert all(text.startswith("iq = ") for text in texts)
    heading = figure.get_suptitle()
    assert heading == "peak\nbands: 95% interval of the fit"
    # More groups than four have no room for panels: the axis says the column's name.
    many = table.assign(site=[f"s{row % 6}" for row in range(len(table))])
    design = design_from_formula("~ age * iq * site", many)
    column = next(name for name in design.columns if name.count(":") == 2)
    assert _shown(y, design, [column]).label == column
