"""Small files from outside, JSON and YAML: read within bounds, refused with their name."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from townlet.errors import BadInputError

__all__ = ["finite_numbers", "read_document", "read_json"]

_LIMIT = 16 * 2**20


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > _LIMIT:
        raise BadInputError(f"{path}: more than {_LIMIT >> 20} MiB; expected a small text file")
    try:
        return data.decode()
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
    value = _json(_read(path), path)
    if not isinstance(value, dict):
        raise BadInputError(f"{path}: expected a mapping, found {type(value).__name__}")
    return value


def read_document(path: Path) -> Any:
    """Return what a JSON or (``.yaml``, ``.yml``) YAML file holds; BadInputError naming a file that is neither."""
    text = _read(path)
    if path.suffix not in (".yaml", ".yml"):
        return _json(text, path)
    if len(text) > 2**20 or "&" in text or "*" in text:
        raise BadInputError(f"{path}: a manifest in YAML has at most 1 MiB and no anchors or aliases")
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error


def finite_numbers(value: Any, where: str) -> dict[str, float]:
    """Return a mapping of names to finite numbers; BadInputError saying `where` for anything else."""
    if not isinstance(value, Mapping):
        raise BadInputError(f"{where}: expected a mapping of numbers, found {type(value).__name__}")
    found: dict[str, float] = {}
    for name, number in value.items():
        if not isinstance(name, str) or type(number) not in (int, float) or not math.isfinite(number):
            raise BadInputError(f"{where}: {name!r} is {number!r}; expected a finite number")
        found[name] = float(number)
    return found
