# SPDX-License-Identifier: BSD-3-Clause
"""A statistic map over the brain, in slices: `plot_stat_map`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.colors import DARK
from groupglm.plotting.kind import kind_of
from groupglm.plotting.scale import Scale
from groupglm.plotting.volume.panels import SLICE_MODES, Panel, check_mode, choose_cuts, lay_out
from groupglm.plotting.volume.template import MNI, Background, find_background
from groupglm.plotting.volume.volumes import IN_PLANE, Bounds, Volume
from groupglm.runtime.arguments import check_text, check_truth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from groupglm.spaces.images import ImageLike

__all__ = ["draw_slices", "plot_stat_map"]

_MARGIN = 3.0  # mm around the brain


def plot_stat_map(
    stat_map_img: ImageLike,
    *,
    bg_img: ImageLike | None = MNI,
    mask_img: ImageLike | None = None,
    threshold: float | None = None,
    display_mode: str = "ortho",
    cut_coords: Any = None,
    vmax: float | None = None,
    title: str | None = None,
    colorbar: bool = True,
    label: str | None = None,
) -> Figure:
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
    mask_img : image, optional
        The mask, for the outline. By default the voxels where the map is not zero.
    threshold : float, optional
        Values up to this size are not drawn. By default, every value but zero is drawn. With an
        infinite threshold, as of a false discovery rate without a discovery, no finite value is.
    display_mode : {"ortho", "x", "y", "z", "xz", "yx", "yz"}, default="ortho"
        The planes, by the axis they are perpendicular to.
    cut_coords : int, sequence of float or mapping, optional
        Where to cut, in mm: (x, y, z) for "ortho"; positions, or the number of cuts, for one plane;
        one position for each of two planes; or a mapping with the planes as keys. By default
        through the strongest values.
    vmax : float, optional
        Value of the last colour, which is also that of infinite values. By default the largest
        finite size in the map.
    title : str, optional
        Written above.
    colorbar : bool, default=True
        Whether to draw the scale.
    label : str, optional
        What the values are. By default what the sidecar, header or file name of the map says (see
        `threshold_stats_img`), such as "z", "t", "F" or "p", or "value" if none says it.

    Returns
    -------
    matplotlib.figure.Figure
        One axes for each slice, in mm, with its position, and one for the colour bar.

    Raises
    ------
    ValueError
        If a parameter has none of the values above, or the map is known to hold p-values: large
        p-values are no evidence.
    groupglm.errors.ImageError
        If an image cannot be read.

    Warns
    -----
    UserWarning
        If `threshold` is infinite, or sidecar, header and file name of the map contradict each
        other.

    Examples
    --------
    >>> import nibabel as nib, numpy as np
    >>> from groupglm.plotting import plot_stat_map
    >>> values = np.zeros((9, 9, 9))
    >>> values[6, 4, 2] = 5.0
    >>> img = nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0]))
    >>> figure = plot_stat_map(img, bg_img=None, threshold=3)
    >>> [ax.get_label() for ax in figure.axes[:3]]
    ['y = 16', 'x = 24', 'z = 8']
    """
    with_bar = check_truth("colorbar", colorbar)
    check_text("title", title)
    check_text("label", label)
    check_mode(display_mode, SLICE_MODES)
    values = Volume.of(stat_map_img, "stat_map_img")
    mask = values if mask_img is None else Volume.of(mask_img, "mask_img")
    background = find_background(bg_img, mask)
    kind = kind_of(stat_map_img, threshold, label)
    scale = Scale.of(values.data, threshold, vmax, dark=True, one_tail=kind.one_tail)
    shown_label = kind.label if with_bar else ""
    return draw_slices(
        values, background, mask, scale, display_mode, cut_coords, title, shown_label
    )


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
    """Draw slices of a map that has been read; see `plot_stat_map`."""
    bounds = drawn_bounds(mask, background)
    shown = Volume(np.where(scale.shows(values.data), values.data, 0), values.affine)
    panels = choose_cuts(display_mode, cut_coords, shown, bounds)
    figure, axes, bar = lay_out(panels, bounds, DARK, title=title, colorbar=bool(label))
    for ax, panel in zip(axes, panels, strict=True):
        _draw_background(ax, panel, background, bounds)
        picture, extent = values.plane(panel.axis, _place(panel), bounds)
        ax.imshow(scale.rgba(picture), extent=extent, origin="lower", aspect="auto", zorder=2)
        _keep_limits(ax, panel, bounds)
    if bar is not None:
        scale.draw_bar(bar, DARK, label)
    return figure


def _place(panel: Panel) -> float:
    return 0.0 if panel.coordinate is None else panel.coordinate


def drawn_bounds(mask: Volume, background: Background | None) -> Bounds:
    """Return the drawn part of the world: the mask and the picture behind it."""
    bounds = mask.bounds()
    if background is not None:
        bounds = bounds.union(background.volume.bounds())
    return bounds.grown(_MARGIN)


def _keep_limits(ax: Axes, panel: Panel, bounds: Bounds) -> None:
    """Set the limits of the view again, because drawing a picture may have changed them."""
    first, second = IN_PLANE[panel.axis]
    ax.set_xlim(bounds.low[first], bounds.high[first])
    ax.set_ylim(bounds.low[second], bounds.high[second])


def _draw_background(ax: Axes, panel: Panel, background: Background | None, bounds: Bounds) -> None:
    if background is None:
        return
    picture, extent = background.volume.plane(
        panel.axis, _place(panel), bounds, linear=not background.is_outline
    )
    if not background.is_outline:
        ax.imshow(
            picture, extent=extent, origin="lower", aspect="auto", cmap="gray", vmin=0, vmax=1.1
        )
        return
    ax.imshow(picture, extent=extent, origin="lower", aspect="auto", cmap="gray", vmin=0, vmax=4)
    if picture.any() and not picture.all():
        ax.contour(
            picture, levels=[0.5], extent=extent, origin="lower", colors="#b0b0b0", linewidths=0.8
        )
