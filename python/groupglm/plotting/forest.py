# SPDX-License-Identifier: BSD-3-Clause
"""The effects of all subjects at one place, and the group's estimate: `plot_forest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from groupglm.design.contrasts import contrast_matrix
from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.design.origins import origins_of
from groupglm.errors import ArgumentError, renamed, shown
from groupglm.inputs.cohort import align_to_images
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import fill
from groupglm.models.image_weights import image_weights, why_absent
from groupglm.models.kinds import check_model
from groupglm.plotting.figure import Figure, check_output_file, in_pyplot, save_figure
from groupglm.plotting.forest_data import PlaceData, forest_of
from groupglm.plotting.forest_drawing import draw_forest
from groupglm.plotting.place_values import one_number_an_image, read_place
from groupglm.plotting.reading_terms import read_terms
from groupglm.runtime.arguments import check_text, real_number
from groupglm.runtime.naming import counted
from groupglm.tabular.labels import align_arrays, row_labels
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from groupglm.models.base import Fit, Model

__all__ = ["plot_forest"]


def plot_forest(
    effects: Any,
    variances: Any,
    design_matrix: pd.DataFrame | str | PathLike[str] | None = None,
    contrast_def: Any = None,
    *,
    model: str | Model = "mixed effects",
    position: tuple[float, float, float] | None = None,
    labels: Sequence[str] | None = None,
    level: float = 0.95,
    title: str | None = None,
    label: str = "effect",
    output_file: str | PathLike[str] | None = None,
) -> Figure:
    r"""Draw the effect of each subject at one voxel with its interval, and the group's estimate.

    Each subject has a line: the effect, the interval that its own variance gives it, and a square
    whose area is its weight in the model. An arrow stands for an interval that goes on. Subjects
    without a value are listed last, with the reason.

    The orange diamond is the estimate of the group: its middle is the estimate, its ends are those
    of the confidence interval of the model's test. What it is depends on the contrast:

    - the mean of all subjects: their diamond is the contrast;
    - groups: each group has a diamond for its mean, and the contrast has one on an axis of its own;
    - a slope, or another contrast that gives each subject its own fitted value: the lines are in
      the order of what the tested columns fit, orange ticks show the fitted values, and the
      contrast has a diamond on an axis of its own, in its own unit.

    Where subjects are in groups, or all are one, what the other columns of the design explain is
    taken off their effects.

    Parameters
    ----------
    effects, variances : array_like of float, shape (n_images,), or images
        The effect of the voxel in each image and its sampling variance, NaN where it is missing.
        With `position`, the images themselves, as `SecondLevelModel.fit` takes them; one voxel of
        each is kept.
    design_matrix : pandas.DataFrame, or path of a .csv or .tsv file, optional
        One row for each image. By default a column of ones, called "mean". Rows are matched by
        label if effects, variances and rows have labels.
    contrast_def : str, array_like, list or None
        A contrast as `SecondLevelModel.compute_contrast` takes it.
    model : str or model, default="mixed effects"
        "mixed effects", "fixed effects", or a model with its options, such as
        ``MixedEffects(tau2="paule-mandel", test="z")``.
    position : tuple of 3 floats, optional
        Position in mm. The voxel that holds it is read.
    labels : sequence of str, optional
        Names of the subjects. By default the labels of the rows, or their numbers from 1.
    level : float, default=0.95
        Level of the confidence intervals.
    title : str, optional
        Written above.
    label : str, default="effect"
        What the effects are, for instance their unit.
    output_file : str or os.PathLike, optional
        Where to save the figure; its ending says the format.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; its height grows with the number of subjects.

    Raises
    ------
    ValueError
        If effects, variances, labels and design do not fit each other, the model takes no
        variances, too few subjects have a value, `position` is outside the images, or `level` is
        not between 0 and 1.

    See Also
    --------
    groupglm.plotting.plot_peak : The values of images without variances.

    Notes
    -----
    The interval of a subject is its effect :math:`\pm z_{(1 + level)/2} \sqrt{v}`, and its weight
    in percent is its share of the sum of :math:`1/(v + \tau^2)` (Lewis and Clarke, BMJ 322, 2001).

    Examples
    --------
    >>> from groupglm.plotting import plot_forest
    >>> figure = plot_forest([0.8, 0.3, 1.1, 0.6], [0.04, 0.09, 0.25, 0.01], model="fixed effects")
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text().endswith("%")]
    ['17.8%', '7.9%', '2.9%', '71.4%']
    """
    check_text("label", label, optional=False)
    check_text("title", title)
    path = check_output_file(output_file)
    if not 0 < real_number("level", level) < 1:
        raise ArgumentError("level", shown(level), "between 0 and 1, for instance 0.95")
    chosen = check_model(model)
    if chosen.beside != ("variance",):
        raise ArgumentError(
            "model",
            f"{chosen.kind!r}, which takes no variances",
            remedy="give 'mixed effects' or 'fixed effects'; plot_peak draws values without "
            "variances",
        )
    frame, y, v, names = _rows(effects, variances, design_matrix, position)
    if labels is not None:
        names = _checked_labels(labels, len(y))
    X = check_design_matrix(frame, len(y))
    columns = tuple(str(name) for name in frame.columns)
    with renamed(contrast="contrast_def"):
        contrast = contrast_matrix(contrast_def, list(columns))
    fit = _fit_place(chosen, X, columns, y, v)
    weights = image_weights(fit, y[:, np.newaxis], v[:, np.newaxis])[:, 0]
    data = PlaceData(names, y, v, weights, why_absent(y, v))
    terms = read_terms(X, columns, levels_of(frame), origins_of(frame))
    with renamed(contrast="contrast_def"):
        forest = forest_of(fit, terms, contrast, data, level)
    with in_pyplot(Figure) as make:
        figure = draw_forest(forest, level, title, label, make)
    save_figure(figure, path)
    return figure


def _rows(
    effects: Any,
    variances: Any,
    design_matrix: Any,
    position: tuple[float, float, float] | None,
) -> tuple[pd.DataFrame, NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return the design, effects and variances in one order, and the names of the rows."""
    frame = None if design_matrix is None else load_design_matrix(design_matrix)
    found: Sequence[str] | None = None
    if position is not None:
        y = read_place("effects", effects, position)
        v = read_place("variances", variances, position)
        aligned = align_to_images(_ones(len(y)) if frame is None else frame, effects)
        frame, found = aligned.frame, aligned.labels
    else:
        given = {"effects": effects, "variances": variances, "design_matrix": frame}
        rows = align_arrays(given, "effects")
        y = one_number_an_image("effects", rows["effects"])
        v = one_number_an_image("variances", rows["variances"])
        frame = _ones(len(y)) if frame is None else rows["design_matrix"]
        indexes = [one.index for one in rows.values() if isinstance(one, pd.Series | pd.DataFrame)]
        known = [row_labels(index, None, "effects") for index in indexes]
        found = next((labels for labels in known if labels is not None), None)
    if len(v) != len(y):
        raise ArgumentError(
            "variances",
            f"{counted(len(v), 'value')}, but effects has {len(y)}: one an image",
            verb="has",
        )
    if (v < 0).any():
        worst = int(np.nanargmin(v))
        raise ArgumentError(
            "variances",
            f"the negative value {v[worst]:g} in row {worst + 1}",
            remedy="give sampling variances, the squares of standard errors",
            verb="holds",
        )
    names = [None] * len(y) if found is None else found
    return frame, y, v, [name or str(row) for row, name in enumerate(names, start=1)]


def _ones(n_images: int) -> pd.DataFrame:
    return pd.DataFrame({"mean": np.ones(n_images)})


def _checked_labels(labels: Sequence[str], n_images: int) -> list[str]:
    names = [str(name) for name in labels]
    if isinstance(labels, str) or len(names) != n_images:
        found = "a text" if isinstance(labels, str) else f"{len(names)} names"
        raise ArgumentError("labels", found, f"a sequence of {n_images} names", "one an image")
    return names


def _fit_place(
    model: Model,
    X: NDArray[np.float64],
    columns: tuple[str, ...],
    y: NDArray[np.float64],
    v: NDArray[np.float64],
) -> Fit:
    plan = model.prepare(X, columns)
    n_present = int(np.count_nonzero(np.isfinite(y) & (v > 0)))
    if n_present <= plan.rank:
        raise ArgumentError.about(
            "effects",
            f"effects: {n_present} of {len(y)} subjects have an effect and a variance, too few for "
            f"a design matrix of rank {plan.rank}",
            "give more subjects or fewer columns",
        )
    rows = ArrayRows(np.ascontiguousarray(np.stack([y, v], axis=1).reshape(-1, 1)))
    return plan.finish(fill(plan, rows, n_threads=1), 1, rows if model.keeps_rows else None)
