# SPDX-License-Identifier: BSD-3-Clause
# mypy: disable-error-code="no-untyped-call"
"""Workers of a real cluster that are of another build, or that are gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import joblib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import SecondLevelModel, permuted_ols
from groupglm.runtime import workers
from groupglm.runtime.progress import plain_lines

distributed = pytest.importorskip("distributed")

N = 6
DESIGN = pd.DataFrame({"dose": np.linspace(-1, 1, N), "intercept": np.ones(N)})


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"map{i}.nii") for i in range(N)]
    for path in paths:
        nib.save(nib.Nifti1Image(rng.normal(size=(6, 7, 8)), np.eye(4)), path)
    return paths


@pytest.fixture
def mask() -> Any:
    return nib.Nifti1Image(np.ones((6, 7, 8), np.uint8), np.eye(4))


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2,  # with one, joblib does all the work itself
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        **getattr(request, "param", {}),
    ) as made:
        yield made


# Functions within functions are sent by value: a worker does not know this module.
def _set_version(version: str) -> Callable[[], None]:
    def set_version() -> None:
        groupglm.__version__ = version

    return set_version


def test_a_worker_of_another_version_is_refused_by_name(
    cluster: Any, images: list[str], mask: Any
) -> None:
    model = SecondLevelModel(mask_img=mask)
    here = groupglm.__version__
    rng = np.random.default_rng(0)
    with distributed.Client(cluster) as client, joblib.parallel_config(backend="dask"):
        client.run(_set_version("0.0.9"))
        message = (
            rf"worker \S+, process \d+ has groupglm 0\.0\.9, .* asked for by {here}: .* install "
            rf"{here} on all workers"
        )
        with pytest.raises(ValueError, match=message):
            model.fit(images, design_matrix=DESIGN)
        with pytest.raises(ValueError, match=message):
            permuted_ols(DESIGN[["dose"]].to_numpy(), rng.normal(size=(N, 4)), n_perm=99)
        client.run(_set_version(here))
        model.fit(images, design_matrix=DESIGN)  # of the same version again, it works


def _set_earlier_call() -> Callable[[], None]:
    def set_earlier_call() -> None:
        def _call(task: Callable[[], Any]) -> Any:
            return task()

        vars(workers)["_call"] = _call
        del vars(workers)["_run_task"]

    return set_earlier_call


def test_a_worker_from_before_versions_were_sent_is_refused(
    cluster: Any, images: list[str], mask: Any
) -> None:
    with distributed.Client(cluster) as client, joblib.parallel_config(backend="dask"):
        client.run(_set_earlier_call())
        with pytest.raises(ValueError, match=r"a worker has a version of groupglm from before"):
            SecondLevelModel(mask_img=mask).fit(images, design_matrix=DESIGN)


@pytest.mark.skipif(
    groupglm.build_info()["level"] == "baseline", reason="this processor has no other level"
)
@pytest.mark.parametrize("cluster", [{"env": {"GROUPGLM_CPU_LEVEL": "baseline"}}], indirect=True)
def test_a_worker_of_another_level_is_refused_by_name(
    cluster: Any, images: list[str], mask: Any
) -> None:
    with (
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
        pytest.raises(ValueError, match=r"level baseline, .* GROUPGLM_CPU_LEVEL=baseline on all"),
    ):
        SecondLevelModel(mask_img=mask).fit(images, design_matrix=DESIGN)


HIDING = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "groupglm":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture
def bare_cluster(tmp_path: Path) -> Iterator[Any]:
    """A cluster of two workers, processes of their own, on which groupglm is not installed."""
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as made,
        ExitStack() as stack,
    ):
        command = [sys.executable, "-m", "distributed.cli.dask_worker", made.scheduler_address]
        for number in range(2):
            worker = subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
                [*command, "--nthreads", "1", "--no-dashboard", "--name", f"bare{number}"],
                env={**os.environ, "PYTHONPATH": str(tmp_path)},
                cwd=tmp_path,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(worker.wait)
            stack.callback(worker.terminate)
        yield made


def test_workers_without_the_package_are_named_for_it(
    bare_cluster: Any, images: list[str], mask: Any
) -> None:
    """They answer: a worker that could not load what it is sent would end without a message."""
    message = (
        rf"a worker cannot load groupglm {groupglm.__version__} \(No module named "
        rf"'groupglm.*'\); install groupglm {groupglm.__version__} with what it needs on all"
    )
    values = np.random.default_rng(0).normal(size=(N, 4))
    with distributed.Client(bare_cluster) as client, joblib.parallel_config(backend="dask"):
        client.wait_for_workers(2, timeout=120)
        with pytest.raises(ValueError, match=message):
            SecondLevelModel(mask_img=mask).fit(images, design_matrix=DESIGN)
        with pytest.raises(ValueError, match=message):
            permuted_ols(DESIGN[["dose"]].to_numpy(), values, n_perm=99)
        assert len(client.ncores()) == 2  # they live, and may be of use to others


def _slowly(number: int) -> Callable[[], int]:
    def slowly() -> int:
        time.sleep(0.5)
        return number

    return slowly


def test_that_all_workers_are_gone_is_told(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the work continues to the right result when workers join."""
    monkeypatch.setattr(workers, "_PATIENCE", 2.0)
    lines: list[str] = []
    back = threading.Event()

    def write(line: str) -> None:
        lines.append(line)
        if "has no worker now" in line and not back.is_set():
            back.set()
            cluster.scale(2)

    tasks = [_slowly(number) for number in range(4)]
    with (
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
        plain_lines(write, time.monotonic),
    ):
        results = workers.run_remotely(tasks)
        found = [next(results)]
        cluster.scale(0)
        found.extend(results)
    assert found == [0, 1, 2, 3]
    assert any(line.startswith("No worker has sent a result for 2 s") for line in lines)
    assert back.is_set()
