# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: from images and a design to maps. The one place that orchestrates."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from groupglm import _core
from groupglm.contrasts import contrast_matrix
from groupglm.design import check_design_matrix, load_design_matrix
from groupglm.engine import fit_state
from groupglm.images import open_images
from groupglm.ols import prepare_design
from groupglm.results import ContrastResult, OlsFit, StatType
from groupglm.spaces.background import background_mask
from groupglm.spaces.volume import VolumeSpace

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

    from groupglm.images import ImageLike, VolumeSource

__all__ = ["SecondLevelModel"]

OUTPUT_TYPES = ("z_score", "stat", "p_value", "effect_size", "effect_variance")


class SecondLevelModel(BaseEstimator):  # type: ignore[misc]
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
        Kept for scripts that set it: the images' values are never kept.

    Attributes
    ----------
    design_matrix_ : pandas.DataFrame
        The design matrix, one row an image.
    mask_img_ : nibabel.nifti1.Nifti1Image
        The mask, uint8.
    n_elements_ : int
        Number of voxels in the mask.
    results_ : groupglm.results.OlsFit
        The fit at the mask's voxels, in file order (the first axis varies fastest).
    second_level_input_
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

    def fit(
        self,
        second_level_input: Sequence[ImageLike] | pd.Series[Any] | ImageLike,
        confounds: pd.DataFrame | None = None,
        design_matrix: pd.DataFrame | str | os.PathLike[str] | None = None,
    ) -> Self:
        """Read the images once and fit the model at every voxel.

        Parameters
        ----------
        second_level_input : list or pandas.Series of images, or one 4-D image
            File names, or nibabel images of one volume each. NIfTI-1 or NIfTI-2 as one file or a
            pair, Analyze pairs, compressed or not, or whatever else nibabel reads.
        confounds : pandas.DataFrame, optional
            Not yet available: put them into the design matrix.
        design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
            One row an image, in the same order; numeric columns.

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
        """
        start = time.perf_counter()
        self._forget()
        self._refuse_unavailable(second_level_input, confounds)
        n_threads = joblib.effective_n_jobs(self.n_jobs)
        sources = open_images(second_level_input)
        frame, matrix = _read_design(design_matrix, len(sources))
        names = tuple(str(name) for name in frame.columns)
        design = prepare_design(matrix, names)
        space = self._space(sources)
        state = fit_state(sources, space, design, n_threads=n_threads)
        if self.mask_img is None:
            space, state = _find_mask(space, state, design, n_threads)
        self.results_ = OlsFit(
            X=matrix, column_names=names, n_threads=n_threads, _state=state, _design=design
        )
        self.design_matrix_ = frame
        self.second_level_input_ = second_level_input
        self.mask_img_ = space.mask_image()
        self.n_elements_ = space.n_values
        self._space_ = space
        if self.verbose:
            seconds = time.perf_counter() - start
            print(  # noqa: T201  (what verbose asks for)
                f"Fitted {len(sources)} images at {space.n_values} voxels in {seconds:.2f} s."
            )
        return self

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
            Has no effect on images.
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
        if output_type not in (*OUTPUT_TYPES, "all"):
            raise ValueError(
                f"output_type is {output_type!r}; it must be one of {', '.join(OUTPUT_TYPES)}, all"
            )
        if first_level_contrast is not None:
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
        return self._space_.to_image(getattr(result, kind), descrip)

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _refuse_unavailable(self, second_level_input: object, confounds: object) -> None:
        wanted = {
            "target_affine": self.target_affine is not None,
            "target_shape": self.target_shape is not None,
            "smoothing_fwhm": self.smoothing_fwhm not in (None, 0),
            "memory": self.memory is not None,
            "confounds": confounds is not None,
            "a table of maps as second_level_input": isinstance(second_level_input, pd.DataFrame),
        }
        missing = [name for name, is_wanted in wanted.items() if is_wanted]
        if missing:
            raise NotImplementedError(
                f"not yet available: {', '.join(missing)}; leave it out, and resample or smooth "
                "the images beforehand, or put the columns into the design matrix"
            )

    def _space(self, sources: Sequence[VolumeSource]) -> VolumeSpace:
        grid = sources[0].grid
        if self.mask_img is None:
            return VolumeSpace(grid)
        return VolumeSpace.from_mask(self.mask_img, grid)


def _read_design(
    design_matrix: pd.DataFrame | str | os.PathLike[str] | None, n_images: int
) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.float64]]]:
    if design_matrix is None:
        raise ValueError(
            "a list of images as second_level_input requires a design matrix to be provided; for a "
            "one-sample test give pandas.DataFrame({'intercept': 1.0}, index=range(n_images))"
        )
    frame = load_design_matrix(design_matrix)
    return frame, check_design_matrix(frame, n_images)


def _find_mask(
    space: VolumeSpace, state: _core.OlsState, design: _core.Design, n_threads: int
) -> tuple[VolumeSpace, _core.OlsState]:
    """Keep the voxels that are not background, now that the mean of the images is known."""
    shape = space.grid.shape
    mean = _core.mean(state, design, n_threads)
    n_observations, _ = _core.observations_and_rank(state, design, n_threads)
    mask = background_mask(
        mean.reshape(shape, order="F"),
        n_observations.reshape(shape, order="F"),
        n_images=state.n_rows,
        min_observations=design.rank + 1,
    )
    keep = mask.ravel(order="F")
    return space.restrict(keep), state.select(np.flatnonzero(keep).astype(np.int64))
