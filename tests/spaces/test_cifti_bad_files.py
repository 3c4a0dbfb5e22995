# SPDX-License-Identifier: BSD-3-Clause
"""CIFTI files that cannot be used are refused by name, with the remedy, before values are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, non_parametric_inference, threshold_stats_img
from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.cifti.opening import open_inputs, open_map
from reference.cifti_files import (
    AFFINE,
    MORE_VOXELS,
    N_PLACES,
    VOXELS,
    axis,
    cifti,
    scalars,
    series,
    surface,
    volume,
    voxels,
    xml,
)

nib: Any = nibabel  # typed only in part
GOOD = cifti()
LAUGHS = (
    '<!DOCTYPE CIFTI [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
EXTERNAL = '<!DOCTYPE CIFTI [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
DEEP = "<a>" * 100 + "</a>" * 100


def _two_models(second: str) -> bytes:
    return cifti(xml(models=surface() + second))


# What is wrong, the bytes, and what the message says.
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not a CIFTI-2 file, whatever its name says"),
    "text": (b"a,b\n" * 200, "is not a CIFTI-2 file"),
    "compressed": (b"\x1f\x8b" + bytes(600), "is compressed, and CIFTI files are not; unpack it"),
    "truncated values": (GOOD[:-1], "the file is truncated: it has .* bytes, but its header"),
    "truncated XML": (GOOD[:900], "begin at byte .* but the file has 900 bytes"),
    "too long": (GOOD + bytes(4 * N_PLACES), "declares only .* so the header does not describe"),
    "a volume": (
        cifti(fields={16: ("q", 3), 24: ("q", 9)}),
        r"declares the shape \(9, 1, 1\), but the matrix .* if it is a volume",
    ),
    "no maps": (cifti(fields={56: ("q", 0)}), "declares the shape"),
    "negative size": (cifti(fields={64: ("q", -9)}), "declares the shape"),
    "huge size": (cifti(fields={64: ("q", 2**62)}), "the file is truncated"),
    "values in the header": (cifti(fields={168: ("q", 352)}), "begin at byte 352"),
    "complex": (cifti(fields={12: ("h", 32)}), "the type of code 32, but the model needs real"),
    "scaled by nothing": (cifti(slope=2.0, inter=np.nan), "adds nan .scl_inter., which is no"),
    "no extension": (cifti(extension=(None, 6)), "has no XML of its axes"),
    "XML longer than the file says": (
        cifti(extension=(10**6, 32)),
        "the extension at byte 544 declares 1000000 bytes, but the values begin at byte",
    ),
    "XML of negative length": (cifti(extension=(-16, 32)), "declares -16 bytes"),
    "XML cut off": (cifti(xml()[:-10]), "its XML cannot be parsed: .*; copy the file again"),
    "XML beyond its extension": (
        cifti(extension=(320, 32)),
        "its XML cannot be parsed: .*; copy the file again",
    ),
    "no XML": (cifti(b"\0" * 64), "its XML cannot be parsed"),
    "not UTF-8": (cifti(xml(scalars(1, "\xff")).replace(b"\xc3\xbf", b"\xff")), "cannot be parsed"),
    "entities": (cifti(xml(before=LAUGHS)), "declares a document type, which may define entities"),
    "external entity": (cifti(xml(before=EXTERNAL)), "declares a document type"),
    "nested": (cifti(xml(scalars() + DEEP)), "nested more than 32 deep"),
    "elements": (cifti(xml("<a/>" * 210_000)), "it has more than 200000 elements"),
    "another root": (cifti(b"<GIFTI/>"), "its root is 'GIFTI', not CIFTI of version 2"),
    "CIFTI-1": (cifti(b'<CIFTI Version="1"/>'), "is a CIFTI-1 file; convert it by wb_command"),
    "no matrix": (cifti(b'<CIFTI Version="2"/>'), "it has no Matrix"),
    "one axis twice": (cifti(xml(scalars() + scalars())), "two MatrixIndicesMap for dimension 0"),
    "three axes": (cifti(xml(scalars() + axis("2", "SCALARS"))), r"dimensions \[0, 1, 2\]"),
    "an axis of no number": (cifti(xml(axis("x", "SCALARS"))), "is 'x', not a whole number"),
    "labels": (cifti(xml(axis("0", "LABELS"))), "holds labels of regions .as a dlabel file"),
    "dense connections": (
        cifti(xml(axis("0", "BRAIN_MODELS", volume() + surface()))),
        "holds connections between grayordinates .as a dconn file",
    ),
    "parcels": (cifti(xml(axis("0", "PARCELS"))), "holds connections of parcels"),
    "more names than maps": (cifti(xml(scalars(2))), "holds 1 map of 9 values, but its XML desc"),
    "no models": (cifti(xml(models="")), "it has no brain models"),
    "gap": (_two_models(voxels(5, VOXELS)), "leave a gap: THALAMUS_LEFT begins at index 5"),
    "overlap": (_two_models(voxels(3, VOXELS)), "overlap: THALAMUS_LEFT begins at index 3"),
    "begins late": (cifti(xml(models=surface(1))), "leave a gap: CORTEX_LEFT begins at index 1"),
    "too few places": (cifti(xml(models=surface())), "1 map of 9 values, but .* 1 map of 4"),
    "one structure twice": (_two_models(surface(4)), "two brain models of CORTEX_LEFT"),
    "vertex beyond": (
        cifti(xml(models=surface(vertices=(0, 2, 3, 6)))),
        "CORTEX_LEFT has the vertex 6, beyond 0 to 5",
    ),
    "negative vertex": (cifti(xml(models=surface(vertices=(-1, 2, 3, 5)))), "has the vertex -1"),
    "vertex twice": (cifti(xml(models=surface(vertices=(0, 2, 2, 5)))), "has a vertex twice"),
    "fewer vertices": (cifti(xml(models=surface(count=5))), "declares 5 vertices .* lists 4"),
    "no vertices": (cifti(xml(models=surface(count=4, vertices=None))), "but lists none"),
    "vertices that are words": (
        cifti(xml().replace(b"0 2 3 5", b"0 2 x 5")),
        "the vertices of CIFTI_STRUCTURE_CORTEX_LEFT are not numbers only",
    ),
    "vertices with fractions": (
        cifti(xml().replace(b"0 2 3 5", b"0 2 3.5 5")),
        "are not numbers only",
    ),
    "vertex of many digits": (
        cifti(xml().replace(b"0 2 3 5", b"0 2 3 99999999999999999999")),
        "CORTEX_LEFT has the vertex|not numbers only",
    ),
    "no vertices in all": (cifti(xml(models=surface(n_vertices=0))), "has 0 vertices"),
    "endless vertices": (cifti(xml(models=surface(n_vertices=10**12))), "1000000000000 vertices"),
    "voxel beyond": (
        _two_models(voxels(4, ((0, 0, 0), (0, 4, 0)))),
        "has the voxel index j 4, beyond 0 to 3",
    ),
    "voxel twice": (_two_models(voxels(4, VOXELS + VOXELS[:1])), "THALAMUS_LEFT has a voxel twi"),
    "voxel of two": (
        cifti(xml(models=surface() + voxels(4, VOXELS) + voxels(7, VOXELS[1:], "PALLIDUM_LEFT"))),
        "overlap: THALAMUS_LEFT and PALLIDUM_LEFT have a voxel in common",
    ),
    "half a voxel": (cifti(xml().replace(b"2 3 1", b"2 3")), "are 8 numbers, not three each"),
    "no volume": (cifti(xml(space="")), "has voxels, but it declares no volume"),
    "a flat volume": (cifti(xml(space=volume("3,4"))), r"dimensions \[3, 4\], not three"),
    "a volume of words": (cifti(xml(space=volume("3,a,2"))), "is 'a', not a whole number"),
    "an endless volume": (cifti(xml(space=volume("32000,32000,32000"))), "more than half of the f"),
    "singular affine": (cifti(xml(space=volume(affine="0 " * 16))), "the affine is singular"),
    "short affine": (cifti(xml(space=volume(affine=AFFINE[:-2]))), "has 15 numbers, not 16"),
    "affine of NaN": (cifti(xml(space=volume(affine=AFFINE.replace("90", "nan")))), "holds NaN"),
    "huge exponent": (cifti(xml(space=volume(exponent="400"))), "the MeterExponent 400"),
    "unknown model": (cifti(xml().replace(b"MODEL_TYPE_SURFACE", b"MODEL_TYPE_X")), "ModelType"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_a_file_that_is_wrong_is_refused_by_name(tmp_path: Path, what: str) -> None:
    content, message = BAD[what]
    path = tmp_path / "sub-01.dscalar.nii"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        open_map(path, "stat_img")
    assert str(caught.value).startswith(f"{path}: ")


def _good_files(folder: Path) -> list[Path]:
    paths = [folder / f"good{number}.dscalar.nii" for number in range(2)]
    for path in paths:
        path.write_bytes(GOOD)
    return paths


def test_the_doors_refuse_too(tmp_path: Path) -> None:
    good, bad = _good_files(tmp_path), tmp_path / "bad.dscalar.nii"
    bad.write_bytes(GOOD[:-8])
    design = pd.DataFrame({"one": np.ones(2)})
    with pytest.raises(
        ImageError, match=r"bad\.dscalar\.nii: the file is truncated.*item 2 of the"
    ):
        SecondLevelModel().fit([good[0], bad], design_matrix=design)
    for call in (
        lambda: SecondLevelModel(mask_img=bad).fit(good, design_matrix=design),
        lambda: threshold_stats_img(bad),
        lambda: threshold_stats_img(good[0], mask_img=bad),
    ):
        with pytest.raises(ImageError, match="truncated"):
            call()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (xml(models=surface()), "it has no THALAMUS_LEFT with 3 voxels .and 1 other structure"),
        (
            xml(models=surface() + voxels(4, VOXELS) + voxels(7, MORE_VOXELS, "HIPPOCAMPUS_LEFT")),
            "it has HIPPOCAMPUS_LEFT with 2 voxels",
        ),
        (
            xml(
                models=surface(n_vertices=7)
                + voxels(4, VOXELS)
                + voxels(7, MORE_VOXELS, "PUTAMEN_LEFT")
            ),
            "it has CORTEX_LEFT with 4 of 7 vertices, not with 4 of 6 vertices",
        ),
        (
            xml().replace(b"0 2 3 5", b"0 2 4 5"),
            "it has other vertices of CORTEX_LEFT",
        ),
        (xml().replace(b"2 3 1", b"2 3 0"), "it has other voxels of THALAMUS_LEFT"),
        (xml(space=volume("3,4,3")), r"the volume of its voxels: its shape is \(3, 4, 3\)"),
        (
            xml(space=volume(affine=AFFINE.replace("90", "92"))),
            "the volume of its voxels: its affine displaces voxels by up to 2 mm",
        ),
        (xml().replace(b"0 2 3 5", b"0 3 2 5"), "the same places in another order"),
    ],
)
def test_other_axes_are_refused_and_it_is_said_how_they_differ(
    tmp_path: Path, text: bytes, message: str
) -> None:
    good, other = _good_files(tmp_path), tmp_path / "other.dscalar.nii"
    n_places = 4 if b"THALAMUS" not in text else N_PLACES
    other.write_bytes(cifti(text, np.ones((1, n_places))))
    with pytest.raises(GridMismatchError, match=message) as caught:
        open_inputs([good[0], other], argument="imgs", same_placement=True, at_least=2)
    assert "image 2 of imgs is not on the axes of image 1" in str(caught.value)
    design = pd.DataFrame({"one": np.ones(2)})
    with pytest.raises(GridMismatchError, match="the mask is not on the axes of the images"):
        SecondLevelModel(mask_img=other).fit(good, design_matrix=design)


def test_what_does_not_matter_may_differ(tmp_path: Path) -> None:
    # The affine is rounded, its unit is metres; names of maps, metadata and the listing of all
    # vertices are others.
    metres = "-0.002 0 0 0.0900000001\n0 0.002 0 -0.126\n0 0 0.002 -0.072\n0 0 0 1"
    texts = (
        xml(),
        xml(scalars(names="other")),
        xml(scalars() + "<MetaData><MD><Name>a</Name><Value>b</Value></MD></MetaData>"),
        xml(space=volume(affine=metres, exponent="0")),
        xml().replace(b"0 2 3 5", b"\n0 2\t3  5 "),
    )
    paths = [tmp_path / f"{number}.dscalar.nii" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(cifti(text))
    sources = open_inputs(paths, argument="imgs", same_placement=True, at_least=2)
    assert len(sources) == len(texts)


@pytest.mark.parametrize(("ending", "maps"), [("dscalar", scalars(3)), ("dtseries", series(3))])
def test_many_maps_where_one_is_wanted(tmp_path: Path, ending: str, maps: str) -> None:
    many = tmp_path / f"many.{ending}.nii"
    many.write_bytes(cifti(xml(maps), np.ones((3, N_PLACES))))
    one, _ = _good_files(tmp_path)
    design = pd.DataFrame({"one": np.ones(2)})
    for call in (
        lambda: SecondLevelModel().fit([one, many], design_matrix=design),
        lambda: threshold_stats_img(many),
        lambda: threshold_stats_img(one, mask_img=many),
    ):
        with pytest.raises(ImageError, match="holds 3 maps, and one is wanted"):
            call()


def test_one_map_is_no_group(tmp_path: Path) -> None:
    one, _ = _good_files(tmp_path)
    with pytest.raises(ValueError, match=r"one image of one map .*but a model needs at least two"):
        SecondLevelModel().fit(one, design_matrix=pd.DataFrame({"one": np.ones(2)}))


def test_only_grayordinates_go_with_grayordinates(tmp_path: Path) -> None:
    paths = _good_files(tmp_path)
    design = pd.DataFrame({"one": np.ones(2)})
    image = nib.Nifti1Image(np.ones((3, 4, 2)), np.eye(4))
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: SecondLevelModel().fit([paths[0], "a.nii.gz"], design_matrix=design), "item 2"),
        (lambda: SecondLevelModel(image).fit(paths, design_matrix=design), "an image of grayordi"),
        (
            lambda: SecondLevelModel(target_affine=np.eye(3)).fit(paths, design_matrix=design),
            "images of CIFTI are not resampled.*wb_command -cifti-resample",
        ),
        (
            lambda: SecondLevelModel(smoothing_fwhm=4.0).fit(paths, design_matrix=design),
            "smoothing on a surface need its mesh",
        ),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(
    ("other", "called"),
    [
        (("lh.a.gii", "rh.a.gii"), "tuple"),
        ({"left": "lh.a.gii"}, "dict"),
        (pd.Series([1.0], ["V1"]), "Series"),
        (None, "NoneType"),
        (3.0, "float"),
    ],
)
def test_items_of_other_kinds_are_named(tmp_path: Path, at: int, other: Any, called: str) -> None:
    good = _good_files(tmp_path)
    given: list[Any] = [good[at], other, good[1 - at]]
    message = f"item 1 is an image of grayordinates, and item 2 is {called}; give files of one kind"
    for call in (
        lambda: SecondLevelModel().fit(given, design_matrix=pd.DataFrame({"one": np.ones(3)})),
        lambda: non_parametric_inference(given, n_perm=9),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_an_image_in_memory_is_checked_too() -> None:
    cifti2: Any = nib.cifti2
    axis_of_voxels = cifti2.BrainModelAxis.from_mask(np.ones((2, 2, 2), bool), "other", np.eye(4))
    image = nib.Cifti2Image(np.ones((1, 8)), header=(cifti2.ScalarAxis(["a"]), axis_of_voxels))
    model = image.header.matrix[1][1]
    assert open_map(image, "image").axis.n_places == 8
    model.index_offset = 1
    with pytest.raises(ImageError, match="image: its brain models leave a gap"):
        open_map(image, "image")
    model.index_offset, model.voxel_indices_ijk[0] = 0, [0, 0, 2]
    with pytest.raises(ImageError, match="OTHER has the voxel index k 2, beyond 0 to 1"):
        open_map(image, "image")
    labels = cifti2.LabelAxis(["a"], {0: ("x", (1, 1, 1, 1))})
    image = nib.Cifti2Image(np.ones((1, 8)), header=(labels, axis_of_voxels))
    with pytest.raises(ImageError, match="holds labels of regions"):
        open_map(image, "image")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.dlabel.nii", cifti(xml(axis("0", "LABELS"))), "holds labels of regions"),
        (
            "a.dconn.nii",
            cifti(xml(axis("0", "BRAIN_MODELS", volume() + surface()))),
            "holds connections between grayordinates",
        ),
        ("a.pconn.nii", cifti(xml(axis("0", "PARCELS"))), "holds connections of parcels"),
        ("a.pdconn.nii", cifti(xml(axis("0", "PARCELS"))), "holds connections of parcels"),
        (
            "a.dpconn.nii",
            cifti(xml(axis("0", "BRAIN_MODELS", volume() + surface()))),
            "holds connections between grayordinates",
        ),
        ("a.dscalar.nii.gz", b"\x1f\x8b" + bytes(600), "CIFTI files are not; unpack it by gunzip"),
        ("a.pscalar.nii", GOOD, r"holds maps of BRAIN_MODELS, .* ends in \.dscalar\.nii"),
    ],
)
def test_files_of_other_members_of_the_family_are_refused_at_the_doors(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    paths = [tmp_path / f"{number}{name}" for number in range(2)]
    for path in paths:
        path.write_bytes(content)
    design = pd.DataFrame({"one": np.ones(2)})
    for call in (
        lambda: SecondLevelModel().fit(paths, design_matrix=design),
        lambda: threshold_stats_img(paths[0]),
    ):
        with pytest.raises(ImageError, match=message):
            call()
