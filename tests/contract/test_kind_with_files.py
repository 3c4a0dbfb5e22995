# SPDX-License-Identifier: BSD-3-Clause
"""A kind of data with an ending of its own, through files, commands and a page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from contract.fake_spaces import Chain, read_chain, write_chain
from groupglm import SecondLevelModel
from groupglm.cli import main
from groupglm.plotting import plot_histogram
from groupglm.spaces.files import endings, map_of, saved_endings, sidecar

pytestmark = pytest.mark.usefixtures("fake_kinds")

N, LENGTH = 10, 30


@pytest.fixture
def rows() -> NDArray[np.float64]:
    rows = np.random.default_rng(3).standard_normal((N, LENGTH))
    rows[:, 5:9] += 3.0
    return rows


@pytest.fixture
def study(rows: NDArray[np.float64], tmp_path: Path) -> Path:
    """A folder of maps and the table of their subjects."""
    folder = tmp_path / "study"
    folder.mkdir()
    labels = [f"sub-{number:02d}" for number in range(1, N + 1)]
    for label, row in zip(labels, rows, strict=True):
        write_chain(Chain(row), folder / f"{label}_effect.chain")
    write_chain(Chain(np.ones(LENGTH)), folder / "inside.chain")
    pd.DataFrame({"participant_id": labels}).to_csv(folder / "people.tsv", sep="\t", index=False)
    return folder


def t_values(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scipy.stats.ttest_1samp(rows, 0.0).statistic)


def run(*arguments: Any) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_files_are_named_by_the_ending_of_the_kind(tmp_path: Path) -> None:
    assert endings()[-2:] == (".nii.gz", ".nii")
    assert ".chain" in saved_endings()
    assert ".nii" not in saved_endings()
    names = {
        "z.chain": "z.json",
        "z.nii.gz": "z.json",
        "z.b.nii": "z.b.json",
        "z.tsv": "z.json",
        "m.groupglm": "m.json",
        "page.html": "page.html.json",
    }
    assert {name: sidecar(Path(name)).name for name in names} == names
    record = tmp_path / "z.json"
    assert map_of(record).name == "z.nii.gz"
    (tmp_path / "z.chain").touch()
    assert map_of(record).name == "z.chain"


def test_commands_write_maps_of_the_kind(
    study: Path, rows: NDArray[np.float64], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    fit = [
        "fit", study / "sub-*.chain", "--participants", study / "people.tsv", "--formula", "~ 1",
        "--contrast", "mean=intercept", "--mask", study / "inside.chain", "--output", out,
        "--save-model", "--report", "--correct", "fpr:0.001", "--n-jobs", "1",
    ]  # fmt: skip
    said = run(*fit).output
    assert f"Mask: {LENGTH} links." in said
    images = {path.name for path in out.iterdir() if path.suffix == ".chain"}
    maps = ("effect", "variance", "t", "z", "p", "z_desc-fpr0p001")
    assert images == {"mask.chain", *(f"contrast-mean_stat-{kind}_statmap.chain" for kind in maps)}
    assert not list(out.glob("*.nii*"))
    t = read_chain(out / "contrast-mean_stat-t_statmap.chain").data
    np.testing.assert_allclose(t, t_values(rows), rtol=1e-6)  # of float32
    assert "there already" in run(*fit).output  # known by their sidecars
    page = (out / "report.html").read_text("utf-8")
    assert f"At each of {LENGTH} links" in page
    assert "voxel" not in re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)

    z = out / "contrast-mean_stat-z_statmap.chain"
    kept = tmp_path / "kept.chain"
    said = run(
        "threshold", z, "--mask", study / "inside.chain", "--at", "3", "--output", kept
    ).output
    passes = np.abs(read_chain(z).data) >= 3
    assert f"{passes.sum()} links, written" in said
    np.testing.assert_array_equal(read_chain(kept).data != 0, passes)
    said = run("clusters", z, "--threshold", "2", "--json").stdout
    found = json.loads(said)["clusters"]
    assert max(row["Cluster Size (links)"] or 0 for row in found) == 4  # the four of the effect
    table = json.loads((out / "contrast-mean_stat-z_desc-fpr0p001_clusters.json").read_text())
    assert table["Cluster Size (links)"]["Units"] == "links"
    assert "Cluster Size (mm3)" not in table

    named = ["threshold", z, "--at", "3", "--output", tmp_path / "z.nii.gz"]
    refused = CliRunner().invoke(main, [str(one) for one in named])
    assert refused.exit_code == 1
    assert "must end in .chain" in refused.output


def test_a_derivative_may_be_of_the_kind(rows: NDArray[np.float64], tmp_path: Path) -> None:
    maps, out = tmp_path / "maps", tmp_path / "out"
    for number, row in enumerate(rows, start=1):
        folder = maps / f"sub-{number:02d}"
        folder.mkdir(parents=True)
        name = f"sub-{number:02d}_task-x_contrast-a_stat-effect_statmap.chain"
        write_chain(Chain(row), folder / name)
    (maps / "dataset_description.json").write_text('{"Name": "maps", "BIDSVersion": "1.10.0"}')
    write_chain(Chain(np.ones(LENGTH)), tmp_path / "mask.chain")
    labels = [f"sub-{number:02d}" for number in range(1, N + 1)]
    people = tmp_path / "people.tsv"
    pd.DataFrame({"participant_id": labels}).to_csv(people, sep="\t", index=False)
    summary = json.loads(
        run(
            "bids", maps, out, "--participants", people, "--formula", "~ 1",
            "--second-level-contrast", "mean=intercept", "--mask", tmp_path / "mask.chain",
            "--permute", "30", "--cluster-p", "0.05", "--json",
        ).stdout
    )  # fmt: skip
    assert "place" in json.dumps(summary)
    assert "NaN" not in json.dumps(summary)
    z = read_chain(next(out.rglob("*contrast-aMean_stat-z_statmap.chain"))).data
    assert f"link {np.abs(z).argmax()}" in json.dumps(summary)
    assert next(out.rglob("*_stat-logp_desc-maxSize_statmap.chain"))
    ignored = (out / ".bidsignore").read_text().splitlines()
    assert {"*_statmap.chain", "*_mask.chain", "*_statmap.nii.gz"} <= set(ignored)
    assert len(set(ignored)) == len(ignored)
    wrong = ["fit", maps / "*" / "*.chain", "--participants", people, "--formula", "~ 1"]
    wrong += ["--contrast", "intercept", "--target-affine", tmp_path / "mask.chain"]
    wrong += ["--subject-pattern", "(sub-[0-9]+)_", "--output", tmp_path / "other"]
    refused = CliRunner().invoke(main, [str(one) for one in wrong])
    assert refused.exit_code == 1
    assert "--target-affine: chains stay as they lie" in refused.output


def test_a_page_says_what_nothing_draws(study: Path, tmp_path: Path) -> None:
    images = sorted(study.glob("sub-*.chain"))
    model = SecondLevelModel(study / "inside.chain").fit(
        images, design_matrix=pd.DataFrame({"intercept": np.ones(N)})
    )
    page = model.generate_report("intercept").get_standalone()
    assert "Clusters and peaks" in page
    # The peaks of the table by their names, as they have no position.
    places = re.findall(r"<td>(link \d+)</td>", page)
    t = t_values(np.stack([read_chain(path).data for path in images]))
    assert places[0] == f"link {np.abs(t).argmax()}"
    assert not re.search(r"\bnan\b|in mm", page)
    assert "viewer" not in re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL).lower()
    assert page.count("<svg") > 2  # charts need no places
    with pytest.warns(UserWarning, match="cut_coords has no effect: data of kind 'chain'"):
        model.generate_report("intercept", cut_coords=[1.0])


def test_charts_are_of_any_data(study: Path, rows: NDArray[np.float64]) -> None:
    t = t_values(rows)
    figure = plot_histogram(Chain(t))  # type: ignore[arg-type]
    assert f"{LENGTH} links" in figure.legends[0].get_texts()[0].get_text()


def test_residuals_of_parts_go_to_a_file_each(rows: NDArray[np.float64], tmp_path: Path) -> None:
    images: Any = [{"light": Chain(row[:20]), "heavy": Chain(row[20:])} for row in rows]
    mask: Any = {"light": Chain(np.ones(20)), "heavy": Chain(np.ones(10))}
    model = SecondLevelModel(mask, minimize_memory=False).fit(
        images, design_matrix=pd.DataFrame({"intercept": np.ones(N)})
    )
    written: Any
    [written] = model.residuals(out=tmp_path / "left.chain")
    assert {path.name for path in tmp_path.iterdir()} == {"light_left.chain", "heavy_left.chain"}
    for own, expected in (("light", rows[:, :20]), ("heavy", rows[:, 20:])):
        residuals = expected - expected.mean(axis=0)
        np.testing.assert_allclose(written[own].data, residuals, atol=1e-12)
        np.testing.assert_array_equal(
            read_chain(tmp_path / f"{own}_left.chain").data, written[own].data
        )
