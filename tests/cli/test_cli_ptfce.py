# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm ptfce``: from the map of a fit to the one that `threshold` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

import groupglm
from groupglm.cli import main
from groupglm.inference.random_fields.smoothness import Smoothness
from groupglm.report.derived_words import methods_of_conjunction, methods_of_enhancement
from reference.citations import uncited

SHAPE = (16, 14, 12)
Nifti1Image: Any = nib.Nifti1Image
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SMOOTH = Smoothness.of_box(SHAPE, fwhm=8.0, voxel_size=2.0, df=20.0)


def z_map(folder: Path) -> Path:
    z: Any = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 1.7)
    z = z / z.std()
    z[4:9, 4:9, 4:9] += 4.0
    path = folder / "z.nii.gz"
    nib.save(Nifti1Image(z, AFFINE), path)
    nib.save(Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE), folder / "mask.nii.gz")
    return path


def run(*arguments: object) -> None:
    main([str(one) for one in arguments], standalone_mode=False)


def test_a_map_is_enhanced_and_thresholded(tmp_path: Path) -> None:
    path, mask, output = z_map(tmp_path), tmp_path / "mask.nii.gz", tmp_path / "enhanced.nii.gz"
    (tmp_path / "z.json").write_text(json.dumps({"Smoothness": SMOOTH.facts()}))
    run("ptfce", path, "--mask", mask, "--one-sided", "--output", output)
    found: Any = nib.load(output)
    expected: Any = groupglm.ptfce(path, SMOOTH, mask, two_sided=False)
    np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), rtol=1e-6)
    facts = json.loads((tmp_path / "enhanced.json").read_text())
    assert facts["Values"] == "z"
    assert Smoothness.of_facts(facts["Smoothness"]) == SMOOTH
    text = (tmp_path / "enhanced_methods.md").read_text()
    assert "The z scores of z.nii.gz were enhanced by the sizes of their clusters" in text
    assert "full width at half maximum 8" in text
    found_keys = (tmp_path / "enhanced_methods.bib").read_text()
    assert all(key in found_keys for key in ("Spisak2019,", "Kiebel1999,", "Forman1995,"))
    methods = methods_of_enhancement("z.nii.gz", SMOOTH, two_sided=False)
    assert uncited(methods) == uncited(methods_of_conjunction(["a", "b"], two_sided=True)) == []
    thresholded = tmp_path / "rft.nii.gz"
    rule = ("--one-sided", "--correct", "rft:0.05")
    run("threshold", output, "--mask", mask, *rule, "--output", thresholded)
    assert json.loads((tmp_path / "rft.json").read_text())["NumberOfVoxels"] > 40


def test_a_map_without_its_smoothness_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        click.ClickException, match=r"give .*map of groupglm fit with a correction by rft"
    ):
        run("ptfce", z_map(tmp_path), "--output", tmp_path / "enhanced.nii.gz")
