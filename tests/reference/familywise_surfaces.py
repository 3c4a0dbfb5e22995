# SPDX-License-Identifier: BSD-3-Clause
"""Familywise error over a cortex and voxels together, on data without any effect.

As a script, the whole simulation: ``python -m reference.familywise_surfaces --datasets 1000`` in
``tests``, which prints rates, the range that they should be in, and the share of each part.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.cluster_families import TfceOptions, cluster_families
from groupglm.inference.permutation.options import PermutationOptions
from groupglm.inference.permutation.testing import permutation_test
from groupglm.models.ols import fit_ols
from groupglm.runtime.progress import Progress
from groupglm.spaces.composite import CompositeSpace
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.mesh import Mesh
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.familywise import ALPHA, bounds
from reference.meshes import folded, graph_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SHAPE", "rates_and_shares"]

SHAPE = (7, 7, 7)
N_IMAGES = 14
N_PERM = 199  # the smallest p of two parts is coarser than that of one
LEVEL = 2  # 162 vertices


def rates_and_shares(n_datasets: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the share of sets with anything significant, and the cortex' share of findings."""
    points, faces = folded(LEVEL)
    mesh = Mesh("cortex", points, faces)
    graph = graph_of(faces, mesh.n_vertices)
    n_beside = np.diff(graph.indptr)
    space = CompositeSpace(
        {
            "left": HemisphereSpace("left", mesh.n_vertices, mesh=mesh),
            "subcortex": VolumeSpace(Grid(SHAPE, np.eye(4))),
        }
    )
    families = cluster_families(space, 6)
    X, contrast = np.ones((N_IMAGES, 1)), np.array([1.0])
    found: dict[str, NDArray[np.int64]] = {}
    for i in range(n_datasets):
        rng = np.random.default_rng([i, 19])
        cortex = rng.standard_normal((N_IMAGES, mesh.n_vertices))
        for _ in range(2):
            cortex = (cortex + (graph @ cortex.T).T) / (1 + n_beside)
        voxels = ndimage.gaussian_filter(
            rng.standard_normal((N_IMAGES, *SHAPE)), (0, 1, 1, 1), mode="wrap"
        )
        Y = np.ascontiguousarray(np.concatenate([cortex, voxels.reshape(N_IMAGES, -1)], axis=1))
        options = PermutationOptions(
            n_perm=N_PERM, two_sided=True, seed=i, n_threads=1, progress=Progress(0),
            threshold=0.05, tfce=TfceOptions(),
        )  # fmt: skip
        fit = fit_ols(X, Y, n_threads=1)
        result = permutation_test(
            X, contrast, ArraySource(Y), fit.contrast(contrast).stat, fit.df_residual, options,
            families=lambda: families,
        )  # fmt: skip
        for name, p in result.p_value.items():
            hits = p <= ALPHA + 1e-12
            parts = [bool(hits[part.places].any()) for part in space.parts]
            found.setdefault(name, np.zeros(3, np.int64))
            found[name] += [any(parts), *parts]
    rates = {name: float(hits[0]) / n_datasets for name, hits in found.items()}
    shares = {name: float(hits[1] / max(hits[1:].sum(), 1)) for name, hits in found.items()}
    return rates, shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=1000)
    n_datasets = parser.parse_args().datasets
    low, high = bounds(n_datasets, 0.99)
    print(f"{n_datasets} sets; at 5%, 99% of rates are in {low:.3f} to {high:.3f}")
    rates, shares = rates_and_shares(n_datasets)
    for name, rate in rates.items():
        print(f"{name}: {rate:.3f}, of which the cortex {shares[name]:.2f}")


if __name__ == "__main__":
    main()
