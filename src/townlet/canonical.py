"""One form for bytes that are hashed: canonical JSON, digests, lines of a hash chain, and safetensors files."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GENESIS", "canonical_json", "check_line", "digest_of", "read_tensors", "seal_line", "write_tensors"]

GENESIS = "0" * 64
"""Stands for the hash before the first line of a chain."""
_HEADER_LIMIT = 2**24
"""Bytes of a safetensors header that are read."""


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys, no spaces and no NaN; ValueError for what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, in hexadecimal."""
    return sha256(canonical_json(value)).hexdigest()


def seal_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of a hash chain with its `hash`, the digest of all its other fields."""
    return {**line, "hash": digest_of(line)}


def check_line(line: Mapping[str, Any], *, seq: int, previous: str) -> None:
    """Raise ValueError unless a line of a hash chain is number `seq`, follows `previous` and matches its `hash`."""
    if line["seq"] != seq:
        raise ValueError(f"the line says it is number {line['seq']}")
    if line["previous"] != previous:
        raise ValueError("it does not follow the line before it")
    if line["hash"] != digest_of({key: value for key, value in line.items() if key != "hash"}):
        raise ValueError("its hash does not match its content")


def write_tensors(tensors: Mapping[str, NDArray[Any]], key: str, metadata: Any) -> bytes:
    """Return a safetensors file with canonical metadata under one key; equal content gives equal bytes.

    Arrays are written in C order; safetensors orders several metadata keys at random, so there is only one.
    """
    from safetensors.numpy import save

    # ascontiguousarray would make an array of one out of a number
    return save({k: np.asarray(v, order="C") for k, v in tensors.items()}, {key: canonical_json(metadata).decode()})


def read_tensors(data: bytes, key: str) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the metadata under `key` and the arrays of a safetensors file; ValueError for anything unfit.

    Names, dtypes, shapes and values are unchecked: they are the reader's to check.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8 or size > _HEADER_LIMIT:
        raise ValueError("not a safetensors file (its header does not fit in it)")
    try:
        text = json.loads(data[8 : 8 + size])["__metadata__"][key]
        metadata = json.loads(text)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a file of this kind (no {key!r} entry in its metadata)") from error
    try:
        return metadata, load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a safetensors file ({error})") from error
