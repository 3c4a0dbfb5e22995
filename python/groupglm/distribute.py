# SPDX-License-Identifier: BSD-3-Clause
"""Run tasks on the machines that joblib was told to use.

With ``joblib.parallel_config(backend="dask")`` these are the workers of a dask.distributed cluster;
any other backend of joblib that leaves this machine serves as well. No cluster code is ours.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import joblib
from joblib import parallel

__all__ = ["is_remote", "run_remotely", "worker_name"]

T = TypeVar("T")

# Backends that work on this machine: here threads inside the core do better.
_LOCAL = ("SequentialBackend", "ThreadingBackend", "LokyBackend", "MultiprocessingBackend")


def is_remote() -> bool:
    """Tell whether joblib's active backend may run tasks on other machines."""
    backend, _ = parallel.get_active_backend()
    return type(backend).__name__ not in _LOCAL


def run_remotely(tasks: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Run tasks on the active backend and yield their results in the order of the tasks.

    Parameters
    ----------
    tasks : iterable of callables
        Each is pickled and sent as one object, so that a task whose worker has died can be sent
        again: data put on workers beforehand would have died with it.

    Yields
    ------
    object
        The tasks' results; at most twice as many tasks as there are workers are under way.
    """
    results: Any = joblib.Parallel(return_as="generator", batch_size=1)(
        joblib.delayed(_call)(task) for task in tasks
    )
    yield from results


def _call(task: Callable[[], T]) -> T:
    return task()


def worker_name() -> str:
    """Name the worker that this is called on, for messages."""
    try:
        from distributed import get_worker

        return f"{get_worker().name} at {get_worker().address}"
    except (ImportError, ValueError):  # not there, or not called from a worker
        return socket.gethostname()
