# SPDX-License-Identifier: BSD-3-Clause
"""The fit itself as images: mask, numbers of images, R-squared, fitted values, residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.errors import renamed
from groupglm.estimator.model_fits import check_fitted
from groupglm.group.fitted_masker import FittedMasker
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.paths import given_path, refuse_inputs
from groupglm.spaces.statistic import Statistic
from groupglm.tabular.labels import LABEL

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from groupglm.estimator.model_fits import ModelFits
    from groupglm.group.fitted_group import FittedGroup, PartialZeros
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.spaces.images import Image

__all__ = ["MapsOfFit"]


_READ_IMAGES = ("smoothness_", "rpv_img_", "residuals_", "predicted_")
"""Attributes for which all images are read again."""


class MapsOfFit:
    """What a fit holds, whatever the contrast.

    `residuals_`, `predicted_` and `r_square_` are images, as in nilearn. Without the underscore
    they are methods, as its documentation has them, which return a list with the image.
    """

    minimize_memory: bool
    # Of the class that inherits from this one.
    _group: Any
    _fits: ModelFits

    def __dir__(self) -> list[str]:
        # Whoever lists attributes also asks for their values: scikit-learn does so when a notebook
        # shows a model.
        return [name for name in super().__dir__() if name not in _READ_IMAGES]

    @property
    def masker_(self) -> FittedMasker:
        """Images to rows inside the mask, in the order of ``image[mask]``, and back."""
        group = self._group
        return FittedMasker(group.space, group.result.n_threads, group.fill)

    @property
    def mask_img_(self) -> Image:
        """The mask, uint8."""
        image: Image = self._group.space.mask_image()
        return image

    @property
    def n_elements_(self) -> int:
        """Number of voxels in the mask."""
        n_values: int = self._group.space.n_values
        return n_values

    @property
    def results_(self) -> Any:
        """The fit at the mask's voxels, in the order of ``image[mask]``.

        It is a copy, made each time that you use this name: keep it in a variable.
        """
        fit = self._group.result
        order = self._group.space.public_order
        return fit if order is None else fit.select(order)

    @property
    def n_observations_(self) -> Image:
        """Number of images that have each voxel, int32."""
        image: Image = self._group.n_observations_image()
        return image

    @property
    def n_zeros_(self) -> Image:
        """Number of images that are exactly zero at each voxel, int32."""
        image: Image = self._group.n_zeros_image()
        return image

    @property
    def zeros_(self) -> PartialZeros:
        """How many voxels are exactly zero in some images but not in others."""
        zeros: PartialZeros = self._group.zeros
        return zeros

    @property
    def df_residual_(self) -> Image:
        """Residual degrees of freedom of each voxel, int32."""
        image: Image = self._group.df_residual_image()
        return image

    @property
    def smoothness_(self) -> Smoothness:
        """How smooth the noise is, and how many resels are searched (random field theory).

        Estimated from standardised residuals, as `groupglm.estimate_smoothness` does. The images
        are read for it once, when you first use this name; a saved model keeps what is known.
        """
        check_fitted(self)
        return self._fits.smoothness()

    @property
    def rpv_img_(self) -> Image:
        """Resels per voxel (SPM's RPV image), or per vertex of surfaces, float32.

        Where the noise is rougher there are more. The mean over voxels is ``resels_per_unit`` of
        `smoothness_`, and the sum over the vertices of a surface is its ``resels[2]``. The images
        are read for it and for `smoothness_` together, when you first use either name; a saved
        model does not keep it.
        """
        check_fitted(self)
        resels = self._fits.local_resels()
        image: Image = self._group.space.to_image(resels, "rpv", statistic=Statistic("rpv"))
        return image

    @property
    def r_square_(self) -> Image:
        """R-squared of each voxel, float32; needs ``minimize_memory=False``."""
        image: Image = self._group_for_large_maps().r_square_image()
        return image

    @property
    def predicted_(self) -> Image:
        """Fitted values, 4-D, one volume an image; needs ``minimize_memory=False``.

        float32, or float64 where a value leaves its range.
        """
        return self._rows(self._group_for_large_maps().predicted_image)

    @property
    def residuals_(self) -> Image:
        """Residuals, 4-D, one volume an image; needs ``minimize_memory=False``.

        float32, or float64 if float32 cannot hold a value. NaN where an image has no value. The
        images are read again, in batches. Besides the memory of the fit, this takes that of the
        result: 4 (or 8) bytes per voxel and image.
        """
        return self._rows(self._group_for_large_maps().residuals_image)

    def r_square(self) -> list[Image]:
        """Return a list holding `r_square_`.

        Returns
        -------
        list of one nibabel.nifti1.Nifti1Image
            float32.

        Raises
        ------
        AttributeError
            With ``minimize_memory=True``.
        """
        return [self.r_square_]

    def predicted(self, *, out: str | os.PathLike[str] | None = None) -> list[Image]:
        """Return a list holding `predicted_`.

        Parameters
        ----------
        out : str or os.PathLike, optional
            A file, .nii or .nii.gz, to write to a volume at a time, for when the result does not
            fit into memory; the image returned is that file's.

        Returns
        -------
        list of one nibabel.nifti1.Nifti1Image
            float32, or float64 where a value leaves its range; one volume an image.

        Raises
        ------
        AttributeError
            With ``minimize_memory=True``.
        ValueError
            If the file's name ends otherwise, or it is an image, mask or design matrix of this
            model.
        """
        with renamed(path="out"):
            return [self._rows(self._group_for_large_maps().predicted_image, self._target(out))]

    def residuals(self, *, out: str | os.PathLike[str] | None = None) -> list[Image]:
        """Return a list holding `residuals_`.

        Parameters
        ----------
        out : str or os.PathLike, optional
            A file, .nii or .nii.gz, to write to a volume at a time, for when the result does not
            fit into memory; the image returned is that file's.

        Returns
        -------
        list of one nibabel.nifti1.Nifti1Image
            float32, or float64 where a value leaves its range; one volume an image, NaN where an
            image has no value.

        Raises
        ------
        AttributeError
            With ``minimize_memory=True``.
        ValueError
            If the file's name ends otherwise, or it is an image, mask or design matrix of this
            model.
        """
        with renamed(path="out"):
            return [self._rows(self._group_for_large_maps().residuals_image, self._target(out))]

    def _rows(self, make: Callable[[Path | None], Any], out: Path | None = None) -> Any:
        """Return a row for each image; of regions by the labels of their subjects.

        They are written to `out`, if it is given.
        """
        labels = [getattr(source, "label", "") for source in self._group.images]
        if not all(labels):
            return make(out)
        import pandas as pd

        from groupglm.spaces.registry import kind_of

        rows = make(None).set_axis(pd.Index(labels, name=LABEL), axis=0)
        if out is not None:
            kind_of(rows).save(rows, out)
        return rows

    def _target(self, out: str | os.PathLike[str] | None) -> Path | None:
        if out is None:
            return None
        path = given_path("out", out)
        refuse_inputs("out", path, self._fits.files)
        return path

    def _group_for_large_maps(self) -> FittedGroup:
        if check_truth("minimize_memory", self.minimize_memory):
            raise AttributeError(
                "To access voxelwise attributes, which are residuals, predicted values and "
                "R-squared, `minimize_memory` must be False, but it is True; set `minimize_memory` "
                "to `False` when making the model, and fit it again"
            )
        group: FittedGroup = self._group
        return group
