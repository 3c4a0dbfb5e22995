# SPDX-License-Identifier: BSD-3-Clause
"""The random part of a formula: what it says, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from groupglm import design_from_formula, repeated_from_formula
from groupglm.design.formula.building import formula_columns, random_part
from reference.hostile_texts import nothing_executed

pytestmark = pytest.mark.quick

VISITS = pd.DataFrame(
    {
        "subject": ["01", "01", "02", "02", "03", "03", "04"],
        "family": ["a", "a", "a", "a", "b", "b", "b"],
        "group": ["p", "p", "c", "c", "p", "p", "c"],
        "time": [0.0, 1, 0, 1, 0, 2, 1],
        "my visit": ["x", "y"] * 3 + ["x"],
    }
)


@pytest.mark.parametrize(
    ("formula", "subject", "family"),
    [
        ("~ group * time + (1 | subject)", "subject", None),
        ("~ group*time+(1|subject)", "subject", None),
        ("(1 | subject) + group * time", "subject", None),
        ("~ group * time + (1 | family/subject)", "subject", "family"),
        ("~ 0 + group + (1 | `my visit`/subject) + time", "subject", "my visit"),
        ("~ I(time | time) + (1 | `subject`)", "subject", None),
    ],
)
def test_the_random_part_is_read(formula: str, subject: str, family: str | None) -> None:
    part = random_part(formula)
    assert part is not None
    assert (part.subject, part.family) == (subject, family)


def test_the_fixed_part_is_that_of_the_formula_without_the_random_part() -> None:
    for fixed, formula in (
        ("~ group * time", "~ group * time + (1 | subject)"),
        ("~ group * time", "~ (1 | subject) + group * time"),
        ("~ group + time", "~ group + (1 | subject) + time"),
        ("~ 0 + group", "~ (1 | subject) + 0 + group"),
        ("~ 1", "~ (1 | subject)"),
    ):
        wanted = design_from_formula(fixed, VISITS)
        design, _ = repeated_from_formula(formula, VISITS)
        assert list(design) == list(wanted)
        np.testing.assert_array_equal(design, wanted)
        assert formula_columns(formula)[0] == formula_columns(fixed)[0]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("(1 | subject) + (1 | family)", r"crossed random effects, \(1 \| subject\) \+ \(1 \| fam"),
        ("(1 | subject) + (1 | subject)", r"the random part \(1 \| subject\) twice"),
        ("(time | subject)", "a random slope of 'time', which is not supported; write"),
        ("(1 + time | subject)", r"'\(1 \+ time \| subject\)' has a random slope of 'time'"),
        ("(0 + time | subject)", "a random slope of 'time'"),
        ("(log(time) | subject)", r"a random slope of 'log\(time\)'"),
        ("(0 | subject)", "no random intercept"),
        ("(-1 | subject)", "not known; write"),
        ("(2 | subject)", "not known; write"),
        ("(1 || subject)", r"'\(1 \|\| subject\)' has '\|\|', uncorrelated random effects"),
        ("(time || subject)", "uncorrelated random effects"),
        ("(1 | family:subject)", "groups by an interaction"),
        ("(1 | C(subject))", "groups by an expression"),
        ("(1 | {subject})", "groups by an expression"),
        ("(1 | a/b/subject)", "3 levels of groups, more than two"),
        ("(1 | subject/subject)", "names 'subject' twice"),
        ("(1 | subject | family)", "several '|'"),
        ("(1 | subject + family)", "not known; write"),
        ("(1 | subject/)", "not known; write"),
        ("(1 | /subject)", "not known; write"),
        ("(1 | (subject))", "not known; write"),
        ("(1 | 1)", "not known; write"),
        ("(1 |)", "not known; write"),
        ("(| subject)", "nothing before '|'"),
        ("((1 | subject))", "must be a term of its own"),
        ("(time + (1 | subject))", "must be a term of its own"),
        ("time * (1 | subject)", "must be a term of its own"),
        ("(1 | subject):time", "must be a term of its own"),
        ("(1 | subject)**2", "must be a term of its own"),
        ("time - (1 | subject)", "must be a term of its own"),
        ("time (1 | subject)", "'.' at character .* is not expected|must be a term"),
        ("1 | subject", "several parts"),
        ("(1 ~ subject)", "left-hand side"),
        ("(1 | subject", "character"),
        ("(1 | `subject)", "backtick"),
        ("(1 | __import__('os'))", "groups by an expression"),
        ("(1 | subject.__class__)", "which is no column|not understood|not known|expression"),
        ("(1 | " + "/".join("abcdefghij" * 90) + ")", "levels of groups"),
        (" + ".join(["(1 | subject)"] * 300), "twice"),
        ("(" * 19 + "1 | subject" + ")" * 19, "must be a term of its own"),
        ("(1 " + "|" * 4000 + " subject)", r"has '\|\|'"),
    ],
)
def test_other_forms_are_refused_by_name(part: str, told: str) -> None:
    with nothing_executed(), pytest.raises(ValueError, match=told) as caught:
        repeated_from_formula(f"~ group + {part}", VISITS)
    assert len(str(caught.value)) < 1500


def test_a_design_alone_has_no_random_part() -> None:
    with pytest.raises(
        ValueError, match=r"\(1 \| subject\), .* make both by repeated_from_formula"
    ):
        design_from_formula("~ time + (1 | subject)", VISITS)
    with pytest.raises(ValueError, match=r"has no random part; add one.*design_from_formula"):
        repeated_from_formula("~ time", VISITS)
