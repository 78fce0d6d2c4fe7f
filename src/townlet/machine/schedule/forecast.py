"""What a run may cost and what its evidence can see, told before a second of compute is spent."""

from collections.abc import Mapping
from itertools import pairwise
from math import ceil, prod
from types import MappingProxyType

from attrs import frozen

from townlet.dto.catalogue import StrategyCatalogue
from townlet.dto.codec import Record
from townlet.dto.guards import GuardSpec
from townlet.dto.quantities import Bytes
from townlet.dto.schedule import BUILT_IN_STATES, EvidenceSpec, Plan
from townlet.dto.strategies import PROBE_ROWS, BCSpec, CaptureSpec, EvaluateSpec, PPOSpec
from townlet.estimate import detectable_difference
from townlet.machine.guards.evaluate import evaluate_visits
from townlet.machine.guards.verdicts import names
from townlet.machine.schedule.check_guards import MetricName
from townlet.machine.schedule.loader import torch_needs
from townlet.machine.schedule.reachability import explore
from townlet.ports import EnvironmentDescription

__all__ = ["Forecast", "GuardForecast", "StateForecast", "forecast"]

POWER = 0.8
"""Chance with which a difference shall be found."""
_FLOAT32, _JSON_NUMBER = 4, 20  # bytes
_COPIES = 5
"""Networks in a checkpoint at the most: the present one, the best, the parent, and the optimizer's two moments."""
_AGENT = 512
"""Bytes of an environment's state per agent, roughly."""


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
    """States some walk goes on to, in document order."""


@frozen(kw_only=True)
class GuardForecast(Record):
    """What one guard can tell."""

    guard: str
    """Name."""
    asked_at: tuple[str, ...]
    """States whose edges ask it; none for a guard that nothing uses."""
    decides: tuple[str, ...]
    """The edges (``STATE → STATE``) of these that some walk takes."""
    pairs: int | None = None
    """Pairs at the last look, for a guard on evidence."""
    alpha: float | None = None
    """Error one look may make, so that the whole run keeps the declared confidence."""
    detectable: float | None = None
    """Smallest true difference from the limit, in standard deviations of a pair, found in 80 % of visits."""
    equal_passes: float | None = None
    """Bound on the chance that a policy equal to the baseline passes it in one visit; none where that hangs on the
    metric's spread: a tolerance of `detectable` standard deviations passes it in 80 % of visits."""


@frozen(kw_only=True)
class Forecast(Record):
    """What `check` tells of a sound schedule; all bounds are worst cases."""

    name: str
    """Name of the schedule."""
    states: tuple[StateForecast, ...]
    """In document order."""
    ends: tuple[str, ...]
    """Built-in states some walk ends in."""
    agent_steps: int
    """Of the longest visits together."""
    disk: Bytes
    """Left behind by them, roughly."""
    guards: tuple[GuardForecast, ...]
    """In document order."""
    torch: tuple[str, ...]
    """States that cannot run here because torch is not installed."""


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
    places = {name: suites.get(name, environment) for spec in schedule.evidence.values() for name in spec.scenarios}
    walk = explore(schedule.initial, {name: state.next for name, state in schedule.states.items()}, schedule.guards)
    states = tuple(
        StateForecast(
            state=name,
            strategy=state.strategy,
            most_visits=plan.most_visits[name],
            agent_steps=_agent_steps(plan, name, environment, places),
            disk=_disk(plan, name, environment),
            leads_to=tuple(
                dict.fromkeys(edge.to for index, edge in enumerate(state.next) if (name, index) in walk.fires)
            ),
        )
        for name, state in schedule.states.items()
    )
    return Forecast(
        name=schedule.name,
        states=states,
        ends=tuple(end for end in BUILT_IN_STATES if end in walk.reached),
        agent_steps=sum(state.most_visits * state.agent_steps for state in states),
        disk=Bytes(sum(state.most_visits * state.disk for state in states)),
        guards=tuple(_guard(plan, name, guard, walk.fires) for name, guard in schedule.guards.items()),
        torch=torch_needs(plan, catalogue),
    )


def _guard(plan: Plan, name: str, guard: GuardSpec, fires: frozenset[tuple[str, int]]) -> GuardForecast:
    asking = [
        (state, index, edge.to)
        for state, spec in plan.schedule.states.items()
        for index, edge in enumerate(spec.next)
        if any(name in names(when) for when in edge.when)
    ]
    asked_at = tuple(dict.fromkeys(state for state, _, _ in asking))
    decides = tuple(f"{state} → {to}" for state, index, to in asking if (state, index) in fires)
    if guard.evidence is None or guard.margin is None:
        return GuardForecast(guard=name, asked_at=asked_at, decides=decides)
    evidence = plan.schedule.evidence[guard.evidence]
    pairs, looks = evidence.episodes[-1], len(evidence.episodes)
    alpha = (1 - evidence.confidence) / (looks * evaluate_visits(plan))
    tolerant = guard.not_worse_than is not None and bool(guard.margin.relative or guard.margin.absolute)
    return GuardForecast(
        guard=name,
        asked_at=asked_at,
        decides=decides,
        pairs=pairs,
        alpha=alpha,
        detectable=detectable_difference(pairs, alpha, POWER),
        equal_passes=None if tolerant else looks * alpha,
    )


def _episode(evidence: EvidenceSpec, environment: EnvironmentDescription) -> int:
    return evidence.days * environment.decisions_per_day * environment.agents


def _looks(options: PPOSpec, agent_steps: int) -> int:
    return agent_steps // options.watch.every if options.watch else 0


def _agent_steps(
    plan: Plan, state: str, environment: EnvironmentDescription, places: Mapping[str, EnvironmentDescription]
) -> int:
    options, schedule = plan.options[state], plan.schedule
    match options:
        case CaptureSpec():
            decisions = options.days * environment.decisions_per_day
            if options.ticks is not None:
                decisions = ceil(options.ticks / environment.ticks_per_decision)
            return options.episodes * decisions * environment.agents
        case PPOSpec():
            iteration = _iteration(plan, options, environment)
            trained = (options.iterations or ceil(options.agent_steps / iteration)) * iteration
            if options.watch is None:
                return trained
            evidence = schedule.evidence[options.watch.evidence]
            # At every look the policy and its parent play.
            return trained + _looks(options, trained) * 2 * evidence.episodes[-1] * _episode(evidence, environment)
        case EvaluateSpec():
            evidence = schedule.evidence[options.evidence]
            # The candidate plays twice: judged in one way of acting, reported in the other.
            policies = 2 + len(_baselines(plan, state))
            played = [places[name] for name in evidence.scenarios] or [environment]
            return policies * evidence.episodes[-1] * sum(_episode(evidence, place) for place in played)
    return 0


def _baselines(plan: Plan, state: str) -> frozenset[str]:
    """Return the baselines that guards compare this state's measurements with."""
    return frozenset(
        guard.margin.baseline
        for guard in plan.schedule.guards.values()
        if guard.margin and (metric := MetricName.parse(guard.metric)) and metric.state == state
    )


def _disk(plan: Plan, state: str, environment: EnvironmentDescription) -> Bytes:
    options = plan.options[state]
    # each row of a probe with its mask and its logits
    probe = PROBE_ROWS * (_FLOAT32 * (len(environment.features) + len(environment.actions)) + len(environment.actions))
    match options:
        case CaptureSpec():
            # Features, mask, label, action, reward and two flags per decision.
            decision = _FLOAT32 * (len(environment.features) + 2) + len(environment.actions) + 4
            return Bytes(_agent_steps(plan, state, environment, {}) * decision)
        case BCSpec():
            network = _network(options.hidden_sizes, environment)
            passes = options.update_epochs + options.value_epochs
            return Bytes(network + probe + _checkpoints(passes, options.checkpoint_every) * _COPIES * network)
        case PPOSpec():
            network, lanes = _network(_hidden(plan, options), environment), plan.schedule.environment.worlds
            iterations = options.iterations or ceil(options.agent_steps / _iteration(plan, options, environment))
            playing = lanes * environment.agents * (_AGENT + _FLOAT32 * len(environment.features))
            saved = _COPIES * network + 2 * probe + playing
            return Bytes(network + probe + _checkpoints(iterations, options.checkpoint_every) * saved)
        case EvaluateSpec():
            evidence = plan.schedule.evidence[options.evidence]
            rows = len(environment.metrics) * max(1, len(evidence.scenarios)) * (1 + len(_baselines(plan, state)))
            return Bytes(rows * evidence.episodes[-1] * _JSON_NUMBER)
    return Bytes(0)


def _iteration(plan: Plan, options: PPOSpec, environment: EnvironmentDescription) -> int:
    return plan.schedule.environment.worlds * environment.agents * options.num_steps


def _checkpoints(steps: int, every: int) -> int:
    """Return how many a visit keeps; nothing frees those that are superseded before it has ended."""
    return steps // every if every else 0


def _hidden(plan: Plan, options: PPOSpec) -> tuple[int, ...]:
    """Return the widths a ppo visit trains: the largest clone's, or its own for a fresh start."""
    cloned = [spec.hidden_sizes for spec in plan.options.values() if isinstance(spec, BCSpec)]
    return options.hidden_sizes if options.start_from == "fresh" or not cloned else max(cloned, key=prod)


def _network(hidden: tuple[int, ...], environment: EnvironmentDescription) -> int:
    """Return the bytes of an actor and a critic with these hidden layers."""

    def trunk(outputs: int) -> int:
        widths = (len(environment.features), *hidden, outputs)
        return sum((before + 1) * after for before, after in pairwise(widths))

    return _FLOAT32 * (trunk(len(environment.actions)) + trunk(1))
