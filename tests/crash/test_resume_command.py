"""`resume` goes on, tells a finished run without touching it, and refuses what was edited, damaged or foreign."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from stage import KilledError, facade

from townlet.cli import run_command
from townlet.dto.journal import Entry, OperatorCommand, ProcessStarted
from townlet.errors import BadInputError, HoldError, JournalBrokenError
from townlet.machine.journal.chain import read
from townlet.policy.model.blas import kernel_name
from townlet.policy.training import fingerprint, launch
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.rederive import replay_run
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory

EDIT = ("below: 4", "below: 5")


def cut_after(home: Path, kind: str) -> RunDirectory:
    """Begin a run and let its process die after the second record of a kind."""
    walker = facade(home)
    seen: list[Entry] = []

    def listen(entry: Entry) -> None:
        seen.append(entry)
        if [each.record.kind for each in seen].count(kind) == 2:
            raise KilledError

    walker.listen = listen
    with pytest.raises(KilledError):
        walker.run()
    return RunDirectory.find(home, "latest")


def edit(path: Path) -> None:
    """Allow one round more."""
    text = path.read_text(encoding="utf-8")
    assert EDIT[0] in text
    path.write_text(text.replace(*EDIT), encoding="utf-8")


def records(run: RunDirectory) -> list[object]:
    """Return what the journal says."""
    return [entry.record for entry in read(run.journal, run.head, catalogue()).entries]


def everything(home: Path) -> dict[str, bytes]:
    """Return every file of a home with its bytes."""
    return {str(path): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def test_a_finished_run_is_told_and_not_touched(tmp_path: Path) -> None:
    """Not one byte changes, and the summary is the same."""
    home = tmp_path / "home"
    first = facade(home).run()
    before = everything(home)
    again = facade(home).resume("latest")
    assert before == everything(home)
    assert (first.semantic_hash, first.state, first.head) == (again.semantic_hash, again.state, again.head)


@pytest.mark.parametrize("which", ["the original", "the run's copy"])
def test_an_edited_schedule_is_refused_with_the_difference(tmp_path: Path, which: str) -> None:
    """Neither the file it came from nor the copy in the run may change unnoticed."""
    home = tmp_path / "home"
    run = cut_after(home, "guards")
    walker = facade(home)
    assert isinstance(walker.config, Path)
    edit(walker.config if which == "the original" else run.schedule)
    with pytest.raises(BadInputError, match=r"(?s)was edited since.*--accept-schedule.*-.*below: 4.*\+.*below: 5"):
        walker.resume("latest")
    done = walker.resume("latest", accept_schedule=True)
    assert "done" == done.state
    (accepted,) = [r for r in records(run) if isinstance(r, OperatorCommand)]
    assert "accept_schedule" == accepted.command
    assert "below: 5" in run.schedule.read_text(encoding="utf-8")
    assert replay_run(run, home, source=EnvironmentSource(passed=walker.environments)).clean


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [("seed: 7", "seed: 8", "seed may not change"), ("worlds: 8", "worlds: 9", "environment")],
)
def test_what_the_journal_is_about_may_not_change(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """Seed, states and environment stay, accepted or not."""
    run = cut_after(tmp_path / "home", "guards")
    text = run.schedule.read_text(encoding="utf-8")
    run.schedule.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(BadInputError, match=complaint):
        facade(tmp_path / "home").resume("latest", accept_schedule=True)


def test_a_damaged_journal_is_refused_with_its_record(tmp_path: Path) -> None:
    """One changed byte, and the sequence number is named; the command exits with 5."""
    home = tmp_path / "home"
    run = cut_after(home, "guards")
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join([*lines[:3], lines[3].replace(b"0", b"1", 1), *lines[4:]]))
    with pytest.raises(JournalBrokenError, match="record 3 is not valid"):
        facade(home).resume("latest")
    assert 5 == run_command(["resume", "latest", "--home", str(home)])


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    """A chain that holds is not enough: it must be this directory's."""
    home = tmp_path / "home"
    run = cut_after(home, "guards")
    facts = json.loads((run.path / "run.json").read_bytes())
    (run.path / "run.json").write_text(json.dumps({**facts, "id": "another"}))
    with pytest.raises(JournalBrokenError, match="it belongs to run"):
        facade(home).resume("latest")
    run.journal.unlink()
    run.head.unlink()
    with pytest.raises(JournalBrokenError, match="record 0 is not valid"):
        facade(home).resume("latest")
    assert 2 == run_command(["resume", str(tmp_path), "--home", str(home)])


def test_another_machine_breaks_exactness_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that goes on records what changed."""
    home = tmp_path / "home"
    run = cut_after(home, "guards")
    before = dict(fingerprint.fingerprint())
    monkeypatch.setattr(fingerprint, "fingerprint", lambda: {**before, "numpy": "99.0"})
    facade(home).resume("latest")
    processes = [record for record in records(run) if isinstance(record, ProcessStarted)]
    assert [({}, "exact"), ({"numpy": f"{before['numpy']} → 99.0"}, "none")] == [
        (dict(process.changed), process.promise) for process in processes
    ]


RESUME = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from stage import facade
facade(Path(sys.argv[1])).resume("latest")
"""


def test_another_matrix_kernel_breaks_exactness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real process with another OpenBLAS kernel and fewer vector instructions, as another processor would have."""
    here = kernel_name()
    if here == "unknown" or platform.machine() != "x86_64":
        pytest.skip("numpy computes matrix products with another BLAS here")
    home, other = tmp_path / "home", "Nehalem" if here == "Haswell" else "Haswell"
    run = cut_after(home, "guards")
    environment = {**os.environ, "OPENBLAS_CORETYPE": other, "NPY_DISABLE_CPU_FEATURES": "FMA3 AVX2"}
    subprocess.run([sys.executable, "-c", RESUME, str(home), *sys.path], check=True, env=environment)
    first, second = (record for record in records(run) if isinstance(record, ProcessStarted))
    assert ({}, "exact") == (first.changed, first.promise)
    assert ("none", f"{here} → {other}") == (second.promise, second.changed["blas"])
    capsys.readouterr()
    for command in ("verify", "why"):
        assert 0 == run_command(["audit", command, "latest", "--home", str(home)])
        printed = capsys.readouterr().out.splitlines()
        assert "exactness is broken from here on" in printed[0]
        assert f"blas {here} → {other}" in printed[0]


def test_another_number_of_threads_breaks_exactness(tmp_path: Path) -> None:
    """A clone that is fitted on one thread has other bits than on two."""
    home = tmp_path / "home"
    run, here = cut_after(home, "guards"), os.environ.get("OMP_NUM_THREADS", "default")
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    subprocess.run([sys.executable, "-c", RESUME, str(home), *sys.path], check=True, env=environment)
    first, second = (record for record in records(run) if isinstance(record, ProcessStarted))
    assert ({}, "exact") == (first.changed, first.promise)
    assert ("none", {"threads": f"{here} → 3"}) == (second.promise, dict(second.changed))


def test_exactness_that_was_broken_stays_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back on the first machine the work of the second is still in the run."""
    home, own = tmp_path / "home", fingerprint.fingerprint()
    run = cut_after(home, "guards")
    seen: list[Entry] = []

    def listen(entry: Entry) -> None:
        seen.append(entry)
        if entry.record.kind == "guards":
            raise KilledError

    walker = facade(home)
    walker.listen = listen
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(fingerprint, "fingerprint", lambda: {**own, "cpu_features": own["cpu_features"] + " ZZZ"})
        with pytest.raises(KilledError):
            walker.resume("latest")
    facade(home).resume("latest")
    assert [({}, "exact"), ({"cpu_features": "nothing → ZZZ"}, "none"), ({}, "none")] == [
        (dict(record.changed), record.promise) for record in records(run) if isinstance(record, ProcessStarted)
    ]


def test_what_an_earlier_townlet_did_not_record_is_unknown_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A journal without the processor's features cannot promise exactness, and claims no change either."""
    home, own = tmp_path / "home", fingerprint.fingerprint()
    with monkeypatch.context() as earlier:
        fewer = {name: value for name, value in own.items() if name not in ("blas", "cpu_features", "torch_cpu")}
        earlier.setattr(launch, "fingerprint", lambda: fewer)
        run = cut_after(home, "guards")
    facade(home).resume("latest")
    last = [record for record in records(run) if isinstance(record, ProcessStarted)][-1]
    assert ({}, "unknown") == (last.changed, last.promise)
    assert 0 == run_command(["audit", "verify", "latest", "--home", str(home)])
    assert "exactness is unknown" in capsys.readouterr().out.splitlines()[0]


def test_a_system_without_affinity_counts_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """MacOS and Windows have no os.sched_getaffinity."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    fingerprint.fingerprint.cache_clear()
    assert str(os.cpu_count()) == fingerprint.fingerprint()["processors"]
    fingerprint.fingerprint.cache_clear()


def test_a_run_at_work_is_refused_to_others(tmp_path: Path) -> None:
    """The lock names its holder."""
    run = cut_after(tmp_path / "home", "guards")
    with run.lock(), pytest.raises(HoldError, match="is held by process"):
        facade(tmp_path / "home").resume("latest")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["approve", "latest"], "no command is possible any more"),
        (["hold", "latest"], "the run has ended (done)"),
        (["accept-risk", "latest", "promote", "--reason", "x"], "the run is not held"),
        (["retry", "nobody"], "neither a run directory"),
    ],
)
def test_an_order_that_fits_nothing_is_refused_at_the_door(
    tmp_path: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one sentence, and an empty inbox."""
    home = tmp_path / "home"
    facade(home).run()
    assert 2 == run_command([*words, "--home", str(home)])
    assert complaint in capsys.readouterr().err
    assert [] == list(RunDirectory.find(home, "latest").inbox.iterdir())
