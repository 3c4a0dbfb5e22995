# SPDX-License-Identifier: BSD-3-Clause
"""Tables in files: one reader for designs, participants and maps, which moves no value."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from groupglm.bids import read_participants
from groupglm.cli.options.maps import collect_maps
from groupglm.design.matrix import load_design_matrix

pytestmark = pytest.mark.quick

HEADER = ["participant_id", "subject_label", "map_name", "effects_map_path", "age"]


def maps_of(path: Path) -> Any:
    return collect_maps([str(path)], None, None).files


DOORS: list[Callable[[Path], Any]] = [load_design_matrix, read_participants, maps_of]


def line(i: int, **changed: str) -> list[str]:
    values = {"participant_id": f"{i:02d}", "subject_label": f"{i:02d}", "map_name": "a"}
    values |= {"effects_map_path": f"{i}.nii", "age": str(30 + i), **changed}
    return [values[name] for name in HEADER]


def write(path: Path, rows: list[list[str]], separator: str = "\t", code: str = "utf-8") -> Path:
    for i in range(9):
        (path.parent / f"{i}.nii").touch()
    path.write_bytes("\n".join(separator.join(row) for row in rows).encode(code))
    return path


ROWS = [HEADER, *(line(i) for i in range(6))]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([HEADER, line(0), [*line(1), "x"], line(2)], "more values in a row .*line 3 has 6.* 5;"),
        ([HEADER, *([*line(i), ""] for i in range(4))], "more values .*line 2.*end no line with"),
        ([HEADER, line(0), line(1)[:4]], "fewer values .*line 3 has 4, the header 5; write n/a"),
        ([[*HEADER[:4], "map_name"], line(0)], "has the column 'map_name' more than once"),
        ([HEADER, line(0, age='"31'), line(1)], "cannot be read as a table: line"),
    ],
)
def test_what_would_shift_or_drop_a_value_is_refused(
    door: Any, rows: list[list[str]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"table\.tsv'.*{message}"):
        door(write(tmp_path / "table.tsv", rows))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("suffix", "separator", "message"),
    [
        (".csv", ";", "separated by semicolons, but its suffix .csv stands for commas; save it wi"),
        (".tsv", ",", "separated by commas, but its suffix .tsv stands for tabs"),
        (".csv", "\t", "separated by tabs, but its suffix .csv stands for commas"),
    ],
)
def test_another_separator_is_called_what_it_is(
    door: Any, suffix: str, separator: str, message: str, tmp_path: Path
) -> None:
    rows = [HEADER, *(line(i, age=f"{30 + i}.5") for i in range(4))]
    with pytest.raises(ValueError, match=message):
        door(write(tmp_path / f"table{suffix}", rows, separator))


def test_a_semicolon_file_has_decimal_commas(tmp_path: Path) -> None:
    rows = [HEADER, *(line(i, age=f"{30 + i},5") for i in range(4))]
    with pytest.raises(ValueError, match=r"semicolons.* save it with commas and a decimal point"):
        read_participants(write(tmp_path / "table.csv", rows, ";"))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("latin-1", r"not in UTF-8: line 4 has the byte 0xe9.* 'CSV UTF-8'"),
        ("utf-16", "UTF-16; sa"),
    ],
)
def test_another_encoding_says_how_to_save(
    door: Any, code: str, message: str, tmp_path: Path
) -> None:
    rows = [*ROWS[:3], line(3, map_name="hépital"), *ROWS[4:]]
    with pytest.raises(ValueError, match=message):
        door(write(tmp_path / "table.csv", rows, ",", code))


@pytest.mark.parametrize("door", DOORS)
def test_empty_rows_and_a_mark_of_the_encoding_are_left_out(door: Any, tmp_path: Path) -> None:
    plain = door(write(tmp_path / "plain.tsv", ROWS))
    empty = [*ROWS[:2], [""], ["", "", "", "", ""], *ROWS[2:], ["  ", "", "", "", ""], [""], [""]]
    spaced = door(write(tmp_path / "spaced.tsv", empty, code="utf-8-sig"))
    if isinstance(plain, dict):
        assert plain == spaced
    else:
        pd.testing.assert_frame_equal(plain, spaced)
        assert plain["age"].dtype == "int64"  # an empty row makes no float of whole numbers


def test_quoted_values_keep_what_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text('participant_id,site,age\n01,"Bonn, Venusberg",1\n02,"two\nlines",2\n')
    assert read_participants(path)["site"].tolist() == ["Bonn, Venusberg", "two\nlines"]


def test_the_reader_is_linear_in_the_rows(tmp_path: Path) -> None:
    """What is counted is memory, and function calls by their number: no clock."""
    import sys

    def cost(n: int) -> tuple[int, int]:
        path = tmp_path / f"{n}.tsv"
        lines = "".join(f"sub-{i:06d}\t{20 + i % 60}\n" for i in range(n))
        path.write_text("participant_id\tage\n" + lines)
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            assert len(read_participants(path)) == n
        finally:
            sys.setprofile(None)
        tracemalloc.start()
        read_participants(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return calls, peak

    cost(100)  # imports
    (few, small), (many, large) = cost(2_000), cost(20_000)
    assert many < 12 * few
    assert large < 12 * small


def test_two_hundred_thousand_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "people.tsv"
    lines = "".join(f"sub-{i:06d}\t{20 + i % 60}\n" for i in range(200_000))
    path.write_text("participant_id\tage\n" + lines)
    table = read_participants(path)  # with a search for repeats by pairs: hours
    assert len(table) == 200_000
    assert table.index[-1] == "199999"


def test_missing_values_between_blanks_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    path.write_text("participant_id\tage\tgroup\n01\t 31\ta\n02\t n/a\tN/a \n03\t30 \tb\n")
    table = read_participants(path)
    assert table["age"].tolist()[::2] == [31, 30]
    assert table.loc["02"].isna().all()
