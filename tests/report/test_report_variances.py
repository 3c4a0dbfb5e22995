# SPDX-License-Identifier: BSD-3-Clause
"""The page of a model with variances: subjects and weights at a peak, and how to make it again."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm import FixedEffects, MixedEffects, SecondLevelModel
from reference import mixed as reference

SHAPE = (5, 5, 4)
N = 9
PEAK = (2, 2, 2)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


@pytest.fixture
def study(tmp_path: Path) -> tuple[list[str], list[str], Any, Any]:
    """Effects and variances in files, with a peak; image 4 is outside there."""
    rng = np.random.default_rng(11)
    v = rng.chisquare(5, (N, *SHAPE)) / 5
    y = rng.normal(0, 1, v.shape) + rng.normal(0, np.sqrt(v))
    y[(slice(None), *PEAK)] += 4
    y[(3, *PEAK)], v[(3, *PEAK)] = 0, 0
    y, v = y.astype(np.float32), v.astype(np.float32)
    for values, name in ((y, "effect"), (v, "variance")):
        for row, own in enumerate(values, start=1):
            image = nib.Nifti1Image(own, AFFINE)  # type: ignore[no-untyped-call]
            nib.save(image, tmp_path / f"sub-{row:02d}_{name}.nii.gz")
    files = [
        [str(tmp_path / f"sub-{row:02d}_{name}.nii.gz") for row in range(1, N + 1)]
        for name in ("effect", "variance")
    ]
    return (*files, y, v)  # type: ignore[return-value]


def fitted(study: tuple[Any, ...], model: Any = None) -> SecondLevelModel:
    effects, variances, *_ = study
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"mean": np.ones(N)})
    return SecondLevelModel(mask, model=FixedEffects() if model is None else model).fit(
        effects, design_matrix=design, variances=variances
    )


def text_of(page: str) -> str:
    return html.unescape(page).replace("\N{MINUS SIGN}", "-")


def at_peak(values: NDArray[Any]) -> NDArray[np.float64]:
    return values[(slice(None), *PEAK)].astype(np.float64)


def test_a_peak_shows_each_effect_with_its_interval_and_weight(study: tuple[Any, ...]) -> None:
    page = text_of(str(fitted(study).generate_report("mean", bg_img=None)))
    y, v = at_peak(study[2]), at_peak(study[3])
    there = v > 0
    weights = 100 / v[there] / (1 / v[there]).sum()
    half = stats.norm.ppf(0.975) * np.sqrt(v)
    for value, width in zip(y[there], half[there], strict=True):
        assert f">{value:.2f} [{value - width:.2f}, {value + width:.2f}]<" in page
    for weight in weights:
        assert f">{weight:.1f}%<" in page
    mean, error = np.average(y[there], weights=1 / v[there]), (1 / v[there]).sum() ** -0.5
    ends = mean + stats.norm.ppf([0.025, 0.975]) * error
    assert f">{mean:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]<" in page
    assert page.count(">outside: effect and variance are 0<") == 1
    # The other picture of the peak has the model's interval too.
    assert f"mean: {mean:.2f} ± {stats.norm.ppf(0.975) * error:.2f} (95% interval)" in page
    assert f"z = {mean / error:.3f}, two-sided p = " in page


def test_images_are_compared_by_their_own_variances(study: tuple[Any, ...]) -> None:
    """The distance is that of residuals over their standard errors, where an image counts."""
    page = text_of(str(fitted(study).generate_report(bg_img=None)))
    y, v = (values.reshape(N, -1).astype(np.float64) for values in study[2:])
    counts = v > 0
    w = np.where(counts, 1 / np.where(counts, v, 1), 0)
    residual = y - (w * y).sum(axis=0) / w.sum(axis=0)
    for row in range(N):
        own = counts[row]
        squares = residual[row, own] ** 2 * w[row, own]
        distance = np.sqrt(squares.mean() / (1 - 1 / N))
        cells = rf"sub-{row + 1:02d}_effect.nii.gz</td>.*?</tr>"
        found = re.search(cells, page, re.DOTALL)
        assert found is not None
        assert f"<td>{distance:.2f}</td>" in found[0]
        assert f"<td>{int((~own).sum())}</td>" in found[0]


def test_the_script_of_the_page_fits_the_same_model(study: tuple[Any, ...]) -> None:
    """Every file of an effect and of a variance is in the script, each in its own list."""
    page = text_of(str(fitted(study).generate_report("mean", bg_img=None)))
    effects, variances, *_ = study
    script = page[page.index('<pre id="script">') :]
    listed = "".join(f"    {name!r},\n" for name in effects)
    assert f"images = [\n{listed}]" in script
    listed = "".join(f"    {name!r},\n" for name in variances)
    assert f"variances = [\n{listed}]" in script
    assert "model.fit(images, design_matrix=design, variances=variances)" in script
    assert "model=FixedEffects()" in script


@pytest.mark.filterwarnings("ignore::groupglm.errors.ZeroValuesWarning")
def test_least_squares_has_neither_the_section_nor_the_forests(study: tuple[Any, ...]) -> None:
    model = SecondLevelModel().fit(study[0], design_matrix=pd.DataFrame({"mean": np.ones(N)}))
    page = str(model.generate_report("mean", bg_img=None))
    assert 'id="spread"' not in page
    assert 'class="tall"' not in page


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_rows_that_were_stored_apart_are_put_together(
    study: tuple[Any, ...], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored rows come in batches that may divide an image from its variances."""
    from groupglm.estimator.group_model import GroupModel, fit_images

    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"mean": np.ones(N)})
    model = GroupModel(mask, model=FixedEffects())
    group = fit_images(model, study[0], design, keep_rows=True, variances=study[1])
    kept = group.kept
    assert kept is not None
    batches: Callable[..., Any] = kept.batches
    size = rows * kept.array()[0].nbytes
    monkeypatch.setattr(type(kept), "batches", lambda self, *_: batches(size))
    found = {image: own.copy() for image, own in group.rows_of_images()}
    assert sorted(found) == list(range(N))
    whole = kept.array()
    for image, own in found.items():
        np.testing.assert_array_equal(own, whole[2 * image : 2 * image + 2])


def section_of(page: str) -> str:
    begin = page.index('<section id="spread"')
    return text_of(page)[begin : text_of(page).index("</section>", begin)]


def percent(share: float) -> str:
    return f"{share:.0f}%" if share >= 10 or share == 0 else f"{share:.2g}%"


def test_an_image_with_most_of_the_weight_is_named(study: tuple[Any, ...]) -> None:
    effects, variances, _, v = study
    small = v[6].copy()
    small[:2] /= 1e4
    nib.save(nib.Nifti1Image(small, AFFINE), variances[6])  # type: ignore[no-untyped-call]
    with pytest.warns(UserWarning, match="one image has over half of the weight"):
        model = fitted((effects, variances), "fixed effects")
    page = str(model.generate_report(bg_img=None))
    said = text_of(section_of(page))
    found = re.search(r"At (\d+) of 100 voxels.*?: 07 \((\d+)\)", said)
    assert found is not None
    v[6] = small
    w = np.where(v > 0, 1 / np.where(v > 0, v, 1).astype(np.float64), 0)
    over = w > w.sum(axis=0) / 2
    assert (int(found[1]), int(found[2])) == (over.any(axis=0).sum(), over[6].sum())
    assert over[6].sum() >= 40
    assert "Nothing is estimated of the error, whose variances are taken as known." in page


@pytest.mark.filterwarnings("ignore::groupglm.errors.ZeroValuesWarning")
def test_a_covariate_of_each_voxel_is_named_as_such(study: tuple[Any, ...]) -> None:
    effects, others, y, z = study
    mask = nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"mean": np.ones(N)})
    model = SecondLevelModel(mask, minimize_memory=False)
    model.fit(effects, design_matrix=design, covariates={"grey": others})
    page = text_of(str(model.generate_report("grey", bg_img=None)))
    assert "grey is a covariate of each voxel: the values differ between voxels" in page
    assert "covariates={'grey': covariate_1}" in page
    assert "'grey': [" not in page[page.index('<pre id="script">') :]
    # Residuals are those of each voxel's own covariate.
    place = (0, 3, 1)
    own = (slice(None), *place)
    X = np.column_stack([np.ones(N), z[own].astype(float)])
    fit = X @ np.linalg.lstsq(X, y[own].astype(float), rcond=None)[0]
    found = np.asarray(model.residuals_.dataobj)[place]
    np.testing.assert_allclose(found, y[own] - fit, atol=1e-5)
    found = np.asarray(model.predicted_.dataobj)[place]
    np.testing.assert_allclose(found, fit, atol=1e-5)


def test_the_section_says_how_much_subjects_differ(study: tuple[Any, ...]) -> None:
    """The numbers are those of the slow reference, place by place."""
    model = fitted(study, MixedEffects(tau2="dersimonian-laird"))
    y, v = (values.reshape(N, -1).astype(np.float64) for values in study[2:])
    found = reference.fit(np.ones((N, 1)), y, v, tau2="dersimonian-laird")
    said = text_of(section_of(str(model.generate_report(bg_img=None))))
    middle = np.median(found.tau2)
    assert f"standard deviation τ of {np.sqrt(middle):.3g} at the median voxel" in said
    assert f"(τ² = {middle:.3g}, in squared units of the effects)" in said
    n_zero = int((found.tau2 == 0).sum())
    assert 0 < n_zero < 100
    assert f"At {percent(n_zero)} of the voxels, τ² is 0" in said
    assert model.tau2_zero_share_ == n_zero / 100
    assert f"I² is {np.median(found.i_squared):.0f}% at the median voxel" in said
    share = 100 * float(np.mean(found.q_p_value < 0.05))
    assert f"at {percent(share)} of the voxels (p < 0.05" in said
    low, middle, high = np.percentile(found.h_squared, [25, 50, 75])
    assert f"{middle:.3g} (half of the voxels: {low:.3g} to {high:.3g})" in said
    assert "both the value and its variance are 0: 1 value at 1 voxel." in said
    assert "DerSimonian" in said
    weights = np.where(v > 0, 1 / (np.where(v > 0, v, 1) + found.tau2), 0)
    shares = weights / weights.sum(axis=0)
    over = shares.max(axis=0) > 0.5
    if over.any():
        assert f"At {over.sum()} of 100 voxels with more than two images" in said
    else:
        image = np.unravel_index(shares.argmax(), shares.shape)[0]
        assert f"the most is {100 * shares.max():.0f}%, of {image + 1:02d}." in said


def test_each_variance_group_has_its_own_sentences(study: tuple[Any, ...]) -> None:
    groups = ["old"] * 5 + ["young"] * 4
    effects, variances, y, v = study
    model = SecondLevelModel(
        nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE),  # type: ignore[no-untyped-call]
        model=MixedEffects(tau2="dersimonian-laird", variance_groups=groups),
    )
    old = np.array([1.0] * 5 + [0.0] * 4)
    design = pd.DataFrame({"old": old, "young": 1 - old})
    model.fit(effects, design_matrix=design, variances=variances)
    page = text_of(str(model.generate_report("old - young", bg_img=None)))
    said = section_of(page)
    images: Any = model.tau2_
    for name, rows in (("old", slice(0, 5)), ("young", slice(5, 9))):
        own = [values[rows].reshape(-1, 100).astype(np.float64) for values in (y, v)]
        tau2 = reference.fit(np.ones((len(own[0]), 1)), *own, tau2="dersimonian-laird").tau2
        assert f"subjects of the group {name} differ by a standard deviation τ of " in said
        assert f"{np.sqrt(np.median(tau2)):.3g} at the median voxel" in said
        found = np.asarray(images[name].dataobj).reshape(-1)
        np.testing.assert_allclose(found, tau2, rtol=1e-6, atol=1e-7)
    # The weights of a forest plot are those of each image's group.
    assert "τ² of old = " in page
