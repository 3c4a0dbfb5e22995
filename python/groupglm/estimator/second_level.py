# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: `SecondLevelModel` is a `GroupModel` as scikit-learn has estimators."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from groupglm.errors import renamed
from groupglm.estimator.description import describe
from groupglm.estimator.group_model import GroupModel
from groupglm.estimator.model_fits import check_fitted
from groupglm.inputs import maps_of_one_kind
from groupglm.inputs.first_level import are_first_level_models
from groupglm.spaces.public_rows import fill_public, to_public

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from groupglm.inputs.first_level import FirstLevelModel
    from groupglm.spaces.images import ImageLike

__all__ = ["SecondLevelModel"]


class SecondLevelModel(TransformerMixin, BaseEstimator, GroupModel):  # type: ignore[misc]
    """Group-level general linear model, fitted at every voxel of a group of images.

    `fit` reads each image once and keeps a few numbers per voxel. A contrast is then computed from
    these numbers in milliseconds, and reads no image.

    Parameters
    ----------
    mask_img : str, os.PathLike, nibabel image or masker, optional
        The mask: zero outside, one other value inside, on the grid of the images. A masker, such
        as nilearn's ``NiftiMasker``, fitted or not, gives its mask, smoothing and target grid;
        they override those of the model, with a warning. If it is not fitted and has a
        `mask_strategy` or `mask_args` of its own, a copy of it finds the mask in the mean image. By
        default, the mask is everything that differs from the background of the mean image. The
        background is the median of the mean image within two voxels of the faces of the volume
        (NaN, if the images are NaN there). Of surfaces, the mask is an image or a pair of files of
        the same mesh (values or GIFTI labels), or a ``SurfaceMasker``; by default, a vertex that is
        NaN or zero in all images is outside. Of a table of regions, a list of names of regions.
    target_affine : array, shape (3, 3) or (4, 4), optional
        The affine (voxel indices to mm) of a grid to which images and mask are resampled. A 3 x 3
        matrix gives the axes, and the grid covers the first image. Images may then be on different
        grids. The mask is resampled by the nearest neighbour, images and covariates by a cubic
        spline, and each is clipped to its own range. Variances and weights are resampled linearly,
        because a spline may make them negative.
    target_shape : three ints, optional
        Number of voxels of the target grid along each axis. It needs a 4 x 4 `target_affine`.
    smoothing_fwhm : float or three floats, optional
        Full width at half maximum of a Gaussian in mm, for all axes or for each. None and 0 mean no
        smoothing. Smoothing follows resampling. Missing values stay missing, and a voxel beside
        them gets the weighted mean of the values that are there. Covariates are smoothed as the
        images are, weights are not. With variances it is an error: smooth at the first level,
        before effects and variances are estimated. Surfaces are smoothed on their meshes by
        FreeSurfer's rule, by one width.
    memory : str, os.PathLike or joblib.Memory, optional
        Folder of a cache for the masked values of images, 4 or 8 bytes per voxel and image. Another
        model of the same images and mask then reads no image. If a file has changed, or its values
        in the cache are damaged, the image is read again. Share the folder only with people whom
        you would let change the images.
    memory_level : int, default=1
        Has no effect without `memory`. With it, 0 counts as 1.
    verbose : int, default=0
        1 prints a line with the time of each fit, and shows a progress bar if the error output is a
        terminal. 2 prints a line for each stage too.
    n_jobs : int, default=1
        Number of threads. -1 means all. None means what joblib's ``parallel_config`` says.
    minimize_memory : bool, default=True
        Whether to refuse maps that read the images again or are as large as all images together:
        `residuals`, `predicted` and `r_square`. With either value, the model does not keep the
        values of the images.
    reports : bool, default=True
        Whether `generate_report` makes pages with results. A fit does nothing for them.
    missing : {"omit", "zero", "raise", "intersect"}, default="omit"
        What to do with NaN: "omit" leaves the value out voxel by voxel, "zero" counts it as zero,
        "raise" is an error, and "intersect" leaves out the voxels that any image lacks.
    zero_is_missing : bool, default=False
        Whether exact zeros of an image are missing values too. Some programs write zero outside the
        brain of a subject. Such zeros become NaN within the mask, before resampling and smoothing
        and before the mask is found. `missing` says what happens to them, but cannot be "zero".
    memory_budget : float, optional
        Bytes that reading images may take, by default half of the free memory. A fit takes 16
        (n_columns + 2) + 5 + n_jobs bytes per voxel, two batches of at most 40 MB, and one image
        per thread, for any number of images. A small budget makes the batches smaller, which
        changes results by rounding (1e-13). A voxel that some image lacks takes some 12 (n_columns
        + 1)^2 bytes more; a fit stops if these exceed the budget. With a target grid, and with
        smoothing or a cache but no mask, the fit keeps the values of the images until it ends: in
        memory if half of the rest of the budget holds them, else in a scratch file of the temporary
        folder. Fixed effects, weights and covariates need more numbers per voxel, for any number of
        images; so does a random intercept of subjects, more for each number of images that a
        subject may have. Mixed effects need all effects and variances at the end of the fit, 8 or
        16 bytes per voxel and image, and nested subjects and the sandwich all images: in memory if
        they take at most 512 MiB and half of the rest of the budget, else in such a file. A fit of
        1,000 images then takes some 700 MB.
    model : str or model, default="ols"
        What is fitted at each voxel: "ols" (ordinary least squares), "fixed effects" or "mixed
        effects" of images with their variances, "unequal variances" of groups of images,
        "repeated measures" of several images a subject, or "robust" (images that are far off count
        less, voxel by voxel). An object, such as
        ``MixedEffects(tau2="reml")`` or ``RepeatedMeasures("sandwich")``, has options.
    surfaces : pair of str or os.PathLike, mapping, mesh or str, optional
        The meshes of data of surfaces, for clusters, TFCE, smoothing and pictures: the files of the
        left and the right one (GIFTI or FreeSurfer), as a pair or a mapping of "left" and "right",
        one file for images of one hemisphere, nilearn's ``PolyMesh``, or "fsaverage5" or "fsLR",
        which are looked for in installed packages and in the folder of TemplateFlow. By default
        those of the images themselves, if they have any. On volumes they have no effect, with a
        warning.
    areas : pair of str, os.PathLike or array, or mapping, optional
        The area of each vertex in mm2, of the left and the right hemisphere, as files of one value
        a vertex or as arrays of shape (n_vertices,). By default a third of the areas of the
        adjoining triangles of `surfaces`.

    Attributes
    ----------
    design_matrix_ : pandas.DataFrame
        The design matrix, one row an image. The column of a covariate has each image's mean of the
        covariate over the voxels that were read: those of the mask, if one was given.
    mask_img_ : nibabel.nifti1.Nifti1Image
        The mask, uint8.
    masker_ : groupglm.group.fitted_masker.FittedMasker
        From images to rows inside the mask (``transform``, ``fit_transform``), and back
        (``inverse_transform``). The values of a row are in the order of ``image[mask]`` in numpy,
        as those of nilearn's maskers.
    n_elements_ : int
        Number of voxels in the mask.
    results_ : groupglm.models.results.OlsFit, or the fit of another model
        The fit at the voxels of the mask, in the order of ``image[mask]``. It is a copy of 8
        (n_columns + 2) bytes per voxel, made each time that you use this name. With several kinds
        of maps, the fit that was used last.
    n_observations_, n_zeros_, df_residual_ : nibabel.nifti1.Nifti1Image
        At each voxel, the number of images that have a value, the number of images that are exactly
        zero, and the residual degrees of freedom, int32.
    residuals_, predicted_ : nibabel.nifti1.Nifti1Image
        Residuals and fitted values, 4-D, one volume for each image. They need
        ``minimize_memory=False``. The methods `residuals` and `predicted` return a list with the
        image, and can write it to a file a volume at a time.
    r_square_ : nibabel.nifti1.Nifti1Image
        R-squared of each voxel. It needs ``minimize_memory=False``. The method `r_square` returns a
        list with the image.
    tau2_, i_squared_, h_squared_, q_, q_p_value_ : nibabel.nifti1.Nifti1Image
        Of a model with variances, at each voxel: the variance between subjects in squared units of
        the effects; the percentage of the variance of the effects that is between subjects; the
        ratio of the variance of the effects to their sampling variance; Cochran's Q and its
        p-value. Fixed effects have no ``tau2_``. With variance groups, the first three are
        dictionaries of images by group.
    tau2_zero_share_ : float
        Share of the voxels at which ``tau2_`` is zero.
    intraclass_correlation_, subject_variance_, residual_variance_, family_variance_ : \
nibabel.nifti1.Nifti1Image
        Of a model of several images a subject, at each voxel: the share of the variance of an image
        that all images of its subject have in common, from 0 to 1; the variance between subjects,
        of the images of a subject, and between families, in squared units of the images. The
        sandwich estimates none of them, and only nested subjects have a ``family_variance_``.
    boundary_share_ : float
        Share of the voxels at which one of these variances is estimated at 0.
    converged_, iterations_, mean_weight_ : nibabel.nifti1.Nifti1Image
        Of robust regression, at each voxel: 1 where it converged, the number of weighted fits, and
        the mean of the images' weights.
    mean_weights_ : pandas.DataFrame
        Of robust regression, for each subject: "mean_weight" over the voxels, and "low_share", the
        share of the voxels at which its weight is below a half.
    zeros_ : groupglm.group.fitted_group.PartialZeros
        How many voxels are exactly zero in some images but not in others.
    second_level_input_
        What was given to `fit`; a table of maps is sorted by subject.
    confounds_ : pandas.DataFrame or None
        What was given to `fit`.
    memory_ : joblib.Memory
        The cache. It has no location if there is no cache.

    Notes
    -----
    NaN in an image is a missing value, which is left out voxel by voxel. If no mask is given, a
    voxel stays in if enough images have a value there to leave a residual degree of freedom.

    Examples
    --------
    >>> import nibabel as nib, numpy as np, pandas as pd
    >>> from groupglm import SecondLevelModel
    >>> rng = np.random.default_rng(0)
    >>> brain = np.pad(np.ones((4, 4, 4)), 3)
    >>> images = [nib.Nifti1Image(brain * (rng.standard_normal(brain.shape) + 2), np.eye(4))
    ...           for _ in range(8)]
    >>> design = pd.DataFrame({"intercept": np.ones(8)})
    >>> model = SecondLevelModel().fit(images, design_matrix=design)
    >>> model
    SecondLevelModel() fitted to 8 images: 64 voxels, 7 degrees of freedom, column intercept
    >>> z = model.compute_contrast("intercept")
    >>> z.shape, model.n_elements_, bool(z.get_fdata().max() > 4)
    ((10, 10, 10), 64, True)
    """

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Show the parameters that are not the default and, once fitted, the fit in numbers."""
        return describe(self, self._fits if hasattr(self, "_fits") else None, N_CHAR_MAX)

    def __sklearn_tags__(self) -> Tags:
        """Return tags for scikit-learn: the input is images, which may hold NaN, not an array."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = self.missing != "raise"
        tags.no_validation = True
        return tags

    def fit(
        self,
        second_level_input: (
            Sequence[ImageLike | FirstLevelModel] | pd.Series[Any] | pd.DataFrame | ImageLike
        ),
        confounds: pd.DataFrame | None = None,
        design_matrix: pd.DataFrame | str | os.PathLike[str] | None = None,
        *,
        allow_partial: bool = False,
        variances: Any = None,
        weights: Any = None,
        covariates: Mapping[str, Any] | None = None,
        subjects: ArrayLike | None = None,
        families: ArrayLike | None = None,
        visits: ArrayLike | None = None,
    ) -> Self:
        """Read the images and fit the model at every voxel.

        Parameters
        ----------
        second_level_input : images, a table of maps, or a list of first-level models
            Images are a list or Series of file names or of nibabel images of one volume each, or
            one 4-D image. They are NIfTI-1 or NIfTI-2 (one file or a pair), Analyze pairs,
            compressed or not, or another format that nibabel reads. Images of surfaces are
            nilearn's ``SurfaceImage`` (several, or one whose columns are images), or files of GIFTI
            or FreeSurfer (.mgh, .mgz, ``lh.thickness``): pairs (left, right), a mapping of "left"
            and "right" to lists, one list that pairs by name, or one hemisphere. Both files of an
            image differ only in ``hemi-L``, ``.L.`` or ``lh.``, or say by GIFTI's
            AnatomicalStructurePrimary of which hemisphere they are. A table of maps is a data frame
            with the columns ``subject_label``, ``map_name`` and ``effects_map_path``; it is sorted
            by subject. First-level models, such as nilearn's ``FirstLevelModel``, must be fitted.
            With models or several map names, ``first_level_contrast`` chooses the maps of a
            contrast. Each kind of map is fitted when it is first used, and its fit is kept. A table
            of regions is a data frame, or a .tsv or .csv file, with one row a subject and one
            column of numbers a region; the subjects are its index, or a column ``subject_label`` or
            ``participant_id``. It is told from a table of maps by the columns of the latter.
        confounds : pandas.DataFrame, optional
            A column ``subject_label`` and one column for each confound. It is for a table of maps
            or first-level models without a design matrix: the columns of the model are then the
            confounds and an intercept (see `make_second_level_design_matrix`).
        design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
            One row for each image, in the same order, and numeric columns. A column
            ``subject_label``, as ``groupglm fit`` writes it, labels the rows and is not a
            regressor. With a table of maps or first-level models, this column or an index of labels
            matches the rows. Without labels, a table must be sorted by subject. Where a subject has
            several maps, rows and maps are matched by subject and visit, if both have visits: a
            column ``visit_label``, ``session_label`` or ``session_id`` of the design, and one of
            the table or ``ses-`` in the names of the files. Else the rows must be in the order of
            the maps as they are given.
        allow_partial : bool, default=False
            Whether to leave out subjects without a map, without a row, or without a value in their
            row of the confounds or the design. A warning names them.
        variances : images, optional
            The first-level variance of each effect (the square of its standard error), for fixed
            and mixed effects: a list or Series of images or one 4-D image, in the order of the
            images. A Series is matched by subject label. A table of maps has them in a column
            ``variances_map_path``, and first-level models compute them. An effect is missing where
            its variance is NaN or 0; where both are 0 is outside the subject's brain.
        weights : images, optional
            The weight of each value, for ``model="ols"``, given as `variances` are, or in a column
            ``weights_map_path``. An image is missing where its weight is 0 or NaN.
        covariates : mapping of str to images, optional
            Columns of the design whose values differ from voxel to voxel, such as
            ``{"grey_matter": images}``, for ``model="ols"``. The images of each are given as
            `variances` are. Contrasts name them like other columns. A value is missing where a
            covariate is NaN.
        subjects : array_like of labels, shape (n_images,), or pandas.Series, optional
            The subject of each image, for ``model="repeated measures"``. A Series is matched by
            subject label. By default, the subjects are those of a table of maps, of a column or an
            index ``subject_label`` or ``participant_id`` of the design, of first-level models, or
            of file names (``sub-01_...``).
        families : array_like of labels, shape (n_images,), or pandas.Series, optional
            What each image's subject lies in, such as a family or a site, for
            ``RepeatedMeasures("nested")``. A Series may have one label a subject.
        visits : array_like of labels, shape (n_images,), or pandas.Series, optional
            The visit of each image, for ``model="repeated measures"``. A subject with two images of
            one visit is refused. By default, where the model needs them, they are those of a column
            ``visit_label`` of a table of maps or the design, or of file names (``ses-``, ``run-``).

        Returns
        -------
        SecondLevelModel
            The model itself, fitted.

        Raises
        ------
        TypeError
            If an input is of another type.
        groupglm.errors.ImageError
            If an image cannot be used; the message names it.
        groupglm.errors.GridMismatchError
            If images, or the mask, are on different grids.
        ValueError
            If the design matrix does not fit the images or leaves no residual degree of freedom, or
            the mask is empty. If variances, weights or covariates are not of these images, are
            negative, or are none (such as standard errors, by the name or the header of a file), or
            the model does not take them. If subjects have several images, and neither the model
            nor a column of the design knows of subjects; or if subjects, families or visits do not
            match the images.

        Warns
        -----
        groupglm.errors.RankDeficientWarning, groupglm.errors.CollinearityWarning
            If columns of the design depend on each other, entirely or nearly.
        groupglm.errors.ZeroValuesWarning
            If images are exactly zero at voxels where others are not.
        UserWarning
            If subjects are left out: who, and why. If variances cannot be used at some voxels, look
            like standard errors, or leave most of the weight to one image: whose.
        """
        return self._fit_anew(
            second_level_input,
            confounds,
            design_matrix,
            allow_partial,
            variances,
            weights,
            covariates,
            subjects=subjects,
            families=families,
            visits=visits,
        )

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit, and return what `transform` makes of the same images, which are read once for both.

        Parameters
        ----------
        X : list or pandas.Series of images, one image, or a table of one kind of maps
            As `fit` takes it.
        y : pandas.DataFrame, optional
            The `confounds` of `fit`; scikit-learn's convention.
        **fit_params
            The other arguments of `fit`.

        Returns
        -------
        array, shape (n_images, n_voxels)
            As `transform` returns it.
        """
        if type(self).fit is not SecondLevelModel.fit:  # a subclass may take other inputs
            return super().fit_transform(X, y, **fit_params)
        if y is not None:
            fit_params["confounds"] = y
        inspect.signature(self.fit).bind(X, **fit_params)  # refuses unknown arguments
        # Images that the fit leaves out have a row too, and `transform` does not take models.
        keeps = not fit_params.get("allow_partial") and not are_first_level_models(X)
        with renamed(second_level_input="X"):
            self._fit_anew(X, **fit_params, keep_rows=keeps)
        rows = self._fits.take_rows()
        if rows is None:
            return self.transform(X)
        fill_public(self._group.space, rows, rows)
        return rows

    def transform(self, X: Any) -> Any:
        """Read images inside the mask of the fit.

        Parameters
        ----------
        X : list or pandas.Series of images, one image, or a table of one kind of maps
            On the grid of the fit.

        Returns
        -------
        array, shape (n_images, n_voxels)
            Voxels are in the order of ``image[mask]``. float32, or float64 if the values need it to
            be exact. NaN where an image has no value. One image gives one row: for scikit-learn the
            result always has two axes, unlike that of the method of `masker_`.
            ``set_output`` makes it a data frame with a column ``voxel_i_j_k`` for each voxel.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        groupglm.errors.ImageError
            If an image cannot be read.
        """
        check_fitted(self)
        if isinstance(X, pd.DataFrame):
            X = maps_of_one_kind(X)
        with renamed(imgs="X"):
            return self.masker_.matrix(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Name the columns of `transform`: ``voxel_i_j_k`` by the voxel's place in the grid.

        Parameters
        ----------
        input_features : None
            Ignored; scikit-learn's convention.

        Returns
        -------
        array of str, shape (n_voxels,)
            In the order of ``image[mask]``.
        """
        del input_features
        space = self._group.space
        return to_public(space, space.value_names())

    @property
    def labels_(self) -> NoReturn:
        """Absent: `results_` is one fit of all voxels, not one for each autocorrelation."""
        raise AttributeError(
            "'SecondLevelModel' object has no attribute 'labels_': group-level data have no "
            "autocorrelation, so that results_ is one fit of all voxels; in the place of "
            "results_[label].theta use results_.beta, and for maps compute_contrast"
        )


def _call_after_the_estimator() -> None:
    """Have Python's messages about arguments name the class that users know, not its bases."""
    for base in GroupModel.__mro__[:-1]:
        for name, member in vars(base).items():
            function = getattr(member, "__func__", member)  # of a class method
            if inspect.isfunction(function) and (name == "__init__" or name[0] != "_"):
                function.__module__, function.__qualname__ = __name__, f"SecondLevelModel.{name}"


_call_after_the_estimator()
