"""Whatever is changed in a journal, the audit finds it."""

import json
import os
from contextlib import suppress
from hashlib import sha256
from random import Random

import pytest
from fakes import Bench
from plans import CATALOGUE

from townlet.canonical import canonical_json
from townlet.errors import JournalBrokenError
from townlet.machine.journal.chain import read

MUTATIONS = int(os.environ.get("TOWNLET_MUTATIONS", "500"))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, bytes]:
    """A run that rolled back and promoted, and its journal."""
    bench = Bench(tmp_path_factory.mktemp("walked"))
    bench.school.skill = {"ppo 1": 5.0}
    bench.walk()
    return bench, bench.path.read_bytes()


def _another_byte(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ random.randrange(1, 256)]) + data[place + 1 :]


def _byte_gone(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + data[place + 1 :]


def _byte_more(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + bytes([random.randrange(256)]) + data[place:]


def _line_gone(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[random.randrange(len(lines))]
    return b"".join(lines)


def _line_twice(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    place = random.randrange(len(lines))
    return b"".join([*lines[: place + 1], *lines[place:]])


def _lines_swapped(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    first, second = random.sample(range(len(lines)), 2)
    lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


def _tail_cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def _last_lines_gone(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[: random.randrange(len(lines))])


def _first_lines_gone(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[random.randrange(1, len(lines)) :])


def _line_written_anew(data: bytes, random: Random) -> bytes:
    """Change what one record says and give it a true hash of its own."""
    lines = data.splitlines()
    place = random.randrange(len(lines))
    line = json.loads(lines[place])
    line["at"] = f"2027{line['at'][4:]}"
    content = {key: value for key, value in line.items() if key != "hash"}
    lines[place] = canonical_json({**line, "hash": sha256(canonical_json(content)).hexdigest()})
    return b"".join(line + b"\n" for line in lines)


KINDS = (
    _another_byte,
    _byte_gone,
    _byte_more,
    _line_gone,
    _line_twice,
    _lines_swapped,
    _tail_cut,
    _last_lines_gone,
    _first_lines_gone,
    _line_written_anew,
)


def test_every_change_of_a_journal_is_found(walked: tuple[Bench, bytes]) -> None:
    """Bytes changed, lost and added; lines deleted, repeated, swapped, written anew; an end cut: refused or torn."""
    bench, data = walked
    head = bench.home / "head.json"
    unfound = []
    for number in range(MUTATIONS):
        random = Random(number)
        kind = KINDS[number % len(KINDS)]
        mutated = kind(data, random)
        if mutated == data:
            continue
        bench.path.write_bytes(mutated)
        with suppress(JournalBrokenError):
            if not read(bench.path, head, CATALOGUE).torn_tail:
                unfound.append((number, kind.__name__))
    bench.path.write_bytes(data)
    assert [] == unfound


def test_a_removed_or_foreign_head_is_found(walked: tuple[Bench, bytes]) -> None:
    """The journal alone is not believed, nor a head that is not its own."""
    bench, _ = walked
    head = bench.home / "head.json"
    kept = head.read_bytes()
    for other in (None, b"", b"{}", kept.replace(b'"seq":', b'"seq":1'), kept[:-1]):
        head.unlink() if other is None else head.write_bytes(other)
        with pytest.raises(JournalBrokenError):
            read(bench.path, head, CATALOGUE)
    head.write_bytes(kept)
