# SPDX-License-Identifier: BSD-3-Clause
"""The command line, ``groupglm``: a command a module.

Only click is imported here; a command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import shlex
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from groupglm.cli.commands.bids import bids
from groupglm.cli.commands.clusters import clusters
from groupglm.cli.commands.confidence_sets import confidence_sets
from groupglm.cli.commands.conjunction import conjunction
from groupglm.cli.commands.demo import demo
from groupglm.cli.commands.extract import extract
from groupglm.cli.commands.fit import fit
from groupglm.cli.commands.info import info
from groupglm.cli.commands.neurovault import neurovault
from groupglm.cli.commands.permute import permute
from groupglm.cli.commands.plot import plot
from groupglm.cli.commands.ptfce import ptfce
from groupglm.cli.commands.report import report
from groupglm.cli.commands.threshold import threshold
from groupglm.cli.commands.view import view
from groupglm.cli.options.typed_command import keep_command, typed_command
from groupglm.cli.wording import in_words
from groupglm.errors import printable
from groupglm.runtime.terminal import ready_streams, show

__all__ = ["main"]


_TRACEBACK = "GROUPGLM_TRACEBACK"
_RESUMED = (
    "bids",
    "confidence-sets",
    "fit",
    "permute",
)  # when run again, they skip finished results


class Terminated(KeyboardInterrupt):
    """The system asks the process to end; a cluster does so when the time of a job is up."""


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does: files stay whole, and threads end."""
    if threading.current_thread() is not threading.main_thread():  # others get no signal
        yield
        return

    def terminate(_signal: int, _frame: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _OneLineErrors(click.Group):
    """A group whose commands report every error in one line, without a traceback.

    The environment variable GROUPGLM_TRACEBACK keeps the traceback.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        keep_command(ctx, args)
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            _refuse_second_values(click.Context(command, parent=ctx, info_name=name), rest)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _termination_as_interrupt():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            click.echo(f"Interrupted; {_what_remains(ctx.invoked_subcommand)}", err=True)
            ctx.exit(143 if isinstance(error, Terminated) else 130)
        except BrokenPipeError:  # the reader of our output has ended: click exits quietly
            raise
        except click.ClickException as error:
            vars(error)["message"] = printable(error.message)  # it may quote the content of a file
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if os.environ.get(_TRACEBACK):
                traceback.print_exception(error)
                ctx.exit(1)
            told = in_words(error, ctx.invoked_subcommand)
            raise click.ClickException(printable(told)) from error

    def main(self, *args: Any, **options: Any) -> Any:
        with ready_streams():
            return super().main(*args, **options)


def _what_remains(command: str | None) -> str:
    """Return what an interrupted command leaves, and how to continue."""
    complete = "files that were written are complete"
    if command not in _RESUMED:
        return f"{complete}."
    if "--overwrite" in shlex.split(typed_command()):
        return f"{complete}. The same command without --overwrite goes on from there."
    return f"{complete}, and the same command goes on from there."


def _refuse_second_values(ctx: click.Context, args: list[str]) -> None:
    """Refuse a second value of an option that holds one: click would drop the first."""
    try:
        _, _, order = ctx.command.make_parser(ctx).parse_args(list(args))
    except click.UsageError:  # the command itself reports it
        return
    for parameter in order:
        if not isinstance(parameter, click.Option) or parameter.multiple:
            continue
        is_switch = parameter.is_flag and not parameter.secondary_opts
        if order.count(parameter) > 1 and not is_switch:
            names = "/".join((*parameter.opts, *parameter.secondary_opts))
            raise click.UsageError(f"{names} is given twice; give it once.", ctx)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    import groupglm

    show(f"groupglm {groupglm.__version__}")
    ctx.exit()


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Group-level general linear models for brain images.

    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """


for command in (
    bids, clusters, confidence_sets, conjunction, demo, extract, fit, info, neurovault, permute,
    plot, ptfce, report, threshold, view,
):  # fmt: skip
    main.add_command(command)
