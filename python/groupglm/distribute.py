# SPDX-License-Identifier: BSD-3-Clause
"""Threads here, and tasks on the machines that joblib was told to use.

With ``joblib.parallel_config(backend="dask")`` these are the workers of a dask.distributed cluster;
any other backend of joblib that leaves this machine serves as well. No cluster code is ours.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import joblib
from joblib import parallel

from groupglm.arguments import whole_number

__all__ = ["check_jobs", "is_remote", "run_remotely", "worker_name"]

T = TypeVar("T")

# Backends that work on this machine: here threads inside the core do better.
_LOCAL = ("SequentialBackend", "ThreadingBackend", "LokyBackend", "MultiprocessingBackend")


def check_jobs(n_jobs: int | None) -> int:
    """Return the number of threads that ``n_jobs`` stands for.

    Parameters
    ----------
    n_jobs : int or None
        -1 means all, None what joblib's ``parallel_config`` says.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is zero.
    """
    if n_jobs is not None:
        n_jobs = whole_number("n_jobs", n_jobs)
    if n_jobs == 0:
        raise ValueError("n_jobs is 0; give the number of threads, or -1 for all of them")
    return min(int(joblib.effective_n_jobs(n_jobs)), 256)


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
    """Name the machine and the process that this is called on, for messages."""
    return f"{socket.gethostname()}, process {os.getpid()}"
