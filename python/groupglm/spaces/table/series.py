# SPDX-License-Identifier: BSD-3-Clause
"""Maps of regions as pandas has them: a Series by region, and what it says of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from groupglm.spaces.statistic import KINDS, OUTPUTS, Statistic, valid_df
from groupglm.tabular.region_tables import DEGREES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "FILE",
    "REGION",
    "common_degrees",
    "frame_of_rows",
    "said_by_series",
    "series_of_row",
]

REGION = "region"
"""The name of the index of a map, and of its column in a file."""

FILE = "groupglm_file"
"""The key, in the attributes of a map, of the file that it was saved in."""

_STATISTIC = "groupglm_statistic"
_COLUMNS = {name: kind for name, kind in OUTPUTS.items() if name != "stat"}


def series_of_row(
    values: NDArray[Any], names: Sequence[str], descrip: str, statistic: Statistic | None
) -> pd.Series[Any]:
    """Return values by region; the Series is called by its description."""
    import pandas as pd

    series = pd.Series(values, pd.Index(names, name=REGION), name=descrip or None)
    if statistic is not None:
        series.attrs[_STATISTIC] = asdict(statistic)
    return series


def frame_of_rows(rows: NDArray[Any], names: Sequence[str]) -> pd.DataFrame:
    """Return rows of values with one column a region."""
    import pandas as pd

    return pd.DataFrame(rows, columns=pd.Index(names, name=REGION))


def common_degrees(images: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attribute of a table of maps that says the degrees of freedom of its t.

    Empty if they differ between regions, or the statistic is F.
    """
    for image in images.values():
        facts = image.attrs.get(_STATISTIC, {})
        if facts.get("kind") == "t" and len(facts.get("df", ())) == 1:
            return {DEGREES: facts["df"][0]}
    return {}


def said_by_series(series: pd.Series[Any]) -> tuple[Statistic | None, str | None]:
    """Return what a Series says that its values are, and the contrast that it names.

    Examples
    --------
    >>> import pandas as pd
    >>> said_by_series(pd.Series([2.5], ["V1"], name="t z_score of contrast age"))
    (Statistic(kind='z', df=(), of_f=False), 'age')
    >>> said_by_series(pd.Series([2.5], ["V1"], name="z_score"))
    (Statistic(kind='z', df=(), of_f=False), None)
    """
    name = series.name if isinstance(series.name, str) else ""
    contrast = name.partition(" of contrast ")[2] or None
    facts = series.attrs.get(_STATISTIC)
    if isinstance(facts, dict) and isinstance(facts.get("kind"), str):
        df = valid_df(facts["kind"], list(facts.get("df", ())))
        described = Statistic.of_description(name)
        one_tail = facts["kind"] == "z" and described is not None and described.one_tail
        return Statistic(facts["kind"], df, bool(facts.get("of_f")), one_tail), contrast
    kind = _COLUMNS.get(name, name)
    if kind in KINDS:
        return Statistic(kind), contrast
    return Statistic.of_description(name), contrast
