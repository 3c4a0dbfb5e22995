# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: from images and a design to maps. The one place that orchestrates."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from groupglm.contrasts import contrast_matrix
from groupglm.design import check_design_matrix, load_design_matrix, report_collinearity
from groupglm.fitted import MISSING, FittedGroup, Missing, VolumeMasker, fit_group
from groupglm.images import open_images
from groupglm.inputs import MapTable, align_design
from groupglm.ols import prepare_design
from groupglm.results import ContrastResult, OlsFit, StatType
from groupglm.voxelwise import VoxelwiseMaps

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import NDArray

    from groupglm.images import ImageLike

__all__ = ["SecondLevelModel"]

_PRIVATE = ("_group", "_groups", "_table", "_designs")  # what a fit leaves besides its attributes
OUTPUT_TYPES = ("z_score", "stat", "p_value", "effect_size", "effect_variance")


class SecondLevelModel(VoxelwiseMaps, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Group-level general linear model, fitted at every voxel of a group of images.

    `fit` reads every image once and keeps a few numbers a voxel; a contrast is then a matter of
    milliseconds and never reads an image again.

    Parameters
    ----------
    mask_img : str, os.PathLike or nibabel image, optional
        Zero outside, one other value inside, on the grid of the images. By default everything that
        differs from the background of the mean image, where the background is its median within two
        voxels of the box's faces (NaN, if the images are NaN there).
    target_affine, target_shape : optional
        Resampling; not yet available.
    smoothing_fwhm : float, optional
        Smoothing in mm; not yet available: only None and 0, no smoothing.
    memory : optional
        Not yet available: only None. Nothing is recomputed that a cache could spare.
    memory_level : int, default=1
        Has no effect without `memory`.
    verbose : int, default=0
        From 1 on, prints what was fitted and the time it took.
    n_jobs : int, default=1
        Number of threads; -1 means all, None what joblib's ``parallel_config`` says.
    minimize_memory : bool, default=True
        Whether to refuse maps that need the images again or as much room as they take: `residuals`,
        `predicted` and `r_square`. The images' values are never kept either way.
    missing : {"omit", "zero", "raise", "intersect"}, default="omit"
        What to do about NaN: leave the value out voxel by voxel, take it for zero, refuse, or leave
        the voxel out.

    Attributes
    ----------
    design_matrix_ : pandas.DataFrame
        The design matrix, one row an image.
    mask_img_ : nibabel.nifti1.Nifti1Image
        The mask, uint8.
    masker_ : object
        Has ``mask_img_``, ``transform`` (images to rows) and ``inverse_transform`` (and back).
    n_elements_ : int
        Number of voxels in the mask.
    results_ : groupglm.results.OlsFit
        The fit at the mask's voxels, in file order (the first axis varies fastest). With several
        kinds of maps, the one that was used last.
    n_observations_, df_residual_ : nibabel.nifti1.Nifti1Image
        Number of images and residual degrees of freedom at each voxel, int32.
    second_level_input_
        What was given to `fit`; a table of maps is sorted by subject.
    confounds_ : pandas.DataFrame or None
        What was given to `fit`.

    Notes
    -----
    NaN in an image is a missing value, left out voxel by voxel. Without a mask given, a voxel stays
    in when enough images have it to leave a residual degree of freedom.

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
    >>> z = model.compute_contrast("intercept")
    >>> z.shape, model.n_elements_, bool(z.get_fdata().max() > 4)
    ((10, 10, 10), 64, True)
    """

    def __init__(
        self,
        mask_img: ImageLike | None = None,
        target_affine: Any = None,
        target_shape: Any = None,
        smoothing_fwhm: Any = None,
        memory: Any = None,
        memory_level: int = 1,
        verbose: int = 0,
        n_jobs: int | None = 1,
        minimize_memory: bool = True,
        *,
        missing: Missing = "omit",
    ) -> None:
        self.mask_img = mask_img
        self.target_affine = target_affine
        self.target_shape = target_shape
        self.smoothing_fwhm = smoothing_fwhm
        self.memory = memory
        self.memory_level = memory_level
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.minimize_memory = minimize_memory
        self.missing = missing

    def fit(
        self,
        second_level_input: Sequence[ImageLike] | pd.Series[Any] | pd.DataFrame | ImageLike,
        confounds: pd.DataFrame | None = None,
        design_matrix: pd.DataFrame | str | os.PathLike[str] | None = None,
    ) -> Self:
        """Read the images once and fit the model at every voxel.

        Parameters
        ----------
        second_level_input : list or pandas.Series of images, one 4-D image, or a table of maps
            File names, or nibabel images of one volume each. NIfTI-1 or NIfTI-2 as one file or a
            pair, Analyze pairs, compressed or not, or whatever else nibabel reads. A table is a
            data frame with the columns ``subject_label``, ``map_name`` and ``effects_map_path``; it
            is sorted by subject. With several map names, ``first_level_contrast`` chooses one for
            each contrast, and each is fitted when it is first asked for.
        confounds : pandas.DataFrame, optional
            A ``subject_label`` column and numeric columns, with a table of maps and without a
            design matrix: the model is then these and an intercept.
        design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
            One row an image, in the same order; numeric columns. With a table of maps, rows are
            matched by a ``subject_label`` column or an index of labels; without either the table
            must be sorted by subject.

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
            the mask is empty.

        Warns
        -----
        groupglm.errors.RankDeficientWarning, groupglm.errors.CollinearityWarning
            If columns of the design depend on each other, entirely or nearly.
        """
        self._forget()
        self._refuse_unavailable()
        check_jobs(self.n_jobs)
        if self.missing not in MISSING:
            raise ValueError(f"missing is {self.missing!r}; it must be one of {', '.join(MISSING)}")
        if isinstance(second_level_input, pd.DataFrame):
            self._fit_table(MapTable.from_frame(second_level_input), confounds, design_matrix)
        else:
            self._fit_images(second_level_input, confounds, design_matrix)
        self.confounds_ = confounds
        return self

    def _fit_images(self, images: Any, confounds: Any, design_matrix: Any) -> None:
        if confounds is not None:
            raise ValueError(
                "confounds are matched by subject label, which a list of images does not have; put "
                "them into design_matrix, or give a table of maps as second_level_input"
            )
        if design_matrix is None:
            raise ValueError(
                "a list of images as second_level_input requires a design matrix to be provided; "
                "for a one-sample test give "
                "pandas.DataFrame({'intercept': 1.0}, index=range(n_images))"
            )
        self._use(self._fit_group(images, load_design_matrix(design_matrix)))
        self.second_level_input_ = images

    def _fit_table(self, table: MapTable, confounds: Any, design_matrix: Any) -> None:
        if confounds is not None and design_matrix is not None:
            warnings.warn(
                "confounds have no effect beside a design_matrix; put them into it, or leave it "
                "out",
                stacklevel=3,
            )
        names = table.map_names
        designs = {}
        for name in names:
            labels = table.select(name)["subject_label"].tolist()
            designs[name] = align_design(
                design_matrix, confounds, labels, was_sorted=table.was_sorted
            )
        self._table, self._designs = table, designs
        self._groups: dict[str, tuple[FittedGroup, pd.DataFrame]] = {}
        self.design_matrix_ = designs[names[0]]
        if len(names) == 1:
            self._choose_group(names[0])
        self.second_level_input_ = table.frame

    def _choose_group(self, first_level_contrast: str | None) -> None:
        """Make the fit of a kind of maps the current one; it is made when first asked for."""
        chosen = self._table.select(first_level_contrast)
        name = str(chosen["map_name"].iloc[0])
        if name not in self._groups:
            images = chosen["effects_map_path"].tolist()
            self._groups[name] = self._fit_group(images, self._designs[name])
        self._use(self._groups[name])

    def _fit_group(self, images: Any, frame: pd.DataFrame) -> tuple[FittedGroup, pd.DataFrame]:
        start = time.perf_counter()
        sources = open_images(images)
        matrix = check_design_matrix(frame, len(sources))
        names = tuple(str(name) for name in frame.columns)
        design = prepare_design(matrix, names, stacklevel=4)
        if design.rank == design.n_columns:
            report_collinearity(matrix, names, stacklevel=5)
        group = fit_group(
            sources,
            design,
            matrix,
            names,
            mask_img=self.mask_img,
            missing=self.missing,
            n_threads=check_jobs(self.n_jobs),
        )
        if self.verbose:
            seconds = time.perf_counter() - start
            print(  # noqa: T201  (what verbose asks for)
                f"Fitted {len(sources)} images at {group.space.n_values} voxels in {seconds:.2f} s."
            )
        return group, frame.copy()

    def _use(self, fitted: tuple[FittedGroup, pd.DataFrame]) -> None:
        self._group, self.design_matrix_ = fitted
        self.mask_img_ = self._group.space.mask_image()
        self.n_elements_ = self._group.space.n_values

    def transform(self, X: Any) -> Any:
        """Read images inside the mask of the fit.

        Parameters
        ----------
        X : list or pandas.Series of images, one 4-D image, or a table of one kind of maps
            On the grid of the fit.

        Returns
        -------
        array, shape (n_images, n_voxels)
            float32, or float64 where that is needed to hold the values exactly; NaN where an image
            has none. ``set_output`` makes it a data frame with a column ``voxel_i_j_k`` a voxel.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        groupglm.errors.ImageError
            If an image cannot be read.
        """
        check_is_fitted(self)
        if isinstance(X, pd.DataFrame):
            X = MapTable.from_frame(X).select(None)["effects_map_path"]
        return self.masker_.transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Name the columns of `transform`: ``voxel_i_j_k`` by the voxel's place in the grid.

        Parameters
        ----------
        input_features : None
            Ignored; scikit-learn's convention.

        Returns
        -------
        array of str, shape (n_voxels,)
            In file order.
        """
        del input_features
        return self._current().space.value_names()

    @property
    def masker_(self) -> VolumeMasker:
        """Images to rows inside the mask and back: ``mask_img_``, ``transform``, its inverse."""
        group = self._current()
        return VolumeMasker(group.space, group.result.n_threads)

    @property
    def results_(self) -> OlsFit:
        """The fit at the mask's voxels."""
        return self._current().result

    def _current(self) -> FittedGroup:
        check_is_fitted(self)
        if not hasattr(self, "_group"):
            raise AttributeError(
                "the table of maps has several map names, and none has been fitted yet; ask for a "
                "contrast with first_level_contrast first"
            )
        return self._group

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has been called."""
        return hasattr(self, "second_level_input_")

    def compute_contrast(
        self,
        second_level_contrast: Any = None,
        first_level_contrast: str | None = None,
        second_level_stat_type: StatType | None = None,
        output_type: str = "z_score",
    ) -> Any:
        """Compute the maps of a contrast.

        Parameters
        ----------
        second_level_contrast : str, array_like or None
            A column's name; a linear expression over column names such as ``"group - 0.5*age"``; a
            vector, one number a column; a matrix or a list of names and expressions, whose rows are
            tested together by an F statistic. None when the design has one column.
        first_level_contrast : str, optional
            The map name to use from a table of maps; has no effect on images.
        second_level_stat_type : {"t", "F"}, optional
            Forces the statistic.
        output_type : str, default="z_score"
            "z_score", "stat", "p_value", "effect_size", "effect_variance" or "all".

        Returns
        -------
        nibabel.nifti1.Nifti1Image, or dict of them with "all"
            float32 maps on the grid of the images, zero outside the mask. The effect size of an F
            contrast is 4-D: one volume a row. p-values of t are one-sided.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            If the contrast is none of the above, or cannot be estimated.
        """
        check_is_fitted(self)
        if not isinstance(output_type, str) or output_type not in (*OUTPUT_TYPES, "all"):
            raise ValueError(
                f"output_type is {output_type!r}; it must be one of {', '.join(OUTPUT_TYPES)}, all"
            )
        if hasattr(self, "_table"):
            self._choose_group(first_level_contrast)
        elif first_level_contrast is not None:
            warnings.warn(
                f"first_level_contrast={first_level_contrast!r} has no effect: the model was "
                "fitted to images",
                stacklevel=2,
            )
        values = contrast_matrix(second_level_contrast, list(self.design_matrix_.columns))
        stat_type = second_level_stat_type
        if stat_type is None and values.ndim == 2 and len(values) == 1:
            stat_type = "t"  # as nilearn: one row is one contrast
        result = self.results_.contrast(values, stat_type=stat_type)
        label = second_level_contrast if isinstance(second_level_contrast, str) else values.tolist()
        if output_type == "all":
            return {kind: self._map(result, kind, label) for kind in OUTPUT_TYPES}
        return self._map(result, output_type, label)

    def _map(self, result: ContrastResult, kind: str, label: object) -> Nifti1Image:
        descrip = f"{kind} of contrast {label}"
        if kind in ("stat", "z_score", "p_value"):
            descrip = f"{result.stat_type} {descrip}"
        return self._group.space.to_image(getattr(result, kind), descrip)

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") or name in _PRIVATE]:
            delattr(self, name)

    def _refuse_unavailable(self) -> None:
        wanted = {
            "target_affine": self.target_affine is not None,
            "target_shape": self.target_shape is not None,
            "smoothing_fwhm": self.smoothing_fwhm is not None and np.any(self.smoothing_fwhm),
            "memory": self.memory is not None,
        }
        missing = [name for name, is_wanted in wanted.items() if is_wanted]
        if missing:
            raise NotImplementedError(
                f"not yet available: {', '.join(missing)}; leave it out, and resample or smooth "
                "the images beforehand"
            )


def check_jobs(n_jobs: int | None) -> int:
    """Return the number of threads that ``n_jobs`` stands for."""
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral)):
        raise TypeError(f"n_jobs is {n_jobs!r}; it must be a whole number or None")
    if n_jobs == 0:
        raise ValueError("n_jobs is 0; give the number of threads, or -1 for all of them")
    return min(int(joblib.effective_n_jobs(n_jobs)), 256)
