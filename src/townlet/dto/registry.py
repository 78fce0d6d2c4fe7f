"""Records of the registry of policies: immutable versions, moves of an alias, and entries of the ledger."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.evolution import stored_as
from townlet.dto.fields import nonsemantic

__all__ = ["AliasMove", "LedgerEntry", "Version"]


@frozen(kw_only=True)
class Version(Record):
    """One policy as it was registered; never changed afterwards."""

    name: str
    """Policy name, which its versions share."""
    version: int
    """Number under that name, from 1."""
    weights: str
    """Weights digest."""
    parent: str | None
    """Digest of the weights it was trained from; none where it began fresh."""
    evidence: str | None
    """Digest of the evidence of its promotion; none where it was promoted without."""
    run: str = nonsemantic()
    """Id of the run that registered it."""
    head: str = nonsemantic()
    """Hash of the journal's last record at that moment: a copy outside the run."""
    created_at: str = nonsemantic()
    """UTC time, ISO 8601."""
    metadata: Mapping[str, str] = stored_as("facts")
    """What it fits: ``environment``, its ``signature``, ``features``, ``actions``, and what else the run stated."""


@frozen(kw_only=True)
class AliasMove(Record):
    """One move of an alias from one version to another."""

    move: int
    """Number within the registry, from 1, in the order the moves were made."""
    name: str
    """Policy name."""
    alias: str
    """Alias that moved."""
    kind: str
    """``promote`` or ``rollback``."""
    version: int
    """Version it names afterwards."""
    weights: str
    """Weights digest it names afterwards."""
    previous_version: int | None
    """Version it named before; none for the first move."""
    previous: str | None
    """Weights digest it named before."""
    evidence: str | None
    """Digest of the evidence of the move; none for a rollback or a promotion without evidence."""
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
class LedgerEntry(Record):
    """One entry of the ledger: a move and the version it leads to; a registry is rebuilt from these."""

    move: AliasMove
    """The move."""
    version: Version
    """The version that the alias names afterwards, as it was registered."""
