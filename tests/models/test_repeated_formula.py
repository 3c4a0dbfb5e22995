# SPDX-License-Identifier: BSD-3-Clause
"""A design and a model of several images a subject from one formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm import repeated_from_formula

pytestmark = pytest.mark.quick

TABLE = pd.DataFrame(
    {
        "participant_id": ["sub-01", "sub-01", "sub-02", "sub-02", "sub-03", "sub-03", "sub-04"],
        "family": [1.0, 1, 1, 1, 2, 2, np.nan],
        "site": ["a", "a", "a", "a", "b", "b", "b"],
        "group": ["p", "p", "c", "c", "p", "p", "c"],
        "time": [0.0, 1, 0, 1, 0, 2, 1],
    }
)
SUBJECTS = ["01", "01", "02", "02", "03", "03", "04"]


def test_labels_are_those_of_the_named_columns() -> None:
    design, model = repeated_from_formula("~ group * time + (1 | site/subject)", TABLE)
    assert (model.covariance, model.df) == ("nested", "kenward-roger")
    assert model.subjects == SUBJECTS
    assert model.families == TABLE["site"].tolist()
    assert list(design) == ["Intercept", "group[T.p]", "time", "group[T.p]:time"]
    patient = (TABLE["group"] == "p").to_numpy()
    np.testing.assert_array_equal(design.iloc[:, 3], patient * TABLE["time"])
    assert design.index.tolist() == SUBJECTS
    assert design.index.name == "subject_label"


def test_the_options_are_those_of_the_model() -> None:
    _, model = repeated_from_formula(
        "~ time + (1 | participant_id)",
        TABLE,
        covariance="sandwich",
        df="naive",
        adjustment=3,
        visits="time",
        groups="group",
    )
    assert (model.covariance, model.df, model.adjustment) == ("sandwich", "naive", 3)
    assert model.subjects == TABLE["participant_id"].tolist()
    assert model.visits == ["0", "1", "0", "1", "0", "2", "1"]
    assert model.groups == TABLE["group"].tolist()


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.rename(columns={"participant_id": "subject"}),
        TABLE.rename(columns={"participant_id": "subject_label"}),
        TABLE.set_index("participant_id"),
        TABLE.set_index(["participant_id", "time"], drop=False).rename_axis(
            ["subject_label", "time"]
        ),
    ],
)
def test_subject_may_stand_for_the_labels(table: pd.DataFrame) -> None:
    _, model = repeated_from_formula("~ group + (1 | subject)", table)
    found = [str(label).removeprefix("sub-") for label in np.asarray(model.subjects)]
    assert found == SUBJECTS


@pytest.mark.parametrize(
    ("formula", "options", "told"),
    [
        ("~ time + (1 | subjet)", {}, r"in the random part \(1 \| subjet\) is 'subjet', which is"),
        ("~ time + (1 | subjet)", {}, "Did you mean 'subject'"),
        ("~ time + (1 | fam/subject)", {}, "column of families .* is 'fam', which is no column"),
        ("~ time + (1 | family/subject)", {}, r"'family', which has no value for sub-04"),
        ("~ time + (1 | subject)", {"visits": "wave"}, "the column of visits is 'wave', which is"),
        ("~ family + (1 | subject)", {}, "no value for 'family' of subject sub-04"),
        ("~ time + (1 | subject)", {"covariance": "nested"}, r"write \(1 \| family/subject\)"),
        (
            "~ time + (1 | site/subject)",
            {"covariance": "sandwich"},
            "which names families; .covariance. must be",
        ),
        ("~ time + (1 | subject)", {"covariance": "ar1"}, "covariance"),
        ("~ time + (1 | subject)", {"df": "naive"}, "df"),
        ("~ time + (1 | subject)", {"groups": "group"}, "groups"),
        ("~ twice + (1 | twice)", {}, "2 columns that are called 'twice'"),
    ],
)
def test_what_does_not_fit_is_refused(formula: str, options: Any, told: str) -> None:
    twice = TABLE[["group", "site"]].set_axis(["twice", "twice"], axis="columns")
    with pytest.raises(ValueError, match=told):
        repeated_from_formula(formula, pd.concat([TABLE, twice], axis="columns"), **options)


def test_rows_that_lack_a_value_are_told_by_row() -> None:
    table = TABLE.assign(score=[1.0, np.nan, 3, 4, 5, 6, 7])
    with pytest.raises(ValueError, match=r"no value for 'score' of subject sub-01 \(row 2\)"):
        repeated_from_formula("~ score + (1 | subject)", table)
