"""The rows that change while a run goes on: the machine, the present visit, the return, the tolerances."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, nan

from rich.cells import cell_len
from rich.text import Text

from townlet.dto.guards import MarginSpec, Verdict
from townlet.escapes import one_line
from townlet.numerals import duration, number
from townlet.report.progress.progress_state import ProgressState, Tolerance
from townlet.report.progress.sparkline import level, scale_marks, sparkline
from townlet.report.terminal import styled

__all__ = ["GAP", "look_row", "machine_row", "panel", "return_row", "tolerance_rows", "visit_parts", "visit_row"]

GAP = "  "
_HEADLINE_METRICS = (
    "reward",
    "value_loss",
    "heldout_accuracy",
    "heldout_r2",
    "train_loss",
    "explained_variance",
    "watched_difference",
)
_RETURN = "return "
_MOST_TOLERANCES = 4
_MOST_BLOCKS, _LEAST_BLOCKS = 40, 4
"""Columns of a sparkline."""
_MARKS = 17
"""Columns of the row on which a candidate stands between baseline and limit."""
_LEAST_HEIGHT = 10
"""Lines of a terminal below which only the row of the visit is shown."""
_VERDICT_STYLES: Mapping[Verdict, str] = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNDECIDED: "yellow"}
_END_STYLES: Mapping[str, str] = {"hold": "bold yellow", "failed": "bold red", "aborted": "bold red"}


def panel(state: ProgressState, now: float, width: int, height: int) -> Iterator[Text]:
    """Yield the rows that fit a terminal, each within `width`; a low terminal gets the row of the visit alone."""
    rows: tuple[Text | None, ...] = (visit_row(state, now, width),)
    if height >= _LEAST_HEIGHT:
        measured = (return_row(state, width), look_row(state), *tolerance_rows(state, width))
        rows = (machine_row(state, width), *rows, *measured)
    for row in rows:
        if row is not None:
            row.truncate(width, overflow="ellipsis")
            row.no_wrap = True
            yield row


def visit_row(state: ProgressState, now: float, width: int) -> Text | None:
    """Return the present visit as it fits: metrics go first, then the speed; the bar and the times stay."""
    parts = visit_parts(state, now)
    while len(parts) > 2 and cell_len(GAP.join(parts)) > width:
        parts.pop()
    return styled(GAP.join(parts)) if parts else None


def visit_parts(state: ProgressState, now: float) -> list[str]:
    """Return what is going on, the most important first: the run's time, state, times left, speed, metrics."""
    point, pace = state.point, state.pace(now)
    if not state.state:
        return []
    parts = [duration(now - state.began), state.state]
    if point is None or point.step < 1:
        return [*parts, f"for {duration(now - state.started)}"]
    parts += [_bar(point.step / point.of), f"{point.step}/{point.of}"] if point.of else [f"{point.step}"]
    if pace.left is not None:
        parts.append(f"{duration(pace.left)} left")
    if pace.run_left is not None:
        parts.append(f"run at least {duration(pace.run_left)} left")
    if pace.speed is not None:
        parts.append(f"{pace.speed:,.0f} agent-steps/s")
    shown = {name: value for name in _HEADLINE_METRICS if isfinite(value := point.numbers.get(name, nan))}
    return parts + [f"{name} {number(value)}" for name, value in shown.items()]


def machine_row(state: ProgressState, width: int) -> Text | None:
    """Return the states in the order of the schedule, with their visits; the one the run is in is lit, in brackets.

    Where the row is too long, states far from that one are left out.
    """
    names = [] if state.schedule is None else list(state.schedule.states)
    if not names or not state.where:
        return None
    names += [] if state.where in names else [state.where]
    here = names.index(state.where)
    first, last = 0, len(names)
    while last - first > 1 and _machine(state, names, here, first, last).cell_len > width:
        if here - first > last - 1 - here:
            first += 1
        else:
            last -= 1
    return _machine(state, names, here, first, last)


def _machine(state: ProgressState, names: Sequence[str], here: int, first: int, last: int) -> Text:
    parts: list[str | tuple[str, str]] = ["… " if first else ""]
    for index in range(first, last):
        count = state.visits.get(names[index], 0)
        name = f"{names[index]} ×{count}" if count else names[index]
        if index > first:
            parts.append((" ─ ", "dim"))
        lit = (f"[{name}]", _END_STYLES.get(names[index], "bold reverse"))
        parts.append(lit if index == here else (name, "" if count else "dim"))
    return styled(*parts, " …" if last < len(names) else "")


def return_row(state: ProgressState, width: int) -> Text | None:
    """Return the returns of the policy in training as a sparkline, beside the teacher's level on the same scale."""
    values, teacher = [value for _, value in state.returns], state.teacher
    if not values:
        return None
    everything = values if teacher is None else [*values, teacher.value]
    low, high = min(everything), max(everything)
    last, beside = f" {number(values[-1])}", ""
    if teacher is not None:
        beside = f"{GAP}teacher {level(teacher.value, low, high)} {number(teacher.value)}"
    more = " in capture" if teacher is not None and teacher.is_captured else ""
    room = width - cell_len(f"{_RETURN}{last}{beside}")
    more = more if cell_len(more) + _LEAST_BLOCKS <= room else ""
    room = min(room - cell_len(more), _MOST_BLOCKS)
    blocks = sparkline(values, room, low, high) if room >= _LEAST_BLOCKS else ""
    return styled(_RETURN, (blocks, "cyan"), f"{last if blocks else last.lstrip()}{beside}{more}")


def look_row(state: ProgressState) -> Text | None:
    """Return the last look of the cliff watch: the difference to the visit's first weights, its bounds, its pairs."""
    if state.look is None:
        return None
    numbers = state.look.numbers
    difference, low, high = (numbers.get(f"watched_{name}", nan) for name in ("difference", "low", "high"))
    bounds = f" [{number(low)}, {number(high)}]" if isfinite(high) else ""
    pairs = f" in {number(numbers['watched_pairs'])} pairs" if "watched_pairs" in numbers else ""
    style = "red" if high < 0 else "green" if low > 0 else ""
    where = f" against its start{pairs}, at iteration {state.look.step}"
    return styled("watch ", (f"{number(difference)}{bounds}", style), where)


def tolerance_rows(state: ProgressState, width: int) -> Iterator[Text]:
    """Yield for each tolerance where the candidate stands between baseline and limit, or beyond.

    Before the first verdict neither is known: then the tolerance stands there as the schedule gives it.
    """
    tolerances = state.tolerances()[:_MOST_TOLERANCES]
    longest = max((cell_len(one_line(each.guard.kpi)) for each in tolerances), default=0)
    for each in tolerances:
        style = "" if each.verdict is None else _VERDICT_STYLES.get(each.verdict, "")
        marks, words, ending = _tolerance(each, width - longest)
        yield styled(f"{one_line(each.guard.kpi):<{longest}}", (marks, style), words, (ending, style))


def _tolerance(tolerance: Tolerance, room: int) -> tuple[str, str, str]:
    """Return the place between baseline and limit, the numbers and the verdict, as they fit into `room` columns."""
    value, where = f" {number(tolerance.value)}", "" if tolerance.verdict is not None else " in training"
    if tolerance.baseline is None or tolerance.limit is None:
        margin, baseline = _margin(tolerance.guard.margin), one_line(tolerance.guard.baseline)
        choices = (f"{value}{where}, may be {margin} worse than {baseline}", f"{value}, may be {margin} worse", value)
        return "", next((words for words in choices if cell_len(words) <= room), value), ""
    words = f"{value}{where}, {_side(tolerance.limit, tolerance.baseline)} {number(tolerance.limit)}"
    ending = "" if tolerance.verdict is None else f" ({tolerance.verdict.value})"
    marks = f" {scale_marks(tolerance.value, tolerance.baseline, tolerance.limit, _MARKS)}"
    if cell_len(marks + words + ending) <= room:
        return marks, words, ending
    return "", words if cell_len(words + ending) <= room else words.replace(where, ""), ending


def _margin(margin: MarginSpec) -> str:
    """Return a tolerance as the schedule gives it; of two the looser applies."""
    relative = "" if margin.relative is None else f"{number(100 * margin.relative)}%"
    return " or ".join(each for each in (relative, number(margin.absolute)) if each)


def _side(limit: float, baseline: float) -> str:
    """Return on which side of the limit a candidate passes; the baseline itself always does."""
    return "limit" if limit == baseline else "at most" if limit > baseline else "at least"


def _bar(share: float, width: int = 16) -> str:
    full = round(width * min(max(share, 0.0), 1.0))
    return "━" * full + "╌" * (width - full)
