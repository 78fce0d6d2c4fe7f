"""All errors that users can meet, with one exit code per family."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

__all__ = [
    "EXIT_CODES",
    "BadInputError",
    "ChampionMovedError",
    "EnvironmentFaultError",
    "HoldError",
    "JournalBrokenError",
    "OutputError",
    "ResourceFaultError",
    "StoppedError",
    "StrategyFailedError",
    "TorchNotAvailableError",
    "TownletError",
    "UnfitCheckpointError",
    "UnfitInputError",
]

EXIT_CODES: Mapping[int, str] = MappingProxyType(
    {
        0: "done; the champion moved, where the schedule can promote",
        1: "a bug; with train --anneal-exit-on-failure: the status is not PASS",
        2: "bad input, or a missing extra: nothing was changed",
        3: "held: the run waits for a person, or another process works on it",
        4: "failed; or disk, memory or a lock: free it, and repeat the command",
        5: "a journal, a registry or an artefact is not what it was",
        6: "done; the champion is unchanged",
        7: "aborted by a person",
        130: "stopped by SIGINT (Ctrl-C); resume goes on",
        143: "stopped by SIGTERM; resume goes on",
    }
)
"""What each exit code of the command line means; `townlet --help` and docs/reference/commands.md are made from it."""


class TownletError(Exception):
    """Base of all errors; the message says where, what was found, what was expected, and what to do."""

    exit_code: ClassVar[int] = 4
    """Exit status of the process when the command line ends with this error."""


class BadInputError(TownletError):
    """Input that is refused before anything is written."""

    exit_code = 2


class TorchNotAvailableError(BadInputError):
    """A state needs torch and torch is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs torch, which is not installed; install it with: pip install 'townlet[torch]' "
            "(for a CPU-only build see README, 'Installing torch')"
        )


class UnfitInputError(BadInputError):
    """An input of an open visit is missing, damaged or unreadable; the visit stays open, and can be resumed later."""


class UnfitCheckpointError(UnfitInputError):
    """The checkpoint of an open visit is missing, damaged or of another version; the visit stays open."""


class HoldError(TownletError):
    """The run waits for an operator; the message is the reason."""

    exit_code = 3


class ChampionMovedError(HoldError):
    """A compare-and-set failed: the alias no longer names the expected version."""


class EnvironmentFaultError(TownletError):
    """An environment or the file system failed; the visit may be retried with the same seeds."""


class ResourceFaultError(EnvironmentFaultError):
    """Disk or memory is exhausted, or the registry is locked; nothing was changed, and the run can be resumed later."""


class StoppedError(TownletError):
    """A stop was requested: the strategy saved a checkpoint and ended; the visit continues when the run is resumed."""

    exit_code = 130


class StrategyFailedError(TownletError):
    """A strategy raised an error that no retry can repair."""


class OutputError(TownletError):
    """Files that a caller asked for could not be written at the end of a run; the run itself is as it was."""

    def __init__(self, message: str, summary: object) -> None:
        super().__init__(message)
        self.summary = summary
        """The run's summary, an `AnnealSummary`."""


class JournalBrokenError(TownletError):
    """The journal's hash chain or its records are inconsistent; it is never repaired silently."""

    exit_code = 5
