# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float64]
_Integers: TypeAlias = NDArray[np.int64]
_Patterns: TypeAlias = tuple[_Integers, _Integers, NDArray[np.bool_], _Integers, _Integers]
_Data: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
_DataT = TypeVar("_DataT", NDArray[np.float32], NDArray[np.float64])
_UnsignedT = TypeVar("_UnsignedT", np.uint8, np.uint16, np.uint32, np.uint64)

class _BuildInfo(TypedDict):
    compiler: str
    level: str
    openmp_threads: int
    eigen: str

RANK_TOLERANCE: float
ESTIMABLE_TOLERANCE: float

class InfiniteValueError(ValueError): ...

class Design:
    def __init__(self, x: _Floats) -> None: ...
    def rows(self, first: int, count: int) -> Design: ...
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...
    def basis(self) -> _Floats: ...
    def gains(self, rows: _Floats) -> _Floats: ...
    def partition(self, contrast: _Floats) -> tuple[_Floats, _Floats]: ...
    @property
    def has_intercept(self) -> bool: ...
    @property
    def n_columns(self) -> int: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_working(self) -> int: ...
    @property
    def rank(self) -> int: ...

class OlsState:
    def __init__(self, n_working: int, n_voxels: int) -> None: ...
    def update(self, design: Design, first_row: int, y: _Data, n_threads: int) -> None: ...
    def merge(self, other: OlsState, n_threads: int) -> None: ...
    def select(self, voxels: NDArray[np.int64]) -> OlsState: ...
    def misses(self) -> NDArray[np.bool_]: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_voxels(self) -> int: ...
    @property
    def has_missing(self) -> bool: ...
    @property
    def n_factors(self) -> int: ...
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...

class WeightedState:
    def __init__(
        self, n_working: int, n_columns_z: int, n_voxels: int, n_threads: int = 1
    ) -> None: ...
    def update(
        self,
        design: Design,
        first_row: int,
        y: _DataT,
        w: _DataT | None,
        z: Sequence[_DataT],
        as_variances: bool,
        tau2: _Floats | None,
        n_threads: int,
    ) -> None: ...
    def merge(self, other: WeightedState, n_threads: int) -> None: ...
    def select(self, voxels: NDArray[np.int64]) -> WeightedState: ...
    def put(self, places: NDArray[np.int64], other: WeightedState) -> None: ...
    def spread(
        self, places: NDArray[np.int64], n_voxels: int, as_variances: bool
    ) -> WeightedState: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_voxels(self) -> int: ...
    @property
    def n_missing(self) -> int: ...
    @property
    def sums(self) -> _Floats: ...
    @property
    def counts(self) -> NDArray[np.int32]: ...
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...

class RepeatedState:
    def __init__(self, n_working: int, n_voxels: int) -> None: ...
    def update(
        self,
        design: Design,
        visit: _Integers,
        size: _Integers,
        first_row: int,
        y: _Data,
        n_threads: int,
    ) -> None: ...
    def merge(self, other: RepeatedState, n_threads: int) -> None: ...
    def select(self, voxels: _Integers) -> RepeatedState: ...
    def spread(self, places: _Integers, n_voxels: int) -> RepeatedState: ...
    @property
    def n_voxels(self) -> int: ...
    @property
    def n_missing(self) -> int: ...
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...

class Neighbours:
    @staticmethod
    def of_volume(
        shape: Sequence[int], indices: NDArray[np.int64], connectivity: int
    ) -> Neighbours: ...
    @staticmethod
    def of_adjacency(starts: NDArray[np.int64], places: NDArray[np.int32]) -> Neighbours: ...
    @staticmethod
    def joined(parts: Sequence[Neighbours]) -> Neighbours: ...
    @property
    def n_places(self) -> int: ...
    def adjacency(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]: ...
    def __getstate__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: tuple[Any, ...]) -> None: ...

def build_info() -> _BuildInfo: ...
def supported_level() -> str: ...
def use_inner_loops(loops: object) -> None: ...
def max_threads() -> int: ...
def beta(state: OlsState, design: Design, n_threads: int) -> _Floats: ...
def rss(state: OlsState, design: Design, n_threads: int) -> _Floats: ...
def residual_norm(state: OlsState, design: Design, n_threads: int) -> _Floats: ...
def r_square(state: OlsState, design: Design, n_threads: int) -> _Floats: ...
def mean(state: OlsState, design: Design, n_threads: int) -> _Floats: ...
def observations_and_rank(
    state: OlsState, design: Design, n_threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def is_estimable(state: OlsState, design: Design, contrast: _Floats) -> bool: ...
def contrast(
    state: OlsState, design: Design, contrast: _Floats, stat_type: str, n_threads: int
) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats, int]: ...
def contrast_parts(
    state: OlsState, design: Design, contrast: _Floats, n_threads: int
) -> tuple[_Floats, _Floats, _Floats, _Floats]: ...
def estimate_tau2(
    basis: _Floats, y: _Data, v: _Data, method: str, given: float, n_threads: int
) -> tuple[_Floats, _Floats]: ...
def robust_fit(
    design: Design,
    y: _Data,
    weights: str,
    tuning: float,
    with_weights: bool,
    n_threads: int,
) -> tuple[
    _Floats,
    _Floats,
    _Floats,
    _Floats,
    NDArray[np.int16],
    NDArray[np.uint8],
    NDArray[np.int64],
]: ...
def sandwich_sums(
    basis: _Floats,
    subject: NDArray[np.int64],
    part: NDArray[np.int64],
    group: NDArray[np.int64],
    visit: NDArray[np.int64],
    adjustment: str,
    y: _Data,
    exponent: NDArray[np.int16],
    with_fourth: bool,
    n_threads: int,
) -> tuple[_Floats, _Floats, NDArray[np.uint8], NDArray[np.uint8]]: ...
def sandwich_test(
    basis: _Floats,
    subject: NDArray[np.int64],
    part: NDArray[np.int64],
    group: NDArray[np.int64],
    visit: NDArray[np.int64],
    adjustment: str,
    df: str,
    sums: _Floats,
    fourth: _Floats,
    pattern: NDArray[np.int32],
    patterns: NDArray[np.uint8],
    effect: _Floats,
    g: _Floats,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats]: ...
def update_mixed(
    state: WeightedState,
    design: Design,
    y: _Data,
    v: _Data,
    groups: Sequence[tuple[Sequence[int], _Floats]],
    method: str,
    given: float,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats, NDArray[np.int32]]: ...
def fit_random_intercept(
    state: RepeatedState, design: Design, n_threads: int
) -> tuple[_Floats, _Floats]: ...
def restricted_criterion(
    state: RepeatedState, design: Design, ratio: _Floats, n_threads: int
) -> _Floats: ...
def random_intercept_beta(
    state: RepeatedState, design: Design, ratio: _Floats, n_threads: int
) -> _Floats: ...
def present_images(
    state: RepeatedState, design: Design, n_threads: int
) -> tuple[_Floats, _Integers, _Integers, _Integers]: ...
def random_intercept_contrast(
    state: RepeatedState,
    design: Design,
    ratio: _Floats,
    contrast: _Floats,
    stat_type: str,
    freedom: str,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats, _Floats, int]: ...
def fit_nested(
    basis: _Floats,
    subject: NDArray[np.int64],
    family: NDArray[np.int64],
    y: _Data,
    n_threads: int,
) -> tuple[_Floats, NDArray[np.int32], NDArray[np.int64], _Floats]: ...
def nested_contrast(
    numbers: _Floats,
    counts: NDArray[np.int32],
    voxels: NDArray[np.int64],
    projectors: _Floats,
    rows: _Floats,
    hypothesis: _Floats,
    stat_type: str,
    df: str,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats, _Floats]: ...
def residuals(x: _Floats, beta: _Floats, y: _Data, n_threads: int) -> _Data: ...
def weighted_beta(state: WeightedState, design: Design, n_threads: int) -> _Floats: ...
def weighted_rss(state: WeightedState, design: Design, n_threads: int) -> _Floats: ...
def weighted_r_square(state: WeightedState, design: Design, n_threads: int) -> _Floats: ...
def weighted_rank(state: WeightedState, design: Design, n_threads: int) -> NDArray[np.int64]: ...
def weighted_is_estimable(
    state: WeightedState, design: Design, contrast: _Floats, n_threads: int
) -> bool: ...
def weighted_contrast(
    state: WeightedState,
    design: Design,
    contrast: _Floats,
    stat_type: str,
    scale: str,
    df: str,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats, int]: ...
def resample_volume(
    volume: _DataT,
    voxel_map: _Floats,
    shape: tuple[int, int, int],
    interpolation: str,
    fill: float,
    n_threads: int,
    slack: tuple[float, float, float] = ...,
) -> tuple[_DataT, float, float]: ...
def resample_nearest(
    volume: NDArray[_UnsignedT],
    voxel_map: _Floats,
    shape: tuple[int, int, int],
    n_threads: int,
    slack: tuple[float, float, float] = ...,
) -> NDArray[_UnsignedT]: ...
def predict(x: _Floats, beta: _Floats, n_threads: int) -> _Floats: ...
def gather(volume: _Data, runs: NDArray[np.int64], row: _Data) -> None: ...
def gather_rest_is_zero(volume: _Data, runs: NDArray[np.int64], row: _Data) -> bool: ...
def narrow(row: _Data, out: NDArray[np.float32]) -> bool: ...
def scatter(row: _Data, places: NDArray[np.int64], volume: NDArray[np.float32]) -> bool: ...
def smooth_on_mesh(
    maps: _Data, neighbours: Neighbours, n_iterations: int, n_threads: int
) -> None: ...
def add_edge_sums(
    rows: _Data,
    edges: NDArray[np.int32],
    squares: _Floats,
    products: _Floats,
    differs: NDArray[np.uint8],
    n_threads: int,
) -> None: ...
def smooth_volume(
    volume: _Data,
    shape: tuple[int, int, int],
    sigma: tuple[float, float, float],
    n_threads: int,
) -> None: ...
@overload
def label_clusters(
    stat: _Data, neighbours: Neighbours, threshold: float, two_sided: bool, weights: None = ...
) -> tuple[NDArray[np.int32], NDArray[np.int64], _Floats, int]: ...
@overload
def label_clusters(
    stat: _Data, neighbours: Neighbours, threshold: float, two_sided: bool, weights: _Floats
) -> tuple[NDArray[np.int32], _Floats, _Floats, int]: ...
@overload
def label_clusters(
    stat: _Data,
    neighbours: Neighbours,
    threshold: float,
    two_sided: bool,
    weights: _Floats | None,
) -> tuple[NDArray[np.int32], NDArray[np.int64] | _Floats, _Floats, int]: ...
@overload
def cluster_maxima(
    stats: _Data,
    neighbours: Neighbours,
    threshold: float,
    two_sided: bool,
    n_threads: int,
    weights: None = ...,
) -> tuple[NDArray[np.int64], _Floats]: ...
@overload
def cluster_maxima(
    stats: _Data,
    neighbours: Neighbours,
    threshold: float,
    two_sided: bool,
    n_threads: int,
    weights: _Floats,
) -> tuple[_Floats, _Floats]: ...
@overload
def cluster_maxima(
    stats: _Data,
    neighbours: Neighbours,
    threshold: float,
    two_sided: bool,
    n_threads: int,
    weights: _Floats | None,
) -> tuple[NDArray[np.int64] | _Floats, _Floats]: ...
def local_maxima(
    stat: _Data, labels: NDArray[np.int32], neighbours: Neighbours, n_threads: int
) -> NDArray[np.int32]: ...
def tfce(
    stat: _Data,
    neighbours: Neighbours,
    extent_power: float,
    height_power: float,
    two_sided: bool,
    n_steps: int,
    weights: _Floats | None = ...,
) -> _Floats: ...
def tfce_maxima(
    stats: _Data,
    neighbours: Neighbours,
    extent_power: float,
    height_power: float,
    two_sided: bool,
    n_steps: int,
    n_threads: int,
    weights: _Floats | None = ...,
) -> _Floats: ...
def permuted_statistics(
    y: _Data,
    basis: _Floats,
    rows: _Floats,
    n_effect: int,
    df: float,
    two_sided: bool,
    maps: _Floats | None,
    least: _Floats | None,
    n_threads: int,
) -> _Floats: ...
def permuted_g_statistics(
    y: _Data,
    basis: _Floats,
    rows: _Floats,
    members: _Floats,
    gram: _Floats,
    freedom: _Floats,
    sizes: _Floats,
    n_effect: int,
    two_sided: bool,
    maps: _Floats | None,
    least: _Floats | None,
    n_threads: int,
) -> _Floats: ...
def permuted_present_statistics(
    y: _Data,
    effect: _Floats,
    nuisance: _Floats,
    rearranged: int,
    two_sided: bool,
    patterns: _Patterns,
    tables: tuple[_Floats, _Floats],
    orders: tuple[_Integers, _Floats],
    maps: _Floats | None,
    least: _Floats | None,
    n_threads: int,
) -> _Floats: ...
def permuted_mixed_statistics(
    y: _Data,
    v: _Data,
    effect: _Floats,
    nuisance: _Floats,
    groups: _Integers,
    how: tuple[int, float, int, bool],
    two_sided: bool,
    patterns: _Patterns,
    tables: tuple[_Floats, _Floats],
    orders: tuple[_Integers, _Floats],
    maps: _Floats | None,
    least: _Floats | None,
    n_threads: int,
) -> _Floats: ...
def permuted_repeated_statistics(
    y: _Data,
    effect: _Floats,
    nuisance: _Floats,
    subjects: _Integers,
    two_sided: bool,
    patterns: _Patterns,
    tables: tuple[_Floats, _Floats],
    orders: tuple[_Integers, _Floats],
    maps: _Floats | None,
    least: _Floats | None,
    n_threads: int,
) -> _Floats: ...
def bootstrapped_sandwich_statistics(
    y: _Data,
    effect: _Floats,
    nuisance: _Floats,
    subjects: _Integers,
    adjustments: tuple[int, int],
    two_sided: bool,
    patterns: _Patterns,
    tables: tuple[_Floats, _Floats],
    orders: tuple[_Integers, _Floats],
    maps: _Floats | None,
    least: _Floats | None,
    n_threads: int,
) -> _Floats: ...
def permuted_voxelwise_statistics(
    y: _Data,
    w: _Data | None,
    z: list[_Data],
    columns: _Floats,
    effect: _Floats,
    nuisance: _Floats,
    two_sided: bool,
    patterns: _Patterns,
    tables: tuple[_Floats, _Floats],
    orders: tuple[_Integers, _Floats],
    maps: _Floats | None,
    least: _Floats | None,
    n_threads: int,
) -> _Floats: ...
def t_noncentralities(
    stat: _Floats, df: float | _Floats, confidence: float, n_threads: int
) -> tuple[_Floats, _Floats]: ...
def f_noncentralities(
    stat: _Floats, df_numerator: float, df: float | _Floats, confidence: float, n_threads: int
) -> tuple[_Floats, _Floats]: ...
def noncentral_t_cdf(
    stat: _Floats, df: float | _Floats, noncentrality: _Floats, n_threads: int
) -> _Floats: ...
def log_bayes_factors(
    stat: _Floats,
    df_numerator: float,
    df: float | _Floats,
    scale: float | _Floats,
    n_threads: int,
) -> _Floats: ...
def t_z_scores(stat: _Floats, df: float | _Floats, n_threads: int) -> _Floats: ...
def f_z_scores(
    stat: _Floats, df_numerator: float, df_denominator: float | _Floats, n_threads: int
) -> _Floats: ...
def t_statistics(
    effect: _Floats, variance: _Floats, df: float | _Floats, n_threads: int
) -> tuple[_Floats, _Floats, _Floats]: ...
def f_statistics(
    sum_of_squares: _Floats,
    variance: _Floats,
    df_numerator: float,
    df_denominator: float | _Floats,
    n_threads: int,
) -> tuple[_Floats, _Floats, _Floats]: ...
