# SPDX-License-Identifier: BSD-3-Clause
"""What a permutation test leaves to be continued: `PermutationState`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from groupglm.writing import whole_or_not

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["PermutationState", "load_state"]

_SAMPLE = 4096  # observed statistics that tell one data set from another


@dataclass(frozen=True, eq=False)
class PermutationState:
    """Maxima so far, and what they are of.

    Parameters
    ----------
    seed : int
        That rearrangements are drawn from.
    test : str
        A hash of the design, the contrast and the options.
    sample : array
        Some of the observed statistics.
    null : dict of array, shape (n_done,)
        The maxima, by name, in order of the rearrangements.
    """

    seed: int
    test: str
    sample: Floats
    null: dict[str, Floats]

    @classmethod
    def begin(cls, seed: int, test: tuple[Any, ...], observed: Floats) -> PermutationState:
        """Make the state of a test that has not begun."""
        every = max(1, len(observed) // _SAMPLE)
        return cls(seed, str(joblib.hash(test)), np.nan_to_num(observed[::every]), {})

    @property
    def n_done(self) -> int:
        """How many rearrangements were done."""
        return min(map(len, self.null.values()), default=0)

    def extended(self, parts: list[dict[str, Floats]]) -> PermutationState:
        """Return the state with further maxima."""
        names = self.null or (parts[0] if parts else {})
        null = {
            name: np.concatenate([*([self.null[name]] if self.null else []), *found])
            for name, found in ((name, [part[name] for part in parts]) for name in names)
        }
        return PermutationState(self.seed, self.test, self.sample, null)

    def check_same(self, fresh: PermutationState) -> None:
        """Refuse to continue another test.

        Parameters
        ----------
        fresh : PermutationState
            Of the test that is to be continued.

        Raises
        ------
        ValueError
            If this state is of another design, contrast, option or data.
        """
        if self.test != fresh.test:
            raise ValueError(
                "resume is the result of another test: its design, contrast or options differ; "
                "give the same ones, or leave out resume"
            )
        # Another processor may round otherwise.
        same = self.sample.shape == fresh.sample.shape and np.allclose(
            self.sample, fresh.sample, rtol=1e-6, atol=1e-6
        )
        if not same:
            raise ValueError(
                "resume is the result of a test on other data: the observed statistics differ; "
                "give the same images and mask, or leave out resume"
            )

    def save(self, path: Path) -> None:
        """Write the state to a .npz file, as a whole or not at all."""
        null: dict[str, Any] = {f"null_{name}": x for name, x in self.null.items()}
        seed, test = np.array(str(self.seed)), np.array(self.test)
        with whole_or_not(path) as file:
            np.savez(file, seed=seed, test=test, sample=self.sample, **null)


def load_state(path: Path) -> PermutationState:
    """Read what `PermutationState.save` wrote.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    PermutationState
        The state.

    Raises
    ------
    ValueError
        If the file is of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            null = {name[5:]: file[name] for name in file.files if name.startswith("null_")}
            return PermutationState(int(str(file["seed"])), str(file["test"]), file["sample"], null)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(
            f"{path}: this is not the state of a permutation test ({error}); give the file that "
            "resume= wrote, or the name of a new one"
        ) from error
