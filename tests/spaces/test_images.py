# SPDX-License-Identifier: BSD-3-Clause
"""Images are opened from their headers and read exactly, whatever stores them."""

import gzip
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Literal

import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.volume import SAME_PLACE_MM, Grid, VolumeSource, open_image, open_images
from groupglm.spaces.volume.reading.inflate import CompressedSeries, CompressedStream
from groupglm.spaces.volume.reading.layout import Compression, Layout

nib: Any = nibabel  # typed only in part

SHAPE = (5, 6, 7)
AFFINE = np.array([[-2.0, 0.1, 0, 90], [0, 2.5, 0, -126], [0.2, 0, 3, -72], [0, 0, 0, 1]])


def values(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(scale=50, size=shape)


def image(seed: int = 0, dtype: str = "f4", shape: tuple[int, ...] = SHAPE) -> Any:
    return nib.Nifti1Image(values(seed, shape).astype(dtype), AFFINE)


def row(
    source: VolumeSource, indices: NDArray[np.intp] | None = None, dtype: Any = None
) -> NDArray[Any]:
    """Read a source into a row poisoned beforehand, so that an unfilled entry shows."""
    n_values = source.grid.n_voxels if indices is None else len(indices)
    out = np.full(n_values, -12345.0, dtype or source.dtype)
    source.read_into(out, indices)
    return out


def by_nibabel(path: Path) -> NDArray[np.float64]:
    """The values as nibabel gives them, in float64, first axis fastest."""
    loaded = nib.load(path)
    values: NDArray[np.float64] = np.asanyarray(loaded.dataobj).astype(np.float64)
    return values.ravel(order="F")


def assert_reads_like_nibabel(path: Path) -> None:
    source = open_image(path)
    expected = by_nibabel(path)
    np.testing.assert_array_equal(row(source).astype(np.float64), expected)
    np.testing.assert_array_equal(row(source, dtype=np.float64), expected)
    picked = np.arange(3, expected.size, 4)
    np.testing.assert_array_equal(row(source, picked).astype(np.float64), expected[picked])
    np.testing.assert_array_equal(source.grid.affine, nib.load(path).affine)


FORMATS = {
    "single.nii": nib.Nifti1Image,
    "single.nii.gz": nib.Nifti1Image,
    "UPPER.NII.GZ": nib.Nifti1Image,
    "single2.nii": nib.Nifti2Image,
    "single2.nii.gz": nib.Nifti2Image,
    "pair.img": nib.Nifti1Pair,
    "pair.img.gz": nib.Nifti1Pair,
    "pair2.img": nib.Nifti2Pair,
    "pair2.img.gz": nib.Nifti2Pair,
    "analyze.img": nib.AnalyzeImage,
    "spm99.img": nib.Spm99AnalyzeImage,
    "spm2.img": nib.Spm2AnalyzeImage,
    "spm2.img.gz": nib.Spm2AnalyzeImage,
    "other.mgh": nib.MGHImage,
    "other.mgz": nib.MGHImage,
    "bzip.nii.bz2": nib.Nifti1Image,
}


@pytest.mark.filterwarnings("ignore:unclosed file .*other.mg:ResourceWarning")  # nibabel's own
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_like_nibabel(tmp_path: Path, name: str, dtype: str) -> None:
    data = (np.abs(values()) % 120).astype(dtype)
    path = tmp_path / name
    nib.save(FORMATS[name](data, AFFINE), path)
    assert_reads_like_nibabel(path)


@pytest.mark.parametrize("name", ["pair.img", "pair.img.gz", "spm2.img"])
def test_a_pair_is_found_by_its_header(tmp_path: Path, name: str) -> None:
    nib.save(FORMATS[name](values().astype("f4"), AFFINE), tmp_path / name)
    assert_reads_like_nibabel(tmp_path / name.replace(".img", ".hdr"))


def test_a_gzip_file_is_known_by_its_content(tmp_path: Path) -> None:
    nib.save(image(), tmp_path / "a.nii.gz")
    shutil.move(tmp_path / "a.nii.gz", tmp_path / "a.nii")
    np.testing.assert_array_equal(row(open_image(tmp_path / "a.nii")), row(open_image(image())))


def test_values_that_begin_like_gzip_are_not_inflated(tmp_path: Path) -> None:
    data = np.frombuffer(b"\x1f\x8b" * 210, "<i2").reshape(SHAPE)
    nib.save(nib.Nifti1Pair(data, AFFINE), tmp_path / "a.img")
    assert (tmp_path / "a.img").read_bytes()[:2] == b"\x1f\x8b"
    assert_reads_like_nibabel(tmp_path / "a.img")


DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


@settings(max_examples=150, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("<>"),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    slope=st.sampled_from([1.0, 0.0, 0.37, -3.0, 1e-6, float("nan")]),
    inter=st.sampled_from([0.0, -7.25, 1e4]),
    name=st.sampled_from(["a.nii", "a.nii.gz", "a.img", "a.img.gz"]),
    gap=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_type_order_scale_and_offset(
    dtype: str,
    order: str,
    shape: tuple[int, ...],
    slope: float,
    inter: float,
    name: str,
    gap: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    stored = np.frombuffer(
        rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), order + dtype
    ).reshape(shape, order="F")
    if dtype[0] == "f":  # random bytes would be NaN or huge now and then
        stored = rng.normal(size=shape).astype(order + dtype)
    single = ".nii" in name
    header = (nib.nifti1.Nifti1Header if single else nib.nifti1.Nifti1PairHeader)(endianness=order)
    header.set_data_dtype(np.dtype(order + dtype))
    header.set_data_shape(shape)
    header.set_sform(AFFINE, 1)
    offset = (352 if single else 0) + 16 * gap
    header["vox_offset"] = offset
    header["scl_slope"], header["scl_inter"] = slope, inter
    body = stored.tobytes(order="F")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if single:
            files = {path: header.binaryblock.ljust(offset, b"\0") + body}
        else:
            files = {
                path: b"\0" * offset + body,
                path.with_name(name.replace("img", "hdr")): header.binaryblock,
            }
        for file, content in files.items():
            file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        assert_reads_like_nibabel(path)
        unscaled = slope in {0.0, 1.0} or np.isnan(slope)
        no_inter = inter == 0 or slope == 0 or np.isnan(slope)
        narrow = dtype in {"u1", "i1", "u2", "i2", "f4"} and unscaled and no_inter
        assert open_image(path).dtype == (np.float32 if narrow else np.float64)


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "i2", "f2", "f4", ">f4", "i4", "i8", "f8", "longdouble"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_images_in_memory(dtype: str, order: Literal["C", "F"]) -> None:
    data = np.asarray(np.abs(values()) % 2, dtype=dtype, order=order)
    source = open_image(nib.spatialimages.SpatialImage(data, AFFINE))
    np.testing.assert_array_equal(row(source), data.ravel(order="F").astype(source.dtype))
    narrow = dtype in {"bool", "u1", "i2", "f2", "f4", ">f4"}
    assert source.dtype == (np.float32 if narrow else np.float64)


def test_reading_an_image_in_memory_keeps_no_copy(tmp_path: Path) -> None:
    nib.save(image(), tmp_path / "a.nii.gz")
    loaded = nib.load(tmp_path / "a.nii.gz")
    row(open_image(loaded))
    assert not loaded.in_memory


def test_an_edited_affine_of_a_loaded_image_counts(tmp_path: Path) -> None:
    nib.save(image(), tmp_path / "a.nii.gz")
    loaded = nib.load(tmp_path / "a.nii.gz")
    moved = AFFINE + np.array([[0, 0, 0, 5]] + [[0] * 4] * 3)
    edited = nib.Nifti1Image(loaded.dataobj, moved)
    np.testing.assert_array_equal(open_image(edited).grid.affine, moved)


@pytest.mark.parametrize("shape", [(*SHAPE, 1), (*SHAPE, 1, 1)])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", None])
def test_trailing_axes_of_length_one(
    tmp_path: Path, shape: tuple[int, ...], name: str | None
) -> None:
    made = image(shape=shape)
    if name:
        nib.save(made, tmp_path / name)
    source = open_image(tmp_path / name if name else made)
    assert source.grid.shape == SHAPE
    np.testing.assert_array_equal(row(source), values().astype("f4").ravel(order="F"))


@pytest.mark.parametrize("shape", [(*SHAPE, 4), (*SHAPE, 4, 1)])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img.gz", "a.nii.bz2", None])
def test_a_four_dimensional_image_is_its_volumes(
    tmp_path: Path, shape: tuple[int, ...], name: str | None
) -> None:
    made = image(shape=shape, dtype="f8")
    if name:
        nib.save(made, tmp_path / name)
    sources = open_images(tmp_path / name if name else made)
    assert len(sources) == 4
    for volume, source in enumerate(sources):
        expected = values(shape=shape).reshape(*SHAPE, 4)[..., volume].ravel(order="F")
        np.testing.assert_array_equal(row(source), expected)
        assert source.name.endswith(f", volume {volume + 1}")


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1, 1], [3, 3, 0]])
@pytest.mark.parametrize("max_kept", [0, 1, 16])
def test_volumes_of_a_gzip_file_in_any_order(
    tmp_path: Path, order: list[int], max_kept: int
) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"head" + bytes(range(40))))
    layout = Layout(
        path=str(path),
        compression="gzip",
        offset=4,
        dtype=np.dtype("u1"),
        shape=(5, 2, 1, 4),
        slope=1.0,
        inter=0.0,
        affine=np.eye(4),
        name="a.gz",
    )
    series = CompressedSeries(layout, "gzip", max_kept)
    for volume in order:
        assert series.volume(volume) == bytes(range(10 * volume, 10 * volume + 10))


def test_threads_share_one_pass_over_a_gzip_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_volumes = 60
    data = values(shape=(*SHAPE, n_volumes)).astype("f4")
    nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / "a.nii.gz")
    sources = open_images(tmp_path / "a.nii.gz")
    passes = []

    def started(raw: BinaryIO, name: str, compression: Compression) -> CompressedStream:
        passes.append(name)
        return CompressedStream(raw, name, compression)

    monkeypatch.setattr("groupglm.spaces.volume.reading.inflate.CompressedStream", started)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(row, sources))
    np.testing.assert_array_equal(rows, data.reshape(-1, n_volumes, order="F").T)
    assert len(passes) == 1


def test_sources_travel_to_another_process(tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz"):
        made = image(shape=(*SHAPE, 3))
        nib.save(made, tmp_path / name)
        sources = open_images(tmp_path / name)
        first = row(sources[0])
        copies = pickle.loads(pickle.dumps(sources))  # noqa: S301
        np.testing.assert_array_equal(row(copies[0]), first)
        np.testing.assert_array_equal(row(copies[2]), row(sources[2]))


@pytest.mark.parametrize("kind", [list, tuple, pd.Series, lambda x: np.array(x, dtype=object)])
@pytest.mark.parametrize("as_type", [str, Path, nib.load])
def test_kinds_of_input(
    tmp_path: Path, kind: Callable[[list[Any]], Any], as_type: Callable[[Path], Any]
) -> None:
    for seed in range(3):
        nib.save(image(seed), tmp_path / f"{seed}.nii.gz")
    paths = [as_type(tmp_path / f"{seed}.nii.gz") for seed in range(3)]
    sources = open_images(kind(paths))
    for seed, source in enumerate(sources):
        np.testing.assert_array_equal(row(source), values(seed).astype("f4").ravel(order="F"))
        assert source.name == str(tmp_path / f"{seed}.nii.gz")


@pytest.mark.parametrize("wrong", [None, 3, {"a": 1}, np.zeros((2, 2)), iter(["a"])])
def test_an_input_of_the_wrong_type(wrong: object) -> None:
    with pytest.raises(TypeError, match="'second_level_input' must be either a list of images"):
        open_images(wrong)


def test_an_item_of_the_wrong_type() -> None:
    with pytest.raises(TypeError, match=r"item 2 of second_level_input .* is a int"):
        open_images([image(), 3])
    with pytest.raises(TypeError, match=r"mixes file names .* item 3 a str; give one kind"):
        open_images([image(), image(), "a.nii"])
    with pytest.raises(TypeError, match=r"mask_img must be a file name .* is a float"):
        open_image(1.0, name="mask_img")


@pytest.mark.parametrize("few", [[], [image()], image(), image(shape=(*SHAPE, 1))])
def test_fewer_than_two_images(few: object) -> None:
    with pytest.raises(ValueError, match="at least two"):
        open_images(few)


def test_a_list_item_of_several_volumes(tmp_path: Path) -> None:
    nib.save(image(), tmp_path / "a.nii")
    nib.save(image(shape=(*SHAPE, 2)), tmp_path / "b.nii")
    with pytest.raises(ImageError, match=r"b\.nii: holds 2 volumes.*single volume.*item 2"):
        open_images([tmp_path / "a.nii", tmp_path / "b.nii"])
    with pytest.raises(ImageError, match=r"^image 2 in memory: holds 2 volumes"):
        open_images([image(), image(shape=(*SHAPE, 2))])


def test_images_on_different_grids_are_refused(tmp_path: Path) -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 2
    for name, affine, shape in [
        ("a", AFFINE, SHAPE),
        ("b", moved, SHAPE),
        ("c", AFFINE, (5, 6, 8)),
    ]:
        nib.save(nib.Nifti1Image(np.ones(shape, "f4"), affine), tmp_path / f"{name}.nii")
    a, b, c = (tmp_path / f"{name}.nii" for name in "abc")
    with pytest.raises(GridMismatchError, match=r"b\.nii: image 3 .* up to 2 mm; resample it"):
        open_images([a, a, b])
    with pytest.raises(GridMismatchError, match=r"c\.nii: image 2 .*\(5, 6, 8\), not \(5, 6, 7\)"):
        open_images([a, c])


@settings(deadline=None)
@given(offset=st.floats(-5, 5), axis=st.integers(0, 2), column=st.integers(0, 3))
def test_displacement_is_the_largest_over_all_voxels(offset: float, axis: int, column: int) -> None:
    other = AFFINE.copy()
    other[axis, column] += offset
    assume(abs(np.linalg.det(other)) > 1e-3)  # a singular affine is refused
    one, two = Grid(SHAPE, AFFINE), Grid(SHAPE, other)
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    apart = nib.affines.apply_affine(AFFINE, voxels) - nib.affines.apply_affine(other, voxels)
    largest = np.linalg.norm(apart, axis=-1).max()
    # Coordinates of about 100 mm carry rounding of 100 * 2**-53, a few times.
    assert one.displacement(two) == pytest.approx(largest, abs=1e-12)
    assert (one.difference(two) is None) == (one.displacement(two) <= SAME_PLACE_MM)


def test_rounding_of_an_affine_to_float32_is_no_difference() -> None:
    turned = AFFINE.copy()
    turned[:3, :3] = np.linalg.qr(values(shape=(3, 3)))[0] * 2
    big = (256, 256, 256)
    rounded = turned.astype("f4")
    assert Grid(big, turned).displacement(Grid(big, rounded)) > 0
    assert Grid(big, turned).difference(Grid(big, rounded)) is None


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 3), np.eye(4), "three positive dimensions"),
        ((2, 3, 0), np.eye(4), "three positive dimensions"),
        ((2, 3, 4), np.eye(3), "must be 4 x 4"),
        ((2, 3, 4), np.full((4, 4), np.nan), "NaN or infinity"),
    ],
)
def test_a_grid_checks_itself(shape: Any, affine: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grid(shape, affine)


def test_reading_needs_no_oracle() -> None:
    code = (
        "import sys, groupglm.spaces.volume.space, groupglm.spaces.volume.background;"
        "sys.exit(any(name in sys.modules for name in ('nilearn', 'pandas', 'sklearn')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)  # noqa: S603
    assert done.returncode == 0
