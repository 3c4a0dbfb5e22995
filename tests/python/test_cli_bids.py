# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids``: its numbers, its files, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from click.testing import CliRunner, Result

from groupglm import SecondLevelModel, __version__
from groupglm.cli import main
from reference.bids import (
    SUBJECTS,
    effect,
    make_fitlins,
    problems,
    subject_design,
    touch,
    write_json,
)
from reference.shell import values_of

# FitLins 0.11's pattern of the names of contrasts, and what follows the statistic with --correct.
STATMAP = re.compile(
    r"(node-[A-Za-z0-9]+/)?(task-[A-Za-z0-9]+_)?(space-[A-Za-z0-9]+_)?contrast-[A-Za-z0-9]+"
    r"_stat-(effect|variance|z|p|t|F)(_desc-[A-Za-z0-9]+)?_statmap\.(nii\.gz|json)"
)
SUBJECT_LEVEL = ("--filter", "node=subjectLevel", "--contrast", "facesGtHouses")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw data set with derivatives/fitlins."""
    folder = tmp_path_factory.mktemp("study")
    make_fitlins(folder)
    return folder


def run(raw: Path, out: Path, *more: str | Path) -> Result:
    arguments = ["bids", raw / "derivatives" / "fitlins", out, "--mask", raw / "mask.nii.gz", *more]
    return CliRunner().invoke(main, [*map(str, arguments)])


def done(raw: Path, out: Path, *more: str | Path) -> Result:
    result = run(raw, out, *more)
    assert result.exit_code == 0, result.output
    return result


def model_file(folder: Path, **changes: Any) -> Path:
    node = {
        "Level": "Dataset",
        "Name": "group_level",
        "GroupBy": ["contrast"],
        "Model": {"Type": "glm", "X": [1, "age"]},
        "DummyContrasts": {"Test": "t"},
        **changes,
    }
    subject = {"Level": "Subject", "Name": "subject_level"}
    facts = {"Name": "faces", "BIDSModelVersion": "1.0.0", "Nodes": [subject, node]}
    return write_json(folder / "model-faces_smdl.json", facts)


def maps_of(raw: Path, contrast: str = "facesGtHouses") -> list[Path]:
    root = raw / "derivatives" / "fitlins" / "node-subjectLevel"
    return sorted(root.glob(f"*/*_contrast-{contrast}_stat-effect_statmap.nii.gz"))


def test_the_mean_of_a_contrast(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = done(raw, out, *SUBJECT_LEVEL)
    assert "12 subjects, 1 columns (Intercept)" in result.output
    direct = SecondLevelModel(mask_img=raw / "mask.nii.gz").fit(
        [str(path) for path in maps_of(raw)], design_matrix=pd.DataFrame({"i": np.ones(12)})
    )
    maps = direct.compute_contrast("i", output_type="all")
    stem = "task-faces_space-MNIColin27_contrast-facesGtHouses_stat"
    names = {"effect": "effect_size", "variance": "effect_variance", "t": "stat", "z": "z_score"}
    for kind, name in {**names, "p": "p_value"}.items():
        found = values_of(out / f"{stem}-{kind}_statmap.nii.gz")
        np.testing.assert_array_equal(found, np.asarray(maps[name].dataobj), err_msg=kind)


def test_covariates_by_subject_against_statsmodels(raw: Path, tmp_path: Path) -> None:
    """The table's rows are in another order than the maps, and each map meets its own."""
    out = tmp_path / "out"
    more = (
        "--second-level-contrast",
        "age",
        "--second-level-contrast",
        "both=age; group[T.patient]",
    )
    done(raw, out, *SUBJECT_LEVEL, "--formula", "~ age + group", *more)
    table = subject_design(raw, SUBJECTS)
    X = np.column_stack(
        [np.ones(12), table["age"], (table["group"] == "patient").to_numpy(dtype=float)]
    )
    data = np.stack([values_of(path) for path in maps_of(raw)])
    stem = out / "task-faces_space-MNIColin27_contrast-facesGtHouses"
    t_map = values_of(Path(f"{stem}Age_stat-t_statmap.nii.gz"))
    effect = values_of(Path(f"{stem}Age_stat-effect_statmap.nii.gz"))
    f_map = values_of(Path(f"{stem}Both_stat-F_statmap.nii.gz"))
    inside = np.argwhere(values_of(raw / "mask.nii.gz") > 0)
    for voxel in map(tuple, inside[:: len(inside) // 20]):
        fit = sm.OLS(data[(slice(None), *voxel)], X).fit()
        # float32 maps of a fit in double: 6e-8 relative.
        np.testing.assert_allclose(t_map[voxel], fit.tvalues[1], rtol=1e-5)
        np.testing.assert_allclose(effect[voxel], fit.params[1], rtol=1e-5)
        np.testing.assert_allclose(f_map[voxel], fit.f_test(np.eye(3)[1:]).fvalue, rtol=1e-5)


def test_the_derivative_is_valid(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    model = model_file(tmp_path, Model={"Type": "glm", "X": [1]})
    done(raw, out, "--model", model, "--correct", "fpr:0.01", "--report", "--save-model")
    done(raw, out, *SUBJECT_LEVEL, "--correct", "fpr:0.01", "--report", "--permute", "10")
    assert problems(out) == []
    # And without the list of what is not in the specification yet, only such files are told of.
    (out / ".bidsignore").unlink()
    codes = {code for code, _ in problems(out)}
    assert "NOT_INCLUDED" in codes
    assert codes <= {"NOT_INCLUDED", "ALL_FILENAME_RULES_HAVE_ISSUES", "FILENAME_MISMATCH"} | {
        "SIDECAR_WITHOUT_DATAFILE"
    }
    facts = json.loads((out / "dataset_description.json").read_text())
    assert facts["DatasetType"] == "derivative"
    assert facts["GeneratedBy"][0] == {
        "Name": "groupglm",
        "Version": __version__,
        "Description": "General linear model over the subjects, by ordinary least squares.",
    }
    link = out / facts["DatasetLinks"]["maps"]
    assert link.resolve() == (raw / "derivatives" / "fitlins").resolve()
    assert facts["SourceDatasets"] == [{"DOI": "doi:10.1/x", "URL": "https://doi.org/10.1/x"}]


def test_files_and_sidecars(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    contrasts = ("--second-level-contrast", "mean=Intercept", "--second-level-contrast", "age")
    done(raw, out, *SUBJECT_LEVEL, "--formula", "~ age", *contrasts, "--correct", "fpr:0.01")
    names = {path.name for path in out.iterdir()}
    stem = "task-faces_space-MNIColin27_contrast-facesGtHouses"
    for label in ("Mean", "Age"):
        for kind in ("effect", "variance", "t", "z", "p", "z_desc-fpr0p01"):
            for extension in ("nii.gz", "json"):
                assert f"{stem}{label}_stat-{kind}_statmap.{extension}" in names
    maps = {name for name in names if "_statmap." in name}
    assert all(STATMAP.fullmatch(name) for name in maps)
    common = {
        f"{stem}_{name}" for name in ("design.tsv", "design.json", "mask.nii.gz", "mask.json")
    }
    tables = {f"{stem}{label}_stat-z_desc-fpr0p01_clusters.tsv" for label in ("Mean", "Age")}
    dataset = {"dataset_description.json", ".bidsignore", "log.txt"}
    assert names - maps == common | tables | dataset
    facts = json.loads((out / f"{stem}Age_stat-t_statmap.json").read_text())
    assert facts["FirstLevel"] == {
        "contrast": "facesGtHouses",
        "task": "faces",
        "space": "MNIColin27",
    }
    assert facts["Contrast"]["Weights"] == [0, 1]
    assert facts["DegreesOfFreedom"] == {"Residual": 10}
    design = json.loads((out / f"{stem}_design.json").read_text())
    root = raw / "derivatives" / "fitlins"
    sources = [root / uri.removeprefix("bids:maps:") for uri in design["Sources"]]
    assert sources == maps_of(raw)


def test_a_stats_model(raw: Path, tmp_path: Path) -> None:
    """Each contrast that reaches the node is a fit; columns are coded as FitLins codes them."""
    out = tmp_path / "out"
    model = model_file(
        tmp_path,
        Transformations={
            "Transformer": "pybids-transforms-v1",
            "Instructions": [{"Name": "Factor", "Input": ["group"]}],
        },
        Model={"Type": "glm", "X": ["group.patient", "group.control", "age"]},
        DummyContrasts={"Contrasts": ["age"], "Test": "t"},
        Contrasts=[
            {
                "Name": "patients",
                "ConditionList": ["group.patient", "group.control"],
                "Weights": [1, -1],
                "Test": "t",
            },
            {
                "Name": "any",
                "ConditionList": ["group.patient", "group.control"],
                "Weights": [[1, 0], [0, 1]],
                "Test": "F",
            },
            {"Name": "older", "ConditionList": ["age"], "Weights": ["1/2"], "Test": "F"},
        ],
    )
    done(raw, out, "--model", model)
    table = subject_design(raw, SUBJECTS)
    patient = (table["group"] == "patient").to_numpy(dtype=float)
    design = pd.DataFrame({"p": patient, "c": 1 - patient, "age": table["age"].to_numpy()})
    contrasts: dict[str, tuple[Any, Any]] = {
        "Age": ("age", "t"),
        "Patients": ("p - c", "t"),
        "Any": (["p", "c"], "F"),
        "Older": (np.array([[0, 0, 0.5]]), "F"),
    }
    for first in ("facesGtHouses", "housesGtFaces"):
        direct = SecondLevelModel(mask_img=raw / "mask.nii.gz").fit(
            [str(path) for path in maps_of(raw, first)], design_matrix=design
        )
        for name, (contrast, stat) in contrasts.items():
            expected = direct.compute_contrast(
                contrast, second_level_stat_type=stat, output_type="stat"
            )
            stem = out / "node-groupLevel" / f"task-faces_space-MNIColin27_contrast-{first}{name}"
            found = values_of(Path(f"{stem}_stat-{stat}_statmap.nii.gz"))
            np.testing.assert_array_equal(found, np.asarray(expected.dataobj))
    # The same by FitLins' convention: two houses - faces are the faces - houses with another sign.
    t_maps = [
        values_of(
            out
            / "node-groupLevel"
            / f"task-faces_space-MNIColin27_contrast-{c}Patients_stat-t_statmap.nii.gz"
        )
        for c in ("facesGtHouses", "housesGtFaces")
    ]
    np.testing.assert_array_equal(t_maps[0], -t_maps[1])


def test_the_intercept_of_a_model_has_the_name_of_the_contrast(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = done(
        raw, out, "--model", model_file(tmp_path), "--contrast", "facesGtHouses", "--json"
    )
    (study,) = json.loads(result.stdout)["studies"]
    files = [Path(contrast["files"]["t"]) for contrast in study["contrasts"]]
    folder, stem = out / "node-groupLevel", "task-faces_space-MNIColin27_contrast-facesGtHouses"
    assert files == [folder / f"{stem}{end}_stat-t_statmap.nii.gz" for end in ("", "Age")]
    assert study["FirstLevel"]["contrast"] == "facesGtHouses"
    assert study["df_residual"] == 10


def test_filters_of_a_model(raw: Path, tmp_path: Path) -> None:
    path = model_file(tmp_path)
    facts = json.loads(path.read_text())
    facts["Input"] = {"subject": SUBJECTS[:10], "task": ["faces"], "run": [1, 2], "echo": [1]}
    facts["Edges"] = [
        {
            "Source": "subject_level",
            "Destination": "group_level",
            "Filter": {"contrast": ["houses > faces"]},
        }
    ]
    write_json(path, facts)
    result = done(raw, tmp_path / "out", "--model", path, "--dry-run")
    assert "10 subjects" in result.output
    assert "contrast-housesGtFacesAge" in result.output
    assert "facesGtHouses" not in result.output
    assert "left out" not in result.output  # the model itself leaves two subjects out
    fewer = done(
        raw, tmp_path / "out", "--model", path, "--filter", "subject=sub-03", "--filter",
        "subject=04", "--filter", "sub=05", "--filter", "sub=11", "--dry-run",
    )  # fmt: skip
    assert "3 subjects" in fewer.output
    assert "asks for echo 1, but the effect maps do not have it" in result.output


def test_a_second_run_skips_and_other_contrasts_join(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done(raw, out, *SUBJECT_LEVEL)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_statmap.*")}
    assert "skipped" in done(raw, out, *SUBJECT_LEVEL).output
    more = ("--filter", "node=subjectLevel", "--contrast", "housesGtFaces")
    assert "skipped" not in done(raw, out, *more).output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    other = run(raw, out, *SUBJECT_LEVEL, "--formula", "~ age", "--second-level-contrast", "age")
    assert other.exit_code == 1
    assert "holds results made from another design" in other.output
    run_maps = ("--filter", "node=runLevel", "--run", "1", "--contrast", "facesGtHouses")
    done(raw, out, *run_maps)  # other files: the run is in their names
    assert (out / "task-faces_run-1_space-MNIColin27_contrast-facesGtHouses_design.tsv").is_file()
    redone = done(raw, out, *SUBJECT_LEVEL, "--overwrite")
    assert "skipped" not in redone.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            (),
            "of several kinds, by contrast, node: contrast facesGtHouses (36 maps), housesGtFaces",
        ),
        (SUBJECT_LEVEL[2:], "Choose, such as by --filter node=runLevel (in Python, node="),
        (
            ("--filter", "node=runLevel", *SUBJECT_LEVEL[2:]),
            "12 of 12 subjects have several effect",
        ),
        ((*SUBJECT_LEVEL, "--task", "rest"), "no effect map has task 'rest'; there is task faces"),
        (
            (*SUBJECT_LEVEL, "--space", "T1w"),
            "no effect map has space 'T1w'; there is space MNIColin27",
        ),
        (
            (*SUBJECT_LEVEL, "--formula", "~ iq", "--second-level-contrast", "iq"),
            "the participants table has no value for 'iq' of subject",
        ),
        (
            (*SUBJECT_LEVEL, "--formula", "~ nose", "--second-level-contrast", "nose"),
            "names 'nose', which the participants table does not have",
        ),
        ((*SUBJECT_LEVEL, "--second-level-contrast", "age"), "name 'age' is not defined"),
    ],
)
def test_what_is_ambiguous_or_absent_is_refused(
    raw: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    result = run(raw, tmp_path / "out", *more)
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--formula", "~ age"), "--formula needs a --second-level-contrast"),
        (("--model-node", "x"), "--model-node has no effect without --model"),
        (("--filter", "acq"), "'acq' must be KEY=VALUE"),
        (("--tfce",), "--tfce has no effect without --permute"),
        (("--model", "MODEL", "--formula", "~ 1"), "have no effect beside --model"),
        (("--model", "absent.json"), "does not exist"),
    ],
)
def test_options_that_do_not_go_together(
    raw: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    path = str(model_file(tmp_path))
    result = run(raw, tmp_path / "out", *(path if text == "MODEL" else text for text in more))
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Model": {"Type": "Meta", "X": [1]}}, "Model.Type 'Meta' is not supported"),
        ({"GroupBy": []}, "pools the contrasts facesGtHouses, housesGtFaces"),
        (
            {"Model": {"X": [1, "group"]}},
            "'group', which holds text; code it by the transformation",
        ),
        ({"Model": {"X": [1, "iq"]}}, "no value for 'iq'"),
        (
            {"Contrasts": [{"Name": "a", "ConditionList": ["nose"], "Weights": [1], "Test": "t"}]},
            "ConditionList names 'nose', which the design does not have",
        ),
    ],
)
def test_models_that_are_refused(
    raw: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    """Before any image is read: here none can be."""
    unreadable = tmp_path / "raw"
    shutil.copytree(raw, unreadable)
    for path in unreadable.rglob("*_statmap.nii.gz"):
        path.write_text("no image")
    result = run(unreadable, tmp_path / "out", "--model", model_file(tmp_path, **changes))
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_results_that_would_have_the_same_names_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "derivatives" / "fitlins"
    for subject in ("01", "02", "03", "04"):
        touch(root, effect(subject, contrast="faces"), effect(subject, contrast="facesAge"))
    rows = "".join(f"sub-0{i}\t{i * i}\n" for i in range(1, 5))
    (tmp_path / "participants.tsv").write_text(f"participant_id\tage\n{rows}")
    result = CliRunner().invoke(
        main, ["bids", str(root), str(tmp_path / "out"), "--model", str(model_file(tmp_path))]
    )
    assert result.exit_code == 1
    assert "would be written to the same files (contrast-facesage_...)" in result.output


def test_a_dry_run_writes_nothing(raw: Path, tmp_path: Path) -> None:
    result = done(raw, tmp_path / "out", *SUBJECT_LEVEL, "--dry-run")
    assert "Dry run: no image was read." in result.output
    assert "-> task-faces_space-MNIColin27_contrast-facesGtHouses_..." in " ".join(
        result.output.split()
    )
    assert not (tmp_path / "out").exists()


def test_without_participants(raw: Path, tmp_path: Path) -> None:
    lone = tmp_path / "lone" / "derivatives" / "fitlins"
    shutil.copytree(raw / "derivatives" / "fitlins", lone)
    shutil.copy(raw / "mask.nii.gz", tmp_path / "lone")
    result = done(tmp_path / "lone", tmp_path / "out", *SUBJECT_LEVEL, "--dry-run")
    assert "12 subjects" in result.output
    assert "no participants.tsv" in result.output
    covariate = ("--formula", "~ age", "--second-level-contrast", "age")
    refused = run(tmp_path / "lone", tmp_path / "out", *SUBJECT_LEVEL, *covariate)
    assert refused.exit_code == 1
    assert "the design needs one (~ age); give --participants" in " ".join(refused.output.split())
    table = ("--participants", raw / "participants.tsv")
    done(tmp_path / "lone", tmp_path / "out", *SUBJECT_LEVEL, *covariate, *table, "--dry-run")


def test_participants_that_do_not_fit(raw: Path, tmp_path: Path) -> None:
    table = pd.read_csv(raw / "participants.tsv", sep="\t")
    few = tmp_path / "few.tsv"
    table[table["participant_id"] != "sub-03"].to_csv(few, sep="\t", index=False)
    refused = run(raw, tmp_path / "out", *SUBJECT_LEVEL, "--participants", few)
    assert "maps without a row in the participants table: 03" in refused.output
    left = done(
        raw, tmp_path / "out", *SUBJECT_LEVEL, "--participants", few, "--allow-partial", "--dry-run"
    )
    assert "11 subjects" in left.output
    twice = tmp_path / "twice.tsv"
    pd.concat([table, table[:1]]).to_csv(twice, sep="\t", index=False)
    refused = run(raw, tmp_path / "out", *SUBJECT_LEVEL, "--participants", twice)
    assert "has several rows for" in refused.output


@pytest.mark.parametrize("place", [".", "node-subjectLevel/..", ".."])
def test_results_do_not_go_over_the_maps(raw: Path, place: str) -> None:
    root = raw / "derivatives" / "fitlins"
    result = run(raw, root / place, *SUBJECT_LEVEL)
    assert result.exit_code == 1
    assert "is or holds the derivative" in result.output
    assert not (root / place / "log.txt").exists()


def test_results_do_not_go_over_another_data_set(raw: Path, tmp_path: Path) -> None:
    other = {"Name": "x", "GeneratedBy": [{"Name": "fMRIPrep"}]}
    path = write_json(tmp_path / "out" / "dataset_description.json", other)
    result = run(raw, tmp_path / "out", *SUBJECT_LEVEL)
    assert result.exit_code == 1
    assert "is a data set made by fMRIPrep already" in result.output
    assert json.loads(path.read_text()) == other


def test_an_f_test_of_one_row_is_not_permuted_as_t(raw: Path, tmp_path: Path) -> None:
    one = {"Name": "a", "ConditionList": ["age"], "Weights": [1], "Test": "F"}
    path = model_file(tmp_path, Contrasts=[one])
    result = run(raw, tmp_path / "out", "--model", path, "--permute", "10")
    assert result.exit_code == 1
    assert "is an F test of one row, which cannot be permuted" in result.output
    assert not list((tmp_path / "out").rglob("*_statmap.nii.gz"))


def test_the_help_has_examples_that_are_understood(raw: Path, tmp_path: Path) -> None:
    text = CliRunner().invoke(main, ["bids", "--help"]).output
    examples = text.split("Examples\n")[1].split("Writes, each")[0]
    commands = re.sub(r"\\\s+", "", examples).strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        for option in re.findall(r"--[a-z-]+", command):
            assert option in text.split("Options:")[1]
