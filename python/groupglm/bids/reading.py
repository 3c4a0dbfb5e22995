# SPDX-License-Identifier: BSD-3-Clause
"""A BIDS Stats Model read and checked: what is not supported is refused by name.

The specification: https://bids-standard.github.io/stats-models.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from groupglm.bids.collecting import KEYS
from groupglm.bids.estimators import read_estimator
from groupglm.bids.json_objects import check_keys, list_of, object_of, quoted, read_json, text_of
from groupglm.bids.stats_model import INTERCEPT, ModelContrast, StatsModel
from groupglm.bids.transformations import check_instructions
from groupglm.errors import ArgumentError, in_quotes, warn_caller
from groupglm.runtime.paths import given_path

__all__ = ["read_stats_model"]

_VERSION = "1.0.0"
_MAX_WEIGHT_CHARACTERS = 50

# The keys of each object. The rest of the specification does not concern group models, or is not
# supported.
_MODEL_KEYS = ("Name", "Description", "BIDSModelVersion", "Input", "Nodes", "Edges")
_NODE_KEYS = (
    "Level", "Name", "Description", "GroupBy", "Transformations", "Model", "Contrasts",
    "DummyContrasts",
)  # fmt: skip
_GLM_KEYS = ("Type", "X", "Formula", "Description", "Software", "Options")
_CONTRAST_KEYS = ("Name", "ConditionList", "Weights", "Test", "Description")
_DUMMY_KEYS = ("Contrasts", "Test", "Description")
_EDGE_KEYS = ("Source", "Destination", "Filter", "Description")
_ENTITIES = frozenset({*KEYS, *KEYS.values(), "run", "task", "space", "echo", "dir", "dataset"})
_TRANSFORMATIONS_KEYS = ("Transformer", "Instructions", "Description")


def read_stats_model(
    model: str | os.PathLike[str] | Mapping[str, Any], *, node: str | None = None
) -> StatsModel:
    """Read the dataset-level node of a BIDS Stats Model.

    Parameters
    ----------
    model : path or mapping
        The JSON file, or its content.
    node : str, optional
        Name of the node, if several are of level Dataset.

    Returns
    -------
    StatsModel
        The node, all of whose parts are supported.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read, is not a Stats Model, or has a part that is not supported; the
        message names this part.

    Examples
    --------
    >>> model = read_stats_model({
    ...     "Name": "faces", "BIDSModelVersion": "1.0.0",
    ...     "Nodes": [{"Level": "Dataset", "Name": "group", "GroupBy": ["contrast"],
    ...                "Model": {"Type": "glm", "X": [1, "age"]},
    ...                "DummyContrasts": {"Test": "t"}}]})
    >>> model.x
    ('intercept', 'age')
    >>> [contrast.name for contrast in model.contrasts_of(model.x)]
    ['intercept', 'age']
    """
    facts: Mapping[str, Any]
    if isinstance(model, Mapping):
        facts, where = model, "Stats Model"
    else:
        facts, where = read_json(given_path("model", model)), f"Stats Model {in_quotes(model)}"
    try:
        return _read(facts, node)
    except ValueError as error:
        raise ArgumentError.about("model", f"{where}: {error}") from error


def _read(facts: Mapping[str, Any], wanted: str | None) -> StatsModel:
    if "Steps" in facts:
        raise ValueError(
            "it has 'Steps', as drafts of the specification had; write them as 'Nodes' with "
            "'GroupBy' (BIDSModelVersion 1.0.0)"
        )
    check_keys(facts, _MODEL_KEYS, "it")
    version = facts.get("BIDSModelVersion", _VERSION)
    if not str(version).startswith("1."):
        raise ValueError(
            f"its BIDSModelVersion is {version!r}, which is not supported, only {_VERSION} (and "
            "later ones that begin with 1.)"
        )
    nodes = [object_of(node, "a node") for node in list_of(facts, "Nodes", "it")]
    names = [text_of(node, "Name", "a node") for node in nodes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"several nodes are called {twice[0]!r}; name them apart")
    at = _dataset_node(nodes, names, wanted)
    node, where = nodes[at], f"node {names[at]!r}"
    check_keys(node, _NODE_KEYS, where)
    source, passed = _edge(facts, names, at)
    model = object_of(node.get("Model"), f"{where}: Model")
    check_keys(model, _GLM_KEYS, f"{where}: Model")
    estimator = read_estimator(model, where)
    x, formula = _design(model, where)
    dummy_test, dummies = _dummies(node, where)
    contrasts = tuple(_contrast(c, where) for c in list_of(node, "Contrasts", where, default=[]))
    if not contrasts and dummy_test is None:
        raise ValueError(
            f'{where} has no contrast; add "DummyContrasts": {{"Test": "t"}} or "Contrasts"'
        )
    named = [contrast.name for contrast in contrasts]
    if len(set(named)) < len(named):
        raise ValueError(f"{where} has several contrasts of the same name; name them apart")
    by = _group_by(node, where)
    return StatsModel(
        name=text_of(facts, "Name", "it"),
        node=names[at],
        source=source,
        filters=_joined(_filters(facts.get("Input"), "Input"), passed),
        group_by_contrast="contrast" in by,
        x=x,
        formula=formula,
        instructions=_transformations(node, where),
        contrasts=contrasts,
        dummy_test=dummy_test,
        dummies=dummies,
        estimator=estimator,
        group_by=tuple(name for name in by if name != "contrast"),
        mask=_mask(model, where),
    )


def _dataset_node(nodes: Sequence[Mapping[str, Any]], names: list[str], wanted: str | None) -> int:
    at = [i for i, node in enumerate(nodes) if str(node.get("Level", "")).lower() == "dataset"]
    levels = ", ".join(f"{n!r} ({node.get('Level')})" for n, node in zip(names, nodes, strict=True))
    if wanted is not None:
        at = [i for i in at if names[i] == wanted]
        if not at:
            raise ValueError(f"no node of level Dataset is called {wanted!r}; nodes: {levels}")
    if not at:
        raise ValueError(
            f"it has no node of level Dataset, the only one that is a group model; nodes: {levels}"
        )
    if len(at) > 1:
        raise ValueError(f"it has several nodes of level Dataset; choose one: {levels}")
    return at[0]


def _edge(
    facts: Mapping[str, Any], names: list[str], at: int
) -> tuple[str | None, dict[str, tuple[str, ...]]]:
    """Return the node whose output this node gets, and which of its outputs."""
    edges = list_of(facts, "Edges", "it", default=[])
    if not edges:  # without edges, nodes follow in order
        return (names[at - 1] if at else None), {}
    into = []
    for edge in edges:
        found = object_of(edge, "an edge")
        check_keys(found, _EDGE_KEYS, "an edge")
        for key in ("Source", "Destination"):
            if found.get(key) not in names:
                raise ValueError(f"an edge has {key} {found.get(key)!r}, which is no node")
        if found["Destination"] == names[at]:
            into.append(found)
    if not into:
        return None, {}
    if len(into) > 1:
        raise ValueError(
            f"node {names[at]!r} takes the outputs of several nodes "
            f"({quoted([edge['Source'] for edge in into])}), which is not supported; keep one edge"
        )
    return str(into[0]["Source"]), _filters(into[0].get("Filter"), "the edge's Filter")


def _filters(given: Any, where: str) -> dict[str, tuple[str, ...]]:
    if given is None:
        return {}
    filters = {}
    for key, value in object_of(given, where).items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, str | int) for v in values):
            raise ValueError(f"{where} has {key!r}: {value!r}; it must be a list of labels")
        filters[KEYS.get(key, key)] = tuple(str(v) for v in values)
    return filters


def _joined(
    first: Mapping[str, tuple[str, ...]], second: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    joined = {**first, **second}
    for key in set(first) & set(second):
        joined[key] = tuple(value for value in first[key] if value in second[key])
        if not joined[key]:
            raise ValueError(f"Input and the edge's Filter have no {key} in common")
    return joined


def _group_by(node: Mapping[str, Any], where: str) -> list[str]:
    """Return what has fits of its own: each contrast, each level of columns of participants."""
    given = node.get("GroupBy")
    if given is None:
        raise ValueError(f'{where} has no GroupBy; for group models write "GroupBy": ["contrast"]')
    keys = list_of(node, "GroupBy", where)
    other = [str(key) for key in keys if not isinstance(key, str) or key in _ENTITIES]
    if other:
        raise ValueError(
            f"{where}: GroupBy {quoted(other)} is not supported, only 'contrast' and columns of "
            "the participants table; choose maps by Input, or by options, and fit once for each"
        )
    if len(set(keys)) < len(keys):
        raise ValueError(f"{where}: GroupBy names {quoted(keys)}, one of them twice")
    return [str(key) for key in keys]


def _mask(model: Mapping[str, Any], where: str) -> dict[str, tuple[str, ...]] | None:
    """Return the entities of the mask; other options are about time series."""
    given = model.get("Options")
    if not given:
        return None
    options = object_of(given, f"{where}: Model.Options")
    other = sorted(set(options) - {"Mask", "Description"})
    if other:
        raise ValueError(
            f"{where}: Model.Options {quoted(other)} are not supported, only 'Mask'; leave them to "
            "the nodes of the runs"
        )
    if "Mask" not in options:
        return None
    mask = _filters(options["Mask"], f"{where}: Model.Options.Mask")
    if not mask:
        raise ValueError(
            f"{where}: Model.Options.Mask is empty; give entities of its file, such as "
            '{"desc": "brain", "suffix": "mask"}'
        )
    return mask


def _design(model: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], str | None]:
    formula = model.get("Formula")
    if formula is None and model.get("X") is None:
        raise ValueError(
            f"{where}: Model has neither X nor Formula; [1] as X is the mean of all subjects"
        )
    given = list_of(model, "X", f"{where}: Model", default=None if formula is None else [])
    x = tuple(_variable(name, f"{where}: Model.X") for name in given)
    if not x and formula is None:
        raise ValueError(f"{where}: Model.X is empty; [1] is the mean of all subjects")
    if len(set(x)) < len(x):
        raise ValueError(f"{where}: Model.X names a column twice ({quoted(x)})")
    if formula is not None:
        unused = _unused(x, formula, f"{where}: Model.Formula")
        if unused:
            warn_caller(
                f"{where}: Model.X names {quoted(unused)}, which Model.Formula {formula!r} does "
                "not have; the design is that of the formula"
            )
    return x, formula


def _unused(x: Sequence[str], formula: Any, where: str) -> list[str]:
    """Return the entries of `X` that a formula does not use, except intercepts and patterns."""
    from groupglm.design.formula.building import formula_columns

    columns: list[str] = []
    says_intercept = False
    if isinstance(formula, str):
        try:
            columns, says_intercept = formula_columns(formula)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    if not says_intercept:
        raise ValueError(
            f"{where} is {formula!r}; it must be text with a term 1 or 0, which says whether there "
            "is an intercept"
        )
    return [
        name
        for name in x
        if name not in columns and name != INTERCEPT and not re.search(r"[*?\[]", name)
    ]


def _variable(name: Any, where: str) -> str:
    if name == 1 and not isinstance(name, bool):
        return INTERCEPT
    if isinstance(name, str) and name.lower() == INTERCEPT:
        return INTERCEPT
    if not isinstance(name, str) or not name or "`" in name:
        raise ValueError(f"{where} has {name!r}; it must be a list of names of columns, and 1")
    return name


def _transformations(node: Mapping[str, Any], where: str) -> tuple[dict[str, Any], ...]:
    given = node.get("Transformations")
    if given is None:
        return ()
    where = f"{where}: Transformations"
    found = object_of(given, where)
    check_keys(found, _TRANSFORMATIONS_KEYS, where)
    if found.get("Transformer") != "pybids-transforms-v1":
        raise ValueError(
            f"{where}: the Transformer {found.get('Transformer')!r} is not supported, only "
            "'pybids-transforms-v1'"
        )
    return check_instructions(list_of(found, "Instructions", where), f"{where}.Instructions")


def _dummies(
    node: Mapping[str, Any], where: str
) -> tuple[Literal["t", "F"] | None, tuple[str, ...] | None]:
    given = node.get("DummyContrasts")
    if given is None or given is False:
        return None, None
    where = f"{where}: DummyContrasts"
    found = object_of(given, where)
    check_keys(found, _DUMMY_KEYS, where)
    columns = None
    if "Contrasts" in found:
        columns = tuple(_variable(name, where) for name in list_of(found, "Contrasts", where))
    return _test(found, where), columns


def _contrast(given: Any, where: str) -> ModelContrast:
    found = object_of(given, f"{where}: a contrast")
    check_keys(found, _CONTRAST_KEYS, f"{where}: a contrast")
    # FitLins also names the intercept's contrast 1.
    name = INTERCEPT if found.get("Name") == 1 else text_of(found, "Name", f"{where}: a contrast")
    where = f"{where}: contrast {name!r}"
    conditions = tuple(_variable(c, where) for c in list_of(found, "ConditionList", where))
    test = _test(found, where)
    weights = list_of(found, "Weights", where)
    rows = weights if weights and all(isinstance(row, list) for row in weights) else [weights]
    numbers = tuple(tuple(_number(weight, where) for weight in row) for row in rows)
    if any(len(row) != len(conditions) for row in numbers) or not conditions:
        raise ValueError(
            f"{where}: Weights {weights!r} do not fit ConditionList ({quoted(conditions)}); give "
            "one number for each, or such a list for each row of an F test"
        )
    if test == "t" and len(numbers) > 1:
        raise ValueError(f'{where}: {len(numbers)} rows of Weights need "Test": "F"')
    if not all(any(row) for row in numbers):
        raise ValueError(f"{where}: a row of Weights has only zeros")
    return ModelContrast(name, conditions, numbers, test)


def _number(weight: Any, where: str) -> float:
    """Return a weight; a text of very many digits is not evaluated exactly."""
    number = math.nan
    try:
        if isinstance(weight, str) and len(weight) <= _MAX_WEIGHT_CHARACTERS:
            numerator, _, denominator = weight.partition("/")
            number = float(numerator) / float(denominator or 1)
        elif isinstance(weight, int | float) and not isinstance(weight, bool):
            number = float(weight)
    except (ValueError, ZeroDivisionError, OverflowError):
        pass
    if not math.isfinite(number):
        raise ValueError(
            f"{where}: the weight {repr(weight)[:60]} is no number, and no fraction such as '1/3'"
        )
    return number


def _test(found: Mapping[str, Any], where: str) -> Literal["t", "F"]:
    test = found.get("Test")
    if test == "t":
        return "t"
    if test == "F":
        return "F"
    raise ValueError(f"{where}: Test is {test!r}; supported are 't' and 'F'")
