# SPDX-License-Identifier: BSD-3-Clause
"""A statistic map over the brain, in slices: `plot_stat_map`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.colors import DARK, colour_map
from groupglm.plotting.figure import Figure
from groupglm.plotting.kind import kind_of
from groupglm.plotting.limits import NOISE
from groupglm.plotting.scale import Scale
from groupglm.plotting.volume.asked import AskedOfVolume, open_display
from groupglm.plotting.volume.behind import Shade, draw_behind, is_dark
from groupglm.plotting.volume.layout import Page
from groupglm.plotting.volume.opacity import opacity_of
from groupglm.plotting.volume.panels import (
    SLICE_MODES,
    check_mode,
    choose_cuts,
    in_rows,
    refuse_outside,
)
from groupglm.plotting.volume.pictures import Slices, paint
from groupglm.plotting.volume.template import MNI, Background, find_background
from groupglm.plotting.volume.views import lay_out
from groupglm.plotting.volume.volumes import Bounds, Volume
from groupglm.runtime.arguments import check_choice, check_text
from groupglm.spaces.volume import INTERPOLATIONS

if TYPE_CHECKING:
    from os import PathLike

    import matplotlib.figure
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import ArrayLike

    from groupglm.plotting.volume.display import Display
    from groupglm.spaces.volume import ImageLike

__all__ = ["draw_slices", "drawn_bounds", "plot_stat_map"]

_MARGIN = 3.0  # mm around the brain


def plot_stat_map(
    stat_map_img: ImageLike,
    bg_img: ImageLike | None = MNI,
    cut_coords: Any = None,
    output_file: str | PathLike[str] | None = None,
    display_mode: str = "ortho",
    colorbar: bool = True,
    cbar_tick_format: str = "%.2g",
    figure: matplotlib.figure.Figure | int | None = None,
    axes: Axes | tuple[float, float, float, float] | None = None,
    title: str | None = None,
    threshold: float | str | None = NOISE,
    annotate: bool = True,
    draw_cross: bool = True,
    black_bg: bool | str = "auto",
    cmap: str | Colormap = "RdBu_r",
    symmetric_cbar: bool | str = "auto",
    dim: float | str = "auto",
    vmin: float | None = None,
    vmax: float | None = None,
    radiological: bool = False,
    resampling_interpolation: str = "continuous",
    transparency: float | ImageLike | None = None,
    transparency_range: ArrayLike | None = None,
    *,
    mask_img: ImageLike | None = None,
    label: str | None = None,
) -> Display:
    """Draw a statistic map in slices over a picture of the brain.

    Each point shows the value of the voxel that holds it, by the affine of the image. Nothing is
    interpolated, so exactly the values above the threshold are drawn.

    Parameters
    ----------
    stat_map_img : str, os.PathLike or nibabel image
        The map, 3-D. Zero and NaN are not drawn, and infinite values always are. The z-scores of an
        F test have one tail: negative ones, of an F below its median, are not drawn.
    bg_img : image or None, default="MNI152TEMPLATE"
        The picture. The default is the MNI template, if the folder of TemplateFlow or an installed
        nilearn has it (it is never downloaded), else a simulated brain of the same size. If the
        mask lies elsewhere, it is the outline of `mask_img`. None is the outline.
    cut_coords : int, sequence of float or mapping, optional
        Where to cut, in mm: (x, y, z) for "ortho" and "tiled"; one place for each of two planes, in
        alphabetical order; places, or the number of cuts, for one plane; for "mosaic" one or three
        numbers of cuts, or a mapping of "x", "y" and "z" to places. A mapping of planes to places
        serves in the other modes too. By default through the strongest values.
    output_file : str or os.PathLike, optional
        Where to save the picture; its ending says the format.
    display_mode : str, default="ortho"
        The planes, by the axis they are perpendicular to: "ortho" (all three), "tiled" (all three,
        in two rows), "mosaic" (several along each axis), "x", "y", "z" (several along one), "xz",
        "yx" or "yz".
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
    threshold : float, str or None, default=1e-6
        Values up to this size are not drawn. "95%" is the size that 95 % of the values of the image
        are under, zeros among them; "auto" is "80%", and all values of a map of p. With None, every
        value but zero is drawn. With an infinite threshold, as of a false discovery rate without a
        discovery, no finite value is.
    annotate : bool, default=True
        Whether to write the sides and the places.
    draw_cross : bool, default=True
        Whether to draw lines where the other planes are.
    black_bg : bool or "auto", default="auto"
        Whether the ground is black. "auto" is white for the template, and as the faces of `bg_img`
        are.
    cmap : str or matplotlib.colors.Colormap, default="RdBu_r"
        The colours. The middle of a map that diverges stands for zero.
    symmetric_cbar : bool or "auto", default="auto"
        Whether zero is in the middle of the scale. "auto": if the values between `vmin` and `vmax`
        have both signs.
    dim : float or "auto", default="auto"
        How much the picture of the brain is dimmed, some -2 to 2; zero is not at all.
    vmin, vmax : float, optional
        Values of the first and last colour; that of infinite values is the last. By default the
        smallest and largest finite values, or zero. Values below a `vmin` that is at least
        -`threshold` are not drawn, nor those above a `vmax` that is at most `threshold`.
    radiological : bool, default=False
        Whether the subject's right is on the left.
    resampling_interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Has no effect: no value is interpolated.
    transparency : float or image, optional
        How opaque the map is, from 0 to 1; of an image, the size at each place.
    transparency_range : sequence of 2 floats, optional
        The sizes in such an image that are not seen, and opaque. By default 0 and the largest.
    mask_img : image, optional
        The mask, for the outline. By default the voxels where the map is not zero.
    label : str, optional
        What the values are. By default what the sidecar, header or file name of the map says (see
        `threshold_stats_img`), such as "z", "t", "F" or "p", or "value" if none says it.

    Returns
    -------
    Display
        What is drawn, to draw more on it. It is a matplotlib figure, which pyplot knows, unless
        `figure` or `axes` is given. One axes for each slice, in mm, with its position, and one for
        the colour bar.

    Raises
    ------
    ValueError
        If a parameter has none of the values above, every cut is outside the image, or the map is
        known to hold p-values and there is a threshold: large p-values are no evidence.
    groupglm.errors.ImageError
        If an image cannot be read.

    Warns
    -----
    UserWarning
        If `threshold` is infinite, a cut is outside the image, or sidecar, header and file name of
        the map contradict each other.

    Examples
    --------
    >>> import nibabel as nib, numpy as np
    >>> from groupglm.plotting import plot_stat_map
    >>> values = np.zeros((9, 9, 9))
    >>> values[6, 4, 2] = 5.0
    >>> img = nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0]))
    >>> display = plot_stat_map(img, bg_img=None, threshold=3)
    >>> [ax.get_label() for ax in display.axes[:3]]
    ['y = 16', 'x = 24', 'z = 8']
    >>> display.cut_coords
    (24.0, 16.0, 8.0)
    """
    check_mode(display_mode, SLICE_MODES)
    check_text("label", label)
    check_choice("resampling_interpolation", resampling_interpolation, INTERPOLATIONS)
    asked = AskedOfVolume.of_volume(
        output_file=output_file, figure=figure, axes=axes, title=title, annotate=annotate,
        draw_cross=draw_cross, colorbar=colorbar, cbar_tick_format=cbar_tick_format,
        radiological=radiological,
    )  # fmt: skip
    colours = colour_map(cmap)
    values = Volume.of(stat_map_img, "stat_map_img")
    mask = values if mask_img is None else Volume.of(mask_img, "mask_img")
    background = find_background(bg_img, mask)
    shade = Shade.of(is_dark(black_bg, bg_img, background), dim)
    kind = kind_of(stat_map_img, threshold, label)
    scale = Scale.of(
        values.data, kind.threshold, vmax, dark=shade.look is DARK, one_tail=kind.one_tail,
        vmin=vmin, cmap=colours, symmetric=symmetric_cbar,
    )  # fmt: skip
    bounds = drawn_bounds(mask, background)
    slices = Slices(bounds)
    opacity = opacity_of(transparency, transparency_range, slices, values)
    shown = Volume(np.where(scale.shows(values.data), values.data, 0), values.affine)
    panels = choose_cuts(display_mode, cut_coords, shown, bounds)
    if cut_coords is not None:
        refuse_outside(panels, values.reach())
    with open_display(asked, display_mode, panels, bounds, shade.look, slices) as (
        display,
        layout,
    ):
        views = layout.views
        if background is not None and not background.is_outline:
            draw_behind(views, background, bounds, shade)
        paint(views, slices, values, scale, opacity=opacity)
        if background is not None and background.is_outline:
            draw_behind(views, background, bounds, shade)
        layout.draw_bar(scale, kind.label, asked.form)
    return display


def draw_slices(
    values: Volume,
    background: Background | None,
    mask: Volume,
    scale: Scale,
    display_mode: str,
    cut_coords: Any,
    title: str | None,
    label: str,
) -> Figure:
    """Draw slices of a map that has been read, on a dark ground, in a figure without pyplot."""
    bounds = drawn_bounds(mask, background)
    shown = Volume(np.where(scale.shows(values.data), values.data, 0), values.affine)
    panels = choose_cuts(display_mode, cut_coords, shown, bounds)
    page = Page(DARK, title, bool(label))
    rows = in_rows(display_mode, panels)
    layout = lay_out(rows, bounds, page, Figure, from_left=display_mode == "tiled")
    draw_behind(layout.views, background, bounds, Shade())
    paint(layout.views, Slices(bounds), values, scale)
    if layout.bar is not None:
        scale.draw_bar(layout.bar, DARK, label)
    figure: Any = layout.frame.figure
    return figure  # type: ignore[no-any-return]


def drawn_bounds(mask: Volume, background: Background | None) -> Bounds:
    """Return the drawn part of the world: the mask and the picture behind it."""
    bounds = mask.bounds()
    if background is not None:
        bounds = bounds.union(background.volume.bounds())
    return bounds.grown(_MARGIN)
