"""The one protocol of all strategies, and the lazy registry that finds them by name."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Protocol, cast, runtime_checkable

from attrs import evolve

from townlet.dto import policy, strategies
from townlet.dto.catalogue import StrategyCatalogue, StrategyEntry
from townlet.dto.codec import did_you_mean
from townlet.dto.policy import TrainingResult
from townlet.errors import BadInputError, TorchNotAvailableError
from townlet.policy.training.contexts import TrainingContext

__all__ = ["TrainingStrategy", "catalogue", "require_torch", "resolve", "torch_available"]


@runtime_checkable
class TrainingStrategy(Protocol):
    """What a state runs."""

    @property
    def name(self) -> str:
        """The word after ``strategy:`` in a schedule."""
        ...

    @property
    def requires_torch(self) -> bool:
        """Whether it cannot run without torch."""
        ...

    def prepare(self, context: TrainingContext) -> None:
        """Check everything that can be checked before work begins; refuse early."""
        ...

    def run(self, context: TrainingContext) -> TrainingResult:
        """Do the work and answer with a frozen result."""
        ...


_HERE = "townlet.policy.training.strategies"
_MODULES: Mapping[str, str] = {
    "capture": f"{_HERE}.capture:CaptureStrategy",
    "replay": f"{_HERE}.replay:ReplayStrategy",
    "bc": f"{_HERE}.bc:BCStrategy",
    "ppo": f"{_HERE}.ppo:PPOStrategy",
    "evaluate": f"{_HERE}.evaluate:EvaluateStrategy",
    "promote": f"{_HERE}.release:PromoteStrategy",
    "rollback": f"{_HERE}.release:RollbackStrategy",
}
_ENTRIES: tuple[StrategyEntry, ...] = (
    StrategyEntry(
        name="capture",
        spec=strategies.CaptureSpec,
        result=policy.CaptureResult,
        doc="The teacher plays and is recorded.",
    ),
    StrategyEntry(
        name="replay",
        spec=strategies.ReplaySpec,
        result=policy.ReplayResult,
        doc="A data set from outside is read, checked and summarised.",
    ),
    StrategyEntry(
        name="bc",
        spec=strategies.BCSpec,
        result=policy.BCTrainingResult,
        requires_torch=True,
        doc="A network is cloned from the recorded teacher.",
    ),
    StrategyEntry(
        name="ppo",
        spec=strategies.PPOSpec,
        result=policy.PPOTrainingResult,
        requires_torch=True,
        doc="The clone is fine-tuned on its own experience.",
    ),
    StrategyEntry(
        name="evaluate",
        spec=strategies.EvaluateSpec,
        result=policy.EvaluationResult,
        measures=True,
        doc="Candidate and baselines play the same fresh episodes.",
    ),
    StrategyEntry(
        name="promote",
        spec=strategies.PromoteSpec,
        result=policy.PromotionResult,
        effect=True,
        doc="The champion's alias moves to the candidate.",
    ),
    StrategyEntry(
        name="rollback",
        spec=strategies.RollbackSpec,
        result=policy.RollbackResult,
        doc="The candidate is discarded; the weights to go on from are proven.",
    ),
)


def torch_available() -> bool:
    """Tell whether torch is installed, without importing it. Asked here and nowhere else."""
    return find_spec("torch") is not None


def require_torch(what: str, device: str = "cpu") -> None:
    """Raise TorchNotAvailableError where torch is absent, BadInputError where it sees no such device."""
    if not torch_available():
        raise TorchNotAvailableError(what)
    if device != "cpu":
        from townlet.policy.model.torch_network import choose_device

        try:
            choose_device(device)
        except BadInputError as error:
            raise BadInputError(f"{what}: {error}") from error


def catalogue(instead: Mapping[str, TrainingStrategy] = MappingProxyType({})) -> StrategyCatalogue:
    """Return what the checker must know of the strategies, imports none; `instead` are used for built-in ones."""
    entries = {
        entry.name: evolve(entry, requires_torch=instead[entry.name].requires_torch) if entry.name in instead else entry
        for entry in _ENTRIES
    }
    return StrategyCatalogue(entries=entries, torch_available=torch_available())


@cache
def resolve(name: str) -> TrainingStrategy:
    """Return the strategy of a name, importing its module now; BadInputError for an unknown one."""
    if name not in _MODULES:
        raise BadInputError(f"unknown strategy {name!r}{did_you_mean(name, list(_MODULES))}")
    module, _, attribute = _MODULES[name].partition(":")
    return cast("TrainingStrategy", vars(import_module(module))[attribute]())
