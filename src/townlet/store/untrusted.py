"""Read small JSON, YAML and text files that Townlet did not write, within bounds; errors name the file."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from townlet.errors import BadInputError
from townlet.store.files import read_bytes

__all__ = [
    "DOCUMENT_BYTES",
    "decode_text",
    "finite_numbers",
    "is_file",
    "parse_json",
    "read_document",
    "read_json",
    "read_regular",
]

DOCUMENT_BYTES = 16 * 2**20
"""Largest size of a JSON or YAML file that is read."""


def is_file(path: Path) -> bool:
    """Tell whether a regular file stands at a path; False for a path that is too long or may not be looked at."""
    try:
        return path.is_file()
    except OSError:
        return False


def read_regular(path: Path, limit: int) -> bytes:
    """Return what a regular file of at most `limit` bytes holds; BadInputError for anything else.

    Reading a pipe could block and reading a device could never end; both are refused before they are read.
    """
    try:
        data = read_bytes(path, limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL byte
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise BadInputError(f"{path}: cannot be read: {reason}") from error
    if len(data) > limit:
        raise BadInputError(f"{path}: more than {limit >> 20} MiB; expected a smaller file")
    return data


def decode_text(data: bytes, path: Path | str) -> str:
    """Return the text of a UTF-8 file without the byte order mark that some editors put before it."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is no finite number")


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: not JSON ({error})") from error


def read_json(path: Path) -> Mapping[str, Any]:
    """Return a JSON object; BadInputError naming the file for anything else."""
    return parse_json(read_regular(path, DOCUMENT_BYTES), path)


def parse_json(data: bytes, path: Path) -> Mapping[str, Any]:
    """Return the JSON object that was read from a file; BadInputError naming the file for anything else."""
    value = _json(decode_text(data, path), path)
    if not isinstance(value, dict):
        raise BadInputError(f"{path}: expected a mapping, found {type(value).__name__}")
    return value


def read_document(path: Path) -> Any:
    """Return what a JSON or (``.yaml``, ``.yml``) YAML file holds; BadInputError naming a file that is neither."""
    text = decode_text(read_regular(path, DOCUMENT_BYTES), path)
    if path.suffix not in (".yaml", ".yml"):
        return _json(text, path)
    if len(text) > 2**20 or "&" in text or "*" in text:
        raise BadInputError(f"{path}: a manifest in YAML has at most 1 MiB and no anchors or aliases")
    from ruamel.yaml import YAML  # most who read files read no YAML, and it takes long to import
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise BadInputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error


def finite_numbers(value: Any, where: str) -> dict[str, float]:
    """Return a mapping of names to finite numbers; BadInputError saying `where` for anything else."""
    if not isinstance(value, Mapping):
        raise BadInputError(f"{where}: expected a mapping of numbers, found {type(value).__name__}")
    numbers: dict[str, float] = {}
    for name, number in value.items():
        if not isinstance(name, str) or type(number) not in (int, float) or not math.isfinite(number):
            raise BadInputError(f"{where}: {name!r} is {number!r}; expected a finite number")
        numbers[name] = float(number)
    return numbers
