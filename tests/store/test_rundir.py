"""A run directory exists wholly or not at all, is found by path, prefix or latest, and is held by one process."""

import subprocess
import sys
from pathlib import Path

import pytest

from townlet.errors import BadInputError, EnvironmentFaultError, HoldError
from townlet.store import rundir
from townlet.store.rundir import RunDirectory

ASKER = """\
import sys
from pathlib import Path
from townlet.store.rundir import RunDirectory
run = RunDirectory.at(Path(sys.argv[1]))
print("asking", flush=True)
while True:
    run.is_locked()
"""
HOLDER = """
import sys
from pathlib import Path
from townlet.store.rundir import RunDirectory
with RunDirectory.at(Path(sys.argv[1])).lock():
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


def _create(home: Path, name: str = "walk") -> RunDirectory:
    return RunDirectory.create(home, name, b"schedule: townlet/v1\n", {"seed": 7})


def test_a_new_run_holds_its_schedule_its_facts_and_an_inbox(tmp_path: Path) -> None:
    """The schedule is kept byte for byte; no journal exists before its first record."""
    run = _create(tmp_path)

    assert ["inbox", "run.json", "schedule.yaml"] == sorted(path.name for path in run.path.iterdir())
    assert b"schedule: townlet/v1\n" == run.schedule.read_bytes()
    assert (7, run.id) == (run.metadata()["seed"], run.metadata()["id"])
    assert run.path == tmp_path / "runs" / run.id
    assert not run.journal.exists()


def test_an_explicit_directory_that_exists_is_refused(tmp_path: Path) -> None:
    """Nothing is ever written into a directory that was there before, even an empty one."""
    (tmp_path / "mine").mkdir()

    with pytest.raises(BadInputError, match="exists already"):
        RunDirectory.create(tmp_path, "walk", b"", {}, target=tmp_path / "mine")

    assert [] == list((tmp_path / "mine").iterdir())


def test_an_explicit_directory_keeps_the_generated_id(tmp_path: Path) -> None:
    """A run is named by its id wherever its directory stands, so that two runs never share one in the registry."""
    run = RunDirectory.create(tmp_path, "walk", b"", {}, target=tmp_path / "mine")

    assert "mine" == run.path.name
    assert "-walk-" in run.id
    assert run == RunDirectory.find(tmp_path, str(tmp_path / "mine"))


def test_a_creation_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses in the middle, no run exists and no half of one stays."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rundir, "write_atomic", refuse)

    with pytest.raises(EnvironmentFaultError, match="cannot create this run directory"):
        _create(tmp_path)

    assert [] == list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "ü" * 3])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    """The schedule's name becomes part of a path and must be harmless there."""
    with pytest.raises(BadInputError, match="cannot name a run"):
        _create(tmp_path, name)


def test_latest_is_the_run_created_last(tmp_path: Path) -> None:
    """Also within one second, where the ids alone do not tell the order."""
    runs = [_create(tmp_path) for _ in range(5)]

    assert runs[-1] == RunDirectory.find(tmp_path, "latest")


def test_a_staging_directory_is_no_run(tmp_path: Path) -> None:
    """What a crash left behind during creation is ignored."""
    run = _create(tmp_path)
    run.path.rename(tmp_path / "runs" / f".staging-{run.id}")

    with pytest.raises(BadInputError, match="there is no run yet"):
        RunDirectory.find(tmp_path, "latest")


def test_a_prefix_finds_its_run_and_an_ambiguous_one_names_the_matches(tmp_path: Path) -> None:
    """The beginning of an id is enough as long as only one run has it."""
    one, two = _create(tmp_path), _create(tmp_path)

    assert one == RunDirectory.find(tmp_path, one.id)
    assert two == RunDirectory.find(tmp_path, two.id[:-1] if two.id[:-1] != one.id[:-1] else two.id)
    with pytest.raises(BadInputError) as caught:
        RunDirectory.find(tmp_path, "2")
    assert one.id in str(caught.value)
    assert two.id in str(caught.value)


@pytest.mark.parametrize("which", ["", "unknown", "latest", "/nowhere/at/all", "."])
def test_what_is_no_run_is_told(tmp_path: Path, which: str) -> None:
    """An unknown run gets one sentence."""
    with pytest.raises(BadInputError, match="run"):
        RunDirectory.find(tmp_path / "home", which)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": 3}', "\udcff"])
def test_broken_facts_are_told(tmp_path: Path, text: str) -> None:
    """A damaged run.json is bad input that names the file."""
    run = _create(tmp_path)
    (run.path / "run.json").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(BadInputError, match=r"run\.json"):
        RunDirectory.at(run.path)


def test_a_second_process_is_refused_by_pid_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    """The lock names its holder; when the holder is killed, the file it left is no lock."""
    run = _create(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert "held\n" == holder.stdout.readline()
        with pytest.raises(HoldError, match=f"held by process {holder.pid};"), run.lock():
            pass
        holder.kill()
        holder.wait()

    with run.lock():
        assert (run.path / "lock").is_file()


def test_a_deleted_lock_file_lets_no_second_process_in(tmp_path: Path) -> None:
    """The directory itself is locked too; a killed process holds nothing."""
    run = _create(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert "held\n" == holder.stdout.readline()
        (run.path / "lock").unlink()
        with pytest.raises(HoldError, match="its lock file was deleted"), run.lock():
            pass
        holder.kill()
        holder.wait()

    with run.lock():
        pass


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    """One process may take the run up again after it has let go, but not while it holds it."""
    run = _create(tmp_path)
    with run.lock(), pytest.raises(HoldError), run.lock():
        pass
    with run.lock():
        pass


def test_asking_who_works_on_a_run_tells_without_locking_it(tmp_path: Path) -> None:
    """Another process, this one, nobody; whoever asks again and again keeps nobody from beginning."""
    run = _create(tmp_path)
    assert run.is_locked() is False
    with run.lock():
        assert run.is_locked() is True
    assert run.is_locked() is False
    with subprocess.Popen([sys.executable, "-c", ASKER, str(run.path)], stdout=subprocess.PIPE, text=True) as asker:
        assert asker.stdout is not None
        assert "asking\n" == asker.stdout.readline()
        for _ in range(200):
            with run.lock():
                pass
        asker.kill()


def test_a_run_that_is_gone_does_not_say_who_works_on_it(tmp_path: Path) -> None:
    """No answer is neither yes nor no."""
    assert RunDirectory(tmp_path / "nowhere", "id").is_locked() is None
