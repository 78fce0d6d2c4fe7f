"""`townlet registry`: what was promoted, when, on which evidence; the way back, and a registry put together again."""

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Home, Json, Run

if TYPE_CHECKING:
    from townlet.dto.registry import Version
    from townlet.machine.audit.registry_rebuild import Promotion
    from townlet.store.registry.registry import Registry
    from townlet.store.rundir import RunDirectory

__all__ = ["registry"]

registry = App(name="registry", help="What was promoted, when, and on which evidence.", help_format="plaintext")

Line = Annotated[str, Parameter(help="Name of the line of policies, as the schedule's `registry.name` says.")]


@registry.command(name="list")
def registry_list(*, run: Run | None = None, home: Home = HOME, json: Json = False) -> int:
    """List every registered version."""
    from townlet.report import tables, terminal

    versions = _registry(home, run).versions()
    if json:
        terminal.show_json([version.model_dump() for version in versions])
    else:
        terminal.show(tables.versions_table(versions))
    return 0


@registry.command
def history(*, run: Run | None = None, home: Home = HOME, json: Json = False) -> int:
    """Show every move of every alias, with the evidence of each promotion."""
    import json as codec

    from townlet.dto.codec import structure
    from townlet.dto.guards import EvidenceTable
    from townlet.report import tables, terminal
    from townlet.store.blobs import BlobStore

    moves = _registry(home, run).history()
    if json:
        terminal.show_json([move.model_dump() for move in moves])
        return 0
    terminal.show(tables.history_table(moves))
    blobs = BlobStore(home / "blobs")
    for digest in dict.fromkeys(move.evidence for move in moves if move.evidence):
        terminal.show(tables.evidence_table(digest, structure(codec.loads(blobs.get(digest)), EvidenceTable)))
    return 0


@registry.command
def show(
    which: Annotated[str, Parameter(help="NAME@ALIAS or NAME@VERSION.")],
    *,
    provenance: Annotated[
        bool, Parameter(negative="", help="Print where it comes from, as an in-toto statement in JSON.")
    ] = False,
    run: Run | None = None,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Show one version: its weights, parent, evidence and run; or where it comes from."""
    from townlet.report import terminal

    version = _version(_registry(home, run), which)
    if provenance:
        terminal.show_json(_statement(home, version, run))
    elif json:
        terminal.show_json(version.model_dump())
    else:
        plain = version.model_dump()
        facts = " ".join(f"{name}={value}" for name, value in sorted(version.metadata.items()))
        told = {**plain, "facts": facts, "parent": version.parent or "none", "evidence": version.evidence or "none"}
        terminal.show("\n".join(f"{name.replace('_', ' '):<10} {value}" for name, value in told.items()))
    return 0


@registry.command
def rollback(
    name: Line,
    *,
    reason: Annotated[str, Parameter(help="Why; it stays in the history.")],
    alias: Annotated[str, Parameter(help="Alias to move.")] = "champion",
    actor: Annotated[str | None, Parameter(help="Who asks for it; by default the user of this process.")] = None,
    run: Run | None = None,
    home: Home = HOME,
) -> int:
    """Move an alias back to the version before, once the weights there are proven; the history keeps both."""
    from townlet.errors import BadInputError
    from townlet.report import terminal

    if not reason.strip():
        raise BadInputError("--reason is empty; say why, for those who read the history")
    version = _registry(home, run).rollback(name, alias, actor=actor or _user(), reason=reason)
    terminal.show(f"{name}@{alias} names version {version.version} again: weights {version.weights}")
    return 0


@registry.command
def rebuild(
    *,
    accept_loss: Annotated[
        bool, Parameter(negative="", help="Rebuild what can be told, though something is lost or guessed.")
    ] = False,
    run: Run | None = None,
    home: Home = HOME,
) -> int:
    """Put a lost or damaged registry together again, from its ledger and the journals of all runs."""
    from townlet.errors import BadInputError, TownletError
    from townlet.machine.audit.gc import stored_schedule
    from townlet.machine.audit.registry_rebuild import promotions, reconstruct
    from townlet.machine.journal.chain import read
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.store.rundir import RunDirectory

    target, known = _registry(home, run), catalogue()
    doubts: list[str] = []
    told: list[Promotion] = []
    runs = RunDirectory.every(home) if run is None else (RunDirectory.find(home, run),)
    by_id = {each.id: each for each in runs}
    for each in runs:
        if run is None and stored_schedule(each).registry.scope != "home":
            continue
        try:
            told += promotions(read(each.journal, each.head, known).entries, known)
        except TownletError as error:
            doubts.append(str(error))
    written, more = target.recover_history()
    found = reconstruct(written, told, lambda promotion: _facts(home, by_id[promotion.created.run], promotion))
    doubts += [*more, *found.warnings]
    if doubts and not accept_loss:
        raise BadInputError(
            f"{target.path}: not rebuilt, for something would be lost: {'; '.join(doubts)}; "
            "mend that, or say --accept-loss"
        )
    target.replace(found.bookings)
    for doubt in doubts:
        terminal.complain(f"accepted: {doubt}")
    terminal.show(f"rebuilt: {len(target.versions())} versions, {len(found.bookings)} moves in {target.path}")
    return 0


def _registry(home: Path, run: str | None) -> "Registry":
    """Return the registry a run promoted in: its own where it has one, else the home's; moves prove the weights."""
    from townlet.machine.audit.gc import stored_schedule
    from townlet.policy.model.weights import verifier
    from townlet.store.blobs import BlobStore
    from townlet.store.registry.registry import Registry
    from townlet.store.rundir import RunDirectory

    path = home / "registry.sqlite"
    if run is not None:
        directory = RunDirectory.find(home, run)
        own = stored_schedule(directory).registry.scope == "run"
        path = directory.registry if own else path
    return Registry(path, prove=verifier(BlobStore(home / "blobs").get))


def _version(where: "Registry", which: str) -> "Version":
    from townlet.errors import BadInputError

    name, at, word = which.rpartition("@")
    if not at or not name or not word:
        raise BadInputError(f"{which!r} names no version; expected NAME@ALIAS or NAME@VERSION")
    if not (word.isascii() and word.isdecimal()):
        found = where.champion(name, word)
    else:
        found = next((version for version in where.versions(name) if str(version.version) == word), None)
    if found is None:
        raise BadInputError(f"{where.path}: there is no {which!r}; see: townlet registry list")
    return found


def _statement(home: Path, version: "Version", run: str | None) -> Mapping[str, object]:
    from townlet.machine.audit.gc import stored_schedule
    from townlet.machine.audit.provenance import statement
    from townlet.machine.journal.chain import read
    from townlet.policy.training.strategies.base import catalogue
    from townlet.store.rundir import RunDirectory

    directory, known = RunDirectory.find(home, version.run if run is None else run), catalogue()
    schedule = stored_schedule(directory)
    return statement(
        read(directory.journal, directory.head, known).entries, version.version, known, teacher=schedule.teacher,
        environment=f"{schedule.environment.id}/{schedule.environment.scenario}",
    ).layout()  # fmt: skip


def _facts(home: Path, directory: "RunDirectory", promotion: "Promotion") -> Mapping[str, str]:
    """Return what a run stated of a policy when it registered it."""
    from townlet.machine.audit.gc import stored_schedule
    from townlet.policy.model.weights import verifier
    from townlet.store.blobs import BlobStore

    weights = verifier(BlobStore(home / "blobs").get)(promotion.intent.target)
    environment = stored_schedule(directory).environment
    return {
        "environment": environment.id,
        "scenario": environment.scenario,
        "signature": promotion.created.environment,
        "features": str(len(weights.metadata.features)),
        "actions": str(len(weights.metadata.actions)),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
