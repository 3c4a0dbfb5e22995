# SPDX-License-Identifier: BSD-3-Clause
r"""A fitted model as one file, from which contrasts are computed anywhere, without the images.

The file is a zip archive whose members are not compressed: ``model.json``, and arrays in numpy's
``.npy`` format, so that ``numpy.load`` opens it too. Nothing in it is a pickle. Of each fit
(numbered from 0; there is one, unless the input had several kinds of maps):

=================== ===================== ======================================================
member              shape, type           what it is
=================== ===================== ======================================================
``K/X``             (n, p) float64        the design matrix
``K/runs``          (m, 2) int64          the mask: first place and length of each run of voxels
                                          along the first axis, in file order
``K/affine``        (4, 4) float64        voxel indices to mm
``K/r``             (k, k) float64        triangular factor of the rows, k = p + 1 or less
``K/w``             (k, n_voxels) float64 the data's coordinates in the design's space
``K/rss``           (n_voxels,) float64   residual sum of squares
``K/missing_slot``  (n_voxels,) int32     which of the factors below a voxel has, -1: K/r; empty
                                          without missing values
``K/missing_factors`` (any,) float64      triangular factors of voxels with missing values, packed
``K/missing_rows``  (any,) int32          the number of rows of each
``K/exponent``      (n_voxels,) int16     where the squares of a voxel's values leave double's
                                          range: K/w and K/rss are those of its values times
                                          2 to the power of -exponent; absent if there is none
``K/zeros``         (n_voxels,) int32     how many images are exactly zero at a voxel;
                                          absent in the first files
=================== ===================== ======================================================

Voxels are in file order (the first axis varies fastest), unlike those of ``results_``.

``model.json`` holds ``format`` ("groupglm model"), ``version`` (2), the SHA-256 of every array's
member (``checksums``), the versions of the software, the estimator's parameters, and for each fit
the kind of maps, the columns' names, the rows' labels, the levels of factors (``levels``), the
smoothness of the residuals if it was asked for (``smoothness``), the names of the images, each
followed by those of the maps beside it (variances, weights, covariates),
and two dictionaries, ``space`` and ``model``, whose ``kind`` says where the data live and what was
fitted. ``model`` has the ``settings`` of a model that has some, and the columns of voxelwise
covariates come last, each with an image's mean of the covariate. A space and a model have facts and
members of their own: those above are of the kinds ``volume`` (``runs``, ``affine``; the grid's
``shape``, and the ``preparation`` of volumes, are facts) and ``ols`` (``r`` to ``exponent``).

Files of version 1 are read: all are of these two kinds and do not say it, and the facts of the
space stand beside the others.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, in_quotes, shown
from groupglm.estimator.model_file_facts import check_facts
from groupglm.models.kinds import check_kind, model_of_kind
from groupglm.runtime.array_archives import (
    ArchiveError,
    Members,
    array_of,
    check_type,
    open_archive,
)
from groupglm.runtime.writing import write_whole
from groupglm.spaces.registry import kind_of_tag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.base import Fit, Model
    from groupglm.spaces.base import Space

__all__ = ["damaged", "pack_fit", "read_archive", "unpack_fit", "write_archive"]

FORMAT, VERSION = "groupglm model", 2
_MAX_HEADER = 64 * 2**20  # bytes of model.json; names of 1,000 subjects take a hundredth
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal models give equal files


def write_archive(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write a model's facts and arrays, whole or not at all."""
    members = {f"{name}.npy": _to_npy(array) for name, array in arrays.items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "software": {
            "groupglm": sys.modules["groupglm"].__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "checksums": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
        **facts,
    }
    members = {"model.json": json.dumps(header, indent=1, allow_nan=False).encode(), **members}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return write_whole(path, buffer.getvalue())


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a file that `write_archive` wrote; no code in it is ever executed."""
    try:
        with open_archive(path) as members:
            return _read(members, path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there is no file {in_quotes(path)}; give one that SecondLevelModel.save wrote"
        ) from error
    except ArchiveError as error:
        raise ArgumentError.about(
            "path",
            f"{in_quotes(path)} is not a saved model, or is damaged: it {error}",
            "give a file that SecondLevelModel.save wrote",
        ) from error


def damaged(path: Path, why: str) -> ArgumentError:
    """Return the error for a file that is a model but cannot be used."""
    return ArgumentError.about(
        "path", f"{in_quotes(path)} is a damaged model: {why}", "save it again, or copy it again"
    )


def _read(members: Members, path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if "model.json" not in members.names:
        raise ArgumentError.about(
            "path",
            f"{in_quotes(path)} is a zip archive without model.json, not a saved model",
            "give a file that SecondLevelModel.save wrote",
        )
    facts = _read_facts(members, path)
    checksums = facts.get("checksums")
    if not isinstance(checksums, dict) or {*checksums, "model.json"} != members.names:
        raise damaged(path, "its members are not those that model.json lists")
    arrays = {}
    for name, checksum in checksums.items():
        data = members.read(name)
        if hashlib.sha256(data).hexdigest() != checksum:
            raise damaged(path, f"the checksum of {name} does not match")
        try:
            arrays[name.removesuffix(".npy")] = array_of(data)
        except ArchiveError as error:
            raise damaged(path, f"{name} {error}") from error
    return facts, arrays


def _read_facts(members: Members, path: Path) -> dict[str, Any]:
    if members.size("model.json") > _MAX_HEADER:
        raise damaged(path, f"model.json has {members.size('model.json')} bytes")
    try:
        facts = json.loads(members.read("model.json"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"model.json cannot be read ({error})") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ArgumentError.about(
            "path", f"{in_quotes(path)} is not a saved model: its model.json is of another format"
        )
    version = facts.get("version")
    if version not in (1, VERSION):
        raise ArgumentError.about(
            "path",
            f"{in_quotes(path)} is a model of format version {version!r}, and this groupglm "
            "reads versions "
            f"1 and {VERSION}",
            "load it with the groupglm that wrote it, or a later one",
        )
    try:
        if version == 1:
            _tag_first_version(facts)
        check_facts(facts)
    except ValueError as error:
        raise damaged(path, str(error)) from error
    try:
        for fit in facts["fits"]:
            kind_of_tag(fit["space"]["kind"])
            check_kind(fit["model"]["kind"])
    except ValueError as error:
        raise ArgumentError.about(
            "path",
            f"{in_quotes(path)} was saved by a later version: {error}",
            "load it with the groupglm that wrote it, or a later one",
        ) from error
    for fit in facts["fits"]:
        _model_of(fit, path)
    return facts


def _model_of(facts: Mapping[str, Any], path: Path) -> Model:
    """Make the model of a fit; refuse settings that this version does not take."""
    kind, settings = facts["model"]["kind"], facts["model"].get("settings", {})
    try:
        return model_of_kind(kind, settings)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError.about(
            "path",
            f"{in_quotes(path)} is a damaged model, or one of a later version: the model {kind!r} "
            f"has not the settings {shown(settings)}: {error}",
            "save it again, copy it again, or load it with the groupglm that wrote it",
        ) from error


def _tag_first_version(facts: dict[str, Any]) -> None:
    """Convert the facts of a file of version 1 to those of this version."""
    fits = facts.get("fits")
    for fit in fits if isinstance(fits, list) else ():
        if isinstance(fit, dict):
            own = {name: fit.pop(name) for name in ("shape", "preparation") if name in fit}
            fit["space"] = {"kind": "volume", **own}
            fit["model"] = {"kind": "ols"}


def _to_npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def pack_fit(key: str, group: FittedGroup) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return a fit's facts and arrays, to be stored."""
    space, result = group.space, group.result
    settings = result.model.settings()
    space_facts, space_arrays = space.stored()
    arrays: dict[str, NDArray[Any]] = {
        "X": result.X,
        **space_arrays,
        **({} if group.n_zeros is None else {"zeros": group.n_zeros}),
        **result.arrays(),
    }
    facts = {
        "n_rows": len(result.X),
        "columns": list(result.column_names),
        "space": {"kind": space.tag, **space_facts},
        "model": {"kind": result.model.kind, **({"settings": settings} if settings else {})},
        "missing": group.missing,
        "images": [source.name for source in group.sources],
    }
    return json.loads(json.dumps(facts)), {f"{key}/{name}": a for name, a in arrays.items()}


def unpack_fit(
    key: str,
    facts: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    path: Path,
    n_threads: int,
) -> tuple[Space, Fit, NDArray[np.int32] | None]:
    """Make a fit from its facts and arrays.

    Returns `n_zeros` (n_voxels,).
    """
    try:
        members: dict[str, NDArray[Any]] = {
            name.removeprefix(f"{key}/"): array
            for name, array in arrays.items()
            if name.startswith(f"{key}/")
        }
        X, zeros = members["X"], members.get("zeros")
        names = tuple(str(name) for name in facts["columns"])
        model = _model_of(facts, path)
        n_images = len(facts["images"]) / model.rows_per_image
        _check_design(X, names, int(facts["n_rows"]), n_images)
        space = kind_of_tag(facts["space"]["kind"]).load_space(facts["space"], members)
        if zeros is not None:
            _check_zeros(zeros, space, len(X))
        fit = model.load(X, names, members, n_values=space.n_values, n_threads=n_threads)
    except KeyError as error:
        raise damaged(path, f"it lacks {error}") from error
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise damaged(path, str(error)) from error
    return space, fit, zeros


def _check_design(X: NDArray[Any], names: tuple[str, ...], n_rows: int, n_images: float) -> None:
    check_type("X", X, "float64", 2)
    if X.shape != (n_rows, len(names)) or n_images != n_rows or not names:
        raise ValueError(
            f"its design of shape {X.shape} does not fit {n_rows} rows, {n_images:g} images and "
            f"{len(names)} columns"
        )
    if not np.isfinite(X).all():
        raise ValueError("its design is not finite")


def _check_zeros(zeros: NDArray[Any], space: Space, n_inputs: int) -> None:
    n_values, (_, many) = space.n_values, space.place_words
    check_type("zeros", zeros, "int32", 1)
    if zeros.shape != (n_values,) or not ((zeros >= 0) & (zeros <= n_inputs)).all():
        raise ValueError(f"its numbers of zeros do not fit {n_values} {many} and {n_inputs} images")
