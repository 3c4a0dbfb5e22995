# SPDX-License-Identifier: BSD-3-Clause
"""The list as tables of the page "Coming from nilearn", one an area."""

from __future__ import annotations

from pathlib import Path

from reference.differences import AREAS, Area

PAGE = Path(__file__).parents[3] / "docs" / "coming-from-nilearn.md"
BEGIN = "<!-- written by `python -m reference.differences --write` in the folder tests -->\n"
END = "<!-- end of what is written -->\n"
_HEADER = "| on this input | nilearn 0.14.1 | groupglm | because |\n|---|---|---|---|\n"


def _section(area: Area) -> str:
    rows = (f"| {d.given} | {d.nilearn} | {d.groupglm} | {d.why} |\n" for d in area.differences)
    return f"### {area.heading}\n\n{_HEADER}{''.join(rows)}"


def tables() -> str:
    """Return the differences as tables, each under the heading of its area."""
    return "\n".join(_section(area) for area in AREAS)


def page() -> str:
    """Return the page with the tables of the list in place of those that it has."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"
