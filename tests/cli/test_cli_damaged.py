# SPDX-License-Identifier: BSD-3-Clause
"""Results of an earlier run that are damaged when a command comes back to them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from groupglm.cli import main
from groupglm.cli.results.maps_read_back import values_of
from groupglm.cli.steps.report_folder import ModelFolder
from groupglm.errors import ImageError
from groupglm.runtime.sidecars import read_json
from reference.shell import basic, run_fit

ODD: list[Any] = [None, -1, 1.5, "x", [], [1], {}, {"a": [1]}, True]


@pytest.fixture(scope="module")
def results(study: Path) -> Path:
    """Results of a fit with a model, a correction and permutations."""
    out = study / "out"
    more = ["--correct", "fdr:0.05", "--permute", "20", "--save-model"]
    done = run_fit(*basic(study, out, *more))
    assert done.exit_code == 0, done.output
    return out


def test_no_value_in_a_sidecar_is_an_error_of_ours(results: Path, tmp_path: Path) -> None:
    model = shutil.copytree(results, tmp_path / "out") / "model.groupglm"
    whole = ModelFolder.of(model)
    assert len(whole.contrasts) == 2
    assert len(whole.permutations) == 2
    for path in sorted(model.parent.glob("contrast-age_*.json")):
        good = path.read_text(encoding="utf-8")
        facts = json.loads(good)
        places: list[tuple[str, ...]] = [(key,) for key in facts]
        places += [
            (key, inner) for key in facts if isinstance(facts[key], dict) for inner in facts[key]
        ]
        for place in places:
            for odd in ODD:
                changed = json.loads(good)
                inner = changed if len(place) == 1 else changed[place[0]]
                inner[place[-1]] = odd
                path.write_text(json.dumps(changed), encoding="utf-8")
                try:
                    ModelFolder.of(model)
                except ValueError as error:
                    assert path.name in str(error)  # noqa: PT017
        path.write_text(good, encoding="utf-8")


FURTHER: dict[str, dict[str, Any]] = {
    "SmallVolume": {"Correction": {"HeightControl": "fdr", "Alpha": 0.05, "SmallVolume": 0}},
    "Equivalence": {"Equivalence": {"Bounds": [-0.5, 0.5], "Units": "effect", "Alpha": 0.05}},
    "ConfidenceSet": {
        "ConfidenceSet": {
            "Level": 0.5, "Units": "cohen_d", "Alpha": 0.05, "NumberOfBootstraps": 100, "Seed": 1,
        },
        "CriticalValue": 2.5, "NumberOfPlaces": 3, "NumberOfBoundaryPoints": 9,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", FURTHER)
def test_what_a_page_takes_from_sidecars_has_its_type(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def read(facts: dict[str, Any]) -> dict[str, Any] | None:
        path.write_text(json.dumps({**facts, "SoftwareVersions": {"groupglm": "0.1"}}))
        return read_json(path)

    whole = FURTHER[kind]
    assert read(whole) is not None
    entries = [(key, inner) for key, own in whole.items() if isinstance(own, dict) for inner in own]
    for key, inner in entries:
        for odd in ([1], {"a": [1]}):
            assert read({**whole, key: {**whole[key], inner: odd}}) is None
    if kind == "SmallVolume":
        for good in ([1, 2, 3, 4.5], {"Name": "mask.nii.gz", "Hash": "sha256:0"}):
            assert read({"Correction": {**whole["Correction"], "SmallVolume": good}}) is not None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "3", "null", "\x00", "{} {}", '{"a": NaN', "\ud800"],
)
def test_a_sidecar_that_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert read_json(path) is None


@pytest.mark.parametrize("damage", [b"", b"not an image", None], ids=["empty", "text", "cut"])
def test_a_map_of_an_earlier_run_that_is_damaged(
    damage: bytes | None, results: Path, study: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(results, tmp_path / "out")
    path = next(out.glob("contrast-age_stat-z_statmap.nii.gz"))
    path.write_bytes(path.read_bytes()[:-30] if damage is None else damage)
    with pytest.raises(ImageError, match="remove it to have it made again") as refusal:
        values_of(path)
    assert path.name in str(refusal.value)
    again = run_fit(*basic(study, out))
    assert again.exit_code == 1
    assert f"'{path.name}', which is not the file that its sidecar" in again.output
    assert "changed since, or damaged" in again.output


@pytest.mark.parametrize("size", [0, 10, 500])
def test_permutations_that_were_cut(size: int, results: Path, study: Path, tmp_path: Path) -> None:
    out = shutil.copytree(results, tmp_path / "out")
    for path in out.glob("*permutations.npz"):
        path.write_bytes(path.read_bytes()[:size])
    more = ["--correct", "fdr:0.05", "--permute", "40", "--save-model"]
    refused = run_fit(*basic(study, out, *more))
    assert refused.exit_code == 1
    assert "permutations.npz" in refused.output
    assert "move that away" in refused.output


@pytest.mark.parametrize("made_by", [3, "x", {"a": 1}, [3], [{"Name": 3}], None])
def test_a_description_of_a_dataset_of_any_kind(made_by: Any, study: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    text = json.dumps({"GeneratedBy": made_by, "DatasetDOI": [1], "DatasetLinks": 3})
    for folder in ("in", "out"):
        (tmp_path / folder / "dataset_description.json").write_text(text)
    refused = CliRunner().invoke(main, ["bids", str(tmp_path / "in"), str(tmp_path / "out")])
    assert refused.exit_code != 0
    assert "unexpected" not in refused.output
