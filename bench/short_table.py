# SPDX-License-Identifier: BSD-3-Clause
"""The few figures that the project's README shows, taken from the table of bench/README.md."""

from __future__ import annotations

from pathlib import Path

BENCHES = Path(__file__).with_name("README.md")
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"

# The row's name there, and what a reader who does not know the benches calls it.
SHOWN = {
    "100 maps: fit, 3 t, 1 F, all outputs, mask given": "100 maps: fit, four contrasts, all maps",
    "100 maps: fit, 3 t, 1 F, all outputs: peak memory": "the same: peak memory",
    "one more contrast, every output": "one more contrast",
    "30 maps, fit and one contrast, smoothing_fwhm=8": "30 maps, smoothed by 8 mm: fit, a contrast",
    "TFCE, 6-connectivity, a permutation of 20 maps (one process of nilearn's)": (
        "TFCE: one permutation of 20 maps"
    ),
    "z-map: table of clusters, both tails": "table of clusters",
    "report on 20 maps, two contrasts": "report on 20 maps",
    "import": "import",
}


def short_table() -> str:
    """Return the rows above, medians only, with the machine they were measured on."""
    text = BENCHES.read_text(encoding="utf-8")
    machine = next(line for line in text.splitlines() if line.startswith("Machine: "))
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    rows = {row[0]: row[1:4] for row in cells if len(row) == 6}
    lines = ["| work | groupglm | nilearn | ratio |", "|---|---|---|---|"]
    for name, shown in SHOWN.items():
        ours, theirs, ratio = (value.split(" (min")[0] for value in rows[name])
        lines.append(f"| {shown} | {ours} | {theirs} | {ratio} |")
    return "\n".join([*lines, "", machine])


def write_short_table() -> None:
    """Put the table into the project's README."""
    page = README.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{short_table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write_short_table()
