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

if TYPE_CHECKING:
    from groupglm.estimator.model_fits import ModelFits
    from groupglm.group.fitted_group import FittedGroup
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
            say.

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
