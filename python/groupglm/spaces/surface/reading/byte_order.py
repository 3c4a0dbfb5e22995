# SPDX-License-Identifier: BSD-3-Clause
"""Values that were written in another byte order than their file says: `refuse_swapped`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["refuse_swapped"]

_SAMPLE = 4096
_USUAL = 30.0
"""Powers of two around one within which measured values lie; those of swapped bytes do not."""


def refuse_swapped(name: str, values: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Refuse fractions that are absurd as they are declared, and usual in the other byte order.

    The exponent of a swapped number is made of the last bits of a fraction, which are any. Half of
    the sample must therefore lie outside the usual range as declared, and none in the other order.
    """
    if dtype.kind != "f" or dtype.itemsize < 4 or not values.size:
        return
    flat = values.reshape(-1)
    sample = flat[:: max(1, len(flat) // _SAMPLE)]
    if _share_unusual(sample) <= 0.5:
        return
    swapped = np.frombuffer(sample.tobytes(), dtype.newbyteorder())
    if _share_unusual(swapped) == 0:
        order = {"<": "little", ">": "big"}.get(dtype.newbyteorder("S").str[0], "the other")
        raise ImageError(
            f"{name}: its values are written in another byte order than it says: they make sense "
            f"only as {order}-endian numbers; correct the Endian attribute, or write it again"
        )


def _share_unusual(values: NDArray[Any]) -> float:
    """Return the share of values, other than zero and NaN, that no measurement has."""
    with np.errstate(all="ignore"):
        wide = np.abs(values.astype(np.float64))
        known = wide[(wide > 0) | np.isinf(wide)]
        if not len(known):
            return 0.0
        return float(np.mean(~(np.abs(np.log2(known)) <= _USUAL)))
