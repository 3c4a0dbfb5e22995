# SPDX-License-Identifier: BSD-3-Clause
"""Surfaces in every form that a user may give: files, pairs, lists, images in memory, tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import SurfaceMasker
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from numpy.typing import NDArray

from groupglm import SecondLevelModel, SurfaceMaps, threshold_stats_img
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
COUNT = 8
VALUES = rows(COUNT)
DESIGN = pd.DataFrame({"intercept": np.ones(COUNT)})
VARIANCES = {side: np.exp(own) for side, own in rows(COUNT, seed=1).items()}
MESH = PolyMesh(**{side: InMemoryMesh(*sphere(n)) for side, n in N.items()})

pytestmark = pytest.mark.filterwarnings("ignore:.*is a sphere.*:UserWarning")


def means(images: Any, **options: Any) -> Any:
    model = SecondLevelModel(**options).fit(images, design_matrix=DESIGN)
    return model.compute_contrast("intercept", output_type="effect_size")


def arrays(image: Any) -> dict[str, NDArray[Any]]:
    if isinstance(image, SurfaceMaps):
        return {side: _array(part) for side, part in image.parts.items()}
    return dict(image.data.parts) if hasattr(image, "data") else {"only": _array(image)}


def _array(image: Any) -> NDArray[Any]:
    return image.agg_data() if hasattr(image, "agg_data") else np.asarray(image.dataobj)[:, 0, 0]


def check(found: Any, expected: dict[str, NDArray[Any]]) -> None:
    own = arrays(found)
    assert list(own) == list(expected)
    for side, values in expected.items():
        assert own[side].dtype.newbyteorder("=") == np.float32
        np.testing.assert_allclose(own[side], values, rtol=1e-6, atol=1e-7)  # of float32


MEANS = {side: values.astype(float).mean(axis=0) for side, values in VALUES.items()}


def surface_images() -> list[Any]:
    return [SurfaceImage(MESH, {s: VALUES[s][k] for s in N}) for k in range(COUNT)]


def test_all_forms_of_pairs_are_the_same(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    left, right = files["left"], files["right"]
    flat = [path for pair in zip(left, right, strict=True) for path in pair]
    labels = [f"{k + 1:02}" for k in range(COUNT)]
    forms = {
        "pairs": list(zip(left, right, strict=True)),
        "lists": [list(pair) for pair in zip(left, right, strict=True)],
        "mapping": {"left": left, "right": right},
        "mappings": [{"left": a, "right": b} for a, b in zip(left, right, strict=True)],
        "flat": flat,
        "left first": left + right,
        "right first": [str(path) for path in right + left],
        "array": np.array([str(path) for path in flat]),
        "series": pd.Series(flat, np.repeat(labels, 2)),
        "in memory": [(nib.load(a), nib.load(b)) for a, b in zip(left, right, strict=True)],
        "maps": [SurfaceMaps(nib.load(a), nib.load(b)) for a, b in zip(left, right, strict=True)],
    }
    for images in forms.values():
        found = means(images)
        assert isinstance(found, SurfaceMaps)
        check(found, MEANS)


@pytest.mark.parametrize(
    "name",
    [
        "{0}.{1}.thickness.32k_fs_LR.shape.gii",
        "sub-{0}_hemi-{1}_space-fsLR.func.gii",
        "{1}.{0}.func.gii",
    ],
)
def test_hemispheres_pair_by_their_names(tmp_path: Path, name: str) -> None:
    files = [
        write_gifti(tmp_path / name.format(k + 10, letter), VALUES[side][k])
        for side, letter in (("right", "R"), ("left", "L"))
        for k in range(COUNT)
    ]
    check(means(files), MEANS)


def test_freesurfer_pairs_by_lh_and_rh(tmp_path: Path) -> None:
    curvature: list[Path] = []
    mgh: list[Path] = []
    zipped: list[Path] = []
    for k in range(COUNT):
        for side, start in (("left", "lh"), ("right", "rh")):
            folder = tmp_path / f"sub-{k}" / "surf"
            folder.mkdir(parents=True, exist_ok=True)
            values = VALUES[side][k]
            curvature.append(write_curvature(folder / f"{start}.thickness", values))
            image = nib.MGHImage(values[:, None, None], np.eye(4))
            for ending, own in ((".mgh", mgh), (".mgz", zipped)):
                path = folder / f"{start}.thickness.fwhm10.fsaverage{ending}"
                image.to_filename(path)
                own.append(path)
    for files in (curvature, mgh, zipped):
        found = means(files)
        assert isinstance(found.left, nib.MGHImage)
        check(found, MEANS)


def test_a_file_of_curvature_may_begin_with_its_subject(tmp_path: Path) -> None:
    files = [
        write_curvature(tmp_path / f"sub-{k:02}.{start}.thickness", VALUES[side][k])
        for side, start in (("left", "lh"), ("right", "rh"))
        for k in range(COUNT)
    ]
    check(means(files), MEANS)
    labels = [f"sub-{k:02}" for k in reversed(range(COUNT))]
    ranks = pd.DataFrame({"one": 1.0, "rank": np.arange(COUNT)[::-1] + 0.5}, index=labels)
    slope = SecondLevelModel().fit(files, design_matrix=ranks)
    found = arrays(slope.compute_contrast("rank", output_type="effect_size"))
    wanted = np.polyfit(np.arange(COUNT), VALUES["right"].astype(float), 1)[0]
    np.testing.assert_allclose(found["right"], wanted, rtol=1e-4, atol=1e-6)


def test_hemispheres_pair_by_metadata_where_names_say_nothing(tmp_path: Path) -> None:
    files = [
        write_gifti(tmp_path / f"{side}{k}.gii", VALUES[side][k], structure=structure)
        for k in range(COUNT)
        for side, structure in (("right", "CortexRight"), ("left", "CORTEX_LEFT"))
    ]
    check(means(files), MEANS)


def test_one_hemisphere_gives_one_image(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    found = means(files["right"])
    assert isinstance(found, nib.GiftiImage)
    assert found.meta["AnatomicalStructurePrimary"] == "CortexRight"
    check(found, {"only": MEANS["right"]})
    pair = means({"right": files["right"]})
    check(pair, {"only": MEANS["right"]})


def test_surface_images_come_back_as_what_they_are() -> None:
    images = surface_images()
    found = means(images)
    assert type(found) is SurfaceImage
    assert found.mesh is MESH
    check(found, MEANS)
    wide = SurfaceImage(MESH, {side: values.T for side, values in VALUES.items()})
    check(means(wide), MEANS)
    everything = SecondLevelModel(minimize_memory=False).fit(images, design_matrix=DESIGN)
    residuals = everything.residuals_
    assert residuals.data.parts["left"].shape == (N["left"], COUNT)
    expected = VALUES["left"].astype(float) - MEANS["left"]
    np.testing.assert_allclose(residuals.data.parts["left"].T, expected, atol=1e-6)


def test_one_hemisphere_in_memory() -> None:
    mesh = PolyMesh(right=MESH.parts["right"])
    images = [SurfaceImage(mesh, {"right": row}) for row in VALUES["right"]]
    check(means(images), {"right": MEANS["right"]})


def test_a_table_of_maps_has_surfaces(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    labels = [f"sub-{k + 1:02}" for k in range(COUNT)]
    for items in (
        list(zip(map(str, files["left"]), map(str, files["right"]), strict=True)),
        surface_images(),
        list(map(str, files["left"])),
    ):
        table = pd.DataFrame({"subject_label": labels, "map_name": "effect"})
        table["effects_map_path"] = pd.Series(items, dtype=object)
        model = SecondLevelModel().fit(table)
        own = arrays(model.compute_contrast(output_type="effect_size"))
        np.testing.assert_allclose(next(iter(own.values())), MEANS["left"], rtol=1e-5, atol=1e-7)


class _FirstLevel:
    """A fitted first-level model of surfaces, as nilearn's."""

    class masker_:  # noqa: N801 - the name that the protocol has
        mask_img_ = SurfaceImage(MESH, {side: np.ones(n, bool) for side, n in N.items()})

    def __init__(self, number: int) -> None:
        self.subject_label, self._number, self.n_calls = f"{number:02}", number, 0

    def compute_contrast(self, contrast_def: Any, *, output_type: str) -> Any:
        self.n_calls += 1
        values = {side: own[self._number] for side, own in VALUES.items()}
        if output_type == "effect_variance":
            values = {side: own[self._number] for side, own in VARIANCES.items()}
        return SurfaceImage(MESH, values)


def test_first_level_models_are_computed_once_each() -> None:
    models: list[Any] = [_FirstLevel(k) for k in range(COUNT)]
    fitted = SecondLevelModel().fit(models, design_matrix=DESIGN)
    found = fitted.compute_contrast("intercept", "task", output_type="effect_size")
    check(found, MEANS)
    # Both hemispheres of one computed map; the first map also tells the mesh.
    assert [model.n_calls for model in models] == [2] + [1] * (COUNT - 1)
    mixed = SecondLevelModel(model="fixed effects").fit(models, design_matrix=DESIGN)
    weights = {side: 1 / own.astype(float) for side, own in VARIANCES.items()}
    expected = {
        side: (weights[side] * VALUES[side]).sum(axis=0) / weights[side].sum(axis=0) for side in N
    }
    own = arrays(mixed.compute_contrast("intercept", "task", output_type="effect_size"))
    for side in N:
        np.testing.assert_allclose(own[side], expected[side], rtol=1e-5, atol=1e-6)


def test_variances_weights_and_covariates_lie_beside_surfaces(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    w = {side: (1 + values**2).astype(np.float32) for side, values in VALUES.items()}
    beside = {
        side: [
            write_gifti(tmp_path / f"sub-{k + 1:02}_hemi-{letter}_weight.func.gii", w[side][k])
            for k in range(COUNT)
        ]
        for side, letter in (("left", "L"), ("right", "R"))
    }
    expected = {
        side: (w[side].astype(float) * VALUES[side]).sum(axis=0) / w[side].astype(float).sum(axis=0)
        for side in N
    }
    for given in (beside, beside["left"] + beside["right"]):
        model = SecondLevelModel().fit(files, design_matrix=DESIGN, weights=given)
        own = arrays(model.compute_contrast("intercept", output_type="effect_size"))
        for side in N:
            np.testing.assert_allclose(own[side], expected[side], rtol=1e-5, atol=1e-6)
    model = SecondLevelModel().fit(files, design_matrix=DESIGN, covariates={"thick": beside})
    slope = arrays(model.compute_contrast("thick", output_type="effect_size"))
    y, x = VALUES["right"].astype(float), w["right"].astype(float)
    centred = x - x.mean(axis=0)
    wanted = (centred * y).sum(axis=0) / (centred**2).sum(axis=0)
    np.testing.assert_allclose(slope["right"], wanted, rtol=1e-4, atol=1e-5)


def test_masks_are_pairs_images_and_maskers(tmp_path: Path) -> None:
    inside = {side: (np.arange(n) % 3 > 0).astype(np.uint8) for side, n in N.items()}
    images = surface_images()
    image = SurfaceImage(MESH, inside)
    shape = [
        write_gifti(tmp_path / f"{letter}.mask.shape.gii", inside[side].astype(np.float32))
        for side, letter in (("left", "L"), ("right", "R"))
    ]
    labels = [
        write_gifti(
            tmp_path / f"{letter}.mask.label.gii",
            inside[side].astype(np.int32) * 7,
            intent="NIFTI_INTENT_LABEL",
        )
        for side, letter in (("left", "L"), ("right", "R"))
    ]
    expected = {side: np.where(inside[side], MEANS[side], 0) for side in N}
    fitted = SurfaceMasker(image).fit()
    for mask in (image, tuple(shape), tuple(labels), {"left": shape[0], "right": shape[1]}, fitted):
        check(means(images, mask_img=mask), expected)
    model = SecondLevelModel(image).fit(images, design_matrix=DESIGN)
    for side, own in model.mask_img_.data.parts.items():
        np.testing.assert_array_equal(own, inside[side])
    one_side = SurfaceImage(MESH, {"left": inside["left"], "right": 0 * inside["right"]})
    check(
        means(images, mask_img=one_side),
        {"left": expected["left"], "right": np.zeros(N["right"])},
    )


def test_zeros_and_missing_values_are_counted() -> None:
    parts = {side: values.copy() for side, values in VALUES.items()}
    parts["left"][:, 0] = 0  # in all images: outside
    parts["left"][:, 1] = np.nan
    parts["right"][2, 3] = 0  # in one image: data
    parts["right"][4, 5] = np.nan
    images = [SurfaceImage(MESH, {s: parts[s][k] for s in N}) for k in range(COUNT)]
    with pytest.warns(UserWarning, match="1 of 53 vertices is exactly zero in some images"):
        model = SecondLevelModel().fit(images, design_matrix=DESIGN)
    assert model.n_elements_ == sum(N.values()) - 2
    assert model.n_zeros_.data.parts["right"][3] == 1
    counts = model.n_observations_.data.parts
    assert (counts["left"][0], counts["left"][1], counts["right"][5]) == (0, 0, COUNT - 1)
    model = SecondLevelModel(zero_is_missing=True).fit(images, design_matrix=DESIGN)
    found = model.compute_contrast("intercept", output_type="effect_size").data.parts["right"]
    others = np.delete(VALUES["right"][:, 3].astype(float), 2)
    np.testing.assert_allclose(found[3], others.mean(), rtol=1e-6)


def test_a_mean_of_zero_is_not_outside() -> None:
    """Numbers such as +1 and -1 may have a mean of exactly zero."""
    signs = {side: np.sign(own).astype("f4") for side, own in VALUES.items()}
    signs["right"][:, 7] = np.tile([1, -1], COUNT // 2)
    signs["right"][:, 8] = 0
    images = [SurfaceImage(MESH, {s: signs[s][k] for s in N}) for k in range(COUNT)]
    model = SecondLevelModel().fit(images, design_matrix=DESIGN)
    inside = model.mask_img_.data.parts["right"]
    assert (inside[7], inside[8]) == (1, 0)
    assert model.n_elements_ == sum(N.values()) - 1


def test_results_are_pairs_with_one_name(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    model = SecondLevelModel().fit(files, design_matrix=DESIGN)
    t = model.compute_contrast("intercept", output_type="stat")
    written = t.to_filename(tmp_path / "out" / "t.func.gii")
    assert [path.name for path in written] == ["hemi-L_t.func.gii", "hemi-R_t.func.gii"]
    again = SurfaceMaps.from_filename(tmp_path / "out" / "t.func.gii")
    check(again, arrays(t))
    # The intent and the degrees of freedom are read back: t becomes z at the same threshold.
    nominal = str(tmp_path / "out" / "t.func.gii")
    maps = []
    for own in (t, nominal, tuple(map(str, written))):
        with pytest.warns(UserWarning, match="t statistics with 7 degrees of freedom"):
            maps.append(threshold_stats_img(own, alpha=0.2, height_control="fpr"))
    assert len({threshold for _, threshold in maps}) == 1
    for thresholded, _ in maps:
        check(thresholded, arrays(maps[0][0]))
    z = arrays(model.compute_contrast("intercept"))
    kept = arrays(maps[0][0])
    for side in N:
        np.testing.assert_array_equal(kept[side] != 0, np.abs(z[side]) > maps[0][1])


def test_freesurfer_maps_are_written_under_freesurfer_names(tmp_path: Path) -> None:
    files = pairs_of_files(tmp_path, COUNT)
    z = SecondLevelModel().fit(files, design_matrix=DESIGN).compute_contrast("intercept")
    for ending in (".mgh", ".mgz"):
        written = z.to_filename(tmp_path / f"z{ending}")
        assert [path.name for path in written] == [f"lh.z{ending}", f"rh.z{ending}"]
        check(SurfaceMaps.from_filename(tmp_path / f"z{ending}"), arrays(z))
    assert written[0].read_bytes() == z.to_filename(tmp_path / "z.mgz")[0].read_bytes()
    with pytest.raises(ValueError, match=r"must end in .gii, .mgh, .mgz.*use for instance"):
        z.to_filename(tmp_path / "z.nii.gz")


def test_encodings_of_gifti(tmp_path: Path) -> None:
    files = []
    for k, row in enumerate(VALUES["left"]):
        how: dict[str, Any] = [
            {"encoding": "ASCII"},
            {"encoding": "Base64Binary"},
            {"encoding": "GZipBase64Binary", "endian": "BigEndian"},
            {"encoding": "ExternalFileBinary", "external": f"{k}.dat", "endian": "BigEndian"},
        ][k % 4]
        (tmp_path / f"{k}.dat").write_bytes(row.astype(">f4").tobytes())
        path = tmp_path / f"lh.{k}.gii"
        path.write_text(gifti_text(row, **how))
        files.append(path)
    check(means(files), {"only": MEANS["left"]})


def test_a_saved_model_gives_the_same_maps(tmp_path: Path) -> None:
    model = SecondLevelModel().fit(surface_images(), design_matrix=DESIGN)
    loaded = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
    own, again = (arrays(each.compute_contrast("intercept")) for each in (model, loaded))
    for side in N:
        np.testing.assert_array_equal(own[side], again[side])
    z = loaded.compute_contrast("intercept")
    assert type(z) is SurfaceMaps  # a file holds no type of another package
    assert z.mesh is not None
    np.testing.assert_array_equal(z.mesh["left"].faces, MESH.parts["left"].faces)


def test_bits_do_not_depend_on_threads() -> None:
    maps = [arrays(means(surface_images(), n_jobs=n)) for n in (1, 3)]
    for side in N:
        np.testing.assert_array_equal(maps[0][side], maps[1][side])


def test_meshes_may_differ_in_coordinates_but_not_in_faces() -> None:
    left, right = MESH.parts["left"], MESH.parts["right"]
    moved = PolyMesh(left=InMemoryMesh(left.coordinates + 1, left.faces), right=right)
    images = surface_images()
    images[3] = SurfaceImage(moved, images[3].data)
    model = SecondLevelModel().fit(images, design_matrix=DESIGN)
    with pytest.raises(ValueError, match=r"need its mesh; give surfaces=\(left, right\)"):
        model._group.space.neighbours(6)
    other = PolyMesh(left=InMemoryMesh(left.coordinates, left.faces[:, ::-1]), right=right)
    images[3] = SurfaceImage(other, images[3].data)
    with pytest.raises(ValueError, match=r"image 4 .*left hemisphere: its mesh has other faces"):
        SecondLevelModel().fit(images, design_matrix=DESIGN)


def test_a_gifti_image_in_memory_tells_its_side() -> None:
    images = [gifti(row, "CortexLeft") for row in VALUES["left"]]
    check(means(images), {"only": MEANS["left"]})


def test_nilearn_is_not_needed() -> None:
    """A SurfaceImage is known by its members: a class of another name is one too."""

    class Part:
        def __init__(self, **parts: Any) -> None:
            self.parts = parts

    class Image:
        def __init__(self, mesh: Any, data: Any) -> None:
            self.mesh, self.data = mesh, data

    images = [Image(MESH, Part(**{s: VALUES[s][k] for s in N})) for k in range(COUNT)]
    found = means(images)
    assert type(found) is Image
    assert type(found.data) is Part
    check(found, MEANS)
    assert not any(
        name.startswith("nilearn")
        for name, module in sys.modules.items()
        if name.startswith("groupglm")
        for name in vars(module).get("__all__", ())
    )
