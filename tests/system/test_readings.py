# SPDX-License-Identifier: BSD-3-Clause
"""The number of readings of each image, for any request, is that of docs/guide/preparing.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm import (
    SecondLevelModel,
    cluster_level_inference,
    get_clusters_table,
    non_parametric_inference,
    resample_img,
    resample_to,
    smooth_img,
    threshold_stats_img,
)
from groupglm.cli import main
from reference.readings import count_readings

SHAPE = (8, 9, 10)
N = 7
DESIGN = pd.DataFrame({"intercept": np.ones(N)})
INSIDE = np.zeros(SHAPE, np.uint8)
INSIDE[3:6, 3:6, 3:7] = 1
TARGET = {"target_affine": np.diag([2.0, 2.0, 2.0])}


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


@pytest.fixture(params=["nii", "nii.gz"])
def paths(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    rng = np.random.default_rng(0)
    names = [str(tmp_path / f"map{number}.{request.param}") for number in range(N)]
    for name in names:
        nib.save(image((rng.normal(3, 1, SHAPE) * INSIDE).astype(np.float32)), name)
    return names


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the values of each file are read."""
    return count_readings(monkeypatch)


def readings_each(counts: Counter[str], paths: list[str]) -> int:
    """How often each of the images was read; the mask's own file does not count."""
    each = {counts[path] for path in paths}
    assert len(each) == 1
    return each.pop()


@pytest.mark.parametrize(
    ("options", "mask_given"),
    [
        ({}, True),
        ({}, False),
        ({"zero_is_missing": True}, True),
        ({"zero_is_missing": True}, False),
        ({"missing": "zero"}, False),
        ({"missing": "intersect"}, False),
        ({"smoothing_fwhm": 0}, False),
        ({"smoothing_fwhm": 3}, True),
        ({"smoothing_fwhm": 3}, False),
        (TARGET, True),
        (TARGET, False),
        ({**TARGET, "smoothing_fwhm": 3}, True),
        ({**TARGET, "smoothing_fwhm": 3}, False),
        # So small a budget that the values wait in a scratch file.
        ({**TARGET, "smoothing_fwhm": 3, "memory_budget": 150e3}, False),
    ],
)
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_fit_reads_each_image_once(
    paths: list[str],
    readings: Counter[str],
    options: dict[str, Any],
    mask_given: bool,
    n_jobs: int,
) -> None:
    mask = image(INSIDE) if mask_given else None
    model = SecondLevelModel(mask_img=mask, n_jobs=n_jobs, minimize_memory=False, **options)
    model.fit(paths, design_matrix=DESIGN)
    assert readings_each(readings, paths) == 1
    # Contrasts and most maps of the fit read nothing; residuals read once.
    model.compute_contrast(output_type="all")
    assert model.n_observations_ is not None
    assert model.n_zeros_ is not None
    assert model.predicted_ is not None
    assert readings_each(readings, paths) == 1
    assert model.residuals_ is not None
    assert readings_each(readings, paths) == 2


@pytest.mark.parametrize("mask_given", [True, False])
@pytest.mark.parametrize("options", [{}, {"smoothing_fwhm": 3}, TARGET])
def test_a_new_cache_reads_once_and_a_warm_one_never(
    paths: list[str],
    readings: Counter[str],
    tmp_path: Path,
    options: dict[str, Any],
    mask_given: bool,
) -> None:
    mask = image(INSIDE) if mask_given else None
    maps = []
    for _ in range(2):
        model = SecondLevelModel(mask_img=mask, memory=tmp_path / "cache", **options)
        maps.append(model.fit(paths, design_matrix=DESIGN).compute_contrast().get_fdata())
        assert readings_each(readings, paths) == 1
    np.testing.assert_array_equal(*maps)
    # Another image is not taken for the one before it: it widens the range, and moves the mean.
    nib.save(image((50 * INSIDE).astype(np.float32)), paths[0])
    readings.clear()
    cached = SecondLevelModel(mask_img=mask, memory=tmp_path / "cache", **options)
    anew = SecondLevelModel(mask_img=mask, **options)
    found, wanted = (
        model.fit(paths, design_matrix=DESIGN).compute_contrast().get_fdata()
        for model in (cached, anew)
    )
    np.testing.assert_array_equal(found, wanted)


def test_a_format_that_only_nibabel_reads_is_read_as_seldom(
    readings: Counter[str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"map{number}.mgz") for number in range(N)]
    for path in paths:
        values = (rng.normal(3, 1, SHAPE) * INSIDE).astype(np.float32)
        nib.save(nib.MGHImage(values, np.eye(4)), path)  # type: ignore[no-untyped-call]
    for n_readings, memory in ((1, None), (2, tmp_path / "cache"), (2, tmp_path / "cache")):
        SecondLevelModel(memory=memory).fit(paths, design_matrix=DESIGN)
        assert readings_each(readings, paths) == n_readings


def test_nothing_in_a_cache_is_executed(
    paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where a fit without a mask keeps the images' mean, either."""

    def load(*_: object, **__: object) -> None:
        raise AssertionError("a pickle of the cache was loaded")

    choices: tuple[dict[str, Any], ...] = ({}, TARGET)
    for options in choices:
        for _ in range(2):
            model = SecondLevelModel(memory=tmp_path / "cache", **options)
            model.fit(paths, design_matrix=DESIGN)
            monkeypatch.setattr("joblib.numpy_pickle.load", load)
            monkeypatch.setattr("joblib._store_backends.numpy_pickle.load", load)
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".row", ".gitignore", ""}
    assert not [path for path in files if path.suffix in (".pkl", ".pickle")]


@pytest.mark.parametrize("mask_given", [True, False])
def test_permutation_reads_once(paths: list[str], readings: Counter[str], mask_given: bool) -> None:
    mask = image(INSIDE) if mask_given else None
    non_parametric_inference(
        paths, design_matrix=DESIGN, second_level_contrast="intercept", mask=mask, n_perm=50,
        random_state=0,
    )  # fmt: skip
    assert readings_each(readings, paths) == 1


@pytest.fixture
def study(paths: list[str], tmp_path: Path) -> list[str]:
    """The arguments of a command about these images."""
    ages = np.random.default_rng(1).normal(40, 9, N).round(1)
    people = pd.DataFrame({"participant_id": [f"map{i}" for i in range(N)], "age": ages})
    people.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    return [
        *paths, "--subject-pattern", r"(map\d+)\.nii", "--participants",
        str(tmp_path / "people.tsv"), "--formula", "~ age", "--contrast", "age",
        "--contrast", "mean=Intercept", "--contrast", "any=age; Intercept",
        "--output", str(tmp_path / "results"),
    ]  # fmt: skip


FIT = ["--correct", "fpr:0.01", "--save-model"]
PERMUTE = ["--permute", "30", "--tfce", "--cluster-p", "0.05"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of few images
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("fit", FIT),
        ("fit", [*FIT, *PERMUTE]),
        ("fit", [*FIT, *PERMUTE, "--report"]),
        ("fit", [*FIT, *PERMUTE, "--report", "--fwhm", "3", "--target-affine", "2"]),
        ("permute", PERMUTE),
        ("permute", [*PERMUTE, "--fwhm", "3"]),
    ],
)
def test_a_command_reads_each_image_once_and_nothing_that_it_has_written(
    study: list[str],
    paths: list[str],
    readings: Counter[str],
    tmp_path: Path,
    command: str,
    options: list[str],
) -> None:
    def run(*more: str) -> None:
        result = CliRunner().invoke(main, [command, *study, *options, *more])
        assert result.exit_code == 0, result.output

    run()
    assert readings_each(readings, paths) == 1
    results = str(tmp_path / "results")
    written = {
        name: count for name, count in readings.items() if count and name.startswith(results)
    }
    assert written == {}
    run()  # all is there already
    assert readings_each(readings, paths) == 1


@pytest.mark.parametrize("mask_given", [True, False])
def test_a_report_reads_once_more(
    paths: list[str], readings: Counter[str], mask_given: bool
) -> None:
    mask = image(INSIDE) if mask_given else None
    model = SecondLevelModel(mask_img=mask).fit(paths, design_matrix=DESIGN)
    model.generate_report("intercept")
    assert readings_each(readings, paths) == 2


def test_a_masker_and_the_images_one_by_one_read_once(
    paths: list[str], readings: Counter[str]
) -> None:
    model = SecondLevelModel(mask_img=image(INSIDE)).fit(paths, design_matrix=DESIGN)
    doors: tuple[Callable[[], Any], ...] = (
        lambda: model.transform(paths),
        lambda: [model.masker_.transform(path) for path in paths],
        lambda: [smooth_img(path, 3) for path in paths],
        lambda: [resample_img(path, np.diag([2.0, 2.0, 2.0])) for path in paths],
        lambda: [resample_to(path, image(INSIDE)) for path in paths],
        lambda: [threshold_stats_img(path, threshold=3, height_control=None) for path in paths],
        lambda: [get_clusters_table(path, 3.0) for path in paths],
        lambda: [cluster_level_inference(path, threshold=3.0) for path in paths],
    )
    for door in doors:
        readings.clear()
        door()
        assert readings_each(readings, paths) == 1


@pytest.mark.parametrize("mask_given", [True, False])
@pytest.mark.parametrize("options", [{}, {"smoothing_fwhm": 3}, TARGET])
def test_first_level_models_are_asked_once(options: dict[str, Any], mask_given: bool) -> None:
    class FirstLevel:
        """The least that a first-level model can be."""

        def __init__(self, number: int) -> None:
            self.subject_label = f"{number:02d}"
            self.n_asked = 0

        def compute_contrast(self, contrast: object, *, output_type: str) -> Any:
            del contrast, output_type
            self.n_asked += 1
            rng = np.random.default_rng(int(self.subject_label))
            return image((rng.normal(3, 1, SHAPE) * INSIDE).astype(np.float32))

    models: Any = [FirstLevel(number) for number in range(N)]
    fitted = SecondLevelModel(mask_img=image(INSIDE) if mask_given else None, **options)
    fitted.fit(models)
    assert {model.n_asked for model in models} == {0}
    for _ in range(2):
        fitted.compute_contrast(first_level_contrast="faces")
        assert {model.n_asked for model in models} == {1}
