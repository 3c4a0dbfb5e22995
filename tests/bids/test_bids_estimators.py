# SPDX-License-Identifier: BSD-3-Clause
"""``Model.Type`` and ``Model.Software`` of a Stats Model: which model a node is."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from groupglm.bids import StatsModel, read_stats_model
from groupglm.models.kinds import model_of_kind
from reference.stats_models import PEOPLE, whole


def node(kind: str, **own: Any) -> StatsModel:
    software = {"Software": {"groupglm": own}} if own else {}
    return read_stats_model(whole(Model={"Type": kind, "X": [1], **software}))


def test_the_types_of_the_specification() -> None:
    assert node("glm").group_model(PEOPLE) == "ols"
    assert not node("glm").estimator.needs_variances
    for kind in ("meta", "Meta"):
        with pytest.warns(UserWarning, match=r"Type 'meta' is fixed effects, as in FitLins"):
            model = node(kind)
        assert model.group_model(PEOPLE) == "fixed effects"
        assert model.estimator.needs_variances


def test_settings_of_this_package() -> None:
    assert node("meta", model="fixed effects").group_model(PEOPLE) == "fixed effects"
    assert node("meta", model="mixed effects").group_model(PEOPLE) == "mixed effects"
    model = node("meta", model="mixed effects", tau2="ml", test="t", variance_groups="sex")
    settings = {"tau2": "ml", "test": "t", "variance_groups": list(PEOPLE["sex"])}
    assert model.group_model(PEOPLE) == model_of_kind("mixed effects", settings)
    assert node("meta", model="mixed effects", tau2=0.25).group_model(PEOPLE) == model_of_kind(
        "mixed effects", {"tau2": 0.25}
    )
    unequal = node("glm", model="unequal variances", variance_groups="sex")
    assert unequal.group_model(PEOPLE) == model_of_kind(
        "unequal variances", {"groups": list(PEOPLE["sex"])}
    )


@pytest.mark.parametrize(
    ("kind", "own", "told"),
    [
        ("glm", {"model": "mixed effects"}, "'mixed effects', which is not of Model.Type 'glm'"),
        ("meta", {"model": "ols"}, "it has 'fixed effects' and 'mixed effects'"),
        ("meta", {"model": 3}, "has model 3, which is not of"),
        ("meta", {"model": ["ols"]}, "which is not of Model.Type"),
        ("meta", {"model": "fixed effects", "tau2": "ml"}, "'tau2', which the model 'fixed"),
        ("glm", {"test": "t"}, "'test', which the model 'ols' does not take"),
        ("meta", {"model": "mixed effects", "tau2": "x"}, "; 'tau2' must be"),
        ("meta", {"model": "mixed effects", "tau2": -1}, "; 'tau2' must be"),
        ("meta", {"model": "mixed effects", "tau2": [1]}, "; 'tau2' must be"),
        ("meta", {"model": "mixed effects", "tau2": True}, "; 'tau2' must be"),
        ("meta", {"model": "mixed effects", "test": 3}, "test is 3"),
        ("meta", {"model": "mixed effects", "variance_groups": 3}, "must be the name of a column"),
        ("meta", {"Model": "mixed effects"}, "has 'Model', which is not supported; supported are"),
    ],
)
def test_settings_that_no_model_has(kind: str, own: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="Stats Model: node") as caught:
        node(kind, **own)
    assert told in str(caught.value)


@pytest.mark.parametrize("software", [3, "groupglm", ["groupglm"], {"groupglm": 3}])
def test_software_that_is_none(software: Any) -> None:
    with pytest.raises(ValueError, match=r"Model\.Software.* must be an object"):
        read_stats_model(whole(Model={"Type": "glm", "X": [1], "Software": software}))


def test_groups_that_the_table_lacks() -> None:
    model = node("glm", model="unequal variances", variance_groups="town")
    with pytest.raises(ValueError, match=r"variance_groups names 'town', which the participants"):
        model.group_model(PEOPLE)
    table = pd.DataFrame({"town": ["a", None, "b"]}, index=["01", "02", "03"])
    with pytest.raises(ValueError, match=r"which has no value for '02'"):
        model.group_model(table)
