# SPDX-License-Identifier: BSD-3-Clause
"""Smoothing of surfaces on their meshes: 100 images of both hemispheres by 10 mm."""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from typing import Any

import numpy as np
from measure import HEAD, Row, clock, compare
from scipy.sparse import csr_array, diags_array

N_IMAGES, N_DIVISIONS = 100, 6  # 40,962 vertices a hemisphere, those of fsaverage6
FWHM, TARGET = 10.0, 5.0
_SIDES = ("left", "right")


def images(n_images: int, n_divisions: int) -> list[Any]:
    """Images of noise on the simulated cortex, which share their meshes."""
    from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

    from groupglm.datasets.cortex import make_cortex

    cortex = make_cortex(n_divisions)
    mesh = PolyMesh(
        **{side: InMemoryMesh(cortex.coordinates[side], cortex.faces[side]) for side in _SIDES}
    )
    rng = np.random.default_rng(0)
    shape = (cortex.n_vertices,)
    return [
        SurfaceImage(mesh, {side: rng.standard_normal(shape, np.float32) for side in _SIDES})
        for _ in range(n_images)
    ]


def our_job(given: Any) -> Any:
    import groupglm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the simulated cortex is hardly folded
        return groupglm.smooth_img(given, FWHM)


def their_job(given: Any) -> Any:
    from nilearn.image import smooth_img

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smooth_img(given, FWHM)


def together(given: list[Any]) -> Any:
    """The same maps as the columns of one image."""
    parts = {side: np.stack([one.data.parts[side] for one in given], axis=1) for side in _SIDES}
    return type(given[0])(given[0].mesh, parts)


def check_answer(given: Any) -> None:
    """A fast wrong answer is no answer: FreeSurfer's rule by a sparse matrix."""
    mesh, values = given.mesh.parts["left"], given.data.parts["left"]
    a, b, c = mesh.coordinates[mesh.faces.T]
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2 / len(values)
    n = int(1.14 * 4 * np.pi * FWHM**2 / np.log(256) / (7 * area) + 0.5)
    ends = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    both = np.unique(np.concatenate([ends, ends[:, ::-1]]), axis=0)
    graph = csr_array((np.ones(len(both)), both.T), shape=(len(values),) * 2)
    step = diags_array(1 / (1 + graph.sum(axis=1))) @ (graph + diags_array(np.ones(len(values))))
    for _ in range(n):
        values = step @ values
    np.testing.assert_allclose(our_job(given).data.parts["left"], values, atol=1e-6)


def bench(*, quick: bool) -> list[Row]:
    given = images(5 if quick else N_IMAGES, 4 if quick else N_DIVISIONS)
    check_answer(given[0])
    rows = []
    for name, one in (("a list", given), ("one image", together(given))):
        ours = clock(partial(our_job, one), repeat=5, warm_up=1)
        theirs = clock(partial(their_job, one), repeat=1)
        rows.append(
            compare(
                f"{len(given)} surface maps smoothed by {FWHM:g} mm, {name}",
                ours,
                theirs,
                target=TARGET,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few small maps")
    options = parser.parse_args()
    print(HEAD)
    for row in bench(quick=options.quick):
        print(row)


if __name__ == "__main__":
    main()
