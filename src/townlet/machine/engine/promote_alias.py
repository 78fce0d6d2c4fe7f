"""Move the champion's alias, exactly once: the only effect a run has outside its directory."""

from collections.abc import Callable, Mapping

from townlet.dto.journal import EffectDone, EffectIntent, JournalRecord
from townlet.dto.schedule import RegistrySpec
from townlet.errors import StrategyFailedError
from townlet.machine.journal.chain import Journal
from townlet.machine.journal.run_state import RunState
from townlet.store.registry.registry import Registry

__all__ = ["move_champion", "unrecorded_move"]


def move_champion(
    run: RunState,
    target: str,
    spec: RegistrySpec,
    *,
    registry: Registry,
    journal: Journal,
    append: Callable[[JournalRecord], None],
    metadata: Mapping[str, str],
) -> EffectDone:
    """Move the alias to the candidate `target`: intent, compare-and-set, done, each journalled before the next.

    `append` writes a record to `journal`; `metadata` is stored with the version. What an earlier attempt of the visit
    journalled is not done again; a rehearsal moves nothing. StrategyFailedError for another target, ChampionMovedError
    where the alias has left the weights that the evidence was gathered against.
    """
    visit, created = run.visit, run.created
    if visit is None or created is None or target != visit.inputs.get("candidate"):
        raise StrategyFailedError(f"{run.state} may not move {spec.champion!r} to {target}; expected its candidate")
    if visit.done is not None:
        return visit.done
    if run.rehearsal:
        return EffectDone(alias=spec.champion, target=target, version=0)
    intent = visit.intent or EffectIntent(
        state=visit.state,
        visit=visit.number,
        registry=spec.name,
        alias=spec.champion,
        target=target,
        expected=visit.expected_champion,
        evidence=run.evidence,
    )
    if visit.intent is None:
        append(intent)
    tuned = run.fine_tuned
    version = registry.promote(
        intent.registry,
        intent.alias,
        target=target,
        expected=intent.expected,
        evidence=intent.evidence,
        run=created.run,
        head=journal.head,
        metadata=metadata,
        parent=(tuned.result.parent or None) if tuned is not None and tuned.result.weights == target else None,
    )
    done = EffectDone(alias=intent.alias, target=target, version=version.version)
    append(done)
    return done


def unrecorded_move(run: RunState, registry: Registry) -> EffectDone | None:
    """Return the record of a move that a process made and died before it could journal it; None where there is none.

    A visit that is left, because the run is aborted or held, would otherwise never say it.
    """
    visit = run.visit
    if visit is None or run.created is None or visit.intent is None or visit.done is not None:
        return None
    intent = visit.intent
    version = registry.promoted(
        intent.registry, intent.alias, target=intent.target, run=run.created.run, evidence=intent.evidence
    )
    return None if version is None else EffectDone(alias=intent.alias, target=intent.target, version=version.version)
