# SPDX-License-Identifier: BSD-3-Clause
"""The viewer as a page of its own, in a real browser."""

from __future__ import annotations

import io
from base64 import b64decode
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from groupglm.report.asked_view import AskedView
from groupglm.report.view import view_page
from groupglm.report.words import MINUS
from reference.browser import Visit, chromium, sync_api
from reference.meshes import folded, metric_image, surface_image

nib: Any = nibabel


def test_it_reads_values_moves_its_threshold_and_changes_maps(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(12, 14, 10)).astype(np.float32)
    values[4, 5, 6], values[7, 7, 7] = 6.25, -8.5
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    maps = []
    for name, own in (("a_stat-t", values), ("b_stat-p", np.abs(values) / 100)):
        maps.append(tmp_path / f"{name}_statmap.nii.gz")
        nib.save(nib.Nifti1Image(own, affine), maps[-1])
    asked = [
        AskedView(maps[:1], ["first <b>"], 3.0, None),
        AskedView([maps[1], maps[0]], ["second", "first"], None, None),
    ]
    first, second = (
        view_page(own, own.names[0]).save_as_html(tmp_path / f"{n}.html").as_uri()
        for n, own in enumerate(asked)
    )
    with chromium() as browser:
        visit = Visit(browser, first, viewport={"width": 900, "height": 700})
        page = visit.page
        readout = page.locator("#viewer-readout")
        sync_api.expect(readout).to_have_text(
            f"(28.0, 28.0, 28.0) mm: t = {MINUS}8.50, above the threshold"
        )
        sync_api.expect(page.locator("#viewer-limit")).to_have_text("|t| > 3.00")
        page.locator("#viewer-threshold").fill("9")
        sync_api.expect(readout).to_contain_text(f"t = {MINUS}8.50, not above the threshold")
        assert page.locator("h1").text_content() == "first <b>"
        assert page.evaluate("document.documentElement.scrollWidth") <= 900
        assert visit.troubles == []
        assert visit.requests == [first]
        visit.context.close()
        visit = Visit(browser, second, viewport={"width": 480, "height": 700})
        sync_api.expect(visit.page.locator("#viewer-readout")).to_contain_text("p = 0.085")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 480
        visit.page.locator("#viewer-map").select_option("1")
        sync_api.expect(visit.page.locator("#viewer-readout")).to_contain_text(f"t = {MINUS}8.50")
        assert visit.troubles == []
        visit.context.close()


def test_surfaces_have_still_pictures_where_they_cannot_be_turned(tmp_path: Path) -> None:
    points, faces = folded(3)
    surfaces = {"left": surface_image(points, faces)}
    values = np.linspace(-4, 4, len(points)).astype(np.float32)
    maps = [{"left": metric_image(own)} for own in (values, -2 * values)]
    asked = AskedView(maps, ["first", "second"], 2.0, surfaces=surfaces)
    address = view_page(asked, "two").save_as_html(tmp_path / "page.html").as_uri()
    with chromium("--disable-gpu", "--disable-3d-apis") as browser:
        page = browser.new_page(viewport={"width": 900, "height": 700})
        page.goto(address)
        readout = page.locator("#viewer-readout")
        sync_api.expect(readout).to_contain_text("still pictures", timeout=20_000)
        still = page.locator("#viewer-still img")
        sources = [page.locator(f"#map-{n} img").get_attribute("src") for n in (0, 1)]
        assert still.get_attribute("src") == sources[0]
        page.locator("#viewer-map").select_option("1")
        assert still.get_attribute("src") == sources[1] != sources[0]
        assert page.locator("img:visible").count() == 1
        page.close()
        # A page without programs shows all.
        page = browser.new_page(java_script_enabled=False)
        page.goto(address)
        assert page.locator("img:visible").count() == 2
        assert page.locator("figcaption").all_text_contents() == ["first", "second"]
        page.close()
    pixels = np.asarray(Image.open(io.BytesIO(b64decode(sources[0].partition(",")[2]))))
    assert len(np.unique(pixels)) > 20
    with chromium("--use-angle=swiftshader", "--enable-unsafe-swiftshader") as browser:
        visit = Visit(browser, address)
        assert visit.page.locator("img:visible").count() == 0
        visit.context.close()
