# SPDX-License-Identifier: BSD-3-Clause
"""Tables with labels in a column, as they are read: every function matches rows and maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from groupglm import SecondLevelModel, design_from_formula, non_parametric_inference

if TYPE_CHECKING:
    from pathlib import Path

nib: Any = nibabel  # typed only in part

N = 10
LABELS = [f"sub-{number:02d}" for number in range(1, N + 1)]
AGE = np.array([31.0, 24, 55, 40, 62, 28, 47, 36, 50, 43])
MASK = nib.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4))
COLUMNS = pytest.mark.parametrize("column", ["participant_id", "subject_label"])


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    data = np.random.default_rng(0).standard_normal((N, 2, 2, 2)) + 0.1 * AGE[:, None, None, None]
    paths = [str(tmp_path / f"{label}_effect.nii") for label in LABELS]
    for values, path in zip(data, paths, strict=True):
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return paths


def maps_of(files: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"subject_label": LABELS, "map_name": "m", "effects_map_path": files})


def wanted(files: list[str]) -> Any:
    """The correlation of each voxel with age, of which t is a function."""
    values = np.stack([np.asarray(nib.load(path).dataobj) for path in files]).reshape(N, -1)
    r = np.array([stats.pearsonr(AGE, column).statistic for column in values.T])
    return r * np.sqrt((N - 2) / (1 - r**2))


def people(column: str) -> pd.DataFrame:
    """Return the participants as in a file that is sorted in another way."""
    table = pd.DataFrame({column: LABELS, "age": AGE})
    return table.sort_values("age").reset_index(drop=True)


def t_of(maps: Any, design: Any) -> Any:
    model = SecondLevelModel(mask_img=MASK).fit(maps, design_matrix=design)
    return np.asarray(model.compute_contrast("age", output_type="stat").dataobj).ravel()


@COLUMNS
def test_a_formula_over_a_table_that_was_only_read(files: list[str], column: str) -> None:
    design = design_from_formula("~ age", people(column))
    assert design.index.tolist() == people(column)[column].tolist()
    assert design.columns.tolist() == ["Intercept", "age"]
    np.testing.assert_allclose(t_of(maps_of(files), design), wanted(files), rtol=1e-5)
    np.testing.assert_allclose(t_of(files, design), wanted(files), rtol=1e-5)
    out = non_parametric_inference(
        files,
        design_matrix=design,
        second_level_contrast="age",
        mask=MASK,
        n_perm=20,
        random_state=0,
        threshold=0.05,
    )
    assert isinstance(out, dict)
    found = np.asarray(out["t"].dataobj).ravel()
    np.testing.assert_allclose(found, wanted(files), rtol=1e-5)


@COLUMNS
@pytest.mark.parametrize("as_file", [False, True])
def test_a_design_with_a_column_of_labels(
    files: list[str], tmp_path: Path, *, column: str, as_file: bool
) -> None:
    table: Any = people(column).assign(intercept=1.0)
    if as_file:
        table.to_csv(tmp_path / "design.csv", index=False)
        table = str(tmp_path / "design.csv")
    np.testing.assert_allclose(t_of(maps_of(files), table), wanted(files), rtol=1e-5)
    np.testing.assert_allclose(t_of(files, table), wanted(files), rtol=1e-5)


def test_numbers_that_are_labels_are_no_regressor(files: list[str]) -> None:
    table = people("participant_id").assign(intercept=1.0)
    table["participant_id"] = table["participant_id"].str.removeprefix("sub-").astype(int)
    maps = maps_of(files)
    maps["subject_label"] = [str(number) for number in range(1, N + 1)]
    np.testing.assert_allclose(t_of(maps, table), wanted(files), rtol=1e-5)
    with pytest.raises(ValueError, match="'sub-01' is near '1'"):
        t_of(maps_of(files), table)


def test_messages_name_the_subject() -> None:
    table = people("participant_id")
    table["age"] = table["age"].astype(str).replace("36.0", "36?")
    with pytest.raises(ValueError, match=r"'36\?' for subject sub-08"):
        design_from_formula("~ age", table)


def test_an_index_of_labels_counts_before_a_column() -> None:
    table = people("participant_id").set_index(pd.Index([f"p{place}" for place in range(N)]))
    assert design_from_formula("~ age", table).index[0] == "p0"


def test_a_formula_may_use_the_labels() -> None:
    visits = pd.DataFrame({"participant_id": np.repeat(LABELS[:3], 2), "visit": [0.0, 1] * 3})
    design = design_from_formula("~ visit + participant_id", visits)
    assert design.columns.tolist() == [
        "Intercept",
        "visit",
        "participant_id[T.sub-02]",
        "participant_id[T.sub-03]",
    ]
