# SPDX-License-Identifier: BSD-3-Clause
"""The functions around the model: nilearn's parameters, and what long work shows."""

from __future__ import annotations

import inspect
import io
import re
import sys
from typing import Any

import numpy as np
import pytest
from nilearn import glm, mass_univariate, reporting
from nilearn.glm import second_level

import groupglm

POSITIONAL = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
PAIRS: list[tuple[str, Any]] = [
    ("threshold_stats_img", glm.threshold_stats_img),
    ("cluster_level_inference", glm.cluster_level_inference),
    ("get_clusters_table", reporting.get_clusters_table),
    ("non_parametric_inference", second_level.non_parametric_inference),
    ("permuted_ols", mass_univariate.permuted_ols),
]


@pytest.mark.parametrize(("name", "theirs"), PAIRS, ids=[name for name, _ in PAIRS])
def test_parameters_are_nilearns_and_ours_are_keyword_only(name: str, theirs: Any) -> None:
    own = inspect.signature(getattr(groupglm, name)).parameters
    wanted = dict(inspect.signature(theirs).parameters)
    wanted.pop("output_type", None)  # deprecated there, and of no effect
    positional = [p.name for p in own.values() if p.kind in POSITIONAL]
    assert positional == [p.name for p in wanted.values() if p.kind in POSITIONAL]
    for parameter in wanted.values():
        assert parameter.name in own
        assert own[parameter.name].default == parameter.default, parameter.name
    for parameter in own.values():
        if parameter.name not in wanted:
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter.name


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_permutations_show_how_far_they_are_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    Y = np.random.default_rng(0).normal(size=(20, 20_000))
    groupglm.permuted_ols(np.ones(20), Y, n_perm=20_000, random_state=0, verbose=1)
    # 40%|####      | 8000/20000 [00:01<00:02, 5000 permutations/s]
    states = re.findall(r"(\d+)/20000 \[\d+:\d+<(\d+:\d+)", shown.getvalue())
    assert any(0 < int(done) < 20_000 for done, _ in states)
    quiet = Terminal()
    monkeypatch.setattr(sys, "stderr", quiet)
    groupglm.permuted_ols(np.ones(20), Y[:, :50], n_perm=50, random_state=0)
    assert quiet.getvalue() == ""
