"""Gather from a run what a model card says of one of its policies."""

from collections.abc import Iterator

from attrs import evolve

from townlet.canonical import digest_of
from townlet.dto.guards import GuardReport
from townlet.dto.journal import EffectDone, EffectIntent
from townlet.dto.limitations import RunLimitations
from townlet.dto.model_card import CardPromotion, CardRun
from townlet.dto.policy import BCTrainingResult, EvaluationResult, FineTuningResult, TrainingResult
from townlet.dto.provenance import Statement
from townlet.dto.run_data import RunVisit, VisitEvidence
from townlet.dto.schedule import EvidenceSpec
from townlet.errors import BadInputError
from townlet.machine.audit.environment_promises import environment_reservations
from townlet.machine.audit.limitations import find_limitations
from townlet.machine.audit.provenance import statement
from townlet.machine.audit.run_data import RunData
from townlet.machine.audit.snapshot import first_record
from townlet.machine.audit.verify import inexact_processes
from townlet.machine.schedule.partial import Describe

__all__ = ["card_facts", "provenance_of"]


def card_facts(run: RunData, digest: str, describe: Describe) -> CardRun:
    """Return what a run says of the weights `digest`, which it made or evaluated.

    `describe` is asked for the environment's directions and scenarios. What cannot be read, such as evidence of a home
    that is not there, is said in `problems`. BadInputError where the run never had these weights.
    """
    results = [visit for visit in run.visits if visit.result is not None and visit.result.weights == digest]
    if not results:
        raise BadInputError(f"run {run.id} never had the weights {digest[:12]}; name a run that made or evaluated them")
    created, spec = first_record(run.directory, run.journal), run.schedule.environment
    problems: list[str] = []
    promotion = _promotion(run, digest)
    stated = None if promotion is None or created.rehearsal else _statement(run, promotion.version)
    evaluation = next((visit for visit in reversed(results) if isinstance(visit.result, EvaluationResult)), None)
    result = None if evaluation is None else evaluation.result
    measured = result.measurements if isinstance(result, EvaluationResult) else ()
    evidence = None if evaluation is None else _evidence(run, evaluation, problems)
    declared = None if evidence is None else run.schedule.evidence.get(evidence.table.evidence)
    guards, edge = _verdicts(run, evaluation, stated)
    return CardRun(
        run=run.id,
        schedule=created.name,
        schedule_sha256=run.state.schedule_sha256,
        seed=created.seed,
        rehearsal=created.rehearsal,
        environment=spec.id,
        scenario=spec.scenario,
        signature=created.environment,
        teacher=run.schedule.teacher,
        versions=created.fingerprint,
        ended=": ".join(filter(None, [run.state.state, run.state.reason])),
        promotion=promotion,
        training=tuple(reversed(tuple(_lineage(run, digest)))),
        evaluated="" if evaluation is None else f"{evaluation.state} visit {evaluation.visit}",
        looks=result.looks if isinstance(result, EvaluationResult) else 0,
        declared=() if declared is None else declared.episodes,
        confidence=None if declared is None else declared.confidence,
        evidence=evidence,
        seeds_sha256="" if evidence is None else _seeds(evidence, declared),
        measurements=tuple(each for each in measured if each.policy == digest and _is_judged(each.actions, declared)),
        guards=guards,
        edge=edge,
        limitations=None if evaluation is None else _limitations(run, evaluation, describe, problems),
        problems=tuple(problems),
        reservations=(*inexact_processes(run.journal), *environment_reservations(run.journal)),
        statement=stated,
    )


def _is_judged(actions: str, declared: EvidenceSpec | None) -> bool:
    """Return whether episodes with these actions decide, and are not only reported."""
    return declared is None or actions == declared.actions


def _promotion(run: RunData, digest: str) -> CardPromotion | None:
    """Return the last promotion of these weights; None where the run made none."""
    intent, promotion = None, None
    for entry in run.journal:
        record = entry.record
        if isinstance(record, EffectIntent):
            intent = record
        elif isinstance(record, EffectDone) and record.target == digest and intent is not None:
            promotion = CardPromotion(
                name=intent.registry,
                alias=record.alias,
                version=record.version,
                replaced=intent.expected,
                at=entry.at,
                head=entry.hash,
            )
    return promotion


def provenance_of(run: RunData, digest: str) -> Statement | None:
    """Return the provenance of weights; None where the run did not promote them."""
    promotion = _promotion(run, digest)
    return None if promotion is None else _statement(run, promotion.version)


def _statement(run: RunData, version: int) -> Statement:
    spec = run.schedule.environment
    return statement(
        run.journal,
        version,
        run.catalogue,
        teacher=run.schedule.teacher,
        environment=f"{spec.id}/{spec.scenario}",
    )


def _lineage(run: RunData, digest: str) -> Iterator[RunVisit]:
    """Yield the visits that the weights came from, the last one first: fine-tuning, its parent, clone and data set."""
    wanted = digest
    for visit in reversed(run.visits):
        result = visit.result
        if result is None or not _made(result, wanted):
            continue
        yield visit
        if isinstance(result, FineTuningResult):
            wanted = result.parent
        elif isinstance(result, BCTrainingResult):
            wanted = result.dataset


def _made(result: TrainingResult, digest: str) -> bool:
    """Return whether a visit made the weights or the data set of a digest."""
    if isinstance(result, FineTuningResult | BCTrainingResult):
        return result.weights == digest
    return bool(digest) and result.blobs.get("dataset") == digest


def _evidence(run: RunData, evaluation: RunVisit, problems: list[str]) -> VisitEvidence | None:
    try:
        return next(each for each in run.evidence if (each.state, each.visit) == (evaluation.state, evaluation.visit))
    except BadInputError:  # its message names paths of this machine, which are nobody's business
        problems.append("the paired episodes could not be read where this card was made")
        return None


def _seeds(evidence: VisitEvidence, declared: EvidenceSpec | None) -> str:
    """Return the digest of what keys the episodes: seed, how many, their length, the scenarios."""
    table = evidence.table
    length = None if declared is None else [declared.days, declared.max_steps, *declared.scenarios]
    return digest_of({"seed": table.seed, "episodes": table.looks[-1] if table.looks else 0, "length": length})


def _verdicts(
    run: RunData, evaluation: RunVisit | None, stated: Statement | None
) -> tuple[tuple[GuardReport, ...], str]:
    """Return the verdicts that the promotion rests on, else those of the evaluation; and the edge that was taken."""
    if stated is not None and stated.predicate.guards:
        return stated.predicate.guards, stated.predicate.edge
    if evaluation is None:
        return (), ""
    reports = (each for each in run.guards if (each.state, each.visit) == (evaluation.state, evaluation.visit))
    edge = "" if evaluation.to is None else f"→ {evaluation.to}: {evaluation.why}"
    return tuple(each.report for each in reports), edge


def _limitations(run: RunData, evaluation: RunVisit, describe: Describe, problems: list[str]) -> RunLimitations | None:
    """Return what the evidence of one evaluation could not show, of its last verdicts; None where that is not known."""
    try:
        found = find_limitations(run.directory, run.journal, run.blobs, run.catalogue, describe)
    except BadInputError:
        problems.append("what this run could not see could not be found out where this card was made")
        return None
    own = [
        evolve(each, problem=each.problem and "the paired episodes are missing where this card was made")
        for each in found.visits
        if (each.state, each.visit) == (evaluation.state, evaluation.visit)
    ]
    return RunLimitations(run=found.run, environment_problem=found.environment_problem, visits=tuple(own[-1:]))
