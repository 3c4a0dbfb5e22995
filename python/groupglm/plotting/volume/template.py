# SPDX-License-Identifier: BSD-3-Clause
"""The picture behind a map: the MNI template if this machine has it, or a simulated brain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ImageError
from groupglm.plotting.volume.brain import simulated_brain
from groupglm.plotting.volume.volumes import Volume
from groupglm.runtime.paths import file_names
from groupglm.runtime.templates import package_folders, templateflow_folder

if TYPE_CHECKING:
    from groupglm.spaces.volume import ImageLike

__all__ = ["MNI", "Background", "find_background"]

MNI = "MNI152TEMPLATE"
"""The value of ``bg_img`` for the MNI template, as in nilearn."""

_MUCH_OUTSIDE = 0.2
"""Share of a mask outside a picture's brain above which their spaces seem to differ."""

_TEMPLATEFLOW = "tpl-MNI152NLin2009cAsym/tpl-MNI152NLin2009cAsym_res-{res}_desc-brain_T1w.nii.gz"
_NILEARN = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True, eq=False)
class Background:
    """The picture behind a map.

    Parameters
    ----------
    volume : Volume
        Values from 0 to 1, zero outside the head or brain.
    is_outline : bool
        Whether it is only a mask, to be drawn as an outline.
    origin : str
        The origin of the picture, as a sentence.
    unchecked_mask : Volume, optional
        The mask, if it is unknown whether it lies in the brain of the picture.
    """

    volume: Volume
    is_outline: bool
    origin: str
    unchecked_mask: Volume | None = None

    @property
    def description(self) -> str:
        """The origin of the picture, and a remark if the mask seems to lie elsewhere."""
        mask = self.unchecked_mask
        outside = 0.0 if mask is None else self.share_outside(mask)
        if outside <= _MUCH_OUTSIDE:
            return self.origin
        return (
            f"{self.origin} {outside:.0%} of the mask lies outside the brain in that picture: are "
            "the images in the same space?"
        )

    def share_outside(self, mask: Volume) -> float:
        """Return the share of a mask's voxels outside the brain in the picture."""
        voxels = np.argwhere(mask.data != 0)
        if len(voxels) == 0:
            return 0.0
        x, y, z = (voxels @ mask.affine[:3, :3].T + mask.affine[:3, 3]).T
        return float(np.mean(self.volume.nearest(x, y, z) <= 0))


def find_background(bg_img: ImageLike | None, mask: Volume | None) -> Background | None:
    """Find the picture to draw behind a map."""
    if isinstance(bg_img, str) and bg_img == MNI:
        for path, place in _candidates():
            try:
                volume = Volume.of(path, "bg_img")
            except ImageError:  # such as a download that was interrupted
                continue
            template = Background(_shades(volume), False, f"The background is the {place}.")
            return _where_mask_lies(template, mask, f"The background is not the {place}: ", "")
        return _without_template(mask)
    if bg_img is None:
        return _outline(mask, "The outline is that of the mask: no background was asked for.")
    origin = "".join(f"{Path(name).name}, " for name in file_names(bg_img))
    shades = _shades(Volume.of(bg_img, "bg_img"))
    return Background(shades, False, f"The background is the image {origin}given.", mask)


def _without_template(mask: Volume | None) -> Background | None:
    """Return the simulated brain, or the outline of a mask that lies elsewhere."""
    remedy = "install the extra groupglm[templates], or give bg_img"
    brain = Background(
        simulated_brain(),
        False,
        "The MNI template is not on this machine: the background is a simulated brain of its size, "
        f"which shows where a place is, but no gyri; for the template {remedy}.",
    )
    absent = "The MNI template is not on this machine, and "
    return _where_mask_lies(brain, mask, absent, f"; {remedy}")


def _where_mask_lies(
    brain: Background, mask: Volume | None, before: str, remedy: str
) -> Background | None:
    """Return a brain in MNI space, or the outline of a mask that lies elsewhere."""
    outside = 0.0 if mask is None else brain.share_outside(mask)
    if outside <= _MUCH_OUTSIDE:
        return brain
    return _outline(
        mask,
        f"{before}{outside:.0%} of the mask lies outside a brain in MNI space, so that the outline "
        f"of the mask is drawn{remedy}.",
    )


def _outline(mask: Volume | None, description: str) -> Background | None:
    if mask is None:
        return None
    inside = (mask.data != 0).astype(np.float32)
    return Background(Volume(inside, mask.affine), True, description)


def _candidates() -> Iterator[tuple[Path, str]]:
    """Yield files that may hold the template, with what they are."""
    folder = templateflow_folder()
    for res in ("02", "01"):
        path = folder / _TEMPLATEFLOW.format(res=res) if folder else None
        # TemplateFlow's files are empty until they are asked for.
        if path is not None and path.is_file() and path.stat().st_size > 0:
            yield path, "MNI152NLin2009cAsym brain template of TemplateFlow's folder"
    for location in package_folders("nilearn"):
        path = location / _NILEARN
        if path.is_file():
            yield path, "ICBM 2009a symmetric MNI template of an installed nilearn"


def _shades(volume: Volume) -> Volume:
    """Scale to 0..1 by the 99th percentile, because the brightest are often artefacts or fat."""
    values = volume.data.astype(np.float32)
    values[np.isinf(values)] = 0
    # Every seventh voxel, because a percentile of millions of values is slow and no better.
    sample: Any = values.ravel(order="K")[::7]
    sample = sample[sample > 0]
    top = float(np.percentile(sample, 99.5)) if sample.size else float(values.max())
    if top > 0:
        values /= top
    return Volume(np.clip(values, 0.0, 1.0, out=values), volume.affine)
