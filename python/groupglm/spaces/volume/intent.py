# SPDX-License-Identifier: BSD-3-Clause
"""The kind of values in a NIfTI header, and how a map is marked with it.

The header tells the kind by its intent code, whose parameters are the degrees of freedom (nifti1.h,
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
_ESTIMATE = 1001  # of a parameter that `intent_name` names
_OTHER_CODES = {
    2: "correlations", 6: "chi-squared statistics", 23: "ln of p-values",
    **dict.fromkeys((*range(7, 22),), "statistics that are neither z, t nor F"),
}  # fmt: skip
_DESCRIP_BYTES = 79  # the field has 80, and readers in C need a zero at the end
_NAME_BYTES = 15


def mark(image: Nifti1Image, statistic: Statistic) -> None:
    """Write the kind of values into an image's header, as an intent."""
    code = _CODES.get(statistic.kind, _ESTIMATE)
    name = "z of F" if statistic.of_f and statistic.kind == "z" else statistic.kind
    df = statistic.df if statistic.kind in ("t", "F") else ()
    image.header.set_intent(code, df, name[:_NAME_BYTES])  # type: ignore[no-untyped-call]


def how_to_mark(statistic: str) -> str:
    """Return how a user marks a map as z, t or F in its header."""
    intent = {
        "z": "'z score'",
        "t": "'t test', (df,)",
        "F": "'f test', (df_numerator, df_residual)",
    }[statistic]
    return f"by nibabel, image.header.set_intent({intent})"


def statistic_of_header(header: Any) -> Statistic | None:
    """Return the kind of values that a NIfTI header tells; None if it tells none."""
    try:
        code = int(header["intent_code"])
        numbers = [float(header[f"intent_p{place}"]) for place in (1, 2)]
        name = _text(header["intent_name"])
        descrip = _text(header["descrip"])
    except (KeyError, TypeError, ValueError):  # the header is not NIfTI
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
    one_tail = described is not None and described.one_tail
    return Statistic(kind, valid_df(kind, numbers), of_f and kind == "z", one_tail and kind == "z")


def contrast_of(header: Any) -> str | None:
    """Return the contrast's name from a header's description; a long name may be cut off."""
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
    line = " ".join(text.split()).encode(errors="replace")  # a character that was cut becomes "?"
    return line[:_DESCRIP_BYTES].decode(errors="ignore").encode()


def _text(field: Any) -> str:
    return bytes(np.asarray(field).item()).decode("utf-8", errors="replace").strip()
