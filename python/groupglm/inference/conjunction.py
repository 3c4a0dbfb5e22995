# SPDX-License-Identifier: BSD-3-Clause
"""The conjunction of several maps: where every one of them has an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import (
    ArgumentError,
    ArgumentTypeError,
    GridMismatchError,
    ImageError,
    warn_caller,
)
from groupglm.inference.arguments import check_z_scale
from groupglm.inference.stat_map import StatMap, read_stat_map
from groupglm.messages import either
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.naming import counted
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.registry import kind_of
from groupglm.spaces.statistic import ONE_SIDED_Z, Statistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.images import Image, ImageLike

__all__ = ["conjunction_img", "smallest_evidence"]


def conjunction_img(
    stat_imgs: Sequence[ImageLike],
    mask_img: Any = None,
    two_sided: bool = False,
    *,
    surfaces: Any = None,
    areas: Any = None,
) -> Image:
    """Make the map of the smallest z-score of several maps: the conjunction of their effects.

    Where the smallest statistic exceeds a threshold, every map does. Threshold the map as the z of
    one contrast, for example by `threshold_stats_img`: the test is then of the conjunction null
    hypothesis, that at least one of the effects is absent. The test is valid whatever the
    dependence between the maps.

    Parameters
    ----------
    stat_imgs : sequence of str, os.PathLike, image or pair of images
        At least two maps of z-scores of t contrasts, at the same places. Maps of t are converted to
        z, if their degrees of freedom are known.
    mask_img : str, os.PathLike, image or masker, optional
        The places of the result. By default those at which no map has its background.
    two_sided : bool, default=False
        Whether effects of both signs count. Where all maps are negative, the result is then the z
        nearest to zero, and where signs differ, it is 0. By default only positive effects are
        evidence, and the result is the smallest z, which may be negative. The image then says that
        it has one tail, and functions that test both tails test only this one.
    surfaces, areas : optional
        The meshes of maps of surfaces, as `SecondLevelModel` takes them; on volumes they have no
        effect, with a warning.

    Returns
    -------
    image
        The map of z, of the kind of the first map. Zero outside the mask; NaN where any map is NaN.

    Raises
    ------
    TypeError
        If `stat_imgs` is one map.
    ValueError
        If there are fewer than two maps, or one is the map of an F contrast, whose z does not tell
        the direction of an effect, or of something other than z or t.
    groupglm.errors.GridMismatchError
        If the maps are at different places.
    groupglm.errors.ImageError
        If a map cannot be read.

    Warns
    -----
    UserWarning
        If a map of t was converted, or some places are not in all maps.

    See Also
    --------
    threshold_stats_img : The significant places of the result.

    References
    ----------
    Nichols T, Brett M, Andersson J, Wager T, Poline J-B. Valid conjunction inference with the
    minimum statistic. *NeuroImage* 25 (2005), 653-660.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> from groupglm import conjunction_img
    >>> faces, houses = np.zeros((2, 7, 7, 7))
    >>> faces[3, 3, 2:5] = 4.0, 3.5, -3.0
    >>> houses[3, 3, 2:5] = 3.8, 1.0, -5.0
    >>> maps = [nibabel.Nifti1Image(z, np.eye(4)) for z in (faces, houses)]
    >>> conjunction_img(maps).get_fdata()[3, 3, 2:5]
    array([ 3.79999995,  1.        , -5.        ])
    >>> conjunction_img(maps, two_sided=True).get_fdata()[3, 3, 2:5]
    array([ 3.79999995,  1.        , -3.        ])
    """
    both = check_truth("two_sided", two_sided)
    given = _checked(stat_imgs)
    geometry = Geometry(surfaces, areas)
    first = _z_map(given[0], mask_img, geometry, 1)
    whole = _values_everywhere(first)
    inside = first.inside.copy()
    for number, each in enumerate(given[1:], 2):
        other = _z_map(
            each,
            None,
            geometry,
            number,
            onto=partial(_places_of, number=number, first=first),
            inside=None if mask_img is None else first.inside,
        )
        inside &= other.inside
        whole = smallest_evidence(whole, _values_everywhere(other), two_sided=both)
    if not inside.any():
        _, many = first.everywhere.place_words
        raise ImageError(
            f"the maps have no {many} in common: where one has a value, another has its "
            "background; give mask_img, or maps of the same places"
        )
    if mask_img is None:
        _report_lost(first, int(np.count_nonzero(first.inside & ~inside)), len(given))
    space = first.everywhere if inside.all() else first.everywhere.restrict(inside)
    descrip = f"z_score of the conjunction of {len(given)} maps"
    statistic = Statistic("z")
    if not both:
        descrip = descrip.replace("z_score", ONE_SIDED_Z, 1)
        statistic = Statistic("z", one_tail=True)
    image: Image = space.to_image(whole[inside], descrip, statistic=statistic)
    return image


def smallest_evidence(
    first: NDArray[np.float64], second: NDArray[np.float64], *, two_sided: bool
) -> NDArray[np.float64]:
    """Return the smaller of two z-scores; of both signs, the one nearest to zero, or 0.

    Shapes: (n_values,) each. NaN in one is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([3.0, -3.0, -2.0]), np.array([2.0, 1.0, -4.0])
    >>> smallest_evidence(a, b, two_sided=False).tolist()
    [2.0, -3.0, -4.0]
    >>> smallest_evidence(a, b, two_sided=True).tolist()
    [2.0, 0.0, -2.0]
    """
    if not two_sided:
        return np.minimum(first, second)
    # 0 belongs to neither sign: max(min(a, b), 0) of positive effects plus the same of negative.
    positive: NDArray[np.float64] = np.maximum(np.minimum(first, second), 0.0)
    return positive + np.minimum(np.maximum(first, second), 0.0)


def _checked(stat_imgs: Any) -> list[Any]:
    """Return the maps as a list of at least two."""
    if isinstance(stat_imgs, (str, bytes, Mapping)) or not isinstance(stat_imgs, Sequence):
        raise ArgumentTypeError(
            "stat_imgs", f"a {type(stat_imgs).__name__}", "a list of at least two maps of z-scores"
        )
    if len(stat_imgs) < 2:
        raise ArgumentError(
            "stat_imgs",
            counted(len(stat_imgs), "map"),
            "at least two maps of z-scores",
            "a conjunction is of several effects; threshold a single map by "
            + either("threshold_stats_img", "groupglm threshold"),
            verb="holds",
        )
    first, *others = (kind_of(image) for image in stat_imgs)
    for number, kind in enumerate(others, 2):
        if kind.tag != first.tag:
            raise GridMismatchError(
                f"map {number} of the conjunction is of another kind of data ({kind.tag}) than the "
                f"first ({first.tag}): their places cannot be the same; give maps of one model"
            )
    return list(stat_imgs)


def _z_map(
    image: Any,
    mask_img: Any,
    geometry: Geometry,
    number: int,
    *,
    onto: Callable[[Source], Space] | None = None,
    inside: NDArray[np.bool_] | None = None,
) -> StatMap:
    stat_map = read_stat_map(image, mask_img, geometry=geometry, onto=onto, inside=inside)
    scale = stat_map.scale
    if scale is not None and (scale.statistic.of_f or scale.statistic.kind == "F"):
        raise ArgumentError.about(
            "stat_imgs",
            f"map {number} of the conjunction ({stat_map.name}) is {scale.words}: an F does not "
            "tell the direction of its effects, so that maps may exceed a threshold by opposite "
            "effects",
            "give the maps of its t contrasts, one for each row",
        )
    stat_map = stat_map.as_z()
    check_z_scale(stat_map)
    return stat_map


def _values_everywhere(stat_map: StatMap) -> NDArray[np.float64]:
    whole = np.zeros(stat_map.everywhere.n_values)
    whole[stat_map.inside] = stat_map.values
    return whole


def _places_of(source: Source, number: int, first: StatMap) -> Space:
    """Return the places of the first map; refuse a map at other places before it is read."""
    difference = source.difference(first.everywhere)
    if difference is not None:
        word = first.everywhere.placement_word
        raise GridMismatchError(
            f"map {number} of the conjunction ({source.name}) is not on the {word} of the first "
            f"({first.name}): {difference}; compute the contrasts by one model, or resample the "
            "maps that they are computed from"
        )
    return first.everywhere


def _report_lost(first: StatMap, n_lost: int, n_maps: int) -> None:
    if n_lost:
        one, many = first.everywhere.place_words
        warn_caller(
            f"{counted(n_lost, one, many)} of {first.name} {'is' if n_lost == 1 else 'are'} "
            f"background in another of the {n_maps} maps, and so outside the conjunction; give "
            "mask_img to choose its places"
        )
