# SPDX-License-Identifier: BSD-3-Clause
"""A statistic map seen through the brain: `plot_glass_brain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.colors import LIGHT
from groupglm.plotting.kind import kind_of
from groupglm.plotting.scale import Scale
from groupglm.plotting.volume.panels import Panel, glass_panels, lay_out
from groupglm.plotting.volume.stat_map import drawn_bounds
from groupglm.plotting.volume.template import MNI, Background, find_background
from groupglm.plotting.volume.volumes import IN_PLANE, Volume
from groupglm.runtime.arguments import check_text, check_truth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from groupglm.spaces.images import ImageLike

__all__ = ["draw_glass", "plot_glass_brain"]

_BRAIN_STEP = 2.0  # mm; the brain's shades need no finer step
_MAP_STEP = 1.0  # mm; the finest step


def plot_glass_brain(
    stat_map_img: ImageLike,
    *,
    bg_img: ImageLike | None = MNI,
    mask_img: ImageLike | None = None,
    threshold: float | None = None,
    display_mode: str = "ortho",
    vmax: float | None = None,
    title: str | None = None,
    colorbar: bool = True,
    label: str | None = None,
) -> Figure:
    """Draw a statistic map as if the brain were of glass.

    Each point shows the value of the largest size along the line of sight, positive or negative.
    The views "l" and "r" show one hemisphere (x below and above zero) from outside.

    Parameters
    ----------
    stat_map_img : str, os.PathLike or nibabel image
        The map, 3-D. Zero and NaN are not drawn, and infinite values always are. The z-scores of an
        F test have one tail: negative ones, of an F below its median, are not drawn.
    bg_img : image or None, default="MNI152TEMPLATE"
        The image whose shadow is drawn. The default is the MNI template, if the folder of
        TemplateFlow or an installed nilearn has it (it is never downloaded), else a simulated brain
        of the same size. If the mask lies elsewhere, it is `mask_img`. None is `mask_img`.
    mask_img : image, optional
        The mask. By default the voxels where the map is not zero.
    threshold : float, optional
        Values up to this size are not drawn. By default, every value but zero is drawn. With an
        infinite threshold, as of a false discovery rate without a discovery, no finite value is.
    display_mode : str, default="ortho"
        "ortho", "x", "y", "z", "xz", "yx", "yz", "l", "r", "lr", "lzr", "lyr", "lzry" or "lyrz".
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
        One axes for each view, in mm, and one for the colour bar.

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
    >>> from groupglm.plotting import plot_glass_brain
    >>> values = np.zeros((9, 9, 9))
    >>> values[6, 4, 2] = 5.0
    >>> img = nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0]))
    >>> figure = plot_glass_brain(img, bg_img=None, display_mode="lzr")
    >>> [ax.get_label() for ax in figure.axes[:3]]
    ['left', 'top', 'right']
    """
    with_bar = check_truth("colorbar", colorbar)
    check_text("title", title)
    check_text("label", label)
    panels = glass_panels(display_mode)
    values = Volume.of(stat_map_img, "stat_map_img")
    mask = values if mask_img is None else Volume.of(mask_img, "mask_img")
    background = find_background(bg_img, mask)
    kind = kind_of(stat_map_img, threshold, label)
    scale = Scale.of(values.data, threshold, vmax, dark=False, one_tail=kind.one_tail)
    shown_label = kind.label if with_bar else ""
    return draw_glass(values, background, mask, scale, panels, title, shown_label)


def draw_glass(
    values: Volume,
    background: Background | None,
    mask: Volume,
    scale: Scale,
    panels: list[Panel],
    title: str | None,
    label: str,
) -> Figure:
    """Draw a glass brain of a map that has been read; see `plot_glass_brain`."""
    bounds = drawn_bounds(mask, background)
    figure, axes, bar = lay_out(panels, bounds, LIGHT, title=title, colorbar=bool(label))
    brain = None
    if background is not None:
        brain = background.volume.upright(bounds, _BRAIN_STEP, keep_peaks=False)
    large = np.where(scale.shows(values.data), values.data, 0)
    shown = Volume(large, values.affine)
    upright = None
    if large.any():
        upright = shown.upright(shown.bounds(), max(_MAP_STEP, float(values.edges.min()) / 2))
    for ax, panel in zip(axes, panels, strict=True):
        limits = ax.get_xlim(), ax.get_ylim()
        if brain is not None:
            _draw_brain(ax, panel, brain)
        if upright is not None:
            picture = _strongest_along(_hemisphere(upright, panel.view), panel.axis)
            ax.imshow(
                scale.rgba(picture),
                extent=_extent(upright, panel.axis),
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                zorder=2,
            )
        ax.set_xlim(*limits[0])
        ax.set_ylim(*limits[1])
    if bar is not None:
        scale.draw_bar(bar, LIGHT, label)
    return figure


def _hemisphere(volume: Volume, view: str) -> NDArray[Any]:
    """Return the values of an upright volume, zero in the hemisphere that the view hides."""
    if view not in ("l", "r"):
        return volume.data
    x = volume.affine[0, 3] + volume.affine[0, 0] * np.arange(volume.data.shape[0])
    keep = x <= 0 if view == "l" else x >= 0
    kept: NDArray[Any] = np.where(keep[:, np.newaxis, np.newaxis], volume.data, 0)
    return kept


def _strongest_along(values: NDArray[Any], axis: str) -> NDArray[Any]:
    """Return the value of largest size along an axis; the picture's rows go upwards."""
    number = "xyz".index(axis)
    high, low = values.max(axis=number), values.min(axis=number)
    strongest: NDArray[Any] = np.where(high >= -low, high, low).T
    return strongest


def _extent(volume: Volume, axis: str) -> tuple[float, float, float, float]:
    """Return the edges of an upright volume's projection, in mm."""
    edges = []
    for number in IN_PLANE[axis]:
        step, first = volume.affine[number, number], volume.affine[number, 3]
        edges += [first - step / 2, first + step * (volume.data.shape[number] - 0.5)]
    return edges[0], edges[1], edges[2], edges[3]


def _draw_brain(ax: Axes, panel: Panel, brain: Volume) -> None:
    """Draw the shadow of the brain and its outline."""
    inside = _hemisphere(brain, panel.view)
    number = "xyz".index(panel.axis)
    shadow = inside.sum(axis=number).T
    extent = _extent(brain, panel.axis)
    if not shadow.any():
        return
    ax.imshow(
        shadow, extent=extent, origin="lower", aspect="auto", cmap="Greys", vmin=0,
        vmax=2.5 * float(shadow.max()), interpolation="bilinear",
    )  # fmt: skip
    outline = (inside > 0.05).any(axis=number).T.astype(np.float32)
    ax.contour(
        outline, levels=[0.5], extent=extent, origin="lower", colors="#777777", linewidths=1.0
    )
