"""What a run is made of: digests, seeds, versions and how exact a resume of it is, as rows of a table."""

from collections.abc import Iterator

from townlet.dto.journal import ProcessStarted
from townlet.dto.policy import EvaluationResult
from townlet.machine.audit.report_facts import ReportFacts

__all__ = ["identity_rows"]


def identity_rows(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    """Yield name and value, digests in full."""
    created, environment = facts.created, facts.schedule.environment
    yield "run", facts.run
    yield "schedule", f"{created.name}, SHA-256 {facts.state.schedule_sha256}"
    yield "environment", f"{environment.id}/{environment.scenario}, signature {created.environment}"
    yield "teacher", facts.schedule.teacher
    yield "seed of the run", f"{created.seed}; every other seed is derived from it"
    if facts.evidence is not None:
        yield "seed of the episodes", f"{facts.evidence.table.seed}; episode i is world i"
    yield from _digests(facts)
    yield "head of the journal", f"{facts.head} (record {len(facts.entries) - 1})"
    yield "semantic hash", f"{facts.semantic}; equal runs have the same"
    yield "exactness", _exactness(facts)
    for name, version in sorted(created.fingerprint.items()):
        yield f"version: {name}", version


def _digests(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    for visit in facts.visits:
        result = visit.result
        if result is None:
            continue
        where = f"{visit.state} visit {visit.visit}"
        if result.weights is not None and not isinstance(result, EvaluationResult):
            yield f"weights of {where}", result.weights
        for name, digest in sorted(result.blobs.items()):
            yield f"{name} of {where}", digest
        if isinstance(result, EvaluationResult):
            yield f"evidence of {where}", result.evidence


def _exactness(facts: ReportFacts) -> str:
    """Return whether an undisturbed run ends with the same bits."""
    if facts.inexact:
        return "an undisturbed run may have had other bits: see the reservations"
    processes = sum(isinstance(entry.record, ProcessStarted) for entry in facts.entries)
    kinds = {getattr(visit.result, "resumable", "exact") for visit in facts.visits if visit.result is not None}
    if processes > 1 and kinds != {"exact"}:
        return "visits that were cut off may not have ended with the same bits: the environment offers no snapshot"
    return (
        f"exact: {processes} process{'' if processes == 1 else 'es'} worked on it, and one alone would have ended with "
        "the same bits on the same machine and versions"
    )
