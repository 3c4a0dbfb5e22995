# SPDX-License-Identifier: BSD-3-Clause
"""The Python program that makes a report again: `python_script`."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.origins import recorded_origins
from groupglm.group.image_names import files_of
from groupglm.models.base import Model
from groupglm.models.variance_groups import HasGroups
from groupglm.report.permutation_test import PermutationTest
from groupglm.tabular.levels import levels_of

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.design.hypotheses import Hypothesis
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.spaces.base import Source

__all__ = ["Script", "python_script"]

# Parameters that change neither the numbers nor the page.
_LEFT_OUT = ("first_level_contrast", "memory", "memory_level", "verbose")
_VOLUME = re.compile(r"(.+), volume \d+", re.DOTALL)


@dataclass
class Script:
    """Lines of Python, and what a reader must know to run them.

    Parameters
    ----------
    imports : set of str
        Import statements.
    lines : list of str
        The lines after them.
    notes : list of str
        Sentences about what the lines lack; empty if they run as they are.
    """

    imports: set[str] = field(default_factory=lambda: {"from groupglm import SecondLevelModel"})
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The program."""
        modules = sorted(line for line in self.imports if line.startswith("import "))
        names = sorted(line for line in self.imports if line.startswith("from "))
        head = [*modules, *([""] if modules else []), *names, ""]
        return "\n".join([*head, *self.lines, ""])

    def value(self, value: Any, name: str) -> str:
        """Return a value as Python code; a value that is only in memory gets a name to fill in."""
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, np.ndarray):
            self.imports.add("import numpy as np")
            return f"np.array({self.value(value.tolist(), name)})"
        if isinstance(value, list | tuple | Mapping):
            return self._several(value, name)
        if isinstance(value, PermutationTest):
            return self._permutation(value, name)
        if isinstance(value, float) and not np.isfinite(value):
            return f'float("{value}")'
        if value is None or isinstance(value, bool | int | str | float):
            return repr(value)
        return (
            _file_of(value)
            or self._model(value)
            or self.in_memory(name, f"a {type(value).__name__}")
        )

    def _several(self, values: list[Any] | tuple[Any, ...] | Mapping[Any, Any], name: str) -> str:
        if isinstance(values, Mapping):
            items = (f"{self.value(k, name)}: {self.value(v, name)}" for k, v in values.items())
            return f"{{{', '.join(items)}}}"
        inner = ", ".join(self.value(item, name) for item in values)
        if isinstance(values, list):
            return f"[{inner}]"
        return f"({inner},)" if len(values) == 1 else f"({inner})"

    def _permutation(self, test: PermutationTest, name: str) -> str:
        self.imports.add("from groupglm.report import PermutationTest")
        options = [f"n_permutations={test.n_permutations!r}"]
        for option, default in (
            ("two_sided", False), ("cluster_p", None), ("alpha", 0.05), ("sign_flip", None),
            ("assumption", None), ("is_bootstrap", False),
        ):  # fmt: skip
            found = getattr(test, option)
            if found != default:
                options.append(f"{option}={found!r}")
        images = self.value(test.images, f"{name}_images")
        return f"PermutationTest({images}, {', '.join(options)})"

    def _model(self, model: Any) -> str:
        """Return a model and its settings as code; empty if it is none."""
        if not isinstance(model, Model) or isinstance(model, type):
            return ""
        kind = type(model).__name__
        self.imports.add(f"from groupglm import {kind}")
        settings = (f"{key}={self.value(own, key)}" for key, own in model.settings().items())
        return f"{kind}({', '.join(settings)})"

    def in_memory(self, name: str, what: str) -> str:
        """Return a name to fill in, for a value that no file holds."""
        line = f"{name} = ...  # {what} that was in memory only"
        if line not in self.lines:
            self.lines.append(line)
            self.notes.append(
                f"Before these lines run, give {name} its value: it was {what} in memory, which no "
                "file holds."
            )
        return name


def python_script(
    group: FittedGroup,
    design: pd.DataFrame,
    model: Mapping[str, Any],
    report: Mapping[str, Any],
    contrasts: Mapping[str, Hypothesis],
) -> Script:
    """Return the program that makes a report again, from the files that the model was fitted to."""
    script = Script()
    saved = group.saved_in
    if saved is not None:
        meshes = (name for name in ("surfaces", "areas") if model.get(name) is not None)
        options = [f"{own}={script.value(model[own], own)}" for own in meshes]
        text = ", ".join([repr(str(saved)), *options])
        script.lines.append(f"model = SecondLevelModel.load({text})")
    else:
        _fit(script, group, design, model)
    given = {name: value for name, value in report.items() if name not in _LEFT_OUT}
    if not _is_text(given.get("contrasts")):
        columns = list(group.result.column_names)
        # Numbers cannot say that a contrast is compared with a constant.
        given["contrasts"] = {
            name: own.in_words(columns) if own.null_value else own.weights.tolist()
            for name, own in contrasts.items()
        } or None
    sets = given.pop("confidence_sets", None)
    if sets:
        names = [f"{name!r}: {_sets(script, name, own, contrasts)}" for name, own in sets.items()]
        script.lines.append(f"sets = {{{', '.join(names)}}}")
        if saved is not None:
            script.notes.append(
                "Confidence sets need the images, which a saved model does not hold: fit it again."
            )
    arguments = [f"    {name}={script.value(value, name)},\n" for name, value in given.items()]
    arguments += ["    confidence_sets=sets,\n"] if sets else []
    call = f"(\n{''.join(arguments)})" if arguments else "()"
    script.lines += [
        f"report = model.generate_report{call}",
        'report.save_as_html("report.html")',
    ]
    if (
        saved is None
        and not script.notes
        and not all(map(os.path.isabs, itertools.chain(*(_files(group.sources) or ()))))
    ):
        script.notes.append("Run it in the folder from which the files have these names.")
    return script


def _sets(script: Script, name: str, given: Any, contrasts: Mapping[str, Hypothesis]) -> str:
    """Return the code that makes the confidence sets of a contrast; it reads the images."""
    if isinstance(given, list | tuple):
        return f"[{', '.join(_sets(script, name, own, contrasts) for own in given)}]"
    weights = script.value(contrasts[name].weights.tolist(), name)
    own = given.options
    return (
        f"model.compute_confidence_sets({weights}, level={own.level!r}, units={own.units!r}, "
        f"alpha={own.alpha!r}, n_bootstraps={own.n_bootstraps!r}, random_state={own.seed!r})"
    )


def _fit(
    script: Script, group: FittedGroup, design: pd.DataFrame, model: Mapping[str, Any]
) -> None:
    """Write the code for the images, the design matrix and the fit."""
    images = _images(script, group.images, "images")
    arguments = _beside(script, group)
    script.imports.add("import pandas as pd")
    result = group.result
    names = result.column_names[: len(result.column_names) - result.model.beside.count("covariate")]
    columns = "".join(
        f"        {str(name)!r}: {script.value(column.tolist(), 'design')},\n"
        for name, column in zip(names, group.result.X.T, strict=False)
    )
    script.lines.append(f"design = pd.DataFrame(\n    {{\n{columns}    }}\n)")
    levels = levels_of(design)
    if levels:
        script.imports.add("from groupglm.tabular.levels import with_levels")
        script.lines.append(f"design = with_levels(design, {levels!r})")
    origins = recorded_origins(design)
    if origins:
        script.imports.add("from groupglm.design.origins import with_recorded")
        script.lines.append(f"design = with_recorded(design, {origins!r})")
    given = {name: value for name, value in model.items() if name not in _LEFT_OUT}
    if isinstance(given.get("model"), HasGroups):
        given["model"] = group.result.model  # whose labels are in the order of the images
    options = ", ".join(f"{name}={script.value(value, name)}" for name, value in given.items())
    script.lines += [
        f"model = SecondLevelModel({options})",
        f"model.fit({', '.join([images, 'design_matrix=design', *arguments])})",
    ]


def _images(script: Script, sources: Sequence[Source], name: str) -> str:
    """Write the code that names files, and return what stands for them."""
    files = _files(sources)
    if files is None:
        is_table = _table_file(sources) is not None
        n = len(sources)
        return script.in_memory(
            name, f"a table of {n} rows" if is_table else f"a list of {n} images"
        )
    items = [repr(own if len(own) > 1 else own[0]) for own in files]
    listed = "".join(f"    {item},\n" for item in items)
    written = items[0] if len(files) < len(sources) else f"[\n{listed}]"
    script.lines.append(f"{name} = {written}")
    return name


def _beside(script: Script, group: FittedGroup) -> list[str]:
    """Write the code for what is beside the images, and return the arguments of ``fit``."""
    roles, names = group.result.model.beside, group.result.column_names
    n_covariates = roles.count("covariate")
    arguments: list[str] = []
    covariates: list[str] = []
    for number, role in enumerate(roles, start=1):
        sources = group.sources[number :: 1 + len(roles)]
        if role == "covariate":
            own = len(covariates) + 1
            title = str(names[len(names) - n_covariates + own - 1])
            covariates.append(f"{title!r}: {_images(script, sources, f'covariate_{own}')}")
        else:
            arguments.append(f"{role}s={_images(script, sources, f'{role}s')}")
    return [*arguments, *([f"covariates={{{', '.join(covariates)}}}"] if covariates else [])]


def _file_of(value: Any) -> str:
    """Return the file of a path or an image as code; empty if there is none."""
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    filename = getattr(value, "get_filename", None)
    name = filename() if callable(filename) else None
    return repr(str(name)) if name else ""


def _table_file(sources: Sequence[Source]) -> str | None:
    """Return the file of the table whose rows these are: empty in memory; None of other images."""
    files = {getattr(source, "table_file", None) for source in sources}
    return files.pop() if len(files) == 1 else None


def _files(sources: Sequence[Source]) -> list[tuple[str, ...]] | None:
    """Return the files of each image; one for all if it is 4-D or a table; None if some have none.

    An image on two hemispheres has two files.
    """
    table = _table_file(sources)
    if table is not None:
        return [(table,)] if table and _is_whole({table}, len(sources)) else None
    files_of_images = [files_of(source) for source in sources]
    if all(_is_file(name) for own in files_of_images for name in own):
        return files_of_images
    names = [source.name for source in sources]
    volumes = [_VOLUME.fullmatch(name) for name in names]
    files = {match[1] for match in volumes if match is not None}
    if len(files) == 1 and all(volumes) and _is_whole(files, len(names)):
        return [tuple(files)]
    return None


def _is_whole(files: set[str], n_images: int) -> bool:
    """Return whether images are all the volumes of one file."""
    from groupglm.spaces.registry import open_inputs

    (name,) = files
    return _is_file(name) and len(open_inputs(name)) == n_images


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no file can have this name
        return False


def _is_text(contrasts: Any) -> bool:
    """Return whether contrasts are names and expressions, which tell a reader most."""
    if isinstance(contrasts, Mapping):
        contrasts = [*contrasts, *contrasts.values()]
    if isinstance(contrasts, list | tuple):
        return all(isinstance(one, str) for one in contrasts)
    return isinstance(contrasts, str)
