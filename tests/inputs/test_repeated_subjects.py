# SPDX-License-Identifier: BSD-3-Clause
"""Several images of one subject, in a design that assumes several subjects."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm import (
    SecondLevelModel,
    fit_mixed,
    fit_ols,
    fit_weighted,
    non_parametric_inference,
    permuted_ols,
)
from groupglm.cli import main

SUBJECTS = [f"{number:02d}" for number in range(1, 6)]
WHO = [subject for subject in SUBJECTS for _ in range(2)]
VISIT = np.tile([0.0, 1.0], 5)
PLAIN = pd.DataFrame({"intercept": 1.0, "visit": VISIT})
WITH_SUBJECTS = pd.get_dummies(pd.Series(WHO), dtype=float).assign(visit=VISIT)
CODED = WITH_SUBJECTS.assign(intercept=1.0).drop(columns=["01"])  # the same space of columns
SOME = WITH_SUBJECTS.drop(columns=["03"])
MESSAGE = (
    r"second_level_input has 10 images of 5 subjects \(2 of subject '0[1-5]'\), and design_matrix "
    r"has no columns for the subjects: .*; give model='repeated measures', one image a subject "
    r".*, a column for each subject, or exchangeability_blocks of a permutation test"
)


@pytest.fixture
def images() -> list[Any]:
    rng = np.random.default_rng(0)
    values = np.pad(rng.normal(1, 1, size=(10, 4, 4, 4)), ((0, 0), *[(3, 3)] * 3))
    return [nib.Nifti1Image(each, np.eye(4)) for each in values]  # type: ignore[no-untyped-call]


@pytest.fixture
def files(images: list[Any], tmp_path: Path) -> list[str]:
    paths = [
        tmp_path / f"sub-{who}_ses-{visit:.0f}.nii" for who, visit in zip(WHO, VISIT, strict=True)
    ]
    for image, path in zip(images, paths, strict=True):
        nib.save(image, path)
    return list(map(str, paths))


def table_of(files: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"subject_label": WHO, "map_name": "a", "effects_map_path": files})


@pytest.mark.parametrize("design", [PLAIN, SOME], ids=["none", "some"])
@pytest.mark.parametrize("door", ["names", "series", "table", "design", "permutation"])
def test_repeated_subjects_without_columns(
    images: list[Any], files: list[str], door: str, design: pd.DataFrame
) -> None:
    labelled = design.assign(subject_label=WHO)
    calls: dict[str, tuple[Any, pd.DataFrame]] = {
        "names": (files, design),
        "series": (pd.Series(images, index=WHO), labelled),
        "table": (table_of(files), labelled),
        "design": (images, labelled),
        "permutation": (files, design),
    }
    given, matrix = calls[door]

    def fit() -> object:
        if door != "permutation":
            return SecondLevelModel().fit(given, design_matrix=matrix)
        return non_parametric_inference(
            given, design_matrix=matrix, second_level_contrast="visit", n_perm=99, random_state=0
        )

    with pytest.raises(ValueError, match=MESSAGE):
        fit()


@pytest.mark.parametrize("design", [WITH_SUBJECTS, CODED], ids=["dummies", "coded"])
def test_columns_for_the_subjects_are_seen_in_any_coding(
    files: list[str], design: pd.DataFrame
) -> None:
    """Warnings are errors here."""
    SecondLevelModel().fit(files, design_matrix=design)
    SecondLevelModel().fit(table_of(files), design_matrix=design.assign(subject_label=WHO))


def test_blocks_say_what_belongs_together(files: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*different permutations.*|.*gives no p-value.*")
        non_parametric_inference(
            files,
            design_matrix=PLAIN,
            second_level_contrast="visit",
            n_perm=31,
            random_state=0,
            exchangeability_blocks=np.repeat(np.arange(5), 2),
        )


MIXED = np.repeat([0, 0, 1, 1, 1], 2)  # of the first two subjects, and of the other three
TREES = np.column_stack([np.ones(10, int), 1 + np.repeat(np.arange(5), 2), 1 + np.arange(10)])
APART = TREES * [-1, 1, 1]  # visits of a subject may be exchanged, subjects may not


def rearrange(
    given: Any, design: pd.DataFrame, blocks: Any, contrast: str = "visit", **options: Any
) -> object:
    return non_parametric_inference(
        given, design_matrix=design, second_level_contrast=contrast, n_perm=19, random_state=0,
        exchangeability_blocks=blocks, **options,
    )  # fmt: skip


@pytest.mark.parametrize("door", ["names", "series", "table", "design", "arrays"])
def test_blocks_that_mix_images_of_subjects(images: list[Any], files: list[str], door: str) -> None:
    labelled = PLAIN.assign(subject_label=WHO)
    calls: dict[str, tuple[Any, pd.DataFrame]] = {
        "names": (files, PLAIN),
        "series": (pd.Series(images, index=WHO), labelled),
        "table": (table_of(files), labelled),
        "design": (images, labelled),
    }
    message = (
        r"exchangeability_blocks mix the images of several subjects \(those of '01' and '02', for "
        r"one\), whose errors resemble each other; give blocks that hold all images of their "
        r"subjects, with block_permutation='whole', or blocks of images of one subject each"
    )

    def test() -> object:
        if door != "arrays":
            return rearrange(*calls[door], MIXED)
        tested = pd.Series(VISIT, index=pd.Index(WHO, name="subject_label"))
        return permuted_ols(tested, np.eye(10), n_perm=19, exchangeability_blocks=MIXED)

    with pytest.raises(ValueError, match=message):
        test()


@pytest.mark.filterwarnings("ignore:.*different permutations|.*different sign flips|n_perm=19")
@pytest.mark.parametrize(
    ("blocks", "options"),
    [
        (np.repeat(np.arange(5), 2), {}),
        (APART, {}),
        (TREES[:, :2], {"contrast": "age"}),  # whole subjects
        (np.repeat(np.arange(5), 2), {"contrast": "age", "block_permutation": "whole"}),
        (VISIT, {"block_permutation": "whole"}),  # a visit moves as a whole: no subject is torn
        (np.repeat(np.arange(5), 2), {"contrast": "intercept", "block_permutation": "whole"}),
    ],
)
def test_blocks_that_keep_subjects_apart(files: list[str], blocks: Any, options: Any) -> None:
    ages = np.repeat([20.0, 31.0, 45.0, 38.0, 27.0], 2)
    rearrange(files, PLAIN.assign(age=ages - ages.mean()), blocks, **options)


@pytest.mark.filterwarnings("ignore:.*different permutations|n_perm=19")
def test_columns_for_the_subjects_allow_any_blocks(files: list[str]) -> None:
    rearrange(files, WITH_SUBJECTS, MIXED)


def test_a_flip_takes_all_images_of_a_subject(files: list[str]) -> None:
    message = r"flip some images of a subject, but not all \(of '01', for one\)"
    with pytest.raises(ValueError, match=message):
        rearrange(files, PLAIN, np.repeat(np.arange(5), 2), contrast="intercept")


def test_images_that_keep_their_place_are_named(files: list[str]) -> None:
    blocks = APART.copy()
    blocks[4:6, 1] *= -1
    with (
        pytest.warns(UserWarning, match=r"2 of 10 images .* \('03' at '0', '03' at '1'\)"),
        pytest.warns(UserWarning, match="all 16 different permutations"),
    ):
        rearrange(files, PLAIN, blocks)
    blocks[5, 1] *= -1
    with pytest.raises(ValueError, match="in the row of '03' at '0' and 3 in the row of '03' at"):
        rearrange(files, PLAIN, blocks)


def test_whose_images_are_must_be_known(images: list[Any], tmp_path: Path) -> None:
    """Without labels, or with an index that may name conditions, nothing is refused."""
    SecondLevelModel().fit(images, design_matrix=PLAIN)
    conditions = PLAIN.set_axis(np.where(VISIT > 0, "faces", "houses"))
    SecondLevelModel().fit(images, design_matrix=conditions)
    paths = [tmp_path / f"map{place}.nii" for place in range(10)]
    for image, path in zip(images, paths, strict=True):
        nib.save(image, path)
    SecondLevelModel().fit(list(map(str, paths)), design_matrix=PLAIN)


@pytest.mark.parametrize("name", ["subject_label", "participant_id"])
def test_arrays_whose_rows_are_called_by_subject(name: str) -> None:
    index = pd.Index(WHO, name=name)
    values: Any = pd.DataFrame(np.random.default_rng(0).normal(size=(10, 3)), index=index)
    plain, visit = PLAIN.set_index(index), pd.Series(VISIT, index=index)
    refused = "^Y has 10 images of 5 subjects .* and X has no columns .*; give fit_repeated with"
    for fit in (fit_ols, fit_weighted, lambda X, Y: fit_mixed(X, Y, np.ones(Y.shape))):
        with pytest.raises(ValueError, match=refused):
            fit(plain, values)
    with pytest.raises(ValueError, match=r"^target_vars has 10 images of 5 subjects"):
        permuted_ols(visit, values, n_perm=20, random_state=0)
    fit_ols(WITH_SUBJECTS.set_index(index), values)
    subjects = WITH_SUBJECTS[SUBJECTS].set_index(index)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*different permutations.*|.*gives no p-value.*")
        permuted_ols(visit, values, subjects, False, n_perm=20, random_state=0)
        blocks = pd.Series(np.repeat(np.arange(5), 2), index=index)
        permuted_ols(visit, values, n_perm=20, random_state=0, exchangeability_blocks=blocks)
    conditions = np.where(VISIT > 0, "faces", "houses")  # which name no subjects
    fit_ols(PLAIN.set_axis(conditions), values.set_axis(conditions))


@pytest.mark.parametrize("command", ["fit", "permute"])
def test_a_command_whose_labels_tell_visits_apart(
    files: list[str], tmp_path: Path, command: str
) -> None:
    """The names of the files say which visits are of one subject."""
    result = CliRunner().invoke(
        main,
        [
            command, *files, "--subject-pattern", r"(sub-\d+_ses-\d)", "--formula", "~ 1",
            "--contrast", "Intercept", "--output", str(tmp_path / "out"),
            *(["--n-perm", "20"] if command == "permute" else []),
        ],
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    told = " ".join(result.output.split())
    assert "the study has 10 images of 5 subjects (2 of subject '01'), and the design has" in told
    assert "give --model repeated" in told
    assert "groupglm permute with --exchangeability-blocks" in told


def test_blocks_of_subjects_with_one_image_each(images: list[Any], tmp_path: Path) -> None:
    """Labels that tell of no repetition change nothing."""
    files = [tmp_path / f"sub-{number:02d}.nii" for number in range(len(images))]
    for image, path in zip(images, files, strict=True):
        nib.save(image, path)
    options: dict[str, Any] = {
        "design_matrix": WITH_SUBJECTS, "second_level_contrast": "visit", "n_perm": 20,
        "exchangeability_blocks": WHO, "random_state": 0,
    }  # fmt: skip
    maps: list[Any] = [non_parametric_inference(given, **options) for given in (files, images)]
    np.testing.assert_array_equal(maps[0].get_fdata(), maps[1].get_fdata())
