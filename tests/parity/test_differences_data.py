# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm on the same input, where they differ on purpose: data and inputs.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.second_level import make_second_level_design_matrix as nilearn_design
from nilearn.image import smooth_img as nilearn_smooth
from nilearn.maskers import NiftiMasker

from groupglm import SecondLevelModel, make_second_level_design_matrix, smooth_img
from groupglm.errors import (
    GridMismatchError,
    ImageError,
    RankDeficientWarning,
    ZeroValuesWarning,
)
from reference import ols
from reference.oracle import (
    AFFINE,
    MAP_NAME,
    N_IMAGES,
    SHAPE,
    brain,
    concat,
    image,
    in_mask,
    map_table,
    mask_image,
    nilearn_contrast,
    nilearn_fit,
    quiet,
    save,
    volumes,
)

AGE = np.random.default_rng(5).normal(size=N_IMAGES)
DESIGN = pd.DataFrame({"intercept": 1.0, "age": AGE})
INSIDE = tuple(np.argwhere(brain())[40])  # a voxel of the brain


def images(data: Any = None) -> list[Any]:
    return [image(volume) for volume in (volumes() if data is None else data)]


def our_stat(given: Any, contrast: Any = "age", design: Any = DESIGN, **fit: Any) -> Any:
    model = SecondLevelModel(mask_img=mask_image()).fit(given, design_matrix=design, **fit)
    return model.compute_contrast(contrast, output_type="stat").get_fdata()


def nilearn_stat(given: Any, contrast: Any = "age", design: Any = DESIGN, **options: Any) -> Any:
    theirs = nilearn_fit(given, design, mask_img=mask_image())
    return nilearn_contrast(theirs, contrast, output_type="stat", **options).get_fdata()


def reference_stat(values: Any, design: pd.DataFrame = DESIGN) -> float:
    """The t of age at one voxel, by the slow reference."""
    fit = ols.fit(design.to_numpy(), np.asarray(values)[:, None])
    return float(ols.contrast(fit, np.array([0.0, 1.0])).stat[0])


def test_missing_values() -> None:
    data = volumes()
    data[(0, *INSIDE)] = data[(3, *INSIDE)] = np.nan
    present = ~np.isnan(data[(slice(None), *INSIDE)])
    left_out = reference_stat(data[(present, *INSIDE)], DESIGN[present])
    as_zero = reference_stat(np.nan_to_num(data[(slice(None), *INSIDE)]))
    assert abs(left_out - as_zero) > 0.1
    assert our_stat(images(data))[INSIDE] == pytest.approx(left_out, rel=1e-6)
    assert nilearn_stat(images(data))[INSIDE] == pytest.approx(as_zero, rel=1e-8)
    model = SecondLevelModel(mask_img=mask_image(), missing="zero")
    zero: Any = model.fit(images(data), design_matrix=DESIGN).compute_contrast("age")
    theirs = nilearn_contrast(nilearn_fit(images(data), DESIGN, mask_img=mask_image()), "age")
    np.testing.assert_allclose(zero.get_fdata(), theirs.get_fdata(), rtol=1e-6, atol=1e-7)


def test_found_mask_of_incomplete_images() -> None:
    data = volumes()
    data[5, :3] = np.nan
    ours: Any = SecondLevelModel().fit(images(data), design_matrix=DESIGN)
    theirs = nilearn_fit(images(data), DESIGN)
    np.testing.assert_array_equal(in_mask(ours.mask_img_), brain())
    assert ours.n_observations_.get_fdata()[:3][brain()[:3]].max() == N_IMAGES - 1
    complete = ~np.isnan(data).any(axis=0)
    np.testing.assert_array_equal(in_mask(theirs.masker_.mask_img_), complete)


def test_found_mask_of_a_table(tmp_path: Path) -> None:
    data = volumes()
    data[0, :3] = 0.0
    table = map_table(save(images(data), tmp_path))
    with pytest.warns(ZeroValuesWarning, match="48 of 228 voxels"):
        ours: Any = SecondLevelModel().fit(table, design_matrix=DESIGN)
    np.testing.assert_array_equal(in_mask(ours.mask_img_), brain())
    with pytest.warns(ZeroValuesWarning, match="48 of 228 voxels"):
        of_the_list: Any = SecondLevelModel().fit(images(data), design_matrix=DESIGN)
    np.testing.assert_array_equal(in_mask(of_the_list.mask_img_), brain())
    theirs = nilearn_fit(table, DESIGN)
    np.testing.assert_array_equal(in_mask(theirs.masker_.mask_img_), data[0] != 0)


def test_infinite_values() -> None:
    data = volumes()
    data[(2, *INSIDE)] = np.inf
    with pytest.raises(ImageError, match=r"image 3 in memory: 1 infinite value;"):
        our_stat(images(data))
    as_zero = reference_stat(np.where(np.isinf(data), 0.0, data)[(slice(None), *INSIDE)])
    assert nilearn_stat(images(data))[INSIDE] == pytest.approx(as_zero, rel=1e-8)


def test_constant_voxel() -> None:
    data = volumes()
    data[(slice(None), *INSIDE)] = 4.3
    assert our_stat(images(data))[INSIDE] == 0.0
    assert abs(nilearn_stat(images(data))[INSIDE]) > 1e-3  # age explains nothing of a constant
    assert our_stat(images(data), "intercept")[INSIDE] == np.inf
    assert 1e10 < nilearn_stat(images(data), "intercept")[INSIDE] < np.inf


def test_images_on_other_grids() -> None:
    moved = AFFINE.copy()
    moved[0, 0] += 0.01
    given = [*images()[:-1], image(volumes()[-1], moved)]
    with pytest.raises(GridMismatchError, match=r"image 16 .*displaces voxels by up to 0\.08 mm"):
        our_stat(given)
    with pytest.raises(ValueError, match=r"#0 and img_#15 do not .*\n.*#1 and img_#15 do not"):
        nilearn_stat(given)


def test_mask_on_another_grid() -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 1.5
    mask = image(brain().astype(np.uint8), moved)
    with pytest.raises(GridMismatchError, match=r"mask_img: .*displaces voxels by up to 1\.5 mm"):
        SecondLevelModel(mask_img=mask).fit(images(), design_matrix=DESIGN)
    stat = nilearn_contrast(nilearn_fit(images(), DESIGN, mask_img=mask), "age", output_type="stat")
    np.testing.assert_array_equal(stat.affine, moved)
    assert not np.allclose(stat.get_fdata()[brain()], our_stat(images())[brain()], rtol=0.1)


def test_mask_of_several_values() -> None:
    values = np.where(brain(), 0.9, 0.0)
    values[0, 0, 0] = 0.001
    theirs = nilearn_fit(images(), DESIGN, mask_img=image(values))
    np.testing.assert_array_equal(theirs.masker_.mask_img_.get_fdata(), values > 0)
    with pytest.raises(ImageError, match=r"from 0\.001 to 0\.9 besides zero; threshold it first"):
        SecondLevelModel(mask_img=image(values)).fit(images(), design_matrix=DESIGN)


def test_masker_for_time_series() -> None:
    masker = NiftiMasker(mask_img=mask_image(), standardize="zscore_sample")
    with pytest.raises(ValueError, match="standardize='zscore_sample', which would treat subj"):
        SecondLevelModel(mask_img=masker).fit(images(), design_matrix=DESIGN)
    theirs = nilearn_fit(images(), DESIGN[["intercept"]], mask_img=masker)
    stat = nilearn_contrast(theirs, output_type="stat").get_fdata()
    assert np.abs(stat).max() < 1e-6  # the group's mean is gone
    assert our_stat(images(), None, DESIGN[["intercept"]])[brain()].min() > 1.0


def test_unsorted_table(tmp_path: Path) -> None:
    order = np.random.default_rng(6).permutation(N_IMAGES)
    table = map_table(save(images(), tmp_path))
    truth = our_stat(table)
    shuffled = table.iloc[order].reset_index(drop=True)
    design = DESIGN.iloc[order].reset_index(drop=True)
    theirs = nilearn_stat(shuffled, design=design, first_level_contrast=MAP_NAME)
    assert not np.allclose(theirs, truth, rtol=0.1)
    with pytest.raises(ValueError, match="no labels to be sorted by: give it a 'subject_label'"):
        our_stat(shuffled, design=design)
    labels = shuffled["subject_label"]
    by_index = design.set_index(pd.Index(labels))
    by_column = design.assign(subject_label=labels)
    for labelled in (by_index, by_column):
        np.testing.assert_array_equal(our_stat(shuffled, design=labelled), truth)


def test_labels_that_differ(tmp_path: Path) -> None:
    table = map_table(save(images(), tmp_path))
    truth = our_stat(table)
    labels = table["subject_label"].tolist()
    reversed_design = DESIGN.iloc[::-1]
    for wrong in ([f"s{x}" for x in labels[::-1]], [*labels[:0:-1], "typo"]):
        design = reversed_design.set_axis(pd.Index(wrong))
        theirs = nilearn_stat(table, design=design, first_level_contrast=MAP_NAME)
        assert not np.allclose(theirs, truth, rtol=0.1)
        with pytest.raises(ValueError, match=f"design_matrix has no row for .*{wrong[-1]}"):
            our_stat(table, design=design)


def test_labels_in_names(tmp_path: Path) -> None:
    paths = save(images(), tmp_path)
    named = [Path(path).rename(tmp_path / f"sub-{i:02d}.nii.gz") for i, path in enumerate(paths)]
    files = [str(path) for path in named]
    labels = [f"{i:02d}" for i in range(N_IMAGES)]
    truth = our_stat(files)
    design = DESIGN.set_axis(pd.Index(labels)).iloc[::-1]
    assert not np.allclose(nilearn_stat(files, design=design), truth, rtol=0.1)
    np.testing.assert_array_equal(our_stat(files, design=design), truth)
    with pytest.raises(ValueError, match=r"no row for 03; .* without a map: 30"):
        our_stat(files, design=design.rename({"03": "30"}))


def test_repeated_subjects(tmp_path: Path) -> None:
    table = map_table(save(images(), tmp_path))
    twice = table.assign(subject_label=sorted(table["subject_label"].tolist()[::2] * 2))
    theirs = nilearn_fit(twice, mask_img=mask_image())
    nilearn_contrast(theirs, "intercept", MAP_NAME)
    assert len(theirs.design_matrix_) == N_IMAGES  # 15 degrees of freedom, for 8 subjects
    with pytest.raises(ValueError, match=f"{N_IMAGES} maps of {N_IMAGES // 2} subjects"):
        SecondLevelModel(mask_img=mask_image()).fit(twice)


def test_repeated_subjects_in_a_design(tmp_path: Path) -> None:
    table = map_table(save(images(), tmp_path))
    labels = sorted(table["subject_label"].tolist()[::2] * 2)
    twice, design = table.assign(subject_label=labels), DESIGN.assign(subject_label=labels)
    theirs = nilearn_stat(twice, design=DESIGN, first_level_contrast=MAP_NAME)
    assert np.isfinite(theirs).all()
    model = SecondLevelModel(mask_img=mask_image())
    with pytest.raises(ValueError, match=f"{N_IMAGES} images of {N_IMAGES // 2} subjects"):
        model.fit(twice, design_matrix=design)


def test_one_file_for_two_subjects(tmp_path: Path) -> None:
    table = map_table(save(images(), tmp_path))
    paths = table["effects_map_path"].tolist()
    table = table.assign(effects_map_path=[paths[0], paths[0], *paths[2:]])
    theirs = nilearn_stat(table, design=DESIGN, first_level_contrast=MAP_NAME)
    assert np.isfinite(theirs).all()
    with pytest.raises(ValueError, match="one file for the maps of subject"):
        our_stat(table)
    with pytest.warns(UserWarning, match="images 1 and 2 of second_level_input are one file"):
        our_stat(table["effects_map_path"].tolist())


def test_table_with_one_kind_of_map(tmp_path: Path) -> None:
    table = map_table(save(images(), tmp_path))
    theirs = nilearn_fit(table, DESIGN, mask_img=mask_image())
    with pytest.raises(ValueError, match=r"16 rows in design matrix do not match with 0 maps"):
        nilearn_contrast(theirs, "age")
    wanted = nilearn_contrast(theirs, "age", MAP_NAME, output_type="stat").get_fdata()
    np.testing.assert_allclose(our_stat(table), wanted, rtol=1e-6, atol=1e-7)


def test_series_with_an_index(tmp_path: Path) -> None:
    paths = save(images(), tmp_path)
    filtered = pd.Series(paths, index=range(5, 5 + N_IMAGES))
    with pytest.raises(KeyError, match=r"^0$"):
        nilearn_stat(filtered)
    np.testing.assert_array_equal(our_stat(filtered), our_stat(paths))


def test_path_of_a_4d_image(tmp_path: Path) -> None:
    whole = concat(images())
    path = str(tmp_path / "all.nii.gz")
    nib.save(whole, path)
    theirs = nilearn_fit(path, DESIGN, mask_img=mask_image())
    with pytest.raises(nib.filebasedimages.ImageFileError, match=r"Cannot work out file type"):
        nilearn_contrast(theirs, "age")
    np.testing.assert_array_equal(our_stat(path), our_stat(whole))


def test_mixed_series(tmp_path: Path) -> None:
    mixed = [*images()[:-1], save(images(), tmp_path)[-1]]
    wanted = nilearn_stat(images())
    np.testing.assert_array_equal(nilearn_stat(pd.Series(mixed)), wanted)
    with pytest.raises(TypeError, match="of the same type"):
        nilearn_stat(mixed)
    for given in (mixed, pd.Series(mixed)):
        with pytest.raises(TypeError, match="mixes file names with images in memory"):
            our_stat(given)


def test_nameless_column(tmp_path: Path) -> None:
    path = tmp_path / "design.csv"
    DESIGN.to_csv(path)
    with pytest.raises(ValueError, match=r"column without a name .*to_csv\(\.\.\., index=False\)"):
        our_stat(images(), design=path)
    theirs = nilearn_fit(images(), path, mask_img=mask_image())
    counts = theirs.design_matrix_["Unnamed: 0"]
    assert counts.tolist() == list(range(N_IMAGES))


def test_categorical_confounds(caplog: pytest.LogCaptureFixture) -> None:
    labels = ["01", "02", "03", "04", "05"]
    sex, site = list("FMFMM"), [2, 3, 2, 2, 3]
    wanted = [0.0, 1.0, 0.0, 1.0, 1.0]
    with caplog.at_level(logging.INFO, logger="groupglm"):
        for column in (sex, pd.Categorical(sex), [s == "M" for s in sex]):
            confounds = pd.DataFrame({"subject_label": labels, "sex": column})
            ours = make_second_level_design_matrix(labels, confounds)
            assert ours.iloc[:, 0].tolist() == wanted
            with pytest.raises(TypeError, match=r"Invalid value '(F|False)' for dtype 'float64'"):
                nilearn_design(labels, confounds)
    assert ["reference level of 'sex' is 'F'" in text for text in caplog.messages] == [True, True]
    numbered = pd.DataFrame({"subject_label": labels, "site": pd.Categorical(site)})
    with quiet():  # it takes the design for singular
        assert nilearn_design(labels, numbered)["site"].tolist() == site
    coded = make_second_level_design_matrix(labels, numbered)
    assert coded["site[T.3]"].tolist() == [0.0, 1.0, 0.0, 0.0, 1.0]


def test_categories_in_a_design() -> None:
    numbers = np.repeat([1, 2, 4], [6, 5, 5])
    coded = DESIGN.assign(site=pd.Categorical(numbers))
    measured = DESIGN.assign(site=numbers)
    np.testing.assert_array_equal(
        nilearn_stat(images(), "site", coded), nilearn_stat(images(), "site", measured)
    )
    with pytest.raises(ValueError, match=r"'site' \(of type category\); code a category as 0/1"):
        our_stat(images(), "site", coded)


def test_singular_warning() -> None:
    labels = ["01", "02", "03", "04"]
    income = pd.DataFrame({"subject_label": labels, "income": [31e3, 24e3, 58e3, 40e3]})
    with pytest.warns(UserWarning, match="Design matrix is singular"):
        nilearn_design(labels, income)
    make_second_level_design_matrix(labels, income)  # warnings are errors
    double = income.assign(income=[1.0, 0.0, 2.0, 1.0], half=[0.5, 0.0, 1.0, 0.5])
    with pytest.warns(RankDeficientWarning, match="columns 'income' and 'half' are linearly dep"):
        make_second_level_design_matrix(labels, double)


def test_repeated_columns() -> None:
    twice = DESIGN.set_axis(["age", "age"], axis="columns")
    np.testing.assert_array_equal(
        nilearn_stat(images(), "age", twice), nilearn_stat(images(), "intercept")
    )
    with pytest.raises(ValueError, match="more than one column named 'age'"):
        our_stat(images(), "age", twice)


def test_boolean_columns() -> None:
    design = pd.get_dummies(pd.DataFrame({"group": list("ab") * 8, "age": AGE}))
    assert design["group_a"].dtype == bool
    with pytest.raises(ValueError, match="object arrays are not supported"):
        nilearn_stat(images(), "group_a - group_b", design)
    found = our_stat(images(), "group_a - group_b", design)
    wanted = nilearn_stat(images(), "group_a - group_b", design.astype(float))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


def test_option_without_effect(tmp_path: Path) -> None:
    table = map_table(save(images(), tmp_path))
    confounds = pd.DataFrame({"subject_label": table["subject_label"], "iq": AGE**2})
    options: dict[str, Any] = {"mask_img": mask_image()}
    model = SecondLevelModel(**options)
    with pytest.warns(UserWarning, match="confounds have no effect beside a design_matrix"):
        model.fit(table, confounds, DESIGN)
    with pytest.raises(ValueError, match="which a list of images does not have"):
        SecondLevelModel(**options).fit(images(), confounds, DESIGN)
    model.fit(images(), design_matrix=DESIGN)
    with pytest.warns(UserWarning, match="first_level_contrast='x' has no effect"):
        model.compute_contrast("age", "x")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        from nilearn.glm.second_level import SecondLevelModel as Theirs

        theirs = Theirs(**options).fit(table, confounds, DESIGN)
        assert "iq" not in theirs.design_matrix_
        Theirs(**options).fit(images(), confounds, DESIGN).compute_contrast("age", "x")
    assert not [w for w in told if re.search("confound|first_level|effect", str(w.message))]


def test_maps_are_float32() -> None:
    options: dict[str, Any] = {"mask_img": mask_image(), "minimize_memory": False}
    ours: Any = SecondLevelModel(**options).fit(images(), design_matrix=DESIGN)
    theirs = nilearn_fit(images(), DESIGN, **options)
    assert ours.compute_contrast("age").get_data_dtype() == np.float32
    assert nilearn_contrast(theirs, "age").get_data_dtype() == np.float64
    smoothed: Any = smooth_img(images()[0], 6.0)
    assert smoothed.get_data_dtype() == np.float32
    assert nilearn_smooth(images()[0], 6.0).get_data_dtype() == np.float64
    assert (ours.r_square_.shape, theirs.r_square_.shape) == (SHAPE, (*SHAPE, 1))
