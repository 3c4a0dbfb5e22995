# SPDX-License-Identifier: BSD-3-Clause
"""The memory that a fit takes, and how it stays within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from groupglm.errors import ArgumentError, shown
from groupglm.messages import argument
from groupglm.runtime.arguments import real_number
from groupglm.runtime.naming import counted

__all__ = ["batch_bytes_within", "check_memory_budget", "fit_bytes", "refuse_missing"]

_SHARE = 0.5  # of the free memory, unless the user says otherwise
_UNKNOWN = 2 * 2**30  # free bytes, if the system does not say
_MEMINFO = Path("/proc/meminfo")


def check_memory_budget(memory_budget: object) -> int:
    """Return the bytes that a fit may take."""
    if memory_budget is None:
        return int(_SHARE * free_bytes())
    n_bytes = real_number("memory_budget", memory_budget)
    if not 0 < n_bytes < 2**62:
        raise ArgumentError("memory_budget", f"{shown(memory_budget)} bytes", "positive")
    return int(n_bytes)


def free_bytes() -> int:
    """Return the bytes of memory that are available, page cache included."""
    if _MEMINFO.exists():
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return _UNKNOWN


def fit_bytes(
    n_values: int, batch_bytes: int, n_threads: int, image_bytes: int, *, model_bytes: int
) -> int:
    """Return the bytes that a fit takes, for any number of images.

    The sum is

      model_bytes  +  (5 + n_threads) * n_values
          +  2 * batch_bytes  +  n_threads * image_bytes

    These are: what the model keeps; the counts of exact zeros (5 bytes per voxel, and a mark of one
    byte in each thread); two batches of rows (one is read while the model is updated with the
    other); and the images that the threads read.
    """
    counts = (5 + n_threads) * n_values
    return model_bytes + counts + 2 * batch_bytes + n_threads * image_bytes


def refuse_missing(budget: int, n_missing: int, places: str, *, enough: int) -> NoReturn:
    """Refuse a budget without room for the places that lack values; say which is enough."""
    raise ArgumentError(
        "memory_budget",
        f"{_size(budget, up=False)}, but {n_missing} {places} lack values in some "
        f"image, and with them the fit takes {_size(enough, up=True)}",
        remedy=f"give a larger budget, or a mask of the {places} that all images have",
    )


def _size(n_bytes: int, *, up: bool) -> str:
    """Return bytes in whole MB, or in kB or bytes where there is less than one.

    What is needed is rounded up, and what there is down: a budget of what is needed is enough.

    Examples
    --------
    >>> _size(12, up=True), _size(70_001, up=True), _size(3_200_000, up=False)
    ('12 bytes', '71 kB', '3 MB')
    """
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= size:
            return f"{-(-n_bytes // size) if up else n_bytes // size} {unit}"
    return f"{n_bytes} bytes"


def batch_bytes_within(
    budget: int,
    wanted: int,
    *,
    n_values: int,
    places: str,
    n_columns: int,
    row_bytes: int,
    n_threads: int,
    image_bytes: int,
    model_bytes: int,
) -> int:
    """Return the bytes that a batch of rows may take."""
    least = fit_bytes(n_values, row_bytes, n_threads, image_bytes, model_bytes=model_bytes)
    if least > budget:
        raise ArgumentError(
            "memory_budget",
            f"{_size(budget, up=False)}, but a fit of {n_values} {places} and "
            f"{counted(n_columns, 'column')} on {counted(n_threads, 'thread')} takes "
            f"{_size(least, up=True)}",
            remedy="give a larger budget, fewer threads (" + argument("n_jobs") + "), or a mask",
        )
    return min(wanted, row_bytes + (budget - least) // 2)
