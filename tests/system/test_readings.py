# SPDX-License-Identifier: BSD-3-Clause
"""How often each image is read, whatever is asked for: as docs/guide/preparing.md says."""

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
from groupglm.spaces.volume.reading.source import (
    CompressedSeriesVolume,
    CompressedVolume,
    ImageVolume,
    PlainVolume,
    VolumeSource,
)

SHAPE = (8, 9, 10)
N = 7
DESIGN = pd.DataFrame({"intercept": np.ones(N)})
INSIDE = np.zeros(SHAPE, np.uint8)
INSIDE[3:6, 3:6, 3:7] = 1


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
    counts: Counter[str] = Counter()

    def count(kind: type[VolumeSource]) -> None:
        stored_values = kind._stored_values

        def counted(self: VolumeSource) -> Any:
            counts[self.name] += not self.nbytes_in_memory  # those of a nibabel image are there
            return stored_values(self)

        monkeypatch.setattr(kind, "_stored_values", counted)

    for kind in (PlainVolume, CompressedVolume, CompressedSeriesVolume, ImageVolume):
        count(kind)
    return counts


def readings_each(counts: Counter[str], paths: list[str]) -> int:
    """How often each of the images was read; the mask's own file does not count."""
    each = {counts[path] for path in paths}
    assert len(each) == 1
    return each.pop()


TARGET = {"target_affine": np.diag([2.0, 2.0, 2.0])}


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


def test_a_new_cache_reads_once_and_a_warm_one_never(
    paths: list[str], readings: Counter[str], tmp_path: Path
) -> None:
    for _ in range(2):
        SecondLevelModel(memory=tmp_path / "cache").fit(paths, design_matrix=DESIGN)
        assert readings_each(readings, paths) == 1


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
