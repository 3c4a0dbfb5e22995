# SPDX-License-Identifier: BSD-3-Clause
"""Numbers that would make a simulated study without an end are refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from groupglm.datasets import simulate_group_study, simulate_paired_study
from groupglm.errors import ArgumentError


@pytest.mark.parametrize("simulate", [simulate_group_study, simulate_paired_study])
@pytest.mark.parametrize(
    ("name", "value"), [("n_subjects", 10**9), ("voxel_size", 1e9), ("noise_fwhm", 1e9)]
)
def test_a_study_without_an_end_is_refused(
    simulate: Any, name: str, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the study was begun")

    monkeypatch.setattr("numpy.random.default_rng", never)
    with pytest.raises(ArgumentError, match="must be at most") as caught:
        simulate(tmp_path / "study", **{name: value})
    assert caught.value.argument == name
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(1,), "abc", (9, 9, 0), (10**9, 10**9, 10**9), (9.5, 9, 9), 7])
def test_a_grid_that_cannot_be_is_refused(shape: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="shape"):
        simulate_group_study(tmp_path / "study", shape=shape)
    assert not list(tmp_path.iterdir())
