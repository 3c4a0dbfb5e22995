# SPDX-License-Identifier: BSD-3-Clause
"""What a permutation test rearranges, and what it assumes, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm.inference.permutation.subject_effects import between_shares

if TYPE_CHECKING:
    from groupglm.inference.permutation.exchange import Exchange
    from groupglm.inference.permutation.kernels import Method
    from groupglm.inference.permutation.rearranged_model import RearrangedModel

__all__ = ["assumption_of"]

_SYMMETRIC = "the errors of the images are independent and have symmetric distributions"
_EXCHANGEABLE = "the errors of the images are exchangeable"
_RESIDUALS = {
    "freedman-lane": "residuals of the null model",
    "ter-braak": "residuals of the full model",
    "smith": "tested columns, without what the nuisance explains of them,",
}


def assumption_of(model: RearrangedModel, method: Method, exchange: Exchange) -> str:
    """Return a sentence: what is rearranged, and what this assumes.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.inference.permutation.exchange import make_exchange
    >>> from groupglm.inference.permutation.present_images import ImageRows
    >>> from groupglm.inference.permutation.rearranged_model import RearrangedModel
    >>> model = RearrangedModel("ols", {}, ImageRows(), np.ones((5, 1)), np.ones((1, 1)))
    >>> flips = make_exchange(5, None, "within", flips=True)
    >>> print(assumption_of(model, "freedman-lane", flips)[:36])
    The signs of the images are flipped,
    """
    has_nuisance, flips = len(model.parts.nuisance) > 0, exchange.flips
    if model.is_repeated:
        return _of_subjects(model, exchange)
    if model.has_variances:
        return _of_known_variances(model, flips=flips, has_nuisance=has_nuisance)
    what = _RESIDUALS[method] if has_nuisance or not flips else "images"
    assumed = _SYMMETRIC if flips else _EXCHANGEABLE
    if model.is_voxelwise:
        one = "each place's own null model"
        what = f"residuals of {one}" if has_nuisance or not flips else "images"
        if "weight" in model.rows.beside:
            what += ", multiplied by the roots of their weights,"
            assumed = assumed.replace(
                "errors of the images", "errors, multiplied by the roots of the weights,"
            )
    if model.groups is not None and not flips:
        assumed = "the errors are exchangeable within each group of images of one variance"
    done = f"The signs of the {what} are flipped" if flips else f"The {what} are permuted"
    within = " within each group of images of one variance" if model.groups is not None else ""
    return f"{done}{'' if flips else within}, which assumes that {assumed}."


def _of_known_variances(model: RearrangedModel, *, flips: bool, has_nuisance: bool) -> str:
    again = ", and the variance between images is estimated anew each time"
    if model.kind == "fixed effects" or not isinstance(model.settings.get("tau2", 0.0), str):
        again = ""
    if flips:
        what = "residuals of the null model" if has_nuisance else "effects"
        return (
            f"The signs of the {what} are flipped while their variances stay{again}. This assumes "
            "that the effects are independent and that each has a symmetric distribution about its "
            "mean under the null hypothesis; their variances may differ."
        )
    within = " within each variance group" if model.groups is not None else ""
    return (
        f"Pairs of effect and variance are permuted{within} against the tested columns, while the "
        f"nuisance stays{again}. This assumes that the pairs are exchangeable: under the null "
        "hypothesis neither the effects nor their variances depend on the tested columns."
    )


def _of_subjects(model: RearrangedModel, exchange: Exchange) -> str:
    if model.is_bootstrapped:
        how = model.settings["adjustment"]
        adjusted = f", adjusted for their leverage ({how})," if how not in (0, 1) else ""
        return (
            f"This is a wild bootstrap: the residuals of the null model{adjusted} are multiplied "
            "by a random sign for each subject, and the sandwich is computed anew each time. This "
            "assumes that subjects are independent and that they are many; the images of a subject "
            "may have any covariance."
        )
    again = ", and the variance between subjects is estimated anew each time"
    if exchange.flips:
        return (
            "The signs of the residuals of the null model are flipped, one sign for all images of "
            f"a subject{again}. This assumes that subjects are independent and that their errors "
            "have symmetric distributions."
        )
    if any(units.shape[1] > 1 for units in exchange.groups):
        return (
            "Whole subjects' residuals of the null model are permuted among subjects of equal "
            f"numbers of images{again}. This assumes that the errors of these subjects are "
            "exchangeable."
        )
    share = 100 * between_shares(model.parts, model.subjects).mean()
    stays = (
        f" Of the effect's sum of squares, {share:.0f} % lies between subjects, where nothing is "
        "permuted."
    )
    return (
        f"The residuals of the null model are permuted within each subject{again}. This assumes "
        "that the errors of a subject's images are exchangeable: any two of them have the same "
        f"covariance, and all have the same variance.{stays if share >= 1 else ''}"
    )
