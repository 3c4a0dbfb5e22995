# SPDX-License-Identifier: BSD-3-Clause
"""Make report.png, the picture of a report in the README: a real one, in a real browser.

Needs the extra ``test`` and the system's chromium: ``python docs/images/make_report_picture.py``.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from groupglm import SecondLevelModel
from groupglm.datasets import simulate_group_study

WIDTH, HEIGHT = 1100, 1250


def make_report(folder: Path) -> Path:
    """Write the report of a simulated study."""
    study = simulate_group_study(folder / "study", n_subjects=60)
    model = SecondLevelModel(mask_img=study.mask_img).fit(
        study.paths, design_matrix=study.design_matrix
    )
    contrasts = {"patients > controls": "group", "age": "age"}
    report = model.generate_report(contrasts, alpha=0.05, height_control="fdr")
    path = folder / "report.html"
    report.save_as_html(path)
    return path


def photograph(page_file: Path) -> Image.Image:
    """Return the first contrast's part of the page as a browser shows it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(page_file.as_uri())
        page.get_by_role("link", name="patients > controls").first.click()
        page.wait_for_timeout(500)  # milliseconds, for the scrolling to end
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    return picture


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        picture = photograph(make_report(Path(name)))
    target = Path(__file__).with_name("report.png")
    colours = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
    colours.save(target, optimize=True)
