# SPDX-License-Identifier: BSD-3-Clause
"""The section of the page about the images and the mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from groupglm.group.image_names import short_names
from groupglm.messages import Wording, argument
from groupglm.report.words import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.data_quality import DataQuality, ImageQuality

__all__ = ["data_section"]


def data_section(group: FittedGroup, quality: DataQuality, wording: Wording) -> dict[str, Any]:
    """Return the table of images, and sentences about it."""
    names = short_names([image.name for image in quality.images])
    hashed = [name for image in quality.images for name, _ in image.hashes]
    shortened = dict(zip(hashed, short_names(hashed), strict=True))
    read = quality.at_places is not None
    one, many = group.space.input_words
    rows = [
        {
            "cells": [
                str(number),
                name,
                *(_measured(image) if read else ["n/a"] * 5),
                f"{image.leverage:.3f}",
                ", ".join(image.flags),
            ],
            "full": image.name,
            "flagged": bool(image.flags),
        }
        for number, (name, image) in enumerate(zip(names, quality.images, strict=True), start=1)
    ]
    flagged = [name for name, image in zip(names, quality.images, strict=True) if image.flags]
    return {
        "columns": [
            "#", one, "mean", "sd", "missing", "correlation", "distance", "leverage", "flagged",
        ],
        "rows": rows,
        "finding": _finding(flagged, len(names), many) if read else _not_read(many),
        "inputs": many,
        "zeros": _zeros(group, wording),
        "n_observations": span(group.result.n_observations),
        "hashes": [
            (shortened[name], digest, "file" if image.is_file else "values in the mask")
            for image in quality.images
            for name, digest in image.hashes
        ],
    }  # fmt: skip


def _not_read(many: str) -> str:
    return (
        f"The model was loaded from a file, and its {many} were not read: they are not compared "
        "with each other here, and the data at the peaks are not shown."
    )


def _measured(image: ImageQuality) -> list[str]:
    return [
        _written(image.mean, ".4g"),
        _written(image.sd, ".4g"),
        str(image.n_missing),
        _written(image.correlation, ".3f"),
        _written(image.distance, ".2f"),
    ]


def _written(value: float, form: str) -> str:
    """Return a number as text; one of constant images, or of one place, may not be defined."""
    return "n/a" if math.isnan(value) else format(value, form)


def _finding(flagged: list[str], n_images: int, many: str) -> str:
    if not flagged:
        return f"None of the {n_images} {many} is far from the others."
    verb = "is" if len(flagged) == 1 else "are"
    return f"{len(flagged)} of the {n_images} {many} {verb} far from the others: {listed(flagged)}."


def _zeros(group: FittedGroup, wording: Wording) -> str:
    """Return a sentence on voxels that are zero in some images only; empty if there are none."""
    if group.n_zeros is None:  # an old file without the counts
        return ""
    zeros = group.zeros
    if not zeros.n_partial:
        return ""
    treated = (
        "They were taken for missing values (" + argument("zero_is_missing") + ")."
        if zeros.are_missing
        else f"They count as values. If they stand for {zeros.places} outside a subject's brain, "
        "leave them out by " + argument("zero_is_missing", True) + "."
    )
    return f"{zeros.sentence()}. {wording(treated)}"
