# SPDX-License-Identifier: BSD-3-Clause
"""With any arguments the compiled core raises or returns; the process never crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm import _core
from reference import core_doors
from reference.core_doors import CLASSES, P, V, calls, design, empty, neighbours, state

SPECIAL = {"RANK_TOLERANCE", "ESTIMABLE_TOLERANCE", "InfiniteValueError"}
INHERITED = set(dir(object)) | {"_pybind11_conduit_v1_", "__module__", "__setstate__"}


def test_no_name_of_the_core_is_forgotten() -> None:
    module: Any = _core
    found = {name for name in vars(module._module) if not name.startswith("_")} - SPECIAL
    known = {name.partition(".")[0] for name in calls()}
    assert found == known
    for kind in CLASSES:
        functions = {
            name
            for name in set(dir(kind)) - INHERITED
            if not name.startswith("__pybind11") and not isinstance(getattr(kind, name), property)
        }
        assert functions == {
            name.partition(".")[2] for name in calls() if name.startswith(f"{kind.__name__}.")
        }


@pytest.mark.parametrize("name", calls())
def test_the_right_arguments_are_right(name: str) -> None:
    function, right = calls()[name]
    if name == "use_inner_loops":
        assert core_doors.attempt(function, right)
    else:
        function(*right)


def test_wrong_arguments_end_no_process() -> None:
    program = Path(core_doors.__file__)
    found = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-X", "faulthandler", str(program)],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-300:] + found.stderr[-3000:]
    assert found.stdout.split()[-1] == "done"


@pytest.mark.parametrize("name", calls())
def test_what_was_never_initialised_is_refused(name: str) -> None:
    function, right = calls()[name]
    for place, argument in enumerate(right):
        if isinstance(argument, CLASSES):
            arguments = [*right[:place], empty(type(argument)), *right[place + 1 :]]
            with pytest.raises(TypeError):
                function(*arguments)


@pytest.mark.parametrize("kind", CLASSES)
def test_properties_of_what_was_never_initialised(kind: type[Any]) -> None:
    made = empty(kind)
    names = [name for name in dir(kind) if isinstance(getattr(kind, name), property)]
    assert names
    for name in names:
        with pytest.raises(TypeError):
            getattr(made, name)
    with pytest.raises(TypeError):
        made.__getstate__()


@pytest.mark.parametrize("places", [[1, 0], [0, 0], [-1, 0], [0, 9], [2**62, 1], [0, -(2**63)]])
def test_places_out_of_order_or_range(places: list[int]) -> None:
    wrong = np.array(places)
    with pytest.raises(ValueError, match="places"):
        _core.scatter(np.ones(2), wrong, np.zeros(9, np.float32))
    with pytest.raises(ValueError, match="indices"):
        _core.Neighbours.of_volume((3, 3, 1), wrong, 6)
    with pytest.raises(ValueError, match=r"neighbour|mutual|increase"):
        _core.Neighbours.of_adjacency(np.array([0, 2, 2]), np.clip(wrong, -1, 9).astype(np.int32))
    with pytest.raises(ValueError, match="starts"):
        _core.Neighbours.of_adjacency(np.array([0, 5, 1]), np.array([1, 0], np.int32))
    if max(places) >= V or min(places) < 0:
        with pytest.raises(IndexError):
            state().select(wrong)


@pytest.mark.parametrize("runs", [[[-1, 5]], [[0, 71]], [[69, 2]], [[0, -1]], [[2**62, 5]],
                                  [[0, 2**62]], [[0, 2], [3, 4]], [[0, 4]]])  # fmt: skip
def test_runs_out_of_range(runs: list[list[int]]) -> None:
    for gather in (_core.gather, _core.gather_rest_is_zero):
        with pytest.raises(ValueError, match="runs"):
            gather(np.ones(V), np.array(runs), np.zeros(5))


@pytest.mark.parametrize("runs", [[[9, 2], [0, 3]], [[0, 3], [2, 2]]])
def test_runs_that_do_not_increase(runs: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="runs must increase and not overlap"):
        _core.gather_rest_is_zero(np.ones(V), np.array(runs), np.zeros(5))


def test_sizes_that_cannot_be() -> None:
    for sizes in ((-1, 5), (2, -1)):
        with pytest.raises(ValueError, match="at least 0"):
            _core.OlsState(*sizes)
    with pytest.raises(MemoryError):
        _core.OlsState(P, 2**62)
    for first, count in ((-1, 2), (0, 0), (7, 2), (2**62, 1), (1, 2**62)):
        with pytest.raises(IndexError):
            design().rows(first, count)
    for first_row in (-1, 1, 2**62):
        with pytest.raises(ValueError, match="rows"):
            state().update(design(), first_row, core_doors.data(), 1)
    with pytest.raises(ValueError, match="one for each place"):
        _core.label_clusters(np.ones(V - 1), neighbours(), 1.0, True)
