"""Real processes, really killed: at random moments, by one signal and by two, and side by side."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from townlet.cli import run_command
from townlet.dto.journal import Entry, VisitFinished
from townlet.machine.audit.verify import verify
from townlet.machine.journal.chain import read
from townlet.policy.training.rederive import replay_run
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory

pytestmark = [
    pytest.mark.slow,
]
TINY = Path(__file__).parent / "tiny.yaml"
KILLS = int(os.environ.get("TOWNLET_KILLS", "5"))
"""How many processes die at random moments; `tox -e soak` asks for 200."""
PER_RUN = 5
# A shell starts its background jobs deaf to SIGINT, and the tests may be one of them.
DOOR = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from townlet.cli import main; main()"


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    """Start `townlet` in a home."""
    command = [sys.executable, "-c", DOOR, *words, "--home", str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return a process's exit status and all it said."""
    said, _ = process.communicate(timeout=300)
    return process.returncode, said


def next_words(home: Path) -> tuple[str, ...]:
    """Return the command that goes on with the run of a home, or begins it where none exists yet."""
    runs = list((home / "runs").glob("[0-9]*")) if home.exists() else []
    return ("resume", "latest") if runs else ("run", str(TINY))


def go_on(home: Path) -> subprocess.Popen[str]:
    """Go on with the run of a home in a process of its own."""
    return start(home, *next_words(home))


def here(home: Path, *words: str) -> int:
    """Run `townlet` in the tests' own process, which is another one than those that are killed; return its code."""
    return run_command([*words, "--home", str(home)])


def entries_of(home: Path) -> tuple[Entry, ...]:
    """Return the records of a home's run."""
    run = RunDirectory.find(home, "latest")
    return read(run.journal, run.head, catalogue()).entries


def count(home: Path, kind: str, state: str | None) -> int:
    """Return how many records of a kind, of visits to a state where one is named, a home's journal has."""
    lines = [line for path in home.glob("runs/[0-9]*/journal.jsonl") for line in path.read_bytes().splitlines()]
    words = [f'"kind":"{kind}"'.encode(), b"" if state is None else f'"state":"{state}"'.encode()]
    return sum(all(word in line for word in words) for line in lines)


def outcome(home: Path) -> tuple[str, str | None]:
    """Return a run's semantic hash and the weights in force."""
    run = RunDirectory.find(home, "latest")
    version = Registry(run.registry).champion("tiny", "champion")
    return read(run.journal, run.head, catalogue()).semantic, None if version is None else version.weights


def wait_for_records(home: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until the journal has so many lines, or the process ends."""
    while process.poll() is None:
        journals = list(home.glob("runs/[0-9]*/journal.jsonl"))
        if journals and journals[0].read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run that nobody disturbed."""
    home = tmp_path_factory.mktemp("undisturbed")
    assert 0 == here(home, "run", str(TINY))
    return home


@pytest.mark.parametrize("walk", range(-(-KILLS // PER_RUN)))
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path, undisturbed: Path, walk: int) -> None:
    """SIGKILL some records and some milliseconds after each start; at the end the same weights, hash and promotion."""
    random, killed, records, least = Random(walk), 0, len(entries_of(undisturbed)), 2
    for _ in range(min(PER_RUN, KILLS - walk * PER_RUN)):
        done = len(entries_of(tmp_path)) if list(tmp_path.glob("runs/[0-9]*")) else 0
        process = go_on(tmp_path)
        more = random.randint(least, max(3, records // 3))
        least = 3 if more == 2 else 2  # three deaths in a row before a visit's first checkpoint would hold the run
        wait_for_records(tmp_path, done + more, process)
        time.sleep(random.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        end(process)
        killed += process.returncode == -signal.SIGKILL
    assert 0 == here(tmp_path, *next_words(tmp_path))
    assert killed > 0
    assert outcome(undisturbed) == outcome(tmp_path)
    run = RunDirectory.find(tmp_path, "latest")
    assert 1 == len(Registry(run.registry).history())
    assert () == verify(run, BlobStore(tmp_path / "blobs"), catalogue()).problems
    assert () == replay_run(run, tmp_path).differences


def test_a_run_killed_right_after_four_records_ends_with_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    """Inside ppo, at its beginning and after its last checkpoint, and inside promote; each time the next goes on."""
    checkpoints = count(undisturbed, "checkpoint", "ppo")
    assert checkpoints > 1
    for kind, state, times in (
        ("visit_started", "ppo", 1),
        ("checkpoint", "ppo", checkpoints),
        ("effect_intent", None, 1),
        ("effect_done", None, 1),
    ):
        process = go_on(tmp_path)
        while process.poll() is None and count(tmp_path, kind, state) < times:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        end(process)
    assert 0 == here(tmp_path, *next_words(tmp_path))
    assert outcome(undisturbed) == outcome(tmp_path)


def test_one_signal_stops_where_the_run_can_go_on(tmp_path: Path, undisturbed: Path) -> None:
    """The documented exit codes, a journal that says so each time, and the same bits after both resumes."""
    records = 2
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = go_on(tmp_path)
        wait_for_records(tmp_path, records + 2, process)
        process.send_signal(number)
        found, said = end(process)
        assert code == found, said
        assert "go on with: townlet resume" in said
        assert "operator" == entries_of(tmp_path)[-1].record.kind
        records = len(entries_of(tmp_path))
    assert 0 == here(tmp_path, "resume", "latest")
    assert outcome(undisturbed) == outcome(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_kills_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """By the system's own hand, so that nothing in the process can delay it; the journal can be gone on with."""
    long = tmp_path / "long.yaml"
    long.write_text(TINY.read_text().replace("episodes: 8, days: 2", "episodes: 64, days: 3000"))
    process = start(tmp_path, "run", str(long))
    wait_for_records(tmp_path, 3, process)
    process.send_signal(number)
    assert process.stdout is not None
    while "stopping at the next safe point" not in (line := process.stdout.readline()):
        assert line, "the run ended before it noted the first signal"
    process.send_signal(number)
    end(process)
    assert -number == process.returncode
    assert "visit_started" == entries_of(tmp_path)[-1].record.kind


def test_a_second_process_is_refused_and_a_dead_ones_lock_is_none(
    tmp_path: Path, undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names the pid; after SIGKILL the lock file is still there and holds nobody up."""
    process = start(tmp_path, "run", str(TINY))
    wait_for_records(tmp_path, 3, process)
    assert 3 == here(tmp_path, "resume", "latest")
    assert f"held by process {process.pid}" in capsys.readouterr().err
    process.send_signal(signal.SIGKILL)
    end(process)
    assert (RunDirectory.find(tmp_path, "latest").path / "lock").exists()
    assert 0 == here(tmp_path, "resume", "latest")
    assert outcome(undisturbed) == outcome(tmp_path)


def test_an_order_reaches_a_running_process(tmp_path: Path) -> None:
    """`townlet hold` from another terminal: the run holds before its next visit, `retry` and resume end it."""
    process = start(tmp_path, "run", str(TINY))
    wait_for_records(tmp_path, 3, process)
    assert 0 == here(tmp_path, "hold", "latest", "--reason", "lunch")
    code, said = end(process)
    assert 3 == code, said
    assert "lunch" in said
    assert 0 == here(tmp_path, "retry", "latest")
    assert 0 == here(tmp_path, "resume", "latest")
    assert 5 == len([e for e in entries_of(tmp_path) if isinstance(e.record, VisitFinished)])
