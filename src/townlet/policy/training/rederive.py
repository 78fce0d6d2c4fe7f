"""Re-derive the decisions of a run from its stored results and evidence, without training."""

from pathlib import Path
from types import MappingProxyType

from townlet.dto.schedule import Plan
from townlet.machine.audit.rederive import RederivationReport, Rederiver
from townlet.machine.audit.snapshot import first_record, load_run
from townlet.machine.schedule.loader import load_text
from townlet.machine.schedule.rehearsal import shrink
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["replay_run"]


def replay_run(
    run: RunDirectory,
    home: Path,
    *,
    source: EnvironmentSource | None = None,
    strategies: Strategies = MappingProxyType({}),
) -> RederivationReport:
    """Return every difference between what a run's journal decided and what its stored results and evidence decide.

    `source` makes the environment, `strategies` take the place of the registered ones. JournalBrokenError where the
    chain does not hold, BadInputError where a stored schedule is missing.
    """
    blobs, all_strategies = BlobStore(home / "blobs"), catalogue(strategies)
    snapshot = load_run(run, blobs, all_strategies)
    source = source or EnvironmentSource()
    created = first_record(run, snapshot.entries)

    def plan_of(digest: str) -> Plan:
        text = run.schedule.read_bytes() if digest == snapshot.state.schedule_sha256 else blobs.get(digest)
        name, folder = str(run.schedule), run.folder
        plan = load_text(text, name, all_strategies, source.describe, folder=folder, seed=created.seed, stored=True)
        return shrink(plan, all_strategies) if created.rehearsal else plan

    metrics = {spec.name: spec for spec in source.describe(snapshot.schedule.environment).metrics}
    return Rederiver(plan_of=plan_of, metrics=metrics, blobs=blobs, catalogue=all_strategies).rederive(snapshot.entries)
