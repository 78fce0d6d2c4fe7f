"""Rare losses before a run: which shares of bad episodes its evidence excludes, and which promotions ignore them."""

from collections.abc import Iterator

from attrs import frozen

from townlet.confidence.tails import least_episodes
from townlet.dto.codec import Record
from townlet.dto.conditions import AllOf, AnyOf, When
from townlet.dto.guards import PairedComparisonSpec, TailSpec
from townlet.dto.schedule import Plan
from townlet.dto.strategies import PromoteSpec
from townlet.estimate import undetected_rate
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.look_errors import evaluate_visits, look_errors
from townlet.machine.guards.verdicts import names

__all__ = ["Exclusion", "episodes_needed", "exclusions", "first_passing_look", "unguarded_tails"]


@frozen(kw_only=True)
class Exclusion(Record):
    """The shares of bad episodes that one look excludes where it sees none."""

    evidence: str
    """Name of the evidence."""
    episodes: int
    """Episodes at the look."""
    share: float
    """What a tail guard excludes there, with the error that the look may spend in the first visit."""
    share_alone: float
    """What so many episodes exclude at 95 % where nothing else is asked of them: about 3 ÷ episodes."""


def exclusions(plan: Plan) -> Iterator[Exclusion]:
    """Yield what each declared look of the evidence that is gathered excludes."""
    for name in dict.fromkeys(plan.gathers.values()):
        errors = look_errors(plan.schedule.evidence[name], plan, 1, RULE)
        for episodes, level in zip(errors.looks, errors.exact, strict=True):
            yield Exclusion(
                evidence=name,
                episodes=episodes,
                share=undetected_rate(episodes, level),
                share_alone=undetected_rate(episodes),
            )


def first_passing_look(guard: TailSpec, plan: Plan) -> int | None:
    """Return the episodes of the first look at which a tail guard passes where none is bad; None where none passes."""
    evidence, share = plan.schedule.evidence[guard.evidence], guard.limits.at_most
    visits = [look_errors(evidence, plan, visit, RULE) for visit in range(1, evaluate_visits(plan) + 1)]
    passing = [
        episodes
        for errors in visits
        for episodes, level in zip(errors.looks, errors.exact, strict=True)
        if undetected_rate(episodes, level) <= share
    ]
    return min(passing, default=None)


def episodes_needed(guard: TailSpec, plan: Plan) -> int:
    """Return the fewest episodes at a single look with which a tail guard passes in the first visit."""
    return least_episodes(
        guard.limits.at_most, look_errors(plan.schedule.evidence[guard.evidence], plan, 1, RULE).total
    )


def unguarded_tails(plan: Plan) -> Iterator[str]:
    """Yield a sentence for each edge to a promotion that a mean decides, with no tail guard beside it."""
    guards = plan.schedule.guards
    for name, state in plan.schedule.states.items():
        for edge in state.next:
            if not isinstance(plan.options.get(edge.to), PromoteSpec):
                continue
            asked = [guards[each] for part in edge.when for each in names(part)]
            means = [guard for guard in asked if isinstance(guard, PairedComparisonSpec)]
            if not means or any(_needs_tail(plan, part) for part in edge.when):
                continue
            episodes = plan.schedule.evidence[means[0].evidence].episodes[-1]
            bad = f"share_worse: {{baseline: {means[0].baseline}, absolute: D, "
            baseline = plan.schedule.baselines.get(means[0].baseline)
            if baseline is not None and baseline.data is not None:  # a data set has no pairs
                bad = "share_below: {limit: L, "
            yield (
                f"{name} → {edge.to}: means decide, and none shows a loss in fewer than 1 of "
                f"{1 / undetected_rate(episodes):.0f} episodes; add a guard such as {{metric: {means[0].metric}, "
                f"{bad}at_most: {_round_share(plan, means[0].evidence):.0%}}}, evidence: {means[0].evidence}}}"
            )


def _needs_tail(plan: Plan, when: When) -> bool:
    """Tell whether a condition cannot hold without a tail guard that passes."""
    if isinstance(when, str):
        guard = plan.schedule.guards[when]
        return isinstance(guard, TailSpec) and guard.without_baseline != "skip"
    if isinstance(when, AllOf):
        return any(_needs_tail(plan, part) for part in when.all)
    return isinstance(when, AnyOf) and all(_needs_tail(plan, part) for part in when.any)


def _round_share(plan: Plan, evidence: str) -> float:
    """Return a share in whole per cent that the last look can exclude, with a bad episode or two to spare."""
    share = next(each.share for each in reversed(tuple(exclusions(plan))) if each.evidence == evidence)
    return min(0.99, max(0.01, round(1.25 * share + 0.005, 2)))
