# SPDX-License-Identifier: BSD-3-Clause
"""Right arguments for every name of the compiled core, and wrong ones: run as a program.

Each argument is replaced by each of a list of wrong ones. A call may raise any exception or give a
result; a crash ends the program by a signal, and a call without end by the caller's time limit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from groupglm import _core

N, P, V = 8, 2, 70
THREADS = 2

Call = tuple[Callable[..., Any], list[Any]]


def design() -> _core.Design:
    return _core.Design(np.column_stack([np.ones(N), np.arange(N, dtype=np.float64)]))


def data() -> Any:
    values = np.random.default_rng(0).standard_normal((N, V))
    values[3, ::4] = np.nan
    return values


def state() -> _core.OlsState:
    made = _core.OlsState(P, V)
    made.update(design(), 0, data(), THREADS)
    return made


def weighted_arguments() -> list[Any]:
    """Of an update of a weighted state with one covariate."""
    beside = np.random.default_rng(6).uniform(0.5, 2.0, (2, N, V))
    return [design(), 0, data(), beside[0], [beside[1]], True, np.linspace(0.0, 1.0, V), THREADS]


def mixed_update_arguments() -> list[Any]:
    """Of an update with a tau2 for each of two groups of rows."""
    variances = np.random.default_rng(7).uniform(0.5, 2.0, (N, V))
    numbers = [list(range(first, N, 2)) for first in (0, 1)]
    groups = [(rows, np.full((len(rows), 1), 1 / np.sqrt(len(rows)))) for rows in numbers]
    empty = _core.WeightedState(P, 0, V)
    return [empty, design(), data(), variances, groups, "reml", 0.0, THREADS]


def weighted_state() -> _core.WeightedState:
    made = _core.WeightedState(P, 1, V)
    made.update(*weighted_arguments())
    return made


def repeated_update_arguments() -> list[Any]:
    """Of an update of a state of subjects with two images each, which differ in the covariate."""
    return [design(), np.tile([1, 2], N // 2), np.full(N, 2), 0, data(), THREADS]


def repeated_state() -> _core.RepeatedState:
    made = _core.RepeatedState(P, V)
    made.update(*repeated_update_arguments())
    return made


def nested_arguments() -> list[Any]:
    """Of a fit of families of two subjects, two images each; one voxel has one image only."""
    y = data()
    y[1:, 1] = np.nan
    return [design().basis(), np.arange(N) // 2, np.arange(N // 2) // 2, y, THREADS]


def neighbours() -> _core.Neighbours:
    return _core.Neighbours.of_volume((5, 7, 2), np.arange(V), 6)


def volume() -> Any:
    return np.asfortranarray(np.random.default_rng(1).standard_normal((3, 4, 5)))


def sandwich_arguments(n: int = N, v: int = V, *, homogeneous: bool = False) -> list[Any]:
    """Of the second pass of the sandwich estimator: images of subjects, two or three each."""
    subject = np.arange(n) // 3
    n_subjects = int(subject[-1]) + 1
    none = np.empty(0, np.int64)
    group = np.arange(n_subjects) % 2 if homogeneous else none
    visit = np.arange(n) % 3 if homogeneous else none
    X = np.column_stack([np.ones(n), np.arange(n, dtype=np.float64) ** 2 % 7])
    values = np.random.default_rng(0).standard_normal((n, v))
    values[3, ::4] = np.nan
    return [
        _core.Design(X).basis(),
        subject,
        np.zeros(n_subjects, np.int64),
        group,
        visit,
        "C2",
        values,
        np.empty(0, np.int16),
        not homogeneous,
        THREADS,
    ]


def sandwich_test_arguments(
    n: int = N, v: int = V, *, homogeneous: bool = False, rule: str = "approximate-1"
) -> list[Any]:
    """Of a contrast of two rows of the sandwich estimator, where images are missing."""
    arguments = sandwich_arguments(n, v, homogeneous=homogeneous)
    sums, fourth, bits, _ = _core.sandwich_sums(*arguments)
    patterns, number = np.unique(bits, axis=0, return_inverse=True)
    effect = np.random.default_rng(1).standard_normal((2, v))
    pattern = number.reshape(-1).astype(np.int32)
    return [*arguments[:6], rule, sums, fourth, pattern, patterns, effect, np.eye(2), THREADS]


def present_arguments() -> list[Any]:
    """Of one pattern of presence, of all voxels, whose fourth image is missing."""
    present = np.ones((1, N), dtype=np.bool_)
    present[0, 3] = False
    effect = np.zeros((1, N))
    effect[0, :2] = np.sqrt(0.5) * np.array([1, -1])
    order = np.stack([np.arange(N), np.arange(N)[::-1]])
    return [
        data(), effect, np.full((1, N), N**-0.5), 0, True,
        (np.arange(V), np.array([0, V]), present, np.array([1]), np.array([0])),
        (np.array([[5.0, 1.0, 1.0]]), np.ones((1, 3, 2))), (order, np.ones((2, N))),
        np.zeros((2, V)), np.zeros((2, V)), THREADS,
    ]  # fmt: skip


def mixed_arguments(n: int = N, v: int = V) -> list[Any]:
    """Of one pattern of presence, of all voxels, whose fourth image is missing."""
    rng = np.random.default_rng(5)
    present = np.ones((1, n), dtype=np.bool_)
    present[0, 3] = False
    effect = rng.standard_normal((1, n))
    effect -= effect.mean()
    order = np.stack([rng.permutation(n) for _ in range(4)])
    return [
        rng.standard_normal((n, v)), rng.uniform(0.5, 2, (n, v)),
        effect / np.linalg.norm(effect), np.full((1, n), n**-0.5), np.zeros(n, dtype=np.int64),
        (0, 0.0, 1, False), True,
        (np.arange(v), np.array([0, v]), present, np.array([1]), np.array([0])),
        (np.array([[5.0, 1.0, 1.0]]), np.zeros((1, 3, 2))), (order, np.ones((4, n))),
        np.zeros((4, v)), np.zeros((4, v)), THREADS,
    ]  # fmt: skip


def voxelwise_arguments(n: int = N, v: int = V) -> list[Any]:
    """Of the same pattern; one column for all voxels, weights and a covariate."""
    y, w, *_, two_sided, patterns, tables, orders, maps, least, threads = mixed_arguments(n, v)
    z = np.random.default_rng(6).standard_normal((n, v))
    ranks = (*patterns[:3], np.ones(v, dtype=np.int64), np.zeros(v, dtype=np.int64))
    return [
        y, w, [z], np.ones((n, 1)), np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]]), two_sided,
        ranks, tables, orders, maps, least, threads,
    ]  # fmt: skip


def repeated_arguments(n: int = N, v: int = V) -> list[Any]:
    """Of the same pattern, two images a subject, whose orders stay within subjects."""
    y, _, effect, nuisance, _, _, two_sided, *rest = mixed_arguments(n, v)
    subjects = np.arange(n, dtype=np.int64) // 2
    swaps = np.random.default_rng(7).integers(2, size=(4, n))[:, subjects]
    rest[2] = (np.ascontiguousarray(np.arange(n) ^ swaps), np.ones((4, n)))
    return [y, effect, nuisance, subjects, two_sided, *rest]


def bootstrap_arguments(n: int = N, v: int = V, adjustment: int = 4) -> list[Any]:
    """The same, of a sandwich: signs of subjects are flipped."""
    arguments = repeated_arguments(n, v)
    signs = np.random.default_rng(8).choice([-1.0, 1.0], (4, n))[:, arguments[3]]
    arguments[7] = (np.tile(np.arange(n), (4, 1)), np.ascontiguousarray(signs))
    return [*arguments[:4], (adjustment, adjustment), *arguments[4:]]


def calls() -> dict[str, Call]:
    """Return the names of the core, methods with their class, each with a call that works."""
    c = np.array([[0.0, 1.0]])
    rows = np.random.default_rng(2).standard_normal((3, 2, N))
    basis = np.full((1, N), N**-0.5)
    stat = np.random.default_rng(3).standard_normal(V)
    freedom = np.linspace(0.5, 30.0, V)
    maps = np.random.default_rng(4).standard_normal((3, V))
    areas = np.linspace(0.5, 3, V)
    voxel_map = np.column_stack([np.eye(3), np.zeros(3)])
    labels = np.zeros((3, 4, 5), np.uint8, order="F")
    fitted = [repeated_state(), design(), np.linspace(0.0, 3.0, V)]
    nested = _core.fit_nested(*nested_arguments())
    grouped = [
        data()[:, 1:4], basis, np.ones((3, 2, 2, N)), np.ones((3, 2, N)),
        np.stack([np.eye(2) / 2] * 2), np.array([3.0, 3.0]), np.array([4.0, 4.0]), 1, True,
        np.zeros((3, 3)), np.zeros((3, 3)), THREADS,
    ]  # fmt: skip
    return {
        "Design": (_core.Design, [design().basis()]),
        "Design.rows": (_core.Design.rows, [design(), 1, 3]),
        "Design.basis": (_core.Design.basis, [design()]),
        "Design.gains": (_core.Design.gains, [design(), c]),
        "Design.partition": (_core.Design.partition, [design(), c]),
        "OlsState": (_core.OlsState, [P, V]),
        "OlsState.update": (_core.OlsState.update, [state(), design(), 0, data(), THREADS]),
        "OlsState.merge": (_core.OlsState.merge, [state(), state(), THREADS]),
        "OlsState.select": (_core.OlsState.select, [state(), np.array([5, 0, 69])]),
        "OlsState.misses": (_core.OlsState.misses, [state()]),
        "WeightedState": (_core.WeightedState, [P, 1, V]),
        "WeightedState.update": (
            _core.WeightedState.update,
            [_core.WeightedState(P, 1, V), *weighted_arguments()],
        ),
        "WeightedState.merge": (
            _core.WeightedState.merge,
            [weighted_state(), weighted_state(), THREADS],
        ),
        "WeightedState.select": (
            _core.WeightedState.select,
            [weighted_state(), np.array([5, 0, 69])],
        ),
        "WeightedState.put": (
            _core.WeightedState.put,
            [_core.WeightedState(P, 1, V + 2), np.arange(1, V + 1), weighted_state()],
        ),
        "WeightedState.spread": (
            _core.WeightedState.spread,
            [weighted_state(), np.arange(1, V + 1), V + 2, True],
        ),
        "RepeatedState": (_core.RepeatedState, [P, V]),
        "RepeatedState.update": (
            _core.RepeatedState.update,
            [_core.RepeatedState(P, V), *repeated_update_arguments()],
        ),
        "RepeatedState.merge": (
            _core.RepeatedState.merge,
            [repeated_state(), repeated_state(), THREADS],
        ),
        "RepeatedState.select": (
            _core.RepeatedState.select,
            [repeated_state(), np.array([5, 0, 69])],
        ),
        "RepeatedState.spread": (
            _core.RepeatedState.spread,
            [repeated_state(), np.arange(1, V + 1), V + 2],
        ),
        "present_images": (_core.present_images, [repeated_state(), design(), THREADS]),
        "fit_random_intercept": (
            _core.fit_random_intercept,
            [repeated_state(), design(), THREADS],
        ),
        "random_intercept_beta": (_core.random_intercept_beta, [*fitted, THREADS]),
        "restricted_criterion": (_core.restricted_criterion, [*fitted, THREADS]),
        "random_intercept_contrast": (
            _core.random_intercept_contrast,
            [*fitted, c, "t", "kenward-roger", THREADS],
        ),
        "fit_nested": (_core.fit_nested, nested_arguments()),
        "nested_contrast": (
            _core.nested_contrast,
            [*nested, c, np.ascontiguousarray(c.T), "t", "satterthwaite", THREADS],
        ),
        "weighted_beta": (_core.weighted_beta, [weighted_state(), design(), THREADS]),
        "weighted_rss": (_core.weighted_rss, [weighted_state(), design(), THREADS]),
        "weighted_r_square": (_core.weighted_r_square, [weighted_state(), design(), THREADS]),
        "weighted_rank": (_core.weighted_rank, [weighted_state(), design(), THREADS]),
        "weighted_is_estimable": (
            _core.weighted_is_estimable,
            [weighted_state(), design(), np.array([[0.0, 0.0, 1.0]]), THREADS],
        ),
        "weighted_contrast": (
            _core.weighted_contrast,
            [weighted_state(), design(), np.eye(3)[1:], "F", "residual", "residual", THREADS],
        ),
        "Neighbours.of_volume": (_core.Neighbours.of_volume, [(5, 7, 2), np.arange(V), 6]),
        "Neighbours.of_adjacency": (
            _core.Neighbours.of_adjacency,
            [np.array([0, 1, 2]), np.array([1, 0], np.int32)],
        ),
        "Neighbours.joined": (_core.Neighbours.joined, [[neighbours(), neighbours()]]),
        "Neighbours.adjacency": (_core.Neighbours.adjacency, [neighbours()]),
        "build_info": (_core.build_info, []),
        "supported_level": (_core.supported_level, []),
        "max_threads": (_core.max_threads, []),
        "beta": (_core.beta, [state(), design(), THREADS]),
        "rss": (_core.rss, [state(), design(), THREADS]),
        "residual_norm": (_core.residual_norm, [state(), design(), THREADS]),
        "r_square": (_core.r_square, [state(), design(), THREADS]),
        "mean": (_core.mean, [state(), design(), THREADS]),
        "observations_and_rank": (_core.observations_and_rank, [state(), design(), THREADS]),
        "is_estimable": (_core.is_estimable, [state(), design(), c]),
        "contrast": (_core.contrast, [state(), design(), c, "F", THREADS]),
        "contrast_parts": (_core.contrast_parts, [state(), design(), c, THREADS]),
        "estimate_tau2": (
            _core.estimate_tau2,
            [design().basis(), data(), 0.1 + data() ** 2, "reml", 0.0, THREADS],
        ),
        "robust_fit": (
            _core.robust_fit,
            [design(), data(), "bisquare", 4.685, True, THREADS],
        ),
        "sandwich_sums": (_core.sandwich_sums, sandwich_arguments()),
        "sandwich_test": (_core.sandwich_test, sandwich_test_arguments()),
        "update_mixed": (_core.update_mixed, mixed_update_arguments()),
        "residuals": (_core.residuals, [np.ones((N, P)), np.ones((P, V)), data(), THREADS]),
        "predict": (_core.predict, [np.ones((N, P)), np.ones((P, V)), THREADS]),
        "resample_volume": (
            _core.resample_volume,
            [volume(), voxel_map, (4, 4, 4), "continuous", 0.0, THREADS, (0.0, 0.0, 0.0)],
        ),
        "resample_nearest": (
            _core.resample_nearest,
            [labels, voxel_map, (4, 4, 4), THREADS, (0.0, 0.0, 0.0)],
        ),
        "gather": (_core.gather, [stat, np.array([[0, 3], [9, 2]]), np.zeros(5)]),
        "gather_rest_is_zero": (
            _core.gather_rest_is_zero,
            [stat, np.array([[0, 3], [9, 2]]), np.zeros(5)],
        ),
        "narrow": (_core.narrow, [np.ones(3), np.zeros(3, np.float32)]),
        "scatter": (_core.scatter, [np.ones(3), np.array([0, 2, 5]), np.zeros(9, np.float32)]),
        "smooth_volume": (_core.smooth_volume, [stat.copy(), (5, 7, 2), (1.0, 0.0, 2.0), THREADS]),
        "smooth_on_mesh": (_core.smooth_on_mesh, [maps.copy(), neighbours(), 3, THREADS]),
        "add_edge_sums": (
            _core.add_edge_sums,
            [
                data(),
                np.stack([np.arange(V - 1), np.arange(1, V)]).astype(np.int32),
                np.zeros(V),
                np.zeros(V - 1),
                np.zeros(V - 1, np.uint8),
                THREADS,
            ],
        ),
        "label_clusters": (_core.label_clusters, [stat, neighbours(), 1.0, True, areas]),
        "cluster_maxima": (_core.cluster_maxima, [maps, neighbours(), 1.0, True, THREADS, areas]),
        "local_maxima": (
            _core.local_maxima,
            [stat, np.arange(V, dtype=np.int32) // 35, neighbours(), THREADS],
        ),
        "tfce": (_core.tfce, [stat, neighbours(), 0.5, 2.0, True, 100, areas]),
        "tfce_maxima": (_core.tfce_maxima, [maps, neighbours(), 0.5, 2.0, True, 0, THREADS, areas]),
        "permuted_statistics": (
            _core.permuted_statistics,
            [data(), basis, rows, 1, 6.0, True, maps, maps.copy(), THREADS],
        ),
        "permuted_g_statistics": (_core.permuted_g_statistics, grouped),
        "permuted_present_statistics": (_core.permuted_present_statistics, present_arguments()),
        "permuted_mixed_statistics": (_core.permuted_mixed_statistics, mixed_arguments()),
        "permuted_voxelwise_statistics": (
            _core.permuted_voxelwise_statistics,
            voxelwise_arguments(),
        ),
        "permuted_repeated_statistics": (
            _core.permuted_repeated_statistics,
            repeated_arguments(),
        ),
        "bootstrapped_sandwich_statistics": (
            _core.bootstrapped_sandwich_statistics,
            bootstrap_arguments(),
        ),
        "t_noncentralities": (_core.t_noncentralities, [stat, freedom, 0.95, THREADS]),
        "f_noncentralities": (
            _core.f_noncentralities,
            [np.abs(stat), 2.0, freedom, 0.95, THREADS],
        ),
        "noncentral_t_cdf": (_core.noncentral_t_cdf, [stat, freedom, stat.copy(), THREADS]),
        "log_bayes_factors": (
            _core.log_bayes_factors,
            [np.abs(stat), 2.0, freedom, np.ones_like(stat), THREADS],
        ),
        "t_z_scores": (_core.t_z_scores, [stat, freedom, THREADS]),
        "f_z_scores": (_core.f_z_scores, [np.abs(stat), 2.0, freedom, THREADS]),
        "t_statistics": (_core.t_statistics, [stat, np.ones_like(stat), freedom, THREADS]),
        "f_statistics": (
            _core.f_statistics,
            [np.abs(stat), np.ones_like(stat), 2.0, freedom, THREADS],
        ),
        "use_inner_loops": (_core.use_inner_loops, [None]),  # a capsule, of v4's module
    }


def empty(kind: Any) -> Any:
    """Return an object that was never initialised."""
    return kind.__new__(kind)


CLASSES: tuple[type[Any], ...] = (
    _core.Design,
    _core.OlsState,
    _core.RepeatedState,
    _core.WeightedState,
    _core.Neighbours,
)


def wrong(right: Any) -> Iterator[Any]:
    """Yield what may stand wrongly in the place of an argument."""
    yield from (None, "no", object(), [], {}, -1, 0, 2**31, 2**62, -(2**63), 2**70, 1.5, np.nan,
                np.inf, -np.inf, 1e308, b"", (1, 2, 3), (0, 0, 0), (-1, 5, 7), (2**62, 2, 2),
                (2**21, 2**21, 2**21), (np.nan, np.inf, -1.0))  # fmt: skip
    yield from (empty(kind) for kind in CLASSES)
    if isinstance(right, tuple):
        for place, item in enumerate(right):
            for other in wrong(item):
                yield (*right[:place], other, *right[place + 1 :])
        yield right[:-1]
        yield (*right, right[-1])
    if not isinstance(right, np.ndarray) or right.size == 0:
        return
    values: tuple[Any, ...] = (-1, V, 2**62, -(2**62))
    if right.dtype.kind == "f":
        values = (-1.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324)
    for value in values:
        with np.errstate(all="ignore"):
            item = np.array([value]).astype(right.dtype)[0]
        for place in (0, right.size // 2, right.size - 1):
            changed = right.copy(order="K")
            changed.flat[place] = item
            yield changed
        yield np.full_like(right, item)
    locked = right.copy(order="K")
    locked.setflags(write=False)
    yield locked
    yield right.copy(order="K")[::-1]
    yield np.sort(right, axis=0)[::-1].copy()
    yield right[..., :-1].copy()
    yield right[:-1].copy()
    yield right[:0].copy()
    yield right[..., :0].copy()
    yield right.ravel().copy()
    yield right[None].copy()
    yield np.concatenate([right, right])
    yield right.T
    yield np.array(right.flat[0])
    for dtype in (
        np.float16,
        np.float32,
        np.float64,
        np.int32,
        np.int64,
        np.uint8,
        complex,
        object,
    ):
        with np.errstate(all="ignore"):
            yield np.nan_to_num(right.astype(np.float64)).astype(dtype)
    yield np.lib.stride_tricks.as_strided(right, right.shape, (0,) * right.ndim)


def states() -> Iterator[tuple[type[Any], Any]]:
    """Yield lies about the parts of an object, one part at a time."""
    for made in (design(), state(), repeated_state(), weighted_state(), neighbours()):
        parts = made.__getstate__()
        for place, right in enumerate(parts):
            for other in wrong(right):
                yield type(made), (*parts[:place], other, *parts[place + 1 :])
        yield type(made), ()
        yield type(made), (*parts, 1)
        yield type(made), None


def use(made: Any) -> None:
    """Use an object made from false parts in every possible way."""
    if isinstance(made, _core.OlsState):
        for name in ("beta", "rss", "residual_norm", "r_square", "mean", "observations_and_rank"):
            attempt(getattr(_core, name), [made, design(), THREADS])
        attempt(_core.contrast, [made, design(), np.array([[0.0, 1.0]]), "t", THREADS])
        attempt(state().merge, [made, THREADS])
        attempt(made.update, [design(), 0, data(), THREADS])
        attempt(made.select, [np.array([0, 1])])
    elif isinstance(made, _core.RepeatedState):
        use_repeated(made)
    elif isinstance(made, _core.WeightedState):
        for name in ("weighted_beta", "weighted_rss", "weighted_r_square", "weighted_rank"):
            attempt(getattr(_core, name), [made, design(), THREADS])
        for stat_type in ("t", "F"):
            asked = [np.array([[0.0, 1.0, 1.0]]), stat_type, "residual", "residual", THREADS]
            attempt(_core.weighted_contrast, [made, design(), *asked])
        attempt(weighted_state().merge, [made, THREADS])
        attempt(made.update, weighted_arguments())
        attempt(made.select, [np.array([0, 1])])
    elif isinstance(made, _core.Design):
        attempt(made.basis, [])
        attempt(made.partition, [np.array([[0.0, 1.0]])])
        attempt(made.rows, [0, 2])
        attempt(_core.contrast, [state(), made, np.array([[0.0, 1.0]]), "F", THREADS])
        attempt(_core.OlsState(P, V).update, [made, 0, data(), THREADS])
    else:
        stat = np.random.default_rng(5).standard_normal(made.n_places)
        attempt(_core.label_clusters, [stat, made, 0.5, True])
        attempt(_core.tfce, [stat, made, 0.5, 2.0, True, 0])


def use_repeated(made: _core.RepeatedState) -> None:
    """Use a state of subjects with several images in every possible way."""
    ratio = np.linspace(0.0, 3.0, V)
    for name in ("present_images", "fit_random_intercept"):
        attempt(getattr(_core, name), [made, design(), THREADS])
    for name in ("random_intercept_beta", "restricted_criterion"):
        attempt(getattr(_core, name), [made, design(), ratio, THREADS])
    for df in ("satterthwaite", "kenward-roger"):
        asked = [ratio, np.array([[0.0, 1.0]]), "F", df, THREADS]
        attempt(_core.random_intercept_contrast, [made, design(), *asked])
    attempt(repeated_state().merge, [made, THREADS])
    attempt(made.update, repeated_update_arguments())
    attempt(made.select, [np.array([0, 1])])


def attempt(function: Callable[..., Any], arguments: list[Any]) -> bool:
    """Call, and tell whether it raised."""
    try:
        function(*arguments)
    except Exception:
        return True
    return False


def say(text: str) -> None:
    """Print the progress, so that it is known even if the next call ends the program."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    for name, (function, right) in calls().items():
        say(name)
        for place, argument in enumerate(right):
            for other in wrong(argument):
                attempt(function, [*right[:place], other, *right[place + 1 :]])
        attempt(function, right[:-1])
        attempt(function, [*right, 1])
    for kind, parts in states():
        say(kind.__name__)
        made = empty(kind)
        if not attempt(made.__setstate__, [parts]):
            use(made)
    say("done")


if __name__ == "__main__":
    main()
