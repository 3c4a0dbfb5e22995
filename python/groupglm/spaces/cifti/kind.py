# SPDX-License-Identifier: BSD-3-Clause
"""CIFTI as kinds of data, for `groupglm.spaces.registry`: grayordinates, and parcels of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, in_quotes
from groupglm.messages import argument
from groupglm.spaces.cifti import opening
from groupglm.spaces.cifti.images import renamed
from groupglm.spaces.cifti.loading import load_parcels, load_space
from groupglm.spaces.cifti.maps import label_names, said_by_map
from groupglm.spaces.cifti.masking import CiftiMasking, refuse_targets, with_meshes
from groupglm.spaces.cifti.masks import mask_values
from groupglm.spaces.cifti.opening import GRAYORDINATES, PARCELS, Family
from groupglm.spaces.cifti.parcel_masking import ParcelMasking, parcels_inside
from groupglm.spaces.cifti.parcel_space import ParcelSpace
from groupglm.spaces.cifti.saving import save_image
from groupglm.spaces.cifti.source import CiftiSource, ComputedMap
from groupglm.spaces.cifti.space import CiftiSpace
from groupglm.spaces.cifti.structure_labels import labels_of_structures
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry, report_unused_geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Source
    from groupglm.spaces.statistic import Statistic

__all__ = ["OF_GRAYORDINATES", "OF_PARCELS"]


class _CiftiKind:
    """What grayordinates and parcels have in common."""

    family: ClassVar[Family]

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings of its files; files of results have the first one."""
        return self.family.endings

    def holds(self, given: object) -> bool:
        """Return whether an object is an image of this kind, or has the name of a file of it."""
        return self.family.holds(given)

    def is_one(self, given: object) -> bool:
        """Tell whether what was given by itself is an image of one map."""
        return self.holds(given) and opening.map_count(given, self.family) == 1

    def file_of(self, given: object) -> str | None:
        """Return the name of an image's file; None if it has none."""
        return opening.path_of(given)

    def open_inputs(
        self, given: Any, *, argument: str, same_placement: bool, at_least: int
    ) -> list[Source]:
        """Open the images of a model; only their headers are read."""
        return list(
            opening.open_inputs(
                given,
                argument=argument,
                same_placement=same_placement,
                at_least=at_least,
                family=self.family,
            )
        )

    def _open(self, given: Any, name: str) -> CiftiSource:
        return opening.open_map(given, name, self.family)

    def computed(self, name: str, compute: Callable[[], object], like: Source | None) -> Source:
        """Return an image that is computed when it is read, on the axes of another."""
        axis = like.axis if isinstance(like, CiftiSource) else None
        return ComputedMap(name, compute, self._open, axis)

    def smooth_images(self, given: Any, fwhm: Any, geometry: Geometry) -> Any:
        """Refuse to smooth."""
        del given, fwhm, geometry
        raise ArgumentError.about(
            "imgs",
            "images of CIFTI are not smoothed by themselves",
            "use wb_command -cifti-smoothing",
        )

    def target_of(self, given: Any, name: str) -> tuple[Any, Any]:
        """Refuse a target: the places of a file stay as they are."""
        del given
        raise ArgumentError.about(
            name,
            "images of CIFTI are not resampled",
            "leave it out; wb_command -cifti-resample brings images to other axes",
        )

    def said_by_map(self, given: Any) -> tuple[Statistic | None, str | None]:
        """Return what a map's header says about its values, and the contrast that it names."""
        return said_by_map(given)

    def how_to_mark(self, statistic: str) -> str:
        """Return how a user marks a map as z, t or F."""
        facts = {"Values": statistic} | {
            "t": {"DegreesOfFreedom": "18"}, "F": {"DegreesOfFreedom": "2 18"}
        }.get(statistic, {})  # fmt: skip
        return (
            "by nibabel, next(image.header.get_index_map(0).named_maps).metadata = "
            f"Cifti2MetaData({facts})"
        )

    def save(self, image: Any, path: Path) -> Path:
        """Save an image, whole or not at all."""
        return save_image(image, path, self.family)

    def as_saved(self, image: Any, path: Path) -> Any:
        """Return a saved image as reading its file would give it."""
        read_back = type(image)(image.dataobj, image.header, image.nifti_header)
        read_back.set_filename(str(path))
        return read_back

    def rename_contrast(self, image: Any, name: str) -> None:
        """Change the name of the contrast in a map's header."""
        renamed(image, name)

    def refuse_models_elsewhere(self, labels: Sequence[object], masks: Sequence[Any]) -> None:
        """Compare the axes of first-level models' masks, where models show them."""
        known = [
            (label, self._open(mask, f"mask of model {label}"))
            for label, mask in zip(labels, masks, strict=True)
            if mask is not None
        ]
        for label, source in known[1:]:
            difference = source.difference(known[0][1])
            if difference is not None:
                raise ArgumentError.about(
                    "second_level_input",
                    "All first level models must have the same axes, but of model "
                    f"{label}: {difference}",
                    "fit them on one set of places",
                )


class _Grayordinates(_CiftiKind):
    """Vertices and voxels."""

    tag, unit, family = CiftiSpace.tag, "places", GRAYORDINATES

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
    ) -> CiftiMasking:
        """Check the parameters of the estimator."""
        del smoothing_overrides  # of maskers, which there are none of
        return CiftiMasking.resolve(
            mask_img,
            target_affine,
            target_shape,
            smoothing_fwhm,
            zero_is_missing=zero_is_missing,
            geometry=geometry,
        )

    def load_space(
        self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> CiftiSpace:
        """Make a space from what `CiftiSpace.stored` returned."""
        return load_space(facts, arrays)

    def open_map(
        self, given: Any, name: str, geometry: Geometry = NO_GEOMETRY
    ) -> tuple[CiftiSource, CiftiSpace]:
        """Open one map, of which only the header is read; return it with all of its places."""
        source = self._open(given, name)
        axis: Any = source.axis
        return source, with_meshes(axis, geometry)

    def open_labels(
        self, given: Any, name: str
    ) -> tuple[CiftiSource, CiftiSpace, Mapping[str, Mapping[int, str]]]:
        """Open labels of grayordinates, with all places, and the names that the file gives."""
        source = opening.open_map(given, name, self.family, labels=True)
        axis: Any = source.axis
        return source, with_meshes(axis, NO_GEOMETRY), {"": label_names(given)}

    def labels_of_structures(
        self, row: NDArray[np.int32], everywhere: Any, space: Any
    ) -> NDArray[np.int32] | None:
        """Return labels of some structures at the places of a space; None if they lie elsewhere."""
        return labels_of_structures(row, everywhere, space)

    def inside_mask(self, everywhere: CiftiSpace, mask: Any) -> NDArray[np.bool_] | None:
        """Find the places of a whole map inside a mask; None if there is none."""
        if mask is None:
            return None
        if not self.holds(mask):
            raise ArgumentTypeError(
                "mask_img",
                in_quotes(mask)
                if isinstance(mask, str | os.PathLike)
                else f"a {type(mask).__name__}",
                "an image of grayordinates (.dscalar.nii), as the map is",
            )
        return mask_values(everywhere, mask, self.family)

    def differs_from_background(
        self, everywhere: CiftiSpace, values: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Find the places of a whole map that are not background.

        Zero is background, and NaN then a missing value; in a map without zeros NaN is background.
        """
        del everywhere
        return np.asarray(values != 0 if (values == 0).any() else ~np.isnan(values))

    def foreign_space(self, mask: Any) -> CiftiSpace:
        """Return the places inside a mask, if the order of a row is that of the file."""
        _, everywhere = self.open_map(mask, "mask_img_")
        space = everywhere.restrict(mask_values(everywhere, mask, self.family))
        if space.public_order is not None:
            raise ArgumentError.about(
                "masker",
                "the rows of "
                + argument("masker")
                + " have the order of a CIFTI file, in which voxels are sorted by structure, and "
                "clusters need another order",
                "give the images to non_parametric_inference",
            )
        return space


class _Parcels(_CiftiKind):
    """Parcels, which have names and no neighbours."""

    tag, unit, family = ParcelSpace.tag, ParcelSpace.unit, PARCELS

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
    ) -> ParcelMasking:
        """Check the parameters of the estimator."""
        del smoothing_overrides
        refuse_targets(target_affine, target_shape)
        report_unused_geometry(geometry, "parcels")
        if np.any(smoothing_fwhm):
            raise ArgumentError.about(
                "smoothing_fwhm",
                "parcels have no neighbours to be smoothed with",
                "smooth the images before they are parcellated, by wb_command -cifti-smoothing",
            )
        return ParcelMasking(mask_img, zero_is_missing)

    def load_space(
        self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> ParcelSpace:
        """Make a space from what `ParcelSpace.stored` returned."""
        return load_parcels(facts, arrays)

    def open_map(
        self, given: Any, name: str, geometry: Geometry = NO_GEOMETRY
    ) -> tuple[CiftiSource, ParcelSpace]:
        """Open one map, of which only the header is read; return it with all of its parcels."""
        report_unused_geometry(geometry, "parcels")
        source = self._open(given, name)
        axis: Any = source.axis
        return source, ParcelSpace.whole(axis)

    def inside_mask(self, everywhere: ParcelSpace, mask: Any) -> NDArray[np.bool_] | None:
        """Find the parcels of a map inside a mask; None if there is none."""
        return None if mask is None else parcels_inside(everywhere, mask)

    def differs_from_background(
        self, everywhere: ParcelSpace, values: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Find the parcels of a map that are not background, as of grayordinates."""
        del everywhere
        return np.asarray(values != 0 if (values == 0).any() else ~np.isnan(values))

    def foreign_space(self, mask: Any) -> ParcelSpace:
        """Return the parcels inside a mask."""
        _, everywhere = self.open_map(mask, "mask_img_")
        inside: Any = everywhere.restrict(mask_values(everywhere, mask, self.family))
        return inside  # type: ignore[no-any-return]


OF_GRAYORDINATES, OF_PARCELS = _Grayordinates(), _Parcels()
