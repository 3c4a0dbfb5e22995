# SPDX-License-Identifier: BSD-3-Clause
"""The viewer as a page of its own, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from groupglm.report.asked_view import AskedView
from groupglm.report.view import view_page
from groupglm.report.words import MINUS
from reference.browser import Visit, chromium, sync_api

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
