# SPDX-License-Identifier: BSD-3-Clause
"""The package as a whole: what importing it costs, its names, and its compiled levels."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import groupglm
from groupglm import _core

ROOT = Path(__file__).parents[2]
LEVELS = ("baseline", "v3", "v4")
_SUPPORTED = LEVELS[: LEVELS.index(_core.supported_level()) + 1]

_HEAVY = ("joblib", "matplotlib", "nibabel", "numpy", "pandas", "scipy", "sklearn", "tqdm")


def _python(code: str, *arguments: str, level: str | None = None) -> str:
    """Run a program in a fresh interpreter; return what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "GROUPGLM_CPU_LEVEL"}
    if level is not None:
        environment["GROUPGLM_CPU_LEVEL"] = level
    result = subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("module", ["groupglm", "groupglm.cli", "groupglm.errors"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {_HEAVY} if name in sys.modules])"
    assert _python(code) == "[]\n"


def test_every_public_name_loads() -> None:
    assert sorted(groupglm.__all__) == sorted(set(groupglm.__all__))
    packages = ["bids", "datasets", "errors", "plotting"]
    assert dir(groupglm) == sorted([*groupglm.__all__, *packages])
    code = f"import groupglm; print(all(getattr(groupglm, name) for name in {packages}))"
    assert _python(code) == "True\n"
    for name in groupglm.__all__:
        assert getattr(groupglm, name) is not None
    names: dict[str, Any] = {}
    exec("from groupglm import *", names)  # noqa: S102 - a star import is not allowed in a function
    assert set(groupglm.__all__) <= set(names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'groupglm' has no attribute 'fit_old'"):
        _ = groupglm.fit_old


def test_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", groupglm.__version__)


def test_version_is_that_of_the_installation() -> None:
    try:
        installed = importlib.metadata.version("groupglm")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("groupglm is on the path, but not installed")
    assert groupglm.__version__ == installed


def test_types_travel_with_the_package() -> None:
    folder = Path(groupglm.__file__).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_core.pyi").is_file()


def test_build_info() -> None:
    info = groupglm.build_info()
    assert set(info) == {"compiler", "level", "openmp_threads", "eigen"}
    assert info["level"] in LEVELS
    assert info["openmp_threads"] == _core.max_threads() >= 1
    assert re.fullmatch(r"3\.\d+\.\d+", info["eigen"])


_FIT = """
import sys
import numpy as np
import groupglm
assert groupglm.build_info()["level"] == sys.argv[2]
data = np.load(sys.argv[1])
fit = groupglm.fit_ols(data["X"], data["Y"], n_threads=2)
t, f = fit.contrast([0, 1, 0]), fit.contrast(np.eye(3)[1:])
np.savez(
    sys.argv[3], beta=fit.beta, rss=fit.rss, r_square=fit.r_square, df=fit.df_residual,
    **{f"{r.stat_type}_{k}": getattr(r, k) for r in (t, f) for k in ("stat", "p_value", "z_score")}
)
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of a small study, 40 images x 331 voxels, some values missing."""
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(40), np.arange(40) % 2, rng.uniform(-1, 1, 40)])
    Y = rng.standard_normal((40, 331)) + 2 * X[:, [1]]
    Y[rng.random(Y.shape) < 0.01] = np.nan
    path = tmp_path_factory.mktemp("levels") / "study.npz"
    np.savez(path, X=X, Y=Y)
    return path


def _fit_at(level: str, study: Path) -> dict[str, Any]:
    out = study.with_name(f"{level}.npz")
    _python(_FIT, str(study), level, str(out), level=level)
    with np.load(out) as file:
        return dict(file)


@pytest.mark.parametrize("level", _SUPPORTED)
def test_every_level_gives_the_same_numbers(level: str, study: Path) -> None:
    with np.load(study) as file:
        X, Y = file["X"], file["Y"]
    got = _fit_at(level, study)
    expected = _fit_at("baseline", study)
    # Levels sum in another order: n eps, which the tail of t magnifies by up to its degrees of
    # freedom (-d log p / d log t <= df); and each special function is right to 1e-12.
    n, df = X.shape[0], X.shape[0] - X.shape[1]
    tolerance = 2e-12 + n * df * float(np.finfo(np.float64).eps)
    assert set(got) == set(expected)
    assert len(got) == 10
    for name, values in got.items():
        np.testing.assert_allclose(
            values, expected[name], rtol=tolerance, atol=tolerance, err_msg=name
        )
    # And they are numbers of these data: voxels without missing values, against NumPy.
    whole = np.isfinite(Y).all(axis=0)
    assert 0 < whole.sum() < whole.size
    beta = np.linalg.lstsq(X, Y[:, whole], rcond=None)[0]
    np.testing.assert_allclose(got["beta"][:, whole], beta, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(got["df"], np.isfinite(Y).sum(axis=0) - 3)


_PERMUTE = """
import sys
import numpy as np
import groupglm
from groupglm import permuted_ols
assert groupglm.build_info()["level"] == sys.argv[2]
with np.load(sys.argv[1]) as file:
    X, Y = file["X"], file["Y"]
complete = np.nan_to_num(Y)
options = {"n_perm": 107, "random_state": 3, "n_jobs": 2}
found = {
    "flips": permuted_ols(X[:, 0], complete, **options),
    "tested beside a confound": permuted_ols(X[:, 1], complete, X[:, 2], **options),
    "one tail": permuted_ols(X[:, 1], complete, two_sided_test=False, **options),
    "groups": permuted_ols(X[:, 1], complete, variance_groups=X[:, 1], **options),
    "missing": permuted_ols(X[:, 1], Y, X[:, 2], **options),
}
np.savez(sys.argv[3], **{k: np.append(v["h0_max_t"], v["logp_max_t"]) for k, v in found.items()})
"""


@pytest.mark.parametrize("level", _SUPPORTED)
def test_every_level_permutes_to_the_same_numbers(level: str, study: Path) -> None:
    found = {}
    for each in ("baseline", level):
        out = study.with_name(f"permuted_{each}.npz")
        _python(_PERMUTE, str(study), each, str(out), level=each)
        with np.load(out) as file:
            found[each] = dict(file)
    # Products of unit vectors are sums of n terms, right to n eps. With t below 18 and at least 37
    # degrees of freedom, RSS = 1 / (1 + t^2 / df) is above a tenth: the relative error of its root,
    # and of the weights of two groups, is below a hundred times that.
    tolerance = 100 * 40 * float(np.finfo(np.float64).eps)
    assert set(found[level]) == {"flips", "tested beside a confound", "one tail", "groups",
                                 "missing"}  # fmt: skip
    for name, values in found[level].items():
        assert values.shape == (107 + 331,)
        assert np.ptp(values[:107]) > 1
        assert values[:107].max() < 18
        np.testing.assert_allclose(values, found["baseline"][name], rtol=tolerance, err_msg=name)


_CHOOSE = """
import sys, types
modules = {level: types.ModuleType(f"groupglm._core_{level}") for level in ("baseline", "v3", "v4")}
for level, module in modules.items():
    sys.modules[module.__name__] = module
    module.level = level
    module.supported_level = lambda: sys.argv[1]
# The wider loops are named for their level, and handed to the module of everything else.
modules["v4"].inner_loops = "v4"
modules["v3"].use_inner_loops = lambda loops: setattr(modules["v3"], "level", loops)
try:
    from groupglm import _core
    print(_core.level)
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("supported", "wanted", "printed"),
    [
        ("baseline", None, "baseline"),
        ("v3", None, "v3"),
        ("v4", None, "v4"),
        ("v4", "v3", "v3"),
        ("v3", "v4", "GROUPGLM_CPU_LEVEL is 'v4', but this processor runs 'v3' at most"),
        ("v4", "v5", "GROUPGLM_CPU_LEVEL is 'v5'; it must be one of baseline, v3, v4"),
        ("v4", "", "GROUPGLM_CPU_LEVEL is ''; it must be one of baseline, v3, v4"),
    ],
)
def test_the_level_follows_the_processor(supported: str, wanted: str | None, printed: str) -> None:
    assert _python(_CHOOSE, supported, level=wanted) == printed + "\n"


_BESIDE = """
import sys
import numpy as np
import groupglm
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info
data = np.load(sys.argv[1])
Y = data["Y"]
alone = groupglm.fit_ols(data["X"], Y, n_threads=2).contrast([0, 1, 0])
points = np.random.default_rng(0).normal(size=(3000, 4))
KMeans(3, n_init=1, random_state=0).fit(points)
for _ in range(3):
    beside = groupglm.fit_ols(data["X"], Y, n_threads=2).contrast([0, 1, 0])
    KMeans(3, n_init=1, random_state=0).fit(points)
for name in ("stat", "p_value", "effect_size"):
    np.testing.assert_array_equal(getattr(alone, name), getattr(beside, name))
paths = {i["filepath"] for i in threadpool_info() if i["user_api"] == "openmp"}
assert any("scikit_learn" in path or "sklearn" in path for path in paths), paths
print(len(paths))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="scikit-learn's OpenMP has another name")
def test_another_openmp_in_the_process_does_no_harm(study: Path) -> None:
    # A wheel carries the OpenMP of its compiler, and so does scikit-learn's.
    assert _python(_BESIDE, str(study)) == "2\n"


def test_only_the_loops_of_a_projection_are_taken() -> None:
    # A capsule of something else would be called as if it were code.
    from datetime import datetime_CAPI

    with pytest.raises(ValueError, match="not the inner loops of a module"):
        _core.use_inner_loops(datetime_CAPI)
