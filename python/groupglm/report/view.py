# SPDX-License-Identifier: BSD-3-Clause
"""The interactive viewer of a map, as a page of its own: `view_map`."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.limits import NOISE, size_of_threshold
from groupglm.report.asked_view import AskedView
from groupglm.report.drawing import viewer_of
from groupglm.report.html_report import HTMLReport
from groupglm.report.redo import own_version
from groupglm.report.rendering import render
from groupglm.runtime.arguments import check_text
from groupglm.runtime.paths import file_names
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["view_map", "view_page"]


def view_map(
    stat_map_img: Any,
    surfaces: Any = None,
    *,
    threshold: float | str | None = NOISE,
    bg_img: Any = "MNI152TEMPLATE",
    title: str | None = None,
    label: str | None = None,
) -> HTMLReport:
    """Make an interactive page of a map: three planes of a volume, or surfaces that turn.

    It is the viewer of a report as a page of its own, in one file that loads nothing from
    elsewhere. It shows where values are beyond a threshold, which can be moved, and reads the value
    at a place.

    Parameters
    ----------
    stat_map_img : image, SurfaceMaps, pair of files, CIFTI image or path
        The map: a volume, or one map of one or both hemispheres. Zero and NaN of volumes, and NaN
        of surfaces, are outside it.
    surfaces : pair of files, mapping, mesh or str, optional
        The surfaces of a map of surfaces, as for `groupglm.plotting.plot_surf_stat_map`.
    threshold : float, str or None, default=1e-6
        The size that values are beyond at first: a number, "95%" or "auto", as in
        `groupglm.plotting.plot_stat_map`.
    bg_img : image, pair of files or None, default="MNI152TEMPLATE"
        The picture behind a volume, or how dark surfaces are. By default the MNI template, if it is
        on this machine, else a simulated brain; for surfaces their sulci.
    title : str, optional
        The heading. By default the name of the map's file.
    label : str, optional
        What the values are. By default what the sidecar, header or file name of the map says (see
        `groupglm.threshold_stats_img`).

    Returns
    -------
    groupglm.report.HTMLReport
        The page: ``save_as_html`` saves it, ``open_in_browser`` shows it, and a notebook shows it
        where it is the last value of a cell.

    Raises
    ------
    ValueError
        If a parameter has none of the values above, the map has no value but zero, or it holds
        regions of a table.
    groupglm.errors.ImageError
        If an image cannot be read.

    Examples
    --------
    >>> import nibabel as nib, numpy as np
    >>> from groupglm import view_map
    >>> values = np.zeros((9, 9, 9))
    >>> values[6, 4, 2] = 5.0
    >>> img = nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0]))
    >>> page = view_map(img, bg_img=None, threshold=3, title="Faces > houses")
    >>> "<h1>Faces &gt; houses</h1>" in str(page)
    True
    """
    check_text("title", title)
    check_text("label", label)
    size_of_threshold(threshold, np.zeros(1))
    names = list(file_names(stat_map_img))
    name = PurePath(names[0]).name if names else "map"
    asked = AskedView([stat_map_img], [name], threshold, bg_img, surfaces, label)
    return view_page(asked, title or name, names)


def view_page(asked: AskedView, title: str, inputs: Sequence[str] = ()) -> HTMLReport:
    """Make the page of a viewer; it is never saved over its `inputs`."""
    viewer, note = viewer_of(asked, kind_of(asked.maps[0]).tag)
    context = {"title": title, "viewer": viewer, "note": note, "version": own_version()}
    return HTMLReport(render("view.html.j2", context), (1200, 700), inputs=inputs)
