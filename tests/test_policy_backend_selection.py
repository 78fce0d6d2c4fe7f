"""Which strategies resolve with torch and without it, and that nothing else asks for it."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from places import importers

import townlet
from townlet.dto.schedule import Plan
from townlet.errors import BadInputError, TorchNotAvailableError
from townlet.machine.schedule.loader import require_torch as refuse_without
from townlet.machine.schedule.overrides import parse_overrides
from townlet.machine.schedule.shipped import find_schedule
from townlet.policy.training.launch import ScheduleSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies import base
from townlet.policy.training.strategies.base import TrainingStrategy, catalogue, resolve

ROOT = Path(__file__).parents[1]
TORCH_FILES = importers("torch")
"""The only modules that import torch."""
FOREIGN = importers("gymnasium", "pettingzoo", "stable_baselines3")
"""Adapters of optional interfaces, which bring what they bring."""
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(townlet.__path__, "townlet.")
    if module.name not in TORCH_FILES | FOREIGN
)


@pytest.mark.parametrize("name", ["capture", "replay", "bc", "ppo", "evaluate", "promote", "rollback"])
def test_every_strategy_resolves_by_name(name: str) -> None:
    """Its module is imported on request, also without torch."""
    strategy = resolve(name)
    assert isinstance(strategy, TrainingStrategy)
    assert name == strategy.name
    assert catalogue().entries[name].requires_torch == strategy.requires_torch


def test_an_unknown_strategy_is_refused_with_the_nearest() -> None:
    """Did you mean."""
    with pytest.raises(BadInputError, match="did you mean 'capture'"):
        resolve("captre")


@pytest.mark.parametrize(
    ("there", "expected"),
    [(True, []), (False, ["torchy"])],
)
def test_only_strategies_that_say_so_need_torch(
    there: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built-in ones train on the processor without it; one of a user's own may declare that it cannot."""
    monkeypatch.setattr(base, "torch_available", lambda: there)
    torchy = evolve(catalogue().entries["bc"], name="torchy", requires_torch=True)
    lacking = [each for each in catalogue({"torchy": torchy}).availability() if not each.here]
    assert expected == [each.name for each in lacking]
    assert all(each.install == "pip install 'townlet[torch]'" for each in lacking)


def test_a_schedule_that_asks_for_a_gpu_is_refused_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the extra; on the processor, and on whatever there is, the same schedule runs."""
    monkeypatch.setattr(base, "torch_available", lambda: False)

    def plan(device: str) -> Plan:
        source = ScheduleSource.overriding(
            find_schedule("quickstart"), parse_overrides((f"states.ppo.with.device={device}",))
        )
        return PolicyTrainingOrchestrator(source).plan()

    for device in ("cpu", "auto"):
        refuse_without(plan(device), catalogue())
    with pytest.raises(TorchNotAvailableError, match=r"pip install 'townlet\[torch\]'") as refused:
        refuse_without(plan("cuda"), catalogue())
    assert 1 == len(str(refused.value).splitlines())


def test_no_public_module_imports_torch(tmp_path: Path) -> None:
    """Everything but the files that train on a GPU can be imported without it entering the process."""
    code = f"""
import importlib, sys
for name in {MODULES!r}:
    importlib.import_module(name)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "False" == done.stdout.strip()


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted(TORCH_FILES))
def test_the_files_that_train_on_a_gpu_need_torch(name: str) -> None:
    """Each of them is there for it."""
    assert "torch" in vars(importlib.import_module(name))
