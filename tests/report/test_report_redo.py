# SPDX-License-Identifier: BSD-3-Clause
"""The program under "Make it again" on a page makes the page again as it is."""

from __future__ import annotations

import html
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm import SecondLevelModel, design_from_formula, non_parametric_inference
from groupglm.cli import main
from groupglm.datasets import simulate_surface_study
from groupglm.report import PermutationTest
from reference.pages import AFFINE, N, Page, small_study
from reference.shell import basic, make_study, run_fit, values_of


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("the group's images")
    paths = [folder / f"sub-{row + 1:02d}.nii.gz" for row in range(N)]
    for image, path in zip(small_study()[0], paths, strict=True):
        image.to_filename(path)
    data = np.asarray(small_study()[0][0].dataobj)
    mask = nib.Nifti1Image((data != 0).astype(np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    mask.to_filename(folder / "mask.nii.gz")
    return paths


@pytest.fixture(scope="module")
def design() -> pd.DataFrame:
    table = small_study()[1].assign(sex=["F", "M", "F", "F"] * (N // 4), dose=np.arange(N) % 5)
    return design_from_formula("~ age * sex + group + poly(dose, 1)", table)


def _told(text: str, part: str) -> str:
    found = re.search(rf'<pre id="{part}"><code>(.*?)</code></pre>', text, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def _run(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **names: Any) -> dict[str, Any]:
    """Run the program that is on a page, and nothing else."""
    monkeypatch.chdir(folder)
    exec(compile(_told(text, "script"), "page", "exec"), names)  # noqa: S102 - it is our own output
    assert (folder / "report.html").read_text(encoding="utf-8") == str(names["report"])
    return names


def _same(first: str, second: str) -> None:
    pages = [re.sub(r"on \d{4}-.*? UTC", "", page) for page in (first, second)]
    assert pages[0] == pages[1]


def test_the_program_on_the_page_makes_map_and_page_again(
    files: list[Path], design: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = files[0].with_name("mask.nii.gz")
    picture: Any = nib.load(mask)
    model = SecondLevelModel(mask, smoothing_fwhm=5, minimize_memory=False)
    model.fit(files, design_matrix=design)
    contrasts = {"sex": "sex[T.M]", "both": np.eye(6)[[1, 5]]}
    text = model.generate_report(
        contrasts, title="Mine", bg_img=picture, cut_coords=np.array([1.5, 8.0]),
        height_control=["fdr", None], alpha=0.1, cluster_threshold=3,
    ).get_standalone()  # fmt: skip
    assert "Run it in the folder" not in text  # the paths are absolute
    found = _run(text, tmp_path, monkeypatch)
    for contrast in contrasts.values():
        expected: Any = model.compute_contrast(contrast)
        np.testing.assert_array_equal(
            found["model"].compute_contrast(contrast).get_fdata(), expected.get_fdata()
        )
    _same(text, str(found["report"]))


def test_names_of_files_are_as_they_were_given(
    files: list[Path], design: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files[0].parent)
    names = [path.name for path in files]
    model = SecondLevelModel().fit(names, design_matrix=design)
    text = model.generate_report("age").get_standalone()
    assert "Run it in the folder from which the files have these names." in Page(text).text
    assert str(files[0].parent) not in _told(text, "script")
    for path in files:
        shutil.copy(path, tmp_path)
    _same(text, str(_run(text, tmp_path, monkeypatch)["report"]))


def test_one_file_of_all_images(
    design: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.stack([np.asarray(image.dataobj) for image in small_study()[0]], axis=-1)
    nib.Nifti1Image(data, AFFINE).to_filename(tmp_path / "all.nii.gz")  # type: ignore[no-untyped-call]
    model = SecondLevelModel().fit(tmp_path / "all.nii.gz", design_matrix=design)
    text = model.generate_report("age").get_standalone()
    _same(text, str(_run(text, tmp_path, monkeypatch)["report"]))


def test_what_is_in_memory_only_is_named_and_the_rest_runs(
    design: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = small_study()[0]
    mask = nib.Nifti1Image((np.asarray(images[0].dataobj) != 0).astype(np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    model = SecondLevelModel(mask).fit(images, design_matrix=design)
    maps = non_parametric_inference(
        images, design_matrix=design, second_level_contrast="age", mask=mask, n_perm=20,
        random_state=1,
    )  # fmt: skip
    test = PermutationTest(maps, n_permutations=20, two_sided=True, alpha=0.5, sign_flip=False)
    text = model.generate_report("age", permutations={"age": test}).get_standalone()
    page = Page(text).text
    assert "give images its value: it was a list of 16 images in memory" in page
    assert "give mask_img its value" in page
    assert "give permutations_images its value" in page
    code = _told(text, "script")
    for name in ("images", "mask_img", "permutations_images"):
        code = re.sub(rf"^{name} = \.\.\..*\n", "", code, flags=re.MULTILINE)
    names: dict[str, Any] = {"images": images, "mask_img": mask, "permutations_images": maps}
    monkeypatch.chdir(tmp_path)
    exec(code, names)  # noqa: S102 - it is our own output
    _same(text, str(names["report"]))


def test_a_saved_model_is_loaded_again(
    files: list[Path], design: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SecondLevelModel().fit(files, design_matrix=design).save(tmp_path / "model.groupglm")
    loaded = SecondLevelModel.load(tmp_path / "model.groupglm")
    text = loaded.generate_report(["age", "sex[T.M]"]).get_standalone()
    _same(text, str(_run(text, tmp_path, monkeypatch)["report"]))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("a study"))


def _z(folder: Path) -> np.ndarray[Any, Any]:
    maps: np.ndarray[Any, Any] = values_of(folder / "contrast-age_stat-z_statmap.nii.gz")
    return maps


def test_the_commands_of_a_fits_page_make_its_maps_again(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    out = tmp_path / "the results"
    more = ("--permute", "30", "--tfce", "--save-model", "--report", "--correct", "fdr:0.2")
    assert run_fit(*basic(study, out, *more)).exit_code == 0
    text = (out / "report.html").read_text(encoding="utf-8")
    before = _z(out)
    # In Python, from the files.
    again = tmp_path / "again"
    again.mkdir()
    found = _run(text, again, monkeypatch)
    np.testing.assert_array_equal(found["model"].compute_contrast("age").get_fdata(), before)
    command = _told(text, "command")
    without_command = re.sub(
        r"<h3>In the shell</h3>.*?(?=<h3>In Python)", "", text, flags=re.DOTALL
    )
    _same(without_command, str(found["report"]))
    # In the shell, as it was typed.
    shutil.rmtree(out)
    words = shlex.split(command)
    assert words[:2] == ["groupglm", "fit"]
    assert CliRunner().invoke(main, words[1:]).exit_code == 0
    np.testing.assert_array_equal(_z(out), before)
    _same(text, (out / "report.html").read_text(encoding="utf-8"))
    # And of a page about the folder.
    page = tmp_path / "page.html"
    arguments = ["report", str(out), "--output", str(page)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert shlex.split(_told(text, "command")) == ["groupglm", *arguments]
    found = _run(text, again, monkeypatch)
    np.testing.assert_array_equal(found["model"].compute_contrast("age").get_fdata(), before)


def test_a_page_of_python_names_no_command(files: list[Path], design: pd.DataFrame) -> None:
    model = SecondLevelModel().fit([os.fspath(path) for path in files], design_matrix=design)
    text = model.generate_report("age").get_standalone()
    assert 'id="command"' not in text


@pytest.mark.parametrize("kind", ["tsv", "pair", "dscalar"])
def test_other_kinds_of_data_make_their_page_again(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = simulate_surface_study(tmp_path / "study", n_subjects=6, n_divisions=2)
    design: Any = study.design_matrix[["group", "intercept"]]
    given: dict[str, Any] = {}
    images: Any = study.paths if kind == "pair" else study.dscalars
    options: dict[str, Any] = {"surfaces": study.surfaces}
    if kind == "tsv":
        rng = np.random.default_rng(3)
        table = pd.DataFrame(rng.normal(1, 1, (6, 4)), columns=["V1", "V2", "MT", "FEF"])
        labels = pd.Index([f"sub-{name}" for name in "cabdfe"], name="participant_id")
        table.set_axis(labels, axis=0).to_csv(tmp_path / "regions.tsv", sep="\t")
        spread = table.set_axis(labels, axis=0) ** 2 + 0.5
        spread.iloc[::-1].to_csv(tmp_path / "spread.csv")  # rows in another order
        design = design.set_axis(["f", "e", "d", "c", "b", "a"], axis=0)
        images, options = tmp_path / "regions.tsv", {"model": "fixed effects"}
        given = {"variances": tmp_path / "spread.csv"}
    model = SecondLevelModel(**options).fit(images, design_matrix=design, **given)
    text = model.generate_report("group").get_standalone()
    assert "in memory" not in _told(text, "script")
    found = _run(text, tmp_path, monkeypatch)
    one, again = (
        each.compute_contrast("group", output_type="stat") for each in (model, found["model"])
    )
    if kind == "tsv":
        pd.testing.assert_series_equal(one, again)
    elif kind == "pair":
        for half, other in ((one.left, again.left), (one.right, again.right)):
            np.testing.assert_array_equal(half.darrays[0].data, other.darrays[0].data)
    else:
        np.testing.assert_array_equal(one.get_fdata(), again.get_fdata())
    _same(text, str(found["report"]))


def test_a_table_in_memory_is_named_as_such() -> None:
    table = pd.DataFrame(np.random.default_rng(3).normal(1, 1, (6, 4)), columns=list("abcd"))
    model = SecondLevelModel().fit(table, design_matrix=pd.DataFrame({"mean": np.ones(6)}))
    page = Page(model.generate_report("mean").get_standalone()).text
    assert "give images its value: it was a table of 6 rows in memory" in page
