# SPDX-License-Identifier: BSD-3-Clause
"""Random field theory on a page: the same as of a map, with words, sources and smoothness."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from groupglm import SecondLevelModel, get_results_table, threshold_stats_img
from groupglm.design.hypotheses import Hypothesis
from groupglm.plotting.volume.volumes import Volume
from groupglm.report.findings import Finding, find
from groupglm.report.options import check_corrections
from groupglm.report.words import TIMES
from reference.citations import uncited

nib: Any = nibabel  # typed only in part

SHAPE = (18, 20, 16)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
N = 14


@pytest.fixture(scope="module")
def model() -> SecondLevelModel:
    """Return a fit of smooth noise, with an effect of the group in one corner."""
    rng = np.random.default_rng(8)
    group = np.arange(N) % 2.0
    images = []
    for own in group:
        values = gaussian_filter(rng.standard_normal(SHAPE), 2.4)
        values /= values.std()
        values[3:8, 3:8, 3:8] += 3.0 * own
        images.append(nib.Nifti1Image(values.astype(np.float32), AFFINE))
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
    design = pd.DataFrame({"group": group, "intercept": 1.0})
    return SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)


def _finding(model: SecondLevelModel, **options: Any) -> Finding:
    given = {
        "title": None, "bg_img": None, "threshold": None, "alpha": 0.05, "cluster_threshold": 0,
        "min_distance": 8.0, "plot_type": "slice", "display_mode": None, "cut_coords": None,
        "two_sided": True, "atlas": None, "cluster_forming_p": None,
    }  # fmt: skip
    (checked,) = check_corrections({**given, **options})
    tested = Hypothesis(np.array([1.0, 0.0]))
    return find("group", tested, model._group, checked, model.smoothness_)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize(
    "how",
    [
        {"height_control": "rft"},
        {"height_control": "cluster-rft"},
        {"height_control": "cluster-rft", "cluster_forming_p": 0.0002, "cluster_threshold": 5},
    ],
)
def test_a_page_finds_what_the_functions_find(
    model: SecondLevelModel, how: dict[str, Any], two_sided: bool
) -> None:
    finding = _finding(model, two_sided=two_sided, **how)
    z_map = model.compute_contrast("group")
    kept: Any
    kept, threshold = threshold_stats_img(
        z_map, model.mask_img_, alpha=0.05, two_sided=two_sided, smoothness=model.smoothness_, **how
    )
    assert finding.threshold == threshold
    assert finding.survived
    shown = Volume.of_row(finding.space, finding.survivors).data
    np.testing.assert_array_equal(shown, kept.get_fdata())
    every = get_results_table((model, "group"), threshold, two_sided=two_sided, correction="rft")
    names = ["X", "Y", "Z", "Peak Stat", "Peak p (FWE)", "Peak q (FDR)", "p (uncorrected)"]
    names += ["Cluster p (FWE)", "Cluster q (FDR)", "Cluster p (uncorrected)"]
    own = finding.table[names].replace("", np.nan).astype(float)
    both = own.merge(every[names[:3]].assign(row=every.index), on=["X", "Y", "Z"])
    assert len(both) == len(own) > 0  # no further rows
    wanted = every[names].loc[both["row"]].replace("", np.nan).astype(float)
    np.testing.assert_allclose(both[names], wanted, rtol=1e-12)
    if how["height_control"] == "cluster-rft":  # exactly the clusters of that familywise p
        p = every["Cluster p (FWE)"].replace("", np.nan).astype(float)
        assert int((p <= 0.05).sum()) == finding.n_clusters


def test_the_page_tells_smoothness_sizes_and_sources(model: SecondLevelModel) -> None:
    report = model.generate_report(
        "group", height_control=["rft", "cluster-rft"], alpha=0.05, bg_img=None
    )
    page, methods = re.sub(r"\s+", " ", str(report)), report.methods
    assert methods is not None
    smooth = model.smoothness_
    widths = f" {TIMES} ".join(f"{width:.3g}" for width in smooth.fwhm_mm)
    steps = f" {TIMES} ".join(f"{width:.3g}" for width in smooth.fwhm_voxels)
    assert f"<dt>smoothness</dt><dd>FWHM {widths} mm ({steps} voxels)</dd>" in page
    assert f"<dt>resels</dt><dd>{smooth.resels[3]:,.4g}; one has " in page
    assert f"<dt>search volume</dt><dd>{np.prod(SHAPE):,} voxels; resels of 0 to 3 dim" in page
    size = _finding(model, height_control="cluster-rft", two_sided=False).cluster_sizes["volume"]
    assert f"in clusters of at least {size:.4g} voxels" in page
    assert f"which clusters of at least {size:.4g} voxels pass" in methods.text
    assert f"full width at half maximum {widths} mm" in methods.text
    assert "by random field theory of peaks (Worsley and others, 1996)" in methods.text
    assert uncited(methods) == []
    assert "Set p</th>" in page
    known = str(model.generate_report("group", bg_img=None))  # known, and not used
    assert "<dt>smoothness</dt>" in known
    assert "random field" not in known


def test_rough_noise_is_said_to_be_rough(model: SecondLevelModel) -> None:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.standard_normal(SHAPE), AFFINE) for _ in range(8)]
    rough = SecondLevelModel(mask_img=model.mask_img_)
    rough.fit(images, design_matrix=pd.DataFrame({"intercept": np.ones(8)}))
    with pytest.warns(UserWarning, match="voxels wide"):
        page = str(rough.generate_report("intercept", height_control="rft", alpha=0.0, bg_img=None))
    assert "less than 3 voxels wide" in page
    assert "no threshold controls the error rate asked for" in page


def test_what_cannot_be_asked_says_why(model: SecondLevelModel, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="only height_control='cluster-rft' uses it"):
        _finding(model, height_control="rft", cluster_forming_p=0.01)
    with pytest.raises(ValueError, match="cluster_forming_p"):
        model.generate_report("group", height_control="cluster-rft", cluster_forming_p=0.4)
    with pytest.raises(ValueError, match="height_control"):
        model.generate_report("group", height_control="tfce")  # type: ignore[arg-type]
    table = pd.DataFrame(np.random.default_rng(1).normal(1, 1, (10, 4)), columns=list("abcd"))
    regions = SecondLevelModel().fit(table, design_matrix=pd.DataFrame({"mean": np.ones(10)}))
    for control in ("rft", "cluster-rft"):
        with pytest.raises(ValueError, match="have no neighbours"):
            regions.generate_report("mean", height_control=control)
    other = SecondLevelModel(mask_img=model.mask_img_)
    other.fit(
        [nib.Nifti1Image(np.random.default_rng(k).normal(size=SHAPE), AFFINE) for k in range(6)],
        design_matrix=pd.DataFrame({"mean": np.ones(6)}),
    )
    loaded = SecondLevelModel.load(other.save(tmp_path / "model.groupglm"))
    with pytest.raises(ValueError, match="which the saved model does not hold"):
        loaded.generate_report("mean", height_control="rft")
    saved = SecondLevelModel.load(model.save(tmp_path / "smooth.groupglm"))
    assert "<dt>smoothness</dt>" in str(
        saved.generate_report("group", height_control="rft", alpha=0.05, bg_img=None)
    )
