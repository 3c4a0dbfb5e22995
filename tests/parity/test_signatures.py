# SPDX-License-Identifier: BSD-3-Clause
"""Every common function has nilearn's parameters: names, order, kinds and defaults.

Parameters of our own come after, by keyword only. A call that was written for nilearn, by position
or by name, then means the same here.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import re
from typing import Any

import pytest
from sklearn.base import BaseEstimator, clone

import groupglm
from parity.test_import_paths import MODULES

# The default is another object in nilearn, which stands for the same.
_SAME_DEFAULTS = {("plot_stat_map", "bg_img"): "MNI152TEMPLATE"}

# What differs, and why.
DIFFERENT = {
    "HTMLReport": "nilearn's makes a page of its own templates, ours holds a page",
    "plot_surf_stat_map": "nilearn's draws one hemisphere of a mesh, ours a map of both",
}


def _common() -> list[tuple[str, str]]:
    found = []
    for module in MODULES:
        ours = importlib.import_module(f"groupglm.{module}")
        nilearn = importlib.import_module(f"nilearn.{module}")
        names = set(ours.__all__) & set(nilearn.__all__)
        found += [(module, name) for name in sorted(names) if callable(getattr(ours, name))]
    return found


def _both(module: str, name: str) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """Return the parameters of nilearn's and of ours; `name` may be of a method."""
    found = []
    for package in ("nilearn", "groupglm"):
        member: Any = importlib.import_module(f"{package}.{module}")
        for part in name.split("."):
            member = getattr(member, part)
        found.append(list(inspect.signature(member).parameters.values()))
    return found[0], found[1]


def _check(module: str, name: str) -> None:
    theirs, ours = _both(module, name)
    wanted = [own.name for own in theirs if own.kind is not own.VAR_KEYWORD]
    assert [own.name for own in ours][: len(wanted)] == wanted
    for nilearns, own in zip(theirs, ours, strict=False):
        if nilearns.kind is nilearns.VAR_KEYWORD:
            break
        assert own.kind is nilearns.kind, own
        if (name, own.name) in _SAME_DEFAULTS:
            assert own.default == _SAME_DEFAULTS[name, own.name]
        else:
            assert type(own.default) is type(nilearns.default), own
            assert own.default == nilearns.default, own
    further = ours[len(wanted) :]
    assert all(own.kind in (own.KEYWORD_ONLY, own.VAR_KEYWORD) for own in further), further


@pytest.mark.parametrize(("module", "name"), _common())
def test_a_function_has_nilearns_parameters(module: str, name: str) -> None:
    if name in DIFFERENT:
        with pytest.raises(AssertionError):
            _check(module, name)
        return
    _check(module, name)


@pytest.mark.parametrize("method", ["fit", "compute_contrast", "generate_report"])
def test_a_method_of_the_model_has_nilearns_parameters(method: str) -> None:
    _check("glm.second_level", f"SecondLevelModel.{method}")


def _calls() -> list[tuple[str, str]]:
    model = inspect.getmembers(groupglm.SecondLevelModel, callable)
    inherited = set(dir(BaseEstimator)) | {"set_output"}  # scikit-learn names its own bases
    inherited |= {name for name, _ in model if name.endswith("_request")}
    methods = [name for name, _ in model if name[0] != "_" and name not in inherited]
    ours = [(name, getattr(groupglm, name)) for name in groupglm.__all__]  # some are compiled
    functions = [
        (name, "") for name, own in ours if inspect.isfunction(own) or inspect.isclass(own)
    ]
    return [*functions, *(("SecondLevelModel", method) for method in methods)]


@pytest.mark.parametrize(("name", "method"), _calls())
def test_an_unknown_argument_is_said_of_the_name_that_was_called(name: str, method: str) -> None:
    member: Any = getattr(groupglm, name)
    said = f"{name}.{method}" if method else name
    said += ".__init__" if inspect.isclass(member) and not method else ""
    with pytest.raises(TypeError, match=rf"^{re.escape(said)}\(\) (got an unexp|missing)"):
        (getattr(member(), method) if method else member)(no_such=1)


def test_the_model_stays_an_estimator_that_can_be_looked_into() -> None:
    model = groupglm.SecondLevelModel(smoothing_fwhm=6.0, missing="zero")
    assert clone(model).get_params() == model.get_params()
    parameters = inspect.signature(groupglm.SecondLevelModel).parameters
    assert set(parameters) == set(model.get_params())
    for name in ("compute_contrast", "load", "residuals"):
        method = getattr(groupglm.SecondLevelModel, name)
        assert pickle.loads(pickle.dumps(method)) == method  # noqa: S301 - ours
