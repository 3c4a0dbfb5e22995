# SPDX-License-Identifier: BSD-3-Clause
"""A sheet in a file, of the same bytes for the same maps: `save_sheet`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from groupglm.plotting.figure import save_figure

if TYPE_CHECKING:
    from pathlib import Path

    from groupglm.plotting.figure import Figure

__all__ = ["save_sheet"]

# Without the time, and with identifiers that do not depend on chance.
_DATELESS: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def save_sheet(figure: Figure, path: Path) -> None:
    """Write a sheet to a file, whole or not at all; its ending is its format."""
    with mpl.rc_context({"svg.hashsalt": "groupglm", "svg.fonttype": "path"}):
        metadata = _DATELESS.get(path.suffix.lower())
        save_figure(figure, path, dpi=figure.dpi, metadata=metadata)
