"""Signed moves of an alias: what is signed, who may sign, and the proof that a ledger's moves are signed.

The demand lives in the ledger: once a move of an alias is signed, every later move of it must be, by a key that the
move before it allowed. Each statement names the keys that may sign the next one, so that only a signer changes them.
"""

from collections.abc import Iterable, Sequence

from townlet.canonical import canonical_json
from townlet.dto.registry import AliasMove, LedgerEntry, MoveStatement, SignedMove
from townlet.errors import BadInputError
from townlet.store.registry.ssh_signatures import PublicKey, read_signers, verify

__all__ = ["check_signatures", "message_of", "signed_move", "signers_in_force"]


def message_of(statement: MoveStatement) -> bytes:
    """Return the bytes that are signed: canonical JSON and a line feed, as a request file holds them."""
    return canonical_json(statement.model_dump()) + b"\n"


def signers_in_force(entries: Iterable[LedgerEntry], name: str, alias: str) -> tuple[str, ...]:
    """Return the keys, a line each, that may sign the next move of an alias; none where no signature is demanded."""
    keys: tuple[str, ...] = ()
    for entry in entries:
        if (entry.move.name, entry.move.alias) == (name, alias) and entry.signed is not None:
            keys = entry.signed.statement.signers
    return keys


def signed_move(statement: MoveStatement, armoured: str, allowed: Sequence[str]) -> SignedMove:
    """Return a move's signature, verified; BadInputError where none of the `allowed` keys made it."""
    signer = verify(message_of(statement), armoured, _keys(allowed))
    return SignedMove(statement=statement, signature=armoured, key=signer.fingerprint, signer=signer.comment)


def check_signatures(entries: Sequence[LedgerEntry]) -> None:
    """Raise BadInputError for the first move that must be signed and is not, or whose signature is of another move."""
    allowed: dict[tuple[str, str], tuple[str, ...]] = {}
    last: dict[tuple[str, str], AliasMove] = {}
    for entry in entries:
        move, signed = entry.move, entry.signed
        alias = (move.name, move.alias)
        before = last.get(alias)
        words = f"move {move.move} ({move.kind} of {move.alias!r} of {move.name!r} to version {move.version})"
        if signed is None:
            if alias in allowed:
                raise BadInputError(f"{words} is not signed, and signatures are demanded since an earlier move")
        else:
            statement = signed.statement
            after = before.move if before else 0
            if (move.name, move.alias, move.kind, move.previous, move.weights, move.run, after) != (
                statement.registry,
                statement.alias,
                statement.kind,
                statement.expected,
                statement.target,
                statement.run,
                statement.after,
            ):
                raise BadInputError(f"{words} carries the signature of another move")
            try:
                verify(message_of(statement), signed.signature, _keys(allowed.get(alias, statement.signers)))
            except BadInputError as error:
                raise BadInputError(f"{words}: {error}") from error
            allowed[alias] = statement.signers
        last[alias] = move


def _keys(lines: Sequence[str]) -> tuple[PublicKey, ...]:
    return read_signers("\n".join(lines).encode(), "the signers")
