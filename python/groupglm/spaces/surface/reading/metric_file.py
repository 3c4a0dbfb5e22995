# SPDX-License-Identifier: BSD-3-Clause
"""One value for each vertex, such as its area, from a file: `read_metric`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.io import read_morph_data
from nibabel.nifti1 import intent_codes

from groupglm.errors import ImageError
from groupglm.runtime.paths import check_path
from groupglm.runtime.regular_files import check_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_metric"]

_GEOMETRY = {"NIFTI_INTENT_POINTSET", "NIFTI_INTENT_TRIANGLE"}


def read_metric(given: Any, name: str) -> NDArray[Any]:
    """Read the values of a file of GIFTI or FreeSurfer, or of nibabel's image, as they are.

    Raises
    ------
    groupglm.errors.ImageError
        If it cannot be read, or holds a surface or several maps.
    """
    if not isinstance(given, str | os.PathLike):
        return _of_gifti(given, name)
    check_path("areas", os.fspath(given), ImageError)
    path = os.path.expanduser(os.fspath(given))  # noqa: PTH111
    if not os.path.exists(path) and not os.path.islink(path):  # noqa: PTH110, PTH114
        raise ImageError(f"{path}: File not found: check the name")
    check_file(path, f"{path}:", ImageError)
    try:
        if path.lower().endswith((".gii", ".gii.gz")):
            return _of_gifti(nib.load(path), path)
        if path.lower().endswith((".mgh", ".mgz")):
            image: Any = nib.load(path)
            return np.asarray(image.dataobj).squeeze()
        return np.asarray(read_morph_data(path))  # type: ignore[no-untyped-call]
    except ImageError:
        raise
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except Exception as error:  # a reader raises anything on a damaged file
        raise ImageError(
            f"{path}: cannot be read as values of vertices: {error}; copy the file again"
        ) from error


def _of_gifti(image: Any, name: str) -> NDArray[Any]:
    intents = [str(intent_codes.niistring[array.intent]) for array in image.darrays]
    if len(intents) != 1 or intents[0] in _GEOMETRY:
        raise ImageError(
            f"{name}: holds {', '.join(intents) or 'nothing'}, but one array of a value for each "
            "vertex is wanted; give a .shape.gii or .func.gii file of one map"
        )
    return np.asarray(image.darrays[0].data)
