# SPDX-License-Identifier: BSD-3-Clause
"""What a fit says of the variances, weights and covariates beside its images: `check_beside`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, warn_caller
from groupglm.messages import argument
from groupglm.models.base import Weighs
from groupglm.models.mixed_fit import FEW_DF, LARGE_RATIO, MixedFit
from groupglm.runtime.naming import listed, one_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.base import Model
    from groupglm.spaces.base import Space
    from groupglm.spaces.kinds import Masking

__all__ = ["check_beside", "refuse_clashing_names", "refuse_smoothing"]

_MUCH = 0.5
_AT_MANY = 0.2
"""An image with more than this share of the weight, at more than this share of the places."""

_AT_SOME = 0.01
"""Images that are too few and too unequal are reported at more than this share of the places."""


def check_beside(group: FittedGroup, subjects: Sequence[str]) -> None:
    """Refuse or report values beside the images that cannot be used, or decide alone.

    Parameters
    ----------
    group : FittedGroup
        A fit.
    subjects : sequence of str
        What each image is called.

    Raises
    ------
    groupglm.errors.ArgumentError
        If variances or weights are negative, or cannot be used anywhere in an image.

    Warns
    -----
    UserWarning
        If some cannot be used beside a finite effect; if one image has most of the weight at many
        places; if variances are too unequal for so few images; if covariates are constant.
    """
    result = group.result
    if not isinstance(result, Weighs):
        return
    role = result.model.beside[0]
    if role != "covariate":
        counts = result.counts()
        nobody = not np.any(np.asarray(result.n_observations) > 0)
        if nobody and not counts["negative"].any():
            raise ArgumentError.about(
                f"{role}s",
                f"{role}s are 0 wherever the images have a value: no image counts",
                "check the files",
            )
        if counts["negative"].any() or counts["unusable"].any():
            _refuse_or_report_values(group, subjects, f"{role}s")
        _report_dominance(group, subjects, f"{role}s")
    if isinstance(result, MixedFit):
        _report_unequal_variances(result, group.space)
    _report_constant_covariates(group)


def _refuse_or_report_values(group: FittedGroup, subjects: Sequence[str], name: str) -> None:
    negative, unusable, usable = _counts_by_image(group)
    words = group.space.place_words
    squares = (
        "variances are the squares of standard errors: check that these are no effects or "
        "statistics, and "
        if name == "variances"
        else ""
    )
    if negative.any():
        raise ArgumentError.about(
            name,
            f"{name} are negative at {words[1]} of {_how_many(negative, subjects, words)}",
            squares + "replace what cannot be by NaN, which leaves it out",
        )
    if not unusable.any():
        return
    what = "NaN or 0" if name == "variances" else "NaN"
    empty = np.flatnonzero((unusable > 0) & (usable == 0)).tolist()
    if empty:
        raise ArgumentError.about(
            name,
            f"{name} are {what} wherever the images of "
            f"{listed([subjects[image] for image in empty])} have a value",
            "check the files, or leave these images out",
        )
    warn_caller(
        f"{name} are {what} beside a value at {words[1]} of "
        f"{_how_many(unusable, subjects, words)}; these values are left out"
    )


def _how_many(counts: NDArray[np.int64], subjects: Sequence[str], words: tuple[str, str]) -> str:
    own = [
        f"{subjects[image]} ({counts[image]:,} {words[0] if counts[image] == 1 else words[1]})"
        for image in np.flatnonzero(counts).tolist()
    ]
    return f"{len(own)} of {len(counts)} images: {listed(own)}"


def _counts_by_image(
    group: FittedGroup,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Read the images again; return how many places of each are negative, unusable and usable."""
    zero_is_none = group.result.model.beside[0] == "variance"
    counts = np.zeros((3, len(group.images)), np.int64)
    # Closed explicitly: after an error, its traceback would keep the reading threads alive.
    with closing(group.rows_of_images()) as images:
        for image, (y, v, *_) in images:
            here, bad = np.isfinite(y), np.isnan(v)
            if zero_is_none:
                here &= (y != 0) | (v != 0)
                bad |= v == 0
            found = (v < 0, bad & here, here & ~bad)
            counts[:, image] = [np.count_nonzero(each) for each in found]
    negative, unusable, usable = counts
    return negative, unusable, usable


def _report_dominance(group: FittedGroup, subjects: Sequence[str], name: str) -> None:
    result: Any = group.result
    if len(subjects) < 4:  # of two or three images one has often most of the weight
        return
    share, image = result.dominance()
    where = share > _MUCH
    counts = np.bincount(image[where], minlength=len(subjects))
    n_places, (_, many) = group.space.n_values, group.space.place_words
    own = np.flatnonzero(counts > _AT_MANY * n_places).tolist()
    if own:
        told = [f"{subjects[one]} ({counts[one]:,} of {n_places:,} {many})" for one in own]
        warn_caller(
            f"one image has over half of the weight at many {many}: {listed(told)}; the results "
            f"there are nearly its own. Check its {name}"
        )


def _report_unequal_variances(result: MixedFit, space: Space) -> None:
    n_where = np.count_nonzero(result.errs)
    if n_where <= _AT_SOME * space.n_values:
        return
    _, many = space.place_words
    warn_caller(
        f"at {n_where:,} of {space.n_values:,} {many} there are fewer than "
        f"{FEW_DF} degrees of freedom, and the largest variance is over {LARGE_RATIO} times the "
        "smallest: even Knapp-Hartung's test has too many or too few false positives there; add "
        "images, or leave out those of large variance"
    )


def _report_constant_covariates(group: FittedGroup) -> None:
    """Warn of places where a covariate is constant, or depends on other columns."""
    result = group.result
    n_covariates = result.model.beside.count("covariate")
    if not n_covariates:
        return
    n_observations, df = np.asarray(result.n_observations), np.asarray(result.df_residual)
    rank = np.broadcast_to(n_observations - df, (group.space.n_values,))
    n_columns = len(result.column_names)
    own = np.ascontiguousarray(result.X[:, :-n_covariates])
    where = (n_observations > n_columns) & (rank < _core.Design(own).rank + n_covariates)
    if where.any():
        names = listed([repr(name) for name in result.column_names[-n_covariates:]])
        _, many = group.space.place_words
        warn_caller(
            f"at {np.count_nonzero(where):,} of {group.space.n_values:,} {many} a covariate "
            f"({names}) is the same in all images, or follows from other columns: contrasts that "
            "need it are NaN there; "
            + (
                "leave it out"
                if where.all()
                else "give " + argument("mask_img") + " to leave such places out"
            )
        )


def refuse_smoothing(masking: Masking, model: Model) -> None:
    """Refuse to smooth images whose variances are given."""
    if masking.smooths and "variance" in model.beside:
        raise ArgumentError.about(
            "smoothing_fwhm",
            "the images would be smoothed, and their variances are those of the images as they are",
            "smooth at the first level, before effects and variances are estimated, and give "
            "the maps of that",
        )


def refuse_clashing_names(names: Sequence[str], n_columns: int) -> None:
    """Refuse covariates that are called as columns of the design, which come before them."""
    clashing = [one_name(name) for name in names[:n_columns]]
    twice = [name for name in names[n_columns:] if one_name(name) in clashing]
    if twice:
        raise ArgumentError(
            "covariates",
            f"the name of a column of the design, {twice[0]!r}",
            remedy="give the covariate another name",
            verb="has",
        )
