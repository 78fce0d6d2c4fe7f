"""Check what a sound plan can achieve: what strategies say of their options, and a budget that lasts."""

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

import attrs

from townlet.dto.codec import Problem
from townlet.dto.guards import MetricGuardSpec, TailSpec
from townlet.dto.metric_name import MetricName
from townlet.dto.schedule import Plan
from townlet.machine.catalogue import Cost, CostContext, Product, StrategyCatalogue
from townlet.machine.schedule.partial import unknown_name
from townlet.machine.schedule.tails import episodes_needed, first_passing_look
from townlet.ports import EnvironmentDescription

__all__ = ["check_plan", "visit_costs"]


def check_plan(
    plan: Plan,
    catalogue: StrategyCatalogue,
    environment: EnvironmentDescription,
    suites: Mapping[str, EnvironmentDescription],
) -> Iterator[Problem]:
    """Yield the visits that would do nothing useful, and a budget below what every run needs."""
    contexts = _contexts(plan, catalogue, environment, suites)
    for name, context in contexts.items():
        entry = catalogue.entry(plan.schedule.states[name].strategy)
        for problem in entry.problems(plan.options[name], context):
            yield attrs.evolve(problem, path=("states", name, "with", *problem.path))
    yield from _check_evidence_lengths(plan, environment, suites)
    yield from _check_visit_shares(plan)
    yield from _check_tails(plan)
    yield from _check_budget(plan, visit_costs(plan, catalogue, environment, suites))


def _check_visit_shares(plan: Plan) -> Iterator[Problem]:
    """Yield declared shares of the error that are not one for each evaluate visit of a run."""
    visits = {state: plan.most_visits[state] for state in plan.gathers}
    for name, evidence in plan.schedule.evidence.items():
        if not evidence.visits or name not in plan.gathers.values():
            continue
        if len(visits) > 1:
            states = " and ".join(visits)
            yield Problem(
                ("evidence", name, "visits"),
                f"shares belong to the visits of one state, and {states} gather evidence; leave visits out, so that "
                "all of them have equal shares",
            )
        elif len(evidence.visits) != (most := sum(visits.values())):
            yield Problem(
                ("evidence", name, "visits"),
                f"{len(evidence.visits)} shares for at most {most} visits to {next(iter(visits))}; expected {most}",
            )


def _check_tails(plan: Plan) -> Iterator[Problem]:
    """Yield the tail guards that no visit can pass: too few episodes, even where none of them is bad."""
    for name, guard in plan.schedule.guards.items():
        if not isinstance(guard, TailSpec) or guard.evidence not in plan.gathers.values():
            continue
        if first_passing_look(guard, plan) is None:
            yield Problem(
                ("guards", name, guard.tag, "at_most"),
                f"this guard can never pass: even where none is bad, it takes {episodes_needed(guard, plan)} episodes "
                f"to exclude {100 * guard.limits.at_most:.3g}%, and evidence {guard.evidence!r} has "
                f"{plan.schedule.evidence[guard.evidence].episodes[-1]}; raise at_most, or play more",
            )


def visit_costs(
    plan: Plan,
    catalogue: StrategyCatalogue,
    environment: EnvironmentDescription,
    suites: Mapping[str, EnvironmentDescription],
) -> dict[str, Cost]:
    """Return what one visit to each state may cost."""
    return {
        name: catalogue.entry(plan.schedule.states[name].strategy).cost(plan.options[name], context)
        for name, context in _contexts(plan, catalogue, environment, suites).items()
    }


def _contexts(
    plan: Plan,
    catalogue: StrategyCatalogue,
    environment: EnvironmentDescription,
    suites: Mapping[str, EnvironmentDescription],
) -> dict[str, CostContext]:
    entries = {name: catalogue.entry(state.strategy) for name, state in plan.schedule.states.items()}
    products: tuple[Product, ...] = ("dataset", "experience")
    recordings = {
        product: {
            name: entry.ranges(plan.options[name], environment)
            for name, entry in entries.items()
            if product in entry.output(plan.options[name])
        }
        for product in products
    }
    return {
        name: CostContext(
            plan=plan,
            state=name,
            environment=environment,
            suites=suites,
            clones=tuple(other for other, maker in entries.items() if "clone" in maker.produces),
            baselines=len(_baselines(plan, name)),
            recordings=recordings,
        )
        for name in entries
    }


def _baselines(plan: Plan, state: str) -> frozenset[str]:
    """Return the baselines that guards compare this state's measurements with."""
    return frozenset(
        guard.baseline
        for guard in plan.schedule.guards.values()
        if isinstance(guard, MetricGuardSpec)
        and guard.baseline is not None
        and not _is_recorded(plan, guard.baseline)
        and (metric := MetricName.parse(guard.metric))
        and metric.state == state
    )


def _is_recorded(plan: Plan, baseline: str) -> bool:
    """Tell whether a baseline is a data set, which is not played."""
    spec = plan.schedule.baselines.get(baseline)
    return spec is not None and spec.data is not None


def _check_evidence_lengths(
    plan: Plan, environment: EnvironmentDescription, suites: Mapping[str, EnvironmentDescription]
) -> Iterator[Problem]:
    """Yield the evidence whose episodes are longer than those of a scenario, and covariates that it does not show."""
    for name, evidence in plan.schedule.evidence.items():
        played = [suites.get(each, environment) for each in evidence.scenarios] or [environment]
        covariate = evidence.control.covariate if evidence.control else None
        if covariate is not None and any(covariate not in each.features for each in played):
            yield unknown_name("feature", covariate, environment.features, ("evidence", name, "control", "covariate"))
        lengths = [each.episode_length(evidence.days, evidence.max_steps) for each in played]
        problems = (each.limit_problem(steps=steps) for each, steps in zip(played, lengths, strict=True))
        for problem in filter(None, problems):
            yield Problem(("evidence", name, "days" if evidence.max_steps is None else "max_steps"), problem)


def _check_budget(plan: Plan, costs: Mapping[str, Cost]) -> Iterator[Problem]:
    """Yield a budget of agent-steps that is spent before some state can be visited: a run then holds before it."""
    budget = plan.schedule.budget.agent_steps
    least = _least_before(plan, {name: cost.least_agent_steps for name, cost in costs.items()})
    starved = [(steps, name) for name, (steps, _) in least.items() if budget is not None and steps >= budget]
    if starved:
        steps, name = min(starved)
        yield Problem(
            ("budget", "agent_steps"),
            f"{name!r} can never be visited: the cheapest way to it ({' → '.join(least[name][1])}) plays at least "
            f"{steps:,} agent-steps, and beyond the budget of {budget:,} a run holds; raise the budget, or let these "
            "visits play less",
        )


def _least_before(plan: Plan, steps: Mapping[str, int]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the fewest agent-steps before each state that a run can visit, and the way to it (Dijkstra 1959)."""
    pending: list[tuple[int, tuple[str, ...]]] = [(0, (plan.schedule.initial,))]
    least: dict[str, tuple[int, tuple[str, ...]]] = {}
    while pending:
        before, way = heappop(pending)
        here = way[-1]
        if here in least:
            continue
        least[here] = (before, way)
        for edge in plan.schedule.states[here].next:
            if edge.to in plan.schedule.states:
                heappush(pending, (before + steps[here], (*way, edge.to)))
    return least
