"""The registry's file: who reads it, who may write it, and what is said where neither is possible."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from promoting import promote

from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.store.registry.registry import Registry

RACER = """
import sys
from pathlib import Path
from townlet.errors import ChampionMovedError
from townlet.store.registry.registry import Registry
path, me = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
try:
    version = Registry(path).promote(
        "town", "champion", target=me, expected=None, evidence="ev", run=me, head="h", metadata={}
    )
    sys.stdout.write(f"won {version.version}")
except ChampionMovedError as error:
    sys.stdout.write(f"told {error}")
"""


def test_a_registry_that_is_only_read_is_not_created(registry: Registry) -> None:
    """Questions to a missing file are answered with nothing, and nothing appears on disk."""
    assert registry.champion("town", "champion") is None
    assert () == registry.history()
    assert () == registry.versions()
    assert not registry.path.parent.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET weights = 'x'",
        "DELETE FROM versions",
        "UPDATE moves SET actor = 'x'",
        "DELETE FROM moves",
    ],
)
def test_the_file_itself_refuses_changes(registry: Registry, statement: str) -> None:
    """Versions and history are immutable for every program that opens the file, not for this class alone."""
    promote(registry, "w1", None)

    with closing(sqlite3.connect(registry.path)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="immutable"):
            connection.execute(statement)
        connection.rollback()


def test_of_two_processes_one_wins_and_one_is_told(tmp_path: Path) -> None:
    """Both saw no champion; exactly one promotion happens, and the loser learns who won."""
    path = tmp_path / "registry.sqlite"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("ada", "bob")
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = {name: racer.communicate() for name, racer in zip(("ada", "bob"), racers, strict=True)}

    champion = Registry(path).champion("town", "champion")
    assert champion is not None
    winner, loser = ("ada", "bob") if champion.weights == "ada" else ("bob", "ada")
    assert ("won 1", "") == answers[winner]
    assert f"names the weights {winner}, expected nothing" in answers[loser][0]
    assert 1 == len(Registry(path).history())


def test_a_registry_held_by_another_process_is_told(registry: Registry) -> None:
    """A transaction that does not end in time is a fault that leaves a run as it is, to be resumed."""
    promote(registry, "w1", None)
    with closing(sqlite3.connect(registry.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        impatient = Registry(registry.path, patience=0.01)
        with pytest.raises(EnvironmentFaultError, match="locked"):
            impatient.champion("town", "champion")
        with pytest.raises(EnvironmentFaultError, match="locked"):
            promote(impatient, "w2", "w1")


def test_a_file_that_is_no_registry_is_told(tmp_path: Path) -> None:
    """Text, a directory, another program's database and a later schema get one sentence each."""
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to be taken for the header of one " * 20)
    foreign = tmp_path / "foreign"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE shopping (item TEXT)")
    later = Registry(tmp_path / "later")
    promote(later, "w1", None)
    with closing(sqlite3.connect(later.path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(BadInputError, match="not a sound registry"):
        Registry(text).champion("town", "champion")
    with pytest.raises(EnvironmentFaultError, match="cannot be used now"):
        Registry(tmp_path).versions()
    with pytest.raises(BadInputError, match="another program"):
        promote(Registry(foreign), "w1", None)
    with pytest.raises(BadInputError, match="schema version 99, expected 1"):
        later.history()


def test_a_read_only_registry_is_read_and_refuses_to_move() -> None:
    """One sentence, nothing changed."""
    with TemporaryDirectory() as directory:
        registry = Registry(Path(directory) / "registry.sqlite")
        promote(registry, "w1", None)
        before = registry.ledger.path.read_bytes()
        Path(directory).chmod(0o555)
        for file in Path(directory).iterdir():
            file.chmod(0o444)
        asked = [sys.executable, "-c", READ_ONLY, str(registry.path)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        Path(directory).chmod(0o755)

        assert ("w1 ResourceFaultError", "") == (done.stdout.strip(), done.stderr)
        assert before == registry.ledger.path.read_bytes()


READ_ONLY = """
import os, sys
from pathlib import Path
from townlet.errors import TownletError
from townlet.store.registry.registry import Registry
if os.getuid() == 0:
    os.setuid(65534)  # root may write what is read-only
found = Registry(Path(sys.argv[1]), patience=0.1)
sys.stdout.write(found.champion("town", "champion").weights)
try:
    found.promote("town", "champion", target="w2", expected="w1", evidence=None, run="r", head="h", metadata={})
except TownletError as error:
    sys.stdout.write(" " + type(error).__name__)
"""
