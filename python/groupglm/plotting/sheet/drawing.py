# SPDX-License-Identifier: BSD-3-Clause
"""A sheet of maps of any kind of data: `draw_sheet`."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from groupglm.errors import ArgumentError, in_quotes, shown
from groupglm.plotting.limits import size_of_threshold
from groupglm.plotting.sheet.asked import MOST_OUTLINES, PICTURES
from groupglm.runtime.arguments import check_choice
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from groupglm.plotting.figure import Figure
    from groupglm.plotting.sheet.asked import Asked

__all__ = ["check_sheet", "draw_sheet", "picture_of"]

# The module that draws each kind of picture; each has the functions `check_views` and `draw`.
_DRAWN_BY = {
    "slices": "groupglm.plotting.volume.sheet",
    "glass": "groupglm.plotting.volume.sheet",
    "surface": "groupglm.plotting.surface.sheet",
}


def picture_of(asked: Asked) -> str:
    """Return the kind of picture: what was asked for, or what the first map's data have."""
    if asked.picture is not None:
        return check_choice("kind", asked.picture, PICTURES)
    return "slices" if kind_of(asked.maps[0]).tag in ("volume", "table") else "surface"


def check_sheet(asked: Asked) -> Asked:
    """Refuse what cannot be drawn, before a map is read; return it with its kind of picture.

    Raises
    ------
    ArgumentError
        If a parameter has another value than those that it can have.
    """
    asked = replace(asked, picture=picture_of(asked))
    size_of_threshold(asked.threshold, np.zeros(1))
    if asked.overlay and len(asked.maps) != 2:
        raise ArgumentError(
            "overlay", "True", remedy=f"it draws two maps over each other; {len(asked.maps)} given"
        )
    if len(asked.outlines) > MOST_OUTLINES:
        raise ArgumentError(
            "outlines", f"{len(asked.outlines)} maps", f"at most {MOST_OUTLINES}", verb="has"
        )
    if asked.vmax is not None and not asked.vmax > 0:
        raise ArgumentError("vmax", shown(asked.vmax), "larger than 0")
    _check_kinds(asked)
    importlib.import_module(_DRAWN_BY[picture_of(asked)]).check_views(asked)
    return asked


def _check_kinds(asked: Asked) -> None:
    """Refuse maps of another kind of data than the picture is of."""
    wanted = asked.picture == "surface"
    given = [("stat_map_img", image) for image in asked.maps]
    given += [("outlines", one.image) for one in asked.outlines]
    for name, image in given:
        tag = kind_of(image).tag
        if tag in ("table", "cifti parcels"):
            raise ArgumentError.about(
                name,
                f"{in_quotes(image)} holds regions, which have no place in a brain",
                "draw them with groupglm.plotting.plot_regions",
            )
        if (tag != "volume") != wanted:
            raise ArgumentError.about(
                name,
                f"{in_quotes(image)} is of {'voxels' if tag == 'volume' else 'surfaces'}, and "
                f"{'surfaces are' if wanted else f'voxels are, as {asked.picture},'} to be drawn",
                "draw maps of voxels as slices or glass, and maps of surfaces as surface",
            )


def draw_sheet(asked: Asked) -> Figure:
    """Draw maps on one figure, without pyplot; `check_sheet` has checked what is asked for."""
    return cast("Figure", importlib.import_module(_DRAWN_BY[picture_of(asked)]).draw(asked))
