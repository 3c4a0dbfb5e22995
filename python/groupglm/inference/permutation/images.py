# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests on images: `non_parametric_inference`."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm import _core
from groupglm.design.hypotheses import Hypothesis, read_hypothesis
from groupglm.design.matrix import check_design_matrix
from groupglm.engine.row_cache import check_memory
from groupglm.errors import renamed
from groupglm.group.beside_checks import check_beside, refuse_clashing_names, refuse_smoothing
from groupglm.group.fit_group import fit_group
from groupglm.group.fit_options import FitOptions
from groupglm.inference.permutation.arrays import PermutationOutputs, resumable
from groupglm.inference.permutation.group_test import (
    ImageData,
    permute_group,
    refuse_without_neighbours,
)
from groupglm.inference.permutation.missing_values import refuse_missing
from groupglm.inference.permutation.options import PermutationOptions, Scale, options_among
from groupglm.inference.permutation.planning import check_exchange
from groupglm.inference.permutation.rearranged_model import check_combination
from groupglm.inputs import LabelledCohort, kind_of_data, make_cohort
from groupglm.inputs.beside import Beside, interleaved
from groupglm.inputs.image_labels import ImageLabels, TakesSubjects, with_labels_of
from groupglm.models.kinds import check_model
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.budget import check_memory_budget
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.zeros import check_zero_is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from groupglm.group.fitted_group import FittedGroup, Missing
    from groupglm.inference.permutation.kernels import Method
    from groupglm.inference.permutation.tails import Tail
    from groupglm.models.base import Model
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
    model: str | Model = "ols",
    variances: Any = None,
    weights: Any = None,
    covariates: Mapping[str, Any] | None = None,
    subjects: ArrayLike | None = None,
    surfaces: Any = None,
    areas: Any = None,
) -> Image | PermutationOutputs:
    """Test a contrast by permutation, corrected for all voxels of the mask.

    The contrast that is tested is the one that `SecondLevelModel.compute_contrast` tests: any t or
    F contrast, with the rest of the design as nuisance.

    Parameters
    ----------
    second_level_input, confounds, design_matrix
        Images and design, as `SecondLevelModel.fit` takes them.
    second_level_contrast, first_level_contrast
        The contrast, as `SecondLevelModel.compute_contrast` takes it, also against a constant.
    mask : image, path or masker, optional
        As ``mask_img`` of `SecondLevelModel`.
    smoothing_fwhm : float, optional
        As `SecondLevelModel` takes it. It comes before the smoothing of a masker given as `mask`,
        with a warning. If the masker does not smooth, nothing does, with a warning.
    model_intercept : bool, default=True
        Add a constant to the nuisance unless the design contains one.
    n_perm : int, default=10000
        Number of permutations. 0 computes statistics only. If there are fewer rearrangements, each
        is done once, with a warning.
    two_sided_test : bool, default=False
        Whether to test negative effects too. It has no effect on F.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Seed. The same seed gives the same bits for any `n_jobs`, and on a cluster.
    n_jobs : int, default=1
        Number of threads. -1 means all. ``joblib.parallel_config`` runs it on a cluster.
    verbose : int, default=0
        1 shows a progress bar, if the error output is a terminal.
    threshold : float, optional
        Threshold that forms clusters, on the scale of `cluster_threshold_scale`.
    tfce : bool, "exact" or "steps", default=False
        Threshold-free cluster enhancement. "exact" and True compute its integral. "steps" sums over
        100 heights up to the largest statistic, as fslmaths and nilearn do. The sum lacks the width
        of a step: it is some 100 / max times the integral, with another max for each permutation.
    exchangeability_blocks : array_like, shape (n_images,) or (n_images, n_levels), optional
        The block of each image, by a label. Labels are in the order of the rows of the design
        matrix, or in a Series indexed by subject label, which is matched with the labels of maps
        and rows. Several columns of whole numbers, or a data frame of them, are blocks within
        blocks (see Notes). If labels say that subjects have several images, blocks that mix images
        of several subjects are refused: these images resemble each other, so that p would be too
        small. Columns for the subjects in the design allow them.
    block_permutation : {"within", "whole"}, default="within"
        Whether to exchange images within a block, or whole blocks of the same size.
    variance_groups : array_like of labels, shape (n_images,), optional
        Groups whose variances may differ. The statistic is then Welch's, or G for F contrasts.
        Images are exchanged only within a group. If this does not change the tested effect (a
        difference of the groups), signs are flipped instead.
    sign_flip : bool, optional
        Whether to flip signs, which needs symmetric errors, instead of permuting. By default signs
        are flipped if the null hypothesis fixes the mean of all images, as in a one-sample test, or
        if `variance_groups` needs it.
    method : {"freedman-lane", "ter-braak", "smith"}, default="freedman-lane"
        What is permuted: the residuals of the nuisance, the residuals of the full model, or the
        tested columns.
    cluster_threshold_scale : {"p", "z"}, default="p"
        Scale of `threshold`: "p" is a p-value of one voxel, of both tails in a two-sided test. "z"
        is a z, whose p is one-sided: a two-sided test has clusters beyond z and beyond -z.
    connectivity : {6, 18, 26}, default=6
        Neighbours of a voxel: those that share a face (6), an edge (18) or a corner (26).
    tfce_powers : pair of float, optional
        E of the extent and H of the height. By default (0.5, 2.0) among voxels.
    tail : {"gpd", "gamma"}, optional
        Take small p-values from a curve that is fitted to the null distribution: "gpd" fits a
        generalised Pareto distribution to its tail, "gamma" is for few permutations. The fit is in
        ``results[0].tail_fit``.
    missing : {"omit", "zero", "raise", "intersect"}, default="omit"
        What to do with NaN: "omit" tests each voxel with the images that have a value there (see
        Notes), "zero" counts NaN as zero, "raise" is an error, and "intersect" leaves out the
        voxels that any image lacks.
    zero_is_missing : bool, default=False
        Whether exact zeros of an image are missing values too, as `SecondLevelModel` takes it.
    target_affine, target_shape : array_like, optional
        Grid that images are resampled to, as `SecondLevelModel` takes it.
    resume : result of this function, or path, optional
        An earlier result with the same images and options. The test continues until there are
        `n_perm` permutations in all, and the result is that of one run, to the last bit. A file is
        read if it exists, and written every minute, at the end, and when interrupted.
    allow_partial : bool, default=False
        Whether to leave out subjects without a map, a row or a value, as `SecondLevelModel.fit`
        does. `exchangeability_blocks` and `variance_groups` must then be a Series with labels.
    model : str or model, default="ols"
        As `SecondLevelModel` takes it. `variance_groups` and other values of `method` are for
        ``"ols"``.
    variances, weights, covariates
        What lies beside the images, as `SecondLevelModel.fit` takes it.
    subjects : array_like of labels, shape (n_images,), or pandas.Series, optional
        The subject of each image, as `SecondLevelModel.fit` takes it.
    surfaces, areas : optional
        The meshes of data of surfaces and the areas of their vertices, as `SecondLevelModel` takes
        them: clusters and TFCE need the meshes.

    Returns
    -------
    nibabel.nifti1.Nifti1Image, or dict of them
        The image of -log10 of corrected p-values. With clusters or TFCE, or with ``n_perm=0``, a
        dict of images: ``t``, ``logp_max_t``, ``size`` (voxels), ``logp_max_size``, ``mass``,
        ``logp_max_mass``, ``tfce``, ``logp_max_tfce``. An F contrast has ``F`` instead of ``t``.
        The attribute ``results`` of the dict has the null distributions.

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
        Among others: if voxels lack values and cannot be tested with the other images. Their
        p-values are NaN, and ``results[0].untested`` says which voxels these are.
    groupglm.errors.ZeroValuesWarning
        If images are exactly zero at voxels where others are not.

    Notes
    -----
    **Clusters.** The size of a cluster is the number of its voxels. Its mass is the sum of
    ``|statistic| - threshold`` over its voxels, as in nilearn (Bullmore et al. 1999, IEEE
    Transactions on Medical Imaging 18, 32-42). The statistic is t or F, and the threshold is its
    value at the p (or z) that forms clusters.

    **Constants.** A t contrast may be tested against a constant: ``"age = 0.5"``. The share of each
    image in it is subtracted from the image, and the test is of 0: signs are flipped about the
    constant, and the residuals of the nuisance are those of the test against 0, whatever the
    method. This takes the memory of the images again. Places where all images are 0 hold no data,
    and are tested against 0.

    **p-values** are (1 + count) / (1 + n), and never zero. The method is Freedman and Lane's by
    default (Winkler et al. 2014, NeuroImage 92, 381-397).

    **Memory** holds the values of the images inside the mask, those of what lies beside them too,
    and, with clusters or TFCE, about ten maps. If no mask is given, it holds the values of the
    whole grid while the images are read. Values that take more than a quarter of the free memory
    are in a scratch file of the temporary folder. Each image is read once.

    **Missing values.** With ``missing="omit"``, a voxel is fitted to the set S of images that have
    a value there, and only these images are rearranged. This is valid if the reason why a value is
    missing has nothing to do with the errors. It may depend on the design, because the test of each
    voxel is conditional on S.

    - Sign flips: each flip of all images is restricted to S. The restricted flips are one group
      that acts on all voxels, so the largest statistic is as valid as for complete data.
    - Permutations: let P be a permutation of all images. Image i takes the place P(i). If image
      P(i) is absent at the voxel, it takes the place P(P(i)), and so on, until that image is in S.
      The absent images are thereby removed from the cycles of P. If P is uniformly random, so is
      the result on S (Kerov, Olshanski and Vershik 1993, C. R. Acad. Sci. Paris 316, 773-778).
      The test of one voxel is therefore the test that its images alone would give.
    - These permutations are not one group on all voxels. Let two voxels have the sets S1 and S2.
      Their statistics then have the correlation that the errors give, times the number of images in
      both sets, over the number in either. Smooth data have positive correlations, and smaller ones
      make the maximum larger (Slepian 1962, Bell Syst. Tech. J. 41, 463-501). The familywise error
      is therefore on the safe side. Simulations show it at its level.

    Degrees of freedom then differ between voxels. For the largest statistic, clusters, mass and
    TFCE, each statistic is replaced by the one that has the same p-value with the degrees of
    freedom of a complete voxel. If nothing is missing, this is the statistic itself.

    A voxel is not tested, with a warning, if its images cannot estimate the contrast, if blocks
    that are permuted as wholes lack some of their images, if no order of its images changes the
    effect, or if they have fewer than 20 different rearrangements. Such a voxel cannot be
    significant, but its few values would be the maximum again and again and hide other voxels.
    `variance_groups` needs a value of every image at every voxel.

    **Fixed and mixed effects** (`variances`). The statistic is that of the model's contrast, with
    tau2 estimated anew for each rearrangement. Each variance stays with its image.

    - Sign flips: the signs of the effects are flipped, which assumes that each effect minus its
      mean under the null hypothesis has a symmetric distribution. The images may have different
      variances, and nothing is assumed of tau2: the test is exact if the null hypothesis fixes the
      means. With covariates in the nuisance, the signs of the residuals of the nuisance's own fit
      are flipped (Freedman and Lane 1983), which is right in large samples.
    - Permutations: pairs of effect and variance are permuted against the tested columns, that is,
      what the nuisance leaves of these columns is permuted while effects, variances and nuisance
      stay (Draper and Stoneman 1966, Technometrics 8, 695-699). This assumes that the pairs are
      exchangeable: under the null hypothesis, neither the effects nor their variances have to do
      with the tested columns. If one group is measured less well than the other, give
      ``MixedEffects(variance_groups=...)``, or flip signs.

    **Weights and covariates by voxel.** Each voxel has a design of its own. The residuals of its
    own nuisance, times the roots of its weights, are rearranged (Freedman and Lane 1983; Winkler et
    al. 2014). This assumes that these errors are exchangeable (or symmetric, for flips), that is,
    that the variance of an image is inversely proportional to its weight.

    **Several images of a subject** (`RepeatedMeasures`). With a random intercept, its variance is
    estimated anew for each rearrangement, and the statistic is t or F of the weighted fit, without
    Kenward and Roger's adjustment. What is rearranged are the residuals of the null model's
    weighted fit (Freedman and Lane 1983): within each subject if the tested effect varies within
    subjects, whole subjects of equal numbers of images if it varies between them. If the null
    hypothesis fixes the mean, the signs of whole subjects are flipped. The effect is one between
    subjects if its columns are constant within them, or at least nine tenths of its sum of squares
    lies between them; one within if at most half does, as of a time where subjects have different
    numbers of visits. Others are refused, unless `exchangeability_blocks` choose. With a sandwich,
    the test is a wild bootstrap (Guillaume and Nichols 2015): each subject's residuals of the null
    model, adjusted for their leverage, get a random sign, and the sandwich is
    computed anew. ``results[0].is_bootstrap`` says so. A voxel is tested with the images that it
    has. Where whole subjects are permuted, voxels that lack some images of a subject, but not all,
    are not tested. Voxels are compared by p-values with the degrees of freedom of subjects (or of
    images beyond one a subject, for effects within).

    **Blocks within blocks.** Data of families, for example, have several levels (Winkler et al.
    2015, NeuroImage 123, 253-268; the table is that of PALM). Each column of
    `exchangeability_blocks` is a level, from the outermost to the innermost. The first holds one
    number, which is the block of all images. A number names a block inside the block of the column
    before. If it is positive, what lies in the block (the blocks of the next column) may be
    exchanged as wholes. If it is negative, this stays in place, and only what lies deeper may be
    exchanged. Images that share all their numbers are exchanged if the last is positive and the one
    before negative; else they stay together, in their order. Write a column of image numbers to
    say otherwise. Only blocks of one shape are exchanged: as many images, divided into blocks in
    the same way. Signs are flipped for the blocks in the outermost block of a positive number, as
    wholes, and for single images where no block has one. Families of two siblings, who may be
    exchanged, and so may the families::

        1 1 1
        1 1 2
        1 2 1
        1 2 2

    **Groups of different variance.** If the contrast compares the `variance_groups`, the signs of
    residuals are flipped (Winkler et al. 2014, section 2.5). Flipping the errors would be exact.
    But residuals also hold the error of the estimated nuisance, so the test is right in large
    samples only. In simulations, the smaller group had four times the standard deviation of the
    other. With groups of 10 and 20, the familywise error was at its level of 0.05. With 6 and 18 it
    was up to 0.08, and with 4 and 12 up to 0.15 (0.05 if the nuisance were known). A warning says
    so if a group has fewer than 10 images.

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
    options = options_among(locals())
    adds_constant = check_truth("model_intercept", model_intercept)
    labelled = ImageLabels(subjects).with_model(check_model(model))
    beside, fitted = Beside.of_arguments(variances, weights, covariates).with_model(
        labelled, second_level_input
    )
    check_combination(fitted, options, has_groups=variance_groups is not None)
    (previous,) = resumable(resume, 1)
    cohort = make_cohort(
        second_level_input,
        confounds,
        design_matrix,
        has_blocks=exchangeability_blocks is not None,
        has_visits=isinstance(fitted, TakesSubjects),
        allow_partial=allow_partial,
        beside=beside,
    )
    cohort.kind(first_level_contrast)  # refuses wrong values; warns if there is nothing to choose
    rows = cohort.aligned(first_level_contrast)
    options = replace(
        options,
        exchangeability_blocks=rows.align(exchangeability_blocks, "exchangeability_blocks"),
        variance_groups=rows.align(variance_groups, "variance_groups"),
        subjects=rows.subjects,
        image_names=rows.image_names,
    )
    with renamed(contrast="second_level_contrast", mask_img="mask"):
        masking = kind_of_data(second_level_input).masking(
            mask,
            target_affine,
            target_shape,
            smoothing_fwhm,
            zero_is_missing=check_zero_is_missing(zero_is_missing, missing),
            smoothing_overrides=True,
            geometry=Geometry(surfaces, areas),
        )
        refuse_smoothing(masking, fitted)
        group, tested = _fit(
            cohort,
            fitted,
            second_level_contrast,
            first_level_contrast,
            masking,
            options,
            covariates=tuple(beside.covariates),
            model_intercept=adds_constant,
        )
        values = tested.weights
        label = second_level_contrast if isinstance(second_level_contrast, str) else values.tolist()
        return permute_group(
            group,
            ImageData(group.rows),
            values,
            options,
            label=label,
            resume=previous,
            null_value=tested.null_value,
        )


def _fit(
    cohort: LabelledCohort,
    model: Model,
    second_level_contrast: Any,
    first_level_contrast: Any,
    masking: Masking,
    options: PermutationOptions,
    *,
    covariates: tuple[str, ...],
    model_intercept: bool,
) -> tuple[FittedGroup, Hypothesis]:
    """Read the images for the mask, what is missing, and the parametric statistics."""
    frame = cohort.design(first_level_contrast)
    tested = read_hypothesis(second_level_contrast, [*map(str, frame.columns), *covariates])
    values = tested.weights
    if values.ndim == 2 and len(values) == 1:
        values = values[0]  # one row is one contrast, as for the estimator
    sources = cohort.open(first_level_contrast, same_grid=not masking.resamples)
    rows = cohort.aligned(first_level_contrast)
    model = with_labels_of(model, rows)
    beside = cohort.open_beside(first_level_contrast, sources, same_grid=not masking.resamples)
    X = np.ascontiguousarray(check_design_matrix(frame, len(sources)))
    names = tuple(str(name) for name in frame.columns)
    if model_intercept and not _core.Design(X).has_intercept:
        X = np.ascontiguousarray(np.column_stack([X, np.ones(len(X))]))
        values = np.insert(values, len(names), 0.0, axis=-1)  # before the covariates
        names = (*names, "intercept added by model_intercept")
    plan = model.prepare(X, names)
    refuse_clashing_names(plan.column_names, len(names))
    check_exchange(plan.model, X, values, names, options)
    group = fit_group(
        interleaved(sources, beside),
        plan,
        FitOptions(
            masking=masking,
            # Only reading the images shows which voxels lack values.
            missing="omit" if options.missing == "raise" else options.missing,
            n_threads=options.n_threads,
            memory=check_memory(None, 0),
            progress=options.progress,
            memory_budget=check_memory_budget(None),
            keep_rows=True,
            check_space=partial(refuse_without_neighbours, options=options),
        ),
    )
    check_beside(group, rows.labels or [source.name for source in sources])
    n_observations = np.asarray(group.result.n_observations)
    if options.missing == "raise" and n_observations.ndim:
        lacking = np.flatnonzero(n_observations < len(sources))
        refuse_missing(ImageData(group.rows), lacking, group.space.n_values)
    return group, replace(tested, weights=values)
