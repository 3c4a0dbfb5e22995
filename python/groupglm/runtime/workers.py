# SPDX-License-Identifier: BSD-3-Clause
"""Threads on this machine, and tasks on the machines that joblib uses.

With ``joblib.parallel_config(backend="dask")`` these are the workers of a dask.distributed cluster.
Any other backend of joblib that uses other machines works too. No cluster code is ours.
"""

from __future__ import annotations

import importlib
import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import joblib
from joblib import parallel

from groupglm import _core
from groupglm.errors import ArgumentError
from groupglm.messages import either
from groupglm.runtime.arguments import whole_number
from groupglm.runtime.progress import remark

__all__ = ["check_jobs", "is_remote", "on_this_machine", "run_remotely", "worker_name"]

T = TypeVar("T")

_PATIENCE = 60.0  # seconds without a result, before a line says so

# Backends on this machine; the threads of the core are faster than these.
_LOCAL = ("SequentialBackend", "ThreadingBackend", "LokyBackend", "MultiprocessingBackend")


def check_jobs(n_jobs: int | None) -> int:
    """Return the number of threads that ``n_jobs`` stands for."""
    if n_jobs is not None:
        n_jobs = whole_number("n_jobs", n_jobs)
    if n_jobs == 0:
        raise ArgumentError(
            "n_jobs",
            "0",
            remedy="give the number of threads, or -1 for all of them"
            + either(" ('n_jobs == 0' is not a valid choice)", ""),
        )
    return min(int(joblib.effective_n_jobs(n_jobs)), 256)


def is_remote() -> bool:
    """Return whether joblib's active backend may run tasks on other machines."""
    backend, _ = parallel.get_active_backend()
    return type(backend).__name__ not in _LOCAL


def on_this_machine() -> AbstractContextManager[Any]:
    """Return a context in which no task runs on other machines."""
    context: AbstractContextManager[Any] = joblib.parallel_config(backend="threading")
    return context


def run_remotely(tasks: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Run tasks on the active backend and yield their results in the order of the tasks."""
    import cloudpickle  # every backend that uses other machines sends its tasks with it

    version, level = _build()
    # What a worker gets names nothing of this package until the task runs there. A dask worker that
    # cannot load what it is sent ends without an answer; a worker whose task fails sends the error.
    results: Any = joblib.Parallel(return_as="generator", batch_size=1)(
        joblib.delayed(pickle.loads)(
            pickle.dumps(_CallWhenLoaded((version, level, cloudpickle.dumps(task))))
        )
        for task in tasks
    )
    backend, _ = parallel.get_active_backend()
    while True:
        try:
            with _told_of_waiting(backend):
                result = next(results)
        except StopIteration:
            return
        except ImportError as error:
            raise ValueError(
                f"a worker cannot load groupglm {version} ({error}); install groupglm {version} "
                "with what it needs on all workers"
            ) from error
        if not isinstance(result, _Answer):
            raise ValueError(  # noqa: TRY004 - no type that a caller gave
                f"a worker has a version of groupglm from before {version}; install {version} on "
                "all workers"
            )
        yield result.value


def _build() -> tuple[str, str]:
    """Return the version and the processor's level, on which the numbers of a process depend."""
    return str(sys.modules["groupglm"].__version__), str(_core.build_info()["level"])


_Request: TypeAlias = tuple[str, str, bytes]
"""Version, level and pickled task; a worker of any version can read the first two."""


@dataclass(frozen=True)
class _Answer:
    """The result of a task, from a worker that has compared its build with the request."""

    value: Any


class _ThisModule:
    """The module `workers`, imported on the worker when this is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return importlib.import_module, (__name__,)


class _RunTask:
    """The worker's own `_run_task`; or `tuple`, which runs nothing, if its version has none."""

    def __call__(self, request: _Request) -> _Answer:
        return _run_task(request)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[_ThisModule, str, type]]:
        return getattr, (_ThisModule(), _run_task.__name__, tuple)


@dataclass(frozen=True)
class _CallWhenLoaded:
    """A call of the worker's `_run_task`, which happens when this is unpickled."""

    request: _Request

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[_Request]]:
        return _RunTask(), (self.request,)


def _run_task(request: _Request) -> _Answer:
    """Run a task; it is unpickled only if version and level are the same."""
    version, level, task = request[:3]
    own_version, own_level = _build()
    if own_version != version:
        raise ValueError(
            f"worker {worker_name()} has groupglm {own_version}, and the fit was asked for by "
            f"{version}: their numbers would be mixed; install {version} on all workers"
        )
    if own_level != level:
        lower = min(own_level, level, key=("baseline", "v3", "v4").index)
        raise ValueError(
            f"worker {worker_name()} runs the compiled core for processors of level {own_level}, "
            f"and the fit was asked for by one of {level}: their last digits differ; set "
            f"GROUPGLM_CPU_LEVEL={lower} on all machines"
        )
    return _Answer(pickle.loads(task)())  # noqa: S301 (from the process that joblib works for)


@contextmanager
def _told_of_waiting(backend: Any) -> Iterator[None]:
    """Print a remark, at growing intervals, while no result has come for a while."""
    over = threading.Event()

    def watch() -> None:
        waited, pause = 0.0, _PATIENCE
        while not over.wait(pause):
            waited += pause
            pause = waited
            remark(
                f"No worker has sent a result for {waited:.0f} s; if none works any more, "
                "interrupt (Ctrl-C), start workers and run it again"
            )
            if _has_no_worker(backend) and not over.is_set():
                remark(
                    "The cluster has no worker now; work goes on when one joins it (if they end "
                    "as soon as they join, their log says why)"
                )

    context = copy_context()  # holds the destination of lines
    # A daemon, because a cluster that does not answer must not keep the program alive.
    threading.Thread(target=context.run, args=(watch,), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _has_no_worker(backend: Any) -> bool:
    try:
        return not backend.client.ncores()
    except Exception:  # the backend has no such client, or its scheduler is gone
        return False


def worker_name() -> str:
    """Return the machine and the process that run this, for messages."""
    return f"{socket.gethostname()}, process {os.getpid()}"
