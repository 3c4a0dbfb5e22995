# SPDX-License-Identifier: BSD-3-Clause
"""``allow_partial``: subjects without a map, a row or a value are left out, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import (
    SecondLevelModel,
    design_from_formula,
    make_second_level_design_matrix,
    non_parametric_inference,
)

N = 9
LABELS = [f"{i:02d}" for i in range(1, N + 1)]
AGES = [31.0, 24.0, np.nan, 45.0, 52.0, 38.0, 29.0, 60.0, 41.0]
SHAPE = (3, 4, 5)
RNG = np.random.default_rng(2)
DATA = [RNG.normal(1, 1, SHAPE).astype(np.float32) for _ in range(N)]


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


MASK = image(np.ones(SHAPE, np.uint8))
IMAGES = [image(values) for values in DATA]


class Model:
    """The least a first-level model can be."""

    def __init__(self, label: str, effect: Any) -> None:
        self.subject_label, self._effect = label, effect

    def compute_contrast(self, contrast_def: Any, *, output_type: str) -> Any:
        del contrast_def, output_type
        return self._effect


def confounds() -> pd.DataFrame:
    return pd.DataFrame({"subject_label": LABELS, "age": AGES})


def table() -> pd.DataFrame:
    return pd.DataFrame({"subject_label": LABELS, "map_name": "c", "effects_map_path": IMAGES})


def right(kept: list[int]) -> Any:
    """The t of age at every voxel, by scipy's regression of these subjects alone."""
    from scipy import stats

    x = np.array(AGES)[kept]
    values = np.array([DATA[i] for i in kept], dtype=np.float64).reshape(len(kept), -1)
    fits = [stats.linregress(x, column) for column in values.T]
    return np.array([fit.slope / fit.stderr for fit in fits]).reshape(SHAPE)


def near(model: Any, kept: list[int], first_level: str | None = None) -> None:
    t = model.compute_contrast("age", first_level, output_type="stat").get_fdata()
    np.testing.assert_allclose(t, right(kept), rtol=1e-5)  # float32 maps
    assert model.design_matrix_["age"].tolist() == [AGES[i] for i in kept]


def test_confounds_that_lack_a_value() -> None:
    with pytest.raises(ValueError, match=r"NaN values: 1, .* subject 03.*allow_partial=True"):
        make_second_level_design_matrix(LABELS, confounds())
    with pytest.warns(UserWarning, match="left out subjects without a value in confounds: 03"):
        design = make_second_level_design_matrix(LABELS, confounds(), allow_partial=True)
    kept = [i for i in range(N) if i != 2]
    assert design.index.tolist() == [LABELS[i] for i in kept]
    assert design["age"].tolist() == [AGES[i] for i in kept]
    inputs: list[tuple[Any, Any]] = [(table(), None), (list(map(Model, LABELS, IMAGES)), "c")]
    for given, first_level in inputs:
        model = SecondLevelModel(mask_img=MASK)
        with pytest.raises(ValueError, match="NaN values"):
            model.fit(given, confounds=confounds())
        with pytest.warns(UserWarning, match="left out subjects without a value in confounds: 03"):
            model.fit(given, confounds=confounds(), allow_partial=True)
        near(model, kept, first_level)


def test_subjects_without_a_row_or_a_map() -> None:
    few = confounds().drop(index=[2, 4]).sample(frac=1, random_state=0)
    model = SecondLevelModel(mask_img=MASK)
    message = "left out subjects without a row in confounds: 03, 05; without a map: 08$"
    with pytest.warns(UserWarning, match=message):
        model.fit(table().drop(index=7), confounds=few, allow_partial=True)
    near(model, [0, 1, 3, 5, 6, 8])
    few = few.assign(subject_label=[f"x{i}" for i in range(7)])
    with pytest.raises(ValueError, match="no subject has a map and a complete row in confounds"):
        model.fit(table(), confounds=few, allow_partial=True)


@pytest.mark.parametrize("as_files", [False, True])
def test_a_design_that_lacks_values_or_rows(as_files: bool, tmp_path: Path) -> None:
    people = pd.DataFrame({"age": AGES}, index=pd.Index(LABELS, name="subject_label"))
    given: Any = table()
    if as_files:
        given = [str(tmp_path / f"sub-{label}.nii") for label in LABELS]
        for path, one in zip(given, IMAGES, strict=True):
            nib.save(one, path)
    with pytest.raises(ValueError, match=r"no value for 'age' of subject 03.*allow_partial=True"):
        design_from_formula("~ age", people)
    with pytest.warns(UserWarning, match="left out subjects without a value for 'age': "):
        design = design_from_formula("~ age", people, allow_partial=True)
    kept = [i for i in range(N) if i != 2]
    assert design.index.tolist() == [LABELS[i] for i in kept]
    model = SecondLevelModel(mask_img=MASK)
    with pytest.raises(ValueError, match="no row for 03"):
        model.fit(given, design_matrix=design)
    with pytest.warns(UserWarning, match="left out subjects without a row in design_matrix: 03$"):
        model.fit(given, design_matrix=design.iloc[::-1], allow_partial=True)
    near(model, kept)
    by_hand = people.assign(intercept=1.0)
    with pytest.warns(UserWarning, match="subjects without a value in design_matrix: 03$"):
        model.fit(given, design_matrix=by_hand, allow_partial=True)
    near(model, kept)
    misspelt = by_hand.drop(index="03").rename(index={"09": "9"})
    message = "without a row in design_matrix: 03, 09; without a map: 9. The label '09' is near '9'"
    with pytest.warns(UserWarning, match=message):
        model.fit(given, design_matrix=misspelt, allow_partial=True)
    near(model, kept[:-1])


def test_images_without_labels_go_with_their_rows() -> None:
    design = pd.DataFrame({"age": AGES, "intercept": 1.0})
    model = SecondLevelModel(mask_img=MASK)
    with pytest.warns(UserWarning, match="left out subjects number 3, without a value in design_m"):
        model.fit(IMAGES, design_matrix=design, allow_partial=True)
    near(model, [i for i in range(N) if i != 2])
    with pytest.raises(ValueError, match="no labels say whose"):
        model.fit(table(), design_matrix=design, allow_partial=True)
    with pytest.raises(ValueError, match="no labels say whose"):
        model.fit(IMAGES[:-1], design_matrix=design, allow_partial=True)
    model.fit(IMAGES, design_matrix=design.assign(age=range(N)), allow_partial=True)
    assert len(model.design_matrix_) == N


def test_each_kind_of_map_must_be_there() -> None:
    both = pd.concat([table(), table().assign(map_name="d").drop(index=5)])
    complete = confounds().assign(age=np.nan_to_num(AGES, nan=33.0))
    model = SecondLevelModel(mask_img=MASK)
    with pytest.warns(UserWarning, match="left out subjects without each kind of map: 06$"):
        model.fit(both, confounds=complete, allow_partial=True)
    model.compute_contrast("age", "c")
    assert len(model.design_matrix_) == N - 1


def test_a_permutation_test_leaves_out_the_same() -> None:
    options: Any = {
        "second_level_contrast": "age",
        "mask": MASK,
        "n_perm": 30,
        "random_state": 0,
    }
    kept = [i for i in range(N) if i != 2]
    blocks = pd.Series(list("aaabbbccc"), index=LABELS)
    with pytest.warns(UserWarning, match="without a value in confounds: 03"):
        found: Any = non_parametric_inference(
            table(), confounds(), exchangeability_blocks=blocks, allow_partial=True, **options
        )
    wanted: Any = non_parametric_inference(
        table().iloc[kept],
        confounds().iloc[kept],
        exchangeability_blocks=blocks.iloc[kept].tolist(),
        **options,
    )
    np.testing.assert_array_equal(found.get_fdata(), wanted.get_fdata())
