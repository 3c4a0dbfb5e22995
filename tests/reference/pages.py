# SPDX-License-Identifier: BSD-3-Clause
"""A small study with one effect, and what a browser would make of a page about it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from groupglm import SecondLevelModel

SHAPE = (14, 16, 12)
AFFINE = np.array([[-4.0, 0, 0, 26], [0, 4.0, 0, -30], [0, 0, 5.0, -28], [0, 0, 0, 1]])
N = 16


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


def small_study() -> tuple[list[Any], pd.DataFrame]:
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


def fitted_files(folder: Path) -> SecondLevelModel:
    """A model fitted to the files of the small study, whose groups differ in one place."""
    images, design = small_study()
    paths = [folder / f"sub-{row + 1:02d}.nii.gz" for row in range(N)]
    for image, path in zip(images, paths, strict=True):
        image.to_filename(path)
    return SecondLevelModel().fit(paths, design_matrix=design)


def payload(page: str, name: str) -> dict[str, Any]:
    """What a page hands over to its programs under this name."""
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found
