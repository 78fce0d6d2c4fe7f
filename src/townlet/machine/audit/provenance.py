"""The provenance of a promotion, derived from the journal alone."""

from collections.abc import Mapping, Sequence

from townlet.dto.guards import GuardReport
from townlet.dto.journal import EffectDone, Entry, GuardsJudged, RunCreated, TransitionTaken, VisitStarted
from townlet.dto.policy_ref import NO_TEACHER, teacher_ref
from townlet.dto.provenance import Provenance, ResourceDescriptor, Statement
from townlet.errors import BadInputError
from townlet.machine.audit.environment_promises import environment_reservations
from townlet.machine.audit.registry_rebuild import Promotion, read_promotions
from townlet.machine.catalogue import StrategyCatalogue

__all__ = ["statement"]


def statement(
    entries: Sequence[Entry], version: int, catalogue: StrategyCatalogue, *, teacher: str, environment: str
) -> Statement:
    """Return the in-toto statement of the promotion that made `version`; BadInputError where the run made none.

    `teacher` and `environment` (id and scenario) are what the run's schedule says.
    """
    matching = [p for p in read_promotions(entries, catalogue) if p.done is not None and p.done.version == version]
    if not matching:
        raise BadInputError(f"the journal holds no promotion that made version {version}")
    promotion = matching[-1]
    done = next(
        e for e in entries if isinstance(e.record, EffectDone) and e.seq > promotion.intended.seq
    )  # the intent is followed by its done, else `matching` would be empty
    earlier = [entry for entry in entries if entry.seq <= done.seq]
    reports, edge = _promoting_verdicts(earlier, promotion.intent.state)
    inputs = _inputs(earlier)
    materials = [ResourceDescriptor(name=name, digest={"sha256": digest}) for name, digest in sorted(inputs.items())]
    if teacher != NO_TEACHER:
        materials.append(ResourceDescriptor(name="teacher", digest={}, uri=teacher_ref(teacher)))
    materials.append(
        ResourceDescriptor(
            name="environment", digest={"sha256": promotion.created.environment}, uri=f"environment:{environment}"
        )
    )
    return Statement(
        subject=(
            ResourceDescriptor(
                name=f"{promotion.intent.registry}@{version}", digest={"sha256": promotion.intent.target}
            ),
        ),
        predicate=_predicate(
            promotion, version, done, reports, edge, tuple(materials), tuple(environment_reservations(earlier))
        ),
    )


def _predicate(
    promotion: Promotion,
    version: int,
    done: Entry,
    reports: tuple[GuardReport, ...],
    edge: str,
    materials: tuple[ResourceDescriptor, ...],
    reservations: tuple[str, ...],
) -> Provenance:
    created, intent = promotion.created, promotion.intent
    return Provenance(
        run=created.run,
        schedule=_schedule_descriptor(created),
        seed=created.seed,
        registry=intent.registry,
        alias=intent.alias,
        version=version,
        replaced=intent.expected,
        promoted_at=done.at,
        journal_head=done.hash,
        journal_seq=done.seq,
        versions=created.fingerprint,
        evidence=intent.evidence,
        guards=reports,
        edge=edge,
        reservations=reservations,
        materials=materials,
    )


def _schedule_descriptor(created: RunCreated) -> ResourceDescriptor:
    return ResourceDescriptor(name=f"{created.name}.yaml", digest={"sha256": created.schedule})


def _promoting_verdicts(entries: Sequence[Entry], state: str) -> tuple[tuple[GuardReport, ...], str]:
    """Return the guard reports before the last transition into `state`, and why that was taken."""
    reports: tuple[GuardReport, ...] = ()
    last: tuple[tuple[GuardReport, ...], str] = ((), "")
    for entry in entries:
        if isinstance(entry.record, GuardsJudged):
            reports = entry.record.reports
        elif isinstance(entry.record, TransitionTaken) and entry.record.target == state:
            last = (reports, entry.record.why)
    return last


def _inputs(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Return the last input of each name that visits had; the candidate is the subject, not a material."""
    inputs: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry.record, VisitStarted):
            inputs |= entry.record.inputs
    return {name: digest for name, digest in inputs.items() if name != "candidate"}
