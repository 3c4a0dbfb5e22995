# SPDX-License-Identifier: BSD-3-Clause
"""The page, put together: from a fit to HTML."""

from __future__ import annotations

import datetime
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from groupglm.plotting.template import find_background
from groupglm.plotting.volumes import Volume
from groupglm.report import redo, words
from groupglm.report.contrast_section import contrast_section
from groupglm.report.data_quality import look_at_images
from groupglm.report.data_section import data_section, mask_picture
from groupglm.report.design_section import design_section
from groupglm.report.findings import find
from groupglm.report.viewer import background_payload, map_payload

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.fitted import FittedGroup
    from groupglm.plotting.template import Background
    from groupglm.report.options import ReportOptions

__all__ = ["Request", "build_page"]

_MUCH_OUTSIDE = 0.2  # of the mask outside the template's brain


@dataclass(frozen=True, eq=False)
class Request:
    """What a page is to be about.

    Parameters
    ----------
    options : ReportOptions
        Thresholds and looks.
    contrasts : dict of str to array
        The contrasts by name.
    model_parameters, report_parameters : mapping
        What the user gave that is not the default.
    """

    options: ReportOptions
    contrasts: dict[str, NDArray[np.float64]]
    model_parameters: Mapping[str, Any]
    report_parameters: Mapping[str, Any]


def build_page(group: FittedGroup, design: pd.DataFrame, request: Request) -> str:
    """Write the page.

    Parameters
    ----------
    group : FittedGroup
        The fit.
    design : pandas.DataFrame
        Its design matrix.
    request : Request
        What the page is to be about.

    Returns
    -------
    str
        HTML, complete.
    """
    options = request.options
    mask = Volume(group.space.mask.astype(np.uint8), group.space.grid.affine)
    background = find_background(options.bg_img, mask)
    if background is None:  # there is always a mask
        raise AssertionError
    findings = [find(name, weights, group, options) for name, weights in request.contrasts.items()]
    voxels = [peak.place for finding in findings for peak in finding.peaks]
    quality = look_at_images(group, np.array(voxels, dtype=np.intp))
    sections, taken = [], 0
    for finding in findings:
        data = quality.at_voxels
        if data is not None:
            data = data[:, taken : taken + len(finding.peaks)]
        taken += len(finding.peaks)
        sections.append(contrast_section(finding, data, group, design, options, background, mask))
    versions = redo.versions()
    context = {
        "title": options.title or f"Group analysis of {len(group.sources)} images",
        "summary": words.summary(group, quality),
        "correction": words.correction(options) if findings else "",
        "methods": words.methods(group, findings, options, versions),
        "references": words.references(options),
        "data": data_section(group, quality),
        "mask_picture": mask_picture(group, background, mask),
        "background_note": _background_note(background, mask),
        "design": design_section(group, design),
        "contrasts": sections,
        "viewer": _viewer(findings, background, mask),
        "versions": versions,
        "call": redo.call(request.model_parameters, request.report_parameters),
        "parameters": _all_parameters(options),
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return _render(context)


def _viewer(findings: list[Any], background: Background, mask: Volume) -> dict[str, Any] | None:
    if not findings:
        return None
    return {
        "background": background_payload(background, mask),
        "maps": [map_payload(finding, mask) for finding in findings],
    }


def _background_note(background: Background, mask: Volume) -> str:
    """Say what is behind the maps, and whether the mask seems to lie elsewhere."""
    note = background.description
    if background.is_outline:
        return note
    places = np.argwhere(mask.data != 0) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    x, y, z = places.T
    outside = float(np.mean(background.volume.nearest(x, y, z) <= 0))
    if outside > _MUCH_OUTSIDE:
        note += (
            f" {outside:.0%} of the mask lies outside the brain in that picture: are the images in "
            "the same space?"
        )
    return note


def _all_parameters(options: ReportOptions) -> dict[str, str]:
    return {name: redo.shown(value) for name, value in vars(options).items()}


def _render(context: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = importlib.resources.files("groupglm.report") / "templates"

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(read),
        autoescape=True,  # whatever a template is called
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = {
        name: Markup(read(file))  # noqa: S704  (our own files)
        for name, file in (("style", "style.css"), ("program", "page.js"), ("views", "viewer.js"))
    }
    return environment.get_template("page.html.j2").render(**context, **parts)
