# SPDX-License-Identifier: BSD-3-Clause
"""What the header of a NIfTI file says of its values, and how a map is marked with it.

The header says it by the intent code with its parameters, the degrees of freedom (nifti1.h,
https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h), and by its description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.spaces.statistic import Statistic, valid_df

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

__all__ = ["contrast_of", "descrip_of", "how_to_mark", "mark", "statistic_of_header"]

_CODES = {"t": 3, "F": 4, "z": 5, "p": 22, "logp": 24, "label": 1002}
_ESTIMATE = 1001  # of a parameter, which `intent_name` names
_OTHER_CODES = {
    2: "correlations", 6: "chi-squared statistics", 23: "ln of p-values",
    **dict.fromkeys((*range(7, 22),), "statistics that are neither z, t nor F"),
}  # fmt: skip
_DESCRIP_BYTES = 79  # the field has 80, and readers in C want the last one to be zero
_NAME_BYTES = 15


def mark(image: Nifti1Image, statistic: Statistic) -> None:
    """Write what the values are into an image's header, as an intent."""
    code = _CODES.get(statistic.kind, _ESTIMATE)
    name = "z of F" if statistic.of_f and statistic.kind == "z" else statistic.kind
    df = statistic.df if statistic.kind in ("t", "F") else ()
    image.header.set_intent(code, df, name[:_NAME_BYTES])  # type: ignore[no-untyped-call]


def how_to_mark(statistic: str) -> str:
    """Say how a user writes that a map is of z, t or F into its header."""
    intent = {
        "z": "'z score'",
        "t": "'t test', (df,)",
        "F": "'f test', (df_numerator, df_residual)",
    }[statistic]
    return f"by nibabel, image.header.set_intent({intent})"


def statistic_of_header(header: Any) -> Statistic | None:
    """Read what a NIfTI header says; None if it says nothing."""
    try:
        code = int(header["intent_code"])
        numbers = [float(header[f"intent_p{place}"]) for place in (1, 2)]
        name = _text(header["intent_name"])
        descrip = _text(header["descrip"])
    except (KeyError, TypeError, ValueError):  # not a header of NIfTI
        return None
    described = Statistic.of_description(descrip)
    kind = {number: kind for kind, number in _CODES.items()}.get(code)
    if code == _ESTIMATE:
        kind = name if name and name not in _CODES else "estimate"
    elif kind is None:
        kind = _OTHER_CODES.get(code)
    if kind is None:
        return described
    of_f = name == "z of F" or (described is not None and described.of_f)
    return Statistic(kind, valid_df(kind, numbers), of_f and kind == "z")


def contrast_of(header: Any) -> str | None:
    """Return the contrast's name in a header's description, as far as there was room for it."""
    try:
        descrip = _text(header["descrip"])
    except (KeyError, TypeError, ValueError):
        return None
    return descrip.partition(" of contrast ")[2] or None


def descrip_of(text: str) -> bytes:
    """Return a header's description: one line, cut between letters where there is no more room.

    Examples
    --------
    >>> descrip_of("Größe" * 20)[-5:].decode()
    'ßeGr'
    """
    line = " ".join(text.split()).encode(errors="replace")  # half of a character becomes "?"
    return line[:_DESCRIP_BYTES].decode(errors="ignore").encode()


def _text(field: Any) -> str:
    return bytes(np.asarray(field).item()).decode("utf-8", errors="replace").strip()
