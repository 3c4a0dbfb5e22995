# SPDX-License-Identifier: BSD-3-Clause
"""Permutation of places that are of several kinds: two hemispheres, and voxels between them."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import block_diag, csr_array

from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.arrays import _outputs as outputs_of
from groupglm.inference.permutation.cluster_families import (
    ClusterFamily,
    TfceOptions,
    cluster_families,
)
from groupglm.inference.permutation.null_distribution import Corrections
from groupglm.inference.permutation.options import PermutationOptions
from groupglm.inference.permutation.p_values import corrected_p_values, p_of_families
from groupglm.inference.permutation.resuming import ResumeError
from groupglm.inference.permutation.tails import corrected_p
from groupglm.inference.permutation.testing import PermutationResult, permutation_test
from groupglm.models.ols import fit_ols
from groupglm.runtime.progress import Progress
from groupglm.spaces.base import Part
from reference import clusters as reference
from reference import permutation as slow
from reference.meshes import areas_of, graph_of, neighbours_of, sphere

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm._core import Neighbours

    Floats = NDArray[np.float64]

SURFACE, VOXELS = (1.0, 2.0), (0.5, 2.0)


class TwoKinds:
    """The members of a space that `cluster_families` uses: left cortex, voxels, right cortex."""

    def __init__(self, n_left: int = 40, n_voxels: int = 25, n_right: int = 30) -> None:
        ends = np.cumsum([0, n_left, n_voxels, n_right]).tolist()
        self.parts: tuple[Part, ...] = (
            Part("left", ends[0], ends[1], "mm2", SURFACE),
            Part("thalamus", ends[1], ends[2], "voxels", VOXELS),
            Part("right", ends[2], ends[3], "mm2", SURFACE),
        )
        left, right = sphere(n_left, 1), sphere(n_right, 2)
        line = csr_array(np.eye(n_voxels, k=1) + np.eye(n_voxels, k=-1))
        self.graphs = [graph_of(left[1], n_left), line, graph_of(right[1], n_right)]
        self.areas = [areas_of(*left), np.ones(n_voxels), areas_of(*right)]
        self.n_values = ends[3]

    @cached_property
    def graph(self) -> csr_array[Any, Any]:
        return csr_array(block_diag(self.graphs))

    def neighbours(self, connectivity: int) -> Neighbours:
        del connectivity
        return neighbours_of(self.graph)

    def weights(self) -> Floats | None:
        return np.concatenate(self.areas)

    def families(self) -> tuple[ClusterFamily, ...]:
        space: Any = self
        return cluster_families(space, 6)


def places_of(space: TwoKinds, unit: str) -> NDArray[np.intp]:
    return np.concatenate(
        [np.arange(part.first, part.end) for part in space.parts if part.unit == unit]
    )


def measures(space: TwoKinds, unit: str, stat: Floats, threshold: float) -> dict[str, Floats]:
    """Return each place's size, mass and enhanced statistic."""
    places = places_of(space, unit)
    graph = csr_array(space.graph[places][:, places])
    weights, values = np.concatenate(space.areas)[places], stat[places]
    powers = SURFACE if unit == "mm2" else VOXELS
    labels, sizes, masses = reference.graph_clusters(values, graph, weights, threshold)
    return {
        "size": np.append(0.0, sizes)[labels],
        "mass": np.append(0.0, masses)[labels],
        "tfce": reference.graph_tfce(values, graph, weights, *powers),
    }


def test_parts_of_one_unit_and_rule_are_one_family() -> None:
    space = TwoKinds()
    cortex, thalamus = space.families()
    assert (cortex.name, thalamus.name) == ("mm2", "voxels")
    assert (cortex.tfce_powers, thalamus.tfce_powers) == (SURFACE, VOXELS)
    np.testing.assert_array_equal(cortex.places, places_of(space, "mm2"))
    assert thalamus.places == slice(40, 65)
    assert thalamus.weights is None  # each counts one
    np.testing.assert_array_equal(cortex.weights, np.concatenate(space.areas[::2]))
    joined = neighbours_of(csr_array(block_diag(space.graphs[::2])))
    for one, other in zip(cortex.neighbours.adjacency(), joined.adjacency(), strict=True):
        np.testing.assert_array_equal(one, other)
    space.parts = tuple(replace(part, unit="mm2") for part in space.parts)
    assert [family.name for family in space.families()] == [
        "mm2 of left, right",
        "mm2 of thalamus",
    ]
    space.parts = tuple(replace(part, tfce_powers=SURFACE) for part in space.parts)
    (whole,) = space.families()
    assert (whole.name, whole.places) == ("mm2", slice(0, 95))


def test_parts_that_neighbours_reach_beyond_are_refused() -> None:
    space = TwoKinds()
    left, thalamus, right = space.parts
    space.parts = (replace(left, end=30), replace(thalamus, first=30), right)
    with pytest.raises(ValueError, match="has the neighbour"):
        space.families()


def test_a_family_travels_as_arrays() -> None:
    for family in TwoKinds().families():
        again = pickle.loads(pickle.dumps(family))  # noqa: S301
        for one, other in zip(
            family.neighbours.adjacency(), again.neighbours.adjacency(), strict=True
        ):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(family.places, again.places)
        np.testing.assert_array_equal(family.weights, again.weights)
        assert (family.name, family.tfce_powers) == (again.name, again.tfce_powers)


@pytest.mark.parametrize("two_sided", [True, False])
def test_maxima_are_of_each_family(two_sided: bool) -> None:
    space = TwoKinds()
    corrections = Corrections("t", two_sided, 1.0, TfceOptions(), space.families())
    assert corrections.names() == (
        "t", "size_mm2", "size_voxels", "mass_mm2", "mass_voxels", "tfce_mm2", "tfce_voxels",
    )  # fmt: skip
    maps = np.random.default_rng(0).standard_normal((5, space.n_values))
    found = corrections.maxima(maps, 1)
    assert set(found) == set(corrections.names()) - {"t"}
    for n_threads in (2, 3):
        again = corrections.maxima(maps, n_threads)
        assert all((again[name] == found[name]).all() for name in found)
    for i, row in enumerate(maps):
        stat = row if two_sided else np.maximum(row, 0)
        for unit in ("mm2", "voxels"):
            for name, values in measures(space, unit, stat, 1.0).items():
                expected = np.abs(values).max()
                np.testing.assert_allclose(found[f"{name}_{unit}"][i], expected, rtol=1e-12)


def test_powers_that_the_user_gives_hold_for_all() -> None:
    space = TwoKinds()
    maps = np.random.default_rng(0).standard_normal((2, space.n_values))
    given = Corrections("t", True, None, TfceOptions(powers=(1.0, 2.0)), space.families())
    usual = Corrections("t", True, None, TfceOptions(), space.families())
    one, other = given.maxima(maps, 1), usual.maxima(maps, 1)
    np.testing.assert_array_equal(one["tfce_mm2"], other["tfce_mm2"])
    assert (one["tfce_voxels"] != other["tfce_voxels"]).all()


def run(space: TwoKinds, Y: Floats, **options: Any) -> PermutationResult:
    n = len(Y)
    X, contrast = np.ones((n, 1)), np.array([1.0])
    fit = fit_ols(X, Y, n_threads=1)
    given = PermutationOptions(
        **{
            "n_perm": 2**n - 1, "two_sided": True, "seed": 0, "n_threads": 1,
            "progress": Progress(0), "threshold": 0.2, "tfce": TfceOptions(), **options,
        }
    )  # fmt: skip
    stat = fit.contrast(contrast).stat
    return permutation_test(
        X, contrast, ArraySource(Y), stat, fit.df_residual, given, families=space.families
    )


def noise(space: TwoKinds, n: int = 6) -> Floats:
    Y = np.random.default_rng(5).standard_normal((n, space.n_values))
    return Y + 0.7 * (np.arange(space.n_values) % 40 < 12)


def smallest_p(observed: dict[str, Floats], nulls: dict[str, Floats]) -> dict[str, Floats]:
    """The definition: a rearrangement's smallest p over the families; the first is the identity."""

    def p(unit: str, value: float) -> float:
        # Ties: sums of the same terms in another order agree to 1e-9 at least.
        return float(np.mean(nulls[unit] >= value * (1 - 1e-9)))

    n = len(next(iter(nulls.values())))
    smallest = np.array([min(p(unit, nulls[unit][b]) for unit in nulls) for b in range(n)])
    return {
        unit: np.array([np.mean(smallest <= p(unit, value) + 1e-12) for value in np.abs(values)])
        for unit, values in observed.items()
    }


def test_p_values_are_the_smallest_of_the_families() -> None:
    """All sign flips, refitted one by one, clusters and enhancement by brute force."""
    space = TwoKinds()
    Y = noise(space)
    n = len(Y)
    result = run(space, Y)
    threshold = float(stats.t.isf(0.1, n - 1))
    X, C, order = np.ones((n, 1)), np.ones((1, 1)), np.arange(n)
    flips = [np.array(signs) for signs in itertools.product((1.0, -1.0), repeat=n)]
    maps = [slow.rearranged(X, C, Y, order, signs, "freedman-lane") for signs in flips]
    for name in ("size", "mass", "tfce"):
        observed, nulls = {}, {}
        for unit in ("mm2", "voxels"):
            every = [measures(space, unit, stat, threshold)[name] for stat in maps]
            observed[unit] = every[0]
            nulls[unit] = np.array([np.abs(values).max() for values in every])
            np.testing.assert_allclose(
                np.sort(result.null[f"{name}_{unit}"]), np.sort(nulls[unit][1:]), rtol=1e-9
            )
        for unit, p in smallest_p(observed, nulls).items():
            places = places_of(space, unit)
            np.testing.assert_allclose(result.observed[name][places], observed[unit], rtol=1e-9)
            inside = observed[unit] != 0
            assert inside.any()
            found = result.p_value[name][places]
            np.testing.assert_allclose(found[inside], p[inside], rtol=1e-12)
            assert (found[~inside] == 1).all()
    largest = np.array([np.abs(stat).max() for stat in maps])
    expected = [np.mean(largest >= abs(t) * (1 - 1e-9)) for t in maps[0]]
    np.testing.assert_allclose(result.p_value["t"], expected, rtol=1e-12)


def test_a_test_of_other_areas_is_not_gone_on_with() -> None:
    space = TwoKinds()
    Y = noise(space)
    done = run(space, Y, n_perm=20).state
    assert done.n_done == 20
    other = TwoKinds()
    other.areas[0] = other.areas[0] * 2
    stat = fit_ols(np.ones((6, 1)), Y).contrast(np.array([1.0])).stat
    options = PermutationOptions(
        n_perm=40, two_sided=True, seed=0, n_threads=1, progress=Progress(0), threshold=0.2,
        tfce=TfceOptions(),
    )  # fmt: skip
    arguments: Any = (np.ones((6, 1)), np.array([1.0]), ArraySource(Y), stat, 5, options)
    again = permutation_test(*arguments, families=space.families, resume=done)
    assert again.n_perm == 40
    whole = run(space, Y, n_perm=40)
    for name, null in whole.null.items():
        np.testing.assert_array_equal(again.null[name], null)
    with pytest.raises(ResumeError, match="places"):
        permutation_test(*arguments, families=other.families, resume=done)


def test_outputs_keep_areas_and_the_maxima_of_each_unit() -> None:
    """`permuted_ols` gives whole numbers for counts, and areas as they are."""
    space = TwoKinds()
    results = (run(space, noise(space), n_perm=20),)
    assert not results[0].counts_places
    out = outputs_of(results)
    np.testing.assert_array_equal(out["size"][0], results[0].observed["size"])
    assert (out["size"] % 1 > 0).any()
    assert {name for name in out if name.startswith("h0_max_")} == {
        f"h0_max_{name}" for name in results[0].null
    }
    assert out["h0_max_size_mm2"].shape == (1, 20)
    space.areas = [np.ones(len(areas)) for areas in space.areas]
    assert outputs_of((run(space, noise(space), n_perm=20),))["size"].dtype == np.int64


def test_a_tail_is_not_fitted_to_maxima_of_several_families() -> None:
    space = TwoKinds()
    Y = noise(space, 9)
    told = "not fitted to the maxima of (size|mass|tfce), which are of mm2 and of voxels apart"
    with pytest.warns(UserWarning, match=told):
        result = run(space, Y, n_perm=200, tail="gamma")
    assert set(result.tail_fit) == {"t"}
    plain = run(space, Y, n_perm=200)
    for name in ("size", "mass", "tfce"):
        np.testing.assert_array_equal(result.p_value[name], plain.p_value[name])


NUMBERS = st.lists(st.integers(0, 12).map(float), min_size=1, max_size=12)


@given(NUMBERS, NUMBERS)
def test_one_family_has_the_p_values_of_its_maxima(values: list[float], null: list[float]) -> None:
    observed, maxima = np.array([*values, np.nan]), np.array(null)
    (found,) = p_of_families([observed], [maxima])
    np.testing.assert_array_equal(found, corrected_p(observed, maxima))


@pytest.mark.parametrize("moved", [-1e-12, 0.0, 1e-12])
def test_a_maximum_that_ties_with_the_observed_one_has_its_rank(moved: float) -> None:
    """By hand: two rearrangements of four reach the largest size of the cortex, one of the voxels.

    The smallest counts over the families are 1 for the identity, then 2, 2 and 4. For the size in
    voxels one of four is at most 1; for the size in mm2 three are at most 2. The sum of areas of
    the other rearrangement may differ by rounding.
    """
    space = TwoKinds()
    corrections = Corrections("t", False, 1.0, None, space.families())
    sizes = np.zeros(space.n_values)
    sizes[:3], sizes[40:51] = 18.0, 11.0
    least = np.where(np.arange(space.n_values) < 40, sizes * (1 - 1e-9), sizes)
    null = {
        "size_mm2": np.array([18.0 * (1 + moved), 12.0, 12.0]),
        "size_voxels": np.array([6.0, 9.0, 6.0]),
    }
    p, _ = corrected_p_values({"size": sizes}, {"size": least}, null, corrections, None)
    assert p["size"][:3].tolist() == [0.75] * 3
    assert p["size"][40:51].tolist() == [0.25] * 11


def test_families_weigh_the_same_whatever_their_unit() -> None:
    """Sets without any effect: one in twenty is significant, as often by one family as the other.

    The values of one family are a thousand times those of the other, and of another form.
    """
    rng = np.random.default_rng(0)
    n_sets, n_perm = 2000, 199
    hits = np.zeros((n_sets, 2), dtype=bool)
    for i in range(n_sets):
        common = rng.standard_normal(n_perm + 1)
        one = np.exp(common + rng.standard_normal(n_perm + 1)) * 1000
        other = 0.5 * common + rng.standard_normal(n_perm + 1)
        p = p_of_families([one[:1], other[:1]], [one[1:], other[1:]])
        hits[i] = [each[0] <= 0.05 for each in p]
    # Five standard deviations of a binomial share.
    assert abs(hits.any(axis=1).mean() - 0.05) < 5 * (0.05 * 0.95 / n_sets) ** 0.5
    share = hits[:, 0].sum() / hits.sum()
    assert abs(share - 0.5) < 5 * (0.25 / hits.sum()) ** 0.5
