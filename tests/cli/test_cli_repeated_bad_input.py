# SPDX-License-Identifier: BSD-3-Clause
"""Bad input of several maps a subject in the shell, alike for maps of every kind; and of BIDS."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reference.shell import run
from reference.visit_kinds import KINDS, glob_of, write_visits

SUBJECTS = [f"{k:02d}" for k in range(1, 8)]
VISITS = [(subject, visit) for subject in SUBJECTS for visit in ("1", "2")]
DOORS = (*KINDS, *(f"bids {kind}" for kind in KINDS[:3]))
RANDOM = "~ month + (1 | subject)"
SANDWICH = ("--covariance", "sandwich")


def write(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, sep="\t", index=False)


class Study:
    """Seven subjects with two visits, of which one file may be missing, a copy or a link."""

    def __init__(self, folder: Path, door: str) -> None:
        self.folder, self.bids, self.kind = (
            folder,
            door.startswith("bids"),
            door.removeprefix("bids "),
        )
        self.maps = folder / "derivatives" / "maps"
        self.maps.mkdir(parents=True)
        (folder / "derivatives" / "maps" / "dataset_description.json").write_text(
            json.dumps({"Name": "maps", "BIDSVersion": "1.8.0", "DatasetType": "derivative"})
        )
        write_visits(self.kind, self.maps, VISITS, bids=self.bids)
        who = [f"sub-{subject}" for subject in SUBJECTS]
        people = pd.DataFrame(
            {"participant_id": who, "group": list("pcpcpcp"), "site": list("xyxyxyx")}
        )
        write(people, folder / "participants.tsv")
        write(people[1:], folder / "fewer.tsv")
        rows = pd.DataFrame([(f"sub-{s}", f"ses-{v}") for s, v in VISITS],
                            columns=["participant_id", "session_id"])  # fmt: skip
        rows["month"] = [float(k) for k in (0, 6) * 7]
        rows["clan"] = ["a", "b", *"aabbaabbaabb"]
        write(rows, folder / "sessions.tsv")

    def call(self, *more: str | Path, permutes: str = "", name: str = "out") -> Any:
        """Run `groupglm fit`, or the command of the door, with a table of each kind."""
        tables = ["--sessions", self.folder / "sessions.tsv"]
        if not any(str(option) == "--participants" for option in more):
            tables += ["--participants", self.folder / "participants.tsv"]
        if self.bids:
            model = [str(word).replace("--model", "--group-model") for word in more]
            model = ["--second-level-contrast" if w == "--contrast" else w for w in model]
            permuted = ["--permute", "9"] if permutes else []
            return run("bids", self.maps, self.folder / name, "--contrast", "a", *tables, *model,
                       *permuted)  # fmt: skip
        maps = ["--table", self.maps / "regions.tsv"]
        if self.kind != "regions":
            maps = [glob_of(self.kind, self.maps), *self.more]
        permuted = ["--n-perm", "9"] if permutes else []
        return run(permutes or "fit", *maps, *tables, "--output", self.folder / name, *more,
                   *permuted)  # fmt: skip

    more: tuple[str | Path, ...] = ()


@pytest.fixture(scope="module", params=DOORS)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("study"), request.param)


def refused(result: Any, message: str) -> None:
    assert result.exit_code == 1, result.output
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--formula", "~ month + (1 | clan/subject)"), "in two families: '01' ('a' and 'b')"),
        (
            ("--formula", "~ month", "--model", "repeated", *SANDWICH, "--groups", "clan"),
            "in two groups: '01' ('a' and 'b'); give all images of a subject the same group",
        ),
        (("--formula", f"{RANDOM} + (1 | site)"), "it has crossed random effects, (1 | subject)"),
        (("--formula", "~ month + (month | subject)"), "has a random slope of 'month'"),
        (("--formula", "~ month + (1 | site:subject)"), "groups by an interaction"),
        (("--formula", "~ month + (1 | nobody)"), "(1 | nobody) is 'nobody', which is no column"),
        (("--formula", "~ month + (1 | subject"), "the parenthesis at character 11 is not closed"),
    ],
)
def test_options_that_cannot_be(study: Study, options: tuple[str, ...], message: str) -> None:
    result = study.call(*options, "--contrast", "month")
    refused(result, message)
    if "random" in message or "interaction" in message:
        assert "C(group)" not in result.output


def test_groups_beside_a_column_for_each_subject(study: Study) -> None:
    for more in ((), ("--model", "repeated"), ("--model", "repeated", *SANDWICH)):
        if study.bids and not more:
            continue  # sessions are chosen there
        result = study.call("--formula", "~ 0 + subject + month + group", *more, "--contrast",
                            "group[T.p]")  # fmt: skip
        refused(result, "cannot tell apart the columns 'subject[01]', 'subject[03]', ")


def test_subjects_that_are_not_those_of_the_maps(study: Study) -> None:
    more = ("--participants", study.folder / "fewer.tsv", "--contrast", "month")
    refused(study.call("--formula", RANDOM, *more), "maps without a row in the participants table")


def test_least_squares_takes_no_several_maps(study: Study) -> None:
    message = "several effect maps" if study.bids else "--model ols would count them as independ"
    refused(study.call("--formula", "~ month", "--contrast", "month"), message)
    if study.bids:
        return
    mixed = study.call("--formula", "~ month", "--contrast", "month", "--eb", "site",
                       permutes="permute")  # fmt: skip
    refused(mixed, "mix the images of several subjects (those of '01' and '03', for one)")


def test_few_subjects_of_a_sandwich_are_warned_of(study: Study) -> None:
    result = study.call("--formula", "~ month", "--model", "repeated", *SANDWICH, "--contrast",
                        "month", "--dry-run")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "7 subjects: with fewer than 10, the sandwich" in " ".join(result.output.split())


@pytest.mark.parametrize("door", DOORS)
def test_maps_that_are_there_twice_or_once(door: str, tmp_path: Path) -> None:
    study = Study(tmp_path, door)
    options = ("--formula", RANDOM, "--contrast", "month")
    if study.kind == "regions":
        table = pd.read_csv(study.maps / "regions.tsv", sep="\t", dtype=str)
        write(pd.concat([table, table[:1]]), study.maps / "regions.tsv")
        told = "1 subject has several rows of one visit, such as 01 at ses-1; give each row a visit"
        refused(study.call(*options), told)
        write(table[::2], study.maps / "regions.tsv")
    else:
        first = [path for path in study.maps.rglob("sub-01_ses-1*") if path.is_file()]
        copies = study.maps / ("sub-01" if study.bids else "copy")
        copies.mkdir(exist_ok=True)
        for path in first:
            shutil.copy(path, copies / path.name)
        study.more = (glob_of(study.kind, copies),)
        told = "1 subject has several maps of one visit, such as 01 at ses-1"
        if study.bids:
            told = "1 visit has several effect maps, such as "
        refused(study.call(*options), told)
        for path in first:
            (copies / path.name).unlink()
            other = Path(str(path).replace("sub-01", "sub-02"))
            other.unlink()
            other.symlink_to(path)
        study.more = ()
        refused(study.call(*options), "one file for the maps of subject '01_ses-1' and '02_ses-1'")
        for path in [*study.maps.rglob("sub-*_ses-2*"), *study.maps.rglob("sub-02_*")]:
            path.unlink(missing_ok=True)
    single = ("--formula", "~ group + (1 | subject)", "--contrast", "group[T.p]", "--allow-partial")
    refused(study.call(*single), "has one image: no subject has two; give several images a subject")


def test_a_formula_of_all_kinds_runs(study: Study) -> None:
    """What is refused above is not refused for another reason."""
    result = study.call("--formula", RANDOM, "--contrast", "month", name="well")
    assert result.exit_code == 0, result.output
