# SPDX-License-Identifier: BSD-3-Clause
"""Maps of both hemispheres at the commands: names, one sidecar, values, reruns, refusals."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from groupglm.cli import main
from groupglm.datasets import SurfaceStudy, simulate_surface_study

FloatArray = NDArray[np.float64]

MAPS = ("effect", "variance", "t", "z", "p")


def run(*arguments: Any, fails: bool = False) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert (result.exit_code != 0) is fails, result.output
    return result


def values(pair: Any) -> FloatArray:
    """Return the values of both hemispheres, left first; of one file if one is given."""
    files = [pair] if isinstance(pair, Path) else pair
    images: list[Any] = [nib.load(path) for path in files]
    return np.concatenate([image.darrays[0].data for image in images]).astype(np.float64)


def pair(name: Path) -> tuple[Path, Path]:
    """Return the files of a map of results."""
    return name.with_name(f"hemi-L_{name.name}"), name.with_name(f"hemi-R_{name.name}")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SurfaceStudy:
    folder = tmp_path_factory.mktemp("study")
    study = simulate_surface_study(folder / "maps", n_subjects=8, n_divisions=3, seed=2)
    study.participants.to_csv(folder / "people.tsv", sep="\t", index=False)
    return study


def command(study: SurfaceStudy, output: Path, *more: Any, name: str = "fit") -> list[Any]:
    return [
        name, study.directory / "sub-*_effect.func.gii",
        "--participants", study.directory.parent / "people.tsv",
        "--formula", "~ group + age", "--contrast", "patients=group[T.patient]",
        "--surfaces", *study.surfaces, "--output", output, "--n-jobs", "1", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def fitted(study: SurfaceStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "out"
    more = ["--correct", "fpr:0.01", "--cluster-threshold", "2", "--save-model"]
    said = run(*command(study, out, *more)).output
    assert "vertices" in said
    assert "voxel" not in said
    return out


def t_of_patients(study: SurfaceStudy) -> tuple[FloatArray, FloatArray, int]:
    """Return effect and t of the group by least squares, and the degrees of freedom."""
    n = len(study.paths)
    people = study.participants
    X = np.column_stack([np.ones(n), people["group"] == "patient", people["age"]]).astype(float)
    Y = np.stack([values(files) for files in study.paths])
    beta = np.linalg.lstsq(X, Y, rcond=None)[0]
    residual = ((Y - X @ beta) ** 2).sum(axis=0) / (n - 3)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = beta[1] / np.sqrt(residual * np.linalg.inv(X.T @ X)[1, 1])
    return beta[1], t, n - 3


def test_effects_in_tables_are_those_of_the_vertices(
    study: SurfaceStudy, fitted: Path, tmp_path: Path
) -> None:
    effect, t, df = t_of_patients(study)
    z = fitted / "contrast-patients_stat-z_statmap.func.gii"
    given = ("--threshold", "2.5", "--surfaces", *study.surfaces)
    run("clusters", z, *given, "--output", tmp_path / "out.tsv")
    for path in (*fitted.glob("*_desc-fpr*_clusters.tsv"), tmp_path / "out.tsv"):
        table = pd.read_csv(path, sep="\t")
        assert set(table["Structure"]) == {"left", "right"}
        half = np.where(table["Structure"] == "right", effect.size // 2, 0)
        places = table["Vertex"].to_numpy(int) + half
        np.testing.assert_allclose(table["Effect"], effect[places], atol=6e-4)
        wanted = effect[places] * (1 - scipy.stats.t.ppf(0.975, df) / t[places])
        np.testing.assert_allclose(table["Effect CI Low"], wanted, atol=6e-4)


def test_a_map_has_a_file_of_each_hemisphere_and_one_sidecar(
    study: SurfaceStudy, fitted: Path
) -> None:
    names = {path.name for path in fitted.iterdir()}
    for kind in (*MAPS, "z_desc-fpr0p01"):
        name = f"contrast-patients_stat-{kind}_statmap"
        own = {found for found in names if name in found and found.split(name)[1][0] == "."}
        assert own == {f"hemi-L_{name}.func.gii", f"hemi-R_{name}.func.gii", f"{name}.json"}
        facts = json.loads((fitted / f"{name}.json").read_text())
        assert [part["Name"] for part in facts["Files"]] == [
            f"hemi-{side}_{name}.func.gii" for side in "LR"
        ]
        for part in facts["Files"]:
            content = (fitted / part["Name"]).read_bytes()
            assert part["Size"] == len(content)
            assert part["Hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert {"hemi-L_mask.func.gii", "hemi-R_mask.func.gii", "mask.json"} <= names
    assert not any(name.endswith((".nii", ".nii.gz")) for name in names)
    facts = json.loads((fitted / "contrast-patients_stat-t_statmap.json").read_text())
    assert facts["NumberOfSubjects"] == 8  # not 16 files
    assert facts["Settings"]["Surfaces"][0][0] == "hemi-L_midthickness.surf.gii"


def test_the_maps_hold_the_values_of_least_squares(study: SurfaceStudy, fitted: Path) -> None:
    effect, t, df = t_of_patients(study)
    inside = values(study.mask) > 0
    np.testing.assert_array_equal(values(pair(fitted / "mask.func.gii")) > 0, inside)
    found = {
        kind: values(pair(fitted / f"contrast-patients_stat-{kind}_statmap.func.gii"))
        for kind in MAPS
    }
    wanted = {
        "effect": effect,
        "t": t,
        "p": scipy.stats.t.sf(t, df),
        "z": scipy.stats.norm.isf(scipy.stats.t.sf(t, df)),
    }
    for kind, own in wanted.items():
        # float32 inputs and outputs: 6e-8 of the largest terms of each sum.
        np.testing.assert_allclose(
            found[kind][inside], own[inside], rtol=2e-5, atol=2e-6, err_msg=kind
        )
        assert not np.any(found[kind][~inside])


def test_the_same_command_finds_all_done(study: SurfaceStudy, fitted: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in fitted.glob("*.gii")}
    more = ["--correct", "fpr:0.01", "--cluster-threshold", "2", "--save-model"]
    said = run(*command(study, fitted, *more)).output
    assert "skipped, it is there already" in said
    assert "fpr:0.01 skipped" in said
    assert {path.name: path.stat().st_mtime_ns for path in fitted.glob("*.gii")} == before
    other = command(study, fitted)
    at = other.index("--surfaces")
    del other[at : at + 3]
    assert "--surfaces" in run(*other, fails=True).output  # another setting


def test_a_map_that_lacks_a_file_is_made_again(study: SurfaceStudy, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(*command(study, out))
    left, right = pair(out / "contrast-patients_stat-z_statmap.func.gii")
    wanted = right.read_bytes()
    right.unlink()
    run(*command(study, out))
    assert right.read_bytes() == wanted
    image: Any = nib.load(left)
    image.darrays[0].data[:] += 1
    nib.save(image, left)
    refused = run(*command(study, out), fails=True).output
    assert "'hemi-L_contrast-patients_stat-z_statmap.func.gii', which is not the file" in refused


def test_a_file_of_the_users_is_not_replaced(study: SurfaceStudy, tmp_path: Path) -> None:
    mine = tmp_path / "hemi-R_contrast-patients_stat-t_statmap.func.gii"
    mine.write_text("mine")
    refused = run(*command(study, tmp_path, "--overwrite"), fails=True).output
    assert f"'{mine.name}', which has no sidecar" in " ".join(refused.split())
    assert mine.read_text() == "mine"
    assert len(list(tmp_path.iterdir())) <= 2  # and the log


def test_one_hemisphere_has_one_file_and_replaces_two(study: SurfaceStudy, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(*command(study, out))
    left = values(pair(out / "contrast-patients_stat-t_statmap.func.gii")[0])
    arguments = command(study, out, "--overwrite")
    arguments[1] = study.directory / "sub-*_hemi-L_effect.func.gii"
    at = arguments.index("--surfaces")
    arguments[at + 2] = "none"
    run(*arguments)
    assert not list(out.glob("hemi-*"))
    found = values(out / "contrast-patients_stat-t_statmap.func.gii")
    np.testing.assert_allclose(found, left, rtol=1e-6)
    facts = json.loads((out / "contrast-patients_stat-t_statmap.json").read_text())
    assert facts["File"]["Name"] == "contrast-patients_stat-t_statmap.func.gii"


def components(study: SurfaceStudy, inside: NDArray[np.bool_]) -> tuple[int, NDArray[Any], Any]:
    """Return the clusters of vertices, and the area of each vertex, by scipy alone."""
    edges, areas, shift = [], np.zeros(len(inside)), 0
    for path in study.surfaces:
        image: Any = nib.load(path)
        places, faces = image.agg_data("pointset"), image.agg_data("triangle")
        a, b, c = (places[faces[:, k]].astype(float) for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        np.add.at(areas, faces + shift, area[:, None] / 3)
        edges += [faces[:, [0, 1]] + shift, faces[:, [1, 2]] + shift, faces[:, [2, 0]] + shift]
        shift += len(places)
    pairs = np.concatenate(edges)
    pairs = pairs[inside[pairs].all(axis=1)]
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(inside),) * 2)
    count, labels = connected_components(graph, directed=False)
    return count, labels, areas


def test_threshold_and_clusters_take_the_name_of_both(
    study: SurfaceStudy, fitted: Path, tmp_path: Path
) -> None:
    z_map, kept = fitted / "contrast-patients_stat-z_statmap.func.gii", tmp_path / "kept.func.gii"
    z = values(pair(z_map))
    threshold = ["threshold", z_map, "--mask", fitted / "mask.func.gii", "--at", "2"]
    said = json.loads(run(*threshold, "--output", kept, "--json").stdout)
    passes = np.abs(z) >= 2
    assert said["n_voxels"] == passes.sum()
    np.testing.assert_array_equal(values(pair(kept)), np.where(passes, z, 0))
    assert {path.name for path in tmp_path.iterdir()} == {
        "hemi-L_kept.func.gii", "hemi-R_kept.func.gii", "kept.json"
    }  # fmt: skip
    assert "skipped" in run(*threshold, "--output", kept).output
    refused = run(*threshold, "--output", tmp_path / "kept.nii.gz", fails=True).output
    assert "must end in" in refused

    found = json.loads(
        run("clusters", z_map, "--threshold", "2", "--surfaces", *study.surfaces, "--json").stdout
    )["clusters"]
    tails = []
    for tail in (z >= 2, z <= -2):
        _, labels, areas = components(study, tail)
        tails += [areas[(labels == own) & tail].sum() for own in np.unique(labels[tail])]
    sizes = [row["Cluster Size (mm2)"] for row in found if row["Vertices"] not in (None, "")]
    # The table has areas to a tenth, of coordinates in float32.
    np.testing.assert_allclose(sorted(sizes), sorted(tails), atol=0.0501)
    peak = max(found, key=lambda row: abs(row["Peak Stat"]))
    vertex, n = int(np.abs(z).argmax()), study.n_vertices
    assert peak["Vertex"] == vertex % n
    assert ("left", "right")[vertex >= n] in peak["Structure"].lower()


def test_half_of_a_map_is_taken_with_a_warning(fitted: Path, tmp_path: Path) -> None:
    whole = fitted / "contrast-patients_stat-z_statmap.func.gii"
    left = pair(whole)[0]
    kept = tmp_path / "kept.func.gii"
    said = run("threshold", left, "--at", "2", "--output", kept).output
    assert f"'{left.name}' is only one file of the map '{whole.name}', which has 2" in said
    z = values(left)
    np.testing.assert_array_equal(values(kept), np.where(np.abs(z) >= 2, z, 0))
    assert (
        "only one file"
        not in run("threshold", kept, "--at", "2", "--output", kept.with_name("k.func.gii")).output
    )


def test_a_page_is_about_vertices(study: SurfaceStudy, fitted: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run("report", fitted, "--output", page)
    text = page.read_text("utf-8")
    shown = re.sub(r"<(script|style|svg).*?</\1>", "", text, flags=re.DOTALL)
    assert "voxel" not in shown
    assert "vertices" in shown
    assert "8 subjects" in run("info", fitted).output or "fit" in run("info", fitted).output


def _flipped_t(Y: FloatArray, signs: tuple[float, ...]) -> FloatArray:
    flipped = Y * np.array(signs)[:, None]
    t: FloatArray = flipped.mean(axis=0) / (flipped.std(axis=0, ddof=1) / np.sqrt(len(Y)))
    return t


def _darrays(file: Path) -> list[Any]:
    image: Any = nib.load(file)
    return list(image.darrays)


def tfce(
    t: FloatArray, inside: NDArray[np.bool_], points: FloatArray, faces: NDArray[np.int32]
) -> FloatArray:
    """Return the integral of area * h^2 over heights, of the positive values of a map.

    Between two values of the map the clusters stay the same, so the integral is a sum over them.
    """
    first, second, third = points[faces.T]
    thirds = np.linalg.norm(np.cross(second - first, third - first), axis=1) / 6
    area = np.bincount(faces.ravel(), np.repeat(thirds, 3), len(points))[inside]
    number = np.cumsum(inside) - 1
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = number[edges[inside[edges].all(axis=1)]]
    heights = np.unique(t[t > 0])
    found = np.zeros(len(t))
    for low, high in itertools.pairwise([0.0, *heights]):
        above = t >= high
        own = edges[above[edges].all(axis=1)]
        links = coo_array((np.ones(len(own)), (own[:, 0], own[:, 1])), shape=(len(t), len(t)))
        _, labels = connected_components(links, directed=False)
        extent = np.bincount(labels, area * above)[labels]
        found += np.where(above, extent * (high**3 - low**3) / 3, 0.0)
    return found


def test_permutation_has_one_family_over_both_hemispheres(tmp_path: Path) -> None:
    study = simulate_surface_study(tmp_path / "maps", n_subjects=5, n_divisions=2, seed=2)
    # The mean of five subjects has 32 sign flips, which are all counted.
    chosen = study.paths
    out = tmp_path / "out"
    run(
        "permute", *(path for files in chosen for path in files), "--formula", "~ 1",
        "--contrast", "mean=intercept", "--n-perm", "32", "--mask",
        study.directory / "hemi-?_cortex.shape.gii", "--one-sided", "--tfce",
        "--cluster-p", "0.01", "--surfaces", *study.surfaces, "--output", out,
    )  # fmt: skip
    inside = values(study.mask) > 0
    Y = np.stack([values(files) for files in chosen])[:, inside]
    all_signs = [*itertools.product((1.0, -1.0), repeat=5)]
    largest = np.array([_flipped_t(Y, signs).max() for signs in all_signs])
    t = _flipped_t(Y, (1.0,) * 5)
    p = (largest[:, None] >= t - 1e-6 * np.abs(t)).mean(axis=0)
    logp = values(pair(out / "contrast-mean_stat-logp_desc-maxT_statmap.func.gii"))
    np.testing.assert_allclose(10.0 ** -logp[inside], p, rtol=1e-5)
    # On surfaces the extent has the power 1, and it is an area.
    points, faces = zip(
        *((array.data for array in _darrays(file)) for file in study.surfaces), strict=True
    )
    n_left = len(points[0])
    corners = np.concatenate([faces[0], faces[1] + n_left])
    xyz = np.concatenate(points).astype(np.float64)
    enhanced = [tfce(_flipped_t(Y, signs), inside, xyz, corners) for signs in all_signs]
    own = enhanced[0]
    maxima = np.array([each.max() for each in enhanced])
    p = (maxima[:, None] >= own - 1e-6 * np.abs(own)).mean(axis=0)
    logp = values(pair(out / "contrast-mean_stat-logp_desc-maxTfce_statmap.func.gii"))
    np.testing.assert_allclose(10.0 ** -logp[inside], p, rtol=1e-5)
    for name in ("maxSize", "maxMass"):
        assert all(
            path.exists()
            for path in pair(out / f"contrast-mean_stat-logp_desc-{name}_statmap.func.gii")
        )


def test_what_is_not_whole_is_refused_with_the_subject(study: SurfaceStudy, tmp_path: Path) -> None:
    for files in study.paths:
        for path in files:
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / study.paths[2][1].name).unlink()
    arguments = command(study, tmp_path / "out")
    arguments[1] = tmp_path / "sub-*_effect.func.gii"
    assert "right hemisphere is missing of sub-03" in " ".join(
        run(*arguments, fails=True).output.split()
    )
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.gii"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("fsLR", "none"), "names a standard mesh for one hemisphere"),
        (("fsLR", "--surfaces"), "takes two values, for the left and the right hemisphere, but on"),
        (("none", "none"), "gives nothing"),
        (("nowhere.surf.gii", "none"), "nowhere.surf.gii"),
    ],
)
def test_pairs_that_mean_nothing_are_refused(
    study: SurfaceStudy, tmp_path: Path, given: tuple[str, str], message: str
) -> None:
    arguments = command(study, tmp_path / "out")
    at = arguments.index("--surfaces")
    arguments[at + 1 : at + 3] = given
    result = run(*arguments, fails=True)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fit", ("--permute", "10", "--tfce")),
        ("fit", ("--permute", "10", "--cluster-p", "0.01")),
        ("fit", ("--correct", "fpr:0.01", "--cluster-threshold", "5")),
        ("fit", ("--report", "--cluster-threshold", "5")),
        ("fit", ("--correct", "rft:0.05")),
        ("permute", ("--n-perm", "10", "--tfce")),
        ("permute", ("--n-perm", "10", "--cluster-p", "0.01")),
    ],
)
def test_clusters_without_a_mesh_are_refused_before_the_maps_are_read(
    study: SurfaceStudy, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    arguments = command(study, tmp_path / "out", *options, name=name)
    at = arguments.index("--surfaces")
    del arguments[at : at + 3]
    refused = " ".join(run(*arguments, fails=True).output.split())
    assert "need its mesh" in refused
    assert "--surfaces" in refused
    assert not list((tmp_path / "out").glob("*.gii"))
    assert "Reading" not in refused


def test_a_threshold_and_a_page_need_no_mesh(study: SurfaceStudy, tmp_path: Path) -> None:
    arguments = command(study, tmp_path / "out", "--correct", "fpr:0.01", "--report", "--json")
    at = arguments.index("--surfaces")
    del arguments[at : at + 3]
    said = json.loads(run(*arguments).stdout)
    z = values(pair(tmp_path / "out" / "contrast-patients_stat-z_statmap.func.gii"))
    limit = scipy.stats.norm.isf(0.005)
    kept = values(pair(tmp_path / "out" / "contrast-patients_stat-z_desc-fpr0p01_statmap.func.gii"))
    np.testing.assert_array_equal(kept, np.where(np.abs(z) >= limit, z, 0))
    assert said["contrasts"][0]["corrected"][0]["threshold"] == pytest.approx(limit)
    assert not list((tmp_path / "out").glob("*_clusters.*"))
    assert (tmp_path / "out" / "report.html").is_file()
    again = json.loads(run(*arguments).stdout)
    assert again["contrasts"][0]["corrected"][0]["status"] == "skipped"


def test_the_demo_of_surfaces_finds_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    said = run("demo", "--surface", "--output", out).output
    assert "voxel" not in said
    facts = json.loads((out / "demo.json").read_text())
    for contrast in facts["Results"]["contrasts"]:
        # Less than half of the width of the effects, which are 24 and 30 mm wide.
        assert contrast["apart_mm"] < 12, contrast
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.gii")}
    assert {"maps/hemi-L_group_z.func.gii", "images/sub-24_hemi-R_effect.func.gii"} <= names
    dscalars = {path.relative_to(out).as_posix() for path in out.rglob("*.dscalar.nii")}
    assert len(dscalars) == 24
    assert set(facts["Files"]) >= dscalars
    assert set(facts["Files"]) >= names
    assert "skipped" in run("demo", "--surface", "--output", out).output
    refused = run("demo", "--surface", "--voxel-size", "4", "--output", out, fails=True).output
    assert "--voxel-size has no effect" in refused


def test_maps_are_smoothed_on_the_meshes_and_sidecars_tell_the_achieved_width(
    study: SurfaceStudy, tmp_path: Path
) -> None:
    name = "contrast-patients_stat-effect_statmap"
    folders = {"smooth": tmp_path / "smooth", "rough": tmp_path / "rough"}
    run(*command(study, folders["smooth"], "--fwhm", "12"))
    run(*command(study, folders["rough"]))
    facts = {
        key: json.loads((folder / f"{name}.json").read_text()) for key, folder in folders.items()
    }
    assert facts["smooth"]["Settings"]["SmoothingFWHM"] == 12
    assert "Smoothing" not in facts["rough"]
    for side, file in zip(("left", "right"), study.surfaces, strict=True):
        surface: Any = nib.load(file)
        points, faces = (array.data for array in surface.darrays)
        first, second, third = points.astype(np.float64)[faces.T]
        area = np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2
        # FreeSurfer's rule: the square of the width that one iteration gives.
        one = 7 * area / len(points) / (1.14 * 4 * np.pi) * np.log(256)
        told = facts["smooth"]["Smoothing"][side]
        assert told["Iterations"] == np.floor(12**2 / one + 0.5) > 0
        achieved = np.sqrt(told["Iterations"] * one)
        assert told["AchievedFWHM"] == pytest.approx(achieved, abs=1e-4)
    spread = {
        key: values(pair(folder / f"{name}.func.gii")).std() for key, folder in folders.items()
    }
    assert spread["smooth"] < 0.8 * spread["rough"]


def test_extract_takes_a_mask_of_both_hemispheres(
    study: SurfaceStudy, fitted: Path, tmp_path: Path
) -> None:
    half = fitted / "hemi-L_mask.func.gii"
    output = tmp_path / "mask.tsv"
    given = ["extract", study.directory / "sub-*_effect.func.gii", "--output", output]
    run(*given, "--region", fitted / "mask.func.gii", "--n-jobs", "1")
    rows = [line.split("\t") for line in output.read_text().splitlines()]
    inside = values(study.mask) > 0
    assert [row[1] for row in rows] == ["region", *["mask"] * 8]
    expected = [values(files)[inside].mean() for files in study.paths]
    np.testing.assert_allclose([float(row[2]) for row in rows[1:]], expected, rtol=1e-12)
    refused = run(*given, "--region", half, "--overwrite", fails=True).output
    assert "right" in refused


def test_neurovault_says_that_it_takes_volumes(fitted: Path, tmp_path: Path) -> None:
    whole = fitted / "contrast-patients_stat-t_statmap.func.gii"
    given = ["neurovault", whole, "--modality", "fMRI-BOLD", "--output", tmp_path / "n.tsv"]
    assert "is no volume" in " ".join(run(*given, fails=True).output.split())


@pytest.mark.filterwarnings("ignore::UserWarning")  # of a coarse mesh
def test_sizes_of_clusters_are_in_mm2_in_both_commands(study: SurfaceStudy, tmp_path: Path) -> None:
    how = ["--correct", "cluster-rft:p<0.001,0.05"]
    out = tmp_path / "out"
    told = [run(*command(study, out, *how)).output]
    z_map = out / "contrast-patients_stat-z_statmap.func.gii"
    kept = ["--surfaces", *study.surfaces, "--output", tmp_path / "kept.func.gii"]
    told.append(run("threshold", z_map, "--mask", out / "mask.func.gii", *how, *kept).output)
    words = [re.findall(r"in clusters of at least ([^:]*?mm2 \(right\))", own) for own in told]
    assert words[0] == words[1]
    assert len(words[0]) == 1
    assert words[0][0].count("mm2") == 2


@pytest.mark.parametrize("sides", ["?", "l"])
def test_maps_of_freesurfer_give_the_same_results(
    study: SurfaceStudy, fitted: Path, tmp_path: Path, sides: str
) -> None:
    for files in study.paths:
        for file, side in zip(files, ("lh", "rh"), strict=True):
            subject = file.name.split("_")[0]
            own = values(file).astype(np.float32)[:, np.newaxis, np.newaxis]
            mgh: Any = nib.MGHImage
            nib.save(mgh(own, np.eye(4)), tmp_path / f"{side}.{subject}.mgh")
    out = tmp_path / "out"
    given = command(study, out, "--correct", "fpr:0.01", "--effect-sizes", "cohen_d")
    given[1] = tmp_path / f"{sides}h.sub-*.mgh"
    if sides == "l":
        given[given.index("--surfaces") + 2] = "none"
    run(*given)

    def of(folder: Path, kind: str, *, both: bool) -> FloatArray:
        name = folder / f"contrast-patients_stat-{kind}_statmap.func.gii"
        return values(pair(name) if both else name)

    for kind in ("effect", "t", "z"):
        found, wanted = of(out, kind, both=sides == "?"), of(fitted, kind, both=True)
        np.testing.assert_array_equal(found, wanted[: len(found)], err_msg=kind)
    z, kept = (of(out, kind, both=sides == "?") for kind in ("z", "z_desc-fpr0p01"))
    limit = scipy.stats.norm.isf(0.005)
    assert (np.abs(z) > limit).any()
    np.testing.assert_array_equal(kept, np.where(np.abs(z) >= limit, z, 0))


def test_a_table_of_maps_has_a_row_for_each_hemisphere(study: SurfaceStudy, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n, rows = len(study.paths), []
    variances = []
    for label, files in zip(study.participants["participant_id"], study.paths, strict=True):
        for path in files:
            image: Any = nib.load(path)
            data = image.darrays[0].data
            own = np.where(data != 0, rng.uniform(0.5, 2.0, data.shape), 0.0).astype(np.float32)
            image.darrays[0].data = own
            variances.append(own.astype(np.float64))
            beside = tmp_path / path.name.replace("effect", "variance")
            nib.save(image, beside)
            rows.append((label, "a", str(path), str(beside)))
    names = ["subject_label", "map_name", "effects_map_path", "variances_map_path"]
    table = pd.DataFrame(rows, columns=names)

    def fit(rows: pd.DataFrame, out: Path, *, fails: bool = False) -> str:
        rows.to_csv(tmp_path / "maps.tsv", sep="\t", index=False)
        return " ".join(run(
            "fit", tmp_path / "maps.tsv", "--formula", "~ 1", "--contrast", "mean=Intercept",
            "--model", "fixed", "--output", out, "--n-jobs", "1", fails=fails,
        ).output.split())  # fmt: skip

    assert f"{n} images" in fit(table.sample(frac=1, random_state=0), tmp_path / "out")
    y = np.stack([values(files) for files in study.paths])
    v = np.concatenate(variances).reshape(n, -1)
    inside = (y != 0).all(axis=0)
    w = 1 / v[:, inside]
    wanted = (w * y[:, inside]).sum(axis=0) / w.sum(axis=0)
    found = values(pair(tmp_path / "out" / "contrast-mean_stat-effect_statmap.func.gii"))
    np.testing.assert_allclose(found[inside], wanted, rtol=2e-5, atol=2e-6)
    lone = fit(table[:-1], tmp_path / "lone", fails=True)
    assert "maps.tsv': the right hemisphere is missing of sub-" in lone
    other = table.assign(subject_label=["99", *table["subject_label"][1:]])
    told = fit(other, tmp_path / "other", fails=True)
    assert "are of one map, but its rows are of the subjects 99, " in told
