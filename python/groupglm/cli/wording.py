# SPDX-License-Identifier: BSD-3-Clause
"""What the package says of its arguments, in the words of the command line: `as_options`."""

from __future__ import annotations

import errno
import os
import re

__all__ = ["as_options", "in_words"]

_REMEDIES = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "your share of the space is used up: free some, or write elsewhere",
    errno.EFBIG: "a limit on the size of files is set (ulimit -f)",
    errno.EACCES: "you may not: change its permissions, or give another place",
    errno.EROFS: "it cannot be written to; write elsewhere",
    errno.ENAMETOOLONG: "give a shorter name",
}
_VALUE = r"=(?P<value>'\w+'|[-+.\w]+)"

# How messages name an argument, and the option that it is, of any command. The first that fits is
# taken; behind an option, `=value` becomes ` value`.
_ARGUMENTS = (
    (r"two_sided=True looks at both tails", "both tails are looked at"),
    (r"two_sided=True has no effect", "--two-sided has no effect"),
    (r"alpha=(?P<alpha>[.\w-]+) and height_control='(?P<how>\w+)'", r"--correct \g<how>:\g<alpha>"),
    (
        r"resample it to their grid with resample_to, or bring the images to its grid by "
        r"target_affine and target_shape of the mask",
        "bring the images to its grid by --target-affine IMAGE, with the mask as IMAGE, or the "
        "mask to theirs by resample_to in Python",
    ),
    (r"target_affine, in mm, and target_shape", "--target-affine, in mm"),
    (r"target_affine and target_shape", "--target-affine"),
    (r"target_affine|target_shape", "--target-affine"),
    (r"mask_img", "--mask"),
    (r"smoothing_fwhm", "--fwhm"),
    (r"missing(?==')", "--missing"),
    (r"zero_is_missing=True", "--zero-is-missing"),
    (r"; n_zeros_ is the map of how many images are zero", ""),
    (r", or ignore groupglm.errors.ZeroValuesWarning", ""),
    (r"cluster_threshold", "--cluster-threshold"),
    (r"min_distance", "--min-distance"),
    (r"stat_threshold", "--threshold"),
    (r"n_perm", "--n-perm"),
    (r"random_state", "--seed"),
    (r"n_jobs", "--n-jobs"),
    (r"allow_partial=True", "--allow-partial"),
    (r"first_level_contrast", "--map-name"),
    (r"'design_matrix'|design_matrix", "the design"),
)
_OF_COMMAND = {
    "fit": ((r"n_perm", "--permute"),),
    "bids": ((r"n_perm", "--permute"),),
    "threshold": (
        (r"threshold=1\.301 and height_control=None", "--at 1.301"),
        (r"threshold(?==)", "--at"),
        (r"two_sided=False", "--one-sided"),
    ),
    "clusters": ((r"two_sided=False", "--one-sided"),),
    "permute": (
        (r"cluster_threshold_scale='z'", "the p of that z"),
        (r"threshold(?==)", "--cluster-p"),
    ),
}


def as_options(message: str, command: str | None) -> str:
    """Name options where a message names arguments of Python.

    Parameters
    ----------
    message : str
        Of an error or a warning of the package.
    command : str or None
        Which command runs.

    Returns
    -------
    str
        The same, but for the arguments.

    Examples
    --------
    >>> as_options("give missing='omit', or mask_img", "fit")
    'give --missing omit, or --mask'
    >>> as_options("threshold=-3 is negative: give two_sided=False", "threshold")
    '--at -3 is negative: give --one-sided'
    """
    message = message.replace(" (output_type='z_score')", "")
    for argument, option in (*_OF_COMMAND.get(command or "", ()), *_ARGUMENTS):
        # A name stands by itself; what begins with a comma or semicolon follows a word.
        begins = r"(?<![\w/.-])" if argument[0] not in ",;" else ""
        message = re.sub(rf"{begins}(?:{argument})(?![\w/]|\.\w)", option, message)
    return re.sub(rf"(?P<option>--[a-z-]+){_VALUE}", _spaced, message)


def in_words(error: Exception) -> str:
    """Return the line that tells a user of an error: of a file by its name, and what to do.

    Parameters
    ----------
    error : Exception
        Any. One that the package does not raise on purpose is a fault, and its line says so.

    Returns
    -------
    str
        In one line.

    Examples
    --------
    >>> in_words(OSError(28, "No space left on device", "out/z.nii.gz"))
    'out/z.nii.gz: No space left on device; free some space, or write elsewhere'
    >>> in_words(EOFError())  # doctest: +ELLIPSIS
    'unexpected EOFError: this is a fault of groupglm, please report it; set GROUPGLM_TRACEBACK...'
    """
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        remedy = _REMEDIES.get(error.errno or 0)
        return f"{os.fsdecode(error.filename)}: {error.strerror}{f'; {remedy}' if remedy else ''}"
    told = " ".join(str(error).split())
    if isinstance(error, ValueError | OSError) and told:
        return told
    if isinstance(error, MemoryError):
        return (
            f"the memory is not enough{f' ({told})' if told else ''}; give fewer threads (n_jobs), "
            "a smaller mask, or run it on a machine with more memory"
        )
    return (
        f"unexpected {type(error).__name__}{f' ({told})' if told else ''}: this is a fault of "
        "groupglm, please report it; set GROUPGLM_TRACEBACK=1 and run the command again to see "
        "where"
    )


def _spaced(found: re.Match[str]) -> str:
    return f"{found['option']} {found['value'].strip(chr(39))}"
