# SPDX-License-Identifier: BSD-3-Clause
"""p-values of peaks and clusters of maps, beside slow counts and published formulas."""

from __future__ import annotations

import math
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, special
from scipy.stats import false_discovery_control

from groupglm import get_clusters_table, get_results_table
from groupglm.errors import ArgumentError
from groupglm.inference.corrected_p.fdr import q_at, q_values
from groupglm.inference.random_fields.smoothness import Smoothness

SHAPE = (16, 17, 15)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
CORNERS = np.ones((3, 3, 3))


def image(values: Any) -> Any:
    made: Any = nib.Nifti1Image
    return made(values, AFFINE)


def smooth_map(seed: int = 0, fwhm: float = 3.0) -> Any:
    noise = np.random.default_rng(seed).standard_normal(SHAPE)
    z = ndimage.gaussian_filter(noise, fwhm / math.sqrt(8 * math.log(2)))
    return 1.4 * z / z.std()


MASK = image(np.ones(SHAPE, np.uint8))
SMOOTH = Smoothness.of_box(SHAPE, fwhm=12.0, voxel_size=3.0)


def gaussian_densities(z: Any) -> Any:
    """The Euler characteristic's densities of a Gaussian field, of Worsley et al. (1996)."""
    tail, four = np.exp(-(z**2) / 2), 4 * math.log(2)
    return np.stack(
        [
            special.ndtr(-z),
            math.sqrt(four) / (2 * math.pi) * tail,
            four / (2 * math.pi) ** 1.5 * z * tail,
            four**1.5 / (2 * math.pi) ** 2 * (z**2 - 1) * tail,
        ]
    )


def expected(z: Any) -> Any:
    """The expected number of clusters above z."""
    return np.asarray(SMOOTH.resels) @ gaussian_densities(np.asarray(z, float))


def step_up(p: Any) -> Any:
    """Adjusted p of Benjamini and Hochberg, as the procedure says, level by level."""
    found = []
    for own in p:
        levels = [one * len(p) / sum(p <= one) for one in p if one >= own]
        found.append(min(1.0, *levels))
    return np.array(found)


def clusters_of(z: Any, threshold: float) -> tuple[Any, list[float], list[float]]:
    """Labels by faces, sizes, and the heights of the peaks of all clusters, by slow loops."""
    labels, count = ndimage.label(z > threshold)
    sizes = [float((labels == number).sum()) for number in range(1, count + 1)]
    peaks = []
    for where in np.argwhere(labels):
        around = tuple(slice(max(0, at - 1), at + 2) for at in where)
        own = labels[tuple(where)]
        if z[tuple(where)] >= z[around][labels[around] == own].max():
            peaks.append(float(z[tuple(where)]))
    return labels, sizes, peaks


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_q_values_are_those_of_the_procedure_and_of_scipy(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(size=40) ** 2
    p[5:9] = p[4]  # ties
    np.testing.assert_allclose(q_values(p), step_up(p), rtol=1e-14)
    np.testing.assert_allclose(q_values(p), false_discovery_control(p), rtol=1e-14)
    np.testing.assert_array_equal(q_at(p[[30, 7]], p), q_values(p)[[30, 7]])


def test_q_values_of_nothing_and_of_nan() -> None:
    assert q_values(np.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(q_at(np.array([np.nan, 0.5]), np.array([0.5])), [np.nan, 0.5])


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("correction", ["fpr", "fdr", "bonferroni", "rft"])
def test_columns_of_clusters_are_those_of_get_clusters_table(
    correction: Any, two_sided: bool
) -> None:
    z = smooth_map()
    plain = get_clusters_table(image(z), 2.3, 5, two_sided, min_distance=6.0)
    found = get_results_table(
        image(z),
        2.3,
        5,
        two_sided,
        min_distance=6.0,
        correction=correction,
        mask_img=MASK,
        smoothness=SMOOTH if correction == "rft" else None,
    )
    pd.testing.assert_frame_equal(found[list(plain.columns)], plain)


def test_its_columns_are_those_of_nilearn() -> None:
    reporting = pytest.importorskip("nilearn.reporting")
    z = smooth_map(3)
    theirs = reporting.get_clusters_table(image(z), 2.3, 5, min_distance=6.0)
    found = get_results_table(image(z), 2.3, 5, min_distance=6.0, correction="fpr", mask_img=MASK)
    assert found["Cluster ID"].astype(str).tolist() == theirs["Cluster ID"].astype(str).tolist()
    for name in ("X", "Y", "Z", "Peak Stat"):
        # Positions are products of small whole numbers, and values are copied.
        np.testing.assert_allclose(found[name], theirs[name].astype(float), rtol=1e-12)
    sizes = [size for size in theirs["Cluster Size (mm3)"] if size != ""]
    assert [size for size in found["Cluster Size (mm3)"] if size != ""] == sizes


@pytest.mark.parametrize("tail", ["both", "positive", "negative"])
def test_p_of_places_are_those_of_all_tests(tail: str) -> None:
    z = smooth_map(1)
    inside = np.zeros(SHAPE, np.uint8)
    inside[2:14, 2:15, 2:13] = 1
    threshold = -2.0 if tail == "negative" else 2.0
    tests = z[inside > 0]
    p = {
        "both": 2 * special.ndtr(-np.abs(tests)),
        "positive": special.ndtr(-tests),
        "negative": special.ndtr(tests),
    }[tail]
    q = dict(zip(tests.tolist(), false_discovery_control(p).tolist(), strict=True))
    own = dict(zip(tests.tolist(), p.tolist(), strict=True))
    others: Any = {"two_sided": tail == "both", "mask_img": image(inside)}
    fdr = get_results_table(image(z), threshold, correction="fdr", **others)
    bonferroni = get_results_table(image(z), threshold, correction="bonferroni", **others)
    assert len(fdr) > 2
    peaks = fdr["Peak Stat"].tolist()
    np.testing.assert_allclose(fdr["p (uncorrected)"], [own[z] for z in peaks], rtol=1e-12)
    np.testing.assert_allclose(fdr["q (FDR)"], [q[z] for z in peaks], rtol=1e-12)
    wanted = np.minimum(1, len(tests) * np.array([own[z] for z in peaks]))
    np.testing.assert_allclose(bonferroni["Peak p (FWE)"], wanted, rtol=1e-12)


@pytest.mark.parametrize("n_tails", [1, 2])
def test_p_of_random_fields_are_those_of_published_formulas(n_tails: int) -> None:
    z, u = smooth_map(2), 2.2
    found = get_results_table(
        image(z),
        u,
        two_sided=n_tails == 2,
        min_distance=25.0,
        correction="rft",
        mask_img=MASK,
        smoothness=SMOOTH,
    )
    signs = (1, -1)[:n_tails]
    every = [clusters_of(sign * z, u) for sign in signs]
    sizes = np.array([size for _, own, _ in every for size in own])
    maxima = np.array([peak for _, _, own in every for peak in own])
    heights = np.abs(found["Peak Stat"].to_numpy())
    assert len(maxima) > len(heights) > 4, "some peaks are too near to others to be listed"
    fwe = np.minimum(1, n_tails * -np.expm1(-expected(heights)))
    np.testing.assert_allclose(found["Peak p (FWE)"], fwe, rtol=1e-9)
    q = dict(zip(maxima.tolist(), step_up(expected(maxima) / expected(u)).tolist(), strict=True))
    wanted = [q[height] for height in heights.tolist()]
    np.testing.assert_allclose(found["Peak q (FDR)"], wanted, rtol=1e-9)

    # P(size >= k resels) = exp(-b k^(2/3)), with the mean size of noise (Friston et al. 1994).
    densities = gaussian_densities(np.array(u))
    b = (special.gamma(2.5) / (densities[0] / densities[3])) ** (2 / 3)
    own = np.exp(-b * (sizes * 3**3 / 12**3) ** (2 / 3))
    by_size = dict(zip(sizes.tolist(), own.tolist(), strict=True))
    is_main = found["Cluster Size (voxels)"] != ""
    listed = found.loc[is_main, "Cluster Size (voxels)"].to_numpy(float)
    assert sorted(listed) == sorted(sizes)
    clusters = found.loc[is_main]
    p = np.array([by_size[size] for size in listed.tolist()])
    np.testing.assert_allclose(clusters["Cluster p (uncorrected)"].astype(float), p, rtol=1e-9)
    wanted_fwe = np.minimum(1, n_tails * -np.expm1(-expected(u) * p))
    np.testing.assert_allclose(clusters["Cluster p (FWE)"].astype(float), wanted_fwe, rtol=1e-9)
    of_size = dict(zip(sizes.tolist(), step_up(own).tolist(), strict=True))
    wanted_q = [of_size[size] for size in listed.tolist()]
    np.testing.assert_allclose(clusters["Cluster q (FDR)"].astype(float), wanted_q, rtol=1e-9)
    rate, n = n_tails * float(expected(u)), len(sizes)
    poisson = sum(math.exp(-rate) * rate**k / math.factorial(k) for k in range(n, n + 60))
    np.testing.assert_allclose(clusters["Set p"].astype(float), poisson, rtol=1e-7)
    assert (found.loc[~is_main, ["Set p", "Cluster p (FWE)", "Cluster q (FDR)"]] == "").all(
        axis=None
    )


def test_small_clusters_count_among_the_discoveries_but_not_in_the_set() -> None:
    z, u = smooth_map(4), 2.2
    given: Any = {"correction": "rft", "mask_img": MASK, "smoothness": SMOOTH}
    whole = get_results_table(image(z), u, **given)
    large = get_results_table(image(z), u, 8, **given)
    main = large[large["Cluster Size (voxels)"] != ""]
    sizes = whole.loc[whole["Cluster Size (voxels)"] != "", "Cluster Size (voxels)"].astype(float)
    n_large = int((sizes >= 8).sum())
    assert 0 < n_large == len(main) < len(sizes)
    by_peak = whole.set_index("Peak Stat")
    for name in ("Cluster q (FDR)", "Peak q (FDR)", "Cluster p (FWE)"):
        assert main[name].tolist() == by_peak.loc[main["Peak Stat"], name].tolist()
    densities = gaussian_densities(np.array(u))
    b = (special.gamma(2.5) / (densities[0] / densities[3])) ** (2 / 3)
    rate = float(expected(u)) * math.exp(-b * (8 * 3**3 / 12**3) ** (2 / 3))
    wanted = special.pdtrc(n_large - 1, rate)
    np.testing.assert_allclose(main["Set p"].astype(float), wanted, rtol=1e-9)


def test_a_map_of_t_is_converted_and_its_own_values_are_listed() -> None:
    z = smooth_map(5)
    values = special.stdtrit(20, special.ndtr(z))
    t = image(values)
    t.header.set_intent("t test", (20,))
    with pytest.warns(UserWarning, match="converted to z-scores"):
        found = get_results_table(t, 2.3, correction="rft", mask_img=MASK, smoothness=SMOOTH)
    assert list(found.columns[:6]) == ["Cluster ID", "X", "Y", "Z", "Peak Stat", "t"]
    by_value = dict(zip(values.ravel().tolist(), z.ravel().tolist(), strict=True))
    own = [by_value[value] for value in found["t"].tolist()]
    # z of t of z: 1e-10 of each conversion.
    np.testing.assert_allclose(found["Peak Stat"], own, rtol=1e-8)
    # The field is of t, whose expected number of clusters is that of Worsley et al. (1996).
    x, v, four = found["t"].to_numpy(), 20, 4 * math.log(2)
    tail = (1 + x**2 / v) ** (-(v - 1) / 2)
    gammas = math.gamma((v + 1) / 2) / (math.sqrt(v / 2) * math.gamma(v / 2))
    densities = np.stack(
        [
            special.stdtr(v, -x),
            math.sqrt(four) / (2 * math.pi) * tail,
            four / (2 * math.pi) ** 1.5 * gammas * x * tail,
            four**1.5 / (2 * math.pi) ** 2 * ((v - 1) / v * x**2 - 1) * tail,
        ]
    )
    wanted = -np.expm1(-np.asarray(SMOOTH.resels) @ densities)
    np.testing.assert_allclose(found["Peak p (FWE)"], wanted, rtol=1e-6)


def test_columns_that_a_correction_does_not_define_are_absent_and_refused() -> None:
    z = image(smooth_map(6))
    found = get_results_table(z, 2.3, correction="bonferroni", mask_img=MASK)
    assert not [name for name in found.columns if "luster p" in name or "q (" in name]
    some = get_results_table(
        z, 2.3, correction="bonferroni", mask_img=MASK, columns=["Peak Stat", "Peak p (FWE)"]
    )
    assert list(some.columns) == ["Peak Stat", "Peak p (FWE)"]
    for name, remedy in {
        "Cluster p (FWE)": "correction='rft' has it, which needs the smoothness",
        "Peak q (FDR)": "correction='rft' has it",
        "q (FDR)": "correction='fdr' has it",
        "Peak p (FWE, TFCE)": "tfce=True",
        "Effect": "a fitted model",
        "Region": "give an atlas",
    }.items():
        with pytest.raises(ArgumentError, match="there is no column") as caught:
            get_results_table(z, 2.3, correction="bonferroni", mask_img=MASK, columns=[name])
        assert remedy in str(caught.value)
    with pytest.raises(ArgumentError, match="columns has 'height', which is no column"):
        get_results_table(z, 2.3, correction="fpr", mask_img=MASK, columns=["height"])


def test_a_map_of_which_nothing_survives_has_an_empty_table_of_the_same_columns() -> None:
    z = image(smooth_map(7))
    for correction in ("fdr", "rft"):
        given: Any = {"mask_img": MASK, "correction": correction}
        given |= {"smoothness": SMOOTH} if correction == "rft" else {}
        some, none = get_results_table(z, 2.3, **given), get_results_table(z, math.inf, **given)
        assert len(none) == 0 < len(some)
        assert list(none.columns) == list(some.columns)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"correction": "holm"}, "correction is 'holm'"),
        ({"correction": "permutation"}, "correction='permutation' needs permutations"),
        ({"correction": "fdr", "permutations": MASK}, "does not use permutations"),
        ({"correction": "fdr", "smoothness": SMOOTH}, "does not use smoothness"),
        ({"correction": "rft"}, "smoothness of the noise, which the map's sidecar does not tell"),
        ({"correction": "fdr", "stat_threshold": None}, "stat_threshold is missing"),
        ({"correction": "fdr", "first_level_contrast": "a"}, "first_level_contrast is given"),
        ({"correction": "fdr", "columns": "Peak Stat"}, "columns is a str"),
        ({"correction": "fdr", "output": "table.csv"}, "output is 'table.csv'"),
        ({"correction": "fdr", "two_sided": True, "stat_threshold": -2.0}, "negative"),
        ({"correction": "fdr", "confidence": 2.0}, "confidence is 2"),
        ({"correction": "rft", "smoothness": 8.0}, "smoothness is a float"),
    ],
)
def test_what_lacks_or_contradicts_is_refused_by_name(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        get_results_table(image(smooth_map()), **{"stat_threshold": 2.3, "mask_img": MASK, **given})


def test_a_threshold_below_that_of_separate_clusters_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"stat_threshold is 0\.5; .*form clusters at p"):
        get_results_table(
            image(smooth_map()), 0.5, correction="rft", mask_img=MASK, smoothness=SMOOTH
        )
