# SPDX-License-Identifier: BSD-3-Clause
"""Open what is beside the images, and refuse what does not belong to them: `open_beside`."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from groupglm.errors import ArgumentError, GridMismatchError, in_quotes
from groupglm.messages import argument as named
from groupglm.runtime.naming import counted
from groupglm.runtime.paths import file_identity
from groupglm.spaces.registry import kind_of
from groupglm.spaces.statistic import Statistic
from groupglm.tabular.labels import label_in_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.spaces.base import Source

__all__ = ["open_beside", "refuse_other_maps"]

_LOOKED_AT = 3
"""Files whose headers are looked at for the kind of their values: all are made alike."""

_ENDINGS = {
    **dict.fromkeys(("se", "sem", "stderr", "stderror", "sterr"), "standard errors"),
    **dict.fromkeys(("t", "tstat", "tmap", "tval", "spmt"), "t statistics"),
    **dict.fromkeys(("z", "zstat", "zmap", "zscore", "zval"), "z-scores"),
    **dict.fromkeys(("f", "fstat", "fmap", "spmf", "zfstat"), "F statistics"),
    **dict.fromkeys(("p", "pval", "pvalue"), "p-values"),
    **dict.fromkeys(("beta", "cope", "con", "effect"), "effects"),
}
"""What the last word of a file's name says of its values, if it does not say variance."""

_SQUARE = "square them (groupglm.math_img('img**2', img=...)) and give the squares"


def open_beside(
    argument: str,
    role: str,
    given: Any,
    images: Sequence[Source],
    *,
    same_grid: bool,
) -> list[Source]:
    """Open the images of an argument, one for each image of the model.

    Parameters
    ----------
    argument : str
        What messages call it, such as ``covariates['grey_matter']``.
    role : str
        "variance", "weight" or "covariate".
    given
        As `second_level_input` may be images, in the order of the model's images.
    images : sequence of Source
        The model's images.
    same_grid : bool
        Whether all must be at the places of the images.
    """
    called = argument.partition("[")[0]
    try:
        sources = kind_of(given).open_inputs(
            given, argument=argument, same_placement=same_grid, at_least=1
        )
    except ArgumentError as error:
        error.argument = called
        raise
    if len(sources) != len(images):
        raise ArgumentError.about(
            called,
            named(argument) + f" has {counted(len(sources), 'image')}, but second_level_input has "
            f"{len(images)}",
            "give one for each image, in the same order",
        )
    difference = sources[0].difference(images[0]) if same_grid else None
    if difference is not None:
        raise GridMismatchError(
            f"{sources[0].name}: image 1 of {argument} is not at the places of its image "
            f"({images[0].name}): {difference}; resample it to the image's places"
        )
    _refuse_other_subjects(argument, sources, images)
    _refuse_shared(argument, role, sources, images)
    if role == "variance":
        refuse_other_maps([source.name for source in sources], given)
    return sources


def _labels(sources: Sequence[Source]) -> list[str | None]:
    """Return the subjects that the names of files tell; none if all have the same."""
    found = [label_in_path(PurePath(source.name)) for source in sources]
    return found if len(set(found)) > 1 else [None] * len(found)


def _refuse_other_subjects(
    argument: str, sources: Sequence[Source], images: Sequence[Source]
) -> None:
    pairs = list(zip(_labels(images), _labels(sources), strict=True))
    wrong = [place for place, (a, b) in enumerate(pairs) if None not in (a, b) and a != b]
    if wrong:
        first = wrong[0]
        one, other = pairs[first]
        raise ArgumentError.about(
            argument.partition("[")[0],
            f"{len(wrong)} of {len(images)} images of {argument} are of other subjects than their "
            f"images, by the names of the files: number {first + 1} is of {other!r}, and image "
            f"{first + 1} of second_level_input of {one!r}",
            "bring both into one order, or give Series whose index holds subject labels",
        )


def _identity(source: Source) -> object:
    """Return what is the same for two sources of one file; None for an image in memory."""
    if source.nbytes_in_memory or "in memory" in source.name:
        return None
    return file_identity(source.name) or source.name  # a volume of a 4-D file has its own name


def _refuse_shared(
    argument: str, role: str, sources: Sequence[Source], images: Sequence[Source]
) -> None:
    """Refuse a file that is given for an image too, and one of the variances of two images."""
    called = argument.partition("[")[0]
    keys = list(map(_identity, images))
    of_images = {key: place for place, key in enumerate(keys) if key is not None}
    seen: dict[object, int] = {}
    for place, source in enumerate(sources):
        key = _identity(source)
        if key is None:
            continue
        if key in of_images:
            raise ArgumentError.about(
                called,
                f"{in_quotes(source.name)} is given both as image {of_images[key] + 1} of "
                f"second_level_input and as image {place + 1} of {argument}",
                f"give the {role} of that image",
            )
        earlier = seen.setdefault(key, place)
        # Images that are one file have been reported by themselves.
        same_image = keys[place] is not None and keys[place] == keys[earlier]
        if earlier != place and role != "weight" and not same_image:
            raise ArgumentError.about(
                called,
                f"images {earlier + 1} and {place + 1} of {argument} are one file: "
                f"{in_quotes(source.name)}",
                "give each image a file of its own",
            )


def refuse_other_maps(names_of_files: Sequence[str], given: Any) -> None:
    """Refuse files whose names or headers say that they hold something else than variances."""
    found: dict[str, list[str]] = {}
    for file in names_of_files:
        kind = _kind_by_name(file)
        if kind is not None:
            found.setdefault(kind, []).append(file)
    if not found:
        items = [given] if kind_of(given).holds(given) else list(given)
        for item in items[:: max(1, len(items) // _LOOKED_AT)]:
            told, _ = kind_of(item).said_by_map(item)
            if told is not None and told.kind not in ("variance", "estimate", "stat"):
                name = kind_of(item).file_of(item) or "an image in memory"
                found.setdefault(f"{told.words} (as the header says)", []).append(name)
    if not found:
        return
    what, names = next(iter(found.items()))
    n_said = sum(map(len, found.values()))
    errors = what == "standard errors"
    raise ArgumentError.about(
        "variances",
        f"{n_said} of {len(names_of_files)} images of variances hold {what}, not variances: "
        f"{in_quotes(names[0])}",
        (_SQUARE if errors else "give the maps of the variances of the effects")
        + ("" if "header" in what else "; if they are variances, rename the files"),
    )


def _kind_by_name(name: str) -> str | None:
    """Return what a file's name says that it holds, if that is no variance."""
    base = PurePath(name).name
    told = Statistic.of_name(base)
    if told is not None:
        # "var", "varcope" and the like; whatever else a name has after stat- is another map.
        is_variance = told.kind.lower().startswith("var") or told.kind == "estimate"
        kind = None if is_variance else told.words
        word = base.partition("stat-")[2].partition("_")[0].partition(".")[0].lower()
        return _ENDINGS.get(word, kind) if kind is not None else None
    words = [word for word in re.split(r"[_\s]", base.partition(".")[0].lower()) if word]
    while words and words[-1].isdigit():
        words.pop()
    if words[-2:] == ["effect", "size"]:
        return "effects"
    last = re.sub(r"\d+$", "", words[-1]) if words else ""
    last = last.rpartition("-")[2] if last.startswith(("desc-", "stat-")) else last
    return _ENDINGS.get(last)
