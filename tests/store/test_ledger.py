"""Every move stands in the ledger before it is committed, and the two files watch each other."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from promoting import promote

from townlet.dto.registry import LedgerEntry
from townlet.errors import BadInputError, ChampionMovedError, EnvironmentFaultError
from townlet.store.registry.ledger import Ledger
from townlet.store.registry.registry import Registry


class DiesInCommitError(BaseException):
    """The process is gone between the ledger's line and the commit."""


def _dying(registry: Registry, target: str, expected: str | None) -> None:
    @contextmanager
    def write_ahead(self: Ledger, entries: Sequence[LedgerEntry]) -> Iterator[None]:
        with original(self, entries):
            raise DiesInCommitError
        yield

    original = Ledger.write_ahead
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "write_ahead", write_ahead)
        with pytest.raises(DiesInCommitError):
            promote(registry, target, expected)


def test_a_move_that_was_announced_is_carried_out_by_the_next(registry: Registry) -> None:
    """The process died before the commit: the ledger is the authority, so readers and the next writer see the move."""
    promote(registry, "w1", None)
    _dying(registry, "w2", "w1")
    champion = registry.champion("town", "champion")
    assert champion is not None
    assert "w2" == champion.weights
    assert 2 == len(registry.versions())
    assert ["w1", "w2"] == [move.weights for move in registry.history()]

    assert 2 == promote(registry, "w2", "w1").version
    assert ["w1", "w2"] == [move.weights for move in registry.history()]
    assert [1, 2] == [entry.move.move for entry in registry.ledger.read()]


KILLED_BEFORE_COMMIT = """
import os, signal, sqlite3, sys
from pathlib import Path
from promoting import promote
from townlet.store.registry.registry import Registry

connect = sqlite3.connect

def watched(*words, **named):
    connection = connect(*words, **named)
    connection.set_trace_callback(lambda sql: os.kill(os.getpid(), signal.SIGKILL) if sql == "COMMIT" else None)
    return connection

sqlite3.connect = watched
promote(Registry(Path(sys.argv[1])), "w2", "w1")
"""


def test_a_process_killed_before_its_commit_leaves_one_champion(registry: Registry) -> None:
    """A real `kill -9` as SQLite is about to commit: every reader sees the announced move, a rival is refused."""
    promote(registry, "w1", None)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", KILLED_BEFORE_COMMIT, str(registry.path)]
    assert -signal.SIGKILL == subprocess.run(command, env=environment, check=False).returncode

    champion = registry.champion("town", "champion")
    assert champion is not None
    assert "w2" == champion.weights
    with pytest.raises(ChampionMovedError, match="names the weights w2"):
        promote(registry, "w3", "w1", run="run-2")
    assert 3 == promote(registry, "w3", "w2", run="run-2").version
    assert ["w1", "w2", "w3"] == [move.weights for move in registry.history()]


def test_a_rival_finds_the_announced_move(registry: Registry) -> None:
    """Another run that expected the old champion is told."""
    promote(registry, "w1", None)
    _dying(registry, "w2", "w1")

    with pytest.raises(ChampionMovedError, match="names the weights w2"):
        promote(registry, "w3", "w1", run="run-2")


def test_a_commit_that_fails_takes_its_announcement_back(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger cannot be written nothing moves, and where the commit fails the ledger is as before."""
    promote(registry, "w1", None)
    before = registry.ledger.path.read_bytes()
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(EnvironmentFaultError, match="No space left"):
        promote(registry, "w2", "w1")
    monkeypatch.undo()

    assert before == registry.ledger.path.read_bytes()
    with pytest.raises(ValueError, match="commit"), registry.ledger.write_ahead(registry.ledger.read()):
        raise ValueError("the commit failed")
    assert before == registry.ledger.path.read_bytes()
    assert ["w1"] == [move.weights for move in registry.history()]


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_torn_last_line_counts_as_not_written(registry: Registry) -> None:
    """A process died within the append; the next move is written over it."""
    promote(registry, "w1", None)
    with registry.ledger.path.open("ab") as file:
        file.write(b'{"booking":')

    promote(registry, "w2", "w1")
    assert ["w1", "w2"] == [entry.version.weights for entry in registry.ledger.read()]


def test_a_lost_database_is_told_and_never_begun_anew(registry: Registry) -> None:
    """The ledger knows that there was one: neither a reader nor a writer starts from nothing."""
    promote(registry, "w1", None)
    registry.path.unlink()

    for ask in (registry.versions, lambda: promote(registry, "w9", None)):
        with pytest.raises(BadInputError, match="the registry is missing, but its ledger is not"):
            ask()
    assert not registry.path.exists()


def test_an_old_copy_of_the_database_is_told(registry: Registry) -> None:
    """A file that lacks moves of the ledger would name a champion that was replaced long ago."""
    promote(registry, "w1", None)
    old = registry.path.read_bytes()
    promote(registry, "w2", "w1")
    promote(registry, "w3", "w2")
    registry.path.write_bytes(old)

    with pytest.raises(BadInputError, match="holds 1 moves, but its ledger 3"):
        registry.champion("town", "champion")


@pytest.mark.parametrize("line", [0, 1])
def test_an_edited_ledger_names_the_line(registry: Registry, line: int) -> None:
    """One word changed, one line removed: the number of the line is told, and the sound part before it is known."""
    promote(registry, "w1", None)
    promote(registry, "w2", "w1")
    held = registry.ledger.path.read_bytes().splitlines(keepends=True)
    held[line] = held[line].replace(b"promoted", b"invented")
    registry.ledger.path.write_bytes(b"".join(held))

    with pytest.raises(BadInputError, match=f"line {line} is damaged .its hash"):
        registry.history()
    recorded, unrecorded, doubts = registry.recover_history()
    assert (line, 2 - line, 1) == (len(recorded), len(unrecorded), len(doubts))


def test_a_ledger_of_a_later_version_is_refused(registry: Registry) -> None:
    """Its lines are not guessed at."""
    promote(registry, "w1", None)
    path = registry.ledger.path
    path.write_bytes(path.read_bytes().replace(b'"v":1', b'"v":2'))

    with pytest.raises(BadInputError, match="written as version 2, expected 1; use the Townlet that wrote it"):
        registry.versions()


def test_a_registry_without_its_ledger_is_refused(registry: Registry) -> None:
    """Nothing proves its rows: neither a reader nor a writer believes them, and no ledger is made of them."""
    promote(registry, "w1", None)
    registry.ledger.path.unlink()

    for ask in (registry.versions, lambda: promote(registry, "w2", "w1")):
        with pytest.raises(BadInputError, match=r"move 1 .promote of 'champion' .* stands in no line of"):
            ask()
    assert not registry.ledger.path.exists()


def test_a_promotion_is_found_after_another_run_moved_the_alias(registry: Registry) -> None:
    """A process died after its move and before its record; meanwhile another run promoted. It still made the move."""
    promote(registry, "w1", None)
    _dying(registry, "w2", "w1")
    promote(registry, "w3", "w2", run="run-2")

    assert 2 == promote(registry, "w2", "w1").version
    assert ["w1", "w2", "w3"] == [move.weights for move in registry.history()]
    assert registry.promoted("town", "champion", target="w9", run="run-1", evidence="ev") is None
