"""The lines that stay on the screen: one or more for each record of the journal that a person wants to see."""

from collections.abc import Iterator, Mapping

from rich.text import Text

from townlet.dto.guards import Verdict
from townlet.dto.journal import (
    EffectDone,
    EnvironmentChecked,
    GuardsJudged,
    JournalRecord,
    RunCreated,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.escapes import one_line
from townlet.numerals import number, plain_reason
from townlet.report.terminal import styled
from townlet.report.verdicts import verdict_sentence

__all__ = ["record_lines"]

_VERDICT_STYLES: Mapping[Verdict, str] = {Verdict.UNDECIDED: "yellow", Verdict.UNKNOWN: "bold yellow"}
"""A verdict is no news by itself: `clearly_worse` that fails is good. One that is missing can hold the run."""
_TARGET_STYLES: Mapping[str, str] = {"hold": "bold yellow", "failed": "bold red", "aborted": "bold red"}


def record_lines(record: JournalRecord, seconds: float) -> Iterator[Text]:
    """Yield the lines of a record; `seconds` is how long the present attempt of the visit has lasted."""
    if isinstance(record, RunCreated):
        rehearsal = " (rehearsal: tiny numbers, nothing is promoted)" if record.rehearsal else ""
        yield styled((one_line(record.name), "bold"), f" seed {record.seed}, run {record.run}{rehearsal}")
        for change in record.changes:
            yield styled(f"  set {one_line(str(change))}")
    elif isinstance(record, EnvironmentChecked):
        yield styled(one_line(record.report.summary))
    elif isinstance(record, VisitStarted):
        count = f" (visit {record.visit})" if record.visit > 1 else ""
        attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
        yield styled((record.state, "bold"), f"{count}{attempt}")
    elif isinstance(record, VisitFinished):
        yield styled(f"  {_headline(record)}  ", (f"{seconds:.1f} s", "dim"))
    elif isinstance(record, GuardsJudged):
        for report in record.reports:
            verdict = (f"{report.verdict.value:<9}", _VERDICT_STYLES.get(report.verdict, ""))
            yield styled("  ", verdict, f" {report.guard}: {one_line(verdict_sentence(report))}")
    elif isinstance(record, EffectDone):
        yield styled((f"  {record.alias} now names version {record.version} ({record.target[:12]})", "green"))
    elif isinstance(record, TransitionTaken):
        style = _TARGET_STYLES.get(record.target, "bold")
        yield styled("  → ", (record.target, style), " ", (one_line(plain_reason(record.why)), "dim"))


def _headline(record: VisitFinished) -> str:
    """Return the first six numbers of the result, as ``name value``."""
    numbers = {
        name: value
        for name, value in record.result.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "duration"
    }
    return "  ".join(f"{name} {number(value)}" for name, value in list(numbers.items())[:6])
