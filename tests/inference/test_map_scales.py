# SPDX-License-Identifier: BSD-3-Clause
"""Sidecar, header and name tell the kind of a map; t and F are converted, others refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from scipy import stats

import groupglm
from groupglm import (
    SecondLevelModel,
    cluster_level_inference,
    get_clusters_table,
    smooth_img,
    true_discovery_bounds,
)
from groupglm.cli import main
from groupglm.errors import ImageError
from groupglm.inference.map_scale import has_one_tail
from groupglm.spaces.volume import Statistic
from groupglm.spaces.volume.intent import descrip_of, statistic_of_header

pytestmark = pytest.mark.quick

nib: Any = nibabel  # typed only in part
threshold_stats_img: Any = groupglm.threshold_stats_img  # of an image, which it then returns
non_parametric_inference: Any = groupglm.non_parametric_inference

SHAPE = (9, 10, 11)
TTEST, FTEST, ZSCORE, PVAL, LOG10PVAL, ESTIMATE = 3, 4, 5, 22, 24, 1001  # nifti1.h


def image_of(values: NDArray[Any], code: int = 0, parameters: tuple[float, ...] = ()) -> Any:
    image = nib.Nifti1Image(values, np.diag([3.0, 3.0, 3.0, 1.0]))
    image.header.set_intent(code, parameters, allow_unknown=True)
    return image


def mask() -> Any:
    return image_of(np.ones(SHAPE, np.uint8))


def t_values(df: float) -> NDArray[np.float64]:
    t = stats.t(df).rvs(SHAPE, random_state=0)
    t[2:5, 2:5, 2:5] += 12
    t[6, 6, 6], t[7, 7, 7] = 90.0, -1e4  # p of 1e-40 and less
    return np.asarray(t)


def exact_z_of_t(t: float, df: float) -> float:
    """Solve P(Z > z) = P(T > t) with 50 digits: an incomplete beta function, and erfc."""
    with mpmath.workdps(50):
        x = mpmath.mpf(df) / (df + mpmath.mpf(t) ** 2)
        log_p = mpmath.log(mpmath.betainc(df / 2, 0.5, 0, x, regularized=True) / 2)
        start = mpmath.sqrt(2 * abs(log_p))
        z = mpmath.findroot(
            lambda u: mpmath.log(mpmath.erfc(u / mpmath.sqrt(2)) / 2) - log_p, start
        )
        return float(mpmath.sign(t) * z)


def exact_z_of_f(f: float, k: float, df: float) -> float:
    with mpmath.workdps(50):
        x = mpmath.mpf(df) / (df + k * mpmath.mpf(f))
        log_p = mpmath.log(mpmath.betainc(df / 2, k / 2, 0, x, regularized=True))
        start = mpmath.sqrt(2 * abs(log_p))
        z = mpmath.findroot(
            lambda u: mpmath.log(mpmath.erfc(u / mpmath.sqrt(2)) / 2) - log_p, start
        )
        return float(z)


@pytest.mark.parametrize("df", [3.0, 8.0, 27.5])
def test_t_is_converted_by_its_exact_tails(df: float) -> None:
    t = t_values(df)
    with pytest.warns(UserWarning, match=f"map of t statistics with {df:g} degrees of freedom"):
        kept, threshold = threshold_stats_img(image_of(t, TTEST, (df,)), mask(), alpha=0.001)
    found = kept.get_fdata()
    # One-sided 0.0005 in either tail; t of that by scipy's own quantile.
    np.testing.assert_array_equal(found != 0, np.abs(t) >= stats.t.isf(0.0005, df))
    assert threshold == pytest.approx(stats.norm.isf(0.0005), rel=1e-12)
    for flat in (np.argmax(t), np.argmin(t), np.argsort(t, axis=None)[-5]):
        assert found.flat[flat] == pytest.approx(exact_z_of_t(float(t.flat[flat]), df), rel=1e-12)
    assert kept.header["intent_code"] == ZSCORE


def test_f_is_converted_and_has_one_tail() -> None:
    k, df = 3.0, 14.0
    f = np.asarray(stats.f(k, df).rvs(SHAPE, random_state=1))
    f[2, 2, 2], f[3, 3, 3] = 1e-6, 400.0
    with pytest.warns(UserWarning, match="map of F|one tail") as caught:
        kept, threshold = threshold_stats_img(image_of(f, FTEST, (k, df)), mask(), alpha=0.01)
    assert "F statistics with 3 and 14 degrees of freedom" in str(caught[0].message)
    assert "one tail" in str(caught[1].message)
    found = kept.get_fdata()
    np.testing.assert_array_equal(found != 0, f >= stats.f.isf(0.01, k, df))
    assert threshold == pytest.approx(stats.norm.isf(0.01), rel=1e-12)
    assert found[3, 3, 3] == pytest.approx(exact_z_of_f(400.0, k, df), rel=1e-12)


@pytest.mark.filterwarnings("ignore:.*converted to z-scores")
def test_infinite_and_missing_statistics_stay_what_they_are() -> None:
    t = t_values(8.0)
    t[0, 0, 0], t[1, 1, 1], t[2, 2, 2] = np.inf, -np.inf, np.nan
    with pytest.warns(UserWarning, match="1 voxel inside the mask is NaN"):
        kept, _ = threshold_stats_img(image_of(t, TTEST, (8.0,)), mask())
    found = kept.get_fdata()
    assert found[0, 0, 0] == np.inf
    assert found[1, 1, 1] == -np.inf
    assert np.isnan(found[2, 2, 2])


@pytest.mark.filterwarnings("ignore:.*converted to z-scores")
def test_what_needs_z_converts_alike() -> None:
    t = image_of(t_values(8.0), TTEST, (8.0,))
    z = image_of(np.vectorize(exact_z_of_t)(t.get_fdata(), 8.0), ZSCORE)
    for function in (
        lambda stat: cluster_level_inference(stat, mask(), threshold=2.5).get_fdata(),
        lambda stat: true_discovery_bounds(stat, mask(), mask()).to_numpy(),
        lambda stat: threshold_stats_img(stat, mask(), 0.05, height_control="fdr")[1],
    ):
        np.testing.assert_allclose(function(t), function(z), rtol=1e-12)


REFUSED: dict[str, tuple[int, tuple[float, ...], str]] = {
    "p-values": (PVAL, (), "map of z-scores"),
    "-log10 of p-values": (LOG10PVAL, (), "threshold=1.301"),
    "ln of p-values": (23, (), "map of z-scores"),
    "estimates": (ESTIMATE, (), "map of z-scores"),
    "correlations": (2, (12,), "map of z-scores"),
    "chi-squared statistics": (6, (3,), "map of z-scores"),
    "labels": (1002, (), "map of z-scores"),
    "t statistics": (TTEST, (), "image.header.set_intent('t test', (df,))"),
    "F statistics": (FTEST, (), "image.header.set_intent('f test', (df_numerator, df_residual))"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_z_is_refused_by_name(what: str) -> None:
    code, parameters, remedy = REFUSED[what]
    stat = image_of(3 + np.random.default_rng(0).normal(size=SHAPE), code, parameters)
    calls: list[Callable[[], object]] = [
        lambda: threshold_stats_img(stat, mask()),
        lambda: cluster_level_inference(stat, mask()),
        lambda: true_discovery_bounds(stat, mask(), mask()),
    ]
    for call in calls:
        with pytest.raises(
            ValueError, match=re.escape(f"a map of {what} (its header says so)")
        ) as e:
            call()
        assert remedy in str(e.value)


def test_a_threshold_on_the_maps_own_scale_converts_nothing() -> None:
    t = t_values(8.0)
    kept, used = threshold_stats_img(
        image_of(t, TTEST, (8.0,)), mask(), threshold=5.0, height_control=None
    )
    assert used == 5.0
    np.testing.assert_array_equal(kept.get_fdata(), np.where(np.abs(t) >= 5, t, 0))
    assert kept.header["intent_code"] == TTEST
    assert kept.header["intent_p1"] == 8
    logp = image_of(np.abs(t), LOG10PVAL)
    assert threshold_stats_img(logp, mask(), threshold=1.301, height_control=None)[1] == 1.301
    p = image_of(stats.norm.sf(t), PVAL)
    for call in (
        lambda: threshold_stats_img(p, mask(), threshold=0.05, height_control=None),
        lambda: get_clusters_table(p, 0.05),
    ):
        with pytest.raises(ValueError, match="what is not significant"):
            call()


def test_a_map_of_which_nothing_is_known_is_taken_for_z() -> None:
    z = image_of(t_values(8.0))
    kept, _ = threshold_stats_img(z, mask())
    np.testing.assert_array_equal(kept.get_fdata() != 0, np.abs(z.get_fdata()) >= 3.2905267314919)


@pytest.fixture(scope="module")
def fitted() -> SecondLevelModel:
    rng = np.random.default_rng(3)
    images = [image_of(rng.normal(size=SHAPE) + 0.3) for _ in range(12)]
    design = pd.DataFrame({"b": [1, 0, 0] * 4, "c": [0, 1, 0] * 4, "one": 1.0})
    return SecondLevelModel(mask_img=mask()).fit(images, design_matrix=design)


CONTRASTS: dict[str, Any] = {"t": "b", "F": ["b", "c"]}


@pytest.mark.parametrize("letter", ["t", "F"])
def test_the_estimators_maps_say_what_they_are(fitted: SecondLevelModel, letter: str) -> None:
    maps = fitted.compute_contrast(CONTRASTS[letter], output_type="all")
    wanted = {
        "z_score": (ZSCORE, (), "z" if letter == "t" else "z of F"),
        "stat": (TTEST, (9.0,), "t") if letter == "t" else (FTEST, (2.0, 9.0), "F"),
        "p_value": (PVAL, (), "p"),
        "effect_size": (ESTIMATE, (), "effect"),
        "effect_variance": (ESTIMATE, (), "variance"),
    }
    for kind, (code, parameters, name) in wanted.items():
        header = nib.Nifti1Image.from_bytes(maps[kind].to_bytes()).header
        assert header.get_intent("code") == (code, parameters, name), kind
    # The maps of t and F, converted, are the maps of z (float32, whose places are 6e-8 apart).
    with pytest.warns(UserWarning, match="converted to z-scores"):
        kept, _ = threshold_stats_img(
            maps["stat"], mask(), 0.05, height_control="fpr", two_sided=letter == "t"
        )
    z, _ = threshold_stats_img(maps["z_score"], mask(), 0.05, two_sided=letter == "t")
    np.testing.assert_allclose(kept.get_fdata(), z.get_fdata(), rtol=5e-6)
    assert np.count_nonzero(z.get_fdata()) > 10
    for kind in ("p_value", "effect_size", "effect_variance"):
        if maps[kind].ndim == 3:
            with pytest.raises(ValueError, match="z-scores are needed"):
                threshold_stats_img(maps[kind], mask(), 0.05)


def test_the_z_of_f_has_one_tail(fitted: SecondLevelModel) -> None:
    z = fitted.compute_contrast(CONTRASTS["F"])
    assert z.get_fdata().min() < -1.7
    with pytest.warns(UserWarning, match="two_sided=True has no effect on the z-scores of an F"):
        kept, threshold = threshold_stats_img(z, mask(), 0.05)
    assert threshold == pytest.approx(stats.norm.isf(0.05), rel=1e-12)
    assert kept.get_fdata().min() == 0
    with pytest.warns(UserWarning, match="two_sided=True has no effect"):
        table = get_clusters_table(z, 1.7, two_sided=True)
    assert (table["Peak Stat"] > 0).all()
    strong = fitted.compute_contrast(["b - one", "c + 2*one"])
    with pytest.warns(UserWarning, match="two_sided=True has no effect"):
        both = true_discovery_bounds(strong, mask(), mask(), two_sided=True)
    one = true_discovery_bounds(strong, mask(), mask())
    pd.testing.assert_frame_equal(both, one)


def test_other_maps_of_a_fit_are_not_taken_for_z(fitted: SecondLevelModel) -> None:
    for image, what in [
        (fitted.n_observations_, "numbers of images"),
        (fitted.df_residual_, "degrees of freedom"),
        (cluster_level_inference(image_of(t_values(8.0)), mask()), "true discovery"),
    ]:
        with pytest.raises(ValueError, match=f"a map of {what}"):
            threshold_stats_img(image, mask())
    z = fitted.compute_contrast("b")
    _, (labels,) = get_clusters_table(z, 1.0, return_label_maps=True)
    with pytest.raises(ValueError, match="a map of labels"):
        threshold_stats_img(labels, mask())


def test_degrees_of_freedom_that_differ_are_in_no_header() -> None:
    rng = np.random.default_rng(4)
    images = [image_of(rng.normal(size=SHAPE) + 0.3) for _ in range(9)]
    images[0].get_fdata()[4, 4, 4] = np.nan
    design = pd.DataFrame({"one": np.ones(9)})
    model = SecondLevelModel(mask_img=mask()).fit(images, design_matrix=design)
    t = model.compute_contrast("one", output_type="stat")
    assert t.header.get_intent("code") == (TTEST, (0.0,), "t")
    with pytest.raises(ValueError, match="or differ from voxel to voxel"):
        threshold_stats_img(t, mask())


def test_permutation_maps_say_what_they_are() -> None:
    rng = np.random.default_rng(5)
    images = [image_of(rng.normal(size=SHAPE) + 0.3) for _ in range(9)]
    design = pd.DataFrame({"mean of all": np.ones(9)})
    maps = non_parametric_inference(
        images, design_matrix=design, second_level_contrast="mean of all", mask=mask(), n_perm=20,
        threshold=0.05, tfce=True, random_state=0,
    )  # fmt: skip
    assert maps["t"].header.get_intent("code") == (TTEST, (8.0,), "t")
    for name in ("size", "mass", "tfce"):
        assert maps[name].header.get_intent("code") == (ESTIMATE, (), name)
    for name in ("t", "size", "mass", "tfce"):
        header = maps[f"logp_max_{name}"].header
        assert header.get_intent("code") == (LOG10PVAL, (), "logp")
        assert header["descrip"].item().decode().endswith("of contrast mean of all")
    groups = non_parametric_inference(
        images, design_matrix=design, second_level_contrast="mean of all", mask=mask(), n_perm=20,
        threshold=0.05, random_state=0, variance_groups=[0, 1, 1] * 3,
    )  # fmt: skip
    assert groups["t"].header.get_intent("code") == (TTEST, (0.0,), "t")  # Welch's


def test_a_smoothed_statistic_is_none() -> None:
    z = image_of(t_values(8.0).astype(np.float32), TTEST, (8.0,))
    assert statistic_of_header(smooth_img(z, 6.0).header) is None


NAMES = {
    "contrast-a_stat-t_statmap.nii.gz": "t statistics",
    "sub-1_contrast-a_stat-effect_statmap.nii": "effects",
    "contrast-a_stat-rSquare_statmap.nii.gz": "rSquare (as its name has it)",
    "zstat1.nii.gz": None,
    "varcope2.nii.gz": "variances of effects",
    "tstat1.nii.gz": "t statistics",
    "a_stat-Z_desc-x_statmap.nii.gz": None,
    "my-stat-map.nii.gz": None,
    "result.nii": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_files_name_tells_if_nothing_else_does(tmp_path: Path, name: str) -> None:
    path, what = tmp_path / name, NAMES[name]
    nib.save(image_of(t_values(8.0).astype(np.float32)), path)
    for stat in (path, str(path), nib.load(path)):
        if what is None:
            threshold_stats_img(stat, mask())
            continue
        with pytest.raises(ValueError, match=re.escape(f"a map of {what} (its name says so)")):
            threshold_stats_img(stat, mask())


def test_the_map_of_z_beside_is_named(tmp_path: Path) -> None:
    for stat in ("z", "p"):
        path = tmp_path / f"task-a_contrast-b_stat-{stat}_desc-c_statmap.nii.gz"
        nib.save(image_of(t_values(8.0).astype(np.float32)), path)
    with pytest.raises(ValueError, match=r"beside it, task-a_contrast-b_stat-z_desc-c_statmap.nii"):
        threshold_stats_img(path, mask())


def test_the_sidecar_tells_first(tmp_path: Path) -> None:
    path = tmp_path / "map.nii.gz"
    t = t_values(8.0).astype(np.float32)
    nib.save(image_of(t), path)
    sidecar = tmp_path / "map.json"

    def say(**facts: object) -> None:
        sidecar.write_text(json.dumps(facts))

    say(Values="t", DegreesOfFreedom={"Residual": 8}, StatType="t")
    with pytest.warns(UserWarning, match=r"8 degrees of freedom \(its sidecar map.json says so\)"):
        kept, _ = threshold_stats_img(path, mask(), 0.01)
    np.testing.assert_array_equal(kept.get_fdata() != 0, np.abs(t) >= stats.t.isf(0.005, 8))
    say(Values="F", DegreesOfFreedom={"Residual": 8, "Numerator": 2}, StatType="F")
    with pytest.warns(UserWarning, match="F statistics with 2 and 8 degrees of freedom"):
        threshold_stats_img(path, mask(), 0.01, two_sided=False)
    say(Values="t", DegreesOfFreedom={"Residual": 8, "ResidualMinimum": 5})
    with pytest.raises(ValueError, match="or differ from voxel to voxel"):
        threshold_stats_img(path, mask(), 0.01)
    say(Values="z", StatType="F")
    with pytest.warns(UserWarning, match="one tail"):
        threshold_stats_img(path, mask(), 0.01)
    say(Values="variance")
    with pytest.raises(ValueError, match="a map of variances of effects"):
        threshold_stats_img(path, mask(), 0.01)
    for nonsense in ({"Residual": "8"}, {"Residual": True}, {"Residual": -8}, [8], None):
        say(Values="t", DegreesOfFreedom=nonsense)
        with pytest.raises(ValueError, match="degrees of freedom are said neither"):
            threshold_stats_img(path, mask(), 0.01)
    for text in ("[" * 100_000, '{"Values": 3}', "\xff", '"z"'):
        sidecar.write_text(text)
        threshold_stats_img(path, mask(), 0.01)  # no sidecar of a map


def test_contradictions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a_stat-z_statmap.nii.gz"
    nib.save(image_of(t_values(8.0).astype(np.float32), TTEST, (8.0,)), path)
    with pytest.raises(
        ValueError,
        match=r"its header says that this is a map of t .*, but its name says z-scores; correct",
    ):
        threshold_stats_img(path, mask())


@pytest.mark.parametrize(
    ("descrip", "statistic"),
    [
        ("t z_score of contrast age", Statistic("z")),
        ("z_score of contrast age", Statistic("z")),  # nilearn's
        ("stat of contrast age", Statistic("stat")),
        ("F stat of contrast age", Statistic("F")),
        ("effect_variance of contrast age", Statistic("variance")),
        ("SPM{T_[20.0]} - contrast 1: age", Statistic("t", (20.0,))),
        ("SPM{F_[2.0,18.5]} - contrast 1: age", Statistic("F", (2.0, 18.5))),
        ("SPM{T_[0.0]} - contrast 1: age", Statistic("t")),
        ("FSL5.0", None),
        ("stat", None),
        ("", None),
    ],
)
def test_descriptions(descrip: str, statistic: Statistic | None) -> None:
    image = image_of(np.zeros(SHAPE, np.float32))
    image.header["descrip"] = descrip.encode()
    assert statistic_of_header(image.header) == statistic


def test_a_long_name_is_cut_between_letters() -> None:
    for n in range(60, 80):
        text = descrip_of("x" * n + "ßß\n\tß" * 30)
        assert 78 <= len(text) <= 79
        assert text.decode().isprintable()
    assert descrip_of("a\nb") == b"a b"


def test_a_thresholded_map_names_the_contrast(fitted: SecondLevelModel) -> None:
    kept, _ = threshold_stats_img(fitted.compute_contrast("b"), mask(), 0.05)
    text = kept.header["descrip"].item().decode()
    assert text == "thresholded at 1.95996 (fpr, alpha 0.05): z of contrast b"


@pytest.mark.parametrize("kind", ["tau2", "I2", "H2", "Q"])
def test_maps_that_are_never_negative_have_one_tail(kind: str, tmp_path: Path) -> None:
    """No tail is looked for that there cannot be, and none is reported as empty."""
    values = np.zeros((6, 6, 6))
    values[1:3, 1:3, 1:3] = 4.0
    path = tmp_path / f"stat-{kind}_statmap.nii.gz"
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    assert has_one_tail(path)
    assert len(get_clusters_table(path, 3.0)) == 1
    assert len(get_clusters_table(path, 3.0, two_sided=True)) == 1
    result = CliRunner().invoke(main, ["clusters", str(path), "--threshold", "3"])
    assert result.exit_code == 0
    assert "No clusters found" not in result.output


def test_p_values_of_q_have_no_clusters(tmp_path: Path) -> None:
    path = tmp_path / "stat-Qp_statmap.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(0).uniform(size=(5, 5, 5)), np.eye(4)), path)
    with pytest.raises(ImageError, match=r"p-values of Q \(its name says so\): what is beyond"):
        get_clusters_table(path, 0.9)
