# SPDX-License-Identifier: BSD-3-Clause
"""Wrong surfaces are refused by name, before any long work, with what to do instead."""

from __future__ import annotations

import base64
import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

from groupglm import SecondLevelModel, non_parametric_inference
from groupglm.errors import GridMismatchError, ImageError
from reference.meshes import sphere
from reference.surface_files import (
    N,
    gifti,
    gifti_text,
    pairs_of_files,
    rows,
    write_curvature,
    write_gifti,
)

nib: Any = nibabel  # typed only in part
COUNT = 4
VALUES = rows(COUNT)
ROW = VALUES["left"][0]
DESIGN = pd.DataFrame({"intercept": np.ones(COUNT)})
MESH = PolyMesh(**{side: InMemoryMesh(*sphere(n)) for side, n in N.items()})


def fit(images: Any, design: pd.DataFrame = DESIGN, **options: Any) -> SecondLevelModel:
    return SecondLevelModel(**options).fit(images, design_matrix=design)


def refused(
    files: list[Any],
    message: str,
    kind: type[Exception] | tuple[type[Exception], ...] = ImageError,
) -> None:
    with pytest.raises(kind, match=message):
        fit(files, pd.DataFrame({"intercept": np.ones(len(files))}))


def with_one(folder: Path, text: str | bytes, name: str = "lh.wrong.gii") -> list[Path]:
    """Three right files and a wrong one, which is the second."""
    files = [write_gifti(folder / f"lh.{k}.gii", VALUES["left"][k]) for k in range(COUNT)]
    wrong = folder / name
    wrong.write_bytes(text.encode() if isinstance(text, str) else text)
    files[1] = wrong
    return files


def _zipped(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


BROKEN = {
    "labels": ({"intent": "NIFTI_INTENT_LABEL"}, r"holds labels.*give it as a mask"),
    "positions": ({"intent": "NIFTI_INTENT_POINTSET"}, r"is a surface.*give it as surfaces"),
    "triangles": ({"intent": "NIFTI_INTENT_TRIANGLE"}, r"is a surface.*give it as surfaces"),
    "some vertices": ({"intent": "NIFTI_INTENT_NODE_INDEX"}, r"some vertices only.*NODE_INDEX"),
    "colours": ({"intent": "NIFTI_INTENT_RGB_VECTOR"}, r"holds colours"),
    "type": ({"kind": "NIFTI_TYPE_COMPLEX64"}, r"of type 'NIFTI_TYPE_COMPLEX64'.*FLOAT32"),
    "encoding": ({"encoding": "Morse"}, r"the encoding 'Morse', which GIFTI does not have"),
    "byte order": ({"endian": "MiddleEndian"}, r"'MiddleEndian', neither LittleEndian nor"),
    "base64": ({"data": "!!no base64!!"}, r"damaged: their text is no base64"),
    "zlib": ({"data": base64.b64encode(b"no zlib at all").decode()}, r"cannot be inflated"),
    "cut zlib": (
        {"data": base64.b64encode(zlib.compress(ROW.tobytes())[:40]).decode()},
        r"cut off: \d+ of 120 bytes are there",
    ),
    "too long": ({"data": _zipped(bytes(124))}, r"have 121 bytes.*need 120"),
    "bomb": ({"data": _zipped(bytes(10**7))}, r"have 121 bytes.*need 120"),
    "too short": ({"data": _zipped(bytes(80))}, r"have 80 bytes.*need 120"),
    "few numbers": ({"encoding": "ASCII", "data": "1 2 3"}, r"holds 3 numbers.*need 30"),
    "words": ({"encoding": "ASCII", "data": "one " * 30}, r"are no numbers"),
    "no vertices": ({"n": 0}, r"dimensions \(0,\), not one value for each vertex"),
    "too many": ({"n": 2**40}, r"more than a file holds"),
    "not a number": ({"n": "many"}, r"its Dim0 is 'many', not a whole number"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_wrong_gifti_file(tmp_path: Path, what: str) -> None:
    how, message = BROKEN[what]
    own: Any = how
    files = with_one(tmp_path, gifti_text(ROW, **own))
    refused(files, rf"lh\.wrong\.gii.*{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is no GIFTI file, or a damaged one \(no element found"),
        ("<svg></svg>", r"is an XML file of 'svg', not a GIFTI file"),
        (gifti_text(ROW)[:500], r"is no GIFTI file, or a damaged one"),
        (b"\x00\x01\x02", r"is no GIFTI file"),
        ('<GIFTI Version="1.0"></GIFTI>', r"has no array of values"),
    ],
)
def test_what_is_no_gifti_file(tmp_path: Path, text: str | bytes, message: str) -> None:
    refused(with_one(tmp_path, text), rf"lh\.wrong\.gii.*{message}")


def test_no_entity_is_expanded(tmp_path: Path) -> None:
    laughs = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for entity, name in ((laughs, "a"), ('<!ENTITY x SYSTEM "file:///etc/passwd">', "x")):
        text = gifti_text(ROW, before=f"<!DOCTYPE GIFTI [{entity}]>", data="&i;")
        refused(with_one(tmp_path, text), rf"declares the entity '{name}', which no GIFTI file")
    outside = '<!DOCTYPE GIFTI SYSTEM "http://www.nitrc.org/gifti.dtd">\n'
    fit(with_one(tmp_path, gifti_text(ROW, before=outside)))  # nearly all files name it


def external(name: str, **how: Any) -> str:
    return gifti_text(ROW, encoding="ExternalFileBinary", external=name, **how)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.dat", r"the file of its values, '.*absent\.dat', is absent"),
        ("../out.dat", r"in '\.\./out\.dat', outside its folder"),
        ("/etc/passwd", r"in '/etc/passwd', outside its folder"),
        ("a/../../out.dat", r"outside its folder"),
        ("C:/out.dat", r"outside its folder"),
        ("", r"names no file of values"),
        ("short.dat", r"'.*short\.dat', has 100 bytes, but 30 values .* need 120"),
        ("folder", r"folder: is a folder, not a file"),
    ],
)
def test_values_in_a_wrong_file(tmp_path: Path, name: str, message: str) -> None:
    folder = tmp_path / "maps"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "out.dat").write_bytes(ROW.tobytes())
    (folder / "short.dat").write_bytes(bytes(100))
    refused(with_one(folder, external(name)), rf"{message}")


def test_values_in_another_byte_order_than_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "big.dat").write_bytes(ROW.astype(">f4").tobytes())
    (tmp_path / "little.dat").write_bytes(ROW.astype("<f4").tobytes())
    message = r"written in another byte order than it says.*only as {}-endian numbers"
    refused(with_one(tmp_path, external("big.dat")), message.format("big"))
    wrong = external("little.dat", endian="BigEndian")
    refused(with_one(tmp_path, wrong), message.format("little"))
    fit(with_one(tmp_path, external("big.dat", endian="BigEndian")))
    # Counts and tiny values are what they are.
    for scale in (1e-20, 1e20):
        (tmp_path / "little.dat").write_bytes((ROW * scale).astype("<f4").tobytes())
        fit(with_one(tmp_path, external("little.dat")))


def test_a_file_that_was_changed_meanwhile(tmp_path: Path) -> None:
    from groupglm.spaces.surface.reading.opening import open_one

    (tmp_path / "a.dat").write_bytes(ROW.tobytes())
    path = tmp_path / "lh.a.gii"
    path.write_text(external("a.dat"))
    source = open_one(path, "image").members["left"]
    (tmp_path / "a.dat").write_bytes(ROW.tobytes()[:60])
    with pytest.raises(ImageError, match=r"shortened after it was opened: 15 of 30 values"):
        source.read()
    path.write_text(gifti_text(ROW))
    source = open_one(path, "image").members["left"]
    path.write_text(gifti_text(ROW[:20]))
    with pytest.raises(ImageError, match=r"was changed after it was opened"):
        source.read()


def test_many_maps_where_one_is_wanted(tmp_path: Path) -> None:
    files = with_one(tmp_path, gifti_text(ROW))
    write_gifti(files[1], VALUES["left"])
    refused(files, r"holds 4 maps, but each image must have one; split it", TypeError)
    wide = SurfaceImage(MESH, {side: own.T for side, own in VALUES.items()})
    refused([wide, wide], r"holds 4 maps, but each image must have one", TypeError)
    assert fit(files[1]).n_elements_ == N["left"]  # by itself it is four images


def test_two_dimensional_arrays(tmp_path: Path) -> None:
    text = gifti_text(ROW).replace('Dimensionality="1"', 'Dimensionality="2" Dim1="3"')
    refused(with_one(tmp_path, text), r"dimensions \(30, 3\), not one value for each vertex")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("lh.white", b"\xff\xff\xfe" + bytes(40), r"is a surface.*give it as surfaces"),
        ("lh.old", b"\xff\xff\xfd" + bytes(40), r"is a surface"),
        ("lh.curv", b"\x00\x00\x1e" + bytes(60), r"one of its old form; convert it to .mgh"),
        ("lh.aparc.annot", bytes(60), r"is an annotation, whose numbers name regions"),
        ("lh.cortex.label", b"#!ascii label", r"is a label, whose numbers name regions"),
        ("lh.thickness", b"\xff\xff\xff" + struct.pack(">iii", 30, 56, 1), r"need 135; copy it"),
        ("lh.two", b"\xff\xff\xff" + struct.pack(">iii", 30, 56, 2), r"has 2 values at each"),
        ("lh.neg", b"\xff\xff\xff" + struct.pack(">iii", -3, 56, 1), r"at each of -3 vertices"),
        ("lh.a.mgh", b"\x00\x00\x00\x01" + bytes(10), r"no FreeSurfer file of values, or a dam"),
        ("lh.a.mgz", b"not zipped", r"no FreeSurfer file of values, or a damaged one"),
    ],
)
def test_a_wrong_freesurfer_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    files = [write_curvature(tmp_path / f"lh.{k}", VALUES["left"][k]) for k in range(COUNT)]
    files[2] = tmp_path / name
    files[2].write_bytes(content)
    refused(files, rf"{name}.*{message}")


def test_freesurfer_volumes_are_no_surfaces(tmp_path: Path) -> None:
    files = [write_curvature(tmp_path / f"lh.{k}", VALUES["left"][k]) for k in range(COUNT)]
    files[1] = tmp_path / "lh.volume.mgz"
    files[1].write_bytes(nib.MGHImage(np.ones((4, 5, 6), "f4"), np.eye(4)).to_bytes())
    refused(files, r"no FreeSurfer file")  # not zipped
    files[1] = files[1].rename(tmp_path / "lh.volume.mgh")
    refused(files, r"holds a volume of the shape \(4, 5, 6\)")


def test_truncated_mgh_and_mgz(tmp_path: Path) -> None:
    files = [write_curvature(tmp_path / f"lh.{k}", VALUES["left"][k]) for k in range(COUNT)]
    whole = nib.MGHImage(ROW[:, None, None], np.eye(4)).to_bytes()
    for name, data in (
        ("lh.a.mgh", whole[:320]),
        ("lh.a.mgz", gzip.compress(whole[:320])),
        ("lh.b.mgz", gzip.compress(whole)[:-60]),
    ):
        files[0] = tmp_path / name
        files[0].write_bytes(data)
        refused(files, rf"{name}.*copy it again from its source")


def test_a_header_that_declares_more_than_the_file_can_hold(tmp_path: Path) -> None:
    whole = bytearray(nib.MGHImage(ROW[:, None, None], np.eye(4)).to_bytes())
    whole[16:20] = struct.pack(">i", 2**31 - 1)  # maps
    files = [write_curvature(tmp_path / f"lh.{k}", VALUES["left"][k]) for k in range(COUNT)]
    files[0] = tmp_path / "lh.a.mgz"
    files[0].write_bytes(gzip.compress(bytes(whole)))
    refused(files, r"lh\.a\.mgz: has \d+ bytes, but its values need 257698037")


def test_a_volume_among_surfaces(tmp_path: Path) -> None:
    files: list[Any] = with_one(tmp_path, gifti_text(ROW))
    nib.Nifti1Image(np.ones((3, 3, 3)), np.eye(4)).to_filename(tmp_path / "v.nii.gz")
    files[1] = tmp_path / "v.nii.gz"
    refused(files, r"v\.nii\.gz.*no file of a surface by its name.*one kind")
    images = [gifti(row, "CortexLeft") for row in VALUES["left"]]
    images[1] = nib.Nifti1Image(np.ones((3, 3, 3)), np.eye(4))
    refused(images, r"image 2 in memory is a Nifti1Image", TypeError)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    files = with_one(tmp_path, gifti_text(ROW))
    refused([files[0], tmp_path / "lh.no.gii"], r"lh\.no\.gii: File not found: check the name")
    refused([files[0], tmp_path / "lh.*.gii"], r"a pattern is not expanded")


def test_other_numbers_of_vertices(tmp_path: Path) -> None:
    files = with_one(tmp_path, gifti_text(np.append(ROW, ROW[:3])))
    message = (
        r"lh\.wrong\.gii: image 2 of second_level_input is not on the mesh of image 1 .*left "
        r"hemisphere: it has 33 vertices, not 30; bring all to one mesh, such as fsaverage or fsLR"
    )
    refused(files, message, GridMismatchError)


def test_other_hemispheres(tmp_path: Path) -> None:
    left = [write_gifti(tmp_path / f"lh.{k}.gii", VALUES["left"][k]) for k in range(COUNT)]
    pair = (left[0], write_gifti(tmp_path / "rh.0.gii", VALUES["right"][0]))
    message = r"it has the left hemisphere, not the left and right hemispheres"
    refused([pair, left[1]], message, GridMismatchError)


def test_two_left_hemispheres(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    left, right = files["left"], files["right"]
    twice = list(zip(left, left, strict=True))
    message = r"of the left hemisphere, but was given as the right one.*two left hemispheres"
    refused(twice, message, ValueError)
    swapped = list(zip(right, left, strict=True))
    refused(swapped, r"hemispheres swapped; give \(left, right\), in this order", ValueError)


def test_names_against_metadata(tmp_path: Path) -> None:
    files = with_one(tmp_path, gifti_text(ROW))
    write_gifti(files[1], ROW, structure="CortexRight")
    message = r"its name says the left hemisphere, its metadata \(Anatom.*\) the right one; correct"
    refused(files, message)
    pairs = pairs_of_files(tmp_path / "pairs", COUNT)
    write_gifti(pairs["right"][2], VALUES["right"][2], structure="CortexLeft")
    refused(pairs["left"] + pairs["right"], message.replace("left", "right", 1)[:40])


def test_a_hemisphere_that_nothing_tells(tmp_path: Path) -> None:
    files = [write_gifti(tmp_path / f"{k}.gii", VALUES["left"][k]) for k in range(COUNT)]
    refused(files, r"neither its name .* nor its metadata .*give it as \{'left': ...\}")
    assert fit({"left": files}).n_elements_ == N["left"]
    some = [write_gifti(tmp_path / f"lh.{k}.gii", VALUES["left"][k]) for k in range(2)]
    others = [write_gifti(tmp_path / "rh.0.gii", VALUES["right"][0]), files[0]]
    refused([*some, *others], r"neither the name nor the metadata of .*0\.gii.* say", ValueError)


def test_missing_partners_are_named_by_subject(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    flat = [*files["left"], *files["right"][:2]]
    message = r"the right hemisphere is missing of sub-03, sub-04: files of two"
    refused(flat, message, ValueError)
    both = [*files["left"][1:], *files["right"][:2]]
    refused(both, r"left hemisphere is missing of sub-01", ValueError)
    message = r"has 4 files of the left hemisphere and 3 of the right one"
    refused_mapping = {"left": files["left"], "right": files["right"][:3]}
    with pytest.raises(ValueError, match=message):
        fit(refused_mapping)
    with pytest.raises(ValueError, match=r"two left hemispheres of one image"):
        fit([*files["left"], *files["right"], files["left"][0]])


def test_pairs_of_two_subjects(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    shifted = [*files["right"][1:], files["right"][0]]
    message = r"left hemisphere of subject 01 .* and the right one of subject 02"
    refused(list(zip(files["left"], shifted, strict=True)), message, ValueError)
    with pytest.raises(ValueError, match=message):
        fit({"left": files["left"], "right": shifted})
    labels = [*np.repeat(["01", "02", "03"], 2), "04", "05"]
    flat = [path for pair in zip(files["left"], files["right"], strict=True) for path in pair]
    with pytest.raises(ValueError, match=r"the label '04' for a left hemisphere and '05'"):
        fit(pd.Series(flat, labels))


def test_wrong_mappings(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    with pytest.raises(ValueError, match=r"its keys are 'left' and 'right'"):
        fit([{"left": files["left"][0], "lh": files["right"][0]}, (1, 2)])
    for keys in (("L", "R"), ("Left", "Right"), ("lh", "rh")):
        wrong = dict(zip(keys, (files["left"], files["right"]), strict=True))
        for given in (wrong, {keys[0]: files["left"]}, [{keys[0]: own} for own in files["left"]]):
            with pytest.raises(ValueError, match="its keys are 'left' and 'right'"):
                fit(given)


def test_a_surface_image_without_numbers() -> None:
    image = SurfaceImage(MESH, {side: own[0] for side, own in VALUES.items()})
    image.data.parts["left"] = np.array(["a"] * N["left"])
    with pytest.raises((TypeError, ValueError), match=r"image 1 in memory, left"):
        fit([image, image])
    image.data.parts["left"] = np.ones((N["left"], 2, 2))
    refused([image, image], r"left hemisphere have the shape \(30, 2, 2\)")


@pytest.mark.filterwarnings("ignore:.*is a sphere.*:UserWarning")
@pytest.mark.filterwarnings("ignore:images 1 and 2:UserWarning")
def test_options_of_volumes(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    with pytest.raises(ValueError, match=r"target_affine brings volumes to a grid.*mri_surf2surf"):
        fit(files, target_affine=np.eye(3))
    with pytest.raises(ValueError, match=r"smoothing.*surfaces"):
        fit(files, smoothing_fwhm=5.0)
    calls: list[Callable[..., Any]] = [
        lambda: non_parametric_inference(files, design_matrix=DESIGN, threshold=0.01, n_perm=9),
        lambda: non_parametric_inference(files, design_matrix=DESIGN, tfce=True, n_perm=9),
    ]
    for call in calls:
        with pytest.raises(
            ValueError,
            match=r"clusters, TFCE and smoothing on a surface need its mesh; give surfaces=\(left, "
            r"right\), a pair of .surf.gii files of 30 vertices",
        ):
            call()


def test_wrong_masks(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    ones = {side: np.ones(n, np.float32) for side, n in N.items()}

    def mask(left: Any, right: Any) -> tuple[Path, Path]:
        return (
            write_gifti(tmp_path / "lh.mask.gii", left),
            write_gifti(tmp_path / "rh.mask.gii", right),
        )

    wrong: dict[str, Any] = {
        r"left hemisphere: it has 31 vertices, not 30": mask(np.ones(31, "f4"), ones["right"]),
    }
    for message, given in wrong.items():
        with pytest.raises(GridMismatchError, match=message):
            fit(files, mask_img=given)
    with pytest.raises(GridMismatchError, match=r"it has the left hemisphere, not the left and"):
        fit(files, mask_img=mask(ones["left"], ones["right"])[0])
    with np.errstate(divide="ignore"):
        infinite = ones["left"] / (ROW > 0)
    for message, left in (
        (r"the mask is empty: all its vertices are zero or NaN", ones["left"] * 0),
        (r"zero outside and one other value inside.*from 1 to 2", ones["left"] + (ROW > 0)),
        (r"holds infinite values", infinite),
    ):
        given = mask(left.astype("f4"), ones["right"] * (0 if "empty" in message else 1))
        with pytest.raises(ImageError, match=message):
            fit(files, mask_img=given)
    volume = nib.Nifti1Image(np.ones((3, 3, 3)), np.eye(4))
    for wrong_kind in (3, volume):
        message = (
            r"'mask_img' must be an image of surfaces \(a SurfaceImage, a pair \(left, right\)"
        )
        with pytest.raises(TypeError, match=message):
            fit(files, mask_img=wrong_kind)


def test_an_image_without_values_is_named(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    write_gifti(files["left"][2], np.full(N["left"], np.nan, "f4"))
    fit(files)  # one hemisphere of a subject may be missing
    write_gifti(files["right"][2], np.full(N["right"], np.nan, "f4"))
    with pytest.raises(ImageError, match=r"sub-03_hemi-L.*all 55 values are NaN or infinite"):
        fit(files)
    write_gifti(files["right"][2], np.full(N["right"], np.inf, "f4"))
    with pytest.raises(ImageError, match=r"sub-03_hemi-L"):
        fit(files)


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_file_that_holds_an_infinite_value_is_named(tmp_path: Path, is_masked: bool) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    wrong = VALUES["right"][2].copy()
    wrong[4] = np.inf
    write_gifti(files["right"][2], wrong)
    mask = {side: gifti(np.ones(n, np.float32)) for side, n in N.items()} if is_masked else None
    for memory in (None, str(tmp_path / "cache"), str(tmp_path / "cache")):
        with pytest.raises(ImageError, match=r"^[^ ]*sub-03_hemi-R[^ ]*: 1 infinite value;"):
            fit(files, mask_img=mask, memory=memory)
    write_gifti(files["left"][2], np.full(N["left"], -np.inf, "f4"))
    with pytest.raises(ImageError, match=r"sub-03_hemi-L\S* and \S*sub-03_hemi-R\S*: 31 infinite"):
        fit(files, mask_img=mask)


def mgh(*shape: int, version: int = 1, code: int = 3, values: bytes | None = None) -> bytes:
    """A .mgh file of this header, with the values of `ROW`."""
    head = struct.pack(">6i", version, *shape, code)
    values = ROW.astype(">f4").tobytes() if values is None else values
    return head.ljust(284, b"\0") + values


DAMAGED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"\0", "its header has 284 bytes, of which 1 are there"),
    "half a header": (mgh(N["left"], 1, 1, 1)[:100], "of which 100 are there"),
    "no values": (mgh(N["left"], 1, 1, 1, values=b""), "need|is cut off"),
    "half of the values": (mgh(N["left"], 1, 1, 1)[:320], "need|is cut off"),
    "version": (mgh(N["left"], 1, 1, 1, version=2), "it begins with 2, not with the version 1"),
    "lowest byte first": (
        struct.pack("<6i", 1, N["left"], 1, 1, 1, 3) + bytes(400),
        "it begins with 16777216, not",
    ),
    "words": (b"0.1 0.2 0.3\n" * 60, "it begins with 808333600, not with the version 1"),
    "type": (mgh(N["left"], 1, 1, 1, code=7), r"values are of the type 7, .* 3 \(float32\)"),
    "vertices below zero": (mgh(-5, 1, 1, 1), r"says the shape \(-5, 1, 1, 1\)"),
    "no vertices": (mgh(0, 1, 1, 1), r"says the shape \(0, 1, 1, 1\)"),
    "maps below zero": (mgh(N["left"], 1, 1, -1), r"says the shape \(\d+, 1, 1, -1\)"),
    "no maps": (mgh(N["left"], 1, 1, 0), "says the shape"),
    "too many vertices": (mgh(2**31 - 1, 1, 1, 1), "its values need 8589934872"),
    "too many maps": (mgh(N["left"], 1, 1, 2**31 - 1), "its values need"),
}


@pytest.mark.parametrize("ending", ["mgh", "mgz"])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_mgh(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, ending: str
) -> None:
    """Each is refused in words of this package; no library prints or tells its own."""
    data, message = DAMAGED[name]
    data = gzip.compress(data) if ending == "mgz" else data
    files = [write_curvature(tmp_path / f"lh.{k}", VALUES["left"][k]) for k in range(COUNT)]
    files[2] = tmp_path / f"lh.wrong.{ending}"
    files[2].write_bytes(data)
    refused(files, rf"lh.wrong.{ending}: .*({message})")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-12], "it is compressed, and cut off"),
        (lambda data: data[:-8] + b"abcd" + data[-4:], "it cannot be inflated"),
        (lambda data: data[:60] + bytes(30) + data[90:], "it cannot be inflated|cut off"),
        (lambda data: data[:2] + b"\7" + data[3:], "it cannot be inflated"),
        (lambda data: data + b"junk" * 9, "it cannot be inflated"),
    ],
)
def test_damaged_compression(
    tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    """Also where only the check sum at the end is wrong."""
    files = [write_curvature(tmp_path / f"lh.{k}", VALUES["left"][k]) for k in range(COUNT)]
    files[2] = tmp_path / "lh.wrong.mgz"
    files[2].write_bytes(damage(gzip.compress(mgh(N["left"], 1, 1, 1))))
    refused(files, rf"lh.wrong.mgz: is .* damaged one: ({message}); copy it again")


def test_small_files_that_say_much(tmp_path: Path) -> None:
    """Zeros are compressed to a thousandth: what a header says is bounded before it is held."""
    files = [write_curvature(tmp_path / f"lh.{k}", VALUES["left"][k]) for k in range(COUNT)]
    files[2] = tmp_path / "lh.wrong.mgz"
    for shape, message in (
        ((2**25 + 1, 1, 1, 1), r"says 1 maps of 33554433 vertices, and more than"),
        ((N["left"], 1, 1, 100_001), r"says 100001 maps of \d+ vertices"),
        ((N["left"], 1, 1, 90_000), r"holds 90000 maps, but each image must have one"),
    ):
        # Only the header is read; what follows need not be what it says.
        size = 284 + 4 * shape[0] * shape[3]
        head = gzip.compress(mgh(*shape))
        files[2].write_bytes(head + bytes(size // 1032))
        refused(files, message, (ImageError, TypeError))
    bomb = gzip.compress(mgh(N["left"], 1, 1, 1) + bytes(2**26 + 2**21))
    assert len(bomb) < 100_000
    files[2].write_bytes(bomb)
    refused(files, r"more than 67108864 bytes follow its values")
