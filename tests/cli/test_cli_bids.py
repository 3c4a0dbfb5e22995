# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids``: its numbers and its files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from click.testing import CliRunner
from nilearn.glm.second_level import SecondLevelModel as NilearnModel

from groupglm import SecondLevelModel, __version__
from groupglm.cli import main
from reference.bids import (
    SUBJECT_LEVEL,
    SUBJECTS,
    bids_done,
    maps_of,
    model_file,
    problems,
    run_bids,
    subject_design,
    write_json,
)
from reference.data import data_dir
from reference.shell import values_of

# FitLins 0.11's pattern of the names of contrasts, and what follows the statistic with --correct.
STATMAP = re.compile(
    r"(node-[A-Za-z0-9]+/)?(task-[A-Za-z0-9]+_)?(space-[A-Za-z0-9]+_)?contrast-[A-Za-z0-9]+"
    r"_stat-(effect|variance|z|p|t|F)(_desc-[A-Za-z0-9]+)?_statmap\.(nii\.gz|json)"
)


def test_the_mean_of_a_contrast(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = bids_done(raw, out, *SUBJECT_LEVEL)
    assert "12 subjects, 1 column (Intercept)" in result.output
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
    """The rows of the table have another order than the maps; each map gets its own row."""
    out = tmp_path / "out"
    more = (
        "--second-level-contrast",
        "age",
        "--second-level-contrast",
        "both=age; group[T.patient]",
    )
    bids_done(raw, out, *SUBJECT_LEVEL, "--formula", "~ age + group", *more)
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


def test_real_maps_against_nilearn(tmp_path: Path) -> None:
    """20 subjects, named as fMRIPrep and nilearn do; voxels that a subject lacks are zero."""
    data = data_dir("ds003338")
    root = tmp_path / "derivatives" / "nilearn"
    sources = sorted(data.glob("sub-*_effect_size.nii.gz"))
    stem = "task-x_space-MNI152NLin2009cAsym_contrast-a_stat"
    for source in sources:
        folder = root / source.name.split("_")[0] / "func"
        folder.mkdir(parents=True)
        for kind, name in (("effect", "size"), ("variance", "variance")):
            file = source.name.replace("size", name)
            (folder / f"{folder.parent.name}_{stem}-{kind}_statmap.nii.gz").symlink_to(data / file)
    ages = pd.DataFrame(
        {"participant_id": [path.name.split("_")[0] for path in sources], "age": range(20)}
    )
    ages.sample(frac=1, random_state=0).to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    more = ("--formula", "~ age", "--second-level-contrast", "age", "--missing", "zero")
    arguments = ["bids", str(root), str(tmp_path / "out"), *more]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    mask = tmp_path / "out" / f"{stem.removesuffix('_stat')}_mask.nii.gz"
    design = pd.DataFrame({"intercept": 1.0, "age": ages["age"].astype(float)})
    theirs = NilearnModel(mask_img=str(mask)).fit([*map(str, sources)], design_matrix=design)
    expected = theirs.compute_contrast("age", output_type="stat")
    found = values_of(tmp_path / "out" / f"{stem.replace('-a_', '-aAge_')}-t_statmap.nii.gz")
    inside = values_of(mask) > 0
    assert inside.sum() > 50_000
    # Our maps are float32 (6e-8 relative) of a fit in double. Near zero the error is absolute: that
    # of sums of values of the size of a t of 1.
    np.testing.assert_allclose(
        found[inside], np.asarray(expected.dataobj)[inside], rtol=1e-5, atol=1e-5
    )


def test_the_derivative_is_valid(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    model = model_file(tmp_path, Model={"Type": "glm", "X": [1]})
    bids_done(raw, out, "--model", model, "--correct", "fpr:0.01", "--report", "--save-model")
    bids_done(raw, out, *SUBJECT_LEVEL, "--correct", "fpr:0.01", "--report", "--permute", "10")
    assert problems(out) == []
    # Without the list of files that the specification lacks, only such files are reported.
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
        "Description": "Linear models over the subjects; the sidecars of maps say which.",
    }
    link = out / facts["DatasetLinks"]["maps"]
    assert link.resolve() == (raw / "derivatives" / "fitlins").resolve()
    assert facts["SourceDatasets"] == [{"DOI": "doi:10.1/x", "URL": "https://doi.org/10.1/x"}]


def test_files_and_sidecars(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    contrasts = ("--second-level-contrast", "mean=Intercept", "--second-level-contrast", "age")
    bids_done(raw, out, *SUBJECT_LEVEL, "--formula", "~ age", *contrasts, "--correct", "fpr:0.01")
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
    tables = {
        f"{stem}{label}_stat-z_desc-fpr0p01_clusters.{extension}"
        for label in ("Mean", "Age")
        for extension in ("tsv", "json")
    }
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
    mask = json.loads((out / f"{stem}_mask.json").read_text())
    for key in ("DesignHash", "InputListHash", "SoftwareVersions", "FirstLevel"):
        assert mask[key] == design[key] == facts[key]


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
    bids_done(raw, out, "--model", model)
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
    result = bids_done(
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
    result = bids_done(raw, tmp_path / "out", "--model", path, "--dry-run")
    assert "10 subjects" in result.output
    assert "contrast-housesGtFacesAge" in result.output
    assert "facesGtHouses" not in result.output
    assert "left out" not in result.output  # the model itself leaves out two subjects
    fewer = bids_done(
        raw, tmp_path / "out", "--model", path, "--filter", "subject=sub-03", "--filter",
        "subject=04", "--filter", "sub=05", "--filter", "sub=11", "--dry-run",
    )  # fmt: skip
    assert "3 subjects" in fewer.output
    assert "asks for echo 1, but the effect maps do not have it" in result.output


def test_a_second_run_skips_and_other_contrasts_join(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bids_done(raw, out, *SUBJECT_LEVEL)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_statmap.*")}
    assert "skipped" in bids_done(raw, out, *SUBJECT_LEVEL).output
    more = ("--filter", "node=subjectLevel", "--contrast", "housesGtFaces")
    assert "skipped" not in bids_done(raw, out, *more).output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    other = run_bids(
        raw, out, *SUBJECT_LEVEL, "--formula", "~ age", "--second-level-contrast", "age"
    )
    assert other.exit_code == 1
    assert f"OUT '{out}' holds results made from another design" in other.output
    run_maps = ("--filter", "node=runLevel", "--run", "1", "--contrast", "facesGtHouses")
    bids_done(raw, out, *run_maps)  # other files, because the run is in their names
    assert (out / "task-faces_run-1_space-MNIColin27_contrast-facesGtHouses_design.tsv").is_file()
    redone = bids_done(raw, out, *SUBJECT_LEVEL, "--overwrite")
    assert "skipped" not in redone.output
    assert "Removed" not in redone.output
    # Another design in its place: only the results of this first-level contrast are removed.
    age = ("--formula", "~ age", "--second-level-contrast", "age", "--save-model")
    replaced = bids_done(raw, out, *SUBJECT_LEVEL, *age, "--overwrite")
    assert "task-faces_space-MNIColin27_contrast-facesGtHouses_stat-t_statmap" in replaced.output
    left = {path.name for path in out.glob("task-faces_space-*_stat-t_statmap.nii.gz")}
    assert left == {
        f"task-faces_space-MNIColin27_contrast-{label}_stat-t_statmap.nii.gz"
        for label in ("facesGtHousesAge", "housesGtFaces")
    }
    again = bids_done(raw, out, *SUBJECT_LEVEL, *age)
    assert "age: skipped" in again.output
    assert "Computation" not in again.output
    assert "skipped" in bids_done(raw, out, *more).output
