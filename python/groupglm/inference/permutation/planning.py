# SPDX-License-Identifier: BSD-3-Clause
"""Choose the statistic and the rearrangements of a test; refuse options that cannot test it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.repeated_subjects import have_levels
from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.permutation.exchange import Exchange, Rearrangements, make_exchange
from groupglm.inference.permutation.kernels import GroupedKernel, Kernel, make_ols_kernel
from groupglm.inference.permutation.missing_kernel import make_present_kernel
from groupglm.inference.permutation.mixed_kernel import make_mixed_kernel
from groupglm.inference.permutation.rearranged_model import rearranged_model
from groupglm.inference.permutation.repeated_kernel import make_repeated_kernel
from groupglm.inference.permutation.subject_effects import subject_exchange
from groupglm.inference.permutation.tolerances import NO_FREEDOM
from groupglm.inference.permutation.torn_subjects import refuse_torn
from groupglm.inference.permutation.voxelwise_kernel import make_voxelwise_kernel
from groupglm.messages import argument
from groupglm.runtime.naming import listed
from groupglm.tabular.group_labels import check_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.inference.permutation.missing_values import Presence
    from groupglm.inference.permutation.null_distribution import DataSource
    from groupglm.inference.permutation.options import PermutationOptions
    from groupglm.inference.permutation.partition import Partition
    from groupglm.inference.permutation.rearranged_model import RearrangedModel
    from groupglm.models.base import Model

    Floats = NDArray[np.float64]

__all__ = [
    "check_exchange",
    "choose_exchange",
    "choose_kernel",
    "choose_rearrangements",
    "tell_of_fixed",
]

_LIKELY_ALPHA = 0.05
_FEW_IN_GROUP = 10


def choose_exchange(model: RearrangedModel, options: PermutationOptions) -> Exchange:
    """Choose permutations or sign flips; refuse rearrangements that do not change the effect.

    Errors of different variance are exchangeable only within their group. Their signs can be
    flipped if the errors are symmetric (Winkler et al. 2014, section 2.5). Images of one subject
    belong together, unless the design gives their subjects levels of their own.
    """
    if model.is_repeated:
        return subject_exchange(
            model.parts,
            model.effect_kind,
            model.settings["subjects"],
            options,
            bootstraps=model.is_bootstrapped,
        )
    exchange = _exchange_of_independent(model, options)
    labels = options.subjects
    has_blocks = options.exchangeability_blocks is not None
    if has_blocks and labels is not None and not have_levels(labels, model.X):
        refuse_torn(exchange, labels)
    return exchange


def _exchange_of_independent(model: RearrangedModel, options: PermutationOptions) -> Exchange:
    """Choose the rearrangements of a model of independent images."""
    parts, kinds = model.parts, None
    if model.groups is not None:
        kinds = check_labels(model.groups, parts.n_images, model.groups_argument)

    def make(flips: bool) -> Exchange:
        return make_exchange(
            parts.n_images,
            options.exchangeability_blocks,
            options.block_permutation,
            flips=flips,
            kinds=kinds,
            names=options.image_names,
        )

    permutations = make(flips=False)
    possible = len(permutations.varying(parts.effect)) > 0
    flips = options.sign_flip
    if flips is None:
        flips = not parts.leaves_mean_free or (kinds is not None and not possible)
    if flips:
        return make(flips=True)
    if possible:
        return permutations
    if kinds is not None:
        raise ArgumentError.about(
            model.groups_argument,
            "images of different "
            + argument(model.groups_argument)
            + " cannot take each other's place, and the tested effect does not vary within them, "
            "so that no permutation can test it",
            "give " + argument("sign_flip", True) + " if errors are symmetric",
        )
    if options.exchangeability_blocks is None:
        raise ArgumentError.about(
            "sign_flip",
            "the tested effect is the same whatever the order of the images (an intercept, say), "
            "so that no permutation can test it",
            "give " + argument("sign_flip", True) + " if errors are symmetric",
        )
    blocks = argument("exchangeability_blocks")
    symmetric = ", or " + argument("sign_flip", True) + " if errors are symmetric"
    if np.ndim(options.exchangeability_blocks) == 2:
        raise ArgumentError.about(
            "exchangeability_blocks",
            blocks
            + " make the test impossible: the tested effect is the same in all "
            + f"{permutations.count(np.arange(float(parts.n_images))[None]):,} orders of images "
            "that these blocks within blocks allow",
            "give positive numbers to blocks whose inner blocks or images may be exchanged (only "
            "those of one shape are)" + symmetric,
        )
    within = options.block_permutation == "within"
    raise ArgumentError.about(
        "exchangeability_blocks",
        blocks
        + " make the test impossible: the tested effect does not vary "
        + ("within any block" if within else "between blocks of the same size"),
        "give "
        + argument("block_permutation", "whole" if within else "within")
        + (" to permute whole blocks" if within else "")
        + symmetric,
    )


def check_exchange(
    model: Model,
    X: Floats,
    contrast: Floats,
    column_names: tuple[str, ...],
    options: PermutationOptions,
) -> None:
    """Refuse, before images are read, an effect that no rearrangement can test.

    Shapes: `X` (n_images, n_columns), `contrast` (n_rows, n_columns + n_covariates).
    """
    n_covariates = tuple(model.beside).count("covariate")
    whole = np.concatenate([X, np.zeros((len(X), n_covariates))], axis=1)
    try:
        tested = rearranged_model(model, whole, contrast, column_names, options)
    except ArgumentError:
        raise
    except ValueError:
        return  # not estimable, which the fit says in words
    choose_exchange(tested, options)


def tell_of_fixed(exchange: Exchange, names: Sequence[str] | None) -> None:
    """Warn of images that no permutation of a tree of blocks moves.

    `names` holds what each image is called; None: its row.
    """
    if exchange.flips or exchange.manner != "nested":
        return
    fixed = np.flatnonzero(np.bincount(orbits := exchange.orbits())[orbits] == 1)
    if len(fixed):
        own = [f"row {row + 1}" if names is None else names[row] for row in fixed.tolist()]
        warn_caller(
            argument("exchangeability_blocks")
            + f": {len(fixed)} of {exchange.n} images keep their place in "
            "every permutation, because no other block that may be exchanged has the shape of "
            f"theirs ({listed(own)}); leave them out, "
            "or check the signs and numbers of their blocks"
        )


def choose_kernel(
    model: RearrangedModel,
    exchange: Exchange,
    options: PermutationOptions,
    presence: Presence | None,
    source: DataSource,
    df_residual: float | NDArray[Any],
) -> Kernel:
    """Choose the statistic's kernel."""
    parts = model.parts
    if presence is not None and model.is_repeated:
        return make_repeated_kernel(model, presence, two_sided=options.two_sided)
    if presence is not None and model.has_variances:
        return make_mixed_kernel(model, presence, flips=exchange.flips, two_sided=options.two_sided)
    if presence is not None and model.is_voxelwise:
        return make_voxelwise_kernel(model, presence, df_residual, two_sided=options.two_sided)
    if model.groups is None:
        kernel = make_ols_kernel(parts, exchange, options.method, two_sided=options.two_sided)
        if presence is None:
            return kernel
        return make_present_kernel(kernel, parts, presence, options.method)
    if presence is not None:
        lacking = np.sort(np.append(presence.patterns.columns, np.flatnonzero(presence.untested)))
        _, many = source.place_words
        raise ArgumentError.about(
            model.groups_argument,
            argument(model.groups_argument)
            + f" cannot be tested where images lack values, as in {len(lacking)} of "
            f"{len(presence.untested)} {many} ({source.name_places(lacking)}): the degrees of "
            f"freedom of their statistic are unknown, so that {many} with more and with fewer "
            "images cannot be compared",
            "give " + argument("missing", "intersect") + f" to leave these {many} out",
        )
    if options.method != "freedman-lane":
        raise ArgumentError.about(
            "variance_groups",
            f"variance_groups need method='freedman-lane', but method is {options.method!r}",
        )
    groups = check_labels(model.groups, parts.n_images, model.groups_argument)
    _check_groups(parts, groups, model.groups_argument, flips=exchange.flips)
    return GroupedKernel(parts, groups, options.two_sided)


def _check_groups(parts: Partition, groups: NDArray[np.int64], name: str, *, flips: bool) -> None:
    design = np.concatenate([parts.effect, parts.nuisance])
    sizes = np.bincount(groups)
    free = np.bincount(groups, 1 - np.sum(design**2, axis=0))
    unknown = (free < NO_FREEDOM) | (sizes < 2)
    if unknown.any():
        raise ArgumentError.about(
            name,
            argument(name) + f": a group of {sizes[np.argmax(unknown)]} images leaves no residuals "
            "of its own, so that its variance is unknown",
            "join groups, or drop columns that are particular to one image",
        )
    if flips and len(parts.nuisance) and sizes.min() < _FEW_IN_GROUP:
        # A residual contains the error of the estimated nuisance, whose sign is flipped too. This
        # error matters most if the group with the largest variance is small.
        warn_caller(
            argument(name) + ": signs of residuals are flipped, and the smallest group has "
            f"{sizes.min()} images; if these vary most, p-values are too small (familywise error "
            "of 0.08 in the place of 0.05 with groups of 6 and 18, of 0.15 with 4 and 12, the few "
            "of four times the standard deviation); give groups of at least "
            f"{_FEW_IN_GROUP} images, or take p-values near the level with care"
        )


def choose_rearrangements(
    model: RearrangedModel,
    exchange: Exchange,
    options: PermutationOptions,
    seed: int,
    *,
    complete: bool = True,
) -> Rearrangements:
    """Draw as many rearrangements as wanted; or list all of them if there are fewer."""
    if options.n_perm == 0:
        return Rearrangements(exchange, 0, (seed,))
    # Rearrangements are equal if they exchange equal columns of the design.
    parts = model.parts
    rows = parts.effect
    if exchange.flips or not model.permutes_columns:
        rows = np.concatenate([rows, exchange.varying(parts.nuisance)])
    if model.groups is not None:
        labels = check_labels(model.groups, parts.n_images, model.groups_argument)
        rows = np.concatenate([rows, parts.nuisance, labels[None] / (1 + labels.max())])
    if (not complete or model.is_voxelwise) and not exchange.flips:
        # Orders that are equal for all images differ for the images that one voxel has, or for
        # their weights.
        rows = np.concatenate([rows, np.arange(parts.n_images)[None]])
    count = exchange.count(rows)
    kind = "sign flips" if exchange.flips else "permutations"
    if count - 1 <= options.n_perm:
        told = f"all {count} different {kind} of this design are used"
        if count - 1 < options.n_perm:
            told += f", {count - 1} beside the data as they are, instead of "
            told += argument("n_perm", options.n_perm) + " random ones"
        if 1 / count > _LIKELY_ALPHA:
            told += (
                f", so that no p-value can be below {1 / count:.2g}, and nothing significant at "
                f"{_LIKELY_ALPHA:g}; add images" + _looser_blocks(exchange)
            )
        if count - 1 < options.n_perm:
            warn_caller(told)
        return Rearrangements(exchange, count - 1, (seed,), exchange.every(rows))
    if 1 / (1 + options.n_perm) > _LIKELY_ALPHA:
        there = f"{count:,}" if count < 10**9 else f"{min(count, 10**300):.3g}"
        warn_caller(
            argument("n_perm", options.n_perm)
            + f" gives no p-value below {1 / (1 + options.n_perm):.2g}, so "
            f"that nothing can be significant at {_LIKELY_ALPHA:g}; there are "
            f"{there} different {kind}: ask for more" + _for_threads(options)
        )
    return Rearrangements(exchange, options.n_perm, (seed,))


def _for_threads(options: PermutationOptions) -> str:
    """Say that there are threads without a permutation."""
    if not 0 < options.n_perm < options.n_threads:
        return ""
    return f"; perform more permutations to make use of {options.n_threads} threads, too"


def _looser_blocks(exchange: Exchange) -> str:
    """Say what gives more permutations: images that may be exchanged with more others."""
    return ", or give larger blocks" if exchange.manner == "within" and not exchange.flips else ""
