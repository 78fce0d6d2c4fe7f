"""Weights & Biases, and trackio, which has the same interface: one adapter for both."""

import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from townlet.dto.tracking import AliasMove, TrackedPoint, TrackedRun
from townlet.env.libraries import needed

__all__ = ["TrackioTracker", "WandbTracker"]

_STEP = "global_step"


class WandbTracker:
    """Logs to Weights & Biases, as ``wandb login`` and ``WANDB_MODE`` say; offline files go to the home."""

    keeps_aliases = False
    _library = "wandb"

    def __init__(self, *, home: Path, project: str = "") -> None:
        """Log to a `project`, named as the schedule where it is not given."""
        with needed(self._library, extra=self._library):
            if find_spec(self._library) is None:
                raise ModuleNotFoundError(self._library, name=self._library)
        self._home, self._project = home, project
        self._run: Any = None

    def open(self, run: TrackedRun) -> None:
        """Begin the run, or go on with it."""
        self._run = self._begin(run, self._project or run.name, dict(run.parameters))

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Log the numbers of each point, and each return of an episode as one of ``rollout/ep_rew``."""
        for point in points:
            self._log(dict(point.numbers), point.step)
            for value in point.returns:
                self._log({"rollout/ep_rew": value}, point.step)

    def move(self, move: AliasMove) -> None:
        """Note which version the alias names."""
        self._run.log({f"alias/{move.alias}": move.version})

    def close(self, state: str) -> None:
        """Finish the run."""
        self._run.finish(0 if state in ("done", "hold") else 1)

    def _begin(self, run: TrackedRun, project: str, config: dict[str, str]) -> Any:
        import wandb

        begun = wandb.init(
            project=project,
            id=run.id,
            name=run.id,
            resume="allow",
            dir=str(self._home),
            config=config,
            tags=["rehearsal"] if run.rehearsal else [],
            settings=wandb.Settings(silent=True, console="off"),
        )
        begun.define_metric("*", step_metric=_STEP)
        return begun

    def _log(self, numbers: dict[str, float], step: int) -> None:
        self._run.log(numbers | {_STEP: step})


class TrackioTracker(WandbTracker):
    """Logs to trackio: local files, or where its environment variables say."""

    _library = "trackio"

    def close(self, state: str) -> None:
        """Finish the run."""
        self._run.finish()

    def _begin(self, run: TrackedRun, project: str, config: dict[str, str]) -> Any:
        trackio = importlib.import_module("trackio")
        _silence("trackio")
        return trackio.init(
            project=project,
            name=run.id,
            resume="allow",
            config=config,
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def _log(self, numbers: dict[str, float], step: int) -> None:
        self._run.log(numbers, step=step)


def _silence(library: str) -> None:
    """Let the modules of a library print nothing: stdout is for the results of the run."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == library:
            vars(module)["print"] = _print_nothing


def _print_nothing(*_: object, **__: object) -> None:
    """Print nothing."""
