# SPDX-License-Identifier: BSD-3-Clause
"""Tables of maps: the right image meets the right row of the design, or an error says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.errors import CollinearityWarning
from reference.oracle import nilearn_contrast, nilearn_fit

SHAPE = (6, 7, 8)
N = 8
LABELS = [f"{i:02d}" for i in range(N)]


def write_map(folder: Path, name: str, values: Any) -> str:
    path = folder / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), path)  # type: ignore[no-untyped-call]
    return str(path)


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Two kinds of maps a subject, sorted by subject."""
    rng = np.random.default_rng(0)
    rows = []
    for label in LABELS:
        for name in ("faces", "houses"):
            path = write_map(tmp_path, f"{label}-{name}", rng.normal(2, 1, SHAPE))
            rows.append({"subject_label": label, "map_name": name, "effects_map_path": path})
    return pd.DataFrame(rows)


@pytest.fixture
def mask() -> Any:
    return nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]


@pytest.fixture
def ages() -> pd.DataFrame:
    years = np.random.default_rng(1).normal(40, 9, N)
    return pd.DataFrame({"subject_label": LABELS, "age": years})


def our_map(frame: pd.DataFrame, mask: Any, contrast: Any, **fit: Any) -> Any:
    model = SecondLevelModel(mask_img=mask).fit(frame, **fit)
    return model.compute_contrast(
        contrast, first_level_contrast="houses", output_type="stat"
    ).get_fdata()


def one_kind(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["map_name"] == "houses"].reset_index(drop=True)


def test_labels_of_a_design_are_no_regressor(
    table: pd.DataFrame, ages: pd.DataFrame, mask: Any, tmp_path: Path
) -> None:
    """A file as `groupglm fit` writes it, or a frame: matched by label, or taken in order."""
    houses = one_kind(table)
    design = ages.assign(intercept=1.0)
    path = tmp_path / "design_matrix.tsv"
    design.iloc[::-1].to_csv(path, sep="\t", index=False)
    wanted = our_map(houses, mask, "age", design_matrix=design.drop(columns="subject_label"))
    for given in (path, design.iloc[::-1], design.iloc[::-1].set_index("subject_label")):
        np.testing.assert_array_equal(our_map(houses, mask, "age", design_matrix=given), wanted)
    images = houses["effects_map_path"].tolist()[::-1]
    for given in (path, design.iloc[::-1]):
        model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=given)
        assert list(model.design_matrix_.columns) == ["age", "intercept"]
        assert list(model.design_matrix_.index) == LABELS[::-1]
        # Sums in another order round differently: a few units of float32.
        np.testing.assert_allclose(
            model.compute_contrast("age", output_type="stat").get_fdata(), wanted, rtol=1e-5
        )
    other = design.assign(subject_label=[f"sub-{label}" for label in LABELS])
    other.to_csv(path, sep="\t", index=False)
    with pytest.raises(ValueError, match=r"design_matrix has no row for 00, .* a map: sub-00"):
        SecondLevelModel(mask_img=mask).fit(houses, design_matrix=path)


def test_a_table_with_confounds_equals_nilearn(
    table: pd.DataFrame, mask: Any, ages: pd.DataFrame
) -> None:
    shuffled = one_kind(table).sample(frac=1, random_state=3)
    ours = our_map(shuffled, mask, "age", confounds=ages)
    model = nilearn_fit(shuffled.reset_index(drop=True), confounds=ages, mask_img=mask)
    theirs = nilearn_contrast(model, "age", "houses", output_type="stat").get_fdata()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_each_kind_of_map_is_fitted_once_and_when_asked_for(
    table: pd.DataFrame, mask: Any, ages: pd.DataFrame
) -> None:
    model = SecondLevelModel(mask_img=mask).fit(table, confounds=ages)
    with pytest.raises(ValueError, match=r"2 kinds of maps \('faces', 'houses'\)"):
        model.compute_contrast("age")
    with pytest.raises(AttributeError, match="none has been fitted yet"):
        _ = model.results_
    faces = model.compute_contrast("age", "faces").get_fdata()
    for path in table["effects_map_path"][table["map_name"] == "faces"]:
        Path(path).unlink()  # never read again
    houses = model.compute_contrast("age", "houses").get_fdata()
    assert not np.allclose(faces, houses)
    np.testing.assert_array_equal(model.compute_contrast("age", "faces").get_fdata(), faces)
    with pytest.raises(ValueError, match=r"first_level_contrast is 'face', but .* 'faces', 'hou"):
        model.compute_contrast("age", "face")


def test_a_sorted_table_takes_a_design_in_order(
    table: pd.DataFrame, mask: Any, ages: pd.DataFrame, tmp_path: Path
) -> None:
    truth = our_map(one_kind(table), mask, "age", confounds=ages)
    design = pd.DataFrame({"age": ages["age"], "intercept": 1.0})
    np.testing.assert_allclose(
        our_map(one_kind(table), mask, "age", design_matrix=design), truth, rtol=1e-5
    )
    # From a file, whose labels look like numbers.
    path = tmp_path / "design.tsv"
    design.assign(subject_label=LABELS).iloc[::-1].to_csv(path, sep="\t", index=False)
    shuffled = one_kind(table).iloc[::-1]
    np.testing.assert_allclose(our_map(shuffled, mask, "age", design_matrix=path), truth, rtol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.iloc[1:], "has no row for 00"),
        (
            lambda d: d.assign(subject_label=["99", *LABELS[1:]]),
            "no row for 00; has rows for .* 99",
        ),
        (lambda d: d.assign(subject_label=["01", *LABELS[1:]]), "has several rows for 01"),
    ],
)
def test_labels_that_do_not_match_are_named(
    table: pd.DataFrame, mask: Any, spoil: Any, message: str
) -> None:
    design = pd.DataFrame({"intercept": np.ones(N), "subject_label": LABELS})
    with pytest.raises(ValueError, match=message):
        our_map(one_kind(table), mask, "intercept", design_matrix=spoil(design))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns="map_name"), "must have columns .* 'map_name' missing"),
        (lambda t: t.assign(subject_label=range(len(t))), "must contain only strings; row 1 holds"),
        (lambda t: t.iloc[:1], "has 1 rows; a model needs at least 2"),
        (lambda t: t.assign(map_name=np.nan), "has no map_name in row 1"),
    ],
)
def test_a_table_that_cannot_be_used(table: pd.DataFrame, spoil: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SecondLevelModel().fit(spoil(table))


def test_a_nearly_collinear_column_is_reported(table: pd.DataFrame, mask: Any) -> None:
    age = np.linspace(60, 70, N)
    design = pd.DataFrame({"age": age, "age2": age**2, "intercept": 1.0})
    paths = one_kind(table)["effects_map_path"]
    message = r"inflation factors: 'age' \([0-9.e+]+\), 'age2' \([0-9.e+]+\)\. "
    with pytest.warns(CollinearityWarning, match=message):
        SecondLevelModel(mask_img=mask).fit(paths, design_matrix=design)
    centred = design.assign(age=age - 65, age2=(age - 65) ** 2)
    SecondLevelModel(mask_img=mask).fit(paths, design_matrix=centred)


def test_a_design_of_the_wrong_length_is_refused_at_once_for_every_kind(
    table: pd.DataFrame, mask: Any
) -> None:
    design = pd.DataFrame({"intercept": np.ones(N - 1)})
    with pytest.raises(ValueError, match="7 rows in design matrix do not match with 8 maps"):
        SecondLevelModel(mask_img=mask).fit(table, design_matrix=design)
