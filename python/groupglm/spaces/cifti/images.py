# SPDX-License-Identifier: BSD-3-Clause
"""nibabel's images of rows of results, and what a map says about its values."""

from __future__ import annotations

import pickle
import warnings
from typing import TYPE_CHECKING, Any

import nibabel

from groupglm.spaces.statistic import Statistic, valid_df
from groupglm.spaces.volume.intent import descrip_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


cifti2: Any = nibabel.cifti2  # which has no types

__all__ = ["cifti_image", "map_names", "renamed", "statistic_of"]

# The keys of a map's metadata are those of our sidecars.
_KIND, _DF, _TEST = "Values", "DegreesOfFreedom", "StatType"


def map_names(descrip: str, n_maps: int) -> list[str]:
    """Return the names of maps in a file: what they hold, numbered if they are several."""
    name = " ".join(descrip.split()) or "map"
    return [name] if n_maps == 1 else [f"{name} {number + 1}" for number in range(n_maps)]


def cifti_image(
    mapping: bytes,
    data: NDArray[Any],
    descrip: str,
    statistic: Statistic | None,
    intent: str,
) -> Any:
    """Make an image of values.

    Shapes: `data` (n_maps, n_places), in the order of the file.
    """
    metadata = _metadata_of(statistic)
    maps = [
        cifti2.Cifti2NamedMap(name, cifti2.Cifti2MetaData(metadata) if metadata else None)
        for name in map_names(descrip, len(data))
    ]
    # nibabel would copy a header that it is given, and make axes of it to compare lengths: 0.2 s.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Dataobj shape .* does not match shape expected")
        image = cifti2.Cifti2Image(data, dtype=data.dtype)
    matrix = image.header.matrix
    matrix.append(cifti2.Cifti2MatrixIndicesMap((0,), "CIFTI_INDEX_TYPE_SCALARS", maps=maps))
    matrix.append(pickle.loads(mapping))  # noqa: S301 - our own bytes
    image.nifti_header.set_intent(intent)
    image.nifti_header["descrip"] = descrip_of(descrip)
    return image


def renamed(image: Any, name: str) -> None:
    """Change the name of the contrast in an image's header, and in the names of its maps."""
    for named_map in image.header.get_index_map(0).named_maps:
        what = str(named_map.map_name or "").partition(" of contrast ")[0]
        named_map.map_name = f"{what} of contrast {name}"
    described = bytes(image.nifti_header["descrip"].item()).decode(errors="ignore")
    what = described.partition(" of contrast ")[0]
    image.nifti_header["descrip"] = descrip_of(f"{what} of contrast {name}")


def _metadata_of(statistic: Statistic | None) -> dict[str, str]:
    """Return what a map's metadata say of its values."""
    if statistic is None:
        return {}
    found = {_KIND: statistic.kind}
    if statistic.df:
        found[_DF] = " ".join(format(number, ".17g") for number in statistic.df)
    if statistic.of_f:
        found[_TEST] = "F"
    return found


def statistic_of(metadata: Mapping[str, str], descrip: str) -> Statistic | None:
    """Return what a map's metadata and its header say that its values are; None if nothing.

    Examples
    --------
    >>> statistic_of({"Values": "t", "DegreesOfFreedom": "18"}, "")
    Statistic(kind='t', df=(18.0,), of_f=False)
    """
    described = Statistic.of_description(descrip)
    kind = metadata.get(_KIND, "")[:40]
    if not kind:
        return described
    try:
        numbers = [float(text) for text in metadata.get(_DF, "").split()]
    except ValueError:
        numbers = []
    is_z = kind == "z"
    one_tail = is_z and described is not None and described.one_tail
    return Statistic(kind, valid_df(kind, numbers), is_z and metadata.get(_TEST) == "F", one_tail)
