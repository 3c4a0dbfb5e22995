# SPDX-License-Identifier: BSD-3-Clause
"""A page that can be saved, opened and shown in a notebook: `HTMLReport`."""

from __future__ import annotations

import html
import os
import tempfile
import webbrowser
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Self

from groupglm.errors import ArgumentError, shown
from groupglm.runtime.arguments import whole_number
from groupglm.runtime.paths import given_path, refuse_inputs
from groupglm.runtime.writing import write_whole

if TYPE_CHECKING:
    from groupglm.report.methods import Methods

__all__ = ["HTMLReport", "check_dims"]


class HTMLReport:
    """A page of HTML that needs no other file.

    Parameters
    ----------
    page : str
        The whole page.
    report_dims : tuple of 2 ints, default=(1600, 800)
        Width and height in pixels of the frame in a notebook; never wider than the notebook.
    inputs : collection of str
        Files that the page is about, which it is never saved over.
    methods : Methods, optional
        The page's paragraph on methods.

    Attributes
    ----------
    methods : Methods or None
        The paragraph on methods of the page: its ``text``, its ``references``, both as
        ``markdown``, and the references as ``bibtex``. None of a page without results.
    width, height : int
        The frame's size in pixels; may be set.

    Examples
    --------
    >>> from groupglm.report import HTMLReport
    >>> report = HTMLReport("<!doctype html><title>A</title><p>B", (800, 400))
    >>> report.width = 600
    >>> report._repr_html_()[:66]
    '<iframe srcdoc="&lt;!doctype html&gt;&lt;title&gt;A&lt;/title&gt;&'
    """

    def __init__(
        self,
        page: str,
        report_dims: tuple[int, int] = (1600, 800),
        *,
        inputs: Collection[str] = (),
        methods: Methods | None = None,
    ) -> None:
        self._page = page
        self.methods = methods
        self._inputs = tuple(inputs)
        self.width, self.height = report_dims

    @property
    def width(self) -> int:
        """Width of the frame in a notebook, in pixels."""
        return self._width

    @width.setter
    def width(self, value: int) -> None:
        self._width = _check_pixels(value, "width")

    @property
    def height(self) -> int:
        """Height of the frame in a notebook, in pixels."""
        return self._height

    @height.setter
    def height(self, value: int) -> None:
        self._height = _check_pixels(value, "height")

    def get_standalone(self) -> str:
        """Return the page.

        Returns
        -------
        str
            HTML, complete.
        """
        return self._page

    def __str__(self) -> str:
        return self._page

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self._page) / 1e6:.1f} MB; save_as_html(path) saves>"

    def get_iframe(self, width: int | None = None, height: int | None = None) -> str:
        """Return the page in a frame, to put into another page.

        Parameters
        ----------
        width, height : int, optional
            Size of the frame in pixels. By default that of the report.

        Returns
        -------
        str
            HTML.

        Raises
        ------
        ValueError
            If a size is not a positive whole number.
        """
        own_width = self.width if width is None else _check_pixels(width, "width")
        own_height = self.height if height is None else _check_pixels(height, "height")
        return (
            f'<iframe srcdoc="{html.escape(self._page)}" width="{own_width}" '
            f'height="{own_height}" style="border:0;max-width:100%" title="Report"></iframe>'
        )

    def resize(self, width: int, height: int) -> Self:
        """Set the size of the frame in a notebook.

        Parameters
        ----------
        width, height : int
            In pixels.

        Returns
        -------
        HTMLReport
            The report.

        Raises
        ------
        ValueError
            If a size is not a positive whole number.
        """
        self.width, self.height = width, height
        return self

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks."""
        return self.get_iframe()

    def save_as_html(self, path: str | os.PathLike[str]) -> Path:
        """Save the page.

        It goes to a temporary file beside `path`, which is then renamed: a reader sees the old file
        or the new one.

        Parameters
        ----------
        path : str or os.PathLike
            Folders that do not exist are created; a file that does is replaced.

        Returns
        -------
        pathlib.Path
            The file written.

        Raises
        ------
        ValueError
            If the path is empty or too long, or leads to an input of the model.
        OSError
            If the file cannot be written.
        """
        target = given_path("path", path)
        refuse_inputs("path", target, self._inputs)
        return write_whole(target, self._page.encode())

    def save_methods(self, path: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Save the paragraph on methods as Markdown, and its references as BibTeX beside it.

        Parameters
        ----------
        path : str or os.PathLike
            The file of Markdown, which ends in ``.md``. That of BibTeX has the same name with
            ``.bib``. Both are written whole, and replace files that exist.

        Returns
        -------
        tuple of pathlib.Path
            Both files.

        Raises
        ------
        ValueError
            If the page has no results, or the path does not end in ``.md`` or leads to an input of
            the model.
        OSError
            If a file cannot be written.
        """
        if self.methods is None:
            raise ArgumentError.about(
                "path", "the page has no results", "fit the model, and make its report"
            )
        target = given_path("path", path)
        if target.suffix.lower() != ".md":
            raise ArgumentError("path", shown(str(target)), "a name that ends in .md")
        references = target.with_suffix(".bib")
        for own in (target, references):
            refuse_inputs("path", own, self._inputs)
        write_whole(target, self.methods.markdown.encode())
        write_whole(references, self.methods.bibtex.encode())
        return target, references

    def open_in_browser(self, file_name: str | os.PathLike[str] | None = None) -> Path:
        """Save the page and show it in the default browser.

        Parameters
        ----------
        file_name : str or os.PathLike, optional
            Where to save it. By default a temporary folder, which is left there: a browser reads it
            again when the page is reloaded.

        Returns
        -------
        pathlib.Path
            The file shown.
        """
        if file_name is None:
            file_name = Path(tempfile.mkdtemp(prefix="groupglm-")) / "report.html"
        saved = self.save_as_html(file_name)
        webbrowser.open(saved.resolve().as_uri())
        return saved


def check_dims(report_dims: object) -> tuple[int, int]:
    """Return a report's width and height; refuse anything but two numbers of pixels."""
    if not isinstance(report_dims, tuple | list) or len(report_dims) != 2:
        raise ArgumentError(
            "report_dims", shown(report_dims), "(width, height) in pixels, for instance (1600, 800)"
        )
    width, height = report_dims
    return _check_pixels(width, "report_dims[0]"), _check_pixels(height, "report_dims[1]")


def _check_pixels(value: object, name: str) -> int:
    return whole_number(name, value, least=1)
