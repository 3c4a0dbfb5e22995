# SPDX-License-Identifier: BSD-3-Clause
"""Whose image each image is: labels that `fit` takes, or finds, for several images a subject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from contract.fake_repeated import KeptMeanOfSubjects, MeanOfSubjects
from groupglm import SecondLevelModel
from groupglm.estimator.group_model import fit_images
from groupglm.models.base import Model

SHAPE = (4, 3, 2)
# Visit by visit, of which some subjects lack some: each has its own number of images.
WHO = ["01", "02", "03", "04", "05", "01", "02", "03", "04", "01", "02", "01"]
SES = ["a", "a", "a", "a", "a", "b", "b", "b", "b", "c", "c", "d"]
N = len(WHO)
VALUES = np.random.default_rng(5).normal(2, 1, (N, *SHAPE))
ONE = pd.DataFrame({"one": np.ones(N)})
EACH = (MeanOfSubjects(), KeptMeanOfSubjects())


def image_of(values: NDArray[Any]) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


MASK = image_of(np.ones(SHAPE, np.uint8))
IMAGES = [image_of(values) for values in VALUES]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("maps")
    names = [str(folder / f"sub-{who}_ses-{s}.nii") for who, s in zip(WHO, SES, strict=True)]
    for values, name in zip(VALUES, names, strict=True):
        nib.save(image_of(values), name)
    return names


def wanted_t(labels: list[str] = WHO) -> NDArray[Any]:
    """Of the subjects' means, by scipy."""
    means = pd.DataFrame(VALUES.reshape(N, -1)).groupby(np.array(labels)).mean().to_numpy()
    return np.asarray(stats.ttest_1samp(means, 0).statistic).reshape(SHAPE)


def t_of(given: Any, design: Any = ONE, model: Model = EACH[0], **labels: Any) -> NDArray[Any]:
    fitted = SecondLevelModel(MASK, model=model).fit(given, design_matrix=design, **labels)
    t: NDArray[Any] = fitted.compute_contrast("one", output_type="stat").get_fdata()
    return t


def table_of(files: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"subject_label": WHO, "map_name": "m", "effects_map_path": files})


@pytest.mark.parametrize("model", EACH, ids=["streams", "keeps rows"])
@pytest.mark.parametrize("how", ["list", "array", "column", "index", "names", "table", "series"])
def test_subjects_that_are_given_or_found(files: list[str], how: str, model: Model) -> None:
    calls: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "list": (IMAGES, ONE, {"subjects": WHO}),
        "array": (IMAGES, ONE, {"subjects": np.array(WHO)}),
        "column": (IMAGES, ONE.assign(participant_id=[f"sub-{who}" for who in WHO]), {}),
        "index": (IMAGES, ONE.set_index(pd.Index(WHO, name="subject_label")), {}),
        "names": (files, ONE, {}),
        "table": (table_of(files), ONE.assign(subject_label=WHO), {}),
        "series": (pd.Series(IMAGES, index=WHO), ONE, {}),
    }
    given, design, labels = calls[how]
    # The maps are float32: 6e-8 of t, here up to 20.
    np.testing.assert_allclose(t_of(given, design, model, **labels), wanted_t(), rtol=2e-7)


def test_labels_of_the_model_and_of_fit() -> None:
    """Those of fit win; without any, it is said where they may come from."""
    wrong = ["x", *WHO[1:-1], "x"]
    np.testing.assert_allclose(t_of(IMAGES, model=MeanOfSubjects(WHO)), wanted_t(), rtol=2e-7)
    own = t_of(IMAGES, model=MeanOfSubjects(wrong), subjects=WHO)
    np.testing.assert_allclose(own, wanted_t(), rtol=2e-7)
    with pytest.raises(ValueError, match="subjects"):
        t_of(IMAGES)


def test_families_are_matched_by_subject(files: list[str]) -> None:
    """A Series may have one label a subject, in any order."""
    site = pd.Series({"05": "x", "04": "x", "03": "y", "02": "y", "01": "z"})
    model = SecondLevelModel(MASK, model=EACH[0])
    model.fit(table_of(files), design_matrix=ONE.assign(subject_label=WHO), families=site)
    fitted: Any = model.results_.model
    assert list(fitted.subjects) == sorted(WHO)  # a table is sorted by subject
    assert list(fitted.families) == [site[who] for who in sorted(WHO)]


def test_visits_are_matched_with_the_maps_of_a_table_as_it_is_given(files: list[str]) -> None:
    """In the order of the table, the visits of a subject are known."""
    visits = pd.Series(SES, index=WHO)
    model = SecondLevelModel(MASK, model=EACH[0])
    model.fit(table_of(files), design_matrix=ONE.assign(subject_label=WHO), visits=visits)
    order = np.argsort(WHO, kind="stable")
    fitted: Any = model.results_.model
    assert list(fitted.visits) == [SES[place] for place in order]
    with pytest.raises(ValueError, match=r"subject '01' has several maps, so visits cannot be"):
        model.fit(
            table_of(files), design_matrix=ONE.assign(subject_label=WHO), visits=visits.iloc[::-1]
        )


@pytest.mark.parametrize(
    ("name", "model"), [("subjects", "ols"), ("families", "ols"), ("visits", "fixed effects")]
)
def test_a_model_that_takes_no_labels(name: str, model: str) -> None:
    wanted = f"{name} is given, but the model '{model}' takes none; .* model='repeated measures'"
    labels: Any = {name: WHO}
    with pytest.raises(ValueError, match=wanted):
        SecondLevelModel(MASK, model=model).fit(IMAGES, design_matrix=ONE, **labels)


REFUSED: dict[str, tuple[Any, str]] = {
    "too few": (WHO[:-1], r"subjects has shape \(11,\).*\(12,\), one label for each image"),
    "missing": ([None, *WHO[1:]], "subjects has a missing label in row 1"),
    "each has one": ([f"s{number}" for number in range(N)], "one subject, '01'"),
    "other order": (sorted(WHO), r"image 2 is of subject '02', .* but subjects has '01' there"),
    "one is divided": (["other", *WHO[1:]], r"images 1 and 6 are of one subject, '01', .*'other'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_subjects_that_do_not_match_the_maps(files: list[str], case: str) -> None:
    labels, wanted = REFUSED[case]
    with pytest.raises(ValueError, match=wanted):
        t_of(files, subjects=labels)


class FirstLevel:
    """The least a first-level model can be; its maps must not be computed."""

    subject_label: str | None = None

    def __init__(self, label: str | None) -> None:
        self.subject_label = label

    def compute_contrast(self, contrast_def: Any, *, output_type: str) -> Any:
        raise AssertionError(contrast_def, output_type)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"subjects": WHO[:-1]}, r"subjects has shape \(11,\)"),
        ({"subjects": [None, *WHO[1:]]}, "subjects has a missing label in row 1"),
        ({"subjects": [f"s{number}" for number in range(N)]}, "no subject has two"),
        ({}, "subjects is None"),
    ],
)
def test_labels_of_first_level_models_are_checked_by_fit(
    labels: dict[str, Any], message: str
) -> None:
    models = [FirstLevel(None) for _ in WHO]
    model = SecondLevelModel(MASK, model="repeated measures")
    with pytest.raises(ValueError, match=message):
        model.fit(models, design_matrix=ONE, **labels)
    assert not hasattr(model, "second_level_input_")
    # What is right is fitted when a contrast is asked for.
    model.fit(models, design_matrix=ONE, subjects=WHO)
    with pytest.raises(ValueError, match="cannot be computed"):
        model.compute_contrast("one", "faces")


def test_labels_may_join_subjects(files: list[str]) -> None:
    sites = [{"01": "x", "02": "x", "03": "y", "04": "y", "05": "z"}[who] for who in WHO]
    np.testing.assert_allclose(t_of(files, subjects=sites), wanted_t(sites), rtol=2e-7)


def test_each_subject_with_one_image_is_no_repeated_measurement() -> None:
    with pytest.raises(ValueError, match="no subject has two"):
        t_of(IMAGES, subjects=[f"s{number}" for number in range(N)])


def test_results_are_in_the_order_of_the_design(files: list[str]) -> None:
    """Images are read subject by subject, which nobody sees."""
    model = SecondLevelModel(MASK, minimize_memory=False, model=EACH[0])
    rows = model.fit_transform(IMAGES, design_matrix=ONE, subjects=WHO)
    np.testing.assert_array_equal(rows, VALUES.reshape(N, -1))  # in numpy's order
    left = model.residuals_.get_fdata()
    predicted = model.predicted_.get_fdata()
    for number, values in enumerate(VALUES):
        np.testing.assert_allclose(left[..., number] + predicted[..., number], values, atol=1e-6)
    np.testing.assert_array_equal(model.design_matrix_.to_numpy(), ONE.to_numpy())
    group = fit_images(SecondLevelModel(MASK, model=EACH[0]), files, ONE, subjects=WHO)
    assert [source.name for source in group.images] == files


def test_the_image_with_an_infinite_value_is_named(files: list[str], tmp_path: Path) -> None:
    """The third that is read is the tenth that is given."""
    values = VALUES[9].copy()
    values[0, 0, 0] = np.inf
    name = str(tmp_path / "sub-01_ses-c.nii")
    nib.save(image_of(values), name)
    given = [*files[:9], name, *files[10:]]
    with pytest.raises(ValueError, match=r"sub-01_ses-c\.nii: 1 infinite value"):
        t_of(given)


def test_one_file_for_two_visits(files: list[str]) -> None:
    twice = [*files[:5], files[0], *files[6:]]
    with pytest.raises(ValueError, match="images 1 and 6 of second_level_input are one file"):
        t_of(twice, subjects=WHO)
    table = table_of(twice)
    with pytest.raises(ValueError, match="one file for the maps of subject '01' twice"):
        t_of(table, ONE.assign(subject_label=WHO))


DATED = ONE.assign(time=np.arange(N) ** 2.0, subject_label=WHO, session_id=SES)


@pytest.mark.parametrize("how", ["visits", "order"])
@pytest.mark.parametrize("kind", ["table", "names"])
def test_an_image_without_a_row_or_value_is_left_out_alone(
    files: list[str], kind: str, how: str
) -> None:
    """The other visits of its subject stay."""
    design = DATED.copy()
    design.loc[5, "time"] = np.nan
    if how == "order":
        design = design.drop(columns="session_id")
    given: Any = table_of(files) if kind == "table" else files
    model = SecondLevelModel(MASK, model="repeated measures")
    told = "left out subjects without a value in design_matrix: 01 at visit (b|number 2)$"
    with pytest.warns(UserWarning, match=told):
        model.fit(given, design_matrix=design, allow_partial=True)
    order = np.argsort(WHO, kind="stable") if kind == "table" else np.arange(N)
    left = order[order != 5]
    assert model.design_matrix_["time"].tolist() == DATED["time"].iloc[left].tolist()
    assert list(model.results_.model.subjects) == [WHO[place] for place in left]


def test_a_visit_without_a_map_is_left_out_alone(files: list[str]) -> None:
    model = SecondLevelModel(MASK, model="repeated measures")
    with pytest.warns(UserWarning, match="left out subjects without a map: 02 at visit c$"):
        model.fit(table_of(files).drop(index=10), design_matrix=DATED, allow_partial=True)
    assert len(model.design_matrix_) == N - 1


def test_rows_of_other_visits_than_their_images(files: list[str]) -> None:
    """The rows are of the right subjects, but two visits of one are exchanged."""
    swapped = DATED.assign(session_id=[*SES[:5], "c", *SES[6:9], "b", *SES[10:]])
    with pytest.raises(ValueError, match=r"image 6 .* visit 'b', .* row 6 .* is of visit 'c'"):
        SecondLevelModel(MASK, model="repeated measures").fit(files, design_matrix=swapped)


def test_a_loaded_model_is_fitted_again_to_other_images(files: list[str], tmp_path: Path) -> None:
    """The labels of the images before are no part of what is fitted."""
    design = DATED.drop(columns="session_id")
    model = SecondLevelModel(MASK, model="repeated measures").fit(files, design_matrix=design)
    again = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    assert again.model == "repeated measures"
    again.fit(files[:11], design_matrix=design[:11])
    assert list(again.results_.model.subjects) == WHO[:11]


def test_a_text_is_no_list_of_labels() -> None:
    with pytest.raises(ValueError, match=r"subjects is 'subject_label'.* must be a list of labels"):
        SecondLevelModel(MASK, model="repeated measures").fit(
            IMAGES, design_matrix=ONE, subjects="subject_label"
        )
