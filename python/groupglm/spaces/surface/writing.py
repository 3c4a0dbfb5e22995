# SPDX-License-Identifier: BSD-3-Clause
"""Make nibabel's images of values at vertices, and say in them what the values are.

GIFTI has NIfTI's intents, and metadata: ``Name`` is what programs show as the name of a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.freesurfer.mghformat import MGHImage
from nibabel.gifti.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from nibabel.nifti1 import intent_codes

from groupglm.spaces.statistic import Statistic, number_of, valid_df

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["contrast_in", "gifti_image", "mgh_image", "renamed_contrast", "statistic_in"]

_INTENTS = {
    "t": "NIFTI_INTENT_TTEST", "F": "NIFTI_INTENT_FTEST", "z": "NIFTI_INTENT_ZSCORE",
    "p": "NIFTI_INTENT_PVAL", "logp": "NIFTI_INTENT_LOG10PVAL",
}  # fmt: skip
_ESTIMATE, _UNKNOWN = "NIFTI_INTENT_ESTIMATE", "NIFTI_INTENT_NONE"
_KIND, _DF = "groupglm values", "groupglm degrees of freedom"
_STRUCTURES = {"left": "CortexLeft", "right": "CortexRight"}
_GIFTI_TYPES = (np.uint8, np.int32, np.float32, np.float64)


def gifti_image(
    values: NDArray[Any], side: str, descrip: str, statistic: Statistic | None
) -> GiftiImage:
    """Make a GIFTI image of the maps of a hemisphere, shape (n_vertices,) or (k, n_vertices)."""
    intent = _UNKNOWN
    facts = {"Name": descrip}
    if statistic is not None:
        intent = _INTENTS.get(statistic.kind, _ESTIMATE)
        facts[_KIND] = "z of F" if statistic.of_f and statistic.kind == "z" else statistic.kind
        if statistic.df:
            facts[_DF] = " ".join(repr(float(number)) for number in statistic.df)
    rows = np.ascontiguousarray(np.atleast_2d(values))
    if rows.dtype not in _GIFTI_TYPES:
        rows = rows.astype(np.float64 if rows.dtype.kind == "f" else np.int32)
    arrays = []
    for number, row in enumerate(rows, start=1):
        own = facts if len(rows) == 1 else {**facts, "Name": f"{descrip} ({number})"}
        arrays.append(_array(row, intent, own))
    meta = GiftiMetaData({"AnatomicalStructurePrimary": _STRUCTURES[side]})  # type: ignore[no-untyped-call]
    return GiftiImage(darrays=arrays, meta=meta)  # type: ignore[no-untyped-call]


def _array(values: NDArray[Any], intent: str, facts: Mapping[str, str]) -> GiftiDataArray:
    meta = GiftiMetaData(facts)  # type: ignore[no-untyped-call]
    return GiftiDataArray(  # type: ignore[no-untyped-call]
        values, intent=intent, datatype=values.dtype, meta=meta
    )


def mgh_image(
    values: NDArray[Any], side: str, descrip: str, statistic: Statistic | None
) -> MGHImage:
    """Make a FreeSurfer image of the maps of a hemisphere; it has no room for their kind."""
    del side, descrip, statistic
    kept = values if values.dtype in (np.uint8, np.int16, np.int32) else values.astype(np.float32)
    rows = kept[:, np.newaxis, np.newaxis] if kept.ndim == 1 else kept.T[:, np.newaxis, np.newaxis]
    return MGHImage(np.ascontiguousarray(rows), np.eye(4))  # type: ignore[no-untyped-call]


def statistic_in(intent: str, facts: Mapping[str, str]) -> Statistic | None:
    """Return the kind of values that the metadata of a GIFTI array tell; None if they tell none."""
    kind = facts.get(_KIND, "")[:40]
    described = Statistic.of_description(facts.get("Name", ""))
    if not kind:
        kind = {name: own for own, name in _INTENTS.items()}.get(intent, "")
    if not kind:
        return described
    of_f = kind == "z of F" or (described is not None and described.of_f)
    kind = "z" if kind == "z of F" else kind
    numbers = [number_of(_number(word)) for word in facts.get(_DF, "").split()]
    one_tail = described is not None and described.one_tail
    return Statistic(kind, valid_df(kind, numbers), of_f and kind == "z", one_tail and kind == "z")


def contrast_in(facts: Mapping[str, str]) -> str | None:
    """Return the contrast that the name of a map tells."""
    return facts.get("Name", "").partition(" of contrast ")[2] or None


def renamed_contrast(image: GiftiImage, name: str) -> None:
    """Change the name of the contrast in the name of a map."""
    for array in image.darrays:
        what = str(array.meta.get("Name", "")).partition(" of contrast ")[0]
        array.meta["Name"] = f"{what} of contrast {name}"


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def intent_of(array: GiftiDataArray) -> str:
    """Return the name of the intent of an array."""
    return str(intent_codes.niistring[array.intent])
