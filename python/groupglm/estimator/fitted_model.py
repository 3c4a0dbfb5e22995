# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted model answers: contrasts, a page, a file."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Self

from groupglm.errors import ArgumentError
from groupglm.estimator.effect_maps import OUTPUT_TYPES, EffectMaps, checked_options
from groupglm.estimator.maps_of_fit import MapsOfFit
from groupglm.estimator.model_fits import check_fitted
from groupglm.estimator.repeated_maps import RepeatedMaps
from groupglm.estimator.reporting import make_report
from groupglm.estimator.robust_maps import RobustMaps
from groupglm.estimator.saving import load_model, save_model
from groupglm.estimator.variance_maps import VarianceMaps
from groupglm.models.effect_sizes import EFFECT_SIZES
from groupglm.runtime.arguments import check_choice
from groupglm.spaces.geometry import Geometry

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import joblib
    import pandas as pd

    from groupglm.estimator.model_fits import ModelFits
    from groupglm.group.fitted_group import FittedGroup, Missing
    from groupglm.models.base import Model
    from groupglm.models.results import StatType
    from groupglm.report import HTMLReport, PermutationTest
    from groupglm.report.options import HeightControl, PlotType
    from groupglm.spaces.images import ImageLike

__all__ = ["FittedModel"]


class FittedModel(EffectMaps, MapsOfFit, VarianceMaps, RepeatedMaps, RobustMaps):
    """A model after it has been fitted or loaded; it knows nothing of scikit-learn."""

    mask_img: Any
    n_jobs: int | None
    model: str | Model
    reports: bool
    missing: Missing
    second_level_input_: Any
    confounds_: Any
    memory_: joblib.Memory
    _fits: ModelFits

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has been called."""
        return hasattr(self, "second_level_input_")

    def __copy__(self) -> Self:
        """Return a model with the same fits, which from then on does not change this one."""
        other: Self = object.__new__(type(self))
        other.__dict__.update(vars(self))
        if hasattr(self, "_fits"):
            other._fits = copy(self._fits)
        return other

    @property
    def _group(self) -> FittedGroup:
        check_fitted(self)
        return self._fits.current

    @property
    def design_matrix_(self) -> pd.DataFrame:
        """The design matrix, one row an image."""
        check_fitted(self)
        return self._fits.design

    def compute_contrast(
        self,
        second_level_contrast: Any = None,
        first_level_contrast: Any = None,
        second_level_stat_type: StatType | None = None,
        output_type: str = "z_score",
        *,
        confidence: float = 0.95,
        prior_scale: float | None = None,
    ) -> Any:
        """Compute the maps of a contrast.

        Parameters
        ----------
        second_level_contrast : str, array_like or None
            The name of a column; a linear expression of names such as ``"group - 0.5*age"``; a
            vector, one number for each column; or a matrix or a list of names and expressions,
            whose rows are tested together by an F statistic. The name of a factor or interaction
            of a formula, such as ``"site"`` or ``"age:site"``, stands for all its columns. An
            expression may be compared with a constant other than 0, as ``"age = 0.5"``. It may be
            None if the design has one column.
        first_level_contrast : str, array, or list of them, optional
            With a table of maps, the map name to use. With first-level models it is required, and
            is any contrast that their ``compute_contrast`` takes. With images it has no effect.
        second_level_stat_type : {"t", "F"}, optional
            The statistic. By default, t for one row and F for several.
        output_type : str, default="z_score"
            "z_score", "stat", "p_value", "effect_size", "effect_variance", or "all" for these
            five. "ci_low" or "ci_high", the bounds of the interval of the effect size, in its
            units. "cohen_d", "hedges_g", "partial_r" or "partial_r2", each also with "_ci_low" or
            "_ci_high". "log_bayes_factor", the natural logarithm of the Bayes factor of an effect
            against none. Of F contrasts, "partial_r2" and "log_bayes_factor" alone are defined,
            and each model says which it defines.
        confidence : float, default=0.95
            Level of the intervals. Their tails are equal.
        prior_scale : float, optional
            Scale of the prior of a Bayes factor. By default the square root of 1/2 for t, whose
            Cohen's d has a Cauchy prior, and the square root of 1/8 for F, by the g-prior of
            regression: BayesFactor's "medium".

        Returns
        -------
        nibabel.nifti1.Nifti1Image, or dict of them with "all"
            Maps on the grid of the images, zero outside the mask. They are float32, or float64 if
            float32 cannot hold a value. The effect size of an F contrast is 4-D, with one volume
            for each row. p-values of t are one-sided. Of a table of regions, a map is a
            pandas.Series by region, and "all" a pandas.DataFrame with one row a region. Of
            surfaces, a map is an image of the type of the inputs if these are in memory, as
            nilearn's ``SurfaceImage``; else a `groupglm.SurfaceMaps`, or nibabel's image if the
            inputs are files of one hemisphere.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            If the contrast is none of the above, or cannot be estimated; or if the model, or F,
            does not define the effect size.

        Warns
        -----
        UserWarning
            If `confidence` or `prior_scale` has no effect on this output.

        Notes
        -----
        The guide has definitions and sources of effect sizes and Bayes factors for each model. The
        scale of a contrast matters for the effect size and Cohen's d, as for the effect of weights
        1 and -1.
        """
        check_fitted(self)
        check_choice("output_type", output_type, (*OUTPUT_TYPES, "all", *EFFECT_SIZES))
        _check_stat_type(second_level_stat_type)
        options = checked_options(output_type, confidence, prior_scale)
        maps = self._contrast_maps(
            second_level_contrast, first_level_contrast, second_level_stat_type
        )
        if output_type == "all":
            return maps.group.space.together({kind: maps.image(kind) for kind in OUTPUT_TYPES})
        sizes = maps.sizes(**options) if output_type in EFFECT_SIZES else None
        return maps.image(output_type, sizes)

    def generate_report(
        self,
        contrasts: Any = None,
        first_level_contrast: Any = None,
        title: str | None = None,
        bg_img: ImageLike | None = "MNI152TEMPLATE",
        threshold: float | None = None,
        alpha: float | Sequence[float] = 0.001,
        cluster_threshold: int = 0,
        height_control: HeightControl | Sequence[HeightControl | None] | None = "fpr",
        two_sided: bool = False,
        min_distance: float = 8.0,
        plot_type: PlotType = "slice",
        cut_coords: Any = None,
        display_mode: str | None = None,
        report_dims: tuple[int, int] = (1600, 800),
        *,
        permutations: Mapping[str, PermutationTest] | None = None,
        atlas: Any = None,
        cluster_forming_p: float | Sequence[float] | None = None,
        confidence_sets: Mapping[str, Any] | None = None,
    ) -> HTMLReport:
        """Write a page about the fit: data, design, and for each contrast map, clusters and peaks.

        The page is one file, which loads nothing from elsewhere. The images are read once more, in
        batches, to compare them with each other and to show the data behind the peaks. Before
        `fit`, and of a model with ``reports=False``, the page says so and has no results.

        Parameters
        ----------
        contrasts : str, array_like, list of them, dict or None
            One contrast as `compute_contrast` takes it, a list of contrasts, or a dict of contrasts
            by name. A flat list of numbers is one contrast, and an array with two axes is one F
            contrast. With None, the page is about data and design only.
        first_level_contrast : str, array or list of them, optional
            The kind of maps, as in `compute_contrast`.
        title : str, optional
            Heading of the page.
        bg_img : image or None, default="MNI152TEMPLATE"
            Picture behind the maps. The default is the MNI template, if the folder of TemplateFlow
            (``$TEMPLATEFLOW_HOME``) or an installed nilearn has it, else a simulated brain of the
            same size. If the mask lies elsewhere, it is the outline of the mask. The page says
            which. Nothing is downloaded. None is the outline.
        threshold : float, optional
            Threshold of z with ``height_control=None``; 3.09 by default. Otherwise it has no
            effect. A negative one is for negative effects, and needs ``two_sided=False``.
        alpha : float, default=0.001
            Error rate that `height_control` controls: one for all corrections, or one for each.
            Nothing survives an error rate of 0.
        cluster_threshold : int, default=0
            Smallest size of a cluster, in voxels.
        height_control : {"fpr", "fdr", "bonferroni", "rft", "cluster-rft", None} or a list of \
them, default="fpr"
            How the threshold is set: by the p-value of each voxel, by the false discovery rate, by
            Bonferroni's correction, by random field theory of peaks or of sizes of clusters, or by
            `threshold` itself. With a list, each contrast has a map and a table for each
            correction. Random field theory needs `smoothness_`, which is estimated if it is not
            known; the page shows it if it is known.
        two_sided : bool, default=False
            Whether to test effects of both signs, each with half of alpha. By default, only
            positive effects are tested. An F contrast has one tail.
        min_distance : float, default=8.0
            Smallest distance in mm of a peak from the one listed before it in its cluster.
        plot_type : {"slice", "glass"}, default="slice"
            Slices, or a glass brain.
        cut_coords : int, sequence of float or mapping, optional
            Where slices are, in mm, as in `groupglm.plotting.plot_stat_map`.
        display_mode : str, optional
            "ortho", "x", "y", "z", "xz", "yx" or "yz", for slices also "tiled" or "mosaic", and
            for a glass brain "l", "r", "lr", "lzr", "lyr", "lzry" or "lyrz". By default "z" for
            slices and "lzry" for a glass brain.
        report_dims : tuple of 2 ints, default=(1600, 800)
            Largest width, and height, of the frame in a notebook, in pixels.
        permutations : mapping of str to groupglm.report.PermutationTest, optional
            Permutation tests of contrasts, by the contrast's name: the page shows their corrected
            p-values beside the other results.
        atlas : Atlas, str, os.PathLike, image or pair of images, optional
            Names the places of peaks and clusters in the tables, as in
            `groupglm.get_clusters_table`.
        cluster_forming_p : float or sequence of float, optional
            For "cluster-rft": the p-value of a voxel at which clusters are formed, 0.001 by
            default, as in `groupglm.threshold_stats_img`; one for all corrections, or one for each.
        confidence_sets : mapping of str to confidence sets, or to a list of them, optional
            What `compute_confidence_sets` returned for contrasts, by the contrast's name: the page
            draws their outlines.

        Returns
        -------
        groupglm.report.HTMLReport
            Has ``save_as_html(path)``, ``open_in_browser()`` and ``get_standalone()``, and shows
            itself in a notebook.

        Raises
        ------
        TypeError, ValueError
            If a parameter has none of the values above, or a contrast is not one of the design.
        groupglm.errors.ImageError
            If an image cannot be read.

        Warns
        -----
        UserWarning
            If a parameter has no effect beside another one, or the page has no results.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return make_report(self, given)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the fitted model, so that contrasts can be computed anywhere without the images.

        The file has about 8 (n_columns + 2) bytes per voxel. It is a zip of numpy arrays and JSON,
        not a pickle; `groupglm.estimator.model_file` describes it.

        Parameters
        ----------
        path : str or os.PathLike
            The file, for instance ``model.groupglm``. Written whole or not at all; one that exists
            is replaced.

        Returns
        -------
        pathlib.Path
            The file written.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        AttributeError
            If the input has several kinds of maps, and none has been fitted yet.
        ValueError
            If the path is empty or too long, or leads to an image, mask or design matrix of this
            model.
        OSError
            If the file cannot be written.
        """
        check_fitted(self)
        return save_model(vars(self), self._fits, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, surfaces: Any = None, areas: Any = None) -> Self:
        """Load a model that `save` wrote.

        Contrasts, R-squared and predictions are those of the model that was saved. Residuals and
        everything else that reads the images is an error: fit the model again. No code in the file
        is executed.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        surfaces, areas : optional
            As of `SecondLevelModel`: the meshes of a model that was fitted without any, or others
            in the place of its own, for clusters and pictures.

        Returns
        -------
        SecondLevelModel
            Fitted. If a mask was given to the model, ``mask_img`` is the mask of the fit.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not a saved model, damaged, or of a later version; the message says what is
            wrong. If `surfaces` or `areas` are not of the model's mesh, or its images were smoothed
            on its own.

        Warns
        -----
        UserWarning
            If `surfaces` or `areas` have no effect, because the model has no vertices.
        """
        model = cls()
        geometry = Geometry(surfaces, areas)
        model._fits, attributes = load_model(path, geometry)
        attributes |= {"surfaces": geometry.surfaces, "areas": geometry.areas}
        model.__dict__.update(attributes)
        return model


def _check_stat_type(given: object) -> None:
    try:
        check_choice("second_level_stat_type", given, (None, "t", "F"))
    except ArgumentError as error:
        # nilearn's message says "stat_type" for short.
        remedy = f"the 'stat_type' must be {error.wanted}"
        raise ArgumentError(error.argument, error.found, remedy=remedy) from None
