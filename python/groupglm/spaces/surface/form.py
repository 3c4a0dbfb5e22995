# SPDX-License-Identifier: BSD-3-Clause
"""What images of results are, as the inputs were: `Form`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.spaces.surface.maps import SurfaceMaps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.surface.mesh import Mesh

__all__ = ["Form", "Template"]


@dataclass(frozen=True, eq=False)
class Template:
    """The types and the meshes of an image in memory, such as nilearn's ``SurfaceImage``."""

    image: type[Any]
    data: type[Any]
    mesh: Any

    @classmethod
    def of(cls, image: Any) -> Template:
        """Take them from an image."""
        return cls(type(image), type(image.data), image.mesh)

    def filled(self, values: Mapping[str, NDArray[Any]]) -> Any:
        """Make an image of values, shape (n_vertices,) or (n_vertices, k)."""
        return self.image(mesh=self.mesh, data=self.data(**values))


@dataclass(frozen=True, eq=False)
class Form:
    """What images of results are.

    Parameters
    ----------
    kind : str
        "surface_image" (as `template`), "gifti" or "mgh" (nibabel's images).
    is_pair : bool, default=True
        Whether they are pairs of hemispheres, also where only one is there.
    template : Template, optional
        Of an image in memory.
    """

    kind: str
    is_pair: bool = True
    template: Template | None = None

    def image(
        self,
        values: Mapping[str, NDArray[Any]],
        descrip: str,
        statistic: Statistic | None,
        meshes: Mapping[str, Mesh],
    ) -> Any:
        """Make an image of the values of each hemisphere, (n_vertices,) or (k, n_vertices)."""
        dtype = np.result_type(*values.values())
        same = {side: own.astype(dtype, copy=False) for side, own in values.items()}
        if self.template is not None:
            return self.template.filled({side: own.T for side, own in same.items()})
        from groupglm.spaces.surface.writing import gifti_image, mgh_image

        make = mgh_image if self.kind == "mgh" else gifti_image
        images = {side: make(own, side, descrip, statistic) for side, own in same.items()}
        if not self.is_pair and len(images) == 1:
            return next(iter(images.values()))
        return SurfaceMaps(**images, mesh=dict(meshes) or None)
