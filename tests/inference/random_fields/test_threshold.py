# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds by random field theory, of maps in memory and in files."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import groupglm
from groupglm.cli import main
from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.smoothness import Smoothness

SHAPE = (20, 24, 18)
Nifti1Image: Any = nib.Nifti1Image
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
MASK = Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)
# Wide noise, so that Bonferroni's correction is no better.
SMOOTH = Smoothness.of_box(SHAPE, fwhm=21.0, voxel_size=3.0, df=15.0, n_images=16)


def image(values: Any, descrip: str = "") -> Any:
    made = Nifti1Image(values, AFFINE)
    made.header["descrip"] = descrip
    return made


def z_values() -> Any:
    z = np.random.default_rng(0).standard_normal(SHAPE)
    z[10, 10, 8:11] = 7.0
    return z


def by_hand(alpha: float, df: float) -> float:
    """Worsley et al. (1996): the t of a familywise error, as the z of the same tail."""
    a, resels = 4 * math.log(2), SMOOTH.resels

    def expected(t: float) -> float:
        bell = (1 + t**2 / df) ** (-(df - 1) / 2)
        ratio = math.gamma((df + 1) / 2) / (math.gamma(df / 2) * math.sqrt(df / 2))
        densities = (
            stats.t.sf(t, df),
            a**0.5 / (2 * math.pi) * bell,
            a / (2 * math.pi) ** 1.5 * ratio * t * bell,
            a**1.5 / (2 * math.pi) ** 2 * bell * ((df - 1) / df * t**2 - 1),
        )
        return float(np.dot(resels, densities))

    t = optimize.brentq(lambda t: 1 - math.exp(-expected(t)) - alpha, 2.5, 60)
    return float(-stats.norm.ppf(stats.t.sf(t, df)))


@pytest.mark.parametrize("two_sided", [True, False])
def test_the_threshold_is_that_of_the_t_field(two_sided: bool) -> None:
    kept, z = groupglm.threshold_stats_img(
        image(z_values()),
        MASK,
        alpha=0.05,
        height_control="rft",
        two_sided=two_sided,
        smoothness=SMOOTH,
    )
    assert z == pytest.approx(by_hand(0.025 if two_sided else 0.05, 15.0), abs=1e-6)
    assert np.count_nonzero(kept.get_fdata()) == 3  # type: ignore[union-attr]


def test_a_map_of_t_is_that_of_its_own_degrees_of_freedom() -> None:
    t = image(z_values(), "SPM{T_[15.0]} - contrast 1: age")
    with pytest.warns(UserWarning, match="converted to z-scores"):
        _, z = groupglm.threshold_stats_img(
            t, MASK, alpha=0.05, height_control="rft", smoothness=SMOOTH
        )
    assert z == pytest.approx(by_hand(0.025, 15.0), abs=1e-6)


def test_bonferroni_is_named_where_it_has_more_power() -> None:
    rough = Smoothness.of_box(SHAPE, fwhm=6.0, voxel_size=3.0, df=15.0)
    with pytest.warns(UserWarning, match="height_control='bonferroni' has more power"):
        _, z = groupglm.threshold_stats_img(
            image(z_values()), MASK, alpha=0.05, height_control="rft", smoothness=rough
        )
    _, bonferroni = groupglm.threshold_stats_img(
        image(z_values()), MASK, alpha=0.05, height_control="bonferroni"
    )
    assert z > bonferroni


def test_what_is_lacking_or_useless_is_told() -> None:
    given: Any = {"alpha": 0.05, "height_control": "rft"}
    with pytest.raises(ArgumentError, match=r"give smoothness=model\.smoothness_"):
        groupglm.threshold_stats_img(image(z_values()), MASK, **given)
    with pytest.raises(TypeError, match="smoothness is a float"):
        groupglm.threshold_stats_img(image(z_values()), MASK, **{**given, "smoothness": 8.0})
    of_f = image(z_values(), "F z_score of contrast age")
    with pytest.raises(ArgumentError, match="degrees of freedom of this F are not known"):
        groupglm.threshold_stats_img(of_f, MASK, **given, two_sided=False, smoothness=SMOOTH)
    with pytest.warns(UserWarning, match="only height_control='rft' uses it"):
        groupglm.threshold_stats_img(image(z_values()), MASK, smoothness=SMOOTH)
    half = np.ones(SHAPE, np.uint8)
    half[:, 14:] = 0
    with pytest.warns(UserWarning, match="are tested, but the smoothness is of 8640"):
        groupglm.threshold_stats_img(
            image(z_values()), Nifti1Image(half, AFFINE), **given, smoothness=SMOOTH
        )


def test_fit_and_threshold_from_the_shell(tmp_path: Path) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    for subject in range(12):
        noise: Any = gaussian_filter(rng.standard_normal(SHAPE), 2.2)
        noise = 10 * noise.astype(np.float32)
        noise[8:13, 8:13, 6:11] += 4
        nib.save(Nifti1Image(noise, AFFINE), tmp_path / f"sub-{subject:02d}_map.nii.gz")
    nib.save(MASK, tmp_path / "mask.nii.gz")
    table = pd.DataFrame({"participant_id": [f"sub-{k:02d}" for k in range(12)]})
    table.to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    out = tmp_path / "out"
    maps = f"{tmp_path}/sub-*_map.nii.gz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(
            [
                *(
                    "fit",
                    maps,
                    "--participants",
                    f"{tmp_path}/participants.tsv",
                    "--formula",
                    "~ 1",
                ),
                *("--mask", f"{tmp_path}/mask.nii.gz", "--contrast", "Intercept"),
                *("--correct", "rft:0.05", "--output", str(out)),
            ],
            standalone_mode=False,
        )
    found = {path.name: json.loads(path.read_text()) for path in out.glob("*.json")}
    of_z = next(f for name, f in found.items() if name.endswith("stat-z_statmap.json"))
    corrected = next(f for name, f in found.items() if "desc-rft0p05_statmap" in name)
    smooth = Smoothness.of_facts(of_z["Smoothness"])
    assert 4.5 < np.mean(smooth.fwhm_voxels) < 6.0
    assert corrected["Correction"]["HeightControl"] == "rft"
    z_map = next(out.glob("*stat-z_statmap.nii.gz"))
    kept, z = groupglm.threshold_stats_img(
        str(z_map), f"{tmp_path}/mask.nii.gz", alpha=0.05, height_control="rft"
    )
    assert z == pytest.approx(corrected["Threshold"], rel=1e-9)
    assert kept is not None
