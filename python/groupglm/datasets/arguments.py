# SPDX-License-Identifier: BSD-3-Clause
"""Checks of a simulator's arguments, before anything is written."""

from __future__ import annotations

import math

from groupglm.errors import ArgumentError, shown
from groupglm.runtime.arguments import real_number, whole_number

__all__ = ["check_lengths", "check_n_subjects", "check_seed", "check_shape"]


# Beyond these, a study would fill the memory or the disk, or its smoothing would not end.
_MOST_SUBJECTS = 100_000
_MOST_VOXELS = 100_000_000
_LONGEST = 1000.0  # mm; a brain is 180 mm long


def check_n_subjects(n_subjects: int, smallest: int, n_columns: str) -> None:
    """Refuse too few subjects for a residual degree of freedom, and more than any study has."""
    whole_number("n_subjects", n_subjects)
    if n_subjects < smallest:
        raise ArgumentError(
            "n_subjects",
            (
                f"{n_subjects}, but a design of {n_columns} columns needs at least {smallest} "
                "subjects to leave a degree of freedom"
            ),
            remedy=f"give {smallest} or more.",
        )
    if n_subjects > _MOST_SUBJECTS:
        raise ArgumentError("n_subjects", shown(n_subjects), f"at most {_MOST_SUBJECTS}")


def check_lengths(**lengths: float) -> None:
    """Refuse lengths that are not positive, or larger than a head, by their names."""
    for name, value in lengths.items():
        if real_number(name, value) <= 0:
            raise ArgumentError(name, f"{value}, but must be a positive length in mm.")
        if value > _LONGEST:
            raise ArgumentError(name, f"{value} mm", f"at most {_LONGEST:g} mm")


def check_shape(shape: tuple[int, int, int] | None) -> None:
    """Refuse a grid without three axes, or with more voxels than the memory holds."""
    if shape is None:
        return
    if not isinstance(shape, tuple | list) or len(shape) != 3:
        raise ArgumentError("shape", shown(shape), "three numbers of voxels, one for each axis")
    for axis, number in enumerate(shape):
        whole_number(f"shape[{axis}]", number, least=1)
    if math.prod(shape) > _MOST_VOXELS:
        raise ArgumentError("shape", shown(tuple(shape)), f"at most {_MOST_VOXELS:,} voxels")


def check_seed(seed: int) -> None:
    """Refuse a negative seed."""
    whole_number("seed", seed, least=0)
