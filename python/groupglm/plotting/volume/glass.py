# SPDX-License-Identifier: BSD-3-Clause
"""A statistic map seen through the brain: `plot_glass_brain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import PathPatch

from groupglm.errors import ArgumentError, shown, warn_caller
from groupglm.plotting.colors import DARK, LIGHT, colour_map
from groupglm.plotting.figure import Figure
from groupglm.plotting.kind import kind_of
from groupglm.plotting.scale import Scale
from groupglm.plotting.volume.asked import AskedOfVolume, open_display
from groupglm.plotting.volume.layout import Page, View
from groupglm.plotting.volume.opacity import opacity_of
from groupglm.plotting.volume.panels import Panel, glass_panels, in_rows
from groupglm.plotting.volume.pictures import (
    Shadows,
    extent_of,
    hemisphere,
    keeping_limits,
    paint,
)
from groupglm.plotting.volume.stat_map import drawn_bounds
from groupglm.plotting.volume.template import MNI, Background, find_background
from groupglm.plotting.volume.views import lay_out
from groupglm.plotting.volume.volumes import Bounds, Volume
from groupglm.runtime.arguments import (
    check_choice,
    check_text,
    check_truth,
    real_array,
    real_number,
)
from groupglm.spaces.volume import INTERPOLATIONS

if TYPE_CHECKING:
    from os import PathLike

    import matplotlib.figure
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import ArrayLike

    from groupglm.plotting.colors import Look
    from groupglm.plotting.volume.display import Display
    from groupglm.spaces.volume import ImageLike

__all__ = ["draw_brain", "draw_glass", "plot_glass_brain"]

_BRAIN_STEP = 2.0  # mm; the shades of the brain need no more


def plot_glass_brain(
    stat_map_img: ImageLike | None,
    output_file: str | PathLike[str] | None = None,
    display_mode: str = "ortho",
    colorbar: bool = True,
    cbar_tick_format: str = "%.2g",
    figure: matplotlib.figure.Figure | int | None = None,
    axes: Axes | tuple[float, float, float, float] | None = None,
    title: str | None = None,
    threshold: float | str | None = "auto",
    annotate: bool = True,
    black_bg: bool = False,
    cmap: str | Colormap | None = None,
    alpha: float = 0.7,
    vmin: float | None = None,
    vmax: float | None = None,
    plot_abs: bool = True,
    symmetric_cbar: bool | str = "auto",
    resampling_interpolation: str = "continuous",
    radiological: bool = False,
    transparency: float | None = None,
    *,
    bg_img: ImageLike | None = MNI,
    mask_img: ImageLike | None = None,
    label: str | None = None,
    cut_coords: ArrayLike | None = None,
) -> Display:
    """Draw a statistic map as if the brain were of glass.

    Each point shows the value of the largest size along the line of sight. The views "l" and "r"
    show one hemisphere (x below and above zero) from outside.

    Parameters
    ----------
    stat_map_img : str, os.PathLike, nibabel image or None
        The map, 3-D. Zero and NaN are not drawn, and infinite values always are. The z-scores of an
        F test have one tail: negative ones, of an F below its median, are not drawn. None is the
        brain alone.
    output_file : str or os.PathLike, optional
        Where to save the picture; its ending says the format.
    display_mode : str, default="ortho"
        "ortho", "x", "y", "z", "xz", "yx", "yz", "l", "r", "lr", "lzr", "lyr", "lzry" or "lyrz".
    colorbar : bool, default=True
        Whether to draw the scale.
    cbar_tick_format : str, default="%.2g"
        How the numbers of the scale are written. The default writes round numbers in full.
    figure : matplotlib.figure.Figure or int, optional
        A figure to draw in, or its number in pyplot. By default a new one.
    axes : matplotlib.axes.Axes or (left, bottom, width, height), optional
        A part of a figure to draw in.
    title : str, optional
        Written above.
    threshold : float, str or None, default="auto"
        Values up to this size are not drawn. "95%" is the size that 95 % of the values of the image
        are under, zeros among them; "auto" is "80%", and all values of a map of p. With None, every
        value but zero is drawn. With an infinite threshold, as of a false discovery rate without a
        discovery, no finite value is.
    annotate : bool, default=True
        Whether to write the sides and the views.
    black_bg : bool, default=False
        Whether the ground is black.
    cmap : str or matplotlib.colors.Colormap, optional
        The colours. The middle of a map that diverges stands for zero. By default blue to orange.
    alpha : float, default=0.7
        How opaque the brain is, from 0 to 1.
    vmin, vmax : float, optional
        Values of the first and last colour; that of infinite values is the last. By default the
        smallest and largest finite values, or zero.
    plot_abs : bool, default=True
        Whether negative values are drawn like positive ones. Otherwise the value of the largest
        size is drawn with its sign.
    symmetric_cbar : bool or "auto", default="auto"
        Whether zero is in the middle of the scale. "auto": if the values between `vmin` and `vmax`
        have both signs.
    resampling_interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Has no effect: no value is interpolated.
    radiological : bool, default=False
        Whether the subject's right is on the left.
    transparency : float, optional
        How opaque the map is, from 0 to 1.
    bg_img : image or None, default="MNI152TEMPLATE"
        The image whose shadow is drawn. The default is the MNI template, if the folder of
        TemplateFlow or an installed nilearn has it (it is never downloaded), else a simulated brain
        of the same size. If the mask lies elsewhere, it is `mask_img`. None is `mask_img`.
    mask_img : image, optional
        The mask. By default the voxels where the map is not zero.
    label : str, optional
        What the values are. By default what the sidecar, header or file name of the map says (see
        `threshold_stats_img`), such as "z", "t", "F" or "p", or "value" if none says it.
    cut_coords : array_like, optional
        Has no effect, with a warning: a glass brain is not cut.

    Returns
    -------
    Display
        What is drawn, to draw more on it. It is a matplotlib figure, which pyplot knows, unless
        `figure` or `axes` is given. One axes for each view, in mm, and one for the colour bar.

    Raises
    ------
    ValueError
        If a parameter has none of the values above, or the map is known to hold p-values and there
        is a threshold: large p-values are no evidence.
    groupglm.errors.ImageError
        If an image cannot be read.

    Warns
    -----
    UserWarning
        If `threshold` is infinite, `vmin` is negative but no negative value is drawn, or sidecar,
        header and file name of the map contradict each other.

    Examples
    --------
    >>> import nibabel as nib, numpy as np
    >>> from groupglm.plotting import plot_glass_brain
    >>> values = np.zeros((9, 9, 9))
    >>> values[6, 4, 2] = 5.0
    >>> img = nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0]))
    >>> display = plot_glass_brain(img, bg_img=None, display_mode="lzr")
    >>> [ax.get_label() for ax in display.axes[:3]]
    ['left', 'top', 'right']
    """
    panels = glass_panels(display_mode)
    check_text("label", label)
    check_choice("resampling_interpolation", resampling_interpolation, INTERPOLATIONS)
    asked = AskedOfVolume.of_volume(
        output_file=output_file, figure=figure, axes=axes, title=title, annotate=annotate,
        colorbar=check_truth("colorbar", colorbar) and stat_map_img is not None,
        cbar_tick_format=cbar_tick_format, radiological=radiological,
    )  # fmt: skip
    absolute, look = check_truth("plot_abs", plot_abs), _look(black_bg)
    colours, opaque = colour_map(cmap), real_number("alpha", alpha)
    if not 0 <= opaque <= 1:
        raise ArgumentError("alpha", shown(alpha), "from 0 to 1")
    shadows = Shadows()
    if cut_coords is not None:
        real_array("cut_coords", cut_coords)
        warn_caller("cut_coords has no effect: a glass brain is not cut; plot_stat_map cuts")
    if stat_map_img is None:
        brain = find_background(
            bg_img, None if mask_img is None else Volume.of(mask_img, "mask_img")
        )
        if brain is None:
            raise ArgumentError("bg_img", "None", remedy="without a map, give bg_img or mask_img")
        bounds = drawn_bounds(brain.volume, brain)
        with open_display(
            asked, display_mode, panels, bounds, look, shadows, absolute=absolute
        ) as (display, layout):
            draw_brain(layout.views, brain, bounds, look, opaque)
        return display
    values = Volume.of(stat_map_img, "stat_map_img")
    kind = kind_of(stat_map_img, threshold, label)
    if absolute and not kind.one_tail:
        if vmin is not None and real_number("vmin", vmin, infinite=True) < 0:
            warn_caller("vmin is negative but plot_abs is True: no negative value is drawn")
        values = Volume(np.abs(values.data), values.affine)
    mask = values if mask_img is None else Volume.of(mask_img, "mask_img")
    background = find_background(bg_img, mask)
    scale = Scale.of(
        values.data, kind.threshold, vmax, dark=look is DARK, one_tail=kind.one_tail, vmin=vmin,
        cmap=colours, symmetric=symmetric_cbar,
    )  # fmt: skip
    opacity = opacity_of(transparency, None, shadows, values)
    bounds = drawn_bounds(mask, background)
    with open_display(asked, display_mode, panels, bounds, look, shadows, absolute=absolute) as (
        display,
        layout,
    ):
        views = layout.views
        paint(views, shadows, values, scale, opacity=opacity)
        draw_brain(views, background, bounds, look, opaque)
        layout.draw_bar(scale, kind.label, asked.form)
    return display


def _look(black_bg: bool) -> Look:
    return DARK if check_truth("black_bg", black_bg) else LIGHT


def draw_glass(
    values: Volume,
    background: Background | None,
    mask: Volume,
    scale: Scale,
    panels: Sequence[Panel],
    title: str | None,
    label: str,
) -> Figure:
    """Draw a glass brain of a map that has been read, in a figure without pyplot."""
    bounds = drawn_bounds(mask, background)
    layout = lay_out(in_rows("", panels), bounds, Page(LIGHT, title, bool(label)))
    paint(layout.views, Shadows(), values, scale)
    draw_brain(layout.views, background, bounds, LIGHT, 1.0)
    if layout.bar is not None:
        scale.draw_bar(layout.bar, LIGHT, label)
    figure: Any = layout.frame.figure
    return figure  # type: ignore[no-any-return]


def draw_brain(
    views: Sequence[View],
    background: Background | None,
    bounds: Bounds,
    look: Look,
    opaque: float = 1.0,
) -> None:
    """Draw the shadow of the brain and its outline."""
    if background is None:
        return
    brain = background.volume.upright(bounds, _BRAIN_STEP, keep_peaks=False)
    cmap, ink = ("gray", "#9a9a9a") if look is DARK else ("Greys", "#777777")
    for view in views:
        inside = hemisphere(brain, view.direction)
        number = "xyz".index(view.panel.axis)
        shadow = inside.sum(axis=number).T
        if not shadow.any():
            continue
        where: dict[str, Any] = {"extent": extent_of(brain, view.panel.axis), "origin": "lower"}
        with keeping_limits(view):
            view.ax.imshow(
                shadow, cmap=cmap, vmin=0, vmax=2.5 * float(shadow.max()), zorder=1, alpha=opaque,
                interpolation="bilinear", aspect=view.ax.get_aspect(), **where,
            )  # fmt: skip
            outline = (inside > 0.05).any(axis=number).T.astype(np.float32)
            lines = view.ax.contour(outline, levels=[0.5], **where)
            for path in lines.get_paths():  # patches, as they are no data
                view.ax.add_patch(
                    PathPatch(path, fill=False, ec=ink, lw=1.0, zorder=1.5, alpha=opaque)
                )
            lines.remove()
