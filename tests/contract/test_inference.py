# SPDX-License-Identifier: BSD-3-Clause
"""Clusters, peaks, tables, true discoveries and findings in spaces without voxels.

The expected results come from loops over the definitions: on a mesh with areas, on chains, and on a
pair of chains.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse.csgraph import connected_components

from contract.fake_spaces import CHAIN, Chain
from groupglm import (
    SecondLevelModel,
    cluster_level_inference,
    get_clusters_table,
    threshold_stats_img,
    true_discovery_bounds,
)
from groupglm._core import Neighbours
from groupglm.design.hypotheses import Hypothesis
from groupglm.inference.cluster_table import tabulate
from groupglm.inference.labelling import keep_large_clusters, label_clusters
from groupglm.inference.map_scale import MapScale, z_of_statistic
from groupglm.inference.peaks import extremes, find_clusters
from groupglm.inference.survivors import survivors
from groupglm.report.findings import find
from groupglm.report.options import ReportOptions
from groupglm.spaces.base import Space
from groupglm.spaces.statistic import Statistic
from groupglm.spaces.volume import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.meshes import areas_of, graph_of, neighbours_of, sphere

pytestmark = pytest.mark.usefixtures("fake_kinds")

N_VERTICES = 300


class MeshSpace(Space):
    """Some vertices of a sphere, with their areas."""

    tag: ClassVar[str] = "mesh"
    unit = "mm2"

    def __init__(self, vertices: NDArray[np.intp], seed: int = 0) -> None:
        self.vertices, self.seed = vertices, seed
        self.points, faces = sphere(N_VERTICES, seed)
        self.points = 50 * self.points
        self.graph = graph_of(faces, N_VERTICES)
        self.areas = areas_of(self.points, faces)

    @property
    def n_values(self) -> int:
        return len(self.vertices)

    def restrict(self, keep: NDArray[np.bool_]) -> MeshSpace:
        return type(self)(self.vertices[keep], self.seed)

    def neighbours(self, connectivity: int) -> Neighbours:
        return neighbours_of(self.graph[self.vertices][:, self.vertices])

    def degrees(self, connectivity: int, places: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray(np.diff(self.graph.indptr)[self.vertices[places]], np.int64)

    def weights(self) -> NDArray[np.float64]:
        return np.asarray(self.areas[self.vertices])

    def coordinates(self, places: NDArray[Any] | None = None) -> NDArray[np.float64]:
        return np.asarray(self.points[self.vertices if places is None else self.vertices[places]])

    def describe_place(self, place: int) -> str:
        return f"vertex {self.vertices[place]}"


def chain(values: NDArray[Any]) -> Any:
    """Make an image that the doors' types do not know."""
    return Chain(values)


def mesh(seed: int, *, masked: bool) -> MeshSpace:
    keep = np.random.default_rng(seed).random(N_VERTICES) < 0.8
    # Images are not what is tested here: the space has none.
    vertices = np.flatnonzero(keep) if masked else np.arange(N_VERTICES)
    return MeshSpace(vertices)  # type: ignore[abstract]


def smooth(space: MeshSpace, seed: int, levels: float | None) -> NDArray[np.float64]:
    """Values that are similar at neighbours; with few levels, so that there are plateaus."""
    row = np.random.default_rng(seed).standard_normal(N_VERTICES)
    for _ in range(2):
        row = (row + space.graph @ row) / (1 + np.diff(space.graph.indptr))
    row = (row / row.std())[space.vertices]
    return np.asarray(row if levels is None else np.rint(row * levels) / levels)


def beside(space: Space) -> list[set[int]]:
    starts, places = space.neighbours(6).adjacency()
    return [set(places[a:b].tolist()) for a, b in itertools.pairwise(starts)]


def components(graph: list[set[int]], inside: set[int]) -> list[list[int]]:
    """Return the connected places among some, by flooding; in the order of their first place."""
    found, left = [], sorted(inside)
    while left:
        reached, edge = {left[0]}, [left[0]]
        while edge:
            edge = [b for a in edge for b in graph[a] & inside if b not in reached]
            reached |= set(edge)
        found.append(sorted(reached))
        left = [place for place in left if place not in reached]
    return found


def peaks_by_hand(space: MeshSpace, row: NDArray[Any], cluster: list[int]) -> list[int]:
    """Return the peaks of a cluster, the highest first, by the definition in words."""
    graph, inside = beside(space), set(cluster)
    flat = np.isclose(row[cluster].max(), row[cluster].min())
    whole = space.degrees(26, np.arange(space.n_values))
    maxima = set()
    for place in cluster:
        own = graph[place] & inside
        if any(row[other] > row[place] for other in own):
            continue
        n_equal = sum(row[other] == row[place] for other in own)
        if flat or n_equal < whole[place]:
            maxima.add(place)
    xyz = space.coordinates()
    peaks = []
    for plateau in components(graph, maxima):
        plateau.sort(key=lambda place: tuple(xyz[place]))
        middle = xyz[plateau].mean(axis=0)
        distances = np.linalg.norm(xyz[plateau] - middle, axis=1)
        # The first of the nearest places, except for rounding.
        at = plateau[int(np.flatnonzero(distances <= distances.min() + 1e-6)[0])]
        peaks.append((-row[at], tuple(xyz[plateau[0]]), at))
    return [at for _, _, at in sorted(peaks)]


def spread(space: Space, peaks: list[int], distance: float) -> list[int]:
    kept = [peaks[0]]
    xyz = space.coordinates()
    for peak in peaks[1:]:
        if len(kept) < 4 and np.linalg.norm(xyz[peak] - xyz[kept[-1]]) > distance:
            kept.append(peak)
    return kept


@pytest.mark.parametrize("masked", [False, True])
def test_clusters_and_their_areas_are_those_of_the_graph(*, masked: bool) -> None:
    space = mesh(1, masked=masked)
    row = smooth(space, 2, None)
    members = np.flatnonzero(row > 0.4)
    labels, sizes = label_clusters(space, members)
    graph = space.graph[space.vertices][:, space.vertices][members][:, members]
    n, wanted = connected_components(graph, directed=False)
    assert n > 3
    _, first = np.unique(wanted, return_index=True)
    rank = np.argsort(np.argsort(first))
    np.testing.assert_array_equal(labels, rank[wanted] + 1)
    areas = np.bincount(wanted, space.weights()[members])[np.argsort(first)]
    np.testing.assert_allclose(sizes, areas, rtol=1e-13)  # sums of some hundred terms
    limit = float(np.median(sizes))
    passing = np.where(row > 0.4, row, 0.0)
    kept, largest = keep_large_clusters(passing, space, limit)
    assert largest == sizes.max()
    np.testing.assert_array_equal(np.flatnonzero(kept), members[sizes[labels - 1] >= limit])
    found = survivors(space, row, 0.4, limit, two_sided=False)
    np.testing.assert_array_equal(found.row, kept)
    assert (found.n_passed, found.largest) == (len(members), largest)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 500),
    levels=st.sampled_from([None, 1.0, 2.0]),
    masked=st.booleans(),
    distance=st.sampled_from([0.0, 20.0, 60.0]),
)
def test_peaks_on_a_mesh_are_those_of_the_definition(
    seed: int, levels: float | None, masked: bool, distance: float
) -> None:
    space = mesh(seed, masked=masked)
    row = smooth(space, seed, levels)
    found = find_clusters(space, row, 0.3, min_distance=distance, most=4)
    xyz = space.coordinates()
    wanted = components(beside(space), set(np.flatnonzero(row > 0.3).tolist()))
    wanted.sort(key=lambda own: (-row[own].max(), min(tuple(xyz[place]) for place in own)))
    assert len(found.peaks) == len(wanted) > 0
    for number, (cluster, peaks) in enumerate(zip(wanted, found.peaks, strict=True), start=1):
        np.testing.assert_array_equal(np.flatnonzero(found.labels == number), cluster)
        area = space.weights()[cluster].sum()
        assert found.sizes[number - 1] == pytest.approx(area, rel=1e-13)
        hand = spread(space, peaks_by_hand(space, row, cluster), distance)
        np.testing.assert_array_equal(peaks.heights, row[hand])
        np.testing.assert_array_equal(peaks.places, hand)


def test_a_table_of_a_mesh_has_areas_and_both_tails() -> None:
    space = mesh(3, masked=True)
    row = smooth(space, 3, None)
    row[5] = np.nan
    found = tabulate(space, row, 0.8, two_sided=True, cluster_threshold=1)
    table = found.table
    assert list(table) == ["Cluster ID", "X", "Y", "Z", "Peak Stat", "Cluster Size (mm2)"]
    np.testing.assert_array_equal(row[found.places], table["Peak Stat"])
    np.testing.assert_array_equal(space.coordinates(found.places), table[["X", "Y", "Z"]])
    first = table["Cluster Size (mm2)"] != ""
    n_above = int(found.labels[0].max())
    assert 0 < n_above < int(found.labels[1].max()) == first.sum()
    for place, size in zip(found.places[first], table["Cluster Size (mm2)"][first], strict=True):
        labels = found.labels[int(row[place] < 0)]
        own = labels == labels[place]
        assert size == pytest.approx(space.weights()[own].sum(), rel=1e-13)
    positive, negative = extremes(space, row)
    assert positive is not None
    assert negative is not None
    assert positive.place == int(np.nanargmax(row))
    assert negative.place == int(np.nanargmin(row))
    assert positive.where == f"vertex {space.vertices[positive.place]}"


def test_the_parts_of_a_pair_have_clusters_of_their_own() -> None:
    # The last link of the first chain and the first one of the second are no neighbours.
    light, heavy = np.zeros(10), np.zeros(8)
    light[7:] = 3.0, 5.0, 4.0
    heavy[:3] = 6.0, 4.0, 4.5
    heavy[6] = -7.0
    image: Any = {"light": chain(light), "heavy": chain(heavy)}
    table, found = get_clusters_table(image, 2.0, two_sided=True, return_label_maps=True)
    # Links have no coordinates, so that no subpeak is far from its peak.
    assert table["Cluster ID"].tolist() == [1, 2, 3]
    assert table["Part"].tolist() == ["heavy", "light", "heavy"]
    assert table["Peak Stat"].tolist() == [6.0, 5.0, -7.0]
    # A heavy link weighs 1, 2 or 3 grams, by its place.
    assert table["Cluster Size"].tolist() == [1 + 2 + 3, 3, 1]
    assert table["Unit"].tolist() == ["grams", "links", "grams"]
    maps: Any = found
    np.testing.assert_array_equal(maps[0]["light"].data, [0] * 7 + [2] * 3)
    np.testing.assert_array_equal(maps[0]["heavy"].data, [1] * 3 + [0] * 5)
    np.testing.assert_array_equal(maps[1]["heavy"].data, [0] * 6 + [3, 0])
    # The limit on clusters is in each part's own unit.
    kept, _ = threshold_stats_img(
        image, threshold=2.0, height_control=None, cluster_threshold=4, two_sided=False
    )
    assert kept is not None
    shown: Any = kept
    assert not shown["light"].data.any()
    np.testing.assert_array_equal(shown["heavy"].data, np.where(heavy > 0, heavy, 0))


def chain_of_z(seed: int, length: int = 60) -> NDArray[np.float64]:
    z = np.random.default_rng(seed).standard_normal(length)
    z[10:20] += 4.0
    return z


@pytest.mark.parametrize("control", ["fpr", "fdr", "bonferroni"])
def test_a_chain_is_thresholded_by_its_tests(control: Any) -> None:
    z = chain_of_z(0)
    mask = np.arange(60) >= 5
    z[30] = np.nan
    with pytest.warns(UserWarning, match="NaN, and so not tested"):
        kept, threshold = threshold_stats_img(
            chain(z), chain(mask.astype(float)), alpha=0.05, height_control=control
        )
    tests = np.abs(z[mask & ~np.isnan(z)])
    p = 2 * stats.norm.sf(tests)
    if control == "fdr":
        small = np.sort(p)
        below = np.flatnonzero(small <= 0.05 * np.arange(1, len(p) + 1) / len(p))
        passes = p <= small[below[-1]]
    else:
        passes = p <= 0.05 / (1 if control == "fpr" else len(p))
    assert passes.any()
    np.testing.assert_array_equal(tests >= threshold, passes)
    shown: Any = kept
    wanted = np.zeros(60)
    wanted[np.flatnonzero(mask & ~np.isnan(z))[passes]] = z[mask & ~np.isnan(z)][passes]
    wanted[30] = np.nan
    np.testing.assert_array_equal(shown.data, wanted)


@pytest.mark.parametrize("conflict", [None, "its name says that it is one of F statistics"])
def test_only_a_kind_with_headers_is_told_to_write_one(conflict: str | None) -> None:
    scale = MapScale(Statistic("t"), "its sidecar", conflict)
    for space, said in (
        (CHAIN.open_map(chain(chain_of_z(0)), "z")[1], False),
        (VolumeSpace(Grid((60, 1, 1), np.eye(4))), True),
    ):
        with pytest.raises(ValueError, match="its sidecar says") as caught:
            z_of_statistic("a map", chain_of_z(0), scale, space)
        assert ("image.header.set_intent" in str(caught.value)) is said


def closed_testing(p: NDArray[np.float64], chosen: set[int], alpha: float) -> int:
    """Return how many of some tests are true discoveries, at least: by all sets of tests."""
    everything = range(len(p))
    sets = [
        frozenset(own)
        for size in range(1, len(p) + 1)
        for own in itertools.combinations(everything, size)
    ]
    kept_by_simes = [
        own
        for own in sets
        if (np.sort(p[list(own)]) > alpha * np.arange(1, len(own) + 1) / len(own)).all()
    ]
    kept = [len(chosen & own) for own in kept_by_simes]
    return len(chosen) - max(kept, default=0)


@pytest.mark.parametrize("seed", range(4))
def test_true_discoveries_of_a_chain_are_those_of_closed_testing(seed: int) -> None:
    z = np.random.default_rng(seed).standard_normal(9)
    z[2:6] += 3.0
    z[7] = 0.5
    image, p = chain(z), stats.norm.sf(z)
    everywhere = chain(np.ones(9))
    proportions: Any = cluster_level_inference(image, everywhere, 0.4, alpha=0.1)
    links: list[set[int]] = [{i - 1, i + 1} & set(range(9)) for i in range(9)]
    wanted = np.zeros(9)
    for cluster in components(links, set(np.flatnonzero(z > 0.4).tolist())):
        wanted[cluster] = closed_testing(p, set(cluster), 0.1) / len(cluster)
    assert wanted.any()
    np.testing.assert_array_equal(proportions.data, wanted)
    region = np.isin(np.arange(9), [1, 2, 3, 8])
    table = true_discovery_bounds(image, {"mine": chain(region * 1.0)}, everywhere, alpha=0.1)
    bound = closed_testing(p, {1, 2, 3, 8}, 0.1)
    pd.testing.assert_frame_equal(
        table,
        pd.DataFrame(
            [["mine", 4, bound, bound / 4]],
            columns=["Region", "Links", "True Discoveries", "True Discovery Proportion"],
        ),
    )


def test_a_report_finds_in_rows_what_the_functions_find_in_images() -> None:
    rng = np.random.default_rng(8)
    age = rng.standard_normal(16)
    images = [chain(rng.standard_normal(50)) for _ in age]
    for image, years in zip(images, age, strict=True):
        image.data[20:28] += 2 * years
    design = pd.DataFrame({"age": age, "intercept": 1.0})
    model = SecondLevelModel(chain(np.ones(50))).fit(images, design_matrix=design)
    options = ReportOptions.check(
        title=None, bg_img=None, threshold=3.09, alpha=0.05, cluster_threshold=3,
        height_control="fdr", min_distance=8.0, plot_type="slice", display_mode=None,
        two_sided=True, cut_coords=None,
    )  # fmt: skip
    tested = Hypothesis(np.array([1.0, 0.0]))
    finding = find("age", tested, model._group, options)
    z = model.compute_contrast("age")
    kept, threshold = threshold_stats_img(
        z, chain(np.ones(50)), alpha=0.05, height_control="fdr", cluster_threshold=3
    )
    shown: Any = kept
    # A chain's image is of float64, and a report finds in float32 what an image usually holds.
    assert finding.threshold == pytest.approx(threshold, rel=1e-6)
    np.testing.assert_allclose(finding.survivors, shown.data, rtol=1e-6)
    assert finding.survived
    assert "Cluster Size (links)" in finding.table.columns
    assert finding.top.place in range(20, 28)
    assert finding.top.where == f"link {finding.top.place}"
    assert finding.peaks[0].place == finding.top.place


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), levels=st.sampled_from([1, 2, 4]))
def test_a_mask_does_not_change_the_table_of_what_is_inside(seed: int, levels: int) -> None:
    """A plateau at the edge of a mask has the same peaks as in the whole image."""
    rng = np.random.default_rng(seed)
    grid = Grid((5, 6, 4), np.diag([2.0, -3.0, 2.5, 1.0]))
    whole = VolumeSpace(grid)
    inside = rng.random(whole.n_values) < 0.85
    row = np.where(inside, np.rint(rng.standard_normal(whole.n_values) * levels) + 1, 0.0)
    options: dict[str, Any] = {"two_sided": True, "min_distance": 0.0}
    wanted = tabulate(whole, row, 0.5, **options)
    found = tabulate(whole.restrict(inside), row[inside], 0.5, **options)
    pd.testing.assert_frame_equal(found.table, wanted.table)
    np.testing.assert_array_equal(np.flatnonzero(inside)[found.places], wanted.places)
