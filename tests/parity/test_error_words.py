# SPDX-License-Identifier: BSD-3-Clause
"""Where nilearn's model refuses, ours refuses in its words, which users search for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.second_level import SecondLevelModel as Theirs

from groupglm import SecondLevelModel
from reference.oracle import (
    AFFINE,
    N_IMAGES,
    SHAPE,
    concat,
    image,
    map_table,
    mask_image,
    quiet,
    save,
    volumes,
)

DESIGN = pd.DataFrame({"intercept": 1.0, "age": np.linspace(-1, 1, N_IMAGES) ** 3})


@dataclass
class Study:
    """One of the two models, and good input to spoil."""

    model: type
    images: list[Any]
    table: pd.DataFrame
    confounds: pd.DataFrame

    def fit(self, given: Any = None, design: Any = DESIGN, **options: Any) -> Any:
        """Fit images, or what is given."""
        options = {"mask_img": mask_image(), **options}
        given = self.images if given is None else given
        return self.model(**options).fit(given, design_matrix=design)

    def contrast(self, *args: Any, **options: Any) -> Any:
        """Compute a contrast of a good fit."""
        return self.fit().compute_contrast(*args, **options)

    def with_confounds(self, confounds: Any) -> Any:
        """Fit the table with confounds."""
        return self.model(mask_img=mask_image()).fit(self.table, confounds=confounds)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return save([image(volume) for volume in volumes()], tmp_path_factory.mktemp("maps"))


def _study(model: type, files: list[str]) -> Study:
    table = map_table(files)
    confounds = pd.DataFrame({"subject_label": table["subject_label"], "age": DESIGN["age"]})
    images = [image(volume) for volume in volumes(np.float32)]
    return Study(model, images, table, confounds)


@pytest.fixture(params=[SecondLevelModel, Theirs], ids=["groupglm", "nilearn"])
def study(request: pytest.FixtureRequest, files: list[str]) -> Study:
    return _study(request.param, files)


def _moved(affine: Any) -> Any:
    moved = np.array(affine)
    moved[0, 0] += 1.0
    return moved


# The bad call; the words of nilearn's message, as a pattern that both must have.
CASES: dict[str, tuple[Callable[[Study], Any], str]] = {
    "rows of the design": (
        lambda s: s.fit(design=DESIGN[:5]),
        "'design_matrix' does not match the number of maps considered. 5 rows in design matrix do "
        "not match with 16 maps",
    ),
    "no design": (lambda s: s.fit(design=None), "require a design matrix to be provided"),
    # What is wrong with the images is said first.
    "missing image without a design": (
        lambda s: s.fit(["/no/a.nii"] * N_IMAGES, design=None),
        "File not found: ",
    ),
    "type without a design": (lambda s: s.fit([1, 2], None), "'second_level_input' must be either"),
    "model without a design": (
        lambda s: s.fit(s.model(), None),
        "'second_level_input' must be either",
    ),
    "one image without a design": (lambda s: s.fit(s.images[:1], None), "at least two"),
    "no images without a design": (lambda s: s.fit([], None), "at least two"),
    "mixed list without a design": (
        lambda s: s.fit([*s.images[1:], []], None),
        "Elements of 'second_level_input' must be of the same type",
    ),
    "several volumes without a design": (
        lambda s: s.fit([concat(s.images[:2])] * N_IMAGES, None),
        "each image must be 3D, or 4D with single volume",
    ),
    "type of the design": (
        lambda s: s.fit(design=DESIGN.to_numpy()),
        "'design_matrix' must be a str, pathlib.Path or a pandas.DataFrame.\nGot ndarray",
    ),
    "suffix of the design": (
        lambda s: s.fit(design="design.xlsx"),
        "Tables to load can only be TSV or CSV",
    ),
    "missing design": (lambda s: s.fit(design="/no/design.tsv"), "(?i)no such file"),
    "NaN in the design": (
        lambda s: s.fit(design=DESIGN.replace(DESIGN["age"][3], np.nan)).compute_contrast("age"),
        "(?i)must .*(finite|not contain).* nan",
    ),
    "type of the input": (lambda s: s.fit(3), "'second_level_input' must be either"),
    "type of an item": (lambda s: s.fit([1, 2]), "'second_level_input' must be either"),
    "one image": (lambda s: s.fit(s.images[:1], DESIGN[:1]), "at least two"),
    "mixed list": (
        lambda s: s.fit([*s.images[1:], "a.nii"]),
        "Elements of 'second_level_input' must be of the same type",
    ),
    "several volumes": (
        lambda s: s.fit([concat(s.images[:2])] * N_IMAGES),
        "each image must be 3D, or 4D with single volume",
    ),
    "affines": (
        lambda s: s.fit([*s.images[1:], image(volumes()[0], _moved(AFFINE))]),
        "Following field of view errors were detected.*affine",
    ),
    "shapes": (
        lambda s: s.fit([*s.images[1:], image(volumes()[0][1:])]),
        "Following field of view errors were detected.*shape",
    ),
    "missing image": (lambda s: s.fit(["/no/a.nii"] * N_IMAGES), "File not found: "),
    "missing mask": (lambda s: s.fit(mask_img="/no/m.nii"), "(?i)file not found"),
    "empty mask": (
        lambda s: s.fit(mask_img=mask_image(np.zeros(SHAPE, bool))),
        "mask.* is.* empty",
    ),
    "columns of the table": (
        lambda s: s.fit(s.table.drop(columns="map_name")),
        "second_level_input'? DataFrame must have columns 'subject_label', 'map_name' and "
        "'effects_map_path'",
    ),
    "labels of the table": (
        lambda s: s.fit(s.table.assign(subject_label=range(N_IMAGES))),
        "'subject_label' column must contain only strings",
    ),
    "type of the confounds": (
        lambda s: s.with_confounds({"age": [1.0]}),
        "confounds must be a pandas DataFrame",
    ),
    "confounds without labels": (
        lambda s: s.with_confounds(s.confounds[["age"]]),
        "confounds DataFrame must contain column 'subject_label'",
    ),
    "labels of the confounds": (
        lambda s: s.with_confounds(s.confounds.assign(subject_label=range(N_IMAGES))),
        "subject_label column must contain only strings",
    ),
    "no confound": (
        lambda s: s.with_confounds(s.confounds[["subject_label"]]),
        "confounds should contain at least 2 columns",
    ),
    "NaN in the confounds": (
        lambda s: s.with_confounds(s.confounds.assign(age=np.nan)),
        "Confounds contain NaN values",
    ),
    "subject without confounds": (
        lambda s: s.with_confounds(s.confounds[1:]),
        "confounds not specified for subject 00",
    ),
    "subject with two rows": (
        lambda s: s.with_confounds(pd.concat([s.confounds, s.confounds[:1]])),
        "confounds contain more than one row for subject 00",
    ),
    "confound named intercept": (
        lambda s: s.with_confounds(s.confounds.rename(columns={"age": "intercept"})),
        "Design matrix columns do not have unique names",
    ),
    "not fitted": (
        lambda s: s.model().compute_contrast("age"),
        "SecondLevelModel instance is not fitted yet",
    ),
    "output type": (
        lambda s: s.contrast("age", output_type="zz"),
        "'output_type' must be one of",
    ),
    "statistic": (
        lambda s: s.contrast("age", second_level_stat_type="z"),
        "'stat_type' must be one of .*'t'.*'F'",
    ),
    "no contrast": (lambda s: s.contrast(), "No second-level contrast is specified"),
    "null contrast": (
        lambda s: s.contrast([0.0, 0.0]),
        "Contrast is null.*Second_level_contrast must be a valid",
    ),
    "empty contrast": (
        lambda s: s.contrast([]),
        "Contrast is null.*Second_level_contrast must be a valid",
    ),
    "long contrast": (
        lambda s: s.contrast([1.0, 0.0, 0.0]),
        "t contrasts should be of length P=2, but it has length 3",
    ),
    "wide contrast": (
        lambda s: s.contrast(np.eye(3)),
        "F contrasts should have 2 columns, but it has 3",
    ),
    "unknown column": (
        lambda s: s.contrast("agee"),
        r"The expression \(agee\) is not valid:.*name 'agee' is not defined.*"
        r"Available matrix columns are: \['intercept', 'age'\]",
    ),
    "no expression": (
        lambda s: s.contrast("age -"),
        r"The expression \(age -\) is not valid.*Available matrix columns are",
    ),
    "maps of the fit": (
        lambda s: s.fit().r_square_,
        "To access voxelwise attributes.*set `minimize_memory` to `False`",
    ),
}


ERRORS = (ValueError, TypeError, AttributeError, FileNotFoundError)


@pytest.mark.parametrize(("bad_call", "words"), CASES.values(), ids=CASES)
def test_both_refuse_in_the_same_words(
    study: Study, bad_call: Callable[[Study], Any], words: str
) -> None:
    with quiet(), pytest.raises(ERRORS, match=f"(?s){words}"):
        bad_call(study)


@pytest.mark.parametrize("bad_call", [call for call, _ in CASES.values()], ids=CASES)
def test_the_error_is_of_the_kind_of_nilearn_s(
    files: list[str], bad_call: Callable[[Study], Any]
) -> None:
    kinds = []
    for model in (Theirs, SecondLevelModel):
        with quiet(), pytest.raises(ERRORS) as caught:
            bad_call(_study(model, files))
        kinds.append(caught.type)
    plain = next(kind for kind in kinds[0].__mro__ if kind.__module__ == "builtins")
    assert issubclass(kinds[1], plain)
