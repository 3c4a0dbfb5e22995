# SPDX-License-Identifier: BSD-3-Clause
"""The viewer of surfaces in a real browser, with WebGL drawn by software, and without WebGL."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from groupglm import SecondLevelModel
from groupglm.report.words import MINUS
from reference.browser import CHROMIUM, Visit, chromium, sync_api
from reference.meshes import folded
from reference.surface_study import SurfaceStudy, surface_study

SOFTWARE = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NO_WEBGL = ("--disable-gpu", "--disable-3d-apis")
LEVEL = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SurfaceStudy:
    return surface_study(tmp_path_factory.mktemp("study"), LEVEL, 12)


@pytest.fixture(scope="module")
def model(study: SurfaceStudy) -> SecondLevelModel:
    return SecondLevelModel(surfaces=study.surfaces).fit(study.images, design_matrix=study.design)


@pytest.fixture(scope="module")
def address(model: SecondLevelModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    report = model.generate_report(
        {"group": "group", "age": "age"}, two_sided=True, cluster_threshold=400
    )
    return report.save_as_html(tmp_path_factory.mktemp("page") / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(*SOFTWARE) as browser:
        yield browser


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    visit = Visit(browser, address, viewport={"width": 1000, "height": 900})
    yield visit
    visit.context.close()
    # What drivers say of their speed is no trouble of the page.
    assert [text for text in visit.troubles if "GPU stall" not in text] == []


def _readout(visit: Visit) -> tuple[int, str, list[float], str]:
    """Return the vertex, the side, the position and the words of the readout."""
    text = visit.page.locator("#viewer-readout").text_content().replace(MINUS, "-")
    found = re.fullmatch(r"vertex (\d+), (left|right), \((.*)\) mm: (.*)", text)
    assert found is not None, text
    return int(found[1]), found[2], [float(one) for one in found[3].split(", ")], found[4]


def _pixels(visit: Visit, side: str) -> NDArray[np.int64]:
    visit.page.wait_for_timeout(300)
    shot = visit.page.locator(f"canvas[data-side={side}]").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int64)


def _warm_and_cold(visit: Visit, side: str) -> tuple[int, int]:
    """Count the orange and the blue pixels of a canvas; the ring is green."""
    red, green, blue = np.moveaxis(_pixels(visit, side), -1, 0)
    return int(((red > blue + 50) & (red > green)).sum()), int((blue > red + 50).sum())


def _z(model: SecondLevelModel, name: str) -> dict[str, NDArray[Any]]:
    z_map = model.compute_contrast(name)
    return {side: getattr(z_map, side).agg_data() for side in ("left", "right")}


def test_the_viewer_begins_at_the_peak_and_shows_both_hemispheres(
    visit: Visit, model: SecondLevelModel
) -> None:
    z = _z(model, "group")
    vertex, side, position, what = _readout(visit)
    assert abs(z[side][vertex]) == max(np.abs(own).max() for own in z.values())
    np.testing.assert_allclose(position, folded(LEVEL, side)[0][vertex], atol=0.08)
    assert what == f"z = {z[side][vertex]:.2f}, above the threshold"
    warm, cold = _warm_and_cold(visit, "left")
    assert warm > 200
    assert cold == 0
    warm, cold = _warm_and_cold(visit, "right")
    assert cold > 200
    assert warm == 0
    assert visit.page.locator(".ring:visible").count() == 1
    assert [url for url in visit.requests if not url.startswith("data:")] == [visit.page.url]


def test_moving_over_a_hemisphere_tells_the_vertex_that_is_in_front(
    visit: Visit, model: SecondLevelModel
) -> None:
    """The vertex is compared with that of the renderer of still pictures at the same place."""
    from groupglm.plotting.surface.raster import rasterise
    from groupglm.plotting.surface.views import camera_of

    z = _z(model, "group")
    coordinates, faces = folded(LEVEL, "left")
    middle = (coordinates.min(axis=0) + coordinates.max(axis=0)) / 2
    reach = 1.02 * np.linalg.norm(coordinates - middle, axis=1).max()
    canvas = visit.page.locator("canvas[data-side=left]")
    n_compared = 0
    for view, across, up in [
        ("Lateral", 0.1, 0.15), ("Lateral", -0.3, -0.1), ("Medial", 0.2, 0.1),
        ("Dorsal", 0.05, -0.3), ("Ventral", 0.0, 0.2), ("Anterior", 0.1, -0.1),
    ]:  # fmt: skip
        visit.page.get_by_role("button", name=view, exact=True).click()
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        half = min(box["width"], box["height"]) / 2
        visit.page.mouse.move(
            box["x"] + box["width"] / 2 + across * half, box["y"] + box["height"] / 2 - up * half
        )
        projected = camera_of(view.lower(), "left").project(coordinates - middle) / reach
        # One pixel around the place.
        step = 1e-3
        found = rasterise(projected, faces, (across - step / 2, up - step / 2), step, (1, 1))
        vertex, side, position, what = _readout(visit)
        weights = np.sort(found.weights[0, 0])
        if weights[2] - weights[1] < 0.05:  # two vertices are about as near
            continue
        n_compared += 1
        assert side == "left"
        assert vertex == faces[found.faces[0, 0]][found.weights[0, 0].argmax()]
        np.testing.assert_allclose(position, coordinates[vertex], atol=0.08)
        value = z["left"][vertex]
        assert what.startswith("outside the mask" if value == 0 else f"z = {value:.2f}, ")
    assert n_compared >= 4
    # A place beside the hemisphere leaves the readout at the peak.
    box = canvas.bounding_box()
    visit.page.mouse.move(box["x"] + 3, box["y"] + 3)
    assert _readout(visit)[3].endswith("above the threshold")


def test_a_hemisphere_turns_by_dragging_and_by_keys(visit: Visit) -> None:
    canvas = visit.page.locator("canvas[data-side=left]")
    canvas.scroll_into_view_if_needed()
    before, other = _pixels(visit, "left"), _pixels(visit, "right")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + 60, y + 20, steps=4)
    visit.page.mouse.up()
    turned = _pixels(visit, "left")
    assert (np.abs(turned - before).max(axis=-1) > 40).mean() > 0.02
    np.testing.assert_array_equal(_pixels(visit, "right"), other)
    canvas.focus()
    visit.page.keyboard.press("ArrowUp")
    assert (np.abs(_pixels(visit, "left") - turned).max(axis=-1) > 40).mean() > 0.01
    # What was dragged to the right of the picture is there: the effect, from the middle.
    assert _warm_and_cold(visit, "left")[0] > 100


def test_a_click_keeps_a_vertex_until_another_map_is_chosen(visit: Visit) -> None:
    canvas = visit.page.locator("canvas[data-side=right]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    visit.page.mouse.click(box["x"] + 0.55 * box["width"], box["y"] + 0.6 * box["height"])
    clicked = _readout(visit)
    assert clicked[1] == "right"
    visit.page.mouse.move(5, 5)
    assert _readout(visit) == clicked
    visit.page.locator("#viewer-map").select_option("1")
    sync_api.expect(visit.page.locator("#viewer-limit")).to_contain_text("|z| > ")
    assert _readout(visit)[:2] != clicked[:2]


def test_the_threshold_moves_and_small_clusters_are_left_out(
    visit: Visit, model: SecondLevelModel
) -> None:
    n_before = _warm_and_cold(visit, "left")[0]
    slider = visit.page.locator("#viewer-threshold")
    slider.fill("1.0")
    assert visit.page.locator("#viewer-limit").text_content() == "|z| > 1.00"
    n_more = _warm_and_cold(visit, "left")[0]
    assert n_more > n_before
    slider.fill(slider.get_attribute("max"))
    assert _readout(visit)[3].endswith("not above the threshold")
    assert _warm_and_cold(visit, "left") == (0, 0)
    # The highest peak alone is a cluster of less than 400 mm2.
    highest = float(slider.get_attribute("max"))
    slider.fill(str(highest - 0.02))
    assert re.search(r"in a cluster of [0-9.]+ mm², less than 400$", _readout(visit)[3])
    assert _warm_and_cold(visit, "left") == (0, 0)


def test_a_cluster_leads_to_its_vertex(visit: Visit, model: SecondLevelModel) -> None:
    rows = visit.page.locator("#clusters-1 tbody tr")
    header = visit.page.locator("#clusters-1 th").all_text_contents()
    z = _z(model, "group")
    for number in range(min(rows.count(), 3)):
        value = float(rows.nth(number).locator("td").all_text_contents()[header.index("Peak Stat")])
        rows.nth(number).locator("button").first.click()
        visit.page.wait_for_timeout(200)
        vertex, side, _, what = _readout(visit)
        assert z[side][vertex] == pytest.approx(value, abs=1e-3)
        assert what.endswith("above the threshold")


def test_the_medial_wall_is_dark_and_the_surface_is_not(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Medial", exact=True).click()
    grey = _pixels(visit, "left").max(axis=-1)
    n_dark, n_bright = ((grey > 8) & (grey < 45)).sum(), (grey > 80).sum()
    assert n_dark > 500
    assert n_bright > 500


def test_nothing_overflows_on_a_narrow_screen(browser: Any, address: str) -> None:
    visit = Visit(browser, address, viewport={"width": 420, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 420
    visit.context.close()


def test_without_webgl_the_still_pictures_are_shown(browser: Any, address: str) -> None:
    options = {"executable_path": CHROMIUM, "args": ["--no-sandbox", *NO_WEBGL]}
    with closing(browser.browser_type.launch(**options)) as plain:
        page = plain.new_page(viewport={"width": 1000, "height": 900})
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(address)
        readout = page.locator("#viewer-readout")
        sync_api.expect(readout).to_contain_text("no WebGL 2", timeout=20_000)
        assert page.locator("#viewer canvas:visible").count() == 0
        assert not page.locator("#viewer-threshold").is_visible()
        sources = [page.locator(f"#map-{number} img").get_attribute("src") for number in (0, 1)]
        still = page.locator("#viewer-still img")
        assert still.get_attribute("src") == sources[0]
        page.locator("#viewer-map").select_option("1")
        assert still.get_attribute("src") == sources[1] != sources[0]
        assert still.is_visible()
        assert troubles == []


def test_a_hemisphere_is_zoomed_and_shown_whole_again(visit: Visit) -> None:
    canvas = visit.page.locator("canvas[data-side=left]")
    canvas.scroll_into_view_if_needed()
    before, other = _pixels(visit, "left"), _pixels(visit, "right")
    box = canvas.bounding_box()
    x, y = box["x"] + 0.55 * box["width"], box["y"] + 0.45 * box["height"]
    visit.page.mouse.move(x, y)
    under = _readout(visit)
    scrolled = visit.page.evaluate("scrollY")
    visit.page.mouse.click(x, y)  # the wheel scrolls the page before
    for _ in range(4):
        visit.page.mouse.wheel(0, -120)
    larger = _pixels(visit, "left")
    assert (larger.max(axis=-1) > 30).sum() > 1.2 * (before.max(axis=-1) > 30).sum()
    assert visit.page.evaluate("scrollY") == scrolled
    assert _readout(visit)[:2] == under[:2]  # what the pointer is over stays there
    np.testing.assert_array_equal(_pixels(visit, "right"), other)
    canvas.press("-")
    assert (np.abs(_pixels(visit, "left") - larger).max(axis=-1) > 40).mean() > 0.01
    visit.page.get_by_role("button", name="Highest peak").click()
    canvas.press("+")
    assert visit.page.locator(".ring:visible").count() == 1
    visit.page.get_by_role("button", name="Reset").click()
    ring = np.abs(_pixels(visit, "left") - before).max(axis=-1) > 40
    assert ring.mean() < 0.005  # the outline of the focus at most


def test_the_wheel_is_the_pages_until_a_hemisphere_is_chosen(visit: Visit) -> None:
    canvas = visit.page.locator("canvas[data-side=left]")
    event = "new WheelEvent('wheel', {deltaY: -120, cancelable: true})"
    turn = f"own => own.dispatchEvent({event})"  # false if the page is kept from scrolling
    assert canvas.evaluate(turn) is True
    canvas.focus()
    assert canvas.evaluate(turn) is False


def test_a_peak_beside_the_picture_is_brought_into_it(visit: Visit) -> None:
    canvas = visit.page.locator("canvas[data-side=left]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    visit.page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.6 * box["height"])
    for _ in range(12):
        visit.page.mouse.wheel(0, -120)
    visit.page.get_by_role("button", name="Highest peak").click()
    assert _readout(visit)[1] == "left"
    ring = visit.page.locator(".ring:visible").bounding_box()
    assert box["x"] <= ring["x"] + 8 <= box["x"] + box["width"]
