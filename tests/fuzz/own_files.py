# SPDX-License-Identifier: BSD-3-Clause
"""Files that we write ourselves or find beside images, and what must hold when they are damaged.

A *case* is bytes: the first says which reader the rest is given to: a saved model, the state of a
permutation test, a sidecar, a table of participants, a table of regions, a map of regions.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from groupglm import SecondLevelModel, permuted_ols
from groupglm.cli.steps.report_folder import ModelFolder
from groupglm.errors import ArgumentError
from groupglm.inference.permutation.resuming import load_state
from groupglm.inputs.matching import read_participants
from groupglm.runtime.sidecars import read_json
from groupglm.spaces.registry import kind_of, open_inputs

NAMES = ("m.groupglm", "null.npz", "a.json", "participants.tsv", "regions.tsv", "z.tsv")


def cases() -> Iterator[bytes]:
    """Make sound cases of every kind."""
    for number, contents in enumerate(_sound()):
        for content in contents:
            yield bytes([number]) + content


@functools.cache
def _sound() -> tuple[list[bytes], ...]:
    rng = np.random.default_rng(0)
    design = pd.DataFrame({"age": rng.normal(size=5), "intercept": 1.0})
    images: list[Any] = [
        nib.Nifti1Image(rng.normal(size=(3, 2, 2)), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(5)
    ]
    beside: list[Any] = [
        nib.Nifti1Image(rng.uniform(0.5, 2, (3, 2, 2)), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(5)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = []
        for kind, given in (
            ("ols", {}),
            ("ols", {"weights": beside, "covariates": {"grey": beside[::-1]}}),
            ("fixed effects", {"variances": beside}),
            ("mixed effects", {"variances": beside}),
        ):
            model = SecondLevelModel(model=kind).fit(images, design_matrix=design, **given)
            models.append(model.save(folder / NAMES[0]).read_bytes())
        state = folder / NAMES[1]
        data = rng.normal(size=(8, 3))
        permuted_ols(rng.normal(size=(8, 1)), data, n_perm=9, resume=state, random_state=1)
        archives = [models, [state.read_bytes()]]
    sidecar = {
        "Contrast": {"Name": "a", "Expression": "a", "Columns": ["a", "b"], "Weights": [1, 0]},
        "Correction": {"HeightControl": "fdr", "Alpha": 0.05, "TwoSided": True},
        "Permutation": {"ClusterFormingP": 0.001, "TwoSided": True},
        "NumberOfPermutations": 100,
        "NumberAskedFor": 100,
        "DesignHash": "x",
        "Settings": {"Mask": None},
        "SoftwareVersions": {"groupglm": "0.1.0"},
    }
    tables = [
        b"participant_id\tage\tgroup\nsub-01\t31\tpatient\nsub-02\tn/a\tcontrol\n",
        b'subject_label\t"a ""b"""\n01\t1e3\n02\t-5\n',
    ]
    regions = [
        b"participant_id\tV1\tNA\nsub-01\t3.1\t-2\nsub-02\tn/a\t1e-3\nsub-03\t1\t0\n",
        b'V1\t"left ""hippocampus"""\n1\t2\n3\t4\n',
    ]
    maps = [b"region\tz_score of contrast age\nV1\t3.1\nNA\tn/a\nMT\t-0.5\n"]
    return (*archives, [json.dumps(sidecar).encode()], tables, regions, maps)


def check(case: bytes, folder: Path) -> str:
    """Read a case as the file that its first byte says; it is refused in words, or it is sound.

    Parameters
    ----------
    case : bytes
        Any bytes, at least one.
    folder : pathlib.Path
        An empty folder.

    Returns
    -------
    str
        "refused" or "sound".

    Raises
    ------
    AssertionError
        If what was read is not what it should be, or a refusal does not name the file.
    Exception
        Anything but a ValueError is a fault of the package.
    """
    number = case[0] % len(NAMES)
    path = folder / NAMES[number]
    path.write_bytes(case[1:])
    try:
        _CHECKS[number](path)
    except ValueError as error:
        assert path.name in str(error), error  # noqa: PT017
        faults = (MemoryError, SystemError, AssertionError)
        assert not isinstance(error.__cause__, faults), error  # noqa: PT017
        return "refused"
    return "sound"


def _check_model(path: Path) -> None:
    model = SecondLevelModel.load(path)
    n_columns = len(model.design_matrix_.columns)
    try:
        model.compute_contrast(np.eye(n_columns)[0])
    except ArgumentError as error:
        # A weighted fit has a factor for each place. Those of a file may leave the contrast without
        # an estimate or within no double at any place, as the data of a fit may.
        if error.argument != "second_level_contrast":
            raise


def _check_state(path: Path) -> None:
    state = load_state(path)
    assert state.seed >= 0
    assert {len(maxima) for maxima in state.null.values()} <= {state.n_done}
    assert not any(np.isnan(maxima).any() for maxima in state.null.values())


def _check_sidecar(path: Path) -> None:
    facts = read_json(path)
    if facts is None or "Contrast" not in facts or "SoftwareVersions" not in facts:
        return
    if not isinstance(facts["SoftwareVersions"], dict):
        return
    if "groupglm" not in facts["SoftwareVersions"]:
        return
    # As beside a model of the same study; what is said of a content is checked elsewhere.
    facts.pop("File", None)
    (path.parent / "m.json").write_text(json.dumps(facts), encoding="utf-8")
    text = json.dumps(facts)
    (path.parent / "contrast-a_stat-z_statmap.json").write_text(text, encoding="utf-8")
    (path.parent / "contrast-a_stat-z_statmap.nii.gz").touch()
    (path.parent / "m.groupglm").touch()
    try:
        ModelFolder.of(path.parent / "m.groupglm")
    except ValueError as error:
        assert "statmap" in str(error) or "m.groupglm" in str(error), error  # noqa: PT017
        raise ValueError(f"{path.name}: {error}") from error


def _check_participants(path: Path) -> None:
    table = read_participants(path)
    assert table.index.is_unique
    assert table.columns.is_unique


def _check_regions(path: Path) -> None:
    sources = open_inputs(path)
    assert len(sources) > 1
    for source in sources:
        row = np.empty(int(source.extent.split()[0].replace(",", "")))
        kind_of(path).masking(None, None, None, None, zero_is_missing=False).as_stored(
            [source]
        ).read_stored(source, row)
        assert not np.isinf(row).any()


def _check_map(path: Path) -> None:
    source, space = kind_of(path).open_map(path, "map")
    row = np.empty(space.n_values)
    space.read_stored(source, row)
    assert len(set(space.value_names())) == len(row) > 0


_CHECKS = (
    *(_check_model, _check_state, _check_sidecar, _check_participants),
    *(_check_regions, _check_map),
)
