"""One visit, the execution of a state's strategy: its record, its inputs, baselines and spec, from the run state."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from attrs import evolve, fields, frozen

from townlet.dto.evidence import EvidenceTable
from townlet.dto.journal import EffectDone, VisitStarted
from townlet.dto.policy import TrainingResult
from townlet.dto.policy_ref import data_ref, teacher_ref
from townlet.dto.schedule import BaselineSpec, Plan
from townlet.dto.strategies import StrategySpec
from townlet.errors import BadInputError, HoldError, StrategyFailedError
from townlet.machine.catalogue import StrategyEntry
from townlet.machine.guards.look_errors import evaluate_visits
from townlet.machine.journal.run_state import OpenVisit, RunState
from townlet.rng import derive

__all__ = ["RunVisit", "Visit", "always", "apply_scale", "build_visit", "never", "open_visit", "resolve_baselines"]


def never() -> bool:
    """Return False: no stop was requested."""
    return False


def always() -> None:
    """Go on: no budget of time is set."""


@frozen(kw_only=True)
class Visit:
    """Everything a strategy gets from the engine."""

    state: str
    """Name of the state."""
    strategy: str
    """Name of the strategy."""
    number: int
    """The n-th visit to this state in the run, from 1."""
    attempt: int
    """The n-th start of this visit, from 1."""
    ramp_index: int
    """The n-th consecutive ppo visit since the weights were last set by `start_from` or rollback, from 0 (picks the
    ramp); 0 for other strategies."""
    spec: StrategySpec
    """The `with:` block with every rollback's factors applied."""
    scale: Mapping[str, float]
    """Factors of earlier rollbacks, cumulative, such as ``ppo.learning_rate: 0.25``."""
    seed: int
    """Derived from (run seed, state, visit); every stream of the visit derives from it."""
    inputs: Mapping[str, str]
    """Digests by name, as far as they exist: `dataset`, `experience` (a policy's recorded play), `clone`, `candidate`,
    `champion`, `accepted`, `start` (where this ppo visit begins; absent for a fresh start), `evidence` (of the last
    evaluate visit), and every name under `policies`."""
    baseline_digests: Mapping[str, str]
    """Policy that each baseline stands for during this visit: a weights digest, or ``teacher:NAME``; baselines without
    one are absent."""
    expected_champion: str | None
    """Weights digest that the champion's alias named when the visit began."""
    evaluate_visits: int
    """The most evaluate visits the counters allow, all evaluate states together; divides the error."""
    obeys_seed: bool
    """Whether the environment gives equal episodes for equal seeds; where not, evidence is unpaired."""
    checkpoint: str | None
    """Digest of the last checkpoint of this visit, to resume from."""
    save: Callable[[int, str], None]
    """`save(step, digest)` appends a checkpoint record naming a stored blob."""
    decided: Callable[[EvidenceTable], bool]
    """Whether the table decides every evidence guard of this state, by the code that evaluates guards."""
    effect: Callable[[str], EffectDone]
    """`effect(target)` journals the intent, moves the champion's alias to `target` by compare-and-set against
    `expected_champion`, journals that it is done; ChampionMovedError where the race is lost. Only for promote."""
    stopping: Callable[[], bool] = never
    """Whether somebody asked the process to stop, or the budget of time is spent. A long strategy calls it at every
    point that it can resume from; where it is true, it saves a checkpoint and raises StoppedError."""
    check_time: Callable[[], None] = always
    """Raises StoppedError where the budget of time is spent. Called after each decision of a long loop that has no
    point to resume from: what was done since the last checkpoint is done again."""

    @classmethod
    def outermost(cls, seed: int) -> "Visit":
        """Return the visit that stands for the run as a whole, before any state is entered; it has no callbacks."""

        def refuse(*_: object) -> NoReturn:
            raise StrategyFailedError("only the visit to a state can save, evaluate guards or have an effect")

        return cls(
            state="anneal",
            strategy="anneal",
            number=1,
            attempt=1,
            ramp_index=0,
            spec=StrategySpec(),
            scale={},
            seed=seed,
            inputs={},
            baseline_digests={},
            expected_champion=None,
            evaluate_visits=1,
            obeys_seed=True,
            checkpoint=None,
            save=refuse,
            decided=refuse,
            effect=refuse,
        )


RunVisit = Callable[[Visit], TrainingResult]
"""Runs the strategy of a visit; `visit_errors` says what each kind of error means."""


def open_visit(run: RunState, plan: Plan, champion: str | None, strategy: StrategyEntry) -> VisitStarted:
    """Return the record that begins the next visit, or another attempt of the open one with the same inputs.

    `champion` is the digest that the alias names now. A visit with an effect expects the champion that its evidence was
    gathered against instead. HoldError where a strategy that fine-tunes has nothing to start from.
    """
    visit = run.visit
    if visit is not None:
        return VisitStarted(
            state=visit.state,
            visit=visit.number,
            attempt=visit.attempt + 1,
            inputs=visit.inputs,
            baseline_digests=visit.baseline_digests,
            expected_champion=visit.expected_champion,
        )
    inputs = _inputs(run, plan, champion, strategy)
    return VisitStarted(
        state=run.state,
        visit=run.visits.get(run.state, 0) + 1,
        attempt=1,
        inputs=inputs,
        baseline_digests=resolve_baselines(run, plan, run.state, inputs),
        expected_champion=run.judged_against if strategy.effect and run.evidence is not None else champion,
    )


def build_visit(
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
    check_time: Callable[[], None],
) -> Visit:
    """Return the visit as its strategy gets it; `seed` is the run's, the callbacks are the engine's."""
    state = opened.state
    return Visit(
        state=state,
        strategy=strategy.name,
        number=opened.number,
        attempt=opened.attempt,
        ramp_index=run.ramp_index if strategy.fine_tunes else 0,
        spec=apply_scale(plan.options[state], state, run.scale),
        scale=run.scale,
        seed=derive(seed, state, opened.number),
        inputs=opened.inputs,
        baseline_digests=opened.baseline_digests,
        expected_champion=opened.expected_champion,
        evaluate_visits=evaluate_visits(plan),
        obeys_seed=run.obeys_seed,
        checkpoint=opened.checkpoint,
        save=save,
        decided=decided,
        effect=effect,
        stopping=stopping,
        check_time=check_time,
    )


def _inputs(run: RunState, plan: Plan, champion: str | None, strategy: StrategyEntry) -> dict[str, str]:
    """Return the digests a visit to the present state may use; HoldError where a fine-tuning has no start."""
    accepted = run.accepted[-1].result.weights if run.accepted else None
    digests: dict[str, str | None] = {name: policy.sha256 for name, policy in plan.schedule.policies.items()}
    digests |= {
        "dataset": run.dataset,
        "experience": run.experience,
        "clone": run.clone,
        "candidate": run.candidate,
        "champion": champion,
        "accepted": accepted,
        "evidence": run.evidence,
    }
    if strategy.fine_tunes:
        digests["start"] = _start(run, plan.options[run.state], strategy, digests)
    return {name: digest for name, digest in digests.items() if digest is not None}


def _start(run: RunState, spec: StrategySpec, strategy: StrategyEntry, digests: Mapping[str, str | None]) -> str | None:
    """Return the weights a fine-tuning begins with: those its spec names in round 1, the candidate afterwards."""
    name = strategy.start(spec) if run.rounds == 0 else "candidate"
    if run.experience is None and any(need.name == "experience" for need in strategy.consumes(spec)):
        raise HoldError(f"{run.state} learns from recorded play, but this run has recorded none")
    if name == "fresh":
        return None
    digest = digests.get(name)
    if digest is None:
        raise HoldError(f"{run.state} starts from the {name}, but this run has none")
    return digest


def resolve_baselines(run: RunState, plan: Plan, state: str, inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the policy each baseline stands for during a visit to `state`; a baseline that has none is left out."""
    policies = {name: _baseline(name, run, plan, state, inputs, frozenset()) for name in plan.schedule.baselines}
    return {name: policy for name, policy in policies.items() if policy is not None}


def _baseline(
    name: str, run: RunState, plan: Plan, state: str, inputs: Mapping[str, str], passed: frozenset[str]
) -> str | None:
    """Return the policy of one baseline, or that of its `otherwise`; `passed` are the names that led here."""
    spec = plan.schedule.baselines.get(name)
    if spec is None:
        return teacher_ref(plan.schedule.teacher) if name == "teacher" else None
    if name in passed:
        raise BadInputError(f"baseline {name!r} leads back to itself through `otherwise`")
    policy = _declared_policy(name, spec, run, plan, state, inputs)
    if policy is not None or spec.otherwise is None:
        return policy
    return _baseline(spec.otherwise, run, plan, state, inputs, passed | {name})


def _declared_policy(
    name: str, spec: BaselineSpec, run: RunState, plan: Plan, state: str, inputs: Mapping[str, str]
) -> str | None:
    """Return the policy a baseline's own entry names, whatever its `otherwise`: alias, policy, accepted or parent."""
    if spec.alias is not None:
        return inputs.get("champion") if spec.alias == plan.schedule.registry.champion else None
    if spec.data is not None:
        return data_ref(spec.data.sha256)
    if spec.policy is not None:
        return teacher_ref(plan.schedule.teacher) if spec.policy == "teacher" else inputs.get(spec.policy)
    if name == "accepted":
        weights = [each.result.weights for each in run.accepted if each.state == spec.of]
        return weights[-1] if weights else None
    return inputs.get("start") if state == spec.of else run.starts.get(spec.of or "")


def apply_scale(spec: StrategySpec, state: str, factors: Mapping[str, float]) -> StrategySpec:
    """Return a spec with the factors that name this state, such as ``ppo.learning_rate: 0.5``, applied.

    Whole numbers stay whole (rounded, at least 1); BadInputError for a field that is unknown or no number.
    """
    values = {field.name: getattr(spec, field.name) for field in fields(type(spec))}
    changes: dict[str, Any] = {}
    for key, factor in factors.items():
        scaled_state, _, name = key.rpartition(".")
        if scaled_state != state:
            continue
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInputError(f"{key} cannot be scaled; expected a field of {state} that holds a number")
        changes[name] = max(1, round(value * factor)) if isinstance(value, int) else value * factor
    return evolve(spec, **changes) if changes else spec
