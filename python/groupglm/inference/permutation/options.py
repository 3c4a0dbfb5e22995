# SPDX-License-Identifier: BSD-3-Clause
"""The options of a permutation test, checked before anything is read."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError, ArgumentTypeError, shown, warn_caller
from groupglm.group.fitted_group import MISSING, Missing
from groupglm.inference.permutation.cluster_families import TfceOptions
from groupglm.inference.permutation.kernels import METHODS, Method
from groupglm.inference.permutation.tails import TAILS, Tail
from groupglm.messages import argument
from groupglm.runtime.arguments import (
    check_choice,
    check_truth,
    real_array,
    real_number,
    whole_number,
)
from groupglm.runtime.progress import Progress
from groupglm.runtime.workers import check_jobs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["PermutationOptions", "Scale", "check_options", "options_among", "seed_of"]

Scale = Literal["p", "z"]


@dataclass(frozen=True, eq=False)
class PermutationOptions:
    """The options of a test of a contrast; `check_options` makes them from what the user gave.

    Parameters are those of `groupglm.non_parametric_inference`; `tfce` is None or its options, and
    `seed` None or a whole number.
    """

    n_perm: int
    two_sided: bool
    seed: int | None
    n_threads: int
    progress: Progress
    threshold: float | None = None
    cluster_threshold_scale: Scale = "p"
    tfce: TfceOptions | None = None
    exchangeability_blocks: ArrayLike | None = None
    block_permutation: Literal["within", "whole"] = "within"
    variance_groups: ArrayLike | None = None
    sign_flip: bool | None = None
    method: Method = "freedman-lane"
    tail: Tail | None = None
    connectivity: Literal[6, 18, 26] = 6
    missing: Missing = "omit"
    subjects: Sequence[str] | None = None
    """The subject of each image, if it is known."""
    image_names: Sequence[str] | None = None
    """What messages call each image; by default its row."""

    @property
    def need_neighbours(self) -> bool:
        """Whether clusters are formed."""
        return self.threshold is not None or self.tfce is not None


def check_options(
    *,
    n_perm: int,
    two_sided: bool,
    random_state: Any,
    threshold: float | None,
    tfce: bool | Literal["exact", "steps"],
    tfce_powers: tuple[float, float] | None,
    missing: Missing,
    n_jobs: int | None,
    verbose: int,
    cluster_threshold_scale: Scale = "p",
    method: Method = "freedman-lane",
    sign_flip: bool | None = None,
    tail: Tail | None = None,
    connectivity: Literal[6, 18, 26] = 6,
    block_permutation: Literal["within", "whole"] = "within",
) -> PermutationOptions:
    """Check what the user gave, before anything is read."""
    count = whole_number("n_perm", n_perm)
    if count < 0 or count > 2**31:
        raise ArgumentError("n_perm", shown(count), "from 0 (statistics only) to 2**31")
    _check_threshold(threshold, cluster_threshold_scale)
    return PermutationOptions(
        n_perm=count,
        two_sided=check_truth("two_sided_test", two_sided),
        seed=seed_of(random_state),
        threshold=None if threshold is None else float(threshold),
        cluster_threshold_scale=cluster_threshold_scale,
        tfce=_check_tfce(tfce, tfce_powers),
        method=check_choice("method", method, METHODS),
        sign_flip=check_choice("sign_flip", sign_flip, (True, False, None)),
        tail=check_choice("tail", tail, (None, *TAILS)),
        connectivity=check_choice("connectivity", connectivity, (6, 18, 26)),
        missing=check_choice("missing", missing, MISSING),
        n_threads=check_jobs(n_jobs),
        progress=Progress(verbose),
        block_permutation=check_choice("block_permutation", block_permutation, ("within", "whole")),
    )


def options_among(given: Mapping[str, Any]) -> PermutationOptions:
    """Check the options among all arguments of a public function, before anything is read."""
    names = inspect.signature(check_options).parameters.keys() & given.keys()
    return check_options(two_sided=given["two_sided_test"], **{name: given[name] for name in names})


def _check_threshold(threshold: Any, scale: Any) -> None:
    check_choice("cluster_threshold_scale", scale, ("p", "z"))
    if threshold is None:
        return
    value = real_number("threshold", threshold, infinite=True)
    if scale == "p" and not 0 < value < 1:
        raise ArgumentError(
            "threshold",
            f"{value:g}, but on the scale of p-values it must lie between 0 and 1",
            remedy=f"for a z of {value:g} give "
            + argument("cluster_threshold_scale", "z")
            + ", or give a p-value such as "
            + argument("threshold", 0.001),
        )
    if scale == "z" and not (value > 0 and special.ndtr(-value) > 0):
        raise ArgumentError(
            "threshold",
            f"{value:g}",
            remedy="on the scale of z it must be above zero, and below 38: beyond, p is too small "
            "for a double",
        )
    if scale == "z" and value < 1:
        warn_caller(
            argument("threshold", shown=f"{value:g}")
            + " is taken for a z-value, which nearly all of the map passes; if it is a p-value, "
            + "give "
            + argument("cluster_threshold_scale", "p")
        )
    if scale == "p" and value > 0.5:
        warn_caller(
            argument("threshold", shown=f"{value:g}")
            + " is taken for a p-value, which most of the map passes; if it is a z-value, give "
            + argument("cluster_threshold_scale", "z")
        )


def _check_tfce(tfce: Any, powers: Any) -> TfceOptions | None:
    if not isinstance(tfce, bool | np.bool_ | str):
        raise ArgumentTypeError(
            "tfce", shown(tfce), "of type bool or str, one of True, False, 'exact' or 'steps'"
        )
    check_choice("tfce", tfce, (True, False, "exact", "steps"))
    given = None if powers is None else _check_powers(powers)
    return TfceOptions(given, n_steps=100 if tfce == "steps" else 0) if tfce else None


def _check_powers(powers: Any) -> tuple[float, float]:
    values = real_array("tfce_powers", powers)
    if values.shape != (2,) or not np.isfinite(values).all() or (values < 0).any():
        raise ArgumentError(
            "tfce_powers",
            shown(powers),
            "two finite numbers, the powers of extent and height, at least zero",
        )
    extent, height = values.tolist()
    return extent, height


def seed_of(random_state: Any) -> int | None:
    """Return the seed that a caller gave in any form, or None."""
    if random_state is None:
        return None
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    return whole_number("random_state", random_state, least=0)
