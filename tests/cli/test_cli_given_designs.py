# SPDX-License-Identifier: BSD-3-Clause
"""``--design-matrix``, and 4-D images in the place of files: which row belongs to which map."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm.cli.results.names import read_json
from reference.shell import design_of, run, run_well, values_of
from reference.variance_study import make_variance_study


def _z(folder: Path, name: str = "age") -> Any:
    return values_of(folder / f"contrast-{name}_stat-z_statmap.nii.gz")


def _fsl(path: Path, values: Any) -> Path:
    """Write a matrix as FSL writes it."""
    lines = [" ".join(f"{number:.17e}" for number in row) for row in values]
    head = f"/NumWaves\t{len(values[0])}\n/NumPoints\t{len(values)}\n/PPheights\t1\n\n/Matrix\n"
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def _together(paths: list[str], path: Path) -> Path:
    nib.save(nib.concat_images(paths), path)  # type: ignore[no-untyped-call]
    return path


class Files:
    """A study whose maps are files and one image, and whose design is in files of all kinds."""

    def __init__(self, study: Path, folder: Path) -> None:
        self.study, self.folder = study, folder
        self.paths, self.design = design_of(study)
        self.maps = study / "maps" / "sub-*_effect.nii.gz"
        self.volumes = _together(self.paths, folder / "all.nii.gz")
        self.fsl = _fsl(folder / "design.mat", self.design.to_numpy().tolist())
        labels = [f"sub-{number:02d}" for number in range(1, 13)]
        self.labelled = self.design.assign(participant_id=labels)
        self.table = folder / "design.tsv"
        self.labelled.to_csv(self.table, sep="\t", index=False)
        self.shuffled = folder / "shuffled.csv"
        self.labelled.sample(frac=1, random_state=2).to_csv(self.shuffled, index=False)
        people = pd.read_csv(study / "participants.tsv", sep="\t").sort_values("participant_id")
        self.people = folder / "people.tsv"
        people.to_csv(self.people, sep="\t", index=False)

    def fit(self, maps: Any, *options: Any, command: str = "fit") -> Any:
        return run(command, maps, *options, "--mask", self.study / "mask.nii.gz")


@pytest.fixture(scope="module")
def files(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(study, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def wanted(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The z of the study's formula."""
    out = tmp_path_factory.mktemp("wanted") / "out"
    options = ("--participants", files.study / "participants.tsv", "--formula", "~ age + C(group)")
    mask = ("--mask", files.study / "mask.nii.gz")
    run_well("fit", files.maps, *options, *mask, "--contrast", "age", "--output", out)
    return _z(out)


@pytest.mark.parametrize(
    ("maps", "option", "design", "contrast", "note"),
    [
        ("maps", "--design-matrix", "fsl", "age=EV2", "belong to the maps in the order of MAPS"),
        ("maps", "--design-matrix", "table", "age", ""),
        ("maps", "--design-matrix", "shuffled", "age", ""),
        ("volumes", "--design-matrix", "fsl", "age=EV2", "belong to the volumes by their order"),
        ("volumes", "--design-matrix", "table", "age", "belong to the volumes by their order"),
        ("volumes", "--participants", "people", "age", "belong to the volumes by their order"),
    ],
)
def test_a_design_and_a_4d_image_give_the_results_of_the_formula(
    files: Files,
    wanted: Any,
    tmp_path: Path,
    maps: str,
    option: str,
    design: str,
    contrast: str,
    note: str,
) -> None:
    out = tmp_path / "out"
    formula = ["--formula", "~ age + C(group)"] if option == "--participants" else []
    options = (option, getattr(files, design), *formula, "--contrast", contrast, "--output", out)
    done = files.fit(getattr(files, maps), *options)
    assert done.exit_code == 0, done.output
    assert note in done.output
    np.testing.assert_array_equal(_z(out), wanted)
    if option == "--design-matrix":
        facts = read_json(out / "contrast-age_stat-z_statmap.json")
        assert facts is not None
        assert facts["Settings"]["DesignMatrix"] == getattr(files, design).name
    assert "skipped" in files.fit(getattr(files, maps), *options).output


def test_rows_follow_the_order_in_which_files_are_given(
    files: Files, wanted: Any, tmp_path: Path
) -> None:
    order = [5, 0, 11, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    turned = _fsl(tmp_path / "turned.mat", files.design.to_numpy()[order].tolist())
    out = tmp_path / "out"
    given = [files.paths[place] for place in order]
    options = ("--design-matrix", turned, "--contrast", "age=EV2", "--output", out)
    run_well("fit", *given, *options, "--mask", files.study / "mask.nii.gz")
    np.testing.assert_allclose(_z(out), wanted, rtol=1e-5, atol=1e-6)  # sums in another order


def test_the_mean_of_a_4d_image_needs_no_table(files: Files, tmp_path: Path) -> None:
    for maps in ("maps", "volumes"):
        options = ("--formula", "~ 1", "--contrast", "mean=intercept", "--output", tmp_path / maps)
        assert files.fit(getattr(files, maps), *options).exit_code == 0
    np.testing.assert_array_equal(_z(tmp_path / "maps", "mean"), _z(tmp_path / "volumes", "mean"))


def test_permutations_and_a_page_of_a_4d_image(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--design-matrix", files.fsl, "--contrast", "age=EV2", "--output", out)
    assert files.fit(files.volumes, *options, "--report", "--permute", "20").exit_code == 0
    own = tmp_path / "own"
    tested = ("--participants", files.people, "--formula", "~ age + group", "--contrast", "age")
    mask = ("--mask", files.study / "mask.nii.gz")
    run_well("permute", files.maps, *tested, *mask, "--output", own, "--n-perm", "20")
    name = "contrast-age_stat-logp_desc-maxT_statmap.nii.gz"
    np.testing.assert_array_equal(values_of(out / name), values_of(own / name))
    assert (out / "report.html").is_file()


def test_variances_may_be_a_4d_image_too(tmp_path: Path) -> None:
    study = make_variance_study(tmp_path)
    maps = sorted(map(str, (study / "maps").glob("*_effect.nii.gz")))
    variances = sorted(map(str, (study / "maps").glob("*_variance.nii.gz")))
    copes = _together(maps, tmp_path / "copes.nii.gz")
    varcopes = _together(variances, tmp_path / "varcopes.nii.gz")
    common = ("--formula", "~ 1", "--contrast", "mean=intercept", "--model", "mixed")
    mask = ("--mask", study / "mask.nii.gz")
    for name, given, beside in (("a", maps, variances), ("b", [copes], [varcopes])):
        pairs = [part for each in beside for part in ("--variances", each)]
        run_well("fit", *given, *pairs, *common, *mask, "--output", tmp_path / name)
    np.testing.assert_array_equal(_z(tmp_path / "a", "mean"), _z(tmp_path / "b", "mean"))
    mixed = ("--variances", str(study / "maps" / "*_variance.nii.gz"), *common)
    refused = run("fit", copes, *mixed, *mask, "--output", tmp_path / "c")
    assert refused.exit_code == 1
    assert "give both as one image, or both as files" in refused.output


def test_a_paired_design_of_fsl_has_two_maps_of_a_subject(tmp_path: Path) -> None:
    rng, paths = np.random.default_rng(3), []
    for subject in range(1, 6):
        for session in (1, 2):
            path = tmp_path / f"sub-{subject:02d}_ses-{session}_effect.nii.gz"
            values = rng.normal(size=(3, 3, 3)).astype(np.float32)
            nib.save(nib.Nifti1Image(values, np.eye(4)), path)  # type: ignore[no-untyped-call]
            paths.append(path)
    mask = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), mask)  # type: ignore[no-untyped-call]
    subjects = np.kron(np.eye(5), np.ones((2, 1)))
    design = np.column_stack([np.tile([1.0, -1.0], 5), subjects])
    fsl = _fsl(tmp_path / "design.mat", design.tolist())
    options = ("--design-matrix", fsl, "--contrast", "change=EV1", "--mask", mask)
    run_well("fit", tmp_path / "sub-*_ses-*_effect.nii.gz", *options, "--output", tmp_path / "out")
    values = np.stack([values_of(path) for path in paths])
    differences = values[0::2] - values[1::2]
    t = differences.mean(axis=0) / (differences.std(axis=0, ddof=1) / np.sqrt(5))
    found = values_of(tmp_path / "out" / "contrast-change_stat-t_statmap.nii.gz")
    np.testing.assert_allclose(found, t, rtol=1e-5)


def test_labels_of_variance_groups_are_no_column_of_the_design(
    files: Files, tmp_path: Path
) -> None:
    people = pd.read_csv(files.people, sep="\t")
    patient = (people["group"] == "patient").to_numpy(float)
    table = pd.DataFrame(
        {
            "participant_id": people["participant_id"],
            "control": 1 - patient,
            "patient": patient,
            "group": people["group"],
        }
    )
    path = tmp_path / "design.tsv"
    table.to_csv(path, sep="\t", index=False)
    unequal = ("--model", "unequal", "--variance-groups", "group")
    contrast = ("--contrast", "d=patient - control")
    for name, design in (
        ("a", ("--design-matrix", path)),
        ("b", ("--participants", files.people, "--formula", "~ 0 + group")),
    ):
        own = contrast if name == "a" else ("--contrast", "d=group[patient] - group[control]")
        done = files.fit(files.maps, *design, *unequal, *own, "--output", tmp_path / name)
        assert done.exit_code == 0, done.output
    np.testing.assert_allclose(_z(tmp_path / "a", "d"), _z(tmp_path / "b", "d"), rtol=1e-6)


def test_the_file_of_the_design_is_not_replaced(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = out / "design_matrix.tsv"
    path.write_bytes(files.table.read_bytes())
    refused = files.fit(
        files.maps, "--design-matrix", path, "--contrast", "age", "--output", out, "--overwrite"
    )
    assert refused.exit_code == 1
    assert path.read_bytes() == files.table.read_bytes()


@pytest.mark.parametrize(
    ("maps", "options", "code", "told"),
    [
        ("maps", ["--formula", "~ 1"], 2, "--formula has no effect with --design-matrix"),
        ("maps", ["--participants", "people"], 2, "--participants has no effect with --design"),
        ("volumes", ["--allow-partial"], 1, "--allow-partial has no effect on 'all.nii.gz'"),
        ("volumes", ["--subject-pattern", "a(.*)"], 1, "--subject-pattern has no effect on"),
    ],
)
def test_options_without_effect_are_refused(
    files: Files, tmp_path: Path, maps: str, options: list[str], code: int, told: str
) -> None:
    given = [str(getattr(files, part, part)) for part in options]
    refused = files.fit(
        getattr(files, maps),
        *("--design-matrix", files.table, "--contrast", "age", "--output", tmp_path / "out"),
        *given,
    )
    assert refused.exit_code == code, refused.output
    assert told in refused.output


@pytest.mark.parametrize(
    ("maps", "change", "told"),
    [
        ("maps", lambda f: f.iloc[:11], "maps without a row in the design matrix: 12"),
        ("volumes", lambda f: f.iloc[:11], "has 12 volumes, but the design matrix .* has 11 rows"),
        ("maps", lambda f: f.drop(columns="participant_id").iloc[1:], "has 11 rows, but MAPS are"),
        ("maps", lambda f: pd.concat([f, f]), "several rows for 01"),
        ("maps", lambda f: f.assign(age=np.nan), "must be finite, but holds nan in column 'age'"),
        ("maps", lambda f: f.assign(age="old"), "non-numeric columns: 'age'"),
        ("maps", lambda f: f[["participant_id"]], "has no columns"),
    ],
)
def test_designs_that_are_not_of_the_maps_are_refused(
    files: Files, tmp_path: Path, maps: str, change: Any, told: str
) -> None:
    path = tmp_path / "design.tsv"
    change(files.labelled).to_csv(path, sep="\t", index=False)
    refused = files.fit(
        getattr(files, maps),
        *("--design-matrix", path, "--contrast", "age", "--output", tmp_path / "out"),
    )
    assert refused.exit_code == 1
    assert re.search(told, " ".join(refused.output.split())), refused.output
    assert not list(tmp_path.glob("out/*statmap*"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.tsv", "age\tIntercept\n1\n", "has fewer values in a row than names"),
        ("a.tsv", "", "cannot be read as a table"),
        ("a.mat", "/Matrix\n1 2\n1\n", "line 3, has 1 number"),
        ("a.csv", "a;b\n1;2\n", "is separated by semicolons"),
    ],
)
def test_a_design_is_not_called_by_an_argument_of_python(
    files: Files, tmp_path: Path, name: str, text: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    refused = files.fit(
        files.maps, "--design-matrix", path, "--contrast", "age", "--output", tmp_path / "out"
    )
    said = " ".join(refused.output.split())
    assert f"the design matrix '{path}'" in said
    assert told in said
    assert "design_matrix" not in said.replace(str(path), "")


def test_without_a_design_the_command_says_what_it_is(files: Files, tmp_path: Path) -> None:
    refused = files.fit(files.maps, "--contrast", "age", "--output", tmp_path / "out")
    assert refused.exit_code == 2
    assert "Missing option '--formula'" in refused.output
    assert "A design of your own is --design-matrix" in refused.output
