# SPDX-License-Identifier: BSD-3-Clause
"""A real browser: Chromium, driven by playwright.

Without Chromium the tests that import this are skipped, but not where the environment variable
``CI`` is set: a check that silently does not happen is none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None and not os.environ.get("CI"):
    pytest.skip("no chromium on this machine; on Debian: apt-get install chromium",
                allow_module_level=True)  # fmt: skip

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@contextmanager
def chromium(*options: str) -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # Root, as in containers, cannot have the sandbox.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", *options]
        )
        yield browser
        browser.close()


class Visit:
    """A page that is open, and what went wrong on it."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        # Without gliding: a click would miss what still moves.
        self.context = browser.new_context(reduced_motion="reduce", **options)
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        if options.get("java_script_enabled", True):
            # Not wait_for_function: it evaluates text, which the page's own policy forbids.
            frame = self.page.frames[-1]  # the page itself, or the notebook's frame
            sync_api.expect(frame.locator("#viewer-readout")).to_contain_text("mm", timeout=20_000)

    def _dismiss(self, dialog: Any) -> None:
        self.troubles.append(f"dialog {dialog.message}")
        dialog.dismiss()
