# SPDX-License-Identifier: BSD-3-Clause
"""What a kind of data offers besides its spaces: `Kind`, the doors of its folder, and `Masking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.statistic import Statistic

__all__ = ["Kind", "Masking"]


class Masking(Protocol):
    """What a user asks for before the statistics: the mask, and how inputs are prepared."""

    @property
    def resamples(self) -> bool:
        """Whether inputs are brought to places of the user's, so that they may lie elsewhere."""
        ...

    @property
    def zero_is_missing(self) -> bool:
        """Whether exact zeros of an input are missing values."""
        ...

    def everywhere(
        self,
        sources: Sequence[Any],
        *,
        clip: tuple[float, float] | None,
        fill: float | None,
        n_threads: int,
    ) -> Space:
        """Return the space of all places that the prepared inputs may have.

        Parameters
        ----------
        sources : sequence of Source
            The inputs.
        clip : two floats or None
            Range of their values, if `resamples`.
        fill : float or None
            Takes the place of missing values.
        n_threads : int
            Threads inside one input.

        Raises
        ------
        ValueError
            If what the user asks for makes no sense for these inputs.
        """
        ...

    def inside(self, everywhere: Any) -> Space | None:
        """Return the places of `everywhere` inside the user's mask; None if there is no mask.

        Raises
        ------
        groupglm.errors.ImageError
            If the mask cannot be read.
        groupglm.errors.GridMismatchError
            If the mask is elsewhere.
        ValueError
            If the mask is empty, or no mask.
        """
        ...

    def as_stored(self, sources: Sequence[Any]) -> Space:
        """Return the space of all places of the first input, where a mask is looked for.

        The inputs are read as they are stored, but for those that lie elsewhere than the first.
        """
        ...

    def read_once(
        self, sources: Sequence[Any], memory_budget: float
    ) -> tuple[Sequence[Source], int]:
        """Return inputs of the same values, which are kept where they are read first.

        Parameters
        ----------
        sources : sequence of Source
            The inputs.
        memory_budget : float
            Bytes of memory that the values may take; more of them go to a scratch file.

        Returns
        -------
        sources : sequence of Source
            To be read in the place of those given, here and not by another process.
        n_bytes : int
            Bytes of memory that they will take; 0 with a scratch file.
        """
        ...


class Kind(Protocol):
    """One kind of data: the doors of its folder, which `groupglm.spaces.registry` knows."""

    @property
    def tag(self) -> str:
        """Its name in a saved model, and of its spaces."""
        ...

    def holds(self, given: object) -> bool:
        """Tell whether something is one input of this kind, or the name of its file."""
        ...

    def file_of(self, given: object) -> str | None:
        """Return the name of an input's file; None if it has none."""
        ...

    def open_inputs(
        self, given: Any, *, argument: str, same_placement: bool, at_least: int
    ) -> list[Source]:
        """Open the inputs of a model, as `groupglm.spaces.registry.open_inputs` says."""
        ...

    def masking(
        self,
        mask_img: Any,
        target_affine: Any,
        target_shape: Any,
        smoothing_fwhm: Any,
        *,
        zero_is_missing: bool,
    ) -> Masking:
        """Check what the user asks for before the statistics, by the names of the estimator.

        Raises
        ------
        TypeError
            If `mask_img` is no mask of this kind of data.
        ValueError
            If an option makes no sense for this kind of data.
        """
        ...

    def load_space(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Space:
        """Make a space of what its `stored` returned; both come from a file that may be damaged.

        Raises
        ------
        KeyError
            If a part is not there.
        TypeError, ValueError
            If the parts do not fit together, or maps of the space would not fit into memory.
        """
        ...

    def computed(self, name: str, compute: Callable[[], object], like: Source | None) -> Source:
        """Return an input that exists only while it is read.

        Parameters
        ----------
        name : str
            How messages call it.
        compute : callable
            Returns the image.
        like : Source or None
            An input at whose places the image must be. None: the image is computed now, and its
            places taken.
        """
        ...

    def open_map(self, given: Any, name: str) -> tuple[Source, Space]:
        """Open one map of results.

        Parameters
        ----------
        given : image or path
            The map.
        name : str
            How messages call it, if it has no name of its own.

        Returns
        -------
        source : Source
            The map, not read yet.
        everywhere : Space
            All of its places.

        Raises
        ------
        TypeError
            If it is no image.
        groupglm.errors.ImageError
            If it cannot be used.
        """
        ...

    def inside_mask(self, everywhere: Any, mask: Any) -> NDArray[np.bool_] | None:
        """Find which places of a map are inside a mask; None if there is no mask.

        Parameters
        ----------
        everywhere : Space
            All places of the map.
        mask : image, path, masker or None
            The mask.

        Returns
        -------
        array of bool, shape (n_values,), or None
            True inside.

        Raises
        ------
        groupglm.errors.ImageError
            If the mask cannot be read.
        groupglm.errors.GridMismatchError
            If the mask is elsewhere.
        TypeError, ValueError
            If the mask is empty, or no mask.
        """
        ...

    def differs_from_background(
        self, everywhere: Any, values: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Find which places of a map are not background, missing values inside included.

        Parameters
        ----------
        everywhere : Space
            All places of the map.
        values : array of float64, shape (n_values,)
            The map, which is not constant.
        """
        ...

    def said_by_map(self, given: Any) -> tuple[Statistic | None, str | None]:
        """Return what a map's own file says that its values are, and of which contrast."""
        ...

    def is_name_of_map(self, name: str) -> bool:
        """Tell whether a file of that name may be a map that this package has written."""
        ...

    def save(self, image: Any, path: Path) -> Path:
        """Save an image, whole or not at all.

        Raises
        ------
        ValueError
            If the file's ending is not one of this kind of data.
        OSError
            If the file cannot be written.
        """
        ...

    def as_saved(self, image: Any, path: Path) -> Any:
        """Return an image that has been saved as it would be read back from its file."""
        ...

    def rename_contrast(self, image: Any, name: str) -> None:
        """Call the contrast in what a map says of itself by another name."""
        ...

    def foreign_space(self, mask: Any) -> Space:
        """Return the places inside a mask in the order that other packages' maskers have them.

        Parameters
        ----------
        mask : image
            That of a fitted masker.
        """
        ...

    def refuse_models_elsewhere(self, labels: Sequence[object], masks: Sequence[Any]) -> None:
        """Refuse first-level models whose data are at other places than the first one's.

        Parameters
        ----------
        labels : sequence
            The subject of each model.
        masks : sequence of images or None
            The mask of each model, where it shows it.

        Raises
        ------
        ValueError
            If a mask is at other places.
        """
        ...
