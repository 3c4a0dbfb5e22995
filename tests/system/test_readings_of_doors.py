# SPDX-License-Identifier: BSD-3-Clause
"""How often every public door reads an image: a function, method or command without a row fails."""

from __future__ import annotations

import json
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
import pytest

import groupglm
from groupglm import SecondLevelModel, bids, datasets, plotting
from groupglm.cli import main
from groupglm.inference.random_fields.smoothness import Smoothness
from reference.bids import model_file
from reference.doors import DESIGN, PERMUTE, World, make_world
from reference.meshes import folded, metric_image, surface_image
from reference.readings import count_readings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of few images and small masks


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("doors"))


@dataclass(frozen=True)
class Row:
    """What a door reads: each of the maps so often, and other files by the end of their names."""

    call: Callable[[World], object]
    maps: int = 0
    others: dict[str, int] = field(default_factory=dict)


MASK, Z = {"mask.nii.gz": 1}, {"z.nii.gz": 1}
Z_OF_RESULTS = {"results/contrast-age_stat-z_statmap.nii.gz": 1}
P_MAPS = {
    f"results/contrast-{name}_stat-logp_desc-max{kind}_statmap.nii.gz": 1
    for name, statistic in (("age", "T"), ("mean", "T"), ("any", "F"))
    for kind in (statistic, "Size", "Mass", "Tfce")
}
Z_MAPS = {f"results/contrast-{name}_stat-z_statmap.nii.gz": 1 for name in ("age", "mean", "any")}


def _has(name: str, world: World) -> bool:
    return hasattr(world.model, name)


def _without_atlas(world: World) -> None:
    with pytest.raises(ValueError, match="no atlas on this machine"):
        groupglm.find_atlas(f"none in {world.folder}")


def _contrasts_of_vectors(world: World) -> object:
    path = world.folder / "contrasts.txt"
    path.write_text("1 0\n", encoding="utf-8")
    return groupglm.load_contrasts(path, ["mean", "age"])


def _drawn_surface() -> dict[str, Any]:
    """Return a map of a hemisphere and its surface, in memory."""
    points, faces = folded(2)
    z = metric_image(points[:, 2])
    return {"stat_map_img": {"left": z}, "surfaces": {"left": surface_image(points, faces)}}


def _variances(world: World) -> list[Any]:
    """Return variances of the maps, in memory."""
    like: Any = nib.load(world.maps[0])
    image: Any = nib.Nifti1Image
    return [image(np.ones(like.shape), like.affine) for _ in world.maps]


def _quiet_smoothness(world: World) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the maps are white noise
        return groupglm.estimate_smoothness(world.maps, world.mask, df=5)


_SMOOTH = Smoothness.of_box((4, 4, 4), fwhm=8.0, voxel_size=2.0)


def _enhanced_by_a_command(world: World) -> None:
    """Enhance a copy of a map whose sidecar tells the smoothness."""
    z_map = Path(world.folder) / next(iter(Z_OF_RESULTS))
    copy = Path(world.new("enhance-z.nii.gz"))
    shutil.copy(z_map, copy)
    facts = json.loads(z_map.with_name(z_map.name.replace(".nii.gz", ".json")).read_text())
    facts["Smoothness"] = _SMOOTH.facts()
    copy.with_name(copy.name.replace(".nii.gz", ".json")).write_text(json.dumps(facts))
    mask, output = f"{world.results}/mask.nii.gz", world.new("enhanced.nii.gz")
    world.run("ptfce", str(copy), "--mask", mask, "--output", output)


def _smoothness_twice(world: World) -> object:
    """Ask for the smoothness twice: the images are read for the first answer only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the maps are white noise
        return world.model.smoothness_, world.model.smoothness_


def _resels_and_smoothness(world: World) -> object:
    """Ask for the resels of each voxel, with which the smoothness is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the maps are white noise
        return world.model.rpv_img_, world.model.smoothness_


def _robust_weights(world: World) -> object:
    model = SecondLevelModel(mask_img=world.mask, model="robust")
    model.fit(world.maps, design_matrix=DESIGN)
    return model.weights_image(model.mean_weights_.index[0])


ROWS: dict[str, dict[str, Row]] = {
    "SecondLevelModel": {"": Row(lambda w: SecondLevelModel(mask_img=w.mask))},
    "SecondLevelModel.fit": {
        "mask": Row(lambda w: w.fitted(), 1, MASK),
        "no mask": Row(lambda w: SecondLevelModel().fit(w.maps, design_matrix=DESIGN), 1),
        "nibabel images of files": Row(
            lambda w: SecondLevelModel(mask_img=w.mask).fit(
                cast("Any", [nib.load(path) for path in w.maps]), design_matrix=DESIGN
            ),
            1,
            MASK,
        ),
        "table of two kinds": Row(lambda w: w.with_table(), 0),
    },
    "SecondLevelModel.compute_contrast": {
        "all maps": Row(lambda w: w.model.compute_contrast("age", output_type="all")),
        "one kind of a table": Row(lambda w: w.with_table("a", "a"), 1, MASK),
    },
    "SecondLevelModel.compute_equivalence": {
        "": Row(lambda w: w.model.compute_equivalence("age", bounds=(-1, 1)))
    },
    "SecondLevelModel.compute_confidence_sets": {
        "": Row(lambda w: w.model.compute_confidence_sets("age", level=0.0), 1)
    },
    "SecondLevelModel.fit_transform": {
        "": Row(
            lambda w: SecondLevelModel(mask_img=w.mask).fit_transform(w.maps, design_matrix=DESIGN),
            1,
            MASK,
        )
    },
    "SecondLevelModel.transform": {"": Row(lambda w: w.model.transform(w.maps), 1)},
    "SecondLevelModel.generate_report": {
        "two contrasts": Row(lambda w: w.model.generate_report(["age", "intercept"]), 1),
        "loaded model": Row(
            lambda w: SecondLevelModel.load(w.path("model.groupglm")).generate_report("age")
        ),
    },
    "SecondLevelModel.save": {"": Row(lambda w: w.model.save(w.new("model.groupglm")))},
    "SecondLevelModel.load": {"": Row(lambda w: SecondLevelModel.load(w.path("model.groupglm")))},
    "SecondLevelModel.residuals": {"": Row(lambda w: w.model.residuals(), 1)},
    "SecondLevelModel.predicted": {"": Row(lambda w: w.model.predicted())},
    "SecondLevelModel.r_square": {"": Row(lambda w: w.model.r_square())},
    "SecondLevelModel.residuals_": {"": Row(lambda w: w.model.residuals_, 1)},
    "SecondLevelModel.smoothness_": {"": Row(_smoothness_twice, 1)},
    "SecondLevelModel.rpv_img_": {"with the smoothness": Row(_resels_and_smoothness, 1)},
    "SecondLevelModel.weights_image": {"of a fit, which reads once": Row(_robust_weights, 2, MASK)},
    "SecondLevelModel.weights_at": {"": Row(lambda w: w.model.weights_at((0, 0, 0)), 1)},
    "SecondLevelModel.masker_": {
        "": Row(lambda w: w.model.masker_),
        "transform": Row(lambda w: w.model.masker_.transform(w.maps), 1),
        "fit_transform": Row(lambda w: w.model.masker_.fit_transform(w.maps), 1),
        "inverse_transform": Row(
            lambda w: w.model.masker_.inverse_transform(np.zeros(w.model.n_elements_))
        ),
    },
    **{
        f"SecondLevelModel.{name}": {"": Row(attrgetter(f"model.{name}"))}
        for name in (
            "design_matrix_",
            "df_residual_",
            "mask_img_",
            "n_elements_",
            "n_observations_",
            "n_zeros_",
            "predicted_",
            "r_square_",
            "results_",
            "zeros_",
        )
    },
    **{  # of least squares, which have none of these
        f"SecondLevelModel.{name}": {"": Row(partial(_has, name))}
        for name in (
            "tau2_",
            "i_squared_",
            "h_squared_",
            "q_",
            "q_p_value_",
            "tau2_zero_share_",
            "intraclass_correlation_",
            "subject_variance_",
            "residual_variance_",
            "family_variance_",
            "boundary_share_",
            "converged_",
            "iterations_",
            "mean_weight_",
            "mean_weights_",
        )
    },
    "SecondLevelModel.get_feature_names_out": {"": Row(lambda w: w.model.get_feature_names_out())},
    "groupglm.non_parametric_inference": {
        "mask": Row(lambda w: w.permuted(mask=w.mask), 1, MASK),
        "no mask": Row(lambda w: w.permuted(), 1),
        "smoothed": Row(lambda w: w.permuted(smoothing_fwhm=4), 1),
    },
    "groupglm.cluster_level_inference": {
        "several thresholds": Row(
            lambda w: groupglm.cluster_level_inference(w.z, mask_img=w.mask, threshold=[2.0, 3.0]),
            0,
            MASK | Z,
        )
    },
    "groupglm.load_contrasts": {"vectors": Row(_contrasts_of_vectors)},
    "groupglm.load_atlas": {"": Row(lambda w: groupglm.load_atlas(w.mask), 0, MASK)},
    "groupglm.find_atlas": {"none": Row(_without_atlas)},
    "groupglm.Atlas": {"": Row(lambda w: hasattr(w, "Atlas"))},
    "groupglm.Sphere": {"": Row(lambda _: groupglm.Sphere((0, 0, 0), 6))},
    "groupglm.extract_values": {
        "images": Row(lambda w: groupglm.extract_values(w.maps, w.mask), 1, MASK),
        "model": Row(lambda w: groupglm.extract_values(w.model, (0, 0, 0, 9)), 1),
    },
    "groupglm.get_clusters_table": {
        "": Row(lambda w: groupglm.get_clusters_table(w.z, 1.0), 0, Z),
        "atlas": Row(lambda w: groupglm.get_clusters_table(w.z, 1.0, atlas=w.mask), 0, MASK | Z),
        "label maps": Row(
            lambda w: groupglm.get_clusters_table(w.z, 1.0, return_label_maps=True), 0, Z
        ),
    },
    "groupglm.get_results_table": {
        "model": Row(
            lambda w: groupglm.get_results_table((w.model, "age"), 1.0, correction="fdr"), 0
        ),
        "map": Row(
            lambda w: groupglm.get_results_table(w.z, 1.0, correction="fdr", mask_img=w.mask),
            0,
            MASK | Z,
        ),
    },
    "groupglm.threshold_stats_img": {
        "mask": Row(lambda w: groupglm.threshold_stats_img(w.z, mask_img=w.mask), 0, MASK | Z),
        "no mask": Row(lambda w: groupglm.threshold_stats_img(w.z), 0, Z),
        "small volume": Row(
            lambda w: groupglm.threshold_stats_img(w.z, small_volume=w.mask), 0, MASK | Z
        ),
    },
    "groupglm.view_map": {
        "volume": Row(lambda w: groupglm.view_map(w.z), 0, Z),
        "surface": Row(lambda w: groupglm.view_map(**_drawn_surface())),
    },
    "groupglm.conjunction_img": {
        "one map twice": Row(
            lambda w: groupglm.conjunction_img([w.z, w.z], w.mask),
            0,
            {**dict.fromkeys(MASK, 1), **dict.fromkeys(Z, 2)},  # once for each map
        ),
    },
    "groupglm.estimate_smoothness": {
        "residuals": Row(_quiet_smoothness, 1, MASK),
    },
    "groupglm.ptfce": {
        "mask": Row(lambda w: groupglm.ptfce(w.z, _SMOOTH, w.mask), 0, MASK | Z),
        "no mask": Row(lambda w: groupglm.ptfce(w.z, _SMOOTH), 0, Z),
    },
    "groupglm.smooth_img": {"list": Row(lambda w: groupglm.smooth_img(w.maps, 4), 1)},
    "groupglm.resample_img": {
        "each": Row(
            lambda w: [groupglm.resample_img(path, np.diag([4.0, 4, 4])) for path in w.maps], 1
        )
    },
    "groupglm.resample_to": {"": Row(lambda w: groupglm.resample_to(w.z, w.mask), 0, Z)},
    "groupglm.math_img": {
        "": Row(lambda w: groupglm.math_img("z + m", z=w.z, m=w.mask), 0, MASK | Z)
    },
    "groupglm.resample_to_img": {
        "": Row(lambda w: groupglm.resample_to_img(w.z, w.mask), 0, Z),
        "list": Row(lambda w: groupglm.resample_to_img(w.maps, w.mask), 1),
    },
    "plotting.plot_stat_map": {
        "": Row(lambda w: plotting.plot_stat_map(w.z), 0, Z),
        "background and mask": Row(
            lambda w: plotting.plot_stat_map(w.z, bg_img=w.maps[0], mask_img=w.mask),
            0,
            {**MASK, **Z, "sub-01_map.nii.gz": 1},
        ),
    },
    "plotting.plot_glass_brain": {"": Row(lambda w: plotting.plot_glass_brain(w.z), 0, Z)},
    "plotting.plot_surf_stat_map": {
        "": Row(lambda w: plotting.plot_surf_stat_map(**_drawn_surface()))
    },
    "plotting.plot_histogram": {"": Row(lambda w: plotting.plot_histogram(w.z), 0, Z)},
    "plotting.plot_forest": {
        "": Row(
            lambda w: plotting.plot_forest(
                w.maps, _variances(w), DESIGN, "age", model="fixed effects", position=(0, 0, 0)
            ),
            1,
        )
    },
    "plotting.plot_spaghetti": {
        "": Row(
            lambda w: plotting.plot_spaghetti(
                w.maps, [k // 2 for k in range(len(w.maps))], DESIGN, "age", position=(0, 0, 0)
            ),
            1,
        )
    },
    "plotting.plot_peak": {
        "": Row(lambda w: plotting.plot_peak(w.maps, DESIGN, "age", position=(0, 0, 0)), 1)
    },
    "bids.collect_maps": {
        "": Row(
            lambda w: bids.collect_maps(
                w.path("raw/derivatives/fitlins"), contrast="facesGtHouses", node="subjectLevel"
            )
        )
    },
    "groupglm fit": {
        "all it can": Row(
            lambda w: w.run(
                "fit",
                *w.study(w.new("fit"), "--save-model", "--report", *PERMUTE),
                "--correct",
                "fpr:0.01",
                "--correct",
                "bonferroni:0.05",
            ),
            1,
            MASK,
        ),
        "nothing to do": Row(
            lambda w: w.run("fit", *w.study(w.results, "--save-model", *PERMUTE)),
            0,
            # It tells of their peaks, within their mask, and of the least p.
            {**Z_MAPS, **P_MAPS, "results/mask.nii.gz": 1},
        ),
    },
    "groupglm permute": {
        "three contrasts": Row(
            lambda w: w.run("permute", *w.study(w.new("permute"), *PERMUTE)), 1, MASK
        )
    },
    "groupglm bids": {
        "one contrast": Row(
            lambda w: w.bids(
                "--filter", "node=subjectLevel", "--contrast", "facesGtHouses", "--report", *PERMUTE
            ),
            0,
            {"contrast-facesGtHouses_stat-effect_statmap.nii.gz": 1, "raw/mask.nii.gz": 1},
        ),
        "two of a model": Row(
            lambda w: w.bids("--model", str(model_file(w.folder)), "--report", *PERMUTE),
            0,
            {
                "contrast-facesGtHouses_stat-effect_statmap.nii.gz": 1,
                "contrast-housesGtFaces_stat-effect_statmap.nii.gz": 1,
                "raw/mask.nii.gz": 2,  # a fit each
            },
        ),
    },
    "groupglm report": {
        "": Row(lambda w: w.run("report", w.results, "--output", w.new("page.html")), 0, P_MAPS)
    },
    "groupglm threshold": {
        "twice": Row(
            lambda w: w.twice(
                lambda out: w.run(
                    "threshold",
                    f"{w.folder}/{next(iter(Z_OF_RESULTS))}",
                    "--correct",
                    "fpr:0.01",
                    "--mask",
                    f"{w.results}/mask.nii.gz",
                    "--output",
                    out,
                ),
                "thresholded.nii.gz",
            ),
            0,
            {**Z_OF_RESULTS, "results/mask.nii.gz": 1},
        )
    },
    "groupglm confidence-sets": {
        "": Row(
            lambda w: w.run(
                "confidence-sets",
                *w.maps,
                "--formula",
                "~ 1",
                "--contrast",
                "mean=intercept",
                "--mask",
                w.mask,
                "--level",
                "3.0",
                "--level",
                "3.2",
                "--output",
                w.new("sets"),
            ),
            1,
            MASK,
        )
    },
    "groupglm conjunction": {
        "one map twice": Row(
            lambda w: w.run(
                "conjunction",
                *[f"{w.folder}/{next(iter(Z_OF_RESULTS))}"] * 2,
                "--mask",
                f"{w.results}/mask.nii.gz",
                "--output",
                w.new("both.nii.gz"),
            ),
            0,
            {**dict.fromkeys(Z_OF_RESULTS, 2), "results/mask.nii.gz": 1},
        )
    },
    "groupglm plot": {
        "twice": Row(
            lambda w: w.twice(
                lambda out: w.run(
                    "plot",
                    f"{w.folder}/{next(iter(Z_OF_RESULTS))}",
                    "--outline",
                    f"{w.results}/mask.nii.gz",
                    "--output",
                    out,
                ),
                "z.png",
            ),
            0,
            {**Z_OF_RESULTS, "results/mask.nii.gz": 1},
        )
    },
    "groupglm neurovault": {
        "of the sidecar": Row(
            lambda w: w.run(
                "neurovault",
                f"{w.folder}/{next(iter(Z_OF_RESULTS))}",
                "--modality",
                "MEG",
                "--output",
                w.new("vault.tsv"),
            ),
        )
    },
    "groupglm view": {
        "twice": Row(
            lambda w: w.twice(
                lambda out: w.run(
                    "view", f"{w.folder}/{next(iter(Z_OF_RESULTS))}", "--output", out
                ),
                "z.html",
            ),
            0,
            Z_OF_RESULTS,
        )
    },
    "groupglm ptfce": {
        "": Row(_enhanced_by_a_command, 0, {"enhance-z.nii.gz": 1, "results/mask.nii.gz": 1})
    },
    "groupglm extract": {
        "twice": Row(
            lambda w: w.twice(
                lambda out: w.run("extract", *w.maps, "--atlas", w.mask, "--output", out),
                "regions.tsv",
            ),
            1,
            MASK,
        )
    },
    "groupglm clusters": {
        "twice": Row(
            lambda w: w.twice(
                lambda out: w.run(
                    "clusters",
                    f"{w.folder}/{next(iter(Z_OF_RESULTS))}",
                    "--threshold",
                    "1",
                    "--output",
                    out,
                ),
                "table.tsv",
            ),
            0,
            {  # the effects at its peaks, too
                **Z_OF_RESULTS,
                "results/contrast-age_stat-effect_statmap.nii.gz": 1,
                "results/contrast-age_stat-variance_statmap.nii.gz": 1,
            },
        )
    },
    "groupglm info": {"": Row(lambda w: w.run("info"))},
    "groupglm demo": {
        "": Row(
            lambda w: w.run(
                "demo", "--n-subjects", "4", "--voxel-size", "12", "--output", w.new("demo")
            ),
            0,
            {"_effect.nii.gz": 1},
        )
    },
}

# They are given no images, or only write some.
WITHOUT_IMAGES = {
    "SecondLevelModel.labels_",  # an error that says what to use
    "groupglm.FixedEffects",
    "groupglm.MixedEffects",
    "groupglm.RepeatedMeasures",
    "groupglm.Robust",
    "groupglm.SurfaceMaps",  # results: its files are those that `to_filename` wrote
    "groupglm.SecondLevelModel",  # its methods are above
    "groupglm.UnequalVariances",
    "groupglm.__version__",
    "groupglm.build_info",
    "groupglm.design_from_formula",
    "groupglm.fdr_threshold",
    "groupglm.fit_mixed",
    "groupglm.fit_ols",
    "groupglm.fit_repeated",
    "groupglm.fit_robust",
    "groupglm.fit_weighted",
    "groupglm.make_second_level_design_matrix",
    "groupglm.permuted_ols",
    "groupglm.repeated_from_formula",
    "groupglm.true_discovery_bounds",
    "plotting.plot_contrast_matrix",
    "plotting.plot_design_correlation",
    "plotting.plot_design_matrix",
    "plotting.plot_regions",  # of tables
    "plotting.show",
    "bids.ModelContrast",
    "bids.StatsModel",
    "bids.find_participants",
    "bids.read_participants",
    "bids.read_stats_model",
    *(f"datasets.{name}" for name in datasets.__all__),
}
# What scikit-learn gives every estimator.
_OF_SKLEARN = {"get_metadata_routing", "get_params", "set_fit_request", "set_output", "set_params"}


def public_doors() -> set[str]:
    model = {name for name in dir(SecondLevelModel) if not name.startswith("_")} - _OF_SKLEARN
    return {
        *(f"groupglm.{name}" for name in groupglm.__all__),
        *(f"plotting.{name}" for name in plotting.__all__),
        *(f"bids.{name}" for name in bids.__all__),
        *(f"datasets.{name}" for name in datasets.__all__),
        *(f"groupglm {name}" for name in main.commands),
        *(f"SecondLevelModel.{name}" for name in model),
        "SecondLevelModel",
    }


def test_every_public_door_has_a_row() -> None:
    assert set(ROWS) | WITHOUT_IMAGES == public_doors()
    assert not set(ROWS) & WITHOUT_IMAGES


@pytest.mark.parametrize(
    ("door", "how"), [(door, how) for door, rows in ROWS.items() for how in rows]
)
def test_a_door_reads_as_often_as_it_must(
    world: World, monkeypatch: pytest.MonkeyPatch, door: str, how: str
) -> None:
    counts = count_readings(monkeypatch)
    row = ROWS[door][how]
    row.call(world)
    # A template of the brain, which lies elsewhere, is not the user's.
    read = {
        name.removeprefix(f"{world.folder}/"): count
        for name, count in counts.items()
        if count and name.startswith(str(world.folder))
    }
    found = Counter({Path(path).name: read.pop(Path(path).name, 0) for path in world.maps})
    wanted = {Path(path).name: row.maps for path in world.maps}
    ends = dict(row.others)
    for name in wanted:
        wanted[name] += ends.pop(name, 0)
    assert found == wanted
    for name, count in read.items():
        assert [count] == [n for end, n in ends.items() if name.endswith(end)][:1], name
    for end in ends:
        assert any(name.endswith(end) for name in read), end
