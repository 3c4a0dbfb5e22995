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
from groupglm import RepeatedMeasures, SecondLevelModel, UnequalVariances
from groupglm.models.effect_size_rules import rules_of
from groupglm.models.equivalence import Bounds
from groupglm.models.ols import Ols
from groupglm.report import HTMLReport
from groupglm.report.further_results import FurtherResults
from groupglm.report.methods import Methods, bibtex, cited
from reference.citations import uncited

nib: Any = nibabel  # typed only in part

_REFERENCE = re.compile(r"[A-Z][\w'-]+ [A-Z]{1,4}[,.] .+\b(19|20)\d\d(;[^ ]+|\. p\. [\d-]+)?\.")


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
        wanted["incollection"] = ("booktitle", "publisher", "pages")
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
        assert cited([reference]) == f"{first}, {fields['year']}"
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


@pytest.mark.parametrize(
    "model",
    [
        "ols",
        "robust",
        UnequalVariances(["a"] * 10 + ["b"] * 10),
        RepeatedMeasures(),
        RepeatedMeasures(covariance="sandwich"),
    ],
    ids=["ols", "robust", "unequal", "repeated", "sandwich"],
)
def test_every_citation_of_every_model_has_its_reference(model: Any) -> None:
    rng = np.random.default_rng(1)
    images = [nib.Nifti1Image(rng.normal(2, 1, (6, 6, 6)), np.eye(4)) for _ in range(20)]
    mask = nib.Nifti1Image(np.ones((6, 6, 6), np.uint8), np.eye(4))
    design = pd.DataFrame({"mean": np.ones(20), "x": np.arange(20) // 10})
    more: dict[str, Any] = {}
    if isinstance(model, RepeatedMeasures):
        more["subjects"] = [f"s{k}" for k in range(10)] * 2
    fitted = SecondLevelModel(mask, model=model).fit(images, design_matrix=design, **more)
    kind: Any = fitted._group.result.model
    methods = fitted.generate_report(
        "mean",
        height_control=["fpr", "fdr", "bonferroni"],
        alpha=[0.01, 0.05, 0.05],
        bg_img=None,
    ).methods
    assert methods is not None
    assert uncited(methods) == []
    named = "as Cohen's d with that of the noncentral t (" in methods.text
    assert named == (not rules_of(kind).cohen_d)
    assert len(set(methods.references)) == len(methods.references)


def test_further_results_are_told_as_their_statistic_defines_them() -> None:
    everything = FurtherResults(
        ("ci", "cohen_d", "partial_r2"),
        True,
        Bounds(-0.2, 0.2, "cohen_d", 0.05),
        "the mask roi.nii",
    )
    text, sources = everything.for_paper(Ols(), ["t", "F"])
    assert uncited(Methods(text, tuple(sources))) == []
    assert "two one-sided tests at 0.05 against bounds of \N{MINUS SIGN}0.2 and 0.2" in text
    assert "a Cauchy prior of Cohen's d of scale 0.7071 for t and the prior of regression" in text
    assert "We mapped 95% intervals of effects" in text
    assert "corrected within the mask roi.nii" in text
    of_f, _ = everything.for_paper(Ols(), ["F"])
    assert "Cohen's d, " not in of_f
    assert "partial R2" in of_f
    assert "two one-sided" not in of_f


def test_no_further_results_have_no_words() -> None:
    assert FurtherResults().for_paper(Ols(), ["t"]) == ("", [])
