# SPDX-License-Identifier: BSD-3-Clause
"""Images to rows of values inside the mask of a fit, and back: `FittedMasker`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from groupglm.engine.rows import read_rows
from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.runtime.arguments import real_array
from groupglm.spaces.public_rows import fill_public, from_public
from groupglm.spaces.registry import kind_of, open_inputs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from groupglm.spaces.base import Space

__all__ = ["FittedMasker"]


@dataclass(frozen=True, eq=False)
class FittedMasker:
    """Images to rows of values inside the mask of a fit, and back.

    The values of a volume are in the order of ``image[mask]`` in numpy, which is that of nilearn's
    maskers and ``apply_mask``. Given as the `mask_img` of another model, the masker gives it its
    mask, its target grid and its smoothing.

    Parameters
    ----------
    space : Space
        The voxels. Rows of the space may have another order than those of this masker.
    n_threads : int
        Number of threads that read images.
    fill : float, optional
        Put in the place of missing values, as in the fit.

    Examples
    --------
    >>> import nibabel as nib, numpy as np, pandas as pd
    >>> from groupglm import SecondLevelModel
    >>> rng = np.random.default_rng(0)
    >>> images = [nib.Nifti1Image(rng.standard_normal((4, 4, 4)), np.eye(4)) for _ in range(8)]
    >>> inside = np.zeros((4, 4, 4), np.uint8)
    >>> inside[1:3, 2] = 1
    >>> model = SecondLevelModel(nib.Nifti1Image(inside, np.eye(4)))
    >>> model = model.fit(images, design_matrix=pd.DataFrame({"intercept": np.ones(8)}))
    >>> rows = model.masker_.transform(images)
    >>> rows.shape, bool((rows[0] == images[0].get_fdata()[inside > 0]).all())
    ((8, 8), True)
    >>> model.masker_.inverse_transform(rows[0]).shape
    (4, 4, 4)
    """

    space: Space
    n_threads: int
    fill: float | None = None

    def __sklearn_clone__(self) -> Self:
        """Return the masker itself, which never changes."""
        return self

    @property
    def mask_img_(self) -> Any:
        """The mask, uint8."""
        return self.space.mask_image()

    @property
    def n_elements_(self) -> int:
        """Number of voxels in the mask."""
        return self.space.n_values

    @property
    def smoothing_fwhm(self) -> Any:
        """Full width at half maximum in mm of the smoothing that `transform` does, or None."""
        return self.space.preparation_options.get("smoothing_fwhm")

    @property
    def target_affine(self) -> NDArray[np.float64] | None:
        """Affine of the grid to which `transform` resamples images, or None."""
        return self.space.preparation_options.get("target_affine")

    @property
    def target_shape(self) -> tuple[int, int, int] | None:
        """Shape of that grid, or None."""
        return self.space.preparation_options.get("target_shape")

    def fit(self, imgs: Any = None, y: object = None) -> Self:
        """Return the masker itself: its mask is that of the fit.

        Parameters
        ----------
        imgs, y
            Ignored; scikit-learn's convention.

        Returns
        -------
        FittedMasker
            The masker itself.
        """
        del imgs, y
        return self

    def transform(self, imgs: Any) -> NDArray[np.float32] | NDArray[np.float64]:
        """Read images inside the mask.

        Parameters
        ----------
        imgs : list or pandas.Series of images, or one image (3-D or 4-D)
            On the grid of the fit, unless the fit resamples; they are smoothed as its images.

        Returns
        -------
        array, shape (n_images, n_voxels), or (n_voxels,) for one 3-D image that is not in a list
            Values in the order of ``image[mask]``, as the fit takes them: NaN where an image has
            none, unless the fit takes that for zero.

        Raises
        ------
        groupglm.errors.ImageError
            If an image cannot be read.
        groupglm.errors.GridMismatchError
            If the images are on another grid.
        """
        matrix = self.matrix(imgs)
        return matrix[0] if len(matrix) == 1 and kind_of(imgs).is_one(imgs) else matrix

    def fit_transform(
        self, imgs: Any, y: object = None
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Read images inside the mask of the fit, as `transform` does.

        Parameters
        ----------
        imgs : list or pandas.Series of images, or one image (3-D or 4-D)
            As `transform` takes them.
        y
            Ignored; scikit-learn's convention.

        Returns
        -------
        array, shape (n_images, n_voxels), or (n_voxels,) for one 3-D image that is not in a list
            As `transform` returns it.
        """
        return self.fit(imgs, y).transform(imgs)

    def matrix(self, imgs: Any) -> NDArray[np.float32] | NDArray[np.float64]:
        """Read images as `transform` does; one image gives a matrix of one row.

        Parameters
        ----------
        imgs : list or pandas.Series of images, or one image (3-D or 4-D)
            As `transform` takes them.

        Returns
        -------
        array, shape (n_images, n_voxels)
            Values in the order of ``image[mask]``.
        """
        sources = open_inputs(imgs, argument="imgs", at_least=1)
        difference = None if self.space.resamples else sources[0].difference(self.space)
        if difference is not None:
            raise GridMismatchError(
                f"{sources[0].name}: the image is not on the {self.space.placement_word} of the "
                f"fit: {difference}; {self.space.placement_remedy}"
            )
        batches = read_rows(sources, self.space, n_threads=self.n_threads, fill=self.fill)
        matrix = np.empty(
            (len(sources), self.space.n_values),
            dtype=np.result_type(*{source.dtype for source in sources}),
        )
        with closing(batches):
            for first, rows in batches:
                fill_public(self.space, rows, matrix[first : first + len(rows)])
        return matrix

    def inverse_transform(self, X: ArrayLike) -> Any:
        """Turn values back into an image.

        Parameters
        ----------
        X : array_like, shape (n_voxels,) or (n_images, n_voxels)
            Values in the order of ``image[mask]``. One row without a second axis gives a 3-D image,
            a matrix a 4-D image.

        Returns
        -------
        nibabel.nifti1.Nifti1Image
            float32, or float64 where values leave its range; zero outside the mask.

        Raises
        ------
        ValueError
            If the number of values is not that of the mask.
        """
        values = real_array("X", X, missing=True)
        if values.ndim not in (1, 2) or values.shape[-1] != self.n_elements_:
            wanted = (*values.shape[: max(0, min(values.ndim - 1, 1))], self.n_elements_)
            raise ArgumentError.about(
                "X",
                "Input to 'inverse_transform' has wrong shape.\n"
                f"Expected {wanted}.\nGot {values.shape}: X must have a value for each of the "
                f"{self.n_elements_} {self.space.place_words[1]} of the mask, in one row or "
                "several",
            )
        return self.space.to_image(from_public(self.space, values))
