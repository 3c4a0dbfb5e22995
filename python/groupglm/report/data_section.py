# SPDX-License-Identifier: BSD-3-Clause
"""What the page says about the images and the mask."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.scale import Scale
from groupglm.plotting.stat_map import draw_slices
from groupglm.plotting.volumes import Volume
from groupglm.report.figures import Picture, picture
from groupglm.report.words import TIMES, listed
from groupglm.runtime.rounding import span
from groupglm.spaces.volume.space import volume_space

if TYPE_CHECKING:
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.plotting.template import Background
    from groupglm.report.data_quality import DataQuality, ImageQuality

__all__ = ["data_section", "mask_picture"]

_NOT_READ = (
    "The model was loaded from a file, and its images were not read: they are not compared with "
    "each other here, and the data at the peaks are not shown."
)


def data_section(group: FittedGroup, quality: DataQuality) -> dict[str, Any]:
    """Return the table of images and what there is to say about it."""
    names = short_names([image.name for image in quality.images])
    read = quality.at_voxels is not None
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
            "#", "image", "mean", "sd", "missing", "correlation", "distance", "leverage", "flagged",
        ],
        "rows": rows,
        "finding": _finding(flagged, len(names)) if read else _NOT_READ,
        "zeros": _zeros(group),
        "grid": _grid(group),
        "n_observations": span(group.result.n_observations),
        "hashes": [
            (name, image.sha256, "file" if image.is_file else "values in the mask")
            for name, image in zip(names, quality.images, strict=True)
            if image.sha256
        ],
    }  # fmt: skip


def _measured(image: ImageQuality) -> list[str]:
    return [
        f"{image.mean:.4g}",
        f"{image.sd:.4g}",
        str(image.n_missing),
        f"{image.correlation:.3f}",
        f"{image.distance:.2f}",
    ]


def _finding(flagged: list[str], n_images: int) -> str:
    if not flagged:
        return f"None of the {n_images} images is far from the others."
    verb = "is" if len(flagged) == 1 else "are"
    return f"{len(flagged)} of the {n_images} images {verb} far from the others: {listed(flagged)}."


def _zeros(group: FittedGroup) -> str:
    """Tell of voxels that are zero in some images but not in others; empty if there is none."""
    if group.n_zeros is None:  # loaded from a file of a version that did not count them
        return ""
    zeros = group.zeros
    if not zeros.n_partial:
        return ""
    treated = (
        "They were taken for missing values (zero_is_missing)."
        if zeros.are_missing
        else "They count as values. If they stand for voxels outside a subject's brain, leave them "
        "out by zero_is_missing=True (--zero-is-missing in the shell)."
    )
    return f"{zeros.sentence()}. {treated}"


def short_names(names: list[str]) -> list[str]:
    """Drop the folder that all files are in."""
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120  (names may be no paths)
    if len(names) < 2 or folders == {""}:
        return names
    try:
        common = os.path.commonpath([folder or "." for folder in folders])
    except ValueError:  # absolute and relative names together
        return names
    prefix = common.rstrip(os.sep) + os.sep
    return [name.removeprefix(prefix) for name in names]


def _grid(group: FittedGroup) -> list[tuple[str, str]]:
    from nibabel.orientations import aff2axcodes

    grid = volume_space(group.space).grid
    edges = np.linalg.norm(grid.affine[:3, :3], axis=0)
    volume = float(abs(np.linalg.det(grid.affine[:3, :3])))
    n_voxels = group.space.n_values
    codes = "".join(str(code) for code in aff2axcodes(grid.affine))  # type: ignore[no-untyped-call]
    cosines = np.abs(grid.affine[:3, :3] / edges)
    tilt = "" if np.isclose(cosines.max(axis=0), 1, atol=1e-4).all() else ", oblique"
    affine = "; ".join(" ".join(f"{value:g}" for value in row) for row in grid.affine[:3])
    return [
        ("grid", f" {TIMES} ".join(str(length) for length in grid.shape) + " voxels"),
        ("voxel", f" {TIMES} ".join(f"{edge:g}" for edge in np.round(edges, 3)) + " mm"),
        ("axes point to", f"{codes}{tilt}"),
        ("mask", f"{n_voxels:,} voxels, {n_voxels * volume / 1000:,.0f} cm³"),
        ("images at a voxel", span(group.result.n_observations)),
        ("affine", affine),
    ]


def mask_picture(group: FittedGroup, background: Background, mask: Volume) -> Picture:
    """Draw the mask and how many images have each voxel."""
    counts = np.asarray(group.n_observations_image().dataobj).astype(np.float32)
    smallest, largest = int(counts[mask.data != 0].min()), int(counts.max())
    values = Volume(counts, mask.affine)
    figure = draw_slices(
        values, background, mask, Scale.of_counts(smallest, largest), "ortho", _middle(mask), None,
        "images that have the voxel",
    )  # fmt: skip
    how_many = span(group.result.n_observations)
    alt = (
        f"Three slices of the mask, {group.space.n_values:,} voxels; each voxel is in {how_many} "
        f"of the {len(group.sources)} images."
    )
    return picture(figure, alt, f"Mask, and number of images at each voxel: {how_many}.")


def _middle(mask: Volume) -> list[float]:
    places = np.argwhere(mask.data != 0) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    return [float(value) for value in places.mean(axis=0)]
