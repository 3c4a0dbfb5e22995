# SPDX-License-Identifier: BSD-3-Clause
"""A map of results on two hemispheres: `SurfaceMaps`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.paths import given_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nibabel.freesurfer.mghformat import MGHImage
    from nibabel.gifti.gifti import GiftiImage

    from groupglm.spaces.surface.mesh import Mesh

__all__ = ["SurfaceMaps"]


@dataclass(frozen=True, eq=False, repr=False)
class SurfaceMaps:
    """A map of results on the left and the right hemisphere.

    Parameters
    ----------
    left, right : nibabel.gifti.gifti.GiftiImage or nibabel.freesurfer.mghformat.MGHImage, optional
        The values of each hemisphere: one array, or several where there are several maps.
    mesh : mapping of str to groupglm.spaces.surface.mesh.Mesh, optional
        The meshes that the model knows, by "left" and "right". They are not saved with the maps.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> from nibabel.gifti import GiftiDataArray, GiftiImage
    >>> from groupglm import SecondLevelModel, SurfaceMaps
    >>> rng = np.random.default_rng(0)
    >>> def hemisphere():
    ...     values = (rng.standard_normal(20) + 2).astype(np.float32)
    ...     return GiftiImage(darrays=[GiftiDataArray(values)])
    >>> pairs = [(hemisphere(), hemisphere()) for _ in range(8)]
    >>> design = pd.DataFrame({"intercept": np.ones(8)})
    >>> z = SecondLevelModel().fit(pairs, design_matrix=design).compute_contrast("intercept")
    >>> z
    <SurfaceMaps of GIFTI: left, right; no mesh>
    >>> z.left.agg_data().shape
    (20,)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = z.to_filename(folder + "/z.func.gii")
    ...     again = SurfaceMaps.from_filename(folder + "/z.func.gii")
    >>> [file.name for file in files], bool((again.left.agg_data() == z.left.agg_data()).all())
    (['hemi-L_z.func.gii', 'hemi-R_z.func.gii'], True)
    """

    left: GiftiImage | MGHImage | None = None
    right: GiftiImage | MGHImage | None = None
    mesh: Mapping[str, Mesh] | None = None

    def __post_init__(self) -> None:
        if self.left is None and self.right is None:
            raise ArgumentError.about(
                "left", "a map needs the image of the left or the right hemisphere", "give one"
            )

    def __repr__(self) -> str:
        """Say which hemispheres there are, and whether their meshes are known."""
        kind = "MGH" if hasattr(next(iter(self.parts.values())), "affine") else "GIFTI"
        meshes = "no mesh" if self.mesh is None else "with their meshes"
        return f"<{type(self).__name__} of {kind}: {', '.join(self.parts)}; {meshes}>"

    @property
    def parts(self) -> dict[str, Any]:
        """The images that there are, by "left" and "right"."""
        both = {"left": self.left, "right": self.right}
        return {side: image for side, image in both.items() if image is not None}

    def to_filename(self, path: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Save the images, one file for each hemisphere.

        Parameters
        ----------
        path : str or os.PathLike
            The name of the map: ``z.func.gii`` stands for the files ``hemi-L_z.func.gii`` and
            ``hemi-R_z.func.gii``, ``z.mgh`` for ``lh.z.mgh`` and ``rh.z.mgh``. Every function that
            takes a map takes this name too.

        Returns
        -------
        tuple of pathlib.Path
            The files. Each is written whole or not at all.

        Raises
        ------
        ValueError
            If the name has another ending.
        OSError
            If a file cannot be written.
        """
        from groupglm.spaces.surface.saving import save_pair

        return save_pair(self.parts, given_path("path", path))

    @classmethod
    def from_filename(cls, path: str | os.PathLike[str]) -> Self:
        """Read the images that `to_filename` has written.

        Parameters
        ----------
        path : str or os.PathLike
            The name that `to_filename` got.

        Returns
        -------
        SurfaceMaps
            Without meshes.

        Raises
        ------
        groupglm.errors.ImageError
            If there are no such files, or one cannot be read.
        """
        from groupglm.spaces.surface.reading.loading import image_of_file
        from groupglm.spaces.surface.reading.pairing import existing_files

        name = given_path("path", path)
        files = existing_files(os.fspath(name))
        if not files:
            raise ArgumentError.about(
                "path",
                f"there are no files of the hemispheres of {in_quotes(name)}",
                "give the name that to_filename got",
            )
        images: dict[str, Any] = {side: image_of_file(file, side) for side, file in files.items()}
        return cls(**images)
