# SPDX-License-Identifier: BSD-3-Clause
"""Decorators that give a command several options: `giving`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Command", "giving"]

Command = TypeVar("Command", bound=Callable[..., Any])


def giving(options: tuple[Any, ...]) -> Callable[[Command], Command]:
    """Return a decorator that adds options to a command, in the order of its help."""

    def give(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return give
