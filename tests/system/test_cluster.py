# SPDX-License-Identifier: BSD-3-Clause
"""A fit on a real dask.distributed cluster of processes: the same bits, whatever happens to it."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from contract import fake_models, fake_repeated
from groupglm import RepeatedMeasures, SecondLevelModel, non_parametric_inference
from groupglm.engine.reading import Reading
from groupglm.engine.reduce import accumulate
from groupglm.engine.rows import CHUNK
from groupglm.errors import ImageError
from groupglm.models.ols import OLS
from groupglm.spaces.volume import open_images
from groupglm.spaces.volume.space import VolumeSpace

distributed = pytest.importorskip("distributed")
# Ten files stand for hundreds of images.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* are one file:UserWarning"),
    # Effects of many standard errors, which would be odd in a study.
    pytest.mark.filterwarnings("ignore:variances look too small:UserWarning"),
]

SHAPE = (12, 13, 14)
N_FILES = 10
N = 3 * CHUNK + 17


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


def write(folder: Path, *, missing: bool, shape: tuple[int, int, int] = SHAPE) -> list[str]:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(N_FILES):
        values = rng.normal(1e4, 1, shape)
        if missing and i % 2:
            values[rng.uniform(size=shape) < 0.2] = np.nan
        values[:3] = values[-3:] = values[:, :3] = values[:, -3:] = 0
        values[:, :, :3] = values[:, :, -3:] = 0
        paths.append(str(folder / f"map{i}.nii.gz"))
        nib.save(image(values.astype(np.float32)), paths[-1])
    return paths


def cohort(paths: list[str], n: int = N) -> tuple[list[str], pd.DataFrame]:
    rng = np.random.default_rng(1)
    design = pd.DataFrame({"dose": rng.normal(size=n), "intercept": 1.0})
    return [paths[i % len(paths)] for i in range(n)], design


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("mask_given", [False, True])
def test_the_same_bits_as_on_one_machine(
    client: Any, tmp_path: Path, missing: bool, mask_given: bool
) -> None:
    images, design = cohort(write(tmp_path, missing=missing))
    inside = np.zeros(SHAPE, np.uint8)
    inside[4:8, 4:9, 4:9] = 1
    mask = image(inside) if mask_given else None

    def fit() -> SecondLevelModel:
        return SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)

    here = fit()
    with joblib.parallel_config(backend="dask"):
        there = fit()
    wanted = here.compute_contrast("dose", output_type="all")
    for name, found in there.compute_contrast("dose", output_type="all").items():
        np.testing.assert_array_equal(found.get_fdata(), wanted[name].get_fdata(), err_msg=name)
    np.testing.assert_array_equal(here.results_.beta, there.results_.beta)
    np.testing.assert_array_equal(here.results_.df_residual, there.results_.df_residual)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("mask_given", [False, True])
def test_workers_read_images_with_their_variances(
    client: Any, tmp_path: Path, missing: bool, mask_given: bool
) -> None:
    """An image and its variances are in one chunk; chunks are of as many images as without."""
    (tmp_path / "v").mkdir()
    images, _ = cohort(write(tmp_path, missing=missing))
    variances, _ = cohort(write(tmp_path / "v", missing=missing))
    design = pd.DataFrame({"intercept": np.ones(N)})
    inside = np.zeros(SHAPE, np.uint8)
    inside[4:8, 4:9, 4:9] = 1
    mask = image(inside) if mask_given else None
    cloudpickle.register_pickle_by_value(fake_models)  # workers do not have the tests
    start, stop = counting()

    def fit(known: Any = fake_models.KnownVariance()) -> SecondLevelModel:  # noqa: B008
        model = SecondLevelModel(mask_img=mask, model=known)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "variances are NaN or 0 beside a value")
            return model.fit(images, design_matrix=design, variances=variances)

    here = fit()
    with joblib.parallel_config(backend="dask"):
        there = fit()
    np.testing.assert_array_equal(here.mask_img_.dataobj, there.mask_img_.dataobj)
    np.testing.assert_array_equal(here.n_zeros_.dataobj, there.n_zeros_.dataobj)
    wanted = here.compute_contrast("intercept", output_type="all")
    for name, found in there.compute_contrast("intercept", output_type="all").items():
        np.testing.assert_array_equal(found.get_fdata(), wanted[name].get_fdata(), err_msg=name)
    np.testing.assert_array_equal(here.results_.n_observations, there.results_.n_observations)
    # A model that needs all rows has them read by this process.
    client.run(start)
    with joblib.parallel_config(backend="dask"):
        kept = fit(fake_models.KeptVariance())
    assert not sum(client.run(stop).values(), Counter())
    for name, found in kept.compute_contrast("intercept", output_type="all").items():
        np.testing.assert_allclose(found.get_fdata(), wanted[name].get_fdata(), rtol=1e-6)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("mask_given", [False, True])
def test_workers_read_subject_by_subject(
    client: Any, tmp_path: Path, missing: bool, mask_given: bool
) -> None:
    """Subjects in any order, with up to 90 images: a chunk ends with a subject, here and there."""
    sizes = [90, *np.tile([1, 2, 3, 5], 11), 1]
    who = np.random.default_rng(3).permutation(np.repeat(np.arange(len(sizes)), sizes))
    images, _ = cohort(write(tmp_path, missing=missing), len(who))
    design = pd.DataFrame({"one": np.ones(len(who))})
    inside = np.zeros(SHAPE, np.uint8)
    inside[4:8, 4:9, 4:9] = 1
    mask = image(inside) if mask_given else None
    cloudpickle.register_pickle_by_value(fake_repeated)  # workers do not have the tests
    start, stop = counting()
    labels = [f"s{number}" for number in who]

    def fit(model: Any) -> SecondLevelModel:
        return SecondLevelModel(mask_img=mask, model=model).fit(
            links, design_matrix=design, subjects=labels
        )

    links = []  # files of their own: one file is not two visits
    for number, path in enumerate(images):
        links.append(str(tmp_path / f"image{number}.nii.gz"))
        Path(links[-1]).write_bytes(Path(path).read_bytes())
    for model in (fake_repeated.MeanOfSubjects(), RepeatedMeasures()):
        here = fit(model)
        client.run(start)
        with joblib.parallel_config(backend="dask"):
            there = fit(model)
        counts: Counter[str] = sum(client.run(stop).values(), Counter())
        assert counts == dict.fromkeys(links, 1)
        np.testing.assert_array_equal(here.mask_img_.dataobj, there.mask_img_.dataobj)
        np.testing.assert_array_equal(here.results_.beta, there.results_.beta)
        wanted = here.compute_contrast("one", output_type="all")
        for name, found in there.compute_contrast("one", output_type="all").items():
            np.testing.assert_array_equal(found.get_fdata(), wanted[name].get_fdata(), name)


@pytest.mark.parametrize("mask_given", [False, True])
@pytest.mark.parametrize("roles", [("variances",), ("weights",), ("weights", "a", "b")])
def test_workers_fit_weights_covariates_and_variances(
    client: Any, tmp_path: Path, roles: tuple[str, ...], mask_given: bool
) -> None:
    """The same bits as here; three images a row, and 64 is no multiple of four rows."""
    rng = np.random.default_rng(7)
    images, design = cohort(write(tmp_path, missing=True))
    inside = np.zeros(SHAPE, np.uint8)
    inside[4:8, 4:9, 4:9] = 1
    files: dict[str, list[str]] = {}
    for role in roles:
        own = [str(tmp_path / f"{role}{number}.nii.gz") for number in range(N_FILES)]
        for path in own:
            nib.save(image(rng.uniform(0.5, 2, SHAPE).astype(np.float32)), path)
        files[role] = [own[number % N_FILES] for number in range(N)]
    covariates = {name: files.pop(name) for name in ("a", "b") if name in files}
    given: dict[str, Any] = {**files, "covariates": covariates or None}
    name = "fixed effects" if "variances" in roles else "ols"

    def fit() -> SecondLevelModel:
        model = SecondLevelModel(mask_img=image(inside) if mask_given else None, model=name)
        return model.fit(images, design_matrix=design, **given)

    here = fit()
    with joblib.parallel_config(backend="dask"):
        there = fit()
    np.testing.assert_array_equal(here.mask_img_.dataobj, there.mask_img_.dataobj)
    for column in here.design_matrix_:
        wanted = here.compute_contrast(column, output_type="all")
        for kind, found in there.compute_contrast(column, output_type="all").items():
            np.testing.assert_array_equal(found.get_fdata(), wanted[kind].get_fdata())


TARGET = {"target_affine": np.diag([2.0, 2.0, 2.0])}


@pytest.mark.parametrize("mask_given", [False, True])
@pytest.mark.parametrize(
    ("options", "n_readings"),
    [
        ({}, {True: 1, False: 1}),
        ({"smoothing_fwhm": 3}, {True: 1, False: 2}),
        (TARGET, {True: 2, False: 2}),
        ({**TARGET, "smoothing_fwhm": 3}, {True: 2, False: 2}),
    ],
)
def test_workers_read_images_as_often_as_the_guide_says(
    client: Any,
    tmp_path: Path,
    options: dict[str, Any],
    n_readings: dict[bool, int],
    mask_given: bool,
) -> None:
    """Once, and once more where the mask or the range of all values comes first; the same bits."""
    inside = np.zeros(SHAPE, np.uint8)
    inside[4:8, 4:9, 4:9] = 1
    mask = image(inside) if mask_given else None
    start, stop = counting()
    # So small a budget that a worker keeps values in a scratch file.
    for budget, missing in ((None, True), (1e6, False)):
        paths = write(tmp_path, missing=missing)
        images, design = cohort(paths)
        here = SecondLevelModel(mask_img=mask, memory_budget=budget, **options)
        here.fit(images, design_matrix=design)
        client.run(start)
        with joblib.parallel_config(backend="dask"):
            there = SecondLevelModel(mask_img=mask, memory_budget=budget, **options)
            there.fit(images, design_matrix=design)
        counts: Counter[str] = sum(client.run(stop).values(), Counter())
        assert counts == {path: n_readings[mask_given] * images.count(path) for path in paths}
        np.testing.assert_array_equal(here.mask_img_.dataobj, there.mask_img_.dataobj)
        np.testing.assert_array_equal(here.n_zeros_.dataobj, there.n_zeros_.dataobj)
        np.testing.assert_array_equal(here.results_.beta, there.results_.beta)
        wanted = here.compute_contrast("dose", output_type="all")
        for name, found in there.compute_contrast("dose", output_type="all").items():
            np.testing.assert_array_equal(found.get_fdata(), wanted[name].get_fdata())


def counting() -> tuple[Callable[[], None], Callable[[], Counter[str]]]:
    """Return what makes a worker count how often it reads each file, and what ends that.

    They are made here because a worker cannot import this module.
    """

    def start() -> None:
        from groupglm.spaces.volume.reading.source import CompressedVolume

        kind: Any = CompressedVolume
        kind.counts, kind.uncounted = Counter(), kind._stored_values

        def counted(self: Any) -> Any:
            kind.counts[self.name] += 1
            return kind.uncounted(self)

        kind._stored_values = counted

    def stop() -> Counter[str]:
        from groupglm.spaces.volume.reading.source import CompressedVolume

        kind: Any = CompressedVolume
        kind._stored_values = kind.uncounted
        found: Counter[str] = kind.counts
        return found

    return start, stop


def test_a_worker_reads_images_once_for_a_permutation_test(client: Any, tmp_path: Path) -> None:
    paths = write(tmp_path, missing=False)
    design = pd.DataFrame({"dose": np.linspace(-1, 1, N_FILES) ** 3, "intercept": 1.0})
    start, stop = counting()

    def permuted(seed: int) -> Any:
        return non_parametric_inference(
            paths,
            design_matrix=design,
            second_level_contrast="dose",
            n_perm=2000,
            random_state=seed,
            threshold=0.01,
        )

    for seed in (0, 1):  # of another test too
        wanted = permuted(seed)
        client.run(start)
        with joblib.parallel_config(backend="dask"):
            found = permuted(seed)
        counts = client.run(stop)
        for name in ("logp_max_t", "logp_max_size"):
            np.testing.assert_array_equal(found[name].dataobj, wanted[name].dataobj)
        # For the fit one of them, and each for its eight tasks or so.
        total = sum(counts.values(), Counter[str]())
        assert set(total) == set(paths)
        assert set(total.values()) <= {2, 3}


def test_a_killed_worker_costs_nothing_but_time(client: Any, tmp_path: Path) -> None:
    images, design = cohort(write(tmp_path, missing=False, shape=(60, 60, 60)), 12 * CHUNK)
    mask = image(np.pad(np.ones((20, 20, 20), np.uint8), 20))
    wanted = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    victim = min(client.run(os.getpid).values())
    done: list[int] = []

    def kill() -> None:
        time.sleep(0.3)
        os.kill(victim, signal.SIGKILL)
        done.append(victim)

    killer = threading.Thread(target=kill)
    with joblib.parallel_config(backend="dask"):
        killer.start()
        found = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    assert done, "the fit was over before the worker was killed"
    killer.join()
    assert found.results_.df_residual == wanted.results_.df_residual  # none lost, none twice
    np.testing.assert_array_equal(found.results_.beta, wanted.results_.beta)


def test_an_error_names_the_file_and_the_worker(client: Any, tmp_path: Path) -> None:
    images, design = cohort(write(tmp_path, missing=False))
    sources = open_images(images)
    Path(images[3]).unlink()  # it was there when the headers were read
    plan = OLS.prepare(np.ascontiguousarray(design.to_numpy()), tuple(design.columns))
    with (
        joblib.parallel_config(backend="dask"),
        pytest.raises(ImageError, match=r"map3\.nii\.gz: .*\(on worker \S+, process \d+\)"),
    ):
        accumulate(sources, VolumeSpace(sources[0].grid), plan, Reading(n_threads=1))


def test_images_in_memory_are_not_sent_by_the_gigabyte(client: Any) -> None:
    values = np.ones((100, 100, 100), np.float32)
    large = [image(values) for _ in range(20)]
    design = pd.DataFrame({"intercept": np.ones(20)})
    model = SecondLevelModel(mask_img=image(np.ones((100, 100, 100), np.uint8)))
    with (
        joblib.parallel_config(backend="dask"),
        pytest.raises(ValueError, match=r"in memory and would be sent to the workers \(80 MB\)"),
    ):
        model.fit(large, design_matrix=design)


def test_what_travels_is_small(tmp_path: Path) -> None:
    """Names of files and the runs of the mask, not pixels and not a number a voxel."""
    paths = write(tmp_path, missing=False)
    sources = open_images(paths)
    assert len(pickle.dumps(sources)) < 1000 * len(paths)
    inside = np.zeros((91, 109, 91), bool)
    inside[20:70, 20:90, 20:70] = True
    grid = type(sources[0].grid)(inside.shape, np.eye(4))
    space = VolumeSpace(grid, np.flatnonzero(inside.ravel(order="F")))
    stored = pickle.dumps(space)
    assert len(stored) < 100_000
    again = pickle.loads(stored)  # noqa: S301
    np.testing.assert_array_equal(again.indices, space.indices)
