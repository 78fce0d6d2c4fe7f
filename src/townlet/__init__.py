"""Townlet turns a scripted policy into a learned one, safely.

The names below load on first use, so that `import townlet` stays light and needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townlet.api import anneal, resume, run
    from townlet.dto.boundary import ObservationBatchDTO, StepResult
    from townlet.dto.policy import AnnealSummary
    from townlet.dto.schedule import ScheduleSpec
    from townlet.errors import (
        BadInputError,
        HoldError,
        JournalBrokenError,
        StoppedError,
        TorchNotAvailableError,
        TownletError,
    )
    from townlet.machine.audit.run_data import RunData
    from townlet.machine.schedule.loader import ScheduleError
    from townlet.policy.load import load_policy
    from townlet.policy.model.policy import Policy
    from townlet.policy.training.anneal_result import AnnealResult
    from townlet.policy.training.open_run import open_run
    from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, Teacher, batched
    from townlet.world.batch import TownBatch

__all__ = [
    "AnnealResult",
    "AnnealSummary",
    "BadInputError",
    "Environment",
    "EnvironmentDescription",
    "EnvironmentProvider",
    "HoldError",
    "JournalBrokenError",
    "ObservationBatchDTO",
    "Policy",
    "RunData",
    "ScheduleError",
    "ScheduleSpec",
    "StepResult",
    "StoppedError",
    "Teacher",
    "TorchNotAvailableError",
    "TownBatch",
    "TownletError",
    "__version__",
    "anneal",
    "batched",
    "load_policy",
    "open_run",
    "resume",
    "run",
]

__version__ = "0.1.0"

_MODULES = {
    "AnnealResult": "townlet.policy.training.anneal_result",
    "AnnealSummary": "townlet.dto.policy",
    "BadInputError": "townlet.errors",
    "Environment": "townlet.ports",
    "EnvironmentDescription": "townlet.ports",
    "EnvironmentProvider": "townlet.ports",
    "HoldError": "townlet.errors",
    "JournalBrokenError": "townlet.errors",
    "ObservationBatchDTO": "townlet.dto.boundary",
    "Policy": "townlet.policy.model.policy",
    "RunData": "townlet.machine.audit.run_data",
    "ScheduleError": "townlet.machine.schedule.loader",
    "ScheduleSpec": "townlet.dto.schedule",
    "StepResult": "townlet.dto.boundary",
    "StoppedError": "townlet.errors",
    "Teacher": "townlet.ports",
    "TorchNotAvailableError": "townlet.errors",
    "TownBatch": "townlet.world.batch",
    "TownletError": "townlet.errors",
    "anneal": "townlet.api",
    "batched": "townlet.ports",
    "load_policy": "townlet.policy.load",
    "open_run": "townlet.policy.training.open_run",
    "resume": "townlet.api",
    "run": "townlet.api",
}


if not TYPE_CHECKING:  # a type checker that saw this function would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562); the interpreter adds a suggestion to the AttributeError."""
        if name not in _MODULES:
            raise AttributeError(f"module 'townlet' has no attribute {name!r}")
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
