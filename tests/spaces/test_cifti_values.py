# SPDX-License-Identifier: BSD-3-Clause
"""The values of CIFTI files of any type, byte order and scaling, of one map or of many."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.errors import ImageError, ZeroValuesWarning
from groupglm.spaces.cifti.masking import with_meshes
from groupglm.spaces.cifti.opening import open_inputs, open_map
from groupglm.spaces.geometry import NO_GEOMETRY
from reference.cifti_files import N_PLACES, cifti, scalars, series, surface, xml

nib: Any = nibabel  # typed only in part


def _maps(n_maps: int, dtype: str = "f4") -> NDArray[Any]:
    values = np.random.default_rng(7).standard_normal((n_maps, N_PLACES)) * 50
    return values.astype(dtype) if dtype.startswith("f") else np.abs(values).astype(dtype)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("scaling", [(1.0, 0.0), (0.25, -3.0), (0.0, 5.0), (np.nan, 5.0)])
def test_values_are_those_that_nibabel_reads(
    tmp_path: Path, dtype: str, order: Literal["<", ">"], scaling: tuple[float, float]
) -> None:
    path = tmp_path / "a.dscalar.nii"
    values = _maps(1, dtype)
    slope, inter = scaling
    path.write_bytes(cifti(None, values, dtype=dtype, order=order, slope=slope, inter=inter))
    source = open_map(path, "image")
    is_scaled = scaling == (0.25, -3.0)
    np.testing.assert_array_equal(source.read(), nib.load(path).get_fdata()[0])
    np.testing.assert_array_equal(
        source.read(), (values.astype(float) * 0.25 - 3 if is_scaled else values)[0]
    )
    fits = not is_scaled and dtype in ("u1", "i2", "f4")
    assert source.dtype == (np.float32 if fits else np.float64)
    assert source.is_quantised == (is_scaled and dtype in ("u1", "i2", "i4"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("ending", "axis"), [("dscalar", scalars(5)), ("dtseries", series(5))])
def test_each_map_of_a_file_is_an_image(
    tmp_path: Path,
    ending: str,
    axis: str,
    order: Literal["<", ">"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Blocks of two places, so that a map comes of several blocks.
    monkeypatch.setattr("groupglm.spaces.cifti.source._BLOCK_BYTES", 2 * 5 * 4)
    path = tmp_path / f"a.{ending}.nii"
    values = _maps(5)
    path.write_bytes(cifti(xml(axis), values, order=order))
    sources = open_inputs(path, argument="imgs", same_placement=True, at_least=2)
    assert [source.name for source in sources] == [f"{path}, map {n}" for n in range(1, 6)]
    for number in (3, 0, 4, 1, 2):
        np.testing.assert_array_equal(sources[number].read(), values[number])
    elsewhere = pickle.loads(pickle.dumps(sources))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(elsewhere[2].read(), values[2])
    assert len({source.fingerprint() for source in sources}) == 5
    # As nibabel's image, from the file and in memory.
    lazy = nib.load(path)
    for image in (lazy, nib.Cifti2Image(lazy.get_fdata(), lazy.header)):
        again = open_inputs(image, argument="imgs", same_placement=True, at_least=2)
        np.testing.assert_array_equal([source.read() for source in again], values)
    design = pd.DataFrame({"one": np.ones(5)})
    mean = SecondLevelModel().fit(path, design_matrix=design)
    effect = mean.compute_contrast("one", output_type="effect_size")
    # Sums in double, rounded to float32.
    np.testing.assert_allclose(effect.get_fdata()[0], values.astype(float).mean(axis=0), rtol=1e-6)
    assert effect.nifti_header.get_intent()[0] == "ConnDenseScalar"


def test_a_file_that_is_shortened_meanwhile_is_refused(tmp_path: Path) -> None:
    for n_maps in (1, 3):
        path = tmp_path / f"{n_maps}.dscalar.nii"
        content = cifti(xml(scalars(n_maps)), _maps(n_maps))
        path.write_bytes(content)
        sources = open_inputs(path, argument="imgs", same_placement=True, at_least=1)
        path.write_bytes(content[:-4])
        with pytest.raises(ImageError, match="the file was shortened after it was opened"):
            sources[0].read()


def test_rows_go_to_the_places_of_the_file(tmp_path: Path) -> None:
    # Vertices and voxels in no order: a row sorts them, and users see the order of the file.
    text = (
        xml()
        .replace(b"0 2 3 5", b"5 0 3 2")
        .replace(b"0 0 0\n1 0 0\n2 3 1", b"2 3 1\n0 0 0\n1 0 0")
    )
    path = tmp_path / "a.dscalar.nii"
    path.write_bytes(cifti(text, np.arange(1.0, 10)[np.newaxis]))
    source: Any = open_map(path, "image")
    space = with_meshes(source.axis, NO_GEOMETRY)
    row = np.empty(N_PLACES)
    space.read_row(source, row)
    # Vertices 0 2 3 5, then voxels by their third index, their second and their first one.
    np.testing.assert_array_equal(row, [2, 4, 3, 1, 6, 7, 8, 9, 5])
    assert space.public_order is not None
    np.testing.assert_array_equal(row[space.public_order], np.arange(1, 10))
    np.testing.assert_array_equal(space.to_image(row).get_fdata()[0], np.arange(1, 10))
    kept = space.restrict(row > 4)
    np.testing.assert_array_equal(
        kept.to_image(row[row > 4]).get_fdata()[0] > 0, np.arange(1, 10) > 4
    )
    assert list(space.structure(np.array([0, 4, 7]))) == [
        "CORTEX_LEFT", "THALAMUS_LEFT", "PUTAMEN_LEFT",
    ]  # fmt: skip
    assert space.describe_place(1) == "vertex 2, CORTEX_LEFT"
    assert space.describe_place(8) == "(86, -120, -70) mm, THALAMUS_LEFT"
    assert (
        space.name_places(np.array([1, 2, 8])) == "vertices 2, 3 of CORTEX_LEFT; voxels (2, 3, 1)"
    )
    assert (
        space.describe_placement() == "9 grayordinates of CORTEX_LEFT, THALAMUS_LEFT, PUTAMEN_LEFT"
    )
    names = [(part.name, part.n_values, part.unit, part.tfce_powers) for part in space.parts]
    assert names == [
        ("cortex_left", 4, "vertices", (1.0, 2.0)), ("subcortex", 5, "voxels", (0.5, 2.0)),
    ]  # fmt: skip


def test_a_surface_of_any_structure_is_read_and_saved_in_a_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    paths = [tmp_path / f"sub-{number}.dscalar.nii" for number in range(6)]
    models = surface() + surface(4, structure="CEREBELLUM") + surface(8, structure="CORTEX_RIGHT")
    for path in paths:
        path.write_bytes(cifti(xml(models=models, space=" "), rng.standard_normal((1, 12))))
    model = SecondLevelModel().fit(paths, design_matrix=pd.DataFrame({"one": np.ones(6)}))
    loaded = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    t = loaded.compute_contrast("one", output_type="stat")
    np.testing.assert_array_equal(
        t.dataobj, model.compute_contrast("one", output_type="stat").dataobj
    )
    assert loaded._group.space.describe_place(5) == "vertex 2, CEREBELLUM"


def test_values_in_memory_beyond_float32_are_float64(tmp_path: Path) -> None:
    paths = [tmp_path / f"sub-{number}.dscalar.nii" for number in range(3)]
    for number, path in enumerate(paths, start=1):
        path.write_bytes(cifti(None, np.full((1, N_PLACES), number * 1e300), dtype="f8"))
    design = pd.DataFrame({"one": np.ones(3)})
    model = SecondLevelModel(minimize_memory=False).fit(paths, design_matrix=design)
    effect = model.compute_contrast("one", output_type="effect_size")
    assert effect.dataobj.dtype == np.float64
    np.testing.assert_allclose(effect.get_fdata(), 2e300, rtol=1e-14)
    (residuals,) = model.residuals(out=tmp_path / "residuals.dscalar.nii")
    np.testing.assert_allclose(residuals.get_fdata()[:, 0], [-1e300, 0, 1e300], atol=1e286)


def test_zeros_of_some_images_are_data_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((6, N_PLACES)) + 1
    rows[:, 1] = 0.0  # outside: zero in all
    rows[:, 5] = np.nan  # outside: missing in all
    rows[2, [0, 7]] = 0.0
    paths = [tmp_path / f"sub-{number}.dscalar.nii" for number in range(6)]
    for path, row in zip(paths, rows, strict=True):
        path.write_bytes(cifti(None, row[np.newaxis], dtype="f8"))
    design = pd.DataFrame({"one": np.ones(6)})
    with pytest.warns(ZeroValuesWarning, match=r"grayordinates.*zero_is_missing"):
        model = SecondLevelModel().fit(paths, design_matrix=design)
    inside = np.array([1, 0, 1, 1, 1, 0, 1, 1, 1])
    np.testing.assert_array_equal(model.mask_img_.get_fdata()[0], inside)
    effect = model.compute_contrast("one", output_type="effect_size").get_fdata()[0]
    # Sums in double, rounded to float32.
    np.testing.assert_allclose(effect, np.where(inside, rows.mean(axis=0), 0), rtol=1e-6)
    model = SecondLevelModel(zero_is_missing=True).fit(paths, design_matrix=design)
    counts = model.n_observations_.get_fdata()[0]
    np.testing.assert_array_equal(counts, [5, 0, 6, 6, 6, 0, 6, 5, 6])
    effect = model.compute_contrast("one", output_type="effect_size").get_fdata()[0]
    present = np.where(rows == 0, np.nan, rows)[:, inside > 0]
    np.testing.assert_allclose(effect[inside > 0], np.nanmean(present, axis=0), rtol=1e-6)


def test_bits_do_not_depend_on_threads_or_on_the_form_of_the_input(tmp_path: Path) -> None:
    rows = _maps(12, "f8")
    whole = tmp_path / "all.dscalar.nii"
    whole.write_bytes(cifti(xml(scalars(12)), rows, dtype="f8"))
    paths = [tmp_path / f"sub-{number:02d}.dscalar.nii" for number in range(12)]
    for path, row in zip(paths, rows, strict=True):
        path.write_bytes(cifti(None, row[np.newaxis], dtype="f8"))
    design = pd.DataFrame({"one": np.ones(12), "age": np.linspace(-1, 1, 12)})
    found = [
        SecondLevelModel(n_jobs=n_jobs).fit(given, design_matrix=design).compute_contrast("age")
        for given in (paths, whole, [nib.load(path) for path in paths])
        for n_jobs in (1, 3)
    ]
    for image in found[1:]:
        np.testing.assert_array_equal(image.dataobj, found[0].dataobj)
