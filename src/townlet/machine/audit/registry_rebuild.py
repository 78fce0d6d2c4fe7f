"""Rebuild a registry from its ledger and from the promotions in the journals of all runs.

The ledger is the authority. A promotion that it lacks is taken from the journal that holds it, never from a row of the
database; of such rows only a rollback to a version that is proven is taken, and named as a doubt.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from townlet.dto.journal import EffectDone, EffectIntent, Entry, RunCreated, TransitionTaken, VisitFinished
from townlet.dto.registry import AliasMove, LedgerEntry, Version
from townlet.errors import BadInputError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.store.registry.signing import check_signatures

__all__ = ["Promotion", "Reconstruction", "read_promotions", "reconstruct"]


@frozen(kw_only=True)
class Promotion:
    """One promotion of a run, from its journal."""

    created: RunCreated
    """The run."""
    intent: EffectIntent
    """What was to be done."""
    intended: Entry
    """The entry of the intent."""
    done: EffectDone | None
    """That it was done; none where the journal ends before."""
    head: str
    """Hash of the journal's last record before it was done."""
    at: str
    """When it was done (or intended), UTC."""
    parent: str | None
    """Digest of the weights the target was trained from."""


def read_promotions(entries: Sequence[Entry], catalogue: StrategyCatalogue) -> tuple[Promotion, ...]:
    """Return the promotions of one run in order; a rehearsal has none.

    An intent whose state was left without the promotion being done is none: it lost the race, or waits for a signature
    and is done after a retry.
    """
    promotions: list[Promotion] = []
    created: RunCreated | None = None
    parents: dict[str, str] = {}
    left: Promotion | None
    is_open, left = False, None
    for entry in entries:
        record = entry.record
        if isinstance(record, RunCreated):
            created = record
        elif isinstance(record, VisitFinished) and _fine_tunes(record, catalogue):
            parents = {str(record.result.get("weights")): str(record.result.get("parent") or "")}
        elif isinstance(record, EffectIntent) and created is not None:
            is_open = True
            promotions.append(
                Promotion(
                    created=created,
                    intent=record,
                    intended=entry,
                    done=None,
                    head=entry.hash,
                    at=entry.at,
                    parent=parents.get(record.target) or None,
                )
            )
        elif isinstance(record, TransitionTaken) and is_open:
            is_open = False
            if promotions[-1].done is None:
                left = promotions.pop()
        elif isinstance(record, EffectDone):
            if left is not None:
                promotions.append(left)
                left = None
            if promotions:
                promotions[-1] = evolve(promotions[-1], done=record, head=entry.previous, at=entry.at)
    return tuple(promotions)


def _fine_tunes(record: VisitFinished, catalogue: StrategyCatalogue) -> bool:
    entry = catalogue.entries.get(record.strategy)
    return entry is not None and entry.fine_tunes


@frozen(kw_only=True)
class Reconstruction:
    """A registry as far as ledger and journals determine it."""

    entries: tuple[LedgerEntry, ...]
    """Every move, oldest first."""
    warnings: tuple[str, ...]
    """What is lost or inferred; empty where the registry is complete."""


def reconstruct(
    ledger: Sequence[LedgerEntry],
    unrecorded: Sequence[LedgerEntry],
    promotions: Sequence[Promotion],
    metadata: Callable[[Promotion], Mapping[str, str]],
) -> Reconstruction:
    """Return the moves of the ledger and those of the promotions it lacks; `metadata` says what a policy fits.

    `unrecorded` are the database's moves after those of the ledger. A ledger that lacks a promotion has lost lines,
    and with them perhaps rollbacks, which stand in no journal: that is a warning. Missing promotions are appended in
    the order that compare-and-set enforced: each follows the one whose weights it expected, the lower version first.
    Where the next promotion expects weights that were in force earlier, there was a rollback that no ledger holds; it
    is inserted with a warning, since its author and reason are lost.
    """
    rebuilder = _Rebuilder(entries=list(ledger), metadata=metadata)
    recorded = {(e.move.run, e.move.name, e.move.alias, e.move.weights, e.move.evidence) for e in ledger}
    missing = [p for p in promotions if _key(p) not in recorded]
    rebuilder.warnings.extend(
        f"run {p.created.run} began a promotion and its journal does not say that it was done; resume it first"
        for p in missing
        if p.done is None
    )
    missing = sorted((p for p in missing if p.done is not None), key=_order)
    if missing:
        rebuilder.warnings.append(
            f"the ledger has lost lines, since journals hold promotions that it lacks ({len(missing)}); a rollback by "
            "command stands in no journal, so a policy that was withdrawn may come into force again"
        )
    for entry in unrecorded:
        rebuilder.take_over(entry, missing)
    while missing:
        following = [p for p in missing if p.intent.expected == rebuilder.in_force(p)]
        first = {p.intent.registry: p for p in reversed(following)}  # sorted: the lowest version of each policy name
        promotion = min(first.values(), key=lambda p: (p.at, _order(p))) if first else missing[0]
        if not first:
            rebuilder.infer_rollback(promotion)
        rebuilder.promote(promotion)
        missing.remove(promotion)
    entries = _with_sound_signatures(rebuilder.entries, rebuilder.warnings)
    return Reconstruction(entries=entries, warnings=tuple(rebuilder.warnings))


def _with_sound_signatures(entries: Sequence[LedgerEntry], warnings: list[str]) -> tuple[LedgerEntry, ...]:
    """Return the entries, without the signatures of an alias whose moves are no longer all signed: that is a warning.

    A rollback that was inferred has no signature, and a registry in which one is missing is refused by every reader.
    """
    kept = list(entries)
    for name, alias in dict.fromkeys((entry.move.name, entry.move.alias) for entry in entries):
        own = [entry for entry in kept if (entry.move.name, entry.move.alias) == (name, alias)]
        try:
            check_signatures(own)
        except BadInputError as error:
            warnings.append(f"{error}: {alias!r} of {name!r} demands no signature any more, until a move is signed")
            kept = [evolve(entry, signed=None) if entry in own else entry for entry in kept]
    return tuple(kept)


def _key(promotion: Promotion) -> tuple[str, str, str, str, str | None]:
    intent = promotion.intent
    return (promotion.created.run, intent.registry, intent.alias, intent.target, intent.evidence)


def _order(promotion: Promotion) -> tuple[Any, ...]:
    number = 0 if promotion.done is None else promotion.done.version
    return (promotion.intent.registry, number, promotion.created.run, promotion.intended.seq)


@frozen
class _Rebuilder:
    """The registry under construction: its entries so far and what is lost or inferred."""

    entries: list[LedgerEntry]
    metadata: Callable[[Promotion], Mapping[str, str]]
    warnings: list[str] = field(factory=list)

    def last(self, promotion: Promotion) -> LedgerEntry | None:
        alias = (promotion.intent.registry, promotion.intent.alias)
        return next((e for e in reversed(self.entries) if (e.move.name, e.move.alias) == alias), None)

    def in_force(self, promotion: Promotion) -> str | None:
        last = self.last(promotion)
        return last.version.weights if last else None

    def infer_rollback(self, promotion: Promotion) -> None:
        """Append the rollback that explains why a promotion expected other weights than those in force.

        Where its weights were never in force, a run is missing: that is a warning, and nothing is appended.
        """
        intent = promotion.intent
        alias = f"{intent.alias!r} of {intent.registry!r}"
        earlier = [v for v in self.versions(intent.registry) if v.weights == intent.expected]
        if not earlier:
            self.warnings.append(
                f"run {promotion.created.run} replaced {intent.expected or 'nothing'} as {alias}, and no journal and "
                "no ledger says how that came into force"
            )
            return
        self.warnings.append(f"{alias} was rolled back to version {earlier[-1].version}; by whom and why is lost")
        self.append(promotion, earlier[-1], kind="rollback", actor="unknown", reason="inferred from the next promotion")

    def take_over(self, entry: LedgerEntry, missing: list[Promotion]) -> None:
        """Append a move that only the database holds, where something proves it; else name it and leave it out."""
        move = entry.move
        words = f"move {move.move} of the database ({move.kind} of {move.alias!r} of {move.name!r} by {move.actor!r})"
        where = (move.run, move.name, move.alias, move.weights, move.evidence)
        proof = next((promotion for promotion in missing if _key(promotion) == where), None)
        if move.kind == "promote":
            if proof is None:
                self.warnings.append(f"{words} stands in no ledger and no journal: it is left out")
            else:
                self.promote(proof)
                missing.remove(proof)
            return
        target = next((v for v in self.versions(move.name) if v.version == move.version), None)
        if move.kind != "rollback" or target is None or target.weights != move.weights:
            self.warnings.append(f"{words} leads to a version that nothing proves: it is left out")
            return
        self.warnings.append(f"{words} to version {move.version} stands in no ledger: it is taken over")
        last = next((e for e in reversed(self.entries) if (e.move.name, e.move.alias) == (move.name, move.alias)), None)
        self.entries.append(
            LedgerEntry(
                move=evolve(
                    move,
                    move=len(self.entries) + 1,
                    previous_version=last.version.version if last else None,
                    previous=last.version.weights if last else None,
                ),
                version=target,
            )
        )

    def versions(self, name: str) -> list[Version]:
        return [entry.version for entry in self.entries if entry.version.name == name]

    def promote(self, promotion: Promotion) -> None:
        intent, created, done = promotion.intent, promotion.created, promotion.done
        assert done is not None, "promotions that were not done are left out"
        versions = self.versions(intent.registry)
        registered = next((v for v in versions if (v.weights, v.run) == (intent.target, created.run)), None)
        expected = max((v.version for v in versions), default=0) + 1 if registered is None else registered.version
        if done.version != expected:
            self.warnings.append(
                f"run {created.run} made version {done.version} of {intent.registry!r}, expected {expected}: "
                "no journal and no ledger holds the versions between"
            )
        version = registered or Version(
            name=intent.registry,
            version=done.version,
            weights=intent.target,
            parent=promotion.parent,
            evidence=intent.evidence,
            run=created.run,
            head=promotion.head,
            created_at=promotion.at,
            metadata=self.metadata(promotion),
        )
        self.append(
            promotion,
            version,
            kind="promote",
            actor=f"run {created.run}",
            reason="promoted by its run",
            evidence=intent.evidence,
            run=created.run,
            head=promotion.head,
        )

    def append(self, promotion: Promotion, version: Version, **fields: Any) -> None:
        last = self.last(promotion)
        move = AliasMove(
            **{"evidence": None, "run": None, "head": None, **fields},
            move=len(self.entries) + 1,
            name=version.name,
            alias=promotion.intent.alias,
            version=version.version,
            weights=version.weights,
            previous_version=last.version.version if last else None,
            previous=last.version.weights if last else None,
            at=promotion.at,
        )
        done = promotion.done if move.kind == "promote" else None
        self.entries.append(LedgerEntry(move=move, version=version, signed=None if done is None else done.signed))
