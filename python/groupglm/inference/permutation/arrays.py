# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests on arrays: `permuted_ols`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, ArgumentTypeError, renamed
from groupglm.group.fitted_masker import FittedMasker
from groupglm.inference.permutation.array_data import (
    ArraySource,
    columns_of,
    data_of,
    design_of,
    treat_missing,
    warn_of_zeros,
)
from groupglm.inference.permutation.cluster_families import ClusterFamily, cluster_families
from groupglm.inference.permutation.options import PermutationOptions, Scale, options_among
from groupglm.inference.permutation.resuming import PermutationState, check_place
from groupglm.inference.permutation.testing import PermutationResult, permutation_test
from groupglm.inputs.aligning import image_names
from groupglm.models.ols import fit_ols
from groupglm.runtime.arguments import check_choice, check_truth
from groupglm.runtime.paths import given_path
from groupglm.runtime.workers import is_remote
from groupglm.spaces.registry import kind_of
from groupglm.tabular.labels import align_arrays, subjects_of_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from groupglm.group.fitted_group import Missing
    from groupglm.inference.permutation.kernels import Method
    from groupglm.inference.permutation.tails import Tail

    Floats = NDArray[np.float64]
    Data = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["PermutationOutputs", "permuted_ols", "resumable"]

_NO_MASKER = {
    True: "a masker must be provided if tfce is used, which",
    False: "If 'threshold' is not None, masker must be defined as well: it",
}
_MAX_SENT = 64 * 2**20  # bytes of data that may be sent to each worker


class PermutationOutputs(dict[str, Any]):
    """Arrays or images by name, and the results that they were made from.

    Attributes
    ----------
    results : tuple of PermutationResult
        One a tested variable: null distributions, number of permutations, fits of tails.
    """

    def __init__(self, values: dict[str, Any], results: tuple[PermutationResult, ...]) -> None:
        super().__init__(values)
        self.results = results


def permuted_ols(
    tested_vars: ArrayLike,
    target_vars: ArrayLike,
    confounding_vars: ArrayLike | None = None,
    model_intercept: bool = True,
    n_perm: int = 10000,
    two_sided_test: bool = True,
    random_state: Any = None,
    n_jobs: int | None = 1,
    verbose: int = 0,
    masker: Any = None,
    tfce: bool | Literal["exact", "steps"] = False,
    threshold: float | None = None,
    output_type: Literal["dict"] = "dict",
    *,
    exchangeability_blocks: ArrayLike | None = None,
    block_permutation: Literal["within", "whole"] = "within",
    variance_groups: ArrayLike | None = None,
    sign_flip: bool | None = None,
    method: Method = "freedman-lane",
    cluster_threshold_scale: Scale = "p",
    connectivity: Literal[6, 18, 26] = 6,
    tfce_powers: tuple[float, float] | None = None,
    tail: Tail | None = None,
    missing: Missing = "omit",
    resume: PermutationOutputs | str | os.PathLike[str] | None = None,
) -> PermutationOutputs:
    """Test variables one by one at many voxels, by permutation.

    Each tested variable has its own model, with the confounds and the intercept as nuisance. If the
    indexes of data frames and Series hold labels, rows are matched by label; labels that do not
    match are an error.

    Parameters
    ----------
    tested_vars : array_like, shape (n_images,) or (n_images, n_tested)
        Variables to test, independently of each other.
    target_vars : array_like, shape (n_images, n_voxels)
        The data. float32 is used without conversion. NaN and masked values are missing.
    confounding_vars : array_like, shape (n_images, n_confounds), optional
        Variables that are fitted but not tested.
    model_intercept : bool, default=True
        Add a constant to the confounds, unless the tested variable or a confound is one.
    n_perm : int, default=10000
        Number of permutations. 0 computes statistics only. If there are fewer rearrangements, each
        is done once, with a warning.
    two_sided_test : bool, default=True
        Whether to test negative effects too.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Seed. The same seed gives the same bits for any `n_jobs`, and on a cluster.
    n_jobs : int, default=1
        Number of threads. -1 means all.
    verbose : int, default=0
        1 shows a progress bar, if the error output is a terminal.
    masker : object with ``mask_img_``, optional
        Where the voxels lie, for clusters and TFCE. The columns of the data are in the order of
        ``image[mask]`` in numpy, as ``transform`` of the masker returns them, a masker of nilearn
        or `SecondLevelModel.masker_`.
    tfce : bool, "exact" or "steps", default=False
        Threshold-free cluster enhancement: its exact integral ("exact" and True), or nilearn's sum
        over 100 heights up to the largest statistic ("steps"), which is some 100 / max times the
        integral.
    threshold : float, optional
        Threshold that forms clusters, on the scale of `cluster_threshold_scale`.
    output_type : {"dict"}, default="dict"
        Has no other value: the tuple of nilearn's "legacy" is ``out["logp_max_t"], out["t"],
        out["h0_max_t"]``.
    exchangeability_blocks, block_permutation, variance_groups, sign_flip, method, \
cluster_threshold_scale, connectivity, tfce_powers, tail
        As in `groupglm.non_parametric_inference`.
    missing : {"omit", "zero", "raise", "intersect"}, default="omit"
        What to do with NaN: "omit" leaves it out voxel by voxel, as
        `groupglm.non_parametric_inference` does, "zero" counts it as zero, "raise" is an error, and
        "intersect" does not test the voxel: its statistic is zero and its p-value one.
    resume : result of this function, or path, optional
        An earlier result with the same data and options. The test continues until there are
        `n_perm` permutations in all, and the result is that of one run, to the last bit. A file is
        read if it exists, and written every minute, at the end, and when interrupted. It needs one
        tested variable.

    Returns
    -------
    dict
        ``t`` and ``logp_max_t`` (n_tested, n_voxels) are the statistic and -log10 of the p-value
        corrected for all voxels. ``h0_max_t`` (n_tested, n_perm) has the maxima, in the order of
        the permutations. With a threshold there are also ``size`` (voxels) and ``mass`` (the sum of
        ``|statistic| - threshold`` over the voxels of the cluster), with TFCE also ``tfce``, each
        with its ``logp_max_`` and ``h0_max_``. The attribute ``results`` has more.

    Raises
    ------
    TypeError, ValueError
        If arguments do not fit, values are missing, the variable cannot be estimated, or no
        permutation can test it. Also if an index called ``subject_label`` or ``participant_id`` has
        a subject on several rows, and neither columns nor `exchangeability_blocks` tell the
        subjects apart.

    Warns
    -----
    UserWarning
        Among others: if voxels are zero in all images, and if several columns are constant.

    Notes
    -----
    The function does what nilearn's function of this name does, but for the differences that the
    page "Coming from nilearn" lists. Two of them change p-values: if a confound is a constant, data
    are permuted, not sign-flipped, and the cluster-forming threshold of each variable has the
    residual degrees of freedom of its own model.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm import permuted_ols
    >>> rng = np.random.default_rng(0)
    >>> group = np.repeat([0.0, 1.0], 10)
    >>> data = rng.standard_normal((20, 50))
    >>> data[:, 0] += 3 * group
    >>> out = permuted_ols(group, data, n_perm=999, random_state=0)
    >>> out["t"].shape, int(np.argmax(out["logp_max_t"])), round(float(out["logp_max_t"].max()), 1)
    ((1, 50), 0, 3.0)
    """
    if check_choice("output_type", output_type, ("dict", "legacy")) != "dict":
        raise ArgumentError(
            "output_type",
            "'legacy'",
            "'dict'",
            "take out['logp_max_t'], out['t'] and out['h0_max_t'] of the result",
        )
    options = options_among(locals())
    with_constant = check_truth("model_intercept", model_intercept)
    given = {
        "tested_vars": tested_vars,
        "target_vars": target_vars,
        "confounding_vars": confounding_vars,
        "exchangeability_blocks": exchangeability_blocks,
        "variance_groups": variance_groups,
    }
    rows = align_arrays(given, "target_vars")
    options = replace(
        options,
        exchangeability_blocks=rows["exchangeability_blocks"],
        variance_groups=rows["variance_groups"],
    )
    tested = columns_of(rows["tested_vars"], "tested_vars", None)
    data = data_of(rows["target_vars"], len(tested))
    warn_of_zeros(data)
    data = treat_missing(data, missing)
    confounds = columns_of(rows["confounding_vars"], "confounding_vars", len(tested))
    families = _families_of(masker, data.shape[1], options)
    if is_remote() and data.nbytes > _MAX_SENT:
        raise ArgumentError.about(
            "target_vars",
            f"target_vars would be sent to each worker ({data.nbytes / 1e6:.0f} MB)",
            "save the images to files that the workers can read, and use non_parametric_inference",
        )
    previous = resumable(resume, tested.shape[1])
    source, subjects = ArraySource(data), subjects_of_arrays(rows)
    names = None if subjects is None else image_names(subjects)
    options = replace(options, subjects=subjects, image_names=names)
    results = []
    for column, state in zip(tested.T, previous, strict=True):
        X = design_of(column, confounds, with_constant)
        if exchangeability_blocks is None:
            refuse_repeated_subjects(subjects, X, images="target_vars", matrix="confounding_vars")
        contrast = np.eye(X.shape[1])[0]
        with renamed(X="tested_vars", second_level_input="target_vars"):
            fit = fit_ols(X, data, n_threads=options.n_threads)
            results.append(
                permutation_test(
                    X,
                    contrast,
                    source,
                    fit.contrast(contrast).stat,
                    fit.df_residual,
                    options,
                    families=families,
                    resume=state,
                )
            )
    return _outputs(tuple(results))


def resumable(resume: Any, n_tested: int) -> list[PermutationState | Path | None]:
    """Return, for each test, the earlier result that it continues."""
    if resume is None:
        return [None] * n_tested
    if isinstance(resume, PermutationOutputs):
        if len(resume.results) != n_tested:
            raise ArgumentError(
                "resume",
                f"{len(resume.results)} tested variables, but {n_tested} are given",
                verb="has",
            )
        return [result.state for result in resume.results]
    if not isinstance(resume, str | os.PathLike):
        raise ArgumentTypeError(
            "resume",
            f"a {type(resume).__name__}",
            "a result of this function, a file name, or None",
        )
    if n_tested != 1:
        raise ArgumentError.about(
            "resume",
            f"a file for resume keeps one test, but {n_tested} variables are tested",
            "test them one by one",
        )
    path = given_path("resume", resume)
    check_place(path)
    return [path]


def _families_of(
    masker: Any, n_voxels: int, options: PermutationOptions
) -> Callable[[], tuple[ClusterFamily, ...]] | None:
    connectivity = options.connectivity
    if masker is None:
        if not options.need_neighbours:
            return None
        raise ArgumentError.about(
            "masker",
            _NO_MASKER[options.tfce is not None]
            + " needs to know where the voxels lie: give the masker that read them",
        )
    if isinstance(masker, FittedMasker) and masker.space.public_order is None:
        space = masker.space
    else:
        mask = getattr(masker, "mask_img_", None)
        if mask is None:
            raise ArgumentTypeError(
                "masker",
                f"a {type(masker).__name__} without mask_img_",
                remedy="give a fitted masker",
            )
        space = kind_of(mask).foreign_space(mask)
    if space.n_values != n_voxels:
        raise ArgumentError(
            "target_vars",
            f"{n_voxels} columns, but the mask of masker has {space.n_values} "
            f"{space.place_words[1]}",
            verb="has",
        )
    return (lambda: cluster_families(space, connectivity)) if options.need_neighbours else None


def _outputs(results: tuple[PermutationResult, ...]) -> PermutationOutputs:
    values: dict[str, Any] = {}
    for name in results[0].observed:
        observed = np.stack([result.observed[name] for result in results])
        counted = name == "size" and results[0].counts_places
        values[name] = observed.astype(np.int64) if counted else observed
        if name in results[0].p_value:
            values[f"logp_max_{name}"] = np.stack([result.logp(name) for result in results])
    for name in results[0].null:
        values[f"h0_max_{name}"] = _stack([result.null[name] for result in results])
    return PermutationOutputs(values, results)


def _stack(rows: list[Floats]) -> Floats:
    """Stack null distributions; NaN where a variable has fewer permutations than another."""
    out = np.full((len(rows), max(map(len, rows))), np.nan)
    for place, row in zip(out, rows, strict=True):
        place[: len(row)] = row
    return out
