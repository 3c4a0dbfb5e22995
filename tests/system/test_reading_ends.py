# SPDX-License-Identifier: BSD-3-Clause
"""Whatever stops the reading of images, the reading threads end at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.estimator.group_model import fitted_group
from groupglm.group.fitted_group import FittedGroup
from groupglm.inference.permutation.group_test import ImageData
from groupglm.report import data_quality


class StoppedError(Exception):
    """The exception that stops the reading."""


class Breaking(np.ndarray[Any, Any]):
    """An array that cannot be written to."""

    def __setitem__(self, key: object, value: object) -> None:
        raise StoppedError


def fitted() -> FittedGroup:
    rng = np.random.default_rng(0)
    images = [
        nib.Nifti1Image(rng.normal(size=(30, 30, 30)), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(150)
    ]
    mask = nib.Nifti1Image(np.ones((30, 30, 30), np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    model = SecondLevelModel(mask_img=mask, minimize_memory=False, n_jobs=2)
    model.fit(images, design_matrix=pd.DataFrame({"one": np.ones(150)}))
    return fitted_group(model)


def look(group: FittedGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise StoppedError

    monkeypatch.setattr(data_quality._Fit, "compare", stop)
    data_quality.look_at_images(group, np.array([0]))


def load(group: FittedGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = np.empty
    whole = (len(group.sources), group.space.n_values)

    def breaking(shape: Any, *args: Any, **options: Any) -> Any:
        made = empty(shape, *args, **options)
        return made.view(Breaking) if shape == whole else made

    monkeypatch.setattr(np, "empty", breaking)
    ImageData(group.rows).load(2)


@pytest.mark.parametrize("read", [look, load])
def test_no_thread_outlives_an_error(
    read: Callable[[FittedGroup, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = fitted()
    before = threading.active_count()
    with pytest.raises(StoppedError) as stopped:
        read(group, monkeypatch)
    # While the traceback holds the generator.
    assert stopped.tb is not None
    assert threading.active_count() == before
