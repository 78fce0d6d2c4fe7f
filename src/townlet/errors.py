"""Every error a user can meet, one exit code per family."""

from typing import ClassVar

__all__ = [
    "BadInputError",
    "ChampionMovedError",
    "EnvironmentFaultError",
    "HoldError",
    "JournalBrokenError",
    "ResourceFaultError",
    "StoppedError",
    "StrategyFailedError",
    "TorchNotAvailableError",
    "TownletError",
    "UnfitCheckpointError",
]


class TownletError(Exception):
    """What went wrong, said to the person who can mend it: where, found, expected, what to do."""

    exit_code: ClassVar[int] = 4
    """Process exit status the command line answers with."""


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


class UnfitCheckpointError(BadInputError):
    """What an open visit would go on from is missing, damaged or of another version; the visit stays open."""


class HoldError(TownletError):
    """The run must wait for an operator; the message is the reason."""

    exit_code = 3


class ChampionMovedError(HoldError):
    """A compare-and-set lost its race: the alias no longer names the expected version."""


class EnvironmentFaultError(TownletError):
    """An environment or the file system failed; the visit may be retried with the same seeds."""


class ResourceFaultError(EnvironmentFaultError):
    """Disk, memory or a locked registry refused; nothing was changed, the run can be resumed once they no longer do."""


class StoppedError(TownletError):
    """A strategy saw `Visit.stopping`, saved its checkpoint and left; the visit goes on when the run is resumed."""

    exit_code = 130


class StrategyFailedError(TownletError):
    """A strategy raised what no retry can mend."""


class JournalBrokenError(TownletError):
    """The journal does not hold together; it is never repaired silently."""

    exit_code = 5
