# SPDX-License-Identifier: BSD-3-Clause
"""A variance for each group in the estimator: labels by subject, several kinds of maps, files."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from groupglm import SecondLevelModel, UnequalVariances
from groupglm.errors import ArgumentError

nib: Any = nibabel  # typed only in part

SHAPE = (5, 4, 3)
LABELS = [f"{number:02d}" for number in range(1, 16)]
GROUP = pd.Series(["control"] * 9 + ["patient"] * 6, index=pd.Index(LABELS, name="subject_label"))
VALUES = np.random.default_rng(0).normal(size=(15, *SHAPE)) * np.repeat([1.0, 4.0], [9, 6]).reshape(
    -1, 1, 1, 1
)
WELCH = stats.ttest_ind(VALUES[9:], VALUES[:9], equal_var=False)
MASK = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))
DESIGN = pd.DataFrame(
    {"control": (GROUP == "control").astype(float), "patient": (GROUP == "patient").astype(float)}
)


def images() -> list[Any]:
    return [nib.Nifti1Image(values, np.eye(4)) for values in VALUES]


def shuffled() -> pd.Series[str]:
    return GROUP.sample(frac=1, random_state=1)


def table(folder: Path) -> pd.DataFrame:
    files = [folder / f"sub-{label}_contrast-faces_stat-effect.nii.gz" for label in LABELS]
    for file, image in zip(files, images(), strict=True):
        nib.save(image, file)
    return pd.DataFrame(
        {"subject_label": LABELS, "map_name": "faces", "effects_map_path": list(map(str, files))}
    )


def assert_welch(model: Any, rtol: float = 1e-6) -> None:
    maps = model.compute_contrast("patient - control", output_type="all")
    np.testing.assert_allclose(maps["stat"].get_fdata(), WELCH.statistic, rtol=rtol)
    result = model.results_.contrast([-1, 1])
    np.testing.assert_allclose(np.sort(result.df), np.sort(WELCH.df.ravel()), rtol=1e-9)
    one_sided = stats.t.sf(WELCH.statistic, WELCH.df)
    np.testing.assert_allclose(maps["p_value"].get_fdata(), one_sided, rtol=1e-5)


def test_the_design_separates_groups_by_itself() -> None:
    model = SecondLevelModel(MASK, model="unequal variances")
    assert_welch(model.fit(images(), design_matrix=DESIGN.reset_index(drop=True)))


def test_labels_of_a_series_are_matched_by_subject(tmp_path: Path) -> None:
    coded = pd.DataFrame({"intercept": 1.0, "patient": DESIGN["patient"]})
    model = SecondLevelModel(MASK, model=UnequalVariances(shuffled()))
    model.fit(table(tmp_path).sample(frac=1, random_state=2), design_matrix=coded)
    maps = model.compute_contrast("patient", output_type="all")
    np.testing.assert_allclose(maps["stat"].get_fdata(), WELCH.statistic, rtol=1e-6)
    with pytest.raises(ArgumentError, match=r"groups has no row for '?15"):
        SecondLevelModel(MASK, model=UnequalVariances(GROUP.iloc[:-1])).fit(
            table(tmp_path), design_matrix=coded
        )


def test_labels_in_a_list_are_refused_for_a_table_that_is_not_sorted(tmp_path: Path) -> None:
    model = SecondLevelModel(MASK, model=UnequalVariances(GROUP.tolist()))
    with pytest.raises(ArgumentError, match="groups has no labels to be sorted by"):
        model.fit(table(tmp_path).iloc[::-1], design_matrix=DESIGN)


def test_a_saved_model_has_its_groups(tmp_path: Path) -> None:
    model = SecondLevelModel(MASK, model=UnequalVariances(shuffled()), n_jobs=2)
    model.fit(table(tmp_path), design_matrix=DESIGN)
    assert_welch(model)
    loaded = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    assert_welch(loaded)
    assert loaded.results_.model.settings() == {"groups": GROUP.tolist()}


def test_variances_of_images_are_refused() -> None:
    model = SecondLevelModel(MASK, model="unequal variances")
    with pytest.raises(ArgumentError, match=r"variances .* 'unequal variances' takes none"):
        model.fit(images(), design_matrix=DESIGN.reset_index(drop=True), variances=images())


def test_what_the_model_lacks_or_shows_is_said_in_words() -> None:
    model = SecondLevelModel(MASK, model=UnequalVariances(GROUP), minimize_memory=False)
    model.fit(images(), design_matrix=DESIGN.reset_index(drop=True))
    with pytest.raises(AttributeError, match="'unequal variances' has no R-squared"):
        _ = model.r_square_
    assert model.residuals_.shape == (*SHAPE, 15)
    assert repr(UnequalVariances()) == "UnequalVariances()"
    assert repr(UnequalVariances(GROUP)) == "UnequalVariances(groups=<9 'control', 6 'patient'>)"
    assert "15 images in 2 groups of unequal variance" in repr(model)


def test_the_script_of_a_report_has_the_labels_in_the_order_of_its_images(tmp_path: Path) -> None:
    model = SecondLevelModel(MASK, model=UnequalVariances(shuffled()))
    model.fit(table(tmp_path), design_matrix=DESIGN)
    page = html.unescape(str(model.generate_report("patient - control", bg_img=None)))
    assert f"model=UnequalVariances(groups={GROUP.tolist()!r})" in page
    assert "from groupglm import UnequalVariances" in page
