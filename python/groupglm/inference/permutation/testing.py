# SPDX-License-Identifier: BSD-3-Clause
"""The permutation test of a contrast, for arrays and for images."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError, renamed, warn_caller
from groupglm.inference.permutation.assumptions import assumption_of
from groupglm.inference.permutation.missing_values import find_presence, find_presence_of_all
from groupglm.inference.permutation.null_distribution import (
    Corrections,
    DataSource,
    NullTask,
    null_distribution,
)
from groupglm.inference.permutation.p_values import corrected_p_values
from groupglm.inference.permutation.planning import (
    choose_exchange,
    choose_kernel,
    choose_rearrangements,
    tell_of_fixed,
)
from groupglm.inference.permutation.rearranged_model import RearrangedModel, rearranged_model
from groupglm.inference.permutation.resuming import (
    PermutationState,
    ResumeError,
    fingerprints_of,
    load_state,
)
from groupglm.inference.permutation.tails import TailFit, check_enough
from groupglm.messages import argument
from groupglm.models.ols import OLS
from groupglm.runtime.regular_files import check_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from groupglm.inference.permutation.cluster_families import ClusterFamily
    from groupglm.inference.permutation.exchange import Exchange, Rearrangements
    from groupglm.inference.permutation.kernels import Observed
    from groupglm.inference.permutation.missing_values import Presence
    from groupglm.inference.permutation.options import PermutationOptions
    from groupglm.models.base import HeldRows, Model

    Floats = NDArray[np.float64]

__all__ = ["PermutationResult", "permutation_test"]

CHECKPOINT_S = 60.0
"""Seconds between two writes of the state to the file that `resume` names."""


@dataclass(frozen=True, eq=False)
class PermutationResult:
    """The results of a permutation test.

    Voxels are in the order of the columns of the data, or that of ``image[mask]`` for images.

    Parameters
    ----------
    letter : {"t", "F"}
        Name of the statistic.
    observed : dict of array, shape (n_voxels,)
        The statistic of the data without rearrangement (zero, with a p-value of one, where the data
        do not vary) and, if they were tested, the size and mass of the cluster of each voxel and
        the enhanced statistic.
    p_value : dict of array, shape (n_voxels,)
        p-values corrected for all voxels, by the same names; empty without rearrangements. If
        clusters have several units, they are of the smallest p (see `p_of_families`).
    state : PermutationState
        The null distributions, from which the test can be continued.
    exhaustive : bool
        Whether all possible rearrangements have been done.
    sign_flip : bool
        Whether signs were flipped, rather than rows permuted.
    tail_fit : dict of TailFit
        Fitted curves by the same names, with the option `tail`.
    untested : array of bool, shape (n_voxels,), or None
        Voxels that lack values and cannot be tested with the other images; their p-values are NaN.
        None if nothing is missing.
    counts_places : bool
        Whether the size of a cluster is its number of places, rather than the sum of their weights.
    assumption : str
        What was rearranged, and what this assumes, in a sentence or two.
    is_bootstrap : bool
        Whether this is a wild bootstrap, of a sandwich, rather than a permutation test.
    """

    letter: str
    observed: dict[str, Floats]
    p_value: dict[str, Floats]
    state: PermutationState
    exhaustive: bool
    sign_flip: bool
    tail_fit: dict[str, TailFit] = field(default_factory=dict)
    untested: NDArray[np.bool_] | None = None
    counts_places: bool = True
    assumption: str = ""
    is_bootstrap: bool = False

    @property
    def n_perm(self) -> int:
        """Number of rearrangements."""
        return self.state.n_done

    @property
    def null(self) -> dict[str, Floats]:
        """The maximum of each statistic in each rearrangement, shape (n_perm,), by its name.

        If clusters have several units, each measure has maxima for each unit, such as ``size_mm2``.
        """
        return self.state.null

    def logp(self, name: str) -> Floats:
        """Return -log10 of the corrected p-values.

        Parameters
        ----------
        name : str
            A name of `p_value`.

        Returns
        -------
        array, shape (n_voxels,)
            -log10(p).
        """
        return -np.log10(self.p_value[name])


def permutation_test(
    X: Floats,
    contrast: Floats,
    source: DataSource,
    statistic: Floats,
    df_residual: float | NDArray[Any],
    options: PermutationOptions,
    *,
    model: Model = OLS,
    column_names: tuple[str, ...] = (),
    families: Callable[[], tuple[ClusterFamily, ...]] | None = None,
    resume: PermutationState | Path | None = None,
) -> PermutationResult:
    """Test a contrast by rearranging the data.

    Shapes: `X` (n_images, n_columns), covariates included, `contrast` (n_columns,), `statistic`
    (n_voxels,), `df_residual` (n_voxels,).
    """
    tested = rearranged_model(model, X, contrast, column_names, options)
    exchange = choose_exchange(tested, options)
    tell_of_fixed(exchange, options.image_names)
    rows = source.load(options.n_threads)
    presence = _presence(tested, source, rows, statistic, df_residual, exchange)
    lacks = presence is not None and not presence.is_complete
    if presence is not None and lacks:
        options.progress.result(presence.describe(source.place_words[1]))
    kernel = choose_kernel(tested, exchange, options, presence, source, df_residual)
    observed = kernel.observe(rows, statistic, options.n_threads)
    if np.isnan(observed.compared).all():
        one, _ = source.place_words
        raise ArgumentError.about(
            "second_level_input",
            f"no {one} varies beyond what the nuisance columns explain, so there is nothing to "
            "test",
            "check the images and the mask",
        )
    corrections = Corrections(
        letter=kernel.letter,
        two_sided=options.two_sided and kernel.letter == "t",
        threshold=_statistic_threshold(tested, options),
        tfce=options.tfce,
        families=families() if families is not None and options.need_neighbours else (),
    )
    test = fingerprints_of(
        tested, contrast, source.digest(options.n_threads), options, corrections.families
    )
    previous = _previous(test, corrections.names(), options, resume)
    fresh = secrets.randbits(31) if options.seed is None else options.seed
    seed = fresh if previous is None else previous.seed
    rearrangements = choose_rearrangements(tested, exchange, options, seed, complete=not lacks)
    state = _begin(previous, seed, test, rearrangements, options)
    if options.tail is not None and options.n_perm > 0:
        check_enough(rearrangements.n)
    # A perfect fit leaves no residuals of the full model to rearrange.
    is_empty = options.method == "ter-braak" and np.isinf(observed.compared).any()
    task = NullTask(
        source,
        kernel,
        corrections,
        rearrangements,
        state.n_done,
        rearrangements.n,
        floor=0.0 if is_empty else -np.inf,
    )
    state = _run(task, state, options, resume if isinstance(resume, Path) else None)
    maps, least = _observed_maps(observed, corrections)
    p_value, tail_fit = corrected_p_values(maps, least, state.null, corrections, options.tail)
    untested = presence.untested if presence is not None and lacks else None
    if untested is not None:
        maps[kernel.letter][untested] = statistic[untested]
        for p in p_value.values():
            p[untested] = np.nan
    return PermutationResult(
        letter=kernel.letter,
        observed=maps,
        p_value=p_value,
        state=state,
        exhaustive=rearrangements.exhaustive,
        sign_flip=exchange.flips,
        tail_fit=tail_fit,
        untested=untested,
        counts_places=all(family.weights is None for family in corrections.families),
        assumption=assumption_of(tested, options.method, exchange),
        is_bootstrap=tested.is_bootstrapped,
    )


def _presence(
    tested: RearrangedModel,
    source: DataSource,
    rows: HeldRows,
    statistic: Floats,
    df_residual: float | NDArray[Any],
    exchange: Exchange,
) -> Presence | None:
    """Return which images the voxels have; None if all have all, and the kernel needs no more."""
    if tested.rows.beside or tested.is_repeated:
        return find_presence_of_all(source, rows, statistic, tested.rows, tested.parts, exchange)
    return find_presence(source, rows, df_residual, tested.parts, exchange)


def _begin(
    previous: PermutationState | None,
    seed: int,
    test: dict[str, str],
    rearrangements: Rearrangements,
    options: PermutationOptions,
) -> PermutationState:
    """Return the state from which the test goes on, or an empty one."""
    state = PermutationState(seed, test, rearrangements.exhaustive, {})
    if previous is not None and previous.exhaustive == state.exhaustive:
        state = previous
    elif previous is not None:
        options.progress.result(
            f"The {previous.n_done} rearrangements that were done are not the first of these, "
            f"which are {'all that there are' if state.exhaustive else 'drawn'}: begun anew."
        )
    if rearrangements.n < state.n_done:
        raise ResumeError(
            f"resume has {state.n_done} rearrangements already, more than "
            + argument("n_perm", options.n_perm)
            + "; ask for more of them, all in all",
            f"holds {state.n_done} already, more than the {options.n_perm} asked for",
        )
    if state.n_done:
        options.progress.result(
            f"{state.n_done} of {rearrangements.n} permutations are done already; going on from "
            "there."
        )
    return state


def _statistic_threshold(tested: RearrangedModel, options: PermutationOptions) -> float | None:
    """Convert the cluster-forming threshold to the scale of the statistic.

    With groups of unequal variance the degrees of freedom differ from voxel to voxel. The degrees
    of freedom for equal variances stand for them, because any threshold gives a valid test.
    """
    if options.threshold is None:
        return None
    k, df = len(tested.parts.effect), tested.df
    two_sided = options.two_sided and k == 1
    p = options.threshold
    if options.cluster_threshold_scale == "z":
        p = float(special.ndtr(-options.threshold)) * (2 if two_sided else 1)
    if k > 1 and np.isinf(df):
        return float(special.chdtri(k, p) / k)
    if k > 1:
        # By both tails of the beta distribution: 1 - p would lose the digits of a small p.
        ratio = special.betainccinv(k / 2, df / 2, p) / special.betaincinv(df / 2, k / 2, p)
        return float(df / k * ratio)
    tail = p / 2 if two_sided else p
    quantile = special.ndtri(tail) if np.isinf(df) else special.stdtrit(df, tail)
    return max(0.0, -float(quantile))


def _previous(
    test: dict[str, str],
    names: Collection[str],
    options: PermutationOptions,
    resume: PermutationState | Path | None,
) -> PermutationState | None:
    """Return the earlier result that the test continues; refuse one of another test."""
    if isinstance(resume, Path):
        with renamed(path="resume"):
            check_file(resume)
        previous = load_state(resume) if resume.exists() else None
    else:
        previous = resume
    if previous is None:
        return None
    previous.check_same(test, names)
    if options.seed not in (None, previous.seed):
        raise ResumeError(
            argument("random_state")
            + f" is {options.seed}, but resume was made with {previous.seed}; give that "
            "one, or None to go on with it",
            f"was made with the seed {previous.seed}, not {options.seed}",
        )
    return previous


def _run(
    task: NullTask, state: PermutationState, options: PermutationOptions, path: Path | None
) -> PermutationState:
    """Extend the null distribution; save it at intervals, in case the run is killed."""
    found: list[dict[str, Floats]] = []
    saved = time.monotonic()
    try:
        with options.progress.bar(task.last - task.first, "permutations") as advance:
            for part in null_distribution(task, options.n_threads, advance):
                found.append(part)
                if path is not None and time.monotonic() - saved > CHECKPOINT_S:
                    _keep(state.extended(found), path)
                    saved = time.monotonic()
    finally:
        state = state.extended(found)
        if path is not None and found:
            _keep(state, path)
    return state


def _keep(state: PermutationState, path: Path) -> None:
    """Write a state; a full disk loses nothing of the result in memory."""
    try:
        state.save(path)
    except OSError as error:
        warn_caller(f"resume: {state.n_done} permutations could not be kept: {error}")


def _observed_maps(
    observed: Observed, corrections: Corrections
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return the maps of the statistic, of cluster sizes and masses and of enhanced statistics.

    Also return, by the same names, the least values that tie with theirs (with their absolute
    values if two-sided).
    """
    reported = np.nan_to_num(observed.reported, posinf=np.inf, neginf=-np.inf)
    maps, least = {corrections.letter: reported}, {corrections.letter: observed.least}
    two_sided = corrections.two_sided
    for family in corrections.families:
        found: dict[str, tuple[Floats, Floats]] = {}
        if corrections.threshold is not None:
            found = family.clusters(
                observed.compared, observed.least, corrections.threshold, two_sided=two_sided
            )
        if corrections.tfce is not None:
            found["tfce"] = family.enhanced(
                observed.compared, observed.least, corrections.tfce, two_sided=two_sided
            )
        for name, (values, lowest) in found.items():
            for rows, part in ((maps, values), (least, lowest)):
                rows.setdefault(name, np.zeros(len(reported)))[family.places] = part
    return maps, least
