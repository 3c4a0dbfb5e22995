# SPDX-License-Identifier: BSD-3-Clause
"""Tables of names of labels: each format, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from groupglm.atlases.label_tables import label_table
from groupglm.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {1: "Frontal Pole", 17: "Left-Hippocampus", 2001: "NA"}
FSL = """<?xml version="1.0" encoding="ISO-8859-1"?>
<atlas version="1.0"><header><name>Own</name><type>{kind}</type></header>
<data>{labels}</data></atlas>"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "index\tname\tcolor\n1\tFrontal Pole\t#fff\n17\tLeft-Hippocampus\t#000\n"
                  "2001\tNA\tn/a\n"),
        ("a.csv", "label,region\n1,Frontal Pole\n17,Left-Hippocampus\n2001,NA\n"),
        ("a.txt", "#No. Label Name: R G B A\n\n1  Frontal Pole  220 216 20 0\n"
                  "17 Left-Hippocampus 1 2 3 0\n2001 NA 0 0 0\n"),
        ("b.txt", "1 Frontal Pole\n17\tLeft-Hippocampus\r\n2001 NA\n"),
        ("a.xml", FSL.format(kind="Label", labels="".join(
            f'<label index="{n}" x="1" y="2" z="3">{name}</label>' for n, name in NAMES.items()))),
        ("b.xml", FSL.format(kind="Probabilistic", labels="".join(
            f'<label index="{n - 1}">{name}</label>' for n, name in NAMES.items()))),
        ("c.xml", "<atlas><data>" + "".join(
            f"<label><index>{n}</index><name>{name}</name></label>" for n, name in NAMES.items())
            + "</data></atlas>"),
    ],
)  # fmt: skip
def test_each_format_gives_the_same_names(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert label_table(path) == NAMES
    assert label_table(str(path)) == NAMES


def test_a_frame_and_a_mapping_give_names() -> None:
    frame = pd.DataFrame({"name": list(NAMES.values()), "Index": [float(n) for n in NAMES]})
    assert label_table(frame) == NAMES
    assert label_table({1: None, 2: "two"}) == {2: "two"}
    assert (
        label_table({1.0: " Frontal  Pole ", "17": "Left-Hippocampus", 2001: "NA", 3: ""}) == NAMES
    )


def test_latin_1_of_fsl_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    text = FSL.format(kind="Label", labels='<label index="1">Gyrus prél.</label>')
    path.write_bytes(text.encode("latin-1"))
    assert label_table(path) == {1: "Gyrus prél."}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "index\tname\n1\tone\n1\ttwo\n", "two names of the label 1"),
        ("a.tsv", "number\n1\n", "one called name"),
        ("a.tsv", "index\tname\n1.5\tone\n", "'1.5' where a label's number"),
        ("a.tsv", "index\tname\nx\tone\n", "'x' where a label's number"),
        ("a.txt", "1 one\nnothing\n", "line 2 is 'nothing'"),
        ("a.txt", "# nothing\n", "names no label"),
        ("a.xml", "<!DOCTYPE a [<!ENTITY e 'x'>]><atlas><data/></atlas>", "document type"),
        ("a.xml", "<other/>", "is no atlas of FSL"),
        ("a.xml", "<atlas><data></data></atlas>", "names no label"),
        ("a.xml", '<atlas><data><label index="x">a</label></data></atlas>', "'x' where"),
        ("a.doc", "1 one", "has the ending '.doc'"),
        ("a.tsv", "index\tname\n", "a.tsv' names no label"),
        ("a.tsv", "index\tname\n1\tn/a\n2\t\n", "a.tsv' names no label"),
        (
            "a.tsv",
            "index\tname\n4\t" + "x" * 1001 + "\n",
            "a name of 1001 characters, that of the label 4",
        ),
        ("a.xml", "<atlas><data><label index='0'> </label></data></atlas>", "names no label"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ArgumentError, match=message):
        label_table(path)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    lists: Any = ["a", "b"]
    with pytest.raises(ArgumentTypeError, match="a list does not say"):
        label_table(lists)
    with pytest.raises(ArgumentError, match="does not exist"):
        label_table(tmp_path / "none.tsv")
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(20_000_000)
    with pytest.raises(ArgumentError, match="20000000 bytes"):
        label_table(large)
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(ArgumentError, match="is a folder"):
        label_table(tmp_path / "folder.tsv")
