# SPDX-License-Identifier: BSD-3-Clause
"""The simulated studies of ``groupglm demo``: of volumes, or of the surface of the cortex."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from groupglm.datasets import GroupStudy, SurfaceStudy
    from groupglm.datasets.brain import SimulatedEffect
    from groupglm.estimator.group_model import GroupModel

__all__ = ["DemoStudy", "SurfaceDemo", "VolumeDemo"]

IMAGES = "images"
"""The folder of the maps of the subjects."""


@dataclass(frozen=True)
class VolumeDemo:
    """A study of images of voxels.

    Parameters
    ----------
    study : GroupStudy
        The study, in the folder `IMAGES` of some folder.
    """

    study: GroupStudy
    title: str = "A simulated group study"
    viewers: str = "FSLeyes or MRIcroGL"

    @classmethod
    def simulate(cls, folder: Path, *, n_subjects: int, voxel_size: float, seed: int) -> VolumeDemo:
        """Simulate the study, and write its maps and its mask."""
        from groupglm.datasets import simulate_group_study

        study = simulate_group_study(
            folder / IMAGES, n_subjects=n_subjects, voxel_size=voxel_size, seed=seed
        )
        own = cls(study)
        kind_of(study.mask_img).save(study.mask_img, folder / f"mask{own.ending}")
        return own

    def moved(self, folder: Path) -> VolumeDemo:
        """Return the study after its files were moved to another folder."""
        images = folder / IMAGES
        paths = [images / path.name for path in self.study.paths]
        return replace(self, study=replace(self.study, directory=images, paths=paths))

    @property
    def ending(self) -> str:
        """The ending of the maps of results."""
        return kind_of(self.study.mask_img).endings[0]

    @property
    def effects(self) -> Mapping[str, SimulatedEffect]:
        """The true effect of each column of the design."""
        return self.study.effects

    @property
    def maps(self) -> list[str]:
        """The maps of the subjects as a model takes them."""
        return [str(path) for path in self.study.paths]

    def model(self, n_jobs: int) -> GroupModel:
        """Return the model that is fitted."""
        from groupglm.estimator.group_model import GroupModel

        return GroupModel(mask_img=self.study.mask_img, n_jobs=n_jobs)

    def example(self, output: Path, pattern: str) -> str:
        """Return how to go on in Python; `pattern` is the label of subject ``i``."""
        n = len(self.study.paths)
        return f"""
    from pathlib import Path
    from groupglm import SecondLevelModel
    demo = Path({str(output)!r})
    images = [demo / f"{IMAGES}/{pattern}_effect{self.ending}" for i in range(1, {n + 1})]
    model = SecondLevelModel(mask_img=demo / "mask{self.ending}")
    model.fit(images, design_matrix=demo / "design_matrix.tsv")
    model.compute_contrast("intercept + group").to_filename(demo / "patients_z{self.ending}")"""


@dataclass(frozen=True)
class SurfaceDemo:
    """A study of maps of both hemispheres.

    Parameters
    ----------
    study : SurfaceStudy
        The study, in the folder `IMAGES` of some folder.
    """

    study: SurfaceStudy
    title: str = "A simulated group study on the cortical surface"
    viewers: str = "Connectome Workbench or FreeSurfer's freeview"

    @classmethod
    def simulate(cls, folder: Path, *, n_subjects: int, seed: int) -> SurfaceDemo:
        """Simulate the study, and write its maps, meshes and mask."""
        from groupglm.datasets import simulate_surface_study

        return cls(simulate_surface_study(folder / IMAGES, n_subjects=n_subjects, seed=seed))

    def moved(self, folder: Path) -> SurfaceDemo:
        """Return the study after its files were moved to another folder."""
        images, study = folder / IMAGES, self.study

        def moved(pair: tuple[Path, Path]) -> tuple[Path, Path]:
            left, right = pair
            return images / left.name, images / right.name

        own = replace(
            study,
            directory=images,
            paths=[moved(pair) for pair in study.paths],
            dscalars=[images / path.name for path in study.dscalars],
            surfaces=moved(study.surfaces),
            mask=moved(study.mask),
        )
        return replace(self, study=own)

    @property
    def ending(self) -> str:
        """The ending of the maps of results."""
        return kind_of(self.study.paths[0][0]).endings[0]

    @property
    def effects(self) -> Mapping[str, SimulatedEffect]:
        """The true effect of each column of the design."""
        return self.study.effects

    @property
    def maps(self) -> list[Any]:
        """The maps of the subjects as a model takes them."""
        return [tuple(map(str, pair)) for pair in self.study.paths]

    def model(self, n_jobs: int) -> GroupModel:
        """Return the model that is fitted."""
        from groupglm.estimator.group_model import GroupModel

        study = self.study
        return GroupModel(mask_img=study.mask, surfaces=study.surfaces, n_jobs=n_jobs)

    def example(self, output: Path, pattern: str) -> str:
        """Return how to go on in Python; `pattern` is the label of subject ``i``."""
        n = len(self.study.paths)
        surfaces = [path.name for path in self.study.surfaces]
        return f"""
    from pathlib import Path
    from groupglm import SecondLevelModel
    demo = Path({str(output)!r})
    maps = [
        tuple(demo / f"{IMAGES}/{pattern}_hemi-{{side}}_effect{self.ending}" for side in "LR")
        for i in range(1, {n + 1})
    ]
    surfaces = (demo / "{IMAGES}/{surfaces[0]}", demo / "{IMAGES}/{surfaces[1]}")
    model = SecondLevelModel(surfaces=surfaces)
    model.fit(maps, design_matrix=demo / "design_matrix.tsv")
    model.compute_contrast("intercept + group").to_filename(demo / "patients_z{self.ending}")"""


DemoStudy = VolumeDemo | SurfaceDemo
