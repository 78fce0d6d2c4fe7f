"""What is gathered for a report: the deciding verdicts, the edge that a person took, and any beginning of a journal."""

import json
from pathlib import Path

import pytest
from golden_runs import facts_of

from townlet.canonical import GENESIS, canonical_json
from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.journal import Entry, GuardsJudged, JournalRecord, TransitionTaken
from townlet.machine.audit.report_facts import ReportFacts, decisions_of
from townlet.machine.journal.chain import read
from townlet.machine.journal.semantic_hash import next_semantic_hash
from townlet.policy.training.strategies.base import catalogue
from townlet.report.headline import headline
from townlet.report.run_markdown import run_markdown


def entries(*records: JournalRecord) -> tuple[Entry, ...]:
    """Return records as a journal without hashes."""
    return tuple(
        Entry(seq=n, at="2026-01-01T00:00:00+00:00", record=record, previous="", hash="")
        for n, record in enumerate(records)
    )


def judged(state: str) -> GuardsJudged:
    """One guard passed."""
    report = GuardReport(guard="better", verdict=Verdict.PASS, metric="evaluate.speed", sentence="")
    return GuardsJudged(state=state, visit=1, reports=(report,))


def moved(source: str, target: str, edge: int | None) -> TransitionTaken:
    """The run went on."""
    return TransitionTaken(source=source, target=target, edge=edge, why="because")


def test_the_edge_that_a_person_approved_is_the_one_taken() -> None:
    """The run holds first; the transition out of hold names the edge, and others of the hold do not."""
    (approved,) = decisions_of(
        entries(judged("evaluate"), moved("evaluate", "hold", None), moved("hold", "promote", 1))
    )
    (retried,) = decisions_of(
        entries(judged("evaluate"), moved("evaluate", "hold", None), moved("hold", "evaluate", None))
    )

    assert ("hold", 2) == (approved.to, approved.edge)
    assert ("hold", 0) == (retried.to, retried.edge)


def test_verdicts_without_a_transition_have_no_edge() -> None:
    """A process died between the two records."""
    (decision,) = decisions_of(entries(judged("evaluate")))

    assert ("", 0) == (decision.to, decision.edge)


def test_the_decision_is_the_one_that_compared(facts: ReportFacts) -> None:
    """Later verdicts that only count visits do not take its place; its evidence stands beside it."""
    assert facts.decision is not None
    assert facts.evaluation is not None
    assert "evaluate" == facts.decision.state == facts.evaluation.state
    assert "promote" == facts.decision.to
    assert ["promote"] == [edge.target for edge in facts.edges if edge.source == "evaluate" and edge.taken]


def test_a_run_killed_after_any_record_has_a_report(home: Path) -> None:
    """Page and Markdown of every beginning of a journal; promoted is said from the record on that moved the alias."""
    pytest.importorskip("jinja2")
    from townlet.report.html.run_page import run_page

    (journal,), (head,) = home.rglob("journal.jsonl"), home.rglob("head.json")
    lines = journal.read_bytes().splitlines(keepends=True)
    whole, strategies = read(journal, head, catalogue()).entries, catalogue()
    semantic, promoted = GENESIS, False
    for entry in whole:
        semantic = next_semantic_hash(semantic, entry.record, strategies)
        promoted |= entry.record.kind == "effect_done"
        journal.write_bytes(b"".join(lines[: entry.seq + 1]))
        head.write_bytes(canonical_json({"seq": entry.seq, "hash": entry.hash, "semantic": semantic}))
        facts = facts_of(home)
        first = headline(facts)
        assert promoted == first.startswith("Promoted: ")
        assert promoted or "Not finished: the journal ends in " in first
        assert first in run_page(facts)
        assert run_markdown(facts).startswith("# ")
    assert json.loads(head.read_bytes())["seq"] == len(whole) - 1
    assert promoted


GOLDEN_TEXT = Path(__file__).parent / "golden" / "promoted.md"


def test_the_markdown_of_a_promotion_is_as_written_down(facts: ReportFacts) -> None:
    """Every sentence of a whole report, word for word; `python tests/report/record.py` writes it anew."""
    assert GOLDEN_TEXT.read_text(encoding="utf-8") == run_markdown(facts)
