# SPDX-License-Identifier: BSD-3-Clause
"""Parcellated CIFTI: regions with names, whose results are images on the axes of the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from groupglm import SecondLevelModel, get_clusters_table, non_parametric_inference
from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.cifti.opening import PARCELS, open_inputs, open_map
from groupglm.spaces.registry import kind_of
from reference.cifti_files import (
    PARCELS_OF_FILE,
    axis,
    cifti,
    parcel,
    parcel_xml,
    series,
    volume,
    xml,
)

nib: Any = nibabel  # typed only in part
NAMES = ("V1", "V2", "thalamus", "left & right")
N = 8


@pytest.fixture
def rows() -> NDArray[np.float64]:
    return np.random.default_rng(4).standard_normal((N, len(NAMES))).astype("f4").astype(float) + 1


@pytest.fixture
def files(rows: NDArray[np.float64], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"sub-{number}.pscalar.nii" for number in range(N)]
    for path, row in zip(paths, rows, strict=True):
        path.write_bytes(cifti(parcel_xml(), row[np.newaxis], dtype="f8"))
    return paths


DESIGN = pd.DataFrame({"mean": np.ones(N)})


def test_results_are_images_of_parcels(
    files: list[Path], rows: NDArray[np.float64], tmp_path: Path
) -> None:
    model = SecondLevelModel(minimize_memory=False).fit(files, design_matrix=DESIGN)
    t = model.compute_contrast("mean", output_type="stat")
    assert t.shape == (1, 4)
    assert t.dataobj.dtype == np.float32
    expected = scipy.stats.ttest_1samp(rows, 0.0).statistic
    np.testing.assert_allclose(t.get_fdata()[0], expected, rtol=1e-6)  # of float32
    path = kind_of(t).save(t, tmp_path / "t.pscalar.nii")
    back = nib.load(path)
    assert back.nifti_header.get_intent()[0] == "ConnParcelScalr"
    assert back.header.get_axis(1) == nib.load(files[0]).header.get_axis(1)
    assert list(back.header.get_axis(1).name) == list(NAMES)
    everything = model.compute_contrast("mean", output_type="all")
    assert set(everything) >= {"z_score", "effect_size"}
    (residuals,) = model.residuals(out=tmp_path / "residuals.pscalar.nii")
    np.testing.assert_allclose(residuals.get_fdata(), rows - rows.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(residuals.dataobj, model.residuals_.dataobj)
    loaded = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    np.testing.assert_array_equal(
        loaded.compute_contrast("mean", output_type="stat").dataobj, t.dataobj
    )
    with pytest.raises(ValueError, match=r"must end in \.pscalar\.nii"):
        kind_of(t).save(t, tmp_path / "t.dscalar.nii")


def test_files_and_images_in_memory_are_the_same(
    files: list[Path], rows: NDArray[np.float64], tmp_path: Path
) -> None:
    many = tmp_path / "all.ptseries.nii"
    many.write_bytes(cifti(parcel_xml(maps=series(N)), rows, dtype="f8"))
    for given in (files, [nib.load(file) for file in files], many, nib.load(many)):
        effect = SecondLevelModel().fit(given, design_matrix=DESIGN).compute_contrast("mean")
        assert effect.nifti_header.get_intent()[0] == "ConnParcelScalr"
        opened = open_inputs(
            given, argument="imgs", same_placement=True, at_least=2, family=PARCELS
        )
        np.testing.assert_array_equal([source.read() for source in opened], rows)


def test_masks_are_names_or_images(files: list[Path], tmp_path: Path) -> None:
    mask = tmp_path / "mask.pscalar.nii"
    mask.write_bytes(cifti(parcel_xml(), np.array([[0.0, 1, 0, 1]])))
    for given in (["V2", "left & right"], mask):
        model = SecondLevelModel(given).fit(files, design_matrix=DESIGN)
        np.testing.assert_array_equal(model.mask_img_.get_fdata()[0], [0, 1, 0, 1])
        z = model.compute_contrast("mean").get_fdata()[0]
        assert (z != 0).tolist() == [False, True, False, True]
    with pytest.raises(ValueError, match="V9"):
        SecondLevelModel(["V9"]).fit(files, design_matrix=DESIGN)
    with pytest.raises(
        TypeError, match=r"'mask\.dscalar\.nii'; 'mask_img' must be an image of par"
    ):
        SecondLevelModel("mask.dscalar.nii").fit(files, design_matrix=DESIGN)


@pytest.mark.filterwarnings("ignore:all 256 different sign flips of this design are used")
def test_permutation_corrects_over_parcels_and_has_no_clusters(
    files: list[Path], rows: NDArray[np.float64]
) -> None:
    found: Any = non_parametric_inference(
        files, design_matrix=DESIGN, second_level_contrast="mean", n_perm=2**N, random_state=0
    )
    signs = np.array([[1 - 2 * (n >> k & 1) for k in range(N)] for n in range(2**N)])
    every = np.array([scipy.stats.ttest_1samp(rows * s[:, None], 0.0).statistic for s in signs])
    observed, maxima = every[0], every.max(axis=1)
    expected = -np.log10((maxima >= observed[:, None] - 1e-9).mean(axis=1))
    np.testing.assert_allclose(found.get_fdata()[0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="no neighbours"):
        non_parametric_inference(
            files, design_matrix=DESIGN, second_level_contrast="mean", n_perm=10, tfce=True
        )
    z = SecondLevelModel().fit(files, design_matrix=DESIGN).compute_contrast("mean")
    with pytest.raises(ValueError, match="no neighbours"):
        get_clusters_table(z, 1.0)


BAD = {
    "no parcels": (parcel_xml(""), "it has no parcels"),
    "no name": (parcel_xml(parcel(" ", "0")), "its parcel 1 has no name"),
    "one name twice": (parcel_xml(PARCELS_OF_FILE[0] * 2), "two parcels of the name 'V1'"),
    "vertex beyond": (
        parcel_xml(parcel("V1", "0 9")),
        "parcel 'V1' has the vertex 9, beyond 0 to 8",
    ),
    "words": (parcel_xml(parcel("V1", "0 a")), "the vertices of parcel 'V1' are not numbers only"),
    "no surface": (
        parcel_xml(parcel("V1", "0").replace("CORTEX_LEFT", "CEREBELLUM")),
        "parcel 'V1' has vertices of CIFTI_STRUCTURE_CEREBELLUM, for which it declares no surface",
    ),
    "no volume": (parcel_xml(space=" "), "parcel 'thalamus' has voxels, but it declares no volume"),
    "voxel beyond": (
        parcel_xml(parcel("V1", voxels="0 0 2")),
        "its parcel 'V1' has the voxel index k 2, ",
    ),
    "fewer parcels": (
        parcel_xml("".join(PARCELS_OF_FILE[:3])),
        "1 map of 4 values, but .* 1 map of 3",
    ),
    "grayordinates": (xml(), r"holds maps of BRAIN_MODELS, .* ends in \.dscalar\.nii"),
    "connections": (
        parcel_xml(maps=axis("0", "PARCELS")),
        "holds connections of parcels .as a pconn",
    ),
}


@pytest.mark.parametrize("what", list(BAD))
def test_a_file_that_is_wrong_is_refused_by_name(tmp_path: Path, what: str) -> None:
    text, message = BAD[what]
    path = tmp_path / "a.pscalar.nii"
    path.write_bytes(cifti(text, np.ones((1, 4))))
    with pytest.raises(ImageError, match=message) as caught:
        open_map(path, "stat_img", PARCELS)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            parcel_xml("".join(PARCELS_OF_FILE[:3]) + parcel("V4", "5", "6 0")),
            "lacks the parcel left & right, and",
        ),
        (
            parcel_xml("".join((PARCELS_OF_FILE[1], PARCELS_OF_FILE[0], *PARCELS_OF_FILE[2:]))),
            "the same parcels in another order",
        ),
        (
            parcel_xml(parcel("V1", "0 1 3") + "".join(PARCELS_OF_FILE[1:])),
            "its parcel 'V1' is made of other",
        ),
        (parcel_xml(space=volume("3,4,5")), r"the volume of its voxels: its shape is \(3, 4, 5\)"),
        (
            parcel_xml().replace(b'Vertices="9"', b'Vertices="10"'),
            "its parcels lie on CORTEX_LEFT of 10 vertices, CORTEX_RIGHT of 7 vertices, not on",
        ),
    ],
)
def test_other_parcels_are_refused_and_it_is_said_how_they_differ(
    files: list[Path], tmp_path: Path, text: bytes, message: str
) -> None:
    other = tmp_path / "other.pscalar.nii"
    other.write_bytes(cifti(text, np.ones((1, 4))))
    with pytest.raises(GridMismatchError, match=message):
        open_inputs(
            [files[0], other], argument="imgs", same_placement=True, at_least=2, family=PARCELS
        )


def test_a_page_calls_them_images_and_parcels(files: list[Path], tmp_path: Path) -> None:
    page = SecondLevelModel().fit(files, design_matrix=DESIGN).generate_report("mean")
    path, _ = page.save_methods(tmp_path / "methods.md")
    words = " ".join(path.read_text().split())
    assert f"The effect images of {N} inputs were modelled at 4 parcels" in words
    page.save_as_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Effects of the parcels with their intervals" in text
    assert f"Group analysis of {N} images" in text
    assert "images with a value in a parcel" in text
