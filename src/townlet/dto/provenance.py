"""Where a promoted policy comes from: the predicate of an in-toto statement, and the artefacts it names."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.guards import GuardReport

__all__ = ["PREDICATE", "STATEMENT", "Provenance", "ResourceDescriptor", "Statement"]

STATEMENT = "https://in-toto.io/Statement/v1"
"""Layout of the whole (in-toto attestation framework, Statement v1)."""
PREDICATE = "https://townlet.dev/promotion/v1"
"""Layout of the predicate; a name, nothing is looked up there."""


@frozen(kw_only=True)
class ResourceDescriptor(Record):
    """One artefact, by name and digest."""

    name: str
    """What it was to the run: ``weights``, ``dataset``, ``clone``, ``teacher``, ``environment``."""
    digest: Mapping[str, str]
    """``sha256``; empty for what is code and has none."""
    uri: str = ""
    """Which, where it has no digest: ``teacher:NAME``, or ``environment:ID/SCENARIO``."""


@frozen(kw_only=True)
class Provenance(Record):
    """What a promotion is based on, all of it from the journal of its run."""

    run: str
    """Run id."""
    schedule: ResourceDescriptor
    """The schedule, byte for byte."""
    seed: int
    """Seed of the run."""
    registry: str
    """Policy name in the registry."""
    alias: str
    """Alias that moved."""
    version: int
    """Registry version."""
    replaced: str | None
    """Weights digest the alias named before; none where it named nothing."""
    promoted_at: str
    """UTC time, ISO 8601."""
    journal_head: str
    """Hash of the journal's record of the promotion."""
    journal_seq: int
    """Number of that record."""
    versions: Mapping[str, str]
    """Libraries and machine."""
    evidence: str | None
    """Digest of the paired evidence; none for a promotion without evidence."""
    guards: tuple[GuardReport, ...]
    """Reports of the guards evaluated before promote was entered: operands and verdicts."""
    edge: str
    """Why the edge into promote was taken."""
    reservations: tuple[str, ...]
    """Promises that the environment did not keep, or that could not be checked, at the start of the run."""
    materials: tuple[ResourceDescriptor, ...]
    """What the policy was made from."""


@frozen(kw_only=True)
class Statement(Record):
    """An in-toto statement, v1."""

    type_: str = STATEMENT
    """Layout; written as ``_type``."""
    subject: tuple[ResourceDescriptor, ...]
    """The promoted weights."""
    predicate_type: str = PREDICATE
    """Layout of the predicate; written as ``predicateType``."""
    predicate: Provenance
    """The provenance of the subject."""

    def layout(self) -> Mapping[str, object]:
        """Return the statement under the names that in-toto gives its fields."""
        plain = self.model_dump()
        return {
            "_type": plain["type"],
            "subject": [_trimmed(each) for each in plain["subject"]],
            "predicateType": plain["predicate_type"],
            "predicate": {
                **plain["predicate"],
                "schedule": _trimmed(plain["predicate"]["schedule"]),
                "materials": [_trimmed(each) for each in plain["predicate"]["materials"]],
            },
        }


def _trimmed(plain: Mapping[str, object]) -> Mapping[str, object]:
    """Return a descriptor without its empty fields: in-toto wants a digest or a uri, not an empty one."""
    return {name: value for name, value in plain.items() if value}
