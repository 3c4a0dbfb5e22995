# SPDX-License-Identifier: BSD-3-Clause
"""Folders on which the commands are tested; those of a module are made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reference.bids import make_fitlins
from reference.shell import EVERYTHING, basic, make_study, run_well


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make_study`."""
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def finished(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a fit can write."""
    out = tmp_path_factory.mktemp("finished") / "out"
    run_well("fit", *basic(study, out, *EVERYTHING))
    return out


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished folder, with the same times."""
    return Path(shutil.copytree(finished, tmp_path / "results"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw data set with derivatives/fitlins."""
    folder = tmp_path_factory.mktemp("study")
    make_fitlins(folder)
    return folder
