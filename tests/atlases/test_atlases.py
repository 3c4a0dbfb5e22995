# SPDX-License-Identifier: BSD-3-Clause
"""Atlases of each kind of data: labels and names as nibabel reads them, grids, tables beside."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest
from nibabel.gifti.gifti import GiftiDataArray, GiftiImage, GiftiLabel, GiftiLabelTable

import groupglm
from groupglm.atlases.finding import as_atlas
from groupglm.errors import ArgumentError, GridMismatchError, ImageError
from groupglm.spaces.map_files import files_of_map, group_files
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

nib: Any = nibabel  # typed only in part
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
NAMES = {1: "one", 3: "three", 12: "twelve"}


def labels(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).choice([0, *NAMES], shape).astype(np.int16)


def volume(values: NDArray[Any], affine: NDArray[Any] = AFFINE) -> Any:
    return nib.Nifti1Image(values, affine)


def gifti(values: NDArray[Any], names: dict[int, str], side: str) -> Any:
    any_: Any = GiftiLabelTable
    table = any_()
    for key, name in names.items():
        own: Any = GiftiLabel
        one = own(key=key)
        one.label = name
        table.labels.append(one)
    array: Any = GiftiDataArray
    image: Any = GiftiImage
    meta: Any = nib.gifti.GiftiMetaData
    return image(
        darrays=[array(values.astype(np.int32), "NIFTI_INTENT_LABEL")],
        labeltable=table,
        meta=meta({"AnatomicalStructurePrimary": f"Cortex{side.capitalize()}"}),
    )


def places_of(image: Any) -> Any:
    """The space of all places of a map, in the order of its file."""
    return kind_of(image).open_map(image, "map")[1]


def test_labels_of_a_volume_by_a_mapping_and_by_a_table_beside(tmp_path: Path) -> None:
    data = labels((5, 6, 7))
    path = tmp_path / "tpl-X_res-02_atlas-A_dseg.nii.gz"
    nib.save(volume(data), path)
    (tmp_path / "tpl-X_atlas-A_dseg.tsv").write_text("index\tname\n1\tone\n3\tthree\n12\ttwelve\n")
    for atlas in (
        groupglm.load_atlas(volume(data), NAMES),
        groupglm.load_atlas(path),
        groupglm.load_atlas(str(path)),
        as_atlas(path),
        as_atlas(str(path)),
    ):
        assert atlas.names == NAMES
        at = atlas.at(places_of(volume(np.ones(data.shape))))
        np.testing.assert_array_equal(at, data.ravel(order="F"))
    assert as_atlas(atlas) is atlas
    assert "3 regions" in repr(atlas)
    assert atlas.name_of(0) == "no label"


def test_labels_of_a_hidden_table_are_numbers() -> None:
    assert groupglm.load_atlas(volume(labels((3, 4, 5)))).names == {1: "1", 3: "3", 12: "12"}


def test_some_labels_without_names_are_told_and_all_are_refused() -> None:
    with pytest.warns(UserWarning, match="1 label has no name in the table, .*: 12"):
        atlas = groupglm.load_atlas(volume(labels((4, 4, 4))), {1: "one", 3: "three"})
    assert atlas.names[12] == "12"
    with pytest.raises(ArgumentError, match="none of the 1 label in the table is in"):
        groupglm.load_atlas(volume(labels((4, 4, 4))), {5: "five"})


def test_two_regions_of_one_name_have_their_numbers() -> None:
    atlas = groupglm.load_atlas(volume(labels((4, 4, 4))), {1: "a", 3: "a", 12: "b"})
    assert atlas.names == {1: "a (1)", 3: "a (3)", 12: "b"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((3, 3, 3), 0.5), "values such as 0.5"),
        (np.full((3, 3, 3), np.inf), "values such as inf"),
        (np.full((3, 3, 3), 3e9), "values such as 3e"),
        (np.zeros((3, 3, 3)), "zero everywhere"),
        (np.full((3, 3, 3), np.nan), "zero everywhere"),
    ],
)
def test_an_image_that_is_none_of_labels_is_refused(values: NDArray[Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        groupglm.load_atlas(volume(values))


def test_another_grid_is_refused_unless_the_nearest_voxel_is_asked_for() -> None:
    data = labels((6, 6, 6))
    fine = np.diag([1.5, 1.5, 1.5, 1.0])
    target = volume(np.ones((7, 8, 6)), fine)
    with pytest.raises(GridMismatchError, match="resample='nearest'"):
        groupglm.load_atlas(volume(data), NAMES).at(places_of(target))
    atlas = groupglm.load_atlas(volume(data), NAMES, resample="nearest")
    expected = groupglm.resample_to(volume(data), target, interpolation="nearest")
    whole = places_of(target)
    np.testing.assert_array_equal(atlas.at(whole), np.asarray(expected.dataobj).ravel(order="F"))
    keep = np.arange(whole.n_values) % 3 == 0
    np.testing.assert_array_equal(atlas.at(whole.restrict(keep)), atlas.at(whole)[keep])
    wrong: Any = "linear"
    with pytest.raises(ArgumentError, match="resample"):
        groupglm.load_atlas(volume(data), resample=wrong)


def probabilities(shape: tuple[int, ...], n_regions: int, seed: int = 0) -> NDArray[np.uint8]:
    """Percentages of regions, zero at some places, with some pairs that are the same."""
    found = np.random.default_rng(seed).integers(0, 100 // n_regions, (*shape, n_regions))
    found[0], found[1, ..., 1] = 0, found[1, ..., 0]
    return found.astype(np.uint8)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_an_atlas_of_probabilities_has_the_most_probable_labels(
    tmp_path: Path, ending: str
) -> None:
    percent = probabilities((4, 5, 6), 3)
    path = tmp_path / f"Own-prob-2mm{ending}"
    nib.save(volume(percent), path)
    names = {1: "one", 2: "two", 3: "three"}
    rows = "".join(f'<label index="{n - 1}">{name}</label>' for n, name in names.items())
    table = tmp_path / "Own.xml"
    kind = "<header><type>Probabilistic</type></header>"
    table.write_text(f"<atlas>{kind}<data>{rows}</data></atlas>")
    largest = percent.max(-1)
    expected = np.where(largest > 0, percent.argmax(-1) + 1, 0).ravel(order="F")
    whole = places_of(volume(np.ones(percent.shape[:3])))
    for atlas in (
        groupglm.load_atlas(path, table),
        groupglm.load_atlas(volume(percent), names),
        groupglm.load_atlas(volume(percent / 100), names),  # as fractions
    ):
        assert atlas.names == names
        np.testing.assert_array_equal(atlas.at(whole), expected)
        # Kept in steps of a thousandth of a percent.
        found = atlas.probabilities_at(whole)
        assert found is not None
        np.testing.assert_allclose(found, largest.ravel(order="F") / 100, rtol=0, atol=5.1e-6)
    # Places of a part of the map, and those of another grid.
    keep = np.arange(whole.n_values) % 3 == 0
    some: Any = atlas.probabilities_at(whole.restrict(keep))
    np.testing.assert_array_equal(some, largest.ravel(order="F")[keep] / 100)
    fine = volume(np.ones((6, 7, 8)), np.diag([1.5, 1.5, 1.5, 1.0]))
    with pytest.raises(GridMismatchError, match="resample='nearest'"):
        atlas.probabilities_at(places_of(fine))
    moved = groupglm.load_atlas(path, table, resample="nearest")
    image = volume(largest.astype(np.float32))
    nearest: Any = groupglm.resample_to(image, fine, interpolation="nearest")
    some = moved.probabilities_at(places_of(fine))
    wanted: Any = np.asarray(nearest.dataobj).ravel(order="F") / 100
    np.testing.assert_allclose(some, wanted, rtol=0, atol=5.1e-6)


def test_an_atlas_of_labels_has_no_probabilities() -> None:
    data = labels((3, 4, 5))
    atlas = groupglm.load_atlas(volume(data[..., np.newaxis]), NAMES)  # one volume on four axes
    whole = places_of(volume(np.ones(data.shape)))
    np.testing.assert_array_equal(atlas.at(whole), data.ravel(order="F"))
    assert atlas.probabilities_at(whole) is None


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (-1.0, "volume 3: has values such as -1, but an atlas of several volumes"),
        (101.0, "volume 3: has values such as 101"),
        (np.inf, "volume 3: has values such as inf"),
    ],
)
def test_volumes_that_are_no_probabilities_are_refused(last: float, message: str) -> None:
    data = probabilities((3, 3, 3), 3).astype(np.float32)
    data[1, 1, 1, 2] = last
    with pytest.raises(ImageError, match=message):
        groupglm.load_atlas(volume(data))
    with pytest.raises(ImageError, match="zero everywhere"):
        groupglm.load_atlas(volume(np.zeros((3, 3, 3, 3), np.uint8)))


def test_labels_and_names_of_hemispheres_as_nibabel_has_them(tmp_path: Path) -> None:
    own, other = labels((40,), 1), labels((30,), 2)
    left, right = gifti(own, NAMES, "left"), gifti(other, {**NAMES, 3: "drei"}, "right")
    for name, image in (("hemi-L_a.label.gii", left), ("hemi-R_a.label.gii", right)):
        nib.save(image, tmp_path / name)
    metric: Any = GiftiDataArray
    maps = {
        "left": nib.GiftiImage(darrays=[metric(np.ones(40, np.float32))]),
        "right": nib.GiftiImage(darrays=[metric(np.ones(30, np.float32))]),
    }
    whole = places_of(maps)
    files = (tmp_path / "hemi-L_a.label.gii", tmp_path / "hemi-R_a.label.gii")
    for given in (files, (left, right), tmp_path / "a.label.gii"):
        atlas = groupglm.load_atlas(given)
        at = [atlas.name_of(n) for n in atlas.at(whole).tolist()]
        first = {0: "no label", 1: "left one", 3: "three", 12: "left twelve"}
        second = {0: "no label", 1: "right one", 3: "drei", 12: "right twelve"}
        assert at == [first[n] for n in own.tolist()] + [second[n] for n in other.tolist()]
    # With a table of the user's own, a number is one region on both.
    atlas = groupglm.load_atlas(files, NAMES)
    np.testing.assert_array_equal(atlas.at(whole), np.concatenate([own, other]))
    assert atlas.names == NAMES
    # One hemisphere alone keeps its numbers and names.
    assert groupglm.load_atlas(files[0]).names == NAMES


@pytest.mark.parametrize("first", ["unknown", "cortex"])
def test_an_annotation_as_nibabel_reads_it(tmp_path: Path, first: str) -> None:
    path = tmp_path / "lh.own.annot"
    numbers = np.random.default_rng(3).integers(0, 4, 50)
    table = np.array([[25, 5, 25, 0], [0, 9, 1, 0], [255, 0, 7, 0], [3, 3, 200, 0]])
    names = [first, "bankssts", "cuneus", "insula"]
    nib.freesurfer.write_annot(path, numbers, table, names, fill_ctab=True)
    read, _, read_names = nib.freesurfer.read_annot(path)
    expected = [read_names[n].decode() for n in read]
    atlas = groupglm.load_atlas(path)
    metric: Any = GiftiDataArray
    whole = places_of({"left": nib.GiftiImage(darrays=[metric(np.ones(50, np.float32))])})
    found = [atlas.name_of(n) for n in atlas.at(whole).tolist()]
    assert found == ["no label" if name == "unknown" else name for name in expected]


def test_annotations_of_both_hemispheres_have_one_name(tmp_path: Path) -> None:
    table = np.array([[25, 5, 25, 0], [0, 9, 1, 0]])
    files = tuple(tmp_path / f"{side}.own.annot" for side in ("lh", "rh"))
    for path in files:
        numbers = np.arange(20) % 2
        nib.freesurfer.write_annot(path, numbers, table, ["unknown", "insula"], fill_ctab=True)
    assert files_of_map(tmp_path / "own.annot") == files
    assert [own.paths for own in group_files(files[::-1])] == [files]
    names = set(groupglm.load_atlas(group_files(files)[0].as_path).names.values())
    assert names == {"left insula", "right insula"}


def test_damaged_annotations_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lh.own.annot"
    table = np.array([[25, 5, 25, 0], [0, 9, 1, 0]])
    nib.freesurfer.write_annot(path, np.ones(9, int), table, ["unknown", "a"], fill_ctab=True)
    whole = path.read_bytes()
    assert len(groupglm.load_atlas(path).names) == 1
    refused = 0
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ImageError, match=r"lh\.own\.annot"):
            groupglm.load_atlas(path)
        refused += 1
    for at in range(0, len(whole), 4):  # a huge number in the place of each
        path.write_bytes(whole[:at] + b"\x7f\xff\xff\xf0" + whole[at + 4 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                groupglm.load_atlas(path)
            except (ImageError, ArgumentError):
                refused += 1
    assert refused > len(whole)


def test_labels_of_grayordinates_as_nibabel_has_them(tmp_path: Path) -> None:
    axes = nib.cifti2.cifti2_axes
    cortex = axes.BrainModelAxis.from_mask(np.arange(10) % 3 != 0, name="CORTEX_LEFT")
    voxels = axes.BrainModelAxis.from_mask(
        np.ones((2, 2, 2), bool), name="THALAMUS_LEFT", affine=AFFINE
    )
    places = cortex + voxels
    data = labels((1, len(places)), 4)
    table = {0: ("???", (0, 0, 0, 0)), **{n: (name, (1, 0, 0, 1)) for n, name in NAMES.items()}}
    image = nib.Cifti2Image(data.astype(np.float32), (axes.LabelAxis(["own"], table), places))
    path = tmp_path / "own.dlabel.nii"
    image.to_filename(path)
    scalar = nib.Cifti2Image(
        np.ones((1, len(places)), np.float32), (axes.ScalarAxis(["x"]), places)
    )
    space = places_of(scalar)
    given: Any
    for given in (path, image, nib.load(path)):
        atlas = groupglm.load_atlas(given)
        assert atlas.names == NAMES
        at = atlas.at(space)
        order = space.public_order
        np.testing.assert_array_equal(at if order is None else at[order], data[0])
    with pytest.raises(GridMismatchError, match="give labels of that kind"):
        groupglm.load_atlas(volume(labels((3, 3, 3)))).at(space)


def test_labels_of_a_cortex_are_those_of_its_vertices_in_grayordinates(tmp_path: Path) -> None:
    axes: Any = nib.cifti2
    surface, rng = axes.BrainModelAxis.from_surface, np.random.default_rng(4)
    inside = {side: np.sort(rng.permutation(40)[:30]) for side in ("Left", "Right")}
    cortex = surface(np.arange(40), 40, "CortexLeft") + surface(np.arange(40), 40, "CortexRight")
    voxels = axes.BrainModelAxis.from_mask(np.ones((2, 3, 2)), "ThalamusLeft", np.eye(4))
    some = (
        surface(inside["Left"], 40, "CortexLeft")
        + surface(inside["Right"], 40, "CortexRight")
        + voxels
    )
    data = rng.integers(1, 4, size=(1, 80))
    table = {0: ("???", (0, 0, 0, 0)), **{n: (f"r{n}", (1, 0, 0, 1)) for n in (1, 2, 3)}}
    path = tmp_path / "cortex.dlabel.nii"
    header = (axes.LabelAxis(["own"], table), cortex)
    nib.Cifti2Image(data.astype(np.float32), header).to_filename(path)
    atlas = groupglm.load_atlas(path)

    def space_of(places: Any) -> Any:
        values = np.ones((1, len(places)), np.float32)
        made: Any = nib.Cifti2Image
        return places_of(made(values, (axes.ScalarAxis(["x"]), places)))

    space = space_of(some)
    at, order = atlas.at(space), space.public_order
    found = at if order is None else at[order]
    wanted = [*data[0, inside["Left"]], *data[0, 40 + inside["Right"]], *([0] * 12)]
    np.testing.assert_array_equal(found, wanted)
    keep = np.zeros(space.n_values, np.bool_)
    keep[3::4] = True
    np.testing.assert_array_equal(atlas.at(space.restrict(keep)), at[keep])
    for other in (surface(np.arange(30), 50, "CortexLeft"), voxels):  # another mesh; no cortex
        with pytest.raises(GridMismatchError):
            atlas.at(space_of(other))


def test_atlases_are_found_by_words_of_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "flow"))
    monkeypatch.setenv("FSLDIR", str(tmp_path / "fsl"))
    flow = tmp_path / "flow" / "tpl-MNI"
    flow.mkdir(parents=True)
    for res in ("01", "02"):
        nib.save(volume(labels((3, 4, 5))), flow / f"tpl-MNI_res-{res}_atlas-A_dseg.nii.gz")
    (flow / "tpl-MNI_res-02_atlas-Empty_dseg.nii.gz").touch()
    (flow / "tpl-MNI_atlas-A_dseg.tsv").write_text("index\tname\n1\tone\n3\tthree\n12\ttwelve\n")
    for side, letter in (("left", "L"), ("right", "R")):
        image = gifti(labels((20,)), NAMES, side)
        nib.save(image, flow / f"tpl-MNI_hemi-{letter}_atlas-Both_dseg.label.gii")
    fsl = tmp_path / "fsl" / "data" / "atlases"
    (fsl / "Own").mkdir(parents=True)
    nib.save(volume(labels((3, 4, 5))), fsl / "Own" / "Own-maxprob-thr25-2mm.nii.gz")
    nib.save(volume(labels((3, 4, 5))), fsl / "Own" / "Own-prob-2mm.nii.gz")
    rows = "".join(f'<label index="{n - 1}">fsl {n}</label>' for n in NAMES)
    (fsl / "Own.xml").write_text(
        "<atlas><header><type>Probabilistic</type><images><imagefile>/Own/Own-prob-2mm</imagefile>"
        "<summaryimagefile>/Own/Own-maxprob-thr25-2mm</summaryimagefile></images></header>"
        f"<data>{rows}</data></atlas>"
    )
    assert groupglm.find_atlas("atlas-A res-02").names == NAMES
    assert as_atlas("a RES-02 mni").names == NAMES
    assert len(groupglm.find_atlas("Both").names) == 6
    assert groupglm.find_atlas("own 2mm").names == {n: f"fsl {n}" for n in NAMES}
    # One of probabilities is meant if the words leave no other.
    nib.save(volume(probabilities((3, 4, 5), 12)), fsl / "Own" / "Own-prob-2mm.nii.gz")
    with pytest.warns(UserWarning, match="8 labels have no name in the table"):
        found = groupglm.find_atlas("Own-prob-2mm")
    assert {n: found.names[n] for n in NAMES} == {n: f"fsl {n}" for n in NAMES}
    with pytest.raises(ArgumentError, match="2 atlases have 'atlas-A'"):
        groupglm.find_atlas("atlas-A")
    with pytest.raises(ArgumentError, match="is empty, as TemplateFlow leaves"):
        groupglm.find_atlas("Empty")
    with pytest.raises(ArgumentError, match="no atlas on this machine"):
        groupglm.find_atlas("nothing of this name")
    with pytest.raises(ArgumentError, match="no atlas on this machine"):
        groupglm.find_atlas(" ")
