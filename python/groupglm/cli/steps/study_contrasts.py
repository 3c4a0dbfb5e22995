# SPDX-License-Identifier: BSD-3-Clause
"""The contrasts of a study: those of options, and those of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.results.names import Contrast
from groupglm.runtime.naming import slug

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.options.common import NamedContrast

__all__ = ["check_estimable", "contrasts_of_files", "read_contrasts"]


def read_contrasts(
    given: Sequence[NamedContrast],
    design: pd.DataFrame,
    files: Sequence[Path] = (),
    *,
    option: str = "--contrast",
    covariates: Sequence[str] = (),
) -> list[Contrast]:
    """Read contrasts over a design's columns, and those of voxelwise covariates after them."""
    read = [_contrast(contrast, design, option, covariates) for contrast in given]
    read += contrasts_of_files(files, design, covariates)
    names = [contrast.name for contrast in read]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"several contrasts are called {twice[0]!r}; name them apart: NAME=EXPR, "
            "and in files each by a name of its own"
        )
    return read


def _contrast(
    given: NamedContrast, design: pd.DataFrame, option: str, covariates: Sequence[str]
) -> Contrast:
    from groupglm.design.collinearity import quote_names
    from groupglm.design.contrasts import contrast_matrix, term_columns
    from groupglm.design.hypotheses import split_constant

    columns = [*map(str, design.columns), *covariates]
    name, rows = given.split(columns)
    null_value = 0.0
    try:
        if len(rows) == 1:
            rows[0], null_value = split_constant(rows[0], columns)
        rows = [each for row in rows for each in term_columns(row, columns) or [row]]
        matrix = [contrast_matrix(row, columns) for row in rows]
    except ValueError as error:
        raise ValueError(f"{option} {given.text!r}: {error}") from error
    if null_value and len(rows) > 1:
        raise ValueError(
            f"{option} {given.text!r}: {quote_names(rows)} are tested together, whether all are 0; "
            f"compare one of them with {null_value:g}"
        )
    for row, weights in zip(rows, matrix, strict=True):
        # Whether a covariate can be estimated differs by place, and is known after reading.
        check_estimable(row, weights[: design.shape[1]], design)
    weights_of = [weights.tolist() for weights in matrix]
    return Contrast(
        name=name,
        expression=f"{rows[0]} = {null_value!r}" if null_value else "; ".join(rows),
        weights=weights_of[0] if len(weights_of) == 1 else weights_of,
        columns=columns,
        label=slug(name),
        null_value=null_value,
    )


def contrasts_of_files(
    files: Sequence[Path], design: pd.DataFrame, covariates: Sequence[str] = ()
) -> list[Contrast]:
    """Read the contrasts of files; FSL's .fts is about the .con that is given before it."""
    from groupglm.design.contrast_files import F_TESTS, load_contrasts
    from groupglm.design.weights_in_words import describe_weights

    columns = [*map(str, design.columns), *covariates]
    contrasts = []
    for path, f_tests in _with_f_tests(files, F_TESTS):
        for name, weights in load_contrasts(path, columns, f_tests=f_tests).items():
            for row in weights if weights.ndim == 2 else [weights]:
                check_estimable(name, row[: design.shape[1]], design)
            said = describe_weights(weights, columns)
            contrasts.append(Contrast(name, said, weights.tolist(), columns, slug(name)))
    return contrasts


def _with_f_tests(files: Sequence[Path], ending: str) -> list[tuple[Path, Path | None]]:
    """Return each file of contrasts, with the F tests that are given after it."""
    pairs: list[tuple[Path, Path | None]] = []
    for path in files:
        if path.suffix.lower() != ending:
            pairs.append((path, None))
            continue
        if not pairs or pairs[-1][1] is not None:
            raise ValueError(
                f"--contrasts '{path}' holds F tests, which are sets of the contrasts of another "
                "file; give that before it: --contrasts design.con --contrasts design.fts"
            )
        pairs[-1] = (pairs[-1][0], path)
    return pairs


def check_estimable(said: str, weights: Any, design: pd.DataFrame) -> None:
    """Refuse a row of a contrast that the design cannot estimate.

    Shapes: `weights` (n_columns,).
    """
    from groupglm.design.matrix import confounded_columns
    from groupglm.errors import NotEstimableError

    confounded = confounded_columns(design.to_numpy(), [str(c) for c in design.columns], weights)
    if confounded:
        raise NotEstimableError(
            f"contrast {said!r} cannot be estimated: the design cannot tell apart the columns "
            f"{', '.join(map(repr, confounded))}; drop one of them from the formula, or test "
            "a contrast that does not depend on how the effect is shared among them"
        )
