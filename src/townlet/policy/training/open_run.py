"""Open a run to read its numbers."""

from pathlib import Path

from townlet.machine.audit.run_data import RunData
from townlet.policy.training.argument_checks import require_mapping, require_text
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.store.rundir import RunDirectory

__all__ = ["open_run"]


def open_run(
    run: Path | str = "latest", *, home: Path | str = ".townlet", strategies: Strategies | None = None
) -> RunData:
    """Return what a run has written: journal, visits, verdicts, evidence and metrics, as records and as columns.

    `run` is a directory, the beginning of an id, ``latest`` or ``latest-rehearsal``; a run given as a directory brings
    its home. `strategies` are used besides the installed ones. The run may be going on, held, crashed, a rehearsal or a
    copy, and of an earlier version; nothing is written.

    Raises BadInputError for an unknown run, JournalBrokenError where the journal does not hold.
    """
    require_text("run", run, "a run's directory, the beginning of its id, or 'latest'")
    require_text("home", home, "the path of a directory")
    if strategies is not None:
        require_mapping("strategies", strategies, "a mapping of names to strategies")
    given = Path(home).absolute()
    return RunData.read(RunDirectory.find(given, run), given, catalogue(strategies))
