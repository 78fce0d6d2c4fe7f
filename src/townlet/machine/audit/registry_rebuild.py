"""Promotions as the journals tell of them, and a registry put together again from ledger and journals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from townlet.dto.journal import EffectDone, EffectIntent, Entry, RunCreated, VisitFinished
from townlet.dto.registry import AliasMove, Booking, Version
from townlet.machine.catalogue import StrategyCatalogue

__all__ = ["Promotion", "Reconstruction", "promotions", "reconstruct"]


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
    """That it was done; none where the run never came to say so."""
    head: str
    """Hash of the journal's last record before it was done."""
    at: str
    """When it was done (or intended), UTC."""
    parent: str | None
    """Digest of the weights the target was trained from."""


def promotions(entries: Sequence[Entry], catalogue: StrategyCatalogue) -> tuple[Promotion, ...]:
    """Return the promotions of one run in order; a rehearsal has none."""
    found: list[Promotion] = []
    created: RunCreated | None = None
    parents: dict[str, str] = {}
    for entry in entries:
        record = entry.record
        if isinstance(record, RunCreated):
            created = record
        elif isinstance(record, VisitFinished) and _fine_tunes(record, catalogue):
            parents = {str(record.result.get("weights")): str(record.result.get("parent") or "")}
        elif isinstance(record, EffectIntent) and created is not None:
            found.append(
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
        elif isinstance(record, EffectDone) and found:
            found[-1] = evolve(found[-1], done=record, head=entry.previous, at=entry.at)
    return tuple(found)


def _fine_tunes(record: VisitFinished, catalogue: StrategyCatalogue) -> bool:
    entry = catalogue.entries.get(record.strategy)
    return entry is not None and entry.fine_tunes


@frozen(kw_only=True)
class Reconstruction:
    """A registry as far as ledger and journals tell."""

    bookings: tuple[Booking, ...]
    """Every move, oldest first."""
    warnings: tuple[str, ...]
    """What is lost or guessed; empty where the registry is the one that was."""


def reconstruct(
    known: Sequence[Booking], told: Sequence[Promotion], metadata: Callable[[Promotion], Mapping[str, str]]
) -> Reconstruction:
    """Return what the ledger's bookings and the promotions of all runs add up to; `metadata` says what a policy fits.

    Promotions the bookings lack are put in the order that compare-and-set enforced: each follows the one whose weights
    it expected, the lower version first. A rollback nobody wrote down shows where the next promotion expects weights
    that were in force before; it is put in with a doubt, since who asked for it and why is lost.
    """
    work = _Rebuilder(bookings=list(known), metadata=metadata)
    booked = {(b.move.run, b.move.name, b.move.alias, b.move.weights, b.move.evidence) for b in known}
    left = [p for p in told if _key(p) not in booked]
    work.warnings.extend(
        f"run {p.created.run} announced a promotion and never said that it happened; resume it first"
        for p in left
        if p.done is None
    )
    left = sorted((p for p in left if p.done is not None), key=_order)
    while left:
        following = [p for p in left if p.intent.expected == work.in_force(p)]
        line_first = {p.intent.registry: p for p in reversed(following)}  # sorted: the lowest version of each line
        promotion = min(line_first.values(), key=lambda p: (p.at, _order(p))) if line_first else left[0]
        if not line_first:
            work.infer_rollback(promotion)
        work.promote(promotion)
        left.remove(promotion)
    return Reconstruction(bookings=tuple(work.bookings), warnings=tuple(work.warnings))


def _key(promotion: Promotion) -> tuple[str, str, str, str, str | None]:
    intent = promotion.intent
    return (promotion.created.run, intent.registry, intent.alias, intent.target, intent.evidence)


def _order(promotion: Promotion) -> tuple[Any, ...]:
    number = 0 if promotion.done is None else promotion.done.version
    return (promotion.intent.registry, number, promotion.created.run, promotion.intended.seq)


@frozen
class _Rebuilder:
    bookings: list[Booking]
    metadata: Callable[[Promotion], Mapping[str, str]]
    warnings: list[str] = field(factory=list)

    def last(self, promotion: Promotion) -> Booking | None:
        where = (promotion.intent.registry, promotion.intent.alias)
        return next((b for b in reversed(self.bookings) if (b.move.name, b.move.alias) == where), None)

    def in_force(self, promotion: Promotion) -> str | None:
        last = self.last(promotion)
        return last.version.weights if last else None

    def infer_rollback(self, promotion: Promotion) -> None:
        """Explain why a promotion expected other weights than those in force: a rollback, or a run that is gone."""
        intent = promotion.intent
        where = f"{intent.alias!r} of {intent.registry!r}"
        line = [b.version for b in self.bookings if b.version.name == intent.registry]
        earlier = [version for version in line if version.weights == intent.expected]
        if not earlier:
            self.warnings.append(
                f"run {promotion.created.run} replaced {intent.expected or 'nothing'} as {where}, and no journal and "
                "no ledger tells how that came into force"
            )
            return
        self.warnings.append(f"{where} was rolled back to version {earlier[-1].version}; by whom and why is lost")
        self.append(promotion, earlier[-1], kind="rollback", actor="unknown", reason="seen from the promotion after it")

    def promote(self, promotion: Promotion) -> None:
        intent, created, done = promotion.intent, promotion.created, promotion.done
        assert done is not None, "promotions nobody saw done are left out"
        line = [b.version for b in self.bookings if b.version.name == intent.registry]
        again = next((v for v in line if (v.weights, v.run) == (intent.target, created.run)), None)
        expected = max((v.version for v in line), default=0) + 1 if again is None else again.version
        if done.version != expected:
            self.warnings.append(
                f"run {created.run} made version {done.version} of {intent.registry!r}, expected {expected}: "
                "versions between are told of by no journal and no ledger"
            )
        version = again or Version(
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

    def append(self, promotion: Promotion, version: Version, **why: Any) -> None:
        last = self.last(promotion)
        move = AliasMove(
            **{"evidence": None, "run": None, "head": None, **why},
            move=len(self.bookings) + 1,
            name=version.name,
            alias=promotion.intent.alias,
            version=version.version,
            weights=version.weights,
            previous_version=last.version.version if last else None,
            previous=last.version.weights if last else None,
            at=promotion.at,
        )
        self.bookings.append(Booking(move=move, version=version))
