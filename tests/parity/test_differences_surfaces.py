# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm on the same input, where they differ on purpose: surfaces.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from nilearn.glm import cluster_level_inference as nilearn_discoveries
from nilearn.glm.second_level import SecondLevelModel as NilearnModel
from nilearn.glm.second_level import non_parametric_inference as nilearn_inference
from nilearn.glm.thresholding import _compute_hommel_value, _true_positive_fraction
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from groupglm import SecondLevelModel, cluster_level_inference, non_parametric_inference
from groupglm.datasets.cortex import make_cortex
from reference.oracle import quietly

FloatArray = NDArray[np.float64]

N_IMAGES = 8
CORTEX = make_cortex(3)
N = CORTEX.n_vertices
DESIGN = pd.DataFrame({"intercept": np.ones(N_IMAGES)})


def image(values: FloatArray) -> Any:
    """Make a SurfaceImage of both hemispheres, left first."""
    meshes = {
        side: InMemoryMesh(CORTEX.coordinates[side], CORTEX.faces[side])
        for side in ("left", "right")
    }
    row = values.astype(np.float32)
    return SurfaceImage(PolyMesh(**meshes), {"left": row[:N].copy(), "right": row[N:].copy()})


def flat(found: Any) -> FloatArray:
    return np.concatenate([np.ravel(found.data.parts[side]) for side in ("left", "right")])


def effects() -> FloatArray:
    return np.random.default_rng(0).normal(0.5, 1.0, (N_IMAGES, 2 * N)).astype(np.float32)


def near(hemisphere: str, vertex: int, count: int) -> NDArray[np.intp]:
    """Return the vertices around one; on a mesh so even they are one cluster."""
    places = CORTEX.coordinates[hemisphere]
    return np.argsort(np.linalg.norm(places - places[vertex], axis=1))[:count]


def test_vertex_that_one_image_lacks() -> None:
    rows = effects()
    rows[2, 5] = np.nan
    images = [image(row) for row in rows]
    theirs = quietly(
        lambda: (
            NilearnModel()
            .fit(images, design_matrix=DESIGN)
            .compute_contrast("intercept", output_type="stat")
        )
    )
    ours = SecondLevelModel().fit(images, design_matrix=DESIGN)
    t = flat(ours.compute_contrast("intercept", output_type="stat"))
    wanted = scipy.stats.ttest_1samp(rows.astype(float), 0, nan_policy="omit").statistic
    assert flat(theirs)[5] == 0
    np.testing.assert_allclose(t, np.asarray(wanted, float), rtol=2e-6)  # maps are float32
    np.testing.assert_allclose(np.delete(flat(theirs), 5), np.delete(t, 5), rtol=1e-5)


def test_clusters_and_tfce_of_surfaces() -> None:
    rows = effects()
    rows[:, near("left", 40, 12)] += 2
    images = [image(row) for row in rows]
    options: Any = {
        "design_matrix": DESIGN, "second_level_contrast": "intercept", "n_perm": 30,
        "threshold": 0.01, "tfce": True,
    }  # fmt: skip
    with pytest.warns(UserWarning, match="not yet implemented"):
        theirs = nilearn_inference(images, random_state=0, **options)
    assert isinstance(theirs, SurfaceImage)  # of the largest t alone
    areas = {side: _areas(side) for side in ("left", "right")}
    ours: Any = non_parametric_inference(images, random_state=0, areas=areas, **options)
    assert {"logp_max_t", "logp_max_size", "logp_max_mass", "logp_max_tfce"} <= set(ours)
    t, size = flat(ours["t"]), flat(ours["size"])
    inside = t > scipy.stats.t.isf(0.01, N_IMAGES - 1)
    edges = np.concatenate([CORTEX.faces["left"], CORTEX.faces["right"] + N])[:, [0, 1, 1, 2, 2, 0]]
    pairs = edges.reshape(-1, 2)
    pairs = pairs[inside[pairs].all(axis=1)]
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(2 * N, 2 * N))
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels, np.concatenate([areas["left"], areas["right"]]))[labels]
    np.testing.assert_allclose(size[inside], sizes[inside], rtol=1e-6)
    assert not size[~inside].any()
    assert (flat(ours["tfce"])[t > 0] > 0).all()


def _areas(side: str) -> FloatArray:
    places, faces = CORTEX.coordinates[side], CORTEX.faces[side]
    a, b, c = (places[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    areas: FloatArray = np.bincount(faces.ravel(), np.repeat(area / 3, 3)).astype(float)
    return areas


def test_true_discoveries_on_a_mesh() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(0, 1, 2 * N).clip(-2.5, 2.5)
    cluster = near("left", 40, 30)
    z[cluster] = rng.uniform(3.1, 4.5, 30)
    z = z.astype(np.float32).astype(float)
    theirs = flat(quietly(lambda: nilearn_discoveries(image(z), threshold=3.01, alpha=0.05)))
    ours = flat(cluster_level_inference(image(z), threshold=3.01, alpha=0.05))
    assert len(np.unique(theirs[cluster])) > 1  # several runs of numbers in one cluster
    hommel = _compute_hommel_value(z, 0.05)
    wanted = _true_positive_fraction(z[cluster], hommel, 0.05)
    assert 0 < wanted < 1
    np.testing.assert_allclose(ours[cluster], wanted, rtol=1e-6)
    assert not np.delete(ours, cluster).any()
