# SPDX-License-Identifier: BSD-3-Clause
# mypy: disable-error-code="no-untyped-call"
"""Saved models and permutation states, read back when damaged."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, permuted_ols
from groupglm.inference.permutation.resuming import ResumeError, load_state
from groupglm.runtime.array_archives import ArchiveError, array_of, open_archive
from reference.damaging import damaged_copies, npy

RNG = np.random.default_rng(1)
X = np.column_stack([RNG.normal(size=14), np.ones(14)])
Y = RNG.normal(size=(14, 30))
SAME: Any = {"tested_vars": X[:, :1], "target_vars": Y, "model_intercept": True, "random_state": 3}


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _state(path: Path, n_perm: int = 40) -> Path:
    permuted_ols(n_perm=n_perm, resume=path, **SAME)
    return path


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.asfortranarray(np.arange(24, dtype=">i2").reshape(2, 3, 4)),
        np.array("text"),
        np.zeros((0, 3)),
        np.array(True),
    ],
)
def test_what_numpy_wrote_is_read_as_numpy_reads_it(array: Any) -> None:
    found = array_of(npy(array))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.flags.c_contiguous


def _header(shape: str, dtype: str = "'<f8'", order: str = "False") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_header("(-1,)") + bytes(80), "negative length"),
        (_header("(-2, -5)") + bytes(80), "negative length"),
        (_header("(9, 10)") + bytes(80), "bytes, not those of shape"),
        (_header("(9,)") + bytes(80), "bytes, not those of shape"),
        (_header("(2305843009213693952, 8)"), "bytes, not those of shape"),
        (_header("(10,)", "'|O'") + bytes(80), "not an array of numbers or text"),
        (_header("(10,)", "'<U0'") + bytes(80), "not an array of numbers or text"),
        (_header("(10,)", "'zz'") + bytes(80), "not an array"),
        (_header("(" * 90) + bytes(80), "not an array"),
        (_header("__import__('os').getpid()") + bytes(80), "not an array"),
        (npy(np.array([print], object), pickled=True), "not an array of numbers or text"),
        (_header("(10,)").replace(b"\x01\x00", b"\x02\x00", 1) + bytes(80), "of version 1.0"),
        (_header("()", "'<U1'") + b"\xff\xff\xff\xff", "characters that do not exist"),
        (b"\x93NUM", "not an array"),
        (b"", "not an array"),
    ],
)
def test_a_header_that_lies_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        array_of(data)


def _overlapping(n: int, size: int) -> bytes:
    """Make an archive of many members, all of them the same bytes of the file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a0000.npy", bytes(size))
    data = buffer.getvalue()
    end = data.rindex(b"PK\x05\x06")
    start = data.rindex(b"PK\x01\x02", 0, end)
    entry, tail = data[start:end], bytearray(data[end:])
    entries = b"".join(entry.replace(b"a0000", b"a%04d" % i) for i in range(n))
    struct.pack_into("<HHII", tail, 8, n, n, len(entries), start)
    return data[:start] + entries + bytes(tail)


def _read_all(path: Path) -> list[bytes]:
    with open_archive(path) as members:
        return [members.read(name) for name in members.names]


def test_members_that_overlap_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """A file of a megabyte or so would give 2 GB."""
    path = tmp_path / "a.npz"
    path.write_bytes(_overlapping(2000, 2**20))
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="they overlap"):
        _read_all(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20
    with pytest.raises(ValueError, match=r"a\.npz' is not a saved model.*they overlap"):
        SecondLevelModel.load(path)
    with pytest.raises(ResumeError, match=r"a\.npz: this is not the state.*they overlap"):
        load_state(path)


def test_a_name_of_a_member_that_is_no_text(tmp_path: Path) -> None:
    path = _state(tmp_path / "a.npz")
    data = path.read_bytes()
    place = data.rindex(b"PK\x01\x02")
    entry = bytearray(data[place:])
    entry[9] |= 8  # the flag of UTF-8
    entry[46] = 0xC1
    path.write_bytes(data[:place] + entry)
    with pytest.raises(ResumeError, match=r"a\.npz: this is not the state .*no archive"):
        load_state(path)
    with pytest.raises(ValueError, match=r"a\.npz' is not a saved model"):
        SecondLevelModel.load(path)


Change = Callable[[dict[str, bytes]], Any]
DAMAGED: dict[str, tuple[Change, str]] = {
    "NaN": (lambda m: m.update({"null_t.npy": npy(np.full(40, np.nan))}), "t hold NaN"),
    "one NaN": (
        lambda m: m.update({"null_t.npy": npy(np.r_[np.ones(39), np.nan])}),
        "t hold NaN",
    ),
    "another length": (lambda m: m.update({"null_size.npy": npy(np.ones(39))}), "of t"),
    "another type": (lambda m: m.update({"null_t.npy": npy(np.ones(40, int))}), "int64 of 1 axes"),
    "another shape": (lambda m: m.update({"null_t.npy": npy(np.ones((40, 1)))}), "of 2 axes"),
    "a scalar": (lambda m: m.update({"null_t.npy": npy(np.float64(3))}), "of 0 axes"),
    "a negative shape": (
        lambda m: m.update({"null_t.npy": m["null_t.npy"].replace(b"(40,), }", b"(-1,), }")}),
        "negative length",
    ),
    "a foreign member": (lambda m: m.update({"more.npy": npy(np.ones(3))}), "holds more"),
    "no seed": (lambda m: m.pop("seed.npy"), "lacks seed"),
    "no test": (lambda m: m.pop("test.npy"), "lacks test"),
    "a seed that is none": (lambda m: m.update({"seed.npy": npy(np.array("x"))}), "its seed is"),
    "a negative seed": (lambda m: m.update({"seed.npy": npy(np.array("-3"))}), "its seed is"),
    "a long seed": (lambda m: m.update({"seed.npy": npy(np.array("9" * 5000))}), "its seed is"),
    "several seeds": (lambda m: m.update({"seed.npy": npy(np.array(["1", "2"]))}), "its seed is"),
    "a test of numbers": (lambda m: m.update({"test.npy": npy(np.ones((2, 3)))}), "no table"),
    "a test of three": (lambda m: m.update({"test.npy": npy(np.array([["a"]] * 3))}), "no table"),
    "exhaustive, a text": (
        lambda m: m.update({"exhaustive.npy": npy(np.array("no"))}),
        "neither true nor false",
    ),
    "a pickle": (
        lambda m: m.update({"seed.npy": npy(np.array([print], object), pickled=True)}),
        "not an array of numbers or text",
    ),
    "a later format": (lambda m: m.update({"format.npy": npy(np.array(99))}), "another version"),
    "a format of text": (lambda m: m.update({"format.npy": npy(np.array("x"))}), "its format is"),
    "no maxima of t": (
        lambda m: m.update({"null_F.npy": m.pop("null_t.npy")}),
        "holds the maxima of F, not of t",
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_no_p_value_comes_from_a_damaged_state(what: str, tmp_path: Path) -> None:
    path = _state(tmp_path / "null.npz")
    members = _members(path)
    change, message = DAMAGED[what]
    change(members)
    _write(path, members)
    before = path.read_bytes()
    with pytest.raises(ResumeError, match=message):
        permuted_ols(n_perm=60, resume=path, **SAME)
    assert path.read_bytes() == before  # a refusal leaves the file


def test_a_compressed_state_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = _state(tmp_path / "null.npz")
    members = {**_members(path), "null_t.npy": _header("(25000000,)") + bytes(200_000_000)}
    _write(path, members, zipfile.ZIP_DEFLATED)
    members.clear()
    tracemalloc.start()
    with pytest.raises(ResumeError, match=r"null\.npz: .*a member that is compressed"):
        load_state(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_a_state_stored_by_columns_goes_on_the_same(tmp_path: Path) -> None:
    """Its table of hashes has two axes: read in the wrong order, it would be of another test."""
    once = permuted_ols(n_perm=60, **SAME)
    path = _state(tmp_path / "null.npz")
    members = _members(path)
    table = np.asfortranarray(np.load(io.BytesIO(members["test.npy"])))
    _write(path, {**members, "test.npy": npy(table)})
    again = permuted_ols(n_perm=60, resume=path, **SAME)
    for name, values in once.items():
        np.testing.assert_array_equal(again[name], values)


def test_every_truncation_and_flipped_byte_of_a_state(tmp_path: Path) -> None:
    once = permuted_ols(n_perm=60, **SAME)
    good = _state(tmp_path / "null.npz").read_bytes()
    bad = tmp_path / "bad.npz"
    refused = 0
    for data in damaged_copies(good, 200):
        bad.write_bytes(data)
        try:
            state = load_state(bad)
        except ResumeError as error:
            assert "bad.npz" in str(error)  # noqa: PT017
            refused += 1
        else:  # a byte that means nothing, such as a date
            assert state.n_done == 40
            again = permuted_ols(n_perm=60, resume=bad, **SAME)
            for name, values in once.items():
                np.testing.assert_array_equal(again[name], values)
    assert refused > 120


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.normal(size=(4, 5, 3)), np.eye(4)) for _ in range(6)]
    design = pd.DataFrame({"age": rng.normal(size=6), "intercept": np.ones(6)})
    folder = tmp_path_factory.mktemp("model")
    return SecondLevelModel().fit(images, design_matrix=design).save(folder / "m.groupglm")


def _rewrite(
    model: Path, to: Path, change: Callable[[dict[str, Any], dict[str, bytes]], Any]
) -> Path:
    members = _members(model)
    facts = json.loads(members.pop("model.json"))
    change(facts, members)
    facts["checksums"] = {n: hashlib.sha256(d).hexdigest() for n, d in members.items()}
    _write(to, {"model.json": json.dumps(facts).encode(), **members})
    return to


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f, m: f["fits"][0]["space"].update(shape=[5000, 5000, 500]),
            "makes maps of 100000 MB",
        ),
        (lambda f, m: f["fits"][0]["space"].update(shape=[4, 5, -3]), "damaged"),
        (lambda f, m: f["fits"][0]["space"].update(shape=[4.5, 5, 3]), "damaged"),
        (
            lambda f, m: m.update({"0/rss.npy": _header("(-1,)") + m["0/rss.npy"][128:]}),
            "negative length",
        ),
    ],
)
def test_a_model_that_declares_too_much(
    change: Callable[[dict[str, Any], dict[str, bytes]], Any],
    message: str,
    model: Path,
    tmp_path: Path,
) -> None:
    file = _rewrite(model, tmp_path / "m.groupglm", change)
    with pytest.raises(ValueError, match=message) as refusal:
        SecondLevelModel.load(file)
    assert "m.groupglm" in str(refusal.value)


ODD: list[Any] = [None, True, -1, 10**30, 1.5, "x", [], [1], {}, {"a": 1}, [[]], "\x1b[31m", [None]]


def _places(facts: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(facts, dict):
        for key, value in facts.items():
            found += _places(value, (*path, key))
    elif isinstance(facts, list):
        for key, value in enumerate(facts[:2]):
            found += _places(value, (*path, key))
    return found


def test_facts_of_any_kind_are_refused_or_used(model: Path, tmp_path: Path) -> None:
    """Whatever stands at any place of model.json, the model is refused in words, or it works."""
    members = _members(model)
    facts = json.loads(members.pop("model.json"))
    places = [place for place in _places(facts) if place[0] not in ("checksums", "software")]
    for place in places:
        for odd in ODD:
            changed = json.loads(json.dumps(facts))
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = odd
            file = tmp_path / "m.groupglm"
            _write(file, {"model.json": json.dumps(changed).encode(), **members})
            try:
                loaded = SecondLevelModel.load(file)
            except ValueError as error:
                assert "m.groupglm" in str(error), (place, odd, error)  # noqa: PT017
                continue
            try:
                loaded.compute_contrast(loaded.design_matrix_.columns[0])
                repr(loaded)
            except Exception as error:
                raise AssertionError(f"{place} {odd!r} was taken: {error!r}") from error
