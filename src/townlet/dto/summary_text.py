"""The summary of a run as text: one screen in the words of the person who started it."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from attrs import asdict

from townlet.dto.policy import AnnealSummary, EvaluationResult, PromotionResult, statistics
from townlet.escapes import one_line
from townlet.numerals import number, plain_reason

if TYPE_CHECKING:
    from townlet.dto.metrics import Measurement

__all__ = ["end_line", "headline", "summary_lines"]

WIDTH = 80
"""Columns; only a line that holds the path of the run may be longer, since a call that is cut cannot be typed."""
_MOST_ROWS = 8
_MOST_BASELINES = 2
_MOST_RESERVATIONS = 2
_NAME, _NUMBER = 27, 17
"""Columns of a metric's name and of a number beside it."""


def headline(summary: AnnealSummary) -> str:
    """Return the end of a run in one line, its reason once."""
    return end_line(
        summary.state,
        summary.reason,
        rehearsal=summary.rehearsal,
        champion_moved=summary.champion_moved,
        has_promote=summary.has_promote,
    )


def end_line(state: str, reason: str, *, rehearsal: bool, champion_moved: bool, has_promote: bool) -> str:
    """Return where a run is and why in one line, the reason once."""
    if rehearsal:
        outcome = "rehearsal, nothing was promoted"
    elif champion_moved:
        outcome = "the champion moved"
    elif has_promote:
        outcome = "the champion is unchanged"
    else:
        outcome = ""
    reason = one_line(plain_reason(reason))
    parts = list(dict.fromkeys(part for part in (reason, outcome) if part))
    return f"{state}: {'; '.join(parts)}"


def summary_lines(summary: AnnealSummary) -> Iterator[str]:
    """Yield at most 24 lines: how the run ended, its figures, what is in force, the next call."""
    yield from wrap(headline(summary), WIDTH, max_lines=3, placeholder=" …", subsequent_indent="  ")
    yield from (_cut(line) for line in _figures(summary))
    if in_force := _in_force(summary):
        yield _cut(f"in force: {in_force}")
    for sentence in summary.reservations[:_MOST_RESERVATIONS]:
        yield _cut(f"reservation: {sentence}")
    if len(summary.reservations) > _MOST_RESERVATIONS:
        yield f"and {len(summary.reservations) - _MOST_RESERVATIONS} more reservations"
    if summary.stages:
        yield _cut(f"visits: {_states(summary)}")
    yield _cut(f"run {summary.run}: {number(summary.agent_steps)} agent-steps, {summary.duration:.1f} s")
    yield from (one_line(line) for line in _next(summary))


def _figures(summary: AnnealSummary) -> Iterator[str]:
    """Yield the candidate's and the baselines' KPIs of the last evaluation; without one, the last visit's figures."""
    evaluations = [stage.result for stage in summary.stages if isinstance(stage.result, EvaluationResult)]
    if evaluations and evaluations[-1].measurements:
        yield from _comparison(evaluations[-1])
    elif summary.stages:
        result = summary.stages[-1].result
        values = asdict(result, recurse=False)
        for name in list(statistics(type(result)))[:_MOST_ROWS]:
            yield _row(name, [number(values[name])])


def _comparison(evaluation: EvaluationResult) -> Iterator[str]:
    """Yield a table: a row for each KPI, a column for the candidate and each baseline."""
    by_policy: dict[str, dict[str, Measurement]] = {}
    for measured in evaluation.measurements:
        by_policy.setdefault(measured.policy, {}).setdefault(measured.metric, measured)  # the first is what guards ask
    candidate = evaluation.weights or ""
    baselines = [policy for policy in by_policy if policy != candidate][:_MOST_BASELINES]
    yield _row("", ["policy", *(one_line(_short(policy)) for policy in baselines)])
    metrics = list(by_policy.get(candidate, {}))
    for metric in metrics[:_MOST_ROWS]:
        values = [by_policy[policy].get(metric) for policy in (candidate, *baselines)]
        cells = ["unknown" if each is None or each.value is None else number(each.value) for each in values]
        yield _row(one_line(metric), cells)
    first = evaluation.measurements[0]
    more = f"; and {len(metrics) - _MOST_ROWS} more metrics" if len(metrics) > _MOST_ROWS else ""
    yield f"  {first.actions}, over {first.episodes} episodes each of {one_line(first.scenario)}{more}"


def _row(name: str, cells: list[str]) -> str:
    """Return a row of a table, its columns in line."""
    return f"  {name[:_NAME]:<{_NAME}}" + "".join(f"{cell[: _NUMBER - 1]:>{_NUMBER}}" for cell in cells)


def _in_force(summary: AnnealSummary) -> str:
    """Return which policy is in force; empty where the run cannot move an alias, or recorded none."""
    moves = [stage.result for stage in summary.stages if isinstance(stage.result, PromotionResult)]
    if summary.champion_moved and moves:
        return f"{moves[-1].alias} is version {moves[-1].version} ({(moves[-1].weights or '')[:12]})"
    if not summary.has_promote or summary.rehearsal or not summary.promotion.begun:
        return ""
    release = summary.promotion.current_release
    return "the teacher" if release is None else f"the weights {release[:12]}, as before"


def _states(summary: AnnealSummary) -> str:
    """Return the visited states in order, the last ones where they do not fit."""
    text = one_line(" → ".join([*(stage.state for stage in summary.stages), summary.state]))
    room = WIDTH - len("visits: ")
    return text if len(text) <= room else f"… → {text[-room:].partition(' → ')[2]}"


def _next(summary: AnnealSummary) -> Iterator[str]:
    """Yield the call that comes next, complete."""
    path = Path(summary.path).absolute()
    command = "show" if summary.state in ("failed", "aborted") else "why"
    yield f"next, in a shell: townlet audit {command} {shlex.quote(str(path))}"
    if summary.state == "hold":
        yield f"after an answer: townlet.resume({str(path)!r})"
    elif summary.rehearsal:
        yield "then: the same call without rehearse=True"


def _short(policy: str) -> str:
    return policy if ":" in policy else policy[:12]


def _cut(line: str) -> str:
    """Return a line without characters that would move the cursor, cut to the width of the screen."""
    line = one_line(line)
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
