# SPDX-License-Identifier: BSD-3-Clause
"""The report: what it says, what it refuses, and that it holds nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import re
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from groupglm import SecondLevelModel
from groupglm.errors import NotEstimableError
from groupglm.plotting import template
from groupglm.report import HTMLReport
from groupglm.report.data_quality import leverage, look_at_images
from groupglm.report.options import describe_weights, named_contrasts
from groupglm.report.words import MINUS, TIMES

SHAPE = (14, 16, 12)
AFFINE = np.array([[-4.0, 0, 0, 26], [0, 4.0, 0, -30], [0, 0, 5.0, -28], [0, 0, 0, 1]])
N = 16
SCRIPT = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the text outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._within = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within not in ("script", "style"):
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _data() -> tuple[list[Any], pd.DataFrame]:
    rng = np.random.default_rng(11)
    design = pd.DataFrame(
        {"group": np.arange(N) % 2.0, "age": rng.normal(0, 10, N), "intercept": 1.0}
    )
    brain = np.zeros(SHAPE)
    brain[2:-2, 2:-2, 2:-2] = 1
    images = []
    for row in range(N):
        values = rng.standard_normal(SHAPE)
        values[4:7, 5:8, 4:7] += 4 * design["group"][row]
        images.append(nib.Nifti1Image((values * brain).astype(np.float32), AFFINE))  # type: ignore[no-untyped-call]
    return images, design


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SecondLevelModel:
    """Return a model fitted to files, with an effect of the group in one place."""
    images, design = _data()
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"sub-{row + 1:02d}.nii.gz" for row in range(N)]
    for image, path in zip(images, paths, strict=True):
        image.to_filename(path)
    return SecondLevelModel().fit(paths, design_matrix=design)


@pytest.fixture(scope="module")
def report(model: SecondLevelModel) -> HTMLReport:
    contrasts = {"patients minus controls": "group", "age": "age"}
    return model.generate_report(contrasts, height_control="bonferroni", alpha=0.05)


@pytest.fixture(scope="module")
def page(report: HTMLReport) -> Page:
    return Page(report.get_standalone())


def test_the_page_says_what_was_fitted(page: Page, model: SecondLevelModel) -> None:
    n_voxels = f"{model.n_elements_:,}"
    assert (
        f"At each of {n_voxels} voxels, the values of 16 images were explained by a linear model "
        "with 3 columns: group, age and intercept, fitted by ordinary least squares. That leaves "
        "13 degrees of freedom"
    ) in page.text
    assert "familywise error rate is controlled at 0.05 by Bonferroni's correction" in page.text
    assert "with the regressors group, age and intercept, leaving 13 residual" in page.text
    assert f"(4 {TIMES} 4 {TIMES} 5 mm voxels)" in page.text
    assert "patients minus controls [group; t(13)]" in page.text


def test_the_page_states_the_peak_of_the_map(page: Page, model: SecondLevelModel) -> None:
    z_map: Any = model.compute_contrast("group")
    values = np.asarray(z_map.dataobj)
    voxel = np.unravel_index(np.argmax(np.abs(values)), values.shape)
    x, y, z = (AFFINE @ [*voxel, 1])[:3].round().astype(int)
    place = f"({x}, {y}, {z})".replace("-", MINUS)
    assert f"The highest peak is z = {values[voxel]:.2f} at {place} mm." in page.text


def test_nothing_survived_is_said_plainly(page: Page, model: SecondLevelModel) -> None:
    from scipy.stats import norm

    age: Any = model.compute_contrast("age")
    values = np.asarray(age.dataobj)
    highest = values.ravel()[np.argmax(np.abs(values))]
    threshold = norm.isf(0.05 / 2 / model.n_elements_)
    assert abs(highest) < threshold  # or there is nothing to test here
    sentence = f"Nothing survived. The highest peak is z = {highest:.2f}"
    assert sentence.replace("-", MINUS) in page.text
    assert f"; the threshold is {threshold:.2f}." in page.text


def test_a_false_discovery_rate_that_no_threshold_holds_is_said(model: SecondLevelModel) -> None:
    text = Page(
        model.generate_report("age", height_control="fdr", alpha=0.001).get_standalone()
    ).text
    assert "Nothing survived." in text
    assert "Benjamini Y, Hochberg Y." in text


def test_a_cluster_that_is_too_small_is_said(model: SecondLevelModel) -> None:
    report = model.generate_report("group", cluster_threshold=5000)
    text = Page(report.get_standalone()).text
    assert "but its cluster is too small" in text
    assert "Clusters of fewer than 5000 voxels are left out" in text


def test_the_page_needs_nothing_else(report: HTMLReport, page: Page) -> None:
    loading = {"src", "href", "srcset", "data", "poster", "action", "xlink:href"}
    for tag, attributes in page.elements:
        for name in loading & set(attributes):
            value = attributes[name] or ""
            assert value.startswith(("data:image/png;base64,", "#")), (tag, name, value[:60])
    assert "@import" not in report.get_standalone()
    assert "url(" not in re.sub(r'clip-path="url\(#', "", report.get_standalone())
    assert len(report.get_standalone()) < 4e6


def test_headings_follow_each_other_and_pictures_have_texts(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    alts = [image["alt"] or "" for image in page.named("img")]
    alts += [part["aria-label"] or "" for part in page.named("div") if part.get("role") == "img"]
    assert len(alts) >= 9
    assert all(len(alt) > 20 for alt in alts)
    # A map's text states its finding.
    assert any("Slices of the map of age. Nothing survived." in alt for alt in alts)
    assert any(
        "of the map of patients minus controls. " in alt and "cluster" in alt for alt in alts
    )
    assert page.named("html")[0]["lang"] == "en"


def test_the_clusters_are_those_of_the_table(model: SecondLevelModel) -> None:
    from groupglm import get_clusters_table, threshold_stats_img

    text = model.generate_report("group").get_standalone()
    body = re.search(r'<div class="table" id="clusters-1">.*?</table>', text, re.DOTALL)
    assert body is not None
    rows = re.findall(r"<tr>((?:<td>.*?</td>)+)</tr>", body[0])
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    z_map = model.compute_contrast("group")
    _, threshold = threshold_stats_img(z_map, model.mask_img_, alpha=0.001, two_sided=True)
    table = get_clusters_table(z_map, threshold, two_sided=True)
    assert [row[0] for row in cells] == [str(label) for label in table["Cluster ID"]]
    np.testing.assert_allclose(
        np.array([row[1:5] for row in cells], float),
        table[["X", "Y", "Z", "Peak Stat"]].to_numpy(float),
        atol=5.1e-4,  # three digits
    )


@pytest.mark.parametrize("place", ["contrast", "column", "title", "file"])
def test_names_are_text_wherever_they_stand(place: str, tmp_path: Path) -> None:
    images, design = _data()
    given: list[Any] = images
    column, contrasts, title = "group", {SCRIPT: "group"}, None
    if place == "column":
        column, contrasts = SCRIPT, {"group": [1, 0, 0]}  # type: ignore[dict-item]
        design = design.rename(columns={"group": column})
    if place == "title":
        contrasts, title = {"group": "group"}, SCRIPT
    if place == "file":
        contrasts, folder = {"group": "group"}, tmp_path / "<script>alert(1)<"
        folder.mkdir()
        given = [folder / f"script>{number}.nii" for number in range(N)]
        for image, path in zip(images, given, strict=True):
            image.to_filename(path)
    model = SecondLevelModel().fit(given, design_matrix=design)
    text = model.generate_report(contrasts, title=title).get_standalone()
    page = Page(text)
    assert SCRIPT not in text
    if place == "file":
        assert "script>1.nii" in page.text
    else:
        assert SCRIPT in page.text
    programs = page.named("script")
    assert [part.get("type") for part in programs] == ["application/json"] * 2 + [None] * 2
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]


def _payload(text: str, name: str) -> dict[str, Any]:
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def test_the_viewers_map_is_the_map(model: SecondLevelModel, report: HTMLReport) -> None:
    found = _payload(report.get_standalone(), "viewer-map-0")
    raw = zlib.decompress(base64.b64decode(found["data"]))
    stored = np.frombuffer(raw, "<i2").reshape(found["shape"], order="F")
    z_map: Any = model.compute_contrast("group")
    values = np.asarray(z_map.dataobj)
    inverse = np.vstack([found["inverse"], [0, 0, 0, 1]])
    inside = np.asarray(model.mask_img_.dataobj) != 0
    voxels = np.argwhere(inside)
    places = np.column_stack([voxels, np.ones(len(voxels))]) @ AFFINE.T
    indices = np.round(places @ inverse.T)[:, :3].astype(int)
    shown = stored[tuple(indices.T)] * found["step"]
    # Rounded to a step, and the map itself is float32.
    np.testing.assert_allclose(shown, values[inside], atol=found["step"] / 2 + 1e-6)
    assert np.count_nonzero(stored != found["outside"]) == len(voxels)


def test_images_are_compared_with_the_fit_and_with_each_other(model: SecondLevelModel) -> None:
    group = model._fitted_for(None)
    found = look_at_images(group, np.array([5, 7], dtype=np.intp))
    Y = np.asarray(model.masker_.transform(model.second_level_input_), dtype=np.float64)
    X = model.design_matrix_.to_numpy(float)
    beta = np.linalg.lstsq(X, Y, rcond=None)[0]
    residuals = Y - X @ beta
    variance = (residuals**2).sum(axis=0) / (N - 3)
    hat = np.diag(X @ np.linalg.inv(X.T @ X) @ X.T)
    for row, image in enumerate(found.images):
        others = np.delete(Y, row, axis=0).mean(axis=0)
        assert image.mean == pytest.approx(Y[row].mean(), rel=1e-9)
        assert image.sd == pytest.approx(Y[row].std(), rel=1e-9)
        assert image.correlation == pytest.approx(np.corrcoef(Y[row], others)[0, 1], abs=1e-9)
        distance = np.sqrt(np.mean(residuals[row] ** 2 / variance) / (1 - hat[row]))
        assert image.distance == pytest.approx(distance, rel=1e-8)
        assert image.leverage == pytest.approx(hat[row], rel=1e-9)
        path = Path(str(model.second_level_input_[row]))
        assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(found.at_voxels, Y[:, [5, 7]])


def test_outliers_are_flagged_and_others_are_not() -> None:
    images, design = _data()
    data = np.asarray(images[4].dataobj)
    images[4] = nib.Nifti1Image(data * 3, AFFINE)  # type: ignore[no-untyped-call]
    images[9] = nib.Nifti1Image(data + 2.0 * (data != 0), AFFINE)  # type: ignore[no-untyped-call]
    model = SecondLevelModel().fit(images, design_matrix=design)
    text = Page(model.generate_report(None).get_standalone()).text
    assert "2 of the 16 images are far from the others: image 4 in memory and image 9" in text
    assert "No contrast was asked for" in text
    clean = SecondLevelModel().fit(_data()[0], design_matrix=design)
    assert (
        "None of the 16 images is far from the others."
        in Page(clean.generate_report(None).get_standalone()).text
    )


def test_missing_values_are_counted(tmp_path: Path) -> None:
    images, design = _data()
    data: NDArray[Any] = np.array(images[2].dataobj)
    data[5, 6, 4:8] = np.nan
    images[2] = nib.Nifti1Image(data, AFFINE)  # type: ignore[no-untyped-call]
    mask = nib.Nifti1Image((np.asarray(images[0].dataobj) != 0).astype(np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    text = Page(model.generate_report(["group", "age"]).get_standalone()).text
    assert "Missing values were left out voxel by voxel (4 in all)." in text
    assert "number of images at each voxel: 15 to 16" in text
    assert "leaves 12 to 13 degrees of freedom" in text


def test_leverage_is_statsmodels() -> None:
    X = np.random.default_rng(2).standard_normal((20, 4))
    expected = sm.OLS(np.zeros(20), X).fit().get_influence().hat_matrix_diag
    np.testing.assert_allclose(leverage(X), expected, rtol=1e-10)
    # Depending columns add nothing.
    np.testing.assert_allclose(
        leverage(np.column_stack([X, X @ [1, 2, 3, 4]])), expected, rtol=1e-8
    )


@pytest.mark.parametrize(
    ("contrasts", "expected"),
    [
        (None, {}),
        ("a", {"a": [1, 0]}),
        ("a - b", {"a - b": [1, -1]}),
        (["a", "b"], {"a": [1, 0], "b": [0, 1]}),
        ([1, -1], {"a - b": [1, -1]}),
        (np.array([0.5, 0]), {"0.5*a": [0.5, 0]}),
        ([np.array([1, 0]), [0, 2]], {"a": [1, 0], "2*b": [0, 2]}),
        (np.eye(2), {"a; b": [[1, 0], [0, 1]]}),
        (np.array([[1, 0]]), {"a": [1, 0]}),
        ({"mine": "b", "both": ["a", "b"]}, {"mine": [0, 1], "both": [[1, 0], [0, 1]]}),
        ([[1, 0.1234567], [1, 0.1234568]], {"a + 0.123457*b": [1, 0.1234567],
                                            "a + 0.123457*b (2)": [1, 0.1234568]}),
    ],
)  # fmt: skip
def test_contrasts_in_every_form(contrasts: Any, expected: dict[str, Any]) -> None:
    found = named_contrasts(contrasts, ["a", "b"])
    assert {name: weights.tolist() for name, weights in found.items()} == expected


def test_expressions_of_weights() -> None:
    assert describe_weights(np.array([-1.0, 0, 2.5]), ["a", "b", "c"]) == "-a + 2.5*c"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contrasts": "weight"}, "contrast 'weight': .*weight"),
        ({"contrasts": {"x": [1, 2]}}, "contrast x: .*3 columns"),
        ({"contrasts": []}, "contrasts is empty"),
        ({"contrasts": {}}, "contrasts is an empty mapping"),
        ({"alpha": 3.0}, "alpha is 3.0; it is a probability"),
        ({"alpha": 0}, "alpha is 0.0; it is a probability"),
        ({"alpha": "0.05"}, "alpha is '0.05'; it must be a finite number"),
        ({"threshold": -3.0, "height_control": None}, "threshold is -3.0; it is a z score"),
        ({"threshold": np.nan, "height_control": None}, "threshold is nan; it must be a finite"),
        ({"height_control": "FDR"}, "height_control is 'FDR'; it must be one of 'fpr', 'fdr'"),
        ({"cluster_threshold": -1}, "cluster_threshold is -1; it must be a number of voxels"),
        ({"cluster_threshold": 2.5}, "cluster_threshold is 2.5; it must be a number of voxels"),
        ({"min_distance": 0}, "min_distance is 0.0; it must be a distance in mm"),
        ({"plot_type": "surface"}, "plot_type is 'surface'; it must be one of 'slice', 'glass'"),
        ({"display_mode": "lr"}, "views of a hemisphere need a glass brain"),
        ({"display_mode": "q", "plot_type": "glass"}, "display_mode is 'q'"),
        ({"report_dims": (800,)}, "report_dims is .800,.; it must be"),
        ({"report_dims": (800, 0)}, r"report_dims\[1\] is 0; it must be a whole number"),
        ({"cut_coords": [1, 2], "display_mode": "ortho"}, "cut_coords has 2 numbers"),
        ({"bg_img": "/no/such.nii"}, "/no/such.nii: there is no such file"),
    ],
)
def test_nonsense_is_refused(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.generate_report(**{"contrasts": "age", **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"title": 3}, "title is a int; it must be a str or None"),
        ({"two_sided": "yes"}, "two_sided is 'yes'; it must be True or False"),
    ],
)
def test_options_of_another_type_are_refused(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        model.generate_report("age", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 2.5}, "threshold=2.5 has no effect beside height_control='fpr'"),
        ({"alpha": 0.05, "height_control": None}, "alpha=0.05 has no effect with height_control="),
        (
            {"plot_type": "glass", "cut_coords": 3},
            "cut_coords has no effect with plot_type='glass'",
        ),
    ],
)
def test_what_has_no_effect_is_said(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.warns(UserWarning, match=message) as record:
        model.generate_report("age", bg_img=None, **options)
    assert [Path(warning.filename) for warning in record] == [Path(__file__)] * len(record)


def test_a_model_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(NotFittedError):
        SecondLevelModel().generate_report("age")


def test_a_contrast_that_cannot_be_estimated_is_refused() -> None:
    images, design = _data()
    design = design.assign(twin=design["group"])
    with pytest.warns(UserWarning, match="linearly dependent"):
        model = SecondLevelModel().fit(images, design_matrix=design)
    with pytest.raises(NotEstimableError, match="'group'"):
        model.generate_report("group")
    text = Page(model.generate_report("age").get_standalone()).text
    assert "The design has not full rank: columns 'group' and 'twin'" in text
    assert "rank3 of 4 columns" in text


@pytest.mark.parametrize("plot_type", ["slice", "glass"])
def test_every_view_makes_a_report(
    model: SecondLevelModel, plot_type: Literal["slice", "glass"]
) -> None:
    from groupglm.plotting.panels import GLASS_MODES, SLICE_MODES

    for mode in SLICE_MODES if plot_type == "slice" else GLASS_MODES:
        report = model.generate_report(
            "group",
            bg_img=None,
            plot_type=plot_type,
            display_mode=mode,
        )
        assert f"'{mode}'" in Page(report.get_standalone()).text


def test_one_tail_is_one_tail(model: SecondLevelModel) -> None:
    from scipy.stats import norm

    one = Page(model.generate_report("-group", two_sided=False).get_standalone()).text
    assert f"shown where z > {norm.isf(0.001):.3f}." in one
    two = Page(model.generate_report("-group").get_standalone()).text
    assert f"shown where |z| > {norm.isf(0.0005):.3f}." in two
    # The F statistic has all directions in one tail, so that it is never split.
    both = Page(model.generate_report(np.eye(3)[:2]).get_standalone()).text
    assert f"group; age; F(2, 13); shown where z > {norm.isf(0.001):.3f}." in both


def test_maps_of_several_kinds_are_chosen(tmp_path: Path) -> None:
    images, design = _data()
    rows = []
    for number, image in enumerate(images):
        for kind, factor in (("one", 1.0), ("two", 2.0)):
            path = tmp_path / f"{number:02d}_{kind}.nii"
            nib.Nifti1Image(np.asarray(image.dataobj) * factor, AFFINE).to_filename(path)  # type: ignore[no-untyped-call]
            rows.append((f"sub-{number:02d}", kind, str(path)))
    table = pd.DataFrame(rows, columns=["subject_label", "map_name", "effects_map_path"])
    labelled = design.assign(subject_label=[f"sub-{number:02d}" for number in range(N)])
    model = SecondLevelModel().fit(table, design_matrix=labelled)
    text = model.generate_report("group", first_level_contrast="two").get_standalone()
    assert "15_two.nii" in text
    assert "15_one.nii" not in text
    assert "first_level_contrast=&#39;two&#39;" in text


def test_the_call_on_the_page_makes_the_page_again(model: SecondLevelModel) -> None:
    options: dict[str, Any] = {"title": "Mine", "cluster_threshold": 3, "bg_img": None}
    text = model.generate_report({"a": [1, 0, 0]}, **options).get_standalone()
    code = re.search(r'<pre id="call"><code>(.*?)</code></pre>', text, re.DOTALL)
    assert code is not None
    names = {
        "second_level_input": model.second_level_input_,
        "design_matrix": model.design_matrix_,
    }
    exec(html.unescape(code[1]), names)  # noqa: S102 - it is our own output
    again: Any = names["report"]
    without_time = [re.sub(r"on \d{4}-.*? UTC", "", page) for page in (text, str(again))]
    assert without_time[0] == without_time[1]


def _no_template(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(home))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_without_the_template_the_outline_is_drawn_and_the_page_says_so(
    model: SecondLevelModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _no_template(monkeypatch, tmp_path / "nothing")
    text = Page(model.generate_report("group").get_standalone()).text
    assert "The MNI template is not on this machine, so that the outline of the mask" in text


def test_templateflow_comes_first(
    model: SecondLevelModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / template._TEMPLATEFLOW.format(res="01")
    path.parent.mkdir(parents=True)
    (path.parent / path.name.replace("res-01", "res-02")).touch()  # announced, not downloaded
    head = nib.Nifti1Image(np.ones((60, 60, 60), np.float32), np.diag([4.0, 4, 4, 1]))  # type: ignore[no-untyped-call]
    head.to_filename(path)
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path))
    text = Page(model.generate_report("group").get_standalone()).text
    assert "The background is the MNI152NLin2009cAsym brain template of TemplateFlow's" in text
    # That picture's brain begins at the origin, and most of the mask does not.
    assert "of the mask lies outside the brain in that picture" in text
    path.write_bytes(path.read_bytes()[:200])  # cut short while it was downloaded
    assert "ICBM 2009a" in Page(model.generate_report("group").get_standalone()).text


def test_a_background_of_ones_own(model: SecondLevelModel, tmp_path: Path) -> None:
    path = tmp_path / "mine.nii.gz"
    nib.Nifti1Image(np.ones(SHAPE), AFFINE).to_filename(path)  # type: ignore[no-untyped-call]
    images: list[Any] = [path, nib.load(path)]
    for image in images:
        text = Page(model.generate_report("group", bg_img=image).get_standalone()).text
        assert "The background is the image mine.nii.gz, given." in text


def test_nilearn_is_looked_at_but_not_imported() -> None:
    import subprocess

    code = (
        "import sys\n"
        "from groupglm.plotting.template import find_background\n"
        "found = find_background('MNI152TEMPLATE', None)\n"
        "assert found is not None and not found.is_outline\n"
        "assert 'nilearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)  # noqa: S603


def test_a_report_is_saved_whole_or_not_at_all(
    report: HTMLReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = report.save_as_html(tmp_path / "new" / "page.html")
    assert saved.read_text(encoding="utf-8") == report.get_standalone() == str(report)
    assert [path.name for path in saved.parent.iterdir()] == ["page.html"]

    def fail(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        HTMLReport("other").save_as_html(saved)
    assert saved.read_text(encoding="utf-8") == report.get_standalone()
    assert [path.name for path in saved.parent.iterdir()] == ["page.html"]


def test_the_browser_is_shown_a_file(
    report: HTMLReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    path = report.open_in_browser(tmp_path / "a page.html")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other = report.open_in_browser()
    assert shown == [path.as_uri(), other.as_uri()]
    assert other.read_text(encoding="utf-8") == report.get_standalone()


def test_the_frame_has_the_size_asked_for(model: SecondLevelModel) -> None:
    report = model.generate_report("age", bg_img=None, report_dims=(900, 500))
    frame = Page(report._repr_html_()).named("iframe")[0]
    assert (frame["width"], frame["height"]) == ("900", "500")
    assert "max-width:100%" in (frame["style"] or "")
    assert frame["srcdoc"] == report.get_standalone()
    report.width, report.height = 700, 300
    frame = Page(report._repr_html_()).named("iframe")[0]
    assert (frame["width"], frame["height"]) == ("700", "300")
    with pytest.raises(ValueError, match="width is -1; it must be a whole number of pixels"):
        report.width = -1
    assert len(repr(report)) < 100


def test_many_columns_and_images_still_make_a_page() -> None:
    rng = np.random.default_rng(8)
    n, p = 90, 40
    images = [
        nib.Nifti1Image(rng.standard_normal((6, 6, 6)).astype(np.float32), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(n)
    ]
    mask = nib.Nifti1Image(np.ones((6, 6, 6), np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    design = pd.DataFrame(rng.standard_normal((n, p)), columns=[f"covariate {j}" for j in range(p)])
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    text = Page(model.generate_report(["covariate 1", np.eye(p)]).get_standalone()).text
    assert "and 28 more" in text
    assert "F(40, 50)" in text


def test_the_package_carries_templates_style_and_program() -> None:
    import groupglm.report

    folder = Path(groupglm.report.__file__).parent / "templates"
    names = {path.name for path in folder.iterdir()}
    assert {"page.html.j2", "parts.html.j2", "style.css", "page.js", "viewer.js"} <= names
