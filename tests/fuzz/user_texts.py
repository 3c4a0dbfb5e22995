# SPDX-License-Identifier: BSD-3-Clause
"""Formulas, contrasts and Stats Models, and what must hold when any text is read as one.

A *case* is bytes: the first says which door the rest, as UTF-8, is given to.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from groupglm.bids import read_stats_model
from groupglm.cli.options.common import NamedContrast
from groupglm.design.contrasts import contrast_matrix, term_columns
from groupglm.design.formula.building import design_from_formula, random_part
from groupglm.models.repeated_formula import repeated_from_formula
from reference.hostile_texts import CONTRASTS, FORMULAS, nothing_executed

TABLE = pd.DataFrame(
    {
        "age": [20.0, 31, 42, 25, 36, 58],
        "site": [1, 2, 3, 1, 2, 3],
        "group": ["patient", "control", "patient", "control", "control", "patient"],
        "dose (mg)": [1.0, 2, 4, 8, 16, 32],
        "sex": pd.Categorical(list("fmfmmf"), categories=["m", "f", "x"]),
        "old": [False, False, True, False, True, True],
    },
    index=[f"{i:02d}" for i in range(1, 7)],
)
COLUMNS = [
    "Intercept",
    "age",
    "C(site)[T.2]",
    "C(site)[T.3]",
    "group[T.patient]",
    "age:group[T.patient]",
    "I(age ** 2)",
    "np.log(`dose (mg)`)",
    "dose (mg)",
    "who[T.it's]",
    "a-b",
]

SOUND_FORMULAS = [
    "~ age + C(group)",
    "~ 0 + group*age - age:group",
    "~ (age + site + group)**2",
    "~ age %in% group + site/age",
    "~ poly(age, 2) + bs(`dose (mg)`, df=4, degree=2) + cr(age, df=3)",
    "~ C(site, Treatment(2)) + C(group, contr.sum()) + C(sex, levels=['f', 'm'])",
    "~ I((age > 30) & (group == 'patient')) + np.where(old, age, 0)",
    "~ scale(age, center=True, scale=False, ddof=0) + np.clip(age, 20, 40)",
    "~ {age / 10} + log(`dose (mg)`) + exp10(old) + standardize(site)",
    "~ age + (1 | site) + sex",
    "~ (1 | group/`dose (mg)`) + 0 + age",
    "~ C(site, Poly(scores=[1, 2, 4])) + C(group, Helmert(scale=True)) + C(sex, Diff())",
]
SOUND_CONTRASTS = [
    "age",
    "2*group[T.patient]:age - I(age**2)/3",
    "np.log(`dose (mg)`) + `dose (mg)` - (age + Intercept)/2",
    "site",
    "age:group = 0",
    "[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]",
    "x=site[T.2]; C(site)[T.3]",
    "who[T.it's] - `a-b`",
]
_NODE = {
    "Level": "Dataset",
    "Name": "group",
    "GroupBy": ["contrast"],
    "Transformations": {
        "Transformer": "pybids-transforms-v1",
        "Instructions": [
            {"Name": "Factor", "Input": ["group"], "Constraint": "drop_one"},
            {"Name": "Scale", "Input": ["age"], "Output": ["years"], "Demean": True},
            {"Name": "Product", "Input": ["age", "site"], "Output": ["both"]},
        ],
    },
    "Model": {"Type": "glm", "X": [1, "age", "group.*"], "Formula": "1 + age + years"},
    "Contrasts": [
        {"Name": "c", "ConditionList": ["age"], "Weights": ["1/3"], "Test": "t"},
        {"Name": "f", "ConditionList": ["age", "years"], "Weights": [[1, 0], [0, 1]], "Test": "F"},
    ],
    "DummyContrasts": {"Test": "t", "Contrasts": ["age", 1]},
}
WORDS = [
    *[
        "+",
        "-",
        "*",
        "/",
        "**",
        ":",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "`",
        "'",
        '"',
        ",",
        "=",
        "==",
        "<",
        ">",
        "&",
        "|",
        "~",
        "%in%",
        "0",
        "1",
        "2",
        "1e9",
        ".5",
        "\\",
        ";",
        "#",
        "@",
        ".",
    ],
    *TABLE.columns,
    *[
        "I(",
        "C(",
        "np.log(",
        "poly(",
        "bs(",
        "cr(",
        "cc(",
        "scale(",
        "center(",
        "Treatment(",
        "contr.sum()",
        "Poly(",
        "np.where(",
    ],
    *[
        "out=",
        "levels=",
        "degree=",
        "df=",
        "knots=",
        "scores=",
        "contrasts=",
        "__class__",
        "__import__",
        "lambda",
    ],
    *["group[T.patient]", "site[T.2]", "C(site)[T.3]", "I(age**2)", "Intercept"],
    *[
        '"Name":',
        '"Weights":',
        '"X":',
        '"Formula":',
        '"Input":',
        '"Output":',
        '"Edges":',
        "null",
        "true",
        "1e999",
        "NaN",
    ],
    *["µ", "²", "\u2028", "\ud7ff", "\x00", "\n"],
]


def cases() -> Iterator[bytes]:
    """Make sound cases, and the hostile ones that are known."""
    for door, texts in enumerate((SOUND_FORMULAS + FORMULAS, SOUND_CONTRASTS + CONTRASTS)):
        for text in texts:
            if len(text) < 1_000:
                yield bytes([door]) + text.encode(errors="surrogatepass")
    for changes in ({}, {"Model": {"X": [1, "age"]}}, {"DummyContrasts": None}):
        nodes = [{"Level": "Subject", "Name": "s"}, {**_NODE, **changes}]
        facts = {"Name": "m", "BIDSModelVersion": "1.0.0", "Nodes": nodes}
        yield bytes([2]) + json.dumps(facts).encode()


def check(case: bytes, folder: Path) -> str:
    """Read a case as what its first byte says; whatever it is, it is refused in words, or sound.

    Parameters
    ----------
    case : bytes
        Any bytes, at least one.
    folder : pathlib.Path
        Not used: nothing may be written.

    Returns
    -------
    str
        "refused" or "sound".

    Raises
    ------
    AssertionError
        If something was executed, the table changed, or the result is not what it should be.
    Exception
        Anything but a ValueError in words is a fault of the package.
    """
    text = case[1:].decode(errors="replace")
    before = TABLE.copy(deep=True)
    _load()
    door = (_check_formula, _check_contrast, _check_model)[case[0] % 3]
    outcome = "sound"
    try:
        with nothing_executed():
            door(text)
    except ValueError as error:
        _check_refusal(error)
        outcome = "refused"
    pd.testing.assert_frame_equal(TABLE, before, check_exact=True)
    assert not any(folder.iterdir())
    return outcome


@functools.cache
def _load() -> None:
    """Read every sound text once, so that all imports, which execute code, happen now."""
    for text in SOUND_FORMULAS:
        _check_formula(text)
    for text in SOUND_CONTRASTS:
        _check_contrast(text)


def _check_refusal(error: ValueError) -> None:
    """Check that the refusal is in words, and that its cause is the text, not our code."""
    assert str(error).strip()
    assert not isinstance(error, UnicodeError)
    faults = (MemoryError, SystemError, AssertionError, KeyError, AttributeError, NameError)
    assert not isinstance(error.__cause__, faults), repr(error.__cause__)


def _check_design(design: pd.DataFrame) -> None:
    assert list(design.index) == list(TABLE.index)
    assert design.columns.is_unique
    assert set(design.dtypes) == {np.dtype(np.float64)}
    assert np.isfinite(design.to_numpy()).all()


def _check_formula(text: str) -> None:
    if random_part(text) is None:
        design = design_from_formula(text, TABLE)
    else:
        design, model = repeated_from_formula(text, TABLE)
        assert len(np.asarray(model.subjects)) == len(TABLE)
        design = design.set_axis(TABLE.index, axis="index")
    _check_design(design)
    names = [str(name) for name in design]
    for place, name in enumerate(names):
        np.testing.assert_array_equal(contrast_matrix(name, names), np.eye(len(names))[place])


def _check_contrast(text: str) -> None:
    _, rows = NamedContrast(text).split(COLUMNS)
    for row in rows:
        values = contrast_matrix(row, COLUMNS)
        assert values.shape[-1] == len(COLUMNS)
        assert np.isfinite(values).all()
        assert np.any(values)
        assert set(term_columns(row, COLUMNS)) <= set(COLUMNS)


def _check_model(text: str) -> None:
    try:
        facts: Any = json.loads(text)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(facts, dict):
        raise ValueError("not an object")  # noqa: TRY004
    model = read_stats_model(facts)
    design = model.design_matrix(TABLE)
    _check_design(design)
    names = [str(name) for name in design]
    for contrast in model.contrasts_of(names):
        assert np.isfinite(np.asarray(contrast.over(names), dtype=float)).all()
