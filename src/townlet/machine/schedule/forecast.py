"""Forecast what a run may cost and which differences its evidence can detect, before any of it is computed."""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, frozen

from townlet.confidence.sequential import sequential_detectable_difference
from townlet.dto.codec import Record
from townlet.dto.environment_report import EnvironmentReport
from townlet.dto.guards import EvidenceGuardSpec, GuardSpec, Relation, TailSpec
from townlet.dto.quantities import Bytes
from townlet.dto.schedule import BUILT_IN_STATES, Plan
from townlet.estimate import detectable_difference, undetected_rate
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.look_errors import LookErrors, look_errors
from townlet.machine.guards.verdicts import names
from townlet.machine.schedule.check_plan import visit_costs
from townlet.machine.schedule.first_run import missing_comparisons
from townlet.machine.schedule.loader import torch_needs
from townlet.machine.schedule.reachability import explore
from townlet.machine.schedule.tails import Exclusion, exclusions, first_passing_look, unguarded_tails
from townlet.ports import EnvironmentDescription

__all__ = ["Forecast", "GuardForecast", "StateForecast", "forecast"]

POWER = 0.8
"""Chance to detect a difference, for `detectable`."""


@frozen(kw_only=True)
class StateForecast(Record):
    """What visits to one state may cost."""

    state: str
    """Name."""
    strategy: str
    """What its visits run."""
    most_visits: int
    """The most visits the counters allow."""
    agent_steps: int
    """Agent-steps of one visit at the most."""
    disk: Bytes
    """Bytes one visit may leave behind, roughly."""
    leads_to: tuple[str, ...]
    """States that some run goes on to, in document order."""


@frozen(kw_only=True)
class GuardForecast(Record):
    """What one guard can tell."""

    guard: str
    """Name."""
    asked_at: tuple[str, ...]
    """States whose edges ask it; none for a guard that nothing uses."""
    decides: tuple[str, ...]
    """The edges (``STATE → STATE``) of these that some run takes."""
    pairs: int | None = None
    """Pairs at the last look, for a guard on evidence."""
    alpha: float | None = None
    """Error one look may make, so that the whole run keeps the declared confidence."""
    detectable: float | None = None
    """Smallest true difference from the limit, in standard deviations of a pair, found in 80 % of visits; none for
    counts and shares."""
    equal_passes: float | None = None
    """Bound on the chance that a policy equal to the baseline passes it in one visit; none where that hangs on the
    metric's spread: a tolerance of `detectable` standard deviations passes it in 80 % of visits."""
    undetected_rate: float | None = None
    """Share of episodes: what happens in fewer is absent from all pairs with a chance of 5 % or more, and no mean can
    show it."""
    passes_from: int | None = None
    """Episodes of the first look at which a tail guard passes, where none of them is bad."""


@frozen(kw_only=True)
class Forecast(Record):
    """The forecast of a sound schedule; all bounds are worst cases."""

    name: str
    """Name of the schedule."""
    states: tuple[StateForecast, ...]
    """In document order."""
    ends: tuple[str, ...]
    """Built-in states that some run ends in."""
    agent_steps: int
    """Of the longest visits together."""
    disk: Bytes
    """Left behind by them, roughly."""
    guards: tuple[GuardForecast, ...]
    """In document order."""
    torch: tuple[str, ...]
    """States that cannot run here because torch is not installed."""
    environment_reports: tuple[EnvironmentReport, ...] = ()
    """Checks of an environment that is not built in, one for each scenario."""
    exclusions: tuple[Exclusion, ...] = ()
    """Which shares of bad episodes each look excludes."""
    first_run: tuple[str, ...] = ()
    """Sentences about comparisons that cannot be made while there is no champion."""
    unguarded_tails: tuple[str, ...] = ()
    """Sentences about promotions that a mean decides with no limit on bad episodes beside it."""


def forecast(
    plan: Plan,
    catalogue: StrategyCatalogue,
    environment: EnvironmentDescription,
    suites: Mapping[str, EnvironmentDescription] = MappingProxyType({}),
) -> Forecast:
    """Return what a run of `plan` may cost at the most, and what its guards can see.

    `suites` describes further scenarios that evidence names; one that is missing counts as large as the schedule's own.
    """
    schedule = plan.schedule
    costs = visit_costs(plan, catalogue, environment, suites)
    reachability = explore(
        schedule.initial, {name: state.next for name, state in schedule.states.items()}, schedule.guards
    )
    states = tuple(
        StateForecast(
            state=name,
            strategy=state.strategy,
            most_visits=plan.most_visits[name],
            agent_steps=costs[name].agent_steps,
            disk=Bytes(costs[name].disk),
            leads_to=tuple(
                dict.fromkeys(
                    edge.to for index, edge in enumerate(state.next) if (name, index) in reachability.enabled_edges
                )
            ),
        )
        for name, state in schedule.states.items()
    )
    return Forecast(
        name=schedule.name,
        states=states,
        ends=tuple(end for end in BUILT_IN_STATES if end in reachability.reached),
        agent_steps=sum(state.most_visits * state.agent_steps for state in states),
        disk=Bytes(sum(state.most_visits * state.disk for state in states)),
        guards=tuple(_guard(plan, name, guard, reachability.enabled_edges) for name, guard in schedule.guards.items()),
        torch=torch_needs(plan, catalogue),
        exclusions=tuple(exclusions(plan)),
        first_run=tuple(missing_comparisons(plan.schedule)),
        unguarded_tails=tuple(unguarded_tails(plan)),
    )


def _guard(plan: Plan, name: str, guard: GuardSpec, enabled_edges: frozenset[tuple[str, int]]) -> GuardForecast:
    asking = [
        (state, index, edge.to)
        for state, spec in plan.schedule.states.items()
        for index, edge in enumerate(spec.next)
        if any(name in names(when) for when in edge.when)
    ]
    asked_at = tuple(dict.fromkeys(state for state, _, _ in asking))
    decides = tuple(f"{state} → {to}" for state, index, to in asking if (state, index) in enabled_edges)
    forecast = GuardForecast(guard=name, asked_at=asked_at, decides=decides)
    if not isinstance(guard, EvidenceGuardSpec):
        return forecast
    evidence = plan.schedule.evidence[guard.evidence]
    pairs, errors = evidence.episodes[-1], look_errors(evidence, plan, 1, RULE)
    if isinstance(guard, TailSpec):
        return evolve(forecast, pairs=pairs, alpha=errors.exact[-1], passes_from=first_passing_look(guard, plan))
    tolerant = guard.relation == Relation.NOT_WORSE_THAN and bool(guard.margin.relative or guard.margin.absolute)
    forecast = evolve(
        forecast, pairs=pairs, undetected_rate=undetected_rate(pairs), equal_passes=None if tolerant else errors.total
    )
    if guard.test == "count":  # its power hangs on how many events there are, and not on a spread
        return evolve(forecast, alpha=errors.exact[-1])
    return evolve(forecast, alpha=errors.each[-1], detectable=_detectable(errors))


def _detectable(errors: LookErrors) -> float:
    """Return the difference that the looks together find with `POWER`.

    The looks are counted by the normal distribution, and Student's needs a little more: as much more as at the last
    look alone.
    """
    pairs, alpha = errors.looks[-1], errors.each[-1]
    students = detectable_difference(pairs, alpha, POWER)
    return students * (
        sequential_detectable_difference(errors.looks, errors.each, POWER)
        / sequential_detectable_difference((pairs,), (alpha,), POWER)
    )
