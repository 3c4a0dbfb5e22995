# SPDX-License-Identifier: BSD-3-Clause
"""The smoothness of images, from one reading of them: `estimate_smoothness`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.engine.rows import read_rows
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.edge_sums import EdgeSums
from groupglm.inference.random_fields.estimation import check_cells, edges_of, smoothness_of
from groupglm.inference.random_fields.local_resels import local_resels
from groupglm.runtime.arguments import real_number
from groupglm.runtime.workers import check_jobs
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.registry import grouped, kind_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.spaces.base import Space
    from groupglm.spaces.cells import Cells

__all__ = ["estimate_smoothness", "resels_of_rows", "smoothness_of_rows"]

_BATCH_BYTES = 16 * 2**20


def estimate_smoothness(
    images: Any,
    mask_img: Any = None,
    *,
    df: float | None = None,
    surfaces: Any = None,
    areas: Any = None,
    n_jobs: int | None = 1,
) -> Smoothness:
    """Estimate how smooth the noise of images is, and how many resels they have.

    Each image is read once.

    Parameters
    ----------
    images : image, or iterable of images
        Residuals of a model, as ``SecondLevelModel.residuals_`` or another program writes them: a
        4-D image, or a list of images or of their files, in every form that
        `SecondLevelModel.fit` takes. Or images of subjects, without `df`.
    mask_img : str, os.PathLike, image or masker, optional
        The places that are searched. By default those where residuals are not all zero.
    df : float, optional
        Residual degrees of freedom of the model: images less columns. By default the images are
        not residuals: their mean is taken off, and they have one degree of freedom less than
        images.
    surfaces, areas : optional
        The meshes of images of surfaces and the areas of their vertices, as `SecondLevelModel`
        takes them.
    n_jobs : int, default=1
        Threads that read; -1 for all.

    Returns
    -------
    Smoothness
        Widths in mm and in voxels, and resels.

    Raises
    ------
    ValueError
        If there are fewer than four degrees of freedom, if no neighbours have residuals of the
        same images, or if the data are of regions, which have no neighbours.
    groupglm.errors.ImageError
        If an image cannot be read.

    Warns
    -----
    UserWarning
        If the noise is less than three voxels wide, or the mask consists of crumbs.

    Notes
    -----
    The estimate is that of Kiebel et al. [1]_, from squared differences of normalised residuals of
    neighbours, with two refinements. The bias of few degrees of freedom is taken away exactly, not
    only for infinitely near neighbours. And the width follows from the correlation of neighbours
    as of Gaussian noise [2]_, as in FSL's ``smoothest``. SPM takes differences for derivatives,
    which makes noise of 3 voxels seem 4% wider. The axes of the grid count as independent. On a
    mesh, lengths and areas are those of the mesh whose vertices are the
    normalised residuals [3]_, [4]_.

    References
    ----------
    .. [1] S. J. Kiebel, J.-B. Poline, K. J. Friston, A. P. Holmes and K. J. Worsley, "Robust
       smoothness estimation in statistical parametric maps using standardized residuals from the
       general linear model", NeuroImage 10 (1999), pp. 756-766.
    .. [2] S. D. Forman, J. D. Cohen, M. Fitzgerald, W. F. Eddy, M. A. Mintun and D. C. Noll,
       "Improved assessment of significant activation in functional magnetic resonance imaging",
       Magnetic Resonance in Medicine 33 (1995), pp. 636-647.
    .. [3] K. J. Worsley, M. Andermann, T. Koulis, D. MacDonald and A. C. Evans, "Detecting changes
       in nonisotropic images", Human Brain Mapping 8 (1999), pp. 98-101.
    .. [4] J. E. Taylor and K. J. Worsley, "Detecting sparse signals in random fields, with an
       application to brain mapping", JASA 102 (2007), pp. 913-928.

    Examples
    --------
    >>> import numpy as np, nibabel as nib, groupglm
    >>> from scipy.ndimage import gaussian_filter
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((20, 30, 30, 30))
    >>> maps = [gaussian_filter(one, 4 / 2.3548) for one in noise]  # a FWHM of 4 voxels of 2 mm
    >>> images = [nib.Nifti1Image(one, np.diag([2.0, 2.0, 2.0, 1.0])) for one in maps]
    >>> smoothness = groupglm.estimate_smoothness(images)
    >>> [round(width) for width in smoothness.fwhm_mm]
    [8, 8, 8]
    """
    images = grouped(images, "images")
    kind = kind_of(images)
    sources = kind.open_inputs(images, argument="images", same_placement=True, at_least=2)
    masking = kind.masking(
        mask_img, None, None, None, zero_is_missing=False, geometry=Geometry(surfaces, areas)
    )
    n_threads = check_jobs(n_jobs)
    everywhere = masking.everywhere(sources, clip=None, fill=None, n_threads=n_threads)
    space = masking.inside(everywhere)
    whole = space is not None
    space = everywhere if space is None else space
    if df is not None and not 0 < real_number("df", df) <= len(sources):
        raise ArgumentError("df", f"{df:g}", f"between 0 and the number of images, {len(sources)}")

    def rows() -> Iterator[NDArray[Any]]:
        with closing(read_rows(sources, space, n_threads=n_threads)) as batches:
            for _, values in batches:
                yield from values

    if df is None:
        about = _Differences(space.n_values)
        own = about.of(rows())
        return smoothness_of_rows(own, space, about, whole=whole, n_threads=n_threads)
    return smoothness_of_rows(rows(), space, float(df), whole=whole, n_threads=n_threads)


class _Differences:
    """Turns images into residuals about their mean, one by one.

    The difference of image k from the mean of those before it, times sqrt((k - 1) / k), is one of
    k - 1 orthogonal contrasts. Sums of products of these are sums of products of residuals.
    """

    def __init__(self, n_values: int) -> None:
        self.counts = np.zeros(n_values)
        self._mean = np.zeros(n_values)

    def of(self, rows: Iterator[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
        """Yield a residual row for each image; NaN at its first value of a place."""
        for row in rows:
            present = ~np.isnan(row)
            step = np.where(present, row - self._mean, np.nan)
            scale = np.sqrt(self.counts / (self.counts + 1))
            self.counts += present
            self._mean += np.where(present, step, 0.0) / np.maximum(self.counts, 1)
            yield step * scale

    @property
    def df(self) -> NDArray[np.float64]:
        """Degrees of freedom of each place, once all images are read."""
        return np.maximum(self.counts - 1, 0.0)


def smoothness_of_rows(
    rows: Iterator[NDArray[Any]],
    space: Space,
    df: float | NDArray[np.float64] | _Differences,
    *,
    whole: bool = True,
    n_threads: int = 1,
) -> Smoothness:
    """Estimate the smoothness from rows of residuals, each read once.

    Parameters
    ----------
    rows : iterator of arrays, shape (n_values,)
        The residuals of each image, in proportion to standardised ones.
    space : Space
        Their places.
    df : float or array, shape (n_values,)
        Residual degrees of freedom.
    whole : bool, default=True
        Whether all places are searched; else those whose residuals are not all zero.
    n_threads : int, default=1
        Threads that add.
    """
    cells = check_cells(space)
    sums = _summed(rows, space, cells, n_threads)
    freedom = df.df if isinstance(df, _Differences) else df
    if not whole and not (sums.squares > 0).all() and (sums.squares > 0).any():
        keep = sums.squares > 0
        space = space.restrict(keep)
        cells = space.cells()
        sums = sums.restricted(keep, edges_of(cells))
        freedom = freedom[keep] if isinstance(freedom, np.ndarray) else freedom
    return smoothness_of(sums, cells, freedom, space.place_words)


def resels_of_rows(
    rows: Iterator[NDArray[Any]],
    space: Space,
    df: float | NDArray[np.float64],
    *,
    n_threads: int = 1,
) -> tuple[Smoothness, NDArray[np.float64]]:
    """Estimate the smoothness, and the resels of each place, shape (n_values,).

    Parameters are those of `smoothness_of_rows`; all places are searched.
    """
    cells = check_cells(space)
    sums = _summed(rows, space, cells, n_threads)
    found = smoothness_of(sums, cells, df, space.place_words)
    return found, local_resels(sums, cells, found)


def _summed(
    rows: Iterator[NDArray[Any]], space: Space, cells: tuple[Cells, ...], n_threads: int
) -> EdgeSums:
    """Return the sums over rows, each of which is read once."""
    sums = EdgeSums(edges_of(cells), space.n_values, n_threads)
    for batch in _batches(rows, space.n_values):
        sums.add(batch)
    return sums


def _batches(rows: Iterator[NDArray[Any]], n_values: int) -> Generator[NDArray[Any], None, None]:
    """Yield rows in batches, each valid until the next: a batch reads and writes all sums once."""
    room, held = np.empty((0, n_values)), 0
    for row in rows:
        if not len(room):
            n_rows = max(1, _BATCH_BYTES // (row.dtype.itemsize * n_values))
            room = np.empty((n_rows, n_values), row.dtype)
        room[held] = row
        held += 1
        if held == len(room):
            yield room
            held = 0
    if held:
        yield room[:held]
