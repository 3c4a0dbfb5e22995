# SPDX-License-Identifier: BSD-3-Clause
"""A continued test has the bits of a single run, or is refused with the name of what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm import permuted_ols
from groupglm.group.fitted_masker import FittedMasker
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.permutation import interrupted_after

FEWER = pytest.mark.filterwarnings("ignore:all 256 different sign flips")
SEED: Any = {"random_state": 0, "two_sided_test": False}


def masker(shape: tuple[int, int, int]) -> FittedMasker:
    return FittedMasker(VolumeSpace(Grid(shape, np.eye(4))), 1)


@FEWER
def test_drawn_then_all() -> None:
    Y = np.random.default_rng(1).standard_normal((8, 5)) + 0.3
    drawn = permuted_ols(np.ones(8), Y, n_perm=100, **SEED)
    every = permuted_ols(np.ones(8), Y, n_perm=1000, **SEED)
    assert len(every["h0_max_t"][0]) == 255
    for n_perm in (255, 1000):
        resumed = permuted_ols(np.ones(8), Y, n_perm=n_perm, resume=drawn, **SEED)
        assert resumed.results[0].exhaustive
        for name, values in every.items():
            np.testing.assert_array_equal(resumed[name], values)


@FEWER
def test_all_interrupted_then_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Y = np.random.default_rng(1).standard_normal((8, 5)) + 0.3
    path = tmp_path / "null.npz"
    with monkeypatch.context() as patch:
        patch.setattr(
            "groupglm.inference.permutation.null_distribution._PRODUCTS", 1
        )  # one at a time
        permuted_ols(np.ones(8), Y, n_perm=40, resume=path, **SEED)
        bar = "groupglm.inference.permutation.testing.null_distribution"
        patch.setattr(bar, interrupted_after(60))
        with pytest.raises(KeyboardInterrupt):
            permuted_ols(np.ones(8), Y, n_perm=1000, resume=path, **SEED)
    assert len(np.load(path)["null_t"]) == 60
    for n_perm in (200, 1000):
        resumed = permuted_ols(np.ones(8), Y, n_perm=n_perm, resume=path, **SEED)
        once = permuted_ols(np.ones(8), Y, n_perm=n_perm, **SEED)
        for name, values in once.items():
            np.testing.assert_array_equal(resumed[name], values)


def test_all_that_the_null_depends_on_is_compared() -> None:
    rng = np.random.default_rng(2)
    Y, age, group = rng.standard_normal((12, 216)), rng.standard_normal(12), np.repeat([0, 1], 6)
    blocks = np.tile([0, 1], 6)
    same: Any = {
        "target_vars": Y,
        "tested_vars": group,
        "confounding_vars": age,
        "masker": masker((6, 6, 6)),
        "threshold": 0.05,
        "random_state": 0,
        "exchangeability_blocks": blocks,
        "tfce": True,
    }
    first = permuted_ols(n_perm=30, **same)
    changed = Y.copy()
    changed[3, 101] = np.nextafter(changed[3, 101], 9)
    others: list[tuple[str, dict[str, Any]]] = [
        ("data differs", {"target_vars": changed}),
        ("data differs", {"target_vars": Y.astype(np.float32)}),
        ("connectivity differs", {"connectivity": 26}),
        ("places of the voxels differs", {"masker": masker((216, 1, 1))}),
        ("design matrix differs", {"confounding_vars": np.nextafter(age, 9)}),
        ("number of tails differs", {"two_sided_test": False}),
        ("cluster-forming threshold differs", {"threshold": 0.04}),
        ("cluster-forming threshold differs", {"cluster_threshold_scale": "z", "threshold": 2.0}),
        ("TFCE differs", {"tfce": "steps"}),
        ("TFCE differs", {"tfce_powers": (1.0, 2.0)}),
        ("exchangeability blocks differs", {"exchangeability_blocks": None}),
        ("sign flips differs", {"sign_flip": True}),
        ("method differs", {"method": "smith"}),
        ("data and method differ;", {"method": "ter-braak", "target_vars": Y + 1}),
        ("random_state is 5", {"random_state": 5}),
    ]
    for match, other in others:
        with pytest.raises(ValueError, match=match):
            permuted_ols(n_perm=60, resume=first, **(same | other))
    # Things that leave the null distribution unchanged may differ: names of blocks, storage,
    # threads, the curve.
    once = permuted_ols(n_perm=60, **same)
    free: Any = {
        "exchangeability_blocks": np.where(blocks, "b", "a"),
        "target_vars": np.asfortranarray(Y),
        "random_state": None,
        "n_jobs": 2,
    }
    resumed = permuted_ols(n_perm=60, resume=first, **(same | free))
    for name, values in once.items():
        np.testing.assert_array_equal(resumed[name], values)


def test_the_hash_of_the_data_is_that_of_their_values(tmp_path: Path) -> None:
    Y = np.random.default_rng(3).standard_normal((8, 50))
    path = tmp_path / "null.npz"
    permuted_ols(np.ones(8), Y, n_perm=20, resume=path, n_jobs=1, **SEED)
    permuted_ols(np.ones(8), np.asfortranarray(Y), n_perm=30, resume=path, n_jobs=2, **SEED)
    assert len(np.load(path)["null_t"]) == 30

    Y[7, 49] = np.nextafter(Y[7, 49], 9)
    with pytest.raises(ValueError, match="data"):
        permuted_ols(np.ones(8), Y, n_perm=40, resume=path, **SEED)


def test_a_file_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "null.npz"
    np.savez(path, seed=np.array("0"), test=np.array("abc"), sample=np.ones(3), null_t=np.ones(9))
    with pytest.raises(ValueError, match=r"null\.npz: this was written by another version"):
        permuted_ols(np.ones(9), np.ones((9, 1)) + np.eye(9, 1), n_perm=30, resume=path, **SEED)
