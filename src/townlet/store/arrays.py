"""Read and write NPZ files; they are untrusted: headers are checked before data is used, nothing is unpickled."""

import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.errors import BadInputError

__all__ = ["MAX_BYTES", "read_arrays", "write_arrays"]

MAX_BYTES = 512 * 2**20
"""Largest size of all arrays of a file together; a compressed file may declare any size."""
_MAX_ARRAYS = 64
_MAX_HEADER = 10_000
"""Largest size of an NPY header, bytes."""


def read_arrays(data: bytes, path: Path) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of an NPZ file, read from `path`, by name; BadInputError naming file and array if invalid."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_ARRAYS or sum(member.file_size for member in members) > MAX_BYTES:
                raise BadInputError(
                    f"{path}: more than {_MAX_ARRAYS} arrays or {MAX_BYTES >> 20} MiB; split the sample"
                )
            names = [member.filename.removesuffix(".npy") for member in members]
            if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
                raise BadInputError(f"{path}: compressed by another method than NPZ files are; save it with numpy")
            duplicate = next((name for name in names if names.count(name) > 1), None)
            if duplicate is not None:
                raise BadInputError(f"{path}: array {duplicate!r} stands there twice")
            return {
                name: _array(archive.read(member), f"{path}: array {name!r}")
                for name, member in zip(names, members, strict=True)
            }
    except (OSError, zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, EOFError) as error:
        raise BadInputError(f"{path}: not an NPZ file ({error})") from error


def _array(data: bytes, where: str) -> NDArray[Any]:
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_MAX_HEADER)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file, max_header_size=_MAX_HEADER)
        else:
            raise BadInputError(f"{where}: NPY version {version}; expected 1.0 or 2.0")
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise BadInputError(f"{where}: no readable header ({type(error).__name__})") from error
    if dtype.hasobject or dtype.kind not in "biuf":
        raise BadInputError(f"{where}: holds {dtype}; expected plain numbers or booleans (objects are never unpickled)")
    size, expected = len(data) - file.tell(), prod(shape) * dtype.itemsize
    if any(length < 0 for length in shape) or size != expected:
        raise BadInputError(f"{where}: {size} bytes for shape {shape} of {dtype}; expected {expected}")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def write_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an uncompressed NPZ file; equal arrays give equal bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            plain = np.ascontiguousarray(array).reshape(array.shape)
            np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(plain))
            member.write(plain.tobytes())
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return file.getvalue()
