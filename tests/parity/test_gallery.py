# SPDX-License-Identifier: BSD-3-Clause
"""The second-level examples of nilearn's gallery, as sequences of calls on simulated studies.

Each runs to its end, pictures included, with the imports of either package and no other change. The
numbers of both are then compared.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from groupglm import datasets
from parity.test_import_paths import MODULES
from reference.oracle import quiet

Numbers = dict[str, Any]


def _modules(package: str) -> Any:
    """Return what an example imports, by the last part of its path."""
    found = {name: importlib.import_module(f"{package}.{name}") for name in MODULES}
    return SimpleNamespace(**{name.rpartition(".")[2]: module for name, module in found.items()})


def _values(image: Any) -> Any:
    return np.squeeze(np.asanyarray(image.dataobj)).astype(np.float64)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return two groups, of different ages."""
    folder = tmp_path_factory.mktemp("groups")
    return datasets.simulate_group_study(folder, n_subjects=16, voxel_size=8.0, seed=3)


def design_matrices(nl: Any, study: Any, folder: Path) -> Numbers:
    """Make designs of a table of participants, and draw them."""
    ages = [20.0 + place for place in range(len(study.paths))]
    labels = [f"subject{place:02d}" for place in range(len(study.paths))]
    known = pd.DataFrame({"subject_label": labels, "age": ages, "sex": [0, 1] * 8})
    design = nl.second_level.make_second_level_design_matrix(labels, known)
    fig, axes = plt.subplots(ncols=2, figsize=(10, 6), constrained_layout=True)
    ax = nl.plotting.plot_design_matrix(design, axes=axes[0])
    ax.set_title("Second level design matrix", fontsize=12)
    ax.set_ylabel("maps")
    nl.plotting.plot_design_matrix(design, rescale=False, axes=axes[1])
    plt.tight_layout()
    fig.savefig(folder / "design.png")
    nl.plotting.show()
    return {"design": design.to_numpy(), "columns": [list(design.columns)]}


def one_sample(nl: Any, study: Any, folder: Path) -> Numbers:
    """Draw each map, test their mean, and correct it by permutation."""
    fig, axes = plt.subplots(nrows=2, ncols=3, figsize=(8, 8))
    for place, path in enumerate(study.paths[:6]):
        nl.plotting.plot_glass_brain(
            path,
            axes=axes[place // 3, place % 3],
            plot_abs=False,
            display_mode="z",
            vmin=-8,
            vmax=8,
            colorbar=False,
            title=f"map {place}",
        )
    fig.suptitle("maps of the subjects")
    design = pd.DataFrame([1] * len(study.paths), columns=["intercept"])
    model = nl.second_level.SecondLevelModel(smoothing_fwhm=8.0, n_jobs=2)
    model = model.fit(study.paths, design_matrix=design)
    z_map = model.compute_contrast(second_level_contrast="intercept", output_type="z_score")
    display = nl.plotting.plot_glass_brain(
        z_map,
        threshold=3.1,
        colorbar=True,
        display_mode="z",
        plot_abs=False,
        title="mean (unc p<0.001)",
        figure=plt.figure(figsize=(5, 5)),
    )
    display.savefig(folder / "z.png")
    display.close()
    p_map = model.compute_contrast(output_type="p_value")
    n_voxels = np.sum(nl.image.get_data(model.masker_.mask_img_))
    corrected = nl.image.math_img(f"-np.log10(np.minimum(1, img * {n_voxels!s}))", img=p_map)
    nl.plotting.plot_glass_brain(corrected, threshold=1.0, plot_abs=False, vmax=2.7)
    outputs = nl.second_level.non_parametric_inference(
        study.paths,
        design_matrix=design,
        model_intercept=True,
        n_perm=20,
        two_sided_test=False,
        smoothing_fwhm=8.0,
        n_jobs=1,
        threshold=0.001,
        random_state=1,
    )
    cuts, options = [-20, 30], {"display_mode": "z", "vmin": 0, "vmax": 2.7, "cmap": "inferno"}
    for name in ("logp_max_t", "logp_max_size", "logp_max_mass"):
        nl.plotting.plot_glass_brain(
            outputs[name], colorbar=True, plot_abs=False, threshold=1.0, title=name, **options
        )
    nl.plotting.plot_stat_map(z_map, cut_coords=cuts, threshold=3.1, display_mode="z")
    nl.plotting.show()
    return {
        "z": _values(z_map),
        "p": _values(p_map),
        "corrected": _values(corrected)[_values(model.mask_img_) > 0],
        "n_voxels": n_voxels,
        "t": _values(outputs["t"]),
        "names": [sorted(outputs)],
    }


def two_samples(nl: Any, study: Any, folder: Path) -> Numbers:
    """Compare two groups, unpaired and paired."""
    n_half = len(study.paths) // 2
    condition = np.hstack(([1] * n_half, [-1] * n_half))
    unpaired = pd.DataFrame({"effect": condition, "mean": 1})
    subject = np.vstack((np.eye(n_half), np.eye(n_half)))
    names = [f"S{place:02d}" for place in range(1, n_half + 1)]
    paired = pd.DataFrame(np.hstack((condition[:, None], subject)), columns=["effect", *names])
    _, (first, second) = plt.subplots(1, 2, figsize=(8, 5))
    nl.plotting.plot_design_matrix(unpaired, rescale=False, axes=first)
    nl.plotting.plot_design_matrix(paired, rescale=False, axes=second)
    first.set_title("unpaired design", fontsize=12)
    found: Numbers = {}
    for name, design in (("unpaired", unpaired), ("paired", paired)):
        model = nl.second_level.SecondLevelModel(mask_img=study.mask_img, n_jobs=2)
        model = model.fit(study.paths, design_matrix=design)
        stat = model.compute_contrast("effect", output_type="z_score")
        display = nl.plotting.plot_stat_map(
            stat,
            threshold=2.3,
            title=f"{name} t test",
            cut_coords=[0, 20],
            display_mode="z",
            vmax=6,
        )
        display.savefig(str(folder / f"{name}.png"))
        effect = model.compute_contrast("effect", output_type="effect_size")
        variance = model.compute_contrast("effect", output_type="effect_variance")
        found |= {f"{name} z": _values(stat), f"{name} effect": _values(effect)}
        found[f"{name} variance"] = _values(variance)
    plt.figure()
    nl.plotting.plot_contrast_matrix("effect", design_matrix=paired)
    nl.plotting.show()
    return found


def association(nl: Any, study: Any, folder: Path) -> Numbers:
    """Test a covariate, with Bonferroni's correction and by clusters of permutations."""
    tested = np.asarray(study.design_matrix["age"])
    design = pd.DataFrame(np.vstack((tested, np.ones_like(tested))).T, columns=["age", "intercept"])
    ax = nl.plotting.plot_design_matrix(design)
    ax.set_title("second-level design", fontsize=12)
    plt.tight_layout()
    model = nl.second_level.SecondLevelModel(smoothing_fwhm=5.0, n_jobs=2)
    model.fit(study.paths, design_matrix=design)
    z_map = model.compute_contrast("age", output_type="z_score")
    _, threshold = nl.glm.threshold_stats_img(z_map, alpha=0.05, height_control="fdr")
    _, bonferroni = nl.glm.threshold_stats_img(z_map, alpha=0.05, height_control="bonferroni")
    nl.plotting.plot_stat_map(
        z_map, threshold=bonferroni, colorbar=True, title="age", cut_coords=1, display_mode="z"
    )
    table = nl.reporting.get_clusters_table(z_map, 2.0, cluster_threshold=2)
    outputs = nl.second_level.non_parametric_inference(
        study.paths, design_matrix=design, second_level_contrast="age", smoothing_fwhm=5.0,
        n_perm=10, two_sided_test=False, n_jobs=1, random_state=0, tfce=False, threshold=0.001,
    )  # fmt: skip
    nl.plotting.plot_stat_map(
        outputs["logp_max_size"],
        colorbar=True,
        vmax=2.6,
        threshold=0.5,
        output_file=folder / "a.png",
    )
    return {
        "z": _values(z_map),
        "thresholds": [threshold, bonferroni],
        "clusters": table[["X", "Y", "Z", "Peak Stat"]].to_numpy(float),
        "t": _values(outputs["t"]),
    }


def thresholds(nl: Any, study: Any, folder: Path) -> Numbers:
    """Threshold one map in several ways."""
    model = nl.second_level.SecondLevelModel(n_jobs=1).fit(
        study.paths, design_matrix=study.design_matrix
    )
    z_map = model.compute_contrast("group", output_type="z_score")
    found: Numbers = {"z": _values(z_map)}
    ways: list[dict[str, Any]] = [
        {"alpha": 0.001, "height_control": "fpr", "cluster_threshold": 3, "two_sided": True},
        {"alpha": 0.05, "height_control": "fdr"},
        {"alpha": 0.05, "height_control": "bonferroni"},
        {"threshold": 2.0, "height_control": None, "two_sided": False},
    ]
    for place, way in enumerate(ways):
        kept, threshold = nl.glm.threshold_stats_img(z_map, **way)
        nl.plotting.plot_stat_map(
            kept, cut_coords=[0, 20], display_mode="z", threshold=threshold, colorbar=True,
            title=f"{way}"[:40], black_bg=True, draw_cross=False, annotate=False,
        )  # fmt: skip
        found |= {f"kept {place}": _values(kept), f"threshold {place}": threshold}
    found["fdr"] = nl.glm.fdr_threshold(_values(z_map)[_values(model.mask_img_) > 0], 0.05)
    nl.plotting.show()
    return found


def grey_matter(nl: Any, study: Any, folder: Path) -> Numbers:
    """Voxel-based morphometry: a mask on another grid, age and sex, a page."""
    affine = np.diag([9.0, 9.0, 9.0, 1.0])
    affine[:3, 3] = study.mask_img.affine[:3, 3]
    coarse = nl.image.resample_img(study.mask_img, affine, interpolation="nearest")
    mask = nl.image.resample_to_img(coarse, study.paths[0], interpolation="nearest")
    design = pd.DataFrame(
        {"age": study.design_matrix["age"], "sex": [0.0, 1.0] * 8, "intercept": 1.0}
    )
    _, axes = plt.subplots(1, 1, figsize=(4, 8))
    nl.plotting.plot_design_matrix(design, axes=axes)
    model = nl.second_level.SecondLevelModel(smoothing_fwhm=2.0, mask_img=mask, n_jobs=2)
    model.fit(study.paths, design_matrix=design)
    z_map = model.compute_contrast(second_level_contrast=[1, 0, 0], output_type="z_score")
    _, threshold = nl.glm.threshold_stats_img(z_map, alpha=0.05, height_control="fdr")
    threshold = min(threshold, 3.0)
    display = nl.plotting.plot_stat_map(
        z_map, threshold=threshold, colorbar=True, display_mode="z", cut_coords=[-4, 26],
        figure=plt.figure(figsize=(6, 4)),
    )  # fmt: skip
    display.title("age effect on grey matter density")
    report = model.generate_report(
        contrasts=["age", "sex"], alpha=0.05, height_control="fdr", plot_type="glass"
    )
    report.save_as_html(folder / "report.html")
    assert (folder / "report.html").stat().st_size > 10_000
    smooth = nl.image.smooth_img(study.paths[0], 6)
    return {"mask": _values(mask), "z": _values(z_map), "smooth": _values(smooth)}


def true_discoveries(nl: Any, study: Any, folder: Path) -> Numbers:
    """Bound the proportion of active voxels in clusters."""
    design = pd.DataFrame({"intercept": [1] * len(study.paths)})
    model = nl.second_level.SecondLevelModel(smoothing_fwhm=8.0, n_jobs=2)
    z_map = model.fit(study.paths, design_matrix=design).compute_contrast(output_type="z_score")
    bound = nl.glm.cluster_level_inference(z_map, threshold=[2.5, 3.5, 4.5], alpha=0.05)
    nl.plotting.plot_stat_map(
        bound, threshold=0.0, display_mode="z", vmax=1, colorbar=True, title="true discoveries",
        cut_coords=[20, 30],
    )  # fmt: skip
    plt.savefig(folder / "bound.png")
    return {"z": _values(z_map), "bound": _values(bound)}


EXAMPLES = (
    design_matrices,
    one_sample,
    two_samples,
    association,
    thresholds,
    grey_matter,
    true_discoveries,
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_with_the_imports_changed(
    example: Callable[[Any, Any, Path], Numbers], study: Any, tmp_path: Path
) -> None:
    found = {}
    for package in ("nilearn", "groupglm"):
        folder = tmp_path / package
        folder.mkdir()
        with quiet():  # a script is not stopped by a warning
            found[package] = example(_modules(package), study, folder)
        plt.close("all")
    theirs, ours = found["nilearn"], found["groupglm"]
    assert sorted(ours) == sorted(theirs)
    pictures = [{path.name for path in (tmp_path / name).iterdir()} for name in found]
    assert pictures[0] == pictures[1]
    for name, expected in theirs.items():
        if isinstance(expected, list) and isinstance(expected[0], list):
            assert ours[name] == expected, name
            continue
        wanted = np.asarray(expected, dtype=np.float64)
        assert np.count_nonzero(wanted), name
        # Maps are float32, of float32 images.
        np.testing.assert_allclose(ours[name], wanted, rtol=1e-5, atol=1e-5, err_msg=name)
