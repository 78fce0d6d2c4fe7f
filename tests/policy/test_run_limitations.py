"""A real run says what it could not see: a KPI that no guard asks for got worse, and the report names it."""

from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve
from corridor import CorridorProvider
from corridor_runs import run_corridor

from townlet.cli import run_command
from townlet.dto.fields import Direction
from townlet.dto.guards import Verdict
from townlet.dto.limitations import RunLimitations
from townlet.machine.audit.limitations import find_limitations
from townlet.machine.journal.chain import read
from townlet.policy.training.strategies.base import catalogue
from townlet.report.limitations import limitation_lines
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that promotes a walker which never rests; nobody guards that both agents meet at the goal more often."""
    return RunDirectory.at(Path(run_corridor(tmp_path_factory.mktemp("corridor")).path))


def found(run: RunDirectory) -> RunLimitations:
    """Return what a run could not see, with its environment at hand."""
    strategies = catalogue()
    entries = read(run.journal, run.head, strategies).entries
    blobs = BlobStore(run.home(Path()) / "blobs")
    return find_limitations(run, entries, blobs, strategies, lambda spec: CorridorProvider().describe(spec.scenario))


def test_a_kpi_that_no_guard_asks_for_is_named_where_it_moved(run: RunDirectory) -> None:
    """`queue_intensity` rises, which is worse; `deaths` is always 0 and stays."""
    *_, visit = found(run).visits
    assert (("queue_intensity", "deaths"), 2, ()) == (visit.unguarded, visit.comparisons, visit.not_compared)
    (move,) = visit.moves
    assert ("queue_intensity", Direction.LOWER, "champion") == (move.metric, move.direction, move.baseline)
    assert 0 < move.low < move.difference < move.high
    text = "\n".join(limitation_lines(found(run), visit))
    assert f"worse than champion: queue_intensity by {move.difference:.4g} per agent-day [" in text


def test_each_guard_on_evidence_says_what_it_could_detect(run: RunDirectory) -> None:
    """`better` passed, far beyond the difference that it detects; `worse` looks to the other side."""
    *_, visit = found(run).visits
    better, worse = visit.guards
    assert ("better", Verdict.PASS, "worse", Verdict.FAIL) == (better.guard, better.verdict, worse.guard, worse.verdict)
    assert better.passes_at is not None
    assert worse.passes_at is not None
    assert better.difference is not None
    assert worse.passes_at < 0 < better.passes_at < better.difference
    (pair,) = visit.pairs
    assert ("return_per_agent_day", "champion", visit.episodes) == (pair.metric, pair.baseline, pair.pairs)
    assert visit.scope.training_lengths == ("ppo 4 days",)
    assert ("2 days", "greedy", 20) == (visit.scope.length, visit.scope.actions, visit.scope.other_episodes)


def test_audit_why_prints_it_below_the_reasons(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line cannot make this environment: the section says so, and leaves out what depends on it."""
    assert 0 == run_command(["audit", "why", str(run.path)])
    text = capsys.readouterr().out
    assert 1 == text.count("What this run could not see, from ")
    assert (
        text.index("evaluate (visit 1) →") < text.index("What this run could not see") < text.index("promote (visit 1)")
    )
    assert "the environment cannot be asked for directions and scenarios: unknown environment 'corridor'" in text
    assert "standard deviations inside the limit" in text
    assert "higher than champion: queue_intensity by " in text
    assert "worst episode" not in text
    assert 1 == text.count("a mean cannot show rare catastrophes")


def test_without_the_evidence_the_journal_alone_speaks(run: RunDirectory) -> None:
    """The blob is gone: differences in standard deviations stay, and the section names what is missing."""
    *_, visit = found(run).visits
    home = run.home(Path())
    evidence = next(
        stage
        for stage in BlobStore(home / "blobs").root.glob("sha256/*/*")
        if b'"evidence":"full"' in stage.read_bytes()
    )
    data = evidence.read_bytes()
    evidence.unlink()
    try:
        *_, without = found(run).visits
    finally:
        evidence.write_bytes(data)
    assert evidence.name in without.problem
    assert ((), (), ()) == (without.pairs, without.unguarded, without.moves)
    better, _ = without.guards
    assert better == evolve(visit.guards[0], detectable=None, passes_at=None)
    assert any("the evidence cannot be read" in line for line in limitation_lines(found(run), without))


def test_the_reasons_stand_without_a_schedule(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    """The run's copy and the stored one are gone: the journal still says why, and one line what is not known."""
    text = run.schedule.read_bytes()
    copies = run.schedule, BlobStore(run.home(Path()) / "blobs").path(sha256(text).hexdigest())
    for copy in copies:
        copy.unlink(missing_ok=True)
    try:
        assert 0 == run_command(["audit", "why", str(run.path), "evaluate"])
    finally:
        run.schedule.write_bytes(text)
    lines = capsys.readouterr().out.splitlines()
    assert any("  pass      better: " in line for line in lines)
    assert lines[-1].startswith("what this run could not see is not known: ")


def test_a_visit_without_a_better_policy_says_that_nothing_moved(tmp_path: Path) -> None:
    """Two rounds of next to no training: each has its own evidence, and no sentence calls anything better."""
    little = "{start_from: clone, agent_steps: 800, num_steps: 24, days: 4, learning_rate: 1.0e-3, minibatch_size: 256}"
    directory = RunDirectory.at(Path(run_corridor(tmp_path, ppo=little).path))
    limitations = found(directory)
    assert [1, 2] == [visit.visit for visit in limitations.visits]
    for visit in limitations.visits:
        better, worse = visit.guards
        assert (Verdict.FAIL, None) == (better.verdict, better.detectable_sd)
        assert worse.passes_at is not None
        assert worse.passes_at < 0
        text = "\n".join(limitation_lines(limitations, visit))
        assert "every pair differs by the same amount" in text
        assert "of 2 comparisons none moved by more than the interval" in text
        assert "better" not in text
