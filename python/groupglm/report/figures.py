# SPDX-License-Identifier: BSD-3-Clause
"""Figures as parts of a page: charts as SVG that follows dark mode, maps as compressed PNG."""

from __future__ import annotations

import base64
import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DPI", "Picture", "chart", "picture"]

DPI = 130
"""Pixels an inch of pictures of maps."""

_GREYS = 96  # of 256 colours; the colour scales have the others

# Colours that the page's style sheet sets, so that charts can be read on dark ground too.
_FOLLOW_STYLE = {
    "stroke: #000000": "stroke: currentColor",
    "stroke: #1a1a1a": "stroke: currentColor",
    "fill: #000000": "fill: currentColor",
    "#0072b2": "var(--blue)",
    "#d55e00": "var(--orange)",
    "'DejaVu Sans'": "system-ui, 'DejaVu Sans'",
}
_DRAWING_ID = re.compile(r' id="[A-Za-z.0-9]+_\d+"')  # names of parts that nothing refers to


@dataclass(frozen=True)
class Picture:
    """A figure as a part of a page.

    Parameters
    ----------
    markup : markupsafe.Markup
        An ``svg`` or ``img`` element without its text.
    alt : str
        A description of the picture, for readers who do not see it.
    caption : str
        The text below; may be empty.
    source : str
        Address of the picture's bytes; empty for a chart.
    """

    markup: Markup
    alt: str
    caption: str = ""
    source: str = ""


def chart(figure: Figure, alt: str, caption: str = "") -> Picture:
    """Make a chart into a part of a page."""
    import matplotlib as mpl

    buffer = io.StringIO()
    # The salt makes equal figures equal; without it each run would have other names.
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "groupglm"}),
        warnings.catch_warnings(),
    ):
        # Text stays text: the browser has fonts for characters that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _DRAWING_ID.sub("", text)
    # Only matplotlib's style attributes, because a column may be called "#0072b2".
    text = re.sub(r' style="[^"]*"', lambda match: _restyle(match[0]), text)
    text = text.replace("<svg ", '<svg aria-hidden="true" ', 1)
    return Picture(Markup(text), alt, caption)  # noqa: S704  (matplotlib has escaped the names)


def _restyle(style: str) -> str:
    for found, wanted in _FOLLOW_STYLE.items():
        style = style.replace(found, wanted)
    return style


def picture(figure: Figure, alt: str, caption: str = "") -> Picture:
    """Make a figure of maps into a part of a page."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), pixels).convert("RGB")
    palette = _palette()
    entries = np.array(drawn.quantize(palette=palette, dither=Image.Dither.NONE))
    # Grey stays grey, because the nearest colour of a light grey may be a light blue.
    values = np.asarray(drawn)
    is_grey = values.min(axis=2) == values.max(axis=2)
    entries[is_grey] = np.round(values[is_grey, 0] / 255 * (_GREYS - 1))
    colours = Image.fromarray(entries)
    colours.putpalette(palette.palette.tobytes())
    buffer = io.BytesIO()
    colours.save(buffer, format="PNG", compress_level=9)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(Markup(""), alt, caption, f"data:image/png;base64,{data}")


def _palette() -> Any:
    """Return an image of the colours of maps: greys, and those of the two scales."""
    import numpy as np
    from PIL import Image

    from groupglm.plotting.colors import ON_DARK, ON_LIGHT, count_map

    grey = np.tile(np.linspace(0, 255, _GREYS).round()[:, np.newaxis], (1, 3))
    scales = [
        np.asarray(cmap(np.linspace(low, 1, n)))[:, :3] * 255
        for cmap, low, n in ((ON_DARK, 0.0, 76), (ON_LIGHT, 0.0, 60), (count_map(), 0.0, 24))
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.vstack([grey, *scales]).round().astype(np.uint8).tobytes())
    return palette
