# SPDX-License-Identifier: BSD-3-Clause
"""Choose how the data of a test are rearranged, and refuse what cannot test it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import warn_caller
from groupglm.inference.exchange import Exchange, Rearrangements, check_labels, make_exchange

if TYPE_CHECKING:
    from groupglm.inference.partition import Partition
    from groupglm.inference.permutation_options import PermutationOptions

__all__ = ["choose_exchange", "choose_rearrangements"]

_LIKELY_ALPHA = 0.05


def choose_exchange(parts: Partition, options: PermutationOptions) -> Exchange:
    """Decide between permutations and sign flips, and refuse what leaves the effect as it is.

    Errors of different variance are not exchangeable, but those of one group are; their signs can
    be flipped when they are symmetric (Winkler et al. 2014, section 2.5).

    Parameters
    ----------
    parts : Partition
        Of the design.
    options : PermutationOptions
        What the user asked for.

    Returns
    -------
    Exchange
        What may be exchanged.

    Raises
    ------
    ValueError
        If that leaves the tested effect as it is.
    """
    kinds = None
    if options.variance_groups is not None:
        kinds = check_labels(options.variance_groups, parts.n_images, "variance_groups")

    def make(flips: bool) -> Exchange:
        return make_exchange(
            parts.n_images,
            options.exchangeability_blocks,
            options.block_permutation,
            flips=flips,
            kinds=kinds,
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
        raise ValueError(
            "images of different variance_groups cannot take each other's place, and the tested "
            "effect does not vary within them, so that no permutation can test it; give "
            "sign_flip=True if errors are symmetric"
        )
    if options.exchangeability_blocks is None:
        raise ValueError(
            "the tested effect is the same whatever the order of the images (an intercept, say), "
            "so that no permutation can test it; give sign_flip=True if errors are symmetric"
        )
    within = options.block_permutation == "within"
    raise ValueError(
        "exchangeability_blocks make the test impossible: the tested effect does not vary "
        + (
            "within any block; give block_permutation='whole' to permute whole blocks"
            if within
            else "between blocks of the same size; give block_permutation='within'"
        )
        + ", or sign_flip=True if errors are symmetric"
    )


def choose_rearrangements(
    parts: Partition,
    exchange: Exchange,
    options: PermutationOptions,
    seed: int,
    *,
    complete: bool = True,
) -> Rearrangements:
    """Draw as many as were asked for, or list all that there are.

    Parameters
    ----------
    parts : Partition
        Of the design.
    exchange : Exchange
        What may be exchanged.
    options : PermutationOptions
        What the user asked for.
    seed : int
        Of those that are drawn.
    complete : bool, default=True
        Whether every voxel has all images.

    Returns
    -------
    Rearrangements
        Without the identity.

    Warns
    -----
    UserWarning
        If there are fewer than were asked for, or too few for p-values of 0.05.
    """
    if options.n_perm == 0:
        return Rearrangements(exchange, 0, (seed,))
    # Columns of the design that are equal make rearrangements equal.
    rows = np.concatenate([parts.effect, exchange.varying(parts.nuisance)])
    if options.variance_groups is not None:
        labels = check_labels(options.variance_groups, parts.n_images, "variance_groups")
        rows = np.concatenate([rows, parts.nuisance, labels[None] / (1 + labels.max())])
    if not complete and not exchange.flips:
        # Orders that are equal for all images differ for those that a voxel has.
        rows = np.concatenate([rows, np.arange(parts.n_images)[None]])
    count = exchange.count(rows)
    kind = "sign flips" if exchange.flips else "permutations"
    if count - 1 <= options.n_perm:
        told = f"all {count} different {kind} of this design are used"
        if count - 1 < options.n_perm:
            told += f" instead of n_perm={options.n_perm} random ones"
        if 1 / count > _LIKELY_ALPHA:
            told += (
                f", so that no p-value can be below {1 / count:.2g}, and nothing significant at "
                f"{_LIKELY_ALPHA:g}; add images" + _looser_blocks(options)
            )
        if count - 1 < options.n_perm:
            warn_caller(told)
        return Rearrangements(exchange, count - 1, (seed,), exchange.every(rows))
    if 1 / (1 + options.n_perm) > _LIKELY_ALPHA:
        warn_caller(
            f"n_perm={options.n_perm} gives no p-value below {1 / (1 + options.n_perm):.2g}, so "
            f"that nothing can be significant at {_LIKELY_ALPHA:g}; there are "
            f"{min(count, 10**300):.3g} different {kind}: ask for more"
        )
    return Rearrangements(exchange, options.n_perm, (seed,))


def _looser_blocks(options: PermutationOptions) -> str:
    return ", or give larger blocks" if options.exchangeability_blocks is not None else ""
