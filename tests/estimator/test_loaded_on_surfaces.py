# SPDX-License-Identifier: BSD-3-Clause
"""Saved models that are loaded on surfaces: as if they had been fitted with these."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, get_results_table
from groupglm.datasets import simulate_surface_study
from groupglm.errors import ArgumentError
from groupglm.estimator.model_file import read_archive, write_archive
from reference.surface_study import SurfaceStudy, surface_study

nib: Any = nibabel  # typed only in part

N = 6


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SurfaceStudy:
    return surface_study(tmp_path_factory.mktemp("study"), 2, N)


def grayordinates(study: SurfaceStudy) -> list[Any]:
    """Return the maps of both hemispheres as images of CIFTI."""
    axis: Any = None
    images = []
    for pair in study.images:
        halves = [nib.load(file).darrays[0].data for file in pair]
        if axis is None:
            make = nib.cifti2.BrainModelAxis.from_surface
            axis = make(np.arange(len(halves[0])), len(halves[0]), "CortexLeft")
            axis += make(np.arange(len(halves[1])), len(halves[1]), "CortexRight")
        scalars = nib.cifti2.ScalarAxis(["effect"])
        images.append(nib.Cifti2Image(np.concatenate(halves)[np.newaxis], (scalars, axis)))
    return images


@pytest.mark.parametrize("kind", ["surface", "cifti"])
def test_the_model_is_that_fitted_with_the_surfaces(
    study: SurfaceStudy, kind: str, tmp_path: Path
) -> None:
    images: Any = study.images if kind == "surface" else grayordinates(study)
    design = study.design[["group", "intercept"]]
    plain = SecondLevelModel().fit(images, design_matrix=design).save(tmp_path / "plain.groupglm")
    wanted = SecondLevelModel(surfaces=study.surfaces).fit(images, design_matrix=design)
    wanted.save(tmp_path / "wanted.groupglm")
    loaded = SecondLevelModel.load(plain, surfaces=study.surfaces)
    loaded.save(tmp_path / "loaded.groupglm")
    same = (tmp_path / "wanted.groupglm").read_bytes()
    assert (tmp_path / "loaded.groupglm").read_bytes() == same
    # Areas alone leave the meshes as they are, and weigh their vertices.
    ones = tuple(np.full(nib.load(file).darrays[0].data.shape[0], 2.0) for file in study.surfaces)
    again = SecondLevelModel.load(tmp_path / "wanted.groupglm", areas=ones)
    space = again.masker_.space
    np.testing.assert_array_equal(space.weights(), 2.0)
    assert space.has_neighbours
    page = loaded.generate_report("group").get_standalone()
    assert 'id="viewer' in page
    script = re.search(r"SecondLevelModel\.load\(.*", page)
    assert script is not None
    assert all(file.name in script[0] for file in study.surfaces)


def test_what_cannot_be_moved_is_refused(study: SurfaceStudy, tmp_path: Path) -> None:
    design = study.design[["group", "intercept"]]
    smoothed = SecondLevelModel(surfaces=study.surfaces, smoothing_fwhm=20)
    smoothed.fit(study.images, design_matrix=design).save(tmp_path / "smoothed.groupglm")
    with pytest.raises(ArgumentError, match="smoothed") as refused:
        SecondLevelModel.load(tmp_path / "smoothed.groupglm", surfaces=study.surfaces)
    assert refused.value.argument == "surfaces"
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 3)), columns=list("abc"))
    SecondLevelModel().fit(table, design_matrix=design).save(tmp_path / "table.groupglm")
    with pytest.warns(UserWarning, match="surfaces has no effect on regions"):
        SecondLevelModel.load(tmp_path / "table.groupglm", surfaces=study.surfaces)
    plain = SecondLevelModel().fit(study.images, design_matrix=design)
    plain.save(tmp_path / "plain.groupglm")
    with pytest.raises(ArgumentError, match="right hemisphere") as refused:
        SecondLevelModel.load(tmp_path / "plain.groupglm", surfaces=study.surfaces[::-1])
    assert refused.value.argument == "surfaces"


def test_indices_beyond_the_brain_models_are_a_damaged_model(
    study: SurfaceStudy, tmp_path: Path
) -> None:
    model = SecondLevelModel().fit(
        grayordinates(study), design_matrix=study.design[["group", "intercept"]]
    )
    model.save(tmp_path / "whole.groupglm")
    facts, arrays = read_archive(tmp_path / "whole.groupglm")
    header = ("format", "version", "software", "checksums")
    facts = {name: own for name, own in facts.items() if name not in header}
    arrays["0/indices"] = np.append(arrays["0/indices"], 3)
    write_archive(tmp_path / "longer.groupglm", facts, arrays)
    with pytest.raises(ArgumentError, match="indices are not those of its brain models"):
        SecondLevelModel.load(tmp_path / "longer.groupglm")


@pytest.mark.parametrize("kind", ["paths", "dscalars"])
def test_a_loaded_mesh_is_what_its_file_declares(kind: str, tmp_path: Path) -> None:
    study = simulate_surface_study(tmp_path / "study", n_subjects=5, n_divisions=2)
    model = SecondLevelModel(surfaces=study.surfaces)
    model.fit(getattr(study, kind), design_matrix=study.design_matrix)
    loaded = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
    # As smooth as an inflated surface, which would be warned of, but declared an anatomical one.
    table = get_results_table((loaded, "group"), 1.0, correction="fpr")
    pd.testing.assert_frame_equal(table, get_results_table((model, "group"), 1.0, correction="fpr"))
    assert len(table) > 1
