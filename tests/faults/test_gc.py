"""`townlet gc` frees what nothing names, and nothing else."""

import json
import os
import resource
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve
from fakes import Bench
from homes import Town

from townlet.cli import run_command
from townlet.dto.journal import Checkpoint, Entry, JournalRecord, OperatorCommand
from townlet.dto.quantities import parse_bytes
from townlet.dto.schedule import BudgetSpec
from townlet.machine.audit.gc import live_digests, open_checkpoint
from townlet.machine.audit.verify import verify
from townlet.machine.engine.budget import hold_reason
from townlet.machine.engine.inbox import send
from townlet.machine.journal.chain import Journal
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory


def collect(town: Town, *words: str) -> int:
    """Run gc on a home."""
    return run_command(["gc", *words, "--home", str(town.home)])


def let_time_pass(town: Town) -> None:
    """Make every blob a second older: what is as young as the sweep is spared, and a clock may tick only every 4 ms."""
    for blob in town.blobs.root.glob("sha256/*/*"):
        stamp = blob.stat()
        os.utime(blob, ns=(stamp.st_atime_ns, stamp.st_mtime_ns - 10**9))


def test_what_nothing_names_goes(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says how much and frees nothing; then exactly the stray blob goes and every audit stays clean."""
    let_time_pass(town)
    assert 0 == collect(town)  # what finished visits went on from
    capsys.readouterr()
    stray, before = town.blobs.put(b"stray" * 1000), town.blobs.size()
    let_time_pass(town)
    assert 0 == collect(town, "--dry-run", "--json")
    assert {"blobs": 1, "bytes": 5000} == {k: v for k, v in json.loads(capsys.readouterr().out).items() if k[0] == "b"}
    assert before == town.blobs.size()

    assert 0 == collect(town)
    assert "freed 5,000 bytes in 1 blobs" in capsys.readouterr().out
    assert before - 5000 == town.blobs.size()
    assert not town.blobs.has(stray)
    assert all(verify(town.run(index), town.blobs, catalogue()).clean for index in (0, 1))


def test_what_the_registry_names_stays_without_its_run(town: Town) -> None:
    """The run directory was removed by hand; weights and evidence of its promotion stay, so that rolling back works."""
    for file in sorted(town.run(0).path.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    assert 0 == collect(town)
    assert 0 == run_command(["registry", "rollback", "given", "--reason", "r", "--home", str(town.home)])


def test_a_run_at_work_is_left_alone(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """It may have stored what it has not named yet: exit code 3, and nothing goes."""
    stray = town.blobs.put(b"stray")
    with town.run(0).lock():
        assert 3 == collect(town)
    assert "is held by process" in capsys.readouterr().err
    assert town.blobs.has(stray)


def test_a_broken_journal_frees_nothing(town: Town) -> None:
    """Nobody knows what it would have named."""
    stray = town.blobs.put(b"stray")
    head = town.run(0).head
    head.write_text("{}")
    assert 5 == collect(town)
    assert town.blobs.has(stray)


def test_a_run_elsewhere_keeps_its_blobs(tmp_path: Path) -> None:
    """A run created outside the home is known to it; where it is gone, gc asks instead of freeing."""
    town = Town(tmp_path / "home")
    town.walk("slow", directory=tmp_path / "far")
    assert 0 == collect(town)
    assert verify(RunDirectory.at(tmp_path / "far"), town.blobs, catalogue()).clean
    (tmp_path / "far").rename(tmp_path / "farther")
    before = town.blobs.size()
    assert 2 == collect(town)
    assert before == town.blobs.size()


def test_a_resumed_run_finds_all_it_needs(tmp_path: Path) -> None:
    """After every record of a run, whatever is not named is removed, and the run ends with the same bits."""
    undisturbed = Bench(tmp_path / "one")
    undisturbed.walk()
    bench, freed = Bench(tmp_path / "two"), 0

    for _ in range(len(undisturbed.journal().entries)):
        dies_at = len(bench.journal().entries) + 2

        def listen(entry: Entry, dies_at: int = dies_at) -> None:
            if entry.seq == dies_at:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            bench.engine(listen).run()
        keep = live_digests(bench.journal().entries, b"", bench.school.blobs)
        keep |= {version.weights for version in bench.registry.versions()}
        freed += bench.school.blobs.sweep(keep, bench.school.blobs.mark() + 1)[0]
    bench.walk()

    assert undisturbed.journal().semantic == bench.journal().semantic
    assert freed > 0


def test_superseded_checkpoints_go_and_the_last_open_one_stays(tmp_path: Path) -> None:
    """Of an open visit the last checkpoint stays; once the visit is finished none does."""
    bench = Bench(tmp_path)

    def listen(entry: Entry) -> None:
        record = entry.record
        if isinstance(record, Checkpoint) and (record.state, record.step) == ("ppo", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.engine(listen).run()
    entries = bench.journal().entries
    first, second = (e.record.blob for e in entries if isinstance(e.record, Checkpoint))
    assert second == open_checkpoint(entries)
    assert (False, True) == tuple(d in live_digests(entries, b"", bench.school.blobs) for d in (first, second))

    bench.walk()
    entries = bench.journal().entries
    assert open_checkpoint(entries) is None
    assert second not in live_digests(entries, b"", bench.school.blobs)


def test_a_disk_budget_holds_before_the_next_visit(tmp_path: Path) -> None:
    """The run holds, it does not fail; once blobs are freed the same question is answered with go on."""
    bench = Bench(tmp_path)
    spec = evolve(bench.plan.schedule, budget=BudgetSpec(disk=parse_bytes("1MiB")))
    bench.plan = evolve(bench.plan, schedule=spec)
    bench.school.blobs.put(bytes(2**20))
    state = bench.walk()

    assert "hold" == state.state
    assert state.reason.startswith("beyond the budget of disk")
    bench.school.blobs.sweep(frozenset(), bench.school.blobs.mark() + 1)
    fresh = Bench(tmp_path / "fresh").engine().state
    blobs = bench.school.blobs
    now = evolve(fresh, created_at="2026-11-01T00:00:00+00:00")
    assert "" == hold_reason(now, spec.budget, bench.clock(), blobs)


def test_a_disk_budget_holds_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system must have room for what the budget still allows; an operator makes room and retries."""
    bench = Bench(tmp_path)
    bench.plan = evolve(bench.plan, schedule=evolve(bench.plan.schedule, budget=BudgetSpec(disk=2**20)))
    real = os.statvfs

    def almost_full(path: str | os.PathLike[str]) -> os.statvfs_result:
        found = list(real(path))
        found[1], found[4] = 4096, 100  # f_frsize and f_bavail
        return os.statvfs_result(found)

    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", almost_full)
        state = bench.walk()
    assert ("hold", "the disk is almost full: 409600B free, expected 1048576B") == (state.state, state.reason)
    assert "visit_started" not in bench.kinds()
    (bench.home / "inbox").mkdir()
    send(bench.home / "inbox", OperatorCommand(command="retry", actor="ada"))
    assert "done" == bench.walk().state


def test_a_run_whose_metadata_is_lost_keeps_its_data(town: Town) -> None:
    """Its journal still names them; a directory that nobody can read stops the sweep."""
    let_time_pass(town)
    assert 0 == collect(town)
    run, before = town.run(1), town.blobs.size()
    (town.home / "registry.sqlite").unlink()
    (town.home / "registry.jsonl").unlink()
    metadata = (run.path / "run.json").read_bytes()
    (run.path / "run.json").unlink()
    assert 0 == collect(town)
    assert before == town.blobs.size()
    (run.path / "run.json").write_bytes(metadata)
    assert verify(run, town.blobs, catalogue()).clean

    (town.home / "runs" / "stray").mkdir()
    (town.home / "runs" / "stray" / "notes.txt").write_text("mine")
    assert 2 == collect(town)
    assert before == town.blobs.size()


def test_a_run_that_is_being_created_keeps_its_blobs(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep between its first blob and its first record removes nothing, and says why."""
    codes = []
    create = Journal.append

    def append(self: Journal, record: JournalRecord) -> Entry:
        if not self.entries and not codes:
            let_time_pass(town)
            codes.append(collect(town))
        return create(self, record)

    monkeypatch.setattr(Journal, "append", append)
    town.walk("slow")
    assert [3] == codes
    assert verify(town.run(2), town.blobs, catalogue()).clean


def test_a_sweep_holds_one_run_at_a_time(town: Town) -> None:
    """A home may have more runs than a process may open files."""
    source = town.run(0)
    for number in range(80):
        copy = town.home / "runs" / f"copy-{number}"
        shutil.copytree(source.path, copy)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(tuple(Path("/proc/self/fd").iterdir())) + 40, hard))
    try:
        assert 0 == collect(town, "--dry-run")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
