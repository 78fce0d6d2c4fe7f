"""The training log: flat JSON lines, version 1.2 written with rotation and frequency, every generation read."""

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import define, evolve, field, frozen

from townlet.dto.training_log import (
    VERSION,
    AnnealFields,
    BaselineFields,
    ConflictFields,
    CoreFields,
    EventFields,
    HealthFields,
    LogSummary,
    StreamFields,
    TrainingLogEntry,
)
from townlet.errors import BadInputError
from townlet.store.files import create_private, make_directory, open_regular, read_bytes, resource_errors

__all__ = ["LogLine", "TrainingLogWriter", "log_files", "read_log", "summarise", "to_line"]

Scalar = float | int | bool | str | None

_GROUPS: Mapping[str, tuple[type, str, str]] = {
    "core": (CoreFields, "", ""),
    "health": (HealthFields, "", ""),
    "stream": (StreamFields, "", ""),
    "events": (EventFields, "", ""),
    "anneal": (AnnealFields, "anneal_", ""),
    "conflict": (ConflictFields, "conflict.", "_avg"),
    "baseline": (BaselineFields, "baseline_", ""),
}
"""Record, prefix and suffix of each group's keys."""
_ALWAYS = ("health", "stream", "events", "conflict")
_MAX_LINE = 2**20
_SHOWN = ("loss_policy", "loss_value", "loss_entropy", "loss_total", "kl_divergence")
_KNOWN_VERSIONS = (1.0, 1.1, VERSION)
_WHOLE = ("epoch", "updates", "transitions", "steps")


def keys_of(group: str) -> tuple[str, ...]:
    """Return the keys of a group, in order.

    >>> keys_of("conflict")[0]
    'conflict.rivalry_max_mean_avg'
    """
    record, prefix, suffix = _GROUPS[group]
    return tuple(f"{prefix}{a.name}{suffix}" for a in attrs.fields(record))


def to_line(entry: TrainingLogEntry) -> str:
    """Return an entry as one line of JSON; the keys of every group stand side by side."""
    flat: dict[str, Scalar] = {}
    for group in _GROUPS:
        record = attrs.asdict(entry, recurse=False)[group]
        if record is not None:
            flat |= dict(zip(keys_of(group), attrs.astuple(record), strict=True))
    return json.dumps(flat, allow_nan=False)


def log_files(path: Path) -> tuple[Path, ...]:
    """Return a log and what it was rotated to, in the order they were written; BadInputError where there is none.

    What stands in place of a following file is returned too, so that its reader refuses what is none.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: there is no training log; expected a file that --ppo-log named")
    files = [path]
    while (following := path.with_name(f"{path.name}.{len(files)}")).exists():
        files.append(following)
    return tuple(files)


@define
class TrainingLogWriter:
    """Appends entries; every `frequency`-th epoch, closing lines always, and a new file after `max_entries` lines."""

    path: Path
    """The first file; the next are called ``PATH.1``, ``PATH.2`` …"""
    frequency: int = field(default=1, kw_only=True, validator=attrs.validators.ge(1))
    """Epochs from one line to the next."""
    max_entries: int | None = field(
        default=None, kw_only=True, validator=attrs.validators.optional(attrs.validators.ge(1))
    )
    """Lines of one file; none for no bound."""
    _written: int | None = field(default=None, init=False)
    _left_out: TrainingLogEntry | None = field(default=None, init=False)

    def append(self, entry: TrainingLogEntry) -> None:
        """Write an entry, or leave it out where the frequency says so; EnvironmentFaultError where the disk refuses."""
        if entry.anneal is None and entry.core.epoch % self.frequency:
            self._left_out = entry
            return
        self._left_out = None
        self._write(entry)

    def close_visit(self) -> None:
        """Write the last epoch of a visit where the frequency left it out."""
        if self._left_out is not None:
            self._write(self._left_out)
            self._left_out = None

    def _write(self, entry: TrainingLogEntry) -> None:
        make_directory(self.path.parent)
        written = self._count()
        line = to_line(evolve(entry, stream=evolve(entry.stream, log_stream_offset=written)))
        index = 0 if self.max_entries is None else written // self.max_entries
        path = self.path if index == 0 else self.path.with_name(f"{self.path.name}.{index}")
        with resource_errors("append to this log", path):
            if path.exists():
                descriptor = open_regular(path, os.O_WRONLY | os.O_APPEND)
            else:
                descriptor = create_private(path.resolve(), os.O_APPEND)  # a link to a file that is missing is followed
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        self._written = written + 1

    def _count(self) -> int:
        """Return the lines written so far, those of an earlier run included: nothing is ever overwritten."""
        if self._written is not None:
            return self._written
        if not self.path.exists():
            return 0
        return sum(len(read_bytes(file).splitlines()) for file in log_files(self.path))


@frozen(kw_only=True)
class LogLine:
    """One line as it was read."""

    where: str
    """``FILE:LINE``."""
    generation: str
    """``unversioned``, ``1.0``, ``1.1`` or ``1.2``."""
    missing: tuple[str, ...]
    """Groups that it lacks, wholly or in part."""
    values: Mapping[str, Scalar]
    """What stands in it, unknown keys included."""

    @property
    def closing(self) -> bool:
        """Whether it closes a round."""
        return "anneal_stage" in self.values


def read_log(path: Path) -> tuple[LogLine, ...]:
    """Return every line of a log and of what it was rotated to; BadInputError with everything that is wrong."""
    lines: list[LogLine] = []
    problems: list[str] = []
    for file in log_files(path):
        with resource_errors("read this log", file):
            data = read_bytes(file)
        for number, raw in enumerate(data.splitlines(), start=1):
            try:
                lines.append(_line(raw, f"{file}:{number}"))
            except BadInputError as error:
                problems.append(str(error))
    if not lines and not problems:
        problems.append(f"{path}: the log is empty; expected one JSON object per update epoch")
    if problems:
        raise BadInputError("\n".join(problems[:20] + [f"and {len(problems) - 20} more"] * (len(problems) > 20)))
    return tuple(lines)


def _line(raw: bytes, where: str) -> LogLine:
    if len(raw) > _MAX_LINE:
        raise BadInputError(f"{where}: a line of {len(raw)} bytes; expected one small JSON object")
    try:
        values: Any = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{where}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise BadInputError(f"{where}: expected a JSON object, found {type(values).__name__}")
    required = [key for key in keys_of("core") if key != "telemetry_version"]
    lacking = [key for key in required if key not in values]
    if lacking:
        raise BadInputError(
            f"{where}: {', '.join(lacking)} missing; expected at least the keys of the first generation"
        )
    for key, value in values.items():
        if key in required or key == "telemetry_version":
            _check_number(value, f"{where}: {key}", whole=key in _WHOLE)
        elif isinstance(value, float) and not math.isfinite(value):
            raise BadInputError(f"{where}: {key} is {value}; expected a finite number")
        elif not isinstance(value, float | int | bool | str | None):
            raise BadInputError(f"{where}: {key} is no number, word, true, false or null")
    missing = tuple(group for group in _ALWAYS if any(key not in values for key in keys_of(group)))
    version = values.get("telemetry_version")
    if version is not None and version not in _KNOWN_VERSIONS:
        raise BadInputError(f"{where}: telemetry_version is {version}; this version reads up to {VERSION}")
    if version == VERSION and missing:
        raise BadInputError(f"{where}: says version {VERSION}, but keys of {', '.join(missing)} are missing")
    return LogLine(
        where=where,
        generation="unversioned" if version is None else f"{version:.1f}",
        missing=missing,
        values=values,
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands there twice")
    return values


def _check_number(value: Any, where: str, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int) or not math.isfinite(value):
        raise BadInputError(f"{where} is {value!r}; expected a finite number")
    if whole and (value != int(value) or value < 0):
        raise BadInputError(f"{where} is {value!r}; expected a whole number of at least 0")


def summarise(path: Path) -> LogSummary:
    """Return what a valid log holds; BadInputError with everything that is wrong."""
    lines = read_log(path)
    epochs = [line for line in lines if not line.closing]
    names = {key: key.removeprefix("anneal_") for key in keys_of("anneal")}
    flags = []
    for line in lines:
        if line.closing:
            known: dict[str, Any] = {names[key]: value for key, value in line.values.items() if key in names}
            flags.append(AnnealFields(**{"cycle": 0} | known))
    missing = {group for line in lines for group in line.missing}
    return LogSummary(
        files=tuple(str(file) for file in log_files(path)),
        lines=len(lines),
        epochs=len(epochs),
        rounds=len(lines) - len(epochs),
        generations=dict(sorted(Counter(line.generation for line in lines).items())),
        missing=tuple(group for group in _ALWAYS if group in missing),
        transitions=sum(int(_number(line, "transitions")) for line in epochs),
        first=_shown(epochs[0]) if epochs else {},
        last=_shown(epochs[-1]) if epochs else {},
        flags=tuple(flags),
    )


def _number(line: LogLine, key: str) -> float:
    value = line.values[key]
    assert isinstance(value, float | int), "read_log checked it"
    return value


def _shown(line: LogLine) -> dict[str, float]:
    return {key: float(_number(line, key)) for key in _SHOWN}
