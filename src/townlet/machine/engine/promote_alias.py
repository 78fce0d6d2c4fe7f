"""Move the champion's alias, exactly once: the only effect a run has outside its directory."""

from collections.abc import Callable, Mapping
from pathlib import Path

from townlet.canonical import digest_of
from townlet.dto.journal import EffectDone, EffectIntent, JournalRecord
from townlet.dto.registry import MoveStatement, SignedMove
from townlet.dto.schedule import RegistrySpec
from townlet.errors import BadInputError, HoldError, StrategyFailedError
from townlet.machine.journal.chain import Journal
from townlet.machine.journal.run_state import RunState
from townlet.machine.journal.semantic_hash import semantic_form
from townlet.store.files import write_atomic
from townlet.store.registry.registry import Registry
from townlet.store.registry.signing import message_of, signed_move

__all__ = ["move_champion", "required_statement", "unrecorded_move"]


def move_champion(
    run: RunState,
    target: str,
    spec: RegistrySpec,
    *,
    registry: Registry,
    journal: Journal,
    append: Callable[[JournalRecord], None],
    metadata: Mapping[str, str],
    request: Path,
) -> EffectDone:
    """Move the alias to the candidate `target`: intent, compare-and-set, done, each journalled before the next.

    `append` writes a record to `journal`; `metadata` is stored with the version; `request` is the file of what must be
    signed, where a signature is demanded and none fits: HoldError then. What an earlier attempt of the visit
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
    statement = required_statement(run, intent.registry, intent.alias, target, registry)
    signed = None if statement is None else _signed(run, statement, registry, request)
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
        signed=signed,
    )
    done = EffectDone(alias=intent.alias, target=target, version=version.version, signed=signed)
    append(done)
    return done


def required_statement(run: RunState, name: str, alias: str, target: str, registry: Registry) -> MoveStatement | None:
    """Return what must be signed before a run may move an alias to `target`; None where no signature is demanded.

    The registry demands one since a move of the alias was signed, the run where its schedule names signers.
    """
    created = run.created
    demanded = registry.signers(name, alias)
    declared = () if created is None else created.signers
    if created is None or not (demanded or declared):
        return None
    if registry.promoted(name, alias, target=target, run=created.run, evidence=run.evidence) is not None:
        return None  # done before a crash: it is only journalled
    report = None if run.judged is None else digest_of(semantic_form(run.judged))
    signers = declared or demanded
    return registry.statement(name, alias, "promote", target=target, signers=signers, run=created.run, report=report)


def _signed(run: RunState, statement: MoveStatement, registry: Registry, request: Path) -> SignedMove:
    """Return the signature that an operator brought; HoldError, with the request as a file, where none fits."""
    allowed = registry.signers(statement.registry, statement.alias) or statement.signers
    reason = "it waits for a signature"
    if run.signature:
        try:
            return signed_move(statement, run.signature, allowed)
        except BadInputError as error:
            reason = f"its signature does not count ({error})"
    write_atomic(request, message_of(statement))
    raise HoldError(
        f"{statement.alias!r} of {statement.registry!r} is not moved to {statement.target[:12]}: {reason}; sign "
        f"{request} with townlet sign, and bring the signature with approve --signature"
    )


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
