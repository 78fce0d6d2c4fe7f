"""Records of the registry of policies: immutable versions, moves of an alias, and entries of the ledger."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.evolution import stored_as
from townlet.dto.fields import nonsemantic

__all__ = ["AliasMove", "LedgerEntry", "MoveStatement", "SignedMove", "Version"]


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
class MoveStatement(Record):
    """What is signed before an alias may move: the move and nothing else, so that it fits no other."""

    type_: str = "townlet.alias-move/v1"
    """Kind of statement."""
    registry: str
    """Policy name."""
    alias: str
    """Alias to move."""
    kind: str
    """``promote`` or ``rollback``."""
    expected: str | None
    """Weights digest that the alias names before; none for nothing."""
    target: str
    """Weights digest that it shall name."""
    report: str | None
    """Hash of the guard report that chose the promotion; none for a rollback."""
    run: str | None
    """Id of the run that promotes; none for a rollback."""
    after: int
    """Number of the alias's last move, 0 for none: a signature counts once."""
    reason: str = ""
    """Why, in words; of a rollback."""
    signers: tuple[str, ...]
    """Public keys, a line each, one of which must sign the next move."""


@frozen(kw_only=True)
class SignedMove(Record):
    """A statement with its signature."""

    statement: MoveStatement
    """What was signed."""
    signature: str
    """The signature as OpenSSH writes it (SSHSIG, armoured)."""
    key: str
    """Fingerprint of the key that signed."""
    signer: str
    """Comment of that key."""


@frozen(kw_only=True)
class LedgerEntry(Record):
    """One entry of the ledger: a move and the version it leads to; a registry is rebuilt from these."""

    move: AliasMove
    """The move."""
    version: Version
    """The version that the alias names afterwards, as it was registered."""
    signed: SignedMove | None = None
    """Its signature; absent where none was demanded."""
