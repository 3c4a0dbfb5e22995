# SPDX-License-Identifier: BSD-3-Clause
"""The viewer as a page of its own holds the values of the map, and nothing that runs but ours."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import view_map
from groupglm.errors import ArgumentError
from reference.meshes import folded, metric_image, surface_image
from reference.shell import run, run_well

nib: Any = nibabel

SHAPE = (9, 8, 7)
AFFINE = np.array([[-4.0, 0, 0, 12], [0, 4, 0, -10], [0, 0, 5, -9], [0, 0, 0, 1]])


def _values() -> Any:
    values = np.random.default_rng(4).normal(size=SHAPE).astype(np.float32)
    values[:2] = 0  # outside
    values[5, 5, 5], values[6, 5, 5], values[7, 5, 5] = np.nan, np.inf, -7.25
    return values


def _write(path: Path, values: Any) -> Path:
    nib.save(nib.Nifti1Image(np.asarray(values, np.float32), AFFINE), path)
    return path


def _payload(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def _stored(payload: Any) -> Any:
    return np.frombuffer(zlib.decompress(base64.b64decode(payload["data"])), "<i2")


def test_the_page_holds_the_values_of_a_volume(tmp_path: Path) -> None:
    values = _values()
    path = _write(tmp_path / "a_stat-t_statmap.nii.gz", values)
    page = str(view_map(path, threshold=1.5, bg_img=None))
    payload = _payload(page, "viewer-map-0")
    assert payload["name"] == path.name
    assert (payload["label"], payload["threshold"], payload["signed"]) == ("t", 1.5, True)
    whole = _stored(payload).reshape(payload["shape"], order="F")
    box = values[2:]  # what is not zero
    inside = (box != 0) & ~np.isnan(box)
    np.testing.assert_array_equal(whole == payload["outside"], ~inside)
    finite = inside & np.isfinite(box)
    np.testing.assert_allclose(
        whole[finite] * payload["step"], box[finite], atol=0.5 * payload["step"]
    )
    assert whole[4, 5, 5] == payload["infinite"]
    np.testing.assert_array_equal(
        np.abs(whole[finite]) * payload["step"] > 1.5, np.abs(box[finite]) > 1.5
    )
    np.testing.assert_allclose(payload["peak"], (AFFINE @ [6, 5, 5, 1])[:3])
    # From mm to the voxels of the box.
    np.testing.assert_allclose(payload["inverse"] @ (AFFINE @ [2, 0, 0, 1]), [0, 0, 0], atol=1e-9)


def test_what_a_map_holds_decides_its_words_and_tails(tmp_path: Path) -> None:
    sizes = np.abs(np.nan_to_num(_values(), posinf=9))
    of_p = str(view_map(_write(tmp_path / "a_stat-p_statmap.nii.gz", sizes / 10), bg_img=None))
    found = _payload(of_p, "viewer-map-0")
    assert (found["label"], found["unit"], found["threshold"]) == ("p", "", 0)
    # Small values are read as exactly as they are stored: 0.9 in 32000 steps.
    assert found["step"] == pytest.approx(0.9 / 32000)
    logp = str(view_map(_write(tmp_path / "a_stat-logp_statmap.nii.gz", sizes), bg_img=None))
    found = _payload(logp, "viewer-map-0")
    assert (found["label"], found["unit"], found["signed"]) == ("p", "p", False)
    own = _write(tmp_path / "weights.nii.gz", sizes)
    found = _payload(str(view_map(own, bg_img=None, label="kg</script>")), "viewer-map-0")
    assert found["label"] == "kg</script>"


def test_a_surface_has_all_its_vertices() -> None:
    points, faces = folded(2)
    values = points[:, 2] / 10
    values[3] = np.nan
    given = {"left": metric_image(values)}, {"left": surface_image(points, faces)}
    page = str(view_map(*given, threshold="90%", bg_img=None, title="Left"))
    payload = _payload(page, "viewer-map-0")
    stored = _stored(payload)
    assert stored[3] == payload["outside"]
    known = ~np.isnan(values)
    np.testing.assert_allclose(
        stored[known] * payload["step"], values[known], atol=0.5 * payload["step"]
    )
    assert payload["peak"] == int(np.nanargmax(np.abs(values)))
    limit = np.sort(np.abs(np.nan_to_num(values)))[int(0.9 * len(values))]
    assert payload["threshold"] == pytest.approx(limit)
    scene = _payload(page, "viewer-background")
    assert [one["n_vertices"] for one in scene["hemispheres"]] == [len(points)]
    assert "<h1>Left</h1>" in page


def test_no_text_of_a_user_becomes_markup(tmp_path: Path) -> None:
    evil = "</title><script>alert(1)</script><!--\x1b"
    path = _write(tmp_path / "<script>alert(2)<script>_stat-z_statmap.nii.gz", _values())
    page = str(view_map(path, bg_img=None, title=evil, label=evil))
    assert "alert(1)</script>" not in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert page.count("<script>") == 2  # ours
    assert not re.search(r'(src|href)\s*=\s*"(?!#)', page)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -1}, "threshold is -1"),
        ({"threshold": "a lot"}, "threshold is 'a lot'"),
        ({"title": 3}, "title"),
        ({"label": b"z"}, "label"),
    ],
)
def test_a_wrong_option_is_refused_before_the_map_is_read(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        view_map("no such file.nii.gz", **options)


def test_a_map_that_shows_nothing_and_regions_are_refused(tmp_path: Path) -> None:
    empty = _write(tmp_path / "empty.nii.gz", np.zeros(SHAPE))
    with pytest.raises(ArgumentError, match="no value but zero"):
        view_map(empty)
    with pytest.raises(ArgumentError, match="plot_regions"):
        view_map(pd.Series({"V1": 2.0, "V2": 3.0}))


def test_the_page_is_never_saved_over_the_map(tmp_path: Path) -> None:
    path = _write(tmp_path / "z.nii.gz", _values())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="input"):
        view_map(path, bg_img=None).save_as_html(path)
    assert path.read_bytes() == before


def test_the_command_writes_a_page_of_several_maps_and_skips_it_the_second_time(
    tmp_path: Path,
) -> None:
    maps = [_write(tmp_path / f"{name}_stat-z_statmap.nii.gz", _values()) for name in "ab"]
    out = tmp_path / "page.html"
    arguments = ["view", *maps, "--threshold", "1", "--title", "A & B", "--output", out, "--json"]
    assert json.loads(run_well(*arguments).stdout)["status"] == "written"
    page = out.read_text()
    assert [_payload(page, f"viewer-map-{n}")["name"] for n in (0, 1)] == [
        "a_stat-z_statmap", "b_stat-z_statmap",
    ]  # fmt: skip
    assert "<h1>A &amp; B</h1>" in page
    assert '<label>Map <select id="viewer-map">' in page
    alone = str(view_map(maps[0], bg_img=None))  # without a list of one
    assert '<label hidden>Map <select id="viewer-map">' in alone
    assert (tmp_path / "page.html.json").is_file()
    assert json.loads(run_well(*arguments).stdout)["status"] == "skipped"
    changed = [*arguments[:-3], "--threshold", "2", *arguments[-3:]]
    changed.remove("1")
    changed.remove("--threshold")
    result = run(*changed)
    assert result.exit_code == 1
    assert "exists already" in result.output
    run_well(*changed, "--overwrite")
    assert _payload(out.read_text(), "viewer-map-0")["threshold"] == 2.0


def test_the_command_refuses_other_endings_and_tables(tmp_path: Path) -> None:
    path = _write(tmp_path / "z.nii.gz", _values())
    refused = run("view", path, "--output", tmp_path / "page.png")
    assert (refused.exit_code, "must end in .html" in refused.output) == (1, True)
    table = tmp_path / "regions.tsv"
    table.write_text("index\tvalue\nV1\t2\n")
    refused = run("view", table, "--output", tmp_path / "page.html")
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output
    assert not (tmp_path / "page.html").exists()
