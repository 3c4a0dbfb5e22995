# SPDX-License-Identifier: BSD-3-Clause
"""What a user gives beside the images: variances, weights and covariates: `Beside`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from groupglm.errors import ArgumentError, ArgumentTypeError
from groupglm.spaces.registry import open_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from groupglm.spaces.base import Source

__all__ = ["ARGUMENTS", "Beside", "interleaved", "open_beside"]

ARGUMENTS = {"variance": "variances", "weight": "weights", "covariate": "covariates"}
"""The argument for the rows of each role, of `groupglm.models.base.ROLES`."""


@dataclass(frozen=True, eq=False)
class Beside:
    """Images that belong to the images of a model, one to one.

    Parameters
    ----------
    variances, weights : optional
        As `second_level_input` may be images.
    covariates : mapping of str to images, optional
        By name.
    """

    variances: Any = None
    weights: Any = None
    covariates: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_arguments(cls, variances: Any, weights: Any, covariates: Any) -> Beside:
        """Return the arguments of `fit`; refuse covariates that have no names."""
        if covariates is None:
            covariates = {}
        if not isinstance(covariates, Mapping):
            raise ArgumentTypeError(
                "covariates",
                f"a {type(covariates).__name__}",
                "a mapping of names to images, such as {'grey_matter': list_of_images}",
            )
        return cls(variances, weights, covariates)

    def of(self, role: str) -> Iterator[tuple[str, Any]]:
        """Yield the arguments of a role, with the names that messages call them."""
        if role == "covariate":
            yield from ((f"covariates[{name!r}]", own) for name, own in self.covariates.items())
        else:
            yield ARGUMENTS[role], getattr(self, ARGUMENTS[role])


def open_beside(argument: str, given: Any, n_images: int, *, same_placement: bool) -> list[Source]:
    """Open the images of an argument, one for each image of the model."""
    sources = open_inputs(given, argument=argument, same_placement=same_placement)
    if len(sources) != n_images:
        raise ArgumentError(
            argument,
            f"{len(sources)} images, but second_level_input has {n_images}",
            remedy="give one for each image, in the same order",
            verb="has",
        )
    return sources


def interleaved(images: Sequence[Source], beside: Sequence[Sequence[Source]]) -> list[Source]:
    """Return each image, followed by what is beside it."""
    return list(chain.from_iterable(zip(images, *beside, strict=True)))
