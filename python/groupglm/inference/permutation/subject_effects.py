# SPDX-License-Identifier: BSD-3-Clause
"""Effects within and between subjects, and the rearrangements of several images of a subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError
from groupglm.inference.permutation.exchange import Exchange, make_exchange
from groupglm.inference.permutation.torn_subjects import refuse_torn
from groupglm.messages import argument, either
from groupglm.models.subject_rows import numbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.inference.permutation.options import PermutationOptions
    from groupglm.inference.permutation.partition import Partition

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Kind", "between_shares", "effect_kind", "subject_degrees", "subject_exchange"]

Kind = Literal["within", "between", "mixed"]

_WITHIN, _BETWEEN = 0.5, 0.9
"""Shares of an effect's sum of squares between subjects, up to and from which it is one within
subjects or between them. Any choice of permutations is valid; they differ in what they can find."""


def effect_kind(parts: Partition, columns: Floats, subjects: Integers) -> Kind:
    """Return whether an effect is one within subjects, one between them, or both.

    It is one between subjects if the tested columns are the same for all images of a subject, or if
    nearly all of its sum of squares lies between subjects; one within if at most half does. Numbers
    of images that differ between subjects put a part of a time within subjects between them, too.
    Of several rows each combination counts.

    Shapes: `columns` (n_images, n_tested), `subjects` (n_images,).
    """
    shares = between_shares(parts, subjects)
    first = np.unique(subjects, return_index=True)[1]
    if np.array_equal(columns, columns[first][subjects]) or shares.min() >= _BETWEEN:
        return "between"
    return "within" if shares.max() <= _WITHIN else "mixed"


def between_shares(parts: Partition, subjects: Integers) -> Floats:
    """Return the shares of the effect's sums of squares between subjects, ascending, (k,).

    They are those of the combinations of the effect's rows that vary least and most between.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.inference.permutation.partition import Partition
    >>> effect = np.array([[-0.5, 0.5, -0.5, 0.5], [-0.5, -0.5, 0.5, 0.5]])
    >>> between_shares(Partition(effect, np.empty((0, 4))), np.array([0, 0, 1, 1])).tolist()
    [0.0, 1.0]
    """
    between = _split(parts.effect, subjects)[0]
    shares: Floats = np.asarray(np.linalg.svd(between, compute_uv=False)[::-1] ** 2, np.float64)
    return shares.clip(0.0, 1.0)


def _split(rows: Floats, subjects: Integers) -> tuple[Floats, Floats]:
    """Return the subjects' means of rows, and what differs from them; both (k, n_images)."""
    counts = np.bincount(subjects)
    means = np.array([np.bincount(subjects, row) / counts for row in rows])
    between = means.reshape(len(rows), len(counts))[:, subjects]
    return between, rows - between


def subject_degrees(
    parts: Partition, kind: Kind, subjects: Integers, present: NDArray[np.bool_]
) -> Integers:
    """Return degrees of freedom of an effect, by the images of each pattern.

    Those of an effect between subjects count subjects, those of one within subjects count images
    beyond the first of each subject; those of a mixed effect count images. At least one.

    Shapes: `present` (n_patterns, n_images); returns (n_patterns,).
    """
    design = np.concatenate([parts.effect, parts.nuisance])
    between, within = _split(design, subjects)
    members = (subjects[:, None] == np.arange(subjects.max() + 1)).astype(np.float64)
    n_images = present.sum(axis=1)
    n_subjects = np.count_nonzero(present @ members, axis=1)
    if kind == "between":
        df = n_subjects - np.linalg.matrix_rank(between, tol=_core.RANK_TOLERANCE)
    elif kind == "within":
        df = n_images - n_subjects - np.linalg.matrix_rank(within, tol=_core.RANK_TOLERANCE)
    else:
        df = n_images - len(design)
    return np.asarray(np.maximum(df, 1), dtype=np.int64)


def subject_exchange(
    parts: Partition,
    kind: Kind,
    labels: Sequence[str],
    options: PermutationOptions,
    *,
    bootstraps: bool,
) -> Exchange:
    """Choose the rearrangements of several images of a subject.

    Effects within subjects are tested by permutations within each subject, effects between subjects
    by permutations of whole subjects of equal numbers of images, and a mean that the null
    hypothesis fixes by flips of whole subjects' signs. A wild bootstrap flips signs, too.

    `labels` holds the subject of each image.
    """
    n, subjects = parts.n_images, numbered(labels)
    if bootstraps and options.sign_flip is False:
        raise ArgumentError.about(
            "sign_flip",
            argument("sign_flip", False)
            + ", but the test of a sandwich is a wild bootstrap, which flips the signs of "
            "subjects' residuals",
            "leave it out, or give " + argument("covariance", "random intercept"),
        )
    flips = bootstraps or options.sign_flip
    if flips is None:
        flips = not parts.leaves_mean_free
    blocks = options.exchangeability_blocks
    if blocks is not None:
        exchange = make_exchange(n, blocks, options.block_permutation, flips=flips)
        refuse_torn(exchange, labels)
        _refuse_constant(exchange, parts)
        return exchange
    if flips:
        return make_exchange(n, subjects, "whole", flips=True)
    if kind == "mixed":
        raise ArgumentError.about(
            "exchangeability_blocks",
            f"the tested effect varies within subjects and between them ({_said(parts, subjects)} "
            "of its sum of squares lies between subjects), so that permutations within subjects "
            "test one part of it, and those of whole subjects the other",
            "divide the column into the subject's mean and the deviation from it, and test one of "
            "the two; or choose the permutations by "
            + argument("exchangeability_blocks")
            + ", with the subjects as labels, and "
            + argument("block_permutation", "within")
            + " or "
            + either("'whole'", "whole"),
        )
    within = kind == "within"
    exchange = make_exchange(n, subjects, "within" if within else "whole", flips=False)
    _refuse_constant(exchange, parts)
    return exchange


def _said(parts: Partition, subjects: Integers) -> str:
    return f"{100 * between_shares(parts, subjects).mean():.0f} %"


def _refuse_constant(exchange: Exchange, parts: Partition) -> None:
    if exchange.flips or len(exchange.varying(parts.effect)):
        return
    whole = any(units.shape[1] > 1 for units in exchange.groups)
    where = "between subjects of equal numbers of images" if whole else "within subjects"
    raise ArgumentError.about(
        "exchangeability_blocks",
        f"the tested effect does not vary {where}, so that no permutation can test it",
        "give other "
        + argument("exchangeability_blocks")
        + ", or "
        + argument("sign_flip", True)
        + " if the errors of subjects are symmetric",
    )
