# SPDX-License-Identifier: BSD-3-Clause
"""Options of the group's model: which are refused beside which, and whose map is whose."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from reference.shell import basic, run, run_fit
from reference.variance_study import SUBJECTS, make_variance_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_variance_study(tmp_path_factory.mktemp("study"))


def weighted(study: Path, output: Path, *more: str | Path) -> list[str | Path]:
    return basic(study, output, "--variances", study / "maps" / "*_variance.nii.gz", *more)


@pytest.mark.parametrize("command", ["fit", "permute"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--variances", "v.nii"), "--variances has no effect with --model ols"),
        (("--tau2", "ml"), "--tau2 has no effect with --model ols; give --model mixed"),
        (("--model", "fixed", "--tau2", "0.5"), "--tau2 has no effect with --model fixed"),
        (("--model", "fixed", "--test", "z"), "--test has no effect with --model fixed"),
        (("--model", "unequal", "--variances", "v.nii"), "no effect with --model unequal"),
        (("--variance-groups", "site"), "give --model mixed, or --model unequal, or leave"),
        (("--model", "mixed", "--weights", "w.nii"), "give --model ols, or leave --weights out"),
        (("--model", "mixed", "--covariate", "g=g.nii"), "--covariate has no effect with --model"),
        (("--covariate", "g=a", "--covariate", "g=b"), "--covariate g is given 2 times"),
        (("--covariate", "grey"), "must be NAME=GLOB"),
        (("--model", "mixed", "--tau2", "-1"), "no number of at least 0"),
        (("--model", "mixed", "--tau2", "nan"), "no number of at least 0"),
        (("--model", "mixed", "--tau2", "remlx"), "is none of reml, ml"),
        (("--model", "mixed", "--test", "x"), "is not one of 'knapp-hartung'"),
        (("--model", "mixed", "--fwhm", "6"), "--fwhm changes the maps"),
    ],
)
def test_options_of_another_model_are_wrong_options(
    command: str, options: tuple[str, ...], told: str, study: Path, tmp_path: Path
) -> None:
    result = run(command, *basic(study, tmp_path / "out", *options))
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_model_that_weights_by_variances_asks_for_them(study: Path, tmp_path: Path) -> None:
    refused = run_fit(*basic(study, tmp_path / "out", "--model", "fixed", "--dry-run"))
    assert refused.exit_code == 1
    assert "--model fixed weights each map by its variance; give" in refused.output
    assert "--variances 'maps/*_variance*'" in refused.output


def test_a_dry_run_shows_which_variance_belongs_to_which_map(study: Path, tmp_path: Path) -> None:
    shown = run_fit(*weighted(study, tmp_path / "out", "--model", "fixed", "--dry-run"))
    assert shown.exit_code == 0, shown.output
    for subject in SUBJECTS:
        line = f"{subject}: map sub-{subject}_effect.nii.gz, variance sub-{subject}_variance.nii.gz"
        assert line in shown.output
    assert "Model: fixed effects" in shown.output
    assert not (tmp_path / "out").exists()
    summary = run_fit(*weighted(study, tmp_path / "out", "--model", "fixed", "--dry-run", "--json"))
    facts = json.loads(summary.stdout)
    assert facts["model"] == "fixed effects"
    assert Path(facts["variances"]["03"]).name == "sub-03_variance.nii.gz"


def test_variances_are_matched_by_subject_and_not_by_order(study: Path, tmp_path: Path) -> None:
    maps = tmp_path / "variances"
    maps.mkdir()
    for place, subject in enumerate(SUBJECTS):  # names whose order is the reverse
        source = study / "maps" / f"sub-{subject}_variance.nii.gz"
        shutil.copy(source, maps / f"{99 - place}_sub-{subject}.nii.gz")
    shown = run_fit(
        *basic(study, tmp_path / "out", "--variances", maps / "*", "--model", "fixed"),
        *("--dry-run", "--json"),
    )
    assert shown.exit_code == 0, shown.output
    files = json.loads(shown.stdout)["variances"]
    assert {label: Path(path).name for label, path in files.items()} == {
        subject: f"{99 - place}_sub-{subject}.nii.gz" for place, subject in enumerate(SUBJECTS)
    }


def test_maps_without_variances_and_variances_without_maps(study: Path, tmp_path: Path) -> None:
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    (maps / "sub-03_variance.nii.gz").unlink()
    shutil.copy(maps / "sub-04_variance.nii.gz", maps / "sub-88_variance.nii.gz")
    variances = str(maps / "*_variance.nii.gz")
    arguments = ("--variances", variances, "--model", "fixed", "--dry-run")
    refused = run_fit(*basic(study, tmp_path / "out", *arguments))
    assert refused.exit_code == 1
    assert "1 map without a variance map: 03" in refused.output
    assert "1 variance map without a map: 88" in refused.output
    assert "add --allow-partial" in refused.output
    allowed = run_fit(*basic(study, tmp_path / "out", *arguments, "--allow-partial"))
    assert allowed.exit_code == 0, allowed.output
    assert "11 subjects" in allowed.output
    assert "left out 1 map without a variance map: 03" in allowed.output
    assert "sub-88" not in allowed.stdout


def test_files_that_cannot_be_variances(study: Path, tmp_path: Path) -> None:
    maps = study / "maps"
    for given, told in (
        (maps / "*_effect.nii.gz", "is given as the variance map of subject 01 and as the map of"),
        (maps / "*_none.nii.gz", "_none.nii.gz', given as --variances"),
        (maps, "is a folder; give files"),
        (study / "participants.tsv", "is a table; give paths or globs of maps"),
        (study / "mask.nii.gz", "--variances: no subject label is in"),
        ("", "--variances is empty; give paths, globs"),
        (maps / "*_[vg]*.nii.gz", "--variances: 12 subjects have several maps"),
    ):
        options = ("--variances", str(given), "--model", "fixed", "--dry-run")
        refused = run_fit(*basic(study, tmp_path / "out", *options))
        assert refused.exit_code == 1, given
        assert told in refused.output
    other = tmp_path / "sub-99_variance.nii.gz"
    shutil.copy(maps / "sub-01_variance.nii.gz", other)
    options = ("--variances", str(other), "--model", "fixed", "--dry-run")
    refused = run_fit(*basic(study, tmp_path / "out", *options))
    assert "no variance map belongs to a map" in refused.output
    assert "maps are of 99" in refused.output


def test_a_table_of_maps_gives_the_variances(study: Path, tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "subject_label": SUBJECTS,
            "map_name": "faces",
            "effects_map_path": [f"maps/sub-{s}_effect.nii.gz" for s in SUBJECTS],
            "variances_map_path": [f"maps/sub-{s}_variance.nii.gz" for s in SUBJECTS],
        }
    )
    path = study / "table.tsv"
    table.to_csv(path, sep="\t", index=False)
    fixed = ("--model", "fixed", "--dry-run", "--json")
    arguments = [path, *basic(study, tmp_path / "out")[1:]]
    shown = run_fit(*arguments, *fixed)
    assert shown.exit_code == 0, shown.output
    files = json.loads(shown.stdout)["variances"]
    assert [Path(name).name for name in files.values()] == [
        f"sub-{s}_variance.nii.gz" for s in SUBJECTS
    ]
    both = run_fit(*arguments, *fixed, "--variances", study / "maps" / "*_variance.nii.gz")
    assert both.exit_code == 1
    assert "column variances_map_path, and --variances is given too" in both.output
    table.loc[4, "variances_map_path"] = None
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    lacking = run_fit(*arguments, *fixed)
    assert lacking.exit_code == 1
    assert "1 map without a variance map: 05" in lacking.output
    table.drop(columns="variances_map_path").to_csv(path, sep="\t", index=False)
    without = run_fit(*arguments, *fixed)
    assert "or in the table's column variances_map_path" in without.output
    given = run_fit(*arguments, *fixed, "--variances", study / "maps" / "*_variance.nii.gz")
    assert given.exit_code == 0, given.output


def test_groups_of_variances_are_a_column_of_the_table(study: Path, tmp_path: Path) -> None:
    arguments = basic(study, tmp_path / "out", "--model", "unequal", "--dry-run")
    absent = run_fit(*arguments, "--variance-groups", "site")
    assert absent.exit_code == 1
    assert "--variance-groups 'site' is no column of the participants table; its" in absent.output
    maps, out = str(study / "maps" / "*_effect.nii.gz"), str(tmp_path / "out")
    bare = [maps, "--formula", "~ 1", "--contrast", "intercept", "--output", out]
    bare += ["--model", "unequal", "--variance-groups", "site"]
    assert "name the column of groups by --variance-groups, or code" in run_fit(*arguments).output
    assert "give the table by --participants" in run_fit(*bare, "--dry-run").output
    table = pd.read_csv(study / "participants.tsv", sep="\t").assign(site="a")
    table.loc[3, "site"] = None
    table.to_csv(tmp_path / "sites.tsv", sep="\t", index=False, na_rep="n/a")
    arguments[2] = tmp_path / "sites.tsv"
    lacking = run_fit(*arguments, "--variance-groups", "site")
    assert lacking.exit_code == 1
    label = str(table["participant_id"][3]).removeprefix("sub-")
    assert f"has no value for {label}; complete them, or add --allow-partial" in lacking.output


def test_a_covariate_has_a_name_of_its_own(study: Path, tmp_path: Path) -> None:
    grey = study / "maps" / "*_grey.nii.gz"
    refused = run_fit(*basic(study, tmp_path / "out", "--covariate", f"age={grey}", "--dry-run"))
    assert refused.exit_code == 1
    assert "--covariate 'age' has the name of a column of the design" in refused.output


def test_more_covariates_than_subjects_leave_no_freedom(study: Path, tmp_path: Path) -> None:
    grey = study / "maps" / "*_grey.nii.gz"
    names = [f"c{i}={grey}" for i in range(9)]
    options = [text for name in names for text in ("--covariate", name)]
    refused = run_fit(*basic(study, tmp_path / "out", *options, "--dry-run"))
    assert refused.exit_code == 1
    assert "12 images and a design matrix of rank 3" in refused.output
    assert "and 9 voxelwise covariates; add images or drop columns" in refused.output


def table_with(study: Path, folder: Path, **columns: str) -> Path:
    """Write a table of maps with columns of maps beside them."""
    files = {column: [str(study / "maps" / f"sub-{s}_{kind}.nii.gz") for s in SUBJECTS]
             for column, kind in columns.items()}  # fmt: skip
    effects = [str(study / "maps" / f"sub-{s}_effect.nii.gz") for s in SUBJECTS]
    table = pd.DataFrame({"subject_label": SUBJECTS, "map_name": "a", "effects_map_path": effects})
    table.assign(**files).to_csv(folder / "table.tsv", sep="\t", index=False)
    return folder / "table.tsv"


def test_a_column_of_variances_without_effect_is_reported(study: Path, tmp_path: Path) -> None:
    table = table_with(study, tmp_path, variances_map_path="variance")
    arguments = [table, *basic(study, tmp_path / "out")[1:], "--dry-run"]
    told = run_fit(*arguments)
    assert told.exit_code == 0, told.output
    assert f"the column variances_map_path of the table of maps '{table}' has no effect" in (
        " ".join(told.output.split())
    )
    assert "has no effect" not in run_fit(*arguments, "--model", "fixed").output


def test_a_column_of_weights_is_taken_or_refused(study: Path, tmp_path: Path) -> None:
    table = table_with(study, tmp_path, weights_map_path="weight")
    arguments = [table, *basic(study, tmp_path / "out")[1:]]
    shown = run_fit(*arguments, "--dry-run", "--json")
    assert shown.exit_code == 0, shown.output
    weights = json.loads(shown.stdout)["weights"]
    assert [Path(name).name for name in weights.values()] == [
        f"sub-{s}_weight.nii.gz" for s in SUBJECTS
    ]
    both = run_fit(*arguments, "--weights", study / "maps" / "*_weight.nii.gz", "--dry-run")
    assert "has a column weights_map_path, and --weights is given too" in both.output
    unequal = run_fit(*arguments, "--model", "unequal", "--variance-groups", "group", "--dry-run")
    assert unequal.exit_code == 1
    assert "has a column weights_map_path, but --model unequal weights the maps itself" in (
        unequal.output
    )


def test_a_dry_run_finds_maps_that_are_no_variances(study: Path, tmp_path: Path) -> None:
    for kind in ("se", "stat-t_statmap"):
        for subject in SUBJECTS:
            (tmp_path / f"sub-{subject}_{kind}.nii.gz").write_bytes(
                (study / "maps" / f"sub-{subject}_variance.nii.gz").read_bytes()
            )
    for kind, told in (("se", "hold standard errors"), ("stat-t_statmap", "hold t statistics")):
        arguments = basic(study, tmp_path / "out", "--variances", tmp_path / f"*_{kind}.nii.gz")
        refused = run_fit(*arguments, "--model", "fixed", "--dry-run")
        assert refused.exit_code == 1
        assert f"12 of 12 images of --variances {told}" in refused.output or told in refused.output


def test_the_formula_of_a_mean_is_said(study: Path, tmp_path: Path) -> None:
    for command in ("fit", "permute"):
        told = run(command, study / "maps" / "*_effect.nii.gz", "--contrast", "Intercept",
                   "--output", tmp_path / "out")  # fmt: skip
        assert told.exit_code == 2
        assert "for the mean of all subjects it is '~ 1'" in " ".join(told.output.split())
