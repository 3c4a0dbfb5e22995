# SPDX-License-Identifier: BSD-3-Clause
"""A statistic map on the surfaces of both hemispheres: `plot_surf_stat_map`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.asked import Asked
from groupglm.plotting.colors import DARK, LIGHT, colour_map
from groupglm.plotting.figure import Figure, in_pyplot
from groupglm.plotting.frames import fill_ground
from groupglm.plotting.kind import kind_of
from groupglm.plotting.limits import NOISE
from groupglm.plotting.scale import Scale
from groupglm.plotting.surface.opening import open_hemispheres
from groupglm.plotting.surface.scene import Scene, Writing
from groupglm.plotting.surface.shading import Shading
from groupglm.plotting.surface.views import check_views
from groupglm.runtime.arguments import check_text, check_truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import matplotlib.figure
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = ["plot_surf_stat_map"]


def plot_surf_stat_map(
    stat_map_img: Any,
    surfaces: Any = None,
    *,
    bg_map: Any = "auto",
    views: str | Sequence[str] = ("lateral", "medial"),
    output_file: str | PathLike[str] | None = None,
    colorbar: bool = True,
    cbar_tick_format: str = "%.2g",
    figure: matplotlib.figure.Figure | int | None = None,
    axes: Axes | tuple[float, float, float, float] | None = None,
    title: str | None = None,
    threshold: float | str | None = NOISE,
    annotate: bool = True,
    black_bg: bool = False,
    cmap: str | Colormap = "RdBu_r",
    symmetric_cbar: bool | str = "auto",
    vmin: float | None = None,
    vmax: float | None = None,
    label: str | None = None,
) -> matplotlib.figure.Figure:
    """Draw a statistic map on the surfaces of the hemispheres, without a display.

    Each point shows the value of the vertex nearest to it. Nothing is interpolated, so exactly the
    values above the threshold are drawn. All views have the same scale, in mm, in parallel
    projection.

    Parameters
    ----------
    stat_map_img : surface image, SurfaceMaps, pair of files, CIFTI image or path
        The map: one map of one or both hemispheres. Of CIFTI's, the cortex is drawn. Zero and NaN
        are not drawn, and infinite values always are. The z-scores of an F test have one tail:
        negative ones, of an F below its median, are not drawn.
    surfaces : pair of files, mapping, mesh or str, optional
        The surfaces to draw on, as for `SecondLevelModel`: (left, right) of .surf.gii or FreeSurfer
        files, or "fsaverage5" or "fsLR". Inflated surfaces show what lies in sulci. By default
        the mesh that the map brings.
    bg_map : "auto", None, surface image or pair of files, default="auto"
        How dark the surface is under the map, large values dark, as sulcal depth is. "auto" is the
        sulcal depth of fsaverage5 or fsLR if the surfaces are of that mesh and an installed package
        or the folder of TemplateFlow has it (it is never downloaded), else the mean curvature of
        the surfaces. None is one shade.
    views : str or sequence of str, default=("lateral", "medial")
        From where each hemisphere is seen: "lateral", "medial", "dorsal", "ventral", "anterior",
        "posterior".
    output_file : str or os.PathLike, optional
        Where to save the picture; its ending says the format.
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
        Values up to this size are not drawn. "95%" is the size that 95 % of the values of the map
        are under, zeros among them; "auto" is "80%", and all values of a map of p. With None, every
        value but zero is drawn. With an infinite threshold, as of a false discovery rate without a
        discovery, no finite value is.
    annotate : bool, default=True
        Whether to write the names of the views.
    black_bg : bool, default=False
        Whether the ground is black.
    cmap : str or matplotlib.colors.Colormap, default="RdBu_r"
        The colours. The middle of a map that diverges stands for zero.
    symmetric_cbar : bool or "auto", default="auto"
        Whether zero is in the middle of the scale. "auto": if the values between `vmin` and `vmax`
        have both signs.
    vmin, vmax : float, optional
        Values of the first and last colour; that of infinite values is the last. By default the
        smallest and largest finite values, or zero. Values below a `vmin` that is at least
        -`threshold` are not drawn, nor those above a `vmax` that is at most `threshold`.
    label : str, optional
        What the values are. By default what the sidecar, header or file name of the map says (see
        `threshold_stats_img`), such as "z", "t", "F" or "p", or "value" if none says it.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, which pyplot knows: one axes for each view, labelled "left lateral" and so on,
        whose numbers are the world's mm, and one for the colour bar.

    Raises
    ------
    ValueError
        If a parameter has none of the values above, the map has no hemisphere or no surfaces, or it
        is known to hold p-values and there is a threshold: large p-values are no evidence.
    groupglm.errors.ImageError
        If a map or a surface cannot be read.

    Warns
    -----
    UserWarning
        If `threshold` is infinite, or sidecar, header and file name of the map contradict each
        other.

    Examples
    --------
    >>> import numpy as np
    >>> from nibabel.gifti import GiftiDataArray, GiftiImage
    >>> from groupglm.plotting import plot_surf_stat_map
    >>> corners = 40 * np.vstack([np.eye(3), -np.eye(3)]).astype(np.float32)
    >>> upper = [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2]]
    >>> faces = upper + [[b, a, 5] for a, b, _ in upper]
    >>> surface = GiftiImage(
    ...     darrays=[
    ...         GiftiDataArray(corners, "NIFTI_INTENT_POINTSET"),
    ...         GiftiDataArray(np.int32(faces), "NIFTI_INTENT_TRIANGLE"),
    ...     ]
    ... )
    >>> z = GiftiImage(darrays=[GiftiDataArray(np.float32([5, 0, 0, -4, 0, 0]))])
    >>> figure = plot_surf_stat_map({"left": z}, {"left": surface}, threshold=3)
    >>> [ax.get_label() for ax in figure.axes[:2]]
    ['left lateral', 'left medial']
    """
    check_text("label", label)
    asked = Asked.of(
        output_file=output_file, figure=figure, axes=axes, title=title, annotate=annotate,
        colorbar=colorbar, cbar_tick_format=cbar_tick_format,
    )  # fmt: skip
    names = check_views(views)
    look = DARK if check_truth("black_bg", black_bg) else LIGHT
    colours = colour_map(cmap)
    shading = Shading.of(bg_map)
    row, hemispheres = open_hemispheres(stat_map_img, surfaces)
    values = [one.spread(row) for one in hemispheres]
    kind = kind_of(stat_map_img, threshold, label)
    drawn = np.nan_to_num(np.concatenate(values), nan=0.0, posinf=np.inf, neginf=-np.inf)
    scale = Scale.of(
        drawn, kind.threshold, vmax, dark=look is DARK, one_tail=kind.one_tail, vmin=vmin,
        cmap=colours, symmetric=symmetric_cbar,
    )  # fmt: skip
    scene = Scene(hemispheres, [shading.shades(one) for one in hemispheres], names)
    writing = Writing(look, title, kind.label, asked.colorbar, asked.annotate, asked.form)
    if asked.is_own:
        with in_pyplot(Figure) as make:
            picture = scene.draw(values, scale, writing, make)
            asked.save(picture)
        return picture
    frame = asked.frame()
    if look is DARK:
        fill_ground(frame, look.ground)
    scene.draw_within(frame, values, scale, writing)
    asked.save(frame.figure)
    return frame.figure
