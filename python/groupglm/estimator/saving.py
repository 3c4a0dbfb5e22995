# SPDX-License-Identifier: BSD-3-Clause
"""The estimator's ``save`` and ``load``."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import joblib
import numpy as np
import pandas as pd

from groupglm.design.origins import recorded_origins, with_recorded
from groupglm.errors import in_quotes, warn_caller
from groupglm.estimator.holding_fits import HoldsFits
from groupglm.estimator.model_file import damaged, pack_fit, read_archive, unpack_fit, write_archive
from groupglm.group.fitted_group import MISSING, FittedGroup
from groupglm.inputs.first_level import plain_contrast
from groupglm.runtime.paths import given_path, refuse_inputs
from groupglm.runtime.workers import check_jobs
from groupglm.tabular.levels import levels_of, with_levels

if TYPE_CHECKING:
    from groupglm.spaces.base import Source

__all__ = ["SavingMixin"]

_KEPT = ("target_affine", "target_shape", "smoothing_fwhm", "verbose", "n_jobs", "minimize_memory")
_MISSING = ("missing", "zero_is_missing")


class SavingMixin(HoldsFits):
    """The part of the estimator that keeps a fit in a file."""

    confounds_: pd.DataFrame | None
    mask_img: Any
    missing: Any
    zero_is_missing: bool
    n_jobs: int | None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the fitted model, so that contrasts can be computed anywhere without the images.

        About 8 (n_columns + 2) bytes a voxel. The format, zip of numpy arrays and JSON, is
        described in `groupglm.estimator.model_file`; it is not a pickle.
        """
        current = self._current()
        target = given_path("path", path)
        refuse_inputs("path", target, self._inputs())
        kinds, arrays = [], {}
        for place, (kind, (group, design)) in enumerate(self._fits.items()):
            facts, members = pack_fit(str(place), group)
            known = {"levels": levels_of(design), "origins": recorded_origins(design)}
            kinds.append({"kind": kind, "labels": _labels(design), **known, **facts})
            arrays.update(members)
        parameters = {name: _plain(getattr(self, name)) for name in _KEPT}
        facts = {
            "parameters": {**parameters, **{name: getattr(self, name) for name in _MISSING}},
            "mask_was_given": self.mask_img is not None,
            "current": [group for group, _ in self._fits.values()].index(current),
            "fits": kinds,
        }
        return write_archive(target, facts, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load a model that `save` wrote.

        Contrasts, R-squared and predictions are those of the model that was saved. What reads
        images again, such as residuals, is refused: fit the model again for it. No code in the file
        is executed.
        """
        file = given_path("path", path)
        facts, arrays = read_archive(file)
        return cls()._restore(facts, arrays, file)

    def _restore(self, facts: dict[str, Any], arrays: dict[str, Any], file: Path) -> Self:
        parameters = facts["parameters"]
        for name in (*_KEPT, *_MISSING):
            setattr(self, name, parameters[name])
        for name in ("target_affine", "target_shape"):
            if getattr(self, name) is not None:
                setattr(self, name, np.array(getattr(self, name)))
        for missing in (self.missing, *(own["missing"] for own in facts["fits"])):
            if missing not in MISSING:
                raise damaged(file, f"its missing is {missing!r}, none of {', '.join(MISSING)}")
        n_threads = check_jobs(self.n_jobs)
        self._fits = {}
        for place, own in enumerate(facts["fits"]):
            space, result, n_zeros = unpack_fit(str(place), own, arrays, file, n_threads)
            sources = tuple(space.absent_source(name, str(file)) for name in own["images"])
            design = pd.DataFrame(result.X, index=own["labels"], columns=list(own["columns"]))
            with_levels(design, own.get("levels") or {})  # earlier files have none
            with_recorded(design, own.get("origins") or {})
            group = FittedGroup(space, result, sources, self.missing, n_zeros)
            self._fits[own["kind"]] = group, design
        self._group, self.design_matrix_ = list(self._fits.values())[facts["current"]]
        self._cohort = _SavedCohort(self._fits, file)
        if facts["mask_was_given"]:
            self.mask_img = self._group.space.mask_image()
        self.memory_ = joblib.Memory(location=None)
        self.confounds_ = None
        self.second_level_input_ = self._cohort.given
        return self


class _SavedCohort:
    """The kinds of maps that were fitted when a model was saved."""

    def __init__(self, fits: dict[Hashable, tuple[FittedGroup, pd.DataFrame]], file: Path) -> None:
        self._fits = fits
        self._file = file
        group, self.first_design = next(iter(fits.values()))
        self.given = [source.name for source in group.sources]
        self.has_one_kind = len(fits) == 1

    def kind(self, first_level_contrast: Any) -> Hashable:
        """Return the kind; refuse one that was not fitted."""
        if None in self._fits:
            if first_level_contrast is not None:
                chosen = plain_contrast(first_level_contrast)
                warn_caller(
                    f"first_level_contrast={chosen!r} has no effect: the model was fitted to images"
                )
            return None
        if first_level_contrast is None and self.has_one_kind:
            return next(iter(self._fits))
        if first_level_contrast is not None:
            wanted = plain_contrast(first_level_contrast)
            for kind in (wanted, json.dumps(wanted)):
                if isinstance(kind, str) and kind in self._fits:
                    return kind
        raise ValueError(
            f"first_level_contrast is {first_level_contrast!r}, but {in_quotes(self._file)} "
            "holds the fits "
            f"of {', '.join(map(repr, self._fits))}; choose one, or fit the model again"
        )

    def open(self, first_level_contrast: Any, *, same_grid: bool) -> list[Source]:
        """Return the images, which cannot be read."""
        del same_grid
        group, _ = self._fits[self.kind(first_level_contrast)]
        return list(group.sources)

    def design(self, first_level_contrast: Any) -> pd.DataFrame:
        """Return the design of a kind."""
        return self._fits[self.kind(first_level_contrast)][1]


def _labels(design: pd.DataFrame) -> list[str] | None:
    """Return the rows' labels, where they are more than numbers of rows."""
    if isinstance(design.index, pd.RangeIndex):
        return None
    return [str(label) for label in design.index]


def _plain(value: Any) -> Any:
    """Turn arrays into lists, for JSON."""
    return value if value is None else np.asarray(value).tolist()
