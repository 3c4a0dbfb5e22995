# SPDX-License-Identifier: BSD-3-Clause
"""Check what the caller of a simulator gives, before anything is written."""

from __future__ import annotations

from groupglm.runtime.arguments import real_number, whole_number

__all__ = ["check_lengths", "check_n_subjects", "check_seed"]


def check_n_subjects(n_subjects: int, smallest: int, n_columns: str) -> None:
    """Refuse fewer subjects than leave a degree of freedom."""
    whole_number("n_subjects", n_subjects)
    if n_subjects < smallest:
        raise ValueError(
            f"n_subjects is {n_subjects}, but a design of {n_columns} columns needs at least "
            f"{smallest} subjects to leave a degree of freedom; give {smallest} or more."
        )


def check_lengths(**lengths: float) -> None:
    """Refuse lengths that are not positive, by their names."""
    for name, value in lengths.items():
        if real_number(name, value) <= 0:
            raise ValueError(f"{name} is {value}, but must be a positive length in mm.")


def check_seed(seed: int) -> None:
    """Refuse a negative seed."""
    whole_number("seed", seed, least=0)
