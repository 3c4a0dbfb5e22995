# SPDX-License-Identifier: BSD-3-Clause
"""``--table``: a table of regions in the place of maps, through all commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from groupglm import SecondLevelModel
from groupglm.cli import main

N = 16
REGIONS = ["left hippocampus", "NA", "V1"]
LABELS = [f"sub-{number:02d}" for number in range(1, N + 1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(6)
    table = pd.DataFrame(rng.normal([1.5, 0.0, -0.2], 1.0, (N, 3)), columns=REGIONS)
    table.insert(0, "participant_id", LABELS)
    table.to_csv(tmp_path / "regions.tsv", sep="\t", index=False)
    spread = table.assign(**{name: rng.uniform(0.1, 0.4, N) for name in REGIONS})
    spread.iloc[::-1].to_csv(tmp_path / "variances.csv", index=False)
    people = pd.DataFrame({"participant_id": LABELS, "age": rng.normal(40, 9, N)})
    people.iloc[::-1].to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    return tmp_path


def run(command: str, folder: Path, *options: Any, output: str = "out") -> Result:
    study = ["--table", folder / "regions.tsv", "--participants", folder / "participants.tsv"]
    study += ["--formula", "~ age", "--contrast", "mean=Intercept", "--output", folder / output]
    return CliRunner().invoke(main, [command, *map(str, study), *map(str, options)])


def series(path: Path) -> Any:
    table = pd.read_csv(path, sep="\t", keep_default_na=False, index_col="region")
    return table.iloc[:, 0].astype(float)


def of_python(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.read_csv(folder / "regions.tsv", sep="\t", index_col="participant_id")
    people = pd.read_csv(folder / "participants.tsv", sep="\t", index_col="participant_id")
    people.insert(0, "Intercept", 1.0)
    return table, people


def test_a_table_goes_through_all_commands(folder: Path) -> None:
    out = folder / "out"
    result = run(
        "fit", folder, "--correct", "bonferroni:0.05", "--permute", 50, "--save-model", "--report"
    )
    assert result.exit_code == 0, result.output
    table, design = of_python(folder)
    maps = SecondLevelModel().fit(table, design_matrix=design)
    z = maps.compute_contrast("Intercept")
    found = series(out / "contrast-mean_stat-z_statmap.tsv")
    assert found.index.tolist() == REGIONS
    np.testing.assert_array_equal(found, z)  # a file has all digits
    said = json.loads((out / "contrast-mean_stat-z_statmap.json").read_text())
    assert said["Values"] == "z"
    assert said["Contrast"]["Name"] == "mean"
    kept = (out / "contrast-mean_stat-z_desc-bonferroni0p05_regions.tsv").read_text()
    effects = [own + end for own in ("Effect", "Cohen's d") for end in ("", " CI Low", " CI High")]
    assert kept.splitlines()[0].split("\t") == [
        "region",
        "z",
        "Peak p (FWE)",
        "p (uncorrected)",
        *effects,
    ]
    n_kept = int(
        np.count_nonzero(series(out / "contrast-mean_stat-z_desc-bonferroni0p05_statmap.tsv"))
    )
    assert len(kept.splitlines()) == 1 + n_kept
    assert "Effects of the regions with their intervals" in (out / "report.html").read_text()
    again = run(
        "fit", folder, "--correct", "bonferroni:0.05", "--permute", 50, "--save-model", "--report"
    )
    assert "skipped" in again.output

    for command in (
        ["threshold", out / "contrast-mean_stat-z_statmap.tsv", "--at", "0.2", "--output",
         folder / "kept.tsv"],
        ["report", out, "--output", folder / "again.html"],
    ):  # fmt: skip
        result = CliRunner().invoke(main, [str(one) for one in command])
        assert result.exit_code == 0, result.output
    expected = np.where(np.abs(z) >= 0.2, z, 0.0)
    np.testing.assert_array_equal(series(folder / "kept.tsv"), expected)
    assert "Peak p (FWE)" in (folder / "again.html").read_text()


def test_an_f_contrast_has_an_effect_of_each_row(folder: Path) -> None:
    more = ("--contrast", "any=Intercept; age", "--correct", "fdr:0.05", "--report")
    result = run("fit", folder, *more, "--effect-sizes", "partial_r2", "--permute", 20)
    assert result.exit_code == 0, result.output
    table, design = of_python(folder)
    X = design.loc[table.index, ["Intercept", "age"]].to_numpy(float)
    Y = table.to_numpy(float)
    beta, rss, *_ = np.linalg.lstsq(X, Y, rcond=None)
    out = folder / "out"
    path = out / "contrast-any_stat-effect_statmap.tsv"
    effects = pd.read_csv(path, sep="\t", keep_default_na=False, index_col="region")
    assert list(effects.index) == REGIONS  # one is called NA
    np.testing.assert_allclose(effects.to_numpy().T, beta, rtol=1e-9)
    f = np.sum((X @ beta) ** 2, axis=0) / 2 / (rss / (N - 2))  # both columns: of all that is fitted
    np.testing.assert_allclose(series(out / "contrast-any_stat-F_statmap.tsv"), f, rtol=1e-9)
    r2 = series(out / "contrast-any_stat-partialR2_statmap.tsv")
    np.testing.assert_allclose(r2, 2 * f / (2 * f + N - 2), rtol=1e-9)
    assert "skipped, it is there already" in run("fit", folder, *more).output


def test_tables_beside_the_table(folder: Path) -> None:
    result = run("fit", folder, "--model", "mixed", "--variances", folder / "variances.csv")
    assert result.exit_code == 0, result.output
    table, design = of_python(folder)
    variances = pd.read_csv(folder / "variances.csv", index_col="participant_id")
    model = SecondLevelModel(model="mixed effects")
    model.fit(table, design_matrix=design, variances=variances)
    tau2 = series(folder / "out" / "stat-tau2_statmap.tsv")
    np.testing.assert_array_equal(tau2, np.asarray(model.tau2_))


def test_several_rows_of_a_subject(folder: Path) -> None:
    table = pd.read_csv(folder / "regions.tsv", sep="\t")
    later = table.assign(**{name: table[name] + 0.5 for name in REGIONS})
    both = pd.concat([table.assign(session_id="ses-1"), later.assign(session_id="ses-2")])
    both.to_csv(folder / "regions.tsv", sep="\t", index=False)
    result = run("fit", folder, "--model", "repeated")
    assert result.exit_code == 0, result.output
    assert "32 maps of 16 subjects (2 a subject)" in result.output
    icc = series(folder / "out" / "stat-ICC_statmap.tsv")
    # The visits of a subject differ by a constant.
    assert ((icc > 0.5) & (icc < 1)).all()


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("permute", ["--tfce"], "--tfce is given, but regions have no neighbours"),
        ("permute", ["--cluster-p", "0.01"], "--cluster-p is 0.01, but regions have no neighbours"),
        ("fit", ["--fwhm", "6"], "--fwhm is given, but regions have no neighbours to smooth over"),
        ("fit", ["--model", "mixed"], "give the table of variances by --variances"),
        ("fit", ["--map-name", "a"], "--map-name has no effect with --table"),
        ("fit", ["a.nii"], "MAPS has no effect with --table"),
    ],
)
def test_what_regions_do_not_have_is_refused(
    folder: Path, command: str, options: list[str], message: str
) -> None:
    result = run(command, folder, *options)
    assert result.exit_code in (1, 2)
    assert message in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "region\tz\nV1\t2\n",
            "has no column 'participant_id'; its columns are 'region', 'z'; call",
        ),
        ("participant_id\tV1\n01\t2\n02\tlow\n03\t1\n", "holds no numbers: 'low' (subject '02')"),
        ("participant_id\tV1\n01\t2\n\t1\n", "row 2 has no participant_id"),
        ("participant_id\tV1\n01\t2\n01\t1\n", "01"),
        ("participant_id\n01\n02\n", "has no column of a region"),
        ("participant_id\tage\n01\t1\n02\t3\n03\t4\n", "column 'age', which the design has too"),
    ],
)
def test_a_table_that_cannot_be_used(folder: Path, text: str, message: str) -> None:
    (folder / "regions.tsv").write_text(text)
    result = run("fit", folder, "--allow-partial")
    assert result.exit_code == 1
    assert message in result.stderr
    assert "second_level_input" not in result.stderr


def test_neither_maps_nor_a_table(folder: Path) -> None:
    result = CliRunner().invoke(
        main, ["fit", "--formula", "~ 1", "--contrast", "a", "--output", str(folder / "o")]
    )
    assert result.exit_code == 2
    assert "Missing argument 'MAPS...'" in result.stderr
