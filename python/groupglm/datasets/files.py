# SPDX-License-Identifier: BSD-3-Clause
"""Images and tables of the simulated studies; equal data give equal files, written whole."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = [
    "is_simulated",
    "make_image",
    "mark_of",
    "subject_labels",
    "write_image",
    "write_series",
]

_MARK = "simulated by groupglm, sha256 "

FloatArray = NDArray[np.float64]


def subject_labels(n_subjects: int) -> list[str]:
    """Return sub-01, sub-02, ... with enough digits that they sort by number."""
    width = max(2, len(str(n_subjects)))
    return [f"sub-{i + 1:0{width}d}" for i in range(n_subjects)]


def make_image(
    values: NDArray[np.float64] | NDArray[np.float32] | NDArray[np.bool_],
    affine: FloatArray,
    dtype: type[np.float32 | np.uint8] = np.float32,
) -> Nifti1Image:
    """Make an image in mm whose space is called MNI."""
    from nibabel.nifti1 import Nifti1Image

    make: Any = Nifti1Image  # nibabel's constructor carries no types
    image: Any = make(values.astype(dtype), affine)
    image.header.set_xyzt_units("mm")
    image.header.set_sform(affine, code="mni")
    image.header.set_qform(affine, code="mni")
    made: Nifti1Image = image
    return made


def write_image(values: FloatArray, affine: FloatArray, path: Path) -> None:
    """Write a float32 image, whole."""
    from groupglm.spaces.volume.saving import save_image

    save_image(_marked(make_image(values, affine)), path)


def write_series(
    volumes: NDArray[np.int16], affine: FloatArray, repetition_time: float, path: Path
) -> None:
    """Write a 4-D image of whole numbers, whole; the repetition time in s."""
    from nibabel.nifti1 import Nifti1Image

    from groupglm.spaces.volume.saving import save_image

    make: Any = Nifti1Image
    image: Any = make(volumes, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((*image.header.get_zooms()[:3], repetition_time))
    image.header.set_sform(affine, code="mni")
    image.header.set_qform(affine, code="mni")
    save_image(_marked(image), path, level=1)


def is_simulated(path: Path) -> bool:
    """Return whether a simulator wrote an image: its header has a hash of its values."""
    import nibabel as nib

    try:
        image: Any = nib.load(path)
        if path.suffix == ".gii":
            said = image.meta["Description"]
            values = [array.data for array in image.darrays]
        else:
            header = getattr(image, "nifti_header", image.header)  # CIFTI has two
            said = bytes(header["descrip"]).rstrip(b"\0").decode("ascii")
            values = [image.dataobj.get_unscaled()]
        return bool(said.startswith(_MARK) and said == mark_of(*values))
    except Exception:  # nibabel raises anything on another kind of file
        return False


def _marked(image: Any) -> Any:
    image.header["descrip"] = mark_of(np.asanyarray(image.dataobj))
    return image


def mark_of(*values: NDArray[Any]) -> str:
    """Return the mark of a file that holds these arrays."""
    content = hashlib.sha256()
    for array in values:
        content.update(array.tobytes(order="F"))
    return _MARK + content.hexdigest()[:32]
