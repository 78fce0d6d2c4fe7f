"""The protocol of strategies, and the catalogue that finds them: built in, installed, or handed in."""

from collections.abc import Mapping
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

from attrs import evolve

from townlet.dto.policy import TrainingResult
from townlet.errors import BadInputError, TorchNotAvailableError
from townlet.machine.catalogue import StrategyCatalogue, StrategyEntry
from townlet.policy.model.device import choose_device
from townlet.policy.training.contexts import TrainingContext

__all__ = ["Strategies", "TrainingStrategy", "catalogue", "require_device", "resolve", "torch_available"]


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


Strategies = Mapping[str, TrainingStrategy | StrategyEntry]
"""Strategies by name: objects that run in place of declared ones, or entries that add one."""
_BUILT_IN = ("capture", "replay", "bc", "ppo", "evaluate", "release")
"""Modules of this folder that declare strategies, each in a tuple `ENTRIES`."""
ENTRY_POINTS = "townlet.strategies"
"""Group of entry points under which installed packages declare theirs: ``NAME = MODULE:ENTRY``."""


@cache
def _declared() -> tuple[Mapping[str, StrategyEntry], Mapping[str, str]]:
    """Return the entries of built-in and installed strategies by name, and why others are refused."""
    modules = (import_module(f"{__package__}.{name}") for name in _BUILT_IN)
    entries: dict[str, StrategyEntry] = {entry.name: entry for module in modules for entry in module.ENTRIES}
    refused: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINTS):
        try:
            entries[point.name] = _loaded(point, entries)
        except Exception as error:  # noqa: BLE001 - code of another package: whatever it raises refuses that package only
            refused[point.name] = f"its entry point {point.value} is refused ({type(error).__name__}: {error})"
    return entries, refused


def _loaded(point: EntryPoint, known: Mapping[str, StrategyEntry]) -> StrategyEntry:
    entry = point.load()
    if not isinstance(entry, StrategyEntry):
        raise TypeError(f"expected a StrategyEntry, found {entry!r}")
    if entry.name != point.name:
        raise ValueError(f"it declares the name {entry.name!r}, expected {point.name!r}")
    if entry.name in known:
        raise ValueError("a strategy of this name is there already")
    return entry


def torch_available() -> bool:
    """Tell whether torch is installed, without importing it. Asked here and nowhere else."""
    return find_spec("torch") is not None


def require_device(what: str, device: str) -> None:
    """Raise TorchNotAvailableError where a GPU needs torch and it is absent, BadInputError where there is no GPU."""
    if device != "cuda":  # `auto` takes what there is
        return
    if not torch_available():
        raise TorchNotAvailableError(what)
    try:
        choose_device(device)
    except BadInputError as error:
        raise BadInputError(f"{what}: {error}") from error


def catalogue(strategies: Strategies | None = None) -> StrategyCatalogue:
    """Return the strategies that a schedule may name: built-in ones, those of installed packages, and `strategies`.

    A `TrainingStrategy` runs in place of the declared one of its name; a `StrategyEntry` adds one, or replaces one
    with its declaration. BadInputError for an object that is neither, or for a name that nothing declares.
    """
    declared, refused = _declared()
    entries = dict(declared)
    for name, given in (strategies or {}).items():
        if isinstance(given, StrategyEntry):
            entries[name] = evolve(given, name=name)
        elif name in entries and isinstance(given, TrainingStrategy):
            entries[name] = evolve(entries[name], strategy=partial(_same, given), requires_torch=given.requires_torch)
        else:
            raise BadInputError(
                f"strategies: {name!r} is {type(given).__name__}; expected a StrategyEntry, or an object with name, "
                f"requires_torch, prepare and run under one of the declared names: {', '.join(entries)}"
            )
    return StrategyCatalogue(entries=entries, torch_available=torch_available(), refused=refused)


def _same(strategy: TrainingStrategy) -> TrainingStrategy:
    return strategy


def resolve(name: str, known: StrategyCatalogue | None = None) -> TrainingStrategy:
    """Return the strategy of a name, its module imported now; BadInputError for an unknown or an unfit one."""
    entry = (known or catalogue()).entry(name)
    if isinstance(entry.strategy, str):
        module, _, attribute = entry.strategy.partition(":")
        make = vars(import_module(module)).get(attribute)
    else:
        make = entry.strategy
    strategy = make() if callable(make) else None
    if not isinstance(strategy, TrainingStrategy):
        raise BadInputError(
            f"strategy {name!r}: {entry.strategy} makes no strategy; expected name, requires_torch, prepare and run"
        )
    return strategy
