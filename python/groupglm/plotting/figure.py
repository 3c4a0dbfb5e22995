# SPDX-License-Identifier: BSD-3-Clause
"""Figures: one that shows itself in a notebook, and those that pyplot knows."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import matplotlib as mpl
from matplotlib import figure
from matplotlib.axes import Axes

from groupglm.errors import ArgumentError, ArgumentTypeError, renamed, warn_caller
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import check_target
from groupglm.runtime.writing import write_whole

if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "Figure",
    "axes_to_draw_on",
    "check_output_file",
    "figure_of",
    "in_pyplot",
    "picture_path",
    "save_figure",
    "show",
]

FigureT = TypeVar("FigureT", bound=figure.Figure)


class Figure(figure.Figure):
    """A matplotlib figure that shows itself if it is the last value of a notebook's cell.

    IPython asks an object for ``_repr_png_``, unless ``%matplotlib inline`` has told it another way
    for figures: the picture is then shown once, in that way.

    Examples
    --------
    >>> Figure(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        """Return the picture as `savefig` writes it."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()

    def tight_layout(self, **options: Any) -> None:
        """Leave labels inside the figure, where they are; matplotlib would refuse a colour bar."""
        if self.get_layout_engine() is None:
            super().tight_layout(**options)

    _is_shown = False

    def _ipython_display_(self) -> None:
        """Show the figure once, also where a notebook shows pyplot's figures after each cell."""
        is_shown_again = _is_shown_after_cell(self)
        if is_shown_again and self._is_shown:
            self._is_shown = False
            return
        self._is_shown = is_shown_again
        raise NotImplementedError  # IPython then asks for `_repr_png_`


def _is_shown_after_cell(picture: figure.Figure) -> bool:
    pyplot, inline, ipython = (
        sys.modules.get(name)
        for name in ("matplotlib.pyplot", "matplotlib_inline.backend_inline", "IPython")
    )
    if pyplot is None or inline is None or ipython is None:
        return False
    shell = ipython.get_ipython()
    after = shell.events.callbacks["post_execute"] if shell is not None else []
    is_known = getattr(picture, "number", None) in pyplot.get_fignums()
    return is_known and inline.flush_figures in after and "inline" in mpl.get_backend()


@contextmanager
def in_pyplot(kind: Callable[..., FigureT]) -> Iterator[Callable[..., FigureT]]:
    """Yield what makes figures that pyplot knows; if drawing fails, pyplot forgets them."""
    import matplotlib.pyplot as plt

    made: list[figure.Figure] = []

    def make(**options: Any) -> FigureT:
        new: Any = plt.figure(FigureClass=kind, **options)  # type: ignore[arg-type]
        made.append(new)
        return new  # type: ignore[no-any-return]

    try:
        yield make
    except BaseException:
        for new in made:
            plt.close(new)
        raise


def show() -> None:
    """Show all figures, as `matplotlib.pyplot.show` does.

    Warns
    -----
    UserWarning
        If matplotlib has no window to show them in.

    Examples
    --------
    >>> from groupglm import plotting
    >>> plotting.show()  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    if mpl.get_backend().lower() != "agg":
        plt.show()
        return
    warn_caller(
        "You are using the 'agg' matplotlib backend that is non-interactive: no figure is shown. "
        "Save them by savefig, or install a backend with windows, such as PyQt6"
    )


def check_output_file(output_file: str | PathLike[str] | None) -> Path | None:
    """Return where a picture is to be saved, before it is drawn."""
    if output_file is None:
        return None
    return picture_path("output_file", output_file)


def picture_path(argument: str, given: object, form: str | None = None) -> Path:
    """Return the path of a picture that a caller named; its ending is its format if none is given.

    A name without an ending gets that of matplotlib's usual format.
    """
    path = given_path(argument, given)
    if path.name in {"", ".."}:
        raise ArgumentError(argument, f"{str(path)!r}, a folder", remedy="name a new file")
    if form is None:
        endings = figure.Figure().canvas.get_supported_filetypes()
        if path.suffix[1:].lower() not in {*endings, ""}:
            raise ArgumentError(
                argument,
                f"{path.name!r}",
                remedy=f"matplotlib writes {', '.join(sorted(endings))}",
            )
        path = path if path.suffix else path.with_suffix(f".{mpl.rcParams['savefig.format']}")
    with renamed(path=argument):
        check_target(path)
    return path


def save_figure(
    picture: figure.Figure, path: Path | None, argument: str = "output_file", **options: Any
) -> None:
    """Save a figure under a name, whole or not at all; folders on the way are made.

    `argument` is the one that gave the name; `options` are those of matplotlib's ``savefig``.
    """
    if path is None:
        return
    buffer = io.BytesIO()
    form = options.pop("format", None)
    picture.savefig(buffer, format=path.suffix[1:].lower() if form is None else form, **options)
    with renamed(path=argument):
        write_whole(path, buffer.getvalue())


def axes_to_draw_on(axes: object) -> Axes | None:
    """Return axes that a caller gave."""
    if axes is None or isinstance(axes, Axes):
        return axes
    raise ArgumentTypeError("axes", f"a {type(axes).__name__}", "a matplotlib Axes or None")


def figure_of(axes: Axes) -> figure.Figure:
    """Return the figure that axes are in, also if they are in a part of it."""
    found: Any = axes.figure
    if found is None:
        raise ArgumentError("axes", "in no figure any more", remedy="give axes of a figure")
    return found if isinstance(found, figure.Figure) else found.figure
