# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices from subjects and confounds: rows by label, categories coded."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import formulaic
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.second_level import make_second_level_design_matrix as nilearn_design

from groupglm import SecondLevelModel, fit_ols, make_second_level_design_matrix
from groupglm.design.contrasts import contrast_matrix
from groupglm.design.matrix import check_design_matrix
from groupglm.errors import RankDeficientWarning
from groupglm.inputs.table import MapTable
from groupglm.plotting import plot_design_matrix


def _confounds() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [31, 24, 58, 40],
            "subject_label": ["03", "01", "02", "04"],
            "score": [0.5, -1.25, 3.0, 7.5],
        }
    )


class TestMakeSecondLevelDesignMatrix:
    @pytest.mark.parametrize(
        "labels", [["01", "02", "03", "04"], ["04", "01", "02", "03"], ["01", "01", "02", "03"]]
    )
    @pytest.mark.parametrize("with_confounds", [False, True])
    def test_against_nilearn(self, labels: list[str], with_confounds: bool) -> None:
        confounds = _confounds() if with_confounds else None
        with warnings.catch_warnings():
            # Its singularity rule is a condition number above n * p, which these ages meet.
            warnings.filterwarnings("ignore", message="Attention: Design matrix is singular")
            expected = nilearn_design(labels, confounds)
        found = make_second_level_design_matrix(labels, confounds)
        pd.testing.assert_frame_equal(found, expected)

    def test_labels_read_as_numbers_get_a_hint(self) -> None:
        confounds = _confounds().assign(subject_label=[3, 1, 2, 4])
        with pytest.raises(
            ValueError, match=r"only strings, but holds int: .*dtype=\{'subject_label': str\}"
        ):
            make_second_level_design_matrix(["01", "02"], confounds)

    def test_dependent_confounds_are_named(self) -> None:
        confounds = _confounds().assign(months=lambda table: 12 * table["age"])
        with pytest.warns(RankDeficientWarning, match=r"columns 'age' and 'months' are linearly"):
            make_second_level_design_matrix(["01", "02", "03", "04"], confounds)

    def test_wrong_types(self) -> None:
        with pytest.raises(TypeError, match="list of labels"):
            make_second_level_design_matrix("sub-01")
        wrong: Any = _confounds().to_dict()
        with pytest.raises(TypeError, match="confounds must be a pandas DataFrame"):
            make_second_level_design_matrix(["01"], wrong)
        with pytest.raises(ValueError, match="must contain column 'subject_label'"):
            make_second_level_design_matrix(["01"], _confounds().drop(columns="subject_label"))
        with pytest.raises(ValueError, match="is empty"):
            make_second_level_design_matrix([])


LABELS = [f"{i:02d}" for i in range(9)]
SITES = ["b", "a", "c", "a", "b", "c", "c", "a", "b"]


def _with(column: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {"subject_label": LABELS, "site": column, "age": np.linspace(20.0, 60.0, 9) ** 2}
    )


CATEGORIES = {
    "text": SITES,
    "object": pd.Series(SITES, dtype=object),
    "string": pd.array(SITES, dtype="string"),
    "categorical": pd.Categorical(SITES, categories=["c", "b", "z", "a"]),
    "numbered": pd.Categorical([{"a": 10, "b": 2, "c": 30}[site] for site in SITES]),
}


class TestCategories:
    @pytest.mark.parametrize("column", CATEGORIES.values(), ids=CATEGORIES)
    def test_treatment_coding_equals_formulaic(self, column: Any) -> None:
        confounds = _with(column)
        found = make_second_level_design_matrix(LABELS, confounds)
        used: Any = confounds["site"]
        if isinstance(used.dtype, pd.CategoricalDtype):
            used = used.cat.remove_unused_categories()
        elif used.dtype == "string":
            used = used.astype(object)  # formulaic takes the other for numbers
        wanted = formulaic.model_matrix("site + age", confounds.assign(site=used))
        wanted = pd.DataFrame(wanted).rename(columns={"Intercept": "intercept"})
        assert found.columns.tolist()[-1] == "intercept"
        assert set(found.columns) == set(wanted.columns)
        pd.testing.assert_frame_equal(found, wanted[found.columns.tolist()].astype(float))

    def test_levels_and_reference_are_those_of_the_selected_subjects(self) -> None:
        declared = pd.Categorical(SITES, categories=["b", "c", "a"])
        chosen = [label for label, site in zip(LABELS, SITES, strict=True) if site != "b"]
        found = make_second_level_design_matrix(chosen, _with(declared))
        assert found.columns.tolist() == ["site[T.a]", "age", "intercept"]

    def test_a_boolean_is_a_number(self) -> None:
        for dtype in (bool, "boolean", object):
            column = pd.Series([site == "a" for site in SITES], dtype=dtype)
            found = make_second_level_design_matrix(LABELS, _with(column))
            assert found["site"].tolist() == [float(site == "a") for site in SITES]

    def test_the_reference_level_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="groupglm"):
            make_second_level_design_matrix(LABELS, _with(SITES))
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("groupglm", logging.INFO)
        assert "the reference level of 'site' is 'a'" in record.getMessage()
        assert "columns 'site[T.b]' and 'site[T.c]'" in record.getMessage()
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="groupglm"):
            make_second_level_design_matrix(LABELS, _with(range(9)))
        assert not caplog.records

    @pytest.mark.parametrize("shown", [False, True])
    def test_the_line_is_shown_where_logging_is_set_up_and_nowhere_else(self, shown: bool) -> None:
        setup = "logging.basicConfig(level=logging.INFO);" if shown else ""
        code = (
            f"import logging, pandas, groupglm; {setup}"
            "groupglm.make_second_level_design_matrix(['1', '2', '3'], pandas.DataFrame("
            "{'subject_label': ['1', '2', '3'], 'sex': ['M', 'F', 'F']}))"
        )
        done = subprocess.run(  # noqa: S603 - this interpreter, our arguments
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        assert ("INFO:groupglm:" in done.stderr and "'sex' is 'F'" in done.stderr) is shown
        assert shown or done.stderr == ""

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (["a"] * 9, "'confounds' column 'site' has one level, 'a', among the 9 subjects"),
            ([f"id{i}" for i in range(9)], "'site' has 9 levels for 9 subjects: coded"),
            (pd.Categorical(range(9)), "'site' has 9 levels for 9 subjects: coded"),
            ([str(i % 3) for i in range(9)], r"numbers written as text, such as '0'; .*to_numeric"),
            (pd.Series([*SITES[:8], 3], dtype=object), "non-numeric columns: 'site' .of type obj"),
            (pd.date_range("2020-01-01", periods=9), "non-numeric columns: 'site'"),
            (pd.Series([*SITES[:8], None], dtype=object), "NaN values: 1, .* for subject 08"),
            ([*range(8), np.inf], r"inf in column 'site', row 9 \(labelled '08'\)"),
        ],
        ids=["one", "ids", "codes", "digits", "mixed", "date", "missing", "infinite"],
    )
    def test_what_cannot_be_coded_is_refused_by_name(self, column: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            make_second_level_design_matrix(LABELS, _with(column))

    def test_a_name_that_the_coding_takes_is_refused(self) -> None:
        confounds = _with(SITES).rename(columns={"age": "site[T.b]"})
        with pytest.raises(ValueError, match=r"unique names: 'site\[T.b\]' is repeated"):
            make_second_level_design_matrix(LABELS, confounds)

    @pytest.mark.parametrize(
        ("contrast", "wanted"),
        [
            ("site[T.b]", [1, 0, 0, 0, 0]),
            ("site[T.b] - 2*site[T.b c]", [1, -2, 0, 0, 0]),
            ("-(`site[T.b]` + age)/2", [-0.5, 0, 0, -0.5, 0]),
            ("intercept+0.5*site[T.d-1]", [0, 0, 0.5, 0, 1]),
            ("site[T.b] - site[T.b]:age", [1, 0, 0, 0, 0, -1]),
        ],
    )
    def test_contrasts_understand_the_names(self, contrast: str, wanted: list[float]) -> None:
        names = ["site[T.b]", "site[T.b c]", "site[T.d-1]", "age", "intercept", "site[T.b]:age"]
        wanted = [*wanted, 0][: len(names)]
        np.testing.assert_array_equal(contrast_matrix(contrast, names), wanted)
        with pytest.raises(ValueError, match="is not valid"):
            contrast_matrix("site[T.e]", names)
        with pytest.raises(ValueError, match="is not valid"):
            contrast_matrix("xsite[T.b] + site[T.b]x", names)


def test_a_model_of_a_table_with_categories(tmp_path: Path) -> None:
    """Through the estimator: the same maps as with the columns coded by hand."""
    rng = np.random.default_rng(3)
    paths = [str(tmp_path / f"{label}.nii") for label in LABELS]
    for path in paths:
        volume = rng.normal(2, 1, (4, 4, 4))
        nib.save(nib.Nifti1Image(volume, np.eye(4)), path)  # type: ignore[no-untyped-call]
    table = pd.DataFrame({"subject_label": LABELS, "map_name": "m", "effects_map_path": paths})
    mask: Any = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    shuffled = table.iloc[::-1].reset_index(drop=True)
    model = SecondLevelModel(mask_img=mask).fit(shuffled, confounds=_with(SITES))
    by_hand = pd.get_dummies(_with(SITES)[["site", "age"]], drop_first=True, dtype=float)
    coded = SecondLevelModel(mask_img=mask).fit(paths, design_matrix=by_hand.assign(intercept=1.0))
    # The columns come in another order, which moves the last bits of a float64 fit only.
    for name, column in [("site[T.b] - site[T.c]", "site_b - site_c"), ("age", "age")]:
        found = model.compute_contrast(name, output_type="stat").get_fdata()
        wanted = coded.compute_contrast(column, output_type="stat").get_fdata()
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


def test_the_prefix_of_bids_is_told() -> None:
    confounds = pd.DataFrame({"subject_label": ["sub-01", "sub-02", "sub-03"], "age": [1.0, 2, 4]})
    with pytest.raises(ValueError, match=r"begin with 'sub-'.*removeprefix\('sub-'\)"):
        make_second_level_design_matrix(["01", "02", "03"], confounds)


@pytest.mark.parametrize("name", ["intercept", "Intercept", "INTERCEPT"])
def test_the_intercept_has_one_name_in_every_door(name: str) -> None:
    confounds = pd.DataFrame({"subject_label": ["a", "b", "c"], name: [1.0, 2, 4]})
    with pytest.raises(ValueError, match=r"'intercept' is repeated.* however it is capitalised"):
        make_second_level_design_matrix(["a", "b", "c"], confounds)
    other = "Intercept" if name != "Intercept" else "intercept"
    design = pd.DataFrame({other: 1.0, name: [1.0, 2, 4]})
    doors: list[Any] = [
        check_design_matrix,
        lambda frame: fit_ols(frame, np.ones((3, 2))),
        plot_design_matrix,
    ]
    for door in doors:
        with pytest.raises(ValueError, match=r"more than one column named .*ntercept"):
            door(design)


def test_labels_that_are_there_twice_are_refused() -> None:
    confounds = pd.DataFrame([["a", "a", 1.0], ["b", "b", 2.0]])
    confounds.columns = ["subject_label", "subject_label", "age"]
    with pytest.raises(ValueError, match="'subject_label' is repeated"):
        make_second_level_design_matrix(["a", "b"], confounds)
    maps = pd.DataFrame([["a", "a", "m", "x.nii"]] * 2)
    maps.columns = ["subject_label", "subject_label", "map_name", "effects_map_path"]
    with pytest.raises(ValueError, match="more than one column 'subject_label'"):
        MapTable.from_frame(maps)


def test_two_hundred_thousand_subjects_are_matched_or_refused() -> None:
    labels = [f"{i:06d}" for i in range(200_000)]  # by pairs: hours
    confounds = pd.DataFrame({"subject_label": labels, "age": np.arange(2e5) % 60})
    design = make_second_level_design_matrix(labels[::-1], confounds)
    np.testing.assert_array_equal(design["age"], confounds["age"][::-1])
    with pytest.raises(ValueError, match="100000 of 200000 labels have no row"):
        make_second_level_design_matrix(labels, confounds[::2])
    with pytest.raises(ValueError, match="200000 of 200000 labels have no row"):
        make_second_level_design_matrix([f"s{label}" for label in labels], confounds)
