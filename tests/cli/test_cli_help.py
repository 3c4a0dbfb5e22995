# SPDX-License-Identifier: BSD-3-Clause
"""The commands' help is true: its examples run as written, and it names every written file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm.cli import main
from reference.shell import make_study, run_well
from reference.variance_study import make_variance_study
from reference.visit_study import SHAPE, arguments, make_visit_study, save

ENDINGS = r"\.(?:nii\.gz|tsv|npz|html|groupglm|txt|md|bib)"
SIDECARS = {
    ".nii.gz": ".json",
    ".tsv": ".json",
    ".groupglm": ".json",
    **{end: f"{end}.json" for end in (".html", ".md", ".bib", ".png", ".svg", ".pdf")},
}


def _examples(command: str) -> list[list[str]]:
    text = CliRunner().invoke(main, [command, "--help"]).output
    examples = text.split("Examples\n")[1].split("\n\n")[0]
    lines = re.sub(r"\\\n\s+", "", examples).strip().splitlines()
    return [shlex.split(line)[1:] for line in lines]


def _expanded(word: str) -> list[str]:
    """Return the files of a pattern, which the shell puts in its place, or the word."""
    return sorted(map(str, Path().glob(word))) or [word] if "*" in word else [word]


def _promised(command: str) -> dict[str, re.Pattern[str]]:
    """Return the file names of the help's list, and each as a pattern."""
    text = CliRunner().invoke(main, [command, "--help"]).output
    listed = text.split("Writes, each whole or not at all")[1].split("While it runs")[0]
    names = re.findall(rf"[\w.{{}}|,-]+{ENDINGS}\b", listed)
    patterns = {}
    for name in names:
        choices = re.sub(r"\{([^}]*)\}", lambda m: f"({m[1].replace(',', '|')})", name)
        choices = choices.replace("NAME", "[A-Za-z0-9]+").replace("HOW", "[A-Za-z0-9]+")
        choices = choices.replace("GROUP", "[A-Za-z0-9]+")
        patterns[name] = re.compile(choices.replace(".", r"\."))
    return patterns


def _unnamed(folder: Path, patterns: dict[str, re.Pattern[str]]) -> list[str]:
    """Return the files that no pattern names and that are not sidecars of existing files."""
    files = {path.name for path in folder.iterdir()}
    sidecars = {
        name.removesuffix(end) + beside
        for name in files
        for end, beside in SIDECARS.items()
        if name.endswith(end)
    }
    assert sidecars <= files
    return [
        name
        for name in sorted(files - sidecars)
        if not any(pattern.fullmatch(name) for pattern in patterns.values())
    ]


def _study_with_holes(folder: Path) -> Path:
    """A study of which one map has a missing value and one a zero."""
    study = make_variance_study(folder)
    mask: Any = nib.load(study / "mask.nii.gz")
    places = np.argwhere(np.asarray(mask.dataobj))
    for path, place, value in zip(
        sorted((study / "maps").glob("*_effect.nii.gz")), places, (np.nan, 0.0), strict=False
    ):
        image: Any = nib.load(path)
        values = np.asarray(image.dataobj, dtype=np.float32).copy()
        values[tuple(place)] = value
        nib.save(nib.Nifti1Image(values, image.affine), path)  # type: ignore[no-untyped-call]
    return study


def _files_of_visits(folder: Path) -> list[str]:
    """Fit several maps a subject, of whom one lacks a voxel; return the names of the results."""
    study = make_visit_study(folder)
    values = np.ones(SHAPE)
    values[0, 0, 0] = np.nan
    save(study / "maps" / "sub-03_ses-01_effect.nii.gz", values)
    tested = ("--formula", "~ time + (1 | family/subject)", "--contrast", "time")
    out = study / "out"
    run_well("fit", *arguments(study, out, "--participants", study / "participants.tsv", *tested))
    assert _unnamed(out, _promised("fit")) == []
    return [path.name for path in out.iterdir()]


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (
            "fit",
            "--correct fdr:0.05 --correct fpr:0.001 --permute 10 --tfce --cluster-p 0.01 "
            "--report --save-model --effect-sizes ci,cohen_d,hedges_g,partial_r,partial_r2 "
            "--bayes-factor --equivalence=-1:1",
        ),
        ("permute", "--n-perm 10 --tfce --cluster-p 0.01"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of zeros, and of what survives
def test_the_help_names_the_files_that_are_written(command: str, more: str, tmp_path: Path) -> None:
    study = _study_with_holes(tmp_path)
    out = tmp_path / "out"
    contrasts = ["--contrast", "age", "--contrast", "both=age; group[T.patient]"]
    variances = study / "maps" / "sub-*_variance.nii.gz"
    options = {out: more.split()}
    if command == "fit":
        options[tmp_path / "mixed"] = ["--model", "mixed", "--variances", str(variances)]
        groups = ["--variance-groups", "group"]
        options[tmp_path / "groups"] = [*options[tmp_path / "mixed"], *groups]
        options[tmp_path / "unequal"] = ["--model", "unequal", *groups]
        options[tmp_path / "robust"] = ["--model", "robust"]
        options[tmp_path / "fields"] = ["--correct", "rft:0.05"]
    patterns = _promised(command)
    written = []
    for folder, given in options.items():
        formula = "~ group*age" if "--variance-groups" in given else "~ age + group"
        run_well(
            *(command, study / "maps" / "sub-*_effect.nii.gz", "--output", folder),
            *("--participants", study / "participants.tsv", "--formula", formula),
            *("--mask", study / "mask.nii.gz", *contrasts, *given),
        )
        assert _unnamed(folder, patterns) == []
        written += [path.name for path in folder.iterdir()]
    if command == "fit":
        written += _files_of_visits(tmp_path / "visits")
    for name, pattern in patterns.items():
        assert any(pattern.fullmatch(each) for each in written), name
        for choice in re.findall(r"[\w]+", "".join(re.findall(r"\{([^}]*)\}", name))):
            assert any(re.search(rf"(-|-max){choice}_", each) for each in written), (name, choice)


def _folder_of_examples(folder: Path) -> None:
    study = make_variance_study(folder)
    paths = sorted((study / "maps").glob("*_effect.nii.gz"))
    labels = [path.name.split("_")[0] for path in paths]
    table = {"subject_label": labels, "map_name": "faces", "effects_map_path": map(str, paths)}
    pd.DataFrame(table).to_csv(folder / "maps.tsv", sep="\t", index=False)
    nib.save(nib.concat_images(paths), folder / "all_copes.nii.gz")  # type: ignore[no-untyped-call]
    rows = "".join(f"1 {number}\n" for number in range(len(paths)))
    (folder / "design.mat").write_text(f"/NumWaves 2\n/Matrix\n{rows}")
    (folder / "design.con").write_text("/NumWaves 2\n/Matrix\n1 0\n0 1\n")
    (folder / "design.fts").write_text("/NumWaves 2\n/Matrix\n1 1\n")


def _folder_of_patterns(folder: Path) -> None:
    """Maps/S01_x.nii.gz and people.csv, with age and sex."""
    study = make_study(folder)
    people = pd.read_csv(study / "participants.tsv", sep="\t", dtype={"participant_id": str})
    people["participant_id"] = people["participant_id"].str.replace("sub-", "S")
    people["sex"] = ["m", "f"] * 6
    people.to_csv(folder / "people.csv", index=False)
    for path in (study / "maps").glob("*_effect.nii.gz"):
        path.rename(path.with_name(path.name.replace("sub-", "S")))
    for path in (study / "maps").glob("sub-*"):
        path.unlink()


@pytest.mark.filterwarnings("ignore::UserWarning")  # of what survives
def test_the_examples_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    _folder_of_examples(first)
    _folder_of_patterns(second)
    third = make_visit_study(tmp_path / "third")
    n_run = 0
    # The permutations of the examples are many; here they are ten. Each study has its own folder.
    for command in ("fit", "permute"):
        for number, example in enumerate(_examples(command)):
            folder = second if "people.csv" in example else first
            monkeypatch.chdir(third if "sessions.tsv" in example else folder)
            given = ["10" if each == "5000" else each for each in example]
            given[given.index("results")] = f"{command}{number}"
            if command == "permute" and "--n-perm" not in given:
                given += ["--n-perm", "10"]
            run_well(*given)
            n_run += 1
    monkeypatch.chdir(first)
    model = _examples("fit")[0]
    run_well(*model, "--save-model")
    Path("z.nii.gz").write_bytes(Path("results/contrast-age_stat-z_statmap.nii.gz").read_bytes())
    Path("atlas.nii.gz").write_bytes(Path("results/mask.nii.gz").read_bytes())
    Path("atlas.tsv").write_text("index\tname\n1\tbrain\n")
    for command in (
        "clusters", "extract", "threshold", "report", "plot", "view", "neurovault",
    ):  # fmt: skip
        for words in _examples(command):
            example = [each for word in words for each in _expanded(word)]
            run_well(*example)
            written = example[example.index("--output") + 1] if "--output" in example else None
            assert written is None or Path(written).is_file()
            if written is not None:
                end = next(end for end in SIDECARS if written.endswith(end))
                beside = ".tsv.json" if end == ".tsv" else SIDECARS[end]
                assert Path(written.removesuffix(end) + beside).is_file()
            n_run += 1
            if command == "report":
                Path(example[example.index("--output") + 1]).unlink()
    assert n_run == 24
