# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C ends a fit or a save within a second, and leaves no thread, file or memory behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from reference.shell import basic, make_study

SIDE = 96
SECONDS = 1.0

# Prints "begun" when the work is under way, and what is left once it has been interrupted.
CHILD = """
import json, os, sys, threading, time
import nibabel as nib, numpy as np, pandas as pd
from groupglm import SecondLevelModel

def rss():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

def begin():
    print("begun", flush=True)

{setup}
before = rss()
try:
    {work}
except KeyboardInterrupt as error:
    ended = time.time()
    # While the error is still held, as an interactive session holds the last one.
    # A thread that was just being started is not waited for, but ends at once by itself.
    while threading.active_count() > 1 and time.time() < ended + 0.5:
        time.sleep(0.01)
    left = [thread.name for thread in threading.enumerate()]
else:
    sys.exit("was not interrupted")
held = rss() - before
print(json.dumps(dict(ended=ended, left=left, held=held)), flush=True)
"""

FIT = """
import groupglm.engine.rows as engine
paths = [sys.argv[1]] * 1000
mask = nib.Nifti1Image(np.ones((96,) * 3, np.uint8), np.eye(4))
design = pd.DataFrame({"intercept": np.ones(len(paths))})
tiny = [nib.Nifti1Image(np.random.rand(5, 5, 5), np.eye(4)) for _ in range(4)]
options = json.loads(sys.argv[2])
if "target_affine" in options:
    options["target_affine"] = np.array(options["target_affine"])
model = SecondLevelModel(n_jobs=2, **options)
SecondLevelModel(n_jobs=2).fit(tiny, design_matrix=design[:4])
class Pool(engine.ThreadPoolExecutor):
    def __init__(self, *args):
        super().__init__(*args)
        begin()
engine.ThreadPoolExecutor = Pool
"""
FIT_WORK = "model.set_params(mask_img=mask).fit(paths, design_matrix=design)"

RESIDUALS = """
paths = [sys.argv[1]] * 60
mask = nib.Nifti1Image(np.ones((96,) * 3, np.uint8), np.eye(4))
design = pd.DataFrame({"intercept": np.ones(len(paths))})
model = SecondLevelModel(mask_img=mask, n_jobs=2, minimize_memory=False)
model.fit(paths, design_matrix=design)
import groupglm.spaces.volume.saving as save
series_header = save._series_header
def begun(*args):
    begin()
    return series_header(*args)
import groupglm.group.fitted_group
save._series_header = begun
"""
RESIDUALS_WORK = "model.residuals(out=sys.argv[2])"

SAVE = """
from groupglm.spaces.volume import save_image
image = nib.Nifti1Image(np.random.rand(160, 160, 160).astype("f4"), np.eye(4))
save_image(image, sys.argv[1], level=1)
def save_for_ever():
    begin()
    while True:
        save_image(image, sys.argv[1], level=1)
"""


def interrupt(setup: str, work: str, *args: str, after: float) -> dict[str, Any]:
    """Run a child, send it SIGINT some time after it has begun, and return what it reports."""
    code = CHILD.replace("{setup}", setup).replace("{work}", work)
    with (
        tempfile.TemporaryFile("w+") as stderr,
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code, *args],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            # glibc keeps freed blocks of up to 32 MB for later; so it gives back all that we free.
            env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "500000"},
        ) as child,
    ):
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            time.sleep(after)
            for attempt in range(3):
                sent = time.time()
                child.send_signal(signal.SIGINT)
                try:
                    printed, _ = child.communicate(timeout=30)
                    break
                except subprocess.TimeoutExpired:
                    # Python drops an interrupt that falls into a finalizer, and says so.
                    stderr.seek(0)
                    assert stderr.read().count("Exception ignored in") > attempt
            gone = time.time()
            stderr.seek(0)
            assert child.returncode == 0, stderr.read()
            report: dict[str, Any] = json.loads(printed.splitlines()[-1])
        finally:
            child.kill()
    # The report's clock, and the process's own end, which waits for every thread.
    report["seconds"] = report["ended"] - sent
    report["seconds_to_the_end"] = gone - sent
    return report


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("after", [0.0, 0.7])
@pytest.mark.parametrize(
    "options", [{}, {"smoothing_fwhm": 8}, {"target_affine": np.diag([3.0] * 3).tolist()}]
)
def test_an_interrupted_fit_leaves_nothing(
    tmp_path: Path, after: float, options: dict[str, Any]
) -> None:
    path = tmp_path / "map.nii.gz"
    values = np.random.default_rng(0).normal(size=(SIDE,) * 3).astype("f4")
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)  # type: ignore[no-untyped-call]
    report = interrupt(FIT, FIT_WORK, str(path), json.dumps(options), after=after)
    assert report["seconds"] < SECONDS
    assert report["left"] == ["MainThread"]
    # Two batches of rows are 80 MB, two states 80 MB; what stays is code that was loaded.
    assert report["held"] < 30e6
    assert os.listdir(tmp_path) == ["map.nii.gz"]  # noqa: PTH208


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("after", [0.0, 0.2])
def test_interrupted_residuals_leave_nothing(tmp_path: Path, after: float) -> None:
    path, out = tmp_path / "map.nii.gz", tmp_path / "residuals.nii.gz"
    values = np.random.default_rng(0).normal(size=(SIDE,) * 3).astype("f4")
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)  # type: ignore[no-untyped-call]
    report = interrupt(RESIDUALS, RESIDUALS_WORK, str(path), str(out), after=after)
    assert report["seconds"] < SECONDS
    assert report["left"] == ["MainThread"]
    assert report["held"] < 30e6
    assert os.listdir(tmp_path) == ["map.nii.gz"]  # noqa: PTH208


@pytest.mark.parametrize("after", [0.0, 0.1, 0.2, 0.4])
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_an_interrupted_save_leaves_a_whole_file(tmp_path: Path, after: float) -> None:
    path = tmp_path / "a.nii.gz"
    report = interrupt(SAVE, "save_for_ever()", str(path), after=after)
    assert report["seconds"] < SECONDS
    assert os.listdir(tmp_path) == ["a.nii.gz"]  # noqa: PTH208
    assert nib.load(path).get_fdata().shape == (160, 160, 160)  # type: ignore[attr-defined]


# What is repeated takes some tenths of a second each time, and is interrupted in any part of it.
FORMULA = """
from groupglm import design_from_formula
rng = np.random.default_rng(0)
table = pd.DataFrame({"age": rng.normal(size=200_000), "iq": rng.normal(size=200_000)})
design_from_formula("~ cr(age, df=4)", table[:1000])
def work():
    begin()
    while True:
        design_from_formula(sys.argv[1], table)
"""

STATISTICS = """
import matplotlib
matplotlib.use("Agg")
from groupglm import get_clusters_table, non_parametric_inference
rng = np.random.default_rng(0)
images = [
    nib.Nifti1Image(rng.normal(size=(48, 48, 48)).astype("f4"), np.eye(4)) for _ in range(12)
]
mask = nib.Nifti1Image(np.ones((48, 48, 48), np.uint8), np.eye(4))
design = pd.DataFrame({"intercept": np.ones(12), "age": rng.normal(size=12)})
model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
"""
PERMUTATION = """
def work():
    begin()
    non_parametric_inference(
        images, design_matrix=design, mask=mask, second_level_contrast="age", n_perm=10_000_000,
        random_state=0, n_jobs=2, {options}
    )
"""
CLUSTERS = """
def work():
    begin()
    while True:
        get_clusters_table(images[0], 1.0, min_distance=0, two_sided=True)
"""
REPORT = """
model.generate_report("intercept", alpha=0.2, height_control="fpr")
def work():
    begin()
    while True:
        model.generate_report("intercept", alpha=0.2, height_control="fpr")
"""
GENEROUS = 5 * SECONDS  # on a machine that does other things


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("after", [0.1, 0.6])
@pytest.mark.parametrize(
    ("setup", "argument"),
    [
        (FORMULA, "~ cc(age, df=50, constraints='center') + cr(iq, df=50)"),
        (FORMULA, "~ bs(age, df=50, degree=20) + poly(iq, 20):poly(age, 5)"),
        (STATISTICS + PERMUTATION.replace("{options}", ""), ""),
        (STATISTICS + PERMUTATION.replace("{options}", "tfce=True, threshold=0.01"), ""),
        (STATISTICS + CLUSTERS, ""),
        (STATISTICS + REPORT, ""),
    ],
    ids=["splines", "polynomials", "permutation", "enhanced", "clusters", "report"],
)
def test_an_interrupt_is_heard(setup: str, argument: str, after: float) -> None:
    report = interrupt(setup, "work()", argument, after=after)
    assert report["seconds"] < GENEROUS
    assert report["seconds_to_the_end"] < 2 * GENEROUS
    assert report["left"] == ["MainThread"]


@pytest.mark.parametrize("enhanced", [False, True])
def test_an_interrupted_command_ends(tmp_path: Path, enhanced: bool) -> None:
    study, out = make_study(tmp_path), tmp_path / "out"
    options = ["--n-perm", "10000000", *(["--tfce"] if enhanced else [])]
    command = [sys.executable, "-m", "groupglm.cli", "permute", *basic(study, out, *options)]
    with subprocess.Popen(  # noqa: S603
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert any("Mask: " in line for line in child.stdout)
            time.sleep(0.5)
            sent = time.time()
            child.send_signal(signal.SIGINT)
            told = child.stdout.read()
            assert child.wait(timeout=60) == 130
            assert time.time() - sent < 2 * GENEROUS
        finally:
            child.kill()
    assert "Interrupted; files that were written are complete, and the same command" in told
    assert "Traceback" not in told
    assert not [path for path in out.iterdir() if "maxT" in path.name or "draft" in path.name]
