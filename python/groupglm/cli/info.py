# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm info``: what this installation is built of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

__all__ = ["info"]


@click.command()
def info() -> None:
    """Print versions and how the compiled core was built, for a bug report."""
    from groupglm import build_info

    facts = build_info()
    width = max((len(str(name)) for name in facts), default=0)
    for name, value in facts.items():
        click.echo(f"{name!s:<{width}}  {_plain(value)}")


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value)
    return str(value)
