"""What a replication and a comparison say in words: pure functions of their records.

Fewer than `LEAST_RUNS` runs speak of "these weights", each run of its own; from there on of "this recipe". What the
interval leaves open is called undecided, and nothing else.
"""

from collections.abc import Iterator

from townlet.confidence.between_runs import LEAST_RUNS
from townlet.machine.replication.evidence import Gain
from townlet.machine.replication.recipes import RecipeComparison, RecipeKpi
from townlet.machine.replication.summary import KpiSpread, Replicate, Replication
from townlet.numerals import number

__all__ = [
    "comparison_headline",
    "comparison_sentences",
    "decision",
    "improvement_verdict",
    "replication_sentences",
    "runs_sentence",
]

_MANY_RUNS = 20
"""From so many runs on, the bootstrap's intervals hold the truth as often as they say (docs/howto/replicate.md)."""


def replication_sentences(replication: Replication) -> Iterator[str]:
    """Yield what a replication shows: runs without an end, what it may speak of, promotions, gains and their spread."""
    runs, ended = len(replication.replicates), replication.ended
    if ended < runs:
        yield f"{ended} of {runs} runs ended; the others are not in the numbers below"
    if not ended:
        return
    if replication.speaks_of_recipe:
        yield from _recipe(replication)
    else:
        yield (
            f"these weights: {_count(ended, 'run')} ended; each speaks of its own weights, and nothing of the recipe "
            f"before {LEAST_RUNS} runs ended"
        )
        for replicate in replication.replicates:
            if replicate.has_ended:
                yield _weights_of(replicate)


def decision(low: float, high: float, direction: str, over: str) -> str:
    """Return what an interval of a gain decides, in words: better, worse, higher, lower, or undecided."""
    if low <= 0 <= high:
        return "undecided: the interval holds 0"
    is_higher = low > 0
    if direction not in ("higher", "lower"):
        return f"{'higher' if is_higher else 'lower'} than {over}; the KPI has no better direction"
    return f"{'better' if is_higher == (direction == 'higher') else 'worse'} than {over}"


def _recipe(replication: Replication) -> Iterator[str]:
    low, high = (100 * end for end in (replication.promoted_low, replication.promoted_high))
    yield (
        f"this recipe: {replication.promoted} of {replication.ended} runs promoted, "
        f"exact 95% interval of the share {number(low)}% to {number(high)}%"
    )
    for each in replication.spreads:
        if each.runs < LEAST_RUNS:
            yield f"{each.metric}: {each.runs} runs have a comparison, and {LEAST_RUNS} would speak of this recipe"
            continue
        yield (
            f"this recipe: {each.metric} differs by {number(each.mean)} from {each.against} in the mean of {each.runs} "
            f"runs, 95% interval {number(each.low)} to {number(each.high)} (the run is the unit): "
            f"{decision(each.low, each.high, each.direction, each.against)}"
        )
        yield f"{each.metric}: {_spread(each)}"


def _spread(each: KpiSpread) -> str:
    if each.noise_share is None:
        return "the runs do not differ"
    head = (
        f"sd {number(each.sd)} between the runs, standard error {number(each.within)} within each; evaluation noise "
        f"explains {number(100 * each.noise_share)}% of the variance between them"
    )
    if each.noise_share == 1:
        return f"{head}, so what retraining adds cannot be told from it"
    return f"{head}, and retraining is left with an sd of {number(each.retraining_sd)}"


def _weights_of(replicate: Replicate) -> str:
    head = f"seed {replicate.seed}, these weights"
    if not replicate.gains:
        return f"{head}: {replicate.state}, without a comparison"
    promoted = "promoted" if replicate.promoted else "not promoted"
    return f"{head}: {promoted}; {_gain(replicate.gains[0])}"


def _gain(gain: Gain) -> str:
    left_out = f", {gain.left_out} left out" if gain.left_out else ""
    sides = f"{gain.metric} {number(gain.candidate)}, {gain.against} {number(gain.baseline)}"
    error = f"standard error {number(gain.error)} ({gain.pairs} pairs{left_out})"
    return f"{sides}, difference {number(gain.gain)} with {error}"


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def comparison_sentences(comparison: RecipeComparison) -> Iterator[str]:
    """Yield what the objective's intervals decide, recipe by recipe, and what the numbers may speak of."""
    few = [recipe for recipe in comparison.recipes if len(recipe.runs) < LEAST_RUNS]
    subject = "these weights" if few else "this recipe"
    if few:
        counts = ", ".join(f"{recipe.name} {_count(len(recipe.runs), 'run')}" for recipe in few)
        yield (
            f"the table speaks of these weights: {counts}, and a recipe needs {LEAST_RUNS}; recipes with fewer have "
            "intervals over episodes alone, as if nobody trained again"
        )
    first = comparison.recipes[0].name
    for kpi in comparison.kpis:
        if kpi.metric == comparison.objective and kpi.recipe != first:
            yield f"{subject}: {kpi.recipe} beside {first}, {kpi.metric}: {_improvement(kpi)}"
    yield "each 95% interval stands alone: nothing is corrected for the number of KPIs and recipes"
    least = min(len(recipe.runs) for recipe in comparison.recipes)
    if not few and least < _MANY_RUNS:
        yield f"bootstrap intervals over {least} runs are too narrow: docs/howto/replicate.md says how much"


def comparison_headline(comparison: RecipeComparison) -> str:
    """Return what the objective decides in one sentence: of two recipes with its numbers, of more by name."""
    first, *others = comparison.recipes
    kpis = {kpi.recipe: kpi for kpi in comparison.kpis if kpi.metric == comparison.objective}
    few = any(len(each.runs) < LEAST_RUNS for each in comparison.recipes)
    if len(others) > 1:
        groups: dict[str, list[str]] = {}
        for recipe in others:
            groups.setdefault(improvement_verdict(kpis[recipe.name]), []).append(recipe.name)
        listed = "; ".join(f"{word}: {', '.join(names)}" for word, names in groups.items())
        subject = "weights of recipes" if few else "recipes"
        return f"{len(others)} {subject} beside {first.name} in {comparison.objective}: {listed}."
    own = kpis[others[0].name]
    word, subject = improvement_verdict(own), f"{'these weights of' if few else 'the recipe'} {own.recipe}"
    beside = f"{first.name} in {comparison.objective}"
    if word == "unknown":
        return f"Nothing is known of {subject} beside {beside}."
    numbers = f"IQM {number(own.iqm)} against {number(kpis[first.name].iqm)}"
    if word == "undecided":
        either = "higher or lower" if own.direction == "none" else "better or worse"
        return f"Undecided: {subject} may be {either} than {beside}, {numbers}."
    return f"{subject[0].upper()}{subject[1:]} {'are' if few else 'is'} {word} than {beside}, {numbers}."


def runs_sentence(comparison: RecipeComparison) -> str:
    """Return how many runs and episodes each recipe has."""
    episodes = {kpi.recipe: kpi.episodes for kpi in comparison.kpis if kpi.metric == comparison.objective}
    return "; ".join(
        f"{recipe.name}: {_count(len(recipe.runs), 'run')}, {_count(episodes[recipe.name], 'episode')}"
        for recipe in comparison.recipes
    )


def improvement_verdict(kpi: RecipeKpi) -> str:
    """Return better, worse, higher or lower than the first recipe; undecided where the interval holds 50 %."""
    if kpi.improvement_low is None or kpi.improvement_high is None:
        return "unknown"
    if kpi.improvement_low <= 0.5 <= kpi.improvement_high:
        return "undecided"
    words = ("higher", "lower") if kpi.direction == "none" else ("better", "worse")
    return words[kpi.improvement_low <= 0.5]


def _improvement(kpi: RecipeKpi) -> str:
    if kpi.improvement is None or kpi.improvement_low is None or kpi.improvement_high is None:
        return f"not known, {kpi.problem or 'the first recipe has no valid number'}"
    chance, low, high = (number(100 * value) for value in (kpi.improvement, kpi.improvement_low, kpi.improvement_high))
    word, verdict = "higher" if kpi.direction == "none" else "better", improvement_verdict(kpi)
    if verdict == "undecided":
        verdict = "undecided: the interval holds 50%"
    else:
        verdict = f"{verdict} in more than half of the couples of episodes"
    return f"an episode is {word} in {chance}% of the couples, 95% interval {low}% to {high}%: {verdict}"
