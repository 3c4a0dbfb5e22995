# SPDX-License-Identifier: BSD-3-Clause
"""A folder with all that public doors take, and their usual calls: `World`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

import groupglm
from groupglm import SecondLevelModel
from reference.bids import bids_done, make_fitlins
from reference.shell import run_well

N = 8
SHAPE = (11, 12, 13)
AFFINE = np.array([[3.0, 0, 0, -15], [0, 3, 0, -15], [0, 0, 3, -15], [0, 0, 0, 1]])
INSIDE = np.zeros(SHAPE, np.uint8)
INSIDE[3:8, 3:9, 3:10] = 1
DESIGN = pd.DataFrame({"age": np.linspace(-1, 1, N) ** 3, "intercept": 1.0})
LABELS = [f"{number:02d}" for number in range(1, N + 1)]
PERMUTE = ("--permute", "20", "--tfce", "--cluster-p", "0.05")


@dataclass
class World:
    """Files, and what a door may need of them."""

    folder: Path
    model: SecondLevelModel = field(default_factory=SecondLevelModel)
    n_runs: int = 0

    def path(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def maps(self) -> list[str]:
        return [self.path(f"sub-{label}_map.nii.gz") for label in LABELS]

    @property
    def mask(self) -> str:
        return self.path("mask.nii.gz")

    @property
    def z(self) -> str:
        return self.path("z.nii.gz")

    @property
    def results(self) -> str:
        """What "fit" has written, with a model."""
        return self.path("results")

    def new(self, name: str) -> str:
        """Return a path at which nothing is yet."""
        self.n_runs += 1
        return self.path(f"{self.n_runs}-{name}")

    def run(self, command: str, *arguments: str) -> None:
        run_well(command, *arguments)

    def study(self, output: str, *more: str) -> list[str]:
        return [
            *self.maps, "--participants", self.path("people.tsv"), "--formula", "~ age",
            "--contrast", "age", "--contrast", "mean=Intercept",
            "--contrast", "any=age; Intercept", "--mask", self.mask, "--output", output, *more,
        ]  # fmt: skip

    def table(self) -> pd.DataFrame:
        """Two kinds of maps; those of the second are links to the same files."""
        kinds = {"a": self.maps, "b": [path.replace("_map", "_other") for path in self.maps]}
        rows = [(w, kind, p) for kind in kinds for w, p in zip(LABELS, kinds[kind], strict=True)]
        return pd.DataFrame(rows, columns=["subject_label", "map_name", "effects_map_path"])

    def fitted(self, **options: Any) -> SecondLevelModel:
        model = SecondLevelModel(mask_img=self.mask, **options)
        return model.fit(self.maps, design_matrix=DESIGN)

    def with_table(self, *kinds: str) -> None:
        design = DESIGN.assign(subject_label=LABELS)
        model = SecondLevelModel(mask_img=self.mask).fit(self.table(), design_matrix=design)
        for kind in kinds:
            model.compute_contrast("age", kind)

    def permuted(self, **options: Any) -> Any:
        return groupglm.non_parametric_inference(
            self.maps,
            design_matrix=DESIGN,
            second_level_contrast="age",
            n_perm=20,
            random_state=0,
            threshold=0.01,
            tfce=True,
            **options,
        )

    def bids(self, *more: str) -> None:
        self.bids_into(self.new("bids"), *more)

    def bids_into(self, out: str, *more: str) -> None:
        bids_done(self.folder / "raw", Path(out), *more)

    def twice(self, command: Callable[[str], None], name: str) -> None:
        """Run a command whose results are there when it is run again."""
        place = self.new(name)
        command(place)
        command(place)


def make_world(folder: Path) -> World:
    world = World(folder)
    rng = np.random.default_rng(0)
    for path in world.maps:
        values = (rng.normal(3, 1, SHAPE) * INSIDE).astype(np.float32)
        nib.save(nib.Nifti1Image(values, AFFINE), path)  # type: ignore[no-untyped-call]
        Path(path.replace("_map", "_other")).symlink_to(path)
    nib.save(nib.Nifti1Image(INSIDE, AFFINE), world.mask)  # type: ignore[no-untyped-call]
    people = DESIGN[["age"]].assign(participant_id=[f"sub-{label}" for label in LABELS])
    people.to_csv(folder / "people.tsv", sep="\t", index=False)
    (folder / "raw").mkdir()
    make_fitlins(folder / "raw")
    world.model = world.fitted(minimize_memory=False)
    world.model.compute_contrast("age").to_filename(world.z)
    world.model.save(world.path("model.groupglm"))
    world.run("fit", *world.study(world.results, "--save-model", *PERMUTE))
    return world
