"""Sentences on what a run could not see: pure functions of `townlet.dto.limitations`.

Nothing that is undecided is called better, worse, equal, similar or a trend: it may or may not be so.
"""

from collections.abc import Iterator

from townlet.dto.fields import Direction
from townlet.dto.guards import Verdict
from townlet.dto.limitations import GuardLimitation, KpiMove, PairFacts, RunLimitations, Scope, VisitLimitations
from townlet.escapes import one_line
from townlet.machine.guards.paired_test import mean_warning
from townlet.numerals import number, unit_words

__all__ = ["limitation_lines", "limitation_sections"]

_SKEWED = 1.0
"""Absolute skewness from which it is named."""
_MOVES = ("worse", "better", "lower", "higher")
"""What a KPI without a guard can be, in the order in which it is named."""


def limitation_lines(run: RunLimitations, visit: VisitLimitations) -> Iterator[str]:
    """Yield the sections of `limitation_sections` as lines: each heading, then a sentence a line, indented."""
    for heading, sentences in limitation_sections(run, visit):
        yield heading
        yield from (f"  {sentence}" for sentence in sentences)


def limitation_sections(run: RunLimitations, visit: VisitLimitations) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what the evidence behind one visit's verdicts could not show, then what it showed that no guard judged.

    Each is a heading with its sentences. What was not played stands first, then what nobody asked for, then the power
    of what was asked, guard by guard. The second section is left out where it is empty.
    """
    suite = " in each scenario" if len(visit.scope.scenarios) > 1 else ""
    heading = (
        f"What this run could not see, from {visit.episodes} of {visit.declared} episodes{suite} "
        f"({visit.evidence}, {visit.state} visit {visit.visit})"
    )
    yield one_line(heading), tuple(map(one_line, _sentences(run, visit)))
    if measured := (*_move_sentences(visit), *(line for pair in visit.pairs for line in _pair_sentences(pair))):
        yield "Also measured, without a guard", tuple(map(one_line, measured))


def _sentences(run: RunLimitations, visit: VisitLimitations) -> Iterator[str]:
    if visit.problem:
        yield f"the evidence cannot be read, so only the journal speaks here: {visit.problem}"
    if run.environment_problem:
        yield f"the environment cannot be asked for directions and scenarios: {run.environment_problem}"
    yield from _scope_sentences(visit.scope)
    yield mean_warning(visit.episodes)
    yield (
        f"these weights ({visit.candidate[:12]}), not this recipe: one training run made them; "
        "more of them show the recipe: townlet replicate SCHEDULE --seeds 5"
    )
    yield from _unguarded_sentences(visit)
    yield from (sentence for guard in visit.guards for sentence in _guard_sentences(guard))
    if visit.unpaired:
        yield "the episodes are not pairs, and save none"


def _guard_sentences(guard: GuardLimitation) -> Iterator[str]:
    """Yield what a guard detects beside what was found, its skewness, and the episodes that it left out."""
    opening = " may or may not hold: it" if guard.verdict is Verdict.UNDECIDED else ""
    found = "" if guard.difference is None else f"; found {number(guard.difference)}"
    if distance := _detectable(guard):
        chance = f"passes with a chance of {number(100 * guard.power)}% {distance}{_out_of_reach(guard)}"
        yield f"{guard.guard}{opening} {chance}{found}"
    elif guard.is_count and found:
        yield (
            f"{guard.guard}{opening} compares two counts of events; no detectable difference is computed for that, "
            f"and what it excludes is the bound beside its verdict{found}"
        )
    if guard.bad_share is not None:
        yield f"{guard.guard} does not exclude bad episodes in up to {number(100 * guard.bad_share)}% of all"
    if guard.skewness is not None and abs(guard.skewness) > _SKEWED:
        shape = (
            "few large losses beside many small gains; losses that are absent from the episodes leave no trace"
            if guard.skewness < 0
            else "few large gains beside many small losses; the mean rests on few episodes"
        )
        yield f"{guard.guard} compares skewed differences ({number(guard.skewness)}): {shape}"
    yield from _dropped_sentences(guard)


def _detectable(guard: GuardLimitation) -> str:
    """Return where a guard passes with its power; empty where there is no such difference."""
    if guard.passes_at is not None:
        side = "more" if guard.passes_above else "less"
        return f"where the true difference is {_amount(guard.passes_at, guard.unit)} or {side}"
    if guard.detectable_sd is not None:
        return f"where the truth is {number(guard.detectable_sd)} standard deviations inside the limit"
    return ""


def _out_of_reach(guard: GuardLimitation) -> str:
    """Return that no policy can reach the difference at which a guard passes; empty where one can."""
    if guard.bound is None:
        return ""
    verb = "rise above" if guard.passes_above else "fall below"
    metric = guard.metric.rpartition(".")[2]
    return f", which no policy can reach because {metric} cannot {verb} {number(guard.bound)}: more episodes are needed"


def _dropped_sentences(guard: GuardLimitation) -> Iterator[str]:
    one_sided = guard.candidate_missing + guard.baseline_missing
    on_neither = guard.dropped - (0 if guard.missing == "worst" else one_sided)
    if on_neither > 0:
        yield f"{guard.guard} left out {_episodes(on_neither)} without exposure on both sides"
    if one_sided and guard.missing is not None:
        counted = "counts them at the worst" if guard.missing == "worst" else "left them out"
        yield (
            f"{guard.guard}: only the candidate lacks exposure in {_episodes(guard.candidate_missing)}, only the "
            f"baseline in {guard.baseline_missing}; the guard {counted} (missing: {guard.missing})"
        )


def _pair_sentences(pair: PairFacts) -> Iterator[str]:
    """Yield the worst episode of a KPI against a baseline, and what pairing was worth."""
    parts = []
    if pair.worst_episode is not None and pair.candidate is not None:
        value = f"worst episode {pair.worst_episode}: {number(pair.candidate)}"
        if pair.paired_value is not None:
            value += f" against {number(pair.paired_value)} ({number(pair.candidate - pair.paired_value)})"
        parts.append(value)
    parts += filter(None, [_pairing(pair)])
    if parts:
        yield f"{pair.metric}, {pair.baseline}: {'; '.join(parts)}"


def _pairing(pair: PairFacts) -> str:
    if pair.all_equal:
        return "every pair differs by the same amount"
    if pair.gain is None:
        return ""
    if pair.correlation is None:
        return "pairing saved nothing: one side does not vary"
    saved = round(abs(pair.gain - 1) * pair.pairs)
    effect = f"was worth {_more(saved)}" if pair.gain >= 1 else f"cost as much as {_episodes(saved)}"
    return f"pairing (correlation {number(pair.correlation)}) {effect}"


def _unguarded_sentences(visit: VisitLimitations) -> Iterator[str]:
    """Yield how many KPIs without a guard moved by more than their interval, and which cannot be compared."""
    if not visit.comparisons:
        return
    each = number(100 * (1 - 0.05 / visit.comparisons))
    moved = f"{_count(visit.comparisons, 'comparison')} {len(visit.moves) or 'none'} moved"
    yield (
        f"no guard asks for {_count(len(visit.unguarded), 'KPI')}; of {moved} by more than the interval "
        f"({each}% each, 95% together)"
        f"{'' if visit.moves else ': each of them may or may not have moved'}"
    )
    if visit.not_compared:
        yield f"cannot be compared (too few pairs, or numbers that are missing): {', '.join(visit.not_compared)}"


def _move_sentences(visit: VisitLimitations) -> Iterator[str]:
    """Yield which KPIs without a guard moved, by baseline and direction."""
    groups: dict[tuple[str, str], list[KpiMove]] = {}
    for move in visit.moves:
        groups.setdefault((move.baseline, _direction(move)), []).append(move)
    for (baseline, direction), moves in sorted(groups.items(), key=lambda each: (each[0][0], _MOVES.index(each[0][1]))):
        yield f"{direction} than {baseline}: {'; '.join(map(_move, moves))}"


def _direction(move: KpiMove) -> str:
    """Return whether a KPI is better or worse, by its own direction; higher or lower where it has none."""
    is_higher = move.difference > 0
    if move.direction is Direction.NONE:
        return "higher" if is_higher else "lower"
    return "better" if is_higher == (move.direction is Direction.HIGHER) else "worse"


def _move(move: KpiMove) -> str:
    return f"{move.metric} by {_amount(move.difference, move.unit)} [{number(move.low)}, {number(move.high)}]"


def _scope_sentences(scope: Scope) -> Iterator[str]:
    played, unplayed = ", ".join(scope.scenarios), ", ".join(scope.unplayed)
    if unplayed or played != "default":  # an environment with one scenario has nothing to say here
        yield f"played in {played}{f'; not in {unplayed}' if unplayed else ''}"
    trained = f"; training played other lengths: {', '.join(scope.training_lengths)}" if scope.training_lengths else ""
    yield f"episodes of {scope.length} were played, none longer{trained}"
    other = "stochastic" if scope.actions == "greedy" else "greedy"
    rest = (
        f"were played in {_episodes(scope.other_episodes)} and only reported" if scope.other_episodes else "not played"
    )
    yield f"{scope.actions} actions were judged; {other} ones {rest}"


def _amount(value: float, unit: str) -> str:
    """Return a number with its unit as people say it.

    >>> _amount(1.5, "1/agent-day"), _amount(12.0, "ticks/agent-day"), _amount(0.2, "share"), _amount(3.0, "nat")
    ('1.5 per agent-day', '12 ticks per agent-day', '0.2', '3 nat')
    """
    return " ".join(filter(None, (number(value), unit_words(unit))))


def _count(items: int, noun: str) -> str:
    return f"{items:,} {noun}{'' if items == 1 else 's'}"


def _episodes(count: int) -> str:
    return _count(count, "episode")


def _more(count: int) -> str:
    return f"{count:,} more episode{'' if count == 1 else 's'}"
