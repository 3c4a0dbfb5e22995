# SPDX-License-Identifier: BSD-3-Clause
"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.report import HTMLReport
from groupglm.report.words import MINUS
from reference.browser import Visit, chromium, sync_api

SHAPE = (20, 24, 18)
# Flipped, anisotropic and turned: the viewer has to go through the whole affine.
TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN @ np.diag([-4.0, 4.0, 5.0])
AFFINE[:3, 3] = -AFFINE[:3, :3] @ (np.array(SHAPE) / 2)
PEAK = (14, 7, 11)
EVIL = "<script>alert(1)</script>"
N = 14


@pytest.fixture(scope="module")
def model() -> SecondLevelModel:
    rng = np.random.default_rng(21)
    design = pd.DataFrame({EVIL: np.arange(N) % 2.0, "age": rng.normal(0, 9, N), "intercept": 1.0})
    brain = np.zeros(SHAPE)
    brain[2:-2, 2:-2, 2:-2] = 1
    images = []
    for row in range(N):
        values = rng.standard_normal(SHAPE)
        values[PEAK] += 12 * design[EVIL][row]
        values[5:8, 15:18, 5:8] -= 5 * design[EVIL][row]
        images.append(nib.Nifti1Image((values * brain).astype(np.float32), AFFINE))  # type: ignore[no-untyped-call]
    return SecondLevelModel().fit(images, design_matrix=design)


@pytest.fixture(scope="module")
def report(model: SecondLevelModel) -> HTMLReport:
    contrasts = {EVIL: [1, 0, 0], "a rather long name of a contrast " * 4: "age"}
    return model.generate_report(contrasts, two_sided=True)


@pytest.fixture(scope="module")
def address(report: HTMLReport, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.save_as_html(tmp_path_factory.mktemp("page") / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    visit = Visit(browser, address, viewport={"width": 1000, "height": 900})
    yield visit
    visit.context.close()
    assert visit.troubles == []


@pytest.mark.parametrize("width", [480, 1000, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_nothing_is_loaded(
    browser: Any, address: str, width: int, scheme: str
) -> None:
    visit = Visit(
        browser, address, viewport={"width": width, "height": 800}, color_scheme=scheme
    )  # fmt: skip
    visit.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    # Nor is anything cut off: no element but the tables' own frames reaches beyond the window.
    beyond = visit.page.evaluate(
        """(width) => [...document.querySelectorAll('main *')].filter((element) =>
             !element.closest('.scroll') && element.getBoundingClientRect().right > width + 0.5
           ).map((element) => element.outerHTML.slice(0, 80))""",
        width,
    )
    assert beyond == []
    assert visit.troubles == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [address]
    visit.context.close()


def test_dark_mode_is_dark_and_its_letters_can_be_read(browser: Any, address: str) -> None:
    contrast = """() => {
        const light = (color) => {
          const parts = color.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
          return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const ground = light(getComputedStyle(document.body).backgroundColor);
        const names = ['p', '.note', 'a', 'td', 'th button', 'figcaption', 'figure svg text'];
        return [ground, names.map((name) => {
          const element = document.querySelector(name);
          const style = getComputedStyle(element);
          const ink = light(element.closest('svg') ? style.fill : style.color);
          return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
        })];
      }"""
    for scheme in ("light", "dark"):
        visit = Visit(browser, address, color_scheme=scheme)
        ground, ratios = visit.page.evaluate(contrast)
        assert (ground < 0.05) == (scheme == "dark")
        # 4.5 is what WCAG 2.1 asks of text (criterion 1.4.3).
        assert min(ratios) >= 4.5
        visit.context.close()


def test_a_table_sorts_by_a_click(visit: Visit) -> None:
    column = (
        "[...document.querySelectorAll('#images tbody tr')].map((row) => row.cells[2].textContent)"
    )
    before = [float(text) for text in visit.page.evaluate(column)]
    header = visit.page.locator("#images th").nth(2)
    header.locator("button").click()
    assert [float(text) for text in visit.page.evaluate(column)] == sorted(before)
    assert header.get_attribute("aria-sort") == "ascending"
    header.locator("button").click()
    assert [float(text) for text in visit.page.evaluate(column)] == sorted(before, reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    # Clusters have no size where they are further peaks: those stay at the end.
    visit.page.locator("#clusters-1 th").nth(4).locator("button").click()
    peaks = visit.page.evaluate(
        """[...document.querySelectorAll('#clusters-1 tbody tr')].map(
             (row) => row.cells[4].textContent)"""
    )
    assert [float(text) for text in peaks] == sorted(float(text) for text in peaks)


def test_the_download_is_the_table(visit: Visit, tmp_path: Path) -> None:
    with visit.page.expect_download() as waiting:
        visit.page.locator("#clusters-1 [data-download]").click()
    assert waiting.value.suggested_filename == "clusters-1.tsv"
    path = tmp_path / "clusters.tsv"
    waiting.value.save_as(path)
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    rows = visit.page.evaluate(
        """[...document.querySelectorAll('#clusters-1 tbody tr')].map(
             (row) => [...row.cells].map((cell) => cell.textContent))"""
    )
    assert len(table) > 1
    assert table.to_numpy().tolist() == rows
    assert list(table.columns)[:5] == ["Cluster ID", "X", "Y", "Z", "Peak Stat"]


def test_the_design_comes_back_exactly(
    visit: Visit, model: SecondLevelModel, tmp_path: Path
) -> None:
    visit.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    with visit.page.expect_download() as waiting:
        visit.page.locator("[data-download=design-matrix]").click()
    waiting.value.save_as(tmp_path / "design_matrix.tsv")
    table = pd.read_csv(tmp_path / "design_matrix.tsv", sep="\t")
    pd.testing.assert_frame_equal(table, model.design_matrix_, check_exact=True)


def test_a_table_and_a_paragraph_are_copied(browser: Any, address: str) -> None:
    visit = Visit(browser, address, permissions=["clipboard-read", "clipboard-write"])
    visit.page.locator("#columns [data-copy-table]").click()
    text = visit.page.evaluate("navigator.clipboard.readText()")
    assert text.splitlines()[0] == "column\tsmallest\tlargest\tmean\tvariance inflation"
    assert visit.page.locator("#columns [role=status]").text_content() == "Copied"
    visit.page.locator(".methods summary").click()
    visit.page.locator("[data-copy=methods-text]").click()
    text = visit.page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("Group analysis was a mass-univariate general linear model")
    visit.context.close()


def _readout(visit: Visit) -> tuple[list[float], str]:
    text = visit.page.locator("#viewer-readout").text_content().replace(MINUS, "-")
    place, what = text.split(" mm: ")
    return [float(number) for number in place.strip("()").split(",")], what


def _value(model: SecondLevelModel, place: list[float]) -> float | None:
    z_map: Any = model.compute_contrast([1, 0, 0])
    voxel = np.floor((np.linalg.inv(AFFINE) @ [*place, 1])[:3] + 0.5).astype(int)
    if not np.asarray(model.mask_img_.dataobj)[tuple(voxel)]:
        return None
    return float(np.asarray(z_map.dataobj)[tuple(voxel)])


def test_the_viewer_begins_at_the_peak(visit: Visit, model: SecondLevelModel) -> None:
    place, what = _readout(visit)
    np.testing.assert_allclose(place, (AFFINE @ [*PEAK, 1])[:3], atol=0.051)
    expected = _value(model, (AFFINE @ [*PEAK, 1])[:3].tolist())
    assert what == f"z = {expected:.2f}, above the threshold"


def test_the_viewer_moves_on_a_click_and_tells_the_value_there(
    visit: Visit, model: SecondLevelModel
) -> None:
    seen = set()
    for axis, across, down in [("z", 0.4, 0.45), ("x", 0.62, 0.5), ("y", 0.5, 0.6)]:
        before, _ = _readout(visit)
        canvas = visit.page.locator(f"canvas[data-axis={axis}]")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        visit.page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
        place, what = _readout(visit)
        through = "xyz".index(axis)
        assert place[through] == before[through]
        assert all(place[other] != before[other] for other in range(3) if other != through)
        # The readout's place is rounded to 0.1 mm: not where that crosses into another voxel.
        near = {_value(model, (np.array(place) + shift).tolist()) for shift in
                np.vstack([np.zeros(3), 0.05 * np.eye(3), -0.05 * np.eye(3)])}  # fmt: skip
        texts = {"outside the mask" if z is None else f"z = {z:.2f}" for z in near}
        assert what.split(",")[0] in texts
        seen.add(what)
    assert len(seen) == 3


def test_the_planted_voxel_is_drawn_where_it_lies(visit: Visit) -> None:
    """Read the canvases' pixels, away from the crosshair."""
    _, what = _readout(visit)
    visit.page.locator("#viewer-threshold").fill(str(float(what.split()[2].rstrip(",")) - 0.02))
    low, high = visit.page.evaluate(
        """(() => {
             const data = JSON.parse(document.getElementById('viewer-background').textContent);
             return [data.low, data.high]; })()"""
    )
    visit.page.wait_for_timeout(200)
    peak = (AFFINE @ [*PEAK, 1])[:3]
    reach = np.abs(AFFINE[:3, :3]).sum(axis=1) / 2
    for axis, (first, second) in {"x": (1, 2), "y": (0, 2), "z": (0, 1)}.items():
        found = visit.page.evaluate(
            """(axis) => {
              const canvas = document.querySelector(`canvas[data-axis=${axis}]`);
              const { width, height } = canvas;
              const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
              const box = [1e9, -1e9, 1e9, -1e9];
              for (let pixel = 0; pixel < width * height; pixel++) {
                const [row, column] = [Math.floor(pixel / width), pixel % width];
                const at = 4 * pixel;
                // Orange to yellow, which no grey and no green line is.
                if (data[at] > 180 && data[at] > data[at + 2] + 40) {
                  box[0] = Math.min(box[0], column); box[1] = Math.max(box[1], column + 1);
                  box[2] = Math.min(box[2], row); box[3] = Math.max(box[3], row + 1);
                }
              }
              return [width, height, ...box];
            }""",
            axis,
        )
        width, height, left, right, top, bottom = found
        scale_u = (high[first] - low[first]) / width
        scale_v = (high[second] - low[second]) / height
        middle_u = low[first] + scale_u * (left + right) / 2
        middle_v = high[second] - scale_v * (top + bottom) / 2
        # A parallelepiped cut through its centre is symmetric about it; pixels are half a mm.
        assert abs(middle_u - peak[first]) <= 1.0
        assert abs(middle_v - peak[second]) <= 1.0
        assert scale_u * (right - left) <= 2 * reach[first] + 1.0
        assert scale_v * (bottom - top) <= 2 * reach[second] + 1.0


def test_the_viewer_obeys_keys_slider_and_choice(visit: Visit) -> None:
    canvas = visit.page.locator("canvas[data-axis=z]")
    canvas.focus()
    before, _ = _readout(visit)
    for key, axis, sign in [("ArrowRight", 0, 1), ("ArrowDown", 1, -1), ("PageUp", 2, 1)]:
        visit.page.keyboard.press(key)
        after, _ = _readout(visit)
        step = np.subtract(after, before)
        assert step[axis] == pytest.approx(4.0 * sign, abs=0.11)  # the smallest edge
        assert np.count_nonzero(np.abs(step) > 0.01) == 1
        before = after
    visit.page.locator("#viewer-peak").click()
    _, what = _readout(visit)
    assert what.endswith(", above the threshold")
    highest = visit.page.locator("#viewer-threshold").get_attribute("max")
    visit.page.locator("#viewer-threshold").fill(highest)
    _, what = _readout(visit)
    assert what.endswith(", not above the threshold")
    assert visit.page.locator("#viewer-limit").text_content() == f"|z| > {float(highest):.2f}"
    visit.page.locator("#viewer-map").select_option("1")
    limit = visit.page.locator("#viewer-limit")
    sync_api.expect(limit).not_to_have_text(f"|z| > {float(highest):.2f}")
    changed, _ = _readout(visit)
    assert changed != before


def test_a_cluster_leads_to_the_viewer(visit: Visit) -> None:
    row = visit.page.locator("#clusters-1 tbody tr").nth(1)
    cells = row.locator("td").all_text_contents()
    row.locator("button").click()
    start = f"({float(cells[1]):.1f},".replace("-", MINUS)
    sync_api.expect(visit.page.locator("#viewer-readout")).to_contain_text(start)
    place, _ = _readout(visit)
    np.testing.assert_allclose(place, [float(cell) for cell in cells[1:4]], atol=0.051)
    top = visit.page.evaluate("document.getElementById('viewer').getBoundingClientRect().top")
    assert top < 900  # in the window, or on the way there


def test_the_viewer_leaves_out_small_clusters_as_the_map_does(
    browser: Any, model: SecondLevelModel, tmp_path: Path
) -> None:
    report = model.generate_report(
        {"one voxel": [1, 0, 0]}, cluster_threshold=20, bg_img=None, two_sided=True
    )
    path = report.save_as_html(tmp_path / "report.html")
    visit = Visit(browser, path.as_uri(), viewport={"width": 1000, "height": 900})
    # The large cluster is that of the negative effect; the planted voxel is alone.
    assert _readout(visit)[1].endswith(", above the threshold")
    orange = """() => {
      const canvas = document.querySelector('canvas[data-axis=z]');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) count += data[at] > data[at + 2] + 40;
      return count;
    }"""
    peak = (AFFINE @ [*PEAK, 1])[:3]
    for plane, across, down in [("y", 0, 2), ("x", 1, 2)]:
        box_of = visit.page.locator(f"canvas[data-axis={plane}]")
        box_of.scroll_into_view_if_needed()
        box = box_of.bounding_box()
        low, high = visit.page.evaluate(
            """(() => {
                 const data = JSON.parse(document.getElementById('viewer-background').textContent);
                 return [data.low, data.high]; })()"""
        )
        u = (peak[across] - low[across]) / (high[across] - low[across])
        v = (high[down] - peak[down]) / (high[down] - low[down])
        visit.page.mouse.click(box["x"] + u * box["width"], box["y"] + v * box["height"])
    place, what = _readout(visit)
    np.testing.assert_allclose(place, peak, atol=1.5)
    assert what.endswith("above the threshold, in a cluster of 1 voxel, fewer than 20")
    visit.page.wait_for_timeout(200)
    assert visit.page.evaluate(orange) == 0
    assert visit.troubles == []
    visit.context.close()


def test_the_viewer_shows_what_is_below_a_negative_threshold(
    browser: Any, model: SecondLevelModel, tmp_path: Path
) -> None:
    report = model.generate_report(
        {"one voxel": [1, 0, 0]}, height_control=None, threshold=-3.0, bg_img=None
    )
    path = report.save_as_html(tmp_path / "report.html")
    visit = Visit(browser, path.as_uri(), viewport={"width": 1000, "height": 900})
    # The peak of the large cluster, which is that of the negative effect.
    what = _readout(visit)[1]
    assert what.startswith("z = -")
    assert what.endswith(", below the threshold")
    assert visit.page.locator("#viewer-limit").text_content() == f"z < {MINUS}3.00"
    assert visit.troubles == []
    visit.context.close()


def test_without_a_program_the_pictures_remain(browser: Any, address: str) -> None:
    visit = Visit(browser, address, java_script_enabled=False)
    assert visit.page.locator("figure img").first.is_visible()
    assert visit.page.locator("#clusters-1 table").is_visible()
    assert not visit.page.locator("#viewer").is_visible()
    assert not visit.page.locator("[data-download]").first.is_visible()
    visit.context.close()


def test_a_name_that_is_a_program_is_shown_and_not_run(visit: Visit) -> None:
    assert visit.page.locator("#contrast-1 h2").text_content() == f"Contrast {EVIL}"
    assert EVIL in visit.page.locator("#viewer-map option").first.text_content()
    alts = visit.page.evaluate("[...document.images].map((image) => image.alt)")
    assert any(EVIL in alt for alt in alts)
    # In the charts too: the bars' labels are the columns' names.
    assert visit.page.locator("svg text", has_text="alert(1)").count() >= 2
    # Any dialog, error or line on the console would be among the troubles, which must be empty.


@pytest.mark.parametrize("width", [480, 1000])
def test_a_notebooks_cell_is_not_overflowed(
    browser: Any, report: HTMLReport, width: int, tmp_path: Path
) -> None:
    cell = "<!doctype html><body style='margin:8px'><div style='width:100%'>{}</div></body>"
    path = tmp_path / "notebook.html"
    path.write_text(cell.format(report._repr_html_()), encoding="utf-8")
    visit = Visit(browser, path.as_uri(), viewport={"width": width, "height": 900})
    frame = visit.page.frames[1]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    inner = frame.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert inner[0] <= inner[1] <= width
    # The height asked for, and the frame scrolls within it.
    assert visit.page.locator("iframe").bounding_box()["height"] == 800
    assert visit.troubles == []
    visit.context.close()


def test_it_prints_without_what_only_a_screen_needs(visit: Visit) -> None:
    visit.page.emulate_media(media="print")
    assert not visit.page.locator("nav").is_visible()
    assert not visit.page.locator("#viewer").is_visible()
    assert not visit.page.locator("[data-download]").first.is_visible()
    frame = visit.page.evaluate(
        "(() => { const box = document.querySelector('#images .scroll');"
        "return [box.scrollHeight, box.clientHeight]; })()"
    )
    assert frame[0] == frame[1]  # a printed table is not cut
    assert len(visit.page.pdf()) > 10_000
