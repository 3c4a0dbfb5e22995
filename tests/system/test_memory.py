# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of a fit: as the formula says, and the same for any number of images."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import SecondLevelModel, _core
from groupglm.models.ols import OLS, OlsPlan
from groupglm.runtime import budget as stated_budget
from groupglm.runtime.budget import batch_bytes_within, check_memory_budget
from groupglm.spaces.volume import open_image
from groupglm.spaces.volume.space import VolumeSpace
from groupglm.spaces.zeros import ZeroTally

SIDE = 64
N_FILES = 4

JOB = """
import sys, numpy as np, pandas as pd, nibabel as nib
from groupglm import SecondLevelModel

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

n, budget, side, p = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
paths = sys.argv[5:]
mask = nib.Nifti1Image(np.ones((side,) * 3, np.uint8), np.eye(4))
tiny = nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.eye(4))
few = [nib.Nifti1Image(np.random.rand(5, 5, 5), np.eye(4)) for _ in range(4)]
SecondLevelModel(mask_img=tiny).fit(few, design_matrix=pd.DataFrame({"i": np.ones(4)}))
before = peak()
images = [paths[i % len(paths)] for i in range(n)]
columns = {f"c{k}": np.random.default_rng(k).normal(size=n) for k in range(p - 1)}
design = pd.DataFrame({**columns, "intercept": 1.0})
SecondLevelModel(mask_img=mask, n_jobs=2, memory_budget=budget).fit(images, design_matrix=design)
print(peak() - before)
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("maps")
    rng = np.random.default_rng(0)
    names = []
    for i in range(N_FILES):
        values = rng.normal(size=(SIDE,) * 3).astype(np.float32)
        names.append(str(folder / f"map{i}.nii.gz"))
        nib.save(nib.Nifti1Image(values, np.eye(4)), names[-1])  # type: ignore[no-untyped-call]
    return names


def plan(n_columns: int) -> OlsPlan:
    X = np.random.default_rng(0).normal(size=(n_columns + 2, n_columns))
    X[:, 0] = 1
    return OLS.prepare(X, tuple(map(str, range(n_columns))))


def fit_bytes(n_columns: int, n_missing: int = 0, *, n_values: int, **others: Any) -> int:
    """The bytes that a fit of so many columns takes; without a missing value, of any columns."""
    model_bytes = plan(n_columns).bytes(n_values, n_missing)
    return stated_budget.fit_bytes(n_values, model_bytes=model_bytes, **others)


def peak(paths: list[str], n: int, budget: float, n_columns: int = 2) -> int:
    output = subprocess.run(  # noqa: S603
        [sys.executable, "-c", JOB, str(n), str(budget), str(SIDE), str(n_columns), *paths],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return int(output.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_peak_memory_is_flat_and_as_stated(paths: list[str]) -> None:
    row_bytes = 4 * SIDE**3
    budgets = {"roomy": 1e9, "tight": 40e6}
    for name, budget in budgets.items():
        common: dict[str, Any] = {
            "n_values": SIDE**3,
            "n_columns": 2,
            "n_threads": 2,
            "image_bytes": 8 * SIDE**3,
        }
        model_bytes = plan(2).bytes(SIDE**3)
        batch = batch_bytes_within(
            int(budget),
            40 * 2**20,
            row_bytes=row_bytes,
            model_bytes=model_bytes,
            places="voxels",
            **common,
        )
        stated = fit_bytes(batch_bytes=batch, **common)
        assert stated <= budget
        few, many = peak(paths, 130, budget), peak(paths, 1000, budget)
        # The allocator's own: a few MB, and some arrays of a number a voxel in between.
        assert many <= 1.1 * stated + 12e6, name
        assert many <= 1.1 * few + 6e6, name


def test_the_formula_has_a_term_for_counting_zeros() -> None:
    """The measured memory of the tally, whatever is read."""
    n, n_threads = 1000, 3
    common = {"n_columns": 2, "batch_bytes": 0, "n_threads": n_threads, "image_bytes": 0}
    voxel = (fit_bytes(n_values=n, **common) - fit_bytes(n_values=0, **common)) / n
    state = _core.OlsState(3, n)  # three columns of the working design, as of the formula
    states = 2 * sum(np.asarray(part).nbytes for part in state.__getstate__()[2:4]) / n
    tally = ZeroTally(n)
    rows = [np.zeros(n, dtype=np.float32) for _ in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        barrier = threading.Barrier(n_threads)

        def add(row: NDArray[np.float32]) -> int:
            barrier.wait()  # a thread each
            tally.add_row(row, None)
            return int(tally._own.room.nbytes)

        rooms = sum(pool.map(add, rows))
    counts = tally._counts.nbytes + tally._recent.nbytes
    np.testing.assert_array_equal(tally.counts, n_threads)
    assert voxel == states + (counts + rooms) / n


@pytest.fixture(scope="module")
def holed_paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Maps of which each lacks a fifth of its voxels: four in five lack some image."""
    folder = tmp_path_factory.mktemp("holed")
    rng = np.random.default_rng(1)
    names = []
    for i in range(8):
        values = rng.normal(size=(SIDE,) * 3).astype(np.float32)
        values[rng.random(values.shape) < 0.2] = np.nan
        names.append(str(folder / f"map{i}.nii"))
        nib.save(nib.Nifti1Image(values, np.eye(4)), names[-1])  # type: ignore[no-untyped-call]
    return names


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("n_columns", [3, 10])
def test_peak_memory_with_missing_values_is_as_stated(
    holed_paths: list[str], n_columns: int
) -> None:
    maps = [np.isnan(nib.load(path).get_fdata()) for path in holed_paths]  # type: ignore[attr-defined]
    n_missing = int(np.logical_or.reduce(maps).sum())
    common: dict[str, Any] = {
        "n_values": SIDE**3,
        "n_columns": n_columns,
        "n_threads": 2,
        "image_bytes": 8 * SIDE**3,
        "batch_bytes": 40 * 2**20,
    }
    stated = fit_bytes(**common, n_missing=n_missing)
    assert peak(holed_paths, 150, 2e9, n_columns) <= 1.1 * stated + 12e6
    if n_columns == 10:  # the term is needed: two states of 55 numbers each
        measured = peak(holed_paths, 150, 2e9, n_columns)
        assert measured >= fit_bytes(**common) + 2 * 8 * 55 * n_missing - 40e6


@pytest.mark.filterwarnings("ignore:.*no residual degrees of freedom:UserWarning")
def test_missing_values_beyond_the_budget_are_refused(holed_paths: list[str]) -> None:
    design = pd.DataFrame({"dose": np.linspace(-1, 1, 8), "intercept": 1.0})
    mask = nib.Nifti1Image(np.ones((SIDE,) * 3, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match="voxels lack values in some image, and with them"):
        SecondLevelModel(mask_img=mask, memory_budget=40e6).fit(holed_paths, design_matrix=design)
    SecondLevelModel(mask_img=mask, memory_budget=200e6).fit(holed_paths, design_matrix=design)


@pytest.mark.filterwarnings("ignore:.* are one file:UserWarning")
def test_a_small_budget_gives_the_same_numbers(paths: list[str]) -> None:
    design = pd.DataFrame({"dose": np.linspace(-1, 1, 100), "intercept": 1.0})
    images = [paths[i % N_FILES] for i in range(100)]
    mask = nib.Nifti1Image(np.ones((SIDE,) * 3, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    one, many = (
        SecondLevelModel(mask_img=mask, memory_budget=budget)
        .fit(images, design_matrix=design)
        .results_
        for budget in (1e9, 30e6)
    )
    scale = np.abs(one.beta).max()
    np.testing.assert_allclose(one.beta, many.beta, rtol=1e-10, atol=1e-12 * scale)
    np.testing.assert_allclose(one.rss, many.rss, rtol=1e-10)


def test_an_impossible_budget_is_refused_with_what_it_would_take(paths: list[str]) -> None:
    design = pd.DataFrame({"intercept": np.ones(N_FILES)})
    with pytest.raises(
        ValueError, match=r"memory_budget is 1 MB, but a fit of 262144 voxels and 1"
    ):
        SecondLevelModel(memory_budget=1e6).fit(paths, design_matrix=design)


def test_what_a_small_fit_would_take_is_said_in_its_size_and_is_enough() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 3)), columns=list("abc"))
    design = pd.DataFrame({"intercept": np.ones(4)})
    with pytest.raises(ValueError, match=r"memory_budget is 12 bytes, but a fit of 3 r") as refused:
        SecondLevelModel(memory_budget=12).fit(table, design_matrix=design)
    assert "1 column on 1 thread takes" in str(refused.value)
    number, unit = re.findall(r"takes (\d+) (bytes|kB|MB)", str(refused.value))[0]
    enough = int(number) * {"bytes": 1, "kB": 1_000, "MB": 1_000_000}[unit]
    assert 3 * 8 < enough < 5_000
    SecondLevelModel(memory_budget=enough).fit(table, design_matrix=design)


@pytest.mark.parametrize("bad", ["1GB", True, [1e9]])
def test_what_is_not_a_number_of_bytes(bad: Any) -> None:
    with pytest.raises(TypeError, match="memory_budget is"):
        check_memory_budget(bad)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf")])
def test_what_is_no_amount(bad: float) -> None:
    with pytest.raises(ValueError, match="memory_budget is"):
        check_memory_budget(bad)


def test_by_default_half_of_what_is_free() -> None:
    assert 0 < check_memory_budget(None) < 2**45


def test_a_tight_budget_keeps_room_for_missing_values() -> None:
    """Four images are one batch: what a larger one would take is there for missing values."""
    values = np.random.default_rng(4).normal(size=(4, 16, 16, 16)).astype(np.float32)
    values[0, :3] = np.nan
    images = [nib.Nifti1Image(volume, np.eye(4)) for volume in values]  # type: ignore[no-untyped-call]
    mask = nib.Nifti1Image(np.ones((16,) * 3, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"intercept": np.ones(4)})
    model, source = OLS.prepare(design.to_numpy(), ("intercept",)), open_image(images[0])
    needed = stated_budget.fit_bytes(
        16**3,
        4 * 4 * 16**3,
        1,
        VolumeSpace(source.grid).bytes_to_read(source),
        model_bytes=model.bytes(16**3, 3 * 16**2),
    )
    SecondLevelModel(mask, n_jobs=1, memory_budget=needed).fit(images, design_matrix=design)
    with pytest.raises(ValueError, match=r"but \d+ voxels lack values in some image"):
        SecondLevelModel(mask, n_jobs=1, memory_budget=needed - 1).fit(images, design_matrix=design)
