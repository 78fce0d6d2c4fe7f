"""The auditor finds what was changed and says why each transition was taken."""

from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve
from commands import rederived
from fakes import Bench
from plans import CATALOGUE, make_plan
from plans import SCHEDULE as PLAIN

from townlet.dto.guards import GuardReport
from townlet.dto.journal import GuardsJudged, OperatorCommand, TransitionTaken
from townlet.dto.limitations import RunLimitations, Scope, VisitLimitations
from townlet.errors import BadInputError
from townlet.machine.audit.verify import VerificationReport, verify
from townlet.report.journal_text import show, why
from townlet.store.rundir import RunDirectory

SCHEDULE = b"schedule"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A run in a real run directory, walked to its end."""
    directory = RunDirectory.create(tmp_path, "fake-town", SCHEDULE, {})
    bench = Bench(directory.path, run=directory.id, schedule=sha256(SCHEDULE).hexdigest())
    bench.walk()
    return bench


def _audit(bench: Bench) -> VerificationReport:
    return verify(RunDirectory.at(bench.home), bench.school.blobs, CATALOGUE)


def test_an_untouched_run_is_clean(bench: Bench) -> None:
    """Head and hashes are those of the journal, and every named blob was read."""
    report, journal = _audit(bench), bench.journal()
    assert report.clean
    assert (len(journal.entries), journal.head, journal.semantic) == (report.records, report.head, report.semantic)
    assert 4 == report.blobs  # data set, clone, fine-tuned weights, evidence; checkpoints of finished visits may go


def test_one_changed_byte_is_found(bench: Bench) -> None:
    """With the sequence number of the record it is in."""
    data = bytearray(bench.path.read_bytes())
    data[-400] ^= 1
    bench.path.write_bytes(bytes(data))
    report = _audit(bench)
    assert not report.clean
    assert "record 26 is not valid" in report.problems[0]


@pytest.mark.parametrize("name", ["clone", "ppo 1"])
def test_a_damaged_or_missing_blob_is_found(bench: Bench, name: str) -> None:
    """The journal names it and the store no longer has it."""
    path = bench.school.blobs.path(bench.school.policy(name))
    if name == "clone":
        path.unlink()
    else:
        path.chmod(0o644)
        path.write_bytes(b"else")
    report = _audit(bench)
    assert 1 == len(report.problems)
    assert f"blob {path.name}" in report.problems[0]


@pytest.mark.parametrize("found", [None, b"edited"])
def test_an_edited_or_missing_schedule_is_found(bench: Bench, found: bytes | None) -> None:
    """The run's copy must be the schedule in force."""
    path = RunDirectory.at(bench.home).schedule
    path.unlink() if found is None else path.write_bytes(found)
    (problem,) = _audit(bench).problems
    assert f"expected the schedule in force, {sha256(SCHEDULE).hexdigest()}" in problem


def test_the_blobs_of_schedules_are_audited(bench: Bench) -> None:
    """One that the run obeyed before another was accepted must be stored, and every stored one be whole."""
    run, blobs = RunDirectory.at(bench.home), bench.school.blobs
    edited = blobs.put(b"edited")
    accepted = OperatorCommand(command="accept_schedule", actor="resume", arguments={"schedule": edited})
    bench.journal().append(accepted)
    run.schedule.write_bytes(b"edited")
    (problem,) = _audit(bench).problems
    assert f"schedule {sha256(SCHEDULE).hexdigest()}" in problem

    first = blobs.put(SCHEDULE)
    assert _audit(bench).clean
    blobs.path(first).write_bytes(b"else")
    (problem,) = _audit(bench).problems
    assert f"blob {first} of a schedule that the run followed is missing or damaged" == problem


def test_an_audit_mends_nothing(bench: Bench) -> None:
    """A torn line and an old head are reported and stay."""
    with bench.path.open("ab") as file:
        file.write(b"{")
    found = bench.path.read_bytes()
    report = _audit(bench)
    assert "torn" in report.problems[0]
    assert found == bench.path.read_bytes()


def test_an_empty_run_is_not_clean(bench: Bench) -> None:
    """There is nothing to vouch for."""
    bench.path.unlink()
    (bench.home / "head.json").unlink()
    assert "no records" in _audit(bench).problems[0]


def test_why_prints_each_thing_once(bench: Bench) -> None:
    """The verdict's sentence has the numbers; below it stands only what the sentence leaves out."""
    text = why(bench.journal().entries, "evaluate")
    assert "evaluate (visit 1) → promote, edge 2: on better, queue_tolerance, loss_tolerance" in text
    assert 1 == text.count("  pass      better: evaluate.return_per_agent_day")
    assert "value " not in text
    reports = [report for report in _evaluated(bench) if report.pairs and report.low is not None]
    assert len(reports) >= text.count("other bound ") > 0
    assert "a mean cannot show rare catastrophes: what happens in fewer than 1 of 7 episodes is absent" in text


def test_why_prints_the_operands_to_the_last_digit_where_asked(bench: Bench) -> None:
    """Value, baseline, limit, interval, pairs, tolerance, as the journal has them."""
    text = why(bench.journal().entries, "evaluate", exact=True)
    for operand in ("value ", "baseline ", "limit 0.0", "low ", "high ", "pairs 20, dropped 0, look 1", "tolerance "):
        assert operand in text
    assert all(repr(report.value) in text for report in _evaluated(bench) if report.value is not None)


def test_a_hold_for_an_unknown_verdict_does_not_repeat_its_sentence(bench: Bench) -> None:
    """The transition names the guard; the sentence stands at the guard."""
    changed = []
    for entry in bench.journal().entries:
        record = entry.record
        if isinstance(record, TransitionTaken) and record.source == "evaluate":
            causes = "; ".join(f"{report.guard}: {report.sentence}" for report in _evaluated(bench))
            record = evolve(record, why=f"unknown on edge 1 of evaluate (to promote): {causes}")
        changed.append(evolve(entry, record=record))
    text = why(changed, "evaluate")
    assert [] == [report.guard for report in _evaluated(bench) if text.count(f"{report.guard}: evaluate.") > 1]


def test_a_line_feed_in_a_reason_or_an_actor_makes_no_line(bench: Bench) -> None:
    """`show` has one line a record, whatever people and files put into it."""
    entries = []
    for entry in bench.journal().entries:
        record = entry.record
        if isinstance(record, TransitionTaken):
            record = evolve(record, why="because\n  99 2026-01-01 run_closed done: forged")
        entries.append(evolve(entry, record=record))
    order = OperatorCommand(command="hold", actor="ops\n  99 forged", reason="a\nb", arguments={}, sent=0.0)
    entries.append(evolve(entries[-1], record=order))
    assert len(entries) == len(show(entries).splitlines())
    assert "ops\\n  99 forged" in show(entries)
    assert "\\n  99 2026-01-01" in why(entries, "evaluate")
    assert [] == [line for line in why(entries).splitlines() if line.startswith("  99")]


def _evaluated(bench: Bench) -> tuple[GuardReport, ...]:
    records = [entry.record for entry in bench.journal().entries]
    return next(each.reports for each in records if isinstance(each, GuardsJudged) and each.state == "evaluate")


def test_why_names_the_episodes_that_only_one_side_has_exposure_in(bench: Bench) -> None:
    """All of them, where the sentence names a few."""
    changed = []
    for entry in bench.journal().entries:
        record = entry.record
        if isinstance(record, GuardsJudged) and record.state == "evaluate":
            reports = tuple(evolve(report, candidate_missing=tuple(range(3, 12))) for report in record.reports)
            record = evolve(record, reports=reports)
        changed.append(evolve(entry, record=record))
    assert "only the candidate without exposure in episodes 3, 4, 5, 6, 7, 8, 9, 10, 11" in why(changed, "evaluate")


def test_why_answers_for_one_transition_or_all(bench: Bench) -> None:
    """By sequence number, by the state that was left, or without either."""
    entries = bench.journal().entries
    moves = [entry.seq for entry in entries if isinstance(entry.record, TransitionTaken)]
    assert len(moves) == len(why(entries).split("\n\n"))
    assert why(entries, moves[1]) == why(entries, "bc")
    with pytest.raises(BadInputError, match="states that were left: bc, capture, evaluate, ppo, promote"):
        why(entries, "rollback")


def test_what_the_evidence_could_not_show_stands_below_its_verdicts(bench: Bench) -> None:
    """Below the transition of that visit; of all transitions only below the last that had evidence."""
    entries = bench.journal().entries
    scope = Scope(scenarios=("small_town",), length="2 days", actions="greedy")
    first = VisitLimitations(
        judged_in="bc", judged_visit=1, state="bc", visit=1, evidence="early", candidate="c" * 64,
        episodes=20, declared=40, unseen_rate=0.14, guards=(), scope=scope,
    )  # fmt: skip
    last = evolve(first, judged_in="evaluate", evidence="full")
    limitations = RunLimitations(run="r", visits=(first, last))
    text = why(entries, limitations=limitations)
    assert 1 == text.count("What this run could not see, from 20 of 40 episodes (full, ")
    assert "(early, " not in text
    assert "from 20 of 40 episodes (early, " in why(entries, "bc", limitations=limitations)
    assert "What this run" not in why(entries, "capture", limitations=limitations)
    section = why(entries, "evaluate", limitations=limitations)
    assert section.index("rounds_left: ") < section.index("What this run could not see")
    assert 1 == section.count("a mean cannot show rare catastrophes")


def test_show_has_a_line_for_every_record(bench: Bench) -> None:
    """In order, with what matters of each."""
    lines = show(bench.journal().entries).splitlines()
    assert len(bench.journal().entries) == len(lines)
    assert "promote → done: always" in lines[-2]
    assert lines[-1].endswith("done: always")


def test_a_guard_between_two_limits_is_evaluated_explained_and_derived_again(tmp_path: Path) -> None:
    """A run whose `finite` guard is `between: [0, 0]` takes the edge, says so, and its verdicts come out the same."""
    guards = {**PLAIN["guards"], "finite": {"metric": "ppo.nonfinite_updates", "between": [0, 0]}}
    bench = Bench(tmp_path / "home", plan=make_plan(guards=guards))
    bench.walk()
    entries = bench.journal().entries
    assert "ppo.nonfinite_updates 0 is between 0 and 0" in why(entries, "ppo")
    assert rederived(bench).clean
