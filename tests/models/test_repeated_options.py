# SPDX-License-Identifier: BSD-3-Clause
"""`RepeatedMeasures`: its options, and the labels of images, checked before any image is read."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from groupglm import RepeatedMeasures
from groupglm.errors import ArgumentError
from groupglm.models.kinds import check_model, model_of_kind
from groupglm.models.subject_rows import subject_rows

SUBJECTS = ["b", "a", "c", "a", "b", "b"]


def test_images_are_read_subject_by_subject_in_the_order_given() -> None:
    rows = subject_rows(6, SUBJECTS)
    assert rows.names == ("b", "a", "c")
    assert rows.order.tolist() == [0, 4, 5, 1, 3, 2]
    assert rows.sizes.tolist() == [3, 2, 1]
    assert rows.ends.tolist() == [3, 5, 6]
    assert [rows.subjects[i] for i in rows.order] == ["b", "b", "b", "a", "a", "c"]
    again = pickle.loads(pickle.dumps(rows))  # noqa: S301
    assert again.order.tolist() == rows.order.tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"subjects": SUBJECTS[:5]},
            r"subjects has shape \(5,\).*\(6,\), one label for each image",
        ),
        ({"subjects": ["a", None, *SUBJECTS[2:]]}, "subjects has a missing label in row 2"),
        ({"subjects": ["a", "", *SUBJECTS[2:]]}, "subjects has an empty label in row 2"),
        ({"subjects": SUBJECTS, "families": ["", " ", *"abcd"]}, "empty labels in rows 1, 2; fill"),
        ({"subjects": list("abcdef")}, "each of the 6 subjects has one image.*model='ols'"),
        ({"subjects": ["1", "sub-1", "1", "2", "2", "2"]}, "names a subject in two ways"),
        (
            {"subjects": SUBJECTS, "families": ["f", "g", "f", "h", "f", "f"]},
            r"a subject is in two families: 'a' \('g' and 'h'\); give all images of a subject the",
        ),
        (
            {"subjects": SUBJECTS, "groups": ["f", "g", "f", "h", "f", "h"]},
            r"2 subjects are in two groups: 'b' \('f' and 'h'\), 'a' \('g' and 'h'\)",
        ),
        (
            {"subjects": SUBJECTS, "visits": [1, 1, 1, 2, 2, 1]},
            "a subject has several images of the same visit: 'b' at '1'",
        ),
        ({"subjects": SUBJECTS, "visits": [1, 2]}, r"visits has shape \(2,\)"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(labels: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        subject_rows(6, **labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": "random slope"}, "covariance is 'random slope'; 'covariance' must be one"),
        ({"df": "naive"}, "'df' must be 'kenward-roger' or 'satterthwaite' if covariance is 'rand"),
        ({"covariance": "sandwich", "df": "kenward-roger"}, "'approximate-1' if covariance is 'sa"),
        ({"covariance": "sandwich", "adjustment": 4}, "adjustment is 4"),
        ({"covariance": "sandwich", "adjustment": True}, "adjustment is True"),
        ({"adjustment": 3}, "adjustment is given, but it has no effect.*covariance='sandwich'"),
        ({"groups": ["a", "b"]}, "groups is given, but it has no effect.*covariance='sandwich'"),
        ({"families": ["a", "b"]}, "families is given, but it has no effect.*covariance='nested'"),
        ({"subjects": ["a", None]}, "a missing label in row 2"),
        ({"subjects": 3}, "subjects is 3; 'subjects' must be a list of labels, one for each image"),
        ({"visits": {"a": 1}}, "visits is {'a': 1}; 'visits' must be a list of labels, one for"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RepeatedMeasures(**options)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (RepeatedMeasures(), "subjects is None"),
        (RepeatedMeasures("nested", subjects=SUBJECTS), "families is None"),
        (
            RepeatedMeasures("sandwich", subjects=SUBJECTS, groups=list("abcabb")),
            "visits is None, but groups are given",
        ),
    ],
)
def test_labels_that_are_needed_are_asked_for(model: RepeatedMeasures, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.prepare(np.ones((6, 1)), ("intercept",))


def test_the_defaults_belong_to_the_covariance() -> None:
    assert RepeatedMeasures() == RepeatedMeasures("random intercept", "kenward-roger")
    assert RepeatedMeasures("sandwich").df == "satterthwaite"
    assert check_model("repeated measures") == RepeatedMeasures()


def test_settings_make_the_same_model() -> None:
    model = RepeatedMeasures("nested", subjects=[1, 1, 2], families=list("ffg"), visits=[1, 2, 1])
    again = model_of_kind(model.kind, model.settings())
    assert again == model
    assert hash(again) == hash(model)
    assert model.settings()["subjects"] == ["1", "1", "2"]
    assert repr(model) == (
        "RepeatedMeasures(covariance='nested', df='kenward-roger', subjects=<2 labels of 3 "
        "images>, families=<2 labels of 3 images>, visits=<2 labels of 3 images>)"
    )


def test_all_labels_are_aligned_with_the_images() -> None:
    model = RepeatedMeasures(subjects=["a", "a", "b"], visits=[1, 2, 1])
    turned = model.for_images(lambda labels, name: list(labels)[::-1])
    assert turned == RepeatedMeasures(subjects=["b", "a", "a"], visits=[1, 2, 1])
