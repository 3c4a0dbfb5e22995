# SPDX-License-Identifier: BSD-3-Clause
"""The small forest plots of a page, one for each row of the table, and the maps of tau and I2."""

from __future__ import annotations

import base64
import html
import io
import re
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from groupglm import FixedEffects, MixedEffects, SecondLevelModel
from groupglm.plotting.colors import count_map
from groupglm.report import page as page_of
from reference import mixed as reference

SHAPE, N = (14, 14, 12), 9
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
PEAKS = {(2, 2, 2): 28.0, (2, 10, 2): 20.0, (10, 2, 2): 14.0, (10, 10, 8): 9.5, (6, 6, 6): 6.5}


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, AFFINE)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def study() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Effects and variances with five peaks; image 4 is outside at the second one."""
    rng = np.random.default_rng(5)
    v = rng.chisquare(6, (N, *SHAPE)) / 6
    y = rng.normal(0, np.sqrt(v))
    for place, height in PEAKS.items():
        y[(slice(None), *place)] += height
    y[3, 2, 10, 2] = v[3, 2, 10, 2] = 0
    return y, v


def page(study: Any, model: Any, design: Any = None, contrast: Any = "mean") -> str:
    y, v = study
    design = pd.DataFrame({"mean": np.ones(len(y))}) if design is None else design
    fitted = SecondLevelModel(image(np.ones(SHAPE, np.uint8)), model=model).fit(
        [image(own) for own in y], design_matrix=design, variances=[image(own) for own in v]
    )
    report = fitted.generate_report(contrast, bg_img=None, alpha=1e-9)
    return html.unescape(str(report)).replace("\N{MINUS SIGN}", "-")


def drawings(text: str) -> list[str]:
    """The figures in the frame of small plots."""
    frame = text[text.index('<div class="forests"') :]
    return re.findall("<figure>.*?</figure>", frame[: frame.index("</div>")], re.DOTALL)


def path(drawing: str, kind: str, number: int = 0) -> str:
    found: list[str] = re.findall(f'<path class="{kind}" d="([^"]*)"', drawing)
    return found[number]


def scale(drawing: str) -> Any:
    """From places of the drawing to values, by two of its numbers."""
    ticks = re.findall(r'<text x="([\d.]+)" y="[\d.]+">(-?[\d.]+)</text>', drawing)
    (x0, first), (x1, last) = ((float(x), float(t)) for x, t in (ticks[0], ticks[-1]))
    return lambda x: first + (float(x) - x0) * (last - first) / (x1 - x0)


def test_each_row_of_the_table_has_effects_weights_and_the_diamond(study: Any) -> None:
    """Numbers are read off the drawing, whose lines are exact to 0.05 of some 160 units."""
    text = page(study, FixedEffects())
    found = drawings(text)
    assert len(found) == len(PEAKS)
    for number, (drawing, place) in enumerate(zip(found, PEAKS, strict=True), start=1):
        mm = ", ".join(f"{4 * edge}" for edge in place)
        assert re.search(rf"<b>{number}: z = [\d.]+ at \({mm}\) mm</b>", drawing)
        y, v = (values[(slice(None), *place)] for values in study)
        there = v > 0
        y, v = y[there], v[there]
        value = scale(drawing)
        step = abs(value(0.2) - value(0.0))  # both ends of an interval, and both ticks, rounded
        half = stats.norm.ppf(0.975) * np.sqrt(v)
        ends = re.findall(r"M([\d.]+) [\d.]+H([\d.]+)", path(drawing, "line", 1))
        drawn = np.array([[value(x) for x in pair] for pair in ends])
        np.testing.assert_allclose(drawn, np.c_[y - half, y + half], atol=step)
        squares = re.findall(r"M([\d.]+) [\d.]+h([\d.]+)", path(drawing, "squares"))
        sides = np.array([float(side) for _, side in squares])
        weights = 1 / v
        np.testing.assert_allclose(sides**2 / max(sides**2), weights / weights.max(), atol=0.03)
        middles = [value(float(x) + side / 2) for (x, _), side in zip(squares, sides, strict=True)]
        np.testing.assert_allclose(middles, y, atol=step)
        mean, error = np.average(y, weights=weights), weights.sum() ** -0.5
        wide = stats.norm.ppf(0.975) * error
        diamond = [float(x) for x in re.findall(r"[ML]([\d.]+) ", path(drawing, "diamonds"))]
        seen = [value(x) for x in (diamond[0], diamond[1], diamond[2])]
        np.testing.assert_allclose(seen, [mean - wide, mean, mean + wide], atol=step)
        digits = 1 if mean >= 10 else 2
        low, middle, high = (f"{at:.{digits}f}" for at in (mean - wide, mean, mean + wide))
        assert f"<p>mean: {middle} [{low}, {high}]</p>" in drawing
        names = re.findall(r"<text y=[^>]*>(.*?)</text>", drawing)
        assert len(names) == there.sum() + 1
        assert f"Forest plot of {there.sum()} of {N} images" in drawing
    # The three highest have large plots too.
    assert text.count('class="tall"') == 3


def test_groups_have_a_diamond_each_and_the_contrast_its_numbers(study: Any) -> None:
    y, v = (values.copy() for values in study)
    y[:4] *= -1
    old = np.r_[np.ones(4), np.zeros(5)]
    design = pd.DataFrame({"old": old, "young": 1 - old})
    found = drawings(page((y, v), MixedEffects(tau2=0.0, test="z"), design, "young - old"))
    assert len(found) >= 4
    place = (slice(None), 2, 2, 2)
    means, errors = [], []
    for rows in (old == 1, old == 0):
        w = 1 / v[place][rows]
        means.append(np.average(y[place][rows], weights=w))
        errors.append(w.sum() ** -0.5)
    value = scale(found[0])
    corners = re.findall(r"M([\d.]+) [\d.]+L([\d.]+) ", path(found[0], "diamonds"))
    middles = sorted(value(middle) for _, middle in corners)
    np.testing.assert_allclose(middles, sorted(means), atol=abs(value(0.2) - value(0)))
    half = stats.norm.ppf(0.975) * np.hypot(*errors)
    difference = means[1] - means[0]
    in_words = f"{difference:.1f} [{difference - half:.1f}, {difference + half:.1f}]</p>"
    assert in_words in found[0]


def test_a_slope_has_ticks_of_fitted_values(study: Any) -> None:
    y, v = (values.copy() for values in study)
    age = np.linspace(-1, 1.3, N)
    y = y * age[:, None, None, None]
    design = pd.DataFrame({"mean": np.ones(N), "age": age})
    drawing = drawings(page((y, v), FixedEffects(), design, "age"))[0]
    place = (slice(None), 2, 2, 2)
    root = 1 / np.sqrt(v[place])
    X = design.to_numpy()
    beta = np.linalg.lstsq(root[:, None] * X, root * y[place], rcond=None)[0]
    value = scale(drawing)
    ticks = [value(x) for x in re.findall(r"M([\d.]+) ", path(drawing, "ticks"))]
    np.testing.assert_allclose(ticks, np.sort(X @ beta), atol=abs(value(0.2) - value(0)))


def test_the_number_of_small_plots_is_bounded_and_said(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of, "MOST_LINES", 2 * N + 1)
    text = page(study, FixedEffects())
    assert len(drawings(text)) == 2
    assert f"the first 2 of {len(PEAKS)} peaks" in text


def test_where_the_large_plots_show_all_there_are_no_small_ones(study: Any) -> None:
    y, v = (values.copy() for values in study)
    for place, height in list(PEAKS.items())[3:]:
        y[(slice(None), *place)] -= height
    text = page((y, v), FixedEffects())
    assert 'class="tall"' in text
    assert '<div class="forests"' not in text


def pictures(text: str) -> list[NDArray[np.uint8]]:
    """The maps of the section of heterogeneity, as pixels."""
    section = text[text.index('<section id="spread"') :]
    section = section[: section.index("</section>")]
    found = re.findall(r'<img src="data:image/png;base64,([^"]*)"', section)
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in found
    ]


def near(pixels: NDArray[Any], colour: Any) -> int:
    """How many pixels have a colour, but for the 24 that a picture of a page has of a scale."""
    wanted = np.array(colour[:3]) * 255
    return int((np.abs(pixels.astype(float) - wanted).max(axis=-1) < 12).sum())


def test_tau_and_i_squared_are_drawn_as_maps() -> None:
    """On one side images differ by their variances alone, on the other by much more."""
    rng = np.random.default_rng(3)
    v = rng.chisquare(30, (N, *SHAPE)) / 30
    y = rng.normal(0, 0.5 * np.sqrt(v))  # less than expected: tau2 is 0 at most places
    y[:, 7:] += 8 * rng.choice([-1, 1], y[:, 7:].shape)
    text = page((y, v), MixedEffects(tau2="dersimonian-laird"))
    tau2 = reference.fit(
        np.ones((N, 1)), y.reshape(N, -1), v.reshape(N, -1), tau2="dersimonian-laird"
    ).tau2
    # The images are float64, and a percentile is written with three digits.
    assert f"The last colour is {np.percentile(np.sqrt(tau2), 99):.3g} and more." in text
    tau, share = pictures(text)
    first, last = count_map()(0.0), count_map()(1.0)
    for pixels in (tau, share):
        assert pixels.shape[1] > 400
        # A half of the mask is zero, and drawn; its colour is none of the picture behind.
        assert near(pixels, first) > 0.05 * pixels.shape[0] * pixels.shape[1]
    assert near(share, count_map()(0.97)) + near(share, last) > 0.05 * share[..., 0].size
    assert near(share, colormaps["gray"](0.5)) < near(share, first)


def test_maps_of_groups_share_their_colours() -> None:
    rng = np.random.default_rng(4)
    v = rng.chisquare(30, (N, *SHAPE)) / 30
    y = rng.normal(0, 0.5 * np.sqrt(v))
    y[5:] += 8 * rng.choice([-1, 1], y[5:].shape)
    old = np.r_[np.ones(5), np.zeros(4)]
    model = MixedEffects(
        tau2="dersimonian-laird", variance_groups=["old" if row else "young" for row in old]
    )
    text = page((y, v), model, pd.DataFrame({"old": old, "young": 1 - old}), "young - old")
    old_tau, young_tau, *_ = pictures(text)
    first = count_map()(0.0)
    assert near(old_tau, first) > 3 * near(young_tau, first)
    assert "between subjects of the group young." in text
