# SPDX-License-Identifier: BSD-3-Clause
"""Labels of subjects: which rows have them, and how rows and maps are matched by them.

Every door uses `match_rows`: either all labels match, or an error names both sides and the labels
that are similar.
"""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from groupglm.errors import ArgumentError
from groupglm.messages import argument as named
from groupglm.runtime.naming import listed

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LABEL",
    "LABEL_COLUMNS",
    "SUBJECT_PATTERN",
    "align_arrays",
    "label_in_path",
    "label_key",
    "labelled",
    "match_rows",
    "near_labels",
    "near_words",
    "plain_label",
    "refuse_twin_labels",
    "row_labels",
    "subjects_of_arrays",
]

LABEL = "subject_label"
"""The column, or the index, that holds the subject of each row."""

LABEL_COLUMNS = (LABEL, "participant_id")
"""Names of that column; the second is BIDS' name."""

SUBJECT_PATTERN = r"sub-([0-9A-Za-z]+)"
_MAX_NEAR = 8
_MAX_COMPARED = 200  # labels searched for a misspelt one, which takes their square in time


def plain_label(label: str) -> str:
    """Return a subject's label without ``sub-``."""
    # Tables and file systems compose accents in different ways.
    return unicodedata.normalize("NFC", label.strip()).removeprefix("sub-")


def label_in_path(path: PurePath, search: re.Pattern[str] | None = None) -> str | None:
    """Find the subject's label in the name of a file, or else in its nearest folder that has one.

    A pattern with a slash is searched in the whole path; its last match counts.
    """
    search = re.compile(SUBJECT_PATTERN) if search is None else search
    if "/" in search.pattern:
        *_, last = (None, *search.finditer(path.as_posix()))
        return None if last is None else plain_label((last[1] if search.groups else last[0]) or "")
    for part in reversed(path.parts):
        match = search.search(part)
        if match is not None:
            return plain_label((match[1] if search.groups else match[0]) or "")
    return None


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the column of labels of a table its index, so that rows keep their subjects.

    Examples
    --------
    >>> import pandas as pd
    >>> labelled(pd.DataFrame({"participant_id": ["sub-02", "sub-01"], "age": [31, 40]}))["age"]
    subject_label
    sub-02    31
    sub-01    40
    Name: age, dtype: int64
    """
    names = list(frame.columns)
    for name in LABEL_COLUMNS:
        if names.count(name) == 1:
            return frame.set_index(name).rename_axis(LABEL)
    return frame


def row_labels(
    index: pd.Index[Any], maps: Sequence[str] | None, argument: str, *, all_maps: bool = False
) -> list[str] | None:
    """Return the labels of rows."""
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        if LABEL not in index.names:
            names = ", ".join(map(repr, index.names))
            raise ArgumentError(
                argument,
                f"an index of several levels ({names}), none called '{LABEL}'",
                remedy=(
                    "give it an index of subject labels, or take the index off by "
                    "reset_index(drop=True)"
                ),
                verb="has",
            )
        index = index.get_level_values(LABEL)
    is_named = index.name in LABEL_COLUMNS
    is_count = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1
    if is_count and not is_named:
        return None
    values = index.tolist()
    labels = [str(value) for value in values]
    if not is_named and all(
        isinstance(value, Number) or pd.isna(value) is True for value in values
    ):
        rows = [label_key(label) for label in labels]
        keys = [label_key(label) for label in maps or ()]
        are_labels = bool(set(rows) & set(keys))
        if all_maps:
            are_labels = rows != keys and Counter(rows) == Counter(keys)
        if not are_labels:
            return None
    absent = next((row for row, value in enumerate(values) if pd.isna(value)), None)
    if absent is not None:
        raise ArgumentError(
            argument,
            f"labels, but none in row {absent + 1}",
            remedy="complete them, or take them off by reset_index(drop=True)",
            verb="has",
        )
    return labels


def match_rows(
    found: Sequence[str],
    wanted: Sequence[str],
    argument: str,
    *,
    maps: str = "second_level_input",
    may_have_more: bool = False,
) -> list[int]:
    """Find the row of each map."""
    if list(found) == list(wanted):
        return list(range(len(found)))
    several_rows = _repeated(found)
    several_maps = _repeated(wanted)
    absent = sorted(set(wanted) - set(found))
    surplus = sorted(set(found) - set(wanted))
    told = []
    if absent:
        told.append(f"has no row for {listed(absent)}")
    if surplus and (absent or not may_have_more):
        told.append(f"has rows for subjects without a map: {listed(surplus)}")
    told += [f"has several rows for {listed(several_rows)}"] if several_rows else []
    if told and not (several_maps and set(found) == set(wanted)):
        near = near_labels(absent, surplus)
        raise ArgumentError.about(
            argument,
            named(argument) + f" {'; '.join(told)}",
            f"give one row for each map's subject{near_words(near)}",
        )
    if several_maps and (several_rows or not may_have_more):
        raise ArgumentError.about(
            argument,
            f"subject {several_maps[0]!r} has several maps, so {argument} cannot be matched to "
            f"them by label",
            f"sort both {maps} and {argument} by subject_label",
        )
    place = {label: row for row, label in enumerate(found)}
    return [place[label] for label in wanted]


def align_arrays(arguments: Mapping[str, Any], first: str) -> dict[str, Any]:
    """Put arrays with one row an image in the same order, if they have labels."""
    given = [first, *(name for name in arguments if name != first)]
    labels = _labels_of_arrays({name: arguments[name] for name in given})
    aligned = dict(arguments)
    if not labels:
        return aligned
    reference, wanted = next(iter(labels.items()))
    unlabelled = [n for n in given if arguments[n] is not None and n not in labels]
    for name, found in labels.items():
        order = match_rows(found, wanted, name, maps=reference)
        if order == list(range(len(order))):
            continue
        if unlabelled:
            raise ArgumentError.about(
                name,
                f"{name} and {reference} have the same labels in another order, and "
                f"{unlabelled[0]} has none to be sorted by",
                "give it an index of labels, too, or bring all into one order",
            )
        aligned[name] = arguments[name].iloc[order]
    return aligned


def subjects_of_arrays(arguments: Mapping[str, Any]) -> list[str] | None:
    """Return the subjects of the rows of aligned arrays; None unless an index has their name.

    The labels of another index may be of anything, such as conditions.
    """
    import pandas as pd

    for values in arguments.values():
        if isinstance(values, pd.DataFrame | pd.Series) and values.index.name in LABEL_COLUMNS:
            return [plain_label(str(label)) for label in values.index]
    return None


def _labels_of_arrays(arguments: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the labels of the arrays; numbers count as labels only if they label another array."""
    import pandas as pd

    labels: dict[str, list[str]] = {}
    numbers: dict[str, pd.Index[Any]] = {}
    for name, values in arguments.items():
        if not isinstance(values, pd.DataFrame | pd.Series):
            continue
        found = row_labels(values.index, None, name)
        if found is not None:
            labels[name] = found
        elif not isinstance(values.index, pd.RangeIndex):
            numbers[name] = values.index
    _refuse_shuffled({name: index.tolist() for name, index in numbers.items()})
    wanted = next(iter(labels.values()), None)
    for name, index in numbers.items():
        found = row_labels(index, wanted, name, all_maps=True)
        if found is not None:
            labels[name] = found
    return labels


def _refuse_shuffled(numbers: Mapping[str, list[Any]]) -> None:
    """Refuse indexes that hold the same numbers in different orders: some rows were moved."""
    for (one, some), (other, others) in itertools.combinations(numbers.items(), 2):
        if some != others and Counter(some) == Counter(others):
            raise ArgumentError.about(
                other,
                f"the indexes of {one} and {other} hold the same numbers in another order",
                "bring both into one order, or take the indexes off by reset_index(drop=True)",
            )


def refuse_twin_labels(labels: Iterable[str], argument: str) -> None:
    """Refuse two spellings of one subject's label: they would count as two subjects."""
    by_key: dict[str, str] = {}
    for label in labels:
        key = plain_label("".join(unicodedata.normalize("NFKC", label).split()))
        other = by_key.setdefault(key, label)
        if other != label:
            raise ArgumentError.about(
                argument,
                argument + f" names a subject in two ways, {other!r} and {label!r}, which would "
                "count as two subjects",
                "write them alike",
            )


def near_labels(some: Iterable[str], others: Iterable[str]) -> list[tuple[str, str]]:
    """Pair labels that may be meant to be the same.

    Examples
    --------
    >>> near_labels(["01", "pilot"], ["sub-1", "pliot", "7"])
    [('01', 'sub-1'), ('pilot', 'pliot')]
    """
    left, pairs = [], []
    by_key = {label_key(label): label for label in others}
    for label in some:
        other = by_key.pop(label_key(label), None)
        if other is None:
            left.append(label)
        else:
            pairs.append((label, other))
    candidates = {label_key(label): label for label in list(by_key.values())[:_MAX_COMPARED]}
    for label in left[:_MAX_COMPARED]:
        close = difflib.get_close_matches(label_key(label), candidates, n=1, cutoff=0.6)
        if close:
            pairs.append((label, candidates.pop(close[0])))
    return pairs


def label_key(label: str) -> str:
    """Return a label without ``sub-``, leading zeros, case and blanks."""
    text = "".join(unicodedata.normalize("NFKC", label).casefold().split())
    text = re.sub(r"^sub[-_]?(?=.)", "", text)
    text = re.sub(r"(?<!\d)0+(?=\d)", "", text)
    return re.sub(r"(?<=\d)\.0+$", "", text)  # 1.0: a table with gaps turns 01 into it


def near_words(near: Sequence[tuple[str, str]]) -> str:
    """Return what to do about labels that are nearly the same; empty if there are none."""
    if not near:
        return ""
    pairs = listed([f"{a!r} is near {b!r}" for a, b in near], _MAX_NEAR)
    lost = any(re.fullmatch(r"\d+(\.0)?", b) for _, b in near)
    zeros = "; leading zeros stay if labels are read as text" if lost else ""
    return f". The label {pairs}: give both sides the same labels{zeros}"


def _repeated(labels: Iterable[str]) -> list[str]:
    return sorted(label for label, n in Counter(labels).items() if n > 1)
