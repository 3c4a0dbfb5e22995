# SPDX-License-Identifier: BSD-3-Clause
"""Options: the same words in all commands; none is ignored without a message."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import click
import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.glm import threshold_stats_img as nilearn_threshold

from groupglm.cli import main
from reference.shell import basic, run, run_fit, values_of


def _by_nilearn(study: Path, out: Path, label: str, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing survives
        kept, _ = nilearn_threshold(
            str(out / f"contrast-{label}_stat-z_statmap.nii.gz"),
            mask_img=str(study / "mask.nii.gz"),
            **options,
        )
    return kept.get_fdata()


def test_every_correction_is_computed_saved_tabled_and_on_the_page(
    study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    both = ("--correct", "fpr:0.05", "--correct", "fdr:0.2", "--correct", "fpr:0.05")
    result = run_fit(*basic(study, out, *both, "--report", "--json"))
    assert result.exit_code == 0, result.output
    for contrast, label in zip(
        json.loads(result.stdout)["contrasts"], ("age", "patientsGtControls"), strict=True
    ):
        corrected = contrast["corrected"]
        assert [one["correction"] for one in corrected] == ["fpr:0.05", "fdr:0.2"]
        for one in corrected:
            control, alpha = one["correction"].split(":")
            wanted = _by_nilearn(
                study, out, label, alpha=float(alpha), height_control=control, two_sided=True
            )
            np.testing.assert_array_equal(values_of(Path(one["files"]["map"])) != 0, wanted != 0)
            assert Path(one["files"]["clusters"]).is_file()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "0.05" in page
    assert "0.2" in page
    told = json.loads((out / "report.html.json").read_text())["Corrections"]
    assert [one["HeightControl"] for one in told] == ["fpr", "fdr"]
    again = run_fit(*basic(study, out, *both, "--report"))
    assert again.output.count("skipped, it is there already") == 2 + 4 + 1
    fewer = run_fit(*basic(study, out, *both[:2], "--report"))
    assert "Report: skipped" not in fewer.output


def test_levels_that_agree_in_six_digits_have_files_of_their_own(
    study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    levels = ("0.0500001", "0.05000012", "0.05", "0.00001")
    options = [text for level in levels for text in ("--correct", f"fpr:{level}")]
    result = run_fit(*basic(study, out, *options, "--json"))
    assert result.exit_code == 0, result.output
    for contrast in json.loads(result.stdout)["contrasts"]:
        files = {one["files"]["map"] for one in contrast["corrected"]}
        assert len(files) == len(levels)
        told = {
            json.loads(Path(file).with_suffix("").with_suffix(".json").read_text())["Correction"][
                "Alpha"
            ]
            for file in files
        }
        assert told == {float(level) for level in levels}
    names = {"fpr0p0500001", "fpr0p05000012", "fpr0p05", "fpr1em05"}
    for name in names:
        assert (out / f"contrast-age_stat-z_desc-{name}_statmap.nii.gz").is_file()


def test_extent_and_tails_are_those_asked_for(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--correct", "fpr:0.05", "--one-sided", "--cluster-threshold", "4")
    result = run_fit(*basic(study, out, *options))
    assert result.exit_code == 0, result.output
    wanted = _by_nilearn(
        study, out, "age", alpha=0.05, height_control="fpr", two_sided=False, cluster_threshold=4
    )
    stem = out / "contrast-age_stat-z_desc-fpr0p05"
    found = values_of(Path(f"{stem}_statmap.nii.gz"))
    np.testing.assert_array_equal(found != 0, wanted != 0)
    assert np.count_nonzero(found) > 4
    table = pd.read_csv(f"{stem}_clusters.tsv", sep="\t")
    sizes = table["Cluster Size (voxels)"].dropna()
    assert sizes.sum() == np.count_nonzero(found)
    assert sizes.min() >= 4
    # With other options the same file is neither used nor silently replaced.
    other = run_fit(*basic(study, out, "--correct", "fpr:0.05"))
    assert other.exit_code == 1
    assert "--cluster-threshold 4 then, none now" in other.output
    assert run_fit(*basic(study, out, "--correct", "fpr:0.05", "--overwrite")).exit_code == 0
    assert values_of(Path(f"{stem}_statmap.nii.gz")).min() < 0


def test_fit_and_permute_permute_alike(study: Path, tmp_path: Path) -> None:
    options = ("--n-perm", "40", "--cluster-p", "0.05", "--seed", "3", "--two-sided")
    for command in ("fit", "permute"):
        arguments = basic(study, tmp_path / command, *options)
        result = run(command, *arguments)
        assert result.exit_code == 0, result.output
        formed = "formed at p < 0.05 of a voxel, not corrected for the number of voxels"
        for name, over in (
            ("t", "voxels, both tails"),
            ("size", f"sizes of clusters, {formed}"),
            ("mass", f"masses of clusters, {formed}"),
        ):
            wanted = rf"age: {name}: smallest p [\d.]+, family-wise over {over}"
            assert re.search(wanted, result.output), result.output
    for kind in ("maxT", "maxSize", "maxMass"):
        name = f"contrast-age_stat-logp_desc-{kind}_statmap"
        first, second = (tmp_path / command for command in ("fit", "permute"))
        np.testing.assert_array_equal(
            values_of(first / f"{name}.nii.gz"), values_of(second / f"{name}.nii.gz")
        )
        told = json.loads((first / f"{name}.json").read_text())["Permutation"]
        assert told == {"TFCE": False, "ClusterFormingP": 0.05, "TwoSided": True, "Seed": 3}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--tfce",), "--tfce has no effect without --permute N"),
        (("--cluster-p", "0.01"), "--cluster-p has no effect without --permute N"),
        (("--seed", "0"), "--seed has no effect without --permute N"),
        (("--one-sided",), "--one-sided has no effect without --correct, --permute or --report"),
        (("--two-sided",), "--two-sided has no effect without --correct, --permute or --report"),
        (("--cluster-threshold", "5"), "--cluster-threshold has no effect without --correct or"),
        (("--background", "MASK"), "--background has no effect without --report"),
        (("--mask", "MASK"), "--mask is given twice"),
        (("--fwhm", "3", "--fwhm=6"), "--fwhm is given twice"),
        (("--formula", "~ 1"), "--formula is given twice"),
        (("--one-sided", "--two-sided"), "--two-sided/--one-sided is given twice"),
    ],
)
def test_options_without_an_effect_are_refused(
    study: Path, tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    given = [str(study / "mask.nii.gz") if text == "MASK" else text for text in options]
    result = run_fit(*basic(study, tmp_path / "out", *given))
    assert result.exit_code == 2
    assert word in result.output
    assert not (tmp_path / "out").exists()


def test_one_threshold_makes_one_file(study: Path, tmp_path: Path) -> None:
    options = ("--correct", "fdr:0.05", "--correct", "fpr:0.001")
    result = run("threshold", study / "mask.nii.gz", *options, "--output", tmp_path / "o.nii")
    assert result.exit_code == 2
    assert "--correct is given twice; give it once" in result.output


def _options(name: str) -> dict[str, click.Option]:
    options = main.commands[name].params
    return {each.opts[0]: each for each in options if isinstance(each, click.Option)}


def test_the_same_option_is_the_same_in_all_commands() -> None:
    shared = (
        "--correct", "--cluster-threshold", "--two-sided", "--tfce", "--cluster-p", "--seed",
        "--background", "--mask", "--fwhm", "--missing", "--target-affine", "--json", "--overwrite",
        "--n-jobs",
    )  # fmt: skip
    owners: dict[str, list[str]] = {}
    for command in set(main.commands) - {"demo", "info"}:
        for option in _options(command):
            owners.setdefault(option, []).append(command)
    differing = {
        ("--correct", "threshold"),
        ("--mask", "threshold"),
        ("--mask", "clusters"),
        ("--mask", "conjunction"),
        ("--mask", "ptfce"),
        ("--two-sided", "ptfce"),
        ("--two-sided", "conjunction"),
    }
    for option in shared:
        commands = [c for c in owners[option] if (option, c) not in differing]
        found = {
            (o.help, str(o.default), o.multiple) for o in (_options(c)[option] for c in commands)
        }
        assert len(found) == 1, option
    for option in ("--correct", "--cluster-threshold", "--two-sided"):
        assert {"fit", "bids", "report", "threshold"} <= set(owners[option])
    for option in ("--tfce", "--cluster-p", "--seed", "--two-sided"):
        assert {"fit", "bids", "permute"} <= set(owners[option])
    assert {"fit", "bids", "report"} <= set(owners["--background"])


@pytest.mark.parametrize("how", ["fwe:0.05", "FWER:0.05", "familywise:0.05"])
def test_familywise_error_points_to_permutation(study: Path, tmp_path: Path, how: str) -> None:
    result = run_fit(*basic(study, tmp_path / "out", "--correct", how))
    assert result.exit_code == 2
    assert "give --permute N to groupglm fit, or groupglm permute" in " ".join(
        result.output.split()
    )


def test_a_mask_on_another_grid_names_the_option(study: Path, tmp_path: Path) -> None:
    mask = tmp_path / "other.nii.gz"
    nib: Any = nibabel
    nib.save(nib.Nifti1Image(np.ones((40, 40, 40), np.uint8), np.eye(4)), mask)
    arguments = [
        mask if one == study / "mask.nii.gz" else one for one in basic(study, tmp_path / "o")
    ]
    result = run_fit(*arguments)
    assert result.exit_code == 1
    assert "not on the grid of the images" in result.output
    assert "--target-affine IMAGE, with the mask as IMAGE" in result.output


def test_a_correction_is_read_in_any_case(study: Path, tmp_path: Path) -> None:
    options = ("--correct", "FDR:0.05", "--correct", "fdr:0.05", "--correct", "Bonferroni: 0.05")
    result = run_fit(*basic(study, tmp_path), *options)
    assert result.exit_code == 0, result.output
    labels = {path.name.split("_desc-")[1].split("_")[0] for path in tmp_path.glob("*age*_desc-*")}
    assert labels == {"fdr0p05", "bonferroni0p05"}
