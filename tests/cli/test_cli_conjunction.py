# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm conjunction``, and contrasts against a constant in the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from reference.shell import basic, run, run_well, values_of

nib: Any = nibabel  # typed only in part


@pytest.fixture(scope="module")
def tested(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of age, of age against a constant, and of an F."""
    out = tmp_path_factory.mktemp("tested") / "out"
    contrasts = ["--contrast", "half=age = 0.5", "--contrast", "any=age; intercept"]
    run_well("fit", *basic(study, out, *contrasts, "--report"))
    return out


def _z(folder: Path, name: str) -> Path:
    return folder / f"contrast-{name}_stat-z_statmap.nii.gz"


def test_it_writes_the_smallest_z_and_says_of_which_maps(tested: Path, tmp_path: Path) -> None:
    maps, out = [_z(tested, "age"), _z(tested, "half")], tmp_path / "both.nii.gz"
    arguments = ["conjunction", *maps, "--mask", tested / "mask.nii.gz", "--output", out, "--json"]
    assert json.loads(run_well(*arguments).stdout)["status"] == "written"
    wanted = np.minimum(*(values_of(own) for own in maps))
    np.testing.assert_array_equal(values_of(out), wanted)
    facts = json.loads((tmp_path / "both.json").read_text())
    assert facts["Values"] == "z"
    assert [own["Name"] for own in facts["Input"]] == [own.name for own in maps]
    assert "DesignHash" in facts  # both maps are of one study
    assert "Contrast" not in facts  # but of different contrasts
    assert json.loads(run_well(*arguments).stdout)["status"] == "skipped"
    text = (tmp_path / "both_methods.md").read_text()
    assert "The conjunction of age and half is the smallest of their z scores" in text
    assert "positive effects counted" in text
    assert "@article{Nichols2005," in (tmp_path / "both_methods.bib").read_text()
    assert "DesignHash" in json.loads((tmp_path / "both_methods.md.json").read_text())
    (tmp_path / "both_methods.md").unlink()  # what is lacking is written again
    assert json.loads(run_well(*arguments).stdout)["status"] == "written"
    assert (tmp_path / "both_methods.md").read_text() == text
    kept = tmp_path / "kept.nii.gz"
    run_well("threshold", out, "--at", "0.5", "--one-sided", "--output", kept)
    np.testing.assert_array_equal(values_of(kept) != 0, wanted >= 0.5)
    # A negative value says that one of the maps is negative: there is one tail without the option.
    run_well("threshold", out, "--at", "0.5", "--output", kept, "--overwrite")
    np.testing.assert_array_equal(values_of(kept) != 0, wanted >= 0.5)
    assert (wanted <= -0.5).any()


def test_texts_of_others_beside_it_are_left(tested: Path, tmp_path: Path) -> None:
    (tmp_path / "both_methods.md").write_text("mine")
    maps = [_z(tested, "age"), _z(tested, "half")]
    refused = run("conjunction", *maps, "--output", tmp_path / "both.nii.gz", "--overwrite")
    assert refused.exit_code == 1
    assert "both_methods.md" in refused.output
    assert (tmp_path / "both_methods.md").read_text() == "mine"
    assert not (tmp_path / "both.nii.gz").exists()


def test_one_map_and_maps_of_f_are_refused(tested: Path, tmp_path: Path) -> None:
    out = ["--output", tmp_path / "out.nii.gz"]
    alone = run("conjunction", _z(tested, "age"), *out)
    assert alone.exit_code == 1
    assert "MAPS holds 1 map" in alone.output
    assert "at least two maps" in alone.output
    with_f = run("conjunction", _z(tested, "age"), _z(tested, "any"), *out)
    assert with_f.exit_code == 1
    assert "does not tell the direction" in with_f.output
    assert not (tmp_path / "out.nii.gz").exists()


def test_a_constant_is_in_maps_sidecars_and_page(tested: Path, tmp_path: Path) -> None:
    effect, variance, t = (
        values_of(tested / f"contrast-half_stat-{kind}_statmap.nii.gz")
        for kind in ("effect", "variance", "t")
    )
    inside = variance > 0
    wanted = (effect[inside] - 0.5) / np.sqrt(variance[inside])
    np.testing.assert_allclose(t[inside], wanted, rtol=1e-4)  # of maps in float32
    facts = json.loads(
        _z(tested, "half").with_name("contrast-half_stat-z_statmap.json").read_text()
    )
    assert facts["Contrast"]["NullValue"] == 0.5
    assert facts["Contrast"]["Expression"] == "age = 0.5"
    assert "age = 0.5" in (tested / "report.html").read_text()


@pytest.fixture(scope="module")
def without(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The maps of the study less 1.5."""
    folder = tmp_path_factory.mktemp("less")
    for path in (study / "maps").glob("sub-*_effect.nii.gz"):
        image: Any = nib.load(path)
        values = np.asarray(image.dataobj) - np.asarray(image.dataobj).dtype.type(1.5)
        nib.save(nib.Nifti1Image(values, image.affine), folder / path.name)
    return folder


def test_a_constant_is_permuted_as_maps_without_it(
    study: Path, without: Path, tmp_path: Path
) -> None:
    mean = ["--formula", "~ 1", "--mask", study / "mask.nii.gz"]
    run_well(
        *("permute", study / "maps" / "sub-*_effect.nii.gz", *mean, "--n-perm", "40"),
        *("--contrast", "c=intercept = 1.5", "--output", tmp_path / "constant"),
    )
    run_well(
        *("permute", without / "*.nii.gz", *mean, "--n-perm", "40"),
        *("--contrast", "c=intercept", "--output", tmp_path / "zero"),
    )
    name = "contrast-c_stat-logp_desc-maxT_statmap"
    found, wanted = (
        values_of(tmp_path / folder / f"{name}.nii.gz") for folder in ("constant", "zero")
    )
    np.testing.assert_array_equal(found, wanted)
    assert found.max() > 0
    facts = json.loads((tmp_path / "constant" / f"{name}.json").read_text())
    assert facts["Contrast"]["NullValue"] == 1.5
    assert facts["SignFlips"] is True
    table, of_zero = (
        pd.read_csv(tmp_path / folder / "contrast-c_desc-permutation_clusters.tsv", sep="\t")
        for folder in ("constant", "zero")
    )
    assert len(table) > 1
    # Of maps in float32; the tables have three decimals. Effects are those of the maps.
    for name in ("Effect", "Effect CI Low", "Effect CI High"):
        of_zero[name] += 1.5
    pd.testing.assert_frame_equal(table, of_zero, check_exact=False, rtol=0, atol=0.0011)


def test_effect_sizes_of_a_constant_are_those_of_maps_without_it(
    study: Path, without: Path, tmp_path: Path
) -> None:
    options = ["--formula", "~ 1", "--mask", study / "mask.nii.gz", "--bayes-factor"]
    options += ["--effect-sizes", "cohen_d,partial_r", "--equivalence=-0.4:0.4:d"]
    for maps, contrast, folder in (
        (study / "maps" / "sub-*_effect.nii.gz", "c=intercept = 1.5", "constant"),
        (without / "*.nii.gz", "c=intercept", "zero"),
    ):
        run_well("fit", maps, *options, "--contrast", contrast, "--output", tmp_path / folder)
    kinds = ["t", "cohenD", "cohenDLow", "partialR", "logBF10", "p_desc-equivalence"]
    for kind in [*kinds, "decision_desc-equivalence"]:
        found, wanted = (
            values_of(tmp_path / folder / f"contrast-c_stat-{kind}_statmap.nii.gz")
            for folder in ("constant", "zero")
        )
        assert np.unique(found).size > 1
        # Subtraction rounds float32 maps to 1e-7 of some 3 units, with a deviation of about 1.
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=kind)
