# SPDX-License-Identifier: BSD-3-Clause
"""Tables of results of models: effects, permutations, surfaces, grayordinates, regions, files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from groupglm import (
    SecondLevelModel,
    get_clusters_table,
    get_results_table,
    load_atlas,
    non_parametric_inference,
)
from groupglm.errors import ArgumentError, GridMismatchError
from groupglm.inference.random_fields.p_values import peak_p
from groupglm.models.effect_sizes import at_places
from reference.meshes import folded, surface_image
from reference.surface_study import surface_study

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (12, 13, 11)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
DESIGN = pd.DataFrame({"group": np.arange(14) % 2.0, "intercept": 1.0})


def image(values: Any) -> Any:
    made: Any = nib.Nifti1Image
    return made(values, AFFINE)


MASK = image(np.ones(SHAPE, np.uint8))


def noise(seed: int) -> Any:
    values = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 1.4)
    return values / values.std()


@pytest.fixture(scope="module")
def images() -> list[Any]:
    made = []
    for subject in range(14):
        values = noise(subject)
        values[2:6, 2:6, 2:6] += 2.5 * (subject % 2)
        values[8:10, 8:11, 6:9] -= 2.5 * (subject % 2)
        made.append(image(values))
    return made


@pytest.fixture(scope="module")
def model(images: list[Any]) -> SecondLevelModel:
    return SecondLevelModel(mask_img=MASK).fit(images, design_matrix=DESIGN)


@pytest.fixture(scope="module")
def permuted(images: list[Any]) -> Any:
    return non_parametric_inference(
        images,
        design_matrix=DESIGN,
        second_level_contrast="group",
        mask=MASK,
        n_perm=99,
        two_sided_test=True,
        threshold=0.005,
        tfce=True,
        random_state=3,
    )


def voxel_of(row: pd.Series[Any]) -> tuple[int, ...]:
    return tuple(np.rint(row[["X", "Y", "Z"]].to_numpy(float) / 3).astype(int).tolist())


def test_a_model_gives_its_own_map_statistics_and_effects(model: Any) -> None:
    found = get_results_table(
        (model, "group"), 2.6, two_sided=True, correction="fpr", confidence=0.9
    )
    z, t = (model.compute_contrast("group", output_type=kind) for kind in ("z_score", "stat"))
    plain = get_clusters_table(z, 2.6, two_sided=True)
    np.testing.assert_allclose(found["Peak Stat"], plain["Peak Stat"], rtol=1e-12)
    assert found["Cluster ID"].tolist() == plain["Cluster ID"].tolist()
    voxels = [voxel_of(row) for _, row in found.iterrows()]
    # Images are float32.
    np.testing.assert_allclose(found["t"], [t.get_fdata()[v] for v in voxels], rtol=1e-6)
    fit = model.results_
    places = np.array([np.ravel_multi_index(v, SHAPE) for v in voxels])
    effects = at_places(fit, [1, 0], places, confidence=0.9)
    assert effects.shape[1] == 6
    np.testing.assert_array_equal(found.iloc[:, -6:].to_numpy(float), effects.to_numpy())
    assert list(found.columns[-6:]) == [
        "Effect",
        "Effect CI Low",
        "Effect CI High",
        "Cohen's d",
        "Cohen's d CI Low",
        "Cohen's d CI High",
    ]


def test_effects_of_a_contrast_with_a_constant_are_those_of_its_maps(model: Any) -> None:
    found = get_results_table((model, "group = 0.4"), 2.0, two_sided=True, correction="fpr")
    voxels = [voxel_of(row) for _, row in found.iterrows()]
    for column, kind in (("Effect", "effect_size"), ("Cohen's d", "cohen_d"),
                         ("Cohen's d CI Low", "cohen_d_ci_low")):  # fmt: skip
        image = model.compute_contrast("group = 0.4", output_type=kind).get_fdata()
        np.testing.assert_allclose(found[column], [image[v] for v in voxels], rtol=1e-6)
    assert (np.sign(found["Cohen's d"]) == np.sign(found["Peak Stat"])).all()


def test_a_model_and_its_map_have_the_same_p_of_random_fields(model: Any) -> None:
    others: Any = {"two_sided": True, "correction": "rft"}
    of_model = get_results_table((model, "group"), 2.6, **others)
    z = model.compute_contrast("group")
    of_map = get_results_table(z, 2.6, mask_img=MASK, smoothness=model.smoothness_, **others)
    names = ["Set p", "Cluster p (FWE)", "Cluster q (FDR)", "Peak p (FWE)", "Peak q (FDR)"]
    for name in names:
        ours, theirs = (own[name].replace("", np.nan).astype(float) for own in (of_model, of_map))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_places_without_a_statistic_do_not_count_in_random_fields(images: list[Any]) -> None:
    holes = [own.get_fdata().copy() for own in images]
    for number, values in enumerate(holes):
        values[0, 0, 0] = np.nan if number else 1.0  # one image: no degree of freedom
        values[6:, 0, 0] = np.nan if number < 3 else values[6:, 0, 0]
    fit = SecondLevelModel(mask_img=MASK, missing="omit")
    with pytest.warns(UserWarning, match="1 of 1716 voxels have no residual degrees"):
        fit.fit([image(values) for values in holes], design_matrix=DESIGN)
    for contrast in ("group", np.eye(2)):
        found = get_results_table((fit, contrast), 3.0, correction="rft")
        df = np.array([12.0] * (np.prod(SHAPE) - 7) + [9.0] * 6)
        is_f = "F" in found
        expected = peak_p(
            found["Peak Stat"], "F" if is_f else "t", (2, df) if is_f else df, fit.smoothness_,
            on_z_scale=True,
        )  # fmt: skip
        np.testing.assert_allclose(found["Peak p (FWE)"], expected, rtol=1e-9)


def test_an_f_test_has_one_tail_and_no_effects(model: Any) -> None:
    found = get_results_table((model, np.eye(2)), 4.0, two_sided=True, correction="rft")
    assert "F" in found.columns
    assert "Effect" not in found.columns
    assert (found["Peak Stat"] > 0).all()
    with pytest.raises(ArgumentError, match="a fitted model and a t contrast"):
        get_results_table((model, np.eye(2)), 4.0, correction="fpr", columns=["Effect"])


def test_permuted_p_are_counts_of_the_null_distribution(model: Any, permuted: Any) -> None:
    found = get_results_table(
        (model, "group"), two_sided=True, correction="permutation", permutations=permuted
    )
    result = permuted.results[0]
    assert len(found) > 2
    seen = set()
    for _, row in found.iterrows():
        at = np.ravel_multi_index(voxel_of(row), SHAPE)
        names = {"Peak p (FWE)": "t", "Peak p (FWE, TFCE)": "tfce"}
        if str(row["Cluster ID"]).isdigit():
            names |= {"Cluster p (FWE)": "size", "Cluster p (FWE, mass)": "mass"}
        else:
            assert row["Cluster p (FWE)"] == row["Cluster p (FWE, mass)"] == ""
        for name, own in names.items():
            value = abs(result.observed[own][at])
            slack = 1 - 1e-6  # a tie counts; sums differ by rounding
            p = (1 + np.count_nonzero(result.null[own] >= slack * value)) / 100
            # -log10 p is stored in float32.
            assert row[name] == pytest.approx(p, rel=1e-5)
            seen.add(row[name])
        if row["Cluster Size (voxels)"] != "":
            assert result.observed["size"][at] == row["Cluster Size (voxels)"]
    assert len(seen) > 3, "not all have the smallest p"


def test_clusters_that_the_test_did_not_form_are_refused(model: Any, permuted: Any) -> None:
    given: Any = {"correction": "permutation", "permutations": permuted}
    with pytest.raises(ArgumentError, match="is not one of those that the permutation test formed"):
        get_results_table((model, "group"), 2.0, two_sided=True, **given)
    maps = {name: permuted[name] for name in ("logp_max_t", "logp_max_tfce")}
    found = get_results_table((model, "group"), 2.0, correction="permutation", permutations=maps)
    assert "Cluster p (FWE)" not in found.columns
    assert {"Peak p (FWE)", "Peak p (FWE, TFCE)"} < set(found.columns)
    with pytest.raises(ArgumentError, match="stat_threshold is missing"):
        get_results_table((model, "group"), correction="permutation", permutations=maps)
    with pytest.raises(ArgumentError, match="with a test of clusters"):
        get_results_table(
            (model, "group"),
            2.0,
            correction="permutation",
            permutations=maps,
            columns=["Cluster p (FWE)"],
        )
    with pytest.raises(ArgumentError, match="no map of corrected p-values"):
        get_results_table((model, "group"), 2.0, correction="permutation", permutations={"t": MASK})
    other = image(np.zeros((4, 4, 4)))
    with pytest.raises(GridMismatchError):
        get_results_table((model, "group"), 2.0, correction="permutation", permutations=other)


def test_an_atlas_names_places_at_the_end(model: Any) -> None:
    labels = np.ones(SHAPE, np.int16)
    labels[6:] = 2
    atlas = load_atlas(image(labels), {1: "front", 2: "back"})
    found = get_results_table((model, "group"), 2.6, correction="fdr", atlas=atlas)
    assert list(found.columns[-2:]) == ["Region", "Regions of Cluster"]
    for _, row in found.iterrows():
        assert row["Region"] == ("back" if voxel_of(row)[0] >= 6 else "front")


def test_the_file_has_a_sidecar_that_describes_every_column(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    found = get_results_table((model, "group"), 2.6, two_sided=True, correction="rft", output=path)
    text = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    assert list(text.columns) == list(found.columns)
    assert text["Cluster ID"].tolist() == [str(own) for own in found["Cluster ID"]]
    # p-values have three digits after the point, or two digits.
    p = text["Peak p (FWE)"].astype(float)
    np.testing.assert_allclose(p, found["Peak p (FWE)"], rtol=0.051, atol=5.1e-4)
    facts = json.loads(path.with_suffix(".json").read_text())
    for name in found.columns:
        assert facts[name]["Description"]
    assert "Chumbley and Friston 2009" in facts["Cluster q (FDR)"]["Source"]
    assert facts["Peak p (FWE)"]["Units"] == "probability"
    assert facts["Correction"] == "rft"


def test_what_the_model_has_is_refused_beside_it(model: Any) -> None:
    for name in ("mask_img", "surfaces", "areas"):
        with pytest.raises(ArgumentError, match=f"{name} is given; leave it out"):
            get_results_table((model, "group"), 2.6, correction="fpr", **{name: MASK})


@pytest.fixture(scope="module")
def on_surfaces(tmp_path_factory: pytest.TempPathFactory) -> Any:
    study = surface_study(tmp_path_factory.mktemp("study"), 3, 16)
    return SecondLevelModel(surfaces=study.surfaces).fit(study.images, design_matrix=study.design)


def test_hemispheres_have_sizes_in_mm2(on_surfaces: Any) -> None:
    with pytest.warns(UserWarning, match="the noise is only"):
        found = get_results_table((on_surfaces, "group"), 3.0, two_sided=True, correction="rft")
    assert set(found["Structure"]) == {"left", "right"}
    assert {"Vertex", "Cluster Size (mm2)", "Vertices", "Cluster p (FWE)"} < set(found.columns)
    p = found["Cluster p (FWE)"].replace("", np.nan).astype(float).to_numpy()
    sizes = found["Cluster Size (mm2)"].replace("", np.nan).astype(float).to_numpy()
    order = np.argsort(sizes)[: np.count_nonzero(~np.isnan(sizes))]
    assert (np.diff(p[order]) <= 0).all(), "larger clusters are less probable"
    plain = get_clusters_table(on_surfaces.compute_contrast("group"), 3.0, two_sided=True)
    assert found["Vertex"].tolist() == plain["Vertex"].tolist()


def test_regions_have_peaks_only() -> None:
    rng = np.random.default_rng(0)
    names = [f"r{n}" for n in range(30)]
    table = pd.DataFrame(rng.standard_normal((14, 30)), columns=names)
    table["r3"] += 3 * DESIGN["group"]
    fitted = SecondLevelModel().fit(table, design_matrix=DESIGN)
    found = get_results_table((fitted, "group"), 1.5, correction="fdr")
    assert found["Region"].iloc[0] == "r3"
    assert list(found.columns[:4]) == ["Region", "Peak Stat", "t", "q (FDR)"]
    assert not {"Cluster ID", "X", "Cluster p (FWE)"} & set(found.columns)
    with pytest.raises(ValueError, match="neighbours"):
        get_results_table((fitted, "group"), 1.5, correction="rft")
    with pytest.raises(ValueError, match="neighbours"):
        get_results_table((fitted, "group"), 1.5, 5, correction="fdr")


def test_grayordinates_have_clusters_in_mm2_and_in_voxels() -> None:
    cifti: Any = nib.cifti2
    axis = cifti.BrainModelAxis
    meshes = [folded(3, side) for side in ("left", "right")]
    places = (
        axis.from_surface(np.arange(642), 642, "CortexLeft")
        + axis.from_surface(np.arange(642), 642, "CortexRight")
        + axis.from_mask(np.ones((6, 6, 6), bool), "ThalamusLeft", AFFINE)
    )
    rng = np.random.default_rng(1)
    maps = []
    for group in DESIGN["group"]:
        row = rng.standard_normal((1, len(places)))
        row[0, 100:130] += 3 * group
        row[0, 1284 + 80 : 1284 + 110] += 3 * group
        maps.append(cifti.Cifti2Image(row, header=(cifti.ScalarAxis(["map"]), places)))
    surfaces = tuple(surface_image(*mesh) for mesh in meshes)
    fitted = SecondLevelModel(surfaces=surfaces).fit(maps, design_matrix=DESIGN)
    with pytest.warns(UserWarning, match="the noise is only"):
        found = get_results_table((fitted, "group"), 2.6, correction="rft")
    assert set(found["Unit"]) >= {"mm2", "voxels"}
    own = found[(found["Cluster p (uncorrected)"] != "")]
    by_size = own.astype({"Cluster Size": float}).sort_values("Cluster Size")
    for _, part in by_size.groupby("Structure"):  # of one smoothness
        assert (np.diff(part["Cluster p (uncorrected)"].astype(float)) <= 0).all()
    assert (own["Cluster p (uncorrected)"].astype(float) <= 1).all()
