# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in GIFTI files, whose values are read one array at a time: `read_gifti`.

The format is that of the GIFTI Surface Data Format, version 1.0
(https://www.nitrc.org/projects/gifti). What a file declares is checked before it is used: no
entity is expanded, nothing is fetched, and no more is inflated than the array has values.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import math
import os
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

import numpy as np

from groupglm.errors import ImageError, in_quotes
from groupglm.runtime.regular_files import check_file
from groupglm.spaces.surface.reading.byte_order import refuse_swapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["GiftiArray", "GiftiFile", "read_gifti", "read_values"]

_TYPES = {
    "UINT8": "u1", "INT8": "i1", "INT16": "i2", "UINT16": "u2", "INT32": "i4", "UINT32": "u4",
    "INT64": "i8", "UINT64": "u8", "FLOAT32": "f4", "FLOAT64": "f8",
}  # fmt: skip
_ENDIANS = {"LittleEndian": "<", "BigEndian": ">"}
_ENCODINGS = ("ASCII", "Base64Binary", "GZipBase64Binary", "ExternalFileBinary")
_TEXT_A_VALUE = 64
"""Characters that a value may take in a file: written as a number, with room around it."""
_MOST_TEXT = 2**16
"""Characters of one fact of a file that are kept; names of maps take some dozens."""


@dataclass(frozen=True)
class GiftiArray:
    """One array of a file, as the file declares it.

    Parameters
    ----------
    intent : str
        What its values are, such as ``NIFTI_INTENT_TTEST``.
    dtype : numpy.dtype
        The type of its values, in the byte order of the file.
    shape : tuple of int
        Its dimensions; the first one counts vertices.
    encoding : str
        How the values are written.
    external : str
        The file beside it that holds the values, or empty.
    offset : int
        Where they begin in that file.
    facts : mapping of str to str
        Its metadata.
    by_columns : bool, default=False
        Whether the first index varies fastest in the file, as SPM writes meshes.
    """

    intent: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    encoding: str
    external: str
    offset: int
    facts: Mapping[str, str]
    by_columns: bool = False

    @property
    def n_bytes(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class GiftiFile:
    """What a file declares: its metadata, its arrays without their values, the names of labels."""

    path: str
    facts: Mapping[str, str]
    arrays: tuple[GiftiArray, ...]
    labels: Mapping[int, str] = field(default_factory=dict)

    @property
    def external_files(self) -> tuple[str, ...]:
        """The paths of the files beside it that hold values."""
        names = dict.fromkeys(array.external for array in self.arrays if array.external)
        return tuple(_beside(self.path, name) for name in names)


def read_gifti(path: str) -> GiftiFile:
    """Read what a file declares, and look at the files beside it; no values are read.

    Raises
    ------
    groupglm.errors.ImageError
        If it is no GIFTI file, is damaged, or declares what cannot be read.
    """
    check_file(path, f"{path}:", ImageError)
    reader = _Reader(path)
    reader.parse()
    if not reader.arrays:
        raise ImageError(f"{path}: has no array of values; check how it was made")
    found = GiftiFile(path, reader.facts, tuple(reader.arrays), reader.labels)
    for array in found.arrays:
        if array.encoding == "ExternalFileBinary":
            _check_external(path, array)
    return found


def read_values(path: str, number: int, declared: GiftiArray) -> NDArray[Any]:
    """Return the values of an array of a file that `read_gifti` has read, in its shape.

    Raises
    ------
    groupglm.errors.ImageError
        If they are damaged, or the file has changed.
    """
    if declared.encoding == "ExternalFileBinary":
        values = _external_values(path, declared)
    else:
        reader = _Reader(path, wanted=number)
        reader.parse()
        if number >= len(reader.arrays) or reader.arrays[number] != declared:
            raise ImageError(f"{path}: was changed after it was opened; fit again")
        values = _decoded(path, declared, "".join(reader.text))
    refuse_swapped(path, values, declared.dtype)
    shaped = values.reshape(declared.shape, order="F" if declared.by_columns else "C")
    return shaped.astype(declared.dtype.newbyteorder("="), copy=False)


class _Done(Exception):  # noqa: N818 - no error: what was wanted has been read
    """The rest of a file is not needed."""


class _Reader:
    """Reads the elements of a file; keeps the text of one array's values, if one is wanted."""

    def __init__(self, path: str, wanted: int | None = None) -> None:
        self.path, self.wanted = path, wanted
        self.facts: dict[str, str] = {}
        self.arrays: list[GiftiArray] = []
        self.text: list[str] = []
        self.labels: dict[int, str] = {}
        self._key: int | None = None
        self._open: list[str] = []
        self._attributes: dict[str, str] = {}
        self._own_facts: dict[str, str] = {}
        self._name, self._value = "", ""
        self._room = 0
        # The encoding that the text declares is not used, because Python would look for its codec.
        parser = self._parser = expat.ParserCreate(encoding="UTF-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._refuse_entity

    def parse(self) -> None:
        """Parse the file to its end, or to the end of the wanted values."""
        open_file: Any = gzip.open if self.path.lower().endswith(".gz") else open
        try:
            with open_file(self.path, "rb") as file:
                self._parser.ParseFile(file)
        except _Done:
            return
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ImageError(
                f"{self.path}: cannot be inflated ({error}); it is cut off or damaged, copy it "
                "again from its source"
            ) from error
        except ImageError:
            raise
        except (expat.ExpatError, LookupError, ValueError) as error:  # also of an unknown encoding
            raise ImageError(
                f"{self.path}: is no GIFTI file, or a damaged one ({error}); copy it again from "
                "its source"
            ) from error
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise ImageError(
            f"{self.path}: declares the entity {in_quotes(name)}, which no GIFTI file needs and "
            "which could fill the memory; nothing of it is read"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag != "GIFTI":
            raise ImageError(
                f"{self.path}: is an XML file of {in_quotes(tag)}, not a GIFTI file; give a "
                ".func.gii or .shape.gii file"
            )
        self._open.append(tag)
        if tag == "DataArray":
            self._attributes, self._own_facts = attributes, {}
        elif tag == "MD":
            self._name = self._value = ""
        elif tag == "Label":
            self._key, self._value = _key(self.path, attributes), ""
        elif tag == "Data" and self.wanted != len(self.arrays):
            self._parser.CharacterDataHandler = None  # the text of other arrays costs nothing
        elif tag == "Data":
            shape = _array(self.path, self._attributes, {}).shape
            self._room = _MOST_TEXT + _TEXT_A_VALUE * math.prod(shape)

    def _characters(self, text: str) -> None:
        tag = self._open[-1] if self._open else ""
        if tag == "Data":
            self.text.append(text)
            self._room -= len(text)
            if self._room < 0:  # a file that is packed as a whole may hold any amount
                raise ImageError(
                    f"{self.path}: the text of an array is longer than its values can be; copy it "
                    "again from its source"
                )
        elif tag == "Name":
            self._name = (self._name + text)[:_MOST_TEXT]
        elif tag in ("Value", "Label"):
            self._value = (self._value + text)[:_MOST_TEXT]

    def _end(self, tag: str) -> None:
        self._open.pop()
        if tag == "MD":
            facts = self._own_facts if "DataArray" in self._open else self.facts
            facts[self._name.strip()] = self._value.strip()
        elif tag == "Label" and self._key is not None:
            self.labels[self._key] = self._value.strip()
        elif tag == "Data":
            self._parser.CharacterDataHandler = self._characters
        elif tag == "DataArray":
            self.arrays.append(_array(self.path, self._attributes, self._own_facts))
            if self.wanted is not None and len(self.arrays) > self.wanted:
                raise _Done


def _array(path: str, given: Mapping[str, str], facts: Mapping[str, str]) -> GiftiArray:
    """Make an array of its attributes; refuse values that cannot be read."""
    kind = given.get("DataType", "").removeprefix("NIFTI_TYPE_")
    if kind not in _TYPES:
        raise ImageError(
            f"{path}: its values are of type {in_quotes(given.get('DataType', ''))}, which are not "
            "real numbers; convert it to NIFTI_TYPE_FLOAT32"
        )
    encoding = given.get("Encoding", "")
    if encoding not in _ENCODINGS:
        raise ImageError(
            f"{path}: its values have the encoding {in_quotes(encoding)}, which GIFTI does not "
            f"have; it has {', '.join(_ENCODINGS)}"
        )
    endian = given.get("Endian", "")
    if endian not in _ENDIANS and encoding != "ASCII":
        raise ImageError(
            f"{path}: its byte order is {in_quotes(endian)}, neither LittleEndian nor BigEndian"
        )
    n_axes = _whole(path, given, "Dimensionality")
    if not 1 <= n_axes <= 6:
        raise ImageError(f"{path}: an array has {n_axes} dimensions; values have one")
    shape = tuple(_whole(path, given, f"Dim{axis}") for axis in range(n_axes))
    if math.prod(shape) > 2**31:
        raise ImageError(f"{path}: an array has the dimensions {shape}, more than a file holds")
    return GiftiArray(
        given.get("Intent", ""),
        np.dtype(_ENDIANS.get(endian, "=") + _TYPES[kind]),
        shape,
        encoding,
        given.get("ExternalFileName", "") if encoding == "ExternalFileBinary" else "",
        _whole(path, given, "ExternalFileOffset", 0) if encoding == "ExternalFileBinary" else 0,
        dict(facts),
        given.get("ArrayIndexingOrder") == "ColumnMajorOrder",
    )


def _key(path: str, given: Mapping[str, str]) -> int:
    """Return the number that a label names; old files call it an index."""
    text = given.get("Key", given.get("Index", "")).strip()
    if not (text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 11):
        raise ImageError(f"{path}: a label has the Key {in_quotes(text)}, not a whole number")
    return int(text)


def _whole(path: str, given: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = given.get(name, "").strip()
    if not text and default is not None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ImageError(f"{path}: its {name} is {in_quotes(text)}, not a whole number")
    return int(text)


def _beside(path: str, name: str) -> str:
    return os.path.join(os.path.dirname(path), name)  # noqa: PTH118, PTH120


def _check_external(path: str, array: GiftiArray) -> None:
    """Refuse a file of values that is elsewhere, absent or too short."""
    name = array.external
    if not name or "\0" in name:
        raise ImageError(f"{path}: names no file of values, but says that they are in one")
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
        raise ImageError(
            f"{path}: its values are said to be in {in_quotes(name)}, outside its folder; a file "
            "may name only files beside it: copy that one there, and name it so"
        )
    file = _beside(path, name)
    if not os.path.lexists(file):
        raise ImageError(
            f"{path}: the file of its values, {in_quotes(file)}, is absent; copy it there too"
        )
    check_file(file, f"{file}:", ImageError)
    size = os.path.getsize(file)  # noqa: PTH202
    if size < array.offset + array.n_bytes:
        raise ImageError(
            f"{path}: the file of its values, {in_quotes(file)}, has {size} bytes, but "
            f"{array.shape[0]} values of {array.dtype.itemsize} bytes from byte {array.offset} on "
            f"need {array.offset + array.n_bytes}; copy it again from its source"
        )


def _external_values(path: str, array: GiftiArray) -> NDArray[Any]:
    file, count = _beside(path, array.external), math.prod(array.shape)
    try:
        # Not a memory map: if another program shortens the file, the process would be killed.
        values: NDArray[Any] = np.fromfile(file, array.dtype, count, offset=array.offset)
    except OSError as error:
        raise ImageError(f"{path}: {file} cannot be read: {error.strerror or error}") from error
    if len(values) < count:
        raise ImageError(
            f"{path}: {in_quotes(file)} was shortened after it was opened: {len(values)} of "
            f"{count} values are left; do not write to images while they are read"
        )
    return values


def _decoded(path: str, array: GiftiArray, text: str) -> NDArray[Any]:
    """Return the values that a text encodes, shape (n_values,)."""
    if array.encoding == "ASCII":
        return _of_numbers(path, array, text)
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(
            f"{path}: its values are damaged: their text is no base64 ({error}); copy it again "
            "from its source"
        ) from error
    if array.encoding == "GZipBase64Binary":
        data = _inflated(path, data, array.n_bytes)
    if len(data) != array.n_bytes:
        raise ImageError(
            f"{path}: its values have {len(data)} bytes, but its dimensions {array.shape} need "
            f"{array.n_bytes}; copy it again from its source"
        )
    return np.frombuffer(data, array.dtype)


def _inflated(path: str, data: bytes, n_bytes: int) -> bytes:
    """Inflate values, and no more than are declared."""
    inflater = zlib.decompressobj(wbits=47)  # of zlib, which nearly all write, or of gzip
    try:
        found = inflater.decompress(data, n_bytes + 1)
    except zlib.error as error:
        raise ImageError(
            f"{path}: its values are damaged: they cannot be inflated ({error}); copy it again "
            "from its source"
        ) from error
    if len(found) <= n_bytes and not inflater.eof:
        raise ImageError(
            f"{path}: its values are cut off: {len(found)} of {n_bytes} bytes are there; copy it "
            "again from its source"
        )
    return found


def _of_numbers(path: str, array: GiftiArray, text: str) -> NDArray[Any]:
    words = text.split()
    if len(words) != math.prod(array.shape):
        raise ImageError(
            f"{path}: it holds {len(words)} numbers, but its dimensions {array.shape} need "
            f"{math.prod(array.shape)}; copy it again from its source"
        )
    try:
        return np.array(words, np.float64).astype(array.dtype)
    except (ValueError, OverflowError) as error:
        raise ImageError(f"{path}: its values are no numbers ({error})") from error
