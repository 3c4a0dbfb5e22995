# SPDX-License-Identifier: BSD-3-Clause
"""Errors and warnings that a caller may want to tell apart.

Every error is a `ValueError`, so that code that catches only wrong input imports nothing from here.
"""

import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from groupglm.messages import Text, again, argument

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "CollinearityWarning",
    "DimensionError",
    "GridMismatchError",
    "ImageError",
    "NotEstimableError",
    "RankDeficientWarning",
    "ZeroValuesWarning",
    "in_quotes",
    "printable",
    "renamed",
    "shown",
    "warn_caller",
]

_PACKAGE = str(Path(__file__).parent)

# Control characters except tab and line feed, and characters that reverse text or end a line.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class ArgumentError(ValueError):
    """An argument that cannot be used.

    Attributes
    ----------
    argument, found : str
        The argument's name, and what it is.
    wanted, remedy : str
        What it must be, and what to do; empty where the rest says it.

    Examples
    --------
    >>> print(ArgumentError("n_perm", "-1", "a whole number", "give 10000"))
    n_perm is -1; 'n_perm' must be a whole number; give 10000

    What was found may be a sentence of its own:

    >>> print(ArgumentError.about("X", "no column varies", "leave X out"))
    no column varies; leave X out
    """

    def __init__(
        self, name: str, found: str, wanted: str = "", remedy: str = "", *, verb: str = "is"
    ) -> None:
        message = argument(name) + f" {verb} " + found if verb else Text.of() + found
        # nilearn's messages begin with the name in quotes, so that is what users look for.
        subject = again(name) if verb == "is" else "it"
        message += ("; " + subject + " must be " + wanted) if wanted else ""
        message += ("; " + remedy) if remedy else ""
        super().__init__(_safe(message))
        self.argument, self.found, self.wanted, self.remedy = name, found, wanted, remedy
        self._verb = verb

    @classmethod
    def about(cls, name: str, sentence: str, remedy: str = "", *, wanted: str = "") -> Self:
        """Return an error whose message is a sentence of its own, not "argument is ...".

        Parameters
        ----------
        name : str
            The argument's name.
        sentence : str
            What is wrong with it.
        remedy : str
            What to do.
        wanted : str
            What it must be.

        Returns
        -------
        ArgumentError
            Its attribute `found` is the sentence.
        """
        return cls(name, sentence, wanted, remedy, verb="")

    def _rename(self, name: str) -> None:
        """Call the argument as another function does, which the user called."""
        names = {self.argument: name}
        self.args = tuple(_renamed(arg, names) for arg in self.args)
        self.found, self.wanted, self.remedy = (
            _renamed(part, names) for part in (self.found, self.wanted, self.remedy)
        )
        self.argument = name

    def __reduce__(self) -> tuple[object, ...]:
        parts = (self.argument, self.found, self.wanted, self.remedy)
        return _argument_error, (type(self), parts, self._verb)


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of the wrong type."""


def _argument_error(
    kind: type[ArgumentError], parts: tuple[str, str, str, str], verb: str
) -> ArgumentError:
    """Make an error from the parts that another process has sent."""
    return kind(*parts, verb=verb)


@contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Have errors about an argument name it as the function that the user called does.

    Examples
    --------
    >>> with renamed(contrast="contrast_def"):
    ...     raise ArgumentError("contrast", "None")
    Traceback (most recent call last):
        ...
    groupglm.errors.ArgumentError: contrast_def is None
    """
    try:
        yield
    except ArgumentError as error:
        if error.argument in names:
            error._rename(names[error.argument])
        raise
    except _NamingError as error:  # of an image that is an argument by itself
        error.args = tuple(_renamed(arg, names) for arg in error.args)
        raise


def _renamed(text: str, names: Mapping[str, str]) -> str:
    if isinstance(text, Text):
        return text.renamed(names)
    first, colon, rest = text.partition(": ")  # an image in memory is called as its argument
    return names[first] + colon + rest if colon and first in names else text


class _NamingError(ValueError):
    """An error whose message holds names of files or from files, made safe for a terminal."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(_safe(arg) if isinstance(arg, str) else arg for arg in args))


class ImageError(_NamingError):
    """An image that cannot be used: unreadable, truncated, corrupt or of the wrong shape.

    The message begins with the file's name (or, for an image in memory, its place in the input).
    """


class DimensionError(ImageError, TypeError):
    """An image that has more or fewer axes than are wanted, such as a 4-D image as a map.

    It is a `TypeError` too, as nilearn's error of this name.
    """


class GridMismatchError(_NamingError):
    """Images whose voxels do not lie at the same places.

    The message names the image and says by how much its grid differs. Images are never resampled
    without being asked to.
    """


class NotEstimableError(ArgumentError):
    """A contrast that the design cannot estimate: it is outside the row space of the design matrix.

    The message names the columns that the contrast confounds.
    """

    def __init__(self, message: str, name: str = "contrast") -> None:
        super().__init__(name, message, verb="")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.found, self.argument)


class RankDeficientWarning(UserWarning):
    """A design matrix whose columns are linearly dependent.

    The fit uses the rank for its degrees of freedom; contrasts of the dependent columns may not be
    estimable. The message names the columns.
    """


class CollinearityWarning(UserWarning):
    """A design matrix with a column that the others nearly determine.

    Its coefficient is estimated with a much larger variance. The message names the columns and
    their variance inflation factors.
    """


class ZeroValuesWarning(UserWarning):
    """Images that are exactly zero at places where others are not.

    Many programs write zero outside the brain of a subject, which is no measurement. The message
    says at how many voxels, and what to do. It is not given for images of whole numbers, such as
    lesions or counts, nor with ``missing="zero"``, which says that such zeros are meant.
    """


def printable(text: str) -> str:
    r"""Write the characters out that would drive a terminal instead of being shown.

    Names of columns, files and contrasts come from files: what they hold must not drive a terminal.

    Examples
    --------
    >>> print(printable("age\x1b[2J"))
    age\x1b[2J
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def in_quotes(name: object) -> str:
    r"""Put a name that a file or a caller gave between quotes, for a message.

    Python prints the text of an error as it is, so that it must be safe where it arises. What is
    known to be a str may be given by `repr` too, which doubles the backslashes of a path.

    Examples
    --------
    >>> print(in_quotes("maps/a\x1b[2J.nii"))
    'maps/a\x1b[2J.nii'
    """
    return f"'{printable(str(name))}'"


def shown(value: object, most: int = 200) -> str:
    """Write a value that a caller gave for a message, whatever it is: not at length.

    Examples
    --------
    >>> shown("omitt"), shown(10**5000)
    ("'omitt'", 'an object of type int')
    """
    try:
        text = repr(value)
    except Exception:  # a caller has written the code that fails
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}..."


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the caller's own code that led here, through any number of our calls."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(_safe(message), category, stacklevel=level)


def _safe(message: str) -> str:
    return message.mapped(printable) if isinstance(message, Text) else printable(message)
