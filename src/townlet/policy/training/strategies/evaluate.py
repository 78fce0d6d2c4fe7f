"""evaluate: candidate and baselines play the same fresh episodes; the weights are only read."""

from collections.abc import Iterator, Mapping
from time import perf_counter

from attrs import evolve, frozen

from townlet.canonical import canonical_json
from townlet.dto.evidence import CANDIDATE, EvidenceTable
from townlet.dto.guards import MetricGuardSpec, PairedComparisonSpec
from townlet.dto.metric_name import MetricName
from townlet.dto.metrics import InvalidValues, Measurement
from townlet.dto.policy import EvaluationResult
from townlet.dto.policy_ref import data_ref, is_data
from townlet.dto.schedule import EvidenceSpec
from townlet.dto.strategies import EvaluateSpec
from townlet.machine.catalogue import Cost, CostContext, Input, Product, StrategyEntry
from townlet.policy.training.checkpoint import Checkpoint, VisitCheckpoints
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.data_sets import recorded_values
from townlet.policy.training.evidence import EvidenceCollector
from townlet.rng import derive

__all__ = ["ENTRIES", "EvaluateStrategy"]

_STOCHASTIC_EPISODES = 20
"""Episodes in which the candidate's stochastic play is reported beside the greedy play that is judged."""


_NUMBER_BYTES = 20
"""Bytes of a number in a stored table of evidence."""


def _output(options: EvaluateSpec) -> frozenset[Product]:
    return frozenset({"evidence"} if options.candidate == CANDIDATE else {"evidence", "candidate"})


def _cost(options: EvaluateSpec, context: CostContext) -> Cost:
    evidence = context.plan.schedule.evidence[options.evidence]
    # The candidate plays twice: judged in one way of acting, reported in the other.
    policies = 2 + context.baselines
    control = evidence.control
    alone = 0 if control is None or control.covariate is not None else control.episodes
    steps = sum(context.episode_steps(evidence, scenario) for scenario in evidence.scenarios or (None,))
    rows = len(context.environment.metrics) * max(1, len(evidence.scenarios)) * (1 + context.baselines)
    first = evidence.episodes[0]
    return Cost(
        agent_steps=(policies * evidence.episodes[-1] + context.baselines * alone) * steps,
        disk=rows * evidence.episodes[-1] * _NUMBER_BYTES,
        least_agent_steps=(first + min(_STOCHASTIC_EPISODES, first)) * steps,
    )


ENTRIES = (
    StrategyEntry(
        name="evaluate",
        doc="Candidate and baselines play the same fresh episodes.",
        strategy=f"{__name__}:EvaluateStrategy",
        spec=EvaluateSpec,
        result=EvaluationResult,
        consumes=lambda options: (Input(options.candidate, "candidate"),),
        produces=frozenset({"evidence", "candidate"}),
        produces_with=_output,
        cost=_cost,
        evidence_option="evidence",
    ),
)


@frozen
class EvaluateStrategy:
    """Plays pre-declared looks until every evidence guard of the state is decided; one checkpoint a look."""

    name: str = "evaluate"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse a missing or unfit candidate before anything is played."""
        context.weights(_candidate(context))

    def run(self, context: TrainingContext) -> EvaluationResult:
        """Gather paired evidence and store it as a table from which every verdict can be derived again."""
        started, spec, visit = perf_counter(), context.options_as(EvaluateSpec), context.visit
        evidence, candidate = context.schedule.evidence[spec.evidence], _candidate(context)
        baselines = {
            name: visit.baseline_digests[name] for name in _baselines(context) if name in visit.baseline_digests
        }
        collector = EvidenceCollector(
            context=context,
            evidence=evidence,
            seed=_seed(context, spec.evidence, evidence, candidate),
            policies={CANDIDATE: candidate} | {name: ref for name, ref in baselines.items() if not is_data(ref)},
            counted=_counted(context),
            recorded={name: _recorded(context, evidence, ref) for name, ref in baselines.items() if is_data(ref)},
        )
        checkpoints = VisitCheckpoints(context=context, every=1)
        checkpoint = checkpoints.load()
        if checkpoint is not None:
            collector.resume(checkpoint.arrays)
        further = collector.further_covariates()
        # The verdict of the checkpoint's look is derived again; nothing is played for it.
        first = 0 if checkpoint is None else checkpoint.step - 1
        for look, episodes in enumerate(evidence.episodes[first:], start=first + 1):
            collector.extend(episodes)
            table = EvidenceTable(
                evidence=spec.evidence,
                candidate=candidate,
                baselines=baselines,
                seed=collector.seed,
                looks=evidence.episodes[:look],
                metrics=collector.rows(),
                unpaired=not visit.obeys_seed,
                covariates=collector.covariates(episodes),
                further_covariates=further,
            )
            digest = context.blobs.put(_canonical(table))
            is_new = checkpoint is None or look > checkpoint.step
            if is_new:
                checkpoints.save(_checkpoint(collector, look))
            context.telemetry.emit(
                look, _headline(collector), of=len(evidence.episodes), agent_steps=collector.agent_steps
            )
            if visit.decided(table):
                break
            if is_new and look < len(evidence.episodes) and visit.stopping():
                checkpoints.stop(f"after look {look}")
        beside, invalid, more = _stochastic(collector, candidate, min(_STOCHASTIC_EPISODES, evidence.episodes[0]))
        return EvaluationResult(
            weights=candidate,
            measurements=collector.measurements() + beside,
            evidence=digest,
            reward_terms=_stored_terms(context, collector, table),
            looks=len(table.looks),
            invalid=collector.invalid_values() + invalid,
            blobs={"evidence": digest},
            agent_steps=collector.agent_steps + more,
            duration=perf_counter() - started,
        )


def _stored_terms(context: TrainingContext, collector: EvidenceCollector, table: EvidenceTable) -> str:
    """Store the terms of the rewards in the form of the evidence; return the digest, empty for none."""
    rows = collector.term_rows()
    terms = evolve(table, metrics=rows, covariates={}, further_covariates={})
    return context.blobs.put(_canonical(terms)) if rows else ""


def _checkpoint(collector: EvidenceCollector, look: int) -> Checkpoint:
    """Return what was played up to a look; its line of the metric stream comes after it."""
    return Checkpoint(strategy="evaluate", step=look, points=look - 1, facts={}, arrays=collector.arrays())


def _candidate(context: TrainingContext) -> str:
    return context.input(context.options_as(EvaluateSpec).candidate)


def _baselines(context: TrainingContext) -> tuple[str, ...]:
    """Return the baselines that any guard of this state compares with, in the order of the schedule."""
    return tuple(dict.fromkeys(guard.baseline for guard in _guards(context) if guard.baseline is not None))


def _recorded(context: TrainingContext, evidence: EvidenceSpec, reference: str) -> Mapping[str, tuple[float, ...]]:
    """Return what the data set of a baseline tells."""
    data = next(
        spec.data
        for spec in context.schedule.baselines.values()
        if spec.data is not None and data_ref(spec.data.sha256) == reference
    )
    description = context.environments.describe(context.schedule.environment.scenario)
    longest = description.episode_length(evidence.days, evidence.max_steps)
    return recorded_values(data, context.environments, description, longest)


def _counted(context: TrainingContext) -> frozenset[str]:
    """Return the rows whose events a guard on this state's evidence counts."""
    return frozenset(
        metric.row
        for guard in _guards(context)
        if isinstance(guard, PairedComparisonSpec)
        and guard.test == "count"
        and (metric := MetricName.parse(guard.metric))
    )


def _guards(context: TrainingContext) -> Iterator[MetricGuardSpec]:
    """Yield the guards on metrics of this state."""
    for guard in context.schedule.guards.values():
        metric = MetricName.parse(guard.metric) if isinstance(guard, MetricGuardSpec) else None
        if isinstance(guard, MetricGuardSpec) and metric is not None and metric.state == context.visit.state:
            yield guard


def _seed(context: TrainingContext, name: str, evidence: EvidenceSpec, candidate: str) -> int:
    if evidence.seeds == "fixed":
        return derive(context.schedule.seed, "fixed evidence", name)
    return derive(context.visit.seed, "fresh evidence", name, candidate)


def _headline(collector: EvidenceCollector) -> dict[str, float]:
    """Return the objective's mean per policy name, for whoever watches."""
    row = collector.rows()[0]
    defined = {name: [value for value in values if value is not None] for name, values in row.values.items()}
    return {f"{name} {row.metric}": sum(values) / len(values) for name, values in defined.items() if values}


def _stochastic(
    collector: EvidenceCollector, candidate: str, episodes: int
) -> tuple[tuple[Measurement, ...], tuple[InvalidValues, ...], int]:
    """Return the candidate's KPIs with stochastic actions over the first episodes, and the agent-steps played."""
    measurements: tuple[Measurement, ...] = ()
    invalid: tuple[InvalidValues, ...] = ()
    steps = 0
    for scenario in collector.scenarios:
        played = collector.play(candidate, scenario, "stochastic", 0, episodes)
        measurements += collector.measured(candidate, scenario, "stochastic", played)
        invalid += collector.invalid(candidate, scenario, "stochastic", played)
        steps += played.agent_steps
    return measurements, invalid, steps


def _canonical(table: EvidenceTable) -> bytes:
    """Return the bytes of a table; what earlier versions did not know is there only where it holds something."""
    plain = table.model_dump()
    for addition in ("unpaired", "covariates", "further_covariates"):
        if not plain[addition]:
            del plain[addition]
    for row in plain["metrics"]:
        for addition in ("invalid", "sums", "exposures", "control"):
            if not row[addition]:
                del row[addition]
    return canonical_json(plain)
