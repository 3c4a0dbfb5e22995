# SPDX-License-Identifier: BSD-3-Clause
"""The command line, ``groupglm``: a command a module.

Only click is imported here; a command imports what it needs when it runs.
"""

from __future__ import annotations

from typing import Any

import click

from groupglm.cli.clusters import clusters
from groupglm.cli.demo import demo
from groupglm.cli.fit import fit
from groupglm.cli.info import info
from groupglm.cli.permute import permute
from groupglm.cli.report import report
from groupglm.cli.threshold import threshold

__all__ = ["main"]


class _OneLineErrors(click.Group):
    """A group whose commands report wrong input and failing files in one line, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted; files that were written are complete.", err=True)
            ctx.exit(130)
        except BrokenPipeError:  # the reader of our output went away: click ends quietly
            raise
        except (ValueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    import groupglm

    click.echo(f"groupglm {groupglm.__version__}")
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

    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted.
    """


for command in (clusters, demo, fit, info, permute, report, threshold):
    main.add_command(command)
