# SPDX-License-Identifier: BSD-3-Clause
"""Clusters and enhanced statistics of surfaces beside the Connectome Workbench's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from groupglm import _core
from groupglm.inference.cluster_table import tabulate
from groupglm.inference.permutation.cluster_families import TfceOptions, cluster_families
from groupglm.inference.survivors import survivors
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.mesh import Mesh
from reference.meshes import folded

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = pytest.mark.quick

STORED = np.load(Path(__file__).parent / "workbench" / "clusters.npz")
MAPS = STORED["maps"].astype(np.float64)
THRESHOLD, LEAST_AREA = float(STORED["threshold"]), float(STORED["least_area"])
POWERS = ((1.0, 2.0), (0.5, 2.0), (0.7, 1.0))
RTOL = 1e-5  # of sums that the Workbench keeps, and areas that it adds up, in single precision


def space() -> HemisphereSpace:
    points, faces = folded(3)
    # The Workbench read the coordinates from a file of single precision.
    mesh = Mesh("folded", points.astype(np.float32), faces)
    return HemisphereSpace("left", mesh.n_vertices, mesh=mesh)


def enhanced(where: HemisphereSpace, row: NDArray[Any], options: TfceOptions) -> NDArray[Any]:
    (family,) = cluster_families(where, 6)
    return family.enhanced(row, np.abs(row), options, two_sided=True)[0]


@pytest.mark.parametrize("number", range(len(MAPS)))
def test_enhanced_statistics_of_both_signs(number: int) -> None:
    for powers in POWERS:
        found = enhanced(space(), MAPS[number], TfceOptions(powers))
        wanted = STORED["tfce_{}_{}".format(*powers)][number]
        assert wanted.min() < 0 < wanted.max()
        np.testing.assert_allclose(found, wanted, rtol=RTOL)
    # The powers of a surface are E=1 and H=2 if none are given, as of the Workbench.
    default = enhanced(space(), MAPS[number], TfceOptions())
    np.testing.assert_allclose(default, STORED["tfce_1.0_2.0"][number], rtol=RTOL)


@pytest.mark.parametrize("number", range(len(MAPS)))
def test_clusters_have_the_same_labels(number: int) -> None:
    where, row = space(), MAPS[number]
    neighbours, weights = where.neighbours(6), where.weights()
    for sign, name in ((1, "above"), (-1, "below")):
        labels = _core.label_clusters(sign * row, neighbours, THRESHOLD, False, weights)[0]
        wanted = STORED[f"{name}_0"][number]
        # Its numbers go on from map to map.
        before = STORED[f"{name}_0"][:number].max(initial=0)
        np.testing.assert_array_equal(labels, np.where(wanted > 0, wanted - before, 0))
        # Labels of the table are in the order of the peaks: they divide the map in the same way.
        (table,) = tabulate(where, row, sign * THRESHOLD, two_sided=False).labels
        pairs = set(zip(table.tolist(), wanted.tolist(), strict=True))
        assert len(pairs) == 1 + labels.max() == 1 + table.max()


@pytest.mark.parametrize("number", range(len(MAPS)))
def test_clusters_of_an_area_survive(number: int) -> None:
    where, row = space(), MAPS[number]
    for sign, name in ((1, "above"), (-1, "below")):
        kept = survivors(where, row, sign * THRESHOLD, LEAST_AREA, two_sided=False).row
        np.testing.assert_array_equal(kept != 0, STORED[f"{name}_{LEAST_AREA:g}"][number] > 0)
    assert (STORED[f"above_{LEAST_AREA:g}"][1:] > 0).any(axis=1).all()  # so that this can fail


@pytest.mark.parametrize("number", range(len(MAPS)))
def test_a_mask_is_a_region(number: int) -> None:
    region = STORED["region"]
    inside, row = space().restrict(region), MAPS[number][region]
    found = enhanced(inside, row, TfceOptions())
    np.testing.assert_allclose(found, STORED["tfce_region"][number][region], rtol=RTOL)
    labels = _core.label_clusters(row, inside.neighbours(6), THRESHOLD, False, inside.weights())[0]
    before = STORED["above_region"][:number].max(initial=0)
    wanted = STORED["above_region"][number][region]
    np.testing.assert_array_equal(labels, np.where(wanted > 0, wanted - before, 0))
