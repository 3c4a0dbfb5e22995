# SPDX-License-Identifier: BSD-3-Clause
"""The values of images in regions, as a tidy table: `extract_values`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.matrix import load_design_matrix
from groupglm.engine.rows import read_rows
from groupglm.errors import ArgumentError
from groupglm.estimator.fitted_model import FittedModel
from groupglm.estimator.group_model import fitted_group
from groupglm.extraction.regions import Regions, places_of_regions
from groupglm.extraction.statistics import STATISTICS, RegionStatistic, summarised
from groupglm.inputs.cohort import align_to_images
from groupglm.runtime.arguments import check_choice
from groupglm.runtime.workers import check_jobs
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.registry import grouped, kind_of, open_inputs
from groupglm.tabular.labels import LABEL, label_in_path

if TYPE_CHECKING:
    import os

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space

__all__ = ["extract_values"]


def extract_values(
    model_or_images: Any,
    regions: Any,
    statistic: RegionStatistic = "mean",
    *,
    design_matrix: pd.DataFrame | str | os.PathLike[str] | None = None,
    surfaces: Any = None,
    n_jobs: int | None = 1,
) -> pd.DataFrame:
    """Extract the mean or median of each image in regions, as a tidy table.

    Parameters
    ----------
    model_or_images : SecondLevelModel, or images
        A fitted model, whose images are read once more as the model has prepared them, inside its
        mask. Or images as `SecondLevelModel.fit` takes them, which are read as they are stored.
    regions : Sphere, four numbers, list of them, Atlas, image, or dict
        Spheres, given as `Sphere` or as x, y, z and radius in mm; an atlas or image of labels as
        `load_atlas` takes it, such as the label map of `get_clusters_table`; or a dict of names to
        spheres or masks. Regions may overlap.
    statistic : {"mean", "median"}, default="mean"
        What becomes of the values of an image in a region. Every place counts the same, also on
        surfaces.
    design_matrix : pandas.DataFrame or path, optional
        Of images: one row for each, matched by label if both have labels. A model has its own.
    surfaces : optional
        Of images of surfaces: the meshes, which spheres need.
    n_jobs : int or None, default=1
        Threads that read images; -1 for all processors.

    Returns
    -------
    pandas.DataFrame
        One row for each image and region, image by image, with the columns

        - ``subject``: its label in the design or in the names of the files, else its number from 1.
        - ``region``: the name of the region.
        - ``value``: NaN if the image has no value in the region.
        - ``n_places``: how many places the value is of.
        - ``n_missing``: how many places of the region have no finite value in this image.

        and the columns of the design.

    Raises
    ------
    ValueError
        If regions are of no known form, lie on another grid, or hold no place of the images.
    groupglm.errors.ImageError
        If an image cannot be read, or the model was loaded from a file, so that it has no images.

    Warns
    -----
    UserWarning
        If some of the regions hold no place inside the mask; they are left out.

    Notes
    -----
    Images are read one by one, each once. Memory is that of a batch of rows of the regions' places
    (of the mask, of a model), at most 80 MB, and of the places of all regions.

    Examples
    --------
    >>> import nibabel, numpy as np, groupglm
    >>> images = [nibabel.Nifti1Image(np.full((5, 5, 5), n), np.eye(4)) for n in (1.0, 2.0)]
    >>> groupglm.extract_values(images, {"middle": (2, 2, 2, 1.5)})
       subject  region  value  n_places  n_missing
    0        1  middle    1.0        19          0
    1        2  middle    2.0        19          0
    """
    import pandas as pd

    check_choice("statistic", statistic, STATISTICS)
    if isinstance(model_or_images, FittedModel):
        _refuse_options(design_matrix, surfaces)
        opened = _of_model(model_or_images, regions)
    else:
        n_threads = check_jobs(n_jobs)
        opened = _of_images(model_or_images, regions, design_matrix, surfaces, n_threads)
    found, n_images = opened.regions, len(opened.subjects)
    values = np.empty((n_images, len(found.names)))
    counts = np.empty(values.shape, np.int64)
    with closing(opened.rows) as rows:
        for image, row in rows:
            values[image], counts[image] = summarised(row, found, statistic)
    n_regions = len(found.names)
    table = pd.DataFrame(
        {
            "subject": np.repeat(np.array(opened.subjects, object), n_regions),
            "region": found.names * n_images,
            "value": values.ravel(),
            "n_places": counts.ravel(),
            "n_missing": (found.sizes - counts).ravel(),
        }
    )
    table["subject"] = table["subject"].infer_objects()
    return table if opened.design is None else _with_design(table, opened.design, n_regions)


@dataclass(frozen=True, eq=False)
class _Opened:
    """Images to be read: their subjects, their design, and the regions in the places of a row."""

    subjects: Sequence[object]
    design: pd.DataFrame | None
    regions: Regions
    rows: Generator[tuple[int, NDArray[Any]], None, None]


def _refuse_options(design_matrix: Any, surfaces: Any) -> None:
    for name, given in (("design_matrix", design_matrix), ("surfaces", surfaces)):
        if given is not None:
            raise ArgumentError(
                name, "given, but the model has its own", remedy="leave it out", verb="is"
            )


def _of_model(model: FittedModel, regions: Any) -> _Opened:
    group, design = fitted_group(model), model.design_matrix_
    space = group.space
    found = places_of_regions(regions, space, "the images of the model")
    subjects = _subjects(design, group.images)
    return _Opened(subjects, design, found, group.image_rows())


def _of_images(
    images: Any, regions: Any, design_matrix: Any, surfaces: Any, n_threads: int
) -> _Opened:
    images = grouped(images, "model_or_images")
    sources = open_inputs(images, argument="model_or_images", at_least=1)
    masking = kind_of(images).masking(
        None, None, None, None, zero_is_missing=False, geometry=Geometry(surfaces)
    )
    whole = masking.everywhere(sources, clip=None, fill=None, n_threads=n_threads)
    found = places_of_regions(regions, whole, "the images")
    inside = np.zeros(whole.n_values, np.bool_)
    inside[found.places] = True
    reader = _AsStored(whole.restrict(inside))
    design = None
    if design_matrix is not None:
        design = align_to_images(load_design_matrix(design_matrix), images).frame
        if len(design) != len(sources):
            raise ArgumentError(
                "design_matrix",
                f"{len(design)} rows for {len(sources)} images",
                remedy="give one row for each image",
                verb="has",
            )
    rows = _rows(sources, reader, n_threads)
    return _Opened(_subjects(design, sources), design, found.within(inside), rows)


class _AsStored:
    """Reads images as they are stored, which may have no finite value in any region."""

    def __init__(self, space: Space) -> None:
        self._space, self.n_values = space, space.n_values

    def read_row(self, source: Any, out: NDArray[Any]) -> None:
        """Fill a row."""
        self._space.read_stored(source, out)

    def reader_of(self, role: str) -> _AsStored:
        """Return itself: nothing is prepared."""
        del role
        return self

    def name_of(self, source: Any, inside: NDArray[np.bool_]) -> str:
        """Return the name of an image, or of the file that has some of the places."""
        return self._space.name_of(source, inside)


def _rows(
    sources: Sequence[Source], reader: _AsStored, n_threads: int
) -> Generator[tuple[int, NDArray[Any]], None, None]:
    with closing(read_rows(sources, reader, n_threads=n_threads)) as batches:
        for first, rows in batches:
            yield from enumerate(rows, first)


def _subjects(design: pd.DataFrame | None, sources: Sequence[Source]) -> Sequence[object]:
    """Return the label of each image: of the design, of the names of files, or its number."""
    if design is not None and (design.index.dtype == object or design.index.name == LABEL):
        return [str(label) for label in design.index]
    names = [label_in_path(PurePath(source.name)) for source in sources]
    several = len(set(names)) > 1 or len(names) == 1  # a folder above all of them is no subject
    if all(names) and several:
        return names
    return list(range(1, len(sources) + 1))


def _with_design(table: pd.DataFrame, design: pd.DataFrame, n_regions: int) -> pd.DataFrame:
    """Add the columns of the design; one called as a column of the table has ``design_`` before."""
    for name in design.columns:
        called = f"design_{name}" if name in table.columns else name
        table[called] = np.repeat(design[name].to_numpy(), n_regions)
    return table
