"""Verify a registry: its database against its ledger, and its ledger against the journals of the runs, both ways."""

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from townlet.canonical import GENESIS
from townlet.dto.codec import Record
from townlet.dto.journal import Entry
from townlet.dto.registry import AliasMove, LedgerEntry
from townlet.errors import TownletError
from townlet.machine.audit.registry_rebuild import Promotion, read_promotions
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory

__all__ = ["RegistryReport", "journal_heads", "verify_registry"]


@frozen(kw_only=True)
class RegistryReport(Record):
    """The result of a registry's verification."""

    moves: int
    """Lines of the ledger."""
    promotions: int
    """Promotions among them that are done in a journal that verifies."""
    head: str
    """Hash of the ledger's last line, to be kept outside."""
    heads: Mapping[str, str]
    """Hash of the last journal record of each run that promoted, to be kept outside; by run id."""
    problems: tuple[str, ...]
    """What is missing, damaged, foreign or contradictory; empty for a sound registry."""

    @property
    def clean(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def verify_registry(
    registry: Registry,
    runs: Sequence[RunDirectory],
    blobs: BlobStore,
    catalogue: StrategyCatalogue,
    *,
    head: str | None = None,
) -> RegistryReport:
    """Return what is wrong with a registry that `runs` promote in; change nothing, raise for no damage.

    `head` is the hash of a line of the ledger that was kept outside: that line must still be there.
    """
    problems = list(registry.problems())
    try:
        ledger, hashes = registry.ledger.read(), registry.ledger.hashes()
    except TownletError as error:
        return RegistryReport(moves=0, promotions=0, head="", heads={}, problems=tuple({*problems, str(error)}))
    if head is not None and head not in hashes:
        problems.append(f"{registry.ledger.path}: no line has the hash {head}, so the ledger is not the one it was")
    problems += _history_problems(ledger)
    journals: dict[str, tuple[Entry, ...]] = {}
    for run in runs:
        try:
            journals[run.id] = read(run.journal, run.head, catalogue).entries
        except TownletError as error:
            problems.append(str(error))
    made = [p for entries in journals.values() for p in read_promotions(entries, catalogue) if p.done is not None]
    confirmed = 0
    for entry in ledger:
        unproven = tuple(_move_problems(entry, journals, made))
        confirmed += entry.move.kind == "promote" and not unproven
        problems += unproven
    recorded = [entry.move for entry in ledger if entry.move.kind == "promote"]
    problems += (
        f"run {promotion.created.run} promoted {promotion.intent.target[:12]} as {promotion.intent.alias!r} of "
        f"{promotion.intent.registry!r}, and no line of the ledger holds that"
        for promotion in made
        if not any(_is_move_of(move, promotion) for move in recorded)
    )
    problems += _blob_problems(ledger, blobs)
    promoted = {entry.move.run for entry in ledger}
    return RegistryReport(
        moves=len(ledger),
        promotions=confirmed,
        head=hashes[-1] if hashes else GENESIS,
        heads={run: entries[-1].hash for run, entries in journals.items() if run in promoted and entries},
        problems=tuple(problems),
    )


def journal_heads(registries: Sequence[Registry], run: str) -> Mapping[str, str]:
    """Return the hashes of a run's journal that registries hold, with who holds them.

    BadInputError or ResourceFaultError where a registry cannot be read.
    """
    heads: dict[str, str] = {}
    for registry in registries:
        for version in registry.versions():
            if version.run == run:
                heads[version.head] = f"{registry.path}, version {version.version} of {version.name!r}"
        for move in registry.history():
            if move.run == run and move.head is not None:
                heads.setdefault(move.head, f"{registry.path}, move {move.move}")
    return heads


def _history_problems(ledger: Sequence[LedgerEntry]) -> Iterator[str]:
    """Yield the lines that no sequence of promotions and rollbacks could have written, whatever their hashes."""
    last: dict[tuple[str, str], AliasMove] = {}
    in_force: dict[tuple[str, str], list[int]] = {}
    versions: dict[str, int] = {}
    for number, entry in enumerate(ledger, start=1):
        move, version = entry.move, entry.version
        alias = (move.name, move.alias)
        before, stack = last.get(alias), in_force.setdefault(alias, [])
        if move.move != number or (move.name, move.version, move.weights) != (
            version.name,
            version.version,
            version.weights,
        ):
            yield f"line {number} of the ledger contradicts itself"
        named = (before.version, before.weights) if before else (None, None)
        if (move.previous_version, move.previous) != named:
            yield f"move {number} names version {move.previous_version} as the one before, which it was not"
        if move.kind == "promote":
            stack.append(move.version)
            if version.version > versions.get(move.name, 0) + 1:
                yield f"move {number} leads to version {version.version} of {move.name!r}, and none came before it"
        elif move.kind != "rollback" or len(stack) < 2 or stack[-2] != move.version:
            yield f"move {number} ({move.kind}) leads to version {move.version}, which was not in force before"
        else:
            stack.pop()
        versions[move.name] = max(versions.get(move.name, 0), version.version)
        last[alias] = move


def _move_problems(
    entry: LedgerEntry, journals: Mapping[str, tuple[Entry, ...]], made: Sequence[Promotion]
) -> Iterator[str]:
    """Yield why a promotion in the ledger is not proven by its run's journal."""
    move = entry.move
    if move.kind != "promote":
        return
    words = f"move {move.move} (promote of {move.alias!r} of {move.name!r} to version {move.version})"
    if move.run is None or move.run not in journals:
        yield f"{words}: the journal of run {move.run} is not there or does not verify"
        return
    promotion = next((p for p in made if _is_move_of(move, p)), None)
    if promotion is None:
        yield f"{words}: the journal of run {move.run} does not say that it was done; resume the run if it is open"
    elif not any(each.hash == move.head and each.seq >= promotion.intended.seq for each in journals[move.run]):
        yield f"{words}: its head is no record of run {move.run}'s journal after the promotion was begun"


def _version(promotion: Promotion) -> int:
    return 0 if promotion.done is None else promotion.done.version


def _is_move_of(move: AliasMove, promotion: Promotion) -> bool:
    intent = promotion.intent
    return (move.run, move.name, move.alias, move.weights, move.evidence, move.version, move.previous) == (
        promotion.created.run,
        intent.registry,
        intent.alias,
        intent.target,
        intent.evidence,
        _version(promotion),
        intent.expected,
    )


def _blob_problems(ledger: Sequence[LedgerEntry], blobs: BlobStore) -> Iterator[str]:
    for digest in dict.fromkeys(d for e in ledger for d in (e.version.weights, e.version.evidence) if d is not None):
        try:
            blobs.get(digest)
        except TownletError as error:
            yield str(error)
