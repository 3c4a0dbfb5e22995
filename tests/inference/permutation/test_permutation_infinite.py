# SPDX-License-Identifier: BSD-3-Clause
"""Binary maps: the statistic of many voxels is infinite, before and after rearrangement."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from groupglm import _core, permuted_ols
from groupglm.group.fitted_masker import FittedMasker
from groupglm.inference.permutation.kernels import METHODS, Method
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.rational import every_order, permuted_odds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWER = pytest.mark.filterwarnings("ignore:all .* different permutations of this design are used")


@pytest.mark.parametrize("method", METHODS)
def test_a_perfect_separation_has_the_smallest_p(method: Method) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], 8)
    data = rng.standard_normal((16, 50))
    data[:, 0] = group
    out = permuted_ols(group, data, n_perm=999, random_state=0, method=method)
    assert out["t"][0, 0] == np.inf
    assert 10 ** -out["logp_max_t"][0, 0] == pytest.approx(0.001)
    lower = permuted_ols(
        group, -data, n_perm=999, random_state=0, method=method, two_sided_test=False
    )
    assert lower["t"][0, 0] == -np.inf
    assert lower["logp_max_t"][0, 0] == 0
    data[:, 0] += 1e-6 * rng.standard_normal(16)
    noisy = permuted_ols(group, data, n_perm=999, random_state=0, method=method)
    # Where residuals of the full model are rearranged, there were none: the noise is a voxel more.
    compared = slice(0, 1 if method == "ter-braak" else None)
    np.testing.assert_allclose(
        noisy["logp_max_t"][0, compared], out["logp_max_t"][0, compared], atol=1e-12
    )


@pytest.mark.parametrize("two_sided", [True, False])
def test_ter_braaks_null_of_a_perfect_fit(two_sided: bool) -> None:
    """Its residuals are zero in every rearrangement: the statistic is 0, and never -infinity.

    It is 0 too, also in the maps, if the nuisance explains the rearranged data.
    """
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], 6)
    perfect, noise = 2 * group[:, None], rng.standard_normal((12, 3))
    options: Any = {
        "n_perm": 200, "random_state": 0, "method": "ter-braak", "two_sided_test": two_sided,
    }  # fmt: skip

    def null_of(data: Floats) -> Floats:
        return np.asarray(permuted_ols(group, data, **options)["h0_max_t"][0])

    np.testing.assert_array_equal(null_of(perfect), 0)
    alone, beside = null_of(noise), null_of(np.hstack([perfect, noise]))
    np.testing.assert_array_equal(beside, np.maximum(alone, 0))
    assert two_sided or (alone < 0).any()


def students_t(group: NDArray[np.int64], Y: Floats) -> Floats:
    """Student's t of two groups, by its formula, infinite without variance, 0 without effect."""
    a, b = Y[group == 1], Y[group == 0]
    difference = a.mean(axis=0) - b.mean(axis=0)
    rss = ((a - a.mean(axis=0)) ** 2).sum(axis=0) + ((b - b.mean(axis=0)) ** 2).sum(axis=0)
    error = np.sqrt(rss / (len(Y) - 2) * (1 / len(a) + 1 / len(b)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / error)


@FEWER
@pytest.mark.parametrize("tfce", [True, "steps"])
def test_lesion_maps_are_those_of_enumeration(tfce: Any) -> None:
    rng = np.random.default_rng(3)
    shape = (5, 4, 1)
    group = np.repeat([0, 1], 4)
    Y = (rng.random((8, 20)) < 0.2 + 0.4 * group[:, None]).astype(float)
    Y[:, [6, 7, 12]] = group[:, None]  # side by side, and beside others
    Y[:, 3] = 1 - group
    Y[:, 16] = np.tile([0, 1], 4)  # perfect for another grouping
    space = VolumeSpace(Grid(shape, np.eye(4)))
    seen = np.arange(20).reshape(shape, order="F").ravel()  # the order of image[mask]
    out = permuted_ols(
        group, Y[:, seen], masker=FittedMasker(space, 1), threshold=0.05, tfce=tfce, n_jobs=2
    )  # fmt: skip
    neighbours, threshold = space.neighbours(6), stats.t.isf(0.025, 6)
    n_steps = 0 if tfce is True else 100

    def measures(t: Floats) -> dict[str, Floats]:
        labels, sizes, masses, _ = _core.label_clusters(t, neighbours, threshold, True)
        enhanced = _core.tfce(t, neighbours, 0.5, 2.0, True, n_steps)
        return {
            "t": np.abs(t),
            "size": np.append(0, sizes)[labels].astype(float),
            "mass": np.append(0, masses)[labels],
            "tfce": np.abs(enhanced),
        }

    observed = measures(students_t(group, Y))
    null = []
    for ones in itertools.combinations(range(8), 4):
        moved = np.isin(np.arange(8), ones).astype(int)
        null.append({k: v.max() for k, v in measures(students_t(moved, Y)).items()})
    assert np.isinf(observed["t"]).sum() >= 4
    assert 4 <= np.isinf([row["t"] for row in null]).sum() < 20
    for name, row in observed.items():
        values = row[seen]
        if name == "tfce" and n_steps:
            # Rounding decides whether a height at one of the steps reaches it.
            np.testing.assert_array_equal(np.isinf(out[name][0]), np.isinf(values))
            continue
        np.testing.assert_allclose(np.abs(out[name][0]), values, rtol=1e-9, atol=1e-9, err_msg=name)
        maxima = np.array([of[name] for of in null])
        lowest = values * (1 - 1e-9) - 1e-9
        expected = (maxima >= lowest[:, None]).mean(axis=1)
        if name in ("size", "mass"):
            expected[values == 0] = 1
        np.testing.assert_allclose(
            10.0 ** -out[f"logp_max_{name}"][0], expected, rtol=1e-12, err_msg=name
        )


@FEWER
@pytest.mark.filterwarnings("ignore:.*no p-value")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("two_sided", [True, False])
def test_a_voxel_that_lacks_an_image(method: Method, two_sided: bool) -> None:
    """By refits in rational numbers, of the present images in each of their orders."""
    rng = np.random.default_rng(0)
    group, age = np.repeat([0, 1], [3, 4]), np.array([3, 1, 4, 1, 5, 9, 2])
    X = np.column_stack([group, age, np.ones(7, int)])
    y = rng.integers(0, 5, 7) + 3 * group
    here = np.arange(7) != 1
    Y = y.astype(float)[:, None]
    Y[1] = np.nan
    out = permuted_ols(group, Y, age, two_sided_test=two_sided, method=method)
    observed, null = permuted_odds(X[here], 1, y[here][:, None], every_order(6), method)

    def counted(odds: Any) -> Any:
        return abs(odds) if two_sided else odds

    # Each order of the six comes of seven orders of all; only the data as they are count anyhow.
    # (Of ter Braak's, the residuals, which have no effect.)
    as_they_are = [0 if method == "ter-braak" else observed[0]]
    reached = sum(7 * (counted((row or as_they_are)[0]) >= counted(observed[0])) for row in null)
    reached += method == "ter-braak"
    np.testing.assert_allclose(10 ** -out["logp_max_t"].item(), reached / 5040, rtol=1e-12)
