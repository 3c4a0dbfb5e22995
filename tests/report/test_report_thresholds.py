# SPDX-License-Identifier: BSD-3-Clause
"""A report has no threshold rule of its own: it finds the same as the functions in a map."""

from __future__ import annotations

import base64
import json
import re
import warnings
import zlib
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm import SecondLevelModel, get_clusters_table, threshold_stats_img
from groupglm.design.hypotheses import Hypothesis
from groupglm.plotting.volume.volumes import Volume
from groupglm.report.findings import Finding, find
from groupglm.report.options import ReportOptions
from groupglm.report.viewer_maps import Viewed
from groupglm.report.volume.viewer import finding_payload
from reference.lesions import AFFINE, NO_PATIENT, SHAPE, expected_infinities, lesion_maps

nib: Any = nibabel  # typed only in part


@pytest.fixture(scope="module")
def model() -> SecondLevelModel:
    """Return a fit of lesion maps: infinite z of either sign, and voxels without a statistic."""
    images, mask, design = lesion_maps()
    return SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)


def _finding(model: SecondLevelModel, **options: Any) -> Finding:
    defaults: dict[str, Any] = {
        "title": None, "bg_img": None, "threshold": 3.09, "alpha": 0.001, "cluster_threshold": 0,
        "height_control": "fpr", "min_distance": 8.0, "plot_type": "slice", "display_mode": None,
        "two_sided": True, "cut_coords": None,
    }  # fmt: skip
    checked = ReportOptions.check(**{**defaults, **options})
    return find("group", Hypothesis(np.array([1.0, 0.0])), model._group, checked)


def _values(image: Any) -> NDArray[np.float64]:
    return np.asarray(image.dataobj, dtype=np.float64)


def _survivors(finding: Finding) -> NDArray[np.float64]:
    return np.asarray(Volume.of_row(finding.space, finding.survivors).data, dtype=np.float64)


def test_the_map_has_what_the_tests_need(model: SecondLevelModel) -> None:
    z = _values(model.compute_contrast("group"))
    np.testing.assert_array_equal(np.isnan(z), NO_PATIENT)
    infinite = expected_infinities()
    np.testing.assert_array_equal(z[np.isinf(z)], infinite[np.isinf(infinite)])
    np.testing.assert_array_equal(np.isinf(z), np.isinf(infinite))


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("cluster_threshold", [0, 8])
@pytest.mark.parametrize(
    ("control", "alpha"), [("fpr", 0.001), ("fdr", 0.05), ("bonferroni", 0.05), (None, 0.001)]
)
def test_it_finds_what_the_functions_find(
    model: SecondLevelModel, control: Any, alpha: float, cluster_threshold: int, two_sided: bool
) -> None:
    shared: dict[str, Any] = {"cluster_threshold": cluster_threshold, "two_sided": two_sided}
    finding = _finding(model, height_control=control, alpha=alpha, **shared)
    z_map = model.compute_contrast("group")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*voxels inside the mask are NaN", UserWarning)
        survivors, threshold = threshold_stats_img(
            z_map, model.mask_img_, alpha=alpha, height_control=control,
            threshold=3.09 if control is None else None, **shared,
        )  # fmt: skip
        table = get_clusters_table(z_map, threshold, **shared)
    assert finding.threshold == threshold
    np.testing.assert_array_equal(
        _survivors(finding), np.nan_to_num(_values(survivors), posinf=np.inf, neginf=-np.inf)
    )
    assert sorted(map(str, finding.table["Cluster ID"])) == sorted(map(str, table["Cluster ID"]))
    for label, group in finding.table.groupby(finding.table["Cluster ID"].astype(str)):
        wanted = table[table["Cluster ID"].astype(str) == label]
        np.testing.assert_array_equal(group[table.columns].astype(str), wanted.astype(str))
    peaks = finding.table["Peak Stat"][
        [str(label).isdigit() for label in finding.table["Cluster ID"]]
    ]
    assert (np.diff(np.abs(peaks.to_numpy(float)[np.isfinite(peaks)])) <= 0).all()
    assert np.isinf(_survivors(finding)).sum() == (35 if two_sided else 27)


def test_the_number_of_tests_is_that_of_voxels_with_a_statistic(model: SecondLevelModel) -> None:
    finding = _finding(model, height_control="bonferroni", alpha=0.05)
    n_tests = int(np.prod(SHAPE)) - int(NO_PATIENT.sum())
    assert finding.threshold == pytest.approx(stats.norm.isf(0.025 / n_tests), rel=1e-13)


def test_few_voxels_with_a_statistic_are_not_drowned_by_those_without() -> None:
    # Two thirds of the voxels have no patient: as zeros they would raise the threshold.
    rng = np.random.default_rng(2)
    group = np.arange(16) % 2.0
    lost = np.zeros(SHAPE, bool)
    lost[4:] = True
    images = []
    for patient in group:
        values = rng.standard_normal(SHAPE).astype(np.float32)
        values[1:3, 3:6, 3:6] += 1.6 * patient
        if patient:
            values[lost] = np.nan
        images.append(nib.Nifti1Image(values, AFFINE))
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
    design = pd.DataFrame({"group": group, "intercept": 1.0})
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    finding = _finding(model, height_control="fdr", alpha=0.05)
    z = _values(model.compute_contrast("group"))
    p = np.sort(2 * stats.norm.sf(np.abs(z[~lost])))
    below = np.flatnonzero(p <= 0.05 * np.arange(1, p.size + 1) / p.size)
    assert int(np.count_nonzero(_survivors(finding))) == below[-1] + 1 > 0
    as_zeros = np.sort(2 * stats.norm.sf(np.abs(np.nan_to_num(z)).ravel()))
    fewer = np.flatnonzero(as_zeros <= 0.05 * np.arange(1, z.size + 1) / z.size)
    assert fewer.size < below.size  # or there is nothing to test here


def test_a_contrast_without_any_statistic_is_refused() -> None:
    images, mask, design = lesion_maps()
    left = np.arange(SHAPE[0])[:, np.newaxis, np.newaxis] < 5
    images = [  # no voxel has both groups
        nib.Nifti1Image(
            np.where(left == bool(patient), np.nan, _values(image)).astype(np.float32), AFFINE
        )
        for image, patient in zip(images, design["group"], strict=True)
    ]
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    with pytest.raises(ValueError, match="contrast group: no voxel has a statistic"):
        model.generate_report("group")


def test_a_small_region_whose_z_lies_between_0_and_1_has_a_report() -> None:
    rng = np.random.default_rng(5)
    box = (5, 5, 4)
    scores = stats.norm.cdf(rng.uniform(0.05, 0.95, box))
    mask = nib.Nifti1Image(np.ones(box, np.uint8), AFFINE)
    # Twelve values of mean and variance that give each voxel the z that it is to have.
    t = stats.t.isf(1 - scores, 11)
    noise = rng.standard_normal((12, *box))
    noise = (noise - noise.mean(0)) / noise.std(0, ddof=1)
    images = [nib.Nifti1Image((row + t / np.sqrt(12)).astype(np.float32), AFFINE) for row in noise]
    model = SecondLevelModel(mask_img=mask).fit(
        images, design_matrix=pd.DataFrame({"intercept": np.ones(12)})
    )
    z = _values(model.compute_contrast("intercept"))
    assert 0 < z.min() < z.max() < 1
    page = str(model.generate_report("intercept"))
    assert re.search(r"Nothing survived", page)


@pytest.mark.parametrize("plot_type", ["slice", "glass"])
@pytest.mark.parametrize("control", ["fpr", "fdr", "bonferroni", None])
def test_the_page_of_lesion_maps_is_made(
    model: SecondLevelModel, control: Any, plot_type: Any
) -> None:
    page = str(model.generate_report("group", height_control=control, plot_type=plot_type))
    assert "those of 35 more are infinite" in page


def test_an_infinite_threshold_is_one_that_no_finite_z_reaches(model: SecondLevelModel) -> None:
    with pytest.warns(UserWarning, match="threshold is infinite"):
        finding = _finding(model, height_control=None, threshold=np.inf)
    np.testing.assert_array_equal(_survivors(finding) != 0, np.isinf(expected_infinities()))
    with pytest.warns(UserWarning, match="threshold is infinite"):
        model.generate_report("group", height_control=None, threshold=np.inf)


def test_a_long_table_is_cut_and_says_so(model: SecondLevelModel) -> None:
    page = str(model.generate_report("group", height_control=None, threshold=1.0, two_sided=True))
    finding = _finding(model, height_control=None, threshold=1.0)
    assert finding.n_clusters > 100
    assert f"100 of {finding.n_clusters} clusters, the strongest first" in page
    body = re.search(r'<div class="table" id="clusters-1">.*?</table>', page, re.DOTALL)
    assert body is not None
    labels = re.findall(r"<tr><td>(\d+)</td>", body[0])
    assert len(labels) == 100
    assert (
        labels
        == [str(label) for label in finding.table["Cluster ID"] if str(label).isdigit()][:100]
    )


def test_the_viewer_tells_infinite_missing_and_finite_apart(model: SecondLevelModel) -> None:
    finding = _finding(model)
    mask = Volume(np.ones(SHAPE, np.uint8), AFFINE)
    viewed = Viewed.of_finding(finding, "group", [finding.threshold])
    payload = finding_payload(finding, viewed, mask)
    text = json.dumps(payload, allow_nan=False)  # a browser reads no other numbers
    stored = np.frombuffer(zlib.decompress(base64.b64decode(json.loads(text)["data"])), "<i2")
    stored = stored.reshape(payload["shape"], order="F")
    z = _values(model.compute_contrast("group"))
    infinite = np.isinf(z)
    np.testing.assert_array_equal(stored[infinite], np.sign(z[infinite]) * payload["infinite"])
    np.testing.assert_array_equal(stored == payload["outside"], np.isnan(z))
    finite = np.isfinite(z)
    # To half a step, a whole one beside the threshold, which rounding does not cross; and float32.
    np.testing.assert_allclose(
        stored[finite] * payload["step"], z[finite], rtol=1e-6, atol=payload["step"]
    )
    assert payload["largest"] == np.abs(z[finite]).max()


def test_an_infinite_statistic_is_the_highest(model: SecondLevelModel) -> None:
    finding = _finding(model)
    assert finding.top.z == np.inf
    positive, negative = finding.extremes
    assert positive is not None
    assert negative is not None
    assert (positive.value, negative.value) == (np.inf, -np.inf)
    for extreme, where in zip(finding.extremes, (1, -1), strict=True):
        assert extreme is not None
        voxel = np.rint(np.linalg.inv(AFFINE) @ [*extreme.position, 1])[:3].astype(int)
        assert expected_infinities()[tuple(voxel)] == where * np.inf


def test_voxels_of_the_mask_whose_z_is_zero_are_tests() -> None:
    # A map alone would not show that its zeros are tests: what lies outside a brain is zero too.
    rng = np.random.default_rng(4)
    group = np.arange(12) % 2.0
    images = []
    for _ in group:
        values = np.full(SHAPE, 2.0)
        values[4:7, 4:7, 4:7] = rng.standard_normal((3, 3, 3))
        images.append(nib.Nifti1Image(values, AFFINE))
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
    design = pd.DataFrame({"group": group, "intercept": 1.0})
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    assert np.count_nonzero(_values(model.compute_contrast("group"))) == 27
    finding = _finding(model, height_control="bonferroni", alpha=0.05)
    wanted = stats.norm.isf(0.025 / int(np.prod(SHAPE)))
    assert finding.threshold == pytest.approx(wanted, rel=1e-13)


def test_the_methods_say_which_tests_have_which_tails(model: SecondLevelModel) -> None:
    def said(*, two_sided: bool, names: list[str]) -> str:
        contrasts = {name: {"t": "group", "F": np.eye(2)}[name] for name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of infinite values, which others test
            page = model.generate_report(contrasts, two_sided=two_sided, bg_img=None)
        return re.sub(r"\s+", " ", str(page))

    one_tail = "F tests have one tail, for effects of any direction."
    assert f"; t tests were two-sided, and {one_tail}" in said(two_sided=True, names=["t", "F"])
    assert f"; t tests were one-sided, and {one_tail}" in said(two_sided=False, names=["t", "F"])
    assert f"; {one_tail}" in said(two_sided=True, names=["F"])
    assert "; tests were two-sided." in said(two_sided=True, names=["t"])
