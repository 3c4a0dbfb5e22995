# SPDX-License-Identifier: BSD-3-Clause
"""The command that the user typed, kept for the page that it makes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

__all__ = ["keep_command", "typed_command"]

_KEY = "groupglm.cli.options.typed_command"


def keep_command(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Keep the words after the program's name."""
    ctx.meta[_KEY] = shlex.join(["groupglm", *arguments])


def typed_command() -> str:
    """Return the command that runs now, quoted for a shell."""
    ctx = click.get_current_context(silent=True)
    return "" if ctx is None else str(ctx.meta.get(_KEY, ""))
