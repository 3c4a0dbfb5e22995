# SPDX-License-Identifier: BSD-3-Clause
"""p-values of peaks, clusters and sets: against formulas for boxes and spheres written here."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.expected import Field
from groupglm.inference.random_fields.limits import peak_threshold, size_thresholds
from groupglm.inference.random_fields.p_values import cluster_p, peak_p, set_p
from groupglm.inference.random_fields.smoothness import PartSmoothness, Smoothness

A = 4 * math.log(2)


def expected_of_t(t: float, v: float, resels: tuple[float, ...]) -> float:
    """Worsley et al. (1996), equation 3 and table II."""
    bell = (1 + t**2 / v) ** (-(v - 1) / 2)
    gammas = math.gamma((v + 1) / 2) / ((v / 2) ** 0.5 * math.gamma(v / 2))
    densities = (
        stats.t.sf(t, v),
        A**0.5 / (2 * math.pi) * bell,
        A / (2 * math.pi) ** 1.5 * gammas * t * bell,
        A**1.5 / (2 * math.pi) ** 2 * bell * ((v - 1) / v * t**2 - 1),
    )
    return float(sum(r * d for r, d in zip(resels, densities, strict=True)))


def sphere(radius: float, fwhm: float) -> Smoothness:
    """A ball: Worsley et al. (1996), table I."""
    r = radius / fwhm
    resels = (1.0, 4 * r, 2 * math.pi * r**2, 4 / 3 * math.pi * r**3)
    part = PartSmoothness("volume", 3, (fwhm,) * 3, (fwhm,) * 3, resels, 1000, "voxels", fwhm**-3.0)
    return Smoothness((part,), 20.0, 22)


BOX = Smoothness.of_box((41, 51, 31), fwhm=(6.0, 8.0, 10.0), voxel_size=2.0, df=20.0)
SPHERE = sphere(40.0, 9.0)


def test_resels_of_a_box() -> None:
    a, b, c = 80 / 6, 100 / 8, 60 / 10
    assert BOX.resels == pytest.approx((1, a + b + c, a * b + a * c + b * c, a * b * c), rel=1e-14)


@pytest.mark.parametrize("smooth", [BOX, SPHERE], ids=["box", "sphere"])
@pytest.mark.parametrize("t", [4.0, 6.0, 9.0])
def test_peak_p_of_a_t(smooth: Smoothness, t: float) -> None:
    expected = 1 - math.exp(-expected_of_t(t, 20, smooth.resels))
    assert peak_p([t], "t", 20, smooth)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("smooth", [BOX, SPHERE], ids=["box", "sphere"])
def test_cluster_and_set_p_of_t(smooth: Smoothness) -> None:
    u, v, k, part = 3.5, 20, 90, smooth.parts[0]
    number = expected_of_t(u, v, smooth.resels)
    bell = (1 + u**2 / v) ** (-(v - 1) / 2)
    third = A**1.5 / (2 * math.pi) ** 2 * bell * ((v - 1) / v * u**2 - 1)
    mean = stats.t.sf(u, v) / third  # resels of one cluster
    beta = (math.gamma(2.5) / mean) ** (2 / 3)
    one = math.exp(-beta * (k * part.resels_per_unit) ** (2 / 3))
    fwe, uncorrected = cluster_p([k, 0], u, "t", v, smooth)
    assert uncorrected == pytest.approx([one, 1.0], rel=1e-9)
    assert fwe == pytest.approx([1 - math.exp(-number * one), 1 - math.exp(-number)], rel=1e-9)
    assert set_p(3, k, u, "t", v, smooth) == pytest.approx(
        stats.poisson.sf(2, number * one), rel=1e-9
    )
    assert set_p(0, k, u, "t", v, smooth) == 1.0


def test_mean_size_of_a_cluster_is_the_one_assumed() -> None:
    # The distribution of sizes must have the mean that Friston et al. (1994) give it.
    part = BOX.parts[0]
    sizes = np.linspace(0, 4000, 400_001)
    tails = cluster_p(sizes, 3.0, "z", None, BOX)[1]
    densities = Field.of("z", None).densities(np.array([3.0]))[:, 0]
    mean = densities[0] / densities[3] / part.resels_per_unit
    assert np.trapezoid(tails, sizes) == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize(
    ("stat_type", "df"), [("z", None), ("t", 11.0), ("F", (3.0, 30.0)), ("chi2", 4.0)]
)
def test_thresholds_are_the_inverse(stat_type: str, df: object) -> None:
    kind: Any = stat_type
    for alpha in (0.001, 0.05, 0.5):
        u = peak_threshold(alpha, kind, df, BOX)
        assert peak_p([u], kind, df, BOX)[0] == pytest.approx(alpha, rel=1e-8)
        z = peak_threshold(alpha, kind, df, BOX, on_z_scale=True)
        at = peak_p([z], kind, df, BOX, on_z_scale=True)[0]
        assert at == pytest.approx(alpha, rel=1e-8)
    (size,) = size_thresholds(0.05, 3.5, kind, df, BOX, on_z_scale=True)
    fwe, _ = cluster_p([size], 3.5, kind, df, BOX, on_z_scale=True)
    assert fwe[0] == pytest.approx(0.05, rel=1e-8)


def test_peaks_that_say_nothing_have_a_p_of_one() -> None:
    found = peak_p([-math.inf, -3.0, 0.0, 1.0, 9.0, 30.0, math.inf, math.nan], "z", None, BOX)
    assert found[:4].tolist() == [1.0] * 4
    assert 0 < found[4] < 1e-12
    assert found[6] == 0
    assert math.isnan(found[7])
    assert (np.diff(peak_p(np.linspace(0, 8, 400), "z", None, BOX)) <= 0).all()


def test_degrees_of_freedom_that_differ_are_averaged_over_places() -> None:
    df = np.array([10.0] * 300 + [30.0] * 100)
    both = peak_p([4.5], "t", df, BOX, on_z_scale=True)
    few, many = (peak_p([4.5], "t", one, BOX, on_z_scale=True) for one in (10.0, 30.0))
    expected = 0.75 * np.log1p(-few) + 0.25 * np.log1p(-many)
    assert np.log1p(-both) == pytest.approx(expected, rel=1e-10)
    # Many numbers are grouped, each by its smallest: never less strict, and hardly more.
    wide = np.linspace(10, 30, 5000)
    grouped = peak_p([4.5], "t", wide, BOX, on_z_scale=True)[0]
    every = -np.expm1(
        np.mean([np.log1p(-peak_p([4.5], "t", v, BOX, on_z_scale=True)) for v in wide[25::50]])
    )
    assert every < grouped < 1.01 * every
    with pytest.raises(ArgumentError, match="on_z_scale=True"):
        peak_p([4.5], "t", df, BOX)


def test_parts_add_up_and_keep_their_own_units() -> None:
    surface = PartSmoothness(
        "left", 2, (9.0,), (3.0,), (1.0, 2.0, 300.0, 0.0), 9000, "mm2", 9.0**-2
    )
    both = Smoothness((BOX.parts[0], surface), 20, 22)
    assert both.resels == pytest.approx(np.add(BOX.resels, surface.resels))
    with pytest.raises(AttributeError, match="volume, left"):
        _ = both.fwhm_mm
    assert (both.unit, both.n_places) == ("places", BOX.n_places + 9000)
    fwe, uncorrected = cluster_p([80, 500], 3.2, "z", None, both, parts=[0, 1])
    assert uncorrected[0] == cluster_p([80], 3.2, "z", None, BOX)[1][0]
    alone = cluster_p([500], 3.2, "z", None, Smoothness((surface,), 20, 22))
    assert uncorrected[1] == alone[1][0]
    assert fwe[1] > alone[0][0]
    assert fwe[0] > cluster_p([80], 3.2, "z", None, BOX)[0][0]
    sizes = size_thresholds(0.05, 3.2, "z", None, both)
    at, _ = cluster_p(sizes, 3.2, "z", None, both, parts=[0, 1])
    assert at == pytest.approx([0.05, 0.05], rel=1e-8)


def test_a_threshold_without_separate_clusters_is_refused() -> None:
    # The term of three dimensions is largest at sqrt(3), those of fewer dimensions below.
    with pytest.raises(ArgumentError, match=r"at least 1\.57"):
        cluster_p([10], 1.0, "z", None, BOX)
    with pytest.raises(ArgumentError, match="zero or more"):
        cluster_p([-1], 3.0, "z", None, BOX)


def test_facts_make_the_same_smoothness() -> None:
    part = PartSmoothness(
        "volume",
        2,
        (6.0, 7.0, math.nan),
        (3.0, 3.5, math.nan),
        (1.0, 9.0, 20.0, 0.0),
        50,
        "voxels",
        0.1,
    )
    for given in (BOX, Smoothness((part,), math.inf, 0)):
        found = Smoothness.of_facts(json.loads(json.dumps(given.facts())))
        assert repr(found) == repr(given)  # NaN is not equal to itself
    wrong: dict[str, Any]
    for wrong in (
        {"Parts": []},
        {"DegreesOfFreedom": -1},
        {"NumberOfImages": "many"},
        {"Parts": [{**part.facts(), "Resels": [1, 2]}]},
        {"Parts": [{**part.facts(), "FWHM": [0.0]}]},
        {"Parts": [{**part.facts(), "Dimensions": 7}]},
    ):
        with pytest.raises(ValueError, match="Smoothness"):
            Smoothness.of_facts({**BOX.facts(), **wrong})
