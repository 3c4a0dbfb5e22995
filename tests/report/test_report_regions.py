# SPDX-License-Identifier: BSD-3-Clause
"""A page about a table of regions: its numbers, its words, and options without effect."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from groupglm import MixedEffects, SecondLevelModel, non_parametric_inference
from groupglm.report import PermutationTest

N = 14
REGIONS = ["hippocampus", "amygdala", "<V1> & V2"]


@pytest.fixture
def table() -> pd.DataFrame:
    values = np.random.default_rng(2).normal([1.2, -1.4, 0.1], 1.0, (N, 3))
    labels = pd.Index([f"sub-{place:02d}" for place in range(N)], name="participant_id")
    return pd.DataFrame(values, labels, REGIONS)


@pytest.fixture
def design(table: pd.DataFrame) -> pd.DataFrame:
    age = np.random.default_rng(3).normal(size=N)
    return pd.DataFrame({"mean": np.ones(N), "age": age}, table.index)


def rows_of(page: str) -> list[list[str]]:
    """Return the cells of the first table of a contrast."""
    body = page[page.index('id="clusters-1"') :].partition("</table>")[0]
    return [re.findall(r"<td>(.*?)</td>", row) for row in body.split("<tr>")[2:]]


def test_the_table_has_every_region_with_its_interval(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    model = SecondLevelModel().fit(table, design_matrix=design)
    page = model.generate_report(
        "mean", height_control="bonferroni", alpha=0.05, two_sided=True
    ).get_standalone()
    maps = model.compute_contrast("mean", output_type="all")
    order = maps["z_score"].abs().sort_values(ascending=False).index
    rows = rows_of(page)
    names = [row[0] for row in rows]
    assert names == [
        name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for name in order
    ]
    for name, row in zip(order, rows, strict=True):
        found = maps.loc[name]
        half = scipy.stats.t.ppf(0.975, N - 2) * np.sqrt(found["effect_variance"])
        effect = found["effect_size"]
        assert float(row[1]) == pytest.approx(effect, rel=5e-3)
        low, high = map(float, row[2].split(" to "))
        assert low == pytest.approx(effect - half, rel=5e-3)
        assert high == pytest.approx(effect + half, rel=5e-3)
        p = 2 * scipy.stats.t.sf(abs(found["stat"]), N - 2)
        assert float(row[5]) == pytest.approx(p, rel=0.05, abs=5e-4)
        assert float(row[6]) == pytest.approx(min(3 * p, 1), rel=0.05, abs=5e-4)
        assert row[7] == ("yes" if p < 0.05 / 3 else "")
    assert '<th scope="col">Peak p (FWE)</th>' in page
    assert "2 regions (1 with a positive effect, 1 with a negative one)" in page
    assert "Region in row 1 of the table: z = " in page
    text = re.sub(r"<[^>]*>", "", page.partition('id="redo"')[0].partition("</style>")[2])
    assert not re.search("[Cc]luster|voxel", text)


def test_the_page_calls_rows_of_a_table_no_images(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    report = SecondLevelModel().fit(table, design_matrix=design).generate_report("mean")
    page = report.get_standalone()
    body = page[page.index("<body>") : page.index('<section id="redo"')]
    words = re.sub(r"<[^>]*>", " ", body)
    assert re.findall(r".{30}\bimages?\b.{30}", words) == []
    assert f"Group analysis of {N} rows" in words
    assert f" of the {N} rows " in words
    assert report.methods is not None
    assert f"The {N} rows of a table were modelled at 3 regions" in report.methods.text


def test_the_table_has_the_q_of_the_false_discovery_rate(
    table: pd.DataFrame, design: pd.DataFrame
) -> None:
    model = SecondLevelModel().fit(table, design_matrix=design)
    page = str(model.generate_report("age", height_control=["fdr", "fpr"], alpha=0.9))
    t = model.compute_contrast("age", output_type="stat")
    p = scipy.stats.t.sf(t, N - 2)
    order = np.argsort(-np.abs(scipy.stats.norm.isf(p)))
    wanted = scipy.stats.false_discovery_control(p)[order]
    assert [float(row[6]) for row in rows_of(page)] == pytest.approx(wanted, rel=0.05, abs=5e-4)
    assert '<th scope="col">q (FDR)</th>' in page
    assert "p is one-sided, without correction for their number" in page  # of "fpr" alone
    assert page.count("without correction for their number") == 1


def test_an_f_contrast_and_a_permutation_test(table: pd.DataFrame, design: pd.DataFrame) -> None:
    model = SecondLevelModel().fit(table, design_matrix=design)
    logp = non_parametric_inference(
        table, design_matrix=design, second_level_contrast="mean", n_perm=200, random_state=0
    )
    page = model.generate_report(
        {"mean": "mean", "both": ["mean", "age"]},
        permutations={"mean": PermutationTest(logp, n_permutations=200)},
    ).get_standalone()
    assert '<th scope="col">F</th>' in page
    assert "z of the regions, the largest on top" in page
    assert "Peak p (FWE)" in page


def test_variances_between_subjects_are_drawn(table: pd.DataFrame, design: pd.DataFrame) -> None:
    variances = table.abs() + 0.2
    model = SecondLevelModel(model=MixedEffects()).fit(
        table, design_matrix=design, variances=variances
    )
    page = model.generate_report("mean").get_standalone()
    assert "Points." in page
    assert "Forest plot" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plot_type": "glass"}, "plot_type has no effect on regions"),
        ({"display_mode": "x"}, "display_mode has no effect on regions"),
        ({"cut_coords": [3]}, "cut_coords has no effect on regions"),
    ],
)
def test_pictures_of_a_brain_have_no_effect(
    table: pd.DataFrame, design: pd.DataFrame, options: Any, message: str
) -> None:
    model = SecondLevelModel().fit(table, design_matrix=design)
    with pytest.warns(UserWarning, match=message):
        model.generate_report("mean", **options)
    with pytest.raises(ValueError, match="cluster_threshold is 4, but regions have no"):
        model.generate_report("mean", cluster_threshold=4)
