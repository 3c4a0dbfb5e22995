# SPDX-License-Identifier: BSD-3-Clause
"""The state from which a permutation test can be continued: `PermutationState`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import joblib
import numpy as np

from groupglm.errors import ArgumentError, in_quotes, renamed
from groupglm.inference.permutation.block_tree import block_numbers
from groupglm.runtime.array_archives import ArchiveError, array_of, open_archive
from groupglm.runtime.regular_files import check_file, why_no_folder
from groupglm.runtime.writing import whole_or_not
from groupglm.tabular.group_labels import check_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.cluster_families import ClusterFamily, TfceOptions
    from groupglm.inference.permutation.options import PermutationOptions
    from groupglm.inference.permutation.rearranged_model import RearrangedModel

    Floats = NDArray[np.float64]

__all__ = [
    "PermutationState",
    "ResumeError",
    "check_place",
    "digest_of",
    "fingerprints_of",
    "load_state",
]

_FORMAT = 3  # of the file
_FACTS, _NULL = ("seed", "test", "exhaustive"), "null_"


class ResumeError(ArgumentError):
    """A test that cannot be continued.

    Parameters
    ----------
    message : str
        The reason, and what to do.
    reason : str
        The reason, as the end of a sentence after the file's name, without Python's arguments.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__("resume", message, verb="")
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.found, self.reason)


def digest_of(data: NDArray[Any], n_threads: int) -> str:
    """Return a hash of an array's type, shape and every value, for any order in memory.

    Each row is hashed by itself, so that threads share the work.
    """
    found = hashlib.sha256(f"{data.dtype.str} {data.shape}".encode())
    with ThreadPoolExecutor(n_threads) as pool:
        for digest in pool.map(_digest_of_row, np.atleast_2d(data)):
            found.update(digest)
    return found.hexdigest()[:32]


def _digest_of_row(row: NDArray[Any]) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(row).data).digest()


def fingerprints_of(
    model: RearrangedModel,
    contrast: Floats,
    data: str,
    options: PermutationOptions,
    families: Sequence[ClusterFamily],
) -> dict[str, str]:
    """Hash everything that a null distribution depends on, except the seed.

    Shapes: `contrast` (n_columns,).
    """

    def numbered(labels: Any, name: str) -> Any:
        return None if labels is None else check_labels(labels, len(model.X), name).tolist()

    blocks = options.exchangeability_blocks
    if blocks is not None:
        blocks = block_numbers(blocks, len(model.X)).tolist()
    facts: dict[str, Any] = {
        "design matrix": model.X + 0.0,
        "contrast": (np.ndim(contrast), np.asarray(contrast) + 0.0),
        "data": data,
        "number of tails": options.two_sided,
        "cluster-forming threshold": (options.threshold, options.cluster_threshold_scale),
        "TFCE": _tfce_facts(options.tfce, families),
        "exchangeability blocks": (blocks, options.block_permutation),
        "variance groups": numbered(options.variance_groups, "variance_groups"),
        "sign flips": options.sign_flip,
        "method": options.method,
        "connectivity": options.connectivity if families else None,
        "places of the voxels": _places_of(families),
    }
    if (own := model.facts()) is not None:
        facts["model"] = own
    return {name: str(joblib.hash(fact)) for name, fact in facts.items()}


def _tfce_facts(tfce: TfceOptions | None, families: Sequence[ClusterFamily]) -> Any:
    if tfce is None:
        return None
    return tfce.n_steps, [tfce.powers or family.tfce_powers for family in families]


def _places_of(families: Sequence[ClusterFamily]) -> Any:
    facts = [(family.neighbours.adjacency(), family.weights, family.places) for family in families]
    if len(facts) == 1 and facts[0][1] is None:
        return facts[0][0]
    return facts or None


@dataclass(frozen=True, eq=False)
class PermutationState:
    """The maxima so far, and the test that they belong to.

    Parameters
    ----------
    seed : int
        The seed of the rearrangements.
    test : dict of str
        Hashes of everything else that the maxima depend on; see `fingerprints_of`.
    exhaustive : bool
        Whether the rearrangements are the first ones of a list of all, rather than random draws.
    null : dict of array, shape (n_done,)
        The maxima, by name, in order of the rearrangements.
    """

    seed: int
    test: dict[str, str]
    exhaustive: bool
    null: dict[str, Floats]

    @property
    def n_done(self) -> int:
        """Number of rearrangements done so far."""
        return min(map(len, self.null.values()), default=0)

    def extended(self, parts: list[dict[str, Floats]]) -> PermutationState:
        """Return the state with further maxima.

        Parameters
        ----------
        parts : list of dict of array
            Maxima by their names, for stretches of rearrangements that follow.

        Returns
        -------
        PermutationState
            A new state.
        """
        names = self.null or (parts[0] if parts else {})
        null = {
            name: np.concatenate([*([self.null[name]] if self.null else []), *found])
            for name, found in ((name, [part[name] for part in parts]) for name in names)
        }
        return replace(self, null=null)

    def check_same(self, test: dict[str, str], names: Collection[str]) -> None:
        """Refuse to continue another test.

        Parameters
        ----------
        test : dict of str
            The `fingerprints_of` the test that is to be continued.
        names : collection of str
            Names of the maxima that the test needs.

        Raises
        ------
        ResumeError
            If anything differs; the message names it.
        """
        differing = [name for name in self.test | test if self.test.get(name) != test.get(name)]
        if "connectivity" in differing:
            differing.remove("places of the voxels")  # they differ as the connectivity does
        if differing:
            *first, last = differing
            named = f"{', '.join(first)} and {last}" if first else last
            reason = f"is the result of another test: {named} differ{'' if first else 's'}"
            raise ResumeError(f"resume {reason}; give the same, or leave out resume", reason)
        if self.null and set(self.null) != set(names):
            reason = f"holds the maxima of {', '.join(self.null)}, not of {', '.join(names)}"
            raise ResumeError(f"resume {reason}; leave out resume to begin anew", reason)

    def save(self, path: Path) -> None:
        """Write the state to a .npz file; after a failure no part of it is left.

        Parameters
        ----------
        path : pathlib.Path
            The file; an existing one is replaced.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        null: dict[str, Any] = {f"null_{name}": x for name, x in self.null.items()}
        test = np.array([list(self.test), list(self.test.values())])
        with whole_or_not(path) as file:
            np.savez(
                file,
                format=np.array(_FORMAT),
                seed=np.array(str(self.seed)),
                test=test,
                exhaustive=np.array(self.exhaustive),
                **null,
            )


def check_place(path: Path) -> None:
    """Refuse, before the long work, a path for no state or the path of a damaged state."""
    folder = path.parent
    if not folder.is_dir():
        raise ArgumentError(
            "resume",
            f"{in_quotes(path)}, but "
            + (why_no_folder(folder) or f"there is no folder {in_quotes(folder)}"),
            remedy="make it, or give a file in a folder that exists",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ArgumentError(
            "resume",
            f"{in_quotes(path)}, but its folder cannot be written",
            remedy="give a file in another one",
        )
    with renamed(path="resume"):
        check_file(path, f"resume is {in_quotes(path)}, which")
    if path.exists():
        load_state(path)


def load_state(path: Path) -> PermutationState:
    """Read a state that `PermutationState.save` wrote."""
    try:
        with open_archive(path) as members:
            arrays = {name.removesuffix(".npy"): members.read(name) for name in members.names}
        return _state_of(arrays, path)
    except ResumeError:
        raise
    except (OSError, ValueError) as error:
        told = f"it {error}" if isinstance(error, ArchiveError) else str(error)
        reason = f"is not the state of a permutation test ({told})"
        raise ResumeError(
            f"{path}: this {reason}; give the file that resume= wrote, or the name of a new one",
            reason,
        ) from error


def _state_of(members: dict[str, bytes], path: Path) -> PermutationState:
    """Make a state of its parts; each part is checked, because p-values rest on them."""
    arrays = {name: _array(name, data) for name, data in members.items()}
    if "seed" in arrays and _whole(arrays.get("format", np.array(1)), "format") != _FORMAT:
        _refuse_version(path)
    lacking = [name for name in ("format", *_FACTS) if name not in arrays]
    if lacking:
        raise ValueError(f"it lacks {lacking[0]}")
    null = {name.removeprefix(_NULL): x for name, x in arrays.items() if name.startswith(_NULL)}
    unknown = sorted(set(arrays) - {"format", *_FACTS} - {_NULL + name for name in null})
    if unknown:
        raise ValueError(f"it holds {unknown[0]}, which no such file has")
    test, exhaustive = arrays["test"], arrays["exhaustive"]
    if test.dtype.kind != "U" or test.ndim != 2 or len(test) != 2:
        raise ValueError("its test is no table of names and hashes")
    if exhaustive.dtype != np.bool_ or exhaustive.ndim:
        raise ValueError("its exhaustive is neither true nor false")
    _check_null(null)
    names, hashes = test.tolist()
    seed = _whole(arrays["seed"], "seed")
    return PermutationState(seed, dict(zip(names, hashes, strict=True)), bool(exhaustive), null)


def _array(name: str, data: bytes) -> NDArray[Any]:
    try:
        return array_of(data)
    except ArchiveError as error:
        raise ValueError(f"its member {name} {error}") from error


def _whole(array: NDArray[Any], name: str) -> int:
    """Return a whole number of at least 0, which was stored as a number or as text."""
    text = str(array[()])
    if array.ndim or array.dtype.kind not in "iuU" or not text.isdecimal() or len(text) > 50:
        raise ValueError(f"its {name} is {text[:50]!r}, no whole number")
    return int(text)


def _check_null(null: dict[str, NDArray[Any]]) -> None:
    """Refuse maxima that are not numbers, and arrays of different lengths."""
    for name, maxima in null.items():
        if maxima.dtype != np.float64 or maxima.ndim != 1:
            raise ValueError(
                f"its maxima of {name} are {maxima.dtype} of {maxima.ndim} axes, not float64 of one"
            )
        if np.isnan(maxima).any():
            raise ValueError(f"its maxima of {name} hold NaN")
    lengths = {name: len(maxima) for name, maxima in null.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{n} of {name}" for name, n in lengths.items())
        raise ValueError(f"it holds not as many maxima of each: {told}")


def _refuse_version(path: Path) -> NoReturn:
    reason = "was written by another version of groupglm"
    raise ResumeError(
        f"{path}: this {reason}; remove it to begin anew, or give the name of a new file", reason
    )
