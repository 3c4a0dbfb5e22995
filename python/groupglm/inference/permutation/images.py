# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests on images: `non_parametric_inference`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm import _core
from groupglm.design.contrasts import contrast_matrix
from groupglm.design.matrix import check_design_matrix
from groupglm.engine.row_cache import check_memory
from groupglm.group.fit_group import FitOptions, fit_group
from groupglm.inference.permutation.arrays import PermutationOutputs, resumable
from groupglm.inference.permutation.group_test import ImageData, permute_group
from groupglm.inference.permutation.missing_values import refuse_missing
from groupglm.inference.permutation.options import PermutationOptions, Scale, check_options
from groupglm.inputs import Cohort, kind_of_data, make_cohort
from groupglm.models.ols import OLS
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.budget import check_memory_budget
from groupglm.spaces.zeros import check_zero_is_missing

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from groupglm.group.fitted_group import FittedGroup, Missing
    from groupglm.inference.permutation.kernels import Method
    from groupglm.inference.permutation.tails import Tail
    from groupglm.spaces.images import Image
    from groupglm.spaces.kinds import Masking

    Floats = NDArray[np.float64]
    Data = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["non_parametric_inference"]


def non_parametric_inference(
    second_level_input: Any,
    confounds: pd.DataFrame | None = None,
    design_matrix: pd.DataFrame | str | os.PathLike[str] | None = None,
    second_level_contrast: Any = None,
    first_level_contrast: Any = None,
    mask: Any = None,
    smoothing_fwhm: Any = None,
    model_intercept: bool = True,
    n_perm: int = 10000,
    two_sided_test: bool = False,
    random_state: Any = None,
    n_jobs: int | None = 1,
    verbose: int = 0,
    threshold: float | None = None,
    tfce: bool | Literal["exact", "steps"] = False,
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
    zero_is_missing: bool = False,
    target_affine: Any = None,
    target_shape: Any = None,
    resume: PermutationOutputs | str | os.PathLike[str] | None = None,
    allow_partial: bool = False,
) -> Image | PermutationOutputs:
    """Test a contrast by permutation, corrected for all voxels of the mask.

    The contrast that is tested is the one that `SecondLevelModel.compute_contrast` tests: any t or
    F contrast, with the rest of the design as nuisance.

    Parameters
    ----------
    second_level_input, confounds, design_matrix
        Images and design, as `SecondLevelModel.fit` takes them.
    second_level_contrast, first_level_contrast
        The contrast, as `SecondLevelModel.compute_contrast` takes it.
    mask : image, path or masker, optional
        As ``mask_img`` of `SecondLevelModel`.
    smoothing_fwhm : float, optional
        As `SecondLevelModel` takes it.
    model_intercept : bool, default=True
        Add a constant to the nuisance unless the design contains one.
    n_perm : int, default=10000
        Number of permutations; 0: statistics only. All that there are, with a warning, when they
        are fewer.
    two_sided_test : bool, default=False
        Whether negative effects count: the larger of both tails is taken. Has no effect on F.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Seed. The same one gives the same bits for any `n_jobs`, and on a cluster.
    n_jobs : int, default=1
        Number of threads; -1 means all. A cluster is used by ``joblib.parallel_config``.
    verbose : int, default=0
        1: a progress bar, if the error output is a terminal.
    threshold : float, optional
        Forms clusters; see `cluster_threshold_scale`.
    tfce : bool, "exact" or "steps", default=False
        Threshold-free cluster enhancement: its exact integral (True), or the sum over 100 heights
        that fslmaths and nilearn take.
    exchangeability_blocks : array_like of labels, shape (n_images,), optional
        Images that may be exchanged, in the order of the design matrix's rows; or a Series indexed
        by subject label, which is matched with the labels of maps and rows.
    block_permutation : {"within", "whole"}, default="within"
        Exchange images within a block, or whole blocks of the same size.
    variance_groups : array_like of labels, shape (n_images,), optional
        Groups whose variances may differ. The statistic is then Welch's, or G for F contrasts, and
        images are exchanged within a group only; where that leaves the tested effect as it is (a
        difference of the groups), signs are flipped instead.
    sign_flip : bool, optional
        Flip signs, which needs symmetric errors, rather than permute. By default just when the null
        hypothesis fixes the mean of all images, as in a one-sample test, or `variance_groups` need
        it.
    method : {"freedman-lane", "ter-braak", "smith"}, default="freedman-lane"
        What is permuted: residuals of the nuisance, of the full model, or the tested columns.
    cluster_threshold_scale : {"p", "z"}, default="p"
        Scale of `threshold`: a p-value of one voxel, of both tails in a two-sided test, or a z. The
        p of a z is one-sided, so that a two-sided test has clusters beyond z and beyond -z.
    connectivity : {6, 18, 26}, default=6
        Neighbours of a voxel: by faces, edges or corners.
    tfce_powers : pair of float, optional
        E of the extent and H of the height. By default (0.5, 2.0) among voxels.
    tail : {"gpd", "gamma"}, optional
        Take small p-values from a curve fitted to the null distribution: generalised Pareto for its
        tail, or gamma for few permutations. The fit is in ``results[0].tail_fit``.
    missing : {"omit", "zero", "raise", "intersect"}, default="omit"
        What to do about NaN: leave it out, so that each voxel is tested with the images that have
        it (see Notes); take it for zero; refuse; or leave the voxel out of the mask.
    zero_is_missing : bool, default=False
        Whether exact zeros of an image are missing values too, as `SecondLevelModel` takes it.
    target_affine, target_shape : array_like, optional
        Grid that images are resampled to, as `SecondLevelModel` takes it.
    resume : result of this function, or path, optional
        Goes on from there to `n_perm` permutations in all, with the same images and options, as one
        run does to the last bit. A file is read if it exists and written every minute, at the
        end and when interrupted.
    allow_partial : bool, default=False
        Whether subjects without a map, a row or a value are left out, as by `SecondLevelModel.fit`;
        `exchangeability_blocks` and `variance_groups` are then a Series with labels.

    Returns
    -------
    nibabel.nifti1.Nifti1Image, or dict of them
        The image of -log10 of corrected p-values; with clusters or TFCE (or ``n_perm=0``) a dict:
        ``t``, ``logp_max_t``, ``size`` (voxels), ``logp_max_size``, ``mass``, ``logp_max_mass``,
        ``tfce``, ``logp_max_tfce``; ``F`` in the place of ``t`` for an F contrast. Its attribute
        ``results`` has the null distributions.

    Raises
    ------
    TypeError, ValueError
        If arguments do not fit, the contrast cannot be estimated, values are missing, or no
        permutation can test it.
    groupglm.errors.ImageError, groupglm.errors.GridMismatchError
        If an image cannot be used.

    Warns
    -----
    UserWarning
        Besides much else: which voxels lack values and cannot be tested with the images that have
        them. Their p-values are NaN, and ``results[0].untested`` says which they are.
    groupglm.errors.ZeroValuesWarning
        If images are exactly zero at voxels where others are not.

    Notes
    -----
    The mass of a cluster is the sum of ``|statistic| - threshold`` over its voxels, t or F and its
    value at the p (or z) that forms clusters (Bullmore et al. 1999, IEEE Transactions on Medical
    Imaging 18, 32-42), as in nilearn. Its size is the number of its voxels.

    Permutation is Freedman and Lane's (Winkler et al. 2014, NeuroImage 92, 381-397) by default;
    p-values are (1 + count) / (1 + n), never zero. Memory: the images' values inside the mask (of
    the whole grid while they are read, if no mask is given) and, with clusters or TFCE, about ten
    maps. Values that would take more than a quarter of the memory that is free are in a scratch
    file of the temporary folder. Each image is read once.

    With ``missing="omit"`` a voxel is fitted to the images S that have it, and only these are
    rearranged. That needs values to be missing for reasons that have nothing to do with the errors;
    who is missing may depend on the design, since each voxel's test is conditional on S. Flips are
    restricted to S. From a permutation of all images, the absent ones are taken out of its cycles:
    an image takes the place that it, or failing that the absent image it meets, or that one's,
    leads to. Of a uniformly random permutation of all images that is a uniformly random one of S
    (Kerov, Olshanski and Vershik 1993, C. R. Acad. Sci. Paris 316, 773-778), so that each voxel's
    own test is what it would be with these images alone; and two voxels move alike the images that
    both lead to. Restricted flips are one group that acts on all voxels, and the largest statistic
    is as valid as for complete data. Contracted permutations are not: under them the correlation of
    two voxels' statistics is the one that the errors give times the share, among the images that
    either voxel has, of those that both have. Where correlations are positive, as in smooth data,
    smaller ones make the maximum larger (Slepian 1962, Bell Syst. Tech. J. 41, 463-501), so that
    the familywise error errs on the safe side; simulations show it at its level.

    Degrees of freedom differ between voxels then. The largest statistic, clusters, mass and TFCE
    are therefore taken of the statistic that has the same p-value with the degrees of freedom of a
    complete voxel, which is the reported one where nothing is missing. A voxel is not tested, with
    a warning, where the images present cannot estimate the contrast, where blocks that are permuted
    as wholes lack some of their images, where no order of them changes the effect, or where they
    have fewer than 20 different rearrangements: such a voxel could not be significant, but its few
    values would return in every twentieth maximum and hide the others. `variance_groups` need all
    images.

    Where `variance_groups` differ in what is tested, residuals are flipped (Winkler et al. 2014,
    section 2.5). That is exact for errors, but residuals hold the error of the estimated nuisance
    too, whose sign is flipped with them: the test is right in large samples only. With groups of 10
    and 20, familywise error is that of the level; of 6 and 18, the few with four times the standard
    deviation, it is up to 0.08 in the place of 0.05, and of 4 and 12 up to 0.15 (0.05 if the
    nuisance were known); a warning says so below 10 images.

    Examples
    --------
    >>> import nibabel as nib, numpy as np, pandas as pd
    >>> from groupglm import non_parametric_inference
    >>> rng = np.random.default_rng(0)
    >>> brain = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    >>> images = [nib.Nifti1Image(rng.standard_normal((4, 4, 4)) + 2, np.eye(4)) for _ in range(12)]
    >>> design = pd.DataFrame({"intercept": np.ones(12)})
    >>> logp = non_parametric_inference(images, design_matrix=design, mask=brain, n_perm=999,
    ...                                 random_state=0)
    >>> logp.shape, bool(logp.get_fdata().max() > 2)
    ((4, 4, 4), True)
    """
    options = check_options(
        n_perm=n_perm,
        two_sided=two_sided_test,
        random_state=random_state,
        threshold=threshold,
        cluster_threshold_scale=cluster_threshold_scale,
        tfce=tfce,
        tfce_powers=tfce_powers,
        method=method,
        sign_flip=sign_flip,
        tail=tail,
        connectivity=connectivity,
        missing=missing,
        n_jobs=n_jobs,
        verbose=verbose,
        block_permutation=block_permutation,
    )
    adds_constant = check_truth("model_intercept", model_intercept)
    (previous,) = resumable(resume, 1)
    cohort = make_cohort(
        second_level_input,
        confounds,
        design_matrix,
        has_blocks=exchangeability_blocks is not None,
        allow_partial=allow_partial,
    )
    cohort.kind(first_level_contrast)  # refuses nonsense, and says if there is nothing to choose
    rows = cohort.aligned(first_level_contrast)
    options = replace(
        options,
        exchangeability_blocks=rows.align(exchangeability_blocks, "exchangeability_blocks"),
        variance_groups=rows.align(variance_groups, "variance_groups"),
    )
    masking = kind_of_data(second_level_input).masking(
        mask,
        target_affine,
        target_shape,
        smoothing_fwhm,
        zero_is_missing=check_zero_is_missing(zero_is_missing, missing),
    )
    group, values = _fit(
        cohort,
        second_level_contrast,
        first_level_contrast,
        masking,
        options,
        model_intercept=adds_constant,
    )
    label = second_level_contrast if isinstance(second_level_contrast, str) else values.tolist()
    data = ImageData(group.rows)
    return permute_group(group, data, values, options, label=label, resume=previous)


def _fit(
    cohort: Cohort,
    second_level_contrast: Any,
    first_level_contrast: Any,
    masking: Masking,
    options: PermutationOptions,
    *,
    model_intercept: bool,
) -> tuple[FittedGroup, Floats]:
    """Read the images for the mask, what is missing, and the parametric statistics."""
    frame = cohort.design(first_level_contrast)
    values = contrast_matrix(second_level_contrast, list(frame.columns))
    if values.ndim == 2 and len(values) == 1:
        values = values[0]  # one row is one contrast, as for the estimator
    sources = cohort.open(first_level_contrast, same_grid=not masking.resamples)
    X = np.ascontiguousarray(check_design_matrix(frame, len(sources)))
    names = tuple(str(name) for name in frame.columns)
    if model_intercept:
        X, names, values = _with_intercept(X, names, values)
    group = fit_group(
        sources,
        OLS.prepare(X, names),
        FitOptions(
            masking=masking,
            # Which voxels lack values is known when they are read.
            missing="omit" if options.missing == "raise" else options.missing,
            n_threads=options.n_threads,
            memory=check_memory(None, 0),
            progress=options.progress,
            memory_budget=check_memory_budget(None),
            keep_rows=True,
        ),
    )
    n_observations = np.asarray(group.result.n_observations)
    if options.missing == "raise" and n_observations.ndim:
        lacking = np.flatnonzero(n_observations < len(sources))
        refuse_missing(ImageData(group.rows), lacking, group.space.n_values)
    return group, values


def _with_intercept(
    X: Floats, names: tuple[str, ...], values: Floats
) -> tuple[Floats, tuple[str, ...], Floats]:
    if _core.Design(np.ascontiguousarray(X)).has_intercept:
        return X, names, values
    zeros = np.zeros((*values.shape[:-1], 1))
    X = np.ascontiguousarray(np.column_stack([X, np.ones(len(X))]))
    return X, (*names, "intercept added by model_intercept"), np.concatenate([values, zeros], -1)
