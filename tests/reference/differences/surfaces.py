# SPDX-License-Identifier: BSD-3-Clause
"""Where we differ from nilearn 0.14.1 on purpose: surfaces."""

from __future__ import annotations

from reference.differences.entry import Difference

SURFACES = (
    Difference(
        "vertex_that_one_image_lacks",
        "a vertex that is NaN in one `SurfaceImage`",
        "0 in all maps: the vertex is lost for all subjects",
        "that subject is left out at this vertex, as at a voxel, with its own degrees of freedom",
        "one cropped image should not remove vertices that all other images have",
    ),
    Difference(
        "clusters_and_tfce_of_surfaces",
        "`threshold` or `tfce=True` in `non_parametric_inference`, and SurfaceImages",
        "a warning; only the largest t is tested",
        "clusters and TFCE on the mesh, with sizes in mm2; p is corrected over both hemispheres",
        "the neighbours and the area of each vertex are in the mesh of the images",
    ),
    Difference(
        "true_discoveries_on_a_mesh",
        "`cluster_level_inference` of a `SurfaceImage`",
        "clusters are runs of vertex numbers, and each hemisphere is a family by itself",
        "clusters are vertices that share edges of the mesh; one family over both hemispheres",
        "the numbers of vertices say nothing of where they lie",
    ),
)
