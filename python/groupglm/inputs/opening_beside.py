# SPDX-License-Identifier: BSD-3-Clause
"""Open what is beside the images, and refuse what does not belong to them: `open_beside`."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from groupglm.errors import ArgumentError, GridMismatchError, in_quotes
from groupglm.messages import argument as named
from groupglm.runtime.naming import counted
from groupglm.runtime.paths import file_identity
from groupglm.runtime.sidecars import read_json
from groupglm.spaces.composite_source import CompositeSource
from groupglm.spaces.files import endings, sidecar
from groupglm.spaces.registry import kind_of, parts_of
from groupglm.spaces.statistic import KINDS, Statistic
from groupglm.tabular.labels import label_in_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groupglm.spaces.base import Source
    from groupglm.spaces.kinds import Kind

__all__ = ["open_beside", "refuse_other_kind", "refuse_other_maps"]

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

_MAY_BE_VARIANCES = ("variance", "estimate", "stat")
"""What a sidecar or a header may say of variances; the last two say little."""

_SQUARE = "square them (groupglm.math_img('img**2', img=...)) and give the squares"


def open_beside(
    argument: str,
    role: str,
    given: Any,
    images: Sequence[Source],
    *,
    kind: Kind,
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
    kind : Kind
        The kind of data of these.
    same_grid : bool
        Whether all must be at the places of the images.
    """
    called = argument.partition("[")[0]
    refuse_other_kind(argument, given, kind)
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
        refuse_other_maps([[part.name for part in _parts(source)] for source in sources], given)
    return sources


def refuse_other_kind(argument: str, given: Any, kind: Kind) -> None:
    """Refuse images of another kind of data than the model's, such as volumes beside surfaces."""
    own = kind_of(given)
    if own.tag == kind.tag or not (own.holds(given) or own.holds(_first(given))):
        return
    raise ArgumentError.about(
        argument.partition("[")[0],
        named(argument) + f" is of another kind of data ({own.tag}) than second_level_input "
        f"({kind.tag})",
        "give what is at the same places, in files of the same kind",
    )


def _first(given: Any) -> Any:
    items = given.tolist() if hasattr(given, "tolist") else given
    return items[0] if isinstance(items, list | tuple) and items else None


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


def _parts(source: Source) -> list[Source]:
    """Return the sources that one source is made of, such as those of two hemispheres."""
    return [*source.members.values()] if isinstance(source, CompositeSource) else [source]


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
    keys = [[key for key in map(_identity, _parts(image)) if key is not None] for image in images]
    of_images = {key: place for place, own in enumerate(keys) for key in own}
    seen: dict[object, int] = {}
    for place, part in ((place, part) for place, own in enumerate(sources) for part in _parts(own)):
        key = _identity(part)
        if key is None:
            continue
        if key in of_images:
            raise ArgumentError.about(
                called,
                f"{in_quotes(part.name)} is given both as image {of_images[key] + 1} of "
                f"second_level_input and as image {place + 1} of {argument}",
                f"give the {role} of that image",
            )
        earlier = seen.setdefault(key, place)
        # Images that are one file have been reported by themselves.
        same_image = bool(keys[place]) and keys[place] == keys[earlier]
        if earlier != place and role != "weight" and not same_image:
            raise ArgumentError.about(
                called,
                f"images {earlier + 1} and {place + 1} of {argument} are one file: "
                f"{in_quotes(part.name)}",
                "give each image a file of its own",
            )


def refuse_other_maps(names: Sequence[Sequence[str]], given: Any) -> None:
    """Refuse files whose names, sidecars or headers say that they hold no variances.

    Parameters
    ----------
    names : sequence of sequence of str
        The names of the files of each image.
    given
        The images, of which some are looked at if the names say nothing.
    """
    found: dict[str, list[str]] = {}
    for files in names:
        told = next(((what, file) for file in files if (what := _kind_by_name(file))), None)
        if told is not None:
            found.setdefault(told[0], []).append(told[1])
    remedy = "; if they are variances, rename the files"
    if not found:
        remedy = ""
        is_one = kind_of(given).holds(given)
        # A table of regions says nothing of its numbers.
        items = [] if hasattr(given, "columns") else [given] if is_one else list(given)
        for item in items[:: max(1, len(items) // _LOOKED_AT)]:
            said = _kind_by_facts(item)
            if said is not None:
                found.setdefault(said[0], []).append(said[1])
    if not found:
        return
    what, own = next(iter(found.items()))
    raise ArgumentError.about(
        "variances",
        f"{sum(map(len, found.values()))} of {len(names)} images of variances hold {what}, not "
        f"variances: {in_quotes(own[0])}",
        (_SQUARE if what == "standard errors" else "give the maps of the variances of the effects")
        + remedy,
    )


def _kind_by_facts(item: Any) -> tuple[str, str] | None:
    """Return what a sidecar or a header says that an image holds, if no variance, and its name."""
    for part in (item, *parts_of(item)):
        name = kind_of(part).file_of(part)
        facts = None if name is None else read_json(sidecar(Path(name)))
        of_sidecar = None if facts is None else Statistic.of_sidecar(facts)
        of_header, _ = kind_of(part).said_by_map(part)
        if of_sidecar is not None and of_sidecar.kind not in KINDS:
            of_sidecar = None  # another program's word
        for told, where in ((of_sidecar, "its sidecar"), (of_header, "the header")):
            if told is not None and told.kind not in _MAY_BE_VARIANCES:
                return f"{told.words} (as {where} says)", name or "an image in memory"
    return None


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
    ending = next((own for own in sorted(endings(), key=len)[::-1] if base.endswith(own)), "")
    stems = dict.fromkeys((base.partition(".")[0], base.removesuffix(ending)))
    return next((what for stem in stems if (what := _kind_by_last_word(stem)) is not None), None)


def _kind_by_last_word(stem: str) -> str | None:
    """Return what the last word of a name without its ending says, if that is no variance."""
    words = [word for word in re.split(r"[_.\s]", stem.lower()) if word]
    while words and words[-1].isdigit():
        words.pop()
    if words[-2:] == ["effect", "size"]:
        return "effects"
    last = re.sub(r"\d+$", "", words[-1]) if words else ""
    last = last.rpartition("-")[2] if last.startswith(("desc-", "stat-")) else last
    return _ENDINGS.get(last)
