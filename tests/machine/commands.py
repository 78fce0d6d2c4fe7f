"""A run whose promotion asks a person, and what an operator does about it."""

from pathlib import Path

from fakes import Bench
from plans import CATALOGUE, METRICS, SCHEDULE, make_plan

from townlet.dto.journal import ApprovalRequested, OperatorCommand
from townlet.machine.audit.rederive import RederivationReport, Rederiver
from townlet.machine.engine.inbox import send


def run_with_approval(home: Path, expires: str = "72h") -> Bench:
    """Return a fresh run whose promotion asks a person."""
    evaluate = SCHEDULE["states"]["evaluate"]
    edges = [
        {**edge, "approval": {"expires": expires}} if edge["to"] == "promote" else edge for edge in evaluate["next"]
    ]
    bench = Bench(home, plan=make_plan(states={**SCHEDULE["states"], "evaluate": {**evaluate, "next": edges}}))
    (home / "inbox").mkdir()
    return bench


def send_command(bench: Bench, command: str, **arguments: str) -> str:
    """Leave a command in the inbox of a run and return its id."""
    order = OperatorCommand(
        command=command, actor="ada", reason="I looked", arguments=arguments, sent=bench.clock.now.timestamp()
    )
    return send(bench.home / "inbox", order)


def journalled_commands(bench: Bench) -> list[tuple[str, str]]:
    """Return every command in the journal with why it was refused."""
    records = [entry.record for entry in bench.journal().entries]
    return [(record.command, record.refused) for record in records if isinstance(record, OperatorCommand)]


def open_request(bench: Bench) -> ApprovalRequested:
    """Return the question that waits."""
    asked = bench.engine().state.approval
    assert asked is not None
    return asked


def rederived(bench: Bench) -> RederivationReport:
    """Return what deciding the run again says."""
    metrics = {spec.name: spec for spec in METRICS}
    replay = Rederiver(plan_of=lambda _: bench.plan, metrics=metrics, blobs=bench.school.blobs, catalogue=CATALOGUE)
    return replay.rederive(bench.journal().entries)
