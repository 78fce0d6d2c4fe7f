"""The registry of policies: immutable versions and aliases with their whole history, in one SQLite file.

An alias is not a cell that is overwritten: its moves are appended, and it names what the last one says. A policy is
promoted by compare-and-set, so that of two runs that expect the same champion exactly one replaces it. Every move is
written to the ledger beside the file before it is committed, so that a lost file loses no history.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve, field, frozen

from townlet.dto.registry import AliasMove, LedgerEntry, MoveStatement, SignedMove, Version
from townlet.errors import BadInputError, ChampionMovedError
from townlet.store.registry import rows
from townlet.store.registry.file import RegistryFile
from townlet.store.registry.ledger import Ledger, LedgerBrokenError
from townlet.store.registry.signing import signers_in_force

__all__ = ["Registry"]


def _unverified(_: str) -> None:
    """Accept any weights: the caller verifies them."""


def _unwatched(_: "Registry") -> None:
    """Do nothing after a move."""


@frozen
class Registry:
    """Versions and aliases in one file; a registry that is only read is never created."""

    path: Path
    """The SQLite file; its directory is created with the first promotion."""
    patience: float = field(default=10.0, kw_only=True)
    """Seconds to wait for another process's transaction before giving up."""
    verify: Callable[[str], object] = field(default=_unverified, kw_only=True)
    """Raises where the weights of a digest are missing, damaged or act otherwise; called before an alias moves."""
    moved: Callable[["Registry"], object] = field(default=_unwatched, kw_only=True)
    """Called after an alias moved."""

    @property
    def ledger(self) -> Ledger:
        """The same moves in a file that is only appended to."""
        return self._file.ledger

    @property
    def _file(self) -> RegistryFile:
        return RegistryFile(self.path, self.patience)

    @contextmanager
    def _moving(self, signatures: dict[int, SignedMove]) -> Iterator[sqlite3.Connection]:
        with self._file.writing(signatures) as connection:
            yield connection
        self.moved(self)

    def champion(self, name: str, alias: str) -> Version | None:
        """Return the version an alias names; none where it names nothing yet."""
        with self._file.reading() as connection:
            move = _last_move(connection, name, alias) if connection else None
            return rows.version(connection, name, move.version) if connection and move else None

    def versions(self, name: str | None = None) -> tuple[Version, ...]:
        """Return all versions (of one policy name), in the order they were registered."""
        with self._file.reading() as connection:
            return rows.versions(connection, name) if connection else ()

    def history(self, name: str | None = None, alias: str | None = None) -> tuple[AliasMove, ...]:
        """Return all moves (of one policy name, of one alias), oldest first."""
        with self._file.reading() as connection:
            return rows.moves(connection, name, alias) if connection else ()

    def promote(
        self,
        name: str,
        alias: str,
        *,
        target: str,
        expected: str | None,
        evidence: str | None,
        run: str,
        head: str,
        parent: str | None = None,
        metadata: Mapping[str, str],
        signed: SignedMove | None = None,
    ) -> Version:
        """Register the weights `target` and move the alias to them, in one transaction; return the version.

        The alias must name the weights `expected` (none: nothing), else ChampionMovedError says what it names. An
        alias that this run moved to `target` on the same `evidence` before answers with that version, so that a
        promotion may be repeated after a crash, even where another run has moved the alias since. ResourceFaultError
        where the file is locked or read-only; BadInputError where the move must be signed and `signed` does not fit.
        """
        signatures: dict[int, SignedMove] = {}
        with self._moving(signatures) as connection:
            done = _promotion(connection, name, alias, target, run, evidence)
            if done is not None:
                return done
            last = _last_move(connection, name, alias)
            present = last.weights if last else None
            if present != expected:
                raise ChampionMovedError(
                    f"{self.path}: champion moved: {alias!r} of {name!r} names {_phrase(present)}, expected "
                    f"{_phrase(expected)}; evaluate against the champion in force, then promote again"
                )
            self.verify(target)
            promoted = Version(
                name=name,
                version=rows.next_version(connection, name),
                weights=target,
                parent=parent,
                evidence=evidence,
                run=run,
                head=head,
                created_at=_now(),
                metadata=metadata,
            )
            version = rows.register(connection, promoted)
            move = _move(connection, version, alias, "promote", f"run {run}", "promoted by its run")
            rows.append_move(connection, evolve(move, evidence=evidence, run=run, head=head))
            signatures |= {} if signed is None else {move.move: signed}
            return version

    def signers(self, name: str, alias: str) -> tuple[str, ...]:
        """Return the keys, a line each, that may sign the next move of an alias; none where none is demanded."""
        return signers_in_force(self.ledger.read(), name, alias)

    def statement(
        self, name: str, alias: str, kind: str, *, target: str, signers: Sequence[str], **reasons: str | None
    ) -> MoveStatement:
        """Return what must be signed for the next move of an alias: from what it names now to `target`.

        `reasons` are the statement's `run`, `report` and `reason`.
        """
        moves = self.history(name, alias)
        last = moves[-1] if moves else None
        return MoveStatement(
            registry=name,
            alias=alias,
            kind=kind,
            expected=last.weights if last else None,
            target=target,
            report=reasons.get("report"),
            run=reasons.get("run"),
            reason=reasons.get("reason") or "",
            after=last.move if last else 0,
            signers=tuple(signers),
        )

    def promoted(self, name: str, alias: str, *, target: str, run: str, evidence: str | None) -> Version | None:
        """Return the version of a promotion that a run made, whatever the alias names now; none where it made none."""
        with self._file.reading() as connection:
            return _promotion(connection, name, alias, target, run, evidence) if connection else None

    def problems(self) -> tuple[str, ...]:
        """Return in words how the file and its ledger contradict each other; empty where they agree."""
        return self._file.problems()

    def rollback(self, name: str, alias: str, *, actor: str, reason: str, signed: SignedMove | None = None) -> Version:
        """Move the alias back to the version that the one in force replaced, and return it.

        Rolling back again goes one promotion further back. BadInputError where nothing came before, where `verify`
        finds the weights to go back to unfit, and where the move must be signed and `signed` does not fit.
        """
        signatures: dict[int, SignedMove] = {}
        with self._moving(signatures) as connection:
            target = self._before(connection, name, alias)
            self.verify(target.weights)
            move = _move(connection, target, alias, "rollback", actor, reason)
            rows.append_move(connection, move)
            signatures |= {} if signed is None else {move.move: signed}
            return target

    def rollback_target(self, name: str, alias: str) -> Version:
        """Return the version that a rollback would lead to; BadInputError where nothing came before."""
        with self._file.reading() as connection:
            if connection is None:
                raise BadInputError(f"{self.path}: {alias!r} of {name!r} cannot be rolled back: it names nothing")
            return self._before(connection, name, alias)

    def _before(self, connection: sqlite3.Connection, name: str, alias: str) -> Version:
        in_force: list[int] = []  # versions promoted and not rolled back
        for move in rows.moves(connection, name, alias):
            if move.kind == "promote":
                in_force.append(move.version)
            else:
                in_force.pop()
        if len(in_force) < 2:
            reason = f"only version {in_force[0]} was ever in force" if in_force else "it names nothing"
            raise BadInputError(f"{self.path}: {alias!r} of {name!r} cannot be rolled back: {reason}")
        return rows.version(connection, name, in_force[-2])

    def recover_history(self) -> tuple[tuple[LedgerEntry, ...], tuple[LedgerEntry, ...], tuple[str, ...]]:
        """Return the moves of the ledger, those that only the file holds, and in words what is lost or contradictory.

        The ledger is the authority: what only the file holds is proven by nothing in the registry.
        """
        warnings: list[str] = []
        try:
            recorded = self.ledger.read()
        except LedgerBrokenError as error:
            recorded = error.sound
            warnings.append(str(error))
        committed = self._file.read_best_effort()
        shared = min(len(recorded), len(committed))
        if committed[:shared] != recorded[:shared]:
            warnings.append(f"{self.path.name} and {self.ledger.path.name} contradict each other; the ledger is used")
            return recorded, (), tuple(warnings)
        return recorded, committed[len(recorded) :], tuple(warnings)

    def replace(self, entries: tuple[LedgerEntry, ...]) -> None:
        """Write a new registry and a new ledger from `entries`; the old ones stay beside them as ``.replaced``.

        EnvironmentFaultError where another process is in the file.
        """
        self._file.replace(entries)
        self.moved(self)


def _move(
    connection: sqlite3.Connection, version: Version, alias: str, kind: str, actor: str, reason: str
) -> AliasMove:
    last, latest = _last_move(connection, version.name, alias), rows.moves(connection, last=True)
    return AliasMove(
        move=latest[0].move + 1 if latest else 1,
        name=version.name,
        alias=alias,
        kind=kind,
        version=version.version,
        weights=version.weights,
        previous_version=last.version if last else None,
        previous=last.weights if last else None,
        evidence=None,
        run=None,
        head=None,
        actor=actor,
        reason=reason,
        at=_now(),
    )


def _promotion(
    connection: sqlite3.Connection, name: str, alias: str, target: str, run: str, evidence: str | None
) -> Version | None:
    for move in reversed(rows.moves(connection, name, alias)):
        if (move.weights, move.run, move.evidence, move.kind) == (target, run, evidence, "promote"):
            return rows.version(connection, name, move.version)
    return None


def _last_move(connection: sqlite3.Connection, name: str, alias: str) -> AliasMove | None:
    moves = rows.moves(connection, name, alias, last=True)
    return moves[0] if moves else None


def _phrase(weights: str | None) -> str:
    return f"the weights {weights}" if weights else "nothing"


def _now() -> str:
    return datetime.now(UTC).isoformat()
