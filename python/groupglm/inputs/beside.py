# SPDX-License-Identifier: BSD-3-Clause
"""What a user gives beside the images: variances, weights and covariates: `Beside`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, warn_caller
from groupglm.messages import argument as named
from groupglm.models.kinds import DEFAULT_MODEL, with_beside
from groupglm.runtime.naming import listed
from groupglm.spaces.registry import grouped
from groupglm.tabular.labels import LABEL, label_key, labelled, row_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.models.base import Model
    from groupglm.spaces.base import Source

__all__ = ["COLUMNS", "Beside", "collected", "interleaved"]

COLUMNS = {"variance": "variances_map_path", "weight": "weights_map_path"}
"""The columns of a table of maps that hold what is beside them, by roles."""


@dataclass(frozen=True, eq=False)
class Beside:
    """Images that belong to the images of a model, one to one.

    Parameters
    ----------
    variances, weights : optional
        As `second_level_input` may be images.
    covariates : mapping of str to images
        By name.
    roles : tuple of str
        Those of the rows that the model takes beside each image.
    """

    variances: Any = None
    weights: Any = None
    covariates: Mapping[str, Any] = field(default_factory=dict)
    roles: tuple[str, ...] = ()

    @classmethod
    def of_arguments(cls, variances: Any, weights: Any, covariates: Any) -> Beside:
        """Return the arguments of `fit`; refuse covariates that have no names."""
        if covariates is None:
            covariates = {}
        if not isinstance(covariates, Mapping):
            raise ArgumentTypeError(
                "covariates",
                f"a {type(covariates).__name__}",
                "a mapping of names to images, such as {'grey_matter': list_of_images}",
            )
        for name in covariates:
            if not isinstance(name, str) or not name.strip():
                raise ArgumentTypeError("covariates", f"{name!r}", "a name, a str", verb="names")
            if name == LABEL:
                raise ArgumentError(
                    "covariates",
                    f"a covariate called {name!r}, the name of the column of subject labels",
                    remedy="give it another name",
                    verb="holds",
                )
        return cls(
            grouped(variances, "variances"),
            grouped(weights, "weights"),
            {name: grouped(own, f"covariates[{name!r}]") for name, own in covariates.items()},
        )

    def with_model(self, model: Model, given: Any) -> tuple[Beside, Model]:
        """Return these and the model that takes them; refuse what the model does not take."""
        columns = [str(name) for name in getattr(given, "columns", ())]
        has_weights = self.weights is not None or COLUMNS["weight"] in columns
        if model.kind != DEFAULT_MODEL.kind and has_weights:
            where = "given" if self.weights is not None else "a column of second_level_input"
            why = "weights the images itself" if "variance" in model.beside else "takes none"
            raise ArgumentError(
                "weights",
                f"{where}, but the model {model.kind!r} {why}",
                remedy=f"leave {named('weights')} out, or give " + named("model", "ols"),
            )
        if model.kind != DEFAULT_MODEL.kind and self.covariates:
            raise ArgumentError(
                "covariates",
                f"given, but the model {model.kind!r} takes none",
                remedy="put numbers that are the same at all places into design_matrix, or give "
                + named("model", "ols"),
            )
        if not _was_collected(given):
            _report_unused_variances(model, columns)
        model = with_beside(model, weights=has_weights, covariates=tuple(self.covariates))
        if self.variances is not None and "variance" not in model.beside:
            raise ArgumentError(
                "variances",
                "given, but the model "
                + repr(DEFAULT_MODEL.kind if model.kind == "weighted" else model.kind)
                + " takes none",
                remedy="leave them out, or give "
                + named("model", "mixed effects")
                + " (or 'fixed effects')",
            )
        return replace(self, roles=model.beside), model

    def arguments(self) -> Iterator[tuple[str, str, Any]]:
        """Yield the role, the name in messages and the images of each argument, in order."""
        for role in dict.fromkeys(self.roles):
            if role == "covariate":
                for name, own in self.covariates.items():
                    yield role, f"covariates[{name!r}]", own
            else:
                argument = f"{role}s"
                yield role, argument, getattr(self, argument)

    def lacking(self, subjects: Sequence[str | None]) -> dict[str, set[str]]:
        """Return the subjects that lack an image beside their map, by what they lack.

        Only images that are a Series with labels can tell.
        """
        wanted = [str(subject) for subject in subjects if subject is not None]
        found: dict[str, set[str]] = {}
        for _, name, own in self.arguments():
            labels = labels_of(own, wanted, name)
            if labels is not None and wanted:
                keys = {label_key(label) for label in labels}
                lacks = {label for label in wanted if label_key(label) not in keys}
                if lacks:
                    found[f"without an image in {name}"] = lacks
        return found

    def chosen(self, keep: NDArray[np.bool_] | None) -> Beside:
        """Return what is beside the images that are kept; labelled images are matched later."""
        if keep is None or keep.all():
            return self
        return replace(
            self,
            variances=_chosen("variances", self.variances, keep),
            weights=_chosen("weights", self.weights, keep),
            covariates={
                name: _chosen(f"covariates[{name!r}]", own, keep)
                for name, own in self.covariates.items()
            },
        )


_COLLECTED = "groupglm_collected"


def collected(table: pd.DataFrame) -> pd.DataFrame:
    """Mark a table that a search for maps made: nobody asked for the columns that it has."""
    table.attrs[_COLLECTED] = True
    return table


def _was_collected(given: Any) -> bool:
    """Return whether `collected` has marked a table."""
    return bool(getattr(given, "attrs", {}).get(_COLLECTED))


def _report_unused_variances(model: Model, columns: Sequence[str]) -> None:
    """Say of a table's column of variances that the model does not take it."""
    if COLUMNS["variance"] in columns and "variance" not in model.beside:
        warn_caller(
            f"the column {COLUMNS['variance']} of second_level_input has no effect: the model "
            f"{model.kind!r} takes no variances; give "
            + named("model", "mixed effects")
            + " (or 'fixed effects'), or leave the column out"
        )


def labels_of(given: Any, wanted: Sequence[str], argument: str) -> list[str] | None:
    """Return the labels of a Series or a table of regions; None if the input has none."""
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        given = labelled(given)
    elif not isinstance(given, pd.Series):
        return None
    return row_labels(given.index, wanted, argument, all_maps=True)


def _chosen(argument: str, given: Any, keep: NDArray[np.bool_]) -> Any:
    import pandas as pd

    if labels_of(given, [], argument) is not None or given is None:
        return given
    if not isinstance(given, Collection) or isinstance(given, str):
        raise ArgumentTypeError.about(
            "allow_partial",
            named("allow_partial", True)
            + f" cannot leave out a volume of a 4-D image of {argument}",
            "give a list of images",
        )
    if len(given) != len(keep):
        return given  # refused when the images are opened
    if isinstance(given, pd.DataFrame):  # a table of regions
        return given[keep]
    return [item for item, kept in zip(given, keep, strict=True) if kept]


def interleaved(images: Sequence[Source], beside: Sequence[Sequence[Source]]) -> list[Source]:
    """Return each image, followed by what is beside it."""
    return list(chain.from_iterable(zip(images, *beside, strict=True)))


def missing_maps(paths: Sequence[Any], labels: Sequence[str], column: str) -> None:
    """Refuse a column of a table of maps that lacks files."""
    lacking = [
        label
        for path, label in zip(paths, labels, strict=True)
        if path is None or path != path or path == ""  # noqa: PLR0124 - NaN
    ]
    if lacking:
        raise ArgumentError(
            "second_level_input",
            f"no {column} for {len(lacking)} of {len(labels)} maps: {listed(lacking)}",
            remedy="complete the column, or add " + named("allow_partial", True),
            verb="has",
        )
