# SPDX-License-Identifier: BSD-3-Clause
"""The page about surfaces: what its viewer holds, its pictures, and pages without a mesh."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from groupglm import SecondLevelModel
from groupglm.report import HTMLReport
from groupglm.report.viewer_maps import OUTSIDE
from groupglm.report.words import MINUS
from reference.meshes import folded, write_metric
from reference.surface_study import SIDES, SurfaceStudy, surface_study

N = 12


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SurfaceStudy:
    return surface_study(tmp_path_factory.mktemp("study"), 3, N)


@pytest.fixture(scope="module")
def model(study: SurfaceStudy) -> SecondLevelModel:
    return SecondLevelModel(surfaces=study.surfaces).fit(study.images, design_matrix=study.design)


@pytest.fixture(scope="module")
def page(model: SecondLevelModel) -> str:
    contrasts = {"group": "group", "age": "age"}
    return model.generate_report(contrasts, two_sided=True, cluster_threshold=500).get_standalone()


def payload(text: str, name: str) -> Any:
    found = re.search(rf'id="{name}">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def unpacked(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)


def numbers_of(raw: NDArray[np.uint8], n: int, width: int) -> NDArray[np.int64]:
    """Return each column of numbers from its steps, by the rule that the page's program has."""
    columns = raw.reshape(-1, width, n).astype(np.int64)
    steps = (columns * 256 ** np.arange(width)[:, np.newaxis]).sum(axis=1)
    steps = np.where(steps % 2, -(steps + 1) // 2, steps // 2)
    return np.asarray(np.cumsum(steps, axis=1).T)


def test_the_viewer_has_the_meshes(page: str, study: SurfaceStudy) -> None:
    found = payload(page, "viewer-background")
    for own, side in zip(found["hemispheres"], SIDES, strict=True):
        assert own["side"] == side
        coordinates, faces = folded(3, side)
        n, m = len(coordinates), len(faces)
        assert (own["n_vertices"], own["n_faces"]) == (n, m)
        places = numbers_of(unpacked(own["places"], "u1"), n, 2) * own["step"] + own["corner"]
        # Rounded to whole steps, of which 4095 reach across the mesh; the file has float32.
        assert own["step"] == pytest.approx(np.ptp(coordinates, axis=0).max() / 4095, rel=1e-5)
        np.testing.assert_allclose(places, coordinates, atol=0.51 * own["step"])
        turned = numbers_of(unpacked(own["faces"], "u1"), m, 3)
        turned[:, 1:] += turned[:, :1]
        # The same triangles, each turned the same way round, in another order.
        smallest = faces.argmin(axis=1)
        same = np.stack([faces[np.arange(m), (smallest + k) % 3] for k in range(3)], axis=1)
        assert sorted(map(tuple, turned.tolist())) == sorted(map(tuple, same.tolist()))


def test_the_viewers_map_is_the_map(page: str, model: SecondLevelModel) -> None:
    z_map = model.compute_contrast("age")
    both = np.concatenate([getattr(z_map, side).agg_data() for side in SIDES])
    found = payload(page, "viewer-map-1")
    stored = unpacked(found["data"], "<i2")
    outside = stored == OUTSIDE
    mask = np.concatenate([getattr(model.mask_img_, side).agg_data() for side in SIDES])
    np.testing.assert_array_equal(~outside, mask != 0)
    np.testing.assert_allclose(stored[~outside] * found["step"], both[~outside], atol=0.0051)
    # No value crosses the threshold by being rounded.
    passes = np.abs(both) >= found["threshold"]
    np.testing.assert_array_equal((np.abs(stored * found["step"]) > found["threshold"]) & ~outside,
                                  passes)  # fmt: skip
    assert np.abs(both).argmax() == found["peak"]


def test_the_viewer_knows_the_areas_only_where_small_clusters_are_left_out(
    page: str, model: SecondLevelModel
) -> None:
    for own, side in zip(payload(page, "viewer-background")["hemispheres"], SIDES, strict=True):
        coordinates, faces = folded(3, side)
        a, b, c = coordinates.astype(np.float32).astype(np.float64)[faces.T]
        thirds = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
        areas = np.bincount(faces.ravel(), np.repeat(thirds, 3))
        inside = getattr(model.mask_img_, side).agg_data() != 0
        np.testing.assert_allclose(unpacked(own["areas"], "<f4"), areas * inside, rtol=1e-5)
    without = model.generate_report({"group": "group"}).get_standalone()
    assert all("areas" not in own for own in payload(without, "viewer-background")["hemispheres"])


def test_a_row_of_the_table_leads_to_its_vertex(page: str, model: SecondLevelModel) -> None:
    body = page[page.index('id="clusters-1"') :].partition("</table>")[0]
    columns = re.findall(r"<th[^>]*>(.*?)</th>", body)
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in body.split("<tr>")[2:]]
    found = payload(page, "viewer-map-0")
    assert len(rows) > 1
    stored = unpacked(found["data"], "<i2")
    for row, vertex in zip(rows, found["rows"], strict=False):
        value = float(row[columns.index("Peak Stat")])
        assert stored[vertex] * found["step"] == pytest.approx(value, abs=0.006)


def test_the_pictures_show_what_survived_over_the_surface(page: str) -> None:
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]*)" alt="([^"]*)"', page)
    maps = [(source, alt) for source, alt in pictures if "map of group" in alt]
    ((source, alt),) = maps
    assert alt.startswith("Lateral and medial views of both hemispheres: the map of group. ")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB")).astype(int)
    brain = pixels[: int(0.8 * len(pixels))]  # above the bar
    warm, cold = brain[..., 0] - brain[..., 2], brain[..., 2] - brain[..., 0]
    assert (warm > 60).sum() > 100  # the planted effect is positive on the left
    assert (cold > 60).sum() > 100  # and negative on the right
    half = brain.shape[1] // 2
    assert (warm[:, :half] > 60).sum() > 0.95 * (warm > 60).sum()
    assert (cold[:, half:] > 60).sum() > 0.95 * (cold > 60).sum()


def test_a_page_without_a_mesh_says_how_to_get_pictures(study: SurfaceStudy) -> None:
    model = SecondLevelModel().fit(study.images, design_matrix=study.design)
    page = model.generate_report().get_standalone()
    assert "Nothing is drawn, because the vertices&#39; places are not known" in page
    assert "surfaces=(left, right)" in page
    assert "<img src=" not in page
    assert "viewer-background" not in page


def test_options_of_slices_have_no_effect_on_surfaces(model: SecondLevelModel) -> None:
    with pytest.warns(UserWarning, match=r"^plot_type, cut_coords has no effect: hemispheres"):
        model.generate_report(plot_type="glass", cut_coords=[1, 2, 3])


def test_one_hemisphere_has_a_page_of_its_own(study: SurfaceStudy) -> None:
    left = [image[0] for image in study.images]
    model = SecondLevelModel(surfaces=study.surfaces[0]).fit(left, design_matrix=study.design)
    page = model.generate_report({"group": "group"}).get_standalone()
    assert [own["side"] for own in payload(page, "viewer-background")["hemispheres"]] == ["left"]
    assert "Lateral and medial views of the left hemisphere" in page


def test_the_shades_may_be_given(model: SecondLevelModel, tmp_path: Path) -> None:
    depth = {side: folded(3, side)[0][:, 2] for side in SIDES}
    files = tuple(
        write_metric(tmp_path / f"hemi-{side[0].upper()}.shape.gii", depth[side].astype(np.float32))
        for side in SIDES
    )
    shaded: Any = files
    pages = [
        model.generate_report({"age": "age"}, bg_img=shaded).get_standalone(),
        model.generate_report({"age": "age"}).get_standalone(),
    ]
    own, usual = (payload(text, "viewer-background") for text in pages)
    for given, computed, side in zip(own["hemispheres"], usual["hemispheres"], SIDES, strict=True):
        shades = unpacked(given["shades"], "u1")
        inside = getattr(model.mask_img_, side).agg_data() != 0
        assert np.corrcoef(shades[inside], -depth[side][inside])[0, 1] > 0.9
        assert given["shades"] != computed["shades"]


def test_a_fit_without_contrasts_has_the_mask_only(model: SecondLevelModel) -> None:
    page = model.generate_report().get_standalone()
    assert page.count("<img src=") == 1
    assert "viewer-background" not in page
    assert isinstance(model.generate_report(), HTMLReport)


def test_a_viewer_of_a_pair_of_32_thousand_vertices_is_small() -> None:
    """The bytes of the densest usual mesh, with the noise that packs worst: under 1.5 MB."""
    from groupglm.plotting.surface.hemispheres import hemispheres_of
    from groupglm.report.surface.viewer import meshes_payload
    from groupglm.report.viewer_maps import packed, stored_values
    from groupglm.spaces.composite import CompositeSpace
    from groupglm.spaces.surface.hemisphere import HemisphereSpace
    from groupglm.spaces.surface.mesh import Mesh

    members = {}
    for side in SIDES:
        mesh = Mesh(side, *folded(6, side))  # 40,962 vertices, more than the 32,492 of fsLR
        members[side] = HemisphereSpace(side, mesh.n_vertices, None, mesh)
    hemispheres = hemispheres_of(CompositeSpace(members))
    rng = np.random.default_rng(0)
    shades = [rng.uniform(0, 1, one.mesh.n_vertices) for one in hemispheres]
    size = len(json.dumps(meshes_payload(hemispheres, shades, with_areas=False)))
    z = rng.standard_normal(2 * 40962)
    size += 2 * len(packed(stored_values(z, np.ones(len(z), np.bool_), 0.01, [3.09])))
    assert size < 1_500_000


def test_the_program_on_the_page_fits_both_hemispheres(page: str, model: SecondLevelModel) -> None:
    names: dict[str, Any] = {}
    found = re.search(r'<pre id="script"><code>(.*?)</code>', page, re.DOTALL)
    assert found is not None
    code = html.unescape(found[1])
    exec(compile(code.rsplit("report = ", 1)[0], "page", "exec"), names)  # noqa: S102 - our output
    again, z_map = names["model"].compute_contrast("group"), model.compute_contrast("group")
    for side in SIDES:
        np.testing.assert_array_equal(
            getattr(again, side).agg_data(), getattr(z_map, side).agg_data()
        )


def test_a_pair_is_named_and_hashed_by_both_files(page: str, study: SurfaceStudy) -> None:
    text = html.unescape(page)
    for left, right in study.images:
        pair = Path(left).name.replace("hemi-L", "hemi-{L,R}")
        assert pair in text
        for file in (left, right):
            assert hashlib.sha256(Path(file).read_bytes()).hexdigest() in text


def test_a_vertex_is_told_with_its_place(page: str, study: SurfaceStudy) -> None:
    found = re.search(
        r"strongest positive z is [\d.]+ at (vertex (\d+), (\w+), \((.*?)\) mm)", page
    )
    assert found is not None
    told = [float(mm.replace(MINUS, "-")) for mm in found[4].split(", ")]
    np.testing.assert_allclose(told, folded(3, found[3])[0][int(found[2])], atol=0.051)
