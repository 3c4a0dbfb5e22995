# SPDX-License-Identifier: BSD-3-Clause
"""Modules hold the public names where nilearn has them: the imports of a script need one word."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

import groupglm
import groupglm.plotting

# The modules that a second-level script imports from, below both packages.
MODULES = (
    "datasets",
    "glm",
    "glm.first_level",
    "glm.second_level",
    "image",
    "interfaces.bids",
    "maskers",
    "masking",
    "mass_univariate",
    "plotting",
    "reporting",
)

_IMPORTS = """
from nilearn import datasets, glm, image, plotting
from nilearn.glm import cluster_level_inference, threshold_stats_img
from nilearn.glm.second_level import (
    SecondLevelModel,
    make_second_level_design_matrix,
    non_parametric_inference,
)
from nilearn.image import resample_img, smooth_img
from nilearn.mass_univariate import permuted_ols
from nilearn.plotting import plot_contrast_matrix, plot_design_matrix, plot_glass_brain
from nilearn.plotting import plot_stat_map
from nilearn.reporting import HTMLReport, get_clusters_table
"""


def _names() -> list[tuple[str, str]]:
    nilearn = {module: importlib.import_module(f"nilearn.{module}") for module in MODULES}
    return [(module, name) for module, own in nilearn.items() for name in own.__all__]


@pytest.mark.parametrize(("module", "name"), _names())
def test_a_name_of_nilearn_is_there_or_says_what_to_use(module: str, name: str) -> None:
    ours = importlib.import_module(f"groupglm.{module}")
    if name in ours.__all__:
        found = getattr(ours, name)
        public = getattr(groupglm, name, None) or getattr(groupglm.plotting, name, None)
        assert public is None or found is public
        return
    with pytest.raises(ImportError, match=rf"^groupglm\.{module} has no {name}: .{{20}}"):
        exec(f"from groupglm.{module} import {name}")  # noqa: S102 - as a script says it


@pytest.mark.parametrize("module", MODULES)
def test_every_name_of_a_module_loads(module: str) -> None:
    ours = importlib.import_module(f"groupglm.{module}")
    assert sorted(set(ours.__all__)) == list(ours.__all__)
    assert all(getattr(ours, name) is not None for name in ours.__all__)
    with pytest.raises(AttributeError, match=f"module 'groupglm.{module}' has no attribute 'x'"):
        ours.x  # noqa: B018


def test_one_word_of_the_imports_changes() -> None:
    names: dict[str, object] = {}
    exec(re.sub("nilearn", "groupglm", _IMPORTS), names)  # noqa: S102 - as a script has them
    assert names["SecondLevelModel"] is groupglm.SecondLevelModel
    assert names["plot_stat_map"] is groupglm.plotting.plot_stat_map


def test_no_module_of_these_loads_with_the_package() -> None:
    code = "import sys, groupglm; print([name for name in sys.modules if name.count('groupglm.')])"
    printed = subprocess.run(  # noqa: S603 - this interpreter, our words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout == "[]\n"
