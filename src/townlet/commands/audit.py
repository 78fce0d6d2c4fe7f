"""`townlet audit`: verify a run, show and explain its journal, and derive its decisions again."""

from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, Json, Run, find_run
from townlet.commands.overview import LOOKING
from townlet.errors import BadInputError, JournalBrokenError

__all__ = ["audit"]

audit = App(
    name="audit", help="Verify, show, explain and replay the journal of a run.", help_format="plaintext", group=LOOKING
)


@audit.command
def verify(run: Run, *, home: Home = HOME, json: Json = False) -> int:
    """Check the hash chain, every head the home knows, and the artefacts of a run; exit code 5 if a check fails."""
    from townlet.machine.audit.registry_verify import journal_heads
    from townlet.machine.audit.verify import verify as audit_verify
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.store.blobs import BlobStore
    from townlet.store.registry.registry import Registry

    home, directory = find_run(home, run)
    registries = (Registry(home / "registry.sqlite"), Registry(directory.registry))
    heads = journal_heads(registries, directory.id)
    report = audit_verify(directory, BlobStore(home / "blobs"), catalogue(), heads)
    if json:
        terminal.show_json(report.model_dump())
    elif report.clean:
        remarks = "".join(f"{line}\n" for line in (*report.inexact, *report.reservations))
        terminal.show(
            f"{remarks}clean: {report.records} records, {report.blobs} artefacts\n"
            f"head {report.head}\nsemantic {report.semantic}"
        )
    else:
        for problem in report.problems:
            terminal.complain(problem)
    return 0 if report.clean else JournalBrokenError.exit_code


@audit.command
def show(run: Run, *, home: Home = HOME) -> int:
    """Print the journal of a run, one line per record."""
    from townlet.machine.journal.chain import read
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import journal_text, terminal

    home, directory = find_run(home, run)
    terminal.show(journal_text.show(read(directory.journal, directory.head, catalogue()).entries))
    return 0


@audit.command
def why(
    run: Run,
    which: Annotated[str | None, Parameter(help="A state that was left, or the number of a transition.")] = None,
    *,
    exact: Annotated[bool, Parameter(negative="", help="Print every operand to the last digit.")] = False,
    allow_import: AllowImport = (),
    home: Home = HOME,
) -> int:
    """Print why each transition was taken: the verdict of every guard, its numbers, and what they could not show."""
    from townlet.imports import Imports
    from townlet.machine.audit.environment_promises import environment_reservations
    from townlet.machine.audit.limitations import find_limitations
    from townlet.machine.audit.verify import inexact_processes
    from townlet.machine.journal.chain import read
    from townlet.policy.training.strategies.base import catalogue
    from townlet.ports import provider
    from townlet.report import journal_text, terminal
    from townlet.store.blobs import BlobStore

    home, directory = find_run(home, run)
    strategies, imports = catalogue(), Imports(allow_import)
    entries = read(directory.journal, directory.head, strategies).entries
    limitations, notes = None, []
    try:
        limitations = find_limitations(
            directory,
            entries,
            BlobStore(home / "blobs"),
            strategies,
            lambda spec: provider(spec, imports).describe(spec.scenario),
        )
    except BadInputError as error:  # the journal alone still says why
        notes = [f"what this run could not see is not known: {error}"]
    number = int(which) if which is not None and which.isdecimal() else None
    reasons = journal_text.why(entries, which if number is None else number, exact=exact, limitations=limitations)
    remarks = (*inexact_processes(entries), *environment_reservations(entries))
    terminal.show("\n".join((*journal_text.overridden_values(entries), *remarks, reasons, *notes)))
    return 0


@audit.command
def replay(run: Run, *, allow_import: AllowImport = (), home: Home = HOME, json: Json = False) -> int:
    """Derive every verdict and every transition again from the stored data; exit code 5 if one differs."""
    from townlet.imports import Imports
    from townlet.policy.training.environment_source import EnvironmentSource
    from townlet.policy.training.rederive import replay_run
    from townlet.report import terminal

    home, directory = find_run(home, run)
    report = replay_run(directory, home, source=EnvironmentSource(imports=Imports(allow_import)))
    if json:
        terminal.show_json(report.model_dump())
    elif report.clean:
        terminal.show(
            f"the same again: {report.verdicts} verdicts, {report.edges} edges, {report.commands} by operators"
        )
    else:
        for difference in report.differences:
            terminal.complain(difference)
    return 0 if report.clean else JournalBrokenError.exit_code
