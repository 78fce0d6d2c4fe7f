"""What a run could not see, with what its environment can be asked here."""

from pathlib import Path
from types import MappingProxyType

from attrs import evolve

from townlet.dto.limitations import RunLimitations
from townlet.errors import TownletError
from townlet.machine.audit.limitations import KnownEnvironment, find_limitations
from townlet.machine.audit.snapshot import load_run
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["run_limitations"]


def run_limitations(
    run: RunDirectory,
    home: Path,
    *,
    source: EnvironmentSource | None = None,
    strategies: Strategies = MappingProxyType({}),
) -> RunLimitations:
    """Return what the comparisons of a run could not show, for each visit whose guards were evaluated on evidence.

    `source` makes the environment, which is asked for directions and scenarios; where it cannot be made the result says
    why. JournalBrokenError where the chain does not hold, BadInputError where a stored schedule is missing.
    """
    blobs, all_strategies = BlobStore(home / "blobs"), catalogue(strategies)
    snapshot = load_run(run, blobs, all_strategies)
    spec = evolve(snapshot.schedule.environment, workers=0)
    try:
        environment = KnownEnvironment(description=(source or EnvironmentSource()).describe(spec))
    except TownletError as error:
        environment = KnownEnvironment(problem=str(error))
    return find_limitations(run, snapshot.entries, blobs, all_strategies, environment)
