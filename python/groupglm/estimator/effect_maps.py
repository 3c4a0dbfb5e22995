# SPDX-License-Identifier: BSD-3-Clause
"""Contrasts as images: statistics, effect sizes with intervals, Bayes factors, equivalence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.hypotheses import read_hypothesis
from groupglm.errors import renamed, warn_caller
from groupglm.estimator.model_fits import check_fitted
from groupglm.group.fitted_group import statistic_of
from groupglm.models.effect_sizes import (
    EffectSizes,
    check_confidence,
    check_prior_scale,
)
from groupglm.models.equivalence import Bounds, equivalence_of
from groupglm.models.null_value import against
from groupglm.runtime.progress import Progress

if TYPE_CHECKING:
    from groupglm.estimator.model_fits import ModelFits
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.confidence_sets.sets import ConfidenceSets
    from groupglm.models.equivalence import Units
    from groupglm.models.results import ContrastResult, StatType
    from groupglm.spaces.images import Image

__all__ = ["OUTPUT_TYPES", "ContrastMaps", "EffectMaps", "checked_options"]

OUTPUT_TYPES = ("z_score", "stat", "p_value", "effect_size", "effect_variance")


@dataclass(frozen=True, eq=False)
class ContrastMaps:
    """The maps of a tested contrast.

    Parameters
    ----------
    group : FittedGroup
        The fit.
    values : array, shape (n_columns,) or (n_rows, n_columns)
        The contrast.
    result : ContrastResult
        Its test.
    label : object
        What the user calls it.
    """

    group: FittedGroup
    values: np.ndarray[Any, np.dtype[np.float64]]
    result: ContrastResult
    label: object

    def sizes(self, confidence: float = 0.95, prior_scale: float | None = None) -> EffectSizes:
        """Return its effect sizes."""
        return EffectSizes(self.group.result, self.values, self.result, confidence, prior_scale)

    def image(self, kind: str, sizes: EffectSizes | None = None) -> Image:
        """Return the image of a statistic, or of an effect size."""
        row = sizes.row(kind) if sizes is not None else getattr(self.result, kind)
        descrip = f"{kind} of contrast {self.label}"
        if kind in ("stat", "z_score", "p_value"):
            descrip = f"{self.result.stat_type} {descrip}"
        return self.of_row(row, kind, descrip)

    def of_row(self, row: Any, kind: str, descrip: str) -> Image:
        """Return the image of values, shape (n_values,) or (n_rows, n_values)."""
        dtype = row.dtype if row.dtype.kind == "i" else None
        image: Image = self.group.space.to_image(
            row, descrip, dtype=dtype, statistic=statistic_of(self.result, kind)
        )
        return image


class EffectMaps:
    """What a fitted model says of contrasts."""

    # Of the class that inherits from this one.
    _fits: ModelFits
    design_matrix_: Any
    verbose: int

    def _contrast_maps(
        self, contrast: Any, first_level_contrast: Any, stat_type: StatType | None
    ) -> ContrastMaps:
        group = self._fits.of(first_level_contrast)
        with renamed(contrast="second_level_contrast", stat_type="second_level_stat_type"):
            hypothesis = read_hypothesis(contrast, list(self.design_matrix_.columns))
            values = hypothesis.weights
            if stat_type is None and values.ndim == 2 and len(values) == 1:
                stat_type = "t"  # as in nilearn: one row is one contrast
            result = group.result.contrast(values, stat_type=stat_type)
            result = against(result, hypothesis.null_value, group.result.n_threads)
        label = contrast if isinstance(contrast, str) else values.tolist()
        return ContrastMaps(group, values, result, label)

    def compute_equivalence(
        self,
        second_level_contrast: Any = None,
        first_level_contrast: Any = None,
        *,
        bounds: tuple[float, float],
        units: Units = "effect",
        alpha: float = 0.05,
    ) -> Any:
        """Test whether an effect is too small to matter: equivalence, by two one-sided tests.

        A test that finds nothing does not say that there is nothing. This one does, where the
        effect is both significantly above the lower bound and significantly below the upper one.

        Parameters
        ----------
        second_level_contrast : str, array_like or None
            A t contrast, as `compute_contrast` takes it.
        first_level_contrast : str, array, or list of them, optional
            The kind of maps, as in `compute_contrast`.
        bounds : tuple of 2 floats
            The largest effects that do not matter, (low, high), below and above zero.
        units : {"effect", "cohen_d"}, default="effect"
            The units of the bounds: those of the contrast, or standard deviations, as Cohen's d
            has them.
        alpha : float, default=0.05
            Level of each of the tests, and of the two-sided test of an effect.

        Returns
        -------
        dict of images by name, or pandas.DataFrame of a table of regions
            "p_value": the larger p-value of the two. "decision": 1 where there is an effect (the
            two-sided test is significant), -1 where the effect is equivalent to none, 2 where it is
            both, an effect that is smaller than matters, and 0 where the data do not suffice to
            say. Where nothing varies, p is NaN and the decision 0.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            If the bounds are not below and above zero, the lower first; if their units are those
            of Cohen's d, and the model defines none; or if the contrast is an F contrast.

        Notes
        -----
        The method is that of Schuirmann (1987, doi:10.1007/BF01068419); Lakens (2017,
        doi:10.1177/1948550617697177) explains it. The p-values are not corrected for the number of
        places. The p-value is below alpha where the interval of confidence 1 - 2 alpha lies within
        the bounds.
        """
        check_fitted(self)
        own = Bounds.checked(bounds, units, alpha)
        maps = self._contrast_maps(second_level_contrast, first_level_contrast, None)
        found = equivalence_of(maps.sizes(), own)
        said = f"of contrast {maps.label}"
        return maps.group.space.together(
            {
                "p_value": maps.of_row(found.p_value, "p_value", f"t p_value {said}"),
                "decision": maps.of_row(found.decision, "decision", f"decision {said}"),
            }
        )

    def compute_confidence_sets(
        self,
        second_level_contrast: Any = None,
        first_level_contrast: Any = None,
        *,
        level: float,
        units: Units = "effect",
        alpha: float = 0.05,
        n_bootstraps: int = 5000,
        random_state: Any = None,
    ) -> ConfidenceSets:
        """Say where an effect is at least so large, and where it is smaller, with confidence.

        Sets of places, rather than a p-value at each: the places whose true effect is at least
        `level` include all of the upper set, and lie within the lower set. Both hold at once, at
        all places, with a confidence of 1 - alpha.

        Parameters
        ----------
        second_level_contrast : str, array_like or None
            A t contrast, as `compute_contrast` takes it.
        first_level_contrast : str, array, or list of them, optional
            The kind of maps, as in `compute_contrast`.
        level : float
            The effect that is asked for, in the units of `units`. It may be 0 or negative.
        units : {"effect", "cohen_d"}, default="effect"
            "effect": the units of the contrast. "cohen_d": standard deviations.
        alpha : float, default=0.05
            One less the confidence.
        n_bootstraps : int, default=5000
            Number of bootstraps, of which the critical value is a quantile.
        random_state : int, numpy.random.RandomState, numpy.random.Generator or None
            Seed. The same seed gives the same bits for any number of threads.

        Returns
        -------
        ConfidenceSets
            A dictionary of images of uint8, 1 inside and 0 outside. "upper": the effect is at least
            `level`. "estimate": the estimate is. "lower": it may be; outside, the effect is
            smaller. Places without a statistic are in none. The attributes ``critical_value``,
            ``options``, ``n_boundary_points`` and ``n_places`` are what they were made with.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            If `level` is not finite, or the effect reaches it at all places or at none, so that
            there is no boundary; if the contrast is an F contrast or compared with a constant; if
            the model does not tell how residuals vary (repeated measures, robust), or does not
            define Cohen's d by one standard deviation; or if the data are of regions, which have no
            neighbours.

        Notes
        -----
        The images are read once more. With the estimate e, its standard error s and the critical
        value k, the upper set is where e - level >= k s, and the lower set where e - level >= -k s.
        The critical value is the quantile 1 - alpha of the largest absolute t anywhere on the
        boundary, where the estimate equals the level, in bootstraps that flip the signs of images'
        standardised residuals. On the boundary they are interpolated between neighbours [1]_. The
        method assumes that images are independent and have one variance, and it needs some 60
        images for Cohen's d [2]_, whose estimate is without its bias: Hedges' g.

        Time: one product of (bootstraps, images) and (images, points of the boundary). Memory: 4
        bytes for each image and place beside the boundary, and 8 for each image and bootstrap.

        References
        ----------
        .. [1] A. Bowring, F. Telschow, A. Schwartzman and T. E. Nichols, "Spatial confidence sets
           for raw effect size images", NeuroImage 203 (2019), 116187.
        .. [2] A. Bowring, F. J. E. Telschow, A. Schwartzman and T. E. Nichols, "Confidence Sets for
           Cohen's d effect size images", NeuroImage 226 (2021), 117477.

        Examples
        --------
        >>> import nibabel as nib, numpy as np, pandas as pd
        >>> from groupglm import SecondLevelModel
        >>> rng = np.random.default_rng(0)
        >>> ramp = np.linspace(0, 2, 12)[:, None, None] * np.ones((12, 6, 6))
        >>> images = [nib.Nifti1Image(ramp + rng.standard_normal((12, 6, 6)), np.eye(4))
        ...           for _ in range(40)]
        >>> mask = nib.Nifti1Image(np.ones((12, 6, 6), np.uint8), np.eye(4))
        >>> design = pd.DataFrame({"intercept": np.ones(40)})
        >>> model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
        >>> sets = model.compute_confidence_sets(level=1.0, random_state=0)
        >>> sets.n_places["upper"] < sets.n_places["estimate"] < sets.n_places["lower"]
        True
        """
        from groupglm.inference.confidence_sets.sets import SetOptions, confidence_sets_of

        check_fitted(self)
        options = SetOptions.checked(level, units, alpha, n_bootstraps, random_state)
        maps = self._contrast_maps(second_level_contrast, first_level_contrast, None)
        return confidence_sets_of(
            maps.group, maps.result, options, maps.label, Progress(self.verbose)
        )


def checked_options(output_type: str, confidence: object, prior_scale: object) -> dict[str, Any]:
    """Return the options of effect sizes, checked; warn of one that has no effect."""
    level, scale = check_confidence(confidence), check_prior_scale(prior_scale)
    for name, is_given, is_used in (
        ("confidence", level != 0.95, "ci_" in output_type),
        ("prior_scale", scale is not None, output_type == "log_bayes_factor"),
    ):
        if is_given and not is_used:
            warn_caller(f"{name} has no effect with output_type={output_type!r}; leave it out")
    return {"confidence": level, "prior_scale": scale}
