"""The timeline tells attempts, crashes, clean stops, errors, and waits for a person apart."""

from townlet.dto.journal import (
    ApprovalRequested,
    EffectDone,
    Entry,
    JournalRecord,
    OperatorCommand,
    ProcessStarted,
    RunClosed,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.machine.audit.timeline import TimelineSpan, timeline
from townlet.report.path_sentences import span_sentence


def spans(*records: JournalRecord) -> tuple[TimelineSpan, ...]:
    """Return the spans of records, each of which was written ten seconds after the one before."""
    entries = (
        Entry(seq=n, at=f"2026-01-01T00:{n // 6:02d}:{n % 6}0+00:00", record=record, previous="", hash="")
        for n, record in enumerate(records)
    )
    return timeline(tuple(entries))


def process() -> ProcessStarted:
    """A process that began."""
    return ProcessStarted(pid=1, host="h")


def started(state: str, attempt: int = 1) -> VisitStarted:
    """A first visit to a state that began."""
    return VisitStarted(state=state, visit=1, attempt=attempt, inputs={}, baseline_digests={}, expected_champion=None)


def finished(state: str) -> VisitFinished:
    """It returned a result."""
    return VisitFinished(state=state, visit=1, strategy=state, result={})


def moved(source: str, target: str, why: str = "always") -> TransitionTaken:
    """The run went on."""
    return TransitionTaken(source=source, target=target, edge=0, why=why)


def command(name: str, **more: str) -> OperatorCommand:
    """What a person said."""
    return OperatorCommand(command=name, actor="Ada", **more)


def test_a_crash_is_told_from_a_clean_stop() -> None:
    """A process that another one takes over from has died; one that said stop has not, and nobody waited in between."""
    crashed = spans(process(), started("ppo"), process(), started("ppo", 2), finished("ppo"), moved("ppo", "done"))
    stopped = spans(process(), started("ppo"), command("stop"), process(), started("ppo", 2), finished("ppo"))

    assert ["crashed", "finished"] == [span.ending for span in crashed]
    assert ["stopped", "left", "finished"] == [span.ending for span in stopped]
    assert "ppo, visit 1: its process died after 10 s; another one took over." == span_sentence(crashed[0])
    assert "ppo, visit 1: was stopped after 10 s, with its checkpoint. Ada gave stop." == span_sentence(stopped[0])
    assert "ppo: the run stood still 10 s, until a process took over." == span_sentence(stopped[1])


def test_a_process_that_dies_between_two_visits_has_crashed_too() -> None:
    """Its visit is finished, and the next process goes on from there."""
    (span,) = spans(process(), started("bc"), finished("bc"), process(), moved("bc", "ppo"))

    assert span.died_after
    assert "its process died before it went on" in span_sentence(span)


def test_a_run_that_failed_waits_until_somebody_retries_it() -> None:
    """Its end is no end of the wait."""
    closed = RunClosed(state="failed", reason="no disk", champion_moved=False)
    waited = spans(
        process(),
        started("ppo"),
        moved("ppo", "failed", "no disk"),
        closed,
        process(),
        command("retry", reason="more disk"),
        moved("failed", "ppo", "retry by Ada"),
        started("ppo", 2),
    )

    assert [("work", "left"), ("wait", "left"), ("work", "open")] == [(span.kind, span.ending) for span in waited]
    assert "failed: the run waited for a person 40 s, then ppo: retry by Ada." == span_sentence(waited[1])


def test_a_process_after_a_hold_is_no_crash() -> None:
    """A run that waits for a person has no process, and none died."""
    waited = spans(
        process(),
        started("evaluate"),
        finished("evaluate"),
        ApprovalRequested(state="evaluate", edge=1, report="c0ffee", expires=None),
        moved("evaluate", "hold", "edge 1 of evaluate (to promote) waits for an approval"),
        process(),
        command("approve"),
        moved("hold", "promote", "approve by Ada"),
        started("promote"),
        EffectDone(alias="champion", target="c0ffee", version=3),
        finished("promote"),
        moved("promote", "done"),
        RunClosed(state="done", reason="", champion_moved=True),
    )

    assert [("work", "evaluate"), ("wait", "hold"), ("work", "promote")] == [(s.kind, s.state) for s in waited]
    assert not [span for span in waited if span.ending == "crashed"]
    assert "hold: the run waited for an approval 30 s, then promote: approve by Ada." == span_sentence(waited[1])
    assert "then hold: edge 2 of evaluate (to promote) waits for an approval" in span_sentence(waited[0])
    assert span_sentence(waited[2]).endswith("champion became version 3.")


def test_an_attempt_after_an_error_is_a_retry() -> None:
    """The same process begins the visit again: its environment failed, not the process."""
    retried = spans(process(), started("ppo"), started("ppo", 2), finished("ppo"))

    assert ["retried", "finished"] == [span.ending for span in retried]
    assert "ppo, visit 1, attempt 2: finished after 10 s." == span_sentence(retried[1])


def test_a_refused_command_is_told_with_its_reason() -> None:
    """Who asked for what, and why it changed nothing."""
    held = spans(
        process(), started("bc"), finished("bc"), moved("bc", "hold"), command("approve", refused="no request")
    )

    assert "Ada gave approve, which was refused: no request." in span_sentence(held[-1])


def test_a_run_that_only_began_has_no_spans() -> None:
    """Nothing was worked on yet."""
    assert () == spans(process())
