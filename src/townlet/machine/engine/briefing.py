"""What a visit is told: its inputs, its pinned baselines and its spec, from the state of the run alone."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, fields

from townlet.dto.guards import EvidenceTable
from townlet.dto.journal import EffectDone, VisitStarted
from townlet.dto.schedule import BaselineSpec, Plan
from townlet.dto.strategies import StrategySpec
from townlet.errors import BadInputError, HoldError
from townlet.machine.catalogue import StrategyEntry
from townlet.machine.engine.visit import Visit
from townlet.machine.guards.evaluate import evaluate_visits
from townlet.machine.journal.run_state import OpenVisit, RunState
from townlet.rng import derive

__all__ = ["baseline_digests", "inputs", "scaled", "started", "visit"]


def started(run: RunState, plan: Plan, champion: str | None, strategy: StrategyEntry) -> VisitStarted:
    """Return the record that begins the next visit, or the open one again with what it was told at first.

    `champion` is the digest that the alias names now. A visit with an effect expects the champion that its evidence was
    gathered against instead. HoldError where a strategy that fine-tunes has nothing to start from.
    """
    again = run.visit
    if again is not None:
        return VisitStarted(
            state=again.state, visit=again.number, attempt=again.attempt + 1, inputs=again.inputs,
            baseline_digests=again.baseline_digests, expected_champion=again.expected_champion,
        )  # fmt: skip
    given = inputs(run, plan, run.state, champion, strategy)
    return VisitStarted(
        state=run.state, visit=run.visits.get(run.state, 0) + 1, attempt=1, inputs=given,
        baseline_digests=baseline_digests(run, plan, run.state, given),
        expected_champion=run.judged_against if strategy.effect and run.evidence is not None else champion,
    )  # fmt: skip


def visit(
    run: RunState,
    opened: OpenVisit,
    plan: Plan,
    strategy: StrategyEntry,
    *,
    seed: int,
    save: Callable[[int, str], None],
    decided: Callable[[EvidenceTable], bool],
    effect: Callable[[str], EffectDone],
    stopping: Callable[[], bool],
) -> Visit:
    """Return everything that the strategy of the open visit is told; `seed` is the run's."""
    state = opened.state
    spec = scaled(plan.options[state], state, run.scale)
    return Visit(
        state=state, strategy=strategy.name, number=opened.number, attempt=opened.attempt,
        ramp_index=run.ramp_index if strategy.fine_tunes else 0, spec=spec, scale=run.scale,
        seed=derive(seed, state, opened.number), inputs=opened.inputs,
        baseline_digests=opened.baseline_digests, expected_champion=opened.expected_champion,
        evaluate_visits=evaluate_visits(plan), checkpoint=opened.checkpoint, save=save, decided=decided,
        effect=effect, stopping=stopping,
    )  # fmt: skip


def inputs(run: RunState, plan: Plan, state: str, champion: str | None, strategy: StrategyEntry) -> dict[str, str]:
    """Return the digests a visit to `state` may use; HoldError where a fine-tuning has nothing to start from."""
    accepted = run.accepted[-1].result.weights if run.accepted else None
    known: dict[str, str | None] = {name: policy.sha256 for name, policy in plan.schedule.policies.items()}
    known |= {
        "dataset": run.dataset,
        "experience": run.experience,
        "clone": run.clone,
        "candidate": run.candidate,
        "champion": champion,
        "accepted": accepted,
        "evidence": run.evidence,
    }
    if strategy.fine_tunes:
        known["start"] = _start(strategy, plan.options[state], run, known, state)
    return {name: digest for name, digest in known.items() if digest is not None}


def _start(
    strategy: StrategyEntry, options: StrategySpec, run: RunState, known: Mapping[str, str | None], state: str
) -> str | None:
    """Return the weights a fine-tuning begins with: those its options name in round 1, the candidate afterwards."""
    name = strategy.start(options) if run.rounds == 0 else "candidate"
    if run.experience is None and any(needed.name == "experience" for needed in strategy.consumes(options)):
        raise HoldError(f"{state} learns from recorded play, but this run has recorded none")
    if name == "fresh":
        return None
    digest = known.get(name)
    if digest is None:
        raise HoldError(f"{state} starts from the {name}, but this run has none")
    return digest


def baseline_digests(run: RunState, plan: Plan, state: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what each baseline's name stands for during a visit to `state`; absent ones do not exist."""
    resolved = {name: _resolve(name, run, plan, state, given, frozenset()) for name in plan.schedule.baselines}
    return {name: policy for name, policy in resolved.items() if policy is not None}


def _resolve(
    name: str, run: RunState, plan: Plan, state: str, given: Mapping[str, str], passed: frozenset[str]
) -> str | None:
    spec = plan.schedule.baselines.get(name)
    if spec is None:
        return f"teacher:{plan.schedule.teacher}" if name == "teacher" else None
    if name in passed:
        raise BadInputError(f"baseline {name!r} leads back to itself through `otherwise`")
    found = _own(name, spec, run, plan, state, given)
    if found is not None or spec.otherwise is None:
        return found
    return _resolve(spec.otherwise, run, plan, state, given, passed | {name})


def _own(name: str, spec: BaselineSpec, run: RunState, plan: Plan, state: str, given: Mapping[str, str]) -> str | None:
    if spec.alias is not None:
        return given.get("champion") if spec.alias == plan.schedule.registry.champion else None
    if spec.policy is not None:
        return f"teacher:{plan.schedule.teacher}" if spec.policy == "teacher" else given.get(spec.policy)
    if name == "accepted":
        mine = [each.result.weights for each in run.accepted if each.state == spec.of]
        return mine[-1] if mine else None
    return given.get("start") if state == spec.of else run.starts.get(spec.of or "")


def scaled(spec: StrategySpec, state: str, factors: Mapping[str, float]) -> StrategySpec:
    """Return a spec with the factors that name this state, such as ``ppo.learning_rate: 0.5``, applied.

    Whole numbers stay whole (rounded, at least 1); BadInputError for a field that is unknown or no number.
    """
    values = {field.name: getattr(spec, field.name) for field in fields(type(spec))}
    changes: dict[str, Any] = {}
    for key, factor in factors.items():
        where, _, name = key.rpartition(".")
        if where != state:
            continue
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInputError(f"{key} cannot be scaled; expected a field of {state} that holds a number")
        changes[name] = max(1, round(value * factor)) if isinstance(value, int) else value * factor
    return evolve(spec, **changes) if changes else spec
