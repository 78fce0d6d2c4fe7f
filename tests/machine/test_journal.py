"""The journal: chained, canonical, mended only where a dying process may have left it, refused everywhere else."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Bench, Clock, ppo_result
from plans import CATALOGUE

from townlet.canonical import canonical_json, seal_line
from townlet.dto.codec import CodecError
from townlet.dto.journal import ProcessStarted, Recovered, RunCreated, TransitionTaken, VisitFinished
from townlet.errors import EnvironmentFaultError, JournalBrokenError
from townlet.machine.journal import chain as journals
from townlet.machine.journal.chain import Journal, read
from townlet.machine.journal.result_codec import dump_result, load_result
from townlet.machine.journal.semantic_hash import semantic_part


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A run that walked to its end."""
    bench = Bench(tmp_path)
    bench.walk()
    return bench


def _open(bench: Bench) -> Journal:
    return Journal(bench.path, bench.home / "head.json", CATALOGUE, clock=bench.clock)


def _lines(bench: Bench) -> list[bytes]:
    return bench.path.read_bytes().splitlines(keepends=True)


def _write(bench: Bench, lines: list[bytes]) -> None:
    bench.path.write_bytes(b"".join(lines))


def _change_and_rehash(lines: list[bytes]) -> list[bytes]:
    data = json.loads(lines[5])
    data["body"]["why"] = "because I say so"
    del data["hash"]
    return [*lines[:5], canonical_json(seal_line(data)) + b"\n", *lines[6:]]


TAMPERINGS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "a byte changed": (lambda lines: [*lines[:5], lines[5].replace(b"why", b"wHy"), *lines[6:]], 5),
    "a line rewritten with its hash": (_change_and_rehash, 6),
    "a line deleted": (lambda lines: lines[:5] + lines[6:], 5),
    "two lines swapped": (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], 5),
    "a line repeated": (lambda lines: lines[:6] + lines[5:], 6),
    "spaces added": (lambda lines: [*lines[:5], lines[5].replace(b",", b", ", 1), *lines[6:]], 5),
    "the tail cut": (lambda lines: lines[:-1], 27),
    "half the last line cut": (lambda lines: [*lines[:-1], lines[-1][:20]], 27),
    "only the last newline cut": (lambda lines: [*lines[:-1], lines[-1][:-1]], 27),
    "all gone": (lambda lines: [], 0),
    "not JSON": (lambda lines: [*lines[:5], b"\x00\xff\n", *lines[6:]], 5),
    "not an envelope": (lambda lines: [*lines[:5], b"[]\n", *lines[6:]], 5),
    "an unknown kind": (lambda lines: [*lines[:5], lines[5].replace(b'"transition"', b'"transfusion"'), *lines[6:]], 5),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_refused_with_the_sequence_number(bench: Bench, name: str) -> None:
    """Nothing is repaired: the bytes stay as they were found."""
    tamper, seq = TAMPERINGS[name]
    assert 28 == len(_lines(bench))
    _write(bench, tamper(_lines(bench)))
    found = bench.path.read_bytes()
    with pytest.raises(JournalBrokenError, match=f"record {seq} "):
        _open(bench)
    assert found == bench.path.read_bytes()


@pytest.mark.parametrize("byte", range(0, 900, 61))
def test_any_changed_byte_is_found(bench: Bench, byte: int) -> None:
    """Every sixty-first byte of the first records, turned over one bit."""
    data = bytearray(bench.path.read_bytes())
    data[byte] ^= 1
    bench.path.write_bytes(bytes(data))
    with pytest.raises(JournalBrokenError, match=r"record [012] "):
        _open(bench)


def test_a_removed_head_is_refused(bench: Bench) -> None:
    """Only a run that died within its very first record may have none."""
    (bench.home / "head.json").unlink()
    with pytest.raises(JournalBrokenError, match="record 0 is not valid: the head is missing"):
        _open(bench)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"hash":"x","semantic":"y","seq":27}', b"[1, 2]", b"\xff"])
def test_a_damaged_head_is_refused(bench: Bench, content: bytes) -> None:
    """Another hash, another shape, no JSON."""
    (bench.home / "head.json").write_bytes(content)
    with pytest.raises(JournalBrokenError):
        _open(bench)


def test_half_a_line_is_cut_and_recorded_where_the_head_names_the_last_whole_one(bench: Bench) -> None:
    """A process died within an append: the torn bytes are noted by number and hash."""
    whole = _lines(bench)
    _write(bench, [*whole, b'{"at":"2026'])
    last = _open(bench).entries[-1].record
    assert isinstance(last, Recovered)
    assert (11, 29) == (last.torn_bytes, len(_lines(bench)))
    assert whole == _lines(bench)[:-1]
    assert not read(bench.path, bench.home / "head.json", CATALOGUE).torn_tail


def test_a_durable_line_under_an_old_head_is_anchored_before_anything_is_appended(bench: Bench) -> None:
    """A process died between the line and the head; dying there twice does not look like tampering."""
    head = bench.home / "head.json"
    for _ in range(2):
        journal = _open(bench)
        before = head.read_bytes()
        journal.append(ProcessStarted(pid=1, host="here"))
        head.write_bytes(before)
    journal = _open(bench)
    assert json.loads(head.read_bytes())["hash"] == journal.head
    assert 30 == len(journal.entries)


def test_a_head_two_records_old_is_refused(bench: Bench) -> None:
    """No crash leaves that."""
    head = bench.home / "head.json"
    before = head.read_bytes()
    journal = _open(bench)
    journal.append(ProcessStarted(pid=1, host="here"))
    journal.append(ProcessStarted(pid=2, host="here"))
    head.write_bytes(before)
    with pytest.raises(JournalBrokenError, match="record 28 "):
        _open(bench)


def test_a_run_that_died_within_its_first_record_begins_again(tmp_path: Path) -> None:
    """Half a first line and no head: nothing had happened yet."""
    path, head = tmp_path / "journal.jsonl", tmp_path / "head.json"
    path.write_bytes(b'{"at"')
    journal = Journal(path, head, CATALOGUE, clock=Clock())
    assert ["recovered"] == [entry.record.kind for entry in journal.entries]


def test_a_refused_append_leaves_the_journal_as_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is a clear error; once there is room the next append goes on, the head mended first."""

    def full(path: Path, data: bytes) -> None:
        raise EnvironmentFaultError(f"{path}: no space left")

    journal = _open(bench)
    before = bench.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(journals, "append_durable", full)
        with pytest.raises(EnvironmentFaultError, match="no space"):
            journal.append(ProcessStarted(pid=1, host="here"))
    assert before == bench.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(journals, "write_atomic", full)
        with pytest.raises(EnvironmentFaultError, match="no space"):
            journal.append(ProcessStarted(pid=2, host="here"))
    journal.append(ProcessStarted(pid=3, host="here"))
    assert [2, 3] == [e.record.pid for e in _open(bench).entries[-2:] if isinstance(e.record, ProcessStarted)]


def test_what_is_appended_is_what_is_read_back(bench: Bench) -> None:
    """Entries in memory equal those of a new process, and so do both hashes."""
    journal = _open(bench)
    journal.append(TransitionTaken(source="a", target="b", edge=None, why="– ünïcode ✓"))
    again = _open(bench)
    assert (journal.entries, journal.head, journal.semantic) == (again.entries, again.head, again.semantic)


def test_a_record_that_could_not_be_read_back_is_refused(bench: Bench) -> None:
    """Before a byte is written."""
    before = bench.path.read_bytes()
    with pytest.raises(CodecError, match="edge"):
        _open(bench).append(TransitionTaken(source="a", target="b", edge=1.5, why=""))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="JSON"):
        _open(bench).append(VisitFinished(state="a", visit=1, strategy="bc", result={"x": math.nan}))
    assert before == bench.path.read_bytes()


def test_nan_becomes_null_and_null_becomes_nan() -> None:
    """The journal holds no NaN, and a guard still sees that the number is none."""
    plain = dump_result(ppo_result("0" * 64, value_loss=math.nan, entropy=math.inf), type(ppo_result(None)))
    assert (None, None, 0.01) == (plain["value_loss"], plain["entropy"], plain["approx_kl"])
    result = load_result(plain, type(ppo_result(None)))
    assert ["value_loss", "entropy"] == [
        k for k, v in result.model_dump().items() if isinstance(v, float) and math.isnan(v)
    ]


def test_two_equal_runs_agree_on_the_semantic_hash_and_on_nothing_else(tmp_path: Path) -> None:
    """Other ids, times, durations and rates; the same decisions."""
    one, two = Bench(tmp_path / "one", run="run-1"), Bench(tmp_path / "two", run="run-2")
    two.clock()
    one.walk()
    two.walk()
    assert _open(one).semantic == _open(two).semantic
    assert _open(one).head != _open(two).head


def test_another_decision_has_another_semantic_hash(tmp_path: Path) -> None:
    """A different seed is a different run."""
    one, two = Bench(tmp_path / "one"), Bench(tmp_path / "two", seed=8)
    one.walk()
    two.walk()
    assert _open(one).semantic != _open(two).semantic


def test_run_created_counts_without_its_id() -> None:
    """The semantic part of a record is what equal runs agree on."""
    created = RunCreated(
        run="r", name="n", schedule="s", seed=1, rehearsal=False, environment="e", fingerprint={"a": "b"}
    )
    assert {"name", "schedule", "seed", "rehearsal", "environment"} == set(
        semantic_part(created.model_dump(), RunCreated)
    )
