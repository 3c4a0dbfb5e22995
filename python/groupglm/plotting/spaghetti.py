# SPDX-License-Identifier: BSD-3-Clause
"""The images of each subject at one place as a line, and the fitted mean: `plot_spaghetti`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.contrasts import contrast_matrix
from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.design.origins import origins_of
from groupglm.errors import ArgumentError, renamed
from groupglm.inputs.cohort import align_to_images
from groupglm.models.repeated import RepeatedMeasures
from groupglm.models.repeated_arrays import fit_repeated
from groupglm.plotting.charts import despine, legend_below, new_chart, plain, shortened
from groupglm.plotting.colors import SERIES
from groupglm.plotting.figure import Figure, check_output_file, in_pyplot, save_figure
from groupglm.plotting.place_values import one_number_an_image, read_place
from groupglm.plotting.reading_terms import read_terms
from groupglm.plotting.subject_lines import SubjectLines, subject_lines
from groupglm.runtime.arguments import check_text
from groupglm.tabular.labels import align_arrays
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

__all__ = ["draw_spaghetti", "plot_spaghetti"]

FEW_SUBJECTS = 40  # lines that can be followed
_MAX_TICKS = 12


def plot_spaghetti(
    values: Any,
    subjects: ArrayLike,
    design_matrix: pd.DataFrame | str | PathLike[str],
    contrast_def: Any = None,
    *,
    visits: ArrayLike | None = None,
    position: tuple[float, float, float] | None = None,
    title: str | None = None,
    label: str = "value",
    output_file: str | PathLike[str] | None = None,
) -> Figure:
    """Draw the values of one voxel with a line for each subject, and the fitted mean.

    The horizontal axis is a variable of the design that differs between the images of a subject:
    one that the contrast tests, if there is one. Without such a variable it is the visit, or the
    order of the subject's images. The colours are the groups of a variable that is the same for all
    images of a subject. The thick lines are the means of the fitted values of a random intercept:
    those of the design, without the levels of the subjects.

    Parameters
    ----------
    values : array_like of float, shape (n_images,), or images
        The value of the voxel in each image, NaN where it is missing. With `position`, the images
        themselves, as `SecondLevelModel.fit` takes them; one voxel of each is kept.
    subjects : array_like of labels, shape (n_images,)
        The subject of each image.
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file
        One row for each image. Rows are matched by label if values and rows have labels.
    contrast_def : str, array_like, list or None
        A contrast as `SecondLevelModel.compute_contrast` takes it.
    visits : array_like of labels, shape (n_images,), optional
        The visit of each image.
    position : tuple of 3 floats, optional
        Position in mm. The voxel that holds it is read.
    title : str, optional
        Written above.
    label : str, default="value"
        What the values are, for instance their unit.
    output_file : str or os.PathLike, optional
        Where to save the figure; its ending says the format.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ValueError
        If values, subjects and design do not fit each other, no subject has two images, or
        `position` is outside the images.

    See Also
    --------
    groupglm.plotting.plot_peak : The values of one image a subject.

    Examples
    --------
    >>> import pandas as pd
    >>> from groupglm.plotting import plot_spaghetti
    >>> design = pd.DataFrame({"mean": 1.0, "time": [0, 1, 0, 1, 0, 1]})
    >>> values = [1.0, 3.1, 5.2, 7.0, 8.1, 10.3]
    >>> figure = plot_spaghetti(values, ["a", "a", "b", "b", "c", "c"], design, "time")
    >>> figure.axes[0].get_xlabel(), len(figure.axes[0].lines)
    ('time', 4)
    """
    check_text("label", label, optional=False)
    check_text("title", title)
    path = check_output_file(output_file)
    frame = load_design_matrix(design_matrix)
    if position is not None:
        data = read_place("values", values, position)
        frame = align_to_images(frame, values).frame
        own: dict[str, Any] = {"subjects": subjects, "visits": visits}
    else:
        given = {"design_matrix": frame, "values": values, "subjects": subjects, "visits": visits}
        own = align_arrays(given, "values")
        frame, data = own["design_matrix"], one_number_an_image("values", own["values"])
    X = check_design_matrix(frame, len(data))
    names = tuple(str(name) for name in frame.columns)
    with renamed(contrast="contrast_def"):
        contrast = contrast_matrix(contrast_def, list(names))
    model = RepeatedMeasures(subjects=own["subjects"], visits=own["visits"])
    rows = model.rows(len(data))
    if not np.isfinite(data).any():
        raise ArgumentError("values", "no number", remedy="give a voxel with values", verb="holds")
    fit = fit_repeated(X, data[:, np.newaxis], rows.subjects, n_threads=1)
    terms = read_terms(X, names, levels_of(frame), origins_of(frame))
    lines = subject_lines(rows, terms, contrast)
    with in_pyplot(Figure) as make:
        figure = draw_spaghetti(lines, data, fit.predicted()[:, 0], title, label, make)
    save_figure(figure, path)
    return figure


def draw_spaghetti(
    lines: SubjectLines,
    values: NDArray[np.float64],
    fitted: NDArray[np.float64],
    title: str | None,
    label: str,
    make: Callable[..., Figure] = Figure,
) -> Figure:
    """Draw subjects' lines and the mean of the fitted values of each group; see `plot_spaghetti`.

    Shapes: `values`, NaN where missing, and `fitted` (n_images,).
    """
    figure, ax = new_chart(4.6, 3.4, title, make)
    present = np.isfinite(values)
    n_subjects = len(np.unique(lines.subject[present]))
    alpha = 0.55 if n_subjects <= FEW_SUBJECTS else 0.25
    for subject in np.unique(lines.subject[present]):
        own = np.flatnonzero(present & (lines.subject == subject))
        own = own[np.argsort(lines.x[own], kind="stable")]
        colour = SERIES[int(lines.group[own[0]]) % len(SERIES)]
        ax.plot(
            lines.x[own], values[own], color=colour, lw=0.8, alpha=alpha, marker="o", ms=2.5, mew=0
        )
    several = len(lines.groups) > 1
    for place, name in enumerate(lines.groups):
        members = present & (lines.group == place)
        if not members.any():
            continue
        what = f"{shortened(name)}: mean of the fit" if several else "mean of the fit"
        ax.plot(
            *lines.mean_line(fitted, members), color=SERIES[place % len(SERIES)], lw=3, label=what,
            solid_capstyle="round", zorder=3,
        )  # fmt: skip
    if lines.ticks:
        every = -(-len(lines.ticks) // _MAX_TICKS)
        shown = range(0, len(lines.ticks), every)
        ax.set_xticks(list(shown), [shortened(lines.ticks[tick], 16) for tick in shown])
    ax.set_xlabel(shortened(lines.label))
    ax.set_ylabel(plain(label))
    despine(ax)
    legend_below(figure)
    return figure
