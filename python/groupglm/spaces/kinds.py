# SPDX-License-Identifier: BSD-3-Clause
"""The functions of a kind of data besides its spaces: `Kind` and `Masking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from groupglm.spaces.geometry import NO_GEOMETRY, Geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.statistic import Statistic

__all__ = ["Kind", "Masking"]


class Masking(Protocol):
    """The user's options before the statistics: the mask, and the preparation of inputs."""

    @property
    def resamples(self) -> bool:
        """Whether inputs are resampled to places that the user gives, and may lie elsewhere."""
        ...

    @property
    def smooths(self) -> bool:
        """Whether inputs are smoothed."""
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
        """Return the space of all places that the prepared inputs may have."""
        ...

    def inside(self, everywhere: Any) -> Space | None:
        """Return the places of `everywhere` inside the user's mask; None if there is no mask."""
        ...

    def find(
        self,
        space: Any,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the mask in the mean of the inputs, as `Space.background` of `space` does.

        A user may have asked for another method.
        """
        ...

    def as_stored(self, sources: Sequence[Any]) -> Space:
        """Return the space of all places of the first input, where a mask is looked for.

        The inputs are read as they are stored, except those that lie elsewhere than the first.
        """
        ...

    def read_once(
        self, sources: Sequence[Any], memory_budget: float
    ) -> tuple[Sequence[Source], int]:
        """Return inputs of the same values, which are kept where they are read first."""
        ...


class Kind(Protocol):
    """One kind of data: the functions of its folder, which `groupglm.spaces.registry` knows."""

    @property
    def tag(self) -> str:
        """Its name in a saved model, and of its spaces."""
        ...

    @property
    def unit(self) -> str:
        """What the extent of a cluster is counted in, as of its spaces."""
        ...

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings of its files; files of results have the first one."""
        ...

    def holds(self, given: object) -> bool:
        """Return whether an object is one input of this kind, or the name of its file."""
        ...

    def is_one(self, given: object) -> bool:
        """Tell whether what was given by itself is one input, not several in one image."""
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
        smoothing_overrides: bool = False,
        geometry: Geometry = NO_GEOMETRY,
    ) -> Masking:
        """Check the options of masking and preparation, which have the names of the estimator.

        Those of a masker given as `mask_img` come first, but for its smoothing if
        `smoothing_overrides` and both are given. `geometry` has the surfaces that the user gave; a
        kind of data without meshes warns that they have no effect.
        """
        ...

    def smooth_images(self, given: Any, fwhm: Any, geometry: Geometry) -> Any:
        """Smooth one image, or each of a list, as `groupglm.smooth_img` says.

        ArgumentError where images of this kind cannot be smoothed.
        """
        ...

    def target_of(self, given: Any, name: str) -> tuple[Any, Any]:
        """Return the ``target_affine`` and ``target_shape`` that bring inputs to an image's places.

        The image is called `name` in messages; ValueError where inputs of this kind stay as they
        lie.
        """
        ...

    def load_space(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Space:
        """Make a space from what `stored` returned; a file that may be damaged has held both."""
        ...

    def computed(self, name: str, compute: Callable[[], object], like: Source | None) -> Source:
        """Return an input whose values exist only while it is read."""
        ...

    def open_map(
        self, given: Any, name: str, geometry: Geometry = NO_GEOMETRY
    ) -> tuple[Source, Space]:
        """Open one map of results, on the surfaces that the user gave, if the kind has any."""
        ...

    def inside_mask(self, everywhere: Any, mask: Any) -> NDArray[np.bool_] | None:
        """Find which places of a map are inside a mask; None if there is no mask.

        Returns (n_values,).
        """
        ...

    def differs_from_background(
        self, everywhere: Any, values: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Find which places of a map are not background, missing values inside included.

        Shapes: `values` (n_values,).
        """
        ...

    def said_by_map(self, given: Any) -> tuple[Statistic | None, str | None]:
        """Return what the map's file says about its values, and the contrast that it names."""
        ...

    def how_to_mark(self, statistic: str) -> str:
        """Return how a user marks a map as z, t or F; empty if its files cannot say so."""
        ...

    def save(self, image: Any, path: Path) -> Path:
        """Save an image, whole or not at all."""
        ...

    def as_saved(self, image: Any, path: Path) -> Any:
        """Return a saved image as it would be if its file were read."""
        ...

    def rename_contrast(self, image: Any, name: str) -> None:
        """Change the name of the contrast in the header of a map."""
        ...

    def foreign_space(self, mask: Any) -> Space:
        """Return the places inside a mask, in the order in which users see them in a row."""
        ...

    def refuse_models_elsewhere(self, labels: Sequence[object], masks: Sequence[Any]) -> None:
        """Refuse first-level models whose data are at other places than the first model's."""
        ...
