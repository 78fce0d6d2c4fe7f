"""`townlet registry`: what was promoted, when and on which evidence; rollback, and rebuild of a lost registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Home, Json, Run, Wide, find_registry, find_run
from townlet.commands.overview import LOOKING
from townlet.commands.registry_moves import mirror, rollback

if TYPE_CHECKING:
    from townlet.dto.registry import Version
    from townlet.machine.audit.registry_rebuild import Promotion
    from townlet.store.registry.registry import Registry
    from townlet.store.rundir import RunDirectory

__all__ = ["registry"]

registry = App(
    name="registry", help="What was promoted, when, and on which evidence.", help_format="plaintext", group=LOOKING
)

registry.command(rollback)
registry.command(mirror)


@registry.command(name="list")
def registry_list(*, run: Run | None = None, wide: Wide = False, home: Home = HOME, json: Json = False) -> int:
    """List every registered version."""
    from townlet.report import tables, terminal

    store = find_registry(home, run)
    versions = store.versions()
    if json:
        terminal.show_json([version.model_dump() for version in versions])
    elif versions:
        terminal.show(tables.versions_table(versions), wide=wide)
    else:
        terminal.show("\n".join([f"{store.path}: no policy is registered", *_own_registries(home)]))
    return 0


def _own_registries(home: Path) -> list[str]:
    """Return the commands that list the registries of runs, newest first: those of schedules with ``scope: run``."""
    from townlet.store.hints import command_line, run_word
    from townlet.store.rundir import RunDirectory

    runs = [each for each in reversed(RunDirectory.every(home)) if each.registry.is_file()]
    lines = [f"  {command_line('registry', 'list', '--run', run_word(home, each), home=home)}" for each in runs[:5]]
    return [f"{len(runs)} runs have a registry of their own:", *lines] if lines else []


@registry.command
def history(*, run: Run | None = None, wide: Wide = False, home: Home = HOME, json: Json = False) -> int:
    """Show every move of every alias, with the evidence of each promotion."""
    from json import loads

    from townlet.dto.codec import structure
    from townlet.dto.evidence import EvidenceTable
    from townlet.report import tables, terminal
    from townlet.store.blobs import BlobStore

    moves = find_registry(home, run).history()
    home = home if run is None else find_run(home, run)[0]
    if json:
        terminal.show_json([move.model_dump() for move in moves])
        return 0
    terminal.show(tables.history_table(moves), wide=wide)
    blobs = BlobStore(home / "blobs")
    for digest in dict.fromkeys(move.evidence for move in moves if move.evidence):
        terminal.show(tables.evidence_table(digest, structure(loads(blobs.get(digest)), EvidenceTable)), wide=wide)
    return 0


@registry.command
def show(
    which: Annotated[str, Parameter(help="NAME@ALIAS or NAME@VERSION.")],
    *,
    provenance: Annotated[
        bool, Parameter(negative="", help="Print its provenance, as an in-toto statement in JSON.")
    ] = False,
    run: Run | None = None,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Show one version: its weights, parent, evidence and run; or its provenance."""
    from townlet.report import terminal

    store = find_registry(home, run)
    version = _version(store, which)
    if provenance:
        terminal.show_json(_statement(home, version, run))
    elif json:
        terminal.show_json(version.model_dump())
    else:
        plain = version.model_dump()
        metadata = " ".join(f"{name}={value}" for name, value in sorted(version.metadata.items()))
        fields = {
            **plain,
            "metadata": metadata,
            "parent": version.parent or "none",
            "evidence": version.evidence or "none",
        }
        signed = next((each.signed for each in reversed(store.ledger.read()) if each.version == version), None)
        fields |= {} if signed is None else {"signed by": f"{signed.key} {signed.signer}".rstrip()}
        terminal.show("\n".join(f"{name.replace('_', ' '):<10} {value}" for name, value in fields.items()))
    return 0


@registry.command
def verify(
    *,
    head: Annotated[
        str | None, Parameter(help="A head of the ledger that you kept outside: that line must still be there.")
    ] = None,
    run: Run | None = None,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Compare database, ledger and journals both ways, and print the heads to keep outside; exit code 5 if one differs.

    The ledger is the authority: every row of the database is a line of it, every promotion in it is done in a journal
    that verifies, and the reverse.
    """
    from townlet.errors import JournalBrokenError
    from townlet.machine.audit.registry_verify import verify_registry
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.store.blobs import BlobStore

    own_home, runs = _promoting_runs(home, run)
    blobs = BlobStore(own_home / "blobs")
    report = verify_registry(find_registry(home, run), runs, blobs, catalogue(), head=head)
    if json:
        terminal.show_json(report.model_dump())
        return 0 if report.clean else JournalBrokenError.exit_code
    for problem in report.problems:
        terminal.complain(problem)
    if not report.clean:
        return JournalBrokenError.exit_code
    terminal.show(f"clean: {report.moves} moves, {report.promotions} promotions that their journals hold")
    terminal.show("heads to keep outside this machine:")
    terminal.show(f"ledger {report.head}")
    for name, digest in report.heads.items():
        terminal.show(f"run {name} {digest}")
    return 0


@registry.command
def rebuild(
    *,
    accept_loss: Annotated[bool, Parameter(negative="", help="Rebuild although records are lost or inferred.")] = False,
    run: Run | None = None,
    home: Home = HOME,
) -> int:
    """Rebuild a lost or damaged registry from its ledger and the journals of all runs."""
    from townlet.errors import BadInputError, TownletError
    from townlet.machine.audit.registry_rebuild import read_promotions, reconstruct
    from townlet.machine.journal.chain import read
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal

    target, strategies = find_registry(home, run), catalogue()
    warnings: list[str] = []
    journalled: list[Promotion] = []
    home, runs = _promoting_runs(home, run)
    by_id = {each.id: each for each in runs}
    for each in runs:
        try:
            journalled += read_promotions(read(each.journal, each.head, strategies).entries, strategies)
        except TownletError as error:
            warnings.append(str(error))
    recorded, unrecorded, more_warnings = target.recover_history()
    rebuilt = reconstruct(
        recorded, unrecorded, journalled, lambda promotion: _metadata(home, by_id[promotion.created.run], promotion)
    )
    warnings += [*more_warnings, *rebuilt.warnings]
    if warnings and not accept_loss:
        raise BadInputError(
            f"{target.path}: not rebuilt, because something would be lost: {'; '.join(warnings)}; "
            "repair that, or pass --accept-loss"
        )
    target.replace(rebuilt.entries)
    for warning in warnings:
        terminal.complain(f"accepted: {warning}")
    terminal.show(f"rebuilt: {len(target.versions())} versions, {len(rebuilt.entries)} moves in {target.path}")
    return 0


def _promoting_runs(home: Path, run: str | None) -> "tuple[Path, tuple[RunDirectory, ...]]":
    """Return the home, and the runs that promote in its registry; with `run` that one run, in the registry it uses."""
    from townlet.machine.audit.gc import stored_schedule
    from townlet.store.rundir import RunDirectory

    if run is not None:
        home, directory = find_run(home, run)
        if stored_schedule(directory).registry.scope == "run":
            return home, (directory,)
    runs = (each for each in RunDirectory.every(home) if each.original(home) == each.path)
    return home, tuple(each for each in runs if stored_schedule(each).registry.scope == "home")


def _version(store: "Registry", which: str) -> "Version":
    """Return the version that NAME@ALIAS or NAME@VERSION names; BadInputError where there is none."""
    from townlet.errors import BadInputError
    from townlet.store.hints import list_command

    name, at, word = which.rpartition("@")
    if not at or not name or not word:
        raise BadInputError(f"{which!r} names no version; expected NAME@ALIAS or NAME@VERSION")
    if not (word.isascii() and word.isdecimal()):
        version = store.champion(name, word)
    else:
        version = next((each for each in store.versions(name) if str(each.version) == word), None)
    if version is None:
        raise BadInputError(f"{store.path}: there is no {which!r}; to see what there is: {list_command(store.path)}")
    return version


def _statement(home: Path, version: "Version", run: str | None) -> Mapping[str, object]:
    from townlet.machine.audit.gc import stored_schedule
    from townlet.machine.audit.provenance import statement
    from townlet.machine.journal.chain import read
    from townlet.policy.training.strategies.base import catalogue

    home, directory = find_run(home, version.run if run is None else run)
    strategies = catalogue()
    schedule = stored_schedule(directory)
    return statement(
        read(directory.journal, directory.head, strategies).entries,
        version.version,
        strategies,
        teacher=schedule.teacher,
        environment=f"{schedule.environment.id}/{schedule.environment.scenario}",
    ).layout()


def _metadata(home: Path, directory: "RunDirectory", promotion: "Promotion") -> Mapping[str, str]:
    """Return the metadata that a run registers with a policy."""
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
