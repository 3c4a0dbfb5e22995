# SPDX-License-Identifier: BSD-3-Clause
"""The permutation test of a contrast: what both doors, arrays and images, lead to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from groupglm import _core
from groupglm.inference.permutation.choosing import (
    choose_exchange,
    choose_kernel,
    choose_rearrangements,
)
from groupglm.inference.permutation.null import Corrections, DataSource, NullTask, null_distribution
from groupglm.inference.permutation.partition import Partition, partition
from groupglm.inference.permutation.present import Presence, find_presence
from groupglm.inference.permutation.resuming import PermutationState, load_state
from groupglm.inference.permutation.tails import Tail, TailFit, check_enough, corrected_p, fit_tail

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from groupglm._core import Neighbours
    from groupglm.inference.permutation.options import PermutationOptions

    Floats = NDArray[np.float64]

__all__ = ["PermutationResult", "permutation_test"]


@dataclass(frozen=True, eq=False)
class PermutationResult:
    """What a permutation test yields.

    Parameters
    ----------
    letter : {"t", "F"}
        Name of the statistic.
    observed : dict of array, shape (n_voxels,)
        The statistic of the data as they are (zero, and a p-value of one, where they do not vary)
        and, if asked for, the size and mass of each voxel's
        cluster and the enhanced statistic.
    p_value : dict of array, shape (n_voxels,)
        Corrected for all voxels, by the same names; empty without rearrangements.
    state : PermutationState
        The null distributions, from which the test can be continued.
    exhaustive : bool
        Whether all rearrangements that there are have been done.
    sign_flip : bool
        Whether signs were flipped, rather than rows permuted.
    tail_fit : dict of TailFit
        By the same names, if asked for.
    untested : array of bool, shape (n_voxels,), or None
        Voxels that lack values and cannot be tested with those they have; their p-values are NaN.
        None when nothing is missing.
    """

    letter: str
    observed: dict[str, Floats]
    p_value: dict[str, Floats]
    state: PermutationState
    exhaustive: bool
    sign_flip: bool
    tail_fit: dict[str, TailFit] = field(default_factory=dict)
    untested: NDArray[np.bool_] | None = None

    @property
    def n_perm(self) -> int:
        """Number of rearrangements."""
        return self.state.n_done

    @property
    def null(self) -> dict[str, Floats]:
        """The largest of each statistic in each rearrangement, shape (n_perm,), by its name."""
        return self.state.null

    def logp(self, name: str) -> Floats:
        """Return -log10 of the corrected p-values."""
        return -np.log10(self.p_value[name])


def permutation_test(
    X: Floats,
    contrast: Floats,
    source: DataSource,
    statistic: Floats,
    df_residual: int | NDArray[np.int64],
    options: PermutationOptions,
    *,
    neighbours: Callable[[], Neighbours] | None = None,
    resume: PermutationState | Path | None = None,
) -> PermutationResult:
    """Test a contrast by rearranging the data.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design matrix.
    contrast : array, shape (n_columns,) or (n_rows, n_columns)
        A contrast that it can estimate; a vector for t, a matrix for F.
    source : DataSource
        The data; NaN is a missing value.
    statistic : array, shape (n_voxels,)
        The parametric statistic of the contrast, to be reported.
    df_residual : int or array of int, shape (n_voxels,)
        Its residual degrees of freedom.
    options : PermutationOptions
        How.
    neighbours : callable, optional
        Makes the lists of neighbours; needed for clusters and TFCE.
    resume : PermutationState or pathlib.Path, optional
        A test to be continued, or a file that keeps one: it is read if it exists, and written at
        the end and when interrupted.

    Returns
    -------
    PermutationResult
        Statistics and corrected p-values.

    Raises
    ------
    ValueError
        If no rearrangement changes the statistic, or `resume` is of another test.

    Warns
    -----
    UserWarning
        If there are fewer different rearrangements than were asked for, or too few for p-values of
        0.05.
    """
    parts = partition(X, np.atleast_2d(contrast))
    exchange = choose_exchange(parts, options)
    data = source.load(options.n_threads)
    presence = find_presence(source, data, df_residual, parts, exchange)
    if presence is not None:
        options.progress.result(presence.describe())
    kernel = choose_kernel(parts, exchange, options, presence, source.name_voxels)
    reported, compared = kernel.observe(data, statistic, options.n_threads)
    if np.isnan(compared).all():
        raise ValueError(
            "no voxel varies beyond what the nuisance columns explain, so there is nothing to "
            "test; check the images and the mask"
        )
    corrections = Corrections(
        letter=kernel.letter,
        two_sided=options.two_sided and kernel.letter == "t",
        threshold=_statistic_threshold(parts, options),
        tfce=options.tfce,
        neighbours=neighbours() if neighbours is not None and options.need_neighbours else None,
    )
    state = _begin(parts, contrast, compared, presence, options, resume)
    rearrangements = choose_rearrangements(
        parts, exchange, options, state.seed, complete=presence is None
    )
    if rearrangements.n < state.n_done:
        raise ValueError(
            f"resume has {state.n_done} rearrangements already, more than n_perm={options.n_perm}; "
            "ask for more of them, all in all"
        )
    if options.tail is not None and options.n_perm > 0:
        check_enough(rearrangements.n)
    task = NullTask(source, kernel, corrections, rearrangements, state.n_done, rearrangements.n)
    state = _run(task, state, options, resume if isinstance(resume, Path) else None)
    maps = {kernel.letter: compared, **_observed_maps(compared, corrections, parts.df_residual)}
    p_value, tail_fit = _p_values(maps, state, corrections.two_sided, options.tail)
    maps[kernel.letter] = np.nan_to_num(reported, posinf=np.inf, neginf=-np.inf)
    untested = None if presence is None else presence.untested
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
    )


def _statistic_threshold(parts: Partition, options: PermutationOptions) -> float | None:
    """Bring the cluster-forming threshold to the scale of the statistic.

    With groups of unequal variance the degrees of freedom differ from voxel to voxel; those of
    equal variance stand for them: any threshold gives a valid test.
    """
    if options.threshold is None:
        return None
    k, df = len(parts.effect), parts.df_residual
    two_sided = options.two_sided and k == 1
    p = options.threshold
    if options.cluster_threshold_scale == "z":
        p = float(stats.norm.sf(options.threshold)) * (2 if two_sided else 1)
    if k > 1:
        return float(stats.f.isf(p, k, df))
    return max(0.0, float(stats.t.isf(p / 2 if two_sided else p, df)))


def _begin(
    parts: Partition,
    contrast: Floats,
    compared: Floats,
    presence: Presence | None,
    options: PermutationOptions,
    resume: PermutationState | Path | None,
) -> PermutationState:
    blocks, groups = options.exchangeability_blocks, options.variance_groups
    test = (
        # Projections: unlike bases, they do not hang on the linear algebra's choices.
        np.round(parts.effect.T @ parts.effect, 6) + 0.0,
        np.round(parts.nuisance.T @ parts.nuisance, 6) + 0.0,
        np.ndim(contrast),
        options.two_sided,
        (options.threshold, options.cluster_threshold_scale, options.tfce),
        None if blocks is None else np.asarray(blocks).tolist(),
        options.block_permutation,
        None if groups is None else np.asarray(groups).tolist(),
        (options.sign_flip, options.method),
        *(() if presence is None else (presence.patterns.present, presence.patterns.columns)),
    )
    seed = secrets.randbits(31) if options.seed is None else options.seed
    fresh = PermutationState.begin(seed, test, compared)
    previous = resume
    if isinstance(resume, Path):
        previous = load_state(resume) if resume.exists() else None
    if not isinstance(previous, PermutationState):
        return fresh
    previous.check_same(fresh)
    if options.seed not in (None, previous.seed):
        raise ValueError(
            f"random_state is {options.seed}, but resume was made with {previous.seed}; give that "
            "one, or None to go on with it"
        )
    return previous


def _run(
    task: NullTask, state: PermutationState, options: PermutationOptions, path: Path | None
) -> PermutationState:
    found: list[dict[str, Floats]] = []
    try:
        with options.progress.bar(task.last - task.first, "permutations") as advance:
            for part in null_distribution(task, options.n_threads, advance):
                found.append(part)  # noqa: PERF402 - kept when interrupted
    finally:
        state = state.extended(found)
        if path is not None and found:
            state.save(path)
    return state


def _observed_maps(compared: Floats, corrections: Corrections, df: int) -> dict[str, Floats]:
    """Return each voxel's cluster size and mass and its enhanced statistic, as asked for."""
    maps: dict[str, Floats] = {}
    if corrections.neighbours is None:
        return maps
    # The largest that the core's maps reach: TFCE takes no infinite values.
    bound = 1e15 * df
    bound = bound**0.5 if corrections.letter == "t" else bound
    statistic = np.clip(np.nan_to_num(compared, posinf=bound, neginf=-bound), -bound, bound)
    if corrections.threshold is not None:
        labels, sizes, masses, _ = _core.label_clusters(
            statistic, corrections.neighbours, corrections.threshold, corrections.two_sided
        )
        maps["size"] = np.append(0.0, sizes)[labels]
        maps["mass"] = np.append(0.0, masses)[labels]
    if corrections.tfce is not None:
        rule = corrections.tfce
        maps["tfce"] = _core.tfce(
            statistic,
            corrections.neighbours,
            rule.extent_power,
            rule.height_power,
            corrections.two_sided,
            rule.n_steps,
        )
    return maps


def _p_values(
    maps: dict[str, Floats], state: PermutationState, two_sided: bool, tail: Tail | None
) -> tuple[dict[str, Floats], dict[str, TailFit]]:
    p_value: dict[str, Floats] = {}
    tail_fit: dict[str, TailFit] = {}
    for name, null in state.null.items():
        values = np.abs(maps[name]) if two_sided else maps[name]
        if tail is None:
            p_value[name] = corrected_p(values, null)
        else:
            tail_fit[name] = fit_tail(null, tail)
            p_value[name] = tail_fit[name].p(values, null)
        if name in ("size", "mass"):
            p_value[name][maps[name] == 0] = 1.0
    return p_value, tail_fit
