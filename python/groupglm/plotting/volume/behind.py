# SPDX-License-Identifier: BSD-3-Clause
"""The brain behind slices of a map, and how light or dark it is: `draw_behind`, `Shade`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentTypeError, shown
from groupglm.plotting.colors import DARK, LIGHT
from groupglm.plotting.volume.pictures import keeping_limits
from groupglm.plotting.volume.template import MNI
from groupglm.runtime.arguments import check_choice, real_number

if TYPE_CHECKING:
    from groupglm.plotting.colors import Look
    from groupglm.plotting.volume.layout import View
    from groupglm.plotting.volume.template import Background
    from groupglm.plotting.volume.volumes import Bounds
    from groupglm.spaces.volume import ImageLike

__all__ = ["Shade", "draw_behind", "is_dark"]

_BORDER = 2  # voxels


@dataclass(frozen=True)
class Shade:
    """How the brain behind a map is drawn.

    Parameters
    ----------
    look : Look
        Colours of the ground.
    low, high : float
        Which of its shades, from 0 to 1, are black and white.
    """

    look: Look = DARK
    low: float = 0.0
    high: float = 1.1

    @classmethod
    def of(cls, dark: bool, dim: float | str) -> Shade:
        """Choose the shades: dimmed, a dark ground is left dark, and a light one light.

        `dim` is a number, zero for the shades of the image, or "auto".
        """
        if isinstance(dim, str):
            number = {True: 0.8, False: 0.6}[dark] if dim == "auto" else _refuse(dim)
        else:
            number = real_number("dim", dim)
        if number == 0:
            return cls(DARK if dark else LIGHT, 0.0, 1.0)
        if dark:
            return cls(DARK, 0.0, max(0.5 + 0.5 * (1 + number), 1e-3))
        return cls(LIGHT, min(0.25 * (2 - number) - 0.5 * (1 + number), 1.0 - 1e-3), 1.0)


def _refuse(dim: str) -> float:
    raise ArgumentTypeError(
        "dim", shown(dim), "'auto' or a number", "The input given for 'dim' needs to be a float"
    )


def is_dark(black_bg: bool | str, bg_img: ImageLike | None, background: Background | None) -> bool:
    """Tell whether the ground is dark: of an image of the caller's, as its faces are."""
    check_choice("black_bg", black_bg, ("auto", True, False))
    if black_bg != "auto":
        return bool(black_bg)
    if background is None or background.is_outline or (isinstance(bg_img, str) and bg_img == MNI):
        return False
    shades = background.volume.data
    inner = tuple(slice(_BORDER, max(length - _BORDER, _BORDER)) for length in shades.shape)
    is_face = np.ones(shades.shape, np.bool_)
    is_face[inner] = False
    middle = (float(shades.min()) + float(shades.max())) / 2
    return bool(np.median(shades[is_face]) <= middle)


def draw_behind(
    views: Sequence[View], background: Background | None, bounds: Bounds, shade: Shade
) -> None:
    """Draw the brain, or the outline of a mask, in slices."""
    if background is None:
        return
    for view in views:
        place = 0.0 if view.coord is None else view.coord
        picture, extent = background.volume.plane(
            view.panel.axis, place, bounds, linear=not background.is_outline
        )
        where: dict[str, Any] = {"extent": extent, "origin": "lower"}
        with keeping_limits(view):
            if background.is_outline:
                _draw_outline(view, picture, where, shade.look)
                continue
            view.ax.imshow(
                np.ma.masked_less_equal(picture, 0), cmap="gray", vmin=shade.low, vmax=shade.high,
                aspect=view.ax.get_aspect(), zorder=1, **where,
            )  # fmt: skip


def _draw_outline(view: View, picture: Any, where: dict[str, Any], look: Look) -> None:
    dark = look is DARK
    view.ax.imshow(
        picture, cmap="gray" if dark else "Greys", vmin=0, vmax=4 if dark else 10, zorder=1,
        aspect=view.ax.get_aspect(), **where,
    )  # fmt: skip
    if picture.any() and not picture.all():
        ink = "#b0b0b0" if dark else "#777777"
        view.ax.contour(picture, levels=[0.5], colors=ink, linewidths=0.8, zorder=1.5, **where)
