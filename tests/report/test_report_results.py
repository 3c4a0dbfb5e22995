# SPDX-License-Identifier: BSD-3-Clause
"""Every result of a contrast is on its page: several corrections, and permutation tests."""

from __future__ import annotations

import base64
import html
import io
import re
import zlib
from typing import Any

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from groupglm import SecondLevelModel, non_parametric_inference, threshold_stats_img
from groupglm.report import PermutationTest
from groupglm.report.figures import picture
from reference.pages import AFFINE, SHAPE, Page, payload, small_study

ALPHA = 0.05
N_PERM = 199


@pytest.fixture(scope="module")
def model() -> SecondLevelModel:
    images, design = small_study()
    return SecondLevelModel().fit(images, design_matrix=design)


@pytest.fixture(scope="module")
def maps(model: SecondLevelModel) -> Any:
    images, design = small_study()
    return non_parametric_inference(
        images, design_matrix=design, second_level_contrast="group", mask=model.mask_img_,
        n_perm=N_PERM, random_state=3, tfce=True, threshold=0.01,
    )  # fmt: skip


@pytest.fixture(scope="module")
def permuted(model: SecondLevelModel, maps: Any) -> str:
    test = PermutationTest(maps, n_permutations=N_PERM, cluster_p=0.01, sign_flip=False)
    return model.generate_report(
        ["group", "age"], permutations={"group": test}, two_sided=True
    ).get_standalone()


def rows_of(text: str, table: str) -> tuple[list[str], list[list[str]]]:
    body = re.search(rf'<div class="table" id="{table}">.*?</table>', text, re.DOTALL)
    assert body is not None, table
    rows = re.findall(r"<tr>((?:<td>.*?</td>)+)</tr>", body[0])
    columns = re.findall(r'<th scope="col">(.*?)</th>', body[0])
    return columns, [[html.unescape(c) for c in re.findall(r"<td>(.*?)</td>", r)] for r in rows]


def test_each_correction_has_its_map_its_table_and_its_words(model: SecondLevelModel) -> None:
    controls: list[Any] = ["fpr", "fdr", "bonferroni", None]
    report = model.generate_report(
        {"patients": "group"},
        height_control=controls,
        alpha=[0.001, 0.05, 0.05, 0.5],
        threshold=4,
        two_sided=True,
    )
    text = report.get_standalone()
    page = Page(text)
    z_map: Any = model.compute_contrast("group")
    for place, control in enumerate(controls, start=1):
        options: dict[str, Any] = {"threshold": 4.0, "height_control": None}
        if control is not None:
            options = {"alpha": 0.001 if control == "fpr" else 0.05, "height_control": control}
        kept, threshold = threshold_stats_img(z_map, model.mask_img_, two_sided=True, **options)
        assert f"shown where |z| > {threshold:.3f}." in page.text
        assert kept is not None
        data = np.asarray(kept.dataobj)
        _, n_positive = label(data > 0)
        _, n_negative = label(data < 0)
        table = "clusters-1" if place == 1 else f"clusters-1-{place}"
        columns, rows = rows_of(text, table)
        assert columns[0] == "Cluster ID"
        assert sum(row[0].isdigit() for row in rows) == n_positive + n_negative
        assert f"{np.count_nonzero(data):,} voxels" in page.text
    for sentence in (
        "Each voxel is tested by itself at p < 0.001",
        "The false discovery rate is controlled at 0.05",
        "by Bonferroni's correction",
        "The threshold is z = 4 ",
        "False discovery rate 0.05",
    ):
        assert sentence in page.text
    # The map of z is on the page once, for all four.
    own = [payload(text, f"viewer-map-{number}") for number in range(4)]
    assert "data" in own[0]
    assert [found.get("values_of") for found in own] == [None, 0, 0, 0]
    assert len({found["threshold"] for found in own}) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height_control": []}, "height_control has 0 corrections"),
        ({"height_control": ["fdr"], "alpha": [0.1, 0.2]}, "1 corrections and alpha 2 levels"),
        ({"height_control": ["fdr", "fdr"]}, "hold a correction twice"),
        ({"height_control": ["fdr", "none"]}, "height_control is 'none'"),
        ({"permutations": {"weight": None}}, "'weight', which is none of the contrasts: 'age'"),
    ],
)
def test_corrections_that_are_none_are_refused(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.generate_report("age", **options)


PERMUTED_COLUMNS = {
    "t": "Peak p (FWE)",
    "size": "Cluster p (FWE)",
    "mass": "Cluster p (FWE, mass)",
    "tfce": "Peak p (FWE, TFCE)",
}


def _p(maps: Any, kind: str) -> NDArray[np.float64]:
    logp: NDArray[np.float64] = np.asarray(maps[f"logp_max_{kind}"].dataobj, dtype=np.float64)
    return 10.0**-logp


def test_a_permutations_results_are_on_the_page(
    permuted: str, maps: Any, model: SecondLevelModel
) -> None:
    page = Page(permuted)
    kinds = {"t": "voxels", "size": "cluster sizes", "mass": "cluster masses",
             "tfce": "threshold-free cluster enhancement"}  # fmt: skip
    z_map: Any = model.compute_contrast("group")
    z = np.asarray(z_map.dataobj)
    for place, (kind, name) in enumerate(kinds.items(), start=2):
        assert f"Permutation test of {name}" in page.text
        p = _p(maps, kind)
        inside = (p < ALPHA) & (z > 0)
        labels, n_clusters = label(inside)
        columns, rows = rows_of(permuted, f"clusters-1-{place}")
        own = [dict(zip(columns, row, strict=True)) for row in rows if row[0].isdigit()]
        assert len(own) == n_clusters
        sizes = np.bincount(labels.ravel())[1:]
        volume = abs(np.linalg.det(AFFINE[:3, :3]))
        found = sorted(float(row["Cluster Size (mm3)"]) for row in own)
        assert found == pytest.approx(sorted(sizes * volume))
        for row in own:
            place_mm = [float(row[axis]) for axis in "XYZ"]
            voxel = tuple(np.round((np.linalg.inv(AFFINE) @ [*place_mm, 1])[:3]).astype(int))
            assert float(row[PERMUTED_COLUMNS[kind]]) == pytest.approx(p[voxel], abs=5.1e-4)
        smallest = p[np.asarray(model.mask_img_.dataobj) > 0].min()
        assert f"; the smallest corrected p is {smallest:.3g}, of z = " in page.text
    assert "199 permutations of images, the positive tail." in page.text
    assert "Clusters were formed at p < 0.01 of a voxel." in page.text
    assert "Freedman D, Lane D." in page.text
    assert "Smith SM, Nichols TE. Threshold-free cluster enhancement" in page.text
    methods = page.text[page.text.index("By permutation (Freedman and Lane, 1983;") :]
    assert "we tested group with 199 permutations of images" in methods


def test_the_viewer_has_the_permutations_p(permuted: str, maps: Any) -> None:
    found = payload(permuted, "viewer-map-1")
    assert (found["unit"], found["name"]) == ("p", "group: Permutation test of voxels")
    assert found["threshold"] == pytest.approx(-np.log10(ALPHA))
    stored = np.frombuffer(zlib.decompress(base64.b64decode(found["data"])), "<i2")
    logp = stored[stored != found["outside"]] * found["step"]
    expected = np.asarray(maps["logp_max_t"].dataobj)
    assert logp.max() == pytest.approx(expected.max(), abs=found["step"])
    assert np.count_nonzero(logp > 0.005) == np.count_nonzero(expected > 0.005)


def test_a_permutation_without_a_survivor_says_its_smallest_p(model: SecondLevelModel) -> None:
    logp = np.zeros(SHAPE)
    logp[6, 7, 5] = 0.5
    test = PermutationTest(nib.Nifti1Image(logp, AFFINE), n_permutations=99, two_sided=True)  # type: ignore[no-untyped-call]
    page = Page(model.generate_report("age", permutations={"age": test}).get_standalone())
    assert "Nothing survived: the smallest corrected p is 0.316, of z = " in page.text
    assert "99 permutations, both tails." in page.text


def _picture(text: str, alt: str) -> NDArray[np.uint8]:
    found = re.search(rf'<img src="data:image/png;base64,([^"]+)" alt="[^"]*{alt}', text)
    assert found is not None
    return np.array(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB"))


def test_the_colours_of_the_number_of_images_are_those_of_the_bar() -> None:
    images, design = small_study()
    brain = np.asarray(images[0].dataobj) != 0
    for number, image in enumerate(images[:5]):
        data = np.array(image.dataobj)
        data[:, : 4 + number] = np.nan  # 11 images at the back, 16 in front
        images[number] = nib.Nifti1Image(data, AFFINE)  # type: ignore[no-untyped-call]
    mask = nib.Nifti1Image(brain.astype(np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    model = SecondLevelModel(mask).fit(images, design_matrix=design)
    text = model.generate_report(None, bg_img=None).get_standalone()
    assert "number of images at each voxel: 11 to 16" in Page(text).text
    pixels = _picture(text, "Three slices of the mask").astype(int)
    coloured = pixels[np.ptp(pixels, axis=2) > 12]
    colours, counts = np.unique(coloured, axis=0, return_counts=True)
    # A colour for each number, by its own scale; the page's palette is of 24 steps.
    viridis = mpl.colormaps["viridis"](np.linspace(0.15, 1, 256))[:, :3] * 255
    for n_images in range(11, 17):
        expected = viridis[round((n_images - 11) / 5 * 255)]
        near = np.abs(colours - expected).max(axis=1) <= 9
        assert counts[near].sum() > 500, n_images
    # And none that is not on the bar: letters' edges are few.
    away = np.abs(colours[:, np.newaxis] - viridis).max(axis=2).min(axis=1) > 9
    assert counts[away].sum() < 0.01 * counts.sum()


def test_what_is_grey_in_a_picture_stays_grey() -> None:
    figure = Figure(figsize=(4, 1), facecolor="black")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.imshow(np.arange(256)[np.newaxis], cmap="gray", vmin=0, vmax=255, aspect="auto")
    data = base64.b64decode(picture(figure, "A ramp").source.removeprefix("data:image/png;base64,"))
    pixels = np.array(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.ptp(pixels, axis=2).max() == 0
    row = pixels[pixels.shape[0] // 2, :-1, 0]  # the last is half ground
    expected = np.linspace(0, 255, len(row))
    assert np.abs(row - expected).max() < 4  # 96 greys, and the width of a value


def test_where_nothing_survived_the_map_is_shown_through_its_peak(model: SecondLevelModel) -> None:
    options: dict[str, Any] = {"height_control": "bonferroni", "alpha": 0.05, "bg_img": None}
    text = model.generate_report("age", **options).get_standalone()
    page = Page(text)
    assert "this is the map without a threshold, through its highest peak" in page.text
    assert "no evidence of an effect" in page.text
    pixels = _picture(text, "Slices of the map of age").astype(int)
    assert pixels.shape[0] < pixels.shape[1]  # three slices in a row, not eight in two
    n_coloured = np.count_nonzero(np.ptp(pixels, axis=2) > 30)
    assert n_coloured > 0.05 * pixels.shape[0] * pixels.shape[1]
    # Places that the user asks for are kept.
    own = model.generate_report("age", cut_coords=[2.0], **options).get_standalone()
    assert _picture(own, "Slices of the map of age").shape != pixels.shape


@pytest.mark.parametrize("limits", [(3.2905,), (2.0, 3.295, 6.0), (3.2905, np.inf)])
def test_no_threshold_is_crossed_by_the_viewers_rounding(limits: tuple[float, ...]) -> None:
    from groupglm.report.viewer_maps import INFINITE, rounded

    step = 0.01
    finite_limits = [limit for limit in limits if np.isfinite(limit)]
    near = np.concatenate([np.linspace(x - 0.02, x + 0.02, 4001) for x in finite_limits])
    values = np.concatenate([near, -near, [0.0, 7.0, np.inf, -np.inf]])
    stored = rounded(values / step, np.array(limits) / step)
    for limit in finite_limits:
        passes = np.abs(values) / step >= limit / step
        np.testing.assert_array_equal(np.abs(stored) > limit / step, passes)
    finite = np.isfinite(values)
    assert np.abs(stored[finite] * step - values[finite]).max() <= step * (1 + 1e-9)
    assert stored[~finite].tolist() == [INFINITE, -INFINITE]


def test_permutation_tests_that_cannot_be_shown_are_refused(model: SecondLevelModel) -> None:
    other = nib.Nifti1Image(np.zeros(SHAPE), np.eye(4))  # type: ignore[no-untyped-call]
    test = PermutationTest(other, n_permutations=99)
    with pytest.raises(ValueError, match=r"permutation's map of age \(voxel\) is not on the grid"):
        model.generate_report("age", permutations={"age": test})
    with pytest.raises(TypeError, match=r"permutations\['age'\] is a Nifti1Image"):
        model.generate_report("age", permutations={"age": other})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="permutations is a PermutationTest; give a mapping"):
        model.generate_report("age", permutations=test)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_permutations is 0"):
        PermutationTest(other, n_permutations=0)
    with pytest.raises(ValueError, match="alpha is 5"):
        PermutationTest(other, n_permutations=9, alpha=5)
    with pytest.raises(ValueError, match="cluster_p is 3"):
        PermutationTest(other, n_permutations=9, cluster_p=3)
    with pytest.raises(ValueError, match="no map of corrected p-values, only t"):
        PermutationTest({"t": other}, n_permutations=9)
