# SPDX-License-Identifier: BSD-3-Clause
"""The package's messages about arguments, in the words of the command line: `as_options`."""

from __future__ import annotations

import errno
import os

from groupglm.messages import Arguments, Text, text_of

__all__ = ["as_options", "in_words"]

_REMEDIES = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "your share of the space is used up: free some, or write elsewhere",
    errno.EFBIG: "a limit on the size of files is set (ulimit -f)",
    errno.EACCES: "you may not: change its permissions, or give another place",
    errno.EROFS: "it cannot be written to; write elsewhere",
    errno.ENAMETOOLONG: "give a shorter name",
}
# The option of each argument, for all commands or for one; "the design" has no option.
_OPTIONS = {
    "adjustment": "--adjustment",
    "areas": "--areas",
    "atlas": "--atlas",
    "atlas_labels": "--atlas-labels",
    "cluster_threshold": "--cluster-threshold",
    "covariance": "--covariance",
    "covariates": "--covariate",
    "block_permutation": "--block-permutation",
    "design_matrix": "the design",
    "bounds": "--equivalence",
    "df": "--df",
    "exchangeability_blocks": "--exchangeability-blocks",
    "families": "--families",
    "first_level_contrast": "--map-name",
    "groups": "--variance-groups",
    "mask_img": "--mask",
    "min_distance": "--min-distance",
    "missing": "--missing",
    "model": "--model",
    "n_jobs": "--n-jobs",
    "n_perm": "--n-perm",
    "output_type": "--effect-sizes",
    "random_state": "--seed",
    "sandwich_groups": "--groups",
    "smoothing_fwhm": "--fwhm",
    "stat_threshold": "--threshold",
    "subject_pattern": "--subject-pattern",
    "surfaces": "--surfaces",
    "target_affine": "--target-affine",
    "target_shape": "--target-affine",
    "tau2": "--tau2",
    "test": "--test",
    "tfce": "--tfce",
    "two_sided_test": "--two-sided",
    "variance_groups": "--variance-groups",
    "variances": "--variances",
    "visits": "--visits",
    "weights": "--weights",
}
# Values that a command writes in another way.
_VALUES = {
    ("covariance", "'random intercept'"): "random-intercept",
    ("surfaces", "(left, right)"): "LEFT RIGHT",
    ("model", "'fixed effects'"): "fixed",
    ("model", "'mixed effects'"): "mixed",
    ("model", "'repeated measures'"): "repeated",
    ("model", "'unequal variances'"): "unequal",
}
# Entities that have an option of their own; other entities use --filter.
_OWN_ENTITIES = ("task", "contrast", "space", "session", "run")
_OF_COMMAND = {
    "bids": {"model": "--group-model", "n_perm": "--permute"},
    "clusters": {"correction": "--p-values", "height_control": "--p-values"},
    "conjunction": {"stat_imgs": "MAPS"},
    "confidence-sets": {
        "alpha": "--alpha",
        "level": "--level",
        "n_bootstraps": "--n-bootstraps",
        "units": "--level",
    },
    "extract": {"design_matrix": "--design-matrix"},
    "fit": {"n_perm": "--permute", "threshold": "--cluster-p", "units": "--equivalence"},
    "permute": {"threshold": "--cluster-p"},
    "plot": {
        "bg_img": "--background",
        "bg_map": "--background",
        "cut_coords": "--cut-coords",
        "display_mode": "--display-mode",
        "dpi": "--dpi",
        "kind": "--kind",
        "outlines": "--outline",
        "overlay": "--overlay",
        "peaks": "--peaks",
        "stat_map_img": "MAP",
        "threshold": "--threshold",
        "views": "--display-mode",
        "vmax": "--vmax",
    },
    "threshold": {"threshold": "--at"},
    "view": {
        "bg_img": "--background",
        "bg_map": "--background",
        "stat_map_img": "MAP",
        "threshold": "--threshold",
    },
}
# Options without a value, by the argument and its value.
_FLAGS = {
    ("allow_partial", "True"): "--allow-partial",
    ("cluster_threshold_scale", "'z'"): "the p of that z",
    ("resample", "'nearest'"): "--resample-atlas",
    ("sign_flip", "False"): "--no-sign-flip",
    ("sign_flip", "True"): "--sign-flip",
    ("two_sided", "False"): "--one-sided",
    ("two_sided", "True"): "--two-sided",
    ("zero_is_missing", "True"): "--zero-is-missing",
}


def as_options(told: str | BaseException, command: str | None) -> str:
    """Return a message, an error or a warning of the package with the options of a command.

    Examples
    --------
    >>> from groupglm.messages import argument
    >>> as_options("give " + argument("missing", "omit") + ", or " + argument("mask_img"), "fit")
    'give --missing omit, or --mask'
    """
    if isinstance(told, BaseException):
        told = text_of(told)
    if not isinstance(told, Text):
        return told
    return told.worded(
        lambda named: _entity_options(named) if named.kind == "entity" else _option(named, command)
    )


def _option(named: Arguments, command: str | None) -> str:
    match named.given:
        case (("alpha", alpha), ("height_control", how)):
            return f"--correct {_plain(how)}:{alpha}"
        case (("threshold", z), ("height_control", "None")):
            return f"{_OF_COMMAND['threshold']['threshold']} {z}"
        case (("target_affine", _), ("target_shape", _)):
            return _OPTIONS["target_affine"]
        case ((name, value),):
            if value is not None and (name, value) in _FLAGS:
                return _FLAGS[name, value]
            option = {**_OPTIONS, **_OF_COMMAND.get(command or "", {})}.get(name)
            if option is not None:
                said = _VALUES.get((name, value or ""), _plain(value))
                return option if value is None else f"{option} {said}"
    return str(named)


def _entity_options(named: Arguments) -> str:
    """Return the options that choose maps by entities of their names."""
    return " ".join(
        f"--{name} {_plain(value)}" if name in _OWN_ENTITIES else f"--filter {name}={_plain(value)}"
        for name, value in named.given
    )


def _plain(value: str | None) -> str:
    """Return a value as it is typed in a shell."""
    return (value or "").strip("'")


def in_words(error: Exception, command: str | None = None) -> str:
    """Return the line that tells a user of an error: the file's name, and what to do.

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
    told = " ".join(as_options(error, command).split())
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
