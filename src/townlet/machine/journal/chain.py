"""The journal: write-ahead log and audit log in one, hash-chained, appended and synced line by line.

A line is canonical JSON ``{at, body, hash, kind, previous, seq, v}``; `hash` is the SHA-256 of the line without it,
`previous` the hash of the line before, `v` the version of the record's kind. ``head.json`` names the last line and is
replaced after every append, so that a cut tail shows. The chain makes edits evident to anyone who holds the head; its
owner could rewrite everything.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from townlet.canonical import GENESIS, canonical_json, check_line, seal_line
from townlet.dto.codec import structure, unstructure
from townlet.dto.evolution import disk_name, earlier_name, schema_version
from townlet.dto.journal import RECORDS, Entry, JournalRecord, ProcessStarted, Recovered, RunCreated, VisitFinished
from townlet.errors import JournalBrokenError, TownletError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.semantic_hash import next_semantic_hash
from townlet.store.files import append_durable, cut, is_present, read_bytes, resource_errors, write_atomic

__all__ = ["Journal", "VerifiedJournal", "read"]


@frozen(kw_only=True)
class VerifiedJournal:
    """The content of a journal whose chain and head were verified."""

    entries: tuple[Entry, ...]
    """All complete lines."""
    semantic: str
    """Semantic hash after the last record; two equal runs have the same."""
    torn_tail: bytes
    """An unfinished last line, left by a process that died while it wrote; empty otherwise."""
    head_is_stale: bool
    """Whether the head names the record before the last: a process died between the two writes."""


def read(path: Path, head: Path, catalogue: StrategyCatalogue) -> VerifiedJournal:
    """Return a verified journal and change nothing; JournalBrokenError names the first record that is not valid.

    Another process may append meanwhile: journal and head are read again until the head is the same before and after.
    """
    head_data = _read_bytes(head)
    while True:
        data, earlier, head_data = _read_bytes(path) or b"", head_data, _read_bytes(head)
        if head_data == earlier:
            break
    *lines, torn_tail = data.split(b"\n")
    entries: list[Entry] = []
    creator = writer = ""
    writers: list[str] = []
    for seq, line in enumerate(lines):
        entry = _parse(path, seq, line, entries[-1].hash if entries else GENESIS, writer)
        entries.append(entry)
        if isinstance(entry.record, RunCreated):
            creator = writer = _writer(entry.record.fingerprint)
        elif isinstance(entry.record, ProcessStarted):
            writer = _writer(entry.record.changed) or creator
        writers.append(writer)
    semantics = [GENESIS]
    for entry in entries:
        _check_result(path, entry, catalogue, writers[entry.seq])
        semantics.append(next_semantic_hash(semantics[-1], entry.record, catalogue))
    named = _parse_head(head, head_data)
    _check_head(path, entries, semantics, named, torn_tail)
    return VerifiedJournal(
        entries=tuple(entries),
        semantic=semantics[-1],
        torn_tail=torn_tail,
        head_is_stale=len(entries) - 1 > (-1 if named is None else named["seq"]),
    )


def _read_bytes(path: Path) -> bytes | None:
    with resource_errors("read this file", path):
        return read_bytes(path) if is_present(path) else None


def _broken(path: Path, seq: int, reason: str) -> JournalBrokenError:
    return JournalBrokenError(
        f"{path}: record {seq} is not valid: {reason}; the journal is never repaired, restore the run from a copy"
    )


def _parse(path: Path, seq: int, line: bytes, previous: str, writer: str) -> Entry:
    try:
        data = json.loads(line)
        if not isinstance(data, dict) or canonical_json(data) != line:
            raise _broken(path, seq, "the line is not canonical JSON")
        if set(data) != {"v", "seq", "at", "kind", "body", "previous", "hash"} or type(data["v"]) is not int:
            raise _broken(path, seq, "expected an envelope of {at, body, hash, kind, previous, seq, v}")
        try:
            check_line(data, seq=seq, previous=previous)
        except ValueError as error:
            raise _broken(path, seq, str(error)) from error
        _check_version(path, seq, data, writer)
        return _entry(data)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _broken(path, seq, f"unreadable ({type(error).__name__}: {error})") from error
    except JournalBrokenError:
        raise
    except TownletError as error:
        raise _broken(path, seq, str(error)) from error


def _check_version(path: Path, seq: int, data: Mapping[str, Any], writer: str) -> None:
    """Refuse a record that only a later Townlet can read; `writer` is the one that wrote the records before it."""
    body = data["body"] if isinstance(data["body"], dict) else {}
    writer = _writer(body.get("fingerprint")) or _writer(body.get("changed")) or writer
    advice = _advice(writer)
    cls = RECORDS.get(data["kind"])
    if cls is None:
        raise JournalBrokenError(
            f"{path}: record {seq} is of kind {data['kind']!r}, expected one of {', '.join(RECORDS)}; {advice}"
        )
    if data["v"] > schema_version(cls):
        raise JournalBrokenError(
            f"{path}: record {seq} ({cls.kind}) is of version {data['v']}, expected {schema_version(cls)}; {advice}"
        )
    if data["v"] < 1:
        raise _broken(path, seq, f"its version is {data['v']}, expected 1 or more")


def _check_result(path: Path, entry: Entry, catalogue: StrategyCatalogue, writer: str) -> None:
    """Refuse a result with a field that this version does not have: its semantic hash could not be computed."""
    record = entry.record
    if not isinstance(record, VisitFinished):
        return
    cls = catalogue.entry(record.strategy).result
    names = {name for a in attrs.fields(cls) for name in (disk_name(a), earlier_name(a))}
    unknown = set(record.result) - names - cls.removed_fields
    if unknown:
        raise JournalBrokenError(
            f"{path}: record {entry.seq} (result of {record.state}) has the unknown field {min(unknown)!r}; "
            f"{_advice(writer)}"
        )


def _advice(writer: str) -> str:
    return f"use the Townlet that wrote it{f', {writer}' if writer else ''}"


def _writer(versions: object) -> str:
    """Return the version of Townlet that a fingerprint, or its changes as ``old → new``, names; empty for none."""
    named = versions.get("townlet") if isinstance(versions, Mapping) else None
    return named.rpartition(" ")[2] if isinstance(named, str) else ""


def _entry(data: Mapping[str, Any]) -> Entry:
    """Return the record of a line that was checked."""
    record = structure(data["body"], RECORDS[data["kind"]])
    at = datetime.fromisoformat(data["at"]).isoformat()
    return Entry(seq=data["seq"], at=at, record=record, previous=data["previous"], hash=data["hash"])


def _parse_head(head: Path, data: bytes | None) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        named = json.loads(data)
        is_valid = set(named) == {"seq", "hash", "semantic"} and type(named["seq"]) is int
    except (ValueError, TypeError, RecursionError) as error:
        raise JournalBrokenError(f"{head}: unreadable ({error}); restore the run from a copy") from error
    if not is_valid:
        raise JournalBrokenError(f"{head}: expected {{seq, hash, semantic}}; restore the run from a copy")
    return dict(named)


def _check_head(
    path: Path, entries: list[Entry], semantics: list[str], head: dict[str, Any] | None, torn_tail: bytes
) -> None:
    """Refuse a head that names any record but the last, or the one before it where a process died in between."""
    last = len(entries) - 1
    seq = -1 if head is None else head["seq"]
    if seq > last:
        raise _broken(path, last + 1, f"the head names record {seq}, but the journal ends before it")
    if last - seq > (0 if torn_tail else 1):
        reason = "the head is missing" if head is None else f"the head names record {seq}"
        raise _broken(path, seq + 1, f"{reason}, but the journal goes on to record {last}")
    if head is None:
        return
    if seq < 0 or head["hash"] != entries[seq].hash or head["semantic"] != semantics[seq + 1]:
        raise _broken(path, seq, "the head names another hash")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """The only writer of a run's journal; the caller holds the run's lock."""

    def __init__(
        self, path: Path, head: Path, catalogue: StrategyCatalogue, *, clock: Callable[[], datetime] = _utc_now
    ) -> None:
        """Verify the journal and repair what a process that died may leave: a torn last line, a head one record old.

        JournalBrokenError for anything else that is not valid.
        """
        self.path, self.clock = path, clock
        self._head_path, self._catalogue = head, catalogue
        journal = read(path, head, catalogue)
        self._entries = list(journal.entries)
        self._semantic = journal.semantic
        self._head_is_stale = journal.head_is_stale
        self._write_head()
        if journal.torn_tail:
            with resource_errors("cut the torn last line", path):
                cut(path, path.stat().st_size - len(journal.torn_tail))
            self.append(Recovered(torn_bytes=len(journal.torn_tail), torn_sha256=sha256(journal.torn_tail).hexdigest()))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All records, oldest first."""
        return tuple(self._entries)

    @property
    def head(self) -> str:
        """Hash of the last record."""
        return self._entries[-1].hash if self._entries else GENESIS

    @property
    def semantic(self) -> str:
        """Semantic hash after the last record; two equal runs have the same."""
        return self._semantic

    def append(self, record: JournalRecord) -> Entry:
        """Write a record durably, then the head, and return the record as it will be read back.

        EnvironmentFaultError where the disk refuses: the journal is as before, or the head is one record old and is
        written before the next append. CodecError for a record that could not be read back.
        """
        self._write_head()
        envelope = {
            "v": schema_version(type(record)),
            "seq": len(self._entries),
            "at": self.clock().isoformat(),
            "kind": record.kind,
            "body": unstructure(record),
            "previous": self.head,
        }
        line = canonical_json(seal_line(envelope))
        entry = _entry(json.loads(line))
        append_durable(self.path, line + b"\n")
        self._entries.append(entry)
        self._semantic = next_semantic_hash(self._semantic, entry.record, self._catalogue)
        self._head_is_stale = True
        self._write_head()
        return entry

    def _write_head(self) -> None:
        if self._head_is_stale:
            head = {"seq": len(self._entries) - 1, "hash": self.head, "semantic": self._semantic}
            write_atomic(self._head_path, canonical_json(head))
            self._head_is_stale = False
