# SPDX-License-Identifier: BSD-3-Clause
"""What every kernel of the compiled core gives at one instruction-set level: run as a program.

Writes the level and, under the name of each call, all arrays that the call returned or changed.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np

import groupglm
from groupglm import _core
from reference import core_doors

nib: Any = nibabel  # typed only in part

N, SHAPE = 24, (13, 11, 9)


def arrays(value: Any) -> Iterator[Any]:
    """Yield all numbers that a result holds."""
    if isinstance(value, core_doors.CLASSES):
        value = value.__getstate__()
    if isinstance(value, tuple | list):
        for item in value:
            yield from arrays(item)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from arrays(value[key])
    elif isinstance(value, np.ndarray | float | int):
        yield np.array(value)


def small_calls() -> Iterator[tuple[str, Any]]:
    """Yield what each name of the core returns, and its arguments, which some change."""
    for name, (function, arguments) in core_doors.calls().items():
        if name not in ("build_info", "max_threads", "supported_level", "use_inner_loops"):
            yield name, (function(*arguments), arguments)


def weighted_fits(X: Any, *data: Any) -> Iterator[tuple[str, Any]]:
    """Yield weighted fits of few and more columns, with and without covariates."""
    beside = np.random.default_rng(1).uniform(0.5, 2.0, (3, *data[0].shape))
    for n_columns in range(1, 6):
        for Y in data:
            for covariates in (None, beside[:2]):
                fit = groupglm.fit_weighted(X[:, :n_columns], Y, beside[2], covariates)
                found = fit.contrast(np.eye(fit.X.shape[1])[-2:])
                yield "weighted", [fit.arrays(), fit.beta, fit.rss, fit.r_square, found.stat]


def effect_sizes(stat: Any) -> Iterator[tuple[str, Any]]:
    """Yield noncentralities and Bayes factors of statistics."""
    for df in (12.0, np.random.default_rng(6).uniform(3, 40, len(stat))):
        yield "noncentral t", _core.t_noncentralities(stat, df, 0.95, 2)
        yield "noncentral F", _core.f_noncentralities(stat**2, 3.0, df, 0.9, 2)
        yield "noncentral tails", _core.noncentral_t_cdf(stat, df, stat / 2, 2)
    yield "Bayes factors", _core.log_bayes_factors(stat**2, 1.0, 12.0, 5.0, 2)


def larger_calls() -> Iterator[tuple[str, Any]]:
    """Yield results over many registers and panels, of data without an order."""
    rng = np.random.default_rng(0)
    v = int(np.prod(SHAPE))
    group = np.repeat([0.0, 1.0], N // 2)
    X = np.column_stack([np.ones(N), group, rng.standard_normal((N, 3))])
    Y = rng.standard_normal((N, v)) + 0.7 * group[:, None]
    holes = np.where(rng.random(Y.shape) < 0.02, np.nan, Y)
    masker = SimpleNamespace(mask_img_=nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)))
    for kind, data in (("", Y), (" float32", Y.astype(np.float32)), (" missing", holes)):
        fit = groupglm.fit_ols(X, data, n_threads=2)
        yield "state" + kind, fit.state_parts()
        yield "fit" + kind, [fit.beta, fit.rss, fit.residual_sd, fit.r_square, fit.mean]
        yield "df" + kind, fit.df_residual
        yield "predicted" + kind, [fit.predicted(), fit.residuals(None, data)]
        for contrast in ([0, 1, 0, 0, 0], np.eye(5)[1:]):
            result = fit.contrast(contrast)
            yield result.stat_type + kind, [result.stat, result.p_value, result.z_score]
        own = _core.OlsState.__new__(_core.OlsState)
        own.__setstate__(fit.state_parts())
        parts = _core.contrast_parts(own, _core.Design(X), np.eye(5)[1:], 2)
        yield "parts" + kind, list(parts)
        choices: tuple[dict[str, Any], ...] = ({}, {"variance_groups": group})
        for options in choices:
            if kind == " missing" and options:
                continue  # groups of unequal variance need every value
            out = groupglm.permuted_ols(
                group, data, X[:, 2:], n_perm=60, random_state=0, masker=masker, tfce=True,
                threshold=0.01, **options,
            )  # fmt: skip
            yield f"permuted{kind} {sorted(options)}", dict(out)
    yield from weighted_fits(X, Y, holes)
    out = groupglm.permuted_ols(X[:, 1:3], Y, n_perm=60, random_state=0)
    yield "permuted columns", dict(out)
    stat = rng.standard_normal(v)
    halves = (np.arange(v) > v // 2).astype(np.int32)
    graph = _core.Neighbours.of_volume(SHAPE, np.arange(v), 26)
    yield "local_maxima", _core.local_maxima(stat, halves, graph, 2)
    yield from smoothed_on_mesh(graph, v)
    yield from sums_at_edges(v)
    for df in (12.0, rng.uniform(0.5, 400, v)):
        yield "t", _core.t_statistics(stat, np.ones(v), df, 2)
        yield "F", _core.f_statistics(stat**2, np.ones(v), 3.0, df, 2)
    yield from effect_sizes(stat)
    for dtype in (np.float32, np.float64):
        volume: Any = np.asfortranarray(rng.standard_normal(SHAPE), dtype=dtype)
        turn = np.array([[0.8, 0.1, 0.0, 0.3], [-0.1, 0.7, 0.05, 1.0], [0.0, 0.2, 0.9, 0.0]])
        for rule in ("continuous", "linear", "nearest"):
            yield rule, _core.resample_volume(volume, turn, (12, 12, 9), rule, 0.0, 2)
        for missing in (False, True):
            row = volume.ravel(order="F").copy()
            if missing:
                row[::17] = np.nan
            _core.smooth_volume(row, SHAPE, (1.2, 0.8, 2.0), 2)
            yield "smooth", row


def smoothed_on_mesh(graph: _core.Neighbours, n: int) -> Iterator[tuple[str, Any]]:
    """Yield one map and several that are smoothed on a mesh of n places."""
    rng = np.random.default_rng(5)
    for n_maps, dtype in ((1, np.float64), (11, np.float32)):
        maps: Any = rng.standard_normal((n_maps, n)).astype(dtype)
        maps[:, ::17] = np.nan
        _core.smooth_on_mesh(maps, graph, 6, 2)
        yield "smooth on a mesh", maps


def sums_at_edges(n: int) -> Iterator[tuple[str, Any]]:
    """Yield sums over rows of n places at their edges, of complete and of missing data."""
    rng = np.random.default_rng(6)
    edges = np.stack([np.arange(n - 9), np.arange(9, n)]).astype(np.int32)
    for missing, dtype in ((False, np.float32), (True, np.float64)):
        rows: Any = rng.standard_normal((13, n)).astype(dtype)
        if missing:
            rows[:, ::17] = np.nan
        squares, products = np.zeros(n), np.zeros(n - 9)
        differs = np.zeros(n - 9, np.uint8)
        _core.add_edge_sums(rows, edges, squares, products, differs, 2)
        yield "sums at edges", [squares, products, differs]


def tau2_calls() -> Iterator[tuple[str, Any]]:
    """Yield estimates of tau2, of complete and of missing data."""
    rng = np.random.default_rng(0)
    basis = _core.Design(np.column_stack([np.ones(N), rng.standard_normal((N, 2))])).basis()
    Y = rng.standard_normal((N, 400))
    V = np.exp(rng.standard_normal(Y.shape))
    holes = np.where(rng.random(Y.shape) < 0.02, np.nan, Y)
    for method in ("reml", "ml", "dersimonian-laird", "paule-mandel", "hedges"):
        for data in (Y, holes):
            yield method, _core.estimate_tau2(basis, data, V, method, 0.0, 2)
    arguments = core_doors.mixed_update_arguments()
    yield "update mixed", [_core.update_mixed(*arguments), arguments[0].__getstate__()[3:]]


def sandwich_calls() -> Iterator[tuple[str, Any]]:
    """Yield sums and tests of both sandwich estimators, by every rule."""
    for homogeneous in (False, True):
        arguments = core_doors.sandwich_arguments(N, 400, homogeneous=homogeneous)
        for dtype in (np.float32, np.float64):
            arguments[6] = arguments[6].astype(dtype)
            for adjustment in ("0", "1", "2", "3", "C2", "C3"):
                arguments[5] = adjustment
                yield f"sandwich {adjustment}", _core.sandwich_sums(*arguments)
        own = ("approximate-2", "approximate-3") if homogeneous else ("satterthwaite",)
        for rule in ("approximate-1", "naive", *own):
            tested = core_doors.sandwich_test_arguments(N, 400, homogeneous=homogeneous, rule=rule)
            yield f"sandwich {rule}", _core.sandwich_test(*tested)


def robust_calls() -> Iterator[tuple[str, Any]]:
    """Yield robust fits with both weights, of one to four columns, images missing or not."""
    rng = np.random.default_rng(8)
    for p in (1, 2, 3, 4):
        design = _core.Design(np.column_stack([np.ones(N), rng.standard_normal((N, p - 1))]))
        Y = rng.standard_normal((N, 400))
        holes = np.where(rng.random(Y.shape) < 0.02, np.nan, Y)
        for weights, tuning in (("bisquare", 4.685), ("huber", 1.345)):
            for data in (Y, holes):
                yield f"robust {weights}", _core.robust_fit(design, data, weights, tuning, True, 2)


def permuted_models(v: int = 400) -> Iterator[tuple[str, Any]]:
    """Yield permutations of models with variances, weights and covariates."""
    for flips in (False, True):
        arguments = core_doors.mixed_arguments(N, v)
        arguments[5] = (0, 0.0, 1, flips)
        yield f"permuted mixed {flips}", [_core.permuted_mixed_statistics(*arguments), arguments]
    arguments = core_doors.voxelwise_arguments(N, v)
    yield "permuted voxelwise", [_core.permuted_voxelwise_statistics(*arguments), arguments]
    arguments = core_doors.repeated_arguments(N, v)
    yield "permuted repeated", [_core.permuted_repeated_statistics(*arguments), arguments]
    for adjustment in range(6):
        arguments = core_doors.bootstrap_arguments(N, v, adjustment)
        found = _core.bootstrapped_sandwich_statistics(*arguments)
        yield f"bootstrapped sandwich {adjustment}", [found, arguments]


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few permutations
        found = {
            f"{at} {name}": list(arrays(value))
            for at, (name, value) in enumerate(
                [
                    *small_calls(),
                    *larger_calls(),
                    *tau2_calls(),
                    *permuted_models(),
                    *sandwich_calls(),
                    *robust_calls(),
                ]
            )
        }
    Path(sys.argv[1]).write_bytes(pickle.dumps((_core.build_info()["level"], found)))


if __name__ == "__main__":
    main()
