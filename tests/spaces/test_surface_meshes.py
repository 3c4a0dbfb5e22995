# SPDX-License-Identifier: BSD-3-Clause
"""Surfaces and areas that a user gives: every form of them, and what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer import io as freesurfer

from fuzz import mesh_files
from groupglm.errors import ArgumentError, ArgumentTypeError, ImageError
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.surface.mesh import Mesh
from groupglm.spaces.surface.meshes import HemisphereMesh, open_meshes
from groupglm.spaces.surface.named import background
from groupglm.spaces.surface.reading.surface_file import open_mesh, side_of_surface
from reference.meshes import folded, icosphere, write_metric, write_surface

pytestmark = pytest.mark.quick

write_geometry: Any = freesurfer.write_geometry
write_morph_data: Any = freesurfer.write_morph_data

SIDES = ("left", "right")
N = 642
BOTH = {"left": N, "right": N}


def opened(surfaces: Any = None, areas: Any = None) -> dict[str, HemisphereMesh]:
    return open_meshes(Geometry(surfaces, areas), SIDES, BOTH)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A surface of each hemisphere, which says so, and is not called after it."""
    folder = tmp_path_factory.mktemp("surfaces")
    return {
        side: write_surface(folder / f"{name}.surf.gii", *folded(3, side), side=side)
        for side, name in zip(SIDES, "ab", strict=True)
    }


def as_mesh(side: str) -> Any:
    points, faces = folded(3, side)
    return SimpleNamespace(coordinates=points, faces=faces)


FORMS: dict[str, Callable[[Mapping[str, Path]], Any]] = {
    "pair of files": lambda files: (files["left"], str(files["right"])),
    "list of files": lambda files: [files["left"], files["right"]],
    "mapping": lambda files: {side: files[side] for side in reversed(SIDES)},
    "images of nibabel": lambda files: [nib.load(files[side]) for side in SIDES],
    "PolyMesh": lambda _: SimpleNamespace(parts={side: as_mesh(side) for side in SIDES}),
    "PolyMesh of files": lambda files: SimpleNamespace(
        parts={side: SimpleNamespace(file_path=files[side]) for side in SIDES}
    ),
    "our own": lambda _: {side: Mesh(side, *folded(3, side)) for side in SIDES},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_surfaces_gives_the_same_meshes(form: str, files: dict[str, Path]) -> None:
    found = opened(FORMS[form](files))
    assert list(found) == ["left", "right"]
    for side in SIDES:
        points, faces = folded(3, side)
        mesh = found[side].mesh
        assert mesh is not None
        # The files hold coordinates in single precision.
        np.testing.assert_allclose(mesh.coordinates, points, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(mesh.faces, faces)
        np.testing.assert_array_equal(found[side].areas, mesh.areas)


def test_one_hemisphere_takes_its_surface_of_any_form(files: dict[str, Path]) -> None:
    for surfaces in (files["right"], [files["right"]], tuple(files.values()), files):
        found = open_meshes(Geometry(surfaces), ["right"], {"right": N})
        assert list(found) == ["right"]
        mesh = found["right"].mesh
        assert mesh is not None
        assert mesh.name == str(files["right"])


def test_nothing_given_is_no_mesh() -> None:
    for one in opened().values():
        assert one.mesh is None
        assert one.areas is None


def test_geometry_files_of_freesurfer_are_read(tmp_path: Path) -> None:
    for hemi, side in (("lh", "left"), ("rh", "right")):
        write_geometry(tmp_path / f"{hemi}.white", *folded(3, side))
    found = opened((tmp_path / "lh.white", tmp_path / "rh.white"))
    for side in SIDES:
        points, faces = folded(3, side)
        mesh = found[side].mesh
        assert mesh is not None
        np.testing.assert_array_equal(mesh.coordinates, points.astype(np.float32))
        np.testing.assert_array_equal(mesh.faces, faces)
    with pytest.raises(ArgumentError, match=r"rh\.white is of the right hemisphere, but was given"):
        opened({"left": tmp_path / "rh.white", "right": as_mesh("right")})


def test_nilearn_s_objects_are_read() -> None:
    surface = pytest.importorskip("nilearn.surface")
    parts = {side: surface.InMemoryMesh(*folded(3, side)) for side in SIDES}
    found = opened(surface.PolyMesh(**parts))
    for side in SIDES:
        np.testing.assert_array_equal(found[side].mesh.coordinates, folded(3, side)[0])  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["arrays", "column", "gii", "curv", "PolyData"])
def test_areas_given_take_the_place_of_those_of_the_mesh(
    form: str, files: dict[str, Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    areas = {side: rng.uniform(1, 3, N).astype(np.float32) for side in SIDES}
    given: Any = areas
    if form == "column":
        given = [areas[side][:, None] for side in SIDES]
    if form == "gii":
        given = [write_metric(tmp_path / f"{side}.shape.gii", areas[side]) for side in SIDES]
    if form == "curv":
        given = [tmp_path / "lh.area", tmp_path / "rh.area"]
        for path, side in zip(given, SIDES, strict=True):
            write_morph_data(path, areas[side])
    if form == "PolyData":
        given = SimpleNamespace(data=SimpleNamespace(parts=areas))
    for surfaces in (None, files):
        for side, one in opened(surfaces, given).items():
            np.testing.assert_array_equal(one.areas, areas[side])
            assert (one.mesh is None) == (surfaces is None)


def test_surfaces_of_other_data_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    small = write_surface(tmp_path / "small.surf.gii", *folded(2))
    with pytest.raises(
        ArgumentError,
        match=r"small\.surf\.gii, the left surface, has 162 vertices"
        r", but the data have 642 there; .*fsaverage or fsLR",
    ):
        opened((small, files["right"]))
    for surfaces in ((files["left"],) * 2, dict.fromkeys(SIDES, files["left"])):
        with pytest.raises(ArgumentError, match="both surfaces are of the left hemisphere"):
            opened(surfaces)
    with pytest.raises(ArgumentError, match=r"b\.surf\.gii is of the right hemisphere, but was"):
        opened((files["right"], files["left"]))
    with pytest.raises(ArgumentError, match=r"surfaces is one item \('.*a\.surf\.gii'\), but the"):
        opened(files["left"])
    with pytest.raises(ArgumentError, match="surfaces is a list of 3 items"):
        opened([*files.values(), files["left"]])
    with pytest.raises(ArgumentError, match="surfaces holds 'left', but the data have left and"):
        opened({"left": files["left"]})
    with pytest.raises(ArgumentError, match="surfaces holds 'L', 'R', but"):
        opened({"L": files["left"], "R": files["right"]})
    with pytest.raises(ArgumentTypeError, match="the left surface is a int, which is no surface"):
        opened((1, 2))


def test_what_is_no_surface_is_refused_by_its_name(tmp_path: Path) -> None:
    metric = write_metric(tmp_path / "thickness.shape.gii", np.ones(N, np.float32))
    with pytest.raises(ImageError, match=r"thickness.shape.gii: holds NIFTI_INTENT_SHAPE, but a "):
        open_mesh(metric, "surface")
    write_morph_data(tmp_path / "lh.curv", np.ones(N, np.float32))
    with pytest.raises(ImageError, match=r"lh\.curv: holds one value for each vertex, not a surf"):
        open_mesh(tmp_path / "lh.curv", "surface")
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2)), np.eye(4)), tmp_path / "volume.nii")  # type: ignore[no-untyped-call]
    with pytest.raises(ImageError, match=r"volume\.nii: is neither GIFTI"):
        open_mesh(tmp_path / "volume.nii", "surface")
    with pytest.raises(ImageError, match=r"none\.surf\.gii: File not found"):
        open_mesh(tmp_path / "none.surf.gii", "surface")
    with pytest.raises(ImageError, match=r"is a folder, not a file"):
        open_mesh(tmp_path, "surface")
    (tmp_path / "empty.surf.gii").touch()
    with pytest.raises(ImageError, match=r"empty\.surf\.gii: is no GIFTI file"):
        open_mesh(tmp_path / "empty.surf.gii", "surface")


def test_faces_and_coordinates_of_a_file_are_checked(tmp_path: Path) -> None:
    points, faces = folded(2)
    far, twice, gone = faces.copy(), faces.copy(), points.copy()
    far[7, 1], twice[7, 1], gone[5] = 162, twice[7, 0], np.nan
    for broken, message in (
        ((points, far), r"m\.surf\.gii: face 7 has the vertices .* 0 to 161"),
        ((points, twice), r"m\.surf\.gii: face 7 .* one of them twice"),
        ((gone, faces), r"m\.surf\.gii: the coordinates of 1 vertex are not finite .*vertex 5"),
    ):
        path = write_surface(tmp_path / "m.surf.gii", *broken)
        with pytest.raises(ImageError, match=message):
            open_mesh(path, "surface")


def test_hostile_and_damaged_files_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    whole = files["left"].read_bytes()
    path = tmp_path / "m.surf.gii"
    lol = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE GIFTI [<!ENTITY l0 "lol">{lol}]>'.encode()
    declaration, rest = whole.split(b"?>", 1)
    path.write_bytes(declaration + b"?>" + bomb + rest.split(b"<GIFTI", 1)[1])
    with pytest.raises(ImageError, match=r"m\.surf\.gii: declares the entity 'l0'"):
        open_mesh(path, "surface")
    for length in range(200, len(whole), len(whole) // 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageError, match=r"m\.surf\.gii: is no GIFTI file, or a damaged"):
            open_mesh(path, "surface")
    before, after = whole.split(b"<Data>", 1)
    (tmp_path / "bomb.surf.gii.gz").write_bytes(
        gzip.compress(before + b"<Data>" + b"A" * 10_000_000 + after)
    )
    with pytest.raises(ImageError, match=r"bomb\.surf\.gii\.gz: the text of an array is longer"):
        open_mesh(tmp_path / "bomb.surf.gii.gz", "surface")
    packed = gzip.compress(whole)
    (tmp_path / "left.surf.gii.gz").write_bytes(packed)
    assert open_mesh(tmp_path / "left.surf.gii.gz", "surface").side == "left"
    for content in (packed[: len(packed) // 2], whole, packed[:300] + b"\0" * 300 + packed[600:]):
        (tmp_path / "cut.surf.gii.gz").write_bytes(content)
        with pytest.raises(ImageError, match=r"cut\.surf\.gii\.gz: (cannot be inflated|is no)"):
            open_mesh(tmp_path / "cut.surf.gii.gz", "surface")


def test_a_geometry_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lh.white"
    write_geometry(path, *folded(0))
    whole = path.read_bytes()
    for length in range(3, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageError, match=r"lh\.white: is cut short or damaged"):
            open_mesh(path, "surface")
    start = whole.index(b"\n\n") + 2
    for counts in ([-1, 20], [2**31 - 1, 2**31 - 1], [12, -5]):
        path.write_bytes(whole[:start] + np.array(counts, ">i4").tobytes() + whole[start + 8 :])
        with pytest.raises(ImageError, match=r"lh\.white: is cut short or damaged"):
            open_mesh(path, "surface")


@pytest.mark.parametrize(
    ("areas", "message"),
    [
        (np.ones(N), "areas is one item .a ndarray."),
        ((np.ones(N), np.ones(N - 1)), "the right item of areas .* has 641 values, but the data"),
        ((np.ones(N), np.ones((N, 2))), r"has the shape \(642, 2\)"),
        ((np.ones(N), -np.ones(N)), r"has 642 values that are no area \(vertex 0: -1\)"),
        ((np.ones(N), np.full(N, np.nan)), r"no area \(vertex 0: nan\)"),
        ((np.ones(N), np.zeros(N)), "has zero everywhere"),
        ((np.ones(N), np.array(["a"] * N)), "areas is an array of <U1"),
        ({"left": np.ones(N)}, "areas holds 'left', but the data have left and right"),
        ("fsaverage5", "areas is one item"),
    ],
)
def test_areas_that_are_none_are_refused(areas: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        opened(None, areas)


def test_a_surface_is_no_file_of_areas(files: dict[str, Path]) -> None:
    with pytest.raises(ImageError, match=r"a\.surf\.gii: is a surface: it holds the posi"):
        opened(None, files)


def test_areas_of_inflated_surfaces_are_reported(tmp_path: Path, files: dict[str, Path]) -> None:
    balls = {
        side: write_surface(tmp_path / f"{side}.surf.gii", *icosphere(3), side=side)
        for side in SIDES
    }
    areas = [np.ones(N)] * 2
    with pytest.warns(UserWarning, match=r"left\.surf\.gii is a sphere and .*right\.surf\.gii is"):
        opened(balls)
    assert opened(balls, areas)["left"].mesh is not None  # no warning: those areas are not used
    inflated = write_surface(tmp_path / "i.surf.gii", *folded(3), geometric="VeryInflated")
    with pytest.warns(UserWarning, match=r"i\.surf\.gii is inflated: clusters in mm2"):
        opened((inflated, files["right"]))
    named = write_surface(tmp_path / "lh.very_inflated.surf.gii", *folded(3))
    with pytest.warns(UserWarning, match=r"lh\.very_inflated\.surf\.gii is inflated"):
        opened((named, files["right"]))


def test_fsaverage5_is_found_in_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    nilearn = pytest.importorskip("nilearn")
    monkeypatch.setenv("TEMPLATEFLOW_HOME", "/nothing/here")
    n_vertices = dict.fromkeys(SIDES, 10242)
    found = open_meshes(Geometry("fsaverage5"), SIDES, n_vertices)
    folder = Path(nilearn.__file__).parent / "datasets" / "data" / "fsaverage5"
    for side in SIDES:
        expected: Any = nib.load(folder / f"pial_{side}.gii.gz")
        mesh = found[side].mesh
        assert mesh is not None
        np.testing.assert_array_equal(mesh.coordinates, expected.agg_data("pointset"))
        assert background(side, 10242) == folder / f"sulc_{side}.gii.gz"
    assert background("left", 5) is None


def test_fs_lr_is_found_in_templateflow_s_folder_at_the_density_of_the_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path))
    where = r"fsLR is not on this machine \(looked for '.*tpl-fsLR_den-8k_hemi-L_midthickness.*\)"
    with pytest.raises(ArgumentError, match=where):
        open_meshes(Geometry("fsLR"), ["left"], {"left": 7842})
    (tmp_path / "tpl-fsLR").mkdir()
    path = tmp_path / "tpl-fsLR" / "tpl-fsLR_den-4k_hemi-L_midthickness.surf.gii"
    points, faces = folded(4)
    points = np.concatenate([points, points[:1440] + 9])
    path.touch()  # a file that TemplateFlow has not fetched is empty
    with pytest.raises(ArgumentError, match=r"nothing is downloaded; .*TemplateFlow"):
        open_meshes(Geometry("fsLR"), ["left"], {"left": 4002})
    write_surface(path, points, np.concatenate([faces, faces[:10] + 1440]))
    found = open_meshes(Geometry("fsLR"), ["left"], {"left": 4002})
    assert found["left"].mesh is not None
    with pytest.raises(ArgumentError, match=r"fsLR has 4,002 or 7,842 .* but the data have 642;"):
        open_meshes(Geometry("fsLR"), ["left"], {"left": N})
    with pytest.raises(ArgumentError, match=r"fsaverage5 has 10,242 vertices"):
        opened("fsaverage5")


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("sub-01_hemi-L_pial.surf.gii", "left"),
        ("100307.R.midthickness.32k_fs_LR.surf.gii", "right"),
        ("fsaverage5/surf/lh.white", "left"),
        ("pial_right.gii.gz", "right"),
        ("fs_LR.surf.gii", None),
        ("lh/white.surf.gii", None),
        ("leftover.surf.gii", None),
    ],
)
def test_the_side_in_a_name(name: str, side: str | None) -> None:
    assert side_of_surface(name) == side


def test_sound_cases_of_the_fuzzer_are_meshes(tmp_path: Path) -> None:
    for case in mesh_files.cases():
        assert mesh_files.check(case, tmp_path) == "ours"
        cut = case[: len(case) // 2]
        assert mesh_files.check(cut, tmp_path) == "refused"
