# SPDX-License-Identifier: BSD-3-Clause
"""Formulas as drawings in the page: no script or font to load, and the same in every browser."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import ziamath
from docutils import nodes

_SIZE = 19.0  # of the letters, in units of the drawing; 16 of them are the text's own size
_EM = 16.0


def _draw(tex: str, *, inline: bool) -> str:
    ziamath.config.svg2 = False  # whole paths: shared symbols of one page would share their ids
    formula = ziamath.Latex(tex, size=_SIZE, inline=inline, color="currentColor")
    drawing = formula.svgxml()
    _, top, width, height = map(float, drawing.attrib["viewBox"].split())
    drawing.set("role", "img")
    drawing.set("aria-label", tex)
    # The drawing's zero is the line that the letters stand on.
    drawing.set(
        "style",
        f"width: {width / _EM:.3f}em; height: {height / _EM:.3f}em; "
        f"vertical-align: {-(top + height) / _EM:.3f}em",
    )
    return ElementTree.tostring(drawing, encoding="unicode")


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_draw(node.astext(), inline=True))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_draw(node.astext(), inline=False)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("svg", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
