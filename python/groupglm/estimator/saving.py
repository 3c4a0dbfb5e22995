# SPDX-License-Identifier: BSD-3-Clause
"""Saving and loading a fitted model: `save_model`, `load_model`."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd

from groupglm.design.origins import recorded_origins, with_recorded
from groupglm.errors import ArgumentError, in_quotes, shown, warn_caller
from groupglm.estimator.model_file import damaged, pack_fit, read_archive, unpack_fit, write_archive
from groupglm.estimator.model_file_facts import is_parameter
from groupglm.estimator.model_fits import ModelFits
from groupglm.group.fitted_group import MISSING, FittedGroup
from groupglm.inference.random_fields.smoothness import Smoothness
from groupglm.inputs.first_level import plain_contrast
from groupglm.inputs.image_labels import without_labels
from groupglm.models.kinds import given_model
from groupglm.runtime.arguments import check_choice
from groupglm.runtime.paths import given_path, refuse_inputs
from groupglm.runtime.workers import check_jobs
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry
from groupglm.tabular.levels import levels_of, with_levels

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load_model", "save_model"]

_KEPT = ("target_affine", "target_shape", "smoothing_fwhm", "verbose", "n_jobs", "minimize_memory")
_MISSING = ("missing", "zero_is_missing")


def save_model(
    parameters: Mapping[str, Any], fits: ModelFits, path: str | os.PathLike[str]
) -> Path:
    """Write a fitted model to a file: its parameters by name, and its fits."""
    current = fits.current
    target = given_path("path", path)
    refuse_inputs("path", target, fits.files)
    kinds, arrays, place_of_current = [], {}, 0
    for place, (kind, group, design) in enumerate(fits):
        facts, members = pack_fit(str(place), group)
        known: dict[str, Any] = {
            "levels": levels_of(design),
            "origins": recorded_origins(design),
        }
        smooth = fits.known_smoothness(kind)
        if smooth is not None:
            known["smoothness"] = smooth.facts()
        kinds.append({"kind": kind, "labels": _labels(design), **known, **facts})
        arrays.update(members)
        if group is current:
            place_of_current = place
    facts = {
        "parameters": {name: _parameter(name, parameters[name]) for name in (*_KEPT, *_MISSING)},
        "mask_was_given": parameters["mask_img"] is not None,
        "current": place_of_current,
        "fits": kinds,
    }
    return write_archive(target, facts, arrays)


def load_model(
    path: str | os.PathLike[str], geometry: Geometry = NO_GEOMETRY
) -> tuple[ModelFits, dict[str, Any]]:
    """Read the fits of a saved model, and the attributes that it had besides, by name.

    The places of the fits are put on the surfaces of `geometry`, if it has any.
    """
    file = given_path("path", path)
    facts, arrays = read_archive(file)
    attributes = {name: facts["parameters"][name] for name in (*_KEPT, *_MISSING)}
    for name in ("target_affine", "target_shape"):
        if attributes[name] is not None:
            attributes[name] = np.array(attributes[name])
    for missing in (attributes["missing"], *(own["missing"] for own in facts["fits"])):
        if missing not in MISSING:
            raise damaged(file, f"its missing is {missing!r}, none of {', '.join(MISSING)}")
    n_threads = check_jobs(attributes["n_jobs"])
    made: dict[Hashable, tuple[FittedGroup, pd.DataFrame]] = {}
    smoothness: dict[Hashable, Smoothness] = {}
    for place, own in enumerate(facts["fits"]):
        space, result, n_zeros = unpack_fit(str(place), own, arrays, file, n_threads)
        if geometry.given:
            space = space.on_surfaces(geometry)
        sources = tuple(space.absent_source(name, str(file)) for name in own["images"])
        design = pd.DataFrame(result.X, index=own["labels"], columns=list(own["columns"]))
        with_levels(design, own.get("levels") or {})  # earlier files have none
        with_recorded(design, own.get("origins") or {})
        group = FittedGroup(space, result, sources, attributes["missing"], n_zeros)
        made[own["kind"]] = group, design
        if own.get("smoothness") is not None:  # only if it was asked for
            smoothness[own["kind"]] = _smoothness(own["smoothness"], file)
    kinds = _SavedKinds(made, file)
    fits = ModelFits(kinds, kinds.fit, made=made, current=facts["current"], smoothness=smoothness)
    if facts["mask_was_given"]:
        attributes["mask_img"] = fits.current.space.mask_image()
    attributes["model"] = given_model(without_labels(fits.current.result.model))
    attributes |= {
        "memory_": joblib.Memory(location=None),
        "confounds_": None,
        "second_level_input_": kinds.given,
    }
    return fits, attributes


def _smoothness(facts: Any, file: Path) -> Smoothness:
    try:
        return Smoothness.of_facts(facts)
    except (TypeError, ValueError) as error:  # not even a dictionary
        raise damaged(file, str(error)) from error


class _SavedKinds:
    """The kinds of maps that were fitted when a model was saved."""

    def __init__(self, fits: dict[Hashable, tuple[FittedGroup, pd.DataFrame]], file: Path) -> None:
        self._fits = fits
        self._file = file
        group, self.first_design = next(iter(fits.values()))
        self.given = [source.name for source in group.images]

    def kind(self, first_level_contrast: Any) -> Hashable:
        """Return the kind; refuse one that was not fitted."""
        if None in self._fits:
            if first_level_contrast is not None:
                chosen = plain_contrast(first_level_contrast)
                warn_caller(
                    f"first_level_contrast={shown(chosen)} has no effect: the model was fitted to "
                    "images"
                )
            return None
        if first_level_contrast is None and len(self._fits) == 1:
            return next(iter(self._fits))
        if first_level_contrast is not None:
            wanted = plain_contrast(first_level_contrast)
            for kind in (wanted, json.dumps(wanted)):
                if isinstance(kind, str) and kind in self._fits:
                    return kind
        raise ArgumentError(
            "first_level_contrast",
            (
                f"{shown(first_level_contrast)}, but {in_quotes(self._file)} holds the fits of "
                f"{', '.join(map(repr, self._fits))}"
            ),
            remedy="choose one, or fit the model again",
        )

    def fit(self, first_level_contrast: Any) -> tuple[FittedGroup, pd.DataFrame]:
        """Return the fit of a kind and its design."""
        return self._fits[self.kind(first_level_contrast)]


def _labels(design: pd.DataFrame) -> list[str] | None:
    """Return the rows' labels, if they are more than numbers of rows."""
    if isinstance(design.index, pd.RangeIndex):
        return None
    return [str(label) for label in design.index]


def _parameter(name: str, value: Any) -> Any:
    """Return a parameter for JSON; refuse a value set after the fit that no fit accepts."""
    if name == "missing":
        check_choice(name, value, MISSING)
    plain = _plain(value)
    if not is_parameter(name, plain):
        raise ArgumentError(name, shown(value), "one that fit takes", "set it again by set_params")
    return plain


def _plain(value: Any) -> Any:
    """Return a value with JSON's types in place of arrays and numpy's numbers."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Real) and not isinstance(value, int) else value
