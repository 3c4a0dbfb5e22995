# SPDX-License-Identifier: BSD-3-Clause
"""A permutation test of a contrast, for a page: `PermutationTest`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.inference.corrected_p.names import PREFIX
from groupglm.inference.corrected_p.permuted import maps_by_kind

__all__ = ["PermutationTest", "check_permutations"]


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """The result of a permutation test, for `groupglm.SecondLevelModel.generate_report`.

    Parameters
    ----------
    images : mapping of str to image or path, or one image
        What `groupglm.non_parametric_inference` returned for the same images, design, mask and
        contrast. From a mapping, the page shows the maps ``logp_max_...``: -log10 of p, corrected
        by the largest statistic of each permutation. One image is the test of voxels.
    n_permutations : int
        Number of permutations that were done.
    two_sided : bool, default=False
        Whether negative effects were tested too.
    cluster_p : float, optional
        The p-value of a voxel that formed clusters, if sizes or masses were tested.
    alpha : float, default=0.05
        Familywise error rate at which results are shown.
    sign_flip : bool, optional
        Whether signs were flipped instead of permuting images. None means not known.
    assumption : str, optional
        What was rearranged and what this assumes, in words: ``results[0].assumption`` of the dict
        of images.
    is_bootstrap : bool, default=False
        Whether signs were flipped by a wild bootstrap: ``results[0].is_bootstrap``.

    Raises
    ------
    TypeError, ValueError
        If there is no map of corrected p-values, or a number is out of range.

    Examples
    --------
    >>> import nibabel as nib, numpy as np
    >>> logp = nib.Nifti1Image(np.zeros((4, 4, 4)), np.eye(4))
    >>> test = PermutationTest(logp, n_permutations=1000)
    >>> list(test.maps)
    ['voxel']
    """

    images: Any
    n_permutations: int
    two_sided: bool = False
    cluster_p: float | None = None
    alpha: float = 0.05
    sign_flip: bool | None = None
    assumption: str | None = None
    is_bootstrap: bool = False

    def __post_init__(self) -> None:
        n_done = self.n_permutations
        if isinstance(n_done, bool) or not isinstance(n_done, Integral) or n_done < 1:
            raise ArgumentError(
                "n_permutations",
                shown(n_done),
                remedy="give the number of permutations that were done",
            )
        if not 0 < self.alpha < 1:
            raise ArgumentError(
                "alpha", shown(self.alpha), remedy="it is a probability, between 0 and 1"
            )
        if self.cluster_p is not None and not 0 < self.cluster_p < 1:
            raise ArgumentError(
                "cluster_p", shown(self.cluster_p), remedy="it is a probability, or None"
            )
        if not self.maps:
            raise ArgumentError(
                "images",
                f"no map of corrected p-values, only {', '.join(map(str, self.images))}",
                remedy=f"give the {PREFIX}... maps that non_parametric_inference returns",
                verb="has",
            )

    @property
    def maps(self) -> dict[str, Any]:
        """The maps of corrected p-values, as far as tested: "voxel", "size", "mass", "tfce"."""
        return maps_by_kind(self.images)


def check_permutations(given: Any, contrasts: Sequence[str]) -> dict[str, PermutationTest]:
    """Return the permutation tests by contrast."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            "permutations",
            f"a {type(given).__name__}",
            remedy="give a mapping of each contrast's name to a groupglm.report.PermutationTest",
        )
    for name, test in given.items():
        if name not in contrasts:
            raise ArgumentError(
                "permutations",
                f"a test of {name!r}, which is none of the contrasts: "
                f"{', '.join(map(repr, contrasts)) or 'there are none'}",
                verb="has",
            )
        if not isinstance(test, PermutationTest):
            raise ArgumentTypeError.about(
                "permutations",
                f"permutations[{name!r}] is a {type(test).__name__}",
                wanted="a groupglm.report.PermutationTest, which says how many permutations there "
                "were",
            )
    return {str(name): test for name, test in given.items()}
