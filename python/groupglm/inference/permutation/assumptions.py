# SPDX-License-Identifier: BSD-3-Clause
"""What a permutation test rearranges, and what it assumes, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.permutation.subject_effects import between_shares

if TYPE_CHECKING:
    from groupglm.inference.permutation.exchange import Exchange
    from groupglm.inference.permutation.kernels import Method
    from groupglm.inference.permutation.rearranged_model import RearrangedModel

__all__ = ["assumption_of"]

_SYMMETRIC = "the errors of the images are independent and have symmetric distributions"
_EXCHANGEABLE = "the errors of the images are exchangeable"
_BLOCKS = {
    "within": ("", " within each block", " within each block"),
    "whole": (", one sign for each block", " in whole blocks of equal sizes", ", block for block"),
    "nested": (
        ", one sign for each block that may be exchanged",
        " as the blocks within blocks allow",
        ", as the blocks are",
    ),
}
"""What is said of flips, of permutations and of exchangeable errors if there are blocks."""
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
        return _of_known_variances(model, exchange, has_nuisance=has_nuisance)
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
    within = ""
    if model.groups is not None and not flips:
        assumed = "the errors are exchangeable within each group of images of one variance"
        within = " within each group of images of one variance"
    done = f"The signs of the {what} are flipped" if flips else f"The {what} are permuted"
    done, assumed = _in_blocks(done + within, assumed, exchange)
    return f"{done}, which assumes that {assumed}."


def _in_blocks(done: str, assumed: str, exchange: Exchange) -> tuple[str, str]:
    """Return what is done, and what this assumes, with the blocks that restrict it."""
    if exchange.manner == "free":
        return done, assumed
    flipped, permuted, exchangeable = _BLOCKS[exchange.manner]
    if not exchange.flips:
        return done + permuted, assumed + exchangeable
    if flipped:
        assumed = assumed.replace(
            "images are independent and have symmetric distributions",
            "images have symmetric distributions and are independent between blocks",
        )
    return done + flipped, assumed


def _of_known_variances(model: RearrangedModel, exchange: Exchange, *, has_nuisance: bool) -> str:
    again = ", and the variance between images is estimated anew each time"
    if model.kind == "fixed effects" or not isinstance(model.settings.get("tau2", 0.0), str):
        again = ""
    flipped, permuted, exchangeable = _BLOCKS.get(exchange.manner, ("", "", ""))
    if exchange.flips:
        what = "residuals of the null model" if has_nuisance else "effects"
        independent = "effects of different blocks are" if flipped else "effects are"
        return (
            f"The signs of the {what} are flipped{flipped} while their variances stay{again}. This "
            f"assumes that the {independent} independent and that each has a symmetric "
            "distribution about its mean under the null hypothesis; their variances may differ."
        )
    within = " within each variance group" if model.groups is not None else ""
    return (
        f"Pairs of effect and variance are permuted{within}{permuted} against the tested columns, "
        f"while the nuisance stays{again}. This assumes that the pairs are exchangeable"
        f"{exchangeable}: under the null hypothesis neither the effects nor their variances depend "
        "on the tested columns."
    )


def _of_subjects(model: RearrangedModel, exchange: Exchange) -> str:
    units = [unit for units in exchange.groups for unit in units]
    one = "block" if any(len(np.unique(model.subjects[unit])) > 1 for unit in units) else "subject"
    if model.is_bootstrapped:
        how = model.settings["adjustment"]
        adjusted = f", adjusted for their leverage ({how})," if how not in (0, 1) else ""
        return (
            f"This is a wild bootstrap: the residuals of the null model{adjusted} are multiplied "
            f"by a random sign for each {one}, and the sandwich is computed anew each time. This "
            f"assumes that {one}s are independent and that they are many; the images of a {one} "
            "may have any covariance."
        )
    again = ", and the variance between subjects is estimated anew each time"
    if exchange.flips:
        return (
            "The signs of the residuals of the null model are flipped, one sign for all images of "
            f"a {one}{again}. This assumes that {one}s are independent and that their errors have "
            "symmetric distributions."
        )
    if exchange.manner == "nested" or one == "block":
        how = _BLOCKS[exchange.manner][1]
        return (
            f"The residuals of the null model are permuted{how}{again}. This assumes that the "
            f"errors are exchangeable{_BLOCKS[exchange.manner][2]}."
        )
    if any(len(unit) > 1 for unit in units):
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
