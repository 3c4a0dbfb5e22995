# SPDX-License-Identifier: BSD-3-Clause
"""Sign flips of mixed effects on surfaces: p of vertices, clusters and TFCE by enumeration."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.typing import NDArray
from scipy import stats

from groupglm import fit_mixed, non_parametric_inference
from reference.clusters import graph_clusters, graph_tfce
from reference.meshes import areas_of, folded, graph_of, write_metric, write_surface

N, P_CLUSTERS = 5, 0.05
SIDES = ("left", "right")
Floats = NDArray[np.float64]


def pairs(folder: Path, values: Floats, what: str) -> list[tuple[Path, ...]]:
    """Files of both hemispheres of each image."""
    return [
        tuple(
            write_metric(folder / f"sub-{k}_hemi-{letter}_{what}.func.gii", half)
            for letter, half in zip("LR", np.split(row, 2), strict=True)
        )
        for k, row in enumerate(values.astype(np.float32), start=1)
    ]


def both(image: Any) -> Floats:
    parts = [part.darrays[0].data for part in image.parts.values()]
    return np.concatenate(parts).astype(np.float64)


@pytest.mark.filterwarnings("ignore:all 32 different sign flips")
def test_p_of_every_choice_of_signs(tmp_path: Path) -> None:
    meshes = {side: folded(2, side) for side in SIDES}
    n = sum(len(points) for points, _ in meshes.values())
    rng = np.random.default_rng(4)
    v = rng.uniform(0.3, 2.0, (N, n)).astype(np.float32).astype(np.float64)
    y = 0.6 + rng.normal(size=v.shape) * np.sqrt(v + 0.3)
    y = y.astype(np.float32).astype(np.float64)
    surfaces = tuple(
        write_surface(tmp_path / f"{side}.surf.gii", *meshes[side], side=side) for side in SIDES
    )
    design = pd.DataFrame({"mean": np.ones(N)})
    found = non_parametric_inference(
        pairs(tmp_path, y, "effect"), design_matrix=design, second_level_contrast="mean",
        model="mixed effects", variances=pairs(tmp_path, v, "variance"), surfaces=surfaces,
        n_perm=10_000, threshold=P_CLUSTERS, tfce=True, random_state=0,
    )  # fmt: skip
    maps = {name: both(image) for name, image in found.items()}

    areas = np.concatenate([areas_of(*mesh) for mesh in meshes.values()])
    graph = scipy.sparse.block_diag([graph_of(f, len(x)) for x, f in meshes.values()]).tocsr()
    forming = float(stats.t.isf(P_CLUSTERS, N - 1))
    largest: dict[str, list[float]] = {name: [] for name in ("t", "size", "mass", "tfce")}
    own: dict[str, Floats] = {}
    for signs in itertools.product([1.0, -1.0], repeat=N):
        t = fit_mixed(design.to_numpy(), np.array(signs)[:, None] * y, v).contrast([1]).stat
        upper = np.maximum(t, 0.0)  # one-sided
        labels, sizes, masses = graph_clusters(upper, graph, areas, forming)
        of_place = {
            "t": t,
            "size": np.append(0.0, sizes)[labels],
            "mass": np.append(0.0, masses)[labels],
            "tfce": graph_tfce(upper, graph, areas, 1.0, 2.0),
        }
        own = own or of_place
        for name, values in of_place.items():
            largest[name].append(float(values.max()))
    assert len(np.unique(own["size"])) > 2  # several clusters
    for name, values in own.items():
        # Maps are float32; vertices in files too, whose areas lose as much.
        np.testing.assert_allclose(maps[name], values, rtol=2e-6, atol=1e-6, err_msg=name)
        reached = np.array(largest[name])[:, None] >= values * (1 - 1e-9)
        p = np.where((values > 0) | (name == "t"), reached.mean(axis=0), 1.0)
        np.testing.assert_allclose(maps[f"logp_max_{name}"], -np.log10(p), atol=1e-6, err_msg=name)
