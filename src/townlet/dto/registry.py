"""What the registry of policies answers: immutable versions, and every move of an alias."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.evolution import stored_as
from townlet.dto.fields import nonsemantic

__all__ = ["AliasMove", "Booking", "Version"]


@frozen(kw_only=True)
class Version(Record):
    """One policy as it was registered; never changed afterwards."""

    name: str
    """Line of policies it belongs to."""
    version: int
    """Number within the line, from 1."""
    weights: str
    """Weights digest."""
    parent: str | None
    """Digest of the weights it was trained from; none where it began fresh."""
    evidence: str | None
    """Digest of the evidence it was promoted on; none where it was promoted unproven."""
    run: str = nonsemantic()
    """Id of the run that registered it."""
    head: str = nonsemantic()
    """Hash of the journal's last record at that moment; anchors the journal from outside."""
    created_at: str = nonsemantic()
    """UTC time, ISO 8601."""
    metadata: Mapping[str, str] = stored_as("facts")
    """What it fits: ``environment`` (signature), ``features``, ``actions``, and whatever else the run stated."""


@frozen(kw_only=True)
class AliasMove(Record):
    """One move of an alias from one version to another."""

    move: int
    """Number within the registry, from 1, in the order the moves were made."""
    name: str
    """Line of policies."""
    alias: str
    """Alias that moved."""
    kind: str
    """``promote`` or ``rollback``."""
    version: int
    """Version it names since."""
    weights: str
    """Weights digest it names since."""
    previous_version: int | None
    """Version it named before; none for the first move."""
    previous: str | None
    """Weights digest it named before."""
    evidence: str | None
    """Digest of the evidence the move stands on; none for a rollback or an unproven promotion."""
    run: str | None = nonsemantic()
    """Id of the run that moved it; none for a person."""
    head: str | None = nonsemantic()
    """Hash of that run's last journal record."""
    actor: str = nonsemantic()
    """Who moved it: a person, or ``run ID``."""
    reason: str
    """Why, in words."""
    at: str = nonsemantic()
    """UTC time, ISO 8601."""


@frozen(kw_only=True)
class Booking(Record):
    """A move with the version it leads to: one line of the ledger, and all that a registry is rebuilt from."""

    move: AliasMove
    """What moved."""
    version: Version
    """The version the alias names since, as it was registered."""
