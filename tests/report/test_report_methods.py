# SPDX-License-Identifier: BSD-3-Clause
"""The paragraph on methods in files of its own, and its references as BibTeX."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import SecondLevelModel
from groupglm.report import HTMLReport
from groupglm.report.methods import bibtex

nib: Any = nibabel  # typed only in part

_REFERENCE = re.compile(r"[A-Z][\w'-]+ [A-Z]{1,4}[,.] .+\b(19|20)\d\d(;[^ ]+)?\.")


def references_of_the_package() -> list[str]:
    """Every text of the sources that is written as a reference."""
    found: dict[str, None] = {}
    for path in Path(groupglm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and _REFERENCE.fullmatch(text):
                found[text] = None
    return list(found)


def test_every_reference_becomes_an_entry_with_its_fields() -> None:
    references = references_of_the_package()
    assert len(references) > 20
    entries = bibtex(references).split("\n\n")
    assert len(entries) == len(references)
    for reference, entry in zip(references, entries, strict=True):
        wanted = {"article": ("journal", "volume", "pages"), "book": ("publisher",)}
        kind = entry.partition("{")[0].removeprefix("@")
        assert kind in wanted, reference
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
        assert fields.keys() >= {"author", "title", "year", *wanted[kind]}, reference
        first = fields["author"].split(" and ")[0].split(",")[0]
        assert reference.startswith(first)
        assert fields["year"] in reference
        where = (
            fields["journal"] if kind == "article" else fields.get("address", fields["publisher"])
        )
        assert f". {where}".replace("\\&", "&") in reference  # no part of a title is taken for it


def test_entries_of_one_author_and_year_have_keys_of_their_own() -> None:
    text = bibtex([f"Welch BL. Title {n}. Biometrika. 1951;38:{n}-{n + 1}." for n in (1, 5, 9)])
    assert re.findall(r"@article\{(\w+),", text) == ["Welch1951", "Welch1951b", "Welch1951c"]


def test_signs_of_tex_are_escaped_and_an_unknown_style_is_a_note() -> None:
    assert r"{A \& B: 5\% of \_x}" in bibtex(["Lee Y. A & B: 5% of _x. J Stat. 2001;1:2-3."])
    assert "@misc{see,\n  note = {see \\{there\\}},\n}" in bibtex(["see {there}"])


@pytest.fixture(scope="module")
def page() -> HTMLReport:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.normal(1, 1, (6, 6, 6)), np.eye(4)) for _ in range(10)]
    mask = nib.Nifti1Image(np.ones((6, 6, 6), np.uint8), np.eye(4))
    model = SecondLevelModel(mask).fit(images, design_matrix=pd.DataFrame({"mean": np.ones(10)}))
    return model.generate_report("mean", height_control="fdr", alpha=0.05)


def test_the_files_say_what_the_page_says(page: HTMLReport, tmp_path: Path) -> None:
    methods = page.methods
    assert methods is not None
    text, references = page.save_methods(tmp_path / "methods.md")
    written = text.read_text(encoding="utf-8")
    assert methods.text in written
    assert "Benjamini and Hochberg, 1995" in methods.text
    for reference in methods.references:
        assert f"- {reference}\n" in written
    assert references.name == "methods.bib"
    assert "@article{Benjamini1995," in references.read_text(encoding="utf-8")


def test_a_page_without_results_has_no_methods(page: HTMLReport, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a name that ends in \.md"):
        page.save_methods(tmp_path / "methods.txt")
    empty = SecondLevelModel()
    with pytest.warns(UserWarning, match="has not been fit yet"):
        report = empty.generate_report()
    assert report.methods is None
    with pytest.raises(ValueError, match="the page has no results"):
        report.save_methods(tmp_path / "methods.md")
