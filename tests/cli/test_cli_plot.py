# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm plot``: pictures of maps, and what it refuses before it reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from reference.meshes import folded, metric_image, write_surface
from reference.shell import run, run_well

nib: Any = nibabel


@pytest.fixture
def z_map(tmp_path: Path) -> Path:
    values = np.zeros((12, 12, 12), np.float32)
    values[5, 5, 5], values[8, 5, 5] = 4.0, -6.0
    path = tmp_path / "a_stat-z_statmap.nii.gz"
    nib.save(nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0])), path)
    return path


def _refused(*arguments: object) -> str:
    result = run("plot", *arguments)
    assert result.exit_code in (1, 2), result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_it_writes_a_picture_and_its_sidecar_and_skips_it_the_second_time(
    z_map: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "z.png"
    arguments = [z_map, "--threshold", "3", "--dpi", "60", "--output", out, "--json"]
    assert json.loads(run_well("plot", *arguments).stdout)["status"] == "written"
    facts = json.loads((tmp_path / "new" / "z.png.json").read_text())
    assert facts["Kind"] == "slices"
    assert facts["Options"]["Threshold"] == 3.0
    assert facts["Input"]["Name"] == z_map.name
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        width = picture.width
    before = out.stat().st_mtime_ns
    assert json.loads(run_well("plot", *arguments).stdout)["status"] == "skipped"
    assert out.stat().st_mtime_ns == before
    other = [*arguments[:3], "--dpi", "120", *arguments[5:]]
    assert "exists already; add --overwrite" in _refused(*other)
    run_well("plot", *other, "--overwrite")
    with Image.open(out) as picture:
        assert picture.width == pytest.approx(2 * width, abs=1)


def test_a_file_of_others_is_never_replaced(z_map: Path, tmp_path: Path) -> None:
    out = tmp_path / "z.png"
    out.write_bytes(b"mine")
    assert "replaces only what it wrote" in _refused(z_map, "--output", out, "--overwrite")
    assert out.read_bytes() == b"mine"
    assert "which is read" in _refused(
        z_map, "--peaks", _peaks(tmp_path / "p.svg.json"), "--output", tmp_path / "p.svg"
    )


def _peaks(path: Path) -> Path:
    path.write_text("Cluster ID\tX\tY\tZ\n1\t20\t20\t20\n")
    return path


def test_every_kind_of_picture_of_volumes(z_map: Path, tmp_path: Path) -> None:
    peaks = _peaks(tmp_path / "peaks.tsv")
    pictures: dict[str, list[str | Path]] = {
        "one.svg": ["--kind", "glass", "--display-mode", "lzr", "--no-colorbar"],
        "two.pdf": [z_map, "--peaks", peaks, "--outline", z_map, "--outline-threshold", "5"],
        "three.png": [z_map, "--overlay", "--display-mode", "z", "--cut-coords=-4,20"],
        "four.png": ["--background", z_map, "--threshold", "95%", "--vmax", "9"],
    }
    for name, options in pictures.items():
        run_well("plot", z_map, *options, "--dpi", "50", "--output", tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
        assert (tmp_path / f"{name}.json").is_file()


def test_no_text_of_a_user_becomes_markup(z_map: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "_<script>alert($x$)<script>--&quot;_stat-z_statmap.nii.gz"
    hostile.write_bytes(z_map.read_bytes())
    out = tmp_path / "out.svg"
    title = "--><script>alert(1)</script> $\\frac{a}{b}$ \x1b[2J"
    run_well("plot", hostile, z_map, "--outline", hostile, "--title", title, "--output", out)
    text = out.read_text()
    assert "<script" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "z.jpg"], "must end in .png or .svg or .pdf"),
        (["--output", "z.png", "--threshold", "-1"], "must be a size of at least 0"),
        (["--output", "z.png", "--threshold", "101%"], "must be a size of at least 0"),
        (["--output", "z.png", "--threshold", "nan"], "must be a size of at least 0"),
        (["--output", "z.png", "--cut-coords", "1,b"], "must be places in mm"),
        (["--output", "z.png", "--cut-coords", "1,2"], "--cut-coords has 2 numbers"),
        (["--output", "z.png", "--cut-coords", "900,900,900"], "--cut-coords is out of the bounds"),
        (["--output", "z.png", "--display-mode", "w"], "--display-mode is 'w'"),
        (["--output", "z.png", "--kind", "glass", "--cut-coords", "1,2,3"], "is not cut"),
        (["--output", "z.png", "--kind", "surface"], "is of voxels, and surfaces are"),
        (["--output", "z.png", "--overlay"], "--overlay is True; it draws two maps"),
        (["--output", "z.png", "--dpi", "5000"], "is not in the range 30<=x<=1200"),
        (["--output", "z.png", "--vmax", "0"], "is not in the range x>0"),
        (["--output", "z.png", "--threshold", "3", "--vmax", "2"], "--vmax is 2.0"),
        (["--output", "z.png", "--title", "a", "--title", "b"], "--title is given twice"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(
    z_map: Path, tmp_path: Path, options: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in _refused(z_map, *options)
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".lock"} == {z_map.name}


def test_tables_without_peaks_and_too_many_maps_are_refused(z_map: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.tsv"
    table.write_text("a\tb\n1\t2\n")
    out = ["--output", tmp_path / "z.png"]
    assert "has no column X or Y or Z" in _refused(z_map, "--peaks", table, *out)
    assert "must end in .csv or .tsv" in _refused(z_map, "--peaks", z_map, *out)
    assert "24 are the most" in _refused(*[z_map] * 25, *out)
    p_map = tmp_path / "a_stat-p_statmap.nii.gz"
    p_map.write_bytes(z_map.read_bytes())
    assert "they have no scale in common" in _refused(z_map, p_map, *out)
    assert "no evidence" in _refused(p_map, "--threshold", "3", *out)


def test_surfaces_are_drawn_on_their_meshes(tmp_path: Path) -> None:
    points, faces = folded(2)
    mesh = write_surface(tmp_path / "hemi-L.surf.gii", points, faces, side="left")
    for name in ("a", "b"):
        own = tmp_path / f"hemi-L_{name}_stat-z_statmap.func.gii"
        metric_image(points[:, 2] / 10).to_filename(own)
    out = ["--dpi", "50", "--output", tmp_path / "z.png"]
    maps = [tmp_path / f"hemi-L_{name}_stat-z_statmap.func.gii" for name in ("a", "b")]
    assert "give --surfaces LEFT RIGHT" in _refused(maps[0], *out)
    given = ["--surfaces", mesh, "none", *out]
    assert "--display-mode is 'ortho'" in _refused(maps[0], "--display-mode", "ortho", *given)
    run_well("plot", *maps, "--threshold", "1", "--display-mode", "lateral, medial,dorsal", *given)
    facts = json.loads((tmp_path / "z.png.json").read_text())
    assert facts["Kind"] == "surface"
