"""The provenance of a promotion, derived from the journal and from nothing else."""

from collections.abc import Mapping, Sequence

from townlet.dto.guards import GuardReport
from townlet.dto.journal import EffectDone, Entry, GuardsJudged, RunCreated, TransitionTaken, VisitStarted
from townlet.dto.policy_ref import teacher_ref
from townlet.dto.provenance import Provenance, ResourceDescriptor, Statement
from townlet.errors import BadInputError
from townlet.machine.audit.registry_rebuild import Promotion, read_promotions
from townlet.machine.catalogue import StrategyCatalogue

__all__ = ["statement"]


def statement(
    entries: Sequence[Entry], version: int, catalogue: StrategyCatalogue, *, teacher: str, environment: str
) -> Statement:
    """Return the in-toto statement of the promotion that made `version`; BadInputError where the run made none such.

    `teacher` and `environment` (id and scenario) are what the run's schedule says.
    """
    made = [p for p in read_promotions(entries, catalogue) if p.done is not None and p.done.version == version]
    if not made:
        raise BadInputError(f"the journal tells of no promotion that made version {version}")
    promotion = made[-1]
    done = next(
        e for e in entries if isinstance(e.record, EffectDone) and e.seq > promotion.intended.seq
    )  # the intent is followed by its done, else `made` were empty
    before = [entry for entry in entries if entry.seq <= done.seq]
    reports, edge = _way_in(before, promotion.intent.state)
    inputs = _inputs(before)
    materials = [ResourceDescriptor(name=name, digest={"sha256": digest}) for name, digest in sorted(inputs.items())]
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
        predicate=_predicate(promotion, version, done, reports, edge, tuple(materials)),
    )


def _predicate(
    promotion: Promotion,
    version: int,
    done: Entry,
    reports: tuple[GuardReport, ...],
    edge: str,
    materials: tuple[ResourceDescriptor, ...],
) -> Provenance:
    created, intent = promotion.created, promotion.intent
    return Provenance(
        run=created.run,
        schedule=_descriptor_of(created),
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
        materials=materials,
    )


def _descriptor_of(created: RunCreated) -> ResourceDescriptor:
    return ResourceDescriptor(name=f"{created.name}.yaml", digest={"sha256": created.schedule})


def _way_in(entries: Sequence[Entry], state: str) -> tuple[tuple[GuardReport, ...], str]:
    """Return the guards that were judged before the last transition into `state`, and why it was taken."""
    reports: tuple[GuardReport, ...] = ()
    found: tuple[tuple[GuardReport, ...], str] = ((), "")
    for entry in entries:
        if isinstance(entry.record, GuardsJudged):
            reports = entry.record.reports
        elif isinstance(entry.record, TransitionTaken) and entry.record.target == state:
            found = (reports, entry.record.why)
    return found


def _inputs(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Return what visits were given, by name, the last of each; the candidate is the subject, not a material."""
    found: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry.record, VisitStarted):
            found |= entry.record.inputs
    return {name: digest for name, digest in found.items() if name != "candidate"}
