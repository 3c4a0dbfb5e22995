# SPDX-License-Identifier: BSD-3-Clause
"""The report: what it says, what it refuses, and that it holds nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.stats import norm

from groupglm import SecondLevelModel
from groupglm.report import HTMLReport
from groupglm.report.data_quality import leverage, look_at_images
from groupglm.report.words import MINUS, TIMES
from groupglm.spaces.public_rows import from_public
from reference.pages import AFFINE, N, Page, fitted_files, payload, small_study

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SecondLevelModel:
    """Return a model fitted to files, with an effect of the group in one place."""
    return fitted_files(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def report(model: SecondLevelModel) -> HTMLReport:
    contrasts = {"patients minus controls": "group", "age": "age"}
    return model.generate_report(contrasts, height_control="bonferroni", alpha=0.05, two_sided=True)


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
    told = []
    for name, at in (("positive", values.argmax()), ("negative", values.argmin())):
        voxel = np.unravel_index(at, values.shape)
        x, y, z = (AFFINE @ [*voxel, 1])[:3].round().astype(int)
        told.append(f"the strongest {name} z is {values[voxel]:.3f} at ({x}, {y}, {z}) mm")
    assert f". T{told[0][1:]}, {told[1]}.".replace("-", MINUS) in page.text


def test_nothing_survived_is_said_plainly(page: Page, model: SecondLevelModel) -> None:
    age: Any = model.compute_contrast("age")
    values = np.asarray(age.dataobj)
    highest = values.ravel()[np.argmax(np.abs(values))]
    strongest = values.max()
    threshold = norm.isf(0.05 / 2 / model.n_elements_)
    assert abs(highest) < threshold  # or there is nothing to test here
    sentence = f"Nothing survived. The strongest positive z is {strongest:.3f}"
    assert sentence.replace("-", MINUS) in page.text
    assert f"; the threshold is {threshold:.3f}." in page.text


def test_a_false_discovery_rate_that_no_threshold_holds_is_said(model: SecondLevelModel) -> None:
    text = Page(
        model.generate_report(
            "age", height_control="fdr", alpha=0.001, two_sided=True
        ).get_standalone()
    ).text
    assert "Nothing survived." in text
    assert "Benjamini Y, Hochberg Y." in text


def test_a_cluster_that_is_too_small_is_said(model: SecondLevelModel) -> None:
    report = model.generate_report("group", cluster_threshold=5000)
    text = Page(report.get_standalone()).text
    z_map: Any = model.compute_contrast("group")
    values = np.asarray(z_map.dataobj)
    top = np.unravel_index(np.argmax(np.abs(values)), values.shape)
    labels, _ = label(np.sign(values[top]) * values >= norm.isf(0.0005))
    size = np.count_nonzero(labels == labels[top])
    told = f"above the threshold in a cluster of {size} voxels, fewer than the 5000 asked for"
    assert text.count(told) == 3  # in the summary, in the contrast's part and at the peak's data
    assert "below the threshold" not in text
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


def _number(label: object) -> int:
    return int(str(label).rstrip("abc"))


def test_the_clusters_are_those_of_the_table(model: SecondLevelModel) -> None:
    from groupglm import get_clusters_table, threshold_stats_img

    text = model.generate_report("group", two_sided=True).get_standalone()
    body = re.search(r'<div class="table" id="clusters-1">.*?</table>', text, re.DOTALL)
    assert body is not None
    rows = re.findall(r"<tr>((?:<td>.*?</td>)+)</tr>", body[0])
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    z_map = model.compute_contrast("group")
    _, threshold = threshold_stats_img(z_map, model.mask_img_, alpha=0.001, two_sided=True)
    table = get_clusters_table(z_map, threshold, two_sided=True)
    rows_of = {  # the strongest first, whatever the sign, with the numbers of the table
        number: [row for row, label in enumerate(table["Cluster ID"]) if _number(label) == number]
        for number in {_number(label) for label in table["Cluster ID"]}
    }
    strongest = sorted(rows_of.values(), key=lambda rows: -abs(table["Peak Stat"][rows[0]]))
    table = table.iloc[[row for rows in strongest for row in rows]].reset_index(drop=True)
    assert (table["Peak Stat"] < 0).any()  # or there is one tail only
    voxels = [row[6] for row in cells if row[6]]
    edges = z_map.header.get_zooms()[:3]
    assert [int(size) for size in voxels] == [
        round(float(size) / float(np.prod(edges))) for size in table["Cluster Size (mm3)"] if size
    ]
    assert [row[0] for row in cells] == [str(label) for label in table["Cluster ID"]]
    np.testing.assert_allclose(
        np.array([row[1:5] for row in cells], float),
        table[["X", "Y", "Z", "Peak Stat"]].to_numpy(float),
        atol=5.1e-4,  # three digits
    )


@pytest.mark.parametrize("place", ["contrast", "column", "title", "file"])
def test_names_are_text_wherever_they_stand(place: str, tmp_path: Path) -> None:
    images, design = small_study()
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


def test_the_viewers_map_is_the_map(model: SecondLevelModel, report: HTMLReport) -> None:
    found = payload(report.get_standalone(), "viewer-map-0")
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
    group = model._fits.of(None)
    found = look_at_images(group, np.array([5, 7], dtype=np.intp))
    seen = np.asarray(model.masker_.transform(model.second_level_input_), dtype=np.float64)
    Y = from_public(group.space, seen)
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
        assert image.hashes == ((str(path), hashlib.sha256(path.read_bytes()).hexdigest()),)
    np.testing.assert_array_equal(found.at_places, Y[:, [5, 7]])


def test_outliers_are_flagged_and_others_are_not() -> None:
    images, design = small_study()
    data = np.asarray(images[4].dataobj)
    images[4] = nib.Nifti1Image(data * 3, AFFINE)  # type: ignore[no-untyped-call]
    images[9] = nib.Nifti1Image(data + 2.0 * (data != 0), AFFINE)  # type: ignore[no-untyped-call]
    model = SecondLevelModel().fit(images, design_matrix=design)
    text = Page(model.generate_report(None).get_standalone()).text
    assert "2 of the 16 images are far from the others: image 5 in memory and image 10" in text
    assert "No contrast was asked for" in text
    clean = SecondLevelModel().fit(small_study()[0], design_matrix=design)
    assert (
        "None of the 16 images is far from the others."
        in Page(clean.generate_report(None).get_standalone()).text
    )


def test_missing_values_are_counted(tmp_path: Path) -> None:
    images, design = small_study()
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
    assert 'width="600" height="500"' in report.get_iframe(600)
    assert 'width="900" height="40"' in report.get_iframe(height=40)
    with pytest.raises(ValueError, match="height is 0"):
        report.get_iframe(600, 0)
    assert report.resize(300, 200) is report
    assert (report.width, report.height) == (300, 200)
    assert report.get_iframe() == report._repr_html_()
    report.width, report.height = 700, 300
    frame = Page(report._repr_html_()).named("iframe")[0]
    assert (frame["width"], frame["height"]) == ("700", "300")
    with pytest.raises(ValueError, match="width is -1; 'width' must be a whole number, at least 1"):
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

    folder = Path(groupglm.report.__file__).parent
    names = {path.name for path in (folder / "templates").iterdir()}
    assert {"page.html.j2", "parts.html.j2", "style.css", "page.js"} <= names
    assert {"viewer.html.j2", "viewer.js"} <= {path.name for path in (folder / "volume").iterdir()}
